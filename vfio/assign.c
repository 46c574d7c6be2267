/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI functions to vfio-pci and back to the driver they had. Called by the commands assign and
 * unassign and by sriov for VFs. Everything is checked before anything is changed; what is about to
 * be changed is on disk first (assign_record.c), so that after a crash at any point vfio_unassign()
 * puts the function back as it was. Binding works by driver_override
 * (Documentation/ABI/testing/sysfs-bus-pci), which touches this one function and no id table.
 */
#include "vfio/vfio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <spawn.h>
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
#include "iommu/iommu.h"

#define VFIO_DRIVER "vfio-pci"
#define POLL_MS     10

extern char **environ;

/* --- this machine --------------------------------------------------------- */

static int assign_write_real(void *opaque, const char *path, const char *text)
{
	return paths_write(text, "%s", path);
}

static bool assign_has_address(void *opaque, const char *ifname)
{
	struct ifaddrs *all, *a;
	bool found = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (a = all; a && !found; a = a->ifa_next) {
		if (!a->ifa_addr || strcmp(a->ifa_name, ifname))
			continue;
		if (a->ifa_addr->sa_family == AF_INET)
			found = true;
		if (a->ifa_addr->sa_family == AF_INET6)
			found = !IN6_IS_ADDR_LINKLOCAL(
				&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr);
	}
	freeifaddrs(all);
	return found;
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
		.state = state_buf,
		.modprobe = "modprobe",
		.deadline_ms = 10000,
		.write = assign_write_real,
		.has_address = assign_has_address,
	};
	return 0;
}

/* --- small looks and writes ----------------------------------------------- */

static uint64_t assign_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void assign_pause(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000 }, NULL);
}

/* The driver that is bound now, "" for none. */
static void assign_driver(const struct vfio_sys *s, const char *bdf, char *buf, size_t size)
{
	if (paths_link_name(buf, size, "%s/bus/pci/devices/%s/driver", s->sysfs, bdf) < 0)
		buf[0] = '\0';
}

/* driver_override as text; the kernel shows "(null)" for none. */
static void assign_override(const struct vfio_sys *s, const char *bdf, char *buf, size_t size)
{
	int n = paths_read_line(buf, size, "%s/bus/pci/devices/%s/driver_override", s->sysfs, bdf);

	if (n < 0 || !strcmp(buf, "(null)"))
		buf[0] = '\0';
}

static int assign_write(const struct vfio_sys *s, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int assign_write(const struct vfio_sys *s, const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= sizeof(path) ? -ENAMETOOLONG : s->write(s->opaque, path, text);
}

/* Waits until `driver` ("" for none) is bound. */
static int assign_wait_driver(const struct vfio_sys *s, const char *bdf, const char *driver)
{
	uint64_t end = assign_now_ms() + s->deadline_ms;
	char now[64];

	for (;;) {
		assign_driver(s, bdf, now, sizeof(now));
		if (!strcmp(now, driver))
			return 0;
		if (assign_now_ms() >= end)
			return -ETIMEDOUT;
		assign_pause();
	}
}

static bool assign_have_driver(const struct vfio_sys *s, const char *driver)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/drivers/%s", s->sysfs, driver);
	return access(path, F_OK) == 0;
}

/* Loads a driver's module when its folder is not there. -EOPNOTSUPP when it is still missing
 * afterwards; no message. */
static int assign_load_driver(const struct vfio_sys *s, const char *driver)
{
	char *argv[] = { (char *)s->modprobe, (char *)"-q", (char *)driver, NULL };
	int status = -1;
	pid_t pid;

	if (assign_have_driver(s, driver))
		return 0;
	if (!s->modprobe || posix_spawnp(&pid, s->modprobe, NULL, NULL, argv, environ) != 0)
		return -EOPNOTSUPP;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return assign_have_driver(s, driver) ? 0 : -EOPNOTSUPP;
}

/* --- who has it open ------------------------------------------------------ */

static bool user_has_link(const char *proc, const char *pid, const char *group_node,
			  const char *dev_node)
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
		if (n < 0)
			continue;
		target[n] = '\0';
		found = !strcmp(target, group_node) || (*dev_node && !strcmp(target, dev_node));
	}
	if (d)
		closedir(d);
	return found;
}

