/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The I/O thread of a monitor: one thread that waits for descriptors while nothing happens and
 * polls while there is work.
 *
 * A device is a poller (struct io_poller): while any poller finds work the thread goes round them;
 * when a whole quiet time has passed it calls every `rest` (re-arm notifications), polls once more
 * and sleeps in epoll. Things that wake it: a descriptor (struct io_fd), io_wake() from any thread.
 */
#ifndef CORE_IO_H
#define CORE_IO_H

#include <stdbool.h>
#include <stdint.h>

struct io;

struct io_fd {
	int fd;
	uint32_t events; /* EPOLLIN, ... */
	/*
	 * On the I/O thread, when the descriptor is ready. An eventfd used as a doorbell is read by
	 * the handler. Whoever finds work here calls io_busy(), and the pollers begin to run.
	 */
	void (*ready)(struct io_fd *f, uint32_t events);
	void *opaque;
	/* Also while the thread stands still (io_pause()): ready() then comes from whoever calls
	 * io_look_urgent(). */
	bool urgent;
};

struct io_poller {
	/* A burst of work, without blocking. Returns how much was done (0: nothing). */
	unsigned int (*poll)(struct io_poller *p);
	/*
	 * The thread begins to poll after a sleep: suppress notifications, register coalesced
	 * zones. May be NULL.
	 */
	void (*wake)(struct io_poller *p);
	/*
	 * The thread is about to sleep: re-enable notifications. poll() runs once more afterwards,
	 * so nothing that came in between is lost. May be NULL.
	 */
	void (*rest)(struct io_poller *p);
	/*
	 * The thread has slept for a while since rest(): once, for what is too dear to be done
	 * before every sleep. What it brings to light comes by io_wake(). May be NULL.
	 */
	void (*settle)(struct io_poller *p);
	/*
	 * To wake the thread costs the guest dear (an exit to user space): while work comes in
	 * plenty the thread naps and looks again before it rests.
	 */
	bool dear_wake;
	void *opaque;
};

int io_create(struct io **out);
void io_destroy(struct io *io); /* accepts NULL; the thread must have been stopped */
/* io_pin - the thread is to stay on that host CPU. Before io_start(). */
void io_pin(struct io *io, int host_cpu);
int io_start(struct io *io);
void io_stop(struct io *io); /* joins the thread; idempotent */
/*
 * io_pause - when it returns the thread is in no handler and no poller, and stays so until
 * io_resume(). One thread calls both, and may use the other calls meanwhile; those of other threads
 * wait. Before io_stop() it has to be resumed.
 */
void io_pause(struct io *io);
void io_resume(struct io *io);
/*
 * For the thread that paused it: a descriptor that is readable while an urgent one is ready, and
 * what to do then. Only between io_pause() and io_resume().
 */
int io_urgent_fd(const struct io *io);
void io_look_urgent(struct io *io);

/*
 * From any thread; adding and removing take effect before they return, also while the thread runs.
 * The structs belong to the caller and outlive their stay. Handlers and pollers run under the same
 * lock that these take: do not call them while holding a lock that a poller takes (a device's own
 * lock), or the two threads wait for each other.
 */
int io_add_fd(struct io *io, struct io_fd *f);
void io_remove_fd(struct io *io, struct io_fd *f);
int io_add_poller(struct io *io, struct io_poller *p);
void io_remove_poller(struct io *io, struct io_poller *p);

/* io_wake - from any thread: there is work, poll. Cheap when the thread is polling already. */
void io_wake(struct io *io);
/* io_busy - on the I/O thread, from a ready() handler: poll from now on. */
void io_busy(struct io *io);

/* io_is_polling - true while the thread polls (relaxed; a hint for counters). */
bool io_is_polling(const struct io *io);

#endif
