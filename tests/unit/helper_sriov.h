/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host with NICs made up in a temporary folder: sysfs, proc, state and run folders, a write()
 * that makes and removes VFs as the kernel does, and a driver whose VF settings live in a table.
 * Failures can be ordered: a file that does not take a write, a setting that the driver refuses.
 */
#ifndef TESTS_UNIT_HELPER_SRIOV_H
#define TESTS_UNIT_HELPER_SRIOV_H

#include "sriov/sriov_priv.h"

#define FAKE_MAX_VFS 16
#define FAKE_PF      "0000:01:00.0"

struct fake_nic {
	char root[128], sysfs[160], proc[160];
	struct host_view view;
	struct sriov_env env;
	struct vf_settings vf[FAKE_MAX_VFS];
	unsigned int n_vfs;
	/* what goes wrong */
	const char *fail_file;   /* a write to a file of this name fails ... */
	int fail_errno;          /* ... with this, negative */
	unsigned int fail_after; /* after so many that do not */
	enum vf_setting refuse;  /* VF_N_SETTINGS: none */
	int refuse_errno;
	bool ignore_writes;       /* the driver takes settings and does nothing */
	bool keep_vfs_hidden;     /* VFs do not appear in sysfs */
	unsigned int truncate_at; /* answers hold so many VFs only; 0: all */
	unsigned int n_writes;    /* settings that arrived */
	unsigned int autoprobe_at_creation;
	/* messages */
	char said[1024];
	unsigned int n_said;
};

/*
 * fake_nic_setup/teardown - for cmocka; *state is a struct fake_nic. One igb PF "lab0" with 7 VFs
 * at most, group 1.
 */
int fake_nic_setup(void **state);
int fake_nic_teardown(void **state);

/* Files of the made-up tree: paths relative to its sysfs. */
void fake_file(struct fake_nic *f, const char *path, const char *text);
void fake_link(struct fake_nic *f, const char *path, const char *target);
void fake_remove(struct fake_nic *f, const char *path);
const char *fake_read(struct fake_nic *f, const char *path); /* static buffer */
bool fake_record_exists(struct fake_nic *f, const char *name);
const char *fake_record_text(struct fake_nic *f, const char *name); /* static buffer */
/* fake_driver - the VF of this index is bound to a driver; NULL: none. */
void fake_driver(struct fake_nic *f, unsigned int idx, const char *driver);

#endif
