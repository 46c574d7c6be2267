/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stand-in for NICs without VMDq: frames of one receive queue are sorted by software, one hash
 * look-up on (VLAN, address) a frame, into a small ring per pool. Group frames go to every pool of
 * their VLAN, as a NIC replicates them. Used by vmdq_nic.c. All pools of a NIC are polled by one
 * worker, so nothing here is locked.
 */
#include <errno.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "vmdq/vmdq_priv.h"

#define SORT_BURST 32

/* What a frame is looked up by; 8 bytes, nothing between. */
struct sort_key {
	uint16_t vlan;
	uint8_t mac[6];
};
_Static_assert(sizeof(struct sort_key) == 8, "hash key without holes");

static int hash_create(struct vmdq_nic *nic)
{
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters p = {
		.name = name,
		.entries = 2 * VMDQ_STANDIN_MAX,
		.key_len = sizeof(struct sort_key),
		.hash_func = rte_hash_crc,
		.socket_id = SOCKET_ID_ANY,
	};

	snprintf(name, sizeof(name), "vmdq_%u", nic->ethdev);
	nic->hash = rte_hash_create(&p);
	return nic->hash ? 0 : -ENOMEM;
}

static int pool_start(struct vmdq_nic *nic, struct vmdq_pool *pool)
{
	const struct vmdq_key *k = &pool->key;
	struct sort_key key = { .vlan = k->vlan };

	pool->ring = rte_zmalloc("vmdq_ring", sizeof(*pool->ring), 64);
	if (!pool->ring)
		return -ENOMEM;
	nic->vlan_pools[k->vlan] |= UINT64_C(1) << pool->index;
	if (!k->has_mac) {
		nic->vlan_pool[k->vlan] = (uint8_t)(pool->index + 1);
		return 0;
	}
	memcpy(key.mac, k->mac, 6);
	return rte_hash_add_key_data(nic->hash, &key, (void *)(uintptr_t)pool->index) ? -ENOMEM : 0;
}

int vmdq_software_start(struct vmdq_nic *nic)
{
	int ret;

	nic->vlan_pool = rte_zmalloc("vmdq_vlan", VMDQ_N_VIDS, 64);
	nic->vlan_pools = rte_zmalloc("vmdq_vlans", VMDQ_N_VIDS * sizeof(uint64_t), 64);
	ret = nic->vlan_pool && nic->vlan_pools ? hash_create(nic) : -ENOMEM;
	for (unsigned int i = 0; !ret && i < nic->n_pools; i++)
		ret = pool_start(nic, &nic->pool[i]);
	return ret;
}

static void ring_free(struct vmdq_ring *r)
{
	for (; r && r->head != r->tail; r->head++)
		rte_pktmbuf_free(r->m[r->head % VMDQ_RING]);
	rte_free(r);
}

void vmdq_software_stop(struct vmdq_nic *nic)
{
	for (unsigned int i = 0; nic->pool && i < nic->n_pools; i++) {
		ring_free(nic->pool[i].ring);
		nic->pool[i].ring = NULL;
	}
	rte_hash_free(nic->hash);
	rte_free(nic->vlan_pool);
	rte_free(nic->vlan_pools);
	nic->hash = NULL;
	nic->vlan_pool = NULL;
	nic->vlan_pools = NULL;
}

static void ring_put(struct vmdq_pool *pool, struct rte_mbuf *m)
{
	struct vmdq_ring *r = pool->ring;

	if (r->tail - r->head == VMDQ_RING) {
		vmdq_count(&pool->rx_full, 1);
		rte_pktmbuf_free(m);
		return;
	}
	r->m[r->tail++ % VMDQ_RING] = m;
}

/* Pools for a frame, a bit each. */
static uint64_t frame_pools(const struct vmdq_nic *nic, struct rte_mbuf *m)
{
	struct sort_key key = { .vlan = vmdq_frame_untag(m) };
	const uint8_t *dst = rte_pktmbuf_mtod(m, const uint8_t *);
	void *index;

	if (dst[0] & 1)
		return nic->vlan_pools[key.vlan];
	memcpy(key.mac, dst, 6);
	if (rte_hash_lookup_data(nic->hash, &key, &index) >= 0)
		return UINT64_C(1) << (uintptr_t)index;
	if (nic->vlan_pool[key.vlan])
		return UINT64_C(1) << (nic->vlan_pool[key.vlan] - 1);
	return 0;
}

static void frame_sort(struct vmdq_nic *nic, struct rte_mbuf *m)
{
	uint64_t pools = m->data_len < RTE_ETHER_HDR_LEN ? 0 : frame_pools(nic, m);

	if (!pools) {
		vmdq_count(&nic->no_pool, 1);
		rte_pktmbuf_free(m);
		return;
	}
	/* one frame in several rings: nobody writes to it, the last one frees it */
	for (; pools; pools &= pools - 1) {
		if (pools & (pools - 1))
			rte_mbuf_refcnt_update(m, 1);
		ring_put(&nic->pool[__builtin_ctzll(pools)], m);
	}
}

static void nic_sort(struct vmdq_nic *nic)
{
	struct rte_mbuf *m[SORT_BURST];
	uint16_t n = rte_eth_rx_burst(nic->ethdev, 0, m, SORT_BURST);

	for (uint16_t i = 0; i < n; i++)
		frame_sort(nic, m[i]);
}

uint16_t vmdq_software_rx(struct vmdq_pool *pool, struct rte_mbuf **m, uint16_t n)
{
	struct vmdq_ring *r = pool->ring;
	uint16_t got = 0;

	if (r->head == r->tail)
		nic_sort(pool->nic);
	while (got < n && r->head != r->tail)
		m[got++] = r->m[r->head++ % VMDQ_RING];
	return got;
}
