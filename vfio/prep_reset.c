/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `fourlane run` knows about resetting a function: the kernel's methods (reset_method,
 * Documentation/ABI/testing/sysfs-bus-pci), and, for a function that has none, whether a guest has
 * had it before. That is a small file in the folder for running things, one a function; it counts
 * for one binding to vfio-pci, which its group's node tells: the kernel makes a new node at the
 * next, and the host's driver has had the function in between. Each account sees its own guests
 * only. Called by prep_vfio.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/paths.h"
#include "prep_reset.h"

void vfio_reset_methods(const char *sysfs, const char *bdf, char *buf, size_t size)
{
	if (paths_read_line(buf, size, "%s/bus/pci/devices/%s/reset_method", sysfs, bdf) < 0)
		buf[0] = '\0'; /* a kernel before 5.15 does not tell */
	for (char *p = buf; (p = strchr(p, ' '));)
		*p = '+'; /* they stand in an option's value */
}

/* The binding that the node belongs to. Changes of owner and mode leave its mtime alone. */
static int used_mark_of(const char *node, char *buf, size_t size)
{
	struct stat st;

	if (stat(node, &st) < 0)
		return -errno;
	snprintf(buf, size, "%ju %jd.%09ld", (uintmax_t)st.st_ino, (intmax_t)st.st_mtim.tv_sec,
		 st.st_mtim.tv_nsec);
	return 0;
}

bool vfio_used_before(const char *dir, const char *bdf, const char *node)
{
	char now[96], then[96];

	return used_mark_of(node, now, sizeof(now)) == 0 &&
	       paths_read_line(then, sizeof(then), "%s/vfio-%s.used", dir, bdf) > 0 &&
	       !strcmp(now, then);
}

int vfio_used_mark(const char *dir, const char *bdf, const char *node)
{
	char path[PATH_MAX], mark[96];
	int fd, ret = used_mark_of(node, mark, sizeof(mark));
	size_t len;

	if (ret < 0)
		return ret;
	len = strlen(mark);
	if ((size_t)snprintf(path, sizeof(path), "%s/vfio-%s.used", dir, bdf) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	ret = write(fd, mark, len) == (ssize_t)len ? 0 : -EIO;
	close(fd);
	return ret;
}
