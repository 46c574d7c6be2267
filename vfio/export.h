/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An assigned function in the words of other monitors: what `fourlane export` prints.
 */
#ifndef VFIO_EXPORT_H
#define VFIO_EXPORT_H

#include <stddef.h>
#include <stdio.h>

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

/* export_text - the argument that follows export_format.option, or an XML element without a newline
 * at its end. Gives its length; cut to size. */
int export_text(const struct export_format *f, const char *bdf, char *buf, size_t size);

#endif
