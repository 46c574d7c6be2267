/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DMAR and IVRS: tables as recorded in the software host, made-up ones with every structure, and
 * bad ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "helper_tree_file.h"
#include "iommu/iommu_priv.h"

/* --- tables put together by hand; the numbers are those of the specifications --- */
struct table {
	uint8_t data[8192];
	size_t size;
};

static void put(struct table *t, uint64_t v, size_t n)
{
	for (; n; n--, v >>= 8)
		t->data[t->size++] = (uint8_t)v;
}

static void put_text(struct table *t, const char *s, size_t n)
{
	memcpy(t->data + t->size, s, n);
	t->size += n;
}

static void table_begin(struct table *t, const char *name)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->data, name, 4);
	t->size = 48;
}

/* Length and checksum put right. */
static void table_end(struct table *t)
{
	uint8_t sum = 0;

	for (int i = 0; i < 4; i++)
		t->data[4 + i] = (uint8_t)(t->size >> 8 * i);
	t->data[9] = 0;
	for (size_t i = 0; i < t->size; i++)
		sum = (uint8_t)(sum + t->data[i]);
	t->data[9] = (uint8_t)-sum;
}

/* A device scope of one step. */
static void put_scope(struct table *t, unsigned int type, unsigned int id, unsigned int bus,
		      unsigned int dev, unsigned int fn)
{
	put(t, type, 1);
	put(t, 8, 1);
	put(t, 0, 2);
	put(t, id, 1);
	put(t, bus, 1);
	put(t, dev, 1);
	put(t, fn, 1);
}

static void put_drhd(struct table *t, unsigned int length, unsigned int flags, uint64_t address)
{
	put(t, 0, 2);
	put(t, length, 2);
	put(t, flags, 1);
	put(t, 0, 1);
	put(t, 0, 2);
	put(t, address, 8);
}

static void put_rmrr(struct table *t, unsigned int length, uint64_t first, uint64_t last)
{
	put(t, 1, 2);
	put(t, length, 2);
	put(t, 0, 2);
	put(t, 0, 2);
	put(t, first, 8);
	put(t, last, 8);
}

static void put_ivhd(struct table *t, unsigned int type, unsigned int length, uint64_t address)
{
	put(t, type, 1);
	put(t, 0, 1);
	put(t, length, 2);
	put(t, 0x0002, 2); /* 00:00.2 */
	put(t, 0x40, 2);
	put(t, address, 8);
	put(t, 0, 2);
	put(t, 0, 2);
	put(t, 0x80004, 4);
	if (type != 0x10) {
		put(t, 0x29d3, 8);
		put(t, 0, 8);
	}
}

static void put_ivmd(struct table *t, unsigned int type, unsigned int flags, unsigned int first,
		     unsigned int last, uint64_t address, uint64_t size)
{
	put(t, type, 1);
	put(t, flags, 1);
	put(t, 32, 2);
	put(t, first, 2);
	put(t, last, 2);
	put(t, 0, 8);
	put(t, address, 8);
	put(t, size, 8);
}

/* Both readers refuse with a reason that has `word` in it. */
static void refused_dmar(struct table *t, const char *word)
{
	char why[ACPI_WHY_SIZE] = "";
	struct dmar d;
	uint8_t *exact = malloc(t->size); /* so that a read past the end is seen */

	memcpy(exact, t->data, t->size);
	assert_int_equal(dmar_parse(exact, t->size, &d, why), -EBADMSG);
	free(exact);
	if (!strstr(why, word))
		print_message("'%s' lacks '%s'\n", why, word);
	assert_non_null(strstr(why, word));
	assert_null(d.entry);
}

static void refused_ivrs(struct table *t, const char *word)
{
	char why[ACPI_WHY_SIZE] = "";
	struct ivrs v;
	uint8_t *exact = malloc(t->size);

	memcpy(exact, t->data, t->size);
	assert_int_equal(ivrs_parse(exact, t->size, &v, why), -EBADMSG);
	free(exact);
	if (!strstr(why, word))
		print_message("'%s' lacks '%s'\n", why, word);
	assert_non_null(strstr(why, word));
	assert_null(v.unit);
	assert_null(v.memory);
}

/* --- good tables --- */
static void dmar_of_the_software_host_is_read(void **state)
{
	char why[ACPI_WHY_SIZE];
	struct tree t;
	struct dmar d;
	uint8_t *data;
	size_t size;

	tree_create(&t);
	tree_load(&t, "lab_intel");
	assert_int_equal(acpi_load(t.sysfs, "IVRS", &data, &size), -ENOENT);
	assert_int_equal(acpi_load(t.sysfs, "DMAR", &data, &size), 0);
	assert_int_equal(size, 168);
	assert_int_equal(dmar_parse(data, size, &d, why), 0);
	assert_int_equal(d.address_bits, 48);
	assert_int_equal(d.flags, 1);
	assert_int_equal(d.n_entries, 2);
	assert_int_equal(d.entry[0].type, 0);
	assert_true(d.entry[0].first == 0xfed90000);
	assert_int_equal(d.entry[0].device[0].type, 3); /* the IOAPIC */
	assert_int_equal(d.entry[0].device[0].bus, 0xff);
	assert_int_equal(d.entry[1].type, 2);
	assert_int_equal(d.entry[1].flags, 1); /* ATS at every port */
	dmar_free(&d);
	free(data);
	tree_destroy(&t);
}

