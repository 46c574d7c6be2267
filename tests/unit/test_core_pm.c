/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Power off, the power button and the reset line as an ACPI guest works them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/pm.h"
#include "core/reset.h"
#include "core/vm_priv.h"

#define STATUS  0x600
#define ENABLE  0x602
#define CONTROL 0x604
#define PWRBTN  (1 << 8)
#define SLP_EN  (1 << 13)
#define S5      (5 << 10)

struct fixture {
	struct guest_mem *mem;
	struct vm *vm;
	struct pm *pm;
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	*state = &f;
	return mem_create(2 << 20, &f.mem) < 0 || vm_create_fake(f.mem, &f.vm) < 0 ||
	       pm_create(f.vm, &f.pm) < 0 || reset_create(f.vm) < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pm_destroy(f->pm);
	vm_destroy(f->vm);
	mem_destroy(f->mem);
	return 0;
}

static void out(struct fixture *f, uint16_t port, unsigned int size, uint64_t v)
{
	bus_write(vm_pio(f->vm), 0, port, size, v);
}

static uint64_t in(struct fixture *f, uint16_t port, unsigned int size)
{
	uint64_t v;

	assert_true(bus_read(vm_pio(f->vm), 0, port, size, &v));
	return v;
}

static int stopped(struct fixture *f)
{
	return atomic_load(&f->vm->stop);
}

static void sleep_register_powers_off(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in(f, CONTROL, 2), 1); /* SCI_EN: in ACPI mode from the start */
	out(f, CONTROL, 2, S5);                 /* the type alone does nothing */
	assert_int_equal(stopped(f), VM_STOP_NONE);
	assert_int_equal(in(f, CONTROL, 2), S5 | 1);
	out(f, CONTROL, 2, S5 | SLP_EN);
	assert_int_equal(stopped(f), VM_STOP_POWEROFF);
	assert_int_equal(in(f, CONTROL, 2), S5 | 1); /* SLP_EN reads as 0 */
}

static void sleep_register_works_by_bytes(void **state)
{
	struct fixture *f = *state;

	out(f, CONTROL, 1, 0xff);
	assert_int_equal(stopped(f), VM_STOP_NONE);
	out(f, CONTROL + 1, 1, (S5 | SLP_EN) >> 8);
	assert_int_equal(stopped(f), VM_STOP_POWEROFF);
}

static void other_sleep_states_are_not_there(void **state)
{
	struct fixture *f = *state;

	for (unsigned int type = 0; type < 8; type++)
		if (type != 5)
			out(f, CONTROL, 2, type << 10 | SLP_EN);
	assert_int_equal(stopped(f), VM_STOP_NONE);
}

static void power_button_needs_a_guest_that_listens(void **state)
{
	struct fixture *f = *state;

	assert_false(pm_press_power_button(f->pm));
	assert_int_equal(in(f, STATUS, 2), 0);
	out(f, ENABLE, 2, 0x20); /* another event */
	assert_false(pm_press_power_button(f->pm));
	assert_int_equal(vm_fake_counts(f->vm)->line_changes, 0);
}

static void power_button_interrupts_until_it_is_taken(void **state)
{
	struct fixture *f = *state;

	out(f, ENABLE, 2, PWRBTN);
	assert_int_equal(in(f, ENABLE, 2), PWRBTN);
	assert_true(pm_press_power_button(f->pm));
	assert_int_equal(in(f, STATUS, 2), PWRBTN);
	assert_int_equal(vm_fake_counts(f->vm)->line_level, 1);
	out(f, STATUS, 2, (uint16_t)~PWRBTN); /* not this one */
	assert_int_equal(in(f, STATUS, 2), PWRBTN);
	assert_true(pm_press_power_button(f->pm)); /* still pressed */
	assert_int_equal(vm_fake_counts(f->vm)->line_changes, 1);
	out(f, STATUS, 2, PWRBTN);
	assert_int_equal(in(f, STATUS, 2), 0);
	assert_int_equal(vm_fake_counts(f->vm)->line_level, 0);
	assert_true(pm_press_power_button(f->pm));
	assert_int_equal(vm_fake_counts(f->vm)->line_level, 1);
	out(f, ENABLE, 2, 0); /* masked, not taken */
	assert_int_equal(vm_fake_counts(f->vm)->line_level, 0);
	out(f, ENABLE, 2, PWRBTN);
	assert_int_equal(vm_fake_counts(f->vm)->line_level, 1);
	assert_int_equal(stopped(f), VM_STOP_NONE);
}

/* Status and enable in one access of 32 bits, as the block may be taken. */
static void event_block_is_read_whole(void **state)
{
	struct fixture *f = *state;

	out(f, STATUS, 4, (uint32_t)PWRBTN << 16);
	assert_true(pm_press_power_button(f->pm));
	assert_int_equal(in(f, STATUS, 4), (uint32_t)PWRBTN << 16 | PWRBTN);
	assert_int_equal(in(f, STATUS + 1, 1), PWRBTN >> 8);
}

static void reset_register_resets(void **state)
{
	struct fixture *f = *state;

	out(f, 0x64, 1, 0xd1);
	assert_int_equal(stopped(f), VM_STOP_NONE);
	out(f, 0x64, 1, 0xfe);
	assert_int_equal(stopped(f), VM_STOP_RESET);
}

static void any_access_does_no_harm(void **state)
{
	struct fixture *f = *state;
	uint64_t v;

	srand(3);
	for (int i = 0; i < 20000; i++) {
		uint16_t port = (uint16_t)(STATUS - 8 + rand() % 24);
		unsigned int size = 1u << rand() % 4;

		bus_write(vm_pio(f->vm), 0, port, size, (uint64_t)rand() << 31 | (uint64_t)rand());
		bus_read(vm_pio(f->vm), 0, port, size, &v);
		if (rand() % 64 == 0)
			pm_press_power_button(f->pm);
	}
	assert_int_equal(in(f, CONTROL, 2) & 1, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(sleep_register_powers_off),
		T(sleep_register_works_by_bytes),
		T(other_sleep_states_are_not_there),
		T(power_button_needs_a_guest_that_listens),
		T(power_button_interrupts_until_it_is_taken),
		T(event_block_is_read_whole),
		T(reset_register_resets),
		T(any_access_does_no_harm),
	};

	return cmocka_run_group_tests_name("core/pm", tests, NULL, NULL);
}
