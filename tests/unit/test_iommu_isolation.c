/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which bridge breaks isolation, and what mends it: on the recorded software hosts and on made-up
 * boards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "helper_tree_file.h"
#include "iommu/iommu.h"

#define ALL 0x1d /* SV RR CR UF */

/* --- boards --- */
enum kind { ENDPOINT = 0, ROOT_PORT = 4, UPSTREAM = 5, DOWNSTREAM = 6, TO_PCI = 7, OLD = -1 };

struct part {
	const char *path; /* below pci0000:00, the last component is the function */
	unsigned int group;
	enum kind kind;
	const char *class_code;
	const char *driver;
	bool multi;
	int cap, ctrl; /* ACS; cap -1: no capability */
};

static void part_config(const struct tree *t, const char *dir, const struct part *p)
{
	uint8_t c[0x110] = { 0 };
	char path[TREE_PATH];

	c[0x00] = 0x86;
	c[0x01] = 0x80;
	c[0x0e] = (uint8_t)((p->multi ? 0x80 : 0) | (strstr(p->class_code, "0x0604") ? 1 : 0));
	if (p->kind != OLD) {
		c[0x06] = 0x10;
		c[0x34] = 0x40;
		c[0x40] = 0x10;
		c[0x42] = (uint8_t)(p->kind << 4 | 2);
	}
	if (p->kind != OLD && p->cap >= 0) {
		c[0x100] = 0x0d;
		c[0x102] = 0x01;
		c[0x104] = (uint8_t)p->cap;
		c[0x106] = (uint8_t)p->ctrl;
	}
	snprintf(path, sizeof(path), "%s/config", dir);
	tree_bytes(t, path, c, sizeof(c), 4096);
}

static void board(const struct tree *t, const struct part *p)
{
	for (; p->path; p++) {
		const char *slash = strrchr(p->path, '/'), *bdf = slash ? slash + 1 : p->path;
		char dir[TREE_PATH], path[TREE_PATH], target[TREE_PATH];

		snprintf(dir, sizeof(dir), "sys/devices/pci0000:00/%s", p->path);
		tree_dir(t, dir);
		snprintf(path, sizeof(path), "%s/class", dir);
		tree_file(t, path, p->class_code);
		part_config(t, dir, p);
		snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
		tree_link(t, path, dir);
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/devices/%s", p->group,
			 bdf);
		tree_link(t, path, dir);
		if (p->driver) {
			snprintf(path, sizeof(path), "%s/driver", dir);
			snprintf(target, sizeof(target), "sys/bus/pci/drivers/%s", p->driver);
			tree_link(t, path, target);
		}
	}
}

/* --- questions --- */
/* "isolated", "unknown", or the names of those that break it, nearest first. */
static const char *isolation(struct tree *t, const char *bdf, struct iommu_isolation *iso)
{
	static char text[256];

	iommu_isolation_of(t->sysfs, bdf, iso);
	snprintf(text, sizeof(text), "%s", iso->n ? "" : iso->known ? "isolated" : "unknown");
	for (size_t i = 0; i < iso->n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 iso->at[i].name);
	return text;
}

static bool apart(struct tree *t, unsigned int id, char *why, char *mend)
{
	struct iommu_group *g;
	bool ret;

	assert_int_equal(iommu_group_load(t->sysfs, id, &g), 0);
	ret = iommu_group_apart(t->sysfs, g, why, mend, 256);
	iommu_group_free(g);
	return ret;
}

/* --- the software hosts --- */
static void every_nic_and_vf_of_the_software_hosts_is_isolated(void **state)
{
	static const char *const recorded[] = { "lab_intel", "lab_amd" };
	struct iommu_isolation iso;

	for (size_t r = 0; r < 2; r++) {
		struct iommu_group **all;
		struct tree t;
		size_t n, nics = 0;

		tree_create(&t);
		tree_load(&t, recorded[r]);
		assert_int_equal(iommu_groups_load(t.sysfs, &all, &n), 0);
		assert_int_equal(n, 16);
		for (size_t i = 0; i < n; i++) {
			const struct iommu_member *m = &all[i]->members[0];

			if (m->class_code != 0x020000)
				continue;
			nics++;
			assert_int_equal(all[i]->n_members, 1);
			assert_string_equal(isolation(&t, m->name, &iso), "isolated");
		}
		assert_int_equal(nics, 6); /* four ports, two VFs */
		iommu_groups_free(all, n);
		tree_destroy(&t);
	}
}

