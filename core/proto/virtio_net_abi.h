/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a virtio-net driver and its device agree upon besides virtio_abi.h: features, network header,
 * configuration and control queue. Shared by the device model, the switch and the guest's driver, so it is
 * freestanding and defines nothing but constants and wire structures, all little endian. Follows
 * "Virtual I/O Device (VIRTIO) Version 1.2" (OASIS, CS01 of 1 July 2022); the numbers at the right
 * are its sections.
 */
#ifndef CORE_PROTO_VIRTIO_NET_ABI_H
#define CORE_PROTO_VIRTIO_NET_ABI_H

#include "core/proto/virtio_abi.h"

#define VIRTIO_ID_NET			1						/* 5.1.1 */
#define VIRTIO_PCI_DEVICE_NET		0x1041
#define VIRTIO_PCI_DEVICE_NET_TRANS	0x1000		/* transitional			 4.1.2.1 */

/* ---- Feature bits: numbers, for VIRTIO_BIT() -------------------------------------------- 5.1.3 */
#define VIRTIO_NET_F_CSUM		0
#define VIRTIO_NET_F_GUEST_CSUM		1
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS 2
#define VIRTIO_NET_F_MTU		3
#define VIRTIO_NET_F_MAC		5
#define VIRTIO_NET_F_GUEST_TSO4		7
#define VIRTIO_NET_F_GUEST_TSO6		8
#define VIRTIO_NET_F_GUEST_ECN		9
#define VIRTIO_NET_F_GUEST_UFO		10
#define VIRTIO_NET_F_HOST_TSO4		11
#define VIRTIO_NET_F_HOST_TSO6		12
#define VIRTIO_NET_F_HOST_ECN		13
#define VIRTIO_NET_F_HOST_UFO		14
#define VIRTIO_NET_F_MRG_RXBUF		15
#define VIRTIO_NET_F_STATUS		16
#define VIRTIO_NET_F_CTRL_VQ		17
#define VIRTIO_NET_F_CTRL_RX		18
#define VIRTIO_NET_F_CTRL_VLAN		19
#define VIRTIO_NET_F_CTRL_RX_EXTRA	20
#define VIRTIO_NET_F_GUEST_ANNOUNCE	21
#define VIRTIO_NET_F_MQ			22
#define VIRTIO_NET_F_CTRL_MAC_ADDR	23
#define VIRTIO_NET_F_GUEST_USO4		54
#define VIRTIO_NET_F_GUEST_USO6		55
#define VIRTIO_NET_F_HOST_USO		56
#define VIRTIO_NET_F_HASH_REPORT	57
#define VIRTIO_NET_F_GUEST_HDRLEN	59
#define VIRTIO_NET_F_RSS		60
#define VIRTIO_NET_F_RSC_EXT		61
#define VIRTIO_NET_F_STANDBY		62
#define VIRTIO_NET_F_SPEED_DUPLEX	63

/* ---- Network configuration ---------------------------------------------------------- 5.1.4 - */
struct virtio_net_config {
	uint8_t mac[6];			/* MAC */
	uint16_t status;		/* STATUS */
	uint16_t max_virtqueue_pairs;	/* MQ or RSS */
	uint16_t mtu;			/* MTU */
	uint32_t speed;			/* SPEED_DUPLEX: Mbit/s, or 0xffffffff */
	uint8_t duplex;			/* SPEED_DUPLEX: 0 half, 1 full, 0xff unknown */
	uint8_t rss_max_key_size;	/* RSS or HASH_REPORT; so is all below */
	uint16_t rss_max_indirection_table_length;
	uint32_t supported_hash_types;
};
#define VIRTIO_NET_S_LINK_UP		1
#define VIRTIO_NET_S_ANNOUNCE		2

#define VIRTIO_NET_QUEUE_RX(pair)	(2 * (pair))					/* 5.1.2 */
#define VIRTIO_NET_QUEUE_TX(pair)	(2 * (pair) + 1)

/* ---- Header before every frame ------------------------------------------------------ 5.1.6 - */
struct virtio_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;		/* Ethernet + IP + TCP headers; a hint */
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;		/* there with VERSION_1 always; 1 without MRG_RXBUF */
};
#define VIRTIO_NET_HDR_SIZE		12
#define VIRTIO_NET_HDR_F_NEEDS_CSUM	1
#define VIRTIO_NET_HDR_F_DATA_VALID	2
#define VIRTIO_NET_HDR_F_RSC_INFO	4
#define VIRTIO_NET_HDR_GSO_NONE		0
#define VIRTIO_NET_HDR_GSO_TCPV4	1
#define VIRTIO_NET_HDR_GSO_UDP		3
#define VIRTIO_NET_HDR_GSO_TCPV6	4
#define VIRTIO_NET_HDR_GSO_UDP_L4	5
#define VIRTIO_NET_HDR_GSO_ECN		0x80

/* ---- Control queue ---------------------------------------------------------------- 5.1.6.5 - */
struct virtio_net_ctrl_hdr {		/* then the command's data, then one byte of answer */
	uint8_t class;
	uint8_t command;
};
#define VIRTIO_NET_OK			0
#define VIRTIO_NET_ERR			1
#define VIRTIO_NET_CTRL_RX		0						/* 5.1.6.5.1 */
#define   VIRTIO_NET_CTRL_RX_PROMISC	0
#define   VIRTIO_NET_CTRL_RX_ALLMULTI	1
#define   VIRTIO_NET_CTRL_RX_ALLUNI	2
#define   VIRTIO_NET_CTRL_RX_NOMULTI	3
#define   VIRTIO_NET_CTRL_RX_NOUNI	4
#define   VIRTIO_NET_CTRL_RX_NOBCAST	5
#define VIRTIO_NET_CTRL_MAC		1						/* 5.1.6.5.2 */
#define   VIRTIO_NET_CTRL_MAC_TABLE_SET	0
#define   VIRTIO_NET_CTRL_MAC_ADDR_SET	1
#define VIRTIO_NET_CTRL_VLAN		2						/* 5.1.6.5.3 */
#define   VIRTIO_NET_CTRL_VLAN_ADD	0
#define   VIRTIO_NET_CTRL_VLAN_DEL	1
#define VIRTIO_NET_CTRL_ANNOUNCE	3						/* 5.1.6.5.4 */
#define   VIRTIO_NET_CTRL_ANNOUNCE_ACK	0
#define VIRTIO_NET_CTRL_MQ		4						/* 5.1.6.5.5 */
#define   VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET 0
#define   VIRTIO_NET_CTRL_MQ_RSS_CONFIG	1
#define   VIRTIO_NET_CTRL_MQ_HASH_CONFIG 2
#define VIRTIO_NET_CTRL_GUEST_OFFLOADS	5						/* 5.1.6.5.8 */
#define   VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET 0

_Static_assert(sizeof(struct virtio_net_config) == 24, "net configuration");
_Static_assert(offsetof(struct virtio_net_config, status) == 6, "net status");
_Static_assert(offsetof(struct virtio_net_config, mtu) == 10, "net MTU");
_Static_assert(offsetof(struct virtio_net_config, supported_hash_types) == 20, "net hash types");
_Static_assert(sizeof(struct virtio_net_hdr) == VIRTIO_NET_HDR_SIZE, "net header");
_Static_assert(offsetof(struct virtio_net_hdr, num_buffers) == 10, "buffers of a frame");
_Static_assert(sizeof(struct virtio_net_ctrl_hdr) == 2, "control header");

#endif
