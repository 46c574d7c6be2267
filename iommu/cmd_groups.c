/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane groups`: every IOMMU group with its members, their drivers and isolation, its reserved
 * windows, whether it can be handed to a guest, and what mends it. It only looks; `fourlane assign`
 * is what changes something.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/cmd.h"
#include "core/host.h"
#include "iommu_priv.h"

static void groups_print_member(const struct iommu_member *m)
{
	struct iommu_isolation iso = { 0 };

	if (m->pci)
		iommu_isolation_of(host_real.sysfs, m->name, &iso);
	printf("  %-14s %04x:%04x class %06x  %s%s%s%s", m->name, m->vendor, m->device,
	       m->class_code & 0xffffff, m->driver[0] ? m->driver : "(no driver)",
	       m->vf ? "  VF" : "", m->bridge ? "  bridge" : "",
	       !iso.known ? ""
	       : iso.n    ? "  not isolated: "
			  : "  isolated");
	for (size_t i = 0; i < iso.n; i++)
		printf("%s%s is a %s", i ? "; " : "", iso.at[i].name, iso.at[i].why);
	printf("\n");
}

/* What firmware keeps is told in words; the other kinds are on every group. */
static void groups_print_reserved(const json_t *firmware, const struct iommu_reserved *r)
{
	bool direct = !strncmp(r->kind, "direct", 6), owned;
	char owner[256];

	owned = direct && iommu_firmware_owner(firmware, r->first, owner, sizeof(owner));
	printf("  reserved 0x%" PRIx64 "-0x%" PRIx64 "  %s%s%s%s%s\n", r->first, r->last, r->kind,
	       owned ? " for " : "", owned ? owner : "", direct ? ": " : "",
	       direct ? iommu_reserved_means(r->kind) : "");
}

static void groups_print(const json_t *firmware, const struct iommu_group *g)
{
	char mend[1024], why[256], apart[256];
	enum iommu_verdict v = iommu_group_verdict(g, mend, sizeof(mend));

	printf("group %u%s%s: %s%s%s\n", g->id, g->type[0] ? ", " : "", g->type,
	       iommu_verdict_word(v), mend[0] ? "; " : "", mend);
	for (size_t i = 0; i < g->n_members; i++)
		groups_print_member(&g->members[i]);
	if (iommu_group_apart(host_real.sysfs, g, why, apart, sizeof(why)))
		printf("  together because %s; %s\n", why, apart);
	for (size_t i = 0; i < g->n_reserved; i++)
		groups_print_reserved(firmware, &g->reserved[i]);
}

static void groups_show(struct iommu_group *const *all, size_t n, bool as_json)
{
	json_t *o;

	if (as_json) {
		o = iommu_groups_json(host_real.sysfs, all, n);
		json_dumpf(o, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		o = iommu_firmware_json(host_real.sysfs);
		for (size_t i = 0; i < n; i++)
			groups_print(o, all[i]);
		if (!n)
			printf("no IOMMU group: no IOMMU is active (see 'fourlane host')\n");
	}
	json_decref(o);
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
	groups_show(all, n, as_json);
	iommu_groups_free(all, n);
	return FL_DONE;
}

static const struct command groups_command = {
	.name = "groups",
	.group = CMD_LOOK,
	.summary = "IOMMU groups: members, drivers, reserved regions",
	.usage = "[--json]\n"
		 "\n"
		 "Shows every IOMMU group: whether it can be handed to a guest, and if not the "
		 "step that mends it; its\n"
		 "members with their drivers and isolation (ACS), and which bridge breaks it; why "
		 "functions are together\n"
		 "and what parts them; the reserved address windows. As root: others cannot read "
		 "ACS.\n"
		 "  --json   keys of a group: group, type, assignable, verdict, mend, "
		 "shared_because, apart,\n"
		 "           members[] (device, driver, blocks, acs.isolated, acs.broken_by[], "
		 "...), reserved[]\n"
		 "           (first, last, kind, means, firmware_for)\n"
		 "Example: fourlane groups --json | jq '.groups[] | select(.assignable)'\n",
	.run = groups_run,
};
COMMAND(&groups_command);
