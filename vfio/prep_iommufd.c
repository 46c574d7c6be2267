/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a function by its own node (/dev/vfio/devices/vfioN) and iommufd: bound to /dev/iommu,
 * attached to an address space there, which all devices of a guest share. With the caller's rights,
 * or out of what the caller has opened (fd=, iommufd-fd=). Called by prep_vfio.c. include/uapi/
 * linux/vfio.h, Documentation/userspace-api/iommufd.rst of Linux 6.12. KVM may be told of the
 * function after it is bound: only drivers that vfio-pci is not want to know before.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/err.h"
#include "prep_vfio.h"

static int iommufd_open(const struct vfio_prep *p)
{
	char path[PATH_MAX];

	if (p->given.iommufd >= 0)
		return vfio_given_copy("iommufd-fd", p->given.iommufd, "/dev/iommu");
	snprintf(path, sizeof(path), "%s/iommu", p->host->dev);
	return vfio_prep_node(p, path, "KERNEL==\"iommu\", SUBSYSTEM==\"misc\"",
			      "run 'modprobe iommufd', the kernel needs CONFIG_IOMMUFD");
}

/* The guest's iommufd with its address space, made at the first device. The prep owns it. */
static int iommufd_shared(struct vfio_prep *p)
{
	int fd = prep_shared_fd(p->g, "iommufd"), ret;
	uint32_t ioas;

	if (fd >= 0 && p->given.iommufd >= 0 && !vfio_given_same(fd, p->given.iommufd))
		return err_ret(-EINVAL,
			       "--nic vfio: iommufd-fd=%d is not the iommufd that the guest's "
			       "other devices are bound to; give all of them one",
			       p->given.iommufd);
	if (fd >= 0)
		return fd;
	fd = iommufd_open(p);
	if (fd < 0)
		return fd;
	ret = iommu_ioas_create(fd, &ioas);
	if (ret == 0)
		return vfio_prep_share(p, "iommufd", fd, ioas);
	close(fd);
	if (p->given.iommufd >= 0 && ret != -ENOMEM)
		return err_ret(-EINVAL,
			       "--nic vfio: iommufd-fd=%d is no iommufd; hand in /dev/iommu",
			       p->given.iommufd);
	return err_ret(
		vfio_prep_errno(-ret),
		"opening %s: making an address space in /dev/iommu: %s; see the kernel's log",
		p->bdf, strerror(-ret));
}

static int cdev_open(const struct vfio_prep *p)
{
	char path[PATH_MAX];

	if (p->given.device >= 0)
		return vfio_given_copy("fd", p->given.device, "a node of /dev/vfio/devices");
	if (vfio_device_node(p->host->sysfs, p->host->dev, p->bdf, path, sizeof(path)))
		return vfio_prep_node(p, path, "SUBSYSTEM==\"vfio-dev\"", "is /dev a devtmpfs?");
	return err_ret(-ENODEV,
		       "opening %s: the kernel gives it no node in /dev/vfio/devices; use one with "
		       "CONFIG_VFIO_DEVICE_CDEV, or dma=type1",
		       p->bdf);
}

/* The kernel says EINVAL for a function that is in use by its own node, EBUSY by its group's. */
static int cdev_bind_failed(const struct vfio_prep *p, int err)
{
	if (err == EPERM)
		return err_ret(-EOPNOTSUPP,
			       "opening %s: the IOMMU does not remap interrupts, so a guest could "
			       "forge them; turn on interrupt remapping (x2APIC) in the firmware, "
			       "or accept that with 'modprobe iommufd allow_unsafe_interrupts=1'",
			       p->bdf);
	if (err == EINVAL && p->given.device >= 0)
		return err_ret(-EINVAL,
			       "--nic vfio: fd=%d: %s is bound to an iommufd already, by this "
			       "descriptor or another; open it anew for each guest",
			       p->given.device, p->bdf);
	if (err == EBUSY || err == EINVAL)
		return vfio_prep_busy(p);
	return err_ret(-err, "opening %s: binding it to the iommufd: %s; see the kernel's log",
		       p->bdf, strerror(err));
}

static int cdev_attach(struct vfio_prep *p, int fd, int iommufd, uint32_t ioas)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = ioas };

	if (ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0)
		return cdev_bind_failed(p, errno);
	if (ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) < 0)
		return err_ret(vfio_prep_errno(errno),
			       "opening %s: attaching it to the address space: %s; see the "
			       "kernel's log (RMRR, IOMMUs that differ)",
			       p->bdf, strerror(errno));
	p->lent.device = p->given.device;
	return 0;
}

/* An address space in what stays open when we are gone would stay, with what is mapped in it. */
static int iommufd_note(struct vfio_prep *p, int iommufd, uint32_t ioas)
{
	if (p->given.device < 0 && p->given.iommufd < 0)
		return 0;
	p->lent.ioas = ioas;
	p->lent.iommufd = fcntl(iommufd, F_DUPFD_CLOEXEC, 3);
	return p->lent.iommufd < 0
		       ? err_ret(-errno, "opening %s: copying a descriptor: %s; raise 'ulimit -n'",
				 p->bdf, strerror(errno))
		       : 0;
}

int vfio_prep_iommufd(struct vfio_prep *p)
{
	int iommufd = iommufd_shared(p), fd, ret;
	uint32_t ioas = prep_shared_number(p->g, "iommufd");

	if (iommufd < 0)
		return iommufd;
	ret = iommufd_note(p, iommufd, ioas);
	if (ret < 0)
		return ret;
	fd = cdev_open(p);
	if (fd < 0)
		return fd == -EBUSY ? vfio_prep_busy(p) : fd;
	ret = cdev_attach(p, fd, iommufd, ioas);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}
