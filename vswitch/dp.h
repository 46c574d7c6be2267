/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data path of fourlane-switch: workers that take frames from ports, look them up and put them
 * into other ports. The control thread adds and removes ports, rings and queues while it runs; each
 * such call returns only when every worker has passed a quiescent point (rte_rcu_qsbr), so what was
 * taken away may be unmapped or freed. All calls here are the control thread's.
 *
 * A frame from a guest is copied once, from its sender's buffer into its receiver's. A frame that
 * leaves by a NIC is copied once into an mbuf; one that comes from a NIC once out of it.
 */
#ifndef VSWITCH_DP_H
#define VSWITCH_DP_H

#include <stdbool.h>
#include <stdint.h>

#include "vswitch/vhost.h"

#define DP_MAX_PORTS   256
#define DP_MAX_WORKERS 16
#define DP_NAME_MAX    32
#define DP_MAX_MACS    16
#define DP_N_VIDS      4096

struct dp;
struct dp_port;
struct vmdq_pool; /* vmdq/vmdq.h */

struct dp_conf {
	unsigned int n_workers; /* 1..DP_MAX_WORKERS, each a thread */
	int cpu[DP_MAX_WORKERS]; /* to run on; -1: wherever */
	unsigned int fdb_entries; /* of the whole table, at most; rounded up */
	unsigned int fdb_age_s;   /* an address not seen that long is forgotten */
};

/* dp_create - after rte_eal_init(). Starts the workers. Negative errno after a message. */
int dp_create(const struct dp_conf *conf, struct dp **out);
void dp_destroy(struct dp *dp); /* accepts NULL; all ports removed before */

/*
 * dp_watch - to be called every DP_WATCH_MS or so: a worker that hangs in a guest's call eventfd,
 * which its owner may make block at any time, is set free; that ring stops.
 */
#define DP_WATCH_MS 200
void dp_watch(struct dp *dp);

enum dp_kind {
	DP_GUEST, /* rings of a guest (vhost-user) */
	DP_ETH,   /* an ethdev: NIC, tap */
	DP_POOL   /* a queue of a NIC that belongs to one guest port (vmdq) */
};

struct dp_port_conf {
	char name[DP_NAME_MAX];
	enum dp_kind kind;
	/*
	 * access: untagged frames are of this VLAN, tagged ones are dropped (a priority tag, VID 0,
	 * counts as untagged); out it goes untagged. trunk: frames of the listed VLANs, tagged; vlan
	 * is the native one for untagged frames (0: untagged frames are dropped). VLAN 0 on an
	 * access port is the network of those who use no VLANs at all.
	 */
	bool trunk;
	uint16_t vlan;
	uint64_t trunk_vlan[DP_N_VIDS / 64]; /* bit VID */
	/* Other switches may be behind it: frames whose source is a local port's are dropped before
	 * learning (they are our own, come back). Default for DP_ETH. */
	bool uplink;
	unsigned int n_macs; /* source addresses allowed; 0: any (and no check) */
	uint8_t mac[DP_MAX_MACS][6];
	unsigned int max_learned; /* addresses learned on this port, at most */
	unsigned int n_pairs;     /* queue pairs: of the guest, or to use of an ethdev */
};

/*
 * dp_port_add - a port without rings or queues yet: it takes part in the VLANs but moves nothing.
 * -EEXIST (name), -ENOSPC, -ENOMEM without a message. dp_port_remove - forgets what was learned on
 * it; rings and queues are stopped if they were not.
 */
int dp_port_add(struct dp *dp, const struct dp_port_conf *conf, struct dp_port **out);
void dp_port_remove(struct dp_port *p); /* accepts NULL */
const struct dp_port_conf *dp_port_conf(const struct dp_port *p);

/* --- DP_GUEST: as struct vhost_ops says. dp_ring_start: -EACCES within a minute after a call eventfd
 * of this port made a worker wait. --- */
int dp_ring_start(struct dp_port *p, unsigned int ring, const struct vhost_ring_conf *conf);
uint16_t dp_ring_stop(struct dp_port *p, unsigned int ring);
void dp_ring_enable(struct dp_port *p, unsigned int ring, bool on);
void dp_ring_call(struct dp_port *p, unsigned int ring, int call_fd);
void dp_set_filter(struct dp_port *p, const struct vhost_user_filter *f); /* NULL: takes all */

