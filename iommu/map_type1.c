/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DMA mapping through a VFIO container of type1v2 (include/uapi/linux/vfio.h, "API for Type1 VFIO
 * IOMMU"). Used by map.c behind struct iommu_map_ops. Dirty tracking and VADDR updates are left
 * out.
 */
#include "iommu/iommu.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* The info structure with all its capabilities. Freed by the caller. */
static int type1_info(int fd, struct vfio_iommu_type1_info **out)
{
	const struct vfio_iommu_type1_info ask = { .argsz = sizeof(ask) };

	return vfio_info_get(fd, VFIO_IOMMU_GET_INFO, &ask, sizeof(ask), (void **)out);
}

/* The capability of that id in an info structure of `size` bytes, of at least `min` bytes; offset
 * or 0. */
static size_t type1_find_cap(const void *info, size_t size, size_t off, unsigned int id, size_t min)
{
	for (int i = 0; i < 32 && off; i++) {
		const struct vfio_info_cap_header *h = (const void *)((const char *)info + off);

		if (off + sizeof(*h) > size)
			return 0;
		if (h->id == id)
			return off + min <= size ? off : 0;
		off = h->next;
	}
	return 0;
}

static int type1_ranges(const struct iommu_map_fd *f, struct iommu_range *out, size_t max)
{
	const struct vfio_iommu_type1_info_cap_iova_range *cap;
	struct vfio_iommu_type1_info *info = NULL;
	size_t off = 0, n = 0;
	int size = type1_info(f->fd, &info);

	if (size < 0)
		return size;
	if (info->flags & VFIO_IOMMU_INFO_CAPS)
		off = type1_find_cap(info, (size_t)size, info->cap_offset,
				     VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, sizeof(*cap));
	if (off) {
		cap = (const void *)((const char *)info + off);
		n = cap->nr_iovas;
		if (n > max ||
		    n * sizeof(cap->iova_ranges[0]) > (size_t)size - off - sizeof(*cap)) {
			free(info);
			return -EPROTO;
		}
		for (size_t i = 0; i < n; i++)
			out[i] = (struct iommu_range){ cap->iova_ranges[i].start,
						       cap->iova_ranges[i].end };
	}
	free(info);
	return (int)n;
}

static int type1_map(const struct iommu_map_fd *f, iova_t iova, uint64_t size, void *hva)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uint64_t)(uintptr_t)hva,
		.iova = iova,
		.size = size,
	};

	return ioctl(f->fd, VFIO_IOMMU_MAP_DMA, &m) < 0 ? -errno : 0;
}

static int type1_unmap(const struct iommu_map_fd *f, iova_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u), .iova = iova, .size = size };

	return ioctl(f->fd, VFIO_IOMMU_UNMAP_DMA, &u) < 0 ? -errno : 0;
}

const struct iommu_map_ops iommu_map_type1v2 = {
	.name = "type1v2",
	.ranges = type1_ranges,
	.map = type1_map,
	.unmap = type1_unmap,
};
