/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A NIC with pools: asks the driver what it can, configures the ethdev in VMDq mode (or with one
 * queue for the stand-in), binds VLANs and addresses to pools, moves bursts. Called by
 * vswitch/port_vmdq.c and, for bursts, by the data path. The same ethdev calls serve 82576, 82599
 * and the 700 series; DPDK 22.11, guides/sample_app_ug/vmdq_forwarding.rst.
 */
#include "vmdq/vmdq.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "core/err.h"
#include "vmdq/vmdq_priv.h"

#define RING_DEFAULT 256
#define DRAIN_FRAMES 4096 /* what came before the filters were whole; at most this much a queue */
#define BURST        32

/* --- what the driver says --- */

static void caps_ask(struct vmdq_nic *nic, const struct rte_eth_dev_info *info)
{
	struct vmdq_caps *c = &nic->caps;

	*c = (struct vmdq_caps){
		.max_pools = info->max_vmdq_pools,
		.queue_base = info->vmdq_queue_base,
		.n_queues = info->vmdq_queue_num,
		.pool_base = info->vmdq_pool_base,
		.by_mac = true,
	};
	if (c->max_pools > VMDQ_MAX_POOLS)
		c->max_pools = VMDQ_MAX_POOLS;
	if (!c->max_pools || c->n_queues < c->max_pools) {
		c->max_pools = 0;
		return;
	}
	if (quirk_82576_fits(info) && quirk_82576_open(nic) == 0) {
		c->by_vlan = true;
		c->queue_is_pool = true;
	} else if (!strcmp(info->driver_name, "net_e1000_igb")) {
		c->max_pools = 0; /* ignores addresses, and untagged frames are all pool 0's */
	} else {
		/* a pool takes every address by the unicast hash table, where there is one */
		c->by_vlan = rte_eth_dev_uc_all_hash_table_set(nic->ethdev, 1) == 0;
	}
}

/* --- configuration of the ethdev --- */

static void conf_pools(const struct vmdq_nic *nic, struct rte_eth_vmdq_rx_conf *q)
{
	q->nb_queue_pools = (enum rte_eth_nb_pools)nic->caps.max_pools;
	q->rx_mode = RTE_ETH_VMDQ_ACCEPT_BROADCAST | RTE_ETH_VMDQ_ACCEPT_MULTICAST |
		     RTE_ETH_VMDQ_ACCEPT_HASH_MC;
	for (unsigned int i = 0; i < nic->n_pools; i++) {
		const struct vmdq_key *k = &nic->pool[i].key;
		unsigned int j = 0;

		if (!k->vlan)
			q->rx_mode |= RTE_ETH_VMDQ_ACCEPT_UNTAG;
		if (!k->has_mac)
			q->rx_mode |= RTE_ETH_VMDQ_ACCEPT_HASH_UC;
		while (j < q->nb_pool_maps && q->pool_map[j].vlan_id != k->vlan)
			j++;
		q->pool_map[j].vlan_id = k->vlan;
		q->pool_map[j].pools |= UINT64_C(1) << i;
		if (j == q->nb_pool_maps)
			q->nb_pool_maps++;
	}
}

static int fail(const struct vmdq_nic *nic, const char *what, int ret)
{
	return err_ret(ret, "pools of %s: %s: %s; try the stand-in (software)", nic->name, what,
		       strerror(-ret));
}

static struct vmdq_pool *pool_of_queue(const struct vmdq_nic *nic, unsigned int q)
{
	for (unsigned int i = 0; i < nic->n_pools; i++)
		if (nic->pool[i].queue == q)
			return &nic->pool[i];
	return NULL;
}

/* Queues that belong to no pool exist because the driver wants them; they get as little as can be.
 */
