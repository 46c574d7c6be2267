/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks of a guest under preparation, for prep.c and supervisor.c. A file or block device is
 * opened with the caller's rights and reserved against a second writer; the jailed monitor gets the
 * descriptor, under the name "disk".
 */
#ifndef CORE_PREP_DISK_H
#define CORE_PREP_DISK_H

#include <sys/types.h>

struct prep_guest;

struct prep_disk {
	char name[16];     /* "disk0" */
	char *path;        /* as the user gave it */
	char *device_opts; /* what the monitor is told */
	dev_t dev;         /* which file it is */
	ino_t ino;
};

/* prep_check_disk - are the words of a --disk right, as far as can be told before it is opened? */
int prep_check_disk(const char *spec);
/*
 * prep_guest_disk - opens what one --disk names: PATH[,ro][,serial=TEXT][,direct=on][,queues=N].
 * Negative errno after a message; -EINVAL means wrong words and nothing else.
 */
int prep_guest_disk(struct prep_guest *g, const char *spec);
/* prep_disks_release - forgets them; the reservations end with the last descriptor. Idempotent. */
void prep_disks_release(struct prep_guest *g);

#endif
