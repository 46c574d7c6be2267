/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tenants' store for readers: a copy of the whole file in memory, all of one moment. It leaves
 * nothing behind beside the file, no log and no index, and works where the reader may not write and
 * where a crash has left a log. Called by tenant_store_open().
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tenant_store_priv.h"

#define STORE_URI (3 * (PATH_MAX + 16) + 64)

/* --- did anybody write? ------------------------------------------------- */
struct store_seen { /* what tells that nobody wrote meanwhile */
	struct stat db, log;
	bool has_log, has_index;
};

static int store_look(const struct tenant_store *st, struct store_seen *s)
{
	char path[PATH_MAX + 24];

	memset(s, 0, sizeof(*s));
	if (stat(st->path, &s->db) < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s-wal", st->path);
	s->has_log = stat(path, &s->log) == 0 && s->log.st_size > 0;
	snprintf(path, sizeof(path), "%s-shm", st->path);
	s->has_index = access(path, F_OK) == 0;
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool store_unchanged(const struct tenant_store *st, const struct store_seen *before)
{
	struct store_seen now;

	return store_look(st, &now) == 0 && same_file(&before->db, &now.db) &&
	       before->has_log == now.has_log && same_file(&before->log, &now.log) &&
	       before->has_index == now.has_index;
}

/* --- copying ------------------------------------------------------------ */
/*
 * Copies a database to st->db, which is in memory. SQLite's result, and *err what that is as a
 * negative errno.
 */
static int store_copy(const struct tenant_store *st, const char *name, int flags, int *err)
{
	sqlite3_backup *b;
	sqlite3 *from;
	int rc = sqlite3_open_v2(name, &from, flags, NULL);

	if (rc == SQLITE_OK) {
		b = sqlite3_backup_init(st->db, "main", from, "main");
		rc = b ? sqlite3_backup_step(b, -1) : SQLITE_NOMEM;
		sqlite3_backup_finish(b);
	}
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	*err = rc == SQLITE_OK ? 0 : store_errno(from, rc);
	sqlite3_close(from);
	return rc;
}

static int store_copy_uri(const struct tenant_store *st, const char *how, int *err)
{
	char uri[STORE_URI], *out = stpcpy(uri, "file:");

	for (const char *p = st->path; *p; p++)
		out += sprintf(out, strchr("?#%", *p) ? "%%%02X" : "%c", (unsigned char)*p);
	sprintf(out, "?%s", how);
	return store_copy(st, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
}

static int copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out, ret = 0;
	char buf[16384];
	ssize_t n = 1;

	if (in < 0)
		return -errno;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		ret = -errno;
	while (ret == 0 && n > 0) {
		n = read(in, buf, sizeof(buf));
		if (n < 0 || (n > 0 && write(out, buf, (size_t)n) != n))
			ret = n < 0 ? -errno : -ENOSPC;
	}
	close(in);
	if (out >= 0)
		close(out);
	return ret;
}

/* A log that a crash has left needs SQLite to write: it does so to a copy of the two files. */
static int store_copy_log(const struct tenant_store *st, int *err)
{
	static const char *const suffix[] = { "", "-wal", "-shm" };
	const char *tmp = getenv("TMPDIR");
	char dir[PATH_MAX], from[PATH_MAX + 24], to[PATH_MAX + 24];
	int rc = SQLITE_IOERR;

	snprintf(dir, sizeof(dir), "%s/fourlane-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	*err = mkdtemp(dir) ? 0 : -errno;
	if (*err < 0)
		return rc;
	for (int i = 0; i < 2 && *err == 0; i++) {
		snprintf(from, sizeof(from), "%s%s", st->path, suffix[i]);
		snprintf(to, sizeof(to), "%s/db%s", dir, suffix[i]);
		*err = copy_file(from, to);
	}
	snprintf(to, sizeof(to), "%s/db", dir);
	if (*err == 0)
		rc = store_copy(st, to, SQLITE_OPEN_READWRITE, err);
	for (int i = 0; i < 3; i++) {
		snprintf(to, sizeof(to), "%s/db%s", dir, suffix[i]);
		unlink(to);
	}
	rmdir(dir);
	return rc;
}

/*
 * While another process has the store, its index of the log is there and SQLite's own locks hold.
 * With none there, nobody has it, and it is read as it lies; if it has changed when we are done,
 * somebody came, and we look again.
 */
static int store_copy_now(const struct tenant_store *st, const struct store_seen *seen, int *err)
{
	int rc = SQLITE_CANTOPEN;

	if (seen->has_index)
		rc = store_copy_uri(st, "mode=ro", err);
	if ((rc & 0xff) != SQLITE_CANTOPEN && (rc & 0xff) != SQLITE_READONLY)
		return rc;
	rc = seen->has_log ? store_copy_log(st, err) : store_copy_uri(st, "immutable=1", err);
	return store_unchanged(st, seen) ? rc : SQLITE_BUSY;
}

static int store_read_file(const struct sriov_env *e, const struct tenant_store *st)
{
	struct store_seen seen;
	int rc, err = 0, ret;

	for (unsigned int waited = 0;; waited += STORE_WAIT_MS) {
		ret = store_look(st, &seen);
		if (ret == -ENOENT)
			return 0;
		if (ret < 0)
			return store_say(st, ret, store_opening, strerror(-ret));
		if (seen.db.st_size == 0 && !seen.has_log)
			return 0; /* being made just now */
		rc = store_copy_now(st, &seen, &err);
		if ((rc & 0xff) != SQLITE_BUSY || waited >= e->wait_ms)
			break;
		usleep(STORE_WAIT_MS * 1000);
	}
	if ((rc & 0xff) == SQLITE_BUSY)
		err = -EBUSY;
	return rc == SQLITE_OK ? 0 : store_say(st, err, store_opening, sqlite3_errstr(rc));
}

int store_open_copy(const struct sriov_env *e, struct tenant_store *st)
{
	int rc = sqlite3_open(":memory:", &st->db), ret;

	if (rc != SQLITE_OK)
		return store_fail(st, rc, store_opening);
	ret = store_read_file(e, st);
	if (ret == 0)
		ret = store_check(st);
	if (ret == 0)
		ret = store_make_tables(st); /* an empty store */
	if (ret >= 0)
		ret = store_sound(st);
	if (ret == 0 && sqlite3_exec(st->db, "PRAGMA trusted_schema=OFF; PRAGMA query_only=ON",
				     NULL, NULL, NULL) != SQLITE_OK)
		ret = store_fail(st, sqlite3_errcode(st->db), store_opening);
	return ret;
}
