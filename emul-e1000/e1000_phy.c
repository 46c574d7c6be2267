/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The internal PHY behind MDIC (82540EM manual, 13.4.7 and 13.4.7.1), a Marvell M88E1000 family
 * part at address 1, and the link that comes of it. Its partner, of the same kind, is there while
 * the back-end says so. A negotiation is over at once: the best mode that both sides advertise, or
 * what the driver forces. Left out: cable tests, the registers behind the page number.
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
		  E1000_PHY_STATUS_100_HD | E1000_PHY_STATUS_100_FD,
	  0 },
	{ E1000_PHY_ID1, E1000_PHY_ID1_VALUE, 0 },
	{ E1000_PHY_ID2, E1000_PHY_ID2_VALUE, 0 },
	{ E1000_PHY_ANAR, ABILITIES | E1000_PHY_AN_ASM_DIR, 0xffff & ~E1000_PHY_AN_ACK },
	{ E1000_PHY_LPAR, ABILITIES | E1000_PHY_AN_ACK, 0 },
	{ E1000_PHY_ANER, E1000_PHY_ANER_LP_ANEG, 0 },
	{ E1000_PHY_NPTR, 0x2001, 0xffff },
	{ E1000_PHY_GCTRL, E1000_PHY_GCTRL_1000_HD | E1000_PHY_GCTRL_1000_FD, 0xff00 },
	{ E1000_PHY_GSTATUS, E1000_PHY_GSTATUS_LP_1000_HD | E1000_PHY_GSTATUS_LP_1000_FD, 0 },
	{ E1000_PHY_EXT_STATUS, E1000_PHY_EXT_STATUS_1000T_HD | E1000_PHY_EXT_STATUS_1000T_FD, 0 },
	{ E1000_PHY_PSCON, E1000_PHY_PSCON_CROSSOVER, 0xffff },
	{ E1000_PHY_PINTE, 0, 0xffff },
	{ E1000_PHY_EPSCON, 0x0d60, 0xffff },
	{ E1000_PHY_LED, 0x4100, 0xffff },
	{ E1000_PHY_PAGE_SELECT, 0, 0xffff },
	{ E1000_PHY_PAGE_DATA, 0, 0xffff },
};
#define N_PHY_ROWS (sizeof(phy_table) / sizeof(phy_table[0]))

/* --- the link --- */
bool e1000_phy_powered(const struct e1000 *d)
{
	return !(d->phy[E1000_PHY_CTRL] & E1000_PHY_CTRL_POWER_DOWN);
}

bool e1000_phy_loopback(const struct e1000 *d)
{
	return d->phy[E1000_PHY_CTRL] & E1000_PHY_CTRL_LOOPBACK && e1000_phy_powered(d);
}

/* Speed and duplex as PSSTAT has them, or PHY_NO_MODE: nothing that both sides advertise. */
#define PHY_NO_MODE 0xffff
static uint16_t phy_mode(const struct e1000 *d)
{
	uint16_t ctrl = d->phy[E1000_PHY_CTRL];
	uint16_t both = d->phy[E1000_PHY_ANAR] & d->phy[E1000_PHY_LPAR];
	uint16_t gig = d->phy[E1000_PHY_GCTRL];

	if (!(ctrl & E1000_PHY_CTRL_ANEG_EN))
		return (uint16_t)((ctrl & E1000_PHY_CTRL_FD ? E1000_PHY_PSSTAT_FD : 0) |
				  (ctrl & E1000_PHY_CTRL_SPEED_1000  ? E1000_PHY_PSSTAT_SPEED_1000
				   : ctrl & E1000_PHY_CTRL_SPEED_100 ? E1000_PHY_PSSTAT_SPEED_100
								     : 0));
	if (gig & E1000_PHY_GCTRL_1000_FD)
		return E1000_PHY_PSSTAT_SPEED_1000 | E1000_PHY_PSSTAT_FD;
	if (gig & E1000_PHY_GCTRL_1000_HD)
		return E1000_PHY_PSSTAT_SPEED_1000;
	if (both & E1000_PHY_AN_100_FD)
		return E1000_PHY_PSSTAT_SPEED_100 | E1000_PHY_PSSTAT_FD;
	if (both & E1000_PHY_AN_100_HD)
		return E1000_PHY_PSSTAT_SPEED_100;
	if (both & E1000_PHY_AN_10_FD)
		return E1000_PHY_PSSTAT_FD;
	return both & E1000_PHY_AN_10_HD ? 0 : PHY_NO_MODE;
}

static bool phy_has_link(const struct e1000 *d)
{
	if (!e1000_phy_powered(d))
		return false;
	return e1000_phy_loopback(d) || (atomic_load(&d->partner) && phy_mode(d) != PHY_NO_MODE);
}

/* The PHY's own interrupt reaches the MAC by a pin that CTRL_EXT can listen to. */
static void phy_event(struct e1000 *d, uint16_t bits)
{
	d->phy[E1000_PHY_PINTS] |= bits;
	if (d->phy[E1000_PHY_PINTS] & d->phy[E1000_PHY_PINTE] &&
	    e1000_get(d, E1000_CTRL_EXT) & E1000_CTRL_EXT_GPI_PHY)
		e1000_cause(d, E1000_INT_PHYINT);
}

void e1000_link_update(struct e1000 *d)
{
	bool phy = phy_has_link(d), up = phy && e1000_get(d, E1000_CTRL) & E1000_CTRL_SLU;

	if (phy != d->phy_link) {
		d->phy_link = phy;
		d->link_lost |= !phy;
		phy_event(d, E1000_PHY_PINT_LINK);
	}
	if (up != d->link_up) {
		d->link_up = up;
		e1000_cause(d, E1000_INT_LSC);
	}
}

