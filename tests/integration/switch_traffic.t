#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests on a fourlane-switch: every pair of devices, content compared, counters that close; VLANs, sources, a frozen guest.
. "$(dirname "$0")/lib.sh"
need_kvm
command -v perl >/dev/null || skip_all "no perl"
. "$(dirname "$0")/switch_lib.sh"
plan 37
nic() { echo "$1,backend=switch,switch=$SWN,port=$2"; }

# pair SENDER RECEIVER: both sides' own counts, the switch's, and each byte
pair() {
	local what=$1_to_$2 sent got
	g_start rx "$(nic "$2" b)" dev="$2" mode=rx size=256 ms=3000 warm_ms=0 check=all
	g_start tx "$(nic "$1" a)" dev="$1" mode=tx size=256 ms=300 warm_ms=0 check=all dst="$(g_mac rx)"
	g_say rx g; g_say tx g
	check "${what}_sender_finishes" g_result tx 20
	check "${what}_receiver_finishes" g_result rx 20
	sent=$(g_field tx total) got=$(g_field rx total)
	check "${what}_frames_arrive" [ "${got:-0}" -gt 100 ]
	is "${what}_arrive_unchanged" "$(g_field rx bad)" 0
	is "${what}_switch_saw_all_that_was_sent" "$(count a in_frames)" "$sent"
	is "${what}_counters_close" "$(total balance)" 0
	g_end rx tx
}
for t in virtio e1000; do
	for r in virtio e1000; do
		printf 'ports:\n  - {name: a, type: vhost-user}\n  - {name: b, type: vhost-user}\n' >"$TMP/sw.yaml"
		switch_start "$TMP/sw.yaml"
		pair $t $r
		switch_kill
	done
done

# two tenants; one port whose address is told
cat >"$TMP/sw.yaml" <<Y
ports:
  - {name: a, type: vhost-user, vlan: 100}
  - {name: b, type: vhost-user, vlan: 200}
  - {name: c, type: vhost-user, vlan: 100}
  - {name: d, type: vhost-user, vlan: 100, macs: ["02:00:00:00:00:99"]}
Y
switch_start "$TMP/sw.yaml"
g_start b "$(nic virtio b)" dev=virtio mode=rx ms=1500 warm_ms=0
g_start c "$(nic virtio c)" dev=virtio mode=rx ms=60000 warm_ms=0
g_start a "$(nic virtio a)" dev=virtio mode=tx ms=60000 warm_ms=0 dst=ff:ff:ff:ff:ff:ff
g_say b g; g_say c g; g_say a g
moved() { [ "$(count c out_frames)" -gt "$1" ]; }
check a_tenants_broadcast_reaches_its_own wait_for 20 moved 1000
is another_tenant_gets_nothing_of_it "$(count b out_frames)" 0
is not_even_to_be_dropped "$(count b out_drops.no_buffer)" 0

# one that stands still takes nothing from its neighbour
g_start d "$(nic virtio d)" dev=virtio mode=rx ms=60000 warm_ms=0
vmm=$(g_vmm d)
g_say d g
kill -STOP "$vmm"
full() { [ "$(count d out_drops.no_buffer)" -gt 1000 ]; }
check a_frozen_guests_frames_are_dropped_by_name wait_for 20 full
before=$(count c out_frames)
check its_neighbour_goes_on wait_for 20 moved $((before + 1000))
kill -CONT "$vmm"
g_end d
# the wrong source address
g_start d "$(nic virtio d)" dev=virtio mode=tx ms=60000 warm_ms=0
g_say d g
spoofed() { [ "$(count d in_drops.source)" -gt 100 ]; }
check a_source_that_is_not_allowed_is_dropped_by_name wait_for 20 spoofed
nothing_else() { [ "$(fls stats --json | perl -MJSON::PP -e 'local $/; my ($d) = grep { $_->{name} eq "d" } @{decode_json(<STDIN>)->{ports}}; print $d->{in_frames} - $d->{in_drops}{source}')" = 0 ]; }
check nothing_of_it_leaves nothing_else

# ports come and go meanwhile
for i in 1 2 3; do
	fls port add "x$i" --type vhost-user --vlan 100 || break
	fls port remove "x$i" || break
done
is ports_come_and_go_under_traffic $? 0
before=$(count c out_frames)
check traffic_goes_on wait_for 20 moved $((before + 1000))
is counters_close_under_traffic "$(total balance)" 0
g_end a b c d
switch_kill

# no switch
"$FL" run --name "none-$$" --kernel "$MG" --nic "$(nic virtio a)" </dev/null >/dev/null 2>"$TMP/e"; is without_a_switch_it_fails $? 1
check the_socket_is_named grep -q "$SWN/a.sock" "$TMP/e"
check and_how_to_start_a_switch grep -q "fourlane-switch" "$TMP/e"
