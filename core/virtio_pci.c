/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The modern PCI transport (see virtio_dev.h): vendor capabilities, the BAR with the four register
 * groups, the window in configuration space, doorbells. Called by core's PCI bus; calls
 * virtio_dev.c. VIRTIO 1.2 section 4.1. Left out: the legacy and transitional interfaces,
 * NOTIFICATION_DATA, RING_RESET.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/virtio_dev.h"

#define MASK(size) ((size) >= 8 ? ~0ull : (1ull << (8 * (size))) - 1)
/* Without the two fields of 1.2, whose features are not offered. */
#define COMMON_SIZE VIRTIO_PCI_COMMON_Q_NDATA

enum {
	CFG_INT_PIN = 0x3d,
	WINDOW_BAR = 4,
	WINDOW_OFFSET = 8,
	WINDOW_LENGTH = 12,
	WINDOW_DATA = 16
};

_Static_assert(offsetof(struct virtio_pci_cfg_cap, pci_cfg_data) == WINDOW_DATA, "window");
_Static_assert(offsetof(struct virtio_pci_cap, bar) == WINDOW_BAR &&
		       offsetof(struct virtio_pci_cap, length) == WINDOW_LENGTH,
	       "window");

static struct virtio_dev *vd_of(struct pci_dev *d)
{
	return (struct virtio_dev *)d; /* its first member */
}

/* --- common configuration, 4.1.4.3 --- */
/* All registers as they read now; the caller picks the bytes. */
static void common_image(struct virtio_dev *vd, struct virtio_pci_common_cfg *c)
{
	const struct virtio_queue *q = virtio_selected(vd);

	*c = (struct virtio_pci_common_cfg){
		.device_feature_select = vd->device_feature_select,
		.driver_feature_select = vd->driver_feature_select,
		.config_msix_vector = vd->config_vector,
		.num_queues = (uint16_t)vd->n_queues,
		.device_status = vd->status,
		.config_generation = vd->generation,
		.queue_select = vd->queue_select,
		.queue_msix_vector = VIRTIO_MSI_NO_VECTOR,
	};
	if (vd->device_feature_select < 2)
		c->device_feature = (uint32_t)(vd->offered >> (32 * vd->device_feature_select));
	if (vd->driver_feature_select < 2)
		c->driver_feature = (uint32_t)(vd->features >> (32 * vd->driver_feature_select));
	if (!q)
		return;
	c->queue_size = q->vq.size;
	c->queue_msix_vector = q->vector;
	c->queue_enable = q->vq.started;
	c->queue_notify_off = vd->queue_select;
	c->queue_desc = q->vq.desc_gpa;
	c->queue_driver = q->vq.avail_gpa;
	c->queue_device = q->vq.used_gpa;
}

static uint64_t common_read(struct virtio_dev *vd, unsigned int off, unsigned int size)
{
	struct virtio_pci_common_cfg c;
	uint64_t val = 0;

	if (off + size > COMMON_SIZE)
		return 0;
	common_image(vd, &c);
	memcpy(&val, (const char *)&c + off, size);
	return val;
}

static void common_write16(struct virtio_dev *vd, unsigned int off, uint16_t val)
{
	struct virtio_queue *q = virtio_selected(vd);

	switch (off) {
	case VIRTIO_PCI_COMMON_MSIX: virtio_set_vector(vd, &vd->config_vector, val); break;
	case VIRTIO_PCI_COMMON_Q_SELECT: vd->queue_select = val; break;
	case VIRTIO_PCI_COMMON_Q_SIZE: virtio_set_queue_size(vd, val); break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		if (q)
			virtio_set_vector(vd, &q->vector, val);
		if (q && vd->ops->pci_changed)
			vd->ops->pci_changed(vd);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE: virtio_enable_queue(vd, val); break;
	default: virtio_driver_error(vd);
	}
}

