/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtnetlink messages for VF settings: what is sent, and what answers are understood; no socket is
 * needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "sriov/sriov_priv.h"

static const struct vf_settings some = {
	.known = VF_ALL,
	.mac = { 2, 0, 0, 0, 0, 9 },
	.vlan = 100,
	.qos = 3,
	.proto = 0x88a8,
	.max_tx_mbit = 1000,
	.min_tx_mbit = 10,
	.spoof_check = true,
	.trust = true,
	.link = VF_LINK_OFF,
};

/* The one attribute inside IFLA_VFINFO_LIST/IFLA_VF_INFO of a request for VF 5 of interface 4. */
static struct nlattr *only_attr(struct nl_msg *msg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct ifinfomsg *ifi = nlmsg_data(h);
	struct nlattr *list, *info, *a;

	assert_int_equal(ifi->ifi_index, 4);
	list = nlmsg_find_attr(h, sizeof(*ifi), IFLA_VFINFO_LIST);
	assert_non_null(list);
	info = nla_data(list);
	assert_int_equal(nla_type(info), IFLA_VF_INFO);
	assert_int_equal(nla_total_size(nla_len(info)), nla_len(list));
	a = nla_data(info);
	assert_int_equal(nla_total_size(nla_len(a)), nla_len(info));
	return a;
}

static struct nl_msg *request(enum vf_setting s)
{
	struct nl_msg *msg = NULL;

	assert_int_equal(vf_netlink_build(4, 5, s, &some, &msg), 0);
	return msg;
}

static void a_request_holds_one_setting(void **state)
{
	for (int s = 0; s < VF_N_SETTINGS; s++) {
		struct nl_msg *msg = request(s);

		only_attr(msg);
		nlmsg_free(msg);
	}
}

static void mac_request_carries_index_and_address(void **state)
{
	struct nl_msg *msg = request(VF_MAC);
	struct nlattr *a = only_attr(msg);
	struct ifla_vf_mac *m = nla_data(a);

	assert_int_equal(nla_type(a), IFLA_VF_MAC);
	assert_int_equal(nla_len(a), sizeof(*m));
	assert_int_equal(m->vf, 5);
	assert_memory_equal(m->mac, some.mac, 6);
	nlmsg_free(msg);
}

static void vlan_request_carries_qos_and_protocol_in_network_order(void **state)
{
	struct nl_msg *msg = request(VF_VLAN);
	struct nlattr *a = only_attr(msg), *inner;
	struct ifla_vf_vlan_info *v;

	assert_int_equal(nla_type(a), IFLA_VF_VLAN_LIST);
	inner = nla_data(a);
	assert_int_equal(nla_type(inner), IFLA_VF_VLAN_INFO);
	v = nla_data(inner);
	assert_int_equal(v->vf, 5);
	assert_int_equal(v->vlan, 100);
	assert_int_equal(v->qos, 3);
	assert_int_equal(v->vlan_proto, htons(0x88a8));
	nlmsg_free(msg);
}

static void rate_request_carries_both_rates(void **state)
{
	struct nl_msg *msg = request(VF_RATE);
	struct nlattr *a = only_attr(msg);
	struct ifla_vf_rate *r = nla_data(a);

	assert_int_equal(nla_type(a), IFLA_VF_RATE);
	assert_int_equal(r->vf, 5);
	assert_int_equal(r->max_tx_rate, 1000);
	assert_int_equal(r->min_tx_rate, 10);
	nlmsg_free(msg);
}

static void switches_carry_their_setting(void **state)
{
	static const struct {
		enum vf_setting s;
		int type;
		uint32_t value;
	} want[] = {
		{ VF_SPOOF, IFLA_VF_SPOOFCHK, 1 },
		{ VF_TRUST, IFLA_VF_TRUST, 1 },
		{ VF_LINK, IFLA_VF_LINK_STATE, IFLA_VF_LINK_STATE_DISABLE },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct nl_msg *msg = request(want[i].s);
		struct nlattr *a = only_attr(msg);
		/* all three are index and setting */
		struct ifla_vf_spoofchk *v = nla_data(a);

		assert_int_equal(nla_type(a), want[i].type);
		assert_int_equal(v->vf, 5);
		assert_int_equal(v->setting, want[i].value);
		nlmsg_free(msg);
	}
}

