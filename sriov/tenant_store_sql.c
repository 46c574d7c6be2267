/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thin layer between the tenants' store and SQLite: statements, all-or-nothing changes, what an
 * SQLite error means, and reading columns without trusting them. Called by the other
 * tenant_store*.c files only.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tenant_store_priv.h"

/* --- errors ------------------------------------------------------------- */
int store_errno(sqlite3 *db, int rc)
{
	int os = db ? sqlite3_system_errno(db) : 0;

	switch (rc & 0xff) {
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_IOERR: return os == ENOSPC || os == EDQUOT || os == EFBIG ? -ENOSPC : -EIO;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_FORMAT:
	case SQLITE_SCHEMA: return -EBADMSG;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_CANTOPEN: return os ? -os : -EACCES;
	case SQLITE_PERM:
	case SQLITE_AUTH: return -EACCES;
	case SQLITE_NOMEM: return -ENOMEM;
	default: return -EIO;
	}
}

static const char *store_mend(int err)
{
	switch (-err) {
	case ENOSPC: return "nothing was changed; make room there";
	case EBUSY: return "another program has it; try again";
	case EBADMSG:
		return "move it away and apply the tenants' file again, VFs stay as they are "
		       "meanwhile";
	case EACCES:
	case EPERM:
	case EROFS: return "run as root";
	case ENOMEM: return "free some memory";
	default: return "nothing was changed; see the kernel's log";
	}
}

int store_say(const struct tenant_store *st, int err, const char *what, const char *why)
{
	return err_ret(err, "%s in %s: %s; %s", what, st->path, why, store_mend(err));
}

int store_fail(const struct tenant_store *st, int rc, const char *what)
{
	int err = store_errno(st->db, rc);

	/* SQLite's text for a disk that is full in another way is "disk I/O error" */
	return store_say(st, err, what,
			 err == -ENOSPC ? strerror(ENOSPC)
			 : st->db       ? sqlite3_errmsg(st->db)
					: sqlite3_errstr(rc));
}

/* --- statements --------------------------------------------------------- */
static int bind_settings(sqlite3_stmt *q, int col, const struct vf_settings *s)
{
	json_t *o = json_object();
	char *text = o && vf_settings_to_json(s, o) == 0 ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	if (!text)
		return SQLITE_NOMEM;
	return sqlite3_bind_text(q, col, text, -1, free);
}

static int bind_all(sqlite3_stmt *q, const char *fmt, va_list ap)
{
	int rc = SQLITE_OK;

	for (int col = 1; *fmt && rc == SQLITE_OK; fmt++, col++) {
		if (*fmt == 's')
			rc = sqlite3_bind_text(q, col, va_arg(ap, const char *), -1,
					       SQLITE_TRANSIENT);
		else if (*fmt == 'i')
			rc = sqlite3_bind_int64(q, col, va_arg(ap, long long));
		else
			rc = bind_settings(q, col, va_arg(ap, const struct vf_settings *));
	}
	return rc == SQLITE_OK ? 0 : rc == SQLITE_NOMEM ? -ENOMEM : -EIO;
}

int store_bind(sqlite3_stmt *q, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = bind_all(q, fmt, ap);
	va_end(ap);
	return ret;
}

int store_prepare(const struct tenant_store *st, const char *sql, const char *what,
		  sqlite3_stmt **out)
{
	int rc = sqlite3_prepare_v2(st->db, sql, -1, out, NULL);

	return rc == SQLITE_OK ? 0 : store_fail(st, rc, what);
}

int store_step(const struct tenant_store *st, sqlite3_stmt *q, const char *what)
{
	int rc = sqlite3_step(q);

	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : store_fail(st, rc, what);
}

int store_put(const struct tenant_store *st, sqlite3_stmt *q, const char *what)
{
	int ret = store_step(st, q, what);

	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
	return ret < 0 ? ret : 0;
}

