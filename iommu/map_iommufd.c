/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DMA mapping through an address space (IOAS) of iommufd (include/uapi/linux/iommufd.h,
 * Documentation/userspace-api/iommufd.rst). Used by map.c behind struct iommu_map_ops; the address
 * space is made and attached to devices by whoever opens them. Left out: page tables chosen by
 * hand (HWPT), nesting, dirty tracking, and giving the kernel pieces of files instead of addresses
 * (IOMMU_IOAS_MAP_FILE came with Linux 6.13).
 */
#include "iommu/iommu.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int iommu_ioas_create(int fd, uint32_t *ioas)
{
	struct iommu_ioas_alloc a = { .size = sizeof(a) };

	if (ioctl(fd, IOMMU_IOAS_ALLOC, &a) < 0)
		return -errno;
	*ioas = a.out_ioas_id;
	return 0;
}

int iommu_ioas_destroy(int fd, uint32_t ioas)
{
	struct iommu_destroy d = { .size = sizeof(d), .id = ioas };

	return ioctl(fd, IOMMU_DESTROY, &d) < 0 ? -errno : 0;
}

static int iommufd_ranges(const struct iommu_map_fd *f, struct iommu_range *out, size_t max)
{
	struct iommu_iova_range *told = calloc(max, sizeof(*told));
	struct iommu_ioas_iova_ranges ask = { .size = sizeof(ask),
					      .ioas_id = f->ioas,
					      .num_iovas = (uint32_t)max,
					      .allowed_iovas = (uint64_t)(uintptr_t)told };
	int ret;

	if (!told)
		return -ENOMEM;
	ret = ioctl(f->fd, IOMMU_IOAS_IOVA_RANGES, &ask) < 0 ? -errno : 0;
	/* it has more of them than asked for; the number is the kernel's in any case */
	if (ret == -EMSGSIZE || (ret == 0 && ask.num_iovas > max))
		ret = -EPROTO;
	for (uint32_t i = 0; ret == 0 && i < ask.num_iovas; i++)
		out[i] = (struct iommu_range){ told[i].start, told[i].last };
	free(told);
	return ret < 0 ? ret : (int)ask.num_iovas;
}

static int iommufd_map(const struct iommu_map_fd *f, iova_t iova, uint64_t size, void *hva)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = f->ioas,
		.user_va = (uint64_t)(uintptr_t)hva,
		.length = size,
		.iova = iova,
	};

	return ioctl(f->fd, IOMMU_IOAS_MAP, &m) < 0 ? -errno : 0;
}

static int iommufd_unmap(const struct iommu_map_fd *f, iova_t iova, uint64_t size)
{
	struct iommu_ioas_unmap u = {
		.size = sizeof(u), .ioas_id = f->ioas, .iova = iova, .length = size
	};

	return ioctl(f->fd, IOMMU_IOAS_UNMAP, &u) < 0 ? -errno : 0;
}

const struct iommu_map_ops iommu_map_iommufd = {
	.name = "iommufd",
	.ranges = iommufd_ranges,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
};
