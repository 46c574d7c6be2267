/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transmit of the 82540EM (manual, 3.3 to 3.5): legacy and data descriptors become scatter-gather
 * lists into guest memory, contexts are remembered. Called by the poller with the device locked;
 * calls the back-end.
 *
 * The ring between TDH and TDT has two parts. From TDH to `next` lie slots: runs of descriptors
 * that are with the back-end or need nothing more; they are finished in order (status written, TDH
 * moved) as the back-end reports. From `next` to TDT lie descriptors not looked at, or of a frame
 * whose end is not there yet, or that the back-end had no room for: those are read again. A
 * descriptor is copied once for each look and only the copy is used.
 *
 * A frame that asks for checksums or a tag has its first bytes copied to the slot's own memory and
 * changed there (e1000_offload.c). A message to be segmented takes a slot a segment, the last of
 * which has all its descriptors; when a burst ends in the middle, `tso_done` says where the next
 * one goes on. Left out: the FCS of a driver that brings its own (IFCS off), collisions.
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
	tx->slot_head = tx->slot_tail; /* not the first again: the old ones' headers are in use */
	tx->returned = 0;
	tx->tso_done = 0;
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
/* 13.4.43: TXD_LOW when the descriptors that wait sink to LWTHRESH, in units of 8. */
static void tx_check_low(struct e1000 *d, uint32_t n_desc)
{
	uint32_t low = (e1000_get(d, E1000_TXDCTL) >> E1000_TXDCTL_LWTHRESH_SHIFT) * 8;
	uint32_t head = e1000_get(d, E1000_TDH), tail = e1000_get(d, E1000_TDT), left;

	if (!low || tail >= d->tx.size)
		return;
	left = tail >= head ? tail - head : d->tx.size - head + tail;
	if (left <= low && left + n_desc > low)
		d->causes |= E1000_INT_TXD_LOW;
}

static void tx_write_back(struct e1000 *d, uint32_t n_desc, bool prompt)
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
		e1000_tx_interrupt(d, prompt);
	if (idx == e1000_get(d, E1000_TDT))
		d->causes |= E1000_INT_TXQE;
	tx_check_low(d, n_desc);
}

/* Statistics that few frames touch. */
static void tx_count_flags(struct e1000 *d, const struct e1000_tx_slot *s)
{
	if (s->flags & E1000_SLOT_PLAIN)
		d->n.tx_offload_ignored++;
	if (!(s->flags & E1000_SLOT_SEGMENT))
		return;
	d->n.tx_segments += s->what == E1000_TX_FRAME;
	if (s->what != E1000_TX_FRAME)
		e1000_stat_add(d, E1000_TSCTFC, 1);
	else if (s->flags & E1000_SLOT_LAST)
		e1000_stat_add(d, E1000_TSCTC, 1);
}

/* Finishes the slots whose frames the back-end is done with. Gives descriptors and frames. */
static uint32_t tx_complete(struct e1000 *d)
{
	struct e1000_tx *tx = &d->tx;
	struct e1000_tally tally = { 0 };
	unsigned int done = tx->n_backend + tx->orphans ? nic_sent(e1000_nic(d), 0) : 0;
	unsigned int k = done < tx->orphans ? done : tx->orphans;
	uint32_t n_desc = 0, n_frames = 0;
	bool prompt = false;

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
			n_frames++;
			e1000_tally_frame(&tally, s->len, s->cast);
		}
		if (s->flags)
			tx_count_flags(d, s);
		d->n.tx_what[s->what]++;
		n_desc += s->n_desc;
		prompt |= s->prompt;
	}
	if (tally.n)
		e1000_tally_tx(d, &tally);
	if (n_desc)
		tx_write_back(d, n_desc, prompt);
	return n_desc + n_frames;
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

