/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio-net function as a driver finds and configures it: capabilities, status machine,
 * features, queue set-up, interrupts, and drivers that do all that in the wrong order. Offsets are
 * literals here on purpose. VIRTIO 1.2 sections 2.1, 3.1, 4.1.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "helper_virtio.h"

#define OK_ALL (1 | 2 | 8 | 4)

static int setup(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,mac=02:11:22:33:44:55", -1);
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	vg_down(*state);
	return 0;
}

static void function_has_the_ids_and_capabilities_of_a_modern_device(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t off, len;
	} want[] = {
		{ 1, 0x0000, 0x38 },
		{ 2, 0x3000, 12 },
		{ 3, 0x1000, 1 },
		{ 4, 0x2000, 12 },
	};
	struct vg *g = *state;
	unsigned int at;

	assert_int_equal(vg_cfg_read(g, 0, 4), 0x10411af4);
	assert_int_equal(vg_cfg_read(g, 8, 4), 0x02000001);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		at = vg_cap(g, want[i].type);
		assert_int_not_equal(at, 0);
		assert_int_equal(vg_cfg_read(g, at + 4, 1), 0);
		assert_int_equal(vg_cfg_read(g, at + 8, 4), want[i].off);
		assert_int_equal(vg_cfg_read(g, at + 12, 4), want[i].len);
	}
	assert_int_equal(vg_cfg_read(g, vg_cap(g, 2) + 16, 4), 4);
	assert_int_equal(vg_cfg_read(g, vg_cap(g, 5) + 2, 1), 20);
}

static void configuration_shows_mac_link_and_queues(void **state)
{
	struct vg *g = *state;

	assert_int_equal(vg_read(g, 0x2000, 4), 0x33221102);
	assert_int_equal(vg_read(g, 0x2004, 4), 0x00015544); /* link up behind the address */
	assert_int_equal(vg_read(g, 0x2008, 2), 1);
	assert_int_equal(vg_read(g, 0x200a, 2), 0); /* no MTU was given */
	assert_int_equal(vg_read(g, 0x200c, 4), 0); /* beyond the configuration */
	assert_int_equal(vg_read(g, 0x12, 2), 3);
	vg_write(g, 0x16, 2, 1);
	assert_int_equal(vg_read(g, 0x18, 2), 1024);
	assert_int_equal(vg_read(g, 0x1e, 2), 1);
	vg_write(g, 0x16, 2, 3);
	assert_int_equal(vg_read(g, 0x18, 2), 0);
	assert_int_equal(vg_read(g, 0x1a, 2), 0xffff);
	vg_write(g, 0x2000, 4, 0);
	assert_int_equal(vg_read(g, 0x2000, 4), 0x33221102);
}

static void offered_features_are_those_of_the_slice(void **state)
{
	struct vg *g = *state;

	vg_write(g, 0, 4, 0);
	/* all but UFO (10, 14), MTU (3) and MQ (22), which nobody asked for, and what is reserved
	 */
	assert_int_equal(vg_read(g, 4, 4), 0x30bfbba7);
	vg_write(g, 0, 4, 1);
	assert_int_equal(vg_read(g, 4, 4), 1);
	vg_write(g, 0, 4, 2);
	assert_int_equal(vg_read(g, 4, 4), 0);
}

static void driver_ok_before_features_ok_is_refused(void **state)
{
	struct vg *g = *state;

	vg_set_status(g, 1);
	vg_set_status(g, 3);
	vg_set_status(g, 3 | 4);
	assert_int_equal(vg_status(g), 3);
	assert_false(g->v->vd.live);
	/* both in one write: the driver did not look whether its features were taken */
	vg_set_features(g, VG_F_NET);
	vg_set_status(g, OK_ALL);
	assert_int_equal(vg_status(g), 3 | 8);
	vg_set_status(g, OK_ALL);
	assert_int_equal(vg_status(g), OK_ALL);
	assert_true(g->v->vd.live);
}

static void features_ok_needs_a_driver_and_offered_features_and_version_1(void **state)
{
	struct vg *g = *state;

	vg_set_features(g, VG_F_NET);
	vg_set_status(g, 8);
	assert_int_equal(vg_status(g), 0);
	vg_negotiate(g, VG_F_NET | 1ull << 22); /* several pairs */
	assert_int_equal(vg_status(g), 3);
	vg_negotiate(g, VG_F_NET | 1ull << 34); /* packed rings */
	assert_int_equal(vg_status(g), 3);
	vg_negotiate(g, VG_F_NET & ~(1ull << 32));
	assert_int_equal(vg_status(g), 3);
	vg_negotiate(g, VG_F_NET);
	assert_int_equal(vg_status(g), 3 | 8);
}

