/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane nics`: the NICs of this host, what they are, who drives them, and which lanes they can
 * serve. It only looks. The data are nics.c's, this file is the table.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cmd.h"
#include "sriov_priv.h"

static const struct command nics_command;

/* Text of a value, "-" for null, in a buffer of the caller. */
static const char *nics_cell(const json_t *o, const char *key, char *buf, size_t size)
{
	const json_t *j = json_object_get(o, key);

	if (json_is_string(j))
		return json_string_value(j);
	if (json_is_integer(j))
		snprintf(buf, size, "%lld", (long long)json_integer_value(j));
	else
		snprintf(buf, size, "-");
	return buf;
}

static void nics_role(const json_t *o, char *buf, size_t size)
{
	char a[24], b[24];

	if (!strcmp(json_string_value(json_object_get(o, "kind")), "vf"))
		snprintf(buf, size, "vf %s of %s", nics_cell(o, "vf_index", a, sizeof(a)),
			 json_is_string(json_object_get(o, "pf_netdev"))
				 ? nics_cell(o, "pf_netdev", b, sizeof(b))
				 : nics_cell(o, "pf", b, sizeof(b)));
	else if (!strcmp(json_string_value(json_object_get(o, "kind")), "pf"))
		snprintf(buf, size, "pf %s/%s VFs", nics_cell(o, "num_vfs", a, sizeof(a)),
			 nics_cell(o, "total_vfs", b, sizeof(b)));
	else
		snprintf(buf, size, "nic");
}

static void nics_device(const json_t *o, char *buf, size_t size)
{
	char a[8], b[8];

	if (json_is_string(json_object_get(o, "device")))
		snprintf(buf, size, "%s", json_string_value(json_object_get(o, "device")));
	else if (json_is_string(json_object_get(o, "vendor_id")))
		snprintf(buf, size, "%s:%s", nics_cell(o, "vendor_id", a, sizeof(a)),
			 nics_cell(o, "device_id", b, sizeof(b)));
	else
		snprintf(buf, size, "-");
}

static void nics_lanes(const json_t *o, char *buf, size_t size)
{
	const json_t *lane;
	size_t i, n = 0;

	snprintf(buf, size, "-");
	json_array_foreach (json_object_get(o, "lanes"), i, lane)
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "," : "",
				      json_string_value(lane));
}

static void nics_row(const json_t *o)
{
	char role[48], lanes[32], device[128], b[7][24];

	nics_role(o, role, sizeof(role));
	nics_lanes(o, lanes, sizeof(lanes));
	nics_device(o, device, sizeof(device));
	printf("%-12s %-13s %-18s %-10s %5s %4s %-8s %-17s %-10s %s\n",
	       nics_cell(o, "netdev", b[0], 24), nics_cell(o, "id", b[1], 24), role,
	       nics_cell(o, "driver", b[2], 24), nics_cell(o, "iommu_group", b[3], 24),
	       nics_cell(o, "numa_node", b[4], 24), nics_cell(o, "link", b[5], 24),
	       nics_cell(o, "mac", b[6], 24), lanes, device);
}

static void nics_table(const json_t *all)
{
	const json_t *o;
	size_t i;

	printf("%-12s %-13s %-18s %-10s %5s %4s %-8s %-17s %-10s %s\n", "NETDEV", "DEVICE", "ROLE",
	       "DRIVER", "GROUP", "NUMA", "LINK", "MAC", "LANES", "NAME");
	json_array_foreach (all, i, o)
		nics_row(o);
	if (!json_array_size(all))
		printf("(this host has no NIC that a guest could be given)\n");
}

static int nics_run(int argc, char **argv)
{
	bool json = false;
	const struct cmd_option opts[] = { { .name = "json", .flag = &json }, { 0 } };
	int n = cmd_options(&nics_command, argc, argv, opts, false);
	json_t *all;

	if (n < 0)
		return FL_USAGE;
	if (n > 0)
		return cmd_usage(&nics_command, "'%s' is one word too many", argv[1]);
	all = nics_list(&host_real);
	if (!all)
		return err_ret(-ENOMEM, "listing NICs: out of memory; free some");
	if (json) {
		json_t *root = json_pack("{s:i, s:O}", "version", 1, "nics", all);

		json_dumpf(root, stdout, JSON_INDENT(2));
		printf("\n");
		json_decref(root);
	} else {
		nics_table(all);
	}
	json_decref(all);
	return FL_DONE;
}

static const struct command nics_command = {
	.name = "nics",
	.group = CMD_LOOK,
	.summary = "NICs, PFs and VFs: driver, group, lanes they can serve",
	.usage =
		"[--json]\n\n"
		"Lists every network function of this host, also those that vfio-pci has. LANES: direct when the\n"
		"function has an IOMMU group, vf when it is a VF or can have VFs; every host serves the other lanes.\n\n"
		"  --json   the same as JSON\n",
	.run = nics_run,
};
COMMAND(&nics_command);
