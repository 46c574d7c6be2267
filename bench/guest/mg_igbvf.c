/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Polled driver for a virtual function of the 82576: resets its queues, asks the PF's driver for
 * its address through the mailbox, then runs one queue pair; the link it can only watch. Called by
 * mg_main.c; the rings are mg_igb_ring.c. Follows the chapters on virtualisation and VF registers
 * of the datasheet named in igb_regs.h, and the messages that the Linux PF driver answers to.
 * Leaves out multicast, VLAN requests and control messages from the PF.
 */
#include "mg_igb.h"

#define ANSWER_MS  1000  /* from the PF's driver to one message */
#define PF_WAIT_MS 10000 /* for the PF to come up at all */

/* ---- Mailbox -------------------------------------------------------------------------------- */
/* Reading clears the bits that tell of an event, so what is not asked for now is kept. */
static int mailbox_test(struct igb *dev, uint32_t bit)
{
	uint32_t seen = mg_read32(dev->regs + IGB_VMAILBOX) | dev->mailbox;

	dev->mailbox = seen & IGB_VMAILBOX_CLEARED & ~bit;
	return !!(seen & bit);
}

static const char *mailbox_wait(struct mg *mg, struct igb *dev, uint32_t bit, const char *problem)
{
	uint64_t start = mg_tsc(), limit = mg_ticks(mg, ANSWER_MS);

	while (!mailbox_test(dev, bit)) {
		if (mg_tsc() - start > limit)
			return problem;
		mg_wait_us(mg, 500);
	}
	return NULL;
}

/* The buffer belongs to one side at a time: VFU stays 0 while the PF has it. */
static const char *mailbox_lock(struct mg *mg, struct igb *dev)
{
	uint64_t start = mg_tsc(), limit = mg_ticks(mg, ANSWER_MS);

	for (;;) {
		mg_write32(dev->regs + IGB_VMAILBOX, IGB_VMAILBOX_VFU);
		if (mailbox_test(dev, IGB_VMAILBOX_VFU))
			return NULL;
		if (mg_tsc() - start > limit)
			return "the VF's mailbox stays with the PF";
		mg_wait_us(mg, 500);
	}
}

/* Sends n words and waits until the PF's driver has taken them. */
static const char *mailbox_send(struct mg *mg, struct igb *dev, const uint32_t *msg, unsigned int n)
{
	const char *problem = mailbox_lock(mg, dev);

	if (problem)
		return problem;
	mailbox_test(dev, IGB_VMAILBOX_PFACK); /* of an earlier message */
	mailbox_test(dev, IGB_VMAILBOX_PFSTS);
	for (unsigned int i = 0; i < n; i++)
		mg_write32(dev->regs + IGB_VMBMEM + 4 * i, msg[i]);
	mg_write32(dev->regs + IGB_VMAILBOX, IGB_VMAILBOX_REQ); /* gives the buffer up, too */
	return mailbox_wait(mg, dev, IGB_VMAILBOX_PFACK,
			    "the PF's driver takes no message of the VF");
}

static const char *mailbox_receive(struct mg *mg, struct igb *dev, uint32_t *msg, unsigned int n)
{
	const char *problem;

	problem =
		mailbox_wait(mg, dev, IGB_VMAILBOX_PFSTS, "the PF's driver does not answer the VF");
	if (!problem)
		problem = mailbox_lock(mg, dev);
	if (problem)
		return problem;
	for (unsigned int i = 0; i < n; i++)
		msg[i] = mg_read32(dev->regs + IGB_VMBMEM + 4 * i);
	mg_write32(dev->regs + IGB_VMAILBOX, IGB_VMAILBOX_ACK); /* gives the buffer up, too */
	return NULL;
}

/* Sends a request and reads the answer to it over it; other messages of the PF are passed over. */
static const char *request(struct mg *mg, struct igb *dev, uint32_t *msg, unsigned int n)
{
	uint32_t type = msg[0] & IGB_VF_MSG_TYPE;
	const char *problem = mailbox_send(mg, dev, msg, n);

	for (int i = 0; !problem && i < 8; i++) {
		problem = mailbox_receive(mg, dev, msg, n);
		if (!problem && (msg[0] & IGB_VF_MSG_TYPE) == type &&
		    msg[0] & (IGB_VF_MSG_ACK | IGB_VF_MSG_NACK))
			return NULL;
	}
	return problem ? problem : "the PF's driver answers something else";
}

/* ---- Set-up --------------------------------------------------------------------------------- */
/*
 * Queues and interrupts off. RSTI says that the PF itself is in reset; RSTD, that it has come out
 * of it, but reading it clears it, so its absence proves nothing.
 */
