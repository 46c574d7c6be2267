/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel's SR-IOV drivers take about their VFs, as their sources say: which ndo_set_vf_*
 * each has and what it answers without asking further. Sources: drivers/net/ethernet and
 * drivers/net/netdevsim of the kernels named in the table.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "tenant_caps_priv.h"

#define V CAPS_LINUX

/* The 82576 limits a VF's rate, other NICs of the driver do not. */
static const uint16_t ids_82576[] = { 0x10c9, 0x10e6, 0x10e7, 0x10e8, 0x150a,
				      0x150d, 0x1518, 0x1526, 0 };

static const struct driver_caps driver_table[] = {
	{
		.driver = "igb",
		.which = "82576",
		.vendor = 0x8086,
		.devices = ids_82576,
		.can = {
			[CAN_MAC] = V(6, 1),
			[CAN_VLAN] = V(6, 1),
			[CAN_QOS] = V(6, 1),
			[CAN_PROTO_8021AD] = -EPROTONOSUPPORT,
			[CAN_MAX_TX] = V(6, 1),
			[CAN_MIN_TX] = -EINVAL,
			[CAN_SPOOF_CHECK] = V(6, 1),
			[CAN_TRUST] = V(6, 1),
			[CAN_LINK] = -EOPNOTSUPP,
		},
	},
	{
		.driver = "netdevsim",
		.can = {
			[CAN_MAC] = V(6, 1),
			[CAN_VLAN] = V(6, 1),
			[CAN_QOS] = V(6, 1),
			[CAN_PROTO_8021AD] = V(6, 1),
			[CAN_MAX_TX] = V(6, 1),
			[CAN_MIN_TX] = V(6, 1),
			[CAN_SPOOF_CHECK] = V(6, 1),
			[CAN_TRUST] = V(6, 1),
			[CAN_LINK] = V(6, 1),
		},
	},
};

static bool caps_row_fits(const struct driver_caps *d, unsigned int vendor, unsigned int device)
{
	if (!d->devices)
		return true;
	for (const uint16_t *id = d->devices; *id; id++)
		if (vendor == d->vendor && device == *id)
			return true;
	return false;
}

const struct driver_caps *driver_caps_find(const char *driver, unsigned int vendor,
					   unsigned int device)
{
	for (size_t i = 0; i < sizeof(driver_table) / sizeof(driver_table[0]); i++)
		if (!strcmp(driver_table[i].driver, driver) &&
		    caps_row_fits(&driver_table[i], vendor, device))
			return &driver_table[i];
	return NULL;
}
