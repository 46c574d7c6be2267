/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resetting a function, as far as `fourlane run` has to know (prep_reset.c). Paths are parameters,
 * for tests.
 */
#ifndef VFIO_PREP_RESET_H
#define VFIO_PREP_RESET_H

#include <stdbool.h>
#include <stddef.h>

/* vfio_reset_methods - those that the kernel would use, best first, with '+' between them; "" when
 * it has none or does not tell. */
void vfio_reset_methods(const char *sysfs, const char *bdf, char *buf, size_t size);

/*
 * vfio_used_before - has vfio_used_mark() been called for this function since its group's node
 * `node` was made? vfio_used_mark - a guest has it now. `dir` exists. Negative errno, no message.
 */
bool vfio_used_before(const char *dir, const char *bdf, const char *node);
int vfio_used_mark(const char *dir, const char *bdf, const char *node);

#endif
