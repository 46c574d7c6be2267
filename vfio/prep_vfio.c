/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `fourlane run` does for `--nic vfio,host=BDF`: checks that the function is bound to
 * vfio-pci, opens container, group and device with the caller's rights and hands the descriptors to
 * the jailed monitor. One container for all devices of a guest, one descriptor for two functions of
 * a group. It never binds anything: that is `fourlane assign`, which remembers what was there. A
 * function that cannot be reset is for one guest (prep_reset.c).
 * Documentation/driver-api/vfio.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "iommu/iommu.h"
#include "prep_reset.h"
#include "vfio/vfio.h"

#define LOCK_SLACK \
	(16ull << 20) /* beside guest RAM: rings, page tables, what the monitor itself locks */

/* Both groups of checks give -ENODEV for what the host lacks and -EBUSY for what assign mends. */
static int prep_check(const char *bdf, unsigned int *group)
{
	char driver[64] = "", list[1024], mend[1024];
	struct iommu_group *g;
	int id = iommu_group_of(host_real.sysfs, bdf), ret;

	if (id == -ENOENT)
		return err_ret(
			-ENOENT,
			"opening %s: there is no such PCI function; see 'fourlane groups' or lspci",
			bdf);
	if (id < 0)
		return err_ret(-ENODEV,
			       "opening %s: no IOMMU is active for it; turn on VT-d or AMD-Vi in "
			       "the firmware and boot with intel_iommu=on",
			       bdf);
	if (paths_link_name(driver, sizeof(driver), "%s/bus/pci/devices/%s/driver", host_real.sysfs,
			    bdf) < 0)
		driver[0] = '\0';
	if (!iommu_driver_is_vfio(driver))
		return err_ret(-EBUSY,
			       "opening %s: it is bound to %s, not to vfio-pci; run 'fourlane "
			       "assign %s' first",
			       bdf, driver[0] ? driver : "no driver", bdf);
	ret = iommu_group_load(host_real.sysfs, (unsigned int)id, &g);
	if (ret < 0)
		return err_ret(ret, "opening %s: reading IOMMU group %d: %s; is /sys mounted?", bdf,
			       id, strerror(-ret));
	ret = g->no_iommu ? -ENODEV : iommu_group_viable(g) ? 0 : -EBUSY;
	if (ret == -ENODEV) {
		iommu_group_verdict(g, mend, sizeof(mend));
		err_say("opening %s: no IOMMU translates for it, so its DMA would hit the host's "
			"memory, not the guest's; %s",
			bdf, mend);
	} else if (ret < 0) {
		iommu_group_list(g, false, list, sizeof(list));
		iommu_group_verdict(g, mend, sizeof(mend));
		err_say("opening %s: IOMMU group %d is still in use by the host, its members are "
			"%s; run '%s'",
			bdf, id, list, mend);
	}
	iommu_group_free(g);
	*group = (unsigned int)id;
	return ret;
}

static int prep_memlock(const char *bdf, uint64_t need)
{
	struct rlimit now, want;

	if (getrlimit(RLIMIT_MEMLOCK, &now) < 0 || now.rlim_cur == RLIM_INFINITY ||
	    now.rlim_cur >= need)
		return 0;
	want = (struct rlimit){ .rlim_cur = need,
				.rlim_max = now.rlim_max < need ? need : now.rlim_max };
	if (setrlimit(RLIMIT_MEMLOCK, &want) == 0)
		return 0;
	return err_ret(-EPERM,
		       "opening %s: its DMA needs %" PRIu64
		       " MiB of locked memory and RLIMIT_MEMLOCK allows %" PRIu64
		       " MiB; raise it ('ulimit -l %" PRIu64
		       "', or memlock in limits.conf) or run as root",
		       bdf, (need + 0xfffff) >> 20, (uint64_t)now.rlim_max >> 20,
		       (need + 1023) / 1024);
}

static int prep_share(struct prep_guest *g, const char *name, int fd)
{
	int ret = prep_set_shared_fd(g, name, fd, 0);

	if (ret == 0)
		return fd;
	close(fd);
	return err_ret(ret, "guest '%s': keeping %s: %s; give it devices of fewer groups",
		       prep_guest_name(g), name, strerror(-ret));
}

