/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker: goes round its sources while they bring frames; when nothing comes it naps a little
 * longer each time, then asks every ring for a kick, looks once more, and sleeps. Kicks wake it by
 * an edge-triggered epoll, so an eventfd that a guest shares with us is never read: nothing that
 * the guest does to it can make us wait.
 *
 * Between two rounds is a quiescent state (rte_rcu_qsbr); a sleeper is offline.
 */
#include <errno.h>
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "vmdq/vmdq.h"
#include "vswitch/dp_priv.h"

#define SPIN_ROUNDS 50     /* empty rounds before the first nap */
#define NAP_MIN_NS  2000   /* the first nap; each is longer than the one before by a half */
#define NAP_MAX_NS  100000 /* past this the worker sleeps for good, if its sources can wake it */
#define STUCK_MS    100    /* an interrupt that takes that long is ended */
#define POLL_NS     200000 /* sleep with a source that cannot */

/* --- one round --- */
static unsigned int serve(struct dp_worker *w, const struct dp_source *s)
{
	unsigned int n;

	if (s->kind == DP_SOURCE_RING) {
		n = dp_ring_take(s->ring, &w->burst);
		if (!n)
			return 0;
		dp_forward(w, s->port);
		/* a ring that broke gets nothing back */
		if (!atomic_load_explicit(&s->ring->broken, memory_order_relaxed))
			dp_ring_done(s->ring, n, w);
		return n;
	}
	n = dp_eth_take(w, s);
	if (!n)
		return 0;
	if (s->kind == DP_SOURCE_POOL)
		dp_forward_pool(w, s->port);
	else
		dp_forward(w, s->port);
	for (unsigned int i = 0; i < n; i++)
		rte_pktmbuf_free(w->burst.frame[i].m); /* NULL: it was moved on */
	return n;
}

static unsigned int round_once(struct dp_worker *w)
{
	const struct dp_sources *list = atomic_load_explicit(&w->sources, memory_order_acquire);
	unsigned int n = 0;

	for (unsigned int i = 0; list && i < list->n; i++)
		n += serve(w, &list->s[i]);
	w->rounds++;
	if (n) {
		w->busy_rounds++;
		w->frames += n;
	}
	return n;
}

/* --- sleep --- */
static void kicks(struct dp_worker *w, bool on)
{
	const struct dp_sources *list = atomic_load_explicit(&w->sources, memory_order_acquire);

	for (unsigned int i = 0; list && i < list->n; i++)
		if (list->s[i].kind == DP_SOURCE_RING)
			dp_ring_notify(list->s[i].ring, on);
}

static bool work_waits(struct dp_worker *w)
{
	const struct dp_sources *list = atomic_load_explicit(&w->sources, memory_order_acquire);

	for (unsigned int i = 0; list && i < list->n; i++)
		if (list->s[i].kind == DP_SOURCE_RING && dp_ring_has_work(list->s[i].ring))
			return true;
	return false;
}

static void doze(struct dp_worker *w)
{
	const struct dp_sources *list = atomic_load_explicit(&w->sources, memory_order_acquire);
	const struct timespec poll_time = { .tv_nsec = POLL_NS };
	struct epoll_event ev[8];
	bool polled = list && list->polled;
	int n;

	if (!polled)
		kicks(w, true);
	if (!polled && work_waits(w)) {
		kicks(w, false);
		return;
	}
	w->sleeps++;
	rte_rcu_qsbr_thread_offline(w->dp->qsbr, w->idx);
	atomic_store(&w->asleep, true);
	n = epoll_pwait2(w->epoll, ev, 8, polled ? &poll_time : NULL, NULL);
	atomic_store(&w->asleep, false);
	rte_rcu_qsbr_thread_online(w->dp->qsbr, w->idx);
	for (int i = 0; i < n; i++)
		if (ev[i].data.fd == w->wake) {
			uint64_t was;

			(void)!read(w->wake, &was, sizeof(was));
		}
	if (!polled)
		kicks(w, false);
}

static void nap(struct dp_worker *w, long ns)
{
	const struct timespec t = { .tv_nsec = ns };

	rte_rcu_qsbr_thread_offline(w->dp->qsbr, w->idx);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	rte_rcu_qsbr_thread_online(w->dp->qsbr, w->idx);
}

static void stand_still(struct dp_worker *w)
{
	struct dp *dp = w->dp;

	atomic_fetch_add(&dp->n_paused, 1);
	rte_rcu_qsbr_thread_offline(dp->qsbr, w->idx);
	while (atomic_load(&dp->pause))
		sched_yield();
	rte_rcu_qsbr_thread_online(dp->qsbr, w->idx);
	atomic_fetch_sub(&dp->n_paused, 1);
}

static void tick(struct dp_worker *w)
{
	uint64_t now = rte_rdtsc();

	if (now < w->next_s_tsc)
		return;
	w->now_s = dp_now_s(w->dp);
	w->next_s_tsc = now + w->dp->tsc_hz / 4;
}

