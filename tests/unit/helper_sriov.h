/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host with NICs made up in a temporary folder: sysfs, proc, state and run folders, a write()
 * that makes and removes VFs as the kernel does, and a driver whose VF settings live in a table.
 * Failures can be ordered: a file that does not take a write, a setting that the driver refuses.
 */
#ifndef TESTS_UNIT_HELPER_SRIOV_H
#define TESTS_UNIT_HELPER_SRIOV_H

#include "sriov/sriov_priv.h"

#define FAKE_MAX_VFS 16 /* of the first PF */
#define FAKE_MAX_PFS 4
#define FAKE_PF      "0000:01:00.0"

struct fake_pf {
	char id[32], name[16], dir[96]; /* dir: below sysfs */
	unsigned int ifindex, total, first_group;
	struct vf_settings *vf; /* total of them */
	unsigned int *n_vfs;    /* that there are */
};

struct fake_nic {
	char root[128], sysfs[160], proc[160];
	struct host_view view;
	struct sriov_env env;
	struct vf_settings vf[FAKE_MAX_VFS]; /* of the first PF */
	unsigned int n_vfs;
	struct fake_pf pf[FAKE_MAX_PFS];
	unsigned int n_pfs;
	unsigned int default_route; /* ifindex that it leads through; 0: none */
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
	unsigned int n_reads;     /* times that the settings of a PF were asked for */
	unsigned int n_resets;
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
/* fake_driver - the first PF's VF of this index is bound to a driver; NULL: none. */
void fake_driver(struct fake_nic *f, unsigned int idx, const char *driver);

/*
 * fake_pf_add - one more PF: of igb when the id is a PCI address, else a netdevsim device. numa -1:
 * no node. VFs of PCI get groups 100, 101, ... (200, ... for the one after it).
 */
struct fake_pf *fake_pf_add(struct fake_nic *f, const char *id, const char *name,
			    unsigned int total, int numa);
/* fake_vfs - it has n VFs now, without a write by anybody. */
void fake_vfs(struct fake_nic *f, struct fake_pf *pf, unsigned int n);
/* fake_vf_dir - a VF's folder below sysfs; static buffer. PCI only. */
const char *fake_vf_dir(const struct fake_pf *pf, unsigned int idx);
void fake_vf_driver(struct fake_nic *f, const struct fake_pf *pf, unsigned int idx,
		    const char *driver);
/* fake_group - the VF is in another IOMMU group. */
void fake_group(struct fake_nic *f, const struct fake_pf *pf, unsigned int idx, unsigned int group);

/* The kernel's part (helper_sriov_kernel.c). */
int fake_write(void *opaque, const char *path, const char *text);
extern const struct vf_ops fake_ops;
int fake_default_routes(void *opaque, unsigned int *ifindex, size_t max);

#endif
