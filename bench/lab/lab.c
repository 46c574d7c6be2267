/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts a software host, finds the one that is up, ends it (lab.h). The one that is up holds a
 * lock in the run folder as long as its guardian lives; a lock that nobody holds belongs to a
 * guardian that was killed, and is cleaned away by whoever meets it.
 */
#include "bench/lab/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/lab/lab_priv.h"
#include "core/err.h"
#include "core/paths.h"

#define DISK_BYTES     (256ul << 20)
#define START_LIMIT_MS 200000 /* the guardian gives up before */
#define END_LIMIT_MS   10000

static const char *const iommu_names[] = {
	[LAB_IOMMU_INTEL] = "intel", [LAB_IOMMU_AMD] = "amd", [LAB_IOMMU_NONE] = "none"
};

int lab_iommu_parse(const char *name, enum lab_iommu *out)
{
	for (unsigned int i = 0; i < 3; i++) {
		if (!strcmp(name, iommu_names[i])) {
			*out = (enum lab_iommu)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *lab_iommu_name(enum lab_iommu kind)
{
	return iommu_names[kind];
}

int lab_info(const struct lab *lab, const char *key, char *buf, size_t size)
{
	return lab_text_value(lab->info, key, buf, size);
}

/* --- frames from the guardian --- */

static int lab_gone(const char *why, size_t size)
{
	if (!size)
		return err_ret(
			-EPIPE,
			"lab: the software host ended: its guardian is gone; start it again");
	return err_ret(-EPIPE, "lab: the software host ended: %.*s", (int)size, why);
}

static int lab_take_frame(struct lab *lab, struct lab_frame *f, const uint8_t **data)
{
	int ret;

	while ((ret = lab_reader_next(&lab->in, f, data)) > 0) {
		if (f->type == LAB_FAIL)
			return lab_gone((const char *)*data, f->length);
		if (f->type != LAB_CONSOLE)
			return 1;
		if (write(STDERR_FILENO, *data, f->length) < 0)
			continue; /* nobody reads it */
	}
	return ret < 0 ? err_ret(-EPIPE, "lab: its guardian sends nonsense; is it of another "
					 "version? run 'fourlane lab down'")
		       : 0;
}

int lab_wait_frame(struct lab *lab, int timeout_ms, int other, struct lab_frame *f,
		   const uint8_t **data)
{
	int64_t end = lab_now_ms() + timeout_ms;

	for (;;) {
		struct pollfd p[] = {
			{ .fd = lab->fd, .events = POLLIN },
			{ .fd = lab->signals, .events = POLLIN },
			{ .fd = other, .events = POLLIN },
		};
		int64_t left = timeout_ms < 0 ? -1 : end - lab_now_ms();
		ssize_t n;
		int ret = lab_take_frame(lab, f, data);

		if (ret)
			return ret;
		if (timeout_ms >= 0 && left <= 0)
			return 0;
		if (lab_queue_write(&lab->out, lab->fd) < 0)
			lab->out.from = lab->out.to; /* the reason comes with the next read */
		if (lab_queue_bytes(&lab->out))
			p[0].events |= POLLOUT;
		if (poll(p, 3, (int)left) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents)
			return -EINTR;
		if (p[0].revents & ~POLLOUT) {
			n = lab_reader_fill(&lab->in, lab->fd);
			if (n <= 0 && n != -EAGAIN)
				return lab_gone(NULL, 0);
		}
		if (p[2].revents)
			return lab_take_frame(lab, f, data);
	}
}

static int lab_wait_ready(struct lab *lab)
{
	const uint8_t *data;
	struct lab_frame f;
	int ret;

	do
		ret = lab_wait_frame(lab, START_LIMIT_MS, -1, &f, &data);
	while (ret > 0 && f.type != LAB_READY);
	if (ret < 0)
		return ret;
	if (!ret)
		return err_ret(-ETIMEDOUT, "lab: its guardian does not answer; run 'fourlane lab "
					   "down' and start it again");
	if (f.length >= sizeof(lab->info))
		f.length = sizeof(lab->info) - 1;
	memcpy(lab->info, data, f.length);
	lab->info[f.length] = '\0';
	return 0;
}

static int lab_new(int fd, pid_t guardian, int signals, struct lab **out)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	if (!lab) {
		close(fd);
		return err_ret(-ENOMEM, "lab: out of memory; free some");
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	lab->fd = fd;
	lab->guardian = guardian;
	lab->signals = signals;
	*out = lab;
	return 0;
}

void lab_close(struct lab *lab)
{
	if (!lab)
		return;
	close(lab->fd);
	if (lab->guardian)
		waitpid(lab->guardian, NULL, 0);
	lab_queue_free(&lab->out);
	free(lab);
}

/* --- starting --- */

/* A file of the user's, for one lab at a time: the lock goes with QEMU's descriptor. */
static int lab_disk_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644), err;
	struct stat st;

	if (fd < 0)
		return err_ret(-errno,
			       "lab: opening the disk %s: %s; name a file that you may write", path,
			       strerror(errno));
	err = fstat(fd, &st) < 0 ? errno : !S_ISREG(st.st_mode) ? EINVAL : 0;
	if (!err && flock(fd, LOCK_EX | LOCK_NB) < 0)
		err = errno == EWOULDBLOCK ? EBUSY : errno;
	if (!err && st.st_size == 0 && ftruncate(fd, DISK_BYTES) < 0)
		err = errno;
	if (!err)
		return fd;
	close(fd);
	return err_ret(-err, "lab: opening the disk %s: %s", path,
		       err == EBUSY    ? "another lab has it; end that first"
		       : err == EINVAL ? "it is no plain file; name one"
				       : strerror(err));
}

static int lab_disk_create(void)
{
	int fd = memfd_create("fourlane-lab-nvme", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, DISK_BYTES) < 0) {
		close(fd);
		fd = -1;
	}
	return fd < 0 ? err_ret(-errno, "lab: making its disk: %s; is there memory left?",
				strerror(errno))
		      : fd;
}

