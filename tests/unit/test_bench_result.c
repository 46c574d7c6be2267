/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The microguest's lines: what is taken, and that a guest that lies is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

#define TX \
	"FL RESULT dev=e1000 mode=tx size=60 batch=32 frames=100 bytes=6000 ns=500000000 " \
	"total=140 kicks=5 lost=2 bad=0"
#define PP \
	"FL RESULT dev=virtio mode=pingpong size=60 batch=32 frames=10 bytes=600 ns=500000000 " \
	"total=14 kicks=14 lost=1 bad=0" \
	" p50_ns=2500 p99_ns=9000 min_ns=2000 max_ns=70000 samples=10"

static void result_line_is_read(void **state)
{
	struct bench_result r;

	assert_int_equal(bench_result_parse(TX, BENCH_TX, &r), 0);
	assert_int_equal(r.frames, 100);
	assert_int_equal(r.ns, 500000000);
	assert_int_equal(r.total, 140);
	assert_int_equal(r.lost, 2);
	assert_int_equal(bench_result_parse(PP, BENCH_PINGPONG, &r), 0);
	assert_int_equal(r.p50_ns, 2500);
	assert_int_equal(r.p99_ns, 9000);
	assert_int_equal(r.samples, 10);
}

#define CROSS \
	"FL RESULT dev=virtio mode=cross size=60 batch=32 frames=10 bytes=600 ns=500000000 " \
	"total=14 kicks=14 lost=1 bad=%d sent=%d received=14 other=0 dev2=e1000"

static void cross_needs_what_was_sent_and_not_less_than_arrived(void **state)
{
	struct bench_result r;
	char line[400];

	snprintf(line, sizeof(line), CROSS, 0, 15);
	assert_int_equal(bench_result_parse(line, BENCH_CROSS, &r), 0);
	assert_int_equal(r.sent, 15);
	assert_int_equal(r.total, 14);
	snprintf(line, sizeof(line), CROSS, 0, 13);
	assert_int_equal(bench_result_parse(line, BENCH_CROSS, &r), -EPROTO);
	/* the guest has counted it as bad itself */
	snprintf(line, sizeof(line), CROSS, 1, 13);
	assert_int_equal(bench_result_parse(line, BENCH_CROSS, &r), 0);
	assert_int_equal(bench_result_parse(TX, BENCH_CROSS, &r), -EPROTO);
}

/* bench/linux/init.sh */
static void lines_of_a_linux_guest_are_read(void **state)
{
	struct bench_result r;
	uint8_t mac[6];

	assert_int_equal(bench_result_parse("FL RESULT mode=tcp_out frames=10 bytes=14480 "
					    "ns=1000123000 total=10 kicks=0 lost=2 bad=0",
					    BENCH_TCP_OUT, &r),
			 0);
	assert_int_equal(r.bytes, 14480);
	assert_int_equal(r.lost, 2);
	assert_int_equal(bench_result_parse("FL RESULT mode=tcp_out frames=10 bytes=14480 "
					    "ns=1000123000 total=10 kicks=0 lost=2 bad=0",
					    BENCH_TCP_IN, &r),
			 -EPROTO);
	assert_int_equal(bench_result_parse("FL RESULT mode=tcp_in frames=10 bytes=14480 "
					    "ns=1000123000 total=10 kicks=0 lost=null bad=0",
					    BENCH_TCP_IN, &r),
			 -EPROTO);
	assert_int_equal(bench_result_parse("FL RESULT mode=pingpong frames=9 bytes=540 "
					    "ns=20000000 total=10 kicks=0 lost=1 bad=0 "
					    "p50_ns=31000 p99_ns=90000 samples=9",
					    BENCH_PINGPONG, &r),
			 0);
	assert_int_equal(r.p99_ns, 90000);
	assert_int_equal(bench_ready_parse("FL READY mac=52:54:00:12:34:56 kernel=6.12.1", mac), 0);
}

static void optional_field_is_read_when_there(void **state)
{
	struct bench_result r;
	char line[400];

	snprintf(line, sizeof(line), "%s other=7",
		 "FL RESULT dev=e1000 mode=rx size=60 batch=32 frames=1 bytes=60 ns=1000000 "
		 "total=1 kicks=0 lost=0 bad=0");
	assert_int_equal(bench_result_parse(line, BENCH_RX, &r), 0);
	assert_int_equal(r.other, 7);
}

