/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch's ring walker (vswitch/dp_ring.c, dp_frame.c) against a driver that does everything
 * right and one that does everything wrong. Without threads: the test is the worker. VIRTIO 1.2,
 * section 2.7; the header before each frame is 5.1.6.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <cmocka.h>

#include "helper_sw_guest.h"
#include "vswitch/dp_priv.h"

#define SIZE 64

struct fix {
	struct sg g;
	struct dp_port port;
	struct dp_ring ring[2];
	struct dp_worker w;
	struct dp_counters count;
	char last[256]; /* the newest message */
};

static void catch_line(void *opaque, const char *line)
{
	struct fix *f = opaque;

	snprintf(f->last, sizeof(f->last), "%s", line);
}

static void start(struct fix *f, uint64_t features, uint16_t size, uint16_t base)
{
	sg_open(&f->g, features, size, base);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(dp_ring_init(&f->ring[i], &f->port, i, &f->g.ring[i].conf), 0);
}

/* The same guest with other features, size or base. */
static void restart(struct fix *f, uint64_t features, uint16_t size, uint16_t base)
{
	sg_close(&f->g);
	start(f, features, size, base);
}

static int up(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	err_set_sink(catch_line, f);
	f->w.count = &f->count;
	snprintf(f->port.conf.name, sizeof(f->port.conf.name), "p0");
	start(f, SG_F_ALL, SIZE, 0);
	return 0;
}

static int down(void **state)
{
	struct fix *f = *state;

	sg_close(&f->g);
	err_set_sink(NULL, NULL);
	free(f);
	return 0;
}

/* --- what the worker does --- */
static unsigned int take(struct fix *f)
{
	return dp_ring_take(&f->ring[SG_TX], &f->w.burst);
}

static void done(struct fix *f, unsigned int n)
{
	dp_ring_done(&f->ring[SG_TX], n, &f->w);
}

/* All bytes of frame `i` of the burst, as they stand in guest memory. */
static void frame_is(const struct fix *f, unsigned int i, const uint8_t *want, uint32_t len)
{
	const struct dp_frame *fr = &f->w.burst.frame[i];
	uint32_t at = 0;

	assert_int_equal(fr->drop, DP_N_DROPS);
	assert_int_equal(fr->len, len);
	for (unsigned int k = 0; k < fr->n_segs; k++) {
		assert_true(at + fr->seg[k].len <= len);
		assert_memory_equal(fr->seg[k].ptr, want + at, fr->seg[k].len);
		at += fr->seg[k].len;
	}
	assert_int_equal(at, len);
	assert_memory_equal(fr->head, want, len < DP_HEAD ? len : DP_HEAD);
	for (at = len; at < DP_HEAD; at++)
		assert_int_equal(fr->head[at], 0);
}

static void given_back(struct fix *f, unsigned int ring, uint16_t head, uint32_t len)
{
	struct virtq_used_elem e;

	assert_true(sg_used(&f->g, ring, &e));
	assert_int_equal(e.id, head);
	assert_int_equal(e.len, len);
}

static void nothing_given_back(struct fix *f, unsigned int ring)
{
	struct virtq_used_elem e;

	assert_false(sg_used(&f->g, ring, &e));
}

/* The whole way of a frame that is fine: taken, and its chain given back. */
static void goes(struct fix *f, const uint8_t *frame, uint32_t len, const struct sg_cuts *cuts)
{
	uint16_t head = sg_send(&f->g, frame, len, cuts);

	assert_int_equal(take(f), 1);
	frame_is(f, 0, frame, len);
	nothing_given_back(f, SG_TX);
	done(f, 1);
	given_back(f, SG_TX, head, 0);
}

/* What was sent last is dropped for that reason, its chain is given back and the ring goes on. */
static void drops(struct fix *f, uint16_t head, enum dp_drop why)
{
	uint8_t frame[64];

	assert_int_equal(take(f), 1);
	assert_int_equal(f->w.burst.frame[0].drop, why);
	done(f, 1);
	given_back(f, SG_TX, head, 0);
	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	goes(f, frame, sizeof(frame), NULL);
}

/* The chain that waits breaks the ring: nothing is given back, nothing more is taken. */
static void breaks_tx(struct fix *f, const char *why)
{
	struct dp_ring *r = &f->ring[SG_TX];
	uint8_t frame[64] = { 0 };

	assert_int_equal(take(f), 1);
	assert_int_equal(f->w.burst.frame[0].drop, DP_DROP_BAD_RING);
	assert_true(atomic_load(&r->broken));
	nothing_given_back(f, SG_TX);
	assert_non_null(strstr(f->last, why));
	assert_non_null(strstr(f->last, "port p0: ring 1:"));
	sg_send(&f->g, frame, sizeof(frame), NULL);
	assert_int_equal(take(f), 0);
	assert_false(dp_ring_has_work(r));
}

/* One piece that holds header and frame, at descriptor 0. */
static uint64_t one_piece(struct fix *f)
{
	uint64_t addr = sg_alloc(&f->g, 100);

	memset(sg_ptr(&f->g, addr), 0, 100);
	sg_desc(&f->g, SG_TX, 0, addr, 100, 0, 0);
	return addr;
}

/* --- transmit: what is right --- */
static void frame_is_taken_and_its_chain_given_back(void **state)
{
	struct fix *f = *state;
	uint8_t frame[1514];

	for (int len = sizeof(frame); len >= 14; len -= 100) {
		sg_frame(frame, (uint32_t)len, 1, 2, SG_NO_TAG);
		goes(f, frame, (uint32_t)len, NULL);
	}
}

static void header_is_spread_over_descriptors(void **state)
{
	static const struct sg_cuts cuts[] = {
		{ .n = 3, .len = { 4, 4, 4 } },
		{ .n = 2, .len = { 5, 5 } },       /* the third has its end and the frame */
		{ .n = 4, .len = { 1, 2, 8, 5 } }, /* the fourth has its end and the beginning */
		{ .n = 12, .len = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
		{ .n = 3, .len = { 4, 4, 4 }, .indirect = true },
		{ .n = 1, .len = { 12 } },
	};
	struct fix *f = *state;
	uint8_t frame[300];

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
		goes(f, frame, sizeof(frame), &cuts[i]);
	}
}

static void header_without_version_1_is_two_bytes_shorter(void **state)
{
	struct fix *f = *state;
	uint8_t frame[60];

	restart(f, 0, SIZE, 0);
	assert_int_equal(f->g.hdr_len, 10);
	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	goes(f, frame, sizeof(frame), NULL);
}

static void elements_of_no_bytes_are_nothing(void **state)
{
	struct fix *f = *state;
	const struct sg_cuts cuts = { .n = 7, .len = { 0, 6, 0, 6, 0, 40, 0 } };
	uint8_t frame[100];
	uint16_t head;

	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	goes(f, frame, sizeof(frame), &cuts);
	/* also one that points to nowhere */
	head = sg_send(&f->g, frame, sizeof(frame), &cuts);
	f->g.ring[SG_TX].desc[head].addr = UINT64_MAX;
	assert_int_equal(take(f), 1);
	frame_is(f, 0, frame, sizeof(frame));
}

static void indirect_table_is_followed(void **state)
{
	struct fix *f = *state;
	const struct sg_cuts cuts = { .n = 4, .len = { 12, 1, 17, 30 }, .indirect = true };
	uint8_t frame[200];
	uint16_t head;

	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	goes(f, frame, sizeof(frame), &cuts);
	/* the flag WRITE means nothing on the descriptor of a table (2.7.5.3.2) */
	head = sg_send(&f->g, frame, sizeof(frame), &cuts);
	f->g.ring[SG_TX].desc[head].flags |= VIRTQ_DESC_F_WRITE;
	assert_int_equal(take(f), 1);
	frame_is(f, 0, frame, sizeof(frame));
}

