/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch's data path as a whole (vswitch/dp.h): workers, ports, guests that are drivers of the
 * test's own, NICs that are DPDK's ring device, which gives back what it was given. A frame that
 * was sent has arrived wherever it is to arrive when its sender gets the chain back: so "nothing
 * came" is seen without waiting. In every test each frame is accounted for at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <cmocka.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "helper_sw_guest.h"
#include "vmdq/vmdq.h"
#include "vswitch/dp_priv.h"
#include "vswitch/sw_priv.h"

#define N_PORTS  8
#define SIZE     64 /* of a guest's rings */
#define LEN      100
#define PATIENCE 20000000 /* us; a wait that lasts that long has failed */
#define BCAST    0xff

struct net {
	struct dp *dp;
	unsigned int n;
	struct dp_port *port[N_PORTS];
	struct sg *g[N_PORTS]; /* NULL: an ethdev */
	uint16_t ethdev[N_PORTS];
	struct vmdq_nic *nic[N_PORTS]; /* of a pool */
	uint64_t sent;                 /* by all guests and by the wire */
};

static struct rte_mempool *mempool;

static void no_line(void *opaque, const char *line)
{
}

/* --- ports --- */
static void open_dp(struct net *n, unsigned int n_workers)
{
	const struct dp_conf conf = {
		.n_workers = n_workers, .cpu = { -1, -1 }, .fdb_entries = 1000, .fdb_age_s = 300
	};

	assert_int_equal(dp_create(&conf, &n->dp), 0);
}

static struct dp_port_conf access_port(uint16_t vlan)
{
	return (struct dp_port_conf){
		.kind = DP_GUEST, .vlan = vlan, .max_learned = 100, .n_pairs = 1
	};
}

/* `vids`: ended by 0. */
static struct dp_port_conf trunk_port(uint16_t native, const uint16_t *vids)
{
	struct dp_port_conf c = access_port(native);

	c.trunk = true;
	for (; *vids; vids++)
		c.trunk_vlan[*vids / 64] |= UINT64_C(1) << *vids % 64;
	return c;
}
#define VIDS(...) ((const uint16_t[]){ __VA_ARGS__, 0 })

static struct dp_port_conf with_macs(struct dp_port_conf c, uint8_t a, uint8_t b)
{
	c.n_macs = 2;
	memcpy(c.mac[0], (uint8_t[]){ 2, 0, 0, 0, 0, a }, 6);
	memcpy(c.mac[1], (uint8_t[]){ 2, 0, 0, 0, 0, b }, 6);
	return c;
}

static struct dp_port_conf uplink(struct dp_port_conf c)
{
	c.uplink = true;
	return c;
}

static unsigned int add_port(struct net *n, struct dp_port_conf *c)
{
	assert_true(n->n < N_PORTS);
	snprintf(c->name, sizeof(c->name), "p%u", n->n);
	assert_int_equal(dp_port_add(n->dp, c, &n->port[n->n]), 0);
	return n->n++;
}

static void post(struct net *n, unsigned int i, unsigned int n_buffers)
{
	while (n_buffers--)
		sg_buffer(n->g[i], 2048, NULL);
}

/* A guest with room for half a ring of frames. */
static unsigned int add(struct net *n, struct dp_port_conf c)
{
	unsigned int i = add_port(n, &c);

	n->g[i] = malloc(sizeof(*n->g[i]));
	assert_non_null(n->g[i]);
	sg_open(n->g[i], SG_F_V1 | SG_F_EVENT | SG_F_INDIRECT, SIZE, (uint16_t)(65500 + i));
	post(n, i, SIZE / 2);
	sg_start(n->g[i], n->port[i]);
	return i;
}

/* A guest that is there and does nothing: no buffers, and nothing is taken back. */
static unsigned int add_frozen(struct net *n, struct dp_port_conf c)
{
	unsigned int i = add_port(n, &c);

	n->g[i] = malloc(sizeof(*n->g[i]));
	assert_non_null(n->g[i]);
	sg_open(n->g[i], SG_F_V1, SIZE, 0);
	sg_start(n->g[i], n->port[i]);
	return i;
}

/* A NIC whose wire is a loop. */
static uint16_t open_loop(unsigned int i)
{
	char name[16];
	uint16_t dev;

	snprintf(name, sizeof(name), "net_ring%u", i);
	assert_int_equal(rte_eal_hotplug_add("vdev", name, ""), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(name, &dev), 0);
	return dev;
}

static unsigned int add_loop(struct net *n, struct dp_port_conf c)
{
	const struct rte_eth_conf conf = { 0 };
	unsigned int i;
	uint16_t dev;

	c.kind = DP_ETH;
	i = add_port(n, &c);
	n->ethdev[i] = dev = open_loop(i);
	assert_int_equal(rte_eth_dev_configure(dev, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup(dev, 0, 256, 0, NULL, mempool), 0);
	assert_int_equal(rte_eth_tx_queue_setup(dev, 0, 256, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start(dev), 0);
	assert_int_equal(dp_eth_start(n->port[i], dev, 1), 0);
	return i;
}

/* The pool of a guest on such a NIC, by the stand-in: all frames of that VLAN. */
static unsigned int add_pool(struct net *n, uint16_t vlan, unsigned int guest)
{
	const struct vmdq_key key = { .vlan = vlan };
	struct vmdq_nic_conf conf = { .mp = mempool, .n_pools = 1, .key = &key };
	struct dp_port_conf c = access_port(vlan);
	unsigned int i;

	c.kind = DP_POOL;
	i = add_port(n, &c);
	n->ethdev[i] = conf.ethdev = open_loop(i);
	assert_int_equal(vmdq_nic_create(&conf, &n->nic[i]), 0);
	assert_int_equal(dp_pool_start(n->port[i], vmdq_pool(n->nic[i], 0), n->port[guest]), 0);
	return i;
}

static void remove_port(struct net *n, unsigned int i)
{
	char name[16];

	if (!n->port[i])
		return;
	dp_port_remove(n->port[i]);
	n->port[i] = NULL;
	if (n->g[i]) {
		sg_close(n->g[i]);
		free(n->g[i]);
		n->g[i] = NULL;
		return;
	}
	snprintf(name, sizeof(name), "net_ring%u", i);
	vmdq_nic_destroy(n->nic[i]);
	rte_eth_dev_stop(n->ethdev[i]);
	rte_eth_dev_close(n->ethdev[i]);
	rte_eal_hotplug_remove("vdev", name);
}

/* --- counters --- */
static struct dp_counters counters(struct net *n, unsigned int i)
{
	struct dp_counters c, gone;

	dp_counters(n->dp, &n->port[i], &c, 1, &gone);
	return c;
}

static void sum_up(struct dp_counters *sum, const struct dp_counters *c)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)c;

	for (size_t i = 0; i < sizeof(*c) / sizeof(*to); i++)
		to[i] += from[i];
}

/* Of all ports, those that are gone too. */
static struct dp_counters all_counters(struct net *n)
{
	struct dp_counters c[N_PORTS], sum;
	struct dp_port *p[N_PORTS] = { 0 };
	unsigned int k = 0;

	for (unsigned int i = 0; i < n->n; i++)
		if (n->port[i])
			p[k++] = n->port[i];
	dp_counters(n->dp, p, c, k, &sum);
	while (k)
		sum_up(&sum, &c[--k]);
	return sum;
}

static void counters_close(struct net *n)
{
	struct dp_counters c = all_counters(n);
	uint64_t out = c.out_frames;

	for (unsigned int i = 0; i < DP_N_DROPS; i++)
		out += c.in_drop[i] + c.out_drop[i];
	assert_int_equal(c.in_frames, n->sent);
	assert_int_equal(c.in_frames + c.replicated, out);
}

