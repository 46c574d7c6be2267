/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one packet loop of all lanes: transmit, receive (or reflect), ping-pong, and cross (out by
 * one NIC, in by another). Called by mg_main.c for each 'g', calls the driver through struct
 * mg_driver only, so that two lanes differ by their driver and device and by nothing else. Prints
 * one RESULT line and is silent before.
 */
#include "mg_frame.h"
#include "mg_lib.h"

#define DRAIN_MS    1000  /* for the last transmit descriptors */
#define FIRST_MS    10000 /* for the first frame */
#define QUIET_MS    300   /* without a frame: the traffic is over */
#define ENDLESS_MS  30000 /* traffic that never ends is left after this */
#define PONG_MS     100   /* a round trip longer than this is lost */
#define IDLE_POLLS  64    /* empty polls until used buffers are given back */
#define CHECK_EVERY 64    /* payload of every so many frames is compared */
#define RX_BURST    64
#define SAY_MS      20   /* from saying an address until it is known */
#define SAY_TYPE    0xb6 /* second byte of the type of a frame that says an address: 0x88b6 */

/* What a run has counted. The measured window is frames, bytes, ticks, kicks; the rest is the
 * whole. */
struct run {
	uint64_t start, t0, t1;        /* TSC: start of all, of the window, its end; 0: not yet */
	uint64_t warm, window;         /* ticks */
	uint64_t frames0, kicks0;      /* at t0 */
	uint64_t frames, bytes, kicks; /* within the window */
	uint64_t total, lost, bad, other;
	uint64_t bytes_total, bytes0;
	uint64_t first; /* cross: number of its first frame, earlier ones are of another run */
};

static uint64_t all_kicks(const struct mg *mg)
{
	return mg->kicks + (mg->peer ? mg->peer->kicks : 0);
}

/*
 * Moves the run along: opens the window warm after start, closes it window later.
 * Returns 1 once the window is closed.
 */
static int run_clock(struct mg *mg, struct run *run, uint64_t now)
{
	if (run->t1)
		return 1;
	if (!run->t0) {
		if (now - run->start < run->warm)
			return 0;
		run->t0 = now;
		run->frames0 = run->total;
		run->bytes0 = run->bytes_total;
		run->kicks0 = all_kicks(mg);
	}
	if (now - run->t0 < run->window)
		return 0;
	run->t1 = now;
	run->frames = run->total - run->frames0;
	run->bytes = run->bytes_total - run->bytes0;
	run->kicks = all_kicks(mg) - run->kicks0;
	return 1;
}

static void run_begin(struct mg *mg, struct run *run)
{
	memset(run, 0, sizeof(*run));
	run->warm = mg_ticks(mg, mg->opt.warm_ms);
	run->window = mg_ticks(mg, mg->opt.ms);
	run->start = mg_tsc();
}

static void print_result(struct mg *mg, const struct run *run)
{
	mg_puts("FL RESULT dev=");
	mg_puts(mg->drv->name);
	mg_puts(" mode=");
	mg_put_opt(mg->opt.cmdline, "mode");
	mg_put_field("size", mg->opt.size);
	mg_put_field("batch", mg->opt.batch);
	mg_put_field("frames", run->frames);
	mg_put_field("bytes", run->bytes);
	mg_put_field("ns", mg_ns(mg, run->t1 - run->t0));
	mg_put_field("total", run->total);
	mg_put_field("kicks", run->kicks);
	mg_put_field("lost", run->lost);
	mg_put_field("bad", run->bad);
}

/* ---- Transmit ------------------------------------------------------------------------------- */
static unsigned int reap(struct mg *mg)
{
	unsigned int n = mg->drv->tx_reap(mg);

	mg->tx_free += n;
	return n;
}

/* What the payload of a frame is made from. */
static uint32_t frame_seed(const struct mg *mg, uint64_t seq)
{
	return mg->opt.check_all ? mg->opt.seed + (uint32_t)seq : mg->opt.seed;
}

/* n free slots, numbered from seq on, go out with one doorbell. */
static void send_numbered(struct mg *mg, unsigned int n, uint64_t seq)
{
	for (unsigned int i = 0; i < n; i++) {
		struct mg_frame_hdr *hdr = (void *)mg_tx_frame(mg, (mg->tx_next + i) % MG_N_SLOTS);

		if (mg->opt.check_all)
			mg_frame_fill(hdr, mg->opt.size, mg->opt.dst, mg->mac,
				      frame_seed(mg, seq + i));
		hdr->seq = seq + i;
	}
	mg->drv->tx_burst(mg, n);
	mg->tx_next = (mg->tx_next + n) % MG_N_SLOTS;
	mg->tx_free -= n;
}