/* Direct pieces first, a table last: 2.7.5.3.1 allows it. */
static void indirect_table_may_end_a_chain(void **state)
{
	struct fix *f = *state;
	uint64_t table = sg_alloc(&f->g, 16), hdr = sg_alloc(&f->g, 12), at = sg_alloc(&f->g, 64);
	struct virtq_desc *d = sg_ptr(&f->g, table);
	uint8_t frame[64];

	memset(sg_ptr(&f->g, hdr), 0, 12);
	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	memcpy(sg_ptr(&f->g, at), frame, sizeof(frame));
	*d = (struct virtq_desc){ .addr = at, .len = 64 };
	sg_desc(&f->g, SG_TX, 0, hdr, 12, VIRTQ_DESC_F_NEXT, 9);
	sg_desc(&f->g, SG_TX, 9, table, 16, VIRTQ_DESC_F_INDIRECT, 0);
	sg_post(&f->g, SG_TX, 0);
	assert_int_equal(take(f), 1);
	frame_is(f, 0, frame, sizeof(frame));
}

static void bursts_are_bounded(void **state)
{
	struct fix *f = *state;
	uint8_t frame[40][64];
	uint16_t head[40];

	for (unsigned int i = 0; i < 40; i++) {
		sg_frame(frame[i], 64, 1, 2, SG_NO_TAG);
		head[i] = sg_send(&f->g, frame[i], 64, NULL);
	}
	for (unsigned int from = 0; from < 40; from += 32) {
		unsigned int n = take(f);

		assert_int_equal(n, from ? 8 : 32);
		for (unsigned int i = 0; i < n; i++)
			frame_is(f, i, frame[from + i], 64);
		done(f, n);
		for (unsigned int i = 0; i < n; i++)
			given_back(f, SG_TX, head[from + i], 0);
	}
	assert_int_equal(take(f), 0);
	for (unsigned int i = 0; i < DP_BURST + 1; i++)
		sg_send(&f->g, frame[i], 64, NULL);
	assert_int_equal(take(f), DP_BURST);
}

static void disabled_ring_gives_nothing(void **state)
{
	struct fix *f = *state;
	uint8_t frame[64];

	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	sg_send(&f->g, frame, sizeof(frame), NULL);
	atomic_store(&f->ring[SG_TX].enabled, false);
	assert_false(dp_ring_has_work(&f->ring[SG_TX]));
	assert_int_equal(take(f), 0);
	atomic_store(&f->ring[SG_TX].enabled, true);
	assert_true(dp_ring_has_work(&f->ring[SG_TX]));
	assert_int_equal(take(f), 1);
}

/* --- transmit: frames that go nowhere --- */
static void frame_that_is_too_long_is_dropped(void **state)
{
	static uint8_t frame[DP_MAX_FRAME + 1];
	const struct sg_cuts cuts = { .n = 3, .len = { 12, 9000, 7384 } };
	struct fix *f = *state;

	sg_frame(frame, DP_MAX_FRAME, 1, 2, SG_NO_TAG);
	goes(f, frame, DP_MAX_FRAME, NULL);
	goes(f, frame, DP_MAX_FRAME, &cuts);
	sg_frame(frame, DP_MAX_FRAME + 1, 1, 2, SG_NO_TAG);
	drops(f, sg_send(&f->g, frame, DP_MAX_FRAME + 1, NULL), DP_DROP_TOO_LONG);
	drops(f, sg_send(&f->g, frame, DP_MAX_FRAME + 1, &cuts), DP_DROP_TOO_LONG);
}

/* `n` descriptors, all but the first and the last without bytes. */
static uint16_t send_chain_of(struct fix *f, unsigned int n, const uint8_t *frame, uint32_t len)
{
	uint64_t hdr = sg_alloc(&f->g, 12), at = sg_alloc(&f->g, len);
	uint16_t head = f->g.ring[SG_TX].free, d = head, size = f->g.ring[SG_TX].conf.size;

	memset(sg_ptr(&f->g, hdr), 0, 12);
	memcpy(sg_ptr(&f->g, at), frame, len);
	sg_desc(&f->g, SG_TX, d, hdr, 12, VIRTQ_DESC_F_NEXT, (uint16_t)((d + 1) % size));
	for (unsigned int i = 1; i < n - 1; i++) {
		d = (uint16_t)((d + 1) % size);
		sg_desc(&f->g, SG_TX, d, 0, 0, VIRTQ_DESC_F_NEXT, (uint16_t)((d + 1) % size));
	}
	d = (uint16_t)((d + 1) % size);
	sg_desc(&f->g, SG_TX, d, at, len, 0, 0);
	f->g.ring[SG_TX].free = (uint16_t)((d + 1) % size);
	sg_post(&f->g, SG_TX, head);
	return head;
}

/* A worker looks at so many descriptors of a frame and no more, whatever the others are. */
static void chain_longer_than_is_looked_at_is_dropped(void **state)
{
	struct fix *f = *state;
	uint8_t frame[64];
	uint16_t head;

	restart(f, SG_F_ALL, 512, 0);
	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	head = send_chain_of(f, DP_CHAIN_MAX, frame, sizeof(frame));
	assert_int_equal(take(f), 1);
	frame_is(f, 0, frame, sizeof(frame));
	done(f, 1);
	given_back(f, SG_TX, head, 0);
	drops(f, send_chain_of(f, DP_CHAIN_MAX + 1, frame, sizeof(frame)), DP_DROP_TOO_LONG);
}

/* In a table of 8192, too; where a 32-bit sum of 512 KiB each would be that of a short frame. */
static void table_longer_than_is_looked_at_is_dropped(void **state)
{
	struct fix *f = *state;
	uint64_t hdr = sg_alloc(&f->g, 12 + 64), table = sg_alloc(&f->g, 8193 * 16);
	struct virtq_desc *d = sg_ptr(&f->g, table);

	memset(sg_ptr(&f->g, hdr), 0, 12 + 64);
	d[0] = (struct virtq_desc){ .addr = hdr, .len = 76, .flags = VIRTQ_DESC_F_NEXT, .next = 1 };
	for (unsigned int i = 1; i <= 8192; i++)
		d[i] = (struct virtq_desc){ .addr = SG_GPA,
					    .len = 0x80000,
					    .flags = i < 8192 ? VIRTQ_DESC_F_NEXT : 0,
					    .next = (uint16_t)(i + 1) };
	sg_desc(&f->g, SG_TX, 0, table, 8193 * 16, VIRTQ_DESC_F_INDIRECT, 0);
	sg_post(&f->g, SG_TX, 0);
	drops(f, 0, DP_DROP_TOO_LONG);
}

/* A loop that is longer than that is not told from a long chain: it ends, and is given back. */
static void loop_longer_than_is_looked_at_is_dropped(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_ALL, 512, 0);
	f->g.ring[SG_TX].free = 10;
	sg_desc(&f->g, SG_TX, 0, one_piece(f), 0, VIRTQ_DESC_F_NEXT, 0);
	sg_post(&f->g, SG_TX, 0);
	drops(f, 0, DP_DROP_TOO_LONG);
}

static void frame_in_too_many_pieces_is_dropped(void **state)
{
	struct sg_cuts cuts = { .n = DP_SEGS, .len = { 12 } };
	struct fix *f = *state;
	uint8_t frame[200];

	for (unsigned int i = 1; i < SG_MAX_CUTS; i++)
		cuts.len[i] = 2;
	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	goes(f, frame, sizeof(frame), &cuts); /* DP_SEGS pieces of a frame, one of the header */
	cuts.n++;
	drops(f, sg_send(&f->g, frame, sizeof(frame), &cuts), DP_DROP_TOO_LONG);
	cuts.indirect = true;
	drops(f, sg_send(&f->g, frame, sizeof(frame), &cuts), DP_DROP_TOO_LONG);
}

/* A table of `n` descriptors of no bytes. */
static void empty_table(struct fix *f, unsigned int ring, uint16_t idx, uint32_t n)
{
	uint64_t table = sg_alloc(&f->g, n * 16);
	struct virtq_desc *d = sg_ptr(&f->g, table);

	for (uint32_t i = 0; i < n; i++)
		d[i] = (struct virtq_desc){ .flags = i + 1 < n ? VIRTQ_DESC_F_NEXT : 0,
					    .next = (uint16_t)(i + 1) };
	sg_desc(&f->g, ring, idx, table, n * 16, VIRTQ_DESC_F_INDIRECT, 0);
}

