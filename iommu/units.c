/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the capability registers of the units say that the kernel drives: /sys/class/iommu/dmarN
 * (VT-d) and ivhdN (AMD-Vi). Called by host_iommu.c. Documents and sections: unit_regs.h.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/paths.h"
#include "iommu_priv.h"
#include "unit_regs.h"

const char *iommu_unit_kind(const char *unit)
{
	if (!strncmp(unit, "dmar", 4))
		return "vt-d";
	if (!strncmp(unit, "ivhd", 4))
		return "amd-vi";
	return "other";
}

/* One capability: its key in JSON and what people read. */
struct unit_flag {
	const char *key, *words;
	bool has;
};

static void unit_set_flags(json_t *o, const struct unit_flag *f, size_t n, char *line, size_t size)
{
	size_t used = strlen(line);

	for (size_t i = 0; i < n; i++) {
		json_object_set_new(o, f[i].key, json_boolean(f[i].has));
		if (f[i].has && used < size)
			used += (size_t)snprintf(line + used, size - used, ", %s", f[i].words);
	}
}

static void unit_set_int(json_t *o, const char *key, unsigned int v)
{
	json_object_set_new(o, key, json_integer(v));
}

/* The widest of the table depths in SAGAW, or 0. */
static unsigned int vtd_table_bits(uint64_t cap)
{
	unsigned int sagaw = VTD_CAP_SAGAW(cap);

	return sagaw & 8 ? 57 : sagaw & 4 ? 48 : sagaw & 2 ? 39 : 0;
}

static void unit_vtd(json_t *o, uint64_t cap, uint64_t ecap, char *line, size_t size)
{
	unsigned int mgaw = VTD_CAP_MGAW(cap), table = vtd_table_bits(cap);
	const struct unit_flag flags[] = {
		{ "pages_2m", "2 MiB pages", VTD_CAP_2M(cap) },
		{ "pages_1g", "1 GiB pages", VTD_CAP_1G(cap) },
		{ "interrupt_remapping", "interrupt remapping", VTD_ECAP_IR(ecap) },
		{ "x2apic", "x2APIC", VTD_ECAP_EIM(ecap) },
		{ "posted_interrupts", "posted interrupts", VTD_CAP_PI(cap) },
		{ "snoop_control", "snoop control", VTD_ECAP_SC(ecap) },
		{ "device_iotlb", "device IOTLB (ATS)", VTD_ECAP_DT(ecap) },
		{ "page_requests", "page requests", VTD_ECAP_PRS(ecap) },
		{ "pasid", "PASID", VTD_ECAP_PASID(ecap) },
		{ "nested", "nested translation", VTD_ECAP_NEST(ecap) },
		{ "dirty_tracking", "dirty tracking", VTD_ECAP_SSADS(ecap) },
		{ "emulated", "emulated (caching mode)", VTD_CAP_CM(cap) },
	};

	unit_set_int(o, "address_bits", mgaw);
	unit_set_int(o, "table_bits", table);
	unit_set_int(o, "pasid_bits", VTD_ECAP_PASID(ecap) ? VTD_ECAP_PSS(ecap) + 1 : 0);
	json_object_set_new(o, "scalable_mode", json_boolean(VTD_ECAP_SMTS(ecap)));
	snprintf(line, size, "%u address bits", table && table < mgaw ? table : mgaw);
	unit_set_flags(o, flags, sizeof(flags) / sizeof(flags[0]), line, size);
}

/*
 * Pages of every power of two, remapping of interrupts and forced coherence (bit FC) belong to
 * every AMD-Vi unit (48882, section 2.2); how wide its addresses are stands in the IVRS.
 */
static void unit_amdvi(json_t *o, uint64_t cap, uint64_t efr, char *line, size_t size)
{
	bool has_efr = AMDVI_CAP_EFR(cap), gt = has_efr && AMDVI_EFR_GT(efr);
	unsigned int levels = has_efr ? AMDVI_EFR_HATS(efr) : 0, table = levels == 2   ? 64
									 : levels == 1 ? 57
										       : 48;
	const struct unit_flag flags[] = {
		{ "pages_2m", "2 MiB pages", true },
		{ "pages_1g", "1 GiB pages", true },
		{ "interrupt_remapping", "interrupt remapping", true },
		{ "x2apic", "x2APIC", has_efr && AMDVI_EFR_XT(efr) },
		{ "posted_interrupts", "posted interrupts",
		  has_efr && AMDVI_EFR_GA(efr) && AMDVI_EFR_GAM(efr) == 1 },
		{ "snoop_control", "snoop control", true },
		{ "device_iotlb", "device IOTLB (ATS)", AMDVI_CAP_IOTLB(cap) },
		{ "page_requests", "page requests", has_efr && AMDVI_EFR_PPR(efr) },
		{ "pasid", "PASID", gt },
		{ "nested", "nested translation", gt },
		{ "dirty_tracking", "dirty tracking",
		  has_efr && AMDVI_EFR_HA(efr) && AMDVI_EFR_HD(efr) },
		{ "emulated", "emulated (NpCache)", AMDVI_CAP_NPCACHE(cap) },
	};

	unit_set_int(o, "table_bits", table);
	unit_set_int(o, "pasid_bits", gt ? AMDVI_EFR_PASMAX(efr) + 1 : 0);
	snprintf(line, size, "tables of %u bits", table);
	unit_set_flags(o, flags, sizeof(flags) / sizeof(flags[0]), line, size);
}

static bool unit_line(const struct host_view *v, const char *unit, const char *file, char *buf,
		      size_t size)
{
	return paths_read_line(buf, size, "%s/class/iommu/%s/%s", v->sysfs, unit, file) > 0;
}

static bool unit_hex(const struct host_view *v, const char *unit, const char *file, uint64_t *out)
{
	char line[64], *end;

	if (!unit_line(v, unit, file, line, sizeof(line)))
		return false;
	*out = strtoull(line, &end, 16); /* AMD: "features" or "features:features2" */
	return end != line;
}

static json_t *unit_json(const struct host_view *v, const char *unit)
{
	json_t *o = json_pack("{s:s, s:s}", "name", unit, "kind", iommu_unit_kind(unit));
	char line[512] = "", text[64];
	uint64_t a, b;

	if (!o)
		return NULL;
	if (unit_hex(v, unit, "intel-iommu/address", &a)) {
		snprintf(text, sizeof(text), "0x%llx", (unsigned long long)a);
		json_object_set_new(o, "address", json_string(text));
	}
	if (unit_line(v, unit, "intel-iommu/version", text, sizeof(text)))
		json_object_set_new(o, "version", json_string(text));
	if (unit_hex(v, unit, "intel-iommu/cap", &a) && unit_hex(v, unit, "intel-iommu/ecap", &b))
		unit_vtd(o, a, b, line, sizeof(line));
	else if (unit_hex(v, unit, "amd-iommu/cap", &a) &&
		 unit_hex(v, unit, "amd-iommu/features", &b))
		unit_amdvi(o, a, b, line, sizeof(line));
	if (line[0])
		json_object_set_new(o, "means", json_string(line));
	return o;
}

json_t *iommu_units_json(const struct host_view *v)
{
	json_t *units = json_array();
	char path[PATH_MAX];
	struct dirent **names = NULL;
	int n;

	snprintf(path, sizeof(path), "%s/class/iommu", v->sysfs);
	n = scandir(path, &names, NULL, versionsort);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.')
			json_array_append_new(units, unit_json(v, names[i]->d_name));
		free(names[i]);
	}
	free(names);
	return units;
}
