/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run of one row under the microguest: boot a microguest, wait until it is ready, read the
 * counters, let it go, make traffic, take its result, wait, read the counters again. Ramp up, stop,
 * wait, then read: what was still on its way must not look like loss. Every wait has a deadline; a
 * guest that does not keep it is ended and the sample says so. Called by cmd_compare.c;
 * bench_run_linux.c uses its pieces.
 */
#include "bench/bench_run.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bench/guest/mg_frame.h"

#define READY_MS 20000
#define RESULT_MS \
	12000 /* beyond warm-up and window: first frame, drain, round trips that time out */
#define BYE_MS 3000
#define SOURCE_MORE_MS \
	100 /* a source goes on this long after the window, so that it does not end within */

int bench_run_fail(struct bench_run *r, const char *why)
{
	char said[160];

	bench_child_why(&r->guest.child, said, sizeof(said));
	snprintf(r->s->why, sizeof(r->s->why), "%s%s%.140s", why, said[0] ? ": " : "", said);
	return -EIO;
}

bool bench_run_on(const struct bench_run *r, const char *backend)
{
	return !strcmp(r->row->backend, backend);
}

/* The guest's next line that begins with `want`; others are passed over, FL FAIL ends the run. */
int bench_run_expect(struct bench_run *r, const char *want, int timeout_ms, char *line, size_t size)
{
	uint64_t end = bench_now_ns() + (uint64_t)timeout_ms * 1000000;
	char why[160];
	int ret;

	for (;;) {
		int64_t left = (int64_t)(end - bench_now_ns()) / 1000000;

		ret = left > 0
			      ? bench_child_line(&r->guest.child, &r->b->sig, (int)left, line, size)
			      : -ETIMEDOUT;
		if (ret == -EINTR)
			return ret;
		if (ret == -ETIMEDOUT && !*want)
			snprintf(why, sizeof(why), "it says nothing within %d s",
				 timeout_ms / 1000);
		else if (ret == -ETIMEDOUT)
			snprintf(why, sizeof(why), "no '%s' within %d s, the guest was ended", want,
				 timeout_ms / 1000);
		else if (ret < 0)
			snprintf(why, sizeof(why), "the guest ended before '%s'", want);
		else if (!strncmp(line, "FL FAIL", 7))
			snprintf(why, sizeof(why), "the guest says:%.140s", line + 7);
		else if (!strncmp(line, want, strlen(want)))
			return 0;
		else
			continue;
		bench_run_fail(r, why);
		return ret == 0 ? -EREMOTEIO : -EIO;
	}
}

/* --- start --------------------------------------------------------------- */
static void run_words(const struct bench_run *r, char *words, size_t size)
{
	const struct bench *b = r->b;
	size_t n = (size_t)snprintf(
		words, size, "mode=%s size=%u seed=%u warm_ms=%u ms=%u tsc=%llu",
		bench_direction_name[r->row->direction], r->row->frame_bytes - BENCH_FCS,
		BENCH_SEED, b->o.warm_ms, b->o.window_ms, (unsigned long long)b->tsc_hz);
	uint8_t m[6];

	/* on a wire the frames are addressed to the peer port; elsewhere the guest's own choice
	 * does */
	if (bench_run_on(r, "wire") && bench_netdev_mac(r->ifname, m) == 0)
		snprintf(words + n, size - n, " dst=%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1],
			 m[2], m[3], m[4], m[5]);
	if (bench_run_on(r, "switch"))
		snprintf(words + n, size - n, " dev2=%s", r->row->guest_device);
}

int bench_run_switch(struct bench_run *r)
{
	char why[192] = "";
	int ret;

	if (!r->row->ports)
		return 0;
	ret = bench_switch_start(r->b, &r->sw, r->row->ports, why, sizeof(why));
	if (ret == 0 || ret == -EINTR)
		return ret;
	snprintf(r->s->why, sizeof(r->s->why), "%s", why);
	return ret;
}

