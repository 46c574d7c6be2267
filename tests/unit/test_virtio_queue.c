/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The split ring's walker and index arithmetic against drivers that do it wrong: every rule of
 * pv-net/virtqueue.h has a test that breaks it. VIRTIO 1.2 section 2.7.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/virtqueue.h"

#define SIZE       8
#define DESC       0x1000ull
#define AVAIL      0x2000ull
#define USED       0x3000ull
#define TABLE      0x4000ull
#define DATA       0x10000ull
#define LOW_END    0xc0000000ull /* of the first region of memory; the second begins at 4 GiB */
#define INDIRECT   (1ull << 28)
#define EVENT_IDX  (1ull << 29)
#define F_NEXT     1
#define F_WRITE    2
#define F_INDIRECT 4

struct fix {
	struct guest_mem *mem;
	struct virtqueue vq;
	struct virtq_desc *desc, *table;
	struct virtq_avail *avail;
	struct virtq_used *used;
	struct iovec iov[16];
	struct vq_chain c;
};

static void start(struct fix *f, uint64_t features)
{
	vq_init(&f->vq, 256);
	f->vq.size = SIZE;
	f->vq.desc_gpa = DESC;
	f->vq.avail_gpa = AVAIL;
	f->vq.used_gpa = USED;
	assert_int_equal(vq_start(&f->vq, f->mem, features), 0);
}

static int setup(void **state)
{
	static struct fix f;

	memset(&f, 0, sizeof(f));
	/* two regions, so that their borders can be crossed; pages appear when they are touched */
	if (mem_create(LOW_END + (2 << 20), &f.mem) < 0)
		return -1;
	f.desc = mem_ptr(f.mem, DESC, 1);
	f.table = mem_ptr(f.mem, TABLE, 1);
	f.avail = mem_ptr(f.mem, AVAIL, 1);
	f.used = mem_ptr(f.mem, USED, 1);
	start(&f, INDIRECT);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	mem_destroy(((struct fix *)*state)->mem);
	return 0;
}

static void put(struct virtq_desc *table, unsigned int i, uint64_t addr, uint32_t len,
		uint16_t flags, uint16_t next)
{
	table[i] = (struct virtq_desc){ .addr = addr, .len = len, .flags = flags, .next = next };
}

/* Posts one chain and walks it. */
static int walk(struct fix *f, uint16_t head, unsigned int max_iov)
{
	f->avail->ring[f->avail->idx++ % SIZE] = head;
	assert_int_equal(vq_avail(&f->vq), 1);
	return vq_walk(&f->vq, 0, f->iov, max_iov, &f->c);
}

static int walk_one(struct fix *f, uint64_t addr, uint32_t len, uint16_t flags)
{
	put(f->desc, 0, addr, len, flags, 0);
	return walk(f, 0, 16);
}

static void ring_of_bad_size_or_address_does_not_start(void **state)
{
	static const struct {
		uint16_t size;
		uint64_t desc, avail, used;
	} bad[] = {
		{ 0, DESC, AVAIL, USED },
		{ 3, DESC, AVAIL, USED },
		{ 512, DESC, AVAIL, USED },
		{ 0x8001, DESC, AVAIL, USED },
		{ SIZE, 0, AVAIL, USED },
		{ SIZE, DESC, 0, USED },
		{ SIZE, DESC, AVAIL, 0 },
		{ SIZE, DESC + 8, AVAIL, USED },
		{ SIZE, DESC, AVAIL + 1, USED },
		{ SIZE, DESC, AVAIL, USED + 2 },
		{ SIZE, LOW_END - 16, AVAIL, USED },
		{ SIZE, DESC, LOW_END - 2, USED },
		{ SIZE, DESC, AVAIL, LOW_END - 4 },
		{ SIZE, ~15ull, AVAIL, USED },
		{ SIZE, DESC, 0xfee00000, USED },
		{ SIZE, DESC, AVAIL, ~3ull },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vq_init(&f->vq, 256);
		f->vq.size = bad[i].size;
		f->vq.desc_gpa = bad[i].desc;
		f->vq.avail_gpa = bad[i].avail;
		f->vq.used_gpa = bad[i].used;
		assert_int_equal(vq_start(&f->vq, f->mem, 0), -EINVAL);
		assert_false(f->vq.started);
	}
}

