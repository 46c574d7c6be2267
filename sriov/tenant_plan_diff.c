/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings: what differs between what a VF shows and what its slot says becomes a step, where the
 * driver takes it. What it is known to refuse is refused here with the source of that knowledge;
 * what nobody knows is tried first, on one VF that nobody uses. What somebody else has changed
 * since the last apply is named. Called by tenant_plan_steps.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/if_ether.h>

#include "tenant_plan_priv.h"

/* What drivers give a VF that they have just made. Whether it checks for spoofing differs. */
static const struct vf_settings fresh = { .known = VF_ALL & ~VF_BIT(VF_SPOOF),
					  .proto = ETH_P_8021Q };

/* --- single steps --------------------------------------------------------- */
static void diff_copy(enum vf_setting s, const struct vf_settings *from, struct vf_settings *to)
{
	*to = *from;
	to->known &= VF_BIT(s);
}

int plan_setting(struct planning *pl, enum tenant_step_kind kind, const struct plan_pf *pf,
		 unsigned int idx, const char *tenant, enum vf_setting s,
		 const struct vf_settings *from, const struct vf_settings *to)
{
	struct tenant_step *step = plan_step(pl, kind, pf, idx, tenant);

	if (!step)
		return -ENOMEM;
	step->setting = s;
	diff_copy(s, from, &step->from);
	diff_copy(s, to, &step->to);
	return 0;
}

void plan_clean(const struct plan_pf *pf, unsigned int idx, struct vf_settings *out)
{
	const struct tenant_before_vf *b = plan_before(pf, idx);

	*out = b ? b->set : fresh;
}

/* --- what the VF shows, and what the file says ---------------------------- */
/* As it will be when its turn comes. */
static void diff_now(const struct plan_pf *pf, unsigned int idx, struct vf_settings *now)
{
	struct vf_settings clean;

	if (idx >= pf->w->pf.num_vfs) {
		*now = fresh;
		return;
	}
	*now = pf->w->vf[idx].set;
	if (!plan_leaves(&pf->vf[idx]))
		return;
	plan_clean(pf, idx, &clean);
	clean.known &= now->known;
	*now = clean;
}

static bool diff_said(const struct tenant_want *w, enum vf_setting s)
{
	const struct vf_request *r = &w->set;

	switch (s) {
	case VF_MAC: return true;
	case VF_VLAN: return r->has_vlan || r->has_qos || r->has_proto;
	case VF_RATE: return r->has_max || r->has_min;
	case VF_SPOOF: return r->has_spoof;
	case VF_TRUST: return r->has_trust;
	case VF_LINK: return r->has_link;
	case VF_N_SETTINGS: break;
	}
	return false;
}

/* The slot's setting is what a driver without it does anyway. */
static bool diff_is_nothing(enum vf_setting s, const struct vf_settings *to)
{
	static const struct vf_settings none = { .proto = ETH_P_8021Q };

	return vf_setting_equal(s, to, &none);
}

/* Set by an apply of this boot; what the driver does not show is believed. */
static bool diff_was_set(const struct plan_pf *pf, unsigned int idx, enum vf_setting s)
{
	const struct plan_vf *v = &pf->vf[idx];

	return pf->before && idx < pf->w->pf.num_vfs && v->old && !plan_leaves(v) &&
	       (v->old->set.known & VF_BIT(s)) && vf_setting_equal(s, &v->old->set, &v->slot->set);
}

/* --- one setting of one VF ------------------------------------------------ */
struct diff {
	struct planning *pl;
	struct plan_pf *pf;
	const struct tenant_want *w;
	unsigned int idx;
	struct vf_settings now;
	enum vf_can_what refused;   /* by diff_can() */
	unsigned int unknown;       /* bits of enum vf_can_what that a step asks for */
	unsigned int idx_of[CAN_N]; /* the first VF that needs it */
	enum vf_setting set_of[CAN_N];
};

