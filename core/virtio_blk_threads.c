/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk's operations by a few threads with plain system calls (see virtio_blk_io.h), for hosts
 * without io_uring. The threads are made when the guest's driver first starts, so that they are
 * inside the jail, and end with the engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/err.h"
#include "core/virtio_blk_io.h"

#define N_THREADS 4

struct io_list {
	struct blk_io *first, **end;
};

struct threads {
	struct blk_engine e;
	pthread_t thread[N_THREADS];
	unsigned int n;
	struct io_list fresh; /* queued; the caller's */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t more;
	struct io_list todo, done;
	bool stop;
};

static void list_init(struct io_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void list_add(struct io_list *l, struct blk_io *io)
{
	io->next = NULL;
	*l->end = io;
	l->end = &io->next;
}

static struct blk_io *list_take(struct io_list *l)
{
	struct blk_io *io = l->first;

	if (io)
		l->first = io->next;
	if (!l->first)
		l->end = &l->first;
	return io;
}

static int64_t threads_do(int file, const struct blk_io *io)
{
	ssize_t n = 0;

	switch (io->op) {
	case BLK_READ: n = preadv(file, io->iov, (int)io->n_iov, (off_t)io->offset); break;
	case BLK_WRITE:
		n = pwritev2(file, io->iov, (int)io->n_iov, (off_t)io->offset,
			     io->dsync ? RWF_DSYNC : 0);
		break;
	case BLK_SYNC: n = fdatasync(file); break;
	case BLK_FALLOCATE: n = fallocate(file, io->mode, (off_t)io->offset, (off_t)io->len); break;
	}
	return n < 0 ? -errno : n;
}

static void *threads_main(void *arg)
{
	struct threads *t = arg;
	const uint64_t one = 1;

	prctl(PR_SET_NAME, "disk");
	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		struct blk_io *io = list_take(&t->todo);

		if (!io) {
			pthread_cond_wait(&t->more, &t->lock);
			continue;
		}
		pthread_mutex_unlock(&t->lock);
		io->res = threads_do(t->e.file, io);
		pthread_mutex_lock(&t->lock);
		list_add(&t->done, io);
		if (write(t->e.fd, &one, sizeof(one)) < 0)
			continue; /* the counter is full: readable, which is what is wanted */
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static int threads_start(struct blk_engine *e)
{
	struct threads *t = (struct threads *)e;
	int ret = 0;

	while (t->n < N_THREADS && ret == 0) {
		ret = pthread_create(&t->thread[t->n], NULL, threads_main, t);
		if (ret == 0)
			t->n++;
	}
	/* one is enough to get on */
	return t->n ? 0
		    : err_ret(-ret, "starting a disk's threads: %s; raise 'ulimit -u'",
			      strerror(ret));
}

static void threads_queue(struct blk_engine *e, struct blk_io *io)
{
	list_add(&((struct threads *)e)->fresh, io);
}

static bool threads_submit(struct blk_engine *e)
{
	struct threads *t = (struct threads *)e;
	struct blk_io *io;

	if (!t->fresh.first)
		return true;
	pthread_mutex_lock(&t->lock);
	while ((io = list_take(&t->fresh)))
		list_add(&t->todo, io);
	pthread_cond_broadcast(&t->more);
	pthread_mutex_unlock(&t->lock);
	return true;
}

static struct blk_io *threads_reap(struct blk_engine *e)
{
	struct threads *t = (struct threads *)e;
	struct blk_io *io;

	pthread_mutex_lock(&t->lock);
	io = list_take(&t->done);
	pthread_mutex_unlock(&t->lock);
	return io;
}

static void threads_destroy(struct blk_engine *e)
{
	struct threads *t = (struct threads *)e;

	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->more);
	pthread_mutex_unlock(&t->lock);
	while (t->n)
		pthread_join(t->thread[--t->n], NULL);
	pthread_cond_destroy(&t->more);
	pthread_mutex_destroy(&t->lock);
	if (e->fd >= 0)
		close(e->fd);
	if (e->file >= 0)
		close(e->file);
	free(t);
}

static const struct blk_engine_ops threads_ops = {
	.name = "threads",
	.start = threads_start,
	.queue = threads_queue,
	.submit = threads_submit,
	.reap = threads_reap,
	.destroy = threads_destroy,
};

int blk_threads_create(int file, unsigned int max_in_hand, struct blk_engine **out)
{
	struct threads *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->e = (struct blk_engine){ .ops = &threads_ops, .file = -1 };
	t->e.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->e.fd < 0) {
		int ret = err_ret(-errno, "making a disk's descriptors: %s; raise 'ulimit -n'",
				  strerror(errno));

		free(t);
		return ret;
	}
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->more, NULL);
	list_init(&t->fresh);
	list_init(&t->todo);
	list_init(&t->done);
	t->e.file = file;
	*out = &t->e;
	return 0;
}
