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

#define TAP_MAX_QUEUES 8

/* How an interface is to be opened. */
struct tap_wish {
	bool must_be_new;
	unsigned int n_queues; /* 1..TAP_MAX_QUEUES */
	unsigned int mtu;      /* that it has to carry at least; 0: as it is */
	bool vnet_hdr;         /* virtio's header before each frame: offloads */
};

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
 * tap_open - opens `name`, creates it when it must be new or is not there, and puts it up. Fills
 * fd[0..n_queues) with non-blocking descriptors, the caller's, and *t. An interface that is created
 * gets the MTU. After a message: -ENODEV when the host has no tun driver, -EPERM without
 * CAP_NET_ADMIN, -EBUSY when another program has it open, -EEXIST when it had to be new, -EINVAL
 * when the name is that of an interface of another kind, or of a tap with one queue when several
 * are wanted, -ERANGE when the interface that is there carries less than the MTU.
 */
int tap_open(const char *name, const struct tap_wish *w, struct tap_iface *t,
	     int fd[TAP_MAX_QUEUES]);

/* tap_put_back - an interface that was there before: its filter and offloads off, and down again if
 * we put it up. `fd` is it, still open. */
void tap_put_back(const struct tap_iface *t, int fd);

#endif
