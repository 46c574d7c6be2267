/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tenants' plan on a made-up host: who gets which VF, what is done in which order, and that
 * nothing is left to do when it has been done.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "helper_plan.h"

#define HEAD    "version: 1\ntenants:\n"
#define RULE(x) "version: 1\npfs:\n  - " x "\ntenants:\n"

static void has(const struct tenant_plan *p, const char *text)
{
	if (!plan_has(p, text)) {
		plan_show(p);
		fail_msg("no step '%s'", text);
	}
}

static void in_order(const struct tenant_plan *p, const char *first, const char *second)
{
	has(p, first);
	has(p, second);
	if (plan_has(p, first) > plan_has(p, second)) {
		plan_show(p);
		fail_msg("'%s' comes after '%s'", first, second);
	}
}

static void nothing_left(struct fake_nic *f, const char *yaml)
{
	struct tenant_plan *p = plan_good(f, yaml);

	if (p->n_steps) {
		plan_show(p);
		fail_msg("%zu steps are left", p->n_steps);
	}
	tenant_plan_free(p);
}

/* Tenant, PF and index of the slots, "acme:lab0/0 acme:lab1/0". */
static const char *places(const struct fake_nic *f, const struct tenant_plan *p)
{
	static char buf[4096];
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < p->n_slots; i++)
		for (unsigned int k = 0; k < f->n_pfs; k++)
			if (!strcmp(f->pf[k].id, p->slots[i].pf))
				used += (size_t)sprintf(buf + used, "%s%s:%s/%u", i ? " " : "",
							p->slots[i].tenant, f->pf[k].name,
							p->slots[i].idx);
	return buf;
}

static void placed(struct fake_nic *f, const char *yaml, const char *want)
{
	struct tenant_plan *p = plan_good(f, yaml);

	assert_string_equal(places(f, p), want);
	tenant_plan_free(p);
}

/* --- the first time ------------------------------------------------------- */
static void plan_makes_vfs_sets_them_and_binds(void **state)
{
	struct fake_nic *f = *state;
	static const char yaml[] = HEAD "  acme: {vfs: 2, vlan: 100, max_tx_mbit: 1000, "
					"mac: [02:00:00:00:00:01, 02:00:00:00:00:02]}\n";
	struct tenant_plan *p = plan_good(f, yaml);

	in_order(p, FAKE_PF ": autoprobe 1 -> 0", FAKE_PF ": VFs 0 -> 2");
	in_order(p, FAKE_PF ": VFs 0 -> 2", FAKE_PF " VF 0: MAC none -> 02:00:00:00:00:01 (acme)");
	in_order(p, FAKE_PF " VF 1: VLAN none -> 100 (acme)",
		 FAKE_PF " VF 0: driver none -> vfio-pci (acme)");
	has(p, FAKE_PF " VF 1: rate no limit -> max 1000 min 0 Mbit/s (acme)");
	has(p, FAKE_PF " VF 0: spoof check unknown -> on (acme)");
	has(p, FAKE_PF " VF 1: driver none -> vfio-pci (acme)");
	assert_int_equal(p->n_steps, 2 + 2 * 4 + 2);
	assert_int_equal(f->n_writes, 0);
	assert_string_equal(places(f, p), "acme:lab0/0 acme:lab0/1");
	tenant_plan_free(p);
	plan_take(f, yaml);
	nothing_left(f, yaml);
	assert_int_equal(f->vf[1].vlan, 100);
	assert_int_equal(f->n_vfs, 2);
	assert_int_equal(f->autoprobe_at_creation, 0);
}

static void plan_is_the_same_every_time(void **state)
{
	struct fake_nic *f = *state;
	static const char yaml[] = HEAD "  b: {vfs: 3, spread: on}\n  a: {vfs: 2}\n  c: {}\n";
	struct tenant_plan *p, *q;
	json_t *o, *again;

	fake_pf_add(f, "0000:02:00.0", "lab1", 7, -1);
	p = plan_good(f, yaml);
	q = plan_good(f, yaml);
	o = tenant_plan_json(p);
	again = tenant_plan_json(q);
	assert_true(json_equal(o, again));
	assert_int_equal(json_array_size(json_object_get(o, "slots")), 6);
	json_decref(o);
	json_decref(again);
	tenant_plan_free(p);
	tenant_plan_free(q);
}

