/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the host needs a PCI function: asked by vfio_assign() before it takes one away. Networks
 * by sysfs (class/net), /proc/net and interface addresses; disks by /proc/self/mountinfo and
 * /proc/swaps, followed through device mapper, RAID and NVMe multipath down to the function.
 * Interfaces in another network namespace and disks of running guests are not seen.
 */
#include "assign_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/paths.h"

#define STACK_DEPTH 8 /* block devices on block devices */

/* First entry of a folder that begins with prefix; false when there is none. */
static bool inuse_dir_has(const char *dir, const char *prefix, char *name, size_t size)
{
	struct dirent *e;
	bool found = false;
	DIR *d = opendir(dir);

	while (d && !found && (e = readdir(d))) {
		if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)))
			continue;
		found = true;
		snprintf(name, size, "%.63s", e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

/* --- networks ------------------------------------------------------------- */

/* A line of /proc/net/route or ipv6_route that names the interface; link-local and multicast IPv6
 * routes come by themselves. */
static bool inuse_route(const struct vfio_sys *s, const char *file, const char *ifname)
{
	char path[PATH_MAX], line[512], dst[64], dev[64];
	bool v6 = !strcmp(file, "ipv6_route"), found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/net/%s", s->proc, file);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		if (v6) {
			if (sscanf(line, "%63s %*s %*s %*s %*s %*s %*s %*s %*s %63s", dst, dev) !=
			    2)
				continue;
			found = !strcmp(dev, ifname) && strncmp(dst, "fe80", 4) &&
				strncmp(dst, "ff", 2);
		} else {
			found = sscanf(line, "%63s", dev) == 1 && !strcmp(dev, ifname);
		}
	}
	if (f)
		fclose(f);
	return found;
}

static bool inuse_netdev(const struct vfio_sys *s, const char *dir, const char *ifname, char *why,
			 size_t size)
{
	char path[PATH_MAX], upper[64];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, ifname) >= sizeof(path))
		return false;
	if (inuse_dir_has(path, "master", upper, sizeof(upper)) &&
	    paths_link_name(upper, sizeof(upper), "%s/master", path) == 0)
		snprintf(why, size, "its network interface %s is part of %s", ifname, upper);
	else if (inuse_dir_has(path, "upper_", upper, sizeof(upper)))
		snprintf(why, size, "its network interface %s is below %s", ifname,
			 upper + strlen("upper_"));
	else if (s->has_address && s->has_address(s->opaque, ifname))
		snprintf(why, size, "its network interface %s has an address", ifname);
	else if (inuse_route(s, "route", ifname) || inuse_route(s, "ipv6_route", ifname))
		snprintf(why, size, "its network interface %s carries a route", ifname);
	else
		return false;
	return true;
}

/* The interfaces in a folder "net". */
static bool inuse_netdevs(const struct vfio_sys *s, const char *dir, char *why, size_t size)
{
	struct dirent *e;
	bool used = false;
	DIR *d = opendir(dir);

	while (d && !used && (e = readdir(d)))
		used = e->d_name[0] != '.' && inuse_netdev(s, dir, e->d_name, why, size);
	if (d)
		closedir(d);
	return used;
}

/* Interfaces of the function itself, and of a device on it (virtio0/net): real folders, no links.
 */
static bool inuse_net(const struct vfio_sys *s, const char *bdf, char *why, size_t size)
{
	char path[PATH_MAX], sub[PATH_MAX];
	struct dirent *e;
	bool used;
	DIR *d;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/net", s->sysfs, bdf);
	used = inuse_netdevs(s, path, why, size);
	*strrchr(path, '/') = '\0';
	d = opendir(path);
	while (d && !used && (e = readdir(d))) {
		if (e->d_name[0] == '.' || e->d_type != DT_DIR || !strcmp(e->d_name, "net") ||
		    (size_t)snprintf(sub, sizeof(sub), "%s/%s/net", path, e->d_name) >= sizeof(sub))
			continue;
		used = inuse_netdevs(s, sub, why, size);
	}
	if (d)
		closedir(d);
	return used;
}

/* --- disks ---------------------------------------------------------------- */

static bool inuse_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (path[n] == '/' || !path[n]);
}

static bool inuse_block_on(const char *block, const char *function, int depth);

/* Whether one of the links in a folder (prefix "" for all) leads to a block device on the function,
 * or to the function's own controller. */
