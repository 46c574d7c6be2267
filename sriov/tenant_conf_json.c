/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wanted as JSON and back: the form in which the store keeps it for the next boot. Settings
 * stand as the words of the file, and what comes back is looked at like a file, because a database
 * can be broken or written by somebody else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_ether.h>

#include "tenant_conf.h"

/* --- to ------------------------------------------------------------------- */
static json_t *json_request(const struct vf_request *r)
{
	static const char *const link[] = { "auto", "on", "off" };
	json_t *o = json_object();

	if (r->has_vlan)
		json_object_set_new(o, "vlan", json_sprintf("%u", r->to.vlan));
	if (r->has_qos)
		json_object_set_new(o, "qos", json_sprintf("%u", r->to.qos));
	if (r->has_proto)
		json_object_set_new(
			o, "proto",
			json_string(r->to.proto == ETH_P_8021AD ? "802.1ad" : "802.1Q"));
	if (r->has_max)
		json_object_set_new(o, "max_tx_mbit", json_sprintf("%u", r->to.max_tx_mbit));
	if (r->has_min)
		json_object_set_new(o, "min_tx_mbit", json_sprintf("%u", r->to.min_tx_mbit));
	if (r->has_spoof)
		json_object_set_new(o, "spoof_check",
				    json_string(r->to.spoof_check ? "on" : "off"));
	if (r->has_trust)
		json_object_set_new(o, "trust", json_string(r->to.trust ? "on" : "off"));
	if (r->has_link)
		json_object_set_new(o, "link", json_string(link[r->to.link % 3]));
	return o;
}

static json_t *json_want(const struct tenant_want *w)
{
	json_t *macs = json_array();
	char text[18];

	for (unsigned int i = 0; i < w->n_macs; i++) {
		vf_mac_text(w->macs[i], text);
		json_array_append_new(macs, json_string(text));
	}
	return json_pack("{s:s, s:I, s:I, s:o, s:o, s:i, s:s, s:b, s:b}", "name", w->name, "vfs",
			 (json_int_t)w->vfs, "line", (json_int_t)w->line, "set",
			 json_request(&w->set), "macs", macs, "numa", w->numa, "driver", w->driver,
			 "spread", w->spread, "exclusive", w->exclusive);
}

static json_t *json_rule(const struct tenant_pf_rule *r)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:I}", "pci", r->match.pci,
			 "name", r->match.name, "root_port", r->match.root_port, "vendor",
			 r->match.vendor, "device", r->match.device, "numa", r->match.numa, "vfs",
			 r->vfs == SRIOV_UNKNOWN ? (json_int_t)-1 : (json_int_t)r->vfs, "keep",
			 (json_int_t)r->keep, "line", (json_int_t)r->line);
}

json_t *tenant_file_to_json(const struct tenant_file *f)
{
	json_t *rules = json_array(), *tenants = json_array(), *root;

	for (size_t i = 0; i < f->n_rules; i++)
		json_array_append_new(rules, json_rule(&f->rules[i]));
	for (size_t i = 0; i < f->n_tenants; i++)
		json_array_append_new(tenants, json_want(&f->tenants[i]));
	root = json_pack("{s:i, s:o, s:o}", "version", 1, "pfs", rules, "tenants", tenants);
	/* a path that is no UTF-8 cannot be kept; it is for messages only */
	json_object_set_new(root, "path", nic_json_text(f->path));
	return root;
}

/* --- from ----------------------------------------------------------------- */
static int from_number(const json_t *o, const char *key, json_int_t min, json_int_t max,
		       json_int_t *out)
{
	const json_t *j = json_object_get(o, key);

	if (!json_is_integer(j) || json_integer_value(j) < min || json_integer_value(j) > max)
		return -EINVAL;
	*out = json_integer_value(j);
	return 0;
}

static int from_text(const json_t *o, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(o, key));

	if (!text || strlen(text) >= size)
		return -EINVAL;
	strcpy(out, text);
	return 0;
}

static int from_request(const json_t *o, struct vf_request *r)
{
	struct vf_settings now = { .proto = ETH_P_8021Q }, set;
	const char *key;
	json_t *v;
	char why[160];

	if (!json_is_object(o))
		return -EINVAL;
	json_object_foreach((json_t *)o, key, v)
		if (!json_is_string(v) || !strcmp(key, "mac") ||
		    vf_request_parse(r, key, json_string_value(v), why, sizeof(why)) < 0)
			return -EINVAL;
	return vf_request_merge(r, &now, &set, why, sizeof(why));
}

