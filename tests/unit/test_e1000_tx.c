/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transmit of the emulated 82540EM: descriptors become frames in guest memory, and are finished
 * when the back-end says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "helper_e1000.h"

static int up(void **state)
{
	static struct eg g;

	eg_up(&g, "e1000," EG_OPTS);
	eg_tap(&g);
	*state = &g;
	return 0;
}

static int down(void **state)
{
	eg_down(*state);
	return 0;
}

#define EOP E1000_TXC_EOP
#define RS  E1000_TXC_RS

static void e1000_tx_legacy_frame_goes_out_as_it_is(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_fill(g, EG_DATA, 100);
	eg_legacy(g, 0, EG_DATA, 100, EOP | RS);
	eg_write(g, E1000_TDT, 1);
	assert_true(eg_poll(g, 1) > 0);
	assert_int_equal(g->tap->n_taken, 1);
	assert_int_equal(g->tap->len[0], 100);
	assert_memory_equal(g->tap->data[0], eg_ptr(g, EG_DATA), 100);
	assert_int_equal(eg_tx_status(g, 0), E1000_TXD_STAT_DD);
	assert_int_equal(eg_read(g, E1000_TDH), 1);
	assert_int_equal(eg_read(g, E1000_ICR), E1000_INT_TXDW | E1000_INT_TXQE);
	assert_int_equal(eg_poll(g, 1), 0);
}

static void e1000_tx_frame_is_not_copied(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_fill(g, EG_DATA, 200);
	eg_legacy(g, 0, EG_DATA, 200, EOP);
	eg_write(g, E1000_TDT, 1);
	eg_poll(g, 1);
	assert_ptr_equal(g->d->tx.batch.iov[0].iov_base, eg_ptr(g, EG_DATA));
}

static void e1000_tx_frame_of_several_descriptors_is_one_frame(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 16);
	eg_fill(g, EG_DATA, 1000);
	eg_data(g, 0, EG_DATA, 14, 0);
	eg_data(g, 1, EG_DATA + 14, 86, RS);
	eg_data(g, 2, 0, 0, 0);
	eg_data(g, 3, EG_DATA + 100, 900, EOP | RS);
	eg_write(g, E1000_TDT, 2);
	eg_poll(g, 2);
	assert_int_equal(g->tap->n_taken, 0); /* its end is not there */
	assert_int_equal(eg_read(g, E1000_TDH), 0);
	eg_write(g, E1000_TDT, 4);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 1);
	assert_int_equal(g->tap->n_iov[0], 3);
	assert_int_equal(g->tap->len[0], 1000);
	assert_memory_equal(g->tap->data[0], eg_ptr(g, EG_DATA), 1000);
	assert_int_equal(eg_tx_status(g, 0) | eg_tx_status(g, 2), 0);
	assert_int_equal(eg_tx_status(g, 1) & eg_tx_status(g, 3), E1000_TXD_STAT_DD);
}

static void e1000_tx_data_length_has_twenty_bits_and_legacy_sixteen(void **state)
{
	struct eg *g = *state;
	struct e1000_tx_legacy_desc *desc;

	eg_start_tx(g, 8);
	eg_data(g, 0, EG_DATA, 0x10040, EOP | RS);
	eg_legacy(g, 1, EG_DATA, 0x40, EOP | RS);
	desc = eg_ptr(g, EG_TX_RING + 16);
	desc->cso = 0xff; /* no part of the length */
	eg_write(g, E1000_TDT, 2);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 1);
	assert_int_equal(g->tap->len[0], 0x40);
	assert_int_equal(eg_stat(g, "tx_too_long"), 1);
}

static void e1000_tx_stops_at_tail(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	for (unsigned int i = 0; i < 8; i++)
		eg_legacy(g, i, EG_DATA, 64, EOP | RS);
	eg_write(g, E1000_TDT, 3);
	eg_poll(g, 4);
	assert_int_equal(g->tap->n_taken, 3);
	assert_int_equal(eg_tx_status(g, 3), 0);
	assert_int_equal(eg_read(g, E1000_TDH), 3);
}

