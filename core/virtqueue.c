/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The split virtqueue (see virtqueue.h), what both kinds share, and the way to the packed one.
 * Called by device models and by the PCI transport; calls guest memory and virtqueue_packed.c.
 * VIRTIO 1.2, section 2.7. Everything that stands in guest memory may change while we look at it:
 * each value is loaded once, by a volatile or atomic access, into a local.
 */
#include "core/virtqueue.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "core/virtqueue_priv.h"

/* --- what both kinds share --- */
/* An indirect table may stand at any address: half a descriptor, loaded once. */
struct vq_half {
	uint64_t v;
} __attribute__((packed, may_alias));

struct vq_raw vq_load(const void *table, unsigned int idx)
{
	const char *p = (const char *)table + sizeof(struct virtq_desc) * idx;

	return (struct vq_raw){ .low = ((const volatile struct vq_half *)p)->v,
				.high = ((const volatile struct vq_half *)(p + 8))->v };
}

int vq_broken(struct virtqueue *vq, const char *why)
{
	vq->why = why;
	return -EPROTO;
}

void *vq_part(const struct guest_mem *mem, gpa_t gpa, size_t align, size_t size)
{
	return gpa && gpa % align == 0 ? mem_ptr(mem, gpa, size) : NULL;
}

int vq_add(struct virtqueue *vq, uint64_t addr, uint32_t len, uint16_t flags, struct iovec *iov,
	   unsigned int max_iov, struct vq_chain *chain)
{
	bool in = flags & VIRTQ_DESC_F_WRITE;
	unsigned int n = chain->n_out + chain->n_in;
	void *hva;

	if (!in && chain->n_in)
		return vq_broken(vq, "a readable descriptor follows a writable one");
	if (!len)
		return 0;
	hva = mem_ptr(vq->mem, addr, len);
	if (!hva)
		return vq_broken(vq, "a descriptor points outside of guest memory");
	if (n == max_iov)
		return -E2BIG;
	iov[n] = (struct iovec){ .iov_base = hva, .iov_len = len };
	if (in) {
		chain->n_in++;
		chain->in_len += len;
	} else {
		chain->n_out++;
		chain->out_len += len;
	}
	return 0;
}

const void *vq_table(struct virtqueue *vq, uint64_t addr, uint32_t len, uint16_t flags, bool nested)
{
	const void *table = NULL;

	if (!vq->indirect)
		vq->why = "an indirect table was not negotiated";
	else if (nested)
		vq->why = "an indirect table stands inside another or in a chain";
	else if (flags & VIRTQ_DESC_F_NEXT)
		vq->why = "an indirect descriptor has a next one";
	else if (!len || len % sizeof(struct virtq_desc) || len > VIRTQ_DESC_SIZE(VIRTQ_MAX_SIZE))
		vq->why = "the length of an indirect table is wrong";
	else if (!(table = mem_ptr(vq->mem, addr, len)))
		vq->why = "an indirect table is outside of guest memory";
	return table;
}

/* --- life --- */
void vq_init(struct virtqueue *vq, uint16_t max_size)
{
	*vq = (struct virtqueue){ .max_size = max_size, .size = max_size };
}

static int vq_start_split(struct virtqueue *vq, const struct guest_mem *mem)
{
	unsigned int size = vq->size;

	if (size & (size - 1))
		return -EINVAL;
	vq->desc = vq_part(mem, vq->desc_gpa, VIRTQ_DESC_ALIGN, VIRTQ_DESC_SIZE(size));
	vq->avail = vq_part(mem, vq->avail_gpa, VIRTQ_AVAIL_ALIGN, VIRTQ_AVAIL_SIZE(size));
	vq->used = vq_part(mem, vq->used_gpa, VIRTQ_USED_ALIGN, VIRTQ_USED_SIZE(size));
	return vq->desc && vq->avail && vq->used ? 0 : -EINVAL;
}

