/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch's process from its lock to its end: DPDK, the data path, the ports and the event loop
 * that serves the control socket and the ports' sockets.
 */
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "vswitch/sw_priv.h"

REGISTRY(fl_port_types, struct sw_port_type);

/* --- what port types ask --- */
struct event_base *sw_base(struct sw *sw)
{
	return sw->base;
}

struct dp *sw_dp(struct sw *sw)
{
	return sw->dp;
}

const char *sw_name(const struct sw *sw)
{
	return sw->name;
}

const char *sw_dir(const struct sw *sw)
{
	return sw->dir;
}

struct rte_mempool *sw_mempool(struct sw *sw)
{
	return sw->mempool;
}

struct sw_port *sw_port_find(struct sw *sw, const char *name)
{
	for (unsigned int i = 0; i < sw->n_ports; i++)
		if (!strcmp(sw->port[i]->conf.dp.name, name))
			return sw->port[i];
	return NULL;
}

struct sw_port *sw_port_at(struct sw *sw, unsigned int i)
{
	return i < sw->n_ports ? sw->port[i] : NULL;
}

/* --- ports --- */
static const struct sw_port_type *port_type(const char *name)
{
	const struct sw_port_type *const *it;

	REGISTRY_FOREACH(fl_port_types, it)
		if (!strcmp((*it)->name, name))
			return *it;
	return NULL;
}

static void port_free(struct sw_port *p)
{
	p->type->destroy(p);
	dp_port_remove(p->dp);
	free(p);
}

static int port_open(struct sw *sw, struct sw_port *p)
{
	struct dp_port_conf dp = p->conf.dp;
	int ret;

	if (dp.kind == DP_POOL)
		dp.n_macs = 0; /* what its NIC sorts by: the guest's own port has that address */
	ret = dp_port_add(sw->dp, &dp, &p->dp);
	if (ret < 0)
		return err_ret(
			ret, "port %s: adding it: %s", p->conf.dp.name,
			ret == -EEXIST ? "an address of it is another port's; change macs"
			: ret == -ENOSPC
				? "no room for its addresses in each of its VLANs; start the "
				  "switch with more fdb.entries, or give fewer macs or VLANs"
				: "no memory; remove a port, or start a second switch");
	ret = p->type->create(p);
	if (ret < 0)
		p->type->destroy(p);
	return ret;
}

int sw_port_add(struct sw *sw, const struct sw_port_conf *conf)
{
	const struct sw_port_type *type = port_type(conf->type);
	struct sw_port *p;
	int ret;

	if (!type)
		return -EINVAL;
	if (sw_port_find(sw, conf->dp.name))
		return err_ret(-EEXIST, "port %s: there is one of that name; give another",
			       conf->dp.name);
	if (sw->n_ports == DP_MAX_PORTS)
		return err_ret(-ENOSPC, "port %s: there are %d ports; start a second switch",
			       conf->dp.name, DP_MAX_PORTS);
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->sw = sw;
	p->type = type;
	p->conf = *conf;
	/* in the list before its type works: a pool looks for its guest and its like there */
	sw->port[sw->n_ports++] = p;
	ret = port_open(sw, p);
	if (ret < 0) {
		sw->n_ports--;
		dp_port_remove(p->dp);
		free(p);
	}
	return ret;
}

int sw_port_remove(struct sw *sw, const char *name)
{
	struct sw_port *p = sw_port_find(sw, name);
	unsigned int i = 0;

	if (!p)
		return err_ret(-ENOENT, "port %s: there is none; 'fourlane switch show' lists them",
			       name);
	for (unsigned int k = 0; k < sw->n_ports; k++)
		if (!strcmp(sw->port[k]->conf.guest, name))
			return err_ret(-EBUSY, "port %s: pool %s is for it; remove that one first",
				       name, sw->port[k]->conf.dp.name);
	while (sw->port[i] != p)
		i++;
	memmove(&sw->port[i], &sw->port[i + 1], (sw->n_ports - i - 1) * sizeof(sw->port[0]));
	sw->n_ports--;
	port_free(p);
	return 0;
}

