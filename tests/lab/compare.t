#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `fourlane compare` in the software host, as short as it can be: the rows over the switch, the lane vmdq with a real pool of a NIC, the
# lane direct with QEMU beside it on the same NIC.
. "$(dirname "$0")/../integration/lib.sh"
[ -x "$B/fourlane-switch" ] || skip_all "fourlane-switch is not built: DPDK is missing; make deps"
"$FL" lab build >/dev/null 2>"$TMP/e" || skip_all "the software host's image cannot be built here: $(tail -1 "$TMP/e")"
plan 10
timeout 400 "$FL" compare --where lab --lanes paravirtual,vmdq,direct --sizes 64 --runs 1 --seconds 0.5 --json "$TMP/j" >"$TMP/o" 2>"$TMP/e"
is table_is_done $? 0
is vmdq_goes_both_ways_and_to_and_fro "$(grep -c '^vmdq .*wire' "$TMP/o")" 3
is two_nics_meet_at_the_switch "$(grep -c '^paravirtual .*switch' "$TMP/o")" 2
is direct_goes_both_ways_and_to_and_fro "$(grep -c '^direct .*82576.*wire' "$TMP/o")" 3
is each_with_a_ratio_to_qemu "$(grep -c '^direct .*wire .*[0-9]x$' "$TMP/o")" 3
# one access of the console may be on its way when the counters are read
is no_packet_of_it_exits_to_user_space "$(awk '$1 == "direct" && $(NF - 4) < 0.01' "$TMP/o" | wc -l)" 3
is json_has_qemus_rows "$(grep -c '"peer": "qemu [0-9]' "$TMP/j")" 3
check no_run_failed test "$(grep -c 'run 1 failed' "$TMP/o")" = 0
is nothing_but_qemu_beside_a_software_lane_was_skipped "$(sed -n '/^Skipped/,/^Where/s/^  \([^ ].*\)/\1/p' "$TMP/o")" \
	"paravirtual, peer qemu: in the software host QEMU stands beside real devices only"
if [ -x build-san/tests/test_bench_compare ]; then
	obeys() { BENCH_DOCUMENT=$TMP/j build-san/tests/test_bench_compare >"$TMP/s" 2>&1; }
	check json_obeys_the_schema obeys
else
	skip "build-san/tests/test_bench_compare is not built"
fi
[ -s "$TMP/o" ] || sed 's/^/# /' "$TMP/e"
