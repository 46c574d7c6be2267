/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locked memory: all of a guest's memory stays where it is while a device may reach it, and an
 * account may lock so much and no more (RLIMIT_MEMLOCK). Looked at before anything is opened, so
 * that the user hears what is needed and not that mapping failed. Who counts what (Linux 6.12):
 * type1 each process (drivers/vfio/vfio_iommu_type1.c), iommufd all processes of an account
 * together (drivers/iommu/iommufd/pages.c); both take what has CAP_IPC_LOCK in the first user
 * namespace as it comes. Devices of one guest share one mapping, and BARs are not mapped for DMA:
 * memory counts once, and nothing else.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "prep_vfio.h"

#define FIRST_USER_NS "user:[4026531837]" /* include/linux/proc_ns.h: PROC_USER_INIT_INO */
#define MEM_ROUND     (2ull << 20)        /* guest memory is made of whole 2 MiB */

bool vfio_locks_freely(const struct host_view *v)
{
	char path[PATH_MAX], ns[64];
	ssize_t n;

	/* the monitor, another program, has it by root's account or as an ambient one */
	if (!(paths_status_number(v->proc, "self", geteuid() ? "CapAmb:" : "CapEff:", 16, 0) >>
		      CAP_IPC_LOCK &
	      1))
		return false;
	snprintf(path, sizeof(path), "%s/self/ns/user", v->proc);
	n = readlink(path, ns, sizeof(ns) - 1);
	ns[n > 0 ? n : 0] = '\0';
	return !strcmp(ns, FIRST_USER_NS);
}

/* What processes of our account have pinned: VmPin is what iommufd counts. */
static uint64_t account_pinned(const struct host_view *v)
{
	uint64_t kib = 0;
	struct dirent *e;
	DIR *d = opendir(v->proc);

	while (d && (e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' &&
		    paths_status_number(v->proc, e->d_name, "Uid:", 10, 0) == getuid())
			kib += paths_status_number(v->proc, e->d_name, "VmPin:", 10, 0);
	if (d)
		closedir(d);
	return kib << 10;
}

uint64_t vfio_round_mem(uint64_t mem)
{
	return (mem + MEM_ROUND - 1) & ~(MEM_ROUND - 1);
}

int vfio_prep_limit(const struct host_view *v, const char *what, uint64_t mem, bool by_account)
{
	uint64_t pinned, need;
	struct rlimit now, want;
	char others[96] = "";

	mem = vfio_round_mem(mem);
	if (vfio_locks_freely(v) || getrlimit(RLIMIT_MEMLOCK, &now) < 0)
		return 0;
	pinned = by_account ? account_pinned(v) : 0;
	need = mem + pinned;
	if (now.rlim_cur == RLIM_INFINITY || now.rlim_cur >= need)
		return 0;
	want = (struct rlimit){ .rlim_cur = need,
				.rlim_max = now.rlim_max < need ? need : now.rlim_max };
	if (setrlimit(RLIMIT_MEMLOCK, &want) == 0)
		return 0;
	if (pinned)
		snprintf(others, sizeof(others),
			 ", with the %" PRIu64 " MiB that other processes of this account have",
			 pinned >> 20);
	return err_ret(-EPERM,
		       "opening %s: its DMA keeps the guest's %" PRIu64
		       " MiB locked%s, and RLIMIT_MEMLOCK allows %" PRIu64
		       " KiB; raise the hard limit: 'ulimit -l %" PRIu64
		       "' as root before, LimitMEMLOCK=%" PRIu64
		       "K in a systemd unit, or a line ':%u hard memlock %" PRIu64
		       "' in /etc/security/limits.conf",
		       what, mem >> 20, others, (uint64_t)now.rlim_max >> 10, need >> 10,
		       need >> 10, getuid(), need >> 10);
}

int vfio_prep_memory(struct prep_guest *g, const char *bdf)
{
	return vfio_prep_limit(&host_real, bdf, prep_guest_mem(g), false);
}
