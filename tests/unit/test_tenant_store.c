/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tenants' store keeps: slots, what was before, the journal, leases, what drivers took.
 * Each test opens it again before it looks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper_sriov.h"
#include "sriov/tenant.h"

#define PF  FAKE_PF
#define PF2 "netdevsim7"

static struct tenant_store *store_open(struct fake_nic *f, enum tenant_store_mode mode)
{
	struct tenant_store *st;

	assert_int_equal(tenant_store_open(&f->env, mode, &st), 0);
	assert_int_equal(f->n_said, 0);
	return st;
}

static struct vf_settings settings(uint16_t vlan, uint32_t max)
{
	return (struct vf_settings){ .known = VF_ALL & ~VF_BIT(VF_TRUST),
				     .mac = { 2, 0, 0, 0, 1, (uint8_t)vlan },
				     .vlan = vlan,
				     .qos = 3,
				     .proto = 0x88a8,
				     .max_tx_mbit = max,
				     .min_tx_mbit = 7,
				     .spoof_check = true,
				     .link = VF_LINK_OFF };
}

static void assert_settings(const struct vf_settings *a, const struct vf_settings *b)
{
	assert_int_equal(a->known, b->known);
	for (int s = 0; s < VF_N_SETTINGS; s++)
		if (a->known & VF_BIT(s))
			assert_true(vf_setting_equal(s, a, b));
}

/* Two slots of two tenants, three steps of different kinds. */
static struct tenant_slot slots[] = {
	{ .pf = PF,
	  .vendor = 0x8086,
	  .device = 0x10c9,
	  .idx = 6,
	  .tenant = "acme",
	  .driver = "vfio-pci" },
	{ .pf = PF2, .idx = 65535, .tenant = "zeta", .nth = 1 },
};
static struct tenant_step steps[] = {
	{ .kind = STEP_NUM_VFS, .pf = PF, .idx = SRIOV_UNKNOWN, .n_from = 0, .n_to = 7 },
	{ .kind = STEP_PROVE,
	  .pf = PF,
	  .idx = 6,
	  .tenant = "acme",
	  .setting = VF_RATE,
	  .what = CAN_MIN_TX },
	{ .kind = STEP_BIND,
	  .pf = PF,
	  .idx = 6,
	  .tenant = "acme",
	  .driver_from = "igbvf",
	  .driver_to = "vfio-pci" },
};
static struct tenant_plan plan = { .steps = steps, .n_steps = 3, .slots = slots, .n_slots = 2 };
static struct tenant_before_vf before_vfs[2] = { { .idx = 0, .driver = "igbvf" }, { .idx = 1 } };
static struct tenant_before before[] = {
	{ .pf = PF,
	  .vendor = 0x8086,
	  .device = 0x10c9,
	  .boot_id = "11111111-2222",
	  .num_vfs = 2,
	  .autoprobe = 1,
	  .vf = before_vfs,
	  .n_vfs = 2 },
	{ .pf = PF2, .boot_id = "11111111-2222", .autoprobe = -1 },
};

static int group_setup(void **state)
{
	slots[0].set = settings(100, 1000);
	slots[1].set = settings(0, 0);
	steps[1].from = settings(1, 2);
	steps[1].to = settings(4094, UINT32_MAX);
	before_vfs[0].set = settings(5, 0);
	return 0;
}

static void begin(struct fake_nic *f, struct tenant_store *st)
{
	assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, before, 2), 0);
	assert_int_equal(f->n_said, 0);
}

static void free_plan(struct tenant_plan *p)
{
	free(p->steps);
	free(p->slots);
	free(p);
}

static void expect_slots(const struct tenant_store *st, size_t n)
{
	struct tenant_slot *s;
	size_t have;

	assert_int_equal(tenant_store_slots(st, &s, &have), 0);
	assert_int_equal(have, n);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(s[i].pf, slots[i].pf);
		assert_string_equal(s[i].tenant, slots[i].tenant);
		assert_string_equal(s[i].driver, slots[i].driver);
		assert_int_equal(s[i].idx, slots[i].idx);
		assert_int_equal(s[i].nth, slots[i].nth);
		assert_int_equal(s[i].vendor, slots[i].vendor);
		assert_int_equal(s[i].device, slots[i].device);
		assert_settings(&s[i].set, &slots[i].set);
	}
	free(s);
}