int vq_start(struct virtqueue *vq, const struct guest_mem *mem, uint64_t features)
{
	int ret;

	if (!vq->size || vq->size > vq->max_size)
		return -EINVAL;
	vq->packed = features & VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	ret = vq->packed ? vqp_start(vq, mem) : vq_start_split(vq, mem);
	if (ret < 0)
		return ret;
	vq->mem = mem;
	vq->event_idx = features & VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX);
	vq->indirect = features & VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC);
	vq->avail_idx = vq->next_avail = vq->used_idx = vq->n_unpublished = vq->signalled = 0;
	vq->want_notify = true; /* the driver left our wishes at 0 */
	vq->why = NULL;
	vq->started = true;
	return 0;
}

void vq_stop(struct virtqueue *vq)
{
	vq->started = false;
	vq->avail_idx = vq->next_avail;
}

/* --- chains --- */
int vq_avail(struct virtqueue *vq)
{
	uint16_t idx;

	if (vq->packed)
		return vqp_avail(vq);
	/*
	 * acquire: the ring's entries and the descriptors are read after the index that covers them
	 */
	idx = __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE);
	if ((uint16_t)(idx - vq->used_idx) > vq->size ||
	    (uint16_t)(idx - vq->next_avail) > vq->size)
		return vq_broken(vq, "the available index is more than the queue's size ahead");
	vq->avail_idx = idx;
	return (int)vq_cached(vq);
}

static int vq_walk_split(struct virtqueue *vq, unsigned int pos, struct iovec *iov,
			 unsigned int max_iov, struct vq_chain *chain)
{
	uint16_t slot = (uint16_t)(vq->next_avail + pos) & (uint16_t)(vq->size - 1);
	uint16_t head = __atomic_load_n(&vq->avail->ring[slot], __ATOMIC_RELAXED);
	const void *table = vq->desc;
	unsigned int n = vq->size, idx = head, seen = 0;
	bool in_table = false; /* the rings' own table may be named as an indirect one: comparing
				  addresses would not do */

	*chain = (struct vq_chain){ .head = head };
	for (;;) {
		struct vq_raw d;
		uint32_t len;
		uint16_t flags;
		int ret;

		if (idx >= n)
			return vq_broken(vq, "a descriptor index is beyond its table");
		d = vq_load(table, idx);
		len = (uint32_t)d.high;
		flags = (uint16_t)(d.high >> 32);
		if (flags & VIRTQ_DESC_F_INDIRECT) {
			table = vq_table(vq, d.low, len, flags, in_table);
			if (!table)
				return -EPROTO;
			in_table = true;
			n = len / sizeof(struct virtq_desc);
			idx = 0;
			continue;
		}
		if (seen++ == vq->size)
			return vq_broken(vq, "a chain is longer than the queue (or a loop)");
		ret = vq_add(vq, d.low, len, flags, iov, max_iov, chain);
		if (ret < 0)
			return ret;
		if (!(flags & VIRTQ_DESC_F_NEXT))
			return 0;
		idx = (uint16_t)(d.high >> 48);
	}
}

int vq_walk(struct virtqueue *vq, unsigned int pos, struct iovec *iov, unsigned int max_iov,
	    struct vq_chain *chain)
{
	return vq->packed ? vqp_walk(vq, pos, iov, max_iov, chain)
			  : vq_walk_split(vq, pos, iov, max_iov, chain);
}

void vq_put_used(struct virtqueue *vq, uint16_t head, uint32_t len)
{
	struct virtq_used_elem *e;

	if (vq->packed) {
		vqp_put_used(vq, head, len);
		return;
	}
	e = &vq->used->ring[(uint16_t)(vq->used_idx + vq->n_unpublished++) &
			    (uint16_t)(vq->size - 1)];
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

	if (vq->packed)
		return vqp_publish(vq);
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
	if (vq->packed) {
		vqp_notify_off(vq);
		return;
	}
	/* With EVENT_IDX an index that lies behind is not passed again for 65536 chains: nothing to
	 * store. */
	if (vq->want_notify && !vq->event_idx)
		__atomic_store_n(&vq->used->flags, VIRTQ_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
	vq->want_notify = false;
}

void vq_notify_on(struct virtqueue *vq)
{
	if (vq->packed) {
		vqp_notify_on(vq);
		return;
	}
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
