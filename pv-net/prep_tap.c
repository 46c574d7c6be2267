/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `backend=tap` on the host's side: opens the interface before the guest starts and hands its
 * descriptor to the monitor under the name "tap"; puts an interface that was there before back as
 * it was. Called by prep_software().
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/prep.h"
#include "pv-net/tap_open.h"

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

static int prep_tap_open(struct prep_guest *g, struct prep_nic *nic, struct prep_tap *p)
{
	const char *given = opts_take(nic->opts, "ifname");
	char name[TAP_NAME_SIZE];
	int fd, ret;

	if (given && tap_name_check(given) < 0)
		return -EINVAL;
	if (!given)
		tap_name_make(name, prep_guest_name(g), nic->idx);
	fd = tap_open(given ? given : name, !given, &p->iface);
	if (fd < 0)
		return fd;
	if (!p->iface.created)
		p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	ret = given ? 0 : prep_tap_tell_name(nic, name);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return prep_add_fd(g, nic, "tap", fd);
}

static int prep_tap(struct prep_guest *g, struct prep_nic *nic)
{
	struct prep_tap *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return -ENOMEM;
	p->fd = -1;
	ret = prep_tap_open(g, nic, p);
	if (ret < 0)
		prep_tap_drop(p);
	else
		nic->state = p;
	return ret;
}

static void prep_tap_release(struct prep_guest *g, struct prep_nic *nic)
{
	if (nic->state)
		prep_tap_drop(nic->state);
	nic->state = NULL;
}

static const struct backend_prep tap_prep = {
	.name = "tap",
	.keys = "ifname=NAME (used when it is there, else made for the time of the run)",
	.prepare = prep_tap,
	.release = prep_tap_release,
};
BACKEND_PREP(&tap_prep);