/* The guest's container, made at the first device. The prep owns it. */
static int prep_container(struct prep_guest *g, const char *bdf)
{
	int fd = prep_shared_fd(g, "container");

	if (fd >= 0)
		return fd;
	fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENODEV))
		return err_ret(-ENODEV,
			       "opening %s: /dev/vfio/vfio: %s; run 'modprobe vfio-pci', the "
			       "kernel needs CONFIG_VFIO_CONTAINER",
			       bdf, strerror(errno));
	if (fd < 0)
		return err_ret(
			-errno,
			"opening %s: /dev/vfio/vfio: %s; run as root or get the right to open it",
			bdf, strerror(errno));
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1) {
		close(fd);
		return err_ret(-EOPNOTSUPP,
			       "opening %s: this kernel's VFIO has no type1v2 IOMMU; run 'modprobe "
			       "vfio_iommu_type1'",
			       bdf);
	}
	return prep_share(g, "container", fd);
}

static int prep_open_group_node(const char *bdf, unsigned int id)
{
	char path[64];
	int fd, pid;

	snprintf(path, sizeof(path), "/dev/vfio/%u", id);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == EBUSY) {
		pid = vfio_user(host_real.sysfs, host_real.proc, bdf);
		return err_ret(
			-EBUSY,
			"opening %s: its group %u is in use by process %d; stop that guest first",
			bdf, id, pid);
	}
	if (errno == EACCES || errno == EPERM)
		return err_ret(
			-errno,
			"opening %s: %s: %s; run as root, or give yourself the node: 'chown %u %s'",
			bdf, path, strerror(errno), getuid(), path);
	return err_ret(errno == ENOENT ? -ENODEV : -errno,
		       "opening %s: %s: %s; is vfio-pci loaded and /dev a devtmpfs?", bdf, path,
		       strerror(errno));
}

static int prep_attach(const char *bdf, unsigned int id, int group, int container)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	if (ioctl(group, VFIO_GROUP_GET_STATUS, &st) < 0)
		return err_ret(-errno, "opening %s: status of group %u: %s; see the kernel's log",
			       bdf, id, strerror(errno));
	if (!(st.flags & VFIO_GROUP_FLAGS_VIABLE))
		return err_ret(-EBUSY,
			       "opening %s: the kernel says that group %u is in use by the host; "
			       "see 'fourlane groups'",
			       bdf, id);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0)
		return err_ret(-errno,
			       "opening %s: putting group %u into the container: %s; see the "
			       "kernel's log (RMRR, interrupt remapping)",
			       bdf, id, strerror(errno));
	/* a container has its type chosen once, when it has its first group; before that it cannot
	 * answer */
	if (ioctl(container, VFIO_IOMMU_GET_INFO, &info) == 0 ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0)
		return 0;
	if (errno == EPERM)
		return err_ret(-EOPNOTSUPP,
			       "opening %s: the IOMMU does not remap interrupts, so a guest could "
			       "forge them; turn on interrupt remapping "
			       "(x2APIC) in the firmware, or accept that with 'modprobe "
			       "vfio_iommu_type1 allow_unsafe_interrupts=1'",
			       bdf);
	return err_ret(-errno, "opening %s: choosing the IOMMU type: %s; see the kernel's log", bdf,
		       strerror(errno));
}

/* The group's descriptor in the guest's container, shared by its functions. The prep owns it. */
static int prep_group(struct prep_guest *g, const char *bdf, unsigned int id, int container)
{
	char name[24];
	int fd, ret;

	snprintf(name, sizeof(name), "group%u", id);
	fd = prep_shared_fd(g, name);
	if (fd >= 0)
		return fd;
	fd = prep_open_group_node(bdf, id);
	if (fd < 0)
		return fd;
	ret = prep_attach(bdf, id, fd, container);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return prep_share(g, name, fd);
}

/* The kernel would open it twice; a guest that has it twice would fight with itself. */
static int prep_device(struct prep_guest *g, const char *bdf, unsigned int id, int group)
{
	int fd;

	if (prep_shared_fd(g, bdf) >= 0)
		return err_ret(-EINVAL, "opening %s: the guest has it already; give it once", bdf);
	fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	if (fd < 0)
		return err_ret(-errno,
			       "opening %s: getting it from group %u: %s; see the kernel's log",
			       bdf, id, strerror(errno));
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return prep_share(g, bdf, fd);
}

