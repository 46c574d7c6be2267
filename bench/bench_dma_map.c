/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `bench dma-map`: memory of a size and kind, mapped for DMA and unmapped again, with the clock
 * running only there. What the machine has no room for is not tried. Called by cmd_bench.c.
 * Documentation/admin-guide/mm/{hugetlbpage,transhuge}.rst, proc(5).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "bench/bench_dma.h"
#include "core/paths.h"
#include "vfio/vfio.h"

#define PAGE       4096u
#define HUGE       (UINT64_C(2) << 20)
#define GIB        (UINT64_C(1) << 30)
#define HUGE_FLAGS (MAP_HUGETLB | 21 << MAP_HUGE_SHIFT)
#define CHUNK      (UINT64_C(64) << 20)  /* touched between two looks for a signal */
#define MARGIN     (UINT64_C(256) << 20) /* of memory that is left to the others */

/* --- what fits ------------------------------------------------------------ */
static uint64_t number_of(const char *file, const char *key)
{
	char line[128];
	uint64_t n = 0;
	FILE *f = fopen(file, "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key))) {
			n = strtoull(line + strlen(key), NULL, 10);
			break;
		}
	if (f)
		fclose(f);
	return n;
}

static uint64_t line_number(const char *sysfs, const char *file)
{
	char line[64];

	return paths_read_line(line, sizeof(line), "%s/kernel/mm/hugepages/hugepages-2048kB/%s",
			       sysfs, file) > 0
		       ? strtoull(line, NULL, 10)
		       : 0;
}

/* The hard limit is ours to use. */
static uint64_t lock_limit(const struct host_view *v)
{
	struct rlimit lim;

	if (vfio_locks_freely(v) || getrlimit(RLIMIT_MEMLOCK, &lim) < 0 ||
	    lim.rlim_max == RLIM_INFINITY)
		return UINT64_MAX;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &lim);
	return lim.rlim_max;
}

void dma_host_look(const struct host_view *v, struct dma_host *h)
{
	uint64_t n, reserved = line_number(v->sysfs, "resv_hugepages");
	char path[PATH_MAX], why[256], *cut;

	*h = (struct dma_host){ .lock_max = lock_limit(v) };
	snprintf(path, sizeof(path), "%s/meminfo", v->proc);
	h->available = number_of(path, "MemAvailable:") << 10;
	n = line_number(v->sysfs, "free_hugepages");
	h->huge_free = n > reserved ? (n - reserved) * HUGE : 0;
	if (!iommu_small_pages(v->sysfs, false, why, sizeof(why)))
		return;
	/* "... says never: 'echo ...'" */
	cut = strstr(why, ": '");
	snprintf(h->thp.mend, sizeof(h->thp.mend), "%s", cut ? cut + 2 : "another kernel");
	snprintf(h->thp.why, sizeof(h->thp.why), "%.*s", cut ? (int)(cut - why) : (int)strlen(why),
		 why);
}

bool dma_fits(const struct dma_host *h, uint64_t size, enum dma_pages pages, struct dma_lack *l)
{
	*l = (struct dma_lack){ 0 };
	if (pages == DMA_THP && h->thp.why[0]) {
		*l = h->thp;
	} else if (pages == DMA_2M && h->huge_free < size) {
		snprintf(l->why, sizeof(l->why),
			 "%" PRIu64 " huge pages of 2 MiB are free, %" PRIu64 " are needed",
			 h->huge_free / HUGE, size / HUGE);
		snprintf(l->mend, sizeof(l->mend), "'sysctl vm.nr_hugepages=%" PRIu64 "'",
			 size / HUGE);
	} else if (pages != DMA_2M && (h->available < MARGIN || h->available - MARGIN < size)) {
		snprintf(l->why, sizeof(l->why),
			 "%" PRIu64 " MiB of memory are available, %" PRIu64 " are needed",
			 h->available >> 20, (size + MARGIN) >> 20);
		snprintf(l->mend, sizeof(l->mend), "free some, or take a machine with more");
	} else if (h->lock_max < size) {
		snprintf(l->why, sizeof(l->why),
			 "RLIMIT_MEMLOCK allows %" PRIu64 " MiB of locked memory",
			 h->lock_max >> 20);
		snprintf(l->mend, sizeof(l->mend),
			 "'ulimit -l %" PRIu64 "' as root before, or be root", size >> 10);
	}
	return !l->why[0];
}