static int queues_setup(const struct vmdq_nic *nic, const struct vmdq_nic_conf *c,
			const struct rte_eth_dev_info *info, unsigned int n_rx, unsigned int n_tx)
{
	uint16_t size = c->ring_size ? c->ring_size : RING_DEFAULT, rx = size, tx = size;
	uint16_t least_rx = info->rx_desc_lim.nb_min, least_tx = info->tx_desc_lim.nb_min;
	int socket = rte_eth_dev_socket_id(nic->ethdev), ret;

	ret = rte_eth_dev_adjust_nb_rx_tx_desc(nic->ethdev, &rx, &tx);
	if (!ret)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(nic->ethdev, &least_rx, &least_tx);
	for (unsigned int q = 0; !ret && q < n_rx; q++)
		ret = rte_eth_rx_queue_setup(nic->ethdev, (uint16_t)q,
					     pool_of_queue(nic, q) ? rx : least_rx,
					     (unsigned int)socket, NULL, c->mp);
	for (unsigned int q = 0; !ret && q < n_tx; q++)
		ret = rte_eth_tx_queue_setup(nic->ethdev, (uint16_t)q,
					     pool_of_queue(nic, q) ? tx : least_tx,
					     (unsigned int)socket, NULL);
	return ret < 0 ? fail(nic, "setting up queues", ret) : 0;
}

static int nic_configure(struct vmdq_nic *nic, const struct vmdq_nic_conf *c,
			 const struct rte_eth_dev_info *info)
{
	bool hw = nic->how == VMDQ_HARDWARE;
	unsigned int n_rx = hw ? nic->caps.queue_base + nic->caps.n_queues : 1;
	unsigned int n_tx = n_rx < info->max_tx_queues ? n_rx : info->max_tx_queues;
	struct rte_eth_conf conf = { 0 };
	int ret;

	nic->inserts = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	if (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP)
		conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	if (nic->inserts)
		conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	if (hw) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_VMDQ_ONLY;
		conf_pools(nic, &conf.rx_adv_conf.vmdq_rx_conf);
	}
	ret = rte_eth_dev_configure(nic->ethdev, (uint16_t)n_rx, (uint16_t)n_tx, &conf);
	if (ret < 0)
		return fail(nic, "configuring the device", ret);
	return queues_setup(nic, c, info, n_rx, n_tx);
}

/* --- filters --- */

static int filters_set(struct vmdq_nic *nic)
{
	bool whole_vlans = !nic->pool[0].key.has_mac;

	if (nic->how == VMDQ_SOFTWARE) {
		rte_eth_promiscuous_enable(nic->ethdev);
		return 0;
	}
	for (unsigned int i = 0; i < nic->n_pools && !whole_vlans; i++) {
		struct rte_ether_addr mac;
		int ret;

		memcpy(mac.addr_bytes, nic->pool[i].key.mac, 6);
		ret = rte_eth_dev_mac_addr_add(nic->ethdev, &mac, nic->caps.pool_base + i);
		if (ret < 0)
			return fail(nic, "giving a pool its address", ret);
	}
	if (whole_vlans && !nic->regs)
		rte_eth_dev_uc_all_hash_table_set(nic->ethdev, 1);
	rte_eth_allmulticast_enable(nic->ethdev);
	if (nic->regs)
		quirk_82576_apply(nic);
	return 0;
}

static void filters_clear(struct vmdq_nic *nic)
{
	if (nic->how == VMDQ_SOFTWARE) {
		rte_eth_promiscuous_disable(nic->ethdev);
		return;
	}
	for (unsigned int i = 0; i < nic->n_pools; i++) {
		struct rte_ether_addr mac;

		if (!nic->pool[i].key.has_mac)
			continue;
		memcpy(mac.addr_bytes, nic->pool[i].key.mac, 6);
		rte_eth_dev_mac_addr_remove(nic->ethdev, &mac);
	}
	rte_eth_allmulticast_disable(nic->ethdev);
}

/* Frames that were sorted before the filters were whole belong to nobody. */
static void queues_drain(struct vmdq_nic *nic)
{
	struct rte_mbuf *m[BURST];

	for (unsigned int i = 0; i < nic->n_pools; i++)
		for (unsigned int all = 0, n = 1; n && all < DRAIN_FRAMES; all += n) {
			n = rte_eth_rx_burst(nic->ethdev, nic->pool[i].queue, m, BURST);
			rte_pktmbuf_free_bulk(m, n);
		}
}

/* --- life --- */

