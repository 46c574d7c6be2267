/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The initramfs of the software host: the cached stage 1 archive (busybox and modules), the archive
 * of modules that were built for it, if asked for, and behind them, in an archive of its own, the
 * files of this build: /init and /agent. So a change of these makes no
 * new image. Format: "newc" cpio, as the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst describes it; several archives may
 * follow each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/lab/lab_priv.h"
#include "core/err.h"
#include "core/paths.h"

static int initrd_pad(int out)
{
	off_t at = lseek(out, 0, SEEK_CUR);

	return at < 0 || lseek(out, (at + 3) & ~(off_t)3, SEEK_SET) < 0 ? -errno : 0;
}

static int initrd_copy(int out, const char *path, off_t *size)
{
	int in = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	struct stat st;
	off_t left = 0;

	if (in < 0 || fstat(in, &st) < 0)
		ret = -errno;
	else
		left = *size = st.st_size;
	while (!ret && left > 0) {
		ssize_t n = sendfile(out, in, NULL, (size_t)left);

		if (n <= 0)
			ret = n < 0 ? -errno : -EIO;
		else
			left -= n;
	}
	if (in >= 0)
		close(in);
	return ret;
}

static int initrd_header(int out, const char *name, unsigned int mode, off_t size,
			 unsigned int inode)
{
	char head[111];
	size_t len = strlen(name) + 1;

	/* magic, inode, mode, uid, gid, nlink, mtime, filesize, major, minor, rmajor, rminor,
	 * namesize, check */
	snprintf(head, sizeof(head), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		 inode, mode, 0, 0, 1, 0, (unsigned int)size, 0, 0, 0, 0, (unsigned int)len, 0);
	if (write(out, head, 110) != 110 || write(out, name, len) != (ssize_t)len)
		return -EIO;
	return initrd_pad(out);
}

static int initrd_add(int out, const char *program, const char *name, unsigned int inode)
{
	char path[PATH_MAX];
	struct stat st;
	off_t size = 0;
	int ret = paths_find_program(program, path, sizeof(path));

	if (ret < 0)
		return ret;
	ret = stat(path, &st) < 0 ? -errno
				  : initrd_header(out, name, S_IFREG | 0755, st.st_size, inode);
	if (!ret)
		ret = initrd_copy(out, path, &size);
	if (!ret && size != st.st_size)
		ret = -EAGAIN;
	if (!ret)
		ret = initrd_pad(out);
	return ret < 0 ? err_ret(ret, "lab: reading %s: %s; run 'make' again", path, strerror(-ret))
		       : 0;
}

/* An archive out of the cache. */
static int initrd_add_archive(int out, const char *dir, const char *name)
{
	char path[PATH_MAX];
	off_t size;
	int ret;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ret = initrd_copy(out, path, &size);
	if (!ret)
		ret = initrd_pad(out);
	if (ret < 0)
		err_say("lab: reading %s: %s; remove its folder, it is then built again", path,
			strerror(-ret));
	return ret;
}

int lab_initrd_create(const struct lab_image *image)
{
	int out = memfd_create("fourlane-initrd", MFD_CLOEXEC), ret;

	if (out < 0)
		return err_ret(-errno, "lab: making the initramfs: %s; is there memory left?",
			       strerror(errno));
	ret = initrd_add_archive(out, image->dir, "stage1.cpio");
	if (!ret && image->modules[0])
		ret = initrd_add_archive(out, image->modules, "modules.cpio");
	if (!ret)
		ret = initrd_add(out, "lab/stage1", "init", 1);
	if (!ret)
		ret = initrd_add(out, "lab/agent", "agent", 2);
	if (!ret)
		ret = initrd_header(out, "TRAILER!!!", 0, 0, 0);
	if (!ret && ftruncate(out, lseek(out, 0, SEEK_CUR)) < 0)
		ret = -errno;
	if (ret < 0) {
		close(out);
		return ret;
	}
	return out;
}
