/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The netdevs through which this host's default routes lead, from rtnetlink: IPv4 and IPv6, all
 * tables, all next hops. A PF among them, or below a bridge, bond or VLAN among them, is not carved
 * unless its name stands in the file. The answer is looked at as it comes, route by route: a
 * router's table does not fit into memory twice.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include "tenant.h"

struct route_found {
	unsigned int *ifindex;
	size_t n, max;
};

static void route_note(struct route_found *f, int ifindex)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->ifindex[i] == (unsigned int)ifindex)
			return;
	if (ifindex > 0 && f->n < f->max)
		f->ifindex[f->n++] = (unsigned int)ifindex;
}

static int route_look(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct rtmsg *rt = nlmsg_data(h);
	struct rtnl_route *r = NULL;

	if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_datalen(h) < (int)sizeof(*rt) ||
	    rt->rtm_dst_len || rt->rtm_type != RTN_UNICAST || rtnl_route_parse(h, &r) < 0)
		return NL_OK;
	for (int i = 0; i < rtnl_route_get_nnexthops(r); i++)
		route_note(arg, rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(r, i)));
	rtnl_route_put(r);
	return NL_OK;
}

int tenant_default_routes(void *opaque, unsigned int *ifindex, size_t max)
{
	struct route_found f = { .ifindex = ifindex, .max = max };
	const struct rtmsg ask = { .rtm_family = AF_UNSPEC };
	struct nl_sock *sock = nl_socket_alloc();
	int ret;

	if (!sock)
		return -ENOMEM;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, route_look, &f);
	ret = nl_connect(sock, NETLINK_ROUTE);
	if (ret == 0)
		ret = nl_send_simple(sock, RTM_GETROUTE, NLM_F_DUMP, (void *)&ask, sizeof(ask));
	if (ret >= 0)
		ret = nl_recvmsgs_default(sock);
	nl_socket_free(sock);
	return ret < 0 ? -EIO : (int)f.n;
}
