/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a command takes until it has printed a word: stopwatch WORD SECONDS LOG COMMAND...
 *
 * Prints the microseconds from just before the command's process is made until WORD has come out of
 * its standard output, and waits for its end. What came out is in LOG. Exit status: 0; 1 the
 * command ended without the word, or with another status than 0, or SECONDS have passed (it is
 * killed then); 2 wrong words. Static, so that it runs in any software host.
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
#include <time.h>
#include <unistd.h>

#define MAX_OUTPUT (4 << 20)

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static pid_t start(char **argv, int *out)
{
	int p[2], null;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		null = open("/dev/null", O_RDONLY);
		if (null >= 0 && dup2(null, 0) == 0 && dup2(p[1], 1) == 1)
			execvp(argv[0], argv);
		fprintf(stderr, "stopwatch: starting %s: %s; is it there?\n", argv[0],
			strerror(errno));
		_exit(127);
	}
	close(p[1]);
	*out = p[0];
	return pid;
}

/* Reads until the end or until `end`. Gives when the word was whole, 0 when it never was. */
static long long watch(int fd, const char *word, long long end, char *said, size_t *n)
{
	size_t len = strlen(word), from;
	long long seen = 0, left;
	ssize_t got;

	while ((left = end - now_us()) > 0 && *n < MAX_OUTPUT) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, (int)(left / 1000) + 1) <= 0)
			continue;
		got = read(fd, said + *n, MAX_OUTPUT - *n);
		if (got <= 0)
			break;
		from = *n >= len ? *n - len : 0;
		*n += (size_t)got;
		if (!seen && memmem(said + from, *n - from, word, len))
			seen = now_us();
	}
	return seen;
}

static void keep(const char *path, const char *said, size_t n)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite(said, 1, n, f) != n)
		fprintf(stderr, "stopwatch: writing %s: %s\n", path, strerror(errno));
	if (f)
		fclose(f);
}

int main(int argc, char **argv)
{
	char *said = malloc(MAX_OUTPUT);
	long long began, seen, end;
	int fd, status = 0, waited;
	size_t n = 0;
	pid_t pid;

	if (argc < 5 || !said) {
		fprintf(stderr, "usage: stopwatch WORD SECONDS LOG COMMAND...\n");
		return 2;
	}
	began = now_us();
	end = began + atoll(argv[2]) * 1000000;
	pid = start(argv + 4, &fd);
	if (pid < 0)
		return 1;
	seen = watch(fd, argv[1], end, said, &n);
	while (!(waited = waitpid(pid, &status, WNOHANG)) && now_us() < end)
		usleep(1000);
	if (!waited) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	keep(argv[3], said, n);
	if (!seen || status)
		return 1;
	printf("%lld\n", seen - began);
	return 0;
}
