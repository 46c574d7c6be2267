/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A UART at COM1 (National Semiconductor PC16550D): the guest's console. Output goes to a
 * descriptor by a thread of its own, input comes from the monitor's main thread through a bounded
 * FIFO.
 */
#ifndef CORE_SERIAL_H
#define CORE_SERIAL_H

#include <stdint.h>

#include "core/vm.h"

struct serial;

#define SERIAL_PORT 0x3f8
#define SERIAL_SIZE 8
#define SERIAL_IRQ  4 /* edge, active high, as an ISA device's */

/*
 * serial_create - COM1, output to out_fd (not owned; -1: nowhere). serial_start - before the first
 * vCPU runs and inside the jail: from then on a thread writes, and no vCPU waits for the reader
 * while there is room; without it each byte is written by the vCPU that gives it. Negative errno
 * after a message. serial_destroy - when no vCPU runs any more; what was said until then is
 * written, but after the VM was asked to stop a reader that takes nothing is not waited for.
 * Accepts NULL.
 */
int serial_create(struct vm *vm, int out_fd, struct serial **out);
int serial_start(struct serial *s);
void serial_destroy(struct serial *s);

/*
 * serial_room - bytes that serial_input() would take now. serial_input - from the main thread;
 * gives how many it took.
 */
unsigned int serial_room(struct serial *s);
unsigned int serial_input(struct serial *s, const uint8_t *data, unsigned int len);

/* serial_accesses - trapped accesses so far, for the exit statistics. */
uint64_t serial_accesses(const struct serial *s);

#endif
