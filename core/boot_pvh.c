/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PVH way to boot (see boot_priv.h): hvm_start_info, memory map, one module. Xen
 * docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h version 1.
 */
#include <errno.h>

#include "core/boot_priv.h"

#define START_MAGIC 0x336ec578

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};
struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};
struct module_entry {
	uint64_t addr, size, cmdline, reserved;
};
_Static_assert(sizeof(struct start_info) == 56 && offsetof(struct start_info, memmap) == 40,
	       "start_info.h version 1");
_Static_assert(sizeof(struct memmap_entry) == 24 && sizeof(struct module_entry) == 32,
	       "start_info.h version 1");

int boot_pvh(struct guest_mem *mem, const struct boot_elf *elf, const struct boot_info *info,
	     struct boot_entry *out)
{
	struct start_info si = { .magic = START_MAGIC,
				 .version = 1,
				 .cmdline = ADDR_CMDLINE,
				 .rsdp = info->rsdp,
				 .memmap = ADDR_MEMMAP,
				 .memmap_entries = info->n_map };
	struct memmap_entry map[BOOT_MAX_RANGES];
	struct boot_range initrd;
	struct module_entry module;
	int ret = boot_write_cmdline(mem, info->cmdline, MAX_CMDLINE - 1);

	if (ret == 0)
		ret = boot_load_initrd(mem, info->initrd_fd, elf->end, UINT64_MAX, &initrd);
	if (ret < 0)
		return ret;
	module = (struct module_entry){ .addr = initrd.addr, .size = initrd.size };
	if (initrd.size) {
		si.nr_modules = 1;
		si.modlist = ADDR_MODULES;
	}
	for (unsigned int i = 0; i < info->n_map; i++)
		map[i] = (struct memmap_entry){ .addr = info->map[i].addr,
						.size = info->map[i].size,
						.type = info->map[i].type };
	*out = (struct boot_entry){ .mode = BOOT_PVH,
				    .entry = elf->pvh_entry,
				    .info = ADDR_START_INFO };
	if (mem_write(mem, ADDR_MODULES, &module, sizeof(module)) < 0 ||
	    mem_write(mem, ADDR_MEMMAP, map, info->n_map * sizeof(map[0])) < 0 ||
	    mem_write(mem, ADDR_START_INFO, &si, sizeof(si)) < 0)
		return -EFAULT;
	return 0;
}
