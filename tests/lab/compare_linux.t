#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `fourlane compare --guest linux` in the software host, as short as it can be: Linux's own drivers, pktgen, iperf3 and ping in the guest.
# The emulated lane takes a minute more, and QEMU's Linux boots slowly in there and not always: both come with the long tests.
. "$(dirname "$0")/../integration/lib.sh"
"$FL" lab build >/dev/null 2>"$TMP/e" || skip_all "the software host's image cannot be built here: $(tail -1 "$TMP/e")"
lanes="paravirtual direct" seconds=290 peer=none
[ "${FOURLANE_SOAK:-0}" != 1 ] || { lanes="emulated $lanes" seconds=900 peer=qemu; }
plan $((7 + 4 * $(wc -w <<<"$lanes")))
timeout $seconds "$FL" compare --guest linux --where lab --lanes "${lanes// /,}" --peer $peer --quick --runs 1 --sizes 64 --json "$TMP/j" >"$TMP/o" 2>"$TMP/e"
is table_is_done $? 0
check title_names_the_guest grep -q '^The software host, a Linux guest ([0-9][^ ]*): medians' "$TMP/o"
check json_names_the_guest grep -q '"kind": "linux"' "$TMP/j"
check json_names_its_kernel grep -q '"kernel": "[0-9].*"' "$TMP/j"
# rate BLOCK LANE: whether its row with the tap or the wire has a median
rate() {
	awk -v block="$1" -v lane="$2" '/^[A-Z]/ { in_it = index($0, block) == 1 }
		in_it && $1 == lane && ($3 == "tap" || $3 == "wire") { print ($5 > 0) }' "$TMP/o"
}
for lane in $lanes; do
	for block in Transmit Receive 'TCP out' Ping-pong; do
		is "${lane}_${block// /_}_has_a_rate" "$(rate "$block" $lane)" 1
	done
done
is direct_has_all_its_rows "$(grep -c '^direct .*82576.*wire' "$TMP/o")" 5
if [ $peer = qemu ]; then
	tried() { test "$(grep -c '"peer": "qemu [0-9]' "$TMP/j")" = 5 && grep -q 'paravirtual, peer qemu: in the software host' "$TMP/o"; }
	check qemu_is_beside_the_direct_lane_only tried
else
	is nobody_is_beside_it "$(grep -c '"peer"' "$TMP/j")" 0
fi
if [ -x build-san/tests/test_bench_compare ]; then
	obeys() { BENCH_DOCUMENT=$TMP/j build-san/tests/test_bench_compare >"$TMP/s" 2>&1; }
	check json_obeys_the_schema obeys
else
	skip "build-san/tests/test_bench_compare is not built"
fi
grep -q 'run 1 failed' "$TMP/o" && grep 'run 1 failed' "$TMP/o" | sed 's/^/# /'
[ -s "$TMP/o" ] || sed 's/^/# /' "$TMP/e"
