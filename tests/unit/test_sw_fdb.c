/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch's table of addresses (vswitch/dp_fdb.c): its bounds, what ages and what never does,
 * who may take an address from whom. The time is the test's; a port is what the table needs of it.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <rte_hash_crc.h>

#include "vswitch/dp_priv.h"

#define AGE    300
#define NOW    1000
#define PORTS  4
#define VLAN   10
#define A_LOT  1000
#define BUCKET 8 /* entries of one; a table for up to 32 addresses has eight */

struct fix {
	struct dp dp;
	struct dp_port port[PORTS];
	struct dp_fdb *t;
};

struct mac {
	uint8_t b[6];
};

static struct mac mac(uint32_t nr)
{
	return (struct mac){ { 2, 0, (uint8_t)(nr >> 24), (uint8_t)(nr >> 16), (uint8_t)(nr >> 8),
			       (uint8_t)nr } };
}

static void table(struct fix *f, unsigned int n_entries)
{
	dp_fdb_destroy(f->t);
	assert_int_equal(dp_fdb_create(n_entries, AGE, &f->t), 0);
	for (unsigned int i = 0; i < PORTS; i++)
		f->port[i].n_learned = 0;
}

static int up(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->dp.tsc_hz = UINT64_MAX; /* dp_now_s() is 0: nothing has aged for it */
	for (unsigned int i = 0; i < PORTS; i++) {
		f->port[i].dp = &f->dp;
		f->port[i].idx = (uint16_t)i;
		f->port[i].conf.max_learned = A_LOT;
		snprintf(f->port[i].conf.name, DP_NAME_MAX, "p%u", i);
		atomic_store(&f->dp.port[i], &f->port[i]);
	}
	table(f, A_LOT);
	*state = f;
	return 0;
}

static int down(void **state)
{
	struct fix *f = *state;

	dp_fdb_destroy(f->t);
	free(f);
	return 0;
}

/* --- one call each --- */
static void learn_in(struct fix *f, uint32_t nr, uint16_t vlan, unsigned int port, uint32_t now)
{
	dp_fdb_learn(f->t, mac(nr).b, vlan, &f->port[port], now);
}

static void learn(struct fix *f, uint32_t nr, unsigned int port, uint32_t now)
{
	learn_in(f, nr, VLAN, port, now);
}

static unsigned int look_in(struct fix *f, uint32_t nr, uint16_t vlan, uint32_t now)
{
	bool is_static = false;

	return dp_fdb_look(f->t, mac(nr).b, vlan, now, &is_static);
}

static unsigned int look(struct fix *f, uint32_t nr, uint32_t now)
{
	return look_in(f, nr, VLAN, now);
}

static int add_static(struct fix *f, uint32_t nr, unsigned int port)
{
	return dp_fdb_add_static(f->t, mac(nr).b, VLAN, &f->port[port]);
}

static bool is_static(struct fix *f, uint32_t nr)
{
	bool yes = false;

	return dp_fdb_look(f->t, mac(nr).b, VLAN, NOW, &yes) != DP_FDB_NONE && yes;
}

static struct dp_fdb_info info(struct fix *f, uint32_t now)
{
	struct dp_fdb_info i;

	dp_fdb_count(f->t, &f->dp, &i, now);
	return i;
}

/* Do the ports' own counts say what the table holds? */
static void counts_agree(struct fix *f, uint32_t now)
{
	static struct dp_fdb_entry e[4 * A_LOT];
	unsigned int n = dp_fdb_list(f->t, &f->dp, e, 4 * A_LOT, now), learned[PORTS] = { 0 };

	assert_true(n <= 4 * A_LOT);
	assert_int_equal(n, info(f, now).n);
	for (unsigned int i = 0; i < n; i++)
		learned[e[i].port[1] - '0'] += !e[i].is_static;
	for (unsigned int i = 0; i < PORTS; i++)
		assert_int_equal(f->port[i].n_learned, learned[i]);
}

/* --- what is learned --- */
static void address_is_found_where_it_was_seen(void **state)
{
	struct fix *f = *state;

	assert_int_equal(look(f, 1, NOW), DP_FDB_NONE);
	learn(f, 1, 2, NOW);
	learn(f, 2, 0, NOW);
	assert_int_equal(look(f, 1, NOW), 2);
	assert_int_equal(look(f, 2, NOW), 0);
	assert_int_equal(look(f, 3, NOW), DP_FDB_NONE);
	assert_false(is_static(f, 1));
	assert_int_equal(info(f, NOW).learned, 2);
	counts_agree(f, NOW);
}

