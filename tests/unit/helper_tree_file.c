/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See helper_tree_file.h; the lines of a recording are described in data/record.sh. */
#include "helper_tree_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tree_bytes(const struct tree *t, const char *path, const uint8_t *bytes, size_t n, size_t size)
{
	char full[TREE_PATH];
	FILE *f;

	tree_file(t, path, ""); /* makes the folders */
	snprintf(full, sizeof(full), "%s/%s", t->root, path);
	f = fopen(full, "w");
	if (!f || n > size || fwrite(bytes, 1, n, f) != n)
		abort();
	for (; n < size; n++)
		fputc(0, f);
	fclose(f);
}

static void load_text(const struct tree *t, const char *path, char *text)
{
	char *to = text;

	for (const char *s = text; *s; s++)
		if (s[0] == '\\' && s[1] == 'n') {
			*to++ = '\n';
			s++;
		} else {
			*to++ = *s;
		}
	*to = '\0';
	tree_file(t, path, text);
}

static void load_bytes(const struct tree *t, const char *path, const char *text)
{
	uint8_t bytes[4096];
	size_t size, n = 0;
	int used;

	if (sscanf(text, "%zu %n", &size, &used) != 1)
		abort();
	for (text += used; n < sizeof(bytes) && sscanf(text, "%2hhx", &bytes[n]) == 1; text += 2)
		n++;
	tree_bytes(t, path, bytes, n, size);
}

static void load_line(const struct tree *t, char *line)
{
	char *path = line + 2, *rest = strchr(path, ' ');

	if (!rest)
		abort();
	*rest++ = '\0';
	switch (line[0]) {
	case 'L': tree_link(t, path, rest); break;
	case 'F': load_text(t, path, rest); break;
	case 'X': load_bytes(t, path, rest); break;
	default: abort();
	}
}

void tree_load(const struct tree *t, const char *name)
{
	char path[256], *line = NULL;
	size_t size = 0;
	ssize_t n;
	FILE *f;

	snprintf(path, sizeof(path), "tests/unit/data/%s.tree", name);
	f = fopen(path, "r");
	if (!f) {
		fprintf(stderr, "# %s cannot be read: run this in the project's folder\n", path);
		abort();
	}
	while ((n = getline(&line, &size, f)) > 0) {
		line[n - 1] = '\0';
		load_line(t, line);
	}
	free(line);
	fclose(f);
}
