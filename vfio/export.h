/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An assigned function in the words of other monitors: what `fourlane export` prints.
 */
#ifndef VFIO_EXPORT_H
#define VFIO_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/registry.h"
#include "iommu/iommu.h"

/* A function to hand over, and what was set for it where somebody set something. */
struct export_function {
	char bdf[IOMMU_BDF_SIZE];
	/*
	 * A VF with these settings. libvirt sets them itself, to exactly these, and can say nothing
	 * else of a VLAN than its number (no QoS, 802.1Q).
	 */
	bool vf;
	uint8_t mac[6];
	uint16_t vlan; /* 0: none */
};

/*
 * Words besides PCI addresses that `export` takes: a folder that gives functions to somebody
 * registers what they are called.
 */
struct export_names {
	/*
	 * The functions of that name: 0, *out (freed by the caller) and *n; -ENOENT without a
	 * message when it is no name of theirs, or another negative errno after one.
	 */
	int (*find)(const char *name, struct export_function **out, size_t *n);
};
#define EXPORT_NAMES(ptr) REGISTER(fl_export_names, struct export_names, ptr)

struct export_format {
	const char *name;
	/* What goes before an address and after it on a command line; NULL for XML. */
	const char *option, *before, *after;
};

/* export_find - the format of that name, or NULL. export_names - all, as "qemu|libvirt|...". */
const struct export_format *export_find(const char *name);
const char *export_names(void);

/*
 * export_check - 0 when the function is bound to vfio-pci and its group can be given away, else a
 * negative errno after a message that names the mend. sysfs: the folder.
 */
int export_check(const char *sysfs, const char *bdf);

/*
 * export_text - the argument that follows export_format.option, or an XML element without a newline
 * at its end. Gives its length; cut to size. -EINVAL: fn->bdf is no PCI address.
 */
int export_text(const struct export_format *f, const struct export_function *fn, char *buf,
		size_t size);

#endif
