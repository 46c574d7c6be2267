/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of vmdq/ share: the NIC with its pools, the choice between the NIC's own sorting
 * and the stand-in (vmdq_choose.c, plain C), the stand-in (vmdq_software.c) and the one quirk
 * (quirk_82576.c). Included by these files and their unit test only.
 */
#ifndef VMDQ_VMDQ_PRIV_H
#define VMDQ_VMDQ_PRIV_H

#include <stdatomic.h>
#include <stddef.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include "vmdq/vmdq.h"

struct rte_eth_dev_info;
struct rte_hash;

#define VMDQ_MAX_POOLS   64  /* a pool is a bit of the driver's 64-bit masks */
#define VMDQ_STANDIN_MAX 64  /* pools of the stand-in, for the same reason */
#define VMDQ_RING        512 /* frames that wait in a pool of the stand-in; a power of two */
#define VMDQ_WHY         96
#define VMDQ_N_VIDS      4096

/* What the driver says of itself, and what was found out beyond that. */
struct vmdq_caps {
	unsigned int max_pools; /* 0: no VMDq */
	unsigned int queue_base, n_queues, pool_base;
	bool by_mac;        /* a pool for an address, of one VLAN or of untagged frames */
	bool by_vlan;       /* a pool for every address of a VLAN */
	bool queue_is_pool; /* pool i is queue i, whatever n_queues says */
};

/*
 * vmdq_choose - who sorts frames for these pools. Checks the keys: -EINVAL when two of them want
 * the same frames or one is no key, after a message with `name` of the device. Else VMDQ_HARDWARE,
 * or VMDQ_SOFTWARE with the reason in `why`.
 */
int vmdq_choose(const char *name, const struct vmdq_caps *caps, const struct vmdq_nic_conf *conf,
		char why[VMDQ_WHY]);
/* vmdq_pool_queue - the receive queue of pool i. */
unsigned int vmdq_pool_queue(const struct vmdq_caps *caps, unsigned int i);

/* Frames sorted for one pool of the stand-in; owned by its worker. */
struct vmdq_ring {
	unsigned int head, tail; /* free running; tail - head frames wait */
	struct rte_mbuf *m[VMDQ_RING];
};

struct vmdq_pool {
	struct vmdq_nic *nic;
	struct vmdq_key key;
	unsigned int index;
	uint16_t queue;
	struct vmdq_ring *ring; /* stand-in, else NULL */
	/* written by the worker that owns the pool, read by the control thread; relaxed */
	_Atomic uint64_t rx_frames, tx_frames, rx_full;
	/* control thread: the NIC's 32-bit counter, when last looked at and summed up */
	uint32_t nic_last;
	uint64_t nic_rx_frames;
} __attribute__((aligned(64)));

struct vmdq_nic {
	enum vmdq_how how;
	char why[VMDQ_WHY];
	char name[64]; /* of the device, for messages */
	uint16_t ethdev;
	struct vmdq_caps caps;
	bool inserts; /* the NIC puts VLAN tags on */
	bool started;
	unsigned int n_pools;
	struct vmdq_pool *pool;
	_Atomic uint64_t no_pool; /* written by the worker(s), relaxed */
	rte_spinlock_t tx_lock;   /* stand-in: its pools send by one queue */
	/* stand-in: (VLAN, address) -> pool; pool + 1 that takes a whole VLAN; pools of a VLAN */
	struct rte_hash *hash;
	uint8_t *vlan_pool;
	uint64_t *vlan_pools;
	volatile uint32_t *regs; /* quirk_82576.c; NULL: not mapped */
	size_t regs_size;
	int regs_fd;
};

static inline void vmdq_count(_Atomic uint64_t *c, uint64_t n)
{
	/* one writer: a plain add, but never a torn value for the reader */
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/*
 * vmdq_frame_untag - takes the VLAN tag off if the NIC has not. The VID, 0 for untagged and
 * priority-tagged frames.
 */
static inline uint16_t vmdq_frame_untag(struct rte_mbuf *m)
{
	if (!(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) &&
	    (m->data_len < RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN || rte_vlan_strip(m)))
		return 0;
	return m->vlan_tci & 0xfff;
}

/* --- vmdq_software.c --- */
/* vmdq_software_start - tables and rings of the stand-in. -ENOMEM. */
int vmdq_software_start(struct vmdq_nic *nic);
void vmdq_software_stop(struct vmdq_nic *nic); /* also when half started */
uint16_t vmdq_software_rx(struct vmdq_pool *pool, struct rte_mbuf **m, uint16_t n);

/* --- quirk_82576.c --- */
/* quirk_82576_fits - whether this is an 82576 under DPDK's igb driver. */
bool quirk_82576_fits(const struct rte_eth_dev_info *info);
/* quirk_82576_open - maps the registers through VFIO. -ENODEV without a message: not on VFIO. */
int quirk_82576_open(struct vmdq_nic *nic);
void quirk_82576_close(struct vmdq_nic *nic); /* also when not open */
/* quirk_82576_apply - after each start of the ethdev, with nic->pool filled in. */
void quirk_82576_apply(struct vmdq_nic *nic);
/* quirk_82576_rx_frames - the pool's counter of good frames received, 32 bits that wrap. */
uint32_t quirk_82576_rx_frames(const struct vmdq_nic *nic, unsigned int pool);

#endif
