/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port type `vhost-user`: a guest's NIC by its rings. It brings the connection about, as the
 * one who listens (server) or who connects (client, for ever again), drives the message layer
 * (vhost.h) from the event loop, and hands what that finds to the data path (dp.h). Control thread.
 */
#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "core/proto/virtio_net_abi.h"
#include "core/rpc_server.h"
#include "vswitch/switch.h"
#include "vswitch/vhost.h"

#define RETRY_MIN_MS    100
#define RETRY_MAX_MS    1000
#define ACCEPT_AGAIN_MS 500 /* after the process has run out of descriptors */

/* What the data path can do with a ring; MQ when the port has several pairs. */
#define PORT_FEATURES \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | \
	 VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX))

struct port_vhost {
	struct sw_port *port;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int listen_fd; /* server; -1: client, or not made yet */
	bool bound;    /* the socket file is ours */
	struct event *accept_ev, *accept_again;
	struct event *timer; /* the connection's deadline, or the next try of a client */
	struct event *read_ev, *write_ev;
	struct vhost_conn *conn;        /* NULL: nobody is there */
	bool started[VHOST_MAX_RINGS];  /* the data path has taken it */
	uint16_t base[VHOST_MAX_RINGS]; /* of one that it has not */
	unsigned int retry_ms;
	uint64_t n_connects, n_refused, n_faults;
	/* of all connections, so that coming again is no way around them */
	struct err_limit faults, strangers;
};

static void port_lost(struct port_vhost *v);
static void port_try(struct port_vhost *v);

/* --- from the message layer to the data path --- */
static void port_ring_start(void *opaque, unsigned int ring, const struct vhost_ring_conf *conf)
{
	struct port_vhost *v = opaque;
	int ret = dp_ring_start(v->port->dp, ring, conf);

	v->started[ring] = ret == 0;
	v->base[ring] = conf->base;
	if (ret < 0)
		err_limited(&v->faults, "port %s: starting ring %u: %s; the ring moves nothing",
			    v->port->conf.dp.name, ring, strerror(-ret));
}

static uint16_t port_ring_stop(void *opaque, unsigned int ring)
{
	struct port_vhost *v = opaque;

	if (!v->started[ring])
		return v->base[ring];
	v->started[ring] = false;
	return dp_ring_stop(v->port->dp, ring);
}

static void port_ring_enable(void *opaque, unsigned int ring, bool on)
{
	struct port_vhost *v = opaque;

	if (v->started[ring])
		dp_ring_enable(v->port->dp, ring, on);
}

static void port_ring_call(void *opaque, unsigned int ring, int call_fd)
{
	struct port_vhost *v = opaque;

	if (v->started[ring])
		dp_ring_call(v->port->dp, ring, call_fd);
}

static void port_filter(void *opaque, const struct vhost_user_filter *f)
{
	dp_set_filter(((struct port_vhost *)opaque)->port->dp, f);
}

static const struct vhost_ops port_ops = {
	.ring_start = port_ring_start,
	.ring_stop = port_ring_stop,
	.ring_enable = port_ring_enable,
	.ring_call = port_ring_call,
	.filter = port_filter,
};

/* --- a connection --- */
static void port_set_timer(struct port_vhost *v, long long ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	evtimer_add(v->timer, &tv);
}

/* After each step of the connection: what it waits for now. */
static void port_wait(struct port_vhost *v)
{
	long long deadline = vhost_conn_deadline_ms(v->conn), left = deadline - rpc_now_ms();

	if (vhost_conn_wants_write(v->conn))
		event_add(v->write_ev, NULL);
	else
		event_del(v->write_ev);
	if (deadline < 0)
		evtimer_del(v->timer);
	else
		port_set_timer(v, left < 1 ? 1 : left);
}

static void port_ready(evutil_socket_t fd, short what, void *opaque)
{
	struct port_vhost *v = opaque;
	int ret = vhost_conn_ready(v->conn);

	if (ret == 0) {
		port_wait(v);
		return;
	}
	if (ret != -EPIPE)
		v->n_faults++;
	port_lost(v);
}

static void port_drop_events(struct port_vhost *v)
{
	if (v->read_ev)
		event_free(v->read_ev);
	if (v->write_ev)
		event_free(v->write_ev);
	v->read_ev = v->write_ev = NULL;
}

static void port_lost(struct port_vhost *v)
{
	port_drop_events(v);
	vhost_conn_destroy(v->conn);
	v->conn = NULL;
	evtimer_del(v->timer);
	v->retry_ms = RETRY_MIN_MS;
	if (v->port->conf.client)
		port_set_timer(v, v->retry_ms);
}

