/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The coalesced ring: guest writes that KVM notes down without an exit, one ring for each VM.
 * Documentation/virt/kvm/api.rst, KVM_REGISTER_COALESCED_MMIO: the kernel writes at `last`, we take
 * at `first`, and when the entry before `first` is all that is free the write is an exit after all.
 *
 * An entry wakes nobody, so the ring is open only while the I/O thread polls it. Taking the zones
 * away from KVM for each of its sleeps would cost milliseconds (a grace period that waits for the
 * vCPUs), and the thread stands meanwhile. Instead the ring is closed: `first` is set so that it
 * looks full, and the next write is an exit, which wakes the thread.
 *
 * The kernel reads `first` and then writes `last`: a write that found the ring open just before it
 * was closed comes into it afterwards, and opens it. Whoever looks next sees that there are
 * entries; when the ring has run full since, by the second one: the length of a free entry is zero.
 * That somebody does look is what ring_settle() is for: every vCPU comes out of KVM once.
 */
#include <errno.h>
#include <string.h>

#include "core/vm_priv.h"

/* Entries that can be taken. Exact under drain_lock; without it a hint. */
static uint32_t ring_waiting(struct vm *vm)
{
	struct kvm_coalesced_mmio_ring *ring = vm->ring;
	uint32_t next = atomic_load_explicit(&vm->ring_next, memory_order_acquire), last, n;
	bool second = atomic_load(&vm->ring_closed) &&
		      __atomic_load_n(&ring->coalesced_mmio[(next + 1) % vm->ring_max].len,
				      __ATOMIC_ACQUIRE);

	last = __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE) % vm->ring_max;
	n = (last + vm->ring_max - next) % vm->ring_max;
	/* a second entry was written, so `last` has been past the first one, and came round */
	return n || !second ? n : vm->ring_max;
}

/* Under drain_lock. All that we have taken is the kernel's again. */
static void ring_open(struct vm *vm)
{
	atomic_store(&vm->ring_closed, false);
	__atomic_store_n(&vm->ring->first, atomic_load(&vm->ring_next), __ATOMIC_RELEASE);
}

/* Under drain_lock, of an empty ring. The entry at ring_next stays ours until it is opened. */
static void ring_close(struct vm *vm)
{
	uint32_t next = atomic_load(&vm->ring_next);

	atomic_store(&vm->ring_closed, true);
	__atomic_store_n(&vm->ring->first, (next + 1) % vm->ring_max, __ATOMIC_SEQ_CST);
}

unsigned int vm_drain(struct vm *vm, unsigned int reader)
{
	unsigned int n = 0;
	bool was_closed;

	/* what another thread has taken from the ring but not dispatched yet came before our exit
	 * too */
	if (!vm->ring || (!ring_waiting(vm) && !atomic_load(&vm->draining)))
		return 0;
	pthread_mutex_lock(&vm->drain_lock);
	atomic_store(&vm->draining, true);
	was_closed = atomic_load(&vm->ring_closed);
	while (n < vm->ring_max && ring_waiting(vm)) {
		uint32_t next = atomic_load(&vm->ring_next);
		struct kvm_coalesced_mmio e = vm->ring->coalesced_mmio[next];
		uint64_t val = 0;

		memcpy(&val, e.data, e.len <= 8 ? e.len : 8);
		vm->ring->coalesced_mmio[next].len = 0;
		atomic_store(&vm->ring_next, (next + 1) % vm->ring_max);
		/* released only when the entry is copied: the kernel may write it again at once */
		ring_open(vm);
		if (e.len == 1 || e.len == 2 || e.len == 4 || e.len == 8)
			bus_write(e.pio ? vm->pio : vm->mmio, reader, e.phys_addr, e.len, val);
		n++;
	}
	atomic_store(&vm->draining, false);
	pthread_mutex_unlock(&vm->drain_lock);
	atomic_fetch_add_explicit(&vm->coalesced_writes, n, memory_order_relaxed);
	if (n && was_closed) /* it is open now, with nobody who polls it */
		io_wake(vm->io);
	return n;
}

/* --- the I/O thread --- */
static unsigned int ring_poll(struct io_poller *p)
{
	return vm_drain(p->opaque, BUS_READER_IO);
}

static void ring_wake(struct io_poller *p)
{
	struct vm *vm = p->opaque;

	pthread_mutex_lock(&vm->drain_lock);
	if (atomic_load(&vm->ring_closed))
		ring_open(vm);
	pthread_mutex_unlock(&vm->drain_lock);
}

static void ring_rest(struct io_poller *p)
{
	struct vm *vm = p->opaque;

	pthread_mutex_lock(&vm->drain_lock);
	if (ring_waiting(
		    vm)) /* a vCPU might take it before the thread's last look, and leave it open */
		io_wake(vm->io);
	else if (!atomic_load(&vm->ring_closed))
		ring_close(vm);
	pthread_mutex_unlock(&vm->drain_lock);
}

static void ring_settle(struct io_poller *p)
{
	struct vm *vm = p->opaque;

	vm->ops->nudge(vm);
}

int vm_coalesce(struct vm *vm, uint64_t addr, uint64_t size, bool on)
{
	int ret = vm->ops->coalesce(vm, addr, size, on);

	/* a write may have entered the ring just before the zone went */
	if (!on) {
		vm_drain(vm, BUS_READER_IO);
		return ret;
	}
	if (ret == 0 && vm->ring && !vm->ring_poller.poll) {
		vm->ring_poller = (struct io_poller){
			.poll = ring_poll,
			.wake = ring_wake,
			.rest = ring_rest,
			.settle = ring_settle,
			.dear_wake = true,
			.opaque = vm,
		};
		ret = io_add_poller(vm->io, &vm->ring_poller);
		if (ret < 0) {
			vm->ring_poller.poll = NULL;
			vm->ops->coalesce(vm, addr, size, false);
		}
	}
	return ret;
}
