/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The runs as one JSON document, as bench/schema.json describes it; the text report is made from
 * it. Called by cmd_compare.c. What was not told is null, never 0.
 */
#include "bench/bench.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"

/* --- figures of one row under one monitor -------------------------------- */
static double sample_mpps(const struct bench_sample *s, const struct bench_row *r)
{
	return (double)s->result.frames * 1e3 / (double)s->result.ns;
}

static double sample_gbit(const struct bench_sample *s, const struct bench_row *r)
{
	/* of TCP the data: its packets have many sizes */
	if (bench_is_tcp(r->direction))
		return (double)s->result.bytes * 8 / (double)s->result.ns;
	return (double)s->result.frames * r->frame_bytes * 8 / (double)s->result.ns;
}

static double sample_p50(const struct bench_sample *s, const struct bench_row *r)
{
	return (double)s->result.p50_ns / 1e3;
}

static double sample_p99(const struct bench_sample *s, const struct bench_row *r)
{
	return (double)s->result.p99_ns / 1e3;
}

static double sample_offered(const struct bench_sample *s, const struct bench_row *r)
{
	return s->offered_mpps;
}

struct row_runs {
	const struct bench_row *row;
	const struct bench_sample *sample;
	unsigned int n;
};

static struct bench_spread row_spread(const struct row_runs *rr,
				      double (*of)(const struct bench_sample *,
						   const struct bench_row *))
{
	double values[BENCH_MAX_RUNS];
	unsigned int n = 0;

	for (unsigned int i = 0; i < rr->n; i++)
		if (rr->sample[i].ok)
			values[n++] = of(&rr->sample[i], rr->row);
	return bench_spread_of(values, n);
}

static unsigned int row_n_ok(const struct row_runs *rr)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < rr->n; i++)
		n += rr->sample[i].ok;
	return n;
}

static json_t *spread_json(struct bench_spread s)
{
	return json_pack("{s:f, s:f, s:f}", "median", s.median, "min", s.min, "max", s.max);
}

enum per_packet { USER_EXITS, ALL_EXITS, CPU_NS };

static bool sample_count(const struct bench_sample *s, enum per_packet what, int64_t *count)
{
	*count = what == USER_EXITS  ? s->user_exits
		 : what == ALL_EXITS ? s->exits
				     : (int64_t)s->cpu_ns;
	return what == USER_EXITS  ? s->has_exits
	       : what == ALL_EXITS ? s->has_all_exits
				   : s->has_cpu;
}

/* All runs together: a sum over a sum. Null when one of them was not told. */
static json_t *row_per_packet(const struct row_runs *rr, enum per_packet what)
{
	uint64_t frames = 0;
	int64_t sum = 0, count;

	for (unsigned int i = 0; i < rr->n; i++) {
		const struct bench_sample *s = &rr->sample[i];

		if (!s->ok)
			continue;
		if (!sample_count(s, what, &count))
			return json_null();
		frames += s->result.total;
		sum += count;
	}
	return frames ? json_real(sum > 0 ? (double)sum / (double)frames : 0) : json_null();
}

static json_t *row_loss(const struct row_runs *rr)
{
	uint64_t lost = 0, sent = 0;
	json_t *causes = json_object();

	for (unsigned int i = 0; i < rr->n; i++) {
		const struct bench_sample *s = &rr->sample[i];

		lost += s->ok ? s->lost : 0;
		sent += s->ok ? s->sent : 0;
		for (unsigned int k = 0; s->ok && k < BENCH_N_CAUSES && s->cause[k].name[0]; k++) {
			json_int_t n =
				json_integer_value(json_object_get(causes, s->cause[k].name)) +
				(json_int_t)s->cause[k].frames;

			json_object_set_new(causes, s->cause[k].name, json_integer(n));
		}
	}
	return json_pack("{s:I, s:I, s:o}", "frames", (json_int_t)lost, "of_frames",
			 (json_int_t)sent, "causes", causes);
}

static json_t *row_latency(const struct row_runs *rr)
{
	if (rr->row->direction != BENCH_PINGPONG)
		return json_null();
	return json_pack("{s:f, s:f}", "p50", row_spread(rr, sample_p50).median, "p99",
			 row_spread(rr, sample_p99).median);
}

