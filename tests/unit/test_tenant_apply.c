/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Applying and releasing tenants on a made-up host: what is there afterwards, what goes back, what
 * is refused and how, and who is named.
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
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper_tenant.h"

#define PFS "version: 1\npfs:\n  - match: {pci: \"0000:01:00.0\"}\n    vfs: 4\n"
#define ACME \
	"  acme: {vfs: 2, vlan: 100, mac: auto, max_tx_mbit: 1000, spoof_check: on, trust: off}\n"
#define BLUE "  blue: {vfs: 1, vlan: 200, qos: 3, driver: igbvf}\n"
static const char two[] = PFS "tenants:\n" ACME BLUE;
static const char acme_only[] = PFS "tenants:\n" ACME;

static void assert_state(struct tenant_host *h, const char *want)
{
	char *is = th_state(h);

	assert_string_equal(is, want);
	free(is);
}

static void applied(struct tenant_host *h, const char *yaml)
{
	int ret = th_apply(h, yaml, NULL);

	if (ret < 0)
		fail_msg("apply: %s\n%s", strerror(-ret), h->said);
	assert_int_equal(ret, 0);
}

static void released(struct tenant_host *h, const char *tenant)
{
	int ret = tenant_release(&h->env, tenant);

	if (ret < 0)
		fail_msg("release: %s\n%s", strerror(-ret), h->said);
}

static unsigned int with_vlan(struct tenant_host *h, unsigned int vlan)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < h->pf[0].n_vfs; i++)
		n += h->pf[0].vf[i].vlan == vlan;
	return n;
}

static int vf_with_vlan(struct tenant_host *h, unsigned int vlan)
{
	for (unsigned int i = 0; i < h->pf[0].n_vfs; i++)
		if (h->pf[0].vf[i].vlan == vlan)
			return (int)i;
	return -1;
}

/* --- there and back --- */
static void apply_gives_what_the_file_says(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h);
	int blue;

	applied(h, two);
	assert_int_equal(h->pf[0].n_vfs, 4);
	assert_int_equal(with_vlan(h, 100), 2);
	assert_int_equal(with_vlan(h, 200), 1);
	blue = vf_with_vlan(h, 200);
	assert_int_equal(h->pf[0].vf[blue].qos, 3);
	assert_string_equal(th_driver(h, 0, (unsigned int)blue), "igbvf");
	assert_string_equal(th_driver(h, 0, (unsigned int)vf_with_vlan(h, 100)), "vfio-pci");
	assert_int_equal(h->pf[0].vf[vf_with_vlan(h, 100)].max_tx_mbit, 1000);
	assert_string_equal(h->said, "");
	released(h, NULL);
	assert_state(h, before);
	free(before);
}

static void apply_twice_writes_nothing(void **state)
{
	struct tenant_host *h = *state;
	size_t changed = 99;

	applied(h, two);
	th_calm(h);
	assert_int_equal(th_apply(h, two, &changed), 0);
	assert_int_equal(changed, 0);
	assert_int_equal(h->n_writes, 0);
}

static void release_puts_back_what_somebody_else_had_set(void **state)
{
	struct tenant_host *h = *state;
	char *before;

	th_number(h, 0, 2);
	h->pf[0].vf[1].vlan = 77;
	h->pf[0].vf[1].max_tx_mbit = 5;
	h->pf[0].vf[0].mac[0] = 2;
	before = th_state(h);
	applied(h, two);
	assert_int_equal(h->pf[0].n_vfs, 4);
	released(h, NULL);
	assert_state(h, before);
	free(before);
}

static void a_tenant_that_goes_leaves_its_vfs_as_they_were_made(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h);

	applied(h, two);
	released(h, "blue");
	assert_int_equal(with_vlan(h, 200), 0);
	assert_int_equal(with_vlan(h, 100), 2);
	applied(h, two);
	assert_int_equal(with_vlan(h, 200), 1);
	released(h, "acme");
	released(h, "blue");
	assert_state(h, before);
	free(before);
}

