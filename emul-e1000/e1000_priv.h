/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the emulated 82540EM, for the files e1000*.c and its unit tests. Everything follows
 * the manual that e1000_regs.h names.
 *
 * Threads. vCPUs read and write registers; the I/O thread moves frames, and it alone calls the
 * back-end. `lock` protects registers, rings and counters: a register access holds it for one
 * handler, the I/O thread for one burst. What a handler wants done by the back-end (reset, new
 * filters) it leaves as a flag for the next poll, but for posted buffers: those are withdrawn at
 * once, within the deadline of the back-end. Nothing that takes a lock of core is called under
 * `lock`: the line of INTx moves and the I/O thread is woken after it has been released. Order: PCI
 * bus, zone_lock, coalesced ring, lock; irq_lock comes after nothing of ours.
 */
#ifndef EMUL_E1000_PRIV_H
#define EMUL_E1000_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/device.h"
#include "core/err.h"
#include "core/nic.h"
#include "core/pci.h"
#include "emul-e1000/e1000_regs.h"

#define E1000_N_WORDS    (E1000_MEM_BAR_SIZE / 4)
#define E1000_IO_SIZE    64    /* what the part decodes; all beyond IODATA is empty */
#define E1000_RING_MAX   65536 /* descriptors; TDLEN and RDLEN cannot say more */
#define E1000_FCS        4
#define E1000_MIN_FRAME  60 /* without the FCS */
#define E1000_ETH_HEADER 14
#define E1000_MAX_SHORT  1518 /* without the FCS, with a VLAN tag; RCTL.LPE off */
#define E1000_MAX_LONG   (NIC_MAX_FRAME - E1000_FCS)

#define E1000_TX_FETCH 128  /* descriptors copied at a time, and at most in a frame */
#define E1000_TX_SLOTS 1024 /* units under way; a power of two */
#define E1000_TX_IOVS  256
#define E1000_TX_HDR   264      /* bytes that offloads can change: offsets have 8 bits; and a tag */
#define E1000_TSO_MAX  0x100000 /* bytes of a message; the context cannot say more */
#define E1000_RX_CACHE 256      /* posted buffers known; a power of two */
#define E1000_RX_FETCH 64

_Static_assert(NIC_MAX_FRAME <= UINT16_MAX, "lengths fit uint16_t");
_Static_assert(E1000_TX_IOVS > NIC_MAX_IOV + 1, "a frame and its padding fit the pool");

struct e1000;

/* One row of the register table: `count` registers of one meaning, `stride` bytes apart. */
struct e1000_reg {
	uint32_t offset;
	uint16_t count;  /* 1.. */
	uint16_t stride; /* 4 or more, also when count is 1 */
	const char *name;
	uint32_t reset;
	uint32_t wmask; /* bits a write changes, without a write handler */
	uint32_t (*read)(struct e1000 *d, uint32_t off);            /* NULL: the stored value */
	void (*write)(struct e1000 *d, uint32_t off, uint32_t val); /* NULL: by wmask */
};

extern const struct e1000_reg e1000_reg_table[];
extern const unsigned int e1000_n_regs;

/* What became of a run of transmit descriptors. All but FRAME, CONTEXT, REST: a refused frame. */
enum e1000_tx_what {
	E1000_TX_FRAME, /* with the back-end */
	E1000_TX_CONTEXT,
	E1000_TX_BAD_ADDRESS, /* a buffer that is not all in guest memory */
	E1000_TX_BAD_TYPE,    /* a reserved descriptor type */
	E1000_TX_TOO_SHORT,
	E1000_TX_TOO_LONG,
	E1000_TX_TOO_MANY, /* above NIC_MAX_IOV, or no EOP in a whole fetch */
	E1000_TX_OFFLOAD,  /* wants segmentation by a context that makes no sense */
	E1000_TX_REST,     /* what followed a frame without end */
	E1000_TX_N_WHAT
};

enum e1000_cast { E1000_UNICAST, E1000_MULTICAST, E1000_BROADCAST };

