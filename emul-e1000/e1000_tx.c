/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transmit of the 82540EM (manual, 3.3 and 3.4): legacy and data descriptors become scatter-gather
 * lists into guest memory, contexts are remembered. Called by the poller with the device locked;
 * calls the back-end.
 *
 * The ring between TDH and TDT has two parts. From TDH to `next` lie slots: runs of descriptors
 * that are with the back-end or need nothing more; they are finished in order (status written, TDH
 * moved) as the back-end reports. From `next` to TDT lie descriptors not looked at, or of a frame
 * whose end is not there yet, or that the back-end had no room for: those are read again. A
 * descriptor is copied once for each look and only the copy is used. Offloads (checksums,
 * segmentation, VLAN tags) are not done: segmentation is refused, the others are counted and the
 * frame leaves as it is.
 */
#include "e1000_priv.h"

#include <string.h>

#define CMD(bit) ((uint32_t)E1000_TXC_##bit << E1000_TXX_CMD_SHIFT)

static const uint8_t padding[E1000_MIN_FRAME];

/*
 * e1000_tx_restart - the ring moved or the device was reset: nothing of what was fetched counts any
 * more. What the back-end still has is waited for without anybody being told.
 */
void e1000_tx_restart(struct e1000 *d)
{
	struct e1000_tx *tx = &d->tx;

	tx->orphans += tx->n_backend;
	tx->n_backend = 0;
	tx->slot_head = tx->slot_tail = tx->returned = 0;
	tx->dropping = false;
	tx->stale = true;
}

void e1000_tx_all_sent(struct e1000 *d)
{
	d->tx.returned = d->tx.n_backend;
	d->tx.orphans = 0;
}

/*
 * A ring lies in one piece of guest memory, or it is none: regions never touch, so no ring can span
 * two.
 */
static void tx_setup(struct e1000 *d)
{
	struct e1000_tx *tx = &d->tx;
	gpa_t base = e1000_get(d, E1000_TDBAL) | (gpa_t)e1000_get(d, E1000_TDBAH) << 32;

	tx->size = e1000_get(d, E1000_TDLEN) / E1000_DESC_SIZE;
	tx->ring = mem_ptr(d->mem, base, (size_t)tx->size * E1000_DESC_SIZE);
	tx->next = e1000_get(d, E1000_TDH);
	tx->stale = tx->reported = false;
}

/* May the queue run? A mistake in its registers is counted once, until they are written again. */
static bool tx_usable(struct e1000 *d)
{
	struct e1000_tx *tx = &d->tx;

	if (!(e1000_get(d, E1000_TCTL) & E1000_TCTL_EN) || !pci_bus_master(&d->pci) ||
	    !e1000_on_wire(d))
		return false;
	if (tx->stale)
		tx_setup(d);
	if (tx->ring && tx->next < tx->size && e1000_get(d, E1000_TDT) < tx->size) {
		tx->reported = false;
		return true;
	}
	if (!tx->reported && e1000_get(d, E1000_TDT) != tx->next) {
		tx->reported = true;
		d->n.ring_errors++;
		err_limited(&d->limit,
			    "%s: transmit queue stopped: TDH %u, TDT %u, TDLEN %u: no such ring",
			    d->pci.name, e1000_get(d, E1000_TDH), e1000_get(d, E1000_TDT),
			    e1000_get(d, E1000_TDLEN));
	}
	return false;
}

/* --- finishing --- */
static void tx_write_back(struct e1000 *d, uint32_t n_desc)
{
	struct e1000_tx *tx = &d->tx;
	uint32_t idx = e1000_get(d, E1000_TDH);
	bool any = false;

	/* the frame's bytes were read before the guest may write them anew */
	atomic_thread_fence(memory_order_release);
	for (uint32_t i = 0; i < n_desc; i++) {
		if (tx->rs[idx / 64] >> (idx % 64) & 1) {
			__atomic_store_n(&tx->ring[idx].status, E1000_TXD_STAT_DD,
					 __ATOMIC_RELAXED);
			any = true;
		}
		if (++idx == tx->size)
			idx = 0;
	}
	e1000_set(d, E1000_TDH, idx);
	d->n.tx_descriptors += n_desc;
	if (any)
		d->causes |= E1000_INT_TXDW;
	if (idx == e1000_get(d, E1000_TDT))
		d->causes |= E1000_INT_TXQE;
}

