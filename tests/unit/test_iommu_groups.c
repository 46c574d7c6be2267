/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IOMMU groups, PCI addresses, valid ranges and DMA mapping, on a made-up sysfs and a back-end that
 * records. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"
#include "helper_vfio_tree.h"
#include "iommu/iommu.h"

/* --- addresses --- */
static void bdf_is_taken_with_and_without_domain(void **state)
{
	char out[IOMMU_BDF_SIZE];

	assert_int_equal(iommu_bdf_parse("03:00.0", out), 0);
	assert_string_equal(out, "0000:03:00.0");
	assert_int_equal(iommu_bdf_parse("0001:AF:1f.7", out), 0);
	assert_string_equal(out, "0001:af:1f.7");
	assert_int_equal(iommu_bdf_parse("10000:01:00.0", out), 0);
	assert_string_equal(out, "10000:01:00.0");
}

static void bdf_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"03",
		"03:00",
		"03:00.8",
		"03:20.0",
		"0000:03:00.0 ",
		"../../x",
		"03:00.0/..",
		"g3:00.0",
		"0000:0000:03:00.0",
		"1234567:03:00.0",
		"003:00.0",
	};
	char out[IOMMU_BDF_SIZE];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(iommu_bdf_parse(bad[i], out), -EINVAL);
}

