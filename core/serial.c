/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 16550A (see serial.h). Accesses come on vCPU threads, input on the main thread; one lock for
 * the registers. What the guest says goes through a ring with a lock of its own to a thread that
 * writes it out, many bytes at a time: a vCPU makes no system call for a byte.
 *
 * A byte is on its way as soon as it is written, so that the transmitter is always empty, and input
 * waits for room, so that nothing overruns outside loopback. The receiver holds more than a
 * 16550A's 16 bytes: a driver that reads while there is data cannot tell. Left out: breaks, parity
 * and framing errors, and OUT2 as the gate of the interrupt (a driver that wants none clears IER).
 */
#include "core/serial.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/vm_priv.h"

#define FIFO_SIZE    64
#define FIFO_16550   16 /* what loopback may fill; without FIFOs 1 */
#define DIVISOR_9600 12
#define OUT_SIZE     4096    /* not more than a pipe that polls writable takes at once */
#define OUT_NAP_NS   2000000 /* between two writes, unless the ring is half full */
#define OUT_STUCK_MS 100     /* how often who waits for a reader looks for the guest's end */

enum { RBR_THR = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
enum {
	IER_RDI = 1,
	IER_THRI = 2,
	IER_RLSI = 4,
	IER_MSI = 8,
	IIR_NONE = 1, /* PC16550D table III, highest first: */
	IIR_RLSI = 6,
	IIR_RDI = 4,
	IIR_TIMEOUT = 0xc, /* fewer bytes than the trigger, and no more are coming */
	IIR_THRI = 2,
	IIR_MSI = 0,
	IIR_FIFO = 0xc0,
	LCR_DLAB = 0x80,
	MCR_LOOP = 0x10,
	LSR_DR = 1,
	LSR_OE = 2,
	LSR_THRE = 0x20,
	LSR_TEMT = 0x40,
	MSR_TERI = 4, /* the ring indicator has fallen; the other changes are seen both ways */
	MSR_LINES = 0xf0,
	MSR_CONNECTED = 0xb0, /* DCD, DSR, CTS */
	FCR_ENABLE = 1,
	FCR_CLEAR_RX = 2,
	FCR_TRIGGER_SHIFT = 6,
};

struct serial {
	struct vm *vm;
	int out_fd;
	pthread_mutex_t lock;
	uint8_t ier, lcr, mcr, scr, dll, dlm, fcr;
	uint8_t msr_delta; /* bits 0 to 3 of MSR: changed since it was read */
	bool thr_pending;  /* THR-empty interrupt not taken yet */
	bool overrun;
	bool irq;
	uint8_t fifo[FIFO_SIZE];
	unsigned int head, len;
	uint64_t n_access;

