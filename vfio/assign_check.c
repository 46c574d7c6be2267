/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What has to hold before assign changes anything: rights, an IOMMU that the firmware leaves free,
 * a group that comes whole, a driver vfio-pci, nothing that the host has in use. Called by
 * assign.c. Each refusal is one line that ends in what mends it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign_priv.h"
#include "core/err.h"
#include "core/paths.h"

#define CAP_DAC_OVERRIDE_BIT 1

/* --- rights --------------------------------------------------------------- */

static bool check_has_cap(const struct vfio_sys *s, unsigned int bit)
{
	return paths_status_number(s->proc, "self", "CapEff:", 16, 0) >> bit & 1;
}

int assign_check_rights(const struct assign *a, const char *bdf, const char *doing)
{
	static const char *const files[] = { "devices/%s/driver_override",
					     "devices/%s/driver/unbind", "drivers_probe" };
	char path[PATH_MAX], file[64];
	int err = 0;

	for (size_t i = 0; err == 0 && i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(file, sizeof(file), files[i], bdf);
		snprintf(path, sizeof(path), "%s/bus/pci/%s", a->s->sysfs, file);
		/* what is not there is another question */
		if (access(path, W_OK) < 0 && errno != ENOENT)
			err = errno;
	}
	if (err == 0)
		return 0;
	if (err == EROFS)
		return err_ret(-err,
			       "%s %s: %s: /sys is mounted read-only, as in a container; run it on "
			       "the host itself",
			       doing, bdf, path);
	return err_ret(
		-err, "%s %s: %s: user %u may not write it%s; run as root", doing, bdf, path,
		geteuid(),
		check_has_cap(a->s, CAP_DAC_OVERRIDE_BIT) ? "" : " (CAP_DAC_OVERRIDE is missing)");
}

/* --- the IOMMU and the group ---------------------------------------------- */

static bool check_listed(const char *name, const char *const *bdfs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(bdfs[i], name))
			return true;
	return false;
}

/* Without an IOMMU there is VFIO's no-IOMMU mode, for those who know what they give up. */
static int check_no_iommu(const struct assign *a, const char *bdf)
{
	char line[8] = "";
	bool on = paths_read_line(line, sizeof(line),
				  "%s/module/vfio/parameters/enable_unsafe_noiommu_mode",
				  a->s->sysfs) > 0 &&
		  (line[0] == 'Y' || line[0] == '1');

	if (!(a->flags & VFIO_ASSIGN_NO_IOMMU))
		return err_ret(-ENODEV,
			       "assigning %s: no IOMMU is active for it%s; turn on VT-d or AMD-Vi "
			       "in the firmware and boot with intel_iommu=on",
			       bdf,
			       on ? ", and in VFIO's no-IOMMU mode it could write to all memory of "
				    "this host, which is done with --unprotected-dma only"
				  : "");
	if (on)
		return 0;
	return err_ret(-EOPNOTSUPP,
		       "assigning %s: VFIO's no-IOMMU mode is off; turn it on with 'modprobe vfio "
		       "enable_unsafe_noiommu_mode=1', or in "
		       "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode (a kernel with "
		       "CONFIG_VFIO_NOIOMMU)",
		       bdf);
}

static int check_forced(const struct iommu_group *g, const char *bdf)
{
	const struct iommu_reserved *r = iommu_group_forced(g);

	if (!r)
		return 0;
	return err_ret(-EOPNOTSUPP,
		       "assigning %s: the firmware keeps memory %#" PRIx64 "-%#" PRIx64
		       " for IOMMU group %u (RMRR), so the kernel gives it to no guest; turn off "
		       "the firmware's use of the device, or use another slot",
		       bdf, r->first, r->last, g->id);
}

