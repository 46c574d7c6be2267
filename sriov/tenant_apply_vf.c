/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One VF's driver and its reset. vfio-pci is vfio's to bind, with its record of what was; a kernel
 * driver is bound by driver_override and its own bind file, which works with autoprobe off too
 * (Documentation/ABI/testing/sysfs-bus-pci). Called by the steps of a transaction and by leases.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "tenant_tx.h"

#define WAIT_POLL_MS 10
#define VF_PATH      (PATH_MAX + 64)

void vf_driver(const struct sriov_pf *pf, unsigned int idx, char buf[TENANT_DRIVER_SIZE])
{
	if (paths_link_name(buf, TENANT_DRIVER_SIZE, "%s/virtfn%u/driver", pf->path, idx) < 0)
		buf[0] = '\0';
}

static int wait_for_driver(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
			   const char *want)
{
	struct timespec pause = { .tv_nsec = WAIT_POLL_MS * 1000000 };
	char now[TENANT_DRIVER_SIZE];

	for (unsigned int waited = 0;; waited += WAIT_POLL_MS) {
		vf_driver(pf, idx, now);
		if (!strcmp(now, want))
			return 0;
		if (waited >= e->wait_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

/* From a driver that is not VFIO's. */
static int driver_unbind(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
			 const char *bdf, const char *driver)
{
	char path[VF_PATH];
	int ret;

	snprintf(path, sizeof(path), "%s/virtfn%u/driver/unbind", pf->path, idx);
	ret = e->write(e->opaque, path, bdf);
	if (ret == 0)
		ret = wait_for_driver(e, pf, idx, "");
	return ret < 0 ? err_ret(ret,
				 "taking VF %u of %s (%s) from its driver %s: %s; see the kernel's "
				 "log",
				 idx, pf->name, bdf, driver, strerror(-ret))
		       : 0;
}

static int override_write(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
			  const char *text)
{
	char path[VF_PATH];

	snprintf(path, sizeof(path), "%s/virtfn%u/driver_override", pf->path, idx);
	return e->write(e->opaque, path, text);
}

static int driver_bind(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		       const char *bdf, const char *driver)
{
	char path[VF_PATH];
	int ret, after;

	snprintf(path, sizeof(path), "%s/bus/pci/drivers/%s/bind", e->v->sysfs, driver);
	if (e->vfio ? !vfio_driver_there(e->vfio, driver) : access(path, F_OK) < 0)
		return err_ret(-EOPNOTSUPP,
			       "binding VF %u of %s (%s) to %s: there is no such driver; load it "
			       "with 'modprobe %s'",
			       idx, pf->name, bdf, driver, driver);
	ret = override_write(e, pf, idx, driver);
	if (ret == 0)
		ret = e->write(e->opaque, path, bdf);
	if (ret == 0)
		ret = wait_for_driver(e, pf, idx, driver);
	after = override_write(e, pf, idx, "\n");
	if (ret == 0)
		ret = after;
	return ret < 0 ? err_ret(ret, "binding VF %u of %s (%s) to %s: %s; see the kernel's log",
				 idx, pf->name, bdf, driver, strerror(-ret))
		       : 0;
}

/*
 * vfio_assign() and vfio_unassign() write several files each: a call that ended between them has
 * left its record, or driver_override without the driver.
 */
static bool left_by_vfio(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
			 const char *bdf, bool bound)
{
	char line[64];
	int n = paths_read_line(line, sizeof(line), "%s/virtfn%u/driver_override", pf->path, idx);
	bool override = n > 0 && iommu_driver_is_vfio(line);

	return bound ? !override : override || vfio_recorded(e->vfio, bdf);
}

/* From what VFIO has of it to no driver, or to what was bound before; `now` is that then. */
static int leave_vfio(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		      const char *bdf, char now[TENANT_DRIVER_SIZE])
{
	int ret = vfio_unassign(e->vfio, &bdf, 1, 0);

	vf_driver(pf, idx, now);
	return ret;
}

int vf_driver_set(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		  const char *want)
{
	char now[TENANT_DRIVER_SIZE], bdf[IOMMU_BDF_SIZE];
	const char *one = bdf;
	bool there = sriov_vf_bdf(pf, idx, bdf) == 0, by_vfio, left;
	int ret = 0;

	if (!strcmp(want, "none"))
		want = "";
	by_vfio = e->vfio && there && !strcmp(want, "vfio-pci");
	vf_driver(pf, idx, now);
	left = e->vfio && there && left_by_vfio(e, pf, idx, bdf, by_vfio);
	if (!strcmp(now, want) && !left)
		return 0;
	if (!there)
		return err_ret(-ENODEV,
			       "changing the driver of VF %u of %s: it is no PCI function; use "
			       "driver 'none'",
			       idx, pf->name);
	if (!strcmp(now, want) && by_vfio)
		return override_write(e, pf, idx, want);
	if (e->vfio && !by_vfio && (left || iommu_driver_is_vfio(now)))
		ret = leave_vfio(e, pf, idx, bdf, now);
	if (ret == 0 && now[0] && strcmp(now, want))
		ret = driver_unbind(e, pf, idx, bdf, now);
	vf_driver(pf, idx, now);
	if (ret < 0 || !want[0] || !strcmp(now, want))
		return ret;
	return by_vfio ? vfio_assign(e->vfio, &one, 1, 0) : driver_bind(e, pf, idx, bdf, want);
}

bool vf_can_reset(const struct sriov_pf *pf, unsigned int idx)
{
	char path[VF_PATH];

	snprintf(path, sizeof(path), "%s/virtfn%u/reset", pf->path, idx);
	return access(path, F_OK) == 0;
}

int vf_reset(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx, char *method,
	     size_t size)
{
	char path[VF_PATH];
	int ret;

	if (paths_read_line(method, size, "%s/virtfn%u/reset_method", pf->path, idx) < 0)
		method[0] = '\0';
	snprintf(path, sizeof(path), "%s/virtfn%u/reset", pf->path, idx);
	if (access(path, F_OK) < 0)
		return err_ret(-EOPNOTSUPP,
			       "resetting VF %u of %s: it has no reset, so what one tenant leaves "
			       "in it another would find; "
			       "take it away with the PF's VFs ('fourlane tenant release --all')",
			       idx, pf->name);
	ret = e->write(e->opaque, path, "1");
	return ret < 0 ? err_ret(ret, "resetting VF %u of %s%s%s: %s; see the kernel's log", idx,
				 pf->name, method[0] ? " by " : "", method, strerror(-ret))
		       : 0;
}
