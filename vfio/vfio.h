/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handing a physical PCI function to a guest, as the other folders see it: binding it to vfio-pci
 * and back (sriov carves VFs and does the same with them), opening it for a guest, and what the
 * host lacks for that.
 *
 * Kernel: Documentation/driver-api/vfio.rst, Documentation/ABI/testing/sysfs-bus-pci
 * (driver_override, drivers_probe).
 */
#ifndef VFIO_VFIO_H
#define VFIO_VFIO_H

#include <stdbool.h>
#include <stddef.h>

#include "core/host.h"
#include "core/prep.h"
#include "iommu/iommu.h"

/* --- binding -------------------------------------------------------------- */
/*
 * The host that assign and unassign work on. vfio_sys_real() fills in this machine; a test gives
 * folders of its own and a write() that acts as the kernel would.
 */
struct vfio_sys {
	const char *sysfs, *proc;
	const char *dev;          /* where nodes appear; NULL: they are not waited for */
	const char *state;        /* folder of the records; exists */
	const char *modprobe;     /* program that loads a module, or NULL */
	unsigned int deadline_ms; /* for each wait: unbind, bind, the node, another call */
	/* One write to a sysfs file, at most so long. Negative errno (-ETIMEDOUT: the kernel is
	 * still at it), no message. */
	int (*write)(void *opaque, const char *path, const char *text, unsigned int deadline_ms);
	/* Whether a network interface has an address of its own, or a route leads through it
	 * (link-local ones and multicast do not count); whether a block device is claimed
	 * (mounted, part of another). 0, 1 or negative errno. NULL: never. */
	int (*has_address)(void *opaque, const char *ifname);
	int (*has_route)(void *opaque, const char *ifname);
	int (*is_claimed)(void *opaque, const char *disk);
	/* What is done, or would be done in a dry run: "write" (text into the sysfs file path),
	 * "store" (the file path gets text), "remove" (the file path), "load" (the module text).
	 * NULL: nobody wants to know. */
	void (*step)(void *opaque, const char *what, const char *path, const char *text);
	void *opaque;
};

/*
 * vfio_sys_real - this machine; the folder's name goes into state_buf, which has to live as long as
 * *s. Negative errno after a message.
 */
int vfio_sys_real(struct vfio_sys *s, char *state_buf, size_t size);

#define VFIO_ASSIGN_FORCE    1u /* also what the host has in use */
#define VFIO_ASSIGN_DRY_RUN  2u /* tell the steps, change nothing */
#define VFIO_ASSIGN_KEEP     4u /* vfio_restore() takes it again after a reboot */
#define VFIO_ASSIGN_NO_IOMMU 8u /* also without an IOMMU, when VFIO's no-IOMMU mode is on */

/*
 * vfio_assign - binds functions to vfio-pci, all of them or none: checks rights, groups and use
 * first, records the old driver on disk durably, then changes. What is bound already stays as it
 * is. bdfs in the form of iommu_bdf_parse(). Negative errno after a message: -ENODEV/-EOPNOTSUPP
 * when the host lacks something, -EBUSY for a refusal, -ETIMEDOUT, -ENOENT, -EACCES.
 */
int vfio_assign(const struct vfio_sys *s, const char *const *bdfs, size_t n, unsigned int flags);

/*
 * vfio_unassign - puts the recorded driver and driver_override back, also after a crash at any
 * point of vfio_assign() or of itself, drops the record and forgets VFIO_ASSIGN_KEEP. Without a
 * record the kernel chooses the driver. Refuses while a process has the function open (-EBUSY).
 * Nothing to do is success.
 */
int vfio_unassign(const struct vfio_sys *s, const char *const *bdfs, size_t n, unsigned int flags);
/* vfio_driver_there - the kernel has a driver of that name, perhaps after its module was loaded. */
bool vfio_driver_there(const struct vfio_sys *s, const char *driver);
/* vfio_recorded - vfio_assign() took it, or began to, and nobody gave it back in this boot. */
bool vfio_recorded(const struct vfio_sys *s, const char *bdf);

/*
 * vfio_kept - the functions that VFIO_ASSIGN_KEEP wants, sorted; *out is freed by the caller.
 * vfio_restore - assigns those, group by group. A group with a function that is gone, or in whose
 * place another device sits, is left alone, and an error given when all are through. Negative errno
 * after a message.
 */
int vfio_kept(const struct vfio_sys *s, char (**out)[IOMMU_BDF_SIZE], size_t *n);
int vfio_restore(const struct vfio_sys *s, unsigned int flags);

/* vfio_user - pid of a process that has the function's VFIO group or device open, 0 when none can
 * be seen. */
int vfio_user(const char *sysfs, const char *proc, const char *bdf);

/*
 * vfio_group_node / vfio_device_node - the file by which programs open a group, or the function
 * itself (a kernel with CONFIG_VFIO_DEVICE_CDEV; false: it has none). `dev` is "/dev". It need not
 * be there.
 */
void vfio_group_node(const char *sysfs, const char *dev, int id, char *buf, size_t size);
bool vfio_device_node(const char *sysfs, const char *dev, const char *bdf, char *buf, size_t size);

/* --- for fourlane run ----------------------------------------------------- */
/* How the DMA of a guest's functions is mapped: one way for all of them. */
enum vfio_dma {
	VFIO_DMA_AUTO, /* as the guest's other functions; else type1 where the caller can open its
			  nodes, else iommufd */
	VFIO_DMA_TYPE1,
	VFIO_DMA_IOMMUFD,
};

/* vfio_dma_take - the key dma=auto|type1|iommufd of a --nic. -EINVAL after a message. */
int vfio_dma_take(struct opts *o, enum vfio_dma *out);

/*
 * vfio_prep_memory - may this account lock the guest's memory, as a device's DMA wants? For who
 * changes something on the host before vfio_prep_open(), which asks as well. Raises RLIMIT_MEMLOCK
 * where that is allowed. -EPERM after a message with the need, the limit and the mend.
 */
int vfio_prep_memory(struct prep_guest *g, const char *bdf);

/*
 * vfio_prep_open - checks that the function is bound to vfio-pci and its group viable, looks at
 * the limit of locked memory, opens the function and what goes with it (container and group, or an
 * iommufd), hands them to the NIC, and sets the NIC's lane ("vf" for an SR-IOV VF, else "direct")
 * and its device options ("vfio,host=BDF,...,dma=type1"). Negative errno after a message that names
 * the mend. Nothing to release.
 */
int vfio_prep_open(struct prep_guest *g, struct prep_nic *nic, const char *bdf, enum vfio_dma dma);

/* --- for fourlane host ---------------------------------------------------- */
/* vfio_host_check - what the lane "direct" (and "vm-aware") misses: KVM, an active IOMMU, vfio-pci,
 * a way to map DMA. */
void vfio_host_check(const struct host_view *v, struct host_lane_report *r);

/* vfio_locks_freely - no limit of locked memory counts for us (CAP_IPC_LOCK on the host). */
bool vfio_locks_freely(const struct host_view *v);

#endif
