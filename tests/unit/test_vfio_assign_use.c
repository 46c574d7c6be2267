/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What assign refuses because the host has it in use: interfaces and what is stacked on them,
 * disks, the console; on the made-up host of helper_vfio_assign.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <unistd.h>

#include "helper_vfio_assign.h"

#define DISK NIC_PATH "/nvme/nvme0/nvme0n1"

/* An interface of no PCI function, stacked on another. */
static void stack(struct host *h, const char *lower_path, const char *upper)
{
	char path[TREE_PATH], link[TREE_PATH];

	snprintf(path, sizeof(path), "sys/devices/virtual/net/%s", upper);
	tree_dir(&h->t, path);
	snprintf(link, sizeof(link), "%s/upper_%s", lower_path, upper);
	tree_link(&h->t, link, path);
	snprintf(link, sizeof(link), "sys/class/net/%s", upper);
	tree_link(&h->t, link, path);
}

static void disk(struct host *h, const char *name, const char *path)
{
	char link[TREE_PATH];

	tree_dir(&h->t, path);
	snprintf(link, sizeof(link), "sys/class/block/%s", name);
	tree_link(&h->t, link, path);
}

static void opened(struct host *h, const char *node)
{
	char path[TREE_PATH];

	tree_dir(&h->t, "proc/4242/fd");
	tree_file(&h->t, "proc/4242/comm", "qemu-system-x86\n");
	snprintf(path, sizeof(path), "%s/proc/4242/fd/7", h->t.root);
	assert_int_equal(symlink(node, path), 0);
}

/* --- networks --- */
static void nic_with_an_address_is_refused(void **state)
{
	struct host *h = *state;

	host_netdev(h, "eth7", "");
	h->address_of = "eth7";
	refused_unless_forced(h, "eth7 has an address");
	assert_said(h, "although its network interface eth7 has an address");
}

static void nic_with_a_route_is_refused(void **state)
{
	struct host *h = *state;

	host_netdev(h, "eth7", "");
	h->route_of = "eth7";
	refused_unless_forced(h, "eth7 carries a route");
}

static void interface_of_another_function_does_not_matter(void **state)
{
	struct host *h = *state;

	host_netdev(h, "eth7", "");
	tree_dir(&h->t, "sys/devices/pci0000:00/" NIC "0/net/eth8");
	tree_link(&h->t, "sys/class/net/eth8", "sys/devices/pci0000:00/" NIC "0/net/eth8");
	h->address_of = "eth8";
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
}

static void network_that_does_not_answer_is_no_free_nic(void **state)
{
	struct host *h = *state;

	host_netdev(h, "eth7", "");
	h->ask_error = -EIO;
	refused_unless_forced(h, "eth7 cannot be asked");
}

static void nic_in_a_bridge_is_refused(void **state)
{
	struct host *h = *state;

	host_netdev(h, "eth7", "");
	stack(h, NIC_PATH "/net/eth7", "br0");
	refused_unless_forced(h, "eth7 is below br0;");
}

static void bridge_with_an_address_is_named_with_it(void **state)
{
	struct host *h = *state;

	host_netdev(h, "eth7", "");
	stack(h, NIC_PATH "/net/eth7", "br0");
	h->address_of = "br0";
	refused_unless_forced(h, "eth7 is below br0, which has an address");
}

static void vlan_on_a_bond_is_followed_to_its_route(void **state)
{
	struct host *h = *state;

	host_netdev(h, "eth7", "");
	stack(h, NIC_PATH "/net/eth7", "bond0");
	stack(h, "sys/devices/virtual/net/bond0", "bond0.7");
	stack(h, "sys/devices/virtual/net/bond0", "macvlan1");
	h->route_of = "bond0.7";
	refused_unless_forced(h, "eth7 is below bond0, which is below bond0.7, which carries a "
				 "route");
}

static void interfaces_that_lie_on_each_other_end(void **state)
{
	struct host *h = *state;

	host_netdev(h, "eth7", "");
	tree_link(&h->t, NIC_PATH "/net/eth7/upper_eth7", NIC_PATH "/net/eth7");
	refused_unless_forced(h, "eth7 is below eth7");
}

