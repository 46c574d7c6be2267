/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data path as the control thread sees it (dp.h): its life, its ports, their rings and queues.
 * Everything that workers use is published by one atomic store and taken back by another, with
 * dp_sync() before it is changed or freed.
 */
#include <errno.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "vmdq/vmdq.h"
#include "vswitch/dp_priv.h"

#define SHUT_S 60 /* for a port whose call eventfd made a worker wait */

/* --- life --- */
uint32_t dp_now_s(const struct dp *dp)
{
	return (uint32_t)((rte_rdtsc() - dp->tsc_start) / dp->tsc_hz);
}

static void unstick(int sig)
{
	/* nothing: what counts is that the system call ends */
}

static int dp_start(struct dp *dp)
{
	const struct sigaction sa = { .sa_handler = unstick };
	size_t size = rte_rcu_qsbr_get_memsize(DP_MAX_WORKERS);
	int ret;

	sigaction(SIGURG, &sa, NULL); /* see dp_watch(); no SA_RESTART */

	dp->mp = rte_mempool_lookup("sw_mbufs");
	dp->qsbr = rte_zmalloc(NULL, size, RTE_CACHE_LINE_SIZE);
	if (!dp->qsbr || rte_rcu_qsbr_init(dp->qsbr, DP_MAX_WORKERS))
		return err_ret(-ENOMEM, "starting the data path: no memory; give more --memory-mb");
	ret = dp_fdb_create(dp->conf.fdb_entries, dp->conf.fdb_age_s, &dp->fdb);
	if (ret < 0)
		return err_ret(ret, "making the address table: %s; give fewer fdb entries",
			       strerror(-ret));
	for (unsigned int i = 0; i < dp->conf.n_workers && ret == 0; i++)
		ret = dp_worker_start(dp, i);
	return ret;
}

int dp_create(const struct dp_conf *conf, struct dp **out)
{
	struct dp *dp = calloc(1, sizeof(*dp));
	int ret;

	if (!dp)
		return -ENOMEM;
	dp->conf = *conf;
	dp->tsc_hz = rte_get_tsc_hz();
	dp->tsc_start = rte_rdtsc();
	ret = dp_start(dp);
	if (ret < 0)
		dp_destroy(dp);
	else
		*out = dp;
	return ret;
}

void dp_destroy(struct dp *dp)
{
	if (!dp)
		return;
	atomic_store(&dp->stop, true);
	for (unsigned int i = 0; i < DP_MAX_WORKERS; i++)
		dp_worker_stop(dp->worker[i]);
	dp_fdb_destroy(dp->fdb);
	rte_free(dp->qsbr);
	free(dp);
}

/* --- ports --- */
/* The VLANs in which a port's own addresses are known. */
static int port_add_statics(struct dp_port *p)
{
	int ret = 0;

	if (p->conf.kind != DP_GUEST)
		return 0;
	for (unsigned int i = 0; i < p->conf.n_macs && ret == 0; i++) {
		if (!p->conf.trunk)
			ret = dp_fdb_add_static(p->dp->fdb, p->conf.mac[i], p->conf.vlan, p);
		for (uint16_t v = 1; p->conf.trunk && v < DP_N_VIDS - 1 && ret == 0; v++)
			if (p->conf.trunk_vlan[v / 64] >> v % 64 & 1)
				ret = dp_fdb_add_static(p->dp->fdb, p->conf.mac[i], v, p);
	}
	return ret;
}

