/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VF settings by rtnetlink (libnl-route 3.7): the real struct vf_ops. rtnetlink has no request for
 * one VF: the whole list comes as one 16-bit attribute, so statistics are left out
 * (RTEXT_FILTER_SKIP_STATS) but where they are asked for, and receive buffers grow (MSG_PEEK);
 * answers are read in vf_netlink_parse.c. One setting a request, so that a refusal has a name; the
 * kernel's own errno and extended acknowledgement are kept, which libnl's return values do not
 * show. Every answer has a deadline. A socket for each request: an answer that came too late for
 * one cannot be taken for another's, and making it costs 15 of a setting's 25 us.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/sriov.h>

#include "sriov_priv.h"

#define NL_ANSWER_SECONDS 10
#define NL_RCVBUF         (1 << 20)
#define NL_MAX_MESSAGES   64 /* in one answer; a well-behaved kernel sends two */

struct nl_answer {
	/* who takes an answer's content; NULL: only an acknowledgement is awaited */
	int (*parse)(struct nl_msg *msg, void *into);
	void *into;
	bool got; /* content came */
	int err;  /* negative errno of the kernel or of parsing */
	bool done;
	char *why;
	size_t size;
};

/* --- one exchange ------------------------------------------------------- */
/*
 * The text of an extended acknowledgement, when the kernel sent one (NETLINK_CAP_ACK: the request
 * is not repeated).
 */
static void keep_extack(const struct nlmsghdr *h, struct nl_answer *a)
{
	struct nlattr *attr;
	int len = (int)h->nlmsg_len - (int)NLMSG_HDRLEN - (int)sizeof(struct nlmsgerr);

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || len <= 0 || !a->size)
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		return;
	attr = nla_find((struct nlattr *)((char *)NLMSG_DATA(h) + sizeof(struct nlmsgerr)), len,
			NLMSGERR_ATTR_MSG);
	if (attr)
		nla_strlcpy(a->why, attr, a->size);
}

static int on_error(struct sockaddr_nl *who, struct nlmsgerr *e, void *arg)
{
	struct nl_answer *a = arg;

	a->err = e->error;
	a->done = true;
	keep_extack((const struct nlmsghdr *)((const char *)e - NLMSG_HDRLEN), a);
	return NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct nl_answer *a = arg;

	a->done = true;
	return NL_STOP;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct nl_answer *a = arg;

	if (a->parse && !a->got) {
		a->err = a->parse(msg, a->into);
		a->got = true;
	}
	return NL_OK;
}

static int nl_open(struct nl_sock **out)
{
	struct timeval deadline = { .tv_sec = NL_ANSWER_SECONDS };
	struct nl_sock *sk = nl_socket_alloc();
	int one = 1, ret;

	if (!sk)
		return -ENOMEM;
	ret = nl_connect(sk, NETLINK_ROUTE);
	if (ret < 0) {
		nl_socket_free(sk);
		return -EIO;
	}
	nl_socket_enable_msg_peek(sk);
	nl_socket_set_buffer_size(sk, NL_RCVBUF, 0);
	setsockopt(nl_socket_get_fd(sk), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	*out = sk;
	return 0;
}

static int nl_receive(struct nl_sock *sk, struct nl_answer *a)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int ret = 0;

	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, a);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, a);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, a);
	for (int i = 0; i < NL_MAX_MESSAGES && !a->done && ret >= 0; i++)
		ret = nl_recvmsgs(sk, cb);
	nl_cb_put(cb);
	if (a->done)
		return a->err;
	return ret == -NLE_AGAIN || ret == -NLE_INTR ? -ETIMEDOUT
	       : ret == -NLE_NOMEM                   ? -ENOBUFS
						     : -EBADMSG;
}

/*
 * Sends `msg` (not freed) and waits for its acknowledgement. Hundreds of settings share a socket
 * (`keep`, may be NULL), which is half of what one costs; after an answer that did not come it is
 * another.
 */
static int nl_exchange(struct vf_netlink *keep, struct nl_msg *msg, struct nl_answer *a)
{
	struct nl_sock *sk = keep ? keep->sk : NULL;
	int ret = sk ? 0 : nl_open(&sk);

	if (ret < 0)
		return ret;
	ret = nl_send_auto(sk, msg);
	ret = ret < 0 ? -EIO : nl_receive(sk, a);
	if (keep)
		keep->sk = a->done ? sk : NULL;
	if (!keep || !a->done)
		nl_socket_free(sk);
	return ret;
}

/* --- the operations ----------------------------------------------------- */
/* Asks for a link with its VFs; `flags` are RTEXT_FILTER_ ones. */
static int ask_link(unsigned int ifindex, uint32_t flags, struct nl_answer *a)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, NLM_F_REQUEST);
	int ret;

	if (!msg)
		return -ENOMEM;
	a->err = -ENODATA;
	if (nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO) < 0 ||
	    nla_put_u32(msg, IFLA_EXT_MASK, flags) < 0)
		ret = -ENOMEM;
	else
		ret = nl_exchange(NULL, msg, a);
	nlmsg_free(msg);
	return ret;
}

static int parse_table(struct nl_msg *msg, void *into)
{
	return vf_netlink_parse(msg, into);
}

static int netlink_read(void *opaque, unsigned int ifindex, struct vf_table *out)
{
	struct nl_answer a = { .parse = parse_table, .into = out };
	int ret;

	memset(out, 0, sizeof(*out));
	ret = ask_link(ifindex, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS, &a);
	if (ret < 0)
		vf_table_free(out);
	return ret;
}

