/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the emulated 82540EM interrupts: delays of both directions, the interval between two
 * interrupts, thresholds. By a clock that the test moves, but for the last test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "helper_e1000.h"

#define EOP E1000_TXC_EOP
#define RS  E1000_TXC_RS
#define IDE E1000_TXC_IDE

static uint64_t clock_ns;

static uint64_t test_clock(void)
{
	return clock_ns;
}

static int up(void **state)
{
	static struct eg g;

	eg_up(&g, "e1000," EG_OPTS);
	eg_tap(&g);
	clock_ns = 1000000000;
	g.d->now = test_clock;
	eg_start_tx(&g, 64);
	eg_start_rx(&g, 64, E1000_RCTL_SECRC);
	eg_post(&g, 63, 2048);
	eg_read(&g, E1000_ICR);
	*state = &g;
	return 0;
}

static int down(void **state)
{
	eg_down(*state);
	return 0;
}

/* Time passes, then the I/O thread looks. Gives the causes, which are read away. */
static uint32_t after(struct eg *g, uint64_t ns)
{
	clock_ns += ns;
	eg_poll(g, 1);
	return eg_read(g, E1000_ICR);
}

static void frame_in(struct eg *g)
{
	eg_deliver(g, eg_mac, 100);
}

static void frame_out(struct eg *g, uint8_t cmd)
{
	uint32_t tail = eg_read(g, E1000_TDT);

	eg_legacy(g, tail, EG_DATA, 100, EOP | cmd);
	eg_write(g, E1000_TDT, (tail + 1) % 64);
}

static void e1000_rdtr_delays_until_frames_pause(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_RDTR, 10); /* 10.24 us */
	for (int i = 0; i < 20; i++) {
		frame_in(g);
		assert_int_equal(after(g, 9000), 0);
	}
	assert_int_equal(after(g, 10239), 0);
	assert_int_equal(after(g, 1), E1000_INT_RXT0);
	assert_int_equal(after(g, 1000000), 0);
}

static void e1000_radv_ends_the_delay(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_RDTR, 10);
	eg_write(g, E1000_RADV, 20);
	for (int i = 0; i < 3; i++) {
		frame_in(g);
		assert_int_equal(after(g, 7000), 0);
	}
	frame_in(g);
	assert_int_equal(after(g, 7000), E1000_INT_RXT0);
	/* and the next one starts anew */
	frame_in(g);
	assert_int_equal(after(g, 0), 0);
	assert_int_equal(after(g, 10240), E1000_INT_RXT0);
}

static void e1000_rdtr_zero_does_not_wait(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_RADV, 20);
	frame_in(g);
	assert_int_equal(after(g, 0), E1000_INT_RXT0);
	/* a delay that runs is over when a frame does not wait */
	eg_write(g, E1000_RDTR, 10);
	frame_in(g);
	assert_int_equal(after(g, 0), 0);
	eg_write(g, E1000_RDTR, 0);
	frame_in(g);
	assert_int_equal(after(g, 0), E1000_INT_RXT0);
	assert_int_equal(after(g, 100000), 0);
}

static void e1000_fpd_tells_at_once(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_RDTR, E1000_RDTR_FPD | 10);
	assert_int_equal(eg_read(g, E1000_RDTR), 10);
	assert_int_equal(eg_read(g, E1000_ICR), 0); /* nothing waited */
	eg_write(g, E1000_TIDV, 10);
	frame_in(g);
	frame_out(g, RS | IDE);
	assert_int_equal(after(g, 0), E1000_INT_TXQE);
	eg_write(g, E1000_RDTR, E1000_RDTR_FPD | 10);
	assert_int_equal(eg_read(g, E1000_ICR), E1000_INT_RXT0);
	eg_write(g, E1000_TIDV, E1000_TIDV_FPD | 10);
	assert_int_equal(eg_read(g, E1000_ICR), E1000_INT_TXDW);
	assert_int_equal(after(g, 100000), 0);
}

static void e1000_tidv_delays_those_that_ask_for_it(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_TIDV, 10);
	eg_write(g, E1000_TADV, 20);
	frame_out(g, RS);
	assert_true(after(g, 0) & E1000_INT_TXDW);
	for (int i = 0; i < 3; i++) {
		frame_out(g, RS | IDE);
		assert_false(after(g, 7000) & E1000_INT_TXDW);
	}
	assert_int_equal(eg_tx_status(g, 3), 1); /* the status does not wait */
	frame_out(g, RS | IDE);
	assert_true(after(g, 7000) & E1000_INT_TXDW);
	frame_out(g, RS | IDE);
	assert_false(after(g, 0) & E1000_INT_TXDW);
	frame_out(g, RS); /* takes the waiting one along */
	assert_true(after(g, 0) & E1000_INT_TXDW);
	assert_int_equal(after(g, 100000), 0);
	frame_out(g, IDE); /* no status, no interrupt */
	assert_int_equal(after(g, 100000) & E1000_INT_TXDW, 0);
}

static bool line(struct eg *g)
{
	return vm_fake_counts(g->vm)->line_level;
}

static void e1000_itr_keeps_interrupts_apart(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_ITR, 1000); /* 256 us */
	eg_write(g, E1000_IMS, E1000_INT_RXT0);
	frame_in(g);
	eg_poll(g, 1);
	assert_true(line(g)); /* the first waits for nothing */
	eg_read(g, E1000_ICR);
	assert_false(line(g));
	frame_in(g);
	clock_ns += 255999;
	eg_poll(g, 2);
	assert_false(line(g));
	assert_int_equal(g->d->irq_due, clock_ns + 1);
	clock_ns += 1;
	eg_poll(g, 1);
	assert_true(line(g));
	assert_int_equal(g->d->irq_due, 0);
	assert_int_equal(eg_stat(g, "interrupts"), 2);
}

