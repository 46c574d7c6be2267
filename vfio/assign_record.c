/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record of a function that vfio_assign() takes from its driver: one small JSON file a function
 * in <state>, written before anything is changed and dropped when everything is back. It survives
 * kill -9 and power loss; one of an earlier boot is not believed, because sysfs starts afresh.
 * Called by the other files assign*.c; assign_keep.c stores its files the same way.
 */
#include "assign_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"

static int record_path(const struct vfio_sys *s, const char *bdf, char *buf, size_t size)
{
	return (size_t)snprintf(buf, size, "%s/%s.json", s->state, bdf) >= size ? -ENAMETOOLONG : 0;
}

bool assign_file_string(const json_t *o, const char *key, char *buf, size_t size)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v && (size_t)snprintf(buf, size, "%s", v) < size;
}

int assign_record_load(const struct vfio_sys *s, const char *bdf, struct assign_record *out)
{
	char path[PATH_MAX];
	json_error_t e;
	json_t *o;
	bool ok;

	memset(out, 0, sizeof(*out));
	if (record_path(s, bdf, path, sizeof(path)) < 0)
		return -ENAMETOOLONG;
	if (access(path, F_OK) < 0)
		return -errno;
	o = json_load_file(path, 0, &e);
	ok = o && assign_file_string(o, "bdf", out->bdf, sizeof(out->bdf)) &&
	     assign_file_string(o, "driver", out->driver, sizeof(out->driver)) &&
	     assign_file_string(o, "driver_override", out->override, sizeof(out->override)) &&
	     assign_file_string(o, "vendor", out->vendor, sizeof(out->vendor)) &&
	     assign_file_string(o, "device", out->device, sizeof(out->device)) &&
	     assign_file_string(o, "boot_id", out->boot_id, sizeof(out->boot_id)) &&
	     !strcmp(out->bdf, bdf) && !strchr(out->driver, '/');
	json_decref(o);
	if (!ok)
		return err_ret(-EINVAL, "reading %s: not a record of %s; look at it and remove it",
			       path, bdf);
	return 0;
}

/* --- durable files -------------------------------------------------------- */

static int file_sync_dir(const char *path)
{
	char dir[PATH_MAX];
	int fd, ret;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int file_write(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640), ret = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0 || (size_t)n != len)
		ret = n < 0 ? -errno : -ENOSPC;
	else if (fsync(fd) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int assign_file_store(const struct assign *a, const char *path, const char *text)
{
	char tmp[PATH_MAX];
	int ret;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
		return -ENAMETOOLONG;
	assign_tell(a, "store", path, text);
	if (a->flags & VFIO_ASSIGN_DRY_RUN)
		return 0;
	ret = file_write(tmp, text);
	if (ret == 0 && rename(tmp, path) < 0)
		ret = -errno;
	return ret < 0 ? ret : file_sync_dir(path);
}

int assign_file_drop(const struct assign *a, const char *path)
{
	if (access(path, F_OK) < 0)
		return errno == ENOENT ? 0 : -errno;
	assign_tell(a, "remove", path, "");
	if (a->flags & VFIO_ASSIGN_DRY_RUN)
		return 0;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return file_sync_dir(path);
}

/* --- the record ----------------------------------------------------------- */

static void record_identity(const struct vfio_sys *s, const char *bdf, struct assign_record *r)
{
	snprintf(r->bdf, sizeof(r->bdf), "%s", bdf);
	assign_attr(s, bdf, "vendor", r->vendor, sizeof(r->vendor));
	assign_attr(s, bdf, "device", r->device, sizeof(r->device));
	if (paths_read_line(r->boot_id, sizeof(r->boot_id), "%s/sys/kernel/random/boot_id",
			    s->proc) < 0)
		r->boot_id[0] = '\0';
}

int assign_record_valid(const struct vfio_sys *s, const char *bdf, struct assign_record *out)
{
	struct assign_record now = { 0 };
	int ret = assign_record_load(s, bdf, out);

	if (ret < 0)
		return ret;
	record_identity(s, bdf, &now);
	if (strcmp(now.vendor, out->vendor) || strcmp(now.device, out->device) ||
	    strcmp(now.boot_id, out->boot_id))
		return -ENOENT;
	return 0;
}

/*
 * An earlier run may have ended at any point: when driver_override is ours already, the recorded
 * one is the user's; when no driver is bound, the recorded one was. At boot, vfio_restore() may be
 * faster than the old driver: it is the one that the function had when it was first assigned.
 */
int assign_record_make(const struct vfio_sys *s, const char *bdf, struct assign_record *r)
{
	struct assign_record old;
	struct assign_kept kept;
	char driver[64], override[64];
	int ret = assign_record_valid(s, bdf, &old);

	if (ret < 0 && ret != -ENOENT)
		return ret;
	memset(r, 0, sizeof(*r));
	record_identity(s, bdf, r);
	assign_driver(s, bdf, driver, sizeof(driver));
	assign_override(s, bdf, override, sizeof(override));
	if (!driver[0] && ret == 0)
		snprintf(driver, sizeof(driver), "%s", old.driver);
	else if (!driver[0] && assign_keep_load(s, bdf, &kept) == 0)
		snprintf(driver, sizeof(driver), "%s", kept.driver);
	snprintf(r->driver, sizeof(r->driver), "%s", driver);
	snprintf(r->override, sizeof(r->override), "%s",
		 ret == 0 && !strcmp(override, VFIO_DRIVER) ? old.override : override);
	return 0;
}

int assign_record_store(const struct assign *a, const struct assign_record *r)
{
	char path[PATH_MAX] = "";
	json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "version", 1, "bdf", r->bdf,
			      "driver", r->driver, "driver_override", r->override, "vendor",
			      r->vendor, "device", r->device, "boot_id", r->boot_id);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	int ret = -ENOMEM;

	json_decref(o);
	if (text)
		ret = record_path(a->s, r->bdf, path, sizeof(path));
	if (ret == 0)
		ret = assign_file_store(a, path, text);
	free(text);
	if (ret < 0)
		return err_ret(ret,
			       "recording the driver of %s in %s: %s; nothing was changed, make "
			       "room or check the folder's owner",
			       r->bdf, a->s->state, strerror(-ret));
	return 0;
}

int assign_record_drop(const struct assign *a, const char *bdf)
{
	char path[PATH_MAX];
	int ret = record_path(a->s, bdf, path, sizeof(path));

	if (ret == 0)
		ret = assign_file_drop(a, path);
	if (ret < 0)
		return err_ret(ret, "removing the record of %s in %s: %s; remove it by hand", bdf,
			       a->s->state, strerror(-ret));
	return 0;
}
