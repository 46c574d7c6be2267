/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Process 1 of the software host. Makes it ready (agent_boot.c), then serves sessions (a command
 * with its streams, with or without a terminal) over one virtio serial port, and reaps whatever
 * ends. Its other end is the guardian (lab_guard.c), the frames are in lab_proto.h. A static
 * program of its own: nothing of core/ is linked. When something goes wrong for good it returns,
 * the kernel panics, QEMU ends and the guardian shows the console.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent_boot.h"
#include "lab_proto.h"

#define KILL_AFTER_S 2 /* from SIGTERM to SIGKILL for the processes of a closed session */
#define MAX_WORDS    1024

struct session {
	bool used;
	bool closed; /* the other side went away */
	bool exited;
	uint16_t id;
	pid_t pid;
	int in, out[2]; /* -1: at its end. A terminal has in and out[0] */
	bool terminal;
	bool in_ends; /* close `in` when the bytes below are written */
	uint8_t *in_data;
	size_t in_from, in_to;
	uint32_t credit; /* bytes that may still be sent */
	int status;
	time_t kill_at;
};

struct agent {
	int port, children; /* virtio port, signalfd for SIGCHLD */
	struct session sessions[LAB_SESSIONS];
	uint8_t got[sizeof(struct lab_frame) + LAB_PAYLOAD];
	size_t n_got;
};

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* --- the port --- */

static int port_open(void)
{
	char path[300], name[64] = "";
	DIR *d = opendir("/sys/class/virtio-ports");
	struct dirent *e;
	int fd = -1;

	while (d && fd < 0 && (e = readdir(d))) {
		FILE *f;

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) &&
		    !strncmp(name, LAB_PORT_NAME, strlen(LAB_PORT_NAME))) {
			snprintf(path, sizeof(path), "/dev/%s", e->d_name);
			fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		}
		fclose(f);
	}
	if (d)
		closedir(d);
	return fd;
}

/* The guardian always reads, so this ends; when it is gone, so is this machine. */
static void port_write(struct agent *a, const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size) {
		ssize_t n = write(a->port, p, size);
		struct pollfd w = { .fd = a->port, .events = POLLOUT };

		if (n > 0) {
			p += n;
			size -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			poll(&w, 1, 1000);
		} else if (n < 0 && errno != EINTR) {
			return;
		}
	}
}

static void port_send(struct agent *a, uint16_t session, uint8_t type, uint8_t stream,
		      const void *data, size_t size)
{
	struct {
		struct lab_frame head;
		uint8_t data[LAB_PAYLOAD];
	} f = { .head = { .length = (uint32_t)size,
			  .session = session,
			  .type = type,
			  .stream = stream } };

	if (size)
		memcpy(f.data, data, size);
	port_write(a, &f, sizeof(f.head) + size);
}

/* --- starting a command --- */

static struct session *session_find(struct agent *a, uint16_t id)
{
	for (int i = 0; i < LAB_SESSIONS; i++)
		if (a->sessions[i].used && !a->sessions[i].closed && a->sessions[i].id == id)
			return &a->sessions[i];
	return NULL;
}

static struct session *session_new(struct agent *a, uint16_t id)
{
	for (int i = 0; i < LAB_SESSIONS; i++) {
		struct session *s = &a->sessions[i];

		if (s->used)
			continue;
		*s = (struct session){
			.used = true, .id = id, .in = -1, .out = { -1, -1 }, .credit = LAB_WINDOW
		};
		s->in_data = malloc(LAB_WINDOW);
		if (s->in_data)
			return s;
		s->used = false;
		break;
	}
	return NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void session_free(struct session *s)
{
	close_fd(&s->in);
	close_fd(&s->out[0]);
	close_fd(&s->out[1]);
	free(s->in_data);
	*s = (struct session){ 0 };
}

/* Splits the strings behind a struct lab_open. 0, or -1 when they are not what the header says. */
static int open_words(const struct lab_open *o, char *text, size_t size, char **words)
{
	size_t n = (size_t)o->n_env + o->n_argv, at = 0;

	if (!o->n_argv || n > MAX_WORDS || !size || text[size - 1])
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (at >= size)
			return -1;
		words[i] = text + at;
		at += strlen(text + at) + 1;
	}
	return 0;
}

