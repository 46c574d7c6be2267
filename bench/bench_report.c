/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of a result, made from its JSON document, which may have been made elsewhere: one block
 * for each direction, then what was skipped and why, then where it was taken. At most 120 columns
 * wide.
 */
#include "bench/bench.h"

#include <string.h>

#define WIDTH 118

static const char *text_at(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "unknown";
}

static double number_at(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

/* Three or four figures that matter, whatever the size. */
static void put_number(char *buf, size_t size, double v)
{
	if (v == 0)
		snprintf(buf, size, "0");
	else if (v < 0.0001)
		snprintf(buf, size, "%.0e", v);
	else if (v < 0.1)
		snprintf(buf, size, "%.4f", v);
	else if (v < 10)
		snprintf(buf, size, "%.3f", v);
	else if (v < 100)
		snprintf(buf, size, "%.1f", v);
	else
		snprintf(buf, size, "%.0f", v);
}

static void put_cell(FILE *to, int width, const json_t *v)
{
	char text[32] = "-";

	if (json_is_number(v))
		put_number(text, sizeof(text), json_number_value(v));
	fprintf(to, " %*s", width, text);
}

static void put_spread(FILE *to, const json_t *spread)
{
	char median[24] = "-", low[24], high[24], range[64] = "";

	if (json_is_object(spread)) {
		put_number(median, sizeof(median), number_at(spread, "median"));
		put_number(low, sizeof(low), number_at(spread, "min"));
		put_number(high, sizeof(high), number_at(spread, "max"));
		snprintf(range, sizeof(range), "(%s-%s)", low, high);
	}
	fprintf(to, " %7s %-15s", median, range);
}

static void put_loss(FILE *to, const json_t *row)
{
	const json_t *loss = json_object_get(row, "loss");
	double lost = number_at(loss, "frames"), of = number_at(loss, "of_frames");
	char text[24] = "0";

	if (!json_is_object(json_object_get(row, "gbit_s")))
		snprintf(text, sizeof(text), "-");
	else if (lost > 0 && of > 0 && lost / of >= 0.00005)
		snprintf(text, sizeof(text), "%.2f%%", 100 * lost / of);
	else if (lost > 0)
		snprintf(text, sizeof(text), "%.0f", lost);
	fprintf(to, " %7s", text);
}

static const json_t *peer_of(const json_t *doc, const json_t *row)
{
	static const char *const keys[] = { "lane", "device", "backend", "direction",
					    "frame_bytes" };
	json_t *p;
	size_t i;

	json_array_foreach(json_object_get(doc, "peers"), i, p) {
		bool same = true;

		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			same &= json_equal(json_object_get(row, keys[k]),
					   json_object_get(p, keys[k]));
		if (same)
			return p;
	}
	return NULL;
}

static void put_ratio(FILE *to, const json_t *doc, const json_t *row)
{
	const json_t *p = peer_of(doc, row), *ratio = p ? json_object_get(p, "ratio") : NULL;
	char text[24] = "-";

	if (json_is_number(ratio))
		snprintf(text, sizeof(text), number_at(p, "ratio") < 10 ? "%.2fx" : "%.0fx",
			 number_at(p, "ratio"));
	fprintf(to, " %7s", text);
}

/* A block of the table: what is told first, and beside it. */
struct block {
	const char *direction, *title;
	const char *rate, *unit; /* key of the spread, and its heading */
	const char *beside;      /* heading(s) of what follows it */
};
static const struct block blocks[] = {
	{ "tx", "Transmit", "mpps", "Mpps", "  Gbit/s" },
	{ "rx", "Receive", "mpps", "Mpps", "  Gbit/s" },
	{ "cross", "Guest to guest, out by one NIC and in by the other", "mpps", "Mpps",
	  "  Gbit/s" },
	{ "tcp_out", "TCP out of the guest", "gbit_s", "Gbit/s", "" },
	{ "tcp_in", "TCP into the guest", "gbit_s", "Gbit/s", "" },
	{ "pingpong", "Ping-pong, one frame at a time", "mpps", "Mpps", "  p50 us  p99 us" },
};

static void put_row(FILE *to, const json_t *doc, const json_t *row, const struct block *block)
{
	const json_t *latency = json_object_get(row, "latency_us");

	fprintf(to, "%-11s %-10s %-6s %5.0f", text_at(row, "lane"), text_at(row, "device"),
		text_at(row, "backend"), number_at(row, "frame_bytes"));
	put_spread(to, json_object_get(row, block->rate));
	if (!strcmp(block->direction, "pingpong")) {
		put_cell(to, 7, json_object_get(latency, "p50"));
		put_cell(to, 7, json_object_get(latency, "p99"));
	} else if (block->beside[0]) {
		put_cell(to, 7, json_object_get(json_object_get(row, "gbit_s"), "median"));
	}
	put_cell(to, 7, json_object_get(row, "user_exits_per_packet"));
	put_cell(to, 7, json_object_get(row, "exits_per_packet"));
	put_cell(to, 7, json_object_get(row, "cpu_ns_per_packet"));
	put_loss(to, row);
	if (json_array_size(json_object_get(doc, "peers")))
		put_ratio(to, doc, row);
	fputc('\n', to);
}

static void put_block(FILE *to, const json_t *doc, const struct block *block)
{
	bool begun = false;
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(doc, "results"), i, row) {
		if (strcmp(text_at(row, "direction"), block->direction))
			continue;
		if (!begun)
			fprintf(to, "\n%s\n%-11s %-10s %-6s %5s %7s %-15s%s %7s %7s %7s %7s%s\n",
				block->title, "lane", "device", "back", "bytes", block->unit,
				"(min-max)", block->beside, "user ex", "all ex", "CPU ns", "loss",
				json_array_size(json_object_get(doc, "peers")) ? "  x QEMU" : "");
		begun = true;
		put_row(to, doc, row, block);
	}
}

