/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the frames of a burst go, and their way there. In: the VLAN by the port's mode (802.1Q),
 * the source checked, learned; then the destination looked up, all frames of one burst for the
 * same port put there together. A frame that the burst's previous one resembles (same addresses,
 * same VLAN) goes where that went without another look: traffic comes in trains.
 */
#include <string.h>

#include "vswitch/dp_priv.h"

#define TO_MANY 0xfffeu /* flooded */
#define NOWHERE 0xffffu

bool dp_port_has_vlan(const struct dp_port *p, uint16_t vid, bool *tag)
{
	if (!p->conf.trunk) {
		*tag = false;
		return p->conf.vlan == vid;
	}
	*tag = vid != p->conf.vlan;
	return p->conf.trunk_vlan[vid / 64] >> vid % 64 & 1;
}

static inline void count_in_drop(struct dp_worker *w, const struct dp_port *p, enum dp_drop why)
{
	w->count[p->idx].in_drop[why]++;
}

/* --- in --- */
/* Sets the frame's VLAN; false: the port is no member. */
static bool in_vlan(const struct dp_port *p, struct dp_frame *f)
{
	uint16_t vid = 0;

	f->tagged = dp_be16(f->head + 12) == 0x8100 && f->len >= DP_HEAD;
	f->tci = f->tagged ? dp_be16(f->head + 14) : 0;
	vid = f->tci & 0xfff;
	if (!p->conf.trunk) {
		if (vid) /* VID 0 is a priority only */
			return false;
		f->vid = p->conf.vlan;
	} else {
		f->vid = vid ? vid : p->conf.vlan;
		if (!f->vid || f->vid >= DP_N_VIDS - 1 ||
		    !(p->conf.trunk_vlan[f->vid / 64] >> f->vid % 64 & 1))
			return false;
	}
	f->tci = (uint16_t)((f->tci & 0xf000) | f->vid);
	return true;
}

static bool in_source_allowed(const struct dp_port *p, const uint8_t *src)
{
	for (unsigned int i = 0; i < p->conf.n_macs; i++)
		if (!memcmp(p->conf.mac[i], src, 6))
			return true;
	return !p->conf.n_macs;
}

/* May this frame come in by this port? Its source is learned then. */
static enum dp_drop in_check(struct dp_worker *w, struct dp_port *p, struct dp_frame *f)
{
	const uint8_t *src = f->head + 6;
	bool is_static = false;
	unsigned int at;

	if (!in_vlan(p, f))
		return DP_DROP_VLAN;
	if (src[0] & 1 || !(src[0] | src[1] | src[2] | src[3] | src[4] | src[5]) ||
	    !in_source_allowed(p, src))
		return DP_DROP_SOURCE;
	if (p->conf.n_macs && p->conf.kind == DP_GUEST)
		return DP_N_DROPS; /* its addresses are in the table for good */
	at = dp_fdb_look(w->dp->fdb, src, f->vid, w->now_s, &is_static);
	if (at != DP_FDB_NONE && at != p->idx) {
		const struct dp_port *o =
			atomic_load_explicit(&w->dp->port[at], memory_order_acquire);

		/* a local guest's own frame, come back: before it is learned anywhere */
		if (p->conf.uplink && o && o->conf.kind == DP_GUEST)
			return DP_DROP_OWN;
		if (is_static)
			return DP_DROP_SOURCE;
	}
	dp_fdb_learn(w->dp->fdb, src, f->vid, p, w->now_s);
	return DP_N_DROPS;
}

/* Number of the port it goes to, TO_MANY or NOWHERE. */
static unsigned int in_look(struct dp_worker *w, struct dp_port *in, struct dp_frame *f)
{
	struct dp_port *pool, *out;
	unsigned int to;
	bool tag, is_static;

	if (f->head[0] & 1)
		return TO_MANY;
	to = dp_fdb_look(w->dp->fdb, f->head, f->vid, w->now_s, &is_static);
	out = to == DP_FDB_NONE ? NULL
				: atomic_load_explicit(&w->dp->port[to], memory_order_acquire);
	if (out == in) {
		f->drop = DP_DROP_SAME_PORT;
		return NOWHERE;
	}
	if (out && dp_port_has_vlan(out, f->vid, &tag))
		return to;
	pool = atomic_load_explicit(&in->pool, memory_order_acquire);
	if (pool) /* the world outside is behind the guest's own queue */
		return pool->idx;
	return TO_MANY;
}

