/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the switch's process: sw_core.c (life and ports), sw_eal.c (DPDK), sw_ctl.c (the
 * control socket). Control thread.
 */
#ifndef VSWITCH_SW_PRIV_H
#define VSWITCH_SW_PRIV_H

#include <pthread.h>

#include "core/rpc_server.h"
#include "vswitch/sw_conf.h"

struct event;

/* The last message of the control thread: what a client is told when its request goes wrong. */
struct sw_said {
	pthread_t thread;
	char line[512];
};

struct sw {
	char name[DP_NAME_MAX];
	char dir[PATH_MAX];
	int lock_fd;
	struct event_base *base;
	struct event *signal[3], *control, *watch;
	struct rte_mempool *mempool;
	struct dp *dp;
	struct rpc_server *server;
	struct sw_port *port[DP_MAX_PORTS]; /* n_ports, oldest first */
	unsigned int n_ports;
	struct sw_conf *conf; /* the caller's */
	bool huge;
	struct sw_said said;
};

/*
 * sw_create - takes the name's lock, starts DPDK, the workers and the control socket, and adds the
 * ports of the configuration. Negative errno after a message; -EINVAL: a port's words are wrong,
 * -EOPNOTSUPP and -ENODEV: this host lacks something. sw_destroy accepts NULL and the
 * half-built.
 */
int sw_create(struct sw_conf *conf, struct sw **out);
void sw_destroy(struct sw *sw);
/* sw_run - until a signal. */
int sw_run(struct sw *sw);

/* sw_port_add / sw_port_remove - negative errno after a message. */
int sw_port_add(struct sw *sw, const struct sw_port_conf *conf);
int sw_port_remove(struct sw *sw, const char *name);

/*
 * sw_eal_start - DPDK for one control thread, with no file and no device of its own: devices come
 * by hotplug. *huge: the memory is of huge pages. sw_eal_stop - may be called when start failed.
 */
int sw_eal_start(const struct sw_conf *conf, bool *huge, struct rte_mempool **mempool);
void sw_eal_stop(struct rte_mempool *mempool);

/*
 * sw_ctl_listen_errors - messages go to stderr and sw->said, until the process ends: called before
 * any other thread runs.
 */
void sw_ctl_listen_errors(struct sw *sw);
/* sw_ctl_request - the rpc_handler; opaque is the struct sw. */
json_t *sw_ctl_request(void *opaque, const char *method, json_t *params, json_int_t id);

#endif
