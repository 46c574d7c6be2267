/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tenant_apply*.c files and tenant_lease.c share: one transaction under way. Each step is
 * an end state, not an action, and so is taking it back: both look first and write only what
 * differs, so that a step of which nobody knows whether it was taken can be taken back too.
 */
#ifndef SRIOV_TENANT_TX_H
#define SRIOV_TENANT_TX_H

#include "sriov/tenant.h"

/* A PF as the transaction knows it; the table of settings is read when it is needed. */
struct tenant_tx_pf {
	struct sriov_pf pf;
	struct vf_table table;
	bool has_table;
	bool unverified; /* settings were written and not read back yet */
};

/* Who is told what is done. */
struct tenant_listener {
	/* a step was taken; `detail` is "" or what the text of a step cannot know */
	void (*step)(void *opaque, const struct tenant_step *s, const char *detail);
	void (*note)(void *opaque, const char *note); /* of the plan, before the first step */
	void *opaque;
};

struct tenant_tx {
	const struct sriov_env *e;
	struct tenant_store *st;
	struct tenant_plan *plan;
	struct tenant_tx_pf *pf;
	size_t n_pf;
	const struct tenant_listener *listener; /* NULL: nobody listens */
	char detail[64];
};

/* --- the transaction's PFs (tenant_apply_tx.c) --- */
void tenant_tx_free(struct tenant_tx *tx);
/* tenant_pf_by_id - a PF by what does not change. -ENODEV without a message when it is not there.
 */
int tenant_pf_by_id(const struct sriov_env *e, const char *id, struct sriov_pf *pf);
/* tenant_pf_ident - PCI vendor and device; 0 and 0 when it is no PCI function. */
void tenant_pf_ident(const struct sriov_pf *pf, uint16_t *vendor, uint16_t *device);
/* tenant_tx_pf - -ENODEV without a message; *out is the transaction's. */
int tenant_tx_pf(struct tenant_tx *tx, const char *id, struct tenant_tx_pf **out);
/* tenant_tx_table - the settings of its VFs, from the kernel unless they are known. */
int tenant_tx_table(struct tenant_tx *tx, struct tenant_tx_pf *t);
void tenant_tx_forget_table(struct tenant_tx_pf *t);
/*
 * tenant_tx_reread - the settings once more from the kernel; *seen, the caller's to free, has a
 * zero byte for each VF. Negative errno after a message.
 */
int tenant_tx_reread(struct tenant_tx *tx, struct tenant_tx_pf *t, uint8_t **seen);
/* tenant_tx_now - a VF's settings; NULL when there is no such VF. known == 0: nobody knows them. */
struct vf_settings *tenant_tx_now(struct tenant_tx_pf *t, unsigned int idx);
/* vf_setting_copy - one setting of `from`, with what is known of it. */
void vf_setting_copy(enum vf_setting s, const struct vf_settings *from, struct vf_settings *to);

/* --- steps (tenant_apply_step.c, tenant_apply_undo.c) --- */
/* tenant_step_take - negative errno after a message. */
int tenant_step_take(struct tenant_tx *tx, const struct tenant_step *s);
/* tenant_step_marked - the journal has a durable mark for it; see tenant_store_step_done(). */
bool tenant_step_marked(const struct tenant_step *s);
/* tenant_tx_verify - reads back what the steps before `end` have set, once a PF. -EIO, message. */
int tenant_tx_verify(struct tenant_tx *tx, size_t end);
/*
 * tenant_tx_rollback - takes back the steps before `end`, in reverse, all that can be, and reads
 * back. -EIO after a message for each that cannot.
 */
int tenant_tx_rollback(struct tenant_tx *tx, size_t end);

/* --- around them (tenant_apply_guard.c) --- */
/*
 * tenant_tx_protect - adds to the plan what a PF's VFs lose when their number changes: their
 * settings and drivers, taken down before and put back after. They are steps like the others.
 */
int tenant_tx_protect(struct tenant_tx *tx);
/* tenant_tx_check - refuses what may not be touched: VFs in use, files that cannot be written. */
int tenant_tx_check(struct tenant_tx *tx);
/* tenant_tx_before - what all PFs of the plan are now. Freed with tenant_before_free(). */
int tenant_tx_before(struct tenant_tx *tx, struct tenant_before **out, size_t *n);
/* tenant_check_rights - names the capability that is missing. -EPERM, message. */
int tenant_check_rights(const struct sriov_env *e, const char *doing);

/* --- one VF (tenant_apply_vf.c) --- */
/* vf_driver - "" when none is bound. */
void vf_driver(const struct sriov_pf *pf, unsigned int idx, char buf[TENANT_DRIVER_SIZE]);
/* vf_driver_set - binds it to `want`; "" and "none" mean none. Negative errno after a message. */
int vf_driver_set(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		  const char *want);
bool vf_can_reset(const struct sriov_pf *pf, unsigned int idx);
/*
 * vf_reset - resets the function so that nothing is left in it. -EOPNOTSUPP when it has no way to.
 * `method` gets how, for people. Negative errno after a message.
 */
int vf_reset(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx, char *method,
	     size_t size);

/* --- taking and giving back everything --- */
/*
 * tenant_enter - rights, vf_lock(), the store to write, tenant_recover(): what comes before every
 * change. The lock's descriptor, to close after *st; or negative errno after a message.
 */
int tenant_enter(const struct sriov_env *e, const char *doing, struct tenant_store **st);
/* As tenant_apply() and tenant_release(), telling what is done; listener NULL: nobody. */
int tenant_apply_told(const struct sriov_env *e, const struct tenant_file *f,
		      const struct tenant_listener *listener, size_t *changed);
int tenant_release_told(const struct sriov_env *e, const char *tenant,
			const struct tenant_listener *listener, size_t *changed);

/* tenant_vf_holder - as vf_holder(), for who has the store open already (tenant_owner.c). */
int tenant_vf_holder(const struct sriov_env *e, const struct tenant_store *st,
		     const struct sriov_pf *pf, unsigned int idx, char *buf, size_t size);

/* --- leases (tenant_lease.c) --- */
/* tenant_leases_settle - leases whose holder is gone: part of tenant_recover(). */
int tenant_leases_settle(const struct sriov_env *e, struct tenant_store *st);

/* --- at a boot (tenant_boot.c) ------------------------------------------ */
/*
 * tenant_boot_wait - waits, for wait_ms at most, until the PFs of the tenants are there; those
 * whose VFs have a rate are put up. What is amiss then, the plan or a step says.
 */
void tenant_boot_wait(const struct sriov_env *e, const struct tenant_store *st);

#endif
