/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back-end `vhost`: the kernel itself works on the guest's rings and hands the frames to a tap
 * interface (vhost-net). One descriptor of /dev/vhost-net and one of the tap for each queue pair,
 * opened by prep_tap.c; here they are told where the guest's memory and rings are, whose doorbells
 * and interrupts are eventfds, and the monitor is out of the way. For virtio-net only: called by
 * virtio_net_rings.c, all of it under the device's lock. linux/vhost.h; rings of VIRTIO 1.2 section
 * 2.7. Left out: packed rings and VLAN filters, which vhost-net and a tap do not have.
 */
#include "pv-net/nic_vhost.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vhost.h>

#include "core/err.h"
#include "core/virtqueue.h"
#include "pv-net/tap_dev.h"

#define MAX_REGIONS 8

struct nic_vhost {
	struct nic_backend be; /* first */
	const struct vhost_kernel *kernel;
	const struct guest_mem *mem;
	const char *name;
	int vhost[TAP_MAX_QUEUES], tap[TAP_MAX_QUEUES];
	bool off[TAP_MAX_QUEUES]; /* the tap's queue gets no flows */
	uint64_t features;        /* of vhost-net, on all descriptors */
	struct nic_ring ring[NIC_MAX_RINGS];
	unsigned int n; /* rings that were handed over; 0: stopped */
	bool failed;    /* the last start did */
	struct err_limit limit;
	uint64_t n_starts, n_errors;
};

/* The offloads: between the driver and the tap, vhost-net passes the header on. */
#define GUEST_OFFLOADS \
	(VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN))
#define OFFLOADS \
	(GUEST_OFFLOADS | VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | \
	 VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN))
/* What of vhost-net's own features we could use. */
#define RING_FEATURES \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | \
	 VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC))

static struct nic_vhost *vhost_of(struct nic_backend *be)
{
	return (struct nic_vhost *)be;
}

static int vhost_ioctl(struct nic_vhost *s, unsigned int pair, unsigned long request, void *arg)
{
	return s->kernel->ioctl(s->kernel->opaque, s->vhost[pair], request, arg);
}

static void vhost_signal(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* its counter is full: it is signalled */
}

/* --- rings --- */
static int vhost_file(struct nic_vhost *s, unsigned int ring, unsigned long request, int fd)
{
	struct vhost_vring_file f = { .index = ring % 2, .fd = fd };

	return vhost_ioctl(s, ring / 2, request, &f);
}

/* With a tap behind it a ring runs. What the tap's queue is given follows its receive ring. */
static int vhost_run(struct nic_vhost *s, unsigned int ring, bool on)
{
	unsigned int pair = ring / 2;
	bool rx = ring % 2 == 0;
	int ret = 0;

	if (rx && pair && s->off[pair] == on) {
		ret = tap_dev_queue(s->tap[pair], on);
		s->off[pair] = ret < 0 ? s->off[pair] : !on;
	}
	return ret < 0 ? ret : vhost_file(s, ring, VHOST_NET_SET_BACKEND, on ? s->tap[pair] : -1);
}

/* Rings are completed in order: what is used is done. */
static uint16_t vhost_base(const struct nic_vhost *s, const struct nic_ring *r)
{
	const struct virtq_used *used = mem_ptr(s->mem, r->used, sizeof(*used));

	return used ? __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) : 0;
}

static int vhost_tell_ring(struct nic_vhost *s, unsigned int i)
{
	const struct nic_ring *r = &s->ring[i];
	struct vhost_vring_state num = { .index = i % 2, .num = r->size },
				 base = { .index = i % 2, .num = vhost_base(s, r) };
	struct vhost_vring_addr addr = {
		.index = i % 2,
		.desc_user_addr = (uintptr_t)mem_ptr(s->mem, r->desc, VIRTQ_DESC_SIZE(r->size)),
		.avail_user_addr = (uintptr_t)mem_ptr(s->mem, r->avail, VIRTQ_AVAIL_SIZE(r->size)),
		.used_user_addr = (uintptr_t)mem_ptr(s->mem, r->used, VIRTQ_USED_SIZE(r->size)),
	};
	int ret;

	if (!addr.desc_user_addr || !addr.avail_user_addr || !addr.used_user_addr)
		return -EFAULT;
	ret = vhost_ioctl(s, i / 2, VHOST_SET_VRING_NUM, &num);
	if (ret == 0)
		ret = vhost_ioctl(s, i / 2, VHOST_SET_VRING_BASE, &base);
	if (ret == 0)
		ret = vhost_ioctl(s, i / 2, VHOST_SET_VRING_ADDR, &addr);
	if (ret == 0)
		ret = vhost_file(s, i, VHOST_SET_VRING_CALL, r->call_fd);
	if (ret == 0)
		ret = vhost_file(s, i, VHOST_SET_VRING_KICK, r->kick_fd);
	return ret;
}

