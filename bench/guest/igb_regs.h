/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 82576 and its virtual function as far as a polled driver with one queue needs them: reset,
 * link, one receive and one transmit ring with advanced descriptors, and the VF's mailbox. Used by
 * the guest's drivers; freestanding. Follows Intel's "82576EB Gigabit Ethernet Controller
 * Datasheet", document 320961, revision 2.63; the numbers at the right are its sections. The
 * mailbox's messages are the convention of the Linux PF driver (igb); the datasheet defines only the
 * registers. Left out: offloads, header split, VMDq, time stamps, manageability, and of
 * the PHY all but auto-negotiation.
 */
#ifndef BENCH_GUEST_IGB_REGS_H
#define BENCH_GUEST_IGB_REGS_H

#include <stddef.h>
#include <stdint.h>

#define IGB_BIT(n)			(UINT32_C(1) << (n))

#define IGB_PCI_VENDOR			0x8086
#define IGB_PCI_DEVICE_82576		0x10c9
#define IGB_PCI_DEVICE_82576_VF		0x10ca

/* ---- General -------------------------------------------------------------------------- 8.2 -- */
#define IGB_CTRL			0x00000		/* device control, RW			 8.2.1 */
#define   IGB_CTRL_FD			IGB_BIT(0)
#define   IGB_CTRL_SLU			IGB_BIT(6)	/* set link up */
#define   IGB_CTRL_ILOS			IGB_BIT(7)	/* invert loss of signal */
#define   IGB_CTRL_FRCSPD		IGB_BIT(11)
#define   IGB_CTRL_FRCDPLX		IGB_BIT(12)
#define   IGB_CTRL_RST			IGB_BIT(26)	/* port reset, clears itself */
#define   IGB_CTRL_VME			IGB_BIT(30)
#define IGB_STATUS			0x00008		/* device status, RO			 8.2.2 */
#define   IGB_STATUS_LU			IGB_BIT(1)	/* link up */
#define   IGB_STATUS_PF_RST_DONE	IGB_BIT(21)	/* reset and EEPROM load are over */
#define IGB_CTRL_EXT			0x00018		/* extended control, RW			 8.2.3 */
#define   IGB_CTRL_EXT_PFRSTD		IGB_BIT(14)	/* PF reset done, told to the VFs */
#define   IGB_CTRL_EXT_DRV_LOAD		IGB_BIT(28)	/* a driver is there */
#define IGB_MDIC			0x00020		/* MDI control, RW			 8.2.4 */
#define   IGB_MDIC_REG_SHIFT		16
#define   IGB_MDIC_PHY_SHIFT		21
#define   IGB_MDIC_OP_WRITE		(UINT32_C(1) << 26)
#define   IGB_MDIC_READY		IGB_BIT(28)
#define IGB_PHY_ADDR			1
#define IGB_PHY_CTRL			0		/* IEEE 802.3, 22.2.4.1 */
#define   IGB_PHY_CTRL_ANEG_RESTART	IGB_BIT(9)
#define   IGB_PHY_CTRL_ANEG_EN		IGB_BIT(12)

/* ---- Interrupts: only to turn them off ------------------------------------------------- 8.8 - */
#define IGB_EIMC			0x01528		/* extended mask clear, WO */
#define IGB_EIAC			0x0152c		/* extended auto clear, RW */
#define IGB_EIAM			0x01530		/* extended auto mask, RW */
#define IGB_EICR			0x01580		/* extended cause, cleared by read or by writing 1 */
#define IGB_ICR				0x01500		/* cause, cleared by read */
#define IGB_IMC				0x0150c		/* mask clear, WO */

