/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section "iommu" of `fourlane host`: which IOMMU the kernel drives and what its units can do,
 * whether interrupts are remapped, how many groups there are, what the firmware's table says, the
 * kernel's parameters; and what of it keeps functions from being assigned. It only looks.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommu_priv.h"

/*
 * Interrupt chips behind the remapper have names that begin with IR- (Linux: dmar.c and
 * amd/iommu.c give them), so /proc/interrupts tells what is in effect. JSON null when it cannot be
 * read.
 */
static json_t *host_remapping(const struct host_view *v)
{
	char path[PATH_MAX], *line = NULL;
	bool found = false;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/interrupts", v->proc);
	f = fopen(path, "re");
	if (!f)
		return json_null();
	while (!found && getline(&line, &size, f) > 0) /* long: a column for each CPU */
		found = strstr(line, " IR-") != NULL;
	free(line);
	fclose(f);
	return json_boolean(found);
}

static const char *host_kind(const json_t *units, bool active)
{
	const char *kind = json_string_value(
		json_object_get(json_array_get(units, json_array_size(units) - 1), "kind"));

	return kind ? kind : active ? "other" : "none";
}

static json_t *host_iommu_section(const struct host_view *v)
{
	bool active = iommu_active(v->sysfs);
	json_t *units = iommu_units_json(v);
	struct iommu_group **all = NULL;
	size_t n = 0;

	if (iommu_groups_load(v->sysfs, &all, &n) < 0)
		n = 0;
	iommu_groups_free(all, n);
	return json_pack("{s:b, s:s, s:I, s:o, s:o, s:o, s:o}", "active", active, "kind",
			 host_kind(units, active), "groups", (json_int_t)n, "interrupt_remapping",
			 active ? host_remapping(v) : json_false(), "units", units, "firmware",
			 iommu_firmware_json(v->sysfs), "kernel_parameters", iommu_words_json(v));
}

static const struct host_section iommu_host_section = { .key = "iommu",
							.make = host_iommu_section };
HOST_SECTION(&iommu_host_section);

/* --- what keeps functions from being assigned --- */
static void host_check_off(const struct host_view *v, struct host_lane_report *r)
{
	static const char *const off[] = { "intel_iommu", "amd_iommu", "iommu" };
	char missing[64], mend[96];

	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		if (!iommu_word_given(v, off[i], "off"))
			continue;
		snprintf(missing, sizeof(missing), "the kernel was booted with %s=off", off[i]);
		snprintf(mend, sizeof(mend), "take %s=off from the boot line", off[i]);
		host_lane_miss(r, missing, mend);
	}
}

static void host_check_firmware(const struct host_view *v, struct host_lane_report *r)
{
	json_t *fw = iommu_firmware_json(v->sysfs);
	const char *name = json_string_value(json_object_get(fw, "table")),
		   *error = json_string_value(json_object_get(fw, "error"));
	char missing[256];

	if (!name) {
		host_lane_miss(
			r, "the firmware shows no IOMMU (neither a DMAR nor an IVRS table)",
			"turn on VT-d or AMD-Vi in the firmware's menu, if the board has it");
	} else if (error && strcmp(error, "only root can read it")) {
		snprintf(missing, sizeof(missing), "the firmware's %s table is bad: %s", name,
			 error);
		host_lane_miss(r, missing, "update the firmware");
	} else {
		snprintf(missing, sizeof(missing),
			 "the firmware offers an IOMMU (%s), the kernel does not use it", name);
		host_lane_miss(r, missing,
			       strcmp(name, "DMAR") ? "see the kernel's log for AMD-Vi"
						    : "boot with intel_iommu=on");
	}
	json_decref(fw);
}

static void host_iommu_check(const struct host_view *v, struct host_lane_report *r)
{
	json_t *remapped;

	if (!iommu_active(v->sysfs)) {
		host_check_off(v, r);
		host_check_firmware(v, r);
		return;
	}
	remapped = host_remapping(v);
	if (json_is_false(remapped) && !iommu_unsafe_interrupts(v))
		host_lane_miss(r, "interrupts are not remapped, so a guest could forge them",
			       "turn on interrupt remapping (x2APIC) in the firmware and take "
			       "intremap=off from the boot line; or accept that: modprobe "
			       "vfio_iommu_type1 allow_unsafe_interrupts=1");
	json_decref(remapped);
}

static const struct host_lane iommu_direct = { .lane = "direct", .check = host_iommu_check };
HOST_LANE(&iommu_direct);
static const struct host_lane iommu_vm_aware = { .lane = "vm-aware", .check = host_iommu_check };
HOST_LANE(&iommu_vm_aware);