/* --- out --- */
static void touch(struct dp_worker *w, struct dp_ring *r)
{
	for (unsigned int i = 0; i < w->n_touched; i++)
		if (w->touched[i] == r)
			return;
	if (w->n_touched == DP_BURST)
		dp_flush_touched(w);
	w->touched[w->n_touched++] = r;
}

void dp_flush_touched(struct dp_worker *w)
{
	for (unsigned int i = 0; i < w->n_touched; i++) {
		struct dp_ring *r = w->touched[i];

		rte_spinlock_lock(&r->lock);
		dp_ring_flush(r, w);
		rte_spinlock_unlock(&r->lock);
	}
	w->n_touched = 0;
}

/* A guest with several queues: frames of one flow go to one of them. */
static unsigned int flow_of(const struct dp_frame *f)
{
	uint32_t a, b, h;

	memcpy(&a, f->head + 2, 4);
	memcpy(&b, f->head + 8, 4);
	h = a * 0x9e3779b1u ^ b;
	if (f->seg[0].len >= 42) { /* addresses and ports of IPv4; any bytes of another protocol */
		uint32_t v[3];

		memcpy(v, f->seg[0].ptr + 26, sizeof(v));
		h ^= v[0] ^ v[1] * 0x85ebca6bu ^ v[2];
	}
	return (h ^ h >> 15) * 0x9e3779b1u >> 16;
}

static struct dp_ring *out_ring(struct dp_port *p, const struct dp_frame *f)
{
	unsigned int n = atomic_load_explicit(&p->n_rx, memory_order_relaxed), i;
	struct dp_ring *r;

	if (n <= 1)
		return atomic_load_explicit(&p->rx[0], memory_order_acquire);
	i = flow_of(f) % n;
	r = atomic_load_explicit(&p->rx[i], memory_order_acquire);
	if (r && atomic_load_explicit(&r->enabled, memory_order_relaxed))
		return r;
	return atomic_load_explicit(&p->rx[0], memory_order_acquire);
}

static void out_one(struct dp_worker *w, struct dp_port *p, const struct dp_frame *f,
		    const struct dp_filter *filter)
{
	struct dp_counters *c = &w->count[p->idx];
	struct dp_ring *r = out_ring(p, f);
	enum dp_drop why;
	bool tag = false;

	dp_port_has_vlan(p, f->vid, &tag);
	if (!r) {
		c->out_drop[DP_DROP_DOWN]++;
		return;
	}
	if (!tag && dp_frame_hides_tag(p, f)) {
		c->out_drop[DP_DROP_VLAN]++;
		return;
	}
	if (filter && !dp_filter_takes(&filter->f, f, tag)) {
		c->out_drop[DP_DROP_FILTERED]++;
		return;
	}
	rte_spinlock_lock(&r->lock);
	why = dp_ring_put(r, f, tag);
	rte_spinlock_unlock(&r->lock);
	if (why != DP_N_DROPS) {
		c->out_drop[why]++;
		return;
	}
	c->out_frames++;
	c->out_bytes += dp_frame_out_len(f, tag);
	c->copied_bytes += dp_frame_out_len(f, tag);
	touch(w, r);
}

static void out_guest(struct dp_worker *w, struct dp_port *p, struct dp_frame *const *f,
		      unsigned int n)
{
	const struct dp_filter *filter = atomic_load_explicit(&p->filter, memory_order_acquire);

	for (unsigned int i = 0; i < n; i++)
		out_one(w, p, f[i], filter);
}

/* `shared`: the frames go to other ports as well, or NULL. */
static void out_port(struct dp_worker *w, struct dp_port *p, struct dp_frame *const *f,
		     unsigned int n, const bool *shared)
{
	if (p->conf.kind == DP_GUEST)
		out_guest(w, p, f, n);
	else
		dp_eth_put(w, p, f, n, shared);
}

