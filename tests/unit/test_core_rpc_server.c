/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server of the control protocol (core/rpc_server.h) against clients that lie, are silent, or
 * do not read; and the client side (rpc_call_path) against it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/err.h"
#include "core/rpc_server.h"

#define BIG (3 << 20)

struct fixture {
	char path[64];
	struct rpc_server *server;
	unsigned int n_asked;
	pthread_t thread;
	int stop[2];
	int n_fds;
};

static int open_fds(void)
{
	int n = 0;

	for (int i = 0; i < 256; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

static json_t *handler(void *opaque, const char *method, json_t *params, json_int_t id)
{
	struct fixture *f = opaque;
	char *text;
	json_t *v;

	f->n_asked++;
	if (!strcmp(method, "echo"))
		return rpc_result(id, json_incref(params));
	if (!strcmp(method, "nothing"))
		return NULL;
	if (!strcmp(method, "params"))
		return rpc_error(id, RPC_INVALID_PARAMS, "wrong");
	if (!strcmp(method, "host"))
		return rpc_error(id, RPC_UNSUPPORTED, "lacking");
	if (strcmp(method, "big"))
		return rpc_error(id, RPC_NO_METHOD, "no such method");
	text = malloc(BIG);
	memset(text, 'x', BIG);
	v = json_stringn(text, BIG);
	free(text);
	return rpc_result(id, json_pack("{s:o}", "text", v));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->n_fds = open_fds();
	snprintf(f->path, sizeof(f->path), "/tmp/test_rpc_server.%d.sock", (int)getpid());
	assert_int_equal(rpc_server_open(f->path, handler, f, &f->server), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rpc_server_close(f->server);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(open_fds(), f->n_fds);
	free(f);
	return 0;
}

static int client(const struct fixture *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(sa.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static bool ready(const struct fixture *f)
{
	struct pollfd p = { .fd = rpc_server_fd(f->server), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Lets the server work until it has nothing to do; it has to come to rest. */
static void run(struct fixture *f)
{
	unsigned int n = 0;

	while (ready(f)) {
		rpc_server_step(f->server);
		assert_true(++n < 1000);
	}
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The next answer: a new reference, NULL when there is none. */
static json_t *hear(int fd)
{
	char line[1024], c;
	size_t n = 0;

	while (n < sizeof(line) && recv(fd, &c, 1, 0) == 1 && c != '\n')
		line[n++] = c;
	return n ? json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static bool hung_up(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) == 0;
}

static json_int_t code_of(const json_t *answer)
{
	return json_integer_value(json_object_get(json_object_get(answer, "error"), "code"));
}

static void the_socket_is_for_owner_and_group(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
}

static void an_answer_has_the_clients_own_id(void **state)
{
	static const char *const ids[] = { "\"x\"", "7", "1.5", "null", "\"\"" };
	struct fixture *f = *state;
	int fd = client(f);
	char line[128];

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		json_t *want = json_loads(ids[i], JSON_DECODE_ANY, NULL), *answer;

		snprintf(line, sizeof(line),
			 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"echo\",\"params\":{\"a\":1}}"
			 "\n",
			 ids[i]);
		say(fd, line);
		run(f);
		answer = hear(fd);
		assert_true(json_equal(json_object_get(answer, "id"), want));
		assert_int_equal(
			json_integer_value(json_object_get(json_object_get(answer, "result"), "a")),
			1);
		json_decref(answer);
		json_decref(want);
	}
	close(fd);
	run(f);
}

static void what_is_no_request_is_answered_with_id_null(void **state)
{
	static const struct {
		const char *line;
		int code;
	} bad[] = {
		{ "nonsense\n", RPC_PARSE_ERROR },
		{ "\n", RPC_PARSE_ERROR },
		{ "{\"a\":1,\"a\":2}\n", RPC_PARSE_ERROR },
		{ "\xff\n", RPC_PARSE_ERROR },
		{ "7\n", RPC_INVALID_REQUEST },
		{ "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}]\n", RPC_INVALID_REQUEST },
		{ "{}\n", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1}\n", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}\n", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"echo\"}\n", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"echo\"}\n", RPC_INVALID_REQUEST },
	};
	struct fixture *f = *state;
	int fd = client(f);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *answer;

		say(fd, bad[i].line);
		run(f);
		answer = hear(fd);
		assert_int_equal(code_of(answer), bad[i].code);
		assert_true(json_is_null(json_object_get(answer, "id")));
		json_decref(answer);
	}
	assert_int_equal(f->n_asked, 0);
	close(fd);
	run(f);
}

static void a_notification_is_not_answered(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);

	say(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}\n");
	run(f);
	assert_int_equal(f->n_asked, 1);
	assert_null(hear(fd));
	close(fd);
	run(f);
}

static void a_handler_without_memory_is_said(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);
	json_t *answer;

	say(fd, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"nothing\"}\n");
	run(f);
	answer = hear(fd);
	assert_int_equal(code_of(answer), RPC_FAILED);
	json_decref(answer);
	close(fd);
	run(f);
}

/* Also those of a client that has nothing more to say. */
static void lines_sent_at_once_are_all_answered(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);
	char line[128];

	for (int i = 1; i <= 5; i++) {
		snprintf(line, sizeof(line),
			 "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"echo\"}\n", i);
		say(fd, line);
	}
	say(fd, "{\"half");
	shutdown(fd, SHUT_WR);
	run(f);
	for (int i = 1; i <= 5; i++) {
		json_t *answer = hear(fd);

		assert_int_equal(json_integer_value(json_object_get(answer, "id")), i);
		json_decref(answer);
	}
	assert_true(hung_up(fd));
	close(fd);
}

static void a_line_without_end_is_hung_up_on(void **state)
{
	struct fixture *f = *state;
	char part[4096];
	int fd = client(f);

	memset(part, 'a', sizeof(part));
	for (int i = 0; i < RPC_MAX_BYTES / (int)sizeof(part); i++) {
		assert_int_equal(send(fd, part, sizeof(part), MSG_NOSIGNAL), sizeof(part));
		run(f);
	}
	assert_true(hung_up(fd));
	assert_int_equal(f->n_asked, 0);
	close(fd);
}

static size_t read_all(struct fixture *f, int fd, size_t want)
{
	static char buf[65536];
	size_t got = 0;

	while (got < want) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n > 0)
			got += (size_t)n;
		else if (ready(f))
			rpc_server_step(f->server);
		else
			break;
	}
	return got;
}

