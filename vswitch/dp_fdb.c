/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which address is behind which port: a bounded table by (VLAN, MAC). Readers take no lock.
 *
 * An entry is two 64-bit words. `key` is the address and the VLAN, 0 when free; `val` is the port,
 * whether it is static, and when it was last seen. A writer (under the lock) makes an entry another
 * address's in three steps: key = 0, val, key; and changes val in place for the same address. A
 * reader takes val between two reads of key: when both are what it looks for, val was of that
 * address all the time, or it was free in between and is of that address again, which is as good.
 *
 * A bucket has eight entries and a new address has two buckets to go to. A full bucket refuses new
 * addresses instead of putting out others: only what has aged, or is of the same port, makes room;
 * for a static address, which the operator has named, any that was learned. A port has a bound of
 * its own besides, so what one guest makes up costs nobody else an entry.
 */
#include <errno.h>
#include <rte_hash_crc.h>
#include <stdlib.h>
#include <string.h>

#include "vswitch/dp_priv.h"

#define PURGE_SLICE 65536 /* slots looked at in one go: 0.1 ms */
#define WAYS        8
#define STALE_S     1 /* a sighting younger than that is not written down again */
#define VAL_STATIC  (1ull << 63)

struct entry {
	_Atomic uint64_t key, val;
};

struct bucket {
	struct entry e[WAYS];
} __attribute__((aligned(64)));

struct dp_fdb {
	struct bucket *bucket;
	unsigned int n_buckets, age_s; /* n_buckets: a power of two */
	rte_spinlock_t lock;
	uint32_t purged_s;     /* when aged entries were counted off last */
	unsigned int purge_at; /* the slot to go on with */
	struct dp_fdb_info info;
};

static inline uint64_t key_of(const uint8_t mac[6], uint16_t vid)
{
	uint64_t k = 0;

	memcpy(&k, mac, 6);
	return k | (uint64_t)(vid | 0x8000u) << 48; /* never 0 */
}

static inline uint64_t val_of(uint16_t port, uint32_t seen_s)
{
	return (uint64_t)port << 32 | seen_s;
}

static inline uint16_t val_port(uint64_t val)
{
	return (uint16_t)(val >> 32);
}

/* How long ago it was seen. Each worker has its own clock, which another's may be ahead of. */
static inline uint32_t val_age_s(uint64_t val, uint32_t now_s)
{
	uint32_t age = now_s - (uint32_t)val;

	return age > INT32_MAX ? 0 : age;
}

static inline bool val_aged(const struct dp_fdb *t, uint64_t val, uint32_t now_s)
{
	return !(val & VAL_STATIC) && val_age_s(val, now_s) > t->age_s;
}

/* The two buckets of a key; the same one at times. */
static inline void buckets(const struct dp_fdb *t, uint64_t key, struct bucket *b[2])
{
	uint32_t h = rte_hash_crc_8byte(key, 0x5bd1e995);

	b[0] = &t->bucket[h & (t->n_buckets - 1)];
	b[1] = &t->bucket[(h >> 16 ^ h * 0x9e3779b1u) & (t->n_buckets - 1)];
}

static struct entry *find(const struct dp_fdb *t, uint64_t key)
{
	struct bucket *b[2];

	buckets(t, key, b);
	for (unsigned int i = 0; i < 2 * WAYS; i++) {
		struct entry *e = &b[i / WAYS]->e[i % WAYS];

		if (atomic_load_explicit(&e->key, memory_order_acquire) == key)
			return e;
	}
	return NULL;
}

/* The entry's value while it was the key's; 0 when it no longer is. */
static inline uint64_t read_val(struct entry *e, uint64_t key)
{
	uint64_t val = atomic_load_explicit(&e->val, memory_order_relaxed);

	/* val before the second read of key: a writer frees the key first */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&e->key, memory_order_relaxed) == key ? val : 0;
}

int dp_fdb_create(unsigned int n_entries, unsigned int age_s, struct dp_fdb **out)
{
	struct dp_fdb *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->n_buckets = 8;
	while (t->n_buckets * WAYS < 2 * n_entries) /* twice the room: a bucket is seldom full */
		t->n_buckets *= 2;
	t->bucket = aligned_alloc(64, t->n_buckets * sizeof(*t->bucket));
	if (!t->bucket) {
		free(t);
		return -ENOMEM;
	}
	memset(t->bucket, 0, t->n_buckets * sizeof(*t->bucket));
	t->age_s = age_s;
	t->info.max = n_entries;
	rte_spinlock_init(&t->lock);
	*out = t;
	return 0;
}

