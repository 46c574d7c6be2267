/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tenant_plan*.c files share: one planning under way. PFs and places first
 * (tenant_plan_pfs.c, tenant_plan_place.c), then MACs and settings (tenant_plan_mac.c), then steps
 * (tenant_plan_steps.c). Everything is looked up by PF and index, so that a plan takes time in
 * proportion to the VFs.
 */
#ifndef SRIOV_TENANT_PLAN_PRIV_H
#define SRIOV_TENANT_PLAN_PRIV_H

#include "sriov/tenant.h"

struct plan_vf {
	const struct tenant_slot *old; /* whose it is, as the store has it */
	struct tenant_slot *slot;      /* whose it will be */
};

struct plan_pf {
	const struct tenant_world_pf *w;
	const struct tenant_pf_rule *rule;  /* NULL: no rule is about it */
	const struct tenant_before *before; /* NULL: nothing noted in this boot */
	bool may;                           /* tenants may have VFs of it */
	bool keeps;                         /* new ones not, but who has one stays */
	bool fixed;                         /* its number of VFs cannot change: one is in use */
	unsigned int limit;                 /* indexes for tenants are below this */
	unsigned int room;                  /* of them, how many are free */
	unsigned int next;                  /* none below this is free */
	unsigned int own;                   /* of the tenant that is being placed */
	unsigned int target;                /* number of VFs that it will have */
	struct plan_vf *vf;
	unsigned int n_vf; /* entries of vf: at least target, and the VFs that there are */
};

struct plan_mac {
	uint8_t mac[6];
	bool used;
	size_t owner;  /* PLAN_VF_ID(), or PLAN_NOBODY for any other netdev */
	char name[40]; /* whose, for messages */
};
#define PLAN_VF_ID(pf, idx) ((size_t)(pf) << 16 | (idx))
#define PLAN_NOBODY         (~(size_t)0)

struct planning {
	const struct sriov_env *e;
	const struct tenant_file *f; /* NULL: nobody is to have anything */
	const struct tenant_world *w;
	struct tenant_plan *p;
	struct plan_pf *pf; /* as w->pf */
	size_t n_pf;
	struct tenant_slot *old; /* sorted by tenant and nth */
	size_t n_old;
	struct tenant_before *before;
	size_t n_before;
	struct plan_mac *macs; /* a hash table of n_macs places */
	size_t n_macs;
};

/* plan_refuse - gives `ret` after "FILE:LINE: message"; line 0: no file has to do with it. */
int plan_refuse(const struct planning *pl, unsigned int line, int ret, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int plan_note(struct planning *pl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* plan_step - a new step of this kind at the end, zeroed otherwise; NULL after a message. */
struct tenant_step *plan_step(struct planning *pl, enum tenant_step_kind kind,
			      const struct plan_pf *pf, unsigned int idx, const char *tenant);
struct plan_pf *plan_find(const struct planning *pl, const char *id);
/* plan_busy - who has a VF just now, "" when nobody: to be moved or set by somebody else. */
const char *plan_busy(const struct plan_pf *pf, unsigned int idx);
const struct tenant_want *plan_want(const struct planning *pl, const char *tenant);
/* plan_numa - a PF of node `is` will do for who wants `wanted`. */
bool plan_numa(int wanted, int is);
/* plan_before - what a VF was before the first tenant; NULL when nobody noted it in this boot. */
const struct tenant_before_vf *plan_before(const struct plan_pf *pf, unsigned int idx);

/* Each gives 0 or negative errno after a message. */
int plan_pfs(struct planning *pl);    /* tenant_plan_pfs.c */
int plan_place(struct planning *pl);  /* slots: kept ones, then new ones */
int plan_values(struct planning *pl); /* MACs and all that is set, of each slot */
int plan_steps(struct planning *pl);

/* --- settings (tenant_plan_diff.c) --- */
/* plan_leaves - a VF that its tenant loses, or that changes hands. */
bool plan_leaves(const struct plan_vf *v);
/* plan_clean - what a VF is set to between tenants: as before the first one. */
void plan_clean(const struct plan_pf *pf, unsigned int idx, struct vf_settings *out);
int plan_setting(struct planning *pl, enum tenant_step_kind kind, const struct plan_pf *pf,
		 unsigned int idx, const char *tenant, enum vf_setting s,
		 const struct vf_settings *from, const struct vf_settings *to);
/* plan_diff - the settings of a PF's VFs, what has to be tried before them first. */
int plan_diff(struct planning *pl, struct plan_pf *pf);

#endif
