/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables as a guest reads them: found, linked, summed up, and in agreement with the PCI
 * bus and the power hardware. The numbers are repeated from the specification, not taken from
 * acpi.c. With FOURLANE_ACPI_DIR set it writes the tables there instead (tests/integration/acpi.t).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/acpi.h"
#include "core/aml.h"
#include "core/err.h"
#include "core/pci_priv.h"

#define REGION     0xe0000
#define REGION_END 0x100000

struct fixture {
	struct guest_mem *mem;
	struct vm *vm;
	gpa_t rsdp;
};

static void quiet(void *opaque, const char *line)
{
}

static int build(struct fixture *f, unsigned int n_cpus)
{
	struct acpi_conf conf = { .n_cpus = n_cpus,
				  .mmio64_base = vm_pci(f->vm)->mmio64_base,
				  .mmio64_end = vm_pci(f->vm)->mmio64_end };
	int ret;

	err_set_sink(quiet, NULL);
	ret = acpi_build(f->mem, &conf, &f->rsdp);
	err_set_sink(NULL, NULL);
	return ret;
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	if (mem_create(4 << 20, &f.mem) < 0 || vm_create_fake(f.mem, &f.vm) < 0)
		return -1;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vm_destroy(f->vm);
	mem_destroy(f->mem);
	return 0;
}

static uint64_t le(const uint8_t *p, unsigned int n)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static const uint8_t *at(struct fixture *f, uint64_t gpa, size_t len)
{
	assert_in_range(gpa, REGION, REGION_END - 1);
	assert_in_range(len, 1, REGION_END - gpa);
	return mem_ptr(f->mem, gpa, len);
}

/* A table at gpa: whole and summed up. */
static const uint8_t *table(struct fixture *f, uint64_t gpa, const char *signature, uint32_t *len)
{
	const uint8_t *p = at(f, gpa, 36);

	*len = (uint32_t)le(p + 4, 4);
	assert_memory_equal(p, signature, 4);
	assert_true(*len >= 36);
	at(f, gpa, *len);
	assert_int_equal(sum(p, *len), 0);
	return p;
}

/* A table by its signature, through RSDP and XSDT. */
static const uint8_t *find(struct fixture *f, const char *signature, uint32_t *len)
{
	const uint8_t *rsdp = at(f, f->rsdp, 36), *xsdt = table(f, le(rsdp + 24, 8), "XSDT", len);
	uint32_t n = (*len - 36) / 8;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t gpa = le(xsdt + 36 + 8 * i, 8);

		if (!memcmp(at(f, gpa, 36), signature, 4))
			return table(f, gpa, signature, len);
	}
	fail_msg("there is no %s", signature);
	return NULL;
}

static const uint8_t *find_dsdt(struct fixture *f, uint32_t *len)
{
	const uint8_t *fadt = find(f, "FACP", len);

	return table(f, le(fadt + 140, 8), "DSDT", len);
}

static void rsdp_is_where_a_kernel_searches(void **state)
{
	struct fixture *f = *state;
	const uint8_t *p;

	assert_int_equal(build(f, 1), 0);
	p = at(f, f->rsdp, 36);
	assert_int_equal(f->rsdp % 16, 0);
	assert_memory_equal(p, "RSD PTR ", 8);
	assert_int_equal(sum(p, 20), 0);
	assert_int_equal(sum(p, 36), 0);
	assert_int_equal(p[15], 2);
	assert_int_equal(le(p + 20, 4), 36);
}

static void tables_are_linked_and_summed(void **state)
{
	static const unsigned int cpus[] = { 1, 4, 64, 300 };
	struct fixture *f = *state;
	uint32_t len;

	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		assert_int_equal(build(f, cpus[i]), 0);
		find(f, "FACP", &len);
		assert_int_equal(len, 276);
		find(f, "APIC", &len);
		find(f, "MCFG", &len);
		assert_int_equal(len, 60);
		find_dsdt(f, &len);
	}
}

