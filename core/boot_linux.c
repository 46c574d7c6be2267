/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux's own way to boot (see boot_priv.h): Documentation/arch/x86/boot.rst of Linux 6.12,
 * "64-bit boot protocol". The setup header of a bzImage says where the kernel wants to lie and how
 * much room it takes until it knows its memory; boot_params tells it the rest. Its real-mode part
 * is not run. Kernels before protocol 2.12 (Linux 3.8) and 32-bit ones are refused.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/boot_priv.h"
#include "core/err.h"

#define BOOT_FLAG       0xaa55
#define HEADER_MAGIC    0x53726448 /* "HdrS" */
#define VERSION_MIN     0x020c     /* the first with xloadflags */
#define ENTRY_64        0x200      /* behind the start of the protected-mode kernel */
#define LOADER_UNNAMED  0xff
#define VGA_NORMAL      0xffff
#define LINUX_CMDLINE   2047 /* COMMAND_LINE_SIZE of x86, less the closing zero */
#define SECTOR          512
#define KERNEL_LOWEST   0x100000
#define N_PAGE_TABLES   6
#define PAGE_PRESENT_RW 3ull
#define PAGE_LARGE      (1ull << 7)

_Static_assert(sizeof(struct boot_params) == 4096 && offsetof(struct boot_params, hdr) == 0x1f1 &&
		       offsetof(struct boot_params, acpi_rsdp_addr) == 0x70 &&
		       offsetof(struct boot_params, e820_table) == 0x2d0 &&
		       offsetof(struct setup_header, init_size) + 0x1f1 == 0x260,
	       "boot.rst, zero-page.rst");

static int bz_bad(const char *why)
{
	return err_ret(-ENOEXEC,
		       "loading the kernel: %s; give a 64-bit bzImage (vmlinuz) of Linux "
		       "3.8 or newer, or an uncompressed vmlinux",
		       why);
}

/*
 * The header's length is in the file, as the offset of the jump behind it (boot.rst, "the real-mode
 * kernel header"); what an older kernel's header has not reads as 0.
 */
static int bz_header(int fd, struct setup_header *h)
{
	uint8_t sector[0x1f1 + sizeof(*h)];
	size_t len;

	if (boot_read_at(fd, sector, sizeof(sector), 0) < 0)
		return bz_bad("the file is neither ELF nor long enough for a bzImage");
	memcpy(h, sector + 0x1f1, sizeof(*h));
	if (h->boot_flag != BOOT_FLAG || h->header != HEADER_MAGIC)
		return bz_bad("the file is neither ELF nor bzImage");
	if (h->version < VERSION_MIN)
		return bz_bad("its boot protocol is older than 2.12");
	if (!(h->loadflags & LOADED_HIGH))
		return bz_bad("it is a zImage, which loads below 1 MiB");
	if (!(h->xloadflags & XLF_KERNEL_64))
		return bz_bad("it is a 32-bit kernel");
	len = 0x202u - 0x1f1u + sector[0x201];
	if (len < offsetof(struct setup_header, handover_offset))
		return bz_bad("its header is cut off");
	if (len < sizeof(*h))
		memset((char *)h + len, 0, sizeof(*h) - len);
	return 0;
}

/* The protected-mode kernel, from the sector behind the setup code on, to the place it prefers. */
static int bz_load(struct guest_mem *mem, int fd, const struct setup_header *h)
{
	uint64_t start = ((h->setup_sects ? h->setup_sects : 4) + 1ull) * SECTOR, len,
		 paragraphs = (uint64_t)h->syssize * 16;
	struct stat st;
	void *dst;

	if (fstat(fd, &st) < 0)
		return err_ret(-errno, "reading the kernel: %s; check the file", strerror(errno));
	if (st.st_size < 0 || (uint64_t)st.st_size <= start + ENTRY_64)
		return bz_bad("the file ends before the kernel proper");
	len = (uint64_t)st.st_size - start;
	/* what follows is a signature, not the kernel's */
	if (paragraphs && paragraphs < len)
		len = paragraphs;
	if (len <= ENTRY_64 || len > h->init_size)
		return bz_bad("its header's sizes contradict the file's");
	if (h->pref_address < KERNEL_LOWEST || h->pref_address & 0xfff)
		return bz_bad("its header asks for an impossible place");
	dst = mem_ptr(mem, h->pref_address, h->init_size);
	if (!dst || h->pref_address >= mem_region(mem, 0)->size)
		return err_ret(
			-E2BIG,
			"loading the kernel: it needs memory up to %llu MiB; give the guest "
			"more",
			(unsigned long long)((h->pref_address >> 20) + (h->init_size >> 20) + 1));
	if (boot_read_at(fd, dst, len, start) < 0)
		return err_ret(-EIO, "reading the kernel: it is shorter than its size says; check "
				     "the file");
	return 0;
}