static int from_macs(const json_t *list, struct tenant_want *w)
{
	const json_t *v;
	size_t i;

	if (!json_is_array(list) || (json_array_size(list) && json_array_size(list) != w->vfs))
		return -EINVAL;
	w->mac_auto = !json_array_size(list);
	if (w->mac_auto)
		return 0;
	w->macs = calloc(json_array_size(list), sizeof(*w->macs));
	if (!w->macs)
		return -ENOMEM;
	json_array_foreach(list, i, v)
		if (!json_is_string(v) || vf_mac_parse(json_string_value(v), w->macs[i]) < 0)
			return -EINVAL;
	w->n_macs = (unsigned int)json_array_size(list);
	return 0;
}

static int from_want(const json_t *o, struct tenant_want *w)
{
	json_int_t vfs, line, numa;

	tenant_conf_defaults(w);
	if (from_text(o, "name", w->name, sizeof(w->name)) < 0 || !tenant_conf_name_ok(w->name) ||
	    from_text(o, "driver", w->driver, sizeof(w->driver)) < 0 ||
	    (w->driver[0] && !tenant_conf_driver_ok(w->driver)) ||
	    from_number(o, "vfs", 1, SRIOV_MAX_VFS, &vfs) < 0 ||
	    from_number(o, "line", 0, UINT32_MAX, &line) < 0 ||
	    from_number(o, "numa", TENANT_ANY, INT32_MAX, &numa) < 0 ||
	    from_request(json_object_get(o, "set"), &w->set) < 0)
		return -EINVAL;
	w->vfs = (unsigned int)vfs;
	w->line = (unsigned int)line;
	w->numa = (int)numa;
	w->spread = json_is_true(json_object_get(o, "spread"));
	w->exclusive = json_is_true(json_object_get(o, "exclusive"));
	return from_macs(json_object_get(o, "macs"), w);
}

static int from_rule(const json_t *o, struct tenant_pf_rule *r)
{
	struct tenant_match *m = &r->match;
	json_int_t vendor, device, numa, vfs, keep, line;

	if (from_text(o, "pci", m->pci, sizeof(m->pci)) < 0 ||
	    from_text(o, "name", m->name, sizeof(m->name)) < 0 ||
	    from_text(o, "root_port", m->root_port, sizeof(m->root_port)) < 0 ||
	    from_number(o, "vendor", TENANT_ANY, 0xffff, &vendor) < 0 ||
	    from_number(o, "device", TENANT_ANY, 0xffff, &device) < 0 ||
	    from_number(o, "numa", TENANT_ANY, INT32_MAX, &numa) < 0 ||
	    from_number(o, "vfs", -1, SRIOV_MAX_VFS, &vfs) < 0 ||
	    from_number(o, "keep", 0, SRIOV_MAX_VFS, &keep) < 0 ||
	    from_number(o, "line", 0, UINT32_MAX, &line) < 0)
		return -EINVAL;
	m->vendor = (int)vendor;
	m->device = (int)device;
	m->numa = (int)numa;
	r->vfs = vfs < 0 ? SRIOV_UNKNOWN : (unsigned int)vfs;
	r->keep = (unsigned int)keep;
	r->line = (unsigned int)line;
	return r->vfs != SRIOV_UNKNOWN && r->keep > r->vfs ? -EINVAL : 0;
}

static int from_all(const json_t *rules, const json_t *tenants, struct tenant_file *f)
{
	const json_t *v;
	size_t i;
	int ret = 0;

	json_array_foreach(rules, i, v)
		ret = ret < 0 ? ret : from_rule(v, &f->rules[f->n_rules++]);
	json_array_foreach(tenants, i, v) {
		if (ret == 0)
			ret = from_want(v, &f->tenants[f->n_tenants++]);
		if (ret == 0 && i && strcmp(f->tenants[i - 1].name, f->tenants[i].name) >= 0)
			ret = -EINVAL;
	}
	return ret;
}

int tenant_file_from_json(const json_t *o, struct tenant_file **out)
{
	const json_t *rules = json_object_get(o, "pfs"), *tenants = json_object_get(o, "tenants");
	struct tenant_file *f;
	json_int_t version;
	int ret;

	*out = NULL;
	if (from_number(o, "version", 1, 1, &version) < 0 || !json_is_array(rules) ||
	    !json_is_array(tenants) || json_array_size(rules) > TENANT_MAX_RULES ||
	    json_array_size(tenants) > TENANT_MAX_TENANTS)
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->rules = calloc(json_array_size(rules) + 1, sizeof(*f->rules));
	f->tenants = calloc(json_array_size(tenants) + 1, sizeof(*f->tenants));
	ret = f->rules && f->tenants ? from_text(o, "path", f->path, sizeof(f->path)) : -ENOMEM;
	if (ret == 0)
		ret = from_all(rules, tenants, f);
	if (ret < 0)
		tenant_file_free(f);
	else
		*out = f;
	return ret;
}
