/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `bench dma-map`: the table as text, at most 120 columns but for long reasons, and as JSON
 * (bench/schema_dma_map.json). Called by cmd_bench.c.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "bench/bench_dma.h"
#include "core/version.h"

#define HUGE_ENOUGH 0.9 /* part of a row's memory; less is told */

const char *const dma_pages_name[] = { [DMA_4K] = "4 KiB", [DMA_THP] = "THP", [DMA_2M] = "2 MiB" };
const char *const dma_by_name[] = { [DMA_TYPE1] = "type1", [DMA_IOMMUFD] = "iommufd" };
static const char *const pages_key[] = { [DMA_4K] = "4k", [DMA_THP] = "thp", [DMA_2M] = "2m" };

void dma_plan(struct dma_table *t)
{
	t->n_rows = 0;
	for (enum dma_by by = 0; by < DMA_N_BY; by++)
		for (unsigned int s = 0; s < t->o->n_sizes; s++)
			for (unsigned int kind = 0; kind < 2 * DMA_N_PAGES; kind++)
				t->row[t->n_rows++] = (struct dma_row){ .by = by,
									.size = t->o->size[s],
									.pages = kind / 2,
									.touched = kind & 1 };
}

void dma_size_text(uint64_t size, char *buf, size_t n)
{
	if (size % (1ull << 30) == 0)
		snprintf(buf, n, "%" PRIu64 " GiB", size >> 30);
	else
		snprintf(buf, n, "%" PRIu64 " MiB", size >> 20);
}

static double gib_s(uint64_t size, double ns)
{
	return ns > 0 ? (double)size / (double)(1ull << 30) / (ns / 1e9) : 0;
}

/* --- text ----------------------------------------------------------------- */
static void number(double x, char *buf, size_t n)
{
	snprintf(buf, n, x < 1 ? "%.3f" : x < 100 ? "%.2f" : "%.0f", x);
}

/* "12.3 (11.9-14.0)   5.1" */
static void report_time(uint64_t size, const struct bench_spread *s, FILE *to)
{
	char median[24], min[24], max[24], rate[24], all[80];

	number(s->median / 1e6, median, sizeof(median));
	number(s->min / 1e6, min, sizeof(min));
	number(s->max / 1e6, max, sizeof(max));
	number(gib_s(size, s->median), rate, sizeof(rate));
	snprintf(all, sizeof(all), "%s (%s-%s)", median, min, max);
	fprintf(to, "  %-24s %8s", all, rate);
}

/* The rows behind it that lack the same are one line: both states of the memory, and all sizes and
 * kinds of pages of a way that is not there. */
static unsigned int report_skipped(const struct dma_table *t, unsigned int i, FILE *to)
{
	const struct dma_row *r = &t->row[i];
	unsigned int n = 1, of_way = t->n_rows / DMA_N_BY;
	char size[24];

	while (i + n < t->n_rows && t->row[i + n].by == r->by && !t->row[i + n].failed &&
	       !strcmp(t->row[i + n].lack.why, r->lack.why) &&
	       !strcmp(t->row[i + n].lack.mend, r->lack.mend))
		n++;
	if (r->failed)
		n = 1;
	dma_size_text(r->size, size, sizeof(size));
	fprintf(to, "%-8s ", dma_by_name[r->by]);
	if (n == of_way)
		fprintf(to, "%-7s %-6s %-9s", "all", "", "");
	else
		fprintf(to, "%-7s %-6s %-9s", size, n > 2 ? "" : dma_pages_name[r->pages],
			n > 1        ? ""
			: r->touched ? "touched"
				     : "untouched");
	fprintf(to, "  %s: %s; %s\n", r->failed ? "failed" : "skipped", r->lack.why, r->lack.mend);
	return n;
}

