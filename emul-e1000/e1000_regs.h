/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 82540EM as software sees it: registers, descriptors, EEPROM and PHY. Shared by the device
 * model and by the guest's driver, so it is freestanding and defines nothing but constants and
 * wire structures. Follows Intel's "PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual", document 317453, revision 4.0; the numbers at the right are its sections.
 * Left out: what the manual gives to other members of the family only (82542/82544 packet split
 * and burst timer, fibre and SerDes: RXCW; the serial flash of the 82541/82547: FLA).
 */
#ifndef EMUL_E1000_REGS_H
#define EMUL_E1000_REGS_H

#include <stddef.h>
#include <stdint.h>

#define E1000_BIT(n)			(UINT32_C(1) << (n))
#define E1000_BITS(hi, lo)		((UINT32_C(0xffffffff) >> (31 - (hi))) & (UINT32_C(0xffffffff) << (lo)))

/* PCI identity and apertures */							/* 4.1, 13.2 */
#define E1000_PCI_VENDOR		0x8086
#define E1000_PCI_DEVICE		0x100e		/* 82540EM-A, copper, desktop */
#define E1000_PCI_REVISION		0x03
#define E1000_PCI_CLASS			0x020000
#define E1000_MEM_BAR_SIZE		0x20000		/* registers and internal memory: 128 KiB */
#define E1000_IO_BAR_SIZE		8		/* the pair below; a model may decode more */
#define E1000_IOADDR			0x00		/* offset of the wanted register	 13.2.2 */
#define E1000_IODATA			0x04		/* its value				 13.2.2 */

/* ---- General -------------------------------------------------------------------------------- */
#define E1000_CTRL			0x00000		/* device control, RW			 13.4.1 */
#define   E1000_CTRL_FD			E1000_BIT(0)	/* full duplex */
#define   E1000_CTRL_LRST		E1000_BIT(3)	/* link reset; no effect on copper */
#define   E1000_CTRL_ASDE		E1000_BIT(5)	/* auto-speed detection enable */
#define   E1000_CTRL_SLU		E1000_BIT(6)	/* set link up */
#define   E1000_CTRL_ILOS		E1000_BIT(7)	/* invert loss of signal */
#define   E1000_CTRL_SPEED		E1000_BITS(9, 8)
#define   E1000_CTRL_SPEED_10		(UINT32_C(0) << 8)
#define   E1000_CTRL_SPEED_100		(UINT32_C(1) << 8)
#define   E1000_CTRL_SPEED_1000		(UINT32_C(2) << 8)
#define   E1000_CTRL_FRCSPD		E1000_BIT(11)	/* force speed */
#define   E1000_CTRL_FRCDPLX		E1000_BIT(12)	/* force duplex */
#define   E1000_CTRL_SDP0_DATA		E1000_BIT(18)
#define   E1000_CTRL_SDP1_DATA		E1000_BIT(19)
#define   E1000_CTRL_ADVD3WUC		E1000_BIT(20)	/* D3cold wake-up capability advertised */
#define   E1000_CTRL_EN_PHY_PWR_MGMT	E1000_BIT(21)
#define   E1000_CTRL_SDP0_IODIR		E1000_BIT(22)
#define   E1000_CTRL_SDP1_IODIR		E1000_BIT(23)
#define   E1000_CTRL_RST		E1000_BIT(26)	/* device reset, clears itself */
#define   E1000_CTRL_RFCE		E1000_BIT(27)	/* receive flow control enable */
#define   E1000_CTRL_TFCE		E1000_BIT(28)	/* transmit flow control enable */
#define   E1000_CTRL_VME		E1000_BIT(30)	/* VLAN mode: strip and insert tags */
#define   E1000_CTRL_PHY_RST		E1000_BIT(31)
#define E1000_CTRL_DUP			0x00004		/* alias of CTRL			 13.4.1 */

#define E1000_STATUS			0x00008		/* device status, RO			 13.4.2 */
#define   E1000_STATUS_FD		E1000_BIT(0)
#define   E1000_STATUS_LU		E1000_BIT(1)	/* link up */
#define   E1000_STATUS_FUNC		E1000_BITS(3, 2)
#define   E1000_STATUS_TXOFF		E1000_BIT(4)	/* transmission paused */
#define   E1000_STATUS_TBIMODE		E1000_BIT(5)
#define   E1000_STATUS_SPEED		E1000_BITS(7, 6)
#define   E1000_STATUS_SPEED_10		(UINT32_C(0) << 6)
#define   E1000_STATUS_SPEED_100	(UINT32_C(1) << 6)
#define   E1000_STATUS_SPEED_1000	(UINT32_C(2) << 6)
#define   E1000_STATUS_ASDV		E1000_BITS(9, 8)	/* auto speed detection value */
#define   E1000_STATUS_PCI66		E1000_BIT(11)
#define   E1000_STATUS_BUS64		E1000_BIT(12)
#define   E1000_STATUS_PCIX_MODE	E1000_BIT(13)
#define   E1000_STATUS_PCIXSPD		E1000_BITS(15, 14)

#define E1000_EECD			0x00010		/* EEPROM control and data, RW		 13.4.3 */
#define   E1000_EECD_SK			E1000_BIT(0)	/* clock */
#define   E1000_EECD_CS			E1000_BIT(1)	/* chip select */
#define   E1000_EECD_DI			E1000_BIT(2)	/* to the EEPROM */
#define   E1000_EECD_DO			E1000_BIT(3)	/* from the EEPROM, RO */
#define   E1000_EECD_FWE		E1000_BITS(5, 4)	/* flash write enable control */
#define   E1000_EECD_FWE_DIS		(UINT32_C(1) << 4)
#define   E1000_EECD_FWE_EN		(UINT32_C(2) << 4)
#define   E1000_EECD_EE_REQ		E1000_BIT(6)
#define   E1000_EECD_EE_GNT		E1000_BIT(7)	/* RO */
#define   E1000_EECD_EE_PRES		E1000_BIT(8)	/* RO */
#define   E1000_EECD_EE_SIZE		E1000_BIT(9)	/* 0: 64 words, 1: 256 words; RO */

