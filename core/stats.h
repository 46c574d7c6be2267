/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device's counters on their way out: the device calls stats_put() once a counter, whoever asked
 * decides what becomes of them (the monitor makes JSON, a test compares). Names are stable: they
 * appear in `fourlane stats --json`.
 */
#ifndef CORE_STATS_H
#define CORE_STATS_H

#include <stdint.h>

struct stats_sink {
	void (*put)(struct stats_sink *s, const char *name, uint64_t value);
};

static inline void stats_put(struct stats_sink *s, const char *name, uint64_t value)
{
	s->put(s, name, value);
}

#endif
