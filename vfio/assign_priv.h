/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files assign*.c share: the record of a function that was taken from its driver, and the
 * question whether it is in use.
 */
#ifndef VFIO_ASSIGN_PRIV_H
#define VFIO_ASSIGN_PRIV_H

#include <stdbool.h>

#include "iommu/iommu.h"
#include "vfio/vfio.h"

struct assign_record {
	char bdf[IOMMU_BDF_SIZE];
	char driver[64];             /* "" when no driver was bound */
	char override[64];           /* driver_override as it was; "" for none */
	char vendor[12], device[12]; /* sysfs text: the record is for this device only */
	char boot_id[48];            /* and for this boot only: sysfs starts afresh at each */
};

/* assign_record_load - -ENOENT when there is none; -EINVAL after a message when it cannot be
 * understood. */
int assign_record_load(const struct vfio_sys *s, const char *bdf, struct assign_record *out);
/* assign_record_store - durable when it returns: temporary file, fsync, rename, fsync of the
 * folder. Negative errno after a message. */
int assign_record_store(const struct vfio_sys *s, const struct assign_record *r);
/* assign_record_drop - none there is fine. Negative errno after a message. */
int assign_record_drop(const struct vfio_sys *s, const char *bdf);

/*
 * assign_in_use - whether taking the function away would hurt the host: why is filled. A bridge, a
 * PF that has VFs, a NIC with an address or a route or under a bridge or bond, a disk that is
 * mounted or swapped to.
 */
bool assign_in_use(const struct vfio_sys *s, const char *bdf, char *why, size_t size);

#endif
