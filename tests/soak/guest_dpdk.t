#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/lab/guest_dpdk.t with more traffic, in frames of several pieces, too, and all of it on each NIC.
. "$(dirname "$0")/../lab/guest_inside.sh"
GUEST_SECONDS=900
guest_inside t_guest_dpdk.sh frames=500 seconds=0.3 long=1
