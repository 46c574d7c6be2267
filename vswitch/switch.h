/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fourlane-switch as its port types see it: the process with its event loop (libevent), its data
 * path and its ports. A port type lives in a file port_*.c and registers with PORT_TYPE(). All of
 * this is the control thread's.
 */
#ifndef VSWITCH_SWITCH_H
#define VSWITCH_SWITCH_H

#include <jansson.h>
#include <limits.h>

#include "core/registry.h"
#include "vswitch/dp.h"

struct event_base;
struct rte_mempool;
struct sw;
struct sw_port;

#define SW_TEXT 128
/* A port as the configuration or `switch port add` describes it. */
struct sw_port_conf {
	struct dp_port_conf dp; /* name, VLANs, addresses, ... */
	char type[16];
	char socket[PATH_MAX];   /* vhost-user; "": <run dir>/switch/<switch>/<port>.sock */
	bool client;             /* vhost-user: we connect, the guest listens */
	char device[SW_TEXT];    /* eth, vmdq: PCI address, or "net_xxx0,args" of a DPDK vdev */
	char ifname[16];         /* tap */
	uint16_t queue_size;     /* eth, tap, vmdq: descriptors; 0: default */
	char guest[DP_NAME_MAX]; /* vmdq: the guest port that the pool belongs to */
	bool software;           /* vmdq: the stand-in even if the NIC could */
};

struct sw_port_type {
	const char *name; /* "vhost-user", "eth", "tap", "vmdq" */
	/*
	 * p->conf is checked as far as all types have it in common; p->dp was added. Opens what it
	 * needs, starts. Negative errno after a message; -EINVAL: wrong words.
	 */
	int (*create)(struct sw_port *p);
	/* Stops and closes; p->dp is removed afterwards by the caller. Also after a failed create.
	 */
	void (*destroy)(struct sw_port *p);
	/* What is worth showing besides the configuration, as JSON keys of `o`. May be NULL. */
	void (*show)(const struct sw_port *p, json_t *o);
};
#define PORT_TYPE(ptr) REGISTER(fl_port_types, struct sw_port_type, ptr)

struct sw_port {
	struct sw *sw;
	const struct sw_port_type *type;
	struct sw_port_conf conf;
	struct dp_port *dp;
	void *state; /* the type's own */
};

struct event_base *sw_base(struct sw *sw);
struct dp *sw_dp(struct sw *sw);
const char *sw_name(const struct sw *sw);
const char *sw_dir(const struct sw *sw);       /* where its sockets are */
struct rte_mempool *sw_mempool(struct sw *sw); /* mbufs of 2 KiB, for all ethdevs */
/*
 * sw_dpdk_listen - from here on what DPDK says on this thread is kept for the reason of a failure.
 * sw_dpdk_heard - ends that and gives the first line, or what the errno `ret` means when there was
 * none; valid until the next sw_dpdk_listen(). What succeeds says nothing.
 */
void sw_dpdk_listen(void);
const char *sw_dpdk_heard(int ret);
/* sw_port_find - by name, or NULL. sw_port_at - by number, NULL past the end. */
struct sw_port *sw_port_find(struct sw *sw, const char *name);
struct sw_port *sw_port_at(struct sw *sw, unsigned int i);

#endif
