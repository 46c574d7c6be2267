/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane tenant plan FILE`: what `tenant apply FILE` would do, a line a step. Writes nothing,
 * and works for a plain user; its answer is what is true just now.
 */
#include <stdio.h>

#include "core/cmd.h"
#include "tenant.h"

static void plan_print(const struct tenant_plan *p, const char *file, bool interrupted)
{
	char text[256];

	if (interrupted)
		printf("note: an earlier call was interrupted; the next one takes back what it did "
		       "first, and this plan does not know that\n");
	for (size_t i = 0; i < p->n_notes; i++)
		printf("note: %s\n", p->notes[i]);
	for (size_t i = 0; i < p->n_steps; i++) {
		tenant_step_text(&p->steps[i], text, sizeof(text));
		printf("%s\n", text);
	}
	if (p->n_steps)
		printf("%zu steps; 'fourlane tenant apply %s' takes them\n", p->n_steps, file);
	else
		printf("nothing to do\n");
}

/* A transaction that never ended; -1 when the store cannot tell. */
static int plan_interrupted(const struct tenant_store *st)
{
	struct tenant_plan *left = NULL;
	bool same_boot = false;
	int ret = tenant_store_unfinished(st, &left, &same_boot);

	tenant_plan_free(left);
	return ret < 0 ? ret : ret && same_boot;
}

static int plan_show(const struct tenant_plan *p, const char *file, int interrupted, bool json)
{
	json_t *o;

	if (!json) {
		plan_print(p, file, interrupted);
		return 0;
	}
	o = tenant_plan_json(p);
	json_object_set_new(o, "interrupted", json_boolean(interrupted));
	json_dumpf(o, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(o);
	return 0;
}

static int plan_of(const struct sriov_env *e, const struct tenant_file *f, const char *file,
		   bool json)
{
	struct tenant_store *st = NULL;
	struct tenant_world *w = NULL;
	struct tenant_plan *p = NULL;
	int ret = tenant_store_open(e, STORE_READ, &st), interrupted = 0;

	if (ret == 0)
		ret = interrupted = plan_interrupted(st);
	if (ret >= 0)
		ret = tenant_world_read(e, st, &w);
	if (ret == 0)
		ret = tenant_plan_make(e, st, f, w, &p);
	if (ret == 0)
		ret = plan_show(p, file, interrupted, json);
	tenant_plan_free(p);
	tenant_world_free(w);
	tenant_store_close(st);
	return ret;
}

int tenant_cmd_plan(int argc, char **argv)
{
	bool json = false;
	const struct cmd_option opts[] = { { .name = "json", .flag = &json }, { 0 } };
	int n = cmd_options(&tenant_command, argc, argv, opts, false), ret;
	struct tenant_file *f = NULL;
	struct sriov_host h;

	if (n < 0)
		return FL_USAGE;
	if (n != 1)
		return cmd_usage(&tenant_command, "plan takes a file");
	ret = tenant_file_load(argv[1], &f);
	sriov_host_look(&h);
	if (ret == 0)
		ret = plan_of(&h.env, f, argv[1], json);
	tenant_file_free(f);
	return ret;
}
