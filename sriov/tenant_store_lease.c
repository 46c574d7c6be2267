/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store's leases (a VF of a tenant in a guest's hands) and what drivers took or refused. Each
 * change is on disk when its function returns. Called by tenant_lease.c, tenant_apply.c and
 * tenant_caps.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tenant_store_priv.h"

/* --- leases ------------------------------------------------------------- */
int tenant_store_lease_take(struct tenant_store *st, const struct tenant_lease *l)
{
	int ret = store_exec(
		st, "noting a lease", "INSERT OR IGNORE INTO lease VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		"sissiisi", l->pf, (long long)l->idx, l->tenant, l->guest, (long long)l->pid,
		(long long)l->start, l->boot_id, (long long)l->dirty);

	return ret == 0 ? -EBUSY : ret < 0 ? ret : 0;
}

int tenant_store_lease_dirty(struct tenant_store *st, const char *pf, unsigned int idx)
{
	int ret = store_exec(st, "noting that a VF was given back",
			     "UPDATE lease SET dirty = 1 WHERE pf = ? AND idx = ?", "si", pf,
			     (long long)idx);

	if (ret == 0)
		return err_ret(-ENOENT,
			       "noting that VF %u of %s was given back: %s has no lease of it; "
			       "another program has ended it",
			       idx, pf, st->path);
	return ret < 0 ? ret : 0;
}

int tenant_store_lease_drop(struct tenant_store *st, const char *pf, unsigned int idx)
{
	int ret = store_exec(st, "ending a lease", "DELETE FROM lease WHERE pf = ? AND idx = ?",
			     "si", pf, (long long)idx);

	return ret < 0 ? ret : 0;
}

static void lease_row(struct store_row *r, struct tenant_lease *l)
{
	memset(l, 0, sizeof(*l));
	r->col = 0;
	row_name(r, l->pf, sizeof(l->pf));
	l->idx = (unsigned int)row_number(r, SRIOV_MAX_VFS);
	row_name(r, l->tenant, sizeof(l->tenant));
	row_text(r, l->guest, sizeof(l->guest));
	l->pid = (pid_t)row_number(r, INT32_MAX);
	l->start = row_number(r, UINT64_MAX);
	row_name(r, l->boot_id, sizeof(l->boot_id));
	l->dirty = row_number(r, 1);
	if (l->pid == 0) /* kill(0) and /proc/0 mean something else */
		r->bad = true;
}

int tenant_store_leases(const struct tenant_store *st, struct tenant_lease **out, size_t *n)
{
	static const char what[] = "reading the leases";
	struct tenant_lease *all = NULL, *grown;
	struct store_row r = { 0 };
	int ret;

	*out = NULL;
	*n = 0;
	ret = store_prepare(st, "SELECT * FROM lease ORDER BY pf, idx", what, &r.q);
	if (ret < 0)
		return ret;
	while (ret >= 0 && (ret = store_step(st, r.q, what)) == 1) {
		grown = store_grow(all, *n, sizeof(*all));
		if (!grown) {
			ret = err_ret(-ENOMEM, "%s: out of memory; free some", what);
			break;
		}
		all = grown;
		lease_row(&r, &all[(*n)++]);
		if (r.bad)
			ret = store_rows_bad(st, "the leases");
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

/* --- what drivers took or refused --------------------------------------- */
int tenant_store_learn(struct tenant_store *st, const char *driver, const char *version,
		       enum vf_can_what what, int err)
{
	int ret = store_exec(st, "noting what a driver takes",
			     "INSERT OR REPLACE INTO learned VALUES(?, ?, ?, ?,"
			     " strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
			     "sssi", driver, version, vf_can_names[what], (long long)err);

	return ret < 0 ? ret : 0;
}

int tenant_store_learned(const struct tenant_store *st, const char *driver, const char *version,
			 enum vf_can_what what, int *err, char when[24])
{
	static const char doing[] = "reading what drivers take";
	struct store_row r = { 0 };
	int ret = store_prepare(st,
				"SELECT err, at FROM learned"
				" WHERE driver = ? AND version = ? AND what = ?",
				doing, &r.q);

	if (ret < 0)
		return ret;
	store_bind(r.q, "sss", driver, version, vf_can_names[what]);
	ret = store_step(st, r.q, doing);
	if (ret == 1) {
		*err = row_signed(&r, -4095, 0);
		row_text(&r, when, 24);
		ret = r.bad ? store_rows_bad(st, "what drivers take") : 0;
	} else if (ret == 0) {
		ret = -ENOENT;
	}
	sqlite3_finalize(r.q);
	return ret;
}
