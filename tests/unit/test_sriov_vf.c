/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making, setting and removing VFs on a made-up host that can refuse: what is left afterwards, on
 * disk too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper_sriov.h"

#define PF_DIR  "devices/pci0000:00/0000:00:01.0/" FAKE_PF
#define VF0_DIR "devices/pci0000:00/0000:00:01.0/0000:01:10.0"

static void ask(struct vf_request *r, const char *key, const char *value)
{
	char why[160];

	assert_int_equal(vf_request_parse(r, key, value, why, sizeof(why)), 0);
}

static void somebody_else_makes_two(struct fake_nic *f)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" PF_DIR "/sriov_numvfs", f->sysfs);
	assert_int_equal(f->env.write(f, path, "2"), 0);
}

/* --- how many --- */
static void vf_create_makes_them_without_host_drivers(void **state)
{
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 4, false), 0);
	assert_int_equal(f->n_vfs, 4);
	assert_int_equal(f->autoprobe_at_creation, 0);
	assert_string_equal(fake_read(f, PF_DIR "/sriov_drivers_autoprobe"), "1");
	assert_true(fake_record_exists(f, FAKE_PF));
	assert_int_equal(f->n_said, 0);
}

static void vf_create_keeps_autoprobe_when_asked(void **state)
{
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, FAKE_PF, 2, true), 0);
	assert_int_equal(f->autoprobe_at_creation, 1);
}

static void vf_create_of_the_same_count_is_done(void **state)
{
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 4, false), 0);
	f->fail_file = "sriov_numvfs"; /* any write would fail */
	f->fail_errno = -EIO;
	assert_int_equal(vf_count_create(&f->env, "lab0", 4, false), 0);
	assert_int_equal(f->n_said, 0);
}

static void vf_create_above_totalvfs_names_the_number(void **state)
{
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 8, false), -ERANGE);
	assert_non_null(strstr(f->said, "7 at most"));
	assert_int_equal(f->n_vfs, 0);
	assert_false(fake_record_exists(f, FAKE_PF));
}

static void vf_create_on_read_only_sysfs_changes_nothing(void **state)
{
	struct fake_nic *f = *state;

	f->fail_file = "sriov_numvfs";
	f->fail_errno = -EROFS;
	assert_int_equal(vf_count_create(&f->env, "lab0", 4, false), -EROFS);
	assert_int_equal(f->n_vfs, 0);
	assert_string_equal(fake_read(f, PF_DIR "/sriov_drivers_autoprobe"), "1");
	assert_int_equal(f->n_said, 1);
}

static void vf_create_goes_back_when_vfs_do_not_appear(void **state)
{
	struct fake_nic *f = *state;

	f->keep_vfs_hidden = true;
	assert_int_equal(vf_count_create(&f->env, "lab0", 4, false), -ETIMEDOUT);
	assert_string_equal(fake_read(f, PF_DIR "/sriov_numvfs"), "0");
	assert_string_equal(fake_read(f, PF_DIR "/sriov_drivers_autoprobe"), "1");
}

static void vf_create_puts_the_old_vfs_back_when_the_driver_refuses(void **state)
{
	struct vf_request r = { 0 };
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
	ask(&r, "vlan", "100");
	f->vf[1].vlan = 77; /* somebody else's setting */
	f->fail_file = "sriov_numvfs";
	f->fail_errno = -EPERM;
	f->fail_after = 1; /* 0 is taken, the new count is not */
	assert_int_equal(vf_count_create(&f->env, "lab0", 5, false), -EPERM);
	assert_int_equal(f->n_vfs, 2);
	assert_int_equal(f->vf[1].vlan, 77);
	assert_string_equal(fake_read(f, PF_DIR "/sriov_drivers_autoprobe"), "1");
}

