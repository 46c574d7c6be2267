/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the 82540EM does to a frame on its way out, beyond moving it (manual, 3.3.3, 3.3.6, 3.4 and
 * 3.5): checksums, the VLAN tag, and the header of each segment of a long TCP or UDP message.
 * Whatever is changed lies in the first bytes of a frame: those are copied once to memory of the
 * device, and the payload stays where the guest has it. Also the sums that receive checks with.
 * Called by e1000_tx.c and e1000_rx.c; pure functions but for their arguments. Every offset comes
 * from the guest, and is held against the frame before it is used.
 */
#include "e1000_priv.h"

#include <arpa/inet.h>
#include <string.h>

/* --- sums: RFC 1071, in the order of memory --- */
static uint32_t fold(uint64_t v)
{
	while (v >> 16)
		v = (v & 0xffff) + (v >> 16);
	return (uint32_t)v;
}

void e1000_sum_add(struct e1000_sum *s, const void *p, size_t len)
{
	const uint8_t *b = p;
	uint64_t low = 0, high = 0, v;
	bool odd = len & 1;
	uint32_t part;

	for (; len >= sizeof(v); b += sizeof(v), len -= sizeof(v)) {
		memcpy(&v, b, sizeof(v));
		low += (uint32_t)v;
		high += v >> 32;
	}
	v = 0;
	memcpy(&v, b, len);
	part = fold(low + high + (uint32_t)v + (v >> 32));
	/* what begins at an odd place has its bytes the other way round */
	s->acc += s->odd ? (part & 0xff) << 8 | part >> 8 : part;
	s->odd ^= odd;
}

void e1000_sum_join(struct e1000_sum *s, const struct e1000_sum *part, uint32_t len)
{
	uint32_t v = fold(part->acc);

	s->acc += s->odd ? (v & 0xff) << 8 | v >> 8 : v;
	s->odd ^= len & 1;
}

void e1000_sum_range(struct e1000_sum *s, const struct iovec *iov, unsigned int n, uint32_t start,
		     uint32_t end)
{
	uint32_t at = 0;

	for (; n && at < end; at += (uint32_t)iov->iov_len, iov++, n--) {
		uint32_t from = start > at ? start - at : 0;
		uint32_t to = end - at < iov->iov_len ? end - at : (uint32_t)iov->iov_len;

		if (from < to)
			e1000_sum_add(s, (const char *)iov->iov_base + from, to - from);
	}
}

uint16_t e1000_sum_end(const struct e1000_sum *s)
{
	return (uint16_t)fold(s->acc);
}

/* --- pieces --- */
uint32_t e1000_iov_copy(void *dst, const struct iovec *iov, unsigned int n, uint32_t len)
{
	uint32_t done = 0;

	for (; n && done < len; iov++, n--) {
		uint32_t part = iov->iov_len < len - done ? (uint32_t)iov->iov_len : len - done;

		memcpy((char *)dst + done, iov->iov_base, part);
		done += part;
	}
	return done;
}

/* 3.3.5: the tag stands behind the addresses. Gives the header's new length. */
static uint32_t add_tag(const struct e1000_tx_job *job, uint8_t *hdr, uint32_t len)
{
	const uint16_t tag[2] = { htons(job->vet), htons(job->tci) };

	memmove(hdr + 16, hdr + 12, len - 12);
	memcpy(hdr + 12, tag, sizeof(tag));
	return len + 4;
}

/* A UDP sum of 0 would say that there is none. */
static void put_sum(const struct e1000_tx_job *job, uint8_t *at, const struct e1000_sum *s)
{
	uint16_t v = (uint16_t)~e1000_sum_end(s);

	if (!v && job->udp)
		v = 0xffff;
	memcpy(at, &v, sizeof(v));
}

/* --- a frame as it is, with checksums and tag --- */
/* The bytes that must be copied out: up to the last one that changes. */
static uint32_t job_prefix(const struct e1000_tx_job *job)
{
	uint32_t n = job->tag ? 12 : 0;

	for (unsigned int i = 0; i < job->n_sums; i++)
		if (job->sum[i].at + 2 > n)
			n = job->sum[i].at + 2;
	return n;
}