struct e1000_tx_slot {
	uint16_t n_desc;
	uint16_t len; /* with padding; 0 when it was refused */
	uint8_t what; /* enum e1000_tx_what */
	uint8_t cast;
	uint8_t flags; /* E1000_SLOT_* */
	bool prompt;   /* a status was asked for without delay (IDE) */
};
#define E1000_SLOT_PLAIN   1 /* an offload was asked for, the frame went without */
#define E1000_SLOT_SEGMENT 2 /* of a long message; its descriptors are the last one's */
#define E1000_SLOT_LAST    4 /* the last of these */

/* Where a burst goes on when the back-end takes only the frames before this one. */
struct e1000_tx_mark {
	uint32_t next, slot_tail, tso_done;
	unsigned int n_undo;
};

/* A context that took another's place. */
struct e1000_tx_undo {
	struct e1000_tx_context_desc ctx; /* the other */
	unsigned int place;
};

struct e1000_tx_batch {
	unsigned int n, n_iov;
	struct nic_tx_frame frame[NIC_BURST];
	struct e1000_tx_mark mark[NIC_BURST];
	struct iovec iov[E1000_TX_IOVS];
	struct e1000_tx_data_desc desc[E1000_TX_FETCH];
	struct iovec message[E1000_TX_FETCH];      /* what is being cut into segments */
	struct e1000_tx_undo undo[E1000_TX_FETCH]; /* the contexts of this burst, in order */
	unsigned int n_undo;
	/* the registers' say in this burst: frames are padded to, VLE means something */
	uint32_t min_len, vle;
};

struct e1000_tx {
	struct e1000_tx_data_desc *ring; /* NULL: none, or not in guest memory */
	uint32_t size;                   /* descriptors */
	bool stale;                      /* a ring register was written: look at them all again */
	bool reported;                   /* the present mistake has been counted */
	bool dropping;                   /* until EOP */
	uint32_t next;                   /* first descriptor that is in no slot */
	uint32_t tso_done; /* payload of the message at `next` that is in slots already */
	/* the last contexts: [1] for segmentation, [0] for everything else */
	struct e1000_tx_context_desc ctx[2];
	struct e1000_tx_slot slot[E1000_TX_SLOTS];
	uint8_t hdr[E1000_TX_SLOTS][E1000_TX_HDR]; /* where offloads change bytes of a frame */
	uint32_t slot_head, slot_tail;             /* free running */
	uint32_t n_backend;                        /* frames among the slots */
	uint32_t orphans;                 /* frames with the back-end from before the ring moved */
	uint32_t returned;                /* frames that a reset of the back-end gave back */
	uint64_t rs[E1000_RING_MAX / 64]; /* descriptors that asked for a status */
	struct e1000_tx_batch batch;
};

struct e1000_rx {
	struct e1000_rx_desc *ring;
	uint32_t size;
	bool stale, reported;
	bool on;                   /* this burst: buffers may be given out */
	uint32_t room;             /* bytes shown of a buffer */
	uint32_t fcs;              /* bytes added to each frame */
	bool plain;                /* this burst: frames are not looked into */
	bool strip;                /* ... VLAN tags are taken out */
	uint32_t csum;             /* ... RXCSUM */
	void *buf[E1000_RX_CACHE]; /* from RDH on; NULL: not in guest memory */
	uint32_t first, n;
};

/* Times of the device's clock in ns; 0: none. */
struct e1000_timer {
	uint64_t due;  /* moves with each frame; 0: it does not run */
	uint64_t last; /* the latest it may get */
};

struct e1000_eeprom {
	uint16_t word[E1000_EEPROM_N_WORDS];
	uint32_t in, n_in; /* microwire: bits shifted in since the start bit */
	uint32_t n_out;    /* bits shifted out */
	uint8_t op, addr;
	bool reading, out, writable;
};

