/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packed virtqueue (see virtqueue.h): one ring in which the driver writes available descriptors
 * and we write used ones over them. Called by virtqueue.c, calls guest memory only. VIRTIO 1.2
 * section 2.8. A chain is measured when it is found and walked later; both look at the driver's
 * memory, so the walk holds it to what was measured.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "core/virtqueue_priv.h"

#define ID_OF(raw)    ((uint16_t)((raw).high >> 32))
#define FLAGS_OF(raw) ((uint16_t)((raw).high >> 48))

int vqp_start(struct virtqueue *vq, const struct guest_mem *mem)
{
	struct vq_packed *p = &vq->p;
	const size_t event = sizeof(struct pvirtq_event);

	if (vq->size > VQ_PACKED_MAX)
		return -EINVAL;
	memset(p, 0, sizeof(*p));
	p->ring = vq_part(mem, vq->desc_gpa, VIRTQ_DESC_ALIGN, VIRTQ_DESC_SIZE(vq->size));
	p->driver_event = vq_part(mem, vq->avail_gpa, PVIRTQ_EVENT_ALIGN, event);
	p->device_event = vq_part(mem, vq->used_gpa, PVIRTQ_EVENT_ALIGN, event);
	p->scan_wrap = p->used_wrap = true; /* 2.8.1 */
	return p->ring && p->driver_event && p->device_event ? 0 : -EINVAL;
}

/* --- chains that are available --- */
static bool vqp_is_available(uint16_t flags, bool wrap)
{
	return !!(flags & VIRTQ_DESC_F_AVAIL) == wrap && !!(flags & VIRTQ_DESC_F_USED) != wrap;
}

static void vqp_forward(const struct virtqueue *vq, uint16_t *pos, bool *wrap, uint16_t n)
{
	*pos = (uint16_t)(*pos + n);
	if (*pos >= vq->size) {
		*pos = (uint16_t)(*pos - vq->size);
		*wrap = !*wrap;
	}
}

static int vqp_note(struct virtqueue *vq, uint16_t first, uint16_t id, uint16_t n)
{
	struct vq_packed *p = &vq->p;

	if (id >= vq->size)
		return vq_broken(vq, "a buffer's id is beyond the queue's size");
	if (p->n_of_id[id])
		return vq_broken(vq, "a buffer's id is in use already");
	p->n_of_id[id] = n;
	p->n_held = (uint16_t)(p->n_held + n);
	p->chain[vq->avail_idx++ % VQ_PACKED_MAX] =
		(struct vq_packed_chain){ .first = first, .id = id };
	return 1;
}

/* Measures the chain that comes next: 1. 0: there is none. */
static int vqp_find(struct virtqueue *vq)
{
	struct vq_packed *p = &vq->p;
	uint16_t pos = p->scan_pos, last, n = 0;
	bool wrap = p->scan_wrap;
	/* acquire: all else of the chain is read after the flags that show it */
	uint16_t flags = __atomic_load_n(&p->ring[pos].flags, __ATOMIC_ACQUIRE);

	if (!vqp_is_available(flags, wrap))
		return 0;
	for (;;) {
		if (p->n_held + ++n > vq->size)
			return vq_broken(vq, "more descriptors are available than the ring has");
		last = pos;
		vqp_forward(vq, &pos, &wrap, 1);
		if (!(flags & VIRTQ_DESC_F_NEXT))
			break;
		flags = __atomic_load_n(&p->ring[pos].flags, __ATOMIC_RELAXED);
		if (!vqp_is_available(flags, wrap))
			return vq_broken(vq, "a chain goes on where nothing is available");
	}
	last = __atomic_load_n(&p->ring[last].id, __ATOMIC_RELAXED);
	if (vqp_note(vq, p->scan_pos, last, n) < 0)
		return -EPROTO;
	p->scan_pos = pos;
	p->scan_wrap = wrap;
	return 1;
}

int vqp_avail(struct virtqueue *vq)
{
	int ret;

	while ((ret = vqp_find(vq)) > 0)
		;
	return ret < 0 ? ret : (int)vq_cached(vq);
}

/* --- walking --- */
/* In a table only WRITE counts, all else is ignored (2.8.7). */
static int vqp_walk_table(struct virtqueue *vq, const struct vq_raw *d, bool nested,
			  struct iovec *iov, unsigned int max_iov, struct vq_chain *chain)
{
	const uint16_t looked_at = vq->tables_are_read ? 0 : VIRTQ_DESC_F_WRITE;
	uint32_t len = (uint32_t)d->high;
	const void *table = vq_table(vq, d->low, len, FLAGS_OF(*d), nested);
	int ret = 0;

	if (!table)
		return -EPROTO;
	if (len / sizeof(struct pvirtq_desc) > vq->size)
		return vq_broken(vq, "a chain is longer than the queue");
	for (unsigned int i = 0; i < len / sizeof(struct pvirtq_desc) && ret == 0; i++) {
		struct vq_raw e = vq_load(table, i);

		ret = vq_add(vq, e.low, (uint32_t)e.high, FLAGS_OF(e) & looked_at, iov, max_iov,
			     chain);
	}
	return ret;
}

