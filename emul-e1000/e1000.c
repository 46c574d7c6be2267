/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Intel 82540EM as a device of the monitor: created from "e1000,mac=,backend=,...", a PCI
 * function with a memory BAR (0) and an I/O BAR (1), a poller of the I/O thread. Follows the manual
 * named in e1000_regs.h; what each part leaves out stands in its file. The part has neither MSI nor
 * MSI-X that drivers of it use: interrupts are INTA#.
 *
 * The doorbells (TDT, RDT) are left in KVM's coalesced ring while the I/O thread polls: a store
 * costs the guest no exit to user space. While the thread sleeps core closes that ring, and a store
 * is an exit that wakes it.
 */
#include "e1000_priv.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define E1000_SUBSYS 0x001e

/* --- doorbell zones --- */
/* Under zone_lock. */
static void zones_off(struct e1000 *d)
{
	if (d->tdt_zone)
		vm_coalesce(d->vm, d->zone_base + E1000_TDT, 4, false);
	if (d->rdt_zone)
		vm_coalesce(d->vm, d->zone_base + E1000_RDT, 4, false);
	d->tdt_zone = d->rdt_zone = false;
	atomic_store(&d->zones, false);
}

/* I/O thread. Where KVM has no coalesced ring each doorbell goes on being an exit. */
static void zones_on(struct e1000 *d)
{
	pthread_mutex_lock(&d->zone_lock);
	if (d->bar && !atomic_load(&d->zones)) {
		d->zone_base = d->bar;
		d->tdt_zone = vm_coalesce(d->vm, d->bar + E1000_TDT, 4, true) == 0;
		d->rdt_zone = vm_coalesce(d->vm, d->bar + E1000_RDT, 4, true) == 0;
		atomic_store(&d->zones, true);
	}
	pthread_mutex_unlock(&d->zone_lock);
}

/*
 * vCPU thread, under the PCI bus's lock: BAR 0 has appeared or gone. A zone never outlives its
 * address.
 */
static int e1000_bar_map(struct pci_dev *pci, unsigned int idx, uint64_t addr, bool on)
{
	struct e1000 *d = E1000_OF(pci, pci);

	if (idx)
		return 0;
	pthread_mutex_lock(&d->zone_lock);
	zones_off(d);
	d->bar = on ? addr : 0;
	pthread_mutex_unlock(&d->zone_lock);
	return 0;
}

/* Bus mastering came back: what waits on the rings can move. It went: nothing may be written. */
static void e1000_command_changed(struct pci_dev *pci, uint16_t old, uint16_t now)
{
	struct e1000 *d = E1000_OF(pci, pci);

	if (!pci_bus_master(pci)) {
		e1000_lock(d);
		e1000_rx_restart(d);
		e1000_unlock(d);
	}
	io_wake(vm_io(pci->vm));
}

static const struct pci_dev_ops e1000_pci_ops = {
	.bar_map = e1000_bar_map,
	.command_changed = e1000_command_changed,
};

/* --- the I/O thread --- */
/*
 * Loopback (13.4.22 RCTL.LBM, and the PHY's own): frames take another back-end, in which they turn
 * round. The wire is cut off meanwhile, and what was under way on either side is done with.
 */
static bool e1000_wants_loop(const struct e1000 *d)
{
	uint32_t lbm = e1000_get(d, E1000_RCTL) & E1000_RCTL_LBM;

	return lbm == E1000_RCTL_LBM_MAC || lbm == E1000_RCTL_LBM_PHY || e1000_phy_loopback(d);
}

static void e1000_turn_loop(struct e1000 *d)
{
	nic_reset(e1000_nic(d));
	e1000_tx_all_sent(d);
	e1000_rx_restart(d);
	d->looping = !d->looping;
	d->filter_dirty = true;
}

/* What handlers left for the back-end. Under lock. */
static void e1000_housekeeping(struct e1000 *d)
{
	bool partner = atomic_load_explicit(&d->partner, memory_order_relaxed);

	if (d->reset_pending) {
		nic_reset(e1000_nic(d));
		d->tx.orphans = 0;
		d->reset_pending = false;
	}
	if (e1000_wants_loop(d) != d->looping)
		e1000_turn_loop(d);
	if (d->filter_dirty) {
		struct nic_filter f;

		e1000_rx_filter(d, &f);
		nic_set_filter(e1000_nic(d), &f);
		d->filter_dirty = false;
	}
	if (partner != d->partner_seen) {
		d->partner_seen = partner;
		e1000_link_update(d);
	}
}

