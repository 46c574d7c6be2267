/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See sw_conf.h. core/yaml_file.h reads the file's shape; every value comes as text and is checked
 * here, so that a file and a request are refused in the same words.
 */
#include "vswitch/sw_conf.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/rpc.h"
#include "core/yaml_file.h"

#define WHAT_BYTES    256 /* of the file's name in messages */
#define MAX_VID       4094
#define MAX_PAIRS     (VHOST_MAX_RINGS / 2)
#define GUEST_LEARNS  64
#define UPLINK_LEARNS 65536

static_assert(DP_NAME_MAX == RPC_PORT_NAME_BYTES, "front-ends refuse what we would refuse");

REGISTRY(fl_port_types, struct sw_port_type);

/* A port as it was written. NULL: not there. */
struct port_words {
	char *name, *type, *socket, *role, *device, *ifname, *guest;
	char *vlan, *max_learned, *queues, *queue_size, *uplink, *software;
	char **trunk, **macs;
	unsigned int trunk_count, macs_count;
};

struct fdb_words {
	char *entries, *age_s;
};

struct switch_words {
	char *name, *workers, *huge, *memory_mb;
	char **cpus;
	unsigned int cpus_count;
	struct fdb_words fdb;
	struct port_words *ports;
	unsigned int ports_count;
};

/* --- single values --- */
/* `what` is "port vm1", "FILE: port vm1", "the switch" or "FILE"; NULL text leaves *out alone. */
static int take_number(const char *what, const char *key, const char *text, unsigned long min,
		       unsigned long max, unsigned int *out)
{
	unsigned long v;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*text) || v < min || v > max)
		return err_ret(-EINVAL, "%s: %s: '%s' is no number from %lu to %lu; give one", what,
			       key, text, min, max);
	*out = (unsigned int)v;
	return 0;
}

static int take_bool(const char *what, const char *key, const char *text, bool *out)
{
	static const char *const yes[] = { "true", "on", "yes", "1" }, *const no[] = { "false",
										       "off", "no",
										       "0" };

	if (!text)
		return 0;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
			*out = !strcmp(text, yes[i]);
			return 0;
		}
	return err_ret(-EINVAL, "%s: %s: '%s' is neither true nor false; give one of them", what,
		       key, text);
}

static int take_text(const char *what, const char *key, const char *text, char *out, size_t size)
{
	if (!text)
		return 0;
	if (!*text)
		return err_ret(-EINVAL, "%s: %s: it is empty; give one, or leave %s out", what, key,
			       key);
	if (strlen(text) >= size)
		return err_ret(-EINVAL, "%s: %s: longer than %zu bytes; give a shorter one", what,
			       key, size - 1);
	strcpy(out, text);
	return 0;
}

