/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: a hostile back-end of vhost-user against the monitor's front-end, over a socket
 * pair. The input is a row of chunks: a byte that says how many descriptors come with it (low 2
 * bits), two bytes of length, then bytes for the socket. The back-end, a thread, sends one for each
 * message that wants an answer, and ends the stream after the last, so that there is nothing to
 * wait for. Besides memory safety it checks that no descriptor stays behind and that stopping the
 * rings ends.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"
#include "core/proto/virtio_net_abi.h"
#include "pv-net/vhost_user.h"
#include "pv-net/vhost_user_priv.h"

#define FUZZ_MEM   (2u << 20)
#define FUZZ_RINGS 4
#define FUZZ_FEATURES \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | \
	 VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int fuzz_seeds(size_t i, const uint8_t **data, size_t *size);

static void fuzz_quiet(void *opaque, const char *line)
{
}

static void fuzz_link(void *opaque, bool up)
{
	*(bool *)opaque = up;
}

static void fuzz_chunk(int sock, const uint8_t *data, size_t len, unsigned int n_fds)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(3 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	const int fd[3] = { sock, sock, sock };

	if (!len)
		return;
	if (n_fds) {
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fd, n_fds * sizeof(int));
	}
	if (sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* more than a socket holds: the rest is left out */
}

struct fuzz_be {
	int sock;
	const uint8_t *data;
	size_t size;
	/* where in a message the stream is */
	uint8_t hdr[sizeof(struct vhost_user_hdr)];
	size_t n_hdr, left;
};

static void fuzz_follow(struct fuzz_be *be, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct vhost_user_hdr h;

		if (be->n_hdr < sizeof(h)) {
			be->hdr[be->n_hdr++] = data[i];
			memcpy(&h, be->hdr, sizeof(h));
			be->left = h.size <= sizeof(union vhost_user_payload) ? h.size : 0;
		} else {
			be->left--;
		}
		if (be->n_hdr == sizeof(h) && !be->left)
			be->n_hdr = 0;
	}
}

/* Sends chunks until a message is whole, or there are no more: then it gives false. */
static bool fuzz_say(struct fuzz_be *be)
{
	size_t len, sent = 0;

	while (be->size >= 3 && (!sent || be->n_hdr)) {
		len = be->data[1] | (size_t)be->data[2] << 8;
		if (len > be->size - 3)
			len = be->size - 3;
		fuzz_chunk(be->sock, be->data + 3, len, be->data[0] & 3);
		fuzz_follow(be, be->data + 3, len);
		sent += len;
		be->data += 3 + len;
		be->size -= 3 + len;
	}
	return be->size >= 3;
}

static bool fuzz_wants_answer(const struct vhost_user_msg *m)
{
	uint32_t request = m->hdr.request;

	return m->hdr.flags & VHOST_USER_NEED_REPLY || request == VHOST_USER_GET_FEATURES ||
	       request == VHOST_USER_GET_PROTOCOL_FEATURES || request == VHOST_USER_GET_QUEUE_NUM ||
	       request == VHOST_USER_GET_VRING_BASE;
}

static void *fuzz_backend(void *arg)
{
	struct fuzz_be *be = arg;
	struct vhost_user_msg m;
	bool more = true;

	/* the kernel closes the descriptors that nobody asks for */
	while (recv(be->sock, &m.hdr, sizeof(m.hdr), MSG_WAITALL) == (ssize_t)sizeof(m.hdr) &&
	       (!m.hdr.size || recv(be->sock, &m.p, m.hdr.size, MSG_WAITALL) > 0)) {
		if (!fuzz_wants_answer(&m) || !more)
			continue;
		more = fuzz_say(be);
		if (!more)
			shutdown(be->sock, SHUT_WR);
	}
	return NULL;
}