static bool inuse_links_on(const char *dir, const char *prefix, const char *function, int depth)
{
	char path[PATH_MAX], real[PATH_MAX];
	struct dirent *e;
	bool on = false;
	DIR *d = opendir(dir);

	while (d && !on && (e = readdir(d))) {
		if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)))
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= sizeof(path) ||
		    !realpath(path, real))
			continue;
		on = inuse_block_on(real, function, depth + 1);
	}
	if (d)
		closedir(d);
	return on;
}

/* block and function are real paths in sysfs. A block device lies below its controller, or on
 * others: slaves/, or an NVMe subsystem's controllers. */
static bool inuse_block_on(const char *block, const char *function, int depth)
{
	char dir[PATH_MAX], *slash;

	if (inuse_below(block, function))
		return true;
	if (depth >= STACK_DEPTH ||
	    (size_t)snprintf(dir, sizeof(dir), "%s/slaves", block) >= sizeof(dir))
		return false;
	if (inuse_links_on(dir, "", function, depth))
		return true;
	snprintf(dir, sizeof(dir), "%s", block);
	/* a partition lies in its disk's folder, the disk in its subsystem's */
	for (int up = 0; up < 2 && (slash = strrchr(dir, '/')); up++) {
		*slash = '\0';
		slash = strrchr(dir, '/');
		if (slash && !strncmp(slash, "/nvme-subsys", 12) &&
		    inuse_links_on(dir, "nvme", function, STACK_DEPTH - 1))
			return true;
	}
	return false;
}

/* Real path of a block device in sysfs by its number, or by its name below /dev for file systems
 * without a number of their own. */
static bool inuse_block_path(const struct vfio_sys *s, const char *number, const char *source,
			     char real[PATH_MAX])
{
	char path[PATH_MAX], dev[PATH_MAX];
	const char *name = strrchr(source, '/');

	snprintf(path, sizeof(path), "%s/dev/block/%s", s->sysfs, number);
	if (number[0] && strncmp(number, "0:", 2) && realpath(path, real))
		return true;
	if (strncmp(source, "/dev/", 5))
		return false;
	if (realpath(source, dev)) /* /dev/mapper/x -> /dev/dm-0 */
		name = strrchr(dev, '/');
	snprintf(path, sizeof(path), "%s/class/block/%s", s->sysfs, name + 1);
	return realpath(path, real) != NULL;
}

static bool inuse_mounted(const struct vfio_sys *s, const char *function, char *why, size_t size)
{
	char path[PATH_MAX], line[4096], number[32], where[1024], source[1024], real[PATH_MAX],
		*dash;
	bool used = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/self/mountinfo", s->proc);
	f = fopen(path, "re");
	while (f && !used && fgets(line, sizeof(line), f)) {
		dash = strstr(line, " - ");
		if (!dash || sscanf(line, "%*s %*s %31s %*s %1023s", number, where) != 2 ||
		    sscanf(dash + 3, "%*s %1023s", source) != 1)
			continue;
		used = inuse_block_path(s, number, source, real) &&
		       inuse_block_on(real, function, 0);
		if (used)
			snprintf(why, size, "its disk %s is mounted on %.200s",
				 strrchr(real, '/') + 1, where);
	}
	if (f)
		fclose(f);
	return used;
}

static bool inuse_swapped(const struct vfio_sys *s, const char *function, char *why, size_t size)
{
	char path[PATH_MAX], line[1024], source[512], real[PATH_MAX];
	bool used = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/swaps", s->proc);
	f = fopen(path, "re");
	while (f && !used && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%511s", source) != 1)
			continue;
		used = inuse_block_path(s, "", source, real) && inuse_block_on(real, function, 0);
		if (used)
			snprintf(why, size, "its disk %s is used for swapping",
				 strrchr(real, '/') + 1);
	}
	if (f)
		fclose(f);
	return used;
}

bool assign_in_use(const struct vfio_sys *s, const char *bdf, char *why, size_t size)
{
	char path[PATH_MAX], function[PATH_MAX], line[32];

	if (paths_read_line(line, sizeof(line), "%s/bus/pci/devices/%s/sriov_numvfs", s->sysfs,
			    bdf) > 0 &&
	    atoi(line) > 0) {
		snprintf(why, size, "it has %d virtual functions", atoi(line));
		return true;
	}
	if (inuse_net(s, bdf, why, size))
		return true;
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", s->sysfs, bdf);
	if (!realpath(path, function))
		return false;
	return inuse_mounted(s, function, why, size) || inuse_swapped(s, function, why, size);
}
