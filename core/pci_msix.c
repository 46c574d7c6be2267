/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X (see pci.h; PCI Local Bus 3.0 section 6.8.2). Each vector has an eventfd for life. While
 * the vector is usable the eventfd is an irqfd of KVM; while it is masked the event stays in the
 * eventfd, which so is the pending bit, and KVM takes it when the irqfd is attached again. A device
 * therefore never asks whether it may raise a vector.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/err.h"
#include "core/pci_priv.h"

enum {
	CAP_MSIX = 0x11,
	CAP_LEN = 12,
	CONTROL_MASK = 1 << 14,
	CONTROL_ENABLE = 1 << 15,
	VECTOR_MASKED = 1
};

struct msix_vector {
	uint32_t entry[4]; /* address low, address high, data, control: as the guest sees it */
	int fd, gsi;       /* -1: not made yet */
	bool usable;       /* attached to KVM */
};

struct pci_msix {
	pthread_mutex_t lock; /* everything here; inside the bus's lock when both are held */
	const struct pci_msix_ops *ops;
	unsigned int cap, n;
	bool enabled, masked;
	struct msix_vector v[];
};

static int vector_fd(struct msix_vector *v)
{
	if (v->fd < 0) {
		v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->fd < 0)
			return -errno;
	}
	return v->fd;
}

static int vector_attach(struct pci_dev *d, struct msix_vector *v)
{
	uint64_t addr = v->entry[0] | (uint64_t)v->entry[1] << 32;
	int ret;

	if (v->gsi < 0)
		v->gsi = vm_gsi_alloc(d->vm);
	if (v->gsi < 0)
		return v->gsi;
	if ((ret = vector_fd(v)) < 0 || (ret = vm_gsi_msi(d->vm, v->gsi, addr, v->entry[2])) < 0)
		return ret;
	return v->usable ? 0 : vm_irqfd(d->vm, v->gsi, v->fd, -1, true);
}

/* Under the lock: brings vector i to the state that its entry and the control word ask for. */
static void vector_update(struct pci_dev *d, unsigned int i)
{
	struct pci_msix *m = d->msix;
	struct msix_vector *v = &m->v[i];
	/* an address outside the local APICs' window is no interrupt: the vector stays unusable */
	bool want = m->enabled && !m->masked && !(v->entry[3] & VECTOR_MASKED) &&
		    (v->entry[0] & 0xfff00003) == 0xfee00000;

	if (want && vector_attach(d, v) < 0)
		want = false;
	if (!want && v->usable)
		vm_irqfd(d->vm, v->gsi, v->fd, -1, false);
	if (want == v->usable)
		return;
	v->usable = want;
	if (m->ops && m->ops->vector)
		m->ops->vector(d, i, want);
}

void pci_msix_control(struct pci_dev *d)
{
	struct pci_msix *m = d->msix;
	uint16_t control = (uint16_t)(d->cfg[m->cap + 2] | d->cfg[m->cap + 3] << 8);
	bool enabled = control & CONTROL_ENABLE, masked = control & CONTROL_MASK;

	pthread_mutex_lock(&m->lock);
	if (enabled != m->enabled || masked != m->masked) {
		m->enabled = enabled;
		m->masked = masked;
		for (unsigned int i = 0; i < m->n; i++)
			vector_update(d, i);
	}
	pthread_mutex_unlock(&m->lock);
}

uint64_t pci_msix_table_read(struct pci_dev *d, uint64_t off, unsigned int size)
{
	struct pci_msix *m = d->msix;
	uint64_t val = 0;

	if (size < 4 || off & 3 || off + size > 16ull * m->n)
		return 0;
	pthread_mutex_lock(&m->lock);
	for (unsigned int i = 0; i < size / 4; i++)
		val |= (uint64_t)m->v[(off + 4 * i) / 16].entry[(off + 4 * i) / 4 % 4] << (32 * i);
	pthread_mutex_unlock(&m->lock);
	return val;
}

void pci_msix_table_write(struct pci_dev *d, uint64_t off, unsigned int size, uint64_t val)
{
	struct pci_msix *m = d->msix;

	if (size < 4 || off & 3 || off + size > 16ull * m->n)
		return;
	pthread_mutex_lock(&m->lock);
	for (unsigned int i = 0; i < size / 4; i++) {
		uint64_t o = off + 4 * i;

		m->v[o / 16].entry[o / 4 % 4] = (uint32_t)(val >> (32 * i)) &
						(o / 4 % 4 == 3 ? (uint32_t)VECTOR_MASKED : ~0u);
		vector_update(d, (unsigned int)(o / 16));
	}
	pthread_mutex_unlock(&m->lock);
}

