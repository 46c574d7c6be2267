/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `nics` says of carving (nics_carve.c), for cmd_nics.c.
 */
#ifndef SRIOV_NICS_CARVE_H
#define SRIOV_NICS_CARVE_H

#include "sriov/tenant.h"

extern const char *const vf_can_answers[]; /* by enum vf_can_answer */
/*
 * nics_add_carving - adds to each entry of nics_list(): "owner" of a VF (tenant, guest, pid); of a
 * PF "owners" (those of its VFs, with vf_index), "eswitch", "sriov" (the capability) and "can" (by
 * vf_can_names: answer and source). null where there is none or it cannot be read. st may be NULL:
 * no owners, nothing that was tried.
 */
void nics_add_carving(const struct sriov_env *e, const struct tenant_store *st, json_t *all);

#endif