static void the_board_functions_of_the_software_host_share_for_want_of_acs(void **state)
{
	struct tree *t = *state;
	struct iommu_isolation iso;
	char why[256], mend[256];

	tree_load(t, "lab_intel");
	assert_string_equal(isolation(t, "0000:00:1f.2", &iso), "0000:00:1f.2");
	assert_int_equal(iso.at[0].kind, IOMMU_BREAK_FUNCTIONS);
	assert_true(apart(t, 8, why, mend));
	assert_string_equal(why, "0000:00:1f.2 is a function of one device with 0000:00:1f.0, "
				 "without ACS between them");
	assert_non_null(strstr(mend, "together"));
	assert_false(apart(t, 9, why, mend)); /* one NIC alone */
}

/* --- made-up boards --- */
static void root_port_without_acs_is_named_with_a_port_to_move_to(void **state)
{
	static const struct part parts[] = {
		{ "0000:00:1c.0", 1, ROOT_PORT, "0x060400\n", "pcieport", false, -1, 0 },
		{ "0000:00:1c.0/0000:01:00.0", 1, ENDPOINT, "0x020000\n", "igb", true, ALL, ALL },
		{ "0000:00:1c.0/0000:01:00.1", 1, ENDPOINT, "0x020000\n", "vfio-pci", true, ALL,
		  ALL },
		{ "0000:00:1d.0", 2, ROOT_PORT, "0x060400\n", "pcieport", false, ALL, ALL },
		{ "0000:00:1d.0/0000:02:00.0", 3, ENDPOINT, "0x010802\n", "nvme", false, -1, 0 },
		{ "0000:00:1e.0", 4, ROOT_PORT, "0x060400\n", "pcieport", false, ALL, ALL },
		{ NULL },
	};
	struct tree *t = *state;
	struct iommu_isolation iso;
	char why[256], mend[256];

	board(t, parts);
	assert_string_equal(isolation(t, "0000:01:00.0", &iso), "0000:00:1c.0");
	assert_int_equal(iso.at[0].kind, IOMMU_BREAK_NO_ACS);
	assert_string_equal(iso.at[0].why, "root port without ACS");
	assert_string_equal(isolation(t, "0000:02:00.0", &iso), "isolated");
	assert_true(apart(t, 1, why, mend));
	assert_string_equal(why, "0000:00:1c.0 is a root port without ACS");
	/* 1d.0 isolates and is taken, 1e.0 is free */
	assert_string_equal(mend, "move the card to the slot of a port that isolates and is free: "
				  "0000:00:1e.0");
}

static void port_with_acs_switched_off_is_told_with_the_bits(void **state)
{
	static const struct part parts[] = {
		{ "0000:00:1c.0", 1, ROOT_PORT, "0x060400\n", "pcieport", false, ALL, 0x11 },
		{ "0000:00:1c.0/0000:01:00.0", 1, ENDPOINT, "0x020000\n", NULL, true, ALL, ALL },
		{ "0000:00:1c.0/0000:01:00.1", 1, ENDPOINT, "0x020000\n", NULL, true, ALL, ALL },
		{ NULL },
	};
	struct tree *t = *state;
	struct iommu_isolation iso;
	char why[256], mend[256];

	board(t, parts);
	assert_string_equal(isolation(t, "0000:01:00.1", &iso), "0000:00:1c.0");
	assert_int_equal(iso.at[0].kind, IOMMU_BREAK_ACS_OFF);
	assert_string_equal(iso.at[0].why, "root port whose ACS has RR CR off");
	assert_true(apart(t, 1, why, mend));
	assert_non_null(strstr(mend, "disable_acs_redir"));
}

/* What a port cannot switch off is wired to on. */
static void bits_that_acs_does_not_offer_do_not_count(void **state)
{
	static const struct part parts[] = {
		{ "0000:00:1c.0", 1, ROOT_PORT, "0x060400\n", "pcieport", false, 0x11, 0x11 },
		{ "0000:00:1c.0/0000:01:00.0", 2, ENDPOINT, "0x020000\n", NULL, false, -1, 0 },
		{ NULL },
	};
	struct iommu_isolation iso;

	board(*state, parts);
	assert_string_equal(isolation(*state, "0000:01:00.0", &iso), "isolated");
}

