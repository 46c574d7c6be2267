/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port type `vmdq`: a pool of a NIC that belongs to one guest port. All vmdq ports of a device
 * form a group, which is found by going through the switch's ports. Each port that comes or goes
 * makes the NIC anew with one pool more or less (ethdev cannot do it live), so the pools of that
 * NIC, and only these, pause for a moment. What sorts the frames is in vmdq/.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "vmdq/vmdq.h"
#include "vswitch/port_dev.h"

#define GROUP_MAX 64

struct vmdq_group {
	struct port_dev dev;
	struct vmdq_nic *nic; /* NULL: stopped */
	unsigned int n;
	struct sw_port *member[GROUP_MAX]; /* member i has pool i */
};

struct port_vmdq {
	struct vmdq_group *group; /* shared; ends with its last member */
	unsigned int index;
	bool running; /* its pool is the workers' */
};

static const struct sw_port_type port_vmdq_type;

/* --- the group --- */

static struct vmdq_group *group_find(const struct sw_port *p, const char *device)
{
	char name[SW_TEXT];
	struct sw_port *o;

	port_dev_name(device, name);
	for (unsigned int i = 0; (o = sw_port_at(p->sw, i)); i++) {
		const struct port_vmdq *v = o->state;

		if (o != p && o->type == &port_vmdq_type && v && v->group &&
		    !strcmp(v->group->dev.name, name))
			return v->group;
	}
	return NULL;
}

static void group_stop(struct vmdq_group *g)
{
	for (unsigned int i = 0; i < g->n; i++) {
		struct port_vmdq *v = g->member[i]->state;

		if (v->running)
			dp_pool_stop(g->member[i]->dp);
		v->running = false;
	}
	vmdq_nic_destroy(g->nic);
	g->nic = NULL;
}

static void member_key(const struct sw_port *p, struct vmdq_key *key)
{
	const struct dp_port_conf *c = &p->conf.dp;

	*key = (struct vmdq_key){ .vlan = c->vlan, .has_mac = c->n_macs > 0 };
	if (c->n_macs)
		memcpy(key->mac, c->mac[0], 6);
}

static int group_nic(struct vmdq_group *g)
{
	struct vmdq_key key[GROUP_MAX];
	struct vmdq_nic_conf conf = {
		.ethdev = g->dev.ethdev,
		.mp = sw_mempool(g->member[0]->sw),
		.n_pools = g->n,
		.key = key,
	};

	for (unsigned int i = 0; i < g->n; i++) {
		member_key(g->member[i], &key[i]);
		conf.software |= g->member[i]->conf.software;
		if (g->member[i]->conf.queue_size > conf.ring_size)
			conf.ring_size = g->member[i]->conf.queue_size;
	}
	return vmdq_nic_create(&conf, &g->nic);
}

static int group_start(struct vmdq_group *g)
{
	int ret = g->n ? group_nic(g) : 0;

	for (unsigned int i = 0; !ret && i < g->n; i++) {
		struct sw_port *p = g->member[i];
		struct port_vmdq *v = p->state;
		struct sw_port *guest = sw_port_find(p->sw, p->conf.guest);

		v->index = i;
		if (!guest)
			continue; /* removed: its pool receives, nobody takes it out */
		ret = dp_pool_start(p->dp, vmdq_pool(g->nic, i), guest->dp);
		v->running = !ret;
		if (ret < 0)
			err_say("port %s: giving its pool to the workers: %s; remove a port first",
				p->conf.dp.name, strerror(-ret));
	}
	if (ret < 0)
		group_stop(g);
	return ret;
}

static int group_join(struct vmdq_group *g, struct sw_port *p)
{
	if (g->n == GROUP_MAX)
		return err_ret(-ENOSPC, "port %s: %s has %d pools already; remove a port first",
			       p->conf.dp.name, g->dev.name, GROUP_MAX);
	group_stop(g);
	g->member[g->n++] = p;
	return group_start(g);
}

