/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tenants have and how it stands just now, for everything that shows it: the tables, the
 * metrics, `export`. One row a VF, put together from the store, the host and the leases.
 */
#ifndef SRIOV_TENANT_VIEW_H
#define SRIOV_TENANT_VIEW_H

#include <stdio.h>

#include "sriov/tenant.h"

struct tenant_row {
	const struct tenant_slot *slot; /* who has it, and what is wanted */
	/* NULL: the PF, or this VF of it, is not there, or another device is in its place */
	const struct tenant_world_pf *pf;
	const struct tenant_world_vf *vf;
	const struct tenant_lease *lease; /* NULL: free */
	bool alive;                       /* the lease's holder runs */
	unsigned int drift;               /* VF_BIT()s of settings that are not as wanted */
	bool drift_driver;
	struct vf_counters counters;
	bool spoofed_known;
	uint64_t spoofed;
	char spoofed_source[PATH_MAX]; /* the file that tells */
};

struct tenant_view {
	struct tenant_row *row; /* by tenant, then by the tenant's first, second, ... VF */
	size_t n;
	/* what the rows point to */
	struct tenant_world *world;
	struct tenant_slot *slot;
	struct tenant_lease *lease;
};

/* tenant_view_read - fills *v, which tenant_view_free() empties. Negative errno after a message. */
int tenant_view_read(const struct sriov_env *e, struct tenant_view *v);
void tenant_view_free(struct tenant_view *v);
/* tenant_row_faults - how many things of a VF are not as wanted; 1 for one that is not there. */
unsigned int tenant_row_faults(const struct tenant_row *r);
/*
 * tenant_view_next - the end of the rows of the tenant whose first row is `from`: for loops over
 * tenants.
 */
size_t tenant_view_next(const struct tenant_view *v, size_t from);
/* tenant_view_find - the first row of a tenant, v->n when there is none of that name. */
size_t tenant_view_find(const struct tenant_view *v, const char *name);

/* tenant_metrics_write - the view in Prometheus' text format 0.0.4 (tenant_metrics.c). */
void tenant_metrics_write(const struct tenant_view *v, FILE *f);

#endif
