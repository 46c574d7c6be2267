/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM without KVM (see vm.h): real memory, buses, PCI and I/O thread object, short cuts that only
 * count. For unit tests; a test plays the guest by bus_read()/bus_write() and calls the devices'
 * pollers itself or starts the I/O thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "core/vm_priv.h"

static int fake_ioeventfd(struct vm *vm, uint64_t addr, unsigned int len, int fd, bool pio, bool on)
{
	vm->fake.ioeventfds += on ? 1u : -1u;
	return 0;
}

static int fake_coalesce(struct vm *vm, uint64_t addr, uint64_t size, bool on)
{
	vm->fake.coalesced += on ? 1u : -1u;
	return 0;
}

static int fake_route(struct vm *vm)
{
	vm->fake.routes++;
	return 0;
}

static int fake_irqfd(struct vm *vm, int gsi, int fd, int resample_fd, bool on)
{
	vm->fake.irqfds += on ? 1u : -1u;
	return 0;
}

static int fake_irq_line(struct vm *vm, int gsi, bool level)
{
	vm->fake.line_changes++;
	vm->fake.line_level = level;
	return 0;
}

static int fake_slot_set(struct vm *vm, int slot, gpa_t gpa, uint64_t size, void *hva)
{
	vm->fake.slots += size ? 1u : -1u;
	return 0;
}

static int fake_vfio_group(struct vm *vm, int group_fd, bool on)
{
	if (fcntl(group_fd, F_GETFD) < 0)
		return -EBADF;
	vm->fake.vfio_files += on ? 1u : -1u;
	vm->fake.vfio_file = group_fd;
	return 0;
}

static void fake_kick(struct vm *vm)
{
}

static void fake_nudge(struct vm *vm)
{
	vm->fake.nudges++;
}

static void fake_destroy(struct vm *vm)
{
}

static const struct vm_ops fake_ops = {
	.ioeventfd = fake_ioeventfd,
	.coalesce = fake_coalesce,
	.route = fake_route,
	.irqfd = fake_irqfd,
	.irq_line = fake_irq_line,
	.slot_set = fake_slot_set,
	.vfio_group = fake_vfio_group,
	.kick = fake_kick,
	.nudge = fake_nudge,
	.destroy = fake_destroy,
};

static void fake_want_fd(void *opaque, const char *device, const char *name)
{
	struct vm *vm = opaque;

	vm->fake.wanted_fds++;
}

int vm_create_fake(struct guest_mem *mem, struct vm **out)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int ret;

	if (!vm)
		return -ENOMEM;
	vm->mem = mem;
	vm->kvm_fd = vm->fd = vm->vm_stats_fd = vm->vfio_dev = -1;
	vm->want_fd = fake_want_fd;
	vm->want_fd_opaque = vm;
	ret = vm_init(vm, &fake_ops);
	if (ret < 0) {
		vm_destroy(vm);
		return ret;
	}
	*out = vm;
	return 0;
}

const struct vm_fake_counts *vm_fake_counts(struct vm *vm)
{
	return &vm->fake;
}
