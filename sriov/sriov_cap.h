/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SR-IOV capability of a PF and the BARs of its VFs (sriov_cap.c), for `nics`.
 */
#ifndef SRIOV_SRIOV_CAP_H
#define SRIOV_SRIOV_CAP_H

#include "sriov/sriov_priv.h"

#define SRIOV_N_BARS 6

struct sriov_cap {
	uint16_t total, initial; /* TotalVFs, InitialVFs */
	uint16_t offset, stride; /* First VF Offset, VF Stride: routing ids */
	uint16_t vf_device;
	bool ari; /* ARI Capable Hierarchy */
};
/*
 * sriov_cap_read - false when it cannot be read (not root, no such device or capability). No
 * message.
 */
bool sriov_cap_read(const struct host_view *v, const char *bdf, struct sriov_cap *out);

struct sriov_bar {
	unsigned int index;  /* BAR number of each VF */
	uint64_t size;       /* bytes, of all VFs that the device can have (TotalVFs) */
	bool wide, prefetch; /* 64 bits; prefetchable */
};
/*
 * sriov_cap_bars - BARs of the VFs of a PF's device folder. Gives how many; none when it cannot be
 * read. No message.
 */
unsigned int sriov_cap_bars(const char *dir, struct sriov_bar out[SRIOV_N_BARS]);

#endif