static void fuzz_guest(struct vhost_user *vu, const int fd[2])
{
	const struct nic_filter filter = { .broadcast = true };
	struct nic_ring ring[FUZZ_RINGS];

	for (unsigned int i = 0; i < FUZZ_RINGS; i++)
		ring[i] = (struct nic_ring){ .size = 64,
					     .desc = 0x10000 * (i + 1),
					     .avail = 0x10000 * (i + 1) + 0x4000,
					     .used = 0x10000 * (i + 1) + 0x8000,
					     .kick_fd = fd[0],
					     .call_fd = fd[1],
					     .enabled = i < 2 };
	vhost_user_set_filter(vu, &filter);
	vhost_user_start(vu, vhost_user_features(vu), ring,
			 2 * vhost_user_max_pairs(vu) < FUZZ_RINGS ? 2 : FUZZ_RINGS);
	vhost_user_enable(vu, 2, true);
	vhost_user_set_call(vu, 0, -1);
	vhost_user_stop(vu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool up = false;
	struct vhost_user_conf conf = {
		.name = "fuzz", .features = FUZZ_FEATURES, .link = fuzz_link, .opaque = &up
	};
	int before = dup(STDIN_FILENO), after, sv[2], fd[2];
	struct guest_mem *mem;
	struct vhost_user *vu;
	struct fuzz_be be;
	pthread_t thread;

	close(before);
	err_set_sink(fuzz_quiet, NULL);
	if (mem_create(FUZZ_MEM, &mem) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		abort();
	fd[0] = eventfd(0, EFD_NONBLOCK);
	fd[1] = eventfd(0, EFD_NONBLOCK);
	conf.mem = mem;
	be = (struct fuzz_be){ .sock = sv[0], .data = data, .size = size };
	if (pthread_create(&thread, NULL, fuzz_backend, &be))
		abort();
	if (vhost_user_create(&conf, sv[1], &vu) == 0) {
		if (vhost_user_features(vu) & ~FUZZ_FEATURES || !vhost_user_max_pairs(vu) ||
		    vhost_user_max_pairs(vu) > NIC_MAX_RINGS / 2)
			abort();
		fuzz_guest(vu, fd);
		vhost_user_destroy(vu);
	}
	pthread_join(thread, NULL);
	close(fd[0]);
	close(fd[1]);
	close(sv[0]);
	mem_destroy(mem);
	after = dup(STDIN_FILENO);
	close(after);
	if (after != before)
		abort();
	return 0;
}

/* --- conversations of good back-ends --- */
struct fuzz_seed {
	uint8_t data[4096];
	size_t size;
};

static void seed_reply(struct fuzz_seed *s, uint32_t request, const void *payload, uint32_t size)
{
	struct vhost_user_hdr h = { .request = request,
				    .flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
				    .size = size };
	uint8_t *at = s->data + s->size;

	at[0] = 0;
	at[1] = (uint8_t)(sizeof(h) + size);
	at[2] = 0;
	memcpy(at + 3, &h, sizeof(h));
	memcpy(at + 3 + sizeof(h), payload, size);
	s->size += 3 + sizeof(h) + size;
}

static void seed_u64(struct fuzz_seed *s, uint32_t request, uint64_t val)
{
	seed_reply(s, request, &val, sizeof(val));
}

static void seed_rings(struct fuzz_seed *s, unsigned int n, bool ack)
{
	static const uint32_t each[] = { VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE,
					 VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_CALL,
					 VHOST_USER_SET_VRING_KICK };

	if (ack) {
		seed_u64(s, VHOST_USER_SET_FEATURES, 0);
		seed_u64(s, VHOST_USER_SET_MEM_TABLE, 0);
		for (unsigned int i = 0; i < n * 5; i++)
			seed_u64(s, each[i % 5], 0);
		for (unsigned int i = 0; i < n; i++)
			seed_u64(s, VHOST_USER_SET_VRING_ENABLE, 0);
		if (n > 2)
			seed_u64(s, VHOST_USER_SET_VRING_ENABLE, 0);
		seed_u64(s, VHOST_USER_SET_VRING_CALL, 0);
		for (unsigned int i = 0; i < (n > 2 ? 3u : 2u); i++) /* off again */
			seed_u64(s, VHOST_USER_SET_VRING_ENABLE, 0);
	}
	for (uint32_t i = 0; i < n; i++) {
		struct vhost_user_vring_state base = { .index = i, .num = 5 };

		seed_reply(s, VHOST_USER_GET_VRING_BASE, &base, sizeof(base));
	}
}

int fuzz_seeds(size_t i, const uint8_t **data, size_t *size)
{
	static const uint64_t protocol[] = {
		VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
			VIRTIO_BIT(VHOST_USER_PROTOCOL_F_FL_FILTER),
		VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK),
		VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ),
		0,
	};
	static struct fuzz_seed s;
	uint64_t p;
	bool ack;

	if (i > sizeof(protocol) / sizeof(protocol[0]))
		return 0;
	s.size = 0;
	*data = s.data;
	if (i == sizeof(protocol) / sizeof(protocol[0])) { /* without protocol features */
		seed_u64(&s, VHOST_USER_GET_FEATURES, FUZZ_FEATURES);
		seed_rings(&s, 2, false);
		*size = s.size;
		return 1;
	}
	p = protocol[i];
	ack = p & VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK);
	seed_u64(&s, VHOST_USER_GET_FEATURES,
		 FUZZ_FEATURES | VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	seed_u64(&s, VHOST_USER_GET_PROTOCOL_FEATURES, p);
	if (p & VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ))
		seed_u64(&s, VHOST_USER_GET_QUEUE_NUM, 2);
	if (ack)
		seed_u64(&s, VHOST_USER_SET_OWNER, 0);
	if (p & VIRTIO_BIT(VHOST_USER_PROTOCOL_F_FL_FILTER))
		seed_u64(&s, VHOST_USER_FL_SET_FILTER, 0);
	seed_rings(&s, p & VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) ? FUZZ_RINGS : 2, ack);
	*size = s.size;
	return 1;
}
