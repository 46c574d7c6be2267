/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue 0 of an 82576, PF or VF: rings, bursts, doorbells. Called by the packet loop through the
 * two drivers' tables. Follows the datasheet named in igb_regs.h: 4.5.9 and 4.5.10 (queue
 * enable), 7.1.5 and 7.2.2.3 (advanced descriptors). RS only on the last frame of a burst: its DD
 * says that all before it are done, too. Leaves out interrupts and more than one buffer a frame.
 */
#include "mg_igb.h"

#define N              MG_N_SLOTS
#define ENABLE_WAIT_MS 100

_Static_assert(N == 256, "slot numbers fit uint8_t");

const char *igb_find(struct mg *mg, uint16_t device, const char *missing)
{
	struct igb *dev = mg_alloc(sizeof(*dev), 4096);
	uint32_t bdf = mg_pci_find(mg, IGB_PCI_VENDOR, device);

	if (bdf == MG_PCI_NONE)
		return missing;
	dev->bdf = bdf;
	mg_pci_enable(mg, bdf);
	dev->regs = mg_pci_bar(mg, bdf, 0);
	if (!dev->regs)
		return "the 82576 has no memory BAR";
	mg->priv = dev;
	mg->tx_room = N - 1; /* tail equal to head means empty */
	return NULL;
}

/* The enable bit reads as 1 once the device has taken the queue, 4.5.9 and 4.5.10. */
static const char *enable_queue(struct mg *mg, uint64_t reg, uint32_t value)
{
	mg_write32(reg, value);
	for (int i = 0; i < ENABLE_WAIT_MS; i++) {
		if (mg_read32(reg) & IGB_RXDCTL_ENABLE)
			return NULL;
		mg_wait_us(mg, 1000);
	}
	return "a queue of the 82576 does not become enabled";
}

static const char *start_tx(struct mg *mg, struct igb *dev)
{
	uint64_t regs = dev->regs;

	mg_write32(regs + IGB_TXDCTL(0), 0);
	mg_write32(regs + IGB_TDBAL(0), (uint32_t)(uintptr_t)dev->tx);
	mg_write32(regs + IGB_TDBAH(0), 0);
	mg_write32(regs + IGB_TDLEN(0), sizeof(dev->tx));
	mg_write32(regs + IGB_TDH(0), 0);
	mg_write32(regs + IGB_TDT(0), 0);
	return enable_queue(mg, regs + IGB_TXDCTL(0),
			    IGB_TXDCTL_ENABLE | 8 << IGB_TXDCTL_PTHRESH_SHIFT |
				    1 << IGB_TXDCTL_HTHRESH_SHIFT);
}

/* What the device is told of a buffer: its place, or one that stray= names. */
static uint64_t dma_addr(const struct mg *mg, const uint8_t *buf)
{
	return mg->opt.stray ? mg->opt.stray : (uint64_t)(uintptr_t)buf;
}

static void reset_rx_desc(struct mg *mg, struct igb *dev, uint32_t i)
{
	volatile union igb_rx_desc *desc = &dev->rx[i];

	desc->read.hdr_addr = 0;
	desc->read.pkt_addr = dma_addr(mg, mg->rx_buf + (size_t)i * mg->stride);
}

static const char *start_rx(struct mg *mg, struct igb *dev, uint32_t srrctl)
{
	uint64_t regs = dev->regs;

	for (uint32_t i = 0; i < N; i++)
		reset_rx_desc(mg, dev, i);
	mg_write32(regs + IGB_RXDCTL(0), 0);
	mg_write32(regs + IGB_RDBAL(0), (uint32_t)(uintptr_t)dev->rx);
	mg_write32(regs + IGB_RDBAH(0), 0);
	mg_write32(regs + IGB_RDLEN(0), sizeof(dev->rx));
	mg_write32(regs + IGB_SRRCTL(0),
		   srrctl | IGB_SRRCTL_DESCTYPE_ONEBUF | IGB_SRRCTL_BSIZEPACKET(mg->stride / 1024));
	mg_write32(regs + IGB_RDH(0), 0);
	mg_write32(regs + IGB_RDT(0), 0);
	return enable_queue(mg, regs + IGB_RXDCTL(0),
			    IGB_RXDCTL_ENABLE | 8 << IGB_RXDCTL_PTHRESH_SHIFT |
				    8 << IGB_RXDCTL_HTHRESH_SHIFT | 1 << IGB_RXDCTL_WTHRESH_SHIFT);
}

