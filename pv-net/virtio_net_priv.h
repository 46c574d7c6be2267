/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of virtio-net, for virtio_net.c (life, configuration, poller), virtio_net_tx.c and
 * virtio_net_rx.c (frames), virtio_net_rings.c (rings handed over), virtio_net_ctrl.c (control
 * queue), virtio_net_filter.c (what the driver wants to receive) and their unit tests. VIRTIO 1.2
 * section 5.1.
 */
#ifndef PV_NET_VIRTIO_NET_PRIV_H
#define PV_NET_VIRTIO_NET_PRIV_H

#include "core/device.h"
#include "core/nic.h"
#include "core/virtio_dev.h"

#define VNET_QUEUE_SIZE 1024 /* entries, at most and unless told */
#define VNET_MAX_PAIRS  8
#define VNET_FRAME_MIN  14
#define VNET_FRAME_STD \
	1518 /* with a VLAN tag: what a buffer holds when frames cannot be spread over several */
#define VNET_CHAIN_IOV (NIC_MAX_IOV + 1) /* the header may be an element of its own */
#define VNET_LINK_HEAD 18                /* Ethernet with a VLAN tag, before the MTU's bytes */
#define VNET_MTU_MIN   68
/* offloads of received frames, and of those that are sent */
#define VNET_GUEST_OFFLOADS \
	(VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN))
#define VNET_HOST_OFFLOADS \
	(VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | \
	 VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN))
#define VNET_MTU_MAX (NIC_MAX_FRAME - VNET_LINK_HEAD)

/* Transmit side of a pair. I/O thread, under the device's lock. */
struct vnet_tx {
	struct nic_tx_frame
		frame[NIC_BURST]; /* walked, the back-end has not taken frame[first..n) yet */
	uint16_t head[NIC_BURST]; /* of the chain that frame i stands in */
	unsigned int first, n;
	struct iovec iov[NIC_BURST * VNET_CHAIN_IOV]; /* what the frames point to, packed */
	uint16_t in_flight[VNET_QUEUE_SIZE];          /* heads that the back-end has, oldest at
							 in_flight_first */
	unsigned int in_flight_first, n_in_flight;
};

/* A posted receive buffer that rx_buf() has shown to the back-end. */
struct vnet_rx_slot {
	uint16_t head;
	bool first;    /* a frame begins in it: its first 12 bytes are the header's */
	uint32_t room; /* bytes for the frame */
	uint8_t *
		header; /* where the header goes; NULL when it lies in pieces: then header_byte[] */
	uint8_t *header_byte[VIRTIO_NET_HDR_SIZE];
};

/* Receive side of a pair. I/O thread, under the device's lock. */
struct vnet_rx {
	struct vnet_rx_slot slot[VNET_QUEUE_SIZE]; /* by position */
	unsigned int shown;                        /* positions 0..shown have a valid slot */
	bool starved; /* the back-end wanted a buffer that was not there */
};

/* What the driver wants to receive. Under the lock. */
#define VNET_FILTER_MACS (NIC_FILTER_MACS - 1) /* besides its own address */
#define VNET_TABLE_MAX   1024                  /* addresses of one table that are looked at */
struct vnet_filter {
	bool mode[VIRTIO_NET_CTRL_RX_NOBCAST + 1]; /* by the number of its command */
	uint8_t mac[VNET_FILTER_MACS][6];          /* n_uni of them, then multicast */
	unsigned int n_macs, n_uni;
	bool more_uni, more_multi; /* than there was place for */
	uint32_t vlan[128];
};

/* What is left of a command's data. */
struct vnet_command {
	struct iovec *iov;
	unsigned int n;
	uint64_t left; /* bytes */
};

struct vnet {
	struct virtio_dev vd; /* first */
	struct device dev;
	struct nic_frontend fe;
	struct nic_backend *be;
	struct io *io;
	struct io_poller poller;
	struct io_fd rx_fd[VNET_MAX_PAIRS];
	uint8_t own_mac[6], mac[6];     /* as created; as the driver set it since its last reset */
	uint16_t mtu;                   /* 0: none was given */
	bool packed;                    /* packed rings are offered */
	bool no_offloads, no_mergeable; /* offloads, MRG_RXBUF are not */
	unsigned int n_pairs;
	struct vnet_tx tx[VNET_MAX_PAIRS];
	struct vnet_rx rx[VNET_MAX_PAIRS];
	bool resting; /* I/O thread: notifications are on */
	bool fresh; /* the driver came while the thread was polling: notifications are to go off */
	_Atomic bool link_up, link_changed, was_down; /* was_down: since it was last seen up */
	_Atomic bool has_ctrl; /* the driver has the control queue; written under the lock */
	bool announce;         /* the driver is asked to announce itself; under the lock */
	struct vnet_filter filter;
	unsigned int used_pairs; /* as the driver asked for, from the first on; under the lock */
	uint64_t n_tx_refused;   /* frames that asked for what they may not; I/O thread */