/* ---- Receive ---------------------------------------------------------------------------- 8.10 */
#define IGB_RCTL			0x00100		/* receive control, RW			 8.10.1 */
#define   IGB_RCTL_EN			IGB_BIT(1)
#define   IGB_RCTL_UPE			IGB_BIT(3)	/* unicast promiscuous */
#define   IGB_RCTL_MPE			IGB_BIT(4)	/* multicast promiscuous */
#define   IGB_RCTL_LPE			IGB_BIT(5)	/* long packets, up to RLPML */
#define   IGB_RCTL_BAM			IGB_BIT(15)	/* accept broadcast */
#define   IGB_RCTL_SECRC		IGB_BIT(26)	/* strip the CRC */
#define IGB_RLPML			0x05004		/* long packet limit, bytes, RW */
#define IGB_RXCSUM			0x05000		/* receive checksum control, RW */
#define IGB_MRQC			0x05818		/* multiple queues: 0 is one queue, RW */
#define IGB_MTA				0x05200		/* multicast table, 128 words, RW */
#define   IGB_N_MTA			128
#define IGB_RAL(n)			(0x05400 + 8 * (n))	/* address bytes 0-3 */
#define IGB_RAH(n)			(0x05404 + 8 * (n))	/* address bytes 4-5 */
#define   IGB_RAH_AV			IGB_BIT(31)	/* valid */

/*
 * Queue registers by their first alias, which PF and VF have in common: queues 0-3 of the PF,
 * 0-1 of the VF.
 */
#define IGB_RDBAL(q)			(0x02800 + 0x100 * (q))	/* ring address low, 128-byte aligned */
#define IGB_RDBAH(q)			(0x02804 + 0x100 * (q))
#define IGB_RDLEN(q)			(0x02808 + 0x100 * (q))	/* bytes, multiple of 128 */
#define IGB_SRRCTL(q)			(0x0280c + 0x100 * (q))	/* split and replication control 8.10.2 */
#define   IGB_SRRCTL_BSIZEPACKET(kib)	((uint32_t)(kib) & 0x7f)	/* buffer size */
#define   IGB_SRRCTL_DESCTYPE_ONEBUF	IGB_BIT(25)	/* advanced, one buffer */
#define   IGB_SRRCTL_DROP_EN		IGB_BIT(31)	/* drop when there is no descriptor */
#define IGB_RDH(q)			(0x02810 + 0x100 * (q))
#define IGB_RDT(q)			(0x02818 + 0x100 * (q))
#define IGB_RXDCTL(q)			(0x02828 + 0x100 * (q))	/* descriptor control, RW */
#define   IGB_RXDCTL_PTHRESH_SHIFT	0
#define   IGB_RXDCTL_HTHRESH_SHIFT	8
#define   IGB_RXDCTL_WTHRESH_SHIFT	16
#define   IGB_RXDCTL_ENABLE		IGB_BIT(25)

/* ---- Transmit --------------------------------------------------------------------------- 8.12 */
#define IGB_TCTL			0x00400		/* transmit control, RW			 8.12.1 */
#define   IGB_TCTL_EN			IGB_BIT(1)
#define   IGB_TCTL_PSP			IGB_BIT(3)	/* pad short packets */
#define   IGB_TCTL_CT_SHIFT		4
#define   IGB_TCTL_COLD_SHIFT		12
#define IGB_TDBAL(q)			(0x03800 + 0x100 * (q))	/* ring address low, 128-byte aligned */
#define IGB_TDBAH(q)			(0x03804 + 0x100 * (q))
#define IGB_TDLEN(q)			(0x03808 + 0x100 * (q))	/* bytes, multiple of 128 */
#define IGB_TDH(q)			(0x03810 + 0x100 * (q))
#define IGB_TDT(q)			(0x03818 + 0x100 * (q))
#define IGB_TXDCTL(q)			(0x03828 + 0x100 * (q))	/* descriptor control, RW */
#define   IGB_TXDCTL_PTHRESH_SHIFT	0
#define   IGB_TXDCTL_HTHRESH_SHIFT	8
#define   IGB_TXDCTL_WTHRESH_SHIFT	16
#define   IGB_TXDCTL_ENABLE		IGB_BIT(25)