/* To every member of its VLAN but the one it came from. */
static void out_many(struct dp_worker *w, struct dp_port *in, struct dp_frame *f)
{
	unsigned int n = atomic_load_explicit(&w->dp->n_ports, memory_order_acquire), sent = 0;
	struct dp_port *pool = atomic_load_explicit(&in->pool, memory_order_acquire);
	const bool shared = true;
	bool tag;

	for (unsigned int i = 0; i < n; i++) {
		struct dp_port *p = atomic_load_explicit(&w->dp->port[i], memory_order_acquire);

		if (!p || p == in || (p->conf.kind == DP_POOL && p != pool) ||
		    !dp_port_has_vlan(p, f->vid, &tag))
			continue;
		out_port(w, p, &f, 1, &shared);
		sent++;
	}
	if (!sent)
		count_in_drop(w, in, DP_DROP_NO_PORT);
	else
		w->count[in->idx].replicated += sent - 1;
}

/* --- a burst --- */
/* Where each frame goes; frames that go nowhere are counted. */
static void classify(struct dp_worker *w, struct dp_port *in, uint16_t to[DP_BURST])
{
	struct dp_counters *c = &w->count[in->idx];
	const struct dp_frame *last = NULL;
	uint16_t last_to = NOWHERE;

	for (unsigned int i = 0; i < w->burst.n; i++) {
		struct dp_frame *f = &w->burst.frame[i];

		c->in_frames++;
		c->in_bytes += f->len;
		to[i] = NOWHERE;
		if (f->drop == DP_N_DROPS) {
			if (last && !memcmp(last->head, f->head, DP_HEAD - DP_TAG) &&
			    !last->tagged && f->head[12] != 0x81) {
				f->vid = last->vid;
				f->tci = last->tci;
				f->tagged = 0;
				to[i] = last_to;
				f->drop = last->drop;
			} else {
				f->drop = (uint8_t)in_check(w, in, f);
				if (f->drop == DP_N_DROPS)
					to[i] = (uint16_t)in_look(w, in, f);
				last = f;
				last_to = to[i];
			}
		}
		if (f->drop != DP_N_DROPS)
			c->in_drop[f->drop]++;
	}
}

void dp_forward(struct dp_worker *w, struct dp_port *in)
{
	struct dp_frame *same[DP_BURST];
	uint16_t to[DP_BURST];
	uint32_t left;

	classify(w, in, to);
	left = w->burst.n == 32 ? ~0u : (1u << w->burst.n) - 1;
	while (left) {
		unsigned int first = (unsigned int)__builtin_ctz(left), n = 0;
		struct dp_port *p;

		if (to[first] == NOWHERE) {
			left &= left - 1;
			continue;
		}
		for (unsigned int i = first; i < w->burst.n; i++)
			if (to[i] == to[first] && left >> i & 1) {
				same[n++] = &w->burst.frame[i];
				left &= ~(1u << i);
			}
		if (to[first] == TO_MANY) {
			for (unsigned int i = 0; i < n; i++)
				out_many(w, in, same[i]);
			continue;
		}
		p = atomic_load_explicit(&w->dp->port[to[first]], memory_order_acquire);
		if (p)
			out_port(w, p, same, n, NULL);
		else
			w->count[in->idx].in_drop[DP_DROP_NO_PORT] += n;
	}
	dp_flush_touched(w);
}

/* What a pool has received is its guest's; the NIC has looked. */
void dp_forward_pool(struct dp_worker *w, struct dp_port *pool)
{
	struct dp_counters *c = &w->count[pool->idx];
	struct dp_frame *f[DP_BURST];
	unsigned int n = 0;

	for (unsigned int i = 0; i < w->burst.n; i++) {
		struct dp_frame *one = &w->burst.frame[i];

		c->in_frames++;
		c->in_bytes += one->len;
		/* a NIC may give the guest's own broadcast back */
		if (one->drop == DP_N_DROPS && pool->guest->conf.n_macs &&
		    in_source_allowed(pool->guest, one->head + 6))
			one->drop = DP_DROP_OWN;
		if (one->drop != DP_N_DROPS) {
			c->in_drop[one->drop]++;
			continue;
		}
		one->tagged = 0;
		one->vid = one->tci = pool->guest->conf.vlan;
		f[n++] = one;
	}
	out_guest(w, pool->guest, f, n);
	dp_flush_touched(w);
}
