/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back-end `loop`: what the guest sends comes back to it. send() only remembers the frame;
 * receive() copies it from the guest's transmit buffer into a posted receive buffer and is done
 * with it. So a frame never comes back while it is being sent: a front-end is not entered from its
 * own transmit (CVE-2021-3416's class). What a frame needs comes back with it. One queue pair per
 * queue index.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/nic.h"

#define LOOP_QUEUES 8
#define LOOP_DEPTH  256 /* frames on their way, a queue */

struct loop_frame {
	struct iovec iov[NIC_MAX_IOV];
	unsigned int n_iov;
	uint32_t len;
	struct virtio_net_hdr hdr;
};

struct loop_queue {
	struct loop_frame frame[LOOP_DEPTH];
	unsigned int head, len; /* oldest one, how many wait */
	unsigned int done;      /* delivered or dropped, not yet reported by sent() */
};

struct loop_nic {
	struct nic_backend be;
	struct loop_queue q[LOOP_QUEUES];
};

static void loop_destroy(struct nic_backend *be)
{
	free(be);
}

static unsigned int loop_send(struct nic_backend *be, unsigned int qi,
			      const struct nic_tx_frame *frames, unsigned int n)
{
	struct loop_queue *q = &((struct loop_nic *)be)->q[qi % LOOP_QUEUES];
	unsigned int i;

	for (i = 0; i < n && q->len + q->done < LOOP_DEPTH; i++) {
		struct loop_frame *f = &q->frame[(q->head + q->len) % LOOP_DEPTH];

		memcpy(f->iov, frames[i].iov, frames[i].n_iov * sizeof(f->iov[0]));
		f->n_iov = frames[i].n_iov;
		f->len = frames[i].len;
		f->hdr = frames[i].hdr;
		q->len++;
		be->n.tx_frames++;
		be->n.tx_bytes += f->len;
	}
	return i;
}

static unsigned int loop_sent(struct nic_backend *be, unsigned int qi)
{
	struct loop_queue *q = &((struct loop_nic *)be)->q[qi % LOOP_QUEUES];
	unsigned int n = q->done;

	q->done = 0;
	return n;
}

/* Copies the first `len` bytes of one list of pieces into another. */
static void copy_iov(const struct iovec *dst, const struct iovec *src, uint32_t len)
{
	size_t d_off = 0, s_off = 0;

	while (len) {
		size_t n = len;

		if (n > dst->iov_len - d_off)
			n = dst->iov_len - d_off;
		if (n > src->iov_len - s_off)
			n = src->iov_len - s_off;
		/* a guest may give one buffer to both directions */
		memmove((char *)dst->iov_base + d_off, (const char *)src->iov_base + s_off, n);
		len -= (uint32_t)n;
		d_off += n;
		s_off += n;
		if (d_off == dst->iov_len)
			dst++, d_off = 0;
		if (s_off == src->iov_len)
			src++, s_off = 0;
	}
}

/* Why the frame cannot be delivered now, or NIC_N_DROPS when it was: *done says how. */
static enum nic_drop loop_deliver(struct nic_backend *be, unsigned int qi, unsigned int pos,
				  const struct loop_frame *f, struct nic_rx_done *done)
{
	struct iovec iov[NIC_MAX_IOV], head_iov;
	uint8_t head[18];
	unsigned int n_bufs;
	uint32_t room, n = f->len < sizeof(head) ? f->len : (uint32_t)sizeof(head);

	/* what the sender left to do is left to the receiver: when it will, else the frame goes */
	if (nic_needs(&f->hdr) & ~be->rx_offloads)
		return NIC_DROP_ERROR;
	if (f->len > nic_max(be->fe, &f->hdr))
		return NIC_DROP_TOO_LONG;
	head_iov = (struct iovec){ .iov_base = head, .iov_len = sizeof(head) };
	copy_iov(&head_iov, f->iov, n);
	if (!nic_filter_match(&be->filter, head, f->len))
		return NIC_DROP_FILTERED;
	if (!nic_rx_gather(be->fe, qi, pos, f->len, iov, NIC_MAX_IOV, &n_bufs, &room))
		return NIC_DROP_NO_BUFFER;
	copy_iov(iov, f->iov, f->len);
	be->n.rx_copies++;
	*done = (struct nic_rx_done){ .len = f->len, .n_bufs = (uint16_t)n_bufs, .hdr = f->hdr };
	return NIC_N_DROPS;
}

static unsigned int loop_receive(struct nic_backend *be, unsigned int qi, unsigned int max)
{
	struct loop_queue *q = &((struct loop_nic *)be)->q[qi % LOOP_QUEUES];
	struct nic_rx_done done[NIC_BURST];
	unsigned int handled = 0, n = 0, pos = 0;

	while (handled < max && n < NIC_BURST && q->len) {
		const struct loop_frame *f = &q->frame[q->head];
		enum nic_drop why = loop_deliver(be, qi, pos, f, &done[n]);

		if (why == NIC_N_DROPS) {
			be->n.rx_frames++;
			be->n.rx_bytes += f->len;
			pos += done[n++].n_bufs;
		} else {
			be->n.rx_drop[why]++;
		}
		q->head = (q->head + 1) % LOOP_DEPTH;
		q->len--;
		q->done++;
		handled++;
	}
	if (n)
		be->fe->ops->rx_done(be->fe, qi, done, n);
	return handled;
}

static void loop_reset(struct nic_backend *be)
{
	struct loop_nic *s = (struct loop_nic *)be;

	for (unsigned int i = 0; i < LOOP_QUEUES; i++)
		s->q[i].head = s->q[i].len = s->q[i].done = 0;
}

static const struct nic_backend_ops loop_ops = {
	.destroy = loop_destroy,
	.send = loop_send,
	.sent = loop_sent,
	.receive = loop_receive,
	.reset = loop_reset,
};

static int loop_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
		       struct nic_backend **out)
{
	struct loop_nic *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->be.ops = &loop_ops;
	s->be.n_pairs = LOOP_QUEUES;
	s->be.offloads = NIC_OFFLOAD_ALL;
	*out = &s->be;
	return 0;
}

static const struct nic_backend_type loop_type = {
	.name = "loop",
	.help = "what the guest sends comes back to it",
	.create = loop_create,
};
NIC_BACKEND(&loop_type);
