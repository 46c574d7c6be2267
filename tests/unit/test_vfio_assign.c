/* SPDX-License-Identifier: GPL-2.0-or-later */
/* assign and unassign on a made-up sysfs whose kernel side is played by helper_vfio_tree.c; also
 * killed at every single write. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "helper_vfio_assign.h"

/* --- there and back --- */
static void assign_binds_and_unassign_puts_everything_back(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_override(h, NIC, "vfio-pci");
	assert_true(has_record(h, NIC));
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_as_before(h);
}

static void both_are_idempotent(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_unassign(h, NIC), 0);
	assert_as_before(h);
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_as_before(h);
}

static void an_override_of_the_user_is_put_back(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, "sys/bus/pci/devices/" NIC "/driver_override", "igb\n");
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_override(h, NIC, "vfio-pci");
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_override(h, NIC, "igb");
	assert_driver(h, NIC, "igb");
}

static void a_function_without_driver_has_none_afterwards(void **state)
{
	struct host *h = *state;

	tree_remove(&h->t, NIC_PATH "/driver");
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_driver(h, NIC, "");
	assert_false(has_record(h, NIC));
}

static void the_old_driver_comes_back_even_when_another_would_claim_first(void **state)
{
	struct host *h = *state;

	h->k.probe_default = "other";
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_driver(h, NIC, "igb");
}

static void bound_by_somebody_else_goes_to_the_kernels_choice(void **state)
{
	struct host *h = *state;

	tree_bind(&h->t, NIC, "vfio-pci");
	tree_file(&h->t, "sys/bus/pci/devices/" NIC "/driver_override", "vfio-pci\n");
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_false(has_record(h, NIC));
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_as_before(h);
}

static void a_record_of_an_earlier_boot_is_not_believed(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	tree_bind(&h->t, NIC, "e1000e");
	tree_file(&h->t, "sys/bus/pci/devices/" NIC "/driver_override", "(null)\n");
	tree_file(&h->t, "proc/sys/kernel/random/boot_id", "another\n");
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_driver(h, NIC, "e1000e");
	assert_false(has_record(h, NIC));
}

static void a_driver_that_the_user_bound_meanwhile_stays(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	tree_bind(&h->t, NIC, "uio_pci_generic");
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_driver(h, NIC, "uio_pci_generic");
	assert_override(h, NIC, "(null)");
	assert_false(has_record(h, NIC));
}

static void a_record_of_another_device_is_not_believed(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	tree_function(&h->t, NIC, 1, "nvme", "0x144d\n", "0xa808\n", "0x010802\n");
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_driver(h, NIC, "nvme");
}

static void a_record_that_is_garbage_is_named_not_followed(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, "state/" NIC ".json", "{\"bdf\": 5");
	assert_int_equal(host_unassign(h, NIC), -EINVAL);
	assert_said(h, "state/" NIC ".json");
	assert_int_equal(host_assign(h, NIC, NULL, 0), -EINVAL);
	assert_driver(h, NIC, "igb");
}

static void a_function_that_is_gone_loses_its_record(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	tree_remove(&h->t, "sys/bus/pci/devices/" NIC);
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_false(has_record(h, NIC));
	assert_int_equal(host_unassign(h, NIC), -ENOENT);
}

static void dry_run_changes_nothing(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_DRY_RUN), 0);
	assert_int_equal(h->k.n_writes, 0);
	assert_as_before(h);
}

