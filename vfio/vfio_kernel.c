/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the monitor asks of a passed-through device's descriptor: its regions, its interrupts, its
 * command register, a reset. Everybody else in this folder calls these. Kernel:
 * include/uapi/linux/vfio.h. What the kernel itself keeps from us (the command's INTx disable bit
 * is its own, interrupts of two kinds at once are refused) is said where it matters.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "iommu/iommu.h"
#include "vfio_priv.h"

#define RESET_WAIT_MS 1000 /* until it answers again; the kernel waits for the reset itself */

enum {
	CFG_COMMAND = 0x04,
	COMMAND_MEM = 1 << 1,
	COMMAND_MASTER = 1 << 2,
	COMMAND_INTX_OFF = 1 << 10,
};

/* --- regions -------------------------------------------------------------- */

int vfio_region_get(int fd, unsigned int index, struct vfio_region_info **out)
{
	const struct vfio_region_info ask = { .argsz = sizeof(ask), .index = index };
	int size = vfio_info_get(fd, VFIO_DEVICE_GET_REGION_INFO, &ask, sizeof(ask), (void **)out);

	if (size < 0)
		return size;
	(*out)->argsz = (uint32_t)size; /* what we have, for whoever walks the capabilities */
	return 0;
}

/* --- interrupts ----------------------------------------------------------- */

int vfio_irq_info(const struct vfio_dev *v, unsigned int index, bool *can_grow)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(v->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
		return -errno;
	if (can_grow)
		*can_grow = !(info.flags & VFIO_IRQ_INFO_NORESIZE);
	return info.count > PCI_MSIX_MAX ? PCI_MSIX_MAX : (int)info.count;
}

int vfio_irq_fds(const struct vfio_dev *v, unsigned int index, enum vfio_irq_what what,
		 unsigned int start, unsigned int count, const int32_t *fds)
{
	size_t size = sizeof(struct vfio_irq_set) + (fds ? count * sizeof(*fds) : 0);
	struct vfio_irq_set *s = calloc(1, size);
	int ret;

	if (!s)
		return -ENOMEM;
	s->argsz = (uint32_t)size;
	s->flags = (what == VFIO_IRQ_UNMASK ? VFIO_IRQ_SET_ACTION_UNMASK
					    : VFIO_IRQ_SET_ACTION_TRIGGER) |
		   (fds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	s->index = index;
	s->start = start;
	s->count = count;
	if (fds)
		memcpy(s->data, fds, count * sizeof(*fds));
	ret = ioctl(v->fd, VFIO_DEVICE_SET_IRQS, s);
	ret = ret < 0 ? -errno : ret;
	free(s);
	return ret;
}

/* --- the command register ------------------------------------------------- */

static void command_write(const struct vfio_dev *v, uint16_t command)
{
	if (pwrite(v->fd, &command, sizeof(command), (off_t)(v->cfg_off + CFG_COMMAND)) !=
	    sizeof(command))
		err_say("passing %s through: writing its command register: %s; it may not work",
			v->host, strerror(errno));
}

void vfio_command(const struct vfio_dev *v, bool master, bool intx)
{
	command_write(v, (uint16_t)(COMMAND_MEM | (master ? COMMAND_MASTER : 0) |
				    (intx ? 0 : COMMAND_INTX_OFF)));
}

/*
 * Switching MSI or MSI-X off clears the physical INTx disable bit behind the kernel's own record of
 * it; only a change makes the kernel write it again.
 */
void vfio_command_again(const struct vfio_dev *v, bool master, bool intx)
{
	if (!intx)
		vfio_command(v, master, true);
	vfio_command(v, master, intx);
}

bool vfio_command_master(const struct vfio_dev *v)
{
	uint16_t command = COMMAND_MASTER;

	return pread(v->fd, &command, sizeof(command), (off_t)(v->cfg_off + CFG_COMMAND)) !=
		       sizeof(command) ||
	       command & COMMAND_MASTER;
}

/* --- reset ---------------------------------------------------------------- */

static bool reset_answers(const struct vfio_dev *v)
{
	uint16_t vendor = 0xffff;

	/* a VF's ids are the kernel's, so its command register is looked at too */
	return pread(v->fd, &vendor, sizeof(vendor), (off_t)v->cfg_off) == sizeof(vendor) &&
	       vendor != 0xffff &&
	       pread(v->fd, &vendor, sizeof(vendor), (off_t)(v->cfg_off + CFG_COMMAND)) ==
		       sizeof(vendor) &&
	       vendor != 0xffff;
}

int vfio_reset(struct vfio_dev *v)
{
	const struct timespec nap = { .tv_nsec = 10 * 1000000 };

	if (!v->can_reset)
		return 0;
	atomic_fetch_add_explicit(&v->n.resets, 1, memory_order_relaxed);
	if (ioctl(v->fd, VFIO_DEVICE_RESET) < 0)
		return -errno;
	for (int ms = 0; !reset_answers(v); ms += 10) {
		if (ms >= RESET_WAIT_MS)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
	}
	return 0;
}
