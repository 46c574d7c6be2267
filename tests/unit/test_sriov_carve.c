/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `nics` says of carving: the SR-IOV capability, what a PF can be told, whose a VF is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper_sriov.h"
#include "sriov/nics_carve.h"
#include "sriov/sriov_cap.h"

#define PF_DIR "devices/pci0000:00/0000:00:01.0/" FAKE_PF

static void put16(uint8_t *at, uint16_t v)
{
	memcpy(at, &v, 2);
}

/* The configuration space of an 82576 with its VFs: PCIe at 0xa0, SR-IOV at 0x160. */
static void make_config(uint8_t c[4096])
{
	memset(c, 0, 4096);
	put16(c, 0x8086);
	put16(c + 2, 0x10c9);
	c[0x06] = 0x10; /* a list of capabilities */
	c[0x34] = 0xa0;
	c[0xa0] = 0x10;           /* PCI Express */
	put16(c + 0x100, 0x0001); /* AER, then ... */
	put16(c + 0x102, 0x1601);
	put16(c + 0x160, 0x0010); /* ... SR-IOV */
	put16(c + 0x162, 0x0001);
	put16(c + 0x168, 0x0010); /* ARI Capable Hierarchy */
	put16(c + 0x16c, 8);
	put16(c + 0x16e, 8);
	put16(c + 0x174, 128);
	put16(c + 0x176, 2);
	put16(c + 0x17a, 0x10ca);
}

static void write_config(struct fake_nic *f, const uint8_t *c, size_t size)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/" PF_DIR "/config", f->sysfs);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	assert_int_equal(write(fd, c, size), size);
	close(fd);
}

static void cap_is_read_from_configuration_space(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_cap cap;
	uint8_t c[4096];

	make_config(c);
	write_config(f, c, sizeof(c));
	assert_true(sriov_cap_read(&f->view, FAKE_PF, &cap));
	assert_int_equal(cap.total, 8);
	assert_int_equal(cap.initial, 8);
	assert_int_equal(cap.offset, 128);
	assert_int_equal(cap.stride, 2);
	assert_int_equal(cap.vf_device, 0x10ca);
	assert_true(cap.ari);
}

/* What somebody who is not root may read ends after 64 bytes. */
static void cap_that_cannot_be_read_is_unknown(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_cap cap;
	uint8_t c[4096];

	assert_false(sriov_cap_read(&f->view, FAKE_PF, &cap)); /* no such file */
	make_config(c);
	write_config(f, c, 64);
	assert_false(sriov_cap_read(&f->view, FAKE_PF, &cap));
	write_config(f, c, 256);
	assert_false(sriov_cap_read(&f->view, FAKE_PF, &cap));
	write_config(f, c, 0x170); /* cut in the capability itself */
	assert_false(sriov_cap_read(&f->view, FAKE_PF, &cap));
	memset(c, 0xff, sizeof(c)); /* a device that fell off the bus */
	write_config(f, c, sizeof(c));
	assert_false(sriov_cap_read(&f->view, FAKE_PF, &cap));
	assert_false(sriov_cap_read(&f->view, "netdevsim1", &cap));
	assert_int_equal(f->n_said, 0);
}

/* Lists that go round, and bytes at random: the walk ends. */
static void cap_of_a_bad_device_is_survived(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_cap cap;
	uint8_t c[4096];

	make_config(c);
	put16(c + 0x160, 0x0003);
	put16(c + 0x162, 0x1001); /* back to the first */
	write_config(f, c, sizeof(c));
	assert_false(sriov_cap_read(&f->view, FAKE_PF, &cap));
	srand(1);
	for (int i = 0; i < 300; i++) {
		make_config(c);
		for (int n = 0; n < 20; n++)
			c[rand() % 2 ? rand() % 4096 : 0x100 + rand() % 0x80] = (uint8_t)rand();
		write_config(f, c, sizeof(c));
		sriov_cap_read(&f->view, FAKE_PF, &cap);
	}
}

