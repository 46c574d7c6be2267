/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See tap_open.h. Called by prep_tap.c with the rights of who started the guest; calls the kernel
 * only. linux/if_tun.h, netdevice(7).
 */
#include "pv-net/tap_open.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "core/err.h"
#include "core/paths.h"

_Static_assert(TAP_NAME_SIZE == IFNAMSIZ, "names of interfaces");

void tap_name_make(char name[TAP_NAME_SIZE], const char *guest, unsigned int idx)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *guest; guest++)
		hash = (hash ^ (unsigned char)*guest) * 16777619u;
	snprintf(name, TAP_NAME_SIZE, "fl%08x-%u", hash, idx % 1000);
}

int tap_name_check(const char *name)
{
	size_t len = strlen(name);
	bool ok = len > 0 && len < TAP_NAME_SIZE && strcmp(name, ".") && strcmp(name, "..");

	/* the kernel would make a number of a '%' */
	for (const char *c = name; ok && *c; c++)
		ok = *c != '/' && *c != ':' && *c != '%' && isgraph((unsigned char)*c);
	return ok ? 0
		  : err_ret(-EINVAL,
			    "ifname=%s: no name of an interface; give 1 to %d letters and digits",
			    name, TAP_NAME_SIZE - 1);
}

/* Sets or clears IFF_UP. 1 when that changed something. */
static int tap_set_up(const char *name, bool up)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = -1;
	struct ifreq r = { 0 };

	if (s < 0)
		return -errno;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(s, SIOCGIFFLAGS, &r) == 0) {
		if (!!(r.ifr_flags & IFF_UP) == up) {
			ret = 0;
		} else {
			r.ifr_flags = (short)(up ? r.ifr_flags | IFF_UP : r.ifr_flags & ~IFF_UP);
			ret = ioctl(s, SIOCSIFFLAGS, &r) == 0 ? 1 : -1;
		}
	}
	ret = ret < 0 ? -errno : ret;
	close(s);
	return ret;
}

/* The interface's MTU, or with `set` a new one. 0 or above, or negative errno. */
static int tap_mtu(const char *name, int set)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;
	struct ifreq r = { .ifr_mtu = set };

	if (s < 0)
		return -errno;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	ret = ioctl(s, set ? SIOCSIFMTU : SIOCGIFMTU, &r) < 0 ? -errno : r.ifr_mtu;
	close(s);
	return ret;
}

static int tap_attach(int fd, const char *name, int flags)
{
	struct ifreq r = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags) };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return ioctl(fd, TUNSETIFF, &r) < 0 ? -errno : 0;
}

static int tap_fail(const char *name, int err, const struct tap_wish *w)
{
	switch (err) {
	case -EPERM:
		return err_ret(err,
			       "opening tap %s: not permitted; run as root or with CAP_NET_ADMIN, "
			       "or make it beforehand with 'ip tuntap add %s mode tap user NAME'",
			       name, name);
	case -EBUSY:
		if (w->must_be_new)
			return err_ret(-EEXIST,
				       "creating tap %s: an interface of that name is there; is "
				       "another guest of that name running? give ifname=",
				       name);
		return err_ret(err,
			       "opening tap %s: another program has it open; stop that one or give "
			       "another ifname=",
			       name);
	case -EINVAL:
		if (w->n_queues > 1)
			return err_ret(err,
				       "opening tap %s: the interface of that name is no tap with "
				       "several queues; make it with 'ip tuntap add %s mode tap "
				       "multi_queue', or give queues=1 or another ifname=",
				       name, name);
		return err_ret(err,
			       "opening tap %s: the interface of that name is no tap; give another "
			       "ifname=",
			       name);
	default:
		return err_ret(err, "opening tap %s: %s; give another ifname=", name,
			       strerror(-err));
	}
}

static int tap_device(void)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return err_ret(-ENODEV, "opening /dev/net/tun: the kernel has no tun driver; load "
					"it with 'modprobe tun'");
	return fd < 0 ? err_ret(-errno,
				"opening /dev/net/tun: %s; run as root or with CAP_NET_ADMIN",
				strerror(errno))
		      : fd;
}

