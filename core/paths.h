/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where sockets, locks and state live: /run/fourlane and /var/lib/fourlane for root, the XDG
 * folders for a plain user. Folders are made with group `fourlane` where that group exists; mode
 * 0750 for sockets and locks, 0755 for state, whose files and folders say themselves who may read.
 */
#ifndef CORE_PATHS_H
#define CORE_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Root's. */
#define PATHS_ROOT_RUN_DIR   "/run/fourlane"
#define PATHS_ROOT_STATE_DIR "/var/lib/fourlane"

/*
 * paths_fill_standard_fds - first thing in main(): descriptors 0, 1 and 2 that the caller has
 * closed become /dev/null, or a file that is opened later would take their place and be written as
 * output. 0 or negative errno.
 */
int paths_fill_standard_fds(void);

/*
 * paths_run_dir / paths_state_dir - makes the folder when it is not there. 0 and the path in buf,
 * or negative errno after a message.
 */
int paths_run_dir(char *buf, size_t size);
int paths_state_dir(char *buf, size_t size);

/*
 * paths_find_socket - where the socket `below` ("switch/default/control.sock") of the run folder
 * is: in ours, or, for a plain user who has none there, in root's when that has it. 0 and the path
 * in buf, or negative errno after a message.
 */
int paths_find_socket(char *buf, size_t size, const char *below);

/*
 * paths_is_dead_socket - is there a Unix socket at `path` that no process has any more? A listener
 * is not disturbed by the question.
 */
bool paths_is_dead_socket(const char *path);

/*
 * paths_self_dir - the folder of the running executable: other programs and the microguest are
 * looked for there (and in ../libexec/fourlane).
 */
int paths_self_dir(char *buf, size_t size);
/*
 * paths_find_program - full path of `name` beside the running executable or in libexec. -ENOENT
 * after a message.
 */
int paths_find_program(const char *name, char *buf, size_t size);

/*
 * paths_status_number - the number, of that base, behind `key` ("CapEff:") in the status file of a
 * process, proc(5); `absent` when there is none. `proc` is where proc is mounted, `pid` the
 * process's folder there.
 */
uint64_t paths_status_number(const char *proc, const char *pid, const char *key, int base,
			     uint64_t absent);

/*
 * paths_read_line - first line of a (sysfs) file without its newline. Bytes read, or negative errno
 * without a message.
 */
int paths_read_line(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * paths_write - writes `text` to a (sysfs) file with one write(2). 0 or negative errno without a
 * message.
 */
int paths_write(const char *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * paths_link_name - last component of a symlink's target ("driver" -> "igb"). 0 or negative errno
 * without a message.
 */
int paths_link_name(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
