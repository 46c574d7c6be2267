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
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include "helper_kill.h"
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

struct doing {
	struct host *h;
	enum action what;
};

static void do_it(void *opaque)
{
	const struct doing *d = opaque;

	if (d->what == UNASSIGN)
		host_unassign(d->h, NIC);
	else
		host_assign(d->h, NIC, NULL, d->what == ASSIGN_KEEP ? VFIO_ASSIGN_KEEP : 0);
}

/* Kills the action before or after its change number `at`; kill_at_change()'s answer. */
static int kill_at(struct host *h, enum action what, unsigned int at, bool after)
{
	struct doing d = { .h = h, .what = what };
	const struct kill_victim victim = {
		.act = do_it, .opaque = &d, .changes = changes, .busy = h->busy
	};

	*h->busy = 0;
	return kill_at_change(&victim, at, after);
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
static unsigned int kill_everywhere(struct host *h, enum action what, unsigned int first)
{
	for (unsigned int at = 1;; at++) {
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

	for (unsigned int at = 1; ret > 0; at++) {
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
