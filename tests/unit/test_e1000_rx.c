/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receive of the emulated 82540EM: posted buffers, descriptors written back, filters as the
 * back-end gets them.
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

#define SECRC  E1000_RCTL_SECRC
#define ALL_IN (E1000_RCTL_UPE | E1000_RCTL_MPE | E1000_RCTL_BAM)
#define DD_EOP (E1000_RXD_STAT_DD | E1000_RXD_STAT_EOP)

static void e1000_rx_frame_lands_in_the_posted_buffer(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 8, SECRC);
	eg_post(g, 4, 2048);
	eg_deliver(g, eg_mac, 100);
	assert_int_equal(eg_poll(g, 1), 1);
	assert_int_equal(eg_rx(g, 0).length, 100);
	assert_int_equal(eg_rx(g, 0).status & DD_EOP, DD_EOP);
	assert_int_equal(eg_rx(g, 0).errors, 0);
	assert_int_equal(eg_rx(g, 0).addr, EG_DATA);
	assert_int_equal(eg_rx(g, 1).status, 0);
	assert_memory_equal(eg_ptr(g, EG_DATA), g->tap->rx_data[0], 100);
	assert_int_equal(eg_read(g, E1000_RDH), 1);
	assert_true(eg_read(g, E1000_ICR) & E1000_INT_RXT0);
}

static void e1000_rx_frame_has_room_for_its_fcs(void **state)
{
	static const uint8_t zeros[4];
	struct eg *g = *state;

	eg_start_rx(g, 8, 0);
	memset(eg_ptr(g, EG_DATA), 0xee, 2048);
	eg_post(g, 4, 2048);
	eg_deliver(g, eg_mac, 100);
	eg_poll(g, 1);
	assert_int_equal(eg_rx(g, 0).length, 104);
	assert_memory_equal(eg_ptr(g, EG_DATA + 100), zeros, 4);
	assert_int_equal(*(uint8_t *)eg_ptr(g, EG_DATA + 104), 0xee);
}

static void e1000_rx_buffer_size_is_bsize_and_bsex(void **state)
{
	static const struct {
		uint32_t rctl, size;
	} kind[] = {
		{ 0u << 16, 2048 },
		{ 1u << 16, 1024 },
		{ 2u << 16, 512 },
		{ 3u << 16, 256 },
		{ 1u << 25 | 1u << 16, 16384 },
		{ 1u << 25 | 2u << 16, 8192 },
		{ 1u << 25 | 3u << 16, 4096 },
	};
	struct eg *g = *state;

	for (size_t i = 0; i < 7; i++) {
		uint32_t size = kind[i].size, len = 5000, n = (len + size - 1) / size;

		eg_start_rx(g, 32, kind[i].rctl | SECRC | E1000_RCTL_LPE);
		memset(eg_ptr(g, EG_DATA), 0xee, 32 * size);
		eg_post(g, 31, size);
		eg_deliver(g, eg_mac, len);
		eg_poll(g, 1);
		assert_int_equal(eg_read(g, E1000_RDH), n);
		for (uint32_t k = 0; k < n; k++) {
			assert_int_equal(eg_rx(g, k).length,
					 k + 1 < n ? size : len - (n - 1) * size);
			assert_int_equal(eg_rx(g, k).status & DD_EOP,
					 k + 1 < n ? E1000_RXD_STAT_DD : DD_EOP);
		}
		/* buffers lie one after the other, so the frame does */
		assert_memory_equal(eg_ptr(g, EG_DATA), g->tap->rx_data[0], len);
		assert_int_equal(*(uint8_t *)eg_ptr(g, EG_DATA + len), 0xee);
	}
}

static void e1000_rx_stops_at_tail(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 8, SECRC);
	eg_post(g, 2, 2048);
	for (int i = 0; i < 5; i++)
		eg_deliver(g, eg_mac, 100);
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, E1000_RDH), 2);
	assert_int_equal(eg_rx(g, 2).status, 0);
	assert_int_equal(eg_stat(g, "rx_no_descriptor"), 3);
	assert_int_equal(eg_read(g, 0x4010), 3); /* MPC */
	assert_int_equal(eg_read(g, 0x40a0), 3); /* RNBC */
	assert_true(eg_read(g, E1000_ICR) & E1000_INT_RXO);
}

