#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `fourlane compare` on this host, as short as it can be: its table, its JSON, a peer that does not work, Ctrl-C.
. "$(dirname "$0")/lib.sh"
need_kvm
[ "$(id -u)" = 0 ] || skip_all "not root: no tap can be made"
plan 23
short="--where host --sizes 64 --runs 1 --seconds 0.1"

"$FL" compare --where moon >/dev/null 2>"$TMP/e"; is unknown_place_is_a_wrong_call $? 2
"$FL" compare --lanes warp >/dev/null 2>"$TMP/e"; is unknown_lane_is_a_wrong_call $? 2

"$FL" compare --guest bsd >/dev/null 2>"$TMP/e"; is unknown_guest_is_a_wrong_call $? 2

# shellcheck disable=SC2086
"$FL" compare $short --peer none --lanes emulated,paravirtual,vmdq --json "$TMP/j" >"$TMP/o" 2>"$TMP/e"; is table_is_done $? 0
check table_has_both_lanes grep -q '^paravirtual.*virtio-net.*tap' "$TMP/o"
if [ -x "$B/fourlane-switch" ]; then
	rows=14 latest='switch cross'
	check table_has_the_switch_between_two_nics grep -q '^emulated.*82540EM.*switch' "$TMP/o"
	check table_says_who_takes_part grep -q 'switch: one guest with two NICs' "$TMP/o"
else
	rows=10 latest='row  2'
	check missing_switch_is_skipped_with_a_remedy grep -q 'emulated, switch: fourlane-switch is not built' "$TMP/o"
	skip "fourlane-switch is not built"
fi
check table_tells_what_was_skipped grep -q '^  vmdq: ' "$TMP/o"
check table_fits_120_columns [ "$(awk '{ if (length > n) n = length } END { print n }' "$TMP/o")" -le 120 ]
check progress_is_on_stderr grep -q 'run 1 of 1, row' "$TMP/e"
is json_has_a_row_for_each_line "$(grep -c '"monitor": "fourlane-vmm"' "$TMP/j")" $rows
check title_names_the_guest grep -q '^[A-Z][a-z ]*, the microguest: medians' "$TMP/o"
check json_names_the_guest grep -q '"kind": "micro"' "$TMP/j"
check json_names_the_revision grep -q '"revision"' "$TMP/j"
check json_says_where grep -q '"where": "\(host\|lab\)"' "$TMP/j"
is nothing_was_left_behind "$(ls /sys/class/net | grep -c '^flc')" 0

# a QEMU that says its version and then nothing any more: ours is measured all the same
printf '#!/bin/sh\n[ "$1" = --version ] && echo "QEMU emulator version 9.9.9" || exit 1\n' >"$TMP/qemu"
chmod +x "$TMP/qemu"
# shellcheck disable=SC2086
FOURLANE_QEMU=$TMP/qemu "$FL" compare $short --lanes emulated --json "$TMP/j" >"$TMP/o" 2>"$TMP/e"; is broken_peer_fails_nothing_of_ours $? 0
check broken_peer_is_told grep -q "(QEMU).*the guest ended before" "$TMP/o"
# shellcheck disable=SC2086
FOURLANE_QEMU=/nonexistent "$FL" compare $short --lanes emulated >"$TMP/o" 2>"$TMP/e"
check missing_peer_is_skipped_with_a_remedy grep -q 'emulated, peer qemu: there is no' "$TMP/o"

# a KVM that cannot boot Linux is seen soon, and the table tells
if "$FL" host --json | grep -q '"kind": "kvm_pvm"' && "$FL" lab build >/dev/null 2>&1; then
	# shellcheck disable=SC2086
	timeout 120 "$FL" compare --guest linux $short --peer none --lanes emulated >"$TMP/o" 2>"$TMP/e"; is linux_that_does_not_boot_is_the_hosts_lack $? 3
	check its_silence_and_the_remedy_are_told grep -qz 'emulated: .*does not boot Linux: it says nothing within 5 s.*mend: .*--where lab' "$TMP/o"
else
	skip "this KVM boots Linux, or there is no image of it"
	skip "this KVM boots Linux, or there is no image of it"
fi

setsid "$FL" compare --where host --peer none --lanes paravirtual --sizes 64 --runs 50 >/dev/null 2>"$TMP/e" &
pid=$!
wait_for 60 grep -q "$latest" "$TMP/e"
kill -INT $pid; wait $pid; is ctrl_c_ends_it $? 130
is ctrl_c_leaves_no_guest_and_no_switch "$("$FL" ps | grep -c "^compare-$pid-")/$(pgrep -fc -- "--name cmp-$pid ")" 0/0
