/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A child under ptrace that is killed (SIGKILL) at one of its system calls, for tests of what is
 * taken up after the end of a process. The test says which calls count: those that change
 * something outside of the process.
 */
#ifndef TESTS_UNIT_HELPER_KILL_H
#define TESTS_UNIT_HELPER_KILL_H

#include <stdbool.h>
#include <sys/user.h>

struct kill_victim {
	void (*act)(void *opaque); /* what the child does; its result does not matter */
	void *opaque;
	bool (*changes)(const struct user_regs_struct *r); /* this system call counts */
	/* in memory that the child shares: while not 0, calls are the made-up kernel's own */
	const volatile int *busy;
};

/*
 * kill_at_change - runs it until the system call number `at` (from 1) of those that count and kills
 * it before that call, or after: 1. 0 when it came to its end before that, -1 when it cannot be
 * traced here.
 */
int kill_at_change(const struct kill_victim *v, unsigned int at, bool after);

#endif