static void vf_create_without_room_for_the_record_changes_nothing(void **state)
{
	struct fake_nic *f = *state;

	snprintf(f->env.state_dir, sizeof(f->env.state_dir), "%s/nowhere", f->root);
	assert_true(vf_count_create(&f->env, "lab0", 4, false) < 0);
	assert_int_equal(f->n_vfs, 0);
	assert_non_null(strstr(f->said, "nothing was changed"));
}

/* --- who has them --- */
static void assert_count_is_held(struct fake_nic *f, const char *by)
{
	unsigned int n = f->n_vfs;

	assert_int_equal(vf_count_create(&f->env, "lab0", n - 1, false), -EBUSY);
	assert_non_null(strstr(f->said, by));
	assert_int_equal(vf_count_create(&f->env, "lab0", 0, false), -EBUSY);
	assert_int_equal(vf_count_remove(&f->env, "lab0"), -EBUSY);
	assert_non_null(strstr(f->said, by));
	assert_int_equal(f->n_vfs, n);
}

static void count_is_kept_while_a_vf_is_leased(void **state)
{
	struct fake_nic *f = *state;
	int lease;

	assert_int_equal(vf_count_create(&f->env, "lab0", 3, false), 0);
	lease = vf_lease(&f->env, "0000:01:10.4", "guest web-1");
	assert_true(lease >= 0);
	assert_count_is_held(f, "guest web-1");
	assert_int_equal(vf_lease(&f->env, "0000:01:10.4", "guest web-2"), -EBUSY);
	close(lease);
	assert_int_equal(vf_count_remove(&f->env, "lab0"), 0);
}

static void count_is_kept_while_a_process_has_the_group_open(void **state)
{
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 3, false), 0);
	fake_driver(f, 1, "vfio-pci");
	fake_file(f, "../proc/4711/comm", "qemu");
	fake_link(f, "../proc/4711/fd/9", "/dev/vfio/11");
	assert_count_is_held(f, "qemu (pid 4711)");
	fake_remove(f, "../proc/4711");
	assert_int_equal(vf_count_create(&f->env, "lab0", 0, false), 0);
}

static void count_is_kept_while_a_netdev_is_up(void **state)
{
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, true), 0);
	fake_driver(f, 0, "igbvf");
	fake_file(f, VF0_DIR "/net/eth9/ifindex", "12");
	fake_file(f, VF0_DIR "/net/eth9/flags", "0x1003");
	assert_count_is_held(f, "eth9 is up");
	fake_file(f, VF0_DIR "/net/eth9/flags", "0x1002");
	assert_int_equal(vf_count_remove(&f->env, "lab0"), 0);
}

static void count_is_kept_while_a_netdev_is_in_another_namespace(void **state)
{
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, true), 0);
	fake_driver(f, 1, "igbvf");
	assert_count_is_held(f, "another network namespace");
}

static void the_lock_names_its_holder(void **state)
{
	struct fake_nic *f = *state;
	int lock = vf_lock(&f->env);

	assert_true(lock >= 0);
	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), -EBUSY);
	assert_non_null(strstr(f->said, "pid"));
	close(lock);
	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
}

/* --- settings --- */
static void vf_set_sets_what_is_asked_and_no_more(void **state)
{
	struct vf_request r = { 0 };
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
	ask(&r, "vlan", "100");
	ask(&r, "qos", "3");
	ask(&r, "spoof_check", "on"); /* is so already */
	assert_int_equal(vf_set(&f->env, "lab0", 1, &r), 0);
	assert_int_equal(f->vf[1].vlan, 100);
	assert_int_equal(f->vf[1].qos, 3);
	assert_int_equal(f->n_writes, 1);
	assert_int_equal(f->vf[0].vlan, 0);
}

