#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An 82576 port, a VF and an NVMe disk in a Linux guest, behind VT-d.
. "$(dirname "$0")/guest_inside.sh"
GUEST_IOMMU=intel
guest_inside t_linux_direct.sh