/* What the tap may leave undone of the frames for the guest. */
static int vhost_offloads(struct nic_vhost *s, uint64_t features)
{
	static const struct {
		unsigned int feature;
		uint32_t offload;
	} row[] = { { VIRTIO_NET_F_GUEST_CSUM, NIC_OFFLOAD_CSUM },
		    { VIRTIO_NET_F_GUEST_TSO4, NIC_OFFLOAD_TSO4 },
		    { VIRTIO_NET_F_GUEST_TSO6, NIC_OFFLOAD_TSO6 },
		    { VIRTIO_NET_F_GUEST_ECN, NIC_OFFLOAD_ECN } };
	uint32_t rx = 0;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		rx |= features & VIRTIO_BIT(row[i].feature) ? row[i].offload : 0;
	return tap_dev_offloads(s->tap[0], rx);
}

static void vhost_stop(struct nic_backend *be)
{
	struct nic_vhost *s = vhost_of(be);

	for (unsigned int i = 0; i < s->n; i++) {
		int fd = s->vhost[i / 2];

		/* it returns when the kernel has let go of the ring */
		if (fd >= 0 && vhost_run(s, i, false) == 0 &&
		    vhost_file(s, i, VHOST_SET_VRING_KICK, -1) == 0)
			continue;
		/* the end of its descriptor makes it let go in any case */
		s->n_errors++;
		s->vhost[i / 2] = -1;
		if (fd >= 0)
			close(fd);
	}
	s->n = 0;
}

static int vhost_try_start(struct nic_vhost *s, uint64_t features)
{
	uint64_t own = features & s->features & RING_FEATURES;
	int ret = vhost_offloads(s, features);

	for (unsigned int p = 0; p < s->n / 2 && ret == 0; p++)
		ret = vhost_ioctl(s, p, VHOST_SET_FEATURES, &own);
	for (unsigned int i = 0; i < s->n && ret == 0; i++)
		ret = vhost_tell_ring(s, i);
	for (unsigned int i = 0; i < s->n && ret == 0; i++)
		if (s->ring[i].enabled)
			ret = vhost_run(s, i, true);
	return ret;
}

static void vhost_start(struct nic_backend *be, uint64_t features, const struct nic_ring *ring,
			unsigned int n)
{
	struct nic_vhost *s = vhost_of(be);
	bool failed = s->failed;
	int ret;

	memcpy(s->ring, ring, n * sizeof(*ring));
	s->n = n;
	s->n_starts++;
	ret = n > 2 * be->n_pairs ? -EINVAL : vhost_try_start(s, features);
	s->failed = ret < 0;
	if (ret < 0) {
		s->n_errors++;
		vhost_stop(be);
		err_limited(&s->limit,
			    "%s: handing the rings to vhost-net: %s; the NIC has no link; use "
			    "backend=tap",
			    s->name, strerror(-ret));
	}
	for (unsigned int i = 0; i < s->n; i++)
		vhost_signal(s->ring[i].kick_fd); /* whoever had the ring before may have read it */
	if (failed != s->failed && be->fe->ops->link)
		be->fe->ops->link(be->fe, !s->failed);
}

static void vhost_enable(struct nic_backend *be, unsigned int ring, bool on)
{
	struct nic_vhost *s = vhost_of(be);

	if (ring >= s->n || s->ring[ring].enabled == on)
		return;
	s->ring[ring].enabled = on;
	if (vhost_run(s, ring, on) < 0)
		s->n_errors++;
	else if (on)
		vhost_signal(s->ring[ring].kick_fd);
}

static void vhost_call(struct nic_backend *be, unsigned int ring, int call_fd)
{
	struct nic_vhost *s = vhost_of(be);

	if (ring >= s->n)
		return;
	s->ring[ring].call_fd = call_fd;
	if (vhost_file(s, ring, VHOST_SET_VRING_CALL, call_fd) < 0)
		s->n_errors++;
	vhost_signal(call_fd); /* the last one may have gone the old way */
}

static uint64_t vhost_features(struct nic_backend *be, uint64_t offered, unsigned int *max_pairs)
{
	struct nic_vhost *s = vhost_of(be);

	*max_pairs = be->n_pairs;
	return offered & ((s->features & RING_FEATURES) | (be->offloads ? OFFLOADS : 0));
}

/* A ring without the tap behind it is left alone by the kernel. */
static void vhost_pause(struct nic_backend *be)
{
	struct nic_vhost *s = vhost_of(be);

	for (unsigned int i = 0; i < s->n; i++)
		if (s->ring[i].enabled && vhost_file(s, i, VHOST_NET_SET_BACKEND, -1) < 0) {
			s->n_errors++;
			if (s->vhost[i / 2] >= 0)
				close(s->vhost[i / 2]);
			s->vhost[i / 2] = -1;
		}
}

static void vhost_resume(struct nic_backend *be)
{
	struct nic_vhost *s = vhost_of(be);

	for (unsigned int i = 0; i < s->n; i++) {
		if (!s->ring[i].enabled)
			continue;
		if (vhost_file(s, i, VHOST_NET_SET_BACKEND, s->tap[i / 2]) < 0)
			s->n_errors++;
		vhost_signal(s->ring[i].kick_fd);
	}
}

/* --- the rest of the seam --- */
static void vhost_set_filter(struct nic_backend *be, const struct nic_filter *f)
{
	tap_dev_filter(vhost_of(be)->tap[0], f);
}

