/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all passed-through devices of one guest share: one VFIO container, so one mapping of guest
 * memory (two would pin and count it twice). Made by the first device, gone with the last. Called
 * by vfio_dev.c on the main thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/err.h"
#include "iommu/iommu.h"
#include "vfio_priv.h"

#define SHARED_KEY "vfio"

struct vfio_shared {
	unsigned int n_users;
	struct iommu_map *map;
};

static int shared_create(struct vm *vm, int container, struct vfio_shared **out)
{
	struct vfio_shared *s = calloc(1, sizeof(*s));
	int ret;

	if (!s) {
		close(container);
		return err_ret(-ENOMEM, "passing a device through: out of memory; free some");
	}
	ret = iommu_map_create(&iommu_map_type1v2, &(struct iommu_map_fd){ .fd = container },
			       vm_mem(vm), &s->map);
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

int vfio_shared_get(struct vm *vm, int container, struct vfio_shared **out)
{
	struct vfio_shared *s = vm_shared(vm, SHARED_KEY);
	int ret = 0;

	if (s)
		close(container); /* the same container by another descriptor */
	else
		ret = shared_create(vm, container, &s);
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
