/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guardian of a software host: one process between the commands and QEMU. It starts QEMU, hands
 * frames on between its clients and the agent, keeps the tail of the serial console in memory, and
 * ends QEMU when the command that it was started for is gone (a lab for one command) or when told
 * to (`lab up`). Started by lab.c. It says nothing itself: clients get a LAB_FAIL with the reason.
 * QEMU dies with the guardian (PR_SET_PDEATHSIG), so there is no order of kills that leaves it
 * running.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/lab/lab_priv.h"

#define BOOT_LIMIT_MS 180000
#define CONSOLE_BYTES (32 * 1024)
#define QEMU_QUEUE    (1024 * 1024) /* clients are not read while this much waits for the agent */
#define CLIENT_QUEUE  (8 * LAB_WINDOW) /* a client that leaves more unread is dropped */

struct client {
	bool used, console;
	int fd;
	uint16_t session; /* the agent's number of its command; 0: none runs */
	uint16_t theirs;  /* the client's own number of it */
	struct lab_reader in;
	struct lab_queue out;
};

struct guard {
	const struct lab_guard_start *start;
	pid_t qemu;
	int agent, console, signals, listen;
	bool ready, stop;
	int64_t started_ms, ready_ms;
	uint16_t last_session;
	struct lab_reader from_agent;
	struct lab_queue to_agent;
	char info[LAB_INFO_BYTES];
	char tail[CONSOLE_BYTES];
	size_t n_tail;
	struct client clients[LAB_SESSIONS]; /* 0: the command that started us */
};

static bool guard_is_up(const struct guard *g)
{
	return g->start->place.socket[0];
}

static void client_drop(struct guard *g, struct client *c)
{
	if (!c->used)
		return;
	if (c->session)
		lab_queue_frame(&g->to_agent, c->session, LAB_CLOSE, 0, NULL, 0);
	close(c->fd);
	lab_queue_free(&c->out);
	c->used = false;
	if (c == &g->clients[0] && (!guard_is_up(g) || !g->ready))
		g->stop = true;
}

static void client_send(struct guard *g, struct client *c, uint8_t type, uint8_t stream,
			const void *data, size_t size)
{
	if (!c->used)
		return;
	if (lab_queue_frame(&c->out, c->theirs, type, stream, data, size) < 0 ||
	    lab_queue_bytes(&c->out) > CLIENT_QUEUE)
		client_drop(g, c);
}

/* The last words to every client: the console's tail, then why. */
static void guard_fail(struct guard *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void guard_fail(struct guard *g, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	for (int i = 0; i < LAB_SESSIONS; i++) {
		struct client *c = &g->clients[i];

		if (!c->used)
			continue;
		if (!c->console)
			client_send(g, c, LAB_CONSOLE, 0, g->tail, g->n_tail);
		client_send(g, c, LAB_FAIL, 0, why, strlen(why));
		lab_queue_write(&c->out, c->fd);
	}
	g->stop = true;
}

static void guard_listen(struct guard *g)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t old = umask(0177);

	memcpy(a.sun_path, g->start->place.socket, sizeof(a.sun_path));
	unlink(a.sun_path);
	g->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g->listen < 0 || bind(g->listen, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(g->listen, LAB_SESSIONS) < 0)
		guard_fail(g, "listening on %s: %s; is the folder yours?", a.sun_path,
			   strerror(errno));
	umask(old);
}

static struct client *client_add(struct guard *g, int fd)
{
	for (int i = 0; i < LAB_SESSIONS; i++) {
		struct client *c = &g->clients[i];

		if (c->used)
			continue;
		*c = (struct client){ .used = true, .fd = fd };
		return c;
	}
	return NULL;
}

static void guard_accept(struct guard *g)
{
	int fd = accept4(g->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who;
	socklen_t len = sizeof(who);
	struct client *c;

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
	    (who.uid != 0 && who.uid != geteuid())) {
		close(fd);
		return;
	}
	c = client_add(g, fd);
	if (!c) {
		close(fd);
		return;
	}
	client_send(g, c, LAB_READY, 0, g->info, strlen(g->info));
}

static bool session_is_free(const struct guard *g, uint16_t id)
{
	for (int i = 0; i < LAB_SESSIONS; i++)
		if (g->clients[i].used && g->clients[i].session == id)
			return false;
	return id;
}

static void guard_status(struct guard *g, struct client *c)
{
	char text[256];
	int sessions = 0;

	for (int i = 0; i < LAB_SESSIONS; i++)
		sessions += g->clients[i].used && g->clients[i].session;
	snprintf(text, sizeof(text), "pid=%d\nqemu_pid=%d\nup_s=%lld\nsessions=%d\n", getpid(),
		 g->qemu, (long long)(lab_now_ms() - g->ready_ms) / 1000, sessions);
	client_send(g, c, LAB_STATUS, 0, text, strlen(text));
}

