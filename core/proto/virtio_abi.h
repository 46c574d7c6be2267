/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What any virtio driver and its device agree upon: PCI transport, device status, features of the
 * ring, split and packed rings. Shared by the device models, the switch and the guest's drivers, so it is
 * freestanding and defines nothing but constants and wire structures, all little endian. Follows
 * "Virtual I/O Device (VIRTIO) Version 1.2" (OASIS, CS01 of 1 July 2022); the numbers at the right
 * are its sections. Left out: the legacy interface, MMIO and CCW transports.
 */
#ifndef CORE_PROTO_VIRTIO_ABI_H
#define CORE_PROTO_VIRTIO_ABI_H

#include <stddef.h>
#include <stdint.h>

#define VIRTIO_BIT(n)			(UINT64_C(1) << (n))

/* ---- PCI transport -------------------------------------------------------------------------- */
#define VIRTIO_PCI_VENDOR		0x1af4						/* 4.1.2 */
#define VIRTIO_PCI_DEVICE_BASE		0x1040		/* plus the device type */
#define VIRTIO_PCI_REVISION		1		/* at least, for a modern device */

struct virtio_pci_cap {									/* 4.1.4 */
	uint8_t cap_vndr;		/* 0x09 */
	uint8_t cap_next;
	uint8_t cap_len;
	uint8_t cfg_type;
	uint8_t bar;			/* 0-5 */
	uint8_t id;
	uint8_t padding[2];
	uint32_t offset;		/* in the BAR */
	uint32_t length;
};
#define VIRTIO_PCI_CAP_VNDR		0x09
/* cfg_type */
#define VIRTIO_PCI_CAP_COMMON_CFG	1						/* 4.1.4.3 */
#define VIRTIO_PCI_CAP_NOTIFY_CFG	2						/* 4.1.4.4 */
#define VIRTIO_PCI_CAP_ISR_CFG		3						/* 4.1.4.5 */
#define VIRTIO_PCI_CAP_DEVICE_CFG	4						/* 4.1.4.6 */
#define VIRTIO_PCI_CAP_PCI_CFG		5						/* 4.1.4.9 */
#define VIRTIO_PCI_CAP_SHARED_MEMORY	8						/* 4.1.4.7 */
#define VIRTIO_PCI_CAP_VENDOR_CFG	9						/* 4.1.4.8 */

struct virtio_pci_notify_cap {								/* 4.1.4.4 */
	struct virtio_pci_cap cap;
	uint32_t notify_off_multiplier;	/* address = offset + queue_notify_off * this */
};

struct virtio_pci_cfg_cap {								/* 4.1.4.9 */
	struct virtio_pci_cap cap;
	uint8_t pci_cfg_data[4];	/* window onto cap.bar, cap.offset, cap.length */
};