static void feature_bits_after_features_ok_are_ignored(void **state)
{
	struct vg *g = *state;

	vg_negotiate(g, VG_F_NET);
	vg_set_features(g, VG_F_NET | VG_F_MRG | VG_F_INDIRECT);
	assert_int_equal(g->v->vd.features, VG_F_NET);
	vg_set_status(g, OK_ALL);
	vg_set_features(g, ~0ull);
	assert_int_equal(g->v->vd.features, VG_F_NET);
}

static void status_bits_are_cleared_by_reset_only(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	vg_set_status(g, 1);
	assert_int_equal(vg_status(g), OK_ALL);
	vg_set_status(g, OK_ALL | 64); /* ours to set */
	assert_int_equal(vg_status(g), OK_ALL);
	vg_set_status(g, OK_ALL | 128); /* FAILED: the driver gave up */
	assert_int_equal(vg_status(g), OK_ALL | 128);
	assert_false(g->v->vd.live);
}

static void queue_setup_after_driver_ok_is_ignored(void **state)
{
	struct vg *g = *state;

	vg_negotiate(g, VG_F_NET);
	vg_setup_queue(g, VG_TX, 16);
	vg_set_status(g, OK_ALL);
	vg_setup_queue(g, VG_RX, 8);
	assert_false(g->v->vd.queue[VG_RX].vq.started);
	vg_setup_queue(g, VG_TX, 8);
	vg_write(g, 0x20, 4, 0x1000);
	assert_int_equal(vg_read(g, 0x18, 2), 16);
	assert_int_equal(vg_read(g, 0x20, 4), VG_RING(VG_TX));
	vg_write(g, 0x1c, 2, 0);
	assert_int_equal(vg_read(g, 0x1c, 2), 1);
}

static void queue_that_is_enabled_is_not_changed(void **state)
{
	struct vg *g = *state;

	vg_negotiate(g, VG_F_NET);
	vg_setup_queue(g, VG_TX, 16);
	vg_write(g, 0x18, 2, 8);
	vg_write(g, 0x30, 4, 0x1000);
	assert_int_equal(vg_read(g, 0x18, 2), 16);
	assert_int_equal(vg_read(g, 0x30, 4), VG_RING(VG_TX) + VG_USED_OFF);
}

static void queue_is_not_enabled_before_features_ok(void **state)
{
	struct vg *g = *state;

	vg_set_status(g, 1);
	vg_set_status(g, 3);
	vg_setup_queue(g, VG_TX, 16);
	assert_int_equal(vg_read(g, 0x1c, 2), 0);
}

static void queue_size_that_is_none_is_ignored(void **state)
{
	static const uint16_t bad[] = { 0, 3, 6, 1023, 2048, 0x8000, 0xffff };
	struct vg *g = *state;

	vg_negotiate(g, VG_F_NET);
	vg_write(g, 0x16, 2, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vg_write(g, 0x18, 2, bad[i]);
		assert_int_equal(vg_read(g, 0x18, 2), 1024);
	}
	vg_write(g, 0x18, 2, 512);
	assert_int_equal(vg_read(g, 0x18, 2), 512);
}

static void queue_without_addresses_is_not_enabled(void **state)
{
	struct vg *g = *state;

	vg_negotiate(g, VG_F_NET);
	vg_write(g, 0x16, 2, 0);
	vg_write(g, 0x1c, 2, 1);
	assert_int_equal(vg_read(g, 0x1c, 2), 0);
	vg_write(g, 0x16, 2, 0xffff); /* no such queue */
	vg_write(g, 0x1c, 2, 1);
	vg_write(g, 0x1a, 2, 1);
	assert_int_equal(vg_read(g, 0x1c, 2), 0);
	/* a device without a queue runs, and does nothing */
	vg_set_status(g, OK_ALL);
	assert_int_equal(vg_poll(g), 0);
}

static void notify_of_a_queue_that_is_not_there_is_ignored(void **state)
{
	struct vg *g = *state;
	uint64_t errors;

	vg_start(g, VG_F_NET, 16);
	errors = vg_counter(g, "driver_errors");
	vg_write(g, 0x3000, 2, 3);
	vg_write(g, 0x3004, 2, 0xffff);
	vg_write(g, 0x3ffc, 4, 0x80000000);
	assert_int_equal(vg_counter(g, "driver_errors"), errors + 3);
	assert_int_equal(vg_counter(g, "trapped_kicks"), 0);
	vg_write(g, 0x3004, 2, 1);
	assert_int_equal(vg_counter(g, "trapped_kicks"), 1);
	assert_int_equal(vg_status(g), OK_ALL);
}