static void what_is_not_said_is_off_and_spoof_check_on(void **state)
{
	struct fake_nic *f = *state;
	struct vf_settings *v = &f->vf[0];

	fake_vfs(f, &f->pf[0], 2);
	*v = (struct vf_settings){ .known = VF_ALL,
				   .vlan = 7,
				   .proto = 0x8100,
				   .max_tx_mbit = 5,
				   .trust = true,
				   .link = VF_LINK_AUTO };
	plan_take(f, HEAD "  acme: {}\n");
	assert_int_equal(v->vlan, 0);
	assert_int_equal(v->max_tx_mbit, 0);
	assert_true(v->spoof_check && !v->trust);
	nothing_left(f, HEAD "  acme: {}\n");
}

/* --- places --------------------------------------------------------------- */
static void new_vfs_go_where_most_room_is(void **state)
{
	struct fake_nic *f = *state;

	fake_pf_add(f, "0000:02:00.0", "lab1", 10, -1);
	placed(f, HEAD "  a: {vfs: 2}\n", "a:lab1/0 a:lab1/1");
	placed(f, HEAD "  a: {vfs: 4}\n  b: {}\n  c: {vfs: 3}\n",
	       "a:lab1/0 a:lab1/1 a:lab1/2 a:lab1/3 b:lab0/0 c:lab0/1 c:lab0/2 c:lab0/3");
	placed(f, HEAD "  a: {vfs: 12}\n",
	       "a:lab1/0 a:lab1/1 a:lab1/2 a:lab1/3 a:lab1/4 a:lab1/5 a:lab1/6 a:lab1/7 a:lab1/8 "
	       "a:lab1/9 a:lab0/0 a:lab0/1");
}

static void spread_goes_round_over_the_pfs(void **state)
{
	struct fake_nic *f = *state;

	fake_pf_add(f, "0000:02:00.0", "lab1", 7, -1);
	fake_pf_add(f, "0000:03:00.0", "lab2", 1, -1);
	placed(f, HEAD "  a: {vfs: 5, spread: on}\n",
	       "a:lab0/0 a:lab1/0 a:lab2/0 a:lab0/1 a:lab1/1");
}

static void numa_is_honoured(void **state)
{
	struct fake_nic *f = *state;

	fake_pf_add(f, "0000:02:00.0", "lab1", 7, 1);
	fake_pf_add(f, "0000:03:00.0", "lab2", 3, 0);
	placed(f, HEAD "  a: {numa: 1}\n  b: {numa: 0, vfs: 2}\n",
	       "a:lab1/0 b:lab0/0 b:lab0/1"); /* no NUMA is node 0 */
	placed(f, RULE("match: {numa: 1}") "  a: {}\n", "a:lab1/0");
}

static void rules_say_what_may_be_carved(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_plan *p;

	fake_pf_add(f, "0000:02:00.0", "lab1", 10, -1);
	placed(f, RULE("match: {name: lab0}") "  a: {}\n", "a:lab0/0");
	placed(f, RULE("match: {pci: \"01:00.0\"}") "  a: {}\n", "a:lab0/0");
	placed(f, RULE("match: {root_port: \"00:01.0\"}") "  a: {}\n", "a:lab0/0");
	placed(f, RULE("match: {vendor: 8086, device: 10c9}") "  a: {}\n", "a:lab1/0");
	p = plan_good(f, RULE("match: {name: lab0}\n    vfs: 5\n    keep: 3") "  a: {vfs: 2}\n");
	has(p, FAKE_PF ": VFs 0 -> 5");
	assert_string_equal(places(f, p), "a:lab0/0 a:lab0/1");
	tenant_plan_free(p);
	p = plan_good(f, RULE("match: {name: lab0}\n    keep: 3") "  a: {vfs: 2}\n");
	has(p, FAKE_PF ": VFs 0 -> 5");
	tenant_plan_free(p);
	p = plan_good(f, RULE("match: {name: lab7}") "  {}\n");
	assert_true(plan_notes(p, "t.yaml:3: there is no such PF"));
	tenant_plan_free(p);
}

