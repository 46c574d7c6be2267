/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back-end `vhost` against a kernel that this test plays: it writes down what it is told by the
 * ioctls of /dev/vhost-net, and refuses one on demand. The tap is a real one, in a network
 * namespace of this test, so root is needed; without, everything is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <linux/vhost.h>
#include <cmocka.h>

#include "helper_virtio.h"
#include "pv-net/nic_vhost.h"
#include "pv-net/tap_open.h"

#define PAIRS  2
#define CTRL   (2 * PAIRS)
#define F_MQ   (VIRTIO_BIT(VIRTIO_NET_F_MQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ))
#define OK_ALL 15

/* --- the kernel --- */
struct ring {
	unsigned int num, base;
	struct vhost_vring_addr addr;
	int kick, call, backend;
};

struct half { /* one descriptor of /dev/vhost-net */
	int fd;
	bool owned;
	uint64_t features, mem_size;
	struct ring ring[2];
};

static struct {
	struct half half[PAIRS];
	uint64_t features;
	unsigned long refuse; /* this request, so many times */
	unsigned int refusals, n_calls;
} kern;

static const char *why_not;

static struct half *half_of(int fd)
{
	for (unsigned int i = 0; i < PAIRS; i++)
		if (kern.half[i].fd == fd)
			return &kern.half[i];
	return NULL;
}

/* What has to be so before a ring may run, as vhost-net itself wants it. */
static int set_backend(struct half *h, const struct vhost_vring_file *f)
{
	struct ring *r = &h->ring[f->index];

	if (f->fd >= 0 && (!h->owned || !h->mem_size || !r->num || !r->addr.desc_user_addr))
		return -EFAULT;
	r->backend = f->fd;
	return 0;
}

static int set_vring(struct half *h, unsigned long request, void *arg)
{
	const struct vhost_vring_state *s = arg;
	const struct vhost_vring_file *f = arg;
	struct ring *r = &h->ring[s->index];

	if (s->index > 1)
		return -ENOBUFS;
	switch (request) {
	case VHOST_SET_VRING_NUM: r->num = s->num; break;
	case VHOST_SET_VRING_BASE:
		if (r->backend >= 0)
			return -EBUSY;
		r->base = s->num;
		break;
	case VHOST_SET_VRING_ADDR: r->addr = *(const struct vhost_vring_addr *)arg; break;
	case VHOST_SET_VRING_KICK: r->kick = f->fd; break;
	case VHOST_SET_VRING_CALL: r->call = f->fd; break;
	case VHOST_NET_SET_BACKEND: return set_backend(h, f);
	default: return -ENOTTY;
	}
	return 0;
}

static int kernel_ioctl(void *opaque, int fd, unsigned long request, void *arg)
{
	const struct vhost_memory *m = arg;
	struct half *h = half_of(fd);

	kern.n_calls++;
	if (request == kern.refuse && kern.refusals) {
		kern.refusals--;
		return -EINVAL;
	}
	if (!h)
		return -EBADF;
	switch (request) {
	case VHOST_SET_OWNER: h->owned = true; return 0;
	case VHOST_GET_FEATURES: *(uint64_t *)arg = kern.features; return 0;
	case VHOST_SET_FEATURES: h->features = *(uint64_t *)arg; return 0;
	case VHOST_SET_MEM_TABLE:
		h->mem_size = m->nregions ? m->regions[0].memory_size : 0;
		return 0;
	default: return set_vring(h, request, arg);
	}
}

static int fake_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
		       struct nic_backend **out)
{
	static const struct vhost_kernel kernel = { .ioctl = kernel_ioctl };

	return nic_vhost_create(vm, conf, fe, &kernel, out);
}

static const struct nic_backend_type fake_type = { .name = "vhostfake", .create = fake_create };
NIC_BACKEND(&fake_type);

/* --- the guest --- */
struct fix {
	struct vg g;
	int tap[TAP_MAX_QUEUES];
};

static void need_root(void)
{
	if (!why_not)
		return;
	print_message("# skipped: %s\n", why_not);
	skip();
}

