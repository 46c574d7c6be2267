/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device "vfio" of the monitor: a physical PCI function in the guest. The supervisor bound and
 * opened it (prep_vfio.c); here come its config space (vfio_config.c), BARs (vfio_bar.c), MSI-X
 * vectors (vfio_irq.c) and guest memory for its DMA (vfio_shared.c) together on core's PCI bus.
 * Kernel: include/uapi/linux/vfio.h. Memory decoding stays on in the physical function for the
 * guest's whole life, so that a guest that switches it off cannot make a running vCPU fault. INTx,
 * MSI and the expansion ROM are left out.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/err.h"
#include "vfio_priv.h"

enum {
	CFG_COMMAND = 0x04,
	COMMAND_MEM = 1 << 1,
	COMMAND_MASTER = 1 << 2,
	COMMAND_INTX_OFF = 1 << 10,
	EXP_DEVCTL_HIGH = 0x09,
	DEVCTL_FLR_HIGH = 0x80, /* "initiate FLR" in the upper byte of Device Control */
};

static struct vfio_dev *dev_of_pci(struct pci_dev *d)
{
	return (struct vfio_dev *)((char *)d - offsetof(struct vfio_dev, pci));
}

static struct vfio_dev *dev_of_device(struct device *d)
{
	return (struct vfio_dev *)((char *)d - offsetof(struct vfio_dev, dev));
}

/* --- the physical function's own state ------------------------------------ */

static void dev_command(struct vfio_dev *v, bool master)
{
	uint16_t command =
		(uint16_t)(COMMAND_MEM | COMMAND_INTX_OFF | (master ? COMMAND_MASTER : 0));

	if (pwrite(v->fd, &command, sizeof(command), (off_t)(v->cfg_off + CFG_COMMAND)) !=
	    sizeof(command))
		err_say("passing %s through: writing its command register: %s; it may not work",
			v->host, strerror(errno));
}

static void dev_reset(struct vfio_dev *v)
{
	if (!v->can_reset)
		return;
	atomic_fetch_add_explicit(&v->n.resets, 1, memory_order_relaxed);
	if (ioctl(v->fd, VFIO_DEVICE_RESET) < 0)
		err_say("passing %s through: resetting it: %s; see the kernel's log", v->host,
			strerror(errno));
}

/* --- config space --------------------------------------------------------- */

static uint32_t dev_cfg_read(struct pci_dev *d, unsigned int off, unsigned int size)
{
	struct vfio_dev *v = dev_of_pci(d);
	uint32_t val = pci_cfg_read(d, off, size);

	atomic_fetch_add_explicit(&v->n.config_reads, 1, memory_order_relaxed);
	for (unsigned int i = 0; i < size && off + i < v->cfg_size; i++) {
		unsigned int byte = off + i;
		uint8_t b = 0xff;

		if (!(v->layout.live[byte / 8] & 1u << byte % 8))
			continue;
		if (pread(v->fd, &b, 1, (off_t)(v->cfg_off + byte)) != 1)
			b = 0xff;
		val = (val & ~(0xffu << 8 * i)) | (uint32_t)b << 8 * i;
	}
	return val;
}

/* The guest asks for a function level reset: afterwards its command register and MSI-X enable are
 * 0, as the specification has it. */
static void dev_guest_flr(struct vfio_dev *v)
{
	pci_cfg_write(&v->pci, CFG_COMMAND, 2, 0);
	if (v->layout.msix)
		pci_cfg_write(&v->pci, v->layout.msix + 2, 2, 0);
	vfio_irq_off(&v->irq);
	dev_reset(v);
	dev_command(v, false);
}

static void dev_cfg_write(struct pci_dev *d, unsigned int off, unsigned int size, uint32_t val)
{
	struct vfio_dev *v = dev_of_pci(d);
	unsigned int flr = v->layout.exp + EXP_DEVCTL_HIGH;

	atomic_fetch_add_explicit(&v->n.config_writes, 1, memory_order_relaxed);
	pci_cfg_write(d, off, size, val);
	if (!pci_msix_enabled(d))
		vfio_irq_off(&v->irq);
	if (v->can_reset && v->layout.exp && off <= flr && flr < off + size &&
	    val >> 8 * (flr - off) & DEVCTL_FLR_HIGH)
		dev_guest_flr(v);
}

static void dev_command_changed(struct pci_dev *d, uint16_t old, uint16_t now)
{
	if ((old ^ now) & COMMAND_MASTER)
		dev_command(dev_of_pci(d), now & COMMAND_MASTER);
}

static const struct pci_dev_ops dev_pci_ops = {
	.cfg_read = dev_cfg_read,
	.cfg_write = dev_cfg_write,
	.command_changed = dev_command_changed,
	.bar_map = vfio_bar_map,
};

/* --- MSI-X ---------------------------------------------------------------- */

