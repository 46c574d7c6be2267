/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See aml.h. The numbers are those of ACPI 6.5 tables 20.1 (AML) and section 6.4 (resources). */
#include "core/aml.h"

#include <stdlib.h>
#include <string.h>

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_SCOPE = 0x10,
	OP_QWORD = 0x0e,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_EXT = 0x5b,
	OP_EXT_DEVICE = 0x82,
	OP_ARG0 = 0x68,
	OP_OR = 0x7d,
	OP_CREATE_DWORD_FIELD = 0x8a,
	OP_LNOT = 0x92,
	OP_LEQUAL = 0x93,
	OP_IF = 0xa0,
	OP_RETURN = 0xa4,
	ROOT = '\\',
	METHOD_SERIALIZED = 0x08,
};

enum {
	RES_IRQ = 0x22, /* small, 2 bytes */
	RES_IO = 0x47,  /* small, 7 bytes */
	RES_END = 0x79, /* small, 1 byte */
	RES_MEM32 = 0x86,
	RES_DWORD = 0x87,
	RES_WORD = 0x88,
	RES_QWORD = 0x8a,
	WINDOW_MEMORY = 0,
	WINDOW_IO = 1,
	WINDOW_BUS = 2,
	WINDOW_FIXED = 0x0c, /* _MIF, _MAF; it is passed on (producer), decoded positively */
	IO_ENTIRE = 3,       /* both ISA and other ports */
	MEM_WRITE = 1,       /* read and write, not cacheable */
	IO_DECODE_16 = 1,
};

void aml_init(struct aml *a, void *buf, size_t size)
{
	*a = (struct aml){ .buf = buf, .size = size };
}

bool aml_ok(const struct aml *a)
{
	return !a->bad && !a->depth;
}

static void aml_bytes(struct aml *a, const void *data, size_t len)
{
	if (a->bad || len > a->size - a->len) {
		a->bad = true;
		return;
	}
	memcpy(a->buf + a->len, data, len);
	a->len += len;
}

static void aml_le(struct aml *a, uint64_t v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		aml_bytes(a, &(uint8_t){ (uint8_t)(v >> (8 * i)) }, 1);
}

static void aml_op(struct aml *a, uint8_t op)
{
	aml_bytes(a, &op, 1);
}

static void aml_open(struct aml *a, uint8_t op)
{
	aml_op(a, op);
	if (a->depth == AML_DEPTH)
		a->bad = true;
	else
		a->open[a->depth++] = a->len;
}

/*
 * Section 20.2.4: the length counts its own bytes. Up to 63 it is one byte; beyond, the first holds
 * the number of the others and the low four bits.
 */
void aml_end(struct aml *a)
{
	size_t start, inside, total;
	unsigned int more = 0;
	uint8_t code[4];

	if (!a->depth || a->bad) {
		a->bad = true;
		return;
	}
	start = a->open[--a->depth];
	inside = a->len - start;
	total = inside + 1;
	if (total > 63)
		for (more = 1; (total = inside + 1 + more) >> (4 + 8 * more); more++)
			;
	code[0] = (uint8_t)(more ? more << 6 | (total & 15) : total);
	for (unsigned int i = 0; i < more; i++)
		code[1 + i] = (uint8_t)(total >> (4 + 8 * i));
	aml_bytes(a, code, 1 + more); /* room for it */
	if (a->bad)
		return;
	memmove(a->buf + start + 1 + more, a->buf + start, inside);
	memcpy(a->buf + start, code, 1 + more);
}

void aml_path(struct aml *a, const char *name)
{
	aml_bytes(a, name, 4);
}

void aml_scope(struct aml *a, const char *name)
{
	aml_open(a, OP_SCOPE);
	aml_op(a, ROOT);
	aml_path(a, name);
}

void aml_device(struct aml *a, const char *name)
{
	aml_op(a, OP_EXT);
	aml_open(a, OP_EXT_DEVICE);
	aml_path(a, name);
}

void aml_method(struct aml *a, const char *name, unsigned int n_args)
{
	aml_open(a, OP_METHOD);
	aml_path(a, name);
	aml_op(a, (uint8_t)(n_args | METHOD_SERIALIZED));
}

void aml_package(struct aml *a, uint8_t n)
{
	aml_open(a, OP_PACKAGE);
	aml_op(a, n);
}

void aml_if_not_equal(struct aml *a)
{
	aml_open(a, OP_IF);
	aml_op(a, OP_LNOT);
	aml_op(a, OP_LEQUAL);
}

void aml_name(struct aml *a, const char *name)
{
	aml_op(a, OP_NAME);
	aml_path(a, name);
}

