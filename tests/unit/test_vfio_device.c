/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The passed-through device's pure parts: capability policy, splitting of BARs, the range of
 * interrupt vectors; and a BAR that the guest moves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/mem.h"
#include "vfio/vfio_priv.h"

/* --- policy --- */
static void sriov_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x10)->action, CAP_HIDE);
}
static void ats_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x0f)->action, CAP_HIDE);
}
static void pri_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x13)->action, CAP_HIDE);
}
static void pasid_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x1b)->action, CAP_HIDE);
}
static void resizable_bar_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x15)->action, CAP_HIDE);
}
static void vf_resizable_bar_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x24)->action, CAP_HIDE);
}
static void acs_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x0d)->action, CAP_HIDE);
}
static void ari_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x0e)->action, CAP_HIDE);
}
static void aer_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x01)->action, CAP_HIDE);
}
static void tph_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x17)->action, CAP_HIDE);
}
static void msi_is_emulated(void **s)
{
	assert_int_equal(vfio_cap_rule(false, 0x05)->action, CAP_MSI);
}
static void vpd_is_hidden(void **s)
{
	assert_int_equal(vfio_cap_rule(false, 0x03)->action, CAP_HIDE);
}
static void power_management_is_emulated(void **s)
{
	assert_int_equal(vfio_cap_rule(false, 0x01)->action, CAP_PM);
}
static void pci_express_is_emulated(void **s)
{
	assert_int_equal(vfio_cap_rule(false, 0x10)->action, CAP_EXP);
}
static void msix_is_emulated(void **s)
{
	assert_int_equal(vfio_cap_rule(false, 0x11)->action, CAP_MSIX);
}
static void serial_number_is_fixed(void **s)
{
	assert_int_equal(vfio_cap_rule(true, 0x03)->action, CAP_FIXED);
}
static void vendor_specific_is_read_from_the_device(void **s)
{
	assert_int_equal(vfio_cap_rule(false, 0x09)->action, CAP_LIVE);
}

static void only_named_capabilities_are_shown(void **s)
{
	for (unsigned int id = 0; id < 0x10000; id++) {
		if (vfio_cap_rule(true, (uint16_t)id)->action != CAP_HIDE)
			assert_int_equal(id, 0x03);
		if (id < 256 && vfio_cap_rule(false, (uint16_t)id)->action != CAP_HIDE)
			assert_true(id == 0x01 || id == 0x05 || id == 0x09 || id == 0x10 ||
				    id == 0x11);
	}
}

/* --- config space --- */
struct guest {
	struct guest_mem *mem;
	struct vm *vm;
	struct vfio_dev v;
};

static void put(uint8_t *c, unsigned int off, uint64_t val, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		c[off + i] = (uint8_t)(val >> 8 * i);
}

static uint32_t get(const uint8_t *c, unsigned int off, unsigned int size)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < size; i++)
		v |= (uint32_t)c[off + i] << 8 * i;
	return v;
}

/* As an 82576 port has it: PM, MSI, MSI-X, PCI Express; AER, serial number, ARI, SR-IOV. */
static void make_82576(uint8_t *c)
{
	memset(c, 0, PCI_CFG_SIZE);
	put(c, 0x00, 0x10c98086, 4);
	put(c, 0x04, 0x00100406, 4);
	put(c, 0x08, 0x02000001, 4);
	put(c, 0x0e, 0x80, 1);
	put(c, 0x2c, 0xa03c8086, 4);
	put(c, 0x34, 0x40, 1);
	put(c, 0x3d, 1, 1);
	put(c, 0x40, 0xc8235001, 4); /* PM */
	put(c, 0x44, 0x2008, 2);
	put(c, 0x50, 0x01807005, 4); /* MSI */
	put(c, 0x70, 0x0009a011, 4); /* MSI-X, 10 vectors */
	put(c, 0x74, 3, 4);
	put(c, 0x78, 0x2003, 4);
	put(c, 0xa0, 0x00020010, 4); /* PCI Express, version 2 endpoint */
	put(c, 0xa4, 0x10008cc2, 4); /* FLR */
	put(c, 0xa8, 0x2810, 2);
	put(c, 0xac, 0x0003ac41, 4); /* link */
	put(c, 0xc4, 0x0000181f, 4);
	put(c, 0x100, 0x14010001, 4); /* AER */
	put(c, 0x140, 0x15010003, 4); /* serial number */
	put(c, 0x144, 0x1234567890abcdefull, 8);
	put(c, 0x150, 0x1601000e, 4); /* ARI */
	put(c, 0x160, 0x00010010, 4); /* SR-IOV */
	put(c, 0x16c, 0x00080008, 4);
}