static void nothing_is_written_elsewhere(void **state)
{
	struct fixture *f = *state;
	uint8_t *ram = mem_ptr(f->mem, 0, 4 << 20);

	memset(ram, 0x5a, 4 << 20);
	assert_int_equal(build(f, 64), 0);
	assert_int_equal(build(f, 1000000), -E2BIG);
	for (size_t i = 0; i < 4 << 20; i++)
		if ((i < REGION || i >= REGION_END) && ram[i] != 0x5a)
			fail_msg("byte %#zx was written", i);
}

static void fadt_tells_the_power_hardware(void **state)
{
	struct fixture *f = *state;
	const uint8_t *p, *facs;
	uint32_t len;

	assert_int_equal(build(f, 1), 0);
	p = find(f, "FACP", &len);
	assert_int_equal(le(p + 40, 4), le(p + 140, 8)); /* DSDT, X_DSDT */
	facs = at(f, le(p + 36, 4), 64);
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal(le(p + 36, 4) % 64, 0);
	assert_int_equal(le(facs + 4, 4), 64);
	assert_int_equal(le(p + 46, 2), 9);     /* SCI */
	assert_int_equal(le(p + 48, 4), 0);     /* always in ACPI mode */
	assert_int_equal(le(p + 56, 4), 0x600); /* PM1a event */
	assert_int_equal(le(p + 64, 4), 0x604); /* PM1a control */
	assert_int_equal(p[88], 4);
	assert_int_equal(p[89], 2);
	assert_int_equal(le(p + 152, 8), 0x600); /* the same as addresses of 64 bits */
	assert_int_equal(le(p + 176, 8), 0x604);
	/* flags: the power button is fixed hardware, there is a reset register, it is no
	 * hardware-reduced machine */
	assert_int_equal(le(p + 112, 4) & (1u << 4 | 1u << 10 | 1u << 20), 1u << 10);
	assert_int_equal(p[116], 1); /* reset: a port, 8 bits, 0xfe to 0x64 */
	assert_int_equal(p[117], 8);
	assert_int_equal(le(p + 120, 8), 0x64);
	assert_int_equal(p[128], 0xfe);
	/* no 8042, no VGA, no RTC */
	assert_int_equal(le(p + 109, 2) & (1 << 1 | 1 << 2 | 1 << 5), 1 << 2 | 1 << 5);
}

struct madt_seen {
	unsigned int lapics, x2apics, ioapics, nmis, x2nmis;
	int64_t irq0, irq9, irq9_flags;
};

/* Walks the entries, each processor told once and in order. */
static struct madt_seen madt_walk(struct fixture *f)
{
	struct madt_seen s = { .irq0 = -1, .irq9 = -1 };
	uint32_t len, off = 44, cpu = 0;
	const uint8_t *p = find(f, "APIC", &len);

	assert_int_equal(le(p + 36, 4), 0xfee00000);
	for (; off < len; off += p[off + 1]) {
		const uint8_t *e = p + off;

		assert_in_range(e[1], 2, len - off);
		switch (e[0]) {
		case 0:
			assert_int_equal(e[1], 8);
			assert_int_equal(e[3], cpu++);
			assert_true(e[3] != 255);
			assert_int_equal(le(e + 4, 4), 1);
			s.lapics++;
			break;
		case 9:
			assert_int_equal(e[1], 16);
			assert_int_equal(le(e + 4, 4), cpu++);
			assert_int_equal(le(e + 8, 4), 1);
			s.x2apics++;
			break;
		case 1:
			assert_int_equal(e[1], 12);
			assert_int_equal(le(e + 4, 4), 0xfec00000);
			assert_int_equal(le(e + 8, 4), 0);
			s.ioapics++;
			break;
		case 2:
			assert_int_equal(e[1], 10);
			if (e[3] == 0)
				s.irq0 = (int64_t)le(e + 4, 4);
			if (e[3] == 9) {
				s.irq9 = (int64_t)le(e + 4, 4);
				s.irq9_flags = (int64_t)le(e + 8, 2);
			}
			break;
		case 4: s.nmis += e[5] == 1; break;
		case 0xa: s.x2nmis += e[8] == 1; break;
		default: fail_msg("entry of type %u", e[0]);
		}
	}
	assert_int_equal(off, len);
	return s;
}

