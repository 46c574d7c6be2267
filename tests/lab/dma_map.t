#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `fourlane bench dma-map` on VT-d; by iommufd, too, where the modules are built ('fourlane lab build --modules').
cd "$(dirname "$0")/../.." || exit 1
fl=${B:-build}/fourlane
[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
err=$("$fl" lab build 2>&1 >/dev/null) || { echo "1..0 # SKIP the software host's image cannot be built here: ${err##*$'\n'}"; exit 0; }
modules=
! "$fl" lab build --modules --cached >/dev/null 2>&1 || modules=--modules
exec "$fl" lab run --fresh $modules --timeout 120 --iommu intel --copy-in tests/lab/t_dma_map.sh -- bash t_dma_map.sh
