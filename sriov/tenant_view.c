/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tenants' VFs as rows (tenant_view.h). Reads the store, the host and the counters, each once,
 * takes no lock and changes nothing, so that a plain user may look while others apply. Spoofed
 * packets are not in rtnetlink: Intel's out-of-tree PF drivers tell them in sysfs
 * (<device>/sriov/<VF>/stats/tx_spoofed, their README, "VF-d"); from where no such file is they are
 * not known.
 */
#include "tenant_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/paths.h"

static void view_counters(const struct sriov_env *e, struct tenant_view *v,
			  const struct tenant_world_pf *pf)
{
	struct vf_counters *c = NULL;
	unsigned int n = 0;
	int ret = vf_counters_read(e, &pf->pf, &c, &n);

	if (ret < 0 && ret != -EMSGSIZE)
		n = 0; /* shown as not known */
	for (size_t i = 0; i < v->n; i++)
		if (v->row[i].pf == pf && v->row[i].vf && v->row[i].slot->idx < n)
			v->row[i].counters = c[v->row[i].slot->idx];
	free(c);
}

static void row_spoofed(struct tenant_row *r)
{
	char line[32], *end;

	snprintf(r->spoofed_source, sizeof(r->spoofed_source), "%s/sriov/%u/stats/tx_spoofed",
		 r->pf->pf.path, r->slot->idx);
	if (paths_read_line(line, sizeof(line), "%s", r->spoofed_source) <= 0 || line[0] == '-')
		return;
	errno = 0;
	r->spoofed = strtoull(line, &end, 10);
	r->spoofed_known = !errno && end != line && !*end;
}

/* A guest of ours holds it under vfio-pci whatever driver it has otherwise. */
static bool driver_is_wanted(const struct tenant_row *r)
{
	const char *want = strcmp(r->slot->driver, "none") ? r->slot->driver : "";

	if (r->lease && r->alive)
		return iommu_driver_is_vfio(r->vf->driver);
	return !strcmp(r->vf->driver, want);
}

static void row_compare(struct tenant_row *r)
{
	const struct vf_settings *want = &r->slot->set, *is = &r->vf->set;

	for (enum vf_setting s = 0; s < VF_N_SETTINGS; s++)
		if (want->known & is->known & VF_BIT(s) && !vf_setting_equal(s, want, is))
			r->drift |= VF_BIT(s);
	r->drift_driver = r->pf->pf.pci && !driver_is_wanted(r);
}

static void row_fill(const struct sriov_env *e, struct tenant_view *v, struct tenant_row *r,
		     size_t n_leases)
{
	const struct tenant_slot *s = r->slot;
	const struct tenant_world_pf *pf = tenant_world_find(v->world, s->pf);

	for (size_t i = 0; i < n_leases; i++)
		if (!strcmp(v->lease[i].pf, s->pf) && v->lease[i].idx == s->idx)
			r->lease = &v->lease[i];
	r->alive = r->lease && tenant_lease_alive(e, r->lease);
	if (!pf || pf->vendor != s->vendor || pf->device != s->device)
		return;
	r->pf = pf;
	if (s->idx >= pf->pf.num_vfs)
		return;
	r->vf = &pf->vf[s->idx];
	row_compare(r);
	row_spoofed(r);
}

static int view_store(const struct sriov_env *e, struct tenant_view *v, size_t *n_leases)
{
	struct tenant_store *st;
	int ret = tenant_store_open(e, STORE_READ, &st);

	if (ret < 0)
		return ret;
	ret = tenant_store_slots(st, &v->slot, &v->n);
	if (ret == 0)
		ret = tenant_store_leases(st, &v->lease, n_leases);
	if (ret == 0)
		ret = tenant_world_read(e, st, &v->world);
	tenant_store_close(st);
	return ret;
}

int tenant_view_read(const struct sriov_env *e, struct tenant_view *v)
{
	size_t n_leases = 0;
	int ret;

	memset(v, 0, sizeof(*v));
	ret = view_store(e, v, &n_leases);
	if (ret < 0) {
		tenant_view_free(v);
		return ret;
	}
	v->row = calloc(v->n ? v->n : 1, sizeof(*v->row));
	if (!v->row) {
		tenant_view_free(v);
		return err_ret(-ENOMEM, "showing tenants: out of memory; free some");
	}
	for (size_t i = 0; i < v->n; i++) {
		v->row[i].slot = &v->slot[i];
		row_fill(e, v, &v->row[i], n_leases);
	}
	for (size_t i = 0; i < v->world->n; i++)
		view_counters(e, v, &v->world->pf[i]);
	return 0;
}

void tenant_view_free(struct tenant_view *v)
{
	free(v->row);
	free(v->slot);
	free(v->lease);
	tenant_world_free(v->world);
	memset(v, 0, sizeof(*v));
}

unsigned int tenant_row_faults(const struct tenant_row *r)
{
	if (!r->vf)
		return 1;
	return (unsigned int)__builtin_popcount(r->drift) + r->drift_driver;
}

size_t tenant_view_next(const struct tenant_view *v, size_t from)
{
	size_t i = from;

	while (i < v->n && !strcmp(v->row[i].slot->tenant, v->row[from].slot->tenant))
		i++;
	return i;
}

size_t tenant_view_find(const struct tenant_view *v, const char *name)
{
	size_t i = 0;

	while (i < v->n && strcmp(v->row[i].slot->tenant, name))
		i++;
	return i;
}
