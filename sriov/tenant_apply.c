/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what is to what is wanted, as one transaction: recover what a crash left, plan, look whether
 * it may be done, note in the store what was, take the steps, read back, let the new state be the
 * current one. A failure takes everything back in reverse. Called by `tenant apply` and `release`,
 * and (tenant_recover) by everybody who is about to change a VF. Who has what is the store's; what
 * a step is, tenant_apply_step.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "tenant_tx.h"

/* --- one transaction ---------------------------------------------------- */
static int take_step(struct tenant_tx *tx, size_t i, size_t *marked)
{
	struct tenant_step *s = &tx->plan->steps[i];
	/* a tenant gets it when its settings stand */
	int ret = s->kind == STEP_BIND && s->tenant[0] ? tenant_tx_verify(tx, i) : 0;

	if (ret == 0)
		ret = tenant_step_take(tx, s);
	if (ret == 0 && tenant_step_marked(s)) {
		ret = tenant_store_steps_done(tx->st, *marked, i + 1 - *marked, true);
		for (; ret == 0 && *marked <= i; ++*marked)
			tx->plan->steps[*marked].done = true;
	}
	if (ret == 0 && tx->listener)
		tx->listener->step(tx->listener->opaque, s, tx->detail);
	return ret;
}

/* Everything goes back; what is left in the journal then is for the next call. */
static int give_up(struct tenant_tx *tx, size_t end, int why)
{
	int ret = tenant_tx_rollback(tx, end);

	if (ret < 0)
		return err_ret(ret,
			       "putting everything back: not all of it could be, see above; mend "
			       "that, by hand if need be ('ip link set', or 0 into sriov_numvfs), "
			       "and repeat the call, which puts back the rest first");
	tenant_store_cancel(tx->st);
	return why;
}

/* VFs that were just made are in groups that nobody knew when the plan was made. */
static int check_groups(struct tenant_tx *tx)
{
	struct tenant_world *w;
	bool made = false;
	int ret;

	for (size_t i = 0; i < tx->plan->n_steps; i++)
		made |= tx->plan->steps[i].kind == STEP_NUM_VFS;
	if (!made)
		return 0;
	ret = tenant_world_read(tx->e, tx->st, &w);
	if (ret == 0)
		ret = tenant_plan_groups(tx->e, w, tx->plan->slots, tx->plan->n_slots);
	tenant_world_free(w);
	return ret;
}

static int take_steps(struct tenant_tx *tx)
{
	size_t i, marked = 0;
	int ret = 0;

	for (i = 0; i < tx->plan->n_steps && ret == 0; i++)
		ret = take_step(tx, i, &marked);
	if (ret == 0)
		ret = check_groups(tx);
	if (ret == 0)
		ret = tenant_tx_verify(tx, i);
	if (ret == 0)
		ret = tenant_store_end(tx->st);
	return ret < 0 ? give_up(tx, i, ret) : 0;
}

static int transact(struct tenant_tx *tx, const char *what, const struct tenant_file *f)
{
	struct tenant_before *before;
	size_t n;
	int ret = tenant_tx_check(tx);

	if (ret == 0)
		ret = tenant_tx_before(tx, &before, &n);
	if (ret < 0)
		return ret;
	ret = tenant_tx_protect(tx);
	if (ret == 0)
		ret = tenant_store_begin(tx->st, what, f, tx->plan, before, n);
	tenant_before_free(before, n);
	return ret < 0 ? ret : take_steps(tx);
}

/* --- what a crash left -------------------------------------------------- */
/* Behind the last step with a mark come those of which nobody knows, up to the next with one. */
static size_t perhaps_done(const struct tenant_plan *p)
{
	size_t end = p->n_steps;

	while (end > 0 && !p->steps[end - 1].done)
		end--;
	while (end < p->n_steps && !tenant_step_marked(&p->steps[end]))
		end++;
	return end < p->n_steps ? end + 1 : end;
}

static int recover_journal(const struct sriov_env *e, struct tenant_store *st)
{
	struct tenant_tx tx = { .e = e, .st = st };
	bool same_boot;
	size_t end;
	int ret = tenant_store_unfinished(st, &tx.plan, &same_boot);

	if (ret <= 0)
		return ret;
	if (!same_boot) {
		err_say("an earlier call was interrupted before the last boot, which has undone "
			"it: its journal is dropped");
		ret = tenant_store_cancel(st);
	} else {
		end = perhaps_done(tx.plan);
		err_say("an earlier call was interrupted: taking back its first %zu of %zu steps",
			end, tx.plan->n_steps);
		ret = give_up(&tx, end, 0);
	}
	tenant_tx_free(&tx);
	tenant_plan_free(tx.plan);
	return ret;
}

static bool has_slot(const struct tenant_slot *s, size_t n, const char *pf)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(s[i].pf, pf))
			return true;
	return false;
}

/* What a PF was before is void once no tenant has any of its VFs. */
static int forget_before(struct tenant_store *st)
{
	struct tenant_before *b = NULL;
	struct tenant_slot *s = NULL;
	size_t n_b = 0, n_s = 0;
	int ret = tenant_store_slots(st, &s, &n_s);

	if (ret == 0)
		ret = tenant_store_before(st, &b, &n_b);
	for (size_t i = 0; i < n_b && ret == 0; i++)
		if (!has_slot(s, n_s, b[i].pf))
			ret = tenant_store_forget_before(st, b[i].pf);
	tenant_before_free(b, n_b);
	free(s);
	return ret;
}

int tenant_recover(const struct sriov_env *e, struct tenant_store *st)
{
	int ret = recover_journal(e, st);

	if (ret == 0)
		ret = tenant_leases_settle(e, st);
	return ret < 0 ? ret : forget_before(st);
}

