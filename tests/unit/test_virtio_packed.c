/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packed virtqueues: first the walker alone against a driver that keeps the rules or breaks each of
 * them, then virtio-net with packed rings, frames there and back. VIRTIO 1.2 section 2.8.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "helper_virtio.h"

#define RING       0x1000ull
#define DRIVER     0x3000ull
#define DEVICE     0x3100ull
#define TABLE      0x4000ull
#define DATA       0x10000ull
#define PACKED     VIRTIO_BIT(VIRTIO_F_RING_PACKED)
#define F_NEXT     1
#define F_WRITE    2
#define F_INDIRECT 4
#define AVAIL      0x80
#define USED       0x8000

/* A driver's view of one packed ring. */
struct drv {
	struct pvirtq_desc *ring;
	struct pvirtq_event *driver, *device;
	uint16_t size, next, used;
	bool next_wrap, used_wrap;
};

struct fix {
	struct guest_mem *mem;
	struct virtqueue vq;
	struct drv d;
	struct pvirtq_desc *table;
	struct iovec iov[16];
	struct vq_chain c;
};

static void drv_init(struct drv *d, struct guest_mem *mem, uint64_t ring, uint64_t driver,
		     uint64_t device, uint16_t size)
{
	*d = (struct drv){ .ring = mem_ptr(mem, ring, 16u * size),
			   .driver = mem_ptr(mem, driver, 4),
			   .device = mem_ptr(mem, device, 4),
			   .size = size,
			   .next_wrap = true,
			   .used_wrap = true };
	memset(d->ring, 0, 16u * size);
	memset(d->driver, 0, 4);
	memset(d->device, 0, 4);
}

static uint16_t bits(bool wrap)
{
	return wrap ? AVAIL : USED;
}

static void step(struct drv *d, uint16_t *pos, bool *wrap, unsigned int n)
{
	*pos = (uint16_t)(*pos + n);
	if (*pos >= d->size) {
		*pos = (uint16_t)(*pos - d->size);
		*wrap = !*wrap;
	}
}

/* The next descriptor, available at once. */
static struct pvirtq_desc *drv_put(struct drv *d, uint64_t addr, uint32_t len, uint16_t id,
				   uint16_t flags)
{
	struct pvirtq_desc *p = &d->ring[d->next];

	*p = (struct pvirtq_desc){
		.addr = addr, .len = len, .id = id, .flags = flags | bits(d->next_wrap)
	};
	step(d, &d->next, &d->next_wrap, 1);
	return p;
}

/* The next used entry: its id, or -1. It skips `n` places. */
static int drv_get(struct drv *d, unsigned int n, uint32_t *len)
{
	const struct pvirtq_desc *p = &d->ring[d->used];
	bool avail = p->flags & AVAIL, used = p->flags & USED;

	if (avail != used || used != d->used_wrap)
		return -1;
	if (len)
		*len = p->flags & F_WRITE ? p->len : 0;
	step(d, &d->used, &d->used_wrap, n);
	return p->id;
}

static void start_size(struct fix *f, uint64_t features, uint16_t size)
{
	drv_init(&f->d, f->mem, RING, DRIVER, DEVICE, size);
	vq_init(&f->vq, 256);
	f->vq.size = size;
	f->vq.desc_gpa = RING;
	f->vq.avail_gpa = DRIVER;
	f->vq.used_gpa = DEVICE;
	assert_int_equal(vq_start(&f->vq, f->mem, features | PACKED), 0);
}

static int setup(void **state)
{
	static struct fix f;

	memset(&f, 0, sizeof(f));
	if (mem_create(4 << 20, &f.mem) < 0)
		return -1;
	f.table = mem_ptr(f.mem, TABLE, 4096);
	start_size(&f, VG_F_INDIRECT, 8);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	mem_destroy(((struct fix *)*state)->mem);
	return 0;
}

static int walk(struct fix *f, unsigned int max_iov)
{
	assert_true(vq_avail(&f->vq) > 0);
	return vq_walk(&f->vq, 0, f->iov, max_iov, &f->c);
}

