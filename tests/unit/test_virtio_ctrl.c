/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control queue of virtio-net over a back-end that moves frames: receive modes, address tables,
 * VLANs, queue pairs, the MTU, and what a guest may do wrong with each command. What it asks for is
 * read from the filter that the back-end was given, and seen in frames that come back from `loop`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "helper_virtio.h"

#define BIT(name) VIRTIO_BIT(VIRTIO_NET_F_##name)
#define F_CTRL \
	(BIT(CTRL_VQ) | BIT(CTRL_RX) | BIT(CTRL_RX_EXTRA) | BIT(CTRL_VLAN) | BIT(CTRL_MAC_ADDR))
#define CTRL  2 /* of one pair */
#define PAIRS 4

static const uint8_t own[6] = { 2, 0x11, 0x22, 0x33, 0x44, 0x55 };

static int setup(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,mac=02:11:22:33:44:55,backend=loop", -1);
	*state = &g;
	return 0;
}

static int setup_several(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,mac=02:11:22:33:44:55,backend=loop,queues=4", -1);
	*state = &g;
	return 0;
}

static int setup_mtu(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,backend=loop,mtu=1280", -1);
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	vg_down(*state);
	return 0;
}

static void start(struct vg *g, uint64_t features)
{
	vg_start_all(g, VG_F_NET | features, 64, 3);
}

static const struct nic_filter *filter(struct vg *g)
{
	return &g->v->be->filter;
}

static uint8_t mode(struct vg *g, uint8_t command, uint8_t on)
{
	const uint8_t cmd[] = { 0, command, on };

	return vg_command(g, CTRL, cmd, sizeof(cmd));
}

/* Whether a frame to that address would come in; tag 0: without one. */
static bool takes(struct vg *g, const uint8_t mac[6], uint16_t tag)
{
	uint8_t frame[64] = { 0 };

	memcpy(frame, mac, 6);
	if (tag) {
		frame[12] = 0x81;
		frame[14] = (uint8_t)(tag >> 8);
		frame[15] = (uint8_t)tag;
	}
	return nic_filter_match(filter(g), frame, sizeof(frame));
}

static bool takes_byte(struct vg *g, uint8_t first, uint8_t last)
{
	const uint8_t mac[6] = { first, 0, 0, 0, 0, last };

	return takes(g, mac, 0);
}

static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* --- modes --- */
static void driver_without_receive_modes_gets_everything(void **state)
{
	struct vg *g = *state;

	start(g, BIT(CTRL_VQ));
	assert_true(filter(g)->promisc);
	assert_int_equal(mode(g, 0, 0), 1);
	assert_true(filter(g)->promisc);
}

static void modes_open_and_close_the_filter(void **state)
{
	struct vg *g = *state;

	start(g, F_CTRL);
	assert_true(filter(g)->promisc); /* until the driver says otherwise */
	assert_int_equal(mode(g, 0, 0), 0);
	assert_true(takes(g, own, 0) && takes(g, all, 0));
	assert_false(takes_byte(g, 2, 7) || takes_byte(g, 1, 7));
	assert_int_equal(mode(g, 1, 1), 0); /* all multicast */
	assert_true(takes_byte(g, 1, 7) && !takes_byte(g, 2, 7));
	assert_int_equal(mode(g, 3, 1), 0); /* no multicast, which counts more */
	assert_false(takes_byte(g, 1, 7));
	assert_true(takes(g, all, 0));
	assert_int_equal(mode(g, 2, 1), 0); /* all unicast */
	assert_true(takes_byte(g, 2, 7));
	assert_int_equal(mode(g, 4, 1), 0); /* no unicast */
	assert_false(takes_byte(g, 2, 7) || takes(g, own, 0));
	assert_int_equal(mode(g, 5, 1), 0); /* no broadcast */
	assert_false(takes(g, all, 0));
	assert_int_equal(mode(g, 0, 1), 0);
	assert_true(takes(g, all, 0) && takes(g, own, 0) && takes_byte(g, 3, 9));
	vg_set_status(g, 0);
	start(g, F_CTRL);
	assert_int_equal(mode(g, 0, 0), 0);
	assert_true(takes(g, all, 0) && takes(g, own, 0)); /* of the last driver nothing is left */
}

