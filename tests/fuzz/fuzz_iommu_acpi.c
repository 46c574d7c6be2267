/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: firmware's DMAR and IVRS tables. The input is a table; it is read as it is, and a
 * second time with signature, length and checksum put right, so that the structures behind the
 * header are reached. Besides memory safety it checks what the readers promise about what they
 * accept.
 */
#include <stdlib.h>
#include <string.h>

#include "iommu/acpi_abi.h"
#include "iommu/iommu_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int fuzz_seeds(size_t i, const uint8_t **data, size_t *size);

static void expect(bool good)
{
	if (!good)
		abort();
}

static void fuzz_dmar(const uint8_t *data, size_t size)
{
	char why[ACPI_WHY_SIZE] = "";
	struct dmar d;

	if (dmar_parse(data, size, &d, why) < 0) {
		expect(why[0] && !d.entry);
		return;
	}
	expect(d.n_entries <= ACPI_PARTS_MAX && d.address_bits <= 64);
	for (size_t i = 0; i < d.n_entries; i++) {
		const struct dmar_entry *e = &d.entry[i];

		expect(e->type <= DMAR_SIDP && memchr(e->name, '\0', sizeof(e->name)));
		expect(e->type != DMAR_RMRR || e->last > e->first);
		expect(e->n_devices <= size / 8);
		for (size_t k = 0; k < e->n_devices; k++) {
			const struct dmar_device *v = &e->device[k];

			expect(v->n_path >= 1 && v->n_path <= ACPI_PATH_MAX);
			for (size_t p = 0; p < v->n_path; p++)
				expect(v->path[p].dev < 32 && v->path[p].fn < 8);
		}
	}
	dmar_free(&d);
}

static void fuzz_ivrs(const uint8_t *data, size_t size)
{
	char why[ACPI_WHY_SIZE] = "";
	struct ivrs v;

	if (ivrs_parse(data, size, &v, why) < 0) {
		expect(why[0] && !v.unit && !v.memory);
		return;
	}
	expect(v.n_units + v.n_memory <= ACPI_PARTS_MAX);
	for (size_t i = 0; i < v.n_units; i++) {
		expect(v.unit[i].n_devs <= size / 4);
		for (size_t k = 0; k < v.unit[i].n_devs; k++) {
			const struct ivrs_device *d = &v.unit[i].dev[k];

			expect(d->last >= d->first && memchr(d->hid, '\0', sizeof(d->hid)));
		}
	}
	for (size_t i = 0; i < v.n_memory; i++)
		expect(v.memory[i].last >= v.memory[i].first &&
		       v.memory[i].last_device >= v.memory[i].first_device);
	ivrs_free(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "DMAR", "IVRS" };
	struct acpi_sdt sdt;
	uint8_t *copy, sum = 0;

	fuzz_dmar(data, size);
	fuzz_ivrs(data, size);
	if (size < sizeof(sdt))
		return 0;
	copy = malloc(size);
	expect(copy != NULL);
	memcpy(copy, data, size);
	memcpy(&sdt, data, sizeof(sdt));
	memcpy(sdt.signature, names[memcmp(data, "IVRS", 4) == 0], 4);
	sdt.length = (uint32_t)size;
	sdt.checksum = 0;
	memcpy(copy, &sdt, sizeof(sdt));
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + copy[i]);
	copy[offsetof(struct acpi_sdt, checksum)] = (uint8_t)-sum;
	fuzz_dmar(copy, size);
	fuzz_ivrs(copy, size);
	free(copy);
	return 0;
}

/* --- seeds: one table of each kind with every structure in it --- */
/* clang-format off */
static const uint8_t seed_dmar[] = {
	'D', 'M', 'A', 'R', 0, 0, 0, 0, 1, 0, 'F', 'L', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	46, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* DRHD: a device, an IOAPIC, a bridge two steps down */
	0, 0, 42, 0, 1, 0, 0, 0, 0x00, 0x00, 0xd9, 0xfe, 0, 0, 0, 0,
	1, 8, 0, 0, 0, 0, 2, 0, 3, 8, 0, 0, 2, 0xf0, 31, 0, 2, 10, 0, 0, 0, 0, 28, 0, 0, 0,
	/* RMRR */
	1, 0, 32, 0, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0x7b, 0, 0, 0, 0, 0xff, 0xff, 0x7f, 0x7b, 0, 0, 0, 0, 1, 8, 0, 0, 0, 0, 20, 0,
	/* ATSR, RHSA, ANDD, SATC, SIDP, one of the future */
	2, 0, 16, 0, 0, 0, 0, 0, 2, 8, 0, 0, 0, 0, 1, 0,
	3, 0, 20, 0, 0, 0, 0, 0, 0x00, 0x00, 0xd9, 0xfe, 0, 0, 0, 0, 1, 0, 0, 0,
	4, 0, 20, 0, 0, 0, 0, 1, '\\', '_', 'S', 'B', '.', 'I', '2', 'C', '0', 0, 0, 0,
	5, 0, 16, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 3, 0,
	6, 0, 16, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 4, 0,
	9, 0, 8, 0, 1, 2, 3, 4,
};
static const uint8_t seed_ivrs[] = {
	'I', 'V', 'R', 'S', 0, 0, 0, 0, 2, 0, 'F', 'L', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0x01, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* IVHD 10h: all; a range; padding; the IOAPIC */
	0x10, 0, 48, 0, 2, 0, 0x40, 0, 0, 0, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	1, 0, 0, 0, 3, 8, 0, 0, 4, 0xff, 0, 0, 0, 0, 0, 0, 0x48, 0, 0, 0, 1, 0xa0, 0, 1,
	/* IVHD 11h: one, an alias, a range of aliases */
	0x11, 0, 64, 0, 2, 0, 0x40, 0, 0, 0, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd3, 0x29, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	2, 0x10, 0, 0, 0x42, 0, 2, 0, 0, 0, 1, 0, 0x43, 0, 3, 0, 0, 0, 3, 0, 4, 0xff, 3, 0,
	/* IVHD 40h: an ACPI device, one with extended data */
	0x40, 0, 74, 0, 2, 0, 0x40, 0, 0, 0, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd3, 0x29, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0xf0, 0xa5, 0, 0, 'A', 'M', 'D', 'I', '0', '0', '2', '0', 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, '\\', '_', 'S', 'B',
	0x46, 0x20, 0, 0, 0, 0, 0, 0,
	/* IVMD for all, one and a range */
	0x20, 8, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,
	0x21, 7, 32, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,
	0x22, 7, 32, 0, 0x10, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7c, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,
};
/* clang-format on */

int fuzz_seeds(size_t i, const uint8_t **data, size_t *size)
{
	if (i > 1)
		return 0;
	*data = i ? seed_ivrs : seed_dmar;
	*size = i ? sizeof(seed_ivrs) : sizeof(seed_dmar);
	return 1;
}
