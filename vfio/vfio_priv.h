/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the device "vfio" of the monitor: config space policy, BARs, interrupts, and what
 * all passed-through devices of a guest share. The pure parts (policy, splitting a BAR, the
 * interrupt range) take plain data, so that a unit test can drive them.
 */
#ifndef VFIO_VFIO_PRIV_H
#define VFIO_VFIO_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/pci.h"

#define VFIO_PAGE 4096ull

/* --- config space policy (vfio_config.c) ---------------------------------- */
enum vfio_cap_action {
	CAP_HIDE,  /* not in the chain, its bytes read 0 */
	CAP_FIXED, /* as it was at the start; writes are dropped */
	CAP_LIVE,  /* read from the device; writes are dropped */
	CAP_PM,    /* D0 and D3hot in name only, no PME */
	CAP_EXP,   /* as an integrated endpoint: no link, control bits without effect, FLR if the
		      device can be reset */
	CAP_MSIX,  /* emulated by core, at the physical place */
};

struct vfio_cap_rule {
	uint16_t id;
	uint8_t action; /* enum vfio_cap_action */
	uint8_t len;    /* bytes; 0: the capability itself tells */
	const char *name;
};

/* vfio_cap_rule - what becomes of a capability (extended: of the chain at 0x100); never NULL, an
 * unknown one is hidden. */
const struct vfio_cap_rule *vfio_cap_rule(bool extended, uint16_t id);

struct vfio_layout {
	uint8_t live[PCI_CFG_SIZE / 8]; /* bit n: byte n is read from the device */
	unsigned int exp;               /* offset of the PCI Express capability, 0: none */
	unsigned int msix;              /* offset of the MSI-X capability, 0: none */
	unsigned int n_vectors;
	unsigned int table_bar, pba_bar;
	uint32_t table_off, pba_off;
	unsigned int n_hidden; /* capabilities that the guest does not see */
};

/* vfio_config_id - the ids of a physical config space of at least 64 bytes. */
void vfio_config_id(const uint8_t *phys, struct pci_id *id);
/*
 * vfio_config_build - fills d->cfg and d->wmask (pci_init() has been called) with what the guest
 * may see of `phys`, size 256 or 4096 bytes, and *l. BARs and the MSI-X capability are left to the
 * caller. -EINVAL for a header type other than 0 or a capability chain that is broken; no message.
 */
int vfio_config_build(struct pci_dev *d, const uint8_t *phys, size_t size, bool can_reset,
		      struct vfio_layout *l);

/* --- splitting a BAR (vfio_bar_split.c) ----------------------------------- */
struct vfio_span {
	uint64_t off, size;
};

struct vfio_area {
	uint64_t off, size;
	bool mapped;   /* shown in the guest; otherwise trapped */
	bool mappable; /* trapped though the kernel would map it: reached by load and store */
};

#define VFIO_MAX_SPANS 32
#define VFIO_MAX_AREAS (2 * VFIO_MAX_SPANS + 3)

/*
 * vfio_bar_split - cuts a BAR of `size` bytes into areas, in ascending order and without a gap:
 * mapped where one of the n spans allows it and the trapped span (the MSI-X table; size 0: none)
 * does not touch the page. A BAR below a page is trapped whole. Gives the number of areas; -EINVAL
 * for a span outside the BAR, -E2BIG for more than VFIO_MAX_SPANS.
 */
int vfio_bar_split(uint64_t size, const struct vfio_span *spans, size_t n, struct vfio_span trap,
		   struct vfio_area out[VFIO_MAX_AREAS]);

/* --- MSI-X vectors of the device (vfio_irq.c) ----------------------------- */
/*
 * Sets triggers [start, start+count) to fds (-1: none); fds NULL: MSI-X off. 0, a negative errno,
 * or the number of vectors there are when they are fewer. No message.
 */
typedef int vfio_irq_set_fn(void *opaque, unsigned int start, unsigned int count,
			    const int32_t *fds);

