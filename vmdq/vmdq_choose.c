/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who sorts the frames of a NIC into its pools: the NIC or the stand-in. Called by vmdq_nic.c
 * before it configures the device; plain C without DPDK calls, so that a unit test can go through
 * NICs that are not there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "vmdq/vmdq_priv.h"

static bool key_same(const struct vmdq_key *a, const struct vmdq_key *b)
{
	return a->vlan == b->vlan && a->has_mac == b->has_mac &&
	       (!a->has_mac || !memcmp(a->mac, b->mac, 6));
}

static bool key_valid(const struct vmdq_key *k)
{
	static const uint8_t zero[6];

	return k->vlan < VMDQ_N_VIDS - 1 &&
	       (!k->has_mac || (!(k->mac[0] & 1) && memcmp(k->mac, zero, 6)));
}

static int keys_check(const char *name, const struct vmdq_nic_conf *c)
{
	if (c->n_pools < 1 || c->n_pools > VMDQ_STANDIN_MAX)
		return err_ret(-EINVAL, "pools of %s: %u are wanted, %d is the most; use fewer",
			       name, c->n_pools, VMDQ_STANDIN_MAX);
	for (unsigned int i = 0; i < c->n_pools; i++) {
		if (!key_valid(&c->key[i]))
			return err_ret(-EINVAL,
				       "pools of %s: pool %u has no valid VLAN (0..4094) or "
				       "unicast address; correct it",
				       name, i);
		for (unsigned int j = 0; j < i; j++)
			if (key_same(&c->key[i], &c->key[j]))
				return err_ret(-EINVAL,
					       "pools of %s: pools %u and %u want the same frames "
					       "(VLAN %u); give one another VLAN or address",
					       name, j, i, c->key[i].vlan);
	}
	return 0;
}

static int software(char why[VMDQ_WHY], const char *text)
{
	snprintf(why, VMDQ_WHY, "%s", text);
	return VMDQ_SOFTWARE;
}

int vmdq_choose(const char *name, const struct vmdq_caps *caps, const struct vmdq_nic_conf *c,
		char why[VMDQ_WHY])
{
	unsigned int with_mac = 0;
	int ret = keys_check(name, c);

	why[0] = '\0';
	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < c->n_pools; i++)
		with_mac += c->key[i].has_mac;
	if (c->software)
		return software(why, "asked for");
	if (!caps->max_pools)
		return software(why, "the NIC or its driver has no VMDq");
	if (c->n_pools > caps->max_pools) {
		snprintf(why, VMDQ_WHY, "%u pools are wanted, the NIC has %u", c->n_pools,
			 caps->max_pools);
		return VMDQ_SOFTWARE;
	}
	if (with_mac && with_mac < c->n_pools)
		return software(why, "some pools have an address and some take a whole VLAN");
	if (with_mac && !caps->by_mac)
		return software(why, "the NIC's driver does not sort by address");
	if (!with_mac && !caps->by_vlan)
		return software(why, "the NIC's driver does not sort by VLAN alone");
	return VMDQ_HARDWARE;
}

unsigned int vmdq_pool_queue(const struct vmdq_caps *caps, unsigned int i)
{
	if (caps->queue_is_pool)
		return caps->queue_base + i;
	return caps->queue_base + i * (caps->n_queues / caps->max_pools);
}