/* --- the ring --- */
static void ring_of_bad_size_or_address_does_not_start(void **state)
{
	static const struct {
		uint16_t size;
		uint64_t ring, driver, device;
	} bad[] = {
		{ 0, RING, DRIVER, DEVICE },     { 257, RING, DRIVER, DEVICE },
		{ 8, 0, DRIVER, DEVICE },        { 8, RING + 8, DRIVER, DEVICE },
		{ 8, RING, 0, DEVICE },          { 8, RING, DRIVER + 2, DEVICE },
		{ 8, RING, DRIVER, DEVICE + 2 }, { 8, (4 << 20) - 64, DRIVER, DEVICE },
		{ 8, RING, DRIVER, 4 << 20 },    { 8, RING, ~3ull, DEVICE },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vq_init(&f->vq, 256);
		f->vq.size = bad[i].size;
		f->vq.desc_gpa = bad[i].ring;
		f->vq.avail_gpa = bad[i].driver;
		f->vq.used_gpa = bad[i].device;
		assert_int_equal(vq_start(&f->vq, f->mem, PACKED), -EINVAL);
		assert_false(f->vq.started);
	}
	vq_init(&f->vq, 2048);
	f->vq.size = 2048;
	f->vq.desc_gpa = RING;
	f->vq.avail_gpa = f->vq.used_gpa = 0x20000;
	assert_int_equal(vq_start(&f->vq, f->mem, PACKED), -EINVAL);
}

static void chain_is_seen_when_its_first_descriptor_is_available(void **state)
{
	struct fix *f = *state;

	assert_int_equal(vq_avail(&f->vq), 0);
	drv_put(&f->d, DATA, 10, 0, F_NEXT);
	f->d.ring[0].flags = F_NEXT; /* not yet */
	drv_put(&f->d, DATA + 100, 20, 0, F_NEXT);
	drv_put(&f->d, DATA + 200, 30, 5, F_WRITE);
	assert_int_equal(vq_avail(&f->vq), 0);
	f->d.ring[0].flags = F_NEXT | AVAIL;
	assert_int_equal(vq_avail(&f->vq), 1);
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), 0);
	assert_int_equal(f->c.head, 5); /* the id of the last one */
	assert_int_equal(f->c.n_out, 2);
	assert_int_equal(f->c.n_in, 1);
	assert_int_equal(f->c.out_len, 30);
	assert_ptr_equal(f->iov[2].iov_base, mem_ptr(f->mem, DATA + 200, 1));
}

static void used_entries_come_in_any_order_and_skip_whole_chains(void **state)
{
	struct fix *f = *state;
	uint32_t len;

	drv_put(&f->d, DATA, 10, 0, F_NEXT);
	drv_put(&f->d, DATA, 10, 1, 0);
	drv_put(&f->d, DATA, 10, 2, F_WRITE);
	drv_put(&f->d, DATA, 10, 0, F_NEXT | F_WRITE);
	drv_put(&f->d, DATA, 10, 0, F_NEXT | F_WRITE);
	drv_put(&f->d, DATA, 10, 3, F_WRITE);
	assert_int_equal(vq_avail(&f->vq), 3);
	for (unsigned int pos = 0; pos < 3; pos++)
		assert_int_equal(vq_walk(&f->vq, pos, f->iov, 16, &f->c), 0);
	vq_take(&f->vq, 3);
	assert_int_equal(vq_in_flight(&f->vq), 3);
	vq_put_used(&f->vq, 3, 25);
	vq_put_used(&f->vq, 1, 0);
	assert_int_equal(drv_get(&f->d, 3, &len), -1); /* shown by vq_publish() only */
	assert_true(vq_publish(&f->vq));
	assert_int_equal(drv_get(&f->d, 3, &len), 3);
	assert_int_equal(len, 25);
	assert_int_equal(drv_get(&f->d, 2, &len), 1);
	assert_int_equal(len, 0);
	assert_int_equal(drv_get(&f->d, 1, &len), -1);
	assert_false(vq_publish(&f->vq));
	vq_put_used(&f->vq, 2, 7);
	assert_true(vq_publish(&f->vq));
	assert_int_equal(drv_get(&f->d, 1, &len), 2);
	assert_int_equal(vq_in_flight(&f->vq), 0);
}

