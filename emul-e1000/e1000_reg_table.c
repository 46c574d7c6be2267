/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registers of the 82540EM as one table (manual, 13.3 to 13.8), the accesses to them, and the
 * handlers that belong to no other file. Reset, read, write, names and the test of every register
 * walk the table; an access finds its row by an index that is made from it. The buses call in
 * (memory BAR, and the I/O BAR's address and data pair, 13.2.2). Only whole, aligned dwords are
 * registers: anything else reads 0 and writes nothing (13.2.1 leaves it undefined).
 */
#include "e1000_priv.h"

#define ALL UINT32_C(0xffffffff)

/* --- handlers --- */
static uint32_t zero_read(struct e1000 *d, uint32_t off)
{
	return 0;
}

/* RST reads as set until the back-end has let go of the guest's memory, too. */
static uint32_t ctrl_read(struct e1000 *d, uint32_t off)
{
	return e1000_get(d, E1000_CTRL) | (d->reset_pending ? E1000_CTRL_RST : 0);
}

static void ctrl_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	const uint32_t wmask = E1000_CTRL_FD | E1000_CTRL_LRST | E1000_CTRL_ASDE | E1000_CTRL_SLU |
			       E1000_CTRL_ILOS | E1000_CTRL_SPEED | E1000_CTRL_FRCSPD |
			       E1000_CTRL_FRCDPLX | E1000_CTRL_SDP0_DATA | E1000_CTRL_SDP1_DATA |
			       E1000_CTRL_SDP0_IODIR | E1000_CTRL_SDP1_IODIR | E1000_CTRL_ADVD3WUC |
			       E1000_CTRL_EN_PHY_PWR_MGMT | E1000_CTRL_RFCE | E1000_CTRL_TFCE |
			       E1000_CTRL_VME;

	if (val & E1000_CTRL_PHY_RST)
		e1000_phy_reset(d);
	/* a driver that writes back what it read, RST included, does not start over */
	if (val & E1000_CTRL_RST && !d->reset_pending) {
		e1000_reg_reset(d);
		d->n.resets++;
		d->reset_pending = d->wake = true;
		return;
	}
	d->filter_dirty |= (e1000_get(d, E1000_CTRL) ^ val) & E1000_CTRL_RFCE;
	e1000_set(d, E1000_CTRL, val & wmask);
	e1000_link_update(d);
}

static void ctrl_ext_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	const uint32_t wmask = E1000_CTRL_EXT_GPI_EN | E1000_CTRL_EXT_SPD_BYPS |
			       E1000_CTRL_EXT_SDP6_DATA | E1000_CTRL_EXT_SDP7_DATA |
			       E1000_CTRL_EXT_SDP6_IODIR | E1000_CTRL_EXT_SDP7_IODIR |
			       E1000_CTRL_EXT_RO_DIS | E1000_CTRL_EXT_LINK_MODE;

	e1000_set(d, off, val & wmask);
	if (val & E1000_CTRL_EXT_EE_RST)
		e1000_eeprom_load(d);
}

/* The level of the PHY's interrupt is there whether or not it is listened to. */
static uint32_t ctrl_ext_read(struct e1000 *d, uint32_t off)
{
	bool phy = d->phy[E1000_PHY_PINTS] & d->phy[E1000_PHY_PINTE];

	return e1000_get(d, off) | (phy ? E1000_CTRL_EXT_PHYINT : 0);
}

/* What receive does not get of the 64 KiB, transmit has. */
static void pba_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	uint32_t rxa = val & E1000_PBA_RXA;

	e1000_set(d, off, rxa | (rxa < 64 ? 64 - rxa : 0) << E1000_PBA_TXA_SHIFT);
}

static uint32_t icr_read(struct e1000 *d, uint32_t off)
{
	d->irq_dirty = true;
	return atomic_exchange(&d->icr, 0);
}

static void icr_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	atomic_fetch_and(&d->icr, ~val);
	d->irq_dirty = true;
}

static void ics_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	e1000_cause(d, val & E1000_INT_ALL);
}

static uint32_t ims_read(struct e1000 *d, uint32_t off)
{
	return atomic_load(&d->ims);
}

static void ims_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	atomic_fetch_or(&d->ims, val & E1000_INT_ALL);
	d->irq_dirty = true;
}

