/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One command inside the software host: its stdin, stdout and stderr are carried between our
 * descriptors and the agent, each direction at most LAB_WINDOW bytes ahead of its reader. With a
 * terminal, ours is raw for the time and Ctrl-] leaves.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "bench/lab/lab_priv.h"
#include "core/err.h"

#define LEAVE_KEY 0x1d /* Ctrl-] */

struct lab_session {
	struct lab *lab;
	const struct lab_command *c;
	int in;          /* -1: its end has been told */
	uint32_t window; /* bytes that we may still send */
	int64_t end_ms;  /* 0: none */
	int resized;     /* signalfd of SIGWINCH, or -1 */
	bool raw;
	struct termios saved;
};

static struct lab_winsize session_winsize(const struct lab_session *s)
{
	struct lab_winsize size = { 24, 80 };
	struct winsize ws;

	if (s->c->terminal && ioctl(s->c->in, TIOCGWINSZ, &ws) == 0)
		size = (struct lab_winsize){ ws.ws_row, ws.ws_col };
	return size;
}

static int session_send(struct lab_session *s, uint8_t type, const void *data, size_t size)
{
	return lab_queue_frame(&s->lab->out, s->lab->session, type, 0, data, size);
}

static int words_add(struct lab_queue *q, const char *const *words, uint16_t *n)
{
	int ret = 0;

	for (; words && *words && !ret; words++, (*n)++)
		ret = lab_queue_add(q, *words, strlen(*words) + 1);
	return ret;
}

static int session_open(struct lab_session *s)
{
	struct lab_open o = { .size = session_winsize(s), .terminal = s->c->terminal };
	struct lab_queue words = { 0 };
	int ret = lab_queue_add(&words, &o, sizeof(o));

	if (!ret)
		ret = words_add(&words, s->c->env, &o.n_env);
	if (!ret)
		ret = words_add(&words, s->c->argv, &o.n_argv);
	if (!ret && lab_queue_bytes(&words) > LAB_PAYLOAD)
		ret = err_ret(-E2BIG,
			      "lab: starting %s inside: more than %d bytes of arguments; put them "
			      "into a file",
			      s->c->argv[0], LAB_PAYLOAD);
	if (!ret) {
		memcpy(words.data, &o, sizeof(o));
		ret = session_send(s, LAB_OPEN, words.data, lab_queue_bytes(&words));
	}
	lab_queue_free(&words);
	return ret;
}

