/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each slot is set to. A MAC is the file's, or follows from the tenant's name and the VF's
 * number in it: always the same, locally administered, and the next one of the row where somebody
 * on this host has it already. Everything that the file does not say is none, off or unlimited, but
 * the spoof check, which is on.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_ether.h>

#include "core/err.h"
#include "core/paths.h"
#include "tenant_plan_priv.h"

#define MAC_TRIES 16      /* addresses that a VF may have, the first free one it gets */
#define MAC_STEP  0x10000 /* apart: more than a tenant has VFs */

/* --- all MACs of the host ------------------------------------------------- */
static struct plan_mac *mac_place(const struct planning *pl, const uint8_t mac[6])
{
	size_t at = 0;

	for (int i = 0; i < 6; i++)
		at = at * 257 + mac[i];
	for (at %= pl->n_macs; pl->macs[at].used && memcmp(pl->macs[at].mac, mac, 6);)
		at = at + 1 < pl->n_macs ? at + 1 : 0;
	return &pl->macs[at];
}

static void mac_add(struct planning *pl, const uint8_t mac[6], size_t owner, const char *name)
{
	struct plan_mac *m = mac_place(pl, mac);

	if (m->used || !memcmp(mac, (uint8_t[6]){ 0 }, 6))
		return;
	m->used = true;
	memcpy(m->mac, mac, 6);
	m->owner = owner;
	snprintf(m->name, sizeof(m->name), "%s", name);
}

/* Somebody else's, or NULL. */
static const struct plan_mac *mac_taken(const struct planning *pl, const uint8_t mac[6],
					size_t owner)
{
	const struct plan_mac *m = mac_place(pl, mac);

	return m->used && m->owner != owner ? m : NULL;
}

/* Whose netdev it is: a VF's, or nobody's that matters. */
static size_t mac_owner(const struct planning *pl, const char *netdev)
{
	char bdf[IOMMU_BDF_SIZE], link[PATH_MAX], path[PATH_MAX], *parent;

	snprintf(link, sizeof(link), "%s/class/net/%s/device/physfn", pl->e->v->sysfs, netdev);
	if (sriov_device_path(pl->e->v, link, path) < 0)
		return PLAN_NOBODY;
	parent = strrchr(path, '/');
	for (size_t i = 0; parent && i < pl->n_pf; i++) {
		const struct tenant_world_pf *w = pl->pf[i].w;

		if (strcmp(w->pf.path, path))
			continue;
		if (paths_link_name(bdf, sizeof(bdf), "%s/class/net/%s/device", pl->e->v->sysfs,
				    netdev) < 0)
			continue;
		for (unsigned int v = 0; v < w->pf.num_vfs; v++)
			if (!strcmp(w->vf[v].bdf, bdf))
				return PLAN_VF_ID(i, v);
	}
	return PLAN_NOBODY;
}

static int mac_netdevs(struct planning *pl, struct dirent **all, int n)
{
	char line[32];
	uint8_t mac[6];

	for (int i = 0; i < n; i++) {
		const char *name = all[i]->d_name;

		if (sriov_netdev_ok(name) &&
		    paths_read_line(line, sizeof(line), "%s/class/net/%s/address", pl->e->v->sysfs,
				    name) > 0 &&
		    vf_mac_parse(line, mac) == 0)
			mac_add(pl, mac, mac_owner(pl, name), name);
	}
	return 0;
}

static void mac_vfs(struct planning *pl)
{
	char name[40];

	for (size_t i = 0; i < pl->n_pf; i++)
		for (unsigned int v = 0; v < pl->pf[i].w->pf.num_vfs; v++) {
			const struct vf_settings *s = &pl->pf[i].w->vf[v].set;

			/* a VF that its tenant loses has no MAC any more when this plan is done */
			if (!(s->known & VF_BIT(VF_MAC)) ||
			    (pl->pf[i].vf[v].old && !pl->pf[i].vf[v].slot))
				continue;
			snprintf(name, sizeof(name), "VF %u of %s", v, pl->pf[i].w->pf.name);
			mac_add(pl, s->mac, PLAN_VF_ID(i, v), name);
		}
}

static int mac_host(struct planning *pl)
{
	struct dirent **all = NULL;
	char dir[PATH_MAX];
	size_t vfs = pl->p->n_slots;
	int n;

	for (size_t i = 0; i < pl->n_pf; i++)
		vfs += pl->pf[i].w->pf.num_vfs;
	snprintf(dir, sizeof(dir), "%s/class/net", pl->e->v->sysfs);
	n = scandir(dir, &all, NULL, NULL);
	pl->n_macs = 2 * (vfs + (n > 0 ? (size_t)n : 0)) + 16;
	pl->macs = calloc(pl->n_macs, sizeof(*pl->macs));
	if (pl->macs) {
		mac_vfs(pl);
		mac_netdevs(pl, all, n);
	}
	for (int i = 0; i < n; i++)
		free(all[i]);
	free(all);
	return pl->macs ? 0 : err_ret(-ENOMEM, "planning VFs: out of memory; free some");
}

/* --- one slot's ----------------------------------------------------------- */
static size_t slot_owner(const struct planning *pl, const struct tenant_slot *s)
{
	return PLAN_VF_ID(plan_find(pl, s->pf) - pl->pf, s->idx);
}

static void slot_claim(struct planning *pl, const struct tenant_slot *s)
{
	char name[40];

	snprintf(name, sizeof(name), "tenant %.30s", s->tenant);
	mac_add(pl, s->set.mac, slot_owner(pl, s), name);
}