int dp_port_add(struct dp *dp, const struct dp_port_conf *conf, struct dp_port **out)
{
	struct dp_port *p;
	unsigned int idx = 0;
	int ret;

	for (unsigned int i = 0; i < DP_MAX_PORTS; i++) {
		const struct dp_port *o = atomic_load(&dp->port[i]);

		if (o && !strcmp(o->conf.name, conf->name))
			return -EEXIST;
	}
	while (idx < DP_MAX_PORTS && atomic_load(&dp->port[idx]))
		idx++;
	if (idx == DP_MAX_PORTS)
		return -ENOSPC;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->dp = dp;
	p->conf = *conf;
	p->idx = (uint16_t)idx;
	for (unsigned int i = 0; i < DP_MAX_WORKERS; i++)
		rte_spinlock_init(&p->eth_lock[i]);
	ret = port_add_statics(p);
	if (ret < 0) {
		dp_fdb_forget(dp->fdb, dp, p, true);
		free(p);
		return ret;
	}
	atomic_store(&dp->port[idx], p);
	if (idx >= atomic_load(&dp->n_ports))
		atomic_store(&dp->n_ports, idx + 1);
	*out = p;
	return 0;
}

static void counters_add(struct dp_counters *sum, const struct dp_counters *c)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)c;

	for (size_t i = 0; i < sizeof(*c) / sizeof(*to); i++)
		to[i] += from[i];
}

/* Its counters move to those of the ports that are gone; the number can be another's then. */
static void port_forget_counters(struct dp_port *p)
{
	struct dp *dp = p->dp;

	dp_pause(dp);
	for (unsigned int i = 0; i < dp->conf.n_workers; i++) {
		struct dp_counters *c = &dp->worker[i]->count[p->idx];

		counters_add(&dp->gone, c);
		memset(c, 0, sizeof(*c));
	}
	dp_go_on(dp);
}

void dp_port_remove(struct dp_port *p)
{
	struct dp *dp;

	if (!p)
		return;
	dp = p->dp;
	for (unsigned int i = 0; i < VHOST_MAX_RINGS; i++)
		dp_ring_stop(p, i);
	dp_eth_stop(p);
	dp_pool_stop(p);
	atomic_store(&dp->port[p->idx], NULL);
	dp_sync(dp); /* nobody learns on it any more */
	/* its entries: with the pointer gone nobody counts them off */
	dp_fdb_forget(dp->fdb, dp, p, true);
	port_forget_counters(p);
	free(atomic_load(&p->filter));
	free(p);
}

const struct dp_port_conf *dp_port_conf(const struct dp_port *p)
{
	return &p->conf;
}

/* --- rings --- */
static struct dp_ring *_Atomic *ring_slot(struct dp_port *p, unsigned int ring)
{
	return ring % 2 ? &p->tx[ring / 2] : &p->rx[ring / 2];
}

static void port_count_rx(struct dp_port *p)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < DP_MAX_PAIRS; i++) {
		const struct dp_ring *r = atomic_load(&p->rx[i]);

		if (r && atomic_load(&r->enabled))
			n = i + 1;
	}
	atomic_store(&p->n_rx, n);
}

/* A front-end whose eventfd blocks does it again if it may: not for a minute. */
static bool port_is_shut(const struct dp_port *p)
{
	uint64_t at = atomic_load(&p->blocked_tsc);

	return at && rte_rdtsc() - at < SHUT_S * p->dp->tsc_hz;
}

int dp_ring_start(struct dp_port *p, unsigned int ring, const struct vhost_ring_conf *conf)
{
	struct dp_source s = { .kind = DP_SOURCE_RING, .port = p };
	struct dp_ring *r;
	int ret;

	if (ring >= VHOST_MAX_RINGS || atomic_load(ring_slot(p, ring)))
		return -EINVAL;
	if (port_is_shut(p))
		return -EACCES;
	r = rte_zmalloc(NULL, sizeof(*r), RTE_CACHE_LINE_SIZE);
	if (!r)
		return -ENOMEM;
	ret = dp_ring_init(r, p, ring, conf);
	if (ret < 0) {
		rte_free(r);
		return ret;
	}
	atomic_store(ring_slot(p, ring), r);
	if (!(ring % 2)) {
		port_count_rx(p);
		return 0;
	}
	s.ring = r;
	ret = dp_source_add(p->dp, &s);
	if (ret < 0) {
		atomic_store(ring_slot(p, ring), NULL);
		rte_free(r);
	}
	return ret;
}

