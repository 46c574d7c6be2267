/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The microguest's small library: memory, numbers, time, COM1 (16550, polled) and the options of
 * the command line. Called by the loop and the drivers. Leaves out whatever they do not need.
 */
#include "mg_lib.h"

#define COM1           0x3f8
#define COM1_LSR       (COM1 + 5)
#define LSR_DATA       0x01
#define LSR_THR_EMPTY  0x20
#define LSR_IDLE       0x40
#define PORT_EXIT      0xf4 /* isa-debug-exit, or the monitor's own */
#define PORT_KEYBOARD  0x64
#define KEYBOARD_RESET 0xfe
/* fourlane's power-off (core/pm.h). Other monitors sleep otherwise, or have nothing there. */
#define PORT_PM_CONTROL 0x604
#define PM_OFF          (5 << 10 | 1 << 13)

#define ARENA_SIZE (20u << 20) /* two NICs with large buffers */

/* One guest, one run: the arena and mg_main.c's NICs are all there is of globals. */
static uint8_t arena[ARENA_SIZE] __attribute__((aligned(4096)));
static size_t arena_used;

void *memset(void *dst, int byte, size_t size)
{
	void *start = dst;

	asm volatile("rep stosb" : "+D"(dst), "+c"(size) : "a"(byte) : "memory");
	return start;
}

void *memcpy(void *dst, const void *src, size_t size)
{
	void *start = dst;

	asm volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(size) : : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const uint8_t *left = a, *right = b;

	for (size_t i = 0; i < size; i++)
		if (left[i] != right[i])
			return left[i] - right[i];
	return 0;
}

void *mg_alloc(size_t size, size_t align)
{
	size_t at = (arena_used + align - 1) & -align;

	if (at > ARENA_SIZE || size > ARENA_SIZE - at)
		mg_fail("out of memory");
	arena_used = at + size;
	return memset(arena + at, 0, size); /* also touches every page */
}

uint64_t mg_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t quotient, high;

	asm("mulq %3; divq %4" : "=a"(quotient), "=&d"(high) : "0"(a), "r"(b), "r"(c) : "cc");
	return quotient;
}

uint64_t mg_ticks(const struct mg *mg, uint64_t ms)
{
	return mg_muldiv(ms, mg->opt.hz, 1000);
}

uint64_t mg_ns(const struct mg *mg, uint64_t ticks)
{
	return mg_muldiv(ticks, 1000000000, mg->opt.hz);
}

void mg_wait_us(const struct mg *mg, uint64_t us)
{
	uint64_t start = mg_tsc(), ticks = mg_muldiv(us, mg->opt.hz, 1000000);

	while (mg_tsc() - start < ticks)
		mg_relax();
}

static void sift_down(uint32_t *values, uint32_t root, uint32_t n)
{
	uint32_t value = values[root];

	for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
		if (child + 1 < n && values[child + 1] > values[child])
			child++;
		if (values[child] <= value)
			break;
		values[root] = values[child];
	}
	values[root] = value;
}

/* Heap sort, ascending. */
void mg_sort(uint32_t *values, uint32_t n)
{
	for (uint32_t i = n / 2; i-- > 0;)
		sift_down(values, i, n);
	for (uint32_t end = n; end-- > 1;) {
		uint32_t largest = values[0];

		values[0] = values[end];
		values[end] = largest;
		sift_down(values, 0, end);
	}
}

/* ---- COM1 ----------------------------------------------------------------------------------- */
static void wait_lsr(uint8_t bits)
{
	for (int i = 0; i < 100000 && !(mg_in8(COM1_LSR) & bits); i++)
		mg_relax();
}

static void put_char(char c)
{
	wait_lsr(LSR_THR_EMPTY);
	mg_out8(COM1, (uint8_t)c);
}

void mg_puts(const char *text)
{
	while (*text)
		put_char(*text++);
}

