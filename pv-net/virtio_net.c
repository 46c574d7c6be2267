/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net for the guest: the device behind `--nic virtio`. Here are its life, its configuration
 * and its poller; frames go through virtio_net_tx.c and virtio_net_rx.c, registers through
 * virtio_dev.c, commands through virtio_net_ctrl.c. A back-end that works on rings itself gets them
 * by virtio_net_rings.c. VIRTIO 1.2 section 5.1. Offered: MAC, STATUS, MRG_RXBUF, the ring's
 * features, packed rings when asked for, CTRL_VQ with receive modes, addresses and VLANs,
 * GUEST_ANNOUNCE, MTU when one is given, MQ for several pairs, and the offloads that the back-end
 * has: checksums and TCP segmentation, both ways. Left out: UFO, USO, RSS, hash reports,
 * SPEED_DUPLEX.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "pv-net/virtio_net_priv.h"

#define CLASS_ETHERNET 0x020000

static struct vnet *vnet_of_vd(struct virtio_dev *vd)
{
	return (struct vnet *)vd; /* its first member */
}

/* --- what the transport asks --- */
static uint32_t vnet_max_frame(const struct vnet *v)
{
	if (virtio_has(&v->vd, VIRTIO_NET_F_MTU))
		return v->mtu + VNET_LINK_HEAD;
	return virtio_has(&v->vd, VIRTIO_NET_F_MRG_RXBUF) ? NIC_MAX_FRAME : VNET_FRAME_STD;
}

void vnet_prepare(struct vnet *v)
{
	v->used_pairs = 1; /* until the driver asks for more (5.1.6.5.5) */
	v->announce = false;
	atomic_store(&v->has_ctrl, virtio_has(&v->vd, VIRTIO_NET_F_CTRL_VQ));
	vnet_filter_push(v);
}

void vnet_forget(struct vnet *v)
{
	vnet_filter_reset(v);
}

bool vnet_set_offloads(struct vnet *v, uint64_t guest)
{
	bool csum = guest & VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM),
	     tso4 = guest & VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4),
	     tso6 = guest & VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6),
	     ecn = guest & VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN);

	if (((tso4 || tso6) && !csum) || (ecn && !tso4 && !tso6))
		return false;
	v->fe.max_gso = tso4 || tso6 ? NIC_MAX_GSO : 0;
	nic_set_offloads(v->be, (csum ? NIC_OFFLOAD_CSUM : 0) | (tso4 ? NIC_OFFLOAD_TSO4 : 0) |
					(tso6 ? NIC_OFFLOAD_TSO6 : 0) |
					(ecn ? NIC_OFFLOAD_ECN : 0));
	return true;
}

static void vnet_start(struct virtio_dev *vd)
{
	struct vnet *v = vnet_of_vd(vd);

	v->fe.max_frame = vnet_max_frame(v);
	v->fresh = true;
	for (unsigned int i = 0; i < v->n_pairs; i++)
		vnet_txq(v, i)->tables_are_read = true;
	vnet_prepare(v);
	nic_use_pairs(v->be, 1);
	vnet_set_offloads(v, vd->features & VNET_GUEST_OFFLOADS);
}

static void vnet_stop(struct virtio_dev *vd)
{
	struct vnet *v = vnet_of_vd(vd);

	nic_reset(v->be);
	for (unsigned int i = 0; i < v->n_pairs; i++) {
		nic_sent(v->be, i); /* what it counts as done is of the driver that went */
		vnet_tx_forget(&v->tx[i]);
		vnet_rx_forget(&v->rx[i]);
	}
	vnet_set_offloads(v, 0);
	vnet_forget(v);
}

static void vnet_config(struct virtio_dev *vd, uint8_t cfg[VIRTIO_CONFIG_MAX])
{
	struct vnet *v = vnet_of_vd(vd);
	struct virtio_net_config c = { .status = atomic_load(&v->link_up) ? VIRTIO_NET_S_LINK_UP
									  : 0 };

	memcpy(c.mac, v->mac, sizeof(c.mac));
	if (v->announce)
		c.status |= VIRTIO_NET_S_ANNOUNCE;
	c.max_virtqueue_pairs = (uint16_t)v->n_pairs;
	c.mtu = v->mtu;
	memcpy(cfg, &c, sizeof(c));
}