static uint64_t in_drop(struct net *n, unsigned int i, enum dp_drop why)
{
	return counters(n, i).in_drop[why];
}

static uint64_t out_drop(struct net *n, unsigned int i, enum dp_drop why)
{
	return counters(n, i).out_drop[why];
}

/* No frame was dropped anywhere, for any reason. */
static void nothing_dropped(struct net *n)
{
	struct dp_counters c = all_counters(n);

	for (unsigned int i = 0; i < DP_N_DROPS; i++) {
		assert_int_equal(c.in_drop[i], 0);
		assert_int_equal(c.out_drop[i], 0);
	}
}

/* --- frames --- */
static void nap(struct net *n)
{
	const struct timespec t = { .tv_nsec = 20000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	dp_watch(n->dp);
}

/* Until the switch has given all chains back: what was sent has arrived. */
static void settle(struct net *n, unsigned int i)
{
	struct sg_ring *r = &n->g[i]->ring[SG_TX];
	unsigned int us = 0;

	sg_kick(n->g[i]);
	for (; __atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) != r->avail->idx; us += 20) {
		assert_true(us < PATIENCE);
		nap(n);
	}
	r->seen = r->avail->idx;
}

static void send_one(struct net *n, unsigned int i, const uint8_t *frame, uint32_t len)
{
	sg_send(n->g[i], frame, len, NULL);
	n->sent++;
	settle(n, i);
}

/* A frame of LEN bytes; gives it in `frame`. */
static void send_to(struct net *n, unsigned int i, uint8_t dst, uint8_t src, uint32_t tci,
		    uint8_t *frame)
{
	sg_frame(frame, LEN, dst, src, tci);
	send_one(n, i, frame, LEN);
}

/* The next frame of this guest is that one, with that tag. */
static void gets(struct net *n, unsigned int i, const uint8_t *frame, uint32_t len, uint32_t tci)
{
	uint8_t want[SG_MAX_FRAME + 4], got[SG_MAX_FRAME];
	uint32_t want_len = sg_retag(want, frame, len, tci);

	assert_int_equal(sg_recv(n->g[i], got, NULL), want_len);
	assert_memory_equal(got, want, want_len);
}

static void gets_nothing(struct net *n, unsigned int i)
{
	uint8_t got[SG_MAX_FRAME];

	assert_int_equal(sg_recv(n->g[i], got, NULL), -1);
}

/* All frames have been looked at: no guest has one more. */
static void all_quiet(struct net *n)
{
	for (unsigned int i = 0; i < n->n; i++)
		if (n->g[i])
			gets_nothing(n, i);
}

/* Waits until so many frames have come in by this port. */
static void comes_in(struct net *n, unsigned int i, uint64_t n_frames)
{
	for (unsigned int us = 0; counters(n, i).in_frames < n_frames; us += 20) {
		assert_true(us < PATIENCE);
		nap(n);
	}
}

/* A frame comes from the wire of a NIC. */
static void wire_sends(struct net *n, unsigned int i, const uint8_t *frame, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(mempool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, len), frame, len);
	assert_int_equal(rte_eth_tx_burst(n->ethdev[i], 0, &m, 1), 1);
	n->sent++;
}

/* Where an address is, by its port's name; "" when it is nowhere. */
static void is_at(struct net *n, uint8_t addr, uint16_t vlan, const char *name)
{
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, addr };
	static struct dp_fdb_entry e[1000];
	unsigned int k = dp_fdb_read(n->dp, e, 1000);
	const char *at = "";

	for (unsigned int i = 0; i < k; i++)
		if (!memcmp(e[i].mac, mac, 6) && e[i].vlan == vlan)
			at = e[i].port;
	assert_string_equal(at, name);
}

/* --- VLANs --- */
enum { A, B, C, T, U, Y, Z };

/* Two tenants on access ports, two trunks, two guests that use no VLANs. */
static void matrix(struct net *n)
{
	assert_int_equal(add(n, access_port(10)), A);
	assert_int_equal(add(n, access_port(10)), B);
	assert_int_equal(add(n, access_port(20)), C);
	assert_int_equal(add(n, trunk_port(0, VIDS(10, 20))), T);
	assert_int_equal(add(n, trunk_port(20, VIDS(10, 20, 30, 4094))), U);
	assert_int_equal(add(n, access_port(0)), Y);
	assert_int_equal(add(n, access_port(0)), Z);
}

/* What each port of that net sees of a VLAN: NO, untagged, or with its tag. */
enum { NO, PLAIN, TAG };
static const struct {
	uint16_t vid;
	uint8_t sees[7];
} members[] = {
	{ 0, { NO, NO, NO, NO, NO, PLAIN, PLAIN } },
	{ 10, { PLAIN, PLAIN, NO, TAG, TAG, NO, NO } },
	{ 20, { NO, NO, PLAIN, TAG, PLAIN, NO, NO } },
	{ 30, { NO, NO, NO, NO, TAG, NO, NO } },
	{ 4094, { NO, NO, NO, NO, TAG, NO, NO } },
};

#define DROP 0xffff
static const struct {
	uint8_t from;
	uint32_t tci;
	uint16_t vid; /* that it is in then */
} sent[] = {
	{ A, SG_NO_TAG, 10 }, { A, 0x0000, 10 },    { A, 0xe000, 10 }, /* a priority only */
	{ A, 0x1000, 10 }, /* ... and the bit beside it */
	{ A, 10, DROP },      { A, 20, DROP },      { A, 4095, DROP }, { C, SG_NO_TAG, 20 },
	{ C, 0x6000, 20 },    { C, 10, DROP },      { C, 20, DROP },   { T, SG_NO_TAG, DROP },
	{ T, 0x6000, DROP },  { T, 10, 10 },        { T, 0x7014, 20 }, { T, 30, DROP },
	{ T, 4095, DROP },    { U, SG_NO_TAG, 20 }, { U, 0x6000, 20 }, { U, 20, 20 },
	{ U, 0xe00a, 10 },    { U, 30, 30 },        { U, 4094, 4094 }, { U, 40, DROP },
	{ U, 4095, DROP },    { Y, SG_NO_TAG, 0 },  { Y, 0x6000, 0 },  { Y, 1, DROP },
	{ Z, 10, DROP },
};

/* Who has got a frame of VLAN `vid` from port `from`, and how it looks there. */
static unsigned int reaches(struct net *n, unsigned int from, uint16_t vid, uint32_t tci,
			    const uint8_t *frame)
{
	uint32_t prio = tci == SG_NO_TAG ? 0 : tci & 0xf000;
	unsigned int n_reached = 0;

	for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++)
		for (unsigned int i = 0; i < 7; i++) {
			if (members[m].vid != vid || !members[m].sees[i] || i == from)
				continue;
			gets(n, i, frame, LEN, members[m].sees[i] == TAG ? prio | vid : SG_NO_TAG);
			n_reached++;
		}
	all_quiet(n);
	return n_reached;
}

static void every_frame_is_in_its_vlan_only(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	matrix(n);
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		struct dp_counters before = counters(n, sent[i].from), now;
		unsigned int k;

		send_to(n, sent[i].from, BCAST, (uint8_t)(1 + sent[i].from), sent[i].tci, frame);
		k = reaches(n, sent[i].from, sent[i].vid, sent[i].tci, frame);
		now = counters(n, sent[i].from);
		assert_int_equal(now.in_drop[DP_DROP_VLAN] - before.in_drop[DP_DROP_VLAN],
				 sent[i].vid == DROP);
		assert_int_equal(now.in_drop[DP_DROP_NO_PORT] - before.in_drop[DP_DROP_NO_PORT],
				 sent[i].vid != DROP && !k);
		assert_int_equal(now.replicated - before.replicated, k ? k - 1 : 0);
	}
}

