/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands around a tenants' transaction before its first step: rights, VFs that are in use, and
 * what is lost on the way when the number of VFs changes (the kernel demands 0 in between). Called
 * by tenant_apply.c; changes nothing on the host.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "tenant_tx.h"

#define CAP_NET_ADMIN_BIT 12 /* linux/capability.h */

/* --- rights ------------------------------------------------------------- */
int tenant_check_rights(const struct sriov_env *e, const char *doing)
{
	/* a host that does not tell is tried */
	uint64_t caps = paths_status_number(e->v->proc, "self", "CapEff:", 16, ~0ull);

	if (caps >> CAP_NET_ADMIN_BIT & 1)
		return 0;
	return err_ret(-EPERM, "%s: user %u lacks CAP_NET_ADMIN; run as root", doing, geteuid());
}

static int check_writable(const struct sriov_pf *pf, const char *file)
{
	char path[PATH_MAX + 32];
	int err;

	snprintf(path, sizeof(path), "%s/%s", pf->path, file);
	if (access(path, W_OK) == 0 || errno == ENOENT)
		return 0;
	err = errno;
	return err_ret(
		-err, "changing the VFs of %s: %s: %s; %s", pf->name, path, strerror(err),
		err == EROFS
			? "/sys is mounted read-only, as in a container: run it on the host itself"
			: "it takes root (CAP_DAC_OVERRIDE)");
}

/* --- in use ------------------------------------------------------------- */
static bool was_slot(const struct tenant_slot *old, size_t n, const struct tenant_step *s)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(old[i].pf, s->pf) && old[i].idx == s->idx)
			return !strcmp(old[i].tenant, s->tenant);
	return false;
}

/* What its own tenant's guest has may be set right under it; nothing else may be touched. */
static int check_step(struct tenant_tx *tx, const struct tenant_slot *old, size_t n,
		      const struct tenant_step *s)
{
	struct tenant_tx_pf *t;
	char holder[256];
	int ret = tenant_tx_pf(tx, s->pf, &t);

	if (ret < 0)
		return err_ret(ret, "changing the VFs of %s: %s; is the NIC still there?", s->pf,
			       strerror(-ret));
	if (s->kind == STEP_AUTOPROBE)
		return check_writable(&t->pf, "sriov_drivers_autoprobe");
	if (s->kind == STEP_NUM_VFS) {
		ret = check_writable(&t->pf, "sriov_numvfs");
		return ret < 0 ? ret
			       : vf_any_holder(tx->e, &t->pf, 0, t->pf.num_vfs,
					       "changing the number of VFs of");
	}
	if (s->kind == STEP_SETTING && was_slot(old, n, s))
		return 0;
	if (s->idx >= t->pf.num_vfs ||
	    !tenant_vf_holder(tx->e, tx->st, &t->pf, s->idx, holder, sizeof(holder)))
		return 0;
	return err_ret(-EBUSY, "changing VF %u of %s: it is in use: %s; end that first", s->idx,
		       t->pf.name, holder);
}

int tenant_tx_check(struct tenant_tx *tx)
{
	const struct tenant_step *last = NULL;
	struct tenant_slot *old;
	size_t n;
	int ret = tenant_store_slots(tx->st, &old, &n);

	for (size_t i = 0; ret == 0 && i < tx->plan->n_steps; i++) {
		const struct tenant_step *s = &tx->plan->steps[i];

		/* the settings of one VF stand together */
		if (last && last->kind == STEP_SETTING && s->kind == STEP_SETTING &&
		    last->idx == s->idx && !strcmp(last->pf, s->pf) &&
		    !strcmp(last->tenant, s->tenant))
			continue;
		ret = check_step(tx, old, n, s);
		last = s;
	}
	free(old);
	return ret;
}

/* --- what was ----------------------------------------------------------- */
static int before_pf(struct tenant_tx *tx, const char *id, struct tenant_before *b)
{
	struct tenant_tx_pf *t;
	int ret = tenant_tx_pf(tx, id, &t);
	unsigned int v;

	if (ret == -ENODEV) /* a slot on a NIC that is not there */
		return 1;
	if (ret == 0)
		ret = tenant_tx_table(tx, t);
	if (ret < 0)
		return ret;
	memset(b, 0, sizeof(*b));
	strcpy(b->pf, t->pf.id);
	tenant_pf_ident(&t->pf, &b->vendor, &b->device);
	sriov_boot_id(tx->e, b->boot_id, sizeof(b->boot_id));
	b->num_vfs = t->pf.num_vfs;
	v = sriov_read_number(t->pf.path, "sriov_drivers_autoprobe");
	b->autoprobe = v <= 1 ? (int)v : -1;
	b->vf = calloc(t->table.announced + 1, sizeof(*b->vf));
	if (!b->vf)
		return err_ret(-ENOMEM, "noting the VFs of %s: out of memory; free some",
			       t->pf.name);
	for (unsigned int i = 0; i < t->table.announced; i++) {
		b->vf[i].idx = i;
		b->vf[i].set = t->table.vf[i];
		vf_driver(&t->pf, i, b->vf[i].driver);
	}
	b->n_vfs = t->table.announced;
	return 0;
}

