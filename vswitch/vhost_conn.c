/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages of one vhost-user connection (vhost.h): reads them one at a time, checks their shape
 * by one table, answers. Of a message only its header is read at first, then exactly its payload: a
 * descriptor thus never attaches to a neighbour. The work is done in vhost_mem.c and vhost_ring.c.
 * docs/interop/vhost-user.rst of QEMU 11. Not offered, and so refused: dirty log, in-flight
 * tracking, IOTLB, postcopy, memory slots, a channel back, device status.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/proto/virtio_net_abi.h"
#include "core/rpc.h"
#include "vhost_priv.h"

#define CONN_MESSAGES_AT_ONCE 32 /* then the other ports have their turn */
#define CONN_FLAGS            (VHOST_USER_VERSION_MASK | VHOST_USER_REPLY | VHOST_USER_NEED_REPLY)
#define CONN_PROTOCOL_FEATURES \
	(VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_FL_FILTER))

int vhost_fault(struct vhost_conn *c, const char *fmt, ...)
{
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	err_limited(c->limit,
		    "port %s: message %u of the front-end: %s; its connection is closed, look "
		    "there for the cause",
		    c->name, c->hdr.request, what);
	return -EPROTO;
}

void vhost_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int vhost_take_fd(struct vhost_conn *c)
{
	int fd = c->n_fds ? c->fds[0] : -1;

	c->n_fds = 0; /* the table lets one through at most */
	return fd;
}

static void conn_close_fds(struct vhost_conn *c)
{
	for (unsigned int i = 0; i < c->n_fds; i++)
		close(c->fds[i]);
	c->n_fds = 0;
}

