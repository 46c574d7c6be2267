#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/lab/linux_direct.t with more traffic.
. "$(dirname "$0")/../lab/guest_inside.sh"
GUEST_SECONDS=3600 GUEST_IOMMU=intel
guest_inside t_linux_direct.sh pings=100000 seconds=30
