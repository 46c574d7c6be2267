/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of iommu/ share among themselves: the firmware's tables in a form that can be
 * walked, what a unit's registers say, and the kernel's words. Nothing here is for other folders.
 */
#ifndef IOMMU_PRIV_H
#define IOMMU_PRIV_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/host.h"
#include "iommu/iommu.h"

/* --- ACPI tables ---------------------------------------------------------- */
#define ACPI_TABLE_MAX (1u << 20) /* bytes; a larger one is refused */
#define ACPI_PARTS_MAX 4096u      /* structures in a table, scopes in a structure */
#define ACPI_PATH_MAX  16u        /* bridges on the way to a device */
#define ACPI_WHY_SIZE  160

/*
 * acpi_load - the table of that name ("DMAR") from SYSFS/firmware/acpi/tables, freed by the caller.
 * -ENOENT: there is none; -EACCES: not for us; -EFBIG; -ENOMEM. No message.
 */
int acpi_load(const char *sysfs, const char *name, uint8_t **out, size_t *size);

/*
 * acpi_check - signature, length and checksum; `head` is the least that a table of this kind has.
 * Gives the table's own length, or -EBADMSG and the reason in why[ACPI_WHY_SIZE].
 */
int acpi_check(const uint8_t *data, size_t size, const char *name, size_t head, char *why);

/* acpi_bad - the reason into why; gives -EBADMSG. */
int acpi_bad(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* acpi_grow - room for one more item in an array of n; the new one is all zero. NULL when memory is
 * short, the array is then as it was. */
void *acpi_grow(void **array, size_t n, size_t item_size);

/* One device of a DMAR structure: the bus it starts from, then device and function at each step. */
struct dmar_device {
	uint8_t type, id, bus, n_path;
	struct {
		uint8_t dev, fn;
	} path[ACPI_PATH_MAX];
};

/* Any structure of a DMAR; what does not belong to its type is 0. */
struct dmar_entry {
	uint16_t type; /* enum dmar_part_type */
	uint8_t flags;
	uint16_t segment;
	uint64_t first, last; /* RMRR; DRHD and RHSA: the unit's registers begin at first */
	uint32_t node;        /* RHSA */
	uint8_t number;       /* ANDD */
	char name[32];        /* ANDD, cut */
	struct dmar_device *device;
	size_t n_devices;
};

struct dmar {
	unsigned int address_bits;
	uint8_t flags; /* DMAR_INTR_REMAP, ... */
	struct dmar_entry *entry;
	size_t n_entries;
	unsigned int n_unknown; /* structures of types that this program does not know */
};

/*
 * dmar_parse - a DMAR as bytes, trusted in nothing. 0 and *out (emptied by dmar_free()), or
 * -EBADMSG with the reason in why[ACPI_WHY_SIZE], -ENOMEM; then there is nothing to free.
 */
int dmar_parse(const uint8_t *data, size_t size, struct dmar *out, char *why);
void dmar_free(struct dmar *d);

/* A device entry of an IVHD. */
struct ivrs_device {
	uint8_t type;         /* enum ivrs_dev_type, that of the start for a range */
	uint8_t setting;      /* data setting: bit 7 LINT1 ... bit 0 INIT pass */
	uint16_t first, last; /* device ids; the same for one device */
	uint16_t source;      /* alias or special */
	uint8_t handle, variety;
	char hid[9]; /* ACPI */
};

struct ivrs_unit {
	uint8_t type, flags; /* IVRS_IVHD_* */
	uint16_t device, capability, segment, info;
	uint64_t address;
	uint32_t features;
	uint64_t efr; /* types 11h and 40h */
	struct ivrs_device *dev;
	size_t n_devs;
};

struct ivrs_memory {
	uint8_t type, flags; /* IVRS_IVMD_* */
	uint16_t segment, first_device, last_device;
	uint64_t first, last;
};

struct ivrs {
	uint32_t info;
	struct ivrs_unit *unit;
	size_t n_units;
	struct ivrs_memory *memory;
	size_t n_memory;
	unsigned int n_unknown;
};

/* ivrs_parse, ivrs_free - as dmar_parse(). */
int ivrs_parse(const uint8_t *data, size_t size, struct ivrs *out, char *why);
void ivrs_free(struct ivrs *v);

/* --- what `fourlane host` shows ------------------------------------------- */
/* iommu_units_json - one object for each unit that the kernel drives (SYSFS/class/iommu): what its
 * registers say, and a line for people ("means"). New reference. */
json_t *iommu_units_json(const struct host_view *v);
/* iommu_unit_kind - "vt-d", "amd-vi" or "other", by the name that the kernel gave a unit. */
const char *iommu_unit_kind(const char *unit);

/* iommu_firmware_json - the firmware's table, {"table": "DMAR", ...}; "error" holds the reason when
 * it is refused or cannot be read. New reference; JSON null when there is no table. */
json_t *iommu_firmware_json(const char *sysfs);
/* iommu_firmware_owner - the devices, as the table names them, for which firmware keeps the memory
 * from `first` on mapped. False when the table has no such memory. */
bool iommu_firmware_owner(const json_t *firmware, uint64_t first, char *buf, size_t size);

/* iommu_words_json - the kernel's parameters that matter for assignment, with what they mean. New
 * reference. */
json_t *iommu_words_json(const struct host_view *v);
/* iommu_word_given - the boot line has NAME=...,WORD,... ("intel_iommu", "off"). */
bool iommu_word_given(const struct host_view *v, const char *name, const char *word);
/* iommu_unsafe_interrupts - vfio_iommu_type1 may do without interrupt remapping. */
bool iommu_unsafe_interrupts(const struct host_view *v);

/* --- what `fourlane groups` shows ----------------------------------------- */
/* iommu_verdict_word - "can be assigned", ... */
const char *iommu_verdict_word(enum iommu_verdict v);
/* iommu_reserved_means - what a kind of reserved window means for guests. */
const char *iommu_reserved_means(const char *kind);
/* iommu_groups_json - the whole object of `fourlane groups --json`. New reference. */
json_t *iommu_groups_json(const char *sysfs, struct iommu_group *const *all, size_t n);

#endif
