/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The requests of virtio-blk: a chain becomes a request, the request one or several operations of
 * the engine (virtio_blk_io.h), their end the status byte. Called by virtio_blk.c. VIRTIO 1.2
 * section 5.2.6. Data goes between file and guest memory without a copy, but for direct I/O whose
 * buffers are not aligned.
 *
 * A driver that gives no byte for the status, or breaks the ring's rules, stops the device; every
 * other mistake is answered by a status.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/virtio_blk_priv.h"

#define MAX_TRIES   16
#define ZEROES_SIZE 65536u

static const uint8_t zeroes[ZEROES_SIZE] __attribute__((aligned(4096)));

/* --- the stock of requests --- */
int vblk_req_init(struct vblk *b)
{
	b->req = calloc(VBLK_IN_HAND, sizeof(*b->req));
	if (!b->req)
		return err_ret(-ENOMEM, "%s: no memory for its requests; give the guest less",
			       b->vd.pci.name);
	for (unsigned int i = 0; i < VBLK_IN_HAND; i++) {
		b->req[i].next_free = b->free;
		b->free = &b->req[i];
	}
	return 0;
}

static void vblk_put(struct vblk *b, struct vblk_req *r)
{
	free(r->bounce);
	r->bounce = NULL;
	r->next_free = b->free;
	b->free = r;
}

void vblk_req_free(struct vblk *b)
{
	for (unsigned int i = 0; b->req && i < VBLK_IN_HAND; i++)
		free(b->req[i].bounce);
	free(b->req);
}

/* --- the end of a request --- */
/* Of a request that failed only the status is vouched for: len may be less than was written
 * (2.7.8.2). */
static void vblk_answer(struct vblk *b, struct vblk_req *r, uint8_t status)
{
	uint32_t len = status == VIRTIO_BLK_S_OK ? (uint32_t)r->chain.in_len : 1;

	__atomic_store_n(r->status, status, __ATOMIC_RELAXED);
	vq_put_used(&b->vd.queue[r->queue].vq, r->chain.head, len);
	b->touched |= 1u << r->queue;
	vblk_put(b, r);
}

static void vblk_refuse(struct vblk *b, struct vblk_req *r)
{
	b->n.refused++;
	vblk_answer(b, r, VIRTIO_BLK_S_IOERR);
}

static void vblk_unsupported(struct vblk *b, struct vblk_req *r)
{
	b->n.unsupported++;
	vblk_answer(b, r, VIRTIO_BLK_S_UNSUPP);
}

static void vblk_fail(struct vblk *b, struct vblk_req *r, int err)
{
	static const char *const what[] = {
		[BLK_READ] = "reading",
		[BLK_WRITE] = "writing",
		[BLK_SYNC] = "flushing",
		[BLK_FALLOCATE] = "zeroing or discarding",
	};

	b->n.errors++;
	err_limited(&b->limit, "%s: %s at byte %llu: %s; the guest is told of an error, %s",
		    b->vd.pci.name, what[r->io.op], (unsigned long long)r->io.offset,
		    err ? strerror(err) : "the file is shorter than it was",
		    err == ENOSPC || err == EDQUOT ? "make room on the host's file system"
						   : "look after the host's disk");
	vblk_answer(b, r, VIRTIO_BLK_S_IOERR);
}

/* --- data on its way --- */
/* Copies `n` bytes between `buf` and the front of the data buffers, which stay as they are. */
static void vblk_copy(const struct vblk_req *r, uint8_t *buf, uint64_t n, bool out)
{
	for (const struct iovec *v = r->iov; n; v++) {
		size_t part = v->iov_len < n ? v->iov_len : (size_t)n;

		if (out)
			memcpy(buf, v->iov_base, part);
		else
			memcpy(v->iov_base, buf, part);
		buf += part;
		n -= part;
	}
}

/* `n` bytes at the front of the data buffers are used up. */
static void vblk_advance(struct vblk_req *r, uint64_t n)
{
	while (n) {
		struct iovec *v = r->iov;
		size_t part = v->iov_len < n ? v->iov_len : (size_t)n;

		v->iov_base = (char *)v->iov_base + part;
		v->iov_len -= part;
		n -= part;
		if (!v->iov_len) {
			r->iov++;
			r->n_iov--;
		}
	}
}

static bool vblk_aligned(const struct vblk *b, const struct vblk_req *r)
{
	uintptr_t all = 0;

	for (unsigned int i = 0; i < r->n_iov; i++)
		all |= (uintptr_t)r->iov[i].iov_base | r->iov[i].iov_len;
	return !(all & (b->blk_size - 1));
}

