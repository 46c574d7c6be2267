#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/lab/linux_e1000_modes.t with more traffic, 100 reloads.
. "$(dirname "$0")/../lab/guest_inside.sh"
GUEST_SECONDS=1800
guest_inside t_linux_e1000_modes.sh net_kb=8000 reloads=100
