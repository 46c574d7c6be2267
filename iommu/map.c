/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory made reachable for a device: every region is mapped at its guest physical address,
 * except where the IOMMU has a reserved window. Called by a passed-through device before bus
 * mastering can be on; one mapping serves all devices of a guest. Which kernel interface does it is
 * behind struct iommu_map_ops. Everything is mapped for the guest's whole life: no vIOMMU, no
 * ballooning.
 */
#include "iommu/iommu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"

#define RANGES_MAX 256
#define PARTS_MAX  64

struct iommu_map {
	const struct iommu_map_ops *ops;
	struct iommu_map_fd to;
	struct iommu_range part[PARTS_MAX]; /* what is mapped */
	unsigned int n_parts;
	uint64_t bytes, us;
};

static uint64_t map_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t map_mib(uint64_t bytes)
{
	return (bytes + (1 << 20) - 1) >> 20;
}

static uint64_t map_mem_size(const struct guest_mem *mem)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < mem_n_regions(mem); i++)
		sum += mem_region(mem, i)->size;
	return sum;
}

/* The kernel answers ENOMEM (type1) or EPERM when the limit of locked memory is reached. */
static int map_fail(const struct iommu_map *m, int err, struct iommu_range r, uint64_t need)
{
	bool by_account = m->ops == &iommu_map_iommufd;
	struct rlimit lim = { 0 };

	if (err == -EEXIST)
		return err_ret(
			err,
			"mapping guest memory 0x%" PRIx64 "-0x%" PRIx64
			" for DMA: something is mapped there already; hand in a container of "
			"its own for each guest",
			r.first, r.last);
	if (err != -ENOMEM && err != -EPERM)
		return err_ret(err,
			       "mapping guest memory 0x%" PRIx64 "-0x%" PRIx64
			       " for DMA: %s; see the kernel's log",
			       r.first, r.last, strerror(-err));
	getrlimit(RLIMIT_MEMLOCK, &lim);
	if (lim.rlim_cur == RLIM_INFINITY)
		return err_ret(err,
			       "mapping guest memory 0x%" PRIx64 "-0x%" PRIx64
			       " for DMA: %s though RLIMIT_MEMLOCK is unlimited; "
			       "free memory or give the guest less than %" PRIu64 " MiB",
			       r.first, r.last, strerror(-err), map_mib(need));
	return err_ret(err,
		       "mapping guest memory for DMA: %s: RLIMIT_MEMLOCK is %" PRIu64
		       " KiB and %" PRIu64 " MiB must be locked%s; raise it ('ulimit -l %" PRIu64
		       "', LimitMEMLOCK=%" PRIu64
		       "K in a systemd unit, or memlock in limits.conf) or run as root",
		       strerror(-err), (uint64_t)lim.rlim_cur >> 10, map_mib(need),
		       by_account ? " beside what other processes of the account have" : "",
		       (need + 1023) / 1024, (need + 1023) / 1024);
}

static int map_part(struct iommu_map *m, const struct mem_region *r, struct iommu_range part,
		    uint64_t need)
{
	uint64_t size = part.last - part.first + 1;
	int ret;

	if (m->n_parts == PARTS_MAX)
		return err_ret(-ENOSPC,
			       "mapping guest memory for DMA: more than %d pieces; give the guest "
			       "less memory",
			       PARTS_MAX);
	ret = m->ops->map(&m->to, part.first, size, (char *)r->hva + (part.first - r->gpa));
	if (ret < 0)
		return map_fail(m, ret, part, need);
	m->part[m->n_parts++] = part;
	m->bytes += size;
	return 0;
}

static int map_region(struct iommu_map *m, const struct mem_region *r,
		      const struct iommu_range *valid, size_t n_valid, uint64_t need)
{
	struct iommu_range part[PARTS_MAX];
	uint64_t before = m->bytes;
	int n = iommu_ranges_clip(valid, n_valid, r->gpa, r->gpa + r->size - 1, part, PARTS_MAX);

	if (n < 0)
		return err_ret(n,
			       "mapping guest memory for DMA: the kernel's list of valid ranges: "
			       "%s; report this",
			       strerror(-n));
	for (int i = 0; i < n; i++) {
		int ret = map_part(m, r, part[i], need);

		if (ret < 0)
			return ret;
	}
	if (m->bytes - before < r->size)
		err_say("mapping guest memory for DMA: %" PRIu64 " KiB of RAM in 0x%" PRIx64
			"-0x%" PRIx64 " lie in windows that the IOMMU reserves; devices cannot "
			"reach them, a guest with less memory avoids it",
			(r->size - (m->bytes - before)) >> 10, r->gpa, r->gpa + r->size - 1);
	return 0;
}

int iommu_map_create(const struct iommu_map_ops *ops, const struct iommu_map_fd *f,
		     const struct guest_mem *mem, struct iommu_map **out)
{
	struct iommu_range valid[RANGES_MAX];
	struct iommu_map *m = calloc(1, sizeof(*m));
	uint64_t start = map_now_us(), need = map_mem_size(mem);
	int n, ret = 0;

	if (!m) {
		close(f->fd);
		return err_ret(-ENOMEM, "mapping guest memory for DMA: out of memory; free some");
	}
	m->ops = ops;
	m->to = *f;
	n = ops->ranges(f, valid, RANGES_MAX);
	if (n < 0)
		ret = err_ret(
			n, "asking the IOMMU (%s) for its valid ranges: %s; see the kernel's log",
			ops->name, strerror(-n));
	for (size_t i = 0; ret == 0 && i < mem_n_regions(mem); i++)
		ret = map_region(m, mem_region(mem, i), valid, (size_t)n, need);
	if (ret < 0) {
		iommu_map_destroy(m);
		return ret;
	}
	m->us = map_now_us() - start;
	*out = m;
	return 0;
}

void iommu_map_destroy(struct iommu_map *m)
{
	if (!m)
		return;
	while (m->n_parts) {
		struct iommu_range r = m->part[--m->n_parts];
		int ret = m->ops->unmap(&m->to, r.first, r.last - r.first + 1);

		if (ret < 0)
			err_say("unmapping guest memory 0x%" PRIx64 "-0x%" PRIx64
				": %s; the kernel drops it when the monitor ends",
				r.first, r.last, strerror(-ret));
	}
	close(m->to.fd);
	free(m);
}

uint64_t iommu_map_bytes(const struct iommu_map *m)
{
	return m->bytes;
}

uint64_t iommu_map_us(const struct iommu_map *m)
{
	return m->us;
}
