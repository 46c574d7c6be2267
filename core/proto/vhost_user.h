/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vhost-user messages that the monitor (front-end) and the switch (back-end) exchange on a Unix
 * stream socket, all little endian here (x86). Freestanding. Follows docs/interop/vhost-user.rst of
 * QEMU 11; the names at the right are its headings. One extension of ours, at the end: a receive
 * filter that a device model without a virtio ring pushes down.
 */
#ifndef CORE_PROTO_VHOST_USER_H
#define CORE_PROTO_VHOST_USER_H

#include <stddef.h>
#include <stdint.h>

/* ---- Header ------------------------------------------------------------- Message Specification */
struct vhost_user_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size;			/* of the payload that follows */
};
#define VHOST_USER_VERSION_MASK		0x3u
#define VHOST_USER_VERSION		0x1u
#define VHOST_USER_REPLY		0x4u	/* this is an answer */
#define VHOST_USER_NEED_REPLY		0x8u	/* with PROTOCOL_F_REPLY_ACK */

/* ---- Requests of the front-end --------------------------------------- Front-end message types */
#define VHOST_USER_GET_FEATURES		1	/* -> u64 */
#define VHOST_USER_SET_FEATURES		2	/* u64 */
#define VHOST_USER_SET_OWNER		3
#define VHOST_USER_RESET_OWNER		4
#define VHOST_USER_SET_MEM_TABLE	5	/* vhost_user_memory, a descriptor a region */
#define VHOST_USER_SET_LOG_BASE		6
#define VHOST_USER_SET_LOG_FD		7
#define VHOST_USER_SET_VRING_NUM	8	/* vring_state */
#define VHOST_USER_SET_VRING_ADDR	9	/* vring_addr */
#define VHOST_USER_SET_VRING_BASE	10	/* vring_state */
#define VHOST_USER_GET_VRING_BASE	11	/* vring_state -> vring_state; stops the ring */
#define VHOST_USER_SET_VRING_KICK	12	/* u64 and a descriptor; starts the ring */
#define VHOST_USER_SET_VRING_CALL	13	/* the same */
#define VHOST_USER_SET_VRING_ERR	14	/* the same */
#define VHOST_USER_GET_PROTOCOL_FEATURES 15	/* -> u64 */
#define VHOST_USER_SET_PROTOCOL_FEATURES 16	/* u64 */
#define VHOST_USER_GET_QUEUE_NUM	17	/* -> u64; with PROTOCOL_F_MQ */
#define VHOST_USER_SET_VRING_ENABLE	18	/* vring_state */
#define VHOST_USER_SEND_RARP		19
#define VHOST_USER_NET_SET_MTU		20
#define VHOST_USER_SET_BACKEND_REQ_FD	21
#define VHOST_USER_IOTLB_MSG		22
#define VHOST_USER_SET_VRING_ENDIAN	23
#define VHOST_USER_GET_CONFIG		24
#define VHOST_USER_SET_CONFIG		25
#define VHOST_USER_POSTCOPY_ADVISE	28
#define VHOST_USER_POSTCOPY_LISTEN	29
#define VHOST_USER_POSTCOPY_END		30
#define VHOST_USER_GET_INFLIGHT_FD	31
#define VHOST_USER_SET_INFLIGHT_FD	32
#define VHOST_USER_RESET_DEVICE		34	/* with PROTOCOL_F_RESET_DEVICE */
#define VHOST_USER_VRING_KICK		35
#define VHOST_USER_GET_MAX_MEM_SLOTS	36
#define VHOST_USER_ADD_MEM_REG		37
#define VHOST_USER_REM_MEM_REG		38
#define VHOST_USER_SET_STATUS		39	/* u64; with PROTOCOL_F_STATUS */
#define VHOST_USER_GET_STATUS		40	/* -> u64 */

