/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hostile driver does to the emulated 82540EM. In every case the process lives, the work is
 * bounded, the event is counted, said at most once, and the device works again after what the guest
 * did wrong has been put right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "helper_e1000.h"

#include <pthread.h>
#include <unistd.h>

#define EOP E1000_TXC_EOP
#define RS  E1000_TXC_RS
#define TSE E1000_TXC_TSE

static struct eg rig;

static int up(void **state)
{
	eg_up(&rig, "e1000," EG_OPTS);
	eg_tap(&rig);
	*state = &rig;
	return 0;
}

static int up_loop(void **state)
{
	eg_up(&rig, "e1000,backend=loop," EG_OPTS);
	*state = &rig;
	return 0;
}

static int down(void **state)
{
	eg_down(*state);
	return 0;
}

/* Reset, then one frame out and one in: the device is as good as new. */
static void still_works(struct eg *g)
{
	eg_write(g, E1000_CTRL, E1000_CTRL_RST);
	eg_poll(g, 1);
	g->tap->n_taken = g->tap->n_rx = 0;
	g->tap->hold = false;
	g->tap->room = ~0u;
	eg_start_tx(g, 8);
	eg_start_rx(g, 8, E1000_RCTL_SECRC);
	eg_post(g, 4, 2048);
	eg_fill(g, EG_DATA + 0x10000, 100);
	eg_legacy(g, 0, EG_DATA + 0x10000, 100, EOP | RS);
	eg_write(g, E1000_TDT, 1);
	eg_deliver(g, eg_mac, 200);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 1);
	assert_int_equal(g->tap->len[0], 100);
	assert_int_equal(eg_tx_status(g, 0), E1000_TXD_STAT_DD);
	assert_int_equal(eg_rx(g, 0).length, 200);
}

/* CVE-2015-6815: segmentation with hdr_len 0 and mss 0 looped for ever. */
static void e1000_tx_tse_with_zero_header_and_mss_finishes(void **state)
{
	static const uint16_t mss[] = { 0, 1, 0xffff };
	static const uint8_t hdr[] = { 0, 1, 255 };
	struct eg *g = *state;

	for (int m = 0; m < 3; m++)
		for (int h = 0; h < 3; h++) {
			eg_start_tx(g, 8);
			eg_context(g, 0, TSE | RS, 0xfffff, hdr[h], mss[m]);
			eg_data(g, 1, EG_DATA, 1000, TSE);
			eg_data(g, 2, EG_DATA, 1000, EOP | RS | TSE);
			eg_write(g, E1000_TDT, 3);
			eg_poll(g, 1);
			assert_int_equal(eg_read(g, E1000_TDH), 3);
			assert_int_equal(eg_tx_status(g, 2), E1000_TXD_STAT_DD);
			assert_int_equal(eg_poll(g, 1), 0);
		}
	assert_int_equal(g->tap->n_taken, 0);
	assert_int_equal(eg_stat(g, "tx_offload_refused"), 9);
	still_works(g);
}

/* CVE-2016-1981: heads and tails beyond the ring, rings that are no rings. */
static void e1000_tx_heads_beyond_the_ring_stop_the_queue(void **state)
{
	static const uint32_t len[] = { 0, 16, 127, 128, 0x90, 0xff, 0x1000, 0xfff80, 0xffffffff };
	static const uint32_t idx[] = { 0, 1, 7, 8, 9, 255, 256, 0x7fff, 0xffff, 0xffffffff };
	struct eg *g = *state;

	for (size_t l = 0; l < 9; l++)
		for (size_t h = 0; h < 10; h++)
			for (size_t t = 0; t < 10; t++) {
				eg_start_tx(g, 8);
				eg_write(g, E1000_TDLEN, len[l]);
				eg_write(g, E1000_TDH, idx[h]);
				eg_write(g, E1000_TDT, idx[t]);
				/* a fetch a round, at most the ring twice */
				for (unsigned int n = 0; eg_poll(g, 1); n++)
					assert_true(n <= 2 * E1000_RING_MAX / E1000_TX_FETCH);
			}
	assert_true(eg_stat(g, "ring_errors") > 0);
	assert_true(g->n_messages >= 1 && g->n_messages < 100);
	still_works(g);
}

