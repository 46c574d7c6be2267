/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checksums, VLAN tags and segmentation on the way out of the emulated 82540EM. Sums are checked by
 * a second, plain implementation here, and every segment as a receiver would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "helper_e1000.h"

#define EOP  E1000_TXC_EOP
#define RS   E1000_TXC_RS
#define TSE  E1000_TXC_TSE
#define IXSM E1000_TXD_POPTS_IXSM
#define TXSM E1000_TXD_POPTS_TXSM

static int up(void **state)
{
	static struct eg g;

	eg_up(&g, "e1000," EG_OPTS);
	eg_tap(&g);
	eg_start_tx(&g, 256);
	*state = &g;
	return 0;
}

static int down(void **state)
{
	eg_down(*state);
	return 0;
}

/* --- a receiver's view --- */
static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

static void set16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Ones' complement sum, byte by byte. */
static uint32_t plain_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

struct kind {
	bool v6, udp;
	unsigned int l4, hdr; /* where the TCP or UDP header starts and ends */
};
static const struct kind kinds[] = {
	{ false, false, 34, 54 }, { false, false, 34, 66 }, /* with options */
	{ true, false, 54, 74 },  { false, true, 34, 42 },  { true, true, 54, 62 },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Addresses, protocol and length: what the pseudo header adds. */
static uint32_t pseudo(const struct kind *k, const uint8_t *frame, uint32_t l4_len)
{
	uint32_t sum = k->udp ? 17 : 6;

	sum = k->v6 ? plain_sum(sum, frame + 22, 32) : plain_sum(sum, frame + 26, 8);
	return plain_sum(sum + l4_len, frame, 0);
}

static void check_sums(const struct kind *k, const uint8_t *frame, uint32_t len)
{
	if (!k->v6)
		assert_int_equal(plain_sum(0, frame + 14, 20), 0xffff);
	assert_int_equal(plain_sum(pseudo(k, frame, len - k->l4), frame + k->l4, len - k->l4),
			 0xffff);
}

/* A frame as a driver leaves it: sums open, the pseudo header in their place. */
static void make_frame(const struct kind *k, uint8_t *p, uint32_t len, bool message)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 8));
	p[0] = 2;
	set16(p + 12, k->v6 ? 0x86dd : 0x0800);
	p[14] = k->v6 ? 0x60 : 0x45;
	if (k->v6) {
		set16(p + 18, len - 54);
		p[20] = k->udp ? 17 : 6;
	} else {
		set16(p + 16, len - 14);
		set16(p + 18, 0xfffe); /* the identification wraps on its way */
		p[23] = k->udp ? 17 : 6;
		set16(p + 24, 0);
	}
	if (k->udp) {
		set16(p + k->l4 + 4, len - k->l4);
	} else {
		p[k->l4 + 12] = (uint8_t)((k->hdr - k->l4) / 4 << 4);
		p[k->l4 + 13] = 0x19; /* ACK, PSH, FIN */
	}
	set16(p + k->l4 + (k->udp ? 6 : 16), pseudo(k, p, message ? 0 : len - k->l4));
}

static void put_context(struct eg *g, unsigned int idx, const struct kind *k, uint8_t cmd,
			uint32_t paylen, uint16_t mss)
{
	struct e1000_tx_context_desc *ctx = eg_ptr(g, EG_TX_RING + 16 * idx);

	cmd |= (uint8_t)((k->v6 ? 0 : E1000_TXC_IP) | (k->udp ? 0 : E1000_TXC_TCP));
	eg_context(g, idx, cmd, paylen, (uint8_t)k->hdr, mss);
	ctx->ipcss = 14;
	ctx->ipcso = 24;
	ctx->ipcse = k->v6 ? 0 : 33;
	ctx->tucss = (uint8_t)k->l4;
	ctx->tucso = (uint8_t)(k->l4 + (k->udp ? 6 : 16));
	ctx->tucse = 0;
}

static void put_data(struct eg *g, unsigned int idx, uint64_t addr, uint32_t len, uint8_t cmd,
		     uint8_t popts)
{
	struct e1000_tx_data_desc *desc = eg_ptr(g, EG_TX_RING + 16 * idx);

	eg_data(g, idx, addr, len, cmd);
	desc->popts = popts;
	desc->special = 0x2064;
}

static void send(struct eg *g, unsigned int tail, unsigned int polls)
{
	eg_write(g, E1000_TDT, tail);
	eg_poll(g, polls);
}

