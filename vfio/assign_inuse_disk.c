/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the disks of a PCI function are in use: mounted (/proc/self/mountinfo), swapped to
 * (/proc/swaps), both followed through device mapper, RAID and NVMe multipath down to the function;
 * part of another block device (holders/), claimed by the kernel for something else (a file system
 * of several disks, ZFS), or open in a process. Called by assign_inuse.c.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign_priv.h"
#include "core/paths.h"

#define STACK_DEPTH 8 /* block devices on block devices */

static bool disk_on(const char *block, const char *function, int depth);

/* Whether one of the links in a folder (prefix "" for all) leads to a block device on the function,
 * or to the function's own controller. */
static bool disk_links_on(const char *dir, const char *prefix, const char *function, int depth)
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
		on = disk_on(real, function, depth + 1);
	}
	if (d)
		closedir(d);
	return on;
}

/* block and function are real paths in sysfs. A block device lies below its controller, or on
 * others: slaves/, or an NVMe subsystem's controllers. */
static bool disk_on(const char *block, const char *function, int depth)
{
	char dir[PATH_MAX], *slash;

	if (assign_below(block, function))
		return true;
	if (depth >= STACK_DEPTH ||
	    (size_t)snprintf(dir, sizeof(dir), "%s/slaves", block) >= sizeof(dir))
		return false;
	if (disk_links_on(dir, "", function, depth))
		return true;
	snprintf(dir, sizeof(dir), "%s", block);
	/* a partition lies in its disk's folder, the disk in its subsystem's */
	for (int up = 0; up < 2 && (slash = strrchr(dir, '/')); up++) {
		*slash = '\0';
		slash = strrchr(dir, '/');
		if (slash && !strncmp(slash, "/nvme-subsys", 12) &&
		    disk_links_on(dir, "nvme", function, STACK_DEPTH - 1))
			return true;
	}
	return false;
}

/* Real path of a block device in sysfs by its number, or by its name below /dev for file systems
 * without a number of their own. */
static bool disk_path(const struct vfio_sys *s, const char *number, const char *source,
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

static bool disk_mounted(const struct vfio_sys *s, const char *function, char *why, size_t size)
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
		used = disk_path(s, number, source, real) && disk_on(real, function, 0);
		if (used)
			snprintf(why, size, "its disk %s is mounted on %.200s",
				 strrchr(real, '/') + 1, where);
	}
	if (f)
		fclose(f);
	return used;
}

static bool disk_swapped(const struct vfio_sys *s, const char *function, char *why, size_t size)
{
	char path[PATH_MAX], line[1024], source[512], real[PATH_MAX];
	bool used = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/swaps", s->proc);
	f = fopen(path, "re");
	while (f && !used && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%511s", source) != 1)
			continue;
		used = disk_path(s, "", source, real) && disk_on(real, function, 0);
		if (used)
			snprintf(why, size, "its disk %s is used for swapping",
				 strrchr(real, '/') + 1);
	}
	if (f)
		fclose(f);
	return used;
}

/* What is built on a disk: the first of its holders/. */
static bool disk_held(const char *real, char *why, size_t size)
{
	char dir[PATH_MAX], name[128] = "";
	struct dirent *e;
	bool held = false;
	DIR *d;

	if ((size_t)snprintf(dir, sizeof(dir), "%s/holders", real) >= sizeof(dir))
		return false;
	d = opendir(dir);
	while (d && !held && (e = readdir(d))) {
		held = e->d_name[0] != '.';
		if (held &&
		    paths_read_line(name, sizeof(name), "%s/%s/dm/name", dir, e->d_name) <= 0)
			name[0] = '\0';
		if (held)
			snprintf(why, size, "its disk %s is part of %.64s%s%s%s",
				 strrchr(real, '/') + 1, e->d_name, name[0] ? " (" : "", name,
				 name[0] ? ")" : "");
	}
	if (d)
		closedir(d);
	return held;
}

/* udev looks into a disk after each change of it, for a moment. */
static int disk_opener(const struct vfio_sys *s, const char *name)
{
	struct assign_wait w;
	char node[300];
	int pid;

	snprintf(node, sizeof(node), "/dev/%s", name);
	assign_wait_begin(&w, s->deadline_ms < 500 ? s->deadline_ms : 500);
	do
		pid = assign_opener(s->proc, node, "");
	while (pid && assign_wait_more(&w, "process %d is to close %s", pid, node));
	return pid;
}

static bool disk_itself(const struct vfio_sys *s, const char *real, char *why, size_t size)
{
	const char *name = strrchr(real, '/') + 1;
	char comm[32] = "";
	int claimed, pid;

	if (disk_held(real, why, size))
		return true;
	claimed = s->is_claimed ? s->is_claimed(s->opaque, name) : 0;
	if (claimed) {
		snprintf(why, size, "its disk %s %s", name,
			 claimed > 0 ? "is claimed by a file system or another device"
				     : "cannot be asked who uses it");
		return true;
	}
	pid = disk_opener(s, name);
	if (!pid)
		return false;
	paths_read_line(comm, sizeof(comm), "%s/%d/comm", s->proc, pid);
	snprintf(why, size, "process %d (%s) has its disk %s open", pid, comm, name);
	return true;
}

static bool disk_each(const struct vfio_sys *s, const char *function, char *why, size_t size)
{
	char dir[PATH_MAX], path[PATH_MAX], real[PATH_MAX];
	bool used = false;
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/class/block", s->sysfs);
	d = opendir(dir);
	while (d && !used && (e = readdir(d))) {
		if (e->d_name[0] == '.' ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= sizeof(path) ||
		    !realpath(path, real) || !disk_on(real, function, 0))
			continue;
		used = disk_itself(s, real, why, size);
	}
	if (d)
		closedir(d);
	return used;
}

bool assign_disk_in_use(const struct vfio_sys *s, const char *function, char *why, size_t size)
{
	return disk_mounted(s, function, why, size) || disk_swapped(s, function, why, size) ||
	       disk_each(s, function, why, size);
}