/* The receiver's address is known, in its own VLAN: nobody outside of it reaches it. */
static void known_address_is_not_reached_from_another_vlan(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	matrix(n);
	send_to(n, C, BCAST, 3, SG_NO_TAG, frame);
	reaches(n, C, 20, SG_NO_TAG, frame);
	send_to(n, A, 3, 1, SG_NO_TAG, frame); /* unknown in VLAN 10 */
	assert_int_equal(reaches(n, A, 10, SG_NO_TAG, frame), 3);
	send_to(n, T, 3, 4, 10, frame);
	assert_int_equal(reaches(n, T, 10, 10, frame), 3);
	send_to(n, T, 3, 4, 20, frame);
	gets(n, C, frame, LEN, SG_NO_TAG);
	all_quiet(n);
	nothing_dropped(n);
}

/* An address that is a port's for good, too; and the same one may be in two VLANs. */
static void static_address_is_of_its_vlan_only(void **state)
{
	struct net *n = *state;
	struct dp_port_conf c = access_port(20), d = access_port(10);
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 };
	uint8_t frame[LEN];
	unsigned int in10, in20;

	matrix(n);
	c.n_macs = d.n_macs = 1;
	memcpy(c.mac[0], mac, 6);
	memcpy(d.mac[0], mac, 6);
	in20 = add(n, c);
	is_at(n, 7, 20, "p7");
	is_at(n, 7, 10, "");
	send_to(n, A, 7, 1, SG_NO_TAG, frame);
	assert_int_equal(reaches(n, A, 10, SG_NO_TAG, frame), 3);
	remove_port(n, Z);
	n->n = Z;
	in10 = add(n, d);
	n->n = in20 + 1;
	send_to(n, A, 7, 1, SG_NO_TAG, frame);
	gets(n, in10, frame, LEN, SG_NO_TAG);
	send_to(n, C, 7, 3, SG_NO_TAG, frame);
	gets(n, in20, frame, LEN, SG_NO_TAG);
	all_quiet(n);
}

/* 0 and 4095 are no VLANs, also for a trunk that has all bits set. */
static void trunk_of_all_vlans_has_no_reserved_ones(void **state)
{
	struct net *n = *state;
	struct dp_port_conf c = trunk_port(0, VIDS(1));
	uint8_t frame[LEN];

	memset(c.trunk_vlan, 0xff, sizeof(c.trunk_vlan));
	add(n, c);
	add(n, c);
	add(n, access_port(0));
	send_to(n, 0, BCAST, 1, 4095, frame);
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	send_to(n, 0, BCAST, 1, 0xe000, frame);
	all_quiet(n);
	assert_int_equal(in_drop(n, 0, DP_DROP_VLAN), 3);
	send_to(n, 0, BCAST, 1, 4094, frame);
	gets(n, 1, frame, LEN, 4094);
	send_to(n, 0, BCAST, 1, 1, frame);
	gets(n, 1, frame, LEN, 1);
	all_quiet(n);
}

/* Frames of one burst that look alike but for their tags. */
static void frames_of_one_burst_are_each_in_their_vlan(void **state)
{
	static const uint32_t tci[] = { SG_NO_TAG, 10, SG_NO_TAG, 20, 20, 30, SG_NO_TAG, 10 };
	struct net *n = *state;
	uint8_t frame[8][LEN];

	matrix(n);
	dp_ring_enable(n->port[U], SG_TX, false);
	for (unsigned int i = 0; i < 8; i++) {
		sg_frame(frame[i], LEN, BCAST, 5, tci[i]);
		sg_send(n->g[U], frame[i], LEN, NULL);
		n->sent++;
	}
	dp_ring_enable(n->port[U], SG_TX, true);
	settle(n, U);
	for (unsigned int i = 0; i < 8; i++)
		if (tci[i] == 10) {
			gets(n, A, frame[i], LEN, SG_NO_TAG);
			gets(n, B, frame[i], LEN, SG_NO_TAG);
			gets(n, T, frame[i], LEN, 10);
		} else if (tci[i] != 30) {
			gets(n, C, frame[i], LEN, SG_NO_TAG);
			gets(n, T, frame[i], LEN, 20);
		}
	all_quiet(n);
	/* as it leaves: three had no tag before, and two have none now */
	assert_int_equal(counters(n, U).in_bytes, 8 * LEN);
	assert_int_equal(counters(n, T).out_bytes, 7 * LEN + 3 * 4);
	assert_int_equal(counters(n, A).out_bytes, 2 * (LEN - 4));
}

/* ... and but for whom they are for. */
static void frames_of_one_burst_go_each_to_their_own(void **state)
{
	static const uint8_t dst[] = { 2, 3, BCAST, 2, 2, 3, 9, 3 };
	struct net *n = *state;
	uint8_t frame[8][LEN];

	add(n, with_macs(access_port(0), 1, 11));
	add(n, with_macs(access_port(0), 2, 12));
	add(n, with_macs(access_port(0), 3, 13));
	dp_ring_enable(n->port[0], SG_TX, false);
	for (unsigned int i = 0; i < 8; i++) {
		sg_frame(frame[i], LEN, dst[i], 1, SG_NO_TAG);
		sg_send(n->g[0], frame[i], LEN, NULL);
		n->sent++;
	}
	dp_ring_enable(n->port[0], SG_TX, true);
	settle(n, 0);
	/* those for one port go together, before or after those for all */
	for (unsigned int i = 0; i < 8; i++)
		if (dst[i] == 2)
			gets(n, 1, frame[i], LEN, SG_NO_TAG);
	for (unsigned int i = 0; i < 8; i++)
		if (dst[i] == 3)
			gets(n, 2, frame[i], LEN, SG_NO_TAG);
	for (unsigned int i = 1; i < 3; i++) {
		gets(n, i, frame[2], LEN, SG_NO_TAG);
		gets(n, i, frame[6], LEN, SG_NO_TAG);
	}
	all_quiet(n);
	nothing_dropped(n);
}

/* A frame with two tags, or the beginning of one, gets into no VLAN by losing the first. */
static void second_tag_is_no_way_into_another_vlan(void **state)
{
	static const uint16_t type[] = { 0x8100, 0x88a8, 0x9100 };
	struct net *n = *state;
	unsigned int native, nic;
	uint8_t frame[LEN];

	assert_int_equal(add(n, access_port(10)), A);
	assert_int_equal(add(n, access_port(10)), B);
	native = add(n, trunk_port(10, VIDS(10, 20)));
	nic = add_loop(n, uplink(access_port(10)));
	for (unsigned int i = 0; i < 3; i++) {
		sg_frame(frame, LEN, BCAST, 1, 0x6000); /* a priority, then a tag of VLAN 20 */
		frame[16] = (uint8_t)(type[i] >> 8);
		frame[17] = (uint8_t)type[i];
		frame[18] = 0;
		frame[19] = 20;
		send_one(n, A, frame, LEN);
		gets(n, B, frame, LEN, SG_NO_TAG);
		gets_nothing(n, native);
	}
	/* too short for a tag: a NIC would put zeros behind it, and it had one */
	sg_frame(frame, 16, BCAST, 1, SG_NO_TAG);
	memcpy(frame + 12, (uint8_t[]){ 0x81, 0, 0, 20 }, 4);
	send_one(n, A, frame, 16);
	gets_nothing(n, native);
	assert_int_equal(out_drop(n, native, DP_DROP_VLAN), 4);
	assert_int_equal(out_drop(n, nic, DP_DROP_VLAN), 4);
}