static void child_run(const struct lab_open *o, char **words, const int fds[3])
{
	char *argv[MAX_WORDS + 1];
	sigset_t none;

	setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			_exit(126);
	if (o->terminal)
		ioctl(0, TIOCSCTTY, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setenv("PATH", "/opt/fourlane/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("LANG", "C.UTF-8", 1);
	setenv("XDG_RUNTIME_DIR", "/run", 1);
	for (int i = 0; i < o->n_env; i++)
		putenv(words[i]);
	for (int i = 0; i < o->n_argv; i++)
		argv[i] = words[o->n_env + i];
	argv[o->n_argv] = NULL;
	if (chdir("/root") == 0)
		execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static int open_terminal(struct session *s, const struct lab_open *o, int fds[3])
{
	struct winsize ws = { .ws_row = o->size.rows, .ws_col = o->size.columns };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

	if (master < 0)
		return -1;
	s->out[0] = master;
	s->in = fcntl(master, F_DUPFD_CLOEXEC, 3);
	slave = grantpt(master) == 0 && unlockpt(master) == 0
			? open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC)
			: -1;
	if (slave < 0)
		return -1;
	ioctl(slave, TIOCSWINSZ, &ws);
	fds[0] = fds[1] = fds[2] = slave;
	return 0;
}

static int open_pipes(struct session *s, int fds[3])
{
	int p[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };

	for (int i = 0; i < 3; i++)
		if (pipe2(p[i], O_CLOEXEC) < 0) {
			while (i-- > 0) {
				close(p[i][0]);
				close(p[i][1]);
			}
			return -1;
		}
	fds[0] = p[0][0];
	s->in = p[0][1];
	for (int i = 0; i < 2; i++) {
		s->out[i] = p[i + 1][0];
		fds[i + 1] = p[i + 1][1];
	}
	return 0;
}

static void session_open(struct agent *a, uint16_t id, uint8_t *data, size_t size)
{
	struct session *s = session_new(a, id);
	char *words[MAX_WORDS];
	int fds[3] = { -1, -1, -1 };
	uint32_t status = 126;
	struct lab_open o;

	if (!s || size < sizeof(o))
		goto refuse;
	memcpy(&o, data, sizeof(o));
	if (open_words(&o, (char *)data + sizeof(o), size - sizeof(o), words) < 0)
		goto refuse;
	s->terminal = o.terminal;
	if ((o.terminal ? open_terminal(s, &o, fds) : open_pipes(s, fds)) < 0)
		goto refuse;
	fcntl(s->in, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 2; i++)
		if (s->out[i] >= 0)
			fcntl(s->out[i], F_SETFL, O_NONBLOCK);
	s->pid = fork();
	if (s->pid == 0)
		child_run(&o, words, fds);
	close(fds[0]);
	if (!o.terminal) {
		close(fds[1]);
		close(fds[2]);
	}
	if (s->pid > 0)
		return;
refuse:
	if (s)
		session_free(s);
	port_send(a, id, LAB_EXIT, 0, &status, sizeof(status));
}

/* --- a running session --- */

static void session_close(struct session *s)
{
	s->closed = true;
	close_fd(&s->in);
	close_fd(&s->out[0]);
	close_fd(&s->out[1]);
	if (s->exited) {
		session_free(s);
		return;
	}
	kill(-s->pid, SIGHUP);
	kill(-s->pid, SIGTERM);
	s->kill_at = now_s() + KILL_AFTER_S;
}

static void session_feed(struct session *s, const uint8_t *data, size_t size)
{
	if (!size) {
		if (s->terminal) {
			uint8_t eof = 4;

			if (s->in_to < LAB_WINDOW)
				s->in_data[s->in_to++] = eof;
		} else {
			s->in_ends = true;
		}
		return;
	}
	if (s->in_from == s->in_to)
		s->in_from = s->in_to = 0;
	if (size > LAB_WINDOW - s->in_to) {
		memmove(s->in_data, s->in_data + s->in_from, s->in_to - s->in_from);
		s->in_to -= s->in_from;
		s->in_from = 0;
	}
	if (size > LAB_WINDOW - s->in_to)
		return; /* beyond the window: the other side broke the rule */
	memcpy(s->in_data + s->in_to, data, size);
	s->in_to += size;
}

/*
 * Gives the command what waits for its stdin; bytes that nobody will read any more are used up too.
 */
static void session_push_in(struct agent *a, struct session *s)
{
	size_t waiting = s->in_to - s->in_from;
	ssize_t n = 0;
	uint32_t used;

	if (waiting) {
		n = s->in >= 0 ? write(s->in, s->in_data + s->in_from, waiting) : (ssize_t)waiting;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			close_fd(&s->in);
			n = (ssize_t)waiting;
		}
		s->in_from += (size_t)n;
		used = (uint32_t)n;
		port_send(a, s->id, LAB_CREDIT, 0, &used, sizeof(used));
	}
	if (s->in_from == s->in_to && s->in_ends)
		close_fd(&s->in);
}

/* Sends what the command wrote to one stream. Returns whether there may be more. */
static bool session_pull_out(struct agent *a, struct session *s, int i)
{
	uint8_t buf[LAB_PAYLOAD];
	ssize_t n;

	if (s->out[i] < 0 || !s->credit)
		return false;
	n = read(s->out[i], buf, s->credit < sizeof(buf) ? s->credit : sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close_fd(&s->out[i]);
		port_send(a, s->id, LAB_DATA, (uint8_t)(i + 1), NULL, 0);
		return false;
	}
	s->credit -= (uint32_t)n;
	port_send(a, s->id, LAB_DATA, (uint8_t)(i + 1), buf, (size_t)n);
	return true;
}

/*
 * The command has ended: what it left in its pipes is sent as far as the window allows, then the
 * status. A process that it left behind with these pipes does not keep the session open.
 */
static void session_try_end(struct agent *a, struct session *s)
{
	uint32_t status = (uint32_t)s->status;

	for (int i = 0; i < 2; i++)
		while (session_pull_out(a, s, i))
			;
	if (!s->credit)
		return;
	port_send(a, s->id, LAB_EXIT, 0, &status, sizeof(status));
	session_free(s);
}

static void frame_handle(struct agent *a, const struct lab_frame *f, uint8_t *data)
{
	struct session *s;
	uint32_t n;

	if (f->type == LAB_OPEN) {
		session_open(a, f->session, data, f->length);
		return;
	}
	s = session_find(a, f->session);
	if (!s)
		return;
	if (f->type == LAB_DATA) {
		session_feed(s, data, f->length);
	} else if (f->type == LAB_CREDIT && f->length == sizeof(n)) {
		memcpy(&n, data, sizeof(n));
		s->credit = n > LAB_WINDOW - s->credit ? LAB_WINDOW : s->credit + n;
	} else if (f->type == LAB_WINSIZE && f->length == sizeof(struct lab_winsize) &&
		   s->terminal && s->out[0] >= 0) {
		struct lab_winsize w;
		struct winsize ws = { 0 };

		memcpy(&w, data, sizeof(w));
		ws.ws_row = w.rows;
		ws.ws_col = w.columns;
		ioctl(s->out[0], TIOCSWINSZ, &ws);
	} else if (f->type == LAB_CLOSE) {
		session_close(s);
	}
}

/* Returns -1 when the port has no other end any more. */
static int port_read(struct agent *a)
{
	struct lab_frame f;
	ssize_t n = read(a->port, a->got + a->n_got, sizeof(a->got) - a->n_got);

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	a->n_got += (size_t)n;
	while (a->n_got >= sizeof(f)) {
		memcpy(&f, a->got, sizeof(f));
		if (f.length > LAB_PAYLOAD)
			return -1;
		if (a->n_got < sizeof(f) + f.length)
			break;
		frame_handle(a, &f, a->got + sizeof(f));
		a->n_got -= sizeof(f) + f.length;
		memmove(a->got, a->got + sizeof(f) + f.length, a->n_got);
	}
	return 0;
}

static void reap(struct agent *a)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	while (read(a->children, &si, sizeof(si)) == sizeof(si))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < LAB_SESSIONS; i++) {
			struct session *s = &a->sessions[i];

			if (!s->used || s->exited || s->pid != pid)
				continue;
			s->exited = true;
			s->status =
				WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			if (s->closed) {
				kill(-pid, SIGKILL);
				session_free(s);
			}
		}
	}
}