static void e1000_tx_goes_round_the_ring(void **state)
{
	struct eg *g = *state;
	unsigned int tail = 0;

	eg_start_tx(g, 8);
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < 5; i++, tail = (tail + 1) % 8)
			eg_data(g, tail, EG_DATA, 60 + round, EOP | RS);
		eg_write(g, E1000_TDT, tail);
		eg_poll(g, 1);
		assert_int_equal(eg_read(g, E1000_TDH), tail);
	}
	assert_int_equal(g->tap->n_taken, 250);
	assert_int_equal(eg_stat(g, "guest_tx_frames"), 250);
	assert_int_equal(eg_stat(g, "tx_descriptors"), 250);
}

static void e1000_tx_hands_over_at_most_a_burst_and_loses_nothing(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 1024);
	for (unsigned int i = 0; i < 1000; i++)
		eg_legacy(g, i, EG_DATA, 64, EOP | (i == 999 ? RS : 0));
	eg_write(g, E1000_TDT, 1000);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, NIC_BURST);
	eg_poll(g, 20);
	assert_int_equal(g->tap->n_taken, 1000);
	assert_int_equal(eg_tx_status(g, 999), 1);
	assert_int_equal(eg_tx_status(g, 998), 0);
}

static void e1000_tx_finishes_when_the_back_end_has_sent(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_legacy(g, 0, EG_DATA, 64, EOP | RS);
	eg_legacy(g, 1, EG_DATA, 64, EOP | RS);
	g->tap->hold = true;
	eg_write(g, E1000_TDT, 2);
	eg_poll(g, 3);
	assert_int_equal(g->tap->n_taken, 2);
	assert_int_equal(eg_read(g, E1000_TDH), 0);
	assert_int_equal(eg_tx_status(g, 0), 0);
	/* the guest turns the queue off meanwhile; what is under way is finished */
	eg_write(g, E1000_TCTL, 0);
	g->tap->hold = false;
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, E1000_TDH), 2);
	assert_int_equal(eg_tx_status(g, 0) & eg_tx_status(g, 1), 1);
}

static void e1000_tx_keeps_what_the_back_end_does_not_take(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 32);
	for (unsigned int i = 0; i < 10; i++) {
		eg_data(g, 2 * i, EG_DATA, 20, 0);
		eg_data(g, 2 * i + 1, EG_DATA + 20, 100 + i, EOP | RS);
	}
	eg_data(g, 9, ~0ull, 100, EOP | RS); /* the fifth is refused */
	g->tap->room = 3;
	eg_write(g, E1000_TDT, 20);
	eg_poll(g, 3);
	assert_int_equal(g->tap->n_taken, 3);
	assert_int_equal(eg_read(g, E1000_TDH), 6);
	assert_int_equal(eg_stat(g, "tx_bad_address"), 0); /* counted when its turn has come */
	g->tap->room = 1;
	eg_poll(g, 1);
	g->tap->room = 100;
	eg_poll(g, 2);
	assert_int_equal(g->tap->n_taken, 9);
	for (unsigned int i = 0; i < 9; i++)
		assert_int_equal(g->tap->len[i], 120 + (i < 4 ? i : i + 1));
	assert_int_equal(eg_read(g, E1000_TDH), 20);
	assert_int_equal(eg_stat(g, "tx_bad_address"), 1);
}

static void e1000_tx_pads_short_frames_with_zeros(void **state)
{
	static const uint8_t zeros[60];
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_fill(g, EG_DATA, 100);
	eg_legacy(g, 0, EG_DATA, 20, EOP | RS);
	eg_write(g, E1000_TDT, 1);
	eg_poll(g, 1);
	assert_int_equal(g->tap->len[0], 60);
	assert_memory_equal(g->tap->data[0], eg_ptr(g, EG_DATA), 20);
	assert_memory_equal(g->tap->data[0] + 20, zeros, 40);
	eg_write(g, E1000_TCTL, E1000_TCTL_EN); /* no PSP */
	eg_legacy(g, 1, EG_DATA, 20, EOP | RS);
	eg_legacy(g, 2, EG_DATA, 13, EOP | RS); /* no header */
	eg_write(g, E1000_TDT, 3);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 2);
	assert_int_equal(g->tap->len[1], 20);
	assert_int_equal(eg_stat(g, "tx_too_short"), 1);
	assert_int_equal(eg_tx_status(g, 2), 1);
}