static void work(struct dp_worker *w)
{
	unsigned int empty = 0;
	long ns = NAP_MIN_NS;

	while (!atomic_load_explicit(&w->dp->stop, memory_order_relaxed)) {
		rte_rcu_qsbr_quiescent(w->dp->qsbr, w->idx);
		if (atomic_load_explicit(&w->dp->pause, memory_order_relaxed))
			stand_still(w);
		tick(w);
		if (round_once(w)) {
			empty = 0;
			ns = NAP_MIN_NS;
		} else if (++empty < SPIN_ROUNDS) {
			rte_pause();
		} else if (ns < NAP_MAX_NS) {
			nap(w, ns);
			ns += ns / 2;
		} else {
			doze(w);
			ns = NAP_MIN_NS;
			empty = 0;
		}
	}
}

static void *worker_main(void *opaque)
{
	struct dp_worker *w = opaque;
	sigset_t unstick;
	char name[16];

	sigemptyset(&unstick);
	sigaddset(&unstick, SIGURG);
	pthread_sigmask(SIG_UNBLOCK, &unstick, NULL);
	snprintf(name, sizeof(name), "worker-%u", w->idx);
	pthread_setname_np(pthread_self(), name);
	prctl(PR_SET_TIMERSLACK, 1);
	atomic_store(&w->tid, gettid());
	rte_thread_register(); /* for the mbufs' per-thread cache; without it they come slower */
	rte_rcu_qsbr_thread_online(w->dp->qsbr, w->idx);
	work(w);
	rte_rcu_qsbr_thread_offline(w->dp->qsbr, w->idx);
	rte_thread_unregister();
	return NULL;
}

/* --- life --- */
static int worker_pin(struct dp_worker *w)
{
	int cpu = w->dp->conf.cpu[w->idx];
	cpu_set_t set;
	int ret;

	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ret = pthread_setaffinity_np(w->thread, sizeof(set), &set);
	return ret ? err_ret(-ret, "pinning worker %u to CPU %d: %s; give other --cpus", w->idx,
			     cpu, strerror(ret))
		   : 0;
}

int dp_worker_start(struct dp *dp, unsigned int idx)
{
	struct dp_worker *w = rte_zmalloc(NULL, sizeof(*w), RTE_CACHE_LINE_SIZE);
	struct epoll_event ev = { .events = EPOLLIN };
	int ret;

	if (!w)
		return -ENOMEM;
	dp->worker[idx] = w;
	w->dp = dp;
	w->idx = idx;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->wake = ev.data.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->count = rte_zmalloc(NULL, DP_MAX_PORTS * sizeof(*w->count), RTE_CACHE_LINE_SIZE);
	if (w->epoll < 0 || w->wake < 0 || !w->count ||
	    epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &ev) < 0 ||
	    rte_rcu_qsbr_thread_register(dp->qsbr, idx))
		return err_ret(-ENOMEM,
			       "starting worker %u: no memory or descriptors; raise "
			       "'ulimit -n'",
			       idx);
	ret = pthread_create(&w->thread, NULL, worker_main, w);
	if (ret)
		return err_ret(-ret, "starting worker %u: %s; raise 'ulimit -u'", idx,
			       strerror(ret));
	w->started = true;
	return worker_pin(w);
}

void dp_worker_wake(struct dp_worker *w)
{
	const uint64_t one = 1;

	(void)!write(w->wake, &one, sizeof(one));
}

void dp_worker_stop(struct dp_worker *w)
{
	if (!w)
		return;
	if (w->started) {
		dp_worker_wake(w);
		pthread_join(w->thread, NULL);
	}
	rte_rcu_qsbr_thread_unregister(w->dp->qsbr, w->idx);
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->wake >= 0)
		close(w->wake);
	free(atomic_load(&w->sources));
	rte_free(w->count);
	rte_free(w);
}

/* --- the control thread's side --- */
void dp_watch(struct dp *dp)
{
	uint64_t now = rte_rdtsc(), limit = dp->tsc_hz / 1000 * STUCK_MS;

	for (unsigned int i = 0; i < dp->conf.n_workers; i++) {
		struct dp_worker *w = dp->worker[i];
		uint64_t calls = w ? atomic_load_explicit(&w->n_calls, memory_order_relaxed) : 0;

		if (!(calls & 1))
			continue;
		if (calls != w->watched_calls) {
			w->watched_calls = calls;
			w->watched_tsc = now;
		} else if (now - w->watched_tsc > limit) {
			pthread_kill(w->thread, SIGURG);
		}
	}
}

void dp_sync(struct dp *dp)
{
	uint64_t token = rte_rcu_qsbr_start(dp->qsbr);
	const struct timespec t = { .tv_nsec = 5000 };

	/* without spinning: a worker may be waiting for the CPU that we are on */
	while (!rte_rcu_qsbr_check(dp->qsbr, token, false)) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
		dp_watch(dp);
	}
}