/* --- checksums --- */
static void e1000_tx_legacy_checksum_goes_from_css_to_cso(void **state)
{
	struct eg *g = *state;
	struct e1000_tx_legacy_desc *desc = eg_ptr(g, EG_TX_RING);
	uint8_t *p = eg_ptr(g, EG_DATA), before[2];

	eg_fill(g, EG_DATA, 101);
	set16(p + 40, 0);
	memcpy(before, p + 40, 2);
	eg_legacy(g, 0, EG_DATA, 101, EOP | RS | E1000_TXC_IC);
	desc->css = 15;
	desc->cso = 40;
	send(g, 1, 1);
	assert_int_equal(g->tap->n_taken, 1);
	/* the place holds zero while the sum is made */
	assert_int_equal(be16(g->tap->data[0] + 40), ~plain_sum(0, p + 15, 86) & 0xffff);
	assert_memory_equal(g->tap->data[0] + 42, p + 42, 59);
	assert_memory_equal(p + 40, before, 2); /* the guest's memory is the guest's */
}

static void e1000_tx_checksums_of_every_protocol_are_right(void **state)
{
	struct eg *g = *state;

	for (size_t i = 0; i < N_KINDS; i++)
		for (uint32_t len = kinds[i].hdr; len < kinds[i].hdr + 40; len += 13) {
			eg_start_tx(g, 256);
			make_frame(&kinds[i], eg_ptr(g, EG_DATA), len, false);
			g->tap->n_taken = 0;
			put_context(g, 0, &kinds[i], 0, 0, 0);
			put_data(g, 1, EG_DATA, len, EOP | RS, kinds[i].v6 ? TXSM : IXSM | TXSM);
			send(g, 2, 1);
			assert_int_equal(g->tap->n_taken, 1);
			check_sums(&kinds[i], g->tap->data[0], len);
		}
	assert_int_equal(eg_stat(g, "tx_offload_ignored"), 0);
}

/* The header in pieces, cut everywhere: the same frame goes out. */
static void e1000_tx_checksum_does_not_mind_how_a_frame_is_cut(void **state)
{
	struct eg *g = *state;

	make_frame(&kinds[0], eg_ptr(g, EG_DATA), 300, false);
	for (uint32_t cut = 1; cut < 299; cut++) {
		eg_start_tx(g, 256);
		g->tap->n_taken = 0;
		put_context(g, 0, &kinds[0], 0, 0, 0);
		put_data(g, 1, EG_DATA, cut, 0, IXSM | TXSM);
		put_data(g, 2, EG_DATA + cut, (300 - cut) / 2, 0, 0);
		put_data(g, 3, EG_DATA + cut + (300 - cut) / 2, 300 - cut - (300 - cut) / 2,
			 EOP | RS, 0);
		send(g, 4, 1);
		assert_int_equal(g->tap->n_taken, 1);
		assert_int_equal(g->tap->len[0], 300);
		check_sums(&kinds[0], g->tap->data[0], 300);
		assert_memory_equal(g->tap->data[0] + 52, eg_ptr(g, EG_DATA + 52), 248);
	}
}

static void e1000_tx_udp_checksum_is_never_zero(void **state)
{
	struct eg *g = *state;
	uint8_t *p = eg_ptr(g, EG_DATA);

	make_frame(&kinds[3], p, 100, false);
	/* make the sum all ones: its complement would be 0 */
	set16(p + 98, 0);
	set16(p + 98, 0xffff - plain_sum(0, p + 34, 66));
	put_context(g, 0, &kinds[3], 0, 0, 0);
	put_data(g, 1, EG_DATA, 100, EOP | RS, TXSM);
	send(g, 2, 1);
	assert_int_equal(be16(g->tap->data[0] + 40), 0xffff);
}

static void e1000_tx_payload_of_an_offloaded_frame_is_not_copied(void **state)
{
	struct eg *g = *state;
	const struct iovec *iov = g->d->tx.batch.iov;

	make_frame(&kinds[0], eg_ptr(g, EG_DATA), 1514, false);
	put_context(g, 0, &kinds[0], 0, 0, 0);
	put_data(g, 1, EG_DATA, 1514, EOP | RS, TXSM);
	send(g, 2, 1);
	assert_int_equal(g->tap->n_iov[0], 2);
	assert_int_equal(iov[0].iov_len, 52);
	assert_ptr_equal(iov[1].iov_base, eg_ptr(g, EG_DATA + 52));
}