/* CVE-2016-1981, the receiving side. */
static void e1000_rx_heads_beyond_the_ring_stop_the_queue(void **state)
{
	static const uint32_t len[] = { 0, 16, 128, 0x90, 0x1000, 0xfff80, 0xffffffff };
	static const uint32_t idx[] = { 0, 7, 8, 255, 256, 0xffff, 0xffffffff };
	struct eg *g = *state;
	uint32_t size, head;

	g->tap->pull = true;
	for (size_t l = 0; l < 7; l++)
		for (size_t h = 0; h < 7; h++)
			for (size_t t = 0; t < 7; t++) {
				eg_start_rx(g, 8, E1000_RCTL_SECRC);
				eg_write(g, E1000_RDLEN, len[l]);
				eg_write(g, E1000_RDH, idx[h]);
				eg_write(g, E1000_RDT, idx[t]);
				eg_deliver(g, eg_mac, 64);
				assert_int_equal(eg_poll(g, 1), 1);
				assert_int_equal(eg_poll(g, 1), 0);
				size = eg_read(g, E1000_RDLEN) / 16;
				head = idx[h] & 0xffff;
				/*
				 * one frame: the head moves by one within the ring, or not at all
				 */
				if (head < size && (idx[t] & 0xffff) < size && idx[h] != idx[t])
					head = (head + 1) % size;
				assert_int_equal(eg_read(g, E1000_RDH), head);
			}
	assert_true(eg_stat(g, "ring_errors") > 0);
	still_works(g);
}

static void e1000_ring_mistake_is_counted_once_until_it_is_mended(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_write(g, E1000_TDT, 8);
	eg_poll(g, 10);
	assert_int_equal(eg_stat(g, "ring_errors"), 1);
	assert_int_equal(g->n_messages, 1);
	eg_write(g, E1000_TDT, 1);
	eg_legacy(g, 0, EG_DATA, 64, EOP | RS);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 1);
}

/* CVE-2021-20257: segmentation whose frames never advance. */
static void e1000_tx_tse_that_never_advances_fails_early(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 256);
	eg_context(g, 0, TSE, 0, 0xff, 1);
	for (unsigned int i = 1; i < 255; i++)
		eg_data(g, i, EG_DATA, i & 1 ? 0 : 1, TSE);
	eg_data(g, 254, EG_DATA, 0, EOP | RS | TSE);
	eg_write(g, E1000_TDT, 255);
	eg_poll(g, 6);
	assert_int_equal(eg_read(g, E1000_TDH), 255);
	assert_int_equal(eg_poll(g, 1), 0);
	assert_int_equal(g->tap->n_taken, 0);
	still_works(g);
}

/* CVE-2021-3416, CVE-2023-3019: the frame comes back while it is being sent. */
static void e1000_loopback_does_not_recurse(void **state)
{
	static const uint32_t lbm[] = { E1000_RCTL_LBM_NONE, E1000_RCTL_LBM_MAC,
					E1000_RCTL_LBM_PHY };
	struct eg *g = *state;

	for (int i = 0; i < 3; i++) {
		eg_start_tx(g, 256);
		eg_start_rx(g, 8, lbm[i] | E1000_RCTL_SECRC | E1000_RCTL_BAM);
		eg_post(g, 4, 2048);
		eg_fill(g, EG_DATA + 0x10000, 100);
		/* one of them sends the buffer that it is received into */
		for (unsigned int k = 0; k < 200; k++)
			eg_legacy(g, k, k == 1 ? EG_DATA : EG_DATA + 0x10000, 100, EOP | RS);
		eg_write(g, E1000_TDT, 200);
		eg_poll(g, 20);
		assert_int_equal(eg_read(g, E1000_TDH), 200);
		assert_int_equal(eg_read(g, E1000_RDH), 4);
		assert_memory_equal(eg_ptr(g, EG_DATA), eg_ptr(g, EG_DATA + 0x10000), 100);
	}
}

