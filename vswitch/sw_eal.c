/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DPDK's start. It gets one lcore, our control thread, which it does not pin; workers are threads
 * of the data path that register themselves. No files (--in-memory, --no-shconf), so any number of
 * switches run side by side, also for a plain user; no device is probed until a port names it.
 * DPDK 22.11, Getting Started Guide, "EAL parameters".
 */
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/paths.h"
#include "vswitch/sw_priv.h"

#define HUGE_MB    2
#define MBUF_BYTES (2048 + RTE_PKTMBUF_HEADROOM)
#define MBUF_CACHE 256
#define MBUF_COST \
	4096 /* bytes of memory for an mbuf: its share of the pool, and room to place it */
#define EAL_OTHER_MB 24 /* what DPDK and the drivers take besides mbufs, at least */

/* What DPDK said on this thread while somebody listens for the reason of a failure. */
static _Thread_local struct {
	bool listening;
	char line[192];
} heard;

void sw_dpdk_listen(void)
{
	heard.listening = true;
	heard.line[0] = '\0';
}

const char *sw_dpdk_heard(int ret)
{
	heard.listening = false;
	if (!heard.line[0])
		snprintf(heard.line, sizeof(heard.line), "%s", strerror(-ret));
	return heard.line;
}

/* DPDK's log, a line at a time, becomes messages of ours. */
static ssize_t eal_log(void *cookie, const char *text, size_t size)
{
	size_t n = size;

	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	/* igb's driver turns interrupts off that are off, at each start and stop: no fault */
	if (!n || memmem(text, n, "Error disabling MSI-X", 21))
		return (ssize_t)size;
	if (heard.listening && !heard.line[0])
		snprintf(heard.line, sizeof(heard.line), "%.*s", (int)n, text);
	else if (!heard.listening)
		err_say("DPDK: %.*s", (int)n, text);
	return (ssize_t)size;
}

/* "0@(0,1)": lcore 0, free to run wherever this process may. */
static int eal_lcores(char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, "--lcores=0@");
	char before = '(';
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	for (int i = 0, to; i < CPU_SETSIZE && n + 16 < size; i = to + 1) {
		to = i;
		if (!CPU_ISSET(i, &set))
			continue;
		while (to + 1 < CPU_SETSIZE && CPU_ISSET(to + 1, &set))
			to++;
		n += (size_t)snprintf(buf + n, size - n, "%c%d-%d", before, i, to);
		before = ',';
	}
	snprintf(buf + n, size - n, ")");
	return 0;
}

static unsigned long eal_free_huge_mb(void)
{
	char line[32];

	if (paths_read_line(line, sizeof(line),
			    "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") <= 0)
		return 0;
	return strtoul(line, NULL, 10) * HUGE_MB;
}

static int eal_choose_huge(const struct sw_conf *conf, bool *huge)
{
	unsigned long free_mb = eal_free_huge_mb();

	*huge = conf->huge != SW_HUGE_OFF && free_mb >= conf->memory_mb + EAL_OTHER_MB;
	if (conf->huge == SW_HUGE_ON && !*huge)
		return err_ret(-EOPNOTSUPP,
			       "starting DPDK: %lu MB of huge pages are free, %u are needed; "
			       "'echo %u >/proc/sys/vm/nr_hugepages', or say --huge auto",
			       free_mb, conf->memory_mb + EAL_OTHER_MB,
			       (conf->memory_mb + EAL_OTHER_MB) / HUGE_MB);
	return 0;
}

int sw_eal_start(const struct sw_conf *conf, bool *huge, struct rte_mempool **mempool)
{
	static const cookie_io_functions_t log_io = { .write = eal_log };
	char lcores[1024], memory[16];
	/* an allow list of one address where no device of ours is: nothing is probed now, while a
	 * device that is plugged in by name is let through */
	char *argv[] = { "fourlane-switch",
			 lcores,
			 "-m",
			 memory,
			 "--iova-mode=va",
			 "--no-telemetry",
			 "-a",
			 "ffff:ff:1f.7",
			 "--log-level=error",
			 "--in-memory",
			 "--single-file-segments",
			 NULL };
	int argc = sizeof(argv) / sizeof(argv[0]) - 1, ret = eal_choose_huge(conf, huge);
	const char *why;
	FILE *log = fopencookie(NULL, "w", log_io);

	if (ret < 0)
		return ret;
	if (log)
		setvbuf(log, NULL, _IOLBF, 512);
	rte_openlog_stream(log);
	snprintf(memory, sizeof(memory), "%u", conf->memory_mb + EAL_OTHER_MB);
	ret = eal_lcores(lcores, sizeof(lcores));
	if (!*huge) {
		argv[argc - 2] = "--no-huge";
		argv[argc - 1] = "--no-shconf";
	}
	sw_dpdk_listen();
	if (ret == 0 && rte_eal_init(argc, argv) < 0)
		ret = -rte_errno;
	why = sw_dpdk_heard(ret);
	if (ret < 0)
		return err_ret(-EIO, "starting DPDK: %s; give --huge off, or less --memory-mb",
			       why);
	*mempool = rte_pktmbuf_pool_create(
		"sw_mbufs", (unsigned int)((uint64_t)conf->memory_mb * 1048576 / MBUF_COST),
		MBUF_CACHE, 0, MBUF_BYTES, SOCKET_ID_ANY);
	return *mempool ? 0
			: err_ret(-ENOMEM,
				  "making %u MB of frame buffers: %s; give another --memory-mb",
				  conf->memory_mb, rte_strerror(rte_errno));
}

void sw_eal_stop(struct rte_mempool *mempool)
{
	rte_mempool_free(mempool);
	rte_eal_cleanup();
}