/* A frame being put together: in the batch's free iov entries, or a message in its own. */
struct tx_walk {
	struct iovec *iov;
	unsigned int n_iov, max_iov;
	uint32_t len;
	enum e1000_tx_what what; /* the first thing that is wrong with it */
	uint8_t flags;
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
	} else if (w->n_iov == w->max_iov) {
		w->what = E1000_TX_TOO_MANY;
	} else {
		p = mem_ptr(d->mem, desc->addr, len);
		if (!p)
			w->what = E1000_TX_BAD_ADDRESS;
		w->iov[w->n_iov++] = (struct iovec){ .iov_base = p, .iov_len = len };
	}
}

/* Is there room for any frame, and its padding? */
static bool tx_has_room(const struct e1000_tx *tx)
{
	return tx->batch.n < NIC_BURST && tx->batch.n_iov + NIC_MAX_IOV + 1 <= E1000_TX_IOVS &&
	       tx->slot_tail - tx->slot_head < E1000_TX_SLOTS;
}

/*
 * A good frame into the batch and into a slot: w->iov is the batch's next free entry. Padding
 * (TCTL.PSP) comes from zeros of our own.
 */
static inline void tx_put(struct e1000 *d, struct tx_walk *w, unsigned int n_desc)
{
	struct e1000_tx *tx = &d->tx;
	struct e1000_tx_batch *b = &tx->batch;
	struct e1000_tx_mark *mark = &b->mark[b->n];

	if (w->len < b->min_len) {
		w->iov[w->n_iov++] = (struct iovec){
			.iov_base = (void *)padding,
			.iov_len = b->min_len - w->len,
		};
		w->len = b->min_len;
	}
	mark->next = tx->next;
	mark->slot_tail = tx->slot_tail;
	mark->tso_done = tx->tso_done;
	mark->n_undo = b->n_undo;
	tx->slot[tx->slot_tail++ % E1000_TX_SLOTS] = (struct e1000_tx_slot){
		.n_desc = (uint16_t)n_desc,
		.len = (uint16_t)w->len,
		.what = E1000_TX_FRAME,
		.cast = (uint8_t)e1000_cast_of(w->iov[0].iov_base, w->iov[0].iov_len),
		.flags = w->flags,
	};
	b->frame[b->n++] = (struct nic_tx_frame){ .iov = w->iov, .n_iov = w->n_iov, .len = w->len };
	b->n_iov += w->n_iov;
}

/* --- what a frame asks for beyond its bytes --- */
/*
 * 3.3.3.1, 3.3.7.1: checksums of data descriptors by the first one's options, all else by the
 * last's.
 */
static bool tx_wants_job(const struct e1000 *d, const struct e1000_tx_data_desc *first,
			 const struct e1000_tx_data_desc *last)
{
	if (first->cmd_type_len & CMD(DEXT)
		    ? first->popts & (E1000_TXD_POPTS_IXSM | E1000_TXD_POPTS_TXSM)
		    : last->cmd_type_len & CMD(IC))
		return true;
	return last->cmd_type_len & d->tx.batch.vle;
}

/* A checksum whose place is not in the frame is not made, and counted. `end` 0: to the end. */
static void job_add_sum(struct e1000_tx_job *job, struct tx_walk *w, uint32_t start, uint32_t end,
			uint32_t at)
{
	if (!end || end > w->len)
		end = w->len;
	if (start >= end || at + 2 > w->len) {
		w->flags |= E1000_SLOT_PLAIN;
		return;
	}
	job->sum[job->n_sums].start = start;
	job->sum[job->n_sums].end = end;
	job->sum[job->n_sums++].at = at;
}

static void job_tag(const struct e1000 *d, struct e1000_tx_job *job,
		    const struct e1000_tx_data_desc *last)
{
	job->tag = last->cmd_type_len & d->tx.batch.vle;
	job->tci = last->special;
	job->vet = (uint16_t)e1000_get(d, E1000_VET);
}

