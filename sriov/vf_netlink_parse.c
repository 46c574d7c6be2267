/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads rtnetlink's answers about VFs: settings and counters, straight from the attributes (libnl
 * 3.7's own reader of VFs follows a null pointer when the list of VLANs is empty). What an answer
 * holds is counted against IFLA_NUM_VF: the list is one 16-bit attribute, and a kernel with more
 * VFs than fit cuts the length without a word (net/core/rtnetlink.c, rtnl_fill_vf()). Called by
 * vf_netlink.c; every length and value in an answer is checked, whoever sent it. Touches no socket.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "sriov_priv.h"

void vf_table_free(struct vf_table *t)
{
	free(t->vf);
	memset(t, 0, sizeof(*t));
}

/* --- the list of VFs ---------------------------------------------------- */
/* -EBADMSG: no RTM_NEWLINK; -ENODATA: it does not speak of VFs. *list is NULL without a list. */
static int find_list(struct nl_msg *msg, unsigned int *n, struct nlattr **list)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct nlattr *num;

	if (h->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(h, sizeof(struct ifinfomsg)))
		return -EBADMSG;
	num = nlmsg_find_attr(h, sizeof(struct ifinfomsg), IFLA_NUM_VF);
	*list = nlmsg_find_attr(h, sizeof(struct ifinfomsg), IFLA_VFINFO_LIST);
	if (!num || nla_len(num) < 4 || nla_get_u32(num) > SRIOV_MAX_VFS)
		return -ENODATA;
	*n = nla_get_u32(num);
	return 0;
}

/*
 * The parts of one VF and its index below n, which every part starts with; the MAC is always there.
 * False: it is none.
 */
static bool open_vf(struct nlattr *info, struct nlattr *tb[IFLA_VF_MAX + 1], unsigned int n,
		    uint32_t *idx)
{
	if (nla_type(info) != IFLA_VF_INFO || nla_parse_nested(tb, IFLA_VF_MAX, info, NULL) < 0 ||
	    !tb[IFLA_VF_MAC] || nla_len(tb[IFLA_VF_MAC]) < (int)sizeof(struct ifla_vf_mac))
		return false;
	memcpy(idx, nla_data(tb[IFLA_VF_MAC]), sizeof(*idx));
	return *idx < n;
}

/* A copy of a part's structure; false when it is not there, or too short. */
static bool copy_part(struct nlattr *const *tb, int type, void *to, size_t size)
{
	if (!tb[type] || nla_len(tb[type]) < (int)size)
		return false;
	memcpy(to, nla_data(tb[type]), size);
	return true;
}

/* --- settings ----------------------------------------------------------- */
static void parse_vlan(struct nlattr *const *tb, struct vf_settings *s)
{
	struct nlattr *list = tb[IFLA_VF_VLAN_LIST];
	struct nlattr *first[IFLA_VF_VLAN_INFO + 1] = { NULL };
	struct ifla_vf_vlan_info v = { .vlan_proto = htons(ETH_P_8021Q) };
	uint16_t proto;

	if (list)
		first[IFLA_VF_VLAN_INFO] =
			nla_find(nla_data(list), nla_len(list), IFLA_VF_VLAN_INFO);
	if (!copy_part(first, IFLA_VF_VLAN_INFO, &v, sizeof(v)) &&
	    !copy_part(tb, IFLA_VF_VLAN, &v, sizeof(struct ifla_vf_vlan)))
		return;
	proto = v.vlan_proto ? ntohs(v.vlan_proto) : ETH_P_8021Q;
	if (v.vlan > 4095 || v.qos > 7 || (proto != ETH_P_8021Q && proto != ETH_P_8021AD))
		return;
	s->vlan = (uint16_t)v.vlan;
	s->qos = (uint8_t)v.qos;
	s->proto = proto;
	s->known |= VF_BIT(VF_VLAN);
}

static void parse_rate(struct nlattr *const *tb, struct vf_settings *s)
{
	struct ifla_vf_tx_rate tx;
	struct ifla_vf_rate rate;

	if (copy_part(tb, IFLA_VF_RATE, &rate, sizeof(rate))) {
		s->max_tx_mbit = rate.max_tx_rate;
		s->min_tx_mbit = rate.min_tx_rate;
		s->known |= VF_BIT(VF_RATE);
	} else if (copy_part(tb, IFLA_VF_TX_RATE, &tx, sizeof(tx))) { /* before Linux 3.16 */
		s->max_tx_mbit = tx.rate;
		s->known |= VF_BIT(VF_RATE);
	}
}

