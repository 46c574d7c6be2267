/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking one step of a tenants' plan, and reading back what the steps have set: once a PF, not once
 * a setting. Called by tenant_apply.c for each step in turn. A step that nobody knows the driver to
 * take (STEP_PROVE) is tried, read back, taken back and remembered.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/paths.h"
#include "tenant_tx.h"

bool tenant_step_marked(const struct tenant_step *s)
{
	return s->kind != STEP_SETTING;
}

/* --- one setting -------------------------------------------------------- */
static int now_of(struct tenant_tx *tx, struct tenant_tx_pf *t, unsigned int idx,
		  struct vf_settings **now)
{
	int ret = tenant_tx_table(tx, t);

	if (ret < 0)
		return ret;
	*now = tenant_tx_now(t, idx);
	return *now ? 0
		    : err_ret(-ENODEV,
			      "setting VF %u of %s: it has %u VFs now; who took them away? "
			      "Repeat the call when that has ended",
			      idx, t->pf.name, t->table.announced);
}

/* A rate refused while there is no link, or above the link's, says nothing about the driver. */
static bool refusal_counts(const struct tenant_step *s, const struct sriov_pf *pf, int err)
{
	char line[16];

	if (err != -EINVAL || s->setting != VF_RATE)
		return true;
	if (paths_read_line(line, sizeof(line), "%s/net/%s/carrier", pf->path, pf->name) <= 0 ||
	    line[0] != '1')
		return false;
	/* Mbit/s; -1 where the driver does not know */
	return paths_read_line(line, sizeof(line), "%s/net/%s/speed", pf->path, pf->name) <= 0 ||
	       atol(line) <= 0 || s->to.max_tx_mbit <= (unsigned long)atol(line);
}

static int take_setting(struct tenant_tx *tx, struct tenant_tx_pf *t, const struct tenant_step *s)
{
	struct vf_settings *now;
	int ret = now_of(tx, t, s->idx, &now);

	if (ret < 0)
		return ret;
	if ((now->known & VF_BIT(s->setting)) && vf_setting_equal(s->setting, now, &s->to))
		return 0;
	ret = vf_setting_write(tx->e, &t->pf, s->idx, s->setting, &s->to);
	if (ret < 0)
		return ret;
	t->unverified = true;
	vf_setting_copy(s->setting, &s->to, now);
	return 0;
}

/* --- a setting that nobody knows ---------------------------------------- */
static int prove_shown(struct tenant_tx *tx, struct tenant_tx_pf *t, const struct tenant_step *s)
{
	struct vf_settings *now;
	int ret;

	tenant_tx_forget_table(t);
	ret = now_of(tx, t, s->idx, &now);
	if (ret < 0)
		return ret;
	if (!(now->known & VF_BIT(s->setting)) || vf_setting_equal(s->setting, now, &s->to))
		return 0;
	return err_ret(
		-EOPNOTSUPP,
		"trying %s on VF %u of %s: driver %s takes it and does nothing; leave it out",
		vf_can_names[s->what], s->idx, t->pf.name, t->pf.driver);
}

static int take_prove(struct tenant_tx *tx, struct tenant_tx_pf *t, const struct tenant_step *s)
{
	struct vf_settings *now, before;
	int ret = now_of(tx, t, s->idx, &now), back = 0;

	if (ret < 0)
		return ret;
	before = *now;
	ret = vf_setting_write(tx->e, &t->pf, s->idx, s->setting, &s->to);
	if (ret == 0)
		ret = prove_shown(tx, t, s);
	if (ret == 0 || refusal_counts(s, &t->pf, ret))
		back = vf_caps_learn(tx->e, tx->st, &t->pf, s->what, ret);
	if (ret == 0)
		ret = back;
	/* the transaction's end would see to it too; a VF should not wait so long */
	if (before.known & VF_BIT(s->setting)) {
		back = vf_setting_write(tx->e, &t->pf, s->idx, s->setting, &before);
		if (ret == 0)
			ret = back;
	}
	tenant_tx_forget_table(t);
	t->unverified = true;
	return ret;
}

