/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The serial port as a driver that somebody else wrote meets it: the probes and the interrupt
 * sequences of Linux's 8250 driver (drivers/tty/serial/8250/8250_port.c), input, output, loopback.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/serial.h"
#include "core/vm_priv.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = RBR, FCR = IIR, DLL = RBR, DLM = IER };

struct fixture {
	struct guest_mem *mem;
	struct vm *vm;
	struct serial *serial;
	int pipe[2];
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	*state = &f;
	return pipe(f.pipe) < 0 || mem_create(2 << 20, &f.mem) < 0 ||
	       vm_create_fake(f.mem, &f.vm) < 0 || serial_create(f.vm, f.pipe[1], &f.serial) < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	serial_destroy(f->serial);
	vm_destroy(f->vm);
	mem_destroy(f->mem);
	close(f->pipe[0]);
	close(f->pipe[1]);
	return 0;
}

static void out(struct fixture *f, unsigned int reg, uint8_t v)
{
	assert_true(bus_write(vm_pio(f->vm), 0, 0x3f8 + reg, 1, v));
}

static uint8_t in(struct fixture *f, unsigned int reg)
{
	uint64_t v;

	assert_true(bus_read(vm_pio(f->vm), 0, 0x3f8 + reg, 1, &v));
	return (uint8_t)v;
}

static int line(struct fixture *f)
{
	return vm_fake_counts(f->vm)->line_level;
}

static unsigned int edges(struct fixture *f)
{
	return vm_fake_counts(f->vm)->line_changes;
}

static void type(struct fixture *f, const char *text)
{
	assert_int_equal(serial_input(f->serial, (const uint8_t *)text, (unsigned int)strlen(text)),
			 strlen(text));
}

/* autoconfig(), autoconfig_16550a(): what Linux does to find out what the chip is. */
static void probe_finds_a_16550a(void **state)
{
	struct fixture *f = *state;

	out(f, IER, 0);
	assert_int_equal(in(f, IER), 0);
	out(f, IER, 0x0f);
	assert_int_equal(in(f, IER) & 0x0f, 0x0f);
	out(f, IER, 0);
	out(f, MCR, 0x10 | 0x0a);
	assert_int_equal(in(f, MSR) & 0xf0, 0x90);
	out(f, MCR, 0);
	out(f, LCR, 0xbf); /* no enhanced registers behind it */
	out(f, FCR, 0);
	out(f, LCR, 0);
	out(f, FCR, 1);
	assert_int_equal(in(f, IIR) >> 6, 3); /* working FIFOs */
	out(f, FCR, 1 | 0x20);
	assert_int_equal(in(f, IIR) & 0x20, 0); /* of 16, not 64 bytes */
	out(f, IER, 0x40);
	assert_int_equal(in(f, IER), 0); /* no XScale */
	out(f, SCR, 0xa5);
	assert_int_equal(in(f, SCR), 0xa5);
}

static void divisor_is_kept(void **state)
{
	struct fixture *f = *state;

	out(f, LCR, 0x80);
	assert_int_equal(in(f, DLL) | in(f, DLM) << 8, 12); /* 9600 baud */
	out(f, DLL, 1);
	out(f, DLM, 2);
	assert_int_equal(in(f, DLL), 1);
	assert_int_equal(in(f, DLM), 2);
	out(f, LCR, 3);
	assert_int_equal(in(f, RBR), 0);
	assert_int_equal(in(f, IER), 0);
}

/* serial8250_do_startup(): tests for an interrupt that comes again and for one at all. */
static void empty_transmitter_interrupts_each_time(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		out(f, IER, 2);
		assert_int_equal(line(f), 1);
		assert_int_equal(in(f, LSR) & 0x60, 0x60);
		assert_int_equal(in(f, IIR), 2);
		assert_int_equal(line(f), 0); /* reading it is the acknowledgement */
		assert_int_equal(in(f, IIR), 1);
		out(f, IER, 0);
	}
}

/* Each byte written after the acknowledgement gives a new edge: none is lost on an ISA input. */
static void each_write_gives_a_new_edge(void **state)
{
	struct fixture *f = *state;
	char text[3];

	out(f, IER, 2);
	assert_int_equal(in(f, IIR), 2);
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int before = edges(f);

		out(f, THR, (uint8_t)('a' + i));
		assert_int_equal(edges(f), before + 1);
		assert_int_equal(line(f), 1);
		assert_int_equal(in(f, IIR), 2);
		assert_int_equal(line(f), 0);
	}
	assert_int_equal(read(f->pipe[0], text, 3), 3);
	assert_memory_equal(text, "abc", 3);
}

