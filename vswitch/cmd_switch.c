/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane switch`: ports, addresses and counters of a running fourlane-switch, over its control
 * socket. A client of sw_ctl.c; what a port may be is checked there, not here.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cmd.h"
#include "core/paths.h"
#include "core/rpc.h"

#define ANSWER_MS 10000 /* a NIC takes its time to start */

static const struct command switch_command;

struct call {
	bool json, software;
	const char *name; /* of the switch */
	const char *type, *vlan, *trunk, *socket, *role, *device, *ifname, *guest, *queues,
		*max_learned, *uplink, *queue_size;
	const char **macs;
	bool flush;
};

/* One question to the switch. `params` is stolen. 0, an exit status or a negative errno. */
static int switch_ask(const struct call *c, const char *method, json_t *params, json_t **result)
{
	char below[64], path[PATH_MAX], what[64];
	int ret;

	if (!rpc_name_ok(c->name)) {
		json_decref(params);
		return err_ret(FL_USAGE, "switch '%s': no name for a switch; give another --switch",
			       c->name);
	}
	snprintf(below, sizeof(below), "switch/%s/control.sock", c->name);
	ret = paths_find_socket(path, sizeof(path), below);
	if (ret < 0) {
		json_decref(params);
		return ret;
	}
	snprintf(what, sizeof(what), "switch '%s'", c->name);
	ret = rpc_call_path(path, what, "start it with 'fourlane-switch', or give --switch NAME",
			    method, params, ANSWER_MS, result);
	return ret == -EINVAL ? FL_USAGE : ret; /* it found our words wrong */
}

static int print_json(json_t *v)
{
	int ret = json_dumpf(v, stdout, JSON_INDENT(2)) < 0 ? FL_FAILED : FL_DONE;

	putchar('\n');
	return ret;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static long long number_of(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

/* What is no UTF-8 becomes null: the switch then refuses the key. */
static json_t *word_or_null(const char *s)
{
	json_t *v = json_string(s);

	return v ? v : json_null();
}

static void set_text(json_t *o, const char *key, const char *s)
{
	if (s)
		json_object_set_new(o, key, word_or_null(s));
}

/* --- show --- */
/* "100", or "trunk 100,200-210 (native 5)". */
static void vlan_text(const json_t *port, char *buf, size_t size)
{
	const json_t *trunk = json_object_get(port, "trunk"), *part;
	size_t n = 0, i;

	if (!json_is_array(trunk)) {
		snprintf(buf, size, "%lld", number_of(port, "vlan"));
		return;
	}
	n = (size_t)snprintf(buf, size, "trunk ");
	json_array_foreach(trunk, i, part) {
		if (n >= size)
			break;
		if (json_is_string(part))
			n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? "," : "",
					      json_string_value(part));
		else
			n += (size_t)snprintf(buf + n, size - n, "%s%lld", i ? "," : "",
					      (long long)json_integer_value(part));
	}
}

/* What a person wants to know first of a port of its type. */
static const char *state_text(const json_t *port, char *buf, size_t size)
{
	const json_t *connected = json_object_get(port, "connected");

	if (connected)
		snprintf(buf, size, "%s", json_is_true(connected) ? "connected" : "waiting");
	else if (json_object_get(port, "how"))
		snprintf(buf, size, "%s", text_of(port, "how"));
	else if (json_object_get(port, "link_up"))
		snprintf(buf, size, "%s",
			 json_is_true(json_object_get(port, "link_up")) ? "up" : "down");
	else
		snprintf(buf, size, "-");
	return buf;
}

static const char *where_text(const json_t *port)
{
	static const char *const keys[] = { "socket", "device", "ifname" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_is_string(json_object_get(port, keys[i])))
			return text_of(port, keys[i]);
	return "-";
}

static int show(const struct call *c)
{
	json_t *answer, *port;
	char vlan[64], state[24];
	size_t i;
	int ret = switch_ask(c, "ports", NULL, &answer);

	if (ret != 0)
		return ret;
	if (c->json) {
		ret = print_json(answer);
	} else {
		printf("%-20s %-10s %-16s %-10s %s\n", "PORT", "TYPE", "VLAN", "STATE", "WHERE");
		json_array_foreach(json_object_get(answer, "ports"), i, port) {
			vlan_text(port, vlan, sizeof(vlan));
			printf("%-20s %-10s %-16s %-10s %s\n", text_of(port, "name"),
			       text_of(port, "type"), vlan, state_text(port, state, sizeof(state)),
			       where_text(port));
		}
	}
	json_decref(answer);
	return ret;
}

/* --- stats --- */
static void print_drops(const char *port, const char *direction, const json_t *drops)
{
	const char *name;
	json_t *n;

	json_object_foreach((json_t *)drops, name, n)
		if (json_integer_value(n))
			printf("  %-18s %s dropped, %s: %lld\n", port, direction, name,
			       (long long)json_integer_value(n));
}

static void stats_table(const json_t *stats)
{
	const json_t *ports = json_object_get(stats, "ports"),
		     *totals = json_object_get(stats, "totals"), *p;
	size_t i;

	printf("%-20s %14s %16s %14s %16s\n", "PORT", "IN FRAMES", "IN BYTES", "OUT FRAMES",
	       "OUT BYTES");
	json_array_foreach(ports, i, p)
		printf("%-20s %14lld %16lld %14lld %16lld\n", text_of(p, "name"),
		       number_of(p, "in_frames"), number_of(p, "in_bytes"),
		       number_of(p, "out_frames"), number_of(p, "out_bytes"));
	json_array_foreach(ports, i, p) {
		print_drops(text_of(p, "name"), "in ", json_object_get(p, "in_drops"));
		print_drops(text_of(p, "name"), "out", json_object_get(p, "out_drops"));
	}
	printf("in %lld + replicated %lld = out %lld + dropped %lld\n",
	       number_of(totals, "in_frames"), number_of(totals, "replicated"),
	       number_of(totals, "out_frames"), number_of(totals, "drops_total"));
}

static int stats(const struct call *c)
{
	json_t *answer;
	int ret = switch_ask(c, "stats", NULL, &answer);

	if (ret != 0)
		return ret;
	if (c->json)
		ret = print_json(answer);
	else
		stats_table(answer);
	json_decref(answer);
	return ret;
}

/* --- table --- */
static void print_entry(const json_t *e)
{
	printf("%-18s %5lld %-32s ", text_of(e, "mac"), number_of(e, "vlan"), text_of(e, "port"));
	if (json_is_true(json_object_get(e, "static")))
		printf("static\n");
	else
		printf("%lld s\n", number_of(e, "age_s"));
}

/* `port`: whose addresses to forget, NULL: everybody's. */
static int table(const struct call *c, const char *port)
{
	json_t *params = json_object(), *answer, *entries, *e;
	long long more;
	size_t i;
	int ret;

	if (c->flush)
		json_object_set_new(params, "flush", json_true());
	set_text(params, "port", port);
	ret = switch_ask(c, "table", params, &answer);
	if (ret != 0)
		return ret;
	if (c->json) {
		ret = print_json(answer);
	} else {
		printf("%-18s %5s %-32s %s\n", "MAC", "VLAN", "PORT", "AGE");
		entries = json_object_get(answer, "entries");
		json_array_foreach(entries, i, e)
			print_entry(e);
		more = number_of(answer, "n") - (long long)json_array_size(entries);
		if (more > 0)
			printf("and %lld more\n", more);
	}
	json_decref(answer);
	return ret;
}

/* --- port add, port remove --- */
/* Options of `port add` only; elsewhere they would do nothing. */
static bool has_port_options(const struct call *c)
{
	return c->type || c->vlan || c->trunk || c->socket || c->role || c->device || c->ifname ||
	       c->guest || c->queues || c->queue_size || c->max_learned || c->uplink || c->macs ||
	       c->software;
}

/* A number where it is one, else the word itself: the switch then says what is wrong with it. */
static void set_number(json_t *o, const char *key, const char *s)
{
	unsigned long long v;

	if (s && cmd_number(s, 0, INT_MAX, &v) == 0)
		json_object_set_new(o, key, json_integer((json_int_t)v));
	else
		set_text(o, key, s);
}

/* "100,200-210": a number or a range each. An empty one goes with them, to be refused. */
static json_t *trunk_list(const char *s)
{
	json_t *list = json_array();
	char *copy = strdup(s), *rest = copy, *p;
	unsigned long long v;

	while ((p = strsep(&rest, ",")))
		json_array_append_new(list, cmd_number(p, 0, INT_MAX, &v) == 0
						    ? json_integer((json_int_t)v)
						    : word_or_null(p));
	free(copy);
	return list;
}

/* The switch runs in another folder than we do. */
static void set_socket(json_t *o, const char *path)
{
	char dir[PATH_MAX], whole[2 * PATH_MAX];

	if (path && *path && *path != '/' && getcwd(dir, sizeof(dir))) {
		snprintf(whole, sizeof(whole), "%s/%s", dir, path);
		path = whole;
	}
	set_text(o, "socket", path);
}

static json_t *port_params(const struct call *c, const char *name)
{
	json_t *o = json_object(), *macs = json_array();

	set_text(o, "name", name);
	set_text(o, "type", c->type);
	set_number(o, "vlan", c->vlan);
	if (c->trunk)
		json_object_set_new(o, "trunk", trunk_list(c->trunk));
	set_socket(o, c->socket);
	set_text(o, "role", c->role);
	set_text(o, "device", c->device);
	set_text(o, "ifname", c->ifname);
	set_text(o, "guest", c->guest);
	set_number(o, "queues", c->queues);
	set_number(o, "queue_size", c->queue_size);
	set_number(o, "max_learned", c->max_learned);
	if (c->uplink && (!strcmp(c->uplink, "on") || !strcmp(c->uplink, "off")))
		json_object_set_new(o, "uplink", json_boolean(!strcmp(c->uplink, "on")));
	else
		set_text(o, "uplink", c->uplink);
	if (c->software)
		json_object_set_new(o, "software", json_true());
	for (const char **m = c->macs; m && *m; m++)
		json_array_append_new(macs, word_or_null(*m));
	if (json_array_size(macs))
		json_object_set(o, "macs", macs);
	json_decref(macs);
	return o;
}

static int port_change(const struct call *c, const char *method, json_t *params)
{
	json_t *answer;
	int ret = switch_ask(c, method, params, &answer);

	if (ret != 0)
		return ret;
	ret = c->json ? print_json(answer) : FL_DONE;
	json_decref(answer);
	return ret;
}

static int port(const struct call *c, int n, char **word)
{
	if (n == 2 && !strcmp(word[0], "add")) {
		if (!c->type)
			return cmd_usage(&switch_command,
					 "port add wants --type vhost-user|eth|tap|vmdq");
		return port_change(c, "port.add", port_params(c, word[1]));
	}
	if (n == 2 && !strcmp(word[0], "remove") && !has_port_options(c))
		return port_change(c, "port.remove", json_pack("{s:s}", "name", word[1]));
	return cmd_usage(&switch_command, "'port add NAME ...' or 'port remove NAME' is wanted");
}

static int switch_do(const struct call *c, int n, char **word)
{
	bool is_table = !strcmp(word[0], "table");
	int max = is_table && c->flush ? 2 : 1;

	if (c->flush && !is_table)
		return cmd_usage(&switch_command, "--flush goes with 'table'");
	if (!strcmp(word[0], "port"))
		return port(c, n - 1, word + 1);
	if (has_port_options(c))
		return cmd_usage(&switch_command, "what a port is goes with 'port add'");
	if (n > max)
		return cmd_usage(&switch_command, "'%s' is one word too many", word[max]);
	if (is_table)
		return table(c, n == 2 ? word[1] : NULL);
	if (!strcmp(word[0], "show"))
		return show(c);
	if (!strcmp(word[0], "stats"))
		return stats(c);
	return cmd_usage(&switch_command, "there is no '%s'; there are: show, port, table, stats",
			 word[0]);
}

static int switch_run(int argc, char **argv)
{
	struct call c = { .name = "default" };
	struct cmd_option opts[] = {
		{ .name = "json", .flag = &c.json },
		{ .name = "switch", .value = &c.name },
		{ .name = "type", .value = &c.type },
		{ .name = "vlan", .value = &c.vlan },
		{ .name = "trunk", .value = &c.trunk },
		{ .name = "mac", .list = &c.macs },
		{ .name = "socket", .value = &c.socket },
		{ .name = "role", .value = &c.role },
		{ .name = "device", .value = &c.device },
		{ .name = "ifname", .value = &c.ifname },
		{ .name = "guest", .value = &c.guest },
		{ .name = "queues", .value = &c.queues },
		{ .name = "queue-size", .value = &c.queue_size },
		{ .name = "max-learned", .value = &c.max_learned },
		{ .name = "uplink", .value = &c.uplink },
		{ .name = "software", .flag = &c.software },
		{ .name = "flush", .flag = &c.flush },
		{ 0 },
	};
	int n = cmd_options(&switch_command, argc, argv, opts, false), ret;

	if (n < 0)
		ret = FL_USAGE;
	else if (n == 0)
		ret = cmd_usage(&switch_command, "show, port, table or stats is wanted");
	else
		ret = switch_do(&c, n, argv + 1);
	free(c.macs);
	return ret;
}

static const struct command switch_command = {
	.name = "switch",
	.group = CMD_SWITCH,
	.summary = "ports, addresses and counters of a fourlane-switch",
	.usage =
		"show|stats|table [--json] [--switch NAME]\n"
		"       fourlane switch table --flush [PORT]\n"
		"       fourlane switch port add NAME --type TYPE [options]\n"
		"       fourlane switch port remove NAME\n\n"
		"Asks or changes a running fourlane-switch ('default' unless --switch names "
		"another).\n\n"
		"  show     its ports      stats   frames in, out and dropped, each drop by name\n"
		"  table    the addresses it knows; --flush forgets those learned (on PORT)\n\n"
		"options of port add:\n"
		"  --type vhost-user|eth|tap|vmdq\n"
		"  --vlan N            access VLAN (0: none), or the native one of a trunk\n"
		"  --trunk LIST        VLANs of a trunk: 100,200-210\n"
		"  --mac MAC           source address allowed there; may stand several times\n"
		"  --max-learned N     addresses learned there, at most\n"
		"  --uplink on|off     our own frames that come back there are dropped\n"
		"  --socket PATH --role server|client --queues N        vhost-user\n"
		"  --device PCI|VDEV --queue-size N                     eth, vmdq (--queues: eth)\n"
		"  --ifname NAME                                        tap\n"
		"  --guest PORT --software                              vmdq: the guest's port; "
		"no VMDq\n\n"
		"example: fourlane switch port add vm1-nic0 --type vhost-user --vlan 100\n",
	.run = switch_run,
};
COMMAND(&switch_command);
