/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which parts of a BAR a guest reaches directly: arithmetic only, called by vfio_bar.c with what
 * the kernel told about the region. A part is trapped when the kernel does not map it or when it
 * shares a page with the MSI-X table (the smallest thing that a memory slot can leave out is a
 * page).
 */
#include <errno.h>
#include <stdlib.h>

#include "vfio_priv.h"

static int u64_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The whole pages inside a span, or the whole pages that it touches. */
static struct vfio_span span_inner(struct vfio_span s)
{
	uint64_t a = (s.off + VFIO_PAGE - 1) & ~(VFIO_PAGE - 1),
		 b = (s.off + s.size) & ~(VFIO_PAGE - 1);

	return (struct vfio_span){ a, b > a ? b - a : 0 };
}

static struct vfio_span span_outer(struct vfio_span s)
{
	uint64_t a = s.off & ~(VFIO_PAGE - 1),
		 b = (s.off + s.size + VFIO_PAGE - 1) & ~(VFIO_PAGE - 1);

	return (struct vfio_span){ a, s.size ? b - a : 0 };
}

static bool span_holds(struct vfio_span s, uint64_t off)
{
	return off >= s.off && off - s.off < s.size;
}

static bool span_ok(struct vfio_span s, uint64_t size)
{
	return s.off <= size && s.size <= size - s.off;
}

int vfio_bar_split(uint64_t size, const struct vfio_span *spans, size_t n, struct vfio_span trap,
		   struct vfio_area out[VFIO_MAX_AREAS])
{
	struct vfio_span inner[VFIO_MAX_SPANS];
	uint64_t cut[2 * VFIO_MAX_SPANS + 4];
	size_t n_cuts = 0, n_out = 0;

	if (n > VFIO_MAX_SPANS)
		return -E2BIG;
	if (!size || !span_ok(trap, size))
		return -EINVAL;
	trap = span_outer(trap);
	cut[n_cuts++] = 0;
	cut[n_cuts++] = size;
	cut[n_cuts++] = trap.off;
	cut[n_cuts++] = trap.off + trap.size < size ? trap.off + trap.size : size;
	for (size_t i = 0; i < n; i++) {
		if (!span_ok(spans[i], size))
			return -EINVAL;
		inner[i] = span_inner(spans[i]);
		if (!inner[i].size)
			inner[i].off = 0;
		cut[n_cuts++] = inner[i].off;
		cut[n_cuts++] = inner[i].off + inner[i].size;
	}
	qsort(cut, n_cuts, sizeof(cut[0]), u64_cmp);
	for (size_t c = 0; c + 1 < n_cuts; c++) {
		struct vfio_area a = { .off = cut[c], .size = cut[c + 1] - cut[c] };
		struct vfio_area *last = n_out ? &out[n_out - 1] : NULL;

		if (!a.size)
			continue;
		for (size_t i = 0; i < n; i++)
			a.mappable |= span_holds(inner[i], a.off);
		a.mapped = a.mappable && !span_holds(trap, a.off);
		if (last && last->mapped == a.mapped && last->mappable == a.mappable)
			last->size += a.size;
		else
			out[n_out++] = a;
	}
	return (int)n_out;
}