/* 1: the driver takes it, or it will be tried; 0: it does not, and nobody has asked for it. */
static int diff_can(struct diff *d, enum vf_setting s, unsigned int bits, bool said)
{
	const struct tenant_world_pf *w = d->pf->w;

	for (int c = 0; c < CAN_N; c++) {
		if (!(bits & 1u << c) || w->can[c].answer != CAN_NO)
			continue;
		d->refused = (enum vf_can_what)c;
		if (!said)
			return 0;
		return plan_refuse(
			d->pl, d->w->line, -EOPNOTSUPP,
			"tenant %s: %s does not take %s (%s); leave it out, or use another NIC",
			d->w->name, w->pf.name, vf_can_names[c], w->can[c].source);
	}
	for (int c = 0; c < CAN_N; c++)
		if ((bits & 1u << c) && w->can[c].answer == CAN_UNKNOWN &&
		    (!(d->unknown & 1u << c) || plan_busy(d->pf, d->idx_of[c])[0])) {
			d->unknown |= 1u << c;
			d->idx_of[c] = d->idx;
			d->set_of[c] = s;
		}
	return 1;
}

static int diff_left(struct diff *d, enum vf_setting s, struct tenant_slot *slot)
{
	char text[64];

	vf_setting_text(s, &slot->set, text, sizeof(text));
	slot->set.known &= ~VF_BIT(s);
	return plan_note(d->pl, "VF %u of %s (tenant %s): %s cannot be set (%.100s)", d->idx,
			 d->pf->w->pf.name, slot->tenant, text, d->pf->w->can[d->refused].source);
}

static int diff_busy_mac(const struct diff *d, const struct tenant_slot *slot)
{
	const struct tenant_slot *old = d->pf->vf[d->idx].old;

	if (!plan_busy(d->pf, d->idx)[0] || (old && !memcmp(old->set.mac, slot->set.mac, 6)))
		return 0;
	return plan_refuse(d->pl, d->w->at.mac ? d->w->at.mac : d->w->line, -EBUSY,
			   "tenant %s: VF %u of %s would get another MAC, and %s; end that first",
			   d->w->name, d->idx, d->pf->w->pf.name, plan_busy(d->pf, d->idx));
}

static int diff_setting(struct diff *d, enum vf_setting s)
{
	struct plan_vf *v = &d->pf->vf[d->idx];
	bool said = diff_said(d->w, s), shown = d->now.known & VF_BIT(s);
	struct vf_settings want = v->slot->set;
	int ret;

	if (shown ? vf_setting_equal(s, &d->now, &want)
		  : diff_was_set(d->pf, d->idx, s) || (!said && diff_is_nothing(s, &want)))
		return 0;
	want.known = VF_BIT(s);
	ret = diff_can(d, s, vf_caps_needed(&d->now, &want),
		       said && (shown || !diff_is_nothing(s, &want)));
	if (ret == 0)
		return diff_left(d, s, v->slot);
	if (ret > 0 && s == VF_MAC)
		ret = diff_busy_mac(d, v->slot);
	return ret < 0 ? ret
		       : plan_setting(d->pl, STEP_SETTING, d->pf, d->idx, v->slot->tenant, s,
				      &d->now, &v->slot->set);
}

/* --- what somebody else did ----------------------------------------------- */
static int diff_drift(struct planning *pl, const struct plan_pf *pf, unsigned int idx)
{
	const struct tenant_slot *old = pf->vf[idx].old;
	const struct tenant_world_vf *v = &pf->w->vf[idx];
	char is[64], was[64];
	int ret = 0;

	for (int s = 0; s < VF_N_SETTINGS && ret == 0; s++) {
		if (!(old->set.known & v->set.known & VF_BIT(s)) ||
		    vf_setting_equal(s, &old->set, &v->set))
			continue;
		vf_setting_text(s, &v->set, is, sizeof(is));
		vf_setting_text(s, &old->set, was, sizeof(was));
		ret = plan_note(pl, "VF %u of %s (tenant %s): %s, not %s: somebody else set it",
				idx, pf->w->pf.name, old->tenant, is, was);
	}
	if (ret == 0 && strcmp(v->driver[0] ? v->driver : "none", old->driver))
		ret = plan_note(
			pl, "VF %u of %s (tenant %s): driver %s, not %s: somebody else bound it",
			idx, pf->w->pf.name, old->tenant, v->driver[0] ? v->driver : "none",
			old->driver);
	return ret;
}

