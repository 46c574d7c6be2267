/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The expansion ROM of a passed-through device (PCI 3.0 section 6.2.5.2): a shadow, read from the
 * device once, when the guest first looks at it, because many devices switch their BARs off while
 * their ROM is read. A guest that never looks costs nothing; rombar=0 hides it. The guest places
 * and enables it; we give it no address. Called by vfio_dev.c under the bus's lock; the shadow is
 * read by vCPUs.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "vfio_priv.h"

enum {
	CFG_COMMAND = 0x04,
	COMMAND_MEM = 1 << 1,
	CFG_ROM = 0x30,
	ROM_ENABLE = 1,
};

#define ROM_MIN 2048u
#define ROM_MAX (16u << 20)

int vfio_rom_create(struct vfio_dev *v)
{
	struct vfio_region_info *info;
	struct vfio_rom *r = &v->rom;
	int ret = vfio_region_get(v->fd, VFIO_PCI_ROM_REGION_INDEX, &info);
	uint64_t size;

	if (ret < 0)
		return ret == -EINVAL ? 0 : ret;
	size = info->size;
	r->fd_off = info->offset;
	free(info);
	/* a size that no register can tell: as without one */
	if (size < ROM_MIN || size > ROM_MAX || size & (size - 1))
		return 0;
	r->size = (uint32_t)size;
	pthread_mutex_init(&r->lock, NULL);
	pci_set32(&v->pci, CFG_ROM, 0, (uint32_t)(~(size - 1) | ROM_ENABLE));
	return 0;
}

/* Under the lock. What cannot be read is all ones, as where no ROM answers. */
static void rom_load(struct vfio_dev *v)
{
	struct vfio_rom *r = &v->rom;
	size_t done = 0;

	r->shadow = malloc(r->size);
	if (!r->shadow)
		return;
	memset(r->shadow, 0xff, r->size);
	while (done < r->size) {
		ssize_t n =
			pread(v->fd, r->shadow + done, r->size - done, (off_t)(r->fd_off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_say("passing %s through: reading its expansion ROM: %s; the guest sees "
				"a part of it, rombar=0 hides it",
				v->host, n < 0 ? strerror(errno) : "it ends too early");
			break;
		}
		done += (size_t)n;
	}
}

static uint64_t rom_read(void *opaque, uint64_t off, unsigned int size)
{
	struct vfio_dev *v = opaque;
	struct vfio_rom *r = &v->rom;
	uint64_t val = 0;

	atomic_fetch_add_explicit(&v->n.trapped_reads, 1, memory_order_relaxed);
	pthread_mutex_lock(&r->lock);
	if (!r->shadow)
		rom_load(v);
	if (r->shadow)
		memcpy(&val, r->shadow + off, size);
	else
		val = ~0ull;
	pthread_mutex_unlock(&r->lock);
	return val;
}

static void rom_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	struct vfio_dev *v = opaque;

	/* read-only */
	atomic_fetch_add_explicit(&v->n.trapped_writes, 1, memory_order_relaxed);
}

static const struct bus_ops rom_ops = { .read = rom_read, .write = rom_write };

static void rom_hide(struct vfio_dev *v)
{
	if (v->rom.shown)
		bus_remove(vm_mmio(v->pci.vm), v->rom.addr);
	v->rom.shown = false;
}

void vfio_rom_update(struct vfio_dev *v)
{
	struct vfio_rom *r = &v->rom;
	uint32_t reg = pci_cfg_read(&v->pci, CFG_ROM, 4), addr = reg & ~(ROM_MIN - 1);
	bool on = r->size && reg & ROM_ENABLE && addr &&
		  pci_cfg_read(&v->pci, CFG_COMMAND, 2) & COMMAND_MEM;
	struct bus_region region = {
		.base = addr, .size = r->size, .ops = &rom_ops, .opaque = v, .name = v->pci.name
	};

	if (r->shown && (!on || addr != r->addr))
		rom_hide(v);
	if (!on || r->shown)
		return;
	/* over something else: it answers nowhere until it is moved */
	r->shown = bus_add(vm_mmio(v->pci.vm), &region) == 0;
	r->addr = addr;
}

void vfio_rom_destroy(struct vfio_dev *v)
{
	if (!v->rom.size)
		return;
	rom_hide(v);
	free(v->rom.shadow);
	pthread_mutex_destroy(&v->rom.lock);
	v->rom = (struct vfio_rom){ 0 };
}
