#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest on a switch is paused in mid-traffic: the switch has none of its rings meanwhile, and nothing is lost or torn.
. "$(dirname "$0")/lib.sh"
need_kvm
command -v perl >/dev/null || skip_all "no perl"
. "$(dirname "$0")/switch_lib.sh"
plan 24
nic() { echo "$1,backend=switch,switch=$SWN,port=$2"; }
printf 'ports:\n  - {name: a, type: vhost-user}\n  - {name: b, type: vhost-user}\n' >"$TMP/sw.yaml"

moves() { local n; n=$(count "$1" "$2"); sleep 0.2; [ "$(count "$1" "$2")" -gt "$n" ]; }
# stands: neither counter of port a moves
stands() {
	local before after
	before=$(count a in_frames)/$(count a out_frames)
	sleep 0.5
	after=$(count a in_frames)/$(count a out_frames)
	is "$1" "$after" "$before"
}

for t in virtio e1000; do
	switch_start "$TMP/sw.yaml"
	g_start rx "$(nic virtio b)" dev=virtio mode=rx size=256 ms=12000 warm_ms=0 check=all
	g_start tx "$(nic $t a)" dev=$t mode=tx size=256 ms=6000 warm_ms=0 check=all dst="$(g_mac rx)"
	g_say rx g; g_say tx g
	check ${t}_sender_runs wait_for 20 moves b out_frames
	"$FL" pause "tx-$$"; is ${t}_sender_is_paused $? 0
	stands nothing_of_a_paused_${t}_goes_out
	"$FL" resume "tx-$$"; is ${t}_sender_is_resumed $? 0
	check ${t}_sender_goes_on wait_for 20 moves b out_frames
	"$FL" pause "rx-$$"
	is receiver_is_paused_beside_${t} $? 0
	before=$(count b out_frames)
	sleep 0.5
	is paused_receiver_gets_nothing_from_${t} "$(count b out_frames)" "$before"
	"$FL" resume "rx-$$"
	check receiver_goes_on_beside_${t} wait_for 20 moves b out_frames
	check ${t}_sender_finishes g_result tx 30
	check receiver_finishes_beside_${t} g_result rx 30
	is each_frame_from_${t}_is_whole "$(g_field rx bad)" 0
	is counters_close_with_${t} "$(total balance)" 0
	g_end tx
	g_end rx
	switch_kill
done
