#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What else a Linux guest does with physical devices, inside a software host with an IOMMU: interrupts by wire, several CPUs, drivers that
# are loaded again, resets of a function, devices that are taken off the bus and found again, a guest that resets in mid-traffic. After
# each of them traffic and disk are whole. Speaks TAP. reloads: how often; pings: how many.
cd "$(dirname "$(readlink -f "$0")")" || exit 1
. ./guest_lib.sh
. ./guest_wire.sh
reloads=${reloads:-20} pings=${pings:-800}

loaded() {	# in a guest that has just started
	guest_do g "$wire_functions"
	check "$1: igb has link" guest_do g "modprobe igb; net 0 $peer_mac"
	check "$1: nvme has its disk" guest_do g 'modprobe nvme; for i in {1..100}; do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done; [ -b /dev/nvme0n1 ]'
}
whole() {	# NAME [N...]: pings by these NICs, and the disk
	local n name=$1 what
	shift
	for n in "${@:-0}"; do
		pinged "$n" "$name, eth$n" "$pings"
	done
	what=$(guest_do g 'head -c 8M /dev/urandom >/tmp/data; dd if=/tmp/data of=/dev/nvme0n1 bs=64k oflag=direct 2>/tmp/dd && sha1sum </tmp/data')
	is "$name: the disk has what was written" "$(guest_do g 'dd if=/dev/nvme0n1 bs=32k count=256 iflag=direct 2>/tmp/dd | sha1sum')" "$what"
}
vf_up() { wire_net 1 "$(guest_do g 'modprobe igbvf; cat /sys/class/net/eth1/address')"; check "$1: igbvf has link" guest_do g "net 1 $peer_mac"; }
quiet() { is "$1: the guest's log has no complaint" "$(guest_do g 'dmesg | grep -E "Hang|nobody cared|WARNING|BUG|Oops|I/O error"')" ""; }

wire
wire_net 0 52:54:00:aa:00:01
check "the port and the disk are assigned" fl assign $nic "$disk"
check "a VF is carved" fl vf create lab1 1
vf=$(basename "$(readlink /sys/class/net/lab1/device/virtfn0)")

# --- interrupts by wire -----------------------------------------------------------------------------------------------------
guest_append="pci=nomsi"
guest_start g --nic vfio,host=$nic --nic "vfio,host=$disk" || { not_ok "the guest boots"; exit 1; }
guest_append=
loaded INTx
check "INTx: both have a line" [ "$(guest_do g 'grep -cE "IO-APIC.*(eth0|nvme)" /proc/interrupts')" = 2 ]
whole INTx
has "INTx: ethtool -t passes offline" "$(guest_do g 'ethtool -t eth0 offline')" 'The test result is PASS'
guest_do g 'carrier eth0'
whole "INTx, after it"
quiet INTx
guest_off g
is "INTx: the guest powers off" $? 0

# --- two CPUs, all three devices; they were not given back between ---------------------------------------------------------------
guest_cpus=2 guest_start g --nic vfio,host=$nic --nic "vf,host=$vf" --nic "vfio,host=$disk" || { not_ok "the guest boots"; exit 1; }
loaded "2 CPUs"
vf_up "2 CPUs"
check "2 CPUs: igb has two queues" [ "$(guest_do g 'grep -c eth0-rx /proc/interrupts')" = 2 ]
whole "2 CPUs" 0 1
n=0
while [ $n -lt "$reloads" ]; do
	guest_do g "modprobe -r igb igbvf nvme && modprobe -a igb igbvf nvme && net 0 $peer_mac" || break
	n=$((n + 1))
done
is "drivers loaded again" $n "$reloads"
vf_up "drivers loaded again"
whole "drivers loaded again" 0 1
guest_do g 'modprobe -r igb igbvf nvme; for d in 1 2 3; do echo 1 >/sys/bus/pci/devices/0000:00:0$d.0/reset; done; modprobe -a igb igbvf nvme'
check "functions reset: link" guest_do g "net 0 $peer_mac"
vf_up "functions reset"
whole "functions reset" 0 1
check "the controller is reset below its driver" guest_do g 'echo 1 >/sys/class/nvme/nvme0/reset_controller'
guest_do g 'for d in 1 2 3; do echo 1 >/sys/bus/pci/devices/0000:00:0$d.0/remove; done; echo 1 >/sys/bus/pci/rescan'
check "found again on the bus: link" guest_do g "for i in {1..100}; do [ -e /sys/class/net/eth1 -a -b /dev/nvme0n1 ] && break; sleep 0.1; done; net 0 $peer_mac"
vf_up "found again on the bus"
whole "found again on the bus" 0 1
quiet "2 CPUs"

# --- a reset in mid-traffic -------------------------------------------------------------------------------------------------
guest_do g '(pings 0 1000000 & pings 1 1000000 & dd if=/dev/nvme0n1 of=/dev/null bs=8k iflag=direct) >/tmp/busy 2>&1 & sleep 1'
printf '1 busybox reboot -f\n' >&"${guest_in[g]}"
guest_answer g 0 120 >/dev/null
check "the guest starts again" [ $? = 0 ]
loaded "started again"
vf_up "started again"
whole "started again" 0 1
quiet "started again"
is "no BAR, interrupt or reset has failed" "$(fourlane stats g --json | jq -c '[.nics[].counters | .bar_map_errors + .irq_errors + .reset_errors]')" "[0,0,0]"
guest_off g
is "the guest powers off" $? 0
given_back
echo "1..$T"
