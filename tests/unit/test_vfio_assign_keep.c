/* SPDX-License-Identifier: GPL-2.0-or-later */
/* assign --persist: kept by address and identity, taken again after a reboot, refused when another
 * device is there, forgotten by unassign; on the made-up host of helper_vfio_assign.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <unistd.h>

#include "helper_vfio_assign.h"

#define KEPT_NIC "state/persist/" NIC ".json"

/* What a reboot leaves: drivers as the kernel chooses, no override, another boot. */
static void reboot(struct host *h, const char *bdf, const char *driver)
{
	char path[TREE_PATH];

	snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s/driver", bdf);
	tree_remove(&h->t, path);
	if (driver)
		tree_bind(&h->t, bdf, driver);
	snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s/driver_override", bdf);
	tree_file(&h->t, path, "(null)\n");
	tree_file(&h->t, "proc/sys/kernel/random/boot_id", "another\n");
	tree_remove(&h->t, "dev/vfio");
	h->k.n_writes = 0;
	h->said[0] = '\0';
}

static void keep_nic(struct host *h)
{
	host_config(h, NIC, 7);
	tree_file(&h->t, NIC_PATH "/subsystem_vendor", "0x8086\n");
	tree_file(&h->t, NIC_PATH "/subsystem_device", "0xa04c\n");
	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_KEEP), 0);
	assert_true(is_kept(h, NIC));
	reboot(h, NIC, "igb");
}

static void kept_function_is_taken_after_a_reboot(void **state)
{
	struct host *h = *state;

	keep_nic(h);
	assert_int_equal(vfio_restore(&h->s, 0), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_int_equal(vfio_restore(&h->s, 0), 0);
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_as_before(h);
	reboot(h, NIC, "igb");
	assert_int_equal(vfio_restore(&h->s, 0), 0);
	assert_driver(h, NIC, "igb");
}

static void one_that_is_not_kept_is_the_hosts_after_a_reboot(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_false(is_kept(h, NIC));
	reboot(h, NIC, "igb");
	assert_int_equal(vfio_restore(&h->s, 0), 0);
	assert_driver(h, NIC, "igb");
	assert_int_equal(h->k.n_writes, 0);
}

static void what_is_assigned_already_can_be_kept(void **state)
{
	struct host *h = *state;
	char buf[512];

	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_KEEP), 0);
	tree_read(&h->t, KEPT_NIC, buf, sizeof(buf));
	assert_non_null(strstr(buf, "\"driver\":\"igb\""));
}

static void serial_number_is_on_record(void **state)
{
	struct host *h = *state;
	char buf[512];

	keep_nic(h);
	tree_read(&h->t, KEPT_NIC, buf, sizeof(buf));
	assert_non_null(strstr(buf, "\"serial\":\"0707060504030201\""));
	assert_non_null(strstr(buf, "\"subsystem_device\":\"0xa04c\""));
}

static void refused_as_another(struct host *h, const char *words)
{
	assert_true(vfio_restore(&h->s, 0) < 0);
	assert_said(h, "another device is there now");
	assert_said(h, words);
	assert_driver(h, NIC, "igb");
	assert_int_equal(h->k.n_writes, 0);
	assert_true(is_kept(h, NIC));
}

static void another_device_at_the_address_is_refused(void **state)
{
	struct host *h = *state;

	keep_nic(h);
	tree_file(&h->t, NIC_PATH "/device", "0x1533\n");
	refused_as_another(h, "found is 0x8086:0x1533");
}

static void another_subsystem_is_refused(void **state)
{
	struct host *h = *state;

	keep_nic(h);
	tree_file(&h->t, NIC_PATH "/subsystem_device", "0xa04d\n");
	refused_as_another(h, "subsystem 0x8086:0xa04d");
}

static void another_of_the_same_kind_is_refused(void **state)
{
	struct host *h = *state;

	keep_nic(h);
	host_config(h, NIC, 8);
	refused_as_another(h, "serial 0807060504030201");
}

static void one_whose_serial_number_is_gone_is_refused(void **state)
{
	struct host *h = *state;

	keep_nic(h);
	tree_remove(&h->t, NIC_PATH "/config");
	refused_as_another(h, "no serial number");
}

static void capabilities_in_a_circle_have_no_serial_number(void **state)
{
	struct host *h = *state;
	char path[TREE_PATH];
	FILE *f;

	host_config(h, NIC, 7);
	snprintf(path, sizeof(path), "%s/" NIC_PATH "/config", h->t.root);
	f = fopen(path, "r+");
	fseek(f, 0x100, SEEK_SET);
	fwrite("\x01\x00\x02\x10", 4, 1, f); /* AER that names itself as the next */
	fclose(f);
	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_KEEP), 0);
	tree_read(&h->t, KEPT_NIC, path, sizeof(path));
	assert_non_null(strstr(path, "\"serial\":\"\""));
}

static void function_that_is_gone_is_said_and_can_be_forgotten(void **state)
{
	struct host *h = *state;

	keep_nic(h);
	tree_remove(&h->t, "sys/bus/pci/devices/" NIC);
	assert_int_equal(vfio_restore(&h->s, 0), -ENOENT);
	assert_said(h, "fourlane unassign " NIC);
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_false(is_kept(h, NIC));
	assert_int_equal(vfio_restore(&h->s, 0), 0);
}

