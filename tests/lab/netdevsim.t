#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tenants on netdevsim's VFs (t_netdevsim.sh). Skipped until 'fourlane lab build --modules' was run: compiling takes minutes.
cd "$(dirname "$0")/../.." || exit 1
fl=$PWD/build/fourlane
[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
"$fl" lab build --modules --cached >/dev/null 2>&1 ||
	{ echo "1..0 # SKIP the software host's modules are not built; 'fourlane lab build --modules' does it"; exit 0; }
exec "$fl" lab run --fresh --modules --timeout 400 --env "FOURLANE_SOAK=${FOURLANE_SOAK:-0}" --copy-in tests/lab/t_netdevsim.sh --copy-in tests/lab/micro_lib.sh -- bash t_netdevsim.sh
