/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tenants' transactions that go wrong at every place they can: each write to the host fails, or is
 * the last thing the process does, before and after it takes effect; each change of the store on
 * disk is where the process is killed; the disk is full at every size. Afterwards the host is as
 * before, or the next call makes it what it should be, down to the last setting. With
 * FOURLANE_SOAK_S set each place is tried in each way, else in turn.
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
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper_kill.h"
#include "helper_tenant.h"

#define PFS \
	"version: 1\npfs:\n  - match: {pci: \"0000:01:00.0\"}\n  - match: {pci: " \
	"\"0000:02:00.0\"}\n"
#define ACME  "  acme: {vfs: 2, vlan: 100, mac: auto, max_tx_mbit: 1000, spread: true}\n"
#define BLUE  "  blue: {vfs: 1, vlan: 200, qos: 3, driver: igbvf}\n"
#define CORAL "  coral: {vfs: 3, vlan: 300, trust: on}\n"

static const char file_a[] = PFS "tenants:\n" ACME BLUE;
static const char file_b[] = PFS "tenants:\n" BLUE CORAL;

static bool soak(void)
{
	return getenv("FOURLANE_SOAK_S") != NULL;
}

/* What a child does. */
struct deed {
	const char *yaml; /* NULL: release of all; "-acme": of acme */
	rlim_t disk;      /* bytes that a file can have, 0: any */
};

static int do_deed(struct tenant_host *h, void *arg)
{
	const struct deed *d = arg;
	int ret;

	if (d->disk) {
		struct rlimit lim = { d->disk, d->disk };

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &lim);
	}
	if (!d->yaml || *d->yaml != '-')
		return d->yaml ? th_apply(h, d->yaml, NULL) : tenant_release(&h->env, NULL);
	ret = tenant_release(&h->env, d->yaml + 1);
	return ret == -ENOENT ? 0 : ret; /* it had come to its end */
}

/* --- what should be --- */
struct states {
	char *none, *a, *b; /* before any tenant, with file_a, with file_b */
};

static void must(struct tenant_host *h, const char *yaml, const char *want, const char *when,
		 unsigned int at)
{
	struct deed d = { .yaml = yaml };
	int ret = do_deed(h, &d);
	char *is = th_state(h);

	if (ret < 0 || strcmp(is, want))
		fail_msg("%s at %u: %s, then\n%sinstead of\n%s(%s)", when, at, strerror(-ret), is,
			 want, h->said);
	free(is);
	th_calm(h);
}

/* Nobody has ever tried anything: with the store goes what drivers have been found to take. */
static void forget_all(struct tenant_host *h)
{
	tree_remove(&h->t, "state/tenants.db");
	tree_remove(&h->t, "state/tenants.db-wal");
	tree_remove(&h->t, "state/tenants.db-shm");
}

/* A host that somebody has used: two VFs with settings of his own, one with a driver. */
static void begin(struct tenant_host *h, struct states *s)
{
	th_number(h, 0, 2);
	h->pf[0].vf[1].vlan = 77;
	h->pf[0].vf[0].mac[0] = 2;
	h->pf[0].vf[0].mac[5] = 9;
	s->none = th_state(h);
	assert_int_equal(th_apply(h, file_b, NULL), 0);
	s->b = th_state(h);
	assert_int_equal(tenant_release(&h->env, NULL), 0);
	assert_int_equal(th_apply(h, file_a, NULL), 0);
	s->a = th_state(h);
	assert_int_equal(tenant_release(&h->env, NULL), 0);
	must(h, NULL, s->none, "to begin with", 0);
	forget_all(h);
}

static void end(struct states *s)
{
	free(s->none);
	free(s->a);
	free(s->b);
}

/* The ways from one state to another. */
static const struct way {
	const char *name, *from, *to; /* files; NULL: nothing */
} ways[] = {
	{ "first apply", NULL, file_a },
	{ "apply of another file", file_a, file_b },
	{ "release", file_b, NULL },
	{ "release of one", file_a, "-acme" },
};

/* The last is much like the others: in a soak only. */
static size_t n_ways(void)
{
	return sizeof(ways) / sizeof(ways[0]) - !soak();
}

static const char *state_of(const struct states *s, const char *yaml)
{
	return !yaml ? s->none : yaml == file_a ? s->a : s->b;
}

/* file_b on top of file_a may have other places than file_b alone: what it gives is noted. */
static char *reached(struct tenant_host *h, const struct states *s, const struct way *w)
{
	char *to;

	must(h, w->from, state_of(s, w->from), w->name, 0);
	th_calm(h);
	assert_int_equal(do_deed(h, &(struct deed){ .yaml = w->to }), 0);
	to = th_state(h);
	must(h, NULL, s->none, w->name, 0);
	return to;
}