/* CVE-2021-3750, CVE-2021-20255: buffers and rings that are the device's own registers. */
static void e1000_dma_into_its_own_registers_goes_nowhere(void **state)
{
	struct eg *g = *state;
	struct e1000_rx_desc desc = { .addr = g->bar };

	eg_start_tx(g, 8);
	for (unsigned int i = 0; i < 7; i++)
		eg_legacy(g, i, g->bar + 0x3800, 64, EOP | RS);
	eg_write(g, E1000_TDT, 7);
	eg_start_rx(g, 8, E1000_RCTL_SECRC);
	memcpy(eg_ptr(g, EG_RX_RING), &desc, 16);
	eg_write(g, E1000_RDT, 1);
	eg_deliver(g, eg_mac, 64);
	eg_poll(g, 2);
	assert_int_equal(g->tap->n_taken, 0);
	assert_int_equal(eg_stat(g, "tx_bad_address"), 7);
	assert_int_equal(eg_stat(g, "bad_rx_address"), 1);
	eg_write(g, E1000_TDBAL, (uint32_t)g->bar);
	eg_write(g, E1000_RDBAL, (uint32_t)g->bar);
	eg_write(g, E1000_TDH, 0);
	eg_write(g, E1000_TDT, 5);
	eg_write(g, E1000_RDT, 5);
	eg_deliver(g, eg_mac, 64);
	eg_poll(g, 3);
	assert_int_equal(g->tap->n_taken, 0);
	assert_int_equal(eg_stat(g, "ring_errors"), 2);
	assert_int_equal(eg_read(g, E1000_TDT), 5);
	still_works(g);
}

/* CVE-2012-6075: a frame longer than the buffer overflowed it. */
static void e1000_rx_frame_longer_than_the_buffer_never_overflows(void **state)
{
	static const uint32_t len[] = { 14,   60,   252,  253,  256,  257,   1518,  1519, 1522,
					1523, 2044, 2048, 2049, 9000, 16380, 16381, 16384 };
	struct eg *g = *state;

	for (uint32_t bits = 0; bits < 32; bits++)
		for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
			uint32_t rctl = (bits & 1 ? E1000_RCTL_SBP : 0) |
					(bits & 2 ? E1000_RCTL_LPE : 0) |
					(bits & 4 ? E1000_RCTL_SECRC : 0) |
					(bits & 8 ? E1000_RCTL_BSIZE_256 : 0);
			uint32_t size = bits & 8 ? 256 : 2048, n = bits & 16 ? 3 : 70, total = 0, k;

			eg_start_rx(g, 128, rctl);
			memset(eg_ptr(g, EG_DATA), 0xee, 71 * 2048);
			eg_post(g, n, 2048);
			eg_deliver(g, eg_mac, len[i]);
			eg_poll(g, 1);
			for (k = 0; eg_rx(g, k).status & 1; k++) {
				const uint8_t *p = eg_ptr(g, EG_DATA + k * 2048);

				assert_true(k < n && eg_rx(g, k).length <= size);
				total += eg_rx(g, k).length;
				for (uint32_t b = eg_rx(g, k).length; b < 2048; b++)
					assert_int_equal(p[b], 0xee);
			}
			assert_int_equal(eg_read(g, E1000_RDH), k);
			/* frames below the minimum come padded */
			assert_true(!k ||
				    total == (len[i] < 60 ? 60 : len[i]) + (bits & 4 ? 0 : 4));
			assert_true(!k || bits & 2 || len[i] <= 1518);
		}
	still_works(g);
}

static void e1000_rx_buffer_at_the_end_of_memory_is_used_only_whole(void **state)
{
	static const uint64_t addr[] = { EG_MEM - 2047,      EG_MEM - 1,         EG_MEM,
					 0xfffffffffffff800, 0xffffffffffffffff, 0xfee00000 };
	struct eg *g = *state;

	for (size_t i = 0; i < 6; i++) {
		struct e1000_rx_desc desc = { .addr = addr[i] };

		eg_start_rx(g, 8, E1000_RCTL_SECRC);
		memcpy(eg_ptr(g, EG_RX_RING), &desc, 16);
		eg_write(g, E1000_RDT, 3);
		eg_deliver(g, eg_mac, 60);
		eg_poll(g, 3);
		assert_int_equal(eg_read(g, E1000_RDH), 0);
		assert_int_equal(eg_stat(g, "bad_rx_address"), i + 1);
	}
	still_works(g);
}

