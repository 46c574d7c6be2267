/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory: regions of a shared memfd or of memory of our own, and the one function that turns
 * a guest physical address into a pointer.
 *
 * Below the PCI hole (3 GiB) lies the first region, what is more goes above 4 GiB. Regions are
 * fixed after creation, so any thread may translate without a lock. Tests create one without KVM.
 */
#ifndef CORE_MEM_H
#define CORE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

typedef uint64_t gpa_t;

#define MEM_LOW_END    0xc0000000ull /* RAM below 4 GiB ends here at the latest */
#define MEM_HIGH_START 0x100000000ull

/* Sizes of huge pages that an administrator sets aside. */
#define MEM_PAGE_2M (2ull << 20)
#define MEM_PAGE_1G (1ull << 30)

struct guest_mem;

struct mem_region {
	gpa_t gpa;
	uint64_t size; /* bytes, a multiple of 4096 */
	void *hva;
	int fd; /* the memfd, owned by the guest_mem; -1: none (mem_conf's `alone`) */
	uint64_t fd_offset;
};

/*
 * mem_create - `size` bytes (rounded up to 2 MiB). -ENOMEM, -EINVAL (0 or above 1 TiB). Message
 * where it fails.
 */
int mem_create(uint64_t size, struct guest_mem **out);

struct mem_conf {
	uint64_t size;      /* as above; rounded up to whole pages */
	uint64_t page_size; /* MEM_PAGE_2M, MEM_PAGE_1G, or 0: the kernel's own pages, huge when it
			       can */
	bool alone; /* no other process is to map it: no memfd, but for huge pages set aside */
	const char *sysfs; /* where the pages are counted; NULL: MEM_SYSFS */
};
#define MEM_SYSFS "/sys/kernel/mm/hugepages"

/*
 * mem_create_conf - the same from pages of a certain size. Besides, -ENOMEM when fewer of them are
 * free than it takes (the message says how many, and how to get more), -EOPNOTSUPP when this kernel
 * has none of that size.
 */
int mem_create_conf(const struct mem_conf *conf, struct guest_mem **out);
/* mem_page_size - of the pages that the memory was made from; 0: the kernel's own. */
uint64_t mem_page_size(const struct guest_mem *m);
void mem_destroy(struct guest_mem *m); /* accepts NULL */

size_t mem_n_regions(const struct guest_mem *m);
const struct mem_region *mem_region(const struct guest_mem *m, size_t i);

/*
 * mem_ptr - the host address of guest bytes [gpa, gpa+len), or NULL unless all of them lie in one
 * region. len 0 is NULL. Nothing else in the project may compute such an address.
 */
void *mem_ptr(const struct guest_mem *m, gpa_t gpa, size_t len);

/*
 * mem_gpa - the way back: the guest physical address of host bytes [hva, hva+len), when all of them
 * lie in one region. 0 and *gpa, or -EFAULT (memory that is no guest memory).
 */
int mem_gpa(const struct guest_mem *m, const void *hva, size_t len, gpa_t *gpa);

/* mem_read / mem_write - copies; -EFAULT when mem_ptr() says no. */
int mem_read(const struct guest_mem *m, gpa_t gpa, void *dst, size_t len);
int mem_write(const struct guest_mem *m, gpa_t gpa, const void *src, size_t len);

/* --- mem_huge.c --- */
/* mem_huge_check - are `n` huge pages of that size to be had? As mem_create_conf(). */
int mem_huge_check(const char *sysfs, uint64_t page_size, uint64_t n);

/* --- mem_prefault.c --- */
/*
 * mem_prefault - every page of guest memory is there when it returns: no first touch costs the
 * guest an exit. Works with n_threads threads (0: one for each CPU that this process may use, 16 at
 * most). `progress` (NULL: none) is called on the calling thread several times a second with the
 * bytes done so far. Negative errno after a message: -ENOMEM when the host has not so much memory,
 * which is looked at before (meminfo: NULL for /proc/meminfo) because the kernel would kill
 * somebody for it.
 */
int mem_prefault(const struct guest_mem *m, unsigned int n_threads, const char *meminfo,
		 void (*progress)(void *opaque, uint64_t done), void *opaque);

#endif
