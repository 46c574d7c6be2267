/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane vf create|list|set|remove`: words of the call into the functions of vf_count.c and
 * vf_change.c, and the table of VFs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cmd.h"
#include "core/paths.h"
#include "sriov_priv.h"

static const struct command vf_command;

/* --- create, remove ----------------------------------------------------- */
static int vf_run_create(int argc, char **argv)
{
	const char *autoprobe = "off";
	const struct cmd_option opts[] = { { .name = "autoprobe", .value = &autoprobe }, { 0 } };
	unsigned long long count;
	int n = cmd_options(&vf_command, argc, argv, opts, false);

	if (n < 0)
		return FL_USAGE;
	if (n != 2)
		return cmd_usage(&vf_command, "create takes a PF and a count");
	if (cmd_number(argv[2], 0, SRIOV_MAX_VFS, &count) < 0)
		return cmd_usage(&vf_command, "'%s' is not a number from 0 to %u", argv[2],
				 SRIOV_MAX_VFS);
	if (strcmp(autoprobe, "on") && strcmp(autoprobe, "off"))
		return cmd_usage(&vf_command, "--autoprobe is on or off, not '%s'", autoprobe);
	return sriov_vfs_create(argv[1], (unsigned int)count, !strcmp(autoprobe, "on"));
}

static int vf_run_remove(int argc, char **argv)
{
	const struct cmd_option opts[] = { { 0 } };
	int n = cmd_options(&vf_command, argc, argv, opts, false);

	if (n < 0)
		return FL_USAGE;
	if (n != 1)
		return cmd_usage(&vf_command, "remove takes a PF");
	return sriov_vfs_remove(argv[1]);
}

/* --- set ---------------------------------------------------------------- */
static int vf_run_set(int argc, char **argv)
{
	const char *value[VF_REQUEST_N_KEYS] = { NULL };
	char names[VF_REQUEST_N_KEYS][16], why[160];
	struct cmd_option opts[VF_REQUEST_N_KEYS + 1] = { 0 };
	struct vf_request r = { 0 };
	unsigned long long idx;
	unsigned int given = 0;
	struct sriov_host h;
	int n, ret;

	for (int i = 0; i < VF_REQUEST_N_KEYS; i++) {
		snprintf(names[i], sizeof(names[i]), "%s", vf_request_keys[i]);
		for (char *c = names[i]; (c = strchr(c, '_'));)
			*c = '-';
		opts[i] = (struct cmd_option){ .name = names[i], .value = &value[i] };
	}
	n = cmd_options(&vf_command, argc, argv, opts, false);
	if (n < 0)
		return FL_USAGE;
	if (n != 2)
		return cmd_usage(&vf_command, "set takes a PF and the index of a VF");
	if (cmd_number(argv[2], 0, SRIOV_MAX_VFS - 1, &idx) < 0)
		return cmd_usage(&vf_command, "'%s' is not the index of a VF", argv[2]);
	for (int i = 0; i < VF_REQUEST_N_KEYS; i++) {
		if (!value[i])
			continue;
		if (vf_request_parse(&r, vf_request_keys[i], value[i], why, sizeof(why)) < 0)
			return cmd_usage(&vf_command, "--%s: %s", names[i], why);
		given++;
	}
	if (!given)
		return cmd_usage(&vf_command, "set needs something to set, as --vlan 100");
	if (r.has_min && r.has_max && r.to.max_tx_mbit && r.to.min_tx_mbit > r.to.max_tx_mbit)
		return cmd_usage(&vf_command, "--min-tx-mbit %u is above --max-tx-mbit %u",
				 r.to.min_tx_mbit, r.to.max_tx_mbit);
	ret = sriov_host_open(&h);
	return ret < 0 ? ret : vf_set(&h.env, argv[1], (unsigned int)idx, &r);
}

/* --- list --------------------------------------------------------------- */
static json_t *vf_json(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		       const struct vf_settings *s)
{
	char bdf[IOMMU_BDF_SIZE] = "", driver[40] = "", group[32] = "", netdev[IFNAMSIZ] = "",
	     path[PATH_MAX + 32], holder[256] = "";
	json_t *o = json_pack("{s:i}", "index", (int)idx);

	if (sriov_vf_bdf(pf, idx, bdf) == 0) {
		snprintf(path, sizeof(path), "%s/virtfn%u", pf->path, idx);
		paths_link_name(driver, sizeof(driver), "%s/driver", path);
		paths_link_name(group, sizeof(group), "%s/iommu_group", path);
		sriov_first_netdev(path, netdev);
		vf_holder(e, pf, idx, holder, sizeof(holder));
	}
	json_object_set_new(o, "bdf", bdf[0] ? json_string(bdf) : json_null());
	json_object_set_new(o, "driver", driver[0] ? nic_json_text(driver) : json_null());
	json_object_set_new(o, "iommu_group", group[0] ? json_integer(atoi(group)) : json_null());
	json_object_set_new(o, "netdev", netdev[0] ? nic_json_text(netdev) : json_null());
	vf_settings_to_json(s, o);
	json_object_set_new(o, "holder", holder[0] ? nic_json_text(holder) : json_null());
	return o;
}

static json_t *pf_json(const struct sriov_env *e, const struct sriov_pf *pf, int *ret)
{
	json_t *vfs = json_array(), *o;
	struct vf_table t = { 0 };
	static const struct vf_settings unknown;

	if (pf->num_vfs)
		*ret = vf_read(e, pf, &t);
	for (unsigned int i = 0; i < pf->num_vfs; i++)
		json_array_append_new(vfs,
				      vf_json(e, pf, i, i < t.announced ? &t.vf[i] : &unknown));
	o = json_pack("{s:o, s:o, s:o, s:i, s:b}", "pf", nic_json_text(pf->name), "id",
		      nic_json_text(pf->id), "total_vfs",
		      pf->total_vfs == SRIOV_UNKNOWN ? json_null() : json_integer(pf->total_vfs),
		      "num_vfs", (int)pf->num_vfs, "complete", t.n >= pf->num_vfs);
	json_object_set_new(o, "vfs", vfs);
	vf_table_free(&t);
	return o;
}

static const char *vf_cell(const json_t *o, const char *key, char *buf, size_t size)
{
	const json_t *j = json_object_get(o, key);

	if (json_is_string(j))
		return json_string_value(j);
	if (json_is_integer(j))
		snprintf(buf, size, "%lld", (long long)json_integer_value(j));
	else
		snprintf(buf, size, "%s", json_is_true(j) ? "on" : json_is_false(j) ? "off" : "-");
	return buf;
}

static void vf_rows(const json_t *pf)
{
	static const struct {
		const char *key, *head;
		int width;
	} col[] = {
		{ "index", "VF", 3 },	       { "bdf", "DEVICE", 13 },
		{ "driver", "DRIVER", 9 },     { "iommu_group", "GROUP", 5 },
		{ "mac", "MAC", 17 },	       { "vlan", "VLAN", 4 },
		{ "qos", "QOS", 3 },	       { "proto", "PROTO", 7 },
		{ "max_tx_mbit", "MAX", 6 },   { "min_tx_mbit", "MIN", 6 },
		{ "spoof_check", "SPOOF", 5 }, { "trust", "TRUST", 5 },
		{ "link", "LINK", 4 },	       { "holder", "HOLDER", 0 },
	};
	const json_t *vf;
	char buf[24];
	size_t i;

	if (!json_array_size(json_object_get(pf, "vfs")))
		return;
	for (size_t c = 0; c < sizeof(col) / sizeof(col[0]); c++)
		printf("%s%-*s", c ? " " : "  ", col[c].width, col[c].head);
	printf("\n");
	json_array_foreach (json_object_get(pf, "vfs"), i, vf) {
		for (size_t c = 0; c < sizeof(col) / sizeof(col[0]); c++)
			printf("%s%-*s", c ? " " : "  ", col[c].width,
			       vf_cell(vf, col[c].key, buf, sizeof(buf)));
		printf("\n");
	}
}

static void vf_tables(const json_t *pfs)
{
	char a[24], b[24];
	const json_t *pf;
	size_t i;

	json_array_foreach (pfs, i, pf) {
		printf("%s (%s): %s of %s VFs\n", vf_cell(pf, "pf", a, sizeof(a)),
		       json_string_value(json_object_get(pf, "id")),
		       vf_cell(pf, "num_vfs", a, sizeof(a)),
		       vf_cell(pf, "total_vfs", b, sizeof(b)));
		vf_rows(pf);
	}
	if (!json_array_size(pfs))
		printf("(no NIC of this host has SR-IOV; 'fourlane host' says what that takes)\n");
}

static int vf_list(const struct sriov_env *e, const char *name, json_t *all)
{
	struct sriov_pf one, *pfs = &one;
	int n = 1, ret = 0;

	if (name) {
		ret = sriov_pf_find(e->v, name, &one);
		if (ret < 0)
			return ret;
	} else {
		n = sriov_pfs(e->v, &pfs);
		if (n < 0)
			return err_ret(n, "listing PFs: %s; is /sys mounted?", strerror(-n));
	}
	for (int i = 0; i < n; i++) {
		int r = 0;

		json_array_append_new(all, pf_json(e, &pfs[i], &r));
		if (r < 0)
			ret = r;
	}
	if (pfs != &one)
		free(pfs);
	return ret;
}

static int vf_run_list(int argc, char **argv)
{
	bool json = false;
	const struct cmd_option opts[] = { { .name = "json", .flag = &json }, { 0 } };
	int n = cmd_options(&vf_command, argc, argv, opts, false), ret;
	struct sriov_host h;
	json_t *all;

	if (n < 0)
		return FL_USAGE;
	if (n > 1)
		return cmd_usage(&vf_command, "list takes one PF or none");
	sriov_host_look(&h);
	all = json_array();
	ret = vf_list(&h.env, n ? argv[1] : NULL, all);
	if (json && json_array_size(all) + !n) {
		json_t *root = json_pack("{s:i, s:O}", "version", 1, "pfs", all);

		json_dumpf(root, stdout, JSON_INDENT(2));
		printf("\n");
		json_decref(root);
	} else if (ret == 0) {
		vf_tables(all);
	}
	json_decref(all);
	return ret;
}

/* --- the command -------------------------------------------------------- */
static int vf_run(int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*run)(int argc, char **argv);
	} sub[] = {
		{ "create", vf_run_create },
		{ "list", vf_run_list },
		{ "set", vf_run_set },
		{ "remove", vf_run_remove },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(sub) / sizeof(sub[0]); i++)
		if (!strcmp(argv[1], sub[i].word))
			return sub[i].run(argc - 1, argv + 1);
	if (argc > 1)
		return cmd_usage(&vf_command, "there is no '%s', only create, list, set and remove",
				 argv[1]);
	return cmd_usage(&vf_command, "say what: create, list, set or remove");
}

static const struct command vf_command = {
	.name = "vf",
	.group = CMD_CARVE,
	.summary = "make virtual functions of a NIC, set them, put back",
	.usage =
		"create PF COUNT [--autoprobe on|off]\n"
		"       fourlane vf list [PF] [--json]\n"
		"       fourlane vf set PF VF [--mac MAC] [--vlan 0..4094] [--qos 0..7] [--proto 802.1Q|802.1ad]\n"
		"                       [--max-tx-mbit N] [--min-tx-mbit N] [--spoof-check on|off] [--trust on|off]\n"
		"                       [--link auto|on|off]\n"
		"       fourlane vf remove PF\n\n"
		"PF is a netdev's name or a PCI address, VF the index that 'vf list' shows.\n"
		"create   makes PF have COUNT VFs; they get no host driver unless --autoprobe on. Refused while a VF is in\n"
		"         use: the kernel takes all VFs away between two counts.\n"
		"set      sets what is given and reads it back; when one is refused the others are taken back.\n"
		"remove   puts back what was there before fourlane changed it: settings, count, autoprobe.\n\n"
		"example: fourlane vf create enp3s0f0 4 && fourlane vf set enp3s0f0 0 --vlan 100 --spoof-check on\n",
	.run = vf_run,
};
COMMAND(&vf_command);