static void e1000_tx_buffer_outside_memory_drops_the_frame_only(void **state)
{
	static const uint64_t addr[] = {
		EG_MEM - 63,        EG_MEM - 1,         EG_MEM,
		0xffffffffffffffc0, 0xfffffffffffffffe, 0x8000000000000000
	};
	struct eg *g = *state;

	eg_start_tx(g, 16);
	for (unsigned int i = 0; i < 6; i++) {
		eg_data(g, 2 * i, EG_DATA, 60, 0);
		eg_data(g, 2 * i + 1, addr[i], 64, EOP | RS);
	}
	eg_data(g, 12, EG_MEM - 64, 64, EOP | RS);
	eg_write(g, E1000_TDT, 13);
	eg_poll(g, 1);
	assert_int_equal(eg_stat(g, "tx_bad_address"), 6);
	assert_int_equal(g->tap->n_taken, 1);
	assert_int_equal(eg_read(g, E1000_TDH), 13);
	assert_int_equal(eg_tx_status(g, 1), 1);
	still_works(g);
}

/* A ring whose end is not in memory, or whose address wraps. */
static void e1000_ring_that_leaves_memory_stops_the_queue(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_write(g, E1000_TDBAL, EG_MEM - 64);
	eg_write(g, E1000_TDT, 2);
	eg_poll(g, 2);
	eg_write(g, E1000_TDBAL, 0xffffff80);
	eg_write(g, E1000_TDBAH, 0xffffffff);
	eg_write(g, E1000_TDLEN, 0x100);
	eg_poll(g, 2);
	assert_int_equal(eg_stat(g, "ring_errors"), 2);
	assert_int_equal(g->tap->n_taken, 0);
	still_works(g);
}

/* CVE-2016-6888, CVE-2020-16092: empty fragments, as many as there can be, a header in pieces. */
static void e1000_tx_fragments_of_zero_bytes_and_as_many_as_fit(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 256);
	eg_fill(g, EG_DATA, 200);
	/* nothing at all; nothing in many pieces; 64 pieces of a byte; 65; a header byte by byte */
	eg_legacy(g, 0, EG_DATA, 0, EOP | RS);
	for (unsigned int i = 1; i < 50; i++)
		eg_data(g, i, 0, 0, i == 49 ? EOP | RS : 0);
	for (unsigned int i = 50; i < 114; i++)
		eg_data(g, i, EG_DATA + i - 50, 1, i == 113 ? EOP | RS : 0);
	for (unsigned int i = 114; i < 179; i++)
		eg_data(g, i, EG_DATA, 1, i == 178 ? EOP | RS : 0);
	for (unsigned int i = 179; i < 194; i++)
		eg_data(g, i, EG_DATA + i - 179, i == 193 ? 100 : 1, i == 193 ? EOP | RS : 0);
	eg_write(g, E1000_TDT, 194);
	eg_poll(g, 6);
	assert_int_equal(eg_read(g, E1000_TDH), 194);
	assert_int_equal(g->tap->n_taken, 2);
	assert_int_equal(g->tap->n_iov[0], 64);
	assert_memory_equal(g->tap->data[0], eg_ptr(g, EG_DATA), 64);
	assert_int_equal(g->tap->len[1], 114);
	assert_memory_equal(g->tap->data[1], eg_ptr(g, EG_DATA), 114);
	assert_int_equal(eg_stat(g, "tx_too_short"), 2);
	assert_int_equal(eg_stat(g, "tx_too_many_pieces"), 1);
	still_works(g);
}