/* --- refusals --- */
static void group_must_come_whole(void **state)
{
	struct host *h = *state;

	tree_function(&h->t, NIC2, 1, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	assert_int_equal(host_assign(h, NIC, NULL, 0), -EBUSY);
	assert_said(h, NIC " (igb), " NIC2 " (igb)");
	assert_said(h, "fourlane assign " NIC " " NIC2);
	assert_int_equal(h->k.n_writes, 0);
	assert_int_equal(host_assign(h, NIC, NIC2, 0), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_driver(h, NIC2, "vfio-pci");
}

static void when_the_second_fails_the_first_goes_back(void **state)
{
	struct host *h = *state;

	tree_function(&h->t, NIC2, 1, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	h->k.fail_bind = NIC2;
	assert_int_equal(host_assign(h, NIC, NIC2, 0), -ETIMEDOUT);
	assert_as_before(h);
	assert_driver(h, NIC2, "igb");
	assert_override(h, NIC2, "(null)");
	assert_false(has_record(h, NIC2));
}

static void unbind_that_never_ends_meets_the_deadline(void **state)
{
	struct host *h = *state;

	h->k.stuck_unbind = true;
	assert_int_equal(host_assign(h, NIC, NULL, 0), -ETIMEDOUT);
	assert_as_before(h);
}

static void no_iommu_is_an_unsupported_host(void **state)
{
	struct host *h = *state;

	tree_remove(&h->t, NIC_PATH "/iommu_group");
	assert_int_equal(err_to_exit(host_assign(h, NIC, NULL, 0)), FL_UNSUPPORTED);
	assert_as_before(h);
}

static void missing_vfio_pci_is_an_unsupported_host(void **state)
{
	struct host *h = *state;

	tree_remove(&h->t, "sys/bus/pci/drivers/vfio-pci");
	h->s.modprobe = "/bin/false";
	assert_int_equal(err_to_exit(host_assign(h, NIC, NULL, 0)), FL_UNSUPPORTED);
	assert_as_before(h);
}

static void missing_function_and_bridge_are_refused(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, "0000:09:00.0", NULL, 0), -ENOENT);
	tree_function(&h->t, "0000:00:1c.0", 2, "pcieport", "0x8086\n", "0x1\n", "0x060400\n");
	assert_int_equal(host_assign(h, "0000:00:1c.0", NULL, 0), -EINVAL);
	assert_int_equal(h->k.n_writes, 0);
}

static void function_that_a_guest_has_open_is_not_taken_back(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	tree_dir(&h->t, "proc/4242/fd");
	assert_int_equal(vfio_user(h->t.sysfs, h->t.proc, NIC), 0);
	char path[TREE_PATH];

	snprintf(path, sizeof(path), "%s/proc/4242/fd/7", h->t.root);
	assert_int_equal(symlink("/dev/vfio/1", path), 0);
	assert_int_equal(vfio_user(h->t.sysfs, h->t.proc, NIC), 4242);
	assert_int_equal(host_unassign(h, NIC), -EBUSY);
	assert_said(h, "4242");
	assert_driver(h, NIC, "vfio-pci");
	assert_true(has_record(h, NIC));
	tree_remove(&h->t, "proc/4242");
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_as_before(h);
}

/* --- killed at every point --- */

/* Runs one action in a child that ends at a write; true when it got so far. */
static bool die_during(struct host *h, bool assigning, int at, bool after)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		h->k.n_writes = 0;
		h->k.die_at = at;
		h->k.die_after = after;
		if (assigning)
			host_assign(h, NIC, NULL, 0);
		else
			host_unassign(h, NIC);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void unassign_restores_after_assign_was_killed_at_any_write(void **state)
{
	struct host *h = *state;
	int at;

	for (at = 1; die_during(h, true, at, false); at++) {
		assert_int_equal(host_unassign(h, NIC), 0);
		assert_as_before(h);
		assert_true(die_during(h, true, at, true));
		assert_int_equal(host_unassign(h, NIC), 0);
		assert_as_before(h);
	}
	assert_int_equal(at, 4); /* override, unbind, probe */
}

static void assign_completes_after_assign_was_killed_at_any_write(void **state)
{
	struct host *h = *state;

	for (int at = 1; at <= 3; at++) {
		assert_true(die_during(h, true, at, true));
		assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
		assert_driver(h, NIC, "vfio-pci");
		assert_int_equal(host_unassign(h, NIC), 0);
		assert_as_before(h);
	}
}

static void unassign_completes_after_unassign_was_killed_at_any_write(void **state)
{
	struct host *h = *state;
	int at;

	for (at = 1;; at++) {
		assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
		if (!die_during(h, false, at, true))
			break;
		assert_int_equal(host_unassign(h, NIC), 0);
		assert_as_before(h);
	}
	assert_int_equal(at, 4); /* override, unbind, bind */
}

static void assign_keeps_the_first_record_after_unassign_was_killed(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_true(die_during(h, false, 2, true)); /* unbound, not bound again */
	assert_driver(h, NIC, "");
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_as_before(h);
}

static void record_comes_before_the_first_change(void **state)
{
	struct host *h = *state;

	assert_true(die_during(h, true, 1, false));
	assert_true(has_record(h, NIC));
	assert_driver(h, NIC, "igb");
}

static void state_folder_that_cannot_be_written_changes_nothing(void **state)
{
	struct host *h = *state;

	tree_remove(&h->t, "state");
	assert_true(host_assign(h, NIC, NULL, 0) < 0);
	assert_int_equal(h->k.n_writes, 0);
	assert_driver(h, NIC, "igb");
}

#define T(f) cmocka_unit_test_setup_teardown(f, host_setup, host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(assign_binds_and_unassign_puts_everything_back),
		T(both_are_idempotent),
		T(an_override_of_the_user_is_put_back),
		T(a_function_without_driver_has_none_afterwards),
		T(the_old_driver_comes_back_even_when_another_would_claim_first),
		T(bound_by_somebody_else_goes_to_the_kernels_choice),
		T(a_record_of_an_earlier_boot_is_not_believed),
		T(a_driver_that_the_user_bound_meanwhile_stays),
		T(a_record_of_another_device_is_not_believed),
		T(a_record_that_is_garbage_is_named_not_followed),
		T(a_function_that_is_gone_loses_its_record),
		T(dry_run_changes_nothing),
		T(group_must_come_whole),
		T(when_the_second_fails_the_first_goes_back),
		T(unbind_that_never_ends_meets_the_deadline),
		T(no_iommu_is_an_unsupported_host),
		T(missing_vfio_pci_is_an_unsupported_host),
		T(missing_function_and_bridge_are_refused),
		T(function_that_a_guest_has_open_is_not_taken_back),
		T(unassign_restores_after_assign_was_killed_at_any_write),
		T(assign_completes_after_assign_was_killed_at_any_write),
		T(unassign_completes_after_unassign_was_killed_at_any_write),
		T(assign_keeps_the_first_record_after_unassign_was_killed),
		T(record_comes_before_the_first_change),
		T(state_folder_that_cannot_be_written_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