/* --- who may say what --- */
static void source_that_is_not_the_guests_is_dropped(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add(n, with_macs(access_port(0), 1, 2));
	add(n, access_port(0));
	for (uint8_t src = 1; src <= 4; src++) {
		send_to(n, 0, BCAST, src, SG_NO_TAG, frame);
		if (src <= 2)
			gets(n, 1, frame, LEN, SG_NO_TAG);
		all_quiet(n);
	}
	assert_int_equal(in_drop(n, 0, DP_DROP_SOURCE), 2);
	is_at(n, 1, 0, "p0");
	is_at(n, 3, 0, "");
	/* many of them in one burst, where each looks like the one before */
	sg_frame(frame, LEN, BCAST, 3, SG_NO_TAG);
	for (unsigned int i = 0; i < 20; i++)
		sg_send(n->g[0], frame, LEN, NULL);
	n->sent += 20;
	settle(n, 0);
	all_quiet(n);
	assert_int_equal(in_drop(n, 0, DP_DROP_SOURCE), 22);
}

static void source_that_is_no_unicast_address_is_dropped(void **state)
{
	static const uint8_t src[][6] = { { 0 },
					  { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
					  { 1, 0, 0x5e, 0, 0, 1 },
					  { 3, 0, 0, 0, 0, 1 } };
	struct net *n = *state;
	struct dp_fdb_info info;
	uint8_t frame[LEN];

	add(n, access_port(0));
	add(n, access_port(0));
	for (unsigned int i = 0; i < 4; i++) {
		sg_frame(frame, LEN, BCAST, 1, SG_NO_TAG);
		memcpy(frame + 6, src[i], 6);
		send_one(n, 0, frame, LEN);
	}
	all_quiet(n);
	assert_int_equal(in_drop(n, 0, DP_DROP_SOURCE), 4);
	dp_fdb_info(n->dp, &info);
	assert_int_equal(info.n, 0);
}

/* An address that is a port's for good is nobody else's, and is nowhere else. */
static void address_of_another_guest_cannot_be_taken(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add(n, with_macs(access_port(0), 1, 2));
	add(n, access_port(0));
	add(n, access_port(0));
	send_to(n, 1, BCAST, 1, SG_NO_TAG, frame);
	all_quiet(n);
	assert_int_equal(in_drop(n, 1, DP_DROP_SOURCE), 1);
	send_to(n, 2, 1, 9, SG_NO_TAG, frame);
	gets(n, 0, frame, LEN, SG_NO_TAG);
	all_quiet(n);
}

static void port_with_anothers_address_is_not_added(void **state)
{
	struct net *n = *state;
	struct dp_port_conf c = with_macs(access_port(0), 3, 2);
	struct dp_fdb_info info;
	struct dp_port *p;

	add(n, with_macs(access_port(0), 1, 2));
	snprintf(c.name, sizeof(c.name), "q");
	assert_int_equal(dp_port_add(n->dp, &c, &p), -EEXIST);
	is_at(n, 2, 0, "p0");
	dp_fdb_info(n->dp, &info);
	assert_int_equal(info.n, 2); /* nothing of it stays */
	c.vlan = 5;
	assert_int_equal(dp_port_add(n->dp, &c, &p), 0);
	dp_port_remove(p);
	is_at(n, 2, 5, "");
}

/* --- where frames go --- */
static void unknown_goes_to_all_and_known_to_one(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	for (unsigned int i = 0; i < 4; i++)
		add(n, access_port(0));
	send_to(n, 0, 3, 1, SG_NO_TAG, frame);
	for (unsigned int i = 1; i < 4; i++)
		gets(n, i, frame, LEN, SG_NO_TAG);
	assert_int_equal(counters(n, 0).replicated, 2);
	send_to(n, 2, 1, 3, SG_NO_TAG, frame); /* the answer */
	gets(n, 0, frame, LEN, SG_NO_TAG);
	send_to(n, 0, 3, 1, SG_NO_TAG, frame);
	gets(n, 2, frame, LEN, SG_NO_TAG);
	all_quiet(n);
	/* it has moved */
	send_to(n, 3, 1, 3, SG_NO_TAG, frame);
	gets(n, 0, frame, LEN, SG_NO_TAG);
	send_to(n, 0, 3, 1, SG_NO_TAG, frame);
	gets(n, 3, frame, LEN, SG_NO_TAG);
	all_quiet(n);
	/* forgotten */
	dp_fdb_flush(n->dp, n->port[3]);
	send_to(n, 0, 3, 1, SG_NO_TAG, frame);
	for (unsigned int i = 1; i < 4; i++)
		gets(n, i, frame, LEN, SG_NO_TAG);
	all_quiet(n);
	nothing_dropped(n);
}

static void group_addresses_go_to_all(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	for (unsigned int i = 0; i < 3; i++)
		add(n, access_port(0));
	for (unsigned int i = 0; i < 2; i++) {
		sg_frame(frame, LEN, BCAST, 1, SG_NO_TAG);
		if (i)
			memcpy(frame, "\x01\x00\x5e\x00\x00\x01", 6);
		send_one(n, 0, frame, LEN);
		gets(n, 1, frame, LEN, SG_NO_TAG);
		gets(n, 2, frame, LEN, SG_NO_TAG);
		all_quiet(n);
	}
}

static void frame_does_not_go_back_where_it_came_from(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add(n, access_port(0));
	add(n, access_port(0));
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	gets(n, 1, frame, LEN, SG_NO_TAG);
	send_to(n, 0, BCAST, 2, SG_NO_TAG, frame); /* two addresses behind one port */
	gets(n, 1, frame, LEN, SG_NO_TAG);
	send_to(n, 0, 2, 1, SG_NO_TAG, frame);
	send_to(n, 0, 1, 1, SG_NO_TAG, frame); /* to itself */
	all_quiet(n);
	assert_int_equal(in_drop(n, 0, DP_DROP_SAME_PORT), 2);
}

static void frame_for_nobody_is_counted(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add(n, access_port(10));
	add(n, access_port(20));
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	send_to(n, 0, 9, 1, SG_NO_TAG, frame);
	all_quiet(n);
	assert_int_equal(in_drop(n, 0, DP_DROP_NO_PORT), 2);
}

static void flood_of_addresses_costs_the_neighbours_nothing(void **state)
{
	struct net *n = *state;
	struct dp_port_conf c = access_port(0);
	struct dp_fdb_info info;
	uint8_t frame[LEN], flood[64];

	add(n, access_port(0));
	add(n, access_port(0));
	c.max_learned = 8;
	add_frozen(n, c);
	send_to(n, 1, BCAST, 2, SG_NO_TAG, frame);
	gets(n, 0, frame, LEN, SG_NO_TAG);
	for (unsigned int i = 0; i < 2000; i++) {
		sg_frame(flood, sizeof(flood), 2, 0x80, SG_NO_TAG);
		memcpy(flood + 7, &i, sizeof(i));
		sg_send(n->g[2], flood, sizeof(flood), NULL);
		n->sent++;
		if (i % 32 == 31) {
			settle(n, 2);
			sg_free_all(n->g[2]);
			while (sg_recv(n->g[1], frame, NULL) >= 0)
				;
			sg_free_all(n->g[1]);
			post(n, 1, 32);
		}
	}
	settle(n, 2);
	while (sg_recv(n->g[1], frame, NULL) >= 0)
		;
	dp_fdb_info(n->dp, &info);
	assert_int_equal(info.n, 1 + 8);
	assert_int_equal(info.refused_port, 2000 - 8);
	send_to(n, 0, 2, 1, SG_NO_TAG, frame);
	gets(n, 1, frame, LEN, SG_NO_TAG);
	all_quiet(n);
}

/* --- receive filters --- */
struct filter_row {
	uint32_t flags;
	const char *dst;
	bool takes;
};

static const struct filter_row filter_rows[] = {
	{ 0, "\x02\0\0\0\0\x05", true }, /* listed */
	{ 0, "\x01\0\x5e\0\0\x05", true },
	{ 0, "\x02\0\0\0\0\x06", false },
	{ 0, "\x01\0\x5e\0\0\x06", false },
	{ 0, "\xff\xff\xff\xff\xff\xff", false },
	{ VHOST_USER_FILTER_BROADCAST, "\xff\xff\xff\xff\xff\xff", true },
	{ VHOST_USER_FILTER_BROADCAST, "\xff\xff\xff\xff\xff\xfe", false },
	{ VHOST_USER_FILTER_BROADCAST, "\x02\0\0\0\0\x06", false },
	{ VHOST_USER_FILTER_ALL_UNICAST, "\x02\0\0\0\0\x06", true },
	{ VHOST_USER_FILTER_ALL_UNICAST, "\x01\0\x5e\0\0\x06", false },
	{ VHOST_USER_FILTER_ALL_UNICAST, "\xff\xff\xff\xff\xff\xff", false },
	{ VHOST_USER_FILTER_ALL_MULTICAST, "\x01\0\x5e\0\0\x06", true },
	{ VHOST_USER_FILTER_ALL_MULTICAST, "\x02\0\0\0\0\x06", false },
	{ VHOST_USER_FILTER_PROMISC, "\x02\0\0\0\0\x06", true },
	{ VHOST_USER_FILTER_PROMISC, "\x01\0\x5e\0\0\x06", true },
	{ VHOST_USER_FILTER_HASH, "\x02\0\0\0\0\x06", false },
};

static void filter_takes_what_its_flags_say(void **state)
{
	struct vhost_user_filter f = { .n_macs = 2,
				       .mac = { { 2, 0, 0, 0, 0, 5 }, { 1, 0, 0x5e, 0, 0, 5 } } };
	struct dp_frame frame = { .len = 60 };

	for (size_t i = 0; i < sizeof(filter_rows) / sizeof(filter_rows[0]); i++) {
		f.flags = filter_rows[i].flags;
		memcpy(frame.head, filter_rows[i].dst, 6);
		assert_int_equal(dp_filter_takes(&f, &frame, false), filter_rows[i].takes);
	}
}

/* Bit ((d[4] | d[5] << 8) >> shift) & 0xfff. */
static void filter_finds_groups_by_hash(void **state)
{
	static const struct {
		uint32_t shift, bit;
	} row[] = { { 0, 0xbcd }, { 2, 0xaf3 }, { 3, 0x579 }, { 4, 0xabc } };
	struct vhost_user_filter f = { .flags = VHOST_USER_FILTER_HASH };
	struct dp_frame frame = { .len = 60, .head = { 1, 0, 0x5e, 0, 0xcd, 0xab } };

	for (unsigned int i = 0; i < 4; i++) {
		f.hash_shift = row[i].shift;
		memset(f.hash_table, 0, sizeof(f.hash_table));
		f.hash_table[row[i].bit / 32] = 1u << row[i].bit % 32;
		assert_true(dp_filter_takes(&f, &frame, false));
		f.hash_table[row[i].bit / 32] = ~(1u << row[i].bit % 32);
		assert_false(dp_filter_takes(&f, &frame, false));
	}
}

static void pushed_down_filter_refuses_before_a_buffer_is_spent(void **state)
{
	struct vhost_user_filter f = { .n_macs = 1,
				       .mac = { { 2, 0, 0, 0, 0, 5 } },
				       .flags = VHOST_USER_FILTER_VLAN };
	struct net *n = *state;
	uint8_t frame[LEN];

	matrix(n);
	f.vlan_table[0] = 1u << 20;
	dp_set_filter(n->port[T], &f);
	send_to(n, U, 5, 6, 20, frame);
	gets(n, C, frame, LEN, SG_NO_TAG);
	gets(n, T, frame, LEN, 20);
	send_to(n, A, 5, 1, SG_NO_TAG, frame); /* VLAN 10 is not in its table */
	send_to(n, C, 9, 3, SG_NO_TAG, frame); /* not its address */
	gets_nothing(n, T);
	assert_int_equal(out_drop(n, T, DP_DROP_FILTERED), 2);
	assert_int_equal(n->g[T]->ring[SG_RX].used->idx, (uint16_t)(65500 + T + 1));
	/* tags are not looked at where frames come without */
	dp_set_filter(n->port[B], &f);
	send_to(n, A, 5, 1, SG_NO_TAG, frame);
	while (sg_recv(n->g[B], frame, NULL) >= 0)
		;
	assert_int_equal(out_drop(n, B, DP_DROP_FILTERED), 0);
	dp_set_filter(n->port[T], NULL);
	send_to(n, A, 9, 1, SG_NO_TAG, frame);
	gets(n, T, frame, LEN, 10);
}

/* --- guests that do not do their part --- */
static void frozen_guest_is_nobody_elses_concern(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add(n, access_port(0));
	add(n, access_port(0));
	add_frozen(n, access_port(0));
	for (unsigned int i = 0; i < 200; i++) {
		send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
		gets(n, 1, frame, LEN, SG_NO_TAG);
		post(n, 1, 1);
	}
	assert_int_equal(out_drop(n, 2, DP_DROP_NO_BUFFER), 200);
	assert_int_equal(counters(n, 1).out_frames, 200);
	assert_int_equal(counters(n, 0).replicated, 200);
	/* it wakes up */
	post(n, 2, 1);
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	gets(n, 2, frame, LEN, SG_NO_TAG);
	assert_int_equal(out_drop(n, 2, DP_DROP_NO_BUFFER), 200);
}

static void guest_that_is_down_is_counted_so(void **state)
{
	struct net *n = *state;
	struct dp_port_conf c = access_port(0);
	uint8_t frame[LEN];

	add(n, access_port(0));
	add(n, access_port(0));
	add_port(n, &c); /* no rings yet */
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	assert_int_equal(out_drop(n, 2, DP_DROP_DOWN), 1);
	gets(n, 1, frame, LEN, SG_NO_TAG);
	dp_ring_enable(n->port[1], SG_RX, false);
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	assert_int_equal(out_drop(n, 1, DP_DROP_DOWN), 1);
	gets_nothing(n, 1);
	dp_ring_enable(n->port[1], SG_RX, true);
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	gets(n, 1, frame, LEN, SG_NO_TAG);
	assert_int_equal(dp_ring_stop(n->port[1], SG_RX), (uint16_t)(65501 + 2));
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	assert_int_equal(out_drop(n, 1, DP_DROP_DOWN), 2);
	dp_port_remove(n->port[2]);
	n->n = 2;
}

/* What was sent while a ring was off has had its kick; the worker sleeps. */
static void ring_that_is_enabled_is_looked_at(void **state)
{
	struct net *n = *state;
	struct dp_worker_info info[DP_MAX_WORKERS];
	struct sg_ring *r;
	uint64_t slept;
	uint8_t frame[LEN];
	unsigned int us;

	add(n, access_port(0));
	add(n, access_port(0));
	r = &n->g[0]->ring[SG_TX];
	dp_ring_enable(n->port[0], SG_TX, false);
	for (us = 0; !atomic_load(&n->dp->worker[0]->asleep); us += 20) {
		assert_true(us < PATIENCE);
		nap(n);
	}
	dp_workers(n->dp, info);
	slept = info[0].sleeps;
	sg_frame(frame, LEN, BCAST, 1, SG_NO_TAG);
	sg_send(n->g[0], frame, LEN, NULL);
	n->sent++;
	sg_kick(n->g[0]);
	for (; info[0].sleeps == slept || !atomic_load(&n->dp->worker[0]->asleep); us += 20) {
		assert_true(us < PATIENCE);
		nap(n);
		dp_workers(n->dp, info);
	}
	gets_nothing(n, 1);
	dp_ring_enable(n->port[0], SG_TX, true);
	for (; __atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) != r->avail->idx; us += 20) {
		assert_true(us < PATIENCE);
		nap(n);
	}
	gets(n, 1, frame, LEN, SG_NO_TAG);
}