static void ivrs_of_the_software_host_is_read(void **state)
{
	char why[ACPI_WHY_SIZE];
	struct tree t;
	struct ivrs v;
	uint8_t *data;
	size_t size;

	tree_create(&t);
	tree_load(&t, "lab_amd");
	assert_int_equal(acpi_load(t.sysfs, "IVRS", &data, &size), 0);
	assert_int_equal(ivrs_parse(data, size, &v, why), 0);
	assert_int_equal(v.n_units, 2); /* the same unit in both forms */
	assert_int_equal(v.unit[0].type, 0x10);
	assert_int_equal(v.unit[1].type, 0x11);
	assert_true(v.unit[0].address == 0xfed80000 && v.unit[1].address == 0xfed80000);
	assert_int_equal(v.unit[0].device, 0x0008); /* 00:01.0 */
	assert_true(v.unit[1].efr == 0x29d3);
	assert_int_equal(v.unit[0].dev[0].first, 0x0000);
	assert_int_equal(v.unit[0].dev[v.unit[0].n_devs - 1].variety, 1); /* the IOAPIC */
	assert_int_equal(v.n_memory, 0);
	ivrs_free(&v);
	free(data);
	tree_destroy(&t);
}

static void dmar_with_every_structure_is_read(void **state)
{
	char why[ACPI_WHY_SIZE];
	struct table t;
	struct dmar d;

	table_begin(&t, "DMAR");
	t.data[36] = 38;
	t.data[37] = 0x3;
	put_drhd(&t, 16 + 10, 0, 0xfed90000);
	put(&t, 0x0a02, 2); /* a bridge, two steps away */
	put(&t, 0, 2);
	put(&t, 0x0300, 2);
	put(&t, 0x001c, 2);
	put(&t, 0x0102, 2);
	put_drhd(&t, 16, 1, 0xfed91000);
	put_rmrr(&t, 24 + 8, 0x7b000000, 0x7b7fffff);
	put_scope(&t, 1, 0, 0, 0x14, 0);
	put_text(&t, "\x03\0\x14\0\0\0\0\0\0\0\xd9\xfe\0\0\0\0\x01\0\0\0", 20);
	put_text(&t, "\x04\0\x10\0\0\0\0\x07\\_SB.I2\0", 16);
	put_text(&t, "\x05\0\x10\0\x01\0\0\0\x01\x08\0\0\0\0\x03\0", 16);
	put_text(&t, "\x0a\0\x08\0\x01\x02\x03\x04", 8); /* of a later revision */
	table_end(&t);
	assert_int_equal(dmar_parse(t.data, t.size, &d, why), 0);
	assert_int_equal(d.address_bits, 39);
	assert_int_equal(d.n_entries, 6);
	assert_int_equal(d.n_unknown, 1);
	assert_int_equal(d.entry[0].device[0].n_path, 2);
	assert_int_equal(d.entry[0].device[0].bus, 3);
	assert_int_equal(d.entry[0].device[0].path[0].dev, 0x1c);
	assert_int_equal(d.entry[0].device[0].path[1].dev, 2);
	assert_int_equal(d.entry[0].device[0].path[1].fn, 1);
	assert_int_equal(d.entry[1].flags, 1);
	assert_true(d.entry[2].first == 0x7b000000 && d.entry[2].last == 0x7b7fffff);
	assert_int_equal(d.entry[2].device[0].path[0].dev, 0x14);
	assert_true(d.entry[3].first == 0xfed90000 && d.entry[3].node == 1);
	assert_int_equal(d.entry[4].number, 7);
	assert_string_equal(d.entry[4].name, "\\_SB.I2");
	assert_int_equal(d.entry[5].n_devices, 1);
	dmar_free(&d);
}

