/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON-RPC 2.0 messages, packets and lines (see rpc.h). jansson does the parsing. */
#include "core/rpc.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"

json_t *rpc_request(json_int_t id, const char *method, json_t *params)
{
	json_t *m = json_pack("{s:s, s:s}", "jsonrpc", "2.0", "method", method);

	if (m && id >= 0)
		json_object_set_new(m, "id", json_integer(id));
	if (m && params)
		json_object_set(m, "params", params);
	json_decref(params);
	return m;
}

json_t *rpc_result(json_int_t id, json_t *result)
{
	return json_pack("{s:s, s:I, s:o}", "jsonrpc", "2.0", "id", id, "result",
			 result ? result : json_object());
}

json_t *rpc_error(json_int_t id, int code, const char *message)
{
	json_t *text = json_stringn_nocheck(message, strlen(message));

	if (text && !json_string_value(text))
		json_string_set(text, "?");
	return json_pack("{s:s, s:I, s:{s:i, s:o}}", "jsonrpc", "2.0", "id", id, "error", "code",
			 code, "message", text);
}

int rpc_send(int sock, json_t *msg, const int *fds, unsigned int n_fds)
{
	union {
		char buf[CMSG_SPACE(RPC_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} c;
	char *text = msg ? json_dumps(msg, JSON_COMPACT) : NULL;
	struct iovec iov = { .iov_base = text };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	int ret = 0;

	json_decref(msg);
	if (!text)
		return -ENOMEM;
	iov.iov_len = strlen(text);
	if (iov.iov_len > RPC_MAX_BYTES || n_fds > RPC_MAX_FDS) {
		free(text);
		return -EMSGSIZE;
	}
	if (n_fds) {
		struct cmsghdr *cm;

		memset(&c, 0, sizeof(c));
		h.msg_control = c.buf;
		h.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cm = CMSG_FIRSTHDR(&h);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, n_fds * sizeof(int));
	}
	while (sendmsg(sock, &h, MSG_NOSIGNAL) < 0)
		if (errno != EINTR) {
			ret = -errno;
			break;
		}
	free(text);
	return ret;
}

static unsigned int take_fds(struct msghdr *h, int *fds, unsigned int max)
{
	unsigned int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < max)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

static int wait_readable(int sock, int timeout_ms)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int n;

	do {
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n == 0 ? -ETIMEDOUT : 0;
}

int rpc_recv(int sock, int timeout_ms, json_t **msg, int *fds, unsigned int max_fds,
	     unsigned int *n_fds)
{
	union {
		char buf[CMSG_SPACE(RPC_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} c;
	char *text = malloc(RPC_MAX_BYTES);
	struct iovec iov = { .iov_base = text, .iov_len = RPC_MAX_BYTES };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = c.buf,
			    .msg_controllen = sizeof(c.buf) };
	unsigned int taken = 0;
	ssize_t n = 0;
	int ret;

	if (!text)
		return -ENOMEM;
	ret = wait_readable(sock, timeout_ms);
	if (ret == 0) {
		n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
		ret = n < 0 ? -errno : n == 0 ? -EPIPE : 0;
	}
	if (ret == 0) {
		taken = take_fds(&h, fds, max_fds);
		*msg = h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)
			       ? NULL
			       : json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(*msg)) {
			json_decref(*msg);
			*msg = NULL;
			for (unsigned int i = 0; i < taken; i++)
				close(fds[i]);
			taken = 0;
			ret = -EPROTO;
		}
	}
	if (n_fds)
		*n_fds = taken;
	free(text);
	return ret;
}

long long rpc_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

int rpc_send_line(int sock, json_t *msg, int timeout_ms)
{
	char *text = msg ? json_dumps(msg, JSON_COMPACT) : NULL;
	long long end = rpc_now_ms() + timeout_ms;
	size_t done = 0, len;
	int ret = 0;

	json_decref(msg);
	if (!text)
		return -ENOMEM;
	len = strlen(text);
	text[len++] = '\n'; /* in place of the terminator */
	while (done < len && ret == 0) {
		ssize_t n = send(sock, text + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		struct pollfd p = { .fd = sock, .events = POLLOUT };
		long long left = end - rpc_now_ms();

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			ret = -errno;
		else if (left <= 0)
			ret = -ETIMEDOUT;
		else
			poll(&p, 1, (int)left);
	}
	free(text);
	return ret;
}

int rpc_name_ok(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > 32 || *name == '-' || *name == '.')
		return 0;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_-.", *p))
			return 0;
	return 1;
}

