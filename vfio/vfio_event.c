/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two events that the kernel tells about a passed-through device: the host wants it back (somebody
 * unbinds it, or unloads its driver: the kernel waits until we let go), and it reported an
 * uncorrectable error (AER). There is no hot unplug, so either ends the guest, in order and with
 * one line. Handled on the monitor's I/O thread, and on its main thread while the guest is paused:
 * who unbinds the device waits for us. Kernel: VFIO_PCI_REQ_IRQ_INDEX and
 * VFIO_PCI_ERR_IRQ_INDEX of include/uapi/linux/vfio.h.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/err.h"
#include "vfio_priv.h"

/* The kernel asks again and again until it has the device; it is said and done once. */
static void event_ready(struct io_fd *f, uint32_t events)
{
	struct vfio_event *e = f->opaque;
	struct vfio_dev *v = e->v;

	vfio_eventfd_drain(f->fd);
	if (atomic_fetch_add_explicit(e->count, 1, memory_order_relaxed))
		return;
	err_say("guest '%s': %s: %s", v->guest, v->host, e->what);
	vm_request_stop(v->pci.vm, e->stop);
}

static int event_create(struct vfio_dev *v, struct vfio_event *e, unsigned int index)
{
	int ret = vfio_irq_info(v, index, NULL);
	int32_t fd;

	if (ret == 0 || ret == -EINVAL)
		return 0; /* this device has no such event */
	if (ret < 0)
		return ret;
	e->v = v;
	e->index = index;
	fd = e->io.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	e->made = true;
	e->io.events = EPOLLIN;
	e->io.ready = event_ready;
	e->io.opaque = e;
	e->io.urgent = true;
	ret = io_add_fd(vm_io(v->pci.vm), &e->io);
	e->added = ret == 0;
	if (ret == 0)
		ret = vfio_irq_fds(v, index, VFIO_IRQ_TRIGGER, 0, 1, &fd);
	return ret > 0 ? -EIO : ret;
}

int vfio_events_create(struct vfio_dev *v)
{
	int ret;

	v->wanted_back = (struct vfio_event){
		.count = &v->n.host_requests,
		.stop = VM_STOP_ASKED,
		.what = "the host wants it back (it is being unbound from vfio-pci); the guest "
			"ends, stop it first another time",
	};
	v->failed = (struct vfio_event){
		.count = &v->n.device_errors,
		.stop = VM_STOP_ERROR,
		.what = "it reported an uncorrectable error (AER); the guest ends, see the "
			"kernel's log and check the device before it is used again",
	};
	ret = event_create(v, &v->wanted_back, VFIO_PCI_REQ_IRQ_INDEX);
	if (ret == 0)
		ret = event_create(v, &v->failed, VFIO_PCI_ERR_IRQ_INDEX);
	if (ret < 0)
		return err_ret(ret,
			       "passing %s through: being told when the host wants it back: %s; "
			       "see the kernel's log",
			       v->host, strerror(-ret));
	return 0;
}

static void event_destroy(struct vfio_event *e)
{
	if (!e->made)
		return;
	vfio_irq_fds(e->v, e->index, VFIO_IRQ_TRIGGER, 0, 0, NULL);
	if (e->added)
		io_remove_fd(vm_io(e->v->pci.vm), &e->io);
	close(e->io.fd);
	e->made = e->added = false;
}

void vfio_events_destroy(struct vfio_dev *v)
{
	event_destroy(&v->wanted_back);
	event_destroy(&v->failed);
}