void aml_int(struct aml *a, uint64_t v)
{
	if (v <= 1) {
		aml_op(a, v ? OP_ONE : OP_ZERO);
	} else if (v <= UINT8_MAX) {
		aml_op(a, OP_BYTE);
		aml_le(a, v, 1);
	} else if (v <= UINT16_MAX) {
		aml_op(a, OP_WORD);
		aml_le(a, v, 2);
	} else if (v <= UINT32_MAX) {
		aml_op(a, OP_DWORD);
		aml_le(a, v, 4);
	} else {
		aml_op(a, OP_QWORD);
		aml_le(a, v, 8);
	}
}

/* Section 19.3.4: three letters of five bits each, four hexadecimal digits, big-endian. */
void aml_eisaid(struct aml *a, const char *id)
{
	uint32_t v = (uint32_t)(id[0] - 0x40) << 26 | (uint32_t)(id[1] - 0x40) << 21 |
		     (uint32_t)(id[2] - 0x40) << 16 | (uint32_t)strtoul(id + 3, NULL, 16);

	aml_op(a, OP_DWORD);
	aml_le(a, __builtin_bswap32(v), 4);
}

static void aml_buffer(struct aml *a, const void *data, size_t len)
{
	aml_open(a, OP_BUFFER);
	aml_int(a, len);
	aml_bytes(a, data, len);
	aml_end(a);
}

void aml_uuid(struct aml *a, const char *text)
{
	/* the character at which each byte's two digits stand (section 19.6.142) */
	static const uint8_t at[16] = { 6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34 };
	uint8_t raw[16];

	for (unsigned int i = 0; i < 16; i++)
		raw[i] = (uint8_t)strtoul((char[]){ text[at[i]], text[at[i] + 1], 0 }, NULL, 16);
	aml_buffer(a, raw, sizeof(raw));
}

void aml_arg(struct aml *a, unsigned int i)
{
	aml_op(a, (uint8_t)(OP_ARG0 + i));
}

void aml_dword_field(struct aml *a, unsigned int i, unsigned int byte, const char *name)
{
	aml_op(a, OP_CREATE_DWORD_FIELD);
	aml_arg(a, i);
	aml_int(a, byte);
	aml_path(a, name);
}

void aml_or_into(struct aml *a, const char *name, uint64_t bits)
{
	aml_op(a, OP_OR);
	aml_path(a, name);
	aml_int(a, bits);
	aml_path(a, name);
}

void aml_return_arg(struct aml *a, unsigned int i)
{
	aml_op(a, OP_RETURN);
	aml_arg(a, i);
}

void aml_res_io(struct aml *r, uint16_t base, uint8_t size)
{
	aml_op(r, RES_IO);
	aml_op(r, IO_DECODE_16);
	aml_le(r, base, 2);
	aml_le(r, base, 2);
	aml_op(r, 1); /* alignment */
	aml_op(r, size);
}

void aml_res_irq(struct aml *r, unsigned int irq)
{
	aml_op(r, RES_IRQ);
	aml_le(r, 1u << irq, 2);
}

void aml_res_memory(struct aml *r, uint32_t base, uint32_t size)
{
	aml_op(r, RES_MEM32);
	aml_le(r, 9, 2);
	aml_op(r, MEM_WRITE);
	aml_le(r, base, 4);
	aml_le(r, size, 4);
}

/* Address space descriptors of the three widths differ in nothing else. */
static void aml_window(struct aml *r, uint8_t type, unsigned int width, uint8_t kind, uint8_t flags,
		       uint64_t first, uint64_t last)
{
	aml_op(r, type);
	aml_le(r, 3 + 5 * width, 2);
	aml_op(r, kind);
	aml_op(r, WINDOW_FIXED);
	aml_op(r, flags);
	aml_le(r, 0, width); /* granularity */
	aml_le(r, first, width);
	aml_le(r, last, width);
	aml_le(r, 0, width); /* translation */
	aml_le(r, last - first + 1, width);
}

void aml_res_window_bus(struct aml *r, uint16_t first, uint16_t last)
{
	aml_window(r, RES_WORD, 2, WINDOW_BUS, 0, first, last);
}

void aml_res_window_io(struct aml *r, uint16_t first, uint16_t last)
{
	aml_window(r, RES_WORD, 2, WINDOW_IO, IO_ENTIRE, first, last);
}

void aml_res_window_memory(struct aml *r, uint32_t first, uint32_t last)
{
	aml_window(r, RES_DWORD, 4, WINDOW_MEMORY, MEM_WRITE, first, last);
}

void aml_res_window_memory64(struct aml *r, uint64_t first, uint64_t last)
{
	aml_window(r, RES_QWORD, 8, WINDOW_MEMORY, MEM_WRITE, first, last);
}

void aml_resources(struct aml *a, struct aml *r)
{
	aml_op(r, RES_END);
	aml_op(r, 0); /* no checksum */
	if (!aml_ok(r))
		a->bad = true;
	else
		aml_buffer(a, r->buf, r->len);
}
