/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command table, options, numbers, messages: the contracts that every command shares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cmd.h"
#include "core/opts.h"
#include "core/rpc.h"

static char said[1200];
static int lines;

static void catch (void *opaque, const char *line)
{
	strncpy(said, line, sizeof(said) - 1);
	lines++;
}

static int setup(void **state)
{
	said[0] = '\0';
	lines = 0;
	err_set_sink(catch, NULL);
	return 0;
}

static int teardown(void **state)
{
	err_set_sink(NULL, NULL);
	return 0;
}

static void every_command_is_registered(void **state)
{
	static const char *const want[] = { "host",    "groups",   "nics",   "vf",
					    "assign",  "unassign", "run",    "ps",
					    "stats",   "pause",    "resume", "stop",
					    "compare", "lab",      "switch", "export",
					    "bench" };

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (!cmd_find(want[i]))
			fail_msg("command '%s' is not registered", want[i]);
	for (size_t i = 0; i < cmd_count(); i++) {
		const struct command *c = cmd_at(i);

		assert_non_null(c);
		assert_true(strlen(c->summary) <= 60);
		assert_int_equal(c->usage[strlen(c->usage) - 1], '\n');
	}
	assert_null(cmd_at(cmd_count()));
}

static void unknown_command_is_a_wrong_call(void **state)
{
	char *argv[] = { "fourlane", "frobnicate", NULL };

	assert_int_equal(cmd_main(2, argv), FL_USAGE);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(said, "frobnicate"));
}

static const struct command dummy = { .name = "dummy" };

static void options_and_words_may_mix(void **state)
{
	bool json = false;
	const char *name = NULL, **nics = NULL;
	struct cmd_option o[] = { { .name = "json", .flag = &json },
				  { .name = "name", .value = &name },
				  { .name = "nic", .list = &nics },
				  { 0 } };
	char *argv[] = { "dummy",    "a",       "--nic", "x",   "--json", "b",
			 "--name=n", "--nic=y", "--",    "--c", NULL };

	assert_int_equal(cmd_options(&dummy, 10, argv, o, false), 3);
	assert_string_equal(argv[1], "a");
	assert_string_equal(argv[2], "b");
	assert_string_equal(argv[3], "--c");
	assert_true(json);
	assert_string_equal(name, "n");
	assert_string_equal(nics[1], "y");
	assert_null(nics[2]);
	free(nics);
}

static void wrong_options_are_named(void **state)
{
	bool json = false;
	const char *name = NULL;
	struct cmd_option o[] = { { .name = "json", .flag = &json },
				  { .name = "name", .value = &name },
				  { 0 } };
	char *unknown[] = { "dummy", "--jsonn", NULL }, *bare[] = { "dummy", "--name", NULL },
	     *extra[] = { "dummy", "--json=1", NULL }, *short_one[] = { "dummy", "-x", NULL };

	assert_int_equal(cmd_options(&dummy, 2, unknown, o, false), -1);
	assert_non_null(strstr(said, "--jsonn"));
	assert_int_equal(cmd_options(&dummy, 2, bare, o, false), -1);
	assert_int_equal(cmd_options(&dummy, 2, extra, o, false), -1);
	assert_int_equal(cmd_options(&dummy, 2, short_one, o, false), -1);
}

static void numbers_have_bounds_and_suffixes(void **state)
{
	unsigned long long n;

	assert_int_equal(cmd_number("2M", 0, ~0ull, &n), 0);
	assert_true(n == 2 << 20);
	assert_int_equal(cmd_number("18446744073709551615", 0, ~0ull, &n), 0);
	assert_int_equal(cmd_number("18446744073709551616", 0, ~0ull, &n), -EINVAL);
	assert_int_equal(cmd_number("18446744073709551615K", 0, ~0ull, &n), -EINVAL);
	assert_int_equal(cmd_number("-1", 0, ~0ull, &n), -EINVAL);
	assert_int_equal(cmd_number("", 0, ~0ull, &n), -EINVAL);
	assert_int_equal(cmd_number("1x", 0, ~0ull, &n), -EINVAL);
	assert_int_equal(cmd_number("5", 6, 7, &n), -EINVAL);
}

static void messages_are_one_line(void **state)
{
	err_say("name 'a\nfourlane: forged\x1b[31m'");
	assert_null(strchr(said, '\n'));
	assert_null(strchr(said, 0x1b));
	assert_int_equal(lines, 1);
}

static void limited_messages_are_counted(void **state)
{
	struct err_limit lim = { 0 };

	for (int i = 0; i < 1000; i++)
		err_limited(&lim, "the guest did it again");
	assert_int_equal(lim.count, 1000);
	assert_in_range(lines, 1, 20);
}

static void option_string_keys_must_be_taken(void **state)
{
	struct opts *o;
	uint64_t n = 5;
	bool b = false;
	uint8_t mac[6];

	assert_int_equal(opts_parse("e1000,backend=tap,n=7,on=on", &o), 0);
	assert_string_equal(opts_type(o), "e1000");
	assert_string_equal(opts_take(o, "backend"), "tap");
	assert_int_equal(opts_take_number(o, "n", 0, 9, &n), 0);
	assert_int_equal(n, 7);
	assert_int_equal(opts_done(o, "backend="), -EINVAL);
	assert_int_equal(opts_take_bool(o, "on", &b), 0);
	assert_true(b);
	assert_int_equal(opts_done(o, "backend="), 0);
	assert_int_equal(opts_take_mac(o, "mac", mac), 0);
	opts_free(o);
	assert_int_equal(opts_parse("", &o), -EINVAL);
	assert_int_equal(opts_parse("e1000,x", &o), -EINVAL);
	assert_int_equal(opts_parse("e1000,=x", &o), -EINVAL);
	assert_int_equal(opts_parse("e1000,a=1,a=2", &o), -EINVAL);
}

static void macs_are_checked(void **state)
{
	static const char *const bad[] = { "x,mac=",
					   "x,mac=52:54:00:12:34",
					   "x,mac=52:54:00:12:34:5g",
					   "x,mac=01:00:5e:00:00:01",
					   "x,mac=00:00:00:00:00:00",
					   "x,mac=52:54:00:12:34:56:78",
					   "x,mac= 2:54:00:12:34:56x" };
	struct opts *o;
	uint8_t mac[6];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(opts_parse(bad[i], &o), 0);
		assert_int_equal(opts_take_mac(o, "mac", mac), -EINVAL);
		opts_free(o);
	}
	assert_int_equal(opts_parse("x,mac=52:54:00:12:34:5F", &o), 0);
	assert_int_equal(opts_take_mac(o, "mac", mac), 1);
	assert_int_equal(mac[5], 0x5f);
	opts_free(o);
}

static void guest_names_are_no_paths(void **state)
{
	assert_true(rpc_name_ok("web-1.lab_x"));
	assert_false(rpc_name_ok("../etc"));
	assert_false(rpc_name_ok(".hidden"));
	assert_false(rpc_name_ok("-x"));
	assert_false(rpc_name_ok(""));
	assert_false(rpc_name_ok("a/b"));
	assert_false(rpc_name_ok("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_command_is_registered),
		T(unknown_command_is_a_wrong_call),
		T(options_and_words_may_mix),
		T(wrong_options_are_named),
		T(numbers_have_bounds_and_suffixes),
		T(messages_are_one_line),
		T(limited_messages_are_counted),
		T(option_string_keys_must_be_taken),
		T(macs_are_checked),
		T(guest_names_are_no_paths),
	};

	return cmocka_run_group_tests_name("core/cmd", tests, NULL, NULL);
}
