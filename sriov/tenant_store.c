/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tenants' store: opening, making and checking <state_dir>/tenants.db. Writers use
 * SQLite's write-ahead log with synchronous=FULL: what a function has returned from survives a
 * power cut. Readers take a copy of the whole file into memory, all of one moment, and leave
 * nothing behind: no log, no index, also where they may not write and where a crash has left a log.
 * Tables are below; the numbers of enums in them (steps, settings) belong to the schema's version.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "tenant_store_priv.h"

#define STORE_APP_ID  0x464c7473 /* "FLts" in the file's header */
#define STORE_VERSION 1

/*
 * The column `next` says what holds after the transaction under way (1), not yet (0). `new` marks
 * what goes when it is cancelled.
 */
static const char store_schema[] =
	"CREATE TABLE wanted(next INTEGER PRIMARY KEY CHECK(next IN (0, 1)), file TEXT);"
	"CREATE TABLE slot(next INTEGER NOT NULL CHECK(next IN (0, 1)), pf TEXT NOT NULL,"
	" vendor INTEGER NOT NULL, device INTEGER NOT NULL, idx INTEGER NOT NULL,"
	" tenant TEXT NOT NULL, nth INTEGER NOT NULL, settings TEXT NOT NULL,"
	" driver TEXT NOT NULL, PRIMARY KEY(next, pf, idx), UNIQUE(next, tenant, nth))"
	" WITHOUT ROWID;"
	"CREATE TABLE pf_before(pf TEXT PRIMARY KEY, vendor INTEGER NOT NULL,"
	" device INTEGER NOT NULL, boot_id TEXT NOT NULL, num_vfs INTEGER NOT NULL,"
	" autoprobe INTEGER NOT NULL, new INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE vf_before(pf TEXT NOT NULL REFERENCES pf_before(pf) ON DELETE CASCADE,"
	" idx INTEGER NOT NULL, settings TEXT NOT NULL, driver TEXT NOT NULL,"
	" new INTEGER NOT NULL, PRIMARY KEY(pf, idx)) WITHOUT ROWID;"
	"CREATE TABLE txn(id INTEGER PRIMARY KEY CHECK(id = 1), what TEXT NOT NULL,"
	" boot_id TEXT NOT NULL, steps INTEGER NOT NULL);"
	"CREATE TABLE step(n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, pf TEXT NOT NULL,"
	" idx INTEGER NOT NULL, tenant TEXT NOT NULL, n_from INTEGER NOT NULL,"
	" n_to INTEGER NOT NULL, setting INTEGER NOT NULL, can INTEGER NOT NULL,"
	" was TEXT NOT NULL, becomes TEXT NOT NULL, driver_from TEXT NOT NULL,"
	" driver_to TEXT NOT NULL, done INTEGER NOT NULL CHECK(done IN (0, 1)));"
	"CREATE TABLE lease(pf TEXT NOT NULL, idx INTEGER NOT NULL, tenant TEXT NOT NULL,"
	" guest TEXT NOT NULL, pid INTEGER NOT NULL, start INTEGER NOT NULL,"
	" boot_id TEXT NOT NULL, dirty INTEGER NOT NULL, PRIMARY KEY(pf, idx)) WITHOUT ROWID;"
	"CREATE TABLE learned(driver TEXT NOT NULL, version TEXT NOT NULL, what TEXT NOT NULL,"
	" err INTEGER NOT NULL, at TEXT NOT NULL, PRIMARY KEY(driver, version, what))"
	" WITHOUT ROWID;";

const char store_opening[] = "opening the tenants' store";

/* --- what file it is ---------------------------------------------------- */
/* The number that a pragma or a count gives; negative errno after a message. */
static int store_number(const struct tenant_store *st, const char *sql, long long *out)
{
	sqlite3_stmt *q;
	int ret = store_prepare(st, sql, store_opening, &q);

	if (ret < 0)
		return ret;
	ret = store_step(st, q, store_opening);
	*out = ret == 1 ? sqlite3_column_int64(q, 0) : 0;
	sqlite3_finalize(q);
	return ret < 0 ? ret : 0;
}

int store_check(const struct tenant_store *st)
{
	long long app, version, tables;
	int ret = store_number(st, "PRAGMA application_id", &app);

	if (ret == 0)
		ret = store_number(st, "PRAGMA user_version", &version);
	if (ret == 0)
		ret = store_number(st, "SELECT count(*) FROM sqlite_master", &tables);
	if (ret < 0)
		return ret;
	if (!app && !version && !tables)
		return 0;
	if (app != STORE_APP_ID)
		return store_say(st, -EBADMSG, store_opening, "the file is not fourlane's");
	if (version != STORE_VERSION)
		return err_ret(-EBADMSG,
			       "%s in %s: it has version %lld, this fourlane knows %d; use the "
			       "fourlane that wrote it",
			       store_opening, st->path, version, STORE_VERSION);
	return 1;
}

