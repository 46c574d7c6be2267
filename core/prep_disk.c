/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening the disks of a guest (see prep_disk.h). A file is reserved by a lock on its open file
 * description (fcntl(2), F_OFD_SETLK), which the monitor keeps with the descriptor; a block device
 * by O_EXCL, which also refuses one that is mounted. Called by supervisor.c.
 */
#include "core/prep_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "core/prep_priv.h"

#define SECTOR 512
/* How long a file may stay reserved by nobody: the kernel tears a dead monitor's ring down behind
 * its end, and with it what the ring keeps of the file. */
#define BUSY_MS  3000
#define RETRY_MS 50

struct disk_words {
	char path[PATH_MAX];
	struct opts *opts; /* "disk,ro=on,..." */
	bool ro, direct;
};

/* --- the words --- */
/* The words behind the path as options; "ro" alone is short for ro=on. */
static int disk_opts_text(const char *words, char *text, size_t size)
{
	size_t n = (size_t)snprintf(text, size, "disk");

	while (*words == ',' && n < size) {
		size_t len = strcspn(++words, ",");
		bool ro = len == 2 && !strncmp(words, "ro", 2);

		n += (size_t)snprintf(text + n, size - n, ",%.*s%s", (int)len, words,
				      ro ? "=on" : "");
		words += len;
	}
	return n < size ? 0 : -ENAMETOOLONG;
}

static int disk_parse(const char *spec, struct disk_words *w)
{
	size_t len = strcspn(spec, ",");
	char text[512];
	int ret;

	memset(w, 0, sizeof(*w));
	if (!len || len >= sizeof(w->path))
		return err_ret(-EINVAL,
			       "--disk '%s': no file's name in front; begin with it, as in "
			       "'disk.img,ro'",
			       spec);
	memcpy(w->path, spec, len);
	if (disk_opts_text(spec + len, text, sizeof(text)) < 0)
		return err_ret(-EINVAL, "--disk '%s': too many words; leave some out", spec);
	ret = opts_parse(text, &w->opts);
	if (ret == 0)
		ret = opts_take_bool(w->opts, "ro", &w->ro);
	if (ret == 0)
		ret = opts_take_bool(w->opts, "direct", &w->direct);
	return ret;
}

int prep_check_disk(const char *spec)
{
	struct disk_words w;
	int ret = disk_parse(spec, &w);

	opts_free(w.opts);
	return ret;
}

/* --- who has it --- */
static bool pid_has_file(const char *pid, const struct stat *st)
{
	char path[PATH_MAX];
	struct stat other;
	struct dirent *e;
	bool has = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && !has && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, e->d_name);
		has = e->d_name[0] != '.' && stat(path, &other) == 0 &&
		      other.st_dev == st->st_dev && other.st_ino == st->st_ino;
	}
	if (d)
		closedir(d);
	return has;
}

/* Another process that has the file open and that we may look at: "process 12 (fourlane-vmm)". */
static bool who_by_process(const struct stat *st, char *who, size_t size)
{
	char comm[64];
	struct dirent *e;
	bool found = false;
	DIR *d = opendir("/proc");

	while (d && !found && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || atoi(e->d_name) == getpid() ||
		    !pid_has_file(e->d_name, st))
			continue;
		if (paths_read_line(comm, sizeof(comm), "/proc/%s/comm", e->d_name) < 0)
			strcpy(comm, "?");
		snprintf(who, size, "process %s (%s) has it", e->d_name, comm);
		found = true;
	}
	if (d)
		closedir(d);
	return found;
}

