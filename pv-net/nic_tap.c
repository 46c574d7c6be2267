/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back-end `tap`: frames go to and come from a tap interface of the host. The descriptor is
 * opened by prep_tap.c (the monitor has no right to); here it is written and read, one system call
 * a frame, straight from and to guest memory. Several queues are several descriptors of one
 * interface (IFF_MULTI_QUEUE). When it was opened with IFF_VNET_HDR virtio's header stands before
 * each frame and the kernel does what it asks for. Calls tap_dev.c for the interface's settings.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/nic.h"
#include "pv-net/tap_dev.h"
#include "pv-net/tap_open.h"

#define TAP_FRAME_MAX 65600 /* more than any frame */
#define TAP_CALM      64    /* short frames after which no long one is expected any more */
#define TAP_FRAME_STD 1514

struct tap_queue {
	int fd;
	bool off;          /* the kernel gives it no frames */
	unsigned int done; /* sent, not yet reported */
	uint32_t want;     /* bytes of posted buffers before a read: the longest frame of late */
	unsigned int calm; /* short frames since a long one */
};

struct tap_nic {
	struct nic_backend be; /* first */
	struct tap_queue q[TAP_MAX_QUEUES];
	bool vnet_hdr;         /* virtio's header stands before each frame */
	uint64_t n_send_again; /* the kernel took no frame: it stays on the guest's ring */
	uint64_t n_errors;     /* the kernel refused to turn a queue or an offload on or off */
	/* where the rest of a frame goes that is longer than `want` */
	uint8_t spill[TAP_FRAME_MAX];
};

static struct tap_nic *tap_of(struct nic_backend *be)
{
	return (struct tap_nic *)be;
}

static void tap_destroy(struct nic_backend *be)
{
	for (unsigned int i = 0; i < be->n_pairs; i++)
		close(tap_of(be)->q[i].fd);
	free(be);
}

/* --- out --- */
/* False when the kernel has no room for the frame now. */
static bool tap_send_one(struct tap_nic *t, int fd, const struct nic_tx_frame *f)
{
	struct nic_counters *n = &t->be.n;
	struct iovec iov[1 + NIC_MAX_IOV];
	const struct iovec *first = f->iov;

	if (t->vnet_hdr) {
		iov[0] = (struct iovec){ .iov_base = (void *)&f->hdr, .iov_len = sizeof(f->hdr) };
		memcpy(iov + 1, f->iov, f->n_iov * sizeof(*iov));
		first = iov;
	}
	if (writev(fd, first, (int)f->n_iov + t->vnet_hdr) >= 0) {
		n->tx_frames++;
		n->tx_bytes += f->len;
		return true;
	}
	if (errno == EAGAIN || errno == EINTR) {
		t->n_send_again++;
		return false;
	}
	/* EIO: the interface is down. EBADFD: it was deleted. */
	n->tx_drop[errno == EIO || errno == EBADFD ? NIC_DROP_LINK_DOWN : NIC_DROP_ERROR]++;
	return true;
}

static unsigned int tap_send(struct nic_backend *be, unsigned int q,
			     const struct nic_tx_frame *frames, unsigned int n)
{
	struct tap_nic *t = tap_of(be);
	unsigned int i = 0;

	while (i < n && tap_send_one(t, t->q[q].fd, &frames[i]))
		i++;
	t->q[q].done += i;
	return i;
}

static unsigned int tap_sent(struct nic_backend *be, unsigned int q)
{
	struct tap_nic *t = tap_of(be);
	unsigned int n = t->q[q].done;

	t->q[q].done = 0;
	return n;
}

/* --- in --- */
/* Posted buffers for the next frame: as many as `want` asks for, or the few that there are. Gives
 * the elements, 0: none. */
static unsigned int tap_gather(struct tap_nic *t, unsigned int q, unsigned int pos, uint32_t want,
			       struct iovec *iov, unsigned int *n_bufs, uint32_t *room)
{
	unsigned int n = nic_rx_gather(t->be.fe, q, pos, want, iov, NIC_MAX_IOV, n_bufs, room);

	if (!n && *n_bufs)
		n = nic_rx_gather(t->be.fe, q, pos, *room, iov, NIC_MAX_IOV, n_bufs, room);
	return n;
}

