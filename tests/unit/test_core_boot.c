/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel loaders on good and on broken files: ELF with and without PVH, bzImage; what they tell
 * the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/boot.h"
#include "core/err.h"

struct image {
	Elf64_Ehdr h;
	Elf64_Phdr p[2];
	struct {
		Elf64_Nhdr n;
		char name[4];
		uint32_t entry;
	} note;
	uint8_t code[64];
};

static struct image good(void)
{
	struct image i = {
		.h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		       .e_phoff = offsetof(struct image, p),
		       .e_phentsize = sizeof(Elf64_Phdr),
		       .e_phnum = 2 },
		.p = { { .p_type = PT_LOAD,
			 .p_offset = offsetof(struct image, code),
			 .p_paddr = 0x100000,
			 .p_filesz = 64,
			 .p_memsz = 4096 },
		       { .p_type = PT_NOTE,
			 .p_offset = offsetof(struct image, note),
			 .p_filesz = sizeof(i.note) } },
		.note = { .n = { 4, 4, 18 }, .name = "Xen", .entry = 0x100010 },
	};

	memset(i.code, 0x90, sizeof(i.code));
	return i;
}

static void quiet(void *opaque, const char *line)
{
}

#define RSDP 0xe0000

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

static int make_file(const void *data, size_t len)
{
	int fd = memfd_create("file", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	return fd;
}

static int load_into(struct guest_mem *m, int kernel_fd, int initrd_fd, const char *cmdline,
		     struct boot_entry *e)
{
	int ret;

	err_set_sink(quiet, NULL);
	ret = boot_load(m, kernel_fd, initrd_fd, cmdline, RSDP, e);
	err_set_sink(NULL, NULL);
	return ret;
}

static int load(const void *data, size_t len, struct guest_mem **keep, struct boot_entry *e)
{
	int fd = make_file(data, len), ret;
	struct guest_mem *m;

	assert_int_equal(mem_create(4 << 20, &m), 0);
	ret = load_into(m, fd, -1, "hello", e);
	close(fd);
	if (keep)
		*keep = m;
	else
		mem_destroy(m);
	return ret;
}

static void kernel_is_placed_and_described(void **state)
{
	struct image i = good();
	struct start_info si;
	struct boot_entry e;
	struct guest_mem *m;
	char cmdline[8];
	uint8_t *code;

	assert_int_equal(load(&i, sizeof(i), &m, &e), 0);
	assert_int_equal(e.mode, BOOT_PVH);
	assert_int_equal(e.entry, 0x100010);
	code = mem_ptr(m, 0x100000, 4096);
	assert_int_equal(code[63], 0x90);
	assert_int_equal(code[64], 0);
	mem_read(m, e.info, &si, sizeof(si));
	assert_int_equal(si.magic, 0x336ec578);
	assert_int_equal(si.rsdp, RSDP);
	mem_read(m, si.cmdline, cmdline, 6);
	assert_string_equal(cmdline, "hello");
	mem_destroy(m);
}

/* RAM is told once, nothing of it twice, and the ACPI tables are in none of it. */
static void memory_map_spares_what_is_taken(void **state)
{
	struct image i = good();
	struct start_info si;
	struct boot_entry e;
	struct guest_mem *m;
	uint64_t ram = 0, tables = 0;
	struct {
		uint64_t addr, size;
		uint32_t type, reserved;
	} r[16];

	assert_int_equal(load(&i, sizeof(i), &m, &e), 0);
	mem_read(m, e.info, &si, sizeof(si));
	assert_in_range(si.memmap_entries, 4, 16);
	mem_read(m, si.memmap, r, si.memmap_entries * sizeof(r[0]));
	for (uint32_t k = 0; k < si.memmap_entries; k++) {
		for (uint32_t l = 0; l < k; l++)
			assert_true(r[k].addr >= r[l].addr + r[l].size ||
				    r[l].addr >= r[k].addr + r[k].size);
		if (r[k].type == 1)
			ram += r[k].size;
		else if (r[k].addr <= RSDP && r[k].addr + r[k].size >= 0x100000)
			tables++;
		if (r[k].type == 1)
			assert_non_null(mem_ptr(m, r[k].addr, r[k].size));
	}
	assert_int_equal(ram, (4 << 20) - 0x100000 + 0x9fc00);
	assert_int_equal(tables, 1);
	mem_destroy(m);
}

static void initrd_lies_above_the_kernel(void **state)
{
	struct image i = good();
	char data[5000] = "initrd";
	int kernel = make_file(&i, sizeof(i)), initrd = make_file(data, sizeof(data)), big;
	struct start_info si;
	struct boot_entry e;
	struct guest_mem *m;
	uint64_t module[4];
	char back[8];

	assert_int_equal(mem_create(4 << 20, &m), 0);
	assert_int_equal(load_into(m, kernel, initrd, "", &e), 0);
	mem_read(m, e.info, &si, sizeof(si));
	assert_int_equal(si.nr_modules, 1);
	mem_read(m, si.modlist, module, sizeof(module));
	assert_int_equal(module[1], sizeof(data));
	assert_int_equal(module[0] % 4096, 0);
	mem_read(m, module[0], back, 7);
	assert_string_equal(back, "initrd");
	big = make_file(data, 1);
	assert_int_equal(ftruncate(big, 3 << 20),
			 0); /* would begin at 1 MiB, where the kernel is */
	assert_int_equal(load_into(m, kernel, big, "", &e), -E2BIG);
	assert_int_equal(ftruncate(big, 100 << 20), 0);
	assert_int_equal(load_into(m, kernel, big, "", &e), -E2BIG);
	assert_int_equal(ftruncate(big, 0), 0);
	assert_int_equal(load_into(m, kernel, big, "", &e), -E2BIG);
	mem_destroy(m);
	close(kernel);
	close(initrd);
	close(big);
}

/* --- bzImage --- */
#define BZ_SETUP_SECTS 3
#define BZ_KERNEL      2048
#define BZ_PREF        0x200000
#define BZ_INIT_SIZE   0x100000

struct bz {
	uint8_t setup[(BZ_SETUP_SECTS + 1) * 512];
	uint8_t kernel[BZ_KERNEL];
	uint8_t signature[100];
};

static struct setup_header *bz_hdr(struct bz *b)
{
	return (struct setup_header *)(b->setup + 0x1f1);
}

static struct bz good_bz(void)
{
	struct bz b = { .setup = { 'M', 'Z' } };

	b.setup[0x201] = 0x268 - 0x202; /* the header's length, as of 2.13 */
	*bz_hdr(&b) = (struct setup_header){
		.setup_sects = BZ_SETUP_SECTS,
		.syssize = BZ_KERNEL / 16,
		.boot_flag = 0xaa55,
		.jump = (0x268 - 0x202) << 8 | 0xeb,
		.header = 0x53726448,
		.version = 0x20d,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.relocatable_kernel = 1,
		.kernel_alignment = 0x200000,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 40,
		.pref_address = BZ_PREF,
		.init_size = BZ_INIT_SIZE,
		.kernel_info_offset = 0x11223344, /* not within the length */
	};
	memset(b.kernel, 0x90, sizeof(b.kernel));
	memset(b.signature, 0xee, sizeof(b.signature));
	return b;
}

static void bzimage_is_placed_and_described(void **state)
{
	struct bz b = good_bz();
	struct boot_params *p;
	struct boot_entry e;
	struct guest_mem *m;
	uint8_t *code;

	assert_int_equal(load(&b, sizeof(b), &m, &e), 0);
	assert_int_equal(e.mode, BOOT_LINUX64);
	assert_int_equal(e.entry, BZ_PREF + 0x200);
	code = mem_ptr(m, BZ_PREF, BZ_INIT_SIZE);
	assert_int_equal(code[0], 0x90);
	assert_int_equal(code[BZ_KERNEL - 1], 0x90);
	assert_int_equal(code[BZ_KERNEL], 0); /* the signature stays out */
	p = mem_ptr(m, e.info, sizeof(*p));
	assert_int_equal(p->hdr.header, 0x53726448);
	assert_int_equal(p->hdr.type_of_loader, 0xff);
	assert_int_equal(p->hdr.kernel_info_offset, 0);
	assert_int_equal(p->sentinel, 0);
	assert_int_equal(p->acpi_rsdp_addr, RSDP);
	assert_int_equal(p->hdr.ramdisk_size, 0);
	assert_int_equal(p->e820_entries, 6);
	assert_int_equal(p->e820_table[3].addr, 0x100000);
	assert_int_equal(p->e820_table[3].type, 1);
	assert_string_equal((char *)mem_ptr(m, p->hdr.cmd_line_ptr, 6), "hello");
	mem_destroy(m);
}

/* What the entry state needs: every address below 4 GiB maps to itself, the segments are flat. */
static void bzimage_starts_in_an_identity_map(void **state)
{
	struct bz b = good_bz();
	struct boot_entry e;
	struct guest_mem *m;
	uint64_t gdt[4];

	assert_int_equal(load(&b, sizeof(b), &m, &e), 0);
	for (uint64_t va = 0; va < 1ull << 32; va += 0x1fffff) {
		uint64_t pml4e, pdpte, pde;

		mem_read(m, e.cr3 + 8 * (va >> 39), &pml4e, 8);
		assert_int_equal(pml4e & 0xfff, 3);
		mem_read(m, (pml4e & ~0xfffull) + 8 * (va >> 30 & 511), &pdpte, 8);
		assert_int_equal(pdpte & 0xfff, 3);
		mem_read(m, (pdpte & ~0xfffull) + 8 * (va >> 21 & 511), &pde, 8);
		assert_int_equal(pde, (va & ~0x1fffffull) | 0x83);
	}
	assert_int_equal(e.gdt_limit, sizeof(gdt) - 1);
	mem_read(m, e.gdt, gdt, sizeof(gdt));
	assert_true(gdt[2] == 0x00af9b000000ffff && gdt[3] == 0x00cf93000000ffff);
	mem_destroy(m);
}

static void bzimage_with_a_bad_header_is_refused(void **state)
{
	static const struct {
		const char *what;
		size_t at, size;
		uint64_t value;
		int ret;
	} bad[] = {
#define BAD(field, v, r) \
	{ #field " " #v, 0x1f1 + offsetof(struct setup_header, field), \
	  sizeof(((struct setup_header *)0)->field), v, r }
		BAD(boot_flag, 0, -ENOEXEC),
		BAD(header, 0x53726449, -ENOEXEC),
		BAD(version, 0x020b, -ENOEXEC),
		BAD(loadflags, 0, -ENOEXEC),
		BAD(xloadflags, 0, -ENOEXEC),
		BAD(setup_sects, 255, -ENOEXEC),
		BAD(setup_sects, 8, -ENOEXEC), /* nothing is left */
		BAD(syssize, 1, -ENOEXEC),     /* ends before the entry */
		BAD(init_size, 0, -ENOEXEC),
		BAD(init_size, BZ_KERNEL - 1, -ENOEXEC),
		BAD(init_size, 0xffffffff, -E2BIG),
		BAD(init_size, (4 << 20) - BZ_PREF + 1, -E2BIG),
		BAD(pref_address, 0, -ENOEXEC),
		BAD(pref_address, 0x9000, -ENOEXEC),
		BAD(pref_address, 0x200001, -ENOEXEC),
		BAD(pref_address, 4 << 20, -E2BIG),
		BAD(pref_address, 0xfffffffffffff000, -E2BIG),
		BAD(cmdline_size, 4, -E2BIG), /* "hello" has 5 */
		{ "header length 0", 0x201, 1, 0, -ENOEXEC },
		{ "header ends in init_size", 0x201, 1, 0x260 - 0x202, -ENOEXEC },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bz b = good_bz();
		struct boot_entry e;
		int ret;

		memcpy(b.setup + bad[i].at, &bad[i].value, bad[i].size);
		ret = load(&b, sizeof(b), NULL, &e);
		if (ret != bad[i].ret)
			print_error("%s\n", bad[i].what);
		assert_int_equal(ret, bad[i].ret);
	}
}

static void bzimage_that_is_cut_off_is_refused(void **state)
{
	struct bz b = good_bz();
	struct boot_entry e;

	for (size_t len = 0; len <= sizeof(b.setup) + 0x200; len += 64)
		assert_int_equal(load(&b, len, NULL, &e), -ENOEXEC);
}

static void bzimage_keeps_its_initrd_below_its_limit(void **state)
{
	struct bz b = good_bz();
	char data[5000] = "initrd";
	int initrd = make_file(data, sizeof(data)), kernel;
	const struct boot_params *p;
	struct boot_entry e;
	struct guest_mem *m;

	assert_int_equal(mem_create(8 << 20, &m), 0);
	bz_hdr(&b)->initrd_addr_max = 0x5fffff;
	kernel = make_file(&b, sizeof(b));
	assert_int_equal(load_into(m, kernel, initrd, "", &e), 0);
	p = mem_ptr(m, e.info, sizeof(*p));
	assert_int_equal(p->hdr.ramdisk_image, 0x5fe000);
	assert_int_equal(p->hdr.ramdisk_size, sizeof(data));
	assert_string_equal((char *)mem_ptr(m, p->hdr.ramdisk_image, 7), "initrd");
	close(kernel);
	bz_hdr(&b)->initrd_addr_max = BZ_PREF + BZ_INIT_SIZE; /* the kernel's own end */
	kernel = make_file(&b, sizeof(b));
	assert_int_equal(load_into(m, kernel, initrd, "", &e), -E2BIG);
	close(kernel);
	mem_destroy(m);
	close(initrd);
}

static void command_line_has_the_kernels_limit(void **state)
{
	struct bz b = good_bz();
	int fd = make_file(&b, sizeof(b));
	char text[42] = { 0 };
	struct boot_entry e;
	struct guest_mem *m;

	assert_int_equal(mem_create(4 << 20, &m), 0);
	memset(text, 'x', 40);
	assert_int_equal(load_into(m, fd, -1, text, &e), 0);
	text[40] = 'x';
	assert_int_equal(load_into(m, fd, -1, text, &e), -E2BIG);
	mem_destroy(m);
	close(fd);
}

/* --- ELF without a PVH entry --- */
static void vmlinux_without_pvh_takes_the_64_bit_entry(void **state)
{
	struct image i = good();
	const struct boot_params *p;
	struct boot_entry e;
	struct guest_mem *m;

	i.p[1].p_type = PT_NULL;
	i.h.e_machine = EM_X86_64;
	i.h.e_entry = 0x100000;
	assert_int_equal(load(&i, sizeof(i), &m, &e), 0);
	assert_int_equal(e.mode, BOOT_LINUX64);
	assert_int_equal(e.entry, 0x100000);
	p = mem_ptr(m, e.info, sizeof(*p));
	assert_int_equal(p->hdr.boot_flag, 0xaa55);
	assert_int_equal(p->acpi_rsdp_addr, RSDP);
	mem_destroy(m);
	i.h.e_entry = 0x101000; /* behind its end */
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -ENOEXEC);
	i.h.e_entry = 0xffffffff81000000; /* a virtual address */
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -ENOEXEC);
}

