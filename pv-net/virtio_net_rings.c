/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net on a back-end that works on the guest's rings itself (vhost-user): they are handed
 * over when the driver is ready and taken back before anything of them changes. Doorbells and
 * interrupts then go between guest and back-end by eventfds, ioeventfd and irqfd, and the monitor
 * sees no frame. It keeps the status, the configuration, the control queue, and INTx, which has a
 * status byte to set. Called by virtio_net.c and virtio_dev.c; calls core/nic.h.
 *
 * The poller here never waits for the device's lock: a vCPU may hold it as long as a back-end
 * takes to answer, and the other devices' I/O goes on meanwhile.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pv-net/virtio_net_priv.h"

/* --- handing over and taking back; under the lock --- */
/* What interrupts the guest for queue q; -1: it wants none. */
static int rings_call_fd(struct vnet *v, unsigned int q)
{
	uint16_t vector = v->vd.queue[q].vector;

	if (!pci_msix_enabled(&v->vd.pci))
		return v->intx.fd;
	return vector == VIRTIO_MSI_NO_VECTOR ? -1 : pci_msix_fd(&v->vd.pci, vector);
}

/* Pairs whose both queues the driver has set up, from the first on. */
static unsigned int rings_n_pairs(const struct vnet *v)
{
	unsigned int max = virtio_has(&v->vd, VIRTIO_NET_F_MQ) ? v->n_pairs : 1, n = 0;

	while (n < max && v->vd.queue[VIRTIO_NET_QUEUE_RX(n)].vq.started &&
	       v->vd.queue[VIRTIO_NET_QUEUE_TX(n)].vq.started)
		n++;
	return n;
}

static void rings_start(struct vnet *v)
{
	v->n_rings = 2 * rings_n_pairs(v);
	for (unsigned int i = 0; i < v->n_rings; i++) {
		const struct virtio_queue *q = &v->vd.queue[i];

		v->ring[i] = (struct nic_ring){ .size = q->vq.size,
						.desc = q->vq.desc_gpa,
						.avail = q->vq.avail_gpa,
						.used = q->vq.used_gpa,
						.kick_fd = q->kick.fd,
						.call_fd = rings_call_fd(v, i),
						.enabled = i < 2 * v->used_pairs };
	}
	if (!v->n_rings)
		return;
	v->be->ops->rings_start(v->be, v->vd.features, v->ring, v->n_rings);
	atomic_store(&v->handed_over, true);
}

static void rings_stop(struct vnet *v)
{
	if (atomic_exchange(&v->handed_over, false))
		v->be->ops->rings_stop(v->be);
}

void vnet_rings_start(struct virtio_dev *vd)
{
	struct vnet *v = (struct vnet *)vd;

	vnet_prepare(v);
	if (pci_bus_master(&vd->pci))
		rings_start(v);
}

void vnet_rings_stop(struct virtio_dev *vd)
{
	rings_stop((struct vnet *)vd);
	vnet_forget((struct vnet *)vd);
}

/* Bus mastering, MSI-X as a whole, or a queue's vector. */
void vnet_rings_pci_changed(struct virtio_dev *vd)
{
	struct vnet *v = (struct vnet *)vd;
	bool may = atomic_load(&vd->live) && pci_bus_master(&vd->pci);

	if (!may) {
		rings_stop(v);
		return;
	}
	if (!atomic_load(&v->handed_over)) {
		rings_start(v);
		return;
	}
	for (unsigned int i = 0; i < v->n_rings; i++) {
		int fd = rings_call_fd(v, i);

		if (fd == v->ring[i].call_fd)
			continue;
		v->ring[i].call_fd = fd;
		v->be->ops->ring_call(v->be, i, fd);
	}
}

void vnet_rings_set_pairs(struct vnet *v, unsigned int pairs)
{
	for (unsigned int i = 0; i < v->n_rings && atomic_load(&v->handed_over); i++) {
		bool on = i < 2 * pairs;

		if (on == v->ring[i].enabled)
			continue;
		v->ring[i].enabled = on;
		v->be->ops->ring_enable(v->be, i, on);
	}
}

/* --- the I/O thread --- */
static unsigned int rings_poll(struct io_poller *p)
{
	struct vnet *v = p->opaque;
	struct virtio_dev *vd = &v->vd;
	bool live = atomic_load(&vd->live);
	unsigned int work = 0;

	if (!atomic_load(&v->link_changed) && !v->intx_due &&
	    (live ? !atomic_load(&v->has_ctrl) : !atomic_load(&v->handed_over)))
		return 0;
	if (pthread_mutex_trylock(&vd->lock)) {
		sched_yield();
		return 1;
	}
	if (atomic_exchange(&v->link_changed, false))
		vnet_link_news(v);
	if (atomic_load(&vd->live) && pci_bus_master(&vd->pci)) {
		work = vnet_ctrl_poll(v);
		if (v->intx_due)
			virtio_raise_queue(vd, 0);
	}
	v->intx_due = false;
	if (!atomic_load(&vd->live)) /* broken, or given up by its driver */
		rings_stop(v);
	virtio_unlock(vd);
	return work;
}

/* The back-end signals: without MSI-X that is a bit and a line, both ours. */
static void rings_intx(struct io_fd *f, uint32_t events)
{
	struct vnet *v = f->opaque;
	uint64_t n;

	if (read(f->fd, &n, sizeof(n)) != sizeof(n))
		return;
	v->intx_due = true;
	io_busy(v->io);
}

int vnet_rings_init(struct vnet *v, const char *name)
{
	int ret;

	v->poller = (struct io_poller){ .poll = rings_poll, .opaque = v };
	v->intx = (struct io_fd){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				  .events = EPOLLIN,
				  .ready = rings_intx,
				  .opaque = v };
	ret = v->intx.fd < 0 ? -errno : io_add_fd(v->io, &v->intx);
	return ret < 0 ? err_ret(ret,
				 "%s: listening to the back-end: %s; give the guest fewer devices",
				 name, strerror(-ret))
		       : 0;
}

void vnet_rings_destroy(struct vnet *v)
{
	rings_stop(v);
	if (v->intx.fd < 0)
		return;
	io_remove_fd(v->io, &v->intx);
	close(v->intx.fd);
}
