/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane tenant list` and `tenant show`: who has which VFs, what is wanted of each and what is,
 * who has it in hands, what it has counted. The rows are tenant_view.c's; what nobody knows is
 * null in JSON and "unknown" in text, never 0.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/cmd.h"
#include "tenant_view.h"

/* --- JSON --------------------------------------------------------------- */
static json_t *text_or_null(const char *s)
{
	return s && *s ? nic_json_text(s) : json_null();
}

static json_t *lease_json(const struct tenant_row *r)
{
	if (!r->lease)
		return json_null();
	return json_pack("{s:o, s:i, s:s}", "guest", nic_json_text(r->lease->guest), "pid",
			 (int)r->lease->pid, "holder", r->alive ? "alive" : "gone");
}

static json_t *drift_json(const struct tenant_row *r)
{
	json_t *list = json_array();

	if (!r->vf)
		json_array_append_new(list, json_string("gone"));
	for (enum vf_setting s = 0; s < VF_N_SETTINGS; s++)
		if (r->drift & VF_BIT(s))
			json_array_append_new(list, json_string(vf_setting_name(s)));
	if (r->drift_driver)
		json_array_append_new(list, json_string("driver"));
	return list;
}

/* What `list` and `show` have in common. */
static json_t *row_json(const struct tenant_row *r)
{
	json_t *o =
		json_pack("{s:o, s:o, s:i, s:o}", "pf", text_or_null(r->pf ? r->pf->pf.name : NULL),
			  "pf_id", nic_json_text(r->slot->pf), "index", (int)r->slot->idx, "bdf",
			  text_or_null(r->vf ? r->vf->bdf : NULL));

	json_object_set_new(o, "driver", text_or_null(r->vf ? r->vf->driver : NULL));
	json_object_set_new(o, "drift", drift_json(r));
	json_object_set_new(o, "lease", lease_json(r));
	return o;
}

static json_t *counters_json(const struct tenant_row *r)
{
	const struct vf_counters *c = &r->counters;
	const struct {
		const char *key;
		uint64_t value;
	} all[] = {
		{ "rx_packets", c->rx_packets }, { "tx_packets", c->tx_packets },
		{ "rx_bytes", c->rx_bytes },     { "tx_bytes", c->tx_bytes },
		{ "broadcast", c->broadcast },   { "multicast", c->multicast },
		{ "rx_dropped", c->rx_dropped }, { "tx_dropped", c->tx_dropped },
	};
	json_t *o = json_pack("{s:s}", "source", c->known ? "rtnetlink" : "unknown");

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_object_set_new(o, all[i].key,
				    c->known ? json_integer((json_int_t)all[i].value)
					     : json_null());
	return o;
}

static json_t *spoofed_json(const struct tenant_row *r)
{
	if (!r->spoofed_known)
		return json_pack("{s:s, s:n}", "source", "unknown", "packets");
	return json_pack("{s:o, s:I}", "source", nic_json_text(r->spoofed_source), "packets",
			 (json_int_t)r->spoofed);
}

static json_t *row_show_json(const struct tenant_row *r)
{
	static const struct vf_settings unknown;
	json_t *o = row_json(r), *wanted = json_object(), *is = json_object();

	vf_settings_to_json(&r->slot->set, wanted);
	json_object_set_new(wanted, "driver", nic_json_text(r->slot->driver));
	vf_settings_to_json(r->vf ? &r->vf->set : &unknown, is);
	json_object_set_new(is, "driver", text_or_null(r->vf ? r->vf->driver : NULL));
	json_object_set_new(o, "wanted", wanted);
	json_object_set_new(o, "is", is);
	json_object_set_new(o, "numa_node",
			    r->pf && r->pf->numa >= 0 ? json_integer(r->pf->numa) : json_null());
	json_object_set_new(o, "iommu_group",
			    r->vf && r->vf->group >= 0 ? json_integer(r->vf->group) : json_null());
	json_object_set_new(o, "holder", text_or_null(r->vf ? r->vf->holder : NULL));
	json_object_set_new(o, "counters", counters_json(r));
	json_object_set_new(o, "spoofed", spoofed_json(r));
	return o;
}

static json_t *row_list_json(const struct tenant_row *r)
{
	json_t *o = row_json(r);

	vf_settings_to_json(&r->slot->set, o);
	return o;
}

static void print_json(const struct tenant_view *v, const char *name,
		       json_t *(*row)(const struct tenant_row *r))
{
	json_t *tenants = json_array(), *root;

	for (size_t i = 0, end; i < v->n; i = end) {
		json_t *vfs = json_array();

		end = tenant_view_next(v, i);
		for (size_t k = i; k < end; k++)
			json_array_append_new(vfs, row(&v->row[k]));
		if (name && strcmp(name, v->row[i].slot->tenant)) {
			json_decref(vfs);
			continue;
		}
		json_array_append_new(tenants,
				      json_pack("{s:o, s:o}", "name",
						nic_json_text(v->row[i].slot->tenant), "vfs", vfs));
	}
	root = json_pack("{s:i, s:o}", "version", 1, "tenants", tenants);
	json_dumpf(root, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(root);
}

/* --- text --------------------------------------------------------------- */
/* Names come from the kernel and the store: what is no printable ASCII is not printed as it is. */
static const char *plain(const char *s, char *buf, size_t size)
{
	size_t n = 0;

	for (; *s && n + 1 < size; s++)
		buf[n++] = *s >= ' ' && *s <= '~' ? *s : '?';
	buf[n] = '\0';
	return n ? buf : "-";
}

static void settings_text(const struct vf_settings *s, char *buf, size_t size)
{
	char one[64];
	size_t n = 0;

	buf[0] = '\0';
	for (enum vf_setting i = 0; i < VF_N_SETTINGS && n < size; i++) {
		if (s->known & VF_BIT(i))
			vf_setting_text(i, s, one, sizeof(one));
		else
			snprintf(one, sizeof(one), "%s unknown", vf_setting_name(i));
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? ", " : "", one);
	}
}

static void drift_text(const struct tenant_row *r, char *buf, size_t size)
{
	json_t *list = drift_json(r), *item;
	size_t i, n = 0;

	snprintf(buf, size, "none");
	json_array_foreach(list, i, item)
		if (n < size)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "," : "",
					      json_string_value(item));
	json_decref(list);
}

static void lease_text(const struct tenant_row *r, char *buf, size_t size)
{
	if (!r->lease)
		snprintf(buf, size, "free");
	else
		snprintf(buf, size, "%s (pid %d, %s)", r->lease->guest, (int)r->lease->pid,
			 r->alive ? "alive" : "gone");
}

static void print_list(const struct tenant_view *v)
{
	printf("%-16s %-10s %3s %-13s %-17s %4s %3s %6s %-12s %-16s %s\n", "TENANT", "PF", "VF",
	       "DEVICE", "MAC", "VLAN", "QOS", "MAX", "DRIVER", "DRIFT", "LEASE");
	for (size_t i = 0; i < v->n; i++) {
		const struct tenant_row *r = &v->row[i];
		const struct vf_settings *s = &r->slot->set;
		char tenant[TENANT_NAME_SIZE], pf[SRIOV_ID_SIZE],
			mac[18] = "-", vlan[8] = "-", qos[8] = "-", max[16] = "-",
			driver[TENANT_DRIVER_SIZE], drift[96], lease[128];

		if (s->known & VF_BIT(VF_MAC))
			vf_mac_text(s->mac, mac);
		if (s->known & VF_BIT(VF_VLAN)) {
			snprintf(vlan, sizeof(vlan), "%u", s->vlan);
			snprintf(qos, sizeof(qos), "%u", s->qos);
		}
		if (s->known & VF_BIT(VF_RATE))
			snprintf(max, sizeof(max), "%u", s->max_tx_mbit);
		drift_text(r, drift, sizeof(drift));
		lease_text(r, lease, sizeof(lease));
		printf("%-16s %-10s %3u %-13s %-17s %4s %3s %6s %-12s %-16s %s\n",
		       plain(r->slot->tenant, tenant, sizeof(tenant)),
		       plain(r->pf ? r->pf->pf.name : r->slot->pf, pf, sizeof(pf)), r->slot->idx,
		       r->vf && r->vf->bdf[0] ? r->vf->bdf : "-", mac, vlan, qos, max,
		       plain(r->vf ? r->vf->driver : "", driver, sizeof(driver)), drift, lease);
	}
}

static void print_counters(const struct tenant_row *r)
{
	const struct vf_counters *c = &r->counters;

	if (!c->known)
		printf("    counters  unknown\n");
	else
		printf("    counters  rx %" PRIu64 " packets %" PRIu64 " bytes %" PRIu64
		       " dropped, tx %" PRIu64 " packets %" PRIu64 " bytes %" PRIu64
		       " dropped, broadcast %" PRIu64 ", multicast %" PRIu64 "\n",
		       c->rx_packets, c->rx_bytes, c->rx_dropped, c->tx_packets, c->tx_bytes,
		       c->tx_dropped, c->broadcast, c->multicast);
	if (!r->spoofed_known)
		printf("    spoofed   unknown\n");
	else
		printf("    spoofed   %" PRIu64 " packets (%s)\n", r->spoofed, r->spoofed_source);
}

static void print_row(const struct tenant_row *r)
{
	static const struct vf_settings unknown;
	char text[512], drift[96], lease[128], pf[SRIOV_ID_SIZE], driver[TENANT_DRIVER_SIZE];

	printf("  VF %u of %s (%s): ", r->slot->idx,
	       plain(r->pf ? r->pf->pf.name : "", pf, sizeof(pf)), r->slot->pf);
	if (!r->vf)
		printf("it is not there\n");
	else
		printf("%s, driver %s", r->vf->bdf[0] ? r->vf->bdf : "no PCI function",
		       plain(r->vf->driver, driver, sizeof(driver)));
	if (r->vf && r->vf->group >= 0)
		printf(", IOMMU group %d", r->vf->group);
	if (r->vf && r->pf->numa >= 0)
		printf(", NUMA node %d", r->pf->numa);
	if (r->vf)
		printf("\n");
	settings_text(&r->slot->set, text, sizeof(text));
	printf("    wanted    %s, driver %s\n", text,
	       plain(r->slot->driver, driver, sizeof(driver)));
	settings_text(r->vf ? &r->vf->set : &unknown, text, sizeof(text));
	printf("    is        %s\n", text);
	drift_text(r, drift, sizeof(drift));
	lease_text(r, lease, sizeof(lease));
	printf("    drift     %s\n    lease     %s\n", drift, lease);
	if (r->vf && r->vf->holder[0])
		printf("    in use    %s\n", plain(r->vf->holder, text, sizeof(text)));
	print_counters(r);
}

static void print_show(const struct tenant_view *v, const char *name)
{
	for (size_t i = 0; i < v->n; i++) {
		const char *tenant = v->row[i].slot->tenant;

		if (name && strcmp(name, tenant))
			continue;
		if (i == 0 || strcmp(tenant, v->row[i - 1].slot->tenant)) {
			size_t n = tenant_view_next(v, i) - i;

			printf("%s: %zu VF%s\n", tenant, n, n == 1 ? "" : "s");
		}
		print_row(&v->row[i]);
	}
}

/* --- the commands ------------------------------------------------------- */
static int show(int argc, char **argv, bool list)
{
	const struct command *cmd = cmd_find("tenant");
	bool json = false;
	const struct cmd_option opts[] = { { .name = "json", .flag = &json }, { 0 } };
	int n = cmd_options(cmd, argc, argv, opts, false), ret;
	const char *name = n > 0 ? argv[1] : NULL;
	struct tenant_view v;
	struct sriov_host h;

	if (n < 0)
		return FL_USAGE;
	if (n > (list ? 0 : 1))
		return cmd_usage(cmd, "%s: '%s' is one word too many", argv[0], argv[n]);
	sriov_host_look(&h);
	ret = tenant_view_read(&h.env, &v);
	if (ret < 0)
		return ret;
	if (name && tenant_view_find(&v, name) == v.n)
		ret = err_ret(-ENOENT,
			      "tenant show: no tenant %s has a VF; see 'fourlane tenant list'",
			      name);
	else if (json)
		print_json(&v, name, list ? row_list_json : row_show_json);
	else if (!v.n)
		printf("(no tenant has a VF; 'fourlane tenant apply FILE' gives them some)\n");
	else if (list)
		print_list(&v);
	else
		print_show(&v, name);
	tenant_view_free(&v);
	return ret;
}

int tenant_cmd_list(int argc, char **argv)
{
	return show(argc, argv, true);
}

int tenant_cmd_show(int argc, char **argv)
{
	return show(argc, argv, false);
}
