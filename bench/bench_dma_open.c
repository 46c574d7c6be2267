/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `bench dma-map`: the function whose IOMMU is measured, and the two ways to it: its group in a
 * container (type1), or its own node bound to an address space of /dev/iommu. Nothing of the
 * function itself is used, and nothing is changed that does not end with the descriptors. Called by
 * cmd_bench.c. Documentation/driver-api/vfio.rst, Documentation/userspace-api/iommufd.rst.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench/bench_dma.h"
#include "core/paths.h"
#include "vfio/vfio.h"

static int lack(struct dma_lack *l, int err, const char *mend, const char *why, ...)
	__attribute__((format(printf, 4, 5)));
static int lack(struct dma_lack *l, int err, const char *mend, const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	vsnprintf(l->why, sizeof(l->why), why, ap);
	va_end(ap);
	snprintf(l->mend, sizeof(l->mend), "%s", mend);
	return err;
}

/* --- which ---------------------------------------------------------------- */
int dma_device_check(const struct host_view *v, const char *bdf, struct dma_lack *l)
{
	char driver[64] = "", mend[256], path[PATH_MAX];
	struct iommu_group *g;
	int id = iommu_group_of(v->sysfs, bdf), pid;
	bool usable;

	if (id == -ENOENT)
		return lack(l, id, "see 'fourlane groups'", "there is no PCI function %s", bdf);
	if (id < 0)
		return lack(l, -ENODEV, "see 'fourlane host'", "no IOMMU is active for %s", bdf);
	paths_link_name(driver, sizeof(driver), "%s/bus/pci/devices/%s/driver", v->sysfs, bdf);
	snprintf(mend, sizeof(mend), "'fourlane assign %s'", bdf);
	if (!iommu_driver_is_vfio(driver))
		return lack(l, -ENODEV, mend, "%s is bound to %s, not to vfio-pci", bdf,
			    driver[0] ? driver : "no driver");
	if (iommu_group_load(v->sysfs, (unsigned int)id, &g) < 0)
		return lack(l, -EIO, "is /sys mounted?", "IOMMU group %d cannot be read", id);
	usable = iommu_group_viable(g);
	iommu_group_free(g);
	if (!usable)
		return lack(l, -ENODEV, "see 'fourlane groups'",
			    "the host has other functions of %s's group %d", bdf, id);
	pid = vfio_user(v->sysfs, v->proc, bdf);
	if (!pid)
		return 0;
	paths_read_line(path, sizeof(path), "%s/%d/comm", v->proc, pid);
	return lack(l, -EBUSY, "end that, or name another with --device",
		    "%s is open in process %d (%.32s)", bdf, pid, path);
}

static bool is_with_vfio(const struct host_view *v, const char *bdf)
{
	char driver[64] = "";

	paths_link_name(driver, sizeof(driver), "%s/bus/pci/devices/%s/driver", v->sysfs, bdf);
	return iommu_driver_is_vfio(driver);
}

int dma_device_find(const struct host_view *v, char bdf[IOMMU_BDF_SIZE], struct dma_lack *l)
{
	char path[PATH_MAX];
	struct dirent *e;
	int ret = -ENODEV;
	DIR *d;

	lack(l, 0,
	     "'fourlane assign BDF' (it goes back by 'unassign'); 'fourlane groups' shows them",
	     "no function is bound to vfio-pci");
	snprintf(path, sizeof(path), "%s/bus/pci/devices", v->sysfs);
	d = opendir(path);
	while (d && ret < 0 && (e = readdir(d)))
		if (iommu_bdf_parse(e->d_name, bdf) == 0 && is_with_vfio(v, bdf))
			ret = dma_device_check(v, bdf, l);
	if (d)
		closedir(d);
	return ret < 0 ? -ENODEV : 0;
}

/* --- opening -------------------------------------------------------------- */
static int node_open(const char *path, const char *without, struct dma_lack *l)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV)
		return lack(l, -ENODEV, without, "there is no %s", path);
	if (errno == EACCES || errno == EPERM)
		return lack(l, -EACCES, "run as root, or own the node", "%s may not be opened",
			    path);
	return lack(l, -errno, "see the kernel's log", "opening %s: %s", path, strerror(errno));
}

static int refused(struct dma_lack *l, const char *what)
{
	return lack(l, -errno,
		    errno == EPERM ? "turn on interrupt remapping in the firmware"
				   : "see the kernel's log",
		    "%s: %s", what, strerror(errno));
}

static int open_type1(const struct host_view *v, const char *bdf, struct dma_device *d,
		      struct dma_lack *l)
{
	char path[PATH_MAX];

	d->ops = &iommu_map_type1v2;
	snprintf(path, sizeof(path), "%s/vfio/vfio", v->dev);
	d->map.fd = node_open(path, "a kernel with CONFIG_VFIO_CONTAINER, 'modprobe vfio-pci'", l);
	if (d->map.fd < 0)
		return d->map.fd;
	vfio_group_node(v->sysfs, v->dev, iommu_group_of(v->sysfs, bdf), path, sizeof(path));
	d->group = node_open(path, "a kernel with CONFIG_VFIO_GROUP", l);
	if (d->group < 0)
		return d->group;
	if (ioctl(d->map.fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		return lack(l, -EOPNOTSUPP, "'modprobe vfio_iommu_type1'",
			    "this kernel's VFIO has no type1v2");
	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &d->map.fd) < 0)
		return refused(l, "putting the group into a container");
	return ioctl(d->map.fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0
		       ? refused(l, "choosing type1v2")
		       : 0;
}

static int open_iommufd(const struct host_view *v, const char *bdf, struct dma_device *d,
			struct dma_lack *l)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	char path[PATH_MAX];
	int ret;

	d->ops = &iommu_map_iommufd;
	snprintf(path, sizeof(path), "%s/iommu", v->dev);
	d->map.fd = node_open(path, "a kernel with CONFIG_IOMMUFD, 'modprobe iommufd'", l);
	if (d->map.fd < 0)
		return d->map.fd;
	if (!vfio_device_node(v->sysfs, v->dev, bdf, path, sizeof(path)))
		return lack(l, -ENODEV, "a kernel with CONFIG_VFIO_DEVICE_CDEV",
			    "%s has no node in /dev/vfio/devices", bdf);
	d->device = node_open(path, "is /dev a devtmpfs?", l);
	if (d->device < 0)
		return d->device;
	bind.iommufd = d->map.fd;
	if (ioctl(d->device, VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0)
		return refused(l, "binding it to an iommufd");
	ret = iommu_ioas_create(d->map.fd, &d->map.ioas);
	if (ret < 0)
		return lack(l, ret, "see the kernel's log", "making an address space: %s",
			    strerror(-ret));
	attach.pt_id = d->map.ioas;
	return ioctl(d->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) < 0
		       ? refused(l, "attaching it to an address space")
		       : 0;
}

int dma_device_open(const struct host_view *v, const char *bdf, enum dma_by by,
		    struct dma_device *d, struct dma_lack *l)
{
	int ret;

	*d = (struct dma_device){ .map = { .fd = -1 }, .group = -1, .device = -1 };
	ret = by == DMA_TYPE1 ? open_type1(v, bdf, d, l) : open_iommufd(v, bdf, d, l);
	if (ret < 0)
		dma_device_close(d);
	return ret;
}

void dma_device_close(struct dma_device *d)
{
	/* the function first: it holds the others */
	const int fd[] = { d->device, d->group, d->map.fd };

	for (unsigned int i = 0; i < 3; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	*d = (struct dma_device){ .map = { .fd = -1 }, .group = -1, .device = -1 };
}