/* Words of text in lines that begin with `indent` blanks. */
static void put_wrapped(FILE *to, int indent, const char *text)
{
	int at = 0;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at && at + 1 + len > WIDTH - indent) {
			fputc('\n', to);
			at = 0;
		}
		at += fprintf(to, "%*s%.*s", at ? 1 : indent, "", len, text) - (at ? 0 : indent);
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

static void put_skipped(FILE *to, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "skipped");
	char text[1200];
	json_t *s;
	size_t i;

	if (json_array_size(list))
		fprintf(to, "\nSkipped\n");
	json_array_foreach(list, i, s) {
		const char *part = json_string_value(json_object_get(s, "part"));

		snprintf(text, sizeof(text), "%s%s%s: %s", text_at(s, "lane"), part ? ", " : "",
			 part ? part : "", text_at(s, "why"));
		put_wrapped(to, 2, text);
		snprintf(text, sizeof(text), "mend: %s", text_at(s, "mend"));
		put_wrapped(to, 6, text);
	}
}

/* Who takes part, of the rows that say so; each once. */
static void put_topologies(FILE *to, const json_t *doc)
{
	const json_t *results = json_object_get(doc, "results");
	char text[400];
	json_t *row;
	size_t i;

	json_array_foreach(results, i, row) {
		const json_t *topology = json_object_get(row, "topology");
		bool pool = !strcmp(text_at(row, "lane"), "vmdq"), told = false;

		for (size_t k = 0; k < i && !told; k++)
			told = json_equal(topology,
					  json_object_get(json_array_get(results, k), "topology"));
		if (!topology || told)
			continue;
		snprintf(text, sizeof(text), "%s: %s", pool ? "vmdq" : "switch",
			 json_string_value(topology));
		put_wrapped(to, 2, text);
	}
}