static void e1000_rx_goes_round_the_ring(void **state)
{
	struct eg *g = *state;
	struct e1000_rx_desc zero = { 0 };

	eg_start_rx(g, 8, SECRC);
	eg_post(g, 7, 2048);
	for (unsigned int i = 0; i < 100; i++) {
		eg_deliver(g, eg_mac, 100 + i);
		eg_poll(g, 1);
		assert_int_equal(eg_rx(g, i % 8).length, 100 + i);
		assert_int_equal(eg_rx(g, i % 8).status & DD_EOP, DD_EOP);
		zero.addr = EG_DATA + i % 8 * 2048;
		memcpy(eg_ptr(g, EG_RX_RING + 16 * (i % 8)), &zero, 16);
		zero.addr = EG_DATA + (i + 7) % 8 * 2048;
		memcpy(eg_ptr(g, EG_RX_RING + 16 * ((i + 7) % 8)), &zero, 16);
		eg_write(g, E1000_RDT, (i + 8) % 8);
	}
	assert_int_equal(eg_stat(g, "rx_descriptors"), 100);
}

static void e1000_rx_knows_more_buffers_than_it_caches(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 1024, SECRC | 3u << 16);
	eg_post(g, 1000, 256);
	g->tap->pull = true;
	for (unsigned int i = 0; i < 1000; i++) {
		eg_deliver(g, eg_mac, 64);
		if (i % 50 == 49)
			eg_poll(g, 1);
	}
	assert_int_equal(eg_read(g, E1000_RDH), 1000);
	assert_int_equal(eg_stat(g, "rx_no_descriptor"), 0);
	assert_memory_equal(eg_ptr(g, EG_DATA + 999 * 256), eg_mac, 6);
}

static void e1000_rx_long_frames_need_lpe(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 8, SECRC);
	eg_post(g, 4, 2048);
	eg_deliver(g, eg_mac, 1518);
	eg_deliver(g, eg_mac, 1519);
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, E1000_RDH), 1);
	assert_int_equal(eg_read(g, 0x40ac), 1); /* ROC */
	eg_write(g, E1000_RCTL, E1000_RCTL_EN | SECRC | E1000_RCTL_LPE);
	eg_deliver(g, eg_mac, 1519);
	eg_deliver(g, eg_mac, 16381);
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, E1000_RDH), 2);
}

static void e1000_rx_shows_nothing_without_enable_or_bus_mastering(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 8, SECRC);
	eg_post(g, 4, 2048);
	eg_cfg_write(g, 4, 3);
	eg_deliver(g, eg_mac, 100);
	eg_poll(g, 1);
	eg_cfg_write(g, 4, 7);
	eg_write(g, E1000_RCTL, SECRC);
	eg_deliver(g, eg_mac, 100);
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, E1000_RDH), 0);
	assert_int_equal(eg_rx(g, 0).status, 0);
}

static void e1000_rx_tells_when_descriptors_run_low(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 8, SECRC | 1u << 8); /* a quarter: 2 */
	eg_post(g, 4, 2048);
	eg_deliver(g, eg_mac, 100);
	eg_poll(g, 1);
	assert_false(eg_read(g, E1000_ICR) & E1000_INT_RXDMT0);
	eg_deliver(g, eg_mac, 100);
	eg_poll(g, 1);
	assert_true(eg_read(g, E1000_ICR) & E1000_INT_RXDMT0);
}