static void imc_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	atomic_fetch_and(&d->ims, ~val);
	d->irq_dirty = true;
}

static void rctl_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	const uint32_t reserved =
		E1000_BITS(11, 10) | E1000_BIT(14) | E1000_BIT(21) | E1000_BIT(24);
	const uint32_t buffers =
		E1000_RCTL_EN | E1000_RCTL_BSIZE | E1000_RCTL_BSEX | E1000_RCTL_SECRC;
	uint32_t old = e1000_get(d, off);

	e1000_set(d, off, val & E1000_BITS(26, 1) & ~reserved);
	d->fe.max_frame = val & E1000_RCTL_LPE ? E1000_MAX_LONG : E1000_MAX_SHORT;
	d->filter_dirty = d->wake = true;
	/* new filters alone leave the posted buffers as they are; a queue that stopped tries again
	 */
	if ((old ^ e1000_get(d, off)) & buffers || d->rx.reported)
		e1000_rx_restart(d);
}

static void tctl_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	e1000_set(d, off,
		  val & (E1000_TCTL_EN | E1000_TCTL_PSP | E1000_TCTL_CT | E1000_TCTL_COLD |
			 E1000_TCTL_RTLC | E1000_TCTL_NRTU));
	d->wake = true;
}

/* The mask of a ring register, by its last digits: both directions have the same layout. */
static uint32_t ring_mask(uint32_t off)
{
	switch (off & 0xff) {
	case E1000_TDBAL & 0xff: return E1000_TDBAL_MASK;
	case E1000_TDLEN & 0xff: return E1000_TDLEN_MASK;
	case E1000_TDH & 0xff: return E1000_TDH_MASK;
	default: return ALL;
	}
}

static void tx_ring_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	e1000_set(d, off, val & ring_mask(off));
	e1000_tx_restart(d);
}

static void rx_ring_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	e1000_set(d, off, val & ring_mask(off));
	e1000_rx_restart(d);
}

/* A tail that comes by an exit asks for the zone: the next ones shall stay in KVM's ring. */
static void tail_written(struct e1000 *d)
{
	d->wake = true;
	atomic_store_explicit(&d->zones_wanted, true, memory_order_relaxed);
}

static void tdt_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	e1000_set(d, off, val & E1000_TDT_MASK);
	d->n.tdt_writes++;
	if (e1000_get(d, E1000_TCTL) & E1000_TCTL_EN)
		tail_written(d);
}

static void rdt_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	e1000_set(d, off, val & E1000_RDT_MASK);
	d->n.rdt_writes++;
	if (e1000_rx_shrunk(d))
		e1000_rx_restart(d);
	if (e1000_get(d, E1000_RCTL) & E1000_RCTL_EN)
		tail_written(d);
}

static void filter_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	bool high = off >= E1000_RA && off < E1000_RA + 8 * E1000_N_RA && off & 4;

	e1000_set(d, off, high ? val & (E1000_RAH_RAH | E1000_RAH_AS | E1000_RAH_AV) : val);
	d->filter_dirty = true;
}

/* What the filters know of the wire's own words: pause address and VLAN type. */
static void wire_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	e1000_set(d, off, off == E1000_FCAL ? val : val & 0xffff);
	d->filter_dirty = true;
}

/* --- the table --- */
#define REG(r, rst, mask) \
	{ \
		E1000_##r, 1, 4, #r, rst, mask, NULL, NULL \
	}
#define HANDLED(r, rst, rd, wr) \
	{ \
		E1000_##r, 1, 4, #r, rst, 0, rd, wr \
	}
#define ARRAY(r, n, step, mask) \
	{ \
		E1000_##r, n, step, #r, 0, mask, NULL, NULL \
	}
#define STAT(r) \
	{ \
		E1000_##r, 1, 4, #r, 0, 0, e1000_stat_read, NULL \
	}