static void ivrs_with_every_block_is_read(void **state)
{
	char why[ACPI_WHY_SIZE];
	struct table t;
	struct ivrs v;

	table_begin(&t, "IVRS");
	put_ivhd(&t, 0x40, 40 + 8 + 4 + 8 + 4 + 25 + 8, 0xfd200000);
	put_text(&t, "\x43\x08\x01\x00\x00\x00\x02\x00", 8); /* 01:01.0 to ... as 02:00.0 */
	put_text(&t, "\x04\xff\x01\x00", 4);
	put_text(&t, "\x46\x20\x00\x00\x00\x00\x00\x00", 8);
	put_text(&t, "\x00\x00\x00\x00", 4);
	put_text(&t,
		 "\xf0\xa5\x00\x00"
		 "AMDI0020"
		 "\0\0\0\0\0\0\0\0"
		 "\x02\x03"
		 "\\SB",
		 25);
	put_text(&t, "\x48\x00\x00\x00\x01\xa0\x00\x01", 8);
	put_ivmd(&t, 0x20, 8, 0, 0, 0x7a000000, 0x1000);
	put_ivmd(&t, 0x21, 7, 0x0010, 0, 0x7b000000, 0x100000);
	put_ivmd(&t, 0x22, 7, 0x0010, 0x0020, 0x7c000000, 0x1000);
	put_text(&t, "\x99\x00\x08\x00\x00\x00\x00\x00", 8);
	table_end(&t);
	assert_int_equal(ivrs_parse(t.data, t.size, &v, why), 0);
	assert_int_equal(v.n_units, 1);
	assert_int_equal(v.unit[0].n_devs, 4);
	assert_int_equal(v.unit[0].dev[0].first, 0x0108);
	assert_int_equal(v.unit[0].dev[0].last, 0x01ff);
	assert_int_equal(v.unit[0].dev[0].source, 0x0200);
	assert_string_equal(v.unit[0].dev[2].hid, "AMDI0020");
	assert_int_equal(v.unit[0].dev[3].source, 0x00a0);
	assert_int_equal(v.n_memory, 3);
	assert_int_equal(v.memory[0].last_device, 0xffff);
	assert_true(v.memory[1].first == 0x7b000000 && v.memory[1].last == 0x7b0fffff);
	assert_int_equal(v.memory[1].last_device, 0x0010);
	assert_int_equal(v.memory[2].last_device, 0x0020);
	assert_int_equal(v.n_unknown, 1);
	ivrs_free(&v);
}

/* --- bad tables --- */
static void bad_headers_are_refused(void **state)
{
	struct table t, good;

	table_begin(&good, "DMAR");
	put_drhd(&good, 16, 1, 0xfed90000);
	table_end(&good);
	t = good;
	t.data[60]++;
	refused_dmar(&t, "checksum");
	refused_ivrs(&good, "signature");
	t = good;
	t.size = 35;
	refused_dmar(&t, "35 bytes");
	t = good;
	t.size = 50;
	refused_dmar(&t, "ends after 50");
	t = good;
	memset(t.data + 4, 0, 4);
	refused_dmar(&t, "length of 0");
	t = good;
	memset(t.data + 4, 0xff, 4);
	refused_dmar(&t, "ends after");
	t = good;
	t.data[36] = 64;
	table_end(&t);
	refused_dmar(&t, "65 bits");
}

static void dmar_structures_of_impossible_length_are_refused(void **state)
{
	static const unsigned int lengths[] = { 0, 3, 15, 17, 0xffff };
	struct table t;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		table_begin(&t, "DMAR");
		put_drhd(&t, lengths[i], 1, 0xfed90000);
		table_end(&t);
		refused_dmar(&t, "DRHD");
	}
	table_begin(&t, "DMAR");
	put_drhd(&t, 16, 1, 0xfed90000);
	put(&t, 0, 3);
	table_end(&t);
	refused_dmar(&t, "3 bytes are left over");
}

static void dmar_scopes_that_do_not_fit_are_refused(void **state)
{
	static const unsigned int lengths[] = { 0, 1, 6, 7, 9, 10, 255 };
	struct table t;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		table_begin(&t, "DMAR");
		put_drhd(&t, 24, 0, 0xfed90000);
		put_scope(&t, 1, 0, 0, 2, 0);
		t.data[48 + 16 + 1] = (uint8_t)lengths[i];
		table_end(&t);
		refused_dmar(&t, "device scope");
	}
	table_begin(&t, "DMAR"); /* half a scope */
	put_drhd(&t, 19, 0, 0xfed90000);
	put(&t, 0x0801, 3);
	table_end(&t);
	refused_dmar(&t, "runs over its DRHD");
	table_begin(&t, "DMAR");
	put_drhd(&t, 24, 0, 0xfed90000);
	put_scope(&t, 1, 0, 0, 32, 0);
	table_end(&t);
	refused_dmar(&t, "32.0");
	table_begin(&t, "DMAR"); /* a path of 17 bridges */
	put_drhd(&t, 16 + 40, 0, 0xfed90000);
	put(&t, 0x2801, 6);
	put(&t, 0, 34);
	table_end(&t);
	refused_dmar(&t, "path of 17 steps");
}

