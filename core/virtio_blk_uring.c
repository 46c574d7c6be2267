/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk's operations by io_uring (see virtio_blk_io.h), through liburing. The ring is made and
 * restricted before the jail closes: the jail allows io_uring_enter(2) only, and the system call
 * filter does not see what a ring is asked to do, so the ring itself refuses everything but four
 * operations on the disk's file (io_uring_register(2), IORING_REGISTER_RESTRICTIONS).
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/virtio_blk_io.h"

#define FILE_IDX 0 /* of the only registered file */

struct uring {
	struct blk_engine e;
	struct io_uring ring;
	bool made;
	unsigned int unsent; /* queued, not yet taken by the kernel */
};

static int uring_start(struct blk_engine *e)
{
	return 0; /* the kernel makes the threads that it needs */
}

static void uring_queue(struct blk_engine *e, struct blk_io *io)
{
	struct uring *u = (struct uring *)e;
	/* there is one for every operation that may be in hand */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	switch (io->op) {
	case BLK_READ: io_uring_prep_readv(sqe, FILE_IDX, io->iov, io->n_iov, io->offset); break;
	case BLK_WRITE:
		io_uring_prep_writev2(sqe, FILE_IDX, io->iov, io->n_iov, io->offset,
				      io->dsync ? RWF_DSYNC : 0);
		break;
	case BLK_SYNC: io_uring_prep_fsync(sqe, FILE_IDX, IORING_FSYNC_DATASYNC); break;
	case BLK_FALLOCATE:
		io_uring_prep_fallocate(sqe, FILE_IDX, io->mode, (off_t)io->offset, (off_t)io->len);
		break;
	}
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, io);
	u->unsent++;
}

static bool uring_submit(struct blk_engine *e)
{
	struct uring *u = (struct uring *)e;
	int n = u->unsent ? io_uring_submit(&u->ring) : 0;

	if (n > 0)
		u->unsent -= (unsigned int)n;
	return !u->unsent;
}

static struct blk_io *uring_reap(struct blk_engine *e)
{
	struct uring *u = (struct uring *)e;
	struct io_uring_cqe *cqe;
	struct blk_io *io;

	if (io_uring_peek_cqe(&u->ring, &cqe) < 0 || !cqe)
		return NULL;
	io = io_uring_cqe_get_data(cqe);
	io->res = cqe->res;
	io_uring_cqe_seen(&u->ring, cqe);
	return io;
}

static void uring_destroy(struct blk_engine *e)
{
	struct uring *u = (struct uring *)e;

	if (u->made)
		io_uring_queue_exit(&u->ring);
	if (e->fd >= 0)
		close(e->fd);
	if (e->file >= 0)
		close(e->file);
	free(u);
}

static const struct blk_engine_ops uring_ops = {
	.name = "io_uring",
	.start = uring_start,
	.queue = uring_queue,
	.submit = uring_submit,
	.reap = uring_reap,
	.destroy = uring_destroy,
};

/* liburing 2.3 declares the two calls for this but does not export them. */
static int uring_register(struct uring *u, unsigned int what, const void *arg, unsigned int n)
{
	return syscall(SYS_io_uring_register, u->ring.ring_fd, what, arg, n) < 0 ? -errno : 0;
}

static int uring_restrict(struct uring *u)
{
	struct io_uring_restriction r[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FALLOCATE },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE },
	};
	int ret = uring_register(u, IORING_REGISTER_RESTRICTIONS, r, sizeof(r) / sizeof(r[0]));

	return ret < 0 ? ret : uring_register(u, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

int blk_uring_create(int file, unsigned int max_in_hand, struct blk_engine **out)
{
	struct uring *u = calloc(1, sizeof(*u));
	struct io_uring_params p = { .flags = IORING_SETUP_R_DISABLED };
	int ret;

	if (!u)
		return -ENOMEM;
	u->e = (struct blk_engine){ .ops = &uring_ops, .file = -1, .fd = -1 };
	ret = io_uring_queue_init_params(max_in_hand, &u->ring, &p);
	u->made = ret == 0;
	if (ret == 0) {
		u->e.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ret = u->e.fd < 0 ? -errno : io_uring_register_eventfd(&u->ring, u->e.fd);
	}
	if (ret == 0)
		ret = io_uring_register_files(&u->ring, &file, 1);
	if (ret == 0)
		ret = uring_restrict(u);
	if (ret < 0) {
		uring_destroy(&u->e);
		return -EOPNOTSUPP;
	}
	u->e.file = file;
	*out = &u->e;
	return 0;
}
