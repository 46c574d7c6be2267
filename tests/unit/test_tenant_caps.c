/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a NIC can be told: the table by driver, device and kernel, what was tried before it, and
 * what a change asks for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper_sriov.h"
#include "sriov/tenant.h"
#include "sriov/tenant_caps_priv.h"

#define PF_DIR "devices/pci0000:00/0000:00:01.0/" FAKE_PF

static struct sriov_pf found(struct fake_nic *f)
{
	struct sriov_pf pf;

	assert_int_equal(sriov_pf_find(&f->view, "lab0", &pf), 0);
	return pf;
}

static void kernel(struct fake_nic *f, const char *release)
{
	fake_file(f, "../proc/sys/kernel/osrelease", release);
}

static void caps_of_an_82576_are_the_drivers(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf = found(f);
	struct vf_can can[CAN_N];

	vf_caps(&f->env, NULL, &pf, can);
	assert_int_equal(can[CAN_MAC].answer, CAN_YES);
	assert_int_equal(can[CAN_VLAN].answer, CAN_YES);
	assert_int_equal(can[CAN_QOS].answer, CAN_YES);
	assert_int_equal(can[CAN_PROTO_8021AD].answer, CAN_NO);
	assert_int_equal(can[CAN_MAX_TX].answer, CAN_YES);
	assert_int_equal(can[CAN_MIN_TX].answer, CAN_NO);
	assert_int_equal(can[CAN_SPOOF_CHECK].answer, CAN_YES);
	assert_int_equal(can[CAN_TRUST].answer, CAN_YES);
	assert_int_equal(can[CAN_LINK].answer, CAN_NO);
	assert_string_equal(can[CAN_MAC].source, "driver igb on 82576 since Linux 4.19");
	assert_string_equal(can[CAN_LINK].source, "driver igb on 82576 does not take it up to "
						  "Linux 6.12: Operation not supported");
	assert_int_equal(f->n_said, 0);
}

/* An I350 has the same driver and no rate limit. */
static void caps_follow_the_device(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf = found(f);
	struct vf_can can[CAN_N];

	fake_file(f, PF_DIR "/device", "0x1521");
	vf_caps(&f->env, NULL, &pf, can);
	assert_int_equal(can[CAN_MAC].answer, CAN_YES);
	assert_int_equal(can[CAN_MAX_TX].answer, CAN_NO);
}

static void caps_of_a_kernel_outside_the_table_are_unknown(void **state)
{
	static const struct {
		const char *release;
		enum vf_can_answer mac, link;
	} row[] = {
		{ "6.1.0-18-amd64", CAN_YES, CAN_NO },
		{ "6.12.95", CAN_YES, CAN_NO },
		{ "6.13.0", CAN_YES, CAN_UNKNOWN }, /* may have learned it */
		{ "4.19.0-27-amd64", CAN_YES, CAN_NO },
		{ "4.18.9", CAN_UNKNOWN, CAN_NO },
		{ "3.10.0", CAN_UNKNOWN, CAN_NO },
		{ "2.6.32", CAN_UNKNOWN, CAN_NO },
		{ "7.0.0", CAN_YES, CAN_UNKNOWN },
		{ "6", CAN_UNKNOWN, CAN_UNKNOWN },
		{ "999999999999.1", CAN_UNKNOWN, CAN_UNKNOWN },
		{ "garbage", CAN_UNKNOWN, CAN_UNKNOWN },
		{ "", CAN_UNKNOWN, CAN_UNKNOWN },
	};
	struct fake_nic *f = *state;
	struct sriov_pf pf = found(f);
	struct vf_can can[CAN_N];

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		kernel(f, row[i].release);
		vf_caps(&f->env, NULL, &pf, can);
		assert_int_equal(can[CAN_MAC].answer, row[i].mac);
		assert_int_equal(can[CAN_LINK].answer, row[i].link);
	}
}

static void caps_that_a_driver_passes_on_are_unknown(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf = found(f);
	struct vf_can can[CAN_N];

	strcpy(pf.driver, "nfp");
	vf_caps(&f->env, NULL, &pf, can);
	assert_int_equal(can[CAN_MAC].answer, CAN_UNKNOWN);
	assert_string_equal(can[CAN_MAC].source,
			    "driver nfp: it depends on the device and its firmware");
}

