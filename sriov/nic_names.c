/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vendor and device names by libpci's pci.ids, for people who read a list. Called by nics.c. Looks
 * only into the local file; a host without it shows numbers. libpci is not initialised (it would
 * end the process on an error): a name list takes none.
 */
#include <stdlib.h>
#include <pci/pci.h>

#include "sriov_priv.h"

struct nic_names {
	struct pci_access *pci;
};

static void silent(char *fmt, ...)
{
}

struct nic_names *nic_names_open(void)
{
	struct nic_names *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->pci = pci_alloc(); /* without pci_init(): nothing but names is wanted */
	n->pci->warning = silent;
	n->pci->debug = silent;
	return n;
}

void nic_names_close(struct nic_names *n)
{
	if (!n)
		return;
	pci_free_name_list(n->pci);
	pci_cleanup(n->pci);
	free(n);
}

void nic_names_find(struct nic_names *n, unsigned int vendor, unsigned int device, char *v, char *d,
		    size_t size)
{
	v[0] = d[0] = '\0';
	if (!n || vendor > 0xffff || device > 0xffff)
		return;
	/* without a name these give NULL and may have written the number */
	if (!pci_lookup_name(n->pci, v, (int)size, PCI_LOOKUP_VENDOR | PCI_LOOKUP_NO_NUMBERS,
			     (int)vendor))
		v[0] = '\0';
	if (!pci_lookup_name(n->pci, d, (int)size, PCI_LOOKUP_DEVICE | PCI_LOOKUP_NO_NUMBERS,
			     (int)vendor, (int)device))
		d[0] = '\0';
}
