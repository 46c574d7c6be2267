/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net, to the guest: shows posted buffers to the back-end, which writes frames straight into
 * them, then writes the headers and gives the buffers back. The front-end side of core/nic.h;
 * called by back-ends from nic_receive(), so on the I/O thread and under the device's lock.
 * VIRTIO 1.2 sections 5.1.6.3 and 5.1.6.4.
 */
#include <errno.h>
#include <string.h>

#include "pv-net/virtio_net_priv.h"

static struct vnet *vnet_of(struct nic_frontend *fe)
{
	return (struct vnet *)((char *)fe - offsetof(struct vnet, fe));
}

void vnet_rx_forget(struct vnet_rx *r)
{
	r->shown = 0;
	r->starved = false;
}

/* Positions count from the oldest buffer that is not given back: after that they start anew. */
static struct vnet_rx_slot *rx_slot(struct vnet *v, unsigned int pair, unsigned int pos)
{
	return &v->rx[pair].slot[pos % VNET_QUEUE_SIZE];
}

static unsigned int rx_broken(struct vnet *v, unsigned int pair, const char *why)
{
	virtio_broken(&v->vd, VIRTIO_NET_QUEUE_RX(pair), why);
	return 0;
}

/* Takes the header's place off the front of iov[0..n) and remembers it. Gives the elements left. */
static unsigned int rx_take_header(struct vnet_rx_slot *s, struct iovec *iov, unsigned int n)
{
	unsigned int k = 0;

	s->header = iov[0].iov_len >= VIRTIO_NET_HDR_SIZE ? iov[0].iov_base : NULL;
	for (unsigned int i = 0; i < VIRTIO_NET_HDR_SIZE; i++) {
		s->header_byte[i] = iov[k].iov_base;
		iov[k].iov_base = (char *)iov[k].iov_base + 1;
		if (!--iov[k].iov_len)
			k++;
	}
	if (k)
		memmove(iov, iov + k, (n - k) * sizeof(*iov));
	return n - k;
}

/* Whether there is a chain at `pos`; looks at the driver's index only when the known ones do not
 * suffice. */
static bool rx_posted(struct vnet *v, unsigned int pair, unsigned int pos)
{
	struct virtqueue *vq = vnet_rxq(v, pair);

	if (pos < vq_cached(vq))
		return true;
	if (vq_avail(vq) < 0)
		return rx_broken(v, pair, vq->why);
	if (pos < vq_cached(vq))
		return true;
	v->rx[pair].starved = true;
	return false;
}

static unsigned int vnet_rx_buf(struct nic_frontend *fe, unsigned int pair, unsigned int pos,
				bool first, struct iovec *iov, unsigned int max_iov)
{
	struct vnet *v = vnet_of(fe);
	struct vnet_rx_slot *s;
	struct virtqueue *vq;
	struct vq_chain c;
	unsigned int n;
	int ret;

	if (pair >= v->used_pairs || !atomic_load_explicit(&v->vd.live, memory_order_relaxed))
		return 0;
	vq = vnet_rxq(v, pair);
	/* without MRG_RXBUF a frame has one buffer */
	if (!vq->started || (!first && !virtio_has(&v->vd, VIRTIO_NET_F_MRG_RXBUF)) ||
	    !rx_posted(v, pair, pos))
		return 0;
	ret = vq_walk(vq, pos, iov, max_iov, &c);
	if (ret == -E2BIG) /* too many for what is left of the frame's list is no mistake */
		return max_iov == NIC_MAX_IOV
			       ? rx_broken(v, pair, "a receive buffer is in too many pieces")
			       : 0;
	if (ret < 0)
		return rx_broken(v, pair, vq->why);
	n = c.n_in;
	if (c.n_out)
		return rx_broken(v, pair, "a receive chain has readable descriptors");
	/*
	 * at least one byte of the frame too: a buffer without would be asked for again and again
	 */
	if (c.in_len <= (first ? VIRTIO_NET_HDR_SIZE : 0u) || c.in_len > UINT32_MAX)
		return rx_broken(v, pair, "a receive buffer has a wrong size");
	s = rx_slot(v, pair, pos);
	s->head = c.head;
	s->first = first;
	s->room = (uint32_t)c.in_len - (first ? VIRTIO_NET_HDR_SIZE : 0);
	if (first)
		n = rx_take_header(s, iov, n);
	if (v->rx[pair].shown <= pos)
		v->rx[pair].shown = pos + 1;
	return n;
}

/* What the back-end left to do, and the number of buffers, set also without MRG_RXBUF (5.1.6.4.1).
 */
static void rx_write_header(const struct vnet_rx_slot *s, const struct nic_rx_done *done)
{
	struct virtio_net_hdr h = done->hdr;

	h.num_buffers = done->n_bufs;
	if (s->header) {
		memcpy(s->header, &h, sizeof(h));
		return;
	}
	for (unsigned int i = 0; i < VIRTIO_NET_HDR_SIZE; i++)
		*s->header_byte[i] = ((const uint8_t *)&h)[i];
}

/* One frame's buffers, from position pos on. */
static void rx_give_back(struct vnet *v, unsigned int pair, unsigned int pos,
			 const struct nic_rx_done *done)
{
	uint32_t left = done->len;

	for (unsigned int i = 0; i < done->n_bufs; i++) {
		const struct vnet_rx_slot *s = rx_slot(v, pair, pos + i);
		uint32_t part = left < s->room ? left : s->room;

		if (i == 0)
			rx_write_header(s, done);
		left -= part;
		vq_put_used(vnet_rxq(v, pair), s->head,
			    part + (s->first ? VIRTIO_NET_HDR_SIZE : 0));
	}
}

static void vnet_rx_done(struct nic_frontend *fe, unsigned int pair, const struct nic_rx_done *done,
			 unsigned int n)
{
	struct vnet *v = vnet_of(fe);
	struct vnet_rx *r = &v->rx[pair];
	struct virtqueue *vq = vnet_rxq(v, pair);
	unsigned int pos = 0;

	/* a chain of this burst may have broken the device since: nothing is given back then, until
	 * the reset */
	if (!vq->started || !atomic_load_explicit(&v->vd.live, memory_order_relaxed))
		return;
	for (unsigned int i = 0; i < n && pos + done[i].n_bufs <= r->shown; i++) {
		rx_give_back(v, pair, pos, &done[i]);
		pos += done[i].n_bufs;
	}
	vq_take(vq, pos);
	r->shown = 0;
	r->starved = false;
	if (vq_publish(vq))
		virtio_raise_queue(&v->vd, VIRTIO_NET_QUEUE_RX(pair));
}

const struct nic_frontend_ops vnet_frontend_ops = {
	.rx_buf = vnet_rx_buf,
	.rx_done = vnet_rx_done,
	.link = vnet_link,
};
