/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `backend=switch` on the host's side: the vhost-user socket between the guest's NIC and a switch
 * (fourlane-switch, OVS-DPDK, testpmd). As client it is connected before the guest starts, as
 * server it waits for the switch to come. The descriptor goes to the monitor under the name
 * "socket", and again whenever the switch went away and is back (reopen()). Called by
 * prep_software() and the supervisor. Starts nothing by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "core/prep.h"
#include "core/rpc.h"

#define SERVER_WAIT_S 30 /* the default of wait= */
#define MAX_WAIT_S    86400
#define RETRY_MS      100

struct prep_switch {
	struct sockaddr_un sa;
	char port[64], name[40]; /* the port, and the switch when it is not the default */
	bool server, own_path;   /* own_path: the user gave socket= */
	uint64_t wait_s;
	int listen_fd; /* server; -1 */
	dev_t dev;     /* of the socket that we made: nobody else's is removed */
	ino_t ino;
};

/* --- the words --- */
static int switch_role(struct prep_nic *nic, struct prep_switch *p)
{
	const char *role = opts_take(nic->opts, "role");

	p->server = role && !strcmp(role, "server");
	if (role && !p->server && strcmp(role, "client"))
		return err_ret(-EINVAL, "%s: role=%s: give client (we connect) or server (we wait)",
			       nic->name, role);
	p->wait_s = p->server ? SERVER_WAIT_S : 0;
	return opts_take_number(nic->opts, "wait", 0, MAX_WAIT_S, &p->wait_s);
}

/* Where a server's socket is when it was not said: the folder that the switch would make. */
static int switch_make_dir(char *dir)
{
	char *last = strrchr(dir, '/');
	int ret;

	*last = '\0'; /* .../switch */
	ret = mkdir(dir, 0750) < 0 && errno != EEXIST ? -errno : 0;
	*last = '/';
	if (ret == 0 && mkdir(dir, 0750) < 0 && errno != EEXIST)
		ret = -errno;
	return ret < 0 ? err_ret(ret, "making %s: %s; give socket=", dir, strerror(-ret)) : 0;
}

static int switch_default_path(struct prep_switch *p, const char *name, char *path, size_t size)
{
	char run[256], dir[320], below[128];
	int ret;

	if (!p->server) {
		snprintf(below, sizeof(below), "switch/%s/%s.sock", name, p->port);
		return paths_find_socket(path, size, below);
	}
	ret = paths_run_dir(run, sizeof(run));
	if (ret < 0)
		return ret;
	snprintf(dir, sizeof(dir), "%s/switch/%s", run, name);
	snprintf(path, size, "%s/%s.sock", dir, p->port);
	return switch_make_dir(dir);
}

/* NULL: not given. */
static bool switch_name_ok(const char *name)
{
	return !name || (rpc_name_ok(name) && strlen(name) < RPC_PORT_NAME_BYTES);
}

static int switch_words(struct prep_guest *g, struct prep_nic *nic, struct prep_switch *p)
{
	const char *socket = opts_take(nic->opts, "socket"), *name = opts_take(nic->opts, "switch"),
		   *port = opts_take(nic->opts, "port");
	char path[512];
	int ret = switch_role(nic, p);

	if (ret < 0)
		return ret;
	if (socket && (name || port))
		return err_ret(-EINVAL, "%s: socket= and %s= both say where: give one", nic->name,
			       name ? "switch" : "port");
	if (!switch_name_ok(name) || !switch_name_ok(port))
		return err_ret(-EINVAL,
			       "%s: a switch and a port are called by 1 to %d letters, digits, "
			       "'_', '-', '.'; give such a switch= and port=",
			       nic->name, RPC_PORT_NAME_BYTES - 1);
	p->own_path = socket;
	if (port)
		snprintf(p->port, sizeof(p->port), "%s", port);
	else
		snprintf(p->port, sizeof(p->port), "%s-%s", prep_guest_name(g), nic->name);
	if (!socket && !switch_name_ok(p->port))
		return err_ret(-EINVAL,
			       "%s: port %s: the name has %zu letters, a switch's port has at most "
			       "%d; give port=NAME",
			       nic->name, p->port, strlen(p->port), RPC_PORT_NAME_BYTES - 1);
	if (socket)
		snprintf(path, sizeof(path), "%s", socket);
	else
		ret = switch_default_path(p, name ? name : "default", path, sizeof(path));
	if (name && strcmp(name, "default"))
		snprintf(p->name, sizeof(p->name), " --switch %s", name);
	if (ret < 0)
		return ret;
	if (!*path || strlen(path) >= sizeof(p->sa.sun_path))
		return err_ret(-EINVAL,
			       "%s: the socket's path has to be 1 to %zu bytes long; give another "
			       "socket=",
			       nic->name, sizeof(p->sa.sun_path) - 1);
	p->sa.sun_family = AF_UNIX;
	memcpy(p->sa.sun_path, path, strlen(path) + 1);
	return 0;
}