/* 64 pieces and a header in the way: one too many; a header that takes their place is not. */
static void e1000_tx_offload_keeps_to_the_number_of_pieces(void **state)
{
	struct eg *g = *state;

	make_frame(&kinds[0], eg_ptr(g, EG_DATA), 640, false);
	for (unsigned int first = 100; first; first = first == 100 ? 52 : 0) {
		g->tap->n_taken = 0;
		eg_start_tx(g, 256);
		put_context(g, 0, &kinds[0], 0, 0, 0);
		put_data(g, 1, EG_DATA, first, 0, IXSM | TXSM);
		for (unsigned int i = 1; i < 64; i++)
			put_data(g, 1 + i, EG_DATA + first + i - 1, i == 63 ? 640 - first - 62 : 1,
				 i == 63 ? EOP | RS : 0, 0);
		send(g, 65, 2);
		assert_int_equal(g->tap->n_taken, first == 52);
		assert_int_equal(eg_read(g, E1000_TDH), 65);
	}
	assert_int_equal(g->tap->n_iov[0], 64);
	check_sums(&kinds[0], g->tap->data[0], 640);
	assert_int_equal(eg_stat(g, "tx_too_many_pieces"), 1);
}

/* --- tags --- */
static void e1000_tx_tag_is_inserted_behind_the_addresses(void **state)
{
	struct eg *g = *state;
	const uint8_t *p = eg_ptr(g, EG_DATA), *out = g->tap->data[0];
	struct e1000_tx_legacy_desc *desc = eg_ptr(g, EG_TX_RING + 16);

	eg_fill(g, EG_DATA, 100);
	eg_legacy(g, 0, EG_DATA, 100, EOP | RS | E1000_TXC_VLE);
	send(g, 1, 1); /* CTRL.VME is off */
	assert_int_equal(g->tap->len[0], 100);
	eg_write(g, E1000_CTRL, E1000_CTRL_VME);
	eg_legacy(g, 1, EG_DATA, 100, EOP | RS | E1000_TXC_VLE);
	desc->special = 0xa123;
	g->tap->n_taken = 0;
	send(g, 2, 1);
	assert_int_equal(g->tap->len[0], 104);
	assert_memory_equal(out, p, 12);
	assert_int_equal(be32(out + 12), 0x8100a123);
	assert_memory_equal(out + 16, p + 12, 88);
	eg_write(g, E1000_VET, 0x88a8);
	put_data(g, 2, EG_DATA, 100, EOP | RS | E1000_TXC_VLE, 0);
	g->tap->n_taken = 0;
	send(g, 3, 1);
	assert_int_equal(be32(out + 12), 0x88a82064);
}

static void e1000_tx_tag_and_checksum_do_not_disturb_each_other(void **state)
{
	struct eg *g = *state;
	uint8_t frame[200];

	eg_write(g, E1000_CTRL, E1000_CTRL_VME);
	make_frame(&kinds[0], eg_ptr(g, EG_DATA), 200, false);
	put_context(g, 0, &kinds[0], 0, 0, 0);
	put_data(g, 1, EG_DATA, 200, EOP | RS | E1000_TXC_VLE, IXSM | TXSM);
	send(g, 2, 1);
	assert_int_equal(g->tap->len[0], 204);
	memcpy(frame, g->tap->data[0], 12);
	memcpy(frame + 12, g->tap->data[0] + 16, 188);
	check_sums(&kinds[0], frame, 200);
}

/* --- segmentation --- */
/* Descriptors 1..: the message in pieces of `piece` bytes. Gives the next index. */
static unsigned int put_message(struct eg *g, const struct kind *k, uint32_t len, uint32_t piece,
				uint16_t mss, uint8_t cmd)
{
	unsigned int i = 0;

	eg_start_tx(g, 256);
	make_frame(k, eg_ptr(g, EG_DATA), len, true);
	put_context(g, i++, k, TSE, len - k->hdr, mss);
	for (uint32_t at = 0; at < len; at += piece)
		put_data(g, i++, EG_DATA + at, len - at < piece ? len - at : piece,
			 (uint8_t)(cmd | TSE | (at + piece >= len ? EOP | RS : 0)),
			 k->v6 ? TXSM : IXSM | TXSM);
	return i;
}

