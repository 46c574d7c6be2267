/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vring_driver.h. Called by nic_switch.c; calls nothing. */
#include "pv-net/vring_driver.h"

#include <errno.h>
#include <string.h>

_Static_assert((VRING_SIZE & (VRING_SIZE - 1)) == 0 && VRING_SIZE <= VIRTQ_MAX_SIZE, "ring size");
_Static_assert(VRING_AVAIL_OFFSET % VIRTQ_AVAIL_ALIGN == 0, "available ring's place");
_Static_assert(VRING_USED_OFFSET % VIRTQ_USED_ALIGN == 0, "used ring's place");

static uint16_t *used_event(struct vring *r)
{
	return (uint16_t *)(void *)((char *)r->avail + VIRTQ_USED_EVENT_OFFSET(VRING_SIZE));
}

static const uint16_t *avail_event(const struct vring *r)
{
	return (const uint16_t *)(const void *)((const char *)r->used +
						VIRTQ_AVAIL_EVENT_OFFSET(VRING_SIZE));
}

void vring_init(struct vring *r, void *mem, gpa_t gpa, bool event_idx)
{
	memset(r, 0, sizeof(*r));
	memset(mem, 0, VRING_BYTES);
	r->desc = mem;
	r->avail = (struct virtq_avail *)(void *)((char *)mem + VRING_AVAIL_OFFSET);
	r->used = (struct virtq_used *)(void *)((char *)mem + VRING_USED_OFFSET);
	r->gpa = gpa;
	r->event_idx = event_idx;
}

/* --- giving --- */
static struct vring_chain *chain_new(struct vring *r)
{
	struct vring_chain *c = &r->chain[r->chain_tail++ % VRING_SIZE];

	*c = (struct vring_chain){ .head = r->desc_tail % VRING_SIZE };
	return c;
}

void vring_add(struct vring *r, const struct vring_seg *seg, unsigned int n, bool write)
{
	uint16_t flags = write ? VIRTQ_DESC_F_WRITE : 0;
	struct vring_chain *c;

	r->owner[r->desc_tail % VRING_SIZE] = r->chain_tail;
	c = chain_new(r);
	c->n = (uint16_t)n;
	for (unsigned int i = 0; i < n; i++) {
		uint16_t next = (uint16_t)(r->desc_tail + 1) % VRING_SIZE;

		r->desc[r->desc_tail++ % VRING_SIZE] = (struct virtq_desc){
			.addr = seg[i].gpa,
			.len = seg[i].len,
			.flags = i + 1 < n ? flags | VIRTQ_DESC_F_NEXT : flags,
			.next = i + 1 < n ? next : 0,
		};
		c->len += write ? seg[i].len : 0;
	}
	r->avail->ring[r->avail_idx++ % VRING_SIZE] = c->head;
}

void vring_add_none(struct vring *r)
{
	chain_new(r)->done = true;
}

/* 2.7.13.3 and 2.7.13.4 */
bool vring_publish(struct vring *r)
{
	uint16_t was = r->kicked_idx;

	if (was == r->avail_idx)
		return false;
	r->kicked_idx = r->avail_idx;
	__atomic_store_n(&r->avail->idx, r->avail_idx, __ATOMIC_RELEASE);
	/* the device stores its wish and looks at the index; we do it the other way round */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (r->event_idx)
		return virtq_need_event(__atomic_load_n(avail_event(r), __ATOMIC_RELAXED),
					r->avail_idx, was);
	return !(__atomic_load_n(&r->used->flags, __ATOMIC_RELAXED) & VIRTQ_USED_F_NO_NOTIFY);
}

/* --- getting back --- */
int vring_used(const struct vring *r)
{
	uint16_t n = __atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) - r->used_idx;

	return n <= (uint16_t)(r->avail_idx - r->used_idx) ? n : -EPROTO;
}

/* An element as one load: nothing of it changes after it was checked. */
static struct virtq_used_elem used_at(const struct vring *r, unsigned int k)
{
	const void *p = &r->used->ring[(r->used_idx + k) % VRING_SIZE];
	struct virtq_used_elem e = {
		.id = __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED),
		.len = __atomic_load_n((const uint32_t *)p + 1, __ATOMIC_RELAXED),
	};

	return e;
}

int64_t vring_used_in_order(struct vring *r, unsigned int k)
{
	const struct vring_chain *c = vring_chain_at(r, k);
	struct virtq_used_elem e = used_at(r, k);

	return e.id == c->head && e.len <= c->len ? (int64_t)e.len : -EPROTO;
}

void vring_pop(struct vring *r, unsigned int n)
{
	r->used_idx = (uint16_t)(r->used_idx + n);
	while (n--)
		r->desc_head = (uint16_t)(r->desc_head + r->chain[r->chain_head++ % VRING_SIZE].n);
}

/* The chain of a used element, when it is one that the device has. */
static struct vring_chain *chain_of(struct vring *r, uint32_t id)
{
	uint16_t k;
	struct vring_chain *c;

	if (id >= VRING_SIZE)
		return NULL;
	k = r->owner[id] - r->chain_head;
	if (k >= vring_n_chains(r))
		return NULL;
	c = vring_chain_at(r, k);
	return c->n && !c->done && c->head == id ? c : NULL;
}

int vring_complete(struct vring *r)
{
	int n = vring_used(r), back = 0;

	for (int i = 0; i < n; i++) {
		struct virtq_used_elem e = used_at(r, 0);
		struct vring_chain *c = chain_of(r, e.id);

		if (!c) /* not under way, or back already */
			return -EPROTO;
		c->done = true;
		r->used_idx++;
	}
	if (n < 0)
		return n;
	for (; vring_n_chains(r) && vring_chain_at(r, 0)->done; back++)
		r->desc_head = (uint16_t)(r->desc_head + r->chain[r->chain_head++ % VRING_SIZE].n);
	return back;
}

bool vring_has_hole(struct vring *r)
{
	for (unsigned int k = 0; k < vring_n_chains(r); k++)
		if (vring_chain_at(r, k)->done && vring_chain_at(r, k)->n)
			return true; /* the oldest is never done: it would be back */
	return false;
}

/*
 * 2.7.7: with EVENT_IDX "not now" is the index just passed, which comes again after 65535 elements:
 * a call too many, then.
 */
void vring_want_call(struct vring *r, bool on)
{
	if (r->event_idx)
		__atomic_store_n(used_event(r), on ? r->used_idx : (uint16_t)(r->used_idx - 1),
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&r->avail->flags, on ? 0 : VIRTQ_AVAIL_F_NO_INTERRUPT,
				 __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