static void who_does_not_read_keeps_nobody_waiting(void **state)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\"}\n";
	struct fixture *f = *state;
	int fd[4], other = client(f);
	json_t *answer;

	for (unsigned int i = 0; i < 4; i++) {
		fd[i] = client(f);
		say(fd[i], ask);
		say(fd[i], ask);
	}
	run(f);
	assert_int_equal(f->n_asked, 4); /* the second question waits until the answer is read */
	say(other, "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"echo\"}\n");
	run(f);
	answer = hear(other);
	assert_int_equal(json_integer_value(json_object_get(answer, "id")), 9);
	json_decref(answer);
	close(fd[0]); /* gone in the middle of its answer */
	assert_true(read_all(f, fd[1], 2 * (size_t)BIG) >= 2 * (size_t)BIG);
	assert_int_equal(f->n_asked, 6);
	for (unsigned int i = 1; i < 4; i++)
		close(fd[i]);
	close(other);
	run(f);
}

static void silent_clients_give_way(void **state)
{
	struct fixture *f = *state;
	int fd[40];
	json_t *answer;

	for (unsigned int i = 0; i < 40; i++) {
		fd[i] = client(f);
		run(f);
	}
	assert_true(hung_up(fd[0]));
	say(fd[39], "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\n");
	run(f);
	answer = hear(fd[39]);
	assert_non_null(answer);
	json_decref(answer);
	for (unsigned int i = 0; i < 40; i++)
		close(fd[i]);
	run(f);
}

static void out_of_descriptors_it_comes_to_rest(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, few;
	int fd = client(f);

	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = 0;
	while (fcntl((int)few.rlim_cur, F_GETFD) >= 0) /* the lowest free one is the limit */
		few.rlim_cur++;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	run(f);
	assert_true(hung_up(fd));
	setrlimit(RLIMIT_NOFILE, &old);
	close(fd);
	fd = client(f);
	say(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\n");
	run(f);
	assert_int_equal(f->n_asked, 1);
	close(fd);
	run(f);
}

static void *serve(void *opaque)
{
	struct fixture *f = opaque;
	struct pollfd p[] = { { .fd = rpc_server_fd(f->server), .events = POLLIN },
			      { .fd = f->stop[0], .events = POLLIN } };

	while (poll(p, 2, -1) > 0 && !p[1].revents)
		rpc_server_step(f->server);
	return NULL;
}

static int call(const struct fixture *f, const char *method, json_t *params, json_t **result)
{
	return rpc_call_path(f->path, "the test", "start it", method, params, 10000, result);
}

static void mute(void *opaque, const char *line)
{
}

static void a_call_gets_its_answer_or_the_reason(void **state)
{
	struct fixture *f = *state;
	json_t *result = NULL;

	assert_int_equal(pipe(f->stop), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
	err_set_sink(mute, NULL);
	assert_int_equal(call(f, "echo", json_pack("{s:i}", "a", 5), &result), 0);
	assert_int_equal(json_integer_value(json_object_get(result, "a")), 5);
	json_decref(result);
	/* far longer than a request may be: a table, the counters of many ports */
	assert_int_equal(call(f, "big", NULL, &result), 0);
	assert_int_equal(json_string_length(json_object_get(result, "text")), BIG);
	json_decref(result);
	assert_int_equal(call(f, "params", NULL, &result), -EINVAL);
	assert_int_equal(call(f, "host", NULL, &result), -EOPNOTSUPP);
	assert_int_equal(call(f, "fly", NULL, &result), -EREMOTEIO);
	assert_int_equal(
		rpc_call_path("/nonexistent/x.sock", "it", "start it", "echo", NULL, 1000, &result),
		-ENOENT);
	err_set_sink(NULL, NULL);
	close(f->stop[1]);
	pthread_join(f->thread, NULL);
	close(f->stop[0]);
	run(f);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(the_socket_is_for_owner_and_group),
		ROW(an_answer_has_the_clients_own_id),
		ROW(what_is_no_request_is_answered_with_id_null),
		ROW(a_notification_is_not_answered),
		ROW(a_handler_without_memory_is_said),
		ROW(lines_sent_at_once_are_all_answered),
		ROW(a_line_without_end_is_hung_up_on),
		ROW(who_does_not_read_keeps_nobody_waiting),
		ROW(silent_clients_give_way),
		ROW(out_of_descriptors_it_comes_to_rest),
		ROW(a_call_gets_its_answer_or_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
