/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mode=smp cpus=N: wakes the processors with the APIC ids 1..N-1 by INIT and SIPI, one after the
 * other. Each counts itself and leaves the APIC id that CPUID gave it, all in real mode and in few
 * instructions: some hosts interpret them. Then it halts; with spin=1 it counts on instead. Called
 * by mg_main.c in ring 3; the local APIC is one page of memory to it. mg_abuse.c wakes a processor
 * for code of its own. Intel SDM volume 3, sections 9.4.4 (the sequence) and 11.6.1 (ICR).
 */
#include "mg_lib.h"

#define CPUS_MAX   64
#define AP_PAGE    0x20000 /* free below 640 KiB on every board; the SIPI's vector is its number */
#define AP_DATA    0x800   /* struct ap_data in that page */
#define AP_WAIT_US 2000000

#define APIC_ICR_LOW  0xfee00300
#define APIC_ICR_HIGH 0xfee00310
#define ICR_INIT      0x4500 /* assert, to one APIC id */
#define ICR_SIPI      0x4600

struct ap_data {
	uint32_t tickets;
	uint32_t count; /* of those that have left their id */
	uint32_t spin;
	uint32_t spins;
	uint32_t id[CPUS_MAX]; /* in the order in which they came */
};

_Static_assert(AP_DATA == 0x800 && offsetof(struct ap_data, count) == 4 &&
		       offsetof(struct ap_data, spin) == 8 &&
		       offsetof(struct ap_data, spins) == 12 &&
		       offsetof(struct ap_data, id) == 16 &&
		       MG_AP_COUNT == AP_DATA + offsetof(struct ap_data, count) &&
		       MG_AP_OWN >= AP_DATA + sizeof(struct ap_data),
	       "the numbers in the code below");

extern const uint8_t mg_ap_start[], mg_ap_end[];

/* CS is the page's segment. The APIC id lies in EBX[31:24] of CPUID's leaf 1. */
asm(".section .rodata\n"
    ".code16\n"
    ".globl mg_ap_start, mg_ap_end\n"
    "mg_ap_start:\n"
    "	cli\n"
    "	movw %cs, %ax\n"
    "	movw %ax, %ds\n"
    "	movl $1, %eax\n"
    "	cpuid\n"
    "	shrl $24, %ebx\n"
    "	movl $1, %eax\n"
    "	lock xaddl %eax, 0x800\n"
    "	movw %ax, %di\n"
    "	shlw $2, %di\n"
    "	movl %ebx, 0x810(%di)\n"
    "	lock incl 0x804\n"
    "	cmpl $0, 0x808\n"
    "	je 2f\n"
    "1:	lock incl 0x80c\n"
    "	jmp 1b\n"
    "2:	hlt\n"
    "	jmp 2b\n"
    "mg_ap_end:\n"
    ".code64\n"
    ".text\n");

static struct ap_data *ap_data(void)
{
	return (struct ap_data *)(AP_PAGE + AP_DATA);
}

static void ipi(uint32_t apic_id, uint32_t what)
{
	mg_write32(APIC_ICR_HIGH, apic_id << 24);
	mg_write32(APIC_ICR_LOW, what);
}

static int came(const struct mg *mg, uint32_t count, uint64_t us)
{
	for (uint64_t waited = 0; waited < us; waited += 200) {
		if (mg_read32((uint64_t)&ap_data()->count) >= count)
			return 1;
		mg_wait_us(mg, 200);
	}
	return 0;
}

void mg_smp_load(const uint8_t *start, const uint8_t *end)
{
	memset(ap_data(), 0, 4096 - AP_DATA);
	memcpy((void *)AP_PAGE, start, (size_t)(end - start));
}

uint64_t mg_smp_own(void)
{
	return AP_PAGE + MG_AP_OWN;
}

int mg_smp_wake(const struct mg *mg, uint32_t id)
{
	const uint32_t sipi = ICR_SIPI | AP_PAGE >> 12;

	ipi(id, ICR_INIT);
	mg_wait_us(mg, 10000);
	ipi(id, sipi);
	if (came(mg, id, 400))
		return 1;
	ipi(id, sipi); /* as the manual asks for */
	return came(mg, id, AP_WAIT_US);
}

void mg_smp_bring_up(struct mg *mg)
{
	uint32_t cpus = (uint32_t)mg_opt_number(mg->opt.cmdline, "cpus", 1), id = 1;
	struct ap_data *d = ap_data();

	if (cpus < 1 || cpus > CPUS_MAX)
		mg_fail("cpus= is outside 1..64");
	mg_smp_load(mg_ap_start, mg_ap_end);
	d->spin = mg_opt_number(mg->opt.cmdline, "spin", 0) != 0;
	while (id < cpus && mg_smp_wake(mg, id))
		id++;
	mg_puts("FL SMP");
	mg_put_field("cpus", cpus);
	mg_put_field("started", d->count);
	mg_puts(" ids=0");
	for (uint32_t i = 0; i < d->count && i < CPUS_MAX; i++) {
		mg_puts(",");
		mg_put_dec(d->id[i]);
	}
	mg_puts("\n");
	if (id < cpus)
		mg_fail("a processor did not wake");
	mg_puts("FL READY\n");
}

void mg_smp_count(struct mg *mg)
{
	uint64_t spins = (uint64_t)&ap_data()->spins;
	uint32_t before = mg_read32(spins);

	mg_wait_us(mg, UINT64_C(1000) * mg->opt.ms);
	mg_puts("FL RESULT mode=smp");
	mg_put_field("spins", mg_read32(spins) - before);
	mg_puts("\n");
}
