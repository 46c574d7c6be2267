/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI of a passed-through device (PCI 3.0 section 6.8.1): the capability is emulated where the
 * physical one lies and in the same form. Each message has an eventfd, which the kernel signals and
 * KVM turns into the guest's message; a message that the guest masks stays in its eventfd, which so
 * is the pending bit. Called by vfio_dev.c under the bus's lock, after each write of the guest to
 * the capability.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/err.h"
#include "vfio_priv.h"

enum {
	MSI_CONTROL = 2,
	CONTROL_ENABLE = 1 << 0,
	CONTROL_MMC_SHIFT = 1, /* messages it could have: 1 << this */
	CONTROL_MME_SHIFT = 4, /* messages that the guest allows: 1 << this */
	CONTROL_64 = 1 << 7,
	CONTROL_MASK = 1 << 8,
	MSI_ADDR = 4,
};

static uint16_t cfg16(const struct pci_dev *d, unsigned int off)
{
	return (uint16_t)(d->cfg[off] | d->cfg[off + 1] << 8);
}

static uint32_t cfg32(const struct pci_dev *d, unsigned int off)
{
	return cfg16(d, off) | (uint32_t)cfg16(d, off + 2) << 16;
}

unsigned int vfio_msi_len(uint16_t control)
{
	return control & CONTROL_MASK ? (control & CONTROL_64 ? 24 : 20)
				      : (control & CONTROL_64 ? 14 : 10);
}

void vfio_msi_config(struct pci_dev *d, unsigned int off, uint16_t control)
{
	unsigned int data = off + (control & CONTROL_64 ? 12 : 8), mmc = control >> 1 & 7;

	if (mmc > 5)
		mmc = 5;
	control &= CONTROL_64 | CONTROL_MASK;
	pci_set16(d, off + MSI_CONTROL, (uint16_t)(control | mmc << CONTROL_MMC_SHIFT),
		  CONTROL_ENABLE | 7 << CONTROL_MME_SHIFT);
	pci_set32(d, off + MSI_ADDR, 0, ~3u);
	if (control & CONTROL_64)
		pci_set32(d, off + MSI_ADDR + 4, 0, ~0u);
	pci_set16(d, data, 0, 0xffff);
	if (control & CONTROL_MASK)
		pci_set32(d, data + 4, 0, mmc == 5 ? ~0u : (1u << (1u << mmc)) - 1);
}

/* --- what the guest asks for ---------------------------------------------- */

static unsigned int msi_data_off(const struct vfio_dev *v)
{
	unsigned int off = v->layout.msi;

	return off + (cfg16(&v->pci, off + MSI_CONTROL) & CONTROL_64 ? 12 : 8);
}

static bool msi_can_mask(const struct vfio_dev *v)
{
	return cfg16(&v->pci, v->layout.msi + MSI_CONTROL) & CONTROL_MASK;
}

bool vfio_msi_wanted(const struct vfio_dev *v)
{
	return v->layout.msi && cfg16(&v->pci, v->layout.msi + MSI_CONTROL) & CONTROL_ENABLE;
}

static unsigned int msi_count(const struct vfio_dev *v)
{
	uint16_t control = cfg16(&v->pci, v->layout.msi + MSI_CONTROL);
	unsigned int mmc = control >> CONTROL_MMC_SHIFT & 7, mme = control >> CONTROL_MME_SHIFT & 7;

	return 1u << (mme < mmc ? mme : mmc);
}

/* --- messages ------------------------------------------------------------- */

static int msi_vector_make(struct vfio_dev *v, struct vfio_msi_vector *m)
{
	if (m->gsi <= 0) { /* input 0 is no message's */
		m->gsi = vm_gsi_alloc(v->pci.vm);
		if (m->gsi < 0)
			return m->gsi;
	}
	if (!m->has_fd) {
		m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (m->fd < 0)
			return -errno;
		m->has_fd = true;
	}
	return 0;
}