static void make_fds(struct fix *f, struct device_fd *fds, unsigned int n)
{
	struct tap_wish w = { .must_be_new = true, .n_queues = n, .vnet_hdr = true };
	struct tap_iface t;

	assert_int_equal(tap_open("flvhost0", &w, &t, f->tap), 0);
	memset(&kern, 0, sizeof(kern));
	kern.features = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VG_F_MRG | VG_F_EVENT | VG_F_INDIRECT;
	for (unsigned int i = 0; i < PAIRS; i++) {
		kern.half[i].fd = i < n ? eventfd(0, EFD_CLOEXEC) : -1;
		for (unsigned int k = 0; k < 2; k++)
			kern.half[i].ring[k] =
				(struct ring){ .kick = -1, .call = -1, .backend = -1 };
	}
	for (unsigned int i = 0; i < n; i++) {
		fds[2 * i].fd = f->tap[i];
		fds[2 * i + 1].fd = kern.half[i].fd;
		snprintf(fds[2 * i].name, sizeof(fds->name), i ? "tap%u" : "tap", i);
		snprintf(fds[2 * i + 1].name, sizeof(fds->name), i ? "vhost%u" : "vhost", i);
	}
}

static int setup_pairs(void **state, unsigned int n, const char *opts)
{
	struct device_fd fds[2 * PAIRS];
	static struct fix f;

	memset(&f, 0, sizeof(f));
	*state = &f;
	if (why_not)
		return 0;
	make_fds(&f, fds, n);
	vg_up_named(&f.g, opts, fds, 2 * n);
	return 0;
}

static int setup(void **state)
{
	return setup_pairs(state, 1, "virtio,backend=vhostfake,ifname=flvhost0");
}

static int setup_several(void **state)
{
	return setup_pairs(state, PAIRS, "virtio,backend=vhostfake,ifname=flvhost0,queues=2");
}

static int teardown(void **state)
{
	if (!why_not)
		vg_down(&((struct fix *)*state)->g);
	return 0;
}

static void bus_master(struct vg *g, bool on)
{
	vg_cfg_write(g, 4, 2, on ? 0x6 : 0x2);
}

/* --- tests --- */
static void rings_go_to_the_kernel_when_the_driver_is_ready(void **state)
{
	struct fix *f = *state;
	struct vg *g = &f->g;

	need_root();
	assert_true(kern.half[0].owned);
	assert_int_equal(kern.half[0].mem_size, VG_MEM);
	assert_int_equal(kern.half[0].ring[0].backend, -1);
	vg_start(g, VG_F_NET | VG_F_EVENT | VIRTIO_BIT(VIRTIO_NET_F_CSUM), 64);
	/* what is between the driver and the device, or the tap, is not vhost-net's */
	assert_int_equal(kern.half[0].features, VIRTIO_BIT(VIRTIO_F_VERSION_1) | VG_F_EVENT);
	for (unsigned int q = 0; q < 2; q++) {
		const struct ring *r = &kern.half[0].ring[q];

		assert_int_equal(r->num, 64);
		assert_int_equal(r->base, 0);
		assert_ptr_equal((void *)(uintptr_t)r->addr.desc_user_addr, vg_desc(g, q));
		assert_ptr_equal((void *)(uintptr_t)r->addr.avail_user_addr, vg_avail(g, q));
		assert_ptr_equal((void *)(uintptr_t)r->addr.used_user_addr, vg_used(g, q));
		assert_int_equal(r->kick, g->v->vd.queue[q].kick.fd);
		assert_int_equal(r->call, g->v->intx.fd);
		assert_int_equal(r->backend, f->tap[0]);
	}
	vg_set_status(g, 0);
	assert_int_equal(kern.half[0].ring[0].backend, -1);
	assert_int_equal(kern.half[0].ring[1].backend, -1);
	assert_int_equal(kern.half[0].ring[1].kick, -1);
}

static void rings_go_on_where_they_were(void **state)
{
	struct fix *f = *state;
	struct vg *g = &f->g;

	need_root();
	vg_start(g, VG_F_NET, 64);
	vg_used(g, VG_RX)->idx = 7;
	vg_used(g, VG_TX)->idx = 9;
	bus_master(g, false);
	assert_int_equal(kern.half[0].ring[0].backend, -1);
	bus_master(g, true);
	assert_int_equal(kern.half[0].ring[0].base, 7);
	assert_int_equal(kern.half[0].ring[1].base, 9);
	assert_int_equal(kern.half[0].ring[1].backend, f->tap[0]);
	assert_int_equal(vg_counter(g, "vhost_starts"), 2);
	assert_int_equal(vg_counter(g, "vhost_errors"), 0);
}

