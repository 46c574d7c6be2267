/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PVH loader (see boot.h): ELF segments, hvm_start_info, memory map, one module. ELF-64 object
 * file format 1.5; Xen docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h version 1. No
 * decompression: a bzImage is not for this loader.
 */
#include "core/boot.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"

#define XEN_PHYS32_ENTRY 18
#define START_MAGIC      0x336ec578
#define E820_RAM         1
#define MAX_PHDRS        64
#define MAX_NOTES_BYTES  65536

/* Where the boot information lies: below 640 KiB, above the real-mode leftovers. */
#define ADDR_START_INFO 0x6000
#define ADDR_MEMMAP     0x7000
#define ADDR_MODULES    0x8000
#define ADDR_CMDLINE    0x9000
#define MAX_CMDLINE     0x8000
#define LOW_RAM_END     0x9fc00

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

/* One loadable segment or note, of either ELF class. */
struct segment {
	uint32_t type;
	uint64_t offset, paddr, filesz, memsz;
};

static int read_at(int fd, void *buf, size_t len, uint64_t off)
{
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

static int elf_headers(int fd, struct segment *seg, unsigned int *n)
{
	union {
		Elf64_Ehdr e64;
		Elf32_Ehdr e32;
	} h;
	union {
		Elf64_Phdr p64;
		Elf32_Phdr p32;
	} p;
	bool is64;
	uint64_t phoff;
	unsigned int phnum, phentsize, want;

	if (read_at(fd, &h, sizeof(h), 0) < 0 || memcmp(h.e64.e_ident, ELFMAG, SELFMAG))
		return -ENOEXEC;
	is64 = h.e64.e_ident[EI_CLASS] == ELFCLASS64;
	phoff = is64 ? h.e64.e_phoff : h.e32.e_phoff;
	phnum = is64 ? h.e64.e_phnum : h.e32.e_phnum;
	phentsize = is64 ? h.e64.e_phentsize : h.e32.e_phentsize;
	want = is64 ? sizeof(p.p64) : sizeof(p.p32);
	if (phentsize != want || !phnum || phnum > MAX_PHDRS || phoff > UINT32_MAX)
		return -ENOEXEC;
	for (unsigned int i = 0; i < phnum; i++) {
		if (read_at(fd, &p, want, phoff + i * phentsize) < 0)
			return -ENOEXEC;
		seg[i] = is64 ? (struct segment){ p.p64.p_type, p.p64.p_offset, p.p64.p_paddr,
						  p.p64.p_filesz, p.p64.p_memsz }
			      : (struct segment){ p.p32.p_type, p.p32.p_offset, p.p32.p_paddr,
						  p.p32.p_filesz, p.p32.p_memsz };
	}
	*n = phnum;
	return 0;
}

static int load_segment(struct guest_mem *mem, int fd, const struct segment *s)
{
	char *dst;

	if (!s->memsz)
		return 0;
	dst = mem_ptr(mem, s->paddr, s->memsz);
	if (!dst || s->filesz > s->memsz || s->offset > INT64_MAX - s->filesz)
		return -E2BIG;
	memset(dst + s->filesz, 0, s->memsz - s->filesz);
	return s->filesz ? read_at(fd, dst, s->filesz, s->offset) : 0;
}

/* Looks through one note segment for the entry address. Gives 1 when found. */
static int find_entry(int fd, const struct segment *s, uint32_t *entry)
{
	static const size_t hdr = sizeof(Elf64_Nhdr); /* the same in both classes */
	uint8_t buf[MAX_NOTES_BYTES];
	size_t len = s->filesz < sizeof(buf) ? s->filesz : sizeof(buf), off = 0;

	if (read_at(fd, buf, len, s->offset) < 0)
		return 0;
	while (len - off >= hdr) {
		Elf64_Nhdr n;
		size_t name_at = off + hdr, desc_at;

		memcpy(&n, buf + off, hdr);
		if (n.n_namesz > len || n.n_descsz > len)
			return 0;
		desc_at = name_at + ((n.n_namesz + 3u) & ~3u);
		if (desc_at > len || n.n_descsz > len - desc_at)
			return 0;
		if (n.n_type == XEN_PHYS32_ENTRY && n.n_namesz == 4 &&
		    !memcmp(buf + name_at, "Xen", 4) && n.n_descsz >= 4) {
			memcpy(entry, buf + desc_at, 4);
			return 1;
		}
		off = desc_at + ((n.n_descsz + 3u) & ~3u);
		if (off > len)
			return 0;
	}
	return 0;
}

static int load_kernel(struct guest_mem *mem, int fd, uint32_t *entry, uint64_t *end)
{
	struct segment seg[MAX_PHDRS];
	unsigned int n;
	bool found = false;
	int ret = elf_headers(fd, seg, &n);

	if (ret < 0)
		return err_ret(ret, "loading the kernel: no ELF image; give an uncompressed "
				    "vmlinux with a PVH entry");
	for (unsigned int i = 0; i < n; i++) {
		if (seg[i].type == PT_NOTE && !found)
			found = find_entry(fd, &seg[i], entry) == 1;
		if (seg[i].type != PT_LOAD)
			continue;
		ret = load_segment(mem, fd, &seg[i]);
		if (ret < 0)
			return err_ret(ret,
				       "loading the kernel: its segment at %#llx (%llu bytes) does "
				       "not fit or cannot be read; "
				       "give the guest more memory or another file",
				       (unsigned long long)seg[i].paddr,
				       (unsigned long long)seg[i].memsz);
		if (seg[i].paddr + seg[i].memsz > *end)
			*end = seg[i].paddr + seg[i].memsz;
	}
	if (!found)
		return err_ret(-ENOEXEC, "loading the kernel: it has no PVH entry "
					 "(XEN_ELFNOTE_PHYS32_ENTRY); build it with CONFIG_PVH");
	return 0;
}

static int load_initrd(struct guest_mem *mem, int fd, uint64_t kernel_end, struct module_entry *m)
{
	const struct mem_region *low = mem_region(mem, 0);
	struct stat st;
	uint64_t addr;
	void *dst;

	if (fstat(fd, &st) < 0)
		return err_ret(-errno, "reading the initrd: %s; check the file", strerror(errno));
	if (st.st_size <= 0 || (uint64_t)st.st_size > low->size)
		return err_ret(
			-E2BIG,
			"loading the initrd: %lld bytes do not fit; give the guest more memory",
			(long long)st.st_size);
	addr = (low->size - (uint64_t)st.st_size) & ~4095ull;
	dst = mem_ptr(mem, addr, (size_t)st.st_size);
	if (addr < kernel_end || !dst)
		return err_ret(-E2BIG, "loading the initrd: it would lie over the kernel; give the "
				       "guest more memory");
	if (read_at(fd, dst, (size_t)st.st_size, 0) < 0)
		return err_ret(
			-EIO,
			"reading the initrd: it is shorter than its size says; check the file");
	*m = (struct module_entry){ .addr = addr, .size = (uint64_t)st.st_size };
	return 0;
}

static unsigned int make_memmap(const struct guest_mem *mem, struct memmap_entry *e)
{
	const struct mem_region *low = mem_region(mem, 0);
	unsigned int n = 0;

	e[n++] = (struct memmap_entry){ .addr = 0, .size = LOW_RAM_END, .type = E820_RAM };
	e[n++] = (struct memmap_entry){ .addr = 0x100000,
					.size = low->size - 0x100000,
					.type = E820_RAM };
	for (size_t i = 1; i < mem_n_regions(mem); i++)
		e[n++] = (struct memmap_entry){ .addr = mem_region(mem, i)->gpa,
						.size = mem_region(mem, i)->size,
						.type = E820_RAM };
	return n;
}

int boot_pvh_load(struct guest_mem *mem, int kernel_fd, int initrd_fd, const char *cmdline,
		  struct boot_entry *out)
{
	struct start_info si = {
		.magic = START_MAGIC, .version = 1, .cmdline = ADDR_CMDLINE, .memmap = ADDR_MEMMAP
	};
	struct memmap_entry map[4];
	struct module_entry initrd;
	uint64_t end = 0;
	int ret;

	if (strlen(cmdline) >= MAX_CMDLINE)
		return err_ret(
			-E2BIG,
			"the kernel's command line has %zu bytes: at most %d fit; shorten it",
			strlen(cmdline), MAX_CMDLINE - 1);
	ret = load_kernel(mem, kernel_fd, &out->eip, &end);
	if (ret == 0 && initrd_fd >= 0) {
		ret = load_initrd(mem, initrd_fd, end, &initrd);
		si.nr_modules = 1;
		si.modlist = ADDR_MODULES;
		if (ret == 0)
			ret = mem_write(mem, ADDR_MODULES, &initrd, sizeof(initrd));
	}
	if (ret < 0)
		return ret;
	si.memmap_entries = make_memmap(mem, map);
	out->start_info = ADDR_START_INFO;
	if (mem_write(mem, ADDR_MEMMAP, map, si.memmap_entries * sizeof(map[0])) < 0 ||
	    mem_write(mem, ADDR_CMDLINE, cmdline, strlen(cmdline) + 1) < 0 ||
	    mem_write(mem, ADDR_START_INFO, &si, sizeof(si)) < 0)
		return -EFAULT;
	return 0;
}