#define E1000_EERD			0x00014		/* EEPROM read, RW			 13.4.4 */
#define   E1000_EERD_START		E1000_BIT(0)
#define   E1000_EERD_DONE		E1000_BIT(4)
#define   E1000_EERD_ADDR_SHIFT		8
#define   E1000_EERD_ADDR		E1000_BITS(15, 8)	/* word address */
#define   E1000_EERD_DATA_SHIFT		16
#define   E1000_EERD_DATA		E1000_BITS(31, 16)

#define E1000_CTRL_EXT			0x00018		/* extended device control, RW		 13.4.6 */
#define   E1000_CTRL_EXT_GPI_EN		E1000_BITS(3, 0)	/* pins as interrupts */
#define   E1000_CTRL_EXT_GPI_PHY	E1000_BIT(1)	/* the PHY's, of these */
#define   E1000_CTRL_EXT_PHYINT		E1000_BIT(5)	/* PHY's interrupt line, RO */
#define   E1000_CTRL_EXT_SDP6_DATA	E1000_BIT(6)
#define   E1000_CTRL_EXT_SDP7_DATA	E1000_BIT(7)
#define   E1000_CTRL_EXT_SDP6_IODIR	E1000_BIT(10)
#define   E1000_CTRL_EXT_SDP7_IODIR	E1000_BIT(11)
#define   E1000_CTRL_EXT_ASDCHK		E1000_BIT(12)	/* start an auto-speed check */
#define   E1000_CTRL_EXT_EE_RST		E1000_BIT(13)	/* read the EEPROM again */
#define   E1000_CTRL_EXT_SPD_BYPS	E1000_BIT(15)
#define   E1000_CTRL_EXT_RO_DIS		E1000_BIT(17)	/* relaxed ordering off */
#define   E1000_CTRL_EXT_LINK_MODE	E1000_BITS(23, 22)	/* 00: internal PHY */

#define E1000_MDIC			0x00020		/* MDI control, RW			 13.4.7 */
#define   E1000_MDIC_DATA		E1000_BITS(15, 0)
#define   E1000_MDIC_REG_SHIFT		16
#define   E1000_MDIC_REG		E1000_BITS(20, 16)
#define   E1000_MDIC_PHY_SHIFT		21
#define   E1000_MDIC_PHY		E1000_BITS(25, 21)	/* the internal PHY answers to 1 */
#define   E1000_MDIC_OP			E1000_BITS(27, 26)
#define   E1000_MDIC_OP_WRITE		(UINT32_C(1) << 26)
#define   E1000_MDIC_OP_READ		(UINT32_C(2) << 26)
#define   E1000_MDIC_R			E1000_BIT(28)	/* ready */
#define   E1000_MDIC_I			E1000_BIT(29)	/* interrupt when ready */
#define   E1000_MDIC_E			E1000_BIT(30)	/* error */

#define E1000_FCAL			0x00028		/* pause address low, RW		 13.4.8 */
#define   E1000_FCAL_RESET		UINT32_C(0x00c28001)
#define E1000_FCAH			0x0002c		/* pause address high, RW		 13.4.9 */
#define   E1000_FCAH_RESET		UINT32_C(0x00000100)
#define E1000_FCT			0x00030		/* pause ethertype, RW			 13.4.10 */
#define   E1000_FCT_RESET		UINT32_C(0x00008808)
#define E1000_VET			0x00038		/* VLAN ethertype, RW			 13.4.11 */
#define   E1000_VET_RESET		UINT32_C(0x00008100)
#define E1000_FCTTV			0x00170		/* pause timer value, RW		 13.4.12 */
#define   E1000_FCTTV_TTV		E1000_BITS(15, 0)

#define E1000_TXCW			0x00178		/* transmit configuration; fibre parts	 13.4.13 */
#define   E1000_TXCW_MASK		UINT32_C(0xc000ffff)

#define E1000_LEDCTL			0x00e00		/* LED control, RW, 8 bits a LED	 13.4.15 */
#define   E1000_LEDCTL_MODE		E1000_BITS(3, 0)
#define   E1000_LEDCTL_IVRT		E1000_BIT(6)
#define   E1000_LEDCTL_BLINK		E1000_BIT(7)
#define   E1000_LEDCTL_RESET		UINT32_C(0x07068302)
#define E1000_PBA			0x01000		/* packet buffer split, KiB, RW		 13.4.16 */
#define   E1000_PBA_RXA			E1000_BITS(15, 0)
#define   E1000_PBA_TXA_SHIFT		16
#define   E1000_PBA_TXA			E1000_BITS(31, 16)	/* RO */
#define   E1000_PBA_RESET		UINT32_C(0x00100030)	/* 48 receive, 16 transmit */

/* ---- Interrupts ----------------------------------------------------------------------------- */
#define E1000_ICR			0x000c0		/* interrupt cause, cleared by read	 13.4.17 */
#define E1000_ITR			0x000c4		/* throttling interval, 256 ns, RW	 13.4.18 */
#define   E1000_ITR_INTERVAL		E1000_BITS(15, 0)
#define E1000_ICS			0x000c8		/* interrupt cause set, WO		 13.4.19 */
#define E1000_IMS			0x000d0		/* interrupt mask set/read, RW		 13.4.20 */
#define E1000_IMC			0x000d8		/* interrupt mask clear, WO		 13.4.21 */
/* the same bits in all of ICR, ICS, IMS, IMC */
#define   E1000_INT_TXDW		E1000_BIT(0)	/* transmit descriptor written back */
#define   E1000_INT_TXQE		E1000_BIT(1)	/* transmit queue empty */
#define   E1000_INT_LSC			E1000_BIT(2)	/* link status change */
#define   E1000_INT_RXSEQ		E1000_BIT(3)	/* receive sequence error */
#define   E1000_INT_RXDMT0		E1000_BIT(4)	/* receive descriptors below the threshold */
#define   E1000_INT_RXO			E1000_BIT(6)	/* receiver overrun */
#define   E1000_INT_RXT0		E1000_BIT(7)	/* receive timer */
#define   E1000_INT_MDAC		E1000_BIT(9)	/* MDIO access complete */
#define   E1000_INT_RXCFG		E1000_BIT(10)	/* /C/ ordered sets; not on copper */
#define   E1000_INT_PHYINT		E1000_BIT(12)
#define   E1000_INT_GPI_SDP6		E1000_BIT(13)
#define   E1000_INT_GPI_SDP7		E1000_BIT(14)
#define   E1000_INT_TXD_LOW		E1000_BIT(15)	/* transmit descriptors below LWTHRESH */
#define   E1000_INT_SRPD		E1000_BIT(16)	/* small packet received */
/* bits 5, 8 and 11 mean nothing, but can be set, masked and read like the others */
#define   E1000_INT_ALL			UINT32_C(0x0001ffff)

