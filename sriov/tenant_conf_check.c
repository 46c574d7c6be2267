/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What values of the tenants' file have to be together: within one entry, and between tenants. Runs
 * when the file is read, so that nothing is touched before.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_ether.h>

#include "core/err.h"
#include "tenant_conf.h"

void tenant_conf_defaults(struct tenant_want *w)
{
	*w = (struct tenant_want){ .vfs = 1, .mac_auto = true, .numa = TENANT_ANY };
}

bool tenant_conf_name_ok(const char *name)
{
	if (!isalnum((unsigned char)name[0]) || strlen(name) >= TENANT_NAME_SIZE)
		return false;
	for (; *name; name++)
		if (!isascii(*name) || (!isalnum((unsigned char)*name) && !strchr("._-", *name)))
			return false;
	return true;
}

bool tenant_conf_driver_ok(const char *driver)
{
	size_t len = strlen(driver);

	return len && len < TENANT_DRIVER_SIZE && isalnum((unsigned char)driver[0]) &&
	       strspn(driver, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		       len;
}

static bool check_same_match(const struct tenant_match *a, const struct tenant_match *b)
{
	return !strcmp(a->pci, b->pci) && !strcmp(a->name, b->name) &&
	       !strcmp(a->root_port, b->root_port) && a->vendor == b->vendor &&
	       a->device == b->device && a->numa == b->numa;
}

int tenant_conf_check_rule(const struct tenant_yaml *y, const struct tenant_file *f,
			   const struct tenant_pf_rule *r)
{
	const struct tenant_match none = { .vendor = TENANT_ANY,
					   .device = TENANT_ANY,
					   .numa = TENANT_ANY };

	if (check_same_match(&r->match, &none))
		return tenant_yaml_bad(
			y, r->line,
			"an entry of pfs without match; write match: {pci: \"0000:03:00.0\"}");
	if (r->vfs != SRIOV_UNKNOWN && r->keep > r->vfs)
		return tenant_yaml_bad(
			y, r->line, "keep is %u and vfs only %u; lower the one or raise the other",
			r->keep, r->vfs);
	for (const struct tenant_pf_rule *o = f->rules; o < r; o++)
		if (check_same_match(&o->match, &r->match))
			return tenant_yaml_bad(y, r->line, "the match of line %u again; leave one",
					       o->line);
	return 0;
}

int tenant_conf_check_tenant(const struct tenant_yaml *y, const struct tenant_want *w)
{
	struct vf_settings now = { .proto = ETH_P_8021Q }, set;
	char why[160];

	if (vf_request_merge(&w->set, &now, &set, why, sizeof(why)) < 0)
		return tenant_yaml_bad(
			y, set.known & VF_BIT(VF_VLAN) || !w->at.vlan ? w->at.rate : w->at.vlan,
			"tenant %s: %s", w->name, why);
	if (!w->mac_auto && w->n_macs != w->vfs)
		return tenant_yaml_bad(
			y, w->at.mac,
			"tenant %s has %u VFs and %u MACs; write as many of both, or mac: auto",
			w->name, w->vfs, w->n_macs);
	if (w->exclusive && !w->set.to.vlan)
		return tenant_yaml_bad(y, w->line,
				       "tenant %s: exclusive is about a VLAN; write vlan: 1..4094",
				       w->name);
	return 0;
}

/* --- between tenants ------------------------------------------------------ */
static int check_by_name(const void *a, const void *b)
{
	return strcmp(((const struct tenant_want *)a)->name, ((const struct tenant_want *)b)->name);
}

struct check_mac {
	const uint8_t *mac;
	const struct tenant_want *w;
};

static int check_by_mac(const void *a, const void *b)
{
	const struct check_mac *x = a, *y = b;
	int ret = memcmp(x->mac, y->mac, 6);

	return ret ? ret : x->w->at.mac < y->w->at.mac ? -1 : x->w->at.mac > y->w->at.mac;
}

static int check_macs(const struct tenant_yaml *y, const struct tenant_file *f)
{
	struct check_mac *all;
	size_t n = 0;
	char text[18];
	int ret = 0;

	for (size_t i = 0; i < f->n_tenants; i++)
		n += f->tenants[i].n_macs;
	all = calloc(n + 1, sizeof(*all));
	if (!all)
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", y->file);
	n = 0;
	for (size_t i = 0; i < f->n_tenants; i++)
		for (unsigned int m = 0; m < f->tenants[i].n_macs; m++)
			all[n++] = (struct check_mac){ f->tenants[i].macs[m], &f->tenants[i] };
	qsort(all, n, sizeof(*all), check_by_mac);
	for (size_t i = 1; ret == 0 && i < n; i++) {
		const struct check_mac *a = &all[i - 1], *b = &all[i];

		if (memcmp(a->mac, b->mac, 6))
			continue;
		vf_mac_text(a->mac, text);
		if (a->w == b->w)
			ret = tenant_yaml_bad(y, b->w->at.mac,
					      "tenant %s has the MAC %s twice; write another",
					      b->w->name, text);
		else
			ret = tenant_yaml_bad(y, b->w->at.mac,
					      "tenant %s has the MAC %s, which tenant %s of line "
					      "%u has too; write another",
					      b->w->name, text, a->w->name, a->w->at.mac);
	}
	free(all);
	return ret;
}

/* Two tags of one number and different protocols are two VLANs. */
static int check_vlans(const struct tenant_yaml *y, const struct tenant_file *f)
{
	const struct tenant_want *first[2][4096] = { 0 }, *alone[2][4096] = { 0 };

	for (size_t i = 0; i < f->n_tenants; i++) {
		const struct tenant_want *w = &f->tenants[i], *other;
		unsigned int vlan = w->set.to.vlan & 0xfff,
			     ad = w->set.has_proto && w->set.to.proto == ETH_P_8021AD;

		if (!vlan)
			continue;
		other = w->exclusive ? first[ad][vlan] : alone[ad][vlan];
		if (other) {
			bool mine = w->at.vlan > other->at.vlan;
			const struct tenant_want *late = mine ? w : other,
						 *early = mine ? other : w;

			return tenant_yaml_bad(y, late->at.vlan,
					       "tenant %s has VLAN %u, tenant %s of line %u too, "
					       "and %s wants it exclusive; write another",
					       late->name, vlan, early->name, early->at.vlan,
					       w->exclusive ? w->name : other->name);
		}
		if (!first[ad][vlan])
			first[ad][vlan] = w;
		if (w->exclusive)
			alone[ad][vlan] = w;
	}
	return 0;
}

int tenant_conf_check(const struct tenant_yaml *y, struct tenant_file *f)
{
	int ret;

	if (f->n_tenants)
		qsort(f->tenants, f->n_tenants, sizeof(*f->tenants), check_by_name);
	ret = check_macs(y, f);
	return ret < 0 ? ret : check_vlans(y, f);
}
