/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is the same for a VM on KVM and for the fake one of the unit tests (see vm.h): accessors,
 * the MSI routing table, the choice of memory slots, the end.
 */
#include "core/vm_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/err.h"
#include "core/pci_priv.h"

struct guest_mem *vm_mem(struct vm *vm)
{
	return vm->mem;
}
struct bus *vm_mmio(struct vm *vm)
{
	return vm->mmio;
}
struct bus *vm_pio(struct vm *vm)
{
	return vm->pio;
}
struct io *vm_io(struct vm *vm)
{
	return vm->io;
}
struct pci_bus *vm_pci(struct vm *vm)
{
	return vm->pci;
}
int vm_init(struct vm *vm, const struct vm_ops *ops)
{
	pthread_condattr_t clock;
	int ret;

	vm->ops = ops;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->pause_changed, &clock);
	pthread_condattr_destroy(&clock);
	pthread_mutex_init(&vm->pause_lock, NULL);
	pthread_mutex_init(&vm->drain_lock, NULL);
	pthread_mutex_init(&vm->irq_lock, NULL);
	pthread_mutex_init(&vm->slot_lock, NULL);
	for (size_t i = 0; i < mem_n_regions(vm->mem); i++) {
		const struct mem_region *r = mem_region(vm->mem, i);

		vm->slot[i] = (struct vm_slot){ .gpa = r->gpa, .size = r->size };
	}
	vm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->stop_fd < 0)
		return err_ret(-errno, "making an eventfd: %s; raise 'ulimit -n'", strerror(errno));
	if ((ret = bus_create(&vm->mmio)) < 0 || (ret = bus_create(&vm->pio)) < 0 ||
	    (ret = io_create(&vm->io)) < 0)
		return ret;
	return pci_bus_create(vm, &vm->pci);
}

void vm_destroy(struct vm *vm)
{
	if (!vm)
		return;
	pci_bus_destroy(vm->pci);
	io_destroy(vm->io);
	bus_destroy(vm->mmio);
	bus_destroy(vm->pio);
	vm->ops->destroy(vm);
	if (vm->owns_mem)
		mem_destroy(vm->mem);
	if (vm->stop_fd >= 0)
		close(vm->stop_fd);
	pthread_mutex_destroy(&vm->drain_lock);
	pthread_mutex_destroy(&vm->irq_lock);
	pthread_mutex_destroy(&vm->slot_lock);
	pthread_mutex_destroy(&vm->pause_lock);
	pthread_cond_destroy(&vm->pause_changed);
	free(vm);
}

int vm_ioeventfd(struct vm *vm, uint64_t addr, unsigned int len, int fd, bool on)
{
	return vm->ops->ioeventfd(vm, addr, len, fd, false, on);
}

int vm_ioeventfd_pio(struct vm *vm, uint16_t port, unsigned int len, int fd, bool on)
{
	return vm->ops->ioeventfd(vm, port, len, fd, true, on);
}

int vm_gsi_alloc(struct vm *vm)
{
	int gsi = -ENOSPC;

	pthread_mutex_lock(&vm->irq_lock);
	for (int i = 0; i < GSI_MAX_MSI && gsi < 0; i++)
		if (!vm->msi[i].used) {
			vm->msi[i] = (struct msi_route){ .used = true };
			gsi = GSI_FIRST_MSI + i;
		}
	pthread_mutex_unlock(&vm->irq_lock);
	return gsi;
}

void vm_gsi_free(struct vm *vm, int gsi)
{
	if (gsi < GSI_FIRST_MSI || gsi >= GSI_FIRST_MSI + GSI_MAX_MSI)
		return;
	pthread_mutex_lock(&vm->irq_lock);
	vm->msi[gsi - GSI_FIRST_MSI] = (struct msi_route){ 0 };
	vm->ops->route(vm);
	pthread_mutex_unlock(&vm->irq_lock);
}

