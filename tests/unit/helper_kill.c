/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child that is killed at one of its system calls (see helper_kill.h). */
#include "helper_kill.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void child(const struct kill_victim *v)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(99);
	raise(SIGSTOP);
	v->act(v->opaque);
	_exit(0);
}

/* To the next system call's entry or exit; false when the child has ended. */
static bool next_stop(pid_t pid)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSTOPPED(status))
		return true;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

int kill_at_change(const struct kill_victim *v, unsigned int at, bool after)
{
	struct user_regs_struct regs;
	unsigned int seen = 0;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(v);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		return -1;
	while (next_stop(pid)) {
		bool hit;

		assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &regs), 0);
		hit = v->changes(&regs) && !*v->busy && ++seen == at;
		if ((!hit || after) && !next_stop(pid)) /* the way out of the call */
			return 0;
		if (!hit)
			continue;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		return 1;
	}
	return 0;
}