struct vfio_irq {
	pthread_mutex_t lock;
	vfio_irq_set_fn *set;
	void *opaque;
	unsigned int n;     /* vectors of the device */
	bool dynamic;       /* the kernel can add vectors to a range that is enabled */
	unsigned int n_set; /* range that is enabled in the kernel: [0, n_set) */
	int32_t *fd;        /* n; -1: no trigger */
	uint64_t n_errors;
};

int vfio_irq_init(struct vfio_irq *q, unsigned int n, bool dynamic, vfio_irq_set_fn *set,
		  void *opaque);
void vfio_irq_free(struct vfio_irq *q); /* vectors are off; accepts a zeroed struct */
/*
 * vfio_irq_use - vector v triggers fd from now on. Stays so while the guest masks it: the event
 * waits in the eventfd. When the whole range had to be set anew, every trigger is signalled once,
 * since an interrupt may have been lost meanwhile. Negative errno, no message.
 */
int vfio_irq_use(struct vfio_irq *q, unsigned int v, int fd);
void vfio_irq_off(struct vfio_irq *q);
/* vfio_irq_signal - every trigger once: an interrupt may have been lost. */
void vfio_irq_signal(struct vfio_irq *q);
unsigned int vfio_irq_count(struct vfio_irq *q); /* vectors that have a trigger */

/* --- what the devices of a guest share (vfio_shared.c) -------------------- */
struct vfio_shared;

/*
 * vfio_shared_get - the guest's DMA mapping; the first call makes it out of `container`, which is
 * taken in any case. Negative errno after a message. vfio_shared_put() for each get.
 */
int vfio_shared_get(struct vm *vm, int container, struct vfio_shared **out);
void vfio_shared_put(struct vm *vm, struct vfio_shared *s); /* accepts NULL */
uint64_t vfio_shared_dma_bytes(const struct vfio_shared *s);
uint64_t vfio_shared_dma_us(const struct vfio_shared *s);

/* --- the device ----------------------------------------------------------- */
struct vfio_dev;

/* One area of a BAR and how the guest reaches it. Owned by the bus's lock, except the counters. */
struct vfio_piece {
	struct vfio_area area;
	struct vfio_dev *v;
	unsigned int bar;
	char *hva;   /* NULL: reached by pread and pwrite */
	int slot;    /* memory slot, -1: not shown */
	bool on_bus; /* trapped and registered */
};

struct vfio_bar {
	uint64_t size;   /* 0: the guest does not see it */
	uint64_t fd_off; /* where the region lies in the device's descriptor */
	char *hva;       /* reservation of `size` bytes of address space, NULL: none */
	unsigned int n_pieces;
	struct vfio_piece piece[VFIO_MAX_AREAS];
};

struct vfio_counters {
	_Atomic uint64_t bar_maps, bar_map_errors, trapped_reads, trapped_writes, config_reads,
		config_writes, resets;
};

/* vfio_bars_create - asks for the regions, cuts them, maps them, adds the BARs to d. Negative errno
 * after a message. */
int vfio_bars_create(struct vfio_dev *v);
void vfio_bars_destroy(struct vfio_dev *v);
/* vfio_bar_map - pci_dev_ops.bar_map of the device. */
int vfio_bar_map(struct pci_dev *d, unsigned int idx, uint64_t addr, bool on);

#include "core/device.h"

struct vfio_dev {
	struct pci_dev pci;
	struct device dev;
	char host[32]; /* for messages */
	int fd, group;
	uint64_t cfg_off; /* config space in fd */
	size_t cfg_size;
	bool can_reset;
	bool registered;
	struct vfio_shared *shared;
	struct vfio_layout layout;
	struct vfio_bar bar[PCI_N_BARS];
	struct vfio_irq irq;
	struct vfio_counters n;
};

/* vfio_region_info - an info structure with its capabilities, freed by the caller. Negative errno,
 * no message. */
struct vfio_region_info;
int vfio_region_get(int fd, unsigned int index, struct vfio_region_info **out);

#endif
