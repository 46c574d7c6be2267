/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PCI bus as a guest meets it: sizing, moving and disabling BARs, capabilities, INTx, MSI-X. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "core/pci.h"
#include "core/vm.h"

struct fixture {
	struct guest_mem *mem;
	struct vm *vm;
	struct pci_dev dev;
	unsigned int reads;
};

static uint64_t bar_read(void *opaque, uint64_t off, unsigned int size)
{
	((struct fixture *)opaque)->reads++;
	return 0x42;
}

static void bar_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
}

static const struct bus_ops ops = { bar_read, bar_write };
static const struct pci_id id = { .vendor = 0x1234, .device = 0x5678, .class_code = 0x020000 };

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	if (mem_create(4 << 20, &f.mem) < 0 || vm_create_fake(f.mem, &f.vm) < 0)
		return -1;
	pci_dev_init(&f.dev, f.vm, "nic0", &id, NULL);
	pci_add_bar(&f.dev, 0, PCI_BAR_MMIO, 0x20000, false, false, &ops, &f);
	pci_add_bar(&f.dev, 2, PCI_BAR_MMIO, 0x4000, true, true, &ops, &f);
	pci_add_bar(&f.dev, 4, PCI_BAR_IO, 0x40, false, false, &ops, &f);
	f.dev.cfg[0x3d] = 1;
	*state = &f;
	return pci_register(&f.dev);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pci_unregister(&f->dev);
	pci_msix_free(&f->dev);
	vm_destroy(f->vm);
	mem_destroy(f->mem);
	return 0;
}

static uint32_t cfg_read(struct fixture *f, unsigned int off, unsigned int size)
{
	uint64_t v;

	bus_read(vm_mmio(f->vm), 0, 0xe0000000ull + (1u << 15) + off, size, &v);
	return (uint32_t)v;
}

static void cfg_write(struct fixture *f, unsigned int off, unsigned int size, uint32_t v)
{
	bus_write(vm_mmio(f->vm), 0, 0xe0000000ull + (1u << 15) + off, size, v);
}

static void both_mechanisms_show_the_same_function(void **state)
{
	struct fixture *f = *state;
	uint64_t v;

	assert_int_equal(cfg_read(f, 0, 4), 0x56781234);
	assert_int_equal(cfg_read(f, 2, 2), 0x5678);
	bus_write(vm_pio(f->vm), 0, 0xcf8, 4, 0x80000000u | 1 << 11);
	bus_read(vm_pio(f->vm), 0, 0xcfc, 4, &v);
	assert_int_equal(v, 0x56781234);
	bus_read(vm_pio(f->vm), 0, 0xcff, 1, &v);
	assert_int_equal(v & 0xff, 0x56);
	bus_read(vm_pio(f->vm), 0, 0xcff, 2, &v); /* across the dword */
	assert_int_equal(v & 0xffff, 0xffff);
	bus_write(vm_pio(f->vm), 0, 0xcf8, 4, 0x80000000u | 5 << 11);
	bus_read(vm_pio(f->vm), 0, 0xcfc, 4, &v);
	assert_int_equal((uint32_t)v, 0xffffffff);
	bus_write(vm_pio(f->vm), 0, 0xcf8, 4, 0x80010000u); /* another bus */
	bus_read(vm_pio(f->vm), 0, 0xcfc, 4, &v);
	assert_int_equal((uint32_t)v, 0xffffffff);
}

static void bars_are_sized_the_usual_way(void **state)
{
	struct fixture *f = *state;

	cfg_write(f, 0x10, 4, ~0u);
	assert_int_equal(cfg_read(f, 0x10, 4), 0xfffe0000);
	cfg_write(f, 0x18, 4, ~0u);
	cfg_write(f, 0x1c, 4, ~0u);
	assert_int_equal(cfg_read(f, 0x18, 4), 0xffffc00c);
	assert_int_equal(cfg_read(f, 0x1c, 4), 0xffffffff);
	cfg_write(f, 0x20, 4, ~0u);
	assert_int_equal(cfg_read(f, 0x20, 4), 0xffffffc1);
	cfg_write(f, 0x14, 4, ~0u); /* no such BAR */
	assert_int_equal(cfg_read(f, 0x14, 4), 0);
}

