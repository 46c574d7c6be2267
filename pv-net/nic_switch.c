/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back-end `switch`: a vhost-user process (fourlane-switch, OVS-DPDK, testpmd) is the other end
 * of the NIC. The descriptor is opened by prep_switch.c, the messages are vhost_user.c's.
 *
 * A virtio-net device hands its guest's rings over (rings_*()) and this file is out of the way. For
 * any other front-end (the 82540EM) it drives a receive and a transmit ring of its own, whose
 * descriptors point into guest memory: nothing is copied here. The rings and a header for each
 * buffer lie in a memfd that only the other side sees besides guest memory. VIRTIO 1.2
 * section 5.1.6, MRG_RXBUF, no offloads.
 *
 * Receive. The front-end's posted buffers are lent ahead, each as a chain [header][buffer]; chain k
 * is its buffer at position gap + k. A frame in one buffer is where it belongs when there is no
 * gap. A frame over several buffers has bytes in the later ones' header places, and a frame after
 * one that was refused is a buffer too far on (the gap): such frames are copied and counted, until
 * the lent buffers have all come back once. Each buffer is lent 12 bytes short, so that a frame
 * shifted together never needs more buffers than it came in.
 *
 * What is below runs under the device's lock: on the I/O thread, or where a vCPU withdraws buffers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"
#include "core/nic.h"
#include "pv-net/vhost_user.h"
#include "pv-net/vring_driver.h"

#define HDR_STRIDE  16u  /* of the headers: 12 bytes each */
#define PAD_SIZE    320u /* of a frame's bytes that are not in guest memory: a header, padding */
#define RX_IOV      4    /* elements of one posted buffer, at most */
#define FILTER_HEAD 18
#define ETH_HEADER  14

/* Of the other side's offloads, those that a virtio-net device hands on to its driver; our own
 * rings use none. */
#define SWITCH_OFFLOADS \
	(VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | \
	 VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) | \
	 VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN))

/* The memory of our own rings. Each part is the other side's to write. */
struct switch_shared {
	_Alignas(64) uint8_t rx_ring[VRING_BYTES];
	_Alignas(64) uint8_t tx_ring[VRING_BYTES];
	_Alignas(64) uint8_t rx_hdr[VRING_SIZE][HDR_STRIDE];
	_Alignas(64) uint8_t tx_hdr[HDR_STRIDE]; /* zeros: one does for all frames */
	_Alignas(64) uint8_t tx_pad[VRING_SIZE][PAD_SIZE];
};
#define SHARED_BYTES ((sizeof(struct switch_shared) + 4095) & ~(size_t)4095)

enum { RING_RX, RING_TX, N_OWN_RINGS };

struct rx_slot {
	struct iovec iov[RX_IOV]; /* the guest's buffer, as far as it was lent */
	unsigned int n_iov;
};

struct nic_switch {
	struct nic_backend be; /* first */
	struct vm *vm;
	const struct guest_mem *mem;
	const char *name;
	struct vhost_user *vu;
	struct switch_shared *shared;
	struct vhost_user_extra extra;
	int kick[N_OWN_RINGS];
	struct io_fd call;        /* both rings signal it */
	struct io_poller poller;  /* only to know when the thread rests */
	_Atomic bool resting;     /* written by the I/O thread */
	_Atomic unsigned int gen; /* connections lost; written by the connection's thread */

	/* our own rings */
	bool running, broken, tx_kept, want_call, mrg;
	unsigned int run_gen; /* `gen` when they were started */
	struct vring rx, tx;
	struct rx_slot slot[VRING_SIZE];
	unsigned int gap;     /* buffers that came back without a frame */
	unsigned int tx_done; /* not reported yet */
	struct err_limit limit;
	uint64_t n_kicks, n_starts, n_breaches;
	uint8_t bounce[NIC_MAX_FRAME];
};

static struct nic_switch *switch_of(struct nic_backend *be)
{
	return (struct nic_switch *)be;
}

static gpa_t shared_gpa(const struct nic_switch *s, const void *p)
{
	return s->extra.gpa + (uint64_t)((const char *)p - (const char *)s->shared);
}

static uint8_t *rx_hdr(struct nic_switch *s, unsigned int k)
{
	return s->shared->rx_hdr[(s->rx.chain_head + k) % VRING_SIZE];
}

