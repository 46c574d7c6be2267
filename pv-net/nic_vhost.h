/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back-end `vhost` with /dev/vhost-net as a parameter, so that a test may be the kernel.
 */
#ifndef PV_NET_NIC_VHOST_H
#define PV_NET_NIC_VHOST_H

#include "core/nic.h"

struct vhost_kernel {
	/* ioctl(2) on a descriptor of /dev/vhost-net: 0 or negative errno */
	int (*ioctl)(void *opaque, int fd, unsigned long request, void *arg);
	void *opaque;
};

/*
 * nic_vhost_create - takes the descriptors "vhost", "vhost1", ... and "tap", "tap1", ..., one of
 * each for a queue pair. `kernel` outlives it. As struct nic_backend_type's create().
 */
int nic_vhost_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
		     const struct vhost_kernel *kernel, struct nic_backend **out);

#endif
