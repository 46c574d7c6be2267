/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which VF is whose: what a tenant has stays its own; what is new gets the lowest free index on the
 * PF with the most room, or goes round over the PFs. The same file on the same host always gives
 * the same places. Refused here: more VFs than there are, what is in use and would go, switchdev,
 * two tenants in one IOMMU group.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tenant_plan_priv.h"

/* --- what stays ----------------------------------------------------------- */
static void place_take(struct plan_pf *pf, unsigned int idx, struct tenant_slot *s)
{
	strcpy(s->pf, pf->w->pf.id);
	s->vendor = pf->w->vendor;
	s->device = pf->w->device;
	s->idx = idx;
	pf->vf[idx].slot = s;
	if (idx < pf->limit)
		pf->room--;
}

/* Why a tenant cannot stay on a VF; NULL when it can. */
static const char *place_why_not(const struct plan_pf *pf, const struct tenant_slot *s,
				 const struct tenant_want *w)
{
	if (!w)
		return "it is no more in the file";
	if (s->nth >= w->vfs)
		return "it gets fewer VFs";
	if (!pf->may && !pf->keeps)
		return "the PF may not be carved any more";
	if (!plan_numa(w->numa, pf->w->numa))
		return "it wants another NUMA node";
	if (s->idx >= pf->limit && !pf->keeps && !(pf->fixed && s->idx < pf->w->pf.num_vfs))
		return "pfs leaves this VF to the host";
	return NULL;
}

/* slots[] has a place for each VF wanted, in the order of the file's tenants. */
static int place_keep(struct planning *pl, const size_t *first)
{
	for (size_t i = 0; i < pl->n_old; i++) {
		const struct tenant_slot *s = &pl->old[i];
		const struct tenant_want *w = plan_want(pl, s->tenant);
		struct plan_pf *pf = plan_find(pl, s->pf);
		const char *why;
		int ret = 0;

		if (!pf || s->idx >= pf->n_vf || pf->vf[s->idx].old != s) {
			ret = plan_note(pl,
					"VF %u of %s (tenant %s): the NIC is not there just now",
					s->idx, s->pf, s->tenant);
			if (ret < 0)
				return ret;
			continue;
		}
		why = place_why_not(pf, s, w);
		if (!why)
			place_take(pf, s->idx, &pl->p->slots[first[w - pl->f->tenants] + s->nth]);
		else if (plan_busy(pf, s->idx)[0])
			return plan_refuse(
				pl, w ? w->line : 0, -EBUSY,
				"tenant %s would lose VF %u of %s (%s), and %s; end that first",
				s->tenant, s->idx, pf->w->pf.name, why, plan_busy(pf, s->idx));
	}
	return 0;
}

/* --- what is new ---------------------------------------------------------- */
/* Another tenant has a VF in the IOMMU group of this one. */
static const struct tenant_slot *place_neighbour(const struct planning *pl,
						 const struct plan_pf *pf, unsigned int idx,
						 const char *tenant)
{
	int group = idx < pf->w->pf.num_vfs ? pf->w->vf[idx].group : -1;

	for (size_t i = 0; group >= 0 && i < pl->n_pf; i++) {
		const struct plan_pf *o = &pl->pf[i];

		for (unsigned int v = 0; v < o->w->pf.num_vfs; v++)
			if (o->w->vf[v].group == group && o->vf[v].slot &&
			    strcmp(o->vf[v].slot->tenant, tenant))
				return o->vf[v].slot;
	}
	return NULL;
}

/* The lowest index that the tenant can have; SRIOV_UNKNOWN: none. */
static unsigned int place_free(const struct planning *pl, struct plan_pf *pf, const char *tenant)
{
	while (pf->next < pf->limit &&
	       (pf->vf[pf->next].slot || (!pf->vf[pf->next].old && plan_busy(pf, pf->next)[0])))
		pf->next++;
	for (unsigned int i = pf->next; i < pf->limit; i++)
		if (!pf->vf[i].slot && (pf->vf[i].old || !plan_busy(pf, i)[0]) &&
		    !place_neighbour(pl, pf, i, tenant))
			return i;
	return SRIOV_UNKNOWN;
}

