/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: records of the kernel's log. The input is one record, and a second time the text
 * behind a header of the kernel's own. Besides memory safety it checks what is promised about what
 * is taken for a fault.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommu/iommu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int fuzz_seeds(size_t i, const uint8_t **data, size_t *size);

static void expect(bool good)
{
	if (!good)
		abort();
}

static void parse(const char *record, size_t size)
{
	struct iommu_fault f;

	if (!iommu_fault_parse(record, size, &f))
		return;
	expect(f.kind <= IOMMU_FAULT_SUPPRESSED);
	expect(f.kind == IOMMU_FAULT_SUPPRESSED || f.why[0]);
	expect(memchr(f.why, '\0', sizeof(f.why)) && f.dev < 32 && f.fn < 8);
	expect(f.has_domain || !f.domain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] = "3,1,1,-;";
	char *record = malloc(sizeof(head) - 1 + size);

	expect(record != NULL);
	memcpy(record, head, sizeof(head) - 1);
	if (size)
		memcpy(record + sizeof(head) - 1, data, size);
	parse(record, sizeof(head) - 1 + size);
	free(record);
	parse((const char *)data, size);
	return 0;
}

static const char *const seeds[] = {
	"DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 0x7c3a000 [fault reason "
	"0x06] PTE Read access is not set",
	"DMAR: [DMA Write] Request device [01:00.0] PASID ffffffff fault addr 7000 [fault reason "
	"05] x",
	"DMAR: [INTR-REMAP] Request device [f0:1f.7] fault index 0x0 [fault reason 0x25] Blocked",
	"vfio-pci 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000c "
	"address=0x7c3a000 flags=0x0030]",
	"AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=0000:02:00.0 pasid=0x00000 "
	"address=0x1000 flags=0x0a00]",
	"amd_iommu_report_page_fault: 131 callbacks suppressed",
	"6,339,5140900,-,caller=T1;DMAR: DRHD: handling fault status reg 2\n SUBSYSTEM=pci\n",
};

int fuzz_seeds(size_t i, const uint8_t **data, size_t *size)
{
	if (i >= sizeof(seeds) / sizeof(seeds[0]))
		return 0;
	*data = (const uint8_t *)seeds[i];
	*size = strlen(seeds[i]);
	return 1;
}
