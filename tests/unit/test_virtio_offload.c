/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What virtio-net's header may ask for: which offloads are offered, which go together, every field
 * of a header that a guest may set wrong, and the way through `loop`. VIRTIO 1.2 sections 5.1.3 and
 * 5.1.6.2.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "helper_virtio.h"

#define BIT(name) VIRTIO_BIT(VIRTIO_NET_F_##name)
#define F_HOST    (BIT(CSUM) | BIT(HOST_TSO4) | BIT(HOST_TSO6))
#define F_GUEST   (BIT(GUEST_CSUM) | BIT(GUEST_TSO4) | BIT(GUEST_TSO6) | BIT(GUEST_ECN))
#define LEN       2000
#define BUF       0x20000u

static int setup(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,backend=loop", -1);
	*state = &g;
	return 0;
}

static int setup_off(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,backend=loop,offloads=off", -1);
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	vg_down(*state);
	return 0;
}

/* Sends a frame with that header; true when it comes back, its header in *back. */
static bool comes_back(struct vg *g, const struct virtio_net_hdr *h, uint32_t len,
		       struct virtio_net_hdr *back)
{
	uint16_t used = vg_used(g, VG_RX)->idx, sent = vg_used(g, VG_TX)->idx;
	uint64_t refused = vg_counter(g, "tx_refused_offload");

	memcpy(vg_ptr(g, VG_DATA), h, sizeof(*h));
	memset(vg_ptr(g, VG_DATA + 12), 0x33, len);
	vg_set_desc(g, VG_TX, 0, VG_DATA, 12 + len, 0, 0);
	vg_set_desc(g, VG_RX, 0, VG_DATA + BUF, 0x11000, 2, 0);
	if ((uint16_t)(vg_avail(g, VG_RX)->idx - used) == 0)
		vg_post(g, VG_RX, 0);
	vg_post(g, VG_TX, 0);
	for (int i = 0; i < 3; i++)
		vg_poll(g);
	assert_int_equal((uint16_t)(vg_used(g, VG_TX)->idx - sent), 1);
	assert_int_equal(vg_status(g), 15);
	if (vg_used(g, VG_RX)->idx == used)
		return false;
	assert_int_equal(vg_counter(g, "tx_refused_offload"), refused);
	if (back)
		memcpy(back, vg_ptr(g, VG_DATA + BUF), sizeof(*back));
	return true;
}

static const struct virtio_net_hdr tso = { .flags = 1,
					   .gso_type = 1,
					   .hdr_len = 54,
					   .gso_size = 1448,
					   .csum_start = 34,
					   .csum_offset = 16 };

/* --- features --- */
static void offloads_are_offered_unless_they_are_off(void **state)
{
	const uint64_t all = F_HOST | F_GUEST | BIT(HOST_ECN) | BIT(CTRL_GUEST_OFFLOADS);
	struct vg *g = *state, off;

	vg_write(g, 0, 4, 0);
	assert_int_equal(vg_read(g, 4, 4) & all, all);
	assert_int_equal(vg_read(g, 4, 4) & (BIT(HOST_UFO) | BIT(GUEST_UFO)), 0);
	vg_up(&off, "virtio,backend=loop,offloads=off", -1);
	vg_write(&off, 0, 4, 0);
	assert_int_equal(vg_read(&off, 4, 4) & all, 0);
	vg_down(&off);
}

static void features_that_need_another_are_refused_without_it(void **state)
{
	static const uint64_t bad[] = {
		BIT(HOST_TSO4),
		BIT(HOST_TSO6),
		BIT(HOST_ECN),
		BIT(CSUM) | BIT(HOST_ECN),
		BIT(GUEST_TSO4),
		BIT(GUEST_TSO6) | BIT(CSUM),
		BIT(GUEST_CSUM) | BIT(GUEST_ECN),
		BIT(CTRL_GUEST_OFFLOADS),
	};
	static const uint64_t good[] = {
		BIT(CSUM) | BIT(HOST_TSO6) | BIT(HOST_ECN),
		BIT(GUEST_CSUM) | BIT(GUEST_TSO4) | BIT(GUEST_ECN),
		BIT(GUEST_CSUM),
	};
	struct vg *g = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vg_negotiate(g, VG_F_NET | bad[i]);
		assert_int_equal(vg_status(g) & 8, 0);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		vg_negotiate(g, VG_F_NET | good[i]);
		assert_int_equal(vg_status(g) & 8, 8);
	}
}