static void common_write32(struct virtio_dev *vd, unsigned int off, uint32_t val)
{
	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT: vd->device_feature_select = val; break;
	case VIRTIO_PCI_COMMON_GFSELECT: vd->driver_feature_select = val; break;
	case VIRTIO_PCI_COMMON_GF: virtio_set_driver_features(vd, val); break;
	case VIRTIO_PCI_COMMON_Q_DESCLO ... VIRTIO_PCI_COMMON_Q_USEDHI:
		if (off % 4 == 0) {
			virtio_set_queue_addr(vd, (off - VIRTIO_PCI_COMMON_Q_DESCLO) / 8, off & 4,
					      val);
			break;
		}
		/* fall through */
	default: virtio_driver_error(vd);
	}
}

/* Each field is written in its own width, the addresses in halves (4.1.3.1); anything else is
 * ignored. */
static void common_write(struct virtio_dev *vd, unsigned int off, unsigned int size, uint64_t val)
{
	if (off == VIRTIO_PCI_COMMON_STATUS && size == 1) {
		virtio_set_status(vd, (uint8_t)val);
	} else if (size == 2) {
		common_write16(vd, off, (uint16_t)val);
	} else if (size == 4) {
		common_write32(vd, off, (uint32_t)val);
	} else if (size == 8 && off >= VIRTIO_PCI_COMMON_Q_DESCLO) {
		common_write32(vd, off, (uint32_t)val);
		common_write32(vd, off + 4, (uint32_t)(val >> 32));
	} else {
		virtio_driver_error(vd);
	}
}

/* --- the BAR --- */
static uint64_t device_read(struct virtio_dev *vd, unsigned int off, unsigned int size)
{
	uint8_t cfg[VIRTIO_CONFIG_MAX] = { 0 };
	uint64_t val = 0;

	if (off + size > vd->ops->config_size)
		return 0;
	vd->ops->config(vd, cfg);
	memcpy(&val, cfg + off, size);
	return val;
}

static uint64_t bar_read(void *opaque, uint64_t off, unsigned int size)
{
	struct virtio_dev *vd = opaque;
	unsigned int reg = (unsigned int)off & 0xfff;
	uint64_t val = 0;

	virtio_lock(vd);
	switch (off & ~0xfffull) {
	case VIRTIO_PCI_COMMON_OFF: val = common_read(vd, reg, size); break;
	case VIRTIO_PCI_ISR_OFF: val = reg == 0 ? virtio_take_isr(vd) : 0; break;
	case VIRTIO_PCI_DEVICE_OFF: val = device_read(vd, reg, size); break;
	}
	virtio_unlock(vd);
	return val;
}

/* A doorbell that KVM does not catch: no ioeventfd, or another width. The value is the queue; the
 * place does not matter. */
