#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest on a switch resets: its port is the same one, and the switch's next frames come and go.
. "$(dirname "$0")/lib.sh"
need_kvm
command -v perl >/dev/null || skip_all "no perl"
. "$(dirname "$0")/switch_lib.sh"
plan 12
nic() { echo "$1,backend=switch,switch=$SWN,port=$2"; }
printf 'ports:\n  - {name: a, type: vhost-user}\n  - {name: b, type: vhost-user}\n' >"$TMP/sw.yaml"
starts() { [ "$(grep -c 'FL READY' "$TMP/$1.out")" = "$2" ]; }

for t in virtio e1000; do
	switch_start "$TMP/sw.yaml"
	g_start rx "$(nic virtio b)" dev=virtio mode=rx size=256 ms=1500 warm_ms=0 check=all
	mac=$(g_mac rx)
	g_start tx "$(nic $t a)" dev=$t mode=tx size=256 ms=500 warm_ms=0 check=all dst="$mac"
	g_say tx r
	check ${t}_sender_starts_again wait_for 40 starts tx 2
	g_say rx r
	check receiver_starts_again_beside_${t} wait_for 40 starts rx 2
	g_say rx g
	g_say tx g
	check ${t}_sender_finishes g_result tx 30
	g_result rx 30
	check frames_of_${t}_arrive [ "$(g_field rx frames)" -gt 0 ]
	is each_frame_of_${t}_is_whole "$(g_field rx bad)" 0
	is nothing_is_complained_of_with_${t} "$(cat "$TMP/tx.err" "$TMP/rx.err")" ""
	g_end tx rx
	switch_kill
done
