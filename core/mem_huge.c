/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many huge pages of a size are to be had, before guest memory is made of them. Called by
 * mem.c. The counters are the kernel's (Documentation/admin-guide/mm/hugetlbpage.rst); the folder
 * is a parameter, so that tests bring their own.
 */
#include "core/mem.h"

#include <errno.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/paths.h"

static int huge_count(const char *sysfs, uint64_t page_size, const char *what, uint64_t *out)
{
	char line[32];
	int ret = paths_read_line(line, sizeof(line), "%s/hugepages-%llukB/%s", sysfs,
				  (unsigned long long)(page_size >> 10), what);

	if (ret < 0)
		return ret;
	*out = strtoull(line, NULL, 10);
	return 0;
}

int mem_huge_check(const char *sysfs, uint64_t page_size, uint64_t n)
{
	const char *word = page_size == MEM_PAGE_1G ? "1 GiB" : "2 MiB";
	uint64_t all, free_pages, promised, over = 0, surplus = 0, have;

	if (huge_count(sysfs, page_size, "nr_hugepages", &all) < 0 ||
	    huge_count(sysfs, page_size, "free_hugepages", &free_pages) < 0 ||
	    huge_count(sysfs, page_size, "resv_hugepages", &promised) < 0)
		return err_ret(-EOPNOTSUPP,
			       "making guest memory of %s pages: this kernel has none of that "
			       "size; take other pages, or a CPU and kernel that have them",
			       word);
	/* pages above the pool, which the kernel tries to find when they are wanted */
	huge_count(sysfs, page_size, "nr_overcommit_hugepages", &over);
	huge_count(sysfs, page_size, "surplus_hugepages", &surplus);
	have = (free_pages > promised ? free_pages - promised : 0) +
	       (over > surplus ? over - surplus : 0);
	if (have >= n)
		return 0;
	if (page_size == MEM_PAGE_1G)
		return err_ret(
			-ENOMEM,
			"making guest memory of %s pages: it takes %llu, %llu are free; boot "
			"the host with hugepagesz=1G hugepages=%llu, or echo %llu > "
			"%s/hugepages-1048576kB/nr_hugepages",
			word, (unsigned long long)n, (unsigned long long)have,
			(unsigned long long)(all + n - have), (unsigned long long)(all + n - have),
			sysfs);
	return err_ret(-ENOMEM,
		       "making guest memory of %s pages: it takes %llu, %llu are free; run 'sysctl "
		       "vm.nr_hugepages=%llu'",
		       word, (unsigned long long)n, (unsigned long long)have,
		       (unsigned long long)(all + n - have));
}
