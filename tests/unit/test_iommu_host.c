/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `fourlane host` says about the IOMMU and `fourlane groups --json` about groups: recorded
 * software hosts, changed here and there, and made-up registers and boot lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/host.h"
#include "helper_tree_file.h"
#include "iommu/iommu_priv.h"

/* The section, which the caller drops; *lane gets what the lane "direct" misses. */
static json_t *section(const struct tree *t, json_t **missing)
{
	const struct host_view v = { .sysfs = t->sysfs, .dev = t->dev, .proc = t->proc };
	json_t *h = host_report(&v), *o = json_incref(json_object_get(h, "iommu"));

	if (missing)
		*missing = json_incref(json_object_get(
			json_object_get(json_object_get(h, "lanes"), "direct"), "missing"));
	json_decref(h);
	return o;
}

/* A value by its keys, "units.0.address_bits". */
static json_t *at(json_t *o, const char *path)
{
	char text[128], *save = NULL;

	snprintf(text, sizeof(text), "%s", path);
	for (char *k = strtok_r(text, ".", &save); k; k = strtok_r(NULL, ".", &save))
		o = json_is_array(o) ? json_array_get(o, (size_t)atoi(k)) : json_object_get(o, k);
	return o;
}

static void assert_text(json_t *o, const char *path, const char *want)
{
	assert_true(json_is_string(at(o, path)));
	assert_string_equal(json_string_value(at(o, path)), want);
}

static void assert_number(json_t *o, const char *path, long long want)
{
	assert_true(json_is_integer(at(o, path)));
	assert_true(json_integer_value(at(o, path)) == want);
}

#define assert_yes(o, path) assert_true(json_is_true(at(o, path)))
#define assert_no(o, path)  assert_true(json_is_false(at(o, path)))

static bool says(json_t *list, const char *part)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (json_is_string(item) && strstr(json_string_value(item), part))
			return true;
	return false;
}

/* The parameter of that name and value is told with words that have `part` in them. */
static bool word_says(json_t *o, const char *name, const char *value, const char *part)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(o, "kernel_parameters"), i, item)
		if (!strcmp(json_string_value(json_object_get(item, "name")), name) &&
		    !strcmp(json_string_value(json_object_get(item, "value")), value))
			return strstr(json_string_value(json_object_get(item, "means")), part) !=
			       NULL;
	return false;
}

/* --- recorded hosts --- */
static void vt_d_of_the_software_host_is_told(void **state)
{
	struct tree *t = *state;
	json_t *o, *missing;

	tree_load(t, "lab_intel");
	o = section(t, &missing);
	assert_yes(o, "active");
	assert_text(o, "kind", "vt-d");
	assert_number(o, "groups", 16);
	assert_yes(o, "interrupt_remapping");
	assert_int_equal(json_array_size(at(o, "units")), 1);
	assert_text(o, "units.0.name", "dmar0");
	assert_text(o, "units.0.address", "0xfed90000");
	assert_text(o, "units.0.version", "1:0");
	assert_number(o, "units.0.address_bits", 48);
	assert_number(o, "units.0.table_bits", 48);
	assert_yes(o, "units.0.pages_2m");
	assert_yes(o, "units.0.pages_1g");
	assert_yes(o, "units.0.interrupt_remapping");
	assert_no(o, "units.0.x2apic");
	assert_no(o, "units.0.posted_interrupts");
	assert_no(o, "units.0.snoop_control");
	assert_yes(o, "units.0.device_iotlb");
	assert_yes(o, "units.0.emulated");
	assert_text(o, "firmware.table", "DMAR");
	assert_true(json_is_null(at(o, "firmware.error")));
	assert_yes(o, "firmware.interrupt_remapping");
	assert_text(o, "firmware.units.0.address", "0xfed90000");
	assert_text(o, "firmware.units.0.devices.0.type", "ioapic");
	assert_text(o, "firmware.units.0.devices.0.path", "0000:ff:00.0");
	assert_yes(o, "firmware.ats_ports.0.all");
	assert_true(word_says(o, "intel_iommu", "on", "VT-d"));
	assert_false(says(missing, "IOMMU"));
	assert_false(says(missing, "remapped"));
	json_decref(o);
	json_decref(missing);
}

