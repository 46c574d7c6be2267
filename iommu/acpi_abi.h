/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables in which firmware describes an IOMMU, as bytes: DMAR (Intel Virtualization
 * Technology for Directed I/O, revision 4.1, chapter 8) and IVRS (AMD I/O Virtualization
 * Technology Specification, 48882, chapter 5). Little endian, nothing aligned: copy
 * before use. Constants and structures only. The sections stand at the right.
 */
#ifndef IOMMU_ACPI_ABI_H
#define IOMMU_ACPI_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct acpi_sdt {					/* ACPI 6.5, 5.2.6 */
	char signature[4];
	uint32_t length;		/* of the whole table */
	uint8_t revision, checksum;	/* all bytes of the table add up to 0 */
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));
static_assert(sizeof(struct acpi_sdt) == 36, "ACPI table header");

/* ---- DMAR ------------------------------------------------------------------------------------- */
struct dmar_head {					/* 8.1 */
	struct acpi_sdt sdt;
	uint8_t address_width;		/* of DMA, minus 1 */
	uint8_t flags;
	uint8_t reserved[10];
} __attribute__((packed));
static_assert(sizeof(struct dmar_head) == 48, "DMAR header");
#define DMAR_INTR_REMAP		0x01	/* the platform can remap interrupts */
#define DMAR_X2APIC_OPT_OUT	0x02	/* firmware asks not to use x2APIC */
#define DMAR_OPT_IN		0x04	/* firmware asks for DMA protection from boot on */

struct dmar_part {					/* 8.2 */
	uint16_t type;
	uint16_t length;		/* with its scopes */
} __attribute__((packed));
enum dmar_part_type {
	DMAR_DRHD = 0,	/* a remapping unit			8.3 */
	DMAR_RMRR = 1,	/* memory that firmware keeps mapped	8.4 */
	DMAR_ATSR = 2,	/* ports with address translation services	8.5 */
	DMAR_RHSA = 3,	/* NUMA node of a unit			8.6 */
	DMAR_ANDD = 4,	/* a device that is not PCI		8.7 */
	DMAR_SATC = 5,	/* integrated devices with ATS		8.8 */
	DMAR_SIDP = 6,	/* integrated devices with properties	8.9 */
};

struct dmar_drhd {					/* 8.3 */
	struct dmar_part part;
	uint8_t flags, size;
	uint16_t segment;
	uint64_t address;
} __attribute__((packed));
static_assert(sizeof(struct dmar_drhd) == 16, "DRHD");
#define DMAR_DRHD_ALL	0x01	/* every function of the segment that no other unit names */

struct dmar_rmrr {					/* 8.4 */
	struct dmar_part part;
	uint16_t reserved, segment;
	uint64_t first, last;
} __attribute__((packed));
static_assert(sizeof(struct dmar_rmrr) == 24, "RMRR");

struct dmar_atsr {					/* 8.5, 8.8, 8.9: ATSR, SATC, SIDP */
	struct dmar_part part;
	uint8_t flags, reserved;
	uint16_t segment;
} __attribute__((packed));
static_assert(sizeof(struct dmar_atsr) == 8, "ATSR");
#define DMAR_ATSR_ALL		0x01	/* every root port of the segment */
#define DMAR_SATC_REQUIRED	0x01	/* the devices need it */

struct dmar_rhsa {					/* 8.6 */
	struct dmar_part part;
	uint32_t reserved;
	uint64_t address;		/* of the unit */
	uint32_t node;
} __attribute__((packed));
static_assert(sizeof(struct dmar_rhsa) == 20, "RHSA");

struct dmar_andd {					/* 8.7: the name follows, ends in NUL */
	struct dmar_part part;
	uint8_t reserved[3], number;
} __attribute__((packed));
static_assert(sizeof(struct dmar_andd) == 8, "ANDD");

struct dmar_scope {					/* 8.3.1: pairs of device, function follow */
	uint8_t type, length;
	uint8_t flags, reserved;
	uint8_t id, bus;
} __attribute__((packed));
static_assert(sizeof(struct dmar_scope) == 6, "device scope");
enum dmar_scope_type {
	DMAR_SCOPE_ENDPOINT = 1,
	DMAR_SCOPE_BRIDGE = 2,	/* and all below it */
	DMAR_SCOPE_IOAPIC = 3,
	DMAR_SCOPE_HPET = 4,
	DMAR_SCOPE_ACPI = 5,
};

