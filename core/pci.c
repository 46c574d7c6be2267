/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI bus (see pci.h): configuration mechanism #1 and ECAM, BARs, capabilities, INTx. PCI Local
 * Bus 3.0 chapter 6, PCI Express Base 4.0 section 7.2.2 (ECAM). One bus, functions 0 only, no
 * bridges: that is all a guest of ours needs.
 */
#include "core/pci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/pci_priv.h"

enum {
	CFG_VENDOR = 0x00,
	CFG_DEVICE = 0x02,
	CFG_COMMAND = 0x04,
	CFG_STATUS = 0x06,
	CFG_REVISION = 0x08,
	CFG_CLASS = 0x09,
	CFG_HEADER = 0x0e,
	CFG_BAR0 = 0x10,
	CFG_SUBSYS_VENDOR = 0x2c,
	CFG_SUBSYS = 0x2e,
	CFG_CAP_PTR = 0x34,
	CFG_INT_LINE = 0x3c,
	CFG_INT_PIN = 0x3d,
	COMMAND_IO = 1 << 0,
	COMMAND_MEM = 1 << 1,
	COMMAND_MASTER = 1 << 2,
	COMMAND_INTX_OFF = 1 << 10,
	STATUS_INTX = 1 << 3,
	STATUS_CAPS = 1 << 4,
	BAR_IO = 1,
	BAR_64 = 4,
	BAR_PREFETCH = 8,
};

/* The interrupt controllers' window: nothing may be mapped over it. */
#define APIC_START 0xfec00000ull
#define APIC_END   0xfef00000ull
/*
 * Guests get a physical address width of at least 39 bits everywhere; a BAR beyond has no meaning.
 */
#define BAR_ADDR_MAX (1ull << 46)
/* Where we place BARs ourselves we stay within those 39 bits, unless the memory is larger. */
#define MMIO64_END (1ull << 39)

static uint16_t cfg16(const struct pci_dev *d, unsigned int off)
{
	return (uint16_t)(d->cfg[off] | d->cfg[off + 1] << 8);
}

static uint32_t cfg32(const struct pci_dev *d, unsigned int off)
{
	return cfg16(d, off) | (uint32_t)cfg16(d, off + 2) << 16;
}