/* a is the better place of two with room. */
static bool place_better(const struct tenant_want *w, const struct plan_pf *a,
			 const struct plan_pf *b)
{
	if (a->own != b->own)
		return w->spread ? a->own < b->own : a->own > b->own;
	return a->room > b->room; /* the first one of equals: they are sorted */
}

/* No place for the tenant's VF: says why, as well as it is known. */
static int place_full(const struct planning *pl, const struct tenant_want *w, unsigned int nth)
{
	unsigned int room = 0;
	char pfs[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < pl->n_pf; i++) {
		const struct plan_pf *pf = &pl->pf[i];

		if (!pf->may)
			continue;
		for (unsigned int v = 0; v < pf->limit; v++) {
			const struct tenant_slot *s = place_neighbour(pl, pf, v, w->name);

			if (s && !pf->vf[v].slot && plan_numa(w->numa, pf->w->numa)) {
				struct tenant_slot both[2] = { *s, *s };

				strcpy(both[1].pf, pf->w->pf.id);
				both[1].idx = v;
				strcpy(both[1].tenant, w->name);
				return tenant_plan_groups(pl->e, pl->w, both, 2);
			}
		}
		room += pf->limit;
		used += (size_t)snprintf(pfs + used, used < sizeof(pfs) ? sizeof(pfs) - used : 0,
					 "%s%s has %u%s", used ? ", " : "", pf->w->pf.name,
					 pf->limit, pf->fixed ? " while a VF is in use" : "");
	}
	if (!pl->n_pf)
		return plan_refuse(pl, w->line, -ENODEV,
				   "tenant %s wants %u VFs, and this host has no NIC with SR-IOV; "
				   "put one in, or switch SR-IOV on in its firmware (see 'fourlane "
				   "nics')",
				   w->name, w->vfs);
	if (!pfs[0])
		return plan_refuse(pl, w->line, -ENOSPC,
				   "tenant %s wants %u VFs, and no PF may be carved: pfs matches "
				   "none that is here, or it carries the default route; see "
				   "'fourlane nics' and name one",
				   w->name, w->vfs);
	return plan_refuse(pl, w->line, -ENOSPC,
			   "tenant %s wants %u VFs, and there is none for its VF number %u: PFs "
			   "have %u for tenants in "
			   "all (%s)%s; ask for fewer or name more PFs in pfs",
			   w->name, w->vfs, nth + 1, room, pfs,
			   w->numa != TENANT_ANY ? ", not all on its NUMA node" : "");
}

static int place_one(struct planning *pl, const struct tenant_want *w, struct tenant_slot *s)
{
	unsigned int idx = SRIOV_UNKNOWN;
	struct plan_pf *best = NULL;

	for (size_t i = 0; i < pl->n_pf; i++) {
		struct plan_pf *pf = &pl->pf[i];
		unsigned int at;

		if (!pf->room || !plan_numa(w->numa, pf->w->numa) ||
		    (best && !place_better(w, pf, best)))
			continue;
		at = place_free(pl, pf, w->name);
		if (at != SRIOV_UNKNOWN) {
			best = pf;
			idx = at;
		}
	}
	if (!best)
		return place_full(pl, w, s->nth);
	place_take(best, idx, s);
	best->own++;
	return 0;
}