int vfio_user(const char *sysfs, const char *proc, const char *bdf)
{
	char group[64], dev[64 + 32] = "", path[PATH_MAX];
	int id = iommu_group_of(sysfs, bdf), pid = 0;
	struct dirent *e;
	DIR *d;

	if (id < 0)
		return 0;
	snprintf(group, sizeof(group), "/dev/vfio/%d", id);
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/vfio-dev", sysfs, bdf);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, "vfio", 4))
			snprintf(dev, sizeof(dev), "/dev/vfio/devices/%.32s", e->d_name);
	if (d)
		closedir(d);
	d = opendir(proc);
	while (d && !pid && (e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' &&
		    user_has_link(proc, e->d_name, group, dev))
			pid = atoi(e->d_name);
	if (d)
		closedir(d);
	return pid;
}

/* Taking a function from vfio-pci blocks in the kernel for as long as somebody has it open, so
 * nobody may. */
static int assign_wait_unused(const struct vfio_sys *s, const char *bdf)
{
	uint64_t end = assign_now_ms() + (s->deadline_ms < 2000 ? s->deadline_ms : 2000);
	int pid;

	while ((pid = vfio_user(s->sysfs, s->proc, bdf)) != 0) {
		if (assign_now_ms() >= end)
			return err_ret(-EBUSY,
				       "giving %s back: process %d has its VFIO group open; stop "
				       "that guest first",
				       bdf, pid);
		assign_pause();
	}
	return 0;
}

/* --- one function there and back ------------------------------------------ */

static int assign_unbind(const struct vfio_sys *s, const char *bdf)
{
	char driver[64];
	int ret;

	assign_driver(s, bdf, driver, sizeof(driver));
	if (!driver[0])
		return 0;
	ret = assign_write(s, bdf, "%s/bus/pci/devices/%s/driver/unbind", s->sysfs, bdf);
	if (ret == -ENODEV || ret == -ENOENT) /* it went away by itself */
		ret = 0;
	if (ret == 0)
		ret = assign_wait_driver(s, bdf, "");
	if (ret < 0)
		return err_ret(ret, "taking %s from its driver %s: %s; see the kernel's log", bdf,
			       driver, strerror(-ret));
	return 0;
}

static int assign_set_override(const struct vfio_sys *s, const char *bdf, const char *driver)
{
	int ret = assign_write(s, *driver ? driver : "\n", "%s/bus/pci/devices/%s/driver_override",
			       s->sysfs, bdf);

	if (ret < 0)
		return err_ret(ret, "setting driver_override of %s: %s; run as root", bdf,
			       strerror(-ret));
	return 0;
}

static int assign_bind_vfio(const struct vfio_sys *s, const char *bdf)
{
	int ret = assign_set_override(s, bdf, VFIO_DRIVER);

	if (ret == 0)
		ret = assign_unbind(s, bdf);
	if (ret < 0)
		return ret;
	ret = assign_write(s, bdf, "%s/bus/pci/drivers_probe", s->sysfs);
	if (ret == 0)
		ret = assign_wait_driver(s, bdf, VFIO_DRIVER);
	if (ret < 0)
		return err_ret(ret, "binding %s to vfio-pci: %s; see the kernel's log", bdf,
			       strerror(-ret));
	return 0;
}

/* The driver of the record, by its own bind file: that is exact even when another driver would
 * claim the function first. */
static int assign_bind_old(const struct vfio_sys *s, const char *bdf, const char *driver)
{
	int ret;

	if (assign_load_driver(s, driver) < 0)
		return err_ret(
			-EOPNOTSUPP,
			"giving %s back: its driver %s is not loaded any more; load it and repeat",
			bdf, driver);
	ret = assign_write(s, bdf, "%s/bus/pci/drivers/%s/bind", s->sysfs, driver);
	if (ret == -EBUSY || ret == -EEXIST) /* loading the module has bound it */
		ret = 0;
	if (ret == 0)
		ret = assign_wait_driver(s, bdf, driver);
	if (ret < 0)
		return err_ret(ret, "giving %s back to its driver %s: %s; see the kernel's log",
			       bdf, driver, strerror(-ret));
	return 0;
}

/* Everything as the record says; the record is dropped last. Any point before may be where an
 * earlier run ended. */
static int assign_restore(const struct vfio_sys *s, const struct assign_record *r)
{
	char now[64];
	int ret = assign_set_override(s, r->bdf, r->override);

	assign_driver(s, r->bdf, now, sizeof(now));
	if (ret == 0 && iommu_driver_is_vfio(now) && strcmp(now, r->driver)) {
		ret = assign_wait_unused(s, r->bdf);
		if (ret == 0)
			ret = assign_unbind(s, r->bdf);
	}
	assign_driver(s, r->bdf, now, sizeof(now));
	if (ret == 0 && r->driver[0] && !now[0]) /* whoever bound another one meanwhile meant it */
		ret = assign_bind_old(s, r->bdf, r->driver);
	return ret < 0 ? ret : assign_record_drop(s, r->bdf);
}

/* --- records -------------------------------------------------------------- */

static void assign_identity(const struct vfio_sys *s, const char *bdf, struct assign_record *r)
{
	snprintf(r->bdf, sizeof(r->bdf), "%s", bdf);
	if (paths_read_line(r->vendor, sizeof(r->vendor), "%s/bus/pci/devices/%s/vendor", s->sysfs,
			    bdf) < 0)
		r->vendor[0] = '\0';
	if (paths_read_line(r->device, sizeof(r->device), "%s/bus/pci/devices/%s/device", s->sysfs,
			    bdf) < 0)
		r->device[0] = '\0';
	if (paths_read_line(r->boot_id, sizeof(r->boot_id), "%s/sys/kernel/random/boot_id",
			    s->proc) < 0)
		r->boot_id[0] = '\0';
}

/* The record of this device and this boot. 0, -ENOENT (none, or one of another time), other errors
 * after a message. */
static int assign_load_valid(const struct vfio_sys *s, const char *bdf, struct assign_record *out)
{
	struct assign_record now = { 0 };
	int ret = assign_record_load(s, bdf, out);

	if (ret < 0)
		return ret;
	assign_identity(s, bdf, &now);
	if (strcmp(now.vendor, out->vendor) || strcmp(now.device, out->device) ||
	    strcmp(now.boot_id, out->boot_id))
		return -ENOENT;
	return 0;
}

/*
 * What has to be put back one day. An earlier run may have ended at any point: when driver_override
 * is ours already, the recorded one is the user's; when no driver is bound, the recorded one was.
 */
static int assign_make_record(const struct vfio_sys *s, const char *bdf, struct assign_record *r)
{
	struct assign_record old;
	char driver[64], override[64];
	int ret = assign_load_valid(s, bdf, &old);

	if (ret < 0 && ret != -ENOENT)
		return ret;
	memset(r, 0, sizeof(*r));
	assign_identity(s, bdf, r);
	assign_driver(s, bdf, driver, sizeof(driver));
	assign_override(s, bdf, override, sizeof(override));
	snprintf(r->driver, sizeof(r->driver), "%s", ret == 0 && !driver[0] ? old.driver : driver);
	snprintf(r->override, sizeof(r->override), "%s",
		 ret == 0 && !strcmp(override, VFIO_DRIVER) ? old.override : override);
	return 0;
}

/* --- checks --------------------------------------------------------------- */

static bool assign_listed(const char *name, const char *const *bdfs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(bdfs[i], name))
			return true;
	return false;
}