/* An index and a value; false when it is above `max`: a driver without it leaves all ones. */
static bool parse_value(struct nlattr *const *tb, int type, uint32_t max, uint32_t *value)
{
	struct ifla_vf_spoofchk part; /* as all of them are */

	if (!copy_part(tb, type, &part, sizeof(part)) || part.setting > max)
		return false;
	*value = part.setting;
	return true;
}

static void parse_vf(struct nlattr *const *tb, struct vf_settings *s)
{
	struct ifla_vf_mac mac;
	uint32_t v;

	memset(s, 0, sizeof(*s)); /* the last word about a VF holds */
	if (copy_part(tb, IFLA_VF_MAC, &mac, sizeof(mac))) {
		memcpy(s->mac, mac.mac, 6);
		s->known |= VF_BIT(VF_MAC);
	}
	parse_vlan(tb, s);
	parse_rate(tb, s);
	if (parse_value(tb, IFLA_VF_SPOOFCHK, 1, &v)) {
		s->spoof_check = v;
		s->known |= VF_BIT(VF_SPOOF);
	}
	if (parse_value(tb, IFLA_VF_TRUST, 1, &v)) {
		s->trust = v;
		s->known |= VF_BIT(VF_TRUST);
	}
	if (parse_value(tb, IFLA_VF_LINK_STATE, VF_LINK_OFF, &v)) {
		s->link = (uint8_t)v;
		s->known |= VF_BIT(VF_LINK);
	}
}

int vf_netlink_parse(struct nl_msg *msg, struct vf_table *t)
{
	struct nlattr *list, *info, *tb[IFLA_VF_MAX + 1];
	unsigned int n;
	uint32_t idx;
	int left, ret;

	memset(t, 0, sizeof(*t));
	ret = find_list(msg, &n, &list);
	if (ret < 0)
		return ret;
	t->vf = calloc(n ? n : 1, sizeof(*t->vf));
	if (!t->vf)
		return -ENOMEM;
	t->announced = n;
	if (!list)
		return 0;
	nla_for_each_nested(info, list, left)
	{
		if (!open_vf(info, tb, n, &idx))
			continue;
		t->n += !t->vf[idx].known;
		parse_vf(tb, &t->vf[idx]);
	}
	return 0;
}

/* --- counters ----------------------------------------------------------- */
static uint64_t counter(struct nlattr *const *tb, int type)
{
	uint64_t v = 0;

	copy_part(tb, type, &v, sizeof(v));
	return v;
}

static void parse_stats(struct nlattr *stats, struct vf_counters *c)
{
	struct nlattr *tb[IFLA_VF_STATS_MAX + 1];

	if (nla_parse_nested(tb, IFLA_VF_STATS_MAX, stats, NULL) < 0 ||
	    !tb[IFLA_VF_STATS_RX_PACKETS] || !tb[IFLA_VF_STATS_TX_PACKETS])
		return;
	c->rx_packets = counter(tb, IFLA_VF_STATS_RX_PACKETS);
	c->tx_packets = counter(tb, IFLA_VF_STATS_TX_PACKETS);
	c->rx_bytes = counter(tb, IFLA_VF_STATS_RX_BYTES);
	c->tx_bytes = counter(tb, IFLA_VF_STATS_TX_BYTES);
	c->broadcast = counter(tb, IFLA_VF_STATS_BROADCAST);
	c->multicast = counter(tb, IFLA_VF_STATS_MULTICAST);
	c->rx_dropped = counter(tb, IFLA_VF_STATS_RX_DROPPED);
	c->tx_dropped = counter(tb, IFLA_VF_STATS_TX_DROPPED);
	c->known = true;
}

int vf_netlink_parse_counters(struct nl_msg *msg, struct vf_counters **out, unsigned int *n)
{
	struct nlattr *list, *info, *tb[IFLA_VF_MAX + 1];
	unsigned int got = 0, announced;
	uint32_t idx;
	int left, ret;

	*out = NULL;
	*n = 0;
	ret = find_list(msg, &announced, &list);
	if (ret < 0)
		return ret;
	*out = calloc(announced ? announced : 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	*n = announced;
	if (!list)
		return 0;
	nla_for_each_nested(info, list, left)
	{
		if (!open_vf(info, tb, announced, &idx))
			continue;
		got++;
		if (tb[IFLA_VF_STATS])
			parse_stats(tb[IFLA_VF_STATS], &(*out)[idx]);
	}
	/* fewer than announced, and as many of this size do not fit: the list was cut */
	return got && got < announced && (uint64_t)nla_len(list) / got * announced > UINT16_MAX
		       ? -EMSGSIZE
		       : 0;
}