static void vf_set_takes_the_others_back_when_one_is_refused(void **state)
{
	struct vf_request r = { 0 };
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
	ask(&r, "mac", "02:00:00:00:00:07");
	ask(&r, "vlan", "100");
	ask(&r, "trust", "on");
	ask(&r, "link", "off");
	f->refuse = VF_LINK;
	f->refuse_errno = -EOPNOTSUPP;
	assert_int_equal(vf_set(&f->env, "lab0", 0, &r), -EOPNOTSUPP);
	assert_non_null(strstr(f->said, "link state off"));
	assert_non_null(strstr(f->said, "igb"));
	assert_int_equal(f->vf[0].vlan, 0);
	assert_int_equal(f->vf[0].mac[5], 0);
	assert_false(f->vf[0].trust);
}

static void a_protocol_that_the_driver_lacks_is_unsupported(void **state)
{
	struct vf_request r = { 0 };
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 1, false), 0);
	ask(&r, "vlan", "5");
	ask(&r, "proto", "802.1ad");
	f->refuse = VF_VLAN;
	f->refuse_errno = -EPROTONOSUPPORT;
	assert_int_equal(vf_set(&f->env, "lab0", 0, &r), -EOPNOTSUPP);
	assert_non_null(strstr(f->said, "802.1ad"));
}

static void vf_set_notices_a_driver_that_does_nothing(void **state)
{
	struct vf_request r = { 0 };
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 1, false), 0);
	ask(&r, "vlan", "5");
	f->ignore_writes = true;
	assert_int_equal(vf_set(&f->env, "lab0", 0, &r), -EIO);
	assert_non_null(strstr(f->said, "shows VLAN 0"));
}

static void vf_set_of_a_vf_that_is_not_there_says_how_many_there_are(void **state)
{
	struct vf_request r = { 0 };
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
	ask(&r, "vlan", "5");
	assert_int_equal(vf_set(&f->env, "lab0", 2, &r), -ENOENT);
	assert_non_null(strstr(f->said, "2 VFs"));
	f->truncate_at = 1;
	assert_int_equal(vf_set(&f->env, "lab0", 1, &r), -EMSGSIZE);
	assert_int_equal(f->n_writes, 0);
}

/* --- putting back --- */
static void vf_remove_puts_back_what_was(void **state)
{
	struct vf_request r = { 0 };
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 4, false), 0);
	ask(&r, "vlan", "100");
	assert_int_equal(vf_set(&f->env, "lab0", 0, &r), 0);
	assert_int_equal(vf_count_remove(&f->env, "lab0"), 0);
	assert_int_equal(f->n_vfs, 0);
	assert_string_equal(fake_read(f, PF_DIR "/sriov_numvfs"), "0");
	assert_false(fake_record_exists(f, FAKE_PF));
	assert_int_equal(vf_count_remove(&f->env, "lab0"), 0); /* nothing to do is done */
}

static void vf_remove_keeps_vfs_that_were_there_before_and_their_settings(void **state)
{
	struct vf_request r = { 0 };
	struct fake_nic *f = *state;

	somebody_else_makes_two(f);
	f->vf[0].vlan = 9;
	f->vf[0].trust = true;
	ask(&r, "vlan", "100");
	ask(&r, "trust", "off");
	assert_int_equal(vf_set(&f->env, "lab0", 0, &r), 0);
	assert_int_equal(vf_set(&f->env, "lab0", 0, &r),
			 0); /* a second time must not overwrite what was first */
	assert_int_equal(vf_count_create(&f->env, "lab0", 5, false), 0);
	assert_int_equal(f->n_vfs, 5);
	assert_int_equal(vf_count_remove(&f->env, "lab0"), 0);
	assert_int_equal(f->n_vfs, 2);
	assert_int_equal(f->autoprobe_at_creation, 1);
	assert_int_equal(f->vf[0].vlan, 9);
	assert_true(f->vf[0].trust);
	assert_false(fake_record_exists(f, FAKE_PF));
}