/* --- the number of VFs -------------------------------------------------- */
/* What the driver gave the VFs that are new is what they go back to. */
static int note_made(struct tenant_tx *tx, struct tenant_tx_pf *t, unsigned int from)
{
	struct tenant_before b = { 0 };
	unsigned int n;
	int ret = tenant_tx_table(tx, t);

	if (ret < 0 || t->table.announced <= from)
		return ret;
	n = t->table.announced - from;
	strcpy(b.pf, t->pf.id);
	b.vf = calloc(n, sizeof(*b.vf));
	if (!b.vf)
		return err_ret(-ENOMEM, "noting the new VFs of %s: out of memory; free some",
			       t->pf.name);
	for (unsigned int i = 0; i < n; i++) {
		b.vf[i].idx = from + i;
		b.vf[i].set = t->table.vf[from + i];
		vf_driver(&t->pf, from + i, b.vf[i].driver);
	}
	b.n_vfs = n;
	sriov_boot_id(tx->e, b.boot_id, sizeof(b.boot_id));
	ret = tenant_store_note_before(tx->st, &b, 1);
	free(b.vf);
	return ret;
}

static int take_num_vfs(struct tenant_tx *tx, struct tenant_tx_pf *t, const struct tenant_step *s)
{
	int ret;

	tenant_tx_forget_table(t);
	t->pf.num_vfs = sriov_read_number(t->pf.path, "sriov_numvfs");
	if (t->pf.num_vfs == SRIOV_UNKNOWN)
		return err_ret(-ENODEV, "giving %s %u VFs: it is gone; plug it in again",
			       t->pf.name, s->n_to);
	if (t->pf.num_vfs == s->n_to)
		return 0;
	ret = vf_any_holder(tx->e, &t->pf, 0, t->pf.num_vfs, "changing the number of VFs of");
	if (ret == 0)
		ret = vf_count_to(tx->e, &t->pf, s->n_to);
	t->pf.num_vfs = sriov_read_number(t->pf.path, "sriov_numvfs");
	return ret < 0 ? ret : note_made(tx, t, s->n_from);
}

/* A VF that goes with the number of VFs takes along what is in it. */
static bool goes(const struct tenant_tx *tx, const struct tenant_step *s)
{
	for (const struct tenant_step *l = s; l < tx->plan->steps + tx->plan->n_steps; l++)
		if (l->kind == STEP_NUM_VFS && !strcmp(l->pf, s->pf))
			return true;
	return false;
}

static int take_reset(struct tenant_tx *tx, struct tenant_tx_pf *t, const struct tenant_step *s)
{
	if (!vf_can_reset(&t->pf, s->idx) && goes(tx, s))
		return 0;
	return vf_reset(tx->e, &t->pf, s->idx, tx->detail, sizeof(tx->detail));
}

/* --- all steps ---------------------------------------------------------- */
int tenant_step_take(struct tenant_tx *tx, const struct tenant_step *s)
{
	struct tenant_tx_pf *t;
	int ret = tenant_tx_pf(tx, s->pf, &t);

	tx->detail[0] = '\0';
	if (ret < 0)
		return err_ret(ret, "changing the VFs of %s: %s; is the NIC still there?", s->pf,
			       strerror(-ret));
	switch (s->kind) {
	case STEP_AUTOPROBE:
		return vf_autoprobe_write(tx->e, &t->pf, s->n_to > 1 ? -1 : (int)s->n_to);
	case STEP_NUM_VFS: return take_num_vfs(tx, t, s);
	case STEP_UNBIND: return vf_driver_set(tx->e, &t->pf, s->idx, "");
	case STEP_RESET: return take_reset(tx, t, s);
	case STEP_PROVE: return take_prove(tx, t, s);
	case STEP_SETTING: return take_setting(tx, t, s);
	case STEP_BIND: return vf_driver_set(tx->e, &t->pf, s->idx, s->driver_to);
	}
	return -EINVAL;
}