int dma_window(const struct iommu_range *valid, size_t n, uint64_t size, iova_t *iova)
{
	static const uint64_t align[] = { GIB, HUGE };

	*iova = 0;
	for (unsigned int a = 0; n && a < 2; a++)
		for (size_t i = 0; i < n; i++) {
			iova_t at = (valid[i].first + align[a] - 1) & ~(align[a] - 1);

			if (at >= valid[i].first && at <= valid[i].last &&
			    valid[i].last - at >= size - 1) {
				*iova = at;
				return 0;
			}
		}
	return n ? -ENOSPC : 0;
}

/* --- memory --------------------------------------------------------------- */
struct memory {
	void *base, *at; /* of the mapping; aligned to a huge page */
	size_t len;
};

static int memory_get(struct memory *m, uint64_t size, enum dma_pages pages)
{
	bool huge = pages == DMA_2M;

	m->len = huge ? size : size + HUGE;
	m->base = mmap(NULL, m->len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | (huge ? HUGE_FLAGS : MAP_NORESERVE), -1, 0);
	if (m->base == MAP_FAILED)
		return -errno;
	m->at = (void *)(((uintptr_t)m->base + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
	if (!huge && madvise(m->base, m->len, pages == DMA_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) &&
	    pages == DMA_THP)
		return -errno;
	return 0;
}

static void memory_drop(struct memory *m)
{
	if (m->base && m->base != MAP_FAILED)
		munmap(m->base, m->len);
	m->base = NULL;
}

/* -EINTR when a signal has come. */
static int memory_touch(const struct memory *m, uint64_t size, struct bench_signals *sig)
{
	volatile char *p = m->at;

	for (uint64_t i = 0; i < size; i += PAGE) {
		if (i % CHUNK == 0 && bench_pause(sig, 0) < 0)
			return -EINTR;
		p[i] = 1;
	}
	return 0;
}

/* --- one row -------------------------------------------------------------- */
static int row_failed(struct dma_row *r, const char *what, int err)
{
	r->failed = true;
	snprintf(r->lack.why, sizeof(r->lack.why), "%s: %s", what, strerror(-err));
	snprintf(r->lack.mend, sizeof(r->lack.mend), "%s",
		 err == -ENOMEM ? "free some memory; see 'ulimit -l'" : "see the kernel's log");
	return 0;
}

static int row_window(const struct dma_device *d, uint64_t size, iova_t *iova)
{
	struct iommu_range valid[64];
	int n = d->ops->ranges(&d->map, valid, 64);

	return n < 0 ? n : dma_window(valid, (size_t)n, size, iova);
}

/* How much of it the kernel put into huge pages. */
static double huge_part(const struct dma_row *r)
{
	if (r->pages != DMA_THP)
		return r->pages == DMA_2M;
	return (double)(number_of("/proc/self/smaps_rollup", "AnonHugePages:") << 10) /
	       (double)r->size;
}

static int row_run(const struct dma_device *d, struct dma_row *r, iova_t iova,
		   const struct memory *m, double *map_ns, double *unmap_ns)
{
	uint64_t start = bench_now_ns(), end;
	int ret = d->ops->map(&d->map, iova, r->size, m->at);

	end = bench_now_ns();
	if (ret < 0)
		return row_failed(r, "mapping", ret);
	*map_ns = (double)(end - start);
	r->huge_part = huge_part(r);
	start = bench_now_ns();
	ret = d->ops->unmap(&d->map, iova, r->size);
	*unmap_ns = (double)(bench_now_ns() - start);
	return ret < 0 ? row_failed(r, "unmapping", ret) : 0;
}

int dma_measure_row(const struct dma_device *d, struct dma_row *r, unsigned int runs,
		    struct bench_signals *sig)
{
	double map_ns[DMA_MAX_RUNS], unmap_ns[DMA_MAX_RUNS];
	struct memory m = { 0 };
	iova_t iova;
	int ret = row_window(d, r->size, &iova);

	if (ret < 0)
		return row_failed(r, "finding room in the IOMMU's addresses", ret);
	for (unsigned int i = 0; ret == 0 && !r->failed && i < runs; i++) {
		ret = bench_pause(sig, 0);
		/* pages stay after they were unmapped: what is not touched is new each time */
		if (ret == 0 && (!i || !r->touched)) {
			memory_drop(&m);
			if ((ret = memory_get(&m, r->size, r->pages)) < 0)
				ret = row_failed(r, "getting the memory", ret);
			else if (r->touched)
				ret = memory_touch(&m, r->size, sig);
		}
		if (ret == 0 && !r->failed)
			ret = row_run(d, r, iova, &m, &map_ns[i], &unmap_ns[i]);
	}
	memory_drop(&m);
	if (ret == 0 && !r->failed) {
		r->map_ns = bench_spread_of(map_ns, runs);
		r->unmap_ns = bench_spread_of(unmap_ns, runs);
	}
	return ret;
}
