/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control queue of virtio-net: receive modes, addresses and VLANs, the number of queue pairs,
 * offloads of received frames, the announcement's end. It stays with the monitor also when the
 * other rings are handed over. Called by the pollers of virtio_net.c and virtio_net_rings.c.
 * VIRTIO 1.2 section 5.1.6.5. A command whose feature was not negotiated is answered with an error;
 * so are RSS and hash reports, which are not offered.
 */
#include <errno.h>

#include "pv-net/virtio_net_priv.h"

#define CTRL_BURST 16
#define CTRL_IOV   64

bool vnet_command_take(struct vnet_command *c, void *dst, size_t len)
{
	if (len > c->left || !vq_pull(&c->iov, &c->n, dst, len))
		return false;
	c->left -= len;
	return true;
}

static bool ctrl_pairs(struct vnet *v, struct vnet_command *c, uint8_t command)
{
	uint8_t le[2];

	return vnet_command_take(c, le, sizeof(le)) && !c->left &&
	       vnet_set_pairs(v, le[0] | (unsigned int)le[1] << 8);
}

static bool ctrl_announced(struct vnet *v, struct vnet_command *c, uint8_t command)
{
	v->announce = false;
	return !c->left;
}

/* Of the features that were negotiated, those that are to count now (5.1.6.5.8). */
static bool ctrl_offloads(struct vnet *v, struct vnet_command *c, uint8_t command)
{
	uint64_t guest = 0;
	uint8_t le[8];

	if (!vnet_command_take(c, le, sizeof(le)) || c->left)
		return false;
	for (unsigned int i = 0; i < sizeof(le); i++)
		guest |= (uint64_t)le[i] << (8 * i);
	return !(guest & ~VNET_GUEST_OFFLOADS) && !(guest & ~v->vd.features) &&
	       vnet_set_offloads(v, guest);
}

static const struct ctrl_command {
	uint8_t class, command;
	unsigned int feature; /* that it belongs to */
	bool (*run)(struct vnet *v, struct vnet_command *c, uint8_t command);
} commands[] = {
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_F_CTRL_RX, vnet_filter_mode },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, VIRTIO_NET_F_CTRL_RX, vnet_filter_mode },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, VIRTIO_NET_F_CTRL_RX_EXTRA,
	  vnet_filter_mode },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOMULTI, VIRTIO_NET_F_CTRL_RX_EXTRA,
	  vnet_filter_mode },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, VIRTIO_NET_F_CTRL_RX_EXTRA,
	  vnet_filter_mode },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, VIRTIO_NET_F_CTRL_RX_EXTRA,
	  vnet_filter_mode },
	{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, VIRTIO_NET_F_CTRL_RX,
	  vnet_filter_table },
	{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, VIRTIO_NET_F_CTRL_MAC_ADDR,
	  vnet_filter_address },
	{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, VIRTIO_NET_F_CTRL_VLAN,
	  vnet_filter_vlan },
	{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, VIRTIO_NET_F_CTRL_VLAN,
	  vnet_filter_vlan },
	{ VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, VIRTIO_NET_F_GUEST_ANNOUNCE,
	  ctrl_announced },
	{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, VIRTIO_NET_F_MQ, ctrl_pairs },
	{ VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
	  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, ctrl_offloads },
};

/* What the driver asks for in iov[0..c->n_out). */
static uint8_t ctrl_command(struct vnet *v, const struct vq_chain *chain, struct iovec *iov)
{
	struct vnet_command c = { .iov = iov, .n = chain->n_out, .left = chain->out_len };
	struct virtio_net_ctrl_hdr h;

	if (!vnet_command_take(&c, &h, sizeof(h)))
		return VIRTIO_NET_ERR;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].class == h.class && commands[i].command == h.command)
			return virtio_has(&v->vd, commands[i].feature) &&
					       commands[i].run(v, &c, h.command)
				       ? VIRTIO_NET_OK
				       : VIRTIO_NET_ERR;
	return VIRTIO_NET_ERR;
}

/* The chain that is next. False when it broke the device. */
static bool ctrl_one(struct vnet *v, unsigned int q)
{
	struct virtqueue *vq = &v->vd.queue[q].vq;
	struct iovec iov[CTRL_IOV];
	struct vq_chain c;
	int ret = vq_walk(vq, 0, iov, CTRL_IOV, &c);

	if (ret < 0) {
		virtio_broken(&v->vd, q,
			      ret == -E2BIG ? "a command is in too many pieces" : vq->why);
		return false;
	}
	if (!c.n_in) {
		virtio_broken(&v->vd, q, "a command has no place for its status");
		return false;
	}
	/* the status byte is the first that the device may write; the list is walked before it */
	*(volatile uint8_t *)iov[c.n_out].iov_base = ctrl_command(v, &c, iov);
	vq_take(vq, 1);
	vq_put_used(vq, c.head, 1);
	return true;
}

/* Its place depends on what the driver knows (5.1.2). */
static unsigned int ctrl_queue(const struct vnet *v)
{
	return virtio_has(&v->vd, VIRTIO_NET_F_MQ) ? 2 * v->n_pairs : 2;
}

unsigned int vnet_ctrl_poll(struct vnet *v)
{
	unsigned int q = ctrl_queue(v), work = 0;
	struct virtqueue *vq = &v->vd.queue[q].vq;
	int n;

	if (!vq->started || !virtio_has(&v->vd, VIRTIO_NET_F_CTRL_VQ))
		return 0;
	while (work < CTRL_BURST) {
		n = vq_avail(vq);
		if (n == 0 && !vq->want_notify) {
			/* asked for the next notification, then looked once more */
			vq_notify_on(vq);
			n = vq_avail(vq);
		}
		if (n < 0)
			virtio_broken(&v->vd, q, vq->why);
		if (n <= 0 || !ctrl_one(v, q))
			break;
		vq_notify_off(vq);
		work++;
	}
	if (atomic_load(&v->vd.live) && vq_publish(vq))
		virtio_raise_queue(&v->vd, q);
	return work;
}