static int before_add(struct tenant_tx *tx, const char *id, struct tenant_before **all, size_t *n)
{
	struct tenant_before *grown;
	int ret;

	for (size_t i = 0; i < *n; i++)
		if (!strcmp((*all)[i].pf, id))
			return 0;
	grown = realloc(*all, (*n + 1) * sizeof(*grown));
	if (!grown)
		return err_ret(-ENOMEM, "noting the VFs of %s: out of memory; free some", id);
	*all = grown;
	ret = before_pf(tx, id, &grown[*n]);
	if (ret == 0)
		++*n;
	return ret < 0 ? ret : 0;
}

int tenant_tx_before(struct tenant_tx *tx, struct tenant_before **out, size_t *n)
{
	int ret = 0;

	*out = NULL;
	*n = 0;
	for (size_t i = 0; ret == 0 && i < tx->plan->n_steps; i++)
		ret = before_add(tx, tx->plan->steps[i].pf, out, n);
	for (size_t i = 0; ret == 0 && i < tx->plan->n_slots; i++)
		ret = before_add(tx, tx->plan->slots[i].pf, out, n);
	if (ret < 0) {
		tenant_before_free(*out, *n);
		*out = NULL;
	}
	return ret;
}

/* --- what a change of the number takes along ---------------------------- */
struct step_list {
	struct tenant_step *s;
	size_t n, room;
};

static int list_add(struct step_list *l, const struct tenant_step *s)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct tenant_step *grown = realloc(l->s, room * sizeof(*grown));

		if (!grown)
			return err_ret(-ENOMEM, "planning: out of memory; free some");
		l->s = grown;
		l->room = room;
	}
	l->s[l->n++] = *s;
	return 0;
}

/* A VF as it is when the steps up to here are taken. */
struct vf_then {
	struct vf_settings set;
	char driver[TENANT_DRIVER_SIZE];
};

static void then_step(struct vf_then *v, unsigned int n, const char *pf,
		      const struct tenant_step *s)
{
	if (strcmp(s->pf, pf) || s->idx >= n)
		return;
	if (s->kind == STEP_SETTING)
		vf_setting_copy(s->setting, &s->to, &v[s->idx].set);
	if (s->kind == STEP_UNBIND)
		v[s->idx].driver[0] = '\0';
	if (s->kind == STEP_BIND)
		snprintf(v[s->idx].driver, sizeof(v[s->idx].driver), "%s", s->driver_to);
}

/* Settings and drivers of the VFs below `n`: before the change as what was, after it as wanted. */
static int add_vfs(struct step_list *l, const struct vf_then *v, unsigned int n, const char *pf,
		   bool after)
{
	int ret = 0;

	for (unsigned int i = 0; i < n && ret == 0; i++) {
		struct tenant_step s = { .idx = i, .kind = STEP_SETTING };

		strcpy(s.pf, pf);
		for (int k = 0; k < VF_N_SETTINGS && ret == 0; k++) {
			if (!(v[i].set.known & VF_BIT(k)))
				continue;
			s.setting = (enum vf_setting)k;
			memset(&s.from, 0, sizeof(s.from));
			memset(&s.to, 0, sizeof(s.to));
			vf_setting_copy(s.setting, &v[i].set, &s.to);
			if (!after)
				s.from = s.to;
			ret = list_add(l, &s);
		}
		if (!v[i].driver[0] || ret < 0)
			continue;
		s.kind = after ? STEP_BIND : STEP_UNBIND;
		strcpy(after ? s.driver_to : s.driver_from, v[i].driver);
		ret = list_add(l, &s);
	}
	return ret;
}

static int protect_one(struct tenant_tx *tx, struct step_list *l, const struct tenant_step *s)
{
	unsigned int stay = s->n_from < s->n_to ? s->n_from : s->n_to;
	struct tenant_tx_pf *t;
	struct vf_then *v;
	int ret = tenant_tx_pf(tx, s->pf, &t);

	if (ret == 0)
		ret = tenant_tx_table(tx, t);
	if (ret < 0)
		return ret;
	v = calloc(s->n_from + 1, sizeof(*v));
	if (!v)
		return err_ret(-ENOMEM, "planning: out of memory; free some");
	for (unsigned int i = 0; i < s->n_from && i < t->table.announced; i++) {
		v[i].set = t->table.vf[i];
		vf_driver(&t->pf, i, v[i].driver);
	}
	for (size_t i = 0; i < l->n; i++)
		then_step(v, s->n_from, s->pf, &l->s[i]);
	ret = add_vfs(l, v, s->n_from, s->pf, false);
	if (ret == 0)
		ret = list_add(l, s);
	if (ret == 0)
		ret = add_vfs(l, v, stay, s->pf, true);
	free(v);
	return ret;
}

int tenant_tx_protect(struct tenant_tx *tx)
{
	struct tenant_plan *p = tx->plan;
	struct step_list l = { 0 };
	int ret = 0;

	for (size_t i = 0; i < p->n_steps && ret == 0; i++)
		ret = p->steps[i].kind == STEP_NUM_VFS && p->steps[i].n_from
			      ? protect_one(tx, &l, &p->steps[i])
			      : list_add(&l, &p->steps[i]);
	if (ret < 0) {
		free(l.s);
		return ret;
	}
	free(p->steps);
	p->steps = l.s;
	p->n_steps = l.n;
	return 0;
}
