/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One queue pair of the 82576 with advanced descriptors, the same in the PF's BAR and in a VF's:
 * shared by mg_igb.c and mg_igbvf.c, which differ in reset, address and link.
 */
#ifndef BENCH_GUEST_MG_IGB_H
#define BENCH_GUEST_MG_IGB_H

#include "igb_regs.h"
#include "mg_lib.h"

#define IGB_SHORT_MAX   1514 /* bytes without FCS that pass without being asked for */
#define IGB_FCS_AND_TAG 8    /* counted in the device's limits */

struct igb {
	union igb_tx_desc tx[MG_N_SLOTS] __attribute__((aligned(4096)));
	union igb_rx_desc rx[MG_N_SLOTS] __attribute__((aligned(4096)));
	uint64_t regs;
	uint32_t bdf;
	uint32_t tx_head; /* oldest frame not yet reaped */
	uint32_t tx_tail;
	uint32_t rx_head;         /* next frame from the device */
	uint32_t mailbox;         /* VF: bits that reading has cleared */
	uint8_t last[MG_N_SLOTS]; /* by the first slot of a burst: its last slot */
};

/* Finds and enables the function, makes it mg->priv. NULL, or what failed. */
const char *igb_find(struct mg *mg, uint16_t device, const char *missing);
/* Sets the rings up and turns queue 0 on; the descriptors are handed over by igb_ring_post(). */
const char *igb_ring_start(struct mg *mg, struct igb *dev, uint32_t srrctl);
/* Gives the device all receive buffers, once everything else is set up. */
void igb_ring_post(struct mg *mg, struct igb *dev);

/* for struct mg_driver */
unsigned int igb_ring_tx_reap(struct mg *mg);
void igb_ring_tx_burst(struct mg *mg, unsigned int n);
unsigned int igb_ring_rx_burst(struct mg *mg, struct mg_rx *rx, unsigned int max);
void igb_ring_rx_refill(struct mg *mg);

#endif
