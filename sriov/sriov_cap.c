/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SR-IOV capability of a PF in its configuration space (PCIe 6.0 section 9.3.3), by libpci, and
 * how much room its VFs' BARs take, from sysfs' `resource` (the capability holds addresses only).
 * Called by `nics`. Only root may read beyond the first 64 bytes: without that the capability is
 * not known. Reads, never writes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pci/pci.h>

#include "core/err.h"
#include "sriov_cap.h"

/* libpci has no way back from an error; one that only reads has none but memory that ran out. */
static void __attribute__((noreturn)) cap_error(char *msg, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, msg);
	vsnprintf(text, sizeof(text), msg, ap);
	va_end(ap);
	err_say("reading PCI capabilities: libpci: %s; free some memory", text);
	exit(FL_FAILED);
}

static void cap_silent(char *msg, ...)
{
}

static bool cap_parse(struct pci_dev *dev, struct sriov_cap *c)
{
	struct pci_cap *cap = pci_find_cap(dev, PCI_EXT_CAP_ID_SRIOV, PCI_CAP_EXTENDED);
	uint8_t raw[PCI_IOV_BAR_BASE];

	/* a cut or vanished device reads as nothing, or as all ones */
	if (!cap || !pci_read_block(dev, (int)cap->addr, raw, sizeof(raw)))
		return false;
	c->ari = raw[PCI_IOV_CTRL] & PCI_IOV_CTRL_ARI;
	memcpy(&c->initial, raw + PCI_IOV_INITIALVF, 2);
	memcpy(&c->total, raw + PCI_IOV_TOTALVF, 2);
	memcpy(&c->offset, raw + PCI_IOV_OFFSET, 2);
	memcpy(&c->stride, raw + PCI_IOV_STRIDE, 2);
	memcpy(&c->vf_device, raw + PCI_IOV_DID, 2);
	return c->total != 0xffff || c->initial != 0xffff;
}

bool sriov_cap_read(const struct host_view *v, const char *bdf, struct sriov_cap *out)
{
	unsigned int domain, bus, slot, func;
	char path[PATH_MAX], method[] = "sysfs.path";
	struct pci_access *pci;
	struct pci_dev *dev;
	bool known;

	memset(out, 0, sizeof(*out));
	if (sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &slot, &func) != 4)
		return false;
	snprintf(path, sizeof(path), "%s/bus/pci", v->sysfs);
	pci = pci_alloc();
	pci->error = cap_error;
	pci->warning = cap_silent;
	pci->debug = cap_silent;
	pci->method = PCI_ACCESS_SYS_BUS_PCI;
	pci_set_param(pci, method, path);
	pci_init(pci);
	dev = pci_get_dev(pci, (int)domain, (int)bus, (int)slot, (int)func);
	known = cap_parse(dev, out);
	pci_free_dev(dev);
	pci_cleanup(pci);
	return known;
}

/* The lines of `resource` behind BARs and ROM are the VFs' BARs, each for all of them. */
#define RESOURCE_FIRST_VF_BAR 7
#define RESOURCE_PREFETCH     0x00002000 /* IORESOURCE_ of linux/ioport.h */
#define RESOURCE_MEM_64       0x00100000

unsigned int sriov_cap_bars(const char *dir, struct sriov_bar out[SRIOV_N_BARS])
{
	char path[PATH_MAX], line[128];
	unsigned long long start, end, flags;
	unsigned int n = 0;
	FILE *f;

	if ((size_t)snprintf(path, sizeof(path), "%s/resource", dir) >= sizeof(path))
		return 0;
	f = fopen(path, "re");
	if (!f)
		return 0;
	for (int i = 0; i < RESOURCE_FIRST_VF_BAR + SRIOV_N_BARS; i++) {
		if (!fgets(line, sizeof(line), f) ||
		    sscanf(line, "%llx %llx %llx", &start, &end, &flags) != 3)
			break;
		if (i < RESOURCE_FIRST_VF_BAR || !flags || end <= start)
			continue;
		out[n++] = (struct sriov_bar){ .index = (unsigned int)(i - RESOURCE_FIRST_VF_BAR),
					       .size = end - start + 1,
					       .wide = flags & RESOURCE_MEM_64,
					       .prefetch = flags & RESOURCE_PREFETCH };
	}
	fclose(f);
	return n;
}
