#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Under traffic: the switch is killed and started again 10 times, then a guest is, 10 times; whoever lives goes on.
. "$(dirname "$0")/lib.sh"
need_kvm
command -v perl >/dev/null || skip_all "no perl"
. "$(dirname "$0")/switch_lib.sh"
rounds=${ROUNDS:-10}
plan 11
nic() { echo "$1,backend=switch,switch=$SWN,port=$2"; }
cat >"$TMP/sw.yaml" <<Y
ports:
  - {name: va, type: vhost-user, vlan: 1}
  - {name: vb, type: vhost-user, vlan: 1}
  - {name: ea, type: vhost-user, vlan: 2}
  - {name: eb, type: vhost-user, vlan: 2}
  - {name: x, type: vhost-user, vlan: 1}
Y
switch_start "$TMP/sw.yaml"
g_start vb "$(nic virtio vb)" dev=virtio mode=rx ms=600000 warm_ms=0
g_start va "$(nic virtio va)" dev=virtio mode=tx ms=600000 warm_ms=0 dst="$(g_mac vb)"
g_start eb "$(nic e1000 eb)" dev=e1000 mode=rx ms=600000 warm_ms=0
g_start ea "$(nic e1000 ea)" dev=e1000 mode=tx ms=600000 warm_ms=0 dst="$(g_mac eb)"
for g in vb va eb ea; do g_say $g g; done
# at PORT MORE: its counter has grown by that much
moved() { local n; n=$(count "$1" out_frames); [ "${n:-0}" -gt "$2" ] 2>/dev/null; }
alive() { for g in va vb ea eb; do kill -0 "${G_PID[$g]}" 2>/dev/null || return 1; done; }
check virtio_traffic_flows wait_for 20 moved vb 500
check e1000_traffic_flows wait_for 20 moved eb 500

v=0 e=0
for ((i = 0; i < rounds; i++)); do
	switch_kill
	switch_start "$TMP/sw.yaml" || break
	wait_for 20 moved vb 200 && v=$((v + 1))
	wait_for 20 moved eb 200 && e=$((e + 1))
done
is virtio_guests_go_on_after_each_kill_of_the_switch $v "$rounds"
is e1000_guests_go_on_after_each_kill_of_the_switch $e "$rounds"
check no_guest_has_ended alive
is counters_close "$(total balance)" 0

# a neighbour in the same VLAN dies and comes back; the switch's port is its successor's
n=0 back=0
for ((i = 0; i < rounds; i++)); do
	g_start x "$(nic virtio x)" dev=virtio mode=tx ms=600000 warm_ms=0 && back=$((back + 1))
	g_say x g
	before=$(count vb out_frames)
	kill -9 "$(g_vmm x)"
	wait_for 20 moved vb $((before + 200)) && n=$((n + 1))
	g_end x
done
is the_port_is_free_for_its_successor $back "$rounds"
is its_neighbours_go_on $n "$rounds"
check the_other_guests_are_there alive
before=$(count eb out_frames)
check and_the_other_tenant_moves wait_for 20 moved eb $((before + 200))
is counters_still_close "$(total balance)" 0
