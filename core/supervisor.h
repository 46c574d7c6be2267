/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `fourlane run` is after it has read its words: it prepares the NICs with the caller's
 * rights, starts the jailed monitor, hands it descriptors, answers on the guest's socket, and gives
 * everything back when the monitor is gone, however it went.
 */
#ifndef CORE_SUPERVISOR_H
#define CORE_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cpu_pin.h"

/* How long a guest that was asked to shut down may take, in ms; then it is ended. */
#define STOP_GRACE_MS 60000

struct supervisor_conf {
	const char *name;
	uint64_t mem_bytes;
	uint64_t page_bytes; /* huge pages that guest memory is made of; 0: the kernel's own */
	bool prefault;       /* make all of it present before the start */
	unsigned int cpus;
	const struct cpu_pin *pin;            /* host CPUs of the guest's threads, or NULL */
	const char *kernel, *initrd, *append; /* initrd and append may be NULL */
	const char **nics;                    /* NULL-ended list of --nic strings, or NULL */
	const char **disks;                   /* the same of --disk strings */
	bool no_reboot; /* a reset ends the run (FL_RESET), else the guest starts again */
	bool no_reset;  /* functions of the host that cannot be reset are accepted */
	/* once the guest runs: away from the terminal, its console behind a socket and in a log,
	 * and one byte into ready_fd, which is closed then. -1: in the foreground */
	int ready_fd;
};

/*
 * supervisor_run - until the guest has ended. Returns an exit status or a negative errno, after a
 * message.
 */
int supervisor_run(const struct supervisor_conf *conf);

#endif
