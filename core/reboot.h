/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often a guest may reset: it starts again each time, but one that does nothing else is a guest
 * that cannot start, and would keep the host busy for ever. For the supervisor.
 */
#ifndef CORE_REBOOT_H
#define CORE_REBOOT_H

#include <stdbool.h>

#define REBOOT_LIMIT     5
#define REBOOT_WINDOW_MS 10000

struct reboots {
	long long at_ms[REBOOT_LIMIT]; /* of the last ones; a ring */
	unsigned int n;                /* all of them */
};

/*
 * reboot_again - the guest has reset at that time (any clock that never goes back). False: it was
 * the REBOOT_LIMITth within REBOOT_WINDOW_MS.
 */
bool reboot_again(struct reboots *r, long long now_ms);

#endif
