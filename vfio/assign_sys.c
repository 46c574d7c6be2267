/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This machine as assign and unassign see it, and their small looks, writes and waits. A write to
 * sysfs that unbinds or binds runs the driver's code and can hang in the kernel for ever, so it is
 * done by a process of its own, which is left behind when the deadline has passed. Called by the
 * other files assign*.c only, but for vfio_sys_real() and vfio_user().
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "assign_priv.h"
#include "core/err.h"
#include "core/paths.h"

#define POLL_MS 5
#define NOTE_MS 1000 /* a wait that takes longer is told */

extern char **environ;

/* --- waiting -------------------------------------------------------------- */

static uint64_t sys_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void assign_wait_begin(struct assign_wait *w, unsigned int ms)
{
	uint64_t now = sys_now_ms();

	w->end_ms = now + ms;
	w->note_ms = now + (ms / 2 < NOTE_MS ? ms / 2 : NOTE_MS);
}

bool assign_wait_more(struct assign_wait *w, const char *fmt, ...)
{
	uint64_t now = sys_now_ms();
	char what[512];
	va_list ap;

	if (now >= w->end_ms)
		return false;
	if (w->note_ms && now >= w->note_ms) {
		w->note_ms = 0;
		va_start(ap, fmt);
		vsnprintf(what, sizeof(what), fmt, ap);
		va_end(ap);
		err_say("waiting at most %llu s more: %s",
			(unsigned long long)(w->end_ms - now + 999) / 1000, what);
	}
	nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000 }, NULL);
	return true;
}

/* --- this machine --------------------------------------------------------- */

/* Until the process has ended. Its exit status, or -ETIMEDOUT. */
static int sys_wait_child(pid_t pid, const char *path, const char *text, unsigned int deadline_ms)
{
	struct assign_wait w;
	int status;
	pid_t got;

	assign_wait_begin(&w, deadline_ms);
	for (;;) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (!assign_wait_more(&w, "the kernel is busy with '%s' in %s", text, path))
			return -ETIMEDOUT;
	}
}

int assign_sys_write(void *opaque, const char *path, const char *text, unsigned int deadline_ms)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		/* nobody may wait for what we have open (the lock, a pipe) as long as for this
		 * write */
		close_range(0, ~0u, 0);
		_exit(-paths_write(text, "%s", path) & 0xff);
	}
	return sys_wait_child(pid, path, text, deadline_ms);
}

static int sys_has_address(void *opaque, const char *ifname)
{
	struct ifaddrs *all, *a;
	int found = 0;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (a = all; a && !found; a = a->ifa_next) {
		if (!a->ifa_addr || strcmp(a->ifa_name, ifname))
			continue;
		if (a->ifa_addr->sa_family == AF_INET)
			found = 1;
		if (a->ifa_addr->sa_family == AF_INET6)
			found = !IN6_IS_ADDR_LINKLOCAL(
				&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr);
	}
	freeifaddrs(all);
	return found;
}

/* Link-local and multicast IPv6 routes come by themselves, those of the table "local" with an
 * address. */
static bool sys_route_counts(struct rtnl_route *r)
{
	struct nl_addr *dst = rtnl_route_get_dst(r);
	const uint8_t *b = dst ? nl_addr_get_binary_addr(dst) : NULL;

	if (rtnl_route_get_type(r) != RTN_UNICAST || rtnl_route_get_table(r) == RT_TABLE_LOCAL)
		return false;
	return rtnl_route_get_family(r) != AF_INET6 || !b || nl_addr_get_len(dst) < 2 ||
	       !((b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || b[0] == 0xff);
}

static bool sys_route_through(struct rtnl_route *r, int ifindex)
{
	for (int i = 0; i < rtnl_route_get_nnexthops(r); i++)
		if (rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(r, i)) == ifindex)
			return true;
	return false;
}