static void input_interrupts_until_it_is_read(void **state)
{
	struct fixture *f = *state;

	type(f, "x"); /* before anybody listens */
	assert_int_equal(line(f), 0);
	out(f, IER, 1);
	assert_int_equal(line(f), 1);
	assert_int_equal(in(f, IIR), 4);
	assert_int_equal(in(f, IIR), 4); /* reading IIR does not take it */
	assert_int_equal(in(f, LSR) & 1, 1);
	assert_int_equal(in(f, RBR), 'x');
	assert_int_equal(line(f), 0);
	assert_int_equal(in(f, LSR) & 1, 0);
	assert_int_equal(in(f, RBR), 0);
	type(f, "yz");
	assert_int_equal(in(f, RBR), 'y');
	assert_int_equal(line(f), 1);
	assert_int_equal(in(f, RBR), 'z');
	assert_int_equal(line(f), 0);
}

/* With FIFOs: below the trigger it is the time-out that interrupts. */
static void trigger_level_tells_the_cause(void **state)
{
	struct fixture *f = *state;

	out(f, FCR, 1 | 2 << 6); /* 8 bytes */
	out(f, IER, 1);
	type(f, "1234567");
	assert_int_equal(in(f, IIR), 0xcc);
	type(f, "8");
	assert_int_equal(in(f, IIR), 0xc4);
	out(f, FCR, 1 | 2 | 2 << 6); /* clear */
	assert_int_equal(in(f, IIR), 0xc1);
	assert_int_equal(line(f), 0);
}

static void causes_come_in_the_data_sheets_order(void **state)
{
	struct fixture *f = *state;

	out(f, IER, 0x0f);
	assert_int_equal(in(f, IIR), 2); /* what IER itself gives */
	out(f, MCR, 0x10 | 1);           /* modem lines change */
	out(f, THR, 'a');
	out(f, THR, 'b'); /* no room without FIFOs: overrun */
	assert_int_equal(in(f, IIR), 6);
	assert_int_equal(in(f, LSR), 0x63);
	assert_int_equal(in(f, LSR), 0x61); /* told once */
	assert_int_equal(in(f, IIR), 4);
	assert_int_equal(in(f, RBR), 'a');
	assert_int_equal(in(f, IIR), 2);
	assert_int_equal(in(f, IIR), 0);
	in(f, MSR);
	assert_int_equal(in(f, IIR), 1);
	assert_int_equal(line(f), 0);
}

static void loopback_carries_bytes_and_lines(void **state)
{
	struct fixture *f = *state;

	out(f, FCR, 1);
	out(f, MCR, 0x10);
	in(f, MSR);
	for (unsigned int i = 0; i < 17; i++)
		out(f, THR, (uint8_t)i);
	assert_int_equal(in(f, LSR), 0x63); /* 16 fit */
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(in(f, RBR), i);
	assert_int_equal(in(f, LSR), 0x60);
	for (unsigned int bit = 0; bit < 4; bit++) {
		/* DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD */
		static const uint8_t line_of[] = { 0x20, 0x10, 0x40, 0x80 };
		/* and their change: RI only when it falls */
		static const uint8_t delta_of[] = { 2, 1, 4, 8 };

		out(f, MCR, (uint8_t)(0x10 | 1 << bit));
		assert_int_equal(in(f, MSR), line_of[bit] | (bit == 2 ? 0 : delta_of[bit]));
		assert_int_equal(in(f, MSR), line_of[bit]);
		out(f, MCR, 0x10);
		assert_int_equal(in(f, MSR), delta_of[bit]);
	}
	out(f, MCR, 0);
	assert_int_equal(in(f, MSR) & 0xf0, 0xb0); /* a terminal is there */
}

