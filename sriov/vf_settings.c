/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The settings of one VF as data: words of a call into a request, a request and the present state
 * into what is to be set, text and JSON. Called by the commands, --nic vf and the records. The
 * grouping follows rtnetlink's do_setvfinfo(): VLAN, QoS and protocol are one operation of the
 * driver, both rates another. Touches no host.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_ether.h>

#include "sriov_priv.h"

const char *const vf_request_keys[VF_REQUEST_N_KEYS] = { VF_REQUEST_KEYS };

static const char *const setting_names[VF_N_SETTINGS] = {
	[VF_MAC] = "MAC",	    [VF_VLAN] = "VLAN",	  [VF_RATE] = "rate",
	[VF_SPOOF] = "spoof check", [VF_TRUST] = "trust", [VF_LINK] = "link state",
};
static const char *const link_names[] = {
	[VF_LINK_AUTO] = "auto", [VF_LINK_ON] = "on", [VF_LINK_OFF] = "off"
};

const char *vf_setting_name(enum vf_setting s)
{
	return setting_names[s];
}

void vf_mac_text(const uint8_t mac[6], char buf[18])
{
	snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
}

void vf_mac_stable(const char *text, unsigned int idx, uint8_t mac[6])
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a, 64 bits */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	for (int i = 0; i < 4; i++, idx >>= 8)
		h = (h ^ (idx & 0xff)) * 0x100000001b3ull;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)(h >> (8 * i));
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02); /* locally administered, unicast */
}

/* --- parsing ------------------------------------------------------------ */
static int parse_number(const char *s, unsigned long max, unsigned long *out)
{
	char *end;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoul(s, &end, 10);
	return errno || *end || *out > max ? -EINVAL : 0;
}

static int parse_bool(const char *s, bool *out)
{
	*out = !strcmp(s, "on");
	return *out || !strcmp(s, "off") ? 0 : -EINVAL;
}

int vf_mac_parse(const char *s, uint8_t mac[6])
{
	unsigned int b[6];
	int end = 0;

	if (strlen(s) != 17 || strspn(s, "0123456789abcdefABCDEF:") != 17)
		return -EINVAL;
	if (sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &end) != 6 ||
	    end != 17 || (b[0] & 1))
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

static int parse_proto(const char *s, uint16_t *out)
{
	if (!strcasecmp(s, "802.1Q"))
		*out = ETH_P_8021Q;
	else if (!strcasecmp(s, "802.1ad"))
		*out = ETH_P_8021AD;
	else
		return -EINVAL;
	return 0;
}

static int parse_link(const char *s, uint8_t *out)
{
	for (size_t i = 0; i < sizeof(link_names) / sizeof(link_names[0]); i++)
		if (!strcmp(s, link_names[i])) {
			*out = (uint8_t)i;
			return 0;
		}
	return -EINVAL;
}

/*
 * Gives the text of what the key takes, NULL when there is no such key; *ret is 0 when `value` is
 * that.
 */
static const char *request_word(struct vf_request *r, const char *key, const char *value, int *ret)
{
	unsigned long n = 0;

	if (!strcmp(key, "mac")) {
		r->has_mac = (*ret = vf_mac_parse(value, r->to.mac)) == 0;
		return "a unicast MAC address aa:bb:cc:dd:ee:ff, or all zeros for none";
	}
	if (!strcmp(key, "vlan")) {
		r->has_vlan = (*ret = parse_number(value, 4094, &n)) == 0;
		r->to.vlan = (uint16_t)n;
		return "a number from 0 (none) to 4094";
	}
	if (!strcmp(key, "qos")) {
		r->has_qos = (*ret = parse_number(value, 7, &n)) == 0;
		r->to.qos = (uint8_t)n;
		return "a number from 0 to 7";
	}
	if (!strcmp(key, "proto")) {
		r->has_proto = (*ret = parse_proto(value, &r->to.proto)) == 0;
		return "802.1Q or 802.1ad";
	}
	if (!strcmp(key, "max_tx_mbit")) {
		r->has_max = (*ret = parse_number(value, UINT32_MAX, &n)) == 0;
		r->to.max_tx_mbit = (uint32_t)n;
		return "a number of Mbit/s, 0 for no limit";
	}
	if (!strcmp(key, "min_tx_mbit")) {
		r->has_min = (*ret = parse_number(value, UINT32_MAX, &n)) == 0;
		r->to.min_tx_mbit = (uint32_t)n;
		return "a number of Mbit/s, 0 for none";
	}
	if (!strcmp(key, "spoof_check")) {
		r->has_spoof = (*ret = parse_bool(value, &r->to.spoof_check)) == 0;
		return "on or off";
	}
	if (!strcmp(key, "trust")) {
		r->has_trust = (*ret = parse_bool(value, &r->to.trust)) == 0;
		return "on or off";
	}
	if (!strcmp(key, "link")) {
		r->has_link = (*ret = parse_link(value, &r->to.link)) == 0;
		return "auto, on or off";
	}
	return NULL;
}

