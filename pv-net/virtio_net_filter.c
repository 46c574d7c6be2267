/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which frames a virtio-net driver wants: the modes, addresses and VLANs that it sets by the
 * control queue, put together into the receive filter that the back-end applies. Called by
 * virtio_net_ctrl.c and at start and reset; calls core/nic.h. VIRTIO 1.2 sections 5.1.6.5.1 to
 * 5.1.6.5.3. Under the device's lock.
 */
#include <string.h>

#include "pv-net/virtio_net_priv.h"

static void filter_add(struct nic_filter *to, const uint8_t mac[6])
{
	memcpy(to->mac[to->n_macs++], mac, 6);
}

void vnet_filter_push(struct vnet *v)
{
	const struct vnet_filter *f = &v->filter;
	bool nouni = f->mode[VIRTIO_NET_CTRL_RX_NOUNI],
	     nomulti = f->mode[VIRTIO_NET_CTRL_RX_NOMULTI];
	struct nic_filter to = { 0 };

	/* who cannot say what he wants gets everything */
	to.promisc =
		!virtio_has(&v->vd, VIRTIO_NET_F_CTRL_RX) || f->mode[VIRTIO_NET_CTRL_RX_PROMISC];
	if (!to.promisc) {
		to.all_unicast = !nouni && (f->mode[VIRTIO_NET_CTRL_RX_ALLUNI] || f->more_uni);
		to.all_multicast =
			!nomulti && (f->mode[VIRTIO_NET_CTRL_RX_ALLMULTI] || f->more_multi);
		to.broadcast = !f->mode[VIRTIO_NET_CTRL_RX_NOBCAST];
		if (!nouni)
			filter_add(&to, v->mac);
		for (unsigned int i = nouni ? f->n_uni : 0; i < f->n_macs; i++)
			if (i < f->n_uni || !nomulti)
				filter_add(&to, f->mac[i]);
		/* none but those that the driver adds, from its start on */
		to.vlan = virtio_has(&v->vd, VIRTIO_NET_F_CTRL_VLAN);
		memcpy(to.vlan_table, f->vlan, sizeof(to.vlan_table));
	}
	nic_set_filter(v->be, &to);
}

void vnet_filter_reset(struct vnet *v)
{
	v->filter = (struct vnet_filter){ .mode[VIRTIO_NET_CTRL_RX_PROMISC] = true };
	memcpy(v->mac, v->own_mac, sizeof(v->mac));
	vnet_filter_push(v);
}

bool vnet_filter_mode(struct vnet *v, struct vnet_command *c, uint8_t command)
{
	uint8_t on;

	if (!vnet_command_take(c, &on, sizeof(on)) || c->left)
		return false;
	v->filter.mode[command] = on;
	vnet_filter_push(v);
	return true;
}

/* One of the two tables; what there is no place for is let through with its whole kind. */
static bool filter_table(struct vnet_filter *f, struct vnet_command *c, bool *more)
{
	uint8_t le[4], mac[6];
	uint32_t n;

	if (!vnet_command_take(c, le, sizeof(le)))
		return false;
	n = le[0] | (uint32_t)le[1] << 8 | (uint32_t)le[2] << 16 | (uint32_t)le[3] << 24;
	if (n > VNET_TABLE_MAX)
		return false;
	*more = false;
	for (uint32_t i = 0; i < n; i++) {
		if (!vnet_command_take(c, mac, sizeof(mac)))
			return false;
		if (f->n_macs == VNET_FILTER_MACS)
			*more = true;
		else
			memcpy(f->mac[f->n_macs++], mac, sizeof(mac));
	}
	return true;
}

bool vnet_filter_table(struct vnet *v, struct vnet_command *c, uint8_t command)
{
	struct vnet_filter f = v->filter;

	f.n_macs = 0;
	if (!filter_table(&f, c, &f.more_uni))
		return false;
	f.n_uni = f.n_macs;
	if (!filter_table(&f, c, &f.more_multi) || c->left)
		return false;
	v->filter = f;
	vnet_filter_push(v);
	return true;
}

bool vnet_filter_address(struct vnet *v, struct vnet_command *c, uint8_t command)
{
	static const uint8_t zero[6];
	uint8_t mac[6];

	if (!vnet_command_take(c, mac, sizeof(mac)) || c->left || mac[0] & 1 ||
	    !memcmp(mac, zero, sizeof(mac)))
		return false;
	memcpy(v->mac, mac, sizeof(mac));
	vnet_filter_push(v);
	return true;
}

bool vnet_filter_vlan(struct vnet *v, struct vnet_command *c, uint8_t command)
{
	uint8_t le[2];
	unsigned int id;

	if (!vnet_command_take(c, le, sizeof(le)) || c->left)
		return false;
	id = le[0] | (unsigned int)le[1] << 8;
	if (id > 4095)
		return false;
	if (command == VIRTIO_NET_CTRL_VLAN_ADD)
		v->filter.vlan[id / 32] |= 1u << (id % 32);
	else
		v->filter.vlan[id / 32] &= ~(1u << (id % 32));
	vnet_filter_push(v);
	return true;
}
