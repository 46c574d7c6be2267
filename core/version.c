/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See version.h. The Makefile passes FOURLANE_REVISION to this file alone. */
#include "core/version.h"

#ifndef FOURLANE_REVISION
#define FOURLANE_REVISION "unknown"
#endif

const char fourlane_version[] = "0.1";
const char fourlane_revision[] = FOURLANE_REVISION;
