/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tenants' store for several at once: readers who may only read, and who comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper_store.h"

/* --- readers --- */
/* Reads as somebody who may not write there; gives what was seen, -1 when it failed. */
static int read_as_a_stranger(struct fake_nic *f)
{
	struct tenant_store *st;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int ret = 100;

		if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(101);
		if (access(f->env.state_dir, W_OK) == 0)
			_exit(102);
		if (tenant_store_open(&f->env, STORE_READ, &st) == 0) {
			ret = (int)store_n_slots(st) + 10 * store_unfinished(st);
			tenant_store_close(st);
		}
		_exit(ret);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void begin_and_die(struct fake_nic *f)
{
	struct tenant_store *st;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (tenant_store_open(&f->env, STORE_WRITE, &st) == 0)
			tenant_store_begin(st, "apply", NULL, store_plan(), NULL, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(access(store_file(f, "-wal"), F_OK), 0);
}

static void store_is_read_where_nothing_may_be_written(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	unsigned int n;

	assert_int_equal(chmod(f->root, 0755), 0);
	assert_int_equal(tenant_store_begin(st, "apply", NULL, store_plan(), NULL, 0), 0);
	assert_int_equal(tenant_store_end(st), 0);
	assert_int_equal(chmod(store_file(f, ""), 0644), 0);
	/* while somebody has it open */
	assert_int_equal(chmod(store_file(f, "-wal"), 0644), 0);
	assert_int_equal(chmod(store_file(f, "-shm"), 0644), 0);
	assert_int_equal(chmod(f->env.state_dir, 0555), 0);
	n = store_files(f);
	assert_int_equal(read_as_a_stranger(f), 4);
	assert_int_equal(store_files(f), n);
	/* alone, nothing but the file */
	assert_int_equal(chmod(f->env.state_dir, 0755), 0);
	tenant_store_close(st);
	assert_int_equal(access(store_file(f, "-wal"), F_OK), -1);
	assert_int_equal(chmod(f->env.state_dir, 0555), 0);
	n = store_files(f);
	assert_int_equal(read_as_a_stranger(f), 4);
	assert_int_equal(store_files(f), n);
	/* after a crash that left the log, with its index and without */
	assert_int_equal(chmod(f->env.state_dir, 0755), 0);
	begin_and_die(f);
	assert_int_equal(chmod(f->env.state_dir, 0555), 0);
	n = store_files(f);
	assert_int_equal(read_as_a_stranger(f), 14);
	assert_int_equal(chmod(f->env.state_dir, 0755), 0);
	assert_int_equal(unlink(store_file(f, "-shm")), 0);
	assert_int_equal(chmod(f->env.state_dir, 0555), 0);
	assert_int_equal(read_as_a_stranger(f), 14);
	assert_int_equal(store_files(f), n - 1);
	assert_int_equal(chmod(f->env.state_dir, 0755), 0);
}

static void store_of_a_stranger_is_not_readable_and_says_so(void **state)
{
	struct fake_nic *f = *state;

	if (getuid() != 0)
		skip();
	tenant_store_close(store_open(f, STORE_WRITE));
	assert_int_equal(chmod(f->root, 0755), 0);
	assert_int_equal(chmod(f->env.state_dir, 0755), 0);
	assert_int_equal(chmod(store_file(f, ""), 0600), 0);
	assert_int_equal(read_as_a_stranger(f), 100);
}

/* Somebody who may read and not write is told so, and nothing is changed. */
static void store_does_not_open_for_who_may_not_write(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st;
	int status;
	pid_t pid;

	tenant_store_close(store_open(f, STORE_WRITE));
	assert_int_equal(chmod(f->root, 0755), 0);
	assert_int_equal(chmod(store_file(f, ""), 0444), 0);
	assert_int_equal(chmod(f->env.state_dir, 0555), 0);
	pid = fork();
	if (pid == 0) {
		int ret;

		if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(101);
		ret = tenant_store_open(&f->env, STORE_WRITE, &st);
		_exit((ret == -EROFS || ret == -EACCES) && !st && f->n_said == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(f->env.state_dir, 0755), 0);
	assert_int_equal(store_files(f), 3); /* itself, . and .. */
}

/* What means something in a URI is a folder's name here. */
static void store_lives_in_a_folder_of_any_name(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st;

	strcat(f->env.state_dir, "/a?mode=rw&b#c%41 d");
	assert_int_equal(mkdir(f->env.state_dir, 0755), 0);
	st = store_open(f, STORE_WRITE);
	assert_int_equal(tenant_store_begin(st, "apply", NULL, store_plan(), NULL, 0), 0);
	assert_int_equal(tenant_store_end(st), 0);
	tenant_store_close(st);
	st = store_open(f, STORE_READ);
	assert_int_equal(store_n_slots(st), 4);
	tenant_store_close(st);
	assert_int_equal(store_files(f), 3);
	unlink(store_file(f, ""));
	rmdir(f->env.state_dir);
}

/* Readers leave nothing, root's neither. */
static void store_reader_makes_no_files(void **state)
{
	struct fake_nic *f = *state;
	unsigned int n;

	tenant_store_close(store_open(f, STORE_WRITE));
	n = store_files(f);
	tenant_store_close(store_open(f, STORE_READ));
	assert_int_equal(store_files(f), n);
	begin_and_die(f);
	assert_int_equal(unlink(store_file(f, "-shm")), 0);
	n = store_files(f);
	tenant_store_close(store_open(f, STORE_READ));
	assert_int_equal(store_files(f), n);
}

/* --- several at once --- */
static void store_gives_one_vf_to_one_of_many(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_lease *all;
	unsigned int won = 0;
	size_t n;

	f->env.wait_ms = 20000;
	for (int i = 0; i < 8; i++) {
		struct tenant_lease l = {
			.pf = FAKE_PF, .tenant = "t", .guest = "g", .pid = 1 + i, .boot_id = "b"
		};
		struct tenant_store *st;

		if (fork() == 0) {
			int ret = tenant_store_open(&f->env, STORE_WRITE, &st);

			if (ret == 0)
				ret = tenant_store_lease_take(st, &l);
			tenant_store_close(st);
			_exit(ret == 0 ? 1 : ret == -EBUSY ? 0 : 2);
		}
	}
	for (int i = 0, status; i < 8; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		won += WEXITSTATUS(status);
	}
	assert_int_equal(won, 1);
	struct tenant_store *st = store_open(f, STORE_READ);

	assert_int_equal(tenant_store_leases(st, &all, &n), 0);
	assert_int_equal(n, 1);
	free(all);
	tenant_store_close(st);
}

/* A reader's store is of one moment, whatever is written meanwhile. */
static void store_reader_sees_one_moment(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *w = store_open(f, STORE_WRITE), *r, *later;

	assert_int_equal(tenant_store_begin(w, "apply", NULL, store_plan(), NULL, 0), 0);
	r = store_open(f, STORE_READ);
	assert_int_equal(tenant_store_end(w), 0);
	later = store_open(f, STORE_READ);
	assert_int_equal(store_unfinished(r), 1);
	assert_int_equal(store_n_slots(r), 0);
	assert_int_equal(store_unfinished(later), 0);
	assert_int_equal(store_n_slots(later), 4);
	tenant_store_close(r);
	tenant_store_close(later);
	tenant_store_close(w);
}

#define READ_TEST(name) cmocka_unit_test_setup_teardown(name, fake_nic_setup, fake_nic_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		READ_TEST(store_is_read_where_nothing_may_be_written),
		READ_TEST(store_of_a_stranger_is_not_readable_and_says_so),
		READ_TEST(store_does_not_open_for_who_may_not_write),
		READ_TEST(store_lives_in_a_folder_of_any_name),
		READ_TEST(store_reader_makes_no_files),
		READ_TEST(store_gives_one_vf_to_one_of_many),
		READ_TEST(store_reader_sees_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