/* The sum of all lengths must not wrap: 128 descriptors of a megabyte. */
static void e1000_tx_lengths_do_not_wrap(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 256);
	for (unsigned int i = 0; i < 100; i++)
		eg_data(g, i, EG_DATA, 0xfffff, i == 99 ? EOP | RS : 0);
	eg_write(g, E1000_TDT, 100);
	eg_poll(g, 2);
	assert_int_equal(g->tap->n_taken, 0);
	assert_int_equal(eg_read(g, E1000_TDH), 100);
	assert_int_equal(eg_tx_status(g, 99), 1);
	still_works(g);
}

/* CVE-2016-2857: checksum places beyond the frame. */
static void e1000_tx_checksum_offsets_past_the_end_touch_nothing(void **state)
{
	struct eg *g = *state;
	struct e1000_tx_context_desc *ctx = eg_ptr(g, EG_TX_RING);
	struct e1000_tx_data_desc *data = eg_ptr(g, EG_TX_RING + 16);
	struct e1000_tx_legacy_desc *old = eg_ptr(g, EG_TX_RING + 32);

	eg_start_tx(g, 8);
	memset(eg_ptr(g, EG_DATA), 0xee, 4096);
	eg_fill(g, EG_DATA, 60);
	eg_context(g, 0, E1000_TXC_TCP | E1000_TXC_IP, 0xfffff, 255, 0xffff);
	ctx->ipcss = ctx->ipcso = ctx->tucss = ctx->tucso = 0xff;
	ctx->ipcse = 0xffff;
	ctx->tucse = 0;
	eg_data(g, 1, EG_DATA, 60, EOP | RS);
	data->popts = 0xff;
	eg_legacy(g, 2, EG_DATA, 60, EOP | RS | E1000_TXC_IC);
	old->cso = old->css = 0xff;
	eg_write(g, E1000_TDT, 3);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 2);
	assert_memory_equal(g->tap->data[0], eg_ptr(g, EG_DATA), 60);
	for (unsigned int i = 60; i < 4096; i++)
		assert_int_equal(*(uint8_t *)eg_ptr(g, EG_DATA + i), 0xee);
	assert_int_equal(eg_stat(g, "tx_offload_ignored"), 2);
	still_works(g);
}

/*
 * A frame without end, made of tiny pieces: it is given up, its descriptors are finished, nothing
 * grows.
 */
static void e1000_tx_frame_without_end_is_given_up(void **state)
{
	struct eg *g = *state;
	unsigned int tail = 0;

	eg_start_tx(g, 256);
	for (unsigned int i = 0; i < 256; i++)
		eg_data(g, i, EG_DATA, 1, RS);
	for (unsigned int round = 0; round < 200; round++) {
		tail = (tail + 200) % 256;
		eg_write(g, E1000_TDT, tail);
		eg_poll(g, 3);
	}
	assert_int_equal(eg_read(g, E1000_TDH), tail);
	assert_int_equal(g->tap->n_taken, 0);
	assert_int_equal(eg_stat(g, "tx_too_many_pieces"), 1);
	/* the next EOP ends it, and the frame after that is a frame */
	eg_data(g, tail, EG_DATA, 1, EOP | RS);
	eg_data(g, (tail + 1) % 256, EG_DATA, 64, EOP | RS);
	eg_write(g, E1000_TDT, (tail + 2) % 256);
	eg_poll(g, 2);
	assert_int_equal(g->tap->n_taken, 1);
	assert_int_equal(g->tap->len[0], 64);
	still_works(g);
}

/* The whole of a small ring without EOP: no more can come, so it is given up. */
static void e1000_tx_frame_that_fills_the_ring_is_given_up(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	for (unsigned int i = 0; i < 8; i++)
		eg_data(g, i, EG_DATA, 64, 0);
	eg_write(g, E1000_TDT, 7);
	eg_poll(g, 2);
	assert_int_equal(eg_read(g, E1000_TDH), 7);
	assert_int_equal(eg_poll(g, 1), 0);
	still_works(g);
}

