/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tenant's name as a word of `fourlane export`: its VFs, as they are set for it. libvirt makes
 * the settings of a VF itself and knows a VLAN's number only, so a VF whose VLAN has a QoS or
 * another protocol is handed over as a plain function, whose settings it leaves alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_ether.h>

#include "core/err.h"
#include "tenant_view.h"
#include "vfio/export.h"

static int export_row(const struct tenant_row *r, struct export_function *fn)
{
	static const uint8_t none[6];
	const struct vf_settings *set = &r->slot->set;
	bool plain = !(set->known & VF_BIT(VF_VLAN)) || !set->vlan;

	if (!r->vf || !r->vf->bdf[0])
		return err_ret(-ENODEV,
			       "exporting tenant %s: VF %u of %s is no PCI function that is there; "
			       "run 'fourlane tenant apply --stored'",
			       r->slot->tenant, r->slot->idx, r->slot->pf);
	if (r->lease)
		return err_ret(
			-EBUSY,
			"exporting tenant %s: VF %s is leased to guest %s (pid %d%s); end it, "
			"or export another by its address",
			r->slot->tenant, r->vf->bdf, r->lease->guest, (int)r->lease->pid,
			r->alive ? "" : ", gone: 'fourlane tenant apply --stored' frees it");
	strcpy(fn->bdf, r->vf->bdf);
	memcpy(fn->mac, set->mac, sizeof(fn->mac));
	fn->vlan = plain ? 0 : set->vlan;
	fn->vf = set->known & VF_BIT(VF_MAC) && memcmp(set->mac, none, sizeof(none)) &&
		 (plain || (set->proto == ETH_P_8021Q && !set->qos));
	return 0;
}

static int tenant_export_find(const char *name, struct export_function **out, size_t *n)
{
	struct tenant_view v;
	struct sriov_host h;
	size_t from, end;
	int ret;

	sriov_host_look(&h);
	ret = tenant_view_read(&h.env, &v);
	if (ret < 0)
		return ret;
	from = tenant_view_find(&v, name);
	end = from == v.n ? from : tenant_view_next(&v, from);
	*n = end - from;
	*out = *n ? calloc(*n, sizeof(**out)) : NULL;
	if (!*n)
		ret = -ENOENT;
	else if (!*out)
		ret = err_ret(-ENOMEM, "exporting tenant %s: out of memory; free some", name);
	for (size_t i = from; ret == 0 && i < end; i++)
		ret = export_row(&v.row[i], &(*out)[i - from]);
	if (ret < 0) {
		free(*out);
		*out = NULL;
	}
	tenant_view_free(&v);
	return ret;
}

static const struct export_names tenant_export = { .find = tenant_export_find };
EXPORT_NAMES(&tenant_export);