/* Waits until at least n slots are free; returns how many became so. */
static unsigned int drain(struct mg *mg, unsigned int n, uint64_t ms)
{
	uint64_t start = mg_tsc(), limit = mg_ticks(mg, ms);
	unsigned int done = reap(mg);

	while (mg->tx_free < n && mg_tsc() - start < limit) {
		mg_relax();
		done += reap(mg);
	}
	return done;
}

void mg_loop_tx(struct mg *mg)
{
	struct run run;
	uint64_t sent = 0, size = mg->opt.size;

	run_begin(mg, &run);
	for (;;) {
		unsigned int done = reap(mg);

		run.total += done;
		run.bytes_total += done * size;
		if (run_clock(mg, &run, mg_tsc()))
			break;
		if (mg->tx_free < mg->opt.batch) {
			mg_relax();
			continue;
		}
		send_numbered(mg, mg->opt.batch, sent);
		sent += mg->opt.batch;
	}
	run.total += drain(mg, mg->tx_room, DRAIN_MS);
	run.lost = sent - run.total;
	run.total = sent;
	print_result(mg, &run);
	mg_puts("\n");
}

/* ---- Receive -------------------------------------------------------------------------------- */
struct receiver {
	struct mg_rx rx[RX_BURST];
	unsigned int n_held; /* taken since the last refill */
	unsigned int n_idle; /* empty polls since the last frame */
	uint64_t expect;     /* sequence number */
	int started;
};

static unsigned int poll_rx(struct mg *mg, struct receiver *receiver)
{
	unsigned int n = mg->drv->rx_burst(mg, receiver->rx, RX_BURST);

	receiver->n_held += n;
	receiver->n_idle = n ? 0 : receiver->n_idle + 1;
	if (!n)
		mg_relax();
	return n;
}

/* Gives buffers back a batch at a time, or all of them when the line has gone quiet. */
static void refill(struct mg *mg, struct receiver *receiver, unsigned int batch)
{
	if (!receiver->n_held || (receiver->n_held < batch && receiver->n_idle < IDLE_POLLS))
		return;
	mg->drv->rx_refill(mg);
	receiver->n_held = 0;
	receiver->n_idle = 0;
}

/* What has come before the run is not its business. */
static void discard_rx(struct mg *mg, struct receiver *receiver)
{
	memset(receiver, 0, sizeof(*receiver));
	for (int i = 0; i < 4 * MG_N_SLOTS && poll_rx(mg, receiver); i++)
		refill(mg, receiver, 1);
	refill(mg, receiver, 1);
}

/* Gaps are losses; a frame that comes late takes its loss back. */
static void note_sequence(struct run *run, struct receiver *receiver, uint64_t seq)
{
	if (!receiver->started) {
		receiver->started = 1;
		receiver->expect = seq;
	}
	if (seq < receiver->expect) {
		if (run->lost)
			run->lost--;
		return;
	}
	run->lost += seq - receiver->expect;
	receiver->expect = seq + 1;
}

/* Header of each frame, payload of some. 1 when the frame is as sent. */
static int frame_is_good(const struct mg *mg, const struct mg_rx *rx)
{
	const struct mg_frame_hdr *hdr = (const void *)rx->data;

	return rx->len == mg->opt.size && hdr->seed == frame_seed(mg, hdr->seq) &&
	       ((hdr->seq % CHECK_EVERY && !mg->opt.check_all) ||
		mg_frame_check(rx->data, rx->len, hdr->seed));
}

/* Back to where it came from. Dropped when the device keeps every slot. */
static void reflect(struct mg *mg, const struct mg_rx *rx)
{
	uint32_t slot = mg->tx_next;
	uint8_t *frame = mg_tx_frame(mg, slot);

	if (!mg->tx_free)
		drain(mg, 1, 10);
	if (!mg->tx_free || rx->len > mg->stride - mg->headroom)
		return;
	memcpy(frame, rx->data, rx->len);
	memcpy(frame, rx->data + 6, 6);
	memcpy(frame + 6, mg->mac, 6);
	mg->tx_len[slot] = rx->len;
	mg->tx_next = (slot + 1) % MG_N_SLOTS;
	mg->tx_free--;
	mg->drv->tx_burst(mg, 1);
}