	/* With a back-end that takes rings: under the lock. */
	struct nic_ring ring[2 * VNET_MAX_PAIRS]; /* as it was told */
	unsigned int n_rings;
	_Atomic bool handed_over; /* written under the lock */
	struct io_fd intx;        /* what the back-end signals while there is no MSI-X */
	bool intx_due;            /* it did; I/O thread */
};

static inline struct virtqueue *vnet_rxq(struct vnet *v, unsigned int pair)
{
	return &v->vd.queue[VIRTIO_NET_QUEUE_RX(pair)].vq;
}

static inline struct virtqueue *vnet_txq(struct vnet *v, unsigned int pair)
{
	return &v->vd.queue[VIRTIO_NET_QUEUE_TX(pair)].vq;
}

/* --- transmit (virtio_net_tx.c); all under the lock --- */
/* vnet_tx_send - walks up to a burst of chains and offers their frames. Gives how many chains were
 * worked on. */
unsigned int vnet_tx_send(struct vnet *v, unsigned int pair);
/* vnet_tx_complete - gives back the chains that the back-end is done with; one index store, at most
 * one interrupt. */
unsigned int vnet_tx_complete(struct vnet *v, unsigned int pair);
void vnet_tx_forget(struct vnet_tx *t);

/* --- receive (virtio_net_rx.c) --- */
extern const struct nic_frontend_ops vnet_frontend_ops;
void vnet_rx_forget(struct vnet_rx *r);
/* --- rings handed over (virtio_net_rings.c) --- */
int vnet_rings_init(struct vnet *v, const char *name);
void vnet_rings_destroy(struct vnet *v);
/* What struct virtio_dev_ops asks for. */
void vnet_rings_start(struct virtio_dev *vd);
void vnet_rings_stop(struct virtio_dev *vd);
void vnet_rings_pci_changed(struct virtio_dev *vd);
/* vnet_rings_set_pairs - so many of those that were handed over are to run. */
void vnet_rings_set_pairs(struct vnet *v, unsigned int pairs);

/* --- control queue (virtio_net_ctrl.c); under the lock --- */
/* vnet_ctrl_poll - works on the commands that wait, and gives how many. I/O thread. */
unsigned int vnet_ctrl_poll(struct vnet *v);
/* vnet_command_take - the next `len` bytes of a command; false when there are fewer. */
bool vnet_command_take(struct vnet_command *c, void *dst, size_t len);

/* --- what the driver wants to receive (virtio_net_filter.c); under the lock --- */
/* vnet_filter_reset - as a driver finds it: everything, under the address of the device's own. */
void vnet_filter_reset(struct vnet *v);
/* vnet_filter_push - hands the back-end what follows from the features and the commands so far. */
void vnet_filter_push(struct vnet *v);
/* Commands of the control queue: false when the data is wrong; then nothing is changed. */
bool vnet_filter_mode(struct vnet *v, struct vnet_command *c, uint8_t command);
bool vnet_filter_table(struct vnet *v, struct vnet_command *c, uint8_t command);
bool vnet_filter_address(struct vnet *v, struct vnet_command *c, uint8_t command);
bool vnet_filter_vlan(struct vnet *v, struct vnet_command *c, uint8_t command);

/* --- the device (virtio_net.c) --- */
/* vnet_set_pairs - the driver wants to use so many queue pairs; false: there are not, or they are
 * not set up. Under the lock. */
bool vnet_set_pairs(struct vnet *v, unsigned int pairs);
/* vnet_prepare - what a new driver finds; vnet_forget - what the last one set goes. Under the lock.
 */
void vnet_prepare(struct vnet *v);
void vnet_forget(struct vnet *v);
/* vnet_set_offloads - received frames may be as these GUEST_* features say; false: they do not go
 * together. Under the lock. */
bool vnet_set_offloads(struct vnet *v, uint64_t guest);
/* vnet_link_news - tells the driver of a changed link. I/O thread, under the lock. */
void vnet_link_news(struct vnet *v);

/* vnet_link - the back-end's link changed; any thread, no lock needed. */
void vnet_link(struct nic_frontend *fe, bool up);

#endif
