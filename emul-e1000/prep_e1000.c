/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `fourlane run --nic e1000,...` and `fourlane host` need to know of the emulated lane. The
 * device itself wants nothing from the host but KVM; its back-end may, and prep_software() asks it.
 */
#include "core/host.h"
#include "core/prep.h"

static const struct nic_prep e1000_prep = {
	.name = "e1000",
	.lane = "emulated",
	.keys = "mac=AA:BB:CC:DD:EE:FF, backend=null|loop|tap|switch and its keys",
	.prepare = prep_software,
	.release = prep_software_release,
};
NIC_PREP(&e1000_prep);

static const struct host_lane e1000_lane = {
	.lane = "emulated",
	.check = host_check_kvm,
};
HOST_LANE(&e1000_lane);
