/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF kernels (see boot_priv.h): segments into guest memory, and where to enter. ELF-64 object file
 * format 1.5; the note of Xen's public/elfnote.h. No relocation, no decompression.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "core/boot_priv.h"
#include "core/err.h"

#define XEN_PHYS32_ENTRY 18
#define MAX_PHDRS        64
#define MAX_NOTES_BYTES  65536

/* One loadable segment or note, of either ELF class. */
struct segment {
	uint32_t type;
	uint64_t offset, paddr, filesz, memsz;
};

static int elf_headers(int fd, struct segment *seg, unsigned int *n, struct boot_elf *out)
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

	if (boot_read_at(fd, &h, sizeof(h), 0) < 0 || memcmp(h.e64.e_ident, ELFMAG, SELFMAG))
		return -ENOEXEC;
	is64 = h.e64.e_ident[EI_CLASS] == ELFCLASS64;
	phoff = is64 ? h.e64.e_phoff : h.e32.e_phoff;
	phnum = is64 ? h.e64.e_phnum : h.e32.e_phnum;
	phentsize = is64 ? h.e64.e_phentsize : h.e32.e_phentsize;
	want = is64 ? sizeof(p.p64) : sizeof(p.p32);
	if (phentsize != want || !phnum || phnum > MAX_PHDRS || phoff > UINT32_MAX)
		return -ENOEXEC;
	for (unsigned int i = 0; i < phnum; i++) {
		if (boot_read_at(fd, &p, want, phoff + i * phentsize) < 0)
			return -ENOEXEC;
		seg[i] = is64 ? (struct segment){ p.p64.p_type, p.p64.p_offset, p.p64.p_paddr,
						  p.p64.p_filesz, p.p64.p_memsz }
			      : (struct segment){ p.p32.p_type, p.p32.p_offset, p.p32.p_paddr,
						  p.p32.p_filesz, p.p32.p_memsz };
	}
	out->is_x86_64 = is64 && h.e64.e_machine == EM_X86_64;
	out->entry = is64 ? h.e64.e_entry : h.e32.e_entry;
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
	return s->filesz ? boot_read_at(fd, dst, s->filesz, s->offset) : 0;
}

/* Looks through one note segment for the entry address. Gives 1 when found. */
static int find_entry(int fd, const struct segment *s, uint32_t *entry)
{
	static const size_t hdr = sizeof(Elf64_Nhdr); /* the same in both classes */
	uint8_t buf[MAX_NOTES_BYTES];
	size_t len = s->filesz < sizeof(buf) ? s->filesz : sizeof(buf), off = 0;

	if (boot_read_at(fd, buf, len, s->offset) < 0)
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

int boot_elf_load(struct guest_mem *mem, int fd, struct boot_elf *out)
{
	struct segment seg[MAX_PHDRS];
	unsigned int n;
	int ret;

	*out = (struct boot_elf){ .has_pvh = false };
	ret = elf_headers(fd, seg, &n, out);
	if (ret < 0)
		return err_ret(ret, "loading the kernel: its ELF header makes no sense; give a "
				    "bzImage, or an uncompressed vmlinux");
	for (unsigned int i = 0; i < n; i++) {
		if (seg[i].type == PT_NOTE && !out->has_pvh)
			out->has_pvh = find_entry(fd, &seg[i], &out->pvh_entry) == 1;
		if (seg[i].type != PT_LOAD)
			continue;
		ret = load_segment(mem, fd, &seg[i]);
		if (ret < 0)
			return err_ret(ret,
				       "loading the kernel: its segment at %#llx (%llu bytes) does "
				       "not fit or cannot be read; give the guest more memory or "
				       "another file",
				       (unsigned long long)seg[i].paddr,
				       (unsigned long long)seg[i].memsz);
		if (seg[i].paddr + seg[i].memsz > out->end)
			out->end = seg[i].paddr + seg[i].memsz;
	}
	return 0;
}