/*
 * Forks the guardian; it gets copies of the descriptors. Its pid and our end of the socket in *fd.
 */
static pid_t lab_fork_guardian(struct lab_guard_start *s, int *fd)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_ret(-errno, "lab: starting its guardian: %s; close some files",
			       strerror(errno));
	s->client = pair[1];
	pid = fork();
	if (pid == 0)
		lab_guard_main(s);
	close(pair[1]);
	*fd = pair[0];
	if (pid > 0)
		return pid;
	close(pair[0]);
	return err_ret(-errno, "lab: starting its guardian: %s; end some processes",
		       strerror(errno));
}

/* Waits until a new lab answers; one that does not is closed, and *out is NULL then. */
static int lab_ready(struct lab **out)
{
	int ret = lab_wait_ready(*out);

	if (ret < 0) {
		lab_close(*out);
		*out = NULL;
	}
	return ret;
}

static int lab_start(const struct lab_options *o, int lock, const struct lab_place *place,
		     struct lab **out)
{
	struct lab_guard_start s = { .iommu = o->iommu,
				     .append = o->append,
				     .in_turn = o->in_turn,
				     .cpus = o->cpus,
				     .console = o->console,
				     .lock = lock,
				     .initrd = -1,
				     .disk = -1,
				     .tap = -1,
				     .tap_name = o->tap };
	struct lab_image image;
	int ret = 0, fd = -1;
	pid_t pid;

