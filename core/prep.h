/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `fourlane run` does for a NIC before (and after) the monitor runs: open the tap, bind and
 * open the VFIO device, lease a VF. It works with the caller's rights; the jailed monitor gets
 * descriptors only. A folder registers a struct nic_prep for each first word of --nic, and a struct
 * backend_prep for each back-end that needs something opened.
 */
#ifndef CORE_PREP_H
#define CORE_PREP_H

#include <stdint.h>

#include "core/opts.h"
#include "core/registry.h"

struct prep_guest;

/* prep_guest_name / prep_guest_mem - of the guest that is being prepared. */
const char *prep_guest_name(const struct prep_guest *g);
uint64_t prep_guest_mem(const struct prep_guest *g);
/* prep_guest_no_reset - its user takes functions of the host that cannot be reset. */
bool prep_guest_no_reset(const struct prep_guest *g);
/*
 * A descriptor that several NICs of one guest share (the VFIO container). prep_shared_fd() gives
 * it, or -ENOENT; prep_set_shared_fd() stores it (the guest owns it from then on), and beside it a
 * number that belongs to it (the address space in an iommufd), which prep_shared_number() gives.
 */
int prep_shared_fd(const struct prep_guest *g, const char *name);
uint32_t prep_shared_number(const struct prep_guest *g, const char *name);
int prep_set_shared_fd(struct prep_guest *g, const char *name, int fd, uint32_t number);

struct prep_nic;
/* prep_guest_nic_at - the NIC of that index, prepared or not; NULL: there are not so many. */
const struct prep_nic *prep_guest_nic_at(const struct prep_guest *g, unsigned int idx);

struct prep_nic {
	char name[16]; /* "nic0" */
	unsigned int idx;
	struct opts *opts; /* as the user gave them; keys may be taken */
	/*
	 * What the monitor is told: "type,key=value,...". NULL: the user's own text, with
	 * prep_nic_add_opt()'s pairs appended. Allocated; freed by the owner.
	 */
	char *device_opts;
	const char *first_opts; /* more of it, ",key=value", in the guest's first life; or NULL */
	char lane[16];          /* "emulated", "paravirtual", "direct", "vf": for ps and stats */
	void *state;            /* the prep's own, between prepare and release */
};

/*
 * prep_add_fd - hands a descriptor to the device under a name (at most 15 bytes). The descriptor is
 * owned by the guest then.
 */
int prep_add_fd(struct prep_guest *g, struct prep_nic *nic, const char *name, int fd);
/* prep_set_opts - device_opts by format. -ENOMEM. */
int prep_set_opts(struct prep_nic *nic, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * prep_wait - for a prepare() that has to wait for another process: until `fd` is ready for
 * `events` (poll(2)), at most timeout_ms. fd -1: just the time. 0 ready, -ETIMEDOUT, -EINTR: the
 * user wants to end (Ctrl-C), give up without a message.
 */
int prep_wait(struct prep_guest *g, int fd, short events, int timeout_ms);

struct nic_prep {
	const char *name; /* first word of --nic */
	const char *lane;
	const char *keys; /* help, one line */
	/* Negative errno after a message; what it changed on the host it has then put back. */
	int (*prepare)(struct prep_guest *g, struct prep_nic *nic);
	/*
	 * The monitor is gone: give back. May be NULL. Called once for each prepare that gave 0.
	 */
	void (*release)(struct prep_guest *g, struct prep_nic *nic);
};
#define NIC_PREP(ptr) REGISTER(fl_nic_preps, struct nic_prep, ptr)

struct backend_prep {
	const char *name; /* value of backend= */
	const char *keys;
	bool shares_memory; /* another process maps the guest's memory */
	int (*prepare)(struct prep_guest *g, struct prep_nic *nic);  /* NULL: nothing to open */
	void (*release)(struct prep_guest *g, struct prep_nic *nic); /* may be NULL */
	/*
	 * The device has lost its descriptor `name` and wants another (device_want_fd()). Without
	 * waiting: the new descriptor, which the caller closes after it was sent; -EAGAIN: not yet,
	 * asked again in a moment, without limit in time. May be NULL: nothing comes.
	 */
	int (*reopen)(struct prep_guest *g, struct prep_nic *nic, const char *name);
	/*
	 * Descriptors whose names begin so serve one start of the guest (a connection): they are
	 * closed once they are sent, and reopen() gives others when the guest resets. Those of all
	 * other names are kept and sent again. May be NULL.
	 */
	const char *once;
};
#define BACKEND_PREP(ptr) REGISTER(fl_backend_preps, struct backend_prep, ptr)

/*
 * prep_software - prepare() of every software NIC: fills in the MAC that follows from the guest's
 * name and the NIC's index when none is given, and runs the back-end's prep.
 * prep_software_release() is its counterpart.
 */
int prep_software(struct prep_guest *g, struct prep_nic *nic);
void prep_software_release(struct prep_guest *g, struct prep_nic *nic);

#endif
