/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters of VFs, only where there are some. For a driver that keeps none the kernel says 0
 * (rtnl_fill_vfinfo()), which is not what has passed: it is believed when the table of drivers says
 * that the driver has counters, or when one of the PF's VFs shows a number. Called by the tenants'
 * tables and metrics.
 */
#include <errno.h>

#include "tenant_caps_priv.h"

static bool counters_moved(const struct vf_counters *c)
{
	return c->rx_packets | c->tx_packets | c->rx_bytes | c->tx_bytes | c->broadcast |
	       c->multicast | c->rx_dropped | c->tx_dropped;
}

int vf_counters_read(const struct sriov_env *e, const struct sriov_pf *pf, struct vf_counters **out,
		     unsigned int *n)
{
	bool kept = vf_caps_counters(e, pf);
	int ret;

	*out = NULL;
	*n = 0;
	if (!e->ops->counters)
		return -EOPNOTSUPP;
	ret = e->ops->counters(e->opaque, pf->ifindex, out, n);
	if (ret < 0 && ret != -EMSGSIZE)
		return ret;
	for (unsigned int i = 0; i < *n && !kept; i++)
		kept = (*out)[i].known && counters_moved(&(*out)[i]);
	for (unsigned int i = 0; i < *n && !kept; i++)
		(*out)[i].known = false;
	return ret;
}