void dp_fdb_destroy(struct dp_fdb *t)
{
	if (t)
		free(t->bucket);
	free(t);
}

unsigned int dp_fdb_look(const struct dp_fdb *t, const uint8_t mac[6], uint16_t vid, uint32_t now_s,
			 bool *is_static)
{
	uint64_t key = key_of(mac, vid), val;
	struct entry *e = find(t, key);

	if (!e)
		return DP_FDB_NONE;
	val = read_val(e, key);
	if (!val || val_aged(t, val, now_s))
		return DP_FDB_NONE;
	*is_static = val & VAL_STATIC;
	return (unsigned int)val_port(val) - 1;
}

/* --- writers, under the lock --- */
static void entry_free(struct dp_fdb *t, struct dp *dp, struct entry *e)
{
	uint64_t val = atomic_load_explicit(&e->val, memory_order_relaxed);
	struct dp_port *p = dp ? atomic_load(&dp->port[val_port(val) - 1]) : NULL;

	if (p && !(val & VAL_STATIC))
		p->n_learned--;
	atomic_store_explicit(&e->key, 0, memory_order_release);
	t->info.n--;
}

static void entry_set(struct dp_fdb *t, struct entry *e, uint64_t key, uint64_t val)
{
	atomic_store_explicit(&e->key, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&e->val, val, memory_order_relaxed);
	atomic_store_explicit(&e->key, key, memory_order_release);
	t->info.n++;
}

/* Counts off what has aged, once a second: of all, or of the next slice of a large table. */
static void purge(struct dp_fdb *t, struct dp *dp, uint32_t now_s)
{
	if (t->purged_s == now_s)
		return;
	t->purged_s = now_s;
	for (unsigned int i = 0; i < t->n_buckets * WAYS && i < PURGE_SLICE; i++) {
		unsigned int at = t->purge_at++ & (t->n_buckets * WAYS - 1);
		struct entry *e = &t->bucket[at / WAYS].e[at % WAYS];

		if (atomic_load_explicit(&e->key, memory_order_relaxed) &&
		    val_aged(t, atomic_load_explicit(&e->val, memory_order_relaxed), now_s)) {
			entry_free(t, dp, e);
			t->info.aged++;
		}
	}
}

/* A place for a new address of port p: a free one, an aged one, else one of the port's own. */
static struct entry *place_for(struct dp_fdb *t, uint64_t key, const struct dp_port *p,
			       uint32_t now_s)
{
	struct entry *own = NULL;
	struct bucket *b[2];

	buckets(t, key, b);
	for (unsigned int i = 0; i < 2 * WAYS; i++) {
		struct entry *e = &b[i % 2]->e[i / 2];
		uint64_t val = atomic_load_explicit(&e->val, memory_order_relaxed);

		if (!atomic_load_explicit(&e->key, memory_order_relaxed))
			return e;
		if (val_aged(t, val, now_s)) {
			entry_free(t, p->dp, e);
			t->info.aged++;
			return e;
		}
		if (!(val & VAL_STATIC) && val_port(val) == p->idx + 1)
			own = e;
	}
	if (own)
		entry_free(t, p->dp, own);
	return own;
}

/* A learned entry makes room for a static one, whosever it is. NULL: there are static ones only. */
static struct entry *place_of_learned(struct dp_fdb *t, struct dp *dp, uint64_t key)
{
	struct bucket *b[2];

	buckets(t, key, b);
	for (unsigned int i = 0; i < 2 * WAYS; i++) {
		struct entry *e = &b[i % 2]->e[i / 2];

		if (!(atomic_load_explicit(&e->val, memory_order_relaxed) & VAL_STATIC)) {
			entry_free(t, dp, e);
			return e;
		}
	}
	return NULL;
}

static void insert(struct dp_fdb *t, uint64_t key, struct dp_port *p, uint32_t now_s)
{
	struct entry *e;

	if (t->info.n >= t->info.max)
		purge(t, p->dp, now_s);
	if (p->n_learned >= p->conf.max_learned) {
		t->info.refused_port++;
		return;
	}
	e = t->info.n < t->info.max ? place_for(t, key, p, now_s) : NULL;
	if (!e) {
		t->info.refused_full++;
		return;
	}
	entry_set(t, e, key, val_of((uint16_t)(p->idx + 1), now_s));
	p->n_learned++;
	t->info.learned++;
}