/* --- its folder and lock --- */
static int sw_make_dir(const char *path)
{
	struct group *gr = geteuid() == 0 ? getgrnam("fourlane") : NULL;

	if (mkdir(path, 0750) < 0)
		return errno == EEXIST ? 0
				       : err_ret(-errno, "making %s: %s; check the folder", path,
						 strerror(errno));
	if (gr && chown(path, (uid_t)-1, gr->gr_gid) < 0)
		return err_ret(-errno, "giving %s to group fourlane: %s; run as root", path,
			       strerror(errno));
	return 0;
}

static void sw_lock_path(const struct sw *sw, char *buf, size_t size)
{
	snprintf(buf, size, "%s/lock", sw->dir);
}

/* Is the file that we hold the one that the path names? A switch that ends removes its own. */
static bool sw_lock_is_current(const struct sw *sw, const char *path)
{
	struct stat held, named;

	return fstat(sw->lock_fd, &held) == 0 && stat(path, &named) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static int sw_take_lock(struct sw *sw)
{
	char path[PATH_MAX + 8];
	int ret = sw_make_dir(sw->dir);

	if (ret < 0)
		return ret;
	sw_lock_path(sw, path, sizeof(path));
	sw->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (sw->lock_fd < 0 && errno == ENOENT)
		return -EAGAIN; /* the folder has just gone with the one that ended */
	if (sw->lock_fd < 0)
		return err_ret(-errno, "opening %s: %s; run as the user who runs the switch", path,
			       strerror(errno));
	if (flock(sw->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		close(sw->lock_fd);
		sw->lock_fd = -1;
		return err_ret(-EEXIST,
			       "starting switch '%s': one of that name is running; stop it or give "
			       "another --name",
			       sw->name);
	}
	return sw_lock_is_current(sw, path) ? 0 : -EAGAIN;
}

static int sw_lock(struct sw *sw)
{
	char run[PATH_MAX - 128];
	int ret = paths_run_dir(run, sizeof(run));

	if (ret < 0)
		return ret;
	snprintf(sw->dir, sizeof(sw->dir), "%s/switch", run);
	ret = sw_make_dir(sw->dir);
	if (ret < 0)
		return ret;
	snprintf(sw->dir, sizeof(sw->dir), "%s/switch/%s", run, sw->name);
	for (int i = 0; i < 10; i++) { /* one of that name may just be ending */
		ret = sw_take_lock(sw);
		if (ret != -EAGAIN)
			return ret;
		if (sw->lock_fd >= 0)
			close(sw->lock_fd);
		sw->lock_fd = -1;
	}
	return err_ret(-EAGAIN, "starting switch '%s': its lock changes all the time; try again",
		       sw->name);
}

/* What a switch that was killed has left; guests may listen in the folder, too. */
static void sw_remove_dead(const struct sw *sw)
{
	char path[PATH_MAX + 256];
	DIR *d = opendir(sw->dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", sw->dir, e->d_name);
		if (e->d_type == DT_SOCK && paths_is_dead_socket(path))
			unlink(path);
	}
	if (d)
		closedir(d);
}

static void sw_unlock(struct sw *sw)
{
	char path[PATH_MAX + 8];

	if (sw->lock_fd < 0)
		return;
	sw_lock_path(sw, path, sizeof(path));
	sw_remove_dead(sw);
	unlink(path);
	rmdir(sw->dir);
	close(sw->lock_fd);
}

/* --- the loop --- */
static void sw_signalled(evutil_socket_t sig, short what, void *opaque)
{
	event_base_loopbreak(((struct sw *)opaque)->base);
}

static void sw_control(evutil_socket_t fd, short what, void *opaque)
{
	rpc_server_step(((struct sw *)opaque)->server);
}

static void sw_watch(evutil_socket_t fd, short what, void *opaque)
{
	dp_watch(((struct sw *)opaque)->dp);
}

static int sw_start_watch(struct sw *sw)
{
	const struct timeval every = { .tv_usec = DP_WATCH_MS * 1000 };

	sw->watch = event_new(sw->base, -1, EV_PERSIST, sw_watch, sw);
	return sw->watch && event_add(sw->watch, &every) == 0 ? 0 : -ENOMEM;
}

static int sw_listen(struct sw *sw)
{
	char path[PATH_MAX + 16];
	int ret;

	snprintf(path, sizeof(path), "%s/control.sock", sw->dir);
	ret = rpc_server_open(path, sw_ctl_request, sw, &sw->server);
	if (ret < 0)
		return ret;
	sw->control = event_new(sw->base, rpc_server_fd(sw->server), EV_READ | EV_PERSIST,
				sw_control, sw);
	return sw->control && event_add(sw->control, NULL) == 0 ? 0 : -ENOMEM;
}

static bool sw_is_ignored(int sig)
{
	struct sigaction was;

	return sigaction(sig, NULL, &was) == 0 && was.sa_handler == SIG_IGN;
}

static int sw_events(struct sw *sw)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	signal(SIGPIPE, SIG_IGN);
	sw->base = event_base_new();
	if (!sw->base)
		return err_ret(-ENOMEM, "making the event loop: no memory; free some");
	for (unsigned int i = 0; i < 3; i++) {
		if (signals[i] == SIGHUP && sw_is_ignored(SIGHUP))
			continue; /* nohup(1) */
		sw->signal[i] = evsignal_new(sw->base, signals[i], sw_signalled, sw);
		if (!sw->signal[i] || event_add(sw->signal[i], NULL) < 0)
			return err_ret(-ENOMEM, "catching signals: no memory; free some");
	}
	return 0;
}

/* Threads that DPDK and the data path make take no signals but those of their own faults. */
static int sw_start_threads(struct sw *sw)
{
	struct sw_conf *c = sw->conf;
	struct dp_conf dp = {
		.n_workers = c->n_workers,
		.fdb_entries = c->fdb_entries,
		.fdb_age_s = c->fdb_age_s,
	};
	sigset_t most, old;
	int ret;

	for (unsigned int i = 0; i < DP_MAX_WORKERS; i++)
		dp.cpu[i] = i < c->n_cpus ? c->cpu[i] : -1;
	sigfillset(&most);
	for (int *sig = (int[]){ SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT, 0 }; *sig; sig++)
		sigdelset(&most, *sig);
	pthread_sigmask(SIG_BLOCK, &most, &old);
	ret = sw_eal_start(c, &sw->huge, &sw->mempool);
	if (ret == 0)
		ret = vhost_sigbus_install();
	if (ret == 0)
		ret = dp_create(&dp, &sw->dp);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

/* Those of the configuration, wherever they stand there: a pool wants its guest's port first. */
static int sw_add_ports(struct sw *sw, bool pools)
{
	int ret = 0;

	for (unsigned int i = 0; i < sw->conf->n_ports && ret == 0; i++)
		if ((sw->conf->port[i].dp.kind == DP_POOL) == pools)
			ret = sw_port_add(sw, &sw->conf->port[i]);
	return ret;
}

int sw_create(struct sw_conf *conf, struct sw **out)
{
	struct sw *sw = calloc(1, sizeof(*sw));
	int ret;

	if (!sw)
		return -ENOMEM;
	*out = sw;
	sw->conf = conf;
	sw->lock_fd = -1;
	snprintf(sw->name, sizeof(sw->name), "%s", conf->name);
	sw_ctl_listen_errors(sw);
	if ((ret = sw_lock(sw)) < 0 || (ret = sw_events(sw)) < 0 ||
	    (ret = sw_start_threads(sw)) < 0 || (ret = sw_start_watch(sw)) < 0)
		return ret;
	ret = sw_add_ports(sw, false);
	if (ret == 0)
		ret = sw_add_ports(sw, true);
	return ret < 0 ? ret : sw_listen(sw);
}

int sw_run(struct sw *sw)
{
	return event_base_dispatch(sw->base) < 0
		       ? err_ret(-EIO, "waiting for events: it failed; start the switch again")
		       : 0;
}

void sw_destroy(struct sw *sw)
{
	if (!sw)
		return;
	if (sw->control)
		event_free(sw->control);
	if (sw->watch)
		event_free(sw->watch);
	rpc_server_close(sw->server);
	while (sw->n_ports) /* newest first: pools before their guests */
		port_free(sw->port[--sw->n_ports]);
	dp_destroy(sw->dp);
	if (sw->mempool)
		sw_eal_stop(sw->mempool);
	for (unsigned int i = 0; i < 3; i++)
		if (sw->signal[i])
			event_free(sw->signal[i]);
	if (sw->base)
		event_base_free(sw->base);
	sw_unlock(sw);
	err_set_sink(NULL, NULL);
	free(sw);
}
