/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KVM VM: memory slots, ioeventfd, the coalesced ring. One of the three files that call KVM
 * ioctls. Documentation/virt/kvm/api.rst of Linux 6.12. MMIO of the local APIC and the identity map
 * page lie below 4 GiB as usual.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"
#include "core/vm_priv.h"

/* KVM_CAP_X2APIC_API, api.rst section 7.3: older and newer headers keep them in different files */
#define X2APIC_32BIT_IDS    (1u << 0)
#define X2APIC_NO_BROADCAST (1u << 1) /* 255 is an id like any other */

#define TSS_ADDR      0xfffbd000ul
#define IDENTITY_ADDR 0xfffbc000ull

static int kvm_ioeventfd(struct vm *vm, uint64_t addr, unsigned int len, int fd, bool pio, bool on)
{
	struct kvm_ioeventfd io = {
		.addr = addr,
		.len = len,
		.fd = fd,
		.flags = (pio ? KVM_IOEVENTFD_FLAG_PIO : 0u) |
			 (on ? 0u : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return ioctl(vm->fd, KVM_IOEVENTFD, &io) < 0 ? -errno : 0;
}

static int kvm_coalesce(struct vm *vm, uint64_t addr, uint64_t size, bool on)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = (uint32_t)size };

	if (!vm->ring)
		return -ENOSYS;
	return ioctl(vm->fd, on ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO,
		     &zone) < 0
		       ? -errno
		       : 0;
}

static int kvm_slot_set(struct vm *vm, int slot, gpa_t gpa, uint64_t size, void *hva)
{
	struct kvm_userspace_memory_region r = {
		.slot = (uint32_t)slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r) < 0 ? -errno : 0;
}

static int kvm_vfio_group(struct vm *vm, int group_fd, bool on)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int32_t fd = group_fd;
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = on ? KVM_DEV_VFIO_GROUP_ADD : KVM_DEV_VFIO_GROUP_DEL,
		.addr = (uintptr_t)&fd,
	};

	if (vm->vfio_dev < 0) {
		if (ioctl(vm->fd, KVM_CREATE_DEVICE, &create) < 0)
			return -EOPNOTSUPP;
		vm->vfio_dev = (int)create.fd;
	}
	return ioctl(vm->vfio_dev, KVM_SET_DEVICE_ATTR, &attr) < 0 && errno != EEXIST ? -errno : 0;
}

static void kvm_destroy(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		kvm_vcpu_destroy(&vm->vcpu[i]);
	if (vm->vm_stats_fd >= 0)
		close(vm->vm_stats_fd);
	if (vm->vfio_dev >= 0)
		close(vm->vfio_dev);
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
}

static const struct vm_ops kvm_ops = {
	.ioeventfd = kvm_ioeventfd,
	.coalesce = kvm_coalesce,
	.route = kvm_irq_route,
	.irqfd = kvm_irq_fd,
	.irq_line = kvm_irq_line,
	.slot_set = kvm_slot_set,
	.vfio_group = kvm_vfio_group,
	.kick = kvm_vcpu_kick_all,
	.nudge = kvm_vcpu_nudge_all,
	.destroy = kvm_destroy,
};

static int kvm_check(int kvm_fd)
{
	static const struct {
		int cap;
		const char *name;
	} need[] = {
		{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
		{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
		{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
		{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
		{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING" },
		{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	};
	int api = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);

	if (api != 12)
		return err_ret(-EOPNOTSUPP,
			       "using /dev/kvm: its API version is %d, not 12; use a Linux kernel "
			       "of this century",
			       api);
	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++)
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, need[i].cap) <= 0)
			return err_ret(-EOPNOTSUPP,
				       "using /dev/kvm: it has no %s; use a newer kernel",
				       need[i].name);
	return 0;
}

/* A KVM without has no APIC ids above 254 in its interrupt routes, which does for VM_MAX_VCPUS. */
static bool kvm_wide_apic_ids(int vm_fd)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X2APIC_API,
		.args = { X2APIC_32BIT_IDS | X2APIC_NO_BROADCAST },
	};

	return ioctl(vm_fd, KVM_ENABLE_CAP, &cap) == 0;
}

static int kvm_check_cpus(int vm_fd, unsigned int cpus)
{
	int max = ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);

	if (max > 0 && cpus > (unsigned int)max)
		return err_ret(-EOPNOTSUPP,
			       "creating a guest with %u CPUs: this KVM gives one %d at most; give "
			       "it fewer",
			       cpus, max);
	return 0;
}

static int kvm_add_ram(struct vm *vm)
{
	for (size_t i = 0; i < mem_n_regions(vm->mem); i++) {
		const struct mem_region *r = mem_region(vm->mem, i);
		int ret = kvm_slot_set(vm, (int)i, r->gpa, r->size, r->hva);

		if (ret < 0)
			return err_ret(
				ret, "giving KVM %llu MiB of guest memory: %s; give the guest less",
				(unsigned long long)(r->size >> 20), strerror(-ret));
	}
	return 0;
}

int kvm_vm_create(int kvm_fd, struct guest_mem *mem, unsigned int cpus, struct vm **out)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	uint64_t identity = IDENTITY_ADDR;
	int ret;

	if (!vm) {
		mem_destroy(mem);
		close(kvm_fd);
		return -ENOMEM;
	}
	vm->mem = mem;
	vm->owns_mem = true;
	vm->kvm_fd = kvm_fd;
	vm->cpus_wanted = cpus;
	vm->fd = vm->vm_stats_fd = vm->vfio_dev = vm->stop_fd = -1;
	vm->ops = &kvm_ops;
	ret = kvm_check(kvm_fd);
	if (ret < 0)
		goto fail;
	vm->fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0) {
		ret = err_ret(
			-errno,
			"creating a VM: %s; is another hypervisor using the CPU's virtualisation?",
			strerror(errno));
		goto fail;
	}
	vm->run_size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vm->run_size < (int)sizeof(struct kvm_run)) {
		ret = err_ret(-EOPNOTSUPP,
			      "using /dev/kvm: its kvm_run is too small; use a newer kernel");
		goto fail;
	}
	ret = kvm_check_cpus(vm->fd, cpus);
	if (ret < 0)
		goto fail;
	vm->ext_dest = kvm_wide_apic_ids(vm->fd);
	ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDR); /* wanted by VT-x only */
	ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	vm->vm_stats_fd = ioctl(vm->fd, KVM_GET_STATS_FD, NULL);
	if ((ret = vm_init(vm, &kvm_ops)) < 0 || (ret = kvm_add_ram(vm)) < 0 ||
	    (ret = kvm_irq_init(vm)) < 0)
		goto fail;
	*out = vm;
	return 0;
fail:
	vm_destroy(vm);
	return ret;
}
