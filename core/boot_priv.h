/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the loaders of boot.c, boot_elf.c, boot_pvh.c and boot_linux.c share. Everybody else uses
 * boot.h. */
#ifndef CORE_BOOT_PRIV_H
#define CORE_BOOT_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "core/boot.h"

/*
 * Low memory, below 640 KiB. The pages of one way to boot are left alone by the other; the kernel
 * copies what it needs before it uses this memory.
 */
#define ADDR_START_INFO  0x6000 /* PVH */
#define ADDR_MEMMAP      0x7000
#define ADDR_MODULES     0x8000
#define ADDR_CMDLINE     0x9000 /* both */
#define MAX_CMDLINE      0x8000
#define ADDR_GDT         0x12000 /* Linux's 64-bit entry */
#define ADDR_BOOT_PARAMS 0x13000
#define ADDR_PAGE_TABLES 0x14000 /* six pages */
#define LOW_RAM_END      0x9fc00

/* Types of the BIOS's memory map, int 15h E820 (ACPI 6.5 section 15.1); PVH has the same. */
#define E820_RAM      1
#define E820_RESERVED 2

#define BOOT_MAX_RANGES 8

struct boot_range {
	uint64_t addr, size;
	uint32_t type;
};

/* An ELF file as it was loaded. */
struct boot_elf {
	bool has_pvh;
	uint32_t pvh_entry;
	bool is_x86_64;
	uint64_t entry; /* e_entry */
	uint64_t end;   /* behind its last byte in guest memory */
};

/* What goes with the kernel. */
struct boot_info {
	const char *cmdline;
	int initrd_fd; /* -1: none */
	gpa_t rsdp;    /* 0: none */
	struct boot_range map[BOOT_MAX_RANGES];
	unsigned int n_map;
};

/* boot_read_at - all `len` bytes at `off`, or -ENOEXEC (the file is shorter), or read's errno. */
int boot_read_at(int fd, void *buf, size_t len, uint64_t off);

/*
 * boot_load_initrd - as high as it may lie: below `limit` and the end of low memory, above
 * kernel_end. Without one: 0 and size 0. -E2BIG, -EIO after a message.
 */
int boot_load_initrd(struct guest_mem *mem, int fd, uint64_t kernel_end, uint64_t limit,
		     struct boot_range *out);

/* boot_write_cmdline - with at most `max` characters. -E2BIG after a message. */
int boot_write_cmdline(struct guest_mem *mem, const char *cmdline, size_t max);

/* boot_elf_load - segments into memory, entries found. -ENOEXEC, -E2BIG after a message. */
int boot_elf_load(struct guest_mem *mem, int fd, struct boot_elf *out);

/* boot_pvh - initrd, command line and hvm_start_info for an ELF that has_pvh. */
int boot_pvh(struct guest_mem *mem, const struct boot_elf *elf, const struct boot_info *info,
	     struct boot_entry *out);

/* boot_linux_elf - the same with boot_params, for an x86-64 ELF without PVH. */
int boot_linux_elf(struct guest_mem *mem, const struct boot_elf *elf, const struct boot_info *info,
		   struct boot_entry *out);

/* boot_linux_bz - a bzImage, from its header on. */
int boot_linux_bz(struct guest_mem *mem, int fd, const struct boot_info *info,
		  struct boot_entry *out);

#endif