static void build(struct guest *g, const uint8_t *phys, size_t size, int want)
{
	struct pci_id id;

	vfio_config_id(phys, &id);
	pci_dev_init(&g->v.pci, g->vm, "nic0", &id, NULL);
	assert_int_equal(vfio_config_build(&g->v.pci, phys, size, true, &g->v.layout), want);
}

static int setup(void **state)
{
	struct guest *g = calloc(1, sizeof(*g));

	if (!g || mem_create(4 << 20, &g->mem) < 0 || vm_create_fake(g->mem, &g->vm) < 0)
		return -1;
	g->v.pci.vm = g->vm;
	g->v.fd = g->v.group = -1;
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	struct guest *g = *state;

	vm_destroy(g->vm);
	mem_destroy(g->mem);
	free(g);
	return 0;
}

/* Every extended capability that a guest can find. */
static bool guest_finds_ext(const struct pci_dev *d, uint16_t id)
{
	unsigned int off = 0x100;

	for (int i = 0; i < 1000 && off >= 0x100; i++) {
		uint32_t head = get(d->cfg, off, 4);

		if ((head & 0xffff) == id)
			return true;
		off = head >> 20;
	}
	return false;
}

static bool guest_finds_cap(const struct pci_dev *d, uint8_t id)
{
	unsigned int off = d->cfg[0x06] & 0x10 ? d->cfg[0x34] : 0;

	for (int i = 0; i < 64 && off; i++) {
		if (d->cfg[off] == id)
			return true;
		off = d->cfg[off + 1];
	}
	return false;
}

static void guest_of_an_82576_never_sees_sriov(void **state)
{
	struct guest *g = *state;
	uint8_t phys[PCI_CFG_SIZE];

	make_82576(phys);
	build(g, phys, sizeof(phys), 0);
	assert_false(guest_finds_ext(&g->v.pci, 0x10));
	assert_false(guest_finds_ext(&g->v.pci, 0x0e));
	assert_false(guest_finds_ext(&g->v.pci, 0x01));
	assert_true(guest_finds_ext(&g->v.pci, 0x03));
	assert_int_equal(get(g->v.pci.cfg, 0x144, 4), 0x90abcdef);
	for (unsigned int i = 0x150; i < PCI_CFG_SIZE; i++) {
		assert_int_equal(g->v.pci.cfg[i], 0);
		assert_int_equal(g->v.pci.wmask[i], 0);
	}
	assert_int_equal(g->v.layout.n_hidden, 3); /* AER, ARI, SR-IOV */
}

static void guest_writes_to_the_hidden_sriov_capability_change_nothing(void **state)
{
	struct guest *g = *state;
	uint8_t phys[PCI_CFG_SIZE];

	make_82576(phys);
	build(g, phys, sizeof(phys), 0);
	for (unsigned int off = 0x100; off < PCI_CFG_SIZE; off += 4)
		pci_cfg_write(&g->v.pci, off, 4, ~0u); /* CVE-2024-26327, CVE-2024-26328 */
	assert_int_equal(pci_cfg_read(&g->v.pci, 0x168, 4), 0);
	assert_int_equal(pci_cfg_read(&g->v.pci, 0x170, 4), 0);
	assert_false(guest_finds_ext(&g->v.pci, 0x10));
}

