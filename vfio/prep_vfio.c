/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `fourlane run` does for `--nic vfio,host=BDF`: checks that the function is bound to
 * vfio-pci, chooses how its DMA is mapped, opens it with the caller's rights (prep_type1.c,
 * prep_iommufd.c) and hands the descriptors to the jailed monitor. It never binds anything: that is
 * `fourlane assign`, which remembers what was there. A function that cannot be reset is for one
 * guest (prep_reset.c). Documentation/driver-api/vfio.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "prep_reset.h"
#include "prep_vfio.h"

/* Both groups of checks give -ENODEV for what the host lacks and -EBUSY for what assign mends. */
static int prep_check(struct vfio_prep *p)
{
	const char *bdf = p->bdf, *sysfs = p->host->sysfs;
	char driver[64] = "", list[1024], mend[1024];
	struct iommu_group *g;
	int id = iommu_group_of(sysfs, bdf), ret;

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
	if (paths_link_name(driver, sizeof(driver), "%s/bus/pci/devices/%s/driver", sysfs, bdf) < 0)
		driver[0] = '\0';
	if (!iommu_driver_is_vfio(driver))
		return err_ret(-EBUSY,
			       "opening %s: it is bound to %s, not to vfio-pci; run 'fourlane "
			       "assign %s' first",
			       bdf, driver[0] ? driver : "no driver", bdf);
	ret = iommu_group_load(sysfs, (unsigned int)id, &g);
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
	p->group = (unsigned int)id;
	return ret;
}

/* --- for both ways -------------------------------------------------------- */

int vfio_prep_node(const struct vfio_prep *p, const char *path, const char *udev,
		   const char *without)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == EBUSY)
		return -EBUSY;
	if (errno == EACCES || errno == EPERM)
		return err_ret(-errno,
			       "opening %s: %s: %s; run as root, or give yourself the node: 'chown "
			       "%u %s', for good by a udev rule: %s, OWNER=\"%u\"",
			       p->bdf, path, strerror(errno), getuid(), path, udev, getuid());
	return err_ret(errno == ENOENT || errno == ENXIO ? -ENODEV : vfio_prep_errno(errno),
		       "opening %s: %s: %s; %s", p->bdf, path, strerror(errno), without);
}

int vfio_prep_share(const struct vfio_prep *p, const char *name, int fd, uint32_t number)
{
	int ret = prep_set_shared_fd(p->g, name, fd, number);

	if (ret == 0)
		return fd;
	close(fd);
	return err_ret(ret, "guest '%s': keeping %s: %s; give it devices of fewer groups",
		       prep_guest_name(p->g), name, strerror(-ret));
}

int vfio_prep_busy(const struct vfio_prep *p)
{
	int pid = vfio_user(p->host->sysfs, p->host->proc, p->bdf);

	if (pid)
		return err_ret(
			-EBUSY,
			"opening %s: its group %u is in use by process %d; stop that guest first",
			p->bdf, p->group, pid);
	return err_ret(-EBUSY,
		       "opening %s: its group %u is in use by a process that cannot be seen; stop "
		       "that guest first",
		       p->bdf, p->group);
}

int vfio_prep_errno(int err)
{
	return err == EINVAL ? -EIO : -err;
}

/* --- one function --------------------------------------------------------- */

/* What an earlier guest left in a function that cannot be reset would reach the next. */
static int prep_reset(const struct vfio_prep *p, int dev, const char *methods, bool no_reset)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	char dir[PATH_MAX], node[96];
	int ret;

	if (ioctl(dev, VFIO_DEVICE_GET_INFO, &info) < 0)
		return err_ret(vfio_prep_errno(errno),
			       "opening %s: asking what it is: %s; see the kernel's log", p->bdf,
			       strerror(errno));
	if (info.flags & VFIO_DEVICE_FLAGS_RESET)
		return 0;
	ret = paths_run_dir(dir, sizeof(dir));
	if (ret < 0)
		return ret;
	/* the same node whichever way it is opened; a kernel without groups has the other */
	vfio_group_node(p->host->sysfs, p->host->dev, (int)p->group, node, sizeof(node));
	if (access(node, F_OK) < 0)
		vfio_device_node(p->host->sysfs, p->host->dev, p->bdf, node, sizeof(node));
	if (!no_reset && vfio_used_before(dir, p->bdf, node))
		return err_ret(-EBUSY,
			       "opening %s: a guest has had it and the kernel cannot reset it "
			       "(reset methods: %s), so what that guest left in it would reach the "
			       "next; give it to the host's driver in between ('fourlane unassign "
			       "%s', then assign), or accept that with --no-reset",
			       p->bdf, *methods ? methods : "none", p->bdf);
	ret = vfio_used_mark(dir, p->bdf, node);
	if (ret < 0 && !no_reset)
		return err_ret(ret,
			       "opening %s: noting in %s that a guest has it, as it cannot be "
			       "reset: %s; make room, or go without with --no-reset",
			       p->bdf, dir, strerror(-ret));
	return 0;
}

