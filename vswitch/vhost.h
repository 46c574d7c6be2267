/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back-end of vhost-user: the message layer of one connection, for port_vhost.c. It speaks with
 * a hostile front-end: never blocks, keeps all state per connection, gives every message a
 * deadline, checks every index, size, address and descriptor, and takes the rings away from the
 * workers before it changes anything they use. Plain C without DPDK: unit tests and the fuzzer
 * drive it over a socketpair. docs/interop/vhost-user.rst of QEMU 11.
 *
 * Everything here runs on the control thread.
 */
#ifndef VSWITCH_VHOST_H
#define VSWITCH_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/proto/vhost_user.h"

#define VHOST_MAX_RINGS   16    /* 8 pairs */
#define VHOST_MESSAGE_MS  2000  /* from the first byte of a message to its last */
#define VHOST_SILENCE_MS  10000 /* from accept to the first byte */

/* What a front-end has shared, mapped. Constant while any ring that got it runs. */
struct vhost_mem_region {
	uint64_t gpa, size, user_addr;
	uint8_t *host; /* of the first byte at gpa */
	void *map;
	uint64_t map_size;
};
struct vhost_mem {
	unsigned int n;
	struct vhost_mem_region region[VHOST_USER_MAX_REGIONS]; /* sorted by gpa, not overlapping */
};

/* vhost_mem_ptr - host address of guest bytes [gpa, gpa+len), NULL unless all lie in one region. */
static inline void *vhost_mem_ptr(const struct vhost_mem *m, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < m->n; i++) {
		uint64_t off = gpa - m->region[i].gpa;

		if (off < m->region[i].size && len <= m->region[i].size - off)
			return m->region[i].host + off;
	}
	return 0;
}

/* A ring that is to run: checked, translated. Descriptors stay the message layer's. */
struct vhost_ring_conf {
	const struct vhost_mem *mem;
	uint64_t features; /* negotiated virtio features */
	uint16_t size;     /* power of two, at most 32768 */
	uint16_t base;     /* next entry of the available ring; the used index at a first start */
	void *desc, *avail, *used; /* whole rings, event fields included, aligned */
	int kick_fd, call_fd;      /* -1: none (polled; no interrupt wanted) */
	bool enabled;
};

/* What the message layer tells its user. */
struct vhost_ops {
	/* A ring may run (it has everything). Ring 2i receives for pair i, 2i+1 transmits. */
	void (*ring_start)(void *opaque, unsigned int ring, const struct vhost_ring_conf *conf);
	/*
	 * When this returns no worker touches the ring, its descriptors or the memory any more.
	 * Gives the next entry of the available ring. Called only for rings that were started.
	 */
	uint16_t (*ring_stop)(void *opaque, unsigned int ring);
	void (*ring_enable)(void *opaque, unsigned int ring, bool on); /* while started */
	void (*ring_call)(void *opaque, unsigned int ring, int call_fd); /* the old one is closed
									    when this returns */
	void (*filter)(void *opaque, const struct vhost_user_filter *f); /* NULL: none any more */
};

struct vhost_conn;

/*
 * vhost_conn_create - over a connected stream socket, which it makes non-blocking and owns from
 * here (also when this fails). `name` is the port's, for messages; `features` the virtio features
 * to offer; n_pairs the queue pairs (1..8). -ENOMEM, -EINVAL.
 */
int vhost_conn_create(int fd, const char *name, uint64_t features, unsigned int n_pairs,
		      const struct vhost_ops *ops, void *opaque, struct vhost_conn **out);
struct err_limit;
/*
 * vhost_conn_set_limit - counts this connection's faults in the caller's struct, which outlives it:
 * a front-end that comes again and again is then no way around the limit.
 */
void vhost_conn_set_limit(struct vhost_conn *c, struct err_limit *limit);
/*
 * vhost_conn_assume_owner - SET_OWNER is not waited for. For a connection that we have made: DPDK's
 * virtio-user says it only to the first back-end that connects.
 */
void vhost_conn_assume_owner(struct vhost_conn *c);
/* Stops all rings (by ops), unmaps, closes. Accepts NULL. */
void vhost_conn_destroy(struct vhost_conn *c);

/*
 * vhost_conn_ready - the socket is readable (or writable: an answer waits): handles whole messages,
 * a bounded number of them. 0; -EPIPE the other side has gone; -EPROTO it broke the rules, after a
 * rate-limited message: the caller destroys the connection.
 */
int vhost_conn_ready(struct vhost_conn *c);
bool vhost_conn_wants_write(const struct vhost_conn *c);
/*
 * vhost_conn_deadline_ms - when (rpc_now_ms() clock) vhost_conn_expired() is to be asked; -1: no
 * deadline now. vhost_conn_expired - true when a half message or silence has lasted too long.
 */
long long vhost_conn_deadline_ms(const struct vhost_conn *c);
bool vhost_conn_expired(const struct vhost_conn *c, long long now_ms);

struct vhost_conn_info {
	uint64_t features, protocol_features; /* negotiated */
	unsigned int n_regions, n_rings_running;
	uint64_t mem_bytes, n_messages;
};
void vhost_conn_info(const struct vhost_conn *c, struct vhost_conn_info *info);

/*
 * vhost_sigbus_install - before the first connection of the process, after whatever else takes
 * SIGBUS; once more does nothing. A front-end that makes its shared memory shorter then loses its
 * connection, instead of ending the switch. sw_core.c calls it. 0 or negative errno.
 */
int vhost_sigbus_install(void);

#endif
