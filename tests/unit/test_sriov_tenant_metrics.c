/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tenants' metrics on rows made up here, read back by a strict reader of Prometheus' text
 * format 0.0.4: every family opens with HELP and TYPE, comes once and in one piece, names, labels
 * and values are of the right letters, no sample comes twice.
 */
#include <ctype.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sriov/tenant_view.h"

/* --- a strict reader ------------------------------------------------------ */
struct prom {
	char family[64][80];
	size_t n_families, n_samples;
	char seen[256][400]; /* name and labels of each sample */
};

static const char *skip_name(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return NULL;
	while (isalnum((unsigned char)*s) || *s == '_')
		s++;
	return s;
}

/* {name="value",...}; gives what follows it, NULL when it is wrong. */
static const char *skip_labels(const char *s)
{
	for (s++;; s++) {
		s = skip_name(s);
		if (!s || strncmp(s, "=\"", 2))
			return NULL;
		for (s += 2; *s && *s != '"'; s++) {
			if (*s == '\\' && !strchr("\\\"n", *++s))
				return NULL;
			if (!*s || (unsigned char)*s < ' ')
				return NULL;
		}
		if (*s++ != '"')
			return NULL;
		if (*s == '}')
			return s + 1;
		if (*s != ',')
			return NULL;
	}
}

static bool read_sample(struct prom *p, const char *line)
{
	const char *name_end = skip_name(line), *rest, *end;
	const char *family = p->n_families ? p->family[p->n_families - 1] : "";

	if (!name_end || strlen(family) != (size_t)(name_end - line) ||
	    strncmp(line, family, strlen(family)))
		return false; /* of another family than the one that is open */
	rest = *name_end == '{' ? skip_labels(name_end) : name_end;
	if (!rest || *rest != ' ' || p->n_samples == 256)
		return false;
	for (end = rest + 1; isdigit((unsigned char)*end); end++)
		;
	if (end == rest + 1 || *end)
		return false;
	snprintf(p->seen[p->n_samples], sizeof(p->seen[0]), "%.*s", (int)(rest - line), line);
	for (size_t i = 0; i < p->n_samples; i++)
		if (!strcmp(p->seen[i], p->seen[p->n_samples]))
			return false;
	p->n_samples++;
	return true;
}

/* "# HELP name text" and then "# TYPE name counter|gauge", for a name that was not there yet. */
static bool read_head(struct prom *p, const char *help, const char *type)
{
	char name[80], want[128];
	const char *end = skip_name(help + 7);
	bool total;

	if (strncmp(help, "# HELP ", 7) || !end || *end != ' ' || !end[1] || !type)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(end - help - 7), help + 7);
	total = strlen(name) > 6 && !strcmp(name + strlen(name) - 6, "_total");
	snprintf(want, sizeof(want), "# TYPE %s %s", name, total ? "counter" : "gauge");
	for (size_t i = 0; i < p->n_families; i++)
		if (!strcmp(p->family[i], name))
			return false;
	if (strcmp(type, want) || p->n_families == 64)
		return false;
	strcpy(p->family[p->n_families++], name);
	return true;
}

static bool prom_read(const char *text, struct prom *p)
{
	char *copy = strdup(text), *save = NULL, *line;
	bool ok = *text && text[strlen(text) - 1] == '\n' && !strstr(text, "\n\n");

	memset(p, 0, sizeof(*p));
	for (line = strtok_r(copy, "\n", &save); ok && line; line = strtok_r(NULL, "\n", &save))
		ok = *line == '#' ? read_head(p, line, strtok_r(NULL, "\n", &save))
				  : read_sample(p, line);
	free(copy);
	return ok;
}

/* --- rows ----------------------------------------------------------------- */
#define N_ROWS 3

struct made {
	struct tenant_slot slot[N_ROWS];
	struct tenant_world_pf pf;
	struct tenant_world_vf vf[N_ROWS];
	struct tenant_lease lease;
	struct tenant_row row[N_ROWS];
	struct tenant_view view;
	char *text;
	size_t size;
};

static void made_write(struct made *m)
{
	FILE *f;

	free(m->text);
	f = open_memstream(&m->text, &m->size);
	assert_non_null(f);
	tenant_metrics_write(&m->view, f);
	fclose(f);
}

static int made_setup(void **state)
{
	struct made *m = calloc(1, sizeof(*m));

	strcpy(m->pf.pf.name, "lab1");
	strcpy(m->pf.pf.id, "0000:01:00.0");
	m->pf.vf = m->vf;
	m->pf.pf.num_vfs = N_ROWS;
	for (unsigned int i = 0; i < N_ROWS; i++) {
		strcpy(m->slot[i].pf, m->pf.pf.id);
		strcpy(m->slot[i].tenant, i < 2 ? "acme" : "zeta");
		m->slot[i].idx = i;
		snprintf(m->vf[i].bdf, sizeof(m->vf[i].bdf), "0000:01:10.%u", i * 2);
		m->row[i].slot = &m->slot[i];
		m->row[i].pf = &m->pf;
		m->row[i].vf = &m->vf[i];
	}
	m->view.row = m->row;
	m->view.n = N_ROWS;
	*state = m;
	return 0;
}