/* --- apply -------------------------------------------------------------- */
/* What guests of --nic vf,host= left is no state to come back to. */
static void settle_host_guests(const struct sriov_env *e)
{
	struct sriov_pf *all;
	int n = sriov_pfs(e->v, &all);

	for (int i = 0; i < n; i++)
		vf_leases_restore(e, &all[i]);
	free(all);
}

static int plan_and_do(struct tenant_tx *tx, const char *what, const struct tenant_file *f,
		       size_t *changed)
{
	struct tenant_world *w;
	int ret;

	settle_host_guests(tx->e);
	ret = tenant_world_read(tx->e, tx->st, &w);
	if (ret < 0)
		return ret;
	ret = tenant_plan_make(tx->e, tx->st, f, w, &tx->plan);
	tenant_world_free(w);
	if (ret < 0)
		return ret;
	if (changed)
		*changed = tx->plan->n_steps;
	for (size_t i = 0; tx->listener && i < tx->plan->n_notes; i++)
		tx->listener->note(tx->listener->opaque, tx->plan->notes[i]);
	ret = transact(tx, what, f);
	tenant_tx_free(tx);
	tenant_plan_free(tx->plan);
	return ret < 0 ? ret : forget_before(tx->st);
}

int tenant_enter(const struct sriov_env *e, const char *doing, struct tenant_store **st)
{
	int lock, ret = tenant_check_rights(e, doing);

	if (ret < 0)
		return ret;
	lock = vf_lock(e);
	if (lock < 0)
		return lock;
	ret = tenant_store_open(e, STORE_WRITE, st);
	if (ret == 0)
		ret = tenant_recover(e, *st);
	if (ret == 0)
		return lock;
	tenant_store_close(*st);
	close(lock);
	return ret;
}

int tenant_apply_told(const struct sriov_env *e, const struct tenant_file *f,
		      const struct tenant_listener *listener, size_t *changed)
{
	struct tenant_tx tx = { .e = e, .listener = listener };
	struct tenant_file *stored = NULL;
	int lock = tenant_enter(e, "applying the tenants' file", &tx.st), ret = 0;

	if (lock < 0)
		return lock;
	if (!f) {
		ret = tenant_store_get_wanted(tx.st, &stored);
		f = stored;
		tenant_boot_wait(e, tx.st);
	}
	if (changed)
		*changed = 0;
	/* nothing was ever applied: nothing to do */
	if (ret == 0 && f)
		ret = plan_and_do(&tx, "apply", f, changed);
	tenant_file_free(stored);
	tenant_store_close(tx.st);
	close(lock);
	return ret;
}

int tenant_apply(const struct sriov_env *e, const struct tenant_file *f, size_t *changed)
{
	return tenant_apply_told(e, f, NULL, changed);
}

/* --- release ------------------------------------------------------------ */
/* -EBUSY when one of the tenant's (NULL: anybody's) VFs is leased; -ENOENT: no such tenant. */
static int may_go(const struct tenant_store *st, const char *tenant)
{
	struct tenant_lease *l = NULL;
	struct tenant_slot *s = NULL;
	size_t n_l = 0, n_s = 0;
	int ret = tenant_store_leases(st, &l, &n_l);
	bool there = !tenant;

	for (size_t i = 0; i < n_l && ret == 0; i++)
		if (!tenant || !strcmp(l[i].tenant, tenant))
			ret = err_ret(-EBUSY,
				      "releasing tenant %s: guest '%s' (pid %d) has VF %u of %s; "
				      "stop it first",
				      l[i].tenant, l[i].guest, l[i].pid, l[i].idx, l[i].pf);
	if (ret == 0)
		ret = tenant_store_slots(st, &s, &n_s);
	for (size_t i = 0; i < n_s; i++)
		there |= tenant && !strcmp(s[i].tenant, tenant);
	if (ret == 0 && !there)
		ret = err_ret(
			-ENOENT,
			"releasing tenant %s: there is no such tenant; see 'fourlane tenant list'",
			tenant);
	free(l);
	free(s);
	return ret;
}

/* The file as it was applied without one tenant; NULL when nobody is left. */
static int file_without(const struct tenant_store *st, const char *tenant, struct tenant_file **out)
{
	int ret = tenant_store_get_wanted(st, out);
	struct tenant_file *f = *out;

	for (size_t i = 0; ret == 0 && f && i < f->n_tenants; i++) {
		if (strcmp(f->tenants[i].name, tenant))
			continue;
		free(f->tenants[i].macs);
		f->n_tenants--;
		memmove(&f->tenants[i], &f->tenants[i + 1],
			(f->n_tenants - i) * sizeof(*f->tenants));
		break;
	}
	if (ret == 0 && f && f->n_tenants == 0) {
		tenant_file_free(f);
		*out = NULL;
	}
	return ret;
}

int tenant_release_told(const struct sriov_env *e, const char *tenant,
			const struct tenant_listener *listener, size_t *changed)
{
	struct tenant_tx tx = { .e = e, .listener = listener };
	struct tenant_file *left = NULL;
	int lock = tenant_enter(e, "releasing tenants", &tx.st), ret;

	if (lock < 0)
		return lock;
	if (changed)
		*changed = 0;
	ret = may_go(tx.st, tenant);
	if (ret == 0 && tenant)
		ret = file_without(tx.st, tenant, &left);
	if (ret == 0)
		ret = plan_and_do(&tx, "release", left, changed);
	tenant_file_free(left);
	tenant_store_close(tx.st);
	close(lock);
	return ret;
}

int tenant_release(const struct sriov_env *e, const char *tenant)
{
	return tenant_release_told(e, tenant, NULL, NULL);
}
