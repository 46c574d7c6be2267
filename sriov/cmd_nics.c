/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane nics`: the NICs of this host, what they are, who drives and who has them, which lanes
 * they can serve, and what each PF can be told about its VFs. It only looks. The data are nics.c's
 * and nics_carve.c's, this file is the table.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cmd.h"
#include "nics_carve.h"

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
	json_array_foreach(json_object_get(o, "lanes"), i, lane)
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "," : "",
				      json_string_value(lane));
}

static void nics_owner(const json_t *o, char *buf, size_t size)
{
	const json_t *owner = json_object_get(o, "owner");
	const char *tenant = json_string_value(json_object_get(owner, "tenant"));
	const char *guest = json_string_value(json_object_get(owner, "guest"));

	snprintf(buf, size, "%s%s%s", tenant ? tenant : "-", guest ? "/" : "", guest ? guest : "");
}

#define NICS_ROW "%-12s %-13s %-18s %-10s %5s %4s %-8s %-17s %-10s %-14s %s\n"

static void nics_row(const json_t *o)
{
	char role[48], lanes[32], device[128], owner[136], b[7][24];

	nics_role(o, role, sizeof(role));
	nics_lanes(o, lanes, sizeof(lanes));
	nics_device(o, device, sizeof(device));
	nics_owner(o, owner, sizeof(owner));
	printf(NICS_ROW, nics_cell(o, "netdev", b[0], 24), nics_cell(o, "id", b[1], 24), role,
	       nics_cell(o, "driver", b[2], 24), nics_cell(o, "iommu_group", b[3], 24),
	       nics_cell(o, "numa_node", b[4], 24), nics_cell(o, "link", b[5], 24),
	       nics_cell(o, "mac", b[6], 24), lanes, owner, device);
}

/* --- what a PF can do --------------------------------------------------- */
static const char *nics_known(const json_t *o, const char *key, char *buf, size_t size)
{
	const json_t *j = json_object_get(o, key);

	if (json_is_boolean(j))
		return json_is_true(j) ? "yes" : "no";
	return !j || json_is_null(j) ? "unknown" : nics_cell(o, key, buf, size);
}

static void nics_capability(const json_t *o)
{
	const json_t *s = json_object_get(o, "sriov"), *bar;
	char a[24], b[24], c[24], d[24];
	json_int_t room = 0;
	size_t i;

	if (json_is_null(s))
		return;
	json_array_foreach(json_object_get(s, "vf_bars"), i, bar)
		room += json_integer_value(json_object_get(bar, "total_bytes"));
	printf("  VFs: at most %s, first at offset %s, stride %s, ARI %s, BARs ",
	       nics_known(s, "total_vfs", a, sizeof(a)),
	       nics_known(s, "first_vf_offset", b, sizeof(b)),
	       nics_known(s, "vf_stride", c, sizeof(c)), nics_known(s, "ari", d, sizeof(d)));
	if (room)
		printf("%lld KiB in all\n", (long long)room / 1024);
	else
		printf("unknown\n");
}

/* One line for all that share an answer and its source. */
static void nics_can(const json_t *can)
{
	const char *key, *source, *done[CAN_N];
	size_t n = 0;

	for (int w = 0; w < CAN_N; w++) {
		const json_t *o = json_object_get(can, vf_can_names[w]);
		bool again = false;

		source = json_string_value(json_object_get(o, "source"));
		for (size_t i = 0; i < n; i++)
			again |= !strcmp(done[i], source);
		if (again)
			continue;
		done[n++] = source;
		printf("  %-7s ", json_string_value(json_object_get(o, "answer")));
		for (int x = w; x < CAN_N; x++) {
			o = json_object_get(can, vf_can_names[x]);
			key = json_string_value(json_object_get(o, "source"));
			if (!strcmp(key, source))
				printf("%s%s", x > w ? ", " : "", vf_can_names[x]);
		}
		printf(" (%s)\n", source);
	}
}

static void nics_owners(const json_t *owners)
{
	const char *last = NULL, *tenant;
	const json_t *o;
	size_t i;

	json_array_foreach(owners, i, o) {
		tenant = json_string_value(json_object_get(o, "tenant"));
		if (!last || strcmp(last, tenant))
			printf("%s %s VF", last ? ";" : "  tenants", tenant);
		else
			printf(",");
		printf(" %lld", (long long)json_integer_value(json_object_get(o, "vf_index")));
		last = tenant;
	}
	if (last)
		printf("\n");
}

static void nics_pf(const json_t *o)
{
	char a[24], b[24], c[24];

	if (json_is_null(json_object_get(o, "can")))
		return;
	printf("\n%s %s: driver %s, e-switch %s\n", nics_cell(o, "netdev", a, sizeof(a)),
	       nics_cell(o, "id", b, sizeof(b)), nics_cell(o, "driver", c, sizeof(c)),
	       json_is_null(json_object_get(o, "eswitch"))
		       ? "unknown"
		       : json_string_value(json_object_get(o, "eswitch")));
	nics_capability(o);
	nics_owners(json_object_get(o, "owners"));
	nics_can(json_object_get(o, "can"));
}

static void nics_table(const json_t *all)
{
	const json_t *o;
	size_t i;

	printf(NICS_ROW, "NETDEV", "DEVICE", "ROLE", "DRIVER", "GROUP", "NUMA", "LINK", "MAC",
	       "LANES", "OWNER", "NAME");
	json_array_foreach(all, i, o)
		nics_row(o);
	if (!json_array_size(all))
		printf("(this host has no NIC that a guest could be given)\n");
	json_array_foreach(all, i, o)
		nics_pf(o);
}

/* The list, with owners where the tenants' store can be read. NULL: out of memory. */
static json_t *nics_whole(void)
{
	struct tenant_store *st = NULL;
	struct sriov_host h;
	json_t *all;

	sriov_host_look(&h);
	all = nics_list(h.env.v);
	if (!all)
		return NULL;
	/* whoever may not look there is told nothing of owners; all else is for everybody */
	if (access(h.env.state_dir, X_OK) == 0)
		tenant_store_open(&h.env, STORE_READ, &st);
	nics_add_carving(&h.env, st, all);
	tenant_store_close(st);
	return all;
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
	all = nics_whole();
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
	.summary = "NICs, PFs, VFs: driver, group, lanes, owner, what they take",
	.usage = "[--json]\n\n"
		 "Lists every network function of this host, also those that vfio-pci has. LANES: "
		 "direct when the\n"
		 "function has an IOMMU group, vf when it is a VF or can have VFs; every host "
		 "serves the other lanes.\n"
		 "OWNER: the tenant that has a VF, and the guest it is leased to just now. Below "
		 "the table, of each PF:\n"
		 "what its driver can be told about VFs, yes, no or unknown, and how that is "
		 "known.\n\n"
		 "  --json   the same as JSON\n",
	.run = nics_run,
};
COMMAND(&nics_command);