/* --- reading back ------------------------------------------------------- */
/* The last word on each setting counts; before a change of the number of VFs there is none. */
static int verify_pf(struct tenant_tx *tx, struct tenant_tx_pf *t, size_t end)
{
	uint8_t *seen;
	int ret = tenant_tx_reread(tx, t, &seen);

	if (ret < 0)
		return ret;
	for (size_t i = end; i-- > 0 && ret == 0;) {
		const struct tenant_step *s = &tx->plan->steps[i];
		struct vf_settings *now, want;

		if (strcmp(s->pf, t->pf.id))
			continue;
		if (s->kind == STEP_NUM_VFS)
			break;
		if (s->kind != STEP_SETTING)
			continue;
		ret = now_of(tx, t, s->idx, &now);
		if (ret < 0 || (seen[s->idx] & VF_BIT(s->setting)))
			continue;
		seen[s->idx] |= VF_BIT(s->setting);
		want = s->to;
		want.known = VF_BIT(s->setting);
		ret = now->known ? vf_compare_back(&t->pf, s->idx, &want, now)
				 : err_ret(-EMSGSIZE,
					   "reading back VF %u of %s: the kernel's answer does not "
					   "reach that far; use fewer VFs",
					   s->idx, t->pf.name);
	}
	free(seen);
	for (size_t i = 0; i < tx->plan->n_slots && ret == 0; i++) {
		const struct tenant_slot *slot = &tx->plan->slots[i];
		const struct vf_settings *now = tenant_tx_now(t, slot->idx);

		if (!strcmp(slot->pf, t->pf.id) && now)
			ret = vf_compare_back(&t->pf, slot->idx, &slot->set, now);
	}
	t->unverified = false;
	return ret;
}

/*
 * Of a VF that was made in this transaction nobody knew what its driver would give it: where that
 * is not what its slot says, and no step was about it, it is set now.
 */
static int settle_made(struct tenant_tx *tx, const struct tenant_step *made)
{
	struct tenant_tx_pf *t;
	int ret = tenant_tx_pf(tx, made->pf, &t);

	if (ret == 0)
		ret = tenant_tx_table(tx, t);
	for (size_t i = 0; i < tx->plan->n_slots && ret == 0; i++) {
		const struct tenant_slot *slot = &tx->plan->slots[i];
		struct vf_settings *now;

		if (strcmp(slot->pf, made->pf) || !(now = tenant_tx_now(t, slot->idx)))
			continue;
		for (int s = 0; s < VF_N_SETTINGS && ret == 0; s++) {
			if (!(slot->set.known & now->known & VF_BIT(s)) ||
			    vf_setting_equal((enum vf_setting)s, &slot->set, now))
				continue;
			ret = vf_setting_write(tx->e, &t->pf, slot->idx, (enum vf_setting)s,
					       &slot->set);
			if (ret == 0)
				vf_setting_copy((enum vf_setting)s, &slot->set, now);
			t->unverified = true;
		}
	}
	return ret;
}

static int settle_slots(struct tenant_tx *tx, size_t end)
{
	int ret = 0;

	for (size_t i = 0; i < end && ret == 0; i++)
		if (tx->plan->steps[i].kind == STEP_NUM_VFS)
			ret = settle_made(tx, &tx->plan->steps[i]);
	return ret;
}

int tenant_tx_verify(struct tenant_tx *tx, size_t end)
{
	int ret = settle_slots(tx, end);

	for (size_t i = 0; i < tx->n_pf && ret == 0; i++)
		if (tx->pf[i].unverified)
			ret = verify_pf(tx, &tx->pf[i], end);
	return ret;
}