static void bars_of_the_vfs_are_those_behind_the_rom(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_bar bar[SRIOV_N_BARS];
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/" PF_DIR, f->sysfs);
	assert_int_equal(sriov_cap_bars(dir, bar), 0);
	fake_file(f, PF_DIR "/resource",
		  "0x00000000fe800000 0x00000000fe81ffff 0x0000000000040200\n"
		  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		  "0x000000000000c000 0x000000000000c01f 0x0000000000040101\n"
		  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		  "0x000000c000000000 0x000000c00001ffff 0x000000000014220c\n"
		  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		  "0x00000000c0020000 0x00000000c003ffff 0x0000000000040200\n"
		  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
	assert_int_equal(sriov_cap_bars(dir, bar), 2);
	assert_int_equal(bar[0].index, 0);
	assert_int_equal(bar[0].size, 8 * 16384);
	assert_true(bar[0].wide);
	assert_true(bar[0].prefetch);
	assert_int_equal(bar[1].index, 3);
	assert_false(bar[1].wide);
	fake_file(f, PF_DIR "/resource", "rubbish\n");
	assert_int_equal(sriov_cap_bars(dir, bar), 0);
}

/* --- nics --- */
static json_t *nic(const json_t *all, const char *id)
{
	json_t *o;
	size_t i;

	json_array_foreach(all, i, o)
		if (!strcmp(json_string_value(json_object_get(o, "id")), id))
			return o;
	return NULL;
}

static json_t *carved(struct fake_nic *f, const struct tenant_store *st)
{
	json_t *all = nics_list(&f->view);

	nics_add_carving(&f->env, st, all);
	return all;
}

static void nics_say_what_a_pf_can_be_told_and_who_says_so(void **state)
{
	static const char *const yes[] = { "mac",         "vlan",        "qos",
					   "max_tx_mbit", "spoof_check", "trust" };
	static const char *const no[] = { "802.1ad", "min_tx_mbit", "link" };
	struct fake_nic *f = *state;
	const json_t *can;
	json_t *all;

	assert_int_equal(vf_count_create(&f->env, "lab0", 1, false), 0);
	all = carved(f, NULL);
	can = json_object_get(nic(all, FAKE_PF), "can");
	assert_int_equal(json_object_size(can), CAN_N);
	for (size_t i = 0; i < 6; i++) {
		const json_t *o = json_object_get(can, yes[i]);

		assert_string_equal(json_string_value(json_object_get(o, "answer")), "yes");
		assert_string_equal(json_string_value(json_object_get(o, "source")),
				    "driver igb on 82576 since Linux 4.19");
	}
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(
			json_string_value(json_object_get(json_object_get(can, no[i]), "answer")),
			"no");
	assert_true(json_is_null(json_object_get(nic(all, FAKE_PF), "eswitch")));
	assert_true(json_is_null(json_object_get(nic(all, FAKE_PF), "owner")));
	assert_true(json_is_null(json_object_get(nic(all, "0000:01:10.0"), "can")));
	assert_true(json_is_null(json_object_get(nic(all, "0000:01:10.0"), "owner")));
	json_decref(all);
}

static void nics_say_whose_a_vf_is(void **state)
{
	struct tenant_slot slots[] = { { .pf = FAKE_PF, .idx = 0, .tenant = "acme" },
				       { .pf = FAKE_PF, .idx = 1, .tenant = "zeta" } };
	struct tenant_plan plan = { .slots = slots, .n_slots = 2 };
	struct tenant_lease l = {
		.pf = FAKE_PF, .idx = 1, .tenant = "zeta", .guest = "g1", .pid = 42, .boot_id = "b"
	};
	struct fake_nic *f = *state;
	struct tenant_store *st;
	const json_t *o;
	json_t *all;

	assert_int_equal(vf_count_create(&f->env, "lab0", 3, false), 0);
	assert_int_equal(tenant_store_open(&f->env, STORE_WRITE, &st), 0);
	assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, NULL, 0), 0);
	assert_int_equal(tenant_store_end(st), 0);
	assert_int_equal(tenant_store_lease_take(st, &l), 0);
	all = carved(f, st);
	tenant_store_close(st);
	o = json_object_get(nic(all, "0000:01:10.0"), "owner");
	assert_string_equal(json_string_value(json_object_get(o, "tenant")), "acme");
	assert_true(json_is_null(json_object_get(o, "guest")));
	o = json_object_get(nic(all, "0000:01:10.2"), "owner");
	assert_string_equal(json_string_value(json_object_get(o, "tenant")), "zeta");
	assert_string_equal(json_string_value(json_object_get(o, "guest")), "g1");
	assert_int_equal(json_integer_value(json_object_get(o, "pid")), 42);
	assert_true(json_is_null(json_object_get(nic(all, "0000:01:10.4"), "owner")));
	o = json_object_get(nic(all, FAKE_PF), "owners");
	assert_int_equal(json_array_size(o), 2);
	o = json_array_get(o, 1);
	assert_string_equal(json_string_value(json_object_get(o, "tenant")), "zeta");
	assert_string_equal(json_string_value(json_object_get(o, "guest")), "g1");
	assert_int_equal(json_integer_value(json_object_get(o, "vf_index")), 1);
	json_decref(all);
}

static void nics_show_the_capability_or_null(void **state)
{
	struct fake_nic *f = *state;
	uint8_t c[4096];
	const json_t *s;
	json_t *all = carved(f, NULL);

	s = json_object_get(nic(all, FAKE_PF), "sriov");
	assert_int_equal(json_integer_value(json_object_get(s, "total_vfs")), 7); /* the kernel's */
	assert_true(json_is_null(json_object_get(s, "ari")));
	assert_true(json_is_null(json_object_get(s, "vf_stride")));
	json_decref(all);
	make_config(c);
	write_config(f, c, sizeof(c));
	fake_file(f, PF_DIR "/sriov_stride", "4"); /* as the kernel uses it */
	fake_file(f, PF_DIR "/resource",
		  "0 0 0\n0 0 0\n0 0 0\n0 0 0\n0 0 0\n0 0 0\n0 0 0\n"
		  "0x20000 0x3ffff 0x40200\n");
	all = carved(f, NULL);
	s = json_object_get(nic(all, FAKE_PF), "sriov");
	assert_int_equal(json_integer_value(json_object_get(s, "total_vfs")), 8);
	assert_int_equal(json_integer_value(json_object_get(s, "first_vf_offset")), 128);
	assert_int_equal(json_integer_value(json_object_get(s, "vf_stride")), 4);
	assert_true(json_is_true(json_object_get(s, "ari")));
	s = json_array_get(json_object_get(s, "vf_bars"), 0);
	assert_int_equal(json_integer_value(json_object_get(s, "total_bytes")), 0x20000);
	assert_int_equal(json_integer_value(json_object_get(s, "size_bytes")),
			 16384); /* of 8, not 7 */
	json_decref(all);
}

#define CARVE_TEST(name) cmocka_unit_test_setup_teardown(name, fake_nic_setup, fake_nic_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CARVE_TEST(cap_is_read_from_configuration_space),
		CARVE_TEST(cap_that_cannot_be_read_is_unknown),
		CARVE_TEST(cap_of_a_bad_device_is_survived),
		CARVE_TEST(bars_of_the_vfs_are_those_behind_the_rom),
		CARVE_TEST(nics_say_what_a_pf_can_be_told_and_who_says_so),
		CARVE_TEST(nics_say_whose_a_vf_is),
		CARVE_TEST(nics_show_the_capability_or_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