static void a_pf_with_the_default_route_is_left_out(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_plan *p;

	fake_pf_add(f, "0000:02:00.0", "lab1", 3, -1);
	f->default_route = 4;
	p = plan_good(f, HEAD "  a: {}\n");
	assert_string_equal(places(f, p), "a:lab1/0");
	assert_true(plan_notes(p, "lab0 carries the default route"));
	tenant_plan_free(p);
	placed(f, RULE("match: {vendor: 8086}") "  a: {}\n", "a:lab1/0");
	placed(f, RULE("match: {name: lab0}") "  a: {}\n", "a:lab0/0");
	placed(f, RULE("match: {pci: \"01:00.0\"}") "  a: {}\n", "a:lab0/0");
	/* who has a VF of it when the route comes does not lose it */
	f->default_route = 0;
	plan_take(f, RULE("match: {name: lab0}") "  a: {}\n");
	f->default_route = 4;
	placed(f, HEAD "  a: {}\n  b: {}\n", "a:lab0/0 b:lab1/0");
}

static void vfs_in_other_hands_are_left_alone(void **state)
{
	struct fake_nic *f = *state;

	fake_vfs(f, &f->pf[0], 7);
	fake_driver(f, 0, "vfio-pci"); /* assigned by hand */
	fake_driver(f, 1, "somevf");   /* its netdev is in another namespace */
	placed(f, HEAD "  a: {vfs: 2}\n", "a:lab0/2 a:lab0/3");
}

static void what_a_tenant_has_it_keeps(void **state)
{
	struct fake_nic *f = *state;
	static const char more[] = HEAD "  aa: {}\n  m: {vfs: 3}\n  z: {}\n";

	plan_take(f, RULE("match: {name: lab0}\n    vfs: 7") "  m: {vfs: 2}\n  z: {}\n");
	fake_pf_add(f, "0000:02:00.0", "lab1", 16, -1);
	/* m's third one goes where it has others, though there is more room elsewhere */
	placed(f, more, "aa:lab1/0 m:lab0/0 m:lab0/1 m:lab0/3 z:lab0/2");
	plan_take(f, more);
	nothing_left(f, more);
}

static void groups_keep_tenants_apart(void **state)
{
	struct fake_nic *f = *state;

	fake_vfs(f, &f->pf[0], 7);
	fake_group(f, &f->pf[0], 1, 10); /* 0 and 1 together */
	placed(f, HEAD "  a: {}\n  b: {}\n", "a:lab0/0 b:lab0/2");
	placed(f, HEAD "  a: {vfs: 2}\n  b: {}\n", "a:lab0/0 a:lab0/1 b:lab0/2");
}

/* --- changes -------------------------------------------------------------- */
static void a_changed_word_is_one_step(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_plan *p;

	plan_take(f, HEAD "  acme: {vfs: 2, vlan: 100}\n");
	p = plan_good(f, HEAD "  acme: {vfs: 2, vlan: 100, trust: on}\n");
	has(p, FAKE_PF " VF 0: trust off -> on (acme)");
	has(p, FAKE_PF " VF 1: trust off -> on (acme)");
	assert_int_equal(p->n_steps, 2);
	assert_int_equal(p->n_notes, 0);
	tenant_plan_free(p);
	p = plan_good(f, HEAD "  acme: {vfs: 2}\n");
	has(p, FAKE_PF " VF 0: VLAN 100 -> none (acme)");
	tenant_plan_free(p);
}

