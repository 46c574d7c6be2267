/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest must not do with the configuration space of its device, and may try: mode=bars moves
 * each BAR over memory, the other BARs, 0, the interrupt controllers and beyond every address;
 * mode=config writes every byte and word there is (ecam= reaches the extended ones); mode=decode
 * has a second processor (cpus=2) switch memory decoding off and on while the first reads a
 * register. Each puts things right again, says FL ABUSE with what did not answer as it should, and
 * then sends as mode=tx does. For dev=igb and igbvf. "PCI Local Bus Specification" 3.0, chapter 6.
 */
#include "mg_igb.h"

#define PCI_COMMAND    0x04
#define COMMAND_MEMORY 0x0002
#define PCI_BAR(n)     (0x10 + 4 * (n))
#define BAR_IO         0x1
#define BAR_TYPE       0x6
#define BAR_TYPE_64    0x4
#define CONFIG_SIZE    256
#define CONFIG_SIZE_X  4096 /* with ECAM */
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  0x80000000u
#define LINK_WAIT_MS   10000
#define CANARY         0x5ca1ab1eu

struct abuse {
	struct mg *mg;
	struct igb *dev;
	uint32_t bdf, command;
	uint32_t status; /* what the device answers */
	uint32_t done, bad;
	volatile uint32_t *canary; /* a page of ordinary memory */
};

static void begin(struct abuse *a, struct mg *mg)
{
	*a = (struct abuse){ .mg = mg, .dev = mg->priv };
	if (mg->drv != &mg_driver_igb && mg->drv != &mg_driver_igbvf)
		mg_fail("this mode= is for dev=igb and igbvf");
	a->bdf = a->dev->bdf;
	a->command = mg_pci_read(mg, a->bdf, PCI_COMMAND) & 0xffff;
	a->status = mg_read32(a->dev->regs + IGB_STATUS);
	a->canary = mg_alloc(4096, 4096);
	*a->canary = CANARY;
}

static void end(struct abuse *a, const char *mode)
{
	mg_puts("FL ABUSE mode=");
	mg_puts(mode);
	mg_put_field("done", a->done);
	mg_put_field("bad", a->bad);
	mg_puts("\n");
	mg_loop_tx(a->mg);
}

/* Memory is still memory, whatever was put over it. */
static void look(struct abuse *a)
{
	if (*a->canary != CANARY + a->done)
		a->bad++;
	a->done++;
	*a->canary = CANARY + a->done;
}

/* ---- BARs ----------------------------------------------------------------------------------- */
struct bar {
	unsigned int idx;
	int is64;
	uint32_t low, high;
};

static unsigned int memory_bars(const struct abuse *a, struct bar bars[6])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 6; i++) {
		uint32_t low = mg_pci_read(a->mg, a->bdf, PCI_BAR(i));
		int is64 = (low & BAR_TYPE) == BAR_TYPE_64 && i < 5;

		if (low & BAR_IO || !(low & ~15u))
			continue;
		bars[n] = (struct bar){ .idx = i, .is64 = is64, .low = low };
		if (is64)
			bars[n].high = mg_pci_read(a->mg, a->bdf, PCI_BAR(++i));
		n++;
	}
	return n;
}

static void put_bar(const struct abuse *a, const struct bar *b, uint32_t low, uint32_t high)
{
	mg_pci_write(a->mg, a->bdf, PCI_BAR(b->idx), low);
	if (b->is64)
		mg_pci_write(a->mg, a->bdf, PCI_BAR(b->idx + 1), high);
}

static void decode(const struct abuse *a, int on)
{
	mg_pci_write(a->mg, a->bdf, PCI_COMMAND,
		     on ? a->command : a->command & ~(uint32_t)COMMAND_MEMORY);
}

