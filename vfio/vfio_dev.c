/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device "vfio" of the monitor: a physical PCI function in the guest. The supervisor bound and
 * opened it (prep_vfio.c); here come its config space (vfio_config.c), BARs and ROM (vfio_bar.c,
 * vfio_rom.c), its three kinds of interrupt (vfio_intx.c, vfio_msi.c, vfio_irq.c), the host's
 * events (vfio_event.c) and guest memory for its DMA (vfio_shared.c) together on core's PCI bus.
 * Kernel: include/uapi/linux/vfio.h. Left out: hot-plug, I/O BARs, DMA from one device to another,
 * dirty tracking.
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
	CFG_STATUS = 0x06,
	COMMAND_MEM = 1 << 1,
	COMMAND_MASTER = 1 << 2,
	COMMAND_INTX_OFF = 1 << 10,
	STATUS_INTX = 1 << 3,
	CFG_ROM = 0x30,
	EXP_DEVCTL_HIGH = 0x09,
	DEVCTL_FLR_HIGH = 0x80, /* "initiate FLR" in the upper byte of Device Control */
	MSIX_CONTROL_HIGH = 0x03,
	MSIX_ENABLE_HIGH = 0x80, /* of the upper byte of MSI-X message control */
};

static struct vfio_dev *dev_of_pci(struct pci_dev *d)
{
	return (struct vfio_dev *)((char *)d - offsetof(struct vfio_dev, pci));
}

static struct vfio_dev *dev_of_device(struct device *d)
{
	return (struct vfio_dev *)((char *)d - offsetof(struct vfio_dev, dev));
}

static bool dev_holds(unsigned int off, unsigned int size, unsigned int byte)
{
	return off <= byte && byte < off + size;
}

static uint16_t dev_guest_command(const struct vfio_dev *v)
{
	return (uint16_t)(v->pci.cfg[CFG_COMMAND] | v->pci.cfg[CFG_COMMAND + 1] << 8);
}

/* --- the physical function's own state ------------------------------------ */

static bool dev_intx(const struct vfio_dev *v)
{
	return v->mode == VFIO_MODE_INTX && !(dev_guest_command(v) & COMMAND_INTX_OFF);
}

/* As the guest has it: bus mastering, and INTx if that is its kind of interrupt. */
static void dev_command(struct vfio_dev *v, bool again)
{
	bool master = dev_guest_command(v) & COMMAND_MASTER;

	if (again)
		vfio_command_again(v, master, dev_intx(v));
	else
		vfio_command(v, master, dev_intx(v));
}

static int dev_reset(struct vfio_dev *v)
{
	int ret = vfio_reset(v);

	if (ret < 0)
		atomic_fetch_add_explicit(&v->n.reset_errors, 1, memory_order_relaxed);
	return ret;
}

/* --- interrupts ----------------------------------------------------------- */