/* All descriptors are the guest's: the NIC gets copies. */
static int prep_give(const struct vfio_prep *p, struct prep_nic *nic, int dev)
{
	char group[24];
	int ret = prep_add_fd(p->g, nic, "device", dev);

	if (p->dma == VFIO_DMA_IOMMUFD)
		return ret < 0 ? ret
			       : prep_add_fd(p->g, nic, "iommufd", prep_shared_fd(p->g, "iommufd"));
	snprintf(group, sizeof(group), "group%u", p->group);
	if (ret == 0)
		ret = prep_add_fd(p->g, nic, "container", prep_shared_fd(p->g, "container"));
	if (ret == 0)
		ret = prep_add_fd(p->g, nic, "group", prep_shared_fd(p->g, group));
	return ret;
}

static int prep_tell(const struct vfio_prep *p, struct prep_nic *nic, const char *methods,
		     const struct vfio_prep_words *w)
{
	char physfn[64], ioas[24] = "";

	if (p->dma == VFIO_DMA_IOMMUFD)
		snprintf(ioas, sizeof(ioas), ",ioas=%" PRIu32, prep_shared_number(p->g, "iommufd"));
	snprintf(nic->lane, sizeof(nic->lane), "%s",
		 paths_link_name(physfn, sizeof(physfn), "%s/bus/pci/devices/%s/physfn",
				 p->host->sysfs, p->bdf) == 0
			 ? "vf"
			 : "direct");
	/* the kernel resets what it opens; who hands it in may have used it since */
	nic->first_opts = p->given.device < 0 && p->given.group < 0 ? ",fresh=on" : NULL;
	return prep_set_opts(nic, "vfio,host=%s,guest=%s,reset=%s,dma=%s%s%s%s", p->bdf,
			     prep_guest_name(p->g), *methods ? methods : "unknown",
			     vfio_dma_name(p->dma), ioas, w->rombar ? "" : ",rombar=off",
			     w->no_reset || prep_guest_no_reset(p->g) ? ",no-reset=on" : "");
}

/* Which function: by its address, by its own node's descriptor, or both. */
static int prep_find(struct vfio_prep *p, const char *host)
{
	char given[IOMMU_BDF_SIZE] = "";
	int ret = p->given.device < 0 ? 0 : vfio_given_bdf(p->host, p->given.device, given);

	if (ret < 0)
		return ret;
	if (host && iommu_bdf_parse(host, p->bdf) < 0)
		return err_ret(-EINVAL,
			       "opening '%s': it is no PCI address; write it like 0000:03:00.0",
			       host);
	if (!host)
		memcpy(p->bdf, given, sizeof(p->bdf));
	if (*given && strcmp(given, p->bdf))
		return err_ret(-EINVAL, "--nic vfio: fd=%d is %s, not %s; leave host= out",
			       p->given.device, given, p->bdf);
	/* the kernel would open it twice; a guest that has it twice would fight with itself */
	if (prep_shared_fd(p->g, p->bdf) >= 0)
		return err_ret(-EINVAL, "opening %s: the guest has it already; give it once",
			       p->bdf);
	return 0;
}

