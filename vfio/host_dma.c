/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section "dma" of `fourlane host`: by which ways a guest's memory can be mapped for a device,
 * and the settings that decide how long that takes and how much of it there may be: huge pages
 * that the kernel makes by itself, and the limit of locked memory. It only looks.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "iommu/iommu.h"
#include "vfio/vfio.h"

static bool dma_there(const struct host_view *v, const char *node)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", v->dev, node);
	return access(path, F_OK) == 0;
}

static json_t *dma_huge_pages(const struct host_view *v, bool shared)
{
	const char *who = shared ? "a guest that shares its memory with a switch" : "a guest";
	char file[IOMMU_THP_SIZE], word[IOMMU_THP_SIZE] = "not there", why[256], name[80],
				   means[512];

	iommu_thp_setting(v->sysfs, shared, file, word);
	snprintf(name, sizeof(name), "transparent_hugepage/%s", file);
	if (iommu_small_pages(v->sysfs, shared, why, sizeof(why)))
		snprintf(means, sizeof(means),
			 "%s is mapped in pages of 4 KiB, which takes longer and makes DMA slower: "
			 "%s; or run it with --hugepages 2M",
			 who, why);
	else
		snprintf(means, sizeof(means), "%s is mapped in huge pages where there are any",
			 who);
	return json_pack("{s:s, s:s, s:s}", "name", name, "value", word, "means", means);
}

static json_t *dma_limit(const struct host_view *v)
{
	char value[40] = "unlimited", means[160] = "a direct guest may have any amount of memory";
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim) == 0 && lim.rlim_max != RLIM_INFINITY) {
		snprintf(value, sizeof(value), "%" PRIu64 " KiB", (uint64_t)lim.rlim_max >> 10);
		if (vfio_locks_freely(v))
			snprintf(means, sizeof(means),
				 "no limit for this account, which has CAP_IPC_LOCK");
		else
			snprintf(means, sizeof(means),
				 "a direct guest of this account may have %" PRIu64
				 " MiB of memory; see 'ulimit -l'",
				 (uint64_t)lim.rlim_max >> 20);
	}
	return json_pack("{s:s, s:s, s:s}", "name", "RLIMIT_MEMLOCK", "value", value, "means",
			 means);
}

static json_t *host_dma(const struct host_view *v)
{
	return json_pack("{s:b, s:b, s:[o, o, o]}", "type1", dma_there(v, "vfio/vfio"), "iommufd",
			 dma_there(v, "iommu"), "settings", dma_huge_pages(v, false),
			 dma_huge_pages(v, true), dma_limit(v));
}

static const struct host_section dma_section = { .key = "dma", .make = host_dma };
HOST_SECTION(&dma_section);
