/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From places and values to steps, in this order: VFs are taken from their drivers, reset and set
 * back to what was before where they leave a tenant; the number of VFs changes; what nobody knows
 * the driver to take is tried; settings are made, and drivers bound. VFs that stay over a change of
 * the number are what they were when it is done (tenant_apply_guard.c sees to that), so no step is
 * about them. Called by tenant_plan.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/if_ether.h>

#include "core/err.h"
#include "tenant_plan_priv.h"

static const char *step_driver(const char *driver)
{
	return strcmp(driver, "none") ? driver : "";
}

/* --- how many ------------------------------------------------------------- */
/* The number of VFs that a PF is to have. */
static unsigned int steps_target(const struct plan_pf *pf)
{
	unsigned int need = 0, keep = pf->rule ? pf->rule->keep : 0, num = pf->w->pf.num_vfs;

	for (unsigned int i = 0; i < pf->n_vf; i++)
		if (pf->vf[i].slot)
			need = i + 1;
	if (!need) /* no tenant is on it: as it was before the first came */
		return pf->before ? pf->before->num_vfs : num;
	if (pf->rule && pf->rule->vfs != SRIOV_UNKNOWN)
		return pf->rule->vfs;
	if (pf->fixed && need <= num)
		return num;
	return need + keep > num ? need + keep : num;
}

static bool steps_has_tenant(const struct plan_pf *pf)
{
	for (unsigned int i = 0; i < pf->n_vf; i++)
		if (pf->vf[i].slot)
			return true;
	return false;
}

static int steps_count_free(const struct planning *pl, const struct plan_pf *pf)
{
	for (unsigned int i = 0; i < pf->w->pf.num_vfs; i++)
		if (plan_busy(pf, i)[0])
			return plan_refuse(pl, pf->rule ? pf->rule->line : 0, -EBUSY,
					   "%s would get %u VFs in place of %u, for which the "
					   "kernel takes all away, and VF %u is in "
					   "use: %s; end that first",
					   pf->w->pf.name, pf->target, pf->w->pf.num_vfs, i,
					   plan_busy(pf, i));
	return 0;
}

static int steps_autoprobe(struct planning *pl, const struct plan_pf *pf, int from, int to)
{
	struct tenant_step *s;

	if (from < 0 || to < 0 || from == to)
		return 0;
	s = plan_step(pl, STEP_AUTOPROBE, pf, SRIOV_UNKNOWN, "");
	if (!s)
		return -ENOMEM;
	s->n_from = (unsigned int)from;
	s->n_to = (unsigned int)to;
	return 0;
}

/*
 * VFs get no host driver by themselves as long as tenants have some of the PF's: not when they are
 * made, nor when a module is loaded later.
 */
static bool steps_probe_off(const struct plan_pf *pf)
{
	return steps_has_tenant(pf) || (pf->target && pf->target != pf->w->pf.num_vfs);
}

static int steps_count(struct planning *pl, const struct plan_pf *pf)
{
	int ret = steps_probe_off(pf) ? steps_autoprobe(pl, pf, pf->w->autoprobe, 0) : 0;
	struct tenant_step *s;

	if (ret < 0 || pf->target == pf->w->pf.num_vfs)
		return ret;
	s = plan_step(pl, STEP_NUM_VFS, pf, SRIOV_UNKNOWN, "");
	if (!s)
		return -ENOMEM;
	s->n_from = pf->w->pf.num_vfs;
	s->n_to = pf->target;
	return 0;
}

/* When the last tenant is gone the switch is as it was. */
static int steps_probe_back(struct planning *pl, const struct plan_pf *pf)
{
	int now = pf->w->autoprobe, before = pf->before ? pf->before->autoprobe : now;

	if (steps_has_tenant(pf))
		return 0;
	return steps_autoprobe(pl, pf, steps_probe_off(pf) && now > 0 ? 0 : now, before);
}

/* --- drivers -------------------------------------------------------------- */
static int steps_driver(struct planning *pl, enum tenant_step_kind kind, const struct plan_pf *pf,
			unsigned int idx, const char *tenant, const char *driver)
{
	struct tenant_step *s = plan_step(pl, kind, pf, idx, tenant);

	if (!s)
		return -ENOMEM;
	snprintf(kind == STEP_BIND ? s->driver_to : s->driver_from, sizeof(s->driver_to), "%s",
		 driver);
	return 0;
}

/* What is bound to a VF in the end; "" none. */
static const char *steps_driver_end(const struct plan_pf *pf, unsigned int idx)
{
	const struct tenant_before_vf *b = plan_before(pf, idx);

	if (idx >= pf->target)
		return "";
	if (pf->vf[idx].slot)
		return step_driver(pf->vf[idx].slot->driver);
	if (idx >= pf->w->pf.num_vfs) /* made again, if it was there before the first tenant */
		return b && idx < pf->before->num_vfs ? step_driver(b->driver) : "";
	if (pf->vf[idx].old)
		return b ? step_driver(b->driver) : "";
	return pf->w->vf[idx].driver; /* none of ours */
}

