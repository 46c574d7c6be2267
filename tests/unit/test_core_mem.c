/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest memory: the one translation, at its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"

static void quiet(void *opaque, const char *line)
{
}

static void ptr_refuses_what_leaves_the_region(void **state)
{
	struct guest_mem *m;

	assert_int_equal(mem_create(4 << 20, &m), 0);
	assert_non_null(mem_ptr(m, 0, 1));
	assert_non_null(mem_ptr(m, (4 << 20) - 1, 1));
	assert_null(mem_ptr(m, (4 << 20) - 1, 2));
	assert_null(mem_ptr(m, 4 << 20, 1));
	assert_null(mem_ptr(m, 0, (4 << 20) + 1));
	assert_null(mem_ptr(m, 0, 0));
	mem_destroy(m);
}

/* Memory that nobody else maps: no file, and 2 MiB of it are 2 MiB of the guest's. */
static void memory_alone_has_no_file(void **state)
{
	const struct mem_conf conf = { .size = MEM_LOW_END + (6 << 20), .alone = true };
	struct guest_mem *m;

	assert_int_equal(mem_create_conf(&conf, &m), 0);
	assert_int_equal(mem_n_regions(m), 2);
	for (size_t i = 0; i < 2; i++) {
		const struct mem_region *r = mem_region(m, i);
		char zero = 1;

		assert_int_equal(r->fd, -1);
		assert_int_equal((uintptr_t)r->hva % (2 << 20), 0);
		assert_int_equal(mem_write(m, r->gpa + r->size - 3, "end", 3), 0);
		assert_int_equal(mem_read(m, r->gpa, &zero, 1), 0);
		assert_int_equal(zero, 0);
	}
	mem_destroy(m);
}

static void memory_to_share_has_one(void **state)
{
	struct guest_mem *m;
	const struct mem_region *r;
	char got[4] = "";

	assert_int_equal(mem_create(4 << 20, &m), 0);
	r = mem_region(m, 0);
	assert_int_equal((uintptr_t)r->hva % (2 << 20), 0);
	assert_int_equal(mem_write(m, 4096, "seen", 4), 0);
	assert_int_equal(pread(r->fd, got, 4, 4096), 4);
	assert_memory_equal(got, "seen", 4);
	mem_destroy(m);
}

static void ptr_refuses_addresses_that_wrap(void **state)
{
	struct guest_mem *m;

	assert_int_equal(mem_create(4 << 20, &m), 0);
	assert_null(mem_ptr(m, UINT64_MAX, 1));
	assert_null(mem_ptr(m, UINT64_MAX - 15, 32));
	assert_null(mem_ptr(m, 4096, SIZE_MAX));
	assert_null(mem_ptr(m, 4096, SIZE_MAX - 4095));
	mem_destroy(m);
}

static void memory_above_the_hole_is_a_region_of_its_own(void **state)
{
	struct guest_mem *m;
	uint64_t size = MEM_LOW_END + (2 << 20);

	assert_int_equal(mem_create(size, &m), 0);
	assert_int_equal(mem_n_regions(m), 2);
	assert_int_equal(mem_region(m, 1)->gpa, MEM_HIGH_START);
	assert_int_equal(mem_region(m, 1)->fd_offset, MEM_LOW_END);
	assert_null(mem_ptr(m, MEM_LOW_END, 1));
	assert_null(
		mem_ptr(m, MEM_LOW_END - 1, 2)); /* not across the hole, though the file goes on */
	assert_non_null(mem_ptr(m, MEM_HIGH_START, 2 << 20));
	assert_null(mem_ptr(m, MEM_HIGH_START, (2 << 20) + 1));
	mem_destroy(m);
}

static void create_refuses_sizes_without_sense(void **state)
{
	struct guest_mem *m;

	err_set_sink(quiet, NULL);
	assert_int_equal(mem_create(0, &m), -EINVAL);
	assert_int_equal(mem_create((1ull << 40) + 1, &m), -EINVAL);
	err_set_sink(NULL, NULL);
}

static void copies_fail_whole_or_not_at_all(void **state)
{
	struct guest_mem *m;
	char buf[8] = "abcdefg";

	assert_int_equal(mem_create(2 << 20, &m), 0);
	assert_int_equal(mem_write(m, (2 << 20) - 4, buf, 8), -EFAULT);
	assert_int_equal(*(char *)mem_ptr(m, (2 << 20) - 4, 1), 0);
	assert_int_equal(mem_write(m, 100, buf, 8), 0);
	assert_int_equal(mem_read(m, 100, buf, 8), 0);
	assert_int_equal(mem_read(m, (2 << 20) - 7, buf, 8), -EFAULT);
	mem_destroy(m);
}

static void who_has_the_descriptor_cannot_cut_the_memory(void **state)
{
	struct guest_mem *m;

	assert_int_equal(mem_create(2 << 20, &m), 0);
	assert_int_equal(ftruncate(mem_region(m, 0)->fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(mem_region(m, 0)->fd, 4 << 20), -1);
	mem_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ptr_refuses_what_leaves_the_region),
		cmocka_unit_test(memory_alone_has_no_file),
		cmocka_unit_test(memory_to_share_has_one),
		cmocka_unit_test(ptr_refuses_addresses_that_wrap),
		cmocka_unit_test(memory_above_the_hole_is_a_region_of_its_own),
		cmocka_unit_test(create_refuses_sizes_without_sense),
		cmocka_unit_test(copies_fail_whole_or_not_at_all),
		cmocka_unit_test(who_has_the_descriptor_cannot_cut_the_memory),
	};

	return cmocka_run_group_tests_name("core/mem", tests, NULL, NULL);
}