static int mac_listed(struct planning *pl, const struct tenant_want *w, struct tenant_slot *s)
{
	const struct plan_mac *m;
	char text[18];

	memcpy(s->set.mac, w->macs[s->nth], 6);
	m = mac_taken(pl, s->set.mac, slot_owner(pl, s));
	/* the VF that has it now may be one of the tenants', which gets another in this plan */
	if (m && (m->owner == PLAN_NOBODY || !pl->pf[m->owner >> 16].vf[m->owner & 0xffff].slot)) {
		vf_mac_text(s->set.mac, text);
		return plan_refuse(pl, w->at.mac ? w->at.mac : w->line, -EEXIST,
				   "tenant %s: %s has the MAC %s already; write another", w->name,
				   m->name, text);
	}
	slot_claim(pl, s);
	return 0;
}

static int mac_chosen(struct planning *pl, const struct tenant_want *w, struct tenant_slot *s)
{
	const struct tenant_slot *old = plan_find(pl, s->pf)->vf[s->idx].old;
	uint8_t mac[6];
	bool chosen = false;

	for (unsigned int t = 0; t < MAC_TRIES; t++) {
		vf_mac_stable(w->name, s->nth + t * MAC_STEP, mac);
		if (old && !strcmp(old->tenant, w->name) && old->nth == s->nth &&
		    !memcmp(old->set.mac, mac, 6)) {
			/* what it has it keeps, also when one before it has become free */
			memcpy(s->set.mac, mac, 6);
			chosen = true;
			break;
		}
		if (!chosen && !mac_taken(pl, mac, slot_owner(pl, s))) {
			memcpy(s->set.mac, mac, 6);
			chosen = true;
		}
	}
	if (!chosen)
		return plan_refuse(
			pl, w->line, -EEXIST,
			"tenant %s: %d MACs that it could have are all taken; list one in mac",
			w->name, MAC_TRIES);
	slot_claim(pl, s);
	return 0;
}

static int slot_settings(const struct planning *pl, const struct tenant_want *w,
			 struct tenant_slot *s)
{
	const struct vf_settings none = { .proto = ETH_P_8021Q, .spoof_check = true };
	char why[160];

	if (vf_request_merge(&w->set, &none, &s->set, why, sizeof(why)) < 0)
		return plan_refuse(pl, w->line, -EINVAL, "tenant %s: %s", w->name, why);
	s->set.known = VF_ALL;
	return 0;
}

static int slot_driver(const struct planning *pl, const struct tenant_want *w,
		       struct tenant_slot *s)
{
	const struct plan_pf *pf = plan_find(pl, s->pf);
	bool pci = pf->w->pf.pci;

	strcpy(s->driver, w->driver[0] ? w->driver : pci ? "vfio-pci" : "none");
	if (!pci && strcmp(s->driver, "none"))
		return plan_refuse(pl, w->line, -EOPNOTSUPP,
				   "tenant %s: VFs of %s are no PCI functions and take no driver; "
				   "write driver: none",
				   w->name, pf->w->pf.name);
	if (iommu_driver_is_vfio(s->driver) && !iommu_active(pl->e->v->sysfs))
		return plan_refuse(pl, w->line, -ENODEV,
				   "tenant %s: driver %s needs an IOMMU, and this host's kernel "
				   "drives none; see 'fourlane host', "
				   "or write driver: none or the kernel's VF driver",
				   w->name, s->driver);
	return 0;
}

/* --- all ------------------------------------------------------------------ */
static int slot_by_mac(const void *a, const void *b)
{
	const struct tenant_slot *const *x = a, *const *y = b;
	int by = memcmp((*x)->set.mac, (*y)->set.mac, 6);

	return by ? by : *x < *y ? -1 : *x > *y;
}

/* A MAC of a list can be one that another tenant has been given and keeps. */
static int mac_unique(const struct planning *pl)
{
	const struct tenant_plan *p = pl->p;
	const struct tenant_slot **all = calloc(p->n_slots + 1, sizeof(*all));
	char text[18];
	int ret = 0;

	if (!all)
		return err_ret(-ENOMEM, "planning VFs: out of memory; free some");
	for (size_t i = 0; i < p->n_slots; i++)
		all[i] = &p->slots[i];
	qsort(all, p->n_slots, sizeof(*all), slot_by_mac);
	for (size_t i = 1; ret == 0 && i < p->n_slots; i++) {
		const struct tenant_want *a = plan_want(pl, all[i - 1]->tenant);
		const struct tenant_want *b = plan_want(pl, all[i]->tenant);

		if (memcmp(all[i - 1]->set.mac, all[i]->set.mac, 6))
			continue;
		vf_mac_text(all[i]->set.mac, text);
		ret = plan_refuse(pl, a->mac_auto ? b->at.mac : a->at.mac, -EEXIST,
				  "tenants %s and %s would both have the MAC %s; list another",
				  a->name, b->name, text);
	}
	free(all);
	return ret;
}

int plan_values(struct planning *pl)
{
	struct tenant_plan *p = pl->p;
	int ret = p->n_slots ? mac_host(pl) : 0;

	for (size_t i = 0; ret == 0 && i < p->n_slots; i++) {
		const struct tenant_want *w = plan_want(pl, p->slots[i].tenant);

		ret = slot_settings(pl, w, &p->slots[i]);
		if (ret == 0)
			ret = slot_driver(pl, w, &p->slots[i]);
		if (ret == 0 && !w->mac_auto)
			ret = mac_listed(pl, w, &p->slots[i]);
	}
	for (size_t i = 0; ret == 0 && i < p->n_slots; i++) {
		const struct tenant_want *w = plan_want(pl, p->slots[i].tenant);

		if (w->mac_auto)
			ret = mac_chosen(pl, w, &p->slots[i]);
	}
	return ret < 0 ? ret : mac_unique(pl);
}