static void sender_that_breaks_the_rules_stops_alone(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN], bad[LEN];
	unsigned int us;

	for (unsigned int i = 0; i < 3; i++)
		add(n, access_port(0));
	dp_ring_enable(n->port[0], SG_TX, false);
	sg_frame(frame, LEN, BCAST, 1, SG_NO_TAG);
	sg_frame(bad, LEN, BCAST, 1, SG_NO_TAG);
	sg_send(n->g[0], frame, LEN, NULL);
	n->g[0]->ring[SG_TX].desc[sg_send(n->g[0], bad, LEN, NULL)].addr = 0;
	n->sent += 2;
	dp_ring_enable(n->port[0], SG_TX, true);
	for (us = 0; !in_drop(n, 0, DP_DROP_BAD_RING); us += 20) {
		assert_true(us < PATIENCE);
		nap(n);
	}
	assert_int_equal(counters(n, 0).bad_rings, 1);
	gets(n, 1, frame, LEN, SG_NO_TAG);
	gets(n, 2, frame, LEN, SG_NO_TAG);
	send_to(n, 1, BCAST, 2, SG_NO_TAG, frame);
	gets(n, 2, frame, LEN, SG_NO_TAG);
	gets(n, 0, frame, LEN, SG_NO_TAG); /* its other ring works */
	all_quiet(n);
	assert_int_equal(n->g[0]->ring[SG_TX].used->idx, 65500); /* nothing is given back */
	assert_int_equal(in_drop(n, 0, DP_DROP_BAD_RING), 1);
	dp_ring_stop(n->port[0], SG_TX);
	assert_int_equal(counters(n, 0).bad_rings, 1); /* it is not forgotten */
}

