/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See boot.h. Finds out what the kernel's file is and hands it to its loader; holds what they
 * share: reading, the initrd, the command line, the memory map. The map is the machine's: RAM, and
 * what a guest must not take for free (ACPI tables, ECAM, KVM's own pages).
 */
#include "core/boot.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/acpi.h"
#include "core/boot_priv.h"
#include "core/err.h"
#include "core/pci_priv.h"

/* The pages that KVM keeps for itself on VT-x (kvm_vm.c), and the reset vector's. */
#define TOP_RESERVED 0xfffbc000ull

int boot_read_at(int fd, void *buf, size_t len, uint64_t off)
{
	if (off > INT64_MAX - len)
		return -ENOEXEC;
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOEXEC;
		done += (size_t)n;
	}
	return 0;
}

int boot_load_initrd(struct guest_mem *mem, int fd, uint64_t kernel_end, uint64_t limit,
		     struct boot_range *out)
{
	const struct mem_region *low = mem_region(mem, 0);
	uint64_t end = low->size < limit ? low->size : limit, addr, size;
	struct stat st;
	void *dst;

	*out = (struct boot_range){ .size = 0 };
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_ret(-errno, "reading the initrd: %s; check the file", strerror(errno));
	if (st.st_size <= 0 || (uint64_t)st.st_size > end)
		return err_ret(-E2BIG,
			       "loading the initrd: %lld bytes do not fit; give the guest more "
			       "memory",
			       (long long)st.st_size);
	size = (uint64_t)st.st_size;
	addr = (end - size) & ~4095ull;
	dst = mem_ptr(mem, addr, size);
	if (addr < kernel_end || !dst)
		return err_ret(-E2BIG, "loading the initrd: it would lie over the kernel; give the "
				       "guest more memory");
	if (boot_read_at(fd, dst, size, 0) < 0)
		return err_ret(-EIO, "reading the initrd: it is shorter than its size says; check "
				     "the file");
	*out = (struct boot_range){ .addr = addr, .size = size };
	return 0;
}

int boot_write_cmdline(struct guest_mem *mem, const char *cmdline, size_t max)
{
	size_t len = strlen(cmdline);

	if (max > MAX_CMDLINE - 1)
		max = MAX_CMDLINE - 1;
	if (len > max)
		return err_ret(-E2BIG,
			       "the kernel's command line has %zu bytes: this kernel takes %zu at "
			       "most; shorten it",
			       len, max);
	return mem_write(mem, ADDR_CMDLINE, cmdline, len + 1);
}

static void boot_add_range(struct boot_info *info, uint64_t addr, uint64_t end, uint32_t type)
{
	info->map[info->n_map++] =
		(struct boot_range){ .addr = addr, .size = end - addr, .type = type };
}

static void boot_make_map(const struct guest_mem *mem, struct boot_info *info)
{
	const struct mem_region *low = mem_region(mem, 0), *high = mem_region(mem, 1);

	boot_add_range(info, 0, LOW_RAM_END, E820_RAM);
	boot_add_range(info, LOW_RAM_END, 0xa0000, E820_RESERVED);
	boot_add_range(info, ACPI_BASE, ACPI_BASE + ACPI_SIZE, E820_RESERVED);
	boot_add_range(info, 0x100000, low->size, E820_RAM);
	boot_add_range(info, PCI_ECAM_BASE, PCI_ECAM_BASE + PCI_ECAM_SIZE, E820_RESERVED);
	boot_add_range(info, TOP_RESERVED, 1ull << 32, E820_RESERVED);
	if (high)
		boot_add_range(info, high->gpa, high->gpa + high->size, E820_RAM);
}

int boot_load(struct guest_mem *mem, int kernel_fd, int initrd_fd, const char *cmdline, gpa_t rsdp,
	      struct boot_entry *out)
{
	struct boot_info info = { .cmdline = cmdline, .initrd_fd = initrd_fd, .rsdp = rsdp };
	struct boot_elf elf;
	char magic[4];
	int ret;

	boot_make_map(mem, &info);
	if (boot_read_at(kernel_fd, magic, sizeof(magic), 0) < 0 || memcmp(magic, "\177ELF", 4))
		return boot_linux_bz(mem, kernel_fd, &info, out);
	ret = boot_elf_load(mem, kernel_fd, &elf);
	if (ret < 0)
		return ret;
	return elf.has_pvh ? boot_pvh(mem, &elf, &info, out)
			   : boot_linux_elf(mem, &elf, &info, out);
}
