/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PVH loader on good and on broken files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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

static int load(const void *data, size_t len, struct guest_mem **keep, struct boot_entry *e)
{
	int fd = memfd_create("elf", 0), ret;
	struct guest_mem *m;

	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(mem_create(4 << 20, &m), 0);
	err_set_sink(quiet, NULL);
	ret = boot_pvh_load(m, fd, -1, "hello", e);
	err_set_sink(NULL, NULL);
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
	struct boot_entry e;
	struct guest_mem *m;
	uint32_t magic;
	char cmdline[8];
	uint8_t *code;

	assert_int_equal(load(&i, sizeof(i), &m, &e), 0);
	assert_int_equal(e.eip, 0x100010);
	code = mem_ptr(m, 0x100000, 4096);
	assert_int_equal(code[63], 0x90);
	assert_int_equal(code[64], 0);
	mem_read(m, e.start_info, &magic, 4);
	assert_int_equal(magic, 0x336ec578);
	mem_read(m, 0x9000, cmdline, 6);
	assert_string_equal(cmdline, "hello");
	mem_destroy(m);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_is_placed_and_described),
		cmocka_unit_test(broken_headers_are_refused),
		cmocka_unit_test(segments_outside_memory_are_refused),
		cmocka_unit_test(file_without_pvh_entry_is_refused),
		cmocka_unit_test(random_headers_do_no_harm),
	};

	return cmocka_run_group_tests_name("core/boot", tests, NULL, NULL);
}
