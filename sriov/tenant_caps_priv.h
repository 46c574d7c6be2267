/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of drivers (tenant_caps_table.c): what the kernel's SR-IOV drivers take about their
 * VFs. For tenant_caps.c and vf_counters.c.
 */
#ifndef SRIOV_TENANT_CAPS_PRIV_H
#define SRIOV_TENANT_CAPS_PRIV_H

#include "sriov/tenant.h"

#define CAPS_LINUX(major, minor) ((major)*256u + (minor))
#define CAPS_LINUX_2_6(minor)    (2 * 256u + (minor))
/* The newest kernel whose drivers were looked at: what they refused there, a newer one may take. */
#define CAPS_TABLE_LINUX CAPS_LINUX(6, 12)

struct driver_caps {
	const char *driver;
	const char *which; /* the devices of the list below, for people; NULL: all others */
	uint16_t vendor;
	const uint16_t *devices; /* ends in 0 */
	/*
	 * By enum vf_can_what: a CAPS_LINUX(), the first kernel in which it was seen; a negative
	 * errno, what the driver refuses it with; 0: the driver passes it on to something that
	 * decides.
	 */
	int can[CAN_N];
	bool firmware;         /* that something is the firmware */
	unsigned int counters; /* a CAPS_LINUX(): it tells counters by VF; 0: none */
};

/* driver_caps_find - the row for a device; NULL: a driver that is not in the table. */
const struct driver_caps *driver_caps_find(const char *driver, unsigned int vendor,
					   unsigned int device);
/* vf_caps_counters - the PF's driver tells counters by VF on this kernel, as the table has it. */
bool vf_caps_counters(const struct sriov_env *e, const struct sriov_pf *pf);

#endif
