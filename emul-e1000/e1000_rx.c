/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receive of the 82540EM (manual, 3.2 and 13.5): the buffers between RDH and RDT are shown to the
 * back-end, which writes frames into them; written descriptors go back in order, several for a long
 * frame. Also the filters that are handed to the back-end. Everything runs on the I/O thread within
 * a burst, with the device locked, entered by e1000_rx_burst() and, from the back-end's receive(),
 * by the front-end calls.
 *
 * Without RCTL.SECRC a frame is four bytes longer: the FCS, which nobody computed, is zero. Each
 * buffer then keeps four bytes free, so that the FCS never needs a buffer of its own; a frame in
 * several buffers is cut four bytes earlier than on the part. What is found in a frame is
 * e1000_rx_look.c's. Left out: bad frames (RCTL.SBP: no back-end has any), the canonical form bit
 * (CFIEN), wake-up.
 */
#include "e1000_priv.h"

#include <string.h>

/*
 * e1000_rx_restart - the posted buffers are the guest's again: the ring moved, receive went off, or
 * buffers have another size. A back-end that holds some lets go of them before this returns.
 */
void e1000_rx_restart(struct e1000 *d)
{
	nic_rx_withdraw(d->be, 0);
	d->rx.stale = true;
	d->rx.n = 0;
}

/* BSIZE and BSEX (13.4.22); the reserved 2048 * 16 counts as 16384. */
static uint32_t rx_buffer_size(uint32_t rctl)
{
	uint32_t size = UINT32_C(2048) >> ((rctl & E1000_RCTL_BSIZE) >> E1000_RCTL_BSIZE_SHIFT);

	if (rctl & E1000_RCTL_BSEX)
		size = size == 2048 ? 16384 : 16 * size;
	return size;
}

static void rx_setup(struct e1000 *d)
{
	struct e1000_rx *rx = &d->rx;
	gpa_t base = e1000_get(d, E1000_RDBAL) | (gpa_t)e1000_get(d, E1000_RDBAH) << 32;
	uint32_t rctl = e1000_get(d, E1000_RCTL);

	rx->size = e1000_get(d, E1000_RDLEN) / E1000_DESC_SIZE;
	rx->ring = mem_ptr(d->mem, base, (size_t)rx->size * E1000_DESC_SIZE);
	rx->fcs = rctl & E1000_RCTL_SECRC ? 0 : E1000_FCS;
	rx->room = rx_buffer_size(rctl) - rx->fcs;
	rx->first = rx->n = 0;
	rx->stale = rx->reported = false;
}

static bool rx_usable(struct e1000 *d)
{
	struct e1000_rx *rx = &d->rx;
	uint32_t rdh, rdt;

	if (!(e1000_get(d, E1000_RCTL) & E1000_RCTL_EN) || !pci_bus_master(&d->pci) ||
	    !e1000_on_wire(d))
		return false;
	if (rx->stale)
		rx_setup(d);
	rdh = e1000_get(d, E1000_RDH);
	rdt = e1000_get(d, E1000_RDT);
	if (rx->ring && rdh < rx->size && rdt < rx->size)
		return true;
	if (!rx->reported && rdh != rdt) {
		rx->reported = true;
		d->n.ring_errors++;
		err_limited(&d->limit,
			    "%s: receive queue stopped: RDH %u, RDT %u, RDLEN %u: no such ring",
			    d->pci.name, rdh, rdt, e1000_get(d, E1000_RDLEN));
	}
	return false;
}

/* Descriptors that the guest has posted: RDH up to, not including, RDT. The ring is usable. */
static uint32_t rx_posted(const struct e1000 *d)
{
	uint32_t rdh = e1000_get(d, E1000_RDH), rdt = e1000_get(d, E1000_RDT);

	return rdt >= rdh ? rdt - rdh : d->rx.size - rdh + rdt;
}

