/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interfaces of the host: a tap for QEMU, counters, names, up and down, addresses. netdevice(7),
 * rtnetlink(7), linux/if_tun.h, sysfs-class-net. */
#include "bench/bench.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/neighbour.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/paths.h"

#define NET "/sys/class/net"

static int netdev_ioctl(unsigned long what, struct ifreq *r)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (s < 0)
		return -errno;
	ret = ioctl(s, what, r) < 0 ? -errno : 0;
	close(s);
	return ret;
}

static int netdev_flags(const char *ifname, int *flags)
{
	struct ifreq r = { 0 };
	int ret;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	ret = netdev_ioctl(SIOCGIFFLAGS, &r);
	*flags = r.ifr_flags;
	return ret;
}

bool bench_netdev_is_up(const char *ifname)
{
	int flags;

	return netdev_flags(ifname, &flags) == 0 && (flags & IFF_UP);
}

int bench_netdev_set_up(const char *ifname, bool up)
{
	struct ifreq r = { 0 };
	int flags, ret = netdev_flags(ifname, &flags);

	if (ret < 0)
		return ret;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	r.ifr_flags = (short)(up ? flags | IFF_UP : flags & ~IFF_UP);
	return netdev_ioctl(SIOCSIFFLAGS, &r);
}

int bench_netdev_rename(const char *from, const char *to)
{
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", from);
	snprintf(r.ifr_newname, sizeof(r.ifr_newname), "%s", to);
	return netdev_ioctl(SIOCSIFNAME, &r);
}

int bench_tap_open(const char *ifname)
{
	/* with a virtio-net header, as QEMU makes its own */
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	ret = ioctl(fd, TUNSETIFF, &r) < 0 ? -errno : 0;
	if (ret == 0) {
		paths_write("1", "/proc/sys/net/ipv6/conf/%s/disable_ipv6", ifname);
		ret = bench_netdev_set_up(ifname, true);
	}
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}

uint64_t bench_netdev_count(const char *ifname, const char *counter)
{
	char text[32];

	if (paths_read_line(text, sizeof(text), NET "/%s/statistics/%s", ifname, counter) <= 0)
		return 0;
	return strtoull(text, NULL, 10);
}

int bench_netdev_mac(const char *ifname, uint8_t mac[6])
{
	char text[32];
	unsigned int m[6];

	if (paths_read_line(text, sizeof(text), NET "/%s/address", ifname) <= 0)
		return -ENODEV;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
		return -EPROTO;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)m[i];
	return 0;
}

int bench_netdev_bdf(const char *ifname, char *bdf, size_t size)
{
	unsigned int dom, bus, dev, fn;

	if (paths_link_name(bdf, size, NET "/%s/device", ifname) < 0)
		return -ENOENT;
	return sscanf(bdf, "%x:%x:%x.%x", &dom, &bus, &dev, &fn) == 4 ? 0 : -ENOENT;
}

int bench_netdev_of(const char *bdf, char *ifname, size_t size)
{
	char path[PATH_MAX];
	struct dirent *e;
	int ret = -ENOENT;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/net", bdf);
	d = opendir(path);
	while (d && ret < 0 && (e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(ifname, size, "%s", e->d_name);
			ret = 0;
		}
	if (d)
		closedir(d);
	return ret;
}

/* --- addresses ----------------------------------------------------------- */
static int netdev_netlink(struct nl_sock **out)
{
	struct nl_sock *s = nl_socket_alloc();

	if (!s)
		return -ENOMEM;
	if (nl_connect(s, NETLINK_ROUTE) < 0) {
		nl_socket_free(s);
		return -EPROTONOSUPPORT;
	}
	*out = s;
	return 0;
}

static struct nl_addr *netdev_ipv4(uint32_t address)
{
	uint32_t raw = htonl(address);

	return nl_addr_build(AF_INET, &raw, sizeof(raw));
}

int bench_netdev_address(const char *ifname, uint32_t address, unsigned int prefix, bool add)
{
	struct nl_addr *local = netdev_ipv4(address);
	struct rtnl_addr *a = rtnl_addr_alloc();
	struct nl_sock *s = NULL;
	int ret = local && a ? netdev_netlink(&s) : -ENOMEM;

	if (ret == 0) {
		rtnl_addr_set_ifindex(a, (int)if_nametoindex(ifname));
		nl_addr_set_prefixlen(local, (int)prefix);
		rtnl_addr_set_local(a, local);
		ret = add ? rtnl_addr_add(s, a, 0) : rtnl_addr_delete(s, a, 0);
		ret = ret < 0 ? -EADDRNOTAVAIL : 0;
	}
	nl_socket_free(s);
	rtnl_addr_put(a);
	nl_addr_put(local);
	return ret;
}

int bench_netdev_neighbour(const char *ifname, uint32_t address, const uint8_t mac[6])
{
	struct nl_addr *dst = netdev_ipv4(address), *ll = nl_addr_build(AF_LLC, mac, 6);
	struct rtnl_neigh *n = rtnl_neigh_alloc();
	struct nl_sock *s = NULL;
	int ret = dst && ll && n ? netdev_netlink(&s) : -ENOMEM;

	if (ret == 0) {
		rtnl_neigh_set_ifindex(n, (int)if_nametoindex(ifname));
		rtnl_neigh_set_dst(n, dst);
		rtnl_neigh_set_lladdr(n, ll);
		rtnl_neigh_set_state(n, NUD_PERMANENT);
		ret = rtnl_neigh_add(s, n, NLM_F_CREATE | NLM_F_REPLACE) < 0 ? -EADDRNOTAVAIL : 0;
	}
	nl_socket_free(s);
	rtnl_neigh_put(n);
	nl_addr_put(dst);
	nl_addr_put(ll);
	return ret;
}
