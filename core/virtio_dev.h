/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio device without its function: status, features, queue set-up and interrupts
 * (virtio_dev.c) behind the modern PCI transport (virtio_pci.c). A device model embeds struct
 * virtio_dev, fills struct virtio_dev_ops and works on the queues from its poller. VIRTIO 1.2,
 * chapters 2 and 3 and section 4.1.
 *
 * Locks: the PCI bus's lock, then `lock`, then those of interrupts. vCPU threads come by the
 * transport, the I/O thread by virtio_lock_io(), once a burst.
 */
#ifndef CORE_VIRTIO_DEV_H
#define CORE_VIRTIO_DEV_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/err.h"
#include "core/io.h"
#include "core/pci.h"
#include "core/vm.h"
#include "core/virtqueue.h"

#define VIRTIO_MAX_QUEUES 64
#define VIRTIO_CONFIG_MAX 64 /* bytes of device configuration */

/* The BAR of the transport: one page each, so that any of them could be mapped or trapped on its
 * own. */
#define VIRTIO_PCI_BAR         0
#define VIRTIO_PCI_MSIX_BAR    2
#define VIRTIO_PCI_BAR_SIZE    0x4000
#define VIRTIO_PCI_COMMON_OFF  0x0000
#define VIRTIO_PCI_ISR_OFF     0x1000
#define VIRTIO_PCI_DEVICE_OFF  0x2000
#define VIRTIO_PCI_NOTIFY_OFF  0x3000
#define VIRTIO_PCI_NOTIFY_MULT 4

struct virtio_dev;

struct virtio_dev_ops {
	/* The driver set DRIVER_OK: features are settled, the enabled queues are started. Under the
	 * lock. */
	void (*start)(struct virtio_dev *vd);
	/* A started device is reset: its queues are still there, but no chain is to be touched
	 * afterwards. Under the lock. */
	void (*stop)(struct virtio_dev *vd);
	/* Fills the device configuration; bytes not written are 0. Under the lock. */
	void (*config)(struct virtio_dev *vd, uint8_t cfg[VIRTIO_CONFIG_MAX]);
	unsigned int config_size;
	/* The driver wrote `size` bytes of it; what may not be written is virtio_driver_error().
	 * Under the lock. NULL: nothing may. */
	void (*config_write)(struct virtio_dev *vd, unsigned int off, unsigned int size,
			     uint64_t val);
	/* Bus mastering, MSI-X or a queue's vector may have changed. Under the lock. May be NULL.
	 */
	void (*pci_changed)(struct virtio_dev *vd);
	/* Whether vd->features, a subset of what is offered, go together. Under the lock. May be
	 * NULL. */
	bool (*features_ok)(const struct virtio_dev *vd);
};

struct virtio_queue {
	struct virtqueue vq;
	struct virtio_dev *vd;
	uint16_t vector;   /* relaxed atomic accesses: read without the lock when it is raised */
	struct io_fd kick; /* the eventfd of its doorbell; -1 when there is none */
	unsigned int doorbell_len; /* as it is known to KVM; bus's lock */
	bool doorbell;
};

struct virtio_dev {
	struct pci_dev pci; /* first */
	const struct virtio_dev_ops *ops;
	unsigned int n_queues;
	/* queues 0..n_foreign) are worked on by another process, which alone reads their doorbells;
	 * set before virtio_dev_init() */
	unsigned int n_foreign;
	struct virtio_queue queue[VIRTIO_MAX_QUEUES];

	pthread_mutex_t lock; /* everything below and the queues, unless it says otherwise */
	_Atomic unsigned int waiting; /* vCPUs that want the lock: the I/O thread lets them */
	_Atomic bool live; /* DRIVER_OK and neither broken nor given up; written under the lock */
	uint64_t offered, features;
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select, config_vector;
	uint8_t status, generation, isr;
	uint64_t raise_queues; /* interrupts that virtio_unlock() raises: bit i for queue i */
	bool raise_config;
	unsigned int window; /* offset of the configuration access capability */

	struct err_limit limit;
	_Atomic uint64_t n_kicks, n_trapped_kicks, n_interrupts, n_driver_errors, n_broken;
};

/* virtio_has - a feature (its number) was negotiated. */
static inline bool virtio_has(const struct virtio_dev *vd, unsigned int bit)
{
	return vd->features & VIRTIO_BIT(bit);
}

/*
 * virtio_dev_init - *vd all zero before, but n_foreign. `id` is the virtio device type, `offered`
 * its features besides those of the transport and the ring. n_queues <= VIRTIO_MAX_QUEUES, max_size
 * a power of two. Makes the doorbells' eventfds and the PCI function. Negative errno after a
 * message; virtio_dev_destroy() is due in any case.
 */
int virtio_dev_init(struct virtio_dev *vd, struct vm *vm, const char *name, unsigned int id,
		    uint32_t class_code, uint64_t offered, unsigned int n_queues, uint16_t max_size,
		    const struct virtio_dev_ops *ops);
void virtio_dev_destroy(struct virtio_dev *vd);

/* virtio_lock - for vCPU threads. virtio_lock_io - for the I/O thread: false when a vCPU waits (try
 * again in the next round). */
void virtio_lock(struct virtio_dev *vd);
bool virtio_lock_io(struct virtio_dev *vd);
/* virtio_unlock - and raises the interrupts that were asked for. */
void virtio_unlock(struct virtio_dev *vd);

/* All under the lock. */
void virtio_raise_queue(struct virtio_dev *vd, unsigned int q);
/* virtio_config_changed - new generation, and a configuration interrupt when the driver runs. */
void virtio_config_changed(struct virtio_dev *vd);
/* virtio_broken - the driver broke the rules: says so (rate limited), stops the whole device, asks
 * for a reset (2.1.1). */
void virtio_broken(struct virtio_dev *vd, unsigned int q, const char *why);
/* virtio_driver_error - a write that the state does not allow: it is ignored and counted. */
void virtio_driver_error(struct virtio_dev *vd);

/* What the transport translates register accesses to (virtio_dev.c). Under the lock. */
void virtio_set_status(struct virtio_dev *vd, uint8_t status);
void virtio_set_driver_features(struct virtio_dev *vd, uint32_t half);
void virtio_set_queue_size(struct virtio_dev *vd, uint16_t size);
void virtio_set_queue_addr(struct virtio_dev *vd, unsigned int which, bool high,
			   uint32_t half); /* 0 desc, 1 driver, 2 device */
void virtio_enable_queue(struct virtio_dev *vd, uint16_t on);
void virtio_set_vector(struct virtio_dev *vd, uint16_t *where, uint16_t vector);
/* virtio_selected - the queue that queue_select names, or NULL. */
struct virtio_queue *virtio_selected(struct virtio_dev *vd);
uint8_t virtio_take_isr(struct virtio_dev *vd);

/* The transport (virtio_pci.c). */
int virtio_pci_init(struct virtio_dev *vd, struct vm *vm, const char *name, unsigned int id,
		    uint32_t class_code);
void virtio_pci_remove(struct virtio_dev *vd); /* off the bus, doorbells gone; idempotent */

#endif
