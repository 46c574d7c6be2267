/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store's journal: the steps of the one transaction under way, what stands of them, and what
 * holds when it has ended. Called by tenant_apply.c, under vf_lock(). Each function is one SQLite
 * transaction, on disk when it returns.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tenant_store_priv.h"

static const char beginning[] = "beginning the journal";

static int step_write(const struct tenant_store *st, sqlite3_stmt *q, size_t n,
		      const struct tenant_step *s)
{
	int ret = store_bind(q, "iisisiiiijjss", (long long)n, (long long)s->kind, s->pf,
			     (long long)s->idx, s->tenant, (long long)s->n_from, (long long)s->n_to,
			     (long long)s->setting, (long long)s->what, &s->from, &s->to,
			     s->driver_from, s->driver_to);

	return ret < 0 ? store_say(st, ret, beginning, strerror(-ret))
		       : store_put(st, q, beginning);
}

static int steps_write(const struct tenant_store *st, const struct tenant_plan *p)
{
	sqlite3_stmt *q;
	int ret = store_prepare(st,
				"INSERT INTO step VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
				beginning, &q);

	for (size_t i = 0; ret >= 0 && i < p->n_steps; i++)
		ret = step_write(st, q, i, &p->steps[i]);
	sqlite3_finalize(q);
	return ret;
}

/* 1 when a transaction is under way. */
static int txn_there(const struct tenant_store *st, const char *what)
{
	sqlite3_stmt *q;
	int ret = store_prepare(st, "SELECT 1 FROM txn", what, &q);

	if (ret < 0)
		return ret;
	ret = store_step(st, q, what);
	sqlite3_finalize(q);
	return ret;
}

static int begin_rows(const struct tenant_store *st, const char *what, const struct tenant_file *f,
		      const struct tenant_plan *p, const struct tenant_before *before,
		      size_t n_before)
{
	int ret = txn_there(st, beginning);

	if (ret == 1)
		return err_ret(-EBUSY,
			       "%s in %s: an earlier transaction has not ended; run the command "
			       "again, which ends it first",
			       beginning, st->path);
	if (ret == 0)
		ret = store_exec(st, beginning, "INSERT INTO txn VALUES(1, ?, ?, ?)", "ssi", what,
				 st->boot_id, (long long)p->n_steps);
	if (ret >= 0)
		ret = steps_write(st, p);
	if (ret >= 0)
		ret = store_slots_write(st, p->slots, p->n_slots);
	if (ret >= 0)
		ret = store_wanted_write(st, f);
	if (ret >= 0)
		ret = store_before_write(st, before, n_before);
	return ret < 0 ? ret : 0;
}

int tenant_store_begin(struct tenant_store *st, const char *what, const struct tenant_file *f,
		       const struct tenant_plan *p, const struct tenant_before *before,
		       size_t n_before)
{
	int ret = store_begin_change(st, beginning);

	if (ret < 0)
		return ret;
	ret = begin_rows(st, what, f, p, before, n_before);
	return store_end_change(st, beginning, ret);
}

int tenant_store_steps_done(struct tenant_store *st, size_t first, size_t n, bool done)
{
	int ret = store_exec(st, "noting that a step was taken",
			     "UPDATE step SET done = ? WHERE n >= ? AND n < ?", "iii",
			     (long long)done, (long long)first, (long long)(first + n));

	if (ret >= 0 && (size_t)ret != n)
		return err_ret(-ENOENT,
			       "noting steps %zu to %zu in %s: the journal has %d of them; "
			       "another program has changed it",
			       first, first + n, st->path, ret);
	return ret < 0 ? ret : 0;
}

int tenant_store_step_done(struct tenant_store *st, size_t step, bool done)
{
	return tenant_store_steps_done(st, step, 1, done);
}

/* Runs statements that have no values, all or none of them, when a transaction is under way. */
static int journal_close(const struct tenant_store *st, const char *what, const char *const *sql)
{
	int ret = store_begin_change(st, what);

	if (ret < 0)
		return ret;
	ret = txn_there(st, what);
	if (ret == 0)
		ret = err_ret(-ENOENT, "%s in %s: there is none; another program has ended it",
			      what, st->path);
	for (; ret >= 0 && *sql; sql++)
		ret = store_exec(st, what, *sql, "");
	ret = store_end_change(st, what, ret);
	return ret < 0 ? ret : 0;
}

int tenant_store_end(struct tenant_store *st)
{
	static const char *const sql[] = {
		"DELETE FROM slot WHERE next = 0",
		"UPDATE slot SET next = 0",
		"DELETE FROM wanted WHERE next = 0",
		"UPDATE wanted SET next = 0",
		"UPDATE pf_before SET new = 0",
		"UPDATE vf_before SET new = 0",
		"DELETE FROM step",
		"DELETE FROM txn",
		NULL,
	};

	return journal_close(st, "ending the journal", sql);
}