/* How many buffers of the gathered ones a frame of `len` bytes takes. */
static unsigned int tap_bufs_used(struct tap_nic *t, unsigned int q, unsigned int pos, uint32_t len,
				  unsigned int n_bufs)
{
	struct iovec iov[NIC_MAX_IOV];
	unsigned int used = n_bufs;
	uint32_t room;

	return n_bufs > 1 && nic_rx_gather(t->be.fe, q, pos, len, iov, NIC_MAX_IOV, &used, &room)
		       ? used
		       : n_bufs;
}

/*
 * A frame was longer than the buffers it was read into; its rest lies in spill. More buffers are
 * gathered and the rest is copied, once: `want` grows with it. False when the guest cannot take the
 * frame.
 */
static bool tap_spilt(struct tap_nic *t, unsigned int q, unsigned int pos, uint32_t len,
		      uint32_t had, unsigned int *n_bufs)
{
	struct iovec iov[NIC_MAX_IOV];
	const uint8_t *src = t->spill;
	uint32_t skip = had, left = len - had, room;
	unsigned int n;

	n = nic_rx_gather(t->be.fe, q, pos, len, iov, NIC_MAX_IOV, n_bufs, &room);
	if (!n) {
		t->be.n.rx_drop[NIC_DROP_NO_BUFFER]++;
		return false;
	}
	for (unsigned int i = 0; i < n && left; i++) {
		uint32_t off = skip < iov[i].iov_len ? skip : (uint32_t)iov[i].iov_len;
		uint32_t part = (uint32_t)iov[i].iov_len - off < left
					? (uint32_t)iov[i].iov_len - off
					: left;

		memcpy((char *)iov[i].iov_base + off, src, part);
		skip -= off;
		src += part;
		left -= part;
	}
	t->be.n.rx_copies++;
	return true;
}

/* What a filter has to see of a frame, copied once: the guest could change its buffer while we
 * look. */
static bool tap_passes(struct tap_nic *t, const struct iovec *iov, uint32_t len)
{
	uint8_t head[18];
	uint32_t want = len < sizeof(head) ? len : (uint32_t)sizeof(head), have = 0;

	for (; have < want; iov++) {
		uint32_t part = iov->iov_len < want - have ? (uint32_t)iov->iov_len : want - have;

		memcpy(head + have, iov->iov_base, part);
		have += part;
	}
	return nic_filter_match(&t->be.filter, head, len);
}

/*
 * How many bytes the next frame is expected to have: one that is longer is copied in part, and the
 * buffers for one that is shorter were looked for in vain.
 */
static void tap_expect(struct tap_queue *q, uint32_t len)
{
	if (len > q->want)
		q->want = len;
	q->calm = len > TAP_FRAME_STD ? 0 : q->calm + 1;
	if (q->calm > TAP_CALM)
		q->want = TAP_FRAME_STD;
}

/* One frame from the kernel into list[1..n] and the rest into spill. Gives its length. */
static ssize_t tap_read(struct tap_nic *t, unsigned int q, struct iovec *list, unsigned int n,
			struct virtio_net_hdr *hdr)
{
	const ssize_t size = t->vnet_hdr ? (ssize_t)sizeof(*hdr) : 0;
	ssize_t ret;

	*hdr = (struct virtio_net_hdr){ 0 };
	list[0] = (struct iovec){ .iov_base = hdr, .iov_len = (size_t)size };
	list[1 + n] = (struct iovec){ .iov_base = t->spill, .iov_len = sizeof(t->spill) };
	ret = readv(t->q[q].fd, list, (int)n + 2);
	if (ret < 0)
		return -errno;
	return ret < size ? 0 : ret - size;
}

/* Reads one frame to position pos. 1: *done is it. 0: it was dropped, its buffers are still free.
 * Negative: nothing there. */
static int tap_receive_one(struct tap_nic *t, unsigned int q, unsigned int pos,
			   struct nic_rx_done *done)
{
	struct iovec list[1 + NIC_MAX_IOV + 1], *iov = list + 1;
	const struct nic_frontend *fe = t->be.fe;
	uint32_t room, len, want = t->q[q].want, max = fe->max_gso ? fe->max_gso : fe->max_frame;
	unsigned int n_bufs, n;
	ssize_t ret;

