/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI functions to vfio-pci and back to the driver they had. Called by the commands assign and
 * unassign, by sriov for VFs and by bench. Everything is checked before anything is changed; what
 * is about to be changed is on disk first (assign_record.c), so that after a crash at any point
 * vfio_unassign() puts the function back as it was.
 */
#include "vfio/vfio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign_priv.h"
#include "core/err.h"

static int assign_one(const struct assign *a, const char *bdf, struct assign_record *r,
		      bool *changed)
{
	char driver[64];
	int ret;

	*changed = false;
	assign_driver(a->s, bdf, driver, sizeof(driver));
	if (iommu_driver_is_vfio(driver))
		return 0;
	ret = assign_record_make(a->s, bdf, r);
	if (ret == 0)
		ret = assign_record_store(a, r);
	if (ret < 0)
		return ret;
	*changed = true;
	return assign_bind_vfio(a, bdf);
}

/* All or none: when one fails, those that were changed go back in reverse order. */
static int assign_all(const struct assign *a, const char *const *bdfs, size_t n)
{
	struct assign_record *r = calloc(n, sizeof(*r));
	bool *changed = calloc(n, sizeof(*changed));
	int ret = r && changed ? 0 : -ENOMEM;
	size_t i;

	for (i = 0; ret == 0 && i < n; i++)
		ret = assign_one(a, bdfs[i], &r[i], &changed[i]);
	while (ret < 0 && r && changed && i--)
		if (changed[i] && assign_restore(a, &r[i]) < 0)
			err_say("assigning %s: it could not be put back either; mend what stands "
				"above, then 'fourlane unassign %s'",
				bdfs[i], bdfs[i]);
	free(r);
	free(changed);
	return ret;
}

static int assign_locked(const struct assign *a, const char *const *bdfs, size_t n)
{
	int ret = assign_check(a, bdfs, n);

	if (ret == 0)
		ret = assign_load_vfio(a, bdfs[0]);
	if (ret == 0)
		ret = assign_all(a, bdfs, n);
	for (size_t i = 0; ret == 0 && (a->flags & VFIO_ASSIGN_KEEP) && i < n; i++)
		ret = assign_keep_store(a, bdfs[i]);
	return ret;
}

/* A dry run looks without rights and without the lock. */
static int assign_enter(const struct assign *a, const char *const *bdfs, size_t n,
			const char *doing)
{
	int ret = 0;

	if (a->flags & VFIO_ASSIGN_DRY_RUN)
		return -1;
	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = assign_check_rights(a, bdfs[i], doing);
	return ret < 0 ? ret : assign_lock(a->s);
}

int vfio_assign(const struct vfio_sys *s, const char *const *bdfs, size_t n, unsigned int flags)
{
	const struct assign a = { .s = s, .flags = flags };
	int lock = assign_enter(&a, bdfs, n, "assigning"), ret;

	if (lock < 0 && !(flags & VFIO_ASSIGN_DRY_RUN))
		return lock;
	ret = assign_locked(&a, bdfs, n);
	if (lock >= 0)
		close(lock);
	return ret;
}

/* The function is gone (a VF that was removed), so is what was remembered of it. */
static int unassign_gone(const struct assign *a, const char *bdf)
{
	struct assign_record r;
	struct assign_kept k;
	int rec = assign_record_load(a->s, bdf, &r), kept = assign_keep_load(a->s, bdf, &k), ret;

	if (rec == -ENOENT && kept == -ENOENT)
		return err_ret(-ENOENT, "giving %s back: there is no such PCI function; see lspci",
			       bdf);
	if (rec < 0 && rec != -ENOENT)
		return rec;
	ret = assign_keep_drop(a, bdf);
	return ret < 0 ? ret : assign_record_drop(a, bdf);
}

/* What can refuse comes first, then it is forgotten for the next start, then given back. */
static int unassign_one(const struct assign *a, const char *bdf)
{
	struct assign_record r;
	char driver[64];
	int rec, ret = 0;

	if (!assign_exists(a->s, bdf))
		return unassign_gone(a, bdf);
	rec = assign_record_valid(a->s, bdf, &r);
	if (rec < 0 && rec != -ENOENT)
		return rec;
	assign_driver(a->s, bdf, driver, sizeof(driver));
	if (iommu_driver_is_vfio(driver))
		ret = assign_wait_unused(a, bdf);
	if (ret == 0)
		ret = assign_keep_drop(a, bdf);
	if (ret < 0)
		return ret;
	if (rec == 0)
		return assign_restore(a, &r);
	ret = assign_release(a, bdf);
	return ret < 0 ? ret : assign_record_drop(a, bdf);
}

int vfio_unassign(const struct vfio_sys *s, const char *const *bdfs, size_t n, unsigned int flags)
{
	const struct assign a = { .s = s, .flags = flags };
	int lock = assign_enter(&a, bdfs, n, "giving back"), ret = 0;

	if (lock < 0 && !(flags & VFIO_ASSIGN_DRY_RUN))
		return lock;
	for (size_t i = 0; i < n; i++) {
		int one = unassign_one(&a, bdfs[i]);

		if (one < 0 && ret == 0)
			ret = one; /* the others are still given back */
	}
	if (lock >= 0)
		close(lock);
	return ret;
}

bool vfio_recorded(const struct vfio_sys *s, const char *bdf)
{
	struct assign_record r;

	return assign_record_valid(s, bdf, &r) != -ENOENT;
}

bool vfio_driver_there(const struct vfio_sys *s, const char *driver)
{
	return assign_have_driver(s, driver) ||
	       (assign_modprobe(s, "-q", driver) && assign_have_driver(s, driver));
}
