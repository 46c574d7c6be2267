/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that the comparison starts, waits that end at Ctrl-C, and the ends of both. A child is
 * in a process group of its own, so that Ctrl-C at the terminal reaches us alone and we end it in
 * order; when we are killed the kernel ends it (PR_SET_PDEATHSIG).
 */
#include "bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END_MS 5000 /* from SIGTERM to SIGKILL */

uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int bench_signals_open(struct bench_signals *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	/* a reader of our output that has gone is told by write() */
	signal(SIGPIPE, SIG_IGN);
	s->got = 0;
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->fd < 0 ? -errno : 0;
}

static int signals_take(struct bench_signals *s)
{
	struct signalfd_siginfo info;

	if (!s->got && read(s->fd, &info, sizeof(info)) == sizeof(info))
		s->got = (int)info.ssi_signo;
	return s->got ? -EINTR : 0;
}

int bench_pause(struct bench_signals *s, int ms)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	if (signals_take(s) == 0 && ms > 0)
		poll(&p, 1, ms);
	return signals_take(s);
}

/* --- start --------------------------------------------------------------- */
static void child_exec(const char *const *argv, const int fd[3], int pass, pid_t parent)
{
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(126);
	if (pass >= 0 && pass != 3 && dup2(pass, 3) < 0)
		_exit(126);
	if (pass == 3)
		fcntl(3, F_SETFD, 0);
	for (int i = 0; i < 3; i++)
		if (fd[i] >= 0 && dup2(fd[i], i) < 0)
			_exit(126);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], (char *const *)argv);
	dprintf(STDERR_FILENO, "fourlane: starting %s: %s; is it installed?\n", argv[0],
		strerror(errno));
	_exit(127);
}

/* Descriptors 0 to 3 are given to children by number: ours lie above. */
static int child_fd(int fd)
{
	int high;

	if (fd < 0 || fd > 9)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	close(fd);
	return high;
}

static int child_pipes(int in[2], int out[2], int *err, bool own_err)
{
	in[0] = in[1] = out[0] = out[1] = *err = -1;
	if (pipe2(in, O_CLOEXEC) < 0 || (!own_err && pipe2(out, O_CLOEXEC) < 0))
		return -errno;
	if (own_err && (out[1] = open("/dev/null", O_WRONLY | O_CLOEXEC)) < 0)
		return -errno;
	if (!own_err && (*err = memfd_create("stderr", MFD_CLOEXEC)) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		in[i] = child_fd(in[i]);
		out[i] = child_fd(out[i]);
	}
	*err = child_fd(*err);
	return in[0] < 0 || in[1] < 0 ? -EMFILE : 0;
}

