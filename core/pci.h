/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI bus of a guest: one root bus, CF8/CFC and ECAM, BARs that the guest sizes, moves and
 * disables, capability chain, INTx and MSI-X. PCI Local Bus 3.0, PCI Express Base 4.0.
 *
 * A device embeds struct pci_dev (first member), fills it with the pci_add_*() calls and puts it on
 * the bus with pci_register(). Config space accesses of all vCPUs are serialised by the bus's lock;
 * callbacks run under it.
 */
#ifndef CORE_PCI_H
#define CORE_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bus.h"
#include "core/vm.h"

#define PCI_CFG_SIZE 4096
#define PCI_N_BARS   6
#define PCI_MSIX_MAX 2048

struct pci_dev;
struct pci_msix;

struct pci_dev_ops {
	/*
	 * Config space. NULL means the built-in: cfg[] with wmask[]. A device that passes through
	 * overrides them and calls pci_cfg_read/pci_cfg_write for the bytes that are emulated. size
	 * 1, 2, 4; off+size <= 4096, never across a dword.
	 */
	uint32_t (*cfg_read)(struct pci_dev *d, unsigned int off, unsigned int size);
	void (*cfg_write)(struct pci_dev *d, unsigned int off, unsigned int size, uint32_t val);
	/*
	 * After a guest write changed COMMAND: bus mastering or INTx disable may have changed. May
	 * be NULL.
	 */
	void (*command_changed)(struct pci_dev *d, uint16_t old, uint16_t now);
	/*
	 * BAR idx of kind PCI_BAR_CUSTOM appears at addr (on) or disappears from there (off, same
	 * addr). Also called around each move. An error on appearance leaves the BAR unmapped; the
	 * guest reads all ones there. For the trapped kinds it is called too, after the region was
	 * added or removed (doorbells follow the BAR); its result is not looked at then. May be
	 * NULL.
	 */
	int (*bar_map)(struct pci_dev *d, unsigned int idx, uint64_t addr, bool on);
};

enum pci_bar_kind {
	PCI_BAR_NONE,
	PCI_BAR_MMIO,   /* trapped: bus_ops on the MMIO bus */
	PCI_BAR_IO,     /* trapped: bus_ops on the PIO bus */
	PCI_BAR_CUSTOM, /* memory; bar_map() does it */
};

struct pci_bar {
	enum pci_bar_kind kind;
	bool is64, prefetch;
	uint64_t size; /* a power of two; memory at least 16 (register), mapped at page granularity
			  by the owner if it needs it */
	uint64_t addr; /* where the guest (or we, at start) put it */
	bool mapped;
	const struct bus_ops *ops;
	void *opaque;
	uint64_t n_access;
};

struct pci_dev {
	const struct pci_dev_ops *ops;
	struct vm *vm;
	const char *name;            /* "nic0", owned by the device */
	uint8_t slot;                /* device number on bus 0 */
	uint8_t cfg[PCI_CFG_SIZE];   /* owned by the bus's lock */
	uint8_t wmask[PCI_CFG_SIZE]; /* bits that a guest may write */
	struct pci_bar bar[PCI_N_BARS];
	unsigned int next_cap; /* where the next capability goes */
	struct pci_msix *msix;
	bool intx_level;
};

struct pci_id {
	uint16_t vendor, device, subsys_vendor, subsys;
	uint32_t class_code; /* 24 bits */
	uint8_t revision;
};

/* pci_dev_init - clears *d, sets ids, header type 0, COMMAND's writable bits. `ops` may be NULL. */
void pci_dev_init(struct pci_dev *d, struct vm *vm, const char *name, const struct pci_id *id,
		  const struct pci_dev_ops *ops);

/*
 * pci_add_bar - kind MMIO, IO, or CUSTOM (ops and opaque NULL). -EINVAL for a size that is no power
 * of two or an index that is taken.
 */
int pci_add_bar(struct pci_dev *d, unsigned int idx, enum pci_bar_kind kind, uint64_t size,
		bool is64, bool prefetch, const struct bus_ops *ops, void *opaque);

