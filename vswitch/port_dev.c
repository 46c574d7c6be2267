/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ethdev of a port: hotplugged from a PCI function that vfio-pci holds or made as a vdev,
 * claimed so that no two ports have it, configured without offloads (the data path wants none),
 * started and given to the workers. Called by port_eth.c, port_tap.c, port_vmdq.c.
 */
#include "vswitch/port_dev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_vfio.h>

#include "core/err.h"

#define DEVICES "/sys/bus/pci/devices"

/* Drivers of the kernel under which DPDK can use a device. */
static bool driver_serves(const char *driver)
{
	static const char *const known[] = { "vfio-pci", "uio_pci_generic", "igb_uio", "mlx4_core",
					     "mlx5_core" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(driver, known[i]))
			return true;
	return false;
}

/* "1:0.0", "0000:01:00.0" -> the latter. -EINVAL: no PCI address. */
static int pci_name(const char *text, char *name, size_t size)
{
	unsigned int domain = 0, bus, dev, fn;
	int end = 0;

	if ((sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &dev, &fn, &end) != 4 || text[end]) &&
	    (domain = 0, end = 0,
	     sscanf(text, "%2x:%2x.%1x%n", &bus, &dev, &fn, &end) != 3 || text[end]))
		return -EINVAL;
	if (dev > 31 || fn > 7)
		return -EINVAL;
	snprintf(name, size, "%04x:%02x:%02x.%x", domain, bus, dev, fn);
	return 0;
}

/* Whether the kernel lets DPDK have the function. */
static int pci_check(const char *name, const char *port)
{
	char path[SW_TEXT + 64], driver[256];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), DEVICES "/%s", name);
	if (access(path, F_OK) < 0)
		return err_ret(-ENODEV,
			       "port %s: no PCI function %s is here; 'fourlane nics' lists those "
			       "that are",
			       port, name);
	snprintf(path, sizeof(path), DEVICES "/%s/driver", name);
	n = readlink(path, driver, sizeof(driver) - 1);
	if (n < 0)
		return err_ret(-EBUSY, "port %s: %s has no driver; run 'fourlane assign %s' first",
			       port, name, name);
	driver[n] = '\0';
	base = strrchr(driver, '/') ? strrchr(driver, '/') + 1 : driver;
	if (!driver_serves(base))
		return err_ret(-EBUSY,
			       "port %s: the kernel's driver %s holds %s; run 'fourlane assign %s' "
			       "first",
			       port, base, name, name);
	if (!strcmp(base, "vfio-pci") && !rte_vfio_is_enabled("vfio"))
		rte_vfio_enable("vfio"); /* the module came after our start */
	return 0;
}

static int dev_plug(struct port_dev *d, const char *args, const char *port)
{
	const char *why;
	int ret;

	if (rte_eth_dev_get_port_by_name(d->name, &d->ethdev) == 0)
		return 0;
	sw_dpdk_listen();
	ret = rte_eal_hotplug_add(d->bus, d->name, args);
	why = sw_dpdk_heard(ret);
	if (ret < 0) /* -EINVAL would be our own words */
		return err_ret(ret == -EINVAL ? -EIO : ret,
			       "port %s: DPDK cannot take %s: %s; look whether it has a driver for "
			       "it and memory is left",
			       port, d->name, why);
	d->plugged = true;
	if (rte_eth_dev_get_port_by_name(d->name, &d->ethdev) == 0)
		return 0;
	return err_ret(-ENODEV,
		       "port %s: DPDK makes no network device of %s; choose another device", port,
		       d->name);
}

/* DPDK keeps who owns a device: two ports never share one. */
static int dev_claim(struct port_dev *d, const char *port)
{
	struct rte_eth_dev_owner owner = { 0 }, now = { 0 };

	if (rte_eth_dev_owner_new(&owner.id) < 0)
		return err_ret(-ENOMEM, "port %s: claiming %s failed; restart the switch", port,
			       d->name);
	snprintf(owner.name, sizeof(owner.name), "%s", port);
	rte_eth_dev_owner_get(d->ethdev, &now);
	if (now.id != RTE_ETH_DEV_NO_OWNER || rte_eth_dev_owner_set(d->ethdev, &owner) < 0)
		return err_ret(-EBUSY,
			       "port %s: another port of this switch has %s; remove that first",
			       port, d->name);
	d->owner = owner.id;
	return 0;
}

const char *port_dev_name(const char *device, char name[SW_TEXT])
{
	if (pci_name(device, name, SW_TEXT) == 0)
		return "pci";
	snprintf(name, SW_TEXT, "%.*s", (int)strcspn(device, ","), device);
	return strncmp(device, "net_", 4) ? NULL : "vdev";
}

int port_dev_open(struct port_dev *d, const char *device, const char *port)
{
	const char *args = strchr(device, ',');
	int ret;

	*d = (struct port_dev){ 0 };
	args = args ? args + 1 : "";
	d->bus = port_dev_name(device, d->name);
	if (!d->bus)
		ret = err_ret(-EINVAL,
			      "port %s: device '%s' is neither a PCI address nor a DPDK vdev "
			      "(net_...); give one of them",
			      port, device);
	else
		ret = strcmp(d->bus, "pci") ? 0 : pci_check(d->name, port);
	if (!ret)
		ret = dev_plug(d, args, port);
	d->open = !ret;
	if (!ret)
		ret = dev_claim(d, port);
	if (ret < 0)
		port_dev_close(d);
	return ret;
}

