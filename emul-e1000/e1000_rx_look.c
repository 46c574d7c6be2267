/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the 82540EM finds in a received frame (manual, 3.2.3, 3.2.9, 9.3): checksums of IP, TCP and
 * UDP, the packet checksum, the VLAN tag, pause frames. Called by e1000_rx.c for each frame while a
 * register asks for one of these (RXCSUM, CTRL.VME, RSRPD), and for frames to a group address.
 *
 * The frame is in the guest's buffers already. What is decided by its headers is decided by a copy
 * of them, as the guest may write there. Left out: IPv6 extension headers, SNAP. A pause frame is
 * counted and stops nothing, and goes on to the guest as if RCTL.PMCF were set.
 */
#include "e1000_priv.h"

#include <arpa/inet.h>
#include <string.h>

#define HEAD 128 /* bytes that are copied: tag, IP header with options, the fixed part of TCP's */

enum { TYPE_IPV4 = 0x0800, TYPE_IPV6 = 0x86dd, PROTO_TCP = 6, PROTO_UDP = 17 };

struct look {
	const struct iovec *iov;
	unsigned int n;
	uint32_t len;
	uint8_t head[HEAD];
	uint32_t have; /* bytes of it */
	uint32_t l3;   /* where the IP header starts */
	uint16_t type;
	uint32_t l4, l4_len; /* what TCP and UDP sum up; l4_len 0: not to be summed */
	uint8_t proto;
	struct e1000_sum l4_sum;
};

static uint16_t head16(const struct look *k, uint32_t at)
{
	uint16_t v;

	memcpy(&v, k->head + at, sizeof(v));
	return ntohs(v);
}

/* Are `size` bytes from `at` on in the copy? */
static bool has(const struct look *k, uint32_t at, uint32_t size)
{
	return at + size <= k->have;
}

/* --- IP --- */
/* False: it is none, or a broken one. */
static bool look_ipv4(struct look *k)
{
	uint32_t size, total;

	if (!has(k, k->l3, 20) || k->head[k->l3] >> 4 != 4)
		return false;
	size = 4 * (k->head[k->l3] & 15u);
	total = head16(k, k->l3 + 2);
	if (size < 20 || !has(k, k->l3, size) || total < size || k->l3 + total > k->len)
		return false;
	k->proto = k->head[k->l3 + 9];
	k->l4 = k->l3 + size;
	/* of a fragment nobody can tell */
	k->l4_len = head16(k, k->l3 + 6) & 0x3fff ? 0 : total - size;
	return true;
}

static bool look_ipv6(struct look *k)
{
	uint32_t payload;

	if (!has(k, k->l3, 40) || k->head[k->l3] >> 4 != 6)
		return false;
	payload = head16(k, k->l3 + 4);
	if (k->l3 + 40 + payload > k->len)
		return false;
	k->proto = k->head[k->l3 + 6];
	k->l4 = k->l3 + 40;
	k->l4_len = payload;
	return true;
}

static bool ipv4_header_right(const struct look *k)
{
	struct e1000_sum s = { 0 };

	e1000_sum_add(&s, k->head + k->l3, k->l4 - k->l3);
	return e1000_sum_end(&s) == 0xffff;
}

/* --- TCP and UDP --- */
/* Is there a sum to be checked? */
static bool l4_has_sum(const struct look *k)
{
	if (k->proto == PROTO_TCP)
		return k->l4_len >= 20 && has(k, k->l4, 20);
	return k->proto == PROTO_UDP && k->l4_len >= 8 && has(k, k->l4, 8) && head16(k, k->l4 + 6);
}

static bool l4_right(struct look *k)
{
	bool v6 = k->type == TYPE_IPV6;
	struct e1000_sum all = { .acc = (uint64_t)htons(k->proto) + htons((uint16_t)k->l4_len) };

	e1000_sum_range(&k->l4_sum, k->iov, k->n, k->l4, k->l4 + k->l4_len);
	e1000_sum_add(&all, k->head + k->l3 + (v6 ? 8 : 12), v6 ? 32 : 8);
	e1000_sum_join(&all, &k->l4_sum, k->l4_len);
	return e1000_sum_end(&all) == 0xffff;
}

