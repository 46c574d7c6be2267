/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the switch answers on its control socket: info, ports, port.add, port.remove, table, stats.
 * Keys are stable: `fourlane switch --json` prints them as they are.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/version.h"
#include "vswitch/sw_priv.h"

#define TABLE_ENTRIES 65536 /* of one answer: RPC_MAX_ANSWER holds them */

/* --- errors: said here, and told to the client --- */
static void said_sink(void *opaque, const char *line)
{
	struct sw_said *s = opaque;

	fprintf(stderr, "%s\n", line);
	if (s && pthread_equal(pthread_self(), s->thread))
		snprintf(s->line, sizeof(s->line), "%s",
			 !strncmp(line, "fourlane: ", 10) ? line + 10 : line);
}

void sw_ctl_listen_errors(struct sw *sw)
{
	sw->said.thread = pthread_self();
	err_set_sink(said_sink, &sw->said);
}

/*
 * Root, and the user who runs the switch, may have any port. Whoever is let in by the group only
 * may have guests' ports at the sockets that the switch makes in its own folder: every other port
 * makes or opens something on the host with the switch's rights.
 */
static bool ctl_is_guests(const struct sw_port_conf *c)
{
	return c->dp.kind == DP_GUEST && !c->socket[0];
}

static int ctl_allowed(const struct sw *sw, const struct sw_port_conf *c, const char *verb)
{
	if (rpc_server_peer(sw->server) == RPC_OWNER || ctl_is_guests(c))
		return 0;
	return err_ret(-EPERM,
		       "port %s: group fourlane may %s vhost-user ports without socket= only; call "
		       "as root, or as the user who runs the switch",
		       c->dp.name, verb);
}

static json_t *ctl_port_add(struct sw *sw, json_t *params, json_int_t id, int *ret)
{
	struct sw_port_conf *conf = malloc(sizeof(*conf));

	*ret = conf ? sw_port_conf_from_json(params, conf) : -ENOMEM;
	if (*ret == 0)
		*ret = ctl_allowed(sw, conf, "add");
	if (*ret == 0)
		*ret = sw_port_add(sw, conf);
	free(conf);
	return *ret == 0 ? rpc_result(id, json_pack("{s:i, s:O}", "version", 1, "port",
						    json_object_get(params, "name")))
			 : NULL;
}

static json_t *ctl_port_remove(struct sw *sw, json_t *params, json_int_t id, int *ret)
{
	const char *name = json_string_value(json_object_get(params, "name"));

	const struct sw_port *p = name ? sw_port_find(sw, name) : NULL;

	*ret = p ? ctl_allowed(sw, &p->conf, "remove") : 0;
	if (*ret == 0)
		*ret = name ? sw_port_remove(sw, name)
			    : err_ret(-EINVAL, "port.remove: no name; give one");
	return *ret == 0 ? rpc_result(id, json_pack("{s:i, s:O}", "version", 1, "port",
						    json_object_get(params, "name")))
			 : NULL;
}

/* A change of the ports; what it says when it goes wrong is the answer. */
static json_t *ctl_change(struct sw *sw, json_t *params, json_int_t id,
			  json_t *(*change)(struct sw *, json_t *, json_int_t, int *))
{
	json_t *answer;
	int ret;

	sw->said.line[0] = '\0';
	answer = change(sw, params, id, &ret);
	if (ret == 0)
		return answer;
	return rpc_error(id,
			 ret == -EINVAL                       ? RPC_INVALID_PARAMS
			 : err_to_exit(ret) == FL_UNSUPPORTED ? RPC_UNSUPPORTED
							      : RPC_FAILED,
			 sw->said.line[0] ? sw->said.line : strerror(-ret));
}

/* --- info --- */
static json_t *workers_json(struct sw *sw)
{
	struct dp_worker_info info[DP_MAX_WORKERS];
	unsigned int n = dp_workers(sw->dp, info);
	json_t *list = json_array();

	for (unsigned int i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:i, s:i, s:i, s:I, s:I, s:I, s:I}", "tid",
						      info[i].tid, "cpu", info[i].cpu, "queues",
						      (int)info[i].n_queues, "rounds",
						      (json_int_t)info[i].rounds, "busy_rounds",
						      (json_int_t)info[i].busy_rounds, "sleeps",
						      (json_int_t)info[i].sleeps, "frames",
						      (json_int_t)info[i].frames));
	return list;
}

