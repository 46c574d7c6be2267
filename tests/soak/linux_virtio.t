#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/lab/linux_virtio.t with more traffic, 100 reloads.
. "$(dirname "$0")/../lab/guest_inside.sh"
GUEST_SECONDS=1800
guest_inside t_linux_virtio.sh net_kb=8000 net_seconds=20 reloads=100