static int pools_create(struct vmdq_nic *nic, const struct vmdq_nic_conf *c)
{
	nic->pool = rte_zmalloc("vmdq_pools", c->n_pools * sizeof(*nic->pool), 64);
	if (!nic->pool)
		return -ENOMEM;
	nic->n_pools = c->n_pools;
	for (unsigned int i = 0; i < c->n_pools; i++) {
		struct vmdq_pool *p = &nic->pool[i];

		p->nic = nic;
		p->key = c->key[i];
		p->index = i;
		if (nic->how == VMDQ_HARDWARE)
			p->queue = (uint16_t)vmdq_pool_queue(&nic->caps, i);
	}
	return nic->how == VMDQ_SOFTWARE ? vmdq_software_start(nic) : 0;
}

static int nic_start(struct vmdq_nic *nic, const struct vmdq_nic_conf *c,
		     const struct rte_eth_dev_info *info)
{
	int ret = pools_create(nic, c);

	if (ret < 0)
		return fail(nic, "making the pools", ret);
	ret = nic_configure(nic, c, info);
	if (ret < 0)
		return ret;
	ret = rte_eth_dev_start(nic->ethdev);
	if (ret < 0)
		return fail(nic, "starting the device", ret);
	nic->started = true;
	ret = filters_set(nic);
	if (nic->how == VMDQ_HARDWARE)
		queues_drain(nic);
	return ret;
}

int vmdq_nic_create(const struct vmdq_nic_conf *conf, struct vmdq_nic **out)
{
	struct vmdq_nic *nic = rte_zmalloc("vmdq_nic", sizeof(*nic), 64);
	struct rte_eth_dev_info info;
	int ret;

	*out = NULL;
	if (!nic)
		return err_ret(-ENOMEM, "pools of ethdev %u: no memory; give the switch more",
			       conf->ethdev);
	nic->ethdev = conf->ethdev;
	ret = rte_eth_dev_info_get(conf->ethdev, &info);
	snprintf(nic->name, sizeof(nic->name), "%s",
		 ret || !info.device ? "ethdev" : rte_dev_name(info.device));
	if (ret < 0) {
		ret = fail(nic, "asking the driver", ret);
	} else {
		caps_ask(nic, &info);
		ret = vmdq_choose(nic->name, &nic->caps, conf, nic->why);
		nic->how = ret == VMDQ_SOFTWARE ? VMDQ_SOFTWARE : VMDQ_HARDWARE;
		if (ret >= 0)
			ret = nic_start(nic, conf, &info);
	}
	if (ret < 0) {
		vmdq_nic_destroy(nic);
		return ret;
	}
	*out = nic;
	return 0;
}

void vmdq_nic_destroy(struct vmdq_nic *nic)
{
	if (!nic)
		return;
	if (nic->started) {
		filters_clear(nic);
		rte_eth_dev_stop(nic->ethdev);
	}
	vmdq_software_stop(nic);
	quirk_82576_close(nic);
	rte_free(nic->pool);
	rte_free(nic);
}

/* --- what can be asked --- */

enum vmdq_how vmdq_nic_how(const struct vmdq_nic *nic)
{
	return nic->how;
}

const char *vmdq_nic_why(const struct vmdq_nic *nic)
{
	return nic->why;
}

bool vmdq_shares_worker(const struct vmdq_nic *nic)
{
	return nic->how == VMDQ_SOFTWARE;
}

struct vmdq_pool *vmdq_pool(struct vmdq_nic *nic, unsigned int i)
{
	return i < nic->n_pools ? &nic->pool[i] : NULL;
}

const struct vmdq_key *vmdq_pool_key(const struct vmdq_pool *pool)
{
	return &pool->key;
}

const struct vmdq_nic *vmdq_pool_nic(const struct vmdq_pool *pool)
{
	return pool->nic;
}