static void check_segment(struct eg *g, const struct kind *k, uint32_t total, uint16_t mss,
			  unsigned int i)
{
	const uint8_t *msg = eg_ptr(g, EG_DATA), *p = g->tap->data[i % EG_KEEP];
	uint32_t at = i * mss, left = total - k->hdr - at, n = left < mss ? left : mss;
	bool last = left <= mss;

	assert_int_equal(g->tap->len[i % EG_KEEP], k->hdr + n);
	assert_memory_equal(p, msg, 14);
	assert_memory_equal(p + k->hdr, msg + k->hdr + at, n);
	if (k->v6) {
		assert_int_equal(be16(p + 18), k->hdr + n - 54);
	} else {
		assert_int_equal(be16(p + 16), k->hdr + n - 14);
		assert_int_equal(be16(p + 18), (0xfffe + i) & 0xffff);
	}
	if (k->udp) {
		assert_int_equal(be16(p + k->l4 + 4), k->hdr + n - k->l4);
	} else {
		assert_int_equal(be32(p + k->l4 + 4), be32(msg + k->l4 + 4) + at);
		assert_int_equal(p[k->l4 + 13], last ? 0x19 : 0x10);
	}
	check_sums(k, p, k->hdr + n);
}

static void e1000_tso_cuts_messages_of_every_protocol(void **state)
{
	struct eg *g = *state;

	for (size_t i = 0; i < N_KINDS; i++) {
		uint32_t total = 40000 + kinds[i].hdr, n_seg = (40000 + 1447) / 1448;
		unsigned int tail = put_message(g, &kinds[i], total, 4093, 1448, 0);

		g->tap->n_taken = 0;
		send(g, tail, 1);
		assert_int_equal(g->tap->n_taken, n_seg);
		for (unsigned int s = 0; s < n_seg; s++)
			check_segment(g, &kinds[i], total, 1448, s);
		assert_int_equal(eg_tx_status(g, tail - 1) & 1, 1);
		assert_int_equal(eg_read(g, E1000_TDH), tail);
		assert_int_equal(eg_read(g, 0x40f8), 1);     /* TSCTC */
		assert_int_equal(eg_read(g, 0x4080), n_seg); /* GPTC */
	}
}

/* 80 segments do not fit into a burst, and the back-end takes 7 at a time. */
static void e1000_tso_goes_on_where_the_back_end_stopped(void **state)
{
	struct eg *g = *state;
	const struct kind *k = &kinds[0];
	unsigned int tail = put_message(g, k, 54 + 8000, 777, 100, 0);

	eg_data(g, tail, EG_DATA, 60, EOP | RS); /* and a frame behind it */
	eg_write(g, E1000_TDT, tail + 1);
	g->tap->room = 0;
	for (unsigned int i = 0; i < 20 && g->tap->n_taken < 80; i++) {
		assert_int_equal(eg_tx_status(g, tail - 1), 0);
		g->tap->room = g->tap->n_taken + 7 > 80 ? 80 - g->tap->n_taken : 7;
		eg_poll(g, 1);
	}
	assert_int_equal(g->tap->n_taken, 80);
	for (unsigned int s = 0; s < 80; s++)
		check_segment(g, k, 54 + 8000, 100, s);
	eg_poll(g, 1);
	assert_int_equal(eg_tx_status(g, tail - 1), 1);
	assert_int_equal(eg_tx_status(g, tail), 0);
	g->tap->room = 1;
	eg_poll(g, 1);
	assert_int_equal(eg_tx_status(g, tail), 1);
	assert_int_equal(g->tap->len[0], 60);
	assert_int_equal(eg_stat(g, "tx_segments"), 80);
}

static void e1000_tso_does_not_copy_the_payload(void **state)
{
	struct eg *g = *state;
	const struct iovec *iov = g->d->tx.batch.iov;
	unsigned int tail = put_message(g, &kinds[0], 54 + 3000, 54 + 3000, 1000, 0);

	send(g, tail, 1);
	assert_int_equal(g->tap->n_taken, 3);
	for (unsigned int s = 0; s < 3; s++)
		assert_ptr_equal(iov[2 * s + 1].iov_base, eg_ptr(g, EG_DATA + 54 + 1000 * s));
}

