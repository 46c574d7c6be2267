/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's E1000 driver played by a unit test: fake VM, memory, an 82540EM on the PCI bus, and
 * calls that do one thing each: access a register, write a descriptor, let the I/O thread's poller
 * run. Nothing is checked on the way, so that tests can do everything wrong. eg_tap() puts a
 * back-end behind the device that keeps what is sent and delivers what it is given.
 */
#ifndef TESTS_UNIT_HELPER_E1000_H
#define TESTS_UNIT_HELPER_E1000_H

#include "emul-e1000/e1000_priv.h"

#define EG_MEM     (8ull << 20)
#define EG_TX_RING 0x100000ull
#define EG_RX_RING 0x300000ull
#define EG_DATA    0x500000ull /* free for buffers from here to EG_MEM */
#define EG_KEEP    80          /* frames a tap keeps */

struct eg_tap {
	struct nic_backend be;
	struct nic_backend *real;
	unsigned int room; /* frames that send() still takes */
	bool hold;         /* send() takes, sent() says nothing yet */
	unsigned int slow; /* when not 0: sent() tells so many at a time */
	unsigned int n_taken, n_unreported, n_resets, n_filters;
	uint32_t len[EG_KEEP];
	unsigned int n_iov[EG_KEEP];
	uint8_t data[EG_KEEP][NIC_MAX_FRAME];
	unsigned int n_rx; /* frames waiting for receive() */
	uint32_t rx_len[EG_KEEP];
	uint8_t rx_data[EG_KEEP][NIC_MAX_FRAME];
	bool pull; /* receive() asks for buffers although it has nothing */
};

struct eg {
	struct guest_mem *mem;
	struct vm *vm;
	struct device_conf conf;
	struct device *dev;
	struct e1000 *d;
	struct eg_tap *tap;
	uint64_t bar;
	uint16_t pio;
	unsigned int n_messages; /* what the process said on the way */
	char message[256];
};

/* eg_up - device from its option text; memory, I/O and bus mastering on. eg_down ends all of it. */
void eg_up(struct eg *g, const char *opts);
/* eg_up_fd - the same with a descriptor for its back-end, taken. */
void eg_up_fd(struct eg *g, const char *opts, const char *fd_name, int fd);
void eg_down(struct eg *g);
void eg_tap(struct eg *g);

uint32_t eg_cfg_read(struct eg *g, unsigned int off);
void eg_cfg_write(struct eg *g, unsigned int off, uint32_t val);
/* a read of the memory BAR */
uint64_t eg_access(struct eg *g, uint64_t off, unsigned int size);
void eg_store(struct eg *g, uint64_t off, unsigned int size, uint64_t val);
uint32_t eg_io_read(struct eg *g, unsigned int off, unsigned int size);
void eg_io_write(struct eg *g, unsigned int off, unsigned int size, uint32_t val);
/* eg_poll - the I/O thread goes round n times. Gives the work it found. */
unsigned int eg_poll(struct eg *g, unsigned int n);
/* a counter of stats(); UINT64_MAX when there is none of that name */
uint64_t eg_stat(struct eg *g, const char *name);

static inline uint32_t eg_read(struct eg *g, uint64_t off)
{
	return (uint32_t)eg_access(g, off, 4);
}

static inline void eg_write(struct eg *g, uint64_t off, uint32_t val)
{
	eg_store(g, off, 4, val);
}

void *eg_ptr(struct eg *g, uint64_t gpa);
/* Rings of n descriptors, cleared; transmit and receive on. */
void eg_start_tx(struct eg *g, unsigned int n);
void eg_start_rx(struct eg *g, unsigned int n, uint32_t rctl);
/*
 * eg_legacy / eg_data - descriptor idx of the transmit ring; cmd as E1000_TXC_*. eg_context -
 * type_len whole.
 */
void eg_legacy(struct eg *g, unsigned int idx, uint64_t addr, uint16_t len, uint8_t cmd);
void eg_data(struct eg *g, unsigned int idx, uint64_t addr, uint32_t len, uint8_t cmd);
void eg_context(struct eg *g, unsigned int idx, uint8_t cmd, uint32_t paylen, uint8_t hdr_len,
		uint16_t mss);
uint8_t eg_tx_status(struct eg *g, unsigned int idx);
/* eg_post - receive descriptors [0, n) with buffers `step` bytes apart from EG_DATA on, RDT = n. */
void eg_post(struct eg *g, unsigned int n, uint32_t step);
struct e1000_rx_desc eg_rx(struct eg *g, unsigned int idx);
/*
 * eg_deliver - a frame of `len` bytes to that address for the tap to bring; bytes from the 14th on
 * count up.
 */
void eg_deliver(struct eg *g, const uint8_t dst[6], uint32_t len);
/* eg_fill - a frame at gpa: broadcast, bytes from the 14th on count up. */
void eg_fill(struct eg *g, uint64_t gpa, uint32_t len);

extern const uint8_t eg_mac[6]; /* 52:54:00:12:34:56, what EG_OPTS asks for */
#define EG_OPTS "mac=52:54:00:12:34:56"

#endif