static void e1000_tx_context_is_taken_and_finished(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_context(g, 0, RS, 0, 54, 1460);
	eg_data(g, 1, EG_DATA, 64, EOP | RS);
	eg_write(g, E1000_TDT, 1);
	eg_poll(g, 1);
	assert_int_equal(eg_tx_status(g, 0) & 1, 1);
	assert_int_equal(g->d->tx.ctx[0].mss, 1460);
	eg_write(g, E1000_TDT, 2);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 1);
	assert_int_equal(eg_stat(g, "tx_contexts"), 1);
}

static void e1000_tx_needs_enable_and_bus_mastering(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_legacy(g, 0, EG_DATA, 64, EOP | RS);
	eg_cfg_write(g, 4, 3);
	eg_write(g, E1000_TDT, 1);
	eg_poll(g, 2);
	assert_int_equal(g->tap->n_taken, 0);
	eg_cfg_write(g, 4, 7);
	eg_write(g, E1000_TCTL, 0);
	eg_poll(g, 2);
	assert_int_equal(g->tap->n_taken, 0);
	eg_write(g, E1000_TCTL, E1000_TCTL_EN);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 1);
}

static void e1000_tx_finishes_nothing_while_bus_mastering_is_off(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_legacy(g, 0, EG_DATA, 64, EOP | RS);
	g->tap->hold = true;
	eg_write(g, E1000_TDT, 1);
	eg_poll(g, 1);
	eg_cfg_write(g, 4, 3);
	g->tap->hold = false;
	eg_poll(g, 2);
	assert_int_equal(eg_tx_status(g, 0), 0);
	eg_cfg_write(g, 4, 7);
	eg_poll(g, 1);
	assert_int_equal(eg_tx_status(g, 0), 1);
}

static void e1000_tx_counts_into_the_statistics(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_fill(g, EG_DATA, 60); /* broadcast */
	eg_fill(g, EG_DATA + 0x1000, 1500);
	*(uint8_t *)eg_ptr(g, EG_DATA + 0x1000) = 0x02; /* unicast */
	eg_fill(g, EG_DATA + 0x2000, 300);
	*(uint8_t *)eg_ptr(g, EG_DATA + 0x2000) = 0x01; /* multicast */
	eg_legacy(g, 0, EG_DATA, 60, EOP | RS);
	eg_legacy(g, 1, EG_DATA + 0x1000, 1500, EOP | RS);
	eg_legacy(g, 2, EG_DATA + 0x2000, 300, EOP | RS);
	eg_write(g, E1000_TDT, 3);
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, 0x40d4), 3); /* TPT */
	assert_int_equal(eg_read(g, 0x4080), 3); /* GPTC */
	assert_int_equal(eg_read(g, 0x4080), 0);
	assert_int_equal(eg_read(g, 0x40c8), 60 + 1500 + 300 + 12); /* TOTL */
	assert_int_equal(eg_read(g, 0x40d8), 1);                    /* PTC64 */
	assert_int_equal(eg_read(g, 0x40e4), 1);                    /* PTC511 */
	assert_int_equal(eg_read(g, 0x40ec), 1);                    /* PTC1522 */
	assert_int_equal(eg_read(g, 0x40f0), 1);                    /* MPTC */
	assert_int_equal(eg_read(g, 0x40f4), 1);                    /* BPTC */
}