void mg_put_dec(uint64_t value)
{
	char digits[21];
	int at = 20;

	digits[20] = 0;
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	mg_puts(digits + at);
}

void mg_put_hex(uint64_t value, int digits)
{
	while (digits-- > 0)
		put_char("0123456789abcdef"[value >> (4 * digits) & 15]);
}

void mg_put_field(const char *name, uint64_t value)
{
	put_char(' ');
	mg_puts(name);
	put_char('=');
	mg_put_dec(value);
}

void mg_put_mac(const uint8_t mac[6])
{
	for (int i = 0; i < 6; i++) {
		if (i)
			put_char(':');
		mg_put_hex(mac[i], 2);
	}
}

int mg_getc(void)
{
	uint8_t lsr = mg_in8(COM1_LSR);

	if (lsr == 0xff || !(lsr & LSR_DATA)) /* all ones: nobody is there */
		return -1;
	return mg_in8(COM1);
}

void mg_quit(int code)
{
	wait_lsr(LSR_IDLE);
	mg_out8(PORT_EXIT, (uint8_t)code);
	mg_out16(PORT_PM_CONTROL, PM_OFF);
	mg_reset();
}

void mg_reset(void)
{
	wait_lsr(LSR_IDLE);
	mg_out8(PORT_KEYBOARD, KEYBOARD_RESET);
	for (;;)
		mg_relax();
}

void mg_fail(const char *reason)
{
	mg_puts("FL FAIL ");
	mg_puts(reason);
	mg_puts("\n");
	mg_quit(1);
}

/* From start.S, in ring 0, on its stack. */
void mg_exception(uint64_t vector, uint64_t rip)
{
	mg_puts("FL FAIL exception ");
	mg_put_dec(vector);
	mg_puts(" at 0x");
	mg_put_hex(rip, 16);
	mg_puts("\n");
	mg_quit(1);
}

/* ---- Options -------------------------------------------------------------------------------- */
static int ends_word(char c)
{
	return !c || c == ' ' || c == '\t' || c == '\n';
}

const char *mg_opt_text(const char *cmdline, const char *key)
{
	const char *at = cmdline;

	while (*at) {
		const char *word = at, *want = key;

		while (*want && *word == *want) {
			word++;
			want++;
		}
		if (!*want && *word == '=')
			return word + 1;
		while (!ends_word(*at))
			at++;
		while (*at && ends_word(*at))
			at++;
	}
	return NULL;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

uint64_t mg_opt_number(const char *cmdline, const char *key, uint64_t otherwise)
{
	const char *text = mg_opt_text(cmdline, key);
	uint64_t value = 0;
	int base = 10;

	if (!text || digit(*text) > 9)
		return otherwise;
	if (text[0] == '0' && text[1] == 'x') {
		base = 16;
		text += 2;
	}
	for (; digit(*text) < base; text++)
		value = value * (uint64_t)base + (uint64_t)digit(*text);
	return value;
}

int mg_opt_is(const char *cmdline, const char *key, const char *value)
{
	const char *text = mg_opt_text(cmdline, key);

	if (!text)
		return 0;
	while (*value && *text == *value) {
		text++;
		value++;
	}
	return !*value && ends_word(*text);
}

/* Leaves mac alone when the option is not there. */
void mg_opt_mac(const char *cmdline, const char *key, uint8_t mac[6])
{
	const char *text = mg_opt_text(cmdline, key);
	uint8_t bytes[6];

	if (!text)
		return;
	for (int i = 0; i < 6; i++, text += 3) {
		if (digit(text[0]) > 15 || digit(text[1]) > 15 || (i < 5 && text[2] != ':'))
			mg_fail("a MAC address is wrong");
		bytes[i] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
	}
	memcpy(mac, bytes, 6);
}

void mg_put_opt(const char *cmdline, const char *key)
{
	const char *text = mg_opt_text(cmdline, key);

	if (!text)
		text = "?";
	while (!ends_word(*text))
		put_char(*text++);
}
