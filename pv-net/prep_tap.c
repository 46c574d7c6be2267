/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `backend=tap` and `backend=vhost` on the host's side: opens the interface before the guest starts
 * and hands its descriptors to the monitor under the names "tap", "tap1", ..., for vhost as many of
 * /dev/vhost-net under "vhost", "vhost1", ...; puts an interface that was there before back as it
 * was. Called by prep_software().
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/prep.h"
#include "pv-net/tap_open.h"

#define VHOST_NET "/dev/vhost-net"

struct prep_tap {
	struct tap_iface iface;
	int fd; /* a copy, for an interface to be put back; -1: it goes by itself */
};

static void prep_tap_drop(struct prep_tap *p)
{
	if (p->fd >= 0) {
		tap_put_back(&p->iface, p->fd);
		close(p->fd);
	}
	free(p);
}

/* The monitor, ps and stats are told the name that was made up. */
static int prep_tap_tell_name(struct prep_nic *nic, const char *name)
{
	char *text = strdup(nic->device_opts ? nic->device_opts : opts_text(nic->opts));
	int ret = text ? prep_set_opts(nic, "%s,ifname=%s", text, name) : -ENOMEM;

	free(text);
	return ret;
}

/* Keys of the device that the interface has to fit; the monitor reads them too. */
static int prep_tap_wish(struct prep_nic *nic, struct tap_wish *w, bool vhost)
{
	uint64_t queues = 1, mtu = 0;
	bool offloads = true;
	int ret = opts_take_number(nic->opts, "queues", 1, TAP_MAX_QUEUES, &queues);

	if (ret >= 0)
		ret = opts_take_number(nic->opts, "mtu", 0, UINT16_MAX, &mtu);
	if (ret >= 0)
		ret = opts_take_bool(nic->opts, "offloads", &offloads);
	/* other devices have no use for the header; vhost-net counts on it */
	w->vnet_hdr = (offloads || vhost) && !strcmp(opts_type(nic->opts), "virtio");
	w->n_queues = (unsigned int)queues;
	w->mtu = (unsigned int)mtu;
	return ret < 0 ? ret : 0;
}

/* Descriptors `name`, `name`1, ...; all are taken. */
static int prep_tap_add_fds(struct prep_guest *g, struct prep_nic *nic, const char *name,
			    const int *fd, unsigned int n)
{
	char text[16];
	int ret = 0;

	snprintf(text, sizeof(text), "%s", name);
	for (unsigned int i = 0; i < n; i++) {
		if (i)
			snprintf(text, sizeof(text), "%s%u", name, i);
		if (ret == 0)
			ret = prep_add_fd(g, nic, text, fd[i]);
		else
			close(fd[i]);
	}
	return ret;
}

static int prep_vhost_fail(struct prep_nic *nic, int err)
{
	if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
		return err_ret(-ENODEV,
			       "%s: opening " VHOST_NET
			       ": the kernel has no vhost-net; load it with "
			       "'modprobe vhost_net', or give backend=tap",
			       nic->name);
	return err_ret(err, "%s: opening " VHOST_NET ": %s; run as root, or give backend=tap",
		       nic->name, strerror(-err));
}

static int prep_vhost_open(struct prep_guest *g, struct prep_nic *nic, unsigned int n)
{
	int fd[TAP_MAX_QUEUES], ret = 0;
	unsigned int i = 0;

	if (strcmp(opts_type(nic->opts), "virtio"))
		return err_ret(-EINVAL,
			       "%s: backend=vhost: for --nic virtio only; give backend=tap",
			       nic->name);
	for (; i < n && ret == 0; i += ret == 0) {
		fd[i] = open(VHOST_NET, O_RDWR | O_CLOEXEC);
		ret = fd[i] < 0 ? -errno : 0;
	}
	if (ret == 0)
		return prep_tap_add_fds(g, nic, "vhost", fd, n);
	while (i--)
		close(fd[i]);
	return prep_vhost_fail(nic, ret);
}

static int prep_tap_open(struct prep_guest *g, struct prep_nic *nic, struct prep_tap *p, bool vhost)
{
	const char *given = opts_take(nic->opts, "ifname");
	struct tap_wish w = { .must_be_new = !given };
	int fd[TAP_MAX_QUEUES], ret;
	char name[TAP_NAME_SIZE];

	if (given && tap_name_check(given) < 0)
		return -EINVAL;
	if (!given)
		tap_name_make(name, prep_guest_name(g), nic->idx);
	ret = prep_tap_wish(nic, &w, vhost);
	if (ret == 0 && vhost)
		ret = prep_vhost_open(g, nic, w.n_queues);
	if (ret == 0)
		ret = tap_open(given ? given : name, &w, &p->iface, fd);
	if (ret < 0)
		return ret;
	if (!p->iface.created)
		p->fd = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
	ret = prep_tap_add_fds(g, nic, "tap", fd, w.n_queues);
	return ret < 0 || given ? ret : prep_tap_tell_name(nic, name);
}

static int prep_either(struct prep_guest *g, struct prep_nic *nic, bool vhost)
{
	struct prep_tap *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return -ENOMEM;
	p->fd = -1;
	ret = prep_tap_open(g, nic, p, vhost);
	if (ret < 0)
		prep_tap_drop(p);
	else
		nic->state = p;
	return ret;
}

static int prep_tap(struct prep_guest *g, struct prep_nic *nic)
{
	return prep_either(g, nic, false);
}

static int prep_vhost(struct prep_guest *g, struct prep_nic *nic)
{
	return prep_either(g, nic, true);
}

static void prep_tap_release(struct prep_guest *g, struct prep_nic *nic)
{
	if (nic->state)
		prep_tap_drop(nic->state);
	nic->state = NULL;
}

/* It belongs to the first process that uses it, so a guest that resets gets another. */
static int prep_vhost_reopen(struct prep_guest *g, struct prep_nic *nic, const char *name)
{
	int fd;

	if (strncmp(name, "vhost", 5))
		return -ENOENT;
	fd = open(VHOST_NET, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static const struct backend_prep tap_prep = {
	.name = "tap",
	.keys = "ifname=NAME (used when it is there, else made for the time of the run)",
	.prepare = prep_tap,
	.release = prep_tap_release,
};
BACKEND_PREP(&tap_prep);

static const struct backend_prep vhost_prep = {
	.name = "vhost",
	.keys = "ifname=NAME, as for tap",
	.prepare = prep_vhost,
	.release = prep_tap_release,
	.reopen = prep_vhost_reopen,
	.once = "vhost",
};
BACKEND_PREP(&vhost_prep);
