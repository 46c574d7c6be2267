/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of a guest's writes through the coalesced ring (vm.c): an exit is served only after
 * what the ring held before it has been dispatched, also when another thread is dispatching it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
		exit_waits_for_writes_that_another_thread_dispatches) };

	return cmocka_run_group_tests_name("core/drain-order", tests, NULL, NULL);
}