	n = tap_gather(t, q, pos, want < max ? want : max, iov, &n_bufs, &room);
	if (!n)
		return -ENOBUFS; /* frames wait in the interface's own queue */
	ret = tap_read(t, q, list, n, &done->hdr);
	if (ret < 0)
		return (int)ret;
	len = (uint32_t)ret;
	if (len > nic_max(fe, &done->hdr)) {
		t->be.n.rx_drop[NIC_DROP_TOO_LONG]++;
		return 0;
	}
	tap_expect(&t->q[q], len);
	if (!tap_passes(t, iov, len)) {
		t->be.n.rx_drop[len < 14 ? NIC_DROP_TOO_SHORT : NIC_DROP_FILTERED]++;
		return 0;
	}
	if (len <= room)
		n_bufs = tap_bufs_used(t, q, pos, len, n_bufs);
	else if (!tap_spilt(t, q, pos, len, room, &n_bufs))
		return 0;
	done->len = len;
	done->n_bufs = (uint16_t)n_bufs;
	t->be.n.rx_frames++;
	t->be.n.rx_bytes += len;
	return 1;
}

static unsigned int tap_receive(struct nic_backend *be, unsigned int q, unsigned int max)
{
	struct nic_rx_done done[NIC_BURST];
	unsigned int handled = 0, n = 0, pos = 0;

	while (handled < max && n < NIC_BURST) {
		int ret = tap_receive_one(tap_of(be), q, pos, &done[n]);

		if (ret < 0)
			break;
		handled++;
		if (ret)
			pos += done[n++].n_bufs;
	}
	if (n)
		be->fe->ops->rx_done(be->fe, q, done, n);
	return handled;
}

static int tap_rx_fd(struct nic_backend *be, unsigned int q)
{
	return q < be->n_pairs ? tap_of(be)->q[q].fd : -1;
}

/* --- the rest --- */
static void tap_set_filter(struct nic_backend *be, const struct nic_filter *f)
{
	tap_dev_filter(tap_of(be)->q[0].fd, f); /* the exact check is made after the read */
}

static void tap_reset(struct nic_backend *be)
{
	for (unsigned int i = 0; i < be->n_pairs; i++)
		tap_of(be)->q[i].done = 0;
}

static void tap_use_pairs(struct nic_backend *be, unsigned int n)
{
	struct tap_nic *t = tap_of(be);

	for (unsigned int i = 1; i < be->n_pairs; i++) {
		if (t->q[i].off == (i >= n))
			continue;
		if (tap_dev_queue(t->q[i].fd, i < n) < 0)
			t->n_errors++;
		else
			t->q[i].off = i >= n;
	}
}

static void tap_set_offloads(struct nic_backend *be)
{
	struct tap_nic *t = tap_of(be);

	if (t->vnet_hdr && tap_dev_offloads(t->q[0].fd, be->rx_offloads) < 0)
		t->n_errors++;
}

static void tap_stats(struct nic_backend *be, struct stats_sink *s)
{
	stats_put(s, "tx_again", tap_of(be)->n_send_again);
	stats_put(s, "tap_errors", tap_of(be)->n_errors);
}

static const struct nic_backend_ops tap_ops = {
	.destroy = tap_destroy,
	.send = tap_send,
	.sent = tap_sent,
	.receive = tap_receive,
	.set_filter = tap_set_filter,
	.use_pairs = tap_use_pairs,
	.set_offloads = tap_set_offloads,
	.rx_fd = tap_rx_fd,
	.reset = tap_reset,
	.stats = tap_stats,
};

static int tap_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
		      struct nic_backend **out)
{
	struct tap_nic *t = calloc(1, sizeof(*t));
	int fd[TAP_MAX_QUEUES], ret;

	opts_take(conf->opts, "ifname"); /* prep_tap.c has seen to it */
	if (!t)
		return -ENOMEM;
	t->be.n_pairs = tap_dev_take(conf, "tap", fd);
	if (!t->be.n_pairs) {
		free(t);
		return err_ret(-ENOENT,
			       "%s: no tap was opened for it: start the guest by 'fourlane run'",
			       conf->name);
	}
	for (unsigned int i = 0; i < t->be.n_pairs; i++)
		t->q[i] = (struct tap_queue){ .fd = fd[i], .want = TAP_FRAME_STD };
	t->be.ops = &tap_ops;
	ret = tap_dev_look(t->q[0].fd, &t->vnet_hdr, &t->be.offloads);
	if (ret < 0) {
		tap_destroy(&t->be);
		return err_ret(ret, "%s: asking the tap what it can: %s; use a newer kernel",
			       conf->name, strerror(-ret));
	}
	*out = &t->be;
	return 0;
}

static const struct nic_backend_type tap_type = {
	.name = "tap",
	.help = "a tap interface of the host: ifname=",
	.create = tap_create,
};
NIC_BACKEND(&tap_type);