/* ---- IVRS ------------------------------------------------------------------------------------- */
struct ivrs_head {
	struct acpi_sdt sdt;
	uint32_t info;
	uint8_t reserved[8];
} __attribute__((packed));
static_assert(sizeof(struct ivrs_head) == 48, "IVRS header");
#define IVRS_INFO_PA(i)		((i) >> 8 & 0x7f)	/* physical address bits */
#define IVRS_INFO_VA(i)		((i) >> 15 & 0x7f)	/* I/O virtual address bits */
#define IVRS_INFO_HT_ATS	(UINT32_C(1) << 22)	/* the HyperTransport hole is reserved for ATS */

struct ivrs_part {
	uint8_t type, flags;
	uint16_t length;
	uint16_t device;		/* bus << 8 | device << 3 | function */
} __attribute__((packed));
#define IVRS_IVHD_10	0x10		/* a unit, first form */
#define IVRS_IVHD_11	0x11		/* with the feature register in the table */
#define IVRS_IVHD_40	0x40		/* and devices that are not PCI */
#define IVRS_IVMD_ALL	0x20		/* memory that firmware keeps mapped: every device, */
#define IVRS_IVMD_ONE	0x21		/* one, */
#define IVRS_IVMD_RANGE	0x22		/* a range */

struct ivrs_ivhd {
	struct ivrs_part part;
	uint16_t capability;		/* offset of the capability in its config space */
	uint64_t address;		/* of the registers */
	uint16_t segment, info;
	uint32_t features;
} __attribute__((packed));
static_assert(sizeof(struct ivrs_ivhd) == 24, "IVHD type 10h");
#define IVRS_IVHD_LONG_SIZE	40	/* header of types 11h and 40h: EFR at 24, EFR2 at 32 */
#define IVRS_IVHD_EFR		24

struct ivrs_ivmd {
	struct ivrs_part part;
	uint16_t last_device;		/* of a range */
	uint16_t segment;
	uint8_t reserved[6];
	uint64_t address, size;
} __attribute__((packed));
static_assert(sizeof(struct ivrs_ivmd) == 32, "IVMD");
static_assert(offsetof(struct ivrs_ivmd, address) == 16, "IVMD");
#define IVRS_IVMD_UNITY		0x01	/* mapped to itself */
#define IVRS_IVMD_READ		0x02
#define IVRS_IVMD_WRITE		0x04
#define IVRS_IVMD_EXCLUSION	0x08	/* not translated at all */

/* Device entries, by their first byte: 0-3fh are of 4 bytes, -7fh 8, -bfh 16, -efh 32, f0h variable. */
enum ivrs_dev_type {
	IVRS_DEV_PAD = 0x00,
	IVRS_DEV_ALL = 0x01,
	IVRS_DEV_ONE = 0x02,
	IVRS_DEV_START = 0x03,
	IVRS_DEV_END = 0x04,
	IVRS_DEV_ALIAS = 0x42,
	IVRS_DEV_ALIAS_START = 0x43,
	IVRS_DEV_EXT = 0x46,
	IVRS_DEV_EXT_START = 0x47,
	IVRS_DEV_SPECIAL = 0x48,
	IVRS_DEV_HID = 0xf0,
};
struct ivrs_dev8 {		/* the first 4 bytes are those of the short ones */
	uint8_t type;
	uint16_t device;
	uint8_t setting;
	uint8_t handle;			/* SPECIAL: id of the IOAPIC or HPET */
	uint16_t source;		/* ALIAS: source id; SPECIAL: the device id that it uses */
	uint8_t variety;		/* SPECIAL: 1 IOAPIC, 2 HPET */
} __attribute__((packed));
static_assert(sizeof(struct ivrs_dev8) == 8, "IVHD device entry");
#define IVRS_DEV_HID_NAME	4	/* 8 bytes of name */
#define IVRS_DEV_HID_UID_SIZE	21	/* length of what follows */
#define IVRS_DEV_HID_SIZE	22

#endif