static void e1000_tso_tags_every_segment(void **state)
{
	struct eg *g = *state;
	unsigned int tail = put_message(g, &kinds[0], 54 + 300, 200, 100, E1000_TXC_VLE);

	eg_write(g, E1000_CTRL, E1000_CTRL_VME);
	send(g, tail, 1);
	assert_int_equal(g->tap->n_taken, 3);
	for (unsigned int s = 0; s < 3; s++) {
		assert_int_equal(be32(g->tap->data[s] + 12), 0x81002064);
		memmove(g->tap->data[s] + 12, g->tap->data[s] + 16, 154);
		g->tap->len[s] -= 4;
		check_segment(g, &kinds[0], 354, 100, s);
	}
}

/* 3.3.6: a context for segmentation and one for checksums, each until the next of its kind. */
static void e1000_tx_keeps_two_contexts(void **state)
{
	struct eg *g = *state;
	unsigned int tail = put_message(g, &kinds[0], 54 + 300, 354, 200, 0);

	make_frame(&kinds[3], eg_ptr(g, EG_DATA + 0x1000), 90, false);
	make_frame(&kinds[0], eg_ptr(g, EG_DATA + 0x2000), 54 + 100, true);
	put_context(g, tail, &kinds[3], 0, 0, 0);
	put_data(g, tail + 1, EG_DATA + 0x2000, 154, EOP | RS | TSE, IXSM | TXSM);
	put_data(g, tail + 2, EG_DATA + 0x1000, 90, EOP | RS, IXSM | TXSM);
	send(g, tail + 3, 1);
	assert_int_equal(g->tap->n_taken, 4);
	assert_int_equal(g->tap->len[2], 154);
	check_sums(&kinds[0], g->tap->data[2], 154);
	check_sums(&kinds[3], g->tap->data[3], 90);
}

/* What the back-end has no room for is read again, with the contexts of that time. */
static void e1000_tx_contexts_are_taken_back_with_their_frames(void **state)
{
	struct eg *g = *state;
	unsigned int tail = 0;

	for (unsigned int i = 0; i < 6; i++) {
		const struct kind *k = &kinds[i % 2 ? 3 : 0];

		make_frame(k, eg_ptr(g, EG_DATA + 0x1000 * i), 100, false);
		put_context(g, tail++, k, 0, 0, 0);
		put_data(g, tail++, EG_DATA + 0x1000 * i, 100, EOP | RS, IXSM | TXSM);
		put_context(g, tail++, k, TSE, 0, (uint16_t)(100 + i));
	}
	eg_write(g, E1000_TDT, tail);
	g->tap->room = 0;
	eg_poll(g, 1);
	assert_int_equal(g->d->tx.ctx[1].mss, 0);
	for (unsigned int i = 0; i < 6; i++) {
		g->tap->room = 1;
		eg_poll(g, 1);
		assert_int_equal(g->tap->n_taken, i + 1);
		check_sums(&kinds[i % 2 ? 3 : 0], g->tap->data[i], 100);
		assert_int_equal(g->d->tx.ctx[1].mss, 100 + i);
	}
	assert_int_equal(eg_read(g, E1000_TDH), tail);
	assert_int_equal(eg_stat(g, "tx_contexts"), 12);
}

/* --- what makes no sense --- */
static void refused(struct eg *g, unsigned int tail)
{
	uint64_t before = eg_stat(g, "tx_offload_refused") + eg_stat(g, "tx_too_long") +
			  eg_stat(g, "tx_too_many_pieces");

	g->tap->n_taken = 0;
	send(g, tail, 2);
	assert_int_equal(g->tap->n_taken, 0);
	assert_int_equal(eg_read(g, E1000_TDH), tail);
	assert_int_equal(eg_tx_status(g, tail - 1) & 1, 1);
	assert_int_equal(eg_stat(g, "tx_offload_refused") + eg_stat(g, "tx_too_long") +
				 eg_stat(g, "tx_too_many_pieces"),
			 before + 1);
	assert_int_equal(eg_read(g, 0x40fc), 1); /* TSCTFC */
}

