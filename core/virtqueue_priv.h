/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two kinds of virtqueue share, and the packed one's side of each call: for virtqueue.c
 * and virtqueue_packed.c only. The contracts are those of virtqueue.h.
 */
#ifndef CORE_VIRTQUEUE_PRIV_H
#define CORE_VIRTQUEUE_PRIV_H

#include "core/virtqueue.h"

/* Sixteen bytes of a descriptor at any address, each half loaded once. */
struct vq_raw {
	uint64_t low, high;
};
struct vq_raw vq_load(const void *table, unsigned int idx);

/* vq_broken - notes why, gives -EPROTO. */
int vq_broken(struct virtqueue *vq, const char *why);
/* vq_part - one of the three parts, NULL when it is misaligned or not in memory. */
void *vq_part(const struct guest_mem *mem, gpa_t gpa, size_t align, size_t size);
/* vq_add - one more element; `flags` as they are looked at. 0, -E2BIG, -EPROTO. */
int vq_add(struct virtqueue *vq, uint64_t addr, uint32_t len, uint16_t flags, struct iovec *iov,
	   unsigned int max_iov, struct vq_chain *chain);
/*
 * vq_table - the table that an indirect descriptor names; NULL with why set unless it keeps the
 * rules. nested: the descriptor stands where no indirect one may.
 */
const void *vq_table(struct virtqueue *vq, uint64_t addr, uint32_t len, uint16_t flags,
		     bool nested);

/* virtqueue_packed.c */
int vqp_start(struct virtqueue *vq, const struct guest_mem *mem);
int vqp_avail(struct virtqueue *vq);
int vqp_walk(struct virtqueue *vq, unsigned int pos, struct iovec *iov, unsigned int max_iov,
	     struct vq_chain *chain);
void vqp_put_used(struct virtqueue *vq, uint16_t id, uint32_t len);
bool vqp_publish(struct virtqueue *vq);
void vqp_notify_off(struct virtqueue *vq);
void vqp_notify_on(struct virtqueue *vq);

#endif
