/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `fourlane run --nic virtio,...` and `fourlane host` need to know of the paravirtual lane.
 * The device wants nothing from the host but KVM; its back-end may, and prep_software() asks it. A
 * host without tun still has `loop` and `null`.
 */
#include "core/host.h"
#include "core/prep.h"

static const struct nic_prep virtio_prep = {
	.name = "virtio",
	.lane = "paravirtual",
	.keys = "mac=AA:BB:CC:DD:EE:FF, queue_size=2..1024, queues=1..8, mtu=68..16366, "
		"packed=on|off, offloads=on|off, mergeable=on|off, "
		"backend=null|loop|tap|vhost|switch and its keys",
	.prepare = prep_software,
	.release = prep_software_release,
};
NIC_PREP(&virtio_prep);

static const struct host_lane virtio_lane = {
	.lane = "paravirtual",
	.check = host_check_kvm,
};
HOST_LANE(&virtio_lane);