/* --- groups --- */
static void group_lists_members_drivers_and_windows(void **state)
{
	struct tree *t = *state;
	struct iommu_group *g;

	tree_function(t, "0000:01:00.1", 7, NULL, "0x8086\n", "0x10c9\n", "0x020000\n");
	tree_function(t, "0000:01:00.0", 7, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	assert_true(iommu_active(t->sysfs));
	assert_int_equal(iommu_group_of(t->sysfs, "0000:01:00.0"), 7);
	assert_int_equal(iommu_group_load(t->sysfs, 7, &g), 0);
	assert_string_equal(g->type, "DMA-FQ");
	assert_int_equal(g->n_members, 2);
	assert_string_equal(g->members[0].name, "0000:01:00.0");
	assert_string_equal(g->members[0].driver, "igb");
	assert_int_equal(g->members[0].vendor, 0x8086);
	assert_int_equal(g->members[0].device, 0x10c9);
	assert_int_equal(g->members[0].class_code, 0x020000);
	assert_string_equal(g->members[1].driver, "");
	assert_int_equal(g->n_reserved, 1);
	assert_true(g->reserved[0].first == 0xfee00000 && g->reserved[0].last == 0xfeefffff);
	assert_string_equal(g->reserved[0].kind, "msi");
	iommu_group_free(g);
}

static void function_without_group_or_at_all_is_told_apart(void **state)
{
	struct tree *t = *state;

	tree_file(t, "sys/bus/pci/devices/0000:05:00.0/vendor", "0x8086\n");
	assert_false(iommu_active(t->sysfs));
	assert_int_equal(iommu_group_of(t->sysfs, "0000:05:00.0"), -ENODEV);
	assert_int_equal(iommu_group_of(t->sysfs, "0000:06:00.0"), -ENOENT);
}

static void all_groups_come_sorted_by_number(void **state)
{
	struct tree *t = *state;
	struct iommu_group **all;
	size_t n;

	tree_function(t, "0000:01:00.0", 10, NULL, "0x1\n", "0x1\n", "0x020000\n");
	tree_function(t, "0000:02:00.0", 9, NULL, "0x1\n", "0x1\n", "0x020000\n");
	assert_int_equal(iommu_groups_load(t->sysfs, &all, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(all[0]->id, 9);
	assert_int_equal(all[1]->id, 10);
	iommu_groups_free(all, n);
}

static enum iommu_verdict verdict_of(struct tree *t, unsigned int id, char *mend, size_t size)
{
	struct iommu_group *g;
	enum iommu_verdict v;

	assert_int_equal(iommu_group_load(t->sysfs, id, &g), 0);
	v = iommu_group_verdict(g, mend, size);
	iommu_group_free(g);
	return v;
}

static void group_is_viable_with_bridges_vfio_and_unbound_members(void **state)
{
	struct tree *t = *state;
	char mend[256];

	tree_function(t, "0000:00:1c.0", 3, "pcieport", "0x8086\n", "0x1\n", "0x060400\n");
	tree_function(t, "0000:01:00.0", 3, "vfio-pci", "0x8086\n", "0x1\n", "0x020000\n");
	tree_function(t, "0000:01:00.1", 3, NULL, "0x8086\n", "0x1\n", "0x020000\n");
	tree_function(t, "0000:01:00.2", 3, "pci-stub", "0x8086\n", "0x1\n", "0x020000\n");
	tree_function(t, "0000:01:00.3", 3, "mlx5_vfio_pci", "0x15b3\n", "0x1\n", "0x020000\n");
	assert_int_equal(verdict_of(t, 3, mend, sizeof(mend)), IOMMU_OK);
	assert_string_equal(mend, "");
}

static void one_member_in_use_makes_the_group_unviable_and_names_the_mend(void **state)
{
	struct tree *t = *state;
	struct iommu_group *g;
	char mend[256], list[256];

	tree_function(t, "0000:00:1c.0", 3, "pcieport", "0x8086\n", "0x1\n", "0x060400\n");
	tree_function(t, "0000:01:00.0", 3, "vfio-pci", "0x8086\n", "0x1\n", "0x020000\n");
	tree_function(t, "0000:01:00.1", 3, "igb", "0x8086\n", "0x1\n", "0x020000\n");
	assert_int_equal(verdict_of(t, 3, mend, sizeof(mend)), IOMMU_BOUND);
	assert_string_equal(mend, "fourlane assign 0000:01:00.0 0000:01:00.1");
	assert_int_equal(iommu_group_load(t->sysfs, 3, &g), 0);
	iommu_group_list(g, true, list, sizeof(list));
	assert_string_equal(list, "0000:01:00.1 (igb)");
	iommu_group_list(g, false, list, 24); /* too small: cut, not overrun */
	assert_true(strlen(list) < 24);
	iommu_group_free(g);
}

static void isa_bridge_with_a_driver_blocks(void **state)
{
	struct tree *t = *state;
	char mend[256];

	tree_function(t, "0000:00:1f.0", 4, "lpc_ich", "0x8086\n", "0x1\n", "0x060100\n");
	tree_function(t, "0000:00:1f.2", 4, "vfio-pci", "0x8086\n", "0x1\n", "0x010601\n");
	assert_int_equal(verdict_of(t, 4, mend, sizeof(mend)), IOMMU_BOUND);
}

static void group_that_the_firmware_keeps_mapped_is_not_assignable(void **state)
{
	struct tree *t = *state;
	char mend[256];

	tree_function(t, "0000:01:00.0", 5, "vfio-pci", "0x8086\n", "0x1\n", "0x020000\n");
	tree_file(t, "sys/kernel/iommu_groups/5/reserved_regions",
		  "0x000000007a000000 0x000000007bffffff direct\n0x00000000fee00000 "
		  "0x00000000feefffff msi\n");
	assert_int_equal(verdict_of(t, 5, mend, sizeof(mend)), IOMMU_FORCED);
	tree_file(t, "sys/kernel/iommu_groups/5/reserved_regions",
		  "0x0000000000000000 0x0000000000ffffff direct-relaxable\n");
	assert_int_equal(verdict_of(t, 5, mend, sizeof(mend)), IOMMU_OK);
}

static void group_of_bridges_only_offers_nothing(void **state)
{
	struct tree *t = *state;
	char mend[256];

	tree_function(t, "0000:00:1c.0", 6, "pcieport", "0x8086\n", "0x1\n", "0x060400\n");
	assert_int_equal(verdict_of(t, 6, mend, sizeof(mend)), IOMMU_ONLY_BRIDGES);
	tree_function(t, "0000:00:00.0", 7, NULL, "0x8086\n", "0x1\n", "0x060000\n");
	assert_int_equal(verdict_of(t, 7, mend, sizeof(mend)), IOMMU_ONLY_BRIDGES);
}

/* --- ranges --- */
static const struct iommu_range vtd[] = { { 0xfef00000, 0xffffffffffff },
					  { 0, 0xfedfffff } }; /* unsorted on purpose */

static void ram_below_the_window_is_one_piece(void **state)
{
	struct iommu_range out[4];

	assert_int_equal(iommu_ranges_clip(vtd, 2, 0, 0xbfffffff, out, 4), 1);
	assert_true(out[0].first == 0 && out[0].last == 0xbfffffff);
}

static void ram_over_the_msi_window_is_cut_in_two(void **state)
{
	struct iommu_range out[4];

	assert_int_equal(iommu_ranges_clip(vtd, 2, 0x80000000, 0x17fffffff, out, 4), 2);
	assert_true(out[0].first == 0x80000000 && out[0].last == 0xfedfffff);
	assert_true(out[1].first == 0xfef00000 && out[1].last == 0x17fffffff);
	assert_int_equal(iommu_ranges_clip(vtd, 2, 0x80000000, 0x17fffffff, out, 1), -ENOSPC);
}

static void ram_inside_a_reserved_window_is_left_out(void **state)
{
	struct iommu_range out[4];

	assert_int_equal(iommu_ranges_clip(vtd, 2, 0xfee00000, 0xfee00fff, out, 4), 0);
}

static void ram_over_the_hypertransport_window_is_cut(void **state)
{
	static const struct iommu_range amd[] = { { 0, 0xfedfffff },
						  { 0xfef00000, 0xfcffffffff },
						  { 0x10000000000, ~0ull } };
	struct iommu_range out[4];

	assert_int_equal(iommu_ranges_clip(amd, 3, 0x100000000, 0x10fffffffff, out, 4), 2);
	assert_true(out[0].first == 0x100000000 && out[0].last == 0xfcffffffff);
	assert_true(out[1].first == 0x10000000000 && out[1].last == 0x10fffffffff);
}

static void ranges_are_cut_to_whole_pages(void **state)
{
	static const struct iommu_range odd[] = { { 0x1001, 0x5ffe }, { ~0ull - 10, ~0ull } };
	struct iommu_range out[4];

	assert_int_equal(iommu_ranges_clip(odd, 2, 0, ~0ull, out, 4), 1);
	assert_true(out[0].first == 0x2000 && out[0].last == 0x4fff);
}

static void ranges_that_overlap_or_run_backwards_are_refused(void **state)
{
	static const struct iommu_range overlap[] = { { 0, 0x1fff }, { 0x1000, 0x2fff } },
					back[] = { { 0x2000, 0x1000 } };
	struct iommu_range out[4];

	assert_int_equal(iommu_ranges_clip(overlap, 2, 0, 0xffff, out, 4), -EINVAL);
	assert_int_equal(iommu_ranges_clip(back, 1, 0, 0xffff, out, 4), -EINVAL);
}

static void no_ranges_mean_no_limit(void **state)
{
	struct iommu_range out[1];

	assert_int_equal(iommu_ranges_clip(NULL, 0, 0x1000, 0x2fff, out, 1), 1);
	assert_true(out[0].first == 0x1000 && out[0].last == 0x2fff);
}

/* --- mapping --- */
/* The back-end's descriptor is a pipe's end: what it is told is read back from the other. */
struct mapping {
	char what;
	iova_t iova;
	uint64_t size;
	void *hva;
};

static int fake_ranges_full(const struct iommu_map_fd *f, struct iommu_range *out, size_t max)
{
	return 0;
}

static int fake_ranges_hole(const struct iommu_map_fd *f, struct iommu_range *out, size_t max)
{
	out[0] = (struct iommu_range){ 0, 0xfffff };
	out[1] = (struct iommu_range){ 0x200000, ~0ull };
	return 2;
}

static int fake_tell(int fd, char what, iova_t iova, uint64_t size, void *hva)
{
	struct mapping m = { what, iova, size, hva };

	return write(fd, &m, sizeof(m)) == sizeof(m) ? 0 : -EIO;
}

static int fake_map(const struct iommu_map_fd *f, iova_t iova, uint64_t size, void *hva)
{
	return fake_tell(f->fd, 'm', iova, size, hva);
}

static int fake_unmap(const struct iommu_map_fd *f, iova_t iova, uint64_t size)
{
	return fake_tell(f->fd, 'u', iova, size, NULL);
}

static int fake_map_second_fails(const struct iommu_map_fd *f, iova_t iova, uint64_t size,
				 void *hva)
{
	return iova ? -ENOMEM : fake_map(f, iova, size, hva);
}

static char last_line[1024];

static void catch_line(void *opaque, const char *line)
{
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static void guest_memory_is_mapped_and_unmapped_around_a_window(void **state)
{
	static const struct iommu_map_ops ops = { "fake", fake_ranges_hole, fake_map, fake_unmap };
	struct guest_mem *mem;
	struct iommu_map *map;
	struct mapping m;
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(mem_create(4 << 20, &mem), 0);
	err_set_sink(catch_line, NULL);
	last_line[0] = '\0';
	assert_int_equal(iommu_map_create(&ops, &(struct iommu_map_fd){ .fd = p[1] }, mem, &map),
			 0);
	assert_non_null(strstr(last_line, "1024 KiB"));
	err_set_sink(NULL, NULL);
	assert_int_equal(read(p[0], &m, sizeof(m)), sizeof(m));
	assert_true(m.what == 'm' && m.iova == 0 && m.size == 0x100000 &&
		    m.hva == mem_region(mem, 0)->hva);
	assert_int_equal(read(p[0], &m, sizeof(m)), sizeof(m));
	assert_true(m.what == 'm' && m.iova == 0x200000 && m.size == 0x200000 &&
		    (char *)m.hva == (char *)mem_region(mem, 0)->hva + 0x200000);
	assert_true(iommu_map_bytes(map) == 0x300000);
	iommu_map_destroy(map);
	assert_int_equal(read(p[0], &m, sizeof(m)), sizeof(m));
	assert_true(m.what == 'u' && m.iova == 0x200000 && m.size == 0x200000);
	assert_int_equal(read(p[0], &m, sizeof(m)), sizeof(m));
	assert_true(m.what == 'u' && m.iova == 0 && m.size == 0x100000);
	assert_int_equal(fcntl(p[1], F_GETFD), -1); /* it was ours to close */
	close(p[0]);
	mem_destroy(mem);
}

static void mapping_that_fails_is_undone_and_names_the_limit(void **state)
{
	static const struct iommu_map_ops ops = { "fake", fake_ranges_hole, fake_map_second_fails,
						  fake_unmap };
	struct guest_mem *mem;
	struct iommu_map *map = NULL;
	struct mapping m;
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(mem_create(4 << 20, &mem), 0);
	err_set_sink(catch_line, NULL);
	assert_int_equal(iommu_map_create(&ops, &(struct iommu_map_fd){ .fd = p[1] }, mem, &map),
			 -ENOMEM);
	err_set_sink(NULL, NULL);
	assert_non_null(strstr(last_line, "RLIMIT_MEMLOCK"));
	assert_null(map);
	assert_int_equal(read(p[0], &m, sizeof(m)), sizeof(m));
	assert_int_equal(read(p[0], &m, sizeof(m)), sizeof(m));
	assert_true(m.what == 'u' && m.iova == 0);
	assert_int_equal(read(p[0], &m, sizeof(m)), 0);
	close(p[0]);
	mem_destroy(mem);
}

static void mapping_without_limits_takes_all(void **state)
{
	static const struct iommu_map_ops ops = { "fake", fake_ranges_full, fake_map, fake_unmap };
	struct guest_mem *mem;
	struct iommu_map *map;
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(mem_create(2 << 20, &mem), 0);
	assert_int_equal(iommu_map_create(&ops, &(struct iommu_map_fd){ .fd = p[1] }, mem, &map),
			 0);
	assert_true(iommu_map_bytes(map) == 2 << 20);
	iommu_map_destroy(map);
	iommu_map_destroy(NULL);
	close(p[0]);
	mem_destroy(mem);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bdf_is_taken_with_and_without_domain),
		cmocka_unit_test(bdf_that_is_none_is_refused),
		T(group_lists_members_drivers_and_windows),
		T(function_without_group_or_at_all_is_told_apart),
		T(all_groups_come_sorted_by_number),
		T(group_is_viable_with_bridges_vfio_and_unbound_members),
		T(one_member_in_use_makes_the_group_unviable_and_names_the_mend),
		T(isa_bridge_with_a_driver_blocks),
		T(group_that_the_firmware_keeps_mapped_is_not_assignable),
		T(group_of_bridges_only_offers_nothing),
		cmocka_unit_test(ram_below_the_window_is_one_piece),
		cmocka_unit_test(ram_over_the_msi_window_is_cut_in_two),
		cmocka_unit_test(ram_inside_a_reserved_window_is_left_out),
		cmocka_unit_test(ram_over_the_hypertransport_window_is_cut),
		cmocka_unit_test(ranges_are_cut_to_whole_pages),
		cmocka_unit_test(ranges_that_overlap_or_run_backwards_are_refused),
		cmocka_unit_test(no_ranges_mean_no_limit),
		cmocka_unit_test(guest_memory_is_mapped_and_unmapped_around_a_window),
		cmocka_unit_test(mapping_that_fails_is_undone_and_names_the_limit),
		cmocka_unit_test(mapping_without_limits_takes_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
