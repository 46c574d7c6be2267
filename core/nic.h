/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam between a NIC front-end (a device model: E1000, virtio-net) and a NIC back-end (null,
 * loop, tap, vhost-user).
 *
 * Frames never have a buffer of their own here. Transmit: the front-end shows scatter-gather lists
 * that point into guest memory; the back-end may keep using that memory until it reports the frame
 * done. Receive: the front-end shows the buffers that the guest has posted, the back-end writes the
 * frame straight into them, and says how many it used. Everything below runs on the I/O thread of
 * the monitor, except where a comment says otherwise. Ethernet frames are without FCS. What a frame
 * still needs (a checksum, cutting into segments) goes beside it as virtio's header, between
 * front-ends and back-ends that agreed on it; for all others that header is zero.
 *
 * Users of a back-end: nic_backend_create() and the nic_*() calls. Implementers: struct
 * nic_backend_ops. Both sides are short enough for one header.
 */
#ifndef CORE_NIC_H
#define CORE_NIC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/device.h"
#include "core/proto/virtio_net_abi.h"
#include "core/registry.h"
#include "core/stats.h"
#include "core/vm.h"

#define NIC_BURST     64           /* frames a call, at most */
#define NIC_MAX_IOV   64           /* scatter-gather elements a frame, at most */
#define NIC_MAX_FRAME 16384        /* bytes; the largest without offloads */
#define NIC_MAX_GSO   (65535 + 18) /* the largest that is to be cut into segments */

/* What a frame may still need. */
#define NIC_OFFLOAD_CSUM 1u /* a checksum */
#define NIC_OFFLOAD_TSO4 2u /* cutting into segments: TCP over IPv4 ... */
#define NIC_OFFLOAD_TSO6 4u /* ... and IPv6; only together with CSUM */
#define NIC_OFFLOAD_ECN  8u /* of those, with CWR set */
#define NIC_OFFLOAD_ALL  15u

struct nic_tx_frame {
	/* guest memory (or constant padding); the array is valid during send() only */
	const struct iovec *iov;
	unsigned int n_iov; /* 1..NIC_MAX_IOV */
	uint32_t len;       /* sum of iov_len, 14..NIC_MAX_FRAME, or NIC_MAX_GSO */
	/* checked against the frame and the back-end's offloads; num_buffers 0 */
	struct virtio_net_hdr hdr;
};

struct nic_rx_done {
	uint32_t len;    /* frame bytes written */
	uint16_t n_bufs; /* posted buffers it took, in order, all but the last full */
	struct virtio_net_hdr
		hdr; /* within the front-end's offloads; num_buffers is not looked at */
};

/*
 * Which frames a device would take, pushed down so that a back-end does not spend a posted buffer
 * on any other. Owned by the front-end, handed over by nic_set_filter() (copied).
 */
#define NIC_FILTER_MACS 16
struct nic_filter {
	bool promisc; /* everything: the rest is not looked at, VLANs excepted */
	bool all_unicast, all_multicast, broadcast;
	unsigned int n_macs;
	uint8_t mac[NIC_FILTER_MACS][6];
	/* multicast by the 4096-bit table: bit (d[4] | d[5] << 8) >> hash_shift & 0xfff */
	bool hash;
	uint8_t hash_shift; /* 4, 3, 2 or 0 (8254x 13.5.1: MO 0..3) */
	uint32_t hash_table[128];
	bool vlan; /* tagged frames only when their VLAN's bit is set */
	uint32_t vlan_table[128];
};

/*
 * nic_filter_match - `frame` has at least its first min(len, 18) bytes readable. Frames below 14
 * bytes match nothing.
 */
bool nic_filter_match(const struct nic_filter *f, const uint8_t *frame, uint32_t len);

struct nic_frontend;
struct nic_backend;

struct nic_frontend_ops {
	/*
	 * The posted buffer at position `pos` (0: the oldest one that rx_done() has not taken yet)
	 * of queue q as host addresses in iov[0..max_iov). `first` says that a frame begins in it
	 * (virtio keeps room for its header there). Gives the number of elements, 0 when the guest
	 * has posted no such buffer. May be asked again until rx_done(). A queue that is broken or
	 * off gives 0.
	 */
	unsigned int (*rx_buf)(struct nic_frontend *fe, unsigned int q, unsigned int pos,
			       bool first, struct iovec *iov, unsigned int max_iov);
	/*
	 * Frames have been written: give the buffers back to the guest, in order; one notification
	 * for the burst.
	 */
	void (*rx_done)(struct nic_frontend *fe, unsigned int q, const struct nic_rx_done *done,
			unsigned int n);
	/* The back-end's link went up or down. May be NULL. */
	void (*link)(struct nic_frontend *fe, bool up);
};

