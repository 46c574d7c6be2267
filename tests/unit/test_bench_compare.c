/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of `compare`, its JSON document against bench/schema.json, its text, and the children
 * it starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "core/err.h"
#include "helper_schema.h"

static char said[1024];

static void catch (void *opaque, const char *line)
{
	snprintf(said, sizeof(said), "%s", line);
}

/* --- words --- */
static int read_words(struct bench_options *o, const char *const *words)
{
	char *argv[20] = { "compare" };
	int argc = 1, ret;

	for (; *words; words++)
		argv[argc++] = (char *)*words;
	said[0] = '\0';
	err_set_sink(catch, NULL);
	ret = bench_options_read(o, argc, argv);
	err_set_sink(NULL, NULL);
	return ret;
}
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void defaults_are_three_runs_of_both_sizes_and_all_lanes(void **state)
{
	struct bench_options o;

	assert_int_equal(read_words(&o, (const char *const[]){ NULL }), 0);
	assert_null(o.where);
	assert_int_equal(o.runs, 3);
	assert_int_equal(o.window_ms, 500);
	assert_int_equal(o.n_sizes, 2);
	assert_int_equal(o.sizes[0], 64);
	assert_int_equal(o.sizes[1], 1518);
	assert_int_equal(o.lanes, (1u << LANE_N) - 1);
	assert_int_equal(o.kind, BENCH_MICRO);
	assert_true(o.peer);
}

static void words_are_understood(void **state)
{
	struct bench_options o;

	assert_int_equal(
		read_words(&o, WORDS("--where", "lab", "--lanes", "vf,emulated", "--sizes=128",
				     "--seconds", "0.25", "--runs", "7", "--peer", "none", "--json",
				     "x.json", "--wire", "eth7", "--guest", "linux")),
		0);
	assert_string_equal(o.where, "lab");
	assert_int_equal(o.lanes, 1u << LANE_VF | 1u << LANE_EMULATED);
	assert_int_equal(o.n_sizes, 1);
	assert_int_equal(o.sizes[0], 128);
	assert_int_equal(o.window_ms, 250);
	assert_int_equal(o.runs, 7);
	assert_false(o.peer);
	assert_string_equal(o.json, "x.json");
	assert_string_equal(o.wire, "eth7");
	assert_int_equal(o.kind, BENCH_LINUX);
	assert_int_equal(read_words(&o, WORDS("--guest", "micro")), 0);
	assert_int_equal(o.kind, BENCH_MICRO);
}

static void quick_is_shorter_and_can_be_overruled(void **state)
{
	struct bench_options normal, quick;

	assert_int_equal(read_words(&normal, (const char *const[]){ NULL }), 0);
	assert_int_equal(read_words(&quick, WORDS("--quick")), 0);
	assert_true(quick.runs < normal.runs && quick.window_ms < normal.window_ms);
	assert_int_equal(read_words(&quick, WORDS("--quick", "--runs", "5", "--seconds", "1")), 0);
	assert_int_equal(quick.runs, 5);
	assert_int_equal(quick.window_ms, 1000);
}

static void wrong_words_are_a_wrong_call(void **state)
{
	static const char *const wrong[][3] = {
		{ "--where", "moon" },
		{ "--lanes", "emulated,warp" },
		{ "--lanes", "" },
		{ "--lanes", "," },
		{ "--sizes", "63" },
		{ "--sizes", "1519" },
		{ "--sizes", "64,x" },
		{ "--sizes", "" },
		{ "--sizes", "64,64,64,64,64,64,64,64,64" },
		{ "--seconds", "0" },
		{ "--seconds", "nan" },
		{ "--seconds", "61" },
		{ "--seconds", "1s" },
		{ "--runs", "0" },
		{ "--runs", "51" },
		{ "--runs", "-1" },
		{ "--peer", "bhyve" },
		{ "--peer" },
		{ "--guest", "bsd" },
		{ "--guest", "" },
		{ "word" },
		{ "--nonsense" },
	};
	struct bench_options o;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (read_words(&o, wrong[i]) != FL_USAGE)
			fail_msg("taken: %s %s", wrong[i][0], wrong[i][1] ? wrong[i][1] : "");
		assert_non_null(strstr(said, "see 'fourlane help compare'"));
	}
}

