#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every header compiles alone, and every source and header says its licence (TAP).
cd "$(dirname "$0")/.." || exit 1
uapi=$(make -s --no-print-directory print-uapi 2>/dev/null)
mapfile -t headers < <(git ls-files '*.h' 2>/dev/null || find . -name '*.h' -not -path './build*')
mapfile -t sources < <(git ls-files '*.c' '*.h' '*.S' '*.sh' Makefile 2>/dev/null)
echo "1..$((${#headers[@]} + 1))"
n=0
# DPDK's own words, as the Makefile gives them, for the folders that use it
dpdk=$(pkg-config --cflags libdpdk 2>/dev/null | sed 's/-I/-isystem /g')
for h in "${headers[@]}"; do
	n=$((n + 1))
	more=
	case $h in vmdq/* | vswitch/*) more=$dpdk ;; esac
	if [ -z "$dpdk" ] && grep -q '^#include <rte_' "$h"; then
		echo "ok $n - $h # SKIP DPDK is not installed"
		continue
	fi
	# shellcheck disable=SC2086
	if out=$(gcc -D_GNU_SOURCE -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter -I. ${uapi:+-isystem "$uapi"} -isystem /usr/include/libnl3 \
		$more -fsyntax-only -x c "$h" 2>&1); then
		echo "ok $n - $h"
	else
		echo "not ok $n - $h"
		sed 's/^/# /' <<<"$out" | head -5
	fi
done
n=$((n + 1))
bad=
for f in "${sources[@]}"; do
	head -3 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' || bad="$bad $f"
done
[ -z "$bad" ] && echo "ok $n - SPDX lines" || echo "not ok $n - no SPDX line in:$bad"