/* RDT has moved back: what was shown to the back-end beyond it is posted no more. */
bool e1000_rx_shrunk(const struct e1000 *d)
{
	const struct e1000_rx *rx = &d->rx;

	return !rx->stale && rx->n && (e1000_get(d, E1000_RDT) >= rx->size || rx_posted(d) < rx->n);
}

bool e1000_rx_ready(struct e1000 *d)
{
	return !d->looping && rx_usable(d) && rx_posted(d);
}

/* --- the front-end's side of the seam --- */
/*
 * Copies some of the descriptors that are not known yet (there are such) and translates their
 * buffers.
 */
static void rx_fetch(struct e1000 *d)
{
	struct e1000_rx_desc desc[E1000_RX_FETCH];
	struct e1000_rx *rx = &d->rx;
	uint32_t n = rx_posted(d) - rx->n, idx = (e1000_get(d, E1000_RDH) + rx->n) % rx->size;

	if (n > E1000_RX_FETCH)
		n = E1000_RX_FETCH;
	if (n > E1000_RX_CACHE - rx->n)
		n = E1000_RX_CACHE - rx->n;
	if (n > rx->size - idx)
		n = rx->size - idx;
	memcpy(desc, rx->ring + idx, n * sizeof(desc[0]));
	/* the guest may go on writing: the compiler must not look there a second time */
	atomic_signal_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < n; i++)
		rx->buf[(rx->first + rx->n++) % E1000_RX_CACHE] =
			mem_ptr(d->mem, desc[i].addr, rx->room + rx->fcs);
}

static void rx_bad_buffer(struct e1000 *d)
{
	if (d->rx.reported)
		return;
	d->rx.reported = true;
	d->n.bad_rx_address++;
	err_limited(&d->limit, "%s: receive queue stopped: a posted buffer is not in guest memory",
		    d->pci.name);
}

static unsigned int rx_buf(struct nic_frontend *fe, unsigned int q, unsigned int pos, bool first,
			   struct iovec *iov, unsigned int max_iov)
{
	struct e1000 *d = E1000_OF(fe, fe);
	struct e1000_rx *rx = &d->rx;
	void *p;

	if (q || !max_iov || !rx->on || pos >= E1000_RX_CACHE || pos >= rx_posted(d))
		return 0;
	while (rx->n <= pos)
		rx_fetch(d);
	p = rx->buf[(rx->first + pos) % E1000_RX_CACHE];
	if (!p) {
		rx_bad_buffer(d);
		return 0;
	}
	iov[0] = (struct iovec){ .iov_base = p, .iov_len = rx->room };
	return 1;
}

/*
 * The device's half of a descriptor as one store: whoever sees DD sees the rest, and the bytes of
 * the frame.
 */
static void rx_write_desc(struct e1000_rx_desc *desc, uint32_t len,
			  const struct e1000_rx_word *word)
{
	__atomic_store_n((uint64_t *)(void *)&desc->length,
			 (uint16_t)len | (uint64_t)word->checksum << 16 |
				 (uint64_t)word->status << 32 | (uint64_t)word->errors << 40 |
				 (uint64_t)word->special << 48,
			 __ATOMIC_RELEASE);
}

/* A frame's bytes as the guest's buffers have them. */
static unsigned int rx_iov(const struct e1000_rx *rx, const struct nic_rx_done *done,
			   struct iovec *iov)
{
	uint32_t left = done->len;
	unsigned int n = 0;

	for (; n < done->n_bufs && n < NIC_MAX_IOV; n++) {
		uint32_t len = left < rx->room ? left : rx->room;

		iov[n].iov_base = rx->buf[(rx->first + n) % E1000_RX_CACHE];
		iov[n].iov_len = len;
		left -= len;
	}
	return n;
}

static void rx_examine(struct e1000 *d, const struct nic_rx_done *done, enum e1000_cast cast,
		       struct e1000_rx_word *word)
{
	struct iovec iov[NIC_MAX_IOV];
	unsigned int n = rx_iov(&d->rx, done, iov);

	if (cast == E1000_MULTICAST)
		e1000_rx_look_group(d, iov, n, word);
	if (!d->rx.plain)
		e1000_rx_look(d, iov, n, done->len, word);
}

