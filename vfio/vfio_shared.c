/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all passed-through devices of one guest share: one VFIO container, so one mapping of guest memory (two would pin and count it twice),
 * and KVM's VFIO device (Documentation/virt/kvm/devices/vfio.rst). Made by the first device, gone with the last. Main thread.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/err.h"
#include "iommu/iommu.h"
#include "vfio_priv.h"

#define SHARED_KEY "vfio"

struct vfio_shared {
	unsigned int n_users;
	struct iommu_map *map;
	int kvm_dev;		/* -1: no KVM (a test) */
};

static int shared_kvm_device(struct vm *vm)
{
	struct kvm_create_device cd = { .type = KVM_DEV_TYPE_VFIO };

	if (vm_fd(vm) < 0)
		return -1;
	if (ioctl(vm_fd(vm), KVM_CREATE_DEVICE, &cd) < 0) {
		err_say("telling KVM about passed-through devices: %s; going on without, a kernel with CONFIG_KVM_VFIO knows it", strerror(errno));
		return -1;
	}
	return (int)cd.fd;
}

static int shared_create(struct vm *vm, int container, struct vfio_shared **out)
{
	struct vfio_shared *s = calloc(1, sizeof(*s));
	int ret;

	if (!s) {
		close(container);
		return err_ret(-ENOMEM, "passing a device through: out of memory; free some");
	}
	s->kvm_dev = -1;
	ret = iommu_map_create(&iommu_map_type1v2, container, vm_mem(vm), &s->map);
	if (ret == 0)
		ret = vm_set_shared(vm, SHARED_KEY, s);
	if (ret < 0) {
		iommu_map_destroy(s->map);
		free(s);
		return ret;
	}
	s->kvm_dev = shared_kvm_device(vm);
	*out = s;
	return 0;
}

int vfio_shared_get(struct vm *vm, int container, struct vfio_shared **out)
{
	struct vfio_shared *s = vm_shared(vm, SHARED_KEY);
	int ret = 0;

	if (s)
		close(container);	/* the same container by another descriptor */
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
	if (s->kvm_dev >= 0)
		close(s->kvm_dev);
	iommu_map_destroy(s->map);
	free(s);
}

int vfio_shared_group(struct vfio_shared *s, int group)
{
	int32_t fd = group;
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_GROUP, .attr = KVM_DEV_VFIO_GROUP_ADD, .addr = (uint64_t)(uintptr_t)&fd,
	};

	if (s->kvm_dev < 0)
		return 0;
	/* a second device of the same group: KVM knows it */
	if (ioctl(s->kvm_dev, KVM_SET_DEVICE_ATTR, &attr) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

uint64_t vfio_shared_dma_bytes(const struct vfio_shared *s)
{
	return iommu_map_bytes(s->map);
}

uint64_t vfio_shared_dma_us(const struct vfio_shared *s)
{
	return iommu_map_us(s->map);
}