static int run_boot(struct bench_run *r, const struct bench_monitor *m)
{
	char words[256], line[512], why[160] = "";
	struct bench_boot boot = { .mem_mb = 64,
				   .device = r->row->guest_device,
				   .backend = r->row->backend,
				   .nic = r->row->nic,
				   .host = r->row->host,
				   .ifname = r->ifname,
				   .sw = &r->sw,
				   .words = words,
				   .kernel = r->b->kernel,
				   .qemu = &r->b->qemu };
	int ret;

	run_words(r, words, sizeof(words));
	ret = m->start(&r->guest, &boot, why, sizeof(why));
	if (ret < 0)
		return bench_run_fail(r, why);
	ret = bench_run_expect(r, "FL READY", READY_MS, line, sizeof(line));
	if (ret == 0 && bench_ready_parse(line, r->mac) < 0)
		return bench_run_fail(r, "the guest's READY line makes no sense");
	return ret;
}

/* --- traffic ------------------------------------------------------------- */
void bench_run_note(struct bench_run *r)
{
	r->in0 = bench_netdev_count(r->ifname, "rx_packets");
	r->dropped0 = bench_netdev_count(r->ifname, "tx_dropped");
	r->missed0 = bench_netdev_count(r->ifname, "rx_missed_errors");
	r->fifo0 = bench_netdev_count(r->ifname, "rx_fifo_errors");
}

static int run_traffic_ready(struct bench_run *r)
{
	int ret = 0;

	if (!r->ifname[0])
		return 0;
	bench_run_note(r);
	if (r->row->direction == BENCH_PINGPONG)
		ret = bench_reflector_start(r->ifname, &r->traffic);
	else if (r->row->direction == BENCH_TX && bench_run_on(r, "wire"))
		ret = r->counter = bench_counter_open(r->ifname, MG_FRAME_ETHERTYPE);
	if (ret < 0) {
		char why[96];

		snprintf(why, sizeof(why), "traffic at %s: %s", r->ifname, strerror(-ret));
		return bench_run_fail(r, why);
	}
	return 0;
}

static int run_source(struct bench_run *r, unsigned int duration_ms)
{
	struct bench_source s = { .ifname = r->ifname,
				  .size = r->row->frame_bytes - BENCH_FCS,
				  .duration_ms = duration_ms };

	memcpy(s.dst, r->mac, 6);
	if (bench_netdev_mac(r->ifname, s.src) < 0 || bench_source_start(&s, &r->traffic) < 0)
		return bench_run_fail(r, "the traffic source does not start");
	return 0;
}

int bench_run_measure(struct bench_run *r, const struct bench_monitor *m, const char *command,
		      unsigned int source_ms, int answer_ms)
{
	char line[512];
	int ret = m->counters(&r->guest, &r->before);

	if (ret < 0)
		return bench_run_fail(r, "its counters cannot be read");
	bench_child_say(&r->guest.child, command);
	if (r->row->direction == BENCH_RX) {
		/* first the guest takes away what came before the command */
		ret = bench_pause(&r->b->sig, BENCH_SETTLE_MS);
		ret = ret < 0 ? ret : run_source(r, source_ms);
	}
	if (ret == 0)
		ret = bench_run_expect(r, "FL RESULT", answer_ms, line, sizeof(line));
	if (ret == 0 && bench_result_parse(line, r->row->direction, &r->s->result) < 0)
		ret = bench_run_fail(r, "the guest's RESULT line makes no sense");
	if (ret == 0 && m->counters(&r->guest, &r->after) < 0)
		ret = bench_run_fail(r, "its counters cannot be read");
	if (ret == 0)
		ret = bench_pause(&r->b->sig, BENCH_SETTLE_MS);
	bench_traffic_stop(r->traffic, &r->count);
	r->traffic = NULL;
	if (ret == 0 && r->row->ports)
		r->sw_stats = bench_switch_stats(&r->sw);
	return ret;
}

/* --- figures ------------------------------------------------------------- */
static void loss_cause(struct bench_sample *s, const char *name, uint64_t frames,
		       uint64_t *unaccounted)
{
	if (!frames)
		return;
	if (frames > *unaccounted)
		frames = *unaccounted;
	*unaccounted -= frames;
	for (unsigned int i = 0; frames && i < BENCH_N_CAUSES; i++)
		if (!s->cause[i].name[0] || !strcmp(s->cause[i].name, name)) {
			snprintf(s->cause[i].name, sizeof(s->cause[i].name), "%s", name);
			s->cause[i].frames += frames;
			return;
		}
}

/* Whether a counter of the device tells of frames that were dropped on this row's way. */
static bool loss_counter(const char *name, enum bench_direction d)
{
	if (d != BENCH_RX && !strncmp(name, "tx_drop_", 8))
		return true;
	return d != BENCH_TX &&
	       (!strncmp(name, "rx_drop_", 8) || !strcmp(name, "rx_no_descriptor"));
}