static void bar_answers_only_with_decoding_on(void **state)
{
	struct fixture *f = *state;
	uint64_t at = cfg_read(f, 0x10, 4), v;

	assert_false(bus_read(vm_mmio(f->vm), 0, at, 4, &v));
	cfg_write(f, 4, 2, 2);
	assert_true(bus_read(vm_mmio(f->vm), 0, at, 4, &v));
	assert_int_equal(v, 0x42);
	assert_false(bus_read(vm_pio(f->vm), 0, cfg_read(f, 0x20, 4) & ~3u, 4, &v));
	cfg_write(f, 4, 2, 3);
	assert_true(bus_read(vm_pio(f->vm), 0, cfg_read(f, 0x20, 4) & ~3u, 4, &v));
	cfg_write(f, 4, 2, 0);
	assert_false(bus_read(vm_mmio(f->vm), 0, at, 4, &v));
}

static void bar_follows_the_guest(void **state)
{
	struct fixture *f = *state;
	uint64_t old = cfg_read(f, 0x10, 4), v;

	cfg_write(f, 4, 2, 2);
	cfg_write(f, 0x10, 4, 0xd0000000);
	assert_false(bus_read(vm_mmio(f->vm), 0, old, 4, &v));
	assert_true(bus_read(vm_mmio(f->vm), 0, 0xd0000000, 4, &v));
	cfg_write(f, 0x18, 4, 0);
	cfg_write(f, 0x1c, 4, 0x10); /* above 4 GiB */
	assert_true(bus_read(vm_mmio(f->vm), 0, 0x1000000000ull, 4, &v));
}

/* BAR moved onto another BAR, 0, the interrupt controllers, beyond the address width */
static void bar_in_an_impossible_place_answers_nowhere(void **state)
{
	static const uint64_t bad[] = { 0,          0xfee00000, 0xfec00000,
					0xe0000000, 1ull << 46, 0xfffffffffffe0000ull };
	struct fixture *f = *state;
	uint64_t v, at;

	cfg_write(f, 4, 2, 2);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cfg_write(f, 0x18, 4, (uint32_t)bad[i]);
		cfg_write(f, 0x1c, 4, (uint32_t)(bad[i] >> 32));
		f->reads = 0;
		bus_read(vm_mmio(f->vm), 0, bad[i], 4, &v);
		assert_int_equal(f->reads, 0);
	}
	at = cfg_read(f, 0x10, 4);
	cfg_write(f, 0x1c, 4, 0);
	cfg_write(f, 0x18, 4, (uint32_t)at); /* over BAR 0, which keeps its place */
	assert_true(bus_read(vm_mmio(f->vm), 0, at + 0x8000, 4, &v));
	cfg_write(f, 0x18, 4, 0xd8000000);
	assert_true(bus_read(vm_mmio(f->vm), 0, 0xd8000000, 4, &v));
}

/* config-space writes of every byte */
static void every_config_byte_can_be_written(void **state)
{
	struct fixture *f = *state;

	for (unsigned int off = 0; off < 4096; off++)
		for (unsigned int size = 1; size <= 4; size *= 2)
			for (unsigned int v = 0; v < 2; v++)
				cfg_write(f, off, size, v ? 0xffffffff : 0);
	assert_int_equal(cfg_read(f, 0, 4), 0x56781234);
	assert_int_equal(cfg_read(f, 8, 4), 0x02000000);
}