static unsigned int count_before(const struct tenant_store *st)
{
	struct tenant_before *b;
	size_t n;

	assert_int_equal(tenant_store_before(st, &b, &n), 0);
	tenant_before_free(b, n);
	return (unsigned int)n;
}

/* --- opening --- */
static void store_read_of_a_missing_one_is_empty_and_makes_nothing(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_READ);
	struct tenant_lease *l;
	struct tenant_file *wanted;
	struct tenant_plan *p;
	char path[PATH_MAX + 16];
	bool same;
	size_t n;

	expect_slots(st, 0);
	assert_int_equal(count_before(st), 0);
	assert_int_equal(tenant_store_leases(st, &l, &n), 0);
	assert_int_equal(n, 0);
	free(l);
	assert_int_equal(tenant_store_get_wanted(st, &wanted), 0);
	assert_null(wanted);
	assert_int_equal(tenant_store_unfinished(st, &p, &same), 0);
	tenant_store_close(st);
	snprintf(path, sizeof(path), "%s/tenants.db", f->env.state_dir);
	assert_int_equal(access(path, F_OK), -1);
}

static void store_of_the_reader_takes_nothing(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_READ);

	assert_int_equal(tenant_store_learn(st, "igb", "1", CAN_MAC, 0), -EROFS);
	assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, NULL, 0), -EROFS);
	tenant_store_close(st);
}

static void store_is_the_owners_and_the_groups(void **state)
{
	struct fake_nic *f = *state;
	char path[PATH_MAX + 16];
	struct stat sb;

	tenant_store_close(store_open(f, STORE_WRITE));
	snprintf(path, sizeof(path), "%s/tenants.db", f->env.state_dir);
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0644);
	tenant_store_close(NULL);
}

/* --- the journal --- */
static void store_begin_is_unfinished_until_its_end(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	struct tenant_plan *p;
	bool same;

	begin(f, st);
	assert_int_equal(tenant_store_step_done(st, 0, true), 0);
	tenant_store_close(st);
	st = store_open(f, STORE_READ);
	expect_slots(st, 0);
	assert_int_equal(tenant_store_unfinished(st, &p, &same), 1);
	assert_true(same);
	assert_int_equal(p->n_steps, 3);
	assert_int_equal(p->n_slots, 2);
	assert_true(p->steps[0].done);
	assert_false(p->steps[1].done);
	assert_int_equal(p->steps[0].kind, STEP_NUM_VFS);
	assert_int_equal(p->steps[0].idx, SRIOV_UNKNOWN);
	assert_int_equal(p->steps[0].n_to, 7);
	assert_int_equal(p->steps[1].setting, VF_RATE);
	assert_int_equal(p->steps[1].what, CAN_MIN_TX);
	assert_settings(&p->steps[1].from, &steps[1].from);
	assert_settings(&p->steps[1].to, &steps[1].to);
	assert_string_equal(p->steps[2].driver_from, "igbvf");
	assert_string_equal(p->steps[2].driver_to, "vfio-pci");
	assert_string_equal(p->steps[2].tenant, "acme");
	free_plan(p);
	tenant_store_close(st);
	st = store_open(f, STORE_WRITE);
	assert_int_equal(tenant_store_end(st), 0);
	expect_slots(st, 2);
	assert_int_equal(tenant_store_unfinished(st, &p, &same), 0);
	assert_int_equal(count_before(st), 2);
	tenant_store_close(st);
}

static void store_marks_steps_by_one_and_by_many(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	struct tenant_plan *p;
	bool same;

	begin(f, st);
	assert_int_equal(tenant_store_steps_done(st, 0, 3, true), 0);
	assert_int_equal(tenant_store_step_done(st, 1, false), 0);
	assert_int_equal(tenant_store_unfinished(st, &p, &same), 1);
	assert_true(p->steps[0].done);
	assert_false(p->steps[1].done);
	assert_true(p->steps[2].done);
	free_plan(p);
	assert_int_equal(tenant_store_steps_done(st, 2, 2, true), -ENOENT);
	assert_int_equal(f->n_said, 1);
	tenant_store_close(st);
}

