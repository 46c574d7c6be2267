/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the vhost-user back-end (vhost.h): vhost_conn.c reads messages, checks their shape
 * and answers; vhost_mem.c maps what the front-end shares; vhost_ring.c keeps the rings' state and
 * starts and stops them; vhost_sigbus.c is there for memory that its owner takes away. All but the
 * signal handler is the control thread's.
 */
#ifndef VSWITCH_VHOST_PRIV_H
#define VSWITCH_VHOST_PRIV_H

#include "core/err.h"
#include "vswitch/vhost.h"

#define VHOST_OUT_BYTES 1024 /* answers that the peer has not read; one has at most 20 bytes */

struct vhost_ring {
	bool running, enabled;
	bool has_addr, has_kick;
	bool base_is_ours;          /* from our own stop, not from the front-end */
	uint16_t size, base;        /* size 0: not told yet */
	uint64_t desc, avail, used; /* user addresses of the front-end */
	int kick_fd, call_fd, err_fd;
};

struct vhost_conn {
	int fd;
	char name[32];
	const struct vhost_ops *ops;
	void *opaque;
	uint64_t offered;
	unsigned int n_rings;

	bool owner, has_features, has_filter;
	uint64_t features, protocol_features; /* negotiated */
	struct vhost_mem mem;
	struct vhost_ring ring[VHOST_MAX_RINGS];

	/* the message that is coming in */
	struct vhost_user_hdr hdr;
	union vhost_user_payload payload;
	size_t n_read; /* of header and payload together */
	int fds[VHOST_USER_MAX_REGIONS];
	unsigned int n_fds;

	uint8_t out[VHOST_OUT_BYTES];
	size_t n_out;
	long long since_ms; /* when we were accepted, or the first byte of this message came */
	bool heard;         /* anything at all */
	uint64_t n_messages;
	struct err_limit own_limit, *limit;
};

/* vhost_fault - the peer broke the rules: says why, at a limited rate. Gives -EPROTO. */
int vhost_fault(struct vhost_conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* vhost_take_fd - the only descriptor of the message becomes the caller's; -1: none came. */
int vhost_take_fd(struct vhost_conn *c);
void vhost_close_fd(int *fd);

/* --- vhost_mem.c --- */
/*
 * vhost_mem_map - checks a table and maps its regions into *out, which unmaps when the connection's
 * socket `sock` is done with them. Descriptors stay the caller's. Negative errno, *why says what is
 * wrong; nothing is mapped then.
 */
int vhost_mem_map(const struct vhost_user_memory *table, const int *fds, int sock,
		  struct vhost_mem *out, const char **why);
/* vhost_mem_unmap - no ring that uses it runs any more. */
void vhost_mem_unmap(struct vhost_mem *m);
/* vhost_mem_user - host address of front-end addresses [user, user+len), NULL unless in one region.
 */
void *vhost_mem_user(const struct vhost_mem *m, uint64_t user, uint64_t len);

/* --- vhost_ring.c: handlers of messages, and what moves all rings --- */
int vhost_ring_set_num(struct vhost_conn *c);
int vhost_ring_set_addr(struct vhost_conn *c);
int vhost_ring_set_base(struct vhost_conn *c);
int vhost_ring_get_base(struct vhost_conn *c);
int vhost_ring_set_kick(struct vhost_conn *c);
int vhost_ring_set_call(struct vhost_conn *c);
int vhost_ring_set_err(struct vhost_conn *c);
int vhost_ring_set_enable(struct vhost_conn *c);
void vhost_rings_init(struct vhost_conn *c);
void vhost_rings_stop(struct vhost_conn *c);
/* vhost_rings_restart - those that are complete and whose addresses translate. */
void vhost_rings_restart(struct vhost_conn *c);
void vhost_rings_enable(struct vhost_conn *c, bool on);
void vhost_rings_close(struct vhost_conn *c); /* after vhost_rings_stop() */

/* --- vhost_sigbus.c --- */
/*
 * vhost_sigbus_add - memory that may be shorter than it looks. When an access to it fails, zeros
 * of our own take the place of all of it and socket `sock` is shut down, so that its reader ends
 * the connection. -ENOSPC: too many. vhost_sigbus_remove - before it is unmapped.
 */
int vhost_sigbus_add(void *map, uint64_t size, int sock);
void vhost_sigbus_remove(void *map);
/* vhost_sigbus_broken - has that happened? */
bool vhost_sigbus_broken(const void *map);

#endif
