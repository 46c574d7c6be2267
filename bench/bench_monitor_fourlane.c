/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest under `fourlane run`. Counters come by the control protocol ("stats"); accesses of
 * the console are taken out of the exits: the microguest waits for its command by reading a port,
 * and that is not the lane's cost.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "core/paths.h"
#include "core/rpc.h"

#define STATS_MS    5000
#define STATS_TRIES 10

/* `port` is "a", or "b" of the second NIC. */
static int fourlane_nic(const struct bench_boot *b, const char *port, char *nic, size_t size)
{
	if (!strcmp(b->backend, "wire"))
		return snprintf(nic, size, "%s", b->nic);
	if (!strcmp(b->backend, "switch"))
		return snprintf(nic, size, "%s,backend=switch,switch=%s,port=%s", b->device,
				b->sw->name, port);
	if (!strcmp(b->backend, "tap"))
		return snprintf(nic, size, "%s,backend=tap,ifname=%s", b->device, b->ifname);
	return snprintf(nic, size, "%s,backend=%s", b->device, b->backend);
}

/* NICs, disk and initramfs behind the fixed words. `nic` holds texts. */
static void fourlane_words(const struct bench_boot *b, const char **argv, unsigned int n,
			   char nic[2][128], char *disk, size_t size)
{
	unsigned int n_nics = !strcmp(b->backend, "none") ? 0 : !strcmp(b->backend, "switch") + 1;

	for (unsigned int i = 0; i < n_nics; i++) {
		fourlane_nic(b, i ? "b" : "a", nic[i], 128);
		argv[n++] = "--nic";
		argv[n++] = nic[i];
	}
	if (b->initrd) {
		argv[n++] = "--initrd";
		argv[n++] = b->initrd;
	}
	if (b->disk) {
		snprintf(disk, size, "%s,ro", b->disk);
		argv[n++] = "--disk";
		argv[n++] = disk;
	}
	argv[n] = NULL;
}

static int fourlane_start(struct bench_guest *g, const struct bench_boot *b, char *why, size_t size)
{
	char self[PATH_MAX], nic[2][128], disk[PATH_MAX + 8], words[512], mem[16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	/* a kernel that panics resets: that is the end of it */
	const char *argv[24] = { self, "run",      "--no-reboot", "--name",   g->name, "--mem",
				 mem,  "--kernel", b->kernel,     "--append", words };
	int ret;

	self[n > 0 ? n : 0] = '\0';
	snprintf(mem, sizeof(mem), "%uM", b->mem_mb);
	if (b->initrd)
		snprintf(words, sizeof(words), "%s", b->words);
	else
		snprintf(words, sizeof(words), "dev=%s %s", b->device, b->words);
	fourlane_words(b, argv, 11, nic, disk, sizeof(disk));
	ret = bench_child_start(&g->child, argv, -1, false);
	if (ret < 0)
		snprintf(why, size, "starting a guest: %s", strerror(-ret));
	return ret;
}

static int64_t int_at(json_t *o, const char *key, int64_t missing)
{
	json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer_value(v) : missing;
}

static void fourlane_read(json_t *stats, struct bench_counters *c)
{
	json_t *vcpu = json_array_get(json_object_get(stats, "vcpus"), 0),
	       *monitor = json_object_get(stats, "monitor");
	json_t *nics = json_object_get(stats, "nics");
	int64_t serial = int_at(json_object_get(stats, "regions"), "serial", 0);
	int64_t user = int_at(json_object_get(vcpu, "user_exits"), "total", -1),
		all = int_at(json_object_get(vcpu, "kvm"), "exits", -1);
	int64_t cpu = int_at(monitor, "cpu_ns", -1), guest = int_at(monitor, "guest_ns", -1);

	*c = (struct bench_counters){ .has_exits = user >= 0,
				      .has_all_exits = all >= 0,
				      .has_cpu = cpu >= 0 && guest >= 0 };
	c->user_exits = user - serial;
	c->exits = all - serial;
	c->cpu_ns = c->has_cpu ? (uint64_t)(cpu - guest) : 0;
	c->guest_ns = guest > 0 ? (uint64_t)guest : 0;
	c->nic = json_incref(json_object_get(json_array_get(nics, 0), "counters"));
	c->nic2 = json_incref(json_object_get(json_array_get(nics, 1), "counters"));
}

/*
 * The monitor's exits and its console accesses are not read at one instant, and the guest looks at
 * its console all the time: two readings whose difference agrees are true.
 */
static int fourlane_counters(struct bench_guest *g, struct bench_counters *c)
{
	struct bench_counters now = { 0 };
	int64_t before = 0;
	json_t *stats;

	*c = (struct bench_counters){ 0 };
	for (int i = 0; i < STATS_TRIES; i++) {
		int ret = rpc_call(g->name, "stats", NULL, STATS_MS, &stats);

		if (ret < 0) {
			bench_counters_free(c);
			return ret;
		}
		fourlane_read(stats, &now);
		json_decref(stats);
		bench_counters_free(c);
		*c = now;
		if (i > 0 && now.user_exits == before)
			break;
		before = now.user_exits;
	}
	return 0;
}

void bench_counters_free(struct bench_counters *c)
{
	json_decref(c->nic);
	json_decref(c->nic2);
	c->nic = c->nic2 = NULL;
}

static void fourlane_release(struct bench_guest *g)
{
}

const struct bench_monitor bench_monitor_fourlane = {
	.name = "fourlane-vmm",
	.start = fourlane_start,
	.counters = fourlane_counters,
	.release = fourlane_release,
};