static void close_all(const int *fd, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

int bench_child_start(struct bench_child *c, const char *const *argv, int pass, bool own_err)
{
	int in[2], out[2], ret;
	pid_t parent = getpid();

	*c = (struct bench_child){ .in = -1, .out = -1, .err = -1 };
	ret = child_pipes(in, out, &c->err, own_err);
	fflush(NULL);
	if (ret == 0) {
		c->pid = fork();
		ret = c->pid < 0 ? -errno : 0;
	}
	if (ret == 0 && c->pid == 0)
		child_exec(argv, (const int[]){ in[0], out[1], c->err }, pass, parent);
	if (ret < 0) {
		close_all((const int[]){ in[0], in[1], out[0], out[1], c->err }, 5);
		*c = (struct bench_child){ .in = -1, .out = -1, .err = -1 };
		return ret;
	}
	setpgid(c->pid, c->pid);
	close_all((const int[]){ in[0], out[1] }, 2);
	c->in = in[1];
	c->out = out[0];
	return 0;
}

/* --- its console --------------------------------------------------------- */
/* A whole line out of the buffer; what does not fit `size` is cut. */
static bool child_take_line(struct bench_child *c, char *line, size_t size)
{
	char *end = memchr(c->buf, '\n', c->used);
	size_t len, n;

	if (!end && c->used < sizeof(c->buf))
		return false;
	len = end ? (size_t)(end - c->buf) : c->used;
	n = len < size ? len : size - 1;
	memcpy(line, c->buf, n);
	line[n] = '\0';
	line[strcspn(line, "\r")] = '\0';
	len += end ? 1 : 0;
	memmove(c->buf, c->buf + len, c->used - len);
	c->used -= len;
	return true;
}

int bench_child_line(struct bench_child *c, struct bench_signals *s, int timeout_ms, char *line,
		     size_t size)
{
	uint64_t end = bench_now_ns() + (uint64_t)timeout_ms * 1000000;

	for (;;) {
		struct pollfd p[2] = { { .fd = c->out, .events = POLLIN },
				       { .fd = s->fd, .events = POLLIN } };
		uint64_t now = bench_now_ns();
		ssize_t n;

		if (child_take_line(c, line, size))
			return 0;
		if (signals_take(s) < 0)
			return -EINTR;
		if (now >= end)
			return -ETIMEDOUT;
		if (poll(p, 2, (int)((end - now) / 1000000) + 1) < 0 && errno != EINTR)
			return -errno;
		if (!(p[0].revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		n = read(c->out, c->buf + c->used, sizeof(c->buf) - c->used);
		if (n <= 0)
			return -EPIPE;
		c->used += (size_t)n;
	}
}

void bench_child_say(struct bench_child *c, const char *text)
{
	/* a child that is gone is seen by the next read; a pipe takes a line at once */
	if (c->in >= 0 && write(c->in, text, strlen(text)) < 0)
		return;
}

/* --- its end ------------------------------------------------------------- */
/* True when it has ended within ms. Its output is thrown away meanwhile, so that it can end. */
static bool child_gone(struct bench_child *c, int ms, int *status)
{
	uint64_t end = bench_now_ns() + (uint64_t)ms * 1000000;
	char waste[512];

	for (;;) {
		struct pollfd p = { .fd = c->out, .events = POLLIN };

		if (waitpid(c->pid, status, WNOHANG) == c->pid)
			return true;
		if (bench_now_ns() >= end)
			return false;
		if (c->out < 0 || poll(&p, 1, 5) < 0 || !(p.revents & POLLIN) ||
		    read(c->out, waste, sizeof(waste)) <= 0)
			poll(NULL, 0, 2);
	}
}

int bench_child_end(struct bench_child *c, int grace_ms)
{
	int status = 0;

	if (c->pid > 0 && !child_gone(c, grace_ms, &status)) {
		kill(c->pid, SIGTERM);
		if (!child_gone(c, END_MS, &status)) {
			kill(-c->pid, SIGKILL);
			kill(c->pid, SIGKILL);
			waitpid(c->pid, &status, 0);
		}
	}
	close_all((const int[]){ c->in, c->out }, 2);
	c->pid = 0;
	c->in = c->out = -1;
	return status;
}

void bench_child_why(const struct bench_child *c, char *buf, size_t size)
{
	char text[2048];
	ssize_t n;
	off_t end;
	char *last;

	buf[0] = '\0';
	end = c->err >= 0 ? lseek(c->err, 0, SEEK_END) : 0;
	if (end <= 0)
		return;
	end -= end < (off_t)sizeof(text) - 1 ? end : (off_t)sizeof(text) - 1;
	n = pread(c->err, text, sizeof(text) - 1, end);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	last = strrchr(text, '\n');
	last = last ? last + 1 : text;
	if (!strncmp(last, "fourlane: ", 10))
		last += 10;
	snprintf(buf, size, "%s", last);
}

void bench_child_free(struct bench_child *c)
{
	if (c->pid > 0)
		bench_child_end(c, 0);
	if (c->err >= 0)
		close(c->err);
	c->err = -1;
}
