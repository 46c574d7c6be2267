/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The split virtqueue (see virtqueue.h). Called by the virtio-net data path and by the PCI
 * transport; calls guest memory only. VIRTIO 1.2, section 2.7. Everything that stands in guest
 * memory may change while we look at it: each value is loaded once, by a volatile or atomic access,
 * into a local.
 */
#include "core/virtqueue.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* An indirect table may stand at any address: half a descriptor, loaded once. */
struct vq_half {
	uint64_t v;
} __attribute__((packed, may_alias));

static struct virtq_desc vq_load_desc(const struct virtq_desc *table, unsigned int idx)
{
	const char *p = (const char *)table + sizeof(struct virtq_desc) * idx;
	uint64_t addr = ((const volatile struct vq_half *)p)->v;
	uint64_t rest = ((const volatile struct vq_half *)(p + 8))->v;

	return (struct virtq_desc){
		.addr = addr,
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

static int vq_broken(struct virtqueue *vq, const char *why)
{
	vq->why = why;
	return -EPROTO;
}

void vq_init(struct virtqueue *vq, uint16_t max_size)
{
	*vq = (struct virtqueue){ .max_size = max_size, .size = max_size };
}

static void *vq_ring(const struct guest_mem *mem, gpa_t gpa, size_t align, size_t size)
{
	return gpa && gpa % align == 0 ? mem_ptr(mem, gpa, size) : NULL;
}

int vq_start(struct virtqueue *vq, const struct guest_mem *mem, uint64_t features)
{
	unsigned int size = vq->size;

	if (!size || size > vq->max_size || (size & (size - 1)))
		return -EINVAL;
	vq->desc = vq_ring(mem, vq->desc_gpa, VIRTQ_DESC_ALIGN, VIRTQ_DESC_SIZE(size));
	vq->avail = vq_ring(mem, vq->avail_gpa, VIRTQ_AVAIL_ALIGN, VIRTQ_AVAIL_SIZE(size));
	vq->used = vq_ring(mem, vq->used_gpa, VIRTQ_USED_ALIGN, VIRTQ_USED_SIZE(size));
	if (!vq->desc || !vq->avail || !vq->used)
		return -EINVAL;
	vq->mem = mem;
	vq->event_idx = features & VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX);
	vq->indirect = features & VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC);
	vq->avail_idx = vq->next_avail = vq->used_idx = vq->n_unpublished = vq->signalled = 0;
	vq->want_notify = true; /* the driver left flags and avail_event at 0 */
	vq->why = NULL;
	vq->started = true;
	return 0;
}

void vq_stop(struct virtqueue *vq)
{
	vq->started = false;
	vq->avail_idx = vq->next_avail;
}

int vq_avail(struct virtqueue *vq)
{
	/*
	 * acquire: the ring's entries and the descriptors are read after the index that covers them
	 */
	uint16_t idx = __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE);

	if ((uint16_t)(idx - vq->used_idx) > vq->size ||
	    (uint16_t)(idx - vq->next_avail) > vq->size)
		return vq_broken(vq, "the available index is more than the queue's size ahead");
	vq->avail_idx = idx;
	return (int)vq_cached(vq);
}

/* Adds what one descriptor describes; 1 when there is no room for it. */
static int vq_add(struct virtqueue *vq, const struct virtq_desc *d, struct iovec *iov,
		  unsigned int max_iov, struct vq_chain *chain)
{
	bool in = d->flags & VIRTQ_DESC_F_WRITE;
	unsigned int n = chain->n_out + chain->n_in;
	void *hva;

	if (!in && chain->n_in)
		return vq_broken(vq, "a readable descriptor follows a writable one");
	if (!d->len)
		return 0;
	hva = mem_ptr(vq->mem, d->addr, d->len);
	if (!hva)
		return vq_broken(vq, "a descriptor points outside of guest memory");
	if (n == max_iov)
		return -E2BIG;
	iov[n] = (struct iovec){ .iov_base = hva, .iov_len = d->len };
	if (in) {
		chain->n_in++;
		chain->in_len += d->len;
	} else {
		chain->n_out++;
		chain->out_len += d->len;
	}
	return 0;
}

/* The table that an indirect descriptor names; NULL, with why set, unless it keeps all rules
 * of 2.7.5.3. */
static const struct virtq_desc *vq_indirect(struct virtqueue *vq, const struct virtq_desc *d,
					    bool nested)
{
	const struct virtq_desc *table = NULL;

	if (!vq->indirect)
		vq->why = "an indirect table was not negotiated";
	else if (nested)
		vq->why = "an indirect table stands inside another";
	else if (d->flags & VIRTQ_DESC_F_NEXT)
		vq->why = "an indirect descriptor has a next one";
	else if (!d->len || d->len % sizeof(struct virtq_desc) ||
		 d->len > VIRTQ_DESC_SIZE(VIRTQ_MAX_SIZE))
		vq->why = "the length of an indirect table is wrong";
	else if (!(table = mem_ptr(vq->mem, d->addr, d->len)))
		vq->why = "an indirect table is outside of guest memory";
	return table;
}