/* Looking at all of them for each frame would be work for others' time. */
static void chain_of_empty_descriptors_is_not_followed_to_its_end(void **state)
{
	struct fix *f = *state;

	empty_table(f, SG_TX, 0, 32768);
	sg_post(&f->g, SG_TX, 0);
	drops(f, 0, DP_DROP_TOO_LONG);
}

static void frame_that_is_too_short_is_dropped(void **state)
{
	struct fix *f = *state;
	uint8_t frame[14] = { 0 };

	drops(f, sg_send(&f->g, frame, 0, NULL), DP_DROP_TOO_SHORT);
	sg_frame(frame, 14, 1, 2, SG_NO_TAG);
	goes(f, frame, 14, NULL); /* behind a longer one */
	for (uint32_t len = 0; len < 14; len++)
		drops(f, sg_send(&f->g, frame, len, NULL), DP_DROP_TOO_SHORT);
}

static void chain_without_a_whole_header_is_dropped(void **state)
{
	struct fix *f = *state;

	for (uint32_t len = 0; len < 12; len++) {
		uint16_t head = f->g.ring[SG_TX].free;

		sg_desc(&f->g, SG_TX, head, sg_alloc(&f->g, len), len, 0, 0);
		sg_post(&f->g, SG_TX, head);
		f->g.ring[SG_TX].free = (uint16_t)(head + 1);
		drops(f, head, DP_DROP_TOO_SHORT);
	}
}

static void offload_that_was_not_negotiated_is_dropped(void **state)
{
	static const struct virtio_net_hdr hdr[] = {
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1460 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_ECN },
	};
	const struct sg_cuts in_pieces = { .n = 2, .len = { 1, 1 } };
	struct fix *f = *state;
	uint8_t frame[100];

	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	for (size_t i = 0; i < sizeof(hdr) / sizeof(hdr[0]); i++) {
		drops(f, sg_send_hdr(&f->g, &hdr[i], frame, sizeof(frame), NULL), DP_DROP_OFFLOAD);
		drops(f, sg_send_hdr(&f->g, &hdr[i], frame, sizeof(frame), &in_pieces),
		      DP_DROP_OFFLOAD);
	}
}

/* --- transmit: what breaks a ring --- */
static void descriptor_that_names_itself_breaks_the_ring(void **state)
{
	struct fix *f = *state;

	sg_desc(&f->g, SG_TX, 0, one_piece(f), 1, VIRTQ_DESC_F_NEXT, 0);
	sg_post(&f->g, SG_TX, 0);
	breaks_tx(f, "a chain without end");
}

static void loop_of_all_descriptors_breaks_the_ring(void **state)
{
	struct fix *f = *state;
	uint64_t addr = one_piece(f);

	for (uint16_t i = 0; i < SIZE; i++)
		sg_desc(&f->g, SG_TX, i, addr, 1, VIRTQ_DESC_F_NEXT, (uint16_t)((i + 1) % SIZE));
	sg_post(&f->g, SG_TX, 0);
	breaks_tx(f, "a chain without end");
}

static void loop_without_bytes_breaks_the_ring(void **state)
{
	struct fix *f = *state;

	sg_desc(&f->g, SG_TX, 3, SG_GPA, 0, VIRTQ_DESC_F_NEXT, 4);
	sg_desc(&f->g, SG_TX, 4, SG_GPA, 0, VIRTQ_DESC_F_NEXT, 3);
	sg_post(&f->g, SG_TX, 3);
	breaks_tx(f, "a chain without end");
}

/* As long as the table, with an end: that is no loop. */
static void chain_of_the_whole_ring_is_taken(void **state)
{
	struct sg_cuts cuts = { .n = SIZE - 1 };
	struct fix *f = *state;
	uint8_t frame[64];

	cuts.len[0] = 12;
	cuts.len[SIZE - 3] = 40;
	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	goes(f, frame, sizeof(frame), &cuts);
}

static void next_beyond_the_table_breaks_the_ring(void **state)
{
	struct fix *f = *state;

	sg_desc(&f->g, SG_TX, 0, one_piece(f), 100, VIRTQ_DESC_F_NEXT, SIZE);
	sg_post(&f->g, SG_TX, 0);
	breaks_tx(f, "a descriptor beyond its table");
}

static void head_beyond_the_table_breaks_the_ring(void **state)
{
	static const uint16_t head[] = { SIZE, SIZE + 1, 0x8000, 0xffff };
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
		restart(f, SG_F_ALL, SIZE, 0);
		sg_post(&f->g, SG_TX, head[i]);
		breaks_tx(f, "a descriptor beyond its table");
	}
}

static void next_that_is_not_flagged_is_not_looked_at(void **state)
{
	struct fix *f = *state;

	one_piece(f);
	f->g.ring[SG_TX].desc[0].next = 0xffff;
	sg_post(&f->g, SG_TX, 0);
	assert_int_equal(take(f), 1);
	assert_int_equal(f->w.burst.frame[0].drop, DP_N_DROPS);
}

/* A table of one piece, at descriptor 0 of the ring. */
static struct virtq_desc *one_table(struct fix *f, uint32_t len, uint16_t flags)
{
	uint64_t table = sg_alloc(&f->g, 1024);
	struct virtq_desc *d = sg_ptr(&f->g, table);

	d[0] = (struct virtq_desc){ .addr = one_piece(f), .len = 100 };
	sg_desc(&f->g, SG_TX, 0, table, len, flags | VIRTQ_DESC_F_INDIRECT, 1);
	sg_post(&f->g, SG_TX, 0);
	return d;
}

static void indirect_table_not_negotiated_breaks_the_ring(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_ALL & ~SG_F_INDIRECT, SIZE, 0);
	one_table(f, 16, 0);
	breaks_tx(f, "an indirect table where none may be");
}

static void indirect_table_in_a_table_breaks_the_ring(void **state)
{
	struct fix *f = *state;
	struct virtq_desc *d = one_table(f, 32, 0);

	d[1] = d[0];
	d[0] = (struct virtq_desc){ .addr = f->g.ring[SG_TX].desc[0].addr + 16,
				    .len = 16,
				    .flags = VIRTQ_DESC_F_INDIRECT };
	breaks_tx(f, "an indirect table where none may be");
}

static void indirect_table_that_names_itself_breaks_the_ring(void **state)
{
	struct fix *f = *state;
	struct virtq_desc *d = one_table(f, 16, 0);

	d[0] = f->g.ring[SG_TX].desc[0];
	breaks_tx(f, "an indirect table where none may be");
}

static void indirect_table_with_a_next_breaks_the_ring(void **state)
{
	struct fix *f = *state;

	one_table(f, 16, VIRTQ_DESC_F_NEXT);
	breaks_tx(f, "an indirect table of a wrong shape");
}

static void indirect_table_of_a_wrong_length_breaks_the_ring(void **state)
{
	static const uint32_t len[] = { 0, 1, 8, 15, 17, 40, (VIRTQ_MAX_SIZE + 1) * 16 };
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		restart(f, SG_F_ALL, SIZE, 0);
		one_table(f, len[i], 0);
		breaks_tx(f, "an indirect table of a wrong shape");
	}
}

static void loop_in_an_indirect_table_breaks_the_ring(void **state)
{
	struct fix *f = *state;
	struct virtq_desc *d = one_table(f, 32, 0);

	d[0].flags = d[1].flags = VIRTQ_DESC_F_NEXT;
	d[0].next = 1;
	breaks_tx(f, "a chain without end");
}

/* The index is fine for the ring, but not for the table. */
static void next_beyond_an_indirect_table_breaks_the_ring(void **state)
{
	struct fix *f = *state;
	struct virtq_desc *d = one_table(f, 32, 0);

	d[0].flags = VIRTQ_DESC_F_NEXT;
	d[0].next = 2;
	breaks_tx(f, "a descriptor beyond its table");
}

