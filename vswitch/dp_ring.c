/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's split virtqueue, from the device's side. Whatever stands in guest memory is read once
 * into a local, checked, then used; a driver that breaks the rules loses that ring, nobody else
 * notices. VIRTIO 1.2 section 2.7; the header before each frame is 5.1.6.
 */
#include <errno.h>
#include <rte_cycles.h>
#include <rte_prefetch.h>
#include <string.h>
#include <unistd.h>

#include "vswitch/dp_priv.h"

/* --- guest memory --- */
static inline uint8_t *ring_ptr(struct dp_ring *r, uint64_t gpa, uint64_t len)
{
	const struct vhost_mem *m = r->c.mem;
	const struct vhost_mem_region *reg = &m->region[r->region];
	uint64_t off = gpa - reg->gpa;

	if (off < reg->size && len <= reg->size - off)
		return reg->host + off;
	for (unsigned int i = 0; i < m->n; i++) {
		off = gpa - m->region[i].gpa;
		if (off < m->region[i].size && len <= m->region[i].size - off) {
			r->region = i;
			return m->region[i].host + off;
		}
	}
	return NULL;
}

static inline uint16_t load_idx(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline struct virtq_desc load_desc(const struct virtq_desc *p)
{
	struct virtq_desc d;

	memcpy(&d, p, sizeof(d));
	/* what is checked is what is used: the compiler must not read it again */
	__asm__ volatile("" ::: "memory");
	return d;
}

static void ring_break(struct dp_ring *r, const char *why)
{
	atomic_store_explicit(&r->broken, true, memory_order_relaxed);
	err_limited(&r->limit, "port %s: ring %u: %s; it stops until the guest sets it up again",
		    r->port->conf.name, r->nr, why);
}

static inline uint16_t *used_event(const struct dp_ring *r)
{
	return &r->avail->ring[r->size];
}

static inline uint16_t *avail_event(const struct dp_ring *r)
{
	return (uint16_t *)&r->used->ring[r->size];
}

int dp_ring_init(struct dp_ring *r, struct dp_port *p, unsigned int nr,
		 const struct vhost_ring_conf *conf)
{
	const uint64_t f = conf->features;

	if (!conf->size || conf->size & (conf->size - 1))
		return -EINVAL;
	*r = (struct dp_ring){ .c = *conf,
			       .port = p,
			       .nr = nr,
			       .desc = conf->desc,
			       .avail = conf->avail,
			       .used = conf->used,
			       .size = conf->size };
	r->mask = (uint16_t)(conf->size - 1);
	r->event_idx = f & VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX);
	r->indirect = f & VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC);
	r->mrg = f & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
	/* without both the last field is not there (5.1.6.1) */
	r->hdr_len = r->mrg || f & VIRTIO_BIT(VIRTIO_F_VERSION_1) ? VIRTIO_NET_HDR_SIZE
								  : VIRTIO_NET_HDR_SIZE - 2;
	atomic_store(&r->enabled, conf->enabled);
	atomic_store(&r->call_fd, conf->call_fd);
	rte_spinlock_init(&r->lock);
	r->next = r->avail_idx = conf->base;
	r->used_next = r->published = r->signalled = load_idx(&r->used->idx);
	dp_ring_notify(r, false);
	return 0;
}

/* --- notifications, both ways (2.7.7, 2.7.10) --- */
void dp_ring_notify(struct dp_ring *r, bool on)
{
	r->notify = on;
	if (!r->event_idx)
		__atomic_store_n(&r->used->flags, on ? 0 : VIRTQ_USED_F_NO_NOTIFY,
				 __ATOMIC_RELAXED);
	else /* off: an event that has just passed comes again after 65535 entries only */
		__atomic_store_n(avail_event(r), (uint16_t)(on ? r->next : r->next - 1),
				 __ATOMIC_RELAXED);
	/* before the driver's index is looked at again */
	atomic_thread_fence(memory_order_seq_cst);
}

bool dp_ring_has_work(const struct dp_ring *r)
{
	return atomic_load_explicit(&r->enabled, memory_order_relaxed) &&
	       !atomic_load_explicit(&r->broken, memory_order_relaxed) &&
	       load_idx(&r->avail->idx) != r->next;
}

