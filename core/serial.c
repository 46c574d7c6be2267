/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 16550A (see serial.h). Accesses come on vCPU threads, input on the main thread; one lock. */
#include "core/serial.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/vm_priv.h"

#define COM1      0x3f8
#define COM1_IRQ  4
#define FIFO_SIZE 64

enum { RBR_THR = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
enum {
	IER_RDI = 1,
	IER_THRI = 2,
	IIR_NONE = 1,
	IIR_THRI = 2,
	IIR_RDI = 4,
	IIR_FIFO = 0xc0,
	LCR_DLAB = 0x80,
	MCR_LOOP = 0x10,
	LSR_DR = 1,
	LSR_THRE = 0x20,
	LSR_TEMT = 0x40,
	FCR_ENABLE = 1,
	FCR_CLEAR_RX = 2,
};

struct serial {
	struct vm *vm;
	int out_fd;
	pthread_mutex_t lock;
	uint8_t ier, lcr, mcr, scr, dll, dlm, fcr;
	bool thr_pending; /* THR-empty interrupt not taken yet */
	bool irq;
	uint8_t fifo[FIFO_SIZE];
	unsigned int head, len;
	uint64_t n_access;
};

static uint8_t serial_iir(const struct serial *s)
{
	if (s->ier & IER_RDI && s->len)
		return IIR_RDI;
	if (s->ier & IER_THRI && s->thr_pending)
		return IIR_THRI;
	return IIR_NONE;
}

static void serial_update_irq(struct serial *s)
{
	bool level = serial_iir(s) != IIR_NONE;

	if (level != s->irq)
		vm_irq_line(s->vm, COM1_IRQ, level);
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

/* In loopback the modem outputs come back as inputs: that is how drivers find a UART. */
static uint8_t serial_msr(const struct serial *s)
{
	uint8_t m = s->mcr;

	if (!(m & MCR_LOOP))
		return 0xb0; /* DCD, DSR, CTS */
	return (uint8_t)((m & 2) << 3 | (m & 1) << 5 | (m & 4) << 4 | (m & 8) << 4);
}

static uint64_t serial_read(void *opaque, uint64_t off, unsigned int size)
{
	struct serial *s = opaque;
	uint8_t v = 0;

	pthread_mutex_lock(&s->lock);
	switch (off) {
	case RBR_THR: v = s->lcr & LCR_DLAB ? s->dll : serial_pop(s); break;
	case IER: v = s->lcr & LCR_DLAB ? s->dlm : s->ier; break;
	case IIR_FCR:
		v = serial_iir(s);
		if (v == IIR_THRI)
			s->thr_pending = false;
		v |= s->fcr & FCR_ENABLE ? IIR_FIFO : 0;
		break;
	case LCR: v = s->lcr; break;
	case MCR: v = s->mcr; break;
	case LSR: v = (uint8_t)(LSR_THRE | LSR_TEMT | (s->len ? LSR_DR : 0)); break;
	case MSR: v = serial_msr(s); break;
	case SCR: v = s->scr; break;
	}
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
	return v;
}

/* Waits for a reader that is slow, but not beyond the guest's end. */
static void serial_out(struct serial *s, uint8_t byte)
{
	struct pollfd p = { .fd = s->out_fd, .events = POLLOUT };

	if (s->out_fd < 0)
		return;
	while (poll(&p, 1, 100) <= 0)
		if (atomic_load(&s->vm->stop) != VM_STOP_NONE)
			return;
	while (write(s->out_fd, &byte, 1) < 0)
		if ((errno != EINTR && errno != EAGAIN) ||
		    atomic_load(&s->vm->stop) != VM_STOP_NONE)
			return;
}

static void serial_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	struct serial *s = opaque;
	uint8_t v = (uint8_t)val;
	bool out = false;

	pthread_mutex_lock(&s->lock);
	switch (off) {
	case RBR_THR:
		if (s->lcr & LCR_DLAB) {
			s->dll = v;
		} else {
			if (s->mcr & MCR_LOOP)
				serial_push(s, v);
			else
				out = true;
			s->thr_pending = true;
		}
		break;
	case IER:
		if (s->lcr & LCR_DLAB) {
			s->dlm = v;
		} else {
			if (!(s->ier & IER_THRI) && v & IER_THRI)
				s->thr_pending = true;
			s->ier = v & 0x0f;
		}
		break;
	case IIR_FCR:
		s->fcr = v;
		if (v & FCR_CLEAR_RX)
			s->len = 0;
		break;
	case LCR: s->lcr = v; break;
	case MCR: s->mcr = v & 0x1f; break;
	case SCR: s->scr = v; break;
	}
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
	if (out)
		serial_out(s, v); /* outside the lock: it may wait for a slow reader */
}

static const struct bus_ops serial_ops = { .read = serial_read, .write = serial_write };

int serial_create(struct vm *vm, int out_fd, struct serial **out)
{
	struct serial *s = calloc(1, sizeof(*s));
	struct bus_region r = {
		.base = COM1, .size = 8, .ops = &serial_ops, .opaque = s, .name = "serial"
	};
	int ret;

	if (!s)
		return -ENOMEM;
	s->vm = vm;
	s->out_fd = out_fd;
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
	pthread_mutex_destroy(&s->lock);
	free(s);
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
