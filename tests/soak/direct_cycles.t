#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# 200 guests one after the other on one port, on VT-d.
cd "$(dirname "$0")/../.." || exit 1
fl=$PWD/build/fourlane
[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
"$fl" lab build >/dev/null 2>&1 || { echo "1..0 # SKIP the software host's image cannot be built here; 'fourlane lab build' says why"; exit 0; }
exec "$fl" lab run --fresh --timeout 1500 --iommu intel --in-turn --copy-in tests/lab/t_cycles.sh --copy-in tests/lab/micro_lib.sh -- \
	env FOURLANE_CYCLES=200 bash t_cycles.sh
