/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts of the KVM VM: the in-kernel PIC, IOAPIC and PIT, the GSI routing table, irqfd. One of
 * the three files that call KVM ioctls. Intel 82093AA (IOAPIC inputs 0..23), MP specification's
 * wiring of ISA interrupts to the first 16.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/err.h"
#include "core/vm_priv.h"

int kvm_irq_init(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_ret(-errno,
			       "creating the interrupt controllers: %s; use a kernel whose KVM has "
			       "an in-kernel irqchip",
			       strerror(errno));
	/* a guest that wants no PIT runs without: not an error on a KVM that has none */
	ioctl(vm->fd, KVM_CREATE_PIT2, &pit);
	pthread_mutex_lock(&vm->irq_lock);
	int ret = kvm_irq_route(vm);
	pthread_mutex_unlock(&vm->irq_lock);
	return ret < 0 ? err_ret(ret, "setting the interrupt routes: %s; use a newer kernel",
				 strerror(-ret))
		       : 0;
}

static struct kvm_irq_routing_entry kvm_irq_pin(uint32_t gsi, uint32_t chip, uint32_t pin)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

int kvm_irq_route(struct vm *vm)
{
	struct kvm_irq_routing *rt =
		calloc(1, sizeof(*rt) + (GSI_MAX_MSI + 64) * sizeof(rt->entries[0]));
	int ret;

	if (!rt)
		return -ENOMEM;
	for (uint32_t i = 0; i < 16; i++)
		if (i != 2) /* the cascade */
			rt->entries[rt->nr++] = kvm_irq_pin(
				i, i < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, i & 7);
	for (uint32_t i = 0; i < GSI_FIRST_MSI; i++)
		rt->entries[rt->nr++] = kvm_irq_pin(i, KVM_IRQCHIP_IOAPIC, i == 0 ? 2 : i);
	for (uint32_t i = 0; i < GSI_MAX_MSI; i++) {
		const struct msi_route *r = &vm->msi[i];
		uint64_t addr;

		if (r->valid && vm_msi_decode(r->addr, vm->ext_dest, &addr))
			rt->entries[rt->nr++] = (struct kvm_irq_routing_entry){
				.gsi = GSI_FIRST_MSI + i,
				.type = KVM_IRQ_ROUTING_MSI,
				.u.msi = { .address_lo = (uint32_t)addr,
					   .address_hi = (uint32_t)(addr >> 32),
					   .data = r->data },
			};
	}
	ret = ioctl(vm->fd, KVM_SET_GSI_ROUTING, rt) < 0 ? -errno : 0;
	free(rt);
	return ret;
}

int kvm_irq_fd(struct vm *vm, int gsi, int fd, int resample_fd, bool on)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd,
				   .gsi = (uint32_t)gsi,
				   .flags = on ? 0u : KVM_IRQFD_FLAG_DEASSIGN };

	if (on && resample_fd >= 0) {
		irqfd.flags |= KVM_IRQFD_FLAG_RESAMPLE;
		irqfd.resamplefd = (uint32_t)resample_fd;
	}
	return ioctl(vm->fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

int kvm_irq_line(struct vm *vm, int gsi, bool level)
{
	struct kvm_irq_level l = { .irq = (uint32_t)gsi, .level = level };

	return ioctl(vm->fd, KVM_IRQ_LINE, &l) < 0 ? -errno : 0;
}
