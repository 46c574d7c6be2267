#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/lab/linux_e1000.t with more traffic.
. "$(dirname "$0")/../lab/guest_inside.sh"
GUEST_SECONDS=1800
guest_inside t_linux_e1000.sh net_kb=40000 net_seconds=20