int vqp_walk(struct virtqueue *vq, unsigned int pos, struct iovec *iov, unsigned int max_iov,
	     struct vq_chain *chain)
{
	const struct vq_packed *p = &vq->p;
	const struct vq_packed_chain *c =
		&p->chain[(uint16_t)(vq->next_avail + pos) % VQ_PACKED_MAX];
	uint16_t at = c->first, n = p->n_of_id[c->id];
	bool wrap = false;
	int ret = 0;

	*chain = (struct vq_chain){ .head = c->id };
	for (uint16_t i = 0; i < n && ret == 0; i++) {
		struct vq_raw d = vq_load(p->ring, at);

		vqp_forward(vq, &at, &wrap, 1);
		if (!!(FLAGS_OF(d) & VIRTQ_DESC_F_NEXT) != (i + 1 < n))
			return vq_broken(vq, "a chain changed after it was made available");
		if (FLAGS_OF(d) & VIRTQ_DESC_F_INDIRECT)
			return vqp_walk_table(vq, &d, n > 1, iov, max_iov, chain);
		ret = vq_add(vq, d.low, (uint32_t)d.high, FLAGS_OF(d), iov, max_iov, chain);
	}
	return ret;
}

/* --- giving back --- */
/*
 * One entry for the whole chain, where the next used one is due; then as many places are skipped as
 * the chain had. What is written over was looked at before: no more is skipped than was held. The
 * flags of the first entry of a batch show the batch (2.8.2): they wait for vqp_publish().
 */
void vqp_put_used(struct virtqueue *vq, uint16_t id, uint32_t len)
{
	struct vq_packed *p = &vq->p;
	struct pvirtq_desc *d = &p->ring[p->used_pos];
	uint16_t n = p->n_of_id[id];
	uint16_t flags = (uint16_t)((p->used_wrap ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0) |
				    (len ? VIRTQ_DESC_F_WRITE : 0));

	d->id = id;
	d->len = len;
	if (!vq->n_unpublished++) {
		p->hidden_pos = p->used_pos;
		p->hidden = flags;
	} else {
		__atomic_store_n(&d->flags, flags, __ATOMIC_RELAXED);
	}
	p->n_of_id[id] = 0;
	p->n_held = (uint16_t)(p->n_held - n);
	p->n_moved = (uint16_t)(p->n_moved + n);
	vqp_forward(vq, &p->used_pos, &p->used_wrap, n);
}

/* Whether the driver wants an interrupt for the places that were just skipped, 2.8.10. */
static bool vqp_wants_interrupt(const struct virtqueue *vq, uint16_t moved)
{
	const struct vq_packed *p = &vq->p;
	/* acquire: the driver writes the place, then the flags */
	uint16_t flags = __atomic_load_n(&p->driver_event->flags, __ATOMIC_ACQUIRE) & 3, at;

	if (flags != PVIRTQ_EVENT_DESC || !vq->event_idx)
		return flags != PVIRTQ_EVENT_DISABLE;
	at = __atomic_load_n(&p->driver_event->off_wrap, __ATOMIC_RELAXED);
	if (!!(at & PVIRTQ_EVENT_WRAP) != p->used_wrap)
		at = (uint16_t)((at & ~PVIRTQ_EVENT_WRAP) - vq->size); /* before this round */
	else
		at &= (uint16_t)~PVIRTQ_EVENT_WRAP;
	return virtq_need_event(at, p->used_pos, (uint16_t)(p->used_pos - moved));
}

bool vqp_publish(struct virtqueue *vq)
{
	struct vq_packed *p = &vq->p;
	uint16_t moved = p->n_moved;

	if (!vq->n_unpublished)
		return false;
	vq->used_idx = (uint16_t)(vq->used_idx + vq->n_unpublished);
	vq->n_unpublished = p->n_moved = 0;
	/* release: the entries before the flags that show them */
	__atomic_store_n(&p->ring[p->hidden_pos].flags, p->hidden, __ATOMIC_RELEASE);
	/* full: they are out before we read whether the driver waits for them; the driver does the
	 * same the other way round */
	atomic_thread_fence(memory_order_seq_cst);
	return vqp_wants_interrupt(vq, moved);
}

/* --- notifications --- */
void vqp_notify_off(struct virtqueue *vq)
{
	if (vq->want_notify)
		__atomic_store_n(&vq->p.device_event->flags, PVIRTQ_EVENT_DISABLE,
				 __ATOMIC_RELAXED);
	vq->want_notify = false;
}

void vqp_notify_on(struct virtqueue *vq)
{
	struct vq_packed *p = &vq->p;
	uint16_t at = (uint16_t)(p->scan_pos | (p->scan_wrap ? PVIRTQ_EVENT_WRAP : 0));

	/* the next one that we have not looked at: what stands there unused is no news */
	if (vq->event_idx)
		__atomic_store_n(&p->device_event->off_wrap, at, __ATOMIC_RELAXED);
	/* release: the place before the flag that makes it count */
	__atomic_store_n(&p->device_event->flags,
			 vq->event_idx ? PVIRTQ_EVENT_DESC : PVIRTQ_EVENT_ENABLE, __ATOMIC_RELEASE);
	vq->want_notify = true;
	/* full: the wish is out before the caller looks for chains once more */
	atomic_thread_fence(memory_order_seq_cst);
}
