/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BARs of a passed-through device: each region of the kernel is mapped here and shown in the guest
 * by memory slots, so that a doorbell is a store without an exit; only the pages with the MSI-X
 * table, and what the kernel will not map, are trapped. Called by core's PCI bus when the guest
 * switches or moves a BAR. I/O BARs are not shown (drivers of PCI Express devices do without:
 * PCIe 4.0 section 1.3.2.1); BARs are not mapped for the DMA of other devices.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"
#include "vfio_priv.h"

#define HUGE_ALIGN_MAX (1ull << 30)

/* --- what the kernel tells ------------------------------------------------ */

static const struct vfio_region_info_cap_sparse_mmap *region_sparse(
	const struct vfio_region_info *info)
{
	size_t off = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;

	for (int i = 0; i < 32 && off; i++) {
		const struct vfio_info_cap_header *h = (const void *)((const char *)info + off);

		if (off + sizeof(*h) > info->argsz)
			return NULL;
		if (h->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			return off + sizeof(struct vfio_region_info_cap_sparse_mmap) <= info->argsz
				       ? (const void *)h
				       : NULL;
		off = h->next;
	}
	return NULL;
}

/* The spans that may be mapped; gives their number. */
static int region_spans(const struct vfio_region_info *info, struct vfio_span *spans)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse = region_sparse(info);
	size_t room;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	if (!sparse) {
		spans[0] = (struct vfio_span){ 0, info->size };
		return 1;
	}
	room = info->argsz - (size_t)((const char *)sparse - (const char *)info) - sizeof(*sparse);
	if (sparse->nr_areas > VFIO_MAX_SPANS || sparse->nr_areas * sizeof(sparse->areas[0]) > room)
		return -EPROTO;
	for (unsigned int i = 0; i < sparse->nr_areas; i++)
		spans[i] = (struct vfio_span){ sparse->areas[i].offset, sparse->areas[i].size };
	return (int)sparse->nr_areas;
}

/* --- accesses that are trapped -------------------------------------------- */

static uint64_t piece_load(const char *p, unsigned int size)
{
	switch (size) {
	case 1: return *(const volatile uint8_t *)p;
	case 2: return *(const volatile uint16_t *)p;
	case 4: return *(const volatile uint32_t *)p;
	default: return *(const volatile uint64_t *)p;
	}
}

static void piece_store(char *p, unsigned int size, uint64_t val)
{
	switch (size) {
	case 1: *(volatile uint8_t *)p = (uint8_t)val; break;
	case 2: *(volatile uint16_t *)p = (uint16_t)val; break;
	case 4: *(volatile uint32_t *)p = (uint32_t)val; break;
	default: *(volatile uint64_t *)p = val;
	}
}

/* Where an access goes that is trapped. */
enum piece_part { PART_DEVICE, PART_TABLE, PART_PBA, PART_NONE };

static bool part_inside(uint64_t off, unsigned int size, uint64_t start, uint64_t len)
{
	return off >= start && off + size <= start + len;
}

static bool part_touches(uint64_t off, unsigned int size, uint64_t start, uint64_t len)
{
	return off < start + len && start < off + size;
}

/* The guest's MSI-X table and pending bits are core's; an access across the edge of the table
 * belongs to nobody. */
static enum piece_part piece_part(const struct vfio_piece *p, uint64_t off, unsigned int size)
{
	const struct vfio_layout *l = &p->v->layout;
	uint64_t table_len = 16ull * l->n_vectors, pba_len = (l->n_vectors + 63) / 64 * 8ull;

	if (l->msix && p->bar == l->table_bar && part_touches(off, size, l->table_off, table_len))
		return part_inside(off, size, l->table_off, table_len) ? PART_TABLE : PART_NONE;
	if (l->msix && p->bar == l->pba_bar && part_touches(off, size, l->pba_off, pba_len))
		return part_inside(off, size, l->pba_off, pba_len) ? PART_PBA : PART_NONE;
	return PART_DEVICE;
}

