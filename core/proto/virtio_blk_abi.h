/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a virtio-blk driver and its device agree upon besides virtio_abi.h: features, configuration,
 * requests. Shared by the device model and the guest's driver, so it is freestanding and defines
 * nothing but constants and wire structures, all little endian. Follows "Virtual I/O Device (VIRTIO)
 * Version 1.2" (OASIS, CS01 of 1 July 2022); the numbers at the right are its sections. Left out:
 * the legacy interface, geometry's use, lifetime, secure erase.
 */
#ifndef CORE_PROTO_VIRTIO_BLK_ABI_H
#define CORE_PROTO_VIRTIO_BLK_ABI_H

#include "core/proto/virtio_abi.h"

#define VIRTIO_ID_BLOCK			2						/* 5.2.1 */
#define VIRTIO_PCI_DEVICE_BLOCK		0x1042
#define VIRTIO_BLK_SECTOR		512		/* bytes: the unit of every request */

/* ---- Feature bits: numbers, for VIRTIO_BIT() -------------------------------------------- 5.2.3 */
#define VIRTIO_BLK_F_SIZE_MAX		1
#define VIRTIO_BLK_F_SEG_MAX		2
#define VIRTIO_BLK_F_GEOMETRY		4
#define VIRTIO_BLK_F_RO			5
#define VIRTIO_BLK_F_BLK_SIZE		6
#define VIRTIO_BLK_F_FLUSH		9
#define VIRTIO_BLK_F_TOPOLOGY		10
#define VIRTIO_BLK_F_CONFIG_WCE		11
#define VIRTIO_BLK_F_MQ			12
#define VIRTIO_BLK_F_DISCARD		13
#define VIRTIO_BLK_F_WRITE_ZEROES	14
#define VIRTIO_BLK_F_LIFETIME		15
#define VIRTIO_BLK_F_SECURE_ERASE	16

/* ---- Configuration ---------------------------------------------------------------------- 5.2.4 */
struct virtio_blk_config {
	uint64_t capacity;		/* sectors */
	uint32_t size_max;		/* SIZE_MAX: bytes of a segment */
	uint32_t seg_max;		/* SEG_MAX: segments of a request */
	uint16_t cylinders;		/* GEOMETRY */
	uint8_t heads, sectors;
	uint32_t blk_size;		/* BLK_SIZE: bytes, what the driver had best use */
	uint8_t physical_block_exp;	/* TOPOLOGY: log2 of logical blocks a physical one */
	uint8_t alignment_offset;	/* of the first aligned logical block */
	uint16_t min_io_size;		/* logical blocks */
	uint32_t opt_io_size;		/* logical blocks */
	uint8_t writeback;		/* CONFIG_WCE: RW, 1 caches writes until a flush */
	uint8_t unused0;
	uint16_t num_queues;		/* MQ */
	uint32_t max_discard_sectors;	/* DISCARD */
	uint32_t max_discard_seg;
	uint32_t discard_sector_alignment;
	uint32_t max_write_zeroes_sectors; /* WRITE_ZEROES */
	uint32_t max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
} __attribute__((packed));

/* ---- Requests --------------------------------------------------------------------------- 5.2.6 */
struct virtio_blk_req_hdr {		/* then data, then one byte of status */
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};
/* type */
#define VIRTIO_BLK_T_IN			0
#define VIRTIO_BLK_T_OUT		1
#define VIRTIO_BLK_T_FLUSH		4
#define VIRTIO_BLK_T_GET_ID		8
#define VIRTIO_BLK_T_GET_LIFETIME	10
#define VIRTIO_BLK_T_DISCARD		11
#define VIRTIO_BLK_T_WRITE_ZEROES	13
#define VIRTIO_BLK_T_SECURE_ERASE	14
/* status */
#define VIRTIO_BLK_S_OK			0
#define VIRTIO_BLK_S_IOERR		1
#define VIRTIO_BLK_S_UNSUPP		2

#define VIRTIO_BLK_ID_BYTES		20		/* GET_ID: a text, with 0 behind a short one */

struct virtio_blk_range {		/* the data of DISCARD and WRITE_ZEROES: an array of these */
	uint64_t sector;
	uint32_t num_sectors;
	uint32_t flags;
};
#define VIRTIO_BLK_RANGE_F_UNMAP	1		/* WRITE_ZEROES: the sectors may be given back */

_Static_assert(sizeof(struct virtio_blk_config) == 60, "block configuration");
_Static_assert(offsetof(struct virtio_blk_config, seg_max) == 12, "segments");
_Static_assert(offsetof(struct virtio_blk_config, blk_size) == 20, "block size");
_Static_assert(offsetof(struct virtio_blk_config, physical_block_exp) == 24, "topology");
_Static_assert(offsetof(struct virtio_blk_config, writeback) == 32, "cache mode");
_Static_assert(offsetof(struct virtio_blk_config, num_queues) == 34, "queues");
_Static_assert(offsetof(struct virtio_blk_config, max_discard_sectors) == 36, "discard");
_Static_assert(offsetof(struct virtio_blk_config, max_write_zeroes_sectors) == 48, "write zeroes");
_Static_assert(offsetof(struct virtio_blk_config, write_zeroes_may_unmap) == 56, "unmap");
_Static_assert(sizeof(struct virtio_blk_req_hdr) == 16, "request header");
_Static_assert(sizeof(struct virtio_blk_range) == 16, "range");

#endif