static void receiver_that_breaks_the_rules_stops_alone(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	for (unsigned int i = 0; i < 3; i++)
		add(n, access_port(0));
	n->g[1]->ring[SG_RX].desc[0].flags = 0;
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	gets(n, 2, frame, LEN, SG_NO_TAG);
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	gets(n, 2, frame, LEN, SG_NO_TAG);
	all_quiet(n);
	assert_int_equal(out_drop(n, 1, DP_DROP_BAD_RING), 1);
	assert_int_equal(out_drop(n, 1, DP_DROP_DOWN), 1);
	assert_int_equal(counters(n, 1).bad_rings, 1);
	send_to(n, 1, BCAST, 2, SG_NO_TAG, frame); /* its other ring works */
	gets(n, 0, frame, LEN, SG_NO_TAG);
}

static void frames_of_a_wrong_shape_are_counted(void **state)
{
	static uint8_t frame[DP_MAX_FRAME + 1];
	const struct virtio_net_hdr gso = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 };
	struct net *n = *state;

	add(n, access_port(0));
	add(n, access_port(0));
	sg_frame(frame, sizeof(frame), BCAST, 1, SG_NO_TAG);
	send_one(n, 0, frame, 13);
	send_one(n, 0, frame, DP_MAX_FRAME + 1);
	send_one(n, 0, frame, 2048 - 12 + 1); /* longer than the receiver's buffers */
	sg_send_hdr(n->g[0], &gso, frame, LEN, NULL);
	n->sent++;
	settle(n, 0);
	all_quiet(n);
	assert_int_equal(in_drop(n, 0, DP_DROP_TOO_SHORT), 1);
	assert_int_equal(in_drop(n, 0, DP_DROP_TOO_LONG), 1);
	assert_int_equal(in_drop(n, 0, DP_DROP_OFFLOAD), 1);
	assert_int_equal(out_drop(n, 1, DP_DROP_TOO_LONG), 1);
	send_one(n, 0, frame, 2048 - 12);
	gets(n, 1, frame, 2048 - 12, SG_NO_TAG);
}

/* --- interrupts that cannot be delivered --- */
static void full_call_eventfd_sets_nobody_back(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	for (unsigned int i = 0; i < 3; i++)
		add(n, access_port(0));
	n->g[1]->ring[SG_RX].avail->ring[SIZE] = (uint16_t)(65500 + 1);
	assert_int_equal(eventfd_write(n->g[1]->ring[SG_RX].conf.call_fd, UINT64_MAX - 1), 0);
	for (unsigned int i = 0; i < 5; i++) {
		send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
		gets(n, 1, frame, LEN, SG_NO_TAG);
		gets(n, 2, frame, LEN, SG_NO_TAG);
	}
	assert_int_equal(counters(n, 1).bad_rings, 0);
	assert_true(sg_called(n->g[1], SG_RX));
	nothing_dropped(n);
}

/* Its owner has made it block: the worker hangs in it until the control thread looks. */
static void call_eventfd_that_blocks_costs_its_owner_the_ring(void **state)
{
	struct net *n = *state;
	int fd;
	uint8_t frame[LEN];

	for (unsigned int i = 0; i < 3; i++)
		add(n, access_port(0));
	fd = n->g[1]->ring[SG_RX].conf.call_fd;
	n->g[1]->ring[SG_RX].avail->ring[SIZE] = (uint16_t)(65500 + 1);
	assert_int_equal(eventfd_write(fd, UINT64_MAX - 1), 0);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	gets(n, 2, frame, LEN, SG_NO_TAG);
	assert_int_equal(counters(n, 1).bad_rings, 1);
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	gets(n, 2, frame, LEN, SG_NO_TAG);
	assert_int_equal(out_drop(n, 1, DP_DROP_DOWN), 1);
	/* nor may it come again at once */
	dp_ring_stop(n->port[1], SG_RX);
	assert_int_equal(dp_ring_start(n->port[1], SG_RX, &n->g[1]->ring[SG_RX].conf), -EACCES);
}

/* --- NICs --- */
/* What a guest sends to all comes back by the wire: it is dropped there before it is learned. */
static void own_frame_that_comes_back_is_dropped_before_learning(void **state)
{
	struct net *n = *state;
	struct dp_fdb_info info;
	uint8_t frame[LEN];

	add(n, access_port(0));
	add(n, access_port(0));
	add(n, with_macs(access_port(0), 8, 9));
	add_loop(n, uplink(access_port(0)));
	for (unsigned int i = 0; i < 3; i++) {
		uint8_t src = i < 2 ? (uint8_t)(1 + i) : 8;

		send_to(n, i, BCAST, src, SG_NO_TAG, frame);
		comes_in(n, 3, i + 1);
		for (unsigned int k = 0; k < 3; k++)
			if (k != i)
				gets(n, k, frame, LEN, SG_NO_TAG);
		all_quiet(n);
		is_at(n, src, 0, (const char *[]){ "p0", "p1", "p2" }[i]);
	}
	n->sent += 3; /* the wire's */
	assert_int_equal(in_drop(n, 3, DP_DROP_OWN), 3);
	dp_fdb_info(n->dp, &info);
	assert_int_equal(info.moved, 0);
	assert_int_equal(info.n, 4);
}