static struct rx_slot *rx_slot(struct nic_switch *s, unsigned int k)
{
	return &s->slot[(s->rx.chain_head + k) % VRING_SIZE];
}

static void switch_kick(struct nic_switch *s, unsigned int ring)
{
	const uint64_t one = 1;

	s->n_kicks++;
	if (write(s->kick[ring], &one, sizeof(one)) < 0)
		return; /* its counter is full: it is signalled */
}

/* --- starting and stopping our own rings --- */
static void own_ring(struct nic_ring *ring, const struct vring *r, int kick_fd, int call_fd)
{
	*ring = (struct nic_ring){ .size = VRING_SIZE,
				   .desc = r->gpa,
				   .avail = r->gpa + VRING_AVAIL_OFFSET,
				   .used = r->gpa + VRING_USED_OFFSET,
				   .kick_fd = kick_fd,
				   .call_fd = call_fd,
				   .enabled = true };
}

static void own_want_call(struct nic_switch *s, bool on)
{
	vring_want_call(&s->rx, on);
	vring_want_call(&s->tx, on);
	s->want_call = on;
}

static void own_start(struct nic_switch *s)
{
	const uint64_t features =
		vhost_user_features(s->vu) &
		(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) |
		 VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX));
	bool event_idx = features & VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX);
	struct nic_ring ring[N_OWN_RINGS];

	s->mrg = features & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
	vring_init(&s->rx, s->shared->rx_ring, shared_gpa(s, s->shared->rx_ring), event_idx);
	if (!s->tx_kept)
		vring_init(&s->tx, s->shared->tx_ring, shared_gpa(s, s->shared->tx_ring),
			   event_idx);
	own_want_call(s, atomic_load(&s->resting));
	own_ring(&ring[RING_RX], &s->rx, s->kick[RING_RX], s->call.fd);
	own_ring(&ring[RING_TX], &s->tx, s->kick[RING_TX], s->call.fd);
	s->gap = 0;
	s->run_gen = atomic_load(&s->gen);
	s->running = true;
	s->n_starts++;
	vhost_user_start(s->vu, features, ring, N_OWN_RINGS);
}

/* Frames that came for buffers which are the guest's again. */
static void rx_drop_waiting(struct nic_switch *s)
{
	int n = vring_used(&s->rx);

	if (n > 0)
		s->be.n.rx_drop[NIC_DROP_NO_BUFFER] += (unsigned int)n;
}

/*
 * When this returns the other side works on neither ring. keep_tx: what it has not sent yet is sent
 * when the rings start again, unless it worked on frames out of order; else it counts as done.
 */
static void own_stop(struct nic_switch *s, bool keep_tx)
{
	int back;

	if (!s->running)
		return;
	vhost_user_stop(s->vu);
	s->running = false;
	rx_drop_waiting(s);
	s->tx_kept = false;
	back = keep_tx ? vring_complete(&s->tx) : -EPROTO;
	if (back >= 0) {
		s->tx_done += (unsigned int)back;
		s->tx_kept = !vring_has_hole(&s->tx);
	}
	if (!s->tx_kept)
		s->tx_done += vring_n_chains(&s->tx);
}

/* The other side broke the rules of a ring: nothing of it is believed until the device is reset. */
static void own_breach(struct nic_switch *s, const char *what)
{
	if (s->run_gen == atomic_load(&s->gen)) {
		s->broken = true;
		s->n_breaches++;
		err_limited(&s->limit,
			    "%s: the switch broke the rules of the %s ring: stopped until the "
			    "guest resets the device; look at the switch",
			    s->name, what);
	} /* else another one has the ring, and went on where the last one left it */
	own_stop(s, false);
}

/* Do our rings run? A connection that was lost takes them along, the next one gets new ones. */
static bool own_running(struct nic_switch *s)
{
	if (s->running && s->run_gen != atomic_load_explicit(&s->gen, memory_order_acquire))
		own_stop(s, false);
	return s->running;
}

static bool own_ready(struct nic_switch *s)
{
	if (own_running(s))
		return true;
	if (s->run_gen != atomic_load(&s->gen))
		s->broken = false; /* that one is gone */
	if (s->broken || !vhost_user_is_up(s->vu))
		return false;
	own_start(s);
	return own_running(s);
}