/* Shows the used entries that were written, and interrupts when the driver asks for it. */
static void ring_publish(struct dp_ring *r, struct dp_worker *w)
{
	struct dp_counters *c = &w->count[r->port->idx];
	const uint64_t one = 1;
	uint16_t now = r->used_next, old = r->signalled;
	bool call;
	int fd;

	if (now == r->published)
		return;
	__atomic_store_n(&r->used->idx, now, __ATOMIC_RELEASE);
	r->published = now;
	/* the index before what the driver wants to be told: the other order is its part */
	atomic_thread_fence(memory_order_seq_cst);
	if (r->event_idx)
		call = virtq_need_event(__atomic_load_n(used_event(r), __ATOMIC_RELAXED), now, old);
	else
		call = !(__atomic_load_n(&r->avail->flags, __ATOMIC_RELAXED) &
			 VIRTQ_AVAIL_F_NO_INTERRUPT);
	r->signalled = now;
	fd = call ? atomic_load_explicit(&r->call_fd, memory_order_acquire) : -1;
	if (fd < 0)
		return;
	/*
	 * Whoever shares the eventfd can fill it and make it block again at any time. Then the
	 * control thread sees that we are stuck in here and ends the call (dp_watch()).
	 */
	atomic_store_explicit(&w->n_calls, w->n_calls + 1, memory_order_relaxed);
	if (write(fd, &one, sizeof(one)) == sizeof(one)) {
		c->calls++;
	} else if (errno == EINTR) {
		ring_break(r, "its call eventfd blocks");
		atomic_store(&r->port->blocked_tsc, rte_rdtsc());
	}
	atomic_store_explicit(&w->n_calls, w->n_calls + 1, memory_order_relaxed);
}

static inline void ring_put_used(struct dp_ring *r, uint16_t head, uint32_t len)
{
	r->used->ring[r->used_next++ & r->mask] =
		(struct virtq_used_elem){ .id = head, .len = len };
}

/* --- from the guest --- */
/* Where a chain is in its table. */
struct walk {
	const struct virtq_desc *table;
	unsigned int n;    /* entries of the table */
	unsigned int left; /* descriptors that may still come: a loop ends here */
	bool in_table;     /* an indirect one */
};

/* Enters the indirect table that d names (2.7.5.3). NULL, or what is wrong. */
static const char *walk_enter(struct dp_ring *r, struct walk *w, const struct virtq_desc *d)
{
	if (!r->indirect || w->in_table)
		return "an indirect table where none may be";
	if (d->flags & VIRTQ_DESC_F_NEXT || !d->len || d->len % sizeof(*d) ||
	    d->len / sizeof(*d) > VIRTQ_MAX_SIZE)
		return "an indirect table of a wrong shape";
	w->table = (const struct virtq_desc *)ring_ptr(r, d->addr, d->len);
	if (!w->table)
		return "an indirect table outside of guest memory";
	w->n = w->left = d->len / sizeof(*d);
	w->in_table = true;
	return NULL;
}

/*
 * Follows a chain from `head` and gives each piece with bytes to `piece`, which says what is wrong
 * with it or NULL. Gives what was wrong, or NULL.
 */
typedef const char *(*walk_piece)(struct dp_ring *r, void *arg, const struct virtq_desc *d,
				  uint8_t *ptr);

static const char ring_too_many[] = "more descriptors than a frame can have";

/* `*budget`: descriptors that may be looked at, those of no bytes too; else ring_too_many. */
static const char *ring_walk(struct dp_ring *r, uint16_t head, unsigned int *budget,
			     walk_piece piece, void *arg)
{
	struct walk w = { .table = r->desc, .n = r->size, .left = r->size };
	unsigned int i = head;
	const char *why;

	for (;;) {
		struct virtq_desc d;
		uint8_t *ptr;

		if (i >= w.n)
			return "a descriptor beyond its table";
		if (!w.left--)
			return "a chain without end";
		if (!*budget)
			return ring_too_many;
		--*budget;
		d = load_desc(&w.table[i]);
		if (d.flags & VIRTQ_DESC_F_INDIRECT) {
			why = walk_enter(r, &w, &d);
			if (why)
				return why;
			i = 0;
			continue;
		}
		if (d.len) { /* one of no bytes is nothing, wherever it points */
			ptr = ring_ptr(r, d.addr, d.len);
			if (!ptr)
				return "memory that is not the guest's";
			why = piece(r, arg, &d, ptr);
			if (why)
				return why;
		}
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return NULL;
		i = d.next;
	}
}

struct take {
	struct dp_frame *f;
	uint8_t hdr[VIRTIO_NET_HDR_SIZE];
	unsigned int n_hdr; /* bytes of the header so far */
	uint64_t len;
};

static const char *take_piece(struct dp_ring *r, void *arg, const struct virtq_desc *d,
			      uint8_t *ptr)
{
	struct take *t = arg;
	uint32_t len = d->len, part = r->hdr_len - t->n_hdr;

	if (d->flags & VIRTQ_DESC_F_WRITE)
		return "a transmit chain has a writable piece";
	if (part) {
		part = part < len ? part : len;
		memcpy(t->hdr + t->n_hdr, ptr, part);
		t->n_hdr += part;
		ptr += part;
		len -= part;
	}
	if (!len)
		return NULL;
	t->len += len;
	if (t->f->n_segs < DP_SEGS && t->len <= DP_MAX_FRAME)
		t->f->seg[t->f->n_segs++] = (struct dp_seg){ ptr, len };
	else
		t->f->drop = DP_DROP_TOO_LONG;
	return NULL;
}