static int take_mac(const char *what, const char *text, uint8_t mac[6])
{
	static const uint8_t none[6];
	bool ok = strlen(text) == 17;

	for (unsigned int i = 0; i < 17 && ok; i++)
		ok = i % 3 == 2 ? text[i] == ':' : isxdigit((unsigned char)text[i]);
	if (!ok)
		return err_ret(-EINVAL, "%s: macs: '%s' is no address; write 52:54:00:00:00:01",
			       what, text);
	for (unsigned int i = 0; i < 6; i++)
		mac[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
	if (mac[0] & 1 || !memcmp(mac, none, 6))
		return err_ret(-EINVAL, "%s: macs: '%s' is no unicast address; give a NIC's", what,
			       text);
	return 0;
}

/* One VLAN or a range of them, "200-210". */
static int take_vlans(const char *what, const char *text, uint64_t set[DP_N_VIDS / 64])
{
	char copy[16], *dash;
	unsigned int from = 0, to;
	int ret;

	if (strlen(text) >= sizeof(copy))
		return err_ret(-EINVAL, "%s: trunk: '%s' is no VLAN; give 1 to %d", what, text,
			       MAX_VID);
	strcpy(copy, text);
	dash = strchr(copy, '-');
	if (dash)
		*dash = '\0';
	ret = take_number(what, "trunk", copy, 1, MAX_VID, &from);
	to = from;
	if (ret == 0 && dash)
		ret = take_number(what, "trunk", dash + 1, 1, MAX_VID, &to);
	if (ret < 0)
		return ret;
	if (to < from)
		return err_ret(-EINVAL, "%s: trunk: '%s' ends before it begins; turn it round",
			       what, text);
	for (unsigned int v = from; v <= to; v++)
		set[v / 64] |= 1ull << v % 64;
	return 0;
}

/* --- a port --- */
static const struct sw_port_type *port_type(const char *name)
{
	const struct sw_port_type *const *it;

	REGISTRY_FOREACH(fl_port_types, it)
		if (!strcmp((*it)->name, name))
			return *it;
	return NULL;
}

static int port_take_type(const char *what, const struct port_words *w, struct sw_port_conf *c)
{
	if (!w->type || !port_type(w->type))
		return err_ret(-EINVAL,
			       "%s: type: '%s' is none; there are vhost-user, eth, tap and vmdq",
			       what, w->type ? w->type : "");
	snprintf(c->type, sizeof(c->type), "%s", w->type);
	c->dp.kind = !strcmp(w->type, "vhost-user") ? DP_GUEST
		     : !strcmp(w->type, "vmdq")     ? DP_POOL
						    : DP_ETH;
	c->dp.uplink = c->dp.kind == DP_ETH;
	c->dp.max_learned = c->dp.kind == DP_GUEST ? GUEST_LEARNS : UPLINK_LEARNS;
	return 0;
}

/* Keys that another type has: given here they would do nothing. */
static int port_foreign_keys(const char *what, const struct port_words *w,
			     const struct sw_port_conf *c)
{
	const struct {
		const char *key;
		const char *text;
		bool ok;
	} key[] = {
		{ "socket", w->socket, c->dp.kind == DP_GUEST },
		{ "role", w->role, c->dp.kind == DP_GUEST },
		{ "device", w->device, !strcmp(c->type, "eth") || c->dp.kind == DP_POOL },
		{ "ifname", w->ifname, !strcmp(c->type, "tap") },
		{ "guest", w->guest, c->dp.kind == DP_POOL },
		{ "software", w->software, c->dp.kind == DP_POOL },
		{ "queues", w->queues, c->dp.kind == DP_GUEST || !strcmp(c->type, "eth") },
		{ "queue_size", w->queue_size, c->dp.kind != DP_GUEST },
		{ "uplink", w->uplink, c->dp.kind == DP_ETH },
	};

	for (size_t i = 0; i < sizeof(key) / sizeof(key[0]); i++)
		if (key[i].text && !key[i].ok)
			return err_ret(-EINVAL,
				       "%s: %s: a port of type %s has no such key; leave it out",
				       what, key[i].key, c->type);
	return 0;
}

static int port_take_vlans(const char *what, const struct port_words *w, struct sw_port_conf *c)
{
	unsigned int vlan = 0;
	int ret = take_number(what, "vlan", w->vlan, 0, MAX_VID, &vlan);

	c->dp.vlan = (uint16_t)vlan;
	c->dp.trunk = w->trunk;
	/* a trunk of nothing would be a port without a VLAN, in the midst of all such ports */
	if (ret == 0 && c->dp.trunk && !w->trunk_count)
		ret = err_ret(-EINVAL, "%s: trunk: it is empty; give VLANs, or leave trunk out",
			      what);
	if (ret == 0 && c->dp.trunk && c->dp.kind == DP_POOL)
		ret = err_ret(-EINVAL, "%s: trunk: a pool is of one VLAN; give vlan", what);
	for (unsigned int i = 0; i < w->trunk_count && ret == 0; i++)
		ret = take_vlans(what, w->trunk[i] ? w->trunk[i] : "", c->dp.trunk_vlan);
	if (ret == 0 && c->dp.trunk && vlan)
		c->dp.trunk_vlan[vlan / 64] |= 1ull << vlan % 64;
	return ret;
}

static int port_take_macs(const char *what, const struct port_words *w, struct sw_port_conf *c)
{
	int ret = 0;

	if (w->macs && !w->macs_count)
		return err_ret(-EINVAL, "%s: macs: it is empty; give an address, or leave macs out",
			       what);
	if (w->macs_count > DP_MAX_MACS)
		return err_ret(-EINVAL, "%s: macs: more than %d; give fewer", what, DP_MAX_MACS);
	for (unsigned int i = 0; i < w->macs_count && ret == 0; i++) {
		ret = take_mac(what, w->macs[i] ? w->macs[i] : "", c->dp.mac[i]);
		for (unsigned int k = 0; k < i && ret == 0; k++)
			if (!memcmp(c->dp.mac[i], c->dp.mac[k], 6))
				ret = err_ret(-EINVAL, "%s: macs: '%s' stands twice; leave one out",
					      what, w->macs[i]);
	}
	c->dp.n_macs = w->macs_count;
	return ret;
}

static int port_take_numbers(const char *what, const struct port_words *w, struct sw_port_conf *c)
{
	unsigned int queue_size = 0;
	int ret;

	c->dp.n_pairs = 1;
	if ((ret = take_number(what, "queues", w->queues, 1, MAX_PAIRS, &c->dp.n_pairs)) < 0 ||
	    (ret = take_number(what, "max_learned", w->max_learned, 1, 1 << 20,
			       &c->dp.max_learned)) < 0 ||
	    (ret = take_number(what, "queue_size", w->queue_size, 32, 8192, &queue_size)) < 0 ||
	    (ret = take_bool(what, "uplink", w->uplink, &c->dp.uplink)) < 0)
		return ret;
	c->queue_size = (uint16_t)queue_size;
	return take_bool(what, "software", w->software, &c->software);
}

static int port_take_texts(const char *what, const struct port_words *w, struct sw_port_conf *c)
{
	int ret;

	if ((ret = take_text(what, "socket", w->socket, c->socket, sizeof(c->socket))) < 0 ||
	    (ret = take_text(what, "device", w->device, c->device, sizeof(c->device))) < 0 ||
	    (ret = take_text(what, "ifname", w->ifname, c->ifname, sizeof(c->ifname))) < 0 ||
	    (ret = take_text(what, "guest", w->guest, c->guest, sizeof(c->guest))) < 0)
		return ret;
	if (w->socket && *w->socket != '/')
		return err_ret(-EINVAL,
			       "%s: socket: '%s' is no whole path; begin with '/': the switch may "
			       "run in any folder",
			       what, w->socket);
	if (w->role && strcmp(w->role, "client") && strcmp(w->role, "server"))
		return err_ret(-EINVAL, "%s: role: '%s' is neither server nor client; give one",
			       what, w->role);
	c->client = w->role && !strcmp(w->role, "client");
	if (c->client && !w->socket)
		return err_ret(-EINVAL, "%s: role: a client needs the guest's socket; give socket",
			       what);
	return 0;
}

/* `file`: "FILE: " or "". */
static int port_check(const char *file, const struct port_words *w, struct sw_port_conf *c)
{
	char what[WHAT_BYTES + 48];
	int ret;

	memset(c, 0, sizeof(*c));
	if (!w->name || !rpc_name_ok(w->name) || strlen(w->name) >= DP_NAME_MAX)
		return err_ret(-EINVAL,
			       "%sport '%s': no name for a port; use 1 to 31 letters, digits, '_', "
			       "'-' or '.'",
			       file, w->name ? w->name : "");
	if (!strcmp(w->name, "control") || !strcmp(w->name, "lock"))
		return err_ret(-EINVAL,
			       "%sport %s: the switch's own files are called so; give another name",
			       file, w->name);
	strcpy(c->dp.name, w->name);
	snprintf(what, sizeof(what), "%sport %s", file, w->name);
	if ((ret = port_take_type(what, w, c)) < 0 || (ret = port_foreign_keys(what, w, c)) < 0 ||
	    (ret = port_take_vlans(what, w, c)) < 0 || (ret = port_take_macs(what, w, c)) < 0 ||
	    (ret = port_take_numbers(what, w, c)) < 0)
		return ret;
	return port_take_texts(what, w, c);
}

/* --- from JSON --- */
static char *json_text(const json_t *v)
{
	char buf[32];

	if (json_is_string(v))
		return strdup(json_string_value(v));
	if (json_is_boolean(v))
		return strdup(json_is_true(v) ? "true" : "false");
	if (!json_is_integer(v))
		return NULL;
	snprintf(buf, sizeof(buf), "%lld", (long long)json_integer_value(v));
	return strdup(buf);
}

static int json_list(const json_t *v, char ***list, unsigned int *n)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > DP_N_VIDS)
		return -EINVAL;
	*list = calloc(json_array_size(v) + 1, sizeof(**list));
	if (!*list)
		return -ENOMEM;
	json_array_foreach(v, i, item) {
		(*list)[i] = json_text(item);
		if (!(*list)[i])
			return -EINVAL;
		*n = (unsigned int)i + 1;
	}
	return 0;
}

