/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who sorts the frames of a NIC into pools, and which queue a pool is: NICs by what their drivers
 * say, none of them here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/err.h"
#include "vmdq/vmdq_priv.h"

static char last[512];

static void catch_line(void *opaque, const char *line)
{
	snprintf(last, sizeof(last), "%s", line);
}

/* 82576 as igb tells it, 82599 and XL710 as theirs do; 82599 in its 64-pool shape. */
static const struct vmdq_caps c82576 = {
	.max_pools = 8, .n_queues = 16, .by_mac = true, .by_vlan = true, .queue_is_pool = true
};
static const struct vmdq_caps c82599 = {
	.max_pools = 64, .n_queues = 128, .by_mac = true, .by_vlan = true
};
static const struct vmdq_caps xl710 = {
	.max_pools = 32, .queue_base = 64, .n_queues = 128, .pool_base = 1, .by_mac = true
};
static const struct vmdq_caps none;

static const struct vmdq_key vlans[] = { { .vlan = 101 }, { .vlan = 102 }, { .vlan = 0 } };
static const struct vmdq_key macs[] = {
	{ .has_mac = true, .mac = { 2, 0, 0, 0, 0, 1 } },
	{ .has_mac = true, .mac = { 2, 0, 0, 0, 0, 2 } },
	{ .has_mac = true, .mac = { 2, 0, 0, 0, 0, 1 }, .vlan = 7 },
};

static char why[VMDQ_WHY];

static int choose(const struct vmdq_caps *caps, const struct vmdq_key *key, unsigned int n,
		  bool software)
{
	const struct vmdq_nic_conf c = { .n_pools = n, .key = key, .software = software };

	last[0] = '\0';
	return vmdq_choose("0000:01:00.0", caps, &c, why);
}

static void the_nic_sorts_when_it_can(void **state)
{
	assert_int_equal(choose(&c82576, vlans, 3, false), VMDQ_HARDWARE);
	assert_string_equal(why, "");
	assert_int_equal(choose(&c82576, macs, 3, false), VMDQ_HARDWARE);
	assert_int_equal(choose(&c82599, vlans, 3, false), VMDQ_HARDWARE);
	assert_int_equal(choose(&xl710, macs, 3, false), VMDQ_HARDWARE);
}

static void stand_in_says_why(void **state)
{
	assert_int_equal(choose(&none, vlans, 2, false), VMDQ_SOFTWARE);
	assert_non_null(strstr(why, "no VMDq"));
	assert_int_equal(choose(&c82576, vlans, 2, true), VMDQ_SOFTWARE);
	assert_non_null(strstr(why, "asked for"));
	assert_int_equal(choose(&xl710, vlans, 2, false), VMDQ_SOFTWARE);
	assert_non_null(strstr(why, "VLAN alone"));
	assert_string_equal(last, "");
}

static void stand_in_when_the_nic_has_too_few_pools(void **state)
{
	struct vmdq_key key[9];

	for (unsigned int i = 0; i < 9; i++)
		key[i] = (struct vmdq_key){ .vlan = (uint16_t)(10 + i) };
	assert_int_equal(choose(&c82576, key, 8, false), VMDQ_HARDWARE);
	assert_int_equal(choose(&c82576, key, 9, false), VMDQ_SOFTWARE);
	assert_string_equal(why, "9 pools are wanted, the NIC has 8");
}

static void stand_in_when_some_pools_have_an_address_and_some_not(void **state)
{
	const struct vmdq_key key[] = { macs[0], vlans[0] };

	assert_int_equal(choose(&c82576, key, 2, false), VMDQ_SOFTWARE);
	assert_non_null(strstr(why, "some take a whole VLAN"));
}

static void two_pools_for_the_same_frames_are_refused(void **state)
{
	const struct vmdq_key same_vlan[] = { vlans[0], vlans[1], vlans[0] };
	const struct vmdq_key same_mac[] = { macs[0], macs[0] };

	assert_int_equal(choose(&c82576, same_vlan, 3, false), -EINVAL);
	assert_non_null(strstr(last, "pools 0 and 2"));
	assert_int_equal(choose(&c82576, same_mac, 2, true), -EINVAL);
}

static void keys_that_are_none_are_refused(void **state)
{
	struct vmdq_key k = { .vlan = 4095 };

	assert_int_equal(choose(&none, &k, 1, false), -EINVAL);
	k = (struct vmdq_key){ .has_mac = true, .mac = { 1, 0, 0x5e, 0, 0, 1 } };
	assert_int_equal(choose(&none, &k, 1, false), -EINVAL);
	k = (struct vmdq_key){ .has_mac = true };
	assert_int_equal(choose(&none, &k, 1, false), -EINVAL);
	k = (struct vmdq_key){ .vlan = 4094 };
	assert_int_equal(choose(&none, &k, 1, false), VMDQ_SOFTWARE);
	assert_int_equal(choose(&none, &k, 0, false), -EINVAL);
	assert_int_equal(choose(&none, &k, 65, false), -EINVAL);
}

static void queue_of_a_pool_is_where_the_driver_puts_it(void **state)
{
	assert_int_equal(vmdq_pool_queue(&c82576, 0), 0);
	assert_int_equal(vmdq_pool_queue(&c82576, 7), 7);
	assert_int_equal(vmdq_pool_queue(&c82599, 3), 6);
	assert_int_equal(vmdq_pool_queue(&xl710, 0), 64);
	assert_int_equal(vmdq_pool_queue(&xl710, 31), 64 + 31 * 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nic_sorts_when_it_can),
		cmocka_unit_test(stand_in_says_why),
		cmocka_unit_test(stand_in_when_the_nic_has_too_few_pools),
		cmocka_unit_test(stand_in_when_some_pools_have_an_address_and_some_not),
		cmocka_unit_test(two_pools_for_the_same_frames_are_refused),
		cmocka_unit_test(keys_that_are_none_are_refused),
		cmocka_unit_test(queue_of_a_pool_is_where_the_driver_puts_it),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	err_set_sink(catch_line, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
