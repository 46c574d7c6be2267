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

#include "core/device.h"
#include "core/err.h"
#include "core/pci.h"
#include "iommu/iommu.h"

#define VFIO_PAGE 4096ull

/* --- config space policy (vfio_config.c) ---------------------------------- */
enum vfio_cap_action {
	CAP_HIDE,  /* not in the chain, its bytes read 0 */
	CAP_FIXED, /* as it was at the start; writes are dropped */
	CAP_LIVE,  /* read from the device; writes are dropped */
	CAP_PM,    /* D0 and D3hot in name only, no PME */
	CAP_EXP,   /* as an integrated endpoint: no link, control bits without effect, FLR if the
		      device can be reset */
	CAP_MSI,   /* emulated by vfio_msi.c, at the physical place and in its form */
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
	unsigned int msi, msi_len;      /* MSI capability, 0: none */
	bool intx_pin;                  /* it has an interrupt pin */
	unsigned int n_vectors;
	unsigned int table_bar, pba_bar;
	uint32_t table_off, pba_off;
	unsigned int n_hidden; /* capabilities that the guest does not see */
};

/* vfio_config_id - the ids of a physical config space of at least 64 bytes. */
void vfio_config_id(const uint8_t *phys, struct pci_id *id);
/*
 * vfio_config_build - fills d->cfg and d->wmask (pci_dev_init() has been called) with what the
 * guest may see of `phys`, size 256 or 4096 bytes, and *l. BARs and the MSI-X capability are left
 * to the caller. -EINVAL for a header type other than 0 or a capability chain that is broken; no
 * message.
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
/* vfio_irq_off - MSI-X off in the kernel; true when it was on. What was pending is forgotten. */
bool vfio_irq_off(struct vfio_irq *q);
/* vfio_irq_signal - every trigger once: an interrupt may have been lost. */
void vfio_irq_signal(struct vfio_irq *q);
unsigned int vfio_irq_count(struct vfio_irq *q); /* vectors that have a trigger */

/* --- what the devices of a guest share (vfio_shared.c) -------------------- */
struct vfio_shared;

/*
 * vfio_shared_get - the guest's DMA mapping; the first call makes it, the others have to name the
 * same. f->fd is taken in any case. Negative errno after a message. vfio_shared_put() for each get.
 */
int vfio_shared_get(struct vm *vm, const struct iommu_map_ops *ops, const struct iommu_map_fd *f,
		    struct vfio_shared **out);
void vfio_shared_put(struct vm *vm, struct vfio_shared *s); /* accepts NULL */
uint64_t vfio_shared_dma_bytes(const struct vfio_shared *s);
uint64_t vfio_shared_dma_us(const struct vfio_shared *s);

/* --- the device ----------------------------------------------------------- */
struct vfio_dev;

/* The kind of interrupt that the guest has chosen; the kernel allows one at a time. */
enum vfio_mode { VFIO_MODE_NONE, VFIO_MODE_INTX, VFIO_MODE_MSI, VFIO_MODE_MSIX };

/* Owned by the bus's lock. */
struct vfio_intx {
	bool present;      /* the guest sees a pin and the kernel has an interrupt for it */
	bool on;           /* attached on both sides */
	int fd, unmask_fd; /* eventfds: the device asserts it; the guest is done with it. -1: none
			    */
};

#define VFIO_MSI_MAX 32

struct vfio_msi_vector {
	int fd, gsi; /* valid when has_fd; when above 0 */
	bool has_fd, routed, attached;
	uint64_t addr; /* of the route */
	uint32_t data;
};

/* Owned by the bus's lock. */
struct vfio_msi {
	unsigned int n; /* messages that are on, 0: off */
	struct vfio_msi_vector v[VFIO_MSI_MAX];
};

/* The expansion ROM's shadow. `shown` and `addr` are the bus's lock's. */
struct vfio_rom {
	uint32_t size; /* 0: the guest sees none */
	uint64_t fd_off;
	pthread_mutex_t lock; /* shadow */
	uint8_t *shadow;      /* NULL: not read yet */
	bool shown;
	uint32_t addr;
};

struct vfio_event {
	struct vfio_dev *v;
	struct io_fd io;
	unsigned int index; /* of the kernel's interrupt */
	bool made, added;
	_Atomic uint64_t *count;
	enum vm_stop stop;
	const char *what;
};

/* One area of a BAR and how the guest reaches it. Owned by the bus's lock, except the counters. */
struct vfio_piece {
	struct vfio_area area;
	struct vfio_dev *v;
	unsigned int bar;
	char *hva;   /* NULL: reached by pread and pwrite */
	int slot;    /* memory slot, -1: not shown */
	bool on_bus; /* registered there */
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
		config_writes, resets, reset_errors, irq_errors, mode_changes, host_requests,
		device_errors;
};

/* vfio_bars_create - asks for the regions, cuts them, maps them, adds the BARs to d. Negative errno
 * after a message. */
int vfio_bars_create(struct vfio_dev *v);
void vfio_bars_destroy(struct vfio_dev *v);
/* vfio_bar_map - pci_dev_ops.bar_map of the device. */
int vfio_bar_map(struct pci_dev *d, unsigned int idx, uint64_t addr, bool on);

