/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Polled driver for the 82540EM: legacy descriptors, one ring a direction, no interrupts. Called by
 * mg_main.c and the packet loop. Registers are emul-e1000/e1000_regs.h, the order of set-up is
 * section 14 of the manual named there. RS only on the last frame of a burst: the device writes
 * back less, and its DD bit says that all before it are done, too.
 */
#include "emul-e1000/e1000_regs.h"
#include "mg_lib.h"

#define N MG_N_SLOTS

struct e1000 {
	struct e1000_tx_legacy_desc tx[N] __attribute__((aligned(4096)));
	struct e1000_rx_desc rx[N] __attribute__((aligned(4096)));
	uint64_t regs;
	uint32_t tx_head; /* oldest frame not yet reaped */
	uint32_t tx_tail;
	uint32_t rx_head; /* next frame from the device */
	uint8_t last[N];  /* by the first slot of a burst: its last slot */
};

_Static_assert(N == 256, "slot numbers fit uint8_t");

static void reset(struct mg *mg, uint64_t regs)
{
	mg_write32(regs + E1000_IMC, 0xffffffff);
	mg_write32(regs + E1000_RCTL, 0);
	mg_write32(regs + E1000_TCTL, E1000_TCTL_PSP);
	mg_write32(regs + E1000_CTRL, mg_read32(regs + E1000_CTRL) | E1000_CTRL_RST);
	mg_wait_us(mg, 5000); /* reset and EEPROM load, 14.3 */
	mg_write32(regs + E1000_IMC, 0xffffffff);
	(void)mg_read32(regs + E1000_ICR);
	mg_write32(regs + E1000_CTRL, (mg_read32(regs + E1000_CTRL) | E1000_CTRL_SLU |
				       E1000_CTRL_ASDE | E1000_CTRL_FD) &
					      ~(E1000_CTRL_ILOS | E1000_CTRL_PHY_RST |
						E1000_CTRL_FRCSPD | E1000_CTRL_FRCDPLX));
}

static uint32_t eeprom_word(struct mg *mg, uint64_t regs, uint32_t word)
{
	uint32_t value = 0;

	mg_write32(regs + E1000_EERD, E1000_EERD_START | word << E1000_EERD_ADDR_SHIFT);
	for (int i = 0; i < 1000 && !((value = mg_read32(regs + E1000_EERD)) & E1000_EERD_DONE);
	     i++)
		mg_wait_us(mg, 5);
	return value >> E1000_EERD_DATA_SHIFT;
}

/* From the first receive address, which the reset loads; else from the EEPROM. */
static void read_mac(struct mg *mg, uint64_t regs)
{
	uint32_t low = mg_read32(regs + E1000_RAL(0)), high = mg_read32(regs + E1000_RAH(0));

	if (!(high & E1000_RAH_AV)) {
		low = eeprom_word(mg, regs, E1000_EEPROM_MAC);
		low |= eeprom_word(mg, regs, E1000_EEPROM_MAC + 1) << 16;
		high = eeprom_word(mg, regs, E1000_EEPROM_MAC + 2) | E1000_RAH_AV;
		mg_write32(regs + E1000_RAL(0), low);
		mg_write32(regs + E1000_RAH(0), high);
	}
	for (int i = 0; i < 6; i++)
		mg->mac[i] = (uint8_t)(i < 4 ? low >> (8 * i) : high >> (8 * (i - 4)));
}

static void start_tx(struct mg *mg, struct e1000 *dev)
{
	uint64_t regs = dev->regs;

	for (uint32_t i = 0; i < N; i++)
		dev->tx[i].addr = (uint64_t)(uintptr_t)mg_tx_frame(mg, i);
	mg_write32(regs + E1000_TDBAL, (uint32_t)(uintptr_t)dev->tx);
	mg_write32(regs + E1000_TDBAH, 0);
	mg_write32(regs + E1000_TDLEN, sizeof(dev->tx));
	mg_write32(regs + E1000_TDH, 0);
	mg_write32(regs + E1000_TDT, 0);
	mg_write32(regs + E1000_TIPG, E1000_TIPG_COPPER);
	mg_write32(regs + E1000_TCTL, E1000_TCTL_EN | E1000_TCTL_PSP | 0x0f << E1000_TCTL_CT_SHIFT |
					      0x40 << E1000_TCTL_COLD_SHIFT);
}