static void a_vf_that_changes_hands_is_reset_and_clean_first(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_plan *p;

	fake_vfs(f, &f->pf[0], 1);
	f->vf[0].vlan = 9; /* the host's before anybody came */
	fake_driver(f, 0, "igbvf");
	fake_file(f, "class/net/eth7/ifindex", "77");
	fake_file(f, "devices/pci0000:00/0000:00:01.0/0000:01:10.0/net/eth7/flags", "0x1002");
	plan_take(f, RULE("match: {name: lab0}\n    vfs: 1") "  acme: {vlan: 100}\n");
	assert_int_equal(f->vf[0].vlan, 100);
	p = plan_good(f, RULE("match: {name: lab0}\n    vfs: 1") "  beta: {vlan: 200}\n");
	in_order(p, FAKE_PF " VF 0: driver vfio-pci -> none (acme)", FAKE_PF " VF 0: reset (acme)");
	in_order(p, FAKE_PF " VF 0: reset (acme)", FAKE_PF " VF 0: VLAN 100 -> 9 (acme)");
	in_order(p, FAKE_PF " VF 0: VLAN 100 -> 9 (acme)", FAKE_PF " VF 0: VLAN 9 -> 200 (beta)");
	in_order(p, FAKE_PF " VF 0: VLAN 9 -> 200 (beta)",
		 FAKE_PF " VF 0: driver none -> vfio-pci (beta)");
	tenant_plan_free(p);
	p = plan_good(f, HEAD "  {}\n");
	in_order(p, FAKE_PF " VF 0: reset (acme)", FAKE_PF " VF 0: VLAN 100 -> 9 (acme)");
	has(p, FAKE_PF " VF 0: driver none -> igbvf (acme)");
	tenant_plan_free(p);
	plan_take(f, HEAD "  {}\n");
	assert_int_equal(f->vf[0].vlan, 9);
	assert_int_equal(f->n_vfs, 1);
}

static void release_puts_the_number_back(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_plan *p;

	plan_take(f, HEAD "  acme: {vfs: 2, vlan: 100}\n");
	assert_int_equal(f->n_vfs, 2);
	p = plan_good(f, NULL);
	in_order(p, FAKE_PF " VF 1: driver vfio-pci -> none (acme)", FAKE_PF " VF 1: reset (acme)");
	in_order(p, FAKE_PF " VF 1: VLAN 100 -> none (acme)", FAKE_PF ": VFs 2 -> 0");
	in_order(p, FAKE_PF ": VFs 2 -> 0", FAKE_PF ": autoprobe 0 -> 1");
	assert_int_equal(p->n_slots, 0);
	tenant_plan_free(p);
	plan_take(f, NULL);
	assert_int_equal(f->n_vfs, 0);
	p = plan_good(f, NULL);
	assert_int_equal(p->n_steps, 0);
	tenant_plan_free(p);
}

static void what_somebody_else_set_is_named_and_put_right(void **state)
{
	struct fake_nic *f = *state;
	static const char yaml[] = HEAD "  acme: {vfs: 2, vlan: 100}\n";
	struct tenant_plan *p;

	plan_take(f, yaml);
	f->vf[1].vlan = 7;
	fake_driver(f, 0, NULL);
	p = plan_good(f, yaml);
	assert_true(plan_notes(p, "VF 1 of lab0 (tenant acme): VLAN 7"));
	assert_true(plan_notes(p, "somebody else set it"));
	assert_true(plan_notes(p, "driver none, not vfio-pci: somebody else bound it"));
	has(p, FAKE_PF " VF 1: VLAN 7 -> 100 (acme)");
	has(p, FAKE_PF " VF 0: driver none -> vfio-pci (acme)");
	assert_int_equal(p->n_steps, 2);
	tenant_plan_free(p);
	fake_vfs(f, &f->pf[0], 0);
	p = plan_good(f, yaml);
	assert_true(plan_notes(p, "somebody else took them away"));
	has(p, FAKE_PF ": VFs 0 -> 2");
	has(p, FAKE_PF " VF 0: spoof check unknown -> on (acme)"); /* it is another VF now */
	tenant_plan_free(p);
	plan_take(f, yaml);
	nothing_left(f, yaml);
	/* a module that is loaded later would take VFs that have no driver yet */
	fake_file(f, "devices/pci0000:00/0000:00:01.0/" FAKE_PF "/sriov_drivers_autoprobe", "1");
	p = plan_good(f, yaml);
	has(p, FAKE_PF ": autoprobe 1 -> 0");
	tenant_plan_free(p);
}

