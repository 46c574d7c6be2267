/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: rtnetlink's answers about VFs. The input is the content of one RTM_NEWLINK message
 * behind its header: struct ifinfomsg and attributes; it goes through both readers, settings and
 * counters. Besides memory safety it checks that what is given fits together: never more VFs than
 * announced, and nothing beyond the ranges that the rest relies on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "sriov/sriov_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int fuzz_seeds(size_t i, const uint8_t **data, size_t *size);

static void fuzz_check(const struct vf_table *t)
{
	char text[64];

	if (t->n > t->announced || t->announced > SRIOV_MAX_VFS)
		abort();
	for (unsigned int i = 0; i < t->announced; i++) {
		const struct vf_settings *s = &t->vf[i];

		if ((s->known & ~VF_ALL) || s->link > VF_LINK_OFF)
			abort();
		for (int which = 0; which < VF_N_SETTINGS; which++)
			if (s->known & VF_BIT(which))
				vf_setting_text(which, s, text, sizeof(text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nl_msg *msg = nlmsg_alloc_size(size + NLMSG_HDRLEN + NLMSG_ALIGNTO);
	struct vf_counters *c;
	struct vf_table t;
	unsigned int n;
	int ret;

	if (!msg)
		return 0;
	nlmsg_put(msg, 0, 0, RTM_NEWLINK, 0, 0);
	if (size && nlmsg_append(msg, (void *)data, size, 0) < 0)
		abort();
	ret = vf_netlink_parse(msg, &t);
	if (ret == 0)
		fuzz_check(&t);
	else if (t.vf)
		abort(); /* nobody would free it */
	vf_table_free(&t);
	ret = vf_netlink_parse_counters(msg, &c, &n);
	if (n > SRIOV_MAX_VFS || (!c && n) || (ret < 0 && ret != -EMSGSIZE && c))
		abort();
	free(c);
	nlmsg_free(msg);
	return 0;
}

/* --- seeds -------------------------------------------------------------- */
static void seed_vf(struct nl_msg *msg, uint32_t idx)
{
	struct ifla_vf_mac mac = { .vf = idx, .mac = { 2, 0, 0, 0, 0, (uint8_t)idx } };
	struct ifla_vf_vlan_info info = { .vf = idx, .vlan = 100, .vlan_proto = htons(0x88a8) };
	struct ifla_vf_rate rate = { .vf = idx, .max_tx_rate = 100, .min_tx_rate = 10 };
	struct ifla_vf_spoofchk spoof = { .vf = idx, .setting = 1 };
	struct ifla_vf_trust trust = { .vf = idx, .setting = 0 };
	struct ifla_vf_link_state link = { .vf = idx, .link_state = 1 };
	struct nlattr *vf = nla_nest_start(msg, IFLA_VF_INFO), *list;

	nla_put(msg, IFLA_VF_MAC, sizeof(mac), &mac);
	nla_put(msg, IFLA_VF_RATE, sizeof(rate), &rate);
	nla_put(msg, IFLA_VF_SPOOFCHK, sizeof(spoof), &spoof);
	nla_put(msg, IFLA_VF_LINK_STATE, sizeof(link), &link);
	nla_put(msg, IFLA_VF_TRUST, sizeof(trust), &trust);
	list = nla_nest_start(msg, IFLA_VF_VLAN_LIST);
	nla_put(msg, IFLA_VF_VLAN_INFO, sizeof(info), &info);
	nla_nest_end(msg, list);
	list = nla_nest_start(msg, IFLA_VF_STATS);
	for (int a = IFLA_VF_STATS_RX_PACKETS; a <= IFLA_VF_STATS_TX_DROPPED; a++)
		nla_put_u64(msg, a, UINT64_MAX - idx);
	nla_nest_end(msg, list);
	nla_nest_end(msg, vf);
}

int fuzz_seeds(size_t i, const uint8_t **data, size_t *size)
{
	static const uint32_t n_vfs[] = { 0, 1, 3, 20 };
	static uint8_t seed[8192];
	struct ifinfomsg ifi = { .ifi_index = 4 };
	struct nl_msg *msg;
	struct nlattr *list;

	if (i >= sizeof(n_vfs) / sizeof(n_vfs[0]))
		return 0;
	msg = nlmsg_alloc_size(sizeof(seed));
	nlmsg_put(msg, 0, 0, RTM_NEWLINK, 0, 0);
	nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, "lab0");
	nla_put_u32(msg, IFLA_NUM_VF, n_vfs[i]);
	list = nla_nest_start(msg, IFLA_VFINFO_LIST);
	for (uint32_t v = 0; v < n_vfs[i]; v++)
		seed_vf(msg, v);
	nla_nest_end(msg, list);
	*size = (size_t)nlmsg_datalen(nlmsg_hdr(msg));
	memcpy(seed, nlmsg_data(nlmsg_hdr(msg)), *size);
	*data = seed;
	nlmsg_free(msg);
	return 1;
}