/* ---- Receive -------------------------------------------------------------------------------- */
#define E1000_RCTL			0x00100		/* receive control, RW			 13.4.22 */
#define   E1000_RCTL_EN			E1000_BIT(1)
#define   E1000_RCTL_SBP		E1000_BIT(2)	/* store bad packets */
#define   E1000_RCTL_UPE		E1000_BIT(3)	/* unicast promiscuous */
#define   E1000_RCTL_MPE		E1000_BIT(4)	/* multicast promiscuous */
#define   E1000_RCTL_LPE		E1000_BIT(5)	/* long packets (above 1522 bytes) */
#define   E1000_RCTL_LBM		E1000_BITS(7, 6)	/* loopback */
#define   E1000_RCTL_LBM_NONE		(UINT32_C(0) << 6)
#define   E1000_RCTL_LBM_MAC		(UINT32_C(1) << 6)
#define   E1000_RCTL_LBM_PHY		(UINT32_C(3) << 6)
#define   E1000_RCTL_RDMTS_SHIFT	8
#define   E1000_RCTL_RDMTS		E1000_BITS(9, 8)	/* RXDMT0 at 1/2, 1/4, 1/8 of the ring */
#define   E1000_RCTL_MO_SHIFT		12
#define   E1000_RCTL_MO			E1000_BITS(13, 12)	/* address bits 47:36, 46:35, 45:34, 43:32 */
#define   E1000_RCTL_BAM		E1000_BIT(15)	/* accept broadcast */
#define   E1000_RCTL_BSIZE_SHIFT	16
#define   E1000_RCTL_BSIZE		E1000_BITS(17, 16)	/* 2048, 1024, 512, 256; times 16 with BSEX */
#define   E1000_RCTL_BSIZE_2048		(UINT32_C(0) << 16)
#define   E1000_RCTL_BSIZE_1024		(UINT32_C(1) << 16)
#define   E1000_RCTL_BSIZE_512		(UINT32_C(2) << 16)
#define   E1000_RCTL_BSIZE_256		(UINT32_C(3) << 16)
#define   E1000_RCTL_VFE		E1000_BIT(18)	/* VLAN filter enable */
#define   E1000_RCTL_CFIEN		E1000_BIT(19)	/* compare the CFI bit */
#define   E1000_RCTL_CFI		E1000_BIT(20)
#define   E1000_RCTL_DPF		E1000_BIT(22)	/* discard pause frames */
#define   E1000_RCTL_PMCF		E1000_BIT(23)	/* pass MAC control frames */
#define   E1000_RCTL_BSEX		E1000_BIT(25)	/* buffer size times 16 */
#define   E1000_RCTL_SECRC		E1000_BIT(26)	/* strip the CRC */

#define E1000_FCRTL			0x02160		/* XON threshold, RW			 13.4.23 */
#define   E1000_FCRTL_RTL		E1000_BITS(15, 3)
#define   E1000_FCRTL_XONE		E1000_BIT(31)
#define E1000_FCRTH			0x02168		/* XOFF threshold, RW			 13.4.24 */
#define   E1000_FCRTH_RTH		E1000_BITS(15, 3)
#define E1000_RDBAL			0x02800		/* ring address low, 16-byte aligned	 13.4.25 */
#define   E1000_RDBAL_MASK		E1000_BITS(31, 4)
#define E1000_RDBAH			0x02804		/* ring address high			 13.4.26 */
#define E1000_RDLEN			0x02808		/* ring bytes, multiple of 128		 13.4.27 */
#define   E1000_RDLEN_MASK		E1000_BITS(19, 7)
#define E1000_RDH			0x02810		/* head, the device's			 13.4.28 */
#define   E1000_RDH_MASK		E1000_BITS(15, 0)
#define E1000_RDT			0x02818		/* tail, the driver's			 13.4.29 */
#define   E1000_RDT_MASK		E1000_BITS(15, 0)
#define E1000_RDTR			0x02820		/* delay timer, 1.024 us, RW		 13.4.30 */
#define   E1000_RDTR_DELAY		E1000_BITS(15, 0)
#define   E1000_RDTR_FPD		E1000_BIT(31)	/* flush now, clears itself */
#define E1000_RXDCTL			0x02828		/* descriptor control, RW		 13.4.46 */
#define   E1000_RXDCTL_PTHRESH		E1000_BITS(5, 0)
#define   E1000_RXDCTL_HTHRESH		E1000_BITS(13, 8)
#define   E1000_RXDCTL_WTHRESH		E1000_BITS(21, 16)
#define   E1000_RXDCTL_GRAN		E1000_BIT(24)	/* 0: cache lines, 1: descriptors */
#define   E1000_RXDCTL_RESET		UINT32_C(0x00010000)
#define E1000_RADV			0x0282c		/* absolute delay, 1.024 us, RW		 13.4.31 */
#define   E1000_RADV_DELAY		E1000_BITS(15, 0)
#define E1000_RSRPD			0x02c00		/* small packet detect, RW		 13.4.32 */
#define   E1000_RSRPD_SIZE		E1000_BITS(11, 0)
#define E1000_RXCSUM			0x05000		/* checksum control, RW			 13.4.47 */
#define   E1000_RXCSUM_PCSS		E1000_BITS(7, 0)	/* start of the packet checksum */
#define   E1000_RXCSUM_IPOFLD		E1000_BIT(8)
#define   E1000_RXCSUM_TUOFLD		E1000_BIT(9)
#define   E1000_RXCSUM_IPV6OFL		E1000_BIT(10)

