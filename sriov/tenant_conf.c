/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tenants' file: its keys into struct tenant_file. What one value may be is looked at here,
 * what several together may be in tenant_conf_check.c. Spoof check is on and trust off where the
 * file does not say. Called by the commands; reads one file and touches nothing.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/yaml_file.h"
#include "tenant_conf.h"

#define CONF_VERSION 1
#define NUMA_MAX     1023

/* --- values of a PF's rule ------------------------------------------------ */
static int conf_match_pci(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	struct tenant_match *m = to;
	char text[32], *out = !strcmp(key, "pci") ? m->pci : m->root_port;
	int ret = tenant_yaml_text(y, key, v, text, sizeof(text));

	if (ret == 0 && iommu_bdf_parse(text, out) < 0)
		ret = tenant_yaml_bad(y, tenant_yaml_line(v),
				      "%s: '%s' is no PCI address; write it as 0000:03:00.0", key,
				      text);
	return ret;
}

static int conf_match_name(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	struct tenant_match *m = to;
	int ret = tenant_yaml_text(y, key, v, m->name, sizeof(m->name));

	if (ret == 0 && (!sriov_netdev_ok(m->name) || m->name[strcspn(m->name, " \t\n\r")]))
		ret = tenant_yaml_bad(y, tenant_yaml_line(v),
				      "name: '%s' cannot be a netdev's name; see 'fourlane nics'",
				      m->name);
	return ret;
}

static int conf_match_id(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	struct tenant_match *m = to;
	char text[16], *digits = text;
	int ret = tenant_yaml_text(y, key, v, text, sizeof(text));

	if (ret < 0)
		return ret;
	if (!strncasecmp(text, "0x", 2))
		digits += 2;
	if (!*digits || strlen(digits) > 4 || digits[strspn(digits, "0123456789abcdefABCDEF")])
		return tenant_yaml_bad(
			y, tenant_yaml_line(v),
			"%s: '%s' is no PCI number; write four hexadecimal digits, as 0x8086", key,
			text);
	*(!strcmp(key, "vendor") ? &m->vendor : &m->device) = (int)strtol(digits, NULL, 16);
	return 0;
}

static int conf_numa(struct tenant_yaml *y, const char *key, yaml_node_t *v, int *out)
{
	unsigned int n = 0;
	int ret = tenant_yaml_number(y, key, v, 0, NUMA_MAX, &n);

	*out = (int)n;
	return ret;
}

static int conf_match_numa(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	return conf_numa(y, key, v, &((struct tenant_match *)to)->numa);
}

static int conf_rule_match(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	static const struct tenant_yaml_key keys[] = {
		{ "pci", conf_match_pci },
		{ "name", conf_match_name },
		{ "vendor", conf_match_id },
		{ "device", conf_match_id },
		{ "numa", conf_match_numa },
		{ "root_port", conf_match_pci },
		{ 0 },
	};
	struct tenant_pf_rule *r = to;
	int ret = tenant_yaml_map(y, v, "match", keys, &r->match);

	if (ret == 0 && v->data.mapping.pairs.start == v->data.mapping.pairs.top)
		ret = tenant_yaml_bad(y, tenant_yaml_line(v),
				      "match is empty; write pci, name, vendor, device, numa or "
				      "root_port");
	return ret;
}

static int conf_rule_vfs(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	return tenant_yaml_number(y, key, v, 0, SRIOV_MAX_VFS, &((struct tenant_pf_rule *)to)->vfs);
}

static int conf_rule_keep(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	return tenant_yaml_number(y, key, v, 0, SRIOV_MAX_VFS,
				  &((struct tenant_pf_rule *)to)->keep);
}

static int conf_rule(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	static const struct tenant_yaml_key keys[] = {
		{ "match", conf_rule_match },
		{ "vfs", conf_rule_vfs },
		{ "keep", conf_rule_keep },
		{ 0 },
	};
	struct tenant_pf_rule rule = { .vfs = SRIOV_UNKNOWN, .line = tenant_yaml_line(v) }, *grown;
	struct tenant_file *f = ((struct tenant_conf *)to)->f;
	int ret;

	rule.match = (struct tenant_match){ .vendor = TENANT_ANY,
					    .device = TENANT_ANY,
					    .numa = TENANT_ANY };
	ret = tenant_yaml_map(y, v, "an entry of pfs", keys, &rule);
	if (ret < 0)
		return ret;
	if (f->n_rules == TENANT_MAX_RULES)
		return tenant_yaml_bad(y, rule.line, "more than %d entries in pfs; write fewer",
				       TENANT_MAX_RULES);
	grown = realloc(f->rules, (f->n_rules + 1) * sizeof(*grown));
	if (!grown)
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", y->file);
	f->rules = grown;
	f->rules[f->n_rules++] = rule;
	return tenant_conf_check_rule(y, f, &f->rules[f->n_rules - 1]);
}