/* --- client --- */
static int switch_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* Without waiting: a Unix socket connects at once, or whoever listens is too busy (EAGAIN). */
static int switch_connect(const struct prep_switch *p)
{
	int fd = switch_socket(), ret;

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&p->sa, sizeof(p->sa)) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

static int switch_say_absent(struct prep_nic *nic, const struct prep_switch *p, int ret)
{
	/* never -EINVAL or -ENODEV: the words were right, and so is the host */
	const int status = ret == -ENOENT || ret == -ECONNREFUSED || ret == -EACCES ? ret : -EIO;

	if (p->own_path)
		return err_ret(status,
			       "%s: connecting to the switch at %s: %s; start the switch that "
			       "listens there, or give another socket=",
			       nic->name, p->sa.sun_path, strerror(-ret));
	return err_ret(status,
		       "%s: connecting to the switch at %s: %s; start 'fourlane-switch' and add "
		       "the port with 'fourlane switch port add %s --type vhost-user%s', or give "
		       "socket=",
		       nic->name, p->sa.sun_path, strerror(-ret), p->port, p->name);
}

static int switch_client(struct prep_guest *g, struct prep_nic *nic, const struct prep_switch *p)
{
	long long end = rpc_now_ms() + (long long)p->wait_s * 1000;
	int fd;

	while ((fd = switch_connect(p)) < 0 && rpc_now_ms() < end)
		if (prep_wait(g, -1, 0, RETRY_MS) == -EINTR)
			return -EINTR;
	return fd < 0 ? switch_say_absent(nic, p, fd) : fd;
}

/* --- server --- */
/* A socket that stands there: removed when nobody listens, as a process that died leaves it. */
static int switch_clear_path(struct prep_nic *nic, const struct prep_switch *p)
{
	const char *path = p->sa.sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0; /* bind() tells whatever else is wrong */
	if (!S_ISSOCK(st.st_mode))
		return err_ret(-EEXIST,
			       "%s: %s is there and no socket; give another socket=", nic->name,
			       path);
	if (!paths_is_dead_socket(path))
		return err_ret(-EADDRINUSE,
			       "%s: somebody listens at %s already; end it, or give another "
			       "socket=",
			       nic->name, path);
	return unlink(path) < 0 ? err_ret(-EADDRINUSE, "%s: removing the old %s: %s; remove it",
					  nic->name, path, strerror(errno))
				: 0;
}

static int switch_bind(struct prep_switch *p)
{
	struct group *gr = geteuid() == 0 ? getgrnam("fourlane") : NULL;
	const char *path = p->sa.sun_path;
	struct stat st;

	p->listen_fd = switch_socket();
	if (p->listen_fd < 0 ||
	    bind(p->listen_fd, (const struct sockaddr *)&p->sa, sizeof(p->sa)) < 0)
		return -errno;
	if (lstat(path, &st) < 0)
		return -errno;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	/* nobody can connect before listen() */
	if (chmod(path, 0660) < 0 || (gr && chown(path, (uid_t)-1, gr->gr_gid) < 0) ||
	    listen(p->listen_fd, 1) < 0)
		return -errno;
	return 0;
}