static void loss_of_nic(struct bench_run *r, json_t *before, json_t *after, enum bench_direction d,
			uint64_t *unaccounted)
{
	const char *name;
	json_t *value;

	json_object_foreach(after, name, value) {
		json_int_t n = json_integer_value(value) -
			       json_integer_value(json_object_get(before, name));

		if (n > 0 && loss_counter(name, d))
			loss_cause(r->s, name, (uint64_t)n, unaccounted);
	}
}

static void loss_of_device(struct bench_run *r, uint64_t *unaccounted)
{
	bool cross = r->row->direction == BENCH_CROSS;

	loss_of_nic(r, r->before.nic, r->after.nic, cross ? BENCH_TX : r->row->direction,
		    unaccounted);
	if (r->after.nic2)
		loss_of_nic(r, r->before.nic2, r->after.nic2, cross ? BENCH_RX : r->row->direction,
			    unaccounted);
}

static void loss_at_port(struct bench_run *r, const char *port, const char *side,
			 uint64_t *unaccounted)
{
	const json_t *before = bench_switch_drops(r->sw_before, port, side);
	char cause[40];
	const char *name;
	json_t *n;

	json_object_foreach((json_t *)bench_switch_drops(r->sw_stats, port, side), name, n) {
		json_int_t more =
			json_integer_value(n) - json_integer_value(json_object_get(before, name));

		snprintf(cause, sizeof(cause), "switch_%.32s", name);
		loss_cause(r->s, cause, more > 0 ? (uint64_t)more : 0, unaccounted);
	}
}

/* The guest's port is "a", the other one "b" or "pool". Only what is on this row's way. */
static void loss_of_switch(struct bench_run *r, uint64_t *unaccounted)
{
	const char *far = bench_run_on(r, "switch") ? "b" : "pool";

	if (!r->sw_stats)
		return;
	if (r->row->direction != BENCH_RX) {
		loss_at_port(r, "a", "in_drops", unaccounted);
		loss_at_port(r, far, "out_drops", unaccounted);
	}
	if (r->row->direction == BENCH_RX || r->row->direction == BENCH_PINGPONG) {
		loss_at_port(r, far, "in_drops", unaccounted);
		loss_at_port(r, "a", "out_drops", unaccounted);
	}
	if (r->row->lane == LANE_VMDQ && r->row->direction != BENCH_TX)
		loss_cause(r->s, "nic_rx_missed", bench_switch_missed(&r->sw) - r->nic_missed0,
			   unaccounted);
}

static void run_loss(struct bench_run *r)
{
	struct bench_sample *s = r->s;
	uint64_t arrived = s->result.total, unaccounted, dropped = 0;

	s->sent = s->result.total;
	if (r->row->direction == BENCH_RX) {
		s->sent = r->count.frames;
		dropped = bench_netdev_count(r->ifname, "tx_dropped") - r->dropped0;
		/* what was refused to the source was tried again */
		dropped = dropped > r->count.refused ? dropped - r->count.refused : 0;
		s->offered_mpps =
			r->count.ns ? (double)r->count.frames * 1e3 / (double)r->count.ns : 0;
	} else if (r->row->direction == BENCH_CROSS) {
		s->sent = s->result.sent;
	} else if (bench_is_tcp(r->row->direction) || r->row->direction == BENCH_PINGPONG) {
		arrived = s->result.total - s->result.lost;
	} else if (r->counter >= 0) {
		arrived = bench_counter_read(r->counter);
	} else if (r->ifname[0]) {
		arrived = bench_netdev_count(r->ifname, "rx_packets") - r->in0;
	} else {
		arrived -= s->result.lost;
	}
	s->lost = s->sent > arrived ? s->sent - arrived : 0;
	unaccounted = s->lost;
	/* some of them for nothing: only the sender knows why */
	if (bench_is_tcp(r->row->direction)) {
		loss_cause(s, "tcp_retransmits", s->lost, &unaccounted);
		return;
	}
	if (r->row->direction == BENCH_TX)
		loss_cause(s, "tx_never_completed", s->result.lost, &unaccounted);
	loss_of_switch(r, &unaccounted);
	loss_of_device(r, &unaccounted);
	loss_cause(s, "interface_tx_dropped", dropped, &unaccounted);
	if (r->row->direction != BENCH_RX && r->ifname[0]) {
		loss_cause(s, "interface_rx_missed",
			   bench_netdev_count(r->ifname, "rx_missed_errors") - r->missed0,
			   &unaccounted);
		loss_cause(s, "interface_rx_fifo",
			   bench_netdev_count(r->ifname, "rx_fifo_errors") - r->fifo0,
			   &unaccounted);
	}
	/* the guest's NIC says that it has sent them, and nothing of the peer port has seen them */
	if (r->row->direction == BENCH_TX && r->counter >= 0)
		loss_cause(s, "wire", unaccounted, &unaccounted);
	loss_cause(s, "unaccounted", unaccounted, &unaccounted);
}