/* --- failures --- */
/* Gives how many writes there were. */
static unsigned int fail_everywhere(struct tenant_host *h, const struct states *s,
				    const struct way *w, const char *to, int err)
{
	for (unsigned int at = 1;; at++) {
		char *is;
		int ret;

		must(h, w->from, state_of(s, w->from), w->name, at);
		if (!w->from)
			forget_all(h);
		h->fail_at = at;
		h->fail_errno = err;
		ret = do_deed(h, &(struct deed){ .yaml = w->to });
		if (h->n_writes < at) {
			assert_int_equal(ret, 0);
			th_calm(h);
			must(h, NULL, s->none, w->name, at);
			return at - 1;
		}
		is = th_state(h);
		/* some writes may fail: a driver_override that is emptied when all is done */
		if (strcmp(is, ret < 0 ? state_of(s, w->from) : to))
			fail_msg("%s, write %u fails: %d and\n%sinstead of\n%s(%s)", w->name, at,
				 ret, is, ret < 0 ? state_of(s, w->from) : to, h->said);
		free(is);
		if (ret < 0)
			assert_string_not_equal(h->said, "");
		th_calm(h);
		must(h, NULL, s->none, w->name, at);
	}
}

static void everything_is_as_before_when_any_write_fails(void **state)
{
	struct tenant_host *h = *state;
	struct states s;

	begin(h, &s);
	for (size_t i = 0; i < n_ways(); i++) {
		char *to = reached(h, &s, &ways[i]);

		assert_true(fail_everywhere(h, &s, &ways[i], to, -EIO) > 5);
		if (i == 0 || soak())
			assert_true(fail_everywhere(h, &s, &ways[i], to, -EOPNOTSUPP) > 5);
		free(to);
	}
	end(&s);
}

/* From some write on nothing works: what cannot be put back is said, and done by the next call. */
static void a_host_that_stays_read_only_is_put_right_later(void **state)
{
	struct tenant_host *h = *state;
	struct states s;
	char *to;

	begin(h, &s);
	to = reached(h, &s, &ways[0]);
	for (unsigned int at = 1;; at++) {
		int ret;

		h->fail_at = at;
		h->fail_on = true;
		h->fail_errno = -EROFS;
		ret = do_deed(h, &(struct deed){ .yaml = file_a });
		if (h->n_writes < at) {
			assert_int_equal(ret, 0);
			break;
		}
		assert_true(ret < 0);
		if (at == 1) { /* nothing was changed, nothing is left */
			char *is = th_state(h);

			assert_int_equal(ret, -EROFS);
			assert_string_equal(is, s.none);
			free(is);
		} else if (ret == -EIO) {
			assert_non_null(strstr(h->said, "putting everything back"));
		}
		th_calm(h);
		if (at % 2)
			must(h, file_a, to, "read-only", at);
		must(h, NULL, s.none, "read-only", at);
	}
	free(to);
	end(&s);
}

static void vfs_that_go_away_in_the_middle_end_it_cleanly(void **state)
{
	struct tenant_host *h = *state;
	char *none = th_state(h);

	for (unsigned int at = 1;; at++) {
		int ret;

		h->gone_at = at;
		ret = do_deed(h, &(struct deed){ .yaml = file_a });
		if (h->n_writes < at)
			break;
		if (ret < 0)
			assert_string_not_equal(h->said, "");
		th_calm(h);
		/* whoever took them away has given up */
		ret = do_deed(h, &(struct deed){ .yaml = file_a });
		if (ret < 0)
			fail_msg("VFs gone at write %u: %s", at, h->said);
		must(h, NULL, none, "VFs gone", at);
	}
	free(none);
}

static void a_full_disk_at_any_size_changes_nothing(void **state)
{
	struct tenant_host *h = *state;
	unsigned int failed = 0;
	struct states s;
	char *to;

	begin(h, &s);
	to = reached(h, &s, &ways[0]);
	for (rlim_t size = 4096;; size += 4096) {
		struct deed d = { .yaml = file_a, .disk = size };
		int status = th_fork(h, do_deed, &d);
		char *is = th_state(h);

		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 0) {
			assert_string_equal(is, to);
			free(is);
			must(h, NULL, s.none, "disk full", (unsigned int)size);
			break;
		}
		failed++;
		if (strcmp(is, s.none))
			fail_msg("disk of %lu: %s%s", (unsigned long)size, is, h->said);
		free(is);
		assert_string_not_equal(h->said, "");
		th_calm(h);
		must(h, NULL, s.none, "disk full", (unsigned int)size);
		assert_true(size < 1 << 22);
	}
	assert_true(failed > 2);
	free(to);
	end(&s);
}