struct e1000_counters {
	uint64_t tx_what[E1000_TX_N_WHAT];
	uint64_t tx_descriptors, tx_offload_ignored, tx_segments, rx_descriptors, rx_no_descriptor,
		ring_errors, bad_rx_address, rx_shifted;
	uint64_t tdt_writes, rdt_writes, resets, unknown_registers, odd_accesses;
};

struct e1000 {
	struct pci_dev pci;
	struct device dev;
	struct vm *vm;
	struct guest_mem *mem;
	struct nic_backend *be;   /* I/O thread */
	struct nic_backend *loop; /* what stands in for it in loopback; I/O thread */
	struct nic_frontend fe;
	struct io_poller poller;
	struct io_fd rx_fd;   /* I/O thread; watched only while it rests */
	bool rx_fd_on, awake; /* I/O thread */
	uint8_t mac[6];

	pthread_mutex_t lock;
	_Atomic unsigned int n_waiting; /* vCPUs that want `lock` */
	/* under lock */
	uint32_t reg[E1000_N_WORDS];
	uint8_t row[E1000_N_WORDS]; /* 1 + index into e1000_reg_table; 0: nothing there */
	uint32_t io_addr;
	uint16_t phy[E1000_N_PHY];
	bool phy_link, link_up; /* the PHY's; the MAC's, which is STATUS.LU */
	bool link_lost;         /* since the PHY's status was read */
	bool looping;           /* frames go to `loop`; changed by the I/O thread */
	struct e1000_eeprom eeprom;
	struct e1000_tx tx;
	struct e1000_rx rx;
	struct e1000_counters n;
	struct err_limit limit;
	bool reset_pending, filter_dirty; /* for the I/O thread */
	bool wake, irq_dirty;             /* for whoever releases the lock */
	uint32_t causes;                  /* I/O thread: raised after the burst */

	_Atomic bool partner;                  /* the back-end's link */
	bool partner_seen;                     /* I/O thread */
	struct e1000_timer rx_timer, tx_timer; /* under lock */
	uint64_t (*now)(void);
	struct io_fd timer_fd; /* I/O thread */
	uint64_t armed;        /* what timer_fd is set to; I/O thread */
	_Atomic uint32_t itr_ns;
	_Atomic uint64_t irq_due; /* the line may rise then; 0: nothing waits for it */
	_Atomic uint32_t icr, ims;
	pthread_mutex_t irq_lock; /* line, irq_last */
	bool line;
	uint64_t irq_last; /* when it rose */
	_Atomic uint64_t n_interrupts;

	pthread_mutex_t zone_lock; /* bar, zones */
	uint64_t bar;              /* 0: not mapped */
	bool tdt_zone, rdt_zone;
	uint64_t zone_base;
	_Atomic bool zones, zones_wanted;
};

#define E1000_OF(ptr, member) ((struct e1000 *)((char *)(ptr)-offsetof(struct e1000, member)))

static inline uint32_t e1000_get(const struct e1000 *d, uint32_t off)
{
	return d->reg[off / 4];
}

static inline void e1000_set(struct e1000 *d, uint32_t off, uint32_t val)
{
	d->reg[off / 4] = val;
}

/* --- e1000_reg_table.c --- */
extern const struct bus_ops e1000_mmio_ops, e1000_pio_ops; /* opaque: struct e1000 */
void e1000_reg_index(struct e1000 *d);                     /* fills row[] */
/* under lock: what CTRL.RST does, but for the back-end */
void e1000_reg_reset(struct e1000 *d);
/* NULL: no register there */
const char *e1000_reg_name(const struct e1000 *d, uint32_t off);
/*
 * e1000_lock - as a vCPU: the I/O thread lets it in between two bursts. e1000_unlock does what the
 * handlers asked for.
 */
void e1000_lock(struct e1000 *d);
void e1000_unlock(struct e1000 *d);

/* --- e1000_irq.c --- */
void e1000_cause(struct e1000 *d, uint32_t bits); /* handlers: under lock, told at its end */
/* I/O thread, without lock: lets the line rise when it was held back and may now */
void e1000_irq_release(struct e1000 *d);
void e1000_irq_raise(struct e1000 *d, uint32_t causes); /* any thread, without lock */
/* after a change of icr or ims; without lock */
void e1000_irq_update(struct e1000 *d);

