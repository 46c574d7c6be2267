/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of trapped regions (see bus.h). Readers are the vCPU threads and the I/O thread; they
 * never wait. Writers copy the table under a mutex. A reader announces the epoch it entered in; a
 * replaced table carries the epoch of its replacement and is freed by a later writer once every
 * announced epoch is younger.
 */
#include "core/bus.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct bus_table {
	struct bus_table *next_retired;
	uint64_t retired_at;
	size_t n;
	struct bus_region region[];
};

struct bus_reader {
	_Atomic uint64_t epoch;          /* 0: not inside */
	char pad[64 - sizeof(uint64_t)]; /* a cache line a reader, so that they do not disturb each
					    other */
};

struct bus {
	_Atomic(struct bus_table *) table;
	_Atomic uint64_t epoch; /* starts at 1 */
	pthread_mutex_t lock;   /* writers; retired list */
	struct bus_table *retired;
	struct bus_reader reader[BUS_READERS_MAX];
};

int bus_create(struct bus **out)
{
	struct bus *b = calloc(1, sizeof(*b));
	struct bus_table *t = calloc(1, sizeof(*t));

	if (!b || !t) {
		free(b);
		free(t);
		return -ENOMEM;
	}
	atomic_store(&b->epoch, 1);
	atomic_store(&b->table, t);
	pthread_mutex_init(&b->lock, NULL);
	*out = b;
	return 0;
}

void bus_destroy(struct bus *b)
{
	if (!b)
		return;
	for (struct bus_table *t = b->retired, *next; t; t = next) {
		next = t->next_retired;
		free(t);
	}
	free(atomic_load(&b->table));
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static void bus_free_retired(struct bus *b)
{
	uint64_t oldest = UINT64_MAX;

	for (size_t i = 0; i < BUS_READERS_MAX; i++) {
		uint64_t e = atomic_load(&b->reader[i].epoch);

		if (e && e < oldest)
			oldest = e;
	}
	for (struct bus_table **p = &b->retired, *t; (t = *p);) {
		if (t->retired_at < oldest) {
			*p = t->next_retired;
			free(t);
		} else {
			p = &t->next_retired;
		}
	}
}

/* Under the lock: `now` replaces the table. */
static void bus_publish(struct bus *b, struct bus_table *now)
{
	struct bus_table *old = atomic_exchange(&b->table, now);

	/* a reader that announces the new epoch has announced it before loading the table, and so
	 * sees `now` */
	old->retired_at = atomic_fetch_add(&b->epoch, 1);
	old->next_retired = b->retired;
	b->retired = old;
	bus_free_retired(b);
}

/* Index of the last region whose base is <= addr, or n when there is none. */
static size_t bus_lookup(const struct bus_table *t, uint64_t addr)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->region[mid].base <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? lo - 1 : t->n;
}

int bus_add(struct bus *b, const struct bus_region *r)
{
	struct bus_table *old, *now;
	size_t i = 0;

	if (!r->size || r->base + r->size - 1 < r->base)
		return -EINVAL;
	pthread_mutex_lock(&b->lock);
	old = atomic_load(&b->table);
	while (i < old->n && old->region[i].base < r->base)
		i++;
	if ((i && old->region[i - 1].base + (old->region[i - 1].size - 1) >= r->base) ||
	    (i < old->n && r->base + (r->size - 1) >= old->region[i].base)) {
		pthread_mutex_unlock(&b->lock);
		return -EEXIST;
	}
	now = malloc(sizeof(*now) + (old->n + 1) * sizeof(now->region[0]));
	if (!now) {
		pthread_mutex_unlock(&b->lock);
		return -ENOMEM;
	}
	now->n = old->n + 1;
	memcpy(now->region, old->region, i * sizeof(now->region[0]));
	now->region[i] = *r;
	memcpy(now->region + i + 1, old->region + i, (old->n - i) * sizeof(now->region[0]));
	bus_publish(b, now);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

int bus_remove(struct bus *b, uint64_t base)
{
	struct bus_table *old, *now;
	size_t i;
	int ret = -ENOENT;

	pthread_mutex_lock(&b->lock);
	old = atomic_load(&b->table);
	i = bus_lookup(old, base);
	if (i == old->n || old->region[i].base != base)
		goto out;
	ret = -ENOMEM;
	now = malloc(sizeof(*now) + old->n * sizeof(now->region[0]));
	if (!now)
		goto out;
	now->n = old->n - 1;
	memcpy(now->region, old->region, i * sizeof(now->region[0]));
	memcpy(now->region + i, old->region + i + 1, (now->n - i) * sizeof(now->region[0]));
	bus_publish(b, now);
	ret = 0;
out:
	pthread_mutex_unlock(&b->lock);
	return ret;
}

static const struct bus_region *bus_enter(struct bus *b, unsigned int reader, uint64_t addr,
					  unsigned int size)
{
	const struct bus_table *t;
	size_t i;

	/* sequentially consistent: the announcement is visible before the table is loaded */
	atomic_store(&b->reader[reader].epoch, atomic_load(&b->epoch));
	t = atomic_load(&b->table);
	i = bus_lookup(t, addr);
	if (i == t->n || addr - t->region[i].base > t->region[i].size - size ||
	    t->region[i].size < size)
		return NULL;
	if (t->region[i].n_access)
		__atomic_fetch_add(t->region[i].n_access, 1, __ATOMIC_RELAXED);
	return &t->region[i];
}

static void bus_leave(struct bus *b, unsigned int reader, uint64_t outer)
{
	atomic_store_explicit(&b->reader[reader].epoch, outer, memory_order_release);
}

bool bus_read(struct bus *b, unsigned int reader, uint64_t addr, unsigned int size, uint64_t *val)
{
	uint64_t outer = atomic_load_explicit(&b->reader[reader].epoch, memory_order_relaxed);
	const struct bus_region *r = bus_enter(b, reader, addr, size);

	*val = r ? r->ops->read(r->opaque, addr - r->base, size) : ~0ull;
	bus_leave(b, reader, outer);
	return r;
}

bool bus_write(struct bus *b, unsigned int reader, uint64_t addr, unsigned int size, uint64_t val)
{
	uint64_t outer = atomic_load_explicit(&b->reader[reader].epoch, memory_order_relaxed);
	const struct bus_region *r = bus_enter(b, reader, addr, size);

	if (r)
		r->ops->write(r->opaque, addr - r->base, size, val);
	bus_leave(b, reader, outer);
	return r;
}

bool bus_find(struct bus *b, unsigned int reader, uint64_t addr, struct bus_region *out)
{
	uint64_t outer = atomic_load_explicit(&b->reader[reader].epoch, memory_order_relaxed);
	const struct bus_region *r = bus_enter(b, reader, addr, 1);

	if (r)
		*out = *r;
	bus_leave(b, reader, outer);
	return r;
}
