/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front-end of vhost-user (see vhost_user.h). Callers write down what they want under a lock;
 * the connection's thread compares it with what the back-end was told and sends the difference, one
 * message after the other, each with a deadline. A connection on which anything goes wrong is cut,
 * never mended: the next one starts from nothing. Called by nic_switch.c; calls vhost_user_msg.c.
 * docs/interop/vhost-user.rst of QEMU 11, in the order in which QEMU sends the messages.
 */
#include "pv-net/vhost_user.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"
#include "core/proto/virtio_net_abi.h"
#include "pv-net/vhost_user_priv.h"

#define SECOND_NS    1000000000ull
#define MESSAGE_NS   (1 * SECOND_NS)
#define HANDSHAKE_NS (3 * SECOND_NS)
#define MAX_PAIRS    (NIC_MAX_RINGS / 2)

#define OUR_PROTOCOL \
	(VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_FL_FILTER))

/* What the callers want. */
struct vu_want {
	uint64_t gen; /* counts the changes: a caller waits for its own to be done */
	bool run;
	bool paused;    /* not now */
	uint64_t start; /* counts the calls of vhost_user_start() */
	uint64_t features;
	struct nic_ring ring[NIC_MAX_RINGS];
	unsigned int n;
	uint64_t filter_gen; /* 0: none was set */
	struct nic_filter filter;
	int next_fd; /* a new connection, -1: none */
	bool quit;
};

/* What this back-end was told. The thread's own, as is all of the connection. */
struct vu_told {
	uint64_t features, protocol; /* what it offers; what of the protocol is in use */
	unsigned int max_pairs;
	bool memory, running;
	uint64_t start, filter_gen;
	struct nic_ring ring[NIC_MAX_RINGS];
	unsigned int n;
};

struct vhost_user {
	struct vhost_user_conf conf;
	struct vhost_user_extra extra;
	uint64_t features; /* settled by the first handshake, as are the next two */
	unsigned int max_pairs;
	bool has_filter;

	pthread_mutex_t lock; /* the next five */
	pthread_cond_t done;
	struct vu_want want;
	uint64_t done_gen;
	bool rings_live; /* the back-end may be working on rings */
	bool cut;        /* by vhost_user_stop(): it did not let go of them */
	bool has_thread;
	pthread_t thread;
	int wake_fd;
	struct io_fd starter;

	int fd; /* the connection, -1: none; written by the thread under the lock */
	struct vu_told told;
	uint64_t end;                        /* of the handshake at work */
	uint32_t request;                    /* the message at work, for what is said about it */
	uint64_t attempt;                    /* the last `start` that a back-end was shown */
	struct err_limit limit, start_limit; /* the thread's; the callers' */
	_Atomic bool up;
	_Atomic uint64_t n_connects, n_messages, n_refused, n_lost;
};

/* --- one message --- */
static const char *request_name(uint32_t request)
{
	switch (request) {
	case VHOST_USER_GET_FEATURES: return "GET_FEATURES";
	case VHOST_USER_SET_FEATURES: return "SET_FEATURES";
	case VHOST_USER_SET_OWNER: return "SET_OWNER";
	case VHOST_USER_SET_MEM_TABLE: return "SET_MEM_TABLE";
	case VHOST_USER_SET_VRING_NUM: return "SET_VRING_NUM";
	case VHOST_USER_SET_VRING_ADDR: return "SET_VRING_ADDR";
	case VHOST_USER_SET_VRING_BASE: return "SET_VRING_BASE";
	case VHOST_USER_GET_VRING_BASE: return "GET_VRING_BASE";
	case VHOST_USER_SET_VRING_KICK: return "SET_VRING_KICK";
	case VHOST_USER_SET_VRING_CALL: return "SET_VRING_CALL";
	case VHOST_USER_GET_PROTOCOL_FEATURES: return "GET_PROTOCOL_FEATURES";
	case VHOST_USER_SET_PROTOCOL_FEATURES: return "SET_PROTOCOL_FEATURES";
	case VHOST_USER_GET_QUEUE_NUM: return "GET_QUEUE_NUM";
	case VHOST_USER_SET_VRING_ENABLE: return "SET_VRING_ENABLE";
	case VHOST_USER_FL_SET_FILTER: return "FL_SET_FILTER";
	}
	return "a message";
}

static uint64_t vu_deadline(const struct vhost_user *vu)
{
	uint64_t t = vhost_user_now() + MESSAGE_NS;

	return t < vu->end ? t : vu->end;
}

