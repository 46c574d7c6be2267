/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings of a tap interface by its open descriptor, as the jailed monitor may make them: for
 * nic_tap.c, which moves frames itself, and nic_vhost.c, which leaves them to the kernel.
 */
#ifndef PV_NET_TAP_DEV_H
#define PV_NET_TAP_DEV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/nic.h"
#include "pv-net/tap_open.h"

/* tap_dev_take - the device's descriptors `name`, `name`1, ... into fd, the caller's now. Gives how
 * many there were. */
unsigned int tap_dev_take(struct device_conf *conf, const char *name, int fd[TAP_MAX_QUEUES]);

/*
 * tap_dev_look - whether virtio's header stands before each frame (its size is set to 12 then), and
 * NIC_OFFLOAD_* that the kernel knows; all of them are off afterwards. Negative errno.
 */
int tap_dev_look(int fd, bool *vnet_hdr, uint32_t *offloads);
/* tap_dev_offloads - what the frames it gives may leave undone. With the header only. */
int tap_dev_offloads(int fd, uint32_t offloads);
/* tap_dev_queue - one of several queues gets flows, or none: the kernel spreads them over the
 * others, and forgets what waits. */
int tap_dev_queue(int fd, bool on);
/*
 * tap_dev_filter - a filter that lets through at least what the device takes: what cannot be
 * expressed opens it, and so does a kernel that refuses it.
 */
void tap_dev_filter(int fd, const struct nic_filter *f);

#endif
