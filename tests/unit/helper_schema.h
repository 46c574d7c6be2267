/* SPDX-License-Identifier: GPL-2.0-or-later */
/* As much of JSON Schema as bench/schema.json uses. */
#ifndef TESTS_HELPER_SCHEMA_H
#define TESTS_HELPER_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* schema_check - 0 when doc obeys the schema; else -1, and where and why it does not. An unknown
 * keyword is an error, too. */
int schema_check(const json_t *root, const json_t *schema, const json_t *doc, char *why,
		 size_t size);

#endif