static void e1000_rx_counts_into_the_statistics(void **state)
{
	static const uint8_t group[6] = { 1, 0, 0x5e, 0, 0, 1 };
	struct eg *g = *state;

	eg_start_rx(g, 8, SECRC | ALL_IN);
	eg_post(g, 7, 2048);
	eg_deliver(g, eg_mac, 60);
	eg_deliver(g, NULL, 200);
	eg_deliver(g, group, 1500);
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, 0x4074), 3);                    /* GPRC */
	assert_int_equal(eg_read(g, 0x40d0), 3);                    /* TPR */
	assert_int_equal(eg_read(g, 0x4088), 60 + 200 + 1500 + 12); /* GORCL */
	assert_int_equal(eg_read(g, 0x4078), 1);                    /* BPRC */
	assert_int_equal(eg_read(g, 0x407c), 1);                    /* MPRC */
	assert_int_equal(eg_read(g, 0x405c), 1);                    /* PRC64 */
	assert_int_equal(eg_read(g, 0x4064), 1);                    /* PRC255 */
	assert_int_equal(eg_read(g, 0x4070), 1);                    /* PRC1522 */
}

/* Is a frame to that address, with that VLAN (0: none), let through? */
static bool passes(struct eg *g, const uint8_t dst[6], uint16_t vlan)
{
	uint8_t frame[64] = {
		[12] = vlan ? 0x81 : 0x08, [14] = (uint8_t)(vlan >> 8), [15] = (uint8_t)vlan
	};

	memcpy(frame, dst, 6);
	eg_poll(g, 1); /* hands the filter over */
	return nic_filter_match(&g->tap->be.filter, frame, sizeof(frame));
}

static const uint8_t other[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x57 };
static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0x12, 0x34, 0x56 };
static const uint8_t everyone[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void e1000_rx_filter_follows_promiscuous_bits(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_RCTL, 0);
	assert_true(passes(g, eg_mac, 0));
	assert_false(passes(g, other, 0) || passes(g, group, 0) || passes(g, everyone, 0));
	eg_write(g, E1000_RCTL, E1000_RCTL_UPE);
	assert_true(passes(g, other, 0));
	assert_false(passes(g, group, 0));
	eg_write(g, E1000_RCTL, E1000_RCTL_MPE);
	assert_true(passes(g, group, 0));
	assert_false(passes(g, other, 0));
	eg_write(g, E1000_RCTL, E1000_RCTL_BAM);
	assert_true(passes(g, everyone, 0));
	assert_false(passes(g, group, 0));
}

static void e1000_rx_filter_has_sixteen_addresses(void **state)
{
	struct eg *g = *state;

	for (unsigned int i = 0; i < 16; i++) {
		eg_write(g, 0x5400 + 8 * i, 0x12005452);
		eg_write(g, 0x5404 + 8 * i, 0x00005734);
		assert_false(passes(g, other, 0)); /* not valid */
		eg_write(g, 0x5404 + 8 * i, 0x80005734);
		assert_true(passes(g, other, 0));
		eg_write(g, 0x5404 + 8 * i, 0);
	}
}

static void e1000_rx_filter_hashes_by_rctl_mo(void **state)
{
	static const uint8_t shift[4] = { 4, 3, 2, 0 };
	struct eg *g = *state;

	for (uint32_t mo = 0; mo < 4; mo++) {
		uint32_t bit = (0x34u | 0x56u << 8) >> shift[mo] & 0xfff;

		eg_write(g, E1000_RCTL, mo << 12);
		assert_false(passes(g, group, 0));
		eg_write(g, 0x5200 + 4 * (bit / 32), 1u << (bit % 32));
		assert_true(passes(g, group, 0));
		eg_write(g, 0x5200 + 4 * (bit / 32), 0);
	}
}

static void e1000_rx_filter_knows_vlans(void **state)
{
	struct eg *g = *state;

	assert_true(passes(g, eg_mac, 100));
	eg_write(g, E1000_RCTL, E1000_RCTL_VFE);
	assert_false(passes(g, eg_mac, 100));
	assert_true(passes(g, eg_mac, 0));
	eg_write(g, 0x5600 + 4 * (100 / 32), 1u << (100 % 32));
	assert_true(passes(g, eg_mac, 100));
	assert_false(passes(g, eg_mac, 101));
}