static int conf_pfs(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	if (v->type == YAML_SEQUENCE_NODE &&
	    v->data.sequence.items.start == v->data.sequence.items.top)
		return tenant_yaml_bad(y, y->line,
				       "pfs is empty; name a PF, or leave pfs out for all of them");
	return tenant_yaml_items(y, v, "pfs", conf_rule, to);
}

/* --- values of a tenant --------------------------------------------------- */
static int conf_vfs(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	return tenant_yaml_number(y, key, v, 1, SRIOV_MAX_VFS, &((struct tenant_want *)to)->vfs);
}

/* Settings have the words of `fourlane vf set`; booleans have YAML's besides. */
static int conf_setting(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	struct tenant_want *w = to;
	char text[32], why[160];
	bool on;
	int ret = tenant_yaml_text(y, key, v, text, sizeof(text));

	if (ret < 0)
		return ret;
	if (text[0] == '0' && isdigit((unsigned char)text[1]))
		return tenant_yaml_bad(y, tenant_yaml_line(v),
				       "%s: '%s' starts with 0, which YAML takes as octal; leave "
				       "the 0 out",
				       key, text);
	if ((!strcmp(key, "spoof_check") || !strcmp(key, "trust") || !strcmp(key, "link")) &&
	    tenant_yaml_is_bool(text, &on))
		strcpy(text, on ? "on" : "off");
	if (!strcmp(key, "vlan") || !strcmp(key, "qos") || !strcmp(key, "proto"))
		w->at.vlan = y->line;
	if (!strcmp(key, "max_tx_mbit") || !strcmp(key, "min_tx_mbit"))
		w->at.rate = y->line;
	if (vf_request_parse(&w->set, key, text, why, sizeof(why)) < 0)
		return tenant_yaml_bad(y, tenant_yaml_line(v), "%s: %s", key, why);
	return 0;
}

static int conf_one_mac(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	struct tenant_want *w = to;
	uint8_t(*grown)[6], mac[6] = { 0 };
	char text[32];
	int ret = tenant_yaml_text(y, key, v, text, sizeof(text));

	if (ret < 0)
		return ret;
	if (strlen(text) == 17 && strspn(text, "0123456789abcdefABCDEF:") == 17 &&
	    strtoul((char[]){ text[1], '\0' }, NULL, 16) & 1)
		return tenant_yaml_bad(
			y, tenant_yaml_line(v),
			"mac: %s is a multicast address; write a unicast one (second digit even)",
			text);
	if (vf_mac_parse(text, mac) < 0)
		return tenant_yaml_bad(
			y, tenant_yaml_line(v),
			"mac: '%s' is no MAC address; write auto or aa:bb:cc:dd:ee:ff", text);
	if (!memcmp(mac, (uint8_t[6]){ 0 }, 6))
		return tenant_yaml_bad(y, tenant_yaml_line(v),
				       "mac: an address of zeros is none; write another or auto");
	grown = realloc(w->macs, (w->n_macs + 1) * sizeof(*grown));
	if (!grown)
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", y->file);
	w->macs = grown;
	memcpy(w->macs[w->n_macs++], mac, 6);
	w->mac_auto = false;
	return 0;
}

static int conf_mac(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	struct tenant_want *w = to;

	w->at.mac = y->line;
	if (v->type == YAML_SCALAR_NODE && v->data.scalar.length == 4 &&
	    !memcmp(v->data.scalar.value, "auto", 4))
		return 0;
	if (v->type == YAML_SCALAR_NODE)
		return conf_one_mac(y, w, key, v);
	if (v->type == YAML_SEQUENCE_NODE &&
	    v->data.sequence.items.start == v->data.sequence.items.top)
		return tenant_yaml_bad(y, tenant_yaml_line(v),
				       "mac: the list is empty; write auto or an address a VF");
	return tenant_yaml_items(y, v, key, conf_one_mac, w);
}

static int conf_tenant_numa(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	return conf_numa(y, key, v, &((struct tenant_want *)to)->numa);
}

static int conf_driver(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	struct tenant_want *w = to;
	int ret = tenant_yaml_text(y, key, v, w->driver, sizeof(w->driver));

	if (ret == 0 && !tenant_conf_driver_ok(w->driver))
		ret = tenant_yaml_bad(
			y, tenant_yaml_line(v),
			"driver: '%s' cannot be a driver's name; write vfio-pci, a driver or none",
			w->driver);
	return ret;
}

static int conf_spread(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	return tenant_yaml_bool(y, key, v, &((struct tenant_want *)to)->spread);
}

static int conf_exclusive(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	return tenant_yaml_bool(y, key, v, &((struct tenant_want *)to)->exclusive);
}

