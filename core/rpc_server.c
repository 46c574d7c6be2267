/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rpc_server.h. One epoll of the listening socket, its clients, and an eventfd that stays
 * readable while a client has sent more lines than were answered. */
#include "core/rpc_server.h"

#include <errno.h>
#include <fcntl.h>
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

struct client {
	int fd; /* -1: free */
	enum rpc_peer peer;
	char *line;
	size_t len;
	bool ended; /* it will not ask again */
	char *out;  /* the answer that it has not read wholly; until then nothing else */
	size_t out_len, out_done;
	uint32_t events; /* that its descriptor is watched for */
	long long since; /* ms: when it came, or was last answered */
};

struct rpc_server {
	int epoll, listen, again;
	int spare; /* given up for a moment when descriptors run out */
	rpc_handler handler;
	void *opaque;
	enum rpc_peer asking; /* whose request the handler serves */
	struct client client[MAX_CLIENTS];
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->line);
	free(c->out);
	*c = (struct client){ .fd = -1 };
}

/* Sends what the socket takes now. */
static void client_send(struct client *c)
{
	while (c->out_done < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			client_close(c);
		if (n < 0)
			return;
		c->out_done += (size_t)n;
	}
	free(c->out);
	c->out = NULL;
	c->since = rpc_now_ms();
}

/* JSON-RPC 2.0 section 5: what is no request is answered with the id null. */
static json_t *server_refuse(int code, const char *why)
{
	json_t *answer = rpc_error(0, code, why);

	if (answer)
		json_object_set_new(answer, "id", json_null());
	return answer;
}

/* The answer to what may be a request; NULL when none is due (a notification). */
static json_t *server_answer(struct rpc_server *s, const json_t *msg)
{
	const json_t *id = json_object_get(msg, "id");
	const char *method = json_string_value(json_object_get(msg, "method")),
		   *version = json_string_value(json_object_get(msg, "jsonrpc"));
	json_t *answer;

	if (!msg)
		return server_refuse(RPC_PARSE_ERROR, "that was no JSON on one line");
	if (!json_is_object(msg))
		return server_refuse(RPC_INVALID_REQUEST, "that was no JSON object");
	if (!version || strcmp(version, "2.0"))
		return server_refuse(RPC_INVALID_REQUEST, "the request is not of jsonrpc 2.0");
	if (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id))
		return server_refuse(RPC_INVALID_REQUEST, "the id is no string and no number");
	if (!method)
		return server_refuse(RPC_INVALID_REQUEST, "the request has no method");
	answer = s->handler(s->opaque, method, json_object_get(msg, "params"), 0);
	if (!answer)
		answer = rpc_error(0, RPC_FAILED, "no memory for an answer; free some");
	if (!id) {
		json_decref(answer);
		return NULL;
	}
	json_object_set(answer, "id", (json_t *)id);
	return answer;
}

static void client_request(struct rpc_server *s, struct client *c, size_t len)
{
	json_t *msg = json_loadb(c->line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	json_t *answer;

	s->asking = c->peer;
	answer = server_answer(s, msg);
	json_decref(msg);
	c->since = rpc_now_ms();
	if (!answer)
		return;
	c->out = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (!c->out) {
		client_close(c);
		return;
	}
	c->out_len = strlen(c->out);
	c->out[c->out_len++] = '\n'; /* in place of the terminator */
	c->out_done = 0;
	client_send(c);
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
	if (n == 0)
		c->ended = true; /* what it asked before is answered */
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		client_close(c);
	if (n <= 0)
		return;
	c->len += (size_t)n;
	if (c->len == RPC_MAX_BYTES && !memchr(c->line, '\n', c->len))
		client_close(c); /* a line without end */
}

static bool client_has_line(const struct client *c)
{
	return c->len && memchr(c->line, '\n', c->len);
}

/* What its descriptor is to be watched for from now on. */
static void client_watch(struct rpc_server *s, struct client *c)
{
	uint32_t events = c->out ? EPOLLOUT : c->ended || c->len == RPC_MAX_BYTES ? 0 : EPOLLIN;
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (events != c->events && epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev) < 0)
		client_close(c);
	else
		c->events = events;
}