/* ---- Transmit ------------------------------------------------------------------------------- */
#define E1000_TCTL			0x00400		/* transmit control, RW			 13.4.33 */
#define   E1000_TCTL_EN			E1000_BIT(1)
#define   E1000_TCTL_PSP		E1000_BIT(3)	/* pad short packets */
#define   E1000_TCTL_CT_SHIFT		4
#define   E1000_TCTL_CT			E1000_BITS(11, 4)	/* collision threshold */
#define   E1000_TCTL_COLD_SHIFT		12
#define   E1000_TCTL_COLD		E1000_BITS(21, 12)	/* collision distance, byte times */
#define   E1000_TCTL_SWXOFF		E1000_BIT(22)	/* send XOFF, clears itself */
#define   E1000_TCTL_RTLC		E1000_BIT(24)	/* retransmit on late collision */
#define   E1000_TCTL_NRTU		E1000_BIT(25)	/* no retransmit on underrun */
#define E1000_TIPG			0x00410		/* inter-packet gap, RW			 13.4.34 */
#define   E1000_TIPG_IPGT		E1000_BITS(9, 0)
#define   E1000_TIPG_IPGR1_SHIFT	10
#define   E1000_TIPG_IPGR1		E1000_BITS(19, 10)
#define   E1000_TIPG_IPGR2_SHIFT	20
#define   E1000_TIPG_IPGR2		E1000_BITS(29, 20)
#define   E1000_TIPG_COPPER		(UINT32_C(10) | UINT32_C(8) << 10 | UINT32_C(6) << 20)	/* recommended, 14.5 */
#define E1000_AIFS			0x00458		/* adaptive spacing throttle, RW	 13.4.35 */
#define   E1000_AIFS_MASK		E1000_BITS(15, 0)
#define E1000_TXDMAC			0x03000		/* DMA control, RW			 13.4.42 */
#define   E1000_TXDMAC_DPP		E1000_BIT(0)	/* disable packet prefetching */
#define E1000_TDBAL			0x03800		/* ring address low, 16-byte aligned	 13.4.36 */
#define   E1000_TDBAL_MASK		E1000_BITS(31, 4)
#define E1000_TDBAH			0x03804		/* ring address high			 13.4.37 */
#define E1000_TDLEN			0x03808		/* ring bytes, multiple of 128		 13.4.38 */
#define   E1000_TDLEN_MASK		E1000_BITS(19, 7)
#define E1000_TDH			0x03810		/* head, the device's			 13.4.39 */
#define   E1000_TDH_MASK		E1000_BITS(15, 0)
#define E1000_TDT			0x03818		/* tail, the driver's: the doorbell	 13.4.40 */
#define   E1000_TDT_MASK		E1000_BITS(15, 0)
#define E1000_TIDV			0x03820		/* interrupt delay, 1.024 us, RW	 13.4.41 */
#define   E1000_TIDV_IDV		E1000_BITS(15, 0)
#define   E1000_TIDV_FPD		E1000_BIT(31)	/* flush now, clears itself */
#define E1000_TXDCTL			0x03828		/* descriptor control, RW		 13.4.43 */
#define   E1000_TXDCTL_PTHRESH		E1000_BITS(5, 0)
#define   E1000_TXDCTL_HTHRESH		E1000_BITS(13, 8)
#define   E1000_TXDCTL_WTHRESH_SHIFT	16
#define   E1000_TXDCTL_WTHRESH		E1000_BITS(21, 16)
#define   E1000_TXDCTL_GRAN		E1000_BIT(24)	/* 0: cache lines, 1: descriptors */
#define   E1000_TXDCTL_LWTHRESH_SHIFT	25
#define   E1000_TXDCTL_LWTHRESH		E1000_BITS(31, 25)	/* TXD_LOW below this times 8 */
#define E1000_TADV			0x0382c		/* absolute delay, 1.024 us, RW		 13.4.44 */
#define   E1000_TADV_IDV		E1000_BITS(15, 0)
#define E1000_TSPMT			0x03830		/* TSO padding, minimum threshold, RW	 13.4.45 */
#define   E1000_TSPMT_TSMT		E1000_BITS(15, 0)
#define   E1000_TSPMT_TSPBP		E1000_BITS(31, 16)
#define   E1000_TSPMT_RESET		UINT32_C(0x01000400)

/* ---- Filters -------------------------------------------------------------------------------- */
#define E1000_MTA			0x05200		/* multicast table, 128 words, RW	 13.5.1 */
#define   E1000_N_MTA			128
#define E1000_RA			0x05400		/* receive addresses, 16 pairs, RW	 13.5.2 */
#define   E1000_N_RA			16
#define E1000_RAL(n)			(0x05400 + 8 * (n))	/* address bytes 0-3		 13.5.2 */
#define E1000_RAH(n)			(0x05404 + 8 * (n))	/* address bytes 4-5		 13.5.3 */
#define   E1000_RAH_RAH			E1000_BITS(15, 0)
#define   E1000_RAH_AS			E1000_BITS(17, 16)	/* 0: destination, 1: source */
#define   E1000_RAH_AV			E1000_BIT(31)	/* valid */
#define E1000_VFTA			0x05600		/* VLAN table, 128 words, RW		 13.5.4 */
#define   E1000_N_VFTA			128

