/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tap of this machine for the software host's wire. Opened with the caller's rights by the
 * command and handed to QEMU as a descriptor; a tap that was there stays (it is persistent), one
 * that we make has no other owner than that descriptor and goes with it. Linux'
 * Documentation/networking/tuntap.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/lab/lab_priv.h"
#include "core/err.h"

#define RETRIES  20
#define RETRY_MS 50

static int tap_attach(int fd, const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int err = EBUSY;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	/* QEMU's io_uring lets go of it a moment after QEMU has ended */
	for (int i = 0; err == EBUSY && i < RETRIES; i++) {
		if (i)
			poll(NULL, 0, RETRY_MS);
		err = ioctl(fd, TUNSETIFF, &r) < 0 ? errno : 0;
	}
	switch (err) {
	case 0: return 0;
	case EPERM:
		return err_ret(
			-EOPNOTSUPP,
			"lab: opening the tap %s: only root may, or its owner; run 'sudo ip tuntap "
			"add dev %s mode tap user %d && sudo ip link set %s up'",
			name, name, (int)geteuid(), name);
	case EBUSY:
		return err_ret(
			-EBUSY,
			"lab: opening the tap %s: another program has it open; take another name",
			name);
	case EINVAL:
		return err_ret(
			-EINVAL,
			"lab: opening the tap %s: there is an interface of that name which is no "
			"tap, or one of several queues; take another name",
			name);
	default:
		return err_ret(-err, "lab: opening the tap %s: %s; take another name", name,
			       strerror(err));
	}
}

/* Up, for whoever may: the owner of a tap that root has made may not, and need not when it is up.
 */
static int tap_up(const char *name)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (sock < 0 || ioctl(sock, SIOCGIFFLAGS, &r) < 0)
		err = errno;
	if (!err && !(r.ifr_flags & IFF_UP)) {
		r.ifr_flags |= IFF_UP;
		err = ioctl(sock, SIOCSIFFLAGS, &r) < 0 ? errno : 0;
	}
	if (sock >= 0)
		close(sock);
	if (!err)
		return 0;
	return err_ret(err == EPERM ? -EOPNOTSUPP : -err,
		       "lab: bringing the tap %s up: %s; run 'sudo ip link set %s up'", name,
		       strerror(err), name);
}

int lab_tap_open(const char *name)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), ret;

	if (fd < 0)
		return err_ret(
			errno == ENOENT || errno == ENODEV || errno == EACCES ? -EOPNOTSUPP
									      : -errno,
			"lab: opening /dev/net/tun: %s; run 'sudo modprobe tun' (and as root, if "
			"its mode is not 666)",
			strerror(errno));
	ret = tap_attach(fd, name);
	if (!ret)
		ret = tap_up(name);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}