static void standard_chain_keeps_pm_express_and_msi(void **state)
{
	struct guest *g = *state;
	uint8_t phys[PCI_CFG_SIZE];
	const struct vfio_layout *l = &g->v.layout;

	make_82576(phys);
	build(g, phys, sizeof(phys), 0);
	assert_true(guest_finds_cap(&g->v.pci, 0x01));
	assert_true(guest_finds_cap(&g->v.pci, 0x10));
	assert_true(guest_finds_cap(&g->v.pci, 0x05));
	assert_int_equal(l->msi, 0x50);
	assert_int_equal(l->msi_len, 24);
	assert_int_equal(get(g->v.pci.cfg, 0x52, 2), 0x0180); /* off, 64 bits, can mask */
	assert_true(l->intx_pin);
	assert_int_equal(l->msix, 0x70);
	assert_int_equal(l->n_vectors, 10);
	assert_int_equal(l->table_bar, 3);
	assert_int_equal(l->table_off, 0);
	assert_int_equal(l->pba_bar, 3);
	assert_int_equal(l->pba_off, 0x2000);
	assert_int_equal(l->exp, 0xa0);
	assert_int_equal(get(g->v.pci.cfg, 0x00, 4), 0x10c98086);
	assert_int_equal(get(g->v.pci.cfg, 0x2c, 4), 0xa03c8086);
	assert_int_equal(g->v.pci.cfg[0x3d], 1);                   /* INTA# */
	assert_int_equal(g->v.pci.cfg[0x0e], 0);                   /* not multi-function */
	assert_int_equal(get(g->v.pci.cfg, 0x30, 4), 0);           /* no ROM */
	assert_int_equal(get(g->v.pci.cfg, 0xa2, 2) >> 4 & 15, 9); /* integrated endpoint */
	assert_int_equal(get(g->v.pci.cfg, 0xac, 4), 0);           /* without a link */
	assert_true(get(g->v.pci.cfg, 0xa4, 4) & 1 << 28);
}

static void a_pci_only_snapshot_has_no_extended_chain(void **state)
{
	struct guest *g = *state;
	uint8_t phys[PCI_CFG_SIZE];

	make_82576(phys);
	build(g, phys, 256, 0);
	assert_int_equal(get(g->v.pci.cfg, 0x100, 4), 0);
}

static void broken_chains_end_with_an_error(void **state)
{
	struct guest *g = *state;
	uint8_t phys[PCI_CFG_SIZE];

	make_82576(phys);
	phys[0x71] = 0x40; /* back to the first */
	build(g, phys, sizeof(phys), -EINVAL);
	make_82576(phys);
	phys[0x71] = 0x10; /* into the BARs */
	build(g, phys, sizeof(phys), -EINVAL);
	make_82576(phys);
	put(phys, 0x150, 0x1401000e, 4); /* the extended chain bites itself */
	build(g, phys, sizeof(phys), -EINVAL);
	make_82576(phys);
	put(phys, 0x150, 0x0401000e, 4); /* and leaves its space */
	build(g, phys, sizeof(phys), -EINVAL);
	make_82576(phys);
	phys[0x0e] = 1; /* a bridge */
	build(g, phys, sizeof(phys), -EINVAL);
	make_82576(phys);
	put(phys, 0x74, 7, 4); /* MSI-X table in BAR 7 */
	build(g, phys, sizeof(phys), -EINVAL);
	make_82576(phys);
	phys[0xa1] = 0xf8; /* an Express capability that does not fit */
	put(phys, 0xf8, 0x00020010, 4);
	build(g, phys, sizeof(phys), -EINVAL);
}