static void e1000_rx_filter_is_handed_over_once_a_change(void **state)
{
	struct eg *g = *state;
	unsigned int before;

	eg_poll(g, 1);
	before = g->tap->n_filters;
	eg_poll(g, 5);
	assert_int_equal(g->tap->n_filters, before);
	for (uint32_t i = 0; i < 128; i++)
		eg_write(g, E1000_MTA + 4 * i, ~0u);
	eg_poll(g, 5);
	assert_int_equal(g->tap->n_filters, before + 1);
}

static void e1000_rx_pause_address_is_let_in_while_it_is_listened_to(void **state)
{
	static const uint8_t pause[6] = { 0x01, 0x80, 0xc2, 0, 0, 1 };
	struct eg *g = *state;

	assert_false(passes(g, pause, 0));
	eg_write(g, E1000_CTRL, E1000_CTRL_RFCE);
	assert_true(passes(g, pause, 0));
	eg_write(g, E1000_CTRL, 0);
	assert_false(passes(g, pause, 0));
}

/* Tags of another type are no VLANs of the filter's. */
static void e1000_rx_filter_leaves_foreign_tags_alone(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_RCTL, E1000_RCTL_VFE);
	assert_false(passes(g, eg_mac, 100));
	eg_write(g, E1000_VET, 0x88a8);
	assert_true(passes(g, eg_mac, 100));
}

/* --- what the device finds in a frame --- */
static void set16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t plain_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The next frame to come: IPv4 or IPv6 with all sums right; `l2` 18: tagged 0x2064. */
static uint8_t *bring(struct eg *g, bool v6, uint8_t proto, uint32_t l2, uint32_t len)
{
	uint8_t *p = g->tap->rx_data[g->tap->n_rx], *ip = p + l2, *l4 = ip + (v6 ? 40 : 20);
	uint32_t n = len - (uint32_t)(l4 - p), at = proto == 17 ? 6 : 16, sum;

	eg_deliver(g, eg_mac, len);
	if (l2 == 18) {
		set16(p + 12, 0x8100);
		set16(p + 14, 0x2064);
	}
	set16(ip - 2, v6 ? 0x86dd : 0x0800);
	ip[0] = v6 ? 0x60 : 0x45;
	if (v6) {
		set16(ip + 4, n);
		ip[6] = proto;
	} else {
		set16(ip + 2, n + 20);
		set16(ip + 6, 0x4000);
		ip[9] = proto;
		set16(ip + 10, 0);
		set16(ip + 10, ~plain_sum(0, ip, 20) & 0xffff);
	}
	set16(l4 + at, 0);
	sum = v6 ? plain_sum(proto + n, ip + 8, 32) : plain_sum(proto + n, ip + 12, 8);
	set16(l4 + at, ~plain_sum(sum, l4, n) & 0xffff);
	return p;
}

#define OFLD (E1000_RXCSUM_IPOFLD | E1000_RXCSUM_TUOFLD)
#define IPCS E1000_RXD_STAT_IPCS
#define L4CS E1000_RXD_STAT_TCPCS
#define IXSM E1000_RXD_STAT_IXSM

static struct e1000_rx_desc receive(struct eg *g)
{
	uint32_t idx = eg_read(g, E1000_RDH);

	eg_poll(g, 1);
	assert_int_equal(eg_read(g, E1000_RDH), idx + 1);
	return eg_rx(g, idx);
}

static void assert_sums(struct eg *g, unsigned int status, unsigned int errors)
{
	struct e1000_rx_desc desc = receive(g);

	assert_int_equal(desc.status & (IPCS | L4CS | IXSM), status);
	assert_int_equal(desc.errors, errors);
}

