/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the firmware's DMAR or IVRS table says, as JSON. Called by host_iommu.c and, for the memory
 * that firmware keeps mapped, by cmd_groups.c. Devices stand there by the path that the table
 * gives (a bus, then device and function at each bridge on the way) and, where it leads to a
 * function that is there, by its address.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acpi_abi.h"
#include "iommu_priv.h"

static json_t *fw_hex(uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)v);
	return json_string(text);
}

/* --- DMAR --- */
/* The function below bridge `name` with that device and function number into `name`. */
static bool fw_step(const char *sysfs, char name[IOMMU_BDF_SIZE], unsigned int dev, unsigned int fn)
{
	char path[PATH_MAX], bdf[IOMMU_BDF_SIZE], end[8];
	bool found = false;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", sysfs, name);
	snprintf(end, sizeof(end), ":%02x.%x", dev & 0x1f, fn & 7);
	d = opendir(path);
	while (d && !found && (e = readdir(d)))
		found = iommu_bdf_parse(e->d_name, bdf) == 0 && !strcmp(bdf, e->d_name) &&
			!strcmp(bdf + strlen(bdf) - strlen(end), end);
	if (d)
		closedir(d);
	if (found)
		snprintf(name, IOMMU_BDF_SIZE, "%s", bdf);
	return found;
}

/* The function that a path leads to, as the kernel numbered the buses; JSON null when it is not
 * there. */
static json_t *fw_resolve(const char *sysfs, unsigned int segment, const struct dmar_device *d)
{
	char name[IOMMU_BDF_SIZE], path[PATH_MAX];

	snprintf(name, sizeof(name), "%04x:%02x:%02x.%x", segment & 0xffff, d->bus, d->path[0].dev,
		 d->path[0].fn & 7);
	for (size_t i = 1; i < d->n_path; i++)
		if (!fw_step(sysfs, name, d->path[i].dev, d->path[i].fn))
			return json_null();
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", sysfs, name);
	return access(path, F_OK) < 0 ? json_null() : json_string(name);
}

static json_t *fw_dmar_device(const char *sysfs, unsigned int segment, const struct dmar_device *d)
{
	static const char *const type[] = { "unknown", "endpoint", "bridge",
					    "ioapic",  "hpet",     "acpi" };
	char path[16 + ACPI_PATH_MAX * 8];
	size_t used = (size_t)snprintf(path, sizeof(path), "%04x:%02x:", segment, d->bus);

	for (size_t i = 0; i < d->n_path; i++)
		used += (size_t)snprintf(path + used, sizeof(path) - used, "%s%02x.%x",
					 i ? "/" : "", d->path[i].dev, d->path[i].fn);
	return json_pack("{s:s, s:o, s:s, s:i}", "path", path, "device",
			 d->type == DMAR_SCOPE_ENDPOINT || d->type == DMAR_SCOPE_BRIDGE
				 ? fw_resolve(sysfs, segment, d)
				 : json_null(),
			 "type", type[d->type < sizeof(type) / sizeof(type[0]) ? d->type : 0], "id",
			 d->id);
}

static json_t *fw_dmar_devices(const char *sysfs, const struct dmar_entry *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->n_devices; i++)
		json_array_append_new(list, fw_dmar_device(sysfs, e->segment, &e->device[i]));
	return list;
}

/* The NUMA node that an RHSA gives to the unit with its registers there. */
static json_t *fw_dmar_node(const struct dmar *d, uint64_t address)
{
	for (size_t i = 0; i < d->n_entries; i++)
		if (d->entry[i].type == DMAR_RHSA && d->entry[i].first == address)
			return json_integer(d->entry[i].node);
	return json_null();
}

static json_t *fw_dmar_entry(const char *sysfs, const struct dmar *d, const struct dmar_entry *e)
{
	json_t *o = json_pack("{s:i, s:o}", "segment", e->segment, "devices",
			      fw_dmar_devices(sysfs, e));

	switch (e->type) {
	case DMAR_DRHD:
		json_object_set_new(o, "address", fw_hex(e->first));
		json_object_set_new(o, "all_others", json_boolean(e->flags & DMAR_DRHD_ALL));
		json_object_set_new(o, "node", fw_dmar_node(d, e->first));
		break;
	case DMAR_RMRR:
		json_object_set_new(o, "first", fw_hex(e->first));
		json_object_set_new(o, "last", fw_hex(e->last));
		break;
	case DMAR_ATSR:
		json_object_set_new(o, "all", json_boolean(e->flags & DMAR_ATSR_ALL));
		break;
	case DMAR_SATC:
		json_object_set_new(o, "required", json_boolean(e->flags & DMAR_SATC_REQUIRED));
		break;
	case DMAR_ANDD:
		json_object_set_new(o, "number", json_integer(e->number));
		json_object_set_new(o, "name", json_string(e->name));
		break;
	}
	return o;
}

static json_t *fw_dmar_list(const char *sysfs, const struct dmar *d, uint16_t type)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->n_entries; i++)
		if (d->entry[i].type == type)
			json_array_append_new(list, fw_dmar_entry(sysfs, d, &d->entry[i]));
	return list;
}

static json_t *fw_dmar(const char *sysfs, const struct dmar *d)
{
	return json_pack("{s:s, s:n, s:i, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:i}",
			 "table", "DMAR", "error", "address_bits", (int)d->address_bits,
			 "interrupt_remapping", d->flags & DMAR_INTR_REMAP, "x2apic_opt_out",
			 d->flags & DMAR_X2APIC_OPT_OUT, "dma_protection_asked",
			 d->flags & DMAR_OPT_IN, "units", fw_dmar_list(sysfs, d, DMAR_DRHD),
			 "reserved", fw_dmar_list(sysfs, d, DMAR_RMRR), "ats_ports",
			 fw_dmar_list(sysfs, d, DMAR_ATSR), "ats_devices",
			 fw_dmar_list(sysfs, d, DMAR_SATC), "property_devices",
			 fw_dmar_list(sysfs, d, DMAR_SIDP), "acpi_devices",
			 fw_dmar_list(sysfs, d, DMAR_ANDD), "unknown", (int)d->n_unknown);
}

