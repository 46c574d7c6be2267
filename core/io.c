/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The I/O thread (see io.h). It sleeps in epoll; a descriptor or io_wake() starts the polling; when
 * no poller has found work for a while it re-arms the notifications, polls once more and sleeps.
 */
#include "core/io.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"

#define MAX_FDS     64
#define MAX_POLLERS 32
#define REST_NS     1000ull /* without work, before a rest, when waking costs nothing */
/* The same when waking is dear: as long as has paid lately, within these bounds. */
#define SPIN_MIN_NS 4000ull
#define SPIN_MAX_NS 64000ull
#define VAIN_MAX    8   /* so often in a row without gain: short ones ... */
#define VAIN_RESTS  200 /* ... for so many rests */
/*
 * So much work since the last sleep is a stream, during which the thread naps; one that has been
 * quiet for so long is over. After some short sleeps in a row one nap tries whether it is one that
 * our waking up keeps slow: it is if the nap brings so much. A guest that waits for answers pays
 * for that nap, so the tries become rare while they bring nothing.
 */
#define STREAM        32
#define STREAM_END_NS 50000000ull
#define TRY_MIN       2
#define TRY_MAX       256
#define TRY_WORK      8
#define NAP_MIN_NS    20000
#define NAP_MAX_NS    100000
#define SETTLE_NS     20000000 /* asleep, before the pollers settle */
/* While there is work, descriptors are looked at once in so many rounds. */
#define ROUNDS_BETWEEN_EPOLL 64

struct io {
	int epfd, wakefd;
	int urgentfd; /* epoll of the urgent ones, which are in epfd, too */
	pthread_t thread;
	bool started;
	int host_cpu; /* -1: any */
	_Atomic bool stop;
	_Atomic bool polling;
	_Atomic bool asked;   /* io_wake() since the last look */
	pthread_mutex_t lock; /* both lists; held by the I/O thread while it goes round them */
	struct io_fd *fd[MAX_FDS];
	struct io_poller *poller[MAX_POLLERS];
	unsigned int n_fds, n_pollers;
	/* I/O thread only */
	bool busy;    /* a ready() handler found work */
	bool settled; /* since the last rest */
	uint64_t spin_ns, rested_at;
	unsigned int vain;        /* spins in a row that brought nothing */
	unsigned int short_rests; /* in a row */
	unsigned int try_after;   /* so many of them */
};

int io_create(struct io **out)
{
	struct io *io = calloc(1, sizeof(*io));
	struct epoll_event ev = { .events = EPOLLIN };
	pthread_mutexattr_t attr;
	int ret;

	if (!io)
		return -ENOMEM;
	io->host_cpu = -1;
	io->settled = true;
	io->spin_ns = SPIN_MIN_NS;
	io->try_after = TRY_MIN;
	io->epfd = epoll_create1(EPOLL_CLOEXEC);
	io->urgentfd = epoll_create1(EPOLL_CLOEXEC);
	io->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (io->epfd < 0 || io->urgentfd < 0 || io->wakefd < 0 ||
	    epoll_ctl(io->epfd, EPOLL_CTL_ADD, io->wakefd, &ev) < 0) {
		ret = err_ret(-errno, "making the I/O thread's descriptors: %s; raise 'ulimit -n'",
			      strerror(errno));
		io_destroy(io);
		return ret;
	}
	/* recursive: a handler may add or remove descriptors and pollers */
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&io->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	*out = io;
	return 0;
}

void io_destroy(struct io *io)
{
	if (!io)
		return;
	if (io->epfd >= 0)
		close(io->epfd);
	if (io->urgentfd >= 0)
		close(io->urgentfd);
	if (io->wakefd >= 0)
		close(io->wakefd);
	pthread_mutex_destroy(&io->lock);
	free(io);
}