/* A stranger behind the uplink is learned there, and found. */
static void address_behind_an_uplink_is_learned(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add(n, access_port(0));
	add(n, access_port(0));
	add_loop(n, uplink(access_port(0)));
	sg_frame(frame, LEN, BCAST, 7, SG_NO_TAG);
	wire_sends(n, 2, frame, LEN);
	comes_in(n, 2, 1);
	gets(n, 0, frame, LEN, SG_NO_TAG);
	gets(n, 1, frame, LEN, SG_NO_TAG);
	is_at(n, 7, 0, "p2");
	send_to(n, 0, 7, 1, SG_NO_TAG, frame);
	comes_in(n, 2, 2);
	n->sent++;
	all_quiet(n);
	assert_int_equal(counters(n, 2).out_frames, 1);
	assert_int_equal(in_drop(n, 2, DP_DROP_OWN), 1);
}

/* The other way: no uplink, and the loop is a host that has taken the address. */
static void frame_keeps_its_bytes_through_a_nic(void **state)
{
	struct net *n = *state;
	uint8_t frame[1514];
	uint64_t came = 0;

	add(n, access_port(10));
	add_loop(n, trunk_port(0, VIDS(10)));
	for (uint32_t len = 60; len <= sizeof(frame); len += 200) {
		sg_frame(frame, len, BCAST, 1, SG_NO_TAG);
		send_one(n, 0, frame, len);
		comes_in(n, 1, ++came);
		n->sent++;
		gets(n, 0, frame, len, SG_NO_TAG); /* it had a tag on the way */
		is_at(n, 1, 10, "p1");
	}
	assert_int_equal(counters(n, 1).out_bytes, counters(n, 0).in_bytes + 4 * came);
	nothing_dropped(n);
}

/* No NIC gets less than Ethernet's shortest frame; what it gets more are zeros. */
static void short_frame_is_padded_for_a_nic(void **state)
{
	struct net *n = *state;
	uint8_t frame[60];

	add(n, access_port(0));
	add_loop(n, access_port(0));
	memset(frame, 0, sizeof(frame));
	sg_frame(frame, 20, BCAST, 1, SG_NO_TAG);
	send_one(n, 0, frame, 20);
	comes_in(n, 1, 1);
	n->sent++;
	gets(n, 0, frame, 60, SG_NO_TAG);
}

static void frame_too_long_for_an_mbuf_is_dropped(void **state)
{
	struct net *n = *state;
	static uint8_t frame[RTE_MBUF_DEFAULT_DATAROOM + 1];

	add(n, access_port(0));
	add_loop(n, uplink(access_port(0)));
	sg_frame(frame, sizeof(frame), BCAST, 1, SG_NO_TAG);
	send_one(n, 0, frame, sizeof(frame));
	assert_int_equal(out_drop(n, 1, DP_DROP_TOO_LONG), 1);
	send_one(n, 0, frame, sizeof(frame) - 1);
	comes_in(n, 1, 1);
	n->sent++;
	assert_int_equal(in_drop(n, 1, DP_DROP_OWN), 1);
}

static void nic_that_is_stopped_is_down(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add(n, access_port(0));
	add_loop(n, uplink(access_port(0)));
	dp_eth_stop(n->port[1]);
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame);
	assert_int_equal(out_drop(n, 1, DP_DROP_DOWN), 1);
}

/*
 * A frame that came in an mbuf and leaves by one other NIC is moved as it is; but not with a tag
 * that says VLAN 0, which the other side would take for its native VLAN.
 */
static void priority_tag_leaves_a_nic_with_its_vlan(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add_loop(n, trunk_port(5, VIDS(5)));
	add_loop(n, trunk_port(6, VIDS(5, 6)));
	sg_frame(frame, LEN, 9, 9, 5); /* to itself: learned, and dropped */
	wire_sends(n, 1, frame, LEN);
	comes_in(n, 1, 1);
	is_at(n, 9, 5, "p1");
	sg_frame(frame, LEN, 9, 2, 0x6000);
	wire_sends(n, 0, frame, LEN);
	comes_in(n, 1, 2); /* it has left by p1, and comes back */
	n->sent++;
	is_at(n, 2, 5, "p1");
	is_at(n, 2, 6, "");
	assert_int_equal(in_drop(n, 1, DP_DROP_SAME_PORT), 2);
	assert_int_equal(counters(n, 1).copied_bytes, LEN);
}

/* One that has its VLAN's tag already is moved, not copied. */
static void frame_from_nic_to_nic_is_not_copied(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add_loop(n, trunk_port(0, VIDS(5)));
	add_loop(n, trunk_port(0, VIDS(5)));
	sg_frame(frame, LEN, 9, 9, 5);
	wire_sends(n, 1, frame, LEN);
	comes_in(n, 1, 1);
	sg_frame(frame, LEN, 9, 2, 0xe005);
	wire_sends(n, 0, frame, LEN);
	comes_in(n, 1, 2);
	n->sent++;
	is_at(n, 2, 5, "p1");
	assert_int_equal(counters(n, 1).copied_bytes, 0);
}

/* A copy for each of several, though one of them is a NIC. */
static void frame_from_a_nic_to_several_is_copied(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add_loop(n, trunk_port(0, VIDS(5)));
	add_loop(n, with_macs(trunk_port(0, VIDS(5)), 8, 9)); /* what it gives back is refused */
	add(n, trunk_port(0, VIDS(5)));
	add(n, access_port(5));
	for (unsigned int i = 1; i <= 10; i++) {
		sg_frame(frame, LEN, BCAST, 2, 5);
		wire_sends(n, 0, frame, LEN);
		comes_in(n, 1, i);
		n->sent++;
		gets(n, 2, frame, LEN, 5);
		gets(n, 3, frame, LEN, SG_NO_TAG);
		assert_int_equal(counters(n, 1).copied_bytes, i * LEN);
	}
	all_quiet(n);
	assert_int_equal(in_drop(n, 1, DP_DROP_SOURCE), 10);
}

static void frame_from_a_nic_that_is_too_short_is_dropped(void **state)
{
	struct net *n = *state;
	uint8_t frame[14];

	add_loop(n, access_port(0));
	add(n, access_port(0));
	sg_frame(frame, 14, BCAST, 2, SG_NO_TAG);
	wire_sends(n, 0, frame, 13);
	wire_sends(n, 0, frame, 14);
	comes_in(n, 0, 2);
	assert_int_equal(in_drop(n, 0, DP_DROP_TOO_SHORT), 1);
	gets(n, 1, frame, 14, SG_NO_TAG);
	all_quiet(n);
}

/* --- a guest's own queue of a NIC --- */
static void pool_is_the_way_out_for_what_is_not_local(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add(n, with_macs(access_port(10), 1, 11));
	add(n, with_macs(access_port(10), 2, 12));
	add_pool(n, 10, 0);
	send_to(n, 0, 2, 1, SG_NO_TAG, frame); /* local */
	gets(n, 1, frame, LEN, SG_NO_TAG);
	assert_int_equal(counters(n, 2).out_frames, 0);
	send_to(n, 0, 9, 1, SG_NO_TAG, frame); /* unknown: out, and to nobody else */
	comes_in(n, 2, 1);
	assert_int_equal(counters(n, 2).out_frames, 1);
	send_to(n, 0, BCAST, 1, SG_NO_TAG, frame); /* both */
	comes_in(n, 2, 2);
	gets(n, 1, frame, LEN, SG_NO_TAG);
	assert_int_equal(counters(n, 0).replicated, 1);
	all_quiet(n);
	/* the NIC has given them back, and they are the guest's own */
	assert_int_equal(in_drop(n, 2, DP_DROP_OWN), 2);
	n->sent += 2;
	send_to(n, 1, BCAST, 2, SG_NO_TAG, frame); /* another's pool is nobody's way out */
	gets(n, 0, frame, LEN, SG_NO_TAG);
	assert_int_equal(counters(n, 2).out_frames, 2);
	all_quiet(n);
}

