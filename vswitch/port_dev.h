/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ethdev of a port: found or brought into DPDK, claimed, and given back. Used by the port types
 * eth, tap and vmdq. Control thread.
 */
#ifndef VSWITCH_PORT_DEV_H
#define VSWITCH_PORT_DEV_H

#include "vswitch/switch.h"

#define PORT_DEV_QUEUE_SIZE 512

struct port_dev {
	uint16_t ethdev;
	uint64_t owner; /* DPDK's number for us; 0: not claimed */
	bool open;
	bool plugged; /* we have brought it in, so we take it out */
	bool started; /* by port_dev_start() */
	const char *bus;
	char name[SW_TEXT]; /* PCI address in full, or the vdev's name */
};

/*
 * port_dev_name - the name DPDK has for `device`, the same for all ways to write it. Gives the bus,
 * NULL when it is neither a PCI address nor a vdev.
 */
const char *port_dev_name(const char *device, char name[SW_TEXT]);

/*
 * port_dev_open - `device` is a PCI address (with or without domain) or "net_xxx0,args" of a DPDK
 * vdev; one that DPDK has already is used as it is. `port` is for messages. -EINVAL: neither;
 * -ENODEV: not there; -EBUSY: the kernel's or another port's; others. All after a message.
 */
int port_dev_open(struct port_dev *d, const char *device, const char *port);
void port_dev_close(struct port_dev *d); /* also when not open; stops it first */

/*
 * port_dev_start - configures with as many queue pairs as `n_queues` and the driver allow, starts,
 * gives the queues to the data path. port_dev_stop - takes them away, stops.
 */
int port_dev_start(struct port_dev *d, struct sw_port *p, unsigned int n_queues);
void port_dev_stop(struct port_dev *d, struct sw_port *p);

/* port_dev_show - driver, link, address and the device's own counters. */
void port_dev_show(const struct port_dev *d, json_t *o);

#endif