/* There and back, with decoding on all the time or off while it moves. */
static void move_bar(struct abuse *a, const struct bar *b, uint32_t low, uint32_t high)
{
	for (int off = 0; off < 2; off++) {
		if (off)
			decode(a, 0);
		put_bar(a, b, low, high);
		decode(a, 1);
		(void)mg_read32(low & ~15u); /* whoever answers there */
		look(a);
		if (off)
			decode(a, 0);
		put_bar(a, b, b->low, b->high);
		decode(a, 1);
		if (mg_read32(a->dev->regs + IGB_STATUS) != a->status)
			a->bad++;
	}
}

void mg_abuse_bars(struct mg *mg)
{
	static const uint32_t highs[] = { 0, 1u << 7, 1u << 13, 1u << 14, 1u << 20, 0xffffffff };
	struct bar bars[6];
	struct abuse a;
	unsigned int n;

	begin(&a, mg);
	n = memory_bars(&a, bars);
	for (unsigned int i = 0; i < n; i++) {
		const uint32_t lows[] = {
			0,
			0x1000,
			(uint32_t)(uintptr_t)a.canary,
			(uint32_t)(uintptr_t)mg_abuse_bars & ~0xfffu, /* this code */
			(uint32_t)(uintptr_t)a.dev->tx,
			bars[(i + 1) % n].low & ~15u,
			(bars[(i + 1) % n].low & ~15u) + 0x1000,
			0xd8000000, /* free */
			0xe0000000, /* where boards have ECAM */
			0xfec00000,
			0xfee00000,
			0xfffff000,
		};

		for (unsigned int k = 0; k < sizeof(lows) / sizeof(lows[0]); k++)
			move_bar(&a, &bars[i], lows[k], 0);
		for (unsigned int k = 0; bars[i].is64 && k < sizeof(highs) / sizeof(highs[0]); k++)
			move_bar(&a, &bars[i], 0xfffff000, highs[k]);
	}
	end(&a, "bars");
}

/* ---- Every byte ----------------------------------------------------------------------------- */
static uint32_t get8(const struct abuse *a, uint32_t off)
{
	return mg_pci_read(a->mg, a->bdf, off & ~3u) >> 8 * (off & 3) & 0xff;
}

static void put8(const struct abuse *a, uint32_t off, uint32_t value)
{
	if (a->mg->opt.ecam) {
		mg_write8(a->mg->opt.ecam + ((uint64_t)a->bdf << 12) + off, (uint8_t)value);
		return;
	}
	mg_out32(CONFIG_ADDRESS, CONFIG_ENABLE | a->bdf << 8 | (off & 0xfc));
	mg_out8((uint16_t)(CONFIG_DATA + (off & 3)), (uint8_t)value);
}

/* A reset may be among what was asked for, so the device is set up anew. */
static void set_up_again(struct abuse *a, uint32_t size, const uint32_t *was)
{
	struct mg *mg = a->mg;
	uint64_t start;
	const char *problem;

	for (uint32_t off = PCI_BAR(0); off < size; off += 4)
		mg_pci_write(mg, a->bdf, off, was[off / 4]);
	problem = mg->drv->init(mg);
	if (problem)
		mg_fail(problem);
	mg->tx_free = mg->tx_room;
	mg->tx_next = 0;
	for (start = mg_tsc(); !mg->drv->link(mg); mg_wait_us(mg, 1000))
		if (mg_tsc() - start > mg_ticks(mg, LINK_WAIT_MS))
			mg_fail("no link after all was written");
}

void mg_abuse_config(struct mg *mg)
{
	uint32_t size = mg->opt.ecam ? CONFIG_SIZE_X : CONFIG_SIZE, *was;
	struct abuse a;

	begin(&a, mg);
	was = mg_alloc(size, 4);
	for (uint32_t off = 0; off < size; off += 4)
		was[off / 4] = mg_pci_read(mg, a.bdf, off);
	for (uint32_t off = 0; off < size; off++) {
		uint32_t old = get8(&a, off);

		put8(&a, off, 0xff);
		put8(&a, off, 0);
		put8(&a, off, ~old);
		put8(&a, off, old);
		look(&a);
	}
	for (uint32_t off = 0; off < size; off += 4) {
		mg_pci_write(mg, a.bdf, off, 0xffffffff);
		mg_pci_write(mg, a.bdf, off, was[off / 4]);
		look(&a);
	}
	if (mg_pci_read(mg, a.bdf, 0) != was[0]) /* it is still what it is */
		a.bad++;
	set_up_again(&a, 0x100, was);
	end(&a, "config");
}