static void nic_below_a_virtio_device_is_seen(void **state)
{
	struct host *h = *state;

	host_netdev(h, "eth7", "/virtio3");
	h->address_of = "eth7";
	refused_unless_forced(h, "eth7 has an address");
}

static void nic_on_a_usb_controller_is_seen(void **state)
{
	struct host *h = *state;

	host_netdev(h, "eth7", "/usb1/1-1/1-1:1.0");
	h->address_of = "eth7";
	refused_unless_forced(h, "eth7 has an address");
}

static void nic_of_another_network_namespace_is_refused(void **state)
{
	struct host *h = *state;

	tree_dir(&h->t, NIC_PATH "/net");
	refused_unless_forced(h, "another network namespace");
}

static void nic_with_virtual_functions_is_refused(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, NIC_PATH "/sriov_numvfs", "3\n");
	refused_unless_forced(h, "3 virtual functions");
}

/* --- disks --- */
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

	tree_dir(&h->t, NIC_PATH "/nvme/nvme0");
	tree_dir(&h->t, "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1");
	tree_link(&h->t, "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0",
		  NIC_PATH "/nvme/nvme0");
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
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
}

static void disk_without_use_is_taken(void **state)
{
	struct host *h = *state;

	disk(h, "nvme0n1", DISK);
	disk(h, "nvme0n1p1", DISK "/nvme0n1p1");
	tree_dir(&h->t, DISK "/holders");
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
}

static void disk_that_is_part_of_another_is_refused(void **state)
{
	struct host *h = *state;

	disk(h, "nvme0n1", DISK);
	disk(h, "nvme0n1p1", DISK "/nvme0n1p1");
	tree_file(&h->t, "sys/devices/virtual/block/dm-3/dm/name", "vg-data\n");
	tree_link(&h->t, DISK "/nvme0n1p1/holders/dm-3", "sys/devices/virtual/block/dm-3");
	refused_unless_forced(h, "nvme0n1p1 is part of dm-3 (vg-data)");
}

static void disk_of_a_raid_that_is_not_mounted_is_refused(void **state)
{
	struct host *h = *state;

	disk(h, "nvme0n1", DISK);
	tree_dir(&h->t, "sys/devices/virtual/block/md0");
	tree_link(&h->t, DISK "/holders/md0", "sys/devices/virtual/block/md0");
	refused_unless_forced(h, "nvme0n1 is part of md0");
}

static void disk_that_is_claimed_is_refused(void **state)
{
	struct host *h = *state;

	disk(h, "nvme0n1", DISK);
	h->claimed = "nvme0n1";
	refused_unless_forced(h, "nvme0n1 is claimed by a file system");
}

static void disk_that_does_not_answer_is_no_free_disk(void **state)
{
	struct host *h = *state;

	disk(h, "nvme0n1", DISK);
	h->ask_error = -EPERM;
	refused_unless_forced(h, "nvme0n1 cannot be asked");
}

static void disk_that_a_process_has_open_is_refused(void **state)
{
	struct host *h = *state;

	disk(h, "nvme0n1", DISK);
	opened(h, "/dev/nvme0n1");
	refused_unless_forced(h, "process 4242 (qemu-system-x86) has its disk nvme0n1 open");
}

/* --- the console --- */
static void console_on_its_serial_line_is_refused(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, "sys/class/tty/console/active", "tty0 ttyS4\n");
	tree_dir(&h->t, NIC_PATH "/tty/ttyS4");
	tree_link(&h->t, "sys/class/tty/ttyS4", NIC_PATH "/tty/ttyS4");
	refused_unless_forced(h, "the console runs over its line ttyS4");
}

static void controller_of_the_keyboard_is_refused(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, "proc/bus/input/devices",
		  "I: Bus=0019 Vendor=0000\nN: Name=\"Power Button\"\nS: Sysfs=/devices/LNXPWRBN/"
		  "input0\nH: Handlers=kbd event0 \n\nI: Bus=0003\nN: Name=\"A Keyboard\"\n"
		  "S: Sysfs=/devices/pci0000:00/" NIC
		  "/usb1/1-1/1-1:1.0/input/input5\nH: Handlers=sysrq kbd event5 leds \n\n");
	refused_unless_forced(h, "the console's keyboard \"A Keyboard\"");
}

