#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a Linux guest may do to an 82576 port, a VF and an NVMe disk, behind VT-d.
. "$(dirname "$0")/../lab/guest_inside.sh"
GUEST_SECONDS=1800 GUEST_IOMMU=intel
guest_inside t_linux_direct_modes.sh