/* ---- Decoding switched under a reader ------------------------------------------------------- */
/* What the other processor works from; at MG_AP_OWN in its data. */
struct toggle {
	uint32_t address; /* for 0xcf8: the command register */
	uint32_t off, on;
	uint32_t rounds; /* set to ~0 it ends */
};

_Static_assert(MG_AP_OWN == 0x910 && offsetof(struct toggle, off) == 4 &&
		       offsetof(struct toggle, on) == 8 && offsetof(struct toggle, rounds) == 12,
	       "the numbers in the code below");

extern const uint8_t mg_toggle_start[], mg_toggle_end[];

asm(".section .rodata\n"
    ".code16\n"
    ".globl mg_toggle_start, mg_toggle_end\n"
    "mg_toggle_start:\n"
    "	cli\n"
    "	movw %cs, %ax\n"
    "	movw %ax, %ds\n"
    "	movw $0xcf8, %dx\n"
    "	movl 0x910, %eax\n"
    "	outl %eax, %dx\n"
    "	movw $0xcfc, %dx\n"
    "	lock incl 0x804\n"
    "1:	movw 0x914, %ax\n"
    "	outw %ax, %dx\n"
    "	movw 0x918, %ax\n"
    "	outw %ax, %dx\n"
    "	cmpl $0xffffffff, 0x91c\n"
    "	je 2f\n"
    "	incl 0x91c\n"
    "	jmp 1b\n"
    "2:	lock incl 0x804\n"
    "3:	hlt\n"
    "	jmp 3b\n"
    "mg_toggle_end:\n"
    ".code64\n"
    ".text\n");

void mg_abuse_decode(struct mg *mg)
{
	struct toggle *t = (struct toggle *)mg_smp_own();
	uint64_t count = mg_smp_own() - MG_AP_OWN + MG_AP_COUNT, start, ticks;
	uint32_t seen = 0, nothing = 0, value;
	struct abuse a;

	begin(&a, mg);
	mg_smp_load(mg_toggle_start, mg_toggle_end);
	t->address = CONFIG_ENABLE | a.bdf << 8 | PCI_COMMAND;
	t->on = a.command;
	t->off = a.command & ~(uint32_t)COMMAND_MEMORY;
	if (!mg_smp_wake(mg, 1))
		mg_fail("the second processor does not wake; give the guest two");
	ticks = mg_ticks(mg, mg->opt.ms);
	/* the two may share a CPU of the host: longer until each has had its turn */
	for (start = mg_tsc(); mg_tsc() - start < (seen && nothing ? 1 : 100) * ticks; look(&a)) {
		value = mg_read32(a.dev->regs + IGB_STATUS);
		/* KVM reads bytes when the register has come back while it asked who answers, and
		 * the device has no bytes but the first */
		if (value == a.status)
			seen++;
		else if (value == 0xffffffff) /* nobody answers */
			nothing++;
		else if (value != (a.status & 0xff))
			a.bad++;
	}
	value = mg_read32((uint64_t)&t->rounds);
	do /* it may be counting just now */
		mg_write32((uint64_t)&t->rounds, 0xffffffff);
	while (mg_read32(count) < 2);
	mg_puts("FL DECODE");
	mg_put_field("rounds", value);
	mg_put_field("answered", seen);
	mg_put_field("unanswered", nothing);
	mg_puts("\n");
	end(&a, "decode");
}
