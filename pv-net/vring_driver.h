/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's side of a split virtqueue, for a device model that drives one in its guest's place
 * (nic_switch.c). VIRTIO 1.2 section 2.7, with EVENT_IDX; no indirect descriptors.
 *
 * The other side maps the whole ring and is not trusted: nothing that it could have written is read
 * back but the used ring and the two words about notifications, each once and checked. Descriptors
 * are given out in a circle and come back in the order in which they were given, chain by chain.
 * One thread at a time.
 */
#ifndef PV_NET_VRING_DRIVER_H
#define PV_NET_VRING_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/mem.h"
#include "core/proto/virtio_net_abi.h"

#define VRING_SIZE 512u /* descriptors; a power of two */

struct vring_chain {
	uint16_t head, n; /* its descriptors; n 0: it never went to the device */
	uint32_t len;     /* bytes the device may write */
	bool done;
};

struct vring {
	struct virtq_desc *desc; /* shared with the device, as are the next two */
	struct virtq_avail *avail;
	struct virtq_used *used;
	gpa_t gpa; /* of desc; the others follow as in memory */
	bool event_idx;
	uint16_t desc_head, desc_tail;   /* free running; the next four too */
	uint16_t chain_head, chain_tail; /* chains under way */
	uint16_t avail_idx, kicked_idx, used_idx;
	struct vring_chain chain[VRING_SIZE];
	uint16_t owner[VRING_SIZE]; /* of a chain's first descriptor: the chain */
};

struct vring_seg {
	gpa_t gpa;
	uint32_t len;
};

/* Where the parts of a ring lie, from its start on. */
#define VRING_AVAIL_OFFSET VRING_ALIGN(VIRTQ_DESC_SIZE(VRING_SIZE))
#define VRING_USED_OFFSET  (VRING_AVAIL_OFFSET + VRING_ALIGN(VIRTQ_AVAIL_SIZE(VRING_SIZE)))
#define VRING_BYTES        (VRING_USED_OFFSET + VRING_ALIGN(VIRTQ_USED_SIZE(VRING_SIZE)))
#define VRING_ALIGN(n)     (((n) + 63u) & ~63u)

/* vring_init - an empty ring in VRING_BYTES of shared memory. The device does not look at it. */
void vring_init(struct vring *r, void *mem, gpa_t gpa, bool event_idx);

/* vring_room - descriptors that are free. */
static inline unsigned int vring_room(const struct vring *r)
{
	return VRING_SIZE - (uint16_t)(r->desc_tail - r->desc_head);
}

/* vring_n_chains - given and not back yet; never more than VRING_SIZE. */
static inline unsigned int vring_n_chains(const struct vring *r)
{
	return (uint16_t)(r->chain_tail - r->chain_head);
}

static inline struct vring_chain *vring_chain_at(struct vring *r, unsigned int k)
{
	return &r->chain[(r->chain_head + k) % VRING_SIZE];
}

/* vring_next_slot - the place (0..VRING_SIZE) that belongs to the next chain while it lasts. */
static inline unsigned int vring_next_slot(const struct vring *r)
{
	return r->chain_tail % VRING_SIZE;
}

/*
 * vring_add - one chain of n segments (1..vring_room()), all written or all read by the device;
 * seen by it after vring_publish(). vring_add_none - a chain that is done already and keeps its
 * place in the order. Both want vring_n_chains() < VRING_SIZE.
 */
void vring_add(struct vring *r, const struct vring_seg *seg, unsigned int n, bool write);
void vring_add_none(struct vring *r);
/* vring_publish - shows what was added. True when the device wants to be told. */
bool vring_publish(struct vring *r);

/* vring_used - how many used elements wait; -EPROTO when there are more than chains under way. */
int vring_used(const struct vring *r);
/*
 * vring_used_in_order - the length of waiting element k, which has to be of the kth chain. -EPROTO
 * when it is not, or longer than that chain.
 */
int64_t vring_used_in_order(struct vring *r, unsigned int k);
/* vring_pop - the first n elements are done with, and so are their chains. */
void vring_pop(struct vring *r, unsigned int n);

/*
 * vring_complete - takes all used elements in any order, their lengths unread. Gives how many
 * chains are back, counted from the oldest on; -EPROTO for an element of no chain under way.
 */
int vring_complete(struct vring *r);
/* vring_has_hole - is a chain done that was given after one which is not? */
bool vring_has_hole(struct vring *r);

/*
 * vring_want_call - whether the device is to signal the next used element. After asking for it look
 * once more: what came before is not signalled.
 */
void vring_want_call(struct vring *r, bool on);

#endif