/* Which features a feature cannot be without, 5.1.3.1: one of the two. */
static bool vnet_features_ok(const struct virtio_dev *vd)
{
	static const struct {
		uint8_t feature, needs, or ;
	} row[] = {
		{ VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_CSUM },
		{ VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_CSUM },
		{ VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6 },
		{ VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_CSUM },
		{ VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_CSUM },
		{ VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6 },
		{ VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_VQ },
		{ VIRTIO_NET_F_CTRL_RX_EXTRA, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_RX },
		{ VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_VQ },
		{ VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_VQ },
		{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_VQ },
		{ VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_VQ },
		{ VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_VQ },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (virtio_has(vd, row[i].feature) && !virtio_has(vd, row[i].needs) &&
		    !virtio_has(vd, row[i].or))
			return false;
	/*
	 * Without MQ the control queue's place is that of the second pair's receive queue, whose
	 * doorbell is the back-end's when it has the rings. Drivers that know the one know the
	 * other.
	 */
	return vd->n_foreign <= 2 || !virtio_has(vd, VIRTIO_NET_F_CTRL_VQ) ||
	       virtio_has(vd, VIRTIO_NET_F_MQ);
}

/* Fields of features that are not offered read as they are (5.1.4: nobody looks). */
#define CONFIG_SIZE offsetof(struct virtio_net_config, speed)

static const struct virtio_dev_ops vnet_ops = {
	.start = vnet_start,
	.stop = vnet_stop,
	.config = vnet_config,
	.config_size = CONFIG_SIZE,
	.features_ok = vnet_features_ok,
};

static const struct virtio_dev_ops vnet_rings_ops = {
	.start = vnet_rings_start,
	.stop = vnet_rings_stop,
	.config = vnet_config,
	.config_size = CONFIG_SIZE,
	.pci_changed = vnet_rings_pci_changed,
	.features_ok = vnet_features_ok,
};

void vnet_link(struct nic_frontend *fe, bool up)
{
	struct vnet *v = (struct vnet *)((char *)fe - offsetof(struct vnet, fe));

	/* the poller tells the guest: this may be called with or without the lock */
	atomic_store(&v->link_up, up);
	if (!up)
		atomic_store(&v->was_down, true);
	atomic_store(&v->link_changed, true);
	io_wake(v->io);
}

void vnet_link_news(struct vnet *v)
{
	/* a switch that came back has to learn where the guest is (5.1.6.5.4) */
	if (atomic_load(&v->link_up) && atomic_exchange(&v->was_down, false) &&
	    virtio_has(&v->vd, VIRTIO_NET_F_GUEST_ANNOUNCE))
		v->announce = true;
	virtio_config_changed(&v->vd);
}

bool vnet_set_pairs(struct vnet *v, unsigned int pairs)
{
	if (!pairs || pairs > v->n_pairs)
		return false;
	for (unsigned int i = 0; i < pairs; i++)
		if (!vnet_rxq(v, i)->started || !vnet_txq(v, i)->started)
			return false;
	v->used_pairs = pairs;
	if (nic_takes_rings(v->be))
		vnet_rings_set_pairs(v, pairs);
	else
		nic_use_pairs(v->be, pairs);
	return true;
}

/* --- the poller --- */
static struct vnet *vnet_of_poller(struct io_poller *p)
{
	return p->opaque;
}

static void vnet_notify_off(struct vnet *v)
{
	for (unsigned int i = 0; i < v->vd.n_queues; i++)
		if (v->vd.queue[i].vq.started)
			vq_notify_off(&v->vd.queue[i].vq);
	v->fresh = false;
}

/* Pairs whose queues are what their numbers say: without MQ the third is the control queue. */
static unsigned int vnet_pairs(const struct vnet *v)
{
	return virtio_has(&v->vd, VIRTIO_NET_F_MQ) ? v->n_pairs : 1;
}

/* A pair that the driver does not use any more still sends what was left in it. */
static unsigned int vnet_poll_pair(struct vnet *v, unsigned int pair)
{
	unsigned int work = vnet_tx_send(v, pair);

	if (pair < v->used_pairs)
		work += nic_receive(v->be, pair, NIC_BURST);
	return work + vnet_tx_complete(v, pair);
}

static unsigned int vnet_poll(struct io_poller *p)
{
	struct vnet *v = vnet_of_poller(p);
	struct virtio_dev *vd = &v->vd;
	unsigned int work = 0;

	if (!atomic_load_explicit(&v->link_changed, memory_order_relaxed) &&
	    (!atomic_load_explicit(&vd->live, memory_order_relaxed) || !pci_bus_master(&vd->pci)))
		return 0;
	if (!virtio_lock_io(vd))
		return 1;
	if (atomic_exchange(&v->link_changed, false))
		vnet_link_news(v);
	if (v->fresh && !v->resting)
		vnet_notify_off(v);
	for (unsigned int i = 0;
	     i < vnet_pairs(v) && atomic_load(&vd->live) && pci_bus_master(&vd->pci); i++)
		work += vnet_poll_pair(v, i);
	if (atomic_load(&v->has_ctrl) && atomic_load(&vd->live) && pci_bus_master(&vd->pci))
		work += vnet_ctrl_poll(v);
	virtio_unlock(vd);
	return work;
}

static void vnet_wake(struct io_poller *p)
{
	struct vnet *v = vnet_of_poller(p);

	pthread_mutex_lock(&v->vd.lock);
	v->resting = false;
	vnet_notify_off(v);
	virtio_unlock(&v->vd);
}

/* Transmit wakes us for every new chain; receive only when a frame waits for a buffer. */
static void vnet_rest(struct io_poller *p)
{
	struct vnet *v = vnet_of_poller(p);

	pthread_mutex_lock(&v->vd.lock);
	v->resting = true;
	for (unsigned int i = 0; i < vnet_pairs(v) && atomic_load(&v->vd.live); i++) {
		if (vnet_txq(v, i)->started)
			vq_notify_on(vnet_txq(v, i));
		if (vnet_rxq(v, i)->started && v->rx[i].starved)
			vq_notify_on(vnet_rxq(v, i));
	}
	virtio_unlock(&v->vd);
}

/* The back-end has frames while the thread sleeps. */
static void vnet_rx_ready(struct io_fd *f, uint32_t events)
{
	struct vnet *v = f->opaque;

	if (atomic_load_explicit(&v->vd.live, memory_order_relaxed))
		io_busy(vm_io(v->vd.pci.vm));
}

/* --- life --- */
static void vnet_destroy(struct device *d)
{
	struct vnet *v = (struct vnet *)((char *)d - offsetof(struct vnet, dev));

	io_remove_poller(v->io, &v->poller);
	vnet_rings_destroy(v);
	for (unsigned int i = 0; i < v->n_pairs; i++)
		io_remove_fd(v->io, &v->rx_fd[i]);
	virtio_dev_destroy(&v->vd);
	nic_backend_destroy(v->be);
	free(v);
}

static void vnet_late_fd(struct device *d, const char *name, int fd)
{
	struct vnet *v = (struct vnet *)((char *)d - offsetof(struct vnet, dev));

	nic_late_fd(v->be, name, fd);
}

static int vnet_pause(struct device *d)
{
	nic_pause(((struct vnet *)((char *)d - offsetof(struct vnet, dev)))->be);
	return 0;
}

static void vnet_resume(struct device *d)
{
	nic_resume(((struct vnet *)((char *)d - offsetof(struct vnet, dev)))->be);
}

/* With rings handed over, doorbells and interrupts are those of the control queue. */
static void vnet_stats(struct device *d, struct stats_sink *s)
{
	struct vnet *v = (struct vnet *)((char *)d - offsetof(struct vnet, dev));

	nic_stats(v->be, s);
	stats_put(s, "tx_refused_offload", v->n_tx_refused);
	stats_put(s, "kicks", atomic_load(&v->vd.n_kicks));
	stats_put(s, "trapped_kicks", atomic_load(&v->vd.n_trapped_kicks));
	stats_put(s, "interrupts", atomic_load(&v->vd.n_interrupts));
	stats_put(s, "driver_errors", atomic_load(&v->vd.n_driver_errors));
	stats_put(s, "needs_reset", atomic_load(&v->vd.n_broken));
}

static const struct device_ops vnet_device_ops = {
	.destroy = vnet_destroy,
	.stats = vnet_stats,
	.late_fd = vnet_late_fd,
	.pause = vnet_pause,
	.resume = vnet_resume,
};

struct vnet_options {
	uint64_t queue_size, queues, mtu;
};

static int vnet_take_options(struct vnet *v, struct device_conf *conf, struct vnet_options *o)
{
	static const uint8_t some_mac[6] = {
		0x02, 'f', 'l', 0, 0, 1
	}; /* `fourlane run` always gives one */
	bool offloads = true, mergeable = true;
	int ret;

	*o = (struct vnet_options){ .queue_size = VNET_QUEUE_SIZE, .queues = 1 };
	memcpy(v->own_mac, some_mac, sizeof(v->own_mac));
	ret = opts_take_mac(conf->opts, "mac", v->own_mac);
	if (ret >= 0)
		ret = opts_take_number(conf->opts, "queue_size", 2, VNET_QUEUE_SIZE,
				       &o->queue_size);
	if (ret >= 0 && (o->queue_size & (o->queue_size - 1)))
		ret = err_ret(-EINVAL, "%s: queue_size=%u: no power of two; give 2, 4, ... %u",
			      conf->name, (unsigned int)o->queue_size, VNET_QUEUE_SIZE);
	if (ret >= 0)
		ret = opts_take_number(conf->opts, "queues", 1, VNET_MAX_PAIRS, &o->queues);
	if (ret >= 0)
		ret = opts_take_number(conf->opts, "mtu", VNET_MTU_MIN, VNET_MTU_MAX, &o->mtu);
	if (ret >= 0)
		ret = opts_take_bool(conf->opts, "packed", &v->packed);
	if (ret >= 0)
		ret = opts_take_bool(conf->opts, "offloads", &offloads);
	if (ret >= 0)
		ret = opts_take_bool(conf->opts, "mergeable", &mergeable);
	v->no_offloads = !offloads;
	v->no_mergeable = !mergeable;
	memcpy(v->mac, v->own_mac, sizeof(v->mac));
	v->n_pairs = (unsigned int)o->queues;
	v->mtu = (uint16_t)o->mtu;
	return ret < 0 ? ret : 0;
}

/* The offloads of a back-end that moves frames. A driver may turn those of received frames on and
 * off. */
static uint64_t vnet_offloads(uint32_t offloads)
{
	uint64_t f = 0;

	if (offloads & NIC_OFFLOAD_CSUM)
		f |= VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) |
		     VIRTIO_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	if (offloads & NIC_OFFLOAD_TSO4)
		f |= VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4);
	if (offloads & NIC_OFFLOAD_TSO6)
		f |= VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6);
	if (offloads & NIC_OFFLOAD_ECN)
		f |= VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN);
	return f;
}

