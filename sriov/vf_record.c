/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a PF and its VFs were before fourlane changed them: one JSON file each, written before the
 * change it speaks of (written, synced, renamed, folder synced), read when things are put back. A
 * record of an earlier boot is void: a boot undoes all of it. Called by vf_count.c, vf_change.c and
 * --nic vf; the journal of tenants is something else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "sriov_priv.h"

#define RECORD_VERSION 1
#define RECORD_PATH    (PATH_MAX + 128)

static void record_path(const struct sriov_env *e, const char *name, const char *suffix,
			char path[RECORD_PATH])
{
	snprintf(path, RECORD_PATH, "%s/vf/%s.json%s", e->state_dir, name, suffix);
}

static bool record_name_ok(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) < SRIOV_ID_SIZE + 16;
}

void sriov_boot_id(const struct sriov_env *e, char *buf, size_t size)
{
	if (paths_read_line(buf, size, "%s/sys/kernel/random/boot_id", e->v->proc) < 0)
		snprintf(buf, size, "unknown");
}

void vf_record_free(struct vf_record *r)
{
	free(r->vf);
	memset(r, 0, sizeof(*r));
}

const struct vf_settings *vf_record_find(const struct vf_record *r, unsigned int idx)
{
	for (unsigned int i = 0; i < r->n; i++)
		if (r->vf[i].idx == idx)
			return &r->vf[i].s;
	return NULL;
}

int vf_record_note(struct vf_record *r, unsigned int idx, const struct vf_settings *s)
{
	struct vf_before *grown;

	if (vf_record_find(r, idx))
		return 0;
	grown = realloc(r->vf, (r->n + 1) * sizeof(*grown));
	if (!grown)
		return err_ret(-ENOMEM, "noting what VF %u of %s was: out of memory; free some",
			       idx, r->pf);
	r->vf = grown;
	r->vf[r->n++] = (struct vf_before){ .idx = idx, .s = *s };
	return 0;
}

