/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many VFs a PF has: `vf create` and `vf remove`. The kernel demands 0 between two counts, so
 * nothing is changed while a VF is in use; what was before is on disk first, VFs get no host driver
 * unless asked, they are waited for with a deadline, and what fails half-way goes back. Kernel:
 * Documentation/PCI/pci-iov-howto.rst.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "sriov_priv.h"

#define WAIT_POLL_MS   10
#define AUTOPROBE_NONE (-1) /* the device has no such switch */

/* --- single steps ------------------------------------------------------- */
static int file_write(const struct sriov_env *e, const struct sriov_pf *pf, const char *file,
		      unsigned int value)
{
	char path[PATH_MAX + 32], text[16];

	snprintf(path, sizeof(path), "%s/%s", pf->path, file);
	snprintf(text, sizeof(text), "%u", value);
	return e->write(e->opaque, path, text);
}

static int autoprobe_read(const struct sriov_pf *pf)
{
	unsigned int v = sriov_read_number(pf->path, "sriov_drivers_autoprobe");

	return v <= 1 ? (int)v : AUTOPROBE_NONE;
}

int vf_autoprobe_write(const struct sriov_env *e, const struct sriov_pf *pf, int value)
{
	int ret;

	if (value == AUTOPROBE_NONE || autoprobe_read(pf) == value)
		return 0;
	ret = file_write(e, pf, "sriov_drivers_autoprobe", (unsigned int)value);
	if (ret < 0)
		return err_ret(ret,
			       "setting sriov_drivers_autoprobe of %s: %s; run as root, with a "
			       "writable /sys",
			       pf->name, strerror(-ret));
	return autoprobe_read(pf) == value ? 0
					   : err_ret(-EIO,
						     "setting sriov_drivers_autoprobe of %s to %d: "
						     "it stays %d; another "
						     "program sets it too",
						     pf->name, value, autoprobe_read(pf));
}

static const char *count_mend(int err)
{
	switch (-err) {
	case EACCES:
	case EROFS: return "run as root, with a writable /sys";
	case ENOMEM:
	case ENOSPC:
	case EIO:
		return "the firmware may have left too little bus or BAR space: try fewer, or turn "
		       "SR-IOV on in the firmware";
	case ERANGE:
	case EPERM:
	case EINVAL: return "run as root; the driver may allow fewer than the device: try fewer";
	default: return "see the kernel's log";
	}
}

static int count_write(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int n)
{
	unsigned int is;
	int ret = file_write(e, pf, "sriov_numvfs", n);

	if (ret < 0)
		return err_ret(ret, "giving %s %u VFs: driver %s: %s; %s", pf->name, n,
			       pf->driver[0] ? pf->driver : "(none)", strerror(-ret),
			       count_mend(ret));
	is = sriov_read_number(pf->path, "sriov_numvfs");
	return is == n ? 0
		       : err_ret(-EIO, "giving %s %u VFs: the driver made %u; try that many",
				 pf->name, n, is);
}

static bool vfs_there(const struct sriov_pf *pf, unsigned int n, unsigned int *missing)
{
	char path[PATH_MAX + 32];

	for (*missing = 0; *missing < n; ++*missing) {
		snprintf(path, sizeof(path), "%s/virtfn%u/vendor", pf->path, *missing);
		if (access(path, F_OK) < 0)
			return false;
	}
	return true;
}

