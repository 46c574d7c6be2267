/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See helper_virtio.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "helper_virtio.h"

static void vg_heard(void *opaque, const char *line)
{
	struct vg *g = opaque;

	g->n_messages++;
	snprintf(g->message, sizeof(g->message), "%s", line);
}

uint32_t vg_cfg_read(struct vg *g, unsigned int off, unsigned int size)
{
	uint64_t val;

	bus_write(vm_pio(g->vm), 0, 0xcf8, 4, 0x80000000u | g->slot << 11 | (off & 0xfc));
	bus_read(vm_pio(g->vm), 0, 0xcfc + (off & 3), size, &val);
	return (uint32_t)val;
}

void vg_cfg_write(struct vg *g, unsigned int off, unsigned int size, uint32_t val)
{
	bus_write(vm_pio(g->vm), 0, 0xcf8, 4, 0x80000000u | g->slot << 11 | (off & 0xfc));
	bus_write(vm_pio(g->vm), 0, 0xcfc + (off & 3), size, val);
}

void vg_up(struct vg *g, const char *opts, int tap_fd)
{
	vg_up_fds(g, opts, &tap_fd, tap_fd >= 0);
}

void vg_up_fds(struct vg *g, const char *opts, const int *tap_fd, unsigned int n)
{
	struct device_fd fds[DEVICE_MAX_FDS];

	for (unsigned int i = 0; i < n; i++) {
		fds[i].fd = tap_fd[i];
		snprintf(fds[i].name, sizeof(fds[i].name), i ? "tap%u" : "tap", i);
	}
	vg_up_named(g, opts, fds, n);
}

void vg_up_named(struct vg *g, const char *opts, const struct device_fd *fds, unsigned int n)
{
	struct device *dev;

	memset(g, 0, sizeof(*g));
	err_set_sink(vg_heard, g);
	assert_int_equal(mem_create(VG_MEM, &g->mem), 0);
	assert_int_equal(vm_create_fake(g->mem, &g->vm), 0);
	assert_int_equal(opts_parse(opts, &g->conf.opts), 0);
	g->conf.name = "nic0";
	g->conf.n_fds = n;
	if (n)
		memcpy(g->conf.fds, fds, n * sizeof(*fds));
	assert_int_equal(device_create(g->vm, &g->conf, &dev), 0);
	g->v = (struct vnet *)((char *)dev - offsetof(struct vnet, dev));
	g->slot = g->v->vd.pci.slot;
	vg_cfg_write(g, 4, 2, 0x6);
	g->bar = (vg_cfg_read(g, 0x10, 4) & ~15u) | (uint64_t)vg_cfg_read(g, 0x14, 4) << 32;
}

void vg_down(struct vg *g)
{
	device_destroy(&g->v->dev);
	vm_destroy(g->vm);
	mem_destroy(g->mem);
	opts_free(g->conf.opts);
	err_set_sink(NULL, NULL);
}

uint64_t vg_read(struct vg *g, uint64_t off, unsigned int size)
{
	uint64_t val;

	assert_true(bus_read(vm_mmio(g->vm), 0, g->bar + off, size, &val));
	return val;
}

void vg_write(struct vg *g, uint64_t off, unsigned int size, uint64_t val)
{
	assert_true(bus_write(vm_mmio(g->vm), 0, g->bar + off, size, val));
}

unsigned int vg_cap(struct vg *g, uint8_t type)
{
	unsigned int at = vg_cfg_read(g, 0x34, 1);

	while (at && !(vg_cfg_read(g, at, 1) == 0x09 && vg_cfg_read(g, at + 3, 1) == type))
		at = vg_cfg_read(g, at + 1, 1);
	return at;
}

void vg_set_features(struct vg *g, uint64_t features)
{
	for (uint32_t half = 0; half < 2; half++) {
		vg_write(g, 0x08, 4, half);
		vg_write(g, 0x0c, 4, (uint32_t)(features >> (32 * half)));
	}
}

void vg_negotiate(struct vg *g, uint64_t features)
{
	vg_set_status(g, 0);
	vg_set_status(g, 1);
	vg_set_status(g, 1 | 2);
	vg_set_features(g, features);
	vg_set_status(g, 1 | 2 | 8);
}