static void e1000_tso_without_sense_is_refused(void **state)
{
	struct eg *g = *state;
	struct e1000_tx_context_desc *ctx = eg_ptr(g, EG_TX_RING);
	const struct kind *k = &kinds[0];

#define REFUSED(change) \
	do { \
		unsigned int t = put_message(g, k, 54 + 300, 200, 100, 0); \
		change; \
		refused(g, t); \
	} while (0)
	REFUSED(ctx->mss = 0);
	REFUSED(ctx->hdr_len = 0);
	REFUSED(ctx->hdr_len = 53); /* not the whole TCP header */
	REFUSED(ctx->tucss = 33);   /* within the IP header */
	REFUSED(ctx->tucss = 255);
	REFUSED(ctx->ipcss = 13);
	REFUSED(ctx->ipcss = 255);
	REFUSED(ctx->ipcso = 53);
	REFUSED(ctx->tucso = 53);
	REFUSED(ctx->mss = 0xffff);
	REFUSED(ctx->cmd_type_len &= ~((uint32_t)TSE << 24)); /* no context for it */
	/* the header is all there is, or more than there is */
	REFUSED(put_data(g, 1, EG_DATA, 54, EOP | RS | TSE, TXSM); t = 2);
	REFUSED(put_data(g, 1, EG_DATA, 20, EOP | RS | TSE, TXSM); t = 2);
	REFUSED(put_data(g, 1, EG_DATA, 0, EOP | RS | TSE, TXSM); t = 2);
	/* more than a context can say */
	REFUSED(put_data(g, 1, EG_DATA, 0xfffff, TSE, 0));
	/* a segment of more pieces than a frame may have */
	REFUSED(put_data(g, 1, EG_DATA, 54, TSE, TXSM); for (t = 2; t < 80; t++)
			put_data(g, t, EG_DATA + 52 + t, 1, t == 79 ? EOP | RS | TSE : TSE, 0));
#undef REFUSED
}

/* The guest shortens a message that is half out. */
static void e1000_tso_message_that_shrinks_is_ended(void **state)
{
	struct eg *g = *state;
	unsigned int tail = put_message(g, &kinds[0], 54 + 1000, 1054, 100, 0);

	g->tap->room = 5;
	send(g, tail, 1);
	assert_int_equal(g->tap->n_taken, 5);
	put_data(g, 1, EG_DATA, 54 + 300, EOP | RS | TSE, TXSM);
	g->tap->room = 100;
	eg_poll(g, 2);
	assert_int_equal(g->tap->n_taken, 5);
	assert_int_equal(eg_read(g, E1000_TDH), tail);
	/* and one that turns into a frame is a frame */
	tail = put_message(g, &kinds[0], 54 + 1000, 1054, 100, 0);
	g->tap->room = 5;
	send(g, tail, 1);
	put_data(g, 1, EG_DATA, 300, EOP | RS, 0);
	g->tap->room = 100;
	eg_poll(g, 2);
	assert_int_equal(g->tap->n_taken, 11);
	assert_int_equal(g->tap->len[10], 300);
	assert_int_equal(eg_read(g, E1000_TDH), tail);
}

/* A byte a segment: bounded work a round, and it ends. */
static void e1000_tso_of_one_byte_segments_ends(void **state)
{
	struct eg *g = *state;
	unsigned int tail = put_message(g, &kinds[0], 54 + 5000, 5054, 1, 0), rounds = 0;

	eg_write(g, E1000_TDT, tail);
	while (eg_poll(g, 1))
		rounds++;
	assert_int_equal(g->tap->n_taken, 5000);
	assert_true(rounds >= 5000 / NIC_BURST);
	assert_int_equal(eg_read(g, E1000_TDH), tail);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		T(e1000_tx_legacy_checksum_goes_from_css_to_cso),
		T(e1000_tx_checksums_of_every_protocol_are_right),
		T(e1000_tx_checksum_does_not_mind_how_a_frame_is_cut),
		T(e1000_tx_udp_checksum_is_never_zero),
		T(e1000_tx_payload_of_an_offloaded_frame_is_not_copied),
		T(e1000_tx_offload_keeps_to_the_number_of_pieces),
		T(e1000_tx_tag_is_inserted_behind_the_addresses),
		T(e1000_tx_tag_and_checksum_do_not_disturb_each_other),
		T(e1000_tso_cuts_messages_of_every_protocol),
		T(e1000_tso_goes_on_where_the_back_end_stopped),
		T(e1000_tso_does_not_copy_the_payload),
		T(e1000_tso_tags_every_segment),
		T(e1000_tx_keeps_two_contexts),
		T(e1000_tx_contexts_are_taken_back_with_their_frames),
		T(e1000_tso_without_sense_is_refused),
		T(e1000_tso_message_that_shrinks_is_ended),
		T(e1000_tso_of_one_byte_segments_ends),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