static int switch_accept(const struct prep_switch *p)
{
	int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static int switch_server(struct prep_guest *g, struct prep_nic *nic, struct prep_switch *p)
{
	long long end = rpc_now_ms() + (long long)p->wait_s * 1000, left;
	int fd, ret = switch_clear_path(nic, p);

	if (ret < 0)
		return ret;
	ret = switch_bind(p);
	if (ret < 0)
		return err_ret(ret == -EINVAL ? -EIO : ret,
			       "%s: listening at %s: %s; check the folder, or give another socket=",
			       nic->name, p->sa.sun_path, strerror(-ret));
	while ((fd = switch_accept(p)) < 0 && (left = end - rpc_now_ms()) > 0)
		if (prep_wait(g, p->listen_fd, POLLIN, (int)left) == -EINTR)
			return -EINTR;
	return fd < 0 ? err_ret(-ETIMEDOUT,
				"%s: no switch has connected to %s within %llu s; start it with a "
				"client port at that socket, or give a longer wait=",
				nic->name, p->sa.sun_path, (unsigned long long)p->wait_s)
		      : fd;
}

/* --- what is registered --- */
static void prep_switch_drop(struct prep_switch *p)
{
	struct stat st;

	if (p->ino && lstat(p->sa.sun_path, &st) == 0 && st.st_dev == p->dev && st.st_ino == p->ino)
		unlink(p->sa.sun_path);
	if (p->listen_fd >= 0)
		close(p->listen_fd);
	free(p);
}

/* ps and stats show the name that was made up. */
static int switch_tell_port(struct prep_nic *nic, const struct prep_switch *p)
{
	char *text = strdup(nic->device_opts ? nic->device_opts : opts_text(nic->opts));
	int ret = text ? prep_set_opts(nic, "%s,port=%s", text, p->port) : -ENOMEM;

	free(text);
	return ret;
}

static int prep_switch_open(struct prep_guest *g, struct prep_nic *nic, struct prep_switch *p)
{
	int fd, ret = switch_words(g, nic, p);

	if (ret == 0 && !p->own_path && !opts_take(nic->opts, "port"))
		ret = switch_tell_port(nic, p);
	if (ret < 0)
		return ret;
	fd = p->server ? switch_server(g, nic, p) : switch_client(g, nic, p);
	return fd < 0 ? fd : prep_add_fd(g, nic, "socket", fd);
}

static int prep_switch(struct prep_guest *g, struct prep_nic *nic)
{
	struct prep_switch *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return -ENOMEM;
	p->listen_fd = -1;
	ret = prep_switch_open(g, nic, p);
	if (ret < 0)
		prep_switch_drop(p);
	else
		nic->state = p;
	return ret;
}

static void prep_switch_release(struct prep_guest *g, struct prep_nic *nic)
{
	if (nic->state)
		prep_switch_drop(nic->state);
	nic->state = NULL;
}

/* The switch may be away for any time: nothing that fails now is for ever. */
static int prep_switch_reopen(struct prep_guest *g, struct prep_nic *nic, const char *name)
{
	struct prep_switch *p = nic->state;
	int fd;

	if (!p || strcmp(name, "socket"))
		return -ENOENT;
	fd = p->server ? switch_accept(p) : switch_connect(p);
	return fd < 0 ? -EAGAIN : fd;
}

static const struct backend_prep switch_prep = {
	.name = "switch",
	.keys = "switch=NAME, port=NAME or socket=PATH, role=client|server, wait=SECONDS",
	.shares_memory = true,
	.prepare = prep_switch,
	.release = prep_switch_release,
	.reopen = prep_switch_reopen,
	.once = "socket",
};
BACKEND_PREP(&switch_prep);