static void madt_tells_every_cpu(void **state)
{
	static const unsigned int cpus[] = { 1, 4, 64, 255, 256, 300 };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		unsigned int n = cpus[i];
		struct madt_seen s;

		assert_int_equal(build(f, n), 0);
		s = madt_walk(f);
		assert_int_equal(s.lapics, n < 255 ? n : 255);
		assert_int_equal(s.x2apics, n < 255 ? 0 : n - 255);
		assert_int_equal(s.ioapics, 1);
		assert_int_equal(s.nmis, 1);
		assert_int_equal(s.x2nmis, n > 255);
		assert_int_equal(s.irq0, 2);
		assert_int_equal(s.irq9, 9);
		assert_int_equal(s.irq9_flags, 0x0d);
	}
}

static void mcfg_tells_the_ecam(void **state)
{
	struct fixture *f = *state;
	const uint8_t *p;
	uint32_t len;
	uint64_t v;

	assert_int_equal(build(f, 1), 0);
	p = find(f, "MCFG", &len);
	assert_true(bus_read(vm_mmio(f->vm), 0, le(p + 44, 8), 4, &v)); /* the host bridge */
	assert_int_equal(v & 0xffff, 0x8086);
	assert_int_equal(p[54], 0);
	/* the last bus that is told is within the window */
	assert_true(bus_read(vm_mmio(f->vm), 0, le(p + 44, 8) + ((uint64_t)p[55] << 20), 4, &v));
}

/* --- AML --- */
/* The body of the object called `name` (a Name's value) in the DSDT. */
static const uint8_t *aml_find(struct fixture *f, const uint8_t *from, const char *name)
{
	uint32_t len;
	const uint8_t *p = find_dsdt(f, &len), *end = p + len;

	for (p = from ? from : p + 36; p + 5 < end; p++)
		if (p[0] == 0x08 && !memcmp(p + 1, name, 4))
			return p + 5;
	fail_msg("there is no %s", name);
	return NULL;
}

static const uint8_t *aml_find_device(struct fixture *f, const char *name)
{
	uint32_t len;
	const uint8_t *p = find_dsdt(f, &len);

	for (uint32_t i = 36; i + 10 < len; i++)
		if (p[i] == 0x5b && p[i + 1] == 0x82)
			for (uint32_t k = 3; k < 7; k++)
				if (!memcmp(p + i + k, name, 4))
					return p + i;
	fail_msg("there is no device %s", name);
	return NULL;
}

static uint64_t take_length(const uint8_t **p)
{
	unsigned int more = **p >> 6;
	uint64_t v = more ? **p & 15 : **p & 63;

	for (unsigned int i = 0; i < more; i++)
		v |= (uint64_t)(*p)[1 + i] << (4 + 8 * i);
	*p += 1 + more;
	return v;
}

static uint64_t take_int(const uint8_t **p)
{
	uint8_t op = *(*p)++;
	unsigned int n = op == 0x0a ? 1 : op == 0x0b ? 2 : op == 0x0c ? 4 : op == 0x0e ? 8 : 0;
	uint64_t v = n ? le(*p, n) : op;

	assert_true(n || op <= 1);
	*p += n;
	return v;
}

static void take_package(const uint8_t **p, unsigned int n)
{
	assert_int_equal(*(*p)++, 0x12);
	take_length(p);
	assert_int_equal(*(*p)++, n);
}

static struct pci_dev *add_device(struct fixture *f, uint64_t size, bool is64)
{
	static const struct pci_id id = { .vendor = 0x1234, .class_code = 0x020000 };
	struct pci_dev *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	pci_dev_init(d, f->vm, "dev", &id, NULL);
	assert_int_equal(pci_add_bar(d, 0, PCI_BAR_CUSTOM, size, is64, false, NULL, NULL), 0);
	assert_int_equal(pci_add_bar(d, 2, PCI_BAR_IO, 0x40, false, false, NULL, NULL), 0);
	assert_int_equal(pci_register(d), 0);
	return d;
}

