/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host with two SR-IOV NICs for the tests of tenants: its sysfs is the tree of
 * helper_vfio_tree.h, its drivers' tables lie in memory that children share, so that what a killed
 * process has done stays done, as in a kernel. Every write to it can be made to fail, or be the
 * last thing a process does.
 */
#ifndef TESTS_UNIT_HELPER_TENANT_H
#define TESTS_UNIT_HELPER_TENANT_H

#include "helper_vfio_tree.h"
#include "sriov/tenant.h"

#define TH_PFS 2
#define TH_VFS 8

struct tenant_host {
	struct tree t;
	struct tree_kernel k;
	struct host_view view;
	struct sriov_env env;
	struct vfio_sys vfio;
	struct {
		unsigned int n_vfs;
		struct vf_settings vf[TH_VFS];
		unsigned int resets[TH_VFS];
	} pf[TH_PFS];
	/* what goes wrong */
	unsigned int n_writes;  /* host writes so far: sysfs files and settings */
	unsigned int fail_at;   /* the write of this number (from 1) fails; 0: none */
	bool fail_on;           /* and all after it */
	int fail_errno;         /* negative */
	unsigned int die_at;    /* the process ends at this write ... */
	bool die_after;         /* ... when it has taken effect */
	unsigned int gone_at;   /* before this write all VFs of the first PF go */
	enum vf_setting refuse; /* no driver takes it; VF_N_SETTINGS: none */
	int refuse_errno;
	unsigned int truncate_at; /* answers hold so many VFs only; 0: all */
	bool no_reset;            /* VFs that are made cannot be reset */
	bool keeps_settings;      /* VFs that are made again have what they had */
	volatile int busy;        /* the kernel's side of a write runs */
	char said[8192];          /* messages, a line each */
};

/*
 * tenant_host_setup/teardown - for cmocka; *state is a struct tenant_host. The process that sets up
 * is one of those that the host has.
 */
int tenant_host_setup(void **state);
int tenant_host_teardown(void **state);

/* th_apply - the file with that text; th_plan as `tenant plan` does it: how many steps. */
int th_apply(struct tenant_host *h, const char *yaml, size_t *changed);
/* th_number - how many VFs the PF gets, as by an operator's echo. */
void th_number(struct tenant_host *h, unsigned int pf, unsigned int n);
/* th_show_self - a child of that process is one of them too: for leases. */
void th_show_self(struct tenant_host *h);
/* th_reboot - another boot: no VFs, drivers probe, another boot id. */
void th_reboot(struct tenant_host *h);
/* th_state - all that the host is, as text: compare with strcmp(). The caller frees it. */
char *th_state(struct tenant_host *h);
/* th_fork - runs fn in a child that has shared the host; gives its status as waitpid() does. */
int th_fork(struct tenant_host *h, int (*fn)(struct tenant_host *h, void *arg), void *arg);
void th_calm(struct tenant_host *h); /* nothing goes wrong any more; said is empty */
void th_vf_bdf(unsigned int pf, unsigned int idx, char bdf[IOMMU_BDF_SIZE]);
const char *th_driver(struct tenant_host *h, unsigned int pf, unsigned int idx); /* static */

#endif