/* Finishes the slots whose frames the back-end is done with. Gives the number of descriptors. */
static uint32_t tx_complete(struct e1000 *d)
{
	struct e1000_tx *tx = &d->tx;
	struct e1000_tally tally = { 0 };
	unsigned int done = tx->n_backend + tx->orphans ? nic_sent(e1000_nic(d), 0) : 0;
	unsigned int k = done < tx->orphans ? done : tx->orphans;
	uint32_t n_desc = 0;

	tx->orphans -= k;
	done += tx->returned - k;
	tx->returned = 0;
	for (; tx->slot_head != tx->slot_tail; tx->slot_head++) {
		const struct e1000_tx_slot *s = &tx->slot[tx->slot_head % E1000_TX_SLOTS];

		if (s->what == E1000_TX_FRAME) {
			if (!done)
				break;
			done--;
			tx->n_backend--;
			d->n.tx_offload_ignored += s->plain;
			e1000_tally_frame(&tally, s->len, s->cast);
		}
		d->n.tx_what[s->what]++;
		n_desc += s->n_desc;
	}
	if (tally.n)
		e1000_tally_tx(d, &tally);
	if (n_desc)
		tx_write_back(d, n_desc);
	return n_desc;
}

/* --- building --- */
/* Copies the descriptors from `next` on, at most a fetch of them. */
static unsigned int tx_fetch(const struct e1000_tx *tx, uint32_t tail,
			     struct e1000_tx_data_desc *desc)
{
	uint32_t n = tail >= tx->next ? tail - tx->next : tx->size - tx->next + tail, first;

	if (n > E1000_TX_FETCH)
		n = E1000_TX_FETCH;
	first = n < tx->size - tx->next ? n : tx->size - tx->next;
	memcpy(desc, tx->ring + tx->next, first * sizeof(*desc));
	memcpy(desc + first, tx->ring, (n - first) * sizeof(*desc));
	/* the guest may go on writing: the compiler must not look there a second time */
	atomic_signal_fence(memory_order_seq_cst);
	return n;
}

/* A slot that holds no frame. */
static void tx_push(struct e1000_tx *tx, unsigned int n_desc, enum e1000_tx_what what)
{
	tx->slot[tx->slot_tail++ % E1000_TX_SLOTS] = (struct e1000_tx_slot){
		.n_desc = (uint16_t)n_desc,
		.what = (uint8_t)what,
	};
}

static bool tx_is_context(const struct e1000_tx_data_desc *desc)
{
	return desc->cmd_type_len & CMD(DEXT) &&
	       (desc->cmd_type_len & E1000_TXX_DTYP) == E1000_TXX_DTYP_CONTEXT;
}

/* A frame being put together in the batch's free iov entries. */
struct tx_walk {
	struct iovec *iov;
	unsigned int n_iov;
	uint32_t len;
	enum e1000_tx_what what; /* the first thing that is wrong with it */
	bool plain;              /* asked for an offload that is not there */
};

static void tx_add(struct e1000 *d, struct tx_walk *w, const struct e1000_tx_data_desc *desc)
{
	bool extended = desc->cmd_type_len & CMD(DEXT);
	uint32_t len = desc->cmd_type_len & (extended ? E1000_TXX_LEN : 0xffff);
	void *p;

	w->len += len;
	if (w->what != E1000_TX_FRAME || !len)
		return;
	if (extended && (desc->cmd_type_len & E1000_TXX_DTYP) != E1000_TXX_DTYP_DATA) {
		w->what = E1000_TX_BAD_TYPE;
	} else if (w->n_iov == NIC_MAX_IOV) {
		w->what = E1000_TX_TOO_MANY;
	} else {
		p = mem_ptr(d->mem, desc->addr, len);
		if (!p)
			w->what = E1000_TX_BAD_ADDRESS;
		w->iov[w->n_iov++] = (struct iovec){ .iov_base = p, .iov_len = len };
	}
}