/* Chains of 1 to 3 descriptors round and round a ring whose size is no power of two. */
static void wrap_counters_hold_for_many_rounds(void **state)
{
	struct fix *f = *state;
	uint16_t free_id[7] = { 0, 1, 2, 3, 4, 5, 6 };
	unsigned int n_free = 7, len_of[7], room = 7, posted = 0, done = 0;
	uint16_t held[7];
	unsigned int n_held = 0;
	uint32_t seed = 1, len;

	start_size(f, VG_F_EVENT, 7);
	while (done < 5000) {
		unsigned int n = 1 + (seed = seed * 1103515245 + 12345, seed >> 16) % 3;

		while (n <= room && n_free) {
			uint16_t id = free_id[--n_free];

			for (unsigned int i = 0; i < n; i++)
				drv_put(&f->d, DATA + 64 * id, 1 + id, id, i + 1 < n ? F_NEXT : 0);
			len_of[id] = n;
			room -= n;
			posted++;
		}
		for (int k = vq_avail(&f->vq); k > 0; k--) {
			assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), 0);
			assert_int_equal(f->c.n_out, len_of[f->c.head]);
			assert_int_equal(f->c.out_len, len_of[f->c.head] * (1u + f->c.head));
			held[n_held++] = f->c.head;
			vq_take(&f->vq, 1);
		}
		/* one of those in flight, not the oldest */
		vq_put_used(&f->vq, held[(seed >> 8) % n_held], 0);
		held[(seed >> 8) % n_held] = held[n_held - 1];
		n_held--;
		vq_publish(&f->vq);
		for (;;) {
			const struct pvirtq_desc *p = &f->d.ring[f->d.used];
			int id = drv_get(&f->d, len_of[p->id % 7], &len);

			if (id < 0)
				break;
			room += len_of[id];
			free_id[n_free++] = (uint16_t)id;
			done++;
		}
	}
	assert_in_range(posted - done, 0, 7);
}

/* --- tables --- */
static void table(struct fix *f, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags)
{
	f->table[i] = (struct pvirtq_desc){ .addr = addr, .len = len, .id = 999, .flags = flags };
}

static void indirect_table_is_one_descriptor_of_the_ring(void **state)
{
	struct fix *f = *state;

	table(f, 0, DATA, 10, 0);
	table(f, 1, DATA + 100, 20, F_NEXT | AVAIL); /* but WRITE nothing counts there */
	table(f, 2, DATA + 200, 30, F_WRITE | F_INDIRECT);
	drv_put(&f->d, TABLE, 48, 6, F_INDIRECT | F_WRITE);
	assert_int_equal(walk(f, 16), 0);
	assert_int_equal(f->c.head, 6);
	assert_int_equal(f->c.n_out, 2);
	assert_int_equal(f->c.n_in, 1);
	vq_take(&f->vq, 1);
	vq_put_used(&f->vq, 6, 30);
	vq_publish(&f->vq);
	assert_int_equal(drv_get(&f->d, 1, NULL), 6);
	assert_int_equal(vq_avail(&f->vq), 0);
}

/* --- rules that are broken --- */
static void assert_broken(struct fix *f, int ret)
{
	assert_int_equal(ret, -EPROTO);
	assert_non_null(f->vq.why);
}

static void wrong_indirect_tables_are_refused(void **state)
{
	static const struct {
		uint64_t addr, features;
		uint32_t len;
		bool in_chain;
	} row[] = {
		{ TABLE, 0, 16, false }, /* not negotiated */
		{ TABLE, VG_F_INDIRECT, 0, false },
		{ TABLE, VG_F_INDIRECT, 17, false },
		{ TABLE, VG_F_INDIRECT, 16 * 9, false }, /* longer than the queue */
		{ TABLE, VG_F_INDIRECT, 16 * 65536, false },
		{ 4 << 20, VG_F_INDIRECT, 16, false }, /* no memory */
		{ ~0ull - 8, VG_F_INDIRECT, 16, false },
		{ TABLE, VG_F_INDIRECT, 16, true },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		start_size(f, row[i].features, 8);
		table(f, 0, DATA, 10, 0);
		drv_put(&f->d, row[i].addr, row[i].len, 0,
			row[i].in_chain ? F_INDIRECT | F_NEXT : F_INDIRECT);
		if (row[i].in_chain)
			drv_put(&f->d, DATA, 10, 0, 0);
		assert_broken(f, walk(f, 16));
	}
	/* and the same behind another one */
	start_size(f, VG_F_INDIRECT, 8);
	drv_put(&f->d, DATA, 10, 0, F_NEXT);
	drv_put(&f->d, TABLE, 16, 0, F_INDIRECT);
	assert_broken(f, walk(f, 16));
}