/*
 * The mutex is not fair: without this a vCPU could wait for many bursts. Bounded, as it is only a
 * courtesy.
 */
static void e1000_let_in(struct e1000 *d)
{
	for (int i = 0; i < 16 && atomic_load_explicit(&d->n_waiting, memory_order_relaxed); i++)
		sched_yield();
}

static unsigned int e1000_poll(struct io_poller *p)
{
	struct e1000 *d = E1000_OF(p, poller);
	unsigned int n = vm_drain(d->vm, BUS_READER_IO);
	uint32_t causes;
	uint64_t due;

	e1000_let_in(d);
	pthread_mutex_lock(&d->lock);
	e1000_housekeeping(d);
	n += e1000_tx_burst(d);
	n += e1000_rx_burst(d);
	e1000_timers_run(d);
	due = e1000_timers_due(d);
	causes = d->causes;
	d->causes = 0;
	e1000_unlock(d);
	if (causes)
		e1000_irq_raise(d, causes);
	e1000_irq_release(d);
	if (!n)
		e1000_timers_arm(d, due);
	if (d->awake && atomic_load_explicit(&d->zones_wanted, memory_order_relaxed) &&
	    !atomic_load_explicit(&d->zones, memory_order_relaxed))
		zones_on(d);
	return n;
}

static void rx_fd_watch(struct e1000 *d, bool on)
{
	d->rx_fd.fd = on ? nic_rx_fd(d->be, 0) : d->rx_fd.fd;
	if (on == d->rx_fd_on || d->rx_fd.fd < 0)
		return;
	if (!on)
		io_remove_fd(vm_io(d->vm), &d->rx_fd);
	d->rx_fd_on = on && io_add_fd(vm_io(d->vm), &d->rx_fd) == 0;
}

static void e1000_wake(struct io_poller *p)
{
	struct e1000 *d = E1000_OF(p, poller);

	d->awake = true;
	rx_fd_watch(d, false); /* polled anyway */
}

/*
 * A descriptor is watched only if its frames could be taken: else it would be readable for ever and
 * nobody slept.
 */
static void e1000_rest(struct io_poller *p)
{
	struct e1000 *d = E1000_OF(p, poller);
	bool ready;

	d->awake = false;
	pthread_mutex_lock(&d->lock);
	ready = e1000_rx_ready(d);
	pthread_mutex_unlock(&d->lock);
	rx_fd_watch(d, ready);
}

static void e1000_rx_fd_ready(struct io_fd *f, uint32_t events)
{
	struct e1000 *d = f->opaque;

	io_busy(vm_io(d->vm));
}

/* --- life --- */
static void e1000_free(struct e1000 *d)
{
	e1000_timers_destroy(d);
	nic_backend_destroy(d->be);
	nic_backend_destroy(d->loop);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->irq_lock);
	pthread_mutex_destroy(&d->zone_lock);
	free(d);
}

static void e1000_destroy(struct device *dev)
{
	struct e1000 *d = E1000_OF(dev, dev);

	io_remove_poller(vm_io(d->vm), &d->poller);
	rx_fd_watch(d, false);
	pci_unregister(&d->pci);
	pthread_mutex_lock(&d->zone_lock);
	zones_off(d);
	pthread_mutex_unlock(&d->zone_lock);
	e1000_free(d);
}

static void e1000_late_fd(struct device *dev, const char *name, int fd)
{
	nic_late_fd(E1000_OF(dev, dev)->be, name, fd);
}

static int e1000_pause(struct device *dev)
{
	nic_pause(E1000_OF(dev, dev)->be);
	return 0;
}

static void e1000_resume(struct device *dev)
{
	nic_resume(E1000_OF(dev, dev)->be);
}

static const struct device_ops e1000_device_ops = {
	.destroy = e1000_destroy,
	.stats = e1000_stats,
	.late_fd = e1000_late_fd,
	.pause = e1000_pause,
	.resume = e1000_resume,
};