static void store_cancel_leaves_what_was(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	struct tenant_plan none = { 0 }, *p;
	bool same;

	begin(f, st);
	assert_int_equal(tenant_store_cancel(st), 0);
	expect_slots(st, 0);
	assert_int_equal(count_before(st), 0);
	begin(f, st);
	assert_int_equal(tenant_store_end(st), 0);
	assert_int_equal(tenant_store_begin(st, "release", NULL, &none, before, 2), 0);
	assert_int_equal(tenant_store_cancel(st), 0);
	tenant_store_close(st);
	st = store_open(f, STORE_WRITE);
	expect_slots(st, 2);
	assert_int_equal(count_before(st), 2);
	assert_int_equal(tenant_store_unfinished(st, &p, &same), 0);
	assert_int_equal(tenant_store_cancel(st), -ENOENT);
	assert_int_equal(tenant_store_end(st), -ENOENT);
	tenant_store_close(st);
}

static void store_begin_refuses_a_second_transaction(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);

	begin(f, st);
	assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, before, 2), -EBUSY);
	assert_int_equal(tenant_store_end(st), 0);
	expect_slots(st, 2);
	tenant_store_close(st);
}

static void store_knows_a_transaction_of_an_earlier_boot(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	struct tenant_plan *p;
	bool same;

	begin(f, st);
	tenant_store_close(st);
	fake_file(f, "../proc/sys/kernel/random/boot_id", "33333333-4444");
	st = store_open(f, STORE_READ);
	assert_int_equal(tenant_store_unfinished(st, &p, &same), 1);
	assert_false(same);
	free_plan(p);
	tenant_store_close(st);
}

/* Two slots for one VF: the whole of it is refused. */
static void store_begin_is_all_or_nothing(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	struct tenant_slot twice[2] = { slots[0], slots[0] };
	struct tenant_plan p = { .steps = steps, .n_steps = 3, .slots = twice, .n_slots = 2 },
			   *left;
	bool same;

	strcpy(twice[1].tenant, "other");
	assert_int_equal(tenant_store_begin(st, "apply", NULL, &p, before, 2), -EIO);
	assert_int_equal(f->n_said, 1);
	assert_int_equal(tenant_store_unfinished(st, &left, &same), 0);
	assert_int_equal(count_before(st), 0);
	f->n_said = 0;
	begin(f, st);
	tenant_store_close(st);
}

/* --- what was before --- */
static void store_before_keeps_the_first_and_takes_no_vf_of_ours(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	struct tenant_before_vf later_vfs[3] = { { .idx = 0 }, { .idx = 1 }, { .idx = 2 } };
	struct tenant_before later = before[0], *b;
	size_t n;

	begin(f, st);
	assert_int_equal(tenant_store_end(st), 0);
	later.num_vfs = 7;
	later.autoprobe = 0;
	later.vf = later_vfs;
	later.n_vfs = 3;
	assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, &later, 1), 0);
	assert_int_equal(tenant_store_end(st), 0);
	assert_int_equal(tenant_store_before(st, &b, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(b[0].pf, PF);
	assert_int_equal(b[0].num_vfs, 2);
	assert_int_equal(b[0].autoprobe, 1);
	assert_int_equal(b[0].vendor, 0x8086);
	assert_int_equal(b[0].n_vfs, 2);
	assert_string_equal(b[0].vf[0].driver, "igbvf");
	assert_settings(&b[0].vf[0].set, &before_vfs[0].set);
	assert_int_equal(b[1].autoprobe, -1);
	assert_int_equal(b[1].n_vfs, 0);
	tenant_before_free(b, n);
	assert_int_equal(tenant_store_forget_before(st, PF), 0);
	assert_int_equal(count_before(st), 1);
	tenant_store_close(st);
}

static void store_before_of_an_earlier_boot_is_replaced(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	struct tenant_before later = { .pf = PF, .boot_id = "33333333-4444", .num_vfs = 5 }, *b;
	size_t n;

	begin(f, st);
	assert_int_equal(tenant_store_end(st), 0);
	assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, &later, 1), 0);
	assert_int_equal(tenant_store_end(st), 0);
	assert_int_equal(tenant_store_before(st, &b, &n), 0);
	assert_int_equal(b[0].num_vfs, 5);
	assert_int_equal(b[0].n_vfs, 0);
	assert_string_equal(b[0].boot_id, "33333333-4444");
	tenant_before_free(b, n);
	tenant_store_close(st);
}