static void words_free_list(char **list, unsigned int n)
{
	for (unsigned int i = 0; list && i < n; i++)
		free(list[i]);
	free(list);
}

int sw_port_conf_from_json(const json_t *o, struct sw_port_conf *c)
{
	struct port_words w = { 0 };
	const struct {
		const char *key;
		char **text;
	} field[] = {
		{ "name", &w.name },
		{ "type", &w.type },
		{ "socket", &w.socket },
		{ "role", &w.role },
		{ "device", &w.device },
		{ "ifname", &w.ifname },
		{ "guest", &w.guest },
		{ "vlan", &w.vlan },
		{ "max_learned", &w.max_learned },
		{ "queues", &w.queues },
		{ "queue_size", &w.queue_size },
		{ "uplink", &w.uplink },
		{ "software", &w.software },
	};
	const size_t n_fields = sizeof(field) / sizeof(field[0]);
	const char *key;
	json_t *v;
	int ret =
		json_is_object(o) ? 0 : err_ret(-EINVAL, "a port: no parameters; give name, type");

	json_object_foreach((json_t *)o, key, v) {
		size_t i = 0;

		while (i < n_fields && strcmp(field[i].key, key))
			i++;
		if (i < n_fields)
			ret = (*field[i].text = json_text(v)) ? ret : -EINVAL;
		else if (!strcmp(key, "trunk"))
			ret = json_list(v, &w.trunk, &w.trunk_count);
		else if (!strcmp(key, "macs"))
			ret = json_list(v, &w.macs, &w.macs_count);
		else
			ret = -EINVAL;
		if (ret < 0) {
			err_say("a port: %s: %s; see 'fourlane help switch'", key,
				i < n_fields ? "it is of the wrong kind" : "it is not understood");
			break;
		}
	}
	if (ret == 0)
		ret = port_check("", &w, c);
	for (size_t i = 0; i < n_fields; i++)
		free(*field[i].text);
	words_free_list(w.trunk, w.trunk_count);
	words_free_list(w.macs, w.macs_count);
	return ret;
}

