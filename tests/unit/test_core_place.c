/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a guest lies on its host: huge pages, memory made present before the start, CPU lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cpu_pin.h"
#include "core/err.h"
#include "core/mem.h"

static char said[512]; /* the last message */

static void keep(void *opaque, const char *line)
{
	snprintf(said, sizeof(said), "%s", line);
}

/* --- huge pages --- */
static char sysfs[64];

static int make_tree(void **state)
{
	strcpy(sysfs, "/tmp/fl-place-XXXXXX");
	err_set_sink(keep, NULL);
	return mkdtemp(sysfs) ? 0 : -1;
}

static int remove_tree(void **state)
{
	char cmd[128];

	err_set_sink(NULL, NULL);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", sysfs);
	return system(cmd);
}

static void set_count(unsigned int kib, const char *what, unsigned int n)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/hugepages-%ukB", sysfs, kib);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/hugepages-%ukB/%s", sysfs, kib, what);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%u\n", n);
	fclose(f);
}

static void set_pool(unsigned int kib, unsigned int all, unsigned int free_pages,
		     unsigned int promised)
{
	set_count(kib, "nr_hugepages", all);
	set_count(kib, "free_hugepages", free_pages);
	set_count(kib, "resv_hugepages", promised);
	set_count(kib, "nr_overcommit_hugepages", 0);
}

static void a_page_size_that_is_not_there_is_the_hosts_lack(void **state)
{
	assert_int_equal(mem_huge_check(sysfs, MEM_PAGE_2M, 1), -EOPNOTSUPP);
	assert_int_equal(mem_huge_check(sysfs, MEM_PAGE_1G, 1), -EOPNOTSUPP);
	assert_non_null(strstr(said, "1 GiB"));
}

static void pages_that_others_were_promised_are_not_free(void **state)
{
	set_pool(2048, 100, 50, 20);
	assert_int_equal(mem_huge_check(sysfs, MEM_PAGE_2M, 30), 0);
	assert_int_equal(mem_huge_check(sysfs, MEM_PAGE_2M, 31), -ENOMEM);
	/* what is missing, and the word that mends it */
	assert_non_null(strstr(said, "it takes 31, 30 are free"));
	assert_non_null(strstr(said, "sysctl vm.nr_hugepages=101"));
	set_pool(2048, 100, 10, 20);
	assert_int_equal(mem_huge_check(sysfs, MEM_PAGE_2M, 1), -ENOMEM);
}

static void pages_that_the_kernel_may_add_count(void **state)
{
	set_pool(2048, 0, 0, 0);
	set_count(2048, "nr_overcommit_hugepages", 8);
	set_count(2048, "surplus_hugepages", 3);
	assert_int_equal(mem_huge_check(sysfs, MEM_PAGE_2M, 5), 0);
	assert_int_equal(mem_huge_check(sysfs, MEM_PAGE_2M, 6), -ENOMEM);
}

static void a_lack_of_1_gib_pages_names_the_boot_option(void **state)
{
	set_pool(1048576, 2, 1, 0);
	assert_int_equal(mem_huge_check(sysfs, MEM_PAGE_1G, 4), -ENOMEM);
	assert_non_null(strstr(said, "hugepagesz=1G hugepages=5"));
}

static void memory_is_not_made_when_pages_are_short(void **state)
{
	struct mem_conf conf = { .size = 3 << 20, .page_size = MEM_PAGE_2M, .sysfs = sysfs };
	struct guest_mem *m = NULL;

	set_pool(2048, 1, 1, 0);
	assert_int_equal(mem_create_conf(&conf, &m), -ENOMEM);
	assert_null(m);
	assert_non_null(strstr(said, "it takes 2, 1 are free"));
}

static void memory_of_huge_pages_is_memory(void **state)
{
	struct mem_conf conf = { .size = 4 << 20, .page_size = MEM_PAGE_2M };
	struct guest_mem *m;
	uint8_t *p;

	if (mem_create_conf(&conf, &m) < 0) {
		print_message("skipped: %s\n", said);
		skip();
	}
	assert_int_equal(mem_page_size(m), MEM_PAGE_2M);
	assert_int_equal(mem_region(m, 0)->size, 4 << 20);
	p = mem_ptr(m, (4 << 20) - 1, 1);
	assert_non_null(p);
	*p = 1;
	assert_int_equal(ftruncate(mem_region(m, 0)->fd, 0), -1);
	assert_int_equal(mem_prefault(m, 0, NULL, NULL, NULL), 0);
	mem_destroy(m);
}

/* --- memory made present --- */
static size_t present(const struct guest_mem *m)
{
	size_t n = 0;

	for (size_t i = 0; i < mem_n_regions(m); i++) {
		const struct mem_region *r = mem_region(m, i);
		size_t pages = r->size / 4096;
		unsigned char *vec = malloc(pages);

		assert_non_null(vec);
		assert_int_equal(mincore(r->hva, r->size, vec), 0);
		for (size_t k = 0; k < pages; k++)
			n += vec[k] & 1;
		free(vec);
	}
	return n;
}

struct progress {
	uint64_t last;
	unsigned int calls;
};

static void count_progress(void *opaque, uint64_t done)
{
	struct progress *p = opaque;

	assert_true(done >= p->last);
	p->last = done;
	p->calls++;
}

