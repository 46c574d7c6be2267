/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stand-in for VMDq over DPDK's ring device, whose receive queue gives back what was put into
 * its transmit queue: a NIC without VMDq, without VLAN offloads, without privileges.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "core/err.h"
#include "vmdq/vmdq.h"

#define N_MBUFS  2047
#define UNTAGGED (-1)
#define PAYLOAD  46

static struct rte_mempool *mp;
static uint16_t port;
static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa }, mac_b[6] = { 2, 0, 0, 0, 0, 0xb };
static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void quiet(void *opaque, const char *line)
{
}

static struct vmdq_nic *nic_with(const struct vmdq_key *key, unsigned int n)
{
	const struct vmdq_nic_conf c = { .ethdev = port, .mp = mp, .n_pools = n, .key = key };
	struct vmdq_nic *nic = NULL;

	assert_int_equal(vmdq_nic_create(&c, &nic), 0);
	return nic;
}

/* A frame as it comes from the wire: vid UNTAGGED or a TCI; byte i of the payload is tag + i. */
static void wire_send(const uint8_t dst[6], int vid, uint8_t tag)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(mp);
	uint8_t *d;

	assert_non_null(m);
	d = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(14 + PAYLOAD + (vid < 0 ? 0 : 4)));
	memcpy(d, dst, 6);
	memcpy(d + 6, "\2\0\0\0\1\1", 6);
	d += 12;
	if (vid >= 0) {
		*d++ = 0x81;
		*d++ = 0;
		*d++ = (uint8_t)(vid >> 8);
		*d++ = (uint8_t)vid;
	}
	*d++ = 0x88;
	*d++ = 0xb5;
	for (int i = 0; i < PAYLOAD; i++)
		*d++ = (uint8_t)(tag + i);
	assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 1);
}

/* Takes everything out of a pool; each frame has to be untagged and of that payload. */
static unsigned int pool_take(struct vmdq_nic *nic, unsigned int i, uint8_t tag)
{
	struct rte_mbuf *m[64];
	unsigned int n, sum = 0;

	while ((n = vmdq_rx(vmdq_pool(nic, i), m, 64))) {
		for (unsigned int j = 0; j < n; j++) {
			const uint8_t *d = rte_pktmbuf_mtod(m[j], const uint8_t *);

			assert_int_equal(m[j]->pkt_len, 14 + PAYLOAD);
			assert_int_equal(d[12] << 8 | d[13], 0x88b5);
			for (int k = 0; k < PAYLOAD; k++)
				assert_int_equal(d[14 + k], (uint8_t)(tag + k));
			rte_pktmbuf_free(m[j]);
		}
		sum += n;
	}
	return sum;
}

static struct vmdq_pool_stats stats_of(struct vmdq_nic *nic, unsigned int i)
{
	struct vmdq_pool_stats s;

	vmdq_pool_stats(vmdq_pool(nic, i), &s);
	return s;
}

static void nic_without_vmdq_gets_the_stand_in(void **state)
{
	const struct vmdq_key key[] = { { .vlan = 101 } };
	struct vmdq_nic *nic = nic_with(key, 1);

	assert_int_equal(vmdq_nic_how(nic), VMDQ_SOFTWARE);
	assert_non_null(strstr(vmdq_nic_why(nic), "no VMDq"));
	assert_true(vmdq_shares_worker(nic));
	assert_null(vmdq_pool(nic, 1));
	assert_false(stats_of(nic, 0).has_nic_counter);
	vmdq_nic_destroy(nic);
}

static void frames_go_to_the_pool_of_their_vlan_without_tag(void **state)
{
	const struct vmdq_key key[] = { { .vlan = 101 }, { .vlan = 102 }, { .vlan = 0 } };
	struct vmdq_nic *nic = nic_with(key, 3);

	for (int i = 0; i < 10; i++) {
		wire_send(mac_a, 101, 1);
		wire_send(mac_a, 102 | 5 << 13, 2); /* a priority is no part of the VLAN */
		wire_send(mac_a, UNTAGGED, 3);
		wire_send(mac_a, 3 << 13, 3); /* priority tag */
	}
	assert_int_equal(pool_take(nic, 0, 1), 10);
	assert_int_equal(pool_take(nic, 1, 2), 10);
	assert_int_equal(pool_take(nic, 2, 3), 20);
	assert_int_equal(stats_of(nic, 1).rx_frames, 10);
	assert_int_equal(vmdq_nic_no_pool(nic), 0);
	vmdq_nic_destroy(nic);
}

