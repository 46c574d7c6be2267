/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State of a virtio device (see virtio_dev.h): the status machine, feature negotiation, queue
 * set-up, interrupts. Called by the transport with what the driver wrote, and by device models;
 * calls virtqueue.c and the device's ops. VIRTIO 1.2: 2.1 (status), 2.2 (features), 3.1 (order of
 * initialisation), 4.1.4.3 and 4.1.5 (what of it PCI adds).
 */
#include "core/virtio_dev.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STATUS_OF_DRIVER \
	(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK | \
	 VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_FAILED)

static void virtio_count(_Atomic uint64_t *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

/* --- life --- */
/* A doorbell's eventfd, on the I/O thread. */
static void virtio_kicked(struct io_fd *f, uint32_t events)
{
	struct virtio_queue *q = f->opaque;
	uint64_t n;

	if (read(f->fd, &n, sizeof(n)) != sizeof(n))
		return;
	virtio_count(&q->vd->n_kicks);
	if (atomic_load_explicit(&q->vd->live, memory_order_relaxed))
		io_busy(vm_io(q->vd->pci.vm));
}

static int virtio_add_kick(struct virtio_dev *vd, struct virtio_queue *q)
{
	int ret;

	q->kick = (struct io_fd){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				  .events = EPOLLIN,
				  .ready = virtio_kicked,
				  .opaque = q };
	if (q->kick.fd < 0)
		return err_ret(-errno, "%s: making a doorbell: %s; raise 'ulimit -n'", vd->pci.name,
			       strerror(errno));
	if (q - vd->queue < (ptrdiff_t)vd->n_foreign)
		return 0;
	ret = io_add_fd(vm_io(vd->pci.vm), &q->kick);
	return ret < 0 ? err_ret(ret,
				 "%s: listening to a doorbell: %s; give the guest fewer devices",
				 vd->pci.name, strerror(-ret))
		       : 0;
}

static void virtio_forget_driver(struct virtio_dev *vd)
{
	for (unsigned int i = 0; i < vd->n_queues; i++) {
		vq_init(&vd->queue[i].vq, vd->queue[i].vq.max_size);
		__atomic_store_n(&vd->queue[i].vector, VIRTIO_MSI_NO_VECTOR, __ATOMIC_RELAXED);
	}
	vd->config_vector = VIRTIO_MSI_NO_VECTOR;
	vd->features = 0;
	vd->device_feature_select = vd->driver_feature_select = 0;
	vd->queue_select = 0;
	vd->status = vd->isr = 0;
	vd->raise_queues = 0;
	vd->raise_config = false;
}

int virtio_dev_init(struct virtio_dev *vd, struct vm *vm, const char *name, unsigned int id,
		    uint32_t class_code, uint64_t offered, unsigned int n_queues, uint16_t max_size,
		    const struct virtio_dev_ops *ops)
{
	int ret;

	pthread_mutex_init(&vd->lock, NULL);
	vd->ops = ops;
	vd->offered = offered | VIRTIO_BIT(VIRTIO_F_VERSION_1) |
		      VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC);
	vd->n_queues = n_queues;
	for (unsigned int i = 0; i < n_queues; i++) {
		vd->queue[i].vd = vd;
		vd->queue[i].vq.max_size = max_size;
		vd->queue[i].kick.fd = -1;
	}
	virtio_forget_driver(vd);
	ret = virtio_pci_init(vd, vm, name, id, class_code);
	for (unsigned int i = 0; i < n_queues && ret == 0; i++)
		ret = virtio_add_kick(vd, &vd->queue[i]);
	return ret;
}

void virtio_dev_destroy(struct virtio_dev *vd)
{
	virtio_pci_remove(vd);
	for (unsigned int i = 0; i < vd->n_queues; i++) {
		if (vd->queue[i].kick.fd < 0)
			continue;
		io_remove_fd(vm_io(vd->pci.vm), &vd->queue[i].kick);
		close(vd->queue[i].kick.fd);
	}
	pci_msix_free(&vd->pci);
	pthread_mutex_destroy(&vd->lock);
}