static bool vu_uses(const struct vhost_user *vu, unsigned int protocol)
{
	return vu->told.protocol & VIRTIO_BIT(protocol);
}

static int vu_send(struct vhost_user *vu, struct vhost_user_msg *m, uint32_t flags, const int *fd,
		   unsigned int n_fds)
{
	vu->request = m->hdr.request;
	m->hdr.flags = VHOST_USER_VERSION | flags;
	atomic_fetch_add_explicit(&vu->n_messages, 1, memory_order_relaxed);
	return vhost_user_msg_send(vu->fd, m, fd, n_fds, vu_deadline(vu));
}

/* The answer to the message that was sent last, of exactly `size` bytes. */
static int vu_reply(struct vhost_user *vu, struct vhost_user_msg *m, uint32_t size)
{
	int ret = vhost_user_msg_recv(vu->fd, m, vu_deadline(vu));

	if (ret < 0)
		return ret;
	return m->hdr.request == vu->request && m->hdr.size == size &&
			       (m->hdr.flags & (VHOST_USER_VERSION_MASK | VHOST_USER_REPLY)) ==
				       (VHOST_USER_VERSION | VHOST_USER_REPLY)
		       ? 0
		       : -EPROTO;
}

/* A message that has no answer of its own: with REPLY_ACK the back-end says whether it took it. */
static int vu_tell(struct vhost_user *vu, struct vhost_user_msg *m, const int *fd,
		   unsigned int n_fds)
{
	bool ack = vu_uses(vu, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int ret = vu_send(vu, m, ack ? VHOST_USER_NEED_REPLY : 0, fd, n_fds);

	if (ret < 0 || !ack)
		return ret;
	ret = vu_reply(vu, m, sizeof(m->p.u64));
	return ret == 0 && m->p.u64 ? -EREMOTEIO : ret;
}

static int vu_tell_u64(struct vhost_user *vu, uint32_t request, uint64_t val)
{
	struct vhost_user_msg m = { .hdr = { .request = request, .size = sizeof(m.p.u64) },
				    .p.u64 = val };

	return vu_tell(vu, &m, NULL, 0);
}

static int vu_tell_state(struct vhost_user *vu, uint32_t request, unsigned int index, uint32_t num)
{
	struct vhost_user_msg m = { .hdr = { .request = request, .size = sizeof(m.p.state) },
				    .p.state = { .index = index, .num = num } };

	return vu_tell(vu, &m, NULL, 0);
}

static int vu_tell_fd(struct vhost_user *vu, uint32_t request, unsigned int index, int fd)
{
	struct vhost_user_msg m = { .hdr = { .request = request, .size = sizeof(m.p.u64) },
				    .p.u64 = index | (fd < 0 ? VHOST_USER_VRING_NOFD : 0) };

	return vu_tell(vu, &m, &fd, fd >= 0);
}

static int vu_ask_u64(struct vhost_user *vu, uint32_t request, uint64_t *val)
{
	struct vhost_user_msg m = { .hdr.request = request };
	int ret = vu_send(vu, &m, 0, NULL, 0);

	if (ret == 0)
		ret = vu_reply(vu, &m, sizeof(m.p.u64));
	*val = ret == 0 ? m.p.u64 : 0;
	return ret;
}

/* --- memory --- */
/* The host address of a part of a ring: of the guest's memory, or of the extra region. */
static void *vu_hva(const struct vhost_user *vu, gpa_t gpa, size_t len)
{
	const struct vhost_user_extra *x = &vu->extra;
	uint64_t off = gpa - x->gpa;

	if (x->size && off < x->size && len <= x->size - off)
		return (char *)x->hva + off;
	return mem_ptr(vu->conf.mem, gpa, len);
}

static int vu_tell_memory(struct vhost_user *vu)
{
	struct vhost_user_msg m = { .hdr.request = VHOST_USER_SET_MEM_TABLE };
	const struct vhost_user_extra *x = &vu->extra;
	int fd[VHOST_USER_MAX_REGIONS];
	uint32_t n = 0;

	for (size_t i = 0; i < mem_n_regions(vu->conf.mem) && n < VHOST_USER_MAX_REGIONS - 1; i++) {
		const struct mem_region *r = mem_region(vu->conf.mem, i);

		fd[n] = r->fd;
		m.p.memory.region[n++] =
			(struct vhost_user_region){ .guest_phys_addr = r->gpa,
						    .memory_size = r->size,
						    .userspace_addr = (uintptr_t)r->hva,
						    .mmap_offset = r->fd_offset };
	}
	if (x->size) {
		fd[n] = x->fd;
		m.p.memory.region[n++] =
			(struct vhost_user_region){ .guest_phys_addr = x->gpa,
						    .memory_size = x->size,
						    .userspace_addr = (uintptr_t)x->hva };
	}
	m.p.memory.n_regions = n;
	m.hdr.size = VHOST_USER_MEMORY_SIZE(n);
	return vu_tell(vu, &m, fd, n);
}

/* --- the handshake, as far as the features --- */
static int vu_negotiate_protocol(struct vhost_user *vu)
{
	struct vu_told *t = &vu->told;
	uint64_t offered, queues;
	int ret;

	if (!(t->features & VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		return 0;
	ret = vu_ask_u64(vu, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);
	if (ret == 0)
		ret = vu_tell_u64(vu, VHOST_USER_SET_PROTOCOL_FEATURES, offered & OUR_PROTOCOL);
	if (ret < 0)
		return ret;
	t->protocol = offered & OUR_PROTOCOL;
	if (!vu_uses(vu, VHOST_USER_PROTOCOL_F_MQ))
		return 0;
	ret = vu_ask_u64(vu, VHOST_USER_GET_QUEUE_NUM, &queues);
	t->max_pairs = queues < 1 ? 1 : queues > MAX_PAIRS ? MAX_PAIRS : (unsigned int)queues;
	return ret;
}

static int vu_negotiate(struct vhost_user *vu)
{
	struct vhost_user_msg owner = { .hdr.request = VHOST_USER_SET_OWNER };
	int ret;

	vu->told = (struct vu_told){ .max_pairs = 1 };
	vu->end = vhost_user_now() + HANDSHAKE_NS;
	ret = vu_ask_u64(vu, VHOST_USER_GET_FEATURES, &vu->told.features);
	if (ret == 0 && !(vu->told.features & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
		return -ENOTSUP;
	if (ret == 0)
		ret = vu_negotiate_protocol(vu);
	if (ret == 0)
		ret = vu_tell(vu, &owner, NULL, 0);
	if (ret == 0)
		atomic_fetch_add(&vu->n_connects, 1);
	return ret;
}

/* --- rings --- */
static void vu_signal(int fd)
{
	uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is signalled, which is what is wanted */
}

/* Where the back-end goes on: split rings are completed in order, so what is used is done. */
static uint16_t vu_base(const struct vhost_user *vu, const struct nic_ring *r)
{
	const struct virtq_used *used = vu_hva(vu, r->used, sizeof(*used));

	return used ? __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) : 0;
}

static int vu_tell_addr(struct vhost_user *vu, unsigned int i, const struct nic_ring *r)
{
	struct vhost_user_msg m = {
		.hdr = { .request = VHOST_USER_SET_VRING_ADDR, .size = sizeof(m.p.addr) },
		.p.addr = { .index = i,
			    .desc = (uintptr_t)vu_hva(vu, r->desc, VIRTQ_DESC_SIZE(r->size)),
			    .avail = (uintptr_t)vu_hva(vu, r->avail, VIRTQ_AVAIL_SIZE(r->size)),
			    .used = (uintptr_t)vu_hva(vu, r->used, VIRTQ_USED_SIZE(r->size)) },
	};

	return vu_tell(vu, &m, NULL, 0);
}

static int vu_tell_enable(struct vhost_user *vu, unsigned int i, bool on)
{
	/* without protocol features a ring that is started is enabled */
	if (!(vu->told.features & VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		return 0;
	return vu_tell_state(vu, VHOST_USER_SET_VRING_ENABLE, i, on);
}

static int vu_start_ring(struct vhost_user *vu, unsigned int i, const struct nic_ring *r)
{
	int ret = vu_tell_state(vu, VHOST_USER_SET_VRING_NUM, i, r->size);

	if (ret == 0)
		ret = vu_tell_state(vu, VHOST_USER_SET_VRING_BASE, i, vu_base(vu, r));
	if (ret == 0)
		ret = vu_tell_addr(vu, i, r);
	if (ret == 0)
		ret = vu_tell_fd(vu, VHOST_USER_SET_VRING_CALL, i, r->call_fd);
	if (ret == 0)
		ret = vu_tell_fd(vu, VHOST_USER_SET_VRING_KICK, i, r->kick_fd);
	return ret;
}

/* The back-end may work on rings from here on, unless they were taken back meanwhile. */
static bool vu_go_live(struct vhost_user *vu, const struct vu_want *w)
{
	bool go;

	pthread_mutex_lock(&vu->lock);
	go = vu->want.run && !vu->want.paused && vu->want.start == w->start;
	if (go)
		vu->rings_live = true;
	pthread_mutex_unlock(&vu->lock);
	return go;
}

static void vu_not_live(struct vhost_user *vu)
{
	pthread_mutex_lock(&vu->lock);
	vu->rings_live = false;
	pthread_cond_broadcast(&vu->done);
	pthread_mutex_unlock(&vu->lock);
}

/* Nothing that is in use may be missing in a later back-end: the guest was promised it. */
static bool vu_suffices(const struct vhost_user *vu, const struct vu_want *w)
{
	return !(w->features & ~vu->told.features) && w->n <= 2 * vu->told.max_pairs &&
	       (!vu->has_filter || vu_uses(vu, VHOST_USER_PROTOCOL_F_FL_FILTER));
}

static int vu_start_rings(struct vhost_user *vu, const struct vu_want *w)
{
	struct vu_told *t = &vu->told;
	bool again = vu->attempt == w->start;
	int ret;

	if (!vu_suffices(vu, w))
		return -EOPNOTSUPP;
	if (!vu_go_live(vu, w))
		return 0;
	vu->attempt = w->start;
	ret = vu_tell_u64(vu, VHOST_USER_SET_FEATURES,
			  w->features | (t->features & VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES)));
	if (ret == 0 && !t->memory)
		ret = vu_tell_memory(vu);
	for (unsigned int i = 0; i < w->n && ret == 0; i++)
		ret = vu_start_ring(vu, i, &w->ring[i]);
	for (unsigned int i = 0; i < w->n && ret == 0; i++)
		ret = vu_tell_enable(vu, i, w->ring[i].enabled);
	if (ret < 0)
		return ret;
	t->memory = t->running = true;
	t->start = w->start;
	memcpy(t->ring, w->ring, sizeof(t->ring));
	t->n = w->n;
	for (unsigned int i = 0; i < w->n; i++) {
		/* an earlier back-end may have read a kick, or died before its interrupt */
		vu_signal(w->ring[i].kick_fd);
		if (again)
			vu_signal(w->ring[i].call_fd);
	}
	return 0;
}

static int vu_stop_rings(struct vhost_user *vu)
{
	int ret = 0;

	vu->end = vhost_user_now() + MESSAGE_NS;
	/* it would keep them enabled for the next start */
	for (unsigned int i = 0; i < vu->told.n && ret == 0; i++)
		if (vu->told.ring[i].enabled)
			ret = vu_tell_enable(vu, i, false);
	for (unsigned int i = 0; i < vu->told.n && ret == 0; i++) {
		struct vhost_user_msg m = {
			.hdr = { .request = VHOST_USER_GET_VRING_BASE, .size = sizeof(m.p.state) },
			.p.state.index = i,
		};

		ret = vu_send(vu, &m, 0, NULL, 0);
		if (ret == 0)
			ret = vu_reply(vu, &m, sizeof(m.p.state));
		if (ret == 0 && m.p.state.index != i)
			ret = -EPROTO;
	}
	if (ret < 0)
		return ret;
	vu->told.running = false;
	vu_not_live(vu);
	return 0;
}

static int vu_update_rings(struct vhost_user *vu, const struct vu_want *w)
{
	int ret = 0;

	for (unsigned int i = 0; i < w->n && ret == 0; i++) {
		struct nic_ring *told = &vu->told.ring[i];
		const struct nic_ring *r = &w->ring[i];

		if (r->call_fd != told->call_fd) {
			ret = vu_tell_fd(vu, VHOST_USER_SET_VRING_CALL, i, r->call_fd);
			if (ret == 0)
				vu_signal(r->call_fd); /* the last one may have gone the old way */
		}
		if (ret == 0 && r->enabled != told->enabled)
			ret = vu_tell_enable(vu, i, r->enabled);
		*told = *r;
	}
	return ret;
}

static void vu_wire_filter(const struct nic_filter *f, struct vhost_user_filter *to)
{
	_Static_assert(NIC_FILTER_MACS == VHOST_USER_FILTER_MACS, "addresses of a filter");
	*to = (struct vhost_user_filter){
		.flags = (f->promisc ? VHOST_USER_FILTER_PROMISC : 0) |
			 (f->all_unicast ? VHOST_USER_FILTER_ALL_UNICAST : 0) |
			 (f->all_multicast ? VHOST_USER_FILTER_ALL_MULTICAST : 0) |
			 (f->broadcast ? VHOST_USER_FILTER_BROADCAST : 0) |
			 (f->hash ? VHOST_USER_FILTER_HASH : 0) |
			 (f->vlan ? VHOST_USER_FILTER_VLAN : 0),
		.n_macs = f->n_macs < NIC_FILTER_MACS ? f->n_macs : NIC_FILTER_MACS,
		.hash_shift = f->hash ? f->hash_shift : 0,
	};
	memcpy(to->mac, f->mac, sizeof(to->mac));
	memcpy(to->hash_table, f->hash_table, sizeof(to->hash_table));
	memcpy(to->vlan_table, f->vlan_table, sizeof(to->vlan_table));
}

static int vu_tell_filter(struct vhost_user *vu, const struct vu_want *w)
{
	struct vhost_user_msg m = {
		.hdr = { .request = VHOST_USER_FL_SET_FILTER, .size = sizeof(m.p.filter) },
	};
	struct vhost_user_filter wire;

	if (!vu_uses(vu, VHOST_USER_PROTOCOL_F_FL_FILTER) || w->filter_gen == vu->told.filter_gen)
		return 0;
	vu->told.filter_gen = w->filter_gen;
	vu_wire_filter(&w->filter, &wire);
	m.p.filter = wire;
	return vu_tell(vu, &m, NULL, 0);
}

/* Tells the back-end whatever it does not know yet. */
static int vu_apply(struct vhost_user *vu, const struct vu_want *w)
{
	struct vu_told *t = &vu->told;
	int ret = 0;

	vu->end = vhost_user_now() + HANDSHAKE_NS;
	if (t->running && (!w->run || t->start != w->start))
		ret = vu_stop_rings(vu);
	vu->end = vhost_user_now() + HANDSHAKE_NS;
	if (ret == 0)
		ret = vu_tell_filter(vu, w);
	if (ret < 0 || !w->run)
		return ret;
	return t->running ? vu_update_rings(vu, w) : vu_start_rings(vu, w);
}

/* --- the connection --- */
static void vu_set_fd(struct vhost_user *vu, int fd)
{
	pthread_mutex_lock(&vu->lock);
	if (vu->fd >= 0)
		close(vu->fd);
	vu->fd = fd;
	vu->rings_live = false;
	pthread_cond_broadcast(&vu->done);
	pthread_mutex_unlock(&vu->lock);
}

static void vu_set_link(struct vhost_user *vu, bool up)
{
	if (atomic_exchange(&vu->up, up) != up && vu->conf.link)
		vu->conf.link(vu->conf.opaque, up);
}

static void vu_say(struct vhost_user *vu, int why)
{
	const bool first = !vu->features; /* the guest does not start without it */
	const char *next = first ? "the guest cannot start; look at the back-end"
				 : "waiting for the next connection; look at the back-end";
	const char *name = vu->conf.name, *request = request_name(vu->request);

	switch (why) {
	case -EPIPE:
		err_limited(&vu->limit, "%s: the vhost-user back-end %s", name,
			    first ? "closed the connection: it has another guest at that port, or "
				    "refuses us; end that guest, or give another port"
				  : "is gone; start it again");
		break;
	case -ETIMEDOUT:
		err_limited(&vu->limit, "%s: the vhost-user back-end did not answer %s in time: %s",
			    name, request, next);
		break;
	case -EREMOTEIO:
		err_limited(&vu->limit, "%s: the vhost-user back-end refused %s: %s", name, request,
			    next);
		break;
	case -ENOTSUP: /* EOPNOTSUPP is the same */
		err_limited(&vu->limit,
			    "%s: the vhost-user back-end offers %#llx, %u queue pairs and %s "
			    "filter, less than is in use; start one like the first",
			    name, (unsigned long long)vu->told.features, vu->told.max_pairs,
			    vu_uses(vu, VHOST_USER_PROTOCOL_F_FL_FILTER) ? "a" : "no");
		break;
	case -EPROTO:
		err_limited(&vu->limit, "%s: the vhost-user back-end breaks the protocol at %s: %s",
			    name, request, next);
		break;
	default:
		err_limited(&vu->limit, "%s: the vhost-user connection failed at %s: %s; %s", name,
			    request, strerror(-why), next);
	}
}

/* Cuts the connection: the back-end sees its end and lets go of the rings. */
static void vu_drop(struct vhost_user *vu, int why)
{
	bool quit;

	pthread_mutex_lock(&vu->lock);
	quit = vu->want.quit;
	if (vu->cut)
		why = -ETIMEDOUT;
	vu->cut = false;
	pthread_mutex_unlock(&vu->lock);
	if (quit)
		return;
	vu_say(vu, why);
	atomic_fetch_add(why == -EPIPE ? &vu->n_lost : &vu->n_refused, 1);
	shutdown(vu->fd, SHUT_RDWR);
	vu_set_fd(vu, -1);
	vu_set_link(vu, false);
	if (vu->conf.lost)
		vu->conf.lost(vu->conf.opaque);
}

/* Something came while no answer is due: the end, or what must not come. */
static int vu_unasked(struct vhost_user *vu)
{
	char byte;
	ssize_t n = recv(vu->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	vu->request = 0;
	return n > 0 ? -EPROTO : -EPIPE;
}

/* Until a caller wants something or the connection says something. */
static void vu_wait(struct vhost_user *vu)
{
	struct pollfd p[2] = { { .fd = vu->wake_fd, .events = POLLIN },
			       { .fd = vu->fd, .events = POLLIN } };
	uint64_t n;
	int ret;

	if (poll(p, 2, -1) < 0)
		return;
	if (p[0].revents && read(vu->wake_fd, &n, sizeof(n)) < 0)
		return;
	if (p[1].revents && (ret = vu_unasked(vu)) < 0)
		vu_drop(vu, ret);
}

static void vu_serve(struct vhost_user *vu, struct vu_want *w)
{
	int ret = 0;

	if (w->next_fd >= 0) {
		vu_set_fd(vu, w->next_fd); /* the newest counts */
		ret = vu_negotiate(vu);
	}
	if (vu->fd < 0)
		return;
	if (ret == 0)
		ret = vu_apply(vu, w);
	if (ret < 0)
		vu_drop(vu, ret);
	else
		vu_set_link(vu, true);
}

/* What is wanted now. False when the thread is to end. */
static bool vu_look(struct vhost_user *vu, struct vu_want *w)
{
	pthread_mutex_lock(&vu->lock);
	*w = vu->want;
	w->run = w->run && !w->paused;
	vu->want.next_fd = -1;
	pthread_mutex_unlock(&vu->lock);
	return !w->quit;
}

static void *vu_main(void *arg)
{
	struct vhost_user *vu = arg;
	struct vu_want w;
	char name[16];

	snprintf(name, sizeof(name), "vhost-%s", vu->conf.name);
	prctl(PR_SET_NAME, name);
	while (vu_look(vu, &w)) {
		vu_serve(vu, &w);
		pthread_mutex_lock(&vu->lock);
		vu->done_gen = w.gen;
		pthread_cond_broadcast(&vu->done);
		pthread_mutex_unlock(&vu->lock);
		vu_wait(vu);
	}
	if (w.next_fd >= 0)
		close(w.next_fd);
	return NULL;
}

static int vu_start_thread(struct vhost_user *vu)
{
	int ret = -pthread_create(&vu->thread, NULL, vu_main, vu);

	if (ret < 0)
		return err_ret(ret, "%s: starting the thread of vhost-user: %s; raise 'ulimit -u'",
			       vu->conf.name, strerror(-ret));
	pthread_mutex_lock(&vu->lock);
	vu->has_thread = true;
	pthread_mutex_unlock(&vu->lock);
	return 0;
}

/* The I/O thread runs, so the jail is closed: ours may run too, and inherits it. */
static void vu_starter_ready(struct io_fd *f, uint32_t events)
{
	struct vhost_user *vu = f->opaque;

	io_remove_fd(vu->conf.io, f);
	close(f->fd);
	f->fd = -1;
	if (vu_start_thread(vu) < 0)
		vu_set_link(vu, false);
}

static int vu_start_later(struct vhost_user *vu)
{
	int ret;

	vu->starter = (struct io_fd){ .fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK),
				      .events = EPOLLIN,
				      .ready = vu_starter_ready,
				      .opaque = vu };
	ret = vu->starter.fd < 0 ? -errno : io_add_fd(vu->conf.io, &vu->starter);
	return ret < 0 ? err_ret(ret,
				 "%s: preparing the thread of vhost-user: %s; give the guest "
				 "fewer devices",
				 vu->conf.name, strerror(-ret))
		       : 0;
}

/* --- callers --- */
/* Under the lock: something changed. */
static void vu_changed(struct vhost_user *vu)
{
	vu->want.gen++;
	vu_signal(vu->wake_fd);
}

/* Under the lock: one wait for the thread, false at the deadline. */
static bool vu_await(struct vhost_user *vu, uint64_t deadline)
{
	struct timespec t = { .tv_sec = (time_t)(deadline / SECOND_NS),
			      .tv_nsec = (long)(deadline % SECOND_NS) };

	return pthread_cond_timedwait(&vu->done, &vu->lock, &t) != ETIMEDOUT;
}

/* Under the lock: until the thread has done what was asked so far. */
static void vu_await_done(struct vhost_user *vu, uint64_t ns)
{
	uint64_t gen = vu->want.gen, deadline = vhost_user_now() + ns;

	while (vu->has_thread && vu->done_gen < gen && vu_await(vu, deadline))
		;
}

static bool vu_ring_ok(const struct vhost_user *vu, const struct nic_ring *r)
{
	return r->size && vu_hva(vu, r->desc, VIRTQ_DESC_SIZE(r->size)) &&
	       vu_hva(vu, r->avail, VIRTQ_AVAIL_SIZE(r->size)) &&
	       vu_hva(vu, r->used, VIRTQ_USED_SIZE(r->size));
}

void vhost_user_start(struct vhost_user *vu, uint64_t features, const struct nic_ring *ring,
		      unsigned int n)
{
	for (unsigned int i = 0; i < n && i < NIC_MAX_RINGS; i++)
		if (!vu_ring_ok(vu, &ring[i]))
			n = 0;
	if (!n || n > NIC_MAX_RINGS) {
		err_limited(&vu->start_limit,
			    "%s: the rings are not in guest memory: not handed over",
			    vu->conf.name);
		return;
	}
	pthread_mutex_lock(&vu->lock);
	vu->want.run = true;
	vu->want.start++;
	/* the rest is between the driver and the device: MAC, STATUS, control queue */
	vu->want.features = features & vu->features;
	memcpy(vu->want.ring, ring, n * sizeof(*ring));
	vu->want.n = n;
	vu_changed(vu);
	vu_await_done(vu, HANDSHAKE_NS);
	pthread_mutex_unlock(&vu->lock);
}

/* Under the lock: no ring is to run now. */
static void vu_await_stop(struct vhost_user *vu)
{
	uint64_t deadline = vhost_user_now() + MESSAGE_NS;

	vu_changed(vu);
	while (vu->rings_live && vu_await(vu, deadline))
		;
	if (vu->rings_live) {
		/* it is told by the end of the connection; the thread sees it too */
		vu->cut = true;
		shutdown(vu->fd, SHUT_RDWR);
		deadline += HANDSHAKE_NS;
		while (vu->rings_live && vu_await(vu, deadline))
			;
	}
}

void vhost_user_stop(struct vhost_user *vu)
{
	pthread_mutex_lock(&vu->lock);
	vu->want.run = false;
	vu_await_stop(vu);
	pthread_mutex_unlock(&vu->lock);
}

void vhost_user_pause(struct vhost_user *vu)
{
	pthread_mutex_lock(&vu->lock);
	vu->want.paused = true;
	vu_await_stop(vu);
	pthread_mutex_unlock(&vu->lock);
}

void vhost_user_resume(struct vhost_user *vu)
{
	pthread_mutex_lock(&vu->lock);
	vu->want.paused = false;
	vu_changed(vu);
	vu_await_done(vu, HANDSHAKE_NS);
	pthread_mutex_unlock(&vu->lock);
}

void vhost_user_enable(struct vhost_user *vu, unsigned int ring, bool on)
{
	pthread_mutex_lock(&vu->lock);
	if (vu->want.run && ring < vu->want.n && vu->want.ring[ring].enabled != on) {
		vu->want.ring[ring].enabled = on;
		vu_changed(vu);
		vu_await_done(vu, MESSAGE_NS);
	}
	pthread_mutex_unlock(&vu->lock);
}

void vhost_user_set_call(struct vhost_user *vu, unsigned int ring, int call_fd)
{
	pthread_mutex_lock(&vu->lock);
	if (vu->want.run && ring < vu->want.n && vu->want.ring[ring].call_fd != call_fd) {
		vu->want.ring[ring].call_fd = call_fd;
		vu_changed(vu);
		vu_await_done(vu, MESSAGE_NS);
	}
	pthread_mutex_unlock(&vu->lock);
}

void vhost_user_set_filter(struct vhost_user *vu, const struct nic_filter *f)
{
	pthread_mutex_lock(&vu->lock);
	vu->want.filter = *f;
	vu->want.filter_gen++;
	vu_changed(vu);
	pthread_mutex_unlock(&vu->lock);
}

void vhost_user_connected(struct vhost_user *vu, int fd)
{
	pthread_mutex_lock(&vu->lock);
	if (vu->want.next_fd >= 0)
		close(vu->want.next_fd);
	vu->want.next_fd = fd;
	vu_changed(vu);
	pthread_mutex_unlock(&vu->lock);
}

uint64_t vhost_user_features(const struct vhost_user *vu)
{
	return vu->features;
}

unsigned int vhost_user_max_pairs(const struct vhost_user *vu)
{
	return vu->max_pairs;
}

bool vhost_user_has_filter(const struct vhost_user *vu)
{
	return vu->has_filter;
}

bool vhost_user_is_up(const struct vhost_user *vu)
{
	return atomic_load(&vu->up);
}

void vhost_user_stats(struct vhost_user *vu, struct stats_sink *s)
{
	stats_put(s, "vhost_connects", atomic_load(&vu->n_connects));
	stats_put(s, "vhost_lost", atomic_load(&vu->n_lost));
	stats_put(s, "vhost_refused", atomic_load(&vu->n_refused));
	stats_put(s, "vhost_messages", atomic_load(&vu->n_messages));
}

/* --- life --- */
static void vu_init_sync(struct vhost_user *vu)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vu->done, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&vu->lock, NULL);
}

static int vu_first_handshake(struct vhost_user *vu)
{
	int ret = vu_negotiate(vu);

	if (ret < 0) {
		vu_say(vu, ret);
		return ret == -ETIMEDOUT || ret == -EPIPE ? ret : -EPROTO;
	}
	vu->features = vu->told.features & (vu->conf.features | VIRTIO_BIT(VIRTIO_F_VERSION_1));
	vu->max_pairs = vu->told.max_pairs;
	vu->has_filter = vu_uses(vu, VHOST_USER_PROTOCOL_F_FL_FILTER);
	atomic_store(&vu->up, true);
	return 0;
}

int vhost_user_create(const struct vhost_user_conf *conf, int fd, struct vhost_user **out)
{
	struct vhost_user *vu = calloc(1, sizeof(*vu));
	int ret;

	if (!vu) {
		close(fd);
		return -ENOMEM;
	}
	vu->conf = *conf;
	if (conf->extra)
		vu->extra = *conf->extra;
	vu->fd = fd;
	vu->want.next_fd = vu->starter.fd = -1;
	vu_init_sync(vu);
	vu->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = vu->wake_fd < 0 ? err_ret(-errno, "%s: making an eventfd: %s; raise 'ulimit -n'",
					conf->name, strerror(errno))
			      : vu_first_handshake(vu);
	if (ret == 0)
		ret = conf->io ? vu_start_later(vu) : vu_start_thread(vu);
	if (ret < 0) {
		vhost_user_destroy(vu);
		return ret;
	}
	*out = vu;
	return 0;
}

static void vu_end_thread(struct vhost_user *vu)
{
	if (!vu->has_thread)
		return;
	vhost_user_stop(vu);
	pthread_mutex_lock(&vu->lock);
	vu->want.quit = true;
	if (vu->fd >= 0)
		shutdown(vu->fd, SHUT_RDWR); /* ends a handshake that is under way */
	vu_changed(vu);
	pthread_mutex_unlock(&vu->lock);
	pthread_join(vu->thread, NULL);
}

void vhost_user_destroy(struct vhost_user *vu)
{
	if (!vu)
		return;
	if (vu->starter.fd >= 0) {
		io_remove_fd(vu->conf.io, &vu->starter);
		close(vu->starter.fd);
	}
	vu_end_thread(vu);
	if (vu->want.next_fd >= 0)
		close(vu->want.next_fd);
	if (vu->fd >= 0)
		close(vu->fd);
	if (vu->wake_fd >= 0)
		close(vu->wake_fd);
	pthread_cond_destroy(&vu->done);
	pthread_mutex_destroy(&vu->lock);
	free(vu);
}
