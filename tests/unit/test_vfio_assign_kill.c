/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * assign, unassign and --persist killed (SIGKILL) before and after every system call that changes
 * something on disk, on the made-up host of helper_vfio_assign.h: unassign afterwards puts
 * everything back each time. The victim is a child under ptrace. Writes to sysfs are left out here:
 * the made-up kernel does several calls for what is one in the real one; test_vfio_assign.c ends
 * before and after each of those.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper_vfio_assign.h"

enum action { ASSIGN, ASSIGN_KEEP, UNASSIGN };

/* System calls that change a file, a folder or what is safe on disk. */
static bool changes(const struct user_regs_struct *r)
{
	switch (r->orig_rax) {
	case SYS_write:
	case SYS_fsync:
	case SYS_rename:
	case SYS_unlink:
	case SYS_symlink:
	case SYS_mkdir:
	case SYS_flock: return true;
	case SYS_open: return (r->rsi & O_CREAT) != 0;
	case SYS_openat: return (r->rdx & O_CREAT) != 0;
	default: return false;
	}
}

static _Noreturn void victim(struct host *h, enum action what)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(99);
	raise(SIGSTOP);
	if (what == UNASSIGN)
		host_unassign(h, NIC);
	else
		host_assign(h, NIC, NULL, what == ASSIGN_KEEP ? VFIO_ASSIGN_KEEP : 0);
	_exit(0);
}

/* To the next system call's entry or exit; false when the victim has ended. */
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

/* Runs the action until change number `at` (from 1) and kills it there, before or after: 1. 0 when
 * it came to its end before that, -1 when it cannot be traced here. */
static int kill_at(struct host *h, enum action what, int at, bool after)
{
	struct user_regs_struct regs;
	int status, seen = 0;
	pid_t pid;

	*h->busy = 0;
	pid = fork();
	if (pid == 0)
		victim(h, what);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		return -1;
	while (next_stop(pid)) {
		bool hit;

		assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &regs), 0);
		hit = changes(&regs) && !*h->busy && ++seen == at;
		if (!hit && !next_stop(pid)) /* the way out of the call */
			return 0;
		if (!hit)
			continue;
		if (after && !next_stop(pid))
			return 0;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		return 1;
	}
	return 0;
}

static int setup(void **state)
{
	struct host *h;

	if (host_setup(state) != 0)
		return -1;
	h = *state;
	h->busy =
		mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return h->busy == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
	struct host *h = *state;

	munmap((void *)h->busy, sizeof(int));
	return host_teardown(state);
}

/* Gives how many steps there were. Before each, `first` (or nothing) brings the NIC to where the
 * action begins. */
static int kill_everywhere(struct host *h, enum action what, unsigned int first)
{
	for (int at = 1;; at++) {
		for (int after = 0; after < 2; after++) {
			int ret;

			if (what == UNASSIGN)
				assert_int_equal(host_assign(h, NIC, NULL, first), 0);
			ret = kill_at(h, what, at, after);
			if (ret < 0)
				skip();
			assert_int_equal(host_unassign(h, NIC), 0);
			assert_as_before(h);
			if (ret == 0)
				return at - 1;
		}
	}
}

static void unassign_restores_after_assign_was_killed_anywhere(void **state)
{
	/* lock; record: create, write, fsync, rename, fsync of the folder */
	assert_true(kill_everywhere(*state, ASSIGN, 0) >= 7);
}

static void unassign_restores_after_a_kept_assign_was_killed_anywhere(void **state)
{
	assert_true(kill_everywhere(*state, ASSIGN_KEEP, 0) >= 13);
}

static void unassign_completes_after_unassign_was_killed_anywhere(void **state)
{
	/* lock; both files: unlink, fsync of the folder */
	assert_true(kill_everywhere(*state, UNASSIGN, VFIO_ASSIGN_KEEP) >= 6);
}

static void what_a_killed_assign_has_left_keeps_nothing_from_working(void **state)
{
	struct host *h = *state;
	int ret = 1;

	for (int at = 1; ret > 0; at++) {
		ret = kill_at(h, ASSIGN_KEEP, at, false);
		if (ret < 0)
			skip();
		assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_KEEP), 0);
		assert_driver(h, NIC, "vfio-pci");
		assert_true(is_kept(h, NIC));
		assert_int_equal(host_unassign(h, NIC), 0);
		assert_as_before(h);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unassign_restores_after_assign_was_killed_anywhere),
		T(unassign_restores_after_a_kept_assign_was_killed_anywhere),
		T(unassign_completes_after_unassign_was_killed_anywhere),
		T(what_a_killed_assign_has_left_keeps_nothing_from_working),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
