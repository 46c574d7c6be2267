/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking back the steps of a tenants' transaction, in reverse, also those of which nobody knows
 * whether they were taken: each looks what is and writes what differs, so doing it twice is as good
 * as once. What is gone (a VF, a whole NIC) needs nothing put back. Called by tenant_apply.c after
 * a failure and by tenant_recover() after a crash.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tenant_tx.h"

/* --- one step ----------------------------------------------------------- */
/* The VF is of this transaction's own making: it goes when the number of VFs goes back. */
static bool made_here(const struct tenant_tx *tx, const struct tenant_step *s)
{
	for (const struct tenant_step *b = tx->plan->steps; b < s; b++)
		if (b->kind == STEP_NUM_VFS && !strcmp(b->pf, s->pf))
			return true;
	return false;
}

static int undo_setting(struct tenant_tx *tx, struct tenant_tx_pf *t, const struct tenant_step *s)
{
	struct vf_settings *now;
	int ret = tenant_tx_table(tx, t);

	if (ret < 0)
		return ret;
	now = tenant_tx_now(t, s->idx);
	if (!now)
		return 0;
	if (!(s->from.known & VF_BIT(s->setting))) {
		if (made_here(tx, s) || !(now->known & VF_BIT(s->setting)) ||
		    !vf_setting_equal(s->setting, now, &s->to))
			return 0;
		return err_ret(-EIO, "putting back %s of VF %u of %s: nobody knew what it was",
			       vf_setting_name(s->setting), s->idx, t->pf.name);
	}
	if ((now->known & VF_BIT(s->setting)) && vf_setting_equal(s->setting, now, &s->from))
		return 0;
	ret = vf_setting_write(tx->e, &t->pf, s->idx, s->setting, &s->from);
	if (ret == 0)
		vf_setting_copy(s->setting, &s->from, now);
	return ret;
}

/*
 * VFs of this transaction's making go; some drivers remember what they were set to and give it to
 * the next ones, so they go as they were made. What cannot be set is said, and goes all the same.
 */
static void restore_made(struct tenant_tx *tx, struct tenant_tx_pf *t, unsigned int from)
{
	struct tenant_before *b = NULL;
	size_t n = 0;

	if (tenant_store_before(tx->st, &b, &n) < 0 || tenant_tx_table(tx, t) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		for (unsigned int v = 0; !strcmp(b[i].pf, t->pf.id) && v < b[i].n_vfs; v++) {
			const struct tenant_before_vf *was = &b[i].vf[v];
			const struct vf_settings *now = tenant_tx_now(t, was->idx);

			for (int s = 0; now && was->idx >= from && s < VF_N_SETTINGS; s++)
				if ((was->set.known & now->known & VF_BIT(s)) &&
				    !vf_setting_equal((enum vf_setting)s, now, &was->set))
					vf_setting_write(tx->e, &t->pf, was->idx,
							 (enum vf_setting)s, &was->set);
		}
	}
	tenant_before_free(b, n);
}

static int undo_num_vfs(struct tenant_tx *tx, struct tenant_tx_pf *t, const struct tenant_step *s)
{
	int ret;

	tenant_tx_forget_table(t);
	t->pf.num_vfs = sriov_read_number(t->pf.path, "sriov_numvfs");
	if (t->pf.num_vfs == SRIOV_UNKNOWN || t->pf.num_vfs == s->n_from)
		return 0;
	ret = vf_any_holder(tx->e, &t->pf, 0, t->pf.num_vfs, "putting back the number of VFs of");
	if (ret == 0)
		restore_made(tx, t, s->n_from);
	tenant_tx_forget_table(t);
	if (ret == 0)
		ret = vf_count_to(tx->e, &t->pf, s->n_from);
	t->pf.num_vfs = sriov_read_number(t->pf.path, "sriov_numvfs");
	return ret;
}

static int undo_driver(struct tenant_tx *tx, struct tenant_tx_pf *t, const struct tenant_step *s,
		       const char *driver)
{
	char bdf[IOMMU_BDF_SIZE];

	/* a PF that made another number of VFs by itself, or a VF that is not there yet again */
	return sriov_vf_bdf(&t->pf, s->idx, bdf) < 0 ? 0
						     : vf_driver_set(tx->e, &t->pf, s->idx, driver);
}

static int step_undo(struct tenant_tx *tx, const struct tenant_step *s)
{
	struct tenant_tx_pf *t;
	int ret = tenant_tx_pf(tx, s->pf, &t);

	if (ret == -ENODEV)
		return 0;
	if (ret < 0)
		return err_ret(ret, "putting back the VFs of %s: %s; repeat the call", s->pf,
			       strerror(-ret));
	switch (s->kind) {
	case STEP_AUTOPROBE:
		return vf_autoprobe_write(tx->e, &t->pf, s->n_from > 1 ? -1 : (int)s->n_from);
	case STEP_NUM_VFS: return undo_num_vfs(tx, t, s);
	case STEP_UNBIND: return undo_driver(tx, t, s, s->driver_from);
	case STEP_BIND: return undo_driver(tx, t, s, "");
	case STEP_PROVE:
	case STEP_SETTING: return undo_setting(tx, t, s);
	case STEP_RESET: return 0;
	}
	return -EINVAL;
}

/* --- reading back ------------------------------------------------------- */
/* The first word on each setting is what was; behind a change of the number there are other VFs. */
static int check_pf(struct tenant_tx *tx, struct tenant_tx_pf *t, size_t end)
{
	uint8_t *seen;
	int ret = tenant_tx_reread(tx, t, &seen);

	if (ret < 0)
		return ret;
	for (size_t i = 0; i < end && ret == 0; i++) {
		const struct tenant_step *s = &tx->plan->steps[i];
		const struct vf_settings *now;
		struct vf_settings was = s->from;

		if (strcmp(s->pf, t->pf.id))
			continue;
		if (s->kind == STEP_NUM_VFS)
			break;
		now = tenant_tx_now(t, s->idx);
		if ((s->kind != STEP_SETTING && s->kind != STEP_PROVE) || !now ||
		    (seen[s->idx] & VF_BIT(s->setting)))
			continue;
		seen[s->idx] |= VF_BIT(s->setting);
		was.known &= VF_BIT(s->setting);
		ret = vf_compare_back(&t->pf, s->idx, &was, now);
	}
	free(seen);
	return ret;
}

int tenant_tx_rollback(struct tenant_tx *tx, size_t end)
{
	char text[256];
	int first = 0, ret;

	for (size_t i = end; i-- > 0;) {
		const struct tenant_step *s = &tx->plan->steps[i];

		ret = step_undo(tx, s);
		if (ret < 0) {
			tenant_step_text(s, text, sizeof(text));
			err_say("taking back '%s': %s", text, strerror(-ret));
			first = first ? first : ret;
		} else if (s->done && tenant_step_marked(s) &&
			   tenant_store_step_done(tx->st, i, false) == 0) {
			tx->plan->steps[i].done = false;
		}
	}
	for (size_t i = 0; i < tx->n_pf; i++) {
		ret = check_pf(tx, &tx->pf[i], end);
		first = first ? first : ret;
	}
	return first ? -EIO : 0;
}
