/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How near two CPUs are now. The host below a virtual machine may move its vCPUs between two
 * measurements; what a cache line costs from one to the other tells. Called by vgen.c.
 */
#ifndef BENCH_PEERS_PROBE_H
#define BENCH_PEERS_PROBE_H

/*
 * probe_round_trip - a cache line from CPU a to CPU b and back, the shortest of several rounds, so
 * that other work on either CPU does not count. Gives nanoseconds, or a negative errno (a thread
 * could not be had, or one of the CPUs is none of ours). Takes about 50 ms, at most 1 s.
 */
double probe_round_trip(int a, int b);

/* The class of that time: "near" (at most 70 ns), "mid" (at most 200), "far", "unknown" (< 0). */
const char *probe_class(double ns);

#endif