/* What an earlier guest left in a function that cannot be reset would reach the next. */
static int prep_reset(const char *bdf, unsigned int id, int dev, const char *methods, bool no_reset)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	char dir[PATH_MAX], node[64];
	int ret;

	if (ioctl(dev, VFIO_DEVICE_GET_INFO, &info) < 0)
		return err_ret(-errno, "opening %s: asking what it is: %s; see the kernel's log",
			       bdf, strerror(errno));
	if (info.flags & VFIO_DEVICE_FLAGS_RESET)
		return 0;
	ret = paths_run_dir(dir, sizeof(dir));
	if (ret < 0)
		return ret;
	snprintf(node, sizeof(node), "/dev/vfio/%u", id);
	if (!no_reset && vfio_used_before(dir, bdf, node))
		return err_ret(-EBUSY,
			       "opening %s: a guest has had it and the kernel cannot reset it "
			       "(reset methods: %s), so what that guest left in it would reach the "
			       "next; give it to the host's driver in between ('fourlane unassign "
			       "%s', then assign), or accept that with no-reset=on",
			       bdf, *methods ? methods : "none", bdf);
	ret = vfio_used_mark(dir, bdf, node);
	if (ret < 0 && !no_reset)
		return err_ret(ret,
			       "opening %s: noting in %s that a guest has it, as it cannot be "
			       "reset: %s; make room, or go without with no-reset=on",
			       bdf, dir, strerror(-ret));
	return 0;
}

/* The words of --nic vfio besides the address. */
struct prep_words {
	bool rombar, no_reset;
};

static int prep_give(struct prep_guest *g, struct prep_nic *nic, int dev, int container, int group)
{
	/* all three are the guest's: the NIC gets copies */
	int ret = prep_add_fd(g, nic, "device", dev);

	if (ret == 0)
		ret = prep_add_fd(g, nic, "container", container);
	if (ret == 0)
		ret = prep_add_fd(g, nic, "group", group);
	return ret;
}

static int prep_open(struct prep_guest *g, struct prep_nic *nic, const char *bdf_text,
		     const struct prep_words *w)
{
	char bdf[IOMMU_BDF_SIZE], physfn[64], methods[64];
	unsigned int id;
	int container, group, dev, ret;

	if (iommu_bdf_parse(bdf_text, bdf) < 0)
		return err_ret(-EINVAL,
			       "opening '%s': it is no PCI address; write it like 0000:03:00.0",
			       bdf_text);
	ret = prep_check(bdf, &id);
	if (ret == 0)
		ret = prep_memlock(bdf, prep_guest_mem(g) + LOCK_SLACK);
	if (ret < 0)
		return ret;
	container = prep_container(g, bdf);
	if (container < 0)
		return container;
	group = prep_group(g, bdf, id, container);
	if (group < 0)
		return group;
	dev = prep_device(g, bdf, id, group);
	if (dev < 0)
		return dev;
	vfio_reset_methods(host_real.sysfs, bdf, methods, sizeof(methods));
	ret = prep_reset(bdf, id, dev, methods, w->no_reset);
	if (ret == 0)
		ret = prep_give(g, nic, dev, container, group);
	if (ret < 0)
		return ret;
	snprintf(nic->lane, sizeof(nic->lane), "%s",
		 paths_link_name(physfn, sizeof(physfn), "%s/bus/pci/devices/%s/physfn",
				 host_real.sysfs, bdf) == 0
			 ? "vf"
			 : "direct");
	return prep_set_opts(nic, "vfio,host=%s,guest=%s,reset=%s%s%s", bdf, prep_guest_name(g),
			     *methods ? methods : "unknown", w->rombar ? "" : ",rombar=off",
			     w->no_reset ? ",no-reset=on" : "");
}

int vfio_prep_open(struct prep_guest *g, struct prep_nic *nic, const char *bdf)
{
	return prep_open(g, nic, bdf, &(struct prep_words){ .rombar = true });
}

#define VFIO_KEYS "host=BDF, rombar=on|off, no-reset=on|off"

static int prep_vfio(struct prep_guest *g, struct prep_nic *nic)
{
	const char *host = opts_take(nic->opts, "host");
	struct prep_words w = { .rombar = true };
	int ret;

	if (!host)
		return err_ret(-EINVAL, "--nic %s: which PCI function? write vfio,host=BDF",
			       opts_text(nic->opts));
	ret = opts_take_bool(nic->opts, "rombar", &w.rombar);
	if (ret == 0)
		ret = opts_take_bool(nic->opts, "no-reset", &w.no_reset);
	if (ret == 0)
		ret = opts_done(nic->opts, VFIO_KEYS);
	return ret < 0 ? -EINVAL : prep_open(g, nic, host, &w);
}

static const struct nic_prep vfio_nic_prep = {
	.name = "vfio", .lane = "direct", .keys = VFIO_KEYS, .prepare = prep_vfio
};
NIC_PREP(&vfio_nic_prep);