static void e1000_rx_checks_the_sums_it_is_asked_for(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 64, SECRC);
	eg_post(g, 63, 2048);
	bring(g, false, 6, 14, 200);
	assert_sums(g, IXSM, 0);
	eg_write(g, E1000_RXCSUM, E1000_RXCSUM_IPOFLD);
	bring(g, false, 6, 14, 200);
	assert_sums(g, IPCS, 0);
	eg_write(g, E1000_RXCSUM, E1000_RXCSUM_TUOFLD);
	bring(g, false, 6, 14, 201);
	assert_sums(g, L4CS, 0);
	eg_write(g, E1000_RXCSUM, OFLD);
	bring(g, false, 17, 14, 1514);
	assert_sums(g, IPCS | L4CS, 0);
	bring(g, false, 6, 18, 333);
	assert_sums(g, IPCS | L4CS, 0);
	/* padding is no part of it */
	bring(g, false, 17, 14, 45);
	assert_sums(g, IPCS | L4CS, 0);
	/* IPv6 wants its own bit */
	bring(g, true, 6, 14, 200);
	assert_sums(g, IXSM, 0);
	eg_write(g, E1000_RXCSUM, OFLD | E1000_RXCSUM_IPV6OFL);
	bring(g, true, 6, 14, 200);
	assert_sums(g, L4CS, 0);
	bring(g, true, 17, 18, 77);
	assert_sums(g, L4CS, 0);
}

static void e1000_rx_tells_which_sum_is_wrong(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 64, SECRC);
	eg_post(g, 63, 2048);
	eg_write(g, E1000_RXCSUM, OFLD | E1000_RXCSUM_IPV6OFL);
	bring(g, false, 6, 14, 200)[22] ^= 1; /* TTL */
	assert_sums(g, IPCS | L4CS, E1000_RXD_ERR_IPE);
	bring(g, false, 6, 14, 200)[199] ^= 1;
	assert_sums(g, IPCS | L4CS, E1000_RXD_ERR_TCPE);
	bring(g, true, 17, 14, 200)[22] ^= 1; /* an address */
	assert_sums(g, L4CS, E1000_RXD_ERR_TCPE);
}

static void e1000_rx_says_nothing_of_sums_it_cannot_tell(void **state)
{
	struct eg *g = *state;
	uint8_t *p;

	eg_start_rx(g, 64, SECRC);
	eg_post(g, 63, 2048);
	eg_write(g, E1000_RXCSUM, OFLD | E1000_RXCSUM_IPV6OFL);
	eg_deliver(g, eg_mac, 100); /* no IP */
	assert_sums(g, IXSM, 0);
	p = bring(g, false, 6, 14, 200); /* a fragment */
	set16(p + 20, 0x2000);
	set16(p + 24, 0);
	set16(p + 24, ~plain_sum(0, p + 14, 20) & 0xffff);
	assert_sums(g, IPCS, 0);
	bring(g, false, 1, 14, 200); /* ICMP */
	assert_sums(g, IPCS, 0);
	set16(bring(g, false, 17, 14, 200) + 40, 0); /* UDP without */
	assert_sums(g, IPCS, 0);
	/* lengths that are not true */
	set16(bring(g, false, 6, 14, 200) + 16, 187);
	assert_sums(g, IXSM, 0);
	set16(bring(g, false, 6, 14, 200) + 16, 19);
	assert_sums(g, IXSM, 0);
	bring(g, false, 6, 14, 200)[14] = 0x44;
	assert_sums(g, IXSM, 0);
	bring(g, false, 6, 14, 70)[14] = 0x4f; /* options to beyond the end */
	assert_sums(g, IXSM, 0);
	set16(bring(g, true, 6, 14, 200) + 18, 0xffff);
	assert_sums(g, IXSM, 0);
	eg_deliver(g, eg_mac, 14);
	assert_sums(g, IXSM, 0);
}

/* A frame over many buffers is summed as one. */
static void e1000_rx_sums_go_over_buffers(void **state)
{
	struct eg *g = *state;

	for (uint32_t len = 990; len < 1000; len++) {
		eg_start_rx(g, 64, E1000_RCTL_BSIZE_256);
		eg_post(g, 63, 256);
		eg_write(g, E1000_RXCSUM, OFLD);
		bring(g, false, 6, 14, len);
		eg_poll(g, 1);
		assert_int_equal(eg_rx(g, 0).status, E1000_RXD_STAT_DD);
		assert_int_equal(eg_rx(g, 3).status & (IPCS | L4CS | IXSM), IPCS | L4CS);
		assert_int_equal(eg_rx(g, 3).errors, 0);
	}
}