/* Before a ring is looked at: are calls wanted, is the thread about to sleep? */
static void own_check_rest(struct nic_switch *s)
{
	bool resting = atomic_load_explicit(&s->resting, memory_order_relaxed);

	if (resting != s->want_call)
		own_want_call(s, resting);
}

/* --- out --- */
/* One element of a frame: a pointer into guest memory, or a few bytes that are copied to `pad`. */
static bool tx_seg(struct nic_switch *s, const struct iovec *iov, uint8_t *pad, uint32_t *padded,
		   struct vring_seg *seg)
{
	seg->len = (uint32_t)iov->iov_len;
	if (mem_gpa(s->mem, iov->iov_base, iov->iov_len, &seg->gpa) == 0)
		return true;
	if (iov->iov_len > PAD_SIZE - *padded)
		return false;
	memcpy(pad + *padded, iov->iov_base, iov->iov_len);
	seg->gpa = shared_gpa(s, pad + *padded);
	*padded += seg->len;
	return true;
}

static void tx_add(struct nic_switch *s, const struct nic_tx_frame *f)
{
	uint8_t *pad = s->shared->tx_pad[vring_next_slot(&s->tx)];
	struct vring_seg seg[1 + NIC_MAX_IOV];
	unsigned int n = 1;
	uint32_t padded = 0;

	seg[0] = (struct vring_seg){ .gpa = shared_gpa(s, s->shared->tx_hdr),
				     .len = VIRTIO_NET_HDR_SIZE };
	for (unsigned int i = 0; i < f->n_iov; i++) {
		if (!f->iov[i].iov_len)
			continue;
		if (!tx_seg(s, &f->iov[i], pad, &padded, &seg[n++])) {
			s->be.n.tx_drop[NIC_DROP_ERROR]++;
			vring_add_none(&s->tx);
			return;
		}
	}
	vring_add(&s->tx, seg, n, false);
	s->be.n.tx_frames++;
	s->be.n.tx_bytes += f->len;
}

static void tx_complete(struct nic_switch *s)
{
	int back = vring_complete(&s->tx);

	if (back < 0)
		own_breach(s, "transmit");
	else
		s->tx_done += (unsigned int)back;
}

static bool tx_has_room(const struct nic_switch *s, const struct nic_tx_frame *f)
{
	return vring_room(&s->tx) > f->n_iov && vring_n_chains(&s->tx) < VRING_SIZE;
}

static unsigned int tx_drop_all(struct nic_switch *s, unsigned int n)
{
	s->be.n.tx_drop[s->broken ? NIC_DROP_ERROR : NIC_DROP_LINK_DOWN] += n;
	s->tx_done += n;
	return n;
}

static unsigned int switch_send(struct nic_backend *be, unsigned int q,
				const struct nic_tx_frame *frames, unsigned int n)
{
	struct nic_switch *s = switch_of(be);
	unsigned int i = 0;

	if (!own_ready(s))
		return tx_drop_all(s, n);
	for (; i < n; i++) {
		if (!tx_has_room(s, &frames[i]))
			break;
		tx_add(s, &frames[i]);
	}
	if (vring_publish(&s->tx))
		switch_kick(s, RING_TX);
	return i;
}

static unsigned int switch_sent(struct nic_backend *be, unsigned int q)
{
	struct nic_switch *s = switch_of(be);
	unsigned int n;

	if (own_running(s)) {
		own_check_rest(s);
		tx_complete(s);
	}
	n = s->tx_done;
	s->tx_done = 0;
	return n;
}

/* --- in --- */
/* Copies up to `max` of the `len` bytes that chain k holds; the first one's header is no payload.
 */
static uint32_t rx_bytes(struct nic_switch *s, unsigned int k, bool first, uint32_t len,
			 uint8_t *dst, uint32_t max)
{
	const struct rx_slot *slot = rx_slot(s, k);
	struct iovec hdr = { .iov_base = rx_hdr(s, k), .iov_len = VIRTIO_NET_HDR_SIZE };
	uint32_t have = 0, left = len;

	for (unsigned int i = 0; i <= slot->n_iov && left; i++) {
		const struct iovec *v = i ? &slot->iov[i - 1] : &hdr;
		uint32_t part = v->iov_len < left ? (uint32_t)v->iov_len : left;

		left -= part;
		if (first && !i)
			continue;
		if (part > max - have)
			part = max - have;
		memcpy(dst + have, v->iov_base, part);
		have += part;
	}
	return have;
}

