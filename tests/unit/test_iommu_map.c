/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory mapped for DMA by both back-ends, on a kernel that the test plays: ioctl() is the
 * function below. It keeps the mappings as the kernel does (an overlap is refused), tells the valid
 * ranges that it was given, and fails where the test wants it. The ranges of both IOMMUs are
 * recorded ones. Besides: what is said about pages of 4 KiB.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"
#include "helper_vfio_tree.h"
#include "iommu/iommu.h"

enum { IOAS = 7, MAX_MAPS = 64, MAX_RANGES = 300 };

struct played_map {
	uint64_t iova, size, va;
};

static struct {
	int fd; /* the memfd that stands for the container or /dev/iommu */
	struct iommu_range range[MAX_RANGES];
	size_t n_ranges;
	bool no_ranges; /* type1 of an older kernel: the capability is not there */
	uint32_t lie;   /* says that it told so many */
	struct played_map map[MAX_MAPS];
	size_t n_maps;
	unsigned int n_map_calls, n_unmap_calls;
	unsigned int fail_at; /* this call of map fails, counted from 1 */
	int fail_with, ranges_error, alloc_error;
	bool wrong; /* somebody broke a rule of the interface */
} k;

static int played_fail(int err)
{
	errno = err;
	return -1;
}

static int played_map(uint64_t iova, uint64_t size, uint64_t va)
{
	if (++k.n_map_calls == k.fail_at)
		return played_fail(k.fail_with);
	k.wrong |= (iova | size | va) % 4096 || !size;
	for (size_t i = 0; i < k.n_maps; i++)
		if (iova < k.map[i].iova + k.map[i].size && k.map[i].iova < iova + size)
			return played_fail(EEXIST);
	k.map[k.n_maps++] = (struct played_map){ iova, size, va };
	return 0;
}

static int played_unmap(uint64_t iova, uint64_t size)
{
	k.n_unmap_calls++;
	for (size_t i = 0; i < k.n_maps; i++)
		if (k.map[i].iova == iova && k.map[i].size == size) {
			k.map[i] = k.map[--k.n_maps];
			return 0;
		}
	k.wrong = true;
	return played_fail(ENOENT);
}

static int played_type1_info(struct vfio_iommu_type1_info *info)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap = (void *)(info + 1);
	size_t size = sizeof(*info) + sizeof(*cap) + k.n_ranges * sizeof(cap->iova_ranges[0]);
	uint32_t room = info->argsz;

	if (k.ranges_error)
		return played_fail(k.ranges_error);
	info->flags = VFIO_IOMMU_INFO_PGSIZES | (k.no_ranges ? 0 : VFIO_IOMMU_INFO_CAPS);
	info->iova_pgsizes = 0x1000;
	if (k.no_ranges)
		return 0;
	info->argsz = (uint32_t)size;
	if (room < size)
		return 0;
	info->cap_offset = sizeof(*info);
	cap->header = (struct vfio_info_cap_header){ .id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE };
	cap->nr_iovas = k.lie ? k.lie : (uint32_t)k.n_ranges;
	for (size_t i = 0; i < k.n_ranges; i++) {
		cap->iova_ranges[i].start = k.range[i].first;
		cap->iova_ranges[i].end = k.range[i].last;
	}
	return 0;
}

static int played_iova_ranges(struct iommu_ioas_iova_ranges *r)
{
	struct iommu_iova_range *out = (void *)(uintptr_t)r->allowed_iovas;
	uint32_t room = r->num_iovas;

	k.wrong |= r->size != sizeof(*r) || r->ioas_id != IOAS;
	if (k.ranges_error)
		return played_fail(k.ranges_error);
	r->num_iovas = k.lie ? k.lie : (uint32_t)k.n_ranges;
	r->out_iova_alignment = 0x1000;
	for (uint32_t i = 0; i < k.n_ranges && i < room; i++)
		out[i] = (struct iommu_iova_range){ k.range[i].first, k.range[i].last };
	return k.n_ranges > room ? played_fail(EMSGSIZE) : 0;
}