static void start_rx(struct mg *mg, struct e1000 *dev)
{
	uint64_t regs = dev->regs;
	uint32_t rctl = E1000_RCTL_EN | E1000_RCTL_BAM | E1000_RCTL_SECRC | E1000_RCTL_BSIZE_2048;

	if (mg->stride == MG_BUF_LARGE) /* 16 times 1024 */
		rctl = E1000_RCTL_EN | E1000_RCTL_BAM | E1000_RCTL_SECRC | E1000_RCTL_LPE |
		       E1000_RCTL_BSEX | E1000_RCTL_BSIZE_1024;
	for (uint32_t i = 0; i < N; i++)
		dev->rx[i].addr = (uint64_t)(uintptr_t)mg->rx_buf + (uint64_t)i * mg->stride;
	for (uint32_t i = 0; i < E1000_N_MTA; i++)
		mg_write32(regs + E1000_MTA + 4 * i, 0);
	mg_write32(regs + E1000_RDBAL, (uint32_t)(uintptr_t)dev->rx);
	mg_write32(regs + E1000_RDBAH, 0);
	mg_write32(regs + E1000_RDLEN, sizeof(dev->rx));
	mg_write32(regs + E1000_RDH, 0);
	mg_write32(regs + E1000_RDT, 0);
	mg_write32(regs + E1000_RCTL, rctl);
	mg_write32(regs + E1000_RDT, N - 1);
}

static const char *e1000_init(struct mg *mg)
{
	struct e1000 *dev = mg_alloc(sizeof(*dev), 4096);
	uint32_t bdf = mg_pci_find(mg, E1000_PCI_VENDOR, E1000_PCI_DEVICE);

	if (bdf == MG_PCI_NONE)
		return "no 82540EM (8086:100e)";
	mg_pci_enable(mg, bdf);
	dev->regs = mg_pci_bar(mg, bdf, 0);
	if (!dev->regs)
		return "the 82540EM has no memory BAR";
	mg->priv = dev;
	mg->tx_room = N - 1; /* tail equal to head means empty */
	reset(mg, dev->regs);
	read_mac(mg, dev->regs);
	if (mg->opt.tx)
		start_tx(mg, dev);
	if (mg->opt.rx)
		start_rx(mg, dev);
	return NULL;
}

static int e1000_link(struct mg *mg)
{
	struct e1000 *dev = mg->priv;

	return !!(mg_read32(dev->regs + E1000_STATUS) & E1000_STATUS_LU);
}

static unsigned int e1000_tx_reap(struct mg *mg)
{
	struct e1000 *dev = mg->priv;
	unsigned int done = 0;

	while (dev->tx_head != dev->tx_tail) {
		uint32_t last = dev->last[dev->tx_head];

		if (!(*(volatile uint8_t *)&dev->tx[last].status & E1000_TXD_STAT_DD))
			break;
		done += (last - dev->tx_head) % N + 1;
		dev->tx_head = (last + 1) % N;
	}
	return done;
}

static void e1000_tx_burst(struct mg *mg, unsigned int n)
{
	struct e1000 *dev = mg->priv;
	uint32_t first = dev->tx_tail, slot = first;

	for (unsigned int i = 0; i < n; i++, slot = (slot + 1) % N) {
		dev->tx[slot].length = (uint16_t)mg->tx_len[slot];
		dev->tx[slot].status = 0;
		dev->tx[slot].cmd =
			E1000_TXC_EOP | E1000_TXC_IFCS | (i == n - 1 ? E1000_TXC_RS : 0);
	}
	dev->last[first] = (uint8_t)((slot - 1) % N);
	dev->tx_tail = slot;
	mg_barrier(); /* descriptors before the doorbell */
	mg_write32(dev->regs + E1000_TDT, slot);
	mg->kicks++;
}

static unsigned int e1000_rx_burst(struct mg *mg, struct mg_rx *rx, unsigned int max)
{
	struct e1000 *dev = mg->priv;
	unsigned int n = 0;

	for (; n < max; n++) {
		volatile struct e1000_rx_desc *desc = &dev->rx[dev->rx_head];
		uint8_t status = desc->status;

		if (!(status & E1000_RXD_STAT_DD))
			break;
		mg_barrier(); /* DD before the rest of it */
		rx[n].data = mg->rx_buf + (size_t)dev->rx_head * mg->stride;
		rx[n].len = status & E1000_RXD_STAT_EOP && !desc->errors ? desc->length : 0;
		desc->status = 0;
		dev->rx_head = (dev->rx_head + 1) % N;
	}
	return n;
}

static void e1000_rx_refill(struct mg *mg)
{
	struct e1000 *dev = mg->priv;

	mg_barrier(); /* status bytes before the doorbell */
	mg_write32(dev->regs + E1000_RDT, (dev->rx_head - 1) % N);
	mg->kicks++;
	/* Where the write is only queued until the next exit, an interrupt handler's read brings
	 * it. */
	if (mg->opt.icr)
		(void)mg_read32(dev->regs + E1000_ICR);
}

const struct mg_driver mg_driver_e1000 = {
	.name = "e1000",
	.init = e1000_init,
	.link = e1000_link,
	.tx_reap = e1000_tx_reap,
	.tx_burst = e1000_tx_burst,
	.rx_burst = e1000_rx_burst,
	.rx_refill = e1000_rx_refill,
};