unsigned int e1000_offload_frame(const struct e1000_tx_job *job, uint8_t *hdr, struct iovec *iov,
				 unsigned int n, unsigned int max)
{
	uint32_t len = e1000_iov_copy(hdr, iov, n, job_prefix(job)), skip = len;
	unsigned int k = 0;

	while (skip && skip >= iov[k].iov_len)
		skip -= (uint32_t)iov[k++].iov_len;
	if (k < n) {
		iov[k].iov_base = (char *)iov[k].iov_base + skip;
		iov[k].iov_len -= skip;
	}
	/* the header takes the place of what went into it, or moves the rest */
	if (k == 0 && n == max)
		return 0;
	memmove(iov + 1, iov + k, (n - k) * sizeof(*iov));
	n = n - k + 1;
	iov[0] = (struct iovec){ .iov_base = hdr, .iov_len = len };
	for (unsigned int i = 0; i < job->n_sums; i++) {
		struct e1000_sum s = { 0 };

		e1000_sum_range(&s, iov, n, job->sum[i].start, job->sum[i].end);
		put_sum(job, hdr + job->sum[i].at, &s);
	}
	if (job->tag)
		iov[0].iov_len = add_tag(job, hdr, len);
	return n;
}

/* --- segments --- */
bool e1000_tso_sane(const struct e1000_tx_context_desc *ctx, uint32_t payload)
{
	uint32_t cmd = ctx->cmd_type_len >> E1000_TXX_CMD_SHIFT, hdr_len = ctx->hdr_len;
	uint32_t ip_size = cmd & E1000_TXC_IP ? 20 : 40, l4_size = cmd & E1000_TXC_TCP ? 20 : 8;

	return cmd & E1000_TXC_TSE && ctx->mss && payload && ctx->ipcss >= E1000_ETH_HEADER &&
	       ctx->tucss >= ctx->ipcss + ip_size && ctx->tucss + l4_size <= hdr_len &&
	       ctx->ipcso + 2u <= hdr_len && ctx->tucso + 2u <= hdr_len;
}

static void add16(uint8_t *p, uint32_t n)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	v = htons((uint16_t)(ntohs(v) + n));
	memcpy(p, &v, sizeof(v));
}

static void put16(uint8_t *p, uint32_t n)
{
	const uint16_t v = htons((uint16_t)n);

	memcpy(p, &v, sizeof(v));
}

static void add32(uint8_t *p, uint32_t n)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	v = htonl(ntohl(v) + n);
	memcpy(p, &v, sizeof(v));
}

/* 3.5.7: lengths, identification, sequence number, flags. */
static void segment_fields(const struct e1000_tx_context_desc *ctx, uint8_t *hdr,
			   const struct e1000_segment *seg)
{
	uint32_t cmd = ctx->cmd_type_len >> E1000_TXX_CMD_SHIFT, end = ctx->hdr_len + seg->len;
	uint8_t *ip = hdr + ctx->ipcss, *l4 = hdr + ctx->tucss;

	if (cmd & E1000_TXC_IP) {
		put16(ip + 2, end - ctx->ipcss);
		add16(ip + 4, seg->idx);
	} else {
		put16(ip + 4, end - ctx->ipcss - 40);
	}
	if (cmd & E1000_TXC_TCP) {
		add32(l4 + 4, seg->offset);
		if (!seg->last)
			l4[13] &= (uint8_t)~0x09; /* FIN and PSH belong to the end */
	} else {
		put16(l4 + 4, end - ctx->tucss);
	}
}

uint32_t e1000_offload_segment(const struct e1000_tx_job *job,
			       const struct e1000_tx_context_desc *ctx, uint8_t *hdr,
			       const struct e1000_segment *seg, const struct iovec *payload,
			       unsigned int n)
{
	uint32_t len = ctx->hdr_len,
		 ip_end = ctx->ipcse && ctx->ipcse < len ? ctx->ipcse + 1u : len;
	struct e1000_sum s = { 0 };

	segment_fields(ctx, hdr, seg);
	if (job->ip_sum && ctx->ipcss < ip_end) {
		e1000_sum_add(&s, hdr + ctx->ipcss, ip_end - ctx->ipcss);
		put_sum(&(const struct e1000_tx_job){ 0 }, hdr + ctx->ipcso, &s);
	}
	if (job->l4_sum) {
		/* the driver put the pseudo header's sum there, all but the length */
		s = (struct e1000_sum){ .acc = htons((uint16_t)(len - ctx->tucss + seg->len)) };
		e1000_sum_add(&s, hdr + ctx->tucss, len - ctx->tucss);
		e1000_sum_range(&s, payload, n, 0, seg->len);
		put_sum(job, hdr + ctx->tucso, &s);
	}
	return job->tag ? add_tag(job, hdr, len) : len;
}
