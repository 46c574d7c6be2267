/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See helper_sw_vhost.h.
 */
#include "helper_sw_vhost.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"

/* --- the user of the back-end --- */
static void fe_ring_start(void *opaque, unsigned int ring, const struct vhost_ring_conf *conf)
{
	struct fe *fe = opaque;
	struct fe_ring *r = &fe->ring[ring];

	fe->wrong |= ring >= VHOST_MAX_RINGS || r->running;
	r->running = true;
	r->n_starts++;
	r->conf = *conf;
	r->call_fd = conf->call_fd;
	r->enabled = conf->enabled;
	/* the first and last bytes are there: a worker will use them */
	memset(conf->desc, 1, VIRTQ_DESC_SIZE(conf->size));
	memset(conf->avail, 2, VIRTQ_AVAIL_SIZE(conf->size));
	memset(conf->used, 3, VIRTQ_USED_SIZE(conf->size));
}

static uint16_t fe_ring_stop(void *opaque, unsigned int ring)
{
	struct fe *fe = opaque;
	struct fe_ring *r = &fe->ring[ring];

	fe->wrong |= !r->running;
	/* until this returns a worker may use the ring: it is still mapped, its events are open */
	*(volatile uint8_t *)r->conf.desc = 4;
	*((volatile uint8_t *)r->conf.used + VIRTQ_USED_SIZE(r->conf.size) - 1) = 5;
	if (r->conf.kick_fd >= 0 && eventfd_write(r->conf.kick_fd, 1) < 0)
		fe->wrong = true;
	r->running = false;
	r->n_stops++;
	return r->next;
}

static void fe_ring_enable(void *opaque, unsigned int ring, bool on)
{
	struct fe *fe = opaque;

	fe->wrong |= !fe->ring[ring].running;
	fe->ring[ring].enabled = on;
}

static void fe_ring_call(void *opaque, unsigned int ring, int call_fd)
{
	struct fe *fe = opaque;
	struct fe_ring *r = &fe->ring[ring];

	fe->wrong |= !r->running;
	if (r->call_fd >= 0 && eventfd_write(r->call_fd, 1) < 0)
		fe->wrong = true; /* the old one is open until we have let go of it */
	r->call_fd = call_fd;
}

static void fe_filter(void *opaque, const struct vhost_user_filter *f)
{
	struct fe *fe = opaque;

	fe->has_filter = f;
	fe->n_filters++;
	if (f)
		fe->filter = *f;
}

const struct vhost_ops fe_ops = {
	.ring_start = fe_ring_start,
	.ring_stop = fe_ring_stop,
	.ring_enable = fe_ring_enable,
	.ring_call = fe_ring_call,
	.filter = fe_filter,
};

static void fe_sink(void *opaque, const char *line)
{
	struct fe *fe = opaque;

	snprintf(fe->last, sizeof(fe->last), "%s", line);
	fe->n_said++;
}

/* --- the front-end --- */
unsigned int fe_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

