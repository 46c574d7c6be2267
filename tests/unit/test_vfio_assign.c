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
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "helper_vfio_assign.h"
#include "vfio/assign_priv.h"

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

/* The writes among the steps, as the kernel got them: "path text". */
static void writes_of_steps(const struct host *h, char *buf, size_t size)
{
	const char *line = h->steps, *end;

	buf[0] = '\0';
	for (; (end = strchr(line, '\n')); line = end + 1)
		if (!strncmp(line, "write ", 6))
			snprintf(buf + strlen(buf), size - strlen(buf), "%.*s\n",
				 (int)(end - line) - 6, line + 6);
}

static void dry_run_tells_what_is_done_and_changes_nothing(void **state)
{
	struct host *h = *state;
	const char *nic = NIC;
	char dry[8192], writes[8192];

	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_DRY_RUN), 0);
	assert_int_equal(h->k.n_writes, 0);
	assert_as_before(h);
	assert_false(tree_exists(&h->t, "state/.lock"));
	snprintf(dry, sizeof(dry), "%s", h->steps);
	assert_non_null(strstr(dry, "/devices/" NIC "/driver_override vfio-pci\n"));
	assert_non_null(strstr(dry, "/devices/" NIC "/driver/unbind " NIC "\n"));
	assert_non_null(strstr(dry, "/drivers_probe " NIC "\n"));
	h->steps[0] = '\0';
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_string_equal(h->steps, dry);
	writes_of_steps(h, writes, sizeof(writes));
	assert_string_equal(writes, h->writes);

	h->steps[0] = h->writes[0] = '\0';
	h->k.n_writes = 0;
	tree_file(&h->t, "sys/devices/pci0000:00/" NIC "/driver_override", "vfio-pci\n");
	assert_int_equal(vfio_unassign(&h->s, &nic, 1, VFIO_ASSIGN_DRY_RUN), 0);
	assert_int_equal(h->k.n_writes, 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_true(has_record(h, NIC));
	snprintf(dry, sizeof(dry), "%s", h->steps);
	assert_non_null(strstr(dry, "/drivers/igb/bind " NIC "\n"));
	assert_non_null(strstr(dry, "remove "));
	h->steps[0] = '\0';
	assert_int_equal(host_unassign(h, NIC), 0);
	assert_string_equal(h->steps, dry);
	assert_as_before(h);
}

static void dry_run_refuses_what_is_refused(void **state)
{
	struct host *h = *state;

	tree_function(&h->t, NIC2, 1, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_DRY_RUN), -EBUSY);
	assert_string_equal(h->steps, "");
}

static void dry_run_loads_no_module(void **state)
{
	struct host *h = *state;

	tree_remove(&h->t, "sys/bus/pci/drivers/vfio-pci");
	h->s.modprobe = "/bin/true"; /* it could be loaded */
	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_DRY_RUN), 0);
	assert_non_null(strstr(h->steps, "load  vfio-pci\n"));
	h->steps[0] = '\0';
	assert_int_equal(err_to_exit(host_assign(h, NIC, NULL, 0)), FL_UNSUPPORTED);
	assert_said(h, "the module vfio-pci does not load");
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

static void a_long_wait_says_what_it_waits_for(void **state)
{
	struct host *h = *state;

	h->k.stuck_unbind = true;
	assert_int_equal(host_assign(h, NIC, NULL, 0), -ETIMEDOUT);
	assert_said(h, "waiting at most 1 s more: igb is to let go of " NIC);
	assert_said(h, "taking " NIC " from its driver igb: it has not let go in 30 ms");
	assert_said(h, "--timeout");
}

static void write_that_hangs_in_the_kernel_meets_the_deadline(void **state)
{
	struct host *h = *state;
	char path[TREE_PATH], got[16];
	int fd;

	snprintf(path, sizeof(path), "%s/unbind", h->t.root);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody reads: opening it hangs */
	assert_int_equal(assign_sys_write(NULL, path, NIC, 30), -ETIMEDOUT);
	assert_said(h, "the kernel is busy with '" NIC "' in ");
	fd = open(path, O_RDONLY | O_NONBLOCK); /* and lets who was left behind go */
	assert_true(fd >= 0);
	tree_file(&h->t, "plain", "");
	snprintf(path, sizeof(path), "%s/plain", h->t.root);
	assert_int_equal(assign_sys_write(NULL, path, NIC, 5000), 0);
	assert_string_equal(tree_read(&h->t, "plain", got, sizeof(got)), NIC);
	snprintf(path, sizeof(path), "%s/missing", h->t.root);
	assert_int_equal(assign_sys_write(NULL, path, NIC, 5000), -ENOENT);
	close(fd);
}