/* --- the end of the process --- */
static void die_everywhere(struct tenant_host *h, const struct states *s, const struct way *w,
			   const char *to)
{
	for (unsigned int at = 1;; at++) {
		for (unsigned int how = 0; how < 4; how++) {
			struct deed d = { .yaml = w->to };
			int status;

			if (!soak() && how != (at & 3))
				continue;
			must(h, w->from, state_of(s, w->from), w->name, at);
			if (!w->from)
				forget_all(h);
			h->die_at = at;
			h->die_after = how & 1;
			status = th_fork(h, do_deed, &d);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
			if (h->n_writes < at) {
				th_calm(h);
				must(h, NULL, s->none, w->name, at);
				assert_true(at > 5);
				return;
			}
			th_calm(h);
			if (how & 2) /* on to what was wanted, or straight back to the beginning */
				must(h, w->to, to, w->name, at);
			must(h, NULL, s->none, w->name, at);
		}
	}
}

static void a_call_that_ends_at_any_write_is_taken_up(void **state)
{
	struct tenant_host *h = *state;
	struct states s;

	begin(h, &s);
	for (size_t i = 0; i < n_ways(); i++) {
		char *to = reached(h, &s, &ways[i]);

		die_everywhere(h, &s, &ways[i], to);
		free(to);
	}
	end(&s);
}

/* System calls that change what is on disk. */
static bool changes(const struct user_regs_struct *r)
{
	switch (r->orig_rax) {
	case SYS_pwrite64:
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_ftruncate:
	case SYS_rename:
	case SYS_unlink: return true;
	default: return false;
	}
}

struct deed_there {
	struct tenant_host *h;
	struct deed d;
};

static void do_it_there(void *opaque)
{
	struct deed_there *it = opaque;

	do_deed(it->h, &it->d);
}

static void kill_everywhere(struct tenant_host *h, const struct states *s, const struct way *w,
			    const char *to)
{
	/* the ways do much of the same: each has some of the places, in a soak all */
	for (unsigned int at = soak() ? 1 : 1 + (unsigned int)(w - ways);; at += soak() ? 1 : 5) {
		struct deed_there it = { .h = h, .d = { .yaml = w->to } };
		const struct kill_victim victim = {
			.act = do_it_there, .opaque = &it, .changes = changes, .busy = &h->busy
		};
		int ret;

		must(h, w->from, state_of(s, w->from), w->name, at);
		ret = kill_at_change(&victim, at, false);
		if (ret < 0)
			skip();
		th_calm(h);
		if (at & 1)
			must(h, w->to, to, w->name, at);
		must(h, NULL, s->none, w->name, at);
		if (ret == 0) {
			assert_true(at > 10);
			return;
		}
	}
}

static void a_call_that_is_killed_at_any_change_on_disk_is_taken_up(void **state)
{
	struct tenant_host *h = *state;
	struct states s;

	begin(h, &s);
	for (size_t i = 0; i < n_ways(); i++) {
		char *to = reached(h, &s, &ways[i]);

		kill_everywhere(h, &s, &ways[i], to);
		free(to);
	}
	end(&s);
}

/* A power cut is a kill and a boot: nothing of the host is left, the journal is void. */
static void after_a_power_cut_the_journal_is_dropped(void **state)
{
	struct tenant_host *h = *state;
	char *booted, *a;

	assert_int_equal(th_apply(h, file_a, NULL), 0);
	a = th_state(h);
	th_calm(h);
	h->die_at = 4;
	th_fork(h, do_deed, &(struct deed){ .yaml = file_b });
	th_calm(h);
	th_reboot(h);
	booted = th_state(h);
	assert_int_equal(tenant_apply(&h->env, NULL, NULL), 0);
	assert_non_null(strstr(h->said, "before the last boot"));
	th_calm(h);
	must(h, file_a, a, "after a power cut", 0);
	must(h, NULL, booted, "after a power cut", 0);
	free(booted);
	free(a);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tenant_host_setup, tenant_host_teardown)
	const struct CMUnitTest tests[] = {
		T(everything_is_as_before_when_any_write_fails),
		T(a_host_that_stays_read_only_is_put_right_later),
		T(vfs_that_go_away_in_the_middle_end_it_cleanly),
		T(a_full_disk_at_any_size_changes_nothing),
		T(a_call_that_ends_at_any_write_is_taken_up),
		T(a_call_that_is_killed_at_any_change_on_disk_is_taken_up),
		T(after_a_power_cut_the_journal_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