void fe_open(struct fe *fe)
{
	int sock[2];

	memset(fe, 0, sizeof(*fe));
	fe->n_fds = fe_count_fds();
	fe->memfd = memfd_create("guest", MFD_CLOEXEC);
	if (fe->memfd < 0 || ftruncate(fe->memfd, FE_MEM_SIZE) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		abort();
	fe->mem = mmap(NULL, FE_MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fe->memfd, 0);
	fe->sock = sock[1];
	err_set_sink(fe_sink, fe);
	if (fe->mem == MAP_FAILED ||
	    vhost_conn_create(sock[0], "p0", FE_FEATURES, 2, &fe_ops, fe, &fe->conn) < 0)
		abort();
}

void fe_hang_up(struct fe *fe)
{
	vhost_conn_destroy(fe->conn);
	fe->conn = NULL;
}

bool fe_close(struct fe *fe)
{
	bool fine;

	fe_hang_up(fe);
	close(fe->sock);
	munmap(fe->mem, FE_MEM_SIZE);
	close(fe->memfd);
	err_set_sink(NULL, NULL);
	fine = !fe->wrong && fe_count_fds() == fe->n_fds;
	for (unsigned int i = 0; i < VHOST_MAX_RINGS; i++)
		fine &= !fe->ring[i].running && fe->ring[i].n_starts == fe->ring[i].n_stops;
	return fine && !fe->has_filter;
}

void fe_send_raw(struct fe *fe, const void *bytes, size_t size, const int *fds, unsigned int n_fds)
{
	union {
		char buf[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} ctl = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		ctl.align = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
					      .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS };
		memcpy(ctl.buf + CMSG_LEN(0), fds, n_fds * sizeof(int));
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	fe->sent = sendmsg(fe->sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}

static void fe_send_flags(struct fe *fe, uint32_t request, uint32_t flags, const void *payload,
			  uint32_t size, const int *fds, unsigned int n_fds)
{
	struct vhost_user_hdr hdr = { .request = request, .flags = flags, .size = size };
	uint8_t bytes[sizeof(hdr) + sizeof(union vhost_user_payload)];

	memcpy(bytes, &hdr, sizeof(hdr));
	if (size)
		memcpy(bytes + sizeof(hdr), payload, size);
	fe_send_raw(fe, bytes, sizeof(hdr) + size, fds, n_fds);
}

void fe_send(struct fe *fe, uint32_t request, const void *payload, uint32_t size, const int *fds,
	     unsigned int n_fds)
{
	fe_send_flags(fe, request, VHOST_USER_VERSION, payload, size, fds, n_fds);
}

int fe_say_fds(struct fe *fe, uint32_t request, const void *payload, uint32_t size, const int *fds,
	       unsigned int n_fds)
{
	fe_send(fe, request, payload, size, fds, n_fds);
	return vhost_conn_ready(fe->conn);
}

int fe_say(struct fe *fe, uint32_t request, const void *payload, uint32_t size)
{
	return fe_say_fds(fe, request, payload, size, NULL, 0);
}

int fe_say_u64(struct fe *fe, uint32_t request, uint64_t v)
{
	return fe_say(fe, request, &v, sizeof(v));
}

int fe_say_state(struct fe *fe, uint32_t request, uint32_t ring, uint32_t num)
{
	struct vhost_user_vring_state s = { .index = ring, .num = num };

	return fe_say(fe, request, &s, sizeof(s));
}

int fe_say_addr(struct fe *fe, uint32_t ring, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct vhost_user_vring_addr a = {
		.index = ring, .desc = desc, .avail = avail, .used = used
	};

	return fe_say(fe, VHOST_USER_SET_VRING_ADDR, &a, sizeof(a));
}

int fe_say_event(struct fe *fe, uint32_t request, uint64_t v)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	int ret = fe_say_fds(fe, request, &v, sizeof(v), &fd, 1);

	close(fd);
	return ret;
}

int fe_say_memory(struct fe *fe, const struct vhost_user_region *r, uint32_t n)
{
	int fds[VHOST_USER_MAX_REGIONS];
	struct vhost_user_memory m = { .n_regions = n };

	for (uint32_t i = 0; i < n; i++) {
		m.region[i] = r[i];
		fds[i] = fe->memfd;
	}
	return fe_say_fds(fe, VHOST_USER_SET_MEM_TABLE, &m, VHOST_USER_MEMORY_SIZE(n), fds, n);
}

int fe_answer(struct fe *fe, uint32_t request, void *payload, size_t size)
{
	struct vhost_user_hdr hdr;
	ssize_t n = recv(fe->sock, &hdr, sizeof(hdr), MSG_DONTWAIT);

	if (n != sizeof(hdr) || hdr.request != request || hdr.size > size ||
	    hdr.flags != (VHOST_USER_VERSION | VHOST_USER_REPLY))
		return -1;
	n = recv(fe->sock, payload, hdr.size, MSG_DONTWAIT);
	return n == (ssize_t)hdr.size ? (int)n : -1;
}

struct vhost_user_region fe_region(void)
{
	return (struct vhost_user_region){ .guest_phys_addr = FE_GPA,
					   .memory_size = FE_MEM_SIZE,
					   .userspace_addr = FE_USER };
}

uint64_t fe_ring_user(uint32_t ring)
{
	return FE_USER + UINT64_C(0x10000) * ring;
}

int fe_handshake(struct fe *fe)
{
	uint64_t v;
	int ret = fe_say(fe, VHOST_USER_GET_FEATURES, NULL, 0);

	if (ret == 0 && fe_answer(fe, VHOST_USER_GET_FEATURES, &v, sizeof(v)) != sizeof(v))
		return -EBADMSG;
	ret = ret ?: fe_say(fe, VHOST_USER_GET_PROTOCOL_FEATURES, NULL, 0);
	if (ret == 0 && fe_answer(fe, VHOST_USER_GET_PROTOCOL_FEATURES, &v, sizeof(v)) != sizeof(v))
		return -EBADMSG;
	ret = ret ?: fe_say_u64(fe, VHOST_USER_SET_PROTOCOL_FEATURES, FE_PROTOCOL);
	ret = ret ?: fe_say(fe, VHOST_USER_SET_OWNER, NULL, 0);
	return ret ?: fe_say_u64(fe, VHOST_USER_SET_FEATURES, FE_FEATURES | FE_F30);
}

void fe_set_used(struct fe *fe, uint32_t ring, uint16_t idx)
{
	size_t at = (size_t)(fe_ring_user(ring) - FE_USER) + 0x8000;

	memcpy(fe->mem + at + offsetof(struct virtq_used, idx), &idx, sizeof(idx));
}

int fe_start_ring(struct fe *fe, uint32_t ring)
{
	uint64_t at = fe_ring_user(ring);
	int ret = fe_say_event(fe, VHOST_USER_SET_VRING_CALL, ring);

	fe_set_used(fe, ring, 7);
	ret = ret ?: fe_say_state(fe, VHOST_USER_SET_VRING_NUM, ring, FE_SIZE);
	ret = ret ?: fe_say_state(fe, VHOST_USER_SET_VRING_BASE, ring, 7);
	ret = ret ?: fe_say_addr(fe, ring, at, at + 0x4000, at + 0x8000);
	ret = ret ?: fe_say_event(fe, VHOST_USER_SET_VRING_KICK, ring);
	return ret ?: fe_say_state(fe, VHOST_USER_SET_VRING_ENABLE, ring, 1);
}

int fe_start_all(struct fe *fe)
{
	struct vhost_user_region r = fe_region();
	int ret = fe_handshake(fe);

	ret = ret ?: fe_say_memory(fe, &r, 1);
	ret = ret ?: fe_start_ring(fe, 0);
	return ret ?: fe_start_ring(fe, 1);
}
