/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See helper_vhost_be.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/proto/virtio_net_abi.h"
#include "helper_vhost_be.h"

void be_init(struct be *be)
{
	memset(be, 0, sizeof(*be));
	be->features = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) |
		       VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX) |
		       VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC) |
		       VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	be->protocol = VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) |
		       VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
		       VIRTIO_BIT(VHOST_USER_PROTOCOL_F_FL_FILTER);
	be->queue_num = 4;
	be->sock = be->front = -1;
	for (unsigned int i = 0; i < BE_RINGS; i++)
		be->ring[i].kick = be->ring[i].call = -1;
	pthread_mutex_init(&be->lock, NULL);
}

static void be_keep_fd(int *where, int fd)
{
	if (*where >= 0)
		close(*where);
	*where = fd;
}

/* One message; its descriptor, if there is one, in *fd (more are closed). False at the end. */
static bool be_recv(struct be *be, struct vhost_user_msg *m, int *fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(VHOST_USER_MSG_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(m->hdr) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };

	*fd = -1;
	memset(m, 0, sizeof(*m));
	if (recvmsg(be->sock, &mh, MSG_WAITALL) != (ssize_t)sizeof(m->hdr))
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*fd < 0)
				*fd = got;
			else
				close(got);
		}
	}
	return m->hdr.size <= sizeof(m->p) &&
	       (!m->hdr.size || recv(be->sock, &m->p, m->hdr.size, MSG_WAITALL) == m->hdr.size);
}

/* Keeps what the message says; true when it has an answer of its own, which is in *m then. */
static bool be_keep(struct be *be, struct vhost_user_msg *m, int fd)
{
	struct be_ring *r = &be->ring[m->p.state.index % BE_RINGS];

	switch (m->hdr.request) {
	case VHOST_USER_GET_FEATURES: m->p.u64 = be->features; break;
	case VHOST_USER_GET_PROTOCOL_FEATURES: m->p.u64 = be->protocol; break;
	case VHOST_USER_GET_QUEUE_NUM: m->p.u64 = be->queue_num; break;
	case VHOST_USER_SET_FEATURES: be->set_features = m->p.u64; return false;
	case VHOST_USER_SET_PROTOCOL_FEATURES: be->set_protocol = m->p.u64; return false;
	case VHOST_USER_SET_MEM_TABLE: be->memory = m->p.memory; break;
	case VHOST_USER_SET_VRING_NUM: r->num = m->p.state.num; return false;
	case VHOST_USER_SET_VRING_BASE: r->base = m->p.state.num; return false;
	case VHOST_USER_SET_VRING_ADDR: r->addr = m->p.addr; return false;
	case VHOST_USER_SET_VRING_ENABLE: r->enabled = m->p.state.num; return false;
	case VHOST_USER_SET_VRING_KICK:
		be_keep_fd(&be->ring[m->p.u64 % BE_RINGS].kick, fd);
		return false;
	case VHOST_USER_SET_VRING_CALL:
		be_keep_fd(&be->ring[m->p.u64 % BE_RINGS].call, fd);
		be->ring[m->p.u64 % BE_RINGS].no_call = m->p.u64 & VHOST_USER_VRING_NOFD;
		return false;
	case VHOST_USER_GET_VRING_BASE: be->n_stopped++; return true;
	case VHOST_USER_FL_SET_FILTER:
		be->filter = m->p.filter;
		be->n_filters++;
		return false;
	default: return false;
	}
	if (m->hdr.request == VHOST_USER_SET_MEM_TABLE) {
		close(fd);
		return false;
	}
	m->hdr.size = sizeof(m->p.u64);
	return true;
}

static void be_send(struct be *be, const struct vhost_user_msg *m, size_t len, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = (void *)m, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (fd >= 0) {
		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control);
	}
	if (sendmsg(be->sock, &mh, MSG_NOSIGNAL) < 0)
		return; /* the front-end has had enough of us */
}

/* Sends the answer, spoilt in the way that was asked for. False: the back-end ends. */
static bool be_answer(struct be *be, struct vhost_user_msg *m, enum be_fault fault)
{
	size_t len;
	int fd = -1;

	m->hdr.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	len = sizeof(m->hdr) + m->hdr.size;
	switch (fault) {
	case BE_DIE: return false;
	case BE_MUTE: return true;
	case BE_SHORT: m->hdr.size -= 4, len -= 4; break;
	case BE_HUGE: m->hdr.size = UINT32_MAX; break;
	case BE_HALF: len = sizeof(m->hdr) / 2; break;
	case BE_OTHER: m->hdr.request++; break;
	case BE_NO_REPLY: m->hdr.flags &= ~VHOST_USER_REPLY; break;
	case BE_EXTRA_FD: fd = be->sock; break;
	case BE_REFUSE: m->p.u64 = 1; break;
	case BE_WRONG_RING: m->p.state.index++; break;
	case BE_TWICE: be_send(be, m, len, -1); break;
	case BE_GOOD: break;
	}
	be_send(be, m, len, fd);
	return true;
}

static void *be_main(void *arg)
{
	struct be *be = arg;
	struct vhost_user_msg m;
	int fd;

	while (be_recv(be, &m, &fd)) {
		bool bad = m.hdr.request == be->bad_request, answer, need;

		pthread_mutex_lock(&be->lock);
		need = m.hdr.flags & VHOST_USER_NEED_REPLY;
		answer = be_keep(be, &m, fd);
		be->n_messages++;
		be->n_got[m.hdr.request % 64]++;
		pthread_mutex_unlock(&be->lock);
		if (!answer && need) {
			m.hdr.size = sizeof(m.p.u64);
			m.p.u64 = 0;
			answer = true;
		}
		if (bad && be->fault == BE_DIE)
			break;
		if (answer && !be_answer(be, &m, bad ? be->fault : BE_GOOD))
			break;
	}
	shutdown(be->sock, SHUT_RDWR);
	return NULL;
}

int be_start(struct be *be)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	be->sock = sv[0];
	be->front = sv[1];
	assert_int_equal(pthread_create(&be->thread, NULL, be_main, be), 0);
	be->running = true;
	return be->front;
}

void be_stop(struct be *be)
{
	if (be->running) {
		shutdown(be->sock, SHUT_RDWR);
		pthread_join(be->thread, NULL);
		close(be->sock);
		be->running = false;
	}
	for (unsigned int i = 0; i < BE_RINGS; i++) {
		be_keep_fd(&be->ring[i].kick, -1);
		be_keep_fd(&be->ring[i].call, -1);
	}
}

unsigned int be_got(struct be *be, uint32_t request)
{
	unsigned int n;

	pthread_mutex_lock(&be->lock);
	n = request == VHOST_USER_FL_SET_FILTER ? be->n_filters : be->n_got[request % 64];
	pthread_mutex_unlock(&be->lock);
	return n;
}

void be_await(struct be *be, uint32_t request, unsigned int n)
{
	for (int i = 0; i < 20000 && be_got(be, request) < n; i++)
		usleep(1000);
	assert_true(be_got(be, request) >= n);
}
