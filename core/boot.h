/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading a guest's kernel: Linux as bzImage (the file of a distribution's /boot), ELF images
 * (vmlinux, the microguest). What the file is, its first bytes tell.
 */
#ifndef CORE_BOOT_H
#define CORE_BOOT_H

#include <stdint.h>

#include "core/mem.h"

enum boot_mode {
	BOOT_PVH,     /* 32-bit protected mode, paging off */
	BOOT_LINUX64, /* long mode, the first 4 GiB mapped to themselves */
};

/* How the first vCPU starts. All addresses are guest physical ones below 4 GiB. */
struct boot_entry {
	enum boot_mode mode;
	uint64_t entry; /* the first instruction */
	uint64_t info;  /* BOOT_PVH: hvm_start_info, for ebx; BOOT_LINUX64: boot_params, for rsi */
	uint64_t cr3;   /* BOOT_LINUX64 only, as what follows */
	uint64_t gdt;   /* with flat segments: 0x10 code, 0x18 data */
	uint16_t gdt_limit;
};

/*
 * boot_load - reads the kernel into guest memory, puts the initrd (initrd_fd -1: none) below the
 * end of low memory, and command line, memory map and boot information below 640 KiB. rsdp: where
 * the ACPI tables begin, 0 when there are none. The kernel is taken as
 *   bzImage       by Linux's 64-bit boot protocol (Documentation/arch/x86/boot.rst), from 2.12 on;
 *   ELF           by its PVH note (XEN_ELFNOTE_PHYS32_ENTRY) or, when it has none and is an x86-64
 *                 image, by Linux's 64-bit entry with boot_params.
 * The files are not trusted. -ENOEXEC (not such a file), -E2BIG (does not fit into the memory or
 * the kernel's command line), -EIO, after a message. Descriptors stay the caller's.
 */
int boot_load(struct guest_mem *mem, int kernel_fd, int initrd_fd, const char *cmdline, gpa_t rsdp,
	      struct boot_entry *out);

#endif
