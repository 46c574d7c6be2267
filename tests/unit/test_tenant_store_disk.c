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

#include <dirent.h>
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
#include "helper_sriov.h"
#include "sriov/tenant_store_priv.h"

#define PF      FAKE_PF
#define N_STEPS 40

static struct tenant_slot slots[4];
static struct tenant_step steps[N_STEPS];
static struct tenant_plan plan = {
	.steps = steps, .n_steps = N_STEPS, .slots = slots, .n_slots = 4
};

static int group_setup(void **state)
{
	for (unsigned int i = 0; i < 4; i++) {
		slots[i] = (struct tenant_slot){ .pf = PF, .idx = i, .nth = i };
		snprintf(slots[i].tenant, sizeof(slots[i].tenant), "tenant-%u", i);
	}
	for (unsigned int i = 0; i < N_STEPS; i++)
		steps[i] = (struct tenant_step){ .kind = STEP_SETTING, .pf = PF, .idx = i };
	signal(SIGXFSZ, SIG_IGN);
	return 0;
}

static const char *db(struct fake_nic *f, const char *suffix)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/tenants.db%s", f->env.state_dir, suffix);
	return path;
}

static struct tenant_store *store_open(struct fake_nic *f, enum tenant_store_mode mode)
{
	struct tenant_store *st;

	assert_int_equal(tenant_store_open(&f->env, mode, &st), 0);
	return st;
}

static void sql(struct fake_nic *f, const char *text)
{
	sqlite3 *h;

	assert_int_equal(sqlite3_open(db(f, ""), &h), SQLITE_OK);
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

static size_t n_slots(const struct tenant_store *st)
{
	struct tenant_slot *s;
	size_t n;

	assert_int_equal(tenant_store_slots(st, &s, &n), 0);
	free(s);
	return n;
}

/* 1 while a transaction is under way; a half one is an error. */
static int unfinished(const struct tenant_store *st)
{
	struct tenant_plan *p;
	bool same;
	int ret = tenant_store_unfinished(st, &p, &same);

	assert_true(ret == 0 || ret == 1);
	if (ret == 1) {
		assert_int_equal(p->n_steps, N_STEPS);
		assert_int_equal(p->n_slots, 4);
		free(p->steps);
		free(p->slots);
		free(p);
	}
	return ret;
}

/* --- files that are not ours --- */
static void store_refuses_what_is_no_database(void **state)
{
	struct fake_nic *f = *state;
	char text[5000];
	int fd;

	memset(text, 'x', sizeof(text));
	fd = open(db(f, ""), O_CREAT | O_WRONLY, 0640);
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	close(fd);
	refused(f, "not a database");
	assert_int_equal(access(db(f, "-wal"), F_OK), -1);
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

	assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, NULL, 0), 0);
	tenant_store_close(st);
	assert_int_equal(stat(db(f, ""), &sb), 0);
	assert_true(sb.st_size > 3 * 4096);
	memset(junk, 0xa5, sizeof(junk));
	fd = open(db(f, ""), O_RDWR);
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

		assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, NULL, 0), 0);
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

		assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, NULL, 0), 0);
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
		    tenant_store_begin(st, "apply", NULL, &plan, NULL, 0) == 0 &&
		    tenant_store_steps_done(st, 0, N_STEPS, true) == 0 && tenant_store_end(st) == 0)
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
		int half = unfinished(st);

		assert_int_equal(n_slots(st), 0);
		tenant_store_close(st);
		st = store_open(f, STORE_WRITE);
		assert_int_equal(unfinished(st), half);
		assert_int_equal(n_slots(st), 0);
		if (half)
			assert_int_equal(tenant_store_cancel(st), 0);
		tenant_store_close(st);
		unlink(db(f, ""));
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
		ret = tenant_store_begin(st, "apply", NULL, &plan, NULL, 0);
		limit_files(RLIM_INFINITY);
		if (ret < 0) {
			failed++;
			assert_true(ret == -ENOSPC || ret == -EIO);
			assert_int_equal(f->n_said, 1);
			assert_int_equal(unfinished(st), 0);
			assert_int_equal(n_slots(st), 0);
		}
		if (size % 2) { /* through the same handle, or a new one */
			tenant_store_close(st);
			st = store_open(f, STORE_WRITE);
		}
		if (ret < 0)
			assert_int_equal(tenant_store_begin(st, "a", NULL, &plan, NULL, 0), 0);
		assert_int_equal(unfinished(st), 1);
		assert_int_equal(tenant_store_cancel(st), 0);
		tenant_store_close(st);
		unlink(db(f, ""));
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
			if (point >= 1 && tenant_store_begin(st, "a", NULL, &plan, NULL, 0) < 0)
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
			assert_int_equal(n_slots(st), point == 3 ? 4 : 0);
			assert_int_equal(unfinished(st), point == 1 || point == 2);
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

