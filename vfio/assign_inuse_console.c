/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether somebody would sit before a dark screen: the display that shows the console or a desktop,
 * a USB controller with the console's keyboard, a serial line that the console runs over (on a PCI
 * card or behind USB). Kernel: Documentation/ABI/testing/sysfs-class-tty, sysfs-class-vtconsole,
 * /proc/bus/input/devices. Called by assign_inuse.c.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign_priv.h"
#include "core/paths.h"

#define CLASS_DISPLAY 0x03

/* /sys/class/CLASS/NAME lies below the function. */
static bool console_owns(const struct vfio_sys *s, const char *class_name, const char *name,
			 const char *function)
{
	char path[PATH_MAX], real[PATH_MAX];

	return (size_t)snprintf(path, sizeof(path), "%s/class/%s/%s", s->sysfs, class_name, name) <
		       sizeof(path) &&
	       realpath(path, real) && assign_below(real, function);
}

/* "ttyS4 tty0": the lines that the kernel's console goes to. */
static bool console_line(const struct vfio_sys *s, const char *function, char *why, size_t size)
{
	char all[256], *save = NULL;

	if (paths_read_line(all, sizeof(all), "%s/class/tty/console/active", s->sysfs) <= 0)
		return false;
	for (char *t = strtok_r(all, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		if (!console_owns(s, "tty", t, function))
			continue;
		snprintf(why, size, "the console runs over its line %.64s", t);
		return true;
	}
	return false;
}

/* A virtual console is drawn by a driver other than the dummy; `word` is in its name. */
static bool console_drawn(const struct vfio_sys *s, const char *word)
{
	char dir[PATH_MAX], name[128], bound[8];
	bool drawn = false;
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/class/vtconsole", s->sysfs);
	d = opendir(dir);
	while (d && !drawn && (e = readdir(d)))
		drawn = e->d_name[0] != '.' &&
			paths_read_line(bound, sizeof(bound), "%s/%s/bind", dir, e->d_name) > 0 &&
			bound[0] == '1' &&
			paths_read_line(name, sizeof(name), "%s/%s/name", dir, e->d_name) > 0 &&
			strstr(name, word) && !strstr(name, "dummy");
	if (d)
		closedir(d);
	return drawn;
}

/* The first entry of a class that begins with `prefix` and lies below the function. */
static bool console_first(const struct vfio_sys *s, const char *class_name, const char *prefix,
			  const char *function, char *name, size_t size)
{
	char dir[PATH_MAX];
	bool found = false;
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/class/%s", s->sysfs, class_name);
	d = opendir(dir);
	while (d && !found && (e = readdir(d))) {
		found = !strncmp(e->d_name, prefix, strlen(prefix)) &&
			console_owns(s, class_name, e->d_name, function);
		if (found)
			snprintf(name, size, "%.64s", e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

static bool console_display(const struct vfio_sys *s, const char *bdf, const char *function,
			    char *why, size_t size)
{
	char text[32], name[80], node[100];
	int pid = 0;

	assign_attr(s, bdf, "class", text, sizeof(text));
	if (strtoul(text, NULL, 16) >> 16 != CLASS_DISPLAY)
		return false;
	if (console_drawn(s, "frame buffer") &&
	    console_first(s, "graphics", "fb", function, name, sizeof(name))) {
		snprintf(why, size, "it shows the console (%s)", name);
		return true;
	}
	/* the firmware's frame buffer and VGA text belong to no driver of the card */
	assign_attr(s, bdf, "boot_vga", text, sizeof(text));
	if (text[0] == '1' && console_drawn(s, "")) {
		snprintf(why, size, "it shows the console (the firmware chose this display)");
		return true;
	}
	if (console_first(s, "drm", "card", function, name, sizeof(name))) {
		snprintf(node, sizeof(node), "/dev/dri/%.64s", name);
		node[strcspn(node, "-")] = '\0'; /* card0-HDMI-A-1 is a connector of card0 */
		pid = assign_opener(s->proc, node, "");
	}
	if (pid)
		snprintf(why, size, "process %d draws on it (%s)", pid, node);
	return pid != 0;
}

/* Blocks of lines "N: Name=", "S: Sysfs=/devices/...", "H: Handlers=sysrq kbd event0". */
static bool console_keyboard(const struct vfio_sys *s, const char *function, char *why, size_t size)
{
	char path[PATH_MAX], line[1024], name[128] = "", base[PATH_MAX];
	bool ours = false, found = false;
	FILE *f;

	if (!realpath(s->sysfs, base))
		return false;
	snprintf(path, sizeof(path), "%s/bus/input/devices", s->proc);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "N: Name=", 8)) {
			snprintf(name, sizeof(name), "%.120s", line + 8);
		} else if (!strncmp(line, "S: Sysfs=", 9)) {
			snprintf(path, sizeof(path), "%s%.1000s", base, line + 9);
			ours = assign_below(path, function);
		} else if (!strncmp(line, "H: Handlers=", 12)) {
			found = ours && strstr(line, "kbd");
		}
	}
	if (f)
		fclose(f);
	if (found)
		snprintf(why, size, "the console's keyboard %s hangs on it", name);
	return found;
}

bool assign_console_in_use(const struct vfio_sys *s, const char *bdf, const char *function,
			   char *why, size_t size)
{
	return console_line(s, function, why, size) ||
	       console_display(s, bdf, function, why, size) ||
	       console_keyboard(s, function, why, size);
}