const struct e1000_reg e1000_reg_table[] = {
	/* general */
	HANDLED(CTRL, E1000_CTRL_FD | E1000_CTRL_SPEED_1000, ctrl_read, ctrl_write),
	HANDLED(CTRL_DUP, 0, ctrl_read, ctrl_write),
	HANDLED(STATUS, 0, e1000_status_read, NULL),
	HANDLED(EECD, 0, e1000_eecd_read, e1000_eecd_write),
	HANDLED(EERD, 0, NULL, e1000_eerd_write),
	HANDLED(CTRL_EXT, 0, ctrl_ext_read, ctrl_ext_write),
	HANDLED(MDIC, 0, NULL, e1000_mdic_write),
	HANDLED(FCAL, E1000_FCAL_RESET, NULL, wire_write),
	HANDLED(FCAH, E1000_FCAH_RESET, NULL, wire_write),
	REG(FCT, E1000_FCT_RESET, 0xffff),
	HANDLED(VET, E1000_VET_RESET, NULL, wire_write),
	REG(FCTTV, 0, E1000_FCTTV_TTV),
	/* of fibre parts; there to be written by the same drivers */
	REG(TXCW, 0, E1000_TXCW_MASK),
	REG(LEDCTL, E1000_LEDCTL_RESET, 0xcfcfcfcf),
	HANDLED(PBA, E1000_PBA_RESET, NULL, pba_write),
	/* interrupts; ICR and IMS live in atomics */
	HANDLED(ICR, 0, icr_read, icr_write),
	HANDLED(ITR, 0, NULL, e1000_itr_write),
	HANDLED(ICS, 0, zero_read, ics_write),
	HANDLED(IMS, 0, ims_read, ims_write),
	HANDLED(IMC, 0, zero_read, imc_write),
	/* receive */
	HANDLED(RCTL, 0, NULL, rctl_write),
	REG(FCRTL, 0, E1000_FCRTL_RTL | E1000_FCRTL_XONE),
	REG(FCRTH, 0, E1000_FCRTH_RTH),
	HANDLED(RDBAL, 0, NULL, rx_ring_write),
	HANDLED(RDBAH, 0, NULL, rx_ring_write),
	HANDLED(RDLEN, 0, NULL, rx_ring_write),
	HANDLED(RDH, 0, NULL, rx_ring_write),
	HANDLED(RDT, 0, NULL, rdt_write),
	HANDLED(RDTR, 0, NULL, e1000_delay_write),
	REG(RXDCTL, E1000_RXDCTL_RESET,
	    E1000_RXDCTL_PTHRESH | E1000_RXDCTL_HTHRESH | E1000_RXDCTL_WTHRESH | E1000_RXDCTL_GRAN),
	REG(RADV, 0, E1000_RADV_DELAY),
	REG(RSRPD, 0, E1000_RSRPD_SIZE),
	REG(RXCSUM, 0,
	    E1000_RXCSUM_PCSS | E1000_RXCSUM_IPOFLD | E1000_RXCSUM_TUOFLD | E1000_RXCSUM_IPV6OFL),
	/* transmit */
	HANDLED(TCTL, 0, NULL, tctl_write),
	REG(TIPG, 0, E1000_TIPG_IPGT | E1000_TIPG_IPGR1 | E1000_TIPG_IPGR2),
	REG(AIFS, 0, E1000_AIFS_MASK),
	REG(TXDMAC, E1000_TXDMAC_DPP, E1000_TXDMAC_DPP),
	HANDLED(TDBAL, 0, NULL, tx_ring_write),
	HANDLED(TDBAH, 0, NULL, tx_ring_write),
	HANDLED(TDLEN, 0, NULL, tx_ring_write),
	HANDLED(TDH, 0, NULL, tx_ring_write),
	HANDLED(TDT, 0, NULL, tdt_write),
	HANDLED(TIDV, 0, NULL, e1000_delay_write),
	REG(TXDCTL, 0,
	    E1000_TXDCTL_PTHRESH | E1000_TXDCTL_HTHRESH | E1000_TXDCTL_WTHRESH | E1000_TXDCTL_GRAN |
		    E1000_TXDCTL_LWTHRESH),
	REG(TADV, 0, E1000_TADV_IDV),
	REG(TSPMT, E1000_TSPMT_RESET, ALL),
	/* filters */
	{ E1000_MTA, E1000_N_MTA, 4, "MTA", 0, 0, NULL, filter_write },
	{ E1000_RA, 2 * E1000_N_RA, 4, "RA", 0, 0, NULL, filter_write },
	{ E1000_VFTA, E1000_N_VFTA, 4, "VFTA", 0, 0, NULL, filter_write },
	/* wake-up: remembered, never acted on */
	REG(WUC, 0, E1000_WUC_APME | E1000_WUC_PME_EN | E1000_WUC_APMPME),
	REG(WUFC, 0, E1000_WU_ALL),
	REG(WUS, 0, 0),
	REG(MANC, 0, ALL),
	REG(IPAV, 0, E1000_IPAV_V4 | E1000_IPAV_V6),
	ARRAY(IP4AT, E1000_N_IP4AT, 8, ALL),
	ARRAY(IP6AT, E1000_N_IP6AT, 4, ALL),
	REG(WUPL, 0, 0),
	ARRAY(WUPM, E1000_N_WUPM, 4, 0),
	ARRAY(FFLT, E1000_N_FFLT, 8, E1000_FFLT_LEN),
	ARRAY(FFMT, E1000_N_FFMT, 8, E1000_FFMT_MASK),
	ARRAY(FFVT, E1000_N_FFVT, 8, ALL),
	/* statistics */
	STAT(CRCERRS),
	STAT(ALGNERRC),
	STAT(SYMERRS),
	STAT(RXERRC),
	STAT(MPC),
	STAT(SCC),
	STAT(ECOL),
	STAT(MCC),
	STAT(LATECOL),
	STAT(COLC),
	STAT(DC),
	STAT(TNCRS),
	STAT(SEC),
	STAT(CEXTERR),
	STAT(RLEC),
	STAT(XONRXC),
	STAT(XONTXC),
	STAT(XOFFRXC),
	STAT(XOFFTXC),
	STAT(FCRUC),
	STAT(PRC64),
	STAT(PRC127),
	STAT(PRC255),
	STAT(PRC511),
	STAT(PRC1023),
	STAT(PRC1522),
	STAT(GPRC),
	STAT(BPRC),
	STAT(MPRC),
	STAT(GPTC),
	REG(GORCL, 0, 0),
	HANDLED(GORCH, 0, e1000_stat_high_read, NULL),
	REG(GOTCL, 0, 0),
	HANDLED(GOTCH, 0, e1000_stat_high_read, NULL),
	STAT(RNBC),
	STAT(RUC),
	STAT(RFC),
	STAT(ROC),
	STAT(RJC),
	STAT(MGTPRC),
	STAT(MGTPDC),
	STAT(MGTPTC),
	REG(TORL, 0, 0),
	HANDLED(TORH, 0, e1000_stat_high_read, NULL),
	REG(TOTL, 0, 0),
	HANDLED(TOTH, 0, e1000_stat_high_read, NULL),
	STAT(TPR),
	STAT(TPT),
	STAT(PTC64),
	STAT(PTC127),
	STAT(PTC255),
	STAT(PTC511),
	STAT(PTC1023),
	STAT(PTC1522),
	STAT(MPTC),
	STAT(BPTC),
	STAT(TSCTC),
	STAT(TSCTFC),
	/* diagnostics */
	REG(RDFH, 0, E1000_DFIFO_MASK),
	REG(RDFT, 0, E1000_DFIFO_MASK),
	REG(RDFHS, 0, E1000_DFIFO_MASK),
	REG(RDFTS, 0, E1000_DFIFO_MASK),
	REG(RDFPC, 0, E1000_DFIFO_MASK),
	REG(TDFH, 0, E1000_DFIFO_MASK),
	REG(TDFT, 0, E1000_DFIFO_MASK),
	REG(TDFHS, 0, E1000_DFIFO_MASK),
	REG(TDFTS, 0, E1000_DFIFO_MASK),
	REG(TDFPC, 0, E1000_DFIFO_MASK),
	ARRAY(PBM, E1000_PBM_SIZE / 4, 4, ALL),
};
const unsigned int e1000_n_regs = sizeof(e1000_reg_table) / sizeof(e1000_reg_table[0]);
_Static_assert(sizeof(e1000_reg_table) / sizeof(e1000_reg_table[0]) < 256,
	       "row numbers fit uint8_t");

