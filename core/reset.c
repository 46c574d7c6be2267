/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See reset.h. IBM PC/AT technical reference, 8042: pulsing output bit 0 (command 0xfe) resets the
 * processor. */
#include "core/reset.h"

static uint64_t reset_read(void *opaque, uint64_t off, unsigned int size)
{
	return 0; /* status: input buffer empty, output buffer empty */
}

static void reset_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	if ((val & 0xff) == RESET_VALUE)
		vm_request_stop(opaque, VM_STOP_RESET);
}

static const struct bus_ops reset_ops = { .read = reset_read, .write = reset_write };

int reset_create(struct vm *vm)
{
	struct bus_region r = {
		.base = RESET_PORT, .size = 1, .ops = &reset_ops, .opaque = vm, .name = "reset"
	};

	return bus_add(vm_pio(vm), &r);
}