uint32_t e1000_status_read(struct e1000 *d, uint32_t off)
{
	uint32_t ctrl = e1000_get(d, E1000_CTRL), mode = phy_mode(d), speed;
	bool fd = ctrl & E1000_CTRL_FRCDPLX ? ctrl & E1000_CTRL_FD : mode & E1000_PHY_PSSTAT_FD;

	e1000_link_update(d); /* the partner's news may not have come to the poller yet */
	speed = ctrl & E1000_CTRL_FRCSPD ? ctrl & E1000_CTRL_SPEED
					 : (mode & E1000_PHY_PSSTAT_SPEED) >> 14 << 8;
	return (fd ? E1000_STATUS_FD : 0) | (speed >> 2 & E1000_STATUS_SPEED) |
	       (speed & E1000_STATUS_ASDV) | (d->link_up ? E1000_STATUS_LU : 0);
}

/* --- the registers --- */
static void phy_defaults(struct e1000 *d)
{
	for (size_t i = 0; i < N_PHY_ROWS; i++)
		d->phy[phy_table[i].idx] = phy_table[i].reset;
	d->phy[E1000_PHY_PINTS] = 0;
}

/* A negotiation that was asked for is over at once: the link was lost, and came back. */
static void phy_renegotiated(struct e1000 *d)
{
	d->link_lost = true;
	phy_event(d, E1000_PHY_PINT_ANEG_DONE | E1000_PHY_PINT_LINK);
	if (d->phy_link)
		e1000_cause(d, E1000_INT_LSC);
}

void e1000_phy_reset(struct e1000 *d)
{
	phy_defaults(d);
	e1000_link_update(d);
	phy_renegotiated(d);
	d->wake = true;
}

void e1000_phy_init(struct e1000 *d)
{
	phy_defaults(d);
	d->phy_link = phy_has_link(d);
}

/* 802.3 22.2.4.2.13: the link bit stays low until it was read, once the link was lost. */
static uint16_t phy_status(struct e1000 *d)
{
	uint16_t v = d->phy[E1000_PHY_STATUS];

	if (d->phy_link && d->phy[E1000_PHY_CTRL] & E1000_PHY_CTRL_ANEG_EN)
		v |= E1000_PHY_STATUS_ANEG_DONE;
	if (d->phy_link && !d->link_lost)
		v |= E1000_PHY_STATUS_LINK;
	d->link_lost = false;
	return v;
}

static uint16_t phy_read(struct e1000 *d, unsigned int idx)
{
	bool negotiated = d->phy_link && d->phy[E1000_PHY_CTRL] & E1000_PHY_CTRL_ANEG_EN;
	uint16_t v = d->phy[idx], mode = phy_mode(d);

	switch (idx) {
	case E1000_PHY_STATUS: return phy_status(d);
	case E1000_PHY_LPAR:
	case E1000_PHY_ANER: return negotiated ? v : 0;
	case E1000_PHY_GSTATUS:
		if (d->phy_link && mode & E1000_PHY_PSSTAT_SPEED_1000)
			v |= E1000_PHY_GSTATUS_REMOTE_OK | E1000_PHY_GSTATUS_LOCAL_OK;
		return negotiated ? v : v & ~d->phy[idx];
	case E1000_PHY_PSSTAT:
		v = mode == PHY_NO_MODE ? 0 : mode | E1000_PHY_PSSTAT_RESOLVED;
		return d->phy_link ? v | E1000_PHY_PSSTAT_LINK : v;
	case E1000_PHY_PINTS: d->phy[idx] = 0; return v;
	default: return v;
	}
}

static void phy_ctrl_write(struct e1000 *d, uint16_t val)
{
	if (val & E1000_PHY_CTRL_RESET) {
		e1000_phy_reset(d);
		return;
	}
	e1000_link_update(d);
	if (val & E1000_PHY_CTRL_ANEG_EN && val & E1000_PHY_CTRL_ANEG_RESTART)
		phy_renegotiated(d);
	d->wake = true; /* loopback and power are the I/O thread's, too */
}

static void phy_write(struct e1000 *d, unsigned int idx, uint16_t val)
{
	for (size_t i = 0; i < N_PHY_ROWS; i++)
		if (phy_table[i].idx == idx)
			d->phy[idx] = (uint16_t)((d->phy[idx] & ~phy_table[i].wmask) |
						 (val & phy_table[i].wmask));
	if (idx == E1000_PHY_CTRL)
		phy_ctrl_write(d, val);
}

void e1000_mdic_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	unsigned int idx = (val & E1000_MDIC_REG) >> E1000_MDIC_REG_SHIFT;
	uint32_t op = val & E1000_MDIC_OP;

	e1000_link_update(d);
	val &= ~(E1000_MDIC_E | E1000_MDIC_R | E1000_BIT(31));
	if ((val & E1000_MDIC_PHY) >> E1000_MDIC_PHY_SHIFT != E1000_PHY_ADDR ||
	    (op != E1000_MDIC_OP_READ && op != E1000_MDIC_OP_WRITE))
		val |= E1000_MDIC_E;
	else if (op == E1000_MDIC_OP_READ)
		val = (val & ~E1000_MDIC_DATA) | phy_read(d, idx);
	else
		phy_write(d, idx, (uint16_t)(val & E1000_MDIC_DATA));
	e1000_set(d, off, val | E1000_MDIC_R);
	if (val & E1000_MDIC_I)
		e1000_cause(d, E1000_INT_MDAC);
}