static void every_byte_of_a_random_snapshot_is_survived(void **state)
{
	struct guest *g = *state;
	uint8_t phys[PCI_CFG_SIZE];
	uint32_t x = 1;

	for (int round = 0; round < 3000; round++) {
		struct pci_id id;

		make_82576(phys);
		for (int i = 0; i < 12; i++) {
			x = x * 1664525 + 1013904223;
			phys[x >> 16 & (i & 1 ? 0xfff : 0xff)] = (uint8_t)(x >> 8);
		}
		vfio_config_id(phys, &id);
		pci_dev_init(&g->v.pci, g->vm, "nic0", &id, NULL);
		vfio_config_build(&g->v.pci, phys, sizeof(phys), false, &g->v.layout);
		assert_false(guest_finds_ext(&g->v.pci, 0x10));
	}
}

/* --- splitting --- */
static const struct vfio_span none = { 0, 0 };

static void assert_area(struct vfio_area a, uint64_t off, uint64_t size, bool mapped)
{
	assert_true(a.off == off);
	assert_true(a.size == size);
	assert_int_equal(a.mapped, mapped);
}

static void bar_without_table_is_mapped_whole(void **state)
{
	struct vfio_area out[VFIO_MAX_AREAS];
	struct vfio_span all = { 0, 0x20000 };

	assert_int_equal(vfio_bar_split(0x20000, &all, 1, none, out), 1);
	assert_area(out[0], 0, 0x20000, true);
}

static void only_the_page_of_the_table_is_trapped(void **state)
{
	struct vfio_area out[VFIO_MAX_AREAS];
	struct vfio_span all = { 0, 0x4000 }, table = { 0x2010, 160 };

	assert_int_equal(vfio_bar_split(0x4000, &all, 1, table, out), 3);
	assert_area(out[0], 0, 0x2000, true);
	assert_area(out[1], 0x2000, 0x1000, false);
	assert_true(out[1].mappable);
	assert_area(out[2], 0x3000, 0x1000, true);
}

static void table_at_the_start_and_over_pages(void **state)
{
	struct vfio_area out[VFIO_MAX_AREAS];
	struct vfio_span all = { 0, 0x4000 }, first = { 0, 48 }, two = { 0x0ff0, 32 },
			 last = { 0x3000, 0x1000 };

	assert_int_equal(vfio_bar_split(0x4000, &all, 1, first, out), 2);
	assert_area(out[0], 0, 0x1000, false);
	assert_area(out[1], 0x1000, 0x3000, true);
	assert_int_equal(vfio_bar_split(0x4000, &all, 1, two, out), 2);
	assert_area(out[0], 0, 0x2000, false);
	assert_int_equal(vfio_bar_split(0x4000, &all, 1, last, out), 2);
	assert_area(out[1], 0x3000, 0x1000, false);
}

static void sparse_spans_are_honoured(void **state)
{
	struct vfio_area out[VFIO_MAX_AREAS];
	struct vfio_span spans[] = { { 0x8000, 0x2000 }, { 0, 0x1000 } }, table = { 0x1000, 16 };

	assert_int_equal(vfio_bar_split(0x10000, spans, 2, table, out), 4);
	assert_area(out[0], 0, 0x1000, true);
	assert_area(out[1], 0x1000, 0x7000, false);
	assert_false(out[1].mappable);
	assert_area(out[2], 0x8000, 0x2000, true);
	assert_area(out[3], 0xa000, 0x6000, false);
}

static void spans_shrink_to_whole_pages(void **state)
{
	struct vfio_area out[VFIO_MAX_AREAS];
	struct vfio_span odd = { 0x800, 0x2000 };

	assert_int_equal(vfio_bar_split(0x4000, &odd, 1, none, out), 3);
	assert_area(out[0], 0, 0x1000, false);
	assert_area(out[1], 0x1000, 0x1000, true);
	assert_area(out[2], 0x2000, 0x2000, false);
}

static void bar_below_a_page_is_trapped(void **state)
{
	struct vfio_area out[VFIO_MAX_AREAS];
	struct vfio_span all = { 0, 256 }, table = { 0, 64 };

	assert_int_equal(vfio_bar_split(256, &all, 1, table, out), 1);
	assert_area(out[0], 0, 256, false);
	assert_int_equal(vfio_bar_split(16, NULL, 0, none, out), 1);
	assert_area(out[0], 0, 16, false);
}