/* --- reading ------------------------------------------------------------ */
static int record_vfs(const json_t *vfs, struct vf_record *r)
{
	const json_t *o;
	size_t i;

	json_array_foreach(vfs, i, o) {
		const json_t *idx = json_object_get(o, "index");
		struct vf_settings s;

		if (!json_is_integer(idx) || json_integer_value(idx) < 0 ||
		    json_integer_value(idx) > SRIOV_MAX_VFS || vf_settings_from_json(o, &s) < 0)
			return -EBADMSG;
		if (vf_record_note(r, (unsigned int)json_integer_value(idx), &s) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int record_parse(const struct sriov_env *e, const json_t *root, struct vf_record *r)
{
	const char *pf, *boot;
	const json_t *vfs;
	int version, num;
	char now[SRIOV_BOOT_ID_SIZE];

	if (json_unpack((json_t *)root, "{s:i, s:s, s:s, s:i, s:i, s:o}", "version", &version, "pf",
			&pf, "boot_id", &boot, "num_vfs", &num, "drivers_autoprobe", &r->autoprobe,
			"vfs", &vfs) < 0)
		return -EBADMSG;
	if (version != RECORD_VERSION || strlen(pf) >= sizeof(r->pf) || num < 0 ||
	    num > (int)SRIOV_MAX_VFS || r->autoprobe < -1 || r->autoprobe > 1 ||
	    !json_is_array(vfs))
		return -EBADMSG;
	sriov_boot_id(e, now, sizeof(now));
	if (strcmp(boot, now))
		return -ENOENT;
	strcpy(r->pf, pf);
	r->num_vfs = (unsigned int)num;
	return record_vfs(vfs, r);
}

bool vf_record_exists(const struct sriov_env *e, const char *name)
{
	char path[RECORD_PATH];

	record_path(e, name, "", path);
	return record_name_ok(name) && access(path, F_OK) == 0;
}

int vf_record_load(const struct sriov_env *e, const char *name, struct vf_record *r)
{
	char path[RECORD_PATH];
	json_error_t err;
	json_t *root;
	int ret;

	memset(r, 0, sizeof(*r));
	if (!record_name_ok(name))
		return -EINVAL;
	record_path(e, name, "", path);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return -ENOENT;
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &err);
	if (!root)
		return err_ret(-EBADMSG,
			       "reading %s: %s; put the VFs right by hand and remove the file",
			       path, err.text);
	ret = record_parse(e, root, r);
	json_decref(root);
	if (ret < 0)
		vf_record_free(r);
	if (ret == -EBADMSG)
		err_say("reading %s: not a record of this version; put the VFs right by hand and "
			"remove the file",
			path);
	return ret;
}

/* --- writing ------------------------------------------------------------ */
static json_t *record_json(const struct sriov_env *e, const struct vf_record *r)
{
	json_t *vfs = json_array(), *root;
	char boot[SRIOV_BOOT_ID_SIZE];

	sriov_boot_id(e, boot, sizeof(boot));
	for (unsigned int i = 0; i < r->n; i++) {
		json_t *o = json_pack("{s:i}", "index", (int)r->vf[i].idx);

		if (!o || vf_settings_to_json(&r->vf[i].s, o) < 0 ||
		    json_array_append(vfs, o) < 0) {
			json_decref(o);
			json_decref(vfs);
			return NULL;
		}
		json_decref(o);
	}
	root = json_pack("{s:i, s:s, s:s, s:i, s:i, s:o}", "version", RECORD_VERSION, "pf", r->pf,
			 "boot_id", boot, "num_vfs", (int)r->num_vfs, "drivers_autoprobe",
			 r->autoprobe, "vfs", vfs);
	return root;
}

static int sync_folder(const struct sriov_env *e)
{
	char dir[RECORD_PATH];
	int fd, ret;

	snprintf(dir, sizeof(dir), "%s/vf", e->state_dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int write_synced(const char *path, const char *text)
{
	size_t len = strlen(text), done = 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640), ret = 0;

	if (fd < 0)
		return -errno;
	while (done < len && ret == 0) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0)
			ret = -errno;
		else
			done += (size_t)n;
	}
	if (ret == 0 && fsync(fd) < 0)
		ret = -errno;
	if (close(fd) < 0 && ret == 0)
		ret = -errno;
	return ret;
}

int vf_record_save(const struct sriov_env *e, const char *name, const struct vf_record *r)
{
	char path[RECORD_PATH], tmp[RECORD_PATH], dir[RECORD_PATH];
	json_t *root;
	char *text;
	int ret;

	if (!record_name_ok(name))
		return -EINVAL;
	snprintf(dir, sizeof(dir), "%s/vf", e->state_dir);
	record_path(e, name, "", path);
	record_path(e, name, ".tmp", tmp);
	root = record_json(e, r);
	text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	if (!text)
		return err_ret(-ENOMEM, "writing %s: out of memory; free some", path);
	ret = mkdir(dir, 0750) < 0 && errno != EEXIST ? -errno : write_synced(tmp, text);
	if (ret == 0 && rename(tmp, path) < 0)
		ret = -errno;
	if (ret == 0)
		ret = sync_folder(e);
	free(text);
	if (ret == 0)
		return 0;
	unlink(tmp);
	return err_ret(
		ret,
		"writing %s: %s; nothing was changed; make room or give the right to write there",
		path, strerror(-ret));
}

int vf_record_drop(const struct sriov_env *e, const char *name)
{
	char path[RECORD_PATH];
	int ret;

	if (!record_name_ok(name))
		return -EINVAL;
	record_path(e, name, "", path);
	ret = unlink(path) < 0 && errno != ENOENT ? -errno : sync_folder(e);
	if (ret == -ENOENT)
		return 0;
	return ret < 0 ? err_ret(ret, "removing %s: %s; remove it by hand", path, strerror(-ret))
		       : 0;
}