int bench_run_figures(struct bench_run *r)
{
	struct bench_sample *s = r->s;
	int64_t cpu = (int64_t)(r->after.cpu_ns - r->before.cpu_ns);

	s->has_exits = r->before.has_exits && r->after.has_exits;
	s->has_all_exits = r->before.has_all_exits && r->after.has_all_exits;
	s->user_exits = r->after.user_exits - r->before.user_exits;
	s->exits = r->after.exits - r->before.exits;
	/* a guest that ran for a second without guest time: this kernel does not account it */
	s->has_cpu =
		r->before.has_cpu && r->after.has_cpu && r->after.guest_ns > r->before.guest_ns;
	s->cpu_ns = cpu > 0 ? (uint64_t)cpu : 0;
	run_loss(r);
	if (r->count.err < 0)
		return bench_run_fail(r, strerror(-r->count.err));
	if (s->result.bad)
		return bench_run_fail(r, "frames came with wrong content");
	if (!s->result.frames)
		return bench_run_fail(r, "no frame within the measured window");
	s->ok = true;
	return 0;
}

/* --- all of it ----------------------------------------------------------- */
void bench_run_end(struct bench_run *r, const struct bench_monitor *m, const char *quit)
{
	bench_traffic_stop(r->traffic, NULL);
	if (r->counter >= 0)
		close(r->counter);
	if (quit)
		bench_child_say(&r->guest.child, quit);
	bench_child_end(&r->guest.child, quit ? BYE_MS : 0);
	bench_child_free(&r->guest.child);
	m->release(&r->guest);
	json_decref(r->sw_stats);
	json_decref(r->sw_before);
	bench_switch_end(&r->sw);
	bench_counters_free(&r->before);
	bench_counters_free(&r->after);
}

void bench_run_init(struct bench_run *r, struct bench *b, const struct bench_row *row,
		    struct bench_sample *s)
{
	*r = (struct bench_run){ .b = b,
				 .row = row,
				 .s = s,
				 .counter = -1,
				 .sw = { .child = { .in = -1, .out = -1, .err = -1 } },
				 .guest = { .tap = -1,
					    .child = { .in = -1, .out = -1, .err = -1 } } };
	snprintf(r->guest.name, sizeof(r->guest.name), "compare-%d-%u", (int)getpid(),
		 b->n_guests++);
	if (bench_run_on(r, "tap"))
		snprintf(r->ifname, sizeof(r->ifname), "flc%d", (int)getpid() % 10000000);
	if (bench_run_on(r, "wire"))
		snprintf(r->ifname, sizeof(r->ifname), "%s", b->hw.wire);
}

int bench_run(struct bench *b, struct bench_row *row, const struct bench_monitor *m,
	      struct bench_sample *s)
{
	struct bench_run r;
	int ret;

	*s = (struct bench_sample){ .done = true };
	bench_run_init(&r, b, row, s);
	ret = bench_pause(&b->sig, 0);
	if (ret == 0)
		ret = bench_run_switch(&r);
	if (ret == 0)
		ret = run_boot(&r, m);
	if (ret == 0)
		ret = run_traffic_ready(&r);
	if (ret == 0)
		ret = bench_run_measure(&r, m, "g", b->o.warm_ms + b->o.window_ms + SOURCE_MORE_MS,
					(int)(b->o.warm_ms + b->o.window_ms) + RESULT_MS);
	if (ret == 0)
		ret = bench_run_figures(&r);
	bench_run_end(&r, m, ret == 0 ? "q" : NULL);
	return ret == -EINTR ? ret : 0;
}
