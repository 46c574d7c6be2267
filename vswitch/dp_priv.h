/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the data path (dp.h). A burst goes through the files in this order: dp_ring.c or
 * dp_eth.c takes frames from a source, dp_forward.c decides for each where it goes (dp_fdb.c knows
 * the addresses), dp_ring.c or dp_eth.c puts it there; dp_worker.c goes round the sources and
 * sleeps; dp_port.c is what the control thread calls; dp_count.c what it asks.
 *
 * Who may touch what: a source (a guest's transmit ring, a queue of a NIC) belongs to one worker. A
 * guest's receive ring may be written by all workers, under its lock. What the control thread takes
 * away it first unpublishes (an atomic pointer), then waits for every worker to pass a quiescent
 * state: after that nobody has it.
 */
#ifndef VSWITCH_DP_PRIV_H
#define VSWITCH_DP_PRIV_H

#include <assert.h>
#include <pthread.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_spinlock.h>
#include <stdatomic.h>

#include "core/err.h"
#include "core/proto/virtio_net_abi.h"
#include "vswitch/dp.h"

#define DP_BURST     32
#define DP_SEGS      24    /* pieces of a frame, at most */
#define DP_CHAIN_MAX 128   /* descriptors of a frame that are looked at, empty ones too */
#define DP_MAX_FRAME 16384 /* bytes */
#define DP_MIN_WIRE  60    /* bytes; shorter ones are padded for a NIC */
#define DP_MIN_FRAME 14
#define DP_HEAD      18 /* bytes of a frame that decide where it goes: addresses, tag, type */
#define DP_MAX_PAIRS (VHOST_MAX_RINGS / 2)
#define DP_TAG       4

static_assert(DP_MAX_PORTS < 0xffff, "port numbers are 16 bit");

/* --- frames --- */
struct dp_seg {
	const uint8_t *ptr;
	uint32_t len;
};

/* A frame on its way. What stands in guest memory may change meanwhile: head is the one copy that
 * is looked at, and that goes out. */
struct dp_frame {
	uint8_t head[DP_HEAD]; /* zeros behind a shorter frame */
	uint8_t tagged;        /* it came with a tag */
	uint8_t drop;          /* enum dp_drop: why it goes nowhere; DP_N_DROPS: it goes on */
	uint16_t vid;          /* the VLAN it is in */
	uint16_t tci;          /* what a tag that it leaves with says */
	uint16_t n_segs;
	uint32_t len; /* without header of virtio, with tag if it has one */
	struct dp_seg *seg;
	struct rte_mbuf
		*m; /* it stands in this one, which the forwarder frees or moves on; or NULL */
};

struct dp_burst {
	struct dp_frame frame[DP_BURST];
	unsigned int n;
	struct dp_seg seg[DP_BURST * DP_SEGS];
	unsigned int n_segs;
};

/* --- rings --- */
struct dp_worker;

struct dp_ring {
	struct vhost_ring_conf c;
	struct dp_port *port;
	unsigned int nr; /* of the ring in its port */
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	uint16_t size, mask, hdr_len;
	bool event_idx, mrg, indirect;
	_Atomic bool enabled, broken;
	_Atomic int call_fd;
	unsigned int region; /* where the last address was */

	rte_spinlock_t lock;     /* receive rings: all below */
	uint16_t avail_idx;      /* the driver's, as we read it last */
	uint16_t next;           /* entry to take next */
	uint16_t used_next;      /* entry of the used ring to write next */
	uint16_t published;      /* used index that the driver sees */
	uint16_t signalled;      /* ... and at the last decision about an interrupt */
	bool notify;             /* the driver is asked to notify us */
	uint16_t head[DP_BURST]; /* of the burst that was taken from a transmit ring */
	struct err_limit limit;
};

/* --- ports --- */
struct dp_filter {
	struct vhost_user_filter f;
};

struct dp_port {
	struct dp *dp;
	struct dp_port_conf conf;
	uint16_t idx;
	unsigned int n_learned; /* under the table's lock */
	/* DP_GUEST */
	struct dp_ring *_Atomic rx[DP_MAX_PAIRS], *_Atomic tx[DP_MAX_PAIRS];
	_Atomic unsigned int n_rx; /* pairs 0..n_rx) may have a receive ring that runs */
	struct dp_filter *_Atomic filter;
	struct dp_port *_Atomic pool; /* the pool that is this guest's */
	uint64_t bad_rings;           /* control thread: of rings that were stopped */
	_Atomic uint64_t blocked_tsc; /* a call eventfd made a worker wait; 0: never */
	/* DP_ETH: the transmit queues, one a worker; DP_POOL */
	_Atomic unsigned int n_queues; /* 0: stopped */
	uint16_t ethdev;
	rte_spinlock_t eth_lock[DP_MAX_WORKERS];
	struct vmdq_pool *_Atomic vmdq;
	struct dp_port *guest;
};

/* --- sources and workers --- */
enum dp_source_kind { DP_SOURCE_RING, DP_SOURCE_ETH, DP_SOURCE_POOL };

struct dp_source {
	enum dp_source_kind kind;
	struct dp_port *port;
	struct dp_ring *ring;
	uint16_t queue;
};

struct dp_sources { /* what a worker polls; replaced as a whole */
	unsigned int n;
	bool polled; /* one of them cannot wake a sleeper */
	struct dp_source s[];
};

struct dp_worker {
	struct dp *dp;
	unsigned int idx;
	pthread_t thread;
	bool started;
	int epoll, wake;
	_Atomic int tid;
	struct dp_sources *_Atomic sources;
	_Atomic bool asleep;
	_Atomic uint64_t n_calls; /* twice the interrupts; odd while one is being written */
	uint64_t watched_calls;   /* control thread: n_calls as it was at ... */
	uint64_t watched_tsc;

	struct dp_burst burst;
	struct rte_mbuf *mbuf[DP_BURST];
	struct dp_ring *touched[DP_BURST]; /* written, not shown to their drivers yet */
	unsigned int n_touched;
	uint32_t now_s; /* seconds since the start, coarse */
	uint64_t next_s_tsc;

	uint64_t rounds, busy_rounds, sleeps, frames;
	struct dp_counters *count; /* of each port, by its number; DP_MAX_PORTS */
};

struct dp {
	struct dp_conf conf;
	struct rte_mempool *mp;
	struct rte_rcu_qsbr *qsbr;
	struct dp_worker *worker[DP_MAX_WORKERS];
	struct dp_port *_Atomic port[DP_MAX_PORTS];
	_Atomic unsigned int n_ports; /* ports are below this number */
	struct dp_fdb *fdb;
	_Atomic bool stop, pause;
	_Atomic unsigned int n_paused;
	uint64_t tsc_hz, tsc_start;
	struct dp_counters gone; /* of removed ports; control thread */
};

/* dp_sync - when it returns every worker has let go of what was unpublished before. */
void dp_sync(struct dp *dp);
uint32_t dp_now_s(const struct dp *dp);

/* dp_worker.c */
int dp_worker_start(struct dp *dp, unsigned int idx);
void dp_worker_stop(struct dp_worker *w); /* accepts NULL */
/* dp_source_add - to the worker with the fewest; a ring's kick wakes it. dp_source_remove - of this
 * port, and of this ring unless it is NULL; waits. */
int dp_source_add(struct dp *dp, const struct dp_source *s);
void dp_source_remove(struct dp *dp, const struct dp_port *p, const struct dp_ring *r);
void dp_worker_wake(struct dp_worker *w);
/* dp_pause - the workers stand still between two rounds until dp_go_on(). Control thread. */
void dp_pause(struct dp *dp);
void dp_go_on(struct dp *dp);

/* dp_ring.c */
int dp_ring_init(struct dp_ring *r, struct dp_port *p, unsigned int nr,
		 const struct vhost_ring_conf *conf);
/* dp_ring_take - up to a burst from a transmit ring into b, its frames' head filled. Gives b->n. */
unsigned int dp_ring_take(struct dp_ring *r, struct dp_burst *b);
/* dp_ring_done - the frames of the burst are the driver's again. */
void dp_ring_done(struct dp_ring *r, unsigned int n, struct dp_worker *w);
/*
 * dp_ring_put - one frame into a receive ring, with or without a tag. DP_N_DROPS when it went.
 * Under the ring's lock; the driver sees it after dp_ring_flush().
 */
enum dp_drop dp_ring_put(struct dp_ring *r, const struct dp_frame *f, bool tag);
void dp_ring_flush(struct dp_ring *r, struct dp_worker *w);
void dp_ring_notify(struct dp_ring *r, bool on); /* transmit ring: kicks wanted */
bool dp_ring_has_work(const struct dp_ring *r);

/* dp_frame.c */
void dp_frame_head(struct dp_frame *f); /* fills head from the pieces */
/* dp_frame_copy - the whole frame as it leaves to dst, f->len -/+ a tag bytes. Gives the bytes. */
uint32_t dp_frame_copy(const struct dp_frame *f, bool tag, uint8_t *dst);
static inline uint32_t dp_frame_out_len(const struct dp_frame *f, bool tag)
{
	return f->len + (tag ? DP_TAG : 0) - (f->tagged ? DP_TAG : 0);
}
static inline uint16_t dp_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
/*
 * dp_frame_hides_tag - leaving without its own tag the frame would begin with another one, which a
 * port with several VLANs, or a wire, takes for the VLAN it is in: a way from one VLAN into another
 * by two tags.
 */
static inline bool dp_frame_hides_tag(const struct dp_port *p, const struct dp_frame *f)
{
	uint16_t type = dp_be16(f->head + (f->tagged ? 16 : 12));
	bool looks = p->conf.trunk || p->conf.kind == DP_ETH ||
		     (p->conf.kind == DP_POOL && !p->conf.vlan);

	return (type == 0x8100 || type == 0x88a8 || type == 0x9100) && looks;
}
/* dp_filter_takes - VHOST_USER_FL_SET_FILTER's rules. */
bool dp_filter_takes(const struct vhost_user_filter *f, const struct dp_frame *frame, bool tag);

/* dp_eth.c */
unsigned int dp_eth_take(struct dp_worker *w, const struct dp_source *s);
/* dp_eth_put - n frames to an ethdev or a pool; moves mbufs that need no change. */
void dp_eth_put(struct dp_worker *w, struct dp_port *p, struct dp_frame *const *f, unsigned int n,
		const bool *shared);

/* dp_forward.c */
void dp_forward(struct dp_worker *w, struct dp_port *in);
void dp_forward_pool(struct dp_worker *w, struct dp_port *pool);
void dp_flush_touched(struct dp_worker *w);
/* dp_port_has_vlan - is it a member, and do its frames leave with a tag? */
bool dp_port_has_vlan(const struct dp_port *p, uint16_t vid, bool *tag);

/* dp_fdb.c */
#define DP_FDB_NONE 0xffffu
struct dp_fdb;
int dp_fdb_create(unsigned int n_entries, unsigned int age_s, struct dp_fdb **out);
void dp_fdb_destroy(struct dp_fdb *t);
/* dp_fdb_look - the port of an address, DP_FDB_NONE when it is not known (any more). */
unsigned int dp_fdb_look(const struct dp_fdb *t, const uint8_t mac[6], uint16_t vid, uint32_t now_s,
			 bool *is_static);
/* dp_fdb_learn - a frame from this address came in by port p. */
void dp_fdb_learn(struct dp_fdb *t, const uint8_t mac[6], uint16_t vid, struct dp_port *p,
		  uint32_t now_s);
/* dp_fdb_add_static - -EEXIST: another port's; -ENOSPC. */
int dp_fdb_add_static(struct dp_fdb *t, const uint8_t mac[6], uint16_t vid, struct dp_port *p);
/* Forgets what is of port p (NULL: of all), static ones too when told. */
void dp_fdb_forget(struct dp_fdb *t, struct dp *dp, const struct dp_port *p, bool statics);
unsigned int dp_fdb_list(struct dp_fdb *t, struct dp *dp, struct dp_fdb_entry *e, unsigned int max,
			 uint32_t now_s);
void dp_fdb_count(struct dp_fdb *t, struct dp *dp, struct dp_fdb_info *info, uint32_t now_s);

#endif