/* --- the lock and the interrupts --- */
void virtio_lock(struct virtio_dev *vd)
{
	atomic_fetch_add(&vd->waiting, 1);
	pthread_mutex_lock(&vd->lock);
	atomic_fetch_sub(&vd->waiting, 1);
}

bool virtio_lock_io(struct virtio_dev *vd)
{
	/* A mutex is not fair: without this a polling thread could keep a vCPU out for long. */
	if (atomic_load_explicit(&vd->waiting, memory_order_relaxed)) {
		sched_yield();
		return false;
	}
	pthread_mutex_lock(&vd->lock);
	return true;
}

static void virtio_raise_vector(struct virtio_dev *vd, uint16_t vector)
{
	if (vector == VIRTIO_MSI_NO_VECTOR)
		return;
	virtio_count(&vd->n_interrupts);
	pci_msix_raise(&vd->pci, vector);
}

void virtio_unlock(struct virtio_dev *vd)
{
	uint64_t queues = vd->raise_queues;
	bool config = vd->raise_config, msix = pci_msix_enabled(&vd->pci);
	uint16_t config_vector = vd->config_vector;

	vd->raise_queues = 0;
	vd->raise_config = false;
	/* INTx is a level: it changes under the lock together with the ISR byte that it follows */
	if ((queues || config) && !msix) {
		vd->isr |=
			(queues ? VIRTIO_PCI_ISR_QUEUE : 0) | (config ? VIRTIO_PCI_ISR_CONFIG : 0);
		virtio_count(&vd->n_interrupts);
		pci_intx(&vd->pci, true);
	}
	pthread_mutex_unlock(&vd->lock);
	if (!msix)
		return;
	for (; queues; queues &= queues - 1)
		virtio_raise_vector(vd, __atomic_load_n(&vd->queue[__builtin_ctzll(queues)].vector,
							__ATOMIC_RELAXED));
	if (config)
		virtio_raise_vector(vd, config_vector);
}

void virtio_raise_queue(struct virtio_dev *vd, unsigned int q)
{
	vd->raise_queues |= 1ull << q;
}

uint8_t virtio_take_isr(struct virtio_dev *vd)
{
	uint8_t isr = vd->isr;

	vd->isr = 0;
	pci_intx(&vd->pci, false);
	return isr;
}

void virtio_config_changed(struct virtio_dev *vd)
{
	vd->generation++;
	if (vd->status & VIRTIO_STATUS_DRIVER_OK)
		vd->raise_config = true;
}

/* --- what goes wrong --- */
void virtio_broken(struct virtio_dev *vd, unsigned int q, const char *why)
{
	virtio_count(&vd->n_broken);
	err_limited(&vd->limit, "%s: queue %u: %s; the device waits for the guest to reset it",
		    vd->pci.name, q, why);
	atomic_store(&vd->live, false);
	vd->status |= VIRTIO_STATUS_NEEDS_RESET;
	if (vd->status & VIRTIO_STATUS_DRIVER_OK)
		vd->raise_config = true;
}

void virtio_driver_error(struct virtio_dev *vd)
{
	virtio_count(&vd->n_driver_errors);
}

/* --- status and features --- */
static void virtio_reset(struct virtio_dev *vd)
{
	atomic_store(&vd->live, false);
	if (vd->status & VIRTIO_STATUS_DRIVER_OK)
		vd->ops->stop(vd);
	virtio_forget_driver(vd);
	pci_intx(&vd->pci, false);
}

static bool virtio_features_ok(const struct virtio_dev *vd, uint8_t status)
{
	const uint8_t before = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

	return (status & before) == before && !(vd->features & ~vd->offered) &&
	       virtio_has(vd, VIRTIO_F_VERSION_1) &&
	       (!vd->ops->features_ok || vd->ops->features_ok(vd));
}

static void virtio_start(struct virtio_dev *vd)
{
	vd->ops->start(vd);
	atomic_store(&vd->live, true);
	io_wake(vm_io(vd->pci.vm));
}