static void put_le(uint8_t *p, uint32_t v, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void pci_set16(struct pci_dev *d, unsigned int off, uint16_t v, uint16_t wmask)
{
	put_le(d->cfg + off, v, 2);
	put_le(d->wmask + off, wmask, 2);
}

void pci_set32(struct pci_dev *d, unsigned int off, uint32_t v, uint32_t wmask)
{
	put_le(d->cfg + off, v, 4);
	put_le(d->wmask + off, wmask, 4);
}

void pci_dev_init(struct pci_dev *d, struct vm *vm, const char *name, const struct pci_id *id,
		  const struct pci_dev_ops *ops)
{
	static const struct pci_dev_ops none;

	memset(d, 0, sizeof(*d));
	d->vm = vm;
	d->name = name;
	d->ops = ops ? ops : &none;
	d->next_cap = 0x40;
	pci_set16(d, CFG_VENDOR, id->vendor, 0);
	pci_set16(d, CFG_DEVICE, id->device, 0);
	pci_set16(d, CFG_COMMAND, 0, COMMAND_MASTER | COMMAND_INTX_OFF);
	d->cfg[CFG_REVISION] = id->revision;
	put_le(d->cfg + CFG_CLASS, id->class_code, 3);
	pci_set16(d, CFG_SUBSYS_VENDOR, id->subsys_vendor, 0);
	pci_set16(d, CFG_SUBSYS, id->subsys, 0);
	d->wmask[0x0c] = 0xff; /* cache line size */
	d->wmask[CFG_INT_LINE] = 0xff;
}

int pci_add_bar(struct pci_dev *d, unsigned int idx, enum pci_bar_kind kind, uint64_t size,
		bool is64, bool prefetch, const struct bus_ops *ops, void *opaque)
{
	unsigned int off = CFG_BAR0 + 4 * idx;
	uint64_t min = kind == PCI_BAR_IO ? 4 : 16;

	if (idx >= PCI_N_BARS || (is64 && idx + 1 >= PCI_N_BARS) ||
	    d->bar[idx].kind != PCI_BAR_NONE || size < min || (size & (size - 1)) ||
	    (!is64 && size > 1ull << 31))
		return -EINVAL;
	d->bar[idx] = (struct pci_bar){
		.kind = kind,
		.is64 = is64,
		.prefetch = prefetch,
		.size = size,
		.ops = ops,
		.opaque = opaque,
	};
	if (kind == PCI_BAR_IO) {
		pci_set32(d, off, BAR_IO, (uint32_t) ~(size - 1));
		d->wmask[CFG_COMMAND] |= COMMAND_IO;
		return 0;
	}
	pci_set32(d, off, (is64 ? BAR_64 : 0u) | (prefetch ? BAR_PREFETCH : 0u),
		  (uint32_t) ~(size - 1));
	if (is64)
		pci_set32(d, off + 4, 0, (uint32_t)(~(size - 1) >> 32));
	d->wmask[CFG_COMMAND] |= COMMAND_MEM;
	return 0;
}

int pci_add_cap_at(struct pci_dev *d, uint8_t id, unsigned int off, unsigned int len)
{
	unsigned int last = CFG_CAP_PTR;

	if (off < 0x40 || off & 3 || off + len > 256)
		return -ENOSPC;
	if (cfg16(d, CFG_STATUS) & STATUS_CAPS)
		for (last = d->cfg[CFG_CAP_PTR]; d->cfg[last + 1]; last = d->cfg[last + 1])
			;
	d->cfg[off] = id;
	d->cfg[off + 1] = 0;
	d->cfg[last == CFG_CAP_PTR ? last : last + 1] = (uint8_t)off;
	d->cfg[CFG_STATUS] |= STATUS_CAPS;
	if (off + len > d->next_cap)
		d->next_cap = (off + len + 3) & ~3u;
	return (int)off;
}

int pci_add_cap(struct pci_dev *d, uint8_t id, unsigned int len)
{
	return pci_add_cap_at(d, id, d->next_cap, len);
}

/* --- BARs --- */
static uint64_t bar_addr(const struct pci_dev *d, unsigned int idx)
{
	const struct pci_bar *bar = &d->bar[idx];
	uint64_t a = cfg32(d, CFG_BAR0 + 4 * idx);

	if (bar->kind == PCI_BAR_IO)
		return a & ~3ull & 0xffff;
	a &= ~15ull;
	if (bar->is64)
		a |= (uint64_t)cfg32(d, CFG_BAR0 + 4 * idx + 4) << 32;
	return a;
}

static bool bar_addr_ok(const struct pci_bar *bar, uint64_t addr)
{
	uint64_t end = addr + bar->size;

	if (bar->kind == PCI_BAR_IO)
		return addr && end <= 0x10000;
	return addr && end > addr && end <= BAR_ADDR_MAX && (end <= APIC_START || addr >= APIC_END);
}

static int bar_show(struct pci_dev *d, unsigned int idx)
{
	struct pci_bar *bar = &d->bar[idx];
	struct bus_region r = {
		.base = bar->addr,
		.size = bar->size,
		.ops = bar->ops,
		.opaque = bar->opaque,
		.name = d->name,
		.n_access = &bar->n_access,
	};

	if (bar->kind == PCI_BAR_CUSTOM)
		return d->ops->bar_map ? d->ops->bar_map(d, idx, bar->addr, true) : -EINVAL;
	return bus_add(bar->kind == PCI_BAR_IO ? vm_pio(d->vm) : vm_mmio(d->vm), &r);
}

static void bar_hide(struct pci_dev *d, unsigned int idx)
{
	struct pci_bar *bar = &d->bar[idx];

	if (!bar->mapped)
		return;
	bar->mapped = false;
	if (bar->kind == PCI_BAR_CUSTOM)
		d->ops->bar_map(d, idx, bar->addr, false);
	else
		bus_remove(bar->kind == PCI_BAR_IO ? vm_pio(d->vm) : vm_mmio(d->vm), bar->addr);
	/* a device with a doorbell at the old address takes it away */
	if (bar->kind != PCI_BAR_CUSTOM && d->ops->bar_map)
		d->ops->bar_map(d, idx, bar->addr, false);
}

static void bars_update(struct pci_dev *d)
{
	uint16_t command = cfg16(d, CFG_COMMAND);

	for (unsigned int i = 0; i < PCI_N_BARS; i++) {
		struct pci_bar *bar = &d->bar[i];
		uint64_t addr;
		bool on;

		if (bar->kind == PCI_BAR_NONE)
			continue;
		addr = bar_addr(d, i);
		on = command & (bar->kind == PCI_BAR_IO ? COMMAND_IO : COMMAND_MEM) &&
		     bar_addr_ok(bar, addr);
		if (bar->mapped && (!on || addr != bar->addr))
			bar_hide(d, i);
		if (!on || bar->mapped)
			continue;
		bar->addr = addr;
		if (bar_show(d, i) < 0)
			continue; /* over another BAR: it answers nowhere until it is moved */
		bar->mapped = true;
		if (bar->kind != PCI_BAR_CUSTOM && d->ops->bar_map)
			d->ops->bar_map(d, i, addr, true);
	}
}

/* --- configuration space --- */
uint32_t pci_cfg_read(struct pci_dev *d, unsigned int off, unsigned int size)
{
	uint32_t v = 0;

	if (off >= PCI_CFG_SIZE || size > PCI_CFG_SIZE - off)
		return ~0u;
	for (unsigned int i = 0; i < size; i++)
		v |= (uint32_t)d->cfg[off + i] << (8 * i);
	return v;
}

static bool overlaps(unsigned int off, unsigned int size, unsigned int start, unsigned int len)
{
	return off < start + len && start < off + size;
}

static void intx_apply(struct pci_dev *d, bool level);

void pci_cfg_write(struct pci_dev *d, unsigned int off, unsigned int size, uint32_t val)
{
	uint16_t old = cfg16(d, CFG_COMMAND), now;

	if (off >= PCI_CFG_SIZE || size > PCI_CFG_SIZE - off)
		return;
	for (unsigned int i = 0; i < size; i++) {
		uint8_t mask = d->wmask[off + i],
			now_byte = (uint8_t)((d->cfg[off + i] & ~mask) | ((val >> (8 * i)) & mask));

		/* a byte that is not the guest's is not touched: STATUS's INTx bit changes under
		 * another lock */
		if (mask)
			__atomic_store_n(&d->cfg[off + i], now_byte, __ATOMIC_RELAXED);
	}
	now = cfg16(d, CFG_COMMAND);
	if (now != old || overlaps(off, size, CFG_BAR0, 4 * PCI_N_BARS))
		bars_update(d);
	if ((now ^ old) & COMMAND_INTX_OFF) {
		struct pci_bus *b = vm_pci(d->vm);

		pthread_mutex_lock(&b->intx_lock);
		intx_apply(d, d->intx_level);
		pthread_mutex_unlock(&b->intx_lock);
	}
	if (d->msix)
		pci_msix_control(d);
	if (now != old && d->ops->command_changed)
		d->ops->command_changed(d, old, now);
}

static uint32_t bus_cfg_read(struct pci_bus *b, unsigned int slot, unsigned int off,
			     unsigned int size)
{
	struct pci_dev *d;
	uint32_t v = ~0u;

	pthread_mutex_lock(&b->lock);
	d = b->dev[slot];
	if (d)
		v = d->ops->cfg_read ? d->ops->cfg_read(d, off, size) : pci_cfg_read(d, off, size);
	pthread_mutex_unlock(&b->lock);
	return size == 4 ? v : v & ((1u << (8 * size)) - 1);
}

static void bus_cfg_write(struct pci_bus *b, unsigned int slot, unsigned int off, unsigned int size,
			  uint32_t val)
{
	struct pci_dev *d;

	pthread_mutex_lock(&b->lock);
	d = b->dev[slot];
	if (d && d->ops->cfg_write)
		d->ops->cfg_write(d, off, size, val);
	else if (d)
		pci_cfg_write(d, off, size, val);
	pthread_mutex_unlock(&b->lock);
}

/* Mechanism #1: 0xcf8 holds enable, bus, device, function and dword; 0xcfc..0xcff are its bytes. */
static uint64_t cf8_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pci_bus *b = opaque;
	uint32_t a;

	if (off < 4)
		return off == 0 && size == 4 ? __atomic_load_n(&b->cf8, __ATOMIC_RELAXED) : ~0ull;
	a = __atomic_load_n(&b->cf8, __ATOMIC_RELAXED);
	if (!(a >> 31) || a & 0x00ff0700 || size > 4 || (off & 3) + size > 4)
		return ~0ull;
	return bus_cfg_read(b, a >> 11 & 31, (a & 0xfc) + (unsigned int)(off & 3), size);
}

