/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record of a function that vfio_assign() takes from its driver: one small JSON file a function
 * in <state>, written before anything is changed and dropped when everything is back. It survives
 * kill -9 and power loss; one of an earlier boot is not believed, because sysfs starts afresh.
 * Called by assign.c only.
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

static int record_path(const struct vfio_sys *s, const char *bdf, const char *suffix, char *buf,
		       size_t size)
{
	return (size_t)snprintf(buf, size, "%s/%s.json%s", s->state, bdf, suffix) >= size
		       ? -ENAMETOOLONG
		       : 0;
}

static bool record_string(const json_t *o, const char *key, char *buf, size_t size)
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
	if (record_path(s, bdf, "", path, sizeof(path)) < 0)
		return -ENAMETOOLONG;
	if (access(path, F_OK) < 0)
		return -errno;
	o = json_load_file(path, 0, &e);
	ok = o && record_string(o, "bdf", out->bdf, sizeof(out->bdf)) &&
	     record_string(o, "driver", out->driver, sizeof(out->driver)) &&
	     record_string(o, "driver_override", out->override, sizeof(out->override)) &&
	     record_string(o, "vendor", out->vendor, sizeof(out->vendor)) &&
	     record_string(o, "device", out->device, sizeof(out->device)) &&
	     record_string(o, "boot_id", out->boot_id, sizeof(out->boot_id)) &&
	     !strcmp(out->bdf, bdf) && !strchr(out->driver, '/');
	json_decref(o);
	if (!ok)
		return err_ret(-EINVAL, "reading %s: not a record of %s; look at it and remove it",
			       path, bdf);
	return 0;
}

static int record_sync_dir(const struct vfio_sys *s)
{
	int fd = open(s->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int record_write(const char *path, const char *text)
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

int assign_record_store(const struct vfio_sys *s, const struct assign_record *r)
{
	char path[PATH_MAX] = "", tmp[PATH_MAX] = "";
	json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "version", 1, "bdf", r->bdf,
			      "driver", r->driver, "driver_override", r->override, "vendor",
			      r->vendor, "device", r->device, "boot_id", r->boot_id);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	int ret = -ENOMEM;

	json_decref(o);
	if (text)
		ret = record_path(s, r->bdf, "", path, sizeof(path));
	if (ret == 0)
		ret = record_path(s, r->bdf, ".tmp", tmp, sizeof(tmp));
	if (ret == 0)
		ret = record_write(tmp, text);
	if (ret == 0 && rename(tmp, path) < 0)
		ret = -errno;
	if (ret == 0)
		ret = record_sync_dir(s);
	free(text);
	if (ret < 0)
		return err_ret(ret,
			       "recording the driver of %s in %s: %s; nothing was changed, make "
			       "room or check the folder's owner",
			       r->bdf, s->state, strerror(-ret));
	return 0;
}

int assign_record_drop(const struct vfio_sys *s, const char *bdf)
{
	char path[PATH_MAX];
	int ret = record_path(s, bdf, "", path, sizeof(path));

	if (ret == 0 && unlink(path) < 0 && errno != ENOENT)
		ret = -errno;
	if (ret == 0)
		ret = record_sync_dir(s);
	if (ret < 0)
		return err_ret(ret, "removing the record of %s in %s: %s; remove it by hand", bdf,
			       s->state, strerror(-ret));
	return 0;
}
