/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `fourlane run --pin LIST`: which host CPU each thread of a guest runs on. */
#ifndef CORE_CPU_PIN_H
#define CORE_CPU_PIN_H

#include <sched.h>

#define CPU_PIN_MAX 64

struct cpu_pin {
	unsigned int n;        /* vCPUs that have a host CPU: 0 or all */
	int vcpu[CPU_PIN_MAX]; /* host CPU of vCPU i */
	int io;                /* of the I/O thread; -1: any */
};

/*
 * cpu_pin_parse - "2,4-6,io:1": host CPUs for the vCPUs in their order, numbers and ranges, and one
 * for the I/O thread; either may be left out, a CPU may stand more than once. -EINVAL after a
 * message when it is no such list or has not exactly n_vcpus CPUs.
 */
int cpu_pin_parse(const char *text, unsigned int n_vcpus, struct cpu_pin *out);

/*
 * cpu_pin_check - may all of them be used? -EOPNOTSUPP after a message that names the first that
 * may not and the set that may.
 */
int cpu_pin_check(const struct cpu_pin *pin, const cpu_set_t *allowed);

#endif
