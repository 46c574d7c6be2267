/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rings of one vhost-user connection: what the front-end has told of each, and when it runs. A
 * ring runs from the moment that it has a size, addresses that translate, a kick and negotiated
 * features; before anything of it changes it is taken away from its worker, and given back
 * afterwards if it is still whole. Called by the dispatch of vhost_conn.c; tells vhost_ops. "Ring
 * states" of docs/interop/vhost-user.rst, QEMU 11, with the later clarification that
 * SET_VRING_KICK starts a ring. Left out: packed rings, dirty log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/proto/virtio_net_abi.h"
#include "vhost_priv.h"

static struct vhost_ring *ring_at(struct vhost_conn *c, uint32_t index)
{
	return index < c->n_rings ? &c->ring[index] : NULL;
}

static int ring_unknown(struct vhost_conn *c, uint32_t index)
{
	return vhost_fault(c, "ring %u of %u", index, c->n_rings);
}

static bool ring_complete(const struct vhost_conn *c, const struct vhost_ring *r)
{
	return c->has_features && r->size && r->has_addr && r->has_kick;
}

/*
 * Where a ring begins. We use entries up in order, so all before the used index are done and all
 * from there on are not, whatever the front-end says: DPDK's virtio-user tells every back-end 0,
 * also one that comes to a ring in use. Only after a stop of ours we know better.
 */
static uint16_t ring_base(const struct vhost_ring *r, const struct virtq_used *used)
{
	return r->base_is_ours ? r->base : __atomic_load_n(&used->idx, __ATOMIC_RELAXED);
}

/* ring_start - when it is complete; false: it is, but its addresses do not translate. */
static bool ring_start(struct vhost_conn *c, struct vhost_ring *r)
{
	struct vhost_ring_conf conf = {
		.mem = &c->mem,
		.features = c->features,
		.size = r->size,
		.kick_fd = r->kick_fd,
		.call_fd = r->call_fd,
		.enabled = r->enabled,
	};

	if (r->running || !ring_complete(c, r))
		return true;
	conf.desc = vhost_mem_user(&c->mem, r->desc, VIRTQ_DESC_SIZE(r->size));
	conf.avail = vhost_mem_user(&c->mem, r->avail, VIRTQ_AVAIL_SIZE(r->size));
	conf.used = vhost_mem_user(&c->mem, r->used, VIRTQ_USED_SIZE(r->size));
	/* an aligned user address is aligned here too only if its region is */
	if (!conf.desc || !conf.avail || !conf.used || (uintptr_t)conf.desc % VIRTQ_DESC_ALIGN ||
	    (uintptr_t)conf.avail % VIRTQ_AVAIL_ALIGN || (uintptr_t)conf.used % VIRTQ_USED_ALIGN)
		return false;
	r->base = conf.base = ring_base(r, conf.used);
	r->running = true;
	c->ops->ring_start(c->opaque, (unsigned int)(r - c->ring), &conf);
	return true;
}

static void ring_stop(struct vhost_conn *c, struct vhost_ring *r)
{
	if (!r->running)
		return;
	r->running = false;
	r->base = c->ops->ring_stop(c->opaque, (unsigned int)(r - c->ring));
	r->base_is_ours = true;
}

int vhost_ring_set_num(struct vhost_conn *c)
{
	uint32_t n = c->payload.state.num;
	struct vhost_ring *r = ring_at(c, c->payload.state.index);

	if (!r)
		return ring_unknown(c, c->payload.state.index);
	if (!n || n > VIRTQ_MAX_SIZE || (n & (n - 1)))
		return vhost_fault(c, "a ring of %u entries (a power of two up to %u)", n,
				   VIRTQ_MAX_SIZE);
	ring_stop(c, r);
	r->size = (uint16_t)n;
	ring_start(c, r); /* or when the addresses have followed */
	return 0;
}

int vhost_ring_set_addr(struct vhost_conn *c)
{
	const struct vhost_user_vring_addr *a = &c->payload.addr;
	struct vhost_ring *r = ring_at(c, a->index);

	if (!r)
		return ring_unknown(c, a->index);
	if (a->flags)
		return vhost_fault(c, "a dirty log for ring %u, which was not offered", a->index);
	if (a->desc % VIRTQ_DESC_ALIGN || a->avail % VIRTQ_AVAIL_ALIGN ||
	    a->used % VIRTQ_USED_ALIGN)
		return vhost_fault(c, "addresses of ring %u are not aligned", a->index);
	ring_stop(c, r);
	r->desc = a->desc;
	r->avail = a->avail;
	r->used = a->used;
	r->has_addr = true;
	if (!ring_start(c, r))
		return vhost_fault(c, "addresses of ring %u are not wholly in one region",
				   a->index);
	return 0;
}

int vhost_ring_set_base(struct vhost_conn *c)
{
	struct vhost_ring *r = ring_at(c, c->payload.state.index);

	if (!r)
		return ring_unknown(c, c->payload.state.index);
	if (c->payload.state.num > UINT16_MAX)
		return vhost_fault(c, "ring %u begins at %u", c->payload.state.index,
				   c->payload.state.num);
	ring_stop(c, r);
	r->base = (uint16_t)c->payload.state.num;
	r->base_is_ours = false;
	ring_start(c, r);
	return 0;
}

