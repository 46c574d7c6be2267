/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control queue of virtio-net: how many queue pairs the driver uses. It stays with the monitor
 * also when the other rings are handed over. Called by the poller of virtio_net_rings.c, calls it
 * back for the pairs. VIRTIO 1.2 section 5.1.6.5. Left out, answered with an error: every class but
 * MQ (none is offered), RSS and hash reports.
 */
#include <errno.h>

#include "pv-net/virtio_net_priv.h"

#define CTRL_BURST 16
#define CTRL_IOV   64

static bool ctrl_set_pairs(struct vnet *v, struct iovec *iov, unsigned int n, uint64_t len)
{
	uint8_t le[2];
	unsigned int pairs;

	if (len != sizeof(le) || !vq_pull(&iov, &n, le, sizeof(le)))
		return false;
	pairs = le[0] | (unsigned int)le[1] << 8;
	return pairs && vnet_rings_set_pairs(v, pairs);
}

/* What the driver asks for in iov[0..c->n_out). */
static uint8_t ctrl_command(struct vnet *v, const struct vq_chain *c, struct iovec *iov)
{
	struct virtio_net_ctrl_hdr h;
	unsigned int n = c->n_out;

	if (!vq_pull(&iov, &n, &h, sizeof(h)) || h.class != VIRTIO_NET_CTRL_MQ ||
	    h.command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !virtio_has(&v->vd, VIRTIO_NET_F_MQ) ||
	    !ctrl_set_pairs(v, iov, n, c->out_len - sizeof(h)))
		return VIRTIO_NET_ERR;
	return VIRTIO_NET_OK;
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

unsigned int vnet_ctrl_poll(struct vnet *v)
{
	unsigned int q = 2 * v->n_pairs, work = 0;
	struct virtqueue *vq = &v->vd.queue[q].vq;
	int n;

	if (q >= v->vd.n_queues || !vq->started || !virtio_has(&v->vd, VIRTIO_NET_F_CTRL_VQ))
		return 0;
	while (work < CTRL_BURST) {
		n = vq_avail(vq);
		if (n == 0) {
			/* asked for the next notification, then looked once more */
			vq_notify_on(vq);
			n = vq_avail(vq);
		}
		if (n < 0)
			virtio_broken(&v->vd, q, vq->why);
		if (n <= 0 || !ctrl_one(v, q))
			break;
		work++;
	}
	if (atomic_load(&v->vd.live) && vq_publish(vq))
		virtio_raise_queue(&v->vd, q);
	return work;
}
