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
# run IOMMU COMMAND: in a software host of that kind
run() {
	"$fl" lab run --fresh --modules --in-turn --iommu "$1" --timeout 250 --copy-in "$tmp/iommufd" --copy-in tests/lab/t_modules.sh \
		--copy-in tests/lab/t_iommufd.sh --copy-in tests/lab/micro_lib.sh -- bash -c "$2" >"$tmp/$1" 2>"$tmp/err"
	echo "$?" >"$tmp/$1.status"
	sed 's/^/# /' "$tmp/err"
}
run intel 'bash t_modules.sh intel; a=$?; bash t_iommufd.sh intel; exit $a'
if [ "${FOURLANE_SOAK:-0}" = 1 ]; then
	run amd 'bash t_modules.sh amd; a=$?; bash t_iommufd.sh amd; exit $a'
else
	run amd 'bash t_iommufd.sh amd short'
fi
# all runs as one, numbered through
cat "$tmp/intel" "$tmp/amd" | awk '/^(not )?ok / { sub(/ok [0-9]*/, "ok " ++n) } !/^1\.\./ { print } END { print "1.." n + 0 }'
! grep -qvx 0 "$tmp"/*.status
