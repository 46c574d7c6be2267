/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The EEPROM of the 82540EM (manual, 5 and 13.4.3 to 13.4.4): 64 words with the MAC address and the
 * checksum, read by EERD or bit by bit through EECD (93C46: start bit, two bits of opcode, six of
 * address, then 16 bits out or in). What a driver writes lasts as long as the guest: at the next
 * start the words are made from the device's options again.
 */
#include "e1000_priv.h"

#include <string.h>

#define MICROWIRE_BITS (1 + E1000_MICROWIRE_OP_BITS + E1000_MICROWIRE_ADDR_BITS)

void e1000_eeprom_init(struct e1000 *d)
{
	uint16_t *w = d->eeprom.word, sum = 0;

	memset(&d->eeprom, 0, sizeof(d->eeprom));
	for (unsigned int i = 0; i < 3; i++)
		w[E1000_EEPROM_MAC + i] = (uint16_t)(d->mac[2 * i] | d->mac[2 * i + 1] << 8);
	w[E1000_EEPROM_PBA] = w[E1000_EEPROM_PBA + 1] = 0xffff;
	/* signature 01, full duplex, both pairs of ids below are valid */
	w[E1000_EEPROM_INIT1] = 0x4403;
	w[E1000_EEPROM_SUBSYS_ID] = 0x001e;
	w[E1000_EEPROM_SUBSYS_VENDOR] = E1000_PCI_VENDOR;
	w[E1000_EEPROM_DEVICE_ID] = E1000_PCI_DEVICE;
	w[E1000_EEPROM_VENDOR_ID] = E1000_PCI_VENDOR;
	w[E1000_EEPROM_INIT2] = 0x3000; /* pause in both directions */
	for (unsigned int i = 0; i < E1000_EEPROM_CHECKSUM; i++)
		sum = (uint16_t)(sum + w[i]);
	w[E1000_EEPROM_CHECKSUM] = (uint16_t)(E1000_EEPROM_SUM - sum);
}

void e1000_eeprom_load(struct e1000 *d)
{
	const uint16_t *w = d->eeprom.word + E1000_EEPROM_MAC;

	e1000_set(d, E1000_RAL(0), w[0] | (uint32_t)w[1] << 16);
	e1000_set(d, E1000_RAH(0), w[2] | E1000_RAH_AV);
	d->filter_dirty = true;
}

void e1000_eerd_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	uint32_t addr = (val & E1000_EERD_ADDR) >> E1000_EERD_ADDR_SHIFT;
	uint32_t word = addr < E1000_EEPROM_N_WORDS ? d->eeprom.word[addr] : 0;

	if (val & E1000_EERD_START)
		e1000_set(d, off,
			  (val & E1000_EERD_ADDR) | E1000_EERD_DONE |
				  word << E1000_EERD_DATA_SHIFT);
	else
		e1000_set(d, off, val & E1000_EERD_ADDR);
}

uint32_t e1000_eecd_read(struct e1000 *d, uint32_t off)
{
	uint32_t v = e1000_get(d, off) | E1000_EECD_EE_PRES;

	if (v & E1000_EECD_EE_REQ)
		v |= E1000_EECD_EE_GNT;
	return d->eeprom.out || !d->eeprom.reading ? v | E1000_EECD_DO : v;
}

/* The clock rose: one bit goes in, or the next one of the word comes out. */
static void microwire_clock(struct e1000_eeprom *e, bool in)
{
	if (e->reading) {
		uint16_t word = e->word[(e->addr + e->n_out / 16) % E1000_EEPROM_N_WORDS];

		e->out = word >> (15 - e->n_out % 16) & 1;
		e->n_out = (e->n_out + 1) % (16 * E1000_EEPROM_N_WORDS);
		return;
	}
	if ((!e->n_in && !in) || e->n_in == MICROWIRE_BITS + 16)
		return; /* before the start bit; more than any opcode takes */
	e->in = e->in << 1 | in;
	if (++e->n_in != MICROWIRE_BITS)
		return;
	e->op = e->in >> E1000_MICROWIRE_ADDR_BITS & 3;
	e->addr = e->in & ((1 << E1000_MICROWIRE_ADDR_BITS) - 1);
	e->reading = e->op == E1000_MICROWIRE_OP_READ;
	e->out = false; /* the dummy bit */
	e->n_out = 0;
}

/* Chip select fell: what was shifted in is done, at once. */
static void microwire_end(struct e1000_eeprom *e)
{
	bool has_data = e->n_in == MICROWIRE_BITS + 16;
	unsigned int first = e->addr, n = 1;
	uint16_t data = (uint16_t)e->in;

	if (e->n_in < MICROWIRE_BITS || e->reading)
		return;
	if (e->op == E1000_MICROWIRE_OP_EXTENDED) {
		unsigned int what = e->addr >> (E1000_MICROWIRE_ADDR_BITS - 2);

		if (what == E1000_MICROWIRE_EXT_EWEN || what == E1000_MICROWIRE_EXT_EWDS)
			e->writable = what == E1000_MICROWIRE_EXT_EWEN;
		first = 0;
		n = what == E1000_MICROWIRE_EXT_WRAL || what == E1000_MICROWIRE_EXT_ERAL
			    ? E1000_EEPROM_N_WORDS
			    : 0;
		if (what == E1000_MICROWIRE_EXT_ERAL)
			has_data = true, data = 0xffff;
	} else if (e->op == E1000_MICROWIRE_OP_ERASE) {
		has_data = true, data = 0xffff;
	}
	for (unsigned int i = 0; e->writable && has_data && i < n; i++)
		e->word[first + i] = data;
}

void e1000_eecd_write(struct e1000 *d, uint32_t off, uint32_t val)
{
	const uint32_t wmask =
		E1000_EECD_SK | E1000_EECD_CS | E1000_EECD_DI | E1000_EECD_FWE | E1000_EECD_EE_REQ;
	struct e1000_eeprom *e = &d->eeprom;
	uint32_t old = e1000_get(d, off);

	e1000_set(d, off, val & wmask);
	if (!(val & E1000_EECD_CS)) {
		microwire_end(e);
		e->in = e->n_in = e->n_out = 0;
		e->reading = e->out = false;
	} else if (val & E1000_EECD_SK && !(old & E1000_EECD_SK)) {
		microwire_clock(e, val & E1000_EECD_DI);
	}
}
