#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `fourlane compare` in the software host, as short as it can be: the rows over the switch and the lane vmdq, with a real pool of a NIC.
. "$(dirname "$0")/../integration/lib.sh"
[ -x "$B/fourlane-switch" ] || skip_all "fourlane-switch is not built: DPDK is missing; make deps"
"$FL" lab build >/dev/null 2>"$TMP/e" || skip_all "the software host's image cannot be built here: $(tail -1 "$TMP/e")"
plan 5
timeout 400 "$FL" compare --where lab --lanes paravirtual,vmdq --sizes 64 --runs 1 --seconds 0.5 --json "$TMP/j" >"$TMP/o" 2>"$TMP/e"
is table_is_done $? 0
is vmdq_goes_both_ways_and_to_and_fro "$(grep -c '^vmdq .*wire' "$TMP/o")" 3
is two_nics_meet_at_the_switch "$(grep -c '^paravirtual .*switch' "$TMP/o")" 2
check no_run_failed test "$(grep -c 'run 1 failed' "$TMP/o")" = 0
check nothing_of_it_was_skipped test "$(grep -c '^Skipped' "$TMP/o")" = 0
[ -s "$TMP/o" ] || sed 's/^/# /' "$TMP/e"