/* What the back-end can serve of the rings' features, and whether it has what was asked for. */
static int vnet_ask_backend(struct vnet *v, const char *name, uint64_t *served)
{
	unsigned int max_pairs = v->be->n_pairs ? v->be->n_pairs : 1;
	const uint64_t packed = v->packed ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0;
	const char *be = v->be->type->name;

	*served = (v->no_mergeable ? 0 : VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF)) |
		  VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX) |
		  VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC) | packed;
	if (nic_takes_rings(v->be))
		*served = v->be->ops->rings_features(
			v->be, *served | VNET_GUEST_OFFLOADS | VNET_HOST_OFFLOADS, &max_pairs);
	else
		*served |= vnet_offloads(v->be->offloads);
	if (v->no_offloads)
		*served &= ~(VNET_GUEST_OFFLOADS | VNET_HOST_OFFLOADS |
			     VIRTIO_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS));
	if (packed & ~*served)
		return err_ret(
			-EOPNOTSUPP,
			"%s: packed=on: the back-end '%s' has split rings only; leave packed "
			"out, or give another back-end",
			name, be);
	return v->n_pairs > max_pairs
		       ? err_ret(-EINVAL,
				 "%s: queues=%u: the back-end '%s' has %u; give queues=%u or "
				 "another back-end",
				 name, v->n_pairs, be, max_pairs, max_pairs)
		       : 0;
}

