/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices of the monitor. A device model lives in its own folder and registers a struct device_type
 * with one line, DEVICE_TYPE(&e1000_type). It gets its option string and the descriptors that the
 * supervisor opened for it.
 */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include "core/opts.h"
#include "core/registry.h"
#include "core/stats.h"
#include "core/vm.h"

struct device_fd {
	char name[24]; /* "tap", "device", "container", ... agreed between the folder's prep_*.c and
			  its device */
	int fd;        /* owned by the conf until taken; -1 afterwards */
};

#define DEVICE_MAX_FDS 16

struct device_conf {
	const char *name;  /* "nic0": lives as long as the guest */
	struct opts *opts; /* type and options; the device takes its keys */
	struct device_fd fds[DEVICE_MAX_FDS];
	unsigned int n_fds;
};

/* device_take_fd - the descriptor of that name, now the caller's; -ENOENT. */
int device_take_fd(struct device_conf *conf, const char *name);

struct device;

struct device_ops {
	/*
	 * The vCPUs and the I/O thread are stopped (or the device never started). Frees everything.
	 */
	void (*destroy)(struct device *d);
	/* Counters; main thread, while everything runs. May be NULL. */
	void (*stats)(struct device *d, struct stats_sink *s);
	/*
	 * A descriptor that device_want_fd() asked for; the device's now. Main thread, while
	 * everything runs. NULL: the device never asks.
	 */
	void (*late_fd)(struct device *d, const char *name, int fd);
	/*
	 * The vCPUs and the I/O thread stand still. pause: when it returns nothing else that works
	 * for the device (hardware, another process) reads or writes guest memory, until resume.
	 * Gives 1 when it has switched off the bus mastering of hardware for that, else 0; a
	 * negative errno when it cannot: the guest is not paused then. Main thread. Both NULL: there
	 * is nothing else.
	 */
	int (*pause)(struct device *d);
	void (*resume)(struct device *d);
};

struct device {
	const struct device_ops *ops;
	const struct device_type *type;
	const char *name;
};

/*
 * device_want_fd - asks the supervisor for a new descriptor `name` of device `device` ("nic0"): the
 * one it was given is dead (the other process is gone). It comes by late_fd(), after any time, or
 * never. Asking again while one is due changes nothing. Any thread; needs no lock.
 */
void device_want_fd(struct vm *vm, const char *device, const char *name);

struct device_type {
	const char *name; /* the first word of --nic */
	const char *keys; /* help: "mac=, backend=null|loop|tap" */
	/*
	 * On success *out embeds a struct device with ops set; name and type are filled by the
	 * caller. Negative errno after a message.
	 */
	int (*create)(struct vm *vm, struct device_conf *conf, struct device **out);
};
#define DEVICE_TYPE(ptr) REGISTER(fl_device_types, struct device_type, ptr)

/*
 * device_create - finds the type, creates, and refuses keys that nobody took. -EINVAL after a
 * message that lists the types.
 */
int device_create(struct vm *vm, struct device_conf *conf, struct device **out);
void device_destroy(struct device *d); /* accepts NULL */

#endif