static json_t *ctl_info(struct sw *sw)
{
	return json_pack("{s:i, s:s, s:s, s:i, s:b, s:i, s:o}", "version", 1, "switch", sw->name,
			 "revision", fourlane_revision, "pid", (int)getpid(), "huge_pages",
			 sw->huge, "ports", (int)sw->n_ports, "workers", workers_json(sw));
}

/* --- ports --- */
static json_t *mac_json(const uint8_t mac[6])
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return json_string(text);
}

/* [100, "200-210"] */
static json_t *trunk_json(const struct dp_port_conf *c)
{
	json_t *list = json_array();
	char range[16];

	for (unsigned int v = 1, to; v < DP_N_VIDS; v = to + 1) {
		to = v;
		if (!(c->trunk_vlan[v / 64] & 1ull << v % 64))
			continue;
		while (to + 1 < DP_N_VIDS && c->trunk_vlan[(to + 1) / 64] & 1ull << (to + 1) % 64)
			to++;
		snprintf(range, sizeof(range), "%u-%u", v, to);
		json_array_append_new(list, to > v ? json_string(range) : json_integer(v));
	}
	return list;
}

static json_t *port_json(const struct sw_port *p)
{
	const struct dp_port_conf *c = &p->conf.dp;
	json_t *macs = json_array(), *o;

	for (unsigned int i = 0; i < c->n_macs; i++)
		json_array_append_new(macs, mac_json(c->mac[i]));
	o = json_pack("{s:s, s:s, s:i, s:b, s:o, s:i, s:i}", "name", c->name, "type", p->type->name,
		      "vlan", (int)c->vlan, "uplink", c->uplink, "macs", macs, "max_learned",
		      (int)c->max_learned, "queues", (int)c->n_pairs);
	if (o && c->trunk)
		json_object_set_new(o, "trunk", trunk_json(c));
	if (o && p->type->show)
		p->type->show(p, o);
	return o;
}

static json_t *ctl_ports(struct sw *sw)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < sw->n_ports; i++)
		json_array_append_new(list, port_json(sw->port[i]));
	return json_pack("{s:i, s:s, s:o}", "version", 1, "switch", sw->name, "ports", list);
}

/* --- stats --- */
static json_t *drops_json(const uint64_t drop[DP_N_DROPS])
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < DP_N_DROPS; i++)
		json_object_set_new(o, dp_drop_name[i], json_integer((json_int_t)drop[i]));
	return o;
}

static json_t *counters_json(const struct dp_counters *c)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "in_frames",
			 (json_int_t)c->in_frames, "in_bytes", (json_int_t)c->in_bytes,
			 "out_frames", (json_int_t)c->out_frames, "out_bytes",
			 (json_int_t)c->out_bytes, "replicated", (json_int_t)c->replicated,
			 "copied_bytes", (json_int_t)c->copied_bytes, "kicks", (json_int_t)c->kicks,
			 "calls", (json_int_t)c->calls, "bad_rings", (json_int_t)c->bad_rings,
			 "in_drops", drops_json(c->in_drop), "out_drops", drops_json(c->out_drop));
}

static void counters_add(struct dp_counters *sum, const struct dp_counters *c)
{
	sum->in_frames += c->in_frames;
	sum->out_frames += c->out_frames;
	sum->replicated += c->replicated;
	/* a drop is a drop, wherever it is counted */
	for (unsigned int i = 0; i < DP_N_DROPS; i++)
		sum->in_drop[i] += c->in_drop[i] + c->out_drop[i];
}

static json_t *totals_json(const struct dp_counters *sum)
{
	uint64_t drops = 0;

	for (unsigned int i = 0; i < DP_N_DROPS; i++)
		drops += sum->in_drop[i];
	return json_pack("{s:I, s:I, s:I, s:o, s:I, s:I}", "in_frames", (json_int_t)sum->in_frames,
			 "replicated", (json_int_t)sum->replicated, "out_frames",
			 (json_int_t)sum->out_frames, "drops", drops_json(sum->in_drop),
			 "drops_total", (json_int_t)drops, "balance",
			 (json_int_t)(sum->in_frames + sum->replicated - sum->out_frames - drops));
}