/* What the frame asks for beyond its bytes (3.3.7.1: the options of its first descriptor count). */
static void tx_offloads(const struct e1000 *d, struct tx_walk *w,
			const struct e1000_tx_data_desc *first, uint32_t last_cmd)
{
	bool extended = first->cmd_type_len & CMD(DEXT);

	if (extended && (first->cmd_type_len | last_cmd) & CMD(TSE))
		w->what = E1000_TX_OFFLOAD;
	if (extended)
		w->plain = first->popts & (E1000_TXD_POPTS_IXSM | E1000_TXD_POPTS_TXSM);
	else
		w->plain = last_cmd & CMD(IC);
	if (last_cmd & CMD(VLE) && e1000_get(d, E1000_CTRL) & E1000_CTRL_VME)
		w->plain = true;
}

/* Lengths; padding (TCTL.PSP) comes from zeros of our own. */
static void tx_check(struct e1000 *d, struct tx_walk *w)
{
	bool pad = w->len && w->len < E1000_MIN_FRAME && e1000_get(d, E1000_TCTL) & E1000_TCTL_PSP;

	if (w->len > NIC_MAX_FRAME) {
		w->what = E1000_TX_TOO_LONG;
	} else if (pad) {
		w->iov[w->n_iov++] = (struct iovec){
			.iov_base = (void *)padding,
			.iov_len = E1000_MIN_FRAME - w->len,
		};
		w->len = E1000_MIN_FRAME;
	} else if (w->len < E1000_ETH_HEADER) {
		w->what = E1000_TX_TOO_SHORT;
	}
}

/* The frame has its end: into the batch with it, or into a slot that says why not. */
static void tx_commit(struct e1000 *d, struct tx_walk *w, unsigned int n_desc)
{
	struct e1000_tx *tx = &d->tx;
	struct e1000_tx_batch *b = &tx->batch;
	struct e1000_tx_slot *s;
	uint32_t slot = tx->slot_tail;

	if (w->what == E1000_TX_FRAME)
		tx_check(d, w);
	tx_push(tx, n_desc, w->what);
	if (w->what != E1000_TX_FRAME)
		return;
	s = &tx->slot[slot % E1000_TX_SLOTS];
	s->len = (uint16_t)w->len;
	s->plain = w->plain;
	s->cast = (uint8_t)e1000_cast_of(w->iov[0].iov_base, w->iov[0].iov_len);
	b->mark[b->n] = (struct e1000_tx_mark){
		.next = tx->next,
		.slot_tail = slot,
		.ctx = tx->ctx,
	};
	b->frame[b->n++] = (struct nic_tx_frame){ .iov = w->iov, .n_iov = w->n_iov, .len = w->len };
	b->n_iov += w->n_iov;
}

/*
 * How many descriptors without EOP are too many: more are never fetched, or do not fit into the
 * ring.
 */
static bool tx_endless(const struct e1000_tx *tx, unsigned int n)
{
	return n >= E1000_TX_FETCH || n >= tx->size - 1;
}

/*
 * One frame from desc[0..n), all of them fetched. Gives the descriptors it took; 0 when its end is
 * not there yet. A frame that can have no end is given up: everything up to the next EOP goes with
 * it.
 */