static void walk_gives_readable_then_writable(void **state)
{
	struct fix *f = *state;

	put(f->desc, 5, DATA, 12, F_NEXT, 2);
	put(f->desc, 2, DATA + 100, 1500, F_NEXT, 7);
	put(f->desc, 7, DATA + 5000, 1, F_WRITE, 99); /* next does not count without NEXT */
	assert_int_equal(walk(f, 5, 16), 0);
	assert_int_equal(f->c.head, 5);
	assert_int_equal(f->c.n_out, 2);
	assert_int_equal(f->c.n_in, 1);
	assert_int_equal(f->c.out_len, 1512);
	assert_int_equal(f->c.in_len, 1);
	assert_ptr_equal(f->iov[0].iov_base, mem_ptr(f->mem, DATA, 1));
	assert_int_equal(f->iov[1].iov_len, 1500);
	assert_ptr_equal(f->iov[2].iov_base, mem_ptr(f->mem, DATA + 5000, 1));
}

static void walk_refuses_descriptor_loop(void **state)
{
	struct fix *f = *state;

	put(f->desc, 0, DATA, 1, F_NEXT, 1);
	put(f->desc, 1, DATA, 1, F_NEXT, 0);
	assert_int_equal(walk(f, 0, 16), -EPROTO);
	/* of empty descriptors, which take no room anywhere */
	put(f->desc, 0, 0, 0, F_NEXT, 0);
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), -EPROTO);
}

static void walk_takes_a_chain_of_the_queue_size_and_no_longer(void **state)
{
	struct fix *f = *state;

	for (uint16_t i = 0; i < SIZE + 1; i++)
		put(f->table, i, DATA, 1, i == SIZE - 1 ? 0 : F_NEXT, i + 1);
	assert_int_equal(walk_one(f, TABLE, 16 * (SIZE + 1), F_INDIRECT), 0);
	assert_int_equal(f->c.n_out, SIZE);
	f->table[SIZE - 1].flags = F_NEXT;
	f->table[SIZE].flags = 0;
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), -EPROTO);
}

static void walk_refuses_head_or_next_beyond_its_table(void **state)
{
	struct fix *f = *state;

	put(f->desc, 0, DATA, 1, F_NEXT, SIZE);
	assert_int_equal(walk(f, 0, 16), -EPROTO);
	f->desc[0].next = 0xffff;
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), -EPROTO);
	f->avail->ring[0] = SIZE;
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), -EPROTO);
	/* an indirect table has its own end */
	f->avail->ring[0] = 0;
	put(f->desc, 0, TABLE, 32, F_INDIRECT, 0);
	put(f->table, 0, DATA, 1, F_NEXT, 2);
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), -EPROTO);
}

static void walk_follows_an_indirect_table_after_direct_descriptors(void **state)
{
	struct fix *f = *state;

	put(f->desc, 0, DATA, 10, F_NEXT, 1);
	put(f->desc, 1, TABLE + 8, 32, F_INDIRECT, 0); /* no alignment is asked for */
	put((void *)((char *)f->table + 8), 0, DATA, 20, F_NEXT, 1);
	put((void *)((char *)f->table + 8), 1, DATA, 30, F_WRITE, 0);
	assert_int_equal(walk(f, 0, 16), 0);
	assert_int_equal(f->c.out_len, 30);
	assert_int_equal(f->c.in_len, 30);
}

static void walk_refuses_indirect_inside_indirect(void **state)
{
	struct fix *f = *state;

	put(f->table, 0, TABLE + 64, 16, F_INDIRECT, 0);
	put(f->table, 4, DATA, 1, 0, 0);
	assert_int_equal(walk_one(f, TABLE, 16, F_INDIRECT), -EPROTO);
	/* a descriptor that names the ring's own table, where it finds itself again: without an end
	 * if only addresses were compared */
	put(f->desc, 0, DESC, 16 * SIZE, F_INDIRECT, 0);
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), -EPROTO);
}

static void walk_refuses_wrong_indirect_tables(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{ TABLE, 0, F_INDIRECT },          { TABLE, 15, F_INDIRECT },
		{ TABLE, 17, F_INDIRECT },         { TABLE, 16, F_INDIRECT | F_NEXT },
		{ TABLE, 16 * 32769, F_INDIRECT }, { TABLE, 0xfffffff0, F_INDIRECT },
		{ LOW_END - 8, 16, F_INDIRECT },   { 0xfee00000, 16, F_INDIRECT },
		{ ~15ull, 32, F_INDIRECT },
	};
	struct fix *f = *state;

	put(f->table, 0, DATA, 1, 0, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(f->desc, 0, bad[i].addr, bad[i].len, bad[i].flags, 0);
		f->avail->ring[0] = 0;
		f->avail->idx = 1;
		assert_int_equal(vq_avail(&f->vq), 1);
		assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), -EPROTO);
		assert_non_null(f->vq.why);
	}
}

static void walk_refuses_indirect_that_was_not_negotiated(void **state)
{
	struct fix *f = *state;

	start(f, 0);
	put(f->table, 0, DATA, 1, 0, 0);
	assert_int_equal(walk_one(f, TABLE, 16, F_INDIRECT), -EPROTO);
}