/* Contexts only, for ever round the ring. */
static void e1000_tx_contexts_without_frames_are_bounded(void **state)
{
	struct eg *g = *state;
	unsigned int tail = 0;

	eg_start_tx(g, 1024);
	for (unsigned int i = 0; i < 1024; i++)
		eg_context(g, i, TSE | RS, 0, 0, 0);
	for (unsigned int round = 0; round < 20; round++) {
		tail = (tail + 1023) % 1024;
		eg_write(g, E1000_TDT, tail);
		eg_poll(g, 10);
		assert_int_equal(eg_read(g, E1000_TDH), tail);
	}
	still_works(g);
}

static void e1000_tx_reserved_descriptor_types_are_refused(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 16);
	for (uint32_t type = 2; type < 16; type++) {
		struct e1000_tx_data_desc desc = { .addr = EG_DATA };

		desc.cmd_type_len = 64 | type << 20 | (uint32_t)(E1000_TXC_DEXT | EOP | RS) << 24;
		memcpy(eg_ptr(g, EG_TX_RING + 16 * (type - 2)), &desc, 16);
	}
	eg_write(g, E1000_TDT, 14);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 0);
	assert_int_equal(eg_stat(g, "tx_bad_type"), 14);
	assert_int_equal(eg_read(g, E1000_TDH), 14);
	still_works(g);
}

/* A back-end that never finishes: what is under way is bounded, and a reset forgets it. */
static void e1000_reset_with_frames_under_way_forgets_them(void **state)
{
	struct eg *g = *state;

	g->tap->hold = true;
	for (unsigned int round = 0; round < 100; round++) {
		eg_start_tx(g, 4096);
		for (unsigned int i = 0; i < 4096; i++)
			eg_legacy(g, i, EG_DATA, 64, EOP | RS);
		eg_write(g, E1000_TDT, 4095);
		eg_poll(g, 100);
		assert_true(g->d->tx.slot_tail - g->d->tx.slot_head <= E1000_TX_SLOTS);
		assert_int_equal(eg_read(g, E1000_TDH), 0);
		eg_write(g, E1000_CTRL, E1000_CTRL_RST);
		eg_poll(g, 1);
		assert_int_equal(g->d->tx.n_backend + g->d->tx.orphans, 0);
	}
	still_works(g);
}

/* The tail moves back into what has been shown to the back-end. */
static void e1000_rx_tail_that_moves_back_is_respected(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 128, E1000_RCTL_SECRC);
	eg_post(g, 100, 2048);
	g->tap->pull = true;
	eg_poll(g, 1);
	eg_write(g, E1000_RDT, 2);
	for (int i = 0; i < 10; i++)
		eg_deliver(g, eg_mac, 64);
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, E1000_RDH), 2);
	still_works(g);
}

struct spoiler {
	struct eg *g;
	_Atomic bool stop;
};