static void tx_do_job(struct e1000 *d, struct tx_walk *w, const struct e1000_tx_data_desc *first,
		      const struct e1000_tx_data_desc *last)
{
	const struct e1000_tx_context_desc *ctx = &d->tx.ctx[0];
	struct e1000_tx_legacy_desc old;
	struct e1000_tx_job job = { 0 };
	unsigned int n;

	memcpy(&old, last, sizeof(old));
	job_tag(d, &job, last);
	if (!(first->cmd_type_len & CMD(DEXT))) {
		if (old.cmd & E1000_TXC_IC)
			job_add_sum(&job, w, old.css, 0, old.cso);
	} else {
		job.udp = !(ctx->cmd_type_len & CMD(TCP));
		if (first->popts & E1000_TXD_POPTS_IXSM)
			job_add_sum(&job, w, ctx->ipcss, ctx->ipcse ? ctx->ipcse + 1u : 0,
				    ctx->ipcso);
		if (first->popts & E1000_TXD_POPTS_TXSM)
			job_add_sum(&job, w, ctx->tucss, ctx->tucse ? ctx->tucse + 1u : 0,
				    ctx->tucso);
	}
	if (!job.n_sums && !job.tag)
		return;
	n = e1000_offload_frame(&job, d->tx.hdr[d->tx.slot_tail % E1000_TX_SLOTS], w->iov, w->n_iov,
				w->max_iov);
	if (!n)
		w->what = E1000_TX_TOO_MANY;
	w->n_iov = n;
	w->len += job.tag ? 4 : 0;
}

static bool tx_length_ok(struct e1000 *d, struct tx_walk *w)
{
	bool pad = w->len && d->tx.batch.min_len;

	if (w->len > NIC_MAX_FRAME)
		w->what = E1000_TX_TOO_LONG;
	else if (w->len < E1000_ETH_HEADER && !pad)
		w->what = E1000_TX_TOO_SHORT;
	return w->what == E1000_TX_FRAME;
}

/* The frame has its end: into the batch with it, or into a slot that says why not. */
static void tx_commit(struct e1000 *d, struct tx_walk *w, const struct e1000_tx_data_desc *first,
		      unsigned int n_desc)
{
	const struct e1000_tx_data_desc *last = first + n_desc - 1;

	if (w->what == E1000_TX_FRAME && tx_length_ok(d, w) && tx_wants_job(d, first, last) &&
	    w->len >= E1000_ETH_HEADER) {
		tx_do_job(d, w, first, last);
		if (w->what == E1000_TX_FRAME)
			tx_length_ok(d, w);
	}
	if (w->what == E1000_TX_FRAME)
		tx_put(d, w, n_desc);
	else
		tx_push(&d->tx, n_desc, w->what);
}

/* --- segmentation --- */
/* What is left of a message's payload. */
struct tx_rest {
	const struct iovec *iov;
	unsigned int n;
	size_t off; /* into iov[0] */
};

static void rest_skip(struct tx_rest *r, uint32_t len)
{
	for (r->off += len; r->n && r->off >= r->iov->iov_len; r->iov++, r->n--)
		r->off -= r->iov->iov_len;
}

/* The next len bytes as iov[0..max), without moving on. Gives the elements; 0: too many. */
static unsigned int rest_slice(const struct tx_rest *rest, uint32_t len, struct iovec *iov,
			       unsigned int max)
{
	struct tx_rest r = *rest;
	unsigned int n = 0;

	while (len) {
		size_t part;

		if (n == max || !r.n)
			return 0;
		part = r.iov->iov_len - r.off < len ? r.iov->iov_len - r.off : len;
		iov[n++] = (struct iovec){
			.iov_base = (char *)r.iov->iov_base + r.off,
			.iov_len = part,
		};
		len -= (uint32_t)part;
		rest_skip(&r, (uint32_t)part);
	}
	return n;
}

