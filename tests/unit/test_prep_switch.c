/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backend=switch` on the host's side: words, sockets of both roles, and the way back after the
 * switch was away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/err.h"
#include "core/prep_priv.h"

struct fixture {
	struct prep_guest g;
	char dir[64], path[96];
	char said[512];
	int listen;
};

static void hear(void *opaque, const char *line)
{
	struct fixture *f = opaque;

	snprintf(f->said, sizeof(f->said), "%s", line);
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.g.name = "vm1";
	f.listen = -1;
	strcpy(f.dir, "/tmp/fl-prep-switch-XXXXXX");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/s.sock", f.dir);
	err_set_sink(hear, &f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	prep_guest_release(&f->g);
	err_set_sink(NULL, NULL);
	if (f->listen >= 0)
		close(f->listen);
	unlink(f->path);
	return rmdir(f->dir);
}

static struct sockaddr_un address(const struct fixture *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", f->path);
	return sa;
}

/* A switch that listens, or has listened and died. */
static void switch_listens(struct fixture *f, bool alive)
{
	struct sockaddr_un sa = address(f);

	f->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(f->path);
	assert_int_equal(bind(f->listen, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(f->listen, 1), 0);
	if (!alive) {
		close(f->listen);
		f->listen = -1;
	}
}

static int switch_connects(struct fixture *f)
{
	struct sockaddr_un sa = address(f);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int add(struct fixture *f, const char *fmt)
{
	char spec[256];

	snprintf(spec, sizeof(spec), fmt, f->path);
	return prep_guest_nic(&f->g, spec);
}

static void wrong_words_are_wrong_words(void **state)
{
	struct fixture *f = *state;
	static const char *const words[] = {
		"e1000,backend=switch,role=master",
		"e1000,backend=switch,wait=soon",
		"e1000,backend=switch,wait=-1",
		"e1000,backend=switch,port=../etc",
		"e1000,backend=switch,switch=a/b",
		"e1000,backend=switch,port=a-name-of-32-letters-0123456789ab",
		"e1000,backend=switch,switch=a-name-of-32-letters-0123456789a",
		"e1000,backend=switch,socket=%s,port=p",
		"e1000,backend=switch,socket=%s,switch=default",
		"e1000,backend=switch,socket=/a-path-that-is-longer-than-the-108-bytes-of-an-"
		"address-of-a-unix-socket-can-ever-be-and-goes-on-and-on-and-on-and-on",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		f->said[0] = '\0';
		assert_int_equal(add(f, words[i]), -EINVAL);
		assert_non_null(strstr(f->said, "nic") ? f->said : strstr(f->said, "options"));
		prep_guest_release(&f->g);
	}
}

static void a_port_called_after_the_guest_may_be_too_long(void **state)
{
	struct fixture *f = *state;

	f->g.name = "a-guest-with-a-name-of-27-bytes"; /* and "-nic0" */
	assert_int_equal(add(f, "e1000,backend=switch"), -EINVAL);
	assert_non_null(strstr(f->said, "; give port=NAME"));
	prep_guest_release(&f->g);
	/* elsewhere nobody asks for its name */
	switch_listens(f, true);
	assert_int_equal(add(f, "e1000,backend=switch,socket=%s"), 0);
}

static void a_switch_that_is_not_there_is_named_with_what_to_do(void **state)
{
	struct fixture *f = *state;

	setenv("XDG_RUNTIME_DIR", f->dir, 1);
	assert_int_equal(add(f, "e1000,backend=switch,switch=no-such-switch"), -ENOENT);
	assert_non_null(strstr(f->said, "nic0: connecting to the switch at "));
	assert_non_null(strstr(f->said, "/switch/no-such-switch/vm1-nic0.sock: No such file"));
	assert_non_null(strstr(f->said, "fourlane switch port add vm1-nic0 --type vhost-user"));
	prep_guest_release(&f->g);
	assert_int_equal(add(f, "e1000,backend=switch,socket=%s"), -ENOENT);
	assert_non_null(strstr(f->said, f->path));
	prep_guest_release(&f->g);
	switch_listens(f, false);
	assert_int_equal(add(f, "e1000,backend=switch,socket=%s"), -ECONNREFUSED);
	if (geteuid() != 0) {
		char run[96];

		snprintf(run, sizeof(run), "%s/fourlane", f->dir);
		rmdir(run);
	}
}

static void client_connects_now_and_again(void **state)
{
	struct fixture *f = *state;
	int fd, peer;

	switch_listens(f, true);
	assert_int_equal(add(f, "e1000,backend=switch,socket=%s"), 0);
	assert_int_equal(f->g.n_fds, 1);
	assert_string_equal(f->g.fd[0].name, "nic0:socket");
	peer = accept(f->listen, NULL, NULL);
	assert_true(peer >= 0);
	close(peer);
	close(f->listen);
	assert_int_equal(prep_nic_reopen(&f->g, 0, "socket"), -EAGAIN);
	unlink(f->path);
	assert_int_equal(prep_nic_reopen(&f->g, 0, "socket"), -EAGAIN);
	assert_int_equal(prep_nic_reopen(&f->g, 0, "passwd"), -ENOENT);
	assert_int_equal(prep_nic_reopen(&f->g, 1, "socket"), -ENOENT);
	switch_listens(f, true);
	fd = prep_nic_reopen(&f->g, 0, "socket");
	assert_true(fd >= 0);
	close(fd);
}

static void server_gives_up_when_nobody_comes_and_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(add(f, "e1000,backend=switch,socket=%s,role=server,wait=0"), -ETIMEDOUT);
	assert_non_null(strstr(f->said, "no switch has connected"));
	assert_int_equal(access(f->path, F_OK), -1);
}

static void waiting_ends_by_a_signal_and_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	int sig = eventfd(1, EFD_CLOEXEC);

	f->g.sig_fd = sig;
	assert_int_equal(add(f, "e1000,backend=switch,socket=%s,role=server,wait=3600"), -EINTR);
	assert_int_equal(access(f->path, F_OK), -1);
	prep_guest_release(&f->g);
	assert_int_equal(add(f, "e1000,backend=switch,socket=%s,wait=3600"), -EINTR);
	assert_string_equal(f->said, "");
	f->g.sig_fd = 0;
	close(sig);
}

/* A switch that connects as soon as it can, in a thread. */
static void *connect_soon(void *arg)
{
	int fd = -1;

	for (int i = 0; i < 20000 && (fd = switch_connects(arg)) < 0; i++)
		usleep(1000);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void add_server(struct fixture *f)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, connect_soon, f), 0);
	assert_int_equal(add(f, "e1000,backend=switch,socket=%s,role=server"), 0);
	pthread_join(t, NULL);
}

static void server_takes_the_switch_now_and_again(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int peer, fd;

	switch_listens(f, false); /* a dead one's is replaced */
	add_server(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(prep_nic_reopen(&f->g, 0, "socket"), -EAGAIN);
	peer = switch_connects(f);
	assert_true(peer >= 0);
	fd = prep_nic_reopen(&f->g, 0, "socket");
	assert_true(fd >= 0);
	close(fd);
	close(peer);
	prep_guest_release(&f->g);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void server_disturbs_nobody_who_is_there(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	switch_listens(f, true);
	assert_int_equal(fcntl(f->listen, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(add(f, "e1000,backend=switch,socket=%s,role=server,wait=0"), -EADDRINUSE);
	assert_int_equal(access(f->path, F_OK), 0);
	/* one that waits for a single connection has it still before it */
	assert_int_equal(accept4(f->listen, NULL, NULL, SOCK_CLOEXEC), -1);
	assert_int_equal(errno, EAGAIN);
	prep_guest_release(&f->g);
	unlink(f->path);
	file = fopen(f->path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(add(f, "e1000,backend=switch,socket=%s,role=server,wait=0"), -EEXIST);
	assert_int_equal(access(f->path, F_OK), 0);
}

static void server_removes_only_its_own_socket(void **state)
{
	struct fixture *f = *state;

	add_server(f);
	switch_listens(f, true); /* somebody puts another in its place */
	prep_guest_release(&f->g);
	assert_int_equal(access(f->path, F_OK), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(wrong_words_are_wrong_words),
		T(a_port_called_after_the_guest_may_be_too_long),
		T(a_switch_that_is_not_there_is_named_with_what_to_do),
		T(client_connects_now_and_again),
		T(server_gives_up_when_nobody_comes_and_leaves_nothing),
		T(waiting_ends_by_a_signal_and_leaves_nothing),
		T(server_takes_the_switch_now_and_again),
		T(server_disturbs_nobody_who_is_there),
		T(server_removes_only_its_own_socket),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
