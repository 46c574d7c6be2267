/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane groups`: every IOMMU group with its members, their drivers, its reserved windows, and
 * whether it can be handed to a guest. It only looks; `fourlane assign` is what changes something.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/cmd.h"
#include "core/host.h"
#include "iommu/iommu.h"

static const char *groups_verdict_word(enum iommu_verdict v)
{
	switch (v) {
	case IOMMU_OK: return "can be assigned";
	case IOMMU_BOUND: return "in use by the host";
	case IOMMU_FORCED: return "kept by the firmware";
	default: return "only bridges";
	}
}

static json_t *groups_members_json(const struct iommu_group *g)
{
	json_t *a = json_array();

	for (size_t i = 0; i < g->n_members; i++) {
		const struct iommu_member *m = &g->members[i];
		char vendor[8], device[8], class[8];

		snprintf(vendor, sizeof(vendor), "%04x", m->vendor);
		snprintf(device, sizeof(device), "%04x", m->device);
		snprintf(class, sizeof(class), "%06x", m->class_code & 0xffffff);
		json_array_append_new(a,
				      json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:b}",
						"device", m->name, "vendor_id", vendor, "device_id",
						device, "class", class, "driver",
						m->driver[0] ? json_string(m->driver) : json_null(),
						"vf", m->vf, "bridge", m->bridge, "blocks",
						iommu_member_blocks(m)));
	}
	return a;
}

static json_t *groups_reserved_json(const struct iommu_group *g)
{
	json_t *a = json_array();

	for (size_t i = 0; i < g->n_reserved; i++) {
		char first[24], last[24];

		snprintf(first, sizeof(first), "0x%" PRIx64, g->reserved[i].first);
		snprintf(last, sizeof(last), "0x%" PRIx64, g->reserved[i].last);
		json_array_append_new(a, json_pack("{s:s, s:s, s:s}", "first", first, "last", last,
						   "kind", g->reserved[i].kind));
	}
	return a;
}

static json_t *groups_json(struct iommu_group *const *all, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		char mend[1024];
		enum iommu_verdict v = iommu_group_verdict(all[i], mend, sizeof(mend));

		json_array_append_new(list, json_pack("{s:i, s:s, s:b, s:s, s:s, s:o, s:o}",
						      "group", (int)all[i]->id, "type",
						      all[i]->type, "assignable", v == IOMMU_OK,
						      "verdict", groups_verdict_word(v), "mend",
						      mend, "members", groups_members_json(all[i]),
						      "reserved", groups_reserved_json(all[i])));
	}
	return json_pack("{s:i, s:o}", "version", 1, "groups", list);
}

static void groups_print(const struct iommu_group *g)
{
	char mend[1024];
	enum iommu_verdict v = iommu_group_verdict(g, mend, sizeof(mend));

	printf("group %u%s%s: %s%s%s\n", g->id, g->type[0] ? ", " : "", g->type,
	       groups_verdict_word(v), mend[0] ? "; " : "", mend);
	for (size_t i = 0; i < g->n_members; i++) {
		const struct iommu_member *m = &g->members[i];

		printf("  %-14s %04x:%04x class %06x  %s%s%s\n", m->name, m->vendor, m->device,
		       m->class_code & 0xffffff, m->driver[0] ? m->driver : "(no driver)",
		       m->vf ? "  VF" : "", m->bridge ? "  bridge" : "");
	}
	for (size_t i = 0; i < g->n_reserved; i++)
		printf("  reserved 0x%" PRIx64 "-0x%" PRIx64 "  %s\n", g->reserved[i].first,
		       g->reserved[i].last, g->reserved[i].kind);
}

static const struct command groups_command;

static int groups_run(int argc, char **argv)
{
	struct iommu_group **all;
	bool as_json = false;
	size_t n;
	const struct cmd_option opts[] = { { .name = "json", .flag = &as_json }, { 0 } };
	int words = cmd_options(&groups_command, argc, argv, opts, false), ret;

	if (words < 0)
		return FL_USAGE;
	if (words > 0)
		return cmd_usage(&groups_command, "takes no words, '%s' is one", argv[1]);
	ret = iommu_groups_load(host_real.sysfs, &all, &n);
	if (ret < 0)
		return err_ret(ret, "reading the IOMMU groups: %s; is /sys mounted?",
			       strerror(-ret));
	if (as_json) {
		json_t *o = groups_json(all, n);

		json_dumpf(o, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(o);
	} else {
		for (size_t i = 0; i < n; i++)
			groups_print(all[i]);
		if (!n)
			printf("no IOMMU group: no IOMMU is active (see 'fourlane host')\n");
	}
	iommu_groups_free(all, n);
	return FL_DONE;
}

static const struct command groups_command = {
	.name = "groups",
	.group = CMD_LOOK,
	.summary = "IOMMU groups: members, drivers, reserved regions",
	.usage = "[--json]\n"
		 "\n"
		 "Shows every IOMMU group: its members with their drivers, the reserved address "
		 "windows, whether the\n"
		 "whole group can be handed to a guest, and if not the step that mends it.\n",
	.run = groups_run,
};
COMMAND(&groups_command);
