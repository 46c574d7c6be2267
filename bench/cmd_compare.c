/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane compare`: reads the words, measures row by row, ours and QEMU's in turn, prints a table
 * of this host, then one of the software host. Everything it starts or changes is ended and put
 * back, also at Ctrl-C.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/lab/lab.h"
#include "core/cmd.h"
#include "core/host.h"
#include "core/paths.h"

#define DEFAULT_WINDOW_MS 500
#define DEFAULT_RUNS      3
#define WARM_MS           200
#define QUICK_WINDOW_MS   300
#define QUICK_RUNS        2
#define SHORT_WARM_MS \
	100 /* quick, and in the software host, where there are more rows and starts are slow */

#define PEER_FAILURES 3 /* in a row: QEMU does not work here, it is left out */

static const struct command compare_command;

/* --- words --------------------------------------------------------------- */
static int read_lanes(const char *text, unsigned int *lanes)
{
	char copy[128], *save = NULL;

	*lanes = 0;
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return -EINVAL;
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		enum bench_lane l = 0;

		while (l < LANE_N && strcmp(w, bench_lane_name[l]))
			l++;
		if (l == LANE_N)
			return -EINVAL;
		*lanes |= 1u << l;
	}
	return *lanes ? 0 : -EINVAL;
}

static int read_sizes(const char *text, struct bench_options *o)
{
	unsigned long long size[BENCH_MAX_SIZES];
	int n = cmd_numbers(text, 64, 1518, size, BENCH_MAX_SIZES);

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		o->sizes[i] = (unsigned int)size[i];
	o->n_sizes = (unsigned int)n;
	return 0;
}

/* "0.5" to 500; 0.05 to 60 seconds. */
static int read_seconds(const char *text, unsigned int *ms)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end || !(s >= 0.05 && s <= 60))
		return -EINVAL;
	*ms = (unsigned int)(s * 1000 + 0.5);
	return 0;
}

int bench_options_read(struct bench_options *o, int argc, char **argv)
{
	const char *lanes = NULL, *sizes = "64,1518", *seconds = NULL, *runs = NULL, *peer = "qemu",
		   *guest = "micro";
	struct cmd_option opts[] = {
		{ .name = "where", .value = &o->where },
		{ .name = "quick", .flag = &o->quick },
		{ .name = "lanes", .value = &lanes },
		{ .name = "sizes", .value = &sizes },
		{ .name = "seconds", .value = &seconds },
		{ .name = "runs", .value = &runs },
		{ .name = "peer", .value = &peer },
		{ .name = "json", .value = &o->json },
		{ .name = "direct", .value = &o->direct },
		{ .name = "pf", .value = &o->pf },
		{ .name = "wire", .value = &o->wire },
		{ .name = "guest", .value = &guest },
		{ 0 },
	};
	const struct command *c = &compare_command;
	unsigned long long n_runs;
	int n;

	*o = (struct bench_options){ .lanes = (1u << LANE_N) - 1 };
	n = cmd_options(c, argc, argv, opts, false);
	if (n < 0)
		return FL_USAGE;
	o->window_ms = o->quick ? QUICK_WINDOW_MS : DEFAULT_WINDOW_MS;
	o->warm_ms = o->quick ? SHORT_WARM_MS : WARM_MS;
	n_runs = o->quick ? QUICK_RUNS : DEFAULT_RUNS;
	o->peer = !strcmp(peer, "qemu");
	if (n > 0)
		return cmd_usage(c, "'%s' is one word too many", argv[1]);
	if (o->where && strcmp(o->where, "host") && strcmp(o->where, "lab"))
		return cmd_usage(c, "--where is host or lab, not '%s'", o->where);
	if (strcmp(guest, "micro") && strcmp(guest, "linux"))
		return cmd_usage(c, "--guest is micro or linux, not '%s'", guest);
	o->kind = strcmp(guest, "linux") ? BENCH_MICRO : BENCH_LINUX;
	if (lanes && read_lanes(lanes, &o->lanes) < 0)
		return cmd_usage(
			c, "--lanes '%s': lanes are emulated, paravirtual, direct, vf and vmdq",
			lanes);
	if (read_sizes(sizes, o) < 0)
		return cmd_usage(c, "--sizes '%s': give 1 to %d sizes from 64 to 1518, as 64,1518",
				 sizes, BENCH_MAX_SIZES);
	if (seconds && read_seconds(seconds, &o->window_ms) < 0)
		return cmd_usage(c, "--seconds '%s' is no time from 0.05 to 60", seconds);
	if (runs && cmd_number(runs, 1, BENCH_MAX_RUNS, &n_runs) < 0)
		return cmd_usage(c, "--runs '%s' is no number from 1 to %d", runs, BENCH_MAX_RUNS);
	if (!o->peer && strcmp(peer, "none"))
		return cmd_usage(c, "--peer is qemu or none, not '%s'", peer);
	o->runs = (unsigned int)n_runs;
	return 0;
}

/* --- one table ----------------------------------------------------------- */
static void say_run(const struct bench *b, unsigned int run, unsigned int row, uint64_t start_ns)
{
	const struct bench_row *r = &b->row[row];

	fprintf(stderr, "compare: run %u of %u, row %2u of %u, %3.0f s: %s %s %s %u bytes\n",
		run + 1, b->o.runs, row + 1, b->n_rows, (double)(bench_now_ns() - start_ns) / 1e9,
		bench_lane_name[r->lane], r->backend, bench_direction_name[r->direction],
		r->frame_bytes);
}

/* A row that has failed is not tried again: each try may take its whole deadline. */
static int measure_row(struct bench *b, struct bench_row *r, unsigned int run)
{
	int ret = 0;

	if (!run || r->ours[run - 1].ok)
		ret = bench_run(b, r, &bench_monitor_fourlane, &r->ours[run]);
	if (ret == 0 && r->ours[run].done && !r->ours[run].ok)
		fprintf(stderr, "compare: this run failed: %s\n", r->ours[run].why);
	if (ret < 0 || !r->peer || !b->peers || (run && !r->theirs[run - 1].ok) ||
	    b->n_peer_failures == PEER_FAILURES)
		return ret;
	ret = bench_run(b, r, &bench_monitor_qemu, &r->theirs[run]);
	b->n_peer_failures = r->theirs[run].ok ? 0 : b->n_peer_failures + 1;
	if (ret == 0 && !r->theirs[run].ok)
		fprintf(stderr, "compare: QEMU's run failed: %s\n", r->theirs[run].why);
	return ret;
}

/* Ours, then QEMU's, of the rows that share a guest. What gave nothing in the run before is not
 * tried again. */
static int measure_together(struct bench *b, unsigned int first, unsigned int n, unsigned int run)
{
	struct bench_row *row = &b->row[first];
	bool ours = !run, theirs = !run;
	int ret = 0;

	for (unsigned int i = 0; run && i < n; i++) {
		ours |= row[i].ours[run - 1].ok;
		theirs |= row[i].theirs[run - 1].ok;
	}
	if (ours)
		ret = bench_run_linux(b, first, n, &bench_monitor_fourlane, run);
	if (ret == 0 && theirs && row->peer && b->peers && b->n_peer_failures < PEER_FAILURES) {
		ret = bench_run_linux(b, first, n, &bench_monitor_qemu, run);
		b->n_peer_failures++;
	}
	for (unsigned int i = 0; ret == 0 && i < n; i++) {
		if (row[i].theirs[run].ok)
			b->n_peer_failures = 0;
		if (row[i].ours[run].done && !row[i].ours[run].ok)
			fprintf(stderr, "compare: %s %u bytes: this run failed: %s\n",
				bench_direction_name[row[i].direction], row[i].frame_bytes,
				row[i].ours[run].why);
		if (row[i].theirs[run].done && !row[i].theirs[run].ok)
			fprintf(stderr, "compare: %s %u bytes: QEMU's run failed: %s\n",
				bench_direction_name[row[i].direction], row[i].frame_bytes,
				row[i].theirs[run].why);
	}
	return ret;
}

/* Row by row, ours then QEMU's, and all of it again for the next run: what disturbs the machine for
 * a while disturbs both. */
static int measure(struct bench *b)
{
	uint64_t start = bench_now_ns();
	int ret = 0;

	for (unsigned int run = 0; ret == 0 && run < b->o.runs; run++)
		for (unsigned int i = 0, n = 1; ret == 0 && i < b->n_rows; i += n) {
			say_run(b, run, i, start);
			if (b->o.kind == BENCH_MICRO) {
				ret = measure_row(b, &b->row[i], run);
			} else {
				n = bench_rows_together(b, i);
				ret = measure_together(b, i, n, run);
			}
		}
	return ret;
}

static bool any_failed(const struct bench *b)
{
	for (unsigned int i = 0; i < b->n_rows; i++)
		if (bench_row_failed(b, &b->row[i]))
			return true;
	return false;
}

/* The microguest is beside the program, or in the build folder next to a sanitizer's. */
static int find_guest(struct bench *b)
{
	return paths_find_program("mg.elf", b->kernel, sizeof(b->kernel));
}

static int this_host(struct bench *b, json_t **doc)
{
	int ret = b->o.kind == BENCH_MICRO ? find_guest(b) : 0;

	if (ret < 0)
		return ret;
	b->tsc_hz = bench_env_tsc_hz();
	ret = bench_plan(b);
	if (ret == 0 && b->n_rows) {
		fprintf(stderr, "compare: %s: %u rows, %u runs of %u ms each%s: about %u s\n",
			b->lab ? "the software host" : "this host", b->n_rows, b->o.runs,
			b->o.window_ms, b->peers ? ", QEMU beside" : "", bench_plan_seconds(b));
		ret = measure(b);
	}
	bench_hw_put_back(&b->hw);
	bench_files_drop(&b->files);
	if (ret < 0)
		return ret;
	*doc = bench_document(b);
	return *doc ? 0 : err_ret(-ENOMEM, "compare: out of memory; free some");
}

/* --- both tables --------------------------------------------------------- */
static bool all_lanes_ready(const struct bench *b)
{
	json_t *lane;
	const char *key;

	json_object_foreach(json_object_get(b->host, "lanes"), key, lane)
		if (!json_is_true(json_object_get(lane, "ready")))
			return false;
	return true;
}

static void find_peer(struct bench *b, bool lab_follows)
{
	struct lab_image image;

	b->peers = false;
	if (!b->o.peer)
		return;
	b->peers = bench_qemu_find(&b->qemu) == 0;
	/* the software host's image is wanted anyway, and has a QEMU in it */
	if (!b->peers && lab_follows && lab_image_get(&image) == 0)
		b->peers = bench_qemu_find(&b->qemu) == 0;
	/* of the others bench_plan() tells, when there is a device for them */
	for (enum bench_lane l = LANE_EMULATED; l <= LANE_PARAVIRTUAL; l++)
		if (b->o.lanes & 1u << l && b->lab)
			bench_skip(b, l, "peer qemu",
				   "in the software host QEMU stands beside real devices only",
				   "ask on a host whose KVM boots the guest");
		else if (b->o.lanes & 1u << l && !b->peers)
			bench_skip_no_qemu(b, l);
}

static int compare_host(struct bench *b, bool lab_follows, json_t **doc)
{
	int ret;

	find_peer(b, lab_follows);
	ret = bench_pause(&b->sig, 0);
	if (ret == 0)
		ret = this_host(b, doc);
	if (ret < 0)
		return ret;
	/* the table is there at once, also when the software host takes its time */
	bench_report(*doc, stdout);
	fflush(stdout);
	if (b->no_boot)
		return FL_UNSUPPORTED;
	return any_failed(b) ? FL_FAILED : FL_DONE;
}

static int compare_lab(struct bench *b, json_t **doc)
{
	int status, ret;

	fprintf(stderr, "compare: the software host follows\n");
	ret = bench_software_host(b, doc, &status);
	if (ret < 0)
		return ret;
	bench_report(*doc, stdout);
	return status;
}

static int compare(struct bench *b)
{
	bool asked_lab = b->o.where && !strcmp(b->o.where, "lab") && !b->lab;
	bool with_host = !asked_lab;
	bool with_lab = asked_lab || (!b->o.where && !b->lab && !all_lanes_ready(b));
	json_t *host = NULL, *lab = NULL;
	int ret = 0, lab_ret = 0;

	if (with_host)
		ret = compare_host(b, with_lab, &host);
	/* what this host cannot boot the software host can */
	if (ret == FL_UNSUPPORTED && !b->o.where && !b->lab) {
		with_lab = true;
		ret = 0;
	}
	if (ret >= 0 && with_lab)
		lab_ret = compare_lab(b, &lab);
	/* never in one table: the software host's document stands under a key of its own */
	if (host && lab)
		json_object_set(host, "software_host", lab);
	if (b->o.json && (host || lab) && bench_json_write(host ? host : lab, b->o.json) < 0)
		ret = FL_FAILED;
	json_decref(host);
	json_decref(lab);
	return ret ? ret : lab_ret;
}

static int compare_run(int argc, char **argv)
{
	struct bench *b = calloc(1, sizeof(*b));
	int ret;

	if (!b)
		return -ENOMEM;
	b->sig.fd = -1;
	ret = bench_options_read(&b->o, argc, argv);
	if (ret == 0)
		ret = bench_signals_open(&b->sig);
	if (ret == 0) {
		b->lab = !strcmp(host_where(), "lab");
		b->o.warm_ms = b->lab ? SHORT_WARM_MS : b->o.warm_ms;
		b->host = host_report(&host_real);
		b->skipped = json_array();
		ret = b->host && b->skipped ? compare(b) : -ENOMEM;
	}
	if (b->sig.got)
		ret = 128 + b->sig.got;
	json_decref(b->host);
	json_decref(b->skipped);
	if (b->sig.fd >= 0)
		close(b->sig.fd);
	free(b->row);
	free(b);
	return ret;
}

static const struct command compare_command = {
	.name = "compare",
	.group = CMD_MEASURE,
	.summary = "the four lanes, one table",
	.run = compare_run,
	.usage =
		"[options]\n"
		"\n"
		"Measures every lane with the same small guest and prints a table: of this host, "
		"then of the software host (not when\n"
		"this host has all lanes). Lanes that a host lacks are listed with the reason and "
		"the remedy.\n"
		"\n"
		"  --where host|lab   only that table\n"
		"  --guest micro|linux  micro (default): a small packet loop of our own; linux: "
		"Debian's kernel, with its drivers, pktgen,\n"
		"                     iperf3 and ping in it (needs a KVM that boots Linux; the "
		"software host always does)\n"
		"  --quick            fewer and shorter runs\n"
		"  --lanes A,B        of emulated, paravirtual, direct, vf, vmdq (default: all)\n"
		"  --sizes 64,1518    frame bytes, FCS counted\n"
		"  --seconds S        measured window of a run (default 0.5)\n"
		"  --runs N           runs of each row (default 3); median, min and max are shown\n"
		"  --peer qemu|none   QEMU beside, for the ratio (default qemu; FOURLANE_QEMU "
		"names another)\n"
		"  --json FILE        the result as JSON ('-': standard output after the table), "
		"described in bench/schema.json\n"
		"  --direct BDF       NIC that is handed to the guest for the lane direct, to the "
		"switch for vmdq, and back afterwards\n"
		"  --pf IFNAME        NIC that gets a VF for the lane vf\n"
		"  --wire IFNAME      port at the other end of their wire\n"
		"\n"
		"Example: fourlane compare --where host --lanes emulated,paravirtual --quick\n",
};
COMMAND(&compare_command);