static int played_type1(unsigned long req, void *arg)
{
	const struct vfio_iommu_type1_dma_map *m = arg;
	const struct vfio_iommu_type1_dma_unmap *u = arg;

	switch (req) {
	case VFIO_IOMMU_GET_INFO: return played_type1_info(arg);
	case VFIO_IOMMU_MAP_DMA:
		k.wrong |= m->flags != (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
		return played_map(m->iova, m->size, m->vaddr);
	case VFIO_IOMMU_UNMAP_DMA: return played_unmap(u->iova, u->size);
	}
	return played_fail(ENOTTY);
}

static int played_iommufd(unsigned long req, void *arg)
{
	const struct iommu_ioas_map *m = arg;
	const struct iommu_ioas_unmap *u = arg;
	const struct iommu_destroy *d = arg;
	struct iommu_ioas_alloc *a = arg;

	switch (req) {
	case IOMMU_IOAS_ALLOC:
		if (k.alloc_error)
			return played_fail(k.alloc_error);
		a->out_ioas_id = IOAS;
		return 0;
	case IOMMU_DESTROY: return d->id == IOAS ? 0 : played_fail(ENOENT);
	case IOMMU_IOAS_IOVA_RANGES: return played_iova_ranges(arg);
	case IOMMU_IOAS_MAP:
		k.wrong |= m->size != sizeof(*m) || m->ioas_id != IOAS ||
			   m->flags != (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					IOMMU_IOAS_MAP_WRITEABLE);
		return played_map(m->iova, m->length, m->user_va);
	case IOMMU_IOAS_UNMAP:
		k.wrong |= u->ioas_id != IOAS;
		return played_unmap(u->iova, u->length);
	}
	return played_fail(ENOTTY);
}

int ioctl(int fd, unsigned long req, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd != k.fd || k.fd <= 0)
		return (int)syscall(SYS_ioctl, fd, req, arg);
	return _IOC_TYPE(req) == IOMMUFD_TYPE && _IOC_NR(req) >= IOMMUFD_CMD_BASE
		       ? played_iommufd(req, arg)
		       : played_type1(req, arg);
}

/* --- what every test needs --- */
/* Both count in the letter ';': VFIO's numbers end before iommufd's begin. */
_Static_assert(_IOC_NR(VFIO_IOMMU_UNMAP_DMA) < IOMMUFD_CMD_BASE, "told apart by number");

static const struct iommu_map_ops *const both[] = { &iommu_map_type1v2, &iommu_map_iommufd };

static char said[2048];

static void hear(void *opaque, const char *line)
{
	snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", line);
}

static int setup(void **state)
{
	memset(&k, 0, sizeof(k));
	said[0] = '\0';
	err_set_sink(hear, NULL);
	return 0;
}

static int teardown(void **state)
{
	err_set_sink(NULL, NULL);
	return k.wrong ? -1 : 0;
}

static void ranges(const struct iommu_range *r, size_t n)
{
	memcpy(k.range, r, n * sizeof(*r));
	k.n_ranges = n;
}

/* Both recorded in a software host (VT-d, AMD-Vi), where type1 and iommufd tell the same. */
static const struct iommu_range vtd[] = { { 0, 0xfedfffff }, { 0xfef00000, 0xffffffffffff } };
static const struct iommu_range amd[] = { { 0, 0xfedfffff },
					  { 0xfef00000, 0xfcffffffff },
					  { 0x10000000000, ~0ull } };

static int make(const struct iommu_map_ops *ops, const struct guest_mem *mem, struct iommu_map **m)
{
	struct iommu_map_fd f = { .ioas = ops == &iommu_map_iommufd ? IOAS : 0 };

	k.fd = f.fd = memfd_create("played", MFD_CLOEXEC);
	assert_true(f.fd > 0);
	*m = NULL;
	return iommu_map_create(ops, &f, mem, m);
}

