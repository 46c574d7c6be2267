/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where and with what a table was taken: the "environment" of the result, from host_report() and
 * what the comparison knows of itself. Also the TSC's frequency, which the microguest is told.
 */
#include "bench/bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "core/host.h"
#include "core/version.h"

#define TSC_TRIES 3
#define TSC_MS    20

/* Clock and counter at one instant: the reading with the shortest way there and back of some. */
static void env_instant(uint64_t *ns, uint64_t *tsc)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 10; i++) {
		uint64_t before = __rdtsc(), at = bench_now_ns(), after = __rdtsc();

		if (after - before < best) {
			best = after - before;
			*ns = at;
			*tsc = before + best / 2;
		}
	}
}

uint64_t bench_env_tsc_hz(void)
{
	double hz[TSC_TRIES];

	for (int i = 0; i < TSC_TRIES; i++) {
		uint64_t ns0 = 0, tsc0 = 0, ns1 = 0, tsc1 = 0;
		struct timespec t = { .tv_nsec = TSC_MS * 1000000 };

		env_instant(&ns0, &tsc0);
		nanosleep(&t, NULL);
		env_instant(&ns1, &tsc1);
		hz[i] = (double)(tsc1 - tsc0) * 1e9 / (double)(ns1 - ns0);
	}
	return (uint64_t)bench_spread_of(hz, TSC_TRIES).median;
}

/* --- pieces -------------------------------------------------------------- */
/* The keys of `from` that are there, null for those that are not. */
static json_t *env_pick(const json_t *from, const char *const *keys)
{
	json_t *to = json_object();

	for (; *keys; keys++) {
		json_t *v = json_object_get(from, *keys);

		if (v)
			json_object_set(to, *keys, v);
		else
			json_object_set_new(to, *keys, json_null());
	}
	return to;
}

static json_t *env_nics(const json_t *host)
{
	json_t *list = json_array(), *nic;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(host, "nics"), "list"), i, nic)
		json_array_append_new(list,
				      env_pick(nic, (const char *const[]){ "netdev", "id", "device",
									   "driver", NULL }));
	return list;
}

static json_t *env_topology(const struct bench *b)
{
	return json_pack(
		"{s:I, s:[s,s,s,s]}", "cpus", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "threads",
		b->o.kind == BENCH_LINUX
			? "vCPU of the guest, one: drivers with interrupts, pktgen's thread"
			: "vCPU of the guest: polls all the time",
		"I/O thread of the monitor: polls while there is work, then sleeps "
		"(emulated and paravirtual lanes)",
		"source or reflector of the comparison (rx, pingpong at a tap or wire): "
		"yields, then sleeps",
		"worker of fourlane-switch (back-end switch, lane vmdq): polls, yields when "
		"it finds nothing, sleeps when it goes on finding nothing");
}

static json_t *env_parameters(const struct bench *b)
{
	json_t *sizes = json_array();

	bool micro = b->o.kind == BENCH_MICRO;

	for (unsigned int i = 0; i < b->o.n_sizes; i++)
		json_array_append_new(sizes, json_integer(b->o.sizes[i]));
	return json_pack("{s:i, s:i, s:i, s:o, s:o, s:o}", "runs", (int)b->o.runs, "window_ms",
			 (int)b->o.window_ms, "warm_up_ms", (int)b->o.warm_ms, "frame_bytes", sizes,
			 "frames_per_doorbell", micro ? json_integer(32) : json_null(), "tsc_hz",
			 micro ? json_integer((json_int_t)b->tsc_hz) : json_null());
}

static const char *const notes_of_all[] = {
	"frame_bytes and gbit_s count the 4 bytes of FCS, not preamble and gap; software "
	"lanes carry no FCS.",
	"Rates are taken inside the guest, over its measured window; exits, CPU time and "
	"loss over the whole run with warm-up and drain.",
	"Exits are counted without accesses of the console (region \"serial\"), by which "
	"the guest is told to go: it is not the lane.",
	"cpu_ns_per_packet is the monitor's CPU time, kernel included, without guest time, "
	"which the kernel counts in ticks: null where it tells none; "
	"threads of the traffic's other end and of fourlane-switch are not in it.",
	"A source goes at the pace of the interface: what it refuses is sent again, and is "
	"not loss. latency_us is a round trip, with the reflector's share.",
	NULL
};
static const char *const notes_of_micro[] = {
	"Of 82540EM and virtio-net only transmit, receive and their doorbells are used: no "
	"offloads, no interrupts, one queue.",
	NULL
};
static const char *const notes_of_linux[] = {
	"The guest has one vCPU and Linux's drivers as they come: interrupts, offloads, one queue "
	"of the software NICs. All rows of a lane and back-end share a boot.",
	"Transmit and NIC to NIC: pktgen, a new buffer for each frame. Receive: the guest's stack "
	"drops what comes. Rates are the driver's counters.",
	"TCP: iperf3, one connection, MTU 1500; gbit_s is what the receiver got of the data, "
	"a packet (exits, CPU time) what the guest's driver counts, both ways; lost is what was "
	"sent again.",
	"Ping-pong: ping with the host's stack (switch: the guest's own) as the reflector; both "
	"ends take interrupts and wake up.",
	NULL
};

static void env_add_notes(json_t *list, const char *const *notes)
{
	for (; *notes; notes++)
		json_array_append_new(list, json_string(*notes));
}

static json_t *env_notes(const struct bench *b)
{
	json_t *list = json_array();

	env_add_notes(list, notes_of_all);
	env_add_notes(list, b->o.kind == BENCH_MICRO ? notes_of_micro : notes_of_linux);
	if (b->lab)
		json_array_append_new(
			list,
			json_string("Taken in the software host: CPU, NIC and guests are emulated "
				    "by the same threads. Exits mean "
				    "something; the lanes are not ranked by rate. A frame that a "
				    "busy port of its wire "
				    "cannot take is dropped by the model and counted nowhere: it "
				    "shows as loss on the wire, or unaccounted, of direct, vf and "
				    "vmdq."));
	return list;
}

static json_t *env_versions(const struct bench *b)
{
	json_t *v = json_pack("{s:s, s:s}", "fourlane", fourlane_version, "revision",
			      fourlane_revision);

	json_object_set_new(v, "qemu",
			    b->qemu.version[0] ? json_string(b->qemu.version) : json_null());
	return v;
}

json_t *bench_env_json(const struct bench *b)
{
	json_t *env = env_pick(b->host, (const char *const[]){ "kernel", "cpu", NULL }),
	       *kvm = json_object_get(b->host, "kvm");
	json_t *iommu = json_object_get(b->host, "iommu");
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	json_object_set_new(env, "where", json_string(b->lab ? "lab" : "host"));
	json_object_set_new(env, "taken", json_string(when));
	json_object_set_new(env, "kvm",
			    env_pick(kvm, (const char *const[]){ "kind", "coalesced_mmio", NULL }));
	json_object_set_new(env, "iommu",
			    env_pick(iommu, (const char *const[]){ "active", "kind",
								   "interrupt_remapping", NULL }));
	json_object_set_new(env, "nics", env_nics(b->host));
	json_object_set_new(env, "versions", env_versions(b));
	json_object_set_new(env, "topology", env_topology(b));
	json_object_set_new(env, "parameters", env_parameters(b));
	json_object_set_new(env, "notes", env_notes(b));
	return env;
}
