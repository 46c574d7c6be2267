/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See acpi.h. ACPI 6.5 chapter 5 (tables), PCI Firmware Specification 3.2 (MCFG, _OSC). The machine
 * has the fixed hardware of a PC as far as pm.c has it: PM1 event and control block with the power
 * button, S5 and nothing between; no PM timer, no GPEs, no real-time clock, no keyboard controller,
 * no VGA, and the FADT says so.
 */
#include "core/acpi.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "core/aml.h"
#include "core/err.h"
#include "core/pci_priv.h"
#include "core/pm.h"
#include "core/reset.h"
#include "core/serial.h"

#define LAPIC_ADDR      0xfee00000u
#define IOAPIC_ADDR     0xfec00000u
#define LAPIC_ID_MAX    254 /* 255 is "all"; beyond, a processor is told by its x2APIC id */
#define ALL_LAPICS      0xff
#define ALL_X2APICS     0xffffffffu
#define NMI_LINT        1
#define PIT_GSI         2 /* kvm_irq.c wires the timer's IRQ 0 there */
#define ISA_CONFORMS    0
#define ISA_HIGH_LEVEL  0x0d
#define PCI_OSC_UUID    "33db4d5b-1ff7-401c-9657-7441c03dd766"
#define OSC_UNKNOWN     4 /* unrecognized UUID, in the first dword */
#define MAX_RES_BYTES   256
#define ECAM_BUS_SIZE   0x100000u /* PCI Express Base 4.0, 7.2.2: a bus's share of the ECAM */
#define LAST_BUS        0 /* there is one; and Linux looks at every slot of every bus told here */
#define FADT_MAJOR      6
#define FADT_MINOR      5
#define PROFILE_UNKNOWN 0

enum {
	BOOT_LEGACY_DEVICES = 1 << 0, /* COM1 */
	BOOT_NO_VGA = 1 << 2,
	BOOT_NO_ASPM = 1 << 4,
	BOOT_NO_RTC = 1 << 5,
	FADT_WBINVD = 1 << 0,
	FADT_PROC_C1 = 1 << 2,
	FADT_NO_SLEEP_BUTTON = 1 << 5,
	FADT_NO_FIXED_RTC = 1 << 6,
	FADT_RESET_REG = 1 << 10,
	FADT_HEADLESS = 1 << 12,
	GAS_IO = 1,
	GAS_BYTE = 1,
	GAS_WORD = 2,
	MADT_PCAT_COMPAT = 1, /* there are 8259s, too */
	MADT_ENABLED = 1,
};

struct table {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t checksum_all, reserved[3];
} __attribute__((packed));

struct gas {
	uint8_t space, bits, offset, access;
	uint64_t addr;
} __attribute__((packed));

struct facs {
	char signature[4];
	uint32_t length, hardware, waking_vector, global_lock, flags;
	uint64_t waking_vector64;
	uint8_t version, reserved[31];
} __attribute__((packed));

struct fadt {
	struct table h;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_timer, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_timer_len, gpe0_len, gpe1_len, gpe1_base,
		cst;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day, month, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset;
	uint8_t reset_value;
	uint16_t arm;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_timer, x_gpe0,
		x_gpe1, sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

struct madt {
	struct table h;
	uint32_t lapic, flags;
} __attribute__((packed));
struct madt_lapic {
	uint8_t type, length, uid, id;
	uint32_t flags;
} __attribute__((packed));
struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t addr, gsi;
} __attribute__((packed));
struct madt_isa {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));
struct madt_nmi {
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));
struct madt_x2apic {
	uint8_t type, length;
	uint16_t reserved;
	uint32_t id, flags, uid;
} __attribute__((packed));
struct madt_x2nmi {
	uint8_t type, length;
	uint16_t flags;
	uint32_t uid;
	uint8_t lint, reserved[3];
} __attribute__((packed));

struct mcfg {
	struct table h;
	uint64_t reserved;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved1;
} __attribute__((packed));

_Static_assert(sizeof(struct table) == 36 && sizeof(struct rsdp) == 36 &&
		       sizeof(struct facs) == 64 && sizeof(struct mcfg) == 60,
	       "ACPI 6.5 sections 5.2.5, 5.2.6, 5.2.10");