/* --- the switch --- */
void sw_conf_default(struct sw_conf *c)
{
	*c = (struct sw_conf){
		.name = "default", .memory_mb = 64, .fdb_entries = 8192, .fdb_age_s = 300
	};
}

void sw_conf_free(struct sw_conf *c)
{
	free(c->port);
	c->port = NULL;
	c->n_ports = 0;
}

static int take_name(const char *what, struct sw_conf *c, const char *name)
{
	if (name && (!rpc_name_ok(name) || strlen(name) >= sizeof(c->name)))
		return err_ret(-EINVAL,
			       "%s: name: '%s' is none for a switch; use 1 to 31 letters, digits, "
			       "'_', '-' or '.'",
			       what, name);
	if (name)
		strcpy(c->name, name);
	return 0;
}

static int take_workers(const char *what, struct sw_conf *c, const char *n)
{
	return take_number(what, "workers", n, 1, DP_MAX_WORKERS, &c->n_workers);
}

static int take_memory(const char *what, struct sw_conf *c, const char *mb)
{
	return take_number(what, "memory_mb", mb, 16, 65536, &c->memory_mb);
}

static int take_cpus(const char *what, struct sw_conf *c, char *const *cpu, unsigned int n)
{
	unsigned int v = 0;
	int ret = 0;

	if (n > DP_MAX_WORKERS)
		return err_ret(-EINVAL, "%s: cpus: more than %d; give one a worker", what,
			       DP_MAX_WORKERS);
	for (unsigned int i = 0; i < n && ret == 0; i++) {
		ret = take_number(what, "cpus", cpu[i] ? cpu[i] : "", 0, 1023, &v);
		c->cpu[i] = (int)v;
		for (unsigned int k = 0; k < i && ret == 0; k++)
			if (c->cpu[k] == c->cpu[i])
				ret = err_ret(-EINVAL,
					      "%s: cpus: %u stands twice; give one a worker", what,
					      v);
	}
	if (n)
		c->n_cpus = n;
	return ret;
}