static void each_command_needs_its_feature(void **state)
{
	static const struct {
		uint64_t features;
		uint8_t cmd[12];
		uint32_t len;
	} row[] = {
		{ BIT(CTRL_RX), { 0, 2, 1 }, 3 },
		{ BIT(CTRL_RX), { 0, 5, 1 }, 3 },
		{ BIT(CTRL_VLAN), { 0, 0, 1 }, 3 },
		{ BIT(CTRL_VLAN), { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 10 },
		{ BIT(CTRL_RX), { 1, 1, 2, 0, 0, 0, 0, 9 }, 8 },
		{ BIT(CTRL_RX), { 2, 0, 1, 0 }, 4 },
		{ BIT(CTRL_RX), { 3, 0 }, 2 },
		{ BIT(CTRL_RX), { 4, 0, 1, 0 }, 4 },
		{ BIT(CTRL_RX), { 5, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 10 },
	};
	struct vg *g = *state;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		start(g, BIT(CTRL_VQ) | row[i].features);
		assert_int_equal(vg_command(g, CTRL, row[i].cmd, row[i].len), 1);
		assert_int_equal(vg_status(g), 15);
	}
}

static void features_without_what_they_need_are_refused(void **state)
{
	static const uint64_t bad[] = {
		BIT(CTRL_RX),        BIT(CTRL_VQ) | BIT(CTRL_RX_EXTRA),
		BIT(CTRL_VLAN),      BIT(CTRL_MAC_ADDR),
		BIT(GUEST_ANNOUNCE),
	};
	struct vg *g = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vg_negotiate(g, VG_F_NET | bad[i]);
		assert_int_equal(vg_status(g) & 8, 0);
	}
	vg_negotiate(g, VG_F_NET | F_CTRL | BIT(GUEST_ANNOUNCE));
	assert_int_equal(vg_status(g) & 8, 8);
}

/* --- addresses --- */
/* n_uni and n_multi addresses 02:00:00:00:00:i and 01:00:00:00:00:i. Gives the length. */
static uint32_t table(uint8_t *cmd, unsigned int n_uni, unsigned int n_multi)
{
	const unsigned int n[2] = { n_uni, n_multi };
	uint8_t *p = cmd;

	*p++ = 1;
	*p++ = 0;
	for (unsigned int t = 0; t < 2; t++) {
		memcpy(p, &n[t], 4);
		p += 4;
		for (unsigned int i = 0; i < n[t]; i++, p += 6) {
			memset(p, 0, 6);
			p[0] = t ? 1 : 2;
			p[5] = (uint8_t)i;
		}
	}
	return (uint32_t)(p - cmd);
}

static void tables_replace_one_another(void **state)
{
	static uint8_t cmd[20000];
	struct vg *g = *state;

	start(g, F_CTRL);
	mode(g, 0, 0);
	assert_int_equal(vg_command(g, CTRL, cmd, table(cmd, 5, 10)), 0);
	assert_true(takes_byte(g, 2, 4) && takes_byte(g, 1, 9) && takes(g, own, 0));
	assert_false(takes_byte(g, 2, 5) || takes_byte(g, 1, 10));
	assert_int_equal(mode(g, 4, 1), 0); /* no unicast: the tables' too */
	assert_false(takes_byte(g, 2, 4));
	assert_true(takes_byte(g, 1, 9));
	mode(g, 4, 0);
	mode(g, 3, 1);
	assert_true(takes_byte(g, 2, 4) && !takes_byte(g, 1, 9));
	mode(g, 3, 0);
	assert_int_equal(vg_command(g, CTRL, cmd, table(cmd, 0, 1)), 0);
	assert_true(takes_byte(g, 1, 0));
	assert_false(takes_byte(g, 2, 0) || takes_byte(g, 1, 1));
}