static int place_tenant(struct planning *pl, const struct tenant_want *w, struct tenant_slot *s)
{
	for (size_t i = 0; i < pl->n_pf; i++)
		pl->pf[i].own = 0;
	for (unsigned int n = 0; n < w->vfs; n++)
		if (s[n].pf[0])
			plan_find(pl, s[n].pf)->own++;
	for (unsigned int n = 0; n < w->vfs; n++) {
		int ret = s[n].pf[0] ? 0 : place_one(pl, w, &s[n]);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Nobody gets a place before it is known that so many can be. */
static int place_count(struct planning *pl)
{
	unsigned long long room = 0, wanted = 0;

	for (size_t i = 0; i < pl->n_pf; i++)
		room += pl->pf[i].n_vf;
	for (size_t i = 0; i < pl->f->n_tenants; i++) {
		wanted += pl->f->tenants[i].vfs;
		if (wanted > room)
			return place_full(pl, &pl->f->tenants[i],
					  (unsigned int)(pl->f->tenants[i].vfs - (wanted - room)));
	}
	pl->p->slots = calloc(wanted + 1, sizeof(*pl->p->slots));
	if (!pl->p->slots)
		return err_ret(-ENOMEM, "planning VFs: out of memory; free some");
	return 0;
}

int plan_place(struct planning *pl)
{
	struct tenant_plan *p = pl->p;
	size_t n = pl->f ? pl->f->n_tenants : 0, *first = calloc(n + 1, sizeof(*first));
	int ret = first ? 0 : err_ret(-ENOMEM, "planning VFs: out of memory; free some");

	if (ret == 0 && pl->f)
		ret = place_count(pl);
	for (size_t i = 0; ret == 0 && i < n; i++) {
		const struct tenant_want *w = &pl->f->tenants[i];

		first[i] = p->n_slots;
		for (unsigned int v = 0; v < w->vfs; v++) {
			struct tenant_slot *s = &p->slots[p->n_slots++];

			strcpy(s->tenant, w->name);
			s->nth = v;
		}
	}
	if (ret == 0)
		ret = place_keep(pl, first);
	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = place_tenant(pl, &pl->f->tenants[i], &p->slots[first[i]]);
	free(first);
	return ret;
}

/* --- groups --------------------------------------------------------------- */
struct place_group {
	int group;
	const struct tenant_slot *s;
};

static int place_by_group(const void *a, const void *b)
{
	const struct place_group *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->s < y->s ? -1 : x->s > y->s;
}

static int place_shared(const struct sriov_env *e, const struct place_group *a,
			const struct place_group *b)
{
	struct iommu_group *g = NULL;
	char members[256] = "";

	if (iommu_group_load(e->v->sysfs, (unsigned int)a->group, &g) == 0)
		iommu_group_list(g, false, members, sizeof(members));
	iommu_group_free(g);
	return err_ret(-EBUSY,
		       "planning VFs: tenants %s (VF %u of %s) and %s (VF %u of %s) would share "
		       "IOMMU group %d (%s), in which "
		       "devices reach each other; give one of them another PF, or see 'fourlane "
		       "groups' for what would part it",
		       a->s->tenant, a->s->idx, a->s->pf, b->s->tenant, b->s->idx, b->s->pf,
		       a->group, members);
}

int tenant_plan_groups(const struct sriov_env *e, const struct tenant_world *w,
		       const struct tenant_slot *slots, size_t n)
{
	struct place_group *all = calloc(n + 1, sizeof(*all));
	size_t used = 0;
	int ret = 0;

	if (!all)
		return err_ret(-ENOMEM, "planning VFs: out of memory; free some");
	for (size_t i = 0; i < n; i++) {
		const struct tenant_world_pf *p = tenant_world_find(w, slots[i].pf);

		if (p && slots[i].idx < p->pf.num_vfs && p->vf[slots[i].idx].group >= 0)
			all[used++] = (struct place_group){ p->vf[slots[i].idx].group, &slots[i] };
	}
	qsort(all, used, sizeof(*all), place_by_group);
	for (size_t i = 1; ret == 0 && i < used; i++)
		if (all[i].group == all[i - 1].group &&
		    strcmp(all[i].s->tenant, all[i - 1].s->tenant))
			ret = place_shared(e, &all[i - 1], &all[i]);
	free(all);
	return ret;
}