static int take_huge(const char *what, struct sw_conf *c, const char *word)
{
	static const char *const words[] = { "auto", "on", "off" };

	for (unsigned int i = 0; word && i < 3; i++)
		if (!strcmp(word, words[i])) {
			c->huge = (enum sw_huge)i;
			return 0;
		}
	return word ? err_ret(-EINVAL, "%s: huge: '%s' is none of auto, on and off; give one", what,
			      word)
		    : 0;
}

int sw_conf_set_name(struct sw_conf *c, const char *name)
{
	return take_name("the switch", c, name);
}

int sw_conf_set_workers(struct sw_conf *c, const char *n)
{
	return take_workers("the switch", c, n);
}

int sw_conf_set_memory(struct sw_conf *c, const char *mb)
{
	return take_memory("the switch", c, mb);
}

int sw_conf_set_cpus(struct sw_conf *c, char *const *cpu, unsigned int n)
{
	return take_cpus("the switch", c, cpu, n);
}

int sw_conf_set_huge(struct sw_conf *c, const char *word)
{
	return take_huge("the switch", c, word);
}

int sw_conf_check(struct sw_conf *c)
{
	if (!c->n_workers)
		c->n_workers = c->n_cpus ? c->n_cpus : 1;
	if (c->n_cpus && c->n_cpus != c->n_workers)
		return err_ret(-EINVAL,
			       "the switch: cpus: %u of them for %u workers; give one a worker",
			       c->n_cpus, c->n_workers);
	return 0;
}

static bool ports_share_vlan(const struct dp_port_conf *a, const struct dp_port_conf *b)
{
	uint64_t both = 0;

	if (!a->trunk && !b->trunk)
		return a->vlan == b->vlan;
	if (!a->trunk)
		return b->trunk_vlan[a->vlan / 64] >> a->vlan % 64 & 1;
	if (!b->trunk)
		return a->trunk_vlan[b->vlan / 64] >> b->vlan % 64 & 1;
	for (unsigned int i = 0; i < DP_N_VIDS / 64; i++)
		both |= a->trunk_vlan[i] & b->trunk_vlan[i];
	return both;
}

/* Two guests cannot own one address where they can meet. */
static bool ports_share_mac(const struct dp_port_conf *a, const struct dp_port_conf *b)
{
	bool same = false;

	if (a->kind != DP_GUEST || b->kind != DP_GUEST)
		return false;
	for (unsigned int i = 0; i < a->n_macs; i++)
		for (unsigned int k = 0; k < b->n_macs; k++)
			same |= !memcmp(a->mac[i], b->mac[k], 6);
	return same && ports_share_vlan(a, b);
}

/* `a` stands before `b` in the file. */
static int conf_check_pair(const char *prefix, const struct dp_port_conf *a,
			   const struct dp_port_conf *b)
{
	if (!strcmp(a->name, b->name))
		return err_ret(-EINVAL, "%sport %s: there are two of that name; rename one", prefix,
			       b->name);
	if (ports_share_mac(a, b))
		return err_ret(-EINVAL,
			       "%sport %s: macs: port %s has one of them in the same VLAN; change "
			       "one",
			       prefix, b->name, a->name);
	return 0;
}

