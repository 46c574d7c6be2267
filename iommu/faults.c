/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one line of the kernel's log says about a fault of the IOMMU. Text only, no file: the line
 * may be anybody's, so each part of it is looked for where the kernel puts it, and whatever differs
 * is no fault. Records that a program wrote into the log are not the kernel's and count for
 * nothing. Called by faults_log.c. Kernel: drivers/iommu/intel/dmar.c, drivers/iommu/amd/iommu.c,
 * lib/ratelimit.c, Documentation/ABI/testing/dev-kmsg. The bits of AMD-Vi's flags: AMD I/O
 * Virtualization Technology (IOMMU) Specification 3.08, section 2.5.3 (IO_PAGE_FAULT).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommu/iommu.h"

#define TEXT_MAX 512

enum {
	KMSG_FACILITY = ~7, /* of the number that a record begins with; the kernel's own is 0 */
	FLAG_INTERRUPT = 1 << 3,
	FLAG_PRESENT = 1 << 4, /* otherwise the next has no meaning */
	FLAG_WRITE = 1 << 5,
};

/* --- pieces of a line ----------------------------------------------------- */

static bool take(const char **p, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*p, word, n))
		return false;
	*p += n;
	return true;
}

static int digit_of(char c, unsigned int base)
{
	int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;

	return v < (int)base ? v : -1;
}

/* 1 to 16 digits, in lower case as the kernel writes them. */
static bool take_number(const char **p, unsigned int base, uint64_t max, uint64_t *out)
{
	const char *start = *p;
	uint64_t v = 0;

	for (int d; **p && *p - start < 17 && (d = digit_of(**p, base)) >= 0; (*p)++)
		v = v * base + (uint64_t)d;
	*out = v;
	return *p > start && *p - start <= 16 && v <= max;
}

static bool take_hex(const char **p, uint64_t max, uint64_t *out)
{
	take(p, "0x");
	return take_number(p, 16, max, out);
}

/* "0000:01:00.0" or "01:00.0". */
static bool take_bdf(const char **p, struct iommu_fault *f)
{
	uint64_t a, b, c, d;

	if (!take_number(p, 16, 0xffffffff, &a) || !take(p, ":") || !take_number(p, 16, 0xff, &b))
		return false;
	f->has_domain = take(p, ":");
	if (f->has_domain) {
		if (!take_number(p, 16, 31, &c))
			return false;
	} else {
		c = b;
		b = a;
		a = 0;
	}
	if (b > 0xff || c > 31 || !take(p, ".") || !take_number(p, 16, 7, &d))
		return false;
	f->domain = (uint32_t)a;
	f->bus = (uint8_t)b;
	f->dev = (uint8_t)c;
	f->fn = (uint8_t)d;
	return true;
}

/* --- VT-d ----------------------------------------------------------------- */
/*
 * DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 0x7000 [fault reason 0x06] PTE ...
 * DMAR: [DMA Write PASID 0x1] ..., DMAR: [INTR-REMAP] Request device [f0:1f.7] fault index 0x0 ...
 * Before 5.13: [DMA Read] Request device [01:00.0] PASID ffffffff fault addr 7000 [fault reason 06]
 */
static bool vtd_parse(const char *p, struct iommu_fault *f)
{
	const char *end;
	uint64_t pasid;

	take(&p, "DMAR:"); /* once more, before 5.13 */
	if (take(&p, "[DMA Read"))
		f->kind = IOMMU_FAULT_READ;
	else if (take(&p, "[DMA Write"))
		f->kind = IOMMU_FAULT_WRITE;
	else if (take(&p, "[INTR-REMAP"))
		f->kind = IOMMU_FAULT_INTERRUPT;
	else
		return false;
	p = strchr(p, ']');
	if (!p || !take(&p, "] Request device [") || !take_bdf(&p, f) || !take(&p, "]"))
		return false;
	if (take(&p, " PASID ") && !take_hex(&p, ~0ull, &pasid))
		return false;
	if (!take(&p, f->kind == IOMMU_FAULT_INTERRUPT ? " fault index " : " fault addr ") ||
	    !take_hex(&p, ~0ull, &f->addr) || !take(&p, " ["))
		return false;
	end = strchr(p, ']');
	if (!end || strncmp(p, "fault reason ", 13))
		return false;
	snprintf(f->why, sizeof(f->why), "%.*s%s%s", (int)(end - p), p, end[1] ? "," : "", end + 1);
	return true;
}

/* --- AMD-Vi --------------------------------------------------------------- */