static void walk_refuses_memory_that_is_not_ram(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{ ~0ull, 2 },
		{ ~0ull - 4095, 0xffffffff },   /* wraps */
		{ LOW_END - 1, 2 },             /* ends in the hole */
		{ LOW_END - 4096, 0x40001000 }, /* from one region over the hole into the other */
		{ LOW_END, 1 },
		{ 0xfebf0000, 64 },
		{ 0xfee00000, 4 }, /* hole, BARs, APIC */
		{ 0x100000000ull + (2 << 20) - 1, 2 },
		{ 1ull << 46, 1 },
	};
	struct fix *f = *state;

	f->avail->idx = 1;
	assert_int_equal(vq_avail(&f->vq), 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(f->desc, 0, bad[i].addr, bad[i].len, i & 1 ? F_WRITE : 0, 0);
		assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), -EPROTO);
	}
	put(f->desc, 0, 0x100000000ull, 2 << 20, 0, 0); /* the whole second region is fine */
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), 0);
}

static void walk_skips_empty_descriptor_with_unmapped_address(void **state)
{
	struct fix *f = *state;

	put(f->desc, 0, 0xfee00000, 0, F_NEXT, 1);
	put(f->desc, 1, DATA, 5, 0, 0);
	assert_int_equal(walk(f, 0, 16), 0);
	assert_int_equal(f->c.n_out, 1);
	assert_int_equal(f->c.out_len, 5);
}

static void walk_refuses_readable_after_writable(void **state)
{
	struct fix *f = *state;

	put(f->desc, 0, DATA, 5, F_WRITE | F_NEXT, 1);
	put(f->desc, 1, DATA, 5, 0, 0);
	assert_int_equal(walk(f, 0, 16), -EPROTO);
}

static void walk_stops_at_the_capacity_of_the_list(void **state)
{
	struct fix *f = *state;

	f->iov[3].iov_len = 4711;
	for (uint16_t i = 0; i < 4; i++)
		put(f->desc, i, DATA, 5, i < 3 ? F_NEXT : 0, i + 1);
	assert_int_equal(walk(f, 0, 3), -E2BIG);
	assert_int_equal(f->c.head, 0);
	assert_int_equal(f->iov[3].iov_len, 4711);
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 4, &f->c), 0);
}

struct flipper {
	struct virtq_desc *desc;
	_Atomic bool stop;
};

