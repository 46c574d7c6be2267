/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One PCI function to vfio-pci and back. Binding works by driver_override
 * (Documentation/ABI/testing/sysfs-bus-pci), which touches this one function and no id table. Each
 * step can be where an earlier run ended, so each begins with a look. Called by assign.c. In a dry
 * run the steps are told and the waits left out.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "assign_priv.h"
#include "core/err.h"

/* Waits until `driver` ("" for none) is bound. */
static int bind_wait_driver(const struct assign *a, const char *bdf, const char *driver)
{
	struct assign_wait w;
	char now[64];

	if (a->flags & VFIO_ASSIGN_DRY_RUN)
		return 0;
	assign_wait_begin(&w, a->s->deadline_ms);
	for (;;) {
		assign_driver(a->s, bdf, now, sizeof(now));
		if (!strcmp(now, driver))
			return 0;
		if (*driver ? !assign_wait_more(&w, "%s is to take %s", driver, bdf)
			    : !assign_wait_more(&w, "%s is to let go of %s", now, bdf))
			return -ETIMEDOUT;
	}
}

int assign_wait_unused(const struct assign *a, const char *bdf)
{
	const struct vfio_sys *s = a->s;
	struct assign_wait w;
	int pid;

	/* a guest that ends does so soon, one that runs is not waited for */
	assign_wait_begin(&w, s->deadline_ms / 5);
	while ((pid = vfio_user(s->sysfs, s->proc, bdf)) != 0)
		if (!assign_wait_more(&w, "process %d is to close %s", pid, bdf))
			return err_ret(-EBUSY,
				       "giving %s back: process %d has its VFIO group open; stop "
				       "that guest first",
				       bdf, pid);
	return 0;
}

static int bind_set_override(const struct assign *a, const char *bdf, const char *driver)
{
	int ret = assign_write(a, *driver ? driver : "\n", "%s/bus/pci/devices/%s/driver_override",
			       a->s->sysfs, bdf);

	if (ret < 0)
		return err_ret(ret, "setting driver_override of %s: %s; see the kernel's log", bdf,
			       strerror(-ret));
	return 0;
}

static int bind_unbind(const struct assign *a, const char *bdf)
{
	char driver[64];
	int ret;

	assign_driver(a->s, bdf, driver, sizeof(driver));
	if (!driver[0])
		return 0;
	ret = assign_write(a, bdf, "%s/bus/pci/devices/%s/driver/unbind", a->s->sysfs, bdf);
	if (ret == -ENODEV || ret == -ENOENT) /* it went away by itself */
		ret = 0;
	if (ret == 0)
		ret = bind_wait_driver(a, bdf, "");
	if (ret == -ETIMEDOUT)
		return err_ret(ret,
			       "taking %s from its driver %s: it has not let go in %u ms; see the "
			       "kernel's log for who holds it, or give it longer with --timeout",
			       bdf, driver, a->s->deadline_ms);
	if (ret < 0)
		return err_ret(ret, "taking %s from its driver %s: %s; see the kernel's log", bdf,
			       driver, strerror(-ret));
	return 0;
}

/* udev may be slower than the kernel. */
static int bind_wait_node(const struct assign *a, const char *bdf)
{
	struct assign_wait w;
	char node[PATH_MAX];

	if (!a->s->dev || (a->flags & VFIO_ASSIGN_DRY_RUN))
		return 0;
	assign_wait_begin(&w, a->s->deadline_ms);
	while (!assign_node(a->s, bdf, node, sizeof(node)))
		if (!assign_wait_more(&w, "%s is to appear", node))
			return err_ret(
				-ETIMEDOUT,
				"binding %s to vfio-pci: %s has not appeared in %u ms; is %s a "
				"devtmpfs, or udev at work?",
				bdf, node, a->s->deadline_ms, a->s->dev);
	return 0;
}

int assign_load_vfio(const struct assign *a, const char *bdf)
{
	if (assign_have_driver(a->s, VFIO_DRIVER))
		return 0;
	assign_tell(a, "load", "", VFIO_DRIVER);
	if ((a->flags & VFIO_ASSIGN_DRY_RUN) ||
	    (assign_modprobe(a->s, "-q", VFIO_DRIVER) && assign_have_driver(a->s, VFIO_DRIVER)))
		return 0;
	return err_ret(-EOPNOTSUPP,
		       "assigning %s: the module vfio-pci does not load; see what 'modprobe "
		       "vfio-pci' and the kernel's log say (CAP_SYS_MODULE, lockdown)",
		       bdf);
}