/* 13.7: every bound of the size classes, FCS counted; both directions count by the same words. */
static void e1000_statistics_sort_frames_by_size(void **state)
{
	static const struct {
		uint32_t len, reg;
	} class[] = {
		{ 60, 0x40d8 },   { 61, 0x40dc },   { 123, 0x40dc },  { 124, 0x40e0 },
		{ 251, 0x40e0 },  { 252, 0x40e4 },  { 507, 0x40e4 },  { 508, 0x40e8 },
		{ 1019, 0x40e8 }, { 1020, 0x40ec }, { 1514, 0x40ec }, { 9014, 0x40ec },
	};
	struct eg *g = *state;

	eg_start_rx(g, 32, E1000_RCTL_BAM | E1000_RCTL_LPE | E1000_RCTL_SECRC);
	eg_post(g, 31, 2048);
	for (unsigned int i = 0; i < sizeof(class) / sizeof(class[0]); i++) {
		eg_start_tx(g, 8);
		eg_fill(g, EG_DATA + 0x100000, class[i].len);
		eg_legacy(g, 0, EG_DATA + 0x100000, (uint16_t) class[i].len, EOP | RS);
		eg_write(g, E1000_TDT, 1);
		eg_deliver(g, eg_mac, class[i].len);
		eg_poll(g, 1);
		for (uint32_t reg = 0x40d8; reg <= 0x40ec; reg += 4)
			assert_int_equal(eg_read(g, reg), reg == class[i].reg);
		for (uint32_t reg = 0x405c; reg <= 0x4070; reg += 4)
			assert_int_equal(eg_read(g, reg), reg + 0x7c == class[i].reg);
		assert_int_equal(eg_read(g, 0x4090), class[i].len + 4); /* GOTCL */
		assert_int_equal(eg_read(g, 0x4094), 0);
		assert_int_equal(eg_read(g, 0x4090), 0);
		assert_int_equal(eg_read(g, 0x40c0), class[i].len + 4); /* TORL */
		assert_int_equal(eg_read(g, 0x40c4), 0);
	}
}

static void e1000_tx_ring_that_moves_forgets_what_is_under_way(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 16);
	for (unsigned int i = 0; i < 12; i++)
		eg_legacy(g, i, EG_DATA, 64, EOP | RS);
	g->tap->hold = true;
	eg_write(g, E1000_TDT, 12);
	eg_poll(g, 1);
	eg_start_tx(g, 8);
	eg_legacy(g, 0, EG_DATA, 70, EOP | RS);
	eg_write(g, E1000_TDT, 1);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 13);
	/* the old ring's twelve are not the new one's first */
	g->tap->hold = false;
	g->tap->slow = 3;
	eg_poll(g, 4);
	assert_int_equal(eg_read(g, E1000_TDH), 0);
	assert_int_equal(eg_tx_status(g, 0), 0);
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, E1000_TDH), 1);
	assert_int_equal(eg_tx_status(g, 0), 1);
	assert_int_equal(eg_tx_status(g, 1), 0);
	assert_int_equal(eg_stat(g, "guest_tx_frames"), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		T(e1000_tx_legacy_frame_goes_out_as_it_is),
		T(e1000_tx_frame_is_not_copied),
		T(e1000_tx_frame_of_several_descriptors_is_one_frame),
		T(e1000_tx_data_length_has_twenty_bits_and_legacy_sixteen),
		T(e1000_tx_stops_at_tail),
		T(e1000_tx_goes_round_the_ring),
		T(e1000_tx_hands_over_at_most_a_burst_and_loses_nothing),
		T(e1000_tx_finishes_when_the_back_end_has_sent),
		T(e1000_tx_keeps_what_the_back_end_does_not_take),
		T(e1000_tx_pads_short_frames_with_zeros),
		T(e1000_tx_context_is_taken_and_finished),
		T(e1000_tx_needs_enable_and_bus_mastering),
		T(e1000_tx_finishes_nothing_while_bus_mastering_is_off),
		T(e1000_tx_counts_into_the_statistics),
		T(e1000_statistics_sort_frames_by_size),
		T(e1000_tx_ring_that_moves_forgets_what_is_under_way),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