static void report_row(const struct dma_row *r, FILE *to)
{
	char size[24];

	dma_size_text(r->size, size, sizeof(size));
	fprintf(to, "%-8s %-7s %-6s %-9s", dma_by_name[r->by], size, dma_pages_name[r->pages],
		r->touched ? "touched" : "untouched");
	report_time(r->size, &r->map_ns, to);
	report_time(r->size, &r->unmap_ns, to);
	if (r->pages == DMA_THP && r->huge_part < HUGE_ENOUGH)
		fprintf(to, "  only %.0f %% huge", r->huge_part * 100);
	fprintf(to, "\n");
}

void dma_report(const struct dma_table *t, FILE *to)
{
	fprintf(to,
		"DMA mapping for %s (IOMMU group %d), %s: medians of %u runs (min-max)\n\n"
		"%-8s %-7s %-6s %-9s  %-24s %8s  %-24s %8s\n",
		t->device, t->group,
		strcmp(host_where(), "lab") ? "this host" : "the software host", t->o->runs, "by",
		"size", "pages", "memory", "map, ms", "GiB/s", "unmap, ms", "GiB/s");
	for (unsigned int i = 0; i < t->n_rows;) {
		if (t->row[i].lack.why[0])
			i += report_skipped(t, i, to);
		else
			report_row(&t->row[i++], to);
	}
	fprintf(to, "\n  pages: 4 KiB and THP by madvise, 2 MiB from the reserved pool; touched: "
		    "written before, so that mapping need not find and clear it\n");
}

/* --- JSON ----------------------------------------------------------------- */
static json_t *spread_ms(const struct bench_spread *s)
{
	return json_pack("{s:f, s:f, s:f}", "median", s->median / 1e6, "min", s->min / 1e6, "max",
			 s->max / 1e6);
}

static json_t *row_json(const struct dma_row *r)
{
	json_t *o = json_pack("{s:s, s:I, s:s, s:b}", "by", dma_by_name[r->by], "size_mib",
			      (json_int_t)(r->size >> 20), "pages", pages_key[r->pages], "touched",
			      r->touched);

	if (r->lack.why[0]) {
		json_object_set_new(o, "failed", json_boolean(r->failed));
		json_object_set_new(o, "why", json_string(r->lack.why));
		json_object_set_new(o, "mend", json_string(r->lack.mend));
		return o;
	}
	json_object_set_new(o, "map_ms", spread_ms(&r->map_ns));
	json_object_set_new(o, "unmap_ms", spread_ms(&r->unmap_ns));
	json_object_set_new(o, "map_gib_s", json_real(gib_s(r->size, r->map_ns.median)));
	json_object_set_new(o, "unmap_gib_s", json_real(gib_s(r->size, r->unmap_ns.median)));
	json_object_set_new(o, "huge_percent", json_real(r->huge_part * 100));
	return o;
}

static json_t *environment(void)
{
	json_t *host = host_report(&host_real), *env = json_object();
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	json_object_set_new(env, "where", json_string(host_where()));
	json_object_set_new(env, "taken", json_string(when));
	json_object_set_new(env, "fourlane", json_string(fourlane_version));
	json_object_set_new(env, "revision", json_string(fourlane_revision));
	for (const char *const *k = (const char *const[]){ "kernel", "cpu", "iommu", NULL }; *k;
	     k++)
		if (json_object_get(host, *k))
			json_object_set(env, *k, json_object_get(host, *k));
		else
			json_object_set_new(env, *k, json_null());
	json_decref(host);
	return env;
}

json_t *dma_document(const struct dma_table *t)
{
	json_t *results = json_array(), *skipped = json_array();

	for (unsigned int i = 0; i < t->n_rows; i++)
		json_array_append_new(t->row[i].lack.why[0] ? skipped : results,
				      row_json(&t->row[i]));
	return json_pack("{s:i, s:s, s:s, s:i, s:i, s:o, s:o, s:o}", "version", 1, "bench",
			 "dma-map", "device", t->device, "group", t->group, "runs", (int)t->o->runs,
			 "environment", environment(), "results", results, "skipped", skipped);
}