/* A frame that waits in `n` chains from chain k on. */
struct rx_frame {
	unsigned int k, n;
	uint32_t len;
};

/* 5.1.6.4: how many chains, and the bytes in them. All of them were there before the index moved.
 */
static int rx_look(struct nic_switch *s, unsigned int k, unsigned int ready, struct rx_frame *f)
{
	uint64_t len = 0;
	uint16_t n = 1;

	if (s->mrg)
		n = __atomic_load_n(
			(uint16_t *)(void *)(rx_hdr(s, k) +
					     offsetof(struct virtio_net_hdr, num_buffers)),
			__ATOMIC_RELAXED);
	if (!n || n > ready - k)
		return -EPROTO;
	for (unsigned int i = 0; i < n; i++) {
		int64_t part = vring_used_in_order(&s->rx, k + i);

		if (part < (i ? 0 : VIRTIO_NET_HDR_SIZE))
			return -EPROTO;
		len += (uint64_t)part;
	}
	*f = (struct rx_frame){ .k = k, .n = n, .len = (uint32_t)(len - VIRTIO_NET_HDR_SIZE) };
	return 0;
}

/* A switch without our filter sends what the device would not take. */
static bool rx_passes(struct nic_switch *s, const struct rx_frame *f)
{
	uint8_t head[FILTER_HEAD];
	int64_t part;

	if (vhost_user_has_filter(s->vu))
		return true;
	part = vring_used_in_order(&s->rx, f->k);
	return part >= 0 &&
	       nic_filter_match(&s->be.filter, head,
				rx_bytes(s, f->k, true, (uint32_t)part, head, sizeof(head)));
}

static bool rx_refused(struct nic_switch *s, const struct rx_frame *f)
{
	uint64_t *drop = s->be.n.rx_drop;

	if (f->len < ETH_HEADER)
		drop[NIC_DROP_TOO_SHORT]++;
	else if (f->len > s->be.fe->max_frame || f->len > NIC_MAX_FRAME)
		drop[NIC_DROP_TOO_LONG]++;
	else if (!rx_passes(s, f))
		drop[NIC_DROP_FILTERED]++;
	else
		return false;
	return true;
}

/* Puts the frame together at position pos. Gives the buffers it took; 0: it did not fit. */
static unsigned int rx_move(struct nic_switch *s, const struct rx_frame *f, unsigned int pos)
{
	struct iovec iov[NIC_MAX_IOV];
	const uint8_t *src = s->bounce;
	uint32_t have = 0, room;
	unsigned int n_bufs, n;

	for (unsigned int i = 0; i < f->n; i++) {
		int64_t part = vring_used_in_order(&s->rx, f->k + i);

		have += rx_bytes(s, f->k + i, i == 0, part < 0 ? 0 : (uint32_t)part,
				 s->bounce + have, f->len - have);
	}
	n = have == f->len
		    ? nic_rx_gather(s->be.fe, 0, pos, f->len, iov, NIC_MAX_IOV, &n_bufs, &room)
		    : 0;
	/* what lies beyond this frame's own buffers is still lent */
	if (!n || pos + n_bufs > s->gap + f->k + f->n)
		return 0;
	for (unsigned int i = 0; i < n && have; i++) {
		uint32_t part = iov[i].iov_len < have ? (uint32_t)iov[i].iov_len : have;

		memcpy(iov[i].iov_base, src, part);
		src += part;
		have -= part;
	}
	s->be.n.rx_copies++;
	return n_bufs;
}

/* One accepted frame, to stand at position pos. False: it was dropped. */
static bool rx_place(struct nic_switch *s, const struct rx_frame *f, unsigned int pos,
		     struct nic_rx_done *done)
{
	unsigned int n_bufs = 1;

	if (f->n > 1 || s->gap + f->k != pos)
		n_bufs = rx_move(s, f, pos);
	if (!n_bufs) {
		s->be.n.rx_drop[NIC_DROP_NO_BUFFER]++;
		return false;
	}
	*done = (struct nic_rx_done){ .len = f->len, .n_bufs = (uint16_t)n_bufs };
	s->be.n.rx_frames++;
	s->be.n.rx_bytes += f->len;
	return true;
}

