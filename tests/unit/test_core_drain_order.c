/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's writes through the coalesced ring (vm_ring.c): an exit is served only after what the
 * ring held before it has been dispatched, also when another thread is dispatching it; and no write
 * is lost where the I/O thread goes to sleep and closes the ring. The test plays the kernel's side.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/vm_priv.h"

struct slow {
	sem_t entered, go;
	_Atomic int done;
};
static void slow_write(void *o, uint64_t off, unsigned int size, uint64_t val)
{
	struct slow *s = o;

	sem_post(&s->entered);
	sem_wait(&s->go);
	atomic_store(&s->done, 1);
}
static uint64_t slow_read(void *o, uint64_t off, unsigned int size)
{
	return 0;
}
static const struct bus_ops ops = { .read = slow_read, .write = slow_write };
static void *io_side(void *vm)
{
	vm_drain(vm, BUS_READER_IO);
	return NULL;
}
struct vcpu_side {
	struct vm *vm;
	struct slow *s;
	sem_t back;
	int done_seen;
};
static void *vcpu_side(void *o)
{
	struct vcpu_side *v = o;

	vm_drain(v->vm, 0); /* what vcpu_serve() does first */
	v->done_seen = atomic_load(&v->s->done);
	sem_post(&v->back);
	return NULL;
}

static void exit_waits_for_writes_that_another_thread_dispatches(void **state)
{
	struct guest_mem *mem;
	struct vm *vm;
	struct slow s = { 0 };
	struct vcpu_side v = { 0 };
	struct bus_region r = {
		.base = 0xd0000000, .size = 4096, .ops = &ops, .opaque = &s, .name = "slow"
	};
	pthread_t a, b;

	sem_init(&s.entered, 0, 0);
	sem_init(&s.go, 0, 0);
	sem_init(&v.back, 0, 0);
	assert_int_equal(mem_create(2 << 20, &mem), 0);
	assert_int_equal(vm_create_fake(mem, &vm), 0);
	vm->ring = calloc(1, 4096);
	vm->ring_max = 16;
	assert_int_equal(bus_add(vm_mmio(vm), &r), 0);
	vm->ring->coalesced_mmio[0] =
		(struct kvm_coalesced_mmio){ .phys_addr = 0xd0000000, .len = 4 };
	vm->ring->last = 1;
	pthread_create(&a, NULL, io_side, vm);
	sem_wait(&s.entered); /* the write was taken from the ring and is being dispatched */
	v.vm = vm;
	v.s = &s;
	pthread_create(&b, NULL, vcpu_side, &v);
	usleep(50000); /* a right vm_drain() waits here; a wrong one is back by now */
	sem_post(&s.go);
	sem_wait(&v.back);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	assert_int_equal(v.done_seen, 1);
	free(vm->ring);
	vm->ring = NULL;
	vm_destroy(vm);
	mem_destroy(mem);
}

/* --- the ring closed and opened --- */
#define RING 8
#define BASE 0xd0000000ull

struct ring {
	struct guest_mem *mem;
	struct vm *vm;
	struct bus_region region;
	_Atomic unsigned int n; /* writes that came to the device */
	_Atomic uint64_t val[4 * RING];
};

static void note_write(void *o, uint64_t off, unsigned int size, uint64_t val)
{
	struct ring *r = o;

	atomic_store(&r->val[atomic_load(&r->n) % (4 * RING)], val);
	atomic_fetch_add(&r->n, 1);
}
static const struct bus_ops note_ops = { .read = slow_read, .write = note_write };

/* virt/kvm/coalesced_mmio.c: first a look for room, ... */
static bool kernel_has_room(struct ring *r)
{
	struct kvm_coalesced_mmio_ring *ring = r->vm->ring;

	return (__atomic_load_n(&ring->last, __ATOMIC_SEQ_CST) + 1) % RING !=
	       __atomic_load_n(&ring->first, __ATOMIC_SEQ_CST);
}
/* ... then the entry. */
static void kernel_puts(struct ring *r, uint32_t val)
{
	struct kvm_coalesced_mmio_ring *ring = r->vm->ring;
	uint32_t last = ring->last;

	ring->coalesced_mmio[last].phys_addr = BASE;
	ring->coalesced_mmio[last].len = 4;
	memcpy(ring->coalesced_mmio[last].data, &val, 4);
	__atomic_store_n(&ring->last, (last + 1) % RING, __ATOMIC_SEQ_CST);
}
static bool guest_writes(struct ring *r, uint32_t val)
{
	if (!kernel_has_room(r))
		return false; /* an exit */
	kernel_puts(r, val);
	return true;
}

static bool reaches(struct ring *r, unsigned int want)
{
	for (int i = 0; i < 5000 && atomic_load(&r->n) < want; i++)
		usleep(1000);
	return atomic_load(&r->n) == want;
}
static void in_order(struct ring *r, unsigned int n)
{
	assert_int_equal(atomic_load(&r->n), n);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(atomic_load(&r->val[i]), i);
}

