/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tenants' store and its file: what is not ours, damaged, newer, or cannot be written; a
 * process that dies at every byte that it writes; readers who may only read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "helper_store.h"

static int group_setup(void **state)
{
	signal(SIGXFSZ, SIG_IGN);
	return 0;
}

static void sql(struct fake_nic *f, const char *text)
{
	sqlite3 *h;

	assert_int_equal(sqlite3_open(store_file(f, ""), &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

static void refused(struct fake_nic *f, const char *said)
{
	struct tenant_store *st;

	for (int mode = STORE_READ; mode <= STORE_WRITE; mode++) {
		f->n_said = 0;
		assert_int_equal(tenant_store_open(&f->env, mode, &st), -EBADMSG);
		assert_null(st);
		assert_int_equal(f->n_said, 1);
		assert_non_null(strstr(f->said, said));
		assert_non_null(strstr(f->said, "tenants.db"));
	}
}

/* --- files that are not ours --- */
static void store_refuses_what_is_no_database(void **state)
{
	struct fake_nic *f = *state;
	char text[5000];
	int fd;

	memset(text, 'x', sizeof(text));
	fd = open(store_file(f, ""), O_CREAT | O_WRONLY, 0640);
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	close(fd);
	refused(f, "not a database");
	assert_int_equal(access(store_file(f, "-wal"), F_OK), -1);
}

static void store_refuses_another_programs_database(void **state)
{
	struct fake_nic *f = *state;

	sql(f, "CREATE TABLE theirs(x); PRAGMA user_version=1");
	refused(f, "not fourlane's");
	sql(f, "INSERT INTO theirs VALUES(1)"); /* is as it was */
}

static void store_refuses_a_newer_one(void **state)
{
	struct fake_nic *f = *state;

	tenant_store_close(store_open(f, STORE_WRITE));
	sql(f, "PRAGMA user_version=2");
	refused(f, "version 2");
	sql(f, "PRAGMA user_version=1");
	tenant_store_close(store_open(f, STORE_WRITE));
}

static void store_refuses_a_cut_or_scribbled_file(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	char junk[4096];
	struct stat sb;
	int fd;

	assert_int_equal(tenant_store_begin(st, "apply", NULL, store_plan(), NULL, 0), 0);
	tenant_store_close(st);
	assert_int_equal(stat(store_file(f, ""), &sb), 0);
	assert_true(sb.st_size > 3 * 4096);
	memset(junk, 0xa5, sizeof(junk));
	fd = open(store_file(f, ""), O_RDWR);
	for (off_t at = sb.st_size - 4096; at > 4096; at -= 4096)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	refused(f, "");
	assert_int_equal(ftruncate(fd, 4096 + 100), 0);
	refused(f, "");
	close(fd);
}

/* Each is a value that the rest of the program could not live with. */
static void store_refuses_bad_rows(void **state)
{
	static const char *const bad[] = {
		"UPDATE slot SET idx = 65536 WHERE idx = 1",
		"UPDATE slot SET idx = -1 WHERE idx = 1",
		"UPDATE slot SET vendor = 65536",
		"UPDATE slot SET tenant = ''",
		"UPDATE slot SET tenant = 'a b' WHERE idx = 0",
		"UPDATE slot SET tenant = '../x' WHERE idx = 0",
		"UPDATE slot SET tenant = x'00ff' WHERE idx = 0",
		"UPDATE slot SET pf = 'a/b' WHERE idx = 0",
		"UPDATE slot SET driver = printf('%.*c', 40, 'x') WHERE idx = 0",
		"UPDATE slot SET pf = printf('%.*c', 64, 'x') WHERE idx = 0",
		"UPDATE slot SET settings = '' WHERE idx = 0",
		"UPDATE slot SET settings = '[1]' WHERE idx = 0",
		"UPDATE slot SET settings = '{\"mac\":\"01:00:00:00:00:00\"}' WHERE idx = 0",
		"UPDATE slot SET settings = '{\"link\":\"upwards\"}' WHERE idx = 0",
		"UPDATE slot SET nth = 'first' WHERE idx = 0",
	};
	struct fake_nic *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tenant_store *st = store_open(f, STORE_WRITE);
		struct tenant_slot *s = (void *)1;
		size_t n = 1;

		assert_int_equal(tenant_store_begin(st, "apply", NULL, store_plan(), NULL, 0), 0);
		assert_int_equal(tenant_store_end(st), 0);
		tenant_store_close(st);
		sql(f, bad[i]);
		st = store_open(f, STORE_READ);
		f->n_said = 0;
		assert_int_equal(tenant_store_slots(st, &s, &n), -EBADMSG);
		assert_null(s);
		assert_int_equal(n, 0);
		assert_int_equal(f->n_said, 1);
		tenant_store_close(st);
	}
}

static void store_refuses_a_journal_that_is_not_whole(void **state)
{
	static const char *const bad[] = {
		"DELETE FROM step WHERE n = 7",
		"DELETE FROM step WHERE n = 39",
		"UPDATE step SET kind = 99 WHERE n = 7",
		"UPDATE step SET setting = 6 WHERE n = 7",
		"UPDATE step SET idx = 70000 WHERE n = 7",
		"UPDATE step SET can = 9 WHERE n = 7",
		"UPDATE step SET n_to = 65536 WHERE n = 7",
		"UPDATE step SET was = 'x' WHERE n = 7",
		"UPDATE step SET n = 1000 WHERE n = 7",
		"UPDATE txn SET steps = -1",
		"UPDATE txn SET boot_id = ''",
	};
	struct fake_nic *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tenant_store *st = store_open(f, STORE_WRITE);
		struct tenant_plan *p;
		bool same;

		assert_int_equal(tenant_store_begin(st, "apply", NULL, store_plan(), NULL, 0), 0);
		tenant_store_close(st);
		sql(f, bad[i]);
		st = store_open(f, STORE_WRITE);
		f->n_said = 0;
		assert_int_equal(tenant_store_unfinished(st, &p, &same), -EBADMSG);
		assert_null(p);
		assert_int_equal(f->n_said, 1);
		assert_int_equal(tenant_store_cancel(st), 0);
		tenant_store_close(st);
	}
}

static void store_refuses_bad_leases_and_befores(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	struct tenant_before *b;
	struct tenant_lease *l;
	char when[24];
	size_t n;
	int err;

	tenant_store_close(st);
	sql(f, "INSERT INTO lease VALUES('p', 1, 't', 'g', 0, 1, 'b', 0);"
	       "INSERT INTO pf_before VALUES('p', 1, 1, 'b', 1, 2, 0);"
	       "INSERT INTO learned VALUES('igb', '1', 'mac', 5, 'now')");
	st = store_open(f, STORE_READ);
	assert_int_equal(tenant_store_leases(st, &l, &n), -EBADMSG);
	assert_int_equal(tenant_store_before(st, &b, &n), -EBADMSG);
	assert_int_equal(tenant_store_learned(st, "igb", "1", CAN_MAC, &err, when), -EBADMSG);
	tenant_store_close(st);
	sql(f, "UPDATE pf_before SET autoprobe = 1;"
	       "INSERT INTO vf_before VALUES('p', 1, '{\"vlan\":5000}', '', 0)");
	st = store_open(f, STORE_READ);
	assert_int_equal(tenant_store_before(st, &b, &n), -EBADMSG);
	tenant_store_close(st);
}

/* --- a process that dies, or a disk that is full, at every size of the files --- */
static void limit_files(rlim_t size)
{
	struct rlimit r;

	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* Opens, begins and ends in a child that is killed when a file grows above `size`. */
static bool child_is_killed_at(struct fake_nic *f, rlim_t size)
{
	struct tenant_store *st;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit core = { 0 };

		setrlimit(RLIMIT_CORE, &core);
		signal(SIGXFSZ, SIG_DFL);
		limit_files(size);
		if (tenant_store_open(&f->env, STORE_WRITE, &st) == 0 &&
		    tenant_store_begin(st, "apply", NULL, store_plan(), NULL, 0) == 0 &&
		    tenant_store_steps_done(st, 0, STORE_STEPS, true) == 0 &&
		    tenant_store_end(st) == 0)
			_exit(0);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status);
}

static void store_is_whole_after_a_death_at_every_write(void **state)
{
	struct fake_nic *f = *state;
	unsigned int deaths = 0, begun = 0;
	rlim_t size = 0;

	for (; child_is_killed_at(f, size); size += 7000) {
		struct tenant_store *st = store_open(f, STORE_READ);
		int half = store_unfinished(st);

		assert_int_equal(store_n_slots(st), 0);
		tenant_store_close(st);
		st = store_open(f, STORE_WRITE);
		assert_int_equal(store_unfinished(st), half);
		assert_int_equal(store_n_slots(st), 0);
		if (half)
			assert_int_equal(tenant_store_cancel(st), 0);
		tenant_store_close(st);
		unlink(store_file(f, ""));
		begun += (unsigned int)half;
		deaths++;
	}
	assert_true(deaths > 10);
	assert_true(begun > 0);
	assert_int_equal(f->n_said, 0);
}

/* The same without dying: the call fails, nothing is changed, and with room it works at once. */
static void store_on_a_full_disk_changes_nothing(void **state)
{
	struct fake_nic *f = *state;
	unsigned int failed = 0;
	int ret = -1;

	for (rlim_t size = 33000; ret < 0; size += 1000) {
		struct tenant_store *st = store_open(f, STORE_WRITE);

		f->n_said = 0;
		limit_files(size);
		ret = tenant_store_begin(st, "apply", NULL, store_plan(), NULL, 0);
		limit_files(RLIM_INFINITY);
		if (ret < 0) {
			failed++;
			assert_true(ret == -ENOSPC || ret == -EIO);
			assert_int_equal(f->n_said, 1);
			assert_int_equal(store_unfinished(st), 0);
			assert_int_equal(store_n_slots(st), 0);
		}
		if (size % 2) { /* through the same handle, or a new one */
			tenant_store_close(st);
			st = store_open(f, STORE_WRITE);
		}
		if (ret < 0)
			assert_int_equal(tenant_store_begin(st, "a", NULL, store_plan(), NULL, 0),
					 0);
		assert_int_equal(store_unfinished(st), 1);
		assert_int_equal(tenant_store_cancel(st), 0);
		tenant_store_close(st);
		unlink(store_file(f, ""));
	}
	assert_true(failed > 3);
}

static void store_that_cannot_be_made_says_so(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st;
	int ret;

	limit_files(100);
	ret = tenant_store_open(&f->env, STORE_WRITE, &st);
	limit_files(RLIM_INFINITY);
	assert_true(ret == -ENOSPC || ret == -EIO);
	assert_int_equal(f->n_said, 1);
	st = store_open(f, STORE_WRITE);
	tenant_store_close(st);
}

/* What end and step_done have answered is there, though nobody has closed anything. */
static void store_keeps_what_was_answered(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st;
	int status;

	for (int point = 0; point < 4; point++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (tenant_store_open(&f->env, STORE_WRITE, &st) < 0)
				_exit(1);
			if (point >= 1 &&
			    tenant_store_begin(st, "a", NULL, store_plan(), NULL, 0) < 0)
				_exit(1);
			if (point >= 2 && tenant_store_step_done(st, 5, true) < 0)
				_exit(1);
			if (point >= 3 && tenant_store_end(st) < 0)
				_exit(1);
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		for (int mode = STORE_READ; mode <= STORE_WRITE; mode++) {
			st = store_open(f, mode);
			assert_int_equal(store_n_slots(st), point == 3 ? 4 : 0);
			assert_int_equal(store_unfinished(st), point == 1 || point == 2);
			if (mode == STORE_WRITE && (point == 1 || point == 2))
				assert_int_equal(tenant_store_cancel(st), 0);
			tenant_store_close(st);
		}
	}
}

static void store_is_synced_at_each_commit(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	sqlite3_stmt *q;

	assert_int_equal(sqlite3_prepare_v2(st->db, "PRAGMA synchronous", -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(q, 0), 2); /* FULL */
	sqlite3_finalize(q);
	assert_int_equal(sqlite3_prepare_v2(st->db, "PRAGMA journal_mode", -1, &q, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(q, 0), "wal");
	sqlite3_finalize(q);
	tenant_store_close(st);
}

#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, fake_nic_setup, fake_nic_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(store_refuses_what_is_no_database),
		DISK_TEST(store_refuses_another_programs_database),
		DISK_TEST(store_refuses_a_newer_one),
		DISK_TEST(store_refuses_a_cut_or_scribbled_file),
		DISK_TEST(store_refuses_bad_rows),
		DISK_TEST(store_refuses_a_journal_that_is_not_whole),
		DISK_TEST(store_refuses_bad_leases_and_befores),
		DISK_TEST(store_is_whole_after_a_death_at_every_write),
		DISK_TEST(store_on_a_full_disk_changes_nothing),
		DISK_TEST(store_that_cannot_be_made_says_so),
		DISK_TEST(store_keeps_what_was_answered),
		DISK_TEST(store_is_synced_at_each_commit),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
