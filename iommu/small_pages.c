/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does the kernel make huge pages of a guest's memory by itself? What is mapped for DMA page by
 * page takes longer, and the IOMMU's own cache holds less of it. Asked by the monitor before it
 * maps, and by `fourlane host`. Documentation/admin-guide/mm/transhuge.rst of Linux 6.12: a setting
 * for all sizes, and since 6.8 one for 2 MiB, which may leave it to the first ("inherit").
 */
#include <stdio.h>
#include <string.h>

#include "core/paths.h"
#include "iommu/iommu.h"

#define THP "kernel/mm/transparent_hugepage"

/* The word in brackets of "always [madvise] never"; false: no such file. */
static bool thp_word(const char *sysfs, const char *file, char *word, size_t size)
{
	char line[128], *open, *close;

	if (paths_read_line(line, sizeof(line), "%s/" THP "/%s", sysfs, file) <= 0)
		return false;
	open = strchr(line, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return false;
	*close = '\0';
	snprintf(word, size, "%s", open + 1);
	return true;
}

bool iommu_thp_setting(const char *sysfs, bool shared, char file[IOMMU_THP_SIZE],
		       char word[IOMMU_THP_SIZE])
{
	const char *name = shared ? "shmem_enabled" : "enabled";

	snprintf(file, IOMMU_THP_SIZE, "hugepages-2048kB/%s", name);
	if (thp_word(sysfs, file, word, IOMMU_THP_SIZE) && strcmp(word, "inherit"))
		return true;
	snprintf(file, IOMMU_THP_SIZE, "%s", name);
	return thp_word(sysfs, file, word, IOMMU_THP_SIZE);
}

bool iommu_small_pages(const char *sysfs, bool shared, char *why, size_t size)
{
	char file[IOMMU_THP_SIZE], word[IOMMU_THP_SIZE];

	if (!iommu_thp_setting(sysfs, shared, file, word)) {
		snprintf(why, size, "this kernel has no transparent huge pages");
		return true;
	}
	if (strcmp(word, "never") && strcmp(word, "deny"))
		return false;
	snprintf(why, size, "%s/" THP "/%s says %s: 'echo %s >%s/" THP "/%s'", sysfs, file, word,
		 shared ? "advise" : "madvise", sysfs, file);
	return true;
}