/* ---- Wake-up -------------------------------------------------------------------------------- */
#define E1000_WUC			0x05800		/* wake-up control, RW			 13.6.1 */
#define   E1000_WUC_APME		E1000_BIT(0)
#define   E1000_WUC_PME_EN		E1000_BIT(1)
#define   E1000_WUC_PME_STATUS		E1000_BIT(2)	/* write 1 to clear */
#define   E1000_WUC_APMPME		E1000_BIT(3)
#define E1000_WUFC			0x05808		/* wake-up filter control, RW		 13.6.2 */
#define E1000_WUS			0x05810		/* wake-up status			 13.6.3 */
/* the same bits in WUFC and WUS */
#define   E1000_WU_LNKC			E1000_BIT(0)
#define   E1000_WU_MAG			E1000_BIT(1)
#define   E1000_WU_EX			E1000_BIT(2)
#define   E1000_WU_MC			E1000_BIT(3)
#define   E1000_WU_BC			E1000_BIT(4)
#define   E1000_WU_ARP			E1000_BIT(5)
#define   E1000_WU_IPV4			E1000_BIT(6)
#define   E1000_WU_IPV6			E1000_BIT(7)
#define   E1000_WU_FLX			E1000_BITS(19, 16)
#define   E1000_WU_ALL			UINT32_C(0x000f00ff)
#define E1000_MANC			0x05820		/* management control; drivers use it, the manual only names it */
#define   E1000_MANC_SMBUS_EN		E1000_BIT(0)
#define   E1000_MANC_ASF_EN		E1000_BIT(1)
#define   E1000_MANC_ARP_EN		E1000_BIT(13)
#define E1000_IPAV			0x05838		/* IP address valid, RW			 13.6.4 */
#define   E1000_IPAV_V4			E1000_BITS(3, 0)
#define   E1000_IPAV_V6			E1000_BIT(16)
#define E1000_IP4AT			0x05840		/* IPv4 addresses, 4, 8 bytes apart	 13.6.5 */
#define   E1000_N_IP4AT			4
#define E1000_IP6AT			0x05880		/* IPv6 address, 4 words		 13.6.6 */
#define   E1000_N_IP6AT			4
#define E1000_WUPL			0x05900		/* wake-up packet length, RO		 13.6.7 */
#define   E1000_WUPL_LEN		E1000_BITS(11, 0)
#define E1000_WUPM			0x05a00		/* wake-up packet memory, 32 words, RO	 13.6.8 */
#define   E1000_N_WUPM			32
#define E1000_FFLT			0x05f00		/* flexible filter lengths, 4, 8 apart	 13.6.9 */
#define   E1000_N_FFLT			4
#define   E1000_FFLT_LEN		E1000_BITS(10, 0)
#define E1000_FFMT			0x09000		/* flexible filter masks, 128, 8 apart	 13.6.10 */
#define   E1000_N_FFMT			128
#define   E1000_FFMT_MASK		E1000_BITS(3, 0)
#define E1000_FFVT			0x09800		/* flexible filter values, 128, 8 apart	 13.6.11 */
#define   E1000_N_FFVT			128

/* ---- Statistics: 32 bits, cleared by read, stop at their maximum ------------------- 13.7 --- */
#define E1000_STAT_FIRST		0x04000
#define E1000_STAT_LAST			0x040fc
#define E1000_CRCERRS			0x04000		/* CRC errors */
#define E1000_ALGNERRC			0x04004		/* alignment errors */
#define E1000_SYMERRS			0x04008		/* symbol errors */
#define E1000_RXERRC			0x0400c		/* receive errors */
#define E1000_MPC			0x04010		/* missed packets: no room in the device */
#define E1000_SCC			0x04014		/* single collisions */
#define E1000_ECOL			0x04018		/* excessive collisions */
#define E1000_MCC			0x0401c		/* multiple collisions */
#define E1000_LATECOL			0x04020		/* late collisions */
#define E1000_COLC			0x04028		/* collisions */
#define E1000_DC			0x04030		/* deferrals */
#define E1000_TNCRS			0x04034		/* transmits without carrier sense */
#define E1000_SEC			0x04038		/* sequence errors */
#define E1000_CEXTERR			0x0403c		/* carrier extension errors */
#define E1000_RLEC			0x04040		/* receive length errors */
#define E1000_XONRXC			0x04048		/* XON received */
#define E1000_XONTXC			0x0404c		/* XON sent */
#define E1000_XOFFRXC			0x04050		/* XOFF received */
#define E1000_XOFFTXC			0x04054		/* XOFF sent */
#define E1000_FCRUC			0x04058		/* unsupported flow control received */
#define E1000_PRC64			0x0405c		/* good received, by size with the FCS: 64 */
#define E1000_PRC127			0x04060		/* 65-127 */
#define E1000_PRC255			0x04064		/* 128-255 */
#define E1000_PRC511			0x04068		/* 256-511 */
#define E1000_PRC1023			0x0406c		/* 512-1023 */
#define E1000_PRC1522			0x04070		/* 1024 and above */
#define E1000_GPRC			0x04074		/* good packets received */
#define E1000_BPRC			0x04078		/* broadcast received */
#define E1000_MPRC			0x0407c		/* multicast received */
#define E1000_GPTC			0x04080		/* good packets sent */
#define E1000_GORCL			0x04088		/* good octets received, low; both clear when H is read */
#define E1000_GORCH			0x0408c
#define E1000_GOTCL			0x04090		/* good octets sent, low; both clear when H is read */
#define E1000_GOTCH			0x04094
#define E1000_RNBC			0x040a0		/* received with no host buffer */
#define E1000_RUC			0x040a4		/* undersize */
#define E1000_RFC			0x040a8		/* fragments */
#define E1000_ROC			0x040ac		/* oversize */
#define E1000_RJC			0x040b0		/* jabber */
#define E1000_MGTPRC			0x040b4		/* management received */
#define E1000_MGTPDC			0x040b8		/* management dropped */
#define E1000_MGTPTC			0x040bc		/* management sent */
#define E1000_TORL			0x040c0		/* total octets received, low; both clear when H is read */
#define E1000_TORH			0x040c4
#define E1000_TOTL			0x040c8		/* total octets sent, low; both clear when H is read */
#define E1000_TOTH			0x040cc
#define E1000_TPR			0x040d0		/* total packets received */
#define E1000_TPT			0x040d4		/* total packets sent */
#define E1000_PTC64			0x040d8		/* sent, by size with the FCS: 64 */
#define E1000_PTC127			0x040dc		/* 65-127 */
#define E1000_PTC255			0x040e0		/* 128-255 */
#define E1000_PTC511			0x040e4		/* 256-511 */
#define E1000_PTC1023			0x040e8		/* 512-1023 */
#define E1000_PTC1522			0x040ec		/* 1024 and above */
#define E1000_MPTC			0x040f0		/* multicast sent */
#define E1000_BPTC			0x040f4		/* broadcast sent */
#define E1000_TSCTC			0x040f8		/* TCP segmentation contexts sent */
#define E1000_TSCTFC			0x040fc		/* TCP segmentation contexts failed */