void dp_fdb_learn(struct dp_fdb *t, const uint8_t mac[6], uint16_t vid, struct dp_port *p,
		  uint32_t now_s)
{
	uint64_t key = key_of(mac, vid), val, new = val_of((uint16_t)(p->idx + 1), now_s);
	struct entry *e = find(t, key);

	if (e) {
		val = read_val(e, key);
		if (val & VAL_STATIC ||
		    (val_port(val) == p->idx + 1 && val_age_s(val, now_s) <= STALE_S))
			return;
	}
	rte_spinlock_lock(&t->lock);
	if (p->n_learned >= p->conf.max_learned)
		purge(t, p->dp, now_s); /* may free what is looked for now */
	e = find(t, key);
	if (!e) {
		insert(t, key, p, now_s);
		rte_spinlock_unlock(&t->lock);
		return;
	}
	val = atomic_load_explicit(&e->val, memory_order_relaxed);
	if (!(val & VAL_STATIC) && val_port(val) == p->idx + 1) {
		atomic_store_explicit(&e->val, new, memory_order_relaxed);
	} else if (!(val & VAL_STATIC) && p->n_learned >= p->conf.max_learned) {
		t->info.refused_port++;
	} else if (!(val & VAL_STATIC)) {
		struct dp_port *was = atomic_load(&p->dp->port[val_port(val) - 1]);

		if (was)
			was->n_learned--;
		p->n_learned++;
		atomic_store_explicit(&e->val, new, memory_order_relaxed);
		t->info.moved++;
	}
	rte_spinlock_unlock(&t->lock);
}

int dp_fdb_add_static(struct dp_fdb *t, const uint8_t mac[6], uint16_t vid, struct dp_port *p)
{
	uint64_t key = key_of(mac, vid), val = val_of((uint16_t)(p->idx + 1), 0) | VAL_STATIC;
	struct entry *e;
	int ret = 0;

	rte_spinlock_lock(&t->lock);
	e = find(t, key);
	if (e && atomic_load(&e->val) & VAL_STATIC) {
		ret = val_port(atomic_load(&e->val)) == p->idx + 1 ? 0 : -EEXIST;
	} else {
		if (e)
			entry_free(t, p->dp, e); /* it was learned elsewhere: that is over */
		e = place_for(t, key, p, dp_now_s(p->dp));
		if (!e)
			e = place_of_learned(t, p->dp, key);
		if (e)
			entry_set(t, e, key, val);
		else
			ret = -ENOSPC;
	}
	rte_spinlock_unlock(&t->lock);
	return ret;
}

void dp_fdb_forget(struct dp_fdb *t, struct dp *dp, const struct dp_port *p, bool statics)
{
	rte_spinlock_lock(&t->lock);
	for (unsigned int i = 0; i < t->n_buckets * WAYS; i++) {
		struct entry *e = &t->bucket[i / WAYS].e[i % WAYS];
		uint64_t val = atomic_load_explicit(&e->val, memory_order_relaxed);

		if (atomic_load_explicit(&e->key, memory_order_relaxed) &&
		    (!p || val_port(val) == p->idx + 1) && (statics || !(val & VAL_STATIC)))
			entry_free(t, dp, e);
	}
	rte_spinlock_unlock(&t->lock);
}

/* --- what can be seen --- */
unsigned int dp_fdb_list(struct dp_fdb *t, struct dp *dp, struct dp_fdb_entry *out,
			 unsigned int max, uint32_t now_s)
{
	unsigned int n = 0;

	rte_spinlock_lock(&t->lock);
	purge(t, dp, now_s);
	for (unsigned int i = 0; i < t->n_buckets * WAYS; i++) {
		struct entry *e = &t->bucket[i / WAYS].e[i % WAYS];
		uint64_t key = atomic_load_explicit(&e->key, memory_order_relaxed),
			 val = atomic_load_explicit(&e->val, memory_order_relaxed);
		const struct dp_port *p = key ? atomic_load(&dp->port[val_port(val) - 1]) : NULL;

		if (!p || n++ >= max)
			continue;
		memcpy(out[n - 1].mac, &key, 6);
		out[n - 1].vlan = (uint16_t)(key >> 48 & 0xfff);
		memcpy(out[n - 1].port, p->conf.name, DP_NAME_MAX);
		out[n - 1].is_static = val & VAL_STATIC;
		out[n - 1].age_s = val & VAL_STATIC ? 0 : val_age_s(val, now_s);
	}
	rte_spinlock_unlock(&t->lock);
	return n;
}

void dp_fdb_count(struct dp_fdb *t, struct dp *dp, struct dp_fdb_info *info, uint32_t now_s)
{
	rte_spinlock_lock(&t->lock);
	purge(t, dp, now_s);
	*info = t->info;
	rte_spinlock_unlock(&t->lock);
}
