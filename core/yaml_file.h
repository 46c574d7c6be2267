/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading a YAML file that a user wrote, for guest_conf.c and the switch's configuration. libcyaml
 * checks its shape against a schema; this gives its complaints as one line that names the file.
 */
#ifndef CORE_YAML_FILE_H
#define CORE_YAML_FILE_H

#include <cyaml/cyaml.h>

/* A file that is longer is none that anybody wrote. */
#define YAML_FILE_MAX (1024 * 1024)

/*
 * yaml_file_load - reads `file` as `schema` says; *out is what libcyaml allocated for it, NULL when
 * the file says nothing. The caller owns it and gives it to yaml_file_free(), which accepts NULL.
 * `keys`: what there are, for the message about an unknown one; NULL when they are of several
 * kinds. -EINVAL after a message that names the file and what is wrong in it: its shape, an unknown
 * key, its size, an alias (*name: a short file could stand for a huge one). Other negative errno
 * after a message when it cannot be read.
 */
int yaml_file_load(const char *file, const cyaml_schema_value_t *schema, const char *keys,
		   void **out);
/*
 * yaml_file_text - the file as it is, for whoever reads it with libyaml itself: *len bytes, not
 * ended by a NUL, freed by the caller. Errors as above.
 */
int yaml_file_text(const char *file, char **text, size_t *len);
void yaml_file_free(const cyaml_schema_value_t *schema, void *data);

#endif