static uint64_t piece_read(void *opaque, uint64_t off, unsigned int size)
{
	struct vfio_piece *p = opaque;
	struct vfio_dev *v = p->v;
	uint64_t bar_off = p->area.off + off, val = 0;

	atomic_fetch_add_explicit(&v->n.trapped_reads, 1, memory_order_relaxed);
	switch (piece_part(p, bar_off, size)) {
	case PART_TABLE: return pci_msix_table_read(&v->pci, bar_off - v->layout.table_off, size);
	case PART_PBA: return pci_msix_pba_read(&v->pci, bar_off - v->layout.pba_off, size);
	case PART_NONE: return ~0ull;
	case PART_DEVICE: break;
	}
	if (p->hva && !(off & (size - 1)))
		return piece_load(p->hva + off, size);
	if (pread(v->fd, &val, size, (off_t)(v->bar[p->bar].fd_off + bar_off)) != (ssize_t)size)
		return ~0ull;
	return val;
}

static void piece_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	struct vfio_piece *p = opaque;
	struct vfio_dev *v = p->v;
	uint64_t bar_off = p->area.off + off;

	atomic_fetch_add_explicit(&v->n.trapped_writes, 1, memory_order_relaxed);
	switch (piece_part(p, bar_off, size)) {
	case PART_TABLE:
		pci_msix_table_write(&v->pci, bar_off - v->layout.table_off, size, val);
		return;
	case PART_PBA:
	case PART_NONE: return;
	case PART_DEVICE: break;
	}
	if (p->hva && !(off & (size - 1)))
		piece_store(p->hva + off, size, val);
	else if (pwrite(v->fd, &val, size, (off_t)(v->bar[p->bar].fd_off + bar_off)) < 0)
		return; /* as a write to a device that does not answer */
}

static const struct bus_ops piece_ops = { .read = piece_read, .write = piece_write };

/* --- making them ---------------------------------------------------------- */

/* Address space for a BAR, aligned like the BAR so that the kernel can use huge page table entries
 * on both sides. */
static char *bar_reserve(uint64_t size)
{
	uint64_t align = size < HUGE_ALIGN_MAX ? size : HUGE_ALIGN_MAX, head;
	char *p = mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	head = (align - ((uintptr_t)p & (align - 1))) & (align - 1);
	if (head)
		munmap(p, head);
	if (align - head)
		munmap(p + head + size, align - head);
	return p + head;
}

static int bar_map_pieces(struct vfio_dev *v, struct vfio_bar *b, const struct vfio_area *areas,
			  int n, unsigned int idx)
{
	bool any = false;

	for (int i = 0; i < n; i++) {
		any |= areas[i].mappable;
		b->piece[i] =
			(struct vfio_piece){ .area = areas[i], .v = v, .bar = idx, .slot = -1 };
	}
	b->n_pieces = (unsigned int)n;
	if (!any)
		return 0;
	b->hva = bar_reserve(b->size);
	if (!b->hva)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		struct vfio_piece *p = &b->piece[i];
		void *want = b->hva + p->area.off;

		if (!p->area.mappable)
			continue;
		if (mmap(want, p->area.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, v->fd,
			 (off_t)(b->fd_off + p->area.off)) == want)
			p->hva = want;
		else if (p->area.mapped)
			p->area.mapped = false; /* trapped then: slower, not wrong */
	}
	return 0;
}

/* What a guest reaches by leaving to user space, the registers of BARs below a page among it. */
static uint64_t bar_trapped(const struct vfio_bar *b)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < b->n_pieces; i++)
		bytes += b->piece[i].area.mapped ? 0 : b->piece[i].area.size;
	return bytes;
}

static uint32_t bar_register(struct vfio_dev *v, unsigned int idx)
{
	uint32_t val = 0;

	if (pread(v->fd, &val, sizeof(val), (off_t)(v->cfg_off + 0x10 + 4 * idx)) != sizeof(val))
		return 1; /* taken for an I/O BAR: not shown */
	return val;
}

static int bar_create(struct vfio_dev *v, unsigned int idx, const struct vfio_region_info *info)
{
	struct vfio_span spans[VFIO_MAX_SPANS], trap = { 0, 0 };
	struct vfio_area areas[VFIO_MAX_AREAS];
	struct vfio_bar *b = &v->bar[idx];
	uint32_t reg = bar_register(v, idx);
	int n, ret;

	if (reg & 1) {
		v->n_io_bars++;
		return 0;
	}
	if (v->layout.msix && v->layout.table_bar == idx)
		trap = (struct vfio_span){ v->layout.table_off, 16ull * v->layout.n_vectors };
	n = region_spans(info, spans);
	if (n < 0)
		return n;
	n = vfio_bar_split(info->size, spans, (size_t)n, trap, areas);
	if (n < 0)
		return n;
	b->size = info->size;
	b->fd_off = info->offset;
	ret = bar_map_pieces(v, b, areas, n, idx);
	v->trapped_bytes += bar_trapped(b);
	return ret < 0 ? ret
		       : pci_add_bar(&v->pci, idx, PCI_BAR_CUSTOM, b->size, (reg & 6) == 4, reg & 8,
				     NULL, NULL);
}