/* Brings message i to the state that address, data and mask ask for. */
static int msi_vector_update(struct vfio_dev *v, unsigned int i, unsigned int count)
{
	struct vfio_msi_vector *m = &v->msi.v[i];
	unsigned int off = v->layout.msi, data_off = msi_data_off(v);
	uint64_t addr = cfg32(&v->pci, off + MSI_ADDR);
	uint32_t data = (cfg16(&v->pci, data_off) & ~(count - 1)) | i;
	/* an address outside the local APICs' window is no interrupt */
	bool want = (addr & 0xfff00003) == 0xfee00000;
	int ret;

	if (data_off == off + 12)
		addr |= (uint64_t)cfg32(&v->pci, off + MSI_ADDR + 4) << 32;
	if (msi_can_mask(v) && cfg32(&v->pci, data_off + 4) >> i & 1)
		want = false;
	if (want && (!m->routed || m->addr != addr || m->data != data)) {
		ret = vm_gsi_msi(v->pci.vm, m->gsi, addr, data);
		if (ret < 0)
			return ret;
		m->routed = true;
		m->addr = addr;
		m->data = data;
	}
	if (want == m->attached)
		return 0;
	ret = vm_irqfd(v->pci.vm, m->gsi, m->fd, -1, want);
	m->attached = want && ret == 0;
	return ret;
}

static int msi_on(struct vfio_dev *v, unsigned int count)
{
	int32_t fds[VFIO_MSI_MAX];
	int ret = 0;

	for (unsigned int i = 0; i < count && ret == 0; i++) {
		ret = msi_vector_make(v, &v->msi.v[i]);
		fds[i] = ret == 0 ? v->msi.v[i].fd : -1;
		if (ret == 0)
			ret = msi_vector_update(v, i, count);
	}
	if (ret == 0)
		ret = vfio_irq_fds(v, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_TRIGGER, 0, count, fds);
	if (ret > 0) {
		/* the host has fewer: the device puts the others' causes on those it has */
		err_say("passing %s through: the guest wants %u MSI messages and the host has %d "
			"for it; some of its interrupts may get lost, MSI-X has no such limit",
			v->host, count, ret);
		ret = vfio_irq_fds(v, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_TRIGGER, 0,
				   (unsigned int)ret < count ? (unsigned int)ret : 1, fds);
	}
	return ret > 0 ? -ENOSPC : ret;
}

static void msi_detach(struct vfio_dev *v)
{
	for (unsigned int i = 0; i < VFIO_MSI_MAX; i++) {
		struct vfio_msi_vector *m = &v->msi.v[i];

		if (m->attached)
			vm_irqfd(v->pci.vm, m->gsi, m->fd, -1, false);
		m->attached = false;
		/* what was pending ends with the mode: the device still has its cause */
		if (m->has_fd)
			vfio_eventfd_drain(m->fd);
	}
}

void vfio_msi_use(struct vfio_dev *v)
{
	unsigned int count = msi_count(v);
	int ret = 0;

	if (v->msi.n == count) {
		for (unsigned int i = 0; i < count && ret == 0; i++)
			ret = msi_vector_update(v, i, count);
	} else {
		vfio_msi_off(v);
		ret = msi_on(v, count);
		v->msi.n = count; /* also when it failed: not tried at each write */
	}
	if (ret == 0)
		return;
	if (!atomic_fetch_add_explicit(&v->n.irq_errors, 1, memory_order_relaxed))
		err_say("passing %s through: enabling %u MSI messages: %s; the host may be short "
			"of interrupt vectors",
			v->host, count, strerror(-ret));
}

bool vfio_msi_off(struct vfio_dev *v)
{
	if (!v->msi.n)
		return false;
	vfio_irq_fds(v, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_TRIGGER, 0, 0, NULL);
	msi_detach(v);
	v->msi.n = 0;
	return true;
}

bool vfio_msi_pending(const struct vfio_dev *v, unsigned int *off, uint32_t *bits)
{
	if (!v->layout.msi || !msi_can_mask(v))
		return false;
	*off = msi_data_off(v) + 8;
	*bits = 0;
	for (unsigned int i = 0; i < v->msi.n; i++) {
		const struct vfio_msi_vector *m = &v->msi.v[i];
		struct pollfd p = { .fd = m->fd, .events = POLLIN };

		if (m->has_fd && !m->attached && poll(&p, 1, 0) == 1)
			*bits |= 1u << i;
	}
	return true;
}

void vfio_msi_signal(struct vfio_dev *v)
{
	uint64_t one = 1;

	for (unsigned int i = 0; i < v->msi.n; i++)
		if (v->msi.v[i].has_fd && write(v->msi.v[i].fd, &one, sizeof(one)) < 0)
			continue; /* full: it is pending already */
}

void vfio_msi_free(struct vfio_dev *v)
{
	vfio_msi_off(v);
	for (unsigned int i = 0; i < VFIO_MSI_MAX; i++) {
		struct vfio_msi_vector *m = &v->msi.v[i];

		if (m->gsi > 0)
			vm_gsi_free(v->pci.vm, m->gsi);
		if (m->has_fd)
			close(m->fd);
		*m = (struct vfio_msi_vector){ 0 };
	}
}