static void assert_all_undone(void)
{
	assert_int_equal(k.n_maps, 0);
	assert_int_equal(fcntl(k.fd, F_GETFD), -1);
}

/* --- tests --- */
static void memory_is_mapped_where_the_guest_has_it(void **state)
{
	struct guest_mem *mem;
	struct iommu_map *m;

	assert_int_equal(mem_create(5ull << 30, &mem), 0); /* two regions, around the PCI hole */
	ranges(vtd, 2);
	for (unsigned int b = 0; b < 2; b++) {
		k.n_map_calls = 0;
		assert_int_equal(make(both[b], mem, &m), 0);
		assert_int_equal(k.n_map_calls, 2);
		assert_int_equal(k.n_maps, 2);
		for (unsigned int i = 0; i < 2; i++) {
			const struct mem_region *r = mem_region(mem, i);

			assert_true(k.map[i].iova == r->gpa && k.map[i].size == r->size &&
				    k.map[i].va == (uintptr_t)r->hva);
		}
		assert_true(iommu_map_bytes(m) == 5ull << 30);
		iommu_map_destroy(m);
		assert_all_undone();
	}
	assert_string_equal(said, "");
	mem_destroy(mem);
}

/* A terabyte reaches over fd00000000-ffffffffff, which is HyperTransport's on AMD. */
static void hypertransports_window_is_left_out(void **state)
{
	struct guest_mem *mem;
	struct iommu_map *m;

	assert_int_equal(
		mem_create_conf(&(struct mem_conf){ .size = 1ull << 40, .alone = true }, &mem), 0);
	for (unsigned int b = 0; b < 2; b++) {
		const struct mem_region *high = mem_region(mem, 1);

		ranges(amd, 3);
		said[0] = '\0';
		assert_int_equal(make(both[b], mem, &m), 0);
		assert_int_equal(k.n_maps, 3);
		assert_true(k.map[0].iova == 0 && k.map[0].size == MEM_LOW_END);
		assert_true(k.map[1].iova == MEM_HIGH_START &&
			    k.map[1].size == 0xfd00000000 - MEM_HIGH_START);
		assert_true(k.map[2].iova == 0x10000000000 &&
			    k.map[2].va == (uintptr_t)high->hva + 0x10000000000 - MEM_HIGH_START &&
			    k.map[2].size == high->gpa + high->size - 0x10000000000);
		assert_true(iommu_map_bytes(m) == (1ull << 40) - 0x300000000);
		assert_non_null(strstr(said, "12582912 KiB of RAM"));
		iommu_map_destroy(m);
		assert_all_undone();
		ranges(vtd, 2); /* VT-d has no such window */
		assert_int_equal(make(both[b], mem, &m), 0);
		assert_true(iommu_map_bytes(m) == 1ull << 40);
		iommu_map_destroy(m);
	}
	mem_destroy(mem);
}

static void mapping_that_fails_anywhere_is_undone(void **state)
{
	static const struct iommu_range holes[] = { { 0, 0xfffff },
						    { 0x200000, 0x2fffff },
						    { 0x400000, ~0ull } };
	struct guest_mem *mem;
	struct iommu_map *m;

	assert_int_equal(mem_create(8 << 20, &mem), 0);
	for (unsigned int b = 0; b < 2; b++)
		for (unsigned int at = 1; at <= 3; at++) {
			setup(NULL);
			ranges(holes, 3);
			k.fail_at = at;
			k.fail_with = EFAULT;
			assert_int_equal(make(both[b], mem, &m), -EFAULT);
			assert_null(m);
			assert_int_equal(k.n_unmap_calls, at - 1);
			assert_all_undone();
			assert_non_null(strstr(said, "Bad address"));
		}
	mem_destroy(mem);
}