/* The segment at tso_done. False when it has too many pieces. */
static bool tx_segment(struct e1000 *d, const struct e1000_tx_job *job, const uint8_t *header,
		       uint32_t payload, struct tx_rest *rest, unsigned int n_desc)
{
	struct e1000_tx *tx = &d->tx;
	const struct e1000_tx_context_desc *ctx = &tx->ctx[1];
	uint8_t *hdr = tx->hdr[tx->slot_tail % E1000_TX_SLOTS];
	struct tx_walk w = { .iov = tx->batch.iov + tx->batch.n_iov, .flags = E1000_SLOT_SEGMENT };
	struct e1000_segment seg = { .offset = tx->tso_done, .idx = tx->tso_done / ctx->mss };
	uint32_t left = payload - seg.offset;

	seg.last = left <= ctx->mss;
	seg.len = seg.last ? left : ctx->mss;
	w.n_iov = rest_slice(rest, seg.len, w.iov + 1, NIC_MAX_IOV - 1);
	if (!w.n_iov)
		return false;
	memcpy(hdr, header, ctx->hdr_len);
	w.iov[0] = (struct iovec){ .iov_base = hdr };
	w.iov[0].iov_len = e1000_offload_segment(job, ctx, hdr, &seg, w.iov + 1, w.n_iov);
	w.n_iov++;
	w.len = (uint32_t)w.iov[0].iov_len + seg.len;
	w.flags |= seg.last ? E1000_SLOT_LAST : 0;
	tx_put(d, &w, seg.last ? n_desc : 0);
	rest_skip(rest, seg.len);
	tx->tso_done += seg.len;
	return true;
}

/* A message that cannot be cut, or cannot be cut any further. */
static unsigned int tx_refuse_message(struct e1000 *d, enum e1000_tx_what what, unsigned int n_desc)
{
	struct e1000_tx *tx = &d->tx;

	tx_push(tx, n_desc, what);
	tx->slot[(tx->slot_tail - 1) % E1000_TX_SLOTS].flags = E1000_SLOT_SEGMENT;
	tx->tso_done = 0;
	return n_desc;
}

/*
 * A message with its end, in n_desc descriptors: as many segments as there is room for. Gives
 * n_desc when that was all of them, else 0: the next burst goes on. The descriptors are read anew
 * then, and all of this is checked again.
 */
static unsigned int tx_message(struct e1000 *d, struct tx_walk *w,
			       const struct e1000_tx_data_desc *first, unsigned int n_desc)
{
	struct e1000_tx *tx = &d->tx;
	const struct e1000_tx_context_desc *ctx = &tx->ctx[1];
	uint32_t hdr_len = ctx->hdr_len, payload = w->len > hdr_len ? w->len - hdr_len : 0;
	struct tx_rest rest = { .iov = w->iov, .n = w->n_iov };
	struct e1000_tx_job job = { .udp = !(ctx->cmd_type_len & CMD(TCP)) };
	uint8_t header[UINT8_MAX];

	if (w->what == E1000_TX_FRAME && !e1000_tso_sane(ctx, payload))
		w->what = E1000_TX_OFFLOAD;
	else if (w->what == E1000_TX_FRAME &&
		 (hdr_len + 4 + ctx->mss > NIC_MAX_FRAME || payload >= E1000_TSO_MAX))
		w->what = E1000_TX_TOO_LONG;
	else if (w->what == E1000_TX_FRAME && tx->tso_done >= payload)
		w->what = E1000_TX_OFFLOAD; /* it shrank while it was sent */
	if (w->what != E1000_TX_FRAME)
		return tx_refuse_message(d, w->what, n_desc);
	job_tag(d, &job, first + n_desc - 1);
	job.ip_sum = first->popts & E1000_TXD_POPTS_IXSM;
	job.l4_sum = first->popts & E1000_TXD_POPTS_TXSM;
	e1000_iov_copy(header, w->iov, w->n_iov, hdr_len);
	rest_skip(&rest, hdr_len + tx->tso_done);
	while (tx->tso_done < payload) {
		if (!tx_has_room(tx))
			return 0;
		if (!tx_segment(d, &job, header, payload, &rest, n_desc))
			return tx_refuse_message(d, E1000_TX_TOO_MANY, n_desc);
	}
	tx->tso_done = 0;
	return n_desc;
}

/* --- descriptors --- */
/*
 * How many descriptors without EOP are too many: more are never fetched, or do not fit into the
 * ring.
 */