static void indirect_table_outside_of_memory_breaks_the_ring(void **state)
{
	static const uint64_t addr[] = { 0, SG_GPA - 16, SG_GPA + SG_MEM, SG_GPA + SG_MEM - 8,
					 UINT64_MAX - 15 };
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(addr) / sizeof(addr[0]); i++) {
		restart(f, SG_F_ALL, SIZE, 0);
		one_table(f, 16, 0);
		f->g.ring[SG_TX].desc[0].addr = addr[i];
		breaks_tx(f, "an indirect table outside of guest memory");
	}
}

static const struct {
	uint64_t addr;
	uint32_t len;
} outside[] = {
	{ 0, 100 },
	{ SG_GPA - 1, 100 },
	{ SG_GPA + SG_MEM, 1 },
	{ SG_GPA + SG_MEM - 99, 100 },
	{ SG_GPA, SG_MEM + 1 },
	{ SG_GPA, UINT32_MAX },
	{ UINT64_MAX, 1 },
	{ UINT64_MAX - 98, 100 },
	{ SG_GPA + 1 - (UINT64_C(1) << 32), UINT32_MAX },
};

static void address_outside_of_memory_breaks_the_ring(void **state)
{
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		restart(f, SG_F_ALL, SIZE, 0);
		sg_desc(&f->g, SG_TX, 0, outside[i].addr, outside[i].len, 0, 0);
		sg_post(&f->g, SG_TX, 0);
		breaks_tx(f, "memory that is not the guest's");
	}
}

/* The last byte of memory is the guest's as well. */
static void frame_at_the_end_of_memory_is_taken(void **state)
{
	struct fix *f = *state;
	uint8_t frame[64];

	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	memset(f->g.mem + SG_MEM - 76, 0, 12);
	memcpy(f->g.mem + SG_MEM - 64, frame, 64);
	sg_desc(&f->g, SG_TX, 0, SG_GPA + SG_MEM - 76, 76, 0, 0);
	sg_post(&f->g, SG_TX, 0);
	assert_int_equal(take(f), 1);
	frame_is(f, 0, frame, 64);
}

static void writable_piece_in_a_transmit_chain_breaks_the_ring(void **state)
{
	struct fix *f = *state;
	uint64_t addr = one_piece(f);

	sg_desc(&f->g, SG_TX, 0, addr, 50, VIRTQ_DESC_F_NEXT, 1);
	sg_desc(&f->g, SG_TX, 1, addr + 50, 50, VIRTQ_DESC_F_WRITE, 0);
	sg_post(&f->g, SG_TX, 0);
	breaks_tx(f, "a transmit chain has a writable piece");
}

static void index_that_jumps_beyond_the_ring_breaks_it(void **state)
{
	static const uint16_t jump[] = { SIZE + 1, 0x8000, 0xffff };
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(jump) / sizeof(jump[0]); i++) {
		restart(f, SG_F_ALL, SIZE, 1000);
		f->g.ring[SG_TX].avail->idx = (uint16_t)(1000 + jump[i]);
		assert_int_equal(take(f), 0);
		assert_true(atomic_load(&f->ring[SG_TX].broken));
		assert_non_null(strstr(f->last, "more entries than the ring has"));
		nothing_given_back(f, SG_TX);
	}
}

static void ring_full_to_the_last_entry_is_fine(void **state)
{
	struct fix *f = *state;
	uint8_t frame[64];

	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	for (unsigned int i = 0; i < SIZE; i++)
		sg_send(&f->g, frame, sizeof(frame), NULL);
	assert_int_equal(take(f), 32);
	done(f, 32);
	assert_int_equal(take(f), 32);
	done(f, 32);
	assert_int_equal(f->g.ring[SG_TX].used->idx, SIZE);
}

static void frames_before_the_bad_one_go_on(void **state)
{
	struct fix *f = *state;
	uint8_t frame[3][64];

	for (unsigned int i = 0; i < 3; i++) {
		sg_frame(frame[i], 64, 1, 2, SG_NO_TAG);
		sg_send(&f->g, frame[i], 64, NULL);
	}
	f->g.ring[SG_TX].desc[2].addr = 0;
	assert_int_equal(take(f), 3);
	frame_is(f, 0, frame[0], 64);
	frame_is(f, 1, frame[1], 64);
	assert_int_equal(f->w.burst.frame[2].drop, DP_DROP_BAD_RING);
	assert_true(atomic_load(&f->ring[SG_TX].broken));
}

static void broken_ring_is_said_at_a_limited_rate(void **state)
{
	struct fix *f = *state;

	sg_post(&f->g, SG_TX, SIZE);
	breaks_tx(f, "it stops until the guest sets it up again");
	f->last[0] = '\0';
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(take(f), 0);
	assert_string_equal(f->last, "");
	assert_int_equal(f->ring[SG_TX].limit.count, 1);
}

/* What is checked is what is used, whatever the guest writes meanwhile. */
static void head_that_changes_after_it_was_taken_does_not_leave(void **state)
{
	struct fix *f = *state;
	uint8_t frame[64], out[64];

	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	sg_send(&f->g, frame, sizeof(frame), NULL);
	assert_int_equal(take(f), 1);
	memset(sg_ptr(&f->g, f->g.ring[SG_TX].desc[0].addr), 0x55, 12 + 20);
	assert_int_equal(dp_frame_copy(&f->w.burst.frame[0], false, out), 64);
	assert_memory_equal(out, frame, 14);
}

/* --- indices --- */
static void send_and_receive(struct fix *f, unsigned int n)
{
	uint8_t frame[80], got[SG_MAX_FRAME];

	for (unsigned int i = 0; i < n; i++) {
		sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
		goes(f, frame, sizeof(frame), NULL);
		sg_buffer(&f->g, 100, NULL);
		assert_int_equal(dp_ring_put(&f->ring[SG_RX], &f->w.burst.frame[0], false),
				 DP_N_DROPS);
		dp_ring_flush(&f->ring[SG_RX], &f->w);
		assert_int_equal(sg_recv(&f->g, got, NULL), sizeof(frame));
		assert_memory_equal(got, frame, sizeof(frame));
		sg_free_all(&f->g);
	}
}

static void ring_begins_at_its_base(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_ALL, SIZE, 12345);
	assert_int_equal(take(f), 0);
	send_and_receive(f, 10);
	assert_int_equal(f->ring[SG_TX].next, 12355);
	assert_int_equal(f->g.ring[SG_TX].used->idx, 12355);
	assert_int_equal(f->g.ring[SG_RX].used->idx, 12355);
}

static void indices_wrap_at_65536(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_ALL, SIZE, 65530);
	send_and_receive(f, 100);
	assert_int_equal(f->ring[SG_TX].next, 94);
	assert_int_equal(f->g.ring[SG_TX].used->idx, 94);
	assert_int_equal(f->g.ring[SG_RX].used->idx, 94);
}

/* Taken in bursts, with waiting entries on both sides of the wrap. */
static void burst_across_the_wrap_is_whole(void **state)
{
	struct fix *f = *state;
	uint8_t frame[50][64];

	restart(f, SG_F_ALL, SIZE, 65520);
	for (unsigned int i = 0; i < 50; i++) {
		sg_frame(frame[i], 64, 1, 2, SG_NO_TAG);
		sg_send(&f->g, frame[i], 64, NULL);
	}
	assert_int_equal(take(f), 32);
	for (unsigned int i = 0; i < 32; i++)
		frame_is(f, i, frame[i], 64);
	done(f, 32);
	assert_int_equal(take(f), 18);
	for (unsigned int i = 0; i < 18; i++)
		frame_is(f, i, frame[32 + i], 64);
	done(f, 18);
	assert_int_equal(f->g.ring[SG_TX].used->idx, 34);
}