static void client_frame(struct guard *g, struct client *c, const struct lab_frame *f,
			 const uint8_t *data)
{
	switch (f->type) {
	case LAB_OPEN:
		if (c->session || !g->ready)
			return;
		do
			g->last_session++;
		while (!session_is_free(g, g->last_session));
		c->session = g->last_session;
		c->theirs = f->session;
		break;
	case LAB_DATA:
	case LAB_CREDIT:
	case LAB_WINSIZE:
	case LAB_CLOSE:
		if (!c->session)
			return;
		break;
	case LAB_STATUS: guard_status(g, c); return;
	case LAB_DOWN: g->stop = true; return;
	default: return;
	}
	if (lab_queue_frame(&g->to_agent, c->session, f->type, f->stream, data, f->length) < 0)
		guard_fail(g, "no memory left for what goes into the lab; free some");
	if (f->type == LAB_CLOSE)
		c->session = 0;
}

static void client_read(struct guard *g, struct client *c)
{
	const uint8_t *data;
	struct lab_frame f;
	ssize_t n = lab_reader_fill(&c->in, c->fd);
	int ret;

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		client_drop(g, c);
		return;
	}
	while (c->used && (ret = lab_reader_next(&c->in, &f, &data)) != 0) {
		if (ret < 0)
			client_drop(g, c);
		else
			client_frame(g, c, &f, data);
	}
}

static void agent_is_ready(struct guard *g, const uint8_t *text, size_t size)
{
	struct client *c = &g->clients[0];
	int n;

	if (g->ready)
		return;
	g->ready = true;
	g->ready_ms = lab_now_ms();
	n = snprintf(g->info, sizeof(g->info), "boot_ms=%lld\n",
		     (long long)(g->ready_ms - g->started_ms));
	if (g->start->tap_name)
		n += snprintf(g->info + n, sizeof(g->info) - (size_t)n, "tap=%s\n",
			      g->start->tap_name);
	if (size > sizeof(g->info) - (size_t)n - 1)
		size = sizeof(g->info) - (size_t)n - 1;
	memcpy(g->info + n, text, size);
	g->info[(size_t)n + size] = '\0';
	if (guard_is_up(g))
		guard_listen(g);
	client_send(g, c, LAB_READY, 0, g->info, strlen(g->info));
}

static void agent_frame(struct guard *g, const struct lab_frame *f, const uint8_t *data)
{
	if (f->type == LAB_READY) {
		agent_is_ready(g, data, f->length);
		return;
	}
	if (!f->session || (f->type != LAB_DATA && f->type != LAB_CREDIT && f->type != LAB_EXIT))
		return;
	for (int i = 0; i < LAB_SESSIONS; i++) {
		struct client *c = &g->clients[i];

		if (!c->used || c->session != f->session)
			continue;
		if (f->type == LAB_EXIT)
			c->session = 0;
		client_send(g, c, f->type, f->stream, data, f->length);
		return;
	}
}

static void agent_read(struct guard *g)
{
	const uint8_t *data;
	struct lab_frame f;
	ssize_t n = lab_reader_fill(&g->from_agent, g->agent);
	int ret;

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		/* QEMU is ending: its status is about to come by SIGCHLD */
		close(g->agent);
		g->agent = -1;
		return;
	}
	while ((ret = lab_reader_next(&g->from_agent, &f, &data)) > 0)
		agent_frame(g, &f, data);
	if (ret < 0)
		guard_fail(g, "the agent inside sends nonsense; is the image damaged?");
}

static void console_read(struct guard *g)
{
	char buf[4096];
	ssize_t n = read(g->console, buf, sizeof(buf));
	size_t keep;

	if (n <= 0) {
		if (n == 0) {
			close(g->console);
			g->console = -1;
		}
		return;
	}
	keep = g->n_tail > sizeof(g->tail) - (size_t)n ? sizeof(g->tail) - (size_t)n : g->n_tail;
	memmove(g->tail, g->tail + g->n_tail - keep, keep);
	memcpy(g->tail + keep, buf, (size_t)n);
	g->n_tail = keep + (size_t)n;
	for (int i = 0; i < LAB_SESSIONS; i++)
		if (g->clients[i].used && g->clients[i].console)
			client_send(g, &g->clients[i], LAB_CONSOLE, 0, buf, (size_t)n);
}

