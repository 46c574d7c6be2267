/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One vhost-user message on its socket, for vhost_user.c and its tests: sent and received whole or
 * not at all, each with a deadline. Knows the frame of a message and nothing of what it says.
 */
#ifndef PV_NET_VHOST_USER_PRIV_H
#define PV_NET_VHOST_USER_PRIV_H

#include <stdint.h>

#include "core/proto/vhost_user.h"

#define VHOST_USER_MSG_FDS 8 /* descriptors with a message, at most */

struct vhost_user_msg {
	struct vhost_user_hdr hdr;
	union vhost_user_payload p;
} __attribute__((packed));

_Static_assert(offsetof(struct vhost_user_msg, p) == sizeof(struct vhost_user_hdr), "on the wire");

/* vhost_user_now - CLOCK_MONOTONIC in nanoseconds; deadlines are points of it. */
uint64_t vhost_user_now(void);

/*
 * vhost_user_msg_send - m->hdr.size bytes of payload, with fd[0..n_fds) (they stay the caller's).
 * -ETIMEDOUT: the other side does not read; -EPIPE: it is gone; the connection is useless then.
 */
int vhost_user_msg_send(int sock, const struct vhost_user_msg *m, const int *fd, unsigned int n_fds,
			uint64_t deadline);

/*
 * vhost_user_msg_recv - one message without descriptors. -ETIMEDOUT, -EPIPE as above, -EPROTO: it
 * is larger than any payload, or descriptors came with it (they are closed).
 */
int vhost_user_msg_recv(int sock, struct vhost_user_msg *m, uint64_t deadline);

#endif
