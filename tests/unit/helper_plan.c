/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans on a made-up host (see helper_plan.h). */
#include "helper_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/paths.h"

static struct tenant_plan *plan_with(struct fake_nic *f, const struct tenant_store *st,
				     const struct tenant_file *file, struct tenant_world **w,
				     int *ret)
{
	struct tenant_plan *p = NULL;

	*ret = tenant_world_read(&f->env, st, w);
	if (*ret == 0)
		*ret = tenant_plan_make(&f->env, st, file, *w, &p);
	return p;
}

static int load(const char *yaml, struct tenant_file **file)
{
	*file = NULL;
	return yaml ? tenant_file_parse("t.yaml", yaml, strlen(yaml), file) : 0;
}

struct tenant_plan *plan_of(struct fake_nic *f, const char *yaml, int *ret)
{
	struct tenant_store *st = NULL;
	struct tenant_world *w = NULL;
	struct tenant_file *file;
	struct tenant_plan *p = NULL;

	*ret = load(yaml, &file);
	if (*ret == 0)
		*ret = tenant_store_open(&f->env, STORE_READ, &st);
	if (*ret == 0)
		p = plan_with(f, st, file, &w, ret);
	tenant_world_free(w);
	tenant_store_close(st);
	tenant_file_free(file);
	return p;
}

struct tenant_plan *plan_good(struct fake_nic *f, const char *yaml)
{
	int ret;
	struct tenant_plan *p = plan_of(f, yaml, &ret);

	if (ret < 0)
		fail_msg("refused: %s", f->said);
	return p;
}

/* --- taking it ------------------------------------------------------------ */
static struct fake_pf *pf_of(struct fake_nic *f, const char *id)
{
	for (unsigned int i = 0; i < f->n_pfs; i++)
		if (!strcmp(f->pf[i].id, id))
			return &f->pf[i];
	abort();
}

/* What stays over a change of the number of VFs is as it was, as after the real apply. */
static void take_count(struct fake_nic *f, struct fake_pf *pf, unsigned int n)
{
	unsigned int stay = *pf->n_vfs < n ? *pf->n_vfs : n;
	struct vf_settings *was = calloc(stay + 1, sizeof(*was));
	char(*driver)[64] = calloc(stay + 1, sizeof(*driver));

	memcpy(was, pf->vf, stay * sizeof(*was));
	for (unsigned int i = 0; i < stay; i++)
		paths_link_name(driver[i], sizeof(driver[i]), "%s/%s/driver", f->sysfs,
				fake_vf_dir(pf, i));
	fake_vfs(f, pf, n);
	memcpy(pf->vf, was, stay * sizeof(*was));
	for (unsigned int i = 0; i < stay; i++)
		if (driver[i][0])
			fake_vf_driver(f, pf, i, driver[i]);
	free(was);
	free(driver);
}

static void take(struct fake_nic *f, const struct tenant_step *s)
{
	struct fake_pf *pf = pf_of(f, s->pf);
	char path[160], text[16], why[64];

	switch (s->kind) {
	case STEP_AUTOPROBE:
		snprintf(path, sizeof(path), "%s/sriov_drivers_autoprobe", pf->dir);
		snprintf(text, sizeof(text), "%u", s->n_to);
		fake_file(f, path, text);
		break;
	case STEP_NUM_VFS: take_count(f, pf, s->n_to); break;
	case STEP_UNBIND:
	case STEP_BIND:
		fake_vf_driver(f, pf, s->idx, s->kind == STEP_BIND ? s->driver_to : NULL);
		break;
	case STEP_SETTING:
		if (f->env.ops->write(f, pf->ifindex, s->idx, s->setting, &s->to, why, 64) < 0)
			abort();
		break;
	case STEP_RESET:
	case STEP_PROVE: break;
	}
}

static struct tenant_before *before_of(const struct sriov_env *e, const struct tenant_world *w)
{
	struct tenant_before *b = calloc(w->n + 1, sizeof(*b));

	for (size_t i = 0; i < w->n; i++) {
		const struct tenant_world_pf *p = &w->pf[i];

		strcpy(b[i].pf, p->pf.id);
		b[i].vendor = p->vendor;
		b[i].device = p->device;
		sriov_boot_id(e, b[i].boot_id, sizeof(b[i].boot_id));
		b[i].num_vfs = b[i].n_vfs = p->pf.num_vfs;
		b[i].autoprobe = p->autoprobe;
		b[i].vf = calloc(p->pf.num_vfs + 1, sizeof(*b[i].vf));
		for (unsigned int v = 0; v < p->pf.num_vfs; v++) {
			b[i].vf[v].idx = v;
			b[i].vf[v].set = p->vf[v].set;
			strcpy(b[i].vf[v].driver, p->vf[v].driver);
		}
	}
	return b;
}

size_t plan_take(struct fake_nic *f, const char *yaml)
{
	struct tenant_store *st = NULL;
	struct tenant_world *w = NULL;
	struct tenant_before *before;
	struct tenant_file *file;
	struct tenant_plan *p;
	size_t n;
	int ret = load(yaml, &file);

	if (ret < 0 || tenant_store_open(&f->env, STORE_WRITE, &st) < 0)
		abort();
	p = plan_with(f, st, file, &w, &ret);
	if (!p) {
		fprintf(stderr, "no plan: %s\n", f->said);
		abort();
	}
	before = before_of(&f->env, w);
	if (tenant_store_begin(st, "test", file, p, before, w->n) < 0)
		abort();
	for (size_t i = 0; i < p->n_steps; i++)
		take(f, &p->steps[i]);
	if (tenant_store_end(st) < 0)
		abort();
	tenant_before_free(before, w->n);
	n = p->n_steps;
	tenant_plan_free(p);
	tenant_world_free(w);
	tenant_store_close(st);
	tenant_file_free(file);
	return n;
}

/* --- looking at it -------------------------------------------------------- */
size_t plan_has(const struct tenant_plan *p, const char *text)
{
	char is[256];

	for (size_t i = 0; i < p->n_steps; i++) {
		tenant_step_text(&p->steps[i], is, sizeof(is));
		if (!strcmp(is, text))
			return i + 1;
	}
	return 0;
}

bool plan_notes(const struct tenant_plan *p, const char *words)
{
	for (size_t i = 0; i < p->n_notes; i++)
		if (strstr(p->notes[i], words))
			return true;
	return false;
}

void plan_show(const struct tenant_plan *p)
{
	char text[256];

	for (size_t i = 0; i < p->n_notes; i++)
		fprintf(stderr, "note: %s\n", p->notes[i]);
	for (size_t i = 0; i < p->n_steps; i++) {
		tenant_step_text(&p->steps[i], text, sizeof(text));
		fprintf(stderr, "%s\n", text);
	}
}
