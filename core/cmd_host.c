/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `fourlane host`: what this machine can do for each lane, what is missing, how to mend it. */
#include <stdio.h>
#include <string.h>

#include "core/cmd.h"
#include "core/host.h"

static const struct command host_command;

static const char *text(json_t *o, const char *a, const char *b)
{
	const char *s = json_string_value(json_object_get(json_object_get(o, a), b));

	return s ? s : "unknown";
}

/* Items of a list that say in words what they mean stand below their section. */
static void print_means(json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *means = json_string_value(json_object_get(item, "means")),
			   *name = json_string_value(json_object_get(item, "name")),
			   *value = json_string_value(json_object_get(item, "value"));

		if (name && means)
			printf("%-12s   %s%s%s: %s\n", "", name, value ? "=" : "",
			       value ? value : "", means);
	}
}

/* The sections of other folders: "key: name value, name value", then what list items mean. */
static void print_section(const char *key, json_t *section)
{
	const char *name, *sep = "";
	json_t *v;

	printf("%-12s ", key);
	json_object_foreach(section, name, v) {
		if (json_is_string(v))
			printf("%s%s %s", sep, name, json_string_value(v));
		else if (json_is_integer(v))
			printf("%s%s %lld", sep, name, (long long)json_integer_value(v));
		else if (json_is_boolean(v))
			printf("%s%s %s", sep, name, json_is_true(v) ? "yes" : "no");
		else if (json_is_array(v))
			printf("%s%zu %s", sep, json_array_size(v), name);
		else
			continue;
		sep = ", ";
	}
	printf("\n");
	json_object_foreach(section, name, v)
		print_means(v);
}

static void print_lane(const char *name, json_t *lane)
{
	json_t *missing = json_object_get(lane, "missing"), *mend = json_object_get(lane, "mend"),
	       *m;
	size_t i;

	printf("%-12s %s\n", name,
	       json_is_true(json_object_get(lane, "ready")) ? "ready" : "not ready");
	json_array_foreach(missing, i, m)
		printf("%-12s   %s; %s\n", "", json_string_value(m),
		       json_string_value(json_array_get(mend, i)));
}

static void print_host(json_t *h)
{
	const char *key;
	json_t *v;

	printf("%-12s Linux %s (%s)\n", "kernel", json_string_value(json_object_get(h, "kernel")),
	       json_string_value(json_object_get(h, "where")));
	printf("%-12s %s, %lld online, %s\n", "cpu", text(h, "cpu", "model"),
	       (long long)json_integer_value(json_object_get(json_object_get(h, "cpu"), "online")),
	       text(h, "cpu", "virtualisation"));
	printf("%-12s %s\n", "kvm", text(h, "kvm", "kind"));
	json_object_foreach(h, key, v)
		if (json_is_object(v) && strcmp(key, "cpu") && strcmp(key, "kvm") &&
		    strcmp(key, "lanes"))
			print_section(key, v);
	printf("\n");
	json_object_foreach(json_object_get(h, "lanes"), key, v)
		print_lane(key, v);
}

static int host_run(int argc, char **argv)
{
	bool json = false;
	struct cmd_option opts[] = { { .name = "json", .flag = &json }, { 0 } };
	int n = cmd_options(&host_command, argc, argv, opts, false);
	json_t *h;

	if (n)
		return n < 0 ? FL_USAGE
			     : cmd_usage(&host_command, "'%s' is one word too many", argv[1]);
	h = host_report(&host_real);
	if (json) {
		json_dumpf(h, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_host(h);
	}
	json_decref(h);
	return FL_DONE;
}

static const struct command host_command = {
	.name = "host",
	.group = CMD_LOOK,
	.summary = "what this machine can do for each lane",
	.run = host_run,
	.usage = "[--json]\n\nShows CPU, KVM, IOMMU and NICs, and for each lane whether it can be "
		 "used here, what is missing and what would mend it.\n"
		 "  --json   keys: cpu, kvm, lanes.LANE (ready, missing[], mend[]), nics, iommu "
		 "(active, kind, groups,\n"
		 "           interrupt_remapping in effect, units[] by their registers, firmware "
		 "(table, error, ...),\n"
		 "           kernel_parameters[] (name, value, means)), dma (type1, iommufd,\n"
		 "           settings[] (name, value, means))\n",
};
COMMAND(&host_command);
