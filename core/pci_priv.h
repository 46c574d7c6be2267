/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the PCI bus, for pci.c, pci_msix.c, vm.c and monitor.c only. Everybody else uses
 * pci.h.
 */
#ifndef CORE_PCI_PRIV_H
#define CORE_PCI_PRIV_H

#include <pthread.h>

#include "core/pci.h"

#define PCI_ECAM_BASE  0xe0000000ull
#define PCI_ECAM_SIZE  0x10000000ull
#define PCI_MMIO_BASE  0xc0000000ull /* 32-bit window for BARs, up to the ECAM */
#define PCI_PIO_BASE   0xc000
#define PCI_SLOTS      32
#define PCI_INTX_LINES 8 /* the INTx pins of slot n are IOAPIC input 16 + n % 8 */
#define PCI_INTX_FIRST 16

struct pci_bus {
	struct vm *vm;
	pthread_mutex_t lock;      /* config space of all devices, BAR mappings */
	pthread_mutex_t intx_lock; /* levels; taken inside `lock`, never the other way round */
	struct pci_dev *dev[PCI_SLOTS];
	struct pci_dev host_bridge;
	uint32_t cf8;
	uint64_t next_mmio, next_mmio64, next_pio;
	uint64_t mmio64_base, mmio64_end; /* window for large BARs, above all memory */
	unsigned int asserted[PCI_INTX_LINES];
	uint64_t n_cfg, n_ecam;
};

/* pci_slot_gsi - the IOAPIC input of a slot's INTx pins: level, active low (PCI 3.0, 2.2.6). */
static inline unsigned int pci_slot_gsi(unsigned int slot)
{
	return PCI_INTX_FIRST + slot % PCI_INTX_LINES;
}

/* pci_bus_create - the bus with its host bridge in slot 0, CF8/CFC and ECAM. */
int pci_bus_create(struct vm *vm, struct pci_bus **out);
void pci_bus_destroy(struct pci_bus *b); /* accepts NULL */

/*
 * pci_bus_stats - accesses trapped for each BAR ("nic0.bar0") and for configuration ("pci-config").
 */
void pci_bus_stats(struct pci_bus *b, struct stats_sink *sink);

/*
 * pci_msix_control - the guest wrote MSI-X message control: on, masked or off. Under the bus's
 * lock.
 */
void pci_msix_control(struct pci_dev *d);

#endif
