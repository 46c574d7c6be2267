/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI addresses as people type them and as sysfs spells them: domain:bus:device.function, the
 * domain optional. Used by every command that takes a BDF. It does not look whether the function
 * exists.
 */
#include "iommu/iommu.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Hexadecimal digits at *s, at least min and at most max of them; moves *s behind them. */
static bool bdf_hex(const char **s, unsigned int min, unsigned int max, unsigned int *out)
{
	unsigned int n = 0, v = 0;

	for (; n < max && isxdigit((unsigned char)**s); n++, (*s)++) {
		int c = tolower((unsigned char)**s);

		v = v << 4 | (unsigned int)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*out = v;
	return n >= min;
}

static bool bdf_char(const char **s, char c)
{
	return *(*s) == c && (*s)++;
}

int iommu_bdf_parse(const char *text, char out[IOMMU_BDF_SIZE])
{
	unsigned int domain = 0, bus, dev, fn;
	const char *s = text;
	const char *colon = strchr(text, ':');

	if (colon && strchr(colon + 1, ':'))
		if (!bdf_hex(&s, 1, 6, &domain) || !bdf_char(&s, ':'))
			return -EINVAL;
	if (!bdf_hex(&s, 1, 2, &bus) || !bdf_char(&s, ':') || !bdf_hex(&s, 1, 2, &dev) ||
	    dev > 31 || !bdf_char(&s, '.') || !bdf_hex(&s, 1, 1, &fn) || fn > 7 || *s)
		return -EINVAL;
	snprintf(out, IOMMU_BDF_SIZE, "%04x:%02x:%02x.%x", domain & 0xffffff, bus & 0xff, dev, fn);
	return 0;
}