static void e1000_rx_packet_checksum_starts_at_pcss(void **state)
{
	static const uint32_t start[] = { 1, 13, 14, 33, 34, 35, 54, 150, 199, 200, 255 };
	struct eg *g = *state;

	for (size_t i = 0; i < sizeof(start) / sizeof(start[0]); i++)
		for (uint32_t on = 0; on <= OFLD; on += OFLD) {
			uint32_t at = start[i] < 200 ? start[i] : 200;
			uint8_t *p;

			eg_start_rx(g, 8, SECRC);
			eg_post(g, 7, 2048);
			eg_write(g, E1000_RXCSUM, start[i] | on);
			p = bring(g, false, 6, 14, 200);
			assert_int_equal(receive(g).checksum,
					 ~plain_sum(0, p + at, 200 - at) & 0xffff);
		}
}

static void e1000_rx_strips_tags_when_it_is_told_to(void **state)
{
	struct eg *g = *state;
	struct e1000_rx_desc desc;
	uint8_t *p;

	eg_start_rx(g, 64, 0);
	eg_post(g, 63, 2048);
	p = bring(g, false, 6, 18, 300);
	desc = receive(g);
	assert_int_equal(desc.length, 304);
	assert_int_equal(desc.status & E1000_RXD_STAT_VP, 0);
	eg_write(g, E1000_CTRL, E1000_CTRL_VME);
	eg_write(g, E1000_RXCSUM, OFLD);
	p = bring(g, false, 6, 18, 300);
	desc = receive(g);
	assert_int_equal(desc.length, 300);
	assert_true(desc.status & E1000_RXD_STAT_VP);
	assert_int_equal(desc.status & (IPCS | L4CS), IPCS | L4CS);
	assert_int_equal(desc.special, 0x2064);
	assert_memory_equal(eg_ptr(g, EG_DATA + 2048), p, 12);
	assert_memory_equal(eg_ptr(g, EG_DATA + 2048 + 12), p + 16, 284);
	assert_int_equal(*(uint32_t *)eg_ptr(g, EG_DATA + 2048 + 296), 0); /* FCS */
	/* what has no tag is left alone */
	bring(g, false, 6, 14, 300);
	desc = receive(g);
	assert_int_equal(desc.length, 304);
	assert_int_equal(desc.status & E1000_RXD_STAT_VP, 0);
	assert_int_equal(eg_stat(g, "rx_shifted"), 1);
}

static void e1000_rx_strips_tags_of_long_frames(void **state)
{
	struct eg *g = *state;
	uint8_t *p, all[700];
	uint32_t have = 0;

	eg_write(g, E1000_CTRL, E1000_CTRL_VME);
	eg_start_rx(g, 64, SECRC | E1000_RCTL_BSIZE_256);
	eg_post(g, 63, 2048);
	p = bring(g, false, 6, 18, 600);
	eg_poll(g, 1);
	for (unsigned int i = 0; i < 3; i++) {
		memcpy(all + have, eg_ptr(g, EG_DATA + 2048 * i), eg_rx(g, i).length);
		have += eg_rx(g, i).length;
	}
	assert_int_equal(have, 596);
	assert_memory_equal(all, p, 12);
	assert_memory_equal(all + 12, p + 16, 584);
	assert_int_equal(eg_rx(g, 0).status, E1000_RXD_STAT_DD);
	assert_int_equal(eg_rx(g, 2).special, 0x2064);
}

static void e1000_rx_pads_frames_that_no_wire_could_carry(void **state)
{
	static const uint8_t zeros[18];
	struct eg *g = *state;

	eg_start_rx(g, 8, SECRC);
	memset(eg_ptr(g, EG_DATA), 0xee, 100);
	eg_post(g, 4, 2048);
	eg_deliver(g, eg_mac, 42);
	assert_int_equal(receive(g).length, 60);
	assert_memory_equal(eg_ptr(g, EG_DATA + 42), zeros, 18);
	assert_int_equal(*(uint8_t *)eg_ptr(g, EG_DATA + 60), 0xee);
}