/* The value of "key=0x..." among the words up to the closing bracket. */
static bool amd_value(const char *words, const char *key, uint64_t *out)
{
	size_t n = strlen(key);

	for (const char *p = words; (p = strchr(p, ' '));) {
		p++;
		if (!strncmp(p, key, n)) {
			p += n;
			return take_hex(&p, ~0ull, out);
		}
	}
	return false;
}

static enum iommu_fault_kind amd_kind(const char *event, uint64_t flags)
{
	if (strncmp(event, "IO_PAGE_FAULT", 13))
		return IOMMU_FAULT_OTHER;
	if (flags & FLAG_INTERRUPT)
		return IOMMU_FAULT_INTERRUPT;
	if (!(flags & FLAG_PRESENT))
		return IOMMU_FAULT_DMA;
	return flags & FLAG_WRITE ? IOMMU_FAULT_WRITE : IOMMU_FAULT_READ;
}

/*
 * vfio-pci 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000c address=0x7000
 * flags=0x0010], or, for a device that Linux does not know, AMD-Vi: Event logged [IO_PAGE_FAULT
 * device=0000:01:00.0 domain=...; other events always name it so, since the device in front of
 * them is the IOMMU itself. `before`: what stands in front of "AMD-Vi: ".
 */
static bool amd_parse(const char *before, size_t n_before, const char *p, struct iommu_fault *f)
{
	char words[TEXT_MAX];
	const char *end, *device;
	size_t n_event;
	uint64_t flags = 0;

	if (!take(&p, "Event logged [") || !(end = strchr(p, ']')))
		return false;
	snprintf(words, sizeof(words), "%.*s", (int)(end - p), p);
	n_event = strspn(words, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
	if (!n_event || words[n_event] != ' ')
		return false;
	device = strstr(words, " device=");
	if (device) {
		device += strlen(" device=");
	} else if (n_before > 2 && !strncmp(before + n_before - 2, ": ", 2)) {
		for (device = before + n_before - 2; device > before && device[-1] != ' ';)
			device--;
	} else {
		return false;
	}
	if (!take_bdf(&device, f) || !amd_value(words, "address=", &f->addr))
		return false;
	amd_value(words, "flags=", &flags);
	f->kind = amd_kind(words, flags);
	snprintf(f->why, sizeof(f->why), "%.*s, flags 0x%x", (int)(n_event < 48 ? n_event : 48),
		 words, (unsigned int)(flags & 0xffff));
	/* no device has this address, the host bridge does no DMA: what the emulated AMD-Vi says */
	f->untold = !f->domain && !f->bus && !f->dev && !f->fn;
	return true;
}

/* --- a record ------------------------------------------------------------- */

/* dmar_fault: 54 callbacks suppressed */
static bool suppressed_parse(const char *p, struct iommu_fault *f)
{
	if (take(&p, "dmar_fault: ")) {
		/* the number follows */
	} else if (take(&p, "amd_iommu_report_")) {
		p = strstr(p, ": ");
		if (!p)
			return false;
		p += 2;
	} else {
		return false;
	}
	f->kind = IOMMU_FAULT_SUPPRESSED;
	return take_number(&p, 10, ~0ull, &f->n) && take(&p, " callbacks suppressed");
}

/* The first line behind the header goes into buf; false: it is not the kernel's own. */
static bool record_text(const char *record, size_t len, char buf[TEXT_MAX])
{
	const char *text = memchr(record, ';', len), *end, *p = record;
	char head[24];
	uint64_t prio;
	size_t n = len < sizeof(head) - 1 ? len : sizeof(head) - 1;

	memcpy(head, record, n);
	head[n] = '\0';
	p = head;
	if (!text || !take_number(&p, 10, 0xffff, &prio) || *p != ',' ||
	    prio & (uint64_t)KMSG_FACILITY)
		return false;
	text++;
	len -= (size_t)(text - record);
	end = memchr(text, '\n', len);
	if (end)
		len = (size_t)(end - text);
	if (len >= TEXT_MAX)
		len = TEXT_MAX - 1;
	memcpy(buf, text, len);
	buf[len] = '\0';
	return true;
}

bool iommu_fault_parse(const char *record, size_t len, struct iommu_fault *out)
{
	char text[TEXT_MAX];
	const char *p = text, *amd;

	memset(out, 0, sizeof(*out));
	if (!record_text(record, len, text))
		return false;
	if (take(&p, "DMAR: "))
		return vtd_parse(p, out);
	amd = strstr(text, "AMD-Vi: ");
	if (amd)
		return amd_parse(text, (size_t)(amd - text), amd + strlen("AMD-Vi: "), out);
	return suppressed_parse(text, out);
}
