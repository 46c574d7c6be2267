#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Hardware in a Linux guest, inside the software host.
cd "$(dirname "$0")/../.." || exit 1
fl=$PWD/build/fourlane
[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
"$fl" lab build >/dev/null 2>&1 || { echo "1..0 # SKIP the software host's image cannot be built here; 'fourlane lab build' says why"; exit 0; }
copy=()
for f in t_device.sh guest_lib.sh guest_init.sh; do copy+=(--copy-in "tests/lab/$f"); done
exec "$fl" lab run --fresh --iommu intel --timeout 400 --cpus 1 "${copy[@]}" -- bash t_device.sh