static void a_vf_is_reset_before_another_tenant_gets_it(void **state)
{
	struct tenant_host *h = *state;
	unsigned int blue, resets;

	applied(h, two);
	blue = (unsigned int)vf_with_vlan(h, 200);
	resets = h->pf[0].resets[blue];
	released(h, "blue");
	applied(h, PFS "tenants:\n" ACME "  coral: {vfs: 2, vlan: 300}\n");
	assert_true(h->pf[0].resets[blue] > resets);
	assert_int_equal(with_vlan(h, 300), 2);
}

static void a_vf_without_a_reset_goes_to_no_other_tenant(void **state)
{
	struct tenant_host *h = *state;
	char *mid;

	h->no_reset = true;
	applied(h, two);
	mid = th_state(h);
	assert_true(tenant_release(&h->env, "blue") < 0);
	assert_non_null(strstr(h->said, "reset"));
	assert_state(h, mid);
	free(mid);
}

static void what_somebody_else_set_is_put_right(void **state)
{
	struct tenant_host *h = *state;
	char *mid;
	size_t changed;
	int acme;

	/* a kernel of which the table of drivers knows what it takes: nothing is to be tried */
	tree_file(&h->t, "proc/sys/kernel/osrelease", "6.12.0\n");
	applied(h, two);
	mid = th_state(h);
	acme = vf_with_vlan(h, 100);
	h->pf[0].vf[acme].vlan = 999;
	h->pf[0].vf[acme].trust = true;
	assert_int_equal(th_apply(h, two, &changed), 0);
	assert_int_equal(changed, 2);
	assert_state(h, mid);
	free(mid);
}

static void more_vfs_later_keep_what_the_others_have(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h);

	applied(h, "version: 1\npfs:\n  - match: {pci: \"0000:01:00.0\"}\ntenants:\n" ACME);
	assert_int_equal(h->pf[0].n_vfs, 2);
	applied(h, "version: 1\npfs:\n  - match: {pci: \"0000:01:00.0\"}\ntenants:\n" ACME BLUE);
	assert_int_equal(h->pf[0].n_vfs, 3);
	assert_int_equal(with_vlan(h, 100), 2);
	assert_int_equal(with_vlan(h, 200), 1);
	for (unsigned int i = 0; i < 3; i++)
		assert_string_equal(th_driver(h, 0, i),
				    h->pf[0].vf[i].vlan == 100 ? "vfio-pci" : "igbvf");
	released(h, NULL);
	assert_state(h, before);
	free(before);
}

static void a_driver_that_keeps_settings_gives_none_to_the_next(void **state)
{
	struct tenant_host *h = *state;

	h->keeps_settings = true;
	applied(h, two);
	released(h, NULL);
	th_number(h, 0, 4);
	assert_int_equal(with_vlan(h, 0), 4);
}

/* The host's own VFs, taken away by somebody while tenants had them, are made again as they were.
 */
static void nor_to_the_host_when_somebody_took_them_away(void **state)
{
	struct tenant_host *h = *state;
	char *before;

	th_number(h, 0, 2);
	before = th_state(h);
	h->keeps_settings = true;
	applied(h, two);
	th_number(h, 0, 0);
	assert_int_equal(tenant_release(&h->env, NULL), 0);
	assert_int_equal(with_vlan(h, 100) + with_vlan(h, 200), 0);
	assert_state(h, before);
	free(before);
}

