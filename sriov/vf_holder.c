/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who uses a VF, and who may change anything: found out before a count is changed, because the
 * kernel demands 0 VFs in between, which takes them from whoever has them. A VF is in use when it
 * is leased to a guest (also a tenant's), when a process has its VFIO group or device open
 * (vfio_user), when its netdev is up, or when a driver runs it and no netdev of it is seen here.
 * Locks are flock()s in the run folder: they end with their holder, however that ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "sriov_priv.h"

#define LOCK_POLL_MS 20
#define LOCK_PATH    (PATH_MAX + 64)

/* --- locks -------------------------------------------------------------- */
static int lock_open(const struct sriov_env *e, const char *name, char path[LOCK_PATH])
{
	int fd;

	snprintf(path, LOCK_PATH, "%s/%s", e->run_dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	return fd < 0 ? err_ret(-errno, "opening %s: %s; run as root", path, strerror(errno)) : fd;
}

/* What the holder of a lock wrote into it. */
static void lock_holder(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if (!*buf)
		snprintf(buf, size, "another process");
}

static int lock_sign(int fd, const char *holder)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%s (pid %d)\n", holder, getpid());

	if (ftruncate(fd, 0) < 0 ||
	    pwrite(fd, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1, 0) < 0)
		return -errno;
	return 0;
}

static int lock_take(int fd, unsigned int wait_ms)
{
	struct timespec pause = { .tv_nsec = LOCK_POLL_MS * 1000000 };

	for (unsigned int waited = 0;; waited += LOCK_POLL_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (waited >= wait_ms)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
}

/* The words of this process, as far as they tell what it does. */
static void own_command(const struct sriov_env *e, char *buf, size_t size)
{
	char path[PATH_MAX], words[256];
	const char *name;
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/self/cmdline", e->v->proc);
	f = fopen(path, "re");
	if (f) {
		n = fread(words, 1, sizeof(words) - 1, f);
		fclose(f);
	}
	while (n > 0 && !words[n - 1])
		n--;
	words[n] = '\0';
	name = strrchr(words, '/'); /* of the first word: the others lie behind its end */
	name = name ? name + 1 : words;
	for (char *c = words; c < words + n; c++)
		if (*c < ' ')
			*c = ' ';
	snprintf(buf, size, "%.60s", n ? name : "fourlane");
}

int vf_lock(const struct sriov_env *e)
{
	char path[LOCK_PATH], holder[128], command[64];
	int fd = lock_open(e, "vf.lock", path), ret;

	if (fd < 0)
		return fd;
	ret = lock_take(fd, e->lock_ms ? e->lock_ms : e->wait_ms);
	own_command(e, command, sizeof(command));
	if (ret == 0)
		ret = lock_sign(fd, command);
	if (ret == 0)
		return fd;
	lock_holder(fd, holder, sizeof(holder));
	close(fd);
	return err_ret(ret, "changing VFs: %s holds %s; wait for it and try again", holder, path);
}

static void lease_name(const char *bdf, char name[48])
{
	snprintf(name, 48, "vf-%s.lease", bdf);
}

int vf_lease(const struct sriov_env *e, const char *bdf, const char *holder)
{
	char path[LOCK_PATH], name[48], other[128];
	int fd, ret;

	lease_name(bdf, name);
	fd = lock_open(e, name, path);
	if (fd < 0)
		return fd;
	ret = lock_take(fd, 0);
	if (ret == 0)
		ret = lock_sign(fd, holder);
	if (ret == 0)
		return fd;
	lock_holder(fd, other, sizeof(other));
	close(fd);
	return err_ret(ret, "taking VF %s: %s has it; stop that first", bdf, other);
}

static bool lease_held(const struct sriov_env *e, const char *bdf, char *buf, size_t size)
{
	char path[LOCK_PATH], name[48];
	bool held;
	int fd;

	lease_name(bdf, name);
	snprintf(path, sizeof(path), "%s/%s", e->run_dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	if (held)
		lock_holder(fd, buf, size);
	close(fd);
	return held;
}

/* --- the VF as a whole -------------------------------------------------- */
static bool netdev_up(const char *vf_path, const char *netdev)
{
	char line[32];

	if (paths_read_line(line, sizeof(line), "%s/net/%s/flags", vf_path, netdev) < 0)
		return false;
	return strtoul(line, NULL, 16) & IFF_UP;
}

/*
 * A VFIO driver alone is no use, somebody must have the function open. Any other driver without a
 * netdev that we see is.
 */
static bool driver_holds(const struct sriov_env *e, const char *vf_path, const char *bdf,
			 const char *driver, char *buf, size_t size)
{
	char netdev[IFNAMSIZ], comm[64] = "a process";
	int pid;

	if (iommu_driver_is_vfio(driver)) {
		pid = vfio_user(e->v->sysfs, e->v->proc, bdf);
		if (pid)
			paths_read_line(comm, sizeof(comm), "%s/%d/comm", e->v->proc, pid);
		if (pid)
			snprintf(buf, size, "%s (pid %d) has it open", comm, pid);
		return pid != 0;
	}
	if (sriov_first_netdev(vf_path, netdev) == 0) {
		snprintf(buf, size,
			 "driver %s runs it and no netdev of it is here (another network "
			 "namespace, or a user-space driver)",
			 driver);
		return true;
	}
	if (!netdev_up(vf_path, netdev))
		return false;
	snprintf(buf, size, "its netdev %s is up (driver %s)", netdev, driver);
	return true;
}

int vf_holder(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx, char *buf,
	      size_t size)
{
	unsigned int end = idx + 1;

	buf[0] = '\0';
	return tenant_holds(e, pf, idx, &end, buf, size) || vf_holder_host(e, pf, idx, buf, size);
}

int vf_holder_host(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		   char *buf, size_t size)
{
	char bdf[IOMMU_BDF_SIZE], path[PATH_MAX + 32], driver[40];

	buf[0] = '\0';
	if (sriov_vf_bdf(pf, idx, bdf) < 0)
		return 0;
	if (lease_held(e, bdf, buf, size))
		return 1;
	snprintf(path, sizeof(path), "%s/virtfn%u", pf->path, idx);
	if (paths_link_name(driver, sizeof(driver), "%s/driver", path) < 0)
		return 0;
	return driver_holds(e, path, bdf, driver, buf, size);
}

int vf_any_holder(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int from,
		  unsigned int to, const char *what)
{
	char holder[256], bdf[IOMMU_BDF_SIZE] = "";
	unsigned int i, end = to;

	if (tenant_holds(e, pf, from, &end, holder, sizeof(holder)))
		i = end;
	else
		for (i = from; i < to && !vf_holder_host(e, pf, i, holder, sizeof(holder));)
			i++;
	if (i >= to)
		return 0;
	sriov_vf_bdf(pf, i, bdf);
	return err_ret(-EBUSY, "%s %s: VF %u (%s) is in use: %s; end that first", what, pf->name, i,
		       bdf[0] ? bdf : "no PCI function", holder);
}