/* ---- Diagnostics --------------------------------------------------------------------- 13.8 - */
#define E1000_RDFH			0x02410		/* receive data FIFO head */
#define E1000_RDFT			0x02418		/* tail */
#define E1000_RDFHS			0x02420		/* head saved */
#define E1000_RDFTS			0x02428		/* tail saved */
#define E1000_RDFPC			0x02430		/* packet count */
#define E1000_TDFH			0x03410		/* transmit data FIFO head */
#define E1000_TDFT			0x03418		/* tail */
#define E1000_TDFHS			0x03420		/* head saved */
#define E1000_TDFTS			0x03428		/* tail saved */
#define E1000_TDFPC			0x03430		/* packet count */
#define   E1000_DFIFO_MASK		E1000_BITS(12, 0)
#define E1000_PBM			0x10000		/* packet buffer memory, to 0x1fffc */
#define   E1000_PBM_SIZE		0x10000

/* ---- Receive descriptor -------------------------------------------------------------- 3.2.3  */
struct e1000_rx_desc {
	uint64_t addr;			/* the driver's; the rest is the device's */
	uint16_t length;
	uint16_t checksum;		/* packet checksum, from RXCSUM.PCSS */
	uint8_t status;
	uint8_t errors;
	uint16_t special;		/* VLAN tag, when VP */
};
#define   E1000_RXD_STAT_DD		E1000_BIT(0)	/* descriptor done			 3.2.3.1 */
#define   E1000_RXD_STAT_EOP		E1000_BIT(1)	/* end of packet */
#define   E1000_RXD_STAT_IXSM		E1000_BIT(2)	/* ignore the checksum bits */
#define   E1000_RXD_STAT_VP		E1000_BIT(3)	/* 802.1Q, matched VET */
#define   E1000_RXD_STAT_TCPCS		E1000_BIT(5)	/* TCP or UDP checksum was computed */
#define   E1000_RXD_STAT_IPCS		E1000_BIT(6)	/* IP checksum was computed */
#define   E1000_RXD_STAT_PIF		E1000_BIT(7)	/* passed an inexact filter */
#define   E1000_RXD_ERR_CE		E1000_BIT(0)	/* CRC or alignment error		 3.2.3.2 */
#define   E1000_RXD_ERR_SE		E1000_BIT(1)	/* symbol error */
#define   E1000_RXD_ERR_SEQ		E1000_BIT(2)
#define   E1000_RXD_ERR_CXE		E1000_BIT(4)	/* carrier extension error */
#define   E1000_RXD_ERR_TCPE		E1000_BIT(5)	/* TCP or UDP checksum wrong */
#define   E1000_RXD_ERR_IPE		E1000_BIT(6)	/* IP checksum wrong */
#define   E1000_RXD_ERR_RXE		E1000_BIT(7)	/* receive data error */

/* VLAN tag in the special field of either direction */				/* 3.2.3.3, 3.3.5 */
#define   E1000_SPECIAL_VLAN		E1000_BITS(11, 0)
#define   E1000_SPECIAL_CFI		E1000_BIT(12)
#define   E1000_SPECIAL_PRI		E1000_BITS(15, 13)

/* ---- Transmit descriptors ------------------------------------------------------------ 3.3 -- */
struct e1000_tx_legacy_desc {							/* 3.3.3 */
	uint64_t addr;
	uint16_t length;
	uint8_t cso;			/* checksum goes here */
	uint8_t cmd;			/* E1000_TXC_* */
	uint8_t status;			/* E1000_TXD_STAT_*, bits 3:0 */
	uint8_t css;			/* checksum starts here */
	uint16_t special;
};

struct e1000_tx_context_desc {							/* 3.3.6 */
	uint8_t ipcss;			/* IP checksum start */
	uint8_t ipcso;			/* IP checksum offset */
	uint16_t ipcse;			/* IP checksum ending, inclusive */
	uint8_t tucss;			/* TCP/UDP checksum start */
	uint8_t tucso;			/* TCP/UDP checksum offset */
	uint16_t tucse;			/* TCP/UDP checksum ending, inclusive; 0: to the end */
	uint32_t cmd_type_len;		/* E1000_TXX_*, command bits E1000_TXC_* << 24 */
	uint8_t status;
	uint8_t hdr_len;
	uint16_t mss;
};

struct e1000_tx_data_desc {							/* 3.3.7 */
	uint64_t addr;
	uint32_t cmd_type_len;		/* E1000_TXX_*, command bits E1000_TXC_* << 24 */
	uint8_t status;
	uint8_t popts;			/* E1000_TXD_POPTS_* */
	uint16_t special;
};