/* The first queue: a new interface, or the one that is there. Its kind decides *flags. */
static int tap_first(int fd, const char *name, const struct tap_wish *w, struct tap_iface *t,
		     int *flags)
{
	int ret;

	*flags = (w->n_queues > 1 ? IFF_MULTI_QUEUE : 0) | (w->vnet_hdr ? IFF_VNET_HDR : 0);
	ret = tap_attach(fd, name, *flags | IFF_TUN_EXCL);
	t->created = ret == 0;
	if (ret != -EBUSY || w->must_be_new)
		return ret;
	ret = tap_attach(fd, name, *flags);
	if (ret == -EINVAL && w->n_queues == 1) { /* one of several queues is as good */
		*flags |= IFF_MULTI_QUEUE;
		ret = tap_attach(fd, name, *flags);
	}
	return ret;
}

static int tap_queues(const char *name, const struct tap_wish *w, struct tap_iface *t, int *fd)
{
	int flags = 0, ret = 0;

	for (unsigned int i = 0; i < w->n_queues && ret == 0; i++) {
		fd[i] = tap_device();
		if (fd[i] < 0)
			return fd[i];
		ret = i ? tap_attach(fd[i], name, flags) : tap_first(fd[i], name, w, t, &flags);
	}
	if (ret < 0)
		tap_fail(name, ret, w);
	return ret == -EBUSY && w->must_be_new ? -EEXIST : ret;
}

static int tap_carry(const char *name, const struct tap_wish *w, const struct tap_iface *t)
{
	int has = w->mtu ? tap_mtu(name, t->created ? (int)w->mtu : 0) : 0;

	if (has < 0)
		return err_ret(has, "mtu=%u: tap %s: %s; give a smaller mtu=", w->mtu, name,
			       strerror(-has));
	if ((unsigned int)has < w->mtu)
		return err_ret(-ERANGE,
			       "mtu=%u: tap %s carries %d; give mtu=%d, or raise the interface's "
			       "with 'ip link set %s mtu %u'",
			       w->mtu, name, has, has, name, w->mtu);
	return 0;
}

/* An interface that is attached: MTU, up. */
static int tap_ready(const char *name, const struct tap_wish *w, struct tap_iface *t)
{
	int ret = tap_carry(name, w, t);

	if (ret < 0)
		return ret;
	/* a host that speaks IPv6 would greet the guest by itself, and each guest's counters would
	 * show it */
	if (t->created)
		paths_write("1", "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	ret = tap_set_up(name, true);
	if (ret < 0)
		return err_ret(
			ret,
			"putting tap %s up: %s; run as root or with CAP_NET_ADMIN, or put it "
			"up beforehand",
			name, strerror(-ret));
	t->raised = ret && !t->created;
	return 0;
}

int tap_open(const char *name, const struct tap_wish *w, struct tap_iface *t,
	     int fd[TAP_MAX_QUEUES])
{
	int ret;

	*t = (struct tap_iface){ 0 };
	snprintf(t->name, sizeof(t->name), "%s", name);
	for (unsigned int i = 0; i < TAP_MAX_QUEUES; i++)
		fd[i] = -1;
	ret = tap_queues(name, w, t, fd);
	if (ret == 0)
		ret = tap_ready(name, w, t);
	for (unsigned int i = 0; i < w->n_queues && ret < 0; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return ret;
}

void tap_put_back(const struct tap_iface *t, int fd)
{
	struct tun_filter none = { 0 };

	if (t->created)
		return;
	/*
	 * the filter belongs to the interface: the next program would wonder where its frames are
	 */
	if (ioctl(fd, TUNSETTXFILTER, &none) < 0)
		err_say("taking the filter off tap %s: %s; delete the interface", t->name,
			strerror(errno));
	ioctl(fd, TUNSETOFFLOAD, 0ul); /* no header, no offloads: a refusal changes nothing */
	if (t->raised)
		tap_set_up(t->name, false);
}