_Static_assert(sizeof(struct fadt) == 276 && offsetof(struct fadt, flags) == 112 &&
		       offsetof(struct fadt, x_facs) == 132 &&
		       offsetof(struct fadt, sleep_control) == 244,
	       "ACPI 6.5 table 5.9");
_Static_assert(sizeof(struct madt) == 44 && sizeof(struct madt_lapic) == 8 &&
		       sizeof(struct madt_ioapic) == 12 && sizeof(struct madt_isa) == 10 &&
		       sizeof(struct madt_nmi) == 6 && sizeof(struct madt_x2apic) == 16 &&
		       sizeof(struct madt_x2nmi) == 12,
	       "ACPI 6.5 section 5.2.12");

/* The tables as they grow. */
struct blob {
	uint8_t *base; /* of ACPI_SIZE bytes */
	size_t len;
	bool full;
};

static gpa_t blob_gpa(const struct blob *b, const void *p)
{
	return ACPI_BASE + (size_t)((const uint8_t *)p - b->base);
}

/* Room in the blob, zeroed; where there is none the start of it is given, and `full` set. */
static void *blob_add(struct blob *b, size_t size, size_t align)
{
	size_t at = (b->len + align - 1) & ~(align - 1);

	if (at > ACPI_SIZE || size > ACPI_SIZE - at) {
		b->full = true;
		return b->base;
	}
	b->len = at + size;
	return b->base + at;
}

static uint8_t sum_to_zero(const void *data, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
	return (uint8_t)-sum;
}

/* The header of a table that reaches to the end of the blob. */
static void blob_seal(struct blob *b, struct table *h, const char *signature, uint8_t revision)
{
	if (b->full)
		return;
	*h = (struct table){ .length = (uint32_t)(b->len - (size_t)((uint8_t *)h - b->base)),
			     .revision = revision,
			     .oem_revision = 1,
			     .creator_revision = 1 };
	memcpy(h->signature, signature, 4);
	memcpy(h->oem_id, "FRLANE", 6);
	memcpy(h->oem_table_id, "FOURLANE", 8);
	memcpy(h->creator_id, "FRLN", 4);
	h->checksum = sum_to_zero(h, h->length);
}

/* --- DSDT --- */
static void dsdt_pci_windows(struct aml *a, const struct acpi_conf *conf)
{
	uint8_t room[MAX_RES_BYTES];
	struct aml r;

	aml_init(&r, room, sizeof(room));
	aml_res_window_bus(&r, 0, LAST_BUS);
	aml_res_io(&r, 0xcf8, 8);
	aml_res_window_io(&r, 0, 0xcf7);
	aml_res_window_io(&r, 0xd00, 0xffff);
	aml_res_window_memory(&r, PCI_MMIO_BASE, PCI_ECAM_BASE - 1);
	aml_res_window_memory64(&r, conf->mmio64_base, conf->mmio64_end - 1);
	aml_name(a, "_CRS");
	aml_resources(a, &r);
}

/* All four pins of a slot are one input: our devices have INTA# only, one passed through may have
 * another. */
static void dsdt_pci_lines(struct aml *a)
{
	aml_name(a, "_PRT");
	aml_package(a, 4 * (PCI_SLOTS - 1));
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++)
		for (unsigned int pin = 0; pin < 4; pin++) {
			aml_package(a, 4);
			aml_int(a, slot << 16 | 0xffff);
			aml_int(a, pin);
			aml_int(a, 0); /* no link device: the next is the input itself */
			aml_int(a, pci_slot_gsi(slot));
			aml_end(a);
		}
	aml_end(a);
}

/* Whatever the guest asks to control itself (hot plug, errors, power) nobody else does. */
static void dsdt_pci_osc(struct aml *a)
{
	aml_method(a, "_OSC", 4);
	aml_dword_field(a, 3, 0, "CDW1");
	aml_if_not_equal(a);
	aml_arg(a, 0);
	aml_uuid(a, PCI_OSC_UUID);
	aml_or_into(a, "CDW1", OSC_UNKNOWN);
	aml_end(a);
	aml_return_arg(a, 3);
	aml_end(a);
}

static void dsdt_pci(struct aml *a, const struct acpi_conf *conf)
{
	aml_device(a, "PCI0");
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0A08");
	aml_name(a, "_CID");
	aml_eisaid(a, "PNP0A03");
	aml_name(a, "_UID");
	aml_int(a, 0);
	aml_name(a, "_SEG");
	aml_int(a, 0);
	aml_name(a, "_BBN");
	aml_int(a, 0);
	dsdt_pci_windows(a, conf);
	dsdt_pci_lines(a);
	dsdt_pci_osc(a);
	aml_end(a);
}