/* --- e1000_phy.c, e1000_eeprom.c: under lock --- */
void e1000_phy_init(struct e1000 *d); /* power on */
void e1000_phy_reset(struct e1000 *d);
bool e1000_phy_powered(const struct e1000 *d);
bool e1000_phy_loopback(const struct e1000 *d);
/* after a change of the PHY, of CTRL or of the partner: what follows, with its interrupts */
void e1000_link_update(struct e1000 *d);
uint32_t e1000_status_read(struct e1000 *d, uint32_t off);
void e1000_mdic_write(struct e1000 *d, uint32_t off, uint32_t val);
void e1000_eeprom_init(struct e1000 *d);
/* what the part reads from it: the first receive address */
void e1000_eeprom_load(struct e1000 *d);
uint32_t e1000_eecd_read(struct e1000 *d, uint32_t off);
void e1000_eecd_write(struct e1000 *d, uint32_t off, uint32_t val);
void e1000_eerd_write(struct e1000 *d, uint32_t off, uint32_t val);

/* --- e1000_tx.c, e1000_rx.c: I/O thread, under lock --- */
/* where frames go and come from now */
static inline struct nic_backend *e1000_nic(const struct e1000 *d)
{
	return d->looping ? d->loop : d->be;
}

/* Is there anything to send to and receive from? A PHY without power is no wire. */
static inline bool e1000_on_wire(const struct e1000 *d)
{
	return d->looping || e1000_phy_powered(d);
}

unsigned int e1000_tx_burst(struct e1000 *d);
void e1000_tx_all_sent(struct e1000 *d); /* the back-end was reset: nothing is under way */
void e1000_tx_restart(struct e1000 *d);  /* also by handlers: the ring's registers changed */
unsigned int e1000_rx_burst(struct e1000 *d);
void e1000_rx_restart(struct e1000 *d);
bool e1000_rx_shrunk(const struct e1000 *d);
bool e1000_rx_ready(struct e1000 *d); /* enabled, and a buffer is posted */
void e1000_rx_filter(const struct e1000 *d, struct nic_filter *f);
extern const struct nic_frontend_ops e1000_frontend_ops;

/* --- e1000_timer.c --- */
uint64_t e1000_monotonic(void);           /* ns: what `now` is unless a test says otherwise */
int e1000_timers_create(struct e1000 *d); /* negative errno after a message */
void e1000_timers_destroy(struct e1000 *d);
/* I/O thread, under lock: a frame came; a status was written. Causes now, or after a delay. */
void e1000_rx_interrupt(struct e1000 *d);
void e1000_tx_interrupt(struct e1000 *d, bool prompt);
void e1000_timers_run(struct e1000 *d);
uint64_t e1000_timers_due(const struct e1000 *d); /* the next one; 0: none */
/* I/O thread, without lock, with nothing to do: what it would miss in its sleep */
void e1000_timers_arm(struct e1000 *d, uint64_t due);
/* handlers */
void e1000_timers_reset(struct e1000 *d);
void e1000_delay_write(struct e1000 *d, uint32_t off, uint32_t val);
void e1000_itr_write(struct e1000 *d, uint32_t off, uint32_t val);

/* --- e1000_offload.c --- */
/* A sum in the making; all zero at the start. */
struct e1000_sum {
	uint64_t acc;
	bool odd; /* so many bytes came before */
};
void e1000_sum_add(struct e1000_sum *s, const void *p, size_t len);
/* of the bytes [start, end) of what iov[0..n) hold, as far as there are any */
void e1000_sum_range(struct e1000_sum *s, const struct iovec *iov, unsigned int n, uint32_t start,
		     uint32_t end);