static void dmar_values_that_cannot_be_are_refused(void **state)
{
	struct table t;

	table_begin(&t, "DMAR");
	put_drhd(&t, 16, 1, 0);
	table_end(&t);
	refused_dmar(&t, "registers at 0x0");
	table_begin(&t, "DMAR");
	put_rmrr(&t, 24, 0x7b000000, 0x7affffff);
	table_end(&t);
	refused_dmar(&t, "RMRR");
	table_begin(&t, "DMAR");
	put_text(&t, "\x04\0\x0a\0\0\0\0\x07xy", 10);
	table_end(&t);
	refused_dmar(&t, "does not end");
}

static void dmar_of_absurd_count_is_refused(void **state)
{
	size_t size = 48 + 5000 * 8;
	uint8_t *data = calloc(1, size), sum = 0;
	char why[ACPI_WHY_SIZE];
	struct dmar d;

	memcpy(data, "DMAR", 4);
	for (int i = 0; i < 4; i++)
		data[4 + i] = (uint8_t)(size >> 8 * i);
	for (size_t at = 48; at < size; at += 8) {
		data[at] = 2;
		data[at + 2] = 8;
	}
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + data[i]);
	data[9] = (uint8_t)-sum;
	assert_int_equal(dmar_parse(data, size, &d, why), -EBADMSG);
	assert_non_null(strstr(why, "more than 4096 structures"));
	free(data);
}

static void ivrs_blocks_that_do_not_fit_are_refused(void **state)
{
	static const unsigned int lengths[] = { 0, 5, 23, 25, 0xffff };
	struct table t;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		table_begin(&t, "IVRS");
		put_ivhd(&t, 0x10, lengths[i], 0xfd200000);
		table_end(&t);
		refused_ivrs(&t, "");
	}
	table_begin(&t, "IVRS");
	put_ivhd(&t, 0x11, 39, 0xfd200000);
	table_end(&t);
	refused_ivrs(&t, "needs 40");
	table_begin(&t, "IVRS");
	put_ivhd(&t, 0x10, 24, 0);
	table_end(&t);
	refused_ivrs(&t, "registers at 0x0");
	table_begin(&t, "IVRS");
	put_ivmd(&t, 0x21, 1, 0, 0, 0x1000, 0);
	table_end(&t);
	refused_ivrs(&t, "0x0 bytes");
	table_begin(&t, "IVRS");
	put_ivmd(&t, 0x21, 1, 0, 0, ~0ull - 0xfff, 0x2000);
	table_end(&t);
	refused_ivrs(&t, "0x2000 bytes");
	table_begin(&t, "IVRS");
	put_ivmd(&t, 0x22, 1, 0x20, 0x10, 0x1000, 0x1000);
	table_end(&t);
	refused_ivrs(&t, "devices of an IVMD");
}

static void ivrs_one_ivhd(struct table *t, const char *entries, size_t n)
{
	table_begin(t, "IVRS");
	put_ivhd(t, 0x10, (unsigned int)(24 + n), 0xfd200000);
	put_text(t, entries, n);
	table_end(t);
}

static void ivrs_device_entries_that_cannot_be_are_refused(void **state)
{
	struct table t;

	ivrs_one_ivhd(&t, "\x48\x00\x00\x00", 4); /* half of an entry of 8 bytes */
	refused_ivrs(&t, "type 48h");
	ivrs_one_ivhd(&t, "\xf0\x00\x00\x00", 4);
	refused_ivrs(&t, "type f0h");
	ivrs_one_ivhd(&t, "\xf0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff", 22);
	refused_ivrs(&t, "type f0h");
	ivrs_one_ivhd(&t, "\x04\x10\x00\x00", 4);
	refused_ivrs(&t, "no beginning");
	ivrs_one_ivhd(&t, "\x03\x10\x00\x00", 4);
	refused_ivrs(&t, "no end");
	ivrs_one_ivhd(&t, "\x03\x10\x00\x00\x02\x11\x00\x00", 8);
	refused_ivrs(&t, "no end");
	ivrs_one_ivhd(&t, "\x03\x10\x00\x00\x04\x0f\x00\x00", 8);
	refused_ivrs(&t, "begins behind");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dmar_of_the_software_host_is_read),
		cmocka_unit_test(ivrs_of_the_software_host_is_read),
		cmocka_unit_test(dmar_with_every_structure_is_read),
		cmocka_unit_test(ivrs_with_every_block_is_read),
		cmocka_unit_test(bad_headers_are_refused),
		cmocka_unit_test(dmar_structures_of_impossible_length_are_refused),
		cmocka_unit_test(dmar_scopes_that_do_not_fit_are_refused),
		cmocka_unit_test(dmar_values_that_cannot_be_are_refused),
		cmocka_unit_test(dmar_of_absurd_count_is_refused),
		cmocka_unit_test(ivrs_blocks_that_do_not_fit_are_refused),
		cmocka_unit_test(ivrs_device_entries_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