	if (o->tap)
		s.tap = ret = lab_tap_open(o->tap);
	if (ret >= 0)
		ret = lab_image_prepare(o->signals, o->modules ? LAB_IMAGE_MODULES : 0, &image);
	s.image = &image;
	if (place)
		s.place = *place;
	if (ret >= 0)
		s.initrd = ret = lab_initrd_create(&image);
	if (ret >= 0)
		s.disk = ret = o->disk ? lab_disk_open(o->disk) : lab_disk_create();
	if (ret >= 0) {
		ret = pid = lab_fork_guardian(&s, &fd);
		if (pid > 0)
			ret = lab_new(fd, pid, o->signals, out);
	}
	if (s.initrd >= 0)
		close(s.initrd);
	if (s.disk >= 0)
		close(s.disk);
	if (s.tap >= 0)
		close(s.tap);
	if (ret < 0)
		return ret;
	return lab_ready(out);
}

/* --- the one that is up --- */

static int lab_place_find(struct lab_place *p)
{
	char run[64];
	int ret = paths_run_dir(run, sizeof(run));

	if (ret < 0)
		return ret == -ENAMETOOLONG
			       ? err_ret(ret, "lab: the run folder's name is too long; set "
					      "XDG_RUNTIME_DIR to a shorter one")
			       : ret;
	snprintf(p->dir, sizeof(p->dir), "%s/lab", run);
	snprintf(p->socket, sizeof(p->socket), "%s/socket", p->dir);
	snprintf(p->lock, sizeof(p->lock), "%s/lock", p->dir);
	return 0;
}

void lab_place_clean(const struct lab_place *p)
{
	unlink(p->socket);
	unlink(p->lock);
	rmdir(p->dir);
}

/*
 * The lock, taken: nobody has a lab up, and what a killed one left is gone. -EBUSY when somebody
 * has; then and on other errors nothing is held. The file may be unlinked by its last owner between
 * open and flock, hence the comparison.
 */
static int lab_lock_take(const struct lab_place *p)
{
	for (int i = 0; i < 100; i++) {
		struct stat mine, there;
		int fd, err;

		if (mkdir(p->dir, 0750) < 0 && errno != EEXIST)
			return -errno;
		fd = open(p->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			err = errno == EWOULDBLOCK ? EBUSY : errno;
			close(fd);
			return -err;
		}
		if (fstat(fd, &mine) == 0 && stat(p->lock, &there) == 0 &&
		    mine.st_ino == there.st_ino) {
			unlink(p->socket);
			return fd;
		}
		close(fd);
	}
	return -EBUSY;
}

static int lab_connect(const struct lab_place *p)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	memcpy(a.sun_path, p->socket, sizeof(a.sun_path));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* Whether somebody holds the lock; what a killed guardian left is removed on the way. */
static bool lab_is_held(const struct lab_place *p)
{
	int fd;

	if (access(p->lock, F_OK) < 0 && access(p->socket, F_OK) < 0)
		return false;
	fd = lab_lock_take(p);
	if (fd < 0)
		return fd == -EBUSY;
	lab_place_clean(p);
	close(fd);
	return false;
}

int lab_attach(int signals, struct lab **out)
{
	int64_t end = lab_now_ms() + START_LIMIT_MS;
	struct lab_place place;
	int ret = lab_place_find(&place), fd;

	if (ret < 0)
		return ret;
	while (lab_is_held(&place)) {
		struct pollfd p = { .fd = signals, .events = POLLIN };

		fd = lab_connect(&place);
		if (fd >= 0) {
			ret = lab_new(fd, 0, signals, out);
			if (ret < 0)
				return ret;
			return lab_ready(out);
		}
		if (fd == -EACCES || fd == -EPERM)
			return err_ret(fd, "lab: connecting to %s: %s; it belongs to another user",
				       place.socket, strerror(-fd));
		if (lab_now_ms() > end)
			return err_ret(-ETIMEDOUT, "lab: waiting for the one that boots: no "
						   "answer; run 'fourlane lab down'");
		/* it boots: its socket comes when it is ready */
		if (poll(&p, 1, 100) > 0)
			return -EINTR;
	}
	return -ENOENT;
}