static void shared_intx_falls_with_its_last_holder(void **state)
{
	struct fixture *f = *state;
	struct pci_dev others[8];

	for (int i = 0; i < 8; i++) {
		pci_dev_init(&others[i], f->vm, "x", &id, NULL);
		others[i].cfg[0x3d] = 1;
		assert_int_equal(pci_register(&others[i]), 0);
	}
	assert_int_equal(pci_intx_gsi(&others[7]), pci_intx_gsi(&f->dev));
	pci_intx(&f->dev, true);
	pci_intx(&others[7], true);
	assert_int_equal(vm_fake_counts(f->vm)->line_changes, 1);
	pci_intx(&f->dev, false);
	assert_int_equal(vm_fake_counts(f->vm)->line_level, 1);
	pci_intx(&others[7], false);
	assert_int_equal(vm_fake_counts(f->vm)->line_level, 0);
	pci_intx(&f->dev, true);
	cfg_write(f, 4, 2, 1 << 10); /* INTx disable */
	assert_int_equal(vm_fake_counts(f->vm)->line_level, 0);
	cfg_write(f, 4, 2, 0);
	assert_int_equal(vm_fake_counts(f->vm)->line_level, 1);
	for (int i = 0; i < 8; i++)
		pci_unregister(&others[i]);
}

static void msix_program(struct fixture *f, uint64_t at, unsigned int v, uint64_t addr,
			 uint32_t data, uint32_t ctrl)
{
	bus_write(vm_mmio(f->vm), 0, at + 16 * v, 8, addr);
	bus_write(vm_mmio(f->vm), 0, at + 16 * v + 8, 4, data);
	bus_write(vm_mmio(f->vm), 0, at + 16 * v + 12, 4, ctrl);
}

static void msix_vector_is_attached_only_when_usable(void **state)
{
	struct fixture *f = *state;
	struct pci_dev d;
	uint64_t at, v;

	pci_dev_init(&d, f->vm, "msix", &id, NULL);
	assert_int_equal(pci_add_msix(&d, 0, 3, 1, 0, 0, true, NULL), 0);
	assert_int_equal(pci_register(&d), 0);
	at = d.cfg[0x15] << 8 | d.cfg[0x16] << 16 | (uint64_t)d.cfg[0x17] << 24;
	bus_write(vm_mmio(f->vm), 0, 0xe0000000ull + (2u << 15) + 4, 2, 2);
	msix_program(f, at, 0, 0xfee00000, 0x41, 0);
	assert_int_equal(vm_fake_counts(f->vm)->irqfds, 0); /* MSI-X is off */
	bus_write(vm_mmio(f->vm), 0, 0xe0000000ull + (2u << 15) + 0x42, 2, 0x8000);
	assert_int_equal(vm_fake_counts(f->vm)->irqfds, 1);
	msix_program(f, at, 1, 0x1000, 0x42, 0); /* inside guest memory */
	assert_int_equal(vm_fake_counts(f->vm)->irqfds, 1);
	pci_msix_raise(&d, 1);
	bus_read(vm_mmio(f->vm), 0, at + 4096, 8, &v);
	assert_int_equal(v, 2); /* pending */
	msix_program(f, at, 1, 0xfee01000, 0x42, 0);
	assert_int_equal(vm_fake_counts(f->vm)->irqfds, 2);
	bus_write(vm_mmio(f->vm), 0, 0xe0000000ull + (2u << 15) + 0x42, 2,
		  0xc000); /* function mask */
	assert_int_equal(vm_fake_counts(f->vm)->irqfds, 0);
	/* table accesses of every width and beyond the table do no harm */
	for (uint64_t off = 0; off < 8192; off += 3)
		for (unsigned int size = 1; size <= 8; size *= 2) {
			bus_write(vm_mmio(f->vm), 0, at + off, size, ~0ull);
			bus_read(vm_mmio(f->vm), 0, at + off, size, &v);
		}
	pci_unregister(&d);
	pci_msix_free(&d);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(both_mechanisms_show_the_same_function),
		T(bars_are_sized_the_usual_way),
		T(bar_answers_only_with_decoding_on),
		T(bar_follows_the_guest),
		T(bar_in_an_impossible_place_answers_nowhere),
		T(every_config_byte_can_be_written),
		T(shared_intx_falls_with_its_last_holder),
		T(msix_vector_is_attached_only_when_usable),
	};

	return cmocka_run_group_tests_name("core/pci", tests, NULL, NULL);
}