static void every_page_is_present_afterwards(void **state)
{
	static const unsigned int threads[] = { 0, 1, 3, 100 };

	for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
		struct progress p = { 0 };
		struct guest_mem *m;

		/* not a whole number of pieces */
		assert_int_equal(mem_create(42 << 20, &m), 0);
		*(uint8_t *)mem_ptr(m, 12345678, 1) = 0x5a;
		assert_true(present(m) < (42 << 20) / 4096);
		assert_int_equal(mem_prefault(m, threads[i], NULL, count_progress, &p), 0);
		assert_int_equal(present(m), (42 << 20) / 4096);
		assert_int_equal(*(uint8_t *)mem_ptr(m, 12345678, 1), 0x5a);
		assert_true(p.calls > 0);
		assert_int_equal(p.last, 42 << 20);
		mem_destroy(m);
	}
}

static void more_than_the_host_has_is_refused_before(void **state)
{
	char path[80];
	struct guest_mem *m;
	FILE *f;

	snprintf(path, sizeof(path), "%s/meminfo", sysfs);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "MemTotal:       99999999 kB\nMemFree: 1 kB\nMemAvailable:      10239 kB\n");
	fclose(f);
	assert_int_equal(mem_create(10 << 20, &m), 0);
	assert_int_equal(mem_prefault(m, 1, path, NULL, NULL), -ENOMEM);
	assert_non_null(strstr(said, "the host has 9 MiB"));
	assert_int_equal(present(m), 0);
	mem_destroy(m);
}

/* --- lists of host CPUs --- */
static void lists_of_cpus_are_read(void **state)
{
	struct cpu_pin p;

	assert_int_equal(cpu_pin_parse("2,4-6,io:1", 4, &p), 0);
	assert_int_equal(p.n, 4);
	assert_int_equal(p.vcpu[0], 2);
	assert_int_equal(p.vcpu[1], 4);
	assert_int_equal(p.vcpu[3], 6);
	assert_int_equal(p.io, 1);
	assert_int_equal(cpu_pin_parse("io:3", 4, &p), 0);
	assert_int_equal(p.n, 0);
	assert_int_equal(p.io, 3);
	assert_int_equal(cpu_pin_parse("0,0", 2, &p), 0);
	assert_int_equal(p.io, -1);
	assert_int_equal(cpu_pin_parse("io:0,7", 1, &p), 0);
	assert_int_equal(p.vcpu[0], 7);
	assert_int_equal(cpu_pin_parse("0-63", 64, &p), 0);
	assert_int_equal(p.vcpu[63], 63);
	assert_int_equal(cpu_pin_parse("1023", 1, &p), 0);
}

static void wrong_lists_are_refused(void **state)
{
	static const char *const wrong[] = {
		"",          "x",
		",",         "1,",
		",1",        "1,,2",
		"-1",        "1-",
		"2-1",       "1024",
		"io:",       "io:x",
		"io:1,io:2", "io:-1",
		"1 ",        " 1",
		"+1",        "0x1",
		"1-2-3",     "1;2",
		"io:1-2",    "99999999999999999999",
		"0-64",      "0-1023",
	};
	struct cpu_pin p;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (cpu_pin_parse(wrong[i], 1, &p) != -EINVAL)
			fail_msg("'%s' was taken", wrong[i]);
}

static void a_list_has_one_cpu_for_each_vcpu(void **state)
{
	struct cpu_pin p;

	assert_int_equal(cpu_pin_parse("0,1", 1, &p), -EINVAL);
	assert_int_equal(cpu_pin_parse("0,1", 3, &p), -EINVAL);
	assert_non_null(strstr(said, "has 2 CPUs"));
	assert_non_null(strstr(said, "has 3;"));
}

static void a_cpu_that_is_not_ours_is_named(void **state)
{
	struct cpu_pin p;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CPU_SET(1, &set);
	CPU_SET(2, &set);
	CPU_SET(8, &set);
	assert_int_equal(cpu_pin_parse("0,2,8,io:1", 3, &p), 0);
	assert_int_equal(cpu_pin_check(&p, &set), 0);
	assert_int_equal(cpu_pin_parse("0,3,9", 3, &p), 0);
	assert_int_equal(cpu_pin_check(&p, &set), -EOPNOTSUPP);
	assert_non_null(strstr(said, "host CPU 3 "));
	assert_non_null(strstr(said, "among 0-2,8,"));
	assert_int_equal(cpu_pin_parse("0,io:7", 1, &p), 0);
	assert_int_equal(cpu_pin_check(&p, &set), -EOPNOTSUPP);
	assert_non_null(strstr(said, "host CPU 7 "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_size_that_is_not_there_is_the_hosts_lack),
		cmocka_unit_test(pages_that_others_were_promised_are_not_free),
		cmocka_unit_test(pages_that_the_kernel_may_add_count),
		cmocka_unit_test(a_lack_of_1_gib_pages_names_the_boot_option),
		cmocka_unit_test(memory_is_not_made_when_pages_are_short),
		cmocka_unit_test(memory_of_huge_pages_is_memory),
		cmocka_unit_test(every_page_is_present_afterwards),
		cmocka_unit_test(more_than_the_host_has_is_refused_before),
		cmocka_unit_test(lists_of_cpus_are_read),
		cmocka_unit_test(wrong_lists_are_refused),
		cmocka_unit_test(a_list_has_one_cpu_for_each_vcpu),
		cmocka_unit_test(a_cpu_that_is_not_ours_is_named),
	};

	return cmocka_run_group_tests_name("core/place", tests, make_tree, remove_tree);
}