/* One chain becomes a frame; false: the driver broke the rules. */
static bool take_one(struct dp_ring *r, uint16_t head, struct dp_frame *f, struct dp_seg *seg)
{
	struct take t = { .f = f };
	unsigned int budget = DP_CHAIN_MAX;
	const char *why;

	f->drop = DP_N_DROPS;
	f->n_segs = 0;
	f->len = 0;
	f->seg = seg;
	f->m = NULL;
	why = ring_walk(r, head, &budget, take_piece, &t);
	if (why == ring_too_many) {
		f->drop = DP_DROP_TOO_LONG;
	} else if (why) {
		f->drop = DP_DROP_BAD_RING;
		ring_break(r, why);
		return false;
	}
	if (f->drop != DP_N_DROPS)
		return true;
	f->len = (uint32_t)t.len;
	if (t.n_hdr < r->hdr_len || t.len < DP_MIN_FRAME)
		f->drop = DP_DROP_TOO_SHORT;
	else if (t.hdr[0] & VIRTIO_NET_HDR_F_NEEDS_CSUM || t.hdr[1] != VIRTIO_NET_HDR_GSO_NONE)
		f->drop = DP_DROP_OFFLOAD;
	else
		dp_frame_head(f);
	return true;
}

/* How many chains wait, at most a burst; their heads are read, the descriptors on their way. */
static unsigned int take_heads(struct dp_ring *r)
{
	uint16_t n = (uint16_t)(r->avail_idx - r->next);

	if (n < DP_BURST) {
		r->avail_idx = load_idx(&r->avail->idx);
		n = (uint16_t)(r->avail_idx - r->next);
	}
	if (n > r->size) {
		ring_break(r, "more entries than the ring has");
		return 0;
	}
	if (n > DP_BURST)
		n = DP_BURST;
	for (unsigned int i = 0; i < n; i++) {
		r->head[i] =
			__atomic_load_n(&r->avail->ring[(r->next + i) & r->mask], __ATOMIC_RELAXED);
		rte_prefetch0(&r->desc[r->head[i] & r->mask]);
	}
	return n;
}

/* The frames' bytes are wanted soon: header and head are mostly one line. */
static void take_prefetch(struct dp_ring *r, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct virtq_desc *d = &r->desc[r->head[i] & r->mask];
		const uint8_t *p = ring_ptr(r, __atomic_load_n(&d->addr, __ATOMIC_RELAXED), 1);

		if (p)
			rte_prefetch0(p);
	}
}

unsigned int dp_ring_take(struct dp_ring *r, struct dp_burst *b)
{
	unsigned int n;

	b->n = 0;
	if (!atomic_load_explicit(&r->enabled, memory_order_relaxed) ||
	    atomic_load_explicit(&r->broken, memory_order_relaxed))
		return 0;
	n = take_heads(r);
	take_prefetch(r, n);
	while (b->n < n) {
		struct dp_frame *f = &b->frame[b->n];

		if (!take_one(r, r->head[b->n], f, &b->seg[b->n * DP_SEGS])) {
			b->n++; /* counted as what broke it; not given back */
			return b->n;
		}
		b->n++;
	}
	r->next = (uint16_t)(r->next + n);
	return b->n;
}

void dp_ring_done(struct dp_ring *r, unsigned int n, struct dp_worker *w)
{
	for (unsigned int i = 0; i < n; i++)
		ring_put_used(r, r->head[i], 0);
	ring_publish(r, w);
}

/* --- to the guest --- */
#define PUT_SEGS 64
struct put {
	struct {
		uint8_t *ptr;
		uint32_t len;
	} seg[PUT_SEGS];
	unsigned int n_segs;
	uint64_t room;  /* of the buffers so far */
	uint64_t want;  /* header and frame */
	uint64_t chain; /* of the buffer that is being walked */
};

static const char *put_piece(struct dp_ring *r, void *arg, const struct virtq_desc *d, uint8_t *ptr)
{
	struct put *p = arg;

	if (!(d->flags & VIRTQ_DESC_F_WRITE))
		return "a receive buffer has a readable piece";
	p->chain += d->len;
	if (p->room < p->want && p->n_segs < PUT_SEGS) {
		p->seg[p->n_segs].ptr = ptr;
		p->seg[p->n_segs++].len = d->len;
		p->room += d->len;
	}
	return NULL;
}