static int conf_take_ports(const char *file, const struct switch_words *w, struct sw_conf *c)
{
	char prefix[WHAT_BYTES];
	int ret = 0;

	if (w->ports_count > DP_MAX_PORTS)
		return err_ret(-EINVAL, "%s: ports: %u, at most %d; use two switches", file,
			       w->ports_count, DP_MAX_PORTS);
	c->port = calloc(w->ports_count + 1, sizeof(*c->port));
	if (!c->port)
		return -ENOMEM;
	snprintf(prefix, sizeof(prefix), "%.*s: ", WHAT_BYTES - 3, file);
	for (unsigned int i = 0; i < w->ports_count && ret == 0; i++) {
		ret = port_check(prefix, &w->ports[i], &c->port[i]);
		for (unsigned int k = 0; k < i && ret == 0; k++)
			ret = conf_check_pair(prefix, &c->port[k].dp, &c->port[i].dp);
		c->n_ports = i + 1;
	}
	return ret;
}

static int conf_take(const char *file, const struct switch_words *w, struct sw_conf *c)
{
	int ret;

	if ((ret = take_name(file, c, w->name)) < 0 ||
	    (ret = take_workers(file, c, w->workers)) < 0 ||
	    (ret = take_cpus(file, c, w->cpus, w->cpus_count)) < 0 ||
	    (ret = take_huge(file, c, w->huge)) < 0 ||
	    (ret = take_memory(file, c, w->memory_mb)) < 0 ||
	    (ret = take_number(file, "fdb.entries", w->fdb.entries, 64, 1 << 24, &c->fdb_entries)) <
		    0 ||
	    (ret = take_number(file, "fdb.age_s", w->fdb.age_s, 1, 1 << 24, &c->fdb_age_s)) < 0)
		return ret;
	return conf_take_ports(file, w, c);
}

/* --- the file's shape --- */
#define WORD(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 0, \
			       CYAML_UNLIMITED)

static const cyaml_schema_value_t word_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

static const cyaml_schema_field_t port_fields[] = {
	WORD("name", struct port_words, name),
	WORD("type", struct port_words, type),
	WORD("socket", struct port_words, socket),
	WORD("role", struct port_words, role),
	WORD("device", struct port_words, device),
	WORD("ifname", struct port_words, ifname),
	WORD("guest", struct port_words, guest),
	WORD("vlan", struct port_words, vlan),
	WORD("max_learned", struct port_words, max_learned),
	WORD("queues", struct port_words, queues),
	WORD("queue_size", struct port_words, queue_size),
	WORD("uplink", struct port_words, uplink),
	WORD("software", struct port_words, software),
	CYAML_FIELD_SEQUENCE("trunk", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct port_words,
			     trunk, &word_schema, 1, DP_N_VIDS),
	CYAML_FIELD_SEQUENCE("macs", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct port_words,
			     macs, &word_schema, 1, CYAML_UNLIMITED),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t port_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct port_words, port_fields),
};

static const cyaml_schema_field_t fdb_fields[] = { WORD("entries", struct fdb_words, entries),
						   WORD("age_s", struct fdb_words, age_s),
						   CYAML_FIELD_END };

static const cyaml_schema_field_t switch_fields[] = {
	WORD("name", struct switch_words, name),
	WORD("workers", struct switch_words, workers),
	WORD("huge", struct switch_words, huge),
	WORD("memory_mb", struct switch_words, memory_mb),
	CYAML_FIELD_SEQUENCE("cpus", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct switch_words,
			     cpus, &word_schema, 1, CYAML_UNLIMITED),
	CYAML_FIELD_MAPPING("fdb", CYAML_FLAG_OPTIONAL, struct switch_words, fdb, fdb_fields),
	CYAML_FIELD_SEQUENCE("ports", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct switch_words,
			     ports, &port_schema, 0, CYAML_UNLIMITED),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t switch_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct switch_words, switch_fields),
};

int sw_conf_load(const char *file, struct sw_conf *c)
{
	void *data;
	int ret = yaml_file_load(file, &switch_schema, NULL, &data);

	if (ret == 0 && data) /* an empty file says nothing */
		ret = conf_take(file, data, c);
	yaml_file_free(&switch_schema, data);
	return ret;
}
