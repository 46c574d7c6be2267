/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See tenant_yaml.h. The text is walked twice: first as events, which cost nothing to refuse what
 * could make a short text large (aliases, depth, many documents), then as a document whose nodes
 * know their lines. YAML 1.1, libyaml 0.2.
 */
#include "tenant_yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/cmd.h"
#include "core/err.h"

#define YAML_DEPTH 6
#define YAML_KEY   64 /* longer is no key */
#define YAML_NEAR  2  /* letters that may differ in "did you mean" */

int tenant_yaml_bad(const struct tenant_yaml *y, unsigned int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_ret(-EINVAL, "%s:%u: %s", y->file, line, text);
}

unsigned int tenant_yaml_line(const yaml_node_t *n)
{
	return (unsigned int)n->start_mark.line + 1;
}

/* --- the text ------------------------------------------------------------- */
static int yaml_broken(const struct tenant_yaml *y, const yaml_parser_t *p, const char *text,
		       size_t len)
{
	unsigned int line = (unsigned int)p->problem_mark.line + 1;
	size_t at = p->problem_mark.index;

	if (p->error == YAML_MEMORY_ERROR)
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", y->file);
	if (p->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < p->problem_offset && i < len; i++)
			line += text[i] == '\n';
		return tenant_yaml_bad(y, line, "%s; write the file as UTF-8 text", p->problem);
	}
	if (at < len && text[at] == '\t')
		return tenant_yaml_bad(y, line, "a tab; indent with spaces");
	return tenant_yaml_bad(y, line, "%s%s%s; mend this line or the one before it",
			       p->context ? p->context : "", p->context ? ": " : "",
			       p->problem ? p->problem : "this is not YAML");
}

static int yaml_event(const struct tenant_yaml *y, const yaml_event_t *ev, int *depth, int *docs)
{
	unsigned int line = (unsigned int)ev->start_mark.line + 1;
	const yaml_char_t *tag = NULL;

	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++*docs > 1)
			return tenant_yaml_bad(y, line, "a second document; write one");
		break;
	case YAML_ALIAS_EVENT:
		return tenant_yaml_bad(y, line, "an alias (*name); write the values themselves");
	case YAML_SCALAR_EVENT: tag = ev->data.scalar.tag; break;
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		tag = ev->type == YAML_SEQUENCE_START_EVENT ? ev->data.sequence_start.tag
							    : ev->data.mapping_start.tag;
		if (++*depth > YAML_DEPTH)
			return tenant_yaml_bad(y, line, "too many levels; write at most %d",
					       YAML_DEPTH);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT: --*depth; break;
	default: break;
	}
	return tag ? tenant_yaml_bad(y, line, "a tag (!name); write the value alone") : 0;
}

static int yaml_start(yaml_parser_t *p, const char *file, const char *text, size_t len)
{
	if (!yaml_parser_initialize(p))
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", file);
	yaml_parser_set_encoding(p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(p, (const unsigned char *)text, len);
	return 0;
}

static int yaml_check(const struct tenant_yaml *y, const char *text, size_t len)
{
	int depth = 0, docs = 0, ret;
	bool end = false;
	yaml_parser_t p;

	ret = yaml_start(&p, y->file, text, len);
	if (ret < 0)
		return ret;
	while (ret == 0 && !end) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&p, &ev)) {
			ret = yaml_broken(y, &p, text, len);
			break;
		}
		ret = yaml_event(y, &ev, &depth, &docs);
		end = ev.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&p);
	return ret;
}

int tenant_yaml_open(struct tenant_yaml *y, const char *file, const char *text, size_t len,
		     yaml_node_t **root)
{
	yaml_parser_t p;
	int ret;

	*root = NULL;
	memset(y, 0, sizeof(*y));
	y->file = file;
	ret = yaml_check(y, text, len);
	if (ret == 0)
		ret = yaml_start(&p, file, text, len);
	if (ret < 0)
		return ret;
	if (!yaml_parser_load(&p, &y->doc))
		ret = yaml_broken(y, &p, text, len);
	else
		*root = yaml_document_get_root_node(&y->doc);
	yaml_parser_delete(&p);
	return ret;
}

void tenant_yaml_close(struct tenant_yaml *y)
{
	yaml_document_delete(&y->doc);
}

/* --- values --------------------------------------------------------------- */
static const char *yaml_kind(const yaml_node_t *n)
{
	return n->type == YAML_SEQUENCE_NODE ? "a list" : "a mapping";
}

