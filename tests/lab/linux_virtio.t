#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
. "$(dirname "$0")/guest_inside.sh"
guest_inside t_linux_virtio.sh
