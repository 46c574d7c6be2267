/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest is told: the options of `fourlane run`, and a YAML file that holds the same words
 * under the same names. For cmd_run.c.
 */
#ifndef CORE_GUEST_CONF_H
#define CORE_GUEST_CONF_H

#include <stdbool.h>

/* What --mem and --cpus may be, in bytes and CPUs. */
#define GUEST_MIN_MEM  (2ull << 20)
#define GUEST_MAX_MEM  (1ull << 40)
#define GUEST_MAX_CPUS 64

/* As they stand on the command line; NULL: not given. The lists end in NULL. */
struct guest_words {
	const char *name, *kernel, *initrd, *append, *mem, *hugepages, *cpus, *pin;
	const char **nics, **disks; /* the array is the caller's to free */
	bool prefault, no_reboot, no_reset;
};

struct guest_conf;

/*
 * guest_conf_load - reads `file` and fills in what *w has not yet: what is there already overrides
 * the file, a list as a whole. Relative paths of kernel, initrd and disks are taken from the file's
 * folder. The filled-in text lives until guest_conf_free(*out), which accepts NULL; *out is NULL
 * after an error. -EINVAL after a message that names the file and what is wrong in it, other
 * negative errno after a message when it cannot be read.
 */
int guest_conf_load(const char *file, struct guest_words *w, struct guest_conf **out);
void guest_conf_free(struct guest_conf *c);

#endif
