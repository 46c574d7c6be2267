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

/*
 * The oldest of the kernels looked at, for igb an older one too; 6.12 is the newest,
 * CAPS_TABLE_LINUX.
 */
#define SEEN     CAPS_LINUX(6, 1)
#define SEEN_IGB CAPS_LINUX(4, 19)

/* The 82576 limits a VF's rate, other NICs of the driver do not. */
static const uint16_t ids_82576[] = { 0x10c9, 0x10e6, 0x10e7, 0x10e8, 0x150a,
				      0x150d, 0x1518, 0x1526, 0 };

/*
 * In the order of enum vf_can_what: MAC, VLAN, QoS, 802.1ad, maximum, minimum, spoof check, trust,
 * link. What a driver takes and does nothing about is -EOPNOTSUPP here.
 */
static const struct driver_caps driver_table[] = {
	{ .driver = "igb",
	  .which = "82576",
	  .vendor = 0x8086,
	  .devices = ids_82576,
	  .can = { SEEN_IGB, SEEN_IGB, SEEN_IGB, -EPROTONOSUPPORT, SEEN_IGB, -EINVAL, SEEN_IGB,
		   SEEN_IGB, -EOPNOTSUPP } },
	{ .driver = "igb",
	  .can = { SEEN_IGB, SEEN_IGB, SEEN_IGB, -EPROTONOSUPPORT, -EOPNOTSUPP, -EOPNOTSUPP,
		   SEEN_IGB, SEEN_IGB, -EOPNOTSUPP } },
	/* rate: at 10 Gbit/s only; link: "on" is not done */
	{ .driver = "ixgbe",
	  .can = { SEEN, SEEN, SEEN, -EPROTONOSUPPORT, 0, -EINVAL, SEEN, SEEN, 0 },
	  .counters = SEEN },
	{ .driver = "i40e",
	  .can = { SEEN, SEEN, SEEN, -EPROTONOSUPPORT, SEEN, -EINVAL, SEEN, SEEN, SEEN },
	  .counters = SEEN },
	/* 802.1ad: with double VLAN mode; minimum: without DCB */
	{ .driver = "ice",
	  .can = { SEEN, SEEN, SEEN, 0, SEEN, 0, SEEN, SEEN, SEEN },
	  .firmware = true,
	  .counters = SEEN },
	/* the minimum is ignored */
	{ .driver = "fm10k",
	  .can = { SEEN, SEEN, -EINVAL, -EPROTONOSUPPORT, SEEN, -EOPNOTSUPP, -EOPNOTSUPP,
		   -EOPNOTSUPP, -EOPNOTSUPP },
	  .counters = SEEN },
	{ .driver = "mlx5_core",
	  .can = { SEEN, 0, 0, -EPROTONOSUPPORT, 0, 0, SEEN, SEEN, SEEN },
	  .firmware = true,
	  .counters = SEEN },
	{ .driver = "mlx4_core",
	  .can = { SEEN, 0, 0, 0, 0, -EPROTONOSUPPORT, 0, -EOPNOTSUPP, SEEN },
	  .firmware = true,
	  .counters = SEEN },
	/* Linux 6.1 refuses QoS, 6.12 takes it */
	{ .driver = "bnxt_en",
	  .can = { SEEN, SEEN, 0, 0, SEEN, SEEN, 0, 0, SEEN },
	  .firmware = true },
	/* QoS is ignored */
	{ .driver = "bnx2x",
	  .can = { SEEN, SEEN, -EOPNOTSUPP, -EPROTONOSUPPORT, -EOPNOTSUPP, -EOPNOTSUPP, SEEN,
		   -EOPNOTSUPP, SEEN } },
	{ .driver = "be2net",
	  .can = { SEEN, SEEN, SEEN, -EPROTONOSUPPORT, 0, -EINVAL, 0, -EOPNOTSUPP, 0 },
	  .firmware = true },
	{ .driver = "cxgb4",
	  .can = { SEEN, SEEN, -EPROTONOSUPPORT, -EPROTONOSUPPORT, SEEN, -EINVAL, -EOPNOTSUPP,
		   -EOPNOTSUPP, SEEN } },
	/* QoS is ignored, a rate of 0 too */
	{ .driver = "qede",
	  .can = { SEEN, SEEN, -EOPNOTSUPP, -EPROTONOSUPPORT, 0, 0, SEEN, SEEN, SEEN } },
	{ .driver = "qlcnic",
	  .can = { SEEN, 0, 0, -EPROTONOSUPPORT, 0, 0, SEEN, -EOPNOTSUPP, -EOPNOTSUPP } },
	{ .driver = "sfc",
	  .can = { 0, 0, 0, -EPROTONOSUPPORT, -EOPNOTSUPP, -EOPNOTSUPP, 0, -EOPNOTSUPP, 0 } },
	{ .driver = "nfp", .can = { 0, 0, 0, 0, 0, 0, 0, 0, 0 }, .firmware = true },
	{ .driver = "LiquidIO",
	  .can = { SEEN, SEEN, SEEN, -EPROTONOSUPPORT, -EOPNOTSUPP, -EOPNOTSUPP, 0, 0, SEEN },
	  .firmware = true,
	  .counters = SEEN },
	{ .driver = "hinic",
	  .can = { SEEN, SEEN, SEEN, -EPROTONOSUPPORT, SEEN, 0, 0, 0, 0 },
	  .firmware = true },
	{ .driver = "hns3", .can = { SEEN, 0, 0, -EPROTONOSUPPORT, SEEN, -EINVAL, 0, SEEN, SEEN } },
	{ .driver = "ionic",
	  .can = { 0, 0, -EINVAL, -EPROTONOSUPPORT, 0, -EINVAL, 0, 0, 0 },
	  .firmware = true,
	  .counters = SEEN },
	{ .driver = "rvu_nicpf",
	  .can = { SEEN, 0, -EINVAL, -EPROTONOSUPPORT, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP, SEEN,
		   -EOPNOTSUPP } },
	{ .driver = "funeth",
	  .can = { 0, 0, 0, 0, 0, -EINVAL, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP },
	  .firmware = true },
	{ .driver = "fsl_enetc",
	  .can = { SEEN, 0, 0, -EPROTONOSUPPORT, -EOPNOTSUPP, -EOPNOTSUPP, SEEN, -EOPNOTSUPP,
		   -EOPNOTSUPP } },
	{ .driver = "enic",
	  .can = { 0, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP,
		   -EOPNOTSUPP, -EOPNOTSUPP },
	  .firmware = true },
	{ .driver = "netdevsim", .can = { SEEN, SEEN, SEEN, SEEN, SEEN, SEEN, SEEN, SEEN, SEEN } },
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