static json_t *ctl_stats(struct sw *sw)
{
	struct dp_counters *c = calloc(sw->n_ports + 1, sizeof(*c)), gone, sum = { 0 };
	struct dp_port *dp[DP_MAX_PORTS];
	json_t *list = json_array(), *o;

	if (!c) {
		json_decref(list);
		return NULL;
	}
	for (unsigned int i = 0; i < sw->n_ports; i++)
		dp[i] = sw->port[i]->dp;
	dp_counters(sw->dp, dp, c, sw->n_ports, &gone);
	for (unsigned int i = 0; i < sw->n_ports; i++) {
		o = counters_json(&c[i]);
		json_object_set_new(o, "name", json_string(sw->port[i]->conf.dp.name));
		json_object_set_new(o, "type", json_string(sw->port[i]->type->name));
		json_array_append_new(list, o);
		counters_add(&sum, &c[i]);
	}
	counters_add(&sum, &gone);
	free(c);
	return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o}", "version", 1, "switch", sw->name,
			 "workers", workers_json(sw), "ports", list, "gone", counters_json(&gone),
			 "totals", totals_json(&sum));
}

/* --- table --- */
static json_t *entries_json(struct sw *sw)
{
	struct dp_fdb_entry *e = calloc(TABLE_ENTRIES, sizeof(*e));
	json_t *list = json_array(), *o;
	unsigned int n = e ? dp_fdb_read(sw->dp, e, TABLE_ENTRIES) : 0;

	for (unsigned int i = 0; i < n && i < TABLE_ENTRIES; i++) {
		o = json_pack("{s:o, s:i, s:s, s:i, s:b}", "mac", mac_json(e[i].mac), "vlan",
			      (int)e[i].vlan, "port", e[i].port, "age_s", (int)e[i].age_s, "static",
			      e[i].is_static);
		json_array_append_new(list, o);
	}
	free(e);
	return list;
}

static json_t *ctl_table(struct sw *sw, const json_t *params, json_int_t id)
{
	const json_t *port = json_object_get(params, "port");
	const char *name = json_string_value(port);
	const struct sw_port *p = name ? sw_port_find(sw, name) : NULL;
	struct dp_fdb_info i;

	if (port && !p)
		return rpc_error(id, RPC_INVALID_PARAMS, "there is no port of that name");
	if (json_is_true(json_object_get(params, "flush")))
		dp_fdb_flush(sw->dp, p ? p->dp : NULL);
	dp_fdb_info(sw->dp, &i);
	return rpc_result(id, json_pack("{s:i, s:s, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:o}",
					"version", 1, "switch", sw->name, "n", (int)i.n, "max",
					(int)i.max, "learned", (json_int_t)i.learned, "moved",
					(json_int_t)i.moved, "aged", (json_int_t)i.aged,
					"refused_full", (json_int_t)i.refused_full, "refused_port",
					(json_int_t)i.refused_port, "entries", entries_json(sw)));
}

json_t *sw_ctl_request(void *opaque, const char *method, json_t *params, json_int_t id)
{
	struct sw *sw = opaque;

	if (!strcmp(method, "info"))
		return rpc_result(id, ctl_info(sw));
	if (!strcmp(method, "ports"))
		return rpc_result(id, ctl_ports(sw));
	if (!strcmp(method, "stats"))
		return rpc_result(id, ctl_stats(sw));
	if (!strcmp(method, "table"))
		return ctl_table(sw, params, id);
	if (!strcmp(method, "port.add"))
		return ctl_change(sw, params, id, ctl_port_add);
	if (!strcmp(method, "port.remove"))
		return ctl_change(sw, params, id, ctl_port_remove);
	return rpc_error(id, RPC_NO_METHOD,
			 "there is no such method; there are: info, ports, port.add, port.remove, "
			 "table, stats");
}