static void kernel_that_cannot_tell_its_ranges_is_refused(void **state)
{
	struct guest_mem *mem;
	struct iommu_map *m;

	assert_int_equal(mem_create(2 << 20, &mem), 0);
	for (unsigned int b = 0; b < 2; b++) {
		k.ranges_error = ENODEV;
		assert_int_equal(make(both[b], mem, &m), -ENODEV);
		assert_int_equal(k.n_map_calls, 0);
		assert_all_undone();
		assert_non_null(strstr(said, both[b]->name));
	}
	mem_destroy(mem);
}

static void ranges_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		struct iommu_range r[2];
		size_t n;
		uint32_t lie;
		int err;
	} bad[] = {
		{ { { 0, 0x1fffff }, { 0x100000, ~0ull } }, 2, 0, -EINVAL }, /* overlap */
		{ { { 0x200000, 0x100000 }, { 0x300000, ~0ull } }, 2, 0, -EINVAL },
		{ { { 0, ~0ull }, { 0, ~0ull } }, 2, 0, -EINVAL },
		{ { { 0, ~0ull } }, MAX_RANGES, 0, -EPROTO }, /* too many */
		{ { { 0, ~0ull } }, 1, 0xffffffff, -EPROTO }, /* more than were told */
	};
	struct guest_mem *mem;
	struct iommu_map *m;

	assert_int_equal(mem_create(4 << 20, &mem), 0);
	for (unsigned int b = 0; b < 2; b++)
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			setup(NULL);
			ranges(bad[i].r, 2);
			k.n_ranges = bad[i].n;
			k.lie = bad[i].lie;
			assert_int_equal(make(both[b], mem, &m), bad[i].err);
			assert_int_equal(k.n_map_calls, 0);
			assert_all_undone();
		}
	mem_destroy(mem);
}

static void memory_in_no_range_at_all_is_said(void **state)
{
	static const struct iommu_range far[] = { { 0x100000000, ~0ull } };
	struct guest_mem *mem;
	struct iommu_map *m;

	assert_int_equal(mem_create(4 << 20, &mem), 0);
	for (unsigned int b = 0; b < 2; b++) {
		said[0] = '\0';
		ranges(far, 1);
		assert_int_equal(make(both[b], mem, &m), 0);
		assert_true(iommu_map_bytes(m) == 0);
		assert_non_null(strstr(said, "4096 KiB of RAM in 0x0-0x3fffff"));
		iommu_map_destroy(m);
		assert_all_undone();
	}
	mem_destroy(mem);
}

static void older_type1_tells_no_ranges(void **state)
{
	struct guest_mem *mem;
	struct iommu_map *m;

	assert_int_equal(mem_create(4 << 20, &mem), 0);
	k.no_ranges = true;
	assert_int_equal(make(&iommu_map_type1v2, mem, &m), 0);
	assert_true(iommu_map_bytes(m) == 4 << 20);
	iommu_map_destroy(m);
	mem_destroy(mem);
}

static void what_is_there_already_is_not_mapped_over(void **state)
{
	struct guest_mem *mem;
	struct iommu_map *m;

	assert_int_equal(mem_create(4 << 20, &mem), 0);
	for (unsigned int b = 0; b < 2; b++) {
		ranges(vtd, 2);
		k.map[0] = (struct played_map){ .iova = 0x100000, .size = 0x1000 };
		k.n_maps = 1;
		assert_int_equal(make(both[b], mem, &m), -EEXIST);
		assert_int_equal(k.n_maps, 1);
		assert_int_equal(k.n_unmap_calls, 0);
		assert_non_null(strstr(said, "something is mapped there already"));
	}
	mem_destroy(mem);
}