static unsigned int tx_frame(struct e1000 *d, const struct e1000_tx_data_desc *desc, unsigned int n)
{
	struct e1000_tx *tx = &d->tx;
	struct tx_walk w = { .iov = tx->batch.iov + tx->batch.n_iov };

	for (unsigned int i = 0; i < n; i++) {
		if (tx_is_context(&desc[i]))
			continue; /* within a frame it means nothing */
		tx_add(d, &w, &desc[i]);
		if (!(desc[i].cmd_type_len & CMD(EOP)))
			continue;
		if (w.what == E1000_TX_FRAME)
			tx_offloads(d, &w, &desc[0], desc[i].cmd_type_len);
		tx_commit(d, &w, i + 1);
		return i + 1;
	}
	if (!tx_endless(tx, n))
		return 0;
	tx->dropping = true;
	tx_push(tx, n, E1000_TX_TOO_MANY);
	return n;
}

/*
 * The rest of a frame that was given up; it has been counted, so it ends like a context: quietly.
 */
static unsigned int tx_skip(struct e1000 *d, const struct e1000_tx_data_desc *desc, unsigned int n)
{
	unsigned int i = 0;

	while (i < n && d->tx.dropping)
		if (!tx_is_context(&desc[i]) && desc[i].cmd_type_len & CMD(EOP))
			d->tx.dropping = false, i++;
		else
			i++;
	tx_push(&d->tx, i, E1000_TX_REST);
	return i;
}

static unsigned int tx_unit(struct e1000 *d, const struct e1000_tx_data_desc *desc, unsigned int n)
{
	if (d->tx.dropping)
		return tx_skip(d, desc, n);
	if (!tx_is_context(desc))
		return tx_frame(d, desc, n);
	memcpy(&d->tx.ctx, desc, sizeof(d->tx.ctx));
	tx_push(&d->tx, 1, E1000_TX_CONTEXT);
	return 1;
}

/* Remembers who wants a status, and moves on. */
static void tx_advance(struct e1000_tx *tx, const struct e1000_tx_data_desc *desc, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t bit = UINT64_C(1) << (tx->next % 64), *word = &tx->rs[tx->next / 64];

		*word = desc[i].cmd_type_len & CMD(RS) ? *word | bit : *word & ~bit;
		if (++tx->next == tx->size)
			tx->next = 0;
	}
}

static void tx_build(struct e1000 *d)
{
	struct e1000_tx *tx = &d->tx;
	struct e1000_tx_batch *b = &tx->batch;
	unsigned int n = tx_fetch(tx, e1000_get(d, E1000_TDT), b->desc), i = 0, used;

	b->n = b->n_iov = 0;
	while (i < n && b->n < NIC_BURST && b->n_iov + NIC_MAX_IOV + 1 <= E1000_TX_IOVS &&
	       tx->slot_tail - tx->slot_head < E1000_TX_SLOTS) {
		used = tx_unit(d, b->desc + i, n - i);
		if (!used)
			break;
		tx_advance(tx, b->desc + i, used);
		i += used;
	}
}

/* The back-end had no room from frame `k` on: as if we had not looked further. */
static void tx_take_back(struct e1000_tx *tx, unsigned int k)
{
	tx->next = tx->batch.mark[k].next;
	tx->slot_tail = tx->batch.mark[k].slot_tail;
	tx->ctx = tx->batch.mark[k].ctx;
	tx->dropping = false;
}

/*
 * e1000_tx_burst - finishes what the back-end has sent, hands it at most NIC_BURST further frames.
 * Gives the descriptors that moved: 0 when there was nothing to do.
 */
unsigned int e1000_tx_burst(struct e1000 *d)
{
	struct e1000_tx *tx = &d->tx;
	unsigned int moved = 0, k = 0;

	/*
	 * what is under way is finished also when the queue has been turned off, unless the bus is
	 * closed to us
	 */
	if (pci_bus_master(&d->pci))
		moved = tx_complete(d);
	if (!tx_usable(d))
		return moved;
	if (tx->next == e1000_get(d, E1000_TDT))
		return moved;
	tx_build(d);
	if (tx->batch.n)
		k = nic_send(e1000_nic(d), 0, tx->batch.frame, tx->batch.n);
	if (k < tx->batch.n)
		tx_take_back(tx, k);
	tx->n_backend += k;
	moved += tx_complete(d);
	return moved + k;
}