static void guard_signal(struct guard *g)
{
	struct signalfd_siginfo si;
	int status = 0;

	if (read(g->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo != SIGCHLD) {
		g->stop = true;
		return;
	}
	if (waitpid(g->qemu, &status, WNOHANG) != g->qemu)
		return;
	g->qemu = -1;
	while (g->console >= 0 &&
	       poll(&(struct pollfd){ .fd = g->console, .events = POLLIN }, 1, 0) > 0)
		console_read(g);
	if (WIFSIGNALED(status))
		guard_fail(g, "signal %d ended QEMU; is there memory left?", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		guard_fail(g, "QEMU ended with status %d; its words are above",
			   WEXITSTATUS(status));
	else
		guard_fail(g, "the host inside ended; its console is above");
}

static void guard_wait(struct guard *g)
{
	struct pollfd p[4 + LAB_SESSIONS];
	int64_t left = BOOT_LIMIT_MS - (lab_now_ms() - g->started_ms);
	bool crowded = lab_queue_bytes(&g->to_agent) > QEMU_QUEUE;

	p[0] = (struct pollfd){ .fd = g->agent,
				.events =
					lab_queue_bytes(&g->to_agent) ? POLLIN | POLLOUT : POLLIN };
	p[1] = (struct pollfd){ .fd = g->console, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = g->signals, .events = POLLIN };
	p[3] = (struct pollfd){ .fd = g->listen, .events = POLLIN };
	for (int i = 0; i < LAB_SESSIONS; i++) {
		struct client *c = &g->clients[i];

		p[4 + i] = (struct pollfd){ .fd = c->used ? c->fd : -1,
					    .events = (short)((crowded ? 0 : POLLIN) |
							      (lab_queue_bytes(&c->out) ? POLLOUT
											: 0)) };
	}
	if (!g->ready && left <= 0) {
		guard_fail(g, "it did not come up within %d s; is this machine very busy?",
			   BOOT_LIMIT_MS / 1000);
		return;
	}
	if (poll(p, 4 + LAB_SESSIONS, g->ready ? -1 : (int)left) < 0)
		return;
	if (p[1].revents)
		console_read(g);
	if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
		agent_read(g);
	if (p[3].revents)
		guard_accept(g);
	for (int i = 0; i < LAB_SESSIONS; i++)
		if (p[4 + i].revents & (POLLIN | POLLHUP | POLLERR) && g->clients[i].used &&
		    g->clients[i].fd == p[4 + i].fd)
			client_read(g, &g->clients[i]);
	if (p[2].revents)
		guard_signal(g);
}

static void guard_flush(struct guard *g)
{
	if (g->agent >= 0 && lab_queue_write(&g->to_agent, g->agent) < 0)
		g->to_agent.from = g->to_agent.to;
	for (int i = 0; i < LAB_SESSIONS; i++)
		if (g->clients[i].used && lab_queue_write(&g->clients[i].out, g->clients[i].fd) < 0)
			client_drop(g, &g->clients[i]);
}

static int guard_start_qemu(struct guard *g)
{
	pid_t parent = getpid();
	int s[2], p[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s) < 0 ||
	    pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	g->qemu = fork();
	if (g->qemu == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			lab_qemu_exec(g->start, s[1], p[1]);
		dprintf(p[1], "lab: starting QEMU: %s\n", strerror(errno));
		_exit(126);
	}
	close(s[1]);
	close(p[1]);
	close(g->start->initrd);
	close(g->start->disk);
	if (g->start->tap >= 0)
		close(g->start->tap);
	g->agent = s[0];
	g->console = p[0];
	return g->qemu < 0 ? -errno : 0;
}

static int guard_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Closes everything that the command had open, except what is ours: a lab that is up must not hold
 * its caller's pipes. */
static void guard_close_others(const struct lab_guard_start *s)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), max = (int)sysconf(_SC_OPEN_MAX);

	for (int i = 0; i < 3; i++)
		dup2(null, i);
	for (int fd = 3; fd < max && fd < 1024; fd++)
		if (fd != s->client && fd != s->initrd && fd != s->disk && fd != s->tap &&
		    fd != s->lock)
			close(fd);
	close_range(1024, ~0u, 0);
}

void lab_guard_main(const struct lab_guard_start *s)
{
	struct guard *g = calloc(1, sizeof(*g));

	setsid();
	if (chdir("/") < 0)
		_exit(1);
	guard_close_others(s);
	if (!g)
		_exit(1);
	g->start = s;
	g->agent = g->console = g->listen = -1;
	g->started_ms = lab_now_ms();
	g->signals = guard_signals();
	fcntl(s->client, F_SETFL, O_NONBLOCK);
	client_add(g, s->client)->console = s->console;
	if (g->signals < 0 || guard_start_qemu(g) < 0)
		guard_fail(g, "starting QEMU: %s; are there processes and descriptors left?",
			   strerror(errno));
	while (!g->stop) {
		guard_wait(g);
		guard_flush(g);
	}
	if (g->qemu > 0) {
		kill(g->qemu, SIGKILL);
		waitpid(g->qemu, NULL, 0);
	}
	if (guard_is_up(g))
		lab_place_clean(&s->place);
	_exit(0);
}
