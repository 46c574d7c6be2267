/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net, from the guest: chains become frames that point into guest memory, go to the back-end
 * in bursts and come back to the driver in bursts. Called by the poller of virtio_net.c. VIRTIO 1.2
 * section 5.1.6.2. What a frame's header asks for is checked against the features and the
 * frame, in a copy that goes on with it; a frame that asks for what it may not is dropped and
 * counted.
 */
#include <errno.h>

#include "pv-net/virtio_net_priv.h"

void vnet_tx_forget(struct vnet_tx *t)
{
	t->first = t->n = 0;
	t->in_flight_first = t->n_in_flight = 0;
}

static bool tx_may(const struct vnet *v, uint32_t needs)
{
	return !(needs & NIC_OFFLOAD_CSUM && !virtio_has(&v->vd, VIRTIO_NET_F_CSUM)) &&
	       !(needs & NIC_OFFLOAD_TSO4 && !virtio_has(&v->vd, VIRTIO_NET_F_HOST_TSO4)) &&
	       !(needs & NIC_OFFLOAD_TSO6 && !virtio_has(&v->vd, VIRTIO_NET_F_HOST_TSO6)) &&
	       !(needs & NIC_OFFLOAD_ECN && !virtio_has(&v->vd, VIRTIO_NET_F_HOST_ECN)) &&
	       !(needs & ~NIC_OFFLOAD_ALL);
}

/*
 * Whether a frame of `len` bytes may ask for what *h says (5.1.6.2.1); what does not count is
 * cleared. Bits of `flags` that we do not know are ignored (5.1.6.2.2).
 */
static bool tx_offload_ok(const struct vnet *v, struct virtio_net_hdr *h, uint64_t len)
{
	bool tso = h->gso_type != VIRTIO_NET_HDR_GSO_NONE;

	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->num_buffers = 0;
	if (!tx_may(v, nic_needs(h)))
		return false;
	if (!h->flags) {
		*h = (struct virtio_net_hdr){ 0 };
		return !tso; /* segments need checksums */
	}
	if (h->csum_start < VNET_FRAME_MIN || h->csum_start + h->csum_offset + 2ull > len)
		return false;
	if (!tso)
		h->gso_size = h->hdr_len = 0;
	/* ECN alone is no kind of segmentation */
	return !tso || (h->gso_size && h->hdr_len <= len && h->gso_type != VIRTIO_NET_HDR_GSO_ECN);
}

/* The reason to drop what stands in iov[0..*n), or NIC_N_DROPS; then *iov and *n describe the frame
 * without its header, and *h is the one copy of that which was looked at. */
static enum nic_drop tx_check(struct vnet *v, const struct vq_chain *c, struct iovec **iov,
			      unsigned int *n, struct virtio_net_hdr *h)
{
	*n = c->n_out;
	if (!vq_pull(iov, n, h, sizeof(*h)))
		return NIC_DROP_TOO_SHORT;
	if (!tx_offload_ok(v, h, c->out_len - sizeof(*h))) {
		v->n_tx_refused++;
		return NIC_DROP_ERROR;
	}
	if (c->out_len < sizeof(*h) + VNET_FRAME_MIN)
		return NIC_DROP_TOO_SHORT;
	if (c->out_len > sizeof(*h) + (h->gso_type ? NIC_MAX_GSO : NIC_MAX_FRAME) ||
	    *n > NIC_MAX_IOV)
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
	struct virtio_net_hdr h;
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
		why = tx_check(v, &c, &frame, &n, &h);
	}
	if (why != NIC_N_DROPS) {
		v->be->n.tx_drop[why]++;
		vq_put_used(vq, c.head, 0);
		return 0;
	}
	t->frame[t->n] = (struct nic_tx_frame){
		.iov = frame,
		.n_iov = n,
		.len = (uint32_t)(c.out_len - sizeof(h)),
		.hdr = h,
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