struct virtio_pci_common_cfg {								/* 4.1.4.3 */
	uint32_t device_feature_select;	/* RW: which 32 bits of the features */
	uint32_t device_feature;	/* RO */
	uint32_t driver_feature_select;	/* RW */
	uint32_t driver_feature;	/* RW */
	uint16_t config_msix_vector;	/* RW */
	uint16_t num_queues;		/* RO */
	uint8_t device_status;		/* RW, 0 resets */
	uint8_t config_generation;	/* RO */
	uint16_t queue_select;		/* RW; all below are of this queue */
	uint16_t queue_size;		/* RW, 0: there is none */
	uint16_t queue_msix_vector;	/* RW */
	uint16_t queue_enable;		/* RW, 1 only */
	uint16_t queue_notify_off;	/* RO */
	uint64_t queue_desc;		/* RW, as two 32-bit halves */
	uint64_t queue_driver;		/* RW, available ring */
	uint64_t queue_device;		/* RW, used ring */
	uint16_t queue_notify_data;	/* RO, with NOTIFICATION_DATA */
	uint16_t queue_reset;		/* RW, with RING_RESET */
};
/* the same as offsets, for those who dispatch on them */
#define VIRTIO_PCI_COMMON_DFSELECT	0x00
#define VIRTIO_PCI_COMMON_DF		0x04
#define VIRTIO_PCI_COMMON_GFSELECT	0x08
#define VIRTIO_PCI_COMMON_GF		0x0c
#define VIRTIO_PCI_COMMON_MSIX		0x10
#define VIRTIO_PCI_COMMON_NUMQ		0x12
#define VIRTIO_PCI_COMMON_STATUS	0x14
#define VIRTIO_PCI_COMMON_CFGGENERATION	0x15
#define VIRTIO_PCI_COMMON_Q_SELECT	0x16
#define VIRTIO_PCI_COMMON_Q_SIZE	0x18
#define VIRTIO_PCI_COMMON_Q_MSIX	0x1a
#define VIRTIO_PCI_COMMON_Q_ENABLE	0x1c
#define VIRTIO_PCI_COMMON_Q_NOFF	0x1e
#define VIRTIO_PCI_COMMON_Q_DESCLO	0x20
#define VIRTIO_PCI_COMMON_Q_DESCHI	0x24
#define VIRTIO_PCI_COMMON_Q_AVAILLO	0x28
#define VIRTIO_PCI_COMMON_Q_AVAILHI	0x2c
#define VIRTIO_PCI_COMMON_Q_USEDLO	0x30
#define VIRTIO_PCI_COMMON_Q_USEDHI	0x34
#define VIRTIO_PCI_COMMON_Q_NDATA	0x38
#define VIRTIO_PCI_COMMON_Q_RESET	0x3a
#define VIRTIO_PCI_COMMON_SIZE		0x3c		/* with the two fields of 1.2 */
#define VIRTIO_MSI_NO_VECTOR		0xffff						/* 4.1.5.1.2 */
#define VIRTIO_PCI_ISR_QUEUE		VIRTIO_BIT(0)	/* cleared by read		 4.1.4.5 */
#define VIRTIO_PCI_ISR_CONFIG		VIRTIO_BIT(1)

/* ---- Device status --------------------------------------------------------------------- 2.1 */
#define VIRTIO_STATUS_ACKNOWLEDGE	1
#define VIRTIO_STATUS_DRIVER		2
#define VIRTIO_STATUS_DRIVER_OK		4
#define VIRTIO_STATUS_FEATURES_OK	8
#define VIRTIO_STATUS_NEEDS_RESET	64
#define VIRTIO_STATUS_FAILED		128

/* ---- Feature bits of any device: numbers, for VIRTIO_BIT() -------------------------------- 6 */
#define VIRTIO_F_RING_INDIRECT_DESC	28
#define VIRTIO_F_RING_EVENT_IDX		29
#define VIRTIO_F_VERSION_1		32
#define VIRTIO_F_ACCESS_PLATFORM	33
#define VIRTIO_F_RING_PACKED		34
#define VIRTIO_F_IN_ORDER		35
#define VIRTIO_F_ORDER_PLATFORM		36
#define VIRTIO_F_SR_IOV			37
#define VIRTIO_F_NOTIFICATION_DATA	38
#define VIRTIO_F_NOTIF_CONFIG_DATA	39
#define VIRTIO_F_RING_RESET		40

/* ---- Split rings ------------------------------------------------------------------------ 2.7 */
#define VIRTQ_MAX_SIZE			32768						/* 2.7 */

struct virtq_desc {									/* 2.7.5 */
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};
#define VIRTQ_DESC_F_NEXT		1
#define VIRTQ_DESC_F_WRITE		2		/* the device writes */
#define VIRTQ_DESC_F_INDIRECT		4						/* 2.7.5.3 */

struct virtq_avail {									/* 2.7.6 */
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];		/* queue size entries, then used_event */
};
#define VIRTQ_AVAIL_F_NO_INTERRUPT	1

struct virtq_used_elem {								/* 2.7.8 */
	uint32_t id;
	uint32_t len;			/* bytes written */
};

struct virtq_used {									/* 2.7.8 */
	uint16_t flags;
	uint16_t idx;
	struct virtq_used_elem ring[];	/* queue size entries, then avail_event */
};
#define VIRTQ_USED_F_NO_NOTIFY		1