/* A socket that is connected; taken. */
static void port_connected(struct port_vhost *v, int fd)
{
	const struct sw_port_conf *c = &v->port->conf;
	uint64_t features = PORT_FEATURES;
	int ret;

	if (c->dp.n_pairs > 1)
		features |= VIRTIO_BIT(VIRTIO_NET_F_MQ);
	v->n_connects++;
	ret = vhost_conn_create(fd, c->dp.name, features, c->dp.n_pairs, &port_ops, v, &v->conn);
	if (ret < 0) {
		v->conn = NULL;
	} else {
		vhost_conn_set_limit(v->conn, &v->faults);
		if (c->client)
			vhost_conn_assume_owner(v->conn);
		v->read_ev =
			event_new(sw_base(v->port->sw), fd, EV_READ | EV_PERSIST, port_ready, v);
		v->write_ev =
			event_new(sw_base(v->port->sw), fd, EV_WRITE | EV_PERSIST, port_ready, v);
	}
	if (ret == 0 && v->read_ev && v->write_ev && event_add(v->read_ev, NULL) == 0) {
		port_wait(v);
		return;
	}
	err_say("port %s: serving a connection: %s; give the switch more memory", c->dp.name,
		strerror(ret < 0 ? -ret : ENOMEM));
	port_lost(v);
}

/* The connection has kept us waiting too long, or a client tries again. */
static void port_timer(evutil_socket_t fd, short what, void *opaque)
{
	struct port_vhost *v = opaque;

	if (!v->conn) {
		port_try(v);
	} else if (vhost_conn_expired(v->conn, rpc_now_ms())) {
		v->n_faults++;
		err_limited(&v->faults,
			    "port %s: the front-end says nothing, or half a message; its "
			    "connection is closed, look there for the cause",
			    v->port->conf.dp.name);
		port_lost(v);
	} else {
		port_wait(v);
	}
}

/* --- client: the guest listens --- */
static void port_try(struct port_vhost *v)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", v->path);
	/* a Unix socket connects at once or not at all: EAGAIN is a full backlog */
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
		port_connected(v, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	v->retry_ms = v->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : v->retry_ms * 2;
	port_set_timer(v, v->retry_ms);
}

/* --- server: the guest connects --- */
/* A connection that nobody can take would wake the loop for ever: look away for a while. */
static void port_accept_later(struct port_vhost *v)
{
	struct timeval tv = { .tv_usec = ACCEPT_AGAIN_MS * 1000 };

	event_del(v->accept_ev);
	evtimer_add(v->accept_again, &tv);
}

static void port_accept_again(evutil_socket_t fd, short what, void *opaque)
{
	event_add(((struct port_vhost *)opaque)->accept_ev, NULL);
}

static void port_accept(evutil_socket_t listen_fd, short what, void *opaque)
{
	struct port_vhost *v = opaque;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			port_accept_later(v);
		return;
	}
	/*
	 * One guest at a time. One that has died is still here when its successor comes only until
	 * the end of its socket has been read: so that is read first.
	 */
	if (v->conn)
		port_ready(-1, EV_READ, v);
	if (rpc_peer_of(fd) == RPC_STRANGER) {
		err_limited(&v->strangers,
			    "port %s: refusing a connection: its user is neither root nor ours nor "
			    "in group fourlane; add the user to that group",
			    v->port->conf.dp.name);
	} else if (!v->conn) {
		port_connected(v, fd);
		return;
	}
	v->n_refused++;
	close(fd);
}

