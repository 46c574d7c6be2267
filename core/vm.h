/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual machine as the devices see it: its memory, its address spaces, its I/O thread, its
 * interrupts and the KVM short cuts (ioeventfd, coalesced MMIO, irqfd, memory slots). Implemented
 * by the files kvm_*.c; a unit test builds a struct vm without KVM by vm_create_fake(), where the
 * short cuts succeed and do nothing but count.
 */
#ifndef CORE_VM_H
#define CORE_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bus.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/stats.h"

struct vm;
struct pci_bus;

struct guest_mem *vm_mem(struct vm *vm);
struct bus *vm_mmio(struct vm *vm);
struct bus *vm_pio(struct vm *vm);
struct io *vm_io(struct vm *vm);
struct pci_bus *vm_pci(struct vm *vm);

/* --- doorbells --- */
/*
 * vm_ioeventfd - a guest write of `len` bytes (0: any length; 2, 4, 8) at `addr` signals fd instead
 * of leaving to user space. on=false removes it. Negative errno of KVM_IOEVENTFD; no message.
 */
int vm_ioeventfd(struct vm *vm, uint64_t addr, unsigned int len, int fd, bool on);
/* The same in port space. */
int vm_ioeventfd_pio(struct vm *vm, uint16_t port, unsigned int len, int fd, bool on);

/*
 * vm_coalesce - guest writes within [addr, addr+size) go into KVM's coalesced ring without an exit
 * while the I/O thread polls; while it sleeps they are exits. The ring is one per VM; it is drained
 * (into bus_write of the MMIO space) by the I/O thread, by vm_drain() and before every exit is
 * served. Taking a zone away may last milliseconds. on: I/O thread only. -ENOSYS when KVM has none.
 */
int vm_coalesce(struct vm *vm, uint64_t addr, uint64_t size, bool on);
/*
 * vm_drain - dispatches what stands in the coalesced ring. Returns how many writes there were. I/O
 * thread or vCPU thread.
 */
unsigned int vm_drain(struct vm *vm, unsigned int reader);

/* --- interrupts --- */
/* vm_gsi_alloc / vm_gsi_free - a GSI for an MSI route (above the IOAPIC's). -ENOSPC. */
int vm_gsi_alloc(struct vm *vm);
void vm_gsi_free(struct vm *vm, int gsi);
/* vm_gsi_msi - where an MSI of this GSI goes. The routing table is set at once. */
int vm_gsi_msi(struct vm *vm, int gsi, uint64_t addr, uint32_t data);
/*
 * vm_irqfd - fd (an eventfd) raises gsi. on=false removes it. resample_fd -1 unless
 * level-triggered.
 */
int vm_irqfd(struct vm *vm, int gsi, int fd, int resample_fd, bool on);
/* vm_irq_line - level of an IOAPIC/PIC input. */
int vm_irq_line(struct vm *vm, int gsi, bool level);

/* --- memory slots --- */
/*
 * vm_slot_add - host memory [hva, hva+size) appears in the guest at gpa (a device's BAR). Gives a
 * slot >= 0 for vm_slot_remove(), or a negative errno: -EEXIST when it would cover RAM or another
 * slot.
 */
int vm_slot_add(struct vm *vm, gpa_t gpa, uint64_t size, void *hva);
void vm_slot_remove(struct vm *vm, int slot);

/* --- what devices share --- */
/*
 * vm_shared - what the devices of one folder have in common in this guest (the DMA mapping of its
 * memory), by key; NULL when nothing was set. vm_set_shared() stores it (NULL takes it away); who
 * set it frees it. `key` is static. -ENOSPC. Main thread only.
 */
void *vm_shared(const struct vm *vm, const char *key);
int vm_set_shared(struct vm *vm, const char *key, void *ptr);

/*
 * vm_vfio_group - tells KVM that a VFIO group, or a device opened by its own node (the descriptor
 * of either), serves this VM, or does so no more: Documentation/virt/kvm/devices/vfio.rst.
 * -EOPNOTSUPP when this KVM has no such device, which most guests live without (cache coherency of
 * DMA).
 */
int vm_vfio_group(struct vm *vm, int group_fd, bool on);

/* --- the end --- */
enum vm_stop { VM_STOP_NONE, VM_STOP_ASKED, VM_STOP_RESET, VM_STOP_POWEROFF, VM_STOP_ERROR };
/*
 * vm_request_stop - from any thread: the vCPUs leave and vm's main thread is told. The first reason
 * stays.
 */
void vm_request_stop(struct vm *vm, enum vm_stop why);

/* --- tests --- */
struct vm_fake_counts {
	unsigned int ioeventfds, coalesced, irqfds, routes, line_changes;
	int line_level;
	unsigned int slots;
	_Atomic unsigned int nudges;
	_Atomic unsigned int wanted_fds; /* calls of device_want_fd() */
	unsigned int vfio_files;	 /* told to KVM and not taken back */
	int vfio_file;			 /* the last */
};
/* vm_create_fake - a struct vm over `mem` (owned by the caller) without KVM. -ENOMEM. */
int vm_create_fake(struct guest_mem *mem, struct vm **out);
const struct vm_fake_counts *vm_fake_counts(struct vm *vm);
void vm_destroy(struct vm *vm); /* accepts NULL; all threads stopped, devices destroyed */

#endif