static void table_beyond_its_place_lets_its_kind_through(void **state)
{
	static uint8_t cmd[20000];
	struct vg *g = *state;

	start(g, F_CTRL);
	mode(g, 0, 0);
	assert_int_equal(vg_command(g, CTRL, cmd, table(cmd, 3, 64)), 0);
	assert_true(takes_byte(g, 1, 200) && takes_byte(g, 2, 2));
	assert_false(takes_byte(g, 2, 3));
	assert_int_equal(vg_command(g, CTRL, cmd, table(cmd, 16, 0)), 0);
	assert_true(takes_byte(g, 2, 200) && takes(g, own, 0));
	assert_false(takes_byte(g, 1, 0));
	assert_int_equal(vg_command(g, CTRL, cmd, table(cmd, 1024, 1024)), 0);
	assert_int_equal(vg_command(g, CTRL, cmd, table(cmd, 0, 0)), 0);
	assert_false(takes_byte(g, 2, 0));
}

static void wrong_tables_change_nothing(void **state)
{
	static uint8_t cmd[20000];
	struct vg *g = *state;
	uint32_t len;

	start(g, F_CTRL);
	mode(g, 0, 0);
	vg_command(g, CTRL, cmd, table(cmd, 1, 1));
	len = table(cmd, 2, 2);
	for (uint32_t cut = 0; cut < len; cut++)
		assert_int_equal(vg_command(g, CTRL, cmd, cut), 1);
	assert_int_equal(vg_command(g, CTRL, cmd, len + 1), 1);
	assert_int_equal(vg_command(g, CTRL, cmd, table(cmd, 1025, 0)), 1);
	table(cmd, 2, 2);
	memset(cmd + 2, 0xff, 4);
	assert_int_equal(vg_command(g, CTRL, cmd, len), 1);
	assert_true(takes_byte(g, 2, 0) && !takes_byte(g, 2, 1));
	assert_int_equal(vg_status(g), 15);
}

static void address_is_the_drivers_until_it_goes(void **state)
{
	static const uint8_t good[] = { 1, 1, 2, 9, 9, 9, 9, 9 },
			     multi[] = { 1, 1, 3, 9, 9, 9, 9, 9 }, zero[8] = { 1, 1 };
	struct vg *g = *state;

	start(g, F_CTRL);
	mode(g, 0, 0);
	assert_int_equal(vg_command(g, CTRL, multi, 8), 1);
	assert_int_equal(vg_command(g, CTRL, zero, 8), 1);
	assert_int_equal(vg_command(g, CTRL, good, 7), 1);
	assert_true(takes(g, own, 0));
	assert_int_equal(vg_command(g, CTRL, good, 8), 0);
	assert_true(takes(g, good + 2, 0) && !takes(g, own, 0));
	assert_int_equal(vg_read(g, 0x2000, 4), 0x09090902);
	vg_set_status(g, 0);
	assert_int_equal(vg_read(g, 0x2000, 4), 0x33221102);
}

/* --- VLANs --- */
static void only_added_vlans_pass(void **state)
{
	static const struct {
		uint8_t cmd[5];
		uint32_t len;
	} bad[] = { { { 2, 0, 0, 0x10 }, 4 },
		    { { 2, 1, 0xff, 0xff }, 4 },
		    { { 2, 0, 1 }, 3 },
		    { { 2, 0, 1, 0, 0 }, 5 },
		    { { 2, 2, 1, 0 }, 4 } };
	static const uint8_t add[] = { 2, 0, 0xff, 0x0f }, del[] = { 2, 1, 0xff, 0x0f };
	struct vg *g = *state;

	start(g, F_CTRL);
	mode(g, 0, 0);
	assert_true(takes(g, own, 0) && !takes(g, own, 4095));
	assert_int_equal(vg_command(g, CTRL, add, 4), 0);
	assert_true(takes(g, own, 4095) && !takes(g, own, 4094));
	assert_int_equal(vg_command(g, CTRL, del, 4), 0);
	assert_false(takes(g, own, 4095));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(vg_command(g, CTRL, bad[i].cmd, bad[i].len), 1);
	start(g, BIT(CTRL_VQ) | BIT(CTRL_RX));
	mode(g, 0, 0);
	assert_true(takes(g, own, 7)); /* who has no VLAN filter gets all of them */
}