int vfio_bars_create(struct vfio_dev *v)
{
	bool any = false;

	for (unsigned int i = 0; i < PCI_N_BARS; i++) {
		struct vfio_region_info *info = NULL;
		int ret = vfio_region_get(v->fd, VFIO_PCI_BAR0_REGION_INDEX + i, &info);

		if (ret == 0 && info->size)
			ret = bar_create(v, i, info);
		else if (ret == -EINVAL)
			ret = 0; /* the device has no such region */
		free(info);
		if (ret < 0)
			return err_ret(ret, "passing %s through: BAR %u: %s; see the kernel's log",
				       v->host, i, strerror(-ret));
		any |= v->bar[i].size != 0;
	}
	if (v->n_io_bars && !any)
		return err_ret(-EOPNOTSUPP,
			       "passing %s through: it has I/O BARs only, which are not passed "
			       "through; give the guest a device with memory BARs",
			       v->host);
	if (v->layout.msix && !v->bar[v->layout.table_bar].size)
		return err_ret(-EOPNOTSUPP,
			       "passing %s through: its MSI-X table lies in BAR %u, which is not "
			       "there; report this device",
			       v->host, v->layout.table_bar);
	return 0;
}

void vfio_bars_destroy(struct vfio_dev *v)
{
	for (unsigned int i = 0; i < PCI_N_BARS; i++) {
		if (v->bar[i].hva)
			munmap(v->bar[i].hva, v->bar[i].size);
		v->bar[i].hva = NULL;
	}
}

/* --- in the guest --------------------------------------------------------- */

/*
 * What is mapped stands on the bus, too: so it lies over nothing that is trapped (the bus's own
 * window, another device), nor the other way round, and an access that KVM took up while the part
 * was being moved is answered.
 */
static int piece_show(struct vfio_dev *v, struct vfio_piece *p, uint64_t addr)
{
	struct bus_region r = {
		.base = addr + p->area.off,
		.size = p->area.size,
		.ops = &piece_ops,
		.opaque = p,
		.name = v->pci.name,
		.n_access = &v->pci.bar[p->bar].n_access,
	};
	int ret;

	ret = bus_add(vm_mmio(v->pci.vm), &r);
	p->on_bus = ret == 0;
	if (ret < 0 || !p->area.mapped)
		return ret;
	p->slot = vm_slot_add(v->pci.vm, r.base, p->area.size, p->hva);
	return p->slot < 0 ? p->slot : 0;
}

static void piece_hide(struct vfio_dev *v, struct vfio_piece *p, uint64_t addr)
{
	if (p->slot >= 0)
		vm_slot_remove(v->pci.vm, p->slot);
	p->slot = -1;
	if (p->on_bus)
		bus_remove(vm_mmio(v->pci.vm), addr + p->area.off);
	p->on_bus = false;
}

int vfio_bar_map(struct pci_dev *d, unsigned int idx, uint64_t addr, bool on)
{
	struct vfio_dev *v = (struct vfio_dev *)((char *)d - offsetof(struct vfio_dev, pci));
	struct vfio_bar *b = &v->bar[idx];
	int ret = 0;

	for (unsigned int i = 0; on && ret == 0 && i < b->n_pieces; i++)
		ret = piece_show(v, &b->piece[i], addr);
	if (on && ret == 0) {
		atomic_fetch_add_explicit(&v->n.bar_maps, 1, memory_order_relaxed);
		return 0;
	}
	if (on)
		atomic_fetch_add_explicit(&v->n.bar_map_errors, 1, memory_order_relaxed);
	for (unsigned int i = 0; i < b->n_pieces; i++)
		piece_hide(v, &b->piece[i], addr);
	return ret;
}
