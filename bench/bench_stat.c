/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Median, minimum and maximum of the runs of a row. No average: one disturbed run in three would be
 * in it. */
#include "bench/bench.h"

#include <stdlib.h>

static int stat_before(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct bench_spread bench_spread_of(double *values, unsigned int n)
{
	struct bench_spread s = { 0 };

	if (!n)
		return s;
	qsort(values, n, sizeof(*values), stat_before);
	s.min = values[0];
	s.max = values[n - 1];
	s.median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
	return s;
}