static void nor_does_a_failed_apply(void **state)
{
	static const char spoofer[] =
		PFS "tenants:\n  acme: {vfs: 2, vlan: 100, spoof_check: off}\n";
	struct tenant_host *h = *state;
	char *fresh, *none = th_state(h), *is;

	h->keeps_settings = true;
	th_number(h, 0, 4);
	fresh = th_state(h);
	th_number(h, 0, 0);
	for (unsigned int at = 1;; at++) {
		h->n_writes = 0;
		h->fail_at = at;
		h->fail_errno = -EIO;
		if (th_apply(h, spoofer, NULL) == 0)
			break;
		assert_state(h, none);
		th_number(h, 0, 4);
		is = th_state(h);
		assert_string_equal(is, fresh);
		free(is);
		th_number(h, 0, 0);
	}
	free(none);
	free(fresh);
}

/* --- boots --- */
static void after_a_boot_the_stored_file_is_applied_again(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h), *mid, *booted;
	size_t changed;

	applied(h, two);
	mid = th_state(h);
	th_reboot(h);
	booted = th_state(h);
	assert_int_equal(tenant_apply(&h->env, NULL, &changed), 0);
	assert_true(changed > 0);
	assert_state(h, mid);
	released(h, NULL);
	assert_state(h, booted);
	free(before);
	free(mid);
	free(booted);
}

static void values_of_an_earlier_boot_are_not_put_back(void **state)
{
	struct tenant_host *h = *state;
	char *booted;

	th_number(h, 0, 2);
	h->pf[0].vf[0].vlan = 77;
	applied(h, two);
	th_reboot(h);
	th_number(h, 0, 3);
	booted = th_state(h);
	assert_int_equal(tenant_apply(&h->env, NULL, NULL), 0);
	released(h, NULL);
	assert_state(h, booted);
	free(booted);
}

static void nothing_stored_is_nothing_to_do(void **state)
{
	struct tenant_host *h = *state;
	size_t changed = 99;

	assert_int_equal(tenant_apply(&h->env, NULL, &changed), 0);
	assert_int_equal(changed, 0);
	assert_int_equal(h->n_writes, 0);
}

static void another_device_in_the_same_place_is_refused(void **state)
{
	struct tenant_host *h = *state;
	char *booted;

	applied(h, two);
	th_reboot(h);
	tree_file(&h->t, "sys/devices/pci0000:00/0000:01:00.0/device", "0x1572\n");
	booted = th_state(h);
	assert_true(tenant_apply(&h->env, NULL, NULL) < 0);
	assert_non_null(strstr(h->said, "8086:10c9"));
	assert_non_null(strstr(h->said, "8086:1572"));
	assert_state(h, booted);
	released(h, NULL);
	assert_state(h, booted);
	free(booted);
}

static void rename_netdev(struct tenant_host *h)
{
	char from[TREE_PATH], to[TREE_PATH];

	snprintf(from, sizeof(from), "%s/devices/pci0000:00/0000:01:00.0/net/lab0", h->t.sysfs);
	snprintf(to, sizeof(to), "%s/devices/pci0000:00/0000:01:00.0/net/uplink", h->t.sysfs);
	assert_int_equal(rename(from, to), 0);
	tree_remove(&h->t, "sys/class/net/lab0");
	tree_link(&h->t, "sys/class/net/uplink", "sys/devices/pci0000:00/0000:01:00.0/net/uplink");
}

static void a_renamed_pf_is_the_same_pf(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h);

	applied(h, two);
	rename_netdev(h);
	released(h, NULL);
	assert_state(h, before);
	free(before);
}

/* --- refusals --- */
static void eopnotsupp_on_one_setting_of_five_takes_all_back(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h);

	h->refuse = VF_TRUST;
	h->refuse_errno = -EOPNOTSUPP;
	assert_int_equal(
		th_apply(h,
			 PFS "tenants:\n  acme: {vfs: 2, vlan: 100, mac: auto, max_tx_mbit: 9, "
			     "spoof_check: off, trust: on}\n",
			 NULL),
		-EOPNOTSUPP);
	assert_non_null(strstr(h->said, "trust"));
	assert_state(h, before);
	free(before);
}