/* Fields of a line: 36 35 98:0 /root /mount ... (proc(5)). */
static bool who_by_mount(const struct stat *st, char *who, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	unsigned int maj, min;
	char *line = NULL, at[256];
	bool found = false;
	size_t room = 0;

	while (f && !found && getline(&line, &room, f) > 0) {
		found = sscanf(line, "%*s %*s %u:%u %*s %255s", &maj, &min, at) == 3 &&
			makedev(maj, min) == st->st_rdev;
		if (found)
			snprintf(who, size, "it is mounted on %s", at);
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* Who keeps us from using it; false: nobody that we can see. */
static bool disk_user(struct prep_guest *g, const struct stat *st, char *who, size_t size)
{
	for (unsigned int i = 0; i < g->n_disks; i++)
		if (g->disk[i].dev == st->st_dev && g->disk[i].ino == st->st_ino) {
			snprintf(who, size, "it is %s of this guest", g->disk[i].name);
			return true;
		}
	return (S_ISBLK(st->st_mode) && who_by_mount(st, who, size)) ||
	       who_by_process(st, who, size);
}

static int disk_busy(struct prep_guest *g, const struct disk_words *w, const struct stat *st)
{
	char who[PATH_MAX] = "somebody else has it";

	disk_user(g, st, who, sizeof(who));
	return err_ret(-EBUSY, "using the disk %s: %s; give each guest a disk of its own%s",
		       w->path, who, w->ro ? ", or all of them ,ro" : "");
}

/* After a refusal: worth another try? Only of what nobody has, and not for ever. */
static bool disk_retry(struct prep_guest *g, const struct stat *st, int *left_ms)
{
	char who[PATH_MAX];

	if (*left_ms <= 0 || disk_user(g, st, who, sizeof(who)))
		return false;
	*left_ms -= RETRY_MS;
	return prep_wait(g, -1, 0, RETRY_MS) == -ETIMEDOUT;
}

/* --- opening --- */
static int disk_cannot_open(struct prep_guest *g, const struct disk_words *w, const struct stat *st,
			    int err)
{
	const char *mend = "check the path";

	if (err == EBUSY && S_ISBLK(st->st_mode))
		return disk_busy(g, w, st);
	if (err == EINVAL && w->direct)
		return err_ret(-EOPNOTSUPP,
			       "opening the disk %s: its file system has no direct I/O; leave "
			       "direct=on out",
			       w->path);
	if (err == EACCES || err == EROFS || err == EPERM)
		mend = w->ro ? "check its permissions" : "check its permissions, or add ,ro";
	return err_ret(err == EINVAL ? -EIO : -err, "opening the disk %s: %s; %s", w->path,
		       strerror(err), mend);
}

static int disk_check_kind(const struct disk_words *w, const struct stat *st)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	return err_ret(S_ISDIR(st->st_mode) ? -EISDIR : -ENOTBLK,
		       "opening the disk %s: it is %s; give a raw image file or a block device",
		       w->path,
		       S_ISDIR(st->st_mode) ? "a directory" : "neither a file nor a block device");
}

static int disk_check_size(const struct disk_words *w, int fd, const struct stat *st)
{
	uint64_t size = (uint64_t)st->st_size;

	if (S_ISBLK(st->st_mode) && ioctl(fd, BLKGETSIZE64, &size) < 0)
		return err_ret(-EIO, "asking for the size of the disk %s: %s; is it there?",
			       w->path, strerror(errno));
	if (!size)
		return err_ret(-ENODATA, "using the disk %s: it is empty; give it a size: %s",
			       w->path,
			       S_ISBLK(st->st_mode) ? "is there a medium?" : "truncate -s 10G");
	if (size % SECTOR)
		return err_ret(-EBADMSG,
			       "using the disk %s: its %llu bytes are no multiple of %d; is it a "
			       "raw image? truncate -s %%%d makes it one",
			       w->path, (unsigned long long)size, SECTOR, SECTOR);
	return 0;
}

/* The guest counts in sectors of 512 bytes; a file system may want more for direct I/O. */
static int disk_check_direct(const struct disk_words *w, int fd)
{
	char *two = aligned_alloc(2 * SECTOR, 2 * SECTOR);
	ssize_t n;

	if (!two)
		return -ENOMEM;
	n = pread(fd, two + SECTOR, SECTOR, 0);
	free(two);
	return n < 0 && errno == EINVAL
		       ? err_ret(-EOPNOTSUPP,
				 "using the disk %s: direct I/O on its file system is in larger "
				 "blocks than %d bytes; leave direct=on out",
				 w->path, SECTOR)
		       : 0;
}

/* Many may read or one may write. The lock goes with the descriptor, into the monitor. */
static int disk_reserve(struct prep_guest *g, const struct disk_words *w, int fd,
			const struct stat *st)
{
	struct flock whole = { .l_type = w->ro ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	int left_ms = BUSY_MS;

	if (S_ISBLK(st->st_mode))
		return 0; /* O_EXCL has done it */
	while (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return err_ret(-EIO,
				       "locking the disk %s: %s; put it on a file system that has "
				       "locks",
				       w->path, strerror(errno));
		if (!disk_retry(g, st, &left_ms))
			return disk_busy(g, w, st);
	}
	return 0;
}

static int disk_open(struct prep_guest *g, const struct disk_words *w, struct stat *st)
{
	int flags = O_CLOEXEC | (w->ro ? O_RDONLY : O_RDWR) | (w->direct ? O_DIRECT : 0);
	int left_ms = BUSY_MS, fd, err, ret;

	/* before it is opened: that may wait for ever (a FIFO), or wind a tape */
	if (stat(w->path, st) < 0)
		return err_ret(-errno, "opening the disk %s: %s; check the path", w->path,
			       strerror(errno));
	ret = disk_check_kind(w, st);
	if (ret < 0)
		return ret;
	if (S_ISBLK(st->st_mode) && !w->ro)
		flags |= O_EXCL;
	do {
		fd = open(w->path, flags);
		err = errno;
	} while (fd < 0 && err == EBUSY && flags & O_EXCL && disk_retry(g, st, &left_ms));
	if (fd < 0)
		return disk_cannot_open(g, w, st, err);
	ret = fstat(fd, st) < 0 ? -errno : disk_check_kind(w, st);
	if (ret == 0)
		ret = disk_check_size(w, fd, st);
	if (ret == 0 && w->direct && S_ISREG(st->st_mode))
		ret = disk_check_direct(w, fd);
	if (ret == 0)
		ret = disk_reserve(g, w, fd, st);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}

static int disk_add(struct prep_guest *g, const struct disk_words *w)
{
	struct prep_disk *d = &g->disk[g->n_disks];
	char name[32];
	struct stat st;
	int fd = disk_open(g, w, &st);

	if (fd < 0)
		return fd;
	*d = (struct prep_disk){ .dev = st.st_dev, .ino = st.st_ino };
	snprintf(d->name, sizeof(d->name), "disk%u", g->n_disks);
	d->path = strdup(w->path);
	d->device_opts = strdup(opts_text(w->opts));
	g->n_disks++;
	if (!d->path || !d->device_opts) {
		close(fd);
		return -ENOMEM;
	}
	snprintf(name, sizeof(name), "%s:disk", d->name);
	return prep_guest_fd(g, name, fd);
}

int prep_guest_disk(struct prep_guest *g, const char *spec)
{
	struct disk_words w;
	int ret;

	if (g->n_disks == MONITOR_MAX_DISKS)
		return err_ret(-E2BIG, "guest '%s': more than %d disks; leave some out", g->name,
			       MONITOR_MAX_DISKS);
	ret = disk_parse(spec, &w);
	if (ret == 0)
		ret = disk_add(g, &w);
	opts_free(w.opts);
	return ret;
}

void prep_disks_release(struct prep_guest *g)
{
	while (g->n_disks) {
		struct prep_disk *d = &g->disk[--g->n_disks];

		free(d->path);
		free(d->device_opts);
	}
}
