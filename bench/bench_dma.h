/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane bench dma-map` in pieces: the words and the course (cmd_bench.c), which functions can
 * be used and how they are opened (bench_dma_open.c), what fits and what it takes
 * (bench_dma_map.c), and what is told (bench_dma_report.c). Only bench/ includes this.
 */
#ifndef BENCH_BENCH_DMA_H
#define BENCH_BENCH_DMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/bench.h"
#include "core/host.h"
#include "iommu/iommu.h"

#define DMA_MAX_SIZES 8
#define DMA_MAX_RUNS  50
#define DMA_MAX_ROWS  (DMA_MAX_SIZES * DMA_N_PAGES * 2 * DMA_N_BY)

enum dma_pages { DMA_4K, DMA_THP, DMA_2M, DMA_N_PAGES };
enum dma_by { DMA_TYPE1, DMA_IOMMUFD, DMA_N_BY };
extern const char *const dma_pages_name[DMA_N_PAGES], *const dma_by_name[DMA_N_BY];

struct dma_options {
	char device[IOMMU_BDF_SIZE]; /* "": any that is free */
	uint64_t size[DMA_MAX_SIZES];
	unsigned int n_sizes, runs;
	bool json;
};

/* What could not be done, and what would mend it. */
struct dma_lack {
	char why[256], mend[256]; /* why "": nothing is lacking */
};

/* --- opening (bench_dma_open.c) ------------------------------------------- */
/* A function whose IOMMU is used, by one of the ways. */
struct dma_device {
	const struct iommu_map_ops *ops;
	struct iommu_map_fd map;
	int group, device; /* or -1 */
};

/*
 * dma_device_find - a function that is bound to vfio-pci, in a group that may be used, and that no
 * process has open. 0, or -ENODEV and what is lacking.
 */
int dma_device_find(const struct host_view *v, char bdf[IOMMU_BDF_SIZE], struct dma_lack *l);
/* dma_device_check - may this one be used? 0, or negative errno and what is lacking. */
int dma_device_check(const struct host_view *v, const char *bdf, struct dma_lack *l);
/*
 * dma_device_open - attaches the function's IOMMU to a new container or address space, so that
 * what is mapped there is mapped in the IOMMU. 0, or negative errno and what is lacking.
 * dma_device_close - all of it goes, with what is mapped. Accepts one that was not opened.
 */
int dma_device_open(const struct host_view *v, const char *bdf, enum dma_by by,
		    struct dma_device *d, struct dma_lack *l);
void dma_device_close(struct dma_device *d);

/* --- what fits (bench_dma_map.c) ------------------------------------------ */
struct dma_host {
	uint64_t available; /* bytes of memory that can be had */
	uint64_t huge_free; /* bytes in huge pages of 2 MiB that nobody has */
	uint64_t lock_max;  /* bytes that we may lock, UINT64_MAX: no limit */
	struct dma_lack thp;
};

void dma_host_look(const struct host_view *v, struct dma_host *h);
/* dma_fits - memory of that size and kind can be had and locked; else what is lacking. */
bool dma_fits(const struct dma_host *h, uint64_t size, enum dma_pages pages, struct dma_lack *l);
/* dma_window - the lowest address, aligned to 1 GiB or else 2 MiB, at which size bytes lie in one
 * of the ranges (n == 0: no limits). 0, or -ENOSPC. */
int dma_window(const struct iommu_range *valid, size_t n, uint64_t size, iova_t *iova);

/* --- rows ----------------------------------------------------------------- */
struct dma_row {
	uint64_t size;
	enum dma_pages pages;
	enum dma_by by;
	bool touched; /* written before it is mapped: the kernel has not to find and clear it */
	struct dma_lack lack; /* it was skipped, or failed */
	bool failed;
	struct bench_spread map_ns, unmap_ns;
	double huge_part; /* of it was in huge pages, 0 to 1 */
};

struct dma_table {
	const struct dma_options *o;
	char device[IOMMU_BDF_SIZE];
	int group;
	struct dma_row row[DMA_MAX_ROWS];
	unsigned int n_rows;
};

/* dma_plan - the rows: by way, size, kind of pages, not touched and touched. */
void dma_plan(struct dma_table *t);
/*
 * dma_measure_row - all runs of a row by an open device. 0; -EINTR as soon as a signal has come;
 * what else fails is in the row.
 */
int dma_measure_row(const struct dma_device *d, struct dma_row *r, unsigned int runs,
		    struct bench_signals *sig);

/* --- what is told (bench_dma_report.c) ------------------------------------ */
void dma_report(const struct dma_table *t, FILE *to);
/* dma_document - as bench/schema_dma_map.json says; a new reference. */
json_t *dma_document(const struct dma_table *t);
/* dma_size_text - "64 MiB", "16 GiB". */
void dma_size_text(uint64_t size, char *buf, size_t n);

#endif
