/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See export.h. QEMU: docs/system/devices/vfio.rst; libvirt: formatdomain, "Host device
 * assignment" and "PCI Passthrough" (managed='no', as fourlane has bound it); Cloud Hypervisor:
 * docs/vfio.md. How much
 * memory is locked and where the device sits in the guest is left to those who start it.
 */
#include "export.h"

#include <errno.h>
#include <string.h>

#include "core/err.h"
#include "core/paths.h"
#include "iommu/iommu.h"

static const struct export_format formats[] = {
	{ .name = "qemu", .option = "-device", .before = "vfio-pci,host=", .after = "" },
	{ .name = "libvirt" },
	{ .name = "cloud-hypervisor",
	  .option = "--device",
	  .before = "path=/sys/bus/pci/devices/",
	  .after = "/" },
};

const struct export_format *export_find(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(name, formats[i].name))
			return &formats[i];
	return NULL;
}

const char *export_names(void)
{
	return "qemu|libvirt|cloud-hypervisor";
}

static int export_check_group(const char *sysfs, const char *bdf, unsigned int id)
{
	char members[1024], mend[1024];
	struct iommu_group *g;
	int ret = iommu_group_load(sysfs, id, &g);

	if (ret < 0)
		return err_ret(ret, "exporting %s: reading IOMMU group %u: %s; is /sys mounted?",
			       bdf, id, strerror(-ret));
	iommu_group_list(g, true, members, sizeof(members));
	iommu_group_verdict(g, mend, sizeof(mend));
	if (g->no_iommu)
		ret = err_ret(-ENODEV,
			      "exporting %s: no IOMMU translates for it, so its DMA would hit the "
			      "host's memory; %s",
			      bdf, mend);
	else if (!iommu_group_viable(g))
		ret = err_ret(-EBUSY,
			      "exporting %s: the host still has %s of its IOMMU group %u; run '%s'",
			      bdf, members, id, mend);
	iommu_group_free(g);
	return ret;
}

int export_check(const char *sysfs, const char *bdf)
{
	int id = iommu_group_of(sysfs, bdf);
	char driver[64];

	if (id == -ENOENT)
		return err_ret(-ENOENT,
			       "exporting %s: there is no such PCI function; see 'fourlane groups' "
			       "or lspci",
			       bdf);
	if (paths_link_name(driver, sizeof(driver), "%s/bus/pci/devices/%s/driver", sysfs, bdf) < 0)
		driver[0] = '\0';
	if (!iommu_driver_is_vfio(driver))
		return err_ret(-EBUSY,
			       "exporting %s: it is bound to %s, not to vfio-pci; run 'fourlane "
			       "assign %s' first",
			       bdf, driver[0] ? driver : "no driver", bdf);
	if (id < 0)
		return err_ret(-ENODEV,
			       "exporting %s: it has no IOMMU group; turn on VT-d or AMD-Vi in the "
			       "firmware and boot with intel_iommu=on",
			       bdf);
	return export_check_group(sysfs, bdf, (unsigned int)id);
}

static int libvirt_address(const struct export_function *fn, const char *type, char *buf,
			   size_t size)
{
	unsigned int domain, bus, slot, function;

	if (sscanf(fn->bdf, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return -EINVAL;
	return snprintf(buf, size,
			"<address %sdomain='0x%04x' bus='0x%02x' slot='0x%02x' function='0x%x'/>",
			type, domain, bus, slot, function);
}

/* formatdomain, "PCI Passthrough": a VF whose settings libvirt makes, to what they are already. */
static int libvirt_interface(const struct export_function *fn, char *buf, size_t size)
{
	char address[128], vlan[64] = "";

	if (libvirt_address(fn, "type='pci' ", address, sizeof(address)) < 0)
		return -EINVAL;
	if (fn->vlan)
		snprintf(vlan, sizeof(vlan), "  <vlan>\n    <tag id='%u'/>\n  </vlan>\n", fn->vlan);
	return snprintf(buf, size,
			"<interface type='hostdev' managed='no'>\n"
			"  <mac address='%02x:%02x:%02x:%02x:%02x:%02x'/>\n"
			"  <driver name='vfio'/>\n"
			"  <source>\n"
			"    %s\n"
			"  </source>\n"
			"%s"
			"</interface>",
			fn->mac[0], fn->mac[1], fn->mac[2], fn->mac[3], fn->mac[4], fn->mac[5],
			address, vlan);
}

int export_text(const struct export_format *f, const struct export_function *fn, char *buf,
		size_t size)
{
	char address[128];

	if (f->option)
		return snprintf(buf, size, "%s%s%s", f->before, fn->bdf, f->after);
	if (fn->vf)
		return libvirt_interface(fn, buf, size);
	if (libvirt_address(fn, "", address, sizeof(address)) < 0)
		return -EINVAL;
	return snprintf(buf, size,
			"<hostdev mode='subsystem' type='pci' managed='no'>\n"
			"  <driver name='vfio'/>\n"
			"  <source>\n"
			"    %s\n"
			"  </source>\n"
			"</hostdev>",
			address);
}
