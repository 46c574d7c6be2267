/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What DPDK's igb driver leaves undone for pools of an 82576: it sets the NIC to ignore addresses,
 * so every pool is a VLAN's, and untagged frames all go to pool 0. Here each pool gets filters of
 * its own, and its counter is read. Called by vmdq_nic.c; the registers are reached through the
 * VFIO device that DPDK has opened. Intel 82576 datasheet, revision 2.87: 7.10.3 pool selection,
 * 8.14 virtualization registers, 8.18 per-queue statistics.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_vfio.h>

#include "vmdq/vmdq_priv.h"

#define RCTL            0x00100
#define RCTL_EN         (1u << 1)
#define RCTL_VFE        (1u << 18) /* VLAN filter on */
#define VFRE            0x00c8c    /* pools that may receive, a bit each */
#define VFTE            0x00c90    /* pools that may transmit */
#define DTXSWC          0x03500
#define DTXSWC_LOOPBACK (1u << 31)          /* frames from pool to pool inside the NIC */
#define MTA(n)          (0x05200 + 4 * (n)) /* multicast hash, n = 0..127 */
/* receive address n = 0..23, low half; the high half follows */
#define RAL(n)         ((n) < 16 ? 0x05400 + 8 * (n) : 0x054e0 + 8 * ((n)-16))
#define N_ADDRESSES    24
#define RAH_POOL_SHIFT 18
#define RAH_POOL       (0xffu << RAH_POOL_SHIFT)
#define RAH_AV         (1u << 31)
#define VT_CTL         0x0581c
#define VT_CTL_IGMAC   (1u << 28)          /* pools by VLAN only */
#define VT_CTL_NO_DEF  (1u << 29)          /* no default pool */
#define VT_CTL_REPL    (1u << 30)          /* group frames to every pool that takes them */
#define VMOLR(n)       (0x05ad0 + 4 * (n)) /* pool n = 0..7 */
#define VMOLR_AUPE     (1u << 24)          /* untagged frames */
#define VMOLR_ROMPE    (1u << 25)          /* multicast of the hash */
#define VMOLR_ROPE     (1u << 26)          /* unicast of the hash */
#define VMOLR_BAM      (1u << 27)          /* broadcast */
#define VMOLR_MPME     (1u << 28)          /* every multicast */
#define VMOLR_STRVLAN  (1u << 30)          /* VLAN tag off */
#define RPLOLR         0x05af0             /* the same for frames to several pools */
#define RPLOLR_STRVLAN (1u << 30)
#define UTA(n)         (0x0a000 + 4 * (n)) /* unicast hash, n = 0..127 */
#define N_HASH         128
#define PQGPRC(n)      (0x10010 + 0x100 * (n)) /* good frames of the pool, wraps */
#define N_POOLS        8
#define BAR0_SIZE      0x20000

#define DEVICES "/sys/bus/pci/devices"

/* The 82576's PCI identities, without its virtual functions. */
static bool is_82576(unsigned int device)
{
	static const uint16_t ids[] = { 0x10c9, 0x10e6, 0x10e7, 0x10e8,
					0x1526, 0x150a, 0x1518, 0x150d };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i] == device)
			return true;
	return false;
}

bool quirk_82576_fits(const struct rte_eth_dev_info *info)
{
	char path[128], text[16] = "";
	FILE *f;

	if (!info->driver_name || strcmp(info->driver_name, "net_e1000_igb") || !info->device)
		return false;
	snprintf(path, sizeof(path), DEVICES "/%s/device", rte_dev_name(info->device));
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return is_82576((unsigned int)strtoul(text, NULL, 16));
}

int quirk_82576_open(struct vmdq_nic *nic)
{
	struct vfio_region_info r = { .argsz = sizeof(r), .index = VFIO_PCI_BAR0_REGION_INDEX };
	int number, group, fd;
	void *map;

	if (nic->regs)
		return 0;
	if (rte_vfio_get_group_num(DEVICES, nic->name, &number) <= 0)
		return -ENODEV;
	group = rte_vfio_get_group_fd(number);
	fd = group < 0 ? -1 : ioctl(group, VFIO_GROUP_GET_DEVICE_FD, nic->name);
	if (fd < 0)
		return -ENODEV;
	map = MAP_FAILED;
	if (!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &r) && r.size >= BAR0_SIZE)
		map = mmap(NULL, BAR0_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   (off_t)r.offset);
	if (map == MAP_FAILED) {
		close(fd);
		return -ENODEV;
	}
	nic->regs = map;
	nic->regs_size = BAR0_SIZE;
	nic->regs_fd = fd;
	return 0;
}