static void vg_write_addr(struct vg *g, unsigned int off, uint64_t addr)
{
	vg_write(g, off, 4, (uint32_t)addr);
	vg_write(g, off + 4, 4, addr >> 32);
}

void vg_setup_queue(struct vg *g, unsigned int q, uint16_t size)
{
	vg_write(g, 0x16, 2, q);
	vg_write(g, 0x18, 2, size);
	vg_write(g, 0x1a, 2, q);
	vg_write_addr(g, 0x20, VG_RING(q));
	vg_write_addr(g, 0x28, VG_RING(q) + VG_AVAIL_OFF);
	vg_write_addr(g, 0x30, VG_RING(q) + VG_USED_OFF);
	vg_write(g, 0x1c, 2, 1);
}

void vg_start(struct vg *g, uint64_t features, uint16_t size)
{
	g->size = size;
	memset(vg_ptr(g, VG_RING(0)), 0, VG_RING_STEP * VG_QUEUES);
	vg_negotiate(g, features);
	vg_setup_queue(g, VG_RX, size);
	vg_setup_queue(g, VG_TX, size);
	vg_set_status(g, 1 | 2 | 8 | 4);
}

void vg_start_all(struct vg *g, uint64_t features, uint16_t size, unsigned int n)
{
	g->size = size;
	memset(vg_ptr(g, VG_RING(0)), 0, VG_RING_STEP * VG_QUEUES);
	vg_negotiate(g, features);
	for (unsigned int q = 0; q < n; q++)
		vg_setup_queue(g, q, size);
	vg_set_status(g, 1 | 2 | 8 | 4);
}

uint8_t vg_command(struct vg *g, unsigned int q, const void *cmd, uint32_t len)
{
	uint8_t *status = vg_ptr(g, VG_DATA + 0x10000);
	uint16_t used = vg_used(g, q)->idx;

	if (len)
		memcpy(vg_ptr(g, VG_DATA), cmd, len);
	*status = 0xee;
	vg_set_desc(g, q, 0, VG_DATA, len, 1, 1);
	vg_set_desc(g, q, 1, VG_DATA + 0x10000, 1, 2, 0);
	vg_post(g, q, 0);
	vg_poll(g);
	if (vg_used(g, q)->idx == used)
		return 0xee;
	assert_int_equal(vg_used(g, q)->ring[used % g->size].len, 1);
	return *status;
}

void *vg_ptr(struct vg *g, uint64_t gpa)
{
	return mem_ptr(g->mem, gpa, 1);
}

struct virtq_desc *vg_desc(struct vg *g, unsigned int q)
{
	return vg_ptr(g, VG_RING(q));
}

struct virtq_avail *vg_avail(struct vg *g, unsigned int q)
{
	return vg_ptr(g, VG_RING(q) + VG_AVAIL_OFF);
}

struct virtq_used *vg_used(struct vg *g, unsigned int q)
{
	return vg_ptr(g, VG_RING(q) + VG_USED_OFF);
}

void vg_set_desc(struct vg *g, unsigned int q, unsigned int idx, uint64_t addr, uint32_t len,
		 uint16_t flags, uint16_t next)
{
	vg_desc(g, q)[idx] =
		(struct virtq_desc){ .addr = addr, .len = len, .flags = flags, .next = next };
}

void vg_post(struct vg *g, unsigned int q, uint16_t head)
{
	struct virtq_avail *a = vg_avail(g, q);

	a->ring[a->idx % g->size] = head;
	a->idx++;
}

unsigned int vg_poll(struct vg *g)
{
	return g->v->poller.poll(&g->v->poller);
}

struct vg_sink {
	struct stats_sink sink;
	const char *name;
	uint64_t value;
	bool found;
};

static void vg_put(struct stats_sink *s, const char *name, uint64_t value)
{
	struct vg_sink *vs = (struct vg_sink *)s;

	if (strcmp(name, vs->name))
		return;
	vs->value = value;
	vs->found = true;
}

uint64_t vg_counter(struct vg *g, const char *name)
{
	struct vg_sink vs = { .sink.put = vg_put, .name = name };

	g->v->dev.ops->stats(&g->v->dev, &vs.sink);
	assert_true(vs.found);
	return vs.value;
}
