/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `fourlane host` shows, put together by the folders: sections of facts (cpu, kvm, iommu,
 * nics) and, for each lane, what is missing and what would mend it. Paths are parameters, so that a
 * test can show a host that it made up in a folder.
 */
#ifndef CORE_HOST_H
#define CORE_HOST_H

#include <jansson.h>

#include "core/registry.h"

struct host_view {
	const char *sysfs; /* "/sys" */
	const char *dev;   /* "/dev" */
	const char *proc;  /* "/proc" */
};
extern const struct host_view host_real;

struct host_section {
	const char *key;                            /* in host --json */
	json_t *(*make)(const struct host_view *v); /* a new object */
};
#define HOST_SECTION(ptr) REGISTER(fl_host_sections, struct host_section, ptr)

struct host_lane_report;
/* host_lane_miss - one thing that keeps the lane from working, and how to mend it. */
void host_lane_miss(struct host_lane_report *r, const char *missing, const char *mend);

struct host_lane {
	const char *lane; /* "emulated", "paravirtual", "direct", "vm-aware"; several registrations
			     add up */
	void (*check)(const struct host_view *v, struct host_lane_report *r);
};
#define HOST_LANE(ptr) REGISTER(fl_host_lanes, struct host_lane, ptr)

/*
 * host_check_kvm - for every lane: /dev/kvm opens, its API is 12 and the extensions that the
 * monitor needs are there.
 */
void host_check_kvm(const struct host_view *v, struct host_lane_report *r);

/*
 * host_report - the whole object of `fourlane host --json`. New reference; NULL when memory is
 * short.
 */
json_t *host_report(const struct host_view *v);

/* host_where - "lab" inside the software host (it leaves /etc/fourlane-lab), else "host". */
const char *host_where(void);

#endif
