/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions that stay assigned across reboots (assign --persist): one small JSON file a function in
 * <state>/persist, by its PCI address and by what it is: vendor, device, subsystem, and the serial
 * number where it has that capability. vfio_restore() takes them again before networking starts,
 * and refuses when something else sits at the address. Called by assign.c and cmd_assign.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assign_priv.h"
#include "core/err.h"

#define CFG_SIZE   4096
#define CFG_EXT    0x100  /* PCIe 6.0, 7.6.3: extended capabilities begin here */
#define CAP_ID_DSN 0x0003 /* 7.9.3 Device Serial Number */
#define CAP_MAX    480    /* capabilities of 8 bytes that fit */

/* --- who it is ------------------------------------------------------------ */

static uint32_t keep_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The device's own words: each offset is checked, a list that runs in a circle ends. */
static void keep_serial(const uint8_t *cfg, size_t len, char *buf, size_t size)
{
	size_t at = CFG_EXT;

	buf[0] = '\0';
	for (int i = 0; i < CAP_MAX && at >= CFG_EXT && at + 12 <= len; i++) {
		uint32_t head = keep_le32(cfg + at);

		if (!head || head == UINT32_MAX)
			return;
		if ((head & 0xffff) == CAP_ID_DSN) {
			snprintf(buf, size, "%08x%08x", keep_le32(cfg + at + 8),
				 keep_le32(cfg + at + 4));
			return;
		}
		at = head >> 20 & ~3u;
	}
}

static void keep_ident(const struct vfio_sys *s, const char *bdf, struct assign_ident *id)
{
	uint8_t cfg[CFG_SIZE];
	char path[PATH_MAX];
	ssize_t n = 0;
	int fd;

	memset(id, 0, sizeof(*id));
	assign_attr(s, bdf, "vendor", id->vendor, sizeof(id->vendor));
	assign_attr(s, bdf, "device", id->device, sizeof(id->device));
	assign_attr(s, bdf, "subsystem_vendor", id->subsystem_vendor, sizeof(id->subsystem_vendor));
	assign_attr(s, bdf, "subsystem_device", id->subsystem_device, sizeof(id->subsystem_device));
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/config", s->sysfs, bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, cfg, sizeof(cfg));
	close(fd);
	if (n > 0)
		keep_serial(cfg, (size_t)n, id->serial, sizeof(id->serial));
}

static void keep_show(const struct assign_ident *id, char *buf, size_t size)
{
	snprintf(buf, size, "%s:%s (subsystem %s:%s, %s%s)", id->vendor, id->device,
		 id->subsystem_vendor[0] ? id->subsystem_vendor : "none", id->subsystem_device,
		 id->serial[0] ? "serial " : "no serial number", id->serial);
}

static bool keep_same_ident(const struct assign_ident *a, const struct assign_ident *b)
{
	return !strcmp(a->vendor, b->vendor) && !strcmp(a->device, b->device) &&
	       !strcmp(a->subsystem_vendor, b->subsystem_vendor) &&
	       !strcmp(a->subsystem_device, b->subsystem_device) && !strcmp(a->serial, b->serial);
}

int assign_keep_same(const struct vfio_sys *s, const char *bdf, const struct assign_kept *k)
{
	struct assign_ident now;
	char was[128], is[128];

	if (!assign_exists(s, bdf))
		return err_ret(-ENOENT,
			       "restoring %s: there is no such PCI function any more; put it back, "
			       "or forget it with 'fourlane unassign %s'",
			       bdf, bdf);
	keep_ident(s, bdf, &now);
	if (keep_same_ident(&now, &k->ident))
		return 0;
	keep_show(&k->ident, was, sizeof(was));
	keep_show(&now, is, sizeof(is));
	return err_ret(-EEXIST,
		       "restoring %s: another device is there now: kept was %s, found is %s; "
		       "'fourlane unassign %s' forgets it, 'fourlane assign ... --persist' keeps "
		       "the right one",
		       bdf, was, is, bdf);
}

/* --- files ---------------------------------------------------------------- */

static int keep_path(const struct vfio_sys *s, const char *bdf, char *buf, size_t size)
{
	return (size_t)snprintf(buf, size, "%s/persist/%s.json", s->state, bdf) >= size
		       ? -ENAMETOOLONG
		       : 0;
}

int assign_keep_load(const struct vfio_sys *s, const char *bdf, struct assign_kept *out)
{
	struct assign_ident *id = &out->ident;
	char path[PATH_MAX], name[IOMMU_BDF_SIZE];
	json_t *o;
	bool ok;

	memset(out, 0, sizeof(*out));
	if (keep_path(s, bdf, path, sizeof(path)) < 0)
		return -ENAMETOOLONG;
	if (access(path, F_OK) < 0)
		return -errno;
	o = json_load_file(path, 0, NULL);
	ok = o && assign_file_string(o, "bdf", name, sizeof(name)) && !strcmp(name, bdf) &&
	     assign_file_string(o, "vendor", id->vendor, sizeof(id->vendor)) &&
	     assign_file_string(o, "device", id->device, sizeof(id->device)) &&
	     assign_file_string(o, "subsystem_vendor", id->subsystem_vendor,
				sizeof(id->subsystem_vendor)) &&
	     assign_file_string(o, "subsystem_device", id->subsystem_device,
				sizeof(id->subsystem_device)) &&
	     assign_file_string(o, "serial", id->serial, sizeof(id->serial)) &&
	     assign_file_string(o, "driver", out->driver, sizeof(out->driver)) &&
	     !strchr(out->driver, '/');
	json_decref(o);
	if (!ok)
		return err_ret(-EINVAL, "reading %s: it does not say what %s is; remove it", path,
			       bdf);
	return 0;
}

