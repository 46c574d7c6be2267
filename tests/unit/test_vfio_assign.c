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
#include "helper_vfio_tree.h"
#include "vfio/vfio.h"

#define NIC  "0000:01:00.0"
#define NIC2 "0000:01:00.1"

struct host {
	struct tree t;
	struct tree_kernel k;
	struct vfio_sys s;
	char address_of[32]; /* interface that has an address */
};

static char lines[4096];

static void catch_line(void *opaque, const char *line)
{
	size_t n = strlen(lines);

	snprintf(lines + n, sizeof(lines) - n, "%s\n", line);
}

static int host_write(void *opaque, const char *path, const char *text)
{
	return tree_kernel_write(&((struct host *)opaque)->k, path, text);
}

static bool host_has_address(void *opaque, const char *ifname)
{
	return !strcmp(((struct host *)opaque)->address_of, ifname);
}

static int setup(void **state)
{
	struct host *h = calloc(1, sizeof(*h));

	tree_create(&h->t);
	h->k = (struct tree_kernel){ .t = &h->t, .probe_default = "igb" };
	h->s = (struct vfio_sys){
		.sysfs = h->t.sysfs,
		.proc = h->t.proc,
		.state = h->t.state,
		.deadline_ms = 30,
		.write = host_write,
		.has_address = host_has_address,
		.opaque = h,
	};
	tree_driver(&h->t, "vfio-pci");
	tree_driver(&h->t, "igb");
	tree_function(&h->t, NIC, 1, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	lines[0] = '\0';
	err_set_sink(catch_line, NULL);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct host *h = *state;

	err_set_sink(NULL, NULL);
	tree_destroy(&h->t);
	free(h);
	return 0;
}

static int assign(struct host *h, const char *a, const char *b, unsigned int flags)
{
	const char *bdfs[] = { a, b };

	return vfio_assign(&h->s, bdfs, b ? 2 : 1, flags);
}

static int unassign(struct host *h, const char *a)
{
	return vfio_unassign(&h->s, &a, 1, 0);
}

static void assert_driver(struct host *h, const char *bdf, const char *driver)
{
	char now[64];

	assert_string_equal(tree_driver_of(&h->t, bdf, now, sizeof(now)), driver);
}

static void assert_override(struct host *h, const char *bdf, const char *want)
{
	char path[TREE_PATH], now[64];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", bdf);
	assert_string_equal(tree_read(&h->t, path, now, sizeof(now)), want);
}

static bool has_record(struct host *h, const char *bdf)
{
	char path[TREE_PATH];

	snprintf(path, sizeof(path), "state/%s.json", bdf);
	return tree_exists(&h->t, path);
}

static void assert_as_before(struct host *h)
{
	assert_driver(h, NIC, "igb");
	assert_override(h, NIC, "(null)");
	assert_false(has_record(h, NIC));
}

/* --- there and back --- */
static void assign_binds_and_unassign_puts_everything_back(void **state)
{
	struct host *h = *state;

	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_override(h, NIC, "vfio-pci");
	assert_true(has_record(h, NIC));
	assert_int_equal(unassign(h, NIC), 0);
	assert_as_before(h);
}

static void both_are_idempotent(void **state)
{
	struct host *h = *state;

	assert_int_equal(unassign(h, NIC), 0);
	assert_as_before(h);
	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_int_equal(unassign(h, NIC), 0);
	assert_int_equal(unassign(h, NIC), 0);
	assert_as_before(h);
}

static void an_override_of_the_user_is_put_back(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, "sys/bus/pci/devices/" NIC "/driver_override", "igb\n");
	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	assert_override(h, NIC, "vfio-pci");
	assert_int_equal(unassign(h, NIC), 0);
	assert_override(h, NIC, "igb");
	assert_driver(h, NIC, "igb");
}

static void a_function_without_driver_has_none_afterwards(void **state)
{
	struct host *h = *state;

	tree_remove(&h->t, "sys/devices/pci0000:00/" NIC "/driver");
	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_int_equal(unassign(h, NIC), 0);
	assert_driver(h, NIC, "");
	assert_false(has_record(h, NIC));
}

static void the_old_driver_comes_back_even_when_another_would_claim_first(void **state)
{
	struct host *h = *state;

	h->k.probe_default = "other";
	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	assert_int_equal(unassign(h, NIC), 0);
	assert_driver(h, NIC, "igb");
}

static void bound_by_somebody_else_goes_to_the_kernels_choice(void **state)
{
	struct host *h = *state;

	tree_bind(&h->t, NIC, "vfio-pci");
	tree_file(&h->t, "sys/bus/pci/devices/" NIC "/driver_override", "vfio-pci\n");
	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	assert_false(has_record(h, NIC));
	assert_int_equal(unassign(h, NIC), 0);
	assert_as_before(h);
}

