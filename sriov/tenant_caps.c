/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a NIC can be told about its VFs: what was tried on this driver, kernel and firmware comes
 * first, then the table of drivers (tenant_caps_table.c), then nobody knows. Called by the plan
 * (which refuses what is known to be refused), by `nics`, and by the apply, which remembers what it
 * tried. Asks nothing of the driver but its firmware's version.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>

#include "core/paths.h"
#include "tenant_caps_priv.h"

#define CAPS_VERSION_SIZE 128
#define KERNEL_ENOTSUPP   524 /* the kernel's own; some drivers let it out (bnxt_en) */

const char *const vf_can_names[CAN_N] = {
	[CAN_MAC] = "mac",
	[CAN_VLAN] = "vlan",
	[CAN_QOS] = "qos",
	[CAN_PROTO_8021AD] = "802.1ad",
	[CAN_MAX_TX] = "max_tx_mbit",
	[CAN_MIN_TX] = "min_tx_mbit",
	[CAN_SPOOF_CHECK] = "spoof_check",
	[CAN_TRUST] = "trust",
	[CAN_LINK] = "link",
};

/* --- which driver it is ------------------------------------------------- */
/* "" when the driver does not tell, or there is no such netdev. */
static void caps_firmware(const char *netdev, char buf[ETHTOOL_FWVERS_LEN])
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (char *)&info };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	buf[0] = '\0';
	if (fd < 0)
		return;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", netdev);
	if (ioctl(fd, SIOCETHTOOL, &ifr) == 0) {
		info.fw_version[sizeof(info.fw_version) - 1] = '\0';
		strcpy(buf, info.fw_version);
	}
	close(fd);
}

static void caps_kernel(const struct sriov_env *e, char *buf, size_t size)
{
	if (paths_read_line(buf, size, "%s/sys/kernel/osrelease", e->v->proc) <= 0)
		snprintf(buf, size, "unknown");
}

/* What an experience holds for: another kernel or firmware may behave differently. */
static void caps_version(const struct sriov_env *e, const struct sriov_pf *pf,
			 char buf[CAPS_VERSION_SIZE])
{
	char kernel[80], firmware[ETHTOOL_FWVERS_LEN];

	caps_kernel(e, kernel, sizeof(kernel));
	caps_firmware(pf->name, firmware);
	snprintf(buf, CAPS_VERSION_SIZE, "Linux %s, firmware %s", kernel,
		 firmware[0] ? firmware : "unknown");
}

/* "6.1.0-18-amd64" as CAPS_LINUX(6, 1); 0 when it cannot be read. */
static unsigned int caps_kernel_number(const struct sriov_env *e)
{
	unsigned int major, minor, patch = 0;
	char kernel[80];

	caps_kernel(e, kernel, sizeof(kernel));
	if (sscanf(kernel, "%u.%u.%u", &major, &minor, &patch) < 2 || major > 255 || minor > 255)
		return 0;
	return major > 2 ? CAPS_LINUX(major, minor) : CAPS_LINUX_2_6(patch);
}

static unsigned int caps_hex(const struct sriov_pf *pf, const char *file)
{
	char line[16];

	return paths_read_line(line, sizeof(line), "%s/%s", pf->path, file) > 0
		       ? (unsigned int)strtoul(line, NULL, 16)
		       : 0;
}

/* --- the answers -------------------------------------------------------- */
/* Puts an experience into *out; gives whether there is one. A store that fails has said so. */
static int caps_tried(const struct tenant_store *st, const struct sriov_pf *pf, const char *version,
		      enum vf_can_what what, struct vf_can *out)
{
	char when[24];
	int err, ret = tenant_store_learned(st, pf->driver, version, what, &err, when);

	if (ret < 0)
		return ret;
	out->answer = err ? CAN_NO : CAN_YES;
	snprintf(out->source, sizeof(out->source), "tried on %.10s: %s", when,
		 err ? strerror(-err) : "taken");
	return 0;
}

static void caps_linux_text(unsigned int version, char buf[16])
{
	if (version < CAPS_LINUX(3, 0))
		snprintf(buf, 16, "2.6.%u", version & 0xff);
	else
		snprintf(buf, 16, "%u.%u", version >> 8, version & 0xff);
}

static void caps_known(const struct driver_caps *d, unsigned int kernel, enum vf_can_what what,
		       struct vf_can *out)
{
	int cell = d->can[what];
	char since[16];

