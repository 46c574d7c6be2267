/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a function by its group: container, group, device, with the caller's rights or out of
 * what the caller has opened (group-fd=, container-fd=). One container for all devices of a guest,
 * one descriptor for two functions of a group. Called by prep_vfio.c.
 * Documentation/driver-api/vfio.rst.
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
#include "core/mem.h"
#include "prep_vfio.h"

static int type1_open_container(const struct vfio_prep *p)
{
	char path[PATH_MAX];

	if (p->given.container >= 0)
		return vfio_given_copy("container-fd", p->given.container, "/dev/vfio/vfio");
	snprintf(path, sizeof(path), "%s/vfio/vfio", p->host->dev);
	return vfio_prep_node(p, path, "KERNEL==\"vfio\", SUBSYSTEM==\"misc\"",
			      "run 'modprobe vfio-pci', the kernel needs CONFIG_VFIO_CONTAINER");
}

static int type1_check_container(const struct vfio_prep *p, int fd)
{
	if (ioctl(fd, VFIO_GET_API_VERSION) == VFIO_API_VERSION) {
		if (ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1)
			return 0;
	} else if (p->given.container >= 0) {
		return err_ret(-EINVAL,
			       "--nic vfio: container-fd=%d is no VFIO container; hand in "
			       "/dev/vfio/vfio",
			       p->given.container);
	}
	return err_ret(-EOPNOTSUPP,
		       "opening %s: this kernel's VFIO has no type1v2 IOMMU; run 'modprobe "
		       "vfio_iommu_type1'",
		       p->bdf);
}

/*
 * Asks without a change (a new address for memory that is not there, Linux 5.12): ENOENT where
 * nothing at all is mapped.
 */
static bool type1_is_empty(int fd, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = VFIO_DMA_MAP_FLAG_VADDR, .iova = iova, .size = size
	};

	return !size || (ioctl(fd, VFIO_IOMMU_MAP_DMA, &m) < 0 && errno == ENOENT);
}

/*
 * The caller's container may hold other groups, and what they have mapped is not ours to take away:
 * where the guest's memory goes nothing may be. Where the kernel does not tell, what a monitor that
 * is killed leaves there stays until the caller closes it.
 */
static int type1_lend(struct vfio_prep *p, int fd)
{
	uint64_t size = vfio_round_mem(prep_guest_mem(p->g)), low;
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	bool used = ioctl(fd, VFIO_IOMMU_GET_INFO, &info) == 0;

	if (p->given.container < 0 ||
	    (used && ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR) != 1))
		return 0;
	low = size < MEM_LOW_END ? size : MEM_LOW_END;
	if (used &&
	    (!type1_is_empty(fd, 0, low) || !type1_is_empty(fd, MEM_HIGH_START, size - low)))
		return err_ret(-EINVAL,
			       "--nic vfio: container-fd=%d: something is mapped already where the "
			       "guest's memory goes; hand in a container of its own",
			       p->given.container);
	p->lent.container = p->given.container;
	p->lent.mem_size = size;
	return 0;
}

/* The guest's container, made at the first device. The prep owns it. */
static int type1_container(struct vfio_prep *p)
{
	int fd = prep_shared_fd(p->g, "container"), ret;

	if (fd >= 0 && p->given.container >= 0 && !vfio_given_same(fd, p->given.container))
		return err_ret(-EINVAL,
			       "--nic vfio: container-fd=%d is not the container that the guest's "
			       "other devices are in; give all of them one",
			       p->given.container);
	if (fd >= 0)
		return fd;
	fd = type1_open_container(p);
	if (fd < 0)
		return fd;
	ret = type1_check_container(p, fd);
	if (ret == 0)
		ret = type1_lend(p, fd);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return vfio_prep_share(p, "container", fd, 0);
}