static void a_record_of_an_earlier_boot_is_not_believed(void **state)
{
	struct host *h = *state;

	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	tree_bind(&h->t, NIC, "e1000e");
	tree_file(&h->t, "sys/bus/pci/devices/" NIC "/driver_override", "(null)\n");
	tree_file(&h->t, "proc/sys/kernel/random/boot_id", "another\n");
	assert_int_equal(unassign(h, NIC), 0);
	assert_driver(h, NIC, "e1000e");
	assert_false(has_record(h, NIC));
}

static void a_driver_that_the_user_bound_meanwhile_stays(void **state)
{
	struct host *h = *state;

	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	tree_bind(&h->t, NIC, "uio_pci_generic");
	assert_int_equal(unassign(h, NIC), 0);
	assert_driver(h, NIC, "uio_pci_generic");
	assert_override(h, NIC, "(null)");
	assert_false(has_record(h, NIC));
}

static void a_record_of_another_device_is_not_believed(void **state)
{
	struct host *h = *state;

	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	tree_function(&h->t, NIC, 1, "nvme", "0x144d\n", "0xa808\n", "0x010802\n");
	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	assert_int_equal(unassign(h, NIC), 0);
	assert_driver(h, NIC, "nvme");
}

static void a_record_that_is_garbage_is_named_not_followed(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, "state/" NIC ".json", "{\"bdf\": 5");
	assert_int_equal(unassign(h, NIC), -EINVAL);
	assert_non_null(strstr(lines, "state/" NIC ".json"));
	assert_int_equal(assign(h, NIC, NULL, 0), -EINVAL);
	assert_driver(h, NIC, "igb");
}

static void a_function_that_is_gone_loses_its_record(void **state)
{
	struct host *h = *state;

	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	tree_remove(&h->t, "sys/bus/pci/devices/" NIC);
	assert_int_equal(unassign(h, NIC), 0);
	assert_false(has_record(h, NIC));
	assert_int_equal(unassign(h, NIC), -ENOENT);
}

static void dry_run_changes_nothing(void **state)
{
	struct host *h = *state;

	assert_int_equal(assign(h, NIC, NULL, VFIO_ASSIGN_DRY_RUN), 0);
	assert_int_equal(h->k.n_writes, 0);
	assert_as_before(h);
}

/* --- refusals --- */
static void group_must_come_whole(void **state)
{
	struct host *h = *state;

	tree_function(&h->t, NIC2, 1, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	assert_int_equal(assign(h, NIC, NULL, 0), -EBUSY);
	assert_non_null(strstr(lines, NIC " (igb), " NIC2 " (igb)"));
	assert_non_null(strstr(lines, "fourlane assign " NIC " " NIC2));
	assert_int_equal(h->k.n_writes, 0);
	assert_int_equal(assign(h, NIC, NIC2, 0), 0);
	assert_driver(h, NIC, "vfio-pci");
	assert_driver(h, NIC2, "vfio-pci");
}

static void when_the_second_fails_the_first_goes_back(void **state)
{
	struct host *h = *state;

	tree_function(&h->t, NIC2, 1, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	h->k.fail_bind = NIC2;
	assert_int_equal(assign(h, NIC, NIC2, 0), -ETIMEDOUT);
	assert_as_before(h);
	assert_driver(h, NIC2, "igb");
	assert_override(h, NIC2, "(null)");
	assert_false(has_record(h, NIC2));
}

static void unbind_that_never_ends_meets_the_deadline(void **state)
{
	struct host *h = *state;

	h->k.stuck_unbind = true;
	assert_int_equal(assign(h, NIC, NULL, 0), -ETIMEDOUT);
	assert_as_before(h);
}

static void no_iommu_is_an_unsupported_host(void **state)
{
	struct host *h = *state;

	tree_remove(&h->t, "sys/devices/pci0000:00/" NIC "/iommu_group");
	assert_int_equal(err_to_exit(assign(h, NIC, NULL, 0)), FL_UNSUPPORTED);
	assert_as_before(h);
}

static void missing_vfio_pci_is_an_unsupported_host(void **state)
{
	struct host *h = *state;

	tree_remove(&h->t, "sys/bus/pci/drivers/vfio-pci");
	h->s.modprobe = "/bin/false";
	assert_int_equal(err_to_exit(assign(h, NIC, NULL, 0)), FL_UNSUPPORTED);
	assert_as_before(h);
}

static void missing_function_and_bridge_are_refused(void **state)
{
	struct host *h = *state;

	assert_int_equal(assign(h, "0000:09:00.0", NULL, 0), -ENOENT);
	tree_function(&h->t, "0000:00:1c.0", 2, "pcieport", "0x8086\n", "0x1\n", "0x060400\n");
	assert_int_equal(assign(h, "0000:00:1c.0", NULL, 0), -EINVAL);
	assert_int_equal(h->k.n_writes, 0);
}

static void refused_unless_forced(struct host *h, const char *why)
{
	lines[0] = '\0';
	assert_int_equal(assign(h, NIC, NULL, 0), -EBUSY);
	assert_non_null(strstr(lines, why));
	assert_int_equal(h->k.n_writes, 0);
	assert_false(has_record(h, NIC));
	assert_int_equal(assign(h, NIC, NULL, VFIO_ASSIGN_FORCE), 0);
	assert_driver(h, NIC, "vfio-pci");
}

static void nic_with_an_address_is_refused(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t, "sys/devices/pci0000:00/" NIC "/net/eth7");
	snprintf(h->address_of, sizeof(h->address_of), "eth7");
	refused_unless_forced(h, "eth7 has an address");
}

static void nic_with_a_route_is_refused(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t, "sys/devices/pci0000:00/" NIC "/net/eth7");
	tree_file(&h->t, "proc/net/route",
		  "Iface\tDestination\tGateway\neth70\t0\t0\neth7\t0000000A\t0\n");
	refused_unless_forced(h, "eth7 carries a route");
}

