/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's virtio-net driver for tests of the switch's data path: memory, a receive and a transmit
 * ring, and calls that post buffers, send frames and take back what was used. Without connection:
 * the rings go to the data path directly, as struct vhost_ring_conf. Nothing is checked on the way,
 * so that tests can do everything wrong.
 *
 * Each piece of memory that is handed out has guard bytes behind it, and the whole memory has pages
 * around it that fault: a write beside a buffer fails the test.
 */
#ifndef TESTS_UNIT_HELPER_SW_GUEST_H
#define TESTS_UNIT_HELPER_SW_GUEST_H

#include "core/proto/virtio_net_abi.h"
#include "vswitch/dp.h"

#define SG_F_V1       VIRTIO_BIT(VIRTIO_F_VERSION_1)
#define SG_F_MRG      VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF)
#define SG_F_EVENT    VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX)
#define SG_F_INDIRECT VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC)
#define SG_F_ALL      (SG_F_V1 | SG_F_MRG | SG_F_EVENT | SG_F_INDIRECT)

#define SG_RX        0 /* rings */
#define SG_TX        1
#define SG_GPA       UINT64_C(0x40000000) /* of the memory's first byte */
#define SG_MEM       (1u << 20)
#define SG_MAX_SIZE  1024 /* entries of a ring, at most */
#define SG_MAX_FRAME 20000
#define SG_MAX_CUTS  64

struct sg_ring {
	struct vhost_ring_conf conf;
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	uint16_t free; /* descriptor to use next */
	uint16_t seen; /* used entry to look at next */
};

struct sg {
	int memfd;
	uint8_t *mem;
	struct vhost_mem map;
	unsigned int hdr_len;
	struct sg_ring ring[2];
	uint32_t brk, n_guards; /* bytes handed out; where guards are */
	uint32_t guard[4096];
};

/* sg_open - rings of `size` entries whose indices begin at `base`. sg_close - checks the guards. */
void sg_open(struct sg *g, uint64_t features, uint16_t size, uint16_t base);
void sg_close(struct sg *g);
/* sg_start - gives both rings to a port. */
void sg_start(struct sg *g, struct dp_port *p);
void sg_kick(struct sg *g);
/* sg_called - was that ring interrupted since this was asked last? */
bool sg_called(struct sg *g, unsigned int ring);

uint64_t sg_alloc(struct sg *g, uint32_t len);
void sg_free_all(struct sg *g); /* checks the guards; what was handed out may be so again */
void *sg_ptr(struct sg *g, uint64_t gpa);

/* --- one step each --- */
void sg_desc(struct sg *g, unsigned int ring, uint16_t idx, uint64_t addr, uint32_t len,
	     uint16_t flags, uint16_t next);
void sg_post(struct sg *g, unsigned int ring, uint16_t head);

/* --- whole chains --- */
/*
 * sg_chain - descriptors for `len` bytes at `addr`, the first pieces as long as the n_cuts lengths
 * say and the last one the rest; in an indirect table if told. Posts it and gives its head. A
 * piece's bytes are memory of their own each. sg_send - a transmit chain: virtio header and frame.
 */
struct sg_cuts {
	unsigned int n;
	uint32_t len[SG_MAX_CUTS];
	bool indirect;
};
uint16_t sg_send(struct sg *g, const uint8_t *frame, uint32_t len, const struct sg_cuts *cuts);
uint16_t sg_send_hdr(struct sg *g, const struct virtio_net_hdr *hdr, const uint8_t *frame,
		     uint32_t len, const struct sg_cuts *cuts);
/* sg_buffer - a receive chain of `len` bytes, virtio header and all. */
uint16_t sg_buffer(struct sg *g, uint32_t len, const struct sg_cuts *cuts);

/* sg_used - the next used entry; false: there is none. */
bool sg_used(struct sg *g, unsigned int ring, struct virtq_used_elem *e);
/*
 * sg_recv - the next frame that was received, over as many buffers as its header says. Gives its
 * bytes, -1 when there is none. `hdr` may be NULL.
 */
int sg_recv(struct sg *g, uint8_t *frame, struct virtio_net_hdr *hdr);

/* --- frames --- */
#define SG_NO_TAG 0x10000u
/*
 * sg_frame - a frame of `len` bytes (at least 14; 18 with a tag) with addresses 02:00:00:00:00:dst
 * and :src, or the broadcast address for dst 0xff; a tag unless `tci` is SG_NO_TAG; then bytes that
 * differ with each call.
 */
void sg_frame(uint8_t *frame, uint32_t len, uint8_t dst, uint8_t src, uint32_t tci);
/*
 * sg_retag - the same frame as it is to look with another tag (SG_NO_TAG: none). Gives its length.
 */
uint32_t sg_retag(uint8_t *to, const uint8_t *frame, uint32_t len, uint32_t tci);

#endif