static void caps_of_a_driver_nobody_knows_are_unknown(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf = found(f);
	struct vf_can can[CAN_N];

	strcpy(pf.driver, "newnic");
	vf_caps(&f->env, NULL, &pf, can);
	for (int w = 0; w < CAN_N; w++) {
		assert_int_equal(can[w].answer, CAN_UNKNOWN);
		assert_string_equal(can[w].source, "driver newnic is not in the table");
	}
	pf.driver[0] = '\0';
	vf_caps(&f->env, NULL, &pf, can);
	assert_string_equal(can[0].source, "driver (none) is not in the table");
}

static void caps_tried_come_before_the_table(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf = found(f);
	struct vf_can can[CAN_N];
	struct tenant_store *st;

	assert_int_equal(tenant_store_open(&f->env, STORE_WRITE, &st), 0);
	assert_int_equal(vf_caps_learn(&f->env, st, &pf, CAN_MAC, -EOPNOTSUPP), 0);
	assert_int_equal(vf_caps_learn(&f->env, st, &pf, CAN_LINK, 0), 0);
	vf_caps(&f->env, st, &pf, can);
	assert_int_equal(can[CAN_MAC].answer, CAN_NO);
	assert_int_equal(can[CAN_LINK].answer, CAN_YES);
	assert_int_equal(can[CAN_VLAN].answer, CAN_YES);
	assert_memory_equal(can[CAN_MAC].source, "tried on 20", 11);
	assert_non_null(strstr(can[CAN_MAC].source, ": Operation not supported"));
	assert_non_null(strstr(can[CAN_LINK].source, ": taken"));
	/* on another kernel it may be otherwise */
	kernel(f, "6.12.1-other");
	vf_caps(&f->env, st, &pf, can);
	assert_int_equal(can[CAN_MAC].answer, CAN_YES);
	assert_int_equal(can[CAN_LINK].answer, CAN_NO);
	tenant_store_close(st);
}

/* A link that is down, or a full disk, says nothing of what the driver can. */
static void caps_learn_refusals_only(void **state)
{
	static const int passing[] = { -EIO, -EBUSY, -EPERM, -ENODEV, -EAGAIN, -ENETDOWN, -ENOMEM };
	static const int lasting[] = { -EOPNOTSUPP, -EINVAL, -EPROTONOSUPPORT, -524 };
	struct fake_nic *f = *state;
	struct sriov_pf pf = found(f);
	struct vf_can can[CAN_N];
	struct tenant_store *st;

	assert_int_equal(tenant_store_open(&f->env, STORE_WRITE, &st), 0);
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		assert_int_equal(vf_caps_learn(&f->env, st, &pf, CAN_MAC, passing[i]), 0);
		vf_caps(&f->env, st, &pf, can);
		assert_int_equal(can[CAN_MAC].answer, CAN_YES);
	}
	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
		assert_int_equal(vf_caps_learn(&f->env, st, &pf, CAN_MAC, lasting[i]), 0);
		vf_caps(&f->env, st, &pf, can);
		assert_int_equal(can[CAN_MAC].answer, CAN_NO);
	}
	tenant_store_close(st);
}

/* --- what a change asks for --- */
static unsigned int needed(struct vf_settings now, struct vf_settings want)
{
	now.known |= VF_ALL;
	return vf_caps_needed(&now, &want);
}

#define BITS(what) (1u << (what))

static void caps_needed_are_those_that_differ(void **state)
{
	struct vf_settings now = { .known = VF_ALL, .proto = 0x8100, .max_tx_mbit = 10 };

	assert_int_equal(needed(now, now), 0);
	assert_int_equal(needed(now, (struct vf_settings){ .known = 0, .vlan = 7 }), 0);
	assert_int_equal(needed(now, (struct vf_settings){ .known = VF_BIT(VF_MAC), .mac = { 2 } }),
			 BITS(CAN_MAC));
	assert_int_equal(needed(now, (struct vf_settings){ .known = VF_BIT(VF_VLAN),
							   .vlan = 5,
							   .proto = 0x8100 }),
			 BITS(CAN_VLAN));
	assert_int_equal(needed(now, (struct vf_settings){ .known = VF_BIT(VF_VLAN),
							   .vlan = 5,
							   .qos = 1,
							   .proto = 0x88a8 }),
			 BITS(CAN_VLAN) | BITS(CAN_QOS) | BITS(CAN_PROTO_8021AD));
	assert_int_equal(
		needed(now, (struct vf_settings){ .known = VF_BIT(VF_SPOOF), .spoof_check = true }),
		BITS(CAN_SPOOF_CHECK));
	assert_int_equal(
		needed(now, (struct vf_settings){ .known = VF_BIT(VF_TRUST), .trust = true }),
		BITS(CAN_TRUST));
	assert_int_equal(
		needed(now, (struct vf_settings){ .known = VF_BIT(VF_LINK), .link = VF_LINK_ON }),
		BITS(CAN_LINK));
}