static void input_waits_for_room(void **state)
{
	struct fixture *f = *state;
	uint8_t data[200];
	unsigned int taken = 0, got = 0;

	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	while (got < sizeof(data)) {
		unsigned int room = serial_room(f->serial),
			     n = serial_input(f->serial, data + taken,
					      (unsigned int)sizeof(data) - taken);

		assert_true(n <= room);
		taken += n;
		assert_int_equal(in(f, LSR) & 3, 1); /* data, no overrun */
		for (int k = 0; k < 10 && in(f, LSR) & 1; k++)
			assert_int_equal(in(f, RBR), data[got++]);
	}
	assert_int_equal(taken, sizeof(data));
}

/* More than the ring and the pipe hold, in a pattern, read at its own speed: whole and in order. */
static void *read_slowly(void *arg)
{
	struct fixture *f = arg;
	unsigned int next = 0;
	uint8_t buf[1500];
	ssize_t n;

	while ((n = read(f->pipe[0], buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != (uint8_t)(next++ * 7))
				return NULL;
		usleep(100);
	}
	return (void *)(uintptr_t)next;
}

static void the_thread_writes_all_in_order(void **state)
{
	struct fixture *f = *state;
	const unsigned int n = 300000;
	pthread_t reader;
	void *got;

	assert_int_equal(pthread_create(&reader, NULL, read_slowly, f), 0);
	assert_int_equal(serial_start(f->serial), 0);
	for (unsigned int i = 0; i < n; i++)
		out(f, THR, (uint8_t)(i * 7));
	serial_destroy(f->serial); /* the last of it, too */
	f->serial = NULL;
	bus_remove(vm_pio(f->vm), 0x3f8);
	close(f->pipe[1]);
	f->pipe[1] = -1;
	pthread_join(reader, &got);
	assert_int_equal((uintptr_t)got, n);
}

/* Nobody reads: the guest waits, and both it and its end come through when it is to stop. */
static void *fill(void *arg)
{
	for (unsigned int i = 0; i < 200000; i++)
		out(arg, THR, 'x');
	return NULL;
}

static void an_end_does_not_wait_for_a_reader(void **state)
{
	struct fixture *f = *state;
	pthread_t vcpu;

	assert_int_equal(serial_start(f->serial), 0);
	assert_int_equal(pthread_create(&vcpu, NULL, fill, f), 0);
	usleep(20000);
	vm_request_stop(f->vm, VM_STOP_ASKED);
	pthread_join(vcpu, NULL);
	serial_destroy(f->serial);
	f->serial = NULL;
	bus_remove(vm_pio(f->vm), 0x3f8);
}

static void a_reader_that_is_gone_is_no_harm(void **state)
{
	struct fixture *f = *state;

	signal(SIGPIPE, SIG_IGN);
	close(f->pipe[0]);
	f->pipe[0] = -1;
	assert_int_equal(serial_start(f->serial), 0);
	for (unsigned int i = 0; i < 20000; i++)
		out(f, THR, 'x');
}

static void any_access_does_no_harm(void **state)
{
	struct fixture *f = *state;
	struct serial *deaf;
	uint64_t v;

	/* output to nowhere, or the pipe would be full */
	serial_destroy(f->serial);
	bus_remove(vm_pio(f->vm), 0x3f8);
	assert_int_equal(serial_create(f->vm, -1, &deaf), 0);
	f->serial = deaf;
	srand(4);
	for (int i = 0; i < 50000; i++) {
		unsigned int port = 0x3f6 + (unsigned int)rand() % 12, size = 1u << rand() % 3;

		bus_write(vm_pio(f->vm), 0, port, size, (uint64_t)rand());
		bus_read(vm_pio(f->vm), 0, port, size, &v);
		if (rand() % 16 == 0)
			serial_input(f->serial, (const uint8_t *)"abcdefgh", 8);
	}
	assert_true(serial_room(f->serial) <= 64);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(probe_finds_a_16550a),
		T(divisor_is_kept),
		T(empty_transmitter_interrupts_each_time),
		T(each_write_gives_a_new_edge),
		T(input_interrupts_until_it_is_read),
		T(trigger_level_tells_the_cause),
		T(causes_come_in_the_data_sheets_order),
		T(loopback_carries_bytes_and_lines),
		T(input_waits_for_room),
		T(the_thread_writes_all_in_order),
		T(an_end_does_not_wait_for_a_reader),
		T(a_reader_that_is_gone_is_no_harm),
		T(any_access_does_no_harm),
	};

	return cmocka_run_group_tests_name("core/serial", tests, NULL, NULL);
}
