/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of struct vm, for the files vm.c, vm_fake.c, kvm_*.c, device.c and monitor.c of core
 * only. Everybody else uses vm.h.
 */
#ifndef CORE_VM_PRIV_H
#define CORE_VM_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <linux/kvm.h>

#include "core/boot.h"
#include "core/vm.h"

#define VM_MAX_VCPUS  64
#define VM_MAX_SLOTS  128 /* device BARs; the first ones are RAM */
#define VM_MAX_SHARED 4
#define GSI_FIRST_MSI 24 /* the IOAPIC has 24 inputs */
#define GSI_MAX_MSI   2048

/*
 * Two implementations: KVM, and the fake one of the unit tests. Each call is described at its
 * vm_*() in vm.h.
 */
struct vm_ops {
	int (*ioeventfd)(struct vm *vm, uint64_t addr, unsigned int len, int fd, bool pio, bool on);
	int (*coalesce)(struct vm *vm, uint64_t addr, uint64_t size, bool on);
	int (*route)(struct vm *vm); /* under irq_lock: hand the whole table to KVM */
	int (*irqfd)(struct vm *vm, int gsi, int fd, int resample_fd, bool on);
	int (*irq_line)(struct vm *vm, int gsi, bool level);
	int (*slot_set)(struct vm *vm, int slot, gpa_t gpa, uint64_t size,
			void *hva); /* size 0: remove */
	int (*vfio_group)(struct vm *vm, int group_fd, bool on);
	void (*kick)(struct vm *vm); /* every vCPU leaves the guest */
	/* every vCPU that is in KVM comes out of it once, drains the ring and goes on */
	void (*nudge)(struct vm *vm);
	void (*destroy)(struct vm *vm);
};

struct msi_route {
	bool used;  /* allocated */
	bool valid; /* has an address */
	uint64_t addr;
	uint32_t data;
};

struct vm_slot {
	gpa_t gpa;
	uint64_t size; /* 0: free */
};

struct vm_shared_entry {
	const char *key; /* static */
	void *ptr;       /* NULL: free */
};

struct vcpu_exits {
	_Atomic uint64_t total, io, mmio, hlt, intr, shutdown, other;
};

struct vcpu {
	struct vm *vm;
	unsigned int index;
	int fd, stats_fd;
	struct kvm_run *run;
	pthread_t thread;
	_Atomic bool started;    /* `thread` is valid and not joined yet */
	_Atomic int tid;         /* of the thread, once it runs */
	int host_cpu;            /* the thread stays on it; -1: any */
	struct vcpu_exits exits; /* written by the vCPU's thread */
};

struct vm {
	const struct vm_ops *ops;
	struct guest_mem *mem;
	bool owns_mem;
	struct bus *mmio, *pio;
	struct io *io;
	struct pci_bus *pci;

	int kvm_fd, fd;
	int run_size; /* bytes of a struct kvm_run mapping */
	struct vcpu vcpu[VM_MAX_VCPUS];
	unsigned int n_vcpus;     /* made so far */
	unsigned int cpus_wanted; /* set before the first is made: CPUID tells it */
	bool ext_dest;            /* KVM delivers MSIs to 32-bit APIC ids */
	int vm_stats_fd;

	pthread_mutex_t drain_lock;           /* the coalesced ring has one consumer at a time */
	struct kvm_coalesced_mmio_ring *ring; /* NULL: KVM has none */
	uint32_t ring_max;
	_Atomic uint32_t ring_next;   /* the entry that is taken next; written under the lock */
	_Atomic bool ring_closed;     /* it looks full to KVM (vm_ring.c); written under the lock */
	struct io_poller ring_poller; /* added with the first zone */
	_Atomic bool draining;        /* entries have left the ring and are not dispatched yet */
	_Atomic uint64_t coalesced_writes;

	pthread_mutex_t irq_lock; /* msi[] and the routing table */
	struct msi_route msi[GSI_MAX_MSI];

	pthread_mutex_t slot_lock;
	struct vm_slot slot[VM_MAX_SLOTS];

	struct vm_shared_entry shared[VM_MAX_SHARED]; /* main thread */

	pthread_mutex_t pause_lock;
	pthread_cond_t pause_changed;
	_Atomic bool paused;   /* the vCPUs' threads are to stand still; written under the lock */
	unsigned int n_parked; /* of them do; under the lock */

	int vfio_dev; /* the KVM-VFIO device, made at first use; -1 */

	int stop_fd;      /* eventfd: readable when the guest is to end */
	_Atomic int stop; /* enum vm_stop */

	/* device_want_fd(), from any thread; set before the devices are made. NULL: nobody to ask
	 */
	void (*want_fd)(void *opaque, const char *device, const char *name);
	void *want_fd_opaque;

	struct vm_fake_counts fake;
};

/*
 * vm_init - the part that both implementations share: buses, I/O thread object, PCI bus, locks.
 * vm->mem is set before.
 */
int vm_init(struct vm *vm, const struct vm_ops *ops);

/*
 * vm_msi_decode - where an MSI that a device writes goes, as KVM wants to be told: address with the
 * APIC id's upper bits in [63:40]. ext_dest: bits [11:5] are the id's bits [14:8], as KVM's feature
 * MSI_EXT_DEST_ID has it. False: the address is no processor's (SDM volume 3 section 11.11.1), the
 * write interrupts nobody.
 */
bool vm_msi_decode(uint64_t addr, bool ext_dest, uint64_t *out);

/* --- kvm_vm.c --- */
/*
 * kvm_vm_create - takes kvm_fd (an open /dev/kvm; closed with the VM). Owns `mem` from then on,
 * also on failure. For `cpus` vCPUs, which are made by kvm_vcpu_create(): -EOPNOTSUPP after a
 * message when this KVM has not so many.
 */
int kvm_vm_create(int kvm_fd, struct guest_mem *mem, unsigned int cpus, struct vm **out);
/* --- kvm_irq.c --- */
int kvm_irq_init(struct vm *vm); /* in-kernel PIC, IOAPIC, PIT */
int kvm_irq_route(struct vm *vm);
int kvm_irq_fd(struct vm *vm, int gsi, int fd, int resample_fd, bool on);
int kvm_irq_line(struct vm *vm, int gsi, bool level);
/* --- kvm_vcpu.c --- */
int kvm_vcpu_create(struct vm *vm, unsigned int index);
/* kvm_vcpu_set_entry - the state in which the kernel wants to be entered (boot.h). */
int kvm_vcpu_set_entry(struct vcpu *v, const struct boot_entry *e);
int kvm_vcpu_start(struct vcpu *v);
void kvm_vcpu_kick_all(struct vm *vm);
void kvm_vcpu_nudge_all(struct vm *vm);
void kvm_vcpu_join_all(struct vm *vm);
/*
 * kvm_vcpu_pause_all - when it returns 0 no vCPU runs and none is in a device. -ETIMEDOUT: one did
 * not come out in time, and all go on; -ECANCELED: the guest is about to end. Main thread; not
 * twice.
 */
int kvm_vcpu_pause_all(struct vm *vm);
/* kvm_vcpu_resume_all - they go on; nothing when they do not stand still. */
void kvm_vcpu_resume_all(struct vm *vm);
void kvm_vcpu_destroy(struct vcpu *v);
/*
 * kvm_stats_read - calls sink->put() for every cumulative counter of a KVM_GET_STATS_FD descriptor.
 */
int kvm_stats_read(int stats_fd, struct stats_sink *sink);

#endif