void e1000_reg_index(struct e1000 *d)
{
	for (unsigned int i = 0; i < e1000_n_regs; i++)
		for (uint32_t k = 0; k < e1000_reg_table[i].count; k++)
			d->row[(e1000_reg_table[i].offset + k * e1000_reg_table[i].stride) / 4] =
				(uint8_t)(i + 1);
}

/* 13.4.1, CTRL.RST, and 14.1: all but the PHY and the PCI configuration. */
void e1000_reg_reset(struct e1000 *d)
{
	for (unsigned int i = 0; i < e1000_n_regs; i++)
		for (uint32_t k = 0; k < e1000_reg_table[i].count; k++)
			e1000_set(d, e1000_reg_table[i].offset + k * e1000_reg_table[i].stride,
				  e1000_reg_table[i].reset);
	d->io_addr = 0;
	d->fe.max_frame = E1000_MAX_SHORT;
	e1000_eecd_write(d, E1000_EECD, 0);
	e1000_eeprom_load(d);
	e1000_tx_restart(d);
	e1000_rx_restart(d);
	e1000_link_update(d);
	e1000_timers_reset(d);
	atomic_store(&d->ims, 0);
	atomic_store(&d->icr, 0);
	d->irq_dirty = true;
}

/* --- accesses --- */
void e1000_lock(struct e1000 *d)
{
	atomic_fetch_add(&d->n_waiting, 1);
	pthread_mutex_lock(&d->lock);
	atomic_fetch_sub(&d->n_waiting, 1);
}