static void wrong_elements_are_refused(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} row[] = { { 4 << 20, 1 }, { (4 << 20) - 1, 2 }, { ~0ull, 1 }, { ~0ull, 0xffffffff } };
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		start_size(f, 0, 8);
		drv_put(&f->d, row[i].addr, row[i].len, 0, 0);
		assert_broken(f, walk(f, 16));
	}
	start_size(f, 0, 8);
	drv_put(&f->d, ~0ull, 0, 0, F_NEXT); /* no bytes: not looked at */
	drv_put(&f->d, DATA, 4, 0, F_WRITE | F_NEXT);
	drv_put(&f->d, DATA, 4, 0, 0); /* readable after writable */
	assert_broken(f, walk(f, 16));
	start_size(f, 0, 8);
	drv_put(&f->d, ~0ull, 0, 0, F_NEXT);
	drv_put(&f->d, DATA, 4, 3, F_WRITE);
	assert_int_equal(walk(f, 16), 0);
	assert_int_equal(f->c.n_in, 1);
}

static void more_elements_than_there_is_place_for_is_said(void **state)
{
	struct fix *f = *state;

	for (unsigned int i = 0; i < 4; i++)
		drv_put(&f->d, DATA, 10, 4, i < 3 ? F_NEXT : 0);
	assert_int_equal(walk(f, 3), -E2BIG);
	assert_int_equal(f->c.head, 4);
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 4, &f->c), 0);
}

static void chain_without_an_end_is_refused(void **state)
{
	struct fix *f = *state;

	for (unsigned int i = 0; i < 8; i++)
		drv_put(&f->d, DATA, 10, 0, F_NEXT);
	assert_broken(f, vq_avail(&f->vq));
	/* it goes on where the driver has put nothing */
	start_size(f, 0, 8);
	drv_put(&f->d, DATA, 10, 0, F_NEXT);
	assert_broken(f, vq_avail(&f->vq));
}

static void more_descriptors_than_the_ring_has_are_refused(void **state)
{
	struct fix *f = *state;

	for (uint16_t i = 0; i < 8; i++)
		drv_put(&f->d, DATA, 10, i, 0);
	assert_int_equal(vq_avail(&f->vq), 8);
	drv_put(&f->d, DATA, 10, 0, 0); /* over one that was not given back */
	assert_broken(f, vq_avail(&f->vq));
}

static void wrong_ids_are_refused(void **state)
{
	struct fix *f = *state;

	drv_put(&f->d, DATA, 10, 8, 0);
	assert_broken(f, vq_avail(&f->vq));
	start_size(f, 0, 8);
	drv_put(&f->d, DATA, 10, 0xffff, 0);
	assert_broken(f, vq_avail(&f->vq));
	start_size(f, 0, 8);
	drv_put(&f->d, DATA, 10, 3, 0);
	drv_put(&f->d, DATA, 10, 3, 0);
	assert_broken(f, vq_avail(&f->vq));
}

static void chain_that_changes_between_the_looks_is_refused(void **state)
{
	struct fix *f = *state;

	drv_put(&f->d, DATA, 10, 0, F_NEXT);
	drv_put(&f->d, DATA, 10, 1, 0);
	assert_int_equal(vq_avail(&f->vq), 1);
	f->d.ring[1].flags |= F_NEXT;
	assert_broken(f, vq_walk(&f->vq, 0, f->iov, 16, &f->c));
	f->d.ring[1].flags &= (uint16_t)~F_NEXT;
	f->d.ring[0].flags &= (uint16_t)~F_NEXT;
	assert_broken(f, vq_walk(&f->vq, 0, f->iov, 16, &f->c));
	/* the id that counts is the one that was seen first */
	f->d.ring[0].flags |= F_NEXT;
	f->d.ring[1].id = 7;
	assert_int_equal(vq_walk(&f->vq, 0, f->iov, 16, &f->c), 0);
	assert_int_equal(f->c.head, 1);
}

/* --- events --- */
/* n buffers go through; true when the driver is interrupted. */
static bool pass(struct fix *f, unsigned int n)
{
	for (uint16_t i = 0; i < n; i++)
		drv_put(&f->d, DATA, 10, i, 0);
	assert_int_equal(vq_avail(&f->vq), n);
	for (uint16_t i = 0; i < n; i++) {
		vq_walk(&f->vq, i, f->iov, 16, &f->c);
		vq_put_used(&f->vq, i, 0);
	}
	vq_take(&f->vq, n);
	for (uint16_t i = 0; i < n; i++)
		step(&f->d, &f->d.used, &f->d.used_wrap, 1);
	return vq_publish(&f->vq);
}