static void nic_with_an_ipv6_route_is_refused_but_link_local_does_not_count(void **state)
{
	struct host *h = *state;
	const char *ll =
		"fe800000000000000000000000000000 40 00000000000000000000000000000000 00 "
		"00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth7\n"
		"ff000000000000000000000000000000 08 00000000000000000000000000000000 00 "
		"00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth7\n";
	char both[1024];

	tree_dir(&h->t, "sys/devices/pci0000:00/" NIC "/net/eth7");
	tree_file(&h->t, "proc/net/ipv6_route", ll);
	assert_int_equal(assign(h, NIC, NULL, VFIO_ASSIGN_DRY_RUN), 0);
	snprintf(both, sizeof(both),
		 "%s20010db8000000000000000000000000 40 00000000000000000000000000000000 00 "
		 "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth7\n",
		 ll);
	tree_file(&h->t, "proc/net/ipv6_route", both);
	refused_unless_forced(h, "eth7 carries a route");
}

static void nic_in_a_bridge_is_refused(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t, "sys/devices/virtual/net/br0");
	tree_link(&h->t, "sys/devices/pci0000:00/" NIC "/net/eth7/master",
		  "sys/devices/virtual/net/br0");
	refused_unless_forced(h, "eth7 is part of br0");
}

static void nic_below_a_virtio_device_is_seen(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t, "sys/devices/pci0000:00/" NIC "/virtio3/net/eth7");
	snprintf(h->address_of, sizeof(h->address_of), "eth7");
	refused_unless_forced(h, "eth7 has an address");
}

static void nic_with_virtual_functions_is_refused(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, "sys/devices/pci0000:00/" NIC "/sriov_numvfs", "3\n");
	refused_unless_forced(h, "3 virtual functions");
}

#define DISK "sys/devices/pci0000:00/" NIC "/nvme/nvme0/nvme0n1"

static void disk_that_is_mounted_is_refused(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t, DISK "/nvme0n1p1");
	tree_link(&h->t, "sys/dev/block/259:1", DISK "/nvme0n1p1");
	tree_file(&h->t, "proc/self/mountinfo",
		  "22 1 0:20 / /proc rw - proc proc rw\n30 1 259:1 / /srv rw,relatime shared:1 - "
		  "ext4 /dev/nvme0n1p1 rw\n");
	refused_unless_forced(h, "nvme0n1p1 is mounted on /srv");
}

static void disk_below_a_mapper_device_is_refused(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t, DISK "/nvme0n1p1");
	tree_dir(&h->t, "sys/devices/virtual/block/dm-0/slaves");
	tree_link(&h->t, "sys/devices/virtual/block/dm-0/slaves/nvme0n1p1", DISK "/nvme0n1p1");
	tree_link(&h->t, "sys/dev/block/253:0", "sys/devices/virtual/block/dm-0");
	tree_file(&h->t, "proc/self/mountinfo", "30 1 253:0 / / rw - ext4 /dev/mapper/root rw\n");
	refused_unless_forced(h, "mounted on /");
}