static void node_that_never_appears_meets_the_deadline(void **state)
{
	struct host *h = *state;

	h->no_node = true;
	assert_int_equal(host_assign(h, NIC, NULL, 0), -ETIMEDOUT);
	assert_said(h, "/dev/vfio/1 is to appear");
	assert_said(h, "/dev/vfio/1 has not appeared");
	assert_as_before(h);
}

static void node_of_a_kernel_without_groups_will_do(void **state)
{
	struct host *h = *state;

	h->no_node = true;
	tree_dir(&h->t, NIC_PATH "/vfio-dev/vfio3");
	tree_file(&h->t, "dev/vfio/devices/vfio3", "");
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
}

static void what_the_firmware_keeps_is_refused_before_a_guest_fails(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, "sys/kernel/iommu_groups/1/reserved_regions",
		  "0x000000007c000000 0x000000007fffffff direct\n");
	assert_int_equal(err_to_exit(host_assign(h, NIC, NULL, 0)), FL_UNSUPPORTED);
	assert_said(h, "0x7c000000-0x7fffffff for IOMMU group 1 (RMRR)");
	assert_as_before(h);
	tree_file(&h->t, "sys/kernel/iommu_groups/1/reserved_regions",
		  "0x000000007c000000 0x000000007fffffff direct-relaxable\n");
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
}

#define NOIOMMU "sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

static void no_iommu_mode_takes_a_word_that_says_what_it_costs(void **state)
{
	struct host *h = *state;
	char path[TREE_PATH];

	tree_remove(&h->t, NIC_PATH "/iommu_group");
	tree_file(&h->t, NOIOMMU, "N\n");
	assert_int_equal(err_to_exit(host_assign(h, NIC, NULL, VFIO_ASSIGN_NO_IOMMU)),
			 FL_UNSUPPORTED);
	assert_said(h, "enable_unsafe_noiommu_mode=1");
	tree_file(&h->t, NOIOMMU, "Y\n");
	assert_int_equal(err_to_exit(host_assign(h, NIC, NULL, 0)), FL_UNSUPPORTED);
	assert_said(h, "all memory of this host");
	assert_said(h, "--unprotected-dma");
	assert_int_equal(h->k.n_writes, 0);
	h->noiommu = true;
	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_NO_IOMMU), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_int_equal(err_to_exit(host_assign(h, NIC, NULL, 0)), FL_UNSUPPORTED);
	tree_dir(&h->t, "proc/4242/fd");
	snprintf(path, sizeof(path), "%s/proc/4242/fd/7", h->t.root);
	assert_int_equal(symlink("/dev/vfio/noiommu-9", path), 0);
	assert_int_equal(host_unassign(h, NIC), -EBUSY);
}

/* As user nobody; what was said comes back by a pipe. */
static void without_rights(struct host *h)
{
	int status, out[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		int ret;

		if (setresuid(65534, 65534, 65534) < 0)
			_exit(99);
		ret = host_assign(h, NIC, NULL, 0);
		n = write(out[1], h->said, strlen(h->said));
		_exit(n > 0 && ret == -EACCES && h->k.n_writes == 0 ? 0 : 1);
	}
	close(out[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	n = read(out[0], h->said, sizeof(h->said) - 1);
	h->said[n < 0 ? 0 : n] = '\0';
	close(out[0]);
}

static void user_without_rights_is_told_which_one_is_missing(void **state)
{
	struct host *h = *state;

	if (geteuid() != 0)
		skip();
	tree_file(&h->t, "proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
	assert_int_equal(chmod(h->t.root, 0755), 0);
	without_rights(h);
	assert_said(h, "user 65534 may not write it (CAP_DAC_OVERRIDE is missing); run as root");
	assert_as_before(h);
	assert_false(tree_exists(&h->t, "state/.lock"));
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
		T(dry_run_tells_what_is_done_and_changes_nothing),
		T(dry_run_refuses_what_is_refused),
		T(dry_run_loads_no_module),
		T(group_must_come_whole),
		T(when_the_second_fails_the_first_goes_back),
		T(unbind_that_never_ends_meets_the_deadline),
		T(a_long_wait_says_what_it_waits_for),
		T(write_that_hangs_in_the_kernel_meets_the_deadline),
		T(node_that_never_appears_meets_the_deadline),
		T(node_of_a_kernel_without_groups_will_do),
		T(what_the_firmware_keeps_is_refused_before_a_guest_fails),
		T(no_iommu_mode_takes_a_word_that_says_what_it_costs),
		T(user_without_rights_is_told_which_one_is_missing),
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