/* No frame on a wire is shorter; every buffer has room for it. */
static void rx_pad(struct e1000_rx *rx, struct nic_rx_done *done)
{
	memset((char *)rx->buf[rx->first] + done->len, 0, E1000_MIN_FRAME - done->len);
	done->len = E1000_MIN_FRAME;
}

/* Gives back the buffers of one frame. */
static void rx_finish(struct e1000 *d, struct nic_rx_done done, struct e1000_tally *tally)
{
	static const struct e1000_rx_word part = { .status = E1000_RXD_STAT_DD };
	struct e1000_rx_word word = { .status = E1000_RXD_STAT_DD | E1000_RXD_STAT_EOP |
						E1000_RXD_STAT_IXSM };
	struct e1000_rx *rx = &d->rx;
	enum e1000_cast cast = e1000_cast_of(rx->buf[rx->first], 6);
	uint32_t left, idx = e1000_get(d, E1000_RDH);

	if (done.len < E1000_MIN_FRAME)
		rx_pad(rx, &done);
	e1000_tally_frame(tally, done.len, cast);
	if (!rx->plain || cast == E1000_MULTICAST)
		rx_examine(d, &done, cast, &word);
	left = done.len;
	for (unsigned int i = 0; i < done.n_bufs; i++) {
		uint8_t *p = rx->buf[rx->first];
		uint32_t len = left < rx->room ? left : rx->room;

		left -= len;
		len -= i ? 0 : word.cut;
		if (i + 1 < done.n_bufs) {
			rx_write_desc(&rx->ring[idx], len, &part);
		} else {
			memset(p + len, 0, rx->fcs);
			rx_write_desc(&rx->ring[idx], len + rx->fcs, &word);
		}
		rx->first = (rx->first + 1) % E1000_RX_CACHE;
		rx->n--;
		if (++idx == rx->size)
			idx = 0;
	}
	e1000_set(d, E1000_RDH, idx);
	d->n.rx_descriptors += done.n_bufs;
}

/* RXDMT0 when the posted descriptors sink to 1/2, 1/4 or 1/8 of the ring (13.4.22, RDMTS). */
static uint32_t rx_threshold(const struct e1000 *d)
{
	uint32_t shift = (e1000_get(d, E1000_RCTL) & E1000_RCTL_RDMTS) >> E1000_RCTL_RDMTS_SHIFT;

	return d->rx.size >> (1 + shift);
}

static void rx_done(struct nic_frontend *fe, unsigned int q, const struct nic_rx_done *done,
		    unsigned int n)
{
	struct e1000 *d = E1000_OF(fe, fe);
	struct e1000_tally tally = { 0 };
	uint32_t before;

	if (q || !d->rx.on)
		return;
	before = rx_posted(d);
	for (unsigned int i = 0; i < n; i++)
		/* never more than rx_buf() showed */
		if (done[i].n_bufs && done[i].n_bufs <= d->rx.n)
			rx_finish(d, done[i], &tally);
	if (!tally.n)
		return;
	e1000_tally_rx(d, &tally);
	e1000_rx_interrupt(d);
	if (before > rx_threshold(d) && rx_posted(d) <= rx_threshold(d))
		d->causes |= E1000_INT_RXDMT0;
}

static void rx_link(struct nic_frontend *fe, bool up)
{
	struct e1000 *d = E1000_OF(fe, fe);

	/* on any thread: what follows from it is the poller's */
	if (atomic_exchange(&d->partner, up) != up)
		io_wake(vm_io(d->vm));
}

const struct nic_frontend_ops e1000_frontend_ops = {
	.rx_buf = rx_buf,
	.rx_done = rx_done,
	.link = rx_link,
};

/* --- filters (13.5) --- */
static void filter_add(struct nic_filter *f, uint32_t low, uint32_t high)
{
	if (f->n_macs == NIC_FILTER_MACS)
		return;
	for (unsigned int k = 0; k < 6; k++)
		f->mac[f->n_macs][k] = (uint8_t)(k < 4 ? low >> (8 * k) : high >> (8 * (k - 4)));
	f->n_macs++;
}

