/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of trapped regions: dispatch at the edges, overlaps, changes while others read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/bus.h"

struct probe {
	uint64_t off, val;
	unsigned int size, reads, writes;
};

static uint64_t probe_read(void *opaque, uint64_t off, unsigned int size)
{
	struct probe *p = opaque;

	p->off = off;
	p->size = size;
	p->reads++;
	return 0x1122334455667788ull;
}

static void probe_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	struct probe *p = opaque;

	p->off = off;
	p->size = size;
	p->val = val;
	p->writes++;
}

static const struct bus_ops ops = { probe_read, probe_write };

static struct bus_region region(uint64_t base, uint64_t size, struct probe *p)
{
	return (struct bus_region){
		.base = base, .size = size, .ops = &ops, .opaque = p, .name = "probe"
	};
}

static void access_reaches_its_region_only(void **state)
{
	struct probe a = { 0 }, b = { 0 };
	struct bus_region ra = region(0x1000, 0x100, &a), rb = region(0x1100, 0x10, &b);
	struct bus *bus;
	uint64_t v;

	assert_int_equal(bus_create(&bus), 0);
	assert_int_equal(bus_add(bus, &rb), 0);
	assert_int_equal(bus_add(bus, &ra), 0);
	assert_true(bus_write(bus, 0, 0x10fc, 4, 7));
	assert_int_equal(a.off, 0xfc);
	assert_int_equal(a.val, 7);
	assert_true(bus_read(bus, 0, 0x1100, 8, &v));
	assert_int_equal(b.size, 8);
	assert_false(bus_read(bus, 0, 0xfff, 1, &v));
	assert_true(v == ~0ull);
	assert_false(bus_read(bus, 0, 0x1110, 1, &v));
	assert_int_equal(a.writes + b.writes, 1);
	bus_destroy(bus);
}

/* "MMIO crossing a device edge" */
static void access_across_an_edge_reaches_nobody(void **state)
{
	struct probe a = { 0 }, b = { 0 };
	struct bus_region ra = region(0x1000, 0x100, &a), rb = region(0x1100, 2, &b);
	struct bus *bus;
	uint64_t v;

	bus_create(&bus);
	bus_add(bus, &ra);
	bus_add(bus, &rb);
	assert_false(bus_read(bus, 0, 0x10fe, 4, &v));
	assert_false(bus_write(bus, 0, 0x10ff, 2, 1));
	assert_false(bus_write(bus, 0, 0x1100, 4, 1));
	assert_int_equal(a.reads + a.writes + b.reads + b.writes, 0);
	bus_destroy(bus);
}

static void overlap_and_wrap_are_refused(void **state)
{
	struct probe a = { 0 };
	struct bus_region r = region(0x1000, 0x100, &a), over = region(0x10ff, 1, &a),
			  around = region(0, 0x10000, &a), wraps = region(UINT64_MAX - 1, 3, &a),
			  none = region(5, 0, &a), last = region(UINT64_MAX - 1, 2, &a);
	struct bus *bus;
	uint64_t v;

	bus_create(&bus);
	assert_int_equal(bus_add(bus, &r), 0);
	assert_int_equal(bus_add(bus, &over), -EEXIST);
	assert_int_equal(bus_add(bus, &around), -EEXIST);
	assert_int_equal(bus_add(bus, &wraps), -EINVAL);
	assert_int_equal(bus_add(bus, &none), -EINVAL);
	assert_int_equal(bus_add(bus, &last), 0);
	assert_true(bus_read(bus, 0, UINT64_MAX, 1, &v));
	assert_int_equal(bus_remove(bus, 0x1001), -ENOENT);
	assert_int_equal(bus_remove(bus, 0x1000), 0);
	assert_false(bus_read(bus, 0, 0x1000, 1, &v));
	bus_destroy(bus);
}

/* A guest may move its BARs for ever. */
static void moving_a_region_does_not_grow_the_table(void **state)
{
	struct probe a = { 0 };
	struct bus *bus;
	size_t before = 0;

	bus_create(&bus);
	for (int i = 0; i < 20000; i++) {
		struct bus_region r = region(0x1000u * (unsigned int)(i % 64 + 1), 0x100, &a);

		assert_int_equal(bus_add(bus, &r), 0);
		assert_int_equal(bus_remove(bus, r.base), 0);
		if (i == 100)
			before = mallinfo2().uordblks;
	}
	assert_true(mallinfo2().uordblks < before + 65536);
	bus_destroy(bus);
}

static _Atomic int stop;

static void *reader(void *arg)
{
	uint64_t v;

	for (int i = 0; !atomic_load(&stop); i++)
		bus_read(arg, 1, 0x1000u * (unsigned int)(i % 64 + 1), 4, &v);
	return NULL;
}

static void readers_survive_changes(void **state)
{
	struct probe a = { 0 };
	struct bus *bus;
	pthread_t t;

	bus_create(&bus);
	atomic_store(&stop, 0);
	pthread_create(&t, NULL, reader, bus);
	for (int i = 0; i < 20000; i++) {
		struct bus_region r = region(0x1000u * (unsigned int)(i % 64 + 1), 0x100, &a);

		bus_add(bus, &r);
		bus_remove(bus, r.base);
	}
	atomic_store(&stop, 1);
	pthread_join(t, NULL);
	bus_destroy(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(access_reaches_its_region_only),
		cmocka_unit_test(access_across_an_edge_reaches_nobody),
		cmocka_unit_test(overlap_and_wrap_are_refused),
		cmocka_unit_test(moving_a_region_does_not_grow_the_table),
		cmocka_unit_test(readers_survive_changes),
	};

	return cmocka_run_group_tests_name("core/bus", tests, NULL, NULL);
}