/* --- steps --- */
static void vblk_go(struct vblk *b, struct vblk_req *r)
{
	atomic_fetch_add_explicit(&b->in_hand, 1, memory_order_relaxed);
	b->engine->ops->queue(b->engine, &r->io);
}

/* A write is to be on the disk when it is answered (5.2.6.2, the cases 1 and 2 of "stable"). */
static bool vblk_write_through(const struct vblk *b)
{
	return virtio_has(&b->vd, VIRTIO_BLK_F_CONFIG_WCE)
		       ? !b->writeback
		       : !virtio_has(&b->vd, VIRTIO_BLK_F_FLUSH);
}

/* The next piece of a read or write goes by way of the bounce buffer. */
static int vblk_bounce(struct vblk *b, struct vblk_req *r)
{
	uint64_t len = r->left < VBLK_PIECE ? r->left : VBLK_PIECE;

	if (!r->bounce && posix_memalign((void **)&r->bounce, 4096, VBLK_PIECE))
		return -ENOMEM;
	b->n.bounced++;
	if (r->io.op == BLK_WRITE)
		vblk_copy(r, r->bounce, len, true);
	r->bounce_iov = (struct iovec){ .iov_base = r->bounce, .iov_len = len };
	r->io.iov = &r->bounce_iov;
	r->io.n_iov = 1;
	r->io.len = len;
	return 0;
}

/* The next piece of a read or write, r->left bytes at most. */
static void vblk_move(struct vblk *b, struct vblk_req *r)
{
	int ret = 0;

	r->bounced = b->direct && !vblk_aligned(b, r);
	if (r->bounced) {
		ret = vblk_bounce(b, r);
	} else {
		r->io.iov = r->iov;
		r->io.n_iov = r->n_iov;
		r->io.len = r->left;
	}
	if (ret < 0)
		vblk_fail(b, r, -ret);
	else
		vblk_go(b, r);
}

/* WRITE_ZEROES where the file system has no call for it: one piece of zeroes after the other. */
static void vblk_write_zeroes(struct vblk *b, struct vblk_req *r)
{
	uint64_t len = r->left < VBLK_PIECE ? r->left : VBLK_PIECE;

	r->io.op = BLK_WRITE;
	r->io.iov = r->iov_mem;
	r->io.len = len;
	for (r->io.n_iov = 0; len; r->io.n_iov++) {
		size_t part = len < ZEROES_SIZE ? (size_t)len : ZEROES_SIZE;

		/* only ever read from */
		r->iov_mem[r->io.n_iov] =
			(struct iovec){ .iov_base = (void *)zeroes, .iov_len = part };
		len -= part;
	}
	vblk_go(b, r);
}

static void vblk_sync(struct vblk *b, struct vblk_req *r)
{
	r->io.op = BLK_SYNC;
	vblk_go(b, r);
}

/* --- the engine has done a step --- */
static void vblk_moved(struct vblk *b, struct vblk_req *r)
{
	uint64_t n = (uint64_t)r->io.res;
	bool range = r->type == VIRTIO_BLK_T_WRITE_ZEROES;

	if (!n || n > r->io.len) {
		vblk_fail(b, r, 0);
		return;
	}
	if (r->bounced && r->io.op == BLK_READ)
		vblk_copy(r, r->bounce, n, false);
	if (!range)
		vblk_advance(r, n);
	if (r->io.op == BLK_READ)
		b->n.read_bytes += n;
	else
		b->n.write_bytes += n;
	r->io.offset += n;
	r->left -= n;
	r->tries = 0;
	if (!r->left)
		vblk_answer(b, r, VIRTIO_BLK_S_OK);
	else if (range)
		vblk_write_zeroes(b, r);
	else
		vblk_move(b, r);
}

static void vblk_failed(struct vblk *b, struct vblk_req *r, int err)
{
	bool hole = r->io.op == BLK_FALLOCATE;

	if ((err == EINTR || err == EAGAIN) && r->tries++ < MAX_TRIES)
		vblk_go(b, r);
	else if (hole && err == EOPNOTSUPP && r->type == VIRTIO_BLK_T_WRITE_ZEROES)
		vblk_write_zeroes(b, r);
	else if (hole && err == EOPNOTSUPP)
		vblk_unsupported(b, r);
	else
		vblk_fail(b, r, err);
}