static void io_kick(struct io *io)
{
	uint64_t one = 1;

	if (write(io->wakefd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is readable, which is all that is wanted */
}

void io_wake(struct io *io)
{
	atomic_store(&io->asked, true);
	if (!atomic_load(&io->polling))
		io_kick(io);
}

void io_busy(struct io *io)
{
	io->busy = true;
}

bool io_is_polling(const struct io *io)
{
	return atomic_load_explicit(&io->polling, memory_order_relaxed);
}

int io_add_fd(struct io *io, struct io_fd *f)
{
	struct epoll_event ev = { .events = f->events, .data.ptr = f };
	int ret = -ENOSPC;

	pthread_mutex_lock(&io->lock);
	if (io->n_fds < MAX_FDS) {
		ret = epoll_ctl(io->epfd, EPOLL_CTL_ADD, f->fd, &ev) < 0 ? -errno : 0;
		if (ret == 0 && f->urgent &&
		    epoll_ctl(io->urgentfd, EPOLL_CTL_ADD, f->fd, &ev) < 0) {
			ret = -errno;
			epoll_ctl(io->epfd, EPOLL_CTL_DEL, f->fd, NULL);
		}
		if (ret == 0)
			io->fd[io->n_fds++] = f;
	}
	pthread_mutex_unlock(&io->lock);
	return ret;
}

void io_remove_fd(struct io *io, struct io_fd *f)
{
	pthread_mutex_lock(&io->lock);
	for (unsigned int i = 0; i < io->n_fds; i++)
		if (io->fd[i] == f) {
			epoll_ctl(io->epfd, EPOLL_CTL_DEL, f->fd, NULL);
			if (f->urgent)
				epoll_ctl(io->urgentfd, EPOLL_CTL_DEL, f->fd, NULL);
			io->fd[i] = io->fd[--io->n_fds];
			break;
		}
	pthread_mutex_unlock(&io->lock);
}

int io_add_poller(struct io *io, struct io_poller *p)
{
	int ret = -ENOSPC;

	pthread_mutex_lock(&io->lock);
	if (io->n_pollers < MAX_POLLERS) {
		io->poller[io->n_pollers++] = p;
		ret = 0;
		if (atomic_load(&io->polling) && p->wake)
			p->wake(p);
	}
	pthread_mutex_unlock(&io->lock);
	return ret;
}

void io_remove_poller(struct io *io, struct io_poller *p)
{
	pthread_mutex_lock(&io->lock);
	for (unsigned int i = 0; i < io->n_pollers; i++)
		if (io->poller[i] == p) {
			io->poller[i] = io->poller[--io->n_pollers];
			if (atomic_load(&io->polling) && p->rest)
				p->rest(p);
			break;
		}
	pthread_mutex_unlock(&io->lock);
}

static uint64_t io_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* Is `f` still on the list? An earlier handler of the same round may have removed it. Under the
 * lock. */
static bool io_has_fd(struct io *io, const struct io_fd *f)
{
	for (unsigned int i = 0; i < io->n_fds; i++)
		if (io->fd[i] == f)
			return true;
	return false;
}

/* Handles what is ready. Waits for it: for ever (wait NULL), or so long at most. */
static void io_look(struct io *io, const struct timespec *wait)
{
	struct epoll_event ev[16];
	struct pollfd p = { .fd = io->epfd, .events = POLLIN };
	int n = 0;

	/* epoll_wait() knows milliseconds only */
	if (!wait || wait->tv_nsec)
		n = ppoll(&p, 1, wait, NULL);
	if (n > 0 || (wait && !wait->tv_nsec))
		n = epoll_wait(io->epfd, ev, 16, 0);

	pthread_mutex_lock(&io->lock);
	for (int i = 0; i < n; i++) {
		struct io_fd *f = ev[i].data.ptr;
		uint64_t drain;

		if (f && io_has_fd(io, f))
			f->ready(f, ev[i].events);
		else if (!f && read(io->wakefd, &drain, sizeof(drain)) > 0)
			io->busy = true;
	}
	pthread_mutex_unlock(&io->lock);
}

static unsigned int io_round(struct io *io)
{
	unsigned int done = 0;

	pthread_mutex_lock(&io->lock);
	for (unsigned int i = 0; i < io->n_pollers; i++)
		done += io->poller[i]->poll(io->poller[i]);
	pthread_mutex_unlock(&io->lock);
	return done;
}

static void io_turn(struct io *io, bool wake)
{
	pthread_mutex_lock(&io->lock);
	for (unsigned int i = 0; i < io->n_pollers; i++) {
		void (*turn)(struct io_poller *) = wake ? io->poller[i]->wake : io->poller[i]->rest;

		if (turn)
			turn(io->poller[i]);
	}
	pthread_mutex_unlock(&io->lock);
}

static bool io_is_dear(struct io *io)
{
	bool dear = false;

	pthread_mutex_lock(&io->lock);
	for (unsigned int i = 0; i < io->n_pollers; i++)
		dear |= io->poller[i]->dear_wake;
	pthread_mutex_unlock(&io->lock);
	return dear;
}

/*
 * The thread was woken. Had it polled for a little longer the guest would have been spared the
 * exit: next time it does. But a guest whose vCPU waits for this CPU gets nowhere while we poll:
 * when the long looks bring nothing either, they end.
 */
static void io_tune(struct io *io)
{
	if (io_now() - io->rested_at > 2 * SPIN_MAX_NS) {
		io->short_rests = 0;
		io->spin_ns = SPIN_MIN_NS;
		return;
	}
	io->short_rests++;
	if (io->vain < VAIN_MAX && io->spin_ns < SPIN_MAX_NS)
		io->spin_ns *= 2;
}

/* The thread has looked for longer than the shortest time. Did it bring anything? */
static void io_spun(struct io *io, bool gain)
{
	io->vain = gain || io->vain > VAIN_MAX + VAIN_RESTS ? 0 : io->vain + 1;
	if (io->vain == VAIN_MAX)
		io->spin_ns = SPIN_MIN_NS;
}

/*
 * While frames come in plenty (a guest that sends without end) the thread naps instead of resting:
 * each rest would cost the guest an exit, and the vCPU that the thread waits for may want this CPU.
 * The end of a sleep preempts a spinner at once, where sched_yield() would leave it a whole slice.
 * Naps grow while they bring nothing: a vCPU that is preempted too soon gets nowhere (one CPU for
 * both: 25 kpps with naps of 20 us, 900 with 100). A descriptor that becomes ready ends the nap.
 */
struct io_nap {
	unsigned int work; /* since the last sleep */
	struct timespec next;
};

/* Without work for so long. False: it is time to rest. */
static bool io_nap(struct io *io, struct io_nap *nap, uint64_t idle)
{
	if (nap->work >= STREAM) {
		if (idle > STREAM_END_NS)
			return false;
		io->try_after = TRY_MIN;
	} else if (io->short_rests < io->try_after) {
		return false;
	} else {
		io->try_after = io->try_after * 2 > TRY_MAX ? TRY_MAX : io->try_after * 2;
		nap->work = STREAM - TRY_WORK;
		nap->next.tv_nsec = NAP_MAX_NS;
	}
	io->short_rests = 0;
	io->busy = false;
	io_look(io, &nap->next);
	nap->next.tv_nsec = nap->next.tv_nsec * 2 > NAP_MAX_NS ? NAP_MAX_NS : nap->next.tv_nsec * 2;
	return true;
}

/* Polls until it is time to rest. */
static void io_poll_until_quiet(struct io *io)
{
	const struct timespec now = { 0 };
	struct io_nap nap = { .next.tv_nsec = NAP_MIN_NS };
	bool dear = io_is_dear(io);
	uint64_t last = io_now(), idle;

	for (unsigned int round = 0; !atomic_load(&io->stop); round++) {
		unsigned int done = io_round(io);

		if (round % ROUNDS_BETWEEN_EPOLL == 0) {
			io->busy = false;
			io_look(io, &now);
			done += io->busy;
		}
		done += atomic_exchange(&io->asked, false);
		if (done) {
			if (dear && last && io_now() - last > SPIN_MIN_NS)
				io_spun(io, true);
			last = 0;
			nap.work += done;
			nap.next.tv_nsec = NAP_MIN_NS;
			continue;
		}
		if (!last)
			last = io_now();
		idle = io_now() - last;
		if (idle <= (!dear ? REST_NS : nap.work < STREAM ? io->spin_ns : SPIN_MIN_NS))
			continue;
		if (!dear || !io_nap(io, &nap, idle))
			break;
	}
	if (dear && (io->spin_ns > SPIN_MIN_NS || io->vain >= VAIN_MAX))
		io_spun(io, false);
}

static void io_settle(struct io *io)
{
	pthread_mutex_lock(&io->lock);
	for (unsigned int i = 0; i < io->n_pollers; i++)
		if (io->poller[i]->settle)
			io->poller[i]->settle(io->poller[i]);
	pthread_mutex_unlock(&io->lock);
	io->settled = true;
}

static void io_sleep(struct io *io)
{
	const struct timespec settle = { .tv_nsec = SETTLE_NS };

	io->busy = false;
	if (!io->settled) {
		io_look(io, &settle);
		if (io->busy || atomic_load(&io->asked))
			return;
		io_settle(io);
	}
	io_look(io, NULL);
}

static void *io_main(void *arg)
{
	struct io *io = arg;

	/* naps are short: the default slack of 50 us would triple them */
	prctl(PR_SET_TIMERSLACK, 1);
	prctl(PR_SET_NAME, "io");
	while (!atomic_load(&io->stop)) {
		io_sleep(io);
		if (!io->busy && !atomic_load(&io->asked))
			continue;
		io_tune(io);
		atomic_store(&io->polling, true);
		io_turn(io, true);
		do {
			io_poll_until_quiet(io);
			io_turn(io, false);
			io->settled = false;
			io->rested_at = io_now();
			/* whoever signalled while we re-armed saw `polling` and did not kick: look
			 * once more after clearing it */
			atomic_store(&io->polling, false);
			if (!io_round(io) && !atomic_load(&io->asked))
				break;
			atomic_store(&io->polling, true);
			io_turn(io, true);
		} while (!atomic_load(&io->stop));
	}
	atomic_store(&io->polling, false);
	return NULL;
}

void io_pin(struct io *io, int host_cpu)
{
	io->host_cpu = host_cpu;
}

int io_start(struct io *io)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int ret;

	pthread_attr_init(&attr);
	if (io->host_cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(io->host_cpu, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	ret = pthread_create(&io->thread, &attr, io_main, io);
	pthread_attr_destroy(&attr);
	if (ret)
		return err_ret(-ret, "starting the I/O thread: %s; raise 'ulimit -u'",
			       strerror(ret));
	io->started = true;
	return 0;
}

/* Whatever the thread calls it calls under the lock. */
void io_pause(struct io *io)
{
	pthread_mutex_lock(&io->lock);
}

void io_resume(struct io *io)
{
	pthread_mutex_unlock(&io->lock);
}

int io_urgent_fd(const struct io *io)
{
	return io->urgentfd;
}

void io_look_urgent(struct io *io)
{
	struct epoll_event ev[4];
	int n = epoll_wait(io->urgentfd, ev, 4, 0);

	for (int i = 0; i < n; i++) {
		struct io_fd *f = ev[i].data.ptr;

		if (io_has_fd(io, f))
			f->ready(f, ev[i].events);
	}
}

void io_stop(struct io *io)
{
	if (!io->started)
		return;
	atomic_store(&io->stop, true);
	io_kick(io);
	pthread_join(io->thread, NULL);
	io->started = false;
}