static void group_leave(struct vmdq_group *g, struct sw_port *p)
{
	unsigned int i = 0;

	group_stop(g);
	while (i < g->n && g->member[i] != p)
		i++;
	if (i < g->n) {
		memmove(&g->member[i], &g->member[i + 1], (g->n - i - 1) * sizeof(g->member[0]));
		g->n--;
	}
	if (g->n) {
		group_start(g);
		return;
	}
	port_dev_close(&g->dev);
	free(g);
}

/* --- the port --- */

static int port_check(const struct sw_port *p)
{
	const struct sw_port_conf *c = &p->conf;
	struct sw_port *guest = sw_port_find(p->sw, c->guest), *o;

	if (!c->device[0] || !c->guest[0])
		return err_ret(-EINVAL,
			       "port %s: a vmdq port needs a device and a guest; name the PCI "
			       "address and the guest's port",
			       c->dp.name);
	if (!guest || strcmp(guest->type->name, "vhost-user"))
		return err_ret(-EINVAL,
			       "port %s: there is no vhost-user port '%s'; add the guest's port "
			       "first",
			       c->dp.name, c->guest);
	if (c->dp.trunk || c->dp.n_macs > 1)
		return err_ret(-EINVAL,
			       "port %s: a pool has one VLAN and at most one address; correct its "
			       "words",
			       c->dp.name);
	for (unsigned int i = 0; (o = sw_port_at(p->sw, i)); i++)
		if (o != p && o->type == &port_vmdq_type && o->state &&
		    !strcmp(o->conf.guest, c->guest))
			return err_ret(-EINVAL,
				       "port %s: guest %s has the pool of port %s; remove that "
				       "first",
				       c->dp.name, c->guest, o->conf.dp.name);
	return 0;
}

static int port_vmdq_create(struct sw_port *p)
{
	struct port_vmdq *v;
	int ret = port_check(p);

	if (ret < 0)
		return ret;
	p->state = v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->group = group_find(p, p->conf.device);
	if (!v->group) {
		struct vmdq_group *g = calloc(1, sizeof(*g));

		if (!g)
			return -ENOMEM;
		ret = port_dev_open(&g->dev, p->conf.device, p->conf.dp.name);
		if (ret < 0) {
			free(g);
			return ret;
		}
		v->group = g;
	}
	return group_join(v->group, p);
}

static void port_vmdq_destroy(struct sw_port *p)
{
	struct port_vmdq *v = p->state;

	if (!v)
		return;
	if (v->group)
		group_leave(v->group, p);
	free(v);
	p->state = NULL;
}

/* --- what can be seen --- */

static void show_number(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static json_t *pool_counters(const struct vmdq_group *g, unsigned int i)
{
	struct vmdq_pool_stats s;
	json_t *o = json_object();

	vmdq_pool_stats(vmdq_pool(g->nic, i), &s);
	show_number(o, "rx_frames", s.rx_frames);
	show_number(o, "tx_frames", s.tx_frames);
	show_number(o, "rx_full", s.rx_full);
	json_object_set_new(o, "nic_rx_frames",
			    s.has_nic_counter ? json_integer((json_int_t)s.nic_rx_frames)
					      : json_null());
	return o;
}

static void port_vmdq_show(const struct sw_port *p, json_t *o)
{
	const struct port_vmdq *v = p->state;
	const struct vmdq_group *g = v->group;

	if (!g)
		return;
	port_dev_show(&g->dev, o);
	json_object_set_new(o, "guest", json_string(p->conf.guest));
	if (!g->nic)
		return;
	json_object_set_new(
		o, "how",
		json_string(vmdq_nic_how(g->nic) == VMDQ_HARDWARE ? "hardware" : "software"));
	json_object_set_new(o, "why", json_string(vmdq_nic_why(g->nic)));
	show_number(o, "pool", v->index);
	json_object_set_new(o, "pool_counters", pool_counters(g, v->index));
	show_number(o, "no_pool", vmdq_nic_no_pool(g->nic));
}

static const struct sw_port_type port_vmdq_type = {
	.name = "vmdq",
	.create = port_vmdq_create,
	.destroy = port_vmdq_destroy,
	.show = port_vmdq_show,
};
PORT_TYPE(&port_vmdq_type);
