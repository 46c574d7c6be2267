/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tenants' VFs as tables, metrics and export see them, on the made-up host of helper_tenant.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/paths.h"
#include "helper_tenant.h"
#include "sriov/tenant_view.h"

static const char yaml[] = "version: 1\npfs:\n  - match: {pci: \"0000:01:00.0\"}\ntenants:\n"
			   "  blue: {vfs: 1, vlan: 200, driver: igbvf}\n"
			   "  acme: {vfs: 2, vlan: 100}\n";

static int setup(void **state)
{
	return tenant_host_setup(state) != 0 ? -1 : th_apply(*state, yaml, NULL);
}

static void look(struct tenant_host *h, struct tenant_view *v)
{
	if (tenant_view_read(&h->env, v) < 0)
		fail_msg("no view: %s", h->said);
}

static void rows_are_by_tenant_and_number(void **state)
{
	struct tenant_view v;
	char bdf[IOMMU_BDF_SIZE];

	look(*state, &v);
	assert_int_equal(v.n, 3);
	assert_int_equal(tenant_view_find(&v, "acme"), 0);
	assert_int_equal(tenant_view_next(&v, 0), 2);
	assert_int_equal(tenant_view_find(&v, "blue"), 2);
	assert_int_equal(tenant_view_next(&v, 2), 3);
	assert_int_equal(tenant_view_find(&v, "nobody"), 3);
	for (size_t i = 0; i < v.n; i++) {
		assert_int_equal(tenant_row_faults(&v.row[i]), 0);
		assert_null(v.row[i].lease);
		assert_false(v.row[i].counters.known);
		assert_false(v.row[i].spoofed_known);
		th_vf_bdf(0, v.row[i].slot->idx, bdf);
		assert_string_equal(v.row[i].vf->bdf, bdf);
	}
	tenant_view_free(&v);
}

static void what_is_not_as_wanted_is_named(void **state)
{
	struct tenant_host *h = *state;
	struct tenant_view v;
	unsigned int idx;

	look(h, &v);
	idx = v.row[1].slot->idx;
	tenant_view_free(&v);
	h->pf[0].vf[idx].vlan = 7;
	h->pf[0].vf[idx].trust = !h->pf[0].vf[idx].trust;
	look(h, &v);
	assert_int_equal(v.row[0].drift, 0);
	assert_int_equal(v.row[1].drift & VF_BIT(VF_VLAN), VF_BIT(VF_VLAN));
	assert_int_equal(v.row[2].drift, 0);
	assert_false(v.row[1].drift_driver);
	tenant_view_free(&v);
}

static void a_vf_that_is_gone_is_one_fault(void **state)
{
	struct tenant_host *h = *state;
	struct tenant_view v;

	th_number(h, 0, 0);
	look(h, &v);
	for (size_t i = 0; i < v.n; i++) {
		assert_null(v.row[i].vf);
		assert_int_equal(tenant_row_faults(&v.row[i]), 1);
	}
	tenant_view_free(&v);
}

static void leases_say_whether_their_holder_runs(void **state)
{
	struct tenant_host *h = *state;
	struct tenant_lease gone = { .tenant = "blue", .guest = "g2", .pid = 1, .start = 1 };
	char bdf[IOMMU_BDF_SIZE];
	struct tenant_store *st;
	struct tenant_view v;

	assert_int_equal(tenant_lease_vf(&h->env, "acme", "g1", bdf), 0);
	look(h, &v);
	strcpy(gone.pf, v.row[2].slot->pf);
	gone.idx = v.row[2].slot->idx;
	tenant_view_free(&v);
	strcpy(gone.boot_id, "00000000-0000-0000-0000-000000000001");
	assert_int_equal(tenant_store_open(&h->env, STORE_WRITE, &st), 0);
	assert_int_equal(tenant_store_lease_take(st, &gone), 0);
	tenant_store_close(st);
	look(h, &v);
	assert_string_equal(v.row[0].vf->bdf, bdf);
	assert_string_equal(v.row[0].lease->guest, "g1");
	assert_true(v.row[0].alive);
	assert_null(v.row[1].lease);
	assert_string_equal(v.row[2].lease->guest, "g2");
	assert_false(v.row[2].alive);
	tenant_view_free(&v);
}

/* Only a file that tells a number is a source. */
static void spoofed_frames_come_from_a_file_that_is_there(void **state)
{
	static const struct {
		const char *text;
		bool known;
	} cases[] = { { "12\n", true },
		      { "-1\n", false },
		      { "none\n", false },
		      { "\n", false },
		      { "99999999999999999999999\n", false } };
	struct tenant_view v;
	char path[PATH_MAX];

	look(*state, &v);
	strcpy(path, v.row[0].spoofed_source);
	tenant_view_free(&v);
	for (char *c = strstr(path, "/sriov/"); c; c = strchr(c + 1, '/')) {
		*c = '\0';
		mkdir(path, 0755);
		*c = '/';
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		FILE *f = fopen(path, "w");

		assert_non_null(f);
		fputs(cases[i].text, f);
		fclose(f);
		look(*state, &v);
		assert_int_equal(v.row[0].spoofed_known, cases[i].known);
		if (cases[i].known)
			assert_int_equal(v.row[0].spoofed, 12);
		assert_false(v.row[1].spoofed_known);
		tenant_view_free(&v);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, tenant_host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rows_are_by_tenant_and_number),
		T(what_is_not_as_wanted_is_named),
		T(a_vf_that_is_gone_is_one_fault),
		T(leases_say_whether_their_holder_runs),
		T(spoofed_frames_come_from_a_file_that_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