static int port_listen(struct port_vhost *v)
{
	struct group *gr = geteuid() == 0 ? getgrnam("fourlane") : NULL;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *name = v->port->conf.dp.name;
	struct stat st;
	bool there;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", v->path);
	there = lstat(v->path, &st) == 0;
	if (there && !S_ISSOCK(st.st_mode))
		return err_ret(-EEXIST, "port %s: listening on %s: it is no socket; move it away",
			       name, v->path);
	if (there && !paths_is_dead_socket(v->path))
		return err_ret(-EADDRINUSE,
			       "port %s: listening on %s: somebody does so already; give another "
			       "socket",
			       name, v->path);
	unlink(v->path); /* of a switch that was killed */
	v->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (v->listen_fd < 0 || bind(v->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_ret(-errno, "port %s: making %s: %s; check the folder", name, v->path,
			       strerror(errno));
	v->bound = true;
	if (chmod(v->path, 0660) < 0 || (gr && chown(v->path, (uid_t)-1, gr->gr_gid) < 0) ||
	    listen(v->listen_fd, 4) < 0)
		return err_ret(-errno, "port %s: listening on %s: %s; check the folder", name,
			       v->path, strerror(errno));
	v->accept_ev =
		event_new(sw_base(v->port->sw), v->listen_fd, EV_READ | EV_PERSIST, port_accept, v);
	v->accept_again = evtimer_new(sw_base(v->port->sw), port_accept_again, v);
	return v->accept_again && v->accept_ev && event_add(v->accept_ev, NULL) == 0 ? 0 : -ENOMEM;
}

/* --- the port type --- */
static int port_path(struct port_vhost *v)
{
	const struct sw_port_conf *c = &v->port->conf;
	int n = c->socket[0] ? snprintf(v->path, sizeof(v->path), "%s", c->socket)
			     : snprintf(v->path, sizeof(v->path), "%s/%s.sock", sw_dir(v->port->sw),
					c->dp.name);

	return n > 0 && (size_t)n < sizeof(v->path)
		       ? 0
		       : err_ret(-EINVAL,
				 "port %s: its socket's path is longer than %zu bytes; give a "
				 "shorter socket",
				 c->dp.name, sizeof(v->path) - 1);
}

static int port_vhost_create(struct sw_port *p)
{
	struct port_vhost *v;
	int ret;

	if (!p->conf.dp.n_pairs || p->conf.dp.n_pairs > VHOST_MAX_RINGS / 2)
		return err_ret(-EINVAL, "port %s: %u queue pairs; 1 to %u are possible",
			       p->conf.dp.name, p->conf.dp.n_pairs, VHOST_MAX_RINGS / 2);
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->state = v;
	v->port = p;
	v->listen_fd = -1;
	v->retry_ms = RETRY_MIN_MS;
	ret = port_path(v);
	if (ret < 0)
		return ret;
	v->timer = evtimer_new(sw_base(p->sw), port_timer, v);
	if (!v->timer)
		return -ENOMEM;
	if (!p->conf.client)
		return port_listen(v);
	port_try(v);
	return 0;
}

static void port_vhost_destroy(struct sw_port *p)
{
	struct port_vhost *v = p->state;

	if (!v)
		return;
	port_drop_events(v);
	vhost_conn_destroy(v->conn);
	if (v->accept_ev)
		event_free(v->accept_ev);
	if (v->accept_again)
		event_free(v->accept_again);
	if (v->timer)
		event_free(v->timer);
	if (v->listen_fd >= 0)
		close(v->listen_fd);
	if (v->bound)
		unlink(v->path);
	free(v);
	p->state = NULL;
}

struct feature_name {
	unsigned int bit;
	const char *name;
};

static json_t *feature_names(uint64_t features, const struct feature_name *known, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (features & VIRTIO_BIT(known[i].bit))
			json_array_append_new(list, json_string(known[i].name));
	return list;
}

static void port_vhost_show(const struct sw_port *p, json_t *o)
{
	static const struct feature_name features[] = {
		{ VIRTIO_F_VERSION_1, "version_1" },
		{ VIRTIO_NET_F_MRG_RXBUF, "mrg_rxbuf" },
		{ VIRTIO_F_RING_INDIRECT_DESC, "indirect_desc" },
		{ VIRTIO_F_RING_EVENT_IDX, "event_idx" },
		{ VIRTIO_NET_F_MQ, "mq" },
		{ VHOST_USER_F_PROTOCOL_FEATURES, "protocol_features" },
	};
	static const struct feature_name protocol[] = {
		{ VHOST_USER_PROTOCOL_F_MQ, "mq" },
		{ VHOST_USER_PROTOCOL_F_REPLY_ACK, "reply_ack" },
		{ VHOST_USER_PROTOCOL_F_FL_FILTER, "filter" },
	};
	const struct port_vhost *v = p->state;
	struct vhost_conn_info info = { 0 };

	if (!v)
		return;
	if (v->conn)
		vhost_conn_info(v->conn, &info);
	json_object_set_new(o, "socket", json_string(v->path));
	json_object_set_new(o, "role", json_string(p->conf.client ? "client" : "server"));
	json_object_set_new(o, "connected", json_boolean(v->conn));
	json_object_set_new(o, "features", feature_names(info.features, features, 6));
	json_object_set_new(o, "protocol_features",
			    feature_names(info.protocol_features, protocol, 3));
	json_object_set_new(o, "rings_running", json_integer(info.n_rings_running));
	json_object_set_new(o, "regions", json_integer(info.n_regions));
	json_object_set_new(o, "mem_bytes", json_integer((json_int_t)info.mem_bytes));
	json_object_set_new(o, "messages", json_integer((json_int_t)info.n_messages));
	json_object_set_new(o, "connects", json_integer((json_int_t)v->n_connects));
	json_object_set_new(o, "refused_connects", json_integer((json_int_t)v->n_refused));
	json_object_set_new(o, "faults", json_integer((json_int_t)v->n_faults));
}

static const struct sw_port_type port_vhost_type = {
	.name = "vhost-user",
	.create = port_vhost_create,
	.destroy = port_vhost_destroy,
	.show = port_vhost_show,
};
PORT_TYPE(&port_vhost_type);
