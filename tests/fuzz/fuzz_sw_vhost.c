/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: a hostile front-end of vhost-user against the switch's back-end, over a socketpair.
 * The input is a row of chunks: a byte that says which descriptors go with it (low 4 bits: how
 * many; bit 4: memory, else events; bit 5: the last one of the other kind), a byte of flags (bit 0:
 * the front-end reads its answers), two bytes of length, then bytes for the socket. Besides memory
 * safety it checks what vhost.h promises: rings are inside mapped memory while they run, starts and
 * stops alternate, everything is given back.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"
#include "core/proto/virtio_net_abi.h"
#include "vswitch/vhost.h"

#define FUZZ_MEM    (1u << 20)
#define FUZZ_GPA    UINT64_C(0x100000)
#define FUZZ_USER   UINT64_C(0x7f0000000000)
#define FUZZ_FDS    9 /* one more than any message may bring */
#define FUZZ_PAIRS  2
#define FUZZ_MAX_FD 64
#define FUZZ_FEATURES \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | \
	 VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int fuzz_seeds(size_t i, const uint8_t **data, size_t *size);

struct fuzz_user {
	struct vhost_ring_conf conf[VHOST_MAX_RINGS];
	bool running[VHOST_MAX_RINGS], filter;
};

static void fuzz_touch(const struct vhost_ring_conf *c)
{
	volatile uint8_t *desc = c->desc, *avail = c->avail, *used = c->used;

	desc[0] ^= 1;
	desc[VIRTQ_DESC_SIZE(c->size) - 1] ^= 1;
	avail[0] ^= 1;
	avail[VIRTQ_AVAIL_SIZE(c->size) - 1] ^= 1;
	used[0] ^= 1;
	used[VIRTQ_USED_SIZE(c->size) - 1] ^= 1;
}

static void fuzz_ring_start(void *opaque, unsigned int ring, const struct vhost_ring_conf *conf)
{
	struct fuzz_user *u = opaque;

	if (ring >= 2 * FUZZ_PAIRS || u->running[ring] || !conf->size ||
	    (conf->size & (conf->size - 1)) || (uintptr_t)conf->desc % VIRTQ_DESC_ALIGN ||
	    (uintptr_t)conf->avail % VIRTQ_AVAIL_ALIGN || (uintptr_t)conf->used % VIRTQ_USED_ALIGN)
		abort();
	u->running[ring] = true;
	u->conf[ring] = *conf;
	fuzz_touch(conf);
}

static uint16_t fuzz_ring_stop(void *opaque, unsigned int ring)
{
	struct fuzz_user *u = opaque;

	if (!u->running[ring])
		abort();
	fuzz_touch(&u->conf[ring]);
	u->running[ring] = false;
	return (uint16_t)(u->conf[ring].base + 1);
}

static void fuzz_ring_enable(void *opaque, unsigned int ring, bool on)
{
	if (!((struct fuzz_user *)opaque)->running[ring])
		abort();
}

static void fuzz_ring_call(void *opaque, unsigned int ring, int call_fd)
{
	if (!((struct fuzz_user *)opaque)->running[ring])
		abort();
}

static void fuzz_filter(void *opaque, const struct vhost_user_filter *f)
{
	if (f && f->n_macs > VHOST_USER_FILTER_MACS)
		abort();
	((struct fuzz_user *)opaque)->filter = f;
}

static const struct vhost_ops fuzz_ops = {
	.ring_start = fuzz_ring_start,
	.ring_stop = fuzz_ring_stop,
	.ring_enable = fuzz_ring_enable,
	.ring_call = fuzz_ring_call,
	.filter = fuzz_filter,
};

static void fuzz_sink(void *opaque, const char *line)
{
}

static int fuzz_fd(int which, int memfd, int eventfd)
{
	return which ? memfd : eventfd;
}