static int ring_up(void **state)
{
	struct ring *r = calloc(1, sizeof(*r));

	*state = r;
	assert_int_equal(mem_create(2 << 20, &r->mem), 0);
	assert_int_equal(vm_create_fake(r->mem, &r->vm), 0);
	r->vm->ring = calloc(1, 4096);
	r->vm->ring_max = RING;
	r->region = (struct bus_region){
		.base = BASE, .size = 4096, .ops = &note_ops, .opaque = r, .name = "note"
	};
	assert_int_equal(bus_add(vm_mmio(r->vm), &r->region), 0);
	assert_int_equal(vm_coalesce(r->vm, BASE, 4, true), 0);
	return 0;
}
static int ring_down(void **state)
{
	struct ring *r = *state;

	io_stop(vm_io(r->vm));
	free(r->vm->ring);
	r->vm->ring = NULL;
	vm_destroy(r->vm);
	mem_destroy(r->mem);
	free(r);
	return 0;
}
static void rest(struct ring *r)
{
	r->vm->ring_poller.rest(&r->vm->ring_poller);
}
static void wake(struct ring *r)
{
	r->vm->ring_poller.wake(&r->vm->ring_poller);
}

static void write_is_an_exit_while_the_thread_sleeps(void **state)
{
	struct ring *r = *state;

	for (unsigned int i = 0; i < 3 * RING; i++) { /* wherever the ring stands */
		assert_true(guest_writes(r, 0));
		assert_int_equal(vm_drain(r->vm, 0), 1);
		rest(r);
		assert_false(guest_writes(r, 0));
		assert_int_equal(vm_drain(r->vm, 0), 0);
		wake(r);
	}
	/* open again, all of it but the entry that KVM leaves free */
	for (unsigned int i = 0; i < RING - 1; i++)
		assert_true(guest_writes(r, i));
	assert_false(guest_writes(r, 0));
}

static void ring_that_holds_something_is_not_closed(void **state)
{
	struct ring *r = *state;

	assert_true(guest_writes(r, 0));
	assert_true(guest_writes(r, 1));
	rest(r);
	assert_true(guest_writes(r, 2));
	assert_int_equal(vm_drain(r->vm, BUS_READER_IO), 3);
	in_order(r, 3);
}

/* It saw room before the ring was closed, and comes into it afterwards. */
static void late_write_is_found(void **state)
{
	struct ring *r = *state;

	for (unsigned int i = 0; i < 2 * RING; i++) {
		atomic_store(&r->n, 0);
		assert_true(kernel_has_room(r));
		rest(r);
		kernel_puts(r, 0);
		assert_true(guest_writes(r, 1)); /* it has opened the ring */
		assert_int_equal(vm_drain(r->vm, 0), 2);
		in_order(r, 2);
		assert_true(guest_writes(r, 2));
		assert_int_equal(vm_drain(r->vm, 0), 1);
		rest(r);
		assert_false(guest_writes(r, 3));
		wake(r);
	}
}

static void late_write_and_all_that_fit_after_it_are_found(void **state)
{
	struct ring *r = *state;
	unsigned int n = 1;

	rest(r);
	kernel_puts(r, 0);
	while (guest_writes(r, n))
		n++;
	assert_int_equal(n, RING);
	assert_int_equal(vm_drain(r->vm, 0), RING);
	in_order(r, RING);
	assert_true(guest_writes(r, RING));
	assert_int_equal(vm_drain(r->vm, 0), 1);
}

/* The whole of it: a thread that comes and goes, writes in the ring, late ones, exits. */
static void thread_takes_what_a_late_write_let_in(void **state)
{
	struct ring *r = *state;
	unsigned int want = 0;

	assert_int_equal(io_start(vm_io(r->vm)), 0);
	for (unsigned int i = 0; i < 20; i++) {
		while (kernel_has_room(r)) { /* awake still, or not yet awake for the first time */
			if (!atomic_load(&r->vm->ring_closed))
				io_wake(vm_io(r->vm));
			usleep(1000);
		}
		kernel_puts(r, want++);
		/* the exit that the nudge brings about */
		vm_drain(r->vm, 0);
		if (guest_writes(r, want))
			want++;
		else
			io_wake(vm_io(r->vm));
		assert_true(reaches(r, want));
	}
	for (unsigned int i = 0; i < 5000 && !vm_fake_counts(r->vm)->nudges; i++)
		usleep(1000);
	assert_int_not_equal(vm_fake_counts(r->vm)->nudges, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, ring_up, ring_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_waits_for_writes_that_another_thread_dispatches),
		T(write_is_an_exit_while_the_thread_sleeps),
		T(ring_that_holds_something_is_not_closed),
		T(late_write_is_found),
		T(late_write_and_all_that_fit_after_it_are_found),
		T(thread_takes_what_a_late_write_let_in),
	};

	return cmocka_run_group_tests_name("core/drain-order", tests, NULL, NULL);
}