#define VIRTQ_DESC_ALIGN		16						/* 2.7 */
#define VIRTQ_AVAIL_ALIGN		2
#define VIRTQ_USED_ALIGN		4
#define VIRTQ_DESC_SIZE(n)		(16u * (n))
#define VIRTQ_AVAIL_SIZE(n)		(6u + 2u * (n))	/* with used_event */
#define VIRTQ_USED_SIZE(n)		(6u + 8u * (n))	/* with avail_event */
#define VIRTQ_USED_EVENT_OFFSET(n)	(4u + 2u * (n))	/* in the available ring	 2.7.7 */
#define VIRTQ_AVAIL_EVENT_OFFSET(n)	(4u + 8u * (n))	/* in the used ring		 2.7.10 */

/*
 * Whether moving an index from old_idx to new_idx passes the event the other side asked for.
 * Indices are free running, all arithmetic is modulo 65536 (2.7.7.1, 2.7.10.1).
 */
static inline int virtq_need_event(uint16_t event, uint16_t new_idx, uint16_t old_idx)
{
	return (uint16_t)(new_idx - event - 1) < (uint16_t)(new_idx - old_idx);
}

/* ---- Packed rings ----------------------------------------------------------------------- 2.8 - */
struct pvirtq_desc {									/* 2.8.13 */
	uint64_t addr;
	uint32_t len;
	uint16_t id;			/* of the buffer; in its last descriptor */
	uint16_t flags;			/* VIRTQ_DESC_F_*, and these two */
};
#define VIRTQ_DESC_F_AVAIL		(1u << 7)	/* the driver's wrap counter	 2.8.1 */
#define VIRTQ_DESC_F_USED		(1u << 15)	/* available: its inverse; used: the same */

struct pvirtq_event {									/* 2.8.14 */
	uint16_t off_wrap;		/* descriptor's place, bit 15 the wrap counter */
	uint16_t flags;
};
#define PVIRTQ_EVENT_WRAP		(1u << 15)
#define PVIRTQ_EVENT_ENABLE		0						/* 2.8.10 */
#define PVIRTQ_EVENT_DISABLE		1
#define PVIRTQ_EVENT_DESC		2		/* at that descriptor; with EVENT_IDX */
#define PVIRTQ_EVENT_ALIGN		4

_Static_assert(sizeof(struct virtio_pci_cap) == 16, "capability");
_Static_assert(offsetof(struct virtio_pci_cap, offset) == 8, "capability offset");
_Static_assert(sizeof(struct virtio_pci_notify_cap) == 20, "notify capability");
_Static_assert(sizeof(struct virtio_pci_cfg_cap) == 20, "configuration access capability");
_Static_assert(offsetof(struct virtio_pci_common_cfg, device_status) == VIRTIO_PCI_COMMON_STATUS, "status");
_Static_assert(offsetof(struct virtio_pci_common_cfg, queue_select) == VIRTIO_PCI_COMMON_Q_SELECT, "select");
_Static_assert(offsetof(struct virtio_pci_common_cfg, queue_notify_off) == VIRTIO_PCI_COMMON_Q_NOFF, "notify");
_Static_assert(offsetof(struct virtio_pci_common_cfg, queue_desc) == VIRTIO_PCI_COMMON_Q_DESCLO, "desc");
_Static_assert(offsetof(struct virtio_pci_common_cfg, queue_device) == VIRTIO_PCI_COMMON_Q_USEDLO, "used");
_Static_assert(offsetof(struct virtio_pci_common_cfg, queue_reset) == VIRTIO_PCI_COMMON_Q_RESET, "reset");
_Static_assert(sizeof(struct pvirtq_desc) == 16, "packed descriptor");
_Static_assert(offsetof(struct pvirtq_desc, flags) == 14, "packed descriptor's flags");
_Static_assert(sizeof(struct pvirtq_event) == 4, "event suppression");
_Static_assert(sizeof(struct virtq_desc) == 16, "descriptor");
_Static_assert(offsetof(struct virtq_avail, ring) == 4, "available ring");
_Static_assert(sizeof(struct virtq_used_elem) == 8, "used element");
_Static_assert(offsetof(struct virtq_used, ring) == 4, "used ring");

#endif
