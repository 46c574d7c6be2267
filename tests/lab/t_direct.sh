#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The direct lane and the VF lane inside the software host: a whole 82576 port and a VF of another one in microguests, frames over the
# real (emulated) wire, exits counted, the host put back after kill -9. Run in the lab as root; speaks TAP.
. "$(dirname "$0")/micro_lib.sh"
# exits NAME: user exits without the console's, and user and KVM exits for MMIO
exits() { fourlane stats "$1" --json | jq -r '"\(.vcpus[0].user_exits.total - .regions.serial) \(.vcpus[0].user_exits.mmio + .vcpus[0].kvm.mmio_exits)"'; }
# none_between BEFORE AFTER: no MMIO exit at all; one access of the console may be on its way in each sample
none_between() {
	local b=($1) a=($2) d
	d=$((a[0] - b[0]))
	[ "${a[1]}" = "${b[1]}" ] && [ "${d#-}" -le 2 ]
}
cleanup() { kill -9 ${pid[*]} 2>/dev/null; fourlane unassign 0000:01:00.0 >/dev/null 2>&1; fourlane vf remove lab1 >/dev/null 2>&1; rm -rf "$tmp"; }
trap cleanup EXIT
echo "1..29"

# --- refusals come before anything is changed ------------------------------------------------------------------------
is run_of_an_unassigned_function_fails "$(status run --kernel $mg --nic vfio,host=0000:01:00.0)" 1
check the_remedy_names_assign grep -q 'fourlane assign' "$tmp/err"
is a_function_that_is_not_there_fails "$(status assign 0000:77:00.0)" 1
ip addr add 10.9.9.9/24 dev lab0
is a_nic_with_an_address_in_use_is_refused "$(status assign 0000:01:00.0)" 1
is and_keeps_its_driver "$(driver_of 0000:01:00.0)" igb
ip addr del 10.9.9.9/24 dev lab0

# --- direct ------------------------------------------------------------------------------------------------------------
is assign_is_done "$(status assign 01:00.0)" 0
is the_function_is_vfio-pcis "$(driver_of 0000:01:00.0)" vfio-pci
is assign_again_is_done "$(status assign 0000:01:00.0)" 0
peer=$(cat /sys/class/net/lab2/address)
guest d vfio,host=0000:01:00.0 dev=igb mode=tx size=60 ms=300 warm_ms=100 "dst=$peer"
is direct_guest_gets_ready $? 0
is the_guest_has_the_ports_own_mac "$(mac_of d)" 52:54:00:aa:00:01
before=$(exits d); arrived=$(rx_packets)
say d g
wait_for 30 saw d 'FL RESULT'
after=$(exits d); arrived=$(($(rx_packets) - arrived))
check frames_leave_by_the_wire [ "$(field d total)" -gt 1000 ]
check frames_arrive_at_the_peer_port [ "$arrived" -gt 100 ]
check no_exit_to_user_space_a_packet none_between "$before" "$after"
finish d
is direct_guest_ends_in_order $? 0

# --- a VF, and both over the wire ------------------------------------------------------------------------------------------
is vf_create_is_done "$(status vf create lab1 1)" 0
vf=$(basename "$(readlink /sys/class/net/lab1/device/virtfn0)")
guest v "vf,host=$vf" dev=igbvf mode=tx size=60 ms=300 warm_ms=100 "dst=$peer"
is vf_guest_gets_ready $? 0
before=$(exits v); arrived=$(rx_packets)
say v g
wait_for 30 saw v 'FL RESULT'
after=$(exits v); arrived=$(($(rx_packets) - arrived))
check vf_frames_arrive_at_the_peer_port [ "$arrived" -gt 100 ]
check vf_no_exit_to_user_space_a_packet none_between "$before" "$after"
finish v
is vf_guest_ends_in_order $? 0

guest echo "vf,host=$vf" dev=igbvf mode=rx echo=1 size=60 ms=2000 warm_ms=10
say echo g
guest ping vfio,host=0000:01:00.0 dev=igb mode=pingpong size=60 ms=500 warm_ms=50 "dst=$(mac_of echo)"
say ping g
wait_for 60 saw ping 'FL RESULT'
check direct_and_vf_meet_on_the_wire [ "$(field ping frames)" -gt 10 ]
is what_comes_back_is_what_was_sent "$(field ping bad)" 0
finish ping

# --- kill -9 in mid-traffic --------------------------------------------------------------------------------------------------
kill -9 "${pid[echo]}"
guest k vfio,host=0000:01:00.0 dev=igb mode=tx size=60 ms=20000 "dst=$peer"
say k g
sleep 1
vmm=$(fourlane stats k --json | jq .monitor.pid)
kill -9 "$vmm"
wait "${pid[k]}"
is killed_monitor_is_a_failure $? 1
check and_is_gone wait_for 5 gone "$vmm"
is unassign_after_it_is_done "$(status unassign 0000:01:00.0)" 0
is the_function_is_igbs_again "$(driver_of 0000:01:00.0)" igb
is driver_override_is_empty_again "$(cat /sys/bus/pci/devices/0000:01:00.0/driver_override)" "(null)"
nic=$(ls /sys/bus/pci/devices/0000:01:00.0/net)
ip link set "$nic" up
ip addr add 10.8.0.1/24 dev "$nic"
up() { [ "$(cat "/sys/class/net/$nic/carrier" 2>/dev/null)" = 1 ]; }
check the_port_has_link_again wait_for 15 up
is vf_remove_is_done "$(status vf remove lab1)" 0
is no_vf_is_left "$(cat /sys/class/net/lab1/device/sriov_numvfs)" 0
