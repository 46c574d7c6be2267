/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pools of one NIC: received frames are sorted by (VLAN, MAC) into a queue per guest by the NIC
 * itself (VMDq, through DPDK's ethdev), or by the stand-in with the same interface for NICs that
 * cannot: one hash look-up a frame. For the switch's `vmdq` ports. What a NIC can is asked of its
 * driver; what the 82576 needs beyond the ethdev API is in quirk_82576.c.
 *
 * Control calls: control thread. vmdq_rx: the worker that owns the pool; for the stand-in all pools
 * of one NIC are polled by one worker (vmdq_shares_worker()). vmdq_tx: any thread, one at a time
 * for a pool.
 */
#ifndef VMDQ_VMDQ_H
#define VMDQ_VMDQ_H

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;
struct vmdq_nic;
struct vmdq_pool;

enum vmdq_how { VMDQ_HARDWARE, VMDQ_SOFTWARE };

struct vmdq_key {
	uint16_t vlan;  /* 0: untagged frames */
	bool has_mac;   /* false: every address of that VLAN */
	uint8_t mac[6];
};

struct vmdq_nic_conf {
	uint16_t ethdev;
	struct rte_mempool *mp;   /* of its receive queues, stays the caller's */
	unsigned int n_pools;     /* wanted; at most what the NIC has (hardware) */
	uint16_t ring_size;
	bool software;            /* the stand-in even if the NIC could */
	const struct vmdq_key *key; /* of the n_pools pools */
};

/*
 * vmdq_nic_create - configures and starts the ethdev with its pools. Hardware VMDq steers by VLAN
 * or by MAC, not always by both at once: the stand-in is used when the keys ask for what the NIC
 * cannot, and vmdq_nic_how() and vmdq_nic_why() say so. Negative errno after a message.
 */
int vmdq_nic_create(const struct vmdq_nic_conf *conf, struct vmdq_nic **out);
void vmdq_nic_destroy(struct vmdq_nic *nic); /* accepts NULL; stops the ethdev, does not close it */
enum vmdq_how vmdq_nic_how(const struct vmdq_nic *nic);
const char *vmdq_nic_why(const struct vmdq_nic *nic); /* why software; "" for hardware */
bool vmdq_shares_worker(const struct vmdq_nic *nic);

struct vmdq_pool *vmdq_pool(struct vmdq_nic *nic, unsigned int i);
const struct vmdq_key *vmdq_pool_key(const struct vmdq_pool *pool);
const struct vmdq_nic *vmdq_pool_nic(const struct vmdq_pool *pool);

/* Bursts as with ethdev. Frames come without a VLAN tag; tx inserts the pool's. */
uint16_t vmdq_rx(struct vmdq_pool *pool, struct rte_mbuf **m, uint16_t n);
uint16_t vmdq_tx(struct vmdq_pool *pool, struct rte_mbuf **m, uint16_t n);

struct vmdq_pool_stats {
	uint64_t rx_frames, tx_frames;
	uint64_t nic_rx_frames;   /* the NIC's own counter of the queue, where it has one */
	bool has_nic_counter;
	uint64_t rx_full;         /* stand-in: dropped because the pool's ring was full */
};
void vmdq_pool_stats(const struct vmdq_pool *pool, struct vmdq_pool_stats *s);
/* Frames that were for no pool; stand-in only (a NIC drops them unseen). */
uint64_t vmdq_nic_no_pool(const struct vmdq_nic *nic);

#endif