int store_exec(const struct tenant_store *st, const char *what, const char *sql, const char *fmt,
	       ...)
{
	sqlite3_stmt *q;
	va_list ap;
	int ret = store_prepare(st, sql, what, &q);

	if (ret < 0)
		return ret;
	va_start(ap, fmt);
	ret = bind_all(q, fmt, ap);
	va_end(ap);
	if (ret < 0)
		store_say(st, ret, what, strerror(-ret));
	else
		ret = store_put(st, q, what);
	sqlite3_finalize(q);
	return ret < 0 ? ret : sqlite3_changes(st->db);
}

int store_begin_change(const struct tenant_store *st, const char *what)
{
	/* IMMEDIATE: the one writer's lock now, where the busy timeout holds, not in the middle */
	int ret = store_exec(st, what, "BEGIN IMMEDIATE", "");

	return ret < 0 ? ret : 0;
}

int store_end_change(const struct tenant_store *st, const char *what, int ret)
{
	if (ret >= 0) {
		int end = store_exec(st, what, "COMMIT", "");

		if (end >= 0)
			return ret;
		ret = end;
	}
	/* some errors (a full disk) have taken it back already */
	if (!sqlite3_get_autocommit(st->db))
		sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	return ret;
}

/* --- rows --------------------------------------------------------------- */
void row_text(struct store_row *r, char *buf, size_t size)
{
	int col = r->col++;
	const char *text = (const char *)sqlite3_column_text(r->q, col);
	int len = sqlite3_column_bytes(r->q, col);

	buf[0] = '\0';
	if (!text || sqlite3_column_type(r->q, col) != SQLITE_TEXT || len < 0 ||
	    (size_t)len >= size || strlen(text) != (size_t)len) {
		r->bad = true;
		return;
	}
	memcpy(buf, text, (size_t)len + 1);
}

void row_word(struct store_row *r, char *buf, size_t size)
{
	row_text(r, buf, size);
	if (buf[0] == '.')
		r->bad = true;
	for (const char *p = buf; *p; p++)
		if (!isgraph((unsigned char)*p) || *p == '/')
			r->bad = true;
}

void row_name(struct store_row *r, char *buf, size_t size)
{
	row_word(r, buf, size);
	if (!buf[0])
		r->bad = true;
}

static sqlite3_int64 row_integer(struct store_row *r, sqlite3_int64 min, sqlite3_int64 max)
{
	int col = r->col++;
	sqlite3_int64 v = sqlite3_column_int64(r->q, col);

	if (sqlite3_column_type(r->q, col) == SQLITE_INTEGER && v >= min && v <= max)
		return v;
	r->bad = true;
	return min;
}

uint64_t row_number(struct store_row *r, uint64_t max)
{
	return (uint64_t)row_integer(r, 0, max > INT64_MAX ? INT64_MAX : (sqlite3_int64)max);
}

int row_signed(struct store_row *r, int min, int max)
{
	return (int)row_integer(r, min, max);
}

void row_settings(struct store_row *r, struct vf_settings *s)
{
	int col = r->col++;
	const char *text = (const char *)sqlite3_column_text(r->q, col);
	json_t *o = text ? json_loadb(text, (size_t)sqlite3_column_bytes(r->q, col),
				      JSON_REJECT_DUPLICATES, NULL)
			 : NULL;

	memset(s, 0, sizeof(*s));
	if (!json_is_object(o) || vf_settings_from_json(o, s) < 0)
		r->bad = true;
	json_decref(o);
}

int store_rows_bad(const struct tenant_store *st, const char *table)
{
	return err_ret(-EBADMSG, "reading %s from %s: a row is not what fourlane writes; %s", table,
		       st->path, store_mend(-EBADMSG));
}

void *store_grow(void *p, size_t n, size_t size)
{
	/* doubled whenever n is a power of two */
	if (n & (n - 1))
		return p;
	return reallocarray(p, n ? 2 * n : 1, size);
}
