/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane bench`: one lane in depth. dma-map: how long a guest's memory takes to be mapped for a
 * device and unmapped again, by size, kind of pages and way. It changes nothing on the host, and
 * what it has ends with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench_dma.h"
#include "core/cmd.h"

#define DEFAULT_RUNS 5
#define MIN_SIZE     (2ull << 20)
#define MAX_SIZE     (1ull << 40)

static const struct command bench_command;

/* --- words ---------------------------------------------------------------- */
static int read_sizes(const char *text, struct dma_options *o)
{
	unsigned long long size[DMA_MAX_SIZES];
	int n = cmd_numbers(text, MIN_SIZE, MAX_SIZE, size, DMA_MAX_SIZES);

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		if (size[i] % MIN_SIZE)
			return -EINVAL;
		o->size[i] = size[i];
	}
	o->n_sizes = (unsigned int)n;
	return 0;
}

static int read_options(struct dma_options *o, int argc, char **argv)
{
	const char *device = NULL, *sizes = "64M,256M,1G,4G,16G", *runs = NULL;
	const struct cmd_option opts[] = {
		{ .name = "device", .value = &device },
		{ .name = "sizes", .value = &sizes },
		{ .name = "runs", .value = &runs },
		{ .name = "json", .flag = &o->json },
		{ 0 },
	};
	const struct command *c = &bench_command;
	unsigned long long n_runs = DEFAULT_RUNS;
	int n = cmd_options(c, argc, argv, opts, false);

	if (n < 0)
		return FL_USAGE;
	if (n > 0)
		return cmd_usage(c, "dma-map: '%s' is one word too many", argv[1]);
	if (device && iommu_bdf_parse(device, o->device) < 0)
		return cmd_usage(c, "--device '%s' is no PCI address like 0000:03:00.0", device);
	if (read_sizes(sizes, o) < 0)
		return cmd_usage(
			c,
			"--sizes '%s': give 1 to %d sizes of whole 2 MiB, as 64M,1G, up to "
			"1024G",
			sizes, DMA_MAX_SIZES);
	if (runs && cmd_number(runs, 1, DMA_MAX_RUNS, &n_runs) < 0)
		return cmd_usage(c, "--runs '%s' is no number from 1 to %d", runs, DMA_MAX_RUNS);
	o->runs = (unsigned int)n_runs;
	return 0;
}

/* --- course --------------------------------------------------------------- */
static void say_row(const struct dma_row *r)
{
	char size[24];

	dma_size_text(r->size, size, sizeof(size));
	fprintf(stderr, "bench: dma-map by %s: %s, pages of %s, %s\n", dma_by_name[r->by], size,
		dma_pages_name[r->pages], r->touched ? "touched" : "untouched");
}

/* One row by one way; a way that cannot be opened is not tried again. 0, -EINTR. */
static int measure_row(struct dma_table *t, struct dma_row *r, struct bench_signals *sig,
		       struct dma_lack *way, int *opened)
{
	struct dma_device d;
	struct dma_host h;
	int ret;

	dma_host_look(&host_real, &h);
	if (!way->why[0] && !dma_fits(&h, r->size, r->pages, &r->lack))
		return 0;
	if (!way->why[0])
		*opened = dma_device_open(&host_real, t->device, r->by, &d, way);
	r->lack = *way;
	if (way->why[0])
		return 0;
	say_row(r);
	ret = dma_measure_row(&d, r, t->o->runs, sig);
	dma_device_close(&d);
	return ret;
}

/* The ways in turn: what disturbs the machine for a while disturbs both. */
static int measure_rows(struct dma_table *t, struct bench_signals *sig,
			struct dma_lack way[DMA_N_BY], int opened[DMA_N_BY])
{
	unsigned int n = t->n_rows / DMA_N_BY;
	int ret = 0;

	for (unsigned int i = 0; i < n; i++)
		for (enum dma_by by = 0; ret == 0 && by < DMA_N_BY; by++)
			ret = measure_row(t, &t->row[by * n + i], sig, &way[by], &opened[by]);
	return ret;
}

static int show(const struct dma_table *t)
{
	json_t *doc;

	if (!t->o->json) {
		dma_report(t, stdout);
		return 0;
	}
	doc = dma_document(t);
	if (!doc)
		return err_ret(-ENOMEM, "bench: out of memory; free some");
	json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	printf("\n");
	json_decref(doc);
	return 0;
}

static int measure(struct dma_table *t, struct bench_signals *sig)
{
	struct dma_lack way[DMA_N_BY] = { 0 };
	int opened[DMA_N_BY] = { 0 }, ret = measure_rows(t, sig, way, opened);
	bool failed = false, any = false;

	if (ret < 0)
		return ret;
	if (opened[DMA_TYPE1] < 0 && opened[DMA_IOMMUFD] < 0)
		return err_ret(opened[DMA_TYPE1] == -ENODEV ? opened[DMA_IOMMUFD]
							    : opened[DMA_TYPE1],
			       "bench: opening %s: by type1: %s; %s; by iommufd: %s; %s", t->device,
			       way[DMA_TYPE1].why, way[DMA_TYPE1].mend, way[DMA_IOMMUFD].why,
			       way[DMA_IOMMUFD].mend);
	for (unsigned int i = 0; i < t->n_rows; i++) {
		failed |= t->row[i].failed;
		any |= !t->row[i].lack.why[0];
	}
	ret = show(t);
	if (ret == 0 && !failed && !any)
		return FL_UNSUPPORTED;
	return ret < 0 ? ret : failed ? FL_FAILED : FL_DONE;
}

static int dma_map_run(int argc, char **argv)
{
	struct dma_options o = { 0 };
	struct dma_table *t;
	struct bench_signals sig;
	struct dma_lack lack = { 0 };
	int ret = read_options(&o, argc, argv);

	if (ret)
		return ret;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->o = &o;
	memcpy(t->device, o.device, sizeof(t->device));
	ret = o.device[0] ? dma_device_check(&host_real, t->device, &lack)
			  : dma_device_find(&host_real, t->device, &lack);
	if (ret < 0) {
		free(t);
		return err_ret(ret, "bench: dma-map: %s; %s", lack.why, lack.mend);
	}
	t->group = iommu_group_of(host_real.sysfs, t->device);
	dma_plan(t);
	ret = bench_signals_open(&sig);
	if (ret == 0)
		ret = measure(t, &sig);
	if (sig.got)
		ret = 128 + sig.got;
	if (sig.fd >= 0)
		close(sig.fd);
	free(t);
	return ret;
}

/* --- the command ---------------------------------------------------------- */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} parts[] = { { "dma-map", dma_map_run } };

static int bench_run_part(int argc, char **argv)
{
	if (argc < 2)
		return cmd_usage(&bench_command, "what is to be measured? dma-map");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(argv[1], parts[i].name))
			return parts[i].run(argc - 1, argv + 1);
	return cmd_usage(&bench_command, "'%s' is nothing that can be measured; dma-map is",
			 argv[1]);
}

static const struct command bench_command = {
	.name = "bench",
	.group = CMD_MEASURE,
	.summary = "one lane in depth: mapping memory for DMA",
	.usage =
		"dma-map [--device BDF] [--sizes 64M,1G] [--runs N] [--json]\n"
		"\n"
		"Times how long a guest's memory takes to be mapped for a device's DMA, and "
		"unmapped again: with pages of\n"
		"4 KiB, with those that the kernel makes huge by itself (THP), with 2 MiB of the "
		"reserved pool; by VFIO's\n"
		"type1 and by iommufd; with memory that was written before and with new memory. "
		"What the host has no room\n"
		"for is shown with the reason.\n"
		"\n"
		"  --device BDF    a function bound to vfio-pci, whose IOMMU is used (default: one "
		"that nobody has open)\n"
		"  --sizes LIST    whole 2 MiB (default 64M,256M,1G,4G,16G)\n"
		"  --runs N        of each row (default 5); median, min and max are shown\n"
		"  --json          as bench/schema_dma_map.json says, units in the keys\n"
		"\n"
		"Example: fourlane assign 0000:03:00.0 && fourlane bench dma-map --sizes 64M,1G\n",
	.run = bench_run_part,
};
COMMAND(&bench_command);