int tenant_yaml_text(struct tenant_yaml *y, const char *key, yaml_node_t *n, char *buf, size_t size)
{
	size_t len;

	if (n->type != YAML_SCALAR_NODE)
		return tenant_yaml_bad(y, tenant_yaml_line(n), "%s is %s; write one value", key,
				       yaml_kind(n));
	len = n->data.scalar.length;
	if (!len)
		return tenant_yaml_bad(y, tenant_yaml_line(n),
				       "%s has no value; write one or leave the key out", key);
	if (memchr(n->data.scalar.value, '\0', len))
		return tenant_yaml_bad(y, tenant_yaml_line(n), "%s has a NUL in it; take it out",
				       key);
	if (len >= size)
		return tenant_yaml_bad(y, tenant_yaml_line(n),
				       "%s is too long; %zu letters are the most", key, size - 1);
	memcpy(buf, n->data.scalar.value, len);
	buf[len] = '\0';
	return 0;
}

int tenant_yaml_number(struct tenant_yaml *y, const char *key, yaml_node_t *n, unsigned int min,
		       unsigned int max, unsigned int *out)
{
	char text[YAML_KEY];
	unsigned long long v;
	int ret = tenant_yaml_text(y, key, n, text, sizeof(text));

	if (ret < 0)
		return ret;
	/* 010 is 8 in YAML 1.1 and 10 for everybody else; 1K is a number for cmd_number() */
	if (text[strspn(text, "0123456789")] || (text[0] == '0' && text[1]) ||
	    cmd_number(text, min, max, &v) < 0)
		return tenant_yaml_bad(y, tenant_yaml_line(n),
				       "%s: '%s' is not a number from %u to %u; write one", key,
				       text, min, max);
	*out = (unsigned int)v;
	return 0;
}

bool tenant_yaml_is_bool(const char *text, bool *out)
{
	static const char *const words[] = { "off", "on", "no", "yes", "false", "true" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcasecmp(text, words[i])) {
			*out = i & 1;
			return true;
		}
	return false;
}

int tenant_yaml_bool(struct tenant_yaml *y, const char *key, yaml_node_t *n, bool *out)
{
	char text[YAML_KEY];
	int ret = tenant_yaml_text(y, key, n, text, sizeof(text));

	if (ret == 0 && !tenant_yaml_is_bool(text, out))
		ret = tenant_yaml_bad(y, tenant_yaml_line(n), "%s: '%s' is neither on nor off", key,
				      text);
	return ret;
}

/* --- mappings and lists --------------------------------------------------- */
/* How many letters have to be put in, taken out or changed (Levenshtein), for short words. */
static unsigned int yaml_distance(const char *a, const char *b)
{
	unsigned int row[YAML_KEY + 1], n = (unsigned int)strlen(b);

	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned int i = 1; a[i - 1]; i++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= n; j++) {
			unsigned int up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);

			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = up;
			row[j] = best;
		}
	}
	return row[n];
}

static int yaml_unknown(const struct tenant_yaml *y, unsigned int line, const char *what,
			const struct tenant_yaml_key *keys, const char *key)
{
	const char *near = NULL;
	unsigned int best = YAML_NEAR + 1;
	char all[256] = "";
	size_t used = 0;

	for (const struct tenant_yaml_key *k = keys; k->name; k++) {
		unsigned int d = yaml_distance(key, k->name);

		if (d < best) {
			best = d;
			near = k->name;
		}
		used += (size_t)snprintf(all + used, used < sizeof(all) ? sizeof(all) - used : 0,
					 "%s%s", used ? ", " : "", k->name);
	}
	if (near)
		return tenant_yaml_bad(y, line, "%s has no key '%s'; did you mean '%s'?", what, key,
				       near);
	return tenant_yaml_bad(y, line, "%s has no key '%s'; there are: %s", what, key, all);
}

static int yaml_need(const struct tenant_yaml *y, const yaml_node_t *n, yaml_node_type_t type,
		     const char *what)
{
	if (n->type == type)
		return 0;
	return tenant_yaml_bad(y, tenant_yaml_line(n), "%s has to be %s; write %s", what,
			       type == YAML_MAPPING_NODE ? "a mapping" : "a list",
			       type == YAML_MAPPING_NODE ? "'key: value' lines"
							 : "lines with '- '");
}

