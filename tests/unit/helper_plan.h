/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Planning on a made-up host (helper_sriov.h) from the text of a file, and taking a plan's steps
 * there one by one, without the guards and the way back of the real apply: for tests of the plan.
 */
#ifndef TESTS_UNIT_HELPER_PLAN_H
#define TESTS_UNIT_HELPER_PLAN_H

#include "helper_sriov.h"
#include "sriov/tenant.h"

/*
 * plan_of - the plan for this text (NULL: nobody is to have anything), or NULL and *ret. The file
 * is called "t.yaml" in messages.
 */
struct tenant_plan *plan_of(struct fake_nic *f, const char *yaml, int *ret);
/* plan_good - the same, for a text that is not to be refused. */
struct tenant_plan *plan_good(struct fake_nic *f, const char *yaml);
/* plan_take - plans, takes all steps, and has the store know it. Gives the number of steps. */
size_t plan_take(struct fake_nic *f, const char *yaml);
/* plan_has - a step with this text is in the plan; gives its place from 1, or 0. */
size_t plan_has(const struct tenant_plan *p, const char *text);
bool plan_notes(const struct tenant_plan *p, const char *words);
/* plan_show - all of it on stderr, for a test that fails. */
void plan_show(const struct tenant_plan *p);

#endif