	if (cell > 0) {
		caps_linux_text((unsigned int)cell, since);
		out->answer = kernel >= (unsigned int)cell ? CAN_YES : CAN_UNKNOWN;
		snprintf(out->source, sizeof(out->source), "driver %s%s%s since Linux %s",
			 d->driver, d->which ? " on " : "", d->which ? d->which : "", since);
	} else if (cell < 0) {
		caps_linux_text(CAPS_TABLE_LINUX, since);
		out->answer = kernel && kernel <= CAPS_TABLE_LINUX ? CAN_NO : CAN_UNKNOWN;
		snprintf(out->source, sizeof(out->source),
			 "driver %s%s%s does not take it up to Linux %s: %s", d->driver,
			 d->which ? " on " : "", d->which ? d->which : "", since, strerror(-cell));
	} else {
		out->answer = CAN_UNKNOWN;
		snprintf(out->source, sizeof(out->source), "driver %s: it depends on the device%s",
			 d->driver, d->firmware ? " and its firmware" : "");
	}
}

void vf_caps(const struct sriov_env *e, const struct tenant_store *st, const struct sriov_pf *pf,
	     struct vf_can out[CAN_N])
{
	const struct driver_caps *d =
		driver_caps_find(pf->driver, caps_hex(pf, "vendor"), caps_hex(pf, "device"));
	unsigned int kernel = caps_kernel_number(e);
	char version[CAPS_VERSION_SIZE];
	int ret = st ? 0 : -ENOENT;

	caps_version(e, pf, version);
	for (int w = 0; w < CAN_N; w++) {
		if (st && (ret == 0 || ret == -ENOENT))
			ret = caps_tried(st, pf, version, w, &out[w]);
		if (ret == 0)
			continue;
		if (d) {
			caps_known(d, kernel, w, &out[w]);
			continue;
		}
		out[w].answer = CAN_UNKNOWN;
		snprintf(out[w].source, sizeof(out[w].source), "driver %s is not in the table",
			 pf->driver[0] ? pf->driver : "(none)");
	}
}

bool vf_caps_counters(const struct sriov_env *e, const struct sriov_pf *pf)
{
	const struct driver_caps *d =
		driver_caps_find(pf->driver, caps_hex(pf, "vendor"), caps_hex(pf, "device"));

	return d && d->counters && caps_kernel_number(e) >= d->counters;
}

int vf_caps_learn(const struct sriov_env *e, struct tenant_store *st, const struct sriov_pf *pf,
		  enum vf_can_what what, int err)
{
	char version[CAPS_VERSION_SIZE];

	if (err == -KERNEL_ENOTSUPP)
		err = -EOPNOTSUPP;
	if (err != 0 && err != -EOPNOTSUPP && err != -EINVAL && err != -EPROTONOSUPPORT)
		return 0;
	caps_version(e, pf, version);
	return tenant_store_learn(st, pf->driver, version, what, err);
}

/* --- what a change asks of the driver ----------------------------------- */
unsigned int vf_caps_needed(const struct vf_settings *now, const struct vf_settings *want)
{
	static const enum vf_can_what simple[VF_N_SETTINGS] = {
		[VF_MAC] = CAN_MAC,           [VF_VLAN] = CAN_VLAN,   [VF_RATE] = CAN_MAX_TX,
		[VF_SPOOF] = CAN_SPOOF_CHECK, [VF_TRUST] = CAN_TRUST, [VF_LINK] = CAN_LINK,
	};
	unsigned int bits = 0;

	for (int s = 0; s < VF_N_SETTINGS; s++) {
		if (!(want->known & VF_BIT(s)) ||
		    ((now->known & VF_BIT(s)) && vf_setting_equal(s, now, want)))
			continue;
		if (s == VF_RATE && (now->known & VF_BIT(s)) &&
		    now->max_tx_mbit == want->max_tx_mbit)
			continue; /* the minimum alone differs */
		bits |= 1u << simple[s];
		if (s == VF_VLAN && want->vlan && want->qos)
			bits |= 1u << CAN_QOS;
		if (s == VF_VLAN && want->vlan && want->proto == ETH_P_8021AD)
			bits |= 1u << CAN_PROTO_8021AD;
	}
	if ((want->known & VF_BIT(VF_RATE)) &&
	    want->min_tx_mbit != ((now->known & VF_BIT(VF_RATE)) ? now->min_tx_mbit : 0))
		bits |= 1u << CAN_MIN_TX;
	return bits;
}