void port_dev_close(struct port_dev *d)
{
	if (d->open && d->owner) {
		rte_eth_dev_stop(d->ethdev);
		rte_eth_dev_owner_unset(d->ethdev, d->owner);
		if (d->plugged)
			rte_eth_dev_close(d->ethdev);
	}
	if (d->plugged)
		rte_eal_hotplug_remove(d->bus, d->name);
	*d = (struct port_dev){ 0 };
}

/* --- queues --- */

static unsigned int queues_allowed(const struct rte_eth_dev_info *info, unsigned int wanted)
{
	unsigned int n = wanted ? wanted : 1;

	if (n > info->max_rx_queues)
		n = info->max_rx_queues;
	if (n > info->max_tx_queues)
		n = info->max_tx_queues;
	return n ? n : 1;
}

static int queues_setup(const struct port_dev *d, struct sw_port *p, unsigned int n)
{
	uint16_t rx = p->conf.queue_size ? p->conf.queue_size : PORT_DEV_QUEUE_SIZE, tx = rx;
	unsigned int socket = (unsigned int)rte_eth_dev_socket_id(d->ethdev);
	int ret = rte_eth_dev_adjust_nb_rx_tx_desc(d->ethdev, &rx, &tx);

	for (uint16_t q = 0; ret >= 0 && q < n; q++) {
		ret = rte_eth_rx_queue_setup(d->ethdev, q, rx, socket, NULL, sw_mempool(p->sw));
		if (ret >= 0)
			ret = rte_eth_tx_queue_setup(d->ethdev, q, tx, socket, NULL);
	}
	return ret;
}

static int dev_configure(const struct port_dev *d, struct sw_port *p, unsigned int *n_queues)
{
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(d->ethdev, &info);

	if (ret < 0)
		return ret;
	*n_queues = queues_allowed(&info, *n_queues);
	if (*n_queues > 1 && info.flow_type_rss_offloads) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads;
	}
	ret = rte_eth_dev_configure(d->ethdev, (uint16_t)*n_queues, (uint16_t)*n_queues, &conf);
	return ret < 0 ? ret : queues_setup(d, p, *n_queues);
}

int port_dev_start(struct port_dev *d, struct sw_port *p, unsigned int n_queues)
{
	const char *why;
	int ret;

	sw_dpdk_listen();
	ret = dev_configure(d, p, &n_queues);
	if (ret >= 0)
		ret = rte_eth_dev_start(d->ethdev);
	why = sw_dpdk_heard(ret);
	if (ret < 0)
		return err_ret(ret == -EINVAL ? -EIO : ret,
			       "port %s: starting %s: %s; try a smaller queue_size, or give the "
			       "switch more memory",
			       p->conf.dp.name, d->name, why);
	/* a switch takes every address; a device that has no filter cannot and need not */
	rte_eth_promiscuous_enable(d->ethdev);
	rte_eth_allmulticast_enable(d->ethdev);
	ret = dp_eth_start(p->dp, d->ethdev, n_queues);
	if (ret < 0) {
		rte_eth_dev_stop(d->ethdev);
		return err_ret(ret, "port %s: giving %s to the workers: %s; remove a port first",
			       p->conf.dp.name, d->name, strerror(-ret));
	}
	d->started = true;
	return 0;
}

void port_dev_stop(struct port_dev *d, struct sw_port *p)
{
	if (!d->started)
		return;
	dp_eth_stop(p->dp);
	rte_eth_dev_stop(d->ethdev);
	d->started = false;
}

/* --- what can be seen --- */

static void show_number(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static json_t *device_counters(uint16_t ethdev)
{
	struct rte_eth_stats s = { 0 };
	json_t *o = json_object();

	rte_eth_stats_get(ethdev, &s);
	show_number(o, "rx_frames", s.ipackets);
	show_number(o, "rx_missed", s.imissed);
	show_number(o, "rx_errors", s.ierrors);
	show_number(o, "rx_no_mbuf", s.rx_nombuf);
	show_number(o, "tx_frames", s.opackets);
	show_number(o, "tx_errors", s.oerrors);
	return o;
}

void port_dev_show(const struct port_dev *d, json_t *o)
{
	struct rte_eth_dev_info info;
	struct rte_eth_link link = { 0 };
	struct rte_ether_addr mac;
	char text[RTE_ETHER_ADDR_FMT_SIZE];

	if (!d->open || rte_eth_dev_info_get(d->ethdev, &info) < 0)
		return;
	json_object_set_new(o, "device", json_string(d->name));
	json_object_set_new(o, "driver", json_string(info.driver_name));
	rte_eth_link_get_nowait(d->ethdev, &link);
	json_object_set_new(o, "link_up", json_boolean(link.link_status == RTE_ETH_LINK_UP));
	if (link.link_status == RTE_ETH_LINK_UP && link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		show_number(o, "speed_mbit", link.link_speed);
	if (rte_eth_macaddr_get(d->ethdev, &mac) == 0) {
		rte_ether_format_addr(text, sizeof(text), &mac);
		for (char *c = text; *c; c++)
			*c |= 0x20; /* ':' and digits have that bit */
		json_object_set_new(o, "mac", json_string(text));
	}
	json_object_set_new(o, "nic", device_counters(d->ethdev));
}