static int dev_set_irqs(void *opaque, unsigned int start, unsigned int count, const int32_t *fds)
{
	struct vfio_dev *v = opaque;
	size_t size = sizeof(struct vfio_irq_set) + (fds ? count * sizeof(*fds) : 0);
	struct vfio_irq_set *s = calloc(1, size);
	int ret;

	if (!s)
		return -ENOMEM;
	s->argsz = (uint32_t)size;
	s->flags = VFIO_IRQ_SET_ACTION_TRIGGER |
		   (fds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	s->index = VFIO_PCI_MSIX_IRQ_INDEX;
	s->start = start;
	s->count = count;
	if (fds)
		memcpy(s->data, fds, count * sizeof(*fds));
	ret = ioctl(v->fd, VFIO_DEVICE_SET_IRQS, s);
	ret = ret < 0 ? -errno : ret;
	free(s);
	return ret;
}

static void dev_vector(struct pci_dev *d, unsigned int i, bool usable)
{
	struct vfio_dev *v = dev_of_pci(d);
	int fd, ret;

	if (!usable)
		return; /* the event waits in the eventfd until the vector is usable again */
	fd = pci_msix_fd(d, i);
	ret = fd < 0 ? fd : vfio_irq_use(&v->irq, i, fd);
	if (ret < 0 && v->irq.n_errors <= 1)
		err_say("passing %s through: enabling MSI-X vector %u: %s; the host may be short "
			"of interrupt vectors",
			v->host, i, strerror(-ret));
}

static const struct pci_msix_ops dev_msix_ops = { .vector = dev_vector };

static int dev_create_msix(struct vfio_dev *v)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX };
	const struct vfio_layout *l = &v->layout;
	int ret;

	if (!l->msix) {
		err_say("passing %s through: it has no MSI-X, and INTx and MSI are not passed on: "
			"the guest gets no interrupts from it, only a driver that polls works",
			v->host);
		return 0;
	}
	if (ioctl(v->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
		return -errno;
	if (info.count < l->n_vectors)
		return -EPROTO;
	ret = vfio_irq_init(&v->irq, l->n_vectors, !(info.flags & VFIO_IRQ_INFO_NORESIZE),
			    dev_set_irqs, v);
	if (ret == 0)
		ret = pci_add_msix(&v->pci, l->msix, l->n_vectors, l->table_bar, l->table_off,
				   l->pba_off, false, &dev_msix_ops);
	if (ret == 0)
		pci_set32(&v->pci, l->msix + 8, l->pba_off | l->pba_bar, 0);
	return ret;
}

/* --- life ----------------------------------------------------------------- */

static void dev_destroy(struct device *d)
{
	struct vfio_dev *v = dev_of_device(d);

	if (v->registered)
		pci_unregister(&v->pci);
	vfio_irq_off(&v->irq);
	if (v->cfg_size) {
		dev_command(v, false);
		/* nothing of this guest stays in it, its DMA ends before memory is unmapped */
		dev_reset(v);
	}
	vfio_bars_destroy(v);
	pci_msix_free(&v->pci);
	vfio_irq_free(&v->irq);
	if (v->fd >= 0)
		close(v->fd);
	vfio_shared_put(v->pci.vm, v->shared);
	if (v->group >= 0) {
		vm_vfio_group(v->pci.vm, v->group, false);
		close(v->group);
	}
	free(v);
}

static void dev_stats(struct device *d, struct stats_sink *s)
{
	struct vfio_dev *v = dev_of_device(d);

	stats_put(s, "bar_maps", atomic_load_explicit(&v->n.bar_maps, memory_order_relaxed));
	stats_put(s, "bar_map_errors",
		  atomic_load_explicit(&v->n.bar_map_errors, memory_order_relaxed));
	stats_put(s, "trapped_reads",
		  atomic_load_explicit(&v->n.trapped_reads, memory_order_relaxed));
	stats_put(s, "trapped_writes",
		  atomic_load_explicit(&v->n.trapped_writes, memory_order_relaxed));
	stats_put(s, "config_reads",
		  atomic_load_explicit(&v->n.config_reads, memory_order_relaxed));
	stats_put(s, "config_writes",
		  atomic_load_explicit(&v->n.config_writes, memory_order_relaxed));
	stats_put(s, "resets", atomic_load_explicit(&v->n.resets, memory_order_relaxed));
	stats_put(s, "irqs_enabled", vfio_irq_count(&v->irq));
	stats_put(s, "irq_errors", v->irq.n_errors);
	stats_put(s, "hidden_capabilities", v->layout.n_hidden);
	stats_put(s, "dma_bytes", vfio_shared_dma_bytes(v->shared));
	stats_put(s, "dma_map_us", vfio_shared_dma_us(v->shared));
}

/*
 * Without bus mastering the function reaches no memory, and its interrupts, which are writes, get
 * lost too: when it goes on, each is raised once.
 */
static int dev_pause(struct device *d)
{
	struct vfio_dev *v = dev_of_device(d);
	uint16_t command = COMMAND_MASTER;

	if (!pci_bus_master(&v->pci))
		return 0;
	dev_command(v, false);
	if (pread(v->fd, &command, sizeof(command), (off_t)(v->cfg_off + CFG_COMMAND)) !=
		    sizeof(command) ||
	    command & COMMAND_MASTER) {
		dev_command(v, true);
		return err_ret(-EBUSY,
			       "pausing: %s keeps its bus mastering on, so it could still write to "
			       "the guest's memory; stop the guest instead",
			       v->host);
	}
	return 1;
}

static void dev_resume(struct device *d)
{
	struct vfio_dev *v = dev_of_device(d);

	if (!pci_bus_master(&v->pci))
		return;
	dev_command(v, true);
	vfio_irq_signal(&v->irq);
}

static const struct device_ops dev_device_ops = {
	.destroy = dev_destroy,
	.stats = dev_stats,
	.pause = dev_pause,
	.resume = dev_resume,
};

static int dev_take_fds(struct vfio_dev *v, struct vm *vm, struct device_conf *conf)
{
	int container = device_take_fd(conf, "container"), ret;

	v->group = device_take_fd(conf, "group");
	v->fd = device_take_fd(conf, "device");
	if (container < 0 || v->group < 0 || v->fd < 0) {
		if (container >= 0)
			close(container);
		return err_ret(-EBADF,
			       "passing %s through: the descriptors container, group and device "
			       "did not come; start the guest with 'fourlane run'",
			       v->host);
	}
	ret = vfio_shared_get(vm, container, &v->shared);
	if (ret < 0)
		return ret;
	ret = vm_vfio_group(vm, v->group, true);
	if (ret < 0 &&
	    ret != -EOPNOTSUPP) /* a KVM without it: nothing but non-snooping DMA suffers */
		return err_ret(
			ret,
			"passing %s through: telling KVM about its group: %s; see the kernel's log",
			v->host, strerror(-ret));
	return 0;
}

/* Asks what the device is, resets it and takes the snapshot of its config space. */
static int dev_open(struct vfio_dev *v, uint8_t *phys)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info *cfg;
	size_t size;
	int ret;

	if (ioctl(v->fd, VFIO_DEVICE_GET_INFO, &info) < 0)
		return -errno;
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return -EINVAL;
	ret = vfio_region_get(v->fd, VFIO_PCI_CONFIG_REGION_INDEX, &cfg);
	if (ret < 0)
		return ret;
	v->cfg_off = cfg->offset;
	size = cfg->size < PCI_CFG_SIZE ? cfg->size : PCI_CFG_SIZE;
	free(cfg);
	v->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	if (!v->can_reset)
		err_say("passing %s through: the kernel knows no way to reset it: what an earlier "
			"user left in it stays",
			v->host);
	v->cfg_size = size;
	dev_reset(v);
	dev_command(v, false);
	return pread(v->fd, phys, size, (off_t)v->cfg_off) == (ssize_t)size ? 0 : -EIO;
}

