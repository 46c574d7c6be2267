/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A YAML document read with libyaml itself, so that every complaint names file and line: for
 * tenant_conf.c. One document of mappings, lists and plain values; no aliases, tags or deep
 * nesting.
 */
#ifndef SRIOV_TENANT_YAML_H
#define SRIOV_TENANT_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include <yaml.h>

struct tenant_yaml {
	const char *file;
	yaml_document_t doc;
	unsigned int line; /* of the key whose value take() has just been given */
};

/*
 * tenant_yaml_open - reads `len` bytes; closed with tenant_yaml_close(). *root is NULL when they
 * say nothing. -EINVAL, -ENOMEM after a message.
 */
int tenant_yaml_open(struct tenant_yaml *y, const char *file, const char *text, size_t len,
		     yaml_node_t **root);
void tenant_yaml_close(struct tenant_yaml *y);

/* tenant_yaml_bad - -EINVAL after "FILE:LINE: message". */
int tenant_yaml_bad(const struct tenant_yaml *y, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
unsigned int tenant_yaml_line(const yaml_node_t *n);

/* A key and who takes its value; the table ends with a NULL name. */
struct tenant_yaml_key {
	const char *name;
	int (*take)(struct tenant_yaml *y, void *to, const char *key, yaml_node_t *value);
};
/*
 * tenant_yaml_map - gives each value of a mapping to its key's take(); unknown keys (the near one
 * is named), duplicate ones and what is no mapping are refused. `what` says what it is in messages.
 */
int tenant_yaml_map(struct tenant_yaml *y, yaml_node_t *n, const char *what,
		    const struct tenant_yaml_key *keys, void *to);
/* tenant_yaml_each - the same where the keys are names: take() gets each of them. */
int tenant_yaml_each(struct tenant_yaml *y, yaml_node_t *n, const char *what,
		     int (*take)(struct tenant_yaml *y, void *to, const char *key,
				 yaml_node_t *value),
		     void *to);
/* tenant_yaml_items - each item of a list. */
int tenant_yaml_items(struct tenant_yaml *y, yaml_node_t *n, const char *what,
		      int (*take)(struct tenant_yaml *y, void *to, const char *key,
				  yaml_node_t *value),
		      void *to);

/* Values. -EINVAL after a message that names the key. */
int tenant_yaml_text(struct tenant_yaml *y, const char *key, yaml_node_t *n, char *buf,
		     size_t size);
int tenant_yaml_number(struct tenant_yaml *y, const char *key, yaml_node_t *n, unsigned int min,
		       unsigned int max, unsigned int *out);
/* on, off, yes, no, true, false as in YAML 1.1 */
int tenant_yaml_bool(struct tenant_yaml *y, const char *key, yaml_node_t *n, bool *out);
/* tenant_yaml_is_bool - whether a text is one of those. */
bool tenant_yaml_is_bool(const char *text, bool *out);

#endif
