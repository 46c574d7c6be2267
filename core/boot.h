/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading a guest's kernel: so far ELF images with a PVH entry (Linux vmlinux, the microguest).
 */
#ifndef CORE_BOOT_H
#define CORE_BOOT_H

#include <stdint.h>

#include "core/mem.h"

struct boot_entry {
	uint32_t eip;        /* 32-bit protected mode entry */
	uint32_t start_info; /* physical address of hvm_start_info, for ebx */
};

/*
 * boot_pvh_load - reads an ELF from kernel_fd (64 or 32 bit, with the note
 * XEN_ELFNOTE_PHYS32_ENTRY) into guest memory, puts the initrd (initrd_fd -1: none) at the top of
 * low memory and the command line and boot information below 640 KiB. The file is not trusted.
 * -ENOEXEC, -E2BIG, -EIO after a message. Descriptors stay the caller's.
 */
int boot_pvh_load(struct guest_mem *mem, int kernel_fd, int initrd_fd, const char *cmdline,
		  struct boot_entry *out);

#endif
