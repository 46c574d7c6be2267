/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings of a VF as data: what words are taken, how they merge with what is, JSON there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sriov/sriov_priv.h"

static char why[160];

static int word(struct vf_request *r, const char *key, const char *value)
{
	return vf_request_parse(r, key, value, why, sizeof(why));
}

static void a_value_in_range_is_taken(void **state)
{
	static const char *const good[][2] = {
		{ "mac", "02:00:00:00:00:01" },
		{ "mac", "00:00:00:00:00:00" },
		{ "vlan", "0" },
		{ "vlan", "4094" },
		{ "qos", "7" },
		{ "proto", "802.1Q" },
		{ "proto", "802.1ad" },
		{ "max_tx_mbit", "4294967295" },
		{ "min_tx_mbit", "0" },
		{ "spoof_check", "on" },
		{ "trust", "off" },
		{ "link", "auto" },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct vf_request r = { 0 };

		if (word(&r, good[i][0], good[i][1]) != 0)
			fail_msg("%s=%s was refused: %s", good[i][0], good[i][1], why);
	}
}

static void a_value_out_of_range_is_refused_with_what_is_taken(void **state)
{
	static const char *const bad[][2] = {
		{ "mac", "01:00:5e:00:00:01" },
		{ "mac", "02:00:00:00:00" },
		{ "mac", "02:00:00:00:00:0g" },
		{ "mac", "02:00:00:00:00:001" },
		{ "mac", " 2:00:00:00:00:01" },
		{ "mac", "" },
		{ "vlan", "4095" },
		{ "vlan", "-1" },
		{ "vlan", "1x" },
		{ "vlan", "" },
		{ "vlan", "0x10" },
		{ "vlan", "99999999999999999999" },
		{ "qos", "8" },
		{ "proto", "802.1x" },
		{ "max_tx_mbit", "4294967296" },
		{ "min_tx_mbit", "+1" },
		{ "spoof_check", "yes" },
		{ "trust", "1" },
		{ "link", "up" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vf_request r = { 0 };

		why[0] = '\0';
		if (word(&r, bad[i][0], bad[i][1]) != -EINVAL)
			fail_msg("%s=%s was taken", bad[i][0], bad[i][1]);
		assert_non_null(strstr(why, "is not"));
	}
}

static void an_unknown_key_is_told_apart(void **state)
{
	struct vf_request r = { 0 };

	assert_int_equal(word(&r, "vlna", "1"), -ENOENT);
	for (int i = 0; i < VF_REQUEST_N_KEYS; i++)
		assert_int_not_equal(word(&r, vf_request_keys[i], "?"), -ENOENT);
}

static void min_rate_above_max_is_refused(void **state)
{
	struct vf_settings now = { .known = VF_ALL, .max_tx_mbit = 100 }, want;
	struct vf_request r = { 0 };

	assert_int_equal(word(&r, "min_tx_mbit", "200"), 0);
	assert_int_equal(vf_request_merge(&r, &now, &want, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "200"));
	assert_int_equal(word(&r, "max_tx_mbit", "0"), 0); /* no limit: any minimum fits */
	assert_int_equal(vf_request_merge(&r, &now, &want, why, sizeof(why)), 0);
	assert_int_equal(want.known, VF_BIT(VF_RATE));
	assert_int_equal(want.min_tx_mbit, 200);
}

static void one_rate_leaves_the_other_as_it_is(void **state)
{
	struct vf_settings now = { .known = VF_ALL, .max_tx_mbit = 100, .min_tx_mbit = 10 }, want;
	struct vf_request r = { 0 };

	word(&r, "max_tx_mbit", "50");
	assert_int_equal(vf_request_merge(&r, &now, &want, why, sizeof(why)), 0);
	assert_int_equal(want.max_tx_mbit, 50);
	assert_int_equal(want.min_tx_mbit, 10);
}

static void vlan_0_takes_qos_and_protocol_along(void **state)
{
	struct vf_settings now = { .known = VF_ALL, .vlan = 5, .qos = 3, .proto = 0x88a8 }, want;
	struct vf_request r = { 0 };

	word(&r, "vlan", "0");
	assert_int_equal(vf_request_merge(&r, &now, &want, why, sizeof(why)), 0);
	assert_int_equal(want.vlan, 0);
	assert_int_equal(want.qos, 0);
	assert_int_equal(want.proto, 0x8100);
}

static void qos_without_a_vlan_is_refused(void **state)
{
	struct vf_settings now = { .known = VF_ALL, .proto = 0x8100 }, want;
	struct vf_request r = { 0 };

	word(&r, "qos", "3");
	assert_int_equal(vf_request_merge(&r, &now, &want, why, sizeof(why)), -EINVAL);
	now.vlan = 7;
	assert_int_equal(vf_request_merge(&r, &now, &want, why, sizeof(why)), 0);
	assert_int_equal(want.vlan, 7);
	assert_int_equal(want.qos, 3);
}

static void what_is_not_asked_for_is_not_set(void **state)
{
	struct vf_settings now = { .known = VF_ALL }, want;
	struct vf_request r = { 0 };

	word(&r, "trust", "on");
	assert_int_equal(vf_request_merge(&r, &now, &want, why, sizeof(why)), 0);
	assert_int_equal(want.known, VF_BIT(VF_TRUST));
}

static void settings_survive_json(void **state)
{
	struct vf_settings s = { .known = VF_ALL,
				 .mac = { 2, 3, 4, 5, 6, 0xff },
				 .vlan = 4094,
				 .qos = 7,
				 .proto = 0x88a8,
				 .max_tx_mbit = 1000,
				 .min_tx_mbit = 4000000000u,
				 .trust = true,
				 .link = VF_LINK_OFF },
			   back;

	for (unsigned int known = 0; known <= VF_ALL; known++) {
		json_t *o = json_object();

		s.known = known;
		assert_int_equal(vf_settings_to_json(&s, o), 0);
		assert_int_equal(vf_settings_from_json(o, &back), 0);
		assert_int_equal(back.known, known);
		for (int i = 0; i < VF_N_SETTINGS; i++)
			if (known & VF_BIT(i))
				assert_true(vf_setting_equal(i, &s, &back));
		json_decref(o);
	}
}

static void a_record_with_wrong_values_is_refused(void **state)
{
	static const char *const bad[] = {
		"{\"mac\":5}",
		"{\"mac\":\"zz\"}",
		"{\"vlan\":4096,\"qos\":0,\"proto\":\"802.1Q\"}",
		"{\"vlan\":1}",
		"{\"vlan\":1,\"qos\":9,\"proto\":\"802.1Q\"}",
		"{\"max_tx_mbit\":-1,\"min_tx_mbit\":0}",
		"{\"trust\":1}",
		"{\"link\":\"up\"}",
	};
	struct vf_settings s;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *o = json_loads(bad[i], 0, NULL);

		if (vf_settings_from_json(o, &s) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
		json_decref(o);
	}
}

static void a_guests_mac_is_stable_local_and_its_own(void **state)
{
	uint8_t a[6], b[6];

	vf_mac_stable("web-1", 0, a);
	vf_mac_stable("web-1", 0, b);
	assert_memory_equal(a, b, 6);
	assert_int_equal(a[0] & 3, 2);
	vf_mac_stable("web-1", 1, b);
	assert_memory_not_equal(a, b, 6);
	vf_mac_stable("web-2", 0, b);
	assert_memory_not_equal(a, b, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_in_range_is_taken),
		cmocka_unit_test(a_value_out_of_range_is_refused_with_what_is_taken),
		cmocka_unit_test(an_unknown_key_is_told_apart),
		cmocka_unit_test(min_rate_above_max_is_refused),
		cmocka_unit_test(one_rate_leaves_the_other_as_it_is),
		cmocka_unit_test(vlan_0_takes_qos_and_protocol_along),
		cmocka_unit_test(qos_without_a_vlan_is_refused),
		cmocka_unit_test(what_is_not_asked_for_is_not_set),
		cmocka_unit_test(settings_survive_json),
		cmocka_unit_test(a_record_with_wrong_values_is_refused),
		cmocka_unit_test(a_guests_mac_is_stable_local_and_its_own),
	};

	return cmocka_run_group_tests_name("sriov/settings", tests, NULL, NULL);
}
