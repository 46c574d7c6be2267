/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When interrupts wait (82540EM manual, 13.4.18, 13.4.30, 13.4.31, 13.4.41, 13.4.44): a delay that
 * starts anew with each frame (RDTR, TIDV), one that does not (RADV, TADV), and the least time
 * between two of them (ITR, e1000_irq.c). Deadlines are looked at by the poller while it runs; one
 * that is left when it has nothing to do is given to a timer descriptor, so that an idle guest
 * costs nothing. I/O thread under the device's lock, the register handlers as well.
 */
#include "e1000_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define UNIT_NS 1024u /* of the four delays */

uint64_t e1000_monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t delay_ns(const struct e1000 *d, uint32_t off)
{
	return (uint64_t)(e1000_get(d, off) & E1000_BITS(15, 0)) * UNIT_NS;
}

static void timer_start(struct e1000 *d, struct e1000_timer *t, uint64_t delay, uint64_t most)
{
	uint64_t now = d->now();

	t->due = now + delay;
	if (most && !t->last)
		t->last = now + most;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

/* It ends by being due. */
static bool timer_ends(struct e1000_timer *t, uint64_t now)
{
	if (!t->due || now < earlier(t->due, t->last))
		return false;
	*t = (struct e1000_timer){ 0 };
	return true;
}

void e1000_rx_interrupt(struct e1000 *d)
{
	uint64_t delay = delay_ns(d, E1000_RDTR);

	if (delay) {
		timer_start(d, &d->rx_timer, delay, delay_ns(d, E1000_RADV));
		return;
	}
	d->rx_timer = (struct e1000_timer){ 0 };
	d->causes |= E1000_INT_RXT0;
}

void e1000_tx_interrupt(struct e1000 *d, bool prompt)
{
	uint64_t delay = prompt ? 0 : delay_ns(d, E1000_TIDV);

	if (delay) {
		timer_start(d, &d->tx_timer, delay, delay_ns(d, E1000_TADV));
		return;
	}
	d->tx_timer = (struct e1000_timer){ 0 };
	d->causes |= E1000_INT_TXDW;
}

void e1000_timers_run(struct e1000 *d)
{
	uint64_t now;

	if (!d->rx_timer.due && !d->tx_timer.due)
		return;
	now = d->now();
	if (timer_ends(&d->rx_timer, now))
		d->causes |= E1000_INT_RXT0;
	if (timer_ends(&d->tx_timer, now))
		d->causes |= E1000_INT_TXDW;
}

void e1000_timers_reset(struct e1000 *d)
{
	d->rx_timer = d->tx_timer = (struct e1000_timer){ 0 };
	atomic_store(&d->itr_ns, 0);
}

/* --- registers --- */
/* FPD: what waits is told now. */
void e1000_delay_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	bool rx = off == E1000_RDTR;
	struct e1000_timer *t = rx ? &d->rx_timer : &d->tx_timer;

	e1000_set(d, off, val & E1000_RDTR_DELAY);
	if (!(val & E1000_RDTR_FPD) || !t->due)
		return;
	*t = (struct e1000_timer){ 0 };
	e1000_cause(d, rx ? E1000_INT_RXT0 : E1000_INT_TXDW);
}

void e1000_itr_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	e1000_set(d, off, val & E1000_ITR_INTERVAL);
	atomic_store(&d->itr_ns, (val & E1000_ITR_INTERVAL) * 256);
	d->irq_dirty = true; /* what was held back may go now */
}

/* --- the descriptor --- */
uint64_t e1000_timers_due(const struct e1000 *d)
{
	return earlier(earlier(d->rx_timer.due, d->rx_timer.last),
		       earlier(d->tx_timer.due, d->tx_timer.last));
}

/* One that is set too early stays: when it ends the poller looks again, and sets it once more. */
void e1000_timers_arm(struct e1000 *d, uint64_t due)
{
	struct itimerspec at = { 0 };

	due = earlier(due, atomic_load(&d->irq_due));
	if (!due || (d->armed && d->armed <= due))
		return;
	at.it_value.tv_sec = (time_t)(due / 1000000000u);
	at.it_value.tv_nsec = (long)(due % 1000000000u);
	d->armed = timerfd_settime(d->timer_fd.fd, TFD_TIMER_ABSTIME, &at, NULL) < 0 ? 0 : due;
}

static void timer_ready(struct io_fd *f, uint32_t events)
{
	struct e1000 *d = f->opaque;
	uint64_t n;

	if (read(f->fd, &n, sizeof(n)) != sizeof(n))
		return;
	d->armed = 0;
	io_busy(vm_io(d->vm));
}

int e1000_timers_create(struct e1000 *d)
{
	int ret;

	d->timer_fd = (struct io_fd){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
		.events = EPOLLIN,
		.ready = timer_ready,
		.opaque = d,
	};
	ret = d->timer_fd.fd < 0 ? -errno : io_add_fd(vm_io(d->vm), &d->timer_fd);
	if (ret < 0)
		return err_ret(ret, "creating %s: making its timer: %s; raise 'ulimit -n'",
			       d->pci.name, strerror(-ret));
	return 0;
}

void e1000_timers_destroy(struct e1000 *d)
{
	if (d->timer_fd.fd < 0)
		return;
	io_remove_fd(vm_io(d->vm), &d->timer_fd);
	close(d->timer_fd.fd);
}