/* Nobody knows of this driver: it is tried on one VF, and the answer remembered. */
static const char trusted[] = PFS "tenants:\n  acme: {vfs: 2, vlan: 100, trust: on}\n";

static void an_unknown_driver(struct tenant_host *h)
{
	tree_remove(&h->t, "sys/devices/pci0000:00/0000:01:00.0/driver");
	tree_link(&h->t, "sys/devices/pci0000:00/0000:01:00.0/driver",
		  "sys/bus/pci/drivers/newnic");
}

static void what_nobody_knows_is_tried_and_remembered(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h);
	size_t first, second;

	an_unknown_driver(h);
	assert_int_equal(th_apply(h, trusted, &first), 0);
	assert_int_equal(with_vlan(h, 100), 2);
	assert_true(h->pf[0].vf[0].trust && h->pf[0].vf[1].trust);
	released(h, NULL);
	assert_state(h, before);
	assert_int_equal(th_apply(h, trusted, &second), 0);
	assert_true(second < first);
	free(before);
}

static void what_is_refused_when_tried_is_refused_by_the_next_plan(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h);

	an_unknown_driver(h);
	h->refuse = VF_TRUST;
	h->refuse_errno = -EOPNOTSUPP;
	assert_int_equal(th_apply(h, trusted, NULL), -EOPNOTSUPP);
	assert_state(h, before);
	th_calm(h);
	assert_int_equal(th_apply(h, trusted, NULL), -EOPNOTSUPP);
	assert_int_equal(h->n_writes, 0);
	assert_non_null(strstr(h->said, "tried on"));
	free(before);
}

/* It was the value that the driver did not take. */
static void a_rate_above_the_links_is_no_word_on_the_driver(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h);

	an_unknown_driver(h);
	tree_file(&h->t, "sys/devices/pci0000:00/0000:01:00.0/net/lab0/speed", "1000\n");
	h->refuse = VF_RATE;
	h->refuse_errno = -EINVAL;
	assert_int_equal(th_apply(h, "version: 1\ntenants:\n  acme: {max_tx_mbit: 2000}\n", NULL),
			 -EINVAL);
	assert_state(h, before);
	th_calm(h);
	applied(h, "version: 1\ntenants:\n  acme: {max_tx_mbit: 500}\n");
	assert_int_equal(h->pf[0].vf[0].max_tx_mbit, 500);
	free(before);
}

static void answers_that_do_not_hold_all_vfs_are_refused(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h);

	h->truncate_at = 1;
	assert_true(th_apply(h, two, NULL) < 0);
	assert_non_null(strstr(h->said, "holds 1 of 4"));
	h->truncate_at = 0;
	assert_state(h, before);
	free(before);
}

static void vf_commands_name_the_tenant(void **state)
{
	struct tenant_host *h = *state;
	struct vf_request r = { .has_trust = true };

	applied(h, two);
	assert_int_equal(vf_count_create(&h->env, "lab0", 5, false), -EBUSY);
	assert_non_null(strstr(h->said, "tenant acme"));
	th_calm(h);
	assert_int_equal(vf_count_remove(&h->env, "lab0"), -EBUSY);
	assert_non_null(strstr(h->said, "tenant acme"));
	th_calm(h);
	assert_int_equal(vf_set(&h->env, "lab0", (unsigned int)vf_with_vlan(h, 200), &r), -EBUSY);
	assert_non_null(strstr(h->said, "tenant blue"));
	assert_null(strchr(strchr(h->said, '\n') + 1, '\n'));
	assert_int_equal(vf_count_create(&h->env, "lab1", 2, false), 0);
}

static void vfs_in_use_are_not_taken(void **state)
{
	struct tenant_host *h = *state;
	int lease;
	char *mid;

	th_number(h, 0, 2);
	lease = vf_lease(&h->env, "0000:01:10.2", "guest web-1");
	assert_true(lease >= 0);
	mid = th_state(h);
	assert_int_equal(th_apply(h, two, NULL), -EBUSY);
	assert_non_null(strstr(h->said, "guest web-1"));
	assert_state(h, mid);
	close(lease);
	free(mid);
}