void e1000_rx_filter(const struct e1000 *d, struct nic_filter *f)
{
	static const uint8_t shift[4] = { 4, 3, 2, 0 }; /* 13.5.1, by RCTL.MO */
	uint32_t rctl = e1000_get(d, E1000_RCTL);

	memset(f, 0, sizeof(*f));
	f->all_unicast = rctl & E1000_RCTL_UPE;
	f->all_multicast = rctl & E1000_RCTL_MPE;
	f->broadcast = rctl & E1000_RCTL_BAM;
	f->promisc = f->all_unicast && f->all_multicast && f->broadcast;
	/* other tags than those of 802.1Q pass */
	f->vlan = rctl & E1000_RCTL_VFE && e1000_get(d, E1000_VET) == E1000_VET_RESET;
	f->hash = true;
	f->hash_shift = shift[(rctl & E1000_RCTL_MO) >> E1000_RCTL_MO_SHIFT];
	memcpy(f->hash_table, &d->reg[E1000_MTA / 4], sizeof(f->hash_table));
	memcpy(f->vlan_table, &d->reg[E1000_VFTA / 4], sizeof(f->vlan_table));
	for (unsigned int i = 0; i < E1000_N_RA; i++) {
		uint32_t high = e1000_get(d, E1000_RAH(i));

		if (high & E1000_RAH_AV && !(high & E1000_RAH_AS))
			filter_add(f, e1000_get(d, E1000_RAL(i)), high);
	}
	/* pause frames are wanted while they are listened to: they are counted */
	if (e1000_get(d, E1000_CTRL) & E1000_CTRL_RFCE)
		filter_add(f, e1000_get(d, E1000_FCAL), e1000_get(d, E1000_FCAH));
}
_Static_assert(E1000_N_RA <= NIC_FILTER_MACS, "every receive address fits");

/* --- the burst --- */
/* What the back-end refused since `before` is what the part would have missed. */
static void rx_count_drops(struct e1000 *d, const uint64_t before[NIC_N_DROPS])
{
	const uint64_t *now = e1000_nic(d)->n.rx_drop;
	uint64_t missed = now[NIC_DROP_NO_BUFFER] - before[NIC_DROP_NO_BUFFER];

	if (!(e1000_get(d, E1000_RCTL) & E1000_RCTL_EN))
		return;
	if (missed) {
		e1000_stat_add(d, E1000_MPC, missed);
		e1000_stat_add(d, E1000_RNBC, missed);
		d->n.rx_no_descriptor += missed;
		d->causes |= E1000_INT_RXO;
	}
	e1000_stat_add(d, E1000_ROC, now[NIC_DROP_TOO_LONG] - before[NIC_DROP_TOO_LONG]);
	e1000_stat_add(d, E1000_RUC, now[NIC_DROP_TOO_SHORT] - before[NIC_DROP_TOO_SHORT]);
}

/*
 * e1000_rx_burst - lets the back-end deliver at most NIC_BURST frames. Also while receive is off:
 * then it is shown no buffer, as on the part, where such frames are lost. Gives the frames it
 * handled.
 */
unsigned int e1000_rx_burst(struct e1000 *d)
{
	uint64_t before[NIC_N_DROPS];
	unsigned int n;

	d->rx.on = rx_usable(d);
	d->rx.strip = e1000_get(d, E1000_CTRL) & E1000_CTRL_VME;
	d->rx.csum = e1000_get(d, E1000_RXCSUM);
	d->rx.plain = !d->rx.strip && !d->rx.csum && !e1000_get(d, E1000_RSRPD);
	memcpy(before, e1000_nic(d)->n.rx_drop, sizeof(before));
	n = nic_receive(e1000_nic(d), 0, NIC_BURST);
	if (n)
		rx_count_drops(d, before);
	d->rx.on = false;
	return n;
}