/* --- answers --- */
static void put_vf(struct nl_msg *msg, uint32_t idx, bool driver_tells_all, uint32_t max,
		   uint32_t min)
{
	struct ifla_vf_mac mac = { .vf = idx, .mac = { 2, 0, 0, 0, 0, (uint8_t)idx } };
	struct ifla_vf_vlan vlan = { .vf = idx, .vlan = 100 + idx, .qos = 3 };
	struct ifla_vf_vlan_info info = {
		.vf = idx, .vlan = 100 + idx, .qos = 3, .vlan_proto = htons(0x88a8)
	};
	struct ifla_vf_rate rate = { .vf = idx, .max_tx_rate = max, .min_tx_rate = min };
	struct ifla_vf_tx_rate tx = { .vf = idx, .rate = max };
	struct ifla_vf_spoofchk spoof = { .vf = idx, .setting = driver_tells_all ? 1 : ~0u };
	struct ifla_vf_trust trust = { .vf = idx, .setting = driver_tells_all ? 0 : ~0u };
	struct ifla_vf_link_state link = { .vf = idx, .link_state = IFLA_VF_LINK_STATE_ENABLE };
	struct nlattr *vf = nla_nest_start(msg, IFLA_VF_INFO), *list;

	nla_put(msg, IFLA_VF_MAC, sizeof(mac), &mac);
	nla_put(msg, IFLA_VF_VLAN, sizeof(vlan), &vlan);
	nla_put(msg, IFLA_VF_RATE, sizeof(rate), &rate);
	nla_put(msg, IFLA_VF_TX_RATE, sizeof(tx), &tx);
	nla_put(msg, IFLA_VF_SPOOFCHK, sizeof(spoof), &spoof);
	nla_put(msg, IFLA_VF_LINK_STATE, sizeof(link), &link);
	nla_put(msg, IFLA_VF_TRUST, sizeof(trust), &trust);
	list = nla_nest_start(msg, IFLA_VF_VLAN_LIST);
	nla_put(msg, IFLA_VF_VLAN_INFO, sizeof(info), &info);
	nla_nest_end(msg, list);
	nla_nest_end(msg, vf);
}

static struct nl_msg *answer_rates(uint32_t announced, uint32_t n, bool driver_tells_all,
				   uint32_t max, uint32_t min)
{
	struct nl_msg *msg = nlmsg_alloc_size(60000);
	struct ifinfomsg ifi = { .ifi_index = 4 };
	struct nlattr *list;

	nlmsg_put(msg, 0, 0, RTM_NEWLINK, 0, 0);
	nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, "lab0");
	nla_put_u32(msg, IFLA_NUM_VF, announced);
	list = nla_nest_start(msg, IFLA_VFINFO_LIST);
	for (uint32_t i = 0; i < n; i++)
		put_vf(msg, i, driver_tells_all, max, min);
	nla_nest_end(msg, list);
	return msg;
}

/* An answer of n VFs with counters that follow from the index; from `silent` on there are none. */
static struct nl_msg *answer_counters(uint32_t announced, uint32_t n, uint32_t silent)
{
	struct nl_msg *msg = nlmsg_alloc_size(60000);
	struct ifinfomsg ifi = { .ifi_index = 4 };
	struct nlattr *list, *vf, *stats;

	nlmsg_put(msg, 0, 0, RTM_NEWLINK, 0, 0);
	nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO);
	nla_put_u32(msg, IFLA_NUM_VF, announced);
	list = nla_nest_start(msg, IFLA_VFINFO_LIST);
	for (uint32_t i = 0; i < n; i++) {
		struct ifla_vf_mac mac = { .vf = i };

		vf = nla_nest_start(msg, IFLA_VF_INFO);
		nla_put(msg, IFLA_VF_MAC, sizeof(mac), &mac);
		if (i < silent) {
			stats = nla_nest_start(msg, IFLA_VF_STATS);
			for (int a = IFLA_VF_STATS_RX_PACKETS; a <= IFLA_VF_STATS_TX_DROPPED; a++)
				if (a != IFLA_VF_STATS_PAD)
					nla_put_u64(msg, a, (1ull << 40) + 100 * i + (unsigned)a);
			nla_nest_end(msg, stats);
		}
		nla_nest_end(msg, vf);
	}
	nla_nest_end(msg, list);
	return msg;
}

static struct nl_msg *answer(uint32_t announced, uint32_t n, bool driver_tells_all)
{
	return answer_rates(announced, n, driver_tells_all, 50, 5);
}