/* --- headers --- */
static void header_that_was_not_negotiated_costs_the_frame(void **state)
{
	static const struct {
		uint64_t features;
		struct virtio_net_hdr h;
	} row[] = {
		{ 0, { .flags = 1, .csum_start = 34, .csum_offset = 16 } },
		{ BIT(CSUM), { .flags = 1, .gso_type = 1, .gso_size = 1, .csum_start = 34 } },
		{ BIT(CSUM) | BIT(HOST_TSO4),
		  { .flags = 1, .gso_type = 4, .gso_size = 1, .csum_start = 34 } },
		{ BIT(CSUM) | BIT(HOST_TSO6),
		  { .flags = 1, .gso_type = 1, .gso_size = 1, .csum_start = 34 } },
		{ F_HOST, { .flags = 1, .gso_type = 0x81, .gso_size = 1, .csum_start = 34 } },
		{ F_HOST, { .flags = 1, .gso_type = 3, .gso_size = 1, .csum_start = 34 } },
		{ F_HOST, { .flags = 1, .gso_type = 5, .gso_size = 1, .csum_start = 34 } },
		{ F_HOST, { .flags = 1, .gso_type = 2, .gso_size = 1, .csum_start = 34 } },
	};
	struct vg *g = *state;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		vg_start(g, VG_F_NET | F_GUEST | row[i].features, 16);
		assert_false(comes_back(g, &row[i].h, LEN, NULL));
		assert_int_equal(vg_counter(g, "tx_refused_offload"), i + 1);
	}
}

static void wrong_fields_cost_the_frame(void **state)
{
	static const struct virtio_net_hdr bad[] = {
		{ .flags = 1, .csum_start = LEN - 17, .csum_offset = 16 },
		{ .flags = 1, .csum_start = LEN, .csum_offset = 0 },
		{ .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff },
		{ .flags = 1, .csum_start = 34, .csum_offset = 0xffff },
		{ .flags = 1, .csum_start = 13, .csum_offset = 16 },
		{ .flags = 1, .csum_start = 0, .csum_offset = 0 },
		{ .flags = 0, .gso_type = 1, .gso_size = 1448, .hdr_len = 54 },
		{ .flags = 1, .gso_type = 1, .gso_size = 0, .csum_start = 34, .csum_offset = 16 },
		{ .flags = 1,
		  .gso_type = 1,
		  .gso_size = 9,
		  .hdr_len = LEN + 1,
		  .csum_start = 34,
		  .csum_offset = 16 },
		{ .flags = 1, .gso_type = 0x80, .gso_size = 9, .csum_start = 34 },
	};
	struct vg *g = *state;

	vg_start(g, VG_F_NET | F_GUEST | F_HOST | BIT(HOST_ECN), 16);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(comes_back(g, &bad[i], LEN, NULL));
		assert_int_equal(vg_counter(g, "tx_refused_offload"), i + 1);
	}
	assert_true(comes_back(g, &tso, LEN, NULL));
}

static void what_does_not_count_is_not_handed_on(void **state)
{
	struct virtio_net_hdr h = { .flags = 0xfe, .csum_start = 7, .hdr_len = 9, .gso_size = 9 },
			      back;
	struct vg *g = *state;

	vg_start(g, VG_F_NET | VG_F_MRG | F_GUEST | F_HOST, 16);
	assert_true(comes_back(g, &h, LEN, &back));
	assert_int_equal(back.flags | back.gso_type | back.hdr_len | back.gso_size |
				 back.csum_start | back.csum_offset,
			 0);
	assert_int_equal(back.num_buffers, 1);
	h.flags = 0xff;
	h.csum_start = 34;
	h.csum_offset = LEN - 36;
	assert_true(comes_back(g, &h, LEN, &back));
	assert_int_equal(back.flags, 1);
	assert_int_equal(back.csum_offset, LEN - 36);
	assert_int_equal(back.gso_size | back.hdr_len, 0);
	assert_true(comes_back(g, &tso, LEN, &back));
	assert_memory_equal(&back, &tso, 10);
}

