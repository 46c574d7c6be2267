/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See helper_sw_guest.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "helper_sw_guest.h"

#define PAGE      4096u
#define RING_AT   0x10000u /* apart */
#define AVAIL_AT  0x4000u
#define USED_AT   0x6000u
#define DATA_AT   (2 * RING_AT)
#define GUARD     8u
#define GUARD_SET 0xee

static void ring_open(struct sg *g, unsigned int nr, uint64_t features, uint16_t size,
		      uint16_t base)
{
	struct sg_ring *r = &g->ring[nr];
	uint8_t *at = g->mem + nr * RING_AT;

	r->desc = (struct virtq_desc *)at;
	r->avail = (struct virtq_avail *)(at + AVAIL_AT);
	r->used = (struct virtq_used *)(at + USED_AT);
	r->avail->idx = r->used->idx = r->seen = base;
	r->conf = (struct vhost_ring_conf){ .mem = &g->map,
					    .features = features,
					    .size = size,
					    .base = base,
					    .desc = r->desc,
					    .avail = r->avail,
					    .used = r->used,
					    .kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					    .call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					    .enabled = true };
	assert_true(r->conf.kick_fd >= 0 && r->conf.call_fd >= 0);
}

void sg_open(struct sg *g, uint64_t features, uint16_t size, uint16_t base)
{
	uint8_t *around =
		mmap(NULL, SG_MEM + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(around != MAP_FAILED && size <= SG_MAX_SIZE);
	memset(g, 0, sizeof(*g));
	g->memfd = memfd_create("guest", MFD_CLOEXEC);
	assert_true(g->memfd >= 0);
	assert_int_equal(ftruncate(g->memfd, SG_MEM), 0);
	g->mem = mmap(around + PAGE, SG_MEM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		      g->memfd, 0);
	assert_true(g->mem == around + PAGE);
	g->map.n = 1;
	g->map.region[0] = (struct vhost_mem_region){
		.gpa = SG_GPA, .size = SG_MEM, .host = g->mem, .map = g->mem, .map_size = SG_MEM
	};
	g->hdr_len =
		features & (SG_F_V1 | SG_F_MRG) ? VIRTIO_NET_HDR_SIZE : VIRTIO_NET_HDR_SIZE - 2;
	g->brk = DATA_AT;
	ring_open(g, SG_RX, features, size, base);
	ring_open(g, SG_TX, features, size, base);
}

static void check_guards(const struct sg *g)
{
	for (unsigned int i = 0; i < g->n_guards; i++)
		for (unsigned int k = 0; k < GUARD; k++)
			assert_int_equal(g->mem[g->guard[i] + k], GUARD_SET);
}

void sg_close(struct sg *g)
{
	check_guards(g);
	for (unsigned int i = 0; i < 2; i++) {
		close(g->ring[i].conf.kick_fd);
		close(g->ring[i].conf.call_fd);
	}
	munmap(g->mem - PAGE, SG_MEM + 2 * PAGE);
	close(g->memfd);
}

void sg_start(struct sg *g, struct dp_port *p)
{
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(dp_ring_start(p, i, &g->ring[i].conf), 0);
}

void sg_kick(struct sg *g)
{
	assert_int_equal(eventfd_write(g->ring[SG_TX].conf.kick_fd, 1), 0);
}

bool sg_called(struct sg *g, unsigned int ring)
{
	eventfd_t n;

	return eventfd_read(g->ring[ring].conf.call_fd, &n) == 0;
}

uint64_t sg_alloc(struct sg *g, uint32_t len)
{
	uint32_t at = g->brk;

	assert_true(at + len + GUARD <= SG_MEM);
	assert_true(g->n_guards < sizeof(g->guard) / sizeof(g->guard[0]));
	g->guard[g->n_guards++] = at + len;
	memset(g->mem + at + len, GUARD_SET, GUARD);
	g->brk = (at + len + GUARD + 15) & ~15u;
	return SG_GPA + at;
}

void sg_free_all(struct sg *g)
{
	check_guards(g);
	g->n_guards = 0;
	g->brk = DATA_AT;
}

void *sg_ptr(struct sg *g, uint64_t gpa)
{
	return g->mem + (gpa - SG_GPA);
}

/* --- one step each --- */
void sg_desc(struct sg *g, unsigned int ring, uint16_t idx, uint64_t addr, uint32_t len,
	     uint16_t flags, uint16_t next)
{
	g->ring[ring].desc[idx] =
		(struct virtq_desc){ .addr = addr, .len = len, .flags = flags, .next = next };
}

void sg_post(struct sg *g, unsigned int ring, uint16_t head)
{
	struct sg_ring *r = &g->ring[ring];

	r->avail->ring[r->avail->idx % r->conf.size] = head;
	__atomic_store_n(&r->avail->idx, (uint16_t)(r->avail->idx + 1), __ATOMIC_SEQ_CST);
}

/* --- whole chains --- */
/* A chain for `len` bytes, which are taken from src unless it is NULL. */
static uint16_t chain(struct sg *g, unsigned int ring, const uint8_t *src, uint32_t len,
		      const struct sg_cuts *cuts)
{
	struct sg_ring *r = &g->ring[ring];
	unsigned int n = cuts ? cuts->n : 0;
	bool indirect = cuts && cuts->indirect;
	uint64_t table = indirect ? sg_alloc(g, (n + 1) * 16) : 0;
	struct virtq_desc *d = indirect ? sg_ptr(g, table) : r->desc;
	uint16_t size = indirect ? (uint16_t)(n + 1) : r->conf.size, head = indirect ? 0 : r->free;
	uint16_t writes = src ? 0 : VIRTQ_DESC_F_WRITE, at = head;

	for (unsigned int i = 0; i <= n; i++) {
		uint32_t part = i < n ? cuts->len[i] : len;
		uint16_t next = (uint16_t)((at + 1) % size);

		assert_true(part <= len);
		d[at] = (struct virtq_desc){ .addr = sg_alloc(g, part),
					     .len = part,
					     .flags = writes | (i < n ? VIRTQ_DESC_F_NEXT : 0),
					     .next = next };
		if (src) {
			memcpy(sg_ptr(g, d[at].addr), src, part);
			src += part;
		}
		len -= part;
		at = next;
	}
	if (indirect) {
		head = r->free;
		at = (uint16_t)((head + 1) % r->conf.size);
		sg_desc(g, ring, head, table, (n + 1) * 16, VIRTQ_DESC_F_INDIRECT, 0);
	}
	r->free = at;
	sg_post(g, ring, head);
	return head;
}

uint16_t sg_send_hdr(struct sg *g, const struct virtio_net_hdr *hdr, const uint8_t *frame,
		     uint32_t len, const struct sg_cuts *cuts)
{
	uint8_t bytes[VIRTIO_NET_HDR_SIZE + SG_MAX_FRAME];

	assert_true(len <= SG_MAX_FRAME);
	memcpy(bytes, hdr, g->hdr_len);
	memcpy(bytes + g->hdr_len, frame, len);
	return chain(g, SG_TX, bytes, g->hdr_len + len, cuts);
}

uint16_t sg_send(struct sg *g, const uint8_t *frame, uint32_t len, const struct sg_cuts *cuts)
{
	static const struct virtio_net_hdr plain;

	return sg_send_hdr(g, &plain, frame, len, cuts);
}

uint16_t sg_buffer(struct sg *g, uint32_t len, const struct sg_cuts *cuts)
{
	return chain(g, SG_RX, NULL, len, cuts);
}

bool sg_used(struct sg *g, unsigned int ring, struct virtq_used_elem *e)
{
	struct sg_ring *r = &g->ring[ring];

	if (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) == r->seen)
		return false;
	*e = r->used->ring[r->seen++ % r->conf.size];
	return true;
}

