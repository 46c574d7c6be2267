/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory (see mem.h). Created by the monitor's start and by tests; used by everything that
 * follows an address given by a guest. What another process is to see is a shared memfd, what none
 * is to see anonymous memory. Pages are the kernel's, which is asked for huge ones (MADV_HUGEPAGE;
 * anonymous memory has them on most hosts, a memfd where shmem_enabled says so), or huge ones that
 * were set aside (MFD_HUGETLB): those are reserved here, so that a guest never dies for want of
 * one.
 */
#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"

#define MEM_ALIGN (2ull << 20)
#define MEM_MAX   (1ull << 40)

struct guest_mem {
	struct mem_region region[2];
	size_t n;
	uint64_t page_size;
};

/*
 * A guest's 2 MiB are ours, too, so that a huge page here is one for the guest: more is mapped than
 * wanted, and what is over at both ends is given back.
 */
static void *mem_map(const struct guest_mem *m, uint64_t size, int fd, uint64_t fd_offset)
{
	/* huge pages are few: what is mapped is reserved, or mmap() fails */
	int how = (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED) |
		  (m->page_size ? 0 : MAP_NORESERVE);
	char *room, *hva;

	if (m->page_size)
		return mmap(NULL, size, PROT_READ | PROT_WRITE, how, fd, (off_t)fd_offset);
	room = mmap(NULL, size + MEM_ALIGN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (room == MAP_FAILED)
		return room;
	hva = room + (-(uintptr_t)room & (MEM_ALIGN - 1));
	if (hva > room)
		munmap(room, (size_t)(hva - room));
	munmap(hva + size, (size_t)(room + MEM_ALIGN - hva));
	if (mmap(hva, size, PROT_READ | PROT_WRITE, how | MAP_FIXED, fd, (off_t)fd_offset) ==
	    MAP_FAILED) {
		munmap(hva, size);
		return MAP_FAILED;
	}
	return hva;
}

static int mem_add(struct guest_mem *m, gpa_t gpa, uint64_t size, int fd, uint64_t fd_offset)
{
	void *hva = mem_map(m, size, fd, fd_offset);

	if (hva == MAP_FAILED)
		return err_ret(-errno, "mapping %llu MiB of guest memory: %s; give the guest less",
			       (unsigned long long)(size >> 20), strerror(errno));
	if (!m->page_size)
		madvise(hva, size, MADV_HUGEPAGE);
	madvise(hva, size, MADV_DONTDUMP);
	m->region[m->n++] = (struct mem_region){
		.gpa = gpa, .size = size, .hva = hva, .fd = fd, .fd_offset = fd_offset
	};
	return 0;
}

/* A descriptor of `size` bytes that whoever gets it (a switch) cannot cut: we use the memory. */
static int mem_file(uint64_t size, uint64_t page_size)
{
	unsigned int huge = page_size == MEM_PAGE_1G   ? MFD_HUGETLB | MFD_HUGE_1GB
			    : page_size == MEM_PAGE_2M ? MFD_HUGETLB | MFD_HUGE_2MB
						       : 0;
	int fd = memfd_create("fourlane-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING | huge), ret;

	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	ret = err_ret(-errno, "making %llu MiB of guest memory: %s; give the guest less",
		      (unsigned long long)(size >> 20), strerror(errno));
	if (fd >= 0)
		close(fd);
	return ret;
}

int mem_create_conf(const struct mem_conf *conf, struct guest_mem **out)
{
	uint64_t align = conf->page_size ? conf->page_size : MEM_ALIGN, size = conf->size, low;
	bool file = !conf->alone || conf->page_size;
	struct guest_mem *m;
	int fd, ret = 0;

	if (!size || size > MEM_MAX)
		return err_ret(-EINVAL,
			       "guest memory of %llu bytes: not between 1 byte and 1 TiB; give "
			       "another size",
			       (unsigned long long)size);
	size = (size + align - 1) & ~(align - 1);
	if (conf->page_size)
		ret = mem_huge_check(conf->sysfs ? conf->sysfs : MEM_SYSFS, conf->page_size,
				     size / conf->page_size);
	if (ret < 0)
		return ret;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->page_size = conf->page_size;
	fd = file ? mem_file(size, conf->page_size) : -1;
	low = size < MEM_LOW_END ? size : MEM_LOW_END;
	ret = file && fd < 0 ? fd : mem_add(m, 0, low, fd, 0);
	if (ret == 0 && size > low)
		ret = mem_add(m, MEM_HIGH_START, size - low, fd, low);
	if (ret < 0) {
		if (!m->n && fd >= 0)
			close(fd);
		mem_destroy(m);
		return ret;
	}
	*out = m;
	return 0;
}

int mem_create(uint64_t size, struct guest_mem **out)
{
	const struct mem_conf conf = { .size = size };

	return mem_create_conf(&conf, out);
}

uint64_t mem_page_size(const struct guest_mem *m)
{
	return m->page_size;
}

void mem_destroy(struct guest_mem *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		munmap(m->region[i].hva, m->region[i].size);
	if (m->n && m->region[0].fd >= 0)
		close(m->region[0].fd);
	free(m);
}

size_t mem_n_regions(const struct guest_mem *m)
{
	return m->n;
}

const struct mem_region *mem_region(const struct guest_mem *m, size_t i)
{
	return i < m->n ? &m->region[i] : NULL;
}

void *mem_ptr(const struct guest_mem *m, gpa_t gpa, size_t len)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mem_region *r = &m->region[i];
		uint64_t off =
			gpa - r->gpa; /* wraps below the region: then it is beyond the size */

		if (off < r->size && len && len <= r->size - off)
			return (char *)r->hva + off;
	}
	return NULL;
}

int mem_gpa(const struct guest_mem *m, const void *hva, size_t len, gpa_t *gpa)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mem_region *r = &m->region[i];
		uint64_t off = (uint64_t)((const char *)hva - (const char *)r->hva);

		if (len && off < r->size && len <= r->size - off) {
			*gpa = r->gpa + off;
			return 0;
		}
	}
	return -EFAULT;
}

int mem_read(const struct guest_mem *m, gpa_t gpa, void *dst, size_t len)
{
	const void *p = mem_ptr(m, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(dst, p, len);
	return 0;
}

int mem_write(const struct guest_mem *m, gpa_t gpa, const void *src, size_t len)
{
	void *p = mem_ptr(m, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(p, src, len);
	return 0;
}