	/* output; its lock is taken without the other */
	pthread_mutex_t out_lock;
	pthread_cond_t out_ready; /* the writer waits for bytes */
	pthread_cond_t out_room;  /* vCPUs wait for room */
	uint8_t out[OUT_SIZE];
	unsigned int out_head, out_len;
	size_t out_chunk; /* the most that one write is given */
	pthread_t writer;
	bool has_writer, writer_idle, closing;
};

static uint8_t serial_iir(const struct serial *s)
{
	static const uint8_t trigger[] = { 1, 4, 8, 14 };

	if (s->ier & IER_RLSI && s->overrun)
		return IIR_RLSI;
	if (s->ier & IER_RDI && s->len)
		return s->fcr & FCR_ENABLE && s->len < trigger[s->fcr >> FCR_TRIGGER_SHIFT]
			       ? IIR_TIMEOUT
			       : IIR_RDI;
	if (s->ier & IER_THRI && s->thr_pending)
		return IIR_THRI;
	if (s->ier & IER_MSI && s->msr_delta)
		return IIR_MSI;
	return IIR_NONE;
}

/* The line falls when the cause is taken and rises with the next: IRQ 4 sees an edge for each. */
static void serial_update_irq(struct serial *s)
{
	bool level = serial_iir(s) != IIR_NONE;

	if (level != s->irq)
		vm_irq_line(s->vm, SERIAL_IRQ, level);
	s->irq = level;
}

static void serial_push(struct serial *s, uint8_t byte)
{
	if (s->len < FIFO_SIZE)
		s->fifo[(s->head + s->len++) % FIFO_SIZE] = byte;
}

static uint8_t serial_pop(struct serial *s)
{
	uint8_t byte = s->fifo[s->head];

	if (!s->len)
		return 0;
	s->head = (s->head + 1) % FIFO_SIZE;
	s->len--;
	return byte;
}

static void serial_loop(struct serial *s, uint8_t byte)
{
	if (s->len >= (s->fcr & FCR_ENABLE ? FIFO_16550 : 1u))
		s->overrun = true;
	else
		serial_push(s, byte);
}

/* In loopback the modem outputs come back as inputs: that is how drivers find a UART. */
static uint8_t serial_lines(uint8_t mcr)
{
	if (!(mcr & MCR_LOOP))
		return MSR_CONNECTED;
	return (uint8_t)((mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 4) << 4 | (mcr & 8) << 4);
}

static void serial_set_mcr(struct serial *s, uint8_t mcr)
{
	uint8_t old = serial_lines(s->mcr), now = serial_lines(mcr), changed = (old ^ now) >> 4;

	if (now & MSR_TERI << 4)
		changed &= (uint8_t)~MSR_TERI;
	s->mcr = mcr;
	s->msr_delta |= changed;
}

static void serial_set_fcr(struct serial *s, uint8_t fcr)
{
	/* switching the FIFOs on or off empties them; without the switch the other bits do nothing
	 */
	if ((fcr ^ s->fcr) & FCR_ENABLE || (fcr & FCR_ENABLE && fcr & FCR_CLEAR_RX))
		s->len = 0;
	s->fcr = fcr & FCR_ENABLE ? fcr : 0;
}

static void serial_set_ier(struct serial *s, uint8_t ier)
{
	if (!(s->ier & IER_THRI) && ier & IER_THRI)
		s->thr_pending = true; /* the register is empty at this moment */
	s->ier = ier & (IER_RDI | IER_THRI | IER_RLSI | IER_MSI);
}

/* Reading tells, and takes back what it has told where the data sheet says so. */
static uint8_t serial_take_iir(struct serial *s)
{
	uint8_t v = serial_iir(s);

	if (v == IIR_THRI)
		s->thr_pending = false;
	return v | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t serial_take_lsr(struct serial *s)
{
	uint8_t v = LSR_THRE | LSR_TEMT;

	v |= (uint8_t)((s->len ? LSR_DR : 0) | (s->overrun ? LSR_OE : 0));
	s->overrun = false;
	return v;
}

static uint8_t serial_take_msr(struct serial *s)
{
	uint8_t v = serial_lines(s->mcr) | s->msr_delta;

	s->msr_delta = 0;
	return v;
}

static uint64_t serial_read(void *opaque, uint64_t off, unsigned int size)
{
	struct serial *s = opaque;
	uint8_t v = 0;

	pthread_mutex_lock(&s->lock);
	switch (off) {
	case RBR_THR: v = s->lcr & LCR_DLAB ? s->dll : serial_pop(s); break;
	case IER: v = s->lcr & LCR_DLAB ? s->dlm : s->ier; break;
	case IIR_FCR: v = serial_take_iir(s); break;
	case LCR: v = s->lcr; break;
	case MCR: v = s->mcr; break;
	case LSR: v = serial_take_lsr(s); break;
	case MSR: v = serial_take_msr(s); break;
	case SCR: v = s->scr; break;
	}
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
	return v;
}

/* --- output --- */
static bool serial_ends(const struct serial *s)
{
	return atomic_load(&s->vm->stop) != VM_STOP_NONE;
}

/* Waits for a reader that is slow, but not beyond the guest's end. */
static void serial_put(const struct serial *s, const uint8_t *data, size_t n)
{
	while (n) {
		struct pollfd p = { .fd = s->out_fd, .events = POLLOUT };
		size_t part = n < s->out_chunk ? n : s->out_chunk;
		ssize_t done;

		if (poll(&p, 1, OUT_STUCK_MS) <= 0) {
			if (serial_ends(s))
				return;
			continue;
		}
		done = write(s->out_fd, data, part);
		if (done < 0 && ((errno != EINTR && errno != EAGAIN) || serial_ends(s)))
			return;
		if (done > 0) {
			data += done;
			n -= (size_t)done;
		}
	}
}

static struct timespec serial_in(long ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ns;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Under the lock: what is in the ring, up to its edge. */
static unsigned int serial_take_out(struct serial *s, uint8_t *buf)
{
	unsigned int edge = OUT_SIZE - s->out_head, n = s->out_len < edge ? s->out_len : edge;

	memcpy(buf, s->out + s->out_head, n);
	s->out_head = (s->out_head + n) % OUT_SIZE;
	s->out_len -= n;
	pthread_cond_broadcast(&s->out_room);
	return n;
}

static void *serial_writer(void *arg)
{
	struct serial *s = arg;
	uint8_t buf[OUT_SIZE];

	prctl(PR_SET_NAME, "console");
	pthread_mutex_lock(&s->out_lock);
	for (;;) {
		struct timespec until;
		unsigned int n;

		s->writer_idle = true;
		while (!s->out_len && !s->closing)
			pthread_cond_wait(&s->out_ready, &s->out_lock);
		s->writer_idle = false;
		if (!s->out_len)
			break;
		n = serial_take_out(s, buf);
		pthread_mutex_unlock(&s->out_lock);
		serial_put(s, buf, n);
		pthread_mutex_lock(&s->out_lock);
		/* more is coming when something came: it goes out together */
		until = serial_in(OUT_NAP_NS);
		while (s->out_len < OUT_SIZE / 2 && !s->closing &&
		       pthread_cond_timedwait(&s->out_ready, &s->out_lock, &until) == 0)
			;
	}
	pthread_mutex_unlock(&s->out_lock);
	return NULL;
}

/* A vCPU's thread. */
static void serial_out(struct serial *s, uint8_t byte)
{
	if (s->out_fd < 0)
		return;
	if (!s->has_writer) {
		serial_put(s, &byte, 1);
		return;
	}
	pthread_mutex_lock(&s->out_lock);
	while (s->out_len == OUT_SIZE && !serial_ends(s)) {
		struct timespec until = serial_in(OUT_STUCK_MS * 1000000l);

		pthread_cond_timedwait(&s->out_room, &s->out_lock, &until);
	}
	if (s->out_len < OUT_SIZE) {
		s->out[(s->out_head + s->out_len++) % OUT_SIZE] = byte;
		if (s->writer_idle || s->out_len == OUT_SIZE / 2)
			pthread_cond_signal(&s->out_ready);
	}
	pthread_mutex_unlock(&s->out_lock);
}

static void serial_out_init(struct serial *s, int out_fd)
{
	pthread_condattr_t clock;
	struct stat st;

	s->out_fd = out_fd;
	/* a terminal or a socket may poll writable and yet not take two bytes without waiting */
	s->out_chunk = fstat(out_fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode))
			       ? OUT_SIZE
			       : 1;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&s->out_ready, &clock);
	pthread_cond_init(&s->out_room, &clock);
	pthread_condattr_destroy(&clock);
	pthread_mutex_init(&s->out_lock, NULL);
}

/* What was said last is written, if somebody takes it. */
static void serial_out_end(struct serial *s)
{
	if (s->has_writer) {
		pthread_mutex_lock(&s->out_lock);
		s->closing = true;
		pthread_cond_signal(&s->out_ready);
		pthread_mutex_unlock(&s->out_lock);
		pthread_join(s->writer, NULL);
	}
	pthread_mutex_destroy(&s->out_lock);
	pthread_cond_destroy(&s->out_ready);
	pthread_cond_destroy(&s->out_room);
}

/* --- registers, again: those that write --- */
/* A byte for the line. True when it is to go out, which is done outside the lock. */
static bool serial_transmit(struct serial *s, uint8_t byte)
{
	s->thr_pending = true;
	if (s->mcr & MCR_LOOP)
		serial_loop(s, byte);
	return !(s->mcr & MCR_LOOP);
}

static void serial_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	struct serial *s = opaque;
	uint8_t v = (uint8_t)val;
	bool dlab, out = false;