static void cf8_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	struct pci_bus *b = opaque;
	uint32_t a;

	if (off < 4) {
		if (off == 0 && size == 4)
			__atomic_store_n(&b->cf8, (uint32_t)val, __ATOMIC_RELAXED);
		return;
	}
	a = __atomic_load_n(&b->cf8, __ATOMIC_RELAXED);
	if (!(a >> 31) || a & 0x00ff0700 || size > 4 || (off & 3) + size > 4)
		return;
	bus_cfg_write(b, a >> 11 & 31, (a & 0xfc) + (unsigned int)(off & 3), size, (uint32_t)val);
}

/* ECAM: address bits 27:20 bus, 19:15 device, 14:12 function, 11:0 register. */
static uint64_t ecam_read(void *opaque, uint64_t off, unsigned int size)
{
	if (off >> 20 || off >> 12 & 7 || size > 4 || (off & 3) + size > 4)
		return ~0ull;
	return bus_cfg_read(opaque, off >> 15 & 31, off & 0xfff, size);
}

static void ecam_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	if (off >> 20 || off >> 12 & 7 || size > 4 || (off & 3) + size > 4)
		return;
	bus_cfg_write(opaque, off >> 15 & 31, off & 0xfff, size, (uint32_t)val);
}

static const struct bus_ops cf8_ops = { .read = cf8_read, .write = cf8_write };
static const struct bus_ops ecam_ops = { .read = ecam_read, .write = ecam_write };

