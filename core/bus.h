/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An address space (PIO or MMIO) of trapped regions: a sorted table that readers search without a
 * lock.
 *
 * A change copies the table under a mutex and publishes the copy; an old table is freed when no
 * reader that could have seen it is left (epochs, one slot a reader thread). So a guest may move
 * its BARs for ever without growing us.
 */
#ifndef CORE_BUS_H
#define CORE_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct bus;

#define BUS_READERS_MAX 72 /* vCPUs and the I/O thread */

struct bus_ops {
	/*
	 * `off` is within the region, `size` 1, 2, 4 or 8 bytes and off+size within the region too.
	 * The value is in the low bytes. Called on a vCPU thread (read, write) or the I/O thread
	 * (write, from the coalesced ring).
	 */
	uint64_t (*read)(void *opaque, uint64_t off, unsigned int size);
	void (*write)(void *opaque, uint64_t off, unsigned int size, uint64_t val);
};

struct bus_region {
	uint64_t base;
	uint64_t size;
	const struct bus_ops *ops;
	void *opaque;
	const char *name;   /* for statistics; static or owned by the device */
	uint64_t *n_access; /* counter bumped (relaxed) at each access; may be NULL; outlives the
			       region */
};

int bus_create(struct bus **out);
void bus_destroy(struct bus *b); /* accepts NULL */

/*
 * bus_add - copies *r. -EEXIST when it overlaps another region (the region is not added), -EINVAL
 * for size 0 or wrap.
 */
int bus_add(struct bus *b, const struct bus_region *r);
/*
 * bus_remove - the region that starts at `base`; its ops may still be running on another thread
 * when this returns.
 */
int bus_remove(struct bus *b, uint64_t base);

/*
 * bus_read / bus_write - dispatch. An access that no region holds whole reads all ones and writes
 * nothing, and false is returned. `reader` is the calling thread's slot (vCPU index, or
 * BUS_READER_IO).
 */
#define BUS_READER_IO (BUS_READERS_MAX - 1)
bool bus_read(struct bus *b, unsigned int reader, uint64_t addr, unsigned int size, uint64_t *val);
bool bus_write(struct bus *b, unsigned int reader, uint64_t addr, unsigned int size, uint64_t val);

/* bus_find - copies the region that holds addr; false when none. */
bool bus_find(struct bus *b, unsigned int reader, uint64_t addr, struct bus_region *out);

#endif
