#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest's life under `fourlane run`: wrong calls, start, ps, stats, stop, Ctrl-C, kill -9 of either process.
. "$(dirname "$0")/lib.sh"
plan 32

"$FL" >/dev/null 2>"$TMP/e"; is no_command_is_a_wrong_call $? 2
"$FL" help >"$TMP/o"; is help_is_done $? 0
"$FL" help run >"$TMP/o"; check help_of_a_command grep -q -- --kernel "$TMP/o"
"$FL" run --kernel >/dev/null 2>"$TMP/e"; is option_without_value_is_a_wrong_call $? 2
"$FL" run >/dev/null 2>"$TMP/e"; is missing_kernel_is_a_wrong_call $? 2
is error_is_one_line "$(wc -l <"$TMP/e")" 1
check error_begins_with_fourlane grep -q '^fourlane: ' "$TMP/e"
"$FL" run --kernel "$MG" --mem 1 2>/dev/null; is tiny_memory_is_a_wrong_call $? 2
"$FL" run --kernel "$MG" --nic warp 2>"$TMP/e" </dev/null
case $? in 2|3) ok unknown_nic_is_refused ;; *) not_ok unknown_nic_is_refused ;; esac
# before a switch is asked for or an interface made
"$FL" run --kernel "$MG" --nic virtio,backend=switch,queeus=2 </dev/null 2>"$TMP/e"; is misspelt_key_is_a_wrong_call_without_a_switch $? 2
check and_it_is_named_alone [ "$(grep -c "'queeus' is not known" "$TMP/e")/$(wc -l <"$TMP/e")" = 1/1 ]
"$FL" run --kernel "$MG" --nic e1000,backend=tap,packed=on </dev/null 2>"$TMP/e"; is key_of_another_device_is_a_wrong_call $? 2
"$FL" run --kernel "$MG" --nic virtio,backend=tap,socket=/x </dev/null 2>"$TMP/e"; is key_of_another_backend_is_a_wrong_call $? 2
"$FL" stats nobody-there >/dev/null 2>"$TMP/e"; is stats_of_no_guest_fails $? 1
"$FL" host --json >"$TMP/host"; is host_is_done $? 0
check host_names_the_four_lanes grep -q '"vm-aware"' "$TMP/host"

if [ ! -w /dev/kvm ]; then
	"$FL" run --kernel "$MG" </dev/null 2>"$TMP/e"; is no_kvm_is_said_with_a_remedy "$(grep -c 'kvm.*;' "$TMP/e")" 1
	while [ $T -lt 32 ]; do skip "no /dev/kvm that this user may open"; done
	exit 0
fi
"$FL" run --kernel /nonexistent </dev/null 2>"$TMP/e"; is kernel_that_is_not_there_fails $? 1
echo "no elf" >"$TMP/noelf"
"$FL" run --kernel "$TMP/noelf" </dev/null 2>"$TMP/e"; is kernel_that_is_no_elf_fails $? 1
"$FL" run --kernel "$MG" --nic e1000,colour=red </dev/null 2>"$TMP/e"
check misspelt_device_key_is_named grep -q colour "$TMP/e"

guest_start fl-run virtio,backend=null dev=virtio mode=tx ms=100 warm_ms=10
check guest_gets_ready wait_for 20 guest_saw 'FL READY'
"$FL" ps --json | grep -q '"fl-run"'; check ps_lists_it [ $? = 0 ]
"$FL" run --name fl-run --kernel "$MG" </dev/null 2>"$TMP/e"; is second_guest_of_the_name_is_refused $? 1
"$FL" stats fl-run --json >"$TMP/s"; check stats_count_exits grep -q '"user_exits"' "$TMP/s"
"$FL" stop fl-run; is stop_is_done $? 0
guest_wait 10; is stopped_guest_leaves_status_0 $? 0
"$FL" ps --json | grep -q fl-run; check stopped_guest_is_gone_from_ps [ $? = 1 ]

guest_start fl-int e1000 dev=e1000 mode=tx
wait_for 20 guest_saw 'FL READY'
kill -INT "$GUEST_PID"; guest_wait 10; is ctrl_c_ends_it_in_order $? 0

guest_start fl-kill e1000 dev=e1000 mode=tx
wait_for 20 guest_saw 'FL READY'
vmm=$("$FL" stats fl-kill --json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -1)
kill -9 "$vmm"; guest_wait 10; is killed_monitor_is_reported $? 1
check killed_monitor_is_named grep -q 'signal 9' "$TMP/fl-kill.err"

guest_start fl-orphan e1000 dev=e1000 mode=tx
wait_for 20 guest_saw 'FL READY'
vmm=$("$FL" stats fl-orphan --json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -1)
kill -9 "$GUEST_PID"
gone() { ! kill -0 "$vmm" 2>/dev/null; }
check monitor_dies_with_its_supervisor wait_for 5 gone
# a dead guest's files are taken over by the next of its name, and go with it
guest_start fl-orphan e1000 dev=e1000 mode=tx
check a_dead_guests_name_is_free wait_for 20 guest_saw 'FL READY'
"$FL" stop fl-orphan
guest_wait 10; is and_its_files_go "$("$FL" ps | grep -c fl-orphan)" 0
