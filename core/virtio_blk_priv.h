/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of virtio-blk, for virtio_blk*.c and its unit test: the device with its requests.
 * Everything is under the virtio device's lock, counters are plain and written there.
 */
#ifndef CORE_VIRTIO_BLK_PRIV_H
#define CORE_VIRTIO_BLK_PRIV_H

#include "core/device.h"
#include "core/err.h"
#include "core/io.h"
#include "core/proto/virtio_blk_abi.h"
#include "core/virtio_blk_io.h"
#include "core/virtio_dev.h"

#define VBLK_QUEUE_SIZE 256
#define VBLK_MAX_QUEUES 8
#define VBLK_IN_HAND    256                   /* requests taken and not answered, all queues */
#define VBLK_SEG_MAX    (VBLK_QUEUE_SIZE - 2) /* header and status have a descriptor each */
#define VBLK_PIECE      (1u << 20) /* bytes that are copied, or zeroes written, at a time */
/* sectors of one DISCARD or WRITE_ZEROES: zeroes may have to be written out */
#define VBLK_MAX_DISCARD (2u << 20)
#define VBLK_MAX_ZEROES  (512u << 10)

struct vblk_req {
	struct blk_io io; /* first; the operation of the moment */
	struct vblk_req *next_free;
	unsigned int queue;
	struct vq_chain chain;
	uint8_t *status; /* the last writable byte, in guest memory */
	uint32_t type;
	uint64_t left;     /* bytes of data not yet moved */
	struct iovec *iov; /* what of the data buffers is not used up; in iov_mem */
	unsigned int n_iov;
	/* the piece of the moment passes through `bounce`: direct I/O wants aligned buffers */
	bool bounced;
	uint8_t *bounce; /* VBLK_PIECE bytes, or NULL; freed with the answer */
	struct iovec bounce_iov;
	unsigned int tries; /* of an operation that was interrupted */
	struct iovec iov_mem[VBLK_QUEUE_SIZE];
};

struct vblk_counters {
	uint64_t reads, writes, flushes, discards, zeroes, read_bytes, write_bytes;
	uint64_t errors;      /* requests that failed on the host's side, and were answered so */
	uint64_t refused;     /* requests that the driver got wrong */
	uint64_t unsupported; /* requests of a kind that there is not */
	uint64_t bounced;     /* pieces that were copied for direct I/O */
};

struct vblk {
	struct virtio_dev vd; /* first */
	struct device dev;
	struct io *io;
	struct io_poller poller;
	struct io_fd done; /* the engine's eventfd */
	struct blk_engine *engine;

	bool ro, direct, can_discard;
	uint64_t capacity;                            /* sectors */
	uint32_t blk_size, phys_size, min_io, opt_io; /* bytes */
	char serial[VIRTIO_BLK_ID_BYTES];
	unsigned int n_queues;

	bool writeback, wce_written;
	unsigned int first;           /* the queue whose turn it is */
	unsigned int touched;         /* queues with answers that are not published, bit by bit */
	struct vblk_req *req, *free;  /* VBLK_IN_HAND of them */
	_Atomic unsigned int in_hand; /* with the engine */
	struct vblk_counters n;
	struct err_limit limit;
	unsigned int forget_ms; /* how long a reset or a pause waits for the host's disk */
};

/* --- virtio_blk_req.c; all under the lock --- */
/* vblk_req_init - makes the requests. -ENOMEM. vblk_req_free accepts what init left. */
int vblk_req_init(struct vblk *b);
void vblk_req_free(struct vblk *b);
/* vblk_take - begins up to `max` requests of queue q. Gives how many. A driver that broke the
 * queue's rules stops the device. */
unsigned int vblk_take(struct vblk *b, unsigned int q, unsigned int max);
/* vblk_reap - answers what the engine has done, or sets its next step going. Gives how many. */
unsigned int vblk_reap(struct vblk *b);
/* vblk_publish - shows the answers to the driver. */
void vblk_publish(struct vblk *b);
/* vblk_forget - waits until the engine has nothing in hand, and answers nothing of it. False: it
 * took too long. */
bool vblk_forget(struct vblk *b);
/* vblk_finish - waits until the engine has nothing in hand, answers it and begins nothing. False:
 * it took too long, and what is in hand stays so. */
bool vblk_finish(struct vblk *b);

#endif
