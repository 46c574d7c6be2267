/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory that a front-end shares (SET_MEM_TABLE): every region is checked against its file and
 * against the others, then mapped. For vhost_conn.c. "Memory region description" of
 * docs/interop/vhost-user.rst, QEMU 11. Files must be of memory (tmpfs, memfd, hugetlbfs): a page
 * of a FUSE file would make a worker wait for whoever serves it.
 */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "vhost_priv.h"

/* Of one connection: the switch has 128 TiB of addresses for all. */
#define MEM_MAX_BYTES (UINT64_C(4) << 40)

/* The sum of two sizes or addresses; false when it does not fit. */
static bool mem_add(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

static const char *mem_region_wrong(const struct vhost_user_region *r)
{
	uint64_t sum;

	if (!r->memory_size)
		return "a region of size 0";
	if (!mem_add(r->guest_phys_addr, r->memory_size, &sum) ||
	    !mem_add(r->userspace_addr, r->memory_size, &sum))
		return "a region that passes the end of the address space";
	if (!mem_add(r->mmap_offset, r->memory_size, &sum) || sum > INT64_MAX)
		return "a region whose offset and size overflow";
	return NULL;
}

static bool mem_apart(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a + a_size <= b || b + b_size <= a; /* neither overflows: checked before */
}

static const char *mem_table_wrong(const struct vhost_user_memory *t)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < t->n_regions; i++) {
		const struct vhost_user_region *r = &t->region[i];
		const char *why = mem_region_wrong(r);

		if (why)
			return why;
		if (!mem_add(sum, r->memory_size, &sum) || sum > MEM_MAX_BYTES)
			return "more than 4 TiB of memory";
		for (unsigned int k = 0; k < i; k++) {
			const struct vhost_user_region *o = &t->region[k];

			if (!mem_apart(r->guest_phys_addr, r->memory_size, o->guest_phys_addr,
				       o->memory_size))
				return "regions that overlap in guest memory";
			if (!mem_apart(r->userspace_addr, r->memory_size, o->userspace_addr,
				       o->memory_size))
				return "regions that overlap in the front-end's addresses";
		}
	}
	return NULL;
}

/* A file of memory that is long enough. Gives its page size. */
static int mem_check_file(int fd, uint64_t end, uint64_t *page, const char **why)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 || !S_ISREG(st.st_mode) ||
	    ((unsigned long)fs.f_type != TMPFS_MAGIC &&
	     (unsigned long)fs.f_type != HUGETLBFS_MAGIC)) {
		*why = "a region whose file is no memory (memfd, tmpfs or hugetlbfs)";
		return -EINVAL;
	}
	*page = (unsigned long)fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)st.st_blksize : 4096;
	if ((uint64_t)st.st_size < end || !*page || (*page & (*page - 1))) {
		*why = "a region that is longer than its file";
		return -EINVAL;
	}
	return 0;
}

/*
 * The offset need not be a multiple of the page, so the mapping begins at the page before it. Both
 * ends are rounded to the file's pages: huge ones refuse anything else, also when unmapped.
 */
static int mem_map_one(const struct vhost_user_region *r, int fd, int sock,
		       struct vhost_mem_region *out, const char **why)
{
	uint64_t end = r->mmap_offset + r->memory_size, page, from;
	int ret = mem_check_file(fd, end, &page, why);

	if (ret < 0)
		return ret;
	from = r->mmap_offset & ~(page - 1);
	*out = (struct vhost_mem_region){
		.gpa = r->guest_phys_addr,
		.size = r->memory_size,
		.user_addr = r->userspace_addr,
		.map_size = ((end + page - 1) & ~(page - 1)) - from,
	};
	out->map = mmap(NULL, out->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)from);
	if (out->map == MAP_FAILED) {
		*why = "a region that cannot be mapped";
		return -errno;
	}
	out->host = (uint8_t *)out->map + (r->mmap_offset - from);
	madvise(out->map, out->map_size, MADV_DONTDUMP); /* a guest's memory is in no core file */
	ret = vhost_sigbus_add(out->map, out->map_size, sock);
	if (ret < 0) {
		*why = "more regions than the switch has room for";
		munmap(out->map, out->map_size);
	}
	return ret;
}

static void mem_sort(struct vhost_mem *m)
{
	for (unsigned int i = 1; i < m->n; i++)
		for (unsigned int k = i; k > 0 && m->region[k].gpa < m->region[k - 1].gpa; k--) {
			struct vhost_mem_region t = m->region[k];

			m->region[k] = m->region[k - 1];
			m->region[k - 1] = t;
		}
}

int vhost_mem_map(const struct vhost_user_memory *table, const int *fds, int sock,
		  struct vhost_mem *out, const char **why)
{
	int ret;

	*out = (struct vhost_mem){ 0 };
	*why = mem_table_wrong(table);
	if (*why)
		return -EINVAL;
	for (unsigned int i = 0; i < table->n_regions; i++) {
		ret = mem_map_one(&table->region[i], fds[i], sock, &out->region[i], why);
		if (ret < 0) {
			vhost_mem_unmap(out);
			return ret;
		}
		out->n = i + 1;
	}
	mem_sort(out);
	return 0;
}

void vhost_mem_unmap(struct vhost_mem *m)
{
	for (unsigned int i = 0; i < m->n; i++) {
		vhost_sigbus_remove(m->region[i].map);
		munmap(m->region[i].map, m->region[i].map_size);
	}
	m->n = 0;
}

void *vhost_mem_user(const struct vhost_mem *m, uint64_t user, uint64_t len)
{
	for (unsigned int i = 0; i < m->n; i++) {
		const struct vhost_mem_region *r = &m->region[i];
		uint64_t off = user - r->user_addr;

		if (off < r->size && len <= r->size - off)
			return r->host + off;
	}
	return NULL;
}