static void vlans_are_separate(void **state)
{
	static const uint16_t vlan[] = { 0, 1, 2, 4094 };
	struct fix *f = *state;

	for (unsigned int i = 0; i < 4; i++)
		learn_in(f, 1, vlan[i], i, NOW);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(look_in(f, 1, vlan[i], NOW), i);
	assert_int_equal(look_in(f, 1, 3, NOW), DP_FDB_NONE);
	assert_int_equal(info(f, NOW).n, 4);
	assert_int_equal(info(f, NOW).moved, 0);
	/* what happens in one is nothing to another */
	learn_in(f, 1, 1, 3, NOW);
	assert_int_equal(look_in(f, 1, 1, NOW), 3);
	assert_int_equal(look_in(f, 1, 2, NOW), 2);
	counts_agree(f, NOW);
}

static void address_moves_with_its_owner(void **state)
{
	struct fix *f = *state;

	learn(f, 1, 0, NOW);
	learn(f, 1, 1, NOW); /* at once, however young the other sighting is */
	assert_int_equal(look(f, 1, NOW), 1);
	assert_int_equal(f->port[0].n_learned, 0);
	assert_int_equal(f->port[1].n_learned, 1);
	assert_int_equal(info(f, NOW).moved, 1);
	assert_int_equal(info(f, NOW).n, 1);
	counts_agree(f, NOW);
}

static void address_of_a_port_that_is_gone_moves(void **state)
{
	struct fix *f = *state;

	learn(f, 1, 0, NOW);
	atomic_store(&f->dp.port[0], NULL);
	learn(f, 1, 1, NOW);
	assert_int_equal(look(f, 1, NOW), 1);
	assert_int_equal(f->port[1].n_learned, 1);
}

/* --- bounds --- */
static void table_holds_as_many_as_told(void **state)
{
	struct fix *f = *state;
	unsigned int found = 0;

	table(f, 100);
	for (uint32_t i = 0; i < 500; i++)
		learn(f, i, i % 2, NOW);
	for (uint32_t i = 0; i < 500; i++)
		found += look(f, i, NOW) == i % 2;
	assert_int_equal(info(f, NOW).max, 100);
	assert_int_equal(info(f, NOW).n, 100);
	assert_int_equal(found, 100);
	assert_int_equal(info(f, NOW).learned, 100);
	assert_int_equal(info(f, NOW).refused_full, 400);
	counts_agree(f, NOW);
}

static void table_that_was_full_takes_more_when_some_have_aged(void **state)
{
	struct fix *f = *state;

	table(f, 100);
	for (uint32_t i = 0; i < 100; i++)
		learn(f, i, 0, i < 50 ? NOW : NOW + 10);
	learn(f, 500, 1, NOW + AGE);
	assert_int_equal(look(f, 500, NOW + AGE), DP_FDB_NONE);
	for (uint32_t i = 500; i < 600; i++)
		learn(f, i, 1, NOW + AGE + 1);
	assert_int_equal(f->port[0].n_learned, 50);
	assert_int_equal(f->port[1].n_learned, 50);
	assert_int_equal(info(f, NOW + AGE + 1).aged, 50);
	counts_agree(f, NOW + AGE + 1);
}

static void port_has_a_bound_of_its_own(void **state)
{
	struct fix *f = *state;

	f->port[0].conf.max_learned = 10;
	for (uint32_t i = 0; i < 50; i++)
		learn(f, i, 0, NOW);
	learn(f, 3, 0, NOW); /* those that it has, it keeps */
	assert_int_equal(f->port[0].n_learned, 10);
	assert_int_equal(look(f, 9, NOW), 0);
	assert_int_equal(look(f, 10, NOW), DP_FDB_NONE);
	assert_int_equal(info(f, NOW).refused_port, 40);
	learn(f, 10, 1, NOW); /* another's port is free to */
	assert_int_equal(look(f, 10, NOW), 1);
	counts_agree(f, NOW);
}

