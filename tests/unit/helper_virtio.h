/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's virtio driver played by a unit test: fake VM, memory, a virtio-net device on the PCI
 * bus, and calls that do one thing each: access a register, write a descriptor, post a chain, look
 * at the used ring. Nothing is checked on the way, so that tests can do everything wrong.
 */
#ifndef TESTS_UNIT_HELPER_VIRTIO_H
#define TESTS_UNIT_HELPER_VIRTIO_H

#include "pv-net/virtio_net_priv.h"

#define VG_RX        0 /* queues */
#define VG_TX        1
#define VG_QUEUES    32 /* that there is place for */
#define VG_RING_STEP 0x8000ull
#define VG_RING(q)   (0x100000ull + VG_RING_STEP * (q)) /* descriptors */
#define VG_AVAIL_OFF 0x4000
#define VG_USED_OFF  0x5000
#define VG_DATA      0x200000ull /* free for buffers from here to VG_MEM */
#define VG_MEM       (4ull << 20)
#define VG_F_NET \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MAC) | \
	 VIRTIO_BIT(VIRTIO_NET_F_STATUS))
#define VG_F_MRG      VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF)
#define VG_F_EVENT    VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX)
#define VG_F_INDIRECT VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC)

struct vg {
	struct guest_mem *mem;
	struct vm *vm;
	struct device_conf conf;
	struct vnet *v;
	unsigned int slot;
	uint64_t bar;
	uint16_t size;           /* of both queues */
	unsigned int n_messages; /* what the process said on the way */
	char message[256];
};

/* vg_up - device from its option text; tap_fd >= 0 is handed over as "tap". Memory decoding and bus
 * mastering are on. */
void vg_up(struct vg *g, const char *opts, int tap_fd);
/* vg_up_fds - the same with the descriptors of n queues: "tap", "tap1", ... */
void vg_up_fds(struct vg *g, const char *opts, const int *tap_fd, unsigned int n);
/* vg_up_named - the same with any descriptors. */
void vg_up_named(struct vg *g, const char *opts, const struct device_fd *fds, unsigned int n);
void vg_down(struct vg *g);

uint32_t vg_cfg_read(struct vg *g, unsigned int off, unsigned int size);
void vg_cfg_write(struct vg *g, unsigned int off, unsigned int size, uint32_t val);
uint64_t vg_read(struct vg *g, uint64_t off, unsigned int size); /* of the transport's BAR */
void vg_write(struct vg *g, uint64_t off, unsigned int size, uint64_t val);
/* vg_cap - place of the vendor capability of that type in configuration space, 0 when there is
 * none. */
unsigned int vg_cap(struct vg *g, uint8_t type);

static inline uint8_t vg_status(struct vg *g)
{
	return (uint8_t)vg_read(g, 0x14, 1);
}

static inline void vg_set_status(struct vg *g, uint8_t status)
{
	vg_write(g, 0x14, 1, status);
}

void vg_set_features(struct vg *g, uint64_t features);
/* vg_negotiate - reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK. vg_setup_queue - addresses,
 * size, vector q, enable. */
void vg_negotiate(struct vg *g, uint64_t features);
void vg_setup_queue(struct vg *g, unsigned int q, uint16_t size);
/* vg_start - all of it, both queues, up to DRIVER_OK; rings are cleared before. */
void vg_start(struct vg *g, uint64_t features, uint16_t size);

/* vg_start_all - the same with queues 0..n). */
void vg_start_all(struct vg *g, uint64_t features, uint16_t size, unsigned int n);
/*
 * vg_command - `len` bytes to control queue q in one descriptor, a status in another; gives the
 * status, 0xee when none was written.
 */
uint8_t vg_command(struct vg *g, unsigned int q, const void *cmd, uint32_t len);

struct virtq_desc *vg_desc(struct vg *g, unsigned int q);
struct virtq_avail *vg_avail(struct vg *g, unsigned int q);
struct virtq_used *vg_used(struct vg *g, unsigned int q);
void *vg_ptr(struct vg *g, uint64_t gpa);
void vg_set_desc(struct vg *g, unsigned int q, unsigned int idx, uint64_t addr, uint32_t len,
		 uint16_t flags, uint16_t next);
void vg_post(struct vg *g, unsigned int q, uint16_t head);
unsigned int vg_poll(struct vg *g);
/* vg_counter - a counter of the device by its name in the statistics; fails the test when there is
 * none. */
uint64_t vg_counter(struct vg *g, const char *name);

#endif