/* Every other member of the group has to come along, unless it does not stand in the way. */
static int assign_check_group(const struct vfio_sys *s, const char *bdf, const char *const *bdfs,
			      size_t n)
{
	char members[1024], mend[1024];
	struct iommu_group *g;
	int id = iommu_group_of(s->sysfs, bdf), ret;

	if (id == -ENOENT)
		return err_ret(-ENOENT,
			       "assigning %s: there is no such PCI function; see 'fourlane groups' "
			       "or lspci",
			       bdf);
	if (id < 0)
		return err_ret(-ENODEV,
			       "assigning %s: no IOMMU is active for it; turn on VT-d or AMD-Vi in "
			       "the firmware and boot with intel_iommu=on",
			       bdf);
	ret = iommu_group_load(s->sysfs, (unsigned int)id, &g);
	if (ret < 0)
		return err_ret(ret, "assigning %s: reading IOMMU group %d: %s; is /sys mounted?",
			       bdf, id, strerror(-ret));
	for (size_t i = 0; ret == 0 && i < g->n_members; i++) {
		const struct iommu_member *m = &g->members[i];

		if (!strcmp(m->name, bdf) && m->bridge)
			ret = err_ret(-EINVAL,
				      "assigning %s: it is a bridge; give the functions behind it",
				      bdf);
		else if (iommu_member_blocks(m) && !assign_listed(m->name, bdfs, n))
			ret = -EBUSY;
	}
	if (ret == -EBUSY) {
		iommu_group_list(g, false, members, sizeof(members));
		iommu_group_verdict(g, mend, sizeof(mend));
		err_say("assigning %s: IOMMU group %d can only be given away whole, its members "
			"are %s; assign all: '%s'",
			bdf, id, members, mend);
	}
	iommu_group_free(g);
	return ret;
}