static void what_a_pool_receives_is_its_guests(void **state)
{
	struct net *n = *state;
	uint8_t frame[LEN];

	add(n, with_macs(access_port(10), 1, 11));
	add(n, with_macs(access_port(10), 2, 12));
	add_pool(n, 10, 0);
	sg_frame(frame, LEN, 2, 7, 10); /* also what the table would give to another */
	wire_sends(n, 2, frame, LEN);
	comes_in(n, 2, 1);
	gets(n, 0, frame, LEN, SG_NO_TAG);
	sg_frame(frame, LEN, BCAST, 7, 10);
	wire_sends(n, 2, frame, LEN);
	comes_in(n, 2, 2);
	gets(n, 0, frame, LEN, SG_NO_TAG);
	all_quiet(n);
	nothing_dropped(n);
	is_at(n, 7, 10, "");
}

/* --- ports that go --- */
static void port_that_goes_leaves_nothing_behind(void **state)
{
	struct net *n = *state;
	struct dp_counters c, gone;
	uint8_t frame[LEN];

	for (unsigned int i = 0; i < 3; i++)
		add(n, access_port(0));
	send_to(n, 1, BCAST, 2, SG_NO_TAG, frame);
	gets(n, 0, frame, LEN, SG_NO_TAG);
	gets(n, 2, frame, LEN, SG_NO_TAG);
	remove_port(n, 1);
	is_at(n, 2, 0, "");
	counters_close(n);
	dp_counters(n->dp, &n->port[0], &c, 1, &gone);
	assert_int_equal(gone.in_frames, 1);
	/* its number is another's now, who begins with nothing */
	n->n = 1;
	add(n, access_port(0));
	n->n = 3;
	assert_int_equal(counters(n, 1).in_frames, 0);
	send_to(n, 0, 2, 1, SG_NO_TAG, frame);
	gets(n, 1, frame, LEN, SG_NO_TAG);
	gets(n, 2, frame, LEN, SG_NO_TAG);
	all_quiet(n);
}

static void ports_have_names_of_their_own(void **state)
{
	struct net *n = *state;
	struct dp_port_conf c = access_port(0);
	struct dp_port *p;

	add(n, access_port(0));
	snprintf(c.name, sizeof(c.name), "p0");
	assert_int_equal(dp_port_add(n->dp, &c, &p), -EEXIST);
}

/* --- traffic --- */
#define ROUNDS 60
#define BURST  32

static void burst_to(struct net *n, unsigned int i, uint8_t dst, uint8_t src,
		     uint8_t frame[BURST][1514], uint32_t len[BURST])
{
	for (unsigned int k = 0; k < BURST; k++) {
		len[k] = 14 + (k * 47 + i * 13) % 1500;
		sg_frame(frame[k], len[k], dst, src, SG_NO_TAG);
		sg_send(n->g[i], frame[k], len[k], NULL);
	}
	n->sent += BURST;
	sg_kick(n->g[i]);
}

/* Two workers, traffic both ways at once: every byte arrives, in the order in which it was sent. */
static void traffic_both_ways_keeps_bytes_and_order(void **state)
{
	static uint8_t frame[2][BURST][1514];
	uint32_t len[2][BURST];
	struct net *n = *state;

	dp_destroy(n->dp);
	open_dp(n, 2);
	add(n, with_macs(access_port(0), 1, 11));
	add(n, with_macs(access_port(0), 2, 12));
	for (unsigned int r = 0; r < ROUNDS; r++) {
		for (unsigned int i = 0; i < 2; i++)
			burst_to(n, i, (uint8_t)(2 - i), (uint8_t)(1 + i), frame[i], len[i]);
		for (unsigned int i = 0; i < 2; i++)
			settle(n, i);
		for (unsigned int i = 0; i < 2; i++)
			for (unsigned int k = 0; k < BURST; k++)
				gets(n, i, frame[1 - i][k], len[1 - i][k], SG_NO_TAG);
		all_quiet(n);
		for (unsigned int i = 0; i < 2; i++) {
			sg_free_all(n->g[i]);
			post(n, i, BURST);
		}
	}
	assert_int_equal(all_counters(n).out_frames, 2 * ROUNDS * BURST);
	nothing_dropped(n);
}

/* --- all of them --- */
static int up(void **state)
{
	struct net *n = calloc(1, sizeof(*n));

	assert_non_null(n);
	open_dp(n, 1);
	*state = n;
	return 0;
}

/* Each frame is accounted for, while the ports are there and when they have gone. */
static int down(void **state)
{
	struct net *n = *state;

	counters_close(n);
	for (unsigned int i = n->n; i-- > 0;)
		remove_port(n, i);
	counters_close(n);
	dp_destroy(n->dp);
	free(n);
	return 0;
}

static int start_dpdk(void **state)
{
	struct sw_conf conf;
	bool huge;

	err_set_sink(no_line, NULL);
	sw_conf_default(&conf);
	conf.huge = SW_HUGE_OFF;
	conf.memory_mb = 32;
	return sw_eal_start(&conf, &huge, &mempool);
}

static int stop_dpdk(void **state)
{
	sw_eal_stop(mempool);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_frame_is_in_its_vlan_only),
		T(known_address_is_not_reached_from_another_vlan),
		T(static_address_is_of_its_vlan_only),
		T(trunk_of_all_vlans_has_no_reserved_ones),
		T(frames_of_one_burst_are_each_in_their_vlan),
		T(frames_of_one_burst_go_each_to_their_own),
		T(second_tag_is_no_way_into_another_vlan),
		T(source_that_is_not_the_guests_is_dropped),
		T(source_that_is_no_unicast_address_is_dropped),
		T(address_of_another_guest_cannot_be_taken),
		T(port_with_anothers_address_is_not_added),
		T(unknown_goes_to_all_and_known_to_one),
		T(group_addresses_go_to_all),
		T(frame_does_not_go_back_where_it_came_from),
		T(frame_for_nobody_is_counted),
		T(flood_of_addresses_costs_the_neighbours_nothing),
		T(filter_takes_what_its_flags_say),
		T(filter_finds_groups_by_hash),
		T(pushed_down_filter_refuses_before_a_buffer_is_spent),
		T(frozen_guest_is_nobody_elses_concern),
		T(guest_that_is_down_is_counted_so),
		T(ring_that_is_enabled_is_looked_at),
		T(sender_that_breaks_the_rules_stops_alone),
		T(receiver_that_breaks_the_rules_stops_alone),
		T(frames_of_a_wrong_shape_are_counted),
		T(full_call_eventfd_sets_nobody_back),
		T(call_eventfd_that_blocks_costs_its_owner_the_ring),
		T(own_frame_that_comes_back_is_dropped_before_learning),
		T(address_behind_an_uplink_is_learned),
		T(frame_keeps_its_bytes_through_a_nic),
		T(short_frame_is_padded_for_a_nic),
		T(frame_too_long_for_an_mbuf_is_dropped),
		T(nic_that_is_stopped_is_down),
		T(priority_tag_leaves_a_nic_with_its_vlan),
		T(frame_from_nic_to_nic_is_not_copied),
		T(frame_from_a_nic_to_several_is_copied),
		T(frame_from_a_nic_that_is_too_short_is_dropped),
		T(pool_is_the_way_out_for_what_is_not_local),
		T(what_a_pool_receives_is_its_guests),
		T(port_that_goes_leaves_nothing_behind),
		T(ports_have_names_of_their_own),
		T(traffic_both_ways_keeps_bytes_and_order),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start_dpdk, stop_dpdk);
}