static void unknown_vlan_and_address_reach_nobody(void **state)
{
	const struct vmdq_key key[] = {
		{ .vlan = 101 }, { .vlan = 0, .has_mac = true, .mac = { 2, 0, 0, 0, 0, 0xa } }
	};
	struct vmdq_nic *nic = nic_with(key, 2);

	wire_send(mac_a, 103, 0);
	wire_send(mac_b, UNTAGGED, 0);
	wire_send(all, 103, 0);
	assert_int_equal(pool_take(nic, 0, 0), 0);
	assert_int_equal(pool_take(nic, 1, 0), 0);
	assert_int_equal(vmdq_nic_no_pool(nic), 3);
	vmdq_nic_destroy(nic);
	assert_int_equal(rte_mempool_in_use_count(mp), 0);
}

static void frames_go_to_the_pool_of_their_address(void **state)
{
	const struct vmdq_key key[] = {
		{ .vlan = 7, .has_mac = true, .mac = { 2, 0, 0, 0, 0, 0xa } },
		{ .vlan = 8, .has_mac = true, .mac = { 2, 0, 0, 0, 0, 0xa } },
		{ .vlan = 7 },
	};
	struct vmdq_nic *nic = nic_with(key, 3);

	wire_send(mac_a, 7, 1);
	wire_send(mac_a, 8, 2);
	wire_send(mac_b, 8, 9);
	wire_send(mac_b, 7, 3);
	assert_int_equal(pool_take(nic, 0, 1), 1);
	assert_int_equal(pool_take(nic, 1, 2), 1);
	assert_int_equal(pool_take(nic, 2, 3), 1);
	assert_int_equal(vmdq_nic_no_pool(nic), 1);
	vmdq_nic_destroy(nic);
}

static void group_frames_reach_every_pool_of_their_vlan(void **state)
{
	const struct vmdq_key key[] = {
		{ .vlan = 7, .has_mac = true, .mac = { 2, 0, 0, 0, 0, 0xa } },
		{ .vlan = 7, .has_mac = true, .mac = { 2, 0, 0, 0, 0, 0xb } },
		{ .vlan = 8 },
	};
	struct vmdq_nic *nic = nic_with(key, 3);
	const uint8_t group[6] = { 0x33, 0x33, 0, 0, 0, 1 };

	wire_send(all, 7, 5);
	wire_send(group, 7, 5);
	assert_int_equal(pool_take(nic, 0, 5), 2);
	assert_int_equal(pool_take(nic, 1, 5), 2);
	assert_int_equal(pool_take(nic, 2, 5), 0);
	assert_int_equal(rte_mempool_in_use_count(mp), 0);
	vmdq_nic_destroy(nic);
}

static void full_pool_drops_and_leaves_the_others_alone(void **state)
{
	const struct vmdq_key key[] = { { .vlan = 101 }, { .vlan = 102 } };
	struct vmdq_nic *nic = nic_with(key, 2);
	unsigned int b = 0;

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++)
			wire_send(mac_a, 101, 1); /* nobody takes them out */
		wire_send(mac_a, 102, 2);
		b += pool_take(nic, 1, 2);
	}
	b += pool_take(nic, 1, 2);
	assert_int_equal(b, 20);
	assert_true(stats_of(nic, 0).rx_full > 0);
	assert_int_equal(stats_of(nic, 1).rx_full, 0);
	assert_int_equal(pool_take(nic, 0, 1) + stats_of(nic, 0).rx_full, 1000);
	vmdq_nic_destroy(nic);
}

static void what_waits_in_a_pool_is_freed_with_the_nic(void **state)
{
	const struct vmdq_key key[] = { { .vlan = 101 }, { .vlan = 102 } };
	struct vmdq_nic *nic = nic_with(key, 2);

	wire_send(mac_a, 101, 1);
	wire_send(all, 101, 1);
	assert_int_equal(pool_take(nic, 1, 0), 0);
	assert_int_equal(rte_mempool_in_use_count(mp), 2);
	vmdq_nic_destroy(nic);
	assert_int_equal(rte_mempool_in_use_count(mp), 0);
}