/* Each pin of each slot is told with the input that the bus raises for it. */
static void prt_agrees_with_the_bus(void **state)
{
	struct fixture *f = *state;
	struct pci_dev *d[32] = { NULL };
	const uint8_t *p;

	assert_int_equal(build(f, 1), 0);
	p = aml_find(f, NULL, "_PRT");
	take_package(&p, 31 * 4);
	for (unsigned int slot = 1; slot < 32; slot++) {
		d[slot] = add_device(f, 4096, false);
		assert_int_equal(d[slot]->slot, slot);
		for (unsigned int pin = 0; pin < 4; pin++) {
			take_package(&p, 4);
			assert_int_equal(take_int(&p), slot << 16 | 0xffff);
			assert_int_equal(take_int(&p), pin);
			assert_int_equal(take_int(&p), 0);
			assert_int_equal(take_int(&p), pci_intx_gsi(d[slot]));
		}
	}
	for (unsigned int slot = 1; slot < 32; slot++) {
		pci_unregister(d[slot]);
		free(d[slot]);
	}
}

/* Is [addr, addr + size) inside one of PCI0's windows of that kind (0 memory, 1 ports)? */
static bool in_window(struct fixture *f, unsigned int kind, uint64_t addr, uint64_t size)
{
	const uint8_t *p = aml_find(f, aml_find_device(f, "PCI0"), "_CRS");

	assert_int_equal(*p++, 0x11);
	take_length(&p);
	take_int(&p);
	while (*p != 0x79) {
		unsigned int len = *p & 0x80 ? 3u + (unsigned int)le(p + 1, 2) : 1u + (*p & 7),
			     n = *p == 0x88   ? 2
				 : *p == 0x87 ? 4
				 : *p == 0x8a ? 8
					      : 0;

		if (n) {
			uint64_t first = le(p + 6 + n, n), last = le(p + 6 + 2 * n, n);

			assert_int_equal(le(p + 6 + 4 * n, n), last - first + 1);
			if (p[3] == kind && addr >= first && addr + size - 1 <= last)
				return true;
		}
		p += len;
	}
	return false;
}

static uint64_t bar(const struct pci_dev *d, unsigned int i)
{
	return le(d->cfg + 0x10 + 4 * i, d->bar[i].is64 ? 8 : 4) & ~15ull;
}

static void bars_lie_within_the_windows(void **state)
{
	struct fixture *f = *state;
	struct pci_dev *d[] = { add_device(f, 16, false), add_device(f, 128 << 20, false),
				add_device(f, 16384, true), add_device(f, 64ull << 30, true) };

	assert_int_equal(build(f, 1), 0);
	for (unsigned int i = 0; i < 4; i++) {
		assert_true(in_window(f, 0, bar(d[i], 0), d[i]->bar[0].size));
		assert_true(in_window(f, 1, bar(d[i], 2), d[i]->bar[2].size));
		pci_unregister(d[i]);
	}
	assert_true(bar(d[3], 0) >= 1ull << 32);
	/* and what is not PCI's is in none */
	assert_false(in_window(f, 0, 0xe0000000, 4096)); /* ECAM */
	assert_false(in_window(f, 0, 0xfec00000, 4096)); /* IOAPIC */
	assert_false(in_window(f, 0, 0x100000, 4096));   /* RAM */
	assert_false(in_window(f, 1, 0xcf8, 8));
	for (unsigned int i = 0; i < 4; i++)
		free(d[i]);
}

static void com1_is_told(void **state)
{
	static const uint8_t crs[] = { 0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x22, 0x10, 0, 0x79, 0 };
	struct fixture *f = *state;
	const uint8_t *p;

	assert_int_equal(build(f, 1), 0);
	p = aml_find(f, aml_find_device(f, "COM1"), "_HID");
	assert_int_equal(take_int(&p), 0x0105d041); /* EISAID ("PNP0501") */
	p = aml_find(f, p, "_CRS");
	assert_int_equal(*p++, 0x11);
	take_length(&p);
	assert_int_equal(take_int(&p), sizeof(crs));
	assert_memory_equal(p, crs, sizeof(crs));
}