static void bar_that_cannot_be_mapped_is_trapped_whole(void **state)
{
	struct vfio_area out[VFIO_MAX_AREAS];

	assert_int_equal(vfio_bar_split(0x4000, NULL, 0, (struct vfio_span){ 0x1000, 16 }, out), 1);
	assert_area(out[0], 0, 0x4000, false);
}

static void spans_outside_the_bar_are_refused(void **state)
{
	struct vfio_area out[VFIO_MAX_AREAS];
	struct vfio_span beyond = { 0x3000, 0x2000 }, wrap = { ~0ull - 0xfff, 0x2000 },
			 all = { 0, 0x4000 };
	struct vfio_span many[VFIO_MAX_SPANS + 1] = { { 0, 0 } };

	assert_int_equal(vfio_bar_split(0x4000, &beyond, 1, none, out), -EINVAL);
	assert_int_equal(vfio_bar_split(0x4000, &wrap, 1, none, out), -EINVAL);
	assert_int_equal(vfio_bar_split(0x4000, &all, 1, beyond, out), -EINVAL);
	assert_int_equal(vfio_bar_split(0, &none, 1, none, out), -EINVAL);
	assert_int_equal(vfio_bar_split(0x4000, many, VFIO_MAX_SPANS + 1, none, out), -E2BIG);
}

static void areas_always_cover_the_bar_without_gap_or_overlap(void **state)
{
	struct vfio_area out[VFIO_MAX_AREAS];
	struct vfio_span spans[VFIO_MAX_SPANS];
	uint32_t x = 7;

	for (int round = 0; round < 5000; round++) {
		uint64_t size = 0x1000ull << (round % 10), at = 0;
		struct vfio_span table;
		unsigned int n = (unsigned int)round % (VFIO_MAX_SPANS + 1);
		int areas;

		for (unsigned int i = 0; i < n; i++) {
			x = x * 1664525 + 1013904223;
			spans[i].off = (x >> 4) % size;
			x = x * 1664525 + 1013904223;
			spans[i].size = (x >> 4) % (size - spans[i].off + 1);
		}
		x = x * 1664525 + 1013904223;
		table.off = (x >> 4) % size & ~7ull;
		table.size = size - table.off < 160 ? size - table.off : 160;
		areas = vfio_bar_split(size, spans, n, table, out);
		assert_in_range(areas, 1, VFIO_MAX_AREAS);
		for (int i = 0; i < areas; i++) {
			assert_true(out[i].off == at && out[i].size && out[i].size % 4096 == 0);
			assert_true(!out[i].mapped || out[i].mappable);
			if (out[i].mapped)
				assert_false(out[i].off < table.off + table.size &&
					     table.off < out[i].off + out[i].size);
			at += out[i].size;
		}
		assert_true(at == size);
	}
}

/* --- vectors --- */
struct script {
	unsigned int n_calls, start[32], count[32];
	bool off[32];
	int ret[32]; /* what the kernel answers */
};

static int script_set(void *opaque, unsigned int start, unsigned int count, const int32_t *fds)
{
	struct script *s = opaque;
	unsigned int i = s->n_calls++;

	s->start[i] = start;
	s->count[i] = count;
	s->off[i] = !fds;
	return s->ret[i];
}

static void first_vector_enables_the_whole_table_on_older_kernels(void **state)
{
	struct script s = { 0 };
	struct vfio_irq q;

	assert_int_equal(vfio_irq_init(&q, 10, false, script_set, &s), 0);
	assert_int_equal(vfio_irq_use(&q, 0, 50), 0);
	assert_int_equal(vfio_irq_use(&q, 3, 53), 0);
	assert_int_equal(vfio_irq_use(&q, 3, 53), 0); /* unmasked again: no call */
	assert_int_equal(s.n_calls, 2);
	assert_true(s.start[0] == 0 && s.count[0] == 10);
	assert_true(s.start[1] == 3 && s.count[1] == 1);
	assert_int_equal(vfio_irq_count(&q), 2);
	vfio_irq_off(&q);
	vfio_irq_off(&q);
	assert_int_equal(s.n_calls, 3);
	assert_true(s.off[2]);
	assert_int_equal(vfio_irq_count(&q), 0);
	vfio_irq_free(&q);
}