/* All tables, all next hops: /proc/net/route shows the main table's first ones only. */
static int sys_has_route(void *opaque, const char *ifname)
{
	int ifindex = (int)if_nametoindex(ifname), found = 0, ret;
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_cache *all = NULL;

	if (!sock)
		return -ENOMEM;
	ret = nl_connect(sock, NETLINK_ROUTE);
	if (ret == 0)
		ret = rtnl_route_alloc_cache(sock, AF_UNSPEC, 0, &all);
	for (struct nl_object *o = ret == 0 ? nl_cache_get_first(all) : NULL; o && !found;
	     o = nl_cache_get_next(o))
		found = sys_route_counts((struct rtnl_route *)o) &&
			sys_route_through((struct rtnl_route *)o, ifindex);
	nl_cache_free(all);
	nl_socket_free(sock);
	return ret < 0 ? -EIO : found;
}

/* The kernel gives a disk exclusively to whoever mounts it or builds on it. Asking takes it for a
 * moment. */
static int sys_is_claimed(void *opaque, const char *disk)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", disk);
	for (char *p = path; (p = strchr(p, '!'));)
		*p = '/'; /* sysfs' way to write cciss/c0d0 */
	fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	switch (errno) {
	case EBUSY: return 1;
	case ENOENT: /* no node, no medium; a plain user's dry run */
	case ENXIO:
	case ENODEV:
	case ENOMEDIUM:
	case EACCES: return 0;
	default: return -errno;
	}
}

int vfio_sys_real(struct vfio_sys *s, char *state_buf, size_t size)
{
	char state[PATH_MAX];
	int ret = paths_state_dir(state, sizeof(state));

	if (ret < 0)
		return ret;
	if ((size_t)snprintf(state_buf, size, "%s/assign", state) >= size)
		return -ENAMETOOLONG;
	if (mkdir(state_buf, 0750) < 0 && errno != EEXIST)
		return err_ret(-errno, "making %s: %s; check the folder's owner", state_buf,
			       strerror(errno));
	*s = (struct vfio_sys){
		.sysfs = host_real.sysfs,
		.proc = host_real.proc,
		.dev = host_real.dev,
		.state = state_buf,
		.modprobe = access("/sbin/modprobe", X_OK) == 0 ? "/sbin/modprobe" : "modprobe",
		.deadline_ms = 10000,
		.write = assign_sys_write,
		.has_address = sys_has_address,
		.has_route = sys_has_route,
		.is_claimed = sys_is_claimed,
	};
	return 0;
}

/* --- looks ---------------------------------------------------------------- */

void assign_driver(const struct vfio_sys *s, const char *bdf, char *buf, size_t size)
{
	if (paths_link_name(buf, size, "%s/bus/pci/devices/%s/driver", s->sysfs, bdf) < 0)
		buf[0] = '\0';
}

void assign_attr(const struct vfio_sys *s, const char *bdf, const char *file, char *buf,
		 size_t size)
{
	if (paths_read_line(buf, size, "%s/bus/pci/devices/%s/%s", s->sysfs, bdf, file) < 0)
		buf[0] = '\0';
}

/* The kernel shows "(null)" for none. */
void assign_override(const struct vfio_sys *s, const char *bdf, char *buf, size_t size)
{
	assign_attr(s, bdf, "driver_override", buf, size);
	if (!strcmp(buf, "(null)"))
		buf[0] = '\0';
}

bool assign_exists(const struct vfio_sys *s, const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", s->sysfs, bdf);
	return access(path, F_OK) == 0;
}

bool assign_have_driver(const struct vfio_sys *s, const char *driver)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/drivers/%s", s->sysfs, driver);
	return access(path, F_OK) == 0;
}

