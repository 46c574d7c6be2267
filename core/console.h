/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console of a guest that runs detached: what its serial port says goes into a log file and to
 * whoever is attached (`fourlane console`); what they type goes to the guest. Part of the
 * supervisor's poll loop and one thread with it. Clients are strangers until their rights are
 * looked at; one that does not read misses output and keeps nobody waiting.
 */
#ifndef CORE_CONSOLE_H
#define CORE_CONSOLE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define CONSOLE_CLIENTS 4
#define CONSOLE_FDS     (2 + CONSOLE_CLIENTS)

struct console;

/*
 * console_open - listens at <run dir>/<name>.tty, appends to <state dir>/log/<name>.log. *out_w is
 * the end of the pipe for the guest's serial port, the caller's. Negative errno after a message.
 */
int console_open(const char *name, int *out_w, struct console **out);
/* console_close - writes down what is still in the pipe, removes the socket. Accepts NULL. */
void console_close(struct console *c);

/* console_log_fd - where it goes to, for the monitor's own stderr; stays the console's. */
int console_log_fd(const struct console *c);
/* console_take_std - our own standard descriptors are /dev/null and the log from now on. */
void console_take_std(struct console *c);

/*
 * console_watch - what to poll for: fills all of p. room: the guest can take what is typed.
 * console_serve - after poll(); what was typed is written to in_fd, which has room for a page.
 */
void console_watch(const struct console *c, bool room, struct pollfd p[CONSOLE_FDS]);
void console_serve(struct console *c, const struct pollfd p[CONSOLE_FDS], int in_fd);

/* console_socket_path - for `fourlane console`. 0 or negative errno after a message. */
int console_socket_path(const char *name, char *buf, size_t size);

#endif