static void sessions_advance(struct agent *a)
{
	for (int i = 0; i < LAB_SESSIONS; i++) {
		struct session *s = &a->sessions[i];

		if (!s->used)
			continue;
		if (s->closed) {
			if (now_s() >= s->kill_at)
				kill(-s->pid, SIGKILL);
			continue;
		}
		session_push_in(a, s);
		session_pull_out(a, s, 0);
		session_pull_out(a, s, 1);
		if (s->exited)
			session_try_end(a, s);
	}
}

static void agent_wait(struct agent *a)
{
	struct pollfd p[2 + 3 * LAB_SESSIONS] = {
		{ .fd = a->port, .events = POLLIN },
		{ .fd = a->children, .events = POLLIN },
	};
	nfds_t n = 2;

	for (int i = 0; i < LAB_SESSIONS; i++) {
		struct session *s = &a->sessions[i];

		if (!s->used || s->closed)
			continue;
		if (s->in >= 0 && s->in_from < s->in_to)
			p[n++] = (struct pollfd){ .fd = s->in, .events = POLLOUT };
		for (int j = 0; j < 2; j++)
			if (s->out[j] >= 0 && s->credit)
				p[n++] = (struct pollfd){ .fd = s->out[j], .events = POLLIN };
	}
	poll(p, n, 1000);
}

static void send_ready(struct agent *a)
{
	char text[1024];
	int fd = open("/etc/fourlane-lab", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : 0;

	close_fd(&fd);
	port_send(a, 0, LAB_READY, 0, text, n > 0 ? (size_t)n : 0);
}

int main(void)
{
	static struct agent a;
	sigset_t chld;

	signal(SIGPIPE, SIG_IGN);
	if (agent_boot() < 0)
		return 1;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	a.children = signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
	a.port = port_open();
	if (a.port < 0 || a.children < 0) {
		printf("lab: no virtio port %s\n", LAB_PORT_NAME);
		return 1;
	}
	send_ready(&a);
	for (;;) {
		agent_wait(&a);
		if (port_read(&a) < 0) {
			printf("lab: the port is broken\n");
			return 1;
		}
		reap(&a);
		sessions_advance(&a);
	}
}