static void pairs_run_when_the_driver_uses_them(void **state)
{
	static const uint8_t two[] = { 4, 0, 2, 0 }, one[] = { 4, 0, 1, 0 };
	struct fix *f = *state;
	struct vg *g = &f->g;

	need_root();
	vg_start_all(g, VG_F_NET | F_MQ, 64, CTRL + 1);
	assert_int_equal(kern.half[0].ring[0].backend, f->tap[0]);
	assert_int_equal(kern.half[1].ring[0].num, 64);
	assert_int_equal(kern.half[1].ring[0].backend, -1);
	assert_int_equal(vg_command(g, CTRL, two, sizeof(two)), 0);
	assert_int_equal(kern.half[1].ring[0].backend, f->tap[1]);
	assert_int_equal(kern.half[1].ring[1].backend, f->tap[1]);
	assert_int_equal(vg_command(g, CTRL, one, sizeof(one)), 0);
	assert_int_equal(kern.half[1].ring[1].backend, -1);
	assert_int_equal(kern.half[0].ring[1].backend, f->tap[0]);
	assert_int_equal(vg_command(g, CTRL, two, sizeof(two)), 0);
	vg_set_status(g, 0);
	for (unsigned int i = 0; i < 2 * PAIRS; i++)
		assert_int_equal(kern.half[i / 2].ring[i % 2].backend, -1);
	assert_int_equal(vg_counter(g, "vhost_errors"), 0);
}

static void interrupts_move_to_their_vectors(void **state)
{
	struct fix *f = *state;
	struct vg *g = &f->g;
	unsigned int at;

	need_root();
	at = vg_cfg_read(g, 0x34, 1);
	vg_start(g, VG_F_NET, 64);
	while (vg_cfg_read(g, at, 1) != 0x11)
		at = vg_cfg_read(g, at + 1, 1);
	vg_cfg_write(g, at + 2, 2, 0x8000);
	assert_int_equal(kern.half[0].ring[1].call, pci_msix_fd(&g->v->vd.pci, 1));
	vg_write(g, 0x16, 2, 1);
	vg_write(g, 0x1a, 2, 0xffff);
	assert_int_equal(kern.half[0].ring[1].call, -1);
}

static void only_what_the_kernel_has_is_offered(void **state)
{
	struct fix *f = *state;
	struct device_conf conf = { .name = "nic1" };
	struct device_fd fds[2];
	struct device *dev;

	need_root();
	vg_down(&f->g);
	make_fds(f, fds, 1);
	kern.features &= ~VG_F_EVENT;
	vg_up_named(&f->g, "virtio,backend=vhostfake", fds, 2);
	vg_write(&f->g, 0, 4, 0);
	assert_int_equal(vg_read(&f->g, 4, 4) & VG_F_EVENT, 0);
	assert_int_equal(vg_read(&f->g, 4, 4) & VG_F_MRG, VG_F_MRG);
	/* the tap's, which vhost-net passes on */
	assert_int_equal(vg_read(&f->g, 4, 4) & 0x1b83, 0x1b83);
	assert_int_equal(opts_parse("virtio,backend=vhostfake", &conf.opts), 0);
	assert_int_equal(device_create(f->g.vm, &conf, &dev), -ENOENT); /* no descriptors */
	opts_free(conf.opts);
}

static void kernel_without_what_is_needed_is_refused(void **state)
{
	static const struct {
		const char *opts;
		uint64_t lacks;
		unsigned long refuse;
		int ret;
	} row[] = {
		{ "virtio,backend=vhostfake", VIRTIO_BIT(VIRTIO_F_VERSION_1), 0, -EOPNOTSUPP },
		{ "virtio,backend=vhostfake,packed=on", 0, 0, -EOPNOTSUPP },
		{ "virtio,backend=vhostfake,queues=2", 0, 0, -EINVAL },
		{ "virtio,backend=vhostfake", 0, VHOST_SET_OWNER, -EINVAL },
		{ "virtio,backend=vhostfake", 0, VHOST_GET_FEATURES, -EINVAL },
		{ "virtio,backend=vhostfake", 0, VHOST_SET_MEM_TABLE, -EINVAL },
		{ "e1000,backend=vhostfake", 0, 0, -EINVAL },
	};
	struct fix *f = *state;

	need_root();
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct device_conf conf = { .name = "nic0", .n_fds = 2 };
		unsigned int said = f->g.n_messages;
		struct device *dev;

		vg_down(&f->g);
		make_fds(f, conf.fds, 1);
		vg_up(&f->g, "virtio", -1);
		kern.features &= ~row[i].lacks;
		kern.refuse = row[i].refuse;
		kern.refusals = row[i].refuse != 0;
		said = f->g.n_messages;
		assert_int_equal(opts_parse(row[i].opts, &conf.opts), 0);
		assert_int_equal(device_create(f->g.vm, &conf, &dev), row[i].ret);
		assert_int_equal(f->g.n_messages, said + 1);
		opts_free(conf.opts);
		for (unsigned int k = 0; k < conf.n_fds; k++)
			if (conf.fds[k].fd >= 0)
				close(conf.fds[k].fd);
	}
}