static int dev_build(struct vfio_dev *v, struct vm *vm, const char *name)
{
	uint8_t phys[PCI_CFG_SIZE];
	struct pci_id id;
	int ret = dev_open(v, phys);

	if (ret == 0) {
		vfio_config_id(phys, &id);
		pci_init(&v->pci, vm, name, &id, &dev_pci_ops);
		ret = vfio_config_build(&v->pci, phys, v->cfg_size, v->can_reset, &v->layout);
	}
	if (ret < 0)
		return err_ret(ret,
			       "passing %s through: reading what it is: %s; is it an endpoint, and "
			       "does it answer?",
			       v->host, strerror(-ret));
	ret = vfio_bars_create(v);
	if (ret < 0)
		return ret;
	ret = dev_create_msix(v);
	if (ret < 0)
		return err_ret(ret, "passing %s through: its MSI-X: %s; see the kernel's log",
			       v->host, strerror(-ret));
	ret = pci_register(&v->pci);
	v->registered = ret == 0;
	return ret;
}

static int dev_create(struct vm *vm, struct device_conf *conf, struct device **out)
{
	struct vfio_dev *v = calloc(1, sizeof(*v));
	const char *host = opts_take(conf->opts, "host");
	int ret;

	if (!v)
		return err_ret(-ENOMEM, "passing a device through: out of memory; free some");
	v->dev.ops = &dev_device_ops;
	v->fd = v->group = -1;
	v->pci.vm = vm;
	snprintf(v->host, sizeof(v->host), "%s", host ? host : conf->name);
	ret = dev_take_fds(v, vm, conf);
	if (ret == 0)
		ret = dev_build(v, vm, conf->name);
	if (ret < 0) {
		dev_destroy(&v->dev);
		return ret;
	}
	*out = &v->dev;
	return 0;
}

static const struct device_type vfio_type = { .name = "vfio",
					      .keys = "host=BDF",
					      .create = dev_create };
DEVICE_TYPE(&vfio_type);