static int conf_tenant(struct tenant_yaml *y, void *to, const char *name, yaml_node_t *v)
{
	static const struct tenant_yaml_key keys[] = {
		{ "vfs", conf_vfs },
		{ "vlan", conf_setting },
		{ "qos", conf_setting },
		{ "proto", conf_setting },
		{ "mac", conf_mac },
		{ "max_tx_mbit", conf_setting },
		{ "min_tx_mbit", conf_setting },
		{ "spoof_check", conf_setting },
		{ "trust", conf_setting },
		{ "link", conf_setting },
		{ "numa", conf_tenant_numa },
		{ "driver", conf_driver },
		{ "spread", conf_spread },
		{ "exclusive", conf_exclusive },
		{ 0 },
	};
	struct tenant_file *f = ((struct tenant_conf *)to)->f;
	unsigned int line = y->line;
	struct tenant_want *grown, *w;
	char what[TENANT_NAME_SIZE + 16];
	int ret;

	if (!tenant_conf_name_ok(name))
		return tenant_yaml_bad(y, line,
				       "'%s' cannot be a tenant's name; write letters, digits, "
				       "'.', '_' and '-', a letter or digit first",
				       name);
	if (f->n_tenants == TENANT_MAX_TENANTS)
		return tenant_yaml_bad(y, line, "more than %d tenants; write fewer",
				       TENANT_MAX_TENANTS);
	grown = realloc(f->tenants, (f->n_tenants + 1) * sizeof(*grown));
	if (!grown)
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", y->file);
	f->tenants = grown;
	w = &f->tenants[f->n_tenants++];
	tenant_conf_defaults(w);
	strcpy(w->name, name);
	w->line = line;
	snprintf(what, sizeof(what), "tenant %s", name);
	ret = tenant_yaml_map(y, v, what, keys, w);
	return ret < 0 ? ret : tenant_conf_check_tenant(y, w);
}

static int conf_tenants(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	((struct tenant_conf *)to)->has_tenants = true;
	return tenant_yaml_each(y, v, "tenants", conf_tenant, to);
}

static int conf_version(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *v)
{
	char text[16];
	int ret = tenant_yaml_text(y, key, v, text, sizeof(text));

	((struct tenant_conf *)to)->has_version = true;
	if (ret == 0 && strcmp(text, "1"))
		ret = tenant_yaml_bad(y, tenant_yaml_line(v),
				      "version: '%s' is not known here; write %d", text,
				      CONF_VERSION);
	return ret;
}

/* --- the file ------------------------------------------------------------- */
static int conf_root(struct tenant_yaml *y, yaml_node_t *root, struct tenant_conf *c)
{
	static const struct tenant_yaml_key keys[] = {
		{ "version", conf_version },
		{ "pfs", conf_pfs },
		{ "tenants", conf_tenants },
		{ 0 },
	};
	int ret;

	if (!root)
		return tenant_yaml_bad(y, 1, "the file is empty; write version: 1 and tenants:");
	ret = tenant_yaml_map(y, root, "the file", keys, c);
	if (ret == 0 && !c->has_version)
		ret = tenant_yaml_bad(y, 1, "version is missing; write version: %d", CONF_VERSION);
	if (ret == 0 && !c->has_tenants)
		ret = tenant_yaml_bad(y, 1,
				      "tenants is missing; write tenants: {} when there are none");
	return ret < 0 ? ret : tenant_conf_check(y, c->f);
}

int tenant_file_parse(const char *name, const char *text, size_t len, struct tenant_file **out)
{
	struct tenant_conf c = { .f = calloc(1, sizeof(*c.f)) };
	struct tenant_yaml y;
	yaml_node_t *root;
	int ret;

	*out = NULL;
	if (!c.f)
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", name);
	if (!realpath(name, c.f->path))
		snprintf(c.f->path, sizeof(c.f->path), "%s", name);
	ret = tenant_yaml_open(&y, name, text, len, &root);
	if (ret == 0)
		ret = conf_root(&y, root, &c);
	tenant_yaml_close(&y);
	if (ret < 0)
		tenant_file_free(c.f);
	else
		*out = c.f;
	return ret;
}

int tenant_file_load(const char *path, struct tenant_file **out)
{
	char *text;
	size_t len;
	int ret;

	*out = NULL;
	ret = yaml_file_text(path, &text, &len);
	if (ret == 0)
		ret = tenant_file_parse(path, text, len, out);
	free(text);
	return ret;
}

void tenant_file_free(struct tenant_file *f)
{
	for (size_t i = 0; f && i < f->n_tenants; i++)
		free(f->tenants[i].macs);
	if (f) {
		free(f->rules);
		free(f->tenants);
	}
	free(f);
}