static bool rx_shown(struct nic_switch *s, unsigned int pos, struct iovec *iov, unsigned int *n)
{
	*n = s->be.fe->ops->rx_buf(s->be.fe, 0, pos, true, iov, RX_IOV);
	return *n;
}

/* What came, to the front-end. Gives the frames handled. */
static unsigned int rx_deliver(struct nic_switch *s, unsigned int max)
{
	struct nic_rx_done done[NIC_BURST];
	unsigned int k = 0, n = 0, pos = 0, handled = 0, n_iov;
	int ready = vring_used(&s->rx);
	struct iovec iov[RX_IOV];
	struct rx_frame f;

	if (ready > 0 && !rx_shown(s, 0, iov, &n_iov)) {
		own_stop(s, true); /* the front-end has none of what was lent */
		return 0;
	}
	for (; ready > 0 && k < (unsigned int)ready && handled < max && n < NIC_BURST; handled++) {
		if (rx_look(s, k, (unsigned int)ready, &f) < 0) {
			ready = -EPROTO;
			break;
		}
		if (!rx_refused(s, &f) && rx_place(s, &f, pos, &done[n]))
			pos += done[n++].n_bufs;
		k += f.n;
	}
	if (n)
		s->be.fe->ops->rx_done(s->be.fe, 0, done, n);
	vring_pop(&s->rx, k);
	s->gap += k - pos;
	if (!vring_n_chains(&s->rx))
		s->gap = 0;
	if (ready < 0)
		own_breach(s, "receive");
	return handled;
}

/* Lends one posted buffer. False when there is none, or the ring is full. */
static bool rx_lend(struct nic_switch *s)
{
	unsigned int slot_idx = vring_next_slot(&s->rx);
	struct rx_slot *slot = &s->slot[slot_idx];
	struct vring_seg seg[1 + RX_IOV];
	struct iovec *last;
	uint32_t cut = s->mrg ? VIRTIO_NET_HDR_SIZE : 0;

	if (vring_room(&s->rx) < 1 + RX_IOV ||
	    !rx_shown(s, s->gap + vring_n_chains(&s->rx), slot->iov, &slot->n_iov))
		return false;
	last = &slot->iov[slot->n_iov - 1];
	if (last->iov_len <= cut)
		return false;
	last->iov_len -= cut;
	seg[0] = (struct vring_seg){ .gpa = shared_gpa(s, s->shared->rx_hdr[slot_idx]),
				     .len = VIRTIO_NET_HDR_SIZE };
	for (unsigned int i = 0; i < slot->n_iov; i++) {
		seg[1 + i].len = (uint32_t)slot->iov[i].iov_len;
		if (mem_gpa(s->mem, slot->iov[i].iov_base, seg[1 + i].len, &seg[1 + i].gpa) < 0)
			return false;
	}
	vring_add(&s->rx, seg, 1 + slot->n_iov, true);
	return true;
}

static void rx_lend_all(struct nic_switch *s)
{
	while (rx_lend(s))
		;
	if (vring_publish(&s->rx))
		switch_kick(s, RING_RX);
}

static unsigned int switch_receive(struct nic_backend *be, unsigned int q, unsigned int max)
{
	struct nic_switch *s = switch_of(be);
	struct iovec iov[RX_IOV];
	unsigned int n;

	/* the rings start with the first buffer, or the first frame out */
	if (q || (!own_running(s) && (!rx_shown(s, 0, iov, &n) || !own_ready(s))))
		return 0;
	own_check_rest(s);
	n = rx_deliver(s, max);
	if (s->running)
		rx_lend_all(s);
	return n;
}

/* --- the rest of the seam --- */
static void switch_rx_withdraw(struct nic_backend *be, unsigned int q)
{
	if (!q)
		own_stop(switch_of(be), true);
}

static void switch_reset(struct nic_backend *be)
{
	struct nic_switch *s = switch_of(be);

	own_stop(s, false);
	s->tx_kept = s->broken = false;
	s->tx_done = 0;
}