/* The used index goes on from where it stands, even where the available one does not. */
static void used_index_is_taken_from_the_ring(void **state)
{
	struct fix *f = *state;

	f->g.ring[SG_TX].used->idx = f->g.ring[SG_TX].seen = 40;
	assert_int_equal(dp_ring_init(&f->ring[SG_TX], &f->port, SG_TX, &f->g.ring[SG_TX].conf), 0);
	send_and_receive(f, 5);
	assert_int_equal(f->g.ring[SG_TX].used->idx, 45);
}

static void ring_of_one_entry_works(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_ALL, 1, 65533);
	send_and_receive(f, 10);
}

static void ring_size_that_is_no_power_of_two_is_refused(void **state)
{
	static const uint16_t size[] = { 0, 3, 63, 65, 0xffff };
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		struct vhost_ring_conf c = f->g.ring[SG_TX].conf;

		c.size = size[i];
		assert_true(dp_ring_init(&f->ring[SG_TX], &f->port, SG_TX, &c) < 0);
	}
}

/* --- notifications --- */
static void send_n(struct fix *f, unsigned int n)
{
	uint8_t frame[64];

	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	for (unsigned int i = 0; i < n; i++)
		sg_send(&f->g, frame, sizeof(frame), NULL);
	assert_int_equal(take(f), n);
	done(f, n);
}

/* With EVENT_IDX: used_event, how many are used at once from `base` on, and is it told? (2.7.10) */
static void interrupt_comes_at_the_event_that_was_asked_for(void **state)
{
	static const struct {
		uint16_t base, event, n;
		bool told;
	} row[] = {
		{ 0, 0, 1, true },          { 0, 1, 1, false },          { 0, 1, 2, true },
		{ 0, 4, 5, true },          { 0, 5, 5, false },          { 0, 31, 32, true },
		{ 0, 0xffff, 1, false },    { 100, 99, 1, false },       { 100, 100, 1, true },
		{ 65530, 65535, 5, false }, { 65530, 65535, 6, true },   { 65530, 0, 6, false },
		{ 65530, 0, 7, true },      { 65530, 65529, 20, false },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		restart(f, SG_F_ALL, SIZE, row[i].base);
		f->g.ring[SG_TX].avail->ring[SIZE] = row[i].event;
		f->g.ring[SG_TX].avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT; /* not looked at */
		send_n(f, row[i].n);
		assert_int_equal(sg_called(&f->g, SG_TX), row[i].told);
	}
}

/* An event that was passed is not told again, one further on is told when it comes. */
static void interrupt_is_not_repeated(void **state)
{
	struct fix *f = *state;

	f->g.ring[SG_TX].avail->ring[SIZE] = 3;
	send_n(f, 3);
	assert_false(sg_called(&f->g, SG_TX));
	send_n(f, 3);
	assert_true(sg_called(&f->g, SG_TX));
	f->g.ring[SG_TX].avail->ring[SIZE] = 5; /* the newest that it was told of */
	send_n(f, 3);
	assert_false(sg_called(&f->g, SG_TX));
	f->g.ring[SG_TX].avail->ring[SIZE] = 9;
	send_n(f, 1);
	assert_true(sg_called(&f->g, SG_TX));
	assert_int_equal(f->count.calls, 2);
}

static void interrupt_without_event_idx_obeys_the_flag(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_ALL & ~SG_F_EVENT, SIZE, 0);
	f->g.ring[SG_TX].avail->ring[SIZE] = 20; /* not looked at */
	send_n(f, 2);
	assert_true(sg_called(&f->g, SG_TX));
	f->g.ring[SG_TX].avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
	send_n(f, 2);
	assert_false(sg_called(&f->g, SG_TX));
}

static void receive_ring_interrupts_once_a_flush(void **state)
{
	struct fix *f = *state;
	uint8_t frame[64];

	restart(f, SG_F_ALL & ~SG_F_EVENT, SIZE, 0);
	for (unsigned int i = 0; i < 4; i++)
		sg_buffer(&f->g, 100, NULL);
	sg_frame(frame, sizeof(frame), 1, 2, SG_NO_TAG);
	goes(f, frame, sizeof(frame), NULL);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(dp_ring_put(&f->ring[SG_RX], &f->w.burst.frame[0], false),
				 DP_N_DROPS);
	assert_int_equal(f->g.ring[SG_RX].used->idx, 0); /* not shown yet */
	assert_false(sg_called(&f->g, SG_RX));
	dp_ring_flush(&f->ring[SG_RX], &f->w);
	assert_int_equal(f->g.ring[SG_RX].used->idx, 4);
	assert_true(sg_called(&f->g, SG_RX));
	dp_ring_flush(&f->ring[SG_RX], &f->w); /* nothing new */
	assert_false(sg_called(&f->g, SG_RX));
}

static void ring_without_call_descriptor_is_used_in_silence(void **state)
{
	struct fix *f = *state;

	atomic_store(&f->ring[SG_TX].call_fd, -1);
	send_n(f, 3);
	assert_int_equal(f->g.ring[SG_TX].used->idx, 3);
	assert_int_equal(f->count.calls, 0);
}

/* An eventfd that is full and does not block: the interrupt is pending as it is. */
static void full_call_eventfd_is_no_fault(void **state)
{
	struct fix *f = *state;

	assert_int_equal(eventfd_write(f->g.ring[SG_TX].conf.call_fd, UINT64_MAX - 1), 0);
	send_n(f, 1);
	assert_false(atomic_load(&f->ring[SG_TX].broken));
	assert_int_equal(f->g.ring[SG_TX].used->idx, 1);
	assert_int_equal(f->count.calls, 0);
	assert_true(sg_called(&f->g, SG_TX));
}

static uint16_t *avail_event(struct fix *f, unsigned int ring)
{
	return (uint16_t *)&f->g.ring[ring].used->ring[SIZE];
}

static void kicks_are_asked_for_by_event(void **state)
{
	struct fix *f = *state;
	struct dp_ring *r = &f->ring[SG_TX];
	/* what the driver reckons from it when it adds one entry (2.7.7) */
	const struct {
		bool on;
		int kick;
	} row[] = { { true, 1 }, { false, 0 }, { true, 1 } };

	for (unsigned int wrap = 0; wrap < 2; wrap++) {
		restart(f, SG_F_ALL, SIZE, wrap ? 65533 : 0);
		assert_int_equal(
			virtq_need_event(*avail_event(f, SG_TX), (uint16_t)(r->next + 1), r->next),
			0); /* a new ring is polled */
		for (unsigned int i = 0; i < 3; i++) {
			send_n(f, 2);
			dp_ring_notify(r, row[i].on);
			assert_int_equal(virtq_need_event(*avail_event(f, SG_TX),
							  (uint16_t)(r->next + 1), r->next),
					 row[i].kick);
			assert_int_equal(f->g.ring[SG_TX].used->flags, 0);
		}
	}
	/* a receive ring wants none, ever */
	assert_int_equal(virtq_need_event(*avail_event(f, SG_RX), (uint16_t)65534, 65533), 0);
}

static void kicks_are_asked_for_by_flag_without_event_idx(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_ALL & ~SG_F_EVENT, SIZE, 0);
	*avail_event(f, SG_TX) = 0x5a5a;
	assert_int_equal(f->g.ring[SG_TX].used->flags, VIRTQ_USED_F_NO_NOTIFY);
	assert_int_equal(f->g.ring[SG_RX].used->flags, VIRTQ_USED_F_NO_NOTIFY);
	dp_ring_notify(&f->ring[SG_TX], true);
	assert_int_equal(f->g.ring[SG_TX].used->flags, 0);
	dp_ring_notify(&f->ring[SG_TX], false);
	assert_int_equal(f->g.ring[SG_TX].used->flags, VIRTQ_USED_F_NO_NOTIFY);
	assert_int_equal(*avail_event(f, SG_TX), 0x5a5a);
}

/* --- receive --- */
/* A frame for the receive ring, its bytes and pieces in the test's own memory. */
struct own {
	struct dp_frame f;
	struct dp_seg seg[DP_SEGS];
	uint8_t bytes[DP_MAX_FRAME];
};

