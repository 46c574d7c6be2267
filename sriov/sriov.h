/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carving a NIC: which NICs, physical functions (PF) and virtual functions (VF) there are, and how
 * many VFs a PF has. The commands `nics` and `vf` and the preparation of `--nic vf` are in this
 * folder; other folders use what stands here.
 *
 * A PF is a netdev whose device has sriov_numvfs; that it is a PCI function is optional (netdevsim
 * is none).
 */
#ifndef SRIOV_SRIOV_H
#define SRIOV_SRIOV_H

#include <stdbool.h>
#include <jansson.h>

#include "core/host.h"

/*
 * sriov_nics_json - every NIC of the host, an array of objects with the keys of `fourlane nics
 * --json`. New reference, NULL when memory is short. What the kernel does not tell is null in it.
 */
json_t *sriov_nics_json(const struct host_view *v);

/*
 * sriov_vfs_create - makes `pf` (netdev name or BDF) have `count` VFs and waits until they are
 * there. What was before is on disk first. The VFs get no host driver unless `autoprobe`. 0 also
 * when the count is right already; -ENOENT no such PF, -EOPNOTSUPP no SR-IOV, -ERANGE more than the
 * PF has, -EBUSY a VF is in use, or the kernel's errno; all after a message.
 */
int sriov_vfs_create(const char *pf, unsigned int count, bool autoprobe);

/*
 * sriov_vfs_remove - puts back what was there before fourlane changed anything on this PF:
 * settings, count, autoprobe. 0 also when nothing is to be put back; -EBUSY when a VF is in use;
 * after a message.
 */
int sriov_vfs_remove(const char *pf);

/*
 * sriov_tenant_make - a tenant of that name with one VF of `pf` (netdev name or BDF), for `--nic
 * vf,tenant=`; as `tenant apply` with such a file. It has to be the only one of this host: -EBUSY
 * when another has VFs; after a message, as all errors. bdf gets the VF's address. Again: 0.
 */
int sriov_tenant_make(const char *pf, const char *tenant, char bdf[16]);

/* sriov_tenant_end - it goes, and everything is as before it came. After a message on failure. */
int sriov_tenant_end(const char *tenant);

#endif
