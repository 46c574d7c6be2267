/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host as it is now, for the plan of the tenants: every PF with what it can be told, and its
 * VFs with settings, driver, holder and IOMMU group. Read once a call, settings with one netlink
 * question a PF, and never written to disk. Called by tenant_plan.c's callers; reads sysfs, netlink
 * and the store's leases.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/paths.h"
#include "tenant.h"

#define ROUTES_MAX  64
#define LOWER_DEPTH 8 /* a VLAN on a bond in a bridge in ...: the kernel nests 8 at most */

/* --- the host's way out --------------------------------------------------- */
static void route_mark(const struct sriov_env *e, struct tenant_world *w, const char *netdev,
		       int depth)
{
	char link[PATH_MAX], path[PATH_MAX];
	struct dirent *de;
	DIR *d;

	snprintf(link, sizeof(link), "%s/class/net/%s/device", e->v->sysfs, netdev);
	if (sriov_device_path(e->v, link, path) == 0)
		for (size_t i = 0; i < w->n; i++)
			if (!strcmp(w->pf[i].pf.path, path))
				w->pf[i].default_route = true;
	snprintf(link, sizeof(link), "%s/class/net/%s", e->v->sysfs, netdev);
	d = depth < LOWER_DEPTH ? opendir(link) : NULL;
	while (d && (de = readdir(d)))
		if (!strncmp(de->d_name, "lower_", 6) && sriov_netdev_ok(de->d_name + 6))
			route_mark(e, w, de->d_name + 6, depth + 1);
	if (d)
		closedir(d);
}

static int world_routes(const struct sriov_env *e, struct tenant_world *w)
{
	unsigned int ifindex[ROUTES_MAX];
	char dir[PATH_MAX], one[PATH_MAX + 300];
	struct dirent *de;
	DIR *d;
	int n = w->n && e->default_routes ? e->default_routes(e->opaque, ifindex, ROUTES_MAX) : 0;

	if (n < 0)
		return err_ret(n, "reading the default routes: %s; is netlink there?",
			       strerror(-n));
	snprintf(dir, sizeof(dir), "%s/class/net", e->v->sysfs);
	d = n ? opendir(dir) : NULL;
	while (d && (de = readdir(d))) {
		unsigned int is;

		if (!sriov_netdev_ok(de->d_name))
			continue;
		snprintf(one, sizeof(one), "%s/%s", dir, de->d_name);
		is = sriov_read_number(one, "ifindex");
		for (int i = 0; i < n; i++)
			if (is == ifindex[i])
				route_mark(e, w, de->d_name, 0);
	}
	if (d)
		closedir(d);
	return 0;
}

/* --- one PF --------------------------------------------------------------- */
static unsigned int world_hex(const char *dir, const char *file)
{
	char line[16];

	if (paths_read_line(line, sizeof(line), "%s/%s", dir, file) <= 0)
		return 0;
	return (unsigned int)strtoul(line, NULL, 16) & 0xffff;
}

/* The bridge right below the root complex: the first function on the way to the PF. */
static void world_root_port(struct tenant_world_pf *p)
{
	const char *at = strstr(p->pf.path, "/pci");
	char name[IOMMU_BDF_SIZE];

	at = p->pf.pci && at ? strchr(at + 1, '/') : NULL;
	if (!at || !strchr(at + 1, '/') || strcspn(at + 1, "/") >= sizeof(name))
		return;
	memcpy(name, at + 1, strcspn(at + 1, "/"));
	name[strcspn(at + 1, "/")] = '\0';
	if (iommu_bdf_parse(name, p->root_port) < 0)
		p->root_port[0] = '\0';
}

static void world_vf(const struct sriov_env *e, struct tenant_world_pf *p, unsigned int idx)
{
	struct tenant_world_vf *v = &p->vf[idx];
	char group[16], *end;

	v->group = -1;
	if (sriov_vf_bdf(&p->pf, idx, v->bdf) < 0)
		return;
	if (paths_link_name(v->driver, sizeof(v->driver), "%s/virtfn%u/driver", p->pf.path, idx) <
	    0)
		v->driver[0] = '\0';
	if (paths_link_name(group, sizeof(group), "%s/virtfn%u/iommu_group", p->pf.path, idx) >= 0)
		v->group = (int)strtol(group, &end, 10);
	vf_holder_host(e, &p->pf, idx, v->holder, sizeof(v->holder));
}

static int world_vfs(const struct sriov_env *e, struct tenant_world_pf *p)
{
	struct vf_table t = { 0 };
	int ret = p->pf.num_vfs ? vf_read_before(e, &p->pf, &t) : 0;

	p->vf = calloc((size_t)p->pf.num_vfs + 1, sizeof(*p->vf));
	if (ret == 0 && !p->vf)
		ret = err_ret(-ENOMEM, "reading the VFs of %s: out of memory; free some",
			      p->pf.name);
	for (unsigned int i = 0; ret == 0 && i < p->pf.num_vfs; i++) {
		if (i < t.announced)
			p->vf[i].set = t.vf[i];
		world_vf(e, p, i);
	}
	vf_table_free(&t);
	return ret;
}

