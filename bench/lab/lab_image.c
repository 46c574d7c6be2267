/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the software host's image, and modules for its kernel: asks lab/build.sh and lab/modules.sh
 * beside this program, which print the cached folder or build it first.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/lab/lab_priv.h"
#include "core/err.h"
#include "core/paths.h"

/* A builder and its words. */
struct image_call {
	char script[PATH_MAX];
	bool cached;       /* it is to build nothing */
	const char *image; /* for modules.sh, or NULL */
};

static pid_t image_start_build(const struct image_call *c, int out)
{
	const char *argv[5] = { "bash", c->script };
	int n = 2;

	pid_t parent = getpid(), pid = fork();
	sigset_t none;

	if (pid != 0)
		return pid;
	/* a killed command takes the builder with it; the builder removes what it began */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(out, STDOUT_FILENO) < 0)
		_exit(1);
	if (c->cached)
		argv[n++] = "--cached";
	argv[n] = c->image;
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/* Reads all that the builder prints. -EINTR when `signals` became readable. */
static int image_read(int fd, int signals, char *line, size_t size)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	size_t got = 0;
	ssize_t n = 1;

	while (n > 0 && got < size - 1) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents)
			return -EINTR;
		n = read(fd, line + got, size - 1 - got);
		got += n > 0 ? (size_t)n : 0;
	}
	line[got] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

/* First line of what the builder prints, and its status. */
static int image_ask(const struct image_call *c, int signals, char *line, size_t size)
{
	const char *script = c->script;
	int p[2], status = 0, ret;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_ret(-errno, "lab: starting %s: %s; close some files", script,
			       strerror(errno));
	pid = image_start_build(c, p[1]);
	close(p[1]);
	if (pid < 0) {
		close(p[0]);
		return err_ret(-errno, "lab: starting %s: %s; end some processes", script,
			       strerror(errno));
	}
	ret = image_read(p[0], signals, line, size);
	close(p[0]);
	if (ret < 0)
		kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret < 0)
		return ret;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && line[0] == '/')
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == FL_UNSUPPORTED)
		return -EOPNOTSUPP;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_ret(-EOPNOTSUPP, "lab: starting %s: there is no bash; install it",
			       script);
	if (WIFSIGNALED(status))
		return err_ret(-EIO, "lab: building its image: signal %d ended it; try again",
			       WTERMSIG(status));
	return c->cached ? -ENOENT : -EIO;
}

static int image_read_info(struct lab_image *image)
{
	char path[PATH_MAX], text[512];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/info", image->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (lab_text_value(text, "kernel", image->kernel, sizeof(image->kernel)) < 0 ||
	    lab_text_value(text, "qemu", image->qemu, sizeof(image->qemu)) < 0)
		return err_ret(-EIO,
			       "lab: reading %s: it is damaged; remove %s, it is then built again",
			       path, image->dir);
	return 0;
}

int lab_image_prepare(int signals, unsigned int flags, struct lab_image *image)
{
	struct image_call c = { .cached = flags & LAB_IMAGE_CACHED };
	int ret = paths_find_program("lab/build.sh", c.script, sizeof(c.script));

	image->modules[0] = '\0';
	if (!ret)
		ret = image_ask(&c, signals, image->dir, sizeof(image->dir));
	if (!ret)
		ret = image_read_info(image);
	if (ret || !(flags & LAB_IMAGE_MODULES))
		return ret;
	c.image = image->dir;
	ret = paths_find_program("lab/modules.sh", c.script, sizeof(c.script));
	if (!ret)
		ret = image_ask(&c, signals, image->modules, sizeof(image->modules));
	return ret;
}

int lab_image_wait(int signals, struct lab_image *image)
{
	return lab_image_prepare(signals, 0, image);
}

int lab_image_get(struct lab_image *image)
{
	return lab_image_wait(-1, image);
}