/* --- the bus --- */
int pci_bus_create(struct vm *vm, struct pci_bus **out)
{
	static const struct pci_id bridge = { .vendor = 0x8086,
					      .device = 0x0d57,
					      .class_code = 0x060000 };
	struct pci_bus *b = calloc(1, sizeof(*b));
	struct bus_region cf8 = {
		.base = 0xcf8, .size = 8, .ops = &cf8_ops, .opaque = b, .name = "pci-config"
	};
	struct bus_region ecam = { .base = PCI_ECAM_BASE,
				   .size = PCI_ECAM_SIZE,
				   .ops = &ecam_ops,
				   .opaque = b,
				   .name = "pci-ecam" };
	pthread_mutexattr_t attr;
	uint64_t top = 0;
	int ret;

	if (!b)
		return -ENOMEM;
	b->vm = vm;
	for (size_t i = 0; i < mem_n_regions(vm_mem(vm)); i++)
		top = mem_region(vm_mem(vm), i)->gpa + mem_region(vm_mem(vm), i)->size;
	b->next_mmio = PCI_MMIO_BASE;
	b->mmio64_base =
		top < 1ull << 36 ? 1ull << 36 : (top + (1ull << 30) - 1) & ~((1ull << 30) - 1);
	b->mmio64_end = b->mmio64_base < MMIO64_END / 2 ? MMIO64_END : b->mmio64_base + MMIO64_END;
	b->next_mmio64 = b->mmio64_base;
	b->next_pio = PCI_PIO_BASE;
	/* recursive: a handler of config space may call pci_*() of its own device */
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&b->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_mutex_init(&b->intx_lock, NULL);
	cf8.n_access = &b->n_cfg;
	ecam.n_access = &b->n_ecam;
	if ((ret = bus_add(vm_pio(vm), &cf8)) < 0 || (ret = bus_add(vm_mmio(vm), &ecam)) < 0) {
		pci_bus_destroy(b);
		return ret;
	}
	pci_dev_init(&b->host_bridge, vm, "host-bridge", &bridge, NULL);
	b->dev[0] = &b->host_bridge;
	*out = b;
	return 0;
}

void pci_bus_destroy(struct pci_bus *b)
{
	if (!b)
		return;
	pthread_mutex_destroy(&b->lock);
	pthread_mutex_destroy(&b->intx_lock);
	free(b);
}

static int bar_assign(struct pci_bus *b, struct pci_dev *d, unsigned int idx)
{
	struct pci_bar *bar = &d->bar[idx];
	uint64_t *next = &b->next_mmio, end = PCI_ECAM_BASE,
		 align = bar->size < 4096 ? 4096 : bar->size, addr;

	if (bar->kind == PCI_BAR_IO) {
		next = &b->next_pio;
		end = 0x10000;
		align = bar->size;
	} else if (bar->is64 && bar->size > 64ull << 20) {
		next = &b->next_mmio64;
		end = b->mmio64_end;
	}
	addr = (*next + align - 1) & ~(align - 1);
	if (addr + bar->size > end)
		return -ENOSPC;
	*next = addr + (bar->size < 4096 && bar->kind != PCI_BAR_IO ? 4096 : bar->size);
	put_le(d->cfg + CFG_BAR0 + 4 * idx, (cfg32(d, CFG_BAR0 + 4 * idx) & 15u) | (uint32_t)addr,
	       4);
	if (bar->is64)
		put_le(d->cfg + CFG_BAR0 + 4 * idx + 4, (uint32_t)(addr >> 32), 4);
	return 0;
}