static void a_vf_assigned_by_hand_is_in_use(void **state)
{
	struct tenant_host *h = *state;
	char bdf[IOMMU_BDF_SIZE], *mid;
	const char *one = bdf;

	applied(h, two);
	th_vf_bdf(0, (unsigned int)vf_with_vlan(h, 200), bdf);
	assert_int_equal(vfio_assign(&h->vfio, &one, 1, 0), 0);
	mid = th_state(h);
	assert_int_equal(tenant_release(&h->env, "blue"), -EBUSY);
	assert_non_null(strstr(h->said, "by hand"));
	assert_state(h, mid);
	assert_int_equal(vfio_unassign(&h->vfio, &one, 1, 0), 0);
	released(h, "blue");
	free(mid);
}

static void the_lock_names_who_has_it(void **state)
{
	struct tenant_host *h = *state;
	int lock = vf_lock(&h->env);
	char pid[32];

	assert_true(lock >= 0);
	snprintf(pid, sizeof(pid), "(pid %d)", getpid());
	h->env.lock_ms = 1;
	assert_int_equal(th_apply(h, two, NULL), -EBUSY);
	assert_non_null(strstr(h->said, pid));
	close(lock);
	applied(h, two);
}

static void a_plain_user_is_told_the_capability(void **state)
{
	struct tenant_host *h = *state;
	char *before = th_state(h);

	tree_file(&h->t, "proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
	assert_int_equal(th_apply(h, two, NULL), -EPERM);
	assert_non_null(strstr(h->said, "CAP_NET_ADMIN"));
	assert_int_equal(tenant_release(&h->env, NULL), -EPERM);
	assert_int_equal(h->n_writes, 0);
	assert_state(h, before);
	free(before);
}

static void who_does_not_exist_cannot_be_released(void **state)
{
	struct tenant_host *h = *state;

	applied(h, acme_only);
	assert_int_equal(tenant_release(&h->env, "blue"), -ENOENT);
	assert_non_null(strstr(h->said, "blue"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tenant_host_setup, tenant_host_teardown)
	const struct CMUnitTest tests[] = {
		T(apply_gives_what_the_file_says),
		T(apply_twice_writes_nothing),
		T(release_puts_back_what_somebody_else_had_set),
		T(a_tenant_that_goes_leaves_its_vfs_as_they_were_made),
		T(a_vf_is_reset_before_another_tenant_gets_it),
		T(a_vf_without_a_reset_goes_to_no_other_tenant),
		T(what_somebody_else_set_is_put_right),
		T(more_vfs_later_keep_what_the_others_have),
		T(a_driver_that_keeps_settings_gives_none_to_the_next),
		T(nor_to_the_host_when_somebody_took_them_away),
		T(nor_does_a_failed_apply),
		T(after_a_boot_the_stored_file_is_applied_again),
		T(values_of_an_earlier_boot_are_not_put_back),
		T(nothing_stored_is_nothing_to_do),
		T(another_device_in_the_same_place_is_refused),
		T(a_renamed_pf_is_the_same_pf),
		T(eopnotsupp_on_one_setting_of_five_takes_all_back),
		T(what_nobody_knows_is_tried_and_remembered),
		T(what_is_refused_when_tried_is_refused_by_the_next_plan),
		T(a_rate_above_the_links_is_no_word_on_the_driver),
		T(answers_that_do_not_hold_all_vfs_are_refused),
		T(vf_commands_name_the_tenant),
		T(vfs_in_use_are_not_taken),
		T(a_vf_assigned_by_hand_is_in_use),
		T(the_lock_names_who_has_it),
		T(a_plain_user_is_told_the_capability),
		T(who_does_not_exist_cannot_be_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