static void port_that_may_learn_nothing_learns_nothing(void **state)
{
	struct fix *f = *state;

	f->port[0].conf.max_learned = 0;
	learn(f, 1, 0, NOW);
	learn(f, 2, 1, NOW);
	learn(f, 2, 0, NOW);
	assert_int_equal(look(f, 1, NOW), DP_FDB_NONE);
	assert_int_equal(look(f, 2, NOW), 1);
	counts_agree(f, NOW);
}

static void full_port_gets_room_when_its_own_have_aged(void **state)
{
	struct fix *f = *state;

	f->port[0].conf.max_learned = 5;
	for (uint32_t i = 0; i < 5; i++)
		learn(f, i, 0, NOW);
	learn(f, 10, 0, NOW + AGE + 1);
	assert_int_equal(look(f, 10, NOW + AGE + 1), 0);
	assert_int_equal(f->port[0].n_learned, 1);
	counts_agree(f, NOW + AGE + 1);
}

static void full_port_cannot_take_anothers_address(void **state)
{
	struct fix *f = *state;

	f->port[0].conf.max_learned = 2;
	learn(f, 1, 0, NOW);
	learn(f, 2, 0, NOW);
	learn(f, 3, 1, NOW);
	learn(f, 3, 0, NOW);
	assert_int_equal(look(f, 3, NOW), 1);
	assert_int_equal(info(f, NOW).moved, 0);
	assert_int_equal(info(f, NOW).refused_port, 1);
	counts_agree(f, NOW);
}

/* What it has is of the past: the address has come to this port, and is to be found there. */
static void full_port_whose_own_have_aged_takes_an_address_that_moves(void **state)
{
	struct fix *f = *state;

	f->port[0].conf.max_learned = 2;
	learn(f, 1, 0, NOW);
	learn(f, 2, 0, NOW);
	learn(f, 3, 1, NOW + AGE + 1);
	learn(f, 3, 0, NOW + AGE + 1);
	assert_int_equal(look(f, 3, NOW + AGE + 1), 0);
	assert_int_equal(f->port[0].n_learned, 1);
	counts_agree(f, NOW + AGE + 1);
}

static void full_port_sees_its_own_aged_address_again(void **state)
{
	struct fix *f = *state;

	f->port[0].conf.max_learned = 1;
	learn(f, 1, 0, NOW);
	learn(f, 1, 0, NOW + AGE + 1);
	assert_int_equal(look(f, 1, NOW + AGE + 1), 0);
	counts_agree(f, NOW + AGE + 1);
}

static void flood_leaves_the_neighbours_entries_alone(void **state)
{
	struct fix *f = *state;

	table(f, 400);
	f->port[3].conf.max_learned = 350;
	for (uint32_t i = 0; i < 50; i++)
		learn(f, i, i % 3, NOW);
	for (uint32_t i = 0; i < 100000; i++)
		learn(f, 0x1000000 + i * 2654435761u % 0x800000, 3, NOW + i / 1000);
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(look(f, i, NOW + 100), i % 3);
	assert_in_range(f->port[3].n_learned, 1, 350);
	assert_true(info(f, NOW + 100).refused_port > 90000);
	/* and there is room for more of theirs: the port's bound is below the table's */
	learn(f, 60, 0, NOW + 100);
	counts_agree(f, NOW + 100);
}

/*
 * The two buckets of an address in the smallest table, reckoned as the table does: somebody who
 * knows how can aim at a neighbour's.
 */
static unsigned int buckets_of(uint32_t nr)
{
	const struct mac m = mac(nr);
	uint64_t key = (uint64_t)(VLAN | 0x8000) << 48;
	uint32_t h;

	memcpy(&key, m.b, 6);
	h = rte_hash_crc_8byte(key, 0x5bd1e995);
	return 1u << (h & 7) | 1u << ((h >> 16 ^ h * 0x9e3779b1u) & 7);
}

/* The next address after `nr` that has room in these buckets only. */
static uint32_t aim(uint32_t nr, unsigned int at)
{
	while (buckets_of(++nr) & ~at)
		;
	return nr;
}

