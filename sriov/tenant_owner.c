/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the rest of sriov/ asks about tenants before it touches a PF or a VF: whose is it, who has
 * it just now, and has a crash left something that has to be put right first. Called by vf_holder.c
 * and by `vf create|set|remove` and --nic vf,host=. A host without tenants has no store, and none
 * is made.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "tenant_tx.h"

static bool have_store(const struct sriov_env *e)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/tenants.db", e->state_dir);
	return access(path, F_OK) == 0;
}

int tenant_settle(const struct sriov_env *e)
{
	struct tenant_store *st;
	int ret;

	if (!have_store(e))
		return 0;
	ret = tenant_store_open(e, STORE_WRITE, &st);
	if (ret < 0)
		return ret;
	ret = tenant_recover(e, st);
	tenant_store_close(st);
	return ret;
}

/* --- whose -------------------------------------------------------------- */
int tenant_refuse(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		  const char *doing)
{
	struct tenant_store *st;
	struct tenant_slot *s = NULL;
	size_t n = 0;
	int ret;

	if (!have_store(e))
		return 0;
	ret = tenant_store_open(e, STORE_READ, &st);
	if (ret < 0)
		return ret;
	ret = tenant_store_slots(st, &s, &n);
	tenant_store_close(st);
	for (size_t i = 0; i < n && ret == 0; i++)
		if (!strcmp(s[i].pf, pf->id) && (idx == SRIOV_UNKNOWN || s[i].idx == idx))
			ret = err_ret(-EBUSY,
				      "%s %s: VF %u of it is tenant %s's; change it with 'fourlane "
				      "tenant apply', "
				      "or take it back with 'fourlane tenant release %s'",
				      doing, pf->name, s[i].idx, s[i].tenant, s[i].tenant);
	free(s);
	return ret;
}

/* --- in use ------------------------------------------------------------- */
/* Each: 1 for a VF in [from, *end), which then is *end, and by whom. */
static int leased(const struct sriov_env *e, const struct tenant_store *st, const char *pf,
		  unsigned int from, unsigned int *end, char *buf, size_t size)
{
	struct tenant_lease *l;
	size_t n;
	int found = 0;

	if (tenant_store_leases(st, &l, &n) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(l[i].pf, pf) || l[i].idx < from || l[i].idx >= *end)
			continue;
		found = 1;
		*end = l[i].idx;
		snprintf(buf, size, "guest %.64s of tenant %.64s (pid %d%s)", l[i].guest,
			 l[i].tenant, (int)l[i].pid,
			 l[i].dirty || !tenant_lease_alive(e, &l[i]) ? ", gone; not reset yet"
								     : "");
	}
	free(l);
	return found;
}

/* A tenant's VF that somebody gave to vfio-pci although its tenant has another driver. */
static int by_hand(const struct tenant_store *st, const struct sriov_pf *pf, unsigned int from,
		   unsigned int *end, char *buf, size_t size)
{
	char driver[TENANT_DRIVER_SIZE];
	struct tenant_slot *s;
	size_t n;
	int found = 0;

	if (tenant_store_slots(st, &s, &n) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(s[i].pf, pf->id) || s[i].idx < from || s[i].idx >= *end)
			continue;
		vf_driver(pf, s[i].idx, driver);
		if (!iommu_driver_is_vfio(driver) || !strcmp(s[i].driver, driver))
			continue;
		found = 1;
		*end = s[i].idx;
		snprintf(buf, size, "somebody assigned it to %s by hand", driver);
	}
	free(s);
	return found;
}

static int holds_in(const struct sriov_env *e, const struct tenant_store *st,
		    const struct sriov_pf *pf, unsigned int from, unsigned int *end, char *buf,
		    size_t size)
{
	int found = leased(e, st, pf->id, from, end, buf, size);

	return found | by_hand(st, pf, from, end, buf, size);
}

int tenant_holds(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int from,
		 unsigned int *end, char *buf, size_t size)
{
	struct tenant_store *st;
	int found;

	if (!have_store(e) || tenant_store_open(e, STORE_READ, &st) < 0)
		return 0;
	found = holds_in(e, st, pf, from, end, buf, size);
	tenant_store_close(st);
	return found;
}

int tenant_vf_holder(const struct sriov_env *e, const struct tenant_store *st,
		     const struct sriov_pf *pf, unsigned int idx, char *buf, size_t size)
{
	unsigned int end = idx + 1;

	buf[0] = '\0';
	return holds_in(e, st, pf, idx, &end, buf, size) || vf_holder_host(e, pf, idx, buf, size);
}