	pthread_mutex_lock(&s->lock);
	dlab = s->lcr & LCR_DLAB;
	switch (off) {
	case RBR_THR:
		if (dlab)
			s->dll = v;
		else
			out = serial_transmit(s, v);
		break;
	case IER:
		if (dlab)
			s->dlm = v;
		else
			serial_set_ier(s, v);
		break;
	case IIR_FCR: serial_set_fcr(s, v); break;
	case LCR: s->lcr = v; break;
	case MCR: serial_set_mcr(s, v & 0x1f); break;
	case SCR: s->scr = v; break;
	}
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
	if (out)
		serial_out(s, v); /* it may wait for room */
}

static const struct bus_ops serial_ops = { .read = serial_read, .write = serial_write };

int serial_create(struct vm *vm, int out_fd, struct serial **out)
{
	struct serial *s = calloc(1, sizeof(*s));
	struct bus_region r = { .base = SERIAL_PORT,
				.size = SERIAL_SIZE,
				.ops = &serial_ops,
				.opaque = s,
				.name = "serial" };
	int ret;

	if (!s)
		return -ENOMEM;
	s->vm = vm;
	serial_out_init(s, out_fd);
	s->dll = DIVISOR_9600; /* a driver that takes over the rate divides by it */
	pthread_mutex_init(&s->lock, NULL);
	r.n_access = &s->n_access;
	ret = bus_add(vm_pio(vm), &r);
	if (ret < 0) {
		serial_destroy(s);
		return ret;
	}
	*out = s;
	return 0;
}

void serial_destroy(struct serial *s)
{
	if (!s)
		return;
	serial_out_end(s);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int serial_start(struct serial *s)
{
	int ret = pthread_create(&s->writer, NULL, serial_writer, s);

	if (ret)
		return err_ret(-ret, "starting the console's thread: %s; raise 'ulimit -u'",
			       strerror(ret));
	s->has_writer = true;
	return 0;
}

unsigned int serial_room(struct serial *s)
{
	unsigned int room;

	pthread_mutex_lock(&s->lock);
	room = FIFO_SIZE - s->len;
	pthread_mutex_unlock(&s->lock);
	return room;
}

unsigned int serial_input(struct serial *s, const uint8_t *data, unsigned int len)
{
	unsigned int n = 0;

	pthread_mutex_lock(&s->lock);
	for (; n < len && s->len < FIFO_SIZE; n++)
		serial_push(s, data[n]);
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
	return n;
}

uint64_t serial_accesses(const struct serial *s)
{
	return __atomic_load_n(&s->n_access, __ATOMIC_RELAXED);
}
