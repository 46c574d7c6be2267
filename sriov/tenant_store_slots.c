/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store's tables of what is wanted, who has which VF, and what PFs and VFs were before the
 * first tenant came. Read by everybody; written within the journal's transactions only
 * (tenant_store_journal.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tenant_store_priv.h"

/* --- what is wanted ----------------------------------------------------- */
static const char wanted_table[] = "what the tenants' file says";

int store_wanted_write(const struct tenant_store *st, const struct tenant_file *f)
{
	json_t *o = f ? tenant_file_to_json(f) : NULL;
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	int ret;

	json_decref(o);
	if (f && !text)
		return err_ret(-ENOMEM, "noting %s: out of memory; free some", wanted_table);
	ret = store_exec(st, "noting what is wanted",
			 "INSERT OR REPLACE INTO wanted(next, file) VALUES(1, ?)", "s", text);
	free(text);
	return ret < 0 ? ret : 0;
}

static int wanted_parse(const struct tenant_store *st, sqlite3_stmt *q, struct tenant_file **out)
{
	const char *text = (const char *)sqlite3_column_text(q, 0);
	json_t *o;
	int ret;

	if (sqlite3_column_type(q, 0) == SQLITE_NULL)
		return 0;
	o = text ? json_loadb(text, (size_t)sqlite3_column_bytes(q, 0), JSON_REJECT_DUPLICATES,
			      NULL)
		 : NULL;
	ret = o ? tenant_file_from_json(o, out) : -EINVAL;
	json_decref(o);
	return ret < 0 ? store_rows_bad(st, wanted_table) : 0;
}

int tenant_store_get_wanted(const struct tenant_store *st, struct tenant_file **out)
{
	sqlite3_stmt *q;
	int ret;

	*out = NULL;
	ret = store_prepare(st, "SELECT file FROM wanted WHERE next = 0", "reading what is wanted",
			    &q);
	if (ret < 0)
		return ret;
	ret = store_step(st, q, "reading what is wanted");
	if (ret == 1)
		ret = wanted_parse(st, q, out);
	sqlite3_finalize(q);
	return ret;
}

/* --- slots -------------------------------------------------------------- */
static const char slots_reading[] = "reading who has which VF";

static void slot_row(struct store_row *r, struct tenant_slot *s)
{
	memset(s, 0, sizeof(*s));
	row_name(r, s->pf, sizeof(s->pf));
	s->vendor = (uint16_t)row_number(r, UINT16_MAX);
	s->device = (uint16_t)row_number(r, UINT16_MAX);
	s->idx = (unsigned int)row_number(r, SRIOV_MAX_VFS);
	row_name(r, s->tenant, sizeof(s->tenant));
	s->nth = (unsigned int)row_number(r, SRIOV_MAX_VFS);
	row_settings(r, &s->set);
	row_word(r, s->driver, sizeof(s->driver));
}

int store_slots_read(const struct tenant_store *st, int next, struct tenant_slot **out, size_t *n)
{
	struct tenant_slot *all = NULL, *grown;
	struct store_row r = { 0 };
	int ret;

	*out = NULL;
	*n = 0;
	ret = store_prepare(st,
			    "SELECT pf, vendor, device, idx, tenant, nth, settings, driver"
			    " FROM slot WHERE next = ? ORDER BY tenant, nth",
			    slots_reading, &r.q);
	if (ret < 0)
		return ret;
	store_bind(r.q, "i", (long long)next);
	while (ret >= 0 && (ret = store_step(st, r.q, slots_reading)) == 1) {
		grown = store_grow(all, *n, sizeof(*all));
		if (!grown) {
			ret = err_ret(-ENOMEM, "%s: out of memory; free some", slots_reading);
			break;
		}
		all = grown;
		r.col = 0;
		slot_row(&r, &all[(*n)++]);
		if (r.bad)
			ret = store_rows_bad(st, "who has which VF");
	}
	sqlite3_finalize(r.q);
	if (ret == 0) {
		*out = all;
		return 0;
	}
	*n = 0;
	free(all);
	return ret;
}

int tenant_store_slots(const struct tenant_store *st, struct tenant_slot **out, size_t *n)
{
	return store_slots_read(st, 0, out, n);
}

int store_slots_write(const struct tenant_store *st, const struct tenant_slot *s, size_t n)
{
	static const char what[] = "noting who gets which VF";
	sqlite3_stmt *q;
	int ret = store_prepare(st, "INSERT INTO slot VALUES(1, ?, ?, ?, ?, ?, ?, ?, ?)", what, &q);

	for (size_t i = 0; ret >= 0 && i < n; i++, s++) {
		ret = store_bind(q, "siiisijs", s->pf, (long long)s->vendor, (long long)s->device,
				 (long long)s->idx, s->tenant, (long long)s->nth, &s->set,
				 s->driver);
		ret = ret < 0 ? store_say(st, ret, what, strerror(-ret)) : store_put(st, q, what);
	}
	sqlite3_finalize(q);
	return ret;
}

/* --- before ------------------------------------------------------------- */
static const char before_reading[] = "reading what was before the tenants";

void tenant_before_free(struct tenant_before *b, size_t n)
{
	for (size_t i = 0; b && i < n; i++)
		free(b[i].vf);
	free(b);
}

/* The VFs of one PF. */
static int before_vfs(const struct tenant_store *st, struct tenant_before *b)
{
	struct tenant_before_vf *grown;
	struct store_row r = { 0 };
	int ret = store_prepare(
		st, "SELECT idx, settings, driver FROM vf_before WHERE pf = ? ORDER BY idx",
		before_reading, &r.q);

	if (ret < 0)
		return ret;
	store_bind(r.q, "s", b->pf);
	while (ret >= 0 && (ret = store_step(st, r.q, before_reading)) == 1) {
		grown = store_grow(b->vf, b->n_vfs, sizeof(*b->vf));
		if (!grown) {
			ret = err_ret(-ENOMEM, "%s: out of memory; free some", before_reading);
			break;
		}
		b->vf = grown;
		grown += b->n_vfs++;
		r.col = 0;
		grown->idx = (unsigned int)row_number(&r, SRIOV_MAX_VFS);
		row_settings(&r, &grown->set);
		row_word(&r, grown->driver, sizeof(grown->driver));
		if (r.bad)
			ret = store_rows_bad(st, "what VFs were before");
	}
	sqlite3_finalize(r.q);
	return ret;
}

static int before_row(const struct tenant_store *st, struct store_row *r, struct tenant_before *b)
{
	memset(b, 0, sizeof(*b));
	r->col = 0;
	row_name(r, b->pf, sizeof(b->pf));
	b->vendor = (uint16_t)row_number(r, UINT16_MAX);
	b->device = (uint16_t)row_number(r, UINT16_MAX);
	row_name(r, b->boot_id, sizeof(b->boot_id));
	b->num_vfs = (unsigned int)row_number(r, SRIOV_MAX_VFS);
	b->autoprobe = row_signed(r, -1, 1);
	return r->bad ? store_rows_bad(st, "what PFs were before") : before_vfs(st, b);
}

int tenant_store_before(const struct tenant_store *st, struct tenant_before **out, size_t *n)
{
	struct tenant_before *all = NULL, *grown;
	struct store_row r = { 0 };
	size_t have = 0;
	int ret;

	*out = NULL;
	*n = 0;
	ret = store_prepare(st,
			    "SELECT pf, vendor, device, boot_id, num_vfs, autoprobe"
			    " FROM pf_before ORDER BY pf",
			    before_reading, &r.q);
	if (ret < 0)
		return ret;
	while (ret >= 0 && (ret = store_step(st, r.q, before_reading)) == 1) {
		grown = store_grow(all, have, sizeof(*all));
		if (!grown) {
			ret = err_ret(-ENOMEM, "%s: out of memory; free some", before_reading);
			break;
		}
		all = grown;
		ret = before_row(st, &r, &all[have++]);
	}
	sqlite3_finalize(r.q);
	if (ret < 0) {
		tenant_before_free(all, have);
		return ret;
	}
	*out = all;
	*n = have;
	return 0;
}

/* VFs that the PF had before; with `made` those that it got since. Those that are noted stay. */
static int before_vfs_write(const struct tenant_store *st, const struct tenant_before *b, bool made,
			    const char *what)
{
	sqlite3_stmt *q;
	int ret = store_prepare(st,
				"INSERT OR IGNORE INTO vf_before(pf, idx, settings, driver, new)"
				" SELECT pf, ?2, ?3, ?4, 1 FROM pf_before"
				" WHERE pf = ?1 AND (?2 < num_vfs) <> ?5",
				what, &q);

	for (unsigned int i = 0; ret >= 0 && i < b->n_vfs; i++) {
		ret = store_bind(q, "sijsi", b->pf, (long long)b->vf[i].idx, &b->vf[i].set,
				 b->vf[i].driver, (long long)made);
		ret = ret < 0 ? store_say(st, ret, what, strerror(-ret)) : store_put(st, q, what);
	}
	sqlite3_finalize(q);
	return ret;
}

int store_before_write(const struct tenant_store *st, const struct tenant_before *b, size_t n)
{
	static const char what[] = "noting what was before the tenants";
	int ret = 0;

	for (size_t i = 0; ret >= 0 && i < n; i++, b++) {
		/* an earlier boot's values are void: that boot's end has undone them */
		ret = store_exec(st, what, "DELETE FROM pf_before WHERE pf = ? AND boot_id <> ?",
				 "ss", b->pf, b->boot_id);
		if (ret >= 0)
			ret = store_exec(
				st, what,
				"INSERT OR IGNORE INTO pf_before VALUES(?, ?, ?, ?, ?, ?, 1)",
				"siisii", b->pf, (long long)b->vendor, (long long)b->device,
				b->boot_id, (long long)b->num_vfs, (long long)b->autoprobe);
		if (ret >= 0)
			ret = before_vfs_write(st, b, false, what);
	}
	return ret < 0 ? ret : 0;
}

int tenant_store_note_before(struct tenant_store *st, const struct tenant_before *before,
			     size_t n_before)
{
	static const char what[] = "noting VFs as they were made";
	int ret = store_begin_change(st, what);

	if (ret < 0)
		return ret;
	for (size_t i = 0; ret >= 0 && i < n_before; i++)
		ret = before_vfs_write(st, &before[i], true, what);
	ret = store_end_change(st, what, ret);
	return ret < 0 ? ret : 0;
}

int tenant_store_forget_before(struct tenant_store *st, const char *pf)
{
	int ret = store_exec(st, "forgetting what a PF was before",
			     "DELETE FROM pf_before WHERE pf = ?", "s", pf);

	return ret < 0 ? ret : 0;
}