static void vblk_done(struct vblk *b, struct vblk_req *r)
{
	if (r->io.res < 0)
		vblk_failed(b, r, (int)-r->io.res);
	else if (r->io.op == BLK_READ || r->io.op == BLK_WRITE)
		vblk_moved(b, r);
	else if (r->io.op == BLK_FALLOCATE && r->io.dsync)
		vblk_sync(b, r);
	else
		vblk_answer(b, r, VIRTIO_BLK_S_OK);
}

static struct vblk_req *vblk_next_done(struct vblk *b)
{
	struct vblk_req *r = (struct vblk_req *)b->engine->ops->reap(b->engine);

	if (r)
		atomic_fetch_sub_explicit(&b->in_hand, 1, memory_order_relaxed);
	return r;
}

unsigned int vblk_reap(struct vblk *b)
{
	struct vblk_req *r;
	unsigned int n = 0;

	/* a step that goes on may be done at once: not for ever */
	while (n < 2 * VBLK_IN_HAND && (r = vblk_next_done(b))) {
		vblk_done(b, r);
		n++;
	}
	return n;
}

static long long vblk_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

bool vblk_forget(struct vblk *b)
{
	const struct timespec nap = { .tv_nsec = 200000 };
	long long end = vblk_now_ms() + b->forget_ms;
	struct vblk_req *r;

	for (;;) {
		b->engine->ops->submit(b->engine);
		while ((r = vblk_next_done(b)))
			vblk_put(b, r);
		if (!atomic_load(&b->in_hand))
			break;
		if (vblk_now_ms() > end)
			return false;
		nanosleep(&nap, NULL);
	}
	b->touched = 0;
	return true;
}

bool vblk_finish(struct vblk *b)
{
	const struct timespec nap = { .tv_nsec = 200000 };
	long long end = vblk_now_ms() + b->forget_ms;

	for (;;) {
		b->engine->ops->submit(b->engine);
		if (vblk_reap(b)) /* maybe a next step was set going */
			continue;
		if (!atomic_load(&b->in_hand) || vblk_now_ms() > end)
			break;
		nanosleep(&nap, NULL);
	}
	vblk_publish(b);
	return !atomic_load(&b->in_hand);
}

/* --- a request begins --- */
/* Are `bytes` from `sector` on whole sectors of this disk? */
static bool vblk_on_disk(const struct vblk *b, uint64_t sector, uint64_t bytes)
{
	return bytes % VIRTIO_BLK_SECTOR == 0 && sector <= b->capacity &&
	       bytes / VIRTIO_BLK_SECTOR <= b->capacity - sector;
}

static void vblk_begin_move(struct vblk *b, struct vblk_req *r, uint64_t sector, bool out)
{
	if ((out && b->ro) || !vblk_on_disk(b, sector, r->left)) {
		vblk_refuse(b, r);
		return;
	}
	if (out)
		b->n.writes++;
	else
		b->n.reads++;
	r->io.op = out ? BLK_WRITE : BLK_READ;
	r->io.offset = sector * VIRTIO_BLK_SECTOR;
	r->io.dsync = out && vblk_write_through(b);
	if (r->left)
		vblk_move(b, r);
	else
		vblk_answer(b, r, VIRTIO_BLK_S_OK);
}

static void vblk_begin_flush(struct vblk *b, struct vblk_req *r)
{
	b->n.flushes++;
	r->io.offset = 0;
	/* whatever was answered before this was taken is written: the sync covers it (case 3) */
	vblk_sync(b, r);
}

static void vblk_begin_id(struct vblk *b, struct vblk_req *r)
{
	size_t len = r->left < sizeof(b->serial) ? (size_t)r->left : sizeof(b->serial);

	vblk_copy(r, (uint8_t *)b->serial, len, false);
	vblk_answer(b, r, VIRTIO_BLK_S_OK);
}

static void vblk_begin_range(struct vblk *b, struct vblk_req *r, bool zero)
{
	const uint32_t known = zero ? VIRTIO_BLK_RANGE_F_UNMAP : 0;
	struct virtio_blk_range range;
	bool one = r->left == sizeof(range);
	uint64_t bytes;

	if (b->ro || !one || !vq_pull(&r->iov, &r->n_iov, &range, sizeof(range))) {
		vblk_refuse(b, r); /* more than one range is not offered */
		return;
	}
	bytes = (uint64_t)range.num_sectors * VIRTIO_BLK_SECTOR;
	if (range.flags & ~known) {
		vblk_unsupported(b, r);
		return;
	}
	if (range.num_sectors > (zero ? VBLK_MAX_ZEROES : VBLK_MAX_DISCARD) ||
	    !vblk_on_disk(b, range.sector, bytes)) {
		vblk_refuse(b, r);
		return;
	}
	if (zero)
		b->n.zeroes++;
	else
		b->n.discards++;
	r->io.op = BLK_FALLOCATE;
	r->io.offset = range.sector * VIRTIO_BLK_SECTOR;
	r->io.len = r->left = bytes;
	r->io.mode = FALLOC_FL_KEEP_SIZE |
		     (zero && !(range.flags & VIRTIO_BLK_RANGE_F_UNMAP) ? FALLOC_FL_ZERO_RANGE
									: FALLOC_FL_PUNCH_HOLE);
	r->io.dsync = zero && vblk_write_through(b);
	if (bytes)
		vblk_go(b, r);
	else
		vblk_answer(b, r, VIRTIO_BLK_S_OK);
}