static void interrupts_follow_the_drivers_flags(void **state)
{
	struct fix *f = *state;

	assert_true(pass(f, 1));
	f->d.driver->flags = PVIRTQ_EVENT_DISABLE;
	assert_false(pass(f, 3));
	f->d.driver->flags = PVIRTQ_EVENT_ENABLE;
	assert_true(pass(f, 8));
	/* without EVENT_IDX nobody may name a descriptor: better one interrupt too many */
	f->d.driver->flags = PVIRTQ_EVENT_DESC;
	assert_true(pass(f, 1));
	f->d.driver->flags = 3;
	assert_true(pass(f, 1));
}

static void interrupt_comes_at_the_descriptor_the_driver_named(void **state)
{
	struct fix *f = *state;

	start_size(f, VG_F_EVENT, 8);
	f->d.driver->flags = PVIRTQ_EVENT_DESC;
	f->d.driver->off_wrap = 2 | 0x8000;
	assert_false(pass(f, 2));  /* 0, 1 */
	assert_true(pass(f, 1));   /* 2 */
	assert_false(pass(f, 1));  /* 3 */
	f->d.driver->off_wrap = 1; /* in the next round */
	assert_false(pass(f, 4));  /* 4 to 7 */
	assert_false(pass(f, 1));  /* 0 */
	assert_true(pass(f, 1));   /* 1 */
	f->d.driver->off_wrap = 7;
	assert_true(pass(f, 8)); /* 2 to 7, 0 and 1 of the next round: a batch that passes it */
	f->d.driver->off_wrap = 0x7fff; /* nonsense does no harm */
	pass(f, 8);
	f->d.driver->off_wrap = 0xffff;
	pass(f, 8);
	f->d.driver->flags = PVIRTQ_EVENT_DISABLE;
	assert_false(pass(f, 8));
}

static void notifications_are_asked_for_and_not(void **state)
{
	struct fix *f = *state;

	vq_notify_off(&f->vq);
	assert_int_equal(f->d.device->flags, PVIRTQ_EVENT_DISABLE);
	vq_notify_on(&f->vq);
	assert_int_equal(f->d.device->flags, PVIRTQ_EVENT_ENABLE);
	start_size(f, VG_F_EVENT, 8);
	vq_notify_off(&f->vq);
	assert_int_equal(f->d.device->flags, PVIRTQ_EVENT_DISABLE);
	pass(f, 5);
	vq_notify_on(&f->vq);
	assert_int_equal(f->d.device->flags, PVIRTQ_EVENT_DESC);
	assert_int_equal(f->d.device->off_wrap, 5 | 0x8000);
	pass(f, 3);
	vq_notify_on(&f->vq);
	assert_int_equal(f->d.device->off_wrap, 0);
}

static void rings_full_of_noise_harm_nothing(void **state)
{
	struct fix *f = *state;
	uint32_t seed = 3;

	for (unsigned int round = 0; round < 20000; round++) {
		start_size(f, VG_F_INDIRECT | VG_F_EVENT, 8);
		for (unsigned int i = 0; i < 8 * 16; i++) {
			seed = seed * 1664525 + 1013904223;
			((uint8_t *)f->d.ring)[i] = (uint8_t)(seed >> 24);
		}
		for (unsigned int i = 0; i < 8; i++) {
			f->d.ring[i].id &= 7;
			f->d.ring[i].addr &= 0x7fffff;
			f->d.ring[i].len &= 0xfffff;
			if (seed >> i & 1)
				f->d.ring[i].flags = (uint16_t)((f->d.ring[i].flags & 7) | AVAIL);
		}
		for (int k = vq_avail(&f->vq); k > 0; k--) {
			if (vq_walk(&f->vq, 0, f->iov, 16, &f->c) == -EPROTO)
				break;
			vq_take(&f->vq, 1);
			vq_put_used(&f->vq, f->c.head, 1);
			vq_publish(&f->vq);
		}
	}
}

/* --- virtio-net --- */
static int setup_net(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,backend=loop,packed=on,queue_size=64", -1);
	*state = &g;
	return 0;
}

static int teardown_net(void **state)
{
	vg_down(*state);
	return 0;
}