static void session_raw(struct lab_session *s)
{
	struct termios raw;
	sigset_t winch;

	if (!s->c->terminal || tcgetattr(s->c->in, &s->saved) < 0)
		return;
	raw = s->saved;
	cfmakeraw(&raw);
	s->raw = tcsetattr(s->c->in, TCSANOW, &raw) == 0;
	sigemptyset(&winch);
	sigaddset(&winch, SIGWINCH);
	sigprocmask(SIG_BLOCK, &winch, NULL);
	s->resized = signalfd(-1, &winch, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void session_cooked(struct lab_session *s)
{
	if (s->raw)
		tcsetattr(s->c->in, TCSANOW, &s->saved);
	if (s->resized >= 0)
		close(s->resized);
}

/* Our stdin to the command's. 1 when the user asked to leave. */
static int session_take_input(struct lab_session *s)
{
	uint8_t buf[LAB_PAYLOAD];
	ssize_t n = read(s->in, buf, s->window < sizeof(buf) ? s->window : sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		s->in = -1;
		return session_send(s, LAB_DATA, NULL, 0);
	}
	if (s->raw && memchr(buf, LEAVE_KEY, (size_t)n))
		return 1;
	s->window -= (uint32_t)n;
	return session_send(s, LAB_DATA, buf, (size_t)n);
}

static int session_left_ms(const struct lab_session *s)
{
	int64_t left = s->end_ms - lab_now_ms();

	return !s->end_ms ? -1 : left > 0 ? (int)left : 0;
}

/* Small pieces after a poll do not block on a pipe, so a signal still ends us when nobody reads. */
static int session_put_output(struct lab_session *s, int fd, const uint8_t *data, size_t size)
{
	const size_t piece = 4096;

	while (size) {
		struct pollfd p[] = { { .fd = fd, .events = POLLOUT },
				      { .fd = s->lab->signals, .events = POLLIN } };
		int left = session_left_ms(s), ret = poll(p, 2, left);
		ssize_t n;

		if (p[1].revents)
			return -EINTR;
		if (ret == 0)
			return -ETIMEDOUT;
		n = write(fd, data, size < piece ? size : piece);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return errno == EPIPE ? -ESHUTDOWN
					      : err_ret(-errno,
							"lab: writing what the command says: %s; "
							"is the disk full?",
							strerror(errno));
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* A frame of the session. 1 when it is over, *status then. */
static int session_frame(struct lab_session *s, const struct lab_frame *f, const uint8_t *data,
			 int *status)
{
	uint32_t n;
	int ret;

	if (f->session != s->lab->session)
		return 0;
	if (f->type == LAB_EXIT && f->length == sizeof(n)) {
		memcpy(&n, data, sizeof(n));
		*status = (int)(n & 0xff);
		return 1;
	}
	if (f->type == LAB_CREDIT && f->length == sizeof(n)) {
		memcpy(&n, data, sizeof(n));
		s->window = n > LAB_WINDOW - s->window ? LAB_WINDOW : s->window + n;
	} else if (f->type == LAB_DATA && f->length) {
		ret = session_put_output(s, f->stream == 2 ? s->c->err : s->c->out, data,
					 f->length);
		if (ret < 0)
			return ret;
		n = f->length;
		return session_send(s, LAB_CREDIT, &n, sizeof(n));
	}
	return 0;
}

static int session_wait_input(struct lab_session *s)
{
	struct pollfd p = { .fd = s->in, .events = POLLIN };

	return s->in >= 0 && s->window && poll(&p, 1, 0) > 0 ? session_take_input(s) : 0;
}

static int session_resize(struct lab_session *s)
{
	struct signalfd_siginfo si;
	struct lab_winsize size;

	if (s->resized < 0 || read(s->resized, &si, sizeof(si)) != sizeof(si))
		return 0;
	size = session_winsize(s);
	return session_send(s, LAB_WINSIZE, &size, sizeof(size));
}

static int session_loop(struct lab_session *s)
{
	int status = 0, ret = 0;

	while (!ret) {
		const uint8_t *data;
		struct lab_frame f;

		/* a resized window is looked at twice a second: it needs no wake-up of its own */
		int left = session_left_ms(s),
		    wait = s->raw && (left < 0 || left > 500) ? 500 : left;

		ret = lab_wait_frame(s->lab, wait, s->window ? s->in : -1, &f, &data);
		if (ret > 0) {
			ret = session_frame(s, &f, data, &status);
			if (ret)
				break;
		}
		if (ret < 0)
			break;
		if (s->end_ms && lab_now_ms() >= s->end_ms)
			ret = -ETIMEDOUT;
		if (!ret)
			ret = session_resize(s);
		if (!ret)
			ret = session_wait_input(s);
	}
	if (ret == -ESHUTDOWN)
		status = 128 + SIGPIPE;
	return ret < 0 && ret != -ESHUTDOWN ? ret : status;
}

int lab_run(struct lab *lab, const struct lab_command *c)
{
	struct lab_session s = {
		.lab = lab, .c = c, .in = c->in, .window = LAB_WINDOW, .resized = -1
	};
	int ret;

	lab->session++;
	ret = session_open(&s);
	if (ret < 0)
		return ret;
	if (c->timeout_ms)
		s.end_ms = lab_now_ms() + c->timeout_ms;
	if (c->in < 0)
		ret = session_send(&s, LAB_DATA, NULL, 0);
	session_raw(&s);
	if (!ret)
		ret = session_loop(&s);
	session_cooked(&s);
	/* harmless when the command has ended; ends it when we leave first */
	session_send(&s, LAB_CLOSE, NULL, 0);
	if (lab_queue_write(&lab->out, lab->fd) < 0)
		lab->out.from = lab->out.to;
	return ret;
}