struct vfio_dev {
	struct pci_dev pci;
	struct device dev;
	char host[32];    /* for messages */
	char guest[40];   /* its name, for messages */
	int fd, group;    /* group: -1 where the device was opened by its own node */
	bool kvm_told;    /* of the group, or of the device itself */
	uint64_t cfg_off; /* config space in fd */
	size_t cfg_size;
	bool can_reset;
	bool fresh;       /* just opened: vfio_pci_core_enable() has reset it, if it can be */
	bool no_reset_ok; /* the user takes it as an earlier user left it */
	bool registered;
	struct vfio_shared *shared;
	struct vfio_layout layout;
	struct vfio_bar bar[PCI_N_BARS];
	unsigned int n_io_bars; /* not shown */
	uint64_t trapped_bytes; /* of memory BARs */
	struct vfio_rom rom;
	enum vfio_mode mode; /* under the bus's lock */
	struct vfio_irq irq;
	struct vfio_msi msi;
	struct vfio_intx intx;
	struct vfio_event wanted_back, failed;
	struct vfio_counters n;
	struct err_limit reset_log; /* under the bus's lock */
};

/* --- the kernel's descriptor (vfio_kernel.c); negative errno, no message ---- */
struct vfio_region_info;
/* vfio_region_get - an info structure with its capabilities, freed by the caller. */
int vfio_region_get(int fd, unsigned int index, struct vfio_region_info **out);
/* vfio_irq_info - how many interrupts of that kind there are; can_grow (may be NULL): the kernel
 * can add to a range that is enabled. -EINVAL: it knows no such kind. */
int vfio_irq_info(const struct vfio_dev *v, unsigned int index, bool *can_grow);
/*
 * vfio_irq_fds - interrupts [start, start+count) signal fds (-1: none), or fds unmask them. fds
 * NULL and count 0: the whole kind off. 0, or the number there could be when they are fewer.
 */
enum vfio_irq_what { VFIO_IRQ_TRIGGER, VFIO_IRQ_UNMASK };
int vfio_irq_fds(const struct vfio_dev *v, unsigned int index, enum vfio_irq_what what,
		 unsigned int start, unsigned int count, const int32_t *fds);
/* vfio_command - the physical command register: memory decoding on in any case, so that a guest
 * that switches it off cannot make a running vCPU fault. vfio_command_again - the same after MSI or
 * MSI-X was switched off. */
void vfio_command(const struct vfio_dev *v, bool master, bool intx);
void vfio_command_again(const struct vfio_dev *v, bool master, bool intx);
/* vfio_command_master - does the physical function say that it has bus mastering on? */
bool vfio_command_master(const struct vfio_dev *v);
/* vfio_reset - resets it if it can be, and waits until it answers again: -ETIMEDOUT. */
int vfio_reset(struct vfio_dev *v);

/* --- INTx (vfio_intx.c) ------------------------------------------------------ */
void vfio_intx_init(struct vfio_dev *v);
/* vfio_intx_use - the device's INTx is the guest's. An error is said once and leaves it off.
 * vfio_intx_off - true when it was on. Both idempotent. */
void vfio_intx_use(struct vfio_dev *v);
bool vfio_intx_off(struct vfio_dev *v);
void vfio_intx_free(struct vfio_dev *v);
/* vfio_eventfd_drain - forgets what was signalled; fd is non-blocking, or -1. */
void vfio_eventfd_drain(int fd);

/* --- MSI (vfio_msi.c) --------------------------------------------------------- */
/* vfio_msi_len - bytes of a capability with that control word. */
unsigned int vfio_msi_len(uint16_t control);
/* vfio_msi_config - the guest's capability at `off`, in the form of the physical control word. */
void vfio_msi_config(struct pci_dev *d, unsigned int off, uint16_t control);
/* vfio_msi_wanted - has the guest enabled it? */
bool vfio_msi_wanted(const struct vfio_dev *v);
/* vfio_msi_use - as the guest has it now: number, address, data, masks. vfio_msi_off - true when it
 * was on. */
void vfio_msi_use(struct vfio_dev *v);
bool vfio_msi_off(struct vfio_dev *v);
/* vfio_msi_pending - the pending bits and where they are read; false: there are none. */
bool vfio_msi_pending(const struct vfio_dev *v, unsigned int *off, uint32_t *bits);
/* vfio_msi_signal - every message once: an interrupt may have been lost. */
void vfio_msi_signal(struct vfio_dev *v);
void vfio_msi_free(struct vfio_dev *v);

/* --- expansion ROM (vfio_rom.c) ---------------------------------------------- */
int vfio_rom_create(struct vfio_dev *v); /* negative errno, no message */
/* vfio_rom_update - after the guest wrote its register or the command register. */
void vfio_rom_update(struct vfio_dev *v);
void vfio_rom_destroy(struct vfio_dev *v);

/* --- what the kernel tells (vfio_event.c) ------------------------------------ */
int vfio_events_create(struct vfio_dev *v); /* negative errno after a message */
void vfio_events_destroy(struct vfio_dev *v);

#endif