/* The ring stays stopped until it gets a new kick. The answer is made by the dispatch. */
int vhost_ring_get_base(struct vhost_conn *c)
{
	struct vhost_ring *r = ring_at(c, c->payload.state.index);

	if (!r)
		return ring_unknown(c, c->payload.state.index);
	ring_stop(c, r);
	vhost_close_fd(&r->kick_fd);
	r->has_kick = false;
	c->payload.state.num = r->base;
	return 0;
}

/*
 * Whether a descriptor is an eventfd: reading or writing anything else could do anything, to wait
 * for ever among it. An eventfd cannot be told from its siblings by fstat(), its link says it.
 */
static bool ring_is_eventfd(int fd)
{
	static const char want[] = "anon_inode:[eventfd]";
	char path[32], link[sizeof(want) + 1];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link));
	return n == sizeof(want) - 1 && memcmp(link, want, sizeof(want) - 1) == 0;
}

/*
 * The three messages that carry an event descriptor. Gives the ring (NULL: a fault, *ret says it)
 * and its new descriptor, -1 for none.
 */
static struct vhost_ring *ring_take_event(struct vhost_conn *c, int *fd, int *ret)
{
	uint64_t v = c->payload.u64;
	struct vhost_ring *r = ring_at(c, (uint32_t)(v & VHOST_USER_VRING_IDX_MASK));
	bool none = v & VHOST_USER_VRING_NOFD;
	int flags;

	*ret = 0;
	if (v & ~(uint64_t)(VHOST_USER_VRING_IDX_MASK | VHOST_USER_VRING_NOFD))
		*ret = vhost_fault(c, "ring 0x%llx", (unsigned long long)v);
	else if (!r)
		*ret = ring_unknown(c, (uint32_t)(v & VHOST_USER_VRING_IDX_MASK));
	else if (c->n_fds != (none ? 0 : 1))
		*ret = vhost_fault(c, "%u event descriptors where %u belong", c->n_fds,
				   none ? 0 : 1);
	else if (!none && !ring_is_eventfd(c->fds[0]))
		*ret = vhost_fault(c, "a descriptor that is no eventfd");
	if (*ret < 0)
		return NULL;
	*fd = vhost_take_fd(c);
	/* a worker reads and writes it and must not wait for the other side */
	flags = *fd < 0 ? 0 : fcntl(*fd, F_GETFL);
	if (*fd >= 0 && !(flags & O_NONBLOCK))
		fcntl(*fd, F_SETFL, flags | O_NONBLOCK);
	return r;
}

int vhost_ring_set_kick(struct vhost_conn *c)
{
	struct vhost_ring *r;
	int fd, ret;

	r = ring_take_event(c, &fd, &ret);
	if (!r)
		return ret;
	ring_stop(c, r);
	vhost_close_fd(&r->kick_fd);
	r->kick_fd = fd;
	r->has_kick = true;
	if (!ring_start(c, r))
		return vhost_fault(c, "addresses of ring %u are not wholly in one region",
				   (unsigned int)(r - c->ring));
	return 0;
}

int vhost_ring_set_call(struct vhost_conn *c)
{
	struct vhost_ring *r;
	int fd, ret, old;

	r = ring_take_event(c, &fd, &ret);
	if (!r)
		return ret;
	old = r->call_fd;
	r->call_fd = fd;
	if (r->running)
		c->ops->ring_call(c->opaque, (unsigned int)(r - c->ring), fd);
	vhost_close_fd(&old);
	return 0;
}

/* Kept, as the protocol wants it, but there is nobody who would read what we had to say. */
int vhost_ring_set_err(struct vhost_conn *c)
{
	struct vhost_ring *r;
	int fd, ret;

	r = ring_take_event(c, &fd, &ret);
	if (!r)
		return ret;
	vhost_close_fd(&r->err_fd);
	r->err_fd = fd;
	return 0;
}

static void ring_enable(struct vhost_conn *c, struct vhost_ring *r, bool on)
{
	if (r->enabled == on)
		return;
	r->enabled = on;
	if (r->running)
		c->ops->ring_enable(c->opaque, (unsigned int)(r - c->ring), on);
}

int vhost_ring_set_enable(struct vhost_conn *c)
{
	struct vhost_ring *r = ring_at(c, c->payload.state.index);

	if (!r)
		return ring_unknown(c, c->payload.state.index);
	if (c->payload.state.num > 1)
		return vhost_fault(c, "ring %u enabled with %u", c->payload.state.index,
				   c->payload.state.num);
	ring_enable(c, r, c->payload.state.num);
	return 0;
}

void vhost_rings_init(struct vhost_conn *c)
{
	for (unsigned int i = 0; i < VHOST_MAX_RINGS; i++)
		c->ring[i] = (struct vhost_ring){ .kick_fd = -1, .call_fd = -1, .err_fd = -1 };
}

void vhost_rings_stop(struct vhost_conn *c)
{
	for (unsigned int i = 0; i < c->n_rings; i++)
		ring_stop(c, &c->ring[i]);
}

void vhost_rings_restart(struct vhost_conn *c)
{
	for (unsigned int i = 0; i < c->n_rings; i++)
		ring_start(c, &c->ring[i]);
}

void vhost_rings_enable(struct vhost_conn *c, bool on)
{
	for (unsigned int i = 0; i < c->n_rings; i++)
		ring_enable(c, &c->ring[i], on);
}

void vhost_rings_close(struct vhost_conn *c)
{
	for (unsigned int i = 0; i < c->n_rings; i++) {
		vhost_close_fd(&c->ring[i].kick_fd);
		vhost_close_fd(&c->ring[i].call_fd);
		vhost_close_fd(&c->ring[i].err_fd);
	}
}