static void a_mac_that_the_vf_driver_chose_is_nobodys_setting(void **state)
{
	struct vf_request r = { 0 };
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 1, true), 0);
	fake_driver(f, 0, "igbvf");
	fake_file(f, VF0_DIR "/net/eth9/flags", "0x1002");
	fake_file(f, VF0_DIR "/net/eth9/address", "a2:00:00:00:00:05");
	fake_file(f, VF0_DIR "/net/eth9/addr_assign_type", "1");
	memcpy(f->vf[0].mac, "\xa2\0\0\0\0\x05", 6); /* the PF shows it too */
	ask(&r, "mac", "02:00:00:00:00:07");
	assert_int_equal(vf_set(&f->env, "lab0", 0, &r), 0);
	assert_non_null(strstr(fake_record_text(f, FAKE_PF), "00:00:00:00:00:00"));
	/* one that the PF gave is */
	assert_int_equal(vf_record_drop(&f->env, FAKE_PF), 0);
	memcpy(f->vf[0].mac, "\xa2\0\0\0\0\x05", 6);
	fake_file(f, VF0_DIR "/net/eth9/addr_assign_type", "0");
	assert_int_equal(vf_set(&f->env, "lab0", 0, &r), 0);
	assert_non_null(strstr(fake_record_text(f, FAKE_PF), "a2:00:00:00:00:05"));
}

static void what_a_killed_guest_left_is_put_back_by_the_next(void **state)
{
	struct vf_settings before;
	struct fake_nic *f = *state;
	struct sriov_pf pf;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
	assert_int_equal(sriov_pf_find(&f->view, "lab0", &pf), 0);
	f->vf[1].vlan = 9;
	before = f->vf[1];
	assert_int_equal(vf_lease_note(&f->env, &pf, 1, "0000:01:10.2", &before), 0);
	f->vf[1].vlan = 77; /* the guest's; then everything is killed */
	f->vf[1].mac[5] = 8;
	assert_int_equal(vf_lease_restore(&f->env, &pf, 1, "0000:01:10.2"), 0);
	assert_int_equal(f->vf[1].vlan, 9);
	assert_int_equal(f->vf[1].mac[5], 0);
	assert_false(fake_record_exists(f, "lease-0000:01:10.2"));
	assert_int_equal(vf_lease_restore(&f->env, &pf, 1, "0000:01:10.2"),
			 0); /* nothing noted is done */
	f->vf[1].vlan = 77;
	assert_int_equal(vf_lease_note(&f->env, &pf, 1, "0000:01:10.2", &before), 0);
	assert_int_equal(vf_count_remove(&f->env, "lab0"), 0);
	assert_false(fake_record_exists(f, "lease-0000:01:10.2"));
}

static void vf_remove_leaves_other_peoples_vfs_alone(void **state)
{
	struct fake_nic *f = *state;

	somebody_else_makes_two(f);
	assert_int_equal(vf_count_remove(&f->env, "lab0"), -ENOENT);
	assert_int_equal(f->n_vfs, 2);
	assert_non_null(strstr(f->said, "vf create lab0 0"));
}

static void vf_remove_keeps_the_record_when_it_fails(void **state)
{
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
	f->fail_file = "sriov_numvfs";
	f->fail_errno = -EROFS;
	assert_int_equal(vf_count_remove(&f->env, "lab0"), -EROFS);
	assert_true(fake_record_exists(f, FAKE_PF));
	assert_int_equal(vf_count_remove(&f->env, "lab0"), 0);
}

static void a_call_killed_half_way_is_finished_by_the_next(void **state)
{
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
	fake_file(f, PF_DIR "/sriov_drivers_autoprobe",
		  "0"); /* as if killed before it was put back */
	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
	assert_string_equal(fake_read(f, PF_DIR "/sriov_drivers_autoprobe"), "1");
	fake_file(f, PF_DIR "/sriov_drivers_autoprobe", "0");
	assert_int_equal(vf_count_remove(&f->env, "lab0"), 0);
	assert_string_equal(fake_read(f, PF_DIR "/sriov_drivers_autoprobe"), "1");
}

static void a_record_of_an_earlier_boot_is_void(void **state)
{
	struct fake_nic *f = *state;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
	fake_file(f, "../proc/sys/kernel/random/boot_id", "33333333-4444");
	assert_int_equal(vf_count_remove(&f->env, "lab0"), -ENOENT);
	assert_int_equal(f->n_vfs, 2);
}

