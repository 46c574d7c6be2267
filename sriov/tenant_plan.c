/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan: the steps from what is to what is wanted. This file gathers what is known, has the
 * parts done in turn and owns the plan's lists. Called by `tenant plan` and by tenant_apply.c; asks
 * store and world that it is given, and changes nothing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tenant_plan_priv.h"

static int plan_no_memory(void)
{
	return err_ret(-ENOMEM, "planning VFs: out of memory; free some");
}

/* --- what the parts use --------------------------------------------------- */
int plan_refuse(const struct planning *pl, unsigned int line, int ret, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!pl->f || !line)
		return err_ret(ret, "planning VFs: %s", text);
	return err_ret(ret, "%s:%u: %s", pl->f->path, line, text);
}

/* Room for one more element; lists grow by doubling. */
static void *plan_grow(void *list, size_t n, size_t size)
{
	if (n & (n - 1)) /* full at 0, 1, 2, 4, ... only */
		return list;
	return reallocarray(list, n ? 2 * n : 1, size);
}

int plan_note(struct planning *pl, const char *fmt, ...)
{
	struct tenant_plan *p = pl->p;
	char(*grown)[256] = plan_grow(p->notes, p->n_notes, sizeof(*p->notes));
	va_list ap;

	if (!grown)
		return plan_no_memory();
	p->notes = grown;
	va_start(ap, fmt);
	vsnprintf(p->notes[p->n_notes++], sizeof(*p->notes), fmt, ap);
	va_end(ap);
	return 0;
}

struct tenant_step *plan_step(struct planning *pl, enum tenant_step_kind kind,
			      const struct plan_pf *pf, unsigned int idx, const char *tenant)
{
	struct tenant_plan *p = pl->p;
	struct tenant_step *grown = plan_grow(p->steps, p->n_steps, sizeof(*p->steps)), *s;

	if (!grown) {
		plan_no_memory();
		return NULL;
	}
	p->steps = grown;
	s = &p->steps[p->n_steps++];
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	strcpy(s->pf, pf->w->pf.id);
	s->idx = idx;
	snprintf(s->tenant, sizeof(s->tenant), "%s", tenant);
	return s;
}

struct plan_pf *plan_find(const struct planning *pl, const char *id)
{
	size_t low = 0, high = pl->n_pf; /* sorted, as the world is */

	while (low < high) {
		size_t mid = (low + high) / 2;
		int by = strcmp(id, pl->pf[mid].w->pf.id);

		if (by == 0)
			return &pl->pf[mid];
		if (by < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const char *plan_busy(const struct plan_pf *pf, unsigned int idx)
{
	const struct tenant_world_vf *v;

	if (idx >= pf->w->pf.num_vfs)
		return "";
	v = &pf->w->vf[idx];
	if (v->holder[0])
		return v->holder;
	/* bound to vfio-pci, and not for a tenant: somebody has assigned it */
	return !pf->vf[idx].old && iommu_driver_is_vfio(v->driver) ? "it is assigned (vfio-pci)"
								   : "";
}

const struct tenant_want *plan_want(const struct planning *pl, const char *tenant)
{
	size_t low = 0, high = pl->f ? pl->f->n_tenants : 0;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int by = strcmp(tenant, pl->f->tenants[mid].name);

		if (by == 0)
			return &pl->f->tenants[mid];
		if (by < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const struct tenant_before_vf *plan_before(const struct plan_pf *pf, unsigned int idx)
{
	/* sorted by index as a rule, and then it is at its place */
	if (!pf->before)
		return NULL;
	if (idx < pf->before->n_vfs && pf->before->vf[idx].idx == idx)
		return &pf->before->vf[idx];
	for (unsigned int i = 0; i < pf->before->n_vfs; i++)
		if (pf->before->vf[i].idx == idx)
			return &pf->before->vf[i];
	return NULL;
}

/* --- what is known -------------------------------------------------------- */
static int plan_by_tenant(const void *a, const void *b)
{
	const struct tenant_slot *x = a, *y = b;
	int by = strcmp(x->tenant, y->tenant);

	return by ? by : x->nth < y->nth ? -1 : x->nth > y->nth;
}

static void plan_load_before(struct planning *pl)
{
	char boot[SRIOV_BOOT_ID_SIZE];

	sriov_boot_id(pl->e, boot, sizeof(boot));
	for (size_t i = 0; i < pl->n_before; i++) {
		struct tenant_before *b = &pl->before[i];
		struct plan_pf *pf = plan_find(pl, b->pf);

		if (pf && b->vendor == pf->w->vendor && b->device == pf->w->device &&
		    !strcmp(b->boot_id, boot))
			pf->before = b;
	}
}

static int plan_load(struct planning *pl, const struct tenant_store *st)
{
	int ret = tenant_store_slots(st, &pl->old, &pl->n_old);

	if (ret == 0)
		ret = tenant_store_before(st, &pl->before, &pl->n_before);
	if (ret < 0)
		return ret;
	if (pl->n_old)
		qsort(pl->old, pl->n_old, sizeof(*pl->old), plan_by_tenant);
	pl->pf = calloc(pl->w->n + 1, sizeof(*pl->pf));
	if (!pl->pf)
		return plan_no_memory();
	for (; pl->n_pf < pl->w->n; pl->n_pf++)
		pl->pf[pl->n_pf].w = &pl->w->pf[pl->n_pf];
	plan_load_before(pl);
	return 0;
}

/* --- all ------------------------------------------------------------------ */
static void plan_done(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pf; i++)
		free(pl->pf[i].vf);
	free(pl->pf);
	free(pl->old);
	tenant_before_free(pl->before, pl->n_before);
	free(pl->macs);
}

int tenant_plan_make(const struct sriov_env *e, const struct tenant_store *st,
		     const struct tenant_file *f, const struct tenant_world *w,
		     struct tenant_plan **out)
{
	struct planning pl = { .e = e, .f = f, .w = w, .p = calloc(1, sizeof(*pl.p)) };
	int ret = pl.p ? plan_load(&pl, st) : plan_no_memory();

	*out = NULL;
	if (ret == 0)
		ret = plan_pfs(&pl);
	if (ret == 0)
		ret = plan_place(&pl);
	if (ret == 0)
		ret = tenant_plan_groups(e, w, pl.p->slots, pl.p->n_slots);
	if (ret == 0)
		ret = plan_values(&pl);
	if (ret == 0)
		ret = plan_steps(&pl);
	plan_done(&pl);
	if (ret < 0)
		tenant_plan_free(pl.p);
	else
		*out = pl.p;
	return ret;
}

void tenant_plan_free(struct tenant_plan *p)
{
	if (p) {
		free(p->steps);
		free(p->slots);
		free(p->notes);
	}
	free(p);
}