static int dev_set_msix(void *opaque, unsigned int start, unsigned int count, const int32_t *fds)
{
	return vfio_irq_fds(opaque, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_TRIGGER, start, count, fds);
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

/* A function without memory decoding has no register by which a driver could use it. */
static enum vfio_mode dev_mode_wanted(const struct vfio_dev *v)
{
	if (pci_msix_enabled(&v->pci))
		return VFIO_MODE_MSIX;
	if (vfio_msi_wanted(v))
		return VFIO_MODE_MSI;
	/* once on it stays: a guest that sizes BARs switches decoding off and on */
	return v->intx.present && (v->mode == VFIO_MODE_INTX || dev_guest_command(v) & COMMAND_MEM)
		       ? VFIO_MODE_INTX
		       : VFIO_MODE_NONE;
}

/*
 * Leaves every kind but `mode`: the kernel refuses a second one. What the device still has to tell
 * then comes by the next kind: INTx is a level, and a driver that changes the kind looks itself.
 */
static bool dev_leave_modes(struct vfio_dev *v, enum vfio_mode mode)
{
	bool msi = false;

	if (mode != VFIO_MODE_INTX)
		vfio_intx_off(v);
	if (mode != VFIO_MODE_MSI)
		msi |= vfio_msi_off(v);
	if (mode != VFIO_MODE_MSIX)
		msi |= vfio_irq_off(&v->irq);
	return msi;
}

/*
 * After a write of the guest to its config space; `old` is its command register before, `msi`: MSI
 * or MSI-X was switched off already.
 */
static void dev_follow(struct vfio_dev *v, uint16_t old, bool msi)
{
	enum vfio_mode mode = dev_mode_wanted(v), before = v->mode;

	msi |= dev_leave_modes(v, mode);
	if (mode == VFIO_MODE_MSI)
		vfio_msi_use(v);
	else if (mode == VFIO_MODE_INTX)
		vfio_intx_use(v);
	else if (mode == VFIO_MODE_MSIX && mode != before)
		dev_vector(&v->pci, 0, true); /* it is on in the device, too, if all masked */
	v->mode = mode;
	if (mode != before)
		atomic_fetch_add_explicit(&v->n.mode_changes, 1, memory_order_relaxed);
	if (mode != before || msi ||
	    (old ^ dev_guest_command(v)) & (COMMAND_MASTER | COMMAND_INTX_OFF))
		dev_command(v, msi && v->layout.intx_pin);
}

static int dev_create_msix(struct vfio_dev *v)
{
	const struct vfio_layout *l = &v->layout;
	bool can_grow;
	int ret;

	if (!l->msix)
		return 0;
	ret = vfio_irq_info(v, VFIO_PCI_MSIX_IRQ_INDEX, &can_grow);
	if (ret < 0)
		return ret;
	if ((unsigned int)ret < l->n_vectors)
		return -EPROTO;
	ret = vfio_irq_init(&v->irq, l->n_vectors, can_grow, dev_set_msix, v);
	if (ret == 0)
		ret = pci_add_msix(&v->pci, l->msix, l->n_vectors, l->table_bar, l->table_off,
				   l->pba_off, false, &dev_msix_ops);
	if (ret == 0)
		pci_set32(&v->pci, l->msix + 8, l->pba_off | l->pba_bar, 0);
	return ret;
}

static int dev_create_irqs(struct vfio_dev *v)
{
	int ret = dev_create_msix(v);

	if (ret < 0)
		return err_ret(ret, "passing %s through: its MSI-X: %s; see the kernel's log",
			       v->host, strerror(-ret));
	vfio_intx_init(v);
	if (!v->layout.msix && !v->layout.msi && !v->intx.present)
		err_say("passing %s through: it has no interrupt at all; only a driver that polls "
			"works",
			v->host);
	return vfio_events_create(v);
}

/* --- config space --------------------------------------------------------- */

/* Byte `byte` of what is not the guest's own copy; false: it is. */
static bool dev_cfg_live(struct vfio_dev *v, unsigned int byte, uint8_t *b)
{
	unsigned int pending_off;
	uint32_t pending;

	if (v->layout.live[byte / 8] & 1u << byte % 8) {
		if (byte >= v->cfg_size || pread(v->fd, b, 1, (off_t)(v->cfg_off + byte)) != 1)
			*b = 0xff;
		return true;
	}
	if (byte == CFG_STATUS && v->intx.on) {
		/* a driver of UIO asks whether the interrupt is its own */
		if (pread(v->fd, b, 1, (off_t)(v->cfg_off + byte)) != 1)
			*b = 0;
		*b = (uint8_t)((v->pci.cfg[byte] & ~STATUS_INTX) | (*b & STATUS_INTX));
		return true;
	}
	if (v->layout.msi && byte >= v->layout.msi && byte < v->layout.msi + v->layout.msi_len &&
	    vfio_msi_pending(v, &pending_off, &pending) && byte >= pending_off) {
		*b = (uint8_t)(pending >> 8 * (byte - pending_off));
		return true;
	}
	return false;
}

static uint32_t dev_cfg_read(struct pci_dev *d, unsigned int off, unsigned int size)
{
	struct vfio_dev *v = dev_of_pci(d);
	uint32_t val = pci_cfg_read(d, off, size);

	atomic_fetch_add_explicit(&v->n.config_reads, 1, memory_order_relaxed);
	for (unsigned int i = 0; i < size && off + i < PCI_CFG_SIZE; i++) {
		uint8_t b;

		if (dev_cfg_live(v, off + i, &b))
			val = (val & ~(0xffu << 8 * i)) | (uint32_t)b << 8 * i;
	}
	return val;
}

/*
 * The guest asks for a function level reset: afterwards its command register, ROM enable and the
 * enables of MSI and MSI-X are 0, as the specification has it (PCIe 4.0 section 6.6.2).
 */
static void dev_guest_flr(struct vfio_dev *v)
{
	uint16_t old = dev_guest_command(v);
	bool msi;
	int ret;

	pci_cfg_write(&v->pci, CFG_COMMAND, 2, 0);
	pci_cfg_write(&v->pci, CFG_ROM, 4, 0);
	if (v->layout.msix)
		pci_cfg_write(&v->pci, v->layout.msix + 2, 2, 0);
	for (unsigned int i = 2; v->layout.msi && i < v->layout.msi_len; i++)
		pci_cfg_write(&v->pci, v->layout.msi + i, 1, 0);
	vfio_rom_update(v);
	msi = dev_leave_modes(v, VFIO_MODE_NONE);
	v->mode = VFIO_MODE_NONE;
	dev_follow(v, old, msi);
	ret = dev_reset(v);
	if (ret < 0)
		err_limited(&v->reset_log,
			    "passing %s through: the reset that the guest asked for: %s; see the "
			    "kernel's log",
			    v->host, strerror(-ret));
	dev_command(v, false);
}

static void dev_cfg_write(struct pci_dev *d, unsigned int off, unsigned int size, uint32_t val)
{
	struct vfio_dev *v = dev_of_pci(d);
	unsigned int flr = v->layout.exp + EXP_DEVCTL_HIGH,
		     msix = v->layout.msix + MSIX_CONTROL_HIGH;
	uint16_t old = dev_guest_command(v);
	bool msi = false;

	atomic_fetch_add_explicit(&v->n.config_writes, 1, memory_order_relaxed);
	/* vectors are set while core takes this write: the other kinds have to be off before */
	if (v->layout.msix && dev_holds(off, size, msix) &&
	    val >> 8 * (msix - off) & MSIX_ENABLE_HIGH)
		msi = dev_leave_modes(v, VFIO_MODE_MSIX);
	pci_cfg_write(d, off, size, val);
	vfio_rom_update(v);
	dev_follow(v, old, msi);
	if (v->can_reset && v->layout.exp && dev_holds(off, size, flr) &&
	    val >> 8 * (flr - off) & DEVCTL_FLR_HIGH)
		dev_guest_flr(v);
}

static const struct pci_dev_ops dev_pci_ops = {
	.cfg_read = dev_cfg_read,
	.cfg_write = dev_cfg_write,
	.bar_map = vfio_bar_map,
};

/* --- life ----------------------------------------------------------------- */

/* Nothing of this guest stays in it, and its DMA ends before memory is unmapped. */
static void dev_leave(struct vfio_dev *v)
{
	int ret;

	vfio_command(v, false, false);
	ret = dev_reset(v);
	/* whoever unbinds it holds it, and its next driver resets it */
	if (ret == -EAGAIN && atomic_load(&v->n.host_requests))
		return;
	if (ret < 0)
		err_say("passing %s through: resetting it at the end: %s; see the kernel's log "
			"before it is used again",
			v->host, strerror(-ret));
}

static void dev_destroy(struct device *d)
{
	struct vfio_dev *v = dev_of_device(d);

	if (v->registered)
		pci_unregister(&v->pci);
	vfio_events_destroy(v);
	dev_leave_modes(v, VFIO_MODE_NONE);
	if (v->cfg_size)
		dev_leave(v);
	vfio_bars_destroy(v);
	vfio_rom_destroy(v);
	pci_msix_free(&v->pci);
	vfio_irq_free(&v->irq);
	vfio_msi_free(v);
	vfio_intx_free(v);
	if (v->kvm_told)
		vm_vfio_group(v->pci.vm, v->group >= 0 ? v->group : v->fd, false);
	if (v->fd >= 0)
		close(v->fd);
	vfio_shared_put(v->pci.vm, v->shared);
	if (v->group >= 0)
		close(v->group);
	free(v);
}

static void dev_stats(struct device *d, struct stats_sink *s)
{
	struct vfio_dev *v = dev_of_device(d);
	const struct {
		const char *name;
		const _Atomic uint64_t *count;
	} counters[] = {
		{ "bar_maps", &v->n.bar_maps },
		{ "bar_map_errors", &v->n.bar_map_errors },
		{ "trapped_reads", &v->n.trapped_reads },
		{ "trapped_writes", &v->n.trapped_writes },
		{ "config_reads", &v->n.config_reads },
		{ "config_writes", &v->n.config_writes },
		{ "resets", &v->n.resets },
		{ "reset_errors", &v->n.reset_errors },
		{ "irq_mode_changes", &v->n.mode_changes },
		{ "host_requests", &v->n.host_requests },
		{ "device_errors", &v->n.device_errors },
	};

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		stats_put(s, counters[i].name,
			  atomic_load_explicit(counters[i].count, memory_order_relaxed));
	stats_put(s, "trapped_bytes", v->trapped_bytes);
	stats_put(s, "hidden_io_bars", v->n_io_bars);
	stats_put(s, "irqs_enabled",
		  vfio_irq_count(&v->irq) + __atomic_load_n(&v->msi.n, __ATOMIC_RELAXED) +
			  __atomic_load_n(&v->intx.on, __ATOMIC_RELAXED));
	stats_put(s, "irq_errors",
		  v->irq.n_errors + atomic_load_explicit(&v->n.irq_errors, memory_order_relaxed));
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

	if (!pci_bus_master(&v->pci))
		return 0;
	vfio_command(v, false, dev_intx(v));
	if (vfio_command_master(v)) {
		dev_command(v, false);
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
	dev_command(v, false);
	vfio_irq_signal(&v->irq);
	vfio_msi_signal(v);
}

static const struct device_ops dev_device_ops = {
	.destroy = dev_destroy,
	.stats = dev_stats,
	.pause = dev_pause,
	.resume = dev_resume,
};

/* What the supervisor opened: device, group and container, or device and iommufd. */
static int dev_take_fds(struct vfio_dev *v, struct vm *vm, struct device_conf *conf, bool iommufd,
			uint64_t ioas)
{
	const struct iommu_map_fd f = {
		.fd = device_take_fd(conf, iommufd ? "iommufd" : "container"),
		.ioas = (uint32_t)ioas,
	};
	int ret;

	v->group = iommufd ? -1 : device_take_fd(conf, "group");
	v->fd = device_take_fd(conf, "device");
	if (f.fd < 0 || v->fd < 0 || (!iommufd && v->group < 0)) {
		if (f.fd >= 0)
			close(f.fd);
		return err_ret(-EBADF,
			       "passing %s through: its descriptors (device and %s) did not come; "
			       "start the guest with 'fourlane run'",
			       v->host, iommufd ? "iommufd" : "group, container");
	}
	ret = vfio_shared_get(vm, iommufd ? &iommu_map_iommufd : &iommu_map_type1v2, &f,
			      &v->shared);
	if (ret < 0)
		return ret;
	ret = vm_vfio_group(vm, iommufd ? v->fd : v->group, true);
	v->kvm_told = ret == 0;
	if (ret < 0 &&
	    ret != -EOPNOTSUPP) /* a KVM without it: nothing but non-snooping DMA suffers */
		return err_ret(ret,
			       "passing %s through: telling KVM about it: %s; see the kernel's log",
			       v->host, strerror(-ret));
	return 0;
}

/* The words dma= and ioas=, and the descriptors that go with them. */
static int dev_open_dma(struct vfio_dev *v, struct vm *vm, struct device_conf *conf)
{
	const char *dma = opts_take(conf->opts, "dma");
	bool iommufd = dma && !strcmp(dma, "iommufd");
	uint64_t ioas = 0;
	int ret = opts_take_number(conf->opts, "ioas", 0, UINT32_MAX, &ioas);

	if (ret == 0 && !iommufd && dma && strcmp(dma, "type1"))
		ret = err_ret(-EINVAL, "passing %s through: dma=%s; give type1 or iommufd", v->host,
			      dma);
	return ret < 0 ? ret : dev_take_fds(v, vm, conf, iommufd, ioas);
}

/* Asks what the device is, resets it and takes the snapshot of its config space. */
static int dev_open(struct vfio_dev *v, uint8_t *phys)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info *cfg;
	size_t size;
	int ret = ioctl(v->fd, VFIO_DEVICE_GET_INFO, &info) < 0 ? -errno : 0;

	if (ret == 0 && !(info.flags & VFIO_DEVICE_FLAGS_PCI))
		ret = -ENOTTY;
	if (ret == 0)
		ret = vfio_region_get(v->fd, VFIO_PCI_CONFIG_REGION_INDEX, &cfg);
	if (ret < 0)
		return err_ret(ret,
			       "passing %s through: asking what it is: %s; is it a PCI function?",
			       v->host, strerror(-ret));
	v->cfg_off = cfg->offset;
	size = cfg->size < PCI_CFG_SIZE ? cfg->size : PCI_CFG_SIZE;
	free(cfg);
	v->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	if (!v->can_reset)
		err_say("passing %s through: the kernel knows no way to reset it: what an earlier "
			"user left in it stays",
			v->host);
	v->cfg_size = size;
	/* a reset takes 0.1 s: no second one */
	ret = v->fresh && v->can_reset ? 0 : dev_reset(v);
	if (ret < 0 && !v->no_reset_ok)
		return err_ret(
			ret,
			"passing %s through: resetting it: %s; see the kernel's log, or take "
			"it as it is with no-reset=on",
			v->host, strerror(-ret));
	vfio_command(v, false, false);
	if (pread(v->fd, phys, size, (off_t)v->cfg_off) == (ssize_t)size)
		return 0;
	return err_ret(-EIO, "passing %s through: reading its config space: %s; does it answer?",
		       v->host, strerror(EIO));
}

static int dev_build(struct vfio_dev *v, struct vm *vm, const char *name, bool rom)
{
	uint8_t phys[PCI_CFG_SIZE];
	struct pci_id id;
	int ret = dev_open(v, phys);

	if (ret < 0)
		return ret;
	vfio_config_id(phys, &id);
	pci_dev_init(&v->pci, vm, name, &id, &dev_pci_ops);
	ret = vfio_config_build(&v->pci, phys, v->cfg_size, v->can_reset, &v->layout);
	if (ret == 0 && rom)
		ret = vfio_rom_create(v);
	if (ret < 0)
		return err_ret(ret,
			       "passing %s through: reading what it is: %s; is it an endpoint, and "
			       "does it answer?",
			       v->host, strerror(-ret));
	ret = vfio_bars_create(v);
	if (ret == 0)
		ret = dev_create_irqs(v);
	if (ret == 0)
		ret = pci_register(&v->pci);
	v->registered = ret == 0;
	return ret;
}

static int dev_create(struct vm *vm, struct device_conf *conf, struct device **out)
{
	struct vfio_dev *v = calloc(1, sizeof(*v));
	const char *host = opts_take(conf->opts, "host"), *guest = opts_take(conf->opts, "guest");
	bool rom = true;
	int ret;

	if (!v)
		return err_ret(-ENOMEM, "passing a device through: out of memory; free some");
	v->dev.ops = &dev_device_ops;
	v->fd = v->group = v->intx.fd = v->intx.unmask_fd = -1;
	v->pci.vm = vm;
	snprintf(v->host, sizeof(v->host), "%s", host ? host : conf->name);
	snprintf(v->guest, sizeof(v->guest), "%s", guest ? guest : "");
	opts_take(conf->opts, "reset"); /* for `fourlane stats`, which shows the options */
	ret = opts_take_bool(conf->opts, "rombar", &rom);
	if (ret == 0)
		ret = opts_take_bool(conf->opts, "no-reset", &v->no_reset_ok);
	if (ret == 0)
		ret = opts_take_bool(conf->opts, "fresh", &v->fresh);
	if (ret == 0)
		ret = dev_open_dma(v, vm, conf);
	if (ret == 0)
		ret = dev_build(v, vm, conf->name, rom);
	if (ret < 0) {
		dev_destroy(&v->dev);
		return ret;
	}
	*out = &v->dev;
	return 0;
}

static const struct device_type vfio_type = {
	.name = "vfio",
	.keys = "host=BDF, dma=type1|iommufd, ioas=N, rombar=on|off, no-reset=on|off, "
		"fresh=on|off, reset=METHODS, guest=NAME",
	.create = dev_create,
};
DEVICE_TYPE(&vfio_type);