static void long_frames_need_segmentation(void **state)
{
	static const struct virtio_net_hdr csum = { .flags = 1,
						    .csum_start = 34,
						    .csum_offset = 16 };
	struct vg *g = *state;

	vg_start(g, VG_F_NET | VG_F_MRG | F_GUEST | F_HOST, 16);
	assert_true(comes_back(g, &tso, 65535 + 18, NULL));
	assert_false(comes_back(g, &tso, 65535 + 19, NULL));
	assert_true(comes_back(g, &csum, 16384, NULL));
	assert_false(comes_back(g, &csum, 16385, NULL));
	assert_int_equal(vg_counter(g, "tx_drop_too_long"), 2);
	assert_int_equal(vg_counter(g, "tx_refused_offload"), 0);
}

/* --- the receiver --- */
static void receiver_that_will_not_do_it_does_not_get_it(void **state)
{
	static const uint8_t csum[10] = { 5, 0, 2 }, none[10] = { 5, 0 },
			     tso_only[10] = { 5, 0, 0x80 }, unknown[10] = { 5, 0, 6 },
			     longer[11] = { 5, 0, 2 };
	struct virtio_net_hdr h = tso;
	struct vg *g = *state;

	vg_start(g, VG_F_NET | VG_F_MRG | F_HOST, 16);
	assert_false(comes_back(g, &tso, LEN, NULL));
	assert_int_equal(vg_counter(g, "rx_drop_error"), 1);
	vg_start_all(
		g, VG_F_NET | VG_F_MRG | F_HOST | F_GUEST | BIT(CTRL_VQ) | BIT(CTRL_GUEST_OFFLOADS),
		16, 3);
	assert_true(comes_back(g, &h, LEN, NULL));
	assert_int_equal(vg_command(g, 2, csum, sizeof(csum)), 0);
	assert_false(comes_back(g, &h, LEN, NULL));
	h.gso_type = 0;
	assert_true(comes_back(g, &h, LEN, NULL));
	assert_int_equal(vg_command(g, 2, none, sizeof(none)), 0);
	assert_false(comes_back(g, &h, LEN, NULL));
	assert_int_equal(vg_command(g, 2, tso_only, sizeof(tso_only)), 1);
	assert_int_equal(vg_command(g, 2, unknown, sizeof(unknown)), 1);
	assert_int_equal(vg_command(g, 2, longer, sizeof(longer)), 1);
	assert_int_equal(vg_command(g, 2, csum, 9), 1);
	assert_false(comes_back(g, &h, LEN, NULL));
	/* a new driver begins with what it negotiated */
	vg_start(g, VG_F_NET | VG_F_MRG | F_HOST | F_GUEST, 16);
	assert_true(comes_back(g, &tso, LEN, NULL));
}

static void frames_without_offloads_are_as_they_were(void **state)
{
	const struct virtio_net_hdr none = { 0 };
	struct virtio_net_hdr back;
	struct vg *g = *state;

	vg_start(g, VG_F_NET | VG_F_MRG, 16);
	assert_true(comes_back(g, &none, LEN, &back));
	assert_int_equal(back.flags, 0);
	assert_false(comes_back(g, &tso, LEN, NULL));
}

static void headers_full_of_noise_harm_nothing(void **state)
{
	struct vg *g = *state;
	struct virtio_net_hdr h;
	uint32_t seed = 11;

	vg_start(g, VG_F_NET | VG_F_MRG | F_GUEST | F_HOST | BIT(HOST_ECN), 16);
	for (unsigned int i = 0; i < 20000; i++) {
		for (unsigned int k = 0; k < sizeof(h); k++) {
			seed = seed * 1664525 + 1013904223;
			((uint8_t *)&h)[k] = (uint8_t)(seed >> (k < 2 ? 29 : k & 1 ? 30 : 24));
		}
		comes_back(g, &h, 14 + (seed >> 20) % 200, NULL);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(offloads_are_offered_unless_they_are_off),
		T(features_that_need_another_are_refused_without_it),
		T(header_that_was_not_negotiated_costs_the_frame),
		T(wrong_fields_cost_the_frame),
		T(what_does_not_count_is_not_handed_on),
		T(long_frames_need_segmentation),
		T(receiver_that_will_not_do_it_does_not_get_it),
		T(frames_without_offloads_are_as_they_were),
		cmocka_unit_test_setup_teardown(frames_without_offloads_are_as_they_were, setup_off,
						teardown),
		T(headers_full_of_noise_harm_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
