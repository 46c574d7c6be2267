/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of a guest under preparation, for prep.c and supervisor.c only. Everybody else uses
 * prep.h.
 */
#ifndef CORE_PREP_PRIV_H
#define CORE_PREP_PRIV_H

#include "core/monitor.h"
#include "core/prep.h"
#include "core/prep_disk.h"
#include "core/rpc.h"

struct prep_fd {
	char name[24]; /* "nic0:tap", "kvm", ... as the monitor is told */
	int fd;        /* -1: it serves one start, and was sent */
};

struct prep_shared {
	char name[24];
	int fd;
	uint32_t number;
};

struct prep_slot {
	struct prep_nic nic;
	const struct nic_prep *type;
	bool prepared;
};

struct prep_guest {
	const char *name;
	uint64_t mem_bytes;
	bool shares_memory; /* with another process, for a back-end */
	bool no_reset;      /* the user accepts functions that cannot be reset */
	struct prep_fd fd[RPC_MAX_FDS];
	unsigned int n_fds;
	/* VFIO: a container or an iommufd; a group and a device for each NIC */
	struct prep_shared shared[1 + 2 * MONITOR_MAX_NICS];
	unsigned int n_shared;
	struct prep_slot slot[MONITOR_MAX_NICS];
	unsigned int n_nics;
	struct prep_disk disk[MONITOR_MAX_DISKS];
	unsigned int n_disks;
	int sig_fd; /* the supervisor's signalfd, ends every wait; 0: none */
};

/*
 * prep_guest_fd - one more descriptor for the monitor, owned by the guest from then on. -E2BIG (it
 * is closed then).
 */
int prep_guest_fd(struct prep_guest *g, const char *name, int fd);
/* prep_check_nic - are the words of a --nic right, as far as can be told before anything is opened?
 */
int prep_check_nic(const char *spec);
/*
 * prep_guest_nic - prepares one --nic. Negative errno after a message; what was prepared before
 * stays for prep_guest_release().
 */
int prep_guest_nic(struct prep_guest *g, const char *spec);
/*
 * prep_nic_reopen - reopen() of the back-end of the NIC in that slot: a descriptor, -EAGAIN: not
 * yet, anything else: never.
 */
int prep_nic_reopen(struct prep_guest *g, unsigned int slot, const char *name);
/*
 * prep_guest_sent - the monitor has them all: those that serve one start are closed.
 * prep_guest_again - the guest has reset: they are made anew, waiting for another process up to
 * PREP_AGAIN_MS. -EINTR: the user wants to end. Other negative errno after a message.
 * prep_guest_release - closes all and gives back what the preps hold, newest first. Idempotent.
 */
#define PREP_AGAIN_MS 30000
void prep_guest_sent(struct prep_guest *g);
int prep_guest_again(struct prep_guest *g);
void prep_guest_release(struct prep_guest *g);

#endif
