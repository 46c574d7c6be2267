/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical functions in sysfs: finds a PF by netdev name or PCI address, numbers its VFs, lists
 * all. Called by the commands and by --nic vf. Kernel: Documentation/ABI/testing/sysfs-bus-pci
 * (sriov_*, virtfn*, physfn). Names from outside are checked before they become part of a path, and
 * links may not lead out of sysfs. Writes nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "sriov_priv.h"

bool sriov_netdev_ok(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < IFNAMSIZ && !strchr(name, '/') && strcmp(name, ".") &&
	       strcmp(name, "..");
}

int sriov_device_path(const struct host_view *v, const char *link, char out[PATH_MAX])
{
	char root[PATH_MAX];
	size_t len;

	if (!realpath(v->sysfs, root) || !realpath(link, out))
		return -errno;
	len = strlen(root);
	return !strncmp(out, root, len) && out[len] == '/' ? 0 : -EXDEV;
}

unsigned int sriov_read_number(const char *dir, const char *file)
{
	char line[32], *end;
	unsigned long n;

	if (paths_read_line(line, sizeof(line), "%s/%s", dir, file) <= 0)
		return SRIOV_UNKNOWN;
	errno = 0;
	n = strtoul(line, &end, 10);
	return errno || *end || line[0] == '-' || n >= SRIOV_UNKNOWN ? SRIOV_UNKNOWN
								     : (unsigned int)n;
}