int vfio_prep_function(struct vfio_prep *p, struct prep_nic *nic, const struct vfio_prep_words *w)
{
	bool no_reset = w->no_reset || prep_guest_no_reset(p->g);
	char methods[64];
	int dev, ret = prep_find(p, w->host);

	if (ret == 0)
		ret = prep_check(p);
	if (ret == 0)
		ret = vfio_prep_choose(p);
	if (ret == 0)
		ret = vfio_prep_limit(p->host, p->bdf, prep_guest_mem(p->g),
				      p->dma == VFIO_DMA_IOMMUFD);
	if (ret < 0)
		return ret;
	vfio_reset_methods(p->host->sysfs, p->bdf, methods, sizeof(methods));
	dev = p->dma == VFIO_DMA_TYPE1 ? vfio_prep_type1(p) : vfio_prep_iommufd(p);
	ret = dev < 0 ? dev : prep_reset(p, dev, methods, no_reset);
	if (ret < 0) {
		if (dev >= 0)
			close(dev);
		vfio_lent_give_back(&p->lent);
		return ret;
	}
	ret = vfio_prep_share(p, p->bdf, dev, 0);
	if (ret >= 0)
		ret = prep_give(p, nic, dev);
	return ret < 0 ? ret : prep_tell(p, nic, methods, w);
}

int vfio_prep_open(struct prep_guest *g, struct prep_nic *nic, const char *bdf, enum vfio_dma dma)
{
	struct vfio_prep p = { .host = &host_real,
			       .g = g,
			       .dma = dma,
			       .given = { -1, -1, -1, -1 },
			       .lent = VFIO_LENT_NOTHING };

	return vfio_prep_function(&p, nic,
				  &(struct vfio_prep_words){ .host = bdf, .rombar = true });
}

/* --- --nic vfio ----------------------------------------------------------- */

#define VFIO_KEYS \
	"host=BDF, dma=auto|type1|iommufd, rombar=on|off, no-reset=on|off; opened by the caller: " \
	"fd=N, iommufd-fd=N, group-fd=N, container-fd=N"

static int prep_take_fd(struct opts *o, const char *key, int *fd)
{
	uint64_t n = 0;
	int ret;

	*fd = -1;
	ret = opts_take_number(o, key, 3, INT_MAX, &n);
	if (ret == 0 && n)
		*fd = (int)n;
	return ret;
}

static int prep_take_words(struct opts *o, struct vfio_prep *p, struct vfio_prep_words *w)
{
	int ret = vfio_dma_take(o, &p->dma);

	w->host = opts_take(o, "host");
	w->rombar = true;
	if (ret == 0)
		ret = opts_take_bool(o, "rombar", &w->rombar);
	if (ret == 0)
		ret = opts_take_bool(o, "no-reset", &w->no_reset);
	if (ret == 0)
		ret = prep_take_fd(o, "fd", &p->given.device);
	if (ret == 0)
		ret = prep_take_fd(o, "iommufd-fd", &p->given.iommufd);
	if (ret == 0)
		ret = prep_take_fd(o, "group-fd", &p->given.group);
	if (ret == 0)
		ret = prep_take_fd(o, "container-fd", &p->given.container);
	if (ret == 0)
		ret = opts_done(o, VFIO_KEYS);
	if (ret == 0 && !w->host && p->given.device < 0)
		ret = err_ret(-EINVAL,
			      "--nic %s: which PCI function? write vfio,host=BDF, or fd=N with its "
			      "own node",
			      opts_text(o));
	return ret < 0 ? -EINVAL : 0;
}

static int prep_vfio(struct prep_guest *g, struct prep_nic *nic)
{
	struct vfio_prep *p = calloc(1, sizeof(*p));
	struct vfio_prep_words w = { 0 };
	int ret;

	if (!p)
		return err_ret(-ENOMEM, "preparing %s: out of memory; free some", nic->name);
	p->host = &host_real;
	p->g = g;
	p->lent = VFIO_LENT_NOTHING;
	ret = prep_take_words(nic->opts, p, &w);
	if (ret == 0)
		ret = vfio_prep_function(p, nic, &w);
	if (ret < 0) {
		free(p);
		return ret;
	}
	nic->state = p;
	return 0;
}

/* The guest's descriptors are closed. */
static void prep_vfio_release(struct prep_guest *g, struct prep_nic *nic)
{
	struct vfio_prep *p = nic->state;

	vfio_lent_give_back(&p->lent);
	free(p);
	nic->state = NULL;
}

static const struct nic_prep vfio_nic_prep = {
	.name = "vfio",
	.lane = "direct",
	.keys = VFIO_KEYS,
	.prepare = prep_vfio,
	.release = prep_vfio_release,
};
NIC_PREP(&vfio_nic_prep);