static void sent_frames_get_the_pools_tag(void **state)
{
	const struct vmdq_key key[] = { { .vlan = 101 }, { .vlan = 0 } };
	struct vmdq_nic *nic = nic_with(key, 2);
	struct rte_mbuf *m = rte_pktmbuf_alloc(mp), *back;
	const uint8_t *d;

	memset(rte_pktmbuf_append(m, 60), 0, 60);
	assert_int_equal(vmdq_tx(vmdq_pool(nic, 0), &m, 1), 1);
	assert_int_equal(rte_eth_rx_burst(port, 0, &back, 1), 1);
	d = rte_pktmbuf_mtod(back, const uint8_t *);
	assert_int_equal(back->pkt_len, 64);
	assert_memory_equal(d + 12, "\x81\x00\x00\x65", 4);
	rte_pktmbuf_free(back);
	m = rte_pktmbuf_alloc(mp);
	memset(rte_pktmbuf_append(m, 60), 0, 60);
	assert_int_equal(vmdq_tx(vmdq_pool(nic, 1), &m, 1), 1);
	assert_int_equal(rte_eth_rx_burst(port, 0, &back, 1), 1);
	assert_int_equal(back->pkt_len, 60);
	rte_pktmbuf_free(back);
	assert_int_equal(stats_of(nic, 0).tx_frames, 1);
	vmdq_nic_destroy(nic);
}

static void short_and_cut_frames_are_survived(void **state)
{
	const struct vmdq_key key[] = { { .vlan = 101 }, { .vlan = 0 } };
	struct vmdq_nic *nic = nic_with(key, 2);
	static const uint8_t tagged[16] = { 2, 0, 0, 0, 0, 0xa, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 101 };
	struct rte_mbuf *m[32];

	for (uint16_t len = 1; len <= sizeof(tagged); len++) {
		m[0] = rte_pktmbuf_alloc(mp);
		memcpy(rte_pktmbuf_append(m[0], len), tagged, len);
		assert_int_equal(rte_eth_tx_burst(port, 0, m, 1), 1);
	}
	/* a whole header, though its tag is cut: an untagged frame of type 0x8100 */
	assert_int_equal(vmdq_rx(vmdq_pool(nic, 0), m, 32), 0);
	assert_int_equal(vmdq_rx(vmdq_pool(nic, 1), m, 32), 3);
	rte_pktmbuf_free_bulk(m, 3);
	assert_int_equal(vmdq_nic_no_pool(nic), 13);
	vmdq_nic_destroy(nic);
}

static void keys_that_clash_are_refused_and_nothing_stays(void **state)
{
	const struct vmdq_key key[] = { { .vlan = 5 }, { .vlan = 5 } };
	const struct vmdq_nic_conf c = { .ethdev = port, .mp = mp, .n_pools = 2, .key = key };
	struct vmdq_nic *nic;

	assert_int_equal(vmdq_nic_create(&c, &nic), -EINVAL);
	assert_null(nic);
	vmdq_nic_destroy(NULL);
}

static int setup(void **state)
{
	char *argv[] = { "test", "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "-m",
			 "64",   "-l",        "0",        "--log-level=4" };

	err_set_sink(quiet, NULL);
	if (rte_eal_init(sizeof(argv) / sizeof(argv[0]), argv) < 0 ||
	    rte_eal_hotplug_add("vdev", "net_ring0", "") < 0)
		return -1;
	mp = rte_pktmbuf_pool_create("test", N_MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				     SOCKET_ID_ANY);
	return mp ? rte_eth_dev_get_port_by_name("net_ring0", &port) : -1;
}

static int teardown(void **state)
{
	rte_eth_dev_close(port);
	rte_eal_hotplug_remove("vdev", "net_ring0");
	rte_mempool_free(mp);
	return rte_eal_cleanup();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nic_without_vmdq_gets_the_stand_in),
		cmocka_unit_test(frames_go_to_the_pool_of_their_vlan_without_tag),
		cmocka_unit_test(unknown_vlan_and_address_reach_nobody),
		cmocka_unit_test(frames_go_to_the_pool_of_their_address),
		cmocka_unit_test(group_frames_reach_every_pool_of_their_vlan),
		cmocka_unit_test(full_pool_drops_and_leaves_the_others_alone),
		cmocka_unit_test(what_waits_in_a_pool_is_freed_with_the_nic),
		cmocka_unit_test(sent_frames_get_the_pools_tag),
		cmocka_unit_test(short_and_cut_frames_are_survived),
		cmocka_unit_test(keys_that_clash_are_refused_and_nothing_stays),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