/* --- leases and what was learned --- */
static void store_lease_is_one_for_a_vf(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	struct tenant_lease l = { .pf = PF,
				  .idx = 3,
				  .tenant = "acme",
				  .guest = "g 1",
				  .pid = 4711,
				  .start = 1ull << 62,
				  .boot_id = "11111111-2222" };
	struct tenant_lease second = l, *all;
	size_t n;

	assert_int_equal(tenant_store_lease_take(st, &l), 0);
	strcpy(second.tenant, "other");
	assert_int_equal(tenant_store_lease_take(st, &second), -EBUSY);
	second.idx = 4;
	assert_int_equal(tenant_store_lease_take(st, &second), 0);
	assert_int_equal(tenant_store_lease_dirty(st, PF, 3), 0);
	assert_int_equal(f->n_said, 0);
	tenant_store_close(st);
	st = store_open(f, STORE_WRITE);
	assert_int_equal(tenant_store_leases(st, &all, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(all[0].tenant, "acme");
	assert_string_equal(all[0].guest, "g 1");
	assert_int_equal(all[0].pid, 4711);
	assert_true(all[0].start == 1ull << 62);
	assert_string_equal(all[0].boot_id, "11111111-2222");
	assert_true(all[0].dirty);
	assert_false(all[1].dirty);
	free(all);
	assert_int_equal(tenant_store_lease_drop(st, PF, 3), 0);
	assert_int_equal(tenant_store_lease_drop(st, PF, 3), 0);
	assert_int_equal(tenant_store_lease_dirty(st, PF, 3), -ENOENT);
	assert_int_equal(tenant_store_lease_take(st, &l), 0);
	tenant_store_close(st);
}

static void store_learns_by_driver_version_and_question(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	char when[24];
	int err;

	assert_int_equal(tenant_store_learn(st, "igb", "v1", CAN_LINK, -EOPNOTSUPP), 0);
	assert_int_equal(tenant_store_learn(st, "igb", "v1", CAN_MAC, 0), 0);
	tenant_store_close(st);
	st = store_open(f, STORE_READ);
	assert_int_equal(tenant_store_learned(st, "igb", "v1", CAN_LINK, &err, when), 0);
	assert_int_equal(err, -EOPNOTSUPP);
	assert_int_equal(strlen(when), 20);
	assert_int_equal(tenant_store_learned(st, "igb", "v1", CAN_MAC, &err, when), 0);
	assert_int_equal(err, 0);
	assert_int_equal(tenant_store_learned(st, "igb", "v2", CAN_LINK, &err, when), -ENOENT);
	assert_int_equal(tenant_store_learned(st, "ice", "v1", CAN_LINK, &err, when), -ENOENT);
	assert_int_equal(tenant_store_learned(st, "igb", "v1", CAN_QOS, &err, when), -ENOENT);
	assert_int_equal(f->n_said, 0);
	tenant_store_close(st);
	st = store_open(f, STORE_WRITE);
	assert_int_equal(tenant_store_learn(st, "igb", "v1", CAN_LINK, 0), 0);
	assert_int_equal(tenant_store_learned(st, "igb", "v1", CAN_LINK, &err, when), 0);
	assert_int_equal(err, 0);
	tenant_store_close(st);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fake_nic_setup, fake_nic_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(store_read_of_a_missing_one_is_empty_and_makes_nothing),
		STORE_TEST(store_of_the_reader_takes_nothing),
		STORE_TEST(store_is_the_owners_and_the_groups),
		STORE_TEST(store_begin_is_unfinished_until_its_end),
		STORE_TEST(store_marks_steps_by_one_and_by_many),
		STORE_TEST(store_cancel_leaves_what_was),
		STORE_TEST(store_begin_refuses_a_second_transaction),
		STORE_TEST(store_knows_a_transaction_of_an_earlier_boot),
		STORE_TEST(store_begin_is_all_or_nothing),
		STORE_TEST(store_before_keeps_the_first_and_takes_no_vf_of_ours),
		STORE_TEST(store_before_of_an_earlier_boot_is_replaced),
		STORE_TEST(store_lease_is_one_for_a_vf),
		STORE_TEST(store_learns_by_driver_version_and_question),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