/* Another vCPU of the guest: scribbles over both rings and over the registers. */
static void *spoil(void *arg)
{
	struct spoiler *s = arg;
	uint32_t seed = 1;

	while (!atomic_load(&s->stop)) {
		volatile uint32_t *tx = eg_ptr(s->g, EG_TX_RING), *rx = eg_ptr(s->g, EG_RX_RING);

		for (unsigned int i = 0; i < 64; i++) {
			seed = seed * 1664525 + 1013904223;
			__atomic_store_n(&tx[seed >> 8 & 0x1ff], seed & 1 ? seed : EG_DATA,
					 __ATOMIC_RELAXED);
			__atomic_store_n(&rx[seed >> 12 & 0x1ff], seed & 2 ? seed : EG_DATA,
					 __ATOMIC_RELAXED);
		}
		eg_write(s->g, E1000_TDT, seed >> 8 & 127);
		eg_write(s->g, E1000_RDT, seed >> 16 & 127);
		eg_read(s->g, E1000_ICR);
		if (!(seed >> 24)) {
			eg_write(s->g, E1000_CTRL, E1000_CTRL_RST | E1000_CTRL_SLU);
			eg_write(s->g, E1000_TDBAL, EG_TX_RING);
			eg_write(s->g, E1000_TDLEN, 2048);
			eg_write(s->g, E1000_RDBAL, EG_RX_RING);
			eg_write(s->g, E1000_RDLEN, 2048);
			eg_write(s->g, E1000_IMS, E1000_INT_ALL);
			eg_write(s->g, E1000_TCTL, E1000_TCTL_EN | E1000_TCTL_PSP);
			eg_write(s->g, E1000_CTRL,
				 E1000_CTRL_SLU | (seed & 0x10 ? E1000_CTRL_VME : 0));
			eg_write(s->g, E1000_RXCSUM, seed & 0x20 ? 0x70e : 0);
			eg_write(s->g, E1000_RDTR, seed & 0x40 ? 3 : 0);
			eg_write(s->g, E1000_TIDV, seed & 0x80 ? E1000_TIDV_FPD | 3 : 0);
			eg_write(s->g, E1000_ITR, seed & 0x100 ? 20 : 0);
			/* the PHY's loopback comes and goes */
			eg_write(s->g, E1000_MDIC,
				 1u << 26 | 1u << 21 | (seed & 0x200 ? 0x4140u : 0x1140u));
			eg_write(s->g, E1000_RCTL,
				 (seed & 0x400 ? E1000_RCTL_LBM_MAC : 0) | E1000_RCTL_EN |
					 E1000_RCTL_LPE | E1000_RCTL_BAM | E1000_RCTL_UPE |
					 E1000_RCTL_MPE);
		}
	}
	return NULL;
}

/*
 * Changes between check and use, resets in the middle of a burst, the zones going on and off: with
 * the real I/O thread.
 */
static void e1000_survives_a_guest_that_changes_everything_while_it_runs(void **state)
{
	struct eg *g = *state;
	struct spoiler s[2] = { { .g = g }, { .g = g } };
	pthread_t t[2];
	uint64_t before;

	eg_start_tx(g, 128);
	eg_start_rx(g, 128, E1000_RCTL_BAM | E1000_RCTL_UPE | E1000_RCTL_MPE);
	assert_int_equal(io_start(vm_io(g->vm)), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, spoil, &s[i]), 0);
	for (int i = 0; i < 200; i++) {
		eg_cfg_write(g, 4, i & 1 ? 7 : 3);
		before = eg_stat(g, "tdt_writes");
		usleep(1000);
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&s[i].stop, true);
		pthread_join(t[i], NULL);
	}
	io_stop(vm_io(g->vm));
	assert_true(before > 0);
	assert_true(g->n_messages < 100);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
#define L(f) cmocka_unit_test_setup_teardown(f, up_loop, down)
	const struct CMUnitTest tests[] = {
		T(e1000_tx_tse_with_zero_header_and_mss_finishes),
		T(e1000_tx_heads_beyond_the_ring_stop_the_queue),
		T(e1000_rx_heads_beyond_the_ring_stop_the_queue),
		T(e1000_ring_mistake_is_counted_once_until_it_is_mended),
		T(e1000_tx_tse_that_never_advances_fails_early),
		L(e1000_loopback_does_not_recurse),
		T(e1000_dma_into_its_own_registers_goes_nowhere),
		T(e1000_rx_frame_longer_than_the_buffer_never_overflows),
		T(e1000_rx_buffer_at_the_end_of_memory_is_used_only_whole),
		T(e1000_tx_buffer_outside_memory_drops_the_frame_only),
		T(e1000_ring_that_leaves_memory_stops_the_queue),
		T(e1000_tx_fragments_of_zero_bytes_and_as_many_as_fit),
		T(e1000_tx_lengths_do_not_wrap),
		T(e1000_tx_checksum_offsets_past_the_end_touch_nothing),
		T(e1000_tx_frame_without_end_is_given_up),
		T(e1000_tx_frame_that_fills_the_ring_is_given_up),
		T(e1000_tx_contexts_without_frames_are_bounded),
		T(e1000_tx_reserved_descriptor_types_are_refused),
		T(e1000_reset_with_frames_under_way_forgets_them),
		T(e1000_rx_tail_that_moves_back_is_respected),
		L(e1000_survives_a_guest_that_changes_everything_while_it_runs),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
