/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's part of a made-up host (helper_sriov.h): VFs come and go with sriov_numvfs, drivers
 * with bind and unbind, and each PF's driver keeps the settings of its VFs in a table.
 */
#include "helper_sriov.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/paths.h"
#include "helper_vf_driver.h"

/* --- VFs ------------------------------------------------------------------ */
/* Like a real NIC's: offset 80h, stride 2. */
static void vf_bdf(const struct fake_pf *pf, unsigned int idx, char bdf[32])
{
	unsigned int bus = (unsigned int)strtoul(pf->id + 5, NULL, 16);
	unsigned int rid = (bus << 8) + 0x80 + 2 * idx;

	snprintf(bdf, 32, "0000:%02x:%02x.%x", rid >> 8 & 0xff, rid >> 3 & 0x1f, rid & 7);
}

static bool is_pci(const struct fake_pf *pf)
{
	char bdf[IOMMU_BDF_SIZE];

	return iommu_bdf_parse(pf->id, bdf) == 0;
}

const char *fake_vf_dir(const struct fake_pf *pf, unsigned int idx)
{
	static char dir[160];
	char bdf[32];

	vf_bdf(pf, idx, bdf);
	snprintf(dir, sizeof(dir), "%.*s/%s", (int)(strrchr(pf->dir, '/') - pf->dir), pf->dir, bdf);
	return dir;
}

static void vf_file(struct fake_nic *f, const struct fake_pf *pf, unsigned int idx,
		    const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", fake_vf_dir(pf, idx), file);
	fake_file(f, path, text);
}

static void group_leave(struct fake_nic *f, const struct fake_pf *pf, unsigned int idx)
{
	char path[PATH_MAX], group[32], bdf[32];

	vf_bdf(pf, idx, bdf);
	if (paths_link_name(group, sizeof(group), "%s/%s/iommu_group", f->sysfs,
			    fake_vf_dir(pf, idx)) < 0)
		return;
	snprintf(path, sizeof(path), "kernel/iommu_groups/%s/devices/%s", group, bdf);
	fake_remove(f, path);
}

void fake_group(struct fake_nic *f, const struct fake_pf *pf, unsigned int idx, unsigned int group)
{
	char path[256], to[64], bdf[32];

	group_leave(f, pf, idx);
	vf_bdf(pf, idx, bdf);
	snprintf(to, sizeof(to), "kernel/iommu_groups/%u", group);
	snprintf(path, sizeof(path), "%s/devices/%s", to, bdf);
	fake_link(f, path, fake_vf_dir(pf, idx));
	snprintf(path, sizeof(path), "%s/iommu_group", fake_vf_dir(pf, idx));
	fake_link(f, path, to);
}

void fake_vf_driver(struct fake_nic *f, const struct fake_pf *pf, unsigned int idx,
		    const char *driver)
{
	char path[256], to[128];

	snprintf(path, sizeof(path), "%s/driver", fake_vf_dir(pf, idx));
	fake_remove(f, path);
	if (!driver)
		return;
	snprintf(to, sizeof(to), "bus/pci/drivers/%s", driver);
	fake_link(f, path, to);
}

void fake_driver(struct fake_nic *f, unsigned int idx, const char *driver)
{
	fake_vf_driver(f, &f->pf[0], idx, driver);
}

static void make_vf(struct fake_nic *f, struct fake_pf *pf, unsigned int idx)
{
	char path[256], bdf[32];

	pf->vf[idx] =
		(struct vf_settings){ .known = VF_ALL, .proto = 0x8100, .spoof_check = is_pci(pf) };
	if (!is_pci(pf) || f->keep_vfs_hidden)
		return;
	vf_bdf(pf, idx, bdf);
	vf_file(f, pf, idx, "vendor", "0x8086");
	vf_file(f, pf, idx, "device", "0x10ca");
	vf_file(f, pf, idx, "class", "0x020000");
	vf_file(f, pf, idx, "reset", "");
	vf_file(f, pf, idx, "driver_override", "(null)");
	snprintf(path, sizeof(path), "%s/physfn", fake_vf_dir(pf, idx));
	fake_link(f, path, pf->dir);
	snprintf(path, sizeof(path), "%s/virtfn%u", pf->dir, idx);
	fake_link(f, path, fake_vf_dir(pf, idx));
	snprintf(path, sizeof(path), "bus/pci/devices/%s", bdf);
	fake_link(f, path, fake_vf_dir(pf, idx));
	fake_group(f, pf, idx, pf->first_group + idx);
}

static void remove_vf(struct fake_nic *f, struct fake_pf *pf, unsigned int idx)
{
	char path[256], bdf[32];

	if (!is_pci(pf))
		return;
	group_leave(f, pf, idx);
	vf_bdf(pf, idx, bdf);
	snprintf(path, sizeof(path), "bus/pci/devices/%s", bdf);
	fake_remove(f, path);
	snprintf(path, sizeof(path), "%s/virtfn%u", pf->dir, idx);
	fake_remove(f, path);
	fake_remove(f, fake_vf_dir(pf, idx));
}

