/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What keeps the lane "direct" from working on this host, for `fourlane host`; sriov asks the same
 * for "vm-aware". It only looks: nothing is loaded or opened.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "iommu/iommu.h"
#include "vfio/vfio.h"

static bool host_path_is(const char *base, const char *rest)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", base, rest);
	return access(path, F_OK) == 0;
}

/* vfio-pci lies in /lib/modules for the kernel that runs, so that assign can load it. Asked only
 * about the real host. */
static bool host_has_module(void)
{
	static const char *const lists[] = { "modules.dep", "modules.builtin" };
	char path[PATH_MAX], line[4096];
	bool found = false;
	struct utsname u;

	if (uname(&u) < 0)
		return false;
	for (unsigned int i = 0; i < 2 && !found; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/lib/modules/%s/%s", u.release, lists[i]);
		f = fopen(path, "re");
		while (f && !found && fgets(line, sizeof(line), f))
			found = strstr(line, "/vfio-pci.ko") != NULL;
		if (f)
			fclose(f);
	}
	return found;
}

void vfio_host_check(const struct host_view *v, struct host_lane_report *r)
{
	bool loaded = host_path_is(v->sysfs, "bus/pci/drivers/vfio-pci");

	host_check_kvm(v, r);
	if (!iommu_active(v->sysfs))
		host_lane_miss(r, "no IOMMU is active",
			       "turn on VT-d or AMD-Vi in the firmware and boot the kernel with "
			       "intel_iommu=on (AMD: on by itself)");
	if (!loaded && !(v == &host_real && host_has_module()))
		host_lane_miss(r, "the kernel driver vfio-pci is missing",
			       "modprobe vfio-pci, or a kernel with CONFIG_VFIO_PCI");
	if (loaded && !host_path_is(v->dev, "vfio/vfio") && !host_path_is(v->dev, "iommu"))
		host_lane_miss(r, "there is neither /dev/vfio/vfio nor /dev/iommu",
			       "modprobe vfio, or a kernel with CONFIG_VFIO_CONTAINER or "
			       "CONFIG_IOMMUFD; is /dev a devtmpfs?");
}

static const struct host_lane vfio_host_lane = { .lane = "direct", .check = vfio_host_check };
HOST_LANE(&vfio_host_lane);