void dp_pause(struct dp *dp)
{
	const struct timespec t = { .tv_nsec = 5000 };
	unsigned int want = 0;

	for (unsigned int i = 0; i < dp->conf.n_workers; i++)
		want += dp->worker[i] && dp->worker[i]->started;
	atomic_store(&dp->pause, true);
	/* a sleeper has to say so as well, or it might begin a round while we look */
	for (unsigned int i = 0; i < dp->conf.n_workers; i++)
		if (dp->worker[i])
			dp_worker_wake(dp->worker[i]);
	while (atomic_load(&dp->n_paused) < want) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
		dp_watch(dp);
	}
}

void dp_go_on(struct dp *dp)
{
	atomic_store(&dp->pause, false);
	while (atomic_load(&dp->n_paused)) /* or the next pause would count them twice */
		sched_yield();
}

static struct dp_worker *idlest(struct dp *dp)
{
	struct dp_worker *best = dp->worker[0];

	for (unsigned int i = 1; i < dp->conf.n_workers; i++) {
		const struct dp_sources *a = atomic_load(&best->sources),
					*b = atomic_load(&dp->worker[i]->sources);

		if ((b ? b->n : 0) < (a ? a->n : 0))
			best = dp->worker[i];
	}
	return best;
}

static const struct vmdq_nic *nic_of(const struct dp_source *s)
{
	const struct vmdq_pool *pool =
		s->kind == DP_SOURCE_POOL ? atomic_load(&s->port->vmdq) : NULL;

	return pool ? vmdq_pool_nic(pool) : NULL;
}

/* The worker that polls pools of this source's NIC already, if these have to stay together. */
static struct dp_worker *same_nic(struct dp *dp, const struct dp_source *s)
{
	const struct vmdq_nic *nic = nic_of(s);

	if (!nic || !vmdq_shares_worker(nic))
		return NULL;
	for (unsigned int i = 0; i < dp->conf.n_workers; i++) {
		const struct dp_sources *l = atomic_load(&dp->worker[i]->sources);

		for (unsigned int k = 0; l && k < l->n; k++)
			if (nic_of(&l->s[k]) == nic)
				return dp->worker[i];
	}
	return NULL;
}

/* Puts a new list in the place of the old one, which nobody looks at when this returns. */
static void replace(struct dp_worker *w, struct dp_sources *new)
{
	struct dp_sources *old = atomic_exchange(&w->sources, new);

	new->polled = false;
	for (unsigned int i = 0; i < new->n; i++)
		new->polled |= new->s[i].kind != DP_SOURCE_RING || new->s[i].ring->c.kick_fd < 0;
	dp_worker_wake(w);
	dp_sync(w->dp);
	free(old);
}

int dp_source_add(struct dp *dp, const struct dp_source *s)
{
	struct dp_worker *together = same_nic(dp, s), *w = together ? together : idlest(dp);
	const struct dp_sources *old = atomic_load(&w->sources);
	unsigned int n = old ? old->n : 0;
	struct dp_sources *new = calloc(1, sizeof(*new) + (n + 1) * sizeof(new->s[0]));

	if (!new)
		return -ENOMEM;
	if (s->ring && s->ring->c.kick_fd >= 0) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.fd = -1 };

		if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, s->ring->c.kick_fd, &ev) < 0) {
			free(new);
			return -errno;
		}
	}
	if (n)
		memcpy(new->s, old->s, n * sizeof(new->s[0]));
	new->s[n] = *s;
	new->n = n + 1;
	replace(w, new);
	return 0;
}

static bool source_is(const struct dp_source *s, const struct dp_port *p, const struct dp_ring *r)
{
	return s->port == p && (!r || s->ring == r);
}

static void remove_from(struct dp_worker *w, const struct dp_port *p, const struct dp_ring *r)
{
	const struct dp_sources *old = atomic_load(&w->sources);
	struct dp_sources *new;
	bool there = false;

	for (unsigned int i = 0; old && i < old->n; i++)
		there |= source_is(&old->s[i], p, r);
	if (!there)
		return;
	new = calloc(1, sizeof(*new) + old->n * sizeof(new->s[0]));
	while (!new) { /* it has to go: what it stands for is about to be unmapped */
		sched_yield();
		new = calloc(1, sizeof(*new) + old->n * sizeof(new->s[0]));
	}
	for (unsigned int i = 0; i < old->n; i++) {
		const struct dp_source *s = &old->s[i];

		if (!source_is(s, p, r))
			new->s[new->n++] = *s;
		else if (s->ring && s->ring->c.kick_fd >= 0)
			epoll_ctl(w->epoll, EPOLL_CTL_DEL, s->ring->c.kick_fd, NULL);
	}
	replace(w, new);
}

void dp_source_remove(struct dp *dp, const struct dp_port *p, const struct dp_ring *r)
{
	for (unsigned int i = 0; i < dp->conf.n_workers; i++)
		if (dp->worker[i])
			remove_from(dp->worker[i], p, r);
}
