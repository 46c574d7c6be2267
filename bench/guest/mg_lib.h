/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The microguest's ground: ports, MMIO, time, the serial line, options, memory, PCI, and the
 * interface between the packet loop and the drivers. Everything runs in ring 3, polled, on one CPU,
 * memory is mapped one to one below 4 GiB. No floating point, no CPUID, device registers only by
 * plain mov of 1, 2, 4 or 8 bytes: some hosts interpret no more than that.
 */
#ifndef BENCH_GUEST_MG_LIB_H
#define BENCH_GUEST_MG_LIB_H

#include <stddef.h>
#include <stdint.h>

#define MG_N_SLOTS   256  /* buffers, and ring entries, a direction */
#define MG_BUF_SMALL 2048 /* buffer stride for frames up to MG_SMALL_MAX */
#define MG_BUF_LARGE 16384
#define MG_SMALL_MAX 1522  /* what every device takes without being asked */
#define MG_N_SAMPLES 65536 /* round trips kept for the percentiles */

struct mg;

/* One received frame, in the driver's buffer until rx_refill(). */
struct mg_rx {
	uint8_t *data;
	uint32_t len; /* bytes without the FCS; 0: the device reported an error */
};

/*
 * A driver. The loop owns the contents of the transmit slots and fills them round robin, the driver
 * owns rings and doorbells. All calls come from the one thread; none of them waits but init().
 */
struct mg_driver {
	const char *name; /* value of the option dev= */
	/* Finds the function, resets it, sets up rings, mac, headroom, tx_room. NULL, or what
	 * failed. */
	const char *(*init)(struct mg *mg);
	/* 1 when the link is up. */
	int (*link)(struct mg *mg);
	/* How many frames, oldest first, have been sent since the last call: free slots. */
	unsigned int (*tx_reap)(struct mg *mg);
	/* Sends the next n slots in round-robin order, lengths in tx_len; rings the doorbell once.
	 */
	void (*tx_burst)(struct mg *mg, unsigned int n);
	/* Up to max received frames; returns how many. */
	unsigned int (*rx_burst)(struct mg *mg, struct mg_rx *rx, unsigned int max);
	/* Gives the buffers of all frames from rx_burst() back to the device; one doorbell. */
	void (*rx_refill)(struct mg *mg);
};

extern const struct mg_driver mg_driver_e1000, mg_driver_virtio, mg_driver_igb, mg_driver_igbvf;

/* Options by their words, see mg_main.c. */
struct mg_opts {
	const char *cmdline;
	uint64_t hz;   /* of the TSC */
	uint64_t ecam; /* 0: ports 0xcf8, 0xcfc */
	uint64_t pool; /* next free address for a BAR without one */
	uint32_t size, batch, seed;
	uint32_t warm_ms, ms, settle_ms;
	uint32_t first_ms; /* rx: no frame within it is no failure; 0: it is one, after a while */
	uint32_t nth;      /* which of several like functions */
	uint64_t stray;    /* igb: all buffers are said to lie here; 0: where they do */
	uint8_t dst[6];
	int has_dst;
	int icr;  /* e1000: read ICR after the receive doorbell */
	int kick; /* virtio: 1 notifies always, 0 when the device asks */
	int echo;
	int check_all; /* each frame has a payload of its own, and each is compared whole */
	int tx, rx;    /* directions that the mode uses */
};

/* A NIC of the guest with its buffers. */
struct mg {
	struct mg_opts opt;
	const struct mg_driver *drv;
	void *priv;      /* the driver's, from mg_alloc() */
	struct mg *peer; /* the NIC that receives what this one sends, or NULL */
	uint8_t mac[6];
	uint64_t seq;   /* cross: of the next frame, over all runs */
	uint64_t kicks; /* doorbells rung, both directions */

	uint32_t stride;          /* bytes from one buffer to the next */
	uint32_t headroom;        /* bytes before the frame in a transmit buffer */
	uint32_t tx_room;         /* slots that may be in flight */
	uint32_t tx_free;         /* slots the loop may fill */
	uint32_t tx_next;         /* slot the loop fills next */
	uint8_t *tx_buf, *rx_buf; /* MG_N_SLOTS each */
	uint32_t tx_len[MG_N_SLOTS];
	uint32_t *samples; /* MG_N_SAMPLES */
};

static inline uint8_t *mg_tx_frame(struct mg *mg, uint32_t slot)
{
	return mg->tx_buf + (size_t)slot * mg->stride + mg->headroom;
}