/* What the board keeps: the ECAM must be claimed (PCI Firmware 3.2, 4.1.2), and pm.c's ports. */
static void dsdt_board(struct aml *a)
{
	uint8_t room[MAX_RES_BYTES];
	struct aml r;

	aml_init(&r, room, sizeof(room));
	aml_res_memory(&r, PCI_ECAM_BASE, (LAST_BUS + 1) * ECAM_BUS_SIZE);
	aml_res_io(&r, PM_PORT, PM_SIZE);
	aml_device(a, "MBRD");
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0C02");
	aml_name(a, "_UID");
	aml_int(a, 0);
	aml_name(a, "_CRS");
	aml_resources(a, &r);
	aml_end(a);
}

static void dsdt_com1(struct aml *a)
{
	uint8_t room[MAX_RES_BYTES];
	struct aml r;

	aml_init(&r, room, sizeof(room));
	aml_res_io(&r, SERIAL_PORT, SERIAL_SIZE);
	aml_res_irq(&r, SERIAL_IRQ);
	aml_device(a, "COM1");
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0501");
	aml_name(a, "_UID");
	aml_int(a, 1);
	aml_name(a, "_CRS");
	aml_resources(a, &r);
	aml_end(a);
}

static struct table *make_dsdt(struct blob *b, const struct acpi_conf *conf)
{
	struct table *h = blob_add(b, sizeof(*h), 16);
	struct aml a;

	aml_init(&a, b->base + b->len, ACPI_SIZE - b->len);
	aml_scope(&a, "_SB_");
	dsdt_board(&a);
	dsdt_com1(&a);
	dsdt_pci(&a, conf);
	aml_end(&a);
	aml_name(&a, "_S5_"); /* what PM1a and PM1b control's SLP_TYP want for power off */
	aml_package(&a, 4);
	for (unsigned int i = 0; i < 4; i++)
		aml_int(&a, i ? 0 : PM_SLEEP_S5);
	aml_end(&a);
	b->len += a.len;
	b->full |= !aml_ok(&a);
	blob_seal(b, h, "DSDT", 2);
	return h;
}

/* --- FADT, MADT, MCFG --- */
static struct facs *make_facs(struct blob *b)
{
	struct facs *f = blob_add(b, sizeof(*f), 64);

	*f = (struct facs){ .length = sizeof(*f), .version = 2 };
	memcpy(f->signature, "FACS", 4);
	return f;
}

static struct table *make_fadt(struct blob *b, const struct facs *facs, const struct table *dsdt)
{
	struct fadt *f = blob_add(b, sizeof(*f), 16);

	*f = (struct fadt){
		.facs = (uint32_t)blob_gpa(b, facs),
		.dsdt = (uint32_t)blob_gpa(b, dsdt),
		.x_dsdt = blob_gpa(b, dsdt),
		.profile = PROFILE_UNKNOWN,
		.sci = PM_SCI,
		.pm1a_evt = PM_EVENT_PORT,
		.pm1_evt_len = PM_EVENT_SIZE,
		.x_pm1a_evt = { GAS_IO, 8 * PM_EVENT_SIZE, 0, GAS_WORD, PM_EVENT_PORT },
		.pm1a_cnt = PM_CONTROL_PORT,
		.pm1_cnt_len = PM_CONTROL_SIZE,
		.x_pm1a_cnt = { GAS_IO, 8 * PM_CONTROL_SIZE, 0, GAS_WORD, PM_CONTROL_PORT },
		.c2_latency = 101, /* more than 100 and 1000 us: there is none */
		.c3_latency = 1001,
		.boot_arch = BOOT_LEGACY_DEVICES | BOOT_NO_VGA | BOOT_NO_ASPM | BOOT_NO_RTC,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC |
			 FADT_RESET_REG | FADT_HEADLESS,
		.reset = { GAS_IO, 8, 0, GAS_BYTE, RESET_PORT },
		.reset_value = RESET_VALUE,
		.minor = FADT_MINOR,
	};
	memcpy(&f->hypervisor, "fourlane", 8);
	blob_seal(b, &f->h, "FACP", FADT_MAJOR);
	return &f->h;
}

