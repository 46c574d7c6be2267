/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Polled driver for an 82576 port (PF): one queue pair, own address and broadcast only, interrupts
 * off. Called by mg_main.c; the rings are mg_igb_ring.c. Follows 4.5 (initialisation) and 4.2
 * (reset) of the datasheet named in igb_regs.h. Leaves out VFs, VMDq and of the PHY all but
 * auto-negotiation.
 */
#include "mg_igb.h"

#define RESET_WAIT_MS 100
#define DONE_WAIT_MS  10 /* as long as Linux's igb waits for it */

static const char *reset(struct mg *mg, uint64_t regs)
{
	int i;

	mg_write32(regs + IGB_IMC, 0xffffffff);
	mg_write32(regs + IGB_EIMC, 0xffffffff);
	mg_write32(regs + IGB_RCTL, 0);
	mg_write32(regs + IGB_TCTL, IGB_TCTL_PSP);
	mg_wait_us(mg, 10000); /* what is on its way over PCIe */
	mg_write32(regs + IGB_CTRL, mg_read32(regs + IGB_CTRL) | IGB_CTRL_RST);
	mg_wait_us(mg, 3000); /* no access for 3 ms after a reset */
	for (i = 0; mg_read32(regs + IGB_CTRL) & IGB_CTRL_RST; i++) {
		if (i == RESET_WAIT_MS)
			return "the 82576 does not finish its reset";
		mg_wait_us(mg, 1000);
	}
	/* A model may not know the bit: go on without it. */
	for (i = 0; i < DONE_WAIT_MS && !(mg_read32(regs + IGB_STATUS) & IGB_STATUS_PF_RST_DONE);
	     i++)
		mg_wait_us(mg, 1000);
	mg_write32(regs + IGB_IMC, 0xffffffff);
	mg_write32(regs + IGB_EIMC, 0xffffffff);
	mg_write32(regs + IGB_EIAC, 0);
	mg_write32(regs + IGB_EIAM, 0);
	(void)mg_read32(regs + IGB_ICR);
	return NULL;
}

/* The reset has loaded it from the EEPROM. */
static void read_mac(struct mg *mg, uint64_t regs)
{
	uint32_t low = mg_read32(regs + IGB_RAL(0)), high = mg_read32(regs + IGB_RAH(0));

	for (int i = 0; i < 6; i++)
		mg->mac[i] = (uint8_t)(i < 4 ? low >> (8 * i) : high >> (8 * (i - 4)));
	mg_write32(regs + IGB_RAL(0), low);
	mg_write32(regs + IGB_RAH(0), high | IGB_RAH_AV);
}

static void set_link_up(uint64_t regs)
{
	uint32_t ctrl = mg_read32(regs + IGB_CTRL);

	ctrl &= ~(IGB_CTRL_ILOS | IGB_CTRL_FRCSPD | IGB_CTRL_FRCDPLX | IGB_CTRL_VME);
	mg_write32(regs + IGB_CTRL, ctrl | IGB_CTRL_SLU | IGB_CTRL_FD);
	mg_write32(regs + IGB_CTRL_EXT, mg_read32(regs + IGB_CTRL_EXT) | IGB_CTRL_EXT_DRV_LOAD);
}

/* A PHY that has no link is told to look for one: some models wait for that. */
static void restart_autonegotiation(struct mg *mg, uint64_t regs)
{
	if (mg_read32(regs + IGB_STATUS) & IGB_STATUS_LU)
		return;
	mg_write32(regs + IGB_MDIC, IGB_MDIC_OP_WRITE | IGB_PHY_ADDR << IGB_MDIC_PHY_SHIFT |
					    IGB_PHY_CTRL << IGB_MDIC_REG_SHIFT |
					    IGB_PHY_CTRL_ANEG_EN | IGB_PHY_CTRL_ANEG_RESTART);
	for (int i = 0; i < 100 && !(mg_read32(regs + IGB_MDIC) & IGB_MDIC_READY); i++)
		mg_wait_us(mg, 50);
}

static void start_receiver(struct mg *mg, uint64_t regs)
{
	uint32_t rctl = IGB_RCTL_EN | IGB_RCTL_BAM | IGB_RCTL_SECRC;

	for (uint32_t i = 0; i < IGB_N_MTA; i++)
		mg_write32(regs + IGB_MTA + 4 * i, 0);
	mg_write32(regs + IGB_MRQC, 0);
	mg_write32(regs + IGB_RXCSUM, 0);
	mg_write32(regs + IGB_RLPML, mg->opt.size + IGB_FCS_AND_TAG);
	if (mg->opt.size > IGB_SHORT_MAX)
		rctl |= IGB_RCTL_LPE;
	mg_write32(regs + IGB_RCTL, rctl);
}

static const char *igb_init(struct mg *mg)
{
	const char *problem = igb_find(mg, IGB_PCI_DEVICE_82576, "no 82576 (8086:10c9)");
	struct igb *dev = mg->priv;

	if (!problem)
		problem = reset(mg, dev->regs);
	if (problem)
		return problem;
	read_mac(mg, dev->regs);
	set_link_up(dev->regs);
	restart_autonegotiation(mg, dev->regs);
	if (mg->opt.tx)
		mg_write32(dev->regs + IGB_TCTL, IGB_TCTL_EN | IGB_TCTL_PSP |
							 0x0f << IGB_TCTL_CT_SHIFT |
							 0x40 << IGB_TCTL_COLD_SHIFT);
	if (mg->opt.rx)
		start_receiver(mg, dev->regs);
	problem = igb_ring_start(mg, dev, 0);
	if (!problem)
		igb_ring_post(mg, dev);
	return problem;
}

static int igb_link(struct mg *mg)
{
	struct igb *dev = mg->priv;

	return !!(mg_read32(dev->regs + IGB_STATUS) & IGB_STATUS_LU);
}

const struct mg_driver mg_driver_igb = {
	.name = "igb",
	.init = igb_init,
	.link = igb_link,
	.tx_reap = igb_ring_tx_reap,
	.tx_burst = igb_ring_tx_burst,
	.rx_burst = igb_ring_rx_burst,
	.rx_refill = igb_ring_rx_refill,
};
