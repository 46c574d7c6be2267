/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `bench dma-map`: what fits, where it is mapped, a row's course on a scripted IOMMU, text, JSON,
 * and which function is taken of a made-up /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench_dma.h"
#include "core/cmd.h"
#include "core/err.h"
#include "helper_count.h"
#include "helper_schema.h"
#include "helper_vfio_tree.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static char said[1024];

static void catch (void *opaque, const char *line)
{
	snprintf(said, sizeof(said), "%s", line);
}

/* --- words --- */
static int call(const char *const *words)
{
	char *argv[12] = { "bench" };
	int argc = 1, ret;

	for (; *words; words++)
		argv[argc++] = (char *)*words;
	said[0] = '\0';
	err_set_sink(catch, NULL);
	ret = cmd_find("bench")->run(argc, argv);
	err_set_sink(NULL, NULL);
	return ret;
}
#define CALL(...) call((const char *const[]){ __VA_ARGS__, NULL })

static void wrong_words_are_wrong_calls(void **state)
{
	assert_int_equal(call((const char *const[]){ NULL }), FL_USAGE);
	assert_non_null(strstr(said, "dma-map"));
	assert_int_equal(CALL("rfc2544"), FL_USAGE);
	assert_int_equal(CALL("dma-map", "more"), FL_USAGE);
	assert_int_equal(CALL("dma-map", "--device", "eth0"), FL_USAGE);
	assert_int_equal(CALL("dma-map", "--sizes", "3M"), FL_USAGE);
	assert_int_equal(CALL("dma-map", "--sizes", "1M"), FL_USAGE);
	assert_int_equal(CALL("dma-map", "--sizes", ""), FL_USAGE);
	assert_int_equal(CALL("dma-map", "--sizes", "2M,2M,2M,2M,2M,2M,2M,2M,2M"), FL_USAGE);
	assert_int_equal(CALL("dma-map", "--runs", "0"), FL_USAGE);
	assert_int_equal(CALL("dma-map", "--runs", "51"), FL_USAGE);
	assert_int_equal(CALL("dma-map", "--json=x"), FL_USAGE);
}

/* --- what fits --- */
static const struct dma_host roomy = { .available = 64 * GIB,
				       .huge_free = 64 * GIB,
				       .lock_max = UINT64_MAX };

static void what_there_is_room_for_fits(void **state)
{
	struct dma_lack l;

	for (enum dma_pages p = 0; p < DMA_N_PAGES; p++) {
		assert_true(dma_fits(&roomy, 16 * GIB, p, &l));
		assert_string_equal(l.why, "");
	}
}

static void memory_that_is_not_there_is_not_tried(void **state)
{
	struct dma_host h = roomy;
	struct dma_lack l;

	h.available = GIB + 256 * MIB;
	assert_true(dma_fits(&h, GIB, DMA_4K, &l));
	/* the others keep something */
	h.available--;
	assert_false(dma_fits(&h, GIB, DMA_4K, &l));
	assert_string_equal(l.why, "1279 MiB of memory are available, 1280 are needed");
	assert_false(dma_fits(&h, GIB, DMA_THP, &l));
	/* the pool is another matter */
	assert_true(dma_fits(&h, GIB, DMA_2M, &l));
	h.available = 0;
	assert_false(dma_fits(&h, 2 * MIB, DMA_4K, &l));
}

static void reserved_pages_are_counted(void **state)
{
	struct dma_host h = roomy;
	struct dma_lack l;

	h.huge_free = 64 * MIB;
	assert_true(dma_fits(&h, 64 * MIB, DMA_2M, &l));
	assert_false(dma_fits(&h, 66 * MIB, DMA_2M, &l));
	assert_string_equal(l.why, "32 huge pages of 2 MiB are free, 33 are needed");
	assert_string_equal(l.mend, "'sysctl vm.nr_hugepages=33'");
}

static void limit_of_locked_memory_counts_for_all(void **state)
{
	struct dma_host h = roomy;
	struct dma_lack l;

	h.lock_max = 64 * MIB;
	for (enum dma_pages p = 0; p < DMA_N_PAGES; p++) {
		assert_true(dma_fits(&h, 64 * MIB, p, &l));
		assert_false(dma_fits(&h, 256 * MIB, p, &l));
		assert_string_equal(l.why, "RLIMIT_MEMLOCK allows 64 MiB of locked memory");
		assert_non_null(strstr(l.mend, "'ulimit -l 262144'"));
	}
}

