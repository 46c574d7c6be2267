/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See console.h. The log is turned over once at LOG_MAX bytes, so that a guest that talks without
 * end fills no disk: NAME.log and NAME.log.1 are what is kept.
 */
#include "core/console.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "core/rpc_server.h"

#define LOG_MAX  (8 << 20)
#define LAST_MAX 4096 /* bytes that a new client is shown of what was said before */

struct console {
	int listen, out_r, log;
	int client[CONSOLE_CLIENTS]; /* -1: free */
	bool std;                    /* our own messages go to the log, too */
	long long log_bytes;
	char path[PATH_MAX], log_path[PATH_MAX];
	char last[LAST_MAX]; /* a ring */
	size_t n_said;
};

int console_socket_path(const char *name, char *buf, size_t size)
{
	char below[64];

	if (!rpc_name_ok(name))
		return err_ret(-EINVAL,
			       "guest '%s': no name for a guest; use 1 to 32 letters, digits, '_', "
			       "'-' or '.'",
			       name);
	snprintf(below, sizeof(below), "%s.tty", name);
	return paths_find_socket(buf, size, below);
}

/* --- the log --- */
static int log_open(struct console *c)
{
	struct stat st;

	c->log = open(c->log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (c->log < 0 || fstat(c->log, &st) < 0)
		return err_ret(-errno, "opening %s: %s; check the folder", c->log_path,
			       strerror(errno));
	c->log_bytes = st.st_size;
	return 0;
}

/* Without a log that can be opened again the old one goes on. */
static void log_turn(struct console *c)
{
	char old[PATH_MAX + 2];
	int was = c->log;

	snprintf(old, sizeof(old), "%s.1", c->log_path);
	if (rename(c->log_path, old) < 0 || log_open(c) < 0) {
		c->log = was;
		c->log_bytes = 0;
		return;
	}
	close(was);
	if (c->std)
		console_take_std(c);
}

static void console_say(struct console *c, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		c->last[c->n_said++ % LAST_MAX] = data[i];
	if (c->log_bytes + (long long)n > LOG_MAX)
		log_turn(c);
	if (write(c->log, data, n) > 0) /* a full disk takes nothing, and the guest goes on */
		c->log_bytes += (long long)n;
	for (unsigned int i = 0; i < CONSOLE_CLIENTS; i++)
		if (c->client[i] >= 0)
			send(c->client[i], data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int console_log_fd(const struct console *c)
{
	return c->log;
}

void console_take_std(struct console *c)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		close(null);
	}
	dup2(c->log, STDOUT_FILENO);
	dup2(c->log, STDERR_FILENO);
	c->std = true;
}

/* --- open and close --- */
static int console_paths(struct console *c, const char *name)
{
	char dir[PATH_MAX - 64];
	int ret = paths_run_dir(dir, sizeof(dir));

	if (ret < 0)
		return ret;
	snprintf(c->path, sizeof(c->path), "%s/%s.tty", dir, name);
	ret = paths_state_dir(dir, sizeof(dir));
	if (ret < 0)
		return ret;
	snprintf(c->log_path, sizeof(c->log_path), "%s/log", dir);
	if (mkdir(c->log_path, 0750) < 0 && errno != EEXIST)
		return err_ret(-errno, "making %s: %s; check the folder", c->log_path,
			       strerror(errno));
	snprintf(c->log_path, sizeof(c->log_path), "%s/log/%s.log", dir, name);
	return 0;
}

int console_open(const char *name, int *out_w, struct console **out)
{
	struct console *c = calloc(1, sizeof(*c));
	int p[2], ret;

	if (!c)
		return -ENOMEM;
	c->listen = c->out_r = c->log = -1;
	for (unsigned int i = 0; i < CONSOLE_CLIENTS; i++)
		c->client[i] = -1;
	ret = console_paths(c, name);
	if (ret == 0)
		ret = log_open(c);
	if (ret == 0)
		ret = rpc_listen(c->path);
	if (ret >= 0) {
		c->listen = ret;
		ret = pipe2(p, O_CLOEXEC) < 0 ? -errno : 0;
	}
	if (ret < 0) {
		console_close(c);
		return ret;
	}
	c->out_r = p[0];
	fcntl(c->out_r, F_SETFL, O_NONBLOCK);
	*out_w = p[1];
	*out = c;
	return 0;
}

static void client_close(struct console *c, unsigned int i)
{
	close(c->client[i]);
	c->client[i] = -1;
}

static void take_output(struct console *c)
{
	char buf[4096];
	ssize_t n = read(c->out_r, buf, sizeof(buf));

	if (n > 0) {
		console_say(c, buf, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(c->out_r); /* the monitor is gone */
		c->out_r = -1;
	}
}

void console_close(struct console *c)
{
	if (!c)
		return;
	for (struct pollfd p = { .fd = c->out_r, .events = POLLIN };
	     c->out_r >= 0 && poll(&p, 1, 0) > 0;)
		take_output(c);
	for (unsigned int i = 0; i < CONSOLE_CLIENTS; i++)
		if (c->client[i] >= 0)
			client_close(c, i);
	if (c->listen >= 0)
		unlink(c->path);
	for (int *fd = (int[]){ c->listen, c->out_r, c->log, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	free(c);
}

/* --- the loop --- */
static void client_take(struct console *c)
{
	static const char full[] = "fourlane: as many as can be are attached to this console; "
				   "leave one of them\r\n";
	int fd = accept4(c->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	size_t from = c->n_said > LAST_MAX ? c->n_said - LAST_MAX : 0;
	char last[LAST_MAX];

	if (fd < 0)
		return;
	if (rpc_peer_of(fd) == RPC_STRANGER) {
		close(fd);
		return;
	}
	for (unsigned int i = 0; i < CONSOLE_CLIENTS; i++) {
		if (c->client[i] >= 0)
			continue;
		c->client[i] = fd;
		for (size_t k = from; k < c->n_said; k++)
			last[k - from] = c->last[k % LAST_MAX];
		send(fd, last, c->n_said - from, MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

void console_watch(const struct console *c, bool room, struct pollfd p[CONSOLE_FDS])
{
	p[0] = (struct pollfd){ .fd = c ? c->listen : -1, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = c ? c->out_r : -1, .events = POLLIN };
	for (unsigned int i = 0; i < CONSOLE_CLIENTS; i++)
		p[2 + i] =
			(struct pollfd){ .fd = c ? c->client[i] : -1, .events = room ? POLLIN : 0 };
}

void console_serve(struct console *c, const struct pollfd p[CONSOLE_FDS], int in_fd)
{
	char buf[256];

	for (unsigned int i = 0; i < CONSOLE_CLIENTS; i++) {
		ssize_t n = 0;

		if (!p[2 + i].revents)
			continue;
		if (p[2 + i].revents & POLLIN)
			n = read(c->client[i], buf, sizeof(buf));
		if (n > 0)
			n = write(in_fd, buf, (size_t)n) < 0 && errno != EAGAIN ? -1 : n;
		else if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			client_close(c, i);
	}
	if (p[1].revents)
		take_output(c);
	if (p[0].revents)
		client_take(c);
}
