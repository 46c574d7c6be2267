/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a PF's driver keeps of its VFs, for made-up hosts: how one setting gets into its table. What
 * it refuses, and which VFs there are, is the host's matter.
 */
#ifndef TESTS_UNIT_HELPER_VF_DRIVER_H
#define TESTS_UNIT_HELPER_VF_DRIVER_H

#include "sriov/sriov_priv.h"

/* vf_driver_take - this one setting of `to` becomes the VF's; all its others stay as they are. */
void vf_driver_take(struct vf_settings *vf, enum vf_setting s, const struct vf_settings *to);

#endif
