#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
. "$(dirname "$0")/inside.sh"
[ -x build/fourlane-switch ] || { echo "1..0 # SKIP build/fourlane-switch is not built"; exit 0; }
inside t_vmdq.sh intel