/* --- the document --- */
static struct bench_sample sample(uint64_t frames, bool ok)
{
	struct bench_sample s = { .done = true,
				  .ok = ok,
				  .has_exits = true,
				  .has_all_exits = true,
				  .has_cpu = true,
				  .user_exits = 5,
				  .exits = 50,
				  .cpu_ns = 4 * frames,
				  .sent = 2 * frames,
				  .lost = 3,
				  .offered_mpps = 1,
				  .result = { .frames = frames,
					      .ns = 1000000000,
					      .total = 2 * frames,
					      .p50_ns = 2500,
					      .p99_ns = 5000,
					      .samples = 9 } };

	s.cause[0] = (struct bench_cause){ "rx_drop_no_buffer", 2 };
	s.cause[1] = (struct bench_cause){ "unaccounted", 1 };
	if (!ok)
		snprintf(s.why, sizeof(s.why), "it fell over");
	return s;
}

static void row_fill(struct bench_row *r, enum bench_lane lane, enum bench_direction d, bool peer)
{
	*r = (struct bench_row){ .lane = lane,
				 .direction = d,
				 .device = "82540EM",
				 .guest_device = "e1000",
				 .backend = "tap",
				 .frame_bytes = 64,
				 .peer = peer };
	for (int i = 0; i < 3; i++) {
		r->ours[i] = sample(1000000u * (unsigned int)(i + 1), true);
		r->theirs[i] = sample(500000u * (unsigned int)(i + 1), true);
	}
}

static void bench_fill(struct bench *b)
{
	*b = (struct bench){
		.n_rows = 5,
		.peers = true,
		.qemu.version = "11.1.3",
		.tsc_hz = 2000000000,
		.o = { .runs = 3, .window_ms = 500, .warm_ms = 200, .n_sizes = 1, .sizes = { 64 } }
	};
	b->row = calloc(5, sizeof(*b->row));
	b->skipped = json_array();
	b->host = json_pack("{s:s, s:{s:s, s:i}, s:{s:s}, s:{s:s}, s:{s:[{s:s, s:n}]}}", "kernel",
			    "6.1", "cpu", "model", "A CPU", "online", 2, "kvm", "kind", "kvm_intel",
			    "iommu", "kind", "vt-d", "nics", "list", "netdev", "eth0", "driver");
	row_fill(&b->row[0], LANE_EMULATED, BENCH_TX, true);
	row_fill(&b->row[1], LANE_EMULATED, BENCH_RX, true);
	row_fill(&b->row[2], LANE_VF, BENCH_PINGPONG, false);
	row_fill(&b->row[3], LANE_VF, BENCH_TX, false);
	row_fill(&b->row[4], LANE_PARAVIRTUAL, BENCH_CROSS, false);
	b->row[4].backend = "switch";
	b->row[4].topology = "one guest and one worker";
	bench_skip(b, LANE_DIRECT, NULL, "no IOMMU is active", "turn it on");
	bench_skip(b, LANE_EMULATED, "tap", "no tap can be made", "run as root");
}

static void bench_drop(struct bench *b)
{
	free(b->row);
	json_decref(b->skipped);
	json_decref(b->host);
}

static json_t *load_schema(void)
{
	json_error_t e;
	json_t *schema = json_load_file("bench/schema.json", 0, &e);

	if (!schema)
		fail_msg("bench/schema.json: line %d: %s (run at the root of the source)", e.line,
			 e.text);
	return schema;
}