/* Buffer number `nr` behind the next one, or -1: there is none. */
static int put_head(struct dp_ring *r, unsigned int nr)
{
	uint16_t n = (uint16_t)(r->avail_idx - r->next);

	if (nr >= n) {
		r->avail_idx = load_idx(&r->avail->idx);
		n = (uint16_t)(r->avail_idx - r->next);
		if (n > r->size) {
			ring_break(r, "more entries than the ring has");
			return -1;
		}
		if (nr >= n)
			return -1;
	}
	return __atomic_load_n(&r->avail->ring[(r->next + nr) & r->mask], __ATOMIC_RELAXED);
}

/* Writes `len` bytes at offset `off` of the pieces. */
static void put_bytes(const struct put *p, uint64_t off, const uint8_t *src, uint32_t len)
{
	for (unsigned int i = 0; i < p->n_segs && len; i++) {
		uint32_t part;

		if (off >= p->seg[i].len) {
			off -= p->seg[i].len;
			continue;
		}
		part = p->seg[i].len - (uint32_t)off;
		part = part < len ? part : len;
		memcpy(p->seg[i].ptr + off, src, part);
		src += part;
		len -= part;
		off = 0;
	}
}

static void put_header(const struct dp_ring *r, const struct put *p, uint16_t n_buffers)
{
	const struct virtio_net_hdr h = { .num_buffers = n_buffers };

	if (p->seg[0].len >= r->hdr_len)
		memcpy(p->seg[0].ptr, &h, r->hdr_len);
	else
		put_bytes(p, 0, (const uint8_t *)&h, r->hdr_len);
}

/* The frame's bytes behind the header: at once where they fit one piece, else by their parts. */
static void put_frame(const struct dp_ring *r, const struct put *p, const struct dp_frame *f,
		      bool tag)
{
	uint32_t len = dp_frame_out_len(f, tag), at = r->hdr_len;
	uint8_t front[2 * DP_HEAD];
	uint32_t skip, n_front;
	struct dp_frame first;

	if (p->seg[0].len >= at + len) {
		dp_frame_copy(f, tag, p->seg[0].ptr + at);
		return;
	}
	if (p->seg[0].len == at && p->n_segs > 1 && p->seg[1].len >= len) {
		dp_frame_copy(f, tag, p->seg[1].ptr); /* the header has a piece of its own */
		return;
	}
	/* the front as it leaves, from the head; then the rest piece by piece */
	skip = f->tagged ? DP_HEAD : DP_HEAD - DP_TAG;
	first = *f;
	first.len = skip;
	first.n_segs = 0;
	n_front = dp_frame_copy(&first, tag, front);
	put_bytes(p, at, front, n_front);
	at += n_front;
	for (unsigned int i = 0; i < f->n_segs; i++) {
		const struct dp_seg *s = &f->seg[i];

		if (skip >= s->len) {
			skip -= s->len;
			continue;
		}
		put_bytes(p, at, s->ptr + skip, s->len - skip);
		at += s->len - skip;
		skip = 0;
	}
}

enum dp_drop dp_ring_put(struct dp_ring *r, const struct dp_frame *f, bool tag)
{
	uint16_t head[PUT_SEGS];
	uint64_t bytes[PUT_SEGS], left;
	unsigned int n = 0, budget = 2 * DP_CHAIN_MAX;
	struct put p;

	if (!atomic_load_explicit(&r->enabled, memory_order_relaxed) ||
	    atomic_load_explicit(&r->broken, memory_order_relaxed))
		return DP_DROP_DOWN;
	p.n_segs = 0;
	p.room = 0;
	p.want = left = r->hdr_len + dp_frame_out_len(f, tag);
	do {
		int h = n < PUT_SEGS ? put_head(r, n) : -1;
		const char *why;

		if (h < 0)
			return atomic_load(&r->broken) ? DP_DROP_BAD_RING : DP_DROP_NO_BUFFER;
		p.chain = 0;
		why = ring_walk(r, (uint16_t)h, &budget, put_piece, &p);
		if (!why && !n && p.chain < r->hdr_len)
			why = "a receive buffer is too small for a header";
		if (why) {
			ring_break(r, why);
			return DP_DROP_BAD_RING;
		}
		head[n] = (uint16_t)h;
		bytes[n++] = p.chain;
		if (p.room < p.want && (!r->mrg || p.n_segs == PUT_SEGS))
			return DP_DROP_TOO_LONG;
	} while (p.room < p.want);
	put_header(r, &p, (uint16_t)n);
	put_frame(r, &p, f, tag);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t part = left < bytes[i] ? left : bytes[i];

		ring_put_used(r, head[i], (uint32_t)part);
		left -= part;
	}
	r->next = (uint16_t)(r->next + n);
	return DP_N_DROPS;
}

void dp_ring_flush(struct dp_ring *r, struct dp_worker *w)
{
	ring_publish(r, w);
}
