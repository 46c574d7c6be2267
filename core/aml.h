/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An encoder for AML, the byte code in which ACPI tables describe devices (ACPI 6.5 chapter 20),
 * as far as acpi.c needs it. Objects are written in the order in which ASL has them: what has an
 * inside is opened by one call and closed by aml_end(). A buffer that is too small is noticed at
 * the end, by aml_ok().
 *
 *	aml_device(a, "COM1");
 *	aml_name(a, "_HID");
 *	aml_eisaid(a, "PNP0501");
 *	aml_end(a);
 */
#ifndef CORE_AML_H
#define CORE_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AML_DEPTH 8

struct aml {
	uint8_t *buf; /* the caller's */
	size_t size, len;
	bool bad; /* did not fit, or was nested too deep */
	unsigned int depth;
	size_t open[AML_DEPTH]; /* where the length of what is open belongs */
};

void aml_init(struct aml *a, void *buf, size_t size);
/* aml_ok - all of it fitted and is closed. */
bool aml_ok(const struct aml *a);

/* --- what has an inside; names have four characters --- */
void aml_scope(struct aml *a, const char *name); /* of the root: \NAME */
void aml_device(struct aml *a, const char *name);
void aml_method(struct aml *a, const char *name, unsigned int n_args); /* serialized */
void aml_package(struct aml *a, uint8_t n);
void aml_if_not_equal(struct aml *a); /* two operands follow, then what is done */
void aml_end(struct aml *a);

/* --- names and values --- */
void aml_name(struct aml *a, const char *name); /* its value follows */
void aml_path(struct aml *a, const char *name); /* mentions it */
void aml_int(struct aml *a, uint64_t v);
void aml_eisaid(struct aml *a, const char *id); /* "PNP0A08" */
/* A UUID in the byte order of ToUUID(), of "33db4d5b-1ff7-401c-9657-7441c03dd766". */
void aml_uuid(struct aml *a, const char *text);

/* --- inside a method --- */
void aml_arg(struct aml *a, unsigned int i);
/* CreateDWordField (Arg<i>, byte, name) */
void aml_dword_field(struct aml *a, unsigned int i, unsigned int byte, const char *name);
/* name |= bits */
void aml_or_into(struct aml *a, const char *name, uint64_t bits);
void aml_return_arg(struct aml *a, unsigned int i);

/*
 * --- resources (ACPI 6.5 section 6.4) --- written into an encoder of their own, which
 * aml_resources() closes and takes into `a` as a buffer.
 */
void aml_res_io(struct aml *r, uint16_t base, uint8_t size);
void aml_res_irq(struct aml *r, unsigned int irq); /* ISA: edge, active high */
void aml_res_memory(struct aml *r, uint32_t base, uint32_t size);
/* What a bridge passes on: bus numbers, ports, memory; first and last. */
void aml_res_window_bus(struct aml *r, uint16_t first, uint16_t last);
void aml_res_window_io(struct aml *r, uint16_t first, uint16_t last);
void aml_res_window_memory(struct aml *r, uint32_t first, uint32_t last);
void aml_res_window_memory64(struct aml *r, uint64_t first, uint64_t last);
void aml_resources(struct aml *a, struct aml *r);

#endif