void virtio_set_status(struct virtio_dev *vd, uint8_t status)
{
	uint8_t add = status & STATUS_OF_DRIVER & (uint8_t)~vd->status;

	if (!status) {
		virtio_reset(vd);
		return;
	}
	if (vd->status & STATUS_OF_DRIVER & (uint8_t)~status)
		virtio_driver_error(vd); /* a bit is cleared by reset only (2.1.2) */
	/* a set that we do not accept: the driver reads the bit back and sees it (3.1.1, step 6) */
	if (add & VIRTIO_STATUS_FEATURES_OK && !virtio_features_ok(vd, vd->status | add))
		add &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	/* FEATURES_OK has to stand from an earlier write; and only a reset mends a broken device */
	if (add & VIRTIO_STATUS_DRIVER_OK &&
	    (!(vd->status & VIRTIO_STATUS_FEATURES_OK) ||
	     vd->status & (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_FAILED))) {
		add &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
		virtio_driver_error(vd);
	}
	vd->status |= add;
	if (add & VIRTIO_STATUS_DRIVER_OK)
		virtio_start(vd);
	if (add & VIRTIO_STATUS_FAILED) {
		atomic_store(&vd->live, false);
		io_wake(vm_io(vd->pci.vm));
	}
}

void virtio_set_driver_features(struct virtio_dev *vd, uint32_t half)
{
	if (vd->status & VIRTIO_STATUS_FEATURES_OK || vd->driver_feature_select > 1) {
		if (half)
			virtio_driver_error(vd);
		return;
	}
	if (vd->driver_feature_select)
		vd->features = (vd->features & 0xffffffffu) | (uint64_t)half << 32;
	else
		vd->features = (vd->features & ~0xffffffffull) | half;
}

/* --- queues --- */
struct virtio_queue *virtio_selected(struct virtio_dev *vd)
{
	return vd->queue_select < vd->n_queues ? &vd->queue[vd->queue_select] : NULL;
}

/* The selected queue if it may still be set up: there is one, it is not enabled, the driver does
 * not run yet. */
static struct virtio_queue *virtio_open_queue(struct virtio_dev *vd)
{
	struct virtio_queue *q = virtio_selected(vd);

	if (q && !q->vq.started && !(vd->status & VIRTIO_STATUS_DRIVER_OK))
		return q;
	virtio_driver_error(vd);
	return NULL;
}

void virtio_set_queue_size(struct virtio_dev *vd, uint16_t size)
{
	struct virtio_queue *q = virtio_open_queue(vd);

	if (!q)
		return;
	/* a packed ring may have any (2.8.10.1) */
	if (!size || size > q->vq.max_size ||
	    ((size & (size - 1)) && !virtio_has(vd, VIRTIO_F_RING_PACKED)))
		virtio_driver_error(vd);
	else
		q->vq.size = size;
}

void virtio_set_queue_addr(struct virtio_dev *vd, unsigned int which, bool high, uint32_t half)
{
	struct virtio_queue *q = virtio_open_queue(vd);
	gpa_t *addr;

	if (!q)
		return;
	addr = which == 0 ? &q->vq.desc_gpa : which == 1 ? &q->vq.avail_gpa : &q->vq.used_gpa;
	*addr = high ? (*addr & 0xffffffffu) | (uint64_t)half << 32
		     : (*addr & ~0xffffffffull) | half;
}

void virtio_enable_queue(struct virtio_dev *vd, uint16_t on)
{
	struct virtio_queue *q = virtio_open_queue(vd);

	if (!q)
		return;
	/*
	 * what a queue may do follows from the features, so they are settled first (3.1.1, step 7)
	 */
	if (on != 1 || !(vd->status & VIRTIO_STATUS_FEATURES_OK) ||
	    vq_start(&q->vq, vm_mem(vd->pci.vm), vd->features) < 0)
		virtio_driver_error(vd);
}

void virtio_set_vector(struct virtio_dev *vd, uint16_t *where, uint16_t vector)
{
	/* one that the device does not have reads back as none (4.1.5.1.2.1) */
	__atomic_store_n(where, vector <= vd->n_queues ? vector : VIRTIO_MSI_NO_VECTOR,
			 __ATOMIC_RELAXED);
}
