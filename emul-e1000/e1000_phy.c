/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The internal PHY behind MDIC (82540EM manual, 13.4.7 and 13.4.7.1): a Marvell M88E1000 family
 * part at address 1 that has always finished negotiating 1000 Mbit/s full duplex with a partner of
 * the same kind. Its link is the back-end's. Left out: cable tests, pages, speeds that the driver
 * forces.
 */
#include "e1000_priv.h"

struct phy_reg {
	uint8_t idx;
	uint16_t reset, wmask;
};

#define ABILITIES \
	(E1000_PHY_AN_SELECTOR | E1000_PHY_AN_10_HD | E1000_PHY_AN_10_FD | E1000_PHY_AN_100_HD | \
	 E1000_PHY_AN_100_FD | E1000_PHY_AN_PAUSE)

static const struct phy_reg phy_table[] = {
	{ E1000_PHY_CTRL, E1000_PHY_CTRL_SPEED_1000 | E1000_PHY_CTRL_FD | E1000_PHY_CTRL_ANEG_EN,
	  0xffff & ~(E1000_PHY_CTRL_RESET | E1000_PHY_CTRL_ANEG_RESTART | 0x3f) },
	{ E1000_PHY_STATUS,
	  E1000_PHY_STATUS_EXTENDED | E1000_PHY_STATUS_ANEG_CAP | E1000_PHY_STATUS_PREAMBLE |
	  E1000_PHY_STATUS_EXT_STATUS | E1000_PHY_STATUS_10_HD | E1000_PHY_STATUS_10_FD |
	  E1000_PHY_STATUS_100_HD | E1000_PHY_STATUS_100_FD, 0 },
	{ E1000_PHY_ID1, E1000_PHY_ID1_VALUE, 0 },
	{ E1000_PHY_ID2, E1000_PHY_ID2_VALUE, 0 },
	{ E1000_PHY_ANAR, ABILITIES | E1000_PHY_AN_ASM_DIR, 0xffff & ~E1000_PHY_AN_ACK },
	{ E1000_PHY_LPAR, ABILITIES | E1000_PHY_AN_ACK, 0 },
	{ E1000_PHY_ANER, E1000_PHY_ANER_LP_ANEG, 0 },
	{ E1000_PHY_NPTR, 0x2001, 0xffff },
	{ E1000_PHY_GCTRL, E1000_PHY_GCTRL_1000_HD | E1000_PHY_GCTRL_1000_FD, 0xff00 },
	{ E1000_PHY_GSTATUS,
	  E1000_PHY_GSTATUS_LP_1000_HD | E1000_PHY_GSTATUS_LP_1000_FD |
	  E1000_PHY_GSTATUS_REMOTE_OK | E1000_PHY_GSTATUS_LOCAL_OK, 0 },
	{ E1000_PHY_EXT_STATUS, E1000_PHY_EXT_STATUS_1000T_HD | E1000_PHY_EXT_STATUS_1000T_FD, 0 },
	{ E1000_PHY_PSCON, E1000_PHY_PSCON_CROSSOVER, 0xffff },
	{ E1000_PHY_PSSTAT,
	  E1000_PHY_PSSTAT_SPEED_1000 | E1000_PHY_PSSTAT_FD | E1000_PHY_PSSTAT_RESOLVED, 0 },
	{ E1000_PHY_PINTE, 0, 0xffff },
	{ E1000_PHY_EPSCON, 0x0d60, 0xffff },
	{ E1000_PHY_LED, 0x4100, 0xffff },
	{ E1000_PHY_PAGE_SELECT, 0, 0xffff },
	{ E1000_PHY_PAGE_DATA, 0, 0xffff },
};
#define N_PHY_ROWS (sizeof(phy_table) / sizeof(phy_table[0]))

void e1000_phy_reset(struct e1000 *d)
{
	for (size_t i = 0; i < N_PHY_ROWS; i++)
		d->phy[phy_table[i].idx] = phy_table[i].reset;
}

static uint16_t phy_read(struct e1000 *d, unsigned int idx)
{
	uint16_t v = d->phy[idx];
	bool link = atomic_load(&d->link) && !(d->phy[E1000_PHY_CTRL] & E1000_PHY_CTRL_POWER_DOWN);

	if (idx == E1000_PHY_STATUS && link)
		v |= E1000_PHY_STATUS_LINK | E1000_PHY_STATUS_ANEG_DONE;
	else if (idx == E1000_PHY_PSSTAT && link)
		v |= E1000_PHY_PSSTAT_LINK;
	else if (idx == E1000_PHY_PINTS)
		d->phy[idx] = 0;
	return v;
}

/* A negotiation that was asked for is over at once, and says so. */
static void phy_renegotiated(struct e1000 *d)
{
	d->phy[E1000_PHY_PINTS] |= E1000_PHY_PINT_ANEG_DONE | E1000_PHY_PINT_LINK;
	atomic_fetch_or(&d->icr, E1000_INT_LSC);
	d->irq_dirty = true;
}

static void phy_write(struct e1000 *d, unsigned int idx, uint16_t val)
{
	for (size_t i = 0; i < N_PHY_ROWS; i++)
		if (phy_table[i].idx == idx)
			d->phy[idx] = (uint16_t)((d->phy[idx] & ~phy_table[i].wmask) |
						 (val & phy_table[i].wmask));
	if (idx != E1000_PHY_CTRL)
		return;
	if (val & E1000_PHY_CTRL_RESET)
		e1000_phy_reset(d);
	if (val & E1000_PHY_CTRL_ANEG_EN &&
	    val & (E1000_PHY_CTRL_ANEG_RESTART | E1000_PHY_CTRL_RESET))
		phy_renegotiated(d);
}

void e1000_mdic_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	unsigned int idx = (val & E1000_MDIC_REG) >> E1000_MDIC_REG_SHIFT;
	uint32_t op = val & E1000_MDIC_OP;

	val &= ~(E1000_MDIC_E | E1000_MDIC_R | E1000_BIT(31));
	if ((val & E1000_MDIC_PHY) >> E1000_MDIC_PHY_SHIFT != E1000_PHY_ADDR ||
	    (op != E1000_MDIC_OP_READ && op != E1000_MDIC_OP_WRITE))
		val |= E1000_MDIC_E;
	else if (op == E1000_MDIC_OP_READ)
		val = (val & ~E1000_MDIC_DATA) | phy_read(d, idx);
	else
		phy_write(d, idx, (uint16_t)(val & E1000_MDIC_DATA));
	e1000_set(d, off, val | E1000_MDIC_R);
	if (val & E1000_MDIC_I) {
		atomic_fetch_or(&d->icr, E1000_INT_MDAC);
		d->irq_dirty = true;
	}
}