int vq_walk(struct virtqueue *vq, unsigned int pos, struct iovec *iov, unsigned int max_iov,
	    struct vq_chain *chain)
{
	uint16_t slot = (uint16_t)(vq->next_avail + pos) & (uint16_t)(vq->size - 1);
	uint16_t head = __atomic_load_n(&vq->avail->ring[slot], __ATOMIC_RELAXED);
	const struct virtq_desc *table = vq->desc;
	unsigned int n = vq->size, idx = head, seen = 0;
	bool in_table = false; /* the rings' own table may be named as an indirect one: comparing
				  addresses would not do */

	*chain = (struct vq_chain){ .head = head };
	for (;;) {
		struct virtq_desc d;
		int ret;

		if (idx >= n)
			return vq_broken(vq, "a descriptor index is beyond its table");
		d = vq_load_desc(table, idx);
		if (d.flags & VIRTQ_DESC_F_INDIRECT) {
			table = vq_indirect(vq, &d, in_table);
			if (!table)
				return -EPROTO;
			in_table = true;
			n = d.len / sizeof(struct virtq_desc);
			idx = 0;
			continue;
		}
		if (seen++ == vq->size)
			return vq_broken(vq, "a chain is longer than the queue (or a loop)");
		ret = vq_add(vq, &d, iov, max_iov, chain);
		if (ret < 0)
			return ret;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return 0;
		idx = d.next;
	}
}

void vq_put_used(struct virtqueue *vq, uint16_t head, uint32_t len)
{
	uint16_t slot = (uint16_t)(vq->used_idx + vq->n_unpublished++) & (uint16_t)(vq->size - 1);
	struct virtq_used_elem *e = &vq->used->ring[slot];

	e->id = head;
	e->len = len;
}

/* Where the driver says at which used index it wants an interrupt; and we at which available index
 * a notification. */
static uint16_t *vq_used_event(const struct virtqueue *vq)
{
	return &vq->avail->ring[vq->size];
}

static uint16_t *vq_avail_event(const struct virtqueue *vq)
{
	return (uint16_t *)&vq->used->ring[vq->size];
}

bool vq_publish(struct virtqueue *vq)
{
	uint16_t old = vq->signalled, now = (uint16_t)(vq->used_idx + vq->n_unpublished);

	if (!vq->n_unpublished)
		return false;
	vq->used_idx = vq->signalled = now;
	vq->n_unpublished = 0;
	/* release: the entries before the index that covers them */
	__atomic_store_n(&vq->used->idx, now, __ATOMIC_RELEASE);
	/* full: the index is out before we read whether the driver waits for it; the driver does
	 * the same the other way round */
	atomic_thread_fence(memory_order_seq_cst);
	if (vq->event_idx)
		return virtq_need_event(__atomic_load_n(vq_used_event(vq), __ATOMIC_RELAXED), now,
					old);
	return !(__atomic_load_n(&vq->avail->flags, __ATOMIC_RELAXED) & VIRTQ_AVAIL_F_NO_INTERRUPT);
}

void vq_notify_off(struct virtqueue *vq)
{
	/* With EVENT_IDX an index that lies behind is not passed again for 65536 chains: nothing to
	 * store. */
	if (vq->want_notify && !vq->event_idx)
		__atomic_store_n(&vq->used->flags, VIRTQ_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
	vq->want_notify = false;
}

void vq_notify_on(struct virtqueue *vq)
{
	/* the last index we read, not next_avail: chains that stand there unused are no news */
	if (vq->event_idx)
		__atomic_store_n(vq_avail_event(vq), vq->avail_idx, __ATOMIC_RELAXED);
	else if (!vq->want_notify)
		__atomic_store_n(&vq->used->flags, 0, __ATOMIC_RELAXED);
	vq->want_notify = true;
	/* full: the wish is out before the caller looks at the available index once more */
	atomic_thread_fence(memory_order_seq_cst);
}

bool vq_pull(struct iovec **iov, unsigned int *n, void *dst, size_t len)
{
	char *to = dst;

	while (len && *n) {
		struct iovec *v = *iov;
		size_t part = v->iov_len < len ? v->iov_len : len;

		memcpy(to, v->iov_base, part);
		to += part;
		len -= part;
		v->iov_base = (char *)v->iov_base + part;
		v->iov_len -= part;
		if (!v->iov_len) {
			(*iov)++;
			(*n)--;
		}
	}
	return !len;
}