/* --- frames --- */
/* A frame of `len` bytes goes out on pair p; gives how many come in on it. */
static unsigned int round_trip(struct vg *g, unsigned int p, const uint8_t to[6], uint32_t len)
{
	unsigned int rx = VIRTIO_NET_QUEUE_RX(p), tx = VIRTIO_NET_QUEUE_TX(p);
	uint16_t before = vg_used(g, rx)->idx;

	memset(vg_ptr(g, VG_DATA + 0x20000), 0, 12);
	memcpy(vg_ptr(g, VG_DATA + 0x20000 + 12), to, 6);
	vg_set_desc(g, tx, 0, VG_DATA + 0x20000, 12 + len, 0, 0);
	vg_set_desc(g, rx, 0, VG_DATA + 0x30000, 4096, 2, 0);
	vg_post(g, rx, 0);
	vg_post(g, tx, 0);
	for (int i = 0; i < 3; i++)
		vg_poll(g);
	return (uint16_t)(vg_used(g, rx)->idx - before);
}

static void refused_frames_do_not_come_in(void **state)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 0, 9 };
	struct vg *g = *state;

	start(g, F_CTRL);
	assert_int_equal(round_trip(g, 0, other, 60), 1);
	mode(g, 0, 0);
	assert_int_equal(round_trip(g, 0, other, 60), 0);
	assert_int_equal(vg_counter(g, "rx_drop_filtered"), 1);
	assert_int_equal(round_trip(g, 0, own, 60), 1);
}

static void mtu_is_told_and_kept(void **state)
{
	struct vg *g = *state;

	assert_int_equal(vg_read(g, 0x200a, 2), 1280);
	start(g, BIT(MTU) | VG_F_MRG);
	assert_int_equal(round_trip(g, 0, all, 1280 + 18), 1);
	assert_int_equal(round_trip(g, 0, all, 1280 + 19), 0);
	assert_int_equal(vg_counter(g, "rx_drop_too_long"), 1);
	start(g, VG_F_MRG); /* a driver that does not know of it takes what it always took */
	assert_int_equal(round_trip(g, 0, all, 3000), 1);
}

/* --- pairs --- */
static uint8_t set_pairs(struct vg *g, unsigned int q, unsigned int n)
{
	const uint8_t cmd[] = { 4, 0, (uint8_t)n, (uint8_t)(n >> 8) };

	return vg_command(g, q, cmd, sizeof(cmd));
}

static void four_pairs_move_frames(void **state)
{
	struct vg *g = *state;

	assert_int_equal(vg_read(g, 0x2008, 2), PAIRS);
	vg_start_all(g, VG_F_NET | F_CTRL | BIT(MQ), 64, 2 * PAIRS + 1);
	assert_int_equal(round_trip(g, 0, all, 60), 1);
	/* sent, as whatever a driver leaves in a queue, but nothing comes in by it yet */
	assert_int_equal(round_trip(g, 3, all, 60), 0);
	assert_int_equal(set_pairs(g, 2 * PAIRS, PAIRS), 0);
	for (unsigned int p = 0; p < PAIRS; p++)
		assert_true(round_trip(g, p, all, 60 + p) >= 1);
	assert_int_equal(set_pairs(g, 2 * PAIRS, 2), 0);
	assert_int_equal(round_trip(g, 1, all, 60), 1);
	assert_int_equal(round_trip(g, 2, all, 60), 0);
	assert_int_equal(set_pairs(g, 2 * PAIRS, 0), 1);
	assert_int_equal(set_pairs(g, 2 * PAIRS, PAIRS + 1), 1);
	vg_set_status(g, 0);
	vg_start_all(g, VG_F_NET | F_CTRL | BIT(MQ), 64, 5); /* two pairs, no control queue */
	assert_int_equal(g->v->used_pairs, 1);
	assert_int_equal(round_trip(g, 0, all, 60), 1);
}

