/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI for the microguest: configuration space by ports 0xcf8/0xcfc or by ECAM, a walk over the
 * functions (behind bridges that firmware has numbered, too), and BARs. Called by the drivers'
 * init. Follows "PCI Local Bus Specification" 3.0, chapter 6, and "PCI Express Base" for ECAM.
 * Leaves out bridges that nobody has set up, capabilities (virtio walks its own) and interrupts.
 */
#include "mg_lib.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  0x80000000u

#define PCI_ID               0x00
#define PCI_COMMAND          0x04
#define COMMAND_MEMORY       0x0002
#define COMMAND_MASTER       0x0004
#define COMMAND_INTX_DISABLE 0x0400
#define PCI_CLASS            0x08
#define PCI_HEADER           0x0c
#define HEADER_TYPE(v)       ((v) >> 16 & 0x7f)
#define HEADER_MULTI(v)      ((v) >> 23 & 1)
#define PCI_BAR(n)           (0x10 + 4 * (n))
#define BAR_IO               0x1
#define BAR_TYPE             0x6
#define BAR_TYPE_64          0x4
#define PCI_BUSES            0x18 /* bridges: primary, secondary, subordinate */

#define MAPPED (UINT64_C(1) << 32) /* start.S maps as much */

uint32_t mg_pci_read(const struct mg *mg, uint32_t bdf, uint32_t offset)
{
	if (mg->opt.ecam)
		return mg_read32(mg->opt.ecam + ((uint64_t)bdf << 12) + offset);
	mg_out32(CONFIG_ADDRESS, CONFIG_ENABLE | bdf << 8 | (offset & 0xfc));
	return mg_in32(CONFIG_DATA);
}

void mg_pci_write(const struct mg *mg, uint32_t bdf, uint32_t offset, uint32_t value)
{
	if (mg->opt.ecam) {
		mg_write32(mg->opt.ecam + ((uint64_t)bdf << 12) + offset, value);
		return;
	}
	mg_out32(CONFIG_ADDRESS, CONFIG_ENABLE | bdf << 8 | (offset & 0xfc));
	mg_out32(CONFIG_DATA, value);
}

/*
 * Calls visit for every function of a bus and of the buses behind it, until it returns non-zero.
 * depth bounds a loop of bridges.
 */
static uint32_t walk(struct mg *mg, uint32_t bus, int depth,
		     uint32_t (*visit)(struct mg *, uint32_t, void *), void *arg)
{
	for (uint32_t devfn = 0; devfn < 256; devfn++) {
		uint32_t bdf = bus << 8 | devfn, header, secondary, found;

		if (mg_pci_read(mg, bdf, PCI_ID) == 0xffffffff) {
			if (!(devfn & 7))
				devfn |= 7;
			continue;
		}
		found = visit(mg, bdf, arg);
		if (found)
			return found;
		header = mg_pci_read(mg, bdf, PCI_HEADER);
		secondary = 0;
		if (HEADER_TYPE(header) == 1)
			secondary = mg_pci_read(mg, bdf, PCI_BUSES) >> 8 & 0xff;
		if (secondary > bus && depth < 8) {
			found = walk(mg, secondary, depth + 1, visit, arg);
			if (found)
				return found;
		}
		if (!(devfn & 7) && !HEADER_MULTI(header))
			devfn |= 7;
	}
	return 0;
}

struct wanted {
	uint32_t id;
	uint32_t skip;
};

static uint32_t visit_match(struct mg *mg, uint32_t bdf, void *arg)
{
	struct wanted *wanted = arg;

	if (mg_pci_read(mg, bdf, PCI_ID) != wanted->id || wanted->skip-- > 0)
		return 0;
	return bdf + 1; /* 0 means go on */
}

uint32_t mg_pci_find(struct mg *mg, uint16_t vendor, uint16_t device)
{
	struct wanted wanted = { vendor | (uint32_t)device << 16, mg->opt.nth };
	uint32_t found = walk(mg, 0, 0, visit_match, &wanted);

	return found ? found - 1 : MG_PCI_NONE;
}

