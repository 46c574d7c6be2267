#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The power goes while tenants get or give back their VFs; after each boot `tenant apply` reaches what is declared (t_power_cut.sh).
cd "$(dirname "$0")/../.." || exit 1
fl=$PWD/build/fourlane
[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
"$fl" lab build >/dev/null 2>&1 || { echo "1..0 # SKIP the software host's image cannot be built here; 'fourlane lab build' says why"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
gcc -O2 -Wall -Wextra -Werror -shared -fPIC -o "$tmp/power_cut.so" tests/lab/power_cut.c 2>"$tmp/err" || { echo "1..0 # SKIP power_cut.c does not compile here: $(head -1 "$tmp/err")"; exit 0; }
for ((boot = 0; boot < 200; boot++)); do
	"$fl" lab run --fresh --disk "$tmp/disk" --timeout 60 --env "FOURLANE_SOAK=${FOURLANE_SOAK:-0}" --copy-in "$tmp/power_cut.so" --copy-in tests/lab/t_power_cut.sh -- \
		bash t_power_cut.sh $boot >"$tmp/out" 2>"$tmp/err"
	status=$?
	[ $status != 0 ] || { cat "$tmp/out"; exit 0; }
	grep -q 'host inside ended' "$tmp/err" || break
done
sed 's/^/# /' "$tmp/out" "$tmp/err"
echo "not ok 1 - boot $boot ended with $status"
echo 1..1
exit 1