static void aimed_flood_puts_out_its_own_entries_only(void **state)
{
	struct fix *f = *state;
	unsigned int at, ways;
	uint32_t nr = 0;

	table(f, 32);
	at = buckets_of(1);
	ways = (unsigned int)__builtin_popcount(at) * BUCKET;
	learn(f, 1, 0, NOW);
	for (unsigned int i = 0; i < 1000; i++) {
		nr = aim(nr + 100, at);
		learn(f, nr, 3, NOW);
	}
	assert_int_equal(look(f, 1, NOW), 0);
	assert_int_equal(look(f, nr, NOW), 3); /* its newest is there: an older one made room */
	assert_int_equal(f->port[3].n_learned, ways - 1);
	/* a third finds nothing of its own to put out */
	nr = aim(nr, at);
	learn(f, nr, 2, NOW);
	assert_int_equal(look(f, nr, NOW), DP_FDB_NONE);
	assert_int_equal(info(f, NOW).refused_full, 1);
	/* until they have aged */
	learn(f, nr, 2, NOW + AGE + 1);
	assert_int_equal(look(f, nr, NOW + AGE + 1), 2);
	assert_int_equal(info(f, NOW + AGE + 1).aged, ways);
	counts_agree(f, NOW + AGE + 1);
}

/* --- age --- */
static void address_is_forgotten_after_its_time(void **state)
{
	struct fix *f = *state;

	learn(f, 1, 0, NOW);
	assert_int_equal(look(f, 1, NOW + AGE), 0);
	assert_int_equal(look(f, 1, NOW + AGE + 1), DP_FDB_NONE);
	assert_int_equal(info(f, NOW + AGE + 1).n, 0);
	assert_int_equal(info(f, NOW + AGE + 1).aged, 1);
	assert_int_equal(f->port[0].n_learned, 0);
}

static void address_that_is_seen_again_stays(void **state)
{
	struct fix *f = *state;

	for (uint32_t now = NOW; now < NOW + 10 * AGE; now += AGE) {
		learn(f, 1, 0, now);
		assert_int_equal(look(f, 1, now + AGE), 0);
	}
	assert_int_equal(info(f, NOW + 10 * AGE).learned, 1);
	counts_agree(f, NOW + 10 * AGE);
}

static void aged_address_is_its_new_owners(void **state)
{
	struct fix *f = *state;

	learn(f, 1, 0, NOW);
	learn(f, 1, 1, NOW + AGE + 1);
	assert_int_equal(look(f, 1, NOW + AGE + 1), 1);
	counts_agree(f, NOW + AGE + 1);
}

/* Workers look at the clock each for itself: one may be a second behind another. */
static void address_seen_by_a_worker_ahead_has_not_aged(void **state)
{
	struct fix *f = *state;
	struct dp_fdb_entry e;

	learn(f, 1, 0, NOW + 1);
	assert_int_equal(look(f, 1, NOW), 0);
	assert_int_equal(dp_fdb_list(f->t, &f->dp, &e, 1, NOW), 1);
	assert_int_equal(e.age_s, 0);
	learn(f, 1, 0, NOW);
	assert_int_equal(look(f, 1, NOW + AGE), 0);
	assert_int_equal(info(f, NOW - 1).n, 1);
	assert_int_equal(info(f, NOW - 2).aged, 0);
}

static void full_table_keeps_what_a_worker_ahead_has_seen(void **state)
{
	struct fix *f = *state;

	table(f, 100);
	for (uint32_t i = 0; i < 100; i++)
		learn(f, i, 0, NOW + 1);
	learn(f, 500, 1, NOW); /* has room made, by what has aged */
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(look(f, i, NOW), 0);
	assert_int_equal(info(f, NOW).aged, 0);
}

/* --- static entries --- */
static void static_address_is_found_and_never_ages(void **state)
{
	struct fix *f = *state;

	assert_int_equal(add_static(f, 1, 2), 0);
	assert_true(is_static(f, 1));
	assert_int_equal(look(f, 1, NOW), 2);
	assert_int_equal(look(f, 1, NOW + 100 * AGE), 2);
	assert_int_equal(info(f, NOW + 100 * AGE).n, 1);
	assert_int_equal(f->port[2].n_learned, 0);
}

static void static_address_does_not_move(void **state)
{
	struct fix *f = *state;

	assert_int_equal(add_static(f, 1, 2), 0);
	learn(f, 1, 0, NOW);
	learn(f, 1, 0, NOW + 10 * AGE);
	learn(f, 1, 2, NOW);
	assert_int_equal(look(f, 1, NOW), 2);
	assert_true(is_static(f, 1));
	assert_int_equal(info(f, NOW).moved, 0);
	counts_agree(f, NOW);
}

