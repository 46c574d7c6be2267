/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the control thread asks of the data path: counters, workers, addresses. Counters are each
 * worker's own, plain, and read while the workers stand still between two rounds: some
 * microseconds, so that every frame is counted wholly or not at all.
 */
#include <sched.h>
#include <string.h>

#include "vswitch/dp_priv.h"

const char *const dp_drop_name[DP_N_DROPS] = {
	[DP_DROP_NO_BUFFER] = "no_buffer",
	[DP_DROP_DOWN] = "down",
	[DP_DROP_VLAN] = "vlan",
	[DP_DROP_SOURCE] = "source",
	[DP_DROP_OWN] = "own",
	[DP_DROP_SAME_PORT] = "same_port",
	[DP_DROP_NO_PORT] = "no_port",
	[DP_DROP_FILTERED] = "filtered",
	[DP_DROP_TOO_LONG] = "too_long",
	[DP_DROP_TOO_SHORT] = "too_short",
	[DP_DROP_OFFLOAD] = "offload",
	[DP_DROP_NO_MBUF] = "no_mbuf",
	[DP_DROP_BAD_RING] = "bad_ring",
};

static void add(struct dp_counters *sum, const struct dp_counters *c)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)c;

	for (size_t i = 0; i < sizeof(*c) / sizeof(*to); i++)
		to[i] += from[i];
}

static uint64_t bad_rings(const struct dp_port *p)
{
	uint64_t n = p->bad_rings;

	for (unsigned int i = 0; i < DP_MAX_PAIRS; i++) {
		const struct dp_ring *rx = atomic_load(&p->rx[i]), *tx = atomic_load(&p->tx[i]);

		n += (rx && atomic_load(&rx->broken)) + (tx && atomic_load(&tx->broken));
	}
	return n;
}

void dp_counters(struct dp *dp, struct dp_port *const *p, struct dp_counters *c, unsigned int n,
		 struct dp_counters *gone)
{
	memset(c, 0, n * sizeof(*c));
	dp_pause(dp);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < dp->conf.n_workers; k++)
			add(&c[i], &dp->worker[k]->count[p[i]->idx]);
	dp_go_on(dp);
	for (unsigned int i = 0; i < n; i++)
		c[i].bad_rings = bad_rings(p[i]);
	*gone = dp->gone;
}

unsigned int dp_workers(struct dp *dp, struct dp_worker_info *info)
{
	for (unsigned int i = 0; i < dp->conf.n_workers; i++) {
		const struct dp_worker *w = dp->worker[i];
		const struct dp_sources *s = atomic_load(&w->sources);

		info[i] = (struct dp_worker_info){
			.tid = atomic_load(&w->tid),
			.cpu = dp->conf.cpu[i],
			.rounds = w->rounds,
			.busy_rounds = w->busy_rounds,
			.sleeps = w->sleeps,
			.frames = w->frames,
			.n_queues = s ? s->n : 0,
		};
	}
	return dp->conf.n_workers;
}

unsigned int dp_fdb_read(struct dp *dp, struct dp_fdb_entry *e, unsigned int max)
{
	return dp_fdb_list(dp->fdb, dp, e, max, dp_now_s(dp));
}

void dp_fdb_info(struct dp *dp, struct dp_fdb_info *info)
{
	dp_fdb_count(dp->fdb, dp, info, dp_now_s(dp));
}

void dp_fdb_flush(struct dp *dp, const struct dp_port *p)
{
	dp_fdb_forget(dp->fdb, dp, p, false);
}
