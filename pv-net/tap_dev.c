/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See tap_dev.h. Called by nic_tap.c and nic_vhost.c; calls the kernel only. linux/if_tun.h. */
#include "pv-net/tap_dev.h"

#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/if_tun.h>

/* what the kernel's filter compares exactly; further ones would open it */
#define EXACT_MACS 8

unsigned int tap_dev_take(struct device_conf *conf, const char *name, int fd[TAP_MAX_QUEUES])
{
	char text[24];
	unsigned int n = 0;

	snprintf(text, sizeof(text), "%s", name);
	while (n < TAP_MAX_QUEUES && (fd[n] = device_take_fd(conf, text)) >= 0)
		snprintf(text, sizeof(text), "%s%u", name, ++n);
	return n;
}

int tap_dev_offloads(int fd, uint32_t offloads)
{
	const unsigned long flags = (offloads & NIC_OFFLOAD_CSUM ? TUN_F_CSUM : 0) |
				    (offloads & NIC_OFFLOAD_TSO4 ? TUN_F_TSO4 : 0) |
				    (offloads & NIC_OFFLOAD_TSO6 ? TUN_F_TSO6 : 0) |
				    (offloads & NIC_OFFLOAD_ECN ? TUN_F_TSO_ECN : 0);

	return ioctl(fd, TUNSETOFFLOAD, flags) < 0 ? -errno : 0;
}

int tap_dev_look(int fd, bool *vnet_hdr, uint32_t *offloads)
{
	const int size = sizeof(struct virtio_net_hdr);
	struct ifreq r = { 0 };

	*offloads = 0;
	if (ioctl(fd, TUNGETIFF, &r) < 0)
		return -errno;
	*vnet_hdr = r.ifr_flags & IFF_VNET_HDR;
	if (!*vnet_hdr)
		return 0;
	/* both are the interface's: one queue is enough */
	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0)
		return -errno;
	if (tap_dev_offloads(fd, NIC_OFFLOAD_ALL) == 0)
		*offloads = NIC_OFFLOAD_ALL;
	return tap_dev_offloads(fd, 0);
}

int tap_dev_queue(int fd, bool on)
{
	struct ifreq r = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	return ioctl(fd, TUNSETQUEUE, &r) < 0 ? -errno : 0;
}

void tap_dev_filter(int fd, const struct nic_filter *f)
{
	struct {
		struct tun_filter head;
		uint8_t mac[EXACT_MACS][ETH_ALEN];
	} tf = { .head.flags = f->all_multicast || f->hash ? TUN_FLT_ALLMULTI : 0 };
	unsigned int n = f->n_macs + f->broadcast;

	_Static_assert(offsetof(typeof(tf), mac) == sizeof(struct tun_filter),
		       "the addresses follow the header");
	if (!f->promisc && !f->all_unicast && n <= EXACT_MACS) {
		for (unsigned int i = 0; i < f->n_macs; i++)
			memcpy(tf.mac[i], f->mac[i], ETH_ALEN);
		if (f->broadcast)
			memset(tf.mac[f->n_macs], 0xff, ETH_ALEN);
		tf.head.count = (uint16_t)n; /* 0 means no filter */
	}
	if (ioctl(fd, TUNSETTXFILTER, &tf) < 0)
		return; /* it stays as it is */
}