uint16_t dp_ring_stop(struct dp_port *p, unsigned int ring)
{
	struct dp_ring *r =
		ring < VHOST_MAX_RINGS ? atomic_exchange(ring_slot(p, ring), NULL) : NULL;
	uint16_t next;

	if (!r)
		return 0;
	if (ring % 2)
		dp_source_remove(p->dp, p, r);
	else
		port_count_rx(p);
	dp_sync(p->dp);
	next = r->next;
	p->bad_rings += atomic_load(&r->broken);
	rte_free(r);
	return next;
}

void dp_ring_enable(struct dp_port *p, unsigned int ring, bool on)
{
	struct dp_ring *r = ring < VHOST_MAX_RINGS ? atomic_load(ring_slot(p, ring)) : NULL;

	if (!r)
		return;
	atomic_store(&r->enabled, on);
	port_count_rx(p);
	/* what was sent while it was off has had its kick */
	for (unsigned int i = 0; on && i < p->dp->conf.n_workers; i++)
		dp_worker_wake(p->dp->worker[i]);
	if (!on)
		dp_sync(p->dp);
}

void dp_ring_call(struct dp_port *p, unsigned int ring, int call_fd)
{
	struct dp_ring *r = ring < VHOST_MAX_RINGS ? atomic_load(ring_slot(p, ring)) : NULL;

	if (!r)
		return;
	atomic_store(&r->call_fd, call_fd);
	dp_sync(p->dp);
}

void dp_set_filter(struct dp_port *p, const struct vhost_user_filter *f)
{
	struct dp_filter *new = f ? malloc(sizeof(*new)) : NULL, *old;

	if (f && !new)
		return; /* more than it wants comes then: it looks for itself */
	if (new)
		new->f = *f;
	old = atomic_exchange(&p->filter, new);
	dp_sync(p->dp);
	free(old);
}

/* --- ethdevs and pools --- */
int dp_eth_start(struct dp_port *p, uint16_t ethdev, unsigned int n_queues)
{
	struct dp_source s = { .kind = DP_SOURCE_ETH, .port = p };
	int ret = 0;

	if (!n_queues || n_queues > DP_MAX_WORKERS)
		return -EINVAL;
	p->ethdev = ethdev;
	atomic_store(&p->n_queues, n_queues);
	for (; s.queue < n_queues && ret == 0; s.queue++)
		ret = dp_source_add(p->dp, &s);
	if (ret < 0)
		dp_eth_stop(p);
	return ret;
}

void dp_eth_stop(struct dp_port *p)
{
	if (p->conf.kind != DP_ETH)
		return;
	atomic_store(&p->n_queues, 0);
	dp_source_remove(p->dp, p, NULL);
	dp_sync(p->dp);
}

int dp_pool_start(struct dp_port *p, struct vmdq_pool *pool, struct dp_port *guest)
{
	struct dp_source s = { .kind = DP_SOURCE_POOL, .port = p };
	struct dp_port *none = NULL;
	int ret;

	if (!atomic_compare_exchange_strong(&guest->pool, &none, p))
		return -EBUSY;
	p->guest = guest;
	atomic_store(&p->vmdq, pool);
	atomic_store(&p->n_queues, 1);
	ret = dp_source_add(p->dp, &s);
	if (ret < 0)
		dp_pool_stop(p);
	return ret;
}

void dp_pool_stop(struct dp_port *p)
{
	if (!p->guest)
		return;
	atomic_store(&p->guest->pool, NULL);
	atomic_store(&p->n_queues, 0);
	dp_source_remove(p->dp, p, NULL);
	dp_sync(p->dp);
	atomic_store(&p->vmdq, NULL);
	p->guest = NULL;
}