static void switch_set_filter(struct nic_backend *be, const struct nic_filter *f)
{
	struct nic_switch *s = switch_of(be);

	if (vhost_user_has_filter(s->vu))
		vhost_user_set_filter(s->vu, f);
}

static bool switch_link_up(struct nic_backend *be)
{
	return vhost_user_is_up(switch_of(be)->vu);
}

static uint64_t switch_rings_features(struct nic_backend *be, uint64_t offered,
				      unsigned int *max_pairs)
{
	struct nic_switch *s = switch_of(be);

	*max_pairs = vhost_user_max_pairs(s->vu);
	return offered & vhost_user_features(s->vu);
}

static void switch_rings_start(struct nic_backend *be, uint64_t features,
			       const struct nic_ring *ring, unsigned int n)
{
	vhost_user_start(switch_of(be)->vu, features, ring, n);
}

static void switch_rings_stop(struct nic_backend *be)
{
	vhost_user_stop(switch_of(be)->vu);
}

static void switch_ring_enable(struct nic_backend *be, unsigned int ring, bool on)
{
	vhost_user_enable(switch_of(be)->vu, ring, on);
}

static void switch_ring_call(struct nic_backend *be, unsigned int ring, int call_fd)
{
	vhost_user_set_call(switch_of(be)->vu, ring, call_fd);
}

static void switch_late_fd(struct nic_backend *be, const char *name, int fd)
{
	if (strcmp(name, "socket"))
		close(fd);
	else
		vhost_user_connected(switch_of(be)->vu, fd);
}

static void switch_pause(struct nic_backend *be)
{
	vhost_user_pause(switch_of(be)->vu);
}

static void switch_resume(struct nic_backend *be)
{
	vhost_user_resume(switch_of(be)->vu);
}

static void switch_stats(struct nic_backend *be, struct stats_sink *sink)
{
	struct nic_switch *s = switch_of(be);

	vhost_user_stats(s->vu, sink);
	stats_put(sink, "switch_ring_starts", s->n_starts);
	stats_put(sink, "switch_kicks", s->n_kicks);
	stats_put(sink, "switch_ring_errors", s->n_breaches);
}

/* --- the I/O thread's sleep --- */
static void switch_called(struct io_fd *f, uint32_t events)
{
	struct nic_switch *s = f->opaque;
	uint64_t n;

	if (read(f->fd, &n, sizeof(n)) == sizeof(n))
		io_busy(vm_io(s->vm));
}

static unsigned int switch_poll(struct io_poller *p)
{
	return 0; /* the device's own poller moves the frames */
}

/* The device polls once more before the thread sleeps: our rings then ask for calls, or for none.
 */
static void switch_wake(struct io_poller *p)
{
	atomic_store(&((struct nic_switch *)p->opaque)->resting, false);
}

static void switch_rest(struct io_poller *p)
{
	atomic_store(&((struct nic_switch *)p->opaque)->resting, true);
}

/* --- the connection's thread --- */
static void switch_link(void *opaque, bool up)
{
	struct nic_switch *s = opaque;

	if (s->be.fe->ops->link)
		s->be.fe->ops->link(s->be.fe, up);
	io_wake(vm_io(s->vm));
}

static void switch_lost(void *opaque)
{
	struct nic_switch *s = opaque;

	atomic_fetch_add(&s->gen, 1);
	io_wake(vm_io(s->vm)); /* frames under way are done with */
	device_want_fd(s->vm, s->name, "socket");
}

/* --- life --- */
static void switch_destroy(struct nic_backend *be)
{
	struct nic_switch *s = switch_of(be);

	if (s->poller.poll)
		io_remove_poller(vm_io(s->vm), &s->poller);
	vhost_user_destroy(s->vu);
	if (s->call.fd >= 0) {
		io_remove_fd(vm_io(s->vm), &s->call);
		close(s->call.fd);
	}
	for (unsigned int i = 0; i < N_OWN_RINGS; i++)
		if (s->kick[i] >= 0)
			close(s->kick[i]);
	if (s->shared)
		munmap(s->shared, SHARED_BYTES);
	if (s->extra.fd >= 0)
		close(s->extra.fd);
	free(s);
}