uint64_t mg_pci_bar(const struct mg *mg, uint32_t bdf, unsigned int bar)
{
	uint32_t low = mg_pci_read(mg, bdf, PCI_BAR(bar));
	uint64_t addr = low & ~15u;

	if (bar > 5 || low & BAR_IO)
		return 0;
	if ((low & BAR_TYPE) == BAR_TYPE_64 && bar < 5)
		addr |= (uint64_t)mg_pci_read(mg, bdf, PCI_BAR(bar + 1)) << 32;
	return addr;
}

/* Decoding is off. A BAR at 0, or where nothing is mapped, is moved into the pool. */
static void place_bar(struct mg *mg, uint32_t bdf, unsigned int bar)
{
	uint32_t old = mg_pci_read(mg, bdf, PCI_BAR(bar)), mask, size;
	uint64_t addr = mg_pci_bar(mg, bdf, bar);

	if (old & BAR_IO || (addr && addr < MAPPED))
		return;
	mg_pci_write(mg, bdf, PCI_BAR(bar), 0xffffffff);
	mask = mg_pci_read(mg, bdf, PCI_BAR(bar)) & ~15u;
	if (!mask) { /* no such BAR */
		mg_pci_write(mg, bdf, PCI_BAR(bar), old);
		return;
	}
	size = -mask;
	mg->opt.pool = (mg->opt.pool + size - 1) & -(uint64_t)size;
	mg_pci_write(mg, bdf, PCI_BAR(bar), (uint32_t)mg->opt.pool);
	if ((old & BAR_TYPE) == BAR_TYPE_64 && bar < 5)
		mg_pci_write(mg, bdf, PCI_BAR(bar + 1), 0);
	mg->opt.pool += size;
}

void mg_pci_enable(struct mg *mg, uint32_t bdf)
{
	uint32_t command = mg_pci_read(mg, bdf, PCI_COMMAND) & 0xffff;

	mg_pci_write(mg, bdf, PCI_COMMAND, command & ~(uint32_t)(COMMAND_MEMORY | COMMAND_MASTER));
	for (unsigned int bar = 0; bar < 6; bar++) {
		uint32_t low = mg_pci_read(mg, bdf, PCI_BAR(bar));

		place_bar(mg, bdf, bar);
		if (!(low & BAR_IO) && (low & BAR_TYPE) == BAR_TYPE_64)
			bar++; /* its high half */
	}
	command |= COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_DISABLE;
	mg_pci_write(mg, bdf, PCI_COMMAND, command);
}

static uint32_t visit_print(struct mg *mg, uint32_t bdf, void *arg)
{
	uint32_t id = mg_pci_read(mg, bdf, PCI_ID);
	int n_bars = HEADER_TYPE(mg_pci_read(mg, bdf, PCI_HEADER)) ? 2 : 6;

	(void)arg;
	mg_puts("FL PCI ");
	mg_put_hex(bdf >> 8, 2);
	mg_puts(":");
	mg_put_hex(bdf >> 3 & 31, 2);
	mg_puts(".");
	mg_put_hex(bdf & 7, 1);
	mg_puts(" ");
	mg_put_hex(id & 0xffff, 4);
	mg_puts(":");
	mg_put_hex(id >> 16, 4);
	mg_puts(" class=");
	mg_put_hex(mg_pci_read(mg, bdf, PCI_CLASS) >> 8, 6);
	for (int bar = 0; bar < n_bars; bar++) {
		mg_puts(" bar");
		mg_put_dec((uint64_t)bar);
		mg_puts("=0x");
		mg_put_hex(mg_pci_read(mg, bdf, PCI_BAR(bar)), 8);
	}
	mg_puts("\n");
	return 0;
}

void mg_pci_list(struct mg *mg)
{
	walk(mg, 0, 0, visit_print, NULL);
}
