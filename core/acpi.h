/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables that tell a guest what its machine has: processors, interrupt controllers, the
 * PCI bus with its windows and interrupt lines, the serial port, how to power off and to reset.
 * ACPI 6.5. A guest that looks for them finds them without being told, as a PC's.
 */
#ifndef CORE_ACPI_H
#define CORE_ACPI_H

#include "core/mem.h"

/* Where they lie: the part of a PC's BIOS area that is searched for the RSDP. No RAM to a guest. */
#define ACPI_BASE 0xe0000ull
#define ACPI_SIZE 0x20000ull

struct acpi_conf {
	unsigned int n_cpus;              /* with the local APIC ids 0, 1, ... */
	uint64_t mmio64_base, mmio64_end; /* the PCI bus's window above 4 GiB */
};

/*
 * acpi_build - writes the tables into guest memory; *rsdp is where they begin. -E2BIG after a
 * message: more CPUs than fit (some thousand).
 */
int acpi_build(struct guest_mem *mem, const struct acpi_conf *conf, gpa_t *rsdp);

#endif
