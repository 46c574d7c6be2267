/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows the kernel's log for the faults of one guest's devices: the guest's supervisor polls the
 * descriptor and calls iommu_faults_ready(). What a line says is faults.c's. The log is everybody's
 * and may be flooded: each call reads a bounded number of records, an overrun is counted, and a
 * file that is not what we take it for is left alone at the first surprise, so that nothing spins.
 * Documentation/ABI/testing/dev-kmsg.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "iommu/iommu.h"

#define RECORD_MAX  8192 /* the kernel's CONSOLE_EXT_LOG_MAX: one read, one record */
#define RECORDS_MAX 64   /* read in one go */

struct fault_device {
	struct iommu_fault_source src;
	uint64_t n;
	struct err_limit said;
};

struct iommu_faults {
	const char *guest;
	int fd;
	struct iommu_fault_counts n;
	struct err_limit said; /* what cannot be told apart */
	size_t n_devices;
	struct fault_device device[];
};

/* --- opening -------------------------------------------------------------- */

/* Which fault lines there were before is not ours to tell. */
static int log_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (lseek(fd, 0, SEEK_END) >= 0)
		return fd;
	close(fd);
	return -ENOTSUP; /* some containers put another file there */
}

int iommu_faults_open(const char *path, const char *guest, const struct iommu_fault_source *src,
		      size_t n, struct iommu_faults **out)
{
	struct iommu_faults *f = calloc(1, sizeof(*f) + n * sizeof(f->device[0]));

	if (!f)
		return -ENOMEM;
	f->guest = guest;
	f->n_devices = n;
	for (size_t i = 0; i < n; i++)
		f->device[i].src = src[i];
	f->fd = log_open(path);
	if (f->fd == -EPERM || f->fd == -EACCES)
		err_say("guest '%s': DMA faults of its devices will not be shown: %s: %s; run as "
			"root or with CAP_SYSLOG, or 'sysctl kernel.dmesg_restrict=0'",
			guest, path, strerror(-f->fd));
	else if (f->fd < 0)
		err_say("guest '%s': DMA faults of its devices will not be shown: %s: %s; see the "
			"kernel's log of the host ('dmesg')",
			guest, path, strerror(-f->fd));
	if (f->fd < 0)
		f->fd = -1;
	*out = f;
	return 0;
}

void iommu_faults_close(struct iommu_faults *f)
{
	unsigned long hidden = f ? f->said.suppressed : 0;

	if (!f)
		return;
	for (size_t i = 0; i < f->n_devices; i++)
		hidden += f->device[i].said.suppressed;
	if (hidden)
		err_say("guest '%s': %lu more DMA faults were not shown; see the kernel's log",
			f->guest, hidden);
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

/* --- faults --------------------------------------------------------------- */

/* A line without a domain is taken for every domain's: VT-d's never has one. */
static bool fault_is_of(const struct iommu_fault *e, const char *bdf)
{
	unsigned int domain, bus, dev, fn;

	return sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) == 4 &&
	       (!e->has_domain || e->domain == domain) && e->bus == bus && e->dev == dev &&
	       e->fn == fn;
}

static void fault_say(const struct iommu_faults *f, struct fault_device *d,
		      const struct iommu_fault *e)
{
	const char *nic = d->src.nic, *bdf = d->src.bdf;

	if (e->kind == IOMMU_FAULT_INTERRUPT)
		err_limited(&d->said,
			    "guest '%s': %s (%s): the IOMMU stopped an interrupt that is not its "
			    "own (0x%" PRIx64 "; %s); see its driver in the guest",
			    f->guest, nic, bdf, e->addr, e->why);
	else if (e->kind == IOMMU_FAULT_OTHER)
		err_limited(&d->said,
			    "guest '%s': %s (%s): the IOMMU reports a fault at 0x%" PRIx64
			    " (%s); see the kernel's log",
			    f->guest, nic, bdf, e->addr, e->why);
	else
		err_limited(&d->said,
			    "guest '%s': %s (%s): the IOMMU stopped a DMA%s outside the guest's "
			    "memory, at 0x%" PRIx64 " (%s); see its driver in the guest",
			    f->guest, nic, bdf,
			    e->kind == IOMMU_FAULT_READ    ? " read"
			    : e->kind == IOMMU_FAULT_WRITE ? " write"
							   : "",
			    e->addr, e->why);
}

static void fault_untold(struct iommu_faults *f, const struct iommu_fault *e)
{
	char list[256] = "";

	f->n.untold++;
	for (size_t i = 0; i < f->n_devices; i++) {
		size_t n = strlen(list);

		snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", f->device[i].src.bdf);
	}
	err_limited(&f->said,
		    "guest '%s': the IOMMU reports a fault (%s) and not of which device; it may be "
		    "of this guest, which has %s: see its driver in the guest",
		    f->guest, e->why, list);
}

static void fault_take(struct iommu_faults *f, const struct iommu_fault *e)
{
	if (e->kind == IOMMU_FAULT_SUPPRESSED) {
		f->n.suppressed += e->n;
		return;
	}
	if (e->untold) {
		fault_untold(f, e);
		return;
	}
	for (size_t i = 0; i < f->n_devices; i++) {
		struct fault_device *d = &f->device[i];

		if (!fault_is_of(e, d->src.bdf))
			continue;
		d->n++;
		fault_say(f, d, e);
	}
}

void iommu_faults_ready(struct iommu_faults *f)
{
	char buf[RECORD_MAX];

	for (int i = 0; i < RECORDS_MAX && f->fd >= 0; i++) {
		ssize_t n = read(f->fd, buf, sizeof(buf));
		struct iommu_fault e;

		if (n > 0) {
			if (iommu_fault_parse(buf, (size_t)n, &e))
				fault_take(f, &e);
		} else if (n < 0 && errno == EPIPE) {
			f->n.overruns++; /* the next read gives the oldest that is left */
		} else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			return;
		} else {
			err_say("guest '%s': DMA faults of its devices are no longer shown: "
				"reading the kernel's log: %s; see 'dmesg'",
				f->guest, n ? strerror(errno) : "it has come to an end");
			close(f->fd);
			f->fd = -1;
		}
	}
}

/* --- what was seen -------------------------------------------------------- */

int iommu_faults_fd(const struct iommu_faults *f)
{
	return f->fd;
}

uint64_t iommu_faults_of(const struct iommu_faults *f, size_t i)
{
	return f->device[i].n;
}

struct iommu_fault_counts iommu_faults_count(const struct iommu_faults *f)
{
	return f->n;
}
