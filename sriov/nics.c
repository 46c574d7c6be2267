/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of NICs: every PCI function of class 02 (network) with its netdevs, also those that no
 * netdev shows because vfio-pci has them, and netdevs with SR-IOV whose device is no PCI function
 * (netdevsim). Called by `nics` and by `host`. All from sysfs, nothing is opened or changed; what a
 * file does not tell is null.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/paths.h"
#include "sriov_priv.h"

json_t *nic_json_text(const char *s)
{
	char clean[128];
	size_t i;

	for (i = 0; s[i] && i < sizeof(clean) - 1; i++)
		clean[i] = isprint((unsigned char)s[i]) ? s[i] : '?';
	clean[i] = '\0';
	return json_string(clean);
}

/* --- single facts ------------------------------------------------------- */
static json_t *fact_text(const char *dir, const char *file)
{
	char line[128];

	if (paths_read_line(line, sizeof(line), "%s/%s", dir, file) <= 0)
		return json_null();
	return nic_json_text(line);
}

static json_t *fact_number(const char *dir, const char *file)
{
	unsigned int n = sriov_read_number(dir, file);

	return n == SRIOV_UNKNOWN ? json_null() : json_integer(n);
}

static json_t *fact_link(const char *dir, const char *link)
{
	char name[64];

	return paths_link_name(name, sizeof(name), "%s/%s", dir, link) < 0 ? json_null()
									   : nic_json_text(name);
}

static unsigned int fact_hex(const char *dir, const char *file)
{
	char line[32];

	return paths_read_line(line, sizeof(line), "%s/%s", dir, file) <= 0
		       ? SRIOV_UNKNOWN
		       : (unsigned int)strtoul(line, NULL, 16);
}

/* --- parts of one entry ------------------------------------------------- */
static void add_ids(json_t *o, struct nic_names *names, const char *dir)
{
	unsigned int vendor = fact_hex(dir, "vendor"), device = fact_hex(dir, "device");
	char v[100], d[100], hex[8];

	nic_names_find(names, vendor, device, v, d, sizeof(v));
	snprintf(hex, sizeof(hex), "%04x", vendor & 0xffff);
	json_object_set_new(o, "vendor_id",
			    vendor == SRIOV_UNKNOWN ? json_null() : json_string(hex));
	snprintf(hex, sizeof(hex), "%04x", device & 0xffff);
	json_object_set_new(o, "device_id",
			    device == SRIOV_UNKNOWN ? json_null() : json_string(hex));
	json_object_set_new(o, "vendor", v[0] ? nic_json_text(v) : json_null());
	json_object_set_new(o, "device", d[0] ? nic_json_text(d) : json_null());
}

static void add_netdev(json_t *o, const char *dir, const char *netdev)
{
	char path[PATH_MAX + IFNAMSIZ + 8];

	json_object_set_new(o, "netdev", netdev ? nic_json_text(netdev) : json_null());
	snprintf(path, sizeof(path), "%s/net/%s", dir, netdev ? netdev : "");
	json_object_set_new(o, "mac", netdev ? fact_text(path, "address") : json_null());
	json_object_set_new(o, "link", netdev ? fact_text(path, "operstate") : json_null());
	json_object_set_new(o, "carrier",
			    netdev && sriov_read_number(path, "carrier") != SRIOV_UNKNOWN
				    ? json_boolean(sriov_read_number(path, "carrier") == 1)
				    : json_null());
	json_object_set_new(o, "speed_mbit", netdev ? fact_number(path, "speed") : json_null());
}

/*
 * Which VF of which PF. Its index is what the PF's links say, not arithmetic: ARI and offsets are
 * the kernel's business.
 */
static void add_physfn(json_t *o, const char *dir)
{
	char pf[PATH_MAX], real[PATH_MAX], is[PATH_MAX], path[PATH_MAX + 32], netdev[IFNAMSIZ] = "";
	unsigned int n, idx;

	snprintf(path, sizeof(path), "%s/physfn", dir);
	if (!realpath(path, pf) || !realpath(dir, real))
		return;
	sriov_first_netdev(pf, netdev);
	json_object_set_new(o, "pf", nic_json_text(strrchr(pf, '/') + 1));
	json_object_set_new(o, "pf_netdev", netdev[0] ? nic_json_text(netdev) : json_null());
	n = sriov_read_number(pf, "sriov_numvfs");
	for (idx = 0; n != SRIOV_UNKNOWN && idx < n && idx < SRIOV_MAX_VFS; idx++) {
		snprintf(path, sizeof(path), "%s/virtfn%u", pf, idx);
		if (!realpath(path, is) || strcmp(is, real))
			continue;
		json_object_set_new(o, "vf_index", json_integer(idx));
		return;
	}
}

static void add_lanes(json_t *o, bool group, bool sriov, bool vf)
{
	json_t *lanes = json_array();

	if (group && !vf)
		json_array_append_new(lanes, json_string("direct"));
	if (group && (sriov || vf))
		json_array_append_new(lanes, json_string("vf"));
	json_object_set_new(o, "lanes", lanes);
}