/* --- IVRS --- */
static json_t *fw_id(unsigned int segment, unsigned int id)
{
	char text[24];

	snprintf(text, sizeof(text), "%04x:%02x:%02x.%x", segment & 0xffff, id >> 8 & 0xff,
		 id >> 3 & 0x1f, id & 7);
	return json_string(text);
}

static json_t *fw_ivrs_device(unsigned int segment, const struct ivrs_device *d)
{
	json_t *o = json_pack("{s:i, s:o, s:o}", "type", d->type, "first", fw_id(segment, d->first),
			      "last", fw_id(segment, d->last));

	if (d->source)
		json_object_set_new(o, "source", fw_id(segment, d->source));
	if (d->type == IVRS_DEV_SPECIAL) {
		json_object_set_new(o, "special",
				    json_string(d->variety == 1   ? "ioapic"
						: d->variety == 2 ? "hpet"
								  : "unknown"));
		json_object_set_new(o, "id", json_integer(d->handle));
	}
	if (d->hid[0])
		json_object_set_new(o, "name", json_string(d->hid));
	return o;
}

static json_t *fw_ivrs_units(const struct ivrs *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_units; i++) {
		const struct ivrs_unit *u = &v->unit[i];
		json_t *devices = json_array();

		for (size_t k = 0; k < u->n_devs; k++)
			json_array_append_new(devices, fw_ivrs_device(u->segment, &u->dev[k]));
		json_array_append_new(list, json_pack("{s:i, s:i, s:o, s:o, s:o}", "type", u->type,
						      "segment", u->segment, "device",
						      fw_id(u->segment, u->device), "address",
						      fw_hex(u->address), "devices", devices));
	}
	return list;
}

static json_t *fw_ivrs_reserved(const struct ivrs *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_memory; i++) {
		const struct ivrs_memory *m = &v->memory[i];
		json_t *range = json_pack("{s:o, s:o}", "first", fw_id(m->segment, m->first_device),
					  "last", fw_id(m->segment, m->last_device));

		json_array_append_new(list,
				      json_pack("{s:i, s:o, s:o, s:b, s:o}", "segment", m->segment,
						"first", fw_hex(m->first), "last", fw_hex(m->last),
						"exclusion", m->flags & IVRS_IVMD_EXCLUSION,
						"devices", json_pack("[o]", range)));
	}
	return list;
}

static json_t *fw_ivrs(const struct ivrs *v)
{
	json_t *o =
		json_pack("{s:s, s:n, s:i, s:o, s:o, s:i}", "table", "IVRS", "error",
			  "physical_bits", (int)IVRS_INFO_PA(v->info), "units", fw_ivrs_units(v),
			  "reserved", fw_ivrs_reserved(v), "unknown", (int)v->n_unknown);

	/* older firmware leaves it 0 */
	json_object_set_new(o, "address_bits",
			    IVRS_INFO_VA(v->info) ? json_integer(IVRS_INFO_VA(v->info))
						  : json_null());
	return o;
}

/* --- whichever there is --- */
static json_t *fw_parse(const char *sysfs, const char *name, const uint8_t *data, size_t size)
{
	char why[ACPI_WHY_SIZE] = "out of memory";
	json_t *o = NULL;
	struct dmar d;
	struct ivrs v;

	if (!strcmp(name, "DMAR")) {
		if (dmar_parse(data, size, &d, why) == 0) {
			o = fw_dmar(sysfs, &d);
			dmar_free(&d);
		}
	} else if (ivrs_parse(data, size, &v, why) == 0) {
		o = fw_ivrs(&v);
		ivrs_free(&v);
	}
	return o ? o : json_pack("{s:s, s:s}", "table", name, "error", why);
}

json_t *iommu_firmware_json(const char *sysfs)
{
	static const char *const names[] = { "DMAR", "IVRS" };

	for (size_t i = 0; i < 2; i++) {
		uint8_t *data;
		size_t size;
		json_t *o;
		int ret = acpi_load(sysfs, names[i], &data, &size);

		if (ret == -ENOENT)
			continue;
		if (ret < 0)
			return json_pack("{s:s, s:s}", "table", names[i], "error",
					 ret == -EACCES ? "only root can read it" : strerror(-ret));
		o = fw_parse(sysfs, names[i], data, size);
		free(data);
		return o;
	}
	return json_null();
}

bool iommu_firmware_owner(const json_t *firmware, uint64_t first, char *buf, size_t size)
{
	json_t *list = json_object_get(firmware, "reserved"), *r, *d;
	char hex[24];
	size_t i, k, used = 0;

	snprintf(hex, sizeof(hex), "0x%llx", (unsigned long long)first);
	buf[0] = '\0';
	json_array_foreach(list, i, r) {
		const char *at = json_string_value(json_object_get(r, "first"));

		if (!at || strcmp(at, hex))
			continue;
		json_array_foreach(json_object_get(r, "devices"), k, d) {
			const char *path = json_string_value(json_object_get(d, "device"));

			if (!path)
				path = json_string_value(json_object_get(d, "path"));
			if (!path)
				path = json_string_value(json_object_get(d, "first"));
			if (path && used < size)
				used += (size_t)snprintf(buf + used, size - used, "%s%s",
							 used ? ", " : "", path);
		}
	}
	return buf[0] != '\0';
}