static bool yaml_same(const yaml_node_t *a, const yaml_node_t *b)
{
	return a->type == YAML_SCALAR_NODE && b->type == YAML_SCALAR_NODE &&
	       a->data.scalar.length == b->data.scalar.length &&
	       !memcmp(a->data.scalar.value, b->data.scalar.value, a->data.scalar.length);
}

struct yaml_pair_key {
	const yaml_node_t *key;
	size_t at;
};

static int yaml_by_text(const void *a, const void *b)
{
	const struct yaml_pair_key *x = a, *z = b;
	const yaml_node_t *k = x->key, *l = z->key;
	size_t n = k->data.scalar.length < l->data.scalar.length ? k->data.scalar.length
								 : l->data.scalar.length;
	int ret = memcmp(k->data.scalar.value, l->data.scalar.value, n);

	if (!ret && k->data.scalar.length != l->data.scalar.length)
		ret = k->data.scalar.length < l->data.scalar.length ? -1 : 1;
	return ret ? ret : x->at < z->at ? -1 : x->at > z->at;
}

/* No key twice; sorted, because a file can have a hundred thousand. */
static int yaml_unique(struct tenant_yaml *y, yaml_node_t *n, const char *what)
{
	size_t n_pairs = (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start),
	       used = 0;
	struct yaml_pair_key *all = calloc(n_pairs + 1, sizeof(*all));
	int ret = 0;

	if (!all)
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", y->file);
	for (size_t i = 0; i < n_pairs; i++) {
		const yaml_node_t *k =
			yaml_document_get_node(&y->doc, n->data.mapping.pairs.start[i].key);

		if (k->type == YAML_SCALAR_NODE)
			all[used++] = (struct yaml_pair_key){ k, i };
	}
	qsort(all, used, sizeof(*all), yaml_by_text);
	for (size_t i = 1; ret == 0 && i < used; i++)
		if (yaml_same(all[i - 1].key, all[i].key))
			ret = tenant_yaml_bad(y, tenant_yaml_line(all[i].key),
					      "%s has '%.*s' twice, first in line %u; leave one",
					      what,
					      (int)all[i].key->data.scalar.length < YAML_KEY
						      ? (int)all[i].key->data.scalar.length
						      : YAML_KEY,
					      (const char *)all[i].key->data.scalar.value,
					      tenant_yaml_line(all[i - 1].key));
	free(all);
	return ret;
}

int tenant_yaml_each(struct tenant_yaml *y, yaml_node_t *n, const char *what,
		     int (*take)(struct tenant_yaml *y, void *to, const char *key,
				 yaml_node_t *value),
		     void *to)
{
	int ret = yaml_need(y, n, YAML_MAPPING_NODE, what);

	if (ret == 0)
		ret = yaml_unique(y, n, what);
	if (ret < 0)
		return ret;
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start;
	     ret == 0 && p < n->data.mapping.pairs.top; p++) {
		char key[YAML_KEY];

		yaml_node_t *k = yaml_document_get_node(&y->doc, p->key);

		ret = tenant_yaml_text(y, "a key", k, key, sizeof(key));
		y->line = tenant_yaml_line(k);
		if (ret == 0)
			ret = take(y, to, key, yaml_document_get_node(&y->doc, p->value));
	}
	return ret;
}

struct yaml_table {
	const char *what;
	const struct tenant_yaml_key *keys;
	void *to;
};

static int yaml_take_known(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *value)
{
	const struct yaml_table *t = to;

	for (const struct tenant_yaml_key *k = t->keys; k->name; k++)
		if (!strcmp(k->name, key))
			return k->take(y, t->to, key, value);
	return yaml_unknown(y, y->line, t->what, t->keys, key);
}

int tenant_yaml_map(struct tenant_yaml *y, yaml_node_t *n, const char *what,
		    const struct tenant_yaml_key *keys, void *to)
{
	struct yaml_table t = { .what = what, .keys = keys, .to = to };

	return tenant_yaml_each(y, n, what, yaml_take_known, &t);
}

int tenant_yaml_items(struct tenant_yaml *y, yaml_node_t *n, const char *what,
		      int (*take)(struct tenant_yaml *y, void *to, const char *key,
				  yaml_node_t *value),
		      void *to)
{
	int ret = yaml_need(y, n, YAML_SEQUENCE_NODE, what);

	if (ret < 0)
		return ret;
	for (yaml_node_item_t *i = n->data.sequence.items.start;
	     ret == 0 && i < n->data.sequence.items.top; i++)
		ret = take(y, to, what, yaml_document_get_node(&y->doc, *i));
	return ret;
}