/* The first 4 GiB mapped to themselves by pages of 2 MiB. */
static int write_page_tables(struct guest_mem *mem)
{
	uint64_t *t = mem_ptr(mem, ADDR_PAGE_TABLES, N_PAGE_TABLES * 4096);

	if (!t)
		return -EFAULT;
	memset(t, 0, N_PAGE_TABLES * 4096);
	t[0] = (ADDR_PAGE_TABLES + 4096) | PAGE_PRESENT_RW;
	for (uint64_t i = 0; i < 4; i++)
		t[512 + i] = (ADDR_PAGE_TABLES + (2 + i) * 4096) | PAGE_PRESENT_RW;
	for (uint64_t i = 0; i < 4 * 512; i++)
		t[1024 + i] = i << 21 | PAGE_PRESENT_RW | PAGE_LARGE;
	return 0;
}

/* Everything but the kernel itself: `h` is its header, filled in on the way into boot_params. */
static int linux_info(struct guest_mem *mem, const struct setup_header *h, uint64_t kernel_end,
		      size_t max_cmdline, const struct boot_info *info, struct boot_entry *out)
{
	static const uint64_t gdt[] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	struct boot_params *p = mem_ptr(mem, ADDR_BOOT_PARAMS, sizeof(*p));
	struct boot_range initrd;
	int ret = boot_write_cmdline(mem, info->cmdline, max_cmdline);

	if (ret == 0)
		ret = boot_load_initrd(mem, info->initrd_fd, kernel_end, h->initrd_addr_max + 1ull,
				       &initrd);
	if (ret == 0)
		ret = write_page_tables(mem);
	if (ret < 0 || !p || mem_write(mem, ADDR_GDT, gdt, sizeof(gdt)) < 0)
		return ret < 0 ? ret : -EFAULT;
	memset(p, 0, sizeof(*p));
	p->hdr = *h;
	p->hdr.type_of_loader = LOADER_UNNAMED;
	p->hdr.vid_mode = VGA_NORMAL;
	p->hdr.cmd_line_ptr = ADDR_CMDLINE;
	p->hdr.ramdisk_image = (uint32_t)initrd.addr;
	p->hdr.ramdisk_size = (uint32_t)initrd.size;
	p->hdr.setup_data = 0;
	p->acpi_rsdp_addr = info->rsdp;
	p->e820_entries = (uint8_t)info->n_map;
	for (unsigned int i = 0; i < info->n_map; i++)
		p->e820_table[i] = (struct boot_e820_entry){ .addr = info->map[i].addr,
							     .size = info->map[i].size,
							     .type = info->map[i].type };
	out->mode = BOOT_LINUX64;
	out->info = ADDR_BOOT_PARAMS;
	out->cr3 = ADDR_PAGE_TABLES;
	out->gdt = ADDR_GDT;
	out->gdt_limit = sizeof(gdt) - 1;
	return 0;
}

int boot_linux_bz(struct guest_mem *mem, int fd, const struct boot_info *info,
		  struct boot_entry *out)
{
	struct setup_header h;
	int ret = bz_header(fd, &h);

	if (ret == 0)
		ret = bz_load(mem, fd, &h);
	if (ret < 0)
		return ret;
	*out = (struct boot_entry){ .entry = h.pref_address + ENTRY_64 };
	return linux_info(mem, &h, h.pref_address + h.init_size, h.cmdline_size, info, out);
}

int boot_linux_elf(struct guest_mem *mem, const struct boot_elf *elf, const struct boot_info *info,
		   struct boot_entry *out)
{
	/* an ELF has no setup header: what Linux itself looks at in one that was loaded */
	const struct setup_header h = { .boot_flag = BOOT_FLAG,
					.header = HEADER_MAGIC,
					.version = VERSION_MIN,
					.loadflags = LOADED_HIGH,
					.initrd_addr_max = 0x7fffffff,
					.kernel_alignment = 0x1000000 };

	if (!elf->is_x86_64 || elf->entry < KERNEL_LOWEST || elf->entry >= elf->end)
		return err_ret(-ENOEXEC,
			       "loading the kernel: it has no PVH entry (XEN_ELFNOTE_PHYS32_ENTRY) "
			       "and is no Linux for x86-64; give a bzImage, or build it with "
			       "CONFIG_PVH");
	*out = (struct boot_entry){ .entry = elf->entry };
	return linux_info(mem, &h, elf->end, LINUX_CMDLINE, info, out);
}