static struct dp_frame *own_frame(struct own *o, uint32_t len)
{
	sg_frame(o->bytes, len, 1, 2, SG_NO_TAG);
	o->seg[0] = (struct dp_seg){ o->bytes, len };
	o->f = (struct dp_frame){ .seg = o->seg, .n_segs = 1, .len = len, .drop = DP_N_DROPS };
	dp_frame_head(&o->f);
	return &o->f;
}

static struct own own;

static enum dp_drop put(struct fix *f, const struct dp_frame *fr)
{
	enum dp_drop why = dp_ring_put(&f->ring[SG_RX], fr, false);

	dp_ring_flush(&f->ring[SG_RX], &f->w);
	return why;
}

static void received(struct fix *f, uint32_t len, uint16_t n_buffers)
{
	const struct virtio_net_hdr want = { .num_buffers = n_buffers };
	struct virtio_net_hdr hdr;
	uint8_t got[SG_MAX_FRAME];

	assert_int_equal(sg_recv(&f->g, got, &hdr), len);
	assert_memory_equal(got, own.bytes, len);
	assert_memory_equal(&hdr, &want, f->g.hdr_len);
}

static void breaks_rx(struct fix *f, const char *why)
{
	assert_int_equal(put(f, own_frame(&own, 100)), DP_DROP_BAD_RING);
	assert_true(atomic_load(&f->ring[SG_RX].broken));
	assert_non_null(strstr(f->last, why));
	assert_non_null(strstr(f->last, "port p0: ring 0:"));
	nothing_given_back(f, SG_RX);
	sg_buffer(&f->g, 200, NULL);
	assert_int_equal(put(f, own_frame(&own, 100)), DP_DROP_DOWN);
}

static void frame_is_put_into_one_buffer(void **state)
{
	struct fix *f = *state;
	struct virtq_used_elem e;
	uint16_t head = sg_buffer(&f->g, 2048, NULL);

	assert_int_equal(put(f, own_frame(&own, 1514)), DP_N_DROPS);
	received(f, 1514, 1);
	f->g.ring[SG_RX].seen--;
	assert_true(sg_used(&f->g, SG_RX, &e));
	assert_int_equal(e.id, head);
	assert_int_equal(e.len, 12 + 1514);
	/* a buffer that just holds it, one after the other with the longest frame there is */
	sg_buffer(&f->g, 12 + 60, NULL);
	sg_buffer(&f->g, 12 + DP_MAX_FRAME, NULL);
	assert_int_equal(put(f, own_frame(&own, 60)), DP_N_DROPS);
	received(f, 60, 1);
	assert_int_equal(put(f, own_frame(&own, DP_MAX_FRAME)), DP_N_DROPS);
	received(f, DP_MAX_FRAME, 1);
}

static void header_of_a_received_frame_fits_what_was_negotiated(void **state)
{
	static const uint64_t features[] = { 0, SG_F_MRG, SG_F_V1, SG_F_V1 | SG_F_MRG };
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		restart(f, features[i], SIZE, 0);
		assert_int_equal(f->g.hdr_len, i ? 12 : 10);
		sg_buffer(&f->g, f->g.hdr_len + 60, NULL);
		assert_int_equal(put(f, own_frame(&own, 60)), DP_N_DROPS);
		received(f, 60, 1);
	}
}

static void receive_chains_may_have_pieces_and_tables(void **state)
{
	struct fix *f = *state;

	for (unsigned int i = 0; i < 2; i++) {
		const struct sg_cuts cuts[] = {
			{ .n = 1, .len = { 12 }, .indirect = i },
			{ .n = 2, .len = { 12, 99 }, .indirect = i },
			{ .n = 4, .len = { 3, 3, 3, 3 }, .indirect = i },
			{ .n = 4, .len = { 0, 20, 0, 1 }, .indirect = i },
			{ .n = 12, .len = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 60 }, .indirect = i },
		};

		for (size_t k = 0; k < sizeof(cuts) / sizeof(cuts[0]); k++) {
			sg_buffer(&f->g, 112, &cuts[k]);
			assert_int_equal(put(f, own_frame(&own, 100)), DP_N_DROPS);
			received(f, 100, 1);
		}
	}
}

static void mergeable_frame_is_put_over_several_chains(void **state)
{
	const struct sg_cuts cuts = { .n = 2, .len = { 5, 30 } };
	struct fix *f = *state;
	uint16_t head[3];

	/* chains of 100 bytes, the second one in three pieces */
	for (unsigned int i = 0; i < 3; i++)
		head[i] = sg_buffer(&f->g, 100, i == 1 ? &cuts : NULL);
	sg_buffer(&f->g, 100, NULL);
	assert_int_equal(put(f, own_frame(&own, 250)), DP_N_DROPS);
	given_back(f, SG_RX, head[0], 100);
	given_back(f, SG_RX, head[1], 100);
	given_back(f, SG_RX, head[2], 62);
	f->g.ring[SG_RX].seen -= 3;
	received(f, 250, 3);
	/* the fourth is there for the next frame */
	assert_int_equal(put(f, own_frame(&own, 60)), DP_N_DROPS);
	received(f, 60, 1);
}

/* Every length around the ends of buffers of 32 bytes. */
static void mergeable_frame_of_any_length_is_whole(void **state)
{
	struct fix *f = *state;

	for (uint32_t len = 14; len < 200; len++) {
		uint16_t n = (uint16_t)((12 + len + 31) / 32);

		for (unsigned int i = 0; i < n; i++)
			sg_buffer(&f->g, 32, NULL);
		assert_int_equal(put(f, own_frame(&own, len)), DP_N_DROPS);
		received(f, len, n);
		nothing_given_back(f, SG_RX);
		sg_free_all(&f->g);
	}
}

static void mergeable_frame_crosses_the_wrap(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_ALL, SIZE, 65534);
	for (unsigned int i = 0; i < 5; i++)
		sg_buffer(&f->g, 100, NULL);
	assert_int_equal(put(f, own_frame(&own, 480)), DP_N_DROPS);
	assert_int_equal(f->g.ring[SG_RX].used->idx, 3);
	received(f, 480, 5);
}

static void mergeable_frame_waits_for_no_buffer(void **state)
{
	struct fix *f = *state;

	sg_buffer(&f->g, 100, NULL);
	sg_buffer(&f->g, 100, NULL);
	assert_int_equal(put(f, own_frame(&own, 250)), DP_DROP_NO_BUFFER);
	nothing_given_back(f, SG_RX);
	/* none of them was spent */
	sg_buffer(&f->g, 100, NULL);
	assert_int_equal(put(f, own_frame(&own, 250)), DP_N_DROPS);
	received(f, 250, 3);
}

static void frame_without_buffer_is_dropped(void **state)
{
	struct fix *f = *state;

	assert_int_equal(put(f, own_frame(&own, 60)), DP_DROP_NO_BUFFER);
	assert_false(atomic_load(&f->ring[SG_RX].broken));
	sg_buffer(&f->g, 100, NULL);
	assert_int_equal(put(f, own_frame(&own, 60)), DP_N_DROPS);
	received(f, 60, 1);
	assert_int_equal(put(f, own_frame(&own, 60)), DP_DROP_NO_BUFFER);
}

/* The buffer is kept for a frame that fits. */
static void frame_longer_than_its_buffer_is_dropped_without_mrg(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_V1, SIZE, 0);
	sg_buffer(&f->g, 12 + 99, NULL);
	sg_buffer(&f->g, 12 + 100, NULL);
	assert_int_equal(put(f, own_frame(&own, 100)), DP_DROP_TOO_LONG);
	nothing_given_back(f, SG_RX);
	assert_int_equal(put(f, own_frame(&own, 99)), DP_N_DROPS);
	received(f, 99, 1);
	assert_int_equal(put(f, own_frame(&own, 100)), DP_N_DROPS);
	received(f, 100, 1);
}