static uint64_t read_relaxed(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

/*
 * The register wraps at 32 bits, on a line full of the shortest frames in 48 minutes: summed up
 * here, for whoever asks more often than that.
 */
static void nic_counter(const struct vmdq_pool *pool, struct vmdq_pool_stats *s)
{
	struct vmdq_pool *p = &pool->nic->pool[pool->index];
	uint32_t now;

	if (!pool->nic->regs || pool->nic->how != VMDQ_HARDWARE)
		return;
	now = quirk_82576_rx_frames(pool->nic, pool->index);
	p->nic_rx_frames += now - p->nic_last;
	p->nic_last = now;
	s->nic_rx_frames = p->nic_rx_frames;
	s->has_nic_counter = true;
}

/* Drivers that count queues do it in the basic statistics, for the first 16 of them. */
static void driver_counter(const struct vmdq_pool *pool, struct vmdq_pool_stats *s)
{
	struct rte_eth_stats e = { 0 };
	uint64_t all = 0;

	if (pool->nic->how != VMDQ_HARDWARE || pool->nic->regs ||
	    pool->queue >= RTE_ETHDEV_QUEUE_STAT_CNTRS || rte_eth_stats_get(pool->nic->ethdev, &e))
		return;
	for (int i = 0; i < RTE_ETHDEV_QUEUE_STAT_CNTRS; i++)
		all += e.q_ipackets[i];
	s->has_nic_counter = all || !e.ipackets;
	s->nic_rx_frames = e.q_ipackets[pool->queue];
}

void vmdq_pool_stats(const struct vmdq_pool *pool, struct vmdq_pool_stats *s)
{
	*s = (struct vmdq_pool_stats){
		.rx_frames = read_relaxed(&pool->rx_frames),
		.tx_frames = read_relaxed(&pool->tx_frames),
		.rx_full = read_relaxed(&pool->rx_full),
	};
	nic_counter(pool, s);
	driver_counter(pool, s);
}

uint64_t vmdq_nic_no_pool(const struct vmdq_nic *nic)
{
	return read_relaxed(&nic->no_pool);
}

/* --- bursts --- */

/*
 * Whether a frame of the pool's queue is really the pool's: the NIC has sorted it, but what a
 * driver sets up wrongly must not carry frames from one VLAN into another. Takes the tag off.
 */
static bool frame_is_pools(const struct vmdq_pool *pool, struct rte_mbuf *m)
{
	return vmdq_frame_untag(m) == pool->key.vlan;
}

static uint16_t hardware_rx(struct vmdq_pool *pool, struct rte_mbuf **m, uint16_t n)
{
	uint16_t got = rte_eth_rx_burst(pool->nic->ethdev, pool->queue, m, n), kept = 0;

	for (uint16_t i = 0; i < got; i++) {
		if (frame_is_pools(pool, m[i]))
			m[kept++] = m[i];
		else
			rte_pktmbuf_free(m[i]);
	}
	if (kept < got)
		atomic_fetch_add_explicit(&pool->nic->no_pool, (uint64_t)(got - kept),
					  memory_order_relaxed); /* of several workers; rare */
	return kept;
}

uint16_t vmdq_rx(struct vmdq_pool *pool, struct rte_mbuf **m, uint16_t n)
{
	uint16_t got = pool->ring ? vmdq_software_rx(pool, m, n) : hardware_rx(pool, m, n);

	if (got)
		vmdq_count(&pool->rx_frames, got);
	return got;
}

/* Tags up to n frames; gives how many it could. */
static uint16_t frames_tag(const struct vmdq_pool *pool, struct rte_mbuf **m, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++) {
		m[i]->vlan_tci = pool->key.vlan;
		if (pool->nic->inserts)
			m[i]->ol_flags |= RTE_MBUF_F_TX_VLAN;
		else if (rte_vlan_insert(&m[i]))
			break;
	}
	return i;
}

uint16_t vmdq_tx(struct vmdq_pool *pool, struct rte_mbuf **m, uint16_t n)
{
	uint16_t ready = pool->key.vlan ? frames_tag(pool, m, n) : n, sent;

	if (pool->ring)
		rte_spinlock_lock(&pool->nic->tx_lock);
	sent = rte_eth_tx_burst(pool->nic->ethdev, pool->queue, m, ready);
	if (pool->ring)
		rte_spinlock_unlock(&pool->nic->tx_lock);
	/* what was not sent is the caller's again, as it was */
	if (pool->key.vlan && !pool->nic->inserts)
		for (uint16_t i = sent; i < ready; i++)
			rte_vlan_strip(m[i]);
	if (sent)
		vmdq_count(&pool->tx_frames, sent);
	return sent;
}
