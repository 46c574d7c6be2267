/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ethdevs and pools as sources and as receivers. A frame of a guest is copied into an mbuf once;
 * one that came in an mbuf and leaves unchanged by one port only is moved on as it is. What a
 * device does not take at once is dropped: a NIC that stands still holds nobody up.
 */
#include <rte_ethdev.h>
#include <string.h>

#include "vmdq/vmdq.h"
#include "vswitch/dp_priv.h"

/* --- in --- */
static void take_mbuf(struct rte_mbuf *m, struct dp_frame *f, struct dp_seg *seg)
{
	f->m = m;
	f->seg = seg;
	f->n_segs = 0;
	f->len = rte_pktmbuf_pkt_len(m);
	f->drop = DP_N_DROPS;
	if (f->len > DP_MAX_FRAME || m->nb_segs > DP_SEGS) {
		f->drop = DP_DROP_TOO_LONG;
		return;
	}
	if (f->len < DP_MIN_FRAME) {
		f->drop = DP_DROP_TOO_SHORT;
		return;
	}
	for (; m; m = m->next)
		if (m->data_len)
			seg[f->n_segs++] =
				(struct dp_seg){ rte_pktmbuf_mtod(m, uint8_t *), m->data_len };
	dp_frame_head(f);
}

unsigned int dp_eth_take(struct dp_worker *w, const struct dp_source *s)
{
	struct dp_burst *b = &w->burst;
	struct vmdq_pool *pool;

	b->n = 0;
	if (s->kind == DP_SOURCE_ETH) {
		b->n = rte_eth_rx_burst(s->port->ethdev, s->queue, w->mbuf, DP_BURST);
	} else {
		pool = atomic_load_explicit(&s->port->vmdq, memory_order_acquire);
		b->n = pool ? vmdq_rx(pool, w->mbuf, DP_BURST) : 0;
	}
	for (unsigned int i = 0; i < b->n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(w->mbuf[i], void *));
	for (unsigned int i = 0; i < b->n; i++)
		take_mbuf(w->mbuf[i], &b->frame[i], &b->seg[i * DP_SEGS]);
	return b->n;
}

/* --- out --- */
/* Up to the shortest frame of Ethernet: not every NIC takes or pads shorter ones. */
static void eth_pad(struct rte_mbuf *m)
{
	uint16_t n = m->pkt_len < DP_MIN_WIRE ? (uint16_t)(DP_MIN_WIRE - m->pkt_len) : 0;
	char *pad = n ? rte_pktmbuf_append(m, n) : NULL;

	if (pad)
		memset(pad, 0, n);
}

/* The frame in an mbuf of its own: moved, or copied. NULL: none is free. */
static struct rte_mbuf *eth_mbuf(struct dp_worker *w, struct dp_port *p, struct dp_frame *f,
				 bool tag, bool shared)
{
	uint32_t len = dp_frame_out_len(f, tag);
	struct rte_mbuf *m;

	/* a tag that says a priority only, VID 0, has to leave with its VLAN: not as it is */
	if (f->m && !shared && tag == (bool)f->tagged &&
	    (!tag || dp_be16(f->head + 14) == f->tci)) {
		m = f->m;
		f->m = NULL;
		eth_pad(m);
		return m;
	}
	m = rte_pktmbuf_alloc(w->dp->mp);
	if (!m)
		return NULL;
	if (len > rte_pktmbuf_tailroom(m)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	dp_frame_copy(f, tag, rte_pktmbuf_mtod(m, uint8_t *));
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	eth_pad(m);
	w->count[p->idx].copied_bytes += len;
	return m;
}

static unsigned int eth_send(struct dp_worker *w, struct dp_port *p, struct rte_mbuf **m,
			     unsigned int n)
{
	unsigned int n_queues = atomic_load_explicit(&p->n_queues, memory_order_acquire), q, sent;
	struct vmdq_pool *pool;

	if (!n_queues)
		return 0;
	q = w->idx % n_queues;
	rte_spinlock_lock(&p->eth_lock[q]);
	pool = atomic_load_explicit(&p->vmdq, memory_order_acquire);
	if (p->conf.kind == DP_POOL)
		sent = pool ? vmdq_tx(pool, m, (uint16_t)n) : 0;
	else
		sent = rte_eth_tx_burst(p->ethdev, (uint16_t)q, m, (uint16_t)n);
	rte_spinlock_unlock(&p->eth_lock[q]);
	return sent;
}

void dp_eth_put(struct dp_worker *w, struct dp_port *p, struct dp_frame *const *f, unsigned int n,
		const bool *shared)
{
	struct dp_counters *c = &w->count[p->idx];
	bool down = !atomic_load_explicit(&p->n_queues, memory_order_relaxed), tag = false;
	struct rte_mbuf *m[DP_BURST];
	uint32_t len[DP_BURST];
	unsigned int k = 0, sent;

	for (unsigned int i = 0; i < n; i++) {
		dp_port_has_vlan(p, f[i]->vid, &tag);
		if (down) {
			c->out_drop[DP_DROP_DOWN]++;
			continue;
		}
		if (!tag && dp_frame_hides_tag(p, f[i])) {
			c->out_drop[DP_DROP_VLAN]++;
			continue;
		}
		len[k] = dp_frame_out_len(f[i], tag);
		m[k] = eth_mbuf(w, p, f[i], tag, shared);
		if (m[k])
			k++;
		else
			c->out_drop[len[k] > RTE_MBUF_DEFAULT_DATAROOM ? DP_DROP_TOO_LONG
								       : DP_DROP_NO_MBUF]++;
	}
	sent = k ? eth_send(w, p, m, k) : 0;
	for (unsigned int i = 0; i < sent; i++)
		c->out_bytes += len[i];
	c->out_frames += sent;
	c->out_drop[DP_DROP_NO_BUFFER] += k - sent;
	for (unsigned int i = sent; i < k; i++)
		rte_pktmbuf_free(m[i]);
}