/* low 24 bits of the extended forms */
#define   E1000_TXX_LEN			E1000_BITS(19, 0)	/* DTALEN or PAYLEN */
#define   E1000_TXX_DTYP		E1000_BITS(23, 20)
#define   E1000_TXX_DTYP_CONTEXT	(UINT32_C(0) << 20)
#define   E1000_TXX_DTYP_DATA		(UINT32_C(1) << 20)
#define   E1000_TXX_CMD_SHIFT		24
/* command byte; bits 0-2 differ between the forms */
#define   E1000_TXC_EOP			E1000_BIT(0)	/* legacy, data: end of packet */
#define   E1000_TXC_IFCS		E1000_BIT(1)	/* legacy, data: insert the FCS */
#define   E1000_TXC_IC			E1000_BIT(2)	/* legacy: insert a checksum */
#define   E1000_TXC_TCP			E1000_BIT(0)	/* context: TCP, else UDP */
#define   E1000_TXC_IP			E1000_BIT(1)	/* context: IPv4, else IPv6 */
#define   E1000_TXC_TSE			E1000_BIT(2)	/* context, data: TCP segmentation */
#define   E1000_TXC_RS			E1000_BIT(3)	/* report status */
#define   E1000_TXC_DEXT		E1000_BIT(5)	/* 0: legacy, 1: context or data */
#define   E1000_TXC_VLE			E1000_BIT(6)	/* insert the tag of special (with CTRL.VME) */
#define   E1000_TXC_IDE			E1000_BIT(7)	/* delay the interrupt by TIDV */
#define   E1000_TXD_STAT_DD		E1000_BIT(0)	/* descriptor done			 3.3.3.2 */
#define   E1000_TXD_STAT_EC		E1000_BIT(1)	/* excess collisions */
#define   E1000_TXD_STAT_LC		E1000_BIT(2)	/* late collision */
#define   E1000_TXD_POPTS_IXSM		E1000_BIT(0)	/* insert the IP checksum		 3.3.7.2 */
#define   E1000_TXD_POPTS_TXSM		E1000_BIT(1)	/* insert the TCP/UDP checksum */

#define E1000_DESC_SIZE			16
#define E1000_RING_ALIGN		16
#define E1000_RING_MULTIPLE		128		/* RDLEN, TDLEN */

_Static_assert(sizeof(struct e1000_rx_desc) == E1000_DESC_SIZE, "receive descriptor");
_Static_assert(offsetof(struct e1000_rx_desc, length) == 8, "receive length");
_Static_assert(offsetof(struct e1000_rx_desc, status) == 12, "receive status");
_Static_assert(offsetof(struct e1000_rx_desc, special) == 14, "receive special");
_Static_assert(sizeof(struct e1000_tx_legacy_desc) == E1000_DESC_SIZE, "legacy descriptor");
_Static_assert(offsetof(struct e1000_tx_legacy_desc, cmd) == 11, "legacy command");
_Static_assert(offsetof(struct e1000_tx_legacy_desc, status) == 12, "legacy status");
_Static_assert(sizeof(struct e1000_tx_context_desc) == E1000_DESC_SIZE, "context descriptor");
_Static_assert(offsetof(struct e1000_tx_context_desc, cmd_type_len) == 8, "context command");
_Static_assert(offsetof(struct e1000_tx_context_desc, hdr_len) == 13, "context header length");
_Static_assert(offsetof(struct e1000_tx_context_desc, mss) == 14, "context segment size");
_Static_assert(sizeof(struct e1000_tx_data_desc) == E1000_DESC_SIZE, "data descriptor");
_Static_assert(offsetof(struct e1000_tx_data_desc, status) == 12, "data status");
_Static_assert(offsetof(struct e1000_tx_data_desc, popts) == 13, "data options");

/* ---- EEPROM: 64 words of 16 bits ------------------------------------------------------ 5.6 - */
#define E1000_EEPROM_N_WORDS		64
#define E1000_EEPROM_MAC		0x00		/* words 0-2, byte 0 in the low half	 5.6.1 */
#define E1000_EEPROM_COMPAT		0x03
#define E1000_EEPROM_PBA		0x08		/* words 8-9: board assembly number */
#define E1000_EEPROM_INIT1		0x0a
#define E1000_EEPROM_SUBSYS_ID		0x0b
#define E1000_EEPROM_SUBSYS_VENDOR	0x0c
#define E1000_EEPROM_DEVICE_ID		0x0d
#define E1000_EEPROM_VENDOR_ID		0x0e
#define E1000_EEPROM_INIT2		0x0f
#define E1000_EEPROM_INIT3		0x24
#define E1000_EEPROM_CHECKSUM		0x3f		/* makes the sum of all words	 */
#define   E1000_EEPROM_SUM		0xbaba		/* this */

/* Microwire, bit by bit through EECD: start bit, opcode, address */			/* 5.3 */
#define E1000_MICROWIRE_START		1
#define E1000_MICROWIRE_OP_BITS		2
#define E1000_MICROWIRE_ADDR_BITS	6		/* 8 with EE_SIZE */
#define E1000_MICROWIRE_OP_READ		2
#define E1000_MICROWIRE_OP_WRITE	1
#define E1000_MICROWIRE_OP_ERASE	3
#define E1000_MICROWIRE_OP_EXTENDED	0		/* by address bits 5:4: */
#define   E1000_MICROWIRE_EXT_EWDS	0		/* writing off */
#define   E1000_MICROWIRE_EXT_WRAL	1		/* write all words */
#define   E1000_MICROWIRE_EXT_ERAL	2		/* erase all words */
#define   E1000_MICROWIRE_EXT_EWEN	3		/* writing on */

/* ---- PHY registers, by MDIC ---------------------------------------------------------- 13.4.7.1 */
#define E1000_PHY_ADDR			1