static void range_grows_on_newer_kernels(void **state)
{
	struct script s = { 0 };
	struct vfio_irq q;

	assert_int_equal(vfio_irq_init(&q, 2048, true, script_set, &s), 0);
	assert_int_equal(vfio_irq_use(&q, 1, 51), 0);
	assert_int_equal(vfio_irq_use(&q, 5, 55), 0);
	assert_int_equal(vfio_irq_use(&q, 0, 50), 0);
	assert_int_equal(s.n_calls, 3);
	assert_true(s.start[0] == 0 && s.count[0] == 2);
	assert_true(s.start[1] == 2 && s.count[1] == 4);
	assert_true(s.start[2] == 0 && s.count[2] == 1);
	vfio_irq_free(&q);
}

static void too_few_host_vectors_fall_back_and_lose_no_interrupt(void **state)
{
	struct script s = { .ret = { 3, 0, 0, 0 } }; /* 3 are there instead of 10 */
	int a = eventfd(0, EFD_NONBLOCK), b = eventfd(0, EFD_NONBLOCK);
	struct vfio_irq q;
	uint64_t v;

	assert_int_equal(vfio_irq_init(&q, 10, false, script_set, &s), 0);
	assert_int_equal(vfio_irq_use(&q, 0, a), 0);
	assert_true(s.count[0] == 10 && s.count[1] == 1);
	assert_int_equal(read(a, &v, 8), -1);
	assert_int_equal(vfio_irq_use(&q, 1, b), 0);
	assert_true(s.off[2] && s.start[3] == 0 && s.count[3] == 2);
	assert_int_equal(read(a, &v, 8), 8); /* it may have fired while MSI-X was off */
	assert_int_equal(read(b, &v, 8), 8);
	vfio_irq_free(&q);
	close(a);
	close(b);
}

static void vector_that_the_kernel_refuses_is_an_error_and_stays_unused(void **state)
{
	struct script s = { .ret = { -ENOSPC, -ENOSPC } };
	struct vfio_irq q;

	assert_int_equal(vfio_irq_init(&q, 4, false, script_set, &s), 0);
	assert_int_equal(vfio_irq_use(&q, 1, 50), -ENOSPC);
	assert_int_equal(vfio_irq_count(&q), 0);
	assert_int_equal(q.n_errors, 1);
	assert_int_equal(vfio_irq_use(&q, 4, 50), -EINVAL);
	vfio_irq_free(&q);
}

/* --- a BAR in the guest --- */
static const struct pci_dev_ops bar_ops = { .bar_map = vfio_bar_map };

/* BAR 0: three pages, the second trapped with an MSI-X table of 2 vectors at 0x1010 and pending
 * bits at 0x1100; memory stands in for the device. */
static void make_bar(struct guest *g, char *mem)
{
	struct pci_id id = { .vendor = 1 };
	struct vfio_bar *b = &g->v.bar[0];
	struct vfio_area areas[VFIO_MAX_AREAS];
	struct vfio_span all = { 0, 0x4000 }, table = { 0x1010, 32 };

	pci_dev_init(&g->v.pci, g->vm, "nic0", &id, &bar_ops);
	assert_int_equal(
		pci_add_bar(&g->v.pci, 0, PCI_BAR_CUSTOM, 0x4000, false, false, NULL, NULL), 0);
	b->size = 0x4000;
	b->n_pieces = (unsigned int)vfio_bar_split(0x4000, &all, 1, table, areas);
	assert_int_equal(b->n_pieces, 3);
	for (unsigned int i = 0; i < 3; i++)
		b->piece[i] = (struct vfio_piece){
			.area = areas[i], .v = &g->v, .slot = -1, .hva = mem + areas[i].off
		};
	g->v.layout = (struct vfio_layout){
		.msix = 0x70, .n_vectors = 2, .table_off = 0x1010, .pba_off = 0x1100
	};
	assert_int_equal(pci_add_msix(&g->v.pci, 0x70, 2, 0, 0x1010, 0x1100, false, NULL), 0);
	assert_int_equal(pci_register(&g->v.pci), 0);
}