static void start_that_the_kernel_refuses_is_no_link(void **state)
{
	static const unsigned long row[] = { VHOST_SET_FEATURES,   VHOST_SET_VRING_NUM,
					     VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR,
					     VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
					     VHOST_NET_SET_BACKEND };
	struct fix *f = *state;
	struct vg *g = &f->g;

	need_root();
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		kern.refuse = row[i];
		kern.refusals = 1;
		vg_start(g, VG_F_NET, 64);
		vg_poll(g);
		assert_int_equal(vg_read(g, 0x2006, 2), 0);
		assert_int_equal(kern.half[0].ring[0].backend, -1);
		assert_int_equal(kern.half[0].ring[1].backend, -1);
		assert_non_null(strstr(g->message, "vhost-net"));
		vg_start(g, VG_F_NET, 64);
		vg_poll(g);
		assert_int_equal(vg_read(g, 0x2006, 2), 1);
		assert_int_equal(kern.half[0].ring[1].backend, f->tap[0]);
		vg_set_status(g, 0);
	}
}

static void pause_takes_the_tap_away_for_a_while(void **state)
{
	struct fix *f = *state;
	struct vg *g = &f->g;
	struct device *d = &g->v->dev;
	uint64_t n;

	need_root();
	assert_int_equal(d->ops->pause(d), 0); /* nothing is handed over yet */
	d->ops->resume(d);
	vg_start_all(g, VG_F_NET | F_MQ, 64, CTRL + 1);
	assert_int_equal(read(kern.half[0].ring[1].kick, &n, sizeof(n)), sizeof(n));
	assert_int_equal(d->ops->pause(d), 0);
	assert_int_equal(kern.half[0].ring[0].backend, -1);
	assert_int_equal(kern.half[0].ring[1].backend, -1);
	d->ops->resume(d);
	assert_int_equal(kern.half[0].ring[0].backend, f->tap[0]);
	assert_int_equal(kern.half[0].ring[1].backend, f->tap[0]);
	/* what the driver rang for meanwhile is looked at */
	assert_int_equal(read(kern.half[0].ring[1].kick, &n, sizeof(n)), sizeof(n));
	/* the second pair is not in use and stays so */
	assert_int_equal(kern.half[1].ring[0].backend, -1);
	d->ops->pause(d);
	vg_set_status(g, 0);
	d->ops->resume(d);
	assert_int_equal(kern.half[0].ring[0].backend, -1);
	assert_int_equal(vg_counter(g, "vhost_errors"), 0);
}

static void kernel_that_does_not_let_go_loses_its_descriptor(void **state)
{
	struct fix *f = *state;
	struct vg *g = &f->g;

	need_root();
	vg_start(g, VG_F_NET, 64);
	kern.refuse = VHOST_NET_SET_BACKEND;
	kern.refusals = 1;
	vg_set_status(g, 0);
	assert_int_equal(vg_counter(g, "vhost_errors"), 2); /* for both rings */
	assert_int_equal(fcntl(kern.half[0].fd, F_GETFD), -1);
	vg_start(g, VG_F_NET, 64); /* there is nothing to start any more */
	vg_poll(g);
	assert_int_equal(vg_read(g, 0x2006, 2), 0);
}

#define ONE(name)     cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SEVERAL(name) cmocka_unit_test_setup_teardown(name, setup_several, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONE(rings_go_to_the_kernel_when_the_driver_is_ready),
		ONE(rings_go_on_where_they_were),
		SEVERAL(pairs_run_when_the_driver_uses_them),
		ONE(interrupts_move_to_their_vectors),
		ONE(only_what_the_kernel_has_is_offered),
		ONE(kernel_without_what_is_needed_is_refused),
		ONE(start_that_the_kernel_refuses_is_no_link),
		SEVERAL(pause_takes_the_tap_away_for_a_while),
		ONE(kernel_that_does_not_let_go_loses_its_descriptor),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		why_not = "a network namespace needs root";
	else if (access("/dev/net/tun", R_OK | W_OK) < 0)
		why_not = "there is no /dev/net/tun (modprobe tun)";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
