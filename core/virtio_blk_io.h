/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations on a disk's file that go on by themselves: the device model starts them and is told
 * later. Two engines: io_uring (virtio_blk_uring.c), and a few threads (virtio_blk_threads.c) where
 * the kernel or its administrator keeps io_uring away. A unit test brings a third that ends
 * operations on command.
 *
 * One caller at a time (the device's lock). An engine is made before the jail closes and owns the
 * file from then on.
 */
#ifndef CORE_VIRTIO_BLK_IO_H
#define CORE_VIRTIO_BLK_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum blk_op { BLK_READ, BLK_WRITE, BLK_SYNC, BLK_FALLOCATE };

/* One operation; embedded in the device's request. All but `res` is left alone by the engine. */
struct blk_io {
	enum blk_op op;
	bool dsync;              /* BLK_WRITE: done only when it is on the disk */
	int mode;                /* BLK_FALLOCATE: fallocate(2) */
	uint64_t offset, len;    /* bytes; READ and WRITE: len is the sum of iov */
	const struct iovec *iov; /* stays until the operation is done */
	unsigned int n_iov;
	int64_t res;         /* when done: bytes moved, 0, or negative errno */
	struct blk_io *next; /* the engine's */
};

struct blk_engine;

struct blk_engine_ops {
	const char *name;
	/*
	 * The guest's driver is about to use the disk; the jail is closed, threads may be made.
	 * Called again after every reset. Negative errno after a message.
	 */
	int (*start)(struct blk_engine *e);
	/* Takes one operation over; never more at a time than create() was told. */
	void (*queue)(struct blk_engine *e, struct blk_io *io);
	/* Sets everything queued going. False: something is left, call again soon. */
	bool (*submit)(struct blk_engine *e);
	/* One that is done, in any order; NULL: none just now. */
	struct blk_io *(*reap)(struct blk_engine *e);
	/* Nothing is in hand, or the process ends. Closes the file and `fd`. */
	void (*destroy)(struct blk_engine *e);
};

struct blk_engine {
	const struct blk_engine_ops *ops;
	int file; /* the disk */
	int fd;   /* an eventfd: readable when an operation was done; the caller reads it */
};

/*
 * blk_uring_create - a ring that can do nothing but the four operations on this one file: its
 * restrictions hold also for one who has taken the monitor over. -EOPNOTSUPP, without a message,
 * when this kernel has no such rings for us (kernel.io_uring_disabled, Linux before 5.10).
 * blk_threads_create - always possible. Both: negative errno leaves the file with the caller;
 * max_in_hand up to 1024.
 */
int blk_uring_create(int file, unsigned int max_in_hand, struct blk_engine **out);
int blk_threads_create(int file, unsigned int max_in_hand, struct blk_engine **out);

#endif