static void an_answer_is_read_whole(void **state)
{
	struct nl_msg *msg = answer(7, 7, true);
	struct vf_table t;

	assert_int_equal(vf_netlink_parse(msg, &t), 0);
	assert_int_equal(t.announced, 7);
	assert_int_equal(t.n, 7);
	for (unsigned int i = 0; i < 7; i++) {
		const struct vf_settings *s = &t.vf[i];

		assert_int_equal(s->known, VF_ALL);
		assert_int_equal(s->mac[5], i);
		assert_int_equal(s->vlan, 100 + i);
		assert_int_equal(s->qos, 3);
		assert_int_equal(s->proto, 0x88a8);
		assert_int_equal(s->max_tx_mbit, 50);
		assert_int_equal(s->min_tx_mbit, 5);
		assert_true(s->spoof_check);
		assert_false(s->trust);
		assert_int_equal(s->link, VF_LINK_ON);
	}
	vf_table_free(&t);
	nlmsg_free(msg);
}

static void what_the_driver_does_not_tell_is_unknown(void **state)
{
	struct nl_msg *msg = answer(1, 1, false);
	struct vf_table t;

	assert_int_equal(vf_netlink_parse(msg, &t), 0);
	assert_int_equal(t.vf[0].known & (VF_BIT(VF_SPOOF) | VF_BIT(VF_TRUST)), 0);
	assert_true(t.vf[0].known & VF_BIT(VF_MAC));
	vf_table_free(&t);
	nlmsg_free(msg);
}

static void rates_of_zero_are_known(void **state)
{
	static const uint32_t rates[][2] = { { 0, 0 }, { 7, 0 }, { 0, 7 }, { 9, 7 } };

	for (int i = 0; i < 4; i++) {
		struct nl_msg *msg = answer_rates(1, 1, true, rates[i][0], rates[i][1]);
		struct vf_table t;

		assert_int_equal(vf_netlink_parse(msg, &t), 0);
		assert_true(t.vf[0].known & VF_BIT(VF_RATE));
		assert_int_equal(t.vf[0].max_tx_mbit, rates[i][0]);
		assert_int_equal(t.vf[0].min_tx_mbit, rates[i][1]);
		vf_table_free(&t);
		nlmsg_free(msg);
	}
}

static void an_answer_with_fewer_vfs_than_announced_is_counted(void **state)
{
	struct nl_msg *msg = answer(256, 100, true);
	struct vf_table t;

	assert_int_equal(vf_netlink_parse(msg, &t), 0);
	assert_int_equal(t.announced, 256);
	assert_int_equal(t.n, 100);
	assert_int_equal(t.vf[99].vlan, 199);
	assert_int_equal(t.vf[100].known, 0);
	vf_table_free(&t);
	nlmsg_free(msg);
}

static void an_answer_without_vfs_is_no_table(void **state)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct ifinfomsg ifi = { .ifi_index = 4 };
	struct vf_table t;

	nlmsg_put(msg, 0, 0, RTM_NEWLINK, 0, 0);
	nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, "lo");
	assert_int_equal(vf_netlink_parse(msg, &t), -ENODATA);
	assert_null(t.vf);
	nlmsg_free(msg);
}

static void an_absurd_number_of_vfs_is_refused(void **state)
{
	struct nl_msg *msg = answer(0xfffffff0, 1, true);
	struct vf_table t;

	assert_int_equal(vf_netlink_parse(msg, &t), -ENODATA);
	assert_null(t.vf);
	nlmsg_free(msg);
}

static void counters_are_read_by_their_vf(void **state)
{
	struct nl_msg *msg = answer_counters(4, 4, 3);
	struct vf_counters *c;
	unsigned int n;

	assert_int_equal(vf_netlink_parse_counters(msg, &c, &n), 0);
	assert_int_equal(n, 4);
	assert_true(c[2].known);
	assert_true(c[2].rx_packets == (1ull << 40) + 200 + IFLA_VF_STATS_RX_PACKETS);
	assert_true(c[2].tx_packets == (1ull << 40) + 200 + IFLA_VF_STATS_TX_PACKETS);
	assert_true(c[2].rx_bytes == (1ull << 40) + 200 + IFLA_VF_STATS_RX_BYTES);
	assert_true(c[2].tx_bytes == (1ull << 40) + 200 + IFLA_VF_STATS_TX_BYTES);
	assert_true(c[2].broadcast == (1ull << 40) + 200 + IFLA_VF_STATS_BROADCAST);
	assert_true(c[2].multicast == (1ull << 40) + 200 + IFLA_VF_STATS_MULTICAST);
	assert_true(c[2].rx_dropped == (1ull << 40) + 200 + IFLA_VF_STATS_RX_DROPPED);
	assert_true(c[2].tx_dropped == (1ull << 40) + 200 + IFLA_VF_STATS_TX_DROPPED);
	assert_false(c[3].known);
	free(c);
	nlmsg_free(msg);
}