static int wait_for_vfs(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int n)
{
	struct timespec pause = { .tv_nsec = WAIT_POLL_MS * 1000000 };
	unsigned int missing;

	for (unsigned int waited = 0; pf->pci && !vfs_there(pf, n, &missing);
	     waited += WAIT_POLL_MS) {
		if (waited >= e->wait_ms)
			return err_ret(-ETIMEDOUT,
				       "giving %s %u VFs: VF %u did not appear in %u ms; see the "
				       "kernel's log",
				       pf->name, n, missing, e->wait_ms);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static bool carrier(const struct sriov_pf *pf)
{
	char line[8];

	return paths_read_line(line, sizeof(line), "%s/net/%s/carrier", pf->path, pf->name) > 0 &&
	       line[0] == '1';
}

/*
 * Drivers reset the PF for another count, and take no rate while its link is down: a link that was
 * up is waited for, not for ever.
 */
static void wait_for_carrier(const struct sriov_env *e, const struct sriov_pf *pf)
{
	struct timespec pause = { .tv_nsec = WAIT_POLL_MS * 1000000 };

	for (unsigned int waited = 0; !carrier(pf) && waited < e->wait_ms; waited += WAIT_POLL_MS)
		nanosleep(&pause, NULL);
}

/* --- steps together ----------------------------------------------------- */
/*
 * VFs that `assign` left with vfio-pci go back first, else its records would speak of functions
 * that are gone.
 */
static int give_back(const struct sriov_env *e, const struct sriov_pf *pf)
{
	char bdf[IOMMU_BDF_SIZE], driver[40];
	const char *one = bdf;
	int ret = 0;

	for (unsigned int i = 0; e->vfio && i < pf->num_vfs && ret == 0; i++) {
		if (sriov_vf_bdf(pf, i, bdf) < 0 ||
		    paths_link_name(driver, sizeof(driver), "%s/virtfn%u/driver", pf->path, i) < 0)
			continue;
		if (iommu_driver_is_vfio(driver))
			ret = vfio_unassign(e->vfio, &one, 1, 0);
	}
	return ret;
}

int vf_leases_restore(const struct sriov_env *e, const struct sriov_pf *pf)
{
	char bdf[IOMMU_BDF_SIZE], holder[256];
	int first = 0, ret;

	for (unsigned int i = 0; i < pf->num_vfs; i++) {
		ret = sriov_vf_bdf(pf, i, bdf) < 0 || !vf_lease_noted(e, bdf) ||
				      vf_holder(e, pf, i, holder, sizeof(holder))
			      ? 0
			      : vf_lease_restore(e, pf, i, bdf);
		if (ret < 0 && !first)
			first = ret;
	}
	return first;
}

/* Gives the first error, after trying all. */
static int restore_noted(const struct sriov_env *e, const struct sriov_pf *pf,
			 const struct vf_record *r, unsigned int n_vfs)
{
	int first = 0;

	for (unsigned int i = 0; i < r->n; i++) {
		int ret = r->vf[i].idx < n_vfs ? vf_restore(e, pf, r->vf[i].idx, &r->vf[i].s) : 0;

		if (ret < 0 && !first)
			first = ret;
	}
	return first;
}

static void restore_table(const struct sriov_env *e, const struct sriov_pf *pf,
			  const struct vf_table *t)
{
	for (unsigned int i = 0; i < t->announced; i++)
		if (t->vf[i].known)
			vf_restore(e, pf, i, &t->vf[i]);
}

int vf_count_to(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int n)
{
	bool link = carrier(pf);
	int ret = pf->num_vfs ? count_write(e, pf, 0) : 0;

	if (ret == 0 && n)
		ret = count_write(e, pf, n);
	if (ret == 0)
		ret = wait_for_vfs(e, pf, n);
	if (ret == 0 && link)
		wait_for_carrier(e, pf);
	return ret;
}

static int count_steps(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int n,
		       int autoprobe)
{
	int ret = vf_autoprobe_write(e, pf, autoprobe);

	return ret < 0 ? ret : vf_count_to(e, pf, n);
}

/*
 * From pf->num_vfs to n; on failure back to pf->num_vfs VFs with the settings that they have now.
 */
static int count_change(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int n,
			int autoprobe, int autoprobe_after)
{
	struct vf_table now = { 0 };
	int ret = pf->num_vfs ? vf_read_before(e, pf, &now) : 0, after;

	if (ret < 0)
		return ret;
	ret = count_steps(e, pf, n, autoprobe);
	if (ret < 0 && sriov_read_number(pf->path, "sriov_numvfs") != pf->num_vfs) {
		if (sriov_read_number(pf->path, "sriov_numvfs") != 0)
			count_write(e, pf, 0);
		if (pf->num_vfs && count_write(e, pf, pf->num_vfs) == 0 &&
		    wait_for_vfs(e, pf, pf->num_vfs) == 0)
			restore_table(e, pf, &now);
	}
	after = vf_autoprobe_write(e, pf, autoprobe_after);
	vf_table_free(&now);
	return ret < 0 ? ret : after;
}

/* --- the record --------------------------------------------------------- */
int vf_record_open(const struct sriov_env *e, const struct sriov_pf *pf, struct vf_record *r)
{
	int ret = vf_record_load(e, pf->id, r);

	if (ret != -ENOENT)
		return ret;
	memset(r, 0, sizeof(*r));
	strcpy(r->pf, pf->id);
	r->num_vfs = pf->num_vfs;
	r->autoprobe = autoprobe_read(pf);
	return 0;
}

/* Before a count changes: all VFs that there are lose what they are set to. */
static int note_all(const struct sriov_env *e, const struct sriov_pf *pf, struct vf_record *r)
{
	unsigned int n = pf->num_vfs < r->num_vfs ? pf->num_vfs : r->num_vfs;
	struct vf_table t = { 0 };
	int ret = n ? vf_read_before(e, pf, &t) : 0;

	for (unsigned int i = 0; i < n && i < t.announced && ret == 0; i++)
		if (t.vf[i].known)
			ret = vf_record_note(r, i, &t.vf[i]);
	vf_table_free(&t);
	return ret < 0 ? ret : vf_record_save(e, pf->id, r);
}

/* --- the commands ------------------------------------------------------- */
/*
 * The count is right already; a call that was killed may have left the autoprobe switch as it was
 * during the change.
 */
static int finish_create(const struct sriov_env *e, const struct sriov_pf *pf)
{
	struct vf_record r;
	int ret = vf_record_load(e, pf->id, &r);

	if (ret == -ENOENT)
		return 0;
	if (ret == 0)
		ret = vf_autoprobe_write(e, pf, r.autoprobe);
	vf_record_free(&r);
	return ret < 0 ? ret : wait_for_vfs(e, pf, pf->num_vfs);
}

static int create_locked(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int count,
			 bool autoprobe)
{
	struct vf_record r;
	int ret;

	if (count == pf->num_vfs)
		return finish_create(e, pf);
	if (count > SRIOV_MAX_VFS || (pf->total_vfs != SRIOV_UNKNOWN && count > pf->total_vfs))
		return err_ret(
			-ERANGE,
			"giving %s %u VFs: it can have %u at most (sriov_totalvfs); ask for fewer",
			pf->name, count,
			pf->total_vfs != SRIOV_UNKNOWN ? pf->total_vfs : SRIOV_MAX_VFS);
	ret = vf_any_holder(e, pf, 0, pf->num_vfs, "changing the number of VFs of");
	if (ret < 0)
		return ret;
	ret = vf_record_open(e, pf, &r);
	if (ret < 0)
		return ret;
	ret = vf_leases_restore(e, pf);
	if (ret == 0)
		ret = note_all(e, pf, &r);
	if (ret == 0)
		ret = give_back(e, pf);
	if (ret == 0) {
		/* some drivers keep settings over a change of the count */
		restore_noted(e, pf, &r, pf->num_vfs);
		ret = count_change(e, pf, count,
				   r.autoprobe == AUTOPROBE_NONE ? AUTOPROBE_NONE : autoprobe,
				   r.autoprobe);
	}
	vf_record_free(&r);
	return ret;
}

int vf_count_create(const struct sriov_env *e, const char *name, unsigned int count, bool autoprobe)
{
	struct sriov_pf pf;
	int lock = vf_lock(e), ret;

	if (lock < 0)
		return lock;
	ret = tenant_settle(e);
	if (ret == 0)
		ret = sriov_pf_find(e->v, name, &pf);
	if (ret == 0)
		ret = tenant_refuse(e, &pf, SRIOV_UNKNOWN, "changing the number of VFs of");
	if (ret == 0)
		ret = create_locked(e, &pf, count, autoprobe);
	close(lock);
	return ret;
}

static int put_back(const struct sriov_env *e, const struct sriov_pf *pf, const struct vf_record *r)
{
	bool count_changes = pf->num_vfs != r->num_vfs;
	int ret = vf_leases_restore(e, pf);

	if (ret == 0)
		ret = give_back(e, pf);
	if (ret < 0)
		return ret;
	ret = restore_noted(e, pf, r, pf->num_vfs);
	if (!count_changes) {
		int probe = vf_autoprobe_write(e, pf, r->autoprobe);

		return ret < 0 ? ret : probe;
	}
	ret = count_change(e, pf, r->num_vfs, r->autoprobe, r->autoprobe);
	return ret < 0 ? ret : restore_noted(e, pf, r, r->num_vfs);
}

static int remove_locked(const struct sriov_env *e, const struct sriov_pf *pf)
{
	struct vf_record r;
	int ret = vf_record_load(e, pf->id, &r);

	if (ret == -ENOENT && pf->num_vfs == 0)
		return 0;
	if (ret == -ENOENT)
		return err_ret(ret,
			       "removing the VFs of %s: fourlane changed nothing here, its %u VFs "
			       "are somebody else's; "
			       "'fourlane vf create %s 0' takes them away all the same",
			       pf->name, pf->num_vfs, pf->name);
	if (ret < 0)
		return ret;
	ret = vf_any_holder(e, pf, 0, pf->num_vfs, "removing the VFs of");
	if (ret == 0)
		ret = put_back(e, pf, &r);
	if (ret == 0)
		ret = vf_record_drop(e, pf->id);
	vf_record_free(&r);
	return ret;
}

int vf_count_remove(const struct sriov_env *e, const char *name)
{
	struct sriov_pf pf;
	int lock = vf_lock(e), ret;

	if (lock < 0)
		return lock;
	ret = tenant_settle(e);
	if (ret == 0)
		ret = sriov_pf_find(e->v, name, &pf);
	if (ret == 0)
		ret = tenant_refuse(e, &pf, SRIOV_UNKNOWN, "removing the VFs of");
	if (ret == 0)
		ret = remove_locked(e, &pf);
	close(lock);
	return ret;
}