static void e1000_rx_marks_what_an_inexact_filter_let_in(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 8, SECRC | ALL_IN);
	eg_post(g, 7, 2048);
	eg_poll(g, 1);
	eg_deliver(g, group, 100);
	assert_true(receive(g).status & E1000_RXD_STAT_PIF);
	eg_write(g, E1000_RAL(1), 0x125e0001);
	eg_write(g, E1000_RAH(1), 0x80005634);
	eg_deliver(g, group, 100);
	assert_false(receive(g).status & E1000_RXD_STAT_PIF);
	eg_deliver(g, everyone, 100);
	assert_false(receive(g).status & E1000_RXD_STAT_PIF);
}

static void e1000_rx_counts_pause_frames(void **state)
{
	static const uint8_t pause[6] = { 0x01, 0x80, 0xc2, 0, 0, 1 };
	static const uint16_t word[4][2] = { { 1, 100 }, { 1, 0 }, { 1, 0xffff }, { 2, 0 } };
	struct eg *g = *state;

	eg_start_rx(g, 8, SECRC | ALL_IN);
	eg_post(g, 7, 2048);
	for (int i = 0; i < 4; i++) {
		uint8_t *p = g->tap->rx_data[g->tap->n_rx];

		eg_deliver(g, pause, 60);
		set16(p + 12, 0x8808);
		set16(p + 14, word[i][0]);
		set16(p + 16, word[i][1]);
	}
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, 0x4050), 2); /* XOFFRXC */
	assert_int_equal(eg_read(g, 0x4048), 1); /* XONRXC */
	assert_int_equal(eg_read(g, 0x4058), 1); /* FCRUC */
}

static void e1000_rx_tells_of_small_packets(void **state)
{
	struct eg *g = *state;

	eg_start_rx(g, 8, SECRC);
	eg_post(g, 7, 2048);
	eg_write(g, E1000_RSRPD, 104);
	eg_deliver(g, eg_mac, 101);
	eg_poll(g, 1);
	assert_false(eg_read(g, E1000_ICR) & E1000_INT_SRPD);
	eg_deliver(g, eg_mac, 100);
	eg_poll(g, 1);
	assert_true(eg_read(g, E1000_ICR) & E1000_INT_SRPD);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		T(e1000_rx_frame_lands_in_the_posted_buffer),
		T(e1000_rx_frame_has_room_for_its_fcs),
		T(e1000_rx_buffer_size_is_bsize_and_bsex),
		T(e1000_rx_stops_at_tail),
		T(e1000_rx_goes_round_the_ring),
		T(e1000_rx_knows_more_buffers_than_it_caches),
		T(e1000_rx_long_frames_need_lpe),
		T(e1000_rx_shows_nothing_without_enable_or_bus_mastering),
		T(e1000_rx_tells_when_descriptors_run_low),
		T(e1000_rx_counts_into_the_statistics),
		T(e1000_rx_filter_follows_promiscuous_bits),
		T(e1000_rx_filter_has_sixteen_addresses),
		T(e1000_rx_filter_hashes_by_rctl_mo),
		T(e1000_rx_filter_knows_vlans),
		T(e1000_rx_filter_is_handed_over_once_a_change),
		T(e1000_rx_pause_address_is_let_in_while_it_is_listened_to),
		T(e1000_rx_filter_leaves_foreign_tags_alone),
		T(e1000_rx_checks_the_sums_it_is_asked_for),
		T(e1000_rx_tells_which_sum_is_wrong),
		T(e1000_rx_says_nothing_of_sums_it_cannot_tell),
		T(e1000_rx_sums_go_over_buffers),
		T(e1000_rx_packet_checksum_starts_at_pcss),
		T(e1000_rx_strips_tags_when_it_is_told_to),
		T(e1000_rx_strips_tags_of_long_frames),
		T(e1000_rx_pads_frames_that_no_wire_could_carry),
		T(e1000_rx_marks_what_an_inexact_filter_let_in),
		T(e1000_rx_counts_pause_frames),
		T(e1000_rx_tells_of_small_packets),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
