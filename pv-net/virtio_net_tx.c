/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net, from the guest: chains become frames that point into guest memory, go to the back-end
 * in bursts and come back to the driver in bursts. Called by the poller of virtio_net.c. VIRTIO 1.2
 * section 5.1.6.2. No offload is offered, so a frame that asks for one is dropped and counted.
 */
#include <errno.h>

#include "pv-net/virtio_net_priv.h"

void vnet_tx_forget(struct vnet_tx *t)
{
	t->first = t->n = 0;
	t->in_flight_first = t->n_in_flight = 0;
}

/* Bits of `flags` that we do not know are ignored (5.1.6.2.2); a checksum or a segmentation was not
 * negotiated. */
static bool tx_wants_offload(const struct virtio_net_hdr *h)
{
	return h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM || h->gso_type != VIRTIO_NET_HDR_GSO_NONE;
}

/* The reason to drop what stands in iov[0..*n), or NIC_N_DROPS; then *iov and *n describe the frame
 * without its header. */
static enum nic_drop tx_check(struct vnet *v, const struct vq_chain *c, struct iovec **iov,
			      unsigned int *n)
{
	struct virtio_net_hdr h; /* the one copy that is looked at */

	*n = c->n_out;
	if (!vq_pull(iov, n, &h, sizeof(h)))
		return NIC_DROP_TOO_SHORT;
	if (tx_wants_offload(&h)) {
		v->n_tx_refused++;
		return NIC_DROP_ERROR;
	}
	if (c->out_len < sizeof(h) + VNET_FRAME_MIN)
		return NIC_DROP_TOO_SHORT;
	if (c->out_len > sizeof(h) + NIC_MAX_FRAME || *n > NIC_MAX_IOV)
		return NIC_DROP_TOO_LONG;
	return NIC_N_DROPS;
}

/* The chain at `pos` becomes t->frame[t->n], or goes back at once. *iov moves behind what it took.
 * Negative: broken. */
static int tx_walk_one(struct vnet *v, unsigned int pair, unsigned int pos, struct iovec **iov)
{
	struct virtqueue *vq = vnet_txq(v, pair);
	struct vnet_tx *t = &v->tx[pair];
	enum nic_drop why = NIC_DROP_TOO_LONG;
	struct iovec *frame = *iov;
	struct vq_chain c;
	unsigned int n;
	int ret = vq_walk(vq, pos, frame, VNET_CHAIN_IOV, &c);

	if (ret == 0 && c.n_in) {
		vq->why = "a transmit chain has writable descriptors";
		return -EPROTO;
	}
	if (ret < 0 && ret != -E2BIG)
		return ret;
	if (ret == 0) {
		*iov += c.n_out;
		why = tx_check(v, &c, &frame, &n);
	}
	if (why != NIC_N_DROPS) {
		v->be->n.tx_drop[why]++;
		vq_put_used(vq, c.head, 0);
		return 0;
	}
	t->frame[t->n] = (struct nic_tx_frame){
		.iov = frame,
		.n_iov = n,
		.len = (uint32_t)(c.out_len - sizeof(struct virtio_net_hdr)),
	};
	t->head[t->n++] = c.head;
	return 0;
}

/* Fills the burst anew; it is empty. Gives the chains walked. */
static unsigned int tx_walk(struct vnet *v, unsigned int pair)
{
	struct virtqueue *vq = vnet_txq(v, pair);
	struct vnet_tx *t = &v->tx[pair];
	struct iovec *iov = t->iov;
	int n = vq_avail(vq), i, ret = n;

	t->first = t->n = 0;
	if (n > NIC_BURST)
		n = NIC_BURST;
	for (i = 0; i < n && ret >= 0; i++)
		ret = tx_walk_one(v, pair, (unsigned int)i, &iov);
	if (ret < 0) {
		virtio_broken(&v->vd, VIRTIO_NET_QUEUE_TX(pair), vq->why);
		t->n = 0;
		return 0;
	}
	vq_take(vq, (unsigned int)n);
	return (unsigned int)n;
}

unsigned int vnet_tx_send(struct vnet *v, unsigned int pair)
{
	struct vnet_tx *t = &v->tx[pair];
	unsigned int work = 0, taken;

	if (!vnet_txq(v, pair)->started)
		return 0;
	if (t->first == t->n)
		work = tx_walk(v, pair);
	if (t->first == t->n)
		return work;
	taken = nic_send(v->be, pair, t->frame + t->first, t->n - t->first);
	for (unsigned int i = 0; i < taken; i++)
		t->in_flight[(t->in_flight_first + t->n_in_flight++) % VNET_QUEUE_SIZE] =
			t->head[t->first++];
	return work + taken;
}

unsigned int vnet_tx_complete(struct vnet *v, unsigned int pair)
{
	struct virtqueue *vq = vnet_txq(v, pair);
	struct vnet_tx *t = &v->tx[pair];
	unsigned int done;

	if (!vq->started)
		return 0;
	done = nic_sent(v->be, pair);
	if (done > t->n_in_flight)
		done = t->n_in_flight; /* frames of before a reset */
	for (unsigned int i = 0; i < done; i++) {
		vq_put_used(vq, t->in_flight[t->in_flight_first], 0);
		t->in_flight_first = (t->in_flight_first + 1) % VNET_QUEUE_SIZE;
	}
	t->n_in_flight -= done;
	if (vq_publish(vq))
		virtio_raise_queue(&v->vd, VIRTIO_NET_QUEUE_TX(pair));
	return done;
}