static int type1_open_group(const struct vfio_prep *p)
{
	char path[PATH_MAX];
	int fd, id;

	if (p->given.group < 0) {
		snprintf(path, sizeof(path), "%s/vfio/%u", p->host->dev, p->group);
		fd = vfio_prep_node(p, path, "SUBSYSTEM==\"vfio\"",
				    "is vfio-pci loaded and /dev a devtmpfs?");
		return fd == -EBUSY ? vfio_prep_busy(p) : fd;
	}
	id = vfio_given_group(p->host, p->given.group);
	if (id >= 0 && (unsigned int)id != p->group)
		return err_ret(-EINVAL,
			       "--nic vfio: group-fd=%d is group %d, and %s is in group %u; hand "
			       "in /dev/vfio/%u",
			       p->given.group, id, p->bdf, p->group, p->group);
	snprintf(path, sizeof(path), "/dev/vfio/%u", p->group);
	return vfio_given_copy("group-fd", p->given.group, path);
}

/* 1: it is in a container already, as the caller wants it; 0: it is in none. */
static int type1_check_group(const struct vfio_prep *p, int group)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };

	if (ioctl(group, VFIO_GROUP_GET_STATUS, &st) < 0)
		return p->given.group >= 0
			       ? err_ret(-EINVAL,
					 "--nic vfio: group-fd=%d is no VFIO group; hand in "
					 "/dev/vfio/%u",
					 p->given.group, p->group)
			       : err_ret(vfio_prep_errno(errno),
					 "opening %s: status of group %u: %s; see the kernel's log",
					 p->bdf, p->group, strerror(errno));
	if (!(st.flags & VFIO_GROUP_FLAGS_VIABLE))
		return err_ret(-EBUSY,
			       "opening %s: the kernel says that group %u is in use by the host; "
			       "see 'fourlane groups'",
			       p->bdf, p->group);
	if (!(st.flags & VFIO_GROUP_FLAGS_CONTAINER_SET))
		return 0;
	if (p->given.container >= 0)
		return 1;
	return err_ret(-EINVAL,
		       "--nic vfio: group-fd=%d is in a container already; hand that in, too, as "
		       "container-fd=",
		       p->given.group);
}

static int type1_attach(struct vfio_prep *p, int group, int container)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	int ret = type1_check_group(p, group);

	if (ret < 0)
		return ret;
	if (ret == 0 && ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0)
		return err_ret(vfio_prep_errno(errno),
			       "opening %s: putting group %u into the container: %s; see the "
			       "kernel's log (RMRR, interrupt remapping)",
			       p->bdf, p->group, strerror(errno));
	if (ret == 0)
		p->lent.group = p->given.group;
	/* a container has its type chosen once, when it has its first group; before that it cannot
	 * answer */
	if (ioctl(container, VFIO_IOMMU_GET_INFO, &info) == 0 ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0)
		return 0;
	if (errno == EPERM)
		return err_ret(-EOPNOTSUPP,
			       "opening %s: the IOMMU does not remap interrupts, so a guest could "
			       "forge them; turn on interrupt remapping "
			       "(x2APIC) in the firmware, or accept that with 'modprobe "
			       "vfio_iommu_type1 allow_unsafe_interrupts=1'",
			       p->bdf);
	return err_ret(vfio_prep_errno(errno),
		       "opening %s: choosing the IOMMU type: %s; see the kernel's log", p->bdf,
		       strerror(errno));
}

/* The group's descriptor in the guest's container, shared by its functions. The prep owns it. */
static int type1_group(struct vfio_prep *p, int container)
{
	char name[24];
	int fd, ret;

	snprintf(name, sizeof(name), "group%u", p->group);
	fd = prep_shared_fd(p->g, name);
	if (fd >= 0 && p->given.group >= 0 && !vfio_given_same(fd, p->given.group))
		return err_ret(-EINVAL,
			       "--nic vfio: group-fd=%d is not the group %u that the guest has "
			       "already; leave it out",
			       p->given.group, p->group);
	if (fd >= 0)
		return fd;
	fd = type1_open_group(p);
	if (fd < 0)
		return fd;
	ret = type1_attach(p, fd, container);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return vfio_prep_share(p, name, fd, 0);
}

int vfio_prep_type1(struct vfio_prep *p)
{
	int container = type1_container(p), group, fd;

	if (container < 0)
		return container;
	group = type1_group(p, container);
	if (group < 0)
		return group;
	fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, p->bdf);
	if (fd < 0)
		return err_ret(vfio_prep_errno(errno),
			       "opening %s: getting it from group %u: %s; see the kernel's log",
			       p->bdf, p->group, strerror(errno));
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}