/* The driver that it has, or had before it was assigned. */
static void keep_driver(const struct vfio_sys *s, const char *bdf, char *buf, size_t size)
{
	struct assign_record r;

	if (assign_record_valid(s, bdf, &r) == 0) {
		snprintf(buf, size, "%s", r.driver);
		return;
	}
	assign_driver(s, bdf, buf, size);
	if (iommu_driver_is_vfio(buf))
		buf[0] = '\0';
}

static int keep_write(const struct assign *a, const char *path, const char *text)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/persist", a->s->state);
	if (!(a->flags & VFIO_ASSIGN_DRY_RUN) && mkdir(dir, 0750) < 0 && errno != EEXIST)
		return -errno;
	return assign_file_store(a, path, text);
}

int assign_keep_store(const struct assign *a, const char *bdf)
{
	char path[PATH_MAX] = "", driver[64], *text;
	struct assign_ident id;
	int ret = -ENOMEM;
	json_t *o;

	keep_ident(a->s, bdf, &id);
	keep_driver(a->s, bdf, driver, sizeof(driver));
	o = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "version", 1, "bdf", bdf,
		      "vendor", id.vendor, "device", id.device, "subsystem_vendor",
		      id.subsystem_vendor, "subsystem_device", id.subsystem_device, "serial",
		      id.serial, "driver", driver);
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (text)
		ret = keep_path(a->s, bdf, path, sizeof(path));
	if (ret == 0)
		ret = keep_write(a, path, text);
	free(text);
	if (ret < 0)
		return err_ret(ret,
			       "keeping %s in %s/persist: %s; it is assigned until the next "
			       "reboot only, make room or check the folder's owner and repeat",
			       bdf, a->s->state, strerror(-ret));
	return 0;
}

int assign_keep_drop(const struct assign *a, const char *bdf)
{
	char path[PATH_MAX];
	int ret = keep_path(a->s, bdf, path, sizeof(path));

	if (ret == 0)
		ret = assign_file_drop(a, path);
	if (ret < 0)
		return err_ret(ret, "removing %s: %s; remove it by hand", path, strerror(-ret));
	return 0;
}

/* --- taking them again ---------------------------------------------------- */

static int keep_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

int vfio_kept(const struct vfio_sys *s, char (**out)[IOMMU_BDF_SIZE], size_t *n)
{
	char dir[PATH_MAX], name[64], bdf[IOMMU_BDF_SIZE];
	struct dirent *e;
	int ret = 0;
	DIR *d;

	*out = NULL;
	*n = 0;
	snprintf(dir, sizeof(dir), "%s/persist", s->state);
	d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0
				       : err_ret(-errno, "reading %s: %s; run as root", dir,
						 strerror(errno));
	while (ret == 0 && (e = readdir(d))) {
		char(*grown)[IOMMU_BDF_SIZE];
		size_t len = strlen(e->d_name);

		if (len < 6 || len >= sizeof(name) || strcmp(e->d_name + len - 5, ".json"))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)len - 5, e->d_name);
		if (iommu_bdf_parse(name, bdf) < 0 || strcmp(name, bdf))
			continue;
		grown = realloc(*out, (*n + 1) * sizeof(*grown));
		if (!grown) {
			ret = err_ret(-ENOMEM, "reading %s: out of memory; free some", dir);
			break;
		}
		*out = grown;
		memcpy(grown[(*n)++], bdf, sizeof(bdf));
	}
	closedir(d);
	if (*n)
		qsort(*out, *n, sizeof(**out), keep_cmp);
	return ret;
}

/* Those of one group, from list[from] on; done[] marks what has had its turn. */
static int keep_restore_group(const struct vfio_sys *s, char (*list)[IOMMU_BDF_SIZE], size_t n,
			      size_t from, bool *done, const char **words, unsigned int flags)
{
	int group = iommu_group_of(s->sysfs, list[from]), ret = 0;
	struct assign_kept k;
	size_t n_words = 0;

	for (size_t i = from; i < n; i++) {
		int one;

		if (done[i] ||
		    (i != from && (group < 0 || iommu_group_of(s->sysfs, list[i]) != group)))
			continue;
		done[i] = true;
		one = assign_keep_load(s, list[i], &k);
		if (one == 0)
			one = assign_keep_same(s, list[i], &k);
		if (one < 0 && ret == 0)
			ret = one;
		words[n_words++] = list[i];
	}
	return ret < 0 ? ret : vfio_assign(s, words, n_words, flags);
}

int vfio_restore(const struct vfio_sys *s, unsigned int flags)
{
	char(*list)[IOMMU_BDF_SIZE] = NULL;
	const char **words = NULL;
	bool *done = NULL;
	size_t n = 0;
	int first = vfio_kept(s, &list, &n);

	if (first == 0 && n) {
		words = calloc(n, sizeof(*words));
		done = calloc(n, sizeof(*done));
		if (!words || !done)
			first = -ENOMEM;
	}
	for (size_t i = 0; words && done && i < n; i++) {
		int ret = done[i] ? 0 : keep_restore_group(s, list, n, i, done, words, flags);

		if (ret < 0 && first == 0)
			first = ret; /* the other groups still have their turn */
	}
	free(list);
	free(words);
	free(done);
	return first;
}
