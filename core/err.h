/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How every program says that something went wrong, and the exit statuses.
 *
 * A message is written once, where its cause is known, as one line on stderr:
 *   fourlane: <what was tried>: <why it failed>; <what would mend it>
 * Everything above that place hands the negative errno (or exit status) on and says nothing.
 */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include <stdarg.h>

enum fl_exit {
	FL_DONE = 0,        /* done */
	FL_FAILED = 1,      /* tried and failed */
	FL_USAGE = 2,       /* the words of the call are wrong */
	FL_UNSUPPORTED = 3, /* this host cannot do it: hardware or kernel support is missing */
	FL_RESET = 4,       /* `run --no-reboot`: the guest has reset */
};

/*
 * err_say - one line on stderr, "fourlane: " first. Control characters in the text are shown as
 * '?', so that a name taken from a guest, a file or the kernel cannot forge a second line. Thread
 * safe.
 */
void err_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void err_vsay(const char *fmt, va_list ap);

/*
 * err_ret - err_say, and gives `ret` back, so that a check can be `return err_ret(-EINVAL, "...")`.
 */
int err_ret(int ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * err_set_sink - where messages of this process go instead of stderr (the jailed monitor sends them
 * to its supervisor; tests catch them). NULL puts stderr back. `line` has no newline at its end.
 */
void err_set_sink(void (*sink)(void *opaque, const char *line), void *opaque);

/*
 * err_set_source - the file that the words being checked come from: it stands in front of each
 * message until this is called with NULL. Not copied. For a process that has one thread yet.
 */
void err_set_source(const char *file);

/*
 * err_to_exit - the exit status for a negative errno that has come up to main: ENODEV, EOPNOTSUPP
 * and ENOSYS mean that the host lacks something (3), every other means failed (1), 0 and above mean
 * done (0).
 */
int err_to_exit(int err);

/*
 * A message about what a guest or a peer did: counted, and printed at most `RATELIMIT_BURST` times
 * in RATELIMIT_SECONDS for each struct. Zero-initialised; owned by the thread that reports.
 */
struct err_limit {
	unsigned long count;      /* all events, printed or not */
	unsigned long suppressed; /* not printed since the last line */
	unsigned int in_window;
	long window_start_s;
};
void err_limited(struct err_limit *lim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