/* 4.1: identity, INTA#, and the longest latencies the part asks for. */
static int e1000_init_pci(struct e1000 *d, const char *name)
{
	static const struct pci_id id = {
		.vendor = E1000_PCI_VENDOR,
		.device = E1000_PCI_DEVICE,
		.subsys_vendor = E1000_PCI_VENDOR,
		.subsys = E1000_SUBSYS,
		.class_code = E1000_PCI_CLASS,
		.revision = E1000_PCI_REVISION,
	};
	int ret;

	pci_dev_init(&d->pci, d->vm, name, &id, &e1000_pci_ops);
	d->pci.cfg[0x3d] = 1;    /* interrupt pin */
	d->pci.cfg[0x3e] = 0xff; /* min_gnt */
	ret = pci_add_bar(&d->pci, 0, PCI_BAR_MMIO, E1000_MEM_BAR_SIZE, false, false,
			  &e1000_mmio_ops, d);
	if (ret == 0)
		ret = pci_add_bar(&d->pci, 1, PCI_BAR_IO, E1000_IO_SIZE, false, false,
				  &e1000_pio_ops, d);
	return ret;
}

static void e1000_init(struct e1000 *d, struct vm *vm)
{
	d->vm = vm;
	d->mem = vm_mem(vm);
	d->now = e1000_monotonic;
	d->timer_fd.fd = -1;
	d->dev.ops = &e1000_device_ops;
	d->fe = (struct nic_frontend){ .ops = &e1000_frontend_ops, .max_frame = E1000_MAX_SHORT };
	d->poller = (struct io_poller){
		.poll = e1000_poll,
		.wake = e1000_wake,
		.rest = e1000_rest,
	};
	d->rx_fd = (struct io_fd){
		.fd = -1,
		.events = EPOLLIN,
		.ready = e1000_rx_fd_ready,
		.opaque = d,
	};
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->irq_lock, NULL);
	pthread_mutex_init(&d->zone_lock, NULL);
}

/* The stand-in of loopback: core's back-end of that name, whose memory costs nothing until used. */
static int e1000_init_loop(struct e1000 *d, const char *name)
{
	struct device_conf conf = { .name = name };
	int ret = opts_parse("e1000,backend=loop", &conf.opts);

	if (ret == 0)
		ret = nic_backend_create(d->vm, &conf, &d->fe, &d->loop);
	opts_free(conf.opts);
	return ret;
}

static int e1000_create(struct vm *vm, struct device_conf *conf, struct device **out)
{
	static const uint8_t no_mac[6] = { 0x02, 0x00, 0x00, 0x00, 0x00, 0x01 };
	struct e1000 *d = calloc(1, sizeof(*d));
	int ret;

	if (!d)
		return err_ret(-ENOMEM, "creating %s: no memory; give the guest fewer devices",
			       conf->name);
	e1000_init(d, vm);
	memcpy(d->mac, no_mac, 6);
	if ((ret = opts_take_mac(conf->opts, "mac", d->mac)) < 0 ||
	    (ret = nic_backend_create(vm, conf, &d->fe, &d->be)) < 0 ||
	    (ret = e1000_init_loop(d, conf->name)) < 0 ||
	    (ret = e1000_init_pci(d, conf->name)) < 0 || (ret = e1000_timers_create(d)) < 0) {
		e1000_free(d);
		return ret;
	}
	d->partner_seen = nic_link_up(d->be);
	atomic_store(&d->partner, d->partner_seen);
	e1000_reg_index(d);
	e1000_eeprom_init(d);
	e1000_phy_init(d);
	e1000_reg_reset(d);
	d->irq_dirty = false;
	ret = pci_register(&d->pci);
	if (ret < 0) {
		e1000_free(d);
		return ret;
	}
	ret = io_add_poller(vm_io(vm), &d->poller);
	if (ret < 0) {
		pci_unregister(&d->pci);
		e1000_free(d);
		return err_ret(ret, "creating %s: too many devices; give the guest fewer",
			       conf->name);
	}
	*out = &d->dev;
	return 0;
}

static const struct device_type e1000_type = {
	.name = "e1000",
	.keys = "mac=, backend=null|loop|tap|switch and its keys",
	.create = e1000_create,
};
DEVICE_TYPE(&e1000_type);