static void s5_is_told(void **state)
{
	struct fixture *f = *state;
	const uint8_t *p;

	assert_int_equal(build(f, 1), 0);
	p = aml_find(f, NULL, "_S5_");
	take_package(&p, 4);
	assert_int_equal(take_int(&p), 5);
}

/* Lengths on both sides of each step of their encoding (ACPI 6.5 section 20.2.4). */
static void aml_lengths_count_themselves(void **state)
{
	static const size_t bodies[] = { 1, 62, 63, 64, 4093, 4094, 4095, 70000 };
	static uint8_t buf[80000], fill[70000];
	struct aml a, r;

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		const uint8_t *p = buf + 1, *start = p;
		uint64_t len;

		aml_init(&a, buf, sizeof(buf));
		aml_package(&a, 1); /* the count is the body's first byte */
		for (size_t k = 1; k < bodies[i]; k++)
			aml_int(&a, 1);
		aml_end(&a);
		assert_true(aml_ok(&a));
		len = take_length(&p);
		assert_int_equal(len, a.len - 1);
		assert_int_equal(len, (size_t)(p - start) + bodies[i]);
		assert_int_equal(buf[a.len - 1], 1);
	}
	aml_init(&r, fill, 4); /* a buffer that is too small is told at the end */
	aml_res_io(&r, 0x3f8, 8);
	assert_false(aml_ok(&r));
	aml_init(&a, buf, 100);
	aml_resources(&a, &r);
	assert_false(aml_ok(&a));
	aml_init(&a, buf, 100);
	aml_scope(&a, "_SB_"); /* not closed */
	assert_false(aml_ok(&a));
	aml_end(&a);
	aml_end(&a); /* once too often */
	assert_false(aml_ok(&a));
}

/* --- for iasl --- */
static int write_table(const char *dir, const char *name, const uint8_t *p, uint32_t len)
{
	char path[4096];
	FILE *out;
	int ok;

	snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
	out = fopen(path, "w");
	ok = out && fwrite(p, len, 1, out) == 1;
	return out && fclose(out) == 0 && ok ? 0 : 1;
}

static int write_tables(const char *dir)
{
	struct fixture *f;
	void *state;
	uint32_t len;
	const uint8_t *p;
	int bad = setup(&state);

	f = state;
	if (bad || build(f, 300) < 0)
		return 1;
	p = find_dsdt(f, &len);
	bad = write_table(dir, "dsdt", p, len);
	p = find(f, "FACP", &len);
	bad |= write_table(dir, "facp", p, len);
	p = at(f, le(p + 36, 4), 64);
	bad |= write_table(dir, "facs", p, 64);
	p = find(f, "APIC", &len);
	bad |= write_table(dir, "apic", p, len);
	p = find(f, "MCFG", &len);
	bad |= write_table(dir, "mcfg", p, len);
	p = table(f, le(at(f, f->rsdp, 36) + 24, 8), "XSDT", &len);
	bad |= write_table(dir, "xsdt", p, len);
	teardown(&state);
	return bad;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(rsdp_is_where_a_kernel_searches),
		T(tables_are_linked_and_summed),
		T(nothing_is_written_elsewhere),
		T(fadt_tells_the_power_hardware),
		T(madt_tells_every_cpu),
		T(mcfg_tells_the_ecam),
		T(prt_agrees_with_the_bus),
		T(bars_lie_within_the_windows),
		T(com1_is_told),
		T(s5_is_told),
		T(aml_lengths_count_themselves),
	};
	const char *dir = getenv("FOURLANE_ACPI_DIR");

	if (dir)
		return write_tables(dir);
	return cmocka_run_group_tests_name("core/acpi", tests, NULL, NULL);
}
