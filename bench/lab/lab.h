/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software host as the command sees it: find or build its image, start it under a guardian or
 * connect to the one that is up, run commands inside, copy files in and out. Used by cmd_lab.c and
 * by `compare`.
 *
 * Processes: the command P forks the guardian G (lab_guard.c), G starts QEMU. G ends QEMU and
 * itself when P's socket closes (a lab for one command), or when told (`lab up`); the kernel ends
 * QEMU when G dies. Nothing is written to disk by any of them but the file that the user names for
 * the NVMe disk, so nothing else stays.
 */
#ifndef BENCH_LAB_LAB_H
#define BENCH_LAB_LAB_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lab;

enum lab_iommu { LAB_IOMMU_INTEL, LAB_IOMMU_AMD, LAB_IOMMU_NONE };

/* lab_iommu_parse - "intel", "amd", "none". -EINVAL without a message. lab_iommu_name is the way
 * back. */
int lab_iommu_parse(const char *name, enum lab_iommu *out);
const char *lab_iommu_name(enum lab_iommu kind);

struct lab_image {
	char dir[PATH_MAX - 64];
	char kernel[64];
	char qemu[32];
	char modules[PATH_MAX -
		     64]; /* folder of modules for that kernel; "": none were asked for */
};

/*
 * lab_image_wait - the cached image; builds it when it is not there (minutes at most, progress on
 * stderr). 0, or negative errno after a message; -EOPNOTSUPP when this machine cannot build it;
 * -EINTR without one when `signals` (-1: none) became readable.
 */
int lab_image_wait(int signals, struct lab_image *image);
/*
 * lab_image_prepare - the same, with modules for iommufd, VFIO's character devices and netdevsim
 * (LAB_IMAGE_MODULES: they are built, too), or without building anything (LAB_IMAGE_CACHED: -ENOENT
 * after a message when something is not there).
 */
enum { LAB_IMAGE_MODULES = 1, LAB_IMAGE_CACHED = 2 };
int lab_image_prepare(int signals, unsigned int flags, struct lab_image *image);
/* lab_image_get - lab_image_wait() for callers whose signals are as usual. */
int lab_image_get(struct lab_image *image);

enum { LAB_CPUS_MAX = 8 };

struct lab_options {
	enum lab_iommu iommu;
	const char *append; /* more words for the kernel's command line, or NULL; a lab that is up
			       does not get them */
	bool any_iommu;     /* a lab that is up may be of another kind */
	bool fresh;         /* do not use a lab that is up */
	bool in_turn;    /* its CPUs run one after the other: slower, but QEMU's model of SVM, which
			    loses its way at times, is sound then under several busy guests */
	int cpus;        /* 1..LAB_CPUS_MAX, 0: two */
	bool modules;    /* with iommufd, VFIO's character devices and netdevsim */
	const char *tap; /* a tap of this machine that joins the wire, made if it is not there; or
			    NULL */
	const char *disk; /* the file behind its NVMe disk, made if it is not there, which stays; NULL:
			     memory */
	bool console;    /* show the serial console on stderr while it boots and runs */
	int signals;     /* descriptor that becomes readable when waits shall end with -EINTR (a
			    signalfd); -1: none. Never read here */
};

/*
 * lab_open - a lab to work with: the one that is up if it fits, else a fresh one, which ends with
 * lab_close() or with this process. Programs of this build are put into /opt/fourlane/bin. 0, or
 * negative errno after a message; -EINTR when o->signals became readable, without one. The caller
 * owns *out.
 */
int lab_open(const struct lab_options *o, struct lab **out);

/*
 * lab_up - starts a lab that outlives this process, or finds one of the same kind up. Negative
 * errno after a message (-EINTR: without). The caller owns *out.
 */
int lab_up(const struct lab_options *o, struct lab **out);

/* lab_down - ends the lab that is up and waits for it. 0 also when there is none. */
int lab_down(int signals);

/*
 * lab_attach - the lab that is up, without putting anything into it; waits for one that is booting.
 * -ENOENT without a message when there is none.
 */
int lab_attach(int signals, struct lab **out);

/* lab_close - ends a fresh lab and waits for its processes; only disconnects from one that is up.
 * Accepts NULL. */
void lab_close(struct lab *lab);

/* lab_info - value of a key: where, kernel, qemu, iommu, modules (yes, no), boot_ms, tap (when it
 * has one). Its length, or -ENOENT without a message. */
int lab_info(const struct lab *lab, const char *key, char *buf, size_t size);

/* lab_query - asks the guardian; lab_info() then also finds pid, qemu_pid, up_s, sessions. Negative
 * errno after a message. */
int lab_query(struct lab *lab);

struct lab_command {
	const char *const *argv; /* NULL-ended */
	const char *const *env;  /* "NAME=value", NULL-ended, or NULL */
	bool terminal;           /* this process's terminal, raw; Ctrl-] leaves */
	int in, out, err;        /* descriptors; in: -1 for an empty stdin. Stay the caller's */
	int timeout_ms;          /* 0: none */
};

/*
 * lab_run - runs a command inside. Its exit status (128 + signal when a signal ended it), or
 * negative errno: -EINTR `signals` became readable (the command is ended inside), -ETIMEDOUT (ended
 * too), both without a message; -EPIPE after one.
 */
int lab_run(struct lab *lab, const struct lab_command *c);

/*
 * lab_put / lab_get - as cp would: file or folder `from` becomes `to`, or goes into it when that is
 * a folder that is there; modes are kept. Negative errno after a message.
 */
int lab_put(struct lab *lab, const char *from, const char *to);
int lab_get(struct lab *lab, const char *from, const char *to);
/* lab_copy_in - file or folder `from` to `to` inside (created with its parents). Negative errno
 * after a message. */
int lab_copy_in(struct lab *lab, const char *from, const char *to);
/* lab_copy_out - file or folder `from` inside to `to`. Negative errno after a message. */
int lab_copy_out(struct lab *lab, const char *from, const char *to);

#endif