int vf_request_parse(struct vf_request *r, const char *key, const char *value, char *why,
		     size_t size)
{
	int ret = 0;
	const char *takes = request_word(r, key, value, &ret);

	if (!takes)
		return -ENOENT;
	if (ret < 0)
		snprintf(why, size, "'%s' is not %s", value, takes);
	return ret;
}

static int merge_vlan(const struct vf_request *r, struct vf_settings *want, char *why, size_t size)
{
	bool none = r->has_vlan && r->to.vlan == 0;

	if (r->has_vlan)
		want->vlan = r->to.vlan;
	if (none || !want->proto)
		want->proto = ETH_P_8021Q;
	if (none)
		want->qos = 0;
	if (r->has_qos)
		want->qos = r->to.qos;
	if (r->has_proto)
		want->proto = r->to.proto;
	if (!want->vlan && (want->qos || want->proto != ETH_P_8021Q)) {
		snprintf(why, size,
			 "a QoS or a protocol needs a VLAN; give one from 1 to 4094 with it");
		return -EINVAL;
	}
	want->known |= VF_BIT(VF_VLAN);
	return 0;
}

static int merge_rate(const struct vf_request *r, struct vf_settings *want, char *why, size_t size)
{
	if (r->has_max)
		want->max_tx_mbit = r->to.max_tx_mbit;
	if (r->has_min)
		want->min_tx_mbit = r->to.min_tx_mbit;
	if (want->max_tx_mbit && want->min_tx_mbit > want->max_tx_mbit) {
		snprintf(
			why, size,
			"the minimum rate of %u Mbit/s is above the maximum of %u; lower the one or raise the other",
			want->min_tx_mbit, want->max_tx_mbit);
		return -EINVAL;
	}
	want->known |= VF_BIT(VF_RATE);
	return 0;
}

int vf_request_merge(const struct vf_request *r, const struct vf_settings *now,
		     struct vf_settings *want, char *why, size_t size)
{
	*want = *now;
	want->known = 0;
	if (r->has_mac) {
		memcpy(want->mac, r->to.mac, 6);
		want->known |= VF_BIT(VF_MAC);
	}
	if (r->has_vlan || r->has_qos || r->has_proto)
		if (merge_vlan(r, want, why, size) < 0)
			return -EINVAL;
	if (r->has_max || r->has_min)
		if (merge_rate(r, want, why, size) < 0)
			return -EINVAL;
	if (r->has_spoof) {
		want->spoof_check = r->to.spoof_check;
		want->known |= VF_BIT(VF_SPOOF);
	}
	if (r->has_trust) {
		want->trust = r->to.trust;
		want->known |= VF_BIT(VF_TRUST);
	}
	if (r->has_link) {
		want->link = r->to.link;
		want->known |= VF_BIT(VF_LINK);
	}
	return 0;
}

/* --- comparing and showing ---------------------------------------------- */
bool vf_setting_equal(enum vf_setting s, const struct vf_settings *a, const struct vf_settings *b)
{
	switch (s) {
	case VF_MAC:
		return !memcmp(a->mac, b->mac, 6);
	case VF_VLAN:
		return a->vlan == b->vlan && a->qos == b->qos && (a->proto == b->proto || !a->vlan);
	case VF_RATE:
		return a->max_tx_mbit == b->max_tx_mbit && a->min_tx_mbit == b->min_tx_mbit;
	case VF_SPOOF:
		return a->spoof_check == b->spoof_check;
	case VF_TRUST:
		return a->trust == b->trust;
	case VF_LINK:
		return a->link == b->link;
	case VF_N_SETTINGS:
		break;
	}
	return false;
}

static const char *proto_name(uint16_t proto)
{
	return proto == ETH_P_8021AD ? "802.1ad" : "802.1Q";
}

void vf_setting_text(enum vf_setting s, const struct vf_settings *v, char *buf, size_t size)
{
	char mac[18];

	switch (s) {
	case VF_MAC:
		vf_mac_text(v->mac, mac);
		snprintf(buf, size, "MAC %s", mac);
		break;
	case VF_VLAN:
		snprintf(buf, size, "VLAN %u qos %u %s", v->vlan, v->qos, proto_name(v->proto));
		break;
	case VF_RATE:
		snprintf(buf, size, "rate max %u min %u Mbit/s", v->max_tx_mbit, v->min_tx_mbit);
		break;
	case VF_SPOOF:
		snprintf(buf, size, "spoof check %s", v->spoof_check ? "on" : "off");
		break;
	case VF_TRUST:
		snprintf(buf, size, "trust %s", v->trust ? "on" : "off");
		break;
	case VF_LINK:
		snprintf(buf, size, "link state %s", link_names[v->link]);
		break;
	case VF_N_SETTINGS:
		break;
	}
}