/* ---- The CPU -------------------------------------------------------------------------------- */
static inline void mg_out8(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void mg_out16(uint16_t port, uint16_t value)
{
	asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t mg_in8(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void mg_out32(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t mg_in32(uint16_t port)
{
	uint32_t value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint8_t mg_read8(uint64_t addr)
{
	uint8_t value;

	asm volatile("movb (%1), %0" : "=a"(value) : "r"(addr) : "memory");
	return value;
}

static inline void mg_write8(uint64_t addr, uint8_t value)
{
	asm volatile("movb %0, (%1)" : : "a"(value), "r"(addr) : "memory");
}

static inline uint16_t mg_read16(uint64_t addr)
{
	uint16_t value;

	asm volatile("movw (%1), %0" : "=a"(value) : "r"(addr) : "memory");
	return value;
}

static inline void mg_write16(uint64_t addr, uint16_t value)
{
	asm volatile("movw %0, (%1)" : : "a"(value), "r"(addr) : "memory");
}

static inline uint32_t mg_read32(uint64_t addr)
{
	uint32_t value;

	asm volatile("movl (%1), %0" : "=a"(value) : "r"(addr) : "memory");
	return value;
}

static inline void mg_write32(uint64_t addr, uint32_t value)
{
	asm volatile("movl %0, (%1)" : : "a"(value), "r"(addr) : "memory");
}

static inline uint64_t mg_tsc(void)
{
	uint32_t low, high;

	asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return low | (uint64_t)high << 32;
}

static inline void mg_relax(void)
{
	asm volatile("pause" : : : "memory");
}

/* x86 keeps loads in order among themselves and stores likewise: only the compiler is held back. */
static inline void mg_barrier(void)
{
	asm volatile("" : : : "memory");
}

/* A store before, a load after: the one order that x86 does not keep. */
static inline void mg_barrier_full(void)
{
	asm volatile("lock; addl $0, -8(%%rsp)" : : : "memory", "cc");
}

/* ---- mg_lib.c ------------------------------------------------------------------------------- */
void *memset(void *dst, int byte, size_t size);
void *memcpy(void *dst, const void *src, size_t size);
int memcmp(const void *a, const void *b, size_t size);

/* Zeroed memory for good, align a power of two; leaves the guest when there is no more. */
void *mg_alloc(size_t size, size_t align);

/* a * b / c without losing the high half; c not 0, the quotient must fit 64 bits. */
uint64_t mg_muldiv(uint64_t a, uint64_t b, uint64_t c);
uint64_t mg_ticks(const struct mg *mg, uint64_t ms);
uint64_t mg_ns(const struct mg *mg, uint64_t ticks);
void mg_wait_us(const struct mg *mg, uint64_t us);
void mg_sort(uint32_t *values, uint32_t n);

void mg_puts(const char *text);
void mg_put_dec(uint64_t value);
void mg_put_hex(uint64_t value, int digits);
void mg_put_field(const char *name, uint64_t value); /* " name=value" */
void mg_put_mac(const uint8_t mac[6]);
int mg_getc(void);                                /* a byte from COM1, or -1 */
void mg_quit(int code) __attribute__((noreturn)); /* powers off, or resets where it cannot */
void mg_reset(void) __attribute__((noreturn));
void mg_fail(const char *reason) __attribute__((noreturn));
void mg_exception(uint64_t vector, uint64_t rip) __attribute__((noreturn));

/* The text behind "key=" on the command line, or NULL. It ends at a blank or at 0. */
const char *mg_opt_text(const char *cmdline, const char *key);
uint64_t mg_opt_number(const char *cmdline, const char *key, uint64_t otherwise);
int mg_opt_is(const char *cmdline, const char *key, const char *value);
void mg_opt_mac(const char *cmdline, const char *key, uint8_t mac[6]);
void mg_put_opt(const char *cmdline, const char *key); /* prints the text, or '?' */

/* ---- mg_pci.c ------------------------------------------------------------------------------- */
#define MG_PCI_NONE 0xffffffffu
/* A function's address: bus << 8 | device << 3 | function. */
uint32_t mg_pci_read(const struct mg *mg, uint32_t bdf, uint32_t offset);
void mg_pci_write(const struct mg *mg, uint32_t bdf, uint32_t offset, uint32_t value);
/* The nth function (option nth=) with this vendor and device, or MG_PCI_NONE. */
uint32_t mg_pci_find(struct mg *mg, uint16_t vendor, uint16_t device);
/* Gives memory BARs without a usable address one; memory decoding and bus mastering on, INTx off.
 */
void mg_pci_enable(struct mg *mg, uint32_t bdf);
/* Address of a memory BAR, or 0. */
uint64_t mg_pci_bar(const struct mg *mg, uint32_t bdf, unsigned int bar);
/* Prints every function and its BARs. */
void mg_pci_list(struct mg *mg);

/* ---- mg_loop.c ------------------------------------------------------------------------------ */
void mg_loop_tx(struct mg *mg);
void mg_loop_rx(struct mg *mg);
void mg_loop_pingpong(struct mg *mg);
void mg_loop_cross(struct mg *mg); /* mg->peer is set */

/* ---- mg_blk.c ------------------------------------------------------------------------------- */
void mg_blk_bring_up(struct mg *mg);
void mg_blk_verify(struct mg *mg);

/* ---- mg_smp.c ------------------------------------------------------------------------------- */
void mg_smp_bring_up(struct mg *mg);
void mg_smp_count(struct mg *mg);
/* Puts code (16-bit, position independent) where a woken processor starts; zeroes its data page. */
void mg_smp_load(const uint8_t *start, const uint8_t *end);
/* Wakes the processor with that APIC id; 1 when the id-th has counted itself (MG_AP_COUNT). */
int mg_smp_wake(const struct mg *mg, uint32_t id);
/* 16 free bytes of the woken ones' data, as their code addresses them and as we do. */
#define MG_AP_COUNT 0x804
#define MG_AP_OWN   0x910
uint64_t mg_smp_own(void);

/* ---- mg_abuse.c ----------------------------------------------------------------------------- */
void mg_abuse_bars(struct mg *mg);
void mg_abuse_config(struct mg *mg);
void mg_abuse_decode(struct mg *mg);

#endif