int pci_register(struct pci_dev *d)
{
	struct pci_bus *b = vm_pci(d->vm);
	unsigned int slot = 1;
	int ret = 0;

	pthread_mutex_lock(&b->lock);
	while (slot < PCI_SLOTS && b->dev[slot])
		slot++;
	if (slot == PCI_SLOTS)
		ret = -ENOSPC;
	for (unsigned int i = 0; i < PCI_N_BARS && ret == 0; i++)
		if (d->bar[i].kind != PCI_BAR_NONE)
			ret = bar_assign(b, d, i);
	if (ret == 0) {
		d->slot = (uint8_t)slot;
		if (d->cfg[CFG_INT_PIN])
			d->cfg[CFG_INT_LINE] = (uint8_t)pci_intx_gsi(d);
		b->dev[slot] = d;
	}
	pthread_mutex_unlock(&b->lock);
	return ret < 0 ? err_ret(ret,
				 "putting %s on the PCI bus: no room for it; give the guest fewer "
				 "devices",
				 d->name)
		       : 0;
}

void pci_unregister(struct pci_dev *d)
{
	struct pci_bus *b = vm_pci(d->vm);

	pthread_mutex_lock(&b->lock);
	if (d->slot && b->dev[d->slot] == d) {
		for (unsigned int i = 0; i < PCI_N_BARS; i++)
			bar_hide(d, i);
		pci_intx(d, false);
		b->dev[d->slot] = NULL;
	}
	pthread_mutex_unlock(&b->lock);
}

int pci_intx_gsi(const struct pci_dev *d)
{
	return (int)pci_slot_gsi(d->slot);
}

/* Under intx_lock. Lines are shared (wired OR): the level changes with the first and the last that
 * asserts it. */
static void intx_apply(struct pci_dev *d, bool level)
{
	struct pci_bus *b = vm_pci(d->vm);
	unsigned int line = d->slot % PCI_INTX_LINES;
	bool shown = d->cfg[CFG_STATUS] & STATUS_INTX;
	bool want = level && !(__atomic_load_n(&d->cfg[CFG_COMMAND + 1], __ATOMIC_RELAXED) &
			       COMMAND_INTX_OFF >> 8);

	if (shown == want)
		return;
	d->cfg[CFG_STATUS] = (uint8_t)(want ? d->cfg[CFG_STATUS] | STATUS_INTX
					    : d->cfg[CFG_STATUS] & ~STATUS_INTX);
	b->asserted[line] += want ? 1u : -1u;
	if (b->asserted[line] == (want ? 1u : 0u))
		vm_irq_line(d->vm, pci_intx_gsi(d), want);
}

void pci_intx(struct pci_dev *d, bool level)
{
	struct pci_bus *b = vm_pci(d->vm);

	pthread_mutex_lock(&b->intx_lock);
	d->intx_level = level;
	intx_apply(d, level);
	pthread_mutex_unlock(&b->intx_lock);
}

bool pci_bus_master(const struct pci_dev *d)
{
	return __atomic_load_n(&d->cfg[CFG_COMMAND], __ATOMIC_RELAXED) & COMMAND_MASTER;
}

void pci_bus_stats(struct pci_bus *b, struct stats_sink *sink)
{
	char name[64];

	stats_put(sink, "pci-config", __atomic_load_n(&b->n_cfg, __ATOMIC_RELAXED));
	stats_put(sink, "pci-ecam", __atomic_load_n(&b->n_ecam, __ATOMIC_RELAXED));
	pthread_mutex_lock(&b->lock);
	for (unsigned int s = 1; s < PCI_SLOTS; s++)
		for (unsigned int i = 0; b->dev[s] && i < PCI_N_BARS; i++) {
			if (b->dev[s]->bar[i].kind == PCI_BAR_NONE)
				continue;
			snprintf(name, sizeof(name), "%s.bar%u", b->dev[s]->name, i);
			stats_put(sink, name,
				  __atomic_load_n(&b->dev[s]->bar[i].n_access, __ATOMIC_RELAXED));
		}
	pthread_mutex_unlock(&b->lock);
}