#define E1000_PHY_CTRL			0
#define   E1000_PHY_CTRL_SPEED_1000	E1000_BIT(6)	/* MSB of the speed; LSB is bit 13 */
#define   E1000_PHY_CTRL_COLTEST	E1000_BIT(7)
#define   E1000_PHY_CTRL_FD		E1000_BIT(8)
#define   E1000_PHY_CTRL_ANEG_RESTART	E1000_BIT(9)	/* clears itself */
#define   E1000_PHY_CTRL_ISOLATE	E1000_BIT(10)
#define   E1000_PHY_CTRL_POWER_DOWN	E1000_BIT(11)
#define   E1000_PHY_CTRL_ANEG_EN	E1000_BIT(12)
#define   E1000_PHY_CTRL_SPEED_100	E1000_BIT(13)
#define   E1000_PHY_CTRL_LOOPBACK	E1000_BIT(14)
#define   E1000_PHY_CTRL_RESET		E1000_BIT(15)	/* clears itself */
#define E1000_PHY_STATUS		1
#define   E1000_PHY_STATUS_EXTENDED	E1000_BIT(0)	/* extended register set */
#define   E1000_PHY_STATUS_JABBER	E1000_BIT(1)
#define   E1000_PHY_STATUS_LINK		E1000_BIT(2)	/* latches low */
#define   E1000_PHY_STATUS_ANEG_CAP	E1000_BIT(3)
#define   E1000_PHY_STATUS_REMOTE_FAULT	E1000_BIT(4)
#define   E1000_PHY_STATUS_ANEG_DONE	E1000_BIT(5)
#define   E1000_PHY_STATUS_PREAMBLE	E1000_BIT(6)	/* preamble may be suppressed */
#define   E1000_PHY_STATUS_EXT_STATUS	E1000_BIT(8)	/* register 15 is there */
#define   E1000_PHY_STATUS_10_HD	E1000_BIT(11)
#define   E1000_PHY_STATUS_10_FD	E1000_BIT(12)
#define   E1000_PHY_STATUS_100_HD	E1000_BIT(13)
#define   E1000_PHY_STATUS_100_FD	E1000_BIT(14)
#define E1000_PHY_ID1			2
#define   E1000_PHY_ID1_VALUE		0x0141
#define E1000_PHY_ID2			3
#define   E1000_PHY_ID2_VALUE		0x0c20		/* low four bits: revision */
#define E1000_PHY_ANAR			4		/* what this side advertises */
#define E1000_PHY_LPAR			5		/* what the link partner can do */
#define   E1000_PHY_AN_SELECTOR		0x0001		/* 802.3 */
#define   E1000_PHY_AN_10_HD		E1000_BIT(5)
#define   E1000_PHY_AN_10_FD		E1000_BIT(6)
#define   E1000_PHY_AN_100_HD		E1000_BIT(7)
#define   E1000_PHY_AN_100_FD		E1000_BIT(8)
#define   E1000_PHY_AN_PAUSE		E1000_BIT(10)
#define   E1000_PHY_AN_ASM_DIR		E1000_BIT(11)
#define   E1000_PHY_AN_ACK		E1000_BIT(14)
#define   E1000_PHY_AN_NEXT_PAGE	E1000_BIT(15)
#define E1000_PHY_ANER			6		/* auto-negotiation expansion */
#define   E1000_PHY_ANER_LP_ANEG	E1000_BIT(0)	/* the partner negotiates */
#define   E1000_PHY_ANER_PAGE_RX	E1000_BIT(1)
#define E1000_PHY_NPTR			7		/* next page transmit */
#define E1000_PHY_LPNPR			8		/* partner's next page */
#define E1000_PHY_GCTRL			9		/* 1000BASE-T control */
#define   E1000_PHY_GCTRL_1000_HD	E1000_BIT(8)
#define   E1000_PHY_GCTRL_1000_FD	E1000_BIT(9)
#define   E1000_PHY_GCTRL_MS_VALUE	E1000_BIT(11)
#define   E1000_PHY_GCTRL_MS_ENABLE	E1000_BIT(12)
#define E1000_PHY_GSTATUS		10		/* 1000BASE-T status */
#define   E1000_PHY_GSTATUS_LP_1000_HD	E1000_BIT(10)
#define   E1000_PHY_GSTATUS_LP_1000_FD	E1000_BIT(11)
#define   E1000_PHY_GSTATUS_REMOTE_OK	E1000_BIT(12)
#define   E1000_PHY_GSTATUS_LOCAL_OK	E1000_BIT(13)
#define   E1000_PHY_GSTATUS_MASTER	E1000_BIT(14)
#define E1000_PHY_EXT_STATUS		15
#define   E1000_PHY_EXT_STATUS_1000T_HD	E1000_BIT(12)
#define   E1000_PHY_EXT_STATUS_1000T_FD	E1000_BIT(13)
#define E1000_PHY_PSCON			16		/* PHY-specific control */
#define   E1000_PHY_PSCON_CROSSOVER	E1000_BITS(6, 5)
#define   E1000_PHY_PSCON_CRS_ON_TX	E1000_BIT(11)
#define E1000_PHY_PSSTAT		17		/* PHY-specific status, RO */
#define   E1000_PHY_PSSTAT_LINK		E1000_BIT(10)	/* right now */
#define   E1000_PHY_PSSTAT_RESOLVED	E1000_BIT(11)	/* speed and duplex are settled */
#define   E1000_PHY_PSSTAT_FD		E1000_BIT(13)
#define   E1000_PHY_PSSTAT_SPEED	E1000_BITS(15, 14)
#define   E1000_PHY_PSSTAT_SPEED_100	(UINT32_C(1) << 14)
#define   E1000_PHY_PSSTAT_SPEED_1000	(UINT32_C(2) << 14)
#define E1000_PHY_PINTE			18		/* interrupt enable */
#define E1000_PHY_PINTS			19		/* interrupt status, cleared by read */
#define   E1000_PHY_PINT_LINK		E1000_BIT(10)
#define   E1000_PHY_PINT_ANEG_DONE	E1000_BIT(11)
#define E1000_PHY_EPSCON		20		/* extended PHY-specific control */
#define E1000_PHY_REC			21		/* receive error counter, cleared by read */
#define E1000_PHY_GLOBAL_STATUS		23
#define E1000_PHY_LED			24
#define E1000_PHY_PAGE_SELECT		29
#define E1000_PHY_PAGE_DATA		30
#define E1000_N_PHY			32

#endif
