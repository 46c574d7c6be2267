/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends and receives one vhost-user message (see vhost_user_priv.h). Called on the connection's
 * thread; calls the kernel only. The other side may be slow, dead or hostile: nothing waits longer
 * than its deadline, a length is looked at before it is used, and no descriptor that comes is kept.
 * docs/interop/vhost-user.rst of QEMU 11, "Message Specification".
 */
#include "pv-net/vhost_user_priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* what the kernel passes with one message, at most: all of them get closed */
#define RECV_FDS 253

uint64_t vhost_user_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* Until the socket is ready, at most until the deadline. */
static int msg_wait(int sock, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = sock, .events = events };

	for (;;) {
		uint64_t now = vhost_user_now();
		int n = now < deadline ? poll(&p, 1, (int)((deadline - now) / 1000000) + 1) : 0;

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* A call on the socket failed: 0 when it is to be tried again. */
static int msg_again(int sock, short events, uint64_t deadline)
{
	if (errno == EAGAIN || errno == EINTR)
		return msg_wait(sock, events, deadline);
	return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

int vhost_user_msg_send(int sock, const struct vhost_user_msg *m, const int *fd, unsigned int n_fds,
			uint64_t deadline)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(VHOST_USER_MSG_FDS * sizeof(int))];
	} control = { 0 };
	size_t len = sizeof(m->hdr) + m->hdr.size, done = 0;
	struct iovec iov;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (m->hdr.size > sizeof(m->p) || n_fds > VHOST_USER_MSG_FDS)
		return -EINVAL;
	if (n_fds) {
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fd, n_fds * sizeof(int));
	}
	while (done < len) {
		ssize_t n;
		int ret;

		iov = (struct iovec){ .iov_base = (char *)m + done, .iov_len = len - done };
		n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			done += (size_t)n;
			mh.msg_control = NULL; /* they went with the first byte */
			mh.msg_controllen = 0;
		} else if ((ret = msg_again(sock, POLLOUT, deadline)) < 0) {
			return ret;
		}
	}
	return 0;
}

/* Closes what came. Gives whether anything did. */
static int msg_close_fds(struct msghdr *mh)
{
	int any = mh->msg_flags & MSG_CTRUNC, fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			close(fd);
			any = 1;
		}
	}
	return any;
}

static int msg_read(int sock, void *buf, size_t len, uint64_t deadline)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(RECV_FDS * sizeof(int))];
	} control;
	size_t done = 0;

	while (done < len) {
		struct iovec iov = { .iov_base = (char *)buf + done, .iov_len = len - done };
		struct msghdr mh = { .msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = &control,
				     .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		int ret;

		if (n >= 0 && msg_close_fds(&mh))
			return -EPROTO;
		if (n == 0)
			return -EPIPE;
		if (n > 0)
			done += (size_t)n;
		else if ((ret = msg_again(sock, POLLIN, deadline)) < 0)
			return ret;
		/* one that trickles in a byte at a time has no more time than any other */
		if (done < len && vhost_user_now() >= deadline)
			return -ETIMEDOUT;
	}
	return 0;
}

int vhost_user_msg_recv(int sock, struct vhost_user_msg *m, uint64_t deadline)
{
	int ret;

	memset(m, 0, sizeof(*m));
	ret = msg_read(sock, &m->hdr, sizeof(m->hdr), deadline);
	if (ret < 0)
		return ret;
	if (m->hdr.size > sizeof(m->p))
		return -EPROTO;
	return msg_read(sock, &m->p, m->hdr.size, deadline);
}