static void world_device(struct tenant_world_pf *p)
{
	unsigned int autoprobe = sriov_read_number(p->pf.path, "sriov_drivers_autoprobe");
	char line[16];

	p->vendor = (uint16_t)world_hex(p->pf.path, "vendor");
	p->device = (uint16_t)world_hex(p->pf.path, "device");
	p->numa = TENANT_ANY;
	if (paths_read_line(line, sizeof(line), "%s/numa_node", p->pf.path) > 0)
		p->numa = (int)strtol(line, NULL, 10);
	if (p->numa < 0)
		p->numa = TENANT_ANY;
	p->autoprobe = autoprobe <= 1 ? (int)autoprobe : -1;
	world_root_port(p);
}

/* --- what the store knows of users ---------------------------------------- */
static struct tenant_world_vf *world_at(const struct tenant_world *w, const char *pf,
					unsigned int idx)
{
	struct tenant_world_pf *p = tenant_world_find(w, pf);

	return p && idx < p->pf.num_vfs ? &p->vf[idx] : NULL;
}

/* A lease whose holder is gone is none: the next call that writes resets the VF first. */
static int world_leases(const struct sriov_env *e, const struct tenant_store *st,
			struct tenant_world *w)
{
	struct tenant_lease *l = NULL;
	size_t n = 0;
	int ret = tenant_store_leases(st, &l, &n);

	for (size_t i = 0; ret == 0 && i < n; i++) {
		struct tenant_world_vf *v = world_at(w, l[i].pf, l[i].idx);

		if (v && !l[i].dirty && tenant_lease_alive(e, &l[i]))
			snprintf(v->holder, sizeof(v->holder),
				 "guest %s of tenant %s has it (pid %d)", l[i].guest, l[i].tenant,
				 (int)l[i].pid);
	}
	free(l);
	return ret;
}

/* A tenant's VF that somebody gave to vfio-pci, though its tenant has another driver. */
static int world_by_hand(const struct tenant_store *st, struct tenant_world *w)
{
	struct tenant_slot *s = NULL;
	size_t n = 0;
	int ret = tenant_store_slots(st, &s, &n);

	for (size_t i = 0; ret == 0 && i < n; i++) {
		struct tenant_world_vf *v = world_at(w, s[i].pf, s[i].idx);

		if (v && !v->holder[0] && iommu_driver_is_vfio(v->driver) &&
		    strcmp(v->driver, s[i].driver))
			snprintf(v->holder, sizeof(v->holder), "somebody assigned it to %s by hand",
				 v->driver);
	}
	free(s);
	return ret;
}

/* --- all ------------------------------------------------------------------ */
static int world_by_id(const void *a, const void *b)
{
	const struct sriov_pf *x = a, *y = b;
	int by_id = strcmp(x->id, y->id);

	return by_id ? by_id : strcmp(x->name, y->name);
}

static int world_list(const struct sriov_env *e, struct tenant_world *w)
{
	struct sriov_pf *pfs = NULL;
	int n = sriov_pfs(e->v, &pfs);

	if (n < 0)
		return err_ret(n, "listing PFs: %s; is /sys mounted?", strerror(-n));
	w->pf = calloc((size_t)n + 1, sizeof(*w->pf));
	if (!w->pf) {
		free(pfs);
		return err_ret(-ENOMEM, "listing PFs: out of memory; free some");
	}
	if (n)
		qsort(pfs, (size_t)n, sizeof(*pfs), world_by_id);
	for (int i = 0; i < n; i++) /* a device with two netdevs is in the list twice */
		if (!w->n || strcmp(w->pf[w->n - 1].pf.id, pfs[i].id))
			w->pf[w->n++].pf = pfs[i];
	free(pfs);
	return 0;
}

int tenant_world_read(const struct sriov_env *e, const struct tenant_store *st,
		      struct tenant_world **out)
{
	struct tenant_world *w = calloc(1, sizeof(*w));
	int ret;

	*out = NULL;
	if (!w)
		return err_ret(-ENOMEM, "listing PFs: out of memory; free some");
	ret = world_list(e, w);
	for (size_t i = 0; ret == 0 && i < w->n; i++) {
		world_device(&w->pf[i]);
		vf_caps(e, st, &w->pf[i].pf, w->pf[i].can);
		sriov_eswitch_mode(&w->pf[i].pf, w->pf[i].eswitch, sizeof(w->pf[i].eswitch));
		ret = world_vfs(e, &w->pf[i]);
	}
	if (ret == 0)
		ret = world_routes(e, w);
	if (ret == 0)
		ret = world_leases(e, st, w);
	if (ret == 0)
		ret = world_by_hand(st, w);
	if (ret < 0)
		tenant_world_free(w);
	else
		*out = w;
	return ret;
}

void tenant_world_free(struct tenant_world *w)
{
	for (size_t i = 0; w && i < w->n; i++)
		free(w->pf[i].vf);
	if (w)
		free(w->pf);
	free(w);
}

struct tenant_world_pf *tenant_world_find(const struct tenant_world *w, const char *id)
{
	for (size_t i = 0; i < w->n; i++)
		if (!strcmp(w->pf[i].pf.id, id))
			return &w->pf[i];
	return NULL;
}