/* Every other member of the group has to come along, unless it does not stand in the way. */
static int check_members(const struct iommu_group *g, const char *bdf, const char *const *bdfs,
			 size_t n)
{
	char members[1024], mend[1024];
	bool whole = true;

	for (size_t i = 0; i < g->n_members; i++) {
		const struct iommu_member *m = &g->members[i];

		if (!strcmp(m->name, bdf) && m->bridge)
			return err_ret(-EINVAL,
				       "assigning %s: it is a bridge; give the functions behind it",
				       bdf);
		if (iommu_member_blocks(m) && !check_listed(m->name, bdfs, n))
			whole = false;
	}
	if (whole)
		return 0;
	iommu_group_list(g, false, members, sizeof(members));
	iommu_group_verdict(g, mend, sizeof(mend));
	return err_ret(-EBUSY,
		       "assigning %s: IOMMU group %u can only be given away whole, its members are "
		       "%s; assign all: '%s'",
		       bdf, g->id, members, mend);
}

static int check_group(const struct assign *a, const char *bdf, const char *const *bdfs, size_t n)
{
	int id = iommu_group_of(a->s->sysfs, bdf), ret;
	struct iommu_group *g;

	if (id == -ENOENT)
		return err_ret(-ENOENT,
			       "assigning %s: there is no such PCI function; see 'fourlane groups' "
			       "or lspci",
			       bdf);
	if (id < 0)
		return check_no_iommu(a, bdf);
	ret = iommu_group_load(a->s->sysfs, (unsigned int)id, &g);
	if (ret < 0)
		return err_ret(ret, "assigning %s: reading IOMMU group %d: %s; is /sys mounted?",
			       bdf, id, strerror(-ret));
	ret = g->no_iommu ? check_no_iommu(a, bdf) : check_forced(g, bdf);
	if (ret == 0)
		ret = check_members(g, bdf, bdfs, n);
	iommu_group_free(g);
	return ret;
}

/* --- the rest ------------------------------------------------------------- */

static int check_use(const struct assign *a, const char *bdf)
{
	char why[512];

	if (!assign_in_use(a->s, bdf, why, sizeof(why)))
		return 0;
	if (!(a->flags & VFIO_ASSIGN_FORCE))
		return err_ret(-EBUSY,
			       "assigning %s: %s; free it first, or take it anyway with --force",
			       bdf, why);
	err_say("assigning %s although %s: you said --force", bdf, why);
	return 0;
}

/* A virtual function is not there at boot: whoever makes it assigns it. */
static int check_keep(const struct assign *a, const char *bdf)
{
	char physfn[64];

	if (!(a->flags & VFIO_ASSIGN_KEEP) ||
	    paths_link_name(physfn, sizeof(physfn), "%s/bus/pci/devices/%s/physfn", a->s->sysfs,
			    bdf) < 0)
		return 0;
	return err_ret(-EINVAL,
		       "assigning %s: it is a virtual function of %s and is not there after a "
		       "reboot before somebody makes it; leave out --persist",
		       bdf, physfn);
}

static int check_module(const struct assign *a, const char *bdf)
{
	if (assign_have_driver(a->s, VFIO_DRIVER) ||
	    assign_modprobe(a->s, "-nq", VFIO_DRIVER)) /* only looks whether it could */
		return 0;
	return err_ret(-EOPNOTSUPP,
		       "assigning %s: the kernel has no driver vfio-pci; load it with 'modprobe "
		       "vfio-pci', or install or build its module (CONFIG_VFIO_PCI)",
		       bdf);
}

int assign_check(const struct assign *a, const char *const *bdfs, size_t n)
{
	char driver[64];
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < n; i++) {
		ret = check_group(a, bdfs[i], bdfs, n);
		if (ret == 0)
			ret = check_keep(a, bdfs[i]);
		assign_driver(a->s, bdfs[i], driver, sizeof(driver));
		if (ret == 0 && !iommu_driver_is_vfio(driver))
			ret = check_use(a, bdfs[i]);
	}
	return ret < 0 ? ret : check_module(a, bdfs[0]);
}
