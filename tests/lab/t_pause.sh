#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that has a port of the NIC is paused: the port loses its bus mastering, which is said, no frame leaves, and it goes on afterwards.
# Run in the lab as root; speaks TAP.
. "$(dirname "$0")/guest_lib.sh"
mg=/opt/fourlane/bin/mg.elf
tsc=$(awk '/^cpu MHz/ {printf "%.0f", $4 * 1000000; exit}' /proc/cpuinfo)
guest=
trap '[ -z "$guest" ] || kill -9 $guest 2>/dev/null; guest_cleanup' EXIT

fourlane assign 0000:01:00.0 >/dev/null 2>"$tmp/assign.err"
is the_port_is_assigned $? 0
mkfifo "$tmp/d.in"
fourlane run --name d --mem 64M --kernel $mg --append "tsc=$tsc dev=igb mode=tx size=60 ms=60000 warm_ms=10 dst=$(cat /sys/class/net/lab2/address)" \
	--nic vfio,host=0000:01:00.0 <"$tmp/d.in" >"$tmp/d.out" 2>"$tmp/d.err" &
guest=$!
exec 9>"$tmp/d.in"
wait_for 30 grep -q 'FL READY' "$tmp/d.out"
echo g >&9
arrived() { cat /sys/class/net/lab2/statistics/rx_packets; }
ip link set lab2 up
flows() { local n; n=$(arrived); sleep 1; [ "$(arrived)" -gt "$n" ]; }
check frames_leave_by_the_port wait_for 20 flows
master() { echo $((0x$(setpci -s 01:00.0 COMMAND) & 4)); }
is its_bus_mastering_is_on "$(master)" 4
is pause_says_which_loses_it "$(fourlane pause d)" 'bus mastering is off: nic0'
is its_bus_mastering_is_off "$(master)" 0
sleep 1
check no_frame_leaves eval '! flows'
fourlane resume d; is it_is_resumed $? 0
is and_has_its_bus_mastering_again "$(master)" 4
check frames_leave_again wait_for 20 flows
fourlane pause d >/dev/null
fourlane stop d; is it_stops_when_paused $? 0
wait $guest; is its_status_is_0 $? 0
fourlane unassign 0000:01:00.0 >/dev/null 2>&1; is the_port_is_given_back $? 0
echo "1..$T"
