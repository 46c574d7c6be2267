/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `fourlane host` says about NICs: the section "nics" and what the lane "vm-aware" lacks. KVM,
 * IOMMU and vfio-pci are vfio's to judge (vfio_host_check); here is the NIC's part.
 */
#include <stdlib.h>
#include <string.h>

#include "sriov_priv.h"

static json_t *host_nics(const struct host_view *v)
{
	static const char *const keys[] = { "netdev",	 "id",	      "kind",	"driver",
					    "vendor_id", "device_id", "device", "iommu_group",
					    "total_vfs", "num_vfs",   "link",	"lanes" };
	json_t *all = nics_list(v), *list = json_array();
	const json_t *nic;
	size_t i, pfs = 0, vfs = 0;

	json_array_foreach (all, i, nic) {
		const char *kind = json_string_value(json_object_get(nic, "kind"));
		json_t *o = json_object();

		pfs += kind && !strcmp(kind, "pf");
		vfs += kind && !strcmp(kind, "vf");
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			json_object_set(o, keys[k], json_object_get(nic, keys[k]));
		json_array_append_new(list, o);
	}
	json_decref(all);
	return json_pack("{s:i, s:i, s:i, s:o}", "count", (int)json_array_size(list), "pfs",
			 (int)pfs, "vfs", (int)vfs, "list", list);
}

static const struct host_section nics_section = { .key = "nics", .make = host_nics };
HOST_SECTION(&nics_section);

/* A PF may be off in the NIC's own set-up: sriov_totalvfs is 0 then. */
static void host_vf_lane(const struct host_view *v, struct host_lane_report *r)
{
	struct sriov_pf *pfs;
	int n = sriov_pfs(v, &pfs);
	bool any = false, zero = false, group = false;

	vfio_host_check(v, r);
	for (int i = 0; i < n; i++) {
		if (!pfs[i].pci)
			continue;
		any |= pfs[i].total_vfs != 0;
		zero |= pfs[i].total_vfs == 0;
		group |= pfs[i].total_vfs != 0 && iommu_group_of(v->sysfs, pfs[i].id) >= 0;
	}
	free(pfs);
	if (!any && zero)
		host_lane_miss(
			r, "no NIC allows a virtual function (sriov_totalvfs is 0)",
			"turn SR-IOV on in the NIC's own set-up (firmware menu or the vendor's tool), then reboot");
	else if (!any)
		host_lane_miss(
			r, "no NIC with SR-IOV under its kernel driver",
			"put in a NIC with SR-IOV and bind it to its driver; or rehearse in the software host: fourlane lab up");
	else if (!group && iommu_active(v->sysfs))
		host_lane_miss(
			r, "the NICs with SR-IOV are in no IOMMU group",
			"move the NIC to a slot below the IOMMU, or boot with intel_iommu=on");
}

static const struct host_lane vf_lane = { .lane = "vm-aware", .check = host_vf_lane };
HOST_LANE(&vf_lane);