static bool vector_pending(const struct msix_vector *v)
{
	struct pollfd p = { .fd = v->fd, .events = POLLIN };

	return v->fd >= 0 && !v->usable && poll(&p, 1, 0) == 1;
}

uint64_t pci_msix_pba_read(struct pci_dev *d, uint64_t off, unsigned int size)
{
	struct pci_msix *m = d->msix;
	uint64_t bits = 0;

	if (size < 4 || off & 3)
		return 0;
	pthread_mutex_lock(&m->lock);
	for (unsigned int b = 0; b < size * 8; b++)
		if (off * 8 + b < m->n && vector_pending(&m->v[off * 8 + b]))
			bits |= 1ull << b;
	pthread_mutex_unlock(&m->lock);
	return bits;
}

/* The BAR of its own: table in the first half, PBA in the second. */
static uint64_t own_bar_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pci_dev *d = opaque;
	uint64_t half = (d->cfg[d->msix->cap + 8] & ~7u) | (uint64_t)d->cfg[d->msix->cap + 9] << 8 |
			(uint64_t)d->cfg[d->msix->cap + 10] << 16;

	return off < half ? pci_msix_table_read(d, off, size)
			  : pci_msix_pba_read(d, off - half, size);
}

static void own_bar_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	pci_msix_table_write(opaque, off, size, val); /* beyond the table it is ignored */
}

static const struct bus_ops own_bar_ops = { .read = own_bar_read, .write = own_bar_write };

int pci_add_msix(struct pci_dev *d, unsigned int cap_off, unsigned int n, unsigned int bar,
		 uint32_t table_off, uint32_t pba_off, bool own_bar, const struct pci_msix_ops *ops)
{
	pthread_mutexattr_t attr;
	struct pci_msix *m;
	uint64_t size = 4096;
	int ret, cap;

	if (!n || n > PCI_MSIX_MAX || d->msix || bar >= PCI_N_BARS)
		return -EINVAL;
	if (own_bar) {
		while (size < 16ull * n)
			size *= 2;
		table_off = 0;
		pba_off = (uint32_t)size;
		ret = pci_add_bar(d, bar, PCI_BAR_MMIO, 2 * size, false, false, &own_bar_ops, d);
		if (ret < 0)
			return ret;
	}
	cap = cap_off ? pci_add_cap_at(d, CAP_MSIX, cap_off, CAP_LEN)
		      : pci_add_cap(d, CAP_MSIX, CAP_LEN);
	if (cap < 0)
		return cap;
	m = calloc(1, sizeof(*m) + n * sizeof(m->v[0]));
	if (!m)
		return -ENOMEM;
	/* recursive: ops->vector() asks for the vector's eventfd */
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&m->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	m->ops = ops;
	m->cap = (unsigned int)cap;
	m->n = n;
	for (unsigned int i = 0; i < n; i++) {
		m->v[i].fd = m->v[i].gsi = -1;
		m->v[i].entry[3] = VECTOR_MASKED;
	}
	pci_set16(d, m->cap + 2, (uint16_t)(n - 1), CONTROL_ENABLE | CONTROL_MASK);
	pci_set32(d, m->cap + 4, table_off | bar, 0);
	pci_set32(d, m->cap + 8, pba_off | bar, 0);
	d->msix = m;
	return 0;
}

void pci_msix_free(struct pci_dev *d)
{
	struct pci_msix *m = d->msix;

	if (!m)
		return;
	for (unsigned int i = 0; i < m->n; i++) {
		struct msix_vector *v = &m->v[i];

		if (v->usable)
			vm_irqfd(d->vm, v->gsi, v->fd, -1, false);
		if (v->gsi >= 0)
			vm_gsi_free(d->vm, v->gsi);
		if (v->fd >= 0)
			close(v->fd);
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
	d->msix = NULL;
}

bool pci_msix_enabled(const struct pci_dev *d)
{
	return d->msix && __atomic_load_n(&d->msix->enabled, __ATOMIC_RELAXED);
}

int pci_msix_fd(struct pci_dev *d, unsigned int i)
{
	struct pci_msix *m = d->msix;
	int fd;

	if (!m || i >= m->n)
		return -EINVAL;
	pthread_mutex_lock(&m->lock);
	fd = vector_fd(&m->v[i]);
	pthread_mutex_unlock(&m->lock);
	return fd;
}

void pci_msix_raise(struct pci_dev *d, unsigned int i)
{
	int fd = pci_msix_fd(d, i);
	uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* full: it is pending, which is what is wanted */
}