struct nic_frontend {
	const struct nic_frontend_ops *ops;
	uint32_t max_frame; /* the largest frame it would take now; may change between bursts */
	uint32_t max_gso;   /* the largest that is to be cut into segments; 0: none */
};

/*
 * A virtio queue of a front-end whose rings are in guest memory, for a back-end that works on them
 * itself in another process. Numbers are virtio's queue numbers (0: receive of pair 0, ...).
 */
struct nic_ring {
	uint16_t size;
	gpa_t desc, avail, used;
	int kick_fd; /* signalled by the guest's doorbell; while handed over nobody else reads it */
	int call_fd; /* what the back-end signals to interrupt the guest; stays the front-end's */
	bool enabled;
};
#define NIC_MAX_RINGS 16

struct nic_backend_ops {
	void (*destroy)(struct nic_backend *be);
	/*
	 * Takes frames[0..n) of queue q from the front, gives how many it took; those not taken are
	 * offered again later (the device keeps them on its ring: back pressure). A frame that
	 * cannot be sent at all is taken and counted as dropped.
	 */
	unsigned int (*send)(struct nic_backend *be, unsigned int q,
			     const struct nic_tx_frame *frames, unsigned int n);
	/* How many of the frames taken by send() are done with, in order, since the last call. */
	unsigned int (*sent)(struct nic_backend *be, unsigned int q);
	/*
	 * Moves up to max frames into the front-end's posted buffers. Gives how many frames it
	 * handled, refused ones included (0: nothing to do).
	 */
	unsigned int (*receive)(struct nic_backend *be, unsigned int q, unsigned int max);
	/* May be NULL. */
	void (*set_filter)(struct nic_backend *be, const struct nic_filter *f);
	/*
	 * The guest uses queue pairs 0..n) now, 1 <= n <= n_pairs: frames come in by no other. May
	 * be NULL.
	 */
	void (*use_pairs)(struct nic_backend *be, unsigned int n);
	/* rx_offloads has changed. May be NULL. */
	void (*set_offloads)(struct nic_backend *be);
	/*
	 * A descriptor that is readable when receive() has work while the thread sleeps; -1 when
	 * there is none. May be NULL.
	 */
	int (*rx_fd)(struct nic_backend *be, unsigned int q);
	bool (*link_up)(struct nic_backend *be); /* NULL: always up */
	/*
	 * Every queue is to be forgotten (device reset): frames in flight count as done, nothing
	 * touches guest memory afterwards.
	 */
	void (*reset)(struct nic_backend *be);
	/*
	 * The guest's posted receive buffers of queue q are not valid any more (its ring was moved,
	 * shortened or switched off): when this returns nothing writes to a buffer that rx_buf()
	 * has shown before. NULL for back-ends that look for buffers only when they have a frame.
	 */
	void (*rx_withdraw)(struct nic_backend *be, unsigned int q);

	/*
	 * Back-ends that take virtio rings over: all of these or none. A front-end with virtio
	 * rings then uses these instead of send(), sent() and receive(), which may be NULL in a
	 * back-end that refuses every other front-end.
	 *
	 * rings_features: which of the virtio features `offered` this back-end can serve, for the
	 * device to offer. *max_pairs: how many queue pairs. Stays the same for its life.
	 * rings_start: the driver is ready; n rings with the negotiated `features`. The array is
	 * copied, descriptors stay the front-end's. It returns when the back-end has them or has
	 * failed to answer in time; it goes on trying by itself then (link() tells).
	 * rings_stop: when it returns nobody touches the rings and the guest's memory. Idempotent.
	 * ring_enable / ring_call: while started. vCPU threads or the I/O thread, under the
	 * device's lock; all of them may wait for the other process, but no longer than a deadline.
	 */
	uint64_t (*rings_features)(struct nic_backend *be, uint64_t offered,
				   unsigned int *max_pairs);
	void (*rings_start)(struct nic_backend *be, uint64_t features, const struct nic_ring *ring,
			    unsigned int n);
	void (*rings_stop)(struct nic_backend *be);
	void (*ring_enable)(struct nic_backend *be, unsigned int ring, bool on);
	void (*ring_call)(struct nic_backend *be, unsigned int ring, int call_fd);
	/*
	 * A descriptor that the back-end asked for with device_want_fd() has come (core/device.h);
	 * the back-end's now. Main thread. May be NULL.
	 */
	void (*late_fd)(struct nic_backend *be, const char *name, int fd);
	void (*stats)(struct nic_backend *be,
		      struct stats_sink *s); /* further counters; may be NULL */
	/*
	 * The guest is paused, or goes on. When pause() returns another process works neither on
	 * rings nor on guest memory; the front-end is not told. Main thread, while the I/O thread
	 * and the vCPUs stand still. May be NULL, both: nobody else moves frames.
	 */
	void (*pause)(struct nic_backend *be);
	void (*resume)(struct nic_backend *be);
};