/* ---- Features: numbers, as with virtio's own ------------------------------------- Protocol features */
#define VHOST_F_LOG_ALL			26	/* virtio feature bits in GET/SET_FEATURES */
#define VHOST_USER_F_PROTOCOL_FEATURES	30
#define VHOST_USER_PROTOCOL_F_MQ	0
#define VHOST_USER_PROTOCOL_F_LOG_SHMFD	1
#define VHOST_USER_PROTOCOL_F_RARP	2
#define VHOST_USER_PROTOCOL_F_REPLY_ACK	3
#define VHOST_USER_PROTOCOL_F_MTU	4
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ 5
#define VHOST_USER_PROTOCOL_F_CONFIG	9
#define VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD 12
#define VHOST_USER_PROTOCOL_F_RESET_DEVICE 13
#define VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS 15
#define VHOST_USER_PROTOCOL_F_STATUS	16

/* ---- Payloads ------------------------------------------------------------------ Message payload */
struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;			/* bit 0: log writes to the used ring */
	uint64_t desc, used, avail;	/* user addresses of the front-end */
	uint64_t log;
};

struct vhost_user_region {
	uint64_t guest_phys_addr;
	uint64_t memory_size;
	uint64_t userspace_addr;	/* the front-end's: rings are given in these */
	uint64_t mmap_offset;
};
#define VHOST_USER_MAX_REGIONS		8
struct vhost_user_memory {
	uint32_t n_regions;
	uint32_t padding;
	struct vhost_user_region region[VHOST_USER_MAX_REGIONS]; /* n_regions of them are sent */
};
#define VHOST_USER_MEMORY_SIZE(n)	(8u + 32u * (n))

/* SET_VRING_KICK, _CALL, _ERR */
#define VHOST_USER_VRING_IDX_MASK	0xffu
#define VHOST_USER_VRING_NOFD		0x100u	/* no descriptor comes: the ring is to be polled */

/* ---- Ours: receive filter of a front-end, no part of the standard -------------------------------
 * A device model with receive filters of its own (the 82540EM) drives a virtio ring for its guest
 * and would lose a posted buffer to every frame that the guest refuses. With this protocol feature
 * it tells the back-end what it takes; the back-end delivers nothing else. Sent at any time, the
 * newest counts; a new connection starts without one (everything is taken). A filter that is not
 * valid (n_macs, hash_shift) is refused: the connection ends.
 */
#define VHOST_USER_PROTOCOL_F_FL_FILTER	48
#define VHOST_USER_FL_SET_FILTER	0x464c0001u
#define VHOST_USER_FILTER_MACS		16
struct vhost_user_filter {
	uint32_t flags;
	uint32_t n_macs;		/* 0..VHOST_USER_FILTER_MACS */
	uint32_t hash_shift;		/* 0, 2, 3, 4; only with FILTER_HASH */
	uint32_t reserved;		/* 0 */
	uint8_t mac[VHOST_USER_FILTER_MACS][6];
	uint32_t hash_table[128];	/* bit (d[4] | d[5] << 8) >> hash_shift & 0xfff of the address */
	uint32_t vlan_table[128];	/* bit VID; only with FILTER_VLAN, for tagged frames */
};
#define VHOST_USER_FILTER_PROMISC	0x01u	/* addresses are not looked at */
#define VHOST_USER_FILTER_ALL_UNICAST	0x02u
#define VHOST_USER_FILTER_ALL_MULTICAST	0x04u
#define VHOST_USER_FILTER_BROADCAST	0x08u
#define VHOST_USER_FILTER_HASH		0x10u	/* multicast by hash_table */
#define VHOST_USER_FILTER_VLAN		0x20u

union vhost_user_payload {
	uint64_t u64;
	struct vhost_user_vring_state state;
	struct vhost_user_vring_addr addr;
	struct vhost_user_memory memory;
	struct vhost_user_filter filter;
};

_Static_assert(sizeof(struct vhost_user_hdr) == 12, "header");
_Static_assert(sizeof(struct vhost_user_vring_addr) == 40, "ring addresses");
_Static_assert(offsetof(struct vhost_user_vring_addr, used) == 16, "used ring comes second");
_Static_assert(sizeof(struct vhost_user_region) == 32, "region");
_Static_assert(sizeof(struct vhost_user_memory) == VHOST_USER_MEMORY_SIZE(VHOST_USER_MAX_REGIONS), "memory");
_Static_assert(offsetof(struct vhost_user_filter, hash_table) == 112, "filter");
_Static_assert(sizeof(struct vhost_user_filter) == 1136, "filter size");

#endif