static void thp_that_is_off_is_said(void **state)
{
	struct dma_host h = roomy;
	struct dma_lack l;

	h.thp = (struct dma_lack){ "it says never", "'echo madvise'" };
	assert_true(dma_fits(&h, 64 * MIB, DMA_4K, &l));
	assert_false(dma_fits(&h, 64 * MIB, DMA_THP, &l));
	assert_string_equal(l.why, "it says never");
	assert_string_equal(l.mend, "'echo madvise'");
}

/* --- a host that is made up --- */
static struct host_view view(const struct tree *t)
{
	return (struct host_view){ .sysfs = t->sysfs, .dev = t->dev, .proc = t->proc };
}

static void host_is_read(void **state)
{
	const struct tree *t = *state;
	struct host_view v = view(t);
	struct dma_host h;

	tree_file(t, "proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    2048 kB\n");
	tree_file(t, "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "10\n");
	tree_file(t, "sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "3\n");
	tree_file(t, "sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
	dma_host_look(&v, &h);
	assert_int_equal(h.available, 2 * MIB);
	assert_int_equal(h.huge_free, 14 * MIB);
	assert_non_null(strstr(h.thp.why, "says never"));
	assert_ptr_equal(strstr(h.thp.mend, "'echo madvise"), h.thp.mend);
	tree_file(t, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	dma_host_look(&v, &h);
	assert_string_equal(h.thp.why, "");
}

/* --- where it is mapped --- */
static void lowest_window_that_holds_it_is_taken(void **state)
{
	/* VT-d's, with the window for MSI left out */
	const struct iommu_range vtd[] = { { 0, 0xfedfffff }, { 0xfef00000, 0xffffffffffff } };
	const struct iommu_range small[] = { { 0x1000, 0x5fffff } };
	iova_t at;

	assert_int_equal(dma_window(vtd, 2, GIB, &at), 0);
	assert_int_equal(at, 0);
	assert_int_equal(dma_window(vtd, 2, 4 * GIB, &at), 0);
	assert_int_equal(at, 4 * GIB);
	/* no GiB begins in it, but 2 MiB do */
	assert_int_equal(dma_window(small, 1, 4 * MIB, &at), 0);
	assert_int_equal(at, 2 * MIB);
	assert_int_equal(dma_window(small, 1, 6 * MIB, &at), -ENOSPC);
	assert_int_equal(dma_window(NULL, 0, 16 * GIB, &at), 0);
	assert_int_equal(dma_window((const struct iommu_range[]){ { UINT64_MAX - 9, UINT64_MAX } },
				    1, 2 * MIB, &at),
			 -ENOSPC);
}

/* --- a row --- */
static struct {
	unsigned int maps, unmaps, fresh;
	int map_error, unmap_error;
	uint64_t size;
	char *hva;
} k;

static int k_ranges(const struct iommu_map_fd *f, struct iommu_range *out, size_t max)
{
	out[0] = (struct iommu_range){ 0, UINT64_MAX };
	return 1;
}

static int k_map(const struct iommu_map_fd *f, iova_t iova, uint64_t size, void *hva)
{
	k.maps++;
	k.size = size;
	k.hva = hva;
	/* what nobody has written is 0 */
	k.fresh += !*(char *)hva && !((char *)hva)[size - 4096];
	*(char *)hva = 2;
	return k.map_error;
}

static int k_unmap(const struct iommu_map_fd *f, iova_t iova, uint64_t size)
{
	k.unmaps++;
	assert_int_equal(size, k.size);
	return k.unmap_error;
}

static const struct iommu_map_ops k_ops = { "scripted", k_ranges, k_map, k_unmap };
static const struct dma_device k_device = { .ops = &k_ops, .group = -1, .device = -1 };

static int measure(struct dma_row *r, unsigned int runs)
{
	struct bench_signals sig = { .fd = -1 };

	return dma_measure_row(&k_device, r, runs, &sig);
}

static void untouched_memory_is_new_in_each_run(void **state)
{
	struct dma_row r = { .size = 4 * MIB, .pages = DMA_4K };

	memset(&k, 0, sizeof(k));
	assert_int_equal(measure(&r, 3), 0);
	assert_false(r.failed);
	assert_int_equal(k.maps, 3);
	assert_int_equal(k.unmaps, 3);
	assert_int_equal(k.fresh, 3);
	assert_int_equal(k.size, 4 * MIB);
	assert_int_equal((uintptr_t)k.hva % (2 * MIB), 0);
	assert_true(r.map_ns.median > 0 && r.map_ns.min <= r.map_ns.max);
}

static void touched_memory_is_written_before(void **state)
{
	struct dma_row r = { .size = 4 * MIB, .pages = DMA_4K, .touched = true };

	memset(&k, 0, sizeof(k));
	assert_int_equal(measure(&r, 3), 0);
	assert_int_equal(k.maps, 3);
	assert_int_equal(k.fresh, 0);
}

static void kernel_that_refuses_fails_the_row_only(void **state)
{
	struct dma_row r = { .size = 2 * MIB, .pages = DMA_4K };

	memset(&k, 0, sizeof(k));
	k.map_error = -ENOMEM;
	assert_int_equal(measure(&r, 3), 0);
	assert_true(r.failed);
	assert_int_equal(k.maps, 1);
	assert_int_equal(k.unmaps, 0);
	assert_non_null(strstr(r.lack.why, "mapping: Cannot allocate memory"));
	assert_non_null(strstr(r.lack.mend, "ulimit -l"));
	memset(&k, 0, sizeof(k));
	k.unmap_error = -EIO;
	r = (struct dma_row){ .size = 2 * MIB, .pages = DMA_4K };
	assert_int_equal(measure(&r, 3), 0);
	assert_non_null(strstr(r.lack.why, "unmapping"));
}

static void signal_ends_it(void **state)
{
	struct dma_row r = { .size = 2 * MIB, .pages = DMA_4K };
	struct bench_signals sig = { .fd = -1, .got = 2 };

	memset(&k, 0, sizeof(k));
	assert_int_equal(dma_measure_row(&k_device, &r, 3, &sig), -EINTR);
	assert_int_equal(k.maps, 0);
}

/* --- which function --- */
#define BDF "0000:03:00.0"

static void function_that_vfio_pci_has_is_found(void **state)
{
	const struct tree *t = *state;
	struct host_view v = view(t);
	char bdf[IOMMU_BDF_SIZE];
	struct dma_lack l = { 0 };

	assert_int_equal(dma_device_find(&v, bdf, &l), -ENODEV);
	assert_string_equal(l.why, "no function is bound to vfio-pci");
	assert_non_null(strstr(l.mend, "fourlane assign BDF"));
	tree_driver(t, "vfio-pci");
	tree_driver(t, "igb");
	tree_function(t, "0000:02:00.0", 2, "igb", "0x8086", "0x10c9", "0x020000");
	tree_function(t, BDF, 3, "vfio-pci", "0x8086", "0x10c9", "0x020000");
	assert_int_equal(dma_device_find(&v, bdf, &l), 0);
	assert_string_equal(bdf, BDF);
}

static void function_that_cannot_be_used_is_told(void **state)
{
	const struct tree *t = *state;
	struct host_view v = view(t);
	struct dma_lack l = { 0 };

	assert_int_equal(dma_device_check(&v, BDF, &l), -ENOENT);
	assert_string_equal(l.why, "there is no PCI function " BDF);
	tree_driver(t, "vfio-pci");
	tree_driver(t, "igb");
	tree_function(t, BDF, 3, "igb", "0x8086", "0x10c9", "0x020000");
	assert_int_equal(dma_device_check(&v, BDF, &l), -ENODEV);
	assert_string_equal(l.why, BDF " is bound to igb, not to vfio-pci");
	assert_string_equal(l.mend, "'fourlane assign " BDF "'");
	/* the host has its neighbour */
	tree_function(t, "0000:03:00.1", 4, "vfio-pci", "0x8086", "0x10c9", "0x020000");
	tree_function(t, "0000:03:00.2", 4, "igb", "0x8086", "0x10c9", "0x020000");
	assert_int_equal(dma_device_check(&v, "0000:03:00.1", &l), -ENODEV);
	assert_non_null(strstr(l.why, "the host has other functions"));
}

static void node_that_is_missing_is_named(void **state)
{
	struct host_view v = view(*state);
	struct dma_lack l = { 0 };
	struct dma_device d;

	assert_int_equal(dma_device_open(&v, BDF, DMA_TYPE1, &d, &l), -ENODEV);
	assert_non_null(strstr(l.why, "/vfio/vfio"));
	assert_int_equal(dma_device_open(&v, BDF, DMA_IOMMUFD, &d, &l), -ENODEV);
	assert_non_null(strstr(l.why, "/iommu"));
	dma_device_close(&d);
}

/* --- what is told --- */
static struct dma_options two = { .size = { 64 * MIB, 16 * GIB }, .n_sizes = 2, .runs = 5 };

/* By type1 64 MiB is measured and 16 GiB skipped; iommufd is not there. */
static struct dma_table *table(void)
{
	struct dma_table *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->o = &two;
	t->group = 9;
	strcpy(t->device, "0000:03:00.0");
	dma_plan(t);
	for (struct dma_row *r = t->row; r < t->row + t->n_rows; r++)
		if (r->by == DMA_IOMMUFD) {
			r->lack = (struct dma_lack){ "there is no /dev/iommu", "load it" };
		} else if (r->size == 16 * GIB) {
			r->lack = (struct dma_lack){ "3 GiB are there", "free some" };
		} else {
			r->map_ns = (struct bench_spread){ 12.5e6, 12e6, 14e6 };
			r->unmap_ns = (struct bench_spread){ 5e5, 4e5, 6e5 };
			r->huge_part = r->pages == DMA_THP ? 0.5 : r->pages == DMA_2M;
		}
	return t;
}

static void plan_has_every_row_once(void **state)
{
	struct dma_table *t = table();

	assert_int_equal(t->n_rows, 2 * 2 * 3 * 2);
	for (unsigned int i = 0; i < t->n_rows; i++)
		for (unsigned int j = 0; j < i; j++)
			assert_false(t->row[i].size == t->row[j].size &&
				     t->row[i].by == t->row[j].by &&
				     t->row[i].pages == t->row[j].pages &&
				     t->row[i].touched == t->row[j].touched);
	free(t);
}

static void text_has_rows_and_reasons(void **state)
{
	struct dma_table *t = table();
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	dma_report(t, f);
	fclose(f);
	assert_int_equal(count_words(text, "12.50 (12.00-14.00)"), 6);
	assert_int_equal(count_words(text, "0.500 (0.400-0.600)"), 6);
	assert_int_equal(count_words(text, " 5.00 "), 6); /* GiB/s of 64 MiB in 12.5 ms */
	assert_int_equal(count_words(text, "only 50 % huge"), 2);
	/* one line for what lacks the same */
	assert_int_equal(count_words(text, "skipped: 3 GiB are there; free some"), 1);
	assert_int_equal(count_words(text, "skipped: there is no /dev/iommu; load it"), 1);
	assert_non_null(strstr(text, "iommufd  all"));
	assert_non_null(strstr(text, "medians of 5 runs"));
	free(text);
	free(t);
}

static void json_obeys_its_schema(void **state)
{
	json_t *schema = json_load_file("bench/schema_dma_map.json", 0, NULL);
	struct dma_table *t = table();
	json_t *doc, *row;
	char why[256];

	assert_non_null(schema);
	t->row[0].failed = true;
	strcpy(t->row[0].lack.why, "mapping: no");
	doc = dma_document(t);
	if (schema_check(schema, schema, doc, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	assert_int_equal(json_array_size(json_object_get(doc, "results")), 5);
	assert_int_equal(json_array_size(json_object_get(doc, "skipped")), 19);
	row = json_array_get(json_object_get(doc, "skipped"), 0);
	assert_true(json_is_true(json_object_get(row, "failed")));
	row = json_array_get(json_object_get(doc, "results"), 0);
	assert_int_equal(json_integer_value(json_object_get(row, "size_mib")), 64);
	assert_true(json_real_value(json_object_get(row, "map_gib_s")) == 5.0);
	json_object_set_new(row, "pages", json_string("1g"));
	assert_int_equal(schema_check(schema, schema, doc, why, sizeof(why)), -1);
	json_decref(doc);
	json_decref(schema);
	free(t);
}

int main(void)
{
#define T(name)    cmocka_unit_test(name)
#define TREE(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)
	const struct CMUnitTest tests[] = {
		T(wrong_words_are_wrong_calls),
		T(what_there_is_room_for_fits),
		T(memory_that_is_not_there_is_not_tried),
		T(reserved_pages_are_counted),
		T(limit_of_locked_memory_counts_for_all),
		T(thp_that_is_off_is_said),
		TREE(host_is_read),
		T(lowest_window_that_holds_it_is_taken),
		T(untouched_memory_is_new_in_each_run),
		T(touched_memory_is_written_before),
		T(kernel_that_refuses_fails_the_row_only),
		T(signal_ends_it),
		TREE(function_that_vfio_pci_has_is_found),
		TREE(function_that_cannot_be_used_is_told),
		TREE(node_that_is_missing_is_named),
		T(plan_has_every_row_once),
		T(text_has_rows_and_reasons),
		T(json_obeys_its_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