/* What the device serves itself, whatever the back-end is. */
static uint64_t vnet_own_features(const struct vnet *v)
{
	return VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS) |
	       VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) |
	       VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VLAN) |
	       VIRTIO_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |
	       (v->mtu ? VIRTIO_BIT(VIRTIO_NET_F_MTU) : 0) |
	       (v->n_pairs > 1 ? VIRTIO_BIT(VIRTIO_NET_F_MQ) : 0);
}

static int vnet_init_virtio(struct vnet *v, struct vm *vm, const char *name, uint16_t queue_size)
{
	bool rings = nic_takes_rings(v->be);
	uint64_t served, offered;
	int asked = vnet_ask_backend(v, name, &served), ret;

	offered = vnet_own_features(v) | served;
	v->vd.n_foreign = rings ? 2 * v->n_pairs : 0;
	/* also after a mistake, so that vnet_destroy() finds a device */
	ret = virtio_dev_init(&v->vd, vm, name, VIRTIO_ID_NET, CLASS_ETHERNET, offered,
			      2 * v->n_pairs + 1, queue_size, rings ? &vnet_rings_ops : &vnet_ops);
	v->vd.offered &= offered;
	return asked < 0 ? asked : ret;
}

/* What the back-end may pass, and its descriptors in the I/O thread. */
static int vnet_attach_backend(struct vnet *v, const char *name)
{
	int ret = 0;

	vnet_filter_reset(v);
	atomic_store(&v->link_up, nic_link_up(v->be));
	if (nic_takes_rings(v->be))
		return vnet_rings_init(v, name);
	for (unsigned int i = 0; i < v->n_pairs && ret == 0; i++) {
		/* edges: a frame that waits for a buffer does not keep the thread awake, one that
		 * waits to be sent wakes it */
		v->rx_fd[i] = (struct io_fd){
			.fd = nic_rx_fd(v->be, i),
			.events = EPOLLIN | EPOLLOUT | EPOLLET,
			.ready = vnet_rx_ready,
			.opaque = v,
		};
		if (v->rx_fd[i].fd >= 0)
			ret = io_add_fd(v->io, &v->rx_fd[i]);
	}
	return ret < 0 ? err_ret(ret,
				 "%s: listening to the back-end: %s; give the guest fewer devices",
				 name, strerror(-ret))
		       : 0;
}