static void static_address_is_one_ports_only(void **state)
{
	struct fix *f = *state;

	assert_int_equal(add_static(f, 1, 2), 0);
	assert_int_equal(add_static(f, 1, 0), -EEXIST);
	assert_int_equal(look(f, 1, NOW), 2);
	assert_int_equal(add_static(f, 1, 2), 0); /* its own, again */
	assert_int_equal(info(f, NOW).n, 1);
	/* the same in another VLAN is another */
	assert_int_equal(dp_fdb_add_static(f->t, mac(1).b, VLAN + 1, &f->port[0]), 0);
	assert_int_equal(look_in(f, 1, VLAN + 1, NOW), 0);
}

static void static_address_takes_a_learned_ones_place(void **state)
{
	struct fix *f = *state;

	learn(f, 1, 0, NOW);
	learn(f, 2, 2, NOW);
	assert_int_equal(add_static(f, 1, 2), 0);
	assert_int_equal(add_static(f, 2, 2), 0);
	assert_int_equal(look(f, 1, NOW), 2);
	assert_true(is_static(f, 2));
	assert_int_equal(f->port[0].n_learned, 0);
	assert_int_equal(info(f, NOW).n, 2);
	counts_agree(f, NOW);
}

/* Whoever has filled the table keeps no port from being added. */
static void static_address_has_room_in_a_full_table(void **state)
{
	struct fix *f = *state;

	table(f, 100);
	for (uint32_t i = 0; i < 200; i++)
		learn(f, i, 0, NOW);
	assert_int_equal(add_static(f, 1000, 2), 0);
	assert_int_equal(look(f, 1000, NOW), 2);
	counts_agree(f, NOW);
}

static void static_address_has_room_in_full_buckets(void **state)
{
	struct fix *f = *state;
	unsigned int at = buckets_of(1), ways = (unsigned int)__builtin_popcount(at) * BUCKET;
	uint32_t nr = 100;

	table(f, 32);
	for (unsigned int i = 0; i < 100; i++) {
		nr = aim(nr, at);
		learn(f, nr, 3, NOW);
	}
	assert_int_equal(f->port[3].n_learned, ways);
	assert_int_equal(add_static(f, 1, 0), 0);
	assert_int_equal(look(f, 1, NOW), 0);
	assert_int_equal(f->port[3].n_learned, ways - 1);
	counts_agree(f, NOW);
	/* static ones make no room for each other */
	for (unsigned int i = 1; i < ways; i++) {
		nr = aim(nr, at);
		assert_int_equal(add_static(f, nr, 1), 0);
	}
	assert_int_equal(add_static(f, aim(nr, at), 1), -ENOSPC);
	assert_int_equal(look(f, 1, NOW), 0);
	assert_int_equal(f->port[3].n_learned, 0);
	counts_agree(f, NOW);
}

/* --- forgetting --- */
static void port_is_forgotten_alone(void **state)
{
	struct fix *f = *state;

	for (uint32_t i = 0; i < 40; i++)
		learn(f, i, i % 4, NOW);
	assert_int_equal(add_static(f, 100, 1), 0);
	assert_int_equal(add_static(f, 101, 2), 0);
	dp_fdb_forget(f->t, &f->dp, &f->port[1], false);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(look(f, i, NOW), i % 4 == 1 ? DP_FDB_NONE : i % 4);
	assert_int_equal(f->port[1].n_learned, 0);
	assert_int_equal(look(f, 100, NOW), 1);
	dp_fdb_forget(f->t, &f->dp, &f->port[1], true);
	assert_int_equal(look(f, 100, NOW), DP_FDB_NONE);
	assert_int_equal(look(f, 101, NOW), 2);
	assert_int_equal(info(f, NOW).n, 31);
	counts_agree(f, NOW);
}

static void all_is_forgotten_but_what_is_static(void **state)
{
	struct fix *f = *state;

	for (uint32_t i = 0; i < 40; i++)
		learn(f, i, i % 4, NOW);
	assert_int_equal(add_static(f, 100, 1), 0);
	dp_fdb_forget(f->t, &f->dp, NULL, false);
	assert_int_equal(info(f, NOW).n, 1);
	assert_int_equal(look(f, 100, NOW), 1);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(look(f, i, NOW), DP_FDB_NONE);
	counts_agree(f, NOW);
	learn(f, 1, 0, NOW);
	assert_int_equal(look(f, 1, NOW), 0);
}