/* ---- Virtual function: own registers of its BAR ------------------------------------------------ */
#define IGB_VTCTRL			0x00000		/* VF control; only RST */
#define   IGB_VTCTRL_RST		IGB_BIT(26)	/* reset the VF's queues, clears itself */
#define IGB_VTSTATUS			0x00008		/* a mirror of STATUS, RO */
#define IGB_VTEIMC			0x01528
#define IGB_VTEIAC			0x0152c
#define IGB_VTEIAM			0x01530
#define IGB_VTEICR			0x01580
#define IGB_VMAILBOX			0x00c40		/* mailbox control */
#define   IGB_VMAILBOX_REQ		IGB_BIT(0)	/* a message is there, WO */
#define   IGB_VMAILBOX_ACK		IGB_BIT(1)	/* the PF's message was taken, WO */
#define   IGB_VMAILBOX_VFU		IGB_BIT(2)	/* the VF owns the buffer */
#define   IGB_VMAILBOX_PFU		IGB_BIT(3)	/* the PF owns the buffer, RO */
#define   IGB_VMAILBOX_PFSTS		IGB_BIT(4)	/* the PF has sent a message, cleared by read */
#define   IGB_VMAILBOX_PFACK		IGB_BIT(5)	/* the PF has taken ours, cleared by read */
#define   IGB_VMAILBOX_RSTI		IGB_BIT(6)	/* the PF is in reset, RO */
#define   IGB_VMAILBOX_RSTD		IGB_BIT(7)	/* the PF's reset is over, cleared by read */
#define   IGB_VMAILBOX_CLEARED		(IGB_VMAILBOX_PFSTS | IGB_VMAILBOX_PFACK | IGB_VMAILBOX_RSTD)
#define IGB_VMBMEM			0x00800		/* the buffer both sides share, 16 words */
#define   IGB_N_VMBMEM			16

/* messages: word 0 */
#define IGB_VF_MSG_RESET		0x0001		/* answer: words 1-2 are the MAC */
#define IGB_VF_MSG_SET_MAC		0x0002		/* words 1-2: the MAC */
#define IGB_VF_MSG_SET_LPE		0x0005		/* word 1: longest frame, bytes */
#define IGB_VF_MSG_TYPE			0x0000ffff
#define IGB_VF_MSG_CTS			IGB_BIT(29)	/* the PF still listens */
#define IGB_VF_MSG_NACK			IGB_BIT(30)
#define IGB_VF_MSG_ACK			IGB_BIT(31)

/* ---- Advanced descriptors ------------------------------------------------- 7.1.5, 7.2.2.3 --- */
union igb_rx_desc {
	struct {
		uint64_t pkt_addr;
		uint64_t hdr_addr;	/* bit 0 becomes DD: must be 0 */
	} read;
	struct {
		uint32_t pkt_info;
		uint32_t rss;
		uint32_t status_error;	/* IGB_RXD_* */
		uint16_t length;
		uint16_t vlan;
	} wb;
};
#define   IGB_RXD_DD			IGB_BIT(0)
#define   IGB_RXD_EOP			IGB_BIT(1)
#define   IGB_RXD_LOOPBACK		IGB_BIT(18)	/* from the VF switch */
#define   IGB_RXD_RXE			IGB_BIT(31)

union igb_tx_desc {
	struct {
		uint64_t addr;
		uint32_t cmd_type_len;	/* IGB_TXD_* and the bytes of this buffer */
		uint32_t olinfo_status;	/* bytes of the frame << 14 */
	} read;
	struct {
		uint64_t reserved;
		uint32_t nxtseq_seed;
		uint32_t status;	/* IGB_TXD_STAT_* */
	} wb;
};
#define   IGB_TXD_DTYP_DATA		(UINT32_C(3) << 20)
#define   IGB_TXD_EOP			IGB_BIT(24)
#define   IGB_TXD_IFCS			IGB_BIT(25)
#define   IGB_TXD_RS			IGB_BIT(27)
#define   IGB_TXD_DEXT			IGB_BIT(29)
#define   IGB_TXD_PAYLEN_SHIFT		14
#define   IGB_TXD_STAT_DD		IGB_BIT(0)

_Static_assert(sizeof(union igb_rx_desc) == 16, "receive descriptor");
_Static_assert(offsetof(union igb_rx_desc, wb.status_error) == 8, "receive status");
_Static_assert(offsetof(union igb_rx_desc, wb.length) == 12, "receive length");
_Static_assert(sizeof(union igb_tx_desc) == 16, "transmit descriptor");
_Static_assert(offsetof(union igb_tx_desc, read.cmd_type_len) == 8, "transmit command");
_Static_assert(offsetof(union igb_tx_desc, wb.status) == 12, "transmit status");

#endif