const char *igb_ring_start(struct mg *mg, struct igb *dev, uint32_t srrctl)
{
	const char *problem = NULL;

	if (mg->opt.tx)
		problem = start_tx(mg, dev);
	if (!problem && mg->opt.rx)
		problem = start_rx(mg, dev, srrctl);
	return problem;
}

void igb_ring_post(struct mg *mg, struct igb *dev)
{
	if (mg->opt.rx)
		mg_write32(dev->regs + IGB_RDT(0), N - 1);
}

unsigned int igb_ring_tx_reap(struct mg *mg)
{
	struct igb *dev = mg->priv;
	unsigned int done = 0;

	while (dev->tx_head != dev->tx_tail) {
		uint32_t last = dev->last[dev->tx_head];

		if (!(*(volatile uint32_t *)&dev->tx[last].wb.status & IGB_TXD_STAT_DD))
			break;
		done += (last - dev->tx_head) % N + 1;
		dev->tx_head = (last + 1) % N;
	}
	return done;
}

/* The write-back takes the place of the address: each descriptor is written anew. */
void igb_ring_tx_burst(struct mg *mg, unsigned int n)
{
	struct igb *dev = mg->priv;
	uint32_t first = dev->tx_tail, slot = first;

	for (unsigned int i = 0; i < n; i++, slot = (slot + 1) % N) {
		volatile union igb_tx_desc *desc = &dev->tx[slot];

		desc->read.addr = dma_addr(mg, mg_tx_frame(mg, slot));
		desc->read.olinfo_status = mg->tx_len[slot] << IGB_TXD_PAYLEN_SHIFT;
		desc->read.cmd_type_len = mg->tx_len[slot] | IGB_TXD_DTYP_DATA | IGB_TXD_DEXT |
					  IGB_TXD_EOP | IGB_TXD_IFCS |
					  (i == n - 1 ? IGB_TXD_RS : 0);
	}
	dev->last[first] = (uint8_t)((slot - 1) % N);
	dev->tx_tail = slot;
	mg_barrier(); /* descriptors before the doorbell */
	mg_write32(dev->regs + IGB_TDT(0), slot);
	mg->kicks++;
}

/*
 * The descriptor is made ready for its next use at once; the device sees it with the next doorbell.
 */
unsigned int igb_ring_rx_burst(struct mg *mg, struct mg_rx *rx, unsigned int max)
{
	struct igb *dev = mg->priv;
	unsigned int n = 0;

	for (; n < max; n++) {
		volatile union igb_rx_desc *desc = &dev->rx[dev->rx_head];
		uint32_t status = desc->wb.status_error;

		if (!(status & IGB_RXD_DD))
			break;
		mg_barrier(); /* DD before the rest of it */
		rx[n].data = mg->rx_buf + (size_t)dev->rx_head * mg->stride;
		rx[n].len = status & IGB_RXD_EOP && !(status & IGB_RXD_RXE) ? desc->wb.length : 0;
		reset_rx_desc(mg, dev, dev->rx_head);
		dev->rx_head = (dev->rx_head + 1) % N;
	}
	return n;
}

void igb_ring_rx_refill(struct mg *mg)
{
	struct igb *dev = mg->priv;

	mg_barrier(); /* descriptors before the doorbell */
	mg_write32(dev->regs + IGB_RDT(0), (dev->rx_head - 1) % N);
	mg->kicks++;
}
