#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's kernel on our monitor, inside the software host; the kernel's files are those that the software host's image was made from.
cd "$(dirname "$0")/../.." || exit 1
fl=$PWD/build/fourlane
[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
if ! image=$("$fl" lab build 2>/dev/null); then
	echo "1..0 # SKIP the software host's image cannot be built here; 'fourlane lab build' says why"
	exit 0
fi
exec "$fl" lab run --fresh --cpus 1 --iommu none --timeout 400 --copy-in "$image/vmlinuz" --copy-in "$image/vmlinux" \
	--copy-in tests/lab/t_linux_boot.sh -- bash t_linux_boot.sh
