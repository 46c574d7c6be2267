/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor's watch for DMA faults of the functions that its guest was given: finds out which
 * those are by what prep_vfio.c told the monitor, and hands the kernel's log to iommu/faults_log.c.
 * Called by core's supervisor (core/guest_watch.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/guest_watch.h"
#include "core/monitor.h"
#include "iommu/iommu.h"

#define KMSG "/dev/kmsg"

struct fault_watch {
	struct iommu_faults *faults;
	size_t n;
	struct iommu_fault_source src[MONITOR_MAX_NICS];
	unsigned int nic[MONITOR_MAX_NICS]; /* of the guest, for each source */
};

/* "vfio,host=0000:01:00.0,...": every NIC that is a function of the host. */
static bool watch_source(const struct prep_nic *nic, struct iommu_fault_source *src)
{
	struct opts *o;
	const char *host;
	bool found;

	if (!nic->device_opts || opts_parse(nic->device_opts, &o) < 0)
		return false;
	host = !strcmp(opts_type(o), "vfio") ? opts_take(o, "host") : NULL;
	found = host && iommu_bdf_parse(host, src->bdf) == 0;
	snprintf(src->nic, sizeof(src->nic), "%s", nic->name);
	opts_free(o);
	return found;
}

static void *watch_open(const struct prep_guest *g)
{
	struct fault_watch *w = calloc(1, sizeof(*w));
	const struct prep_nic *nic;

	for (unsigned int i = 0; w && i < MONITOR_MAX_NICS && (nic = prep_guest_nic_at(g, i)); i++)
		if (watch_source(nic, &w->src[w->n]))
			w->nic[w->n++] = i;
	if (w && w->n && iommu_faults_open(KMSG, prep_guest_name(g), w->src, w->n, &w->faults) == 0)
		return w;
	free(w);
	return NULL;
}

static int watch_fd(const void *state)
{
	return iommu_faults_fd(((const struct fault_watch *)state)->faults);
}

static void watch_ready(void *state)
{
	iommu_faults_ready(((struct fault_watch *)state)->faults);
}

/* null where the log is not read: nobody knows. */
static json_t *watch_number(const struct fault_watch *w, uint64_t n)
{
	return iommu_faults_fd(w->faults) < 0 ? json_null() : json_integer((json_int_t)n);
}

static void watch_stats(const void *state, json_t *stats)
{
	const struct fault_watch *w = state;
	struct iommu_fault_counts n = iommu_faults_count(w->faults);
	json_t *nics = json_object_get(stats, "nics");

	for (size_t i = 0; i < w->n; i++)
		json_object_set_new(json_array_get(nics, w->nic[i]), "dma_faults",
				    watch_number(w, iommu_faults_of(w->faults, i)));
	json_object_set_new(stats, "dma_faults",
			    json_pack("{s:o, s:o, s:o}", "device_not_told",
				      watch_number(w, n.untold), "suppressed_by_kernel",
				      watch_number(w, n.suppressed), "log_overruns",
				      watch_number(w, n.overruns)));
}

static void watch_close(void *state)
{
	struct fault_watch *w = state;

	iommu_faults_ready(w->faults); /* what it did last */
	iommu_faults_close(w->faults);
	free(w);
}

static const struct guest_watch fault_watch = {
	.name = "dma-faults",
	.open = watch_open,
	.fd = watch_fd,
	.ready = watch_ready,
	.stats = watch_stats,
	.close = watch_close,
};
GUEST_WATCH(&fault_watch);