static void after_a_boot_the_same_vfs_come_back(void **state)
{
	struct fake_nic *f = *state;
	static const char yaml[] = HEAD "  acme: {vfs: 2, vlan: 100}\n";
	struct tenant_plan *p, *was;

	plan_take(f, HEAD "  aa: {}\n  acme: {vfs: 2, vlan: 100}\n");
	plan_take(f, yaml); /* aa has left index 0 */
	was = plan_good(f, yaml);
	assert_string_equal(places(f, was), "acme:lab0/1 acme:lab0/2");
	fake_vfs(f, &f->pf[0], 0);
	fake_file(f, "../proc/sys/kernel/random/boot_id", "33333333-4444");
	p = plan_good(f, yaml);
	assert_string_equal(places(f, p), "acme:lab0/1 acme:lab0/2");
	assert_memory_equal(p->slots[0].set.mac, was->slots[0].set.mac, 6);
	has(p, FAKE_PF ": VFs 0 -> 3");
	assert_int_equal(p->n_notes, 0); /* nobody is to blame */
	tenant_plan_free(p);
	tenant_plan_free(was);
	plan_take(f, yaml);
	nothing_left(f, yaml);
}

static void more_vfs_go_through_none_when_nobody_minds(void **state)
{
	struct fake_nic *f = *state;
	static const char yaml[] = HEAD "  acme: {vfs: 4}\n";
	struct tenant_plan *p;

	plan_take(f, HEAD "  acme: {vfs: 2}\n");
	p = plan_good(f, yaml);
	has(p, FAKE_PF ": VFs 2 -> 4");
	assert_string_equal(places(f, p), "acme:lab0/0 acme:lab0/1 acme:lab0/2 acme:lab0/3");
	tenant_plan_free(p);
	plan_take(f, yaml);
	nothing_left(f, yaml);
	/* fewer is no reason to take them all away */
	p = plan_good(f, HEAD "  acme: {vfs: 1}\n");
	assert_int_equal(plan_has(p, FAKE_PF ": VFs 4 -> 1"), 0);
	tenant_plan_free(p);
}