unsigned int sriov_first_netdev(const char *dir, char name[IFNAMSIZ])
{
	char path[PATH_MAX];
	struct dirent **found = NULL;
	unsigned int n_netdevs = 0;
	int n;

	name[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/net", dir) >= sizeof(path))
		return 0;
	n = scandir(path, &found, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (sriov_netdev_ok(found[i]->d_name) && n_netdevs++ == 0)
			strcpy(name, found[i]->d_name);
		free(found[i]);
	}
	free(found);
	return n_netdevs;
}

/* The device folder of what the user called `name`; says why when there is none. */
static int pf_locate(const struct host_view *v, const char *name, char path[PATH_MAX],
		     char netdev[IFNAMSIZ])
{
	char bdf[IOMMU_BDF_SIZE], link[PATH_MAX];
	int ret;

	netdev[0] = '\0';
	if (iommu_bdf_parse(name, bdf) == 0) {
		snprintf(link, sizeof(link), "%s/bus/pci/devices/%s", v->sysfs, bdf);
	} else if (sriov_netdev_ok(name)) {
		snprintf(link, sizeof(link), "%s/class/net/%s", v->sysfs, name);
		if (access(link, F_OK) < 0)
			return err_ret(
				-ENOENT,
				"finding PF %s: there is no such netdev; see 'fourlane nics'",
				name);
		snprintf(link, sizeof(link), "%s/class/net/%s/device", v->sysfs, name);
		if (access(link, F_OK) < 0)
			return err_ret(
				-EOPNOTSUPP,
				"finding PF %s: it is a software netdev; name a NIC, see 'fourlane nics'",
				name);
		strcpy(netdev, name);
	} else {
		return err_ret(
			-EINVAL,
			"finding PF '%s': neither a netdev's name nor a PCI address; write lab0 or 0000:03:00.0",
			name);
	}
	ret = sriov_device_path(v, link, path);
	if (ret == -ENOENT)
		return err_ret(ret,
			       "finding PF %s: there is no such PCI function; see 'fourlane nics'",
			       name);
	return ret < 0 ? err_ret(ret, "finding PF %s: %s: %s; is %s a sysfs?", name, link,
				 strerror(-ret), v->sysfs)
		       : 0;
}

/* A device that is no PCI function has no sriov_totalvfs; netdevsim tells root in debugfs. */
static unsigned int pf_total(const struct host_view *v, const struct sriov_pf *pf)
{
	unsigned int n = sriov_read_number(pf->path, "sriov_totalvfs");
	char dir[PATH_MAX];

	if (n != SRIOV_UNKNOWN || pf->pci || !pf->driver[0] ||
	    (size_t)snprintf(dir, sizeof(dir), "%s/kernel/debug/%s/%s", v->sysfs, pf->driver,
			     pf->id) >= sizeof(dir))
		return n;
	return sriov_read_number(dir, "max_vfs");
}

/* Everything about the device in pf->path. No message. */
static int pf_load(const struct host_view *v, struct sriov_pf *pf)
{
	const char *base = strrchr(pf->path, '/');
	char bdf[IOMMU_BDF_SIZE];

	if (!base || strlen(base + 1) >= sizeof(pf->id))
		return -EINVAL;
	strcpy(pf->id, base + 1);
	pf->pci = iommu_bdf_parse(pf->id, bdf) == 0;
	if (paths_link_name(pf->driver, sizeof(pf->driver), "%s/driver", pf->path) < 0)
		pf->driver[0] = '\0';
	pf->num_vfs = sriov_read_number(pf->path, "sriov_numvfs");
	if (pf->num_vfs == SRIOV_UNKNOWN || pf->num_vfs > SRIOV_MAX_VFS)
		return -EOPNOTSUPP;
	pf->total_vfs = pf_total(v, pf);
	if (!pf->name[0] && sriov_first_netdev(pf->path, pf->name) == 0)
		return -ENXIO;
	pf->ifindex = 0;
	if (pf->name[0]) {
		char dir[PATH_MAX];

		/*
		 * through the device's own folder: the name cannot have moved to another device
		 * meanwhile
		 */
		if ((size_t)snprintf(dir, sizeof(dir), "%s/net/%s", pf->path, pf->name) >=
		    sizeof(dir))
			return -ENAMETOOLONG;
		pf->ifindex = sriov_read_number(dir, "ifindex");
	}
	return pf->ifindex == SRIOV_UNKNOWN ? -ENXIO : 0;
}

int sriov_pf_find(const struct host_view *v, const char *name, struct sriov_pf *pf)
{
	char link[PATH_MAX + 8];
	int ret;

	memset(pf, 0, sizeof(*pf));
	ret = pf_locate(v, name, pf->path, pf->name);
	if (ret < 0)
		return ret;
	snprintf(link, sizeof(link), "%s/physfn", pf->path);
	if (access(link, F_OK) == 0)
		return err_ret(
			-EINVAL,
			"finding PF %s: it is a VF itself; name the PF it belongs to, see 'fourlane nics'",
			name);
	ret = pf_load(v, pf);
	if (ret == -ENXIO)
		return err_ret(
			-EOPNOTSUPP,
			"finding PF %s: it has no netdev (driver %s); bind it to its kernel driver",
			name, pf->driver[0] ? pf->driver : "none");
	if (ret < 0)
		return err_ret(
			-EOPNOTSUPP,
			"finding PF %s: it has no SR-IOV (no sriov_numvfs, driver %s); name another, see 'fourlane nics'",
			name, pf->driver[0] ? pf->driver : "none");
	return 0;
}

int sriov_vf_bdf(const struct sriov_pf *pf, unsigned int idx, char bdf[IOMMU_BDF_SIZE])
{
	char target[PATH_MAX];

	if (paths_link_name(target, sizeof(target), "%s/virtfn%u", pf->path, idx) < 0 ||
	    iommu_bdf_parse(target, bdf) < 0)
		return -ENOENT;
	return 0;
}

int sriov_pf_of_vf(const struct host_view *v, const char *bdf, struct sriov_pf *pf,
		   unsigned int *idx)
{
	char vf[IOMMU_BDF_SIZE], pf_bdf[64], is[IOMMU_BDF_SIZE];
	int ret;

	if (iommu_bdf_parse(bdf, vf) < 0)
		return err_ret(-EINVAL, "finding VF '%s': no PCI address; write it as 0000:03:10.0",
			       bdf);
	ret = paths_link_name(pf_bdf, sizeof(pf_bdf), "%s/bus/pci/devices/%s/physfn", v->sysfs, vf);
	if (ret < 0) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", v->sysfs, vf);
		if (access(path, F_OK) < 0)
			return err_ret(
				-ENOENT,
				"finding VF %s: there is no such PCI function; see 'fourlane nics'",
				vf);
		return err_ret(
			-EINVAL,
			"finding VF %s: it is no virtual function; use --nic vfio,host=%s for a whole device",
			vf, vf);
	}
	ret = sriov_pf_find(v, pf_bdf, pf);
	if (ret < 0)
		return ret;
	for (*idx = 0; *idx < pf->num_vfs; ++*idx)
		if (sriov_vf_bdf(pf, *idx, is) == 0 && !strcmp(is, vf))
			return 0;
	return err_ret(
		-ENOENT,
		"finding VF %s: its PF %s does not list it; was the number of VFs just changed?",
		vf, pf->name);
}

static int pf_by_name(const void *a, const void *b)
{
	return strcmp(((const struct sriov_pf *)a)->name, ((const struct sriov_pf *)b)->name);
}

int sriov_pfs(const struct host_view *v, struct sriov_pf **out)
{
	char dir[PATH_MAX], link[PATH_MAX + 300];
	struct sriov_pf *all = NULL;
	struct dirent *de;
	size_t n = 0;
	DIR *d;

	*out = NULL;
	snprintf(dir, sizeof(dir), "%s/class/net", v->sysfs);
	d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((de = readdir(d))) {
		struct sriov_pf pf = { 0 }, *grown;

		snprintf(link, sizeof(link), "%s/%s/device", dir, de->d_name);
		if (!sriov_netdev_ok(de->d_name) || sriov_device_path(v, link, pf.path) < 0)
			continue;
		strcpy(pf.name, de->d_name);
		if (pf_load(v, &pf) < 0)
			continue;
		grown = realloc(all, (n + 1) * sizeof(*all));
		if (!grown) {
			free(all);
			closedir(d);
			return -ENOMEM;
		}
		all = grown;
		all[n++] = pf;
	}
	closedir(d);
	if (n)
		qsort(all, n, sizeof(*all), pf_by_name);
	*out = all;
	return (int)n;
}