int tenant_store_cancel(struct tenant_store *st)
{
	static const char *const sql[] = {
		"DELETE FROM slot WHERE next = 1",
		"DELETE FROM wanted WHERE next = 1",
		"DELETE FROM vf_before WHERE new = 1",
		"DELETE FROM pf_before WHERE new = 1",
		"DELETE FROM step",
		"DELETE FROM txn",
		NULL,
	};

	return journal_close(st, "cancelling the journal", sql);
}

/* --- what a crash left -------------------------------------------------- */
static const char unfinished_reading[] = "reading the journal";

static void step_row(struct store_row *r, size_t n, struct tenant_step *s)
{
	memset(s, 0, sizeof(*s));
	r->col = 0;
	if (row_number(r, INT64_MAX) != n)
		r->bad = true;
	s->kind = (enum tenant_step_kind)row_number(r, STEP_BIND);
	row_name(r, s->pf, sizeof(s->pf));
	s->idx = (unsigned int)row_number(r, SRIOV_UNKNOWN);
	if (s->idx > SRIOV_MAX_VFS && s->idx != SRIOV_UNKNOWN)
		r->bad = true;
	row_word(r, s->tenant, sizeof(s->tenant));
	s->n_from = (unsigned int)row_number(r, SRIOV_MAX_VFS);
	s->n_to = (unsigned int)row_number(r, SRIOV_MAX_VFS);
	s->setting = (enum vf_setting)row_number(r, VF_N_SETTINGS - 1);
	s->what = (enum vf_can_what)row_number(r, CAN_N - 1);
	row_settings(r, &s->from);
	row_settings(r, &s->to);
	row_word(r, s->driver_from, sizeof(s->driver_from));
	row_word(r, s->driver_to, sizeof(s->driver_to));
	s->done = row_number(r, 1);
}

static int steps_read(const struct tenant_store *st, struct tenant_plan *p)
{
	struct tenant_step *grown;
	struct store_row r = { 0 };
	int ret = store_prepare(st, "SELECT * FROM step ORDER BY n", unfinished_reading, &r.q);

	if (ret < 0)
		return ret;
	while (ret >= 0 && (ret = store_step(st, r.q, unfinished_reading)) == 1) {
		grown = store_grow(p->steps, p->n_steps, sizeof(*p->steps));
		if (!grown) {
			ret = err_ret(-ENOMEM, "%s: out of memory; free some", unfinished_reading);
			break;
		}
		p->steps = grown;
		step_row(&r, p->n_steps, &p->steps[p->n_steps]);
		p->n_steps++;
		if (r.bad)
			ret = store_rows_bad(st, "the journal's steps");
	}
	sqlite3_finalize(r.q);
	return ret;
}

/* 1 and how many steps there were, and whether this boot began it. */
static int txn_read(const struct tenant_store *st, uint64_t *n_steps, bool *same_boot)
{
	char boot_id[SRIOV_BOOT_ID_SIZE];
	struct store_row r = { 0 };
	int ret = store_prepare(st, "SELECT steps, boot_id FROM txn", unfinished_reading, &r.q);

	if (ret < 0)
		return ret;
	ret = store_step(st, r.q, unfinished_reading);
	if (ret == 1) {
		*n_steps = row_number(&r, INT64_MAX);
		row_name(&r, boot_id, sizeof(boot_id));
		*same_boot = !strcmp(boot_id, st->boot_id);
		if (r.bad)
			ret = store_rows_bad(st, "the journal's head");
	}
	sqlite3_finalize(r.q);
	return ret;
}

static int unfinished_plan(const struct tenant_store *st, uint64_t n_steps,
			   struct tenant_plan **out)
{
	struct tenant_plan *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return err_ret(-ENOMEM, "%s: out of memory; free some", unfinished_reading);
	ret = steps_read(st, p);
	if (ret == 0 && p->n_steps != n_steps)
		ret = store_rows_bad(st, "the journal's steps");
	if (ret == 0)
		ret = store_slots_read(st, 1, &p->slots, &p->n_slots);
	if (ret < 0) {
		free(p->steps);
		free(p);
		return ret;
	}
	*out = p;
	return 1;
}

int tenant_store_unfinished(const struct tenant_store *st, struct tenant_plan **out,
			    bool *same_boot)
{
	uint64_t n_steps = 0;
	int ret;

	*out = NULL;
	*same_boot = false;
	ret = txn_read(st, &n_steps, same_boot);
	return ret == 1 ? unfinished_plan(st, n_steps, out) : ret;
}