/* Counts one frame; 1 when it was a test frame. */
static int take_frame(struct mg *mg, struct run *run, struct receiver *receiver,
		      const struct mg_rx *rx)
{
	const struct mg_frame_hdr *hdr = (const void *)rx->data;

	if (!rx->len) {
		run->bad++;
		return 0;
	}
	if (!mg_frame_is_test(rx->data, rx->len) || hdr->seq < run->first) {
		run->other++;
		return 0;
	}
	run->total++;
	run->bytes_total += rx->len;
	if (!frame_is_good(mg, rx))
		run->bad++;
	if (hdr->seed == frame_seed(mg, hdr->seq))
		note_sequence(run, receiver, hdr->seq);
	if (mg->opt.echo)
		reflect(mg, rx);
	return 1;
}

static unsigned int receive(struct mg *mg, struct run *run, struct receiver *receiver)
{
	unsigned int n = poll_rx(mg, receiver), taken = 0;

	for (unsigned int i = 0; i < n; i++)
		taken += (unsigned int)take_frame(mg, run, receiver, &receiver->rx[i]);
	refill(mg, receiver, mg->opt.batch);
	if (mg->opt.echo)
		reap(mg);
	return taken;
}

/* 1 when a frame has come in time. */
static int await_first(struct mg *mg, struct run *run, struct receiver *receiver)
{
	uint64_t limit = mg_ticks(mg, mg->opt.first_ms ? mg->opt.first_ms : FIRST_MS);

	while (!receive(mg, run, receiver))
		if (mg_tsc() - run->start > limit)
			return 0;
	return 1;
}

void mg_loop_rx(struct mg *mg)
{
	struct run run;
	struct receiver receiver;
	uint64_t now, last;
	uint64_t quiet = mg_ticks(mg, QUIET_MS), endless = mg_ticks(mg, ENDLESS_MS);

	discard_rx(mg, &receiver);
	run_begin(mg, &run);
	if (!await_first(mg, &run, &receiver)) {
		if (!mg->opt.first_ms)
			mg_fail("nothing received");
		run.window = 0;
	}
	run.start = last = mg_tsc();
	for (;;) {
		unsigned int n = receive(mg, &run, &receiver);

		now = mg_tsc();
		if (n)
			last = now;
		if (run_clock(mg, &run, now) && (now - last > quiet || now - run.t1 > endless))
			break;
	}
	print_result(mg, &run);
	mg_put_field("other", run.other);
	mg_puts("\n");
}

/* ---- Ping-pong ------------------------------------------------------------------------------ */
/* Round trips in ticks: every stride-th is kept, the stride doubles whenever the table is full. */
struct samples {
	uint32_t *table;
	uint32_t n;
	uint64_t seen, stride, min, max;
};

static void add_sample(struct samples *samples, uint64_t ticks)
{
	if (ticks < samples->min)
		samples->min = ticks;
	if (ticks > samples->max)
		samples->max = ticks;
	if (samples->seen++ % samples->stride)
		return;
	if (samples->n == MG_N_SAMPLES) {
		for (uint32_t i = 0; i < MG_N_SAMPLES / 2; i++)
			samples->table[i] = samples->table[2 * i];
		samples->n = MG_N_SAMPLES / 2;
		samples->stride *= 2;
	}
	samples->table[samples->n++] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

static void print_samples(struct mg *mg, struct samples *samples)
{
	uint32_t n = samples->n;

	mg_sort(samples->table, n);
	mg_put_field("p50_ns", n ? mg_ns(mg, samples->table[n / 2]) : 0);
	mg_put_field("p99_ns", n ? mg_ns(mg, samples->table[(uint64_t)n * 99 / 100]) : 0);
	mg_put_field("min_ns", n ? mg_ns(mg, samples->min) : 0);
	mg_put_field("max_ns", mg_ns(mg, samples->max));
	mg_put_field("samples", n);
}

/* Looks for the answer with this number among what has come; 1 when it is there. */
static int take_answer(struct mg *mg, struct run *run, struct receiver *receiver, uint64_t seq)
{
	unsigned int n = poll_rx(mg, receiver);
	int found = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct mg_rx *rx = &receiver->rx[i];
		const struct mg_frame_hdr *hdr = (const void *)rx->data;

		if (!rx->len || !mg_frame_is_test(rx->data, rx->len) || hdr->seq != seq) {
			run->other++;
			continue;
		}
		found = 1;
		if (!frame_is_good(mg, rx))
			run->bad++;
	}
	return found;
}

/* The NIC at the other end, when it is ours: what has come to it goes back. */
struct far_end {
	struct run run;
	struct receiver receiver;
};