static void disk_of_an_nvme_multipath_subsystem_is_refused(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t, "sys/devices/pci0000:00/" NIC "/nvme/nvme0");
	tree_dir(&h->t, "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1");
	tree_link(&h->t, "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0",
		  "sys/devices/pci0000:00/" NIC "/nvme/nvme0");
	tree_link(&h->t, "sys/dev/block/259:1",
		  "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1");
	tree_file(&h->t, "proc/self/mountinfo", "30 1 259:1 / /data rw - xfs /dev/nvme0n1p1 rw\n");
	refused_unless_forced(h, "mounted on /data");
}

static void disk_that_is_swapped_to_is_refused(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t, DISK);
	tree_link(&h->t, "sys/class/block/nvme0n1", DISK);
	tree_file(&h->t, "proc/swaps",
		  "Filename Type Size Used Priority\n/dev/nvme0n1 partition 1 0 -2\n");
	refused_unless_forced(h, "swapping");
}

static void disk_elsewhere_does_not_matter(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t,
		 "sys/devices/pci0000:00/" NIC "0/block/sda"); /* a longer name that begins alike */
	tree_link(&h->t, "sys/dev/block/8:0", "sys/devices/pci0000:00/" NIC "0/block/sda");
	tree_file(&h->t, "proc/self/mountinfo", "30 1 8:0 / / rw - ext4 /dev/sda rw\n");
	assert_int_equal(assign(h, NIC, NULL, 0), 0);
}

static void function_that_a_guest_has_open_is_not_taken_back(void **state)
{
	struct host *h = *state;

	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	tree_dir(&h->t, "proc/4242/fd");
	assert_int_equal(vfio_user(h->t.sysfs, h->t.proc, NIC), 0);
	char path[TREE_PATH];

	snprintf(path, sizeof(path), "%s/proc/4242/fd/7", h->t.root);
	assert_int_equal(symlink("/dev/vfio/1", path), 0);
	assert_int_equal(vfio_user(h->t.sysfs, h->t.proc, NIC), 4242);
	assert_int_equal(unassign(h, NIC), -EBUSY);
	assert_non_null(strstr(lines, "4242"));
	assert_driver(h, NIC, "vfio-pci");
	assert_true(has_record(h, NIC));
	tree_remove(&h->t, "proc/4242");
	assert_int_equal(unassign(h, NIC), 0);
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
			assign(h, NIC, NULL, 0);
		else
			unassign(h, NIC);
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
		assert_int_equal(unassign(h, NIC), 0);
		assert_as_before(h);
		assert_true(die_during(h, true, at, true));
		assert_int_equal(unassign(h, NIC), 0);
		assert_as_before(h);
	}
	assert_int_equal(at, 4); /* override, unbind, probe */
}

static void assign_completes_after_assign_was_killed_at_any_write(void **state)
{
	struct host *h = *state;

	for (int at = 1; at <= 3; at++) {
		assert_true(die_during(h, true, at, true));
		assert_int_equal(assign(h, NIC, NULL, 0), 0);
		assert_driver(h, NIC, "vfio-pci");
		assert_int_equal(unassign(h, NIC), 0);
		assert_as_before(h);
	}
}

static void unassign_completes_after_unassign_was_killed_at_any_write(void **state)
{
	struct host *h = *state;
	int at;

	for (at = 1;; at++) {
		assert_int_equal(assign(h, NIC, NULL, 0), 0);
		if (!die_during(h, false, at, true))
			break;
		assert_int_equal(unassign(h, NIC), 0);
		assert_as_before(h);
	}
	assert_int_equal(at, 4); /* override, unbind, bind */
}

static void assign_keeps_the_first_record_after_unassign_was_killed(void **state)
{
	struct host *h = *state;

	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	assert_true(die_during(h, false, 2, true)); /* unbound, not bound again */
	assert_driver(h, NIC, "");
	assert_int_equal(assign(h, NIC, NULL, 0), 0);
	assert_int_equal(unassign(h, NIC), 0);
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
	assert_true(assign(h, NIC, NULL, 0) < 0);
	assert_int_equal(h->k.n_writes, 0);
	assert_driver(h, NIC, "igb");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
		T(nic_with_an_address_is_refused),
		T(nic_with_a_route_is_refused),
		T(nic_with_an_ipv6_route_is_refused_but_link_local_does_not_count),
		T(nic_in_a_bridge_is_refused),
		T(nic_below_a_virtio_device_is_seen),
		T(nic_with_virtual_functions_is_refused),
		T(disk_that_is_mounted_is_refused),
		T(disk_below_a_mapper_device_is_refused),
		T(disk_of_an_nvme_multipath_subsystem_is_refused),
		T(disk_that_is_swapped_to_is_refused),
		T(disk_elsewhere_does_not_matter),
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
