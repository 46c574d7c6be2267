/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arithmetic of I/O virtual address ranges: which parts of guest memory lie where the IOMMU can
 * translate. Called by map.c; pure functions without a kernel behind them.
 */
#include "iommu/iommu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096ull

static int range_cmp(const void *a, const void *b)
{
	const struct iommu_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* One range cut to [first, last] and to whole pages; false when nothing is left. */
static bool range_cut(struct iommu_range r, iova_t first, iova_t last, struct iommu_range *out)
{
	iova_t a = r.first > first ? r.first : first, b = r.last < last ? r.last : last;

	if (a > b)
		return false;
	if (a & (PAGE - 1)) {
		if ((a | (PAGE - 1)) == ~0ull)
			return false;
		a = (a | (PAGE - 1)) + 1;
	}
	if ((b & (PAGE - 1)) != PAGE - 1) {
		if (b < PAGE)
			return false;
		b = (b & ~(PAGE - 1)) - 1;
	}
	*out = (struct iommu_range){ a, b };
	return a < b;
}

int iommu_ranges_clip(const struct iommu_range *valid, size_t n, iova_t first, iova_t last,
		      struct iommu_range *out, size_t max)
{
	struct iommu_range all = { 0, ~0ull }, *sorted;
	size_t n_out = 0;
	int ret = -EINVAL;

	if (!n) {
		valid = &all;
		n = 1;
	}
	sorted = malloc(n * sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, valid, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), range_cmp);
	for (size_t i = 0; i < n; i++) {
		struct iommu_range r;

		if (sorted[i].last < sorted[i].first ||
		    (i && sorted[i].first <= sorted[i - 1].last))
			goto out;
		if (!range_cut(sorted[i], first, last, &r))
			continue;
		if (n_out == max) {
			ret = -ENOSPC;
			goto out;
		}
		out[n_out++] = r;
	}
	ret = (int)n_out;
out:
	free(sorted);
	return ret;
}