static void frame_over_too_many_pieces_is_dropped(void **state)
{
	struct sg_cuts cuts = { .n = SG_MAX_CUTS };
	struct fix *f = *state;

	restart(f, SG_F_ALL, 256, 0);
	for (unsigned int i = 0; i < SG_MAX_CUTS; i++)
		cuts.len[i] = i ? 1 : 12;
	sg_buffer(&f->g, 12 + 1000, &cuts);
	assert_int_equal(put(f, own_frame(&own, 100)), DP_DROP_TOO_LONG);
	assert_int_equal(put(f, own_frame(&own, 63)), DP_N_DROPS);
	received(f, 63, 1);
}

/* A guest whose buffers hold a byte each gets short frames, not a loop. */
static void buffers_of_one_byte_end_a_frame(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_ALL, 256, 0);
	sg_buffer(&f->g, 12, NULL);
	for (unsigned int i = 0; i < 200; i++)
		sg_buffer(&f->g, 1, NULL);
	assert_int_equal(put(f, own_frame(&own, 64)), DP_DROP_TOO_LONG);
	nothing_given_back(f, SG_RX);
	assert_int_equal(put(f, own_frame(&own, 63)), DP_N_DROPS);
	received(f, 63, 64);
}

static void readable_piece_in_a_receive_chain_breaks_the_ring(void **state)
{
	struct fix *f = *state;
	uint64_t addr = sg_alloc(&f->g, 200);

	sg_desc(&f->g, SG_RX, 0, addr, 100, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 1);
	sg_desc(&f->g, SG_RX, 1, addr + 100, 100, 0, 0);
	sg_post(&f->g, SG_RX, 0);
	breaks_rx(f, "a receive buffer has a readable piece");
}

static void buffer_too_small_for_a_header_breaks_the_ring(void **state)
{
	struct fix *f = *state;

	for (uint32_t len = 0; len < 12; len++) {
		restart(f, SG_F_ALL, SIZE, 0);
		sg_buffer(&f->g, len, NULL);
		breaks_rx(f, "a receive buffer is too small for a header");
	}
}

static void receive_chain_without_end_breaks_the_ring(void **state)
{
	struct fix *f = *state;

	sg_desc(&f->g, SG_RX, 0, sg_alloc(&f->g, 200), 200, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT,
		0);
	sg_post(&f->g, SG_RX, 0);
	breaks_rx(f, "a chain without end");
}

static void receive_buffer_of_empty_descriptors_breaks_the_ring(void **state)
{
	struct fix *f = *state;
	uint64_t at = sg_alloc(&f->g, 12);

	/* a first piece, so that the buffer is none that is too small */
	sg_desc(&f->g, SG_RX, 0, at, 12, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 1);
	empty_table(f, SG_RX, 1, 32768);
	sg_post(&f->g, SG_RX, 0);
	breaks_rx(f, "more descriptors than a frame can have");
}

/* Of all the buffers of a frame together. */
static void receive_buffers_of_too_many_descriptors_break_the_ring(void **state)
{
	struct sg_cuts cuts = { .n = SG_MAX_CUTS - 1 };
	struct fix *f = *state;

	restart(f, SG_F_ALL, 512, 0);
	cuts.len[0] = 12;
	for (unsigned int i = 0; i < 4; i++) {
		sg_buffer(&f->g, 12 + 20, &cuts);
		cuts.len[0] = 0;
	}
	assert_int_equal(put(f, own_frame(&own, 116)), DP_N_DROPS); /* 4 times 64 */
	received(f, 116, 4);
	cuts.len[0] = 12;
	for (unsigned int i = 0; i < 5; i++) {
		sg_buffer(&f->g, 12 + 20, &cuts);
		cuts.len[0] = 0;
	}
	assert_int_equal(put(f, own_frame(&own, 117)), DP_DROP_BAD_RING);
	assert_non_null(strstr(f->last, "more descriptors than a frame can have"));
	nothing_given_back(f, SG_RX);
}

static void receive_buffer_outside_of_memory_breaks_the_ring(void **state)
{
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		restart(f, SG_F_ALL, SIZE, 0);
		sg_desc(&f->g, SG_RX, 0, outside[i].addr, outside[i].len, VIRTQ_DESC_F_WRITE, 0);
		sg_post(&f->g, SG_RX, 0);
		breaks_rx(f, "memory that is not the guest's");
	}
}

/* The first buffer is fine, the second one of the same frame is not: nothing was shown of it. */
static void bad_second_buffer_breaks_the_ring(void **state)
{
	struct fix *f = *state;

	sg_buffer(&f->g, 50, NULL);
	sg_post(&f->g, SG_RX, SIZE);
	breaks_rx(f, "a descriptor beyond its table");
}

static void receive_index_that_jumps_breaks_the_ring(void **state)
{
	static const uint16_t jump[] = { SIZE + 1, 0x8000, 0xffff };
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(jump) / sizeof(jump[0]); i++) {
		restart(f, SG_F_ALL, SIZE, 65500);
		f->g.ring[SG_RX].avail->idx = (uint16_t)(65500 + jump[i]);
		breaks_rx(f, "more entries than the ring has");
	}
}

static void receive_ring_that_is_off_is_down(void **state)
{
	struct fix *f = *state;

	sg_buffer(&f->g, 200, NULL);
	atomic_store(&f->ring[SG_RX].enabled, false);
	assert_int_equal(put(f, own_frame(&own, 60)), DP_DROP_DOWN);
	atomic_store(&f->ring[SG_RX].enabled, true);
	assert_int_equal(put(f, own_frame(&own, 60)), DP_N_DROPS);
}

/* --- tags, in and out, however the two sides cut their memory --- */
#define BODY 40

/* From one guest's ring into another's: the same one here. What leaves is what sg_retag() says. */
static void passes(struct fix *f, uint32_t tci_in, uint32_t tci_out, const struct sg_cuts *from,
		   const struct sg_cuts *to)
{
	uint8_t frame[BODY], want[BODY + 4], got[SG_MAX_FRAME];
	struct dp_frame *fr = &f->w.burst.frame[0];
	bool tag = tci_out != SG_NO_TAG;
	uint32_t len;

	sg_frame(frame, BODY, 1, 2, tci_in);
	len = sg_retag(want, frame, BODY, tci_out);
	sg_send(&f->g, frame, BODY, from);
	sg_buffer(&f->g, 12 + BODY + 4, to);
	assert_int_equal(take(f), 1);
	assert_int_equal(fr->drop, DP_N_DROPS);
	fr->tagged = tci_in != SG_NO_TAG; /* as dp_forward() says */
	fr->tci = tag ? (uint16_t)tci_out : 0;
	assert_int_equal(dp_ring_put(&f->ring[SG_RX], fr, tag), DP_N_DROPS);
	dp_ring_flush(&f->ring[SG_RX], &f->w);
	done(f, 1);
	assert_int_equal(sg_recv(&f->g, got, NULL), len);
	assert_memory_equal(got, want, len);
	f->g.ring[SG_TX].seen++;
	sg_free_all(&f->g);
}

/* in, out */
static const uint32_t tags[][2] = { { SG_NO_TAG, SG_NO_TAG },
				    { SG_NO_TAG, 100 },
				    { 0x6064, 0x6064 },
				    { 0x6064, 0x6005 },
				    { 0xe064, SG_NO_TAG } };
#define N_TAGS (sizeof(tags) / sizeof(tags[0]))

/* Header, addresses, tag, type and one byte more: a cut anywhere in there, and a second one. */
#define CUT_END (12 + 12 + 4 + 2 + 2)

static void tag_changes_for_every_cut_of_the_sender(void **state)
{
	struct fix *f = *state;

	for (size_t t = 0; t < N_TAGS; t++)
		for (uint32_t a = 0; a < CUT_END; a++)
			for (uint32_t b = 0; a + b < CUT_END; b++) {
				const struct sg_cuts cuts = { .n = 2, .len = { a, b } };

				passes(f, tags[t][0], tags[t][1], &cuts, NULL);
			}
}