static void a_renamed_netdev_is_the_same_pf(void **state)
{
	struct fake_nic *f = *state;
	static const char yaml[] = HEAD "  acme: {vfs: 2, vlan: 100}\n";

	plan_take(f, yaml);
	fake_remove(f, "class/net/lab0");
	fake_link(f, "class/net/uplink", "devices/pci0000:00/0000:00:01.0/0000:01:00.0/net/uplink");
	fake_file(f, "devices/pci0000:00/0000:00:01.0/0000:01:00.0/net/uplink/ifindex", "4");
	fake_link(f, "devices/pci0000:00/0000:00:01.0/0000:01:00.0/net/uplink/device",
		  "devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	nothing_left(f, yaml);
}

/* --- MACs ----------------------------------------------------------------- */
static void auto_macs_are_stable_local_and_unique(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_plan *p = plan_good(f, HEAD "  acme: {vfs: 3}\n"), *q;
	char text[18];

	for (int i = 0; i < 3; i++) {
		assert_int_equal(p->slots[i].set.mac[0] & 3, 2);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(p->slots[i].set.mac, p->slots[k].set.mac, 6);
	}
	/* somebody on this host has the second one */
	vf_mac_text(p->slots[1].set.mac, text);
	fake_file(f, "devices/virtual/net/tap3/address", text);
	fake_link(f, "class/net/tap3", "devices/virtual/net/tap3");
	q = plan_good(f, HEAD "  acme: {vfs: 3}\n");
	assert_memory_equal(q->slots[0].set.mac, p->slots[0].set.mac, 6);
	assert_memory_not_equal(q->slots[1].set.mac, p->slots[1].set.mac, 6);
	tenant_plan_free(q);
	/* and keeps it when that one goes */
	plan_take(f, HEAD "  acme: {vfs: 3}\n");
	fake_remove(f, "class/net/tap3");
	nothing_left(f, HEAD "  acme: {vfs: 3}\n");
	tenant_plan_free(p);
}

static void listed_macs_go_to_their_vfs(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_plan *p;

	plan_take(f, HEAD "  acme: {vfs: 2, mac: [02:00:00:00:00:01, 02:00:00:00:00:02]}\n");
	assert_int_equal(f->vf[1].mac[5], 2);
	/* the two change places: that is no duplicate */
	p = plan_good(f, HEAD "  acme: {vfs: 2, mac: [02:00:00:00:00:02, 02:00:00:00:00:01]}\n");
	has(p, FAKE_PF " VF 0: MAC 02:00:00:00:00:01 -> 02:00:00:00:00:02 (acme)");
	tenant_plan_free(p);
}

/* --- netdevsim ------------------------------------------------------------ */
static void netdevsim_has_no_driver_group_or_reset(void **state)
{
	struct fake_nic *f = *state;
	static const char yaml[] = "version: 1\npfs: [{match: {name: sim0}}]\ntenants:\n"
				   "  acme: {vfs: 3, vlan: 5, spoof_check: on}\n";
	struct tenant_plan *p;

	fake_pf_add(f, "netdevsim1", "sim0", 256, -1);
	p = plan_good(f, yaml);
	has(p, "netdevsim1: VFs 0 -> 3");
	has(p, "netdevsim1 VF 2: VLAN none -> 5 (acme)");
	assert_string_equal(p->slots[0].driver, "none");
	tenant_plan_free(p);
	plan_take(f, yaml);
	nothing_left(f, yaml);
	p = plan_good(f, NULL);
	has(p, "netdevsim1: VFs 3 -> 0");
	for (size_t i = 0; i < p->n_steps; i++)
		assert_true(p->steps[i].kind == STEP_SETTING || p->steps[i].kind == STEP_NUM_VFS);
	tenant_plan_free(p);
}

static void many_vfs_and_tenants_are_one_question_a_pf(void **state)
{
	struct fake_nic *f = *state;
	char yaml[8192];
	size_t used = (size_t)sprintf(yaml, "version: 1\npfs: [{match: {name: sim0}}]\ntenants:\n");
	unsigned int reads;

	fake_pf_add(f, "netdevsim1", "sim0", 256, -1);
	for (int i = 0; i < 64; i++)
		used += (size_t)sprintf(yaml + used, "  t%d: {vfs: 4, vlan: %d, trust: on}\n", i,
					i + 1);
	assert_int_equal(plan_take(f, yaml), 1 + 256 * 4);
	reads = f->n_reads;
	nothing_left(f, yaml);
	assert_int_equal(f->n_reads, reads + 1);
}

int main(void)
{
#define T(x) cmocka_unit_test_setup_teardown(x, fake_nic_setup, fake_nic_teardown)
	const struct CMUnitTest tests[] = {
		T(plan_makes_vfs_sets_them_and_binds),
		T(plan_is_the_same_every_time),
		T(what_is_not_said_is_off_and_spoof_check_on),
		T(new_vfs_go_where_most_room_is),
		T(spread_goes_round_over_the_pfs),
		T(numa_is_honoured),
		T(rules_say_what_may_be_carved),
		T(a_pf_with_the_default_route_is_left_out),
		T(vfs_in_other_hands_are_left_alone),
		T(what_a_tenant_has_it_keeps),
		T(groups_keep_tenants_apart),
		T(a_changed_word_is_one_step),
		T(a_vf_that_changes_hands_is_reset_and_clean_first),
		T(release_puts_the_number_back),
		T(what_somebody_else_set_is_named_and_put_right),
		T(after_a_boot_the_same_vfs_come_back),
		T(more_vfs_go_through_none_when_nobody_minds),
		T(a_renamed_netdev_is_the_same_pf),
		T(auto_macs_are_stable_local_and_unique),
		T(listed_macs_go_to_their_vfs),
		T(netdevsim_has_no_driver_group_or_reset),
		T(many_vfs_and_tenants_are_one_question_a_pf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