/* Notes of rows: failures, limits of the source, and where frames were lost. */
static void put_row_remarks(FILE *to, const json_t *doc, const char *list)
{
	json_t *row, *note, *n;
	size_t i, k;
	const char *cause;
	char head[160], text[600];

	json_array_foreach(json_object_get(doc, list), i, row) {
		snprintf(head, sizeof(head), "%s%s %s %s %s %.0f",
			 json_object_get(row, "peer") ? "(QEMU) " : "", text_at(row, "lane"),
			 text_at(row, "backend"), text_at(row, "direction"), text_at(row, "device"),
			 number_at(row, "frame_bytes"));
		json_array_foreach(json_object_get(row, "notes"), k, note) {
			snprintf(text, sizeof(text), "%s: %s", head, json_string_value(note));
			put_wrapped(to, 2, text);
		}
		json_object_foreach(json_object_get(json_object_get(row, "loss"), "causes"), cause,
				    n) {
			snprintf(text, sizeof(text), "%s: %lld of %.0f frames lost: %s", head,
				 (long long)json_integer_value(n),
				 number_at(json_object_get(row, "loss"), "of_frames"), cause);
			put_wrapped(to, 2, text);
		}
	}
}

static void put_environment(FILE *to, const json_t *env)
{
	const json_t *cpu = json_object_get(env, "cpu"),
		     *versions = json_object_get(env, "versions"),
		     *iommu = json_object_get(env, "iommu");
	char text[512];
	json_t *nic, *note;
	size_t i;

	fprintf(to, "\nWhere\n");
	snprintf(text, sizeof(text), "%s: %.0f x %s, Linux %s, KVM by %s, IOMMU %s; %s",
		 text_at(env, "where"), number_at(json_object_get(env, "topology"), "cpus"),
		 text_at(cpu, "model"), text_at(env, "kernel"),
		 text_at(json_object_get(env, "kvm"), "kind"), text_at(iommu, "kind"),
		 text_at(env, "taken"));
	put_wrapped(to, 2, text);
	snprintf(text, sizeof(text), "fourlane %s (%s), QEMU %s", text_at(versions, "fourlane"),
		 text_at(versions, "revision"),
		 json_is_string(json_object_get(versions, "qemu")) ? text_at(versions, "qemu")
								   : "none");
	put_wrapped(to, 2, text);
	json_array_foreach(json_object_get(env, "nics"), i, nic) {
		snprintf(text, sizeof(text), "NIC %s %s (%s), driver %s", text_at(nic, "netdev"),
			 text_at(nic, "id"), text_at(nic, "device"), text_at(nic, "driver"));
		put_wrapped(to, 2, text);
	}
	json_array_foreach(json_object_get(env, "notes"), i, note)
		put_wrapped(to, 2, json_string_value(note));
}

void bench_report(const json_t *doc, FILE *to)
{
	const json_t *env = json_object_get(doc, "environment"),
		     *p = json_object_get(env, "parameters"),
		     *guest = json_object_get(doc, "guest");
	bool lab = !strcmp(text_at(env, "where"), "lab");
	char kind[96] = "the microguest";

	if (!strcmp(text_at(guest, "kind"), "linux"))
		snprintf(kind, sizeof(kind), "a Linux guest (%.60s)",
			 json_is_string(json_object_get(guest, "kernel")) ? text_at(guest, "kernel")
									  : "none has booted");
	fprintf(to, "%s, %s: medians of %.0f runs of %.0f ms%s\n",
		lab ? "The software host" : "This host", kind, number_at(p, "runs"),
		number_at(p, "window_ms"),
		lab ? " (no ranking by rate: the NIC's model runs in the guest's CPU)" : "");
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		put_block(to, doc, &blocks[i]);
	fputc('\n', to);
	put_wrapped(to, 2,
		    "user ex, all ex, CPU ns: exits to user space, all exits, the monitor's CPU "
		    "time, each a packet");
	if (json_array_size(json_object_get(doc, "peers")))
		put_wrapped(to, 2,
			    "x QEMU: our rate over that of QEMU's same device with the same guest");
	put_topologies(to, doc);
	put_row_remarks(to, doc, "results");
	put_row_remarks(to, doc, "peers");
	put_skipped(to, doc);
	put_environment(to, env);
	fputc('\n', to);
}
