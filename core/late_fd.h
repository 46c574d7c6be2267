/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor's list of descriptors that devices have asked for again (device_want_fd()): the
 * process behind the first one is gone. At a fixed pace each is tried by its back-end's reopen()
 * until it succeeds, and sent to the monitor. The monitor is not trusted: its wishes are bounded in
 * number and in pace, and only those that a prep knows count. One thread.
 */
#ifndef CORE_LATE_FD_H
#define CORE_LATE_FD_H

#include "core/prep_priv.h"

#define LATE_FD_MS  200 /* between two tries */
#define LATE_FD_MAX (2 * MONITOR_MAX_NICS)

struct late_fds {
	struct late_fd {
		unsigned int slot; /* of the guest's NICs */
		char name[24];
	} want[LATE_FD_MAX];
	unsigned int n;
	long long next; /* ms, rpc_now_ms(): when they are tried */
};

/* late_fd_want - the monitor's "want_fd"; what makes no sense, or is due already, is ignored. */
void late_fd_want(struct late_fds *l, const struct prep_guest *g, const json_t *params);
/* late_fd_timeout - for poll(2): until the next try; `other` (-1: none) when that is sooner. */
int late_fd_timeout(const struct late_fds *l, int other);
/* late_fd_try - when it is time: opens what can be opened and sends it over `control`. */
void late_fd_try(struct late_fds *l, struct prep_guest *g, int control);

#endif