static void row_notes(json_t *o, const struct row_runs *rr)
{
	json_t *notes = json_array();
	double offered = row_spread(rr, sample_offered).median,
	       got = row_spread(rr, sample_mpps).median;
	json_t *loss = json_object_get(o, "loss");
	uint64_t lost = (uint64_t)json_integer_value(json_object_get(loss, "frames"));

	if (rr->row->direction == BENCH_RX) {
		json_object_set_new(o, "offered_mpps", json_real(offered));
		if (!lost && got > 0 && offered < got * 1.02 && offered > got * 0.98)
			json_array_append_new(notes,
					      json_string("the source and the guest went at one "
							  "pace: either may be the limit"));
	}
	for (unsigned int i = 0; i < rr->n; i++)
		if (rr->sample[i].done && !rr->sample[i].ok) {
			char text[256];

			snprintf(text, sizeof(text), "run %u failed: %s", i + 1, rr->sample[i].why);
			json_array_append_new(notes, json_string(text));
		}
	json_object_set_new(o, "notes", notes);
}

/* The figures that both kinds of entry have. */
static json_t *row_figures(const struct row_runs *rr)
{
	const struct bench_row *r = rr->row;
	json_t *o =
		json_pack("{s:s, s:s, s:s, s:s, s:i}", "lane", bench_lane_name[r->lane], "device",
			  r->device, "backend", r->backend, "direction",
			  bench_direction_name[r->direction], "frame_bytes", (int)r->frame_bytes);
	bool any = row_n_ok(rr) > 0;

	if (r->topology)
		json_object_set_new(o, "topology", json_string(r->topology));
	json_object_set_new(o, "runs", json_integer(row_n_ok(rr)));
	json_object_set_new(o, "mpps",
			    any && !bench_is_tcp(r->direction)
				    ? spread_json(row_spread(rr, sample_mpps))
				    : json_null());
	json_object_set_new(o, "gbit_s",
			    any ? spread_json(row_spread(rr, sample_gbit)) : json_null());
	json_object_set_new(o, "user_exits_per_packet", row_per_packet(rr, USER_EXITS));
	json_object_set_new(o, "exits_per_packet", row_per_packet(rr, ALL_EXITS));
	json_object_set_new(o, "cpu_ns_per_packet", row_per_packet(rr, CPU_NS));
	json_object_set_new(o, "loss", row_loss(rr));
	json_object_set_new(o, "latency_us", any ? row_latency(rr) : json_null());
	row_notes(o, rr);
	return o;
}

static json_t *peer_entry(const struct bench *b, const struct row_runs *ours,
			  const struct row_runs *theirs)
{
	bool tcp = bench_is_tcp(ours->row->direction);
	double we = row_spread(ours, tcp ? sample_gbit : sample_mpps).median,
	       they = row_spread(theirs, tcp ? sample_gbit : sample_mpps).median;
	json_t *o = row_figures(theirs);
	char name[64];

	snprintf(name, sizeof(name), "qemu %s", b->qemu.version);
	json_object_set_new(o, "peer", json_string(name));
	json_object_set_new(o, "ratio",
			    row_n_ok(ours) && they > 0 ? json_real(we / they) : json_null());
	return o;
}

bool bench_row_failed(const struct bench *b, const struct bench_row *r)
{
	for (unsigned int i = 0; i < b->o.runs; i++)
		if (r->ours[i].done && !r->ours[i].ok)
			return true;
	return false;
}

json_t *bench_document(const struct bench *b)
{
	json_t *results = json_array(), *peers = json_array();

	for (unsigned int i = 0; i < b->n_rows; i++) {
		const struct bench_row *r = &b->row[i];
		struct row_runs ours = { r, r->ours, b->o.runs },
				theirs = { r, r->theirs, b->o.runs };
		json_t *o = row_figures(&ours);

		json_object_set_new(o, "monitor", json_string(bench_monitor_fourlane.name));
		json_array_append_new(results, o);
		if (r->peer && b->peers)
			json_array_append_new(peers, peer_entry(b, &ours, &theirs));
	}
	return json_pack("{s:i, s:{s:s, s:o}, s:o, s:o, s:o, s:O}", "version", 1, "guest", "kind",
			 bench_kind_name[b->o.kind], "kernel",
			 b->files.version[0] ? json_string(b->files.version) : json_null(),
			 "environment", bench_env_json(b), "results", results, "peers", peers,
			 "skipped", b->skipped);
}

int bench_json_write(const json_t *doc, const char *file)
{
	char tmp[PATH_MAX];
	int ret;

	if (!strcmp(file, "-")) {
		ret = json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		putchar('\n');
		return ret;
	}
	/* a pipe or a terminal has no name beside it */
	if (!strncmp(file, "/dev/", 5))
		ret = json_dump_file(doc, file, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	else {
		snprintf(tmp, sizeof(tmp), "%.4000s.%d", file, (int)getpid());
		ret = json_dump_file(doc, tmp, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		if (ret == 0)
			ret = rename(tmp, file);
		if (ret < 0)
			unlink(tmp);
	}
	return ret < 0 ? err_ret(-EIO,
				 "compare: writing %s: %s; give a file in a folder that you may "
				 "write",
				 file, strerror(errno))
		       : 0;
}
