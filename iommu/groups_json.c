/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IOMMU groups as `fourlane groups --json` shows them, and the words for verdicts and windows that
 * both forms of it use. Keys are for good: they may become more, never others.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "iommu_priv.h"

const char *iommu_verdict_word(enum iommu_verdict v)
{
	switch (v) {
	case IOMMU_OK: return "can be assigned";
	case IOMMU_BOUND: return "in use by the host";
	case IOMMU_FORCED: return "kept by the firmware";
	case IOMMU_NO_IOMMU: return "no IOMMU translates";
	default: return "only bridges";
	}
}

const char *iommu_reserved_means(const char *kind)
{
	static const struct {
		const char *kind, *means;
	} table[] = {
		{ "direct", "firmware wants it mapped for good: the kernel gives nothing of the "
			    "group away" },
		{ "direct-relaxable", "firmware used it until the kernel took over: no hindrance" },
		{ "msi", "interrupt messages go there: no guest memory in it" },
		{ "reserved", "no DMA address: no guest memory in it" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(table[i].kind, kind))
			return table[i].means;
	return "no guest memory in it";
}

static json_t *groups_acs_json(const char *sysfs, const struct iommu_member *m)
{
	struct iommu_isolation iso = { 0 };
	json_t *list = json_array();

	if (m->pci)
		iommu_isolation_of(sysfs, m->name, &iso);
	for (size_t i = 0; i < iso.n; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "device", iso.at[i].name, "why",
						      iso.at[i].why));
	return json_pack("{s:o, s:o}", "isolated", iso.known ? json_boolean(!iso.n) : json_null(),
			 "broken_by", list);
}

static json_t *groups_member_json(const char *sysfs, const struct iommu_member *m)
{
	char vendor[8], device[8], class[8];

	snprintf(vendor, sizeof(vendor), "%04x", m->vendor);
	snprintf(device, sizeof(device), "%04x", m->device);
	snprintf(class, sizeof(class), "%06x", m->class_code & 0xffffff);
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:b, s:o}", "device", m->name,
			 "vendor_id", vendor, "device_id", device, "class", class, "driver",
			 m->driver[0] ? json_string(m->driver) : json_null(), "vf", m->vf, "bridge",
			 m->bridge, "blocks", iommu_member_blocks(m), "acs",
			 groups_acs_json(sysfs, m));
}

static json_t *groups_members_json(const char *sysfs, const struct iommu_group *g)
{
	json_t *a = json_array();

	for (size_t i = 0; i < g->n_members; i++)
		json_array_append_new(a, groups_member_json(sysfs, &g->members[i]));
	return a;
}

static json_t *groups_reserved_json(const json_t *firmware, const struct iommu_group *g)
{
	json_t *a = json_array();

	for (size_t i = 0; i < g->n_reserved; i++) {
		const struct iommu_reserved *r = &g->reserved[i];
		char first[24], last[24], owner[256];
		bool owned = !strncmp(r->kind, "direct", 6) &&
			     iommu_firmware_owner(firmware, r->first, owner, sizeof(owner));

		snprintf(first, sizeof(first), "0x%" PRIx64, r->first);
		snprintf(last, sizeof(last), "0x%" PRIx64, r->last);
		json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:s, s:o}", "first", first,
						   "last", last, "kind", r->kind, "means",
						   iommu_reserved_means(r->kind), "firmware_for",
						   owned ? json_string(owner) : json_null()));
	}
	return a;
}

static json_t *groups_one_json(const char *sysfs, const json_t *firmware,
			       const struct iommu_group *g)
{
	char mend[1024], why[256] = "", apart[512] = "";
	enum iommu_verdict v = iommu_group_verdict(g, mend, sizeof(mend));
	bool shared = iommu_group_apart(sysfs, g, why, apart, sizeof(why));

	return json_pack(
		"{s:i, s:s, s:b, s:s, s:s, s:o, s:o, s:o, s:o}", "group", (int)g->id, "type",
		g->type, "assignable", v == IOMMU_OK, "verdict", iommu_verdict_word(v), "mend",
		mend, "shared_because", shared ? json_string(why) : json_null(), "apart",
		shared ? json_string(apart) : json_null(), "members", groups_members_json(sysfs, g),
		"reserved", groups_reserved_json(firmware, g));
}

json_t *iommu_groups_json(const char *sysfs, struct iommu_group *const *all, size_t n)
{
	json_t *list = json_array(), *firmware = iommu_firmware_json(sysfs);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, groups_one_json(sysfs, firmware, all[i]));
	json_decref(firmware);
	return json_pack("{s:i, s:o}", "version", 1, "groups", list);
}
