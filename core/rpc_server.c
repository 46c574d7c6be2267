/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rpc_server.h. One epoll of the listening socket, its clients, and an eventfd that stays
 * readable while a client has sent more lines than were answered. */
#include "core/rpc_server.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/err.h"

#define MAX_CLIENTS 16
#define SEND_MS     200

struct client {
	int fd; /* -1: free */
	char *line;
	size_t len;
	long long since; /* ms: when it came, or was last answered */
};

struct rpc_server {
	int epoll, listen, again;
	rpc_handler handler;
	void *opaque;
	struct client client[MAX_CLIENTS];
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->line);
	*c = (struct client){ .fd = -1 };
}

/* The answer to what may be a request; NULL when none is due (a notification). */
static json_t *server_answer(struct rpc_server *s, const json_t *msg)
{
	const json_t *id = json_object_get(msg, "id");
	const char *method = json_string_value(json_object_get(msg, "method"));
	json_t *answer;

	if (!json_is_object(msg))
		return rpc_error(0, msg ? RPC_INVALID_REQUEST : RPC_PARSE_ERROR,
				 "that was no JSON object on one line");
	if (!method)
		answer = rpc_error(0, RPC_INVALID_REQUEST, "the request has no method");
	else
		answer = s->handler(s->opaque, method, json_object_get(msg, "params"), 0);
	if (method && !id) {
		json_decref(answer);
		return NULL;
	}
	if (answer && id)
		json_object_set(answer, "id", (json_t *)id);
	return answer;
}

static void client_request(struct rpc_server *s, struct client *c, size_t len)
{
	json_t *msg = json_loadb(c->line, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *answer = server_answer(s, msg);

	json_decref(msg);
	c->since = rpc_now_ms();
	if (answer && rpc_send_line(c->fd, answer, SEND_MS) < 0)
		client_close(c);
}

static void client_read(struct client *c)
{
	ssize_t n;

	if (!c->line && !(c->line = malloc(RPC_MAX_BYTES))) {
		client_close(c);
		return;
	}
	if (c->len == RPC_MAX_BYTES)
		return; /* its lines are answered first */
	n = recv(c->fd, c->line + c->len, RPC_MAX_BYTES - c->len, MSG_DONTWAIT);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			client_close(c);
		return;
	}
	c->len += (size_t)n;
	if (c->len == RPC_MAX_BYTES && !memchr(c->line, '\n', c->len))
		client_close(c); /* a line without end */
}

/* Answers the first whole line that a client has sent, if there is one. True when another waits. */
static bool client_serve(struct rpc_server *s, struct client *c)
{
	char *nl = c->len ? memchr(c->line, '\n', c->len) : NULL;
	size_t len;

	if (!nl)
		return false;
	len = (size_t)(nl - c->line);
	client_request(s, c, len);
	if (c->fd < 0)
		return false;
	c->len -= len + 1;
	memmove(c->line, nl + 1, c->len);
	return c->len && memchr(c->line, '\n', c->len);
}

bool rpc_peer_allowed(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct group *gr;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	gr = getgrnam("fourlane");
	return cred.uid == 0 || cred.uid == geteuid() || (gr && cred.gid == gr->gr_gid);
}

static void server_accept(struct rpc_server *s)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = accept4(s->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *oldest = &s->client[0];

	if (fd < 0)
		return;
	for (unsigned int i = 0; i < MAX_CLIENTS && oldest->fd >= 0; i++)
		if (s->client[i].fd < 0 || s->client[i].since < oldest->since)
			oldest = &s->client[i];
	ev.data.ptr = oldest;
	if (!rpc_peer_allowed(fd) || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		close(fd);
		return;
	}
	client_close(oldest); /* all places are taken: whoever is silent longest makes room */
	oldest->fd = fd;
	oldest->since = rpc_now_ms();
}

void rpc_server_step(struct rpc_server *s)
{
	struct epoll_event ev[MAX_CLIENTS + 2];
	int n = epoll_wait(s->epoll, ev, MAX_CLIENTS + 2, 0);
	const uint64_t one = 1;
	uint64_t was;
	bool more = false;

	for (int i = 0; i < n; i++) {
		struct client *c = ev[i].data.ptr;

		if (c && c->fd >= 0)
			client_read(c);
	}
	for (unsigned int i = 0; i < MAX_CLIENTS; i++)
		if (s->client[i].fd >= 0)
			more |= client_serve(s, &s->client[i]);
	/* new ones last: they may take the place of a client that an event above was for */
	server_accept(s);
	if (more)
		(void)!write(s->again, &one, sizeof(one));
	else
		(void)!read(s->again, &was, sizeof(was));
}

int rpc_server_fd(const struct rpc_server *s)
{
	return s->epoll;
}

static int server_listen(struct rpc_server *s, const char *path)
{
	struct group *gr = geteuid() == 0 ? getgrnam("fourlane") : NULL;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if ((size_t)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= sizeof(sa.sun_path))
		return err_ret(-ENAMETOOLONG,
			       "listening on %s: the path is too long; set XDG_RUNTIME_DIR to a "
			       "shorter one",
			       path);
	unlink(path);
	s->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listen < 0 || bind(s->listen, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_ret(-errno, "making %s: %s; check the folder", path, strerror(errno));
	memcpy(s->path, sa.sun_path, sizeof(s->path));
	if (chmod(path, 0660) < 0 || (gr && chown(path, (uid_t)-1, gr->gr_gid) < 0) ||
	    listen(s->listen, 8) < 0)
		return err_ret(-errno, "listening on %s: %s; check the folder", path,
			       strerror(errno));
	return 0;
}

static int server_watch(struct rpc_server *s)
{
	struct epoll_event ev = { .events = EPOLLIN };

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->again = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->epoll < 0 || s->again < 0 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listen, &ev) < 0 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->again, &ev) < 0)
		return err_ret(-errno, "watching %s: %s; raise 'ulimit -n'", s->path,
			       strerror(errno));
	return 0;
}

int rpc_server_open(const char *path, rpc_handler handler, void *opaque, struct rpc_server **out)
{
	struct rpc_server *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->handler = handler;
	s->opaque = opaque;
	s->epoll = s->listen = s->again = -1;
	for (unsigned int i = 0; i < MAX_CLIENTS; i++)
		s->client[i].fd = -1;
	ret = server_listen(s, path);
	if (ret == 0)
		ret = server_watch(s);
	if (ret < 0)
		rpc_server_close(s);
	else
		*out = s;
	return ret;
}

void rpc_server_close(struct rpc_server *s)
{
	if (!s)
		return;
	for (unsigned int i = 0; i < MAX_CLIENTS; i++)
		client_close(&s->client[i]);
	if (s->path[0])
		unlink(s->path);
	for (int *fd = (int[]){ s->epoll, s->listen, s->again, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	free(s);
}
