/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The e-switch mode of a PF, from devlink (generic netlink, libnl-genl; kernel:
 * Documentation/networking/devlink, uapi/linux/devlink.h). In switchdev mode the VFs' settings are
 * not the PF's any more. Many devices have no devlink, and only CAP_NET_ADMIN may ask: both mean
 * that there is no answer, and are no error. Asks for the mode and changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/devlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "core/paths.h"
#include "tenant.h"

#define DEVLINK_ANSWER_SECONDS 5
#define DEVLINK_MAX_MESSAGES   8 /* in one answer; a well-behaved kernel sends two */

struct devlink_answer {
	int mode; /* -1: none came */
	bool done;
};

static int devlink_on_valid(struct nl_msg *msg, void *arg)
{
	struct devlink_answer *a = arg;
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct nlattr *attr;

	if (!genlmsg_valid_hdr(h, 0))
		return NL_OK;
	attr = nla_find(genlmsg_attrdata(genlmsg_hdr(h), 0), genlmsg_attrlen(genlmsg_hdr(h), 0),
			DEVLINK_ATTR_ESWITCH_MODE);
	if (attr && nla_len(attr) >= 2)
		a->mode = nla_get_u16(attr);
	return NL_OK;
}

static int devlink_on_ack(struct nl_msg *msg, void *arg)
{
	((struct devlink_answer *)arg)->done = true;
	return NL_STOP;
}

static int devlink_on_error(struct sockaddr_nl *who, struct nlmsgerr *e, void *arg)
{
	((struct devlink_answer *)arg)->done = true;
	return NL_STOP;
}

static void devlink_receive(struct nl_sock *sk, struct devlink_answer *a)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int ret = 0;

	if (!cb)
		return;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, devlink_on_valid, a);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, devlink_on_ack, a);
	nl_cb_err(cb, NL_CB_CUSTOM, devlink_on_error, a);
	for (int i = 0; i < DEVLINK_MAX_MESSAGES && !a->done && ret >= 0; i++)
		ret = nl_recvmsgs(sk, cb);
	nl_cb_put(cb);
}

static void devlink_ask(struct nl_sock *sk, const char *bus, const char *dev,
			struct devlink_answer *a)
{
	struct timeval deadline = { .tv_sec = DEVLINK_ANSWER_SECONDS };
	struct nl_msg *msg;
	int family;

	if (genl_connect(sk) < 0)
		return;
	setsockopt(nl_socket_get_fd(sk), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	family = genl_ctrl_resolve(sk, DEVLINK_GENL_NAME);
	msg = family < 0 ? NULL : nlmsg_alloc();
	if (!msg)
		return;
	if (genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, NLM_F_REQUEST | NLM_F_ACK,
			DEVLINK_CMD_ESWITCH_GET, DEVLINK_GENL_VERSION) &&
	    nla_put_string(msg, DEVLINK_ATTR_BUS_NAME, bus) == 0 &&
	    nla_put_string(msg, DEVLINK_ATTR_DEV_NAME, dev) == 0 && nl_send_auto(sk, msg) >= 0)
		devlink_receive(sk, a);
	nlmsg_free(msg);
}

void sriov_eswitch_mode(const struct sriov_pf *pf, char *buf, size_t size)
{
	struct devlink_answer a = { .mode = -1 };
	char bus[32], root[PATH_MAX];
	struct nl_sock *sk;

	buf[0] = '\0';
	/* the kernel knows what is in its own sysfs */
	if (!realpath(host_real.sysfs, root) || strncmp(pf->path, root, strlen(root)) ||
	    pf->path[strlen(root)] != '/' ||
	    paths_link_name(bus, sizeof(bus), "%s/subsystem", pf->path) < 0)
		return;
	sk = nl_socket_alloc();
	if (!sk)
		return;
	devlink_ask(sk, bus, pf->id, &a);
	nl_socket_free(sk);
	if (a.mode == DEVLINK_ESWITCH_MODE_LEGACY)
		snprintf(buf, size, "legacy");
	else if (a.mode == DEVLINK_ESWITCH_MODE_SWITCHDEV)
		snprintf(buf, size, "switchdev");
	else if (a.mode >= 0)
		snprintf(buf, size, "mode %d", a.mode);
}
