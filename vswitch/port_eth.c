/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port type `eth`: a whole NIC, or any other device that DPDK knows, as one port of the switch.
 * Its work is in port_dev.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/err.h"
#include "vswitch/port_dev.h"

static int port_eth_create(struct sw_port *p)
{
	struct port_dev *d;
	int ret;

	if (!p->conf.device[0])
		return err_ret(-EINVAL,
			       "port %s: an eth port needs a device; give a PCI address or "
			       "net_xxx0,args",
			       p->conf.dp.name);
	p->state = d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	ret = port_dev_open(d, p->conf.device, p->conf.dp.name);
	return ret < 0 ? ret : port_dev_start(d, p, p->conf.dp.n_pairs);
}

static void port_eth_destroy(struct sw_port *p)
{
	struct port_dev *d = p->state;

	if (!d)
		return;
	port_dev_stop(d, p);
	port_dev_close(d);
	free(d);
	p->state = NULL;
}

static void port_eth_show(const struct sw_port *p, json_t *o)
{
	port_dev_show(p->state, o);
}

static const struct sw_port_type port_eth_type = {
	.name = "eth",
	.create = port_eth_create,
	.destroy = port_eth_destroy,
	.show = port_eth_show,
};
PORT_TYPE(&port_eth_type);