static bool lab_has(const struct lab *lab, const char *key, const char *want)
{
	char value[64];

	return lab_info(lab, key, value, sizeof(value)) > 0 && !strcmp(value, want);
}

static bool lab_fits(const struct lab *lab, const struct lab_options *o)
{
	return (o->any_iommu || lab_has(lab, "iommu", lab_iommu_name(o->iommu))) &&
	       (!o->modules || lab_has(lab, "modules", "yes")) &&
	       (!o->tap || lab_has(lab, "tap", o->tap)) && !o->disk;
}

int lab_open(const struct lab_options *o, struct lab **out)
{
	int ret = o->fresh || o->append || o->in_turn || o->cpus ? -ENOENT
								 : lab_attach(o->signals, out);

	if (ret == 0 && !lab_fits(*out, o)) {
		lab_close(*out);
		ret = -ENOENT;
	}
	if (ret == -ENOENT)
		ret = lab_start(o, -1, NULL, out);
	if (ret < 0)
		return ret;
	ret = lab_push_programs(*out);
	if (ret < 0) {
		lab_close(*out);
		*out = NULL;
	}
	return ret;
}

/* The lab that somebody has up already, if it is of the right kind. */
static int lab_up_already(const struct lab_options *o, struct lab **out)
{
	int ret = lab_attach(o->signals, out);

	if (ret < 0 || lab_fits(*out, o))
		return ret;
	lab_close(*out);
	*out = NULL;
	return err_ret(-EBUSY, "lab: bringing one up: one of another kind is up; run 'fourlane "
			       "lab down' first");
}

int lab_up(const struct lab_options *o, struct lab **out)
{
	struct lab_place place;
	int ret = lab_place_find(&place), lock;

	if (ret < 0)
		return ret;
	/* whoever only looks holds the lock for a moment, too */
	while ((lock = lab_lock_take(&place)) == -EBUSY) {
		ret = lab_up_already(o, out);
		if (ret != -ENOENT)
			return ret;
	}
	if (lock < 0)
		return err_ret(lock, "lab: locking %s: %s; is the folder yours?", place.lock,
			       strerror(-lock));
	ret = lab_start(o, lock, &place, out);
	if (ret < 0)
		lab_place_clean(&place);
	else
		(*out)->guardian = 0; /* it outlives us */
	close(lock);
	return ret;
}

int lab_query(struct lab *lab)
{
	size_t have = strlen(lab->info);
	const uint8_t *data;
	struct lab_frame f;
	int ret = lab_queue_frame(&lab->out, 0, LAB_STATUS, 0, NULL, 0);

	do
		ret = ret < 0 ? ret : lab_wait_frame(lab, END_LIMIT_MS, -1, &f, &data);
	while (ret > 0 && f.type != LAB_STATUS);
	if (ret < 0)
		return ret;
	if (!ret)
		return err_ret(-ETIMEDOUT,
			       "lab: its guardian does not answer; run 'fourlane lab down'");
	if (f.length < sizeof(lab->info) - have) {
		memcpy(lab->info + have, data, f.length);
		lab->info[have + f.length] = '\0';
	}
	return 0;
}

int lab_down(int signals)
{
	int64_t end = lab_now_ms() + END_LIMIT_MS;
	struct lab_place place;
	struct lab *lab;
	int ret = lab_attach(signals, &lab);

	if (ret == -ENOENT)
		return 0;
	if (ret < 0)
		return ret;
	ret = lab_place_find(&place);
	if (!ret)
		ret = lab_queue_frame(&lab->out, 0, LAB_DOWN, 0, NULL, 0);
	if (!ret)
		ret = lab_queue_write(&lab->out, lab->fd);
	while (!ret && lab_is_held(&place)) {
		if (lab_now_ms() > end)
			ret = err_ret(-ETIMEDOUT, "lab: ending it: its guardian does not end; look "
						  "for a stuck process");
		poll(NULL, 0, 20);
	}
	lab_close(lab);
	return ret == -EPIPE ? 0 : ret;
}
