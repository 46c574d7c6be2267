/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A UART at COM1 (National Semiconductor PC16550D): the guest's console. Output goes to a
 * descriptor as it is written, input comes from the monitor's main thread through a bounded FIFO.
 */
#ifndef CORE_SERIAL_H
#define CORE_SERIAL_H

#include <stdint.h>

#include "core/vm.h"

struct serial;

#define SERIAL_PORT 0x3f8
#define SERIAL_SIZE 8
#define SERIAL_IRQ  4 /* edge, active high, as an ISA device's */

/* serial_create - COM1, output to out_fd (not owned; -1: nowhere). */
int serial_create(struct vm *vm, int out_fd, struct serial **out);
void serial_destroy(struct serial *s); /* accepts NULL */

/*
 * serial_room - bytes that serial_input() would take now. serial_input - from the main thread;
 * gives how many it took.
 */
unsigned int serial_room(struct serial *s);
unsigned int serial_input(struct serial *s, const uint8_t *data, unsigned int len);

/* serial_accesses - trapped accesses so far, for the exit statistics. */
uint64_t serial_accesses(const struct serial *s);

#endif