static void fuzz_send(int sock, const uint8_t *bytes, size_t size, uint8_t kind, int memfd, int efd)
{
	union {
		char buf[CMSG_SPACE(FUZZ_FDS * sizeof(int))];
		struct cmsghdr align;
	} ctl = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	unsigned int n = (kind & 15u) % (FUZZ_FDS + 1);

	if (n) {
		ctl.align = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)),
					      .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS };
		for (unsigned int i = 0; i < n; i++) {
			int odd = i == n - 1 && (kind & 32);
			int fd = fuzz_fd(!!(kind & 16) ^ odd, memfd, efd);

			memcpy(ctl.buf + CMSG_LEN(0) + i * sizeof(int), &fd, sizeof(fd));
		}
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	if (sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* full: the back-end will say what it thinks of that */
}

static void fuzz_drain(int sock)
{
	uint8_t buf[512];

	while (recv(sock, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

static void fuzz_talk(struct vhost_conn *c, int sock, const uint8_t *data, size_t size)
{
	static int memfd = -1, efd = -1;
	int ret = 0;

	if (memfd < 0) {
		memfd = memfd_create("fuzz", MFD_CLOEXEC);
		efd = eventfd(0, EFD_CLOEXEC);
		if (memfd < 0 || efd < 0 || ftruncate(memfd, FUZZ_MEM) < 0)
			abort();
	}
	while (ret == 0 && size >= 4) {
		uint8_t kind = data[0], flags = data[1];
		size_t n = data[2] | (size_t)data[3] << 8;

		data += 4;
		size -= 4;
		if (n > size)
			n = size;
		fuzz_send(sock, data, n, kind, memfd, efd);
		data += n;
		size -= n;
		ret = vhost_conn_ready(c);
		if (flags & 1)
			fuzz_drain(sock);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_user u = { 0 };
	struct vhost_conn *c;
	int sock[2];

	err_set_sink(fuzz_sink, NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		abort();
	if (vhost_conn_create(sock[0], "fuzz", FUZZ_FEATURES, FUZZ_PAIRS, &fuzz_ops, &u, &c) < 0)
		abort();
	fuzz_talk(c, sock[1], data, size);
	vhost_conn_destroy(c);
	close(sock[1]);
	for (unsigned int i = 0; i < VHOST_MAX_RINGS; i++)
		if (u.running[i])
			abort();
	/* the lowest free descriptor grows when any is left behind */
	sock[0] = dup(STDERR_FILENO);
	if (u.filter || sock[0] > FUZZ_MAX_FD)
		abort();
	close(sock[0]);
	return 0;
}

/* --- seeds: conversations of good front-ends --- */
struct seed {
	size_t size;
	uint8_t data[4096];
};

static void seed_add(struct seed *s, uint8_t kind, uint32_t request, const void *payload,
		     uint32_t size)
{
	struct vhost_user_hdr hdr = { .request = request,
				      .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
				      .size = size };
	uint8_t *at = s->data + s->size;

	if (s->size + 4 + sizeof(hdr) + size > sizeof(s->data))
		abort();
	at[0] = kind;
	at[1] = 1;
	at[2] = (uint8_t)(sizeof(hdr) + size);
	at[3] = (uint8_t)((sizeof(hdr) + size) >> 8);
	memcpy(at + 4, &hdr, sizeof(hdr));
	if (size)
		memcpy(at + 4 + sizeof(hdr), payload, size);
	s->size += 4 + sizeof(hdr) + size;
}

static void seed_u64(struct seed *s, uint8_t kind, uint32_t request, uint64_t v)
{
	seed_add(s, kind, request, &v, sizeof(v));
}

static void seed_state(struct seed *s, uint32_t request, uint32_t ring, uint32_t num)
{
	struct vhost_user_vring_state v = { .index = ring, .num = num };

	seed_add(s, 0, request, &v, sizeof(v));
}

static void seed_hello(struct seed *s, uint64_t features)
{
	seed_add(s, 0, VHOST_USER_GET_FEATURES, NULL, 0);
	seed_add(s, 0, VHOST_USER_GET_PROTOCOL_FEATURES, NULL, 0);
	seed_u64(s, 0, VHOST_USER_SET_PROTOCOL_FEATURES,
		 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) |
			 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
			 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_FL_FILTER));
	seed_add(s, 0, VHOST_USER_GET_QUEUE_NUM, NULL, 0);
	seed_add(s, 0, VHOST_USER_SET_OWNER, NULL, 0);
	seed_u64(s, 0, VHOST_USER_SET_FEATURES, features);
}

/* n regions that share the file between them */
static void seed_memory(struct seed *s, uint32_t n)
{
	struct vhost_user_memory m = { .n_regions = n };
	uint64_t part = FUZZ_MEM / n;

	for (uint32_t i = 0; i < n; i++)
		m.region[i] = (struct vhost_user_region){ .guest_phys_addr = FUZZ_GPA + i * part,
							  .memory_size = part,
							  .userspace_addr = FUZZ_USER + i * part,
							  .mmap_offset = i * part };
	seed_add(s, (uint8_t)(16 + n), VHOST_USER_SET_MEM_TABLE, &m, VHOST_USER_MEMORY_SIZE(n));
}

static void seed_ring(struct seed *s, uint32_t ring, bool polled)
{
	struct vhost_user_vring_addr a = { .index = ring,
					   .desc = FUZZ_USER + ring * 0x10000u,
					   .avail = FUZZ_USER + ring * 0x10000u + 0x2000,
					   .used = FUZZ_USER + ring * 0x10000u + 0x4000 };

	seed_u64(s, 1, VHOST_USER_SET_VRING_CALL, ring);
	seed_u64(s, 1, VHOST_USER_SET_VRING_ERR, ring);
	seed_state(s, VHOST_USER_SET_VRING_NUM, ring, 128);
	seed_state(s, VHOST_USER_SET_VRING_BASE, ring, 3);
	seed_add(s, 0, VHOST_USER_SET_VRING_ADDR, &a, sizeof(a));
	seed_u64(s, polled ? 0 : 1, VHOST_USER_SET_VRING_KICK,
		 ring | (polled ? VHOST_USER_VRING_NOFD : 0));
	seed_state(s, VHOST_USER_SET_VRING_ENABLE, ring, 1);
}

static void seed_make(struct seed *s, size_t i)
{
	struct vhost_user_filter f = { .flags = VHOST_USER_FILTER_HASH, .n_macs = 2 };
	bool with_30 = i != 1;

	s->size = 0;
	seed_hello(s, FUZZ_FEATURES | (with_30 ? VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES) : 0));
	seed_memory(s, i == 2 ? 4 : i == 3 ? 8 : 1);
	seed_ring(s, 0, i == 2);
	seed_ring(s, 1, false);
	switch (i) {
	case 0: /* a guest that restarts its driver */
		seed_state(s, VHOST_USER_GET_VRING_BASE, 0, 0);
		seed_state(s, VHOST_USER_GET_VRING_BASE, 1, 0);
		seed_ring(s, 0, false);
		break;
	case 1: /* changes while rings run */
		seed_state(s, VHOST_USER_SET_VRING_NUM, 0, 64);
		seed_state(s, VHOST_USER_SET_VRING_BASE, 1, 9);
		seed_u64(s, 0, VHOST_USER_SET_FEATURES, FUZZ_FEATURES);
		break;
	case 2: seed_memory(s, 1); break; /* and other memory */
	case 3: seed_add(s, 0, VHOST_USER_FL_SET_FILTER, &f, sizeof(f)); break;
	case 4: seed_add(s, 0, VHOST_USER_RESET_OWNER, NULL, 0); break;
	}
}

int fuzz_seeds(size_t i, const uint8_t **data, size_t *size)
{
	static struct seed s;

	if (i > 4)
		return 0;
	seed_make(&s, i);
	*data = s.data;
	*size = s.size;
	return 1;
}
