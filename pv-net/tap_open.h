/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a tap interface of the host: what prep_tap.c does for `fourlane run`, apart so that a
 * test can do it in a network namespace of its own. Needs CAP_NET_ADMIN there.
 */
#ifndef PV_NET_TAP_OPEN_H
#define PV_NET_TAP_OPEN_H

#include <stdbool.h>
#include <stddef.h>

#define TAP_NAME_SIZE 16 /* IFNAMSIZ */

struct tap_iface {
	char name[TAP_NAME_SIZE];
	bool created; /* by us: it goes with its last descriptor */
	bool raised;  /* it was there and down, we put it up */
};

/* tap_name_make - "fl<hash>-<idx>": the same guest and index give the same name, others in all
 * likelihood another. */
void tap_name_make(char name[TAP_NAME_SIZE], const char *guest, unsigned int idx);

/* tap_name_check - -EINVAL after a message unless the kernel would take it as an interface's name
 * as it stands. */
int tap_name_check(const char *name);

/*
 * tap_open - opens `name`, creates it when `must_be_new` or when it is not there, and puts it up.
 * Gives a non-blocking descriptor, the caller's, and fills *t. After a message: -ENODEV when the
 * host has no tun driver, -EPERM without CAP_NET_ADMIN, -EBUSY when another program has it open,
 * -EEXIST when it had to be new, -EINVAL when the name is that of an interface of another kind.
 */
int tap_open(const char *name, bool must_be_new, struct tap_iface *t);

/* tap_put_back - an interface that was there before: its filter off, and down again if we put it
 * up. `fd` is it, still open. */
void tap_put_back(const struct tap_iface *t, int fd);

#endif
