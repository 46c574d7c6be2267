/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port type `tap`: an interface of the kernel's (made, or found by its name when somebody keeps
 * it) as a port, through DPDK's tap device. For the host's own traffic and for tests; a frame costs
 * system calls here. Its work is in port_dev.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_log.h>

#include "core/err.h"
#include "vswitch/port_dev.h"

/* An interface of that name is there and not of the kernel's tun driver. */
static bool tap_is_other(const char *name)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (void *)&info };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool other = false;

	strcpy(ifr.ifr_name, name);
	if (fd >= 0 && if_nametoindex(name))
		other = ioctl(fd, SIOCETHTOOL, &ifr) < 0 || strcmp(info.driver, "tun");
	if (fd >= 0)
		close(fd);
	return other;
}

/* Whether the kernel gives us a tap of that name; whatever else is wrong DPDK finds. */
static bool tap_is_forbidden(int fd, const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	strcpy(ifr.ifr_name, name);
	return ioctl(fd, TUNSETIFF, &ifr) < 0 && (errno == EPERM || errno == EACCES);
}

static int tap_check(const char *port, const char *name)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	bool forbidden = fd < 0 ? errno == EACCES || errno == EPERM : tap_is_forbidden(fd, name);

	if (fd >= 0)
		close(fd);
	if (forbidden)
		return err_ret(-EOPNOTSUPP,
			       "port %s: making the tap %s: we lack the right; run the switch as "
			       "root, or with CAP_NET_ADMIN",
			       port, name);
	if (fd >= 0 && tap_is_other(name))
		return err_ret(-EEXIST, "port %s: interface %s is no tap; give another ifname",
			       port, name);
	if (fd >= 0)
		return 0;
	return err_ret(-ENODEV,
		       "port %s: this host has no tap devices (/dev/net/tun: %s); run 'modprobe "
		       "tun', or use a kernel with CONFIG_TUN",
		       port, strerror(errno));
}

static int port_tap_create(struct sw_port *p)
{
	const char *name = p->conf.ifname[0] ? p->conf.ifname : p->conf.dp.name;
	struct port_dev *d;
	char device[SW_TEXT];
	int ret;

	if (strlen(name) > 15 || strpbrk(name, ",/ :"))
		return err_ret(-EINVAL,
			       "port %s: '%s' is no name for an interface; give ifname of at most "
			       "15 letters",
			       p->conf.dp.name, name);
	p->state = d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	ret = tap_check(p->conf.dp.name, name);
	if (ret < 0)
		return ret;
	/* what it calls errors (no multiq, no secondary process) takes nothing from us */
	rte_log_set_level_pattern("pmd.net.tap", RTE_LOG_CRIT);
	snprintf(device, sizeof(device), "net_tap_%s,iface=%s", name, name);
	ret = port_dev_open(d, device, p->conf.dp.name);
	return ret < 0 ? ret : port_dev_start(d, p, 1);
}

static void port_tap_destroy(struct sw_port *p)
{
	struct port_dev *d = p->state;

	if (!d)
		return;
	port_dev_stop(d, p);
	port_dev_close(d);
	free(d);
	p->state = NULL;
}

static void port_tap_show(const struct sw_port *p, json_t *o)
{
	const char *name = p->conf.ifname[0] ? p->conf.ifname : p->conf.dp.name;

	port_dev_show(p->state, o);
	json_object_del(o, "device"); /* DPDK's name for it says nothing to anybody */
	json_object_set_new(o, "ifname", json_string(name));
}

static const struct sw_port_type port_tap_type = {
	.name = "tap",
	.create = port_tap_create,
	.destroy = port_tap_destroy,
	.show = port_tap_show,
};
PORT_TYPE(&port_tap_type);