/* --- tried first ---------------------------------------------------------- */
/* A VF that nobody uses; it need not be the tenant's. */
static unsigned int diff_trial_vf(const struct plan_pf *pf, unsigned int idx)
{
	if (!plan_busy(pf, idx)[0])
		return idx;
	for (unsigned int i = 0; i < pf->target; i++)
		if (!plan_busy(pf, i)[0])
			return i;
	return SRIOV_UNKNOWN;
}

static int diff_proofs(struct diff *d, size_t first)
{
	struct tenant_plan *p = d->pl->p;
	size_t settings = p->n_steps - first, n = 0;

	for (int c = 0; c < CAN_N; c++) {
		const struct plan_vf *v = &d->pf->vf[d->idx_of[c]];
		unsigned int idx;
		struct vf_settings now;
		int ret;

		if (!(d->unknown & 1u << c))
			continue;
		idx = diff_trial_vf(d->pf, d->idx_of[c]);
		if (idx == SRIOV_UNKNOWN)
			return plan_refuse(d->pl, plan_want(d->pl, v->slot->tenant)->line, -EBUSY,
					   "tenant %s: nobody knows whether %s takes %s (%s), and "
					   "no VF is free to try it on; "
					   "free one",
					   v->slot->tenant, d->pf->w->pf.name, vf_can_names[c],
					   d->pf->w->can[c].source);
		diff_now(d->pf, idx, &now);
		ret = plan_setting(d->pl, STEP_PROVE, d->pf, idx, v->slot->tenant, d->set_of[c],
				   &now, &v->slot->set);
		if (ret < 0)
			return ret;
		p->steps[p->n_steps - 1].what = (enum vf_can_what)c;
		n++;
	}
	/* they were found together with the settings, and come before them */
	for (size_t i = 0; i < n; i++) {
		struct tenant_step proof = p->steps[first + settings + i];

		memmove(&p->steps[first + i + 1], &p->steps[first + i],
			settings * sizeof(*p->steps));
		p->steps[first + i] = proof;
	}
	return 0;
}

/* --- one PF --------------------------------------------------------------- */
/*
 * A VF of before the first tenant that is made again: nobody knows what it will show, some drivers
 * give it what the last one with its index had. Each setting is looked at when its turn comes.
 */
static int diff_again(struct planning *pl, const struct plan_pf *pf, unsigned int idx)
{
	const struct tenant_before_vf *b =
		pf->before && idx < pf->before->num_vfs ? plan_before(pf, idx) : NULL;
	static const struct vf_settings unknown;
	int ret = 0;

	for (int s = 0; b && s < VF_N_SETTINGS && ret == 0; s++)
		if (b->set.known & VF_BIT(s))
			ret = plan_setting(pl, STEP_SETTING, pf, idx, "", s, &unknown, &b->set);
	return ret;
}

int plan_diff(struct planning *pl, struct plan_pf *pf)
{
	struct diff d = { .pl = pl, .pf = pf };
	size_t first = pl->p->n_steps;
	int ret = 0;

	for (unsigned int i = 0; i < pf->n_vf && ret == 0; i++) {
		const struct plan_vf *v = &pf->vf[i];

		if (v->old && i < pf->w->pf.num_vfs && pf->before)
			ret = diff_drift(pl, pf, i);
		if (ret < 0 || !v->slot) {
			if (ret == 0 && i >= pf->w->pf.num_vfs && i < pf->target)
				ret = diff_again(pl, pf, i);
			continue;
		}
		d.idx = i;
		d.w = plan_want(pl, v->slot->tenant);
		diff_now(pf, i, &d.now);
		for (int s = 0; s < VF_N_SETTINGS && ret == 0; s++)
			ret = diff_setting(&d, (enum vf_setting)s);
	}
	return ret < 0 || !d.unknown ? ret : diff_proofs(&d, first);
}