static void tag_changes_for_every_cut_of_the_receiver(void **state)
{
	struct fix *f = *state;

	for (size_t t = 0; t < N_TAGS; t++)
		for (uint32_t a = 0; a < CUT_END; a++)
			for (uint32_t b = 0; a + b < CUT_END; b++) {
				const struct sg_cuts cuts = { .n = 2, .len = { a, b } };

				passes(f, tags[t][0], tags[t][1], NULL, &cuts);
			}
}

static void tag_changes_for_every_cut_of_both(void **state)
{
	struct fix *f = *state;

	for (size_t t = 0; t < N_TAGS; t++)
		for (uint32_t a = 0; a < CUT_END; a++)
			for (uint32_t b = 0; b < CUT_END; b++) {
				const struct sg_cuts from = { .n = 1, .len = { a } };
				const struct sg_cuts to = { .n = 1, .len = { b } };

				passes(f, tags[t][0], tags[t][1], &from, &to);
			}
}

/* A piece for every byte of the head, on both sides. */
static void tag_changes_where_every_byte_has_a_piece(void **state)
{
	struct sg_cuts from = { .n = 1 + 22, .len = { 12 } }, to = { .n = CUT_END };
	struct fix *f = *state;

	for (unsigned int i = 0; i < CUT_END; i++) {
		to.len[i] = 1;
		if (i)
			from.len[i] = 1;
	}
	for (size_t t = 0; t < N_TAGS; t++)
		passes(f, tags[t][0], tags[t][1], &from, &to);
}

/* The copy into an mbuf goes the other way through the code: by dp_frame_copy(), without room. */
static void tag_changes_in_a_copy_of_exact_size(void **state)
{
	for (size_t t = 0; t < N_TAGS; t++)
		for (uint32_t len = 18; len < 60; len++) {
			bool tag = tags[t][1] != SG_NO_TAG;
			uint8_t want[64], *out;
			struct dp_frame *fr = own_frame(&own, len);
			uint32_t n;

			sg_frame(own.bytes, len, 1, 2, tags[t][0]);
			dp_frame_head(fr);
			fr->tagged = tags[t][0] != SG_NO_TAG;
			fr->tci = tag ? (uint16_t)tags[t][1] : 0;
			n = sg_retag(want, own.bytes, len, tags[t][1]);
			assert_int_equal(dp_frame_out_len(fr, tag), n);
			out = malloc(n);
			assert_non_null(out);
			assert_int_equal(dp_frame_copy(fr, tag, out), n);
			assert_memory_equal(out, want, n);
			free(out);
		}
}

/* A tag makes the frame longer than the buffer that held it without one. */
static void tag_that_is_put_in_counts(void **state)
{
	struct fix *f = *state;

	restart(f, SG_F_V1, SIZE, 0);
	sg_buffer(&f->g, 12 + 100, NULL);
	assert_int_equal(dp_ring_put(&f->ring[SG_RX], own_frame(&own, 100), true),
			 DP_DROP_TOO_LONG);
	assert_int_equal(dp_ring_put(&f->ring[SG_RX], own_frame(&own, 97), true), DP_DROP_TOO_LONG);
	assert_int_equal(dp_ring_put(&f->ring[SG_RX], own_frame(&own, 96), true), DP_N_DROPS);
	dp_ring_flush(&f->ring[SG_RX], &f->w);
	given_back(f, SG_RX, 0, 12 + 100);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(frame_is_taken_and_its_chain_given_back),
		T(header_is_spread_over_descriptors),
		T(header_without_version_1_is_two_bytes_shorter),
		T(elements_of_no_bytes_are_nothing),
		T(indirect_table_is_followed),
		T(indirect_table_may_end_a_chain),
		T(bursts_are_bounded),
		T(disabled_ring_gives_nothing),
		T(frame_that_is_too_long_is_dropped),
		T(chain_longer_than_is_looked_at_is_dropped),
		T(table_longer_than_is_looked_at_is_dropped),
		T(loop_longer_than_is_looked_at_is_dropped),
		T(frame_in_too_many_pieces_is_dropped),
		T(chain_of_empty_descriptors_is_not_followed_to_its_end),
		T(frame_that_is_too_short_is_dropped),
		T(chain_without_a_whole_header_is_dropped),
		T(offload_that_was_not_negotiated_is_dropped),
		T(descriptor_that_names_itself_breaks_the_ring),
		T(loop_of_all_descriptors_breaks_the_ring),
		T(loop_without_bytes_breaks_the_ring),
		T(chain_of_the_whole_ring_is_taken),
		T(next_beyond_the_table_breaks_the_ring),
		T(head_beyond_the_table_breaks_the_ring),
		T(next_that_is_not_flagged_is_not_looked_at),
		T(indirect_table_not_negotiated_breaks_the_ring),
		T(indirect_table_in_a_table_breaks_the_ring),
		T(indirect_table_that_names_itself_breaks_the_ring),
		T(indirect_table_with_a_next_breaks_the_ring),
		T(indirect_table_of_a_wrong_length_breaks_the_ring),
		T(loop_in_an_indirect_table_breaks_the_ring),
		T(next_beyond_an_indirect_table_breaks_the_ring),
		T(indirect_table_outside_of_memory_breaks_the_ring),
		T(address_outside_of_memory_breaks_the_ring),
		T(frame_at_the_end_of_memory_is_taken),
		T(writable_piece_in_a_transmit_chain_breaks_the_ring),
		T(index_that_jumps_beyond_the_ring_breaks_it),
		T(ring_full_to_the_last_entry_is_fine),
		T(frames_before_the_bad_one_go_on),
		T(broken_ring_is_said_at_a_limited_rate),
		T(head_that_changes_after_it_was_taken_does_not_leave),
		T(ring_begins_at_its_base),
		T(indices_wrap_at_65536),
		T(burst_across_the_wrap_is_whole),
		T(used_index_is_taken_from_the_ring),
		T(ring_of_one_entry_works),
		T(ring_size_that_is_no_power_of_two_is_refused),
		T(interrupt_comes_at_the_event_that_was_asked_for),
		T(interrupt_is_not_repeated),
		T(interrupt_without_event_idx_obeys_the_flag),
		T(receive_ring_interrupts_once_a_flush),
		T(ring_without_call_descriptor_is_used_in_silence),
		T(full_call_eventfd_is_no_fault),
		T(kicks_are_asked_for_by_event),
		T(kicks_are_asked_for_by_flag_without_event_idx),
		T(frame_is_put_into_one_buffer),
		T(header_of_a_received_frame_fits_what_was_negotiated),
		T(receive_chains_may_have_pieces_and_tables),
		T(mergeable_frame_is_put_over_several_chains),
		T(mergeable_frame_of_any_length_is_whole),
		T(mergeable_frame_crosses_the_wrap),
		T(mergeable_frame_waits_for_no_buffer),
		T(frame_without_buffer_is_dropped),
		T(frame_longer_than_its_buffer_is_dropped_without_mrg),
		T(frame_over_too_many_pieces_is_dropped),
		T(buffers_of_one_byte_end_a_frame),
		T(readable_piece_in_a_receive_chain_breaks_the_ring),
		T(buffer_too_small_for_a_header_breaks_the_ring),
		T(receive_chain_without_end_breaks_the_ring),
		T(receive_buffer_of_empty_descriptors_breaks_the_ring),
		T(receive_buffers_of_too_many_descriptors_break_the_ring),
		T(receive_buffer_outside_of_memory_breaks_the_ring),
		T(bad_second_buffer_breaks_the_ring),
		T(receive_index_that_jumps_breaks_the_ring),
		T(receive_ring_that_is_off_is_down),
		T(tag_changes_for_every_cut_of_the_sender),
		T(tag_changes_for_every_cut_of_the_receiver),
		T(tag_changes_for_every_cut_of_both),
		T(tag_changes_where_every_byte_has_a_piece),
		T(tag_changes_in_a_copy_of_exact_size),
		T(tag_that_is_put_in_counts),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