/* Why a frame went nowhere: each has one cause, and in = out + sum of the causes. */
enum nic_drop {
	NIC_DROP_NO_BUFFER,
	NIC_DROP_FILTERED,
	NIC_DROP_TOO_LONG,
	NIC_DROP_TOO_SHORT,
	NIC_DROP_SINK,
	NIC_DROP_ERROR,
	NIC_DROP_LINK_DOWN,
	NIC_N_DROPS
};

struct nic_counters { /* written by the I/O thread only, read by anybody (plain, aligned 64 bit) */
	uint64_t tx_frames, tx_bytes; /* what went out (drops not counted) */
	uint64_t rx_frames, rx_bytes; /* what reached the guest */
	uint64_t tx_drop[NIC_N_DROPS], rx_drop[NIC_N_DROPS];
	uint64_t rx_copies; /* received frames whose payload was copied inside the monitor */
};

struct nic_backend {
	const struct nic_backend_ops *ops;
	const struct nic_backend_type *type;
	struct nic_frontend *fe;
	unsigned int n_pairs; /* queue pairs that it moves frames of, set by create(); 0: one */
	/*
	 * NIC_OFFLOAD_*: what frames out may need, and what frames in can be made to need, set by
	 * create(); what the front-end lets frames in need now.
	 */
	uint32_t offloads, rx_offloads;
	struct nic_filter filter;
	struct nic_counters n;
};

struct nic_backend_type {
	const char *name; /* "tap" */
	const char *help;
	/*
	 * Takes its own keys of conf->opts and its descriptors of conf->fds. `fe` outlives the
	 * back-end. On success *out embeds a struct nic_backend with ops set. Negative errno after
	 * a message.
	 */
	int (*create)(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
		      struct nic_backend **out);
};
#define NIC_BACKEND(ptr) REGISTER(fl_nic_backends, struct nic_backend_type, ptr)

/*
 * nic_backend_create - by the key `backend` of the device's options (absent: null). -EINVAL after a
 * message that lists the registered back-ends. nic_backend_destroy() accepts NULL.
 */
int nic_backend_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
		       struct nic_backend **out);
void nic_backend_destroy(struct nic_backend *be);

static inline unsigned int nic_send(struct nic_backend *be, unsigned int q,
				    const struct nic_tx_frame *f, unsigned int n)
{
	return be->ops->send(be, q, f, n);
}

static inline unsigned int nic_sent(struct nic_backend *be, unsigned int q)
{
	return be->ops->sent(be, q);
}

static inline unsigned int nic_receive(struct nic_backend *be, unsigned int q, unsigned int max)
{
	return be->ops->receive(be, q, max);
}

void nic_set_filter(struct nic_backend *be, const struct nic_filter *f);
int nic_rx_fd(struct nic_backend *be, unsigned int q); /* -1: none */
bool nic_link_up(struct nic_backend *be);
void nic_use_pairs(struct nic_backend *be, unsigned int n);
/* nic_set_offloads - what received frames may still need from now on, of be->offloads. */
void nic_set_offloads(struct nic_backend *be, uint32_t rx);
/* nic_needs - NIC_OFFLOAD_* that a frame with this header needs. */
uint32_t nic_needs(const struct virtio_net_hdr *h);

/* nic_max - the largest frame with this header that the front-end would take. */
static inline uint32_t nic_max(const struct nic_frontend *fe, const struct virtio_net_hdr *h)
{
	return h->gso_type ? fe->max_gso : fe->max_frame;
}

void nic_reset(struct nic_backend *be);
void nic_rx_withdraw(struct nic_backend *be, unsigned int q);
/* nic_takes_rings - does it work on virtio rings itself? */
bool nic_takes_rings(const struct nic_backend *be);
/* nic_late_fd - for the device's own late_fd(): hands the descriptor on, or closes it. */
void nic_late_fd(struct nic_backend *be, const char *name, int fd);
/* nic_pause / nic_resume - for the device's own pause() and resume(). */
void nic_pause(struct nic_backend *be);
void nic_resume(struct nic_backend *be);
void nic_stats(struct nic_backend *be,
	       struct stats_sink *s); /* all counters, with the names of enum nic_drop */

/*
 * nic_rx_gather - for back-ends: collects posted buffers of queue q from position pos on until they
 * hold `want` bytes. Gives the number of iov elements (0: not enough posted), *n_bufs the buffers
 * and *room the bytes they hold.
 */
unsigned int nic_rx_gather(struct nic_frontend *fe, unsigned int q, unsigned int pos, uint32_t want,
			   struct iovec *iov, unsigned int max_iov, unsigned int *n_bufs,
			   uint32_t *room);

#endif
