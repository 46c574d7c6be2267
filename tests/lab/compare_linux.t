#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `fourlane compare --guest linux` in the software host, as short as it can be: Linux's own drivers, pktgen, iperf3 and ping in the guest.
. "$(dirname "$0")/../integration/lib.sh"
"$FL" lab build >/dev/null 2>"$TMP/e" || skip_all "the software host's image cannot be built here: $(tail -1 "$TMP/e")"
plan 14
timeout 280 "$FL" compare --guest linux --where lab --lanes emulated,paravirtual --quick --runs 1 --sizes 64 --json "$TMP/j" >"$TMP/o" 2>"$TMP/e"
is table_is_done $? 0
check title_names_the_guest grep -q '^The software host, a Linux guest ([0-9][^ ]*): medians' "$TMP/o"
check json_names_the_guest grep -q '"kind": "linux"' "$TMP/j"
check json_names_its_kernel grep -q '"kernel": "[0-9].*"' "$TMP/j"
# rate BLOCK LANE: the median of its row with the tap
rate() { awk -v block="$1" -v lane="$2" '/^[A-Z]/ { in_it = index($0, block) == 1 } in_it && $1 == lane && $3 == "tap" { print ($5 > 0) }' "$TMP/o"; }
for lane in emulated paravirtual; do
	for block in Transmit Receive 'TCP out' Ping-pong; do
		is "${lane}_${block// /_}_has_a_rate" "$(rate "$block" $lane)" 1
	done
done
check qemu_is_beside_it_or_said_to_be_missing grep -q 'emulated, peer qemu: the software host has no QEMU in it' "$TMP/o"
if [ -x build-san/tests/test_bench_compare ]; then
	obeys() { BENCH_DOCUMENT=$TMP/j build-san/tests/test_bench_compare >"$TMP/s" 2>&1; }
	check json_obeys_the_schema obeys
else
	skip "build-san/tests/test_bench_compare is not built"
fi
grep -q 'run 1 failed' "$TMP/o" && grep 'run 1 failed' "$TMP/o" | sed 's/^/# /'
[ -s "$TMP/o" ] || sed 's/^/# /' "$TMP/e"