/* --- readers --- */
static unsigned int n_files(struct fake_nic *f)
{
	unsigned int n = 0;
	DIR *d = opendir(f->env.state_dir);

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

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
			ret = (int)n_slots(st) + 10 * unfinished(st);
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
			tenant_store_begin(st, "apply", NULL, &plan, NULL, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(access(db(f, "-wal"), F_OK), 0);
}

static void store_is_read_where_nothing_may_be_written(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st = store_open(f, STORE_WRITE);
	unsigned int n;

	assert_int_equal(chmod(f->root, 0755), 0);
	assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, NULL, 0), 0);
	assert_int_equal(tenant_store_end(st), 0);
	assert_int_equal(chmod(db(f, ""), 0644), 0);
	/* while somebody has it open */
	assert_int_equal(chmod(db(f, "-wal"), 0644), 0);
	assert_int_equal(chmod(db(f, "-shm"), 0644), 0);
	assert_int_equal(chmod(f->env.state_dir, 0555), 0);
	n = n_files(f);
	assert_int_equal(read_as_a_stranger(f), 4);
	assert_int_equal(n_files(f), n);
	/* alone, nothing but the file */
	assert_int_equal(chmod(f->env.state_dir, 0755), 0);
	tenant_store_close(st);
	assert_int_equal(access(db(f, "-wal"), F_OK), -1);
	assert_int_equal(chmod(f->env.state_dir, 0555), 0);
	n = n_files(f);
	assert_int_equal(read_as_a_stranger(f), 4);
	assert_int_equal(n_files(f), n);
	/* after a crash that left the log, with its index and without */
	assert_int_equal(chmod(f->env.state_dir, 0755), 0);
	begin_and_die(f);
	assert_int_equal(chmod(f->env.state_dir, 0555), 0);
	n = n_files(f);
	assert_int_equal(read_as_a_stranger(f), 14);
	assert_int_equal(chmod(f->env.state_dir, 0755), 0);
	assert_int_equal(unlink(db(f, "-shm")), 0);
	assert_int_equal(chmod(f->env.state_dir, 0555), 0);
	assert_int_equal(read_as_a_stranger(f), 14);
	assert_int_equal(n_files(f), n - 1);
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
	assert_int_equal(chmod(db(f, ""), 0600), 0);
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
	assert_int_equal(chmod(db(f, ""), 0444), 0);
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
	assert_int_equal(n_files(f), 3); /* itself, . and .. */
}

/* What means something in a URI is a folder's name here. */
static void store_lives_in_a_folder_of_any_name(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st;

	strcat(f->env.state_dir, "/a?mode=rw&b#c%41 d");
	assert_int_equal(mkdir(f->env.state_dir, 0755), 0);
	st = store_open(f, STORE_WRITE);
	assert_int_equal(tenant_store_begin(st, "apply", NULL, &plan, NULL, 0), 0);
	assert_int_equal(tenant_store_end(st), 0);
	tenant_store_close(st);
	st = store_open(f, STORE_READ);
	assert_int_equal(n_slots(st), 4);
	tenant_store_close(st);
	assert_int_equal(n_files(f), 3);
	unlink(db(f, ""));
	rmdir(f->env.state_dir);
}

/* Readers leave nothing, root's neither. */
static void store_reader_makes_no_files(void **state)
{
	struct fake_nic *f = *state;
	unsigned int n;

	tenant_store_close(store_open(f, STORE_WRITE));
	n = n_files(f);
	tenant_store_close(store_open(f, STORE_READ));
	assert_int_equal(n_files(f), n);
	begin_and_die(f);
	assert_int_equal(unlink(db(f, "-shm")), 0);
	n = n_files(f);
	tenant_store_close(store_open(f, STORE_READ));
	assert_int_equal(n_files(f), n);
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
			.pf = PF, .tenant = "t", .guest = "g", .pid = 1 + i, .boot_id = "b"
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

	assert_int_equal(tenant_store_begin(w, "apply", NULL, &plan, NULL, 0), 0);
	r = store_open(f, STORE_READ);
	assert_int_equal(tenant_store_end(w), 0);
	later = store_open(f, STORE_READ);
	assert_int_equal(unfinished(r), 1);
	assert_int_equal(n_slots(r), 0);
	assert_int_equal(unfinished(later), 0);
	assert_int_equal(n_slots(later), 4);
	tenant_store_close(r);
	tenant_store_close(later);
	tenant_store_close(w);
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
		DISK_TEST(store_is_read_where_nothing_may_be_written),
		DISK_TEST(store_of_a_stranger_is_not_readable_and_says_so),
		DISK_TEST(store_does_not_open_for_who_may_not_write),
		DISK_TEST(store_lives_in_a_folder_of_any_name),
		DISK_TEST(store_reader_makes_no_files),
		DISK_TEST(store_gives_one_vf_to_one_of_many),
		DISK_TEST(store_reader_sees_one_moment),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