static void reset_queues(struct mg *mg, struct igb *dev)
{
	mg_write32(dev->regs + IGB_VTEIMC, 0xffffffff);
	mg_write32(dev->regs + IGB_VTCTRL, mg_read32(dev->regs + IGB_VTCTRL) | IGB_VTCTRL_RST);
	mg_wait_us(mg, 1000);
	for (int i = 0; i < 200; i++) {
		if (mailbox_test(dev, IGB_VMAILBOX_RSTD) || !mailbox_test(dev, IGB_VMAILBOX_RSTI))
			break;
		mg_wait_us(mg, 1000);
	}
	mg_write32(dev->regs + IGB_VTEIMC, 0xffffffff);
	mg_write32(dev->regs + IGB_VTEIAC, 0);
	mg_write32(dev->regs + IGB_VTEIAM, 0);
	mg_write32(dev->regs + IGB_VTEICR, 0xffffffff);
}

static void unpack_mac(struct mg *mg, const uint32_t *words)
{
	for (int i = 0; i < 6; i++)
		mg->mac[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
}

/* The PF's driver has no address for this VF: take a locally administered one of the clock. */
static const char *invent_mac(struct mg *mg, struct igb *dev)
{
	uint64_t random = mg_tsc() * UINT64_C(0x9e3779b97f4a7c15) >> 16;
	uint32_t msg[3] = { IGB_VF_MSG_SET_MAC, (uint32_t)random,
			    (uint32_t)(random >> 32) & 0xffff };
	const char *problem;

	msg[1] = (msg[1] & ~UINT32_C(0xff)) | 0x02;
	unpack_mac(mg, msg + 1);
	problem = request(mg, dev, msg, 3);
	if (!problem && msg[0] & IGB_VF_MSG_NACK)
		problem = "the PF's driver refuses the VF's address";
	return problem;
}

/* The PF's driver opens the VF's queues to the wire when it answers. */
static const char *reset_and_ask(struct mg *mg, struct igb *dev)
{
	uint32_t msg[3] = { IGB_VF_MSG_RESET, 0, 0 };
	const char *problem;

	reset_queues(mg, dev);
	/* Only the first word is the request; room for the answer. */
	problem = mailbox_send(mg, dev, msg, 1);
	if (!problem)
		problem = mailbox_receive(mg, dev, msg, 3);
	if (problem)
		return problem;
	if ((msg[0] & IGB_VF_MSG_TYPE) != IGB_VF_MSG_RESET)
		return "the PF's driver answers something else";
	if (msg[0] & IGB_VF_MSG_NACK)
		return invent_mac(mg, dev);
	unpack_mac(mg, msg + 1);
	return NULL;
}

/* The answer may be a refusal: frames up to IGB_SHORT_MAX pass all the same. */
static const char *allow_length(struct mg *mg, struct igb *dev)
{
	uint32_t size = mg->opt.size > IGB_SHORT_MAX ? mg->opt.size : IGB_SHORT_MAX;
	uint32_t msg[2] = { IGB_VF_MSG_SET_LPE, size + IGB_FCS_AND_TAG };
	const char *problem = request(mg, dev, msg, 2);

	if (!problem && msg[0] & IGB_VF_MSG_NACK && mg->opt.size > IGB_SHORT_MAX)
		problem = "the PF's driver refuses frames of this size";
	return problem;
}

static const char *igbvf_init(struct mg *mg)
{
	const char *problem = igb_find(mg, IGB_PCI_DEVICE_82576_VF, "no 82576 VF (8086:10ca)");
	struct igb *dev = mg->priv;
	uint64_t start = mg_tsc(), limit = mg_ticks(mg, PF_WAIT_MS);

	if (problem)
		return problem;
	while ((problem = reset_and_ask(mg, dev))) {
		if (mg_tsc() - start > limit)
			return problem;
		mg_wait_us(mg, 100000);
	}
	/* A VF must not hold up the others when it is slow: its frames are dropped instead. */
	problem = igb_ring_start(mg, dev, IGB_SRRCTL_DROP_EN);
	if (!problem)
		problem = allow_length(mg, dev);
	if (!problem)
		igb_ring_post(mg, dev);
	return problem;
}

static int igbvf_link(struct mg *mg)
{
	struct igb *dev = mg->priv;

	return !!(mg_read32(dev->regs + IGB_VTSTATUS) & IGB_STATUS_LU);
}

const struct mg_driver mg_driver_igbvf = {
	.name = "igbvf",
	.init = igbvf_init,
	.link = igbvf_link,
	.tx_reap = igb_ring_tx_reap,
	.tx_burst = igb_ring_tx_burst,
	.rx_burst = igb_ring_rx_burst,
	.rx_refill = igb_ring_rx_refill,
};