static void without_mq_the_third_queue_is_the_control_queue(void **state)
{
	struct vg *g = *state;

	vg_start_all(g, VG_F_NET | F_CTRL, 64, 2 * PAIRS + 1);
	assert_int_equal(mode(g, 0, 0), 0);
	assert_false(filter(g)->promisc);
	assert_int_equal(round_trip(g, 0, own, 60), 1);
	assert_int_equal(set_pairs(g, CTRL, 2), 1);
}

static void pairs_that_were_not_set_up_cannot_be_used(void **state)
{
	struct vg *g = *state;

	vg_start_all(g, VG_F_NET | F_CTRL | BIT(MQ), 64, 4);
	vg_negotiate(g, VG_F_NET | F_CTRL | BIT(MQ));
	for (unsigned int q = 0; q < 4; q++)
		vg_setup_queue(g, q, 64);
	vg_setup_queue(g, 2 * PAIRS, 64);
	vg_set_status(g, 15);
	assert_int_equal(set_pairs(g, 2 * PAIRS, 3), 1);
	assert_int_equal(set_pairs(g, 2 * PAIRS, 2), 0);
}

/* --- what breaks the device, and what mends it --- */
static void hostile_control_chain_stops_the_device_until_a_reset(void **state)
{
	struct vg *g = *state;

	start(g, F_CTRL);
	mode(g, 0, 0);
	vg_set_desc(g, CTRL, 0, VG_MEM, 4, 1, 1); /* no memory */
	vg_post(g, CTRL, 0);
	vg_poll(g);
	assert_int_equal(vg_status(g) & 64, 64);
	assert_int_equal(vg_read(g, 0x1000, 1) & 2, 2); /* a configuration interrupt says so */
	assert_int_equal(round_trip(g, 0, own, 60), 0);
	assert_int_equal(mode(g, 0, 1), 0xee);
	start(g, F_CTRL);
	assert_int_equal(vg_status(g), 15);
	assert_int_equal(mode(g, 0, 1), 0);
	assert_int_equal(round_trip(g, 0, own, 60), 1);
}

static void random_commands_are_answered_and_harm_nothing(void **state)
{
	struct vg *g = *state;
	uint32_t seed = 7;
	uint8_t cmd[64];

	start(g, F_CTRL | BIT(GUEST_ANNOUNCE));
	for (unsigned int i = 0; i < 20000; i++) {
		uint32_t len = (seed >> 8) % sizeof(cmd);

		for (unsigned int k = 0; k < sizeof(cmd); k++) {
			seed = seed * 1664525 + 1013904223;
			cmd[k] = (uint8_t)(k < 2   ? (seed >> 24) % 7
					   : k < 6 ? (seed >> 24) % 4
						   : seed >> 24);
		}
		assert_in_range(vg_command(g, CTRL, cmd, len), 0, 1);
	}
	assert_int_equal(vg_status(g), 15);
}

#define T(name)       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SEVERAL(name) cmocka_unit_test_setup_teardown(name, setup_several, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(driver_without_receive_modes_gets_everything),
		T(modes_open_and_close_the_filter),
		T(each_command_needs_its_feature),
		T(features_without_what_they_need_are_refused),
		T(tables_replace_one_another),
		T(table_beyond_its_place_lets_its_kind_through),
		T(wrong_tables_change_nothing),
		T(address_is_the_drivers_until_it_goes),
		T(only_added_vlans_pass),
		T(refused_frames_do_not_come_in),
		cmocka_unit_test_setup_teardown(mtu_is_told_and_kept, setup_mtu, teardown),
		SEVERAL(four_pairs_move_frames),
		SEVERAL(without_mq_the_third_queue_is_the_control_queue),
		SEVERAL(pairs_that_were_not_set_up_cannot_be_used),
		T(hostile_control_chain_stops_the_device_until_a_reset),
		T(random_commands_are_answered_and_harm_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
