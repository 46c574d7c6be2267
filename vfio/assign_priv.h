/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files assign*.c share. assign.c holds the two actions, assign_check.c what is asked
 * before them, assign_bind.c what they write into sysfs, assign_record.c and assign_keep.c what
 * they remember on disk, assign_inuse*.c whether the host needs a function, assign_sys.c this
 * machine, looks, waits and writes.
 */
#ifndef VFIO_ASSIGN_PRIV_H
#define VFIO_ASSIGN_PRIV_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "iommu/iommu.h"
#include "vfio/vfio.h"

#define VFIO_DRIVER "vfio-pci"

/* One call: the host and the VFIO_ASSIGN_* flags. With VFIO_ASSIGN_DRY_RUN every function below
 * that changes something only tells vfio_sys.step. */
struct assign {
	const struct vfio_sys *s;
	unsigned int flags;
};

/* --- looks and writes (assign_sys.c) -------------------------------------- */
/* assign_driver - the driver that is bound now, "" for none. */
void assign_driver(const struct vfio_sys *s, const char *bdf, char *buf, size_t size);
/* assign_override - driver_override as text, "" for none. */
void assign_override(const struct vfio_sys *s, const char *bdf, char *buf, size_t size);
/* assign_attr - a file of the function in sysfs, "" when it cannot be read. */
void assign_attr(const struct vfio_sys *s, const char *bdf, const char *file, char *buf,
		 size_t size);
bool assign_exists(const struct vfio_sys *s, const char *bdf);
bool assign_have_driver(const struct vfio_sys *s, const char *driver);
/* assign_modprobe - runs it with an option ("-n": only look) and a module; true when it says that
 * all went well. */
bool assign_modprobe(const struct vfio_sys *s, const char *option, const char *module);

/* assign_tell - a step for the caller's eyes. */
void assign_tell(const struct assign *a, const char *what, const char *path, const char *text);
/* assign_write - text into the sysfs file of that name. Negative errno without a message. */
int assign_write(const struct assign *a, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* assign_sys_write - vfio_sys.write of this machine. What hangs in the kernel is left behind. */
int assign_sys_write(void *opaque, const char *path, const char *text, unsigned int deadline_ms);

/*
 * A wait with a deadline: begin, then ask before each new look. assign_wait_more() pauses; it is
 * false when the time is over, and says once, when it takes long, what is waited for.
 */
struct assign_wait {
	uint64_t end_ms, note_ms;
};
void assign_wait_begin(struct assign_wait *w, unsigned int ms);
bool assign_wait_more(struct assign_wait *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* assign_lock - two calls at the same time would mix up their records. A descriptor to close, or
 * negative errno after a message. */
int assign_lock(const struct vfio_sys *s);

/* assign_node - the file in <dev> by which programs open the function: that of its group, or its
 * own where the kernel has no groups. False while there is none. */
bool assign_node(const struct vfio_sys *s, const char *bdf, char *buf, size_t size);

/* assign_opener - pid of another process that has one of the paths open ("" matches nothing), 0
 * when none can be seen. */
int assign_opener(const char *proc, const char *path, const char *other);

/* --- files (assign_record.c) ---------------------------------------------- */
/* assign_file_store - durable when it returns: temporary file, fsync, rename, fsync of the folder.
 * assign_file_drop - the same for removing; none there is fine. Negative errno, no message. */
int assign_file_store(const struct assign *a, const char *path, const char *text);
int assign_file_drop(const struct assign *a, const char *path);
/* assign_file_string - a string out of such a file; false when it is missing, another thing or too
 * long. */
bool assign_file_string(const json_t *o, const char *key, char *buf, size_t size);

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
/* assign_record_valid - the record of this device and this boot; -ENOENT also for one of another
 * time. */
int assign_record_valid(const struct vfio_sys *s, const char *bdf, struct assign_record *out);
/* assign_record_make - what has to be put back one day. Negative errno after a message. */
int assign_record_make(const struct vfio_sys *s, const char *bdf, struct assign_record *r);
/* assign_record_store - durable when it returns. Negative errno after a message. */
int assign_record_store(const struct assign *a, const struct assign_record *r);
/* assign_record_drop - none there is fine. Negative errno after a message. */
int assign_record_drop(const struct assign *a, const char *bdf);

/* --- kept across reboots (assign_keep.c) ---------------------------------- */
/* Which device it is, beyond its address. Sysfs text; "" for what the device does not tell. */
struct assign_ident {
	char vendor[12], device[12], subsystem_vendor[12], subsystem_device[12];
	char serial[24]; /* PCIe 6.0, 7.9.3: sixteen hex digits */
};
struct assign_kept {
	struct assign_ident ident;
	char driver[64]; /* that the function had; "" for none */
};

/* assign_keep_load - -ENOENT when it is not kept, -EINVAL after a message for a damaged file. */
int assign_keep_load(const struct vfio_sys *s, const char *bdf, struct assign_kept *out);
/* assign_keep_store, assign_keep_drop - negative errno after a message. */
int assign_keep_store(const struct assign *a, const char *bdf);
int assign_keep_drop(const struct assign *a, const char *bdf);
/* assign_keep_same - 0 when the kept device is the one that is there, else an error after a message
 * that shows both. */
int assign_keep_same(const struct vfio_sys *s, const char *bdf, const struct assign_kept *k);

/* --- before anything (assign_check.c) ------------------------------------- */
/* Both give a negative errno after a message. */
int assign_check(const struct assign *a, const char *const *bdfs, size_t n);
int assign_check_rights(const struct assign *a, const char *bdf, const char *doing);

/*
 * assign_in_use - whether taking the function away would hurt the host: why is filled. A PF that
 * has VFs, a NIC with an address or a route, itself or through what is stacked on it, a disk that
 * is mounted, swapped to, part of another device or open, the console's display, keyboard or line.
 */
bool assign_in_use(const struct vfio_sys *s, const char *bdf, char *why, size_t size);
/* Its parts; function is the function's real path in sysfs. */
bool assign_disk_in_use(const struct vfio_sys *s, const char *function, char *why, size_t size);
bool assign_console_in_use(const struct vfio_sys *s, const char *bdf, const char *function,
			   char *why, size_t size);
/* assign_below - path is dir or lies below it. */
bool assign_below(const char *path, const char *dir);

/* --- binding (assign_bind.c) ---------------------------------------------- */
/* assign_load_vfio - loads vfio-pci when it is not there. */
int assign_load_vfio(const struct assign *a, const char *bdf);
/* assign_bind_vfio - from whatever driver to vfio-pci, until its node is there. */
int assign_bind_vfio(const struct assign *a, const char *bdf);
/* assign_restore - everything as the record says, which is dropped last. Any point before may be
 * where an earlier run ended. */
int assign_restore(const struct assign *a, const struct assign_record *r);
/* assign_release - without a record: from vfio-pci to the kernel's choice. */
int assign_release(const struct assign *a, const char *bdf);
/* assign_wait_unused - until nobody has the function open: taking it from vfio-pci would block in
 * the kernel for as long. All give a negative errno after a message. */
int assign_wait_unused(const struct assign *a, const char *bdf);

#endif
