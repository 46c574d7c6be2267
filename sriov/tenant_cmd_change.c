/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane tenant apply` and `tenant release`: the words of the call, and the steps told as they
 * are taken. The work is tenant_apply.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cmd.h"
#include "tenant_tx.h"

#define TIMEOUT_MAX_S 3600

/* A step that is there to be taken back only, or to put back what a change of the number loses. */
static bool is_quiet(const struct tenant_step *s)
{
	return !s->tenant[0] && s->kind == STEP_SETTING && s->from.known == s->to.known &&
	       vf_setting_equal(s->setting, &s->from, &s->to);
}

static void tell_step(void *opaque, const struct tenant_step *s, const char *detail)
{
	char text[256];

	if (is_quiet(s))
		return;
	tenant_step_text(s, text, sizeof(text));
	printf("%s%s%s\n", text, detail[0] ? " by " : "", detail);
	fflush(stdout);
}

static void tell_note(void *opaque, const char *note)
{
	printf("note: %s\n", note);
}

static const struct tenant_listener told = { .step = tell_step, .note = tell_note };

/* The rights before anything else, then the lock's deadline. */
static int open_host(const char *timeout, const char *doing, struct sriov_host *h)
{
	const struct sriov_env look = { .v = &host_real };
	unsigned long long s = 0;
	int ret;

	if (timeout && cmd_number(timeout, 1, TIMEOUT_MAX_S, &s) < 0)
		return cmd_usage(&tenant_command, "--timeout is seconds from 1 to %d, not '%s'",
				 TIMEOUT_MAX_S, timeout);
	ret = tenant_check_rights(&look, doing);
	if (ret == 0)
		ret = sriov_host_open(h);
	if (ret == 0)
		h->env.lock_ms = (unsigned int)s * 1000;
	return ret;
}

static int tell_end(int ret, size_t changed, const char *nothing)
{
	if (ret == 0 && changed == 0)
		printf("%s\n", nothing);
	return ret;
}

/* --- apply -------------------------------------------------------------- */
static int dry_run(char *file)
{
	char *argv[] = { "plan", file, NULL };

	printf("(--dry-run is 'fourlane tenant plan %s')\n", file);
	return tenant_cmd_plan(2, argv);
}

int tenant_cmd_apply(int argc, char **argv)
{
	bool stored = false, dry = false;
	const char *timeout = NULL;
	const struct cmd_option opts[] = { { .name = "stored", .flag = &stored },
					   { .name = "dry-run", .flag = &dry },
					   { .name = "timeout", .value = &timeout },
					   { 0 } };
	int n = cmd_options(&tenant_command, argc, argv, opts, false), ret;
	struct tenant_file *f = NULL;
	struct sriov_host h;
	size_t changed = 0;

	if (n < 0)
		return FL_USAGE;
	if (n != !stored)
		return cmd_usage(&tenant_command, "apply takes one FILE, or --stored");
	if (dry)
		return stored ? cmd_usage(&tenant_command, "--dry-run takes a FILE")
			      : dry_run(argv[1]);
	ret = open_host(timeout, "applying tenants", &h);
	if (ret == 0 && !stored)
		ret = tenant_file_load(argv[1], &f);
	if (ret == 0)
		ret = tenant_apply_told(&h.env, f, &told, &changed);
	tenant_file_free(f);
	return tell_end(ret, changed, "nothing to do: everything is as the file says");
}

/* --- release ------------------------------------------------------------ */
int tenant_cmd_release(int argc, char **argv)
{
	bool all = false;
	const char *timeout = NULL;
	const struct cmd_option opts[] = { { .name = "all", .flag = &all },
					   { .name = "timeout", .value = &timeout },
					   { 0 } };
	int n = cmd_options(&tenant_command, argc, argv, opts, false), ret;
	struct sriov_host h;
	size_t changed = 0;

	if (n < 0)
		return FL_USAGE;
	if (n != !all)
		return cmd_usage(&tenant_command, "release takes a tenant's NAME, or --all");
	ret = open_host(timeout, "releasing tenants", &h);
	if (ret == 0)
		ret = tenant_release_told(&h.env, all ? NULL : argv[1], &told, &changed);
	return tell_end(ret, changed, "nothing to do: no VF was changed for them");
}