/*
 * pci_add_cap - room of `len` bytes (2-byte header filled) in the standard chain; gives its offset,
 * or -ENOSPC.
 */
int pci_add_cap(struct pci_dev *d, uint8_t id, unsigned int len);
/* pci_add_cap_at - the same at a given offset (a passed-through device keeps its layout). */
int pci_add_cap_at(struct pci_dev *d, uint8_t id, unsigned int off, unsigned int len);

void pci_set16(struct pci_dev *d, unsigned int off, uint16_t v, uint16_t wmask);
void pci_set32(struct pci_dev *d, unsigned int off, uint32_t v, uint32_t wmask);

/*
 * pci_register - finds a free slot, assigns its BARs (the guest may move them), makes it visible.
 * -ENOSPC.
 */
int pci_register(struct pci_dev *d);
/* pci_unregister - hides it, unmaps its BARs. Idempotent. */
void pci_unregister(struct pci_dev *d);

/*
 * The built-in config handlers: COMMAND and BAR side effects, MSI-X enable. For ops that override
 * cfg_read/cfg_write.
 */
uint32_t pci_cfg_read(struct pci_dev *d, unsigned int off, unsigned int size);
void pci_cfg_write(struct pci_dev *d, unsigned int off, unsigned int size, uint32_t val);

/*
 * pci_intx - level of INTA#; honours COMMAND.INTx disable at the time of the call and when that bit
 * changes. Any thread.
 */
void pci_intx(struct pci_dev *d, bool level);
/* pci_intx_gsi - the IOAPIC input of the device's INTA#. */
int pci_intx_gsi(const struct pci_dev *d);
/* pci_bus_master - COMMAND.BME. Relaxed, any thread. */
bool pci_bus_master(const struct pci_dev *d);

/* --- MSI-X (PCI 3.0 section 6.8.2) --- */
struct pci_msix_ops {
	/*
	 * A vector became usable (MSI-X on, unmasked, valid) or stopped to be. The default, with
	 * ops NULL, attaches pci_msix_fd(v) to KVM as an irqfd; with ops the default still happens,
	 * then this is called (VFIO tells the device). May be NULL. Under the MSI-X lock; it may
	 * call pci_msix_fd() and pci_msix_enabled().
	 */
	void (*vector)(struct pci_dev *d, unsigned int v, bool usable);
};

/*
 * pci_add_msix - capability (at cap_off, or 0 for the next free place), n vectors; table and PBA at
 * the given offsets of BAR `bar`. own_bar: that BAR does not exist yet and is made here, for
 * nothing else. Otherwise it exists (or will) with the device's own handlers, which route accesses
 * within [table_off, +16n) to pci_msix_table_read/write and those from pba_off on to
 * pci_msix_pba_read. -ENOMEM, -EINVAL, -ENOSPC. Eventfds are created at first use.
 */
int pci_add_msix(struct pci_dev *d, unsigned int cap_off, unsigned int n, unsigned int bar,
		 uint32_t table_off, uint32_t pba_off, bool own_bar,
		 const struct pci_msix_ops *ops);
void pci_msix_free(struct pci_dev *d);
uint64_t pci_msix_table_read(struct pci_dev *d, uint64_t off, unsigned int size);
void pci_msix_table_write(struct pci_dev *d, uint64_t off, unsigned int size, uint64_t val);
uint64_t pci_msix_pba_read(struct pci_dev *d, uint64_t off, unsigned int size);
bool pci_msix_enabled(const struct pci_dev *d);
/*
 * pci_msix_fd - the eventfd of a vector: write 1 to raise it. It stays the same for the device's
 * life. Negative errno.
 */
int pci_msix_fd(struct pci_dev *d, unsigned int v);
/* pci_msix_raise - writes the eventfd: while masked it stays pending there. Any thread. */
void pci_msix_raise(struct pci_dev *d, unsigned int v);

#endif