struct counters_into {
	struct vf_counters *vf;
	unsigned int n;
};

static int parse_counters(struct nl_msg *msg, void *into)
{
	struct counters_into *c = into;

	return vf_netlink_parse_counters(msg, &c->vf, &c->n);
}

static int netlink_counters(void *opaque, unsigned int ifindex, struct vf_counters **out,
			    unsigned int *n)
{
	struct counters_into c = { 0 };
	struct nl_answer a = { .parse = parse_counters, .into = &c };
	int ret = ask_link(ifindex, RTEXT_FILTER_VF, &a);

	*out = c.vf;
	*n = c.n;
	if (ret < 0 && ret != -EMSGSIZE) {
		free(c.vf);
		*out = NULL;
		*n = 0;
	}
	return ret;
}

static int build_vlan(struct rtnl_link_vf *vf, const struct vf_settings *to)
{
	nl_vf_vlans_t *vlans;

	if (rtnl_link_vf_vlan_alloc(&vlans, 1) < 0)
		return -ENOMEM;
	vlans->vlans[0].vf_vlan = to->vlan;
	vlans->vlans[0].vf_vlan_qos = to->qos;
	vlans->vlans[0].vf_vlan_proto = to->proto;
	rtnl_link_vf_set_vlans(vf, vlans);
	rtnl_link_vf_vlan_put(vlans);
	return 0;
}

static int build_setting(struct rtnl_link_vf *vf, enum vf_setting s, const struct vf_settings *to)
{
	struct nl_vf_rate rate = { .api = RTNL_LINK_VF_RATE_API_NEW,
				   .max_tx_rate = to->max_tx_mbit,
				   .min_tx_rate = to->min_tx_mbit };
	struct nl_addr *addr;

	switch (s) {
	case VF_MAC:
		addr = nl_addr_build(AF_LLC, to->mac, 6);
		if (!addr)
			return -ENOMEM;
		rtnl_link_vf_set_addr(vf, addr);
		nl_addr_put(addr);
		return 0;
	case VF_VLAN: return build_vlan(vf, to);
	case VF_RATE: rtnl_link_vf_set_rate(vf, &rate); return 0;
	case VF_SPOOF: rtnl_link_vf_set_spoofchk(vf, to->spoof_check); return 0;
	case VF_TRUST: rtnl_link_vf_set_trust(vf, to->trust); return 0;
	case VF_LINK: rtnl_link_vf_set_linkstate(vf, to->link); return 0;
	case VF_N_SETTINGS: break;
	}
	return -EINVAL;
}

/*
 * libnl 3.7 reads a VLAN's protocol in network order and writes it in host order. What stands in
 * the request is set right here, whichever way the library that is linked does it.
 */
static void fix_vlan_proto(struct nl_msg *msg, uint16_t proto)
{
	struct nlattr *a =
		nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct ifinfomsg), IFLA_VFINFO_LIST);
	struct ifla_vf_vlan_info *info;

	a = a ? nla_find(nla_data(a), nla_len(a), IFLA_VF_INFO) : NULL;
	a = a ? nla_find(nla_data(a), nla_len(a), IFLA_VF_VLAN_LIST) : NULL;
	a = a ? nla_find(nla_data(a), nla_len(a), IFLA_VF_VLAN_INFO) : NULL;
	if (!a || nla_len(a) < (int)sizeof(*info))
		return;
	info = nla_data(a);
	info->vlan_proto = htons(proto);
}

int vf_netlink_build(unsigned int ifindex, unsigned int idx, enum vf_setting s,
		     const struct vf_settings *to, struct nl_msg **out)
{
	struct rtnl_link *orig = rtnl_link_alloc(), *changes = rtnl_link_alloc();
	struct rtnl_link_vf *vf = rtnl_link_vf_alloc();
	int ret = -ENOMEM;

	if (!orig || !changes || !vf)
		goto out;
	rtnl_link_set_ifindex(orig, (int)ifindex);
	rtnl_link_vf_set_index(vf, idx);
	ret = build_setting(vf, s, to);
	if (ret < 0)
		goto out;
	ret = rtnl_link_vf_add(changes, vf) < 0 ? -ENOMEM : 0;
	if (ret == 0 && rtnl_link_build_change_request(orig, changes, 0, out) < 0)
		ret = -ENOMEM;
	if (ret == 0 && s == VF_VLAN)
		fix_vlan_proto(*out, to->proto);
out:
	if (vf)
		rtnl_link_vf_put(vf);
	rtnl_link_put(changes);
	rtnl_link_put(orig);
	return ret;
}

static int netlink_write(void *opaque, unsigned int ifindex, unsigned int vf, enum vf_setting s,
			 const struct vf_settings *to, char *why, size_t size)
{
	struct nl_answer a = { .why = why, .size = size };
	struct nl_msg *msg = NULL;
	int ret;

	why[0] = '\0';
	ret = vf_netlink_build(ifindex, vf, s, to, &msg);
	if (ret < 0)
		return ret;
	ret = nl_exchange(opaque, msg, &a);
	nlmsg_free(msg);
	return ret;
}

const struct vf_ops vf_netlink_ops = {
	.read = netlink_read,
	.write = netlink_write,
	.counters = netlink_counters,
};
