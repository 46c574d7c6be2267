/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane tenant ...`: the table of its sub-commands. A line names a sub-command and the function
 * that does it, in tenant_cmd_*.c and tenant_metrics.c.
 */
#include <stdio.h>
#include <string.h>

#include "core/cmd.h"
#include "tenant.h"

static const struct tenant_sub {
	const char *word;
	int (*run)(int argc, char **argv);
} subs[] = {
	{ "plan", tenant_cmd_plan },
	{ "apply", tenant_cmd_apply },
	{ "release", tenant_cmd_release },
	{ "list", tenant_cmd_list },
	{ "show", tenant_cmd_show },
	{ "metrics", tenant_cmd_metrics },
	{ 0 },
};

static int tenant_run(int argc, char **argv)
{
	char words[128] = "";
	size_t used = 0;

	for (const struct tenant_sub *s = subs; s->word; s++) {
		if (argc > 1 && !strcmp(argv[1], s->word))
			return s->run(argc - 1, argv + 1);
		used += (size_t)snprintf(words + used,
					 used < sizeof(words) ? sizeof(words) - used : 0, "%s%s",
					 used ? ", " : "", s->word);
	}
	if (argc > 1)
		return cmd_usage(&tenant_command, "there is no '%s', only %s", argv[1], words);
	return cmd_usage(&tenant_command, "say what: %s", words);
}

const struct command tenant_command = {
	.name = "tenant",
	.group = CMD_CARVE,
	.summary = "VFs for tenants, from one file, for good",
	.usage = "plan FILE [--json]\n"
		 "       fourlane tenant apply FILE|--stored [--dry-run] [--timeout S]\n"
		 "       fourlane tenant release NAME|--all [--timeout S]\n"
		 "       fourlane tenant list [--json]\n"
		 "       fourlane tenant show [NAME] [--json]\n"
		 "       fourlane tenant metrics [--file PATH]\n\n"
		 "plan     shows what 'tenant apply FILE' would do, and changes nothing.\n"
		 "apply    does that, all of it or nothing; a second time there is nothing to do. --stored applies\n"
		 "         again what was applied last, as after a boot. --timeout: how long to wait for another call.\n"
		 "         As long as tenants have VFs of a NIC, host drivers take none of its VFs by themselves\n"
		 "         (sriov_drivers_autoprobe is off).\n"
		 "release  gives a tenant's VFs back: reset, and set as they were before the first apply.\n"
		 "list     who has what.\n"
		 "show     every VF: what is wanted and what is, what somebody else has changed (drift), its lease,\n"
		 "         what it has counted ('unknown' where its driver does not count).\n"
		 "metrics  the same as Prometheus text; --file writes PATH at one stroke, for the node exporter's\n"
		 "         textfile collector.\n\n"
		 "example: fourlane tenant plan /etc/fourlane/tenants.yaml\n",
	.run = tenant_run,
};
COMMAND(&tenant_command);
