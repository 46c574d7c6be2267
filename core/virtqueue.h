/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtqueue as the device sees it, split or packed: takes chains of descriptors that the driver
 * made available, checks them, and gives them back used, in any order. Knows nothing of networks or
 * of PCI: any virtio device model can use it, and need not know which of the two kinds it has.
 * Virtual I/O Device (VIRTIO) 1.2, sections 2.7 and 2.8. Left out: IN_ORDER, RING_RESET.
 *
 * A queue has no lock: its device's lock covers it.
 */
#ifndef CORE_VIRTQUEUE_H
#define CORE_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/mem.h"
#include "core/proto/virtio_net_abi.h"

/* What a packed ring needs besides (virtqueue_packed.c). */
#define VQ_PACKED_MAX 1024 /* entries of a packed ring, at most */
struct vq_packed {
	struct pvirtq_desc *ring;
	const struct pvirtq_event *driver_event;
	struct pvirtq_event *device_event;
	uint16_t scan_pos, used_pos; /* the next descriptor to look at, the next to write */
	bool scan_wrap, used_wrap;   /* wrap counters, 2.8.1 */
	uint16_t n_held;             /* descriptors looked at and not given back */
	uint16_t n_moved;            /* that used_pos moved since the last interrupt decision */
	uint16_t hidden_pos, hidden; /* the first unpublished entry, and the flags it will get */
	struct vq_packed_chain {
		uint16_t first, id;
	} chain[VQ_PACKED_MAX];          /* by the chain's number */
	uint16_t n_of_id[VQ_PACKED_MAX]; /* descriptors of a buffer that is with us; 0: it is not */
};

struct virtqueue {
	/* What the driver configures through the transport, before the queue starts. */
	uint16_t max_size; /* of the device; constant */
	uint16_t size;
	gpa_t desc_gpa, avail_gpa, used_gpa;

	/* While started: the rings as host addresses. Memory regions never change, so they are
	 * looked up once. */
	bool started;
	bool event_idx, indirect, packed; /* negotiated */
	/*
	 * The device never writes to this queue's chains: WRITE in a packed ring's tables is not
	 * looked at. DPDK (22.11) has it on the header of what it sends. Set after vq_init().
	 */
	bool tables_are_read;
	const struct guest_mem *mem;
	const struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;

	/* Chains, numbered as they became available, modulo 65536. */
	uint16_t avail_idx;     /* seen (split: the driver's index when we last read it) */
	uint16_t next_avail;    /* the next one to take */
	uint16_t used_idx;      /* published */
	uint16_t n_unpublished; /* used entries written behind used_idx */
	uint16_t signalled;     /* used_idx at the last interrupt decision */
	bool want_notify;       /* the driver was asked to notify (the flag is clear) */
	const char *why;        /* why a call gave -EPROTO; static text */

	struct vq_packed p;
};

/* One chain: its readable elements come first in the iov array, then the writable ones. */
struct vq_chain {
	uint16_t head;            /* for vq_put_used(): first descriptor, or the buffer's id */
	unsigned int n_out, n_in; /* elements that the device reads, and writes */
	uint64_t out_len, in_len; /* their bytes */
};

/* vq_init - everything zero, `max_size` a power of two up to VIRTQ_MAX_SIZE, VQ_PACKED_MAX for a
 * device that offers packed rings. Also forgets all that a driver set up. */
void vq_init(struct virtqueue *vq, uint16_t max_size);

/*
 * vq_start - checks size, alignment and place of the three parts (2.7, 2.8.10.1) and translates
 * them. `features` are the negotiated ones and decide the kind. -EINVAL, and the queue stays off,
 * when the size is 0, above max_size or (split) no power of two, an address is 0 or misaligned, or
 * a part is not wholly in one region of guest memory.
 */
int vq_start(struct virtqueue *vq, const struct guest_mem *mem, uint64_t features);
void vq_stop(struct virtqueue *vq);

/* vq_cached - how many chains may be taken without looking at the driver's index again. */
static inline unsigned int vq_cached(const struct virtqueue *vq)
{
	return (uint16_t)(vq->avail_idx - vq->next_avail);
}

/*
 * vq_avail - looks for new chains and gives the number of chains that may be taken. -EPROTO: a
 * broken driver (why is set). Split: its index says that more than `size` chains are with the
 * device. Packed: more descriptors are available than the ring has, a chain goes on where none is
 * available, a buffer's id is beyond the queue's size or in use already.
 */
int vq_avail(struct virtqueue *vq);

/*
 * vq_walk - the only function that follows descriptors. It looks at the chain `pos` places behind
 * the next one to take (pos < vq_cached()) and takes nothing. Every descriptor is copied once and
 * only the copy is looked at, so what was checked is what is used. It follows at most `size`
 * descriptors, therefore a loop ends as a chain that is too long.
 *
 * Gives 0 with *chain and iov[0 .. n_out + n_in) filled: host addresses in guest memory. Elements
 * of no bytes are skipped, their addresses not looked at, so both counts may be 0. -E2BIG: the
 * chain is right so far but has more than max_iov elements; only chain->head is valid. -EPROTO: the
 * driver broke the rules, the queue cannot go on (why is set): head or next beyond its table, more
 * than `size` descriptors, a readable one after a writable one, memory that is no guest RAM or not
 * in one region; an indirect table that was not negotiated, stands inside another, has NEXT set, is
 * empty, is no multiple of 16 bytes, or is itself not in RAM.
 */
int vq_walk(struct virtqueue *vq, unsigned int pos, struct iovec *iov, unsigned int max_iov,
	    struct vq_chain *chain);

/* vq_take - the next n chains are the device's now; n <= vq_cached(). */
static inline void vq_take(struct virtqueue *vq, unsigned int n)
{
	vq->next_avail = (uint16_t)(vq->next_avail + n);
}

/* vq_in_flight - chains taken and not yet written to the used ring. */
static inline unsigned int vq_in_flight(const struct virtqueue *vq)
{
	return (uint16_t)(vq->next_avail - vq->used_idx - vq->n_unpublished);
}

/* vq_put_used - writes the next used entry; the driver sees it after vq_publish(). `head` is that
 * of a chain that was walked, once for each, and every chain before it was walked too; `len`: bytes
 * written to the chain. */
void vq_put_used(struct virtqueue *vq, uint16_t head, uint32_t len);

/* vq_publish - shows all new entries to the driver by one store. True when it wants an interrupt
 * for them. */
bool vq_publish(struct virtqueue *vq);

/*
 * vq_notify_off - the driver need not notify (a hint: it may still do so). vq_notify_on - it must,
 * from the next chain on; look for chains once more after this, for one that came before the driver
 * saw it.
 */
void vq_notify_off(struct virtqueue *vq);
void vq_notify_on(struct virtqueue *vq);

/*
 * vq_pull - copies `len` bytes out of the front of a list and moves its start on: *iov and *n then
 * describe the rest, the elements themselves are changed. False when the list is shorter (it is
 * then used up).
 */
bool vq_pull(struct iovec **iov, unsigned int *n, void *dst, size_t len);

#endif
