/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which PFs tenants may have VFs of, and how many: the file's rules, what a PF can have at most,
 * what is left to the host, and what the default route and VFs in use forbid. A PF in switchdev
 * mode is refused. Called by tenant_plan.c before anything gets a place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tenant_plan_priv.h"

/* --- which ---------------------------------------------------------------- */
/* A machine without NUMA says -1 for its one node. */
bool plan_numa(int wanted, int is)
{
	return wanted == TENANT_ANY || wanted == is || (is == TENANT_ANY && wanted == 0);
}

static bool pfs_matches(const struct tenant_match *m, const struct tenant_world_pf *w)
{
	return (!m->pci[0] || !strcmp(m->pci, w->pf.id)) &&
	       (!m->name[0] || !strcmp(m->name, w->pf.name)) &&
	       (!m->root_port[0] || !strcmp(m->root_port, w->root_port)) &&
	       (m->vendor == TENANT_ANY || m->vendor == w->vendor) &&
	       (m->device == TENANT_ANY || m->device == w->device) && plan_numa(m->numa, w->numa);
}

/* Sets pf->may and pf->rule. */
static int pfs_rule(struct planning *pl, struct plan_pf *pf)
{
	const struct tenant_world_pf *w = pf->w;
	bool named;

	for (size_t i = 0; i < pl->f->n_rules && !pf->rule; i++)
		if (pfs_matches(&pl->f->rules[i].match, w))
			pf->rule = &pl->f->rules[i];
	pf->may = pf->rule || !pl->f->n_rules;
	named = pf->rule && (pf->rule->match.pci[0] || pf->rule->match.name[0]);
	if (pf->may && w->default_route && !named) {
		pf->may = false;
		pf->keeps = true;
		return plan_note(pl, "%s carries the default route: left out, unless pfs names it",
				 w->pf.name);
	}
	if (pf->may && !strcmp(w->eswitch, "switchdev"))
		return plan_refuse(pl, pf->rule ? pf->rule->line : 0, -EOPNOTSUPP,
				   "%s is in switchdev mode, where the switch and not the PF sets "
				   "its VFs; 'devlink dev "
				   "eswitch set %s/%s mode legacy', or leave it out in pfs",
				   w->pf.name, w->pf.pci ? "pci" : w->pf.driver, w->pf.id);
	if (pf->may && pf->rule && pf->rule->vfs != SRIOV_UNKNOWN &&
	    w->pf.total_vfs != SRIOV_UNKNOWN && pf->rule->vfs > w->pf.total_vfs)
		return plan_refuse(pl, pf->rule->line, -ENOSPC,
				   "%s can have %u VFs at most, not %u; write fewer", w->pf.name,
				   w->pf.total_vfs, pf->rule->vfs);
	return 0;
}

static void pfs_limit(struct plan_pf *pf)
{
	unsigned int num = pf->w->pf.num_vfs, keep = pf->rule ? pf->rule->keep : 0, most;

	for (unsigned int i = 0; i < num && !pf->fixed; i++)
		pf->fixed = pf->w->vf[i].holder[0];
	most = pf->w->pf.total_vfs == SRIOV_UNKNOWN ? SRIOV_MAX_VFS : pf->w->pf.total_vfs;
	if (pf->rule && pf->rule->vfs != SRIOV_UNKNOWN)
		most = pf->rule->vfs;
	else if (pf->fixed) /* another number would take away the VF that is in use */
		most = num;
	pf->limit = pf->may && most > keep ? most - keep : 0;
}

/* The array of a PF's VFs: what was, what is, what the store has, what there may be. */
static int pfs_vfs(struct planning *pl, struct plan_pf *pf)
{
	unsigned int keep = pf->rule ? pf->rule->keep : 0;

	pf->n_vf = pf->limit;
	if (pf->n_vf < pf->w->pf.num_vfs)
		pf->n_vf = pf->w->pf.num_vfs;
	if (pf->before && pf->n_vf < pf->before->num_vfs)
		pf->n_vf = pf->before->num_vfs;
	for (size_t i = 0; i < pl->n_old; i++)
		if (!strcmp(pl->old[i].pf, pf->w->pf.id) && pl->old[i].idx >= pf->n_vf &&
		    pl->old[i].idx < SRIOV_MAX_VFS)
			pf->n_vf = pl->old[i].idx + 1;
	pf->n_vf += keep;
	pf->vf = calloc((size_t)pf->n_vf + 1, sizeof(*pf->vf));
	return pf->vf ? 0 : err_ret(-ENOMEM, "planning VFs: out of memory; free some");
}

static int pfs_old(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_old; i++) {
		const struct tenant_slot *s = &pl->old[i];
		struct plan_pf *pf = plan_find(pl, s->pf);

		if (pf && (pf->w->vendor != s->vendor || pf->w->device != s->device)) {
			if (pl->f)
				return plan_refuse(pl, 0, -ENXIO,
						   "tenant %s's VFs were of %s when it was "
						   "%04x:%04x, now it is %04x:%04x, "
						   "another device; 'fourlane tenant release "
						   "--all', then apply a file that fits",
						   s->tenant, s->pf, s->vendor, s->device,
						   pf->w->vendor, pf->w->device);
			continue;
		}
		if (pf && s->idx < pf->n_vf)
			pf->vf[s->idx].old = s;
	}
	return 0;
}

static int pfs_unmatched(struct planning *pl)
{
	for (size_t i = 0; pl->f && i < pl->f->n_rules; i++) {
		bool found = false;
		int ret;

		for (size_t k = 0; k < pl->n_pf && !found; k++)
			found = pfs_matches(&pl->f->rules[i].match, pl->pf[k].w);
		ret = found ? 0
			    : plan_note(pl, "%.150s:%u: there is no such PF just now", pl->f->path,
					pl->f->rules[i].line);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int plan_pfs(struct planning *pl)
{
	int ret = pfs_unmatched(pl);

	for (size_t i = 0; ret == 0 && i < pl->n_pf; i++) {
		ret = pl->f ? pfs_rule(pl, &pl->pf[i]) : 0;
		if (ret < 0)
			return ret;
		pfs_limit(&pl->pf[i]);
		ret = pfs_vfs(pl, &pl->pf[i]);
	}
	if (ret == 0)
		ret = pfs_old(pl);
	for (size_t i = 0; ret == 0 && i < pl->n_pf; i++) {
		struct plan_pf *pf = &pl->pf[i];

		pf->room = pf->limit;
		for (unsigned int v = 0; v < pf->limit && v < pf->w->pf.num_vfs; v++)
			pf->room -= !pf->vf[v].old && plan_busy(pf, v)[0];
	}
	return ret;
}