static int assign_check_rights(const struct vfio_sys *s, const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver_override", s->sysfs, bdf);
	if (access(path, W_OK) == 0)
		return 0;
	return err_ret(-errno, "assigning %s: writing %s: %s; run as root, with /sys writable", bdf,
		       path, strerror(errno));
}

static int assign_check_use(const struct vfio_sys *s, const char *bdf, unsigned int flags)
{
	char why[512];

	if ((flags & VFIO_ASSIGN_FORCE) || !assign_in_use(s, bdf, why, sizeof(why)))
		return 0;
	return err_ret(-EBUSY, "assigning %s: %s; free it first, or take it anyway with --force",
		       bdf, why);
}

static int assign_check(const struct vfio_sys *s, const char *const *bdfs, size_t n,
			unsigned int flags)
{
	char driver[64];
	int ret;

	for (size_t i = 0; i < n; i++) {
		ret = assign_check_group(s, bdfs[i], bdfs, n);
		assign_driver(s, bdfs[i], driver, sizeof(driver));
		if (ret == 0 && !iommu_driver_is_vfio(driver))
			ret = assign_check_use(s, bdfs[i], flags);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Two calls at the same time would mix up their records. The lock goes with the descriptor. */
static int assign_lock(const struct vfio_sys *s)
{
	uint64_t end = assign_now_ms() + s->deadline_ms;
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/.lock", s->state);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return err_ret(-errno, "opening %s: %s; run as root", path, strerror(errno));
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (assign_now_ms() >= end) {
			close(fd);
			return err_ret(
				-ETIMEDOUT,
				"locking %s: another assign or unassign holds it; wait for its end",
				path);
		}
		assign_pause();
	}
	return fd;
}

/* --- the two actions ------------------------------------------------------ */

static int assign_one(const struct vfio_sys *s, const char *bdf, struct assign_record *r,
		      bool *changed)
{
	char driver[64];
	int ret;

	*changed = false;
	assign_driver(s, bdf, driver, sizeof(driver));
	if (iommu_driver_is_vfio(driver))
		return 0;
	ret = assign_make_record(s, bdf, r);
	if (ret == 0)
		ret = assign_record_store(s, r);
	if (ret < 0)
		return ret;
	*changed = true;
	return assign_bind_vfio(s, bdf);
}

/* All or none: when one fails, those that were changed go back in reverse order. */
static int assign_all(const struct vfio_sys *s, const char *const *bdfs, size_t n)
{
	struct assign_record *r = calloc(n, sizeof(*r));
	bool *changed = calloc(n, sizeof(*changed));
	int ret = r && changed ? 0 : -ENOMEM;
	size_t i;

	for (i = 0; ret == 0 && i < n; i++)
		ret = assign_one(s, bdfs[i], &r[i], &changed[i]);
	while (ret < 0 && r && changed && i--)
		if (changed[i] && assign_restore(s, &r[i]) < 0)
			err_say("assigning %s: it could not be put back either; mend what stands "
				"above, then 'fourlane unassign %s'",
				bdfs[i], bdfs[i]);
	free(r);
	free(changed);
	return ret;
}

static void assign_show(const struct vfio_sys *s, const char *bdf)
{
	char driver[64];

	assign_driver(s, bdf, driver, sizeof(driver));
	printf("%s (group %d): %s -> %s\n", bdf, iommu_group_of(s->sysfs, bdf),
	       driver[0] ? driver : "no driver",
	       iommu_driver_is_vfio(driver) ? "stays" : VFIO_DRIVER);
}

static int assign_show_all(const struct vfio_sys *s, const char *const *bdfs, size_t n,
			   unsigned int flags)
{
	int ret = assign_check(s, bdfs, n, flags);

	for (size_t i = 0; ret == 0 && i < n; i++)
		assign_show(s, bdfs[i]);
	return ret;
}

int vfio_assign(const struct vfio_sys *s, const char *const *bdfs, size_t n, unsigned int flags)
{
	int lock, ret;

	if (flags & VFIO_ASSIGN_DRY_RUN)
		return assign_show_all(s, bdfs, n, flags);
	lock = assign_lock(s);
	if (lock < 0)
		return lock;
	ret = assign_check(s, bdfs, n, flags);
	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = assign_check_rights(s, bdfs[i]);
	if (ret == 0 && assign_load_driver(s, VFIO_DRIVER) < 0)
		ret = err_ret(-EOPNOTSUPP,
			      "assigning %s: the kernel has no driver vfio-pci; load it with "
			      "'modprobe vfio-pci' or build it (CONFIG_VFIO_PCI)",
			      bdfs[0]);
	if (ret == 0)
		ret = assign_all(s, bdfs, n);
	close(lock);
	return ret;
}

/* Nobody recorded what was there: the kernel's own choice is the best guess. */
static int unassign_default(const struct vfio_sys *s, const char *bdf)
{
	char driver[64], override[64];
	int ret = 0;

	assign_driver(s, bdf, driver, sizeof(driver));
	assign_override(s, bdf, override, sizeof(override));
	if (!strcmp(override, VFIO_DRIVER))
		ret = assign_set_override(s, bdf, "");
	if (ret < 0 || !iommu_driver_is_vfio(driver))
		return ret;
	ret = assign_wait_unused(s, bdf);
	if (ret == 0)
		ret = assign_unbind(s, bdf);
	if (ret == 0)
		ret = assign_write(s, bdf, "%s/bus/pci/drivers_probe", s->sysfs);
	return ret;
}

static int unassign_one(const struct vfio_sys *s, const char *bdf, unsigned int flags)
{
	struct assign_record r;
	char path[PATH_MAX], driver[64];
	int ret;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", s->sysfs, bdf);
	if (access(path, F_OK) < 0) {
		ret = assign_record_load(s, bdf, &r);
		if (ret == 0 && !(flags & VFIO_ASSIGN_DRY_RUN))
			/* the function is gone (a VF that was removed), so is its record */
			ret = assign_record_drop(s, bdf);
		else if (ret == -ENOENT)
			err_say("giving %s back: there is no such PCI function; see lspci", bdf);
		return ret;
	}
	ret = assign_load_valid(s, bdf, &r);
	if (ret < 0 && ret != -ENOENT)
		return ret;
	if (flags & VFIO_ASSIGN_DRY_RUN) {
		assign_driver(s, bdf, driver, sizeof(driver));
		if (ret == -ENOENT)
			snprintf(r.driver, sizeof(r.driver), "what the kernel chooses");
		printf("%s: %s -> %s\n", bdf, driver[0] ? driver : "no driver",
		       r.driver[0] ? r.driver : "no driver");
		return 0;
	}
	if (ret == 0)
		return assign_restore(s, &r);
	ret = unassign_default(s, bdf);
	return ret < 0 ? ret : assign_record_drop(s, bdf);
}

int vfio_unassign(const struct vfio_sys *s, const char *const *bdfs, size_t n, unsigned int flags)
{
	int lock = assign_lock(s), ret = 0;

	if (lock < 0)
		return lock;
	for (size_t i = 0; i < n; i++) {
		int one = unassign_one(s, bdfs[i], flags);

		if (one < 0 && ret == 0)
			ret = one; /* the others are still given back */
	}
	close(lock);
	return ret;
}