static void caps_needed_for_rates_are_apart(void **state)
{
	struct vf_settings now = { .known = VF_ALL, .max_tx_mbit = 10 };
	struct vf_settings want = { .known = VF_BIT(VF_RATE), .max_tx_mbit = 20 };

	assert_int_equal(needed(now, want), BITS(CAN_MAX_TX));
	want.min_tx_mbit = 5;
	assert_int_equal(needed(now, want), BITS(CAN_MAX_TX) | BITS(CAN_MIN_TX));
	want.max_tx_mbit = 10;
	assert_int_equal(needed(now, want), BITS(CAN_MIN_TX));
}

/* What the kernel does not tell has to be set, whatever it is. */
static void caps_needed_when_nothing_is_known_of_now(void **state)
{
	struct vf_settings now = { 0 }, want = { .known = VF_ALL, .proto = 0x8100 };

	assert_int_equal(vf_caps_needed(&now, &want),
			 BITS(CAN_MAC) | BITS(CAN_VLAN) | BITS(CAN_MAX_TX) | BITS(CAN_SPOOF_CHECK) |
				 BITS(CAN_TRUST) | BITS(CAN_LINK));
	now = (struct vf_settings){ .known = VF_ALL, .min_tx_mbit = 5 };
	want = (struct vf_settings){ .known = VF_BIT(VF_RATE) };
	assert_int_equal(vf_caps_needed(&now, &want), BITS(CAN_MIN_TX));
}

/* --- counters --- */
static struct vf_counters fake_counters[2];
static int fake_ret;

static int counters_op(void *opaque, unsigned int ifindex, struct vf_counters **out,
		       unsigned int *n)
{
	*out = calloc(2, sizeof(**out));
	memcpy(*out, fake_counters, sizeof(fake_counters));
	*n = 2;
	return fake_ret;
}

static void counters_of_zero_are_unknown_unless_the_driver_keeps_some(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf = found(f);
	struct vf_ops ops = { .counters = counters_op };
	struct vf_counters *c;
	unsigned int n;

	f->env.ops = &ops;
	fake_counters[0] = fake_counters[1] = (struct vf_counters){ .known = true };
	fake_ret = 0;
	assert_int_equal(vf_counters_read(&f->env, &pf, &c, &n), 0);
	assert_int_equal(n, 2);
	assert_false(c[0].known);
	free(c);
	strcpy(pf.driver, "i40e");
	assert_int_equal(vf_counters_read(&f->env, &pf, &c, &n), 0);
	assert_true(c[0].known);
	free(c);
	strcpy(pf.driver, "newnic"); /* one number: it keeps them */
	fake_counters[1].rx_dropped = 1;
	fake_counters[0].known = false;
	fake_ret = -EMSGSIZE;
	assert_int_equal(vf_counters_read(&f->env, &pf, &c, &n), -EMSGSIZE);
	assert_false(c[0].known);
	assert_true(c[1].known);
	free(c);
	ops.counters = NULL;
	assert_int_equal(vf_counters_read(&f->env, &pf, &c, &n), -EOPNOTSUPP);
}

static void eswitch_mode_of_a_device_elsewhere_is_empty(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf = found(f);
	char mode[16] = "before";

	sriov_eswitch_mode(&pf, mode, sizeof(mode));
	assert_string_equal(mode, "");
}

#define CAPS_TEST(name) cmocka_unit_test_setup_teardown(name, fake_nic_setup, fake_nic_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CAPS_TEST(caps_of_an_82576_are_the_drivers),
		CAPS_TEST(caps_follow_the_device),
		CAPS_TEST(caps_of_a_kernel_outside_the_table_are_unknown),
		CAPS_TEST(caps_that_a_driver_passes_on_are_unknown),
		CAPS_TEST(caps_of_a_driver_nobody_knows_are_unknown),
		CAPS_TEST(caps_tried_come_before_the_table),
		CAPS_TEST(caps_learn_refusals_only),
		cmocka_unit_test(caps_needed_are_those_that_differ),
		cmocka_unit_test(caps_needed_for_rates_are_apart),
		cmocka_unit_test(caps_needed_when_nothing_is_known_of_now),
		CAPS_TEST(counters_of_zero_are_unknown_unless_the_driver_keeps_some),
		CAPS_TEST(eswitch_mode_of_a_device_elsewhere_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
