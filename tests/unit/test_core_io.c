/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The I/O thread: wakes for descriptors and for io_wake(), rests when quiet, loses nothing in
 * between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/io.h"

struct dev {
	struct io *io;
	struct io_poller poller;
	struct io_fd fd;
	_Atomic unsigned int work, done, wakes, rests, settles;
};

static unsigned int dev_poll(struct io_poller *p)
{
	struct dev *d = p->opaque;
	unsigned int n = atomic_exchange(&d->work, 0);

	atomic_fetch_add(&d->done, n);
	return n;
}

static void dev_wake(struct io_poller *p)
{
	atomic_fetch_add(&((struct dev *)p->opaque)->wakes, 1);
}

static void dev_rest(struct io_poller *p)
{
	atomic_fetch_add(&((struct dev *)p->opaque)->rests, 1);
}

static void dev_settle(struct io_poller *p)
{
	atomic_fetch_add(&((struct dev *)p->opaque)->settles, 1);
}

static void dev_ready(struct io_fd *f, uint32_t events)
{
	struct dev *d = f->opaque;
	uint64_t n;

	if (read(f->fd, &n, sizeof(n)) == sizeof(n))
		atomic_fetch_add(&d->work, (unsigned int)n);
	io_busy(d->io);
}

static bool reaches(_Atomic unsigned int *v, unsigned int want)
{
	for (int i = 0; i < 5000; i++) {
		struct timespec t = { .tv_nsec = 1000000 };

		if (atomic_load(v) >= want)
			return true;
		nanosleep(&t, NULL);
	}
	return false;
}

static int setup(void **state)
{
	static struct dev d;

	d = (struct dev){ 0 };
	d.poller = (struct io_poller){ .poll = dev_poll,
				       .wake = dev_wake,
				       .rest = dev_rest,
				       .settle = dev_settle,
				       .opaque = &d };
	d.fd = (struct io_fd){
		.fd = eventfd(0, EFD_NONBLOCK), .events = EPOLLIN, .ready = dev_ready, .opaque = &d
	};
	*state = &d;
	return io_create(&d.io) || io_add_poller(d.io, &d.poller) || io_add_fd(d.io, &d.fd) ||
	       io_start(d.io);
}

static int setup_dear(void **state)
{
	int ret = setup(state);
	struct dev *d = *state;

	io_pause(d->io);
	d->poller.dear_wake = true;
	io_resume(d->io);
	return ret;
}

static int teardown(void **state)
{
	struct dev *d = *state;

	io_stop(d->io);
	io_remove_fd(d->io, &d->fd);
	io_remove_poller(d->io, &d->poller);
	io_destroy(d->io);
	close(d->fd.fd);
	return 0;
}

static void descriptor_wakes_the_pollers(void **state)
{
	struct dev *d = *state;
	uint64_t one = 1;

	assert_int_equal(write(d->fd.fd, &one, 8), 8);
	assert_true(reaches(&d->done, 1));
	assert_int_equal(atomic_load(&d->wakes), 1);
	assert_true(reaches(&d->rests, 1)); /* and it rests when nothing more comes */
}

static void wake_from_another_thread_is_never_lost(void **state)
{
	struct dev *d = *state;

	for (unsigned int i = 1; i <= 200; i++) {
		struct timespec t = {
			.tv_nsec = i % 40 * 2000000
		}; /* some fall into the moment of going to rest */

		atomic_fetch_add(&d->work, 1);
		io_wake(d->io);
		if (!reaches(&d->done, i))
			fail_msg("wake %u was lost", i);
		if (i % 10 == 0)
			nanosleep(&t, NULL);
	}
}

static void wakes_and_rests_alternate(void **state)
{
	struct dev *d = *state;

	for (unsigned int i = 1; i <= 3; i++) {
		atomic_fetch_add(&d->work, 1);
		io_wake(d->io);
		assert_true(reaches(&d->rests, i));
		assert_int_equal(atomic_load(&d->wakes), atomic_load(&d->rests));
	}
}

static void asleep_for_a_while_it_settles_once(void **state)
{
	struct dev *d = *state;
	struct timespec t = { .tv_nsec = 100000000 };

	assert_int_equal(atomic_load(&d->settles), 0); /* it has never been awake */
	for (unsigned int i = 1; i <= 3; i++) {
		atomic_fetch_add(&d->work, 1);
		io_wake(d->io);
		assert_true(reaches(&d->settles, i));
		assert_int_equal(atomic_load(&d->rests), i);
		nanosleep(&t, NULL);
		assert_int_equal(atomic_load(&d->settles), i);
	}
}

/* As a guest does that sends without end: many pieces of work soon after another. */
static void stream_is_taken_whole_and_ends(void **state)
{
	struct dev *d = *state;
	struct timespec t = { .tv_nsec = 30000 };

	for (unsigned int i = 0; i < 2000; i++) {
		atomic_fetch_add(&d->work, 10);
		if (i % 100 == 0)
			io_wake(d->io); /* the others are found, or not until the next of these */
		nanosleep(&t, NULL);
	}
	io_wake(d->io);
	assert_true(reaches(&d->done, 20000));
	assert_true(reaches(&d->rests, atomic_load(&d->wakes)));
}

static void removed_descriptor_is_silent(void **state)
{
	struct dev *d = *state;
	uint64_t one = 1;
	struct timespec t = { .tv_nsec = 20000000 };

	io_remove_fd(d->io, &d->fd);
	assert_int_equal(write(d->fd.fd, &one, 8), 8);
	nanosleep(&t, NULL);
	assert_int_equal(atomic_load(&d->done), 0);
	assert_int_equal(io_add_fd(d->io, &d->fd), 0);
	assert_true(reaches(&d->done, 1));
}

static void paused_thread_does_nothing_and_loses_nothing(void **state)
{
	struct dev *d = *state;
	struct timespec t = { .tv_nsec = 20000000 };
	uint64_t one = 1;

	io_pause(d->io);
	atomic_fetch_add(&d->work, 1);
	io_wake(d->io);
	assert_int_equal(write(d->fd.fd, &one, 8), 8);
	nanosleep(&t, NULL);
	assert_int_equal(atomic_load(&d->done), 0);
	/* who paused it may use it meanwhile */
	io_remove_poller(d->io, &d->poller);
	assert_int_equal(io_add_poller(d->io, &d->poller), 0);
	io_resume(d->io);
	assert_true(reaches(&d->done, 2));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define DEAR(name) \
	{ \
#name "_where_waking_is_dear", name, setup_dear, teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		DEAR(wake_from_another_thread_is_never_lost),
		DEAR(wakes_and_rests_alternate),
		DEAR(stream_is_taken_whole_and_ends),
		T(asleep_for_a_while_it_settles_once),
		T(stream_is_taken_whole_and_ends),
		T(descriptor_wakes_the_pollers),
		T(wake_from_another_thread_is_never_lost),
		T(wakes_and_rests_alternate),
		T(removed_descriptor_is_silent),
		T(paused_thread_does_nothing_and_loses_nothing),
	};

	return cmocka_run_group_tests_name("core/io", tests, NULL, NULL);
}