static void vblk_dispatch(struct vblk *b, struct vblk_req *r, const struct virtio_blk_req_hdr *h)
{
	const struct virtio_dev *vd = &b->vd;

	if (r->type == VIRTIO_BLK_T_IN || r->type == VIRTIO_BLK_T_OUT)
		vblk_begin_move(b, r, h->sector, r->type == VIRTIO_BLK_T_OUT);
	else if (r->type == VIRTIO_BLK_T_FLUSH)
		vblk_begin_flush(b, r);
	else if (r->type == VIRTIO_BLK_T_GET_ID)
		vblk_begin_id(b, r);
	else if (r->type == VIRTIO_BLK_T_DISCARD && virtio_has(vd, VIRTIO_BLK_F_DISCARD))
		vblk_begin_range(b, r, false);
	else if (r->type == VIRTIO_BLK_T_WRITE_ZEROES && virtio_has(vd, VIRTIO_BLK_F_WRITE_ZEROES))
		vblk_begin_range(b, r, true);
	else
		vblk_unsupported(b, r);
}

/* The chain in r->iov_mem: first what we read, then what we write; its last byte is the status. */
static void vblk_begin(struct vblk *b, struct vblk_req *r)
{
	struct iovec *out = r->iov_mem, *in = out + r->chain.n_out, *last = in + r->chain.n_in - 1;
	unsigned int n_out = r->chain.n_out, n_in = r->chain.n_in;
	struct virtio_blk_req_hdr h;

	r->status = (uint8_t *)last->iov_base + --last->iov_len;
	if (!last->iov_len)
		n_in--;
	r->io = (struct blk_io){ 0 };
	r->tries = 0;
	r->bounced = false;
	if (!vq_pull(&out, &n_out, &h, sizeof(h))) {
		vblk_refuse(b, r);
		return;
	}
	r->type = h.type;
	if (h.type == VIRTIO_BLK_T_IN || h.type == VIRTIO_BLK_T_GET_ID) {
		r->iov = in;
		r->n_iov = n_in;
		r->left = r->chain.in_len - 1;
	} else {
		r->iov = out;
		r->n_iov = n_out;
		r->left = r->chain.out_len - sizeof(h);
	}
	vblk_dispatch(b, r, &h);
}

/* The next chain of queue q as a request; NULL: there is none, or the device has stopped. */
static struct vblk_req *vblk_get(struct vblk *b, unsigned int q)
{
	struct virtqueue *vq = &b->vd.queue[q].vq;
	struct vblk_req *r = b->free;
	int ret = (int)vq_cached(vq);

	if (!ret)
		ret = vq_avail(vq);
	if (ret > 0) {
		ret = vq_walk(vq, 0, r->iov_mem, VBLK_QUEUE_SIZE, &r->chain);
		if (ret == 0 && r->chain.n_in) {
			vq_take(vq, 1);
			b->free = r->next_free;
			r->queue = q;
			return r;
		}
		if (ret != -EPROTO)
			vq->why = ret == 0 ? "a request without a byte for its status"
					   : "a request in too many pieces";
		ret = -EPROTO;
	}
	if (ret < 0)
		virtio_broken(&b->vd, q, vq->why);
	return NULL;
}

unsigned int vblk_take(struct vblk *b, unsigned int q, unsigned int max)
{
	struct vblk_req *r;
	unsigned int n = 0;

	while (n < max && b->free && (r = vblk_get(b, q))) {
		vblk_begin(b, r);
		n++;
	}
	return n;
}

void vblk_publish(struct vblk *b)
{
	for (unsigned int q = 0; b->touched; q++, b->touched >>= 1)
		if ((b->touched & 1) && vq_publish(&b->vd.queue[q].vq))
			virtio_raise_queue(&b->vd, q);
}