int store_make_tables(const struct tenant_store *st)
{
	char head[80];
	int rc = sqlite3_exec(st->db, store_schema, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		return store_fail(st, rc, store_opening);
	snprintf(head, sizeof(head), "PRAGMA application_id=%d; PRAGMA user_version=%d",
		 STORE_APP_ID, STORE_VERSION);
	rc = sqlite3_exec(st->db, head, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : store_fail(st, rc, store_opening);
}

int store_sound(const struct tenant_store *st)
{
	sqlite3_stmt *q;
	const char *said;
	int ret = store_prepare(st, "PRAGMA quick_check(1)", store_opening, &q);

	if (ret < 0)
		return ret;
	ret = store_step(st, q, store_opening);
	said = ret == 1 ? (const char *)sqlite3_column_text(q, 0) : NULL;
	if (ret == 1 && (!said || strcmp(said, "ok")))
		ret = store_say(st, -EBADMSG, store_opening, said ? said : "damaged");
	sqlite3_finalize(q);
	return ret < 0 ? ret : 0;
}

/* --- writing ------------------------------------------------------------ */
/*
 * An empty file of mode 0644 (what is in it, everybody sees with 'ip link', too) and the folder's
 * group; SQLite's other files take both from it.
 */
static int store_make_file(const struct sriov_env *e, const struct tenant_store *st)
{
	struct stat dir;
	int fd, ret = 0, folder = open(e->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0)
		return store_say(st, -errno, store_opening, strerror(errno));
	fd = open(st->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		ret = errno == EEXIST ? 0 : store_say(st, -errno, store_opening, strerror(errno));
		close(folder);
		return ret;
	}
	if (fchmod(fd, 0644) < 0 || fstat(folder, &dir) < 0 ||
	    (dir.st_gid != getegid() && fchown(fd, (uid_t)-1, dir.st_gid) < 0 && errno != EPERM) ||
	    fsync(folder) < 0)
		ret = store_say(st, -errno, store_opening, strerror(errno));
	close(fd);
	close(folder);
	return ret;
}

/* The log's first setting needs the file alone, and SQLite does not wait for that: tried again. */
static int store_use_log(const struct tenant_store *st, unsigned int wait_ms)
{
	sqlite3_stmt *q = NULL;
	bool wal = false;
	int rc;

	for (unsigned int waited = 0;; waited += STORE_WAIT_MS) {
		rc = sqlite3_prepare_v2(st->db, "PRAGMA journal_mode=WAL", -1, &q, NULL);
		if (rc == SQLITE_OK)
			rc = sqlite3_step(q);
		if (rc == SQLITE_ROW)
			wal = !strcmp((const char *)sqlite3_column_text(q, 0), "wal");
		sqlite3_finalize(q);
		if ((rc & 0xff) != SQLITE_BUSY || waited >= wait_ms)
			break;
		usleep(STORE_WAIT_MS * 1000);
	}
	if (rc != SQLITE_ROW)
		return store_fail(st, rc, store_opening);
	return wal ? 0
		   : err_ret(-EOPNOTSUPP,
			     "%s in %s: this file system cannot hold SQLite's write-ahead log; put "
			     "the state folder on a local disk",
			     store_opening, st->path);
}

/* What file it is, all of one moment: another process may be making its tables just now. */
static int store_check_at_once(const struct tenant_store *st)
{
	int end, ret = store_exec(st, store_opening, "BEGIN", "");

	if (ret < 0)
		return ret;
	ret = store_check(st);
	end = store_exec(st, store_opening, "COMMIT", "");
	return end < 0 && ret >= 0 ? end : ret;
}

static int store_open_file(const struct sriov_env *e, struct tenant_store *st)
{
	static const char rules[] = "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
				    "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON";
	int rc, ret = store_make_file(e, st);

	if (ret < 0)
		return ret;
	rc = sqlite3_open_v2(st->path, &st->db, SQLITE_OPEN_READWRITE, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(st->db, (int)e->wait_ms);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(st->db, rules, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return store_fail(st, rc, store_opening);
	/* before anything is written into a file that may not be ours */
	ret = store_check_at_once(st);
	if (ret >= 0)
		ret = store_use_log(st, e->wait_ms);
	if (ret >= 0)
		ret = store_begin_change(st, store_opening);
	if (ret < 0)
		return ret;
	ret = store_check(st); /* again: another process may have been first */
	if (ret == 0)
		ret = store_make_tables(st);
	ret = store_end_change(st, store_opening, ret);
	return ret < 0 ? ret : store_sound(st);
}

/* --- both --------------------------------------------------------------- */
int tenant_store_open(const struct sriov_env *e, enum tenant_store_mode mode,
		      struct tenant_store **out)
{
	struct tenant_store *st = calloc(1, sizeof(*st));
	int ret;

	*out = NULL;
	if (!st)
		return err_ret(-ENOMEM, "%s: out of memory; free some", store_opening);
	snprintf(st->path, sizeof(st->path), "%s/tenants.db", e->state_dir);
	sriov_boot_id(e, st->boot_id, sizeof(st->boot_id));
	ret = mode == STORE_WRITE ? store_open_file(e, st) : store_open_copy(e, st);
	if (ret < 0) {
		tenant_store_close(st);
		return ret;
	}
	*out = st;
	return 0;
}

void tenant_store_close(struct tenant_store *st)
{
	if (!st)
		return;
	sqlite3_close(st->db);
	free(st);
}