static void start_net(struct vg *g, struct drv d[3], uint64_t features, uint16_t size)
{
	for (unsigned int q = 0; q < 3; q++)
		drv_init(&d[q], g->mem, VG_RING(q), VG_RING(q) + VG_AVAIL_OFF,
			 VG_RING(q) + VG_USED_OFF, size);
	vg_negotiate(g, VG_F_NET | PACKED | features);
	for (unsigned int q = 0; q < 3; q++)
		vg_setup_queue(g, q, size);
	vg_set_status(g, 15);
	assert_int_equal(vg_status(g), 15);
}

static void packed_rings_are_offered_when_asked_for(void **state)
{
	struct vg *g = *state, plain;

	vg_write(g, 0, 4, 1);
	assert_int_equal(vg_read(g, 4, 4) & 4, 4);
	vg_up(&plain, "virtio,backend=loop", -1);
	vg_write(&plain, 0, 4, 1);
	assert_int_equal(vg_read(&plain, 4, 4) & 4, 0);
	vg_down(&plain);
	vg_up(&plain, "virtio,backend=loop,packed=off", -1);
	vg_write(&plain, 0, 4, 1);
	assert_int_equal(vg_read(&plain, 4, 4) & 4, 0);
	vg_down(&plain);
}

static void split_rings_work_where_packed_ones_are_offered(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	memset(vg_ptr(g, VG_DATA), 0, 100);
	vg_set_desc(g, VG_TX, 0, VG_DATA, 72, 0, 0);
	vg_post(g, VG_TX, 0);
	vg_poll(g);
	vg_poll(g);
	assert_int_equal(vg_used(g, VG_TX)->idx, 1);
	vg_write(g, 0x16, 2, 2);
	vg_write(g, 0x18, 2, 24);
	assert_int_equal(vg_read(g, 0x18, 2), 64); /* no power of two */
}

static void frames_come_back(void **state)
{
	static const uint16_t sizes[] = { 64, 24, 5 };
	struct vg *g = *state;
	struct drv d[3];
	uint32_t len;

	for (size_t s = 0; s < 3; s++) {
		start_net(g, d, VG_F_MRG | (s & 1 ? VG_F_EVENT : 0), sizes[s]);
		for (uint16_t i = 0; i < sizes[s]; i++)
			drv_put(&d[VG_RX], VG_DATA + 0x800 * i, 1000, i, F_WRITE);
		memset(vg_ptr(g, VG_DATA + 0x100000), 0, 12);
		for (unsigned int n = 0; n < 300; n++) {
			uint8_t *p = vg_ptr(g, VG_DATA + 0x100000 + 12);
			uint32_t size = n % 7 == 6 ? 1500 : 60 + n;
			unsigned int bufs = 12 + size > 1000 ? 2 : 1;
			int id = -1;

			for (uint32_t i = 0; i < size; i++)
				p[i] = (uint8_t)(i + n);
			drv_put(&d[VG_TX], VG_DATA + 0x100000, 12, 0, F_NEXT);
			drv_put(&d[VG_TX], VG_DATA + 0x100000 + 12, size, 1, 0);
			for (int k = 0; k < 3; k++)
				vg_poll(g);
			assert_int_equal(drv_get(&d[VG_TX], 2, NULL), 1);
			for (unsigned int b = 0; b < bufs; b++) {
				id = drv_get(&d[VG_RX], 1, &len);
				assert_true(id >= 0);
				p = vg_ptr(g, VG_DATA + 0x800 * (uint64_t)id);
				if (b == 0)
					assert_int_equal(p[10], bufs); /* num_buffers */
				if (b == 0)
					assert_int_equal(p[12], (uint8_t)n);
				drv_put(&d[VG_RX], VG_DATA + 0x800 * (uint64_t)id, 1000,
					(uint16_t)id, F_WRITE);
			}
			assert_int_equal(len, bufs == 2 ? 12 + size - 1000 : 12 + size);
			assert_int_equal(p[len - 1], (uint8_t)(size - 1 + n));
			assert_int_equal(drv_get(&d[VG_RX], 1, NULL), -1);
		}
	}
}