/* --- answers --- */
/* What the socket takes now; the rest waits for its turn. */
static int conn_flush(struct vhost_conn *c)
{
	ssize_t n;

	while (c->n_out) {
		n = send(c->fd, c->out, c->n_out, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN ? 0 : errno == EINTR ? 0 : -EPIPE;
		memmove(c->out, c->out + n, c->n_out - (size_t)n);
		c->n_out -= (size_t)n;
	}
	return 0;
}

static int conn_answer(struct vhost_conn *c, const void *payload, uint32_t size)
{
	struct vhost_user_hdr hdr = {
		.request = c->hdr.request,
		.flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
		.size = size,
	};

	if (c->n_out + sizeof(hdr) + size > sizeof(c->out))
		return vhost_fault(c, "it does not read our answers");
	memcpy(c->out + c->n_out, &hdr, sizeof(hdr));
	memcpy(c->out + c->n_out + sizeof(hdr), payload, size);
	c->n_out += sizeof(hdr) + size;
	return conn_flush(c);
}

/* --- handlers that are no ring's; 0, or -EPROTO after a message --- */
static int conn_get_features(struct vhost_conn *c)
{
	c->payload.u64 = c->offered;
	return 0;
}

static int conn_set_features(struct vhost_conn *c)
{
	uint64_t f = c->payload.u64;

	if (f & ~c->offered)
		return vhost_fault(c, "features 0x%llx, of which 0x%llx were not offered",
				   (unsigned long long)f, (unsigned long long)(f & ~c->offered));
	if (c->has_features && f == c->features)
		return 0;
	vhost_rings_stop(c);
	c->features = f;
	c->has_features = true;
	if (!(f & VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		vhost_rings_enable(c, true);
	vhost_rings_restart(c);
	return 0;
}

static int conn_get_protocol_features(struct vhost_conn *c)
{
	c->payload.u64 = CONN_PROTOCOL_FEATURES;
	return 0;
}

static int conn_set_protocol_features(struct vhost_conn *c)
{
	if (c->payload.u64 & ~CONN_PROTOCOL_FEATURES)
		return vhost_fault(c, "protocol features 0x%llx were not offered",
				   (unsigned long long)(c->payload.u64 & ~CONN_PROTOCOL_FEATURES));
	c->protocol_features = c->payload.u64;
	return 0;
}

static int conn_set_owner(struct vhost_conn *c)
{
	c->owner = true;
	return 0;
}

/* By now it means no more than that all rings are disabled ("RESET_OWNER" of the specification). */
static int conn_reset_owner(struct vhost_conn *c)
{
	vhost_rings_stop(c);
	for (unsigned int i = 0; i < c->n_rings; i++) {
		if (c->features & VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES))
			c->ring[i].enabled = false; /* without it they are enabled always */
		c->ring[i].has_kick = false;
		vhost_close_fd(&c->ring[i].kick_fd);
	}
	return 0;
}

/* For a network device: how many queue pairs. */
static int conn_get_queue_num(struct vhost_conn *c)
{
	c->payload.u64 = c->n_rings / 2;
	return 0;
}

/* New memory is mapped before the old one goes, so a table that is refused changes nothing. */
static int conn_set_mem_table(struct vhost_conn *c)
{
	const struct vhost_user_memory *t = &c->payload.memory;
	struct vhost_mem fresh;
	const char *why;

	if (t->n_regions > VHOST_USER_MAX_REGIONS ||
	    c->hdr.size != VHOST_USER_MEMORY_SIZE(t->n_regions))
		return vhost_fault(c, "%u regions in %u bytes", t->n_regions, c->hdr.size);
	if (c->n_fds != t->n_regions)
		return vhost_fault(c, "%u descriptors for %u regions", c->n_fds, t->n_regions);
	if (vhost_mem_map(t, c->fds, c->fd, &fresh, &why) < 0)
		return vhost_fault(c, "%s", why);
	vhost_rings_stop(c);
	vhost_mem_unmap(&c->mem);
	c->mem = fresh;
	vhost_rings_restart(c);
	return 0;
}

static int conn_set_filter(struct vhost_conn *c)
{
	const struct vhost_user_filter *f = &c->payload.filter;

	if (f->n_macs > VHOST_USER_FILTER_MACS || f->reserved ||
	    (f->hash_shift > 4 || f->hash_shift == 1) ||
	    (f->flags & ~(VHOST_USER_FILTER_PROMISC | VHOST_USER_FILTER_ALL_UNICAST |
			  VHOST_USER_FILTER_ALL_MULTICAST | VHOST_USER_FILTER_BROADCAST |
			  VHOST_USER_FILTER_HASH | VHOST_USER_FILTER_VLAN)))
		return vhost_fault(c, "a receive filter with %u addresses, shift %u, flags 0x%x",
				   f->n_macs, f->hash_shift, f->flags);
	c->has_filter = true;
	c->ops->filter(c->opaque, f);
	return 0;
}

/* --- dispatch --- */
/*
 * One row a request: the bytes of its payload, how many descriptors may come with it, what has to
 * be settled before it (an owner; a protocol feature), and what it is answered with: the first
 * bytes of the payload as the handler left it. How many descriptors a message has to bring depends
 * on its payload, so the handlers of the three kinds that take any count them.
 */
struct conn_request {
	uint32_t request, size_min, size_max;
	uint8_t fds_max;
	bool needs_owner;
	int8_t needs_feature; /* -1: none */
	uint8_t answer;
	int (*handle)(struct vhost_conn *c);
};
/* clang-format off */
static const struct conn_request conn_requests[] = {
	/*				size		fds owner	feature	answer */
	{ VHOST_USER_GET_FEATURES,	0, 0,		0, false,	-1,	8, conn_get_features },
	{ VHOST_USER_SET_FEATURES,	8, 8,		0, true,	-1,	0, conn_set_features },
	{ VHOST_USER_SET_OWNER,		0, 0,		0, false,	-1,	0, conn_set_owner },
	{ VHOST_USER_RESET_OWNER,	0, 0,		0, true,	-1,	0, conn_reset_owner },
	{ VHOST_USER_SET_MEM_TABLE,	VHOST_USER_MEMORY_SIZE(0),
		VHOST_USER_MEMORY_SIZE(VHOST_USER_MAX_REGIONS),
		VHOST_USER_MAX_REGIONS,			true,		-1,	0, conn_set_mem_table },
	{ VHOST_USER_SET_VRING_NUM,	8, 8,		0, true,	-1,	0, vhost_ring_set_num },
	{ VHOST_USER_SET_VRING_ADDR,	40, 40,		0, true,	-1,	0, vhost_ring_set_addr },
	{ VHOST_USER_SET_VRING_BASE,	8, 8,		0, true,	-1,	0, vhost_ring_set_base },
	{ VHOST_USER_GET_VRING_BASE,	8, 8,		0, true,	-1,	8, vhost_ring_get_base },
	{ VHOST_USER_SET_VRING_KICK,	8, 8,		1, true,	-1,	0, vhost_ring_set_kick },
	{ VHOST_USER_SET_VRING_CALL,	8, 8,		1, true,	-1,	0, vhost_ring_set_call },
	{ VHOST_USER_SET_VRING_ERR,	8, 8,		1, true,	-1,	0, vhost_ring_set_err },
	/* QEMU enables rings before the features are settled */
	{ VHOST_USER_SET_VRING_ENABLE,	8, 8,		0, true,	-1,	0, vhost_ring_set_enable },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, 0, 0,	0, false,	-1,
		8, conn_get_protocol_features },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, 8, 8,	0, false,	-1,
		0, conn_set_protocol_features },
	{ VHOST_USER_GET_QUEUE_NUM,	0, 0,		0, false,	VHOST_USER_PROTOCOL_F_MQ,
		8, conn_get_queue_num },
	{ VHOST_USER_FL_SET_FILTER,	1136, 1136,	0, true,	VHOST_USER_PROTOCOL_F_FL_FILTER,
		0, conn_set_filter },
};
_Static_assert(sizeof(struct vhost_user_vring_state) == 8, "size of the table");
/* clang-format on */