static void unassign_forgets_also_when_another_device_is_there(void **state)
{
	struct host *h = *state;

	keep_nic(h);
	tree_file(&h->t, NIC_PATH "/device", "0x1533\n");
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_as_before(h);
}

static void unassign_that_is_refused_forgets_nothing(void **state)
{
	struct host *h = *state;
	char path[TREE_PATH];

	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_KEEP), 0);
	tree_dir(&h->t, "proc/4242/fd");
	snprintf(path, sizeof(path), "%s/proc/4242/fd/7", h->t.root);
	assert_int_equal(symlink("/dev/vfio/1", path), 0);
	assert_int_equal(host_unassign(h, NIC), -EBUSY);
	assert_true(is_kept(h, NIC));
	assert_true(has_record(h, NIC));
}

static void group_comes_back_whole(void **state)
{
	struct host *h = *state;

	tree_function(&h->t, NIC2, 1, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	assert_int_equal(host_assign(h, NIC, NIC2, VFIO_ASSIGN_KEEP), 0);
	reboot(h, NIC, "igb");
	reboot(h, NIC2, "igb");
	assert_int_equal(vfio_restore(&h->s, 0), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_driver(h, NIC2, "vfio-pci");
}

static void one_group_that_is_refused_does_not_stop_the_others(void **state)
{
	struct host *h = *state;
	const char *other = "0000:02:00.0";

	tree_function(&h->t, other, 2, "nvme", "0x144d\n", "0xa808\n", "0x010802\n");
	keep_nic(h);
	assert_int_equal(host_assign(h, other, NULL, VFIO_ASSIGN_KEEP), 0);
	reboot(h, other, "nvme");
	host_config(h, NIC, 8);
	assert_int_equal(vfio_restore(&h->s, 0), -EEXIST);
	assert_driver(h, NIC, "igb");
	assert_driver(h, other, "vfio-pci");
}

static void old_driver_is_known_when_restore_was_faster(void **state)
{
	struct host *h = *state;

	keep_nic(h);
	reboot(h, NIC, NULL); /* its module is not loaded yet */
	assert_int_equal(vfio_restore(&h->s, 0), 0);
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_as_before(h);
}

static void function_in_use_at_boot_is_refused(void **state)
{
	struct host *h = *state;

	keep_nic(h);
	host_netdev(h, "eth7", "");
	h->address_of = "eth7";
	assert_int_equal(vfio_restore(&h->s, 0), -EBUSY);
	assert_driver(h, NIC, "igb");
	assert_true(is_kept(h, NIC));
}

static void virtual_function_is_not_kept(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t, "sys/devices/pci0000:00/0000:01:00.7");
	tree_link(&h->t, NIC_PATH "/physfn", "sys/devices/pci0000:00/0000:01:00.7");
	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_KEEP), -EINVAL);
	assert_said(h, "virtual function of 0000:01:00.7");
	assert_as_before(h);
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
}

static void damaged_file_is_named_not_followed(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, KEPT_NIC, "{\"bdf\":\"" NIC "\",\"vendor\":5}");
	assert_int_equal(vfio_restore(&h->s, 0), -EINVAL);
	assert_said(h, KEPT_NIC);
	assert_int_equal(h->k.n_writes, 0);
	tree_file(&h->t, "state/persist/README", "not ours");
	tree_file(&h->t, "state/persist/..json", "nor this");
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_int_equal(vfio_restore(&h->s, 0), 0);
}

static void dry_run_keeps_nothing(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_KEEP | VFIO_ASSIGN_DRY_RUN), 0);
	assert_non_null(strstr(h->steps, KEPT_NIC));
	assert_false(tree_exists(&h->t, "state/persist"));
	assert_as_before(h);
}

static void folder_that_cannot_be_written_is_said(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, "state/persist", "a file");
	assert_true(host_assign(h, NIC, NULL, VFIO_ASSIGN_KEEP) < 0);
	assert_said(h, "until the next reboot only");
	assert_driver(h, NIC, "vfio-pci");
}

#define T(f) cmocka_unit_test_setup_teardown(f, host_setup, host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(kept_function_is_taken_after_a_reboot),
		T(one_that_is_not_kept_is_the_hosts_after_a_reboot),
		T(what_is_assigned_already_can_be_kept),
		T(serial_number_is_on_record),
		T(another_device_at_the_address_is_refused),
		T(another_subsystem_is_refused),
		T(another_of_the_same_kind_is_refused),
		T(one_whose_serial_number_is_gone_is_refused),
		T(capabilities_in_a_circle_have_no_serial_number),
		T(function_that_is_gone_is_said_and_can_be_forgotten),
		T(unassign_forgets_also_when_another_device_is_there),
		T(unassign_that_is_refused_forgets_nothing),
		T(group_comes_back_whole),
		T(one_group_that_is_refused_does_not_stop_the_others),
		T(old_driver_is_known_when_restore_was_faster),
		T(function_in_use_at_boot_is_refused),
		T(virtual_function_is_not_kept),
		T(damaged_file_is_named_not_followed),
		T(dry_run_keeps_nothing),
		T(folder_that_cannot_be_written_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
