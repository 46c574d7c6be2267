/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words of --nic before anything is opened (prep_check_nic()): a misspelt key is told, and
 * every key that a device or a back-end takes passes. The devices' own lists, which the monitor
 * has, are the second witness.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/device.h"
#include "core/err.h"
#include "core/prep_priv.h"

extern struct device_type const *const __start_fl_device_types[];
extern struct device_type const *const __stop_fl_device_types[];

static char said[512];
static unsigned int n_said;

static void hear(void *opaque, const char *line)
{
	snprintf(said, sizeof(said), "%s", line);
	n_said++;
}

static int setup(void **state)
{
	n_said = 0;
	said[0] = '\0';
	err_set_sink(hear, NULL);
	return 0;
}

static int teardown(void **state)
{
	err_set_sink(NULL, NULL);
	return 0;
}

static void refused(const char *spec, const char *key)
{
	n_said = 0;
	assert_int_equal(prep_check_nic(spec), -EINVAL);
	assert_int_equal(n_said, 1);
	assert_non_null(strstr(said, key));
}

static void misspelt_key_is_told_before_anything_is_opened(void **state)
{
	refused("virtio,backend=switch,queeus=2", "'queeus'");
	refused("virtio,backend=tap,ifnam=x", "'ifnam'");
	refused("e1000,colour=red", "'colour'");
	refused("e1000,backend=null,ma=02:00:00:00:00:01", "'ma'");
}

static void key_of_another_device_or_back_end_is_told(void **state)
{
	refused("e1000,packed=on", "'packed'");
	refused("e1000,backend=switch,ifname=tap0", "'ifname'");
	refused("virtio,backend=tap,socket=/x", "'socket'");
	refused("virtio,ifname=tap0", "'ifname'");
}

static void right_words_pass(void **state)
{
	assert_int_equal(prep_check_nic("e1000"), 0);
	assert_int_equal(prep_check_nic("virtio,backend=loop,queues=4,packed=on"), 0);
	assert_int_equal(prep_check_nic("virtio,backend=switch,socket=/x,role=server,wait=3"), 0);
	assert_int_equal(prep_check_nic("virtio,backend=switch,switch=s,port=p"), 0);
	assert_int_equal(prep_check_nic("virtio,backend=vhost,ifname=tap0,mtu=1500"), 0);
	assert_int_equal(n_said, 0);
}

/* Whose keys are not looked at here says so itself, before it opens anything. */
static void other_kinds_check_their_own(void **state)
{
	assert_int_equal(prep_check_nic("vfio,hots=0000:03:00.0"), 0);
	refused("warp,host=x", "warp");
}

static unsigned int check_listed(const char *type, const char *keys)
{
	unsigned int n = 0;

	for (const char *end = strchr(keys, '='); end; end = strchr(end + 1, '=')) {
		const char *begin = end;
		char spec[96];

		while (begin > keys && (isalnum((unsigned char)begin[-1]) || begin[-1] == '_'))
			begin--;
		snprintf(spec, sizeof(spec), "%s,%.*s=null", type, (int)(end - begin), begin);
		if (prep_check_nic(spec) < 0)
			fail_msg("%s: %s", spec, said);
		n++;
	}
	return n;
}

static void every_key_of_a_device_passes(void **state)
{
	unsigned int n = 0;

	for (struct device_type const *const *t = __start_fl_device_types;
	     t < __stop_fl_device_types; t++)
		if (!strcmp((*t)->name, "virtio") || !strcmp((*t)->name, "e1000"))
			n += check_listed((*t)->name, (*t)->keys);
	assert_true(n >= 10);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(misspelt_key_is_told_before_anything_is_opened),
		T(key_of_another_device_or_back_end_is_told),
		T(right_words_pass),
		T(other_kinds_check_their_own),
		T(every_key_of_a_device_passes),
	};

	return cmocka_run_group_tests_name("prep/words", tests, NULL, NULL);
}