/* --- ELF with one --- */
static void broken_headers_are_refused(void **state)
{
	struct image i;
	struct boot_entry e;

	i = good();
	i.h.e_ident[0] = 'X';
	assert_true(load(&i, sizeof(i), NULL, &e) < 0);
	i = good();
	i.h.e_phnum = 0;
	assert_true(load(&i, sizeof(i), NULL, &e) < 0);
	i = good();
	i.h.e_phnum = 65535;
	assert_true(load(&i, sizeof(i), NULL, &e) < 0);
	i = good();
	i.h.e_phoff = ~0ull;
	assert_true(load(&i, sizeof(i), NULL, &e) < 0);
	i = good();
	i.h.e_phentsize = 1;
	assert_true(load(&i, sizeof(i), NULL, &e) < 0);
	i = good();
	assert_true(load(&i, sizeof(i.h) + 10, NULL, &e) < 0);
	assert_true(load("", 0, NULL, &e) < 0);
}

static void segments_outside_memory_are_refused(void **state)
{
	struct image i;
	struct boot_entry e;

	i = good();
	i.p[0].p_paddr = 4 << 20;
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -E2BIG);
	i = good();
	i.p[0].p_paddr = ~0ull - 16;
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -E2BIG);
	i = good();
	i.p[0].p_memsz = ~0ull;
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -E2BIG);
	i = good();
	i.p[0].p_filesz = 8192;
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -E2BIG);
	i = good();
	i.p[0].p_offset = ~0ull;
	assert_true(load(&i, sizeof(i), NULL, &e) < 0);
	i = good();
	i.p[0].p_offset = 1 << 20;
	assert_true(load(&i, sizeof(i), NULL, &e) < 0);
}

