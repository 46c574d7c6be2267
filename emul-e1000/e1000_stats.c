/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The statistics registers (82540EM manual, 13.7: 32 bits, cleared by reading, stuck at their
 * maximum; octet counts are pairs) and the device's own counters for `fourlane stats`. The data
 * path adds a burst's sums once.
 */
#include "e1000_priv.h"

#include <string.h>

void e1000_stat_add(struct e1000 *d, uint32_t off, uint64_t n)
{
	uint64_t v = e1000_get(d, off) + n;

	e1000_set(d, off, v > UINT32_MAX || v < n ? UINT32_MAX : (uint32_t)v);
}

static void stat_add64(struct e1000 *d, uint32_t low, uint64_t n)
{
	uint64_t v = e1000_get(d, low) | (uint64_t)e1000_get(d, low + 4) << 32;

	v = v + n < v ? UINT64_MAX : v + n;
	e1000_set(d, low, (uint32_t)v);
	e1000_set(d, low + 4, (uint32_t)(v >> 32));
}

uint32_t e1000_stat_read(struct e1000 *d, uint32_t off)
{
	uint32_t v = e1000_get(d, off);

	e1000_set(d, off, 0);
	return v;
}

uint32_t e1000_stat_high_read(struct e1000 *d, uint32_t off)
{
	e1000_set(d, off - 4, 0);
	return e1000_stat_read(d, off);
}

void e1000_tally_tx(struct e1000 *d, const struct e1000_tally *t)
{
	e1000_stat_add(d, E1000_GPTC, t->n);
	e1000_stat_add(d, E1000_TPT, t->n);
	stat_add64(d, E1000_GOTCL, t->bytes);
	stat_add64(d, E1000_TOTL, t->bytes);
	e1000_stat_add(d, E1000_MPTC, t->n_multicast);
	e1000_stat_add(d, E1000_BPTC, t->n_broadcast);
	for (unsigned int i = 0; i < 6; i++)
		e1000_stat_add(d, E1000_PTC64 + 4 * i, t->bin[i]);
}

void e1000_tally_rx(struct e1000 *d, const struct e1000_tally *t)
{
	e1000_stat_add(d, E1000_GPRC, t->n);
	e1000_stat_add(d, E1000_TPR, t->n);
	stat_add64(d, E1000_GORCL, t->bytes);
	stat_add64(d, E1000_TORL, t->bytes);
	e1000_stat_add(d, E1000_MPRC, t->n_multicast);
	e1000_stat_add(d, E1000_BPRC, t->n_broadcast);
	for (unsigned int i = 0; i < 6; i++)
		e1000_stat_add(d, E1000_PRC64 + 4 * i, t->bin[i]);
}

static const char *const tx_name[E1000_TX_N_WHAT] = {
	[E1000_TX_FRAME] = "guest_tx_frames",       [E1000_TX_CONTEXT] = "tx_contexts",
	[E1000_TX_BAD_ADDRESS] = "tx_bad_address",  [E1000_TX_BAD_TYPE] = "tx_bad_type",
	[E1000_TX_TOO_SHORT] = "tx_too_short",      [E1000_TX_TOO_LONG] = "tx_too_long",
	[E1000_TX_TOO_MANY] = "tx_too_many_pieces", [E1000_TX_OFFLOAD] = "tx_offload_refused",
	[E1000_TX_REST] = "tx_endless_rests",
};

static const struct {
	const char *name;
	size_t at;
} counter[] = {
#define COUNTER(c) \
	{ \
#c, offsetof(struct e1000_counters, c) \
	}
	COUNTER(tx_descriptors),   COUNTER(tx_offload_ignored),
	COUNTER(tx_segments),      COUNTER(rx_descriptors),
	COUNTER(rx_no_descriptor), COUNTER(ring_errors),
	COUNTER(bad_rx_address),   COUNTER(rx_shifted),
	COUNTER(tdt_writes),       COUNTER(rdt_writes),
	COUNTER(resets),           COUNTER(unknown_registers),
	COUNTER(odd_accesses),
#undef COUNTER
};

void e1000_stats(struct device *dev, struct stats_sink *s)
{
	struct e1000 *d = E1000_OF(dev, dev);
	struct e1000_counters n;

	e1000_lock(d);
	n = d->n;
	e1000_unlock(d);
	for (unsigned int i = 0; i < E1000_TX_N_WHAT; i++)
		stats_put(s, tx_name[i], n.tx_what[i]);
	for (size_t i = 0; i < sizeof(counter) / sizeof(counter[0]); i++)
		stats_put(s, counter[i].name,
			  *(const uint64_t *)((const char *)&n + counter[i].at));
	stats_put(s, "interrupts", atomic_load_explicit(&d->n_interrupts, memory_order_relaxed));
	stats_put(s, "loopback_frames", d->loop->n.rx_frames);
	nic_stats(d->be, s);
}
