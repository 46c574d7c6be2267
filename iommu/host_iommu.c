/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section "iommu" of `fourlane host`: which IOMMU the kernel drives, how wide it is, whether
 * interrupts are remapped, how many groups there are. VT-d capability registers as in the Intel
 * VT-d specification 4.1, sections 11.4.2 and 11.4.3. The ACPI tables themselves are not read here.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/host.h"
#include "core/paths.h"
#include "iommu/iommu.h"

#define VTD_CAP_MGAW(c) (((c) >> 16 & 0x3f) + 1) /* maximum guest address width */
#define VTD_CAP_2M(c)   ((c) >> 34 & 1)          /* SLLPS: 2 MiB pages */
#define VTD_CAP_1G(c)   ((c) >> 35 & 1)
#define VTD_CAP_PI(c)   ((c) >> 59 & 1) /* posted interrupts */
#define VTD_ECAP_IR(e)  ((e) >> 3 & 1)  /* interrupt remapping */
#define VTD_ECAP_SC(e)  ((e) >> 7 & 1)  /* snoop control */

/* "vt-d", "amd-vi", or the unit's own name for another kind. */
static const char *iommu_unit_kind(const char *unit)
{
	if (!strncmp(unit, "dmar", 4))
		return "vt-d";
	if (!strncmp(unit, "ivhd", 4))
		return "amd-vi";
	return "other";
}

static bool iommu_read_hex(const struct host_view *v, const char *unit, const char *file,
			   uint64_t *out)
{
	char line[64];

	if (paths_read_line(line, sizeof(line), "%s/class/iommu/%s/%s", v->sysfs, unit, file) < 0)
		return false;
	*out = strtoull(line, NULL, 16);
	return true;
}

static json_t *iommu_unit(const struct host_view *v, const char *unit)
{
	json_t *o = json_pack("{s:s, s:s}", "name", unit, "kind", iommu_unit_kind(unit));
	uint64_t cap, ecap;

	if (!o || !iommu_read_hex(v, unit, "intel-iommu/cap", &cap) ||
	    !iommu_read_hex(v, unit, "intel-iommu/ecap", &ecap))
		return o;
	json_object_set_new(o, "address_bits", json_integer((json_int_t)VTD_CAP_MGAW(cap)));
	json_object_set_new(o, "pages_2m", json_boolean(VTD_CAP_2M(cap)));
	json_object_set_new(o, "pages_1g", json_boolean(VTD_CAP_1G(cap)));
	json_object_set_new(o, "interrupt_remapping", json_boolean(VTD_ECAP_IR(ecap)));
	json_object_set_new(o, "posted_interrupts", json_boolean(VTD_CAP_PI(cap)));
	json_object_set_new(o, "snoop_control", json_boolean(VTD_ECAP_SC(ecap)));
	return o;
}

static json_t *iommu_units(const struct host_view *v, const char **kind)
{
	json_t *units = json_array();
	char path[PATH_MAX];
	struct dirent **names = NULL;
	int n;

	*kind = "none";
	snprintf(path, sizeof(path), "%s/class/iommu", v->sysfs);
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			*kind = iommu_unit_kind(names[i]->d_name);
			json_array_append_new(units, iommu_unit(v, names[i]->d_name));
		}
		free(names[i]);
	}
	free(names);
	return units;
}

/* Interrupt chips whose names begin with IR- are behind the remapper; unknown when the list cannot
 * be read. */
static json_t *iommu_remapping(const struct host_view *v)
{
	char path[PATH_MAX], line[4096];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/interrupts", v->proc);
	f = fopen(path, "re");
	if (!f)
		return json_null();
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, " IR-") != NULL;
	fclose(f);
	return json_boolean(found);
}

static json_t *iommu_section(const struct host_view *v)
{
	struct iommu_group **all = NULL;
	size_t n = 0;
	const char *kind;
	json_t *units = iommu_units(v, &kind), *o;

	if (iommu_groups_load(v->sysfs, &all, &n) < 0)
		n = 0;
	iommu_groups_free(all, n);
	o = json_pack("{s:b, s:s, s:I, s:o, s:o}", "active", n > 0, "kind",
		      n && !strcmp(kind, "none") ? "other" : kind, "groups", (json_int_t)n,
		      "interrupt_remapping", n ? iommu_remapping(v) : json_false(), "units", units);
	return o;
}

static const struct host_section iommu_host_section = { .key = "iommu", .make = iommu_section };
HOST_SECTION(&iommu_host_section);