void e1000_unlock(struct e1000 *d)
{
	bool wake = d->wake || d->filter_dirty, irq = d->irq_dirty;

	d->wake = d->irq_dirty = false;
	pthread_mutex_unlock(&d->lock);
	if (irq)
		e1000_irq_update(d);
	if (wake)
		io_wake(vm_io(d->vm));
}

static const struct e1000_reg *reg_at(struct e1000 *d, uint32_t off)
{
	unsigned int row = off < E1000_MEM_BAR_SIZE && !(off & 3) ? d->row[off / 4] : 0;

	if (row)
		return &e1000_reg_table[row - 1];
	d->n.unknown_registers++;
	return NULL;
}

const char *e1000_reg_name(const struct e1000 *d, uint32_t off)
{
	unsigned int row = off < E1000_MEM_BAR_SIZE ? d->row[off / 4] : 0;

	return row ? e1000_reg_table[row - 1].name : NULL;
}

static uint32_t reg_read(struct e1000 *d, uint32_t off)
{
	const struct e1000_reg *r = reg_at(d, off);

	if (!r)
		return 0;
	return r->read ? r->read(d, off) : e1000_get(d, off);
}

static void reg_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	const struct e1000_reg *r = reg_at(d, off);

	if (!r)
		return;
	if (r->write)
		r->write(d, off, val);
	else
		e1000_set(d, off, (e1000_get(d, off) & ~r->wmask) | (val & r->wmask));
}

static uint64_t mmio_read(void *opaque, uint64_t off, unsigned int size)
{
	struct e1000 *d = opaque;
	uint32_t v = 0;

	e1000_lock(d);
	if (size == 4 && !(off & 3))
		v = reg_read(d, (uint32_t)off);
	else
		d->n.odd_accesses++;
	e1000_unlock(d);
	return v;
}

static void mmio_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	struct e1000 *d = opaque;

	e1000_lock(d);
	if (size == 4 && !(off & 3))
		reg_write(d, (uint32_t)off, (uint32_t)val);
	else
		d->n.odd_accesses++;
	e1000_unlock(d);
}

static uint64_t pio_read(void *opaque, uint64_t off, unsigned int size)
{
	struct e1000 *d = opaque;
	uint32_t v = 0;

	e1000_lock(d);
	if (size != 4 || (off != E1000_IOADDR && off != E1000_IODATA))
		d->n.odd_accesses++;
	else
		v = off == E1000_IOADDR ? d->io_addr : reg_read(d, d->io_addr);
	e1000_unlock(d);
	return v;
}

static void pio_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	struct e1000 *d = opaque;

	e1000_lock(d);
	if (size != 4 || (off != E1000_IOADDR && off != E1000_IODATA))
		d->n.odd_accesses++;
	else if (off == E1000_IOADDR)
		d->io_addr = (uint32_t)val;
	else
		reg_write(d, d->io_addr, (uint32_t)val);
	e1000_unlock(d);
}

const struct bus_ops e1000_mmio_ops = { .read = mmio_read, .write = mmio_write };
const struct bus_ops e1000_pio_ops = { .read = pio_read, .write = pio_write };