static void a_record_that_cannot_be_read_stops_everything(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{",
		"{\"version\":1}",
		"{\"version\":1,\"version\":1}",
		"{\"version\":2,\"pf\":\"x\",\"boot_id\":\"11111111-2222\",\"num_vfs\":0,\"drivers_"
		"autoprobe\":1,\"vfs\":[]}",
		"{\"version\":1,\"pf\":\"x\",\"boot_id\":\"11111111-2222\",\"num_vfs\":-1,"
		"\"drivers_autoprobe\":1,\"vfs\":[]}",
		"{\"version\":1,\"pf\":\"x\",\"boot_id\":\"11111111-2222\",\"num_vfs\":0,\"drivers_"
		"autoprobe\":1,\"vfs\":[{\"index\":-1}]}",
		"{\"version\":1,\"pf\":\"x\",\"boot_id\":\"11111111-2222\",\"num_vfs\":0,\"drivers_"
		"autoprobe\":1,\"vfs\":5}",
	};
	struct fake_nic *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake_file(f, "../state/vf/" FAKE_PF ".json", bad[i]);
		if (vf_count_create(&f->env, "lab0", 2, false) != -EBADMSG)
			fail_msg("record '%s' was taken", bad[i]);
		assert_int_equal(f->n_vfs, 0);
	}
}

static void a_record_names_no_path(void **state)
{
	struct fake_nic *f = *state;
	struct vf_record r = { .pf = "x" };

	assert_int_equal(vf_record_save(&f->env, "../escape", &r), -EINVAL);
	assert_int_equal(vf_record_save(&f->env, "..", &r), -EINVAL);
	assert_int_equal(vf_record_load(&f->env, "a/b", &r), -EINVAL);
	assert_int_equal(vf_record_drop(&f->env, ""), -EINVAL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fake_nic_setup, fake_nic_teardown)
	const struct CMUnitTest tests[] = {
		T(vf_create_makes_them_without_host_drivers),
		T(vf_create_keeps_autoprobe_when_asked),
		T(vf_create_of_the_same_count_is_done),
		T(vf_create_above_totalvfs_names_the_number),
		T(vf_create_on_read_only_sysfs_changes_nothing),
		T(vf_create_goes_back_when_vfs_do_not_appear),
		T(vf_create_puts_the_old_vfs_back_when_the_driver_refuses),
		T(vf_create_without_room_for_the_record_changes_nothing),
		T(count_is_kept_while_a_vf_is_leased),
		T(count_is_kept_while_a_process_has_the_group_open),
		T(count_is_kept_while_a_netdev_is_up),
		T(count_is_kept_while_a_netdev_is_in_another_namespace),
		T(the_lock_names_its_holder),
		T(vf_set_sets_what_is_asked_and_no_more),
		T(vf_set_takes_the_others_back_when_one_is_refused),
		T(a_protocol_that_the_driver_lacks_is_unsupported),
		T(vf_set_notices_a_driver_that_does_nothing),
		T(vf_set_of_a_vf_that_is_not_there_says_how_many_there_are),
		T(vf_remove_puts_back_what_was),
		T(vf_remove_keeps_vfs_that_were_there_before_and_their_settings),
		T(vf_remove_leaves_other_peoples_vfs_alone),
		T(a_mac_that_the_vf_driver_chose_is_nobodys_setting),
		T(what_a_killed_guest_left_is_put_back_by_the_next),
		T(vf_remove_keeps_the_record_when_it_fails),
		T(a_call_killed_half_way_is_finished_by_the_next),
		T(a_record_of_an_earlier_boot_is_void),
		T(a_record_that_cannot_be_read_stops_everything),
		T(a_record_names_no_path),
	};

	return cmocka_run_group_tests_name("sriov/vf", tests, NULL, NULL);
}
