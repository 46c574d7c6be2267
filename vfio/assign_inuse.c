/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the host needs a PCI function: asked by assign_check.c before it is taken away. Here its
 * network interfaces, with what is stacked on them (bridge, bond, VLAN, macvlan: sysfs' upper_*
 * links); disks are in assign_inuse_disk.c, displays, keyboards and lines of the console in
 * assign_inuse_console.c. Interfaces below the function are found at any depth (virtio0/net, a NIC
 * on a USB controller). One that was moved to another network namespace cannot be looked at and
 * counts as used.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign_priv.h"
#include "core/paths.h"

#define STACK_DEPTH 8 /* interfaces on interfaces */

bool assign_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (path[n] == '/' || !path[n]);
}

/* Whether an interface is used by itself: what is wrong with it as a phrase, or NULL. */
static const char *inuse_itself(const struct vfio_sys *s, const char *ifname)
{
	int address = s->has_address ? s->has_address(s->opaque, ifname) : 0;
	int route = s->has_route ? s->has_route(s->opaque, ifname) : 0;

	if (address > 0)
		return "has an address";
	if (route > 0)
		return "carries a route";
	return address < 0 || route < 0 ? "cannot be asked for its addresses and routes" : NULL;
}

/* The interface, then what is stacked on it; `path` is its folder. `why` is a phrase to stand after
 * the interface's name. An upper one that has no address either still carries somebody's frames. */
static bool inuse_stack(const struct vfio_sys *s, const char *path, const char *ifname, int depth,
			char *why, size_t size)
{
	const char *itself = inuse_itself(s, ifname);
	char upper[PATH_MAX], above[256];
	bool used = false, told = false;
	struct dirent *e;
	DIR *d;

	if (itself) {
		snprintf(why, size, "%s", itself);
		return true;
	}
	d = depth < STACK_DEPTH ? opendir(path) : NULL;
	while (d && !told && (e = readdir(d))) {
		if (strncmp(e->d_name, "upper_", 6) ||
		    (size_t)snprintf(upper, sizeof(upper), "%s/%s", path, e->d_name) >=
			    sizeof(upper))
			continue;
		told = inuse_stack(s, upper, e->d_name + 6, depth + 1, above, sizeof(above));
		if (told)
			snprintf(why, size, "is below %.64s, which %s", e->d_name + 6, above);
		else if (!used)
			snprintf(why, size, "is below %.64s", e->d_name + 6);
		used = true;
	}
	if (d)
		closedir(d);
	return used;
}

static bool inuse_net(const struct vfio_sys *s, const char *function, char *why, size_t size)
{
	char dir[PATH_MAX], path[PATH_MAX], real[PATH_MAX], what[400];
	bool used = false;
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/class/net", s->sysfs);
	d = opendir(dir);
	while (d && !used && (e = readdir(d))) {
		if (e->d_name[0] == '.' ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= sizeof(path) ||
		    !realpath(path, real) || !assign_below(real, function))
			continue;
		used = inuse_stack(s, real, e->d_name, 0, what, sizeof(what));
		if (used)
			snprintf(why, size, "its network interface %.64s %s", e->d_name, what);
	}
	if (d)
		closedir(d);
	return used;
}

/* The folder "net" is there as long as the driver has an interface, and shows those of our network
 * namespace. */
static bool inuse_net_elsewhere(const char *function, char *why, size_t size)
{
	char path[PATH_MAX];
	bool empty = true;
	struct dirent *e;
	DIR *d;

	if ((size_t)snprintf(path, sizeof(path), "%s/net", function) >= sizeof(path))
		return false;
	d = opendir(path);
	if (!d)
		return false;
	while (empty && (e = readdir(d)))
		empty = e->d_name[0] == '.';
	closedir(d);
	if (empty)
		snprintf(why, size,
			 "its network interface is in another network namespace (a container's)");
	return empty;
}

bool assign_in_use(const struct vfio_sys *s, const char *bdf, char *why, size_t size)
{
	char path[PATH_MAX], function[PATH_MAX], line[32];

	assign_attr(s, bdf, "sriov_numvfs", line, sizeof(line));
	if (atoi(line) > 0) {
		snprintf(why, size, "it has %d virtual functions", atoi(line));
		return true;
	}
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", s->sysfs, bdf);
	if (!realpath(path, function))
		return false;
	return inuse_net(s, function, why, size) || inuse_net_elsewhere(function, why, size) ||
	       assign_disk_in_use(s, function, why, size) ||
	       assign_console_in_use(s, bdf, function, why, size);
}
