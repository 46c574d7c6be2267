/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See reboot.h. Called by supervisor.c. */
#include "core/reboot.h"

bool reboot_again(struct reboots *r, long long now_ms)
{
	r->at_ms[r->n++ % REBOOT_LIMIT] = now_ms;
	/* the oldest of them is the one that the next would overwrite */
	return r->n < REBOOT_LIMIT || now_ms - r->at_ms[r->n % REBOOT_LIMIT] > REBOOT_WINDOW_MS;
}