int vm_gsi_msi(struct vm *vm, int gsi, uint64_t addr, uint32_t data)
{
	struct msi_route *r;
	int ret = 0;

	if (gsi < GSI_FIRST_MSI || gsi >= GSI_FIRST_MSI + GSI_MAX_MSI)
		return -EINVAL;
	pthread_mutex_lock(&vm->irq_lock);
	r = &vm->msi[gsi - GSI_FIRST_MSI];
	if (!r->used) {
		ret = -EINVAL;
	} else if (!r->valid || r->addr != addr || r->data != data) {
		struct msi_route old = *r;

		*r = (struct msi_route){ .used = true, .valid = true, .addr = addr, .data = data };
		ret = vm->ops->route(vm);
		if (ret < 0)
			*r = old;
	}
	pthread_mutex_unlock(&vm->irq_lock);
	return ret;
}

bool vm_msi_decode(uint64_t addr, bool ext_dest, uint64_t *out)
{
	const uint64_t remappable = 1 << 4, ext = 0xfe0;

	if (addr >> 20 != 0xfee)
		return false;
	*out = addr;
	if (ext_dest && !(addr & remappable))
		*out = (addr & ~ext) | (addr & ext) << 35;
	return true;
}

int vm_irqfd(struct vm *vm, int gsi, int fd, int resample_fd, bool on)
{
	return vm->ops->irqfd(vm, gsi, fd, resample_fd, on);
}

int vm_irq_line(struct vm *vm, int gsi, bool level)
{
	return vm->ops->irq_line(vm, gsi, level);
}

int vm_slot_add(struct vm *vm, gpa_t gpa, uint64_t size, void *hva)
{
	int free_slot = -1, ret;

	if (!size || (gpa | size | (uintptr_t)hva) & 0xfff || gpa + size - 1 < gpa)
		return -EINVAL;
	pthread_mutex_lock(&vm->slot_lock);
	ret = 0;
	for (int i = 0; i < VM_MAX_SLOTS; i++) {
		const struct vm_slot *s = &vm->slot[i];

		if (!s->size) {
			if (free_slot < 0)
				free_slot = i;
		} else if (gpa < s->gpa + s->size && s->gpa < gpa + size) {
			ret = -EEXIST;
		}
	}
	if (ret == 0)
		ret = free_slot < 0 ? -ENOSPC : vm->ops->slot_set(vm, free_slot, gpa, size, hva);
	if (ret == 0) {
		vm->slot[free_slot] = (struct vm_slot){ .gpa = gpa, .size = size };
		ret = free_slot;
	}
	pthread_mutex_unlock(&vm->slot_lock);
	return ret;
}

void vm_slot_remove(struct vm *vm, int slot)
{
	if (slot < (int)mem_n_regions(vm->mem) || slot >= VM_MAX_SLOTS)
		return;
	pthread_mutex_lock(&vm->slot_lock);
	if (vm->slot[slot].size) {
		vm->ops->slot_set(vm, slot, vm->slot[slot].gpa, 0, NULL);
		vm->slot[slot].size = 0;
	}
	pthread_mutex_unlock(&vm->slot_lock);
}

int vm_vfio_group(struct vm *vm, int group_fd, bool on)
{
	return vm->ops->vfio_group(vm, group_fd, on);
}

void vm_request_stop(struct vm *vm, enum vm_stop why)
{
	int none = VM_STOP_NONE;
	uint64_t one = 1;

	atomic_compare_exchange_strong(&vm->stop, &none, (int)why);
	if (write(vm->stop_fd, &one, sizeof(one)) < 0)
		return; /* full means readable, which is what is wanted */
	vm->ops->kick(vm);
}

void *vm_shared(const struct vm *vm, const char *key)
{
	for (unsigned int i = 0; i < VM_MAX_SHARED; i++)
		if (vm->shared[i].ptr && !strcmp(vm->shared[i].key, key))
			return vm->shared[i].ptr;
	return NULL;
}

int vm_set_shared(struct vm *vm, const char *key, void *ptr)
{
	struct vm_shared_entry *free_one = NULL;

	for (unsigned int i = 0; i < VM_MAX_SHARED; i++) {
		struct vm_shared_entry *e = &vm->shared[i];

		if (e->ptr && !strcmp(e->key, key)) {
			e->ptr = ptr;
			return 0;
		}
		if (!e->ptr && !free_one)
			free_one = e;
	}
	if (!ptr)
		return 0;
	if (!free_one)
		return -ENOSPC;
	*free_one = (struct vm_shared_entry){ .key = key, .ptr = ptr };
	return 0;
}
