#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# DPDK's e1000 and virtio drivers in a Linux guest on our monitor, inside the software host.
. "$(dirname "$0")/guest_inside.sh"
guest_inside t_guest_dpdk.sh
