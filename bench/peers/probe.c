/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See probe.h. Two threads, each pinned, hand a number to and fro over two cache lines. A round is
 * short against a scheduler's slice, so among many some have both threads running all the time.
 */
#include "probe.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#define N_ROUNDS   60
#define N_TRIPS    200
#define DEADLINE_S 1

struct ball {
	_Alignas(128) _Atomic uint32_t there; /* thread a writes */
	_Alignas(128) _Atomic uint32_t back;  /* thread b writes */
	_Alignas(128) atomic_int stop, up;
	int cpu_b;
};

static int pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* acquire/release: the line moves; there is nothing else to order. */
static void *throw_back(void *opaque)
{
	struct ball *ball = opaque;
	uint32_t last = 0;

	atomic_store(&ball->up, pin(ball->cpu_b) ? -1 : 1);
	while (!atomic_load_explicit(&ball->stop, memory_order_relaxed)) {
		uint32_t n = atomic_load_explicit(&ball->there, memory_order_acquire);

		if (n != last)
			atomic_store_explicit(&ball->back, n, memory_order_release);
		last = n;
	}
	return NULL;
}

/* One round in ns a trip, or a huge number when its time was over. */
static double throw_round(struct ball *ball, uint32_t first, double deadline)
{
	double start = now_ns();

	for (uint32_t i = 1; i <= N_TRIPS; i++) {
		uint32_t n = first + i, spins = 0;

		atomic_store_explicit(&ball->there, n, memory_order_release);
		while (atomic_load_explicit(&ball->back, memory_order_acquire) != n)
			if (!(++spins & 0xffff) && now_ns() > deadline)
				return 1e18;
	}
	return (now_ns() - start) / N_TRIPS;
}

static double throw_all(struct ball *ball)
{
	double best = 1e18, deadline = now_ns() + DEADLINE_S * 1e9;

	while (!atomic_load(&ball->up) && now_ns() < deadline)
		sched_yield();
	for (uint32_t r = 0; r < N_ROUNDS && now_ns() < deadline && ball->up > 0; r++) {
		double ns = throw_round(ball, r * N_TRIPS, deadline);

		if (ns < best)
			best = ns;
	}
	return best < 1e18 ? best : -ETIMEDOUT;
}

double probe_round_trip(int a, int b)
{
	struct ball ball = { .cpu_b = b };
	cpu_set_t before;
	pthread_t thread;
	double ns;
	int ret = pthread_getaffinity_np(pthread_self(), sizeof(before), &before);

	if (!ret)
		ret = pin(a);
	if (!ret)
		ret = pthread_create(&thread, NULL, throw_back, &ball);
	if (ret)
		return -ret;
	ns = throw_all(&ball);
	atomic_store(&ball.stop, 1);
	pthread_join(thread, NULL);
	pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
	return ns;
}

const char *probe_class(double ns)
{
	return ns < 0 ? "unknown" : ns <= 70 ? "near" : ns <= 200 ? "mid" : "far";
}