void quirk_82576_close(struct vmdq_nic *nic)
{
	if (!nic->regs)
		return;
	munmap((void *)(uintptr_t)nic->regs, nic->regs_size);
	close(nic->regs_fd);
	nic->regs = NULL;
}

static uint32_t get(const struct vmdq_nic *nic, uint32_t reg)
{
	return nic->regs[reg / 4];
}

static void set(struct vmdq_nic *nic, uint32_t reg, uint32_t value)
{
	nic->regs[reg / 4] = value;
}

/* What pool i takes besides frames to its own addresses, which the driver has written. */
static void pool_filter(struct vmdq_nic *nic, unsigned int i)
{
	const struct vmdq_key *k = &nic->pool[i].key;
	uint32_t v = get(nic, VMOLR(i));

	v &= ~(VMOLR_AUPE | VMOLR_ROPE | VMOLR_MPME);
	v |= VMOLR_ROMPE | VMOLR_BAM | VMOLR_STRVLAN;
	if (!k->vlan)
		v |= VMOLR_AUPE;
	if (!k->has_mac)
		v |= VMOLR_ROPE;
	set(nic, VMOLR(i), v);
}

/* Pools of an address, a bit each, as RAH has them. */
static uint32_t address_pools(const struct vmdq_nic *nic, const uint8_t mac[6])
{
	uint32_t pools = 0;

	for (unsigned int i = 0; i < nic->n_pools; i++)
		if (nic->pool[i].key.has_mac && !memcmp(nic->pool[i].key.mac, mac, 6))
			pools |= 1u << (RAH_POOL_SHIFT + i);
	return pools;
}

/*
 * The driver keeps one pool for an address, the last one; an address may be of several VLANs. And
 * it gives the port's own address to pool 0: that is nobody's unless a pool has it.
 */
static void set_addresses(struct vmdq_nic *nic)
{
	for (unsigned int i = 0; i < N_ADDRESSES; i++) {
		uint32_t low = get(nic, RAL(i)), high = get(nic, RAL(i) + 4), pools;
		uint8_t mac[6];

		if (!(high & RAH_AV))
			continue;
		memcpy(mac, &low, 4);
		memcpy(mac + 4, &high, 2);
		pools = address_pools(nic, mac);
		set(nic, RAL(i) + 4, pools ? (high & ~RAH_POOL) | pools : 0);
	}
}

void quirk_82576_apply(struct vmdq_nic *nic)
{
	uint32_t pools = (1u << nic->n_pools) - 1;
	bool whole_vlans = !nic->pool[0].key.has_mac; /* all or none: vmdq_choose() */

	/* stopped meanwhile, so that no frame is sorted by half of this */
	set(nic, RCTL, get(nic, RCTL) & ~RCTL_EN);
	for (unsigned int i = 0; i < N_HASH; i++) {
		set(nic, MTA(i), ~0u);
		set(nic, UTA(i), whole_vlans ? ~0u : 0);
	}
	for (unsigned int i = 0; i < nic->n_pools; i++)
		pool_filter(nic, i);
	set_addresses(nic);
	set(nic, RPLOLR, get(nic, RPLOLR) | RPLOLR_STRVLAN);
	set(nic, DTXSWC, get(nic, DTXSWC) & ~DTXSWC_LOOPBACK);
	set(nic, VFRE, pools);
	set(nic, VFTE, pools);
	set(nic, VT_CTL, (get(nic, VT_CTL) & ~VT_CTL_IGMAC) | VT_CTL_NO_DEF | VT_CTL_REPL);
	set(nic, RCTL, get(nic, RCTL) | RCTL_VFE | RCTL_EN);
	for (unsigned int i = 0; i < nic->n_pools; i++)
		nic->pool[i].nic_last = quirk_82576_rx_frames(nic, i);
}

uint32_t quirk_82576_rx_frames(const struct vmdq_nic *nic, unsigned int pool)
{
	return get(nic, PQGPRC(pool));
}