/* The unmasking at the end of a driver's poll is held as well; what is read or masked is not told.
 */
static void e1000_itr_holds_what_is_unmasked_and_forgets_what_is_read(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_ITR, 1000);
	eg_write(g, E1000_IMS, E1000_INT_RXT0);
	eg_write(g, E1000_ICS, E1000_INT_RXT0);
	assert_true(line(g));
	eg_read(g, E1000_ICR);
	eg_write(g, E1000_IMC, ~0u);
	eg_write(g, E1000_ICS, E1000_INT_RXT0);
	eg_write(g, E1000_IMS, E1000_INT_RXT0);
	assert_false(line(g));
	assert_int_not_equal(g->d->irq_due, 0);
	eg_write(g, E1000_IMC, ~0u);
	assert_int_equal(g->d->irq_due, 0);
	eg_write(g, E1000_IMS, E1000_INT_RXT0);
	assert_int_equal(eg_read(g, E1000_ICR), E1000_INT_RXT0);
	clock_ns += 1000000;
	eg_poll(g, 1);
	assert_false(line(g));
	assert_int_equal(eg_stat(g, "interrupts"), 1);
}

static void e1000_itr_that_shrinks_lets_go(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_ITR, 1000);
	eg_write(g, E1000_IMS, E1000_INT_LSC);
	eg_write(g, E1000_ICS, E1000_INT_LSC);
	eg_read(g, E1000_ICR);
	eg_write(g, E1000_ICS, E1000_INT_LSC);
	assert_false(line(g));
	eg_write(g, E1000_ITR, 0);
	assert_true(line(g));
}

static void e1000_reset_ends_every_delay(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_RDTR, 10);
	eg_write(g, E1000_ITR, 1000);
	frame_in(g);
	eg_poll(g, 1);
	eg_write(g, E1000_CTRL, E1000_CTRL_RST);
	assert_int_equal(after(g, 1000000), 0);
	assert_int_equal(e1000_timers_due(g->d) | g->d->irq_due, 0);
	eg_write(g, E1000_IMS, E1000_INT_LSC);
	for (int i = 0; i < 3; i++) {
		eg_write(g, E1000_ICS, E1000_INT_LSC);
		assert_true(line(g));
		eg_read(g, E1000_ICR);
	}
}

/* An idle guest has no timer; one that waits has one, set when the thread has nothing to do. */
static void e1000_timer_runs_only_while_something_waits(void **state)
{
	struct eg *g = *state;

	eg_poll(g, 3);
	frame_in(g);
	frame_out(g, RS);
	eg_poll(g, 3);
	assert_int_equal(g->d->armed, 0);
	eg_write(g, E1000_RDTR, 1000);
	frame_in(g);
	eg_poll(g, 1); /* busy: the poller looks itself */
	assert_int_equal(g->d->armed, 0);
	eg_poll(g, 1);
	assert_int_equal(g->d->armed, clock_ns + 1024000);
}

static void e1000_txd_low_comes_at_its_threshold(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_TXDCTL, 1u << 25); /* 8 descriptors */
	g->tap->hold = true;
	for (int i = 0; i < 12; i++)
		frame_out(g, 0);
	eg_poll(g, 1);
	g->tap->hold = false;
	g->tap->slow = 3;
	assert_false(after(g, 0) & E1000_INT_TXD_LOW); /* 9 left */
	g->tap->slow = 1;
	assert_true(after(g, 0) & E1000_INT_TXD_LOW);
	assert_false(after(g, 0) & E1000_INT_TXD_LOW);
}

/* With the I/O thread and the clock of the machine: the guest does nothing, the interrupt comes. */
static void e1000_delayed_interrupt_reaches_an_idle_guest(void **state)
{
	struct eg *g = *state;

	g->d->now = e1000_monotonic;
	eg_write(g, E1000_TIDV, 0xffff); /* 67 ms: longer than the thread stays awake */
	eg_write(g, E1000_IMS, E1000_INT_TXDW);
	assert_int_equal(io_start(vm_io(g->vm)), 0);
	frame_out(g, RS | IDE);
	for (int i = 0; i < 10000 && !eg_stat(g, "interrupts"); i++)
		usleep(1000);
	assert_int_equal(eg_stat(g, "interrupts"), 1);
	assert_true(eg_read(g, E1000_ICR) & E1000_INT_TXDW);
	/* and one that the interval holds */
	eg_write(g, E1000_ITR, 0xffff);
	eg_write(g, E1000_ICS, E1000_INT_TXDW);
	eg_read(g, E1000_ICR);
	eg_write(g, E1000_ICS, E1000_INT_TXDW);
	for (int i = 0; i < 10000 && eg_stat(g, "interrupts") < 3; i++)
		usleep(1000);
	assert_int_equal(eg_stat(g, "interrupts"), 3);
	io_stop(vm_io(g->vm));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		T(e1000_rdtr_delays_until_frames_pause),
		T(e1000_radv_ends_the_delay),
		T(e1000_rdtr_zero_does_not_wait),
		T(e1000_fpd_tells_at_once),
		T(e1000_tidv_delays_those_that_ask_for_it),
		T(e1000_itr_keeps_interrupts_apart),
		T(e1000_itr_holds_what_is_unmasked_and_forgets_what_is_read),
		T(e1000_itr_that_shrinks_lets_go),
		T(e1000_reset_ends_every_delay),
		T(e1000_timer_runs_only_while_something_waits),
		T(e1000_txd_low_comes_at_its_threshold),
		T(e1000_delayed_interrupt_reaches_an_idle_guest),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
