/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One-line error messages (see err.h). Used by all programs; calls nothing of the project. The only
 * mutable state is where the lines go, set once at the start of a process, and the file whose words
 * are being checked.
 */
#include "core/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES    1024
#define RATELIMIT_BURST   5
#define RATELIMIT_SECONDS 10

static void (*err_sink)(void *opaque, const char *line);
static void *err_sink_opaque;
static const char *err_source;

void err_set_sink(void (*sink)(void *opaque, const char *line), void *opaque)
{
	err_sink_opaque = opaque;
	err_sink = sink;
}

void err_set_source(const char *file)
{
	err_source = file;
}

void err_vsay(const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	int n = snprintf(line, sizeof(line), "fourlane: %.512s%s", err_source ? err_source : "",
			 err_source ? ": " : "");

	vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (err_sink) {
		err_sink(err_sink_opaque, line);
		return;
	}
	strcat(line, "\n");
	/* one write, so that lines of several threads do not mix; there is nobody to tell when
	 * stderr is gone */
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return;
}

void err_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vsay(fmt, ap);
	va_end(ap);
}

int err_ret(int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vsay(fmt, ap);
	va_end(ap);
	return ret;
}

int err_to_exit(int err)
{
	if (err >= 0)
		return FL_DONE;
	switch (-err) {
	case ENODEV:
	case EOPNOTSUPP:
	case ENOSYS: return FL_UNSUPPORTED;
	default: return FL_FAILED;
	}
}

void err_limited(struct err_limit *lim, const char *fmt, ...)
{
	struct timespec now;
	va_list ap;

	lim->count++;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (!lim->window_start_s || now.tv_sec - lim->window_start_s >= RATELIMIT_SECONDS) {
		lim->window_start_s = now.tv_sec ? now.tv_sec : 1;
		lim->in_window = 0;
		if (lim->suppressed)
			err_say("%lu more events of the next kind were not shown", lim->suppressed);
		lim->suppressed = 0;
	}
	if (lim->in_window >= RATELIMIT_BURST) {
		lim->suppressed++;
		return;
	}
	lim->in_window++;
	va_start(ap, fmt);
	err_vsay(fmt, ap);
	va_end(ap);
}
