/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The version of the whole project and the source revision it was built from; one file, so that a
 * commit rebuilds one.
 */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

extern const char fourlane_version[];  /* "0.1" */
extern const char fourlane_revision[]; /* git describe, or "unknown" */

#endif