static void notify_write(struct virtio_dev *vd, uint64_t val)
{
	const uint64_t one = 1;

	if (val >= vd->n_queues) {
		virtio_driver_error(vd);
		return;
	}
	atomic_fetch_add_explicit(&vd->n_trapped_kicks, 1, memory_order_relaxed);
	if (val >= vd->n_foreign)
		io_wake(vm_io(vd->pci.vm));
	else if (write(vd->queue[val].kick.fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is signalled, which is what is wanted */
}

static void bar_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	struct virtio_dev *vd = opaque;

	val &= MASK(size);
	if (off >= VIRTIO_PCI_NOTIFY_OFF) {
		notify_write(vd, val);
		return;
	}
	virtio_lock(vd);
	if (off < VIRTIO_PCI_ISR_OFF)
		common_write(vd, (unsigned int)off, size, val);
	else if (off >= VIRTIO_PCI_DEVICE_OFF && vd->ops->config_write)
		vd->ops->config_write(vd, (unsigned int)off & 0xfff, size, val);
	else
		virtio_driver_error(vd); /* nothing in ISR can be written */
	virtio_unlock(vd);
}

static const struct bus_ops bar_ops = { .read = bar_read, .write = bar_write };

/* The BAR came to or went from `addr`: the doorbells move along. Under the bus's lock. */
static int bar_map(struct pci_dev *d, unsigned int idx, uint64_t addr, bool on)
{
	struct virtio_dev *vd = vd_of(d);

	if (idx != VIRTIO_PCI_BAR)
		return 0;
	for (unsigned int i = 0; i < vd->n_queues; i++) {
		struct virtio_queue *q = &vd->queue[i];
		uint64_t bell = addr + VIRTIO_PCI_NOTIFY_OFF + VIRTIO_PCI_NOTIFY_MULT * i;

		if (!on && q->doorbell)
			vm_ioeventfd(d->vm, bell, q->doorbell_len, q->kick.fd, false);
		q->doorbell = false;
		if (!on || q->kick.fd < 0)
			continue;
		/* without either the write comes to notify_write(): slower, not wrong */
		q->doorbell_len = 2;
		if (vm_ioeventfd(d->vm, bell, q->doorbell_len, q->kick.fd, true) < 0) {
			q->doorbell_len = 0;
			if (vm_ioeventfd(d->vm, bell, q->doorbell_len, q->kick.fd, true) < 0)
				continue;
		}
		q->doorbell = true;
	}
	return 0;
}

/* --- the window in configuration space, 4.1.4.9 --- */
/* Whether the window points at something that can be accessed; gives offset and length. */
static bool window_target(const struct virtio_dev *vd, uint32_t *off, uint32_t *len)
{
	const uint8_t *cap = vd->pci.cfg + vd->window;

	memcpy(off, cap + WINDOW_OFFSET, sizeof(*off));
	memcpy(len, cap + WINDOW_LENGTH, sizeof(*len));
	return cap[WINDOW_BAR] == VIRTIO_PCI_BAR && (*len == 1 || *len == 2 || *len == 4) &&
	       *off % *len == 0 && *off < VIRTIO_PCI_BAR_SIZE;
}

static uint32_t cfg_read(struct pci_dev *d, unsigned int off, unsigned int size)
{
	struct virtio_dev *vd = vd_of(d);
	uint32_t target, len, val;

	if (vd->window && off >= vd->window + WINDOW_DATA && off < vd->window + WINDOW_DATA + 4 &&
	    window_target(vd, &target, &len)) {
		val = (uint32_t)bar_read(vd, target, len);
		memcpy(d->cfg + vd->window + WINDOW_DATA, &val, sizeof(val));
	}
	return pci_cfg_read(d, off, size);
}

static void pci_changed(struct virtio_dev *vd)
{
	if (!vd->ops->pci_changed)
		return;
	virtio_lock(vd);
	vd->ops->pci_changed(vd);
	virtio_unlock(vd);
}

static void cfg_write(struct pci_dev *d, unsigned int off, unsigned int size, uint32_t val)
{
	struct virtio_dev *vd = vd_of(d);
	bool msix = pci_msix_enabled(d);
	uint32_t target, len;

	pci_cfg_write(d, off, size, val);
	if (msix != pci_msix_enabled(d))
		pci_changed(vd);
	if (vd->window && off == vd->window + WINDOW_DATA && window_target(vd, &target, &len) &&
	    size >= len)
		bar_write(vd, target, len, val);
}

static void command_changed(struct pci_dev *d, uint16_t old, uint16_t now)
{
	io_wake(vm_io(d->vm)); /* bus mastering may be on now */
	pci_changed(vd_of(d));
}

static const struct pci_dev_ops pci_ops = {
	.cfg_read = cfg_read,
	.cfg_write = cfg_write,
	.bar_map = bar_map,
	.command_changed = command_changed,
};

/* --- life --- */
/* One vendor capability of `len` bytes that shows [offset, offset + length) of the BAR. Gives its
 * place or -ENOSPC. */
static int add_cap(struct pci_dev *d, uint8_t type, unsigned int len, uint32_t offset,
		   uint32_t length)
{
	int at = pci_add_cap(d, VIRTIO_PCI_CAP_VNDR, len);

	if (at < 0)
		return at;
	d->cfg[at + 2] = (uint8_t)len;
	d->cfg[at + 3] = type;
	d->cfg[at + WINDOW_BAR] = VIRTIO_PCI_BAR;
	pci_set32(d, (unsigned int)at + WINDOW_OFFSET, offset, 0);
	pci_set32(d, (unsigned int)at + WINDOW_LENGTH, length, 0);
	return at;
}

static int add_caps(struct virtio_dev *vd)
{
	struct pci_dev *d = &vd->pci;
	const unsigned int len = sizeof(struct virtio_pci_cap);
	int notify, window;

	if (add_cap(d, VIRTIO_PCI_CAP_COMMON_CFG, len, VIRTIO_PCI_COMMON_OFF, COMMON_SIZE) < 0 ||
	    add_cap(d, VIRTIO_PCI_CAP_ISR_CFG, len, VIRTIO_PCI_ISR_OFF, 1) < 0 ||
	    add_cap(d, VIRTIO_PCI_CAP_DEVICE_CFG, len, VIRTIO_PCI_DEVICE_OFF,
		    vd->ops->config_size) < 0)
		return -ENOSPC;
	notify = add_cap(d, VIRTIO_PCI_CAP_NOTIFY_CFG, sizeof(struct virtio_pci_notify_cap),
			 VIRTIO_PCI_NOTIFY_OFF, VIRTIO_PCI_NOTIFY_MULT * vd->n_queues);
	window = add_cap(d, VIRTIO_PCI_CAP_PCI_CFG, sizeof(struct virtio_pci_cfg_cap), 0, 0);
	if (notify < 0 || window < 0)
		return -ENOSPC;
	pci_set32(d, (unsigned int)notify + 16, VIRTIO_PCI_NOTIFY_MULT, 0);
	vd->window = (unsigned int)window;
	d->wmask[window + WINDOW_BAR] = 0xff;
	memset(d->wmask + window + WINDOW_OFFSET, 0xff,
	       sizeof(struct virtio_pci_cfg_cap) - WINDOW_OFFSET);
	return 0;
}

int virtio_pci_init(struct virtio_dev *vd, struct vm *vm, const char *name, unsigned int id,
		    uint32_t class_code)
{
	const struct pci_id ids = {
		.vendor = VIRTIO_PCI_VENDOR,
		.device = (uint16_t)(VIRTIO_PCI_DEVICE_BASE + id),
		.subsys_vendor = VIRTIO_PCI_VENDOR,
		.subsys = (uint16_t)(VIRTIO_PCI_DEVICE_BASE + id),
		.class_code = class_code,
		.revision = VIRTIO_PCI_REVISION,
	};
	struct pci_dev *d = &vd->pci;
	int ret;

	pci_dev_init(d, vm, name, &ids, &pci_ops);
	d->cfg[CFG_INT_PIN] = 1;
	ret = pci_add_bar(d, VIRTIO_PCI_BAR, PCI_BAR_MMIO, VIRTIO_PCI_BAR_SIZE, true, false,
			  &bar_ops, vd);
	if (ret == 0)
		ret = pci_add_msix(d, 0, vd->n_queues + 1, VIRTIO_PCI_MSIX_BAR, 0, 0, true, NULL);
	if (ret == 0)
		ret = add_caps(vd);
	return ret < 0 ? err_ret(ret,
				 "%s: making the PCI function: %s; give the guest fewer devices",
				 name, strerror(-ret))
		       : 0;
}

void virtio_pci_remove(struct virtio_dev *vd)
{
	if (vd->pci.vm)
		pci_unregister(&vd->pci);
}
