/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all passed-through devices of one guest share: one VFIO container, or one address space of
 * iommufd, so one mapping of guest memory (two would pin and count it twice). Made by the first
 * device, gone with the last. Called by vfio_dev.c on the main thread, before the jail is closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"
#include "iommu/iommu.h"
#include "vfio_priv.h"

#define SHARED_KEY "vfio"
#define SYSFS      "/sys"

struct vfio_shared {
	unsigned int n_users;
	const struct iommu_map_ops *ops;
	uint32_t ioas;
	struct iommu_map *map;
};

/* Small pages take longer to map, and the IOMMU holds fewer of them at hand. */
static void shared_say_small_pages(const struct guest_mem *mem)
{
	bool file = mem_n_regions(mem) && mem_region(mem, 0)->fd >= 0;
	char why[256];

	if (!mem_page_size(mem) && iommu_small_pages(SYSFS, file, why, sizeof(why)))
		err_say("mapping guest memory for DMA: in pages of 4 KiB, which takes longer and "
			"makes DMA slower: %s; or give the guest --hugepages 2M",
			why);
}

static int shared_create(struct vm *vm, const struct iommu_map_ops *ops,
			 const struct iommu_map_fd *f, struct vfio_shared **out)
{
	struct vfio_shared *s = calloc(1, sizeof(*s));
	int ret;

	if (!s) {
		close(f->fd);
		return err_ret(-ENOMEM, "passing a device through: out of memory; free some");
	}
	s->ops = ops;
	s->ioas = f->ioas;
	shared_say_small_pages(vm_mem(vm));
	ret = iommu_map_create(ops, f, vm_mem(vm), &s->map);
	if (ret == 0)
		ret = vm_set_shared(vm, SHARED_KEY, s);
	if (ret < 0) {
		iommu_map_destroy(s->map);
		free(s);
		return ret;
	}
	*out = s;
	return 0;
}

int vfio_shared_get(struct vm *vm, const struct iommu_map_ops *ops, const struct iommu_map_fd *f,
		    struct vfio_shared **out)
{
	struct vfio_shared *s = vm_shared(vm, SHARED_KEY);
	int ret = 0;

	if (s)
		close(f->fd); /* the same container or iommufd by another descriptor */
	if (s && (s->ops != ops || s->ioas != f->ioas))
		ret = err_ret(-EINVAL,
			      "passing a device through: its DMA is mapped by %s in address space "
			      "%u, that of the guest's other devices by %s in %u; start the guest "
			      "with 'fourlane run'",
			      ops->name, f->ioas, s->ops->name, s->ioas);
	if (!s)
		ret = shared_create(vm, ops, f, &s);
	if (ret < 0)
		return ret;
	s->n_users++;
	*out = s;
	return 0;
}

void vfio_shared_put(struct vm *vm, struct vfio_shared *s)
{
	if (!s || --s->n_users)
		return;
	vm_set_shared(vm, SHARED_KEY, NULL);
	iommu_map_destroy(s->map);
	free(s);
}

uint64_t vfio_shared_dma_bytes(const struct vfio_shared *s)
{
	return iommu_map_bytes(s->map);
}

uint64_t vfio_shared_dma_us(const struct vfio_shared *s)
{
	return iommu_map_us(s->map);
}