static void document_obeys_its_schema(void **state)
{
	json_t *schema = load_schema(), *doc;
	struct bench b;
	char why[512] = "";

	bench_fill(&b);
	doc = bench_document(&b);
	if (schema_check(schema, schema, doc, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	/* both tables in one file */
	json_object_set_new(doc, "software_host", json_deep_copy(doc));
	if (schema_check(schema, schema, doc, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	json_decref(doc);
	json_decref(schema);
	bench_drop(&b);
}

static void schema_refuses_what_is_wrong(void **state)
{
	json_t *schema = load_schema(), *doc, *row;
	struct bench b;
	char why[512];

	bench_fill(&b);
	doc = bench_document(&b);
	row = json_array_get(json_object_get(doc, "results"), 0);
	json_object_set_new(row, "lane", json_string("warp"));
	assert_int_equal(schema_check(schema, schema, doc, why, sizeof(why)), -1);
	json_object_set_new(row, "lane", json_string("vf"));
	json_object_set_new(row, "exits_per_packet", json_string("0"));
	assert_int_equal(schema_check(schema, schema, doc, why, sizeof(why)), -1);
	json_object_del(row, "exits_per_packet");
	assert_int_equal(schema_check(schema, schema, doc, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "exits_per_packet"));
	json_decref(doc);
	json_decref(schema);
	bench_drop(&b);
}

/* BENCH_DOCUMENT: what a test has let `compare --json` write. */
static void document_of_a_run_obeys_the_schema(void **state)
{
	const char *file = getenv("BENCH_DOCUMENT");
	json_t *schema, *doc;
	json_error_t e;
	char why[512] = "";

	if (!file)
		skip();
	schema = load_schema();
	doc = json_load_file(file, 0, &e);
	if (!doc)
		fail_msg("%s: line %d: %s", file, e.line, e.text);
	if (schema_check(schema, schema, doc, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	json_decref(doc);
	json_decref(schema);
}

static double at(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static void figures_are_medians_and_sums_over_the_runs(void **state)
{
	json_t *doc, *row, *peer, *loss;
	struct bench b;

	bench_fill(&b);
	doc = bench_document(&b);
	row = json_array_get(json_object_get(doc, "results"), 0);
	assert_float_equal(at(json_object_get(row, "mpps"), "median"), 2, 1e-9);
	assert_float_equal(at(json_object_get(row, "mpps"), "min"), 1, 1e-9);
	assert_float_equal(at(json_object_get(row, "mpps"), "max"), 3, 1e-9);
	assert_float_equal(at(json_object_get(row, "gbit_s"), "median"), 2 * 64 * 8 / 1e3, 1e-9);
	/* 15 exits and 150 exits over 12 million frames */
	assert_float_equal(at(row, "user_exits_per_packet"), 15 / 12e6, 1e-12);
	assert_float_equal(at(row, "exits_per_packet"), 150 / 12e6, 1e-12);
	assert_float_equal(at(row, "cpu_ns_per_packet"), 2, 1e-9);
	loss = json_object_get(row, "loss");
	assert_int_equal(at(loss, "frames"), 9);
	assert_int_equal(at(json_object_get(loss, "causes"), "rx_drop_no_buffer"), 6);
	assert_int_equal(at(json_object_get(loss, "causes"), "unaccounted"), 3);
	peer = json_array_get(json_object_get(doc, "peers"), 0);
	assert_float_equal(at(peer, "ratio"), 2, 1e-9);
	assert_int_equal(json_array_size(json_object_get(doc, "peers")), 2);
	assert_float_equal(at(json_object_get(json_array_get(json_object_get(doc, "results"), 2),
					      "latency_us"),
			      "p50"),
			   2.5, 1e-9);
	json_decref(doc);
	bench_drop(&b);
}

static void failed_run_is_left_out_and_told(void **state)
{
	json_t *doc, *row;
	struct bench b;

	bench_fill(&b);
	assert_false(bench_row_failed(&b, &b.row[0]));
	b.row[0].ours[2] = sample(0, false);
	b.row[0].ours[2].result.ns = 0;
	assert_true(bench_row_failed(&b, &b.row[0]));
	doc = bench_document(&b);
	row = json_array_get(json_object_get(doc, "results"), 0);
	assert_int_equal(at(row, "runs"), 2);
	assert_float_equal(at(json_object_get(row, "mpps"), "max"), 2, 1e-9);
	assert_non_null(strstr(json_string_value(json_array_get(json_object_get(row, "notes"), 0)),
			       "it fell over"));
	json_decref(doc);
	bench_drop(&b);
}

static void what_was_not_told_is_null(void **state)
{
	json_t *schema = load_schema(), *doc, *row;
	struct bench b;
	char why[512];

	bench_fill(&b);
	b.row[0].ours[1].has_cpu = false;
	b.row[0].ours[1].has_all_exits = false;
	for (int i = 0; i < 3; i++)
		b.row[1].ours[i].ok = false;
	doc = bench_document(&b);
	row = json_array_get(json_object_get(doc, "results"), 0);
	assert_true(json_is_null(json_object_get(row, "cpu_ns_per_packet")));
	assert_true(json_is_null(json_object_get(row, "exits_per_packet")));
	assert_true(json_is_number(json_object_get(row, "user_exits_per_packet")));
	assert_true(json_is_null(json_object_get(row, "latency_us")));
	row = json_array_get(json_object_get(doc, "results"), 1);
	assert_true(json_is_null(json_object_get(row, "mpps")));
	assert_true(json_is_null(
		json_object_get(json_array_get(json_object_get(doc, "peers"), 1), "ratio")));
	assert_int_equal(schema_check(schema, schema, doc, why, sizeof(why)), 0);
	json_decref(doc);
	json_decref(schema);
	bench_drop(&b);
}

/* --- the text --- */
static char *report_text(const json_t *doc)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	bench_report(doc, f);
	fclose(f);
	return text;
}

static void report_stays_within_120_columns(void **state)
{
	struct bench b;
	json_t *doc;
	char *text;

	bench_fill(&b);
	b.row[0].ours[0].result.frames = 123456789;
	b.row[3].ours[0].result.frames = 1;
	bench_skip(&b, LANE_VMDQ, NULL,
		   "because a very long reason stands here that goes on and on and on and on and "
		   "on and on, far beyond the line's end",
		   "wait");
	doc = bench_document(&b);
	text = report_text(doc);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strlen(line) > 120)
			fail_msg("%zu columns: %s", strlen(line), line);
	free(text);
	json_decref(doc);
	bench_drop(&b);
}

static void report_has_ratio_skipped_and_where(void **state)
{
	struct bench b;
	json_t *doc;
	char *text;

	bench_fill(&b);
	doc = bench_document(&b);
	text = report_text(doc);
	assert_non_null(strstr(text, "This host"));
	assert_non_null(strstr(text, "2.00x"));
	assert_non_null(strstr(text, "direct: no IOMMU is active"));
	assert_non_null(strstr(text, "mend: turn it on"));
	assert_non_null(strstr(text, "emulated, tap: no tap can be made"));
	assert_non_null(strstr(text, "kvm_intel"));
	assert_null(strstr(text, "no ranking by rate"));
	free(text);
	json_decref(doc);
	b.lab = true;
	doc = bench_document(&b);
	text = report_text(doc);
	assert_non_null(strstr(text, "no ranking by rate"));
	free(text);
	json_decref(doc);
	bench_drop(&b);
}

static void rows_over_the_switch_tell_who_takes_part(void **state)
{
	struct bench b;
	json_t *doc, *row;
	char *text;

	bench_fill(&b);
	doc = bench_document(&b);
	row = json_array_get(json_object_get(doc, "results"), 4);
	assert_string_equal(json_string_value(json_object_get(row, "direction")), "cross");
	assert_string_equal(json_string_value(json_object_get(row, "topology")),
			    "one guest and one worker");
	assert_null(
		json_object_get(json_array_get(json_object_get(doc, "results"), 0), "topology"));
	text = report_text(doc);
	assert_non_null(strstr(text, "Guest to guest"));
	assert_non_null(strstr(text, "switch: one guest and one worker"));
	free(text);
	json_decref(doc);
	bench_drop(&b);
}

static void drops_of_a_port_are_found_by_its_name(void **state)
{
	json_t *stats = json_pack("{s:[{s:s, s:{s:i}}, {s:s, s:{s:i}}]}", "ports", "name", "a",
				  "in_drops", "source", 3, "name", "b", "in_drops", "source", 4);
	const json_t *drops = bench_switch_drops(stats, "b", "in_drops");

	assert_int_equal(at(drops, "source"), 4);
	assert_null(bench_switch_drops(stats, "b", "out_drops"));
	assert_null(bench_switch_drops(stats, "c", "in_drops"));
	assert_null(bench_switch_drops(NULL, "a", "in_drops"));
	json_decref(stats);
}

/* --- a Linux guest --- */
static void linux_fill(struct bench *b)
{
	bench_fill(b);
	b->o.kind = BENCH_LINUX;
	snprintf(b->files.version, sizeof(b->files.version), "6.12.1-test");
	row_fill(&b->row[1], LANE_EMULATED, BENCH_TCP_OUT, true);
	for (int i = 0; i < 3; i++) {
		b->row[1].ours[i].result.bytes = 250000000u * (unsigned int)(i + 1);
		b->row[1].theirs[i].result.bytes = 125000000u * (unsigned int)(i + 1);
	}
	row_fill(&b->row[2], LANE_EMULATED, BENCH_TCP_IN, false);
	b->row[2].backend = "switch";
}

static void table_names_its_guest(void **state)
{
	json_t *schema = load_schema(), *doc, *guest;
	struct bench b;
	char why[512] = "", *text;

	linux_fill(&b);
	doc = bench_document(&b);
	if (schema_check(schema, schema, doc, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	guest = json_object_get(doc, "guest");
	assert_string_equal(json_string_value(json_object_get(guest, "kind")), "linux");
	assert_string_equal(json_string_value(json_object_get(guest, "kernel")), "6.12.1-test");
	text = report_text(doc);
	assert_non_null(strstr(text, "This host, a Linux guest (6.12.1-test): medians"));
	assert_non_null(strstr(text, "pktgen"));
	assert_null(strstr(text, "no interrupts"));
	free(text);
	json_object_del(doc, "guest");
	assert_int_equal(schema_check(schema, schema, doc, why, sizeof(why)), -1);
	json_decref(doc);
	bench_drop(&b);
	bench_fill(&b);
	doc = bench_document(&b);
	guest = json_object_get(doc, "guest");
	assert_string_equal(json_string_value(json_object_get(guest, "kind")), "micro");
	assert_true(json_is_null(json_object_get(guest, "kernel")));
	text = report_text(doc);
	assert_non_null(strstr(text, "This host, the microguest: medians"));
	assert_null(strstr(text, "pktgen"));
	free(text);
	json_decref(doc);
	json_decref(schema);
	bench_drop(&b);
}

static void tcp_is_measured_by_its_data(void **state)
{
	json_t *doc, *row, *peer;
	struct bench b;
	char *text;

	linux_fill(&b);
	doc = bench_document(&b);
	row = json_array_get(json_object_get(doc, "results"), 1);
	peer = json_array_get(json_object_get(doc, "peers"), 1);
	assert_string_equal(json_string_value(json_object_get(row, "direction")), "tcp_out");
	assert_true(json_is_null(json_object_get(row, "mpps")));
	assert_float_equal(at(json_object_get(row, "gbit_s"), "median"), 4, 1e-9);
	assert_float_equal(at(json_object_get(row, "gbit_s"), "max"), 6, 1e-9);
	assert_float_equal(at(row, "exits_per_packet"), 150 / 12e6, 1e-12);
	assert_float_equal(at(peer, "ratio"), 2, 1e-9);
	text = report_text(doc);
	assert_non_null(strstr(text, "TCP out of the guest"));
	assert_non_null(strstr(text, "4.000 (2.000-6.000)"));
	free(text);
	json_decref(doc);
	bench_drop(&b);
}

static void rows_of_a_lane_and_back_end_share_a_guest(void **state)
{
	struct bench b;

	linux_fill(&b);
	assert_int_equal(bench_rows_together(&b, 0), 2);
	assert_int_equal(bench_rows_together(&b, 1), 1);
	assert_int_equal(bench_rows_together(&b, 2), 1);
	assert_int_equal(bench_rows_together(&b, 4), 1);
	bench_drop(&b);
}

static void report_of_an_empty_document_does_not_fall_over(void **state)
{
	json_t *doc = json_object();
	char *text = report_text(doc);

	assert_non_null(text);
	free(text);
	json_decref(doc);
}

/* --- devices, children --- */
static void guest_driver_is_chosen_by_pci_id(void **state)
{
	const char *label;

	assert_string_equal(bench_device_of(0x8086, 0x10c9, &label), "igb");
	assert_string_equal(bench_device_of(0x8086, 0x10ca, &label), "igbvf");
	assert_string_equal(label, "82576 VF");
	assert_null(bench_device_of(0x8086, 0x1521, &label));
}

static void child_lines_come_whole_and_without_their_end(void **state)
{
	struct bench_signals none = { .fd = -1 };
	struct bench_child c;
	char line[64];

	assert_int_equal(bench_child_start(&c,
					   WORDS("sh", "-c",
						 "printf 'one\\r\\ntw'; sleep 0.05; printf "
						 "'o\\nrest'; echo fourlane: why >&2"),
					   -1, false),
			 0);
	assert_int_equal(bench_child_line(&c, &none, 5000, line, sizeof(line)), 0);
	assert_string_equal(line, "one");
	assert_int_equal(bench_child_line(&c, &none, 5000, line, sizeof(line)), 0);
	assert_string_equal(line, "two");
	assert_int_equal(bench_child_line(&c, &none, 5000, line, sizeof(line)), -EPIPE);
	assert_int_equal(bench_child_end(&c, 2000), 0);
	bench_child_why(&c, line, sizeof(line));
	assert_string_equal(line, "why");
	bench_child_free(&c);
}

static void line_that_never_ends_is_cut(void **state)
{
	struct bench_signals none = { .fd = -1 };
	struct bench_child c;
	char line[16];

	assert_int_equal(bench_child_start(&c,
					   WORDS("sh", "-c", "while :; do printf xxxxxxxx; done"),
					   -1, false),
			 0);
	assert_int_equal(bench_child_line(&c, &none, 5000, line, sizeof(line)), 0);
	assert_string_equal(line, "xxxxxxxxxxxxxxx");
	bench_child_end(&c, 0);
	bench_child_free(&c);
}

static void silent_child_meets_its_deadline_and_is_ended(void **state)
{
	struct bench_signals none = { .fd = -1 };
	struct bench_child c;
	char line[16];
	int status;

	assert_int_equal(bench_child_start(&c, WORDS("sleep", "100"), -1, false), 0);
	assert_int_equal(bench_child_line(&c, &none, 20, line, sizeof(line)), -ETIMEDOUT);
	status = bench_child_end(&c, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	bench_child_free(&c);
}

static void program_that_is_not_there_says_so(void **state)
{
	struct bench_signals none = { .fd = -1 };
	struct bench_child c;
	char line[128];

	assert_int_equal(bench_child_start(&c, WORDS("/nonexistent/program"), -1, false), 0);
	assert_int_equal(bench_child_line(&c, &none, 5000, line, sizeof(line)), -EPIPE);
	bench_child_end(&c, 2000);
	bench_child_why(&c, line, sizeof(line));
	assert_non_null(strstr(line, "/nonexistent/program"));
	bench_child_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_three_runs_of_both_sizes_and_all_lanes),
		cmocka_unit_test(words_are_understood),
		cmocka_unit_test(quick_is_shorter_and_can_be_overruled),
		cmocka_unit_test(wrong_words_are_a_wrong_call),
		cmocka_unit_test(document_obeys_its_schema),
		cmocka_unit_test(schema_refuses_what_is_wrong),
		cmocka_unit_test(document_of_a_run_obeys_the_schema),
		cmocka_unit_test(figures_are_medians_and_sums_over_the_runs),
		cmocka_unit_test(failed_run_is_left_out_and_told),
		cmocka_unit_test(what_was_not_told_is_null),
		cmocka_unit_test(report_stays_within_120_columns),
		cmocka_unit_test(report_has_ratio_skipped_and_where),
		cmocka_unit_test(rows_over_the_switch_tell_who_takes_part),
		cmocka_unit_test(drops_of_a_port_are_found_by_its_name),
		cmocka_unit_test(table_names_its_guest),
		cmocka_unit_test(tcp_is_measured_by_its_data),
		cmocka_unit_test(rows_of_a_lane_and_back_end_share_a_guest),
		cmocka_unit_test(report_of_an_empty_document_does_not_fall_over),
		cmocka_unit_test(guest_driver_is_chosen_by_pci_id),
		cmocka_unit_test(child_lines_come_whole_and_without_their_end),
		cmocka_unit_test(line_that_never_ends_is_cut),
		cmocka_unit_test(silent_child_meets_its_deadline_and_is_ended),
		cmocka_unit_test(program_that_is_not_there_says_so),
	};

	return cmocka_run_group_tests_name("bench_compare", tests, NULL, NULL);
}
