/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors that the caller of `fourlane run` has opened (fd=, iommufd-fd=, group-fd=,
 * container-fd=), as monitors are handed them by who may open what they may not. Each is looked at
 * before it is used: a character device, the one that sysfs says it is, and the kernel's answer to
 * its ioctl; then copied. The caller's own are never closed, and what was done to them is undone
 * at the end. Only that a device is bound to an iommufd ends with its descriptor alone. Called by
 * prep_vfio.c and the two ways to open.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"
#include "prep_vfio.h"

int vfio_given_copy(const char *key, int fd, const char *wanted)
{
	struct stat st;
	int copy;

	if (fstat(fd, &st) < 0)
		return err_ret(-EINVAL,
			       "--nic vfio: %s=%d: %s; open %s in the program that starts fourlane",
			       key, fd, strerror(errno), wanted);
	if (!S_ISCHR(st.st_mode))
		return err_ret(-EINVAL, "--nic vfio: %s=%d is no character device; hand in %s", key,
			       fd, wanted);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return copy < 0 ? err_ret(-errno, "--nic vfio: %s=%d: copying it: %s; raise 'ulimit -n'",
				  key, fd, strerror(errno))
			: copy;
}

/* Where in sysfs the device of a node is: "../../devices/.../0000:01:00.0/vfio-dev/vfio0". */
static bool given_sys(const struct host_view *v, int fd, char *buf, size_t size)
{
	char path[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode))
		return false;
	snprintf(path, sizeof(path), "%s/dev/char/%u:%u", v->sysfs, major(st.st_rdev),
		 minor(st.st_rdev));
	n = readlink(path, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Takes the last part of a path off and gives it. */
static const char *given_last(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash)
		return "";
	*slash = '\0';
	return slash + 1;
}

int vfio_given_bdf(const struct host_view *v, int fd, char bdf[IOMMU_BDF_SIZE])
{
	char path[PATH_MAX];

	if (given_sys(v, fd, path, sizeof(path)) && !strncmp(given_last(path), "vfio", 4) &&
	    !strcmp(given_last(path), "vfio-dev") && iommu_bdf_parse(given_last(path), bdf) == 0)
		return 0;
	if (fcntl(fd, F_GETFD) < 0)
		return err_ret(-EINVAL,
			       "--nic vfio: fd=%d: %s; open a node of /dev/vfio/devices in the "
			       "program that starts fourlane",
			       fd, strerror(errno));
	return err_ret(-EINVAL,
		       "--nic vfio: fd=%d is no function's own node; hand in one of "
		       "/dev/vfio/devices",
		       fd);
}

int vfio_given_group(const struct host_view *v, int fd)
{
	char path[PATH_MAX];
	const char *name;
	int id, end = 0;

	if (!given_sys(v, fd, path, sizeof(path)))
		return -1;
	name = given_last(path);
	if (strcmp(given_last(path), "vfio") || sscanf(name, "%d%n", &id, &end) != 1 || name[end])
		return -1;
	return id;
}

bool vfio_given_same(int a, int b)
{
	pid_t pid = getpid();

	return syscall(SYS_kcmp, pid, pid, KCMP_FILE, a, b) == 0;
}

/* --- giving back ------------------------------------------------------------ */

/* A monitor that was killed has left its mappings; nothing else can be where they are. */
static void lent_unmap(int container, uint64_t size)
{
	const struct iommu_map_fd f = { .fd = container };
	uint64_t low = size < MEM_LOW_END ? size : MEM_LOW_END;

	iommu_map_type1v2.unmap(&f, 0, low);
	if (size > low)
		iommu_map_type1v2.unmap(&f, MEM_HIGH_START, size - low);
}

void vfio_lent_give_back(struct vfio_lent *l)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	int ret;

	if (l->device >= 0 && ioctl(l->device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach) < 0)
		err_say("giving descriptor %d back: detaching the device: %s; close it", l->device,
			strerror(errno));
	if (l->iommufd >= 0) {
		ret = iommu_ioas_destroy(l->iommufd, l->ioas);
		/* another function of the guest is in it and will take it away, or has */
		if (ret < 0 && ret != -EBUSY && ret != -ENOENT)
			err_say("giving an iommufd back: its address space %" PRIu32
				": %s; close it",
				l->ioas, strerror(-ret));
		close(l->iommufd);
	}
	if (l->container >= 0)
		lent_unmap(l->container, l->mem_size);
	if (l->group >= 0 && ioctl(l->group, VFIO_GROUP_UNSET_CONTAINER) < 0)
		err_say("giving descriptor %d back: taking the group out of its container: %s; "
			"close it",
			l->group, strerror(errno));
	*l = VFIO_LENT_NOTHING;
}