static void file_without_pvh_entry_is_refused(void **state)
{
	struct image i;
	struct boot_entry e;

	i = good();
	i.note.n.n_type = 17;
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -ENOEXEC);
	i = good();
	i.note.n.n_namesz = ~0u;
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -ENOEXEC);
	i = good();
	i.note.n.n_descsz = ~0u - 2;
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -ENOEXEC);
	i = good();
	i.p[1].p_type = PT_NULL;
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -ENOEXEC);
	i = good();
	i.p[1].p_filesz = 3;
	assert_int_equal(load(&i, sizeof(i), NULL, &e), -ENOEXEC);
}

/* Any byte of the headers may be anything: refused or loaded, never a fault. */
static void random_headers_do_no_harm(void **state)
{
	struct boot_entry e;

	srand(1);
	for (int n = 0; n < 3000; n++) {
		struct image i = good();

		for (int k = rand() % 8; k >= 0; k--)
			((uint8_t *)&i)[(size_t)rand() % offsetof(struct image, code)] =
				(uint8_t)rand();
		load(&i, sizeof(i), NULL, &e);
	}
}

static void random_bzimage_headers_do_no_harm(void **state)
{
	struct boot_entry e;

	srand(2);
	for (int n = 0; n < 1000; n++) {
		struct bz b = good_bz();

		for (int k = rand() % 6; k >= 0; k--)
			b.setup[0x1f1 + (size_t)rand() % sizeof(struct setup_header)] =
				(uint8_t)rand();
		load(&b, sizeof(b), NULL, &e);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(kernel_is_placed_and_described),
		T(memory_map_spares_what_is_taken),
		T(initrd_lies_above_the_kernel),
		T(broken_headers_are_refused),
		T(segments_outside_memory_are_refused),
		T(file_without_pvh_entry_is_refused),
		T(random_headers_do_no_harm),
		T(bzimage_is_placed_and_described),
		T(bzimage_starts_in_an_identity_map),
		T(bzimage_with_a_bad_header_is_refused),
		T(bzimage_that_is_cut_off_is_refused),
		T(bzimage_keeps_its_initrd_below_its_limit),
		T(command_line_has_the_kernels_limit),
		T(vmlinux_without_pvh_takes_the_64_bit_entry),
		T(random_bzimage_headers_do_no_harm),
	};

	return cmocka_run_group_tests_name("core/boot", tests, NULL, NULL);
}