static void amd_vi_of_the_software_host_is_told(void **state)
{
	struct tree *t = *state;
	json_t *o, *missing;

	tree_load(t, "lab_amd");
	o = section(t, &missing);
	assert_text(o, "kind", "amd-vi");
	assert_yes(o, "interrupt_remapping");
	assert_text(o, "units.0.name", "ivhd0");
	assert_number(o, "units.0.table_bits", 64);
	assert_yes(o, "units.0.snoop_control");
	assert_no(o, "units.0.x2apic");
	assert_yes(o, "units.0.page_requests");
	assert_text(o, "firmware.table", "IVRS");
	assert_number(o, "firmware.physical_bits", 40);
	assert_text(o, "firmware.units.0.device", "0000:00:01.0");
	assert_int_equal(json_array_size(at(o, "kernel_parameters")), 0);
	assert_int_equal(json_array_size(at(o, "firmware.reserved")), 0);
	assert_false(says(missing, "IOMMU"));
	json_decref(o);
	json_decref(missing);
}

static void interrupts_that_are_not_remapped_are_a_miss_unless_accepted(void **state)
{
	struct tree *t = *state;
	json_t *o, *missing;

	tree_load(t, "lab_intel");
	tree_file(t, "proc/interrupts", "  CPU0\n 25: 0 PCI-MSI-0000:00:01.0 0-edge lab0\n");
	o = section(t, &missing);
	assert_no(o, "interrupt_remapping");
	assert_yes(o, "units.0.interrupt_remapping"); /* the unit could */
	assert_true(says(missing, "interrupts are not remapped"));
	json_decref(o);
	json_decref(missing);
	tree_file(t, "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
	o = section(t, &missing);
	assert_false(says(missing, "interrupts are not remapped"));
	assert_true(word_says(o, "vfio_iommu_type1.allow_unsafe_interrupts", "Y", "forge"));
	json_decref(o);
	json_decref(missing);
}

/* A line for each of many CPUs is longer than any buffer of fixed size. */
static void remapping_is_found_in_long_lines(void **state)
{
	static char text[40000];
	struct tree *t = *state;
	json_t *o;

	tree_load(t, "lab_intel");
	memset(text, ' ', sizeof(text) - 1);
	memcpy(text + 4090, " IR-PCI-MSI", 11); /* across what was once the buffer's end */
	tree_file(t, "proc/interrupts", text);
	o = section(t, NULL);
	assert_yes(o, "interrupt_remapping");
	json_decref(o);
	tree_remove(t, "proc/interrupts");
	o = section(t, NULL);
	assert_true(json_is_null(at(o, "interrupt_remapping")));
	json_decref(o);
}

static void idle_iommu_says_why_it_is_idle(void **state)
{
	struct tree *t = *state;
	json_t *o, *missing;

	tree_load(t, "lab_intel");
	tree_remove(t, "sys/kernel/iommu_groups");
	o = section(t, &missing);
	assert_no(o, "active");
	assert_true(says(missing, "offers an IOMMU (DMAR), the kernel does not use it"));
	json_decref(o);
	json_decref(missing);
	tree_file(t, "proc/cmdline", "quiet intel_iommu=sm_on,off panic=1\n");
	o = section(t, &missing);
	assert_true(says(missing, "booted with intel_iommu=off"));
	assert_true(word_says(o, "intel_iommu", "off", "nothing can be assigned"));
	assert_true(word_says(o, "intel_iommu", "sm_on", "scalable"));
	json_decref(o);
	json_decref(missing);
	tree_remove(t, "sys/firmware/acpi/tables/DMAR");
	o = section(t, &missing);
	assert_true(says(missing, "neither a DMAR nor an IVRS"));
	assert_true(json_is_null(at(o, "firmware")));
	json_decref(o);
	json_decref(missing);
}

static void bad_table_is_told_with_the_reason(void **state)
{
	struct tree *t = *state;
	json_t *o, *missing;

	tree_load(t, "lab_intel");
	tree_remove(t, "sys/kernel/iommu_groups");
	tree_bytes(t, "sys/firmware/acpi/tables/DMAR", (const uint8_t *)"DMAR\x30\0\0\0", 8, 48);
	o = section(t, &missing);
	assert_text(o, "firmware.table", "DMAR");
	assert_non_null(strstr(json_string_value(at(o, "firmware.error")), "checksum"));
	assert_true(says(missing, "DMAR table is bad: its checksum"));
	json_decref(o);
	json_decref(missing);
}

/* --- registers as servers have them --- */
static void registers_of_real_units_are_decoded(void **state)
{
	struct tree *t = *state;
	json_t *o;

	tree_file(t, "sys/class/iommu/dmar0/intel-iommu/cap", "8d2078c106f0466\n");
	tree_file(t, "sys/class/iommu/dmar0/intel-iommu/ecap", "f020df\n");
	tree_file(t, "sys/class/iommu/dmar1/intel-iommu/cap", "19ed008c40780c66\n");
	tree_file(t, "sys/class/iommu/dmar1/intel-iommu/ecap", "3ef9e86f050df\n");
	tree_file(t, "sys/class/iommu/dmar10/intel-iommu/cap", "nonsense\n");
	o = section(t, NULL);
	assert_int_equal(json_array_size(at(o, "units")), 3);
	assert_number(o, "units.0.address_bits", 48);
	assert_number(o, "units.0.table_bits", 48);
	assert_yes(o, "units.0.pages_1g");
	assert_yes(o, "units.0.snoop_control");
	assert_yes(o, "units.0.x2apic");
	assert_yes(o, "units.0.posted_interrupts");
	assert_no(o, "units.0.pasid");
	assert_no(o, "units.0.emulated");
	assert_number(o, "units.1.address_bits", 57);
	assert_number(o, "units.1.table_bits", 57);
	assert_yes(o, "units.1.pasid");
	assert_number(o, "units.1.pasid_bits", 20);
	assert_yes(o, "units.1.scalable_mode");
	assert_text(o, "units.2.name", "dmar10");
	assert_null(at(o, "units.2.address_bits"));
	json_decref(o);
}

static void registers_of_amd_units_are_decoded(void **state)
{
	struct tree *t = *state;
	json_t *o;

	tree_file(t, "sys/class/iommu/ivhd0/amd-iommu/cap", "190b640f\n");
	tree_file(t, "sys/class/iommu/ivhd0/amd-iommu/features", "58f77ef22294a5a:0\n");
	tree_file(t, "sys/class/iommu/ivhd1/amd-iommu/cap", "190b640f\n");
	tree_file(t, "sys/class/iommu/ivhd1/amd-iommu/features", "25bf732fa2295afe:1d\n");
	o = section(t, NULL);
	assert_text(o, "kind", "amd-vi");
	assert_number(o, "units.1.table_bits", 64);
	assert_yes(o, "units.1.x2apic");
	assert_yes(o, "units.1.posted_interrupts");
	assert_yes(o, "units.1.dirty_tracking");
	assert_number(o, "units.1.pasid_bits", 16);
	assert_yes(o, "units.0.device_iotlb");
	assert_no(o, "units.0.emulated");
	json_decref(o);
}

static void words_of_the_boot_line_are_explained(void **state)
{
	struct tree *t = *state;
	json_t *o;

	tree_file(t, "proc/cmdline",
		  "BOOT_IMAGE=/vmlinuz iommu=pt iommu.strict=1 intremap=nosid,nopost "
		  "pcie-acs-override=downstream pci=noaer,disable_acs_redir=pci:8086:0 "
		  "amd_iommu=offx vfio_iommu_type1.allow_unsafe_interrupts=0 iommu iommux=off\n");
	o = section(t, NULL);
	assert_int_equal(json_array_size(at(o, "kernel_parameters")), 6);
	assert_true(word_says(o, "iommu", "pt", "assigned functions are"));
	assert_true(word_says(o, "iommu.strict", "1", "costs"));
	assert_true(word_says(o, "intremap", "nosid", "forge"));
	assert_true(word_says(o, "intremap", "nopost", "posted"));
	assert_true(word_says(o, "pcie_acs_override", "downstream", "without isolation"));
	assert_true(word_says(o, "pci", "disable_acs_redir", "ACS"));
	json_decref(o);
}

/* --- groups --- */
static json_t *groups(const struct tree *t)
{
	struct iommu_group **all;
	size_t n;
	json_t *o;

	assert_int_equal(iommu_groups_load(t->sysfs, &all, &n), 0);
	o = iommu_groups_json(t->sysfs, all, n);
	iommu_groups_free(all, n);
	return o;
}

static void groups_of_the_software_host_are_told(void **state)
{
	struct tree *t = *state;
	json_t *o;

	tree_load(t, "lab_intel");
	o = groups(t);
	assert_number(o, "version", 1);
	assert_int_equal(json_array_size(at(o, "groups")), 16);
	assert_text(o, "groups.1.verdict", "only bridges");
	assert_no(o, "groups.1.assignable");
	assert_text(o, "groups.9.verdict", "in use by the host");
	assert_text(o, "groups.9.mend", "fourlane assign 0000:01:00.0");
	assert_text(o, "groups.9.members.0.driver", "igb");
	assert_yes(o, "groups.9.members.0.blocks");
	assert_yes(o, "groups.9.members.0.acs.isolated");
	assert_true(json_is_null(at(o, "groups.9.apart")));
	assert_yes(o, "groups.14.assignable");
	assert_yes(o, "groups.14.members.0.vf");
	assert_no(o, "groups.8.members.0.acs.isolated");
	assert_text(o, "groups.8.members.0.acs.broken_by.0.device", "0000:00:1f.0");
	assert_text(o, "groups.8.reserved.0.kind", "direct-relaxable");
	assert_text(o, "groups.8.reserved.1.kind", "msi");
	json_decref(o);
}

/* An RMRR for a NIC, as remote management has it: no guest gets that NIC. */
static void rmrr_names_the_nic_that_firmware_keeps(void **state)
{
	uint8_t dmar[48 + 34] = { 'D', 'M', 'A', 'R', sizeof(dmar) };
	/* 00:01.0 is a bridge, 00.0 is behind it */
	static const uint8_t rmrr[34] = { 1, 0,  34, 0, 0,    0,    0,    0,    0, 0, 0, 0x7b,
					  0, 0,  0,  0, 0xff, 0xff, 0x7f, 0x7b, 0, 0, 0, 0,
					  1, 10, 0,  0, 0,    0,    1,    0,    0, 0 };
	struct tree *t = *state;
	uint8_t sum = 0;
	json_t *o;

	tree_load(t, "lab_intel");
	dmar[36] = 47;
	memcpy(dmar + 48, rmrr, sizeof(rmrr));
	for (size_t i = 0; i < sizeof(dmar); i++)
		sum = (uint8_t)(sum + dmar[i]);
	dmar[9] = (uint8_t)-sum;
	tree_bytes(t, "sys/firmware/acpi/tables/DMAR", dmar, sizeof(dmar), sizeof(dmar));
	tree_file(t, "sys/kernel/iommu_groups/9/reserved_regions",
		  "0x000000007b000000 0x000000007b7fffff direct\n"
		  "0x00000000fee00000 0x00000000feefffff msi\n");
	o = groups(t);
	assert_text(o, "groups.9.verdict", "kept by the firmware");
	assert_no(o, "groups.9.assignable");
	assert_non_null(strstr(json_string_value(at(o, "groups.9.mend")), "RMRR"));
	assert_text(o, "groups.9.reserved.0.firmware_for", "0000:01:00.0");
	assert_true(json_is_null(at(o, "groups.9.reserved.1.firmware_for")));
	json_decref(o);
	o = iommu_firmware_json(t->sysfs);
	assert_text(o, "reserved.0.devices.0.path", "0000:00:01.0/00.0");
	assert_text(o, "reserved.0.devices.0.device", "0000:01:00.0");
	json_decref(o);
	/* the card was taken out: the path is all that is known */
	tree_remove(t, "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	o = iommu_firmware_json(t->sysfs);
	assert_true(json_is_null(at(o, "reserved.0.devices.0.device")));
	json_decref(o);
}

static void groups_of_no_iommu_mode_are_no_iommu(void **state)
{
	struct tree *t = *state;
	struct iommu_group *g;
	json_t *o;

	tree_function(t, "0000:01:00.0", 0, "vfio-pci", "0x8086\n", "0x10c9\n", "0x020000\n");
	assert_true(iommu_active(t->sysfs));
	tree_file(t, "sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
	assert_false(iommu_active(t->sysfs));
	o = groups(t);
	assert_text(o, "groups.0.verdict", "no IOMMU translates");
	assert_no(o, "groups.0.assignable");
	json_decref(o);
	assert_int_equal(iommu_group_load(t->sysfs, 0, &g), 0);
	assert_false(iommu_group_viable(g));
	iommu_group_free(g);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vt_d_of_the_software_host_is_told),
		T(amd_vi_of_the_software_host_is_told),
		T(interrupts_that_are_not_remapped_are_a_miss_unless_accepted),
		T(remapping_is_found_in_long_lines),
		T(idle_iommu_says_why_it_is_idle),
		T(bad_table_is_told_with_the_reason),
		T(registers_of_real_units_are_decoded),
		T(registers_of_amd_units_are_decoded),
		T(words_of_the_boot_line_are_explained),
		T(groups_of_the_software_host_are_told),
		T(rmrr_names_the_nic_that_firmware_keeps),
		T(groups_of_no_iommu_mode_are_no_iommu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