static bool tx_endless(const struct e1000_tx *tx, unsigned int n)
{
	return n >= E1000_TX_FETCH || n >= tx->size - 1;
}

/*
 * One frame or message from desc[0..n), all of them fetched. Gives the descriptors it took; 0 when
 * its end is not there yet, or the batch is full. A frame that can have no end is given up:
 * everything up to the next EOP goes with it.
 */
static unsigned int tx_frame(struct e1000 *d, const struct e1000_tx_data_desc *desc, unsigned int n)
{
	const uint32_t segmented = CMD(DEXT) | CMD(TSE);
	struct e1000_tx *tx = &d->tx;
	struct tx_walk w = { .iov = tx->batch.iov + tx->batch.n_iov, .max_iov = NIC_MAX_IOV };
	bool message = (desc[0].cmd_type_len & segmented) == segmented;

	if (message) {
		w.iov = tx->batch.message;
		w.max_iov = E1000_TX_FETCH;
	} else {
		tx->tso_done = 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (tx_is_context(&desc[i]))
			continue; /* within a frame it means nothing */
		tx_add(d, &w, &desc[i]);
		if (!(desc[i].cmd_type_len & CMD(EOP)))
			continue;
		if (message)
			return tx_message(d, &w, desc, i + 1);
		tx_commit(d, &w, desc, i + 1);
		return i + 1;
	}
	if (!tx_endless(tx, n))
		return 0;
	tx->dropping = true;
	tx->tso_done = 0;
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
	struct e1000_tx *tx = &d->tx;
	struct e1000_tx_batch *b = &tx->batch;
	unsigned int place;

	if (tx->dropping)
		return tx_skip(d, desc, n);
	if (!tx_is_context(desc))
		return tx_frame(d, desc, n);
	/* 3.3.6: the part keeps one for segmentation and one for the rest */
	place = desc->cmd_type_len & CMD(TSE) ? 1 : 0;
	b->undo[b->n_undo++] = (struct e1000_tx_undo){ .ctx = tx->ctx[place], .place = place };
	memcpy(&tx->ctx[place], desc, sizeof(tx->ctx[place]));
	tx->tso_done = 0;
	tx_push(tx, 1, E1000_TX_CONTEXT);
	return 1;
}

/* Remembers who wants a status, and when; and moves on. */
static void tx_advance(struct e1000_tx *tx, const struct e1000_tx_data_desc *desc, unsigned int n)
{
	bool prompt = false;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t bit = UINT64_C(1) << (tx->next % 64), *word = &tx->rs[tx->next / 64];
		uint32_t cmd = desc[i].cmd_type_len;

		*word = cmd & CMD(RS) ? *word | bit : *word & ~bit;
		prompt |= (cmd & (CMD(RS) | CMD(IDE))) == CMD(RS);
		if (++tx->next == tx->size)
			tx->next = 0;
	}
	tx->slot[(tx->slot_tail - 1) % E1000_TX_SLOTS].prompt = prompt;
}

static void tx_build(struct e1000 *d)
{
	struct e1000_tx *tx = &d->tx;
	struct e1000_tx_batch *b = &tx->batch;
	unsigned int n = tx_fetch(tx, e1000_get(d, E1000_TDT), b->desc), i = 0, used;

	b->n = b->n_iov = b->n_undo = 0;
	b->min_len = e1000_get(d, E1000_TCTL) & E1000_TCTL_PSP ? E1000_MIN_FRAME : 0;
	b->vle = e1000_get(d, E1000_CTRL) & E1000_CTRL_VME ? CMD(VLE) : 0;
	while (i < n && tx_has_room(tx)) {
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
	struct e1000_tx_batch *b = &tx->batch;
	const struct e1000_tx_mark *mark = &b->mark[k];

	tx->next = mark->next;
	tx->slot_tail = mark->slot_tail;
	tx->tso_done = mark->tso_done;
	while (b->n_undo > mark->n_undo) {
		const struct e1000_tx_undo *u = &b->undo[--b->n_undo];

		tx->ctx[u->place] = u->ctx;
	}
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
