/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See helper_schema.h; JSON Schema draft 2020-12, the keywords of the table below. */
#include "helper_schema.h"

#include <stdio.h>
#include <string.h>

struct check {
	const json_t *root;
	char *why;
	size_t size;
	char path[256];
};

static int check_value(struct check *c, const json_t *schema, const json_t *doc);

static int bad(struct check *c, const char *what, const char *name)
{
	snprintf(c->why, c->size, "%s: %s %s", c->path, what, name);
	return -1;
}

static bool is_type(const char *type, const json_t *doc)
{
	static const struct {
		const char *name;
		bool number;
		json_type type;
	} types[] = {
		{ "object", false, JSON_OBJECT }, { "array", false, JSON_ARRAY },
		{ "string", false, JSON_STRING }, { "integer", false, JSON_INTEGER },
		{ "null", false, JSON_NULL },     { "number", true, JSON_REAL },
	};

	if (!strcmp(type, "boolean")) /* two types of jansson's */
		return json_is_boolean(doc);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(type, types[i].name))
			return types[i].number ? json_is_number(doc)
					       : json_typeof(doc) == types[i].type;
	return false;
}

static int check_type(struct check *c, const json_t *want, const json_t *doc)
{
	json_t *one;
	size_t i;

	if (json_is_string(want))
		return is_type(json_string_value(want), doc)
			       ? 0
			       : bad(c, "is no", json_string_value(want));
	json_array_foreach(want, i, one)
		if (is_type(json_string_value(one), doc))
			return 0;
	return bad(c, "is of", "no wanted type");
}

static int check_enum(struct check *c, const json_t *want, const json_t *doc)
{
	json_t *one;
	size_t i;

	json_array_foreach(want, i, one)
		if (json_equal(one, doc))
			return 0;
	return bad(c, "is none of", "the wanted values");
}

static int check_required(struct check *c, const json_t *want, const json_t *doc)
{
	json_t *one;
	size_t i;

	json_array_foreach(want, i, one)
		if (json_is_object(doc) && !json_object_get(doc, json_string_value(one)))
			return bad(c, "lacks", json_string_value(one));
	return 0;
}

/* Checks doc[key], with the path told in messages. */
static int check_in(struct check *c, const char *key, const json_t *schema, const json_t *doc)
{
	size_t n = strlen(c->path);
	int ret;

	snprintf(c->path + n, sizeof(c->path) - n, "/%s", key);
	ret = check_value(c, schema, doc);
	c->path[n] = '\0';
	return ret;
}

static int check_properties(struct check *c, const json_t *want, const json_t *doc)
{
	const char *key;
	json_t *schema;

	json_object_foreach((json_t *)want, key, schema) {
		json_t *v = json_object_get(doc, key);

		if (v && check_in(c, key, schema, v) < 0)
			return -1;
	}
	return 0;
}

static int check_additional(struct check *c, const json_t *want, const json_t *doc)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)doc, key, v)
		if (check_in(c, key, want, v) < 0)
			return -1;
	return 0;
}

static int check_items(struct check *c, const json_t *want, const json_t *doc)
{
	char key[24];
	json_t *v;
	size_t i;

	json_array_foreach(doc, i, v) {
		snprintf(key, sizeof(key), "%zu", i);
		if (check_in(c, key, want, v) < 0)
			return -1;
	}
	return 0;
}

static int check_all_of(struct check *c, const json_t *want, const json_t *doc)
{
	json_t *one;
	size_t i;

	json_array_foreach(want, i, one)
		if (check_value(c, one, doc) < 0)
			return -1;
	return 0;
}

static int check_ref(struct check *c, const json_t *want, const json_t *doc)
{
	const char *ref = json_string_value(want);
	json_t *schema;

	if (!strcmp(ref, "#"))
		return check_value(c, c->root, doc);
	schema = !strncmp(ref, "#/$defs/", 8)
			 ? json_object_get(json_object_get(c->root, "$defs"), ref + 8)
			 : NULL;
	return schema ? check_value(c, schema, doc) : bad(c, "no such reference", ref);
}

static int check_minimum(struct check *c, const json_t *want, const json_t *doc)
{
	return json_is_number(doc) && json_number_value(doc) < json_number_value(want)
		       ? bad(c, "is below", "the minimum")
		       : 0;
}

static int check_const(struct check *c, const json_t *want, const json_t *doc)
{
	return json_equal(want, doc) ? 0 : bad(c, "is not", "the constant");
}

static const struct {
	const char *name;
	int (*check)(struct check *, const json_t *, const json_t *);
} keywords[] = {
	{ "type", check_type },
	{ "enum", check_enum },
	{ "required", check_required },
	{ "properties", check_properties },
	{ "additionalProperties", check_additional },
	{ "items", check_items },
	{ "allOf", check_all_of },
	{ "$ref", check_ref },
	{ "minimum", check_minimum },
	{ "const", check_const },
	{ "description", NULL },
	{ "title", NULL },
	{ "$schema", NULL },
	{ "$defs", NULL },
};

static int check_value(struct check *c, const json_t *schema, const json_t *doc)
{
	const char *key;
	json_t *want;

	json_object_foreach((json_t *)schema, key, want) {
		size_t i = 0, n = sizeof(keywords) / sizeof(keywords[0]);

		while (i < n && strcmp(key, keywords[i].name))
			i++;
		if (i == n)
			return bad(c, "unknown keyword", key);
		if (keywords[i].check && keywords[i].check(c, want, doc) < 0)
			return -1;
	}
	return 0;
}

int schema_check(const json_t *root, const json_t *schema, const json_t *doc, char *why,
		 size_t size)
{
	struct check c = { .root = root, .why = why, .size = size };

	return check_value(&c, schema, doc);
}