static void reset_forgets_the_driver_and_may_come_twice(void **state)
{
	struct vg *g = *state;

	for (int i = 0; i < 3; i++) {
		vg_start(g, VG_F_NET | VG_F_MRG, 16);
		vg_write(g, 0x10, 2, 2);
		vg_set_status(g, 0);
		vg_set_status(g, 0);
		assert_int_equal(vg_status(g), 0);
		assert_int_equal(vg_read(g, 0x10, 2), 0xffff);
		vg_write(g, 0x16, 2, 1);
		assert_int_equal(vg_read(g, 0x18, 2), 1024);
		assert_int_equal(vg_read(g, 0x1a, 2), 0xffff);
		assert_int_equal(vg_read(g, 0x1c, 2), 0);
		assert_int_equal(vg_read(g, 0x20, 8), 0);
		assert_int_equal(g->v->vd.features, 0);
		assert_int_equal(vg_poll(g), 0);
	}
}

static void vector_that_the_device_has_not_reads_back_as_none(void **state)
{
	struct vg *g = *state;

	vg_write(g, 0x10, 2, 4);
	assert_int_equal(vg_read(g, 0x10, 2), 0xffff);
	vg_write(g, 0x10, 2, 3);
	assert_int_equal(vg_read(g, 0x10, 2), 3);
	vg_write(g, 0x16, 2, 1);
	vg_write(g, 0x1a, 2, 0x7fff);
	assert_int_equal(vg_read(g, 0x1a, 2), 0xffff);
}

/* A transmit chain that no driver may make. */
static void break_ring(struct vg *g)
{
	vg_set_desc(g, VG_TX, 0, 0xfee00000, 64, 0, 0);
	vg_post(g, VG_TX, 0);
	vg_poll(g);
}

static void broken_ring_asks_for_a_reset_by_intx(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	break_ring(g);
	assert_int_equal(vg_status(g), OK_ALL | 64);
	assert_false(g->v->vd.live);
	assert_int_equal(vg_counter(g, "needs_reset"), 1);
	assert_true(g->n_messages > 0);
	assert_int_equal(vm_fake_counts(g->vm)->line_level, 1);
	assert_int_equal(vg_read(g, 0x1000, 1), 2);
	assert_int_equal(vm_fake_counts(g->vm)->line_level, 0);
	assert_int_equal(vg_read(g, 0x1000, 1), 0);
	/* only a reset mends it, and it does */
	vg_set_status(g, OK_ALL);
	assert_false(g->v->vd.live);
	vg_start(g, VG_F_NET, 16);
	assert_int_equal(vg_status(g), OK_ALL);
	assert_true(g->v->vd.live);
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void broken_ring_asks_for_a_reset_by_msix(void **state)
{
	struct vg *g = *state;
	unsigned int msix = vg_cfg_read(g, 0x34, 1);

	while (vg_cfg_read(g, msix, 1) != 0x11)
		msix = vg_cfg_read(g, msix + 1, 1);
	vg_cfg_write(g, msix + 2, 2, 0x8000);
	vg_start(g, VG_F_NET, 16);
	vg_write(g, 0x10, 2, 2);
	break_ring(g);
	assert_true(readable(pci_msix_fd(&g->v->vd.pci, 2)));
	assert_false(readable(pci_msix_fd(&g->v->vd.pci, 1)));
	assert_int_equal(vm_fake_counts(g->vm)->line_changes, 0);
}

static void link_change_gives_a_new_generation_and_an_interrupt(void **state)
{
	struct vg *g = *state;
	uint64_t generation;

	vg_start(g, VG_F_NET, 16);
	generation = vg_read(g, 0x15, 1);
	g->v->fe.ops->link(&g->v->fe, false);
	vg_poll(g);
	assert_int_equal(vg_read(g, 0x15, 1), generation + 1);
	assert_int_equal(vg_read(g, 0x2006, 2), 0);
	assert_int_equal(vg_read(g, 0x1000, 1), 2);
}

static void doorbells_move_with_the_bar(void **state)
{
	struct vg *g = *state;

	assert_int_equal(vm_fake_counts(g->vm)->ioeventfds, 3);
	vg_cfg_write(g, 4, 2, 4);
	assert_int_equal(vm_fake_counts(g->vm)->ioeventfds, 0);
	for (uint32_t i = 0; i < 1000; i++) {
		vg_cfg_write(g, 0x10, 4, 0xd0000000 + 0x4000 * (i % 7));
		vg_cfg_write(g, 4, 2, i & 1 ? 6 : 0);
	}
	assert_int_equal(vm_fake_counts(g->vm)->ioeventfds, 3);
	g->bar = 0xd0000000 + 0x4000 * (999 % 7);
	assert_int_equal(vg_read(g, 0x12, 2), 3);
}

/* --- the window in configuration space --- */
static void window(struct vg *g, uint8_t bar, uint32_t off, uint32_t len)
{
	unsigned int at = vg_cap(g, 5);

	vg_cfg_write(g, at + 4, 1, bar);
	vg_cfg_write(g, at + 8, 4, off);
	vg_cfg_write(g, at + 12, 4, len);
}

static void window_reads_and_writes_the_bar(void **state)
{
	struct vg *g = *state;
	unsigned int data = vg_cap(g, 5) + 16;

	vg_cfg_write(g, 4, 2, 0); /* it works without the BAR */
	window(g, 0, 0x12, 2);
	assert_int_equal(vg_cfg_read(g, data, 2), 3);
	window(g, 0, 0x14, 1);
	vg_cfg_write(g, data, 1, 3);
	assert_int_equal(vg_cfg_read(g, data, 1), 3);
	window(g, 0, 0x2000, 4);
	assert_int_equal(vg_cfg_read(g, data, 4), 0x33221102);
	vg_cfg_write(g, 4, 2, 6);
	assert_int_equal(vg_status(g), 3);
}

static void window_that_points_nowhere_does_nothing(void **state)
{
	static const struct {
		uint8_t bar;
		uint32_t off, len;
	} bad[] = {
		{ 0, 0x14, 0 },   { 0, 0x14, 3 },          { 0, 0x14, 8 }, { 0, 0x15, 2 },
		{ 0, 0x4000, 1 }, { 0, 0xfffffffc, 4 },    { 1, 0x14, 1 }, { 2, 0, 4 },
		{ 255, 0x14, 1 }, { 0, 0x14, 0xffffffff },
	};
	struct vg *g = *state;
	unsigned int data = vg_cap(g, 5) + 16;

	vg_set_status(g, 3);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		window(g, bad[i].bar, bad[i].off, bad[i].len);
		vg_cfg_write(g, data, 4, 0);
		vg_cfg_read(g, data, 4);
	}
	assert_int_equal(vg_status(g), 3);
	/* the window may look at notify registers */
	window(g, 0, 0x3000, 2);
	vg_cfg_write(g, data, 2, 1);
	assert_int_equal(vg_counter(g, "trapped_kicks"), 1);
}