/* Answers the first whole line that a client has sent, if there is one. True when another waits. */
static bool client_serve(struct rpc_server *s, struct client *c)
{
	char *nl = !c->out && c->len ? memchr(c->line, '\n', c->len) : NULL;

	if (nl) {
		client_request(s, c, (size_t)(nl - c->line));
		if (c->fd < 0)
			return false;
		c->len -= (size_t)(nl + 1 - c->line);
		memmove(c->line, nl + 1, c->len);
	}
	if (c->ended && !c->out && !client_has_line(c)) {
		client_close(c);
		return false;
	}
	client_watch(s, c);
	return c->fd >= 0 && !c->out && client_has_line(c);
}

/* unix(7): SO_PEERCRED has the primary group only, SO_PEERGROUPS has all the others. */
static bool peer_has_group(int sock, gid_t group)
{
	socklen_t len = 0;
	bool found = false;
	gid_t *gid;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
		return false; /* it has none */
	gid = malloc(len);
	if (gid && getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, gid, &len) == 0)
		for (size_t i = 0; i < len / sizeof(*gid); i++)
			found |= gid[i] == group;
	free(gid);
	return found;
}

enum rpc_peer rpc_peer_of(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	const struct group *gr;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return RPC_STRANGER;
	if (cred.uid == 0 || cred.uid == geteuid())
		return RPC_OWNER;
	gr = getgrnam("fourlane");
	return gr && (cred.gid == gr->gr_gid || peer_has_group(sock, gr->gr_gid)) ? RPC_MEMBER
										  : RPC_STRANGER;
}

enum rpc_peer rpc_server_peer(const struct rpc_server *s)
{
	return s->asking;
}

/* Without a descriptor for it a client is sent away: else we would be woken for it for ever. */
static int server_accept_fd(struct rpc_server *s)
{
	int fd = accept4(s->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
		return fd;
	close(s->spare);
	fd = accept4(s->listen, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return -1;
}

static void server_accept(struct rpc_server *s)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = server_accept_fd(s);
	struct client *oldest = &s->client[0];
	enum rpc_peer peer;

	if (fd < 0)
		return;
	peer = rpc_peer_of(fd);
	for (unsigned int i = 0; i < MAX_CLIENTS && oldest->fd >= 0; i++)
		if (s->client[i].fd < 0 || s->client[i].since < oldest->since)
			oldest = &s->client[i];
	ev.data.ptr = oldest;
	if (peer == RPC_STRANGER || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		close(fd);
		return;
	}
	client_close(oldest); /* all places are taken: whoever is silent longest makes room */
	oldest->fd = fd;
	oldest->peer = peer;
	oldest->events = EPOLLIN;
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

		if (c && c->fd >= 0 && c->out)
			client_send(c);
		else if (c && c->fd >= 0 && !c->ended)
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

int rpc_listen(const char *path)
{
	struct group *gr = geteuid() == 0 ? getgrnam("fourlane") : NULL;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, ret;

	if ((size_t)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= sizeof(sa.sun_path))
		return err_ret(-ENAMETOOLONG,
			       "listening on %s: the path is too long; set XDG_RUNTIME_DIR to a "
			       "shorter one",
			       path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_ret(-errno, "making %s: %s; raise 'ulimit -n'", path, strerror(errno));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && chmod(path, 0660) == 0 &&
	    (!gr || chown(path, (uid_t)-1, gr->gr_gid) == 0) && listen(fd, 8) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return err_ret(ret, "listening on %s: %s; check the folder", path, strerror(-ret));
}

static int server_listen(struct rpc_server *s, const char *path)
{
	s->listen = rpc_listen(path);
	if (s->listen < 0)
		return s->listen;
	snprintf(s->path, sizeof(s->path), "%s", path);
	return 0;
}

static int server_watch(struct rpc_server *s)
{
	struct epoll_event ev = { .events = EPOLLIN };

	s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
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
	s->epoll = s->listen = s->again = s->spare = -1;
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
	for (int *fd = (int[]){ s->epoll, s->listen, s->again, s->spare, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	free(s);
}