/* What was written into the buffer of a used entry. Gives the bytes. */
static uint32_t gather(struct sg *g, const struct virtq_used_elem *e, uint8_t *to)
{
	const struct virtq_desc *table = g->ring[SG_RX].desc, *d;
	uint32_t left = e->len, part;
	uint32_t i = e->id;

	assert_true(i < g->ring[SG_RX].conf.size);
	assert_true(left <= VIRTIO_NET_HDR_SIZE + SG_MAX_FRAME);
	if (table[i].flags & VIRTQ_DESC_F_INDIRECT) {
		table = sg_ptr(g, table[i].addr);
		i = 0;
	}
	for (;; i = d->next) {
		d = &table[i];
		part = d->len < left ? d->len : left;
		memcpy(to, sg_ptr(g, d->addr), part);
		to += part;
		left -= part;
		if (!(d->flags & VIRTQ_DESC_F_NEXT))
			break;
	}
	assert_int_equal(left, 0); /* no more than there was room for */
	return e->len;
}

int sg_recv(struct sg *g, uint8_t *frame, struct virtio_net_hdr *hdr)
{
	uint8_t bytes[VIRTIO_NET_HDR_SIZE + SG_MAX_FRAME];
	struct virtio_net_hdr h = { .num_buffers = 1 };
	struct virtq_used_elem e;
	uint32_t n;

	if (!sg_used(g, SG_RX, &e))
		return -1;
	n = gather(g, &e, bytes);
	assert_true(n >= g->hdr_len);
	memcpy(&h, bytes, g->hdr_len);
	for (unsigned int i = 1; i < h.num_buffers; i++) {
		assert_true(sg_used(g, SG_RX, &e));
		assert_true(n + e.len <= sizeof(bytes));
		n += gather(g, &e, bytes + n);
	}
	if (hdr)
		*hdr = h;
	memcpy(frame, bytes + g->hdr_len, n - g->hdr_len);
	return (int)(n - g->hdr_len);
}

/* --- frames --- */
void sg_frame(uint8_t *frame, uint32_t len, uint8_t dst, uint8_t src, uint32_t tci)
{
	static uint32_t seed = 1;
	uint32_t n = 12;

	assert_true(len >= (tci == SG_NO_TAG ? 14 : 18) && len <= SG_MAX_FRAME);
	if (dst == 0xff)
		memset(frame, 0xff, 6);
	else
		memcpy(frame, (uint8_t[]){ 2, 0, 0, 0, 0, dst }, 6);
	memcpy(frame + 6, (uint8_t[]){ 2, 0, 0, 0, 0, src }, 6);
	if (tci != SG_NO_TAG) {
		memcpy(frame + n, (uint8_t[]){ 0x81, 0, (uint8_t)(tci >> 8), (uint8_t)tci }, 4);
		n += 4;
	}
	memcpy(frame + n, (uint8_t[]){ 0x88, 0xb5 }, 2);
	for (n += 2; n < len; n++) {
		seed = seed * 1664525 + 1013904223;
		frame[n] = (uint8_t)(seed >> 24);
	}
}

uint32_t sg_retag(uint8_t *to, const uint8_t *frame, uint32_t len, uint32_t tci)
{
	uint32_t from = frame[12] == 0x81 && frame[13] == 0 ? 16 : 12, n = 12;

	memcpy(to, frame, 12);
	if (tci != SG_NO_TAG) {
		memcpy(to + n, (uint8_t[]){ 0x81, 0, (uint8_t)(tci >> 8), (uint8_t)tci }, 4);
		n += 4;
	}
	memcpy(to + n, frame + from, len - from);
	return n + len - from;
}
