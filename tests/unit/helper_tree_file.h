/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recorded sysfs and proc (tests/unit/data/NAME.tree, written by data/record.sh) put into a
 * tree. The tests run in the project's own folder.
 */
#ifndef HELPER_TREE_FILE_H
#define HELPER_TREE_FILE_H

#include <stdint.h>

#include "helper_vfio_tree.h"

/* tree_load - everything that the recording has, into t, which exists. Aborts when it cannot. */
void tree_load(const struct tree *t, const char *name);

/* tree_bytes - a file of `size` bytes: those given, then zeroes. */
void tree_bytes(const struct tree *t, const char *path, const uint8_t *bytes, size_t n,
		size_t size);

#endif