/* a sum of len bytes that was made for itself */
void e1000_sum_join(struct e1000_sum *s, const struct e1000_sum *part, uint32_t len);
uint16_t e1000_sum_end(const struct e1000_sum *s); /* not inverted, in the order of memory */
/* up to len bytes from the front; gives how many */
uint32_t e1000_iov_copy(void *dst, const struct iovec *iov, unsigned int n, uint32_t len);

/* What is to be done to a frame. Offsets have been held against it. */
struct e1000_tx_job {
	struct {
		uint32_t start, end, at; /* sums [start, end), into [at, at + 2) */
	} sum[2];
	unsigned int n_sums;
	bool ip_sum, l4_sum; /* of a segment: by the context's offsets */
	bool udp, tag;
	uint16_t vet, tci;
};
/*
 * Does the job to the frame in iov[0..n), room for max: its first bytes go to hdr, which becomes
 * iov[0]. Gives the new n; 0 when it is above max.
 */
unsigned int e1000_offload_frame(const struct e1000_tx_job *job, uint8_t *hdr, struct iovec *iov,
				 unsigned int n, unsigned int max);
struct e1000_segment {
	uint32_t offset, len, idx; /* of its payload; in the order of segments */
	bool last;
};
/* Can a message be cut by this context? Every field it changes lies in the header, then. */
bool e1000_tso_sane(const struct e1000_tx_context_desc *ctx, uint32_t payload);
/* Makes hdr, a copy of the message's, that of one segment. Gives its length. */
uint32_t e1000_offload_segment(const struct e1000_tx_job *job,
			       const struct e1000_tx_context_desc *ctx, uint8_t *hdr,
			       const struct e1000_segment *seg, const struct iovec *payload,
			       unsigned int n);

/* --- e1000_rx_look.c: I/O thread, under lock --- */
/* What a receive descriptor says of a frame. */
struct e1000_rx_word {
	uint8_t status, errors;
	uint16_t checksum, special;
	uint32_t cut; /* bytes that were taken out of its first buffer */
};
/*
 * Looks at a frame of len bytes in iov[0..n), as the registers want it. Takes the tag out of it
 * when that is asked for.
 */
void e1000_rx_look(struct e1000 *d, const struct iovec *iov, unsigned int n, uint32_t len,
		   struct e1000_rx_word *word);
/* More for frames to a group: flow control, inexact filters. */
void e1000_rx_look_group(struct e1000 *d, const struct iovec *iov, unsigned int n,
			 struct e1000_rx_word *word);

/* --- e1000_stats.c: under lock --- */
/* A burst's frames, added to the registers once. */
struct e1000_tally {
	uint32_t n, n_multicast, n_broadcast, bin[6];
	uint64_t bytes;
};
void e1000_stat_add(struct e1000 *d, uint32_t off, uint64_t n);
uint32_t e1000_stat_read(struct e1000 *d, uint32_t off);      /* clears */
uint32_t e1000_stat_high_read(struct e1000 *d, uint32_t off); /* clears both halves */

/* Of the first bytes of a frame. Inline as the next one: they are called for every frame. */
static inline enum e1000_cast e1000_cast_of(const uint8_t *dst, size_t len)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (!(dst[0] & 1))
		return E1000_UNICAST;
	return len >= 6 && !memcmp(dst, broadcast, 6) ? E1000_BROADCAST : E1000_MULTICAST;
}

/* len without FCS */
static inline void e1000_tally_frame(struct e1000_tally *t, uint32_t len, enum e1000_cast cast)
{
	uint32_t wire = len + E1000_FCS, log = 31 - (uint32_t)__builtin_clz(wire);

	t->n++;
	t->bytes += wire;
	t->n_multicast += cast == E1000_MULTICAST;
	t->n_broadcast += cast == E1000_BROADCAST;
	/* 64, then powers of two: 65-127 is the second */
	t->bin[wire <= 64 ? 0 : log > 10 ? 5 : log - 5]++;
}

void e1000_tally_tx(struct e1000 *d, const struct e1000_tally *t);
void e1000_tally_rx(struct e1000 *d, const struct e1000_tally *t);
void e1000_stats(struct device *dev, struct stats_sink *s);

#endif