static const struct conn_request *conn_request(uint32_t request)
{
	for (unsigned int i = 0; i < sizeof(conn_requests) / sizeof(conn_requests[0]); i++)
		if (conn_requests[i].request == request)
			return &conn_requests[i];
	return NULL;
}

/* What can be said before the payload is there. */
static int conn_check_header(struct vhost_conn *c)
{
	const struct conn_request *q = conn_request(c->hdr.request);

	if ((c->hdr.flags & ~CONN_FLAGS) || (c->hdr.flags & VHOST_USER_REPLY) ||
	    (c->hdr.flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return vhost_fault(c, "flags 0x%x", c->hdr.flags);
	if (!q)
		return vhost_fault(c, "a request that is unknown or was not offered");
	if (c->hdr.size < q->size_min || c->hdr.size > q->size_max)
		return vhost_fault(c, "%u bytes of payload", c->hdr.size);
	if (q->needs_owner && !c->owner)
		return vhost_fault(c, "it comes before SET_OWNER");
	if (q->needs_feature >= 0 && !(c->protocol_features >> q->needs_feature & 1))
		return vhost_fault(c, "protocol feature %d was not negotiated", q->needs_feature);
	return 0;
}

/* A whole message. Descriptors that its handler has not taken are closed afterwards. */
static int conn_dispatch(struct vhost_conn *c)
{
	const struct conn_request *q = conn_request(c->hdr.request);
	uint64_t done = 0;
	int ret;

	if (!q || c->n_fds > q->fds_max)
		return vhost_fault(c, "%u descriptors", c->n_fds);
	ret = q->handle(c);
	if (ret < 0)
		return ret;
	c->n_messages++;
	if (q->answer)
		return conn_answer(c, &c->payload, q->answer);
	if ((c->hdr.flags & VHOST_USER_NEED_REPLY) &&
	    (c->protocol_features & VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)))
		return conn_answer(c, &done, sizeof(done));
	return 0;
}

/* --- the socket --- */
/* Descriptors of one recvmsg(); more than fit were closed by the kernel, which says so. */
static int conn_take_fds(struct vhost_conn *c, struct msghdr *mh)
{
	unsigned int lost = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(mh); h; h = CMSG_NXTHDR(mh, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (c->n_fds < VHOST_USER_MAX_REGIONS) {
				c->fds[c->n_fds++] = fd;
			} else {
				close(fd);
				lost++;
			}
		}
	}
	if (lost || (mh->msg_flags & MSG_CTRUNC))
		return vhost_fault(c, "more than %u descriptors", VHOST_USER_MAX_REGIONS);
	return 0;
}