static int made_teardown(void **state)
{
	struct made *m = *state;

	free(m->text);
	free(m);
	return 0;
}

#define V(tenant, vf, device) \
	"{tenant=\"" tenant "\",pf=\"lab1\",pf_device=\"0000:01:00.0\",vf=\"" vf \
	"\",device=\"" device "\"}"

/* --- tests ---------------------------------------------------------------- */
static void what_is_not_known_is_left_out(void **state)
{
	struct made *m = *state;
	struct prom p;

	made_write(m);
	assert_true(prom_read(m->text, &p));
	assert_null(strstr(m->text, "_total"));
	assert_non_null(strstr(m->text, "fourlane_tenant_vfs{tenant=\"acme\"} 2\n"));
	assert_non_null(strstr(m->text, "fourlane_tenant_vfs{tenant=\"zeta\"} 1\n"));
	assert_non_null(strstr(m->text, "fourlane_vf_drift" V("zeta", "2", "0000:01:10.4") " 0\n"));
	assert_int_equal(p.n_families, 4);
	assert_int_equal(p.n_samples, 3 * 2 + 3);
}

static void counters_have_the_tenants_name(void **state)
{
	struct made *m = *state;
	struct prom p;

	m->row[1].counters = (struct vf_counters){ .known = true,
						   .rx_packets = 1,
						   .tx_packets = 2,
						   .rx_bytes = 3,
						   .tx_bytes = UINT64_MAX,
						   .broadcast = 5,
						   .multicast = 6,
						   .rx_dropped = 7,
						   .tx_dropped = 8 };
	m->row[2].spoofed_known = true;
	m->row[2].spoofed = 9;
	made_write(m);
	assert_true(prom_read(m->text, &p));
	assert_int_equal(p.n_families, 4 + 8 + 1);
	assert_int_equal(p.n_samples, 3 * 2 + 3 + 8 + 1);
	assert_non_null(
		strstr(m->text, "fourlane_vf_tx_bytes_total" V(
					"acme", "1", "0000:01:10.2") " 18446744073709551615\n"));
	assert_non_null(strstr(
		m->text, "fourlane_vf_rx_dropped_total" V("acme", "1", "0000:01:10.2") " 7\n"));
	assert_non_null(strstr(
		m->text, "fourlane_vf_tx_spoofed_total" V("zeta", "2", "0000:01:10.4") " 9\n"));
	assert_null(strstr(m->text, "total" V("acme", "0", "0000:01:10.0")));
}

static void leases_and_drift_are_counted(void **state)
{
	struct made *m = *state;
	struct prom p;

	m->row[0].lease = m->row[1].lease = &m->lease;
	m->row[0].alive = true;
	m->row[0].drift = VF_BIT(VF_VLAN) | VF_BIT(VF_MAC);
	m->row[0].drift_driver = true;
	m->row[2].vf = NULL;
	made_write(m);
	assert_true(prom_read(m->text, &p));
	assert_non_null(strstr(m->text, "fourlane_tenant_leases{tenant=\"acme\"} 1\n"));
	assert_non_null(strstr(m->text, "fourlane_tenant_stale_leases{tenant=\"acme\"} 1\n"));
	assert_non_null(strstr(m->text, "fourlane_tenant_stale_leases{tenant=\"zeta\"} 0\n"));
	assert_non_null(strstr(m->text, "fourlane_vf_drift" V("acme", "0", "0000:01:10.0") " 3\n"));
	assert_non_null(strstr(m->text, "fourlane_vf_drift" V("zeta", "2", "") " 1\n"));
}

static void labels_are_escaped(void **state)
{
	struct made *m = *state;
	struct prom p;

	strcpy(m->pf.pf.name, "a\"b\\c\n\x1b\xff");
	made_write(m);
	assert_true(prom_read(m->text, &p));
	assert_non_null(strstr(m->text, "pf=\"a\\\"b\\\\c\\n??\""));
}

/* The reader itself can refuse. */
static void the_reader_is_strict(void **state)
{
	static const char *const wrong[] = {
		"a 1\n",
		"# HELP a x\n# TYPE a gauge\na 1",
		"# HELP a x\n# TYPE a counter\na 1\n",
		"# HELP a x\n# TYPE a gauge\na{b=\"c\"d\"} 1\n",
		"# HELP a x\n# TYPE a gauge\na{b=\"c\\d\"} 1\n",
		"# HELP a x\n# TYPE a gauge\na{b=c} 1\n",
		"# HELP a x\n# TYPE a gauge\na unknown\n",
		"# HELP a x\n# TYPE a gauge\na 1\na 2\n",
		"# HELP a x\n# TYPE a gauge\na 1\n# HELP a x\n# TYPE a gauge\na{b=\"c\"} 1\n",
		"# HELP a x\n# TYPE a gauge\nb 1\n",
	};
	struct prom p;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(prom_read(wrong[i], &p));
	assert_true(prom_read("# HELP a x\n# TYPE a gauge\na{b=\"c\\\\\\\"\\n\",d=\"\"} 1\n", &p));
}

#define T(f) cmocka_unit_test_setup_teardown(f, made_setup, made_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_not_known_is_left_out), T(counters_have_the_tenants_name),
		T(leases_and_drift_are_counted),  T(labels_are_escaped),
		T(the_reader_is_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
