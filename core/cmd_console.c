/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `fourlane console`: the terminal, or standard input and output, at a detached guest's console. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "core/cmd.h"
#include "core/console.h"

#define LEAVE_KEY 0x1d /* Ctrl-] */

static const struct command console_command;

static int console_connect(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char path[PATH_MAX];
	int ret = console_socket_path(name, path, sizeof(path)), fd;

	if (ret < 0)
		return ret;
	if ((size_t)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= sizeof(sa.sun_path))
		return err_ret(-ENAMETOOLONG, "guest '%s': %s is too long; set XDG_RUNTIME_DIR",
			       name, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	ret = -errno;
	if (fd >= 0)
		close(fd);
	return err_ret(ret,
		       "attaching to guest '%s': %s; the console of a guest that was started with "
		       "run --detach is there, 'fourlane ps' lists those that run",
		       name, strerror(-ret));
}

/* 0: go on; 1: the user leaves; negative errno: the guest is gone. `raw`: look for the key. */
static int console_type(int sock, bool raw, bool *in_open)
{
	char buf[256];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
	char *key = raw && n > 0 ? memchr(buf, LEAVE_KEY, (size_t)n) : NULL;

	if (n < 0 && errno == EINTR)
		return 0;
	*in_open = n > 0;
	if (key)
		n = key - buf;
	if (n > 0 && send(sock, buf, (size_t)n, MSG_NOSIGNAL) < 0)
		return -errno;
	return key != NULL;
}

static int console_show(int sock)
{
	char buf[4096];
	ssize_t n = read(sock, buf, sizeof(buf));

	if (n <= 0)
		return -EPIPE;
	for (ssize_t at = 0; at < n;) {
		ssize_t k = write(STDOUT_FILENO, buf + at, (size_t)(n - at));

		if (k < 0 && errno != EINTR)
			return 1; /* nobody looks any more */
		at += k > 0 ? k : 0;
	}
	return 0;
}

/* Gives the signal that ended it, or 0. */
static int console_loop(int sock, int sig_fd, bool raw)
{
	struct signalfd_siginfo si;
	bool in_open = true;
	int ret = 0;

	while (ret == 0) {
		struct pollfd p[] = { { .fd = sock, .events = POLLIN },
				      { .fd = sig_fd, .events = POLLIN },
				      { .fd = in_open ? STDIN_FILENO : -1, .events = POLLIN } };

		if (poll(p, 3, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents && read(sig_fd, &si, sizeof(si)) == sizeof(si))
			return (int)si.ssi_signo;
		if (p[2].revents)
			ret = console_type(sock, raw, &in_open);
		if (ret == 0 && p[0].revents)
			ret = console_show(sock);
	}
	return 0;
}

static int console_run(int argc, char **argv)
{
	struct cmd_option opts[] = { { 0 } };
	int n = cmd_options(&console_command, argc, argv, opts, false), sock, sig_fd, sig;
	struct termios was, now;
	bool raw = false;
	sigset_t set;

	if (n < 0)
		return FL_USAGE;
	if (n != 1)
		return cmd_usage(&console_command, "one guest's name is wanted");
	sock = console_connect(argv[1]);
	if (sock < 0)
		return sock == -EINVAL ? FL_USAGE : sock;
	sigemptyset(&set);
	for (const int *s = (const int[]){ SIGINT, SIGTERM, SIGHUP, SIGQUIT, 0 }; *s; s++)
		sigaddset(&set, *s);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sig_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &was) == 0) {
		now = was;
		cfmakeraw(&now);
		raw = tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
		fprintf(stderr, "(Ctrl-] leaves)\r\n");
	}
	sig = console_loop(sock, sig_fd, raw);
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &was);
	close(sock);
	if (sig_fd >= 0)
		close(sig_fd);
	return sig ? 128 + sig : FL_DONE;
}

static const struct command console_command = {
	.name = "console",
	.group = CMD_RUN,
	.summary = "attach to the console of a detached guest",
	.run = console_run,
	.usage = "NAME\n"
		 "\n"
		 "The serial port of a guest that was started with 'run --detach': shows the last "
		 "of what it said and goes on;\n"
		 "what is typed goes to the guest. Ctrl-] leaves, the guest runs on. With standard "
		 "input that is no terminal its\n"
		 "bytes are typed, and the output goes on until the guest ends or a signal comes. "
		 "Several may be attached.\n"
		 "All that the guest says is in the log, too: <state>/log/NAME.log, by default "
		 "under /var/lib/fourlane.\n",
};
COMMAND(&console_command);