static void *flip_length(void *arg)
{
	struct flipper *p = arg;

	while (!atomic_load(&p->stop)) {
		__atomic_store_n(&p->desc->len, 0xffffffffu, __ATOMIC_RELAXED);
		__atomic_store_n(&p->desc->len, 64, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void length_changed_while_it_is_checked_is_read_once(void **state)
{
	struct fix *f = *state;
	struct flipper p = { .desc = f->desc };
	pthread_t t;

	put(f->desc, 0, DATA, 64, 0, 0);
	f->avail->idx = 1;
	assert_int_equal(vq_avail(&f->vq), 1);
	assert_int_equal(pthread_create(&t, NULL, flip_length, &p), 0);
	for (int i = 0; i < 300000; i++) {
		int ret = vq_walk(&f->vq, 0, f->iov, 16, &f->c);

		/* the long one is never in memory: refused, or the short one as a whole */
		if (ret != -EPROTO && (ret != 0 || f->iov[0].iov_len != 64 || f->c.out_len != 64))
			fail_msg("walk gave %d, element %zu, total %llu", ret, f->iov[0].iov_len,
				 (unsigned long long)f->c.out_len);
	}
	atomic_store(&p.stop, true);
	pthread_join(t, NULL);
}

static void available_index_too_far_ahead_is_refused(void **state)
{
	struct fix *f = *state;

	f->avail->idx = SIZE;
	assert_int_equal(vq_avail(&f->vq), SIZE);
	f->avail->idx = SIZE + 1;
	assert_int_equal(vq_avail(&f->vq), -EPROTO);
	/* backwards is far ahead */
	f->avail->idx = 0xffff;
	assert_int_equal(vq_avail(&f->vq), -EPROTO);
	/* what is taken and not given back counts: a driver cannot have more chains out than there
	 * are descriptors */
	f->avail->idx = SIZE;
	assert_int_equal(vq_avail(&f->vq), SIZE);
	vq_take(&f->vq, SIZE);
	f->avail->idx = SIZE + 1;
	assert_int_equal(vq_avail(&f->vq), -EPROTO);
}

/* Takes and gives back one chain. */
static bool turn(struct fix *f)
{
	f->avail->idx++;
	assert_int_equal(vq_avail(&f->vq), 1);
	vq_take(&f->vq, 1);
	vq_put_used(&f->vq, f->used->idx & 0xff, f->used->idx);
	return vq_publish(&f->vq);
}

static void used_ring_wraps_and_interrupts_unless_told_not_to(void **state)
{
	struct fix *f = *state;

	for (unsigned int i = 0; i < 70000; i++) {
		f->avail->flags = i & 1;
		assert_int_equal(turn(f), !(i & 1));
		assert_int_equal(f->used->idx, (uint16_t)(i + 1));
		assert_int_equal(f->used->ring[i % SIZE].len, i & 0xffff);
	}
	assert_int_equal(vq_in_flight(&f->vq), 0);
	assert_false(vq_publish(&f->vq));
}

static void event_index_asks_for_one_interrupt_also_across_the_wrap(void **state)
{
	struct fix *f = *state;
	uint16_t *used_event = &f->avail->ring[SIZE];
	unsigned int n = 0;

	start(f, EVENT_IDX);
	/* the driver waits for entry 9, 19, ... of free running indices */
	*used_event = 9;
	f->avail->flags = 1; /* has no meaning with EVENT_IDX */
	for (unsigned int i = 0; i < 140000; i++)
		if (turn(f)) {
			assert_int_equal(f->used->idx, (uint16_t)(*used_event + 1));
			*used_event += 10;
			n++;
		}
	assert_int_equal(n, 14000);
}

static void event_index_is_passed_by_a_batch(void **state)
{
	struct fix *f = *state;

	start(f, EVENT_IDX);
	f->avail->ring[SIZE] = 2;
	f->avail->idx = 5;
	assert_int_equal(vq_avail(&f->vq), 5);
	vq_take(&f->vq, 5);
	for (uint16_t i = 0; i < 5; i++)
		vq_put_used(&f->vq, i, 0);
	assert_int_equal(f->used->idx, 0); /* nothing is seen before the publication */
	assert_true(vq_publish(&f->vq));
	assert_int_equal(f->used->idx, 5);
}

static void notifications_by_flag_without_event_index(void **state)
{
	struct fix *f = *state;

	vq_notify_off(&f->vq);
	assert_int_equal(f->used->flags, 1);
	vq_notify_on(&f->vq);
	assert_int_equal(f->used->flags, 0);
}

static void notifications_by_event_index(void **state)
{
	struct fix *f = *state;
	uint16_t *avail_event = (uint16_t *)&f->used->ring[SIZE];

	start(f, EVENT_IDX);
	f->avail->idx = 3;
	assert_int_equal(vq_avail(&f->vq), 3);
	vq_take(&f->vq, 1);
	vq_notify_off(&f->vq);
	assert_int_equal(f->used->flags, 0);
	vq_notify_on(&f->vq);
	/* the next new chain, not one of those that we have seen and left */
	assert_int_equal(*avail_event, 3);
	assert_true(virtq_need_event(*avail_event, 4, 3));
}

static void pull_copies_over_pieces_and_says_when_it_is_short(void **state)
{
	char a[3] = "abc", b[1] = "d", c[4] = "efgh", out[8] = "";
	struct iovec list[3] = { { a, 3 }, { b, 1 }, { c, 4 } }, *iov = list;
	unsigned int n = 3;

	assert_true(vq_pull(&iov, &n, out, 5));
	assert_memory_equal(out, "abcde", 5);
	assert_int_equal(n, 1);
	assert_int_equal(iov[0].iov_len, 3);
	assert_false(vq_pull(&iov, &n, out, 4));
	assert_int_equal(n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ring_of_bad_size_or_address_does_not_start),
		T(walk_gives_readable_then_writable),
		T(walk_refuses_descriptor_loop),
		T(walk_takes_a_chain_of_the_queue_size_and_no_longer),
		T(walk_refuses_head_or_next_beyond_its_table),
		T(walk_follows_an_indirect_table_after_direct_descriptors),
		T(walk_refuses_indirect_inside_indirect),
		T(walk_refuses_wrong_indirect_tables),
		T(walk_refuses_indirect_that_was_not_negotiated),
		T(walk_refuses_memory_that_is_not_ram),
		T(walk_skips_empty_descriptor_with_unmapped_address),
		T(walk_refuses_readable_after_writable),
		T(walk_stops_at_the_capacity_of_the_list),
		T(length_changed_while_it_is_checked_is_read_once),
		T(available_index_too_far_ahead_is_refused),
		T(used_ring_wraps_and_interrupts_unless_told_not_to),
		T(event_index_asks_for_one_interrupt_also_across_the_wrap),
		T(event_index_is_passed_by_a_batch),
		T(notifications_by_flag_without_event_index),
		T(notifications_by_event_index),
		T(pull_copies_over_pieces_and_says_when_it_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
