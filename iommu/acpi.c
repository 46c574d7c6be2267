/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What DMAR and IVRS have in common: reading a table from sysfs and checking its header (ACPI 6.5,
 * section 5.2.6). Called by host_iommu.c, dmar.c and ivrs.c.
 */
#include "iommu_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acpi_abi.h"

int acpi_bad(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, ACPI_WHY_SIZE, fmt, ap);
	va_end(ap);
	return -EBADMSG;
}

void *acpi_grow(void **array, size_t n, size_t item_size)
{
	char *grown;

	/* capacity doubles: it is n rounded up to a power of two */
	if (!(n & (n - 1))) {
		grown = realloc(*array, (n ? n * 2 : 1) * item_size);
		if (!grown)
			return NULL;
		*array = grown;
	}
	return memset((char *)*array + n * item_size, 0, item_size);
}

int acpi_check(const uint8_t *data, size_t size, const char *name, size_t head, char *why)
{
	struct acpi_sdt sdt;
	uint8_t sum = 0;

	if (size < sizeof(sdt))
		return acpi_bad(why, "it has %zu bytes, a table header has %zu", size, sizeof(sdt));
	memcpy(&sdt, data, sizeof(sdt));
	if (memcmp(sdt.signature, name, 4))
		return acpi_bad(why, "its signature is not %s", name);
	if (sdt.length > size)
		return acpi_bad(why, "it says %u bytes and ends after %zu", sdt.length, size);
	if (sdt.length < head || sdt.length > ACPI_TABLE_MAX)
		return acpi_bad(why, "its length of %u bytes cannot be", sdt.length);
	for (uint32_t i = 0; i < sdt.length; i++)
		sum = (uint8_t)(sum + data[i]);
	if (sum)
		return acpi_bad(why, "its checksum is wrong: the bytes add up to 0x%02x, not 0",
				sum);
	return (int)sdt.length;
}

static int acpi_read_all(int fd, uint8_t *buf, size_t max)
{
	size_t used = 0;

	while (used < max) {
		ssize_t n = read(fd, buf + used, max - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (int)used;
}

int acpi_load(const char *sysfs, const char *name, uint8_t **out, size_t *size)
{
	char path[PATH_MAX];
	uint8_t *buf;
	int fd, n;

	snprintf(path, sizeof(path), "%s/firmware/acpi/tables/%s", sysfs, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	buf = malloc(ACPI_TABLE_MAX + 1);
	n = buf ? acpi_read_all(fd, buf, ACPI_TABLE_MAX + 1) : -ENOMEM;
	close(fd);
	if (n > (int)ACPI_TABLE_MAX)
		n = -EFBIG;
	if (n < 0) {
		free(buf);
		return n;
	}
	*out = buf;
	*size = (size_t)n;
	return 0;
}