static void vnet_init(struct vnet *v, struct vm *vm)
{
	v->dev.ops = &vnet_device_ops;
	v->io = vm_io(vm);
	v->resting = true;
	v->intx.fd = -1;
	v->fe = (struct nic_frontend){ .ops = &vnet_frontend_ops, .max_frame = VNET_FRAME_STD };
	v->poller = (struct io_poller){
		.poll = vnet_poll, .wake = vnet_wake, .rest = vnet_rest, .opaque = v
	};
}

static int vnet_create(struct vm *vm, struct device_conf *conf, struct device **out)
{
	struct vnet *v = calloc(1, sizeof(*v));
	struct vnet_options o;
	int ret;

	if (!v)
		return -ENOMEM;
	vnet_init(v, vm);
	ret = vnet_take_options(v, conf, &o);
	if (ret == 0)
		ret = nic_backend_create(vm, conf, &v->fe, &v->be);
	if (ret < 0) {
		free(v);
		return ret;
	}
	ret = vnet_init_virtio(v, vm, conf->name, (uint16_t)o.queue_size);
	if (ret == 0)
		ret = vnet_attach_backend(v, conf->name);
	if (ret == 0)
		ret = io_add_poller(v->io, &v->poller);
	if (ret == 0)
		ret = pci_register(&v->vd.pci);
	if (ret < 0) {
		vnet_destroy(&v->dev);
		return ret;
	}
	*out = &v->dev;
	return 0;
}

static const struct device_type vnet_type = {
	.name = "virtio",
	.keys = "mac=, queue_size=, queues=, mtu=, packed=, offloads=, mergeable=, "
		"backend=null|loop|tap|switch and its "
		"keys",
	.create = vnet_create,
};
DEVICE_TYPE(&vnet_type);