/* 3.2.9: what was checked, and what was found wrong. Gives whether l4_sum was made. */
static bool look_sums(struct look *k, uint32_t rxcsum, struct e1000_rx_word *word)
{
	bool v4 = k->type == TYPE_IPV4 && look_ipv4(k);
	bool v6 = k->type == TYPE_IPV6 && rxcsum & E1000_RXCSUM_IPV6OFL && look_ipv6(k);
	bool summed = false;

	if (v4 && rxcsum & E1000_RXCSUM_IPOFLD) {
		word->status |= E1000_RXD_STAT_IPCS;
		word->errors |= ipv4_header_right(k) ? 0 : E1000_RXD_ERR_IPE;
	}
	if ((v4 || v6) && rxcsum & E1000_RXCSUM_TUOFLD && l4_has_sum(k)) {
		summed = true;
		word->status |= E1000_RXD_STAT_TCPCS;
		word->errors |= l4_right(k) ? 0 : E1000_RXD_ERR_TCPE;
	}
	if (word->status & (E1000_RXD_STAT_IPCS | E1000_RXD_STAT_TCPCS))
		word->status &= (uint8_t)~E1000_RXD_STAT_IXSM;
	return summed;
}

/* From RXCSUM.PCSS to the end. What was summed for TCP or UDP is not summed again. */
static uint16_t packet_checksum(struct look *k, uint32_t start, bool summed)
{
	struct e1000_sum s = { 0 };

	if (summed && start <= k->l4) {
		e1000_sum_range(&s, k->iov, k->n, start, k->l4);
		e1000_sum_join(&s, &k->l4_sum, k->l4_len);
		start = k->l4 + k->l4_len;
	}
	e1000_sum_range(&s, k->iov, k->n, start, k->len);
	return ntohs((uint16_t)~e1000_sum_end(&s));
}

/* --- the tag --- */
/*
 * The tag goes, and the rest of the first buffer moves up: what lies in further buffers stays there
 * (the part would fill each buffer).
 */
static void strip_tag(struct e1000 *d, struct look *k, struct e1000_rx_word *word)
{
	uint8_t *p = k->iov->iov_base;

	memmove(p + 12, p + 16, k->iov->iov_len - 16);
	word->cut = 4;
	word->status |= E1000_RXD_STAT_VP;
	word->special = head16(k, 14);
	d->n.rx_shifted++;
}

void e1000_rx_look(struct e1000 *d, const struct iovec *iov, unsigned int n, uint32_t len,
		   struct e1000_rx_word *word)
{
	uint32_t rxcsum = d->rx.csum, small = e1000_get(d, E1000_RSRPD);
	struct look k = { .iov = iov, .n = n, .len = len, .l3 = E1000_ETH_HEADER };
	bool tagged;

	k.have = e1000_iov_copy(k.head, iov, n, len < HEAD ? len : HEAD);
	k.type = head16(&k, 12);
	tagged = k.type == e1000_get(d, E1000_VET) && has(&k, 0, 18);
	if (tagged) {
		k.l3 += 4;
		k.type = head16(&k, 16);
	}
	if (rxcsum)
		word->checksum = packet_checksum(&k, rxcsum & E1000_RXCSUM_PCSS,
						 look_sums(&k, rxcsum, word));
	if (tagged && d->rx.strip)
		strip_tag(d, &k, word);
	if (small && len + E1000_FCS <= small)
		d->causes |= E1000_INT_SRPD;
}

/* --- frames to a group --- */
/* 802.3 annex 31B: opcode 1, and how long; 0 ends it. */
static void look_pause(struct e1000 *d, const struct look *k)
{
	if (head16(k, 14) != 1)
		e1000_stat_add(d, E1000_FCRUC, 1);
	else
		e1000_stat_add(d, head16(k, 16) ? E1000_XOFFRXC : E1000_XONRXC, 1);
}

void e1000_rx_look_group(struct e1000 *d, const struct iovec *iov, unsigned int n,
			 struct e1000_rx_word *word)
{
	const struct nic_filter *f = &e1000_nic(d)->filter;
	struct look k = { 0 };
	uint32_t low;
	uint16_t high;

	k.have = e1000_iov_copy(k.head, iov, n, 18);
	memcpy(&low, k.head, sizeof(low));
	memcpy(&high, k.head + 4, sizeof(high));
	if (low == e1000_get(d, E1000_FCAL) && high == e1000_get(d, E1000_FCAH) &&
	    head16(&k, 12) == e1000_get(d, E1000_FCT))
		look_pause(d, &k);
	for (unsigned int i = 0; i < f->n_macs; i++)
		if (!memcmp(f->mac[i], k.head, 6))
			return;
	word->status |= E1000_RXD_STAT_PIF;
}