static void limit_of_locked_memory_is_named(void **state)
{
	static const int err[] = { ENOMEM, EPERM };
	struct rlimit was, small = { .rlim_cur = 1 << 20 };
	struct guest_mem *mem;
	struct iommu_map *m;

	assert_int_equal(mem_create(64 << 20, &mem), 0);
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &was), 0);
	small.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &small), 0);
	for (unsigned int b = 0; b < 2; b++)
		for (unsigned int e = 0; e < 2; e++) {
			said[0] = '\0';
			k.n_map_calls = 0;
			k.fail_at = 1;
			k.fail_with = err[e];
			assert_int_equal(make(both[b], mem, &m), -err[e]);
			assert_non_null(strstr(said, "RLIMIT_MEMLOCK is 1024 KiB"));
			assert_non_null(strstr(said, "64 MiB"));
			assert_non_null(strstr(said, "'ulimit -l 65536'"));
			assert_non_null(strstr(said, "LimitMEMLOCK=65536K"));
		}
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &was), 0);
	mem_destroy(mem);
}

static void address_space_is_made_and_taken_away(void **state)
{
	uint32_t ioas = 0;

	k.fd = memfd_create("played", MFD_CLOEXEC);
	assert_int_equal(iommu_ioas_create(k.fd, &ioas), 0);
	assert_int_equal(ioas, IOAS);
	assert_int_equal(iommu_ioas_destroy(k.fd, ioas), 0);
	assert_int_equal(iommu_ioas_destroy(k.fd, ioas + 1), -ENOENT);
	k.alloc_error = ENOMEM;
	assert_int_equal(iommu_ioas_create(k.fd, &ioas), -ENOMEM);
	close(k.fd);
}

/* --- pages of 4 KiB --- */
#define THP "sys/kernel/mm/transparent_hugepage/"

static void settings_of_huge_pages_are_read(void **state)
{
	static const struct {
		bool shared;
		const char *all, *two_mib; /* NULL: no such file */
		const char *says;          /* NULL: there are huge pages */
	} c[] = {
		{ false, "[always] madvise never", NULL, NULL },
		{ false, "always [madvise] never", "always [inherit] madvise never", NULL },
		{ false, "always madvise [never]", NULL,
		  "transparent_hugepage/enabled says never" },
		{ false, "always madvise [never]", "[always] inherit madvise never", NULL },
		{ false, "[always] madvise never", "always inherit madvise [never]",
		  "hugepages-2048kB/enabled says never" },
		{ false, NULL, NULL, "no transparent huge pages" },
		{ false, "nonsense", NULL, "no transparent huge pages" },
		{ true, "always within_size advise [never] deny force", NULL,
		  "shmem_enabled says never: 'echo advise >" },
		{ true, "always within_size [advise] never deny force", NULL, NULL },
		{ true, "always within_size advise never [deny] force", NULL, "says deny" },
	};

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		const char *name = c[i].shared ? "shmem_enabled" : "enabled";
		char path[128], why[400] = "";
		struct tree t;

		tree_create(&t);
		snprintf(path, sizeof(path), THP "%s", name);
		if (c[i].all)
			tree_file(&t, path, c[i].all);
		snprintf(path, sizeof(path), THP "hugepages-2048kB/%s", name);
		if (c[i].two_mib)
			tree_file(&t, path, c[i].two_mib);
		assert_int_equal(iommu_small_pages(t.sysfs, c[i].shared, why, sizeof(why)),
				 c[i].says != NULL);
		assert_true(!c[i].says || strstr(why, c[i].says));
		tree_destroy(&t);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(memory_is_mapped_where_the_guest_has_it),
		T(hypertransports_window_is_left_out),
		T(mapping_that_fails_anywhere_is_undone),
		T(kernel_that_cannot_tell_its_ranges_is_refused),
		T(ranges_that_make_no_sense_are_refused),
		T(memory_in_no_range_at_all_is_said),
		T(older_type1_tells_no_ranges),
		T(what_is_there_already_is_not_mapped_over),
		T(limit_of_locked_memory_is_named),
		T(address_space_is_made_and_taken_away),
		cmocka_unit_test(settings_of_huge_pages_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
