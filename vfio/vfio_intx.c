/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * INTx of a passed-through device, without user space: the physical interrupt signals an eventfd
 * and is masked by VFIO at once; the eventfd asserts the guest's IOAPIC input; when the guest is
 * done with it (EOI) KVM lowers the input and signals the second eventfd, with which VFIO unmasks.
 * If the device still asserts it, it comes again: so it is level-triggered, as PCI 3.0 section
 * 2.2.6 has it. Called by vfio_dev.c under the bus's lock.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/err.h"
#include "vfio_priv.h"

#define CFG_INT_PIN 0x3d

void vfio_eventfd_drain(int fd)
{
	uint64_t n;

	if (fd >= 0 && read(fd, &n, sizeof(n)) < 0)
		return; /* empty already */
}

void vfio_intx_init(struct vfio_dev *v)
{
	struct vfio_intx *x = &v->intx;

	*x = (struct vfio_intx){ .fd = -1, .unmask_fd = -1 };
	x->present = v->layout.intx_pin && vfio_irq_info(v, VFIO_PCI_INTX_IRQ_INDEX, NULL) > 0;
	if (!x->present)
		v->pci.cfg[CFG_INT_PIN] = 0;
}

static int intx_fds(struct vfio_intx *x)
{
	if (x->fd < 0)
		x->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (x->unmask_fd < 0)
		x->unmask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (x->fd < 0 || x->unmask_fd < 0)
		return -errno;
	/* from an earlier use: the level is asked for anew */
	vfio_eventfd_drain(x->fd);
	vfio_eventfd_drain(x->unmask_fd);
	return 0;
}

static int intx_on(struct vfio_dev *v)
{
	struct vfio_intx *x = &v->intx;
	int gsi = pci_intx_gsi(&v->pci), ret = intx_fds(x);
	int32_t fd = x->fd, unmask_fd = x->unmask_fd;

	if (ret == 0)
		ret = vm_irqfd(v->pci.vm, gsi, x->fd, x->unmask_fd, true);
	if (ret < 0)
		return ret;
	ret = vfio_irq_fds(v, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_TRIGGER, 0, 1, &fd);
	if (ret == 0) {
		/* an EOI between the two has left its mark in the eventfd */
		ret = vfio_irq_fds(v, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_UNMASK, 0, 1, &unmask_fd);
		if (ret != 0)
			vfio_irq_fds(v, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_TRIGGER, 0, 0, NULL);
	}
	if (ret != 0)
		vm_irqfd(v->pci.vm, gsi, x->fd, -1, false);
	return ret > 0 ? -EIO : ret;
}

void vfio_intx_use(struct vfio_dev *v)
{
	struct vfio_intx *x = &v->intx;
	int ret;

	if (!x->present || x->on)
		return;
	ret = intx_on(v);
	x->on = ret == 0;
	if (ret == 0)
		return;
	x->present = false; /* said once, not tried at each write of the guest */
	atomic_fetch_add_explicit(&v->n.irq_errors, 1, memory_order_relaxed);
	err_say("passing %s through: its INTx: %s; the guest gets no such interrupt, MSI or MSI-X "
		"may work%s",
		v->host, strerror(-ret),
		ret == -EBUSY ? " (another driver of the host has the interrupt line and the "
				"device cannot share it)"
			      : "");
}

bool vfio_intx_off(struct vfio_dev *v)
{
	struct vfio_intx *x = &v->intx;

	if (!x->on)
		return false;
	vfio_irq_fds(v, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_TRIGGER, 0, 0, NULL);
	/* KVM lowers the input */
	vm_irqfd(v->pci.vm, pci_intx_gsi(&v->pci), x->fd, -1, false);
	x->on = false;
	return true;
}

void vfio_intx_free(struct vfio_dev *v)
{
	vfio_intx_off(v);
	if (v->intx.fd >= 0)
		close(v->intx.fd);
	if (v->intx.unmask_fd >= 0)
		close(v->intx.unmask_fd);
	v->intx.fd = v->intx.unmask_fd = -1;
}
