#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The software host with what Debian's kernel leaves out: iommufd, VFIO's character devices, netdevsim. Skipped until
# 'fourlane lab build --modules' was run: compiling takes minutes (tests/soak/lab_modules.t does it).
cd "$(dirname "$0")/../.." || exit 1
fl=$PWD/build/fourlane
[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
"$fl" lab build --modules --cached >/dev/null 2>&1 ||
	{ echo "1..0 # SKIP the software host's modules are not built; 'fourlane lab build --modules' does it"; exit 0; }
uapi=$(make -s print-uapi)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
gcc -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -static ${uapi:+-isystem "$uapi"} -o "$tmp/iommufd" tests/lab/iommufd.c 2>"$tmp/err" ||
	{ echo "1..0 # SKIP this machine has no headers of iommufd, or no static libc: $(head -1 "$tmp/err")"; exit 0; }
for iommu in intel amd; do
	[ $iommu = intel ] || [ "${FOURLANE_SOAK:-0}" = 1 ] || continue
	"$fl" lab run --fresh --modules --iommu $iommu --timeout 200 --copy-in "$tmp/iommufd" --copy-in tests/lab/t_modules.sh -- \
		bash t_modules.sh $iommu >"$tmp/$iommu" 2>"$tmp/err"
	echo "$?" >"$tmp/$iommu.status"
	sed 's/^/# /' "$tmp/err"
done
# both runs as one, numbered through
cat "$tmp/intel" "$tmp/amd" 2>/dev/null | awk '/^(not )?ok / { sub(/ok [0-9]*/, "ok " ++n) } !/^1\.\./ { print } END { print "1.." n + 0 }'
! grep -qvx 0 "$tmp"/*.status