/* Up to `size` bytes of this message: how many came, -EAGAIN, -EPIPE, -EPROTO. */
static ssize_t conn_recv(struct vhost_conn *c, void *to, size_t size)
{
	union {
		char buf[CMSG_SPACE(VHOST_USER_MAX_REGIONS * sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = to, .iov_len = size };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ctl.buf,
			     .msg_controllen = sizeof(ctl.buf) };
	ssize_t n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int ret;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
	ret = conn_take_fds(c, &mh);
	if (ret < 0)
		return ret;
	return n ? n : -EPIPE;
}

/* The next bytes of this message. 1: it is whole, 0: not yet, or negative errno. */
static int conn_read_some(struct vhost_conn *c)
{
	bool in_header = c->n_read < sizeof(c->hdr);
	size_t at = in_header ? c->n_read : c->n_read - sizeof(c->hdr);
	size_t left = (in_header ? sizeof(c->hdr) : c->hdr.size) - at;
	uint8_t *to = (in_header ? (uint8_t *)&c->hdr : (uint8_t *)&c->payload) + at;
	ssize_t n = conn_recv(c, to, left);
	int ret = 0;

	if (n < 0)
		return (int)n;
	if (!c->n_read)
		c->since_ms = rpc_now_ms();
	c->heard = true;
	c->n_read += (size_t)n;
	if (in_header && c->n_read == sizeof(c->hdr))
		ret = conn_check_header(c);
	if (ret < 0)
		return ret;
	return c->n_read >= sizeof(c->hdr) && c->n_read == sizeof(c->hdr) + c->hdr.size;
}

/* One message, or what there is of it: 1, 0 nothing more to read now, or negative errno. */
static int conn_read_message(struct vhost_conn *c)
{
	int ret;

	do
		ret = conn_read_some(c);
	while (ret == 0);
	if (ret == -EAGAIN)
		return 0;
	if (ret < 0)
		return ret;
	ret = conn_dispatch(c);
	conn_close_fds(c);
	c->n_read = 0;
	memset(&c->hdr, 0, sizeof(c->hdr));
	return ret < 0 ? ret : 1;
}

static bool conn_memory_gone(const struct vhost_conn *c)
{
	for (unsigned int i = 0; i < c->mem.n; i++)
		if (vhost_sigbus_broken(c->mem.region[i].map))
			return true;
	return false;
}

int vhost_conn_ready(struct vhost_conn *c)
{
	int ret = conn_flush(c);

	for (unsigned int i = 0; ret >= 0 && i < CONN_MESSAGES_AT_ONCE; i++) {
		ret = conn_read_message(c);
		if (ret == 0)
			break;
	}
	if (ret == -EPIPE && conn_memory_gone(c))
		return vhost_fault(c, "it has made its shared memory shorter");
	return ret < 0 ? ret : 0;
}

bool vhost_conn_wants_write(const struct vhost_conn *c)
{
	return c->n_out > 0;
}

long long vhost_conn_deadline_ms(const struct vhost_conn *c)
{
	if (!c->heard)
		return c->since_ms + VHOST_SILENCE_MS;
	return c->n_read ? c->since_ms + VHOST_MESSAGE_MS : -1;
}

bool vhost_conn_expired(const struct vhost_conn *c, long long now_ms)
{
	long long deadline = vhost_conn_deadline_ms(c);

	return deadline >= 0 && now_ms >= deadline;
}

void vhost_conn_info(const struct vhost_conn *c, struct vhost_conn_info *info)
{
	*info = (struct vhost_conn_info){ .features = c->features,
					  .protocol_features = c->protocol_features,
					  .n_regions = c->mem.n,
					  .n_messages = c->n_messages };
	for (unsigned int i = 0; i < c->mem.n; i++)
		info->mem_bytes += c->mem.region[i].size;
	for (unsigned int i = 0; i < c->n_rings; i++)
		info->n_rings_running += c->ring[i].running;
}

/* --- a connection --- */
static int conn_init(struct vhost_conn *c, int fd, const char *name, unsigned int n_pairs)
{
	int flags = fcntl(fd, F_GETFL);

	if (!n_pairs || n_pairs > VHOST_MAX_RINGS / 2 || flags < 0 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -EINVAL;
	c->fd = fd;
	c->n_rings = 2 * n_pairs;
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->since_ms = rpc_now_ms();
	vhost_rings_init(c);
	return 0;
}

int vhost_conn_create(int fd, const char *name, uint64_t features, unsigned int n_pairs,
		      const struct vhost_ops *ops, void *opaque, struct vhost_conn **out)
{
	struct vhost_conn *c = calloc(1, sizeof(*c));
	int ret = c ? conn_init(c, fd, name, n_pairs) : -ENOMEM;

	if (ret < 0) {
		free(c);
		close(fd);
		return ret;
	}
	c->offered = features | VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	c->limit = &c->own_limit;
	c->ops = ops;
	c->opaque = opaque;
	*out = c;
	return 0;
}

void vhost_conn_set_limit(struct vhost_conn *c, struct err_limit *limit)
{
	c->limit = limit;
}

void vhost_conn_assume_owner(struct vhost_conn *c)
{
	c->owner = true;
}

void vhost_conn_destroy(struct vhost_conn *c)
{
	if (!c)
		return;
	vhost_rings_stop(c);
	if (c->has_filter)
		c->ops->filter(c->opaque, NULL);
	vhost_rings_close(c);
	vhost_mem_unmap(&c->mem);
	conn_close_fds(c);
	close(c->fd);
	free(c);
}