static void table_shows_what_it_holds(void **state)
{
	struct fix *f = *state;
	struct dp_fdb_entry e[3];
	const struct mac one = mac(1), two = mac(2);

	learn_in(f, 1, 4094, 3, NOW);
	assert_int_equal(add_static(f, 2, 1), 0);
	assert_int_equal(dp_fdb_list(f->t, &f->dp, e, 0, NOW), 2);
	memset(e, 0x5a, sizeof(e));
	assert_int_equal(dp_fdb_list(f->t, &f->dp, e, 1, NOW), 2);
	assert_int_equal(e[1].vlan, 0x5a5a);
	assert_int_equal(dp_fdb_list(f->t, &f->dp, e, 3, NOW + 7), 2);
	if (e[0].is_static) {
		e[2] = e[0];
		e[0] = e[1];
		e[1] = e[2];
	}
	assert_memory_equal(e[0].mac, one.b, 6);
	assert_int_equal(e[0].vlan, 4094);
	assert_string_equal(e[0].port, "p3");
	assert_int_equal(e[0].age_s, 7);
	assert_false(e[0].is_static);
	assert_memory_equal(e[1].mac, two.b, 6);
	assert_int_equal(e[1].vlan, VLAN);
	assert_string_equal(e[1].port, "p1");
	assert_int_equal(e[1].age_s, 0);
	assert_true(e[1].is_static);
}

/* --- readers without a lock --- */
#define ROUNDS 200000
static _Atomic bool stop;
static _Atomic unsigned int wrong;

/* Address number i is port i % 3's at all times, or nobody's. */
static void *read_all_the_time(void *opaque)
{
	struct fix *f = opaque;

	while (!atomic_load(&stop))
		for (uint32_t i = 0; i < 64; i++) {
			unsigned int at = look(f, i, NOW);

			if (at != DP_FDB_NONE && at != i % 3)
				atomic_fetch_add(&wrong, 1);
		}
	return NULL;
}

/* Entries change hands under the reader: free, another address's, another port's. */
static void reader_never_sees_another_addresss_port(void **state)
{
	struct fix *f = *state;
	pthread_t reader;

	table(f, 32);
	assert_int_equal(pthread_create(&reader, NULL, read_all_the_time, f), 0);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t nr = i * 2654435761u >> 26;

		learn(f, nr, nr % 3, NOW);
		if (i % 16 == 15)
			dp_fdb_forget(f->t, &f->dp, &f->port[i / 16 % 3], false);
	}
	atomic_store(&stop, true);
	pthread_join(reader, NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	counts_agree(f, NOW);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(address_is_found_where_it_was_seen),
		T(vlans_are_separate),
		T(address_moves_with_its_owner),
		T(address_of_a_port_that_is_gone_moves),
		T(table_holds_as_many_as_told),
		T(table_that_was_full_takes_more_when_some_have_aged),
		T(port_has_a_bound_of_its_own),
		T(port_that_may_learn_nothing_learns_nothing),
		T(full_port_gets_room_when_its_own_have_aged),
		T(full_port_cannot_take_anothers_address),
		T(full_port_whose_own_have_aged_takes_an_address_that_moves),
		T(full_port_sees_its_own_aged_address_again),
		T(flood_leaves_the_neighbours_entries_alone),
		T(aimed_flood_puts_out_its_own_entries_only),
		T(address_is_forgotten_after_its_time),
		T(address_that_is_seen_again_stays),
		T(aged_address_is_its_new_owners),
		T(address_seen_by_a_worker_ahead_has_not_aged),
		T(full_table_keeps_what_a_worker_ahead_has_seen),
		T(static_address_is_found_and_never_ages),
		T(static_address_does_not_move),
		T(static_address_is_one_ports_only),
		T(static_address_takes_a_learned_ones_place),
		T(static_address_has_room_in_a_full_table),
		T(static_address_has_room_in_full_buckets),
		T(port_is_forgotten_alone),
		T(all_is_forgotten_but_what_is_static),
		T(table_shows_what_it_holds),
		T(reader_never_sees_another_addresss_port),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