int rpc_socket_path(const char *name, char *buf, size_t size)
{
	char dir[PATH_MAX];
	int ret = paths_run_dir(dir, sizeof(dir));

	if (ret < 0)
		return ret;
	if (!rpc_name_ok(name))
		return err_ret(-EINVAL,
			       "guest '%s': no name for a guest; use 1 to 32 letters, digits, '_', "
			       "'-' or '.'",
			       name);
	if ((size_t)snprintf(buf, size, "%s/%s.sock", dir, name) >= size)
		return err_ret(-ENAMETOOLONG,
			       "guest '%s': a socket in %s has too long a path; set "
			       "XDG_RUNTIME_DIR to a shorter one",
			       name, dir);
	return 0;
}

static int rpc_connect(const char *path, const char *what, const char *mend)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 3 };
	int sock, ret;

	if ((size_t)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= sizeof(sa.sun_path))
		return err_ret(-ENAMETOOLONG,
			       "%s: %s is too long a path; set XDG_RUNTIME_DIR to a shorter one",
			       what, path);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return err_ret(-errno, "making a socket: %s; raise 'ulimit -n'", strerror(errno));
	/* connect() waits where others wait already */
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = -errno;
		close(sock);
		if (ret == -ENOENT || ret == -ECONNREFUSED)
			return err_ret(-ENOENT, "%s: it is not running; %s", what, mend);
		return err_ret(ret, "connecting to %s (%s): %s; call as the user who runs it", what,
			       path, strerror(-ret));
	}
	return sock;
}

/* Reads one line within the time, into a buffer that grows with it. The text is the caller's. */
static int recv_line(int sock, int timeout_ms, char **out)
{
	long long end = rpc_now_ms() + timeout_ms, left;
	size_t len = 0, size = 0;
	char *text = NULL;
	int ret = 0;

	while (ret == 0) {
		ssize_t n = 0;

		if (size - len < 2) {
			char *more = realloc(text, size += RPC_MAX_BYTES + size);

			if (!more) {
				ret = -ENOMEM;
				break;
			}
			text = more;
		}
		left = end - rpc_now_ms();
		ret = wait_readable(sock, left > 0 ? (int)left : 0);
		if (ret == 0) {
			n = recv(sock, text + len, size - len - 1, 0);
			ret = n < 0 ? -errno : n == 0 ? -EPIPE : 0;
		}
		if (ret == 0 && memchr(text + len, '\n', (size_t)n)) {
			text[len + (size_t)n] = '\0';
			*out = text;
			return 0;
		}
		len += (size_t)n;
		if (ret == 0 && len > RPC_MAX_ANSWER)
			ret = -EMSGSIZE;
	}
	free(text);
	return ret;
}

int rpc_call_path(const char *path, const char *what, const char *mend, const char *method,
		  json_t *params, int timeout_ms, json_t **result)
{
	int sock = rpc_connect(path, what, mend), ret;
	json_t *answer, *r;
	char *text = NULL;

	if (sock < 0) {
		json_decref(params);
		return sock;
	}
	ret = rpc_send_line(sock, rpc_request(1, method, params), timeout_ms);
	if (ret == 0)
		ret = recv_line(sock, timeout_ms, &text);
	close(sock);
	if (ret < 0)
		return err_ret(ret, "asking %s for '%s': %s; look at its log, or stop it", what,
			       method, strerror(-ret));
	answer = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, NULL);
	free(text);
	r = json_object_get(answer, "result");
	if (r) {
		*result = json_incref(r);
	} else {
		const json_t *error = json_object_get(answer, "error");
		const char *why = json_string_value(json_object_get(error, "message"));
		json_int_t code = json_integer_value(json_object_get(error, "code"));

		ret = err_ret(code == RPC_INVALID_PARAMS ? -EINVAL
			      : code == RPC_UNSUPPORTED  ? -EOPNOTSUPP
							 : -EREMOTEIO,
			      "%s, %s: %s", what, method,
			      why ? why : "its answer is no JSON-RPC; is it the same version?");
	}
	json_decref(answer);
	return ret;
}

int rpc_call(const char *name, const char *method, json_t *params, int timeout_ms, json_t **result)
{
	char path[PATH_MAX], what[64];
	int ret = rpc_socket_path(name, path, sizeof(path));

	if (ret < 0) {
		json_decref(params);
		return ret;
	}
	snprintf(what, sizeof(what), "guest '%s'", name);
	return rpc_call_path(path, what, "'fourlane ps' lists those that are", method, params,
			     timeout_ms, result);
}