static bool vhost_link_up(struct nic_backend *be)
{
	return !vhost_of(be)->failed;
}

static void vhost_stats(struct nic_backend *be, struct stats_sink *sink)
{
	stats_put(sink, "vhost_starts", vhost_of(be)->n_starts);
	stats_put(sink, "vhost_errors", vhost_of(be)->n_errors);
}

static void vhost_destroy(struct nic_backend *be)
{
	struct nic_vhost *s = vhost_of(be);

	vhost_stop(be);
	for (unsigned int i = 0; i < TAP_MAX_QUEUES; i++) {
		if (s->vhost[i] >= 0)
			close(s->vhost[i]);
		if (s->tap[i] >= 0)
			close(s->tap[i]);
	}
	free(s);
}

/* send(), sent() and receive() are not asked of who has the rings. */
static const struct nic_backend_ops vhost_ops = {
	.destroy = vhost_destroy,
	.set_filter = vhost_set_filter,
	.link_up = vhost_link_up,
	.rings_features = vhost_features,
	.rings_start = vhost_start,
	.rings_stop = vhost_stop,
	.ring_enable = vhost_enable,
	.ring_call = vhost_call,
	.stats = vhost_stats,
	.pause = vhost_pause,
	.resume = vhost_resume,
};

/* --- life --- */
static int vhost_tell_memory(struct nic_vhost *s, unsigned int pair)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region[MAX_REGIONS];
	} m = { 0 };

	_Static_assert(offsetof(typeof(m), region) == sizeof(struct vhost_memory),
		       "the regions follow the header");
	for (size_t i = 0; i < mem_n_regions(s->mem) && i < MAX_REGIONS; i++) {
		const struct mem_region *r = mem_region(s->mem, i);

		m.region[m.head.nregions++] =
			(struct vhost_memory_region){ .guest_phys_addr = r->gpa,
						      .memory_size = r->size,
						      .userspace_addr = (uintptr_t)r->hva };
	}
	return vhost_ioctl(s, pair, VHOST_SET_MEM_TABLE, &m);
}

static int vhost_set_up(struct nic_vhost *s)
{
	uint64_t features;
	bool header;
	int ret = tap_dev_look(s->tap[0], &header, &s->be.offloads);

	if (ret == 0 && !header)
		return -EINVAL;
	s->features = RING_FEATURES;
	for (unsigned int p = 0; p < s->be.n_pairs && ret == 0; p++) {
		ret = vhost_ioctl(s, p, VHOST_SET_OWNER, NULL);
		if (ret == 0)
			ret = vhost_ioctl(s, p, VHOST_GET_FEATURES, &features);
		if (ret == 0)
			ret = vhost_tell_memory(s, p);
		if (ret == 0 && p)
			ret = tap_dev_queue(s->tap[p], false);
		s->off[p] = p;
		s->features &= ret == 0 ? features : 0;
	}
	return ret == 0 && !(s->features & VIRTIO_BIT(VIRTIO_F_VERSION_1)) ? -EOPNOTSUPP : ret;
}

static int vhost_take_fds(struct nic_vhost *s, struct device_conf *conf)
{
	unsigned int n = tap_dev_take(conf, "tap", s->tap);

	s->be.n_pairs = tap_dev_take(conf, "vhost", s->vhost);
	if (n && n == s->be.n_pairs)
		return 0;
	return err_ret(-ENOENT,
		       "%s: no /dev/vhost-net was opened for it: start the guest by 'fourlane run'",
		       conf->name);
}

int nic_vhost_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
		     const struct vhost_kernel *kernel, struct nic_backend **out)
{
	struct nic_vhost *s;
	int ret;

	opts_take(conf->opts, "ifname"); /* prep_tap.c has seen to it */
	if (strcmp(opts_type(conf->opts), "virtio"))
		return err_ret(-EINVAL,
			       "%s: backend=vhost: for --nic virtio only; give backend=tap",
			       conf->name);
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->be.ops = &vhost_ops;
	s->be.fe = fe;
	s->kernel = kernel;
	s->mem = vm_mem(vm);
	s->name = conf->name;
	for (unsigned int i = 0; i < TAP_MAX_QUEUES; i++)
		s->vhost[i] = s->tap[i] = -1;
	ret = vhost_take_fds(s, conf);
	if (ret == 0 && (ret = vhost_set_up(s)) < 0)
		err_say("%s: setting up vhost-net: %s; use backend=tap", conf->name,
			strerror(-ret));
	if (ret < 0)
		vhost_destroy(&s->be);
	else
		*out = &s->be;
	return ret;
}

static int vhost_real_ioctl(void *opaque, int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

static int vhost_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
			struct nic_backend **out)
{
	static const struct vhost_kernel kernel = { .ioctl = vhost_real_ioctl };

	return nic_vhost_create(vm, conf, fe, &kernel, out);
}

static const struct nic_backend_type vhost_type = {
	.name = "vhost",
	.help = "a tap interface of the host, served by the kernel: ifname=",
	.create = vhost_create,
};
NIC_BACKEND(&vhost_type);