/* Beyond guest memory. Sealed: who has its descriptor could else cut it, and kill us by that. */
static int switch_make_shared(struct nic_switch *s)
{
	const struct mem_region *last = mem_region(s->mem, mem_n_regions(s->mem) - 1);
	int fd = memfd_create("fourlane-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p;

	s->extra = (struct vhost_user_extra){ .gpa = last->gpa + last->size,
					      .size = SHARED_BYTES,
					      .fd = fd };
	if (fd < 0 || ftruncate(fd, (off_t)SHARED_BYTES) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	p = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	s->shared = s->extra.hva = p;
	return 0;
}

static int switch_make_fds(struct nic_switch *s)
{
	int ret;

	for (unsigned int i = 0; i < N_OWN_RINGS; i++)
		if ((s->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
			return -errno;
	s->call = (struct io_fd){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				  .events = EPOLLIN,
				  .ready = switch_called,
				  .opaque = s };
	if (s->call.fd < 0)
		return -errno;
	ret = io_add_fd(vm_io(s->vm), &s->call);
	if (ret < 0)
		return ret;
	s->poller = (struct io_poller){
		.poll = switch_poll, .wake = switch_wake, .rest = switch_rest, .opaque = s
	};
	ret = io_add_poller(vm_io(s->vm), &s->poller);
	if (ret < 0)
		s->poller.poll = NULL;
	return ret;
}

static int switch_connect(struct nic_switch *s, int fd)
{
	const struct vhost_user_conf conf = {
		.name = s->name,
		.mem = s->mem,
		.extra = &s->extra,
		.features = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) |
			    VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX) |
			    VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC) | SWITCH_OFFLOADS,
		.link = switch_link,
		.lost = switch_lost,
		.opaque = s,
		.io = vm_io(s->vm),
	};
	int ret = vhost_user_create(&conf, fd, &s->vu);

	/* who breaks the protocol is the switch, not whoever described the guest */
	return ret == -EPROTO ? -EREMOTEIO : ret;
}

static int switch_init(struct nic_switch *s, int fd)
{
	int ret = switch_make_shared(s);

	if (ret == 0)
		ret = switch_make_fds(s);
	if (ret == 0)
		return switch_connect(s, fd);
	close(fd);
	return err_ret(ret, "%s: making the rings for the switch: %s; give the guest fewer NICs",
		       s->name, strerror(-ret));
}

static const struct nic_backend_ops switch_ops = {
	.destroy = switch_destroy,
	.send = switch_send,
	.sent = switch_sent,
	.receive = switch_receive,
	.set_filter = switch_set_filter,
	.link_up = switch_link_up,
	.reset = switch_reset,
	.rx_withdraw = switch_rx_withdraw,
	.rings_features = switch_rings_features,
	.rings_start = switch_rings_start,
	.rings_stop = switch_rings_stop,
	.ring_enable = switch_ring_enable,
	.ring_call = switch_ring_call,
	.late_fd = switch_late_fd,
	.stats = switch_stats,
	.pause = switch_pause,
	.resume = switch_resume,
};

static int switch_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
			 struct nic_backend **out)
{
	static const char *const seen_to[] = { "socket", "switch", "port", "role", "wait" };
	struct nic_switch *s;
	int fd, ret;

	for (size_t i = 0; i < sizeof(seen_to) / sizeof(seen_to[0]); i++)
		opts_take(conf->opts, seen_to[i]); /* by prep_switch.c */
	fd = device_take_fd(conf, "socket");
	if (fd < 0)
		return err_ret(fd,
			       "%s: no switch was connected for it: start the guest by 'fourlane "
			       "run'",
			       conf->name);
	s = calloc(1, sizeof(*s));
	if (!s) {
		close(fd);
		return -ENOMEM;
	}
	s->vm = vm;
	s->mem = vm_mem(vm);
	s->name = conf->name;
	s->be.ops = &switch_ops;
	s->be.fe = fe;
	s->resting = true;
	s->kick[0] = s->kick[1] = s->call.fd = s->extra.fd = -1;
	ret = switch_init(s, fd);
	if (ret < 0)
		switch_destroy(&s->be);
	else
		*out = &s->be;
	return ret;
}

static const struct nic_backend_type switch_type = {
	.name = "switch",
	.help = "a vhost-user switch: switch=, port= or socket=, role=, wait=",
	.create = switch_create,
};
NIC_BACKEND(&switch_type);