/* One frame out and back. Returns ticks, or 0 when its time is over. */
static uint64_t ping(struct mg *mg, struct run *run, struct receiver *receiver, struct far_end *far,
		     uint64_t seq)
{
	uint64_t start, sent, now, limit = mg_ticks(mg, PONG_MS);

	start = mg_tsc();
	send_numbered(mg, 1, seq);
	sent = mg_tsc(); /* the doorbell itself may have cost this CPU its turn */
	do {
		int found;

		/* before the look: an answer that is there when this CPU runs again is not late */
		now = mg_tsc();
		if (mg->peer)
			receive(mg->peer, &far->run, &far->receiver);
		found = take_answer(mg, run, receiver, seq);
		if (found)
			return mg_tsc() - start;
		if (receiver->n_held >= mg->opt.batch) /* other traffic must not use up the ring */
			refill(mg, receiver, mg->opt.batch);
	} while (now - sent < limit);
	return 0;
}

void mg_loop_pingpong(struct mg *mg)
{
	struct run run;
	struct receiver receiver;
	struct far_end far = { 0 };
	struct samples samples = { .table = mg->samples, .stride = 1, .min = UINT64_MAX };
	uint64_t seq = 0;

	discard_rx(mg, &receiver);
	run_begin(mg, &run);
	while (!run_clock(mg, &run, mg_tsc())) {
		uint64_t ticks;

		refill(mg, &receiver, mg->opt.batch); /* outside of the measured time */
		drain(mg, 1, PONG_MS);
		run.total++;
		ticks = mg->tx_free ? ping(mg, &run, &receiver, &far, seq++) : 0;
		if (!ticks) {
			run.lost++;
			continue;
		}
		if (run.t0)
			add_sample(&samples, ticks);
	}
	run.frames = samples.seen; /* round trips, not pings sent */
	run.bytes = samples.seen * mg->opt.size;
	drain(mg, mg->tx_room, DRAIN_MS);
	run.bad += far.run.bad;
	print_result(mg, &run);
	print_samples(mg, &samples);
	mg_puts("\n");
}

/* ---- Cross ---------------------------------------------------------------------------------- */
/* A frame, no test frame, that tells whatever lies between where mg's address is. */
static void say_address(struct mg *mg)
{
	uint8_t *frame;

	drain(mg, mg->tx_room, DRAIN_MS);
	if (!mg->tx_free)
		return;
	frame = mg_tx_frame(mg, mg->tx_next);
	mg_frame_fill(frame, mg->opt.size, mg->opt.dst, mg->mac, mg->opt.seed);
	frame[13] = SAY_TYPE;
	mg->tx_next = (mg->tx_next + 1) % MG_N_SLOTS;
	mg->tx_free--;
	mg->drv->tx_burst(mg, 1);
}

/* One turn: what has come first, so that its ring has room, then a burst out. Frames that came. */
static unsigned int cross_turn(struct mg *mg, struct run *run, struct receiver *receiver, int send)
{
	unsigned int n = receive(mg->peer, run, receiver);

	reap(mg);
	if (send && mg->tx_free >= mg->opt.batch) {
		send_numbered(mg, mg->opt.batch, mg->seq);
		mg->seq += mg->opt.batch;
	}
	return n;
}

static void print_cross(struct mg *mg, const struct run *run)
{
	print_result(mg, run);
	mg_put_field("sent", mg->seq - run->first);
	mg_put_field("received", run->total);
	mg_put_field("other", run->other);
	mg_puts(" dev2=");
	mg_puts(mg->peer->drv->name);
	mg_puts("\n");
}

/* total, frames and lost are the receiver's: what came is of use, what was sent is not. */
void mg_loop_cross(struct mg *mg)
{
	struct run run;
	struct receiver receiver;
	uint64_t last, sent;

	discard_rx(mg->peer, &receiver);
	say_address(mg->peer);
	mg_wait_us(mg, SAY_MS * UINT64_C(1000));
	run_begin(mg, &run);
	run.first = mg->seq;
	while (!run_clock(mg, &run, mg_tsc()))
		cross_turn(mg, &run, &receiver, 1);
	for (last = mg_tsc(); mg_tsc() - last < mg_ticks(mg, QUIET_MS);)
		if (cross_turn(mg, &run, &receiver, 0))
			last = mg_tsc();
	drain(mg, mg->tx_room, DRAIN_MS);
	sent = mg->seq - run.first;
	run.lost = sent > run.total ? sent - run.total : 0;
	if (run.total > sent) /* more than there were */
		run.bad += run.total - sent;
	print_cross(mg, &run);
}