/* --- VFs that leave a tenant ---------------------------------------------- */
bool plan_leaves(const struct plan_vf *v)
{
	return v->old && (!v->slot || strcmp(v->old->tenant, v->slot->tenant));
}

static int steps_leave(struct planning *pl, const struct plan_pf *pf, unsigned int idx)
{
	const struct tenant_world_vf *v = &pf->w->vf[idx];
	const char *tenant = pf->vf[idx].old->tenant;
	struct vf_settings to;
	int ret = 0;

	if (v->driver[0])
		ret = steps_driver(pl, STEP_UNBIND, pf, idx, tenant, v->driver);
	if (ret == 0 && pf->w->pf.pci && !plan_step(pl, STEP_RESET, pf, idx, tenant))
		ret = -ENOMEM;
	plan_clean(pf, idx, &to);
	for (int s = 0; s < VF_N_SETTINGS && ret == 0; s++)
		if ((to.known & v->set.known & VF_BIT(s)) && !vf_setting_equal(s, &v->set, &to))
			ret = plan_setting(pl, STEP_SETTING, pf, idx, tenant, s, &v->set, &to);
	return ret;
}

/* A VF whose tenant stays, or that gets its first one, may have the wrong driver. */
static int steps_unbind(struct planning *pl, const struct plan_pf *pf, unsigned int idx)
{
	const struct plan_vf *v = &pf->vf[idx];
	const char *is = pf->w->vf[idx].driver;

	if (!v->slot || !is[0] || !strcmp(is, step_driver(v->slot->driver)))
		return 0;
	if (plan_busy(pf, idx)[0])
		return plan_refuse(pl, plan_want(pl, v->slot->tenant)->line, -EBUSY,
				   "tenant %s: VF %u of %s would change its driver from %s to %s, "
				   "and %s; end that first",
				   v->slot->tenant, idx, pf->w->pf.name, is, v->slot->driver,
				   plan_busy(pf, idx));
	return steps_driver(pl, STEP_UNBIND, pf, idx, v->slot->tenant, is);
}

static int steps_take(struct planning *pl, const struct plan_pf *pf)
{
	unsigned int num = pf->w->pf.num_vfs;
	int ret = 0;

	for (unsigned int i = 0; i < num && ret == 0; i++)
		ret = plan_leaves(&pf->vf[i]) ? steps_leave(pl, pf, i) : steps_unbind(pl, pf, i);
	return ret;
}

static int steps_bind(struct planning *pl, const struct plan_pf *pf)
{
	int ret = 0;

	for (unsigned int i = 0; i < pf->target && ret == 0; i++) {
		const struct plan_vf *v = &pf->vf[i];
		bool there = i < pf->w->pf.num_vfs;
		const char *end = steps_driver_end(pf, i), *now = there ? pf->w->vf[i].driver : "";

		if (!end[0] || (!plan_leaves(v) && !strcmp(now, end)))
			continue;
		ret = steps_driver(pl, STEP_BIND, pf, i,
				   v->slot  ? v->slot->tenant
				   : v->old ? v->old->tenant
					    : "",
				   end);
	}
	return ret;
}

/* --- all ------------------------------------------------------------------ */
/* In this boot tenants had VFs on it: they were not to go by themselves. */
static int steps_vanished(struct planning *pl, const struct plan_pf *pf)
{
	for (unsigned int i = pf->w->pf.num_vfs; pf->before && i < pf->n_vf; i++)
		if (pf->vf[i].old)
			return plan_note(pl,
					 "%s has %u VFs, and VF %u was tenant %s's: somebody else "
					 "took them away",
					 pf->w->pf.name, pf->w->pf.num_vfs, i,
					 pf->vf[i].old->tenant);
	return 0;
}

int plan_steps(struct planning *pl)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < pl->n_pf; i++) {
		struct plan_pf *pf = &pl->pf[i];

		pf->target = steps_target(pf);
		if (pf->target != pf->w->pf.num_vfs && pf->w->pf.num_vfs)
			ret = steps_count_free(pl, pf);
		if (ret == 0)
			ret = steps_vanished(pl, pf);
	}
	for (size_t i = 0; ret == 0 && i < pl->n_pf; i++)
		ret = steps_take(pl, &pl->pf[i]);
	for (size_t i = 0; ret == 0 && i < pl->n_pf; i++)
		ret = steps_count(pl, &pl->pf[i]);
	for (size_t i = 0; ret == 0 && i < pl->n_pf; i++)
		ret = plan_diff(pl, &pl->pf[i]);
	for (size_t i = 0; ret == 0 && i < pl->n_pf; i++)
		ret = steps_bind(pl, &pl->pf[i]);
	for (size_t i = 0; ret == 0 && i < pl->n_pf; i++)
		ret = steps_probe_back(pl, &pl->pf[i]);
	return ret;
}
