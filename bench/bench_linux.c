/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the Linux guest of the comparison boots: Debian's stock kernel and the root image of the
 * software host (in its own /boot and on its first disk when we are inside), and an initramfs: its
 * stage 1 (busybox and modules for the disk) and behind it our /init, bench/linux/init.sh, which is
 * part of this program. Format: "newc" cpio, as the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst describes it. Called by bench_lane.c.
 */
#include "bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/lab/lab.h"
#include "core/err.h"

/* folder.mk makes the object depend on it */
__asm__(".section .rodata\n"
	".global bench_init\n"
	".global bench_init_end\n"
	"bench_init: .incbin \"bench/linux/init.sh\"\n"
	"bench_init_end:\n"
	".byte 0\n"
	".text\n");
extern const char bench_init[], bench_init_end[];

/* --- initramfs ----------------------------------------------------------- */
static int initrd_pad(int fd)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	return at < 0 || lseek(fd, (at + 3) & ~(off_t)3, SEEK_SET) < 0 ? -errno : 0;
}

static int initrd_file(int fd, const char *name, unsigned int mode, const char *text, size_t size)
{
	size_t len = strlen(name) + 1;
	char head[111];

	/* magic, inode, mode, uid, gid, nlink, mtime, filesize, major, minor, rmajor, rminor,
	 * namesize, check */
	snprintf(head, sizeof(head), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		 1, mode, 0, 0, 1, 0, (unsigned int)size, 0, 0, 0, 0, (unsigned int)len, 0);
	if (write(fd, head, 110) != 110 || write(fd, name, len) != (ssize_t)len ||
	    initrd_pad(fd) < 0 || write(fd, text, size) != (ssize_t)size)
		return -EIO;
	return initrd_pad(fd);
}

static int initrd_stage1(int fd, const char *path)
{
	int in = open(path, O_RDONLY | O_CLOEXEC), ret;
	struct stat st = { 0 };
	ssize_t n = 1;

	if (in < 0)
		return -errno;
	ret = fstat(in, &st) < 0 ? -errno : 0;
	for (off_t left = st.st_size; ret == 0 && left > 0; left -= n) {
		n = sendfile(fd, in, NULL, (size_t)left);
		if (n <= 0)
			ret = n < 0 ? -errno : -EIO;
	}
	close(in);
	return ret < 0 ? ret : initrd_pad(fd);
}

static int initrd_make(struct bench_files *f)
{
	int fd = memfd_create("fourlane-guest", MFD_CLOEXEC);
	int ret = fd < 0 ? -errno : initrd_stage1(fd, f->stage1);

	if (ret == 0)
		ret = initrd_file(fd, "init", S_IFREG | 0755, bench_init,
				  (size_t)(bench_init_end - bench_init));
	if (ret == 0)
		ret = initrd_file(fd, "TRAILER!!!", 0, "", 0);
	if (ret == 0 && ftruncate(fd, lseek(fd, 0, SEEK_CUR)) < 0)
		ret = -errno;
	if (ret < 0) {
		if (fd >= 0)
			close(fd);
		return err_ret(ret,
			       "making the guest's initramfs from %s: %s; remove its folder, it "
			       "is then built again",
			       f->stage1, strerror(-ret));
	}
	f->initrd_fd = fd;
	/* not /proc/self: a child opens it */
	snprintf(f->initrd, sizeof(f->initrd), "/proc/%d/fd/%d", (int)getpid(), fd);
	return 0;
}

/* --- all of it ----------------------------------------------------------- */
int bench_files_find(struct bench *b)
{
	struct bench_files *f = &b->files;
	struct lab_image image;
	int ret;

	if (b->lab) {
		snprintf(f->kernel, sizeof(f->kernel), "/boot/vmlinux");
		snprintf(f->stage1, sizeof(f->stage1), "/boot/stage1.cpio");
		snprintf(f->disk, sizeof(f->disk), "/dev/vda");
		return initrd_make(f);
	}
	ret = lab_image_wait(b->sig.fd, &image);
	if (ret < 0)
		return ret;
	snprintf(f->kernel, sizeof(f->kernel), "%s/vmlinux", image.dir);
	snprintf(f->stage1, sizeof(f->stage1), "%s/stage1.cpio", image.dir);
	snprintf(f->disk, sizeof(f->disk), "%s/root.img", image.dir);
	return initrd_make(f);
}

void bench_files_drop(struct bench_files *f)
{
	if (f->initrd_fd > 0)
		close(f->initrd_fd);
	f->initrd_fd = 0;
}
