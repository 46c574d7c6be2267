/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `fourlane export` prints, and for which functions it does; on the made-up host of
 * helper_vfio_assign.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/err.h"
#include "helper_vfio_assign.h"
#include "vfio/export.h"

static void each_format_names_the_function(void **state)
{
	const struct export_function fn = { .bdf = "0000:03:00.1" },
				     other = { .bdf = "10ab:c3:1f.7" };
	char buf[512];

	export_text(export_find("qemu"), &fn, buf, sizeof(buf));
	assert_string_equal(buf, "vfio-pci,host=0000:03:00.1");
	export_text(export_find("cloud-hypervisor"), &fn, buf, sizeof(buf));
	assert_string_equal(buf, "path=/sys/bus/pci/devices/0000:03:00.1/");
	export_text(export_find("libvirt"), &other, buf, sizeof(buf));
	assert_string_equal(buf, "<hostdev mode='subsystem' type='pci' managed='no'>\n"
				 "  <driver name='vfio'/>\n"
				 "  <source>\n"
				 "    <address domain='0x10ab' bus='0xc3' slot='0x1f' "
				 "function='0x7'/>\n"
				 "  </source>\n"
				 "</hostdev>");
	assert_null(export_find("xen"));
}

static void a_vf_with_settings_is_libvirts_interface(void **state)
{
	struct export_function fn = { .bdf = "0000:03:10.2",
				      .vf = true,
				      .mac = { 2, 0x11, 0x22, 0x33, 0x44, 0x55 },
				      .vlan = 100 };
	char buf[512];

	export_text(export_find("libvirt"), &fn, buf, sizeof(buf));
	assert_string_equal(buf, "<interface type='hostdev' managed='no'>\n"
				 "  <mac address='02:11:22:33:44:55'/>\n"
				 "  <driver name='vfio'/>\n"
				 "  <source>\n"
				 "    <address type='pci' domain='0x0000' bus='0x03' slot='0x10' "
				 "function='0x2'/>\n"
				 "  </source>\n"
				 "  <vlan>\n"
				 "    <tag id='100'/>\n"
				 "  </vlan>\n"
				 "</interface>");
	fn.vlan = 0;
	export_text(export_find("libvirt"), &fn, buf, sizeof(buf));
	assert_null(strstr(buf, "vlan"));
	export_text(export_find("qemu"), &fn, buf, sizeof(buf));
	assert_string_equal(buf, "vfio-pci,host=0000:03:10.2");
	snprintf(fn.bdf, sizeof(fn.bdf), "nonsense");
	assert_int_equal(export_text(export_find("libvirt"), &fn, buf, sizeof(buf)), -EINVAL);
}

static void only_an_assigned_function_is_exported(void **state)
{
	struct host *h = *state;

	assert_int_equal(export_check(h->t.sysfs, "0000:09:00.0"), -ENOENT);
	assert_int_equal(export_check(h->t.sysfs, NIC), -EBUSY);
	assert_said(h, "fourlane assign " NIC);
	assert_int_equal(host_assign(h, NIC, NULL, 0), 0);
	assert_int_equal(export_check(h->t.sysfs, NIC), 0);
	tree_function(&h->t, NIC2, 1, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	assert_int_equal(export_check(h->t.sysfs, NIC), -EBUSY);
	assert_said(h, "the host still has " NIC2 " (igb)");
	tree_file(&h->t, "sys/kernel/iommu_groups/1/name", "vfio-noiommu\n");
	assert_int_equal(err_to_exit(export_check(h->t.sysfs, NIC)), FL_UNSUPPORTED);
	assert_said(h, "no IOMMU translates");
	tree_remove(&h->t, NIC_PATH "/iommu_group");
	assert_int_equal(err_to_exit(export_check(h->t.sysfs, NIC)), FL_UNSUPPORTED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, host_setup, host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_format_names_the_function),
		T(a_vf_with_settings_is_libvirts_interface),
		T(only_an_assigned_function_is_exported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