/* --- JSON --------------------------------------------------------------- */
int vf_settings_to_json(const struct vf_settings *s, json_t *o)
{
	bool vlan = s->known & VF_BIT(VF_VLAN), rate = s->known & VF_BIT(VF_RATE);
	char mac[18];
	int ret = 0;

	vf_mac_text(s->mac, mac);
	ret |= json_object_set_new(o, "mac",
				   s->known & VF_BIT(VF_MAC) ? json_string(mac) : json_null());
	ret |= json_object_set_new(o, "vlan", vlan ? json_integer(s->vlan) : json_null());
	ret |= json_object_set_new(o, "qos", vlan ? json_integer(s->qos) : json_null());
	ret |= json_object_set_new(o, "proto",
				   vlan ? json_string(proto_name(s->proto)) : json_null());
	ret |= json_object_set_new(o, "max_tx_mbit",
				   rate ? json_integer(s->max_tx_mbit) : json_null());
	ret |= json_object_set_new(o, "min_tx_mbit",
				   rate ? json_integer(s->min_tx_mbit) : json_null());
	ret |= json_object_set_new(o, "spoof_check",
				   s->known & VF_BIT(VF_SPOOF) ? json_boolean(s->spoof_check)
							       : json_null());
	ret |= json_object_set_new(
		o, "trust", s->known & VF_BIT(VF_TRUST) ? json_boolean(s->trust) : json_null());
	ret |= json_object_set_new(o, "link",
				   s->known & VF_BIT(VF_LINK) ? json_string(link_names[s->link])
							      : json_null());
	return ret ? -ENOMEM : 0;
}

static int number_from_json(const json_t *o, const char *key, json_int_t max, json_int_t *out)
{
	const json_t *j = json_object_get(o, key);

	if (!json_is_integer(j) || json_integer_value(j) < 0 || json_integer_value(j) > max)
		return -EINVAL;
	*out = json_integer_value(j);
	return 0;
}

static int vlan_from_json(const json_t *o, struct vf_settings *s)
{
	const char *proto = json_string_value(json_object_get(o, "proto"));
	json_int_t vlan, qos;

	if (number_from_json(o, "vlan", 4095, &vlan) < 0 ||
	    number_from_json(o, "qos", 7, &qos) < 0 || !proto || parse_proto(proto, &s->proto) < 0)
		return -EINVAL;
	s->vlan = (uint16_t)vlan;
	s->qos = (uint8_t)qos;
	s->known |= VF_BIT(VF_VLAN);
	return 0;
}

static int rate_from_json(const json_t *o, struct vf_settings *s)
{
	json_int_t max, min;

	if (number_from_json(o, "max_tx_mbit", UINT32_MAX, &max) < 0 ||
	    number_from_json(o, "min_tx_mbit", UINT32_MAX, &min) < 0)
		return -EINVAL;
	s->max_tx_mbit = (uint32_t)max;
	s->min_tx_mbit = (uint32_t)min;
	s->known |= VF_BIT(VF_RATE);
	return 0;
}

static int bool_from_json(const json_t *o, const char *key, enum vf_setting which, bool *out,
			  unsigned int *known)
{
	const json_t *j = json_object_get(o, key);

	if (!j || json_is_null(j))
		return 0;
	if (!json_is_boolean(j))
		return -EINVAL;
	*out = json_is_true(j);
	*known |= VF_BIT(which);
	return 0;
}

static bool json_there(const json_t *o, const char *key)
{
	const json_t *j = json_object_get(o, key);

	return j && !json_is_null(j);
}

int vf_settings_from_json(const json_t *o, struct vf_settings *s)
{
	const char *text;

	memset(s, 0, sizeof(*s));
	if (json_there(o, "mac")) {
		text = json_string_value(json_object_get(o, "mac"));
		if (!text || vf_mac_parse(text, s->mac) < 0)
			return -EINVAL;
		s->known |= VF_BIT(VF_MAC);
	}
	if (json_there(o, "vlan") && vlan_from_json(o, s) < 0)
		return -EINVAL;
	if (json_there(o, "max_tx_mbit") && rate_from_json(o, s) < 0)
		return -EINVAL;
	if (bool_from_json(o, "spoof_check", VF_SPOOF, &s->spoof_check, &s->known) < 0 ||
	    bool_from_json(o, "trust", VF_TRUST, &s->trust, &s->known) < 0)
		return -EINVAL;
	if (json_there(o, "link")) {
		text = json_string_value(json_object_get(o, "link"));
		if (!text || parse_link(text, &s->link) < 0)
			return -EINVAL;
		s->known |= VF_BIT(VF_LINK);
	}
	return 0;
}