/* 512 VFs of this size are more than 65535 bytes: the kernel's length has wrapped round. */
static void counters_that_do_not_fit_are_said_and_unknown(void **state)
{
	struct nl_msg *msg = answer_counters(512, 40, 40);
	struct vf_counters *c;
	unsigned int n;

	assert_int_equal(vf_netlink_parse_counters(msg, &c, &n), -EMSGSIZE);
	assert_int_equal(n, 512);
	assert_true(c[39].known);
	assert_false(c[40].known);
	free(c);
	nlmsg_free(msg);
	/* a driver that tells nothing of some VFs is something else */
	msg = answer_counters(50, 40, 40);
	assert_int_equal(vf_netlink_parse_counters(msg, &c, &n), 0);
	assert_int_equal(n, 50);
	free(c);
	nlmsg_free(msg);
}

static void counters_without_vfs_are_no_list(void **state)
{
	struct nl_msg *msg = answer_counters(0xfffffff0, 1, 1);
	struct vf_counters *c;
	unsigned int n;

	assert_int_equal(vf_netlink_parse_counters(msg, &c, &n), -ENODATA);
	assert_null(c);
	assert_int_equal(n, 0);
	nlmsg_free(msg);
}

/* Cut at every length: never more than the message holds is read (the sanitizers watch). */
static void a_cut_answer_is_survived(void **state)
{
	struct nl_msg *whole = answer(2, 2, true);
	uint32_t len = nlmsg_hdr(whole)->nlmsg_len;
	struct vf_counters *c;
	unsigned int n_c;

	for (uint32_t n = NLMSG_HDRLEN; n < len; n++) {
		struct nl_msg *msg = nlmsg_convert(nlmsg_hdr(whole));
		struct vf_table t = { 0 };

		nlmsg_hdr(msg)->nlmsg_len = n;
		vf_netlink_parse(msg, &t);
		vf_table_free(&t);
		vf_netlink_parse_counters(msg, &c, &n_c);
		free(c);
		nlmsg_free(msg);
	}
	nlmsg_free(whole);
}

/* lo exists everywhere, is no PF, and answering about it takes no right. */
static void a_real_interface_without_vfs_says_so(void **state)
{
	struct vf_table t;
	struct vf_counters *c;
	unsigned int n;
	int ret = vf_netlink_ops.read(NULL, if_nametoindex("lo"), &t);

	if (ret == -EIO || !if_nametoindex("lo"))
		skip(); /* no netlink, or no lo, in this sandbox */
	assert_int_equal(ret, -ENODATA);
	ret = vf_netlink_ops.read(NULL, 0x7ffffff0, &t);
	assert_int_equal(ret, -ENODEV);
	assert_int_equal(vf_netlink_ops.counters(NULL, if_nametoindex("lo"), &c, &n), -ENODATA);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_holds_one_setting),
		cmocka_unit_test(mac_request_carries_index_and_address),
		cmocka_unit_test(vlan_request_carries_qos_and_protocol_in_network_order),
		cmocka_unit_test(rate_request_carries_both_rates),
		cmocka_unit_test(switches_carry_their_setting),
		cmocka_unit_test(an_answer_is_read_whole),
		cmocka_unit_test(what_the_driver_does_not_tell_is_unknown),
		cmocka_unit_test(rates_of_zero_are_known),
		cmocka_unit_test(an_answer_with_fewer_vfs_than_announced_is_counted),
		cmocka_unit_test(an_answer_without_vfs_is_no_table),
		cmocka_unit_test(an_absurd_number_of_vfs_is_refused),
		cmocka_unit_test(counters_are_read_by_their_vf),
		cmocka_unit_test(counters_that_do_not_fit_are_said_and_unknown),
		cmocka_unit_test(counters_without_vfs_are_no_list),
		cmocka_unit_test(a_cut_answer_is_survived),
		cmocka_unit_test(a_real_interface_without_vfs_says_so),
	};

	return cmocka_run_group_tests_name("sriov/netlink", tests, NULL, NULL);
}