/* --- DP_ETH: queues 0..n_queues of a started ethdev, receive and transmit --- */
int dp_eth_start(struct dp_port *p, uint16_t ethdev, unsigned int n_queues);
void dp_eth_stop(struct dp_port *p);

/*
 * --- DP_POOL: what the pool receives goes to `guest` without a look-up; what the guest sends to no
 * local port leaves by the pool. The guest port stays until dp_pool_stop(). ---
 */
int dp_pool_start(struct dp_port *p, struct vmdq_pool *pool, struct dp_port *guest);
void dp_pool_stop(struct dp_port *p);

/* --- what can be seen --- */
enum dp_drop {             /* each frame that goes nowhere has one cause */
	DP_DROP_NO_BUFFER, /* the receiver has no buffer, or its queue is full */
	DP_DROP_DOWN,      /* the receiver's rings do not run */
	DP_DROP_VLAN,      /* a VLAN that the port is no member of */
	DP_DROP_SOURCE,    /* source address not allowed on this port, or no unicast address */
	DP_DROP_OWN,       /* came in by an uplink, but its source is a local port's */
	DP_DROP_SAME_PORT, /* it would leave by the port it came from */
	DP_DROP_NO_PORT,   /* nobody else in its VLAN */
	DP_DROP_FILTERED,  /* the receiver's filter refuses it */
	DP_DROP_TOO_LONG,  /* longer than the receiver's buffers, or than 16384 */
	DP_DROP_TOO_SHORT, /* below 14 bytes */
	DP_DROP_OFFLOAD,   /* asks for an offload that was not negotiated */
	DP_DROP_NO_MBUF,
	DP_DROP_BAD_RING,  /* the guest broke the rules: the ring stops */
	DP_N_DROPS
};
extern const char *const dp_drop_name[DP_N_DROPS]; /* "no_buffer", ... */

/*
 * Counters of a port. in: frames that came in by it; out: frames that left by it. in_drop counts
 * frames that came in by it and went nowhere at all; out_drop copies that were for it and did not
 * reach it. For the whole switch:
 *      sum(in) + replicated == sum(out) + sum(in_drop) + sum(out_drop)
 * where `replicated` are the copies beyond the first of frames that go to several ports.
 */
struct dp_counters {
	uint64_t in_frames, in_bytes, out_frames, out_bytes;
	uint64_t in_drop[DP_N_DROPS], out_drop[DP_N_DROPS];
	uint64_t replicated; /* of frames that came in by it */
	uint64_t copied_bytes;
	uint64_t kicks, calls; /* eventfds read and written */
	uint64_t bad_rings;
};

/*
 * dp_counters - of n ports at one moment: every frame is counted wholly or not at all, so the
 * equation above holds in every answer (over all ports, removed ones in *gone). p and c have n
 * entries.
 */
void dp_counters(struct dp *dp, struct dp_port *const *p, struct dp_counters *c, unsigned int n,
		 struct dp_counters *gone);

struct dp_worker_info {
	int tid, cpu;
	uint64_t rounds, busy_rounds, sleeps, frames;
	unsigned int n_queues; /* rings and ethdev queues it polls */
};
unsigned int dp_workers(struct dp *dp, struct dp_worker_info *info); /* DP_MAX_WORKERS entries */

struct dp_fdb_entry {
	uint8_t mac[6];
	uint16_t vlan;
	char port[DP_NAME_MAX];
	unsigned int age_s;
	bool is_static; /* a port's allowed address */
};
struct dp_fdb_info {
	unsigned int n, max;
	uint64_t learned, moved, aged, refused_full, refused_port;
};
/* dp_fdb_read - up to max entries; gives how many there are. */
unsigned int dp_fdb_read(struct dp *dp, struct dp_fdb_entry *e, unsigned int max);
void dp_fdb_info(struct dp *dp, struct dp_fdb_info *info);
void dp_fdb_flush(struct dp *dp, const struct dp_port *p); /* NULL: of all ports */

#endif