static json_t *nic_entry(struct nic_names *names, const char *dir, const char *netdev)
{
	char bdf[IOMMU_BDF_SIZE], path[PATH_MAX + 32], group[32];
	bool pci = iommu_bdf_parse(strrchr(dir, '/') + 1, bdf) == 0, vf, sriov, has_group;
	json_t *o = json_object();

	snprintf(path, sizeof(path), "%s/physfn", dir);
	vf = access(path, F_OK) == 0;
	sriov = sriov_read_number(dir, "sriov_numvfs") != SRIOV_UNKNOWN;
	has_group = paths_link_name(group, sizeof(group), "%s/iommu_group", dir) == 0;
	add_netdev(o, dir, netdev);
	json_object_set_new(o, "bdf", pci ? json_string(bdf) : json_null());
	json_object_set_new(o, "id", nic_json_text(strrchr(dir, '/') + 1));
	json_object_set_new(o, "kind", json_string(vf ? "vf" : sriov ? "pf" : "nic"));
	json_object_set_new(o, "pf", json_null());
	json_object_set_new(o, "pf_netdev", json_null());
	json_object_set_new(o, "vf_index", json_null());
	if (vf)
		add_physfn(o, dir);
	json_object_set_new(o, "driver", fact_link(dir, "driver"));
	add_ids(o, names, dir);
	json_object_set_new(o, "iommu_group", has_group ? json_integer(atoi(group)) : json_null());
	json_object_set_new(o, "numa_node", fact_number(dir, "numa_node")); /* -1: none */
	json_object_set_new(o, "total_vfs", fact_number(dir, "sriov_totalvfs"));
	json_object_set_new(o, "num_vfs", fact_number(dir, "sriov_numvfs"));
	add_lanes(o, has_group, sriov, vf);
	return o;
}

/* --- walks -------------------------------------------------------------- */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*a)->d_name, (*b)->d_name);
}

/* One entry for each netdev in dir/net; gives how many. */
static unsigned int add_with_netdevs(json_t *all, struct nic_names *names, const char *dir)
{
	char path[PATH_MAX + 8];
	struct dirent **found = NULL;
	unsigned int n_netdevs = 0;
	int n;

	snprintf(path, sizeof(path), "%s/net", dir);
	n = scandir(path, &found, NULL, by_name);
	for (int i = 0; i < n; i++) {
		if (sriov_netdev_ok(found[i]->d_name)) {
			json_array_append_new(all, nic_entry(names, dir, found[i]->d_name));
			n_netdevs++;
		}
		free(found[i]);
	}
	free(found);
	return n_netdevs;
}

/*
 * A virtio function has its netdev one folder further down: the name goes into an entry of the
 * function.
 */
static void fill_virtio(json_t *o, const char *dir)
{
	char sub[PATH_MAX + 300], netdev[IFNAMSIZ];
	struct dirent *de;
	DIR *d = opendir(dir);

	while (d && (de = readdir(d))) {
		if (strncmp(de->d_name, "virtio", 6))
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", dir, de->d_name);
		if (sriov_first_netdev(sub, netdev)) {
			add_netdev(o, sub, netdev);
			break;
		}
	}
	if (d)
		closedir(d);
}

static void add_function(json_t *all, const struct host_view *v, struct nic_names *names,
			 const char *bdf)
{
	char link[PATH_MAX], dir[PATH_MAX], class[16];

	snprintf(link, sizeof(link), "%s/bus/pci/devices/%s", v->sysfs, bdf);
	if (sriov_device_path(v, link, dir) < 0 ||
	    paths_read_line(class, sizeof(class), "%s/class", dir) < 4 || strncmp(class, "0x02", 4))
		return;
	if (add_with_netdevs(all, names, dir) == 0) {
		json_t *o = nic_entry(names, dir, NULL);

		fill_virtio(o, dir);
		json_array_append_new(all, o);
	}
}

static void add_functions(json_t *all, const struct host_view *v, struct nic_names *names)
{
	char path[PATH_MAX];
	struct dirent **found = NULL;
	int n;

	snprintf(path, sizeof(path), "%s/bus/pci/devices", v->sysfs);
	n = scandir(path, &found, NULL, by_name);
	for (int i = 0; i < n; i++) {
		if (found[i]->d_name[0] != '.')
			add_function(all, v, names, found[i]->d_name);
		free(found[i]);
	}
	free(found);
}

static void add_others(json_t *all, const struct host_view *v, struct nic_names *names)
{
	struct sriov_pf *pfs;
	int n = sriov_pfs(v, &pfs);

	for (int i = 0; i < n; i++)
		if (!pfs[i].pci)
			json_array_append_new(all, nic_entry(names, pfs[i].path, pfs[i].name));
	free(pfs);
}

json_t *nics_list(const struct host_view *v)
{
	struct nic_names *names = nic_names_open();
	json_t *all = json_array();

	add_functions(all, v, names);
	add_others(all, v, names);
	nic_names_close(names);
	return all;
}