static char *make_pages(void)
{
	char *p = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static void bar_is_shown_moved_and_hidden(void **state)
{
	struct guest *g = *state;
	struct pci_dev *d = &g->v.pci;
	char *pages = make_pages();
	unsigned int before = vm_fake_counts(g->vm)->slots;
	uint64_t val;

	make_bar(g, pages);
	pci_cfg_write(d, 0x04, 2, 2);
	assert_int_equal(vm_fake_counts(g->vm)->slots, before + 2);
	pci_cfg_write(d, 0x10, 4, 0xd0000000);
	assert_int_equal(vm_fake_counts(g->vm)->slots, before + 2);
	assert_true(bus_read(vm_mmio(g->vm), 0, 0xd0001800, 4, &val));
	pci_cfg_write(d, 0x04, 2, 0);
	assert_int_equal(vm_fake_counts(g->vm)->slots, before);
	assert_false(bus_read(vm_mmio(g->vm), 0, 0xd0000000, 4, &val));
	assert_false(bus_read(vm_mmio(g->vm), 0, 0xd0001800, 4, &val));
	pci_unregister(d);
	pci_msix_free(d);
	munmap(pages, 0x4000);
}

static void bar_over_ram_another_bar_and_zero_is_nowhere(void **state)
{
	static const uint32_t bad[] = { 0,          0x00100000, 0x003ff000 & ~0x3fffu,
					0xe0000000, 0xfee00000, 0xffffc000 };
	struct guest *g = *state;
	struct pci_dev *d = &g->v.pci;
	char *pages = make_pages();
	unsigned int before = vm_fake_counts(g->vm)->slots;

	make_bar(g, pages);
	pci_cfg_write(d, 0x04, 2, 2);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pci_cfg_write(d, 0x10, 4, bad[i]);
		if (bad[i] == 0xe0000000 ||
		    bad[i] == 0xffffc000) /* over another trapped region, and the top of 32 bits:
					     this guest's own affair */
			continue;
		assert_int_equal(vm_fake_counts(g->vm)->slots, before);
	}
	pci_cfg_write(d, 0x10, 4, 0xd0000000);
	assert_int_equal(vm_fake_counts(g->vm)->slots, before + 2);
	pci_unregister(d);
	assert_int_equal(vm_fake_counts(g->vm)->slots, before);
	pci_msix_free(d);
	munmap(pages, 0x4000);
}

static void trapped_page_splits_table_from_device_bytes(void **state)
{
	struct guest *g = *state;
	struct pci_dev *d = &g->v.pci;
	char *pages = make_pages();
	struct bus *mmio = vm_mmio(g->vm);
	uint64_t val;

	make_bar(g, pages);
	pci_cfg_write(d, 0x10, 4, 0xd0000000);
	pci_cfg_write(d, 0x04, 2, 2);
	bus_write(mmio, 0, 0xd0001000, 4, 0x11223344); /* a doorbell in front of the table */
	assert_int_equal(*(uint32_t *)(pages + 0x1000), 0x11223344);
	bus_write(mmio, 0, 0xd0001010, 4, 0xfee00000); /* the table is core's */
	assert_int_equal(*(uint32_t *)(pages + 0x1010), 0);
	assert_true(bus_read(mmio, 0, 0xd0001010, 4, &val));
	assert_int_equal(val, 0xfee00000);
	bus_write(mmio, 0, 0xd000100c, 8, ~0ull); /* across its edge: nobody's */
	assert_int_equal(*(uint32_t *)(pages + 0x100c), 0);
	bus_write(mmio, 0, 0xd0001100, 4, ~0u); /* pending bits are read-only */
	assert_int_equal(*(uint32_t *)(pages + 0x1100), 0);
	bus_write(mmio, 0, 0xd0001fff, 1, 0x77);
	assert_int_equal(pages[0x1fff], 0x77);
	assert_int_equal(atomic_load(&g->v.n.trapped_reads), 1);
	assert_int_equal(atomic_load(&g->v.n.trapped_writes), 5);
	pci_unregister(d);
	pci_msix_free(d);
	munmap(pages, 0x4000);
}

