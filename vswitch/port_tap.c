/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port type `tap`: an interface of the kernel's (made, or found by its name when somebody keeps
 * it) as a port, through DPDK's tap device. For the host's own traffic and for tests; a frame costs
 * system calls here. Its work is in port_dev.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_log.h>

#include "core/err.h"
#include "vswitch/port_dev.h"

static int tap_check(const char *port)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return close(fd);
	if (errno == EACCES || errno == EPERM)
		return err_ret(-EPERM,
			       "port %s: /dev/net/tun is not ours to open; run the switch as root",
			       port);
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
	ret = tap_check(p->conf.dp.name);
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