bool assign_modprobe(const struct vfio_sys *s, const char *option, const char *module)
{
	char *argv[] = { (char *)s->modprobe, (char *)option, (char *)module, NULL };
	int status = -1;
	pid_t pid;

	if (!s->modprobe || posix_spawnp(&pid, s->modprobe, NULL, NULL, argv, environ) != 0)
		return false;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The name of the function's folder in `below`, after a prefix; false when there is none. */
static bool sys_sub(const char *dir, const char *prefix, char *name, size_t size)
{
	struct dirent *e;
	bool found = false;
	DIR *d = opendir(dir);

	while (d && !found && (e = readdir(d))) {
		found = !strncmp(e->d_name, prefix, strlen(prefix));
		if (found)
			snprintf(name, size, "%.32s", e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

void vfio_group_node(const char *sysfs, const char *dev, int id, char *buf, size_t size)
{
	char name[64] = "";

	/* a group that VFIO made up, in no-IOMMU mode, has a node of another name */
	paths_read_line(name, sizeof(name), "%s/kernel/iommu_groups/%d/name", sysfs, id);
	snprintf(buf, size, "%s/vfio/%s%d", dev, !strcmp(name, "vfio-noiommu") ? "noiommu-" : "",
		 id);
}

bool vfio_device_node(const char *sysfs, const char *dev, const char *bdf, char *buf, size_t size)
{
	char path[PATH_MAX], name[64];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/vfio-dev", sysfs, bdf);
	if (!sys_sub(path, "vfio", name, sizeof(name)))
		return false;
	snprintf(buf, size, "%s/vfio/devices/%s", dev, name);
	return true;
}

bool assign_node(const struct vfio_sys *s, const char *bdf, char *buf, size_t size)
{
	const char *dev = s->dev ? s->dev : "/dev";
	int id = iommu_group_of(s->sysfs, bdf);

	snprintf(buf, size, "%s/vfio/*", dev);
	if (id >= 0) {
		vfio_group_node(s->sysfs, dev, id, buf, size);
		if (access(buf, F_OK) == 0)
			return true;
	}
	return vfio_device_node(s->sysfs, dev, bdf, buf, size) && access(buf, F_OK) == 0;
}

/* --- who has it open ------------------------------------------------------ */

static bool opener_has_link(const char *proc, const char *pid, const char *one, const char *other)
{
	char dir[PATH_MAX], path[PATH_MAX], target[256];
	bool found = false;
	struct dirent *e;
	ssize_t n;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/%s/fd", proc, pid);
	d = opendir(dir);
	while (d && !found && (e = readdir(d))) {
		if (e->d_name[0] == '.' ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= sizeof(path))
			continue;
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		found = !strcmp(target, one) || !strcmp(target, other);
	}
	if (d)
		closedir(d);
	return found;
}

int assign_opener(const char *proc, const char *path, const char *other)
{
	struct dirent *e;
	int pid = 0;
	DIR *d;

	d = opendir(proc);
	while (d && !pid && (e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && atoi(e->d_name) != getpid() &&
		    opener_has_link(proc, e->d_name, path, other))
			pid = atoi(e->d_name);
	if (d)
		closedir(d);
	return pid;
}

int vfio_user(const char *sysfs, const char *proc, const char *bdf)
{
	char group[96], dev[96] = "";
	int id = iommu_group_of(sysfs, bdf);

	if (id < 0)
		return 0;
	vfio_group_node(sysfs, "/dev", id, group, sizeof(group));
	vfio_device_node(sysfs, "/dev", bdf, dev, sizeof(dev));
	return assign_opener(proc, group, dev);
}

/* --- writes --------------------------------------------------------------- */

void assign_tell(const struct assign *a, const char *what, const char *path, const char *text)
{
	if (a->s->step)
		a->s->step(a->s->opaque, what, path, text);
}

int assign_write(const struct assign *a, const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	assign_tell(a, "write", path, text);
	if (a->flags & VFIO_ASSIGN_DRY_RUN)
		return 0;
	return a->s->write(a->s->opaque, path, text, a->s->deadline_ms);
}

int assign_lock(const struct vfio_sys *s)
{
	struct assign_wait w;
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/.lock", s->state);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return err_ret(-errno, "opening %s: %s; run as root", path, strerror(errno));
	assign_wait_begin(&w, s->deadline_ms);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (!assign_wait_more(&w, "another assign or unassign is at work")) {
			close(fd);
			return err_ret(
				-ETIMEDOUT,
				"locking %s: another assign or unassign holds it; wait for its end",
				path);
		}
	}
	return fd;
}
