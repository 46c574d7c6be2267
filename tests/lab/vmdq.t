#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
. "$(dirname "$0")/inside.sh"
[ -x build/fourlane-switch ] || { echo "1..0 # SKIP build/fourlane-switch is not built"; exit 0; }
# four busy guests: with CPUs that run side by side QEMU's model of SVM loses its way after a while, and the guests or the host die
inside t_vmdq.sh intel --in-turn