static void controller_of_a_mouse_is_taken(void **state)
{
	struct host *h = *state;

	tree_file(&h->t, "proc/bus/input/devices",
		  "N: Name=\"A Mouse\"\nS: Sysfs=/devices/pci0000:00/" NIC
		  "/usb1/input/input5\nH: Handlers=mouse0 event5 \n\nN: Name=\"Its neighbour\"\n"
		  "S: Sysfs=/devices/pci0000:00/" NIC "0/usb1/input/input6\nH: Handlers=kbd \n");
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
}

static void display(struct host *h, const char *console)
{
	tree_file(&h->t, NIC_PATH "/class", "0x030000\n");
	tree_file(&h->t, "sys/class/vtconsole/vtcon0/bind", "1\n");
	tree_file(&h->t, "sys/class/vtconsole/vtcon0/name", console);
}

static void display_of_the_console_is_refused(void **state)
{
	struct host *h = *state;

	display(h, "(M) frame buffer device\n");
	tree_dir(&h->t, NIC_PATH "/graphics/fb0");
	tree_link(&h->t, "sys/class/graphics/fb0", NIC_PATH "/graphics/fb0");
	refused_unless_forced(h, "it shows the console (fb0)");
}

static void display_that_the_firmware_chose_is_refused(void **state)
{
	struct host *h = *state;

	display(h, "(S) VGA+\n");
	tree_file(&h->t, NIC_PATH "/boot_vga", "1\n");
	refused_unless_forced(h, "the firmware chose this display");
}

static void display_of_no_console_is_taken(void **state)
{
	struct host *h = *state;

	display(h, "(S) dummy device\n");
	tree_file(&h->t, NIC_PATH "/boot_vga", "1\n");
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
}

static void display_of_a_desktop_is_refused(void **state)
{
	struct host *h = *state;

	display(h, "(S) dummy device\n");
	tree_dir(&h->t, NIC_PATH "/drm/card1");
	tree_link(&h->t, "sys/class/drm/card1", NIC_PATH "/drm/card1");
	opened(h, "/dev/dri/card1");
	refused_unless_forced(h, "process 4242 draws on it (/dev/dri/card1)");
}

#define T(f) cmocka_unit_test_setup_teardown(f, host_setup, host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nic_with_an_address_is_refused),
		T(nic_with_a_route_is_refused),
		T(interface_of_another_function_does_not_matter),
		T(network_that_does_not_answer_is_no_free_nic),
		T(nic_in_a_bridge_is_refused),
		T(bridge_with_an_address_is_named_with_it),
		T(vlan_on_a_bond_is_followed_to_its_route),
		T(interfaces_that_lie_on_each_other_end),
		T(nic_below_a_virtio_device_is_seen),
		T(nic_on_a_usb_controller_is_seen),
		T(nic_of_another_network_namespace_is_refused),
		T(nic_with_virtual_functions_is_refused),
		T(disk_that_is_mounted_is_refused),
		T(disk_below_a_mapper_device_is_refused),
		T(disk_of_an_nvme_multipath_subsystem_is_refused),
		T(disk_that_is_swapped_to_is_refused),
		T(disk_elsewhere_does_not_matter),
		T(disk_without_use_is_taken),
		T(disk_that_is_part_of_another_is_refused),
		T(disk_of_a_raid_that_is_not_mounted_is_refused),
		T(disk_that_is_claimed_is_refused),
		T(disk_that_does_not_answer_is_no_free_disk),
		T(disk_that_a_process_has_open_is_refused),
		T(console_on_its_serial_line_is_refused),
		T(controller_of_the_keyboard_is_refused),
		T(controller_of_a_mouse_is_taken),
		T(display_of_the_console_is_refused),
		T(display_that_the_firmware_chose_is_refused),
		T(display_of_no_console_is_taken),
		T(display_of_a_desktop_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