static void malformed_result_is_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"FL RESULT",
		"FL RESULT ",
		"FL READY mac=52:54:00:12:34:56 link=up",
		"garbage",
		/* a field is missing */
		"FL RESULT dev=e1000 mode=tx size=60 batch=32 frames=100 bytes=6000 total=140 "
		"kicks=5 lost=2 bad=0",
		"FL RESULT dev=e1000 mode=tx size=60 batch=32 bytes=6000 ns=500000000 total=140 "
		"kicks=5 lost=2 bad=0",
		/* no number, a sign, too long, something behind it */
		"FL RESULT dev=e1000 mode=tx size=60 batch=32 frames=x bytes=6000 ns=500000000 "
		"total=140 kicks=5 lost=2 bad=0",
		"FL RESULT dev=e1000 mode=tx size=60 batch=32 frames=-1 bytes=6000 ns=500000000 "
		"total=140 kicks=5 lost=2 bad=0",
		"FL RESULT dev=e1000 mode=tx size=60 batch=32 frames= bytes=6000 ns=500000000 "
		"total=140 kicks=5 lost=2 bad=0",
		"FL RESULT dev=e1000 mode=tx size=60 batch=32 frames=1e3 bytes=6000 ns=500000000 "
		"total=140 kicks=5 lost=2 bad=0",
		"FL RESULT dev=e1000 mode=tx size=60 batch=32 frames=99999999999999999999999 "
		"bytes=1 ns=500000000 total=140 kicks=5 lost=2 bad=0",
		/* twice there */
		TX " frames=100",
		/* another mode, a round trip's fields missing */
		"FL RESULT dev=e1000 mode=rx size=60 batch=32 frames=100 bytes=6000 ns=500000000 "
		"total=140 kicks=5 lost=2 bad=0",
		/* no time at all, far too much, more in the window than in the run */
		"FL RESULT dev=e1000 mode=tx size=60 batch=32 frames=100 bytes=6000 ns=0 total=140 "
		"kicks=5 lost=2 bad=0",
		"FL RESULT dev=e1000 mode=tx size=60 batch=32 frames=100 bytes=6000 "
		"ns=18446744073709551615 total=140 kicks=5 lost=2 bad=0",
		"FL RESULT dev=e1000 mode=tx size=60 batch=32 frames=141 bytes=6000 ns=500000000 "
		"total=140 kicks=5 lost=2 bad=0",
	};
	struct bench_result r;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (bench_result_parse(lines[i], BENCH_TX, &r) != -EPROTO)
			fail_msg("taken: %s", lines[i]);
	assert_int_equal(bench_result_parse(TX, BENCH_PINGPONG, &r), -EPROTO);
}

static void every_cut_of_a_result_is_refused(void **state)
{
	char line[sizeof(PP)];
	struct bench_result r;

	/* behind the last field's first digit a shorter number is a number, too */
	for (size_t n = 0; n < sizeof(PP) - 2; n++) {
		snprintf(line, n + 1, "%s", PP);
		assert_int_equal(bench_result_parse(line, BENCH_PINGPONG, &r), -EPROTO);
	}
}

static void name_inside_another_name_is_not_taken_for_it(void **state)
{
	struct bench_result r;

	/* "xns=" and "ns_=" are not "ns=" */
	assert_int_equal(bench_result_parse("FL RESULT dev=e1000 mode=tx xns=5000000 ns_=5000000 "
					    "frames=1 bytes=6 total=1 kicks=5 lost=2 bad=0",
					    BENCH_TX, &r),
			 -EPROTO);
}

static void ready_line_gives_the_mac(void **state)
{
	static const char *const wrong[] = { "",
					     "FL READY ",
					     "FL READY mac=52:54:00:12:34 link=up",
					     "FL READY mac=52:54:00:12:34:56",
					     "FL READY mac=zz:54:00:12:34:56 link=up",
					     "FL READY mac=52:54:00:12:34:567 link=up" };
	uint8_t mac[6];

	assert_int_equal(bench_ready_parse("FL READY mac=52:54:00:12:34:ff link=up", mac), 0);
	assert_memory_equal(mac, ((uint8_t[]){ 0x52, 0x54, 0, 0x12, 0x34, 0xff }), 6);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(bench_ready_parse(wrong[i], mac), -EPROTO);
}

static void median_is_in_the_middle(void **state)
{
	struct bench_spread s = bench_spread_of((double[]){ 3, 1, 2 }, 3);

	assert_true(s.median == 2 && s.min == 1 && s.max == 3);
	s = bench_spread_of((double[]){ 4, 1, 3, 2 }, 4);
	assert_true(s.median == 2.5 && s.min == 1 && s.max == 4);
	s = bench_spread_of((double[]){ 7 }, 1);
	assert_true(s.median == 7 && s.min == 7 && s.max == 7);
	s = bench_spread_of(NULL, 0);
	assert_true(s.median == 0 && s.min == 0 && s.max == 0);
}

static void one_disturbed_run_does_not_move_the_median(void **state)
{
	assert_true(bench_spread_of((double[]){ 100, 1, 101 }, 3).median == 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(result_line_is_read),
		cmocka_unit_test(cross_needs_what_was_sent_and_not_less_than_arrived),
		cmocka_unit_test(lines_of_a_linux_guest_are_read),
		cmocka_unit_test(optional_field_is_read_when_there),
		cmocka_unit_test(malformed_result_is_refused),
		cmocka_unit_test(every_cut_of_a_result_is_refused),
		cmocka_unit_test(name_inside_another_name_is_not_taken_for_it),
		cmocka_unit_test(ready_line_gives_the_mac),
		cmocka_unit_test(median_is_in_the_middle),
		cmocka_unit_test(one_disturbed_run_does_not_move_the_median),
	};

	return cmocka_run_group_tests_name("bench_result", tests, NULL, NULL);
}