static void every_register_takes_every_access(void **state)
{
	static const unsigned int size[] = { 1, 2, 4, 8 };
	struct vg *g = *state;
	uint64_t x = 88172645463325252ull;

	for (unsigned int n = 0; n < 60000; n++) {
		unsigned int s = size[n & 3];
		uint64_t off = n % 0x40;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		off += x >> 60 < 12 ? 0 : 0x1000 * (x >> 58 & 3);
		/* mostly a driver's own steps, so that the strange accesses meet all states */
		if (n % 97 == 0)
			vg_start(g, VG_F_NET | VG_F_EVENT, 16);
		vg_read(g, off, s);
		vg_write(g, off, s, n & 64 ? x : x & 15);
		if (n % 5 == 0)
			vg_poll(g);
	}
	vg_start(g, VG_F_NET, 16);
	assert_int_equal(vg_status(g), OK_ALL);
}

static void wrong_options_are_refused(void **state)
{
	static const char *const bad[] = {
		"virtio,queue_size=0",    "virtio,queue_size=3",
		"virtio,queue_size=2048", "virtio,mac=01:00:00:00:00:01",
		"virtio,mac=x",           "virtio,backend=none",
		"virtio,queues=9",        "virtio,mtu=67",
		"virtio,mtu=16367",
	};
	struct vg *g = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct device_conf conf = { .name = "nic1" };
		struct device *dev = NULL;
		unsigned int said = g->n_messages;

		assert_int_equal(opts_parse(bad[i], &conf.opts), 0);
		assert_true(device_create(g->vm, &conf, &dev) < 0);
		assert_int_equal(g->n_messages, said + 1);
		opts_free(conf.opts);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(function_has_the_ids_and_capabilities_of_a_modern_device),
		T(configuration_shows_mac_link_and_queues),
		T(offered_features_are_those_of_the_slice),
		T(driver_ok_before_features_ok_is_refused),
		T(features_ok_needs_a_driver_and_offered_features_and_version_1),
		T(feature_bits_after_features_ok_are_ignored),
		T(status_bits_are_cleared_by_reset_only),
		T(queue_setup_after_driver_ok_is_ignored),
		T(queue_that_is_enabled_is_not_changed),
		T(queue_is_not_enabled_before_features_ok),
		T(queue_size_that_is_none_is_ignored),
		T(queue_without_addresses_is_not_enabled),
		T(notify_of_a_queue_that_is_not_there_is_ignored),
		T(reset_forgets_the_driver_and_may_come_twice),
		T(vector_that_the_device_has_not_reads_back_as_none),
		T(broken_ring_asks_for_a_reset_by_intx),
		T(broken_ring_asks_for_a_reset_by_msix),
		T(link_change_gives_a_new_generation_and_an_interrupt),
		T(doorbells_move_with_the_bar),
		T(window_reads_and_writes_the_bar),
		T(window_that_points_nowhere_does_nothing),
		T(every_register_takes_every_access),
		T(wrong_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