static void trapped_access_goes_by_descriptor_when_it_is_not_mapped(void **state)
{
	struct guest *g = *state;
	char name[] = "/tmp/fourlane-bar-XXXXXX", *pages = make_pages();
	struct bus *mmio = vm_mmio(g->vm);
	uint64_t val;

	make_bar(g, pages);
	g->v.fd = mkstemp(name);
	assert_true(g->v.fd >= 0);
	assert_int_equal(ftruncate(g->v.fd, 0x8000), 0);
	g->v.bar[0].fd_off = 0x4000;
	g->v.bar[0].piece[1].hva = NULL;
	pci_cfg_write(&g->v.pci, 0x10, 4, 0xd0000000);
	pci_cfg_write(&g->v.pci, 0x04, 2, 2);
	bus_write(mmio, 0, 0xd0001802, 2, 0xbeef);
	assert_int_equal(pread(g->v.fd, &val, 2, 0x4000 + 0x1802), 2);
	assert_int_equal((uint16_t)val, 0xbeef);
	assert_true(bus_read(mmio, 0, 0xd0001800, 4, &val));
	assert_int_equal(val, 0xbeef0000);
	pci_unregister(&g->v.pci);
	pci_msix_free(&g->v.pci);
	close(g->v.fd);
	g->v.fd = -1;
	unlink(name);
	munmap(pages, 0x4000);
}

#define P(f) cmocka_unit_test(f)
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		P(sriov_is_hidden),
		P(ats_is_hidden),
		P(pri_is_hidden),
		P(pasid_is_hidden),
		P(resizable_bar_is_hidden),
		P(vf_resizable_bar_is_hidden),
		P(acs_is_hidden),
		P(ari_is_hidden),
		P(aer_is_hidden),
		P(tph_is_hidden),
		P(msi_is_emulated),
		P(vpd_is_hidden),
		P(power_management_is_emulated),
		P(pci_express_is_emulated),
		P(msix_is_emulated),
		P(serial_number_is_fixed),
		P(vendor_specific_is_read_from_the_device),
		P(only_named_capabilities_are_shown),
		T(guest_of_an_82576_never_sees_sriov),
		T(guest_writes_to_the_hidden_sriov_capability_change_nothing),
		T(standard_chain_keeps_pm_express_and_msi),
		T(a_pci_only_snapshot_has_no_extended_chain),
		T(broken_chains_end_with_an_error),
		T(every_byte_of_a_random_snapshot_is_survived),
		P(bar_without_table_is_mapped_whole),
		P(only_the_page_of_the_table_is_trapped),
		P(table_at_the_start_and_over_pages),
		P(sparse_spans_are_honoured),
		P(spans_shrink_to_whole_pages),
		P(bar_below_a_page_is_trapped),
		P(bar_that_cannot_be_mapped_is_trapped_whole),
		P(spans_outside_the_bar_are_refused),
		P(areas_always_cover_the_bar_without_gap_or_overlap),
		P(first_vector_enables_the_whole_table_on_older_kernels),
		P(range_grows_on_newer_kernels),
		P(too_few_host_vectors_fall_back_and_lose_no_interrupt),
		P(vector_that_the_kernel_refuses_is_an_error_and_stays_unused),
		T(bar_is_shown_moved_and_hidden),
		T(bar_over_ram_another_bar_and_zero_is_nowhere),
		T(trapped_page_splits_table_from_device_bytes),
		T(trapped_access_goes_by_descriptor_when_it_is_not_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
