/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the tenants' store share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "helper_store.h"

const struct tenant_plan *store_plan(void)
{
	static struct tenant_slot slots[STORE_SLOTS];
	static struct tenant_step steps[STORE_STEPS];
	static const struct tenant_plan plan = {
		.steps = steps, .n_steps = STORE_STEPS, .slots = slots, .n_slots = STORE_SLOTS
	};

	for (unsigned int i = 0; i < STORE_SLOTS; i++) {
		slots[i] = (struct tenant_slot){ .pf = FAKE_PF, .idx = i, .nth = i };
		snprintf(slots[i].tenant, sizeof(slots[i].tenant), "tenant-%u", i);
	}
	for (unsigned int i = 0; i < STORE_STEPS; i++)
		steps[i] = (struct tenant_step){ .kind = STEP_SETTING, .pf = FAKE_PF, .idx = i };
	return &plan;
}

const char *store_file(struct fake_nic *f, const char *suffix)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/tenants.db%s", f->env.state_dir, suffix);
	return path;
}

unsigned int store_files(struct fake_nic *f)
{
	unsigned int n = 0;
	DIR *d = opendir(f->env.state_dir);

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

struct tenant_store *store_open(struct fake_nic *f, enum tenant_store_mode mode)
{
	struct tenant_store *st;

	assert_int_equal(tenant_store_open(&f->env, mode, &st), 0);
	return st;
}

size_t store_n_slots(const struct tenant_store *st)
{
	struct tenant_slot *s;
	size_t n;

	assert_int_equal(tenant_store_slots(st, &s, &n), 0);
	free(s);
	return n;
}

int store_unfinished(const struct tenant_store *st)
{
	struct tenant_plan *p;
	bool same;
	int ret = tenant_store_unfinished(st, &p, &same);

	assert_true(ret == 0 || ret == 1);
	if (ret == 1) {
		assert_int_equal(p->n_steps, STORE_STEPS);
		assert_int_equal(p->n_slots, STORE_SLOTS);
		tenant_plan_free(p);
	}
	return ret;
}