static void madt_cpu(struct blob *b, uint32_t id)
{
	if (id <= LAPIC_ID_MAX) {
		struct madt_lapic *e = blob_add(b, sizeof(*e), 1);

		*e = (struct madt_lapic){ 0, sizeof(*e), (uint8_t)id, (uint8_t)id, MADT_ENABLED };
	} else {
		struct madt_x2apic *e = blob_add(b, sizeof(*e), 1);

		*e = (struct madt_x2apic){ 9, sizeof(*e), 0, id, MADT_ENABLED, id };
	}
}

static void madt_isa(struct blob *b, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	struct madt_isa *e = blob_add(b, sizeof(*e), 1);

	*e = (struct madt_isa){ 2, sizeof(*e), 0, irq, gsi, flags };
}

static struct table *make_madt(struct blob *b, unsigned int n_cpus)
{
	struct madt *m = blob_add(b, sizeof(*m), 16);
	struct madt_ioapic *io;
	struct madt_nmi *nmi;

	for (unsigned int i = 0; i < n_cpus && !b->full; i++)
		madt_cpu(b, i);
	io = blob_add(b, sizeof(*io), 1);
	*io = (struct madt_ioapic){ 1, sizeof(*io), 0, 0, IOAPIC_ADDR, 0 };
	madt_isa(b, 0, PIT_GSI, ISA_CONFORMS);
	madt_isa(b, PM_SCI, PM_SCI, ISA_HIGH_LEVEL);
	nmi = blob_add(b, sizeof(*nmi), 1);
	*nmi = (struct madt_nmi){ 4, sizeof(*nmi), ALL_LAPICS, ISA_CONFORMS, NMI_LINT };
	if (n_cpus > LAPIC_ID_MAX + 1) {
		struct madt_x2nmi *x = blob_add(b, sizeof(*x), 1);

		*x = (struct madt_x2nmi){
			.type = 0xa, .length = sizeof(*x), .uid = ALL_X2APICS, .lint = NMI_LINT
		};
	}
	m->lapic = LAPIC_ADDR;
	m->flags = MADT_PCAT_COMPAT;
	blob_seal(b, &m->h, "APIC", 5);
	return &m->h;
}

static struct table *make_mcfg(struct blob *b)
{
	struct mcfg *m = blob_add(b, sizeof(*m), 16);

	*m = (struct mcfg){ .base = PCI_ECAM_BASE, .last_bus = LAST_BUS };
	blob_seal(b, &m->h, "MCFG", 1);
	return &m->h;
}

int acpi_build(struct guest_mem *mem, const struct acpi_conf *conf, gpa_t *rsdp)
{
	struct blob b = { .base = mem_ptr(mem, ACPI_BASE, ACPI_SIZE) };
	struct table *xsdt, *dsdt, *listed[3];
	struct facs *facs;
	struct rsdp *r;

	if (!b.base)
		return -EFAULT;
	memset(b.base, 0, ACPI_SIZE);
	r = blob_add(&b, sizeof(*r), 16);
	facs = make_facs(&b);
	dsdt = make_dsdt(&b, conf);
	listed[0] = make_fadt(&b, facs, dsdt);
	listed[1] = make_madt(&b, conf->n_cpus);
	listed[2] = make_mcfg(&b);
	xsdt = blob_add(&b, sizeof(*xsdt), 16);
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t at = blob_gpa(&b, listed[i]);

		memcpy(blob_add(&b, sizeof(at), 1), &at, sizeof(at));
	}
	blob_seal(&b, xsdt, "XSDT", 1);
	if (b.full)
		return err_ret(-E2BIG,
			       "describing %u CPUs to the guest: its ACPI tables have no "
			       "room for them; give it fewer",
			       conf->n_cpus);
	*r = (struct rsdp){ .revision = 2, .length = sizeof(*r), .xsdt = blob_gpa(&b, xsdt) };
	memcpy(r->signature, "RSD PTR ", 8);
	memcpy(r->oem_id, xsdt->oem_id, 6);
	r->checksum = sum_to_zero(r, 20); /* the part that ACPI 1.0 had */
	r->checksum_all = sum_to_zero(r, sizeof(*r));
	*rsdp = blob_gpa(&b, r);
	return 0;
}
