/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tenant made up by a program, with one VF, where no tenants are: for other folders (sriov.h),
 * which so hand out a VF as an operator would, with its journal, lease and way back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tenant.h"

/* The slots of the store; -EBUSY when another tenant has one. *idx: that of ours, if there is. */
static int only_tenant(const struct sriov_env *e, const char *tenant, unsigned int *idx)
{
	struct tenant_slot *s = NULL;
	struct tenant_store *st;
	size_t n = 0;
	int ret = tenant_store_open(e, STORE_READ, &st);

	if (ret < 0)
		return ret;
	ret = tenant_store_slots(st, &s, &n);
	tenant_store_close(st);
	*idx = SRIOV_UNKNOWN;
	for (size_t i = 0; ret == 0 && i < n; i++) {
		*idx = s[i].idx;
		if (strcmp(s[i].tenant, tenant))
			ret = err_ret(-EBUSY,
				      "making tenant %s: tenant %s has VFs of this host; 'fourlane "
				      "tenant release --all' first",
				      tenant, s[i].tenant);
	}
	free(s);
	return ret;
}

static struct tenant_file *file_of_one(const struct sriov_pf *pf, const char *tenant)
{
	struct tenant_file *f = calloc(1, sizeof(*f));
	struct tenant_pf_rule *r = calloc(1, sizeof(*r));
	struct tenant_want *t = calloc(1, sizeof(*t));

	if (!f || !r || !t || strlen(pf->id) >= sizeof(r->match.pci)) {
		free(f);
		free(r);
		free(t);
		return NULL;
	}
	r->match.vendor = r->match.device = r->match.numa = TENANT_ANY;
	strcpy(r->match.pci, pf->id);
	r->vfs = SRIOV_UNKNOWN;
	snprintf(t->name, sizeof(t->name), "%s", tenant);
	t->vfs = 1;
	t->mac_auto = true;
	t->numa = TENANT_ANY;
	f->rules = r;
	f->n_rules = 1;
	f->tenants = t;
	f->n_tenants = 1;
	return f;
}

int sriov_tenant_make(const char *pf, const char *tenant, char bdf[16])
{
	struct tenant_file *f;
	struct sriov_host h;
	struct sriov_pf p;
	unsigned int idx;
	int ret = sriov_host_open(&h);

	if (ret == 0)
		ret = sriov_pf_find(h.env.v, pf, &p);
	if (ret == 0)
		ret = only_tenant(&h.env, tenant, &idx);
	if (ret < 0)
		return ret;
	f = file_of_one(&p, tenant);
	if (!f)
		return err_ret(-ENOMEM, "making tenant %s: out of memory; free some", tenant);
	ret = tenant_apply(&h.env, f, NULL);
	tenant_file_free(f);
	if (ret == 0)
		ret = only_tenant(&h.env, tenant, &idx);
	if (ret < 0)
		return ret;
	ret = sriov_vf_bdf(&p, idx, bdf);
	return ret < 0 ? err_ret(ret,
				 "making tenant %s: its VF of %s is gone; is it changed by "
				 "somebody else?",
				 tenant, pf)
		       : 0;
}

int sriov_tenant_end(const char *tenant)
{
	struct sriov_host h;
	unsigned int idx;
	int ret = sriov_host_open(&h);

	if (ret == 0)
		ret = only_tenant(&h.env, tenant, &idx);
	return ret < 0 ? ret : tenant_release(&h.env, NULL);
}