int assign_bind_vfio(const struct assign *a, const char *bdf)
{
	int ret = bind_set_override(a, bdf, VFIO_DRIVER);

	if (ret == 0)
		ret = bind_unbind(a, bdf);
	if (ret < 0)
		return ret;
	ret = assign_write(a, bdf, "%s/bus/pci/drivers_probe", a->s->sysfs);
	if (ret == 0)
		ret = bind_wait_driver(a, bdf, VFIO_DRIVER);
	if (ret < 0)
		return err_ret(ret, "binding %s to vfio-pci: %s; see the kernel's log", bdf,
			       strerror(-ret));
	return bind_wait_node(a, bdf);
}

/* The old driver is not always a module of its own name (xhci_hcd): the device's alias finds it. */
static bool bind_load_old(const struct assign *a, const char *bdf, const char *driver)
{
	char alias[128];

	if (assign_have_driver(a->s, driver))
		return true;
	assign_tell(a, "load", "", driver);
	if (a->flags & VFIO_ASSIGN_DRY_RUN)
		return true;
	if (assign_modprobe(a->s, "-q", driver) && assign_have_driver(a->s, driver))
		return true;
	assign_attr(a->s, bdf, "modalias", alias, sizeof(alias));
	return alias[0] && assign_modprobe(a->s, "-q", alias) && assign_have_driver(a->s, driver);
}

/* The driver of the record, by its own bind file: that is exact even when another driver would
 * claim the function first. */
static int bind_old(const struct assign *a, const char *bdf, const char *driver)
{
	int ret;

	if (!bind_load_old(a, bdf, driver))
		return err_ret(
			-EOPNOTSUPP,
			"giving %s back: its driver %s is not loaded any more; load it and repeat",
			bdf, driver);
	ret = assign_write(a, bdf, "%s/bus/pci/drivers/%s/bind", a->s->sysfs, driver);
	if (ret == -EBUSY || ret == -EEXIST) /* loading the module has bound it */
		ret = 0;
	if (ret == 0)
		ret = bind_wait_driver(a, bdf, driver);
	if (ret < 0)
		return err_ret(ret, "giving %s back to its driver %s: %s; see the kernel's log",
			       bdf, driver, strerror(-ret));
	return 0;
}

/* From vfio-pci to no driver; what is bound otherwise stays. `now` is what is bound then. */
static int bind_leave_vfio(const struct assign *a, const char *bdf, const char *wanted,
			   char now[64])
{
	int ret = 0;

	assign_driver(a->s, bdf, now, 64);
	if (iommu_driver_is_vfio(now) && strcmp(now, wanted)) {
		ret = assign_wait_unused(a, bdf);
		if (ret == 0)
			ret = bind_unbind(a, bdf);
		now[0] = '\0';
	}
	return ret;
}

int assign_restore(const struct assign *a, const struct assign_record *r)
{
	char now[64];
	int ret = bind_set_override(a, r->bdf, r->override);

	if (ret == 0)
		ret = bind_leave_vfio(a, r->bdf, r->driver, now);
	if (ret == 0 && r->driver[0] && !now[0]) /* whoever bound another one meanwhile meant it */
		ret = bind_old(a, r->bdf, r->driver);
	return ret < 0 ? ret : assign_record_drop(a, r->bdf);
}

int assign_release(const struct assign *a, const char *bdf)
{
	char now[64], override[64];
	int ret = 0;

	assign_driver(a->s, bdf, now, sizeof(now));
	assign_override(a->s, bdf, override, sizeof(override));
	if (!strcmp(override, VFIO_DRIVER))
		ret = bind_set_override(a, bdf, "");
	if (ret < 0 || !iommu_driver_is_vfio(now))
		return ret;
	ret = bind_leave_vfio(a, bdf, "", now);
	if (ret == 0)
		ret = assign_write(a, bdf, "%s/bus/pci/drivers_probe", a->s->sysfs);
	return ret;
}