static void functions_of_one_card_without_acs_stay_together(void **state)
{
	static const struct part parts[] = {
		{ "0000:00:1c.0", 1, ROOT_PORT, "0x060400\n", "pcieport", false, ALL, ALL },
		{ "0000:00:1c.0/0000:01:00.0", 2, ENDPOINT, "0x020000\n", "igb", true, -1, 0 },
		{ "0000:00:1c.0/0000:01:00.1", 2, ENDPOINT, "0x020000\n", "igb", false, -1, 0 },
		{ NULL },
	};
	struct tree *t = *state;
	struct iommu_isolation iso;
	struct iommu_group *g;
	char why[256], mend[256];

	board(t, parts);
	assert_string_equal(isolation(t, "0000:01:00.0", &iso), "0000:01:00.0");
	assert_string_equal(isolation(t, "0000:01:00.1", &iso), "0000:01:00.1");
	assert_true(apart(t, 2, why, mend));
	assert_non_null(strstr(why, "function of one device"));
	assert_string_equal(mend, "they go to one guest together; no slot parts them");
	assert_int_equal(iommu_group_load(t->sysfs, 2, &g), 0);
	assert_int_equal(iommu_group_verdict(g, mend, sizeof(mend)), IOMMU_BOUND);
	assert_string_equal(mend, "fourlane assign 0000:01:00.0 0000:01:00.1");
	iommu_group_free(g);
}

static void one_function_alone_with_the_multifunction_bit_is_isolated(void **state)
{
	static const struct part parts[] = {
		{ "0000:00:1c.0", 1, ROOT_PORT, "0x060400\n", "pcieport", false, ALL, ALL },
		{ "0000:00:1c.0/0000:01:00.0", 2, ENDPOINT, "0x020000\n", "igb", true, -1, 0 },
		{ NULL },
	};
	struct iommu_isolation iso;

	board(*state, parts);
	assert_string_equal(isolation(*state, "0000:01:00.0", &iso), "isolated");
}

static void bridge_to_conventional_pci_joins_all_below(void **state)
{
	static const struct part parts[] = {
		{ "0000:00:1c.0", 1, ROOT_PORT, "0x060400\n", "pcieport", false, ALL, ALL },
		{ "0000:00:1c.0/0000:01:00.0", 2, TO_PCI, "0x060400\n", NULL, false, -1, 0 },
		{ "0000:00:1c.0/0000:01:00.0/0000:02:01.0", 2, OLD, "0x020000\n", "e1000", false, 0,
		  0 },
		{ "0000:00:1c.0/0000:01:00.0/0000:02:02.0", 2, OLD, "0x020000\n", "e1000", false, 0,
		  0 },
		{ "0000:00:1e.0", 3, OLD, "0x060401\n", NULL, false, 0, 0 },
		{ "0000:00:1e.0/0000:03:01.0", 3, OLD, "0x020000\n", "e1000", false, 0, 0 },
		{ NULL },
	};
	struct tree *t = *state;
	struct iommu_isolation iso;
	char why[256], mend[256];

	board(t, parts);
	assert_string_equal(isolation(t, "0000:02:01.0", &iso), "0000:01:00.0");
	assert_int_equal(iso.at[0].kind, IOMMU_BREAK_PCI);
	assert_string_equal(isolation(t, "0000:03:01.0", &iso), "0000:00:1e.0");
	assert_non_null(strstr(iso.at[0].why, "conventional PCI bridge"));
	assert_true(apart(t, 2, why, mend));
	assert_string_equal(why, "0000:01:00.0 is a PCIe-to-PCI bridge: all below it look like one "
				 "device");
	assert_string_equal(mend, "move the card to a slot that is not below 0000:01:00.0; no free "
				  "port here isolates");
}