/* As DPDK's driver sends frames of several pieces: the header is marked as ours to write. */
static void sent_table_may_be_marked_writable(void **state)
{
	struct vg *g = *state;
	struct pvirtq_desc *t;
	struct drv d[3];

	start_net(g, d, VG_F_INDIRECT, 16);
	t = vg_ptr(g, VG_DATA + 0x4000);
	for (uint16_t n = 0; n < 40; n++) {
		memset(vg_ptr(g, VG_DATA), 0, 12);
		t[0] = (struct pvirtq_desc){ .addr = VG_DATA, .len = 12, .flags = F_WRITE };
		t[1] = (struct pvirtq_desc){ .addr = VG_DATA + 12, .len = 60, .flags = AVAIL };
		drv_put(&d[VG_TX], VG_DATA + 0x4000, 32, n % 16, F_INDIRECT);
		vg_poll(g);
		vg_poll(g);
		assert_int_equal(drv_get(&d[VG_TX], 1, NULL), n % 16);
	}
	assert_int_equal(vg_counter(g, "tx_frames"), 40);
	assert_int_equal(vg_counter(g, "tx_bytes"), 40 * 60);
	/* where there is something to write the rule holds */
	t[0].flags = F_WRITE;
	drv_put(&d[VG_RX], VG_DATA + 0x4000, 32, 0, F_INDIRECT);
	drv_put(&d[VG_TX], VG_DATA, 72, 0, 0);
	vg_poll(g);
	vg_poll(g);
	assert_int_equal(vg_status(g) & 64, 64);
}

static void commands_are_answered(void **state)
{
	static const uint8_t cmd[] = { 0, 0, 0 };
	struct vg *g = *state;
	struct drv d[3];

	start_net(g, d,
		  VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) | VG_F_EVENT,
		  16);
	for (unsigned int n = 0; n < 40; n++) {
		uint8_t *status = vg_ptr(g, VG_DATA + 100);

		memcpy(vg_ptr(g, VG_DATA), cmd, sizeof(cmd));
		*status = 0xee;
		drv_put(&d[2], VG_DATA, 3, 0, F_NEXT);
		drv_put(&d[2], VG_DATA + 100, 1, 3, F_WRITE);
		vg_poll(g);
		assert_int_equal(*status, 0);
		assert_int_equal(drv_get(&d[2], 2, NULL), 3);
		/* and the next one is to be told of */
		assert_int_equal(d[2].device->flags, PVIRTQ_EVENT_DESC);
		assert_int_equal(d[2].device->off_wrap & 0x7fff, d[2].next);
	}
	assert_false(g->v->be->filter.promisc);
}

static void broken_ring_stops_the_device_until_a_reset(void **state)
{
	struct vg *g = *state;
	struct drv d[3];

	start_net(g, d, 0, 16);
	drv_put(&d[VG_TX], VG_DATA, 72, 16, 0); /* an id beyond the queue */
	vg_poll(g);
	assert_int_equal(vg_status(g) & 64, 64);
	assert_int_equal(vg_read(g, 0x1000, 1) & 2, 2);
	assert_int_equal(vg_counter(g, "needs_reset"), 1);
	start_net(g, d, 0, 16);
	drv_put(&d[VG_TX], VG_DATA, 72, 0, 0);
	vg_poll(g);
	vg_poll(g);
	assert_int_equal(drv_get(&d[VG_TX], 1, NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define N(name) cmocka_unit_test_setup_teardown(name, setup_net, teardown_net)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ring_of_bad_size_or_address_does_not_start),
		T(chain_is_seen_when_its_first_descriptor_is_available),
		T(used_entries_come_in_any_order_and_skip_whole_chains),
		T(wrap_counters_hold_for_many_rounds),
		T(indirect_table_is_one_descriptor_of_the_ring),
		T(wrong_indirect_tables_are_refused),
		T(wrong_elements_are_refused),
		T(more_elements_than_there_is_place_for_is_said),
		T(chain_without_an_end_is_refused),
		T(more_descriptors_than_the_ring_has_are_refused),
		T(wrong_ids_are_refused),
		T(chain_that_changes_between_the_looks_is_refused),
		T(interrupts_follow_the_drivers_flags),
		T(interrupt_comes_at_the_descriptor_the_driver_named),
		T(notifications_are_asked_for_and_not),
		T(rings_full_of_noise_harm_nothing),
		N(packed_rings_are_offered_when_asked_for),
		N(split_rings_work_where_packed_ones_are_offered),
		N(frames_come_back),
		N(sent_table_may_be_marked_writable),
		N(commands_are_answered),
		N(broken_ring_stops_the_device_until_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