/* --- writes to sysfs ------------------------------------------------------ */
static int write_numvfs(struct fake_nic *f, struct fake_pf *pf, unsigned int n)
{
	char path[160];

	if (n && *pf->n_vfs)
		return -EBUSY;
	if (n > pf->total)
		return -ERANGE;
	snprintf(path, sizeof(path), "%s/sriov_drivers_autoprobe", pf->dir);
	f->autoprobe_at_creation = (unsigned int)atoi(fake_read(f, path));
	for (unsigned int i = 0; i < *pf->n_vfs; i++)
		remove_vf(f, pf, i);
	for (unsigned int i = 0; i < n; i++)
		make_vf(f, pf, i);
	*pf->n_vfs = n;
	return 0;
}

void fake_vfs(struct fake_nic *f, struct fake_pf *pf, unsigned int n)
{
	char path[160], text[16];

	if (*pf->n_vfs)
		write_numvfs(f, pf, 0);
	if (write_numvfs(f, pf, n) < 0)
		abort();
	snprintf(path, sizeof(path), "%s/sriov_numvfs", pf->dir);
	snprintf(text, sizeof(text), "%u", n);
	fake_file(f, path, text);
}

/* A VF by the text that is written to bind and unbind. */
static struct fake_pf *find_vf(struct fake_nic *f, const char *bdf, unsigned int *idx)
{
	char is[32];

	for (unsigned int p = 0; p < f->n_pfs; p++)
		for (*idx = 0; is_pci(&f->pf[p]) && *idx < *f->pf[p].n_vfs; ++*idx) {
			vf_bdf(&f->pf[p], *idx, is);
			if (!strcmp(is, bdf))
				return &f->pf[p];
		}
	return NULL;
}

static int write_bind(struct fake_nic *f, const char *path, const char *text, bool bind)
{
	char driver[64];
	const char *end = strrchr(path, '/'), *start = end;
	unsigned int idx;
	struct fake_pf *pf = find_vf(f, text, &idx);

	if (!pf)
		return -ENODEV;
	while (start > path && start[-1] != '/')
		start--;
	snprintf(driver, sizeof(driver), "%.*s", (int)(end - start), start);
	fake_vf_driver(f, pf, idx, bind ? driver : NULL);
	return 0;
}

int fake_write(void *opaque, const char *path, const char *text)
{
	struct fake_nic *f = opaque;
	const char *file = strrchr(path, '/') + 1;
	int ret = 0;

	if (f->fail_file && !strcmp(file, f->fail_file) && f->fail_after-- == 0) {
		f->fail_file = NULL;
		return f->fail_errno;
	}
	if (!strcmp(file, "bind") || !strcmp(file, "unbind"))
		return write_bind(f, path, text, file[0] == 'b');
	if (!strcmp(file, "reset"))
		f->n_resets++;
	for (unsigned int p = 0; p < f->n_pfs && !strcmp(file, "sriov_numvfs"); p++)
		if (strstr(path, f->pf[p].dir))
			ret = write_numvfs(f, &f->pf[p], (unsigned int)atoi(text));
	return ret < 0 ? ret : paths_write(text, "%s", path);
}

/* --- settings ------------------------------------------------------------- */
static struct fake_pf *find_pf(struct fake_nic *f, unsigned int ifindex)
{
	for (unsigned int p = 0; p < f->n_pfs; p++)
		if (f->pf[p].ifindex == ifindex)
			return &f->pf[p];
	return NULL;
}

static int fake_vf_read(void *opaque, unsigned int ifindex, struct vf_table *out)
{
	struct fake_nic *f = opaque;
	const struct fake_pf *pf = find_pf(f, ifindex);
	unsigned int n = pf ? *pf->n_vfs : 0;

	if (!pf)
		return -ENODEV;
	f->n_reads++;
	out->announced = n;
	out->n = f->truncate_at && f->truncate_at < n ? f->truncate_at : n;
	out->vf = calloc(n + 1, sizeof(*out->vf));
	memcpy(out->vf, pf->vf, out->n * sizeof(*out->vf));
	return 0;
}

static int fake_vf_write(void *opaque, unsigned int ifindex, unsigned int vf, enum vf_setting s,
			 const struct vf_settings *to, char *why, size_t size)
{
	struct fake_nic *f = opaque;
	struct fake_pf *pf = find_pf(f, ifindex);

	if (!pf || vf >= *pf->n_vfs)
		return -EINVAL;
	if (s == f->refuse)
		return f->refuse_errno;
	f->n_writes++;
	if (f->ignore_writes)
		return 0;
	vf_driver_take(&pf->vf[vf], s, to);
	return 0;
}

const struct vf_ops fake_ops = { .read = fake_vf_read, .write = fake_vf_write };

int fake_default_routes(void *opaque, unsigned int *ifindex, size_t max)
{
	const struct fake_nic *f = opaque;

	if (!f->default_route || !max)
		return 0;
	ifindex[0] = f->default_route;
	return 1;
}