static void the_whole_way_up_through_a_switch_is_walked(void **state)
{
	static const struct part parts[] = {
		{ "0000:00:1c.0", 1, ROOT_PORT, "0x060400\n", "pcieport", false, -1, 0 },
		{ "0000:00:1c.0/0000:01:00.0", 1, UPSTREAM, "0x060400\n", "pcieport", false, -1,
		  0 },
		{ "0000:00:1c.0/0000:01:00.0/0000:02:00.0", 1, DOWNSTREAM, "0x060400\n", "pcieport",
		  false, ALL, 0 },
		{ "0000:00:1c.0/0000:01:00.0/0000:02:00.0/0000:03:00.0", 1, ENDPOINT, "0x020000\n",
		  NULL, false, -1, 0 },
		{ "0000:00:1c.0/0000:01:00.0/0000:02:01.0", 1, DOWNSTREAM, "0x060400\n", "pcieport",
		  false, ALL, ALL },
		{ "0000:00:1c.0/0000:01:00.0/0000:02:01.0/0000:04:00.0", 1, ENDPOINT, "0x020000\n",
		  NULL, false, -1, 0 },
		{ NULL },
	};
	struct tree *t = *state;
	struct iommu_isolation iso;
	char why[256], mend[256];

	board(t, parts);
	/* a switch's upstream port needs no ACS */
	assert_string_equal(isolation(t, "0000:03:00.0", &iso), "0000:02:00.0 0000:00:1c.0");
	assert_string_equal(iso.at[0].why, "switch port whose ACS has SV RR CR UF off");
	assert_string_equal(isolation(t, "0000:04:00.0", &iso), "0000:00:1c.0");
	assert_true(apart(t, 1, why, mend));
	assert_string_equal(why, "0000:00:1c.0 is a root port without ACS");
}

static void config_space_that_is_hidden_is_unknown(void **state)
{
	struct tree *t = *state;
	struct iommu_isolation iso;
	uint8_t head[64] = { 0x86, 0x80 };
	char why[256], mend[256];

	/* what a user who is not root can read */
	tree_function(t, "0000:01:00.0", 7, NULL, "0x8086\n", "0x10c9\n", "0x020000\n");
	tree_function(t, "0000:01:00.1", 7, NULL, "0x8086\n", "0x10c9\n", "0x020000\n");
	tree_bytes(t, "sys/devices/pci0000:00/0000:01:00.0/config", head, 64, 64);
	assert_string_equal(isolation(t, "0000:01:00.0", &iso), "unknown");
	assert_string_equal(isolation(t, "0000:01:00.1", &iso), "unknown"); /* no config at all */
	assert_string_equal(isolation(t, "serial8250", &iso), "unknown");
	assert_false(apart(t, 7, why, mend));
}

/* A list of capabilities that points at itself, or outside. */
static void config_space_that_lies_does_no_harm(void **state)
{
	struct tree *t = *state;
	struct iommu_isolation iso;
	uint8_t c[4096];
	uint32_t x = 12345;

	tree_function(t, "0000:01:00.0", 7, NULL, "0x8086\n", "0x10c9\n", "0x020000\n");
	memset(c, 0xff, sizeof(c));
	tree_bytes(t, "sys/devices/pci0000:00/0000:01:00.0/config", c, sizeof(c), sizeof(c));
	isolation(t, "0000:01:00.0", &iso);
	for (int i = 0; i < 200; i++) {
		for (size_t k = 0; k < sizeof(c); k++)
			c[k] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
		c[0x06] |= 0x10;
		c[0x34] = c[0x41] = 0x40;
		c[0x40] = 0x10;
		c[0x100] = i % 2 ? 0x0d : 0;
		c[0x103] = c[0x102] = i % 3 ? 0x10 : 0xff; /* the next is this one */
		tree_bytes(t, "sys/devices/pci0000:00/0000:01:00.0/config", c, sizeof(c),
			   sizeof(c));
		isolation(t, "0000:01:00.0", &iso);
		assert_true(iso.known);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_nic_and_vf_of_the_software_hosts_is_isolated),
		T(the_board_functions_of_the_software_host_share_for_want_of_acs),
		T(root_port_without_acs_is_named_with_a_port_to_move_to),
		T(port_with_acs_switched_off_is_told_with_the_bits),
		T(bits_that_acs_does_not_offer_do_not_count),
		T(functions_of_one_card_without_acs_stay_together),
		T(one_function_alone_with_the_multifunction_bit_is_isolated),
		T(bridge_to_conventional_pci_joins_all_below),
		T(the_whole_way_up_through_a_switch_is_walked),
		T(config_space_that_is_hidden_is_unknown),
		T(config_space_that_lies_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
