#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux's e1000 driver on our 82540EM, inside the software host: each offload on and off, ring sizes, MTU 9000, link, reloads, and
# traffic after each of them. Speaks TAP. net_kb: how much traffic; reloads: how often.
cd "$(dirname "$(readlink -f "$0")")" || exit 1
. ./guest_lib.sh
. ./guest_net.sh
reloads=${reloads:-20}
et() { guest_do g "ethtool $*"; }

net_nic e1000
guest_start g "${net_words[@]}" || { not_ok "the guest boots"; exit 1; }
guest_do g 'modprobe e1000'
check "the driver finds the NIC and its link" net_guest

# --- offloads, one at a time --------------------------------------------------------------------------------------------
for f in rx tx sg tso gso gro rxvlan rx-all rx-fcs; do
	case $f in rx-all | rx-fcs) one=on two=off ;; *) one=off two=on ;; esac
	case $f in *vlan*) to=10.9.50.1 ;; *) to=10.9.0.1 ;; esac
	check "$f $one: a file there and back" guest_do g "ethtool -K eth0 $f $one >/dev/null && carrier eth0 && echoed $to"
	check "$f $two" guest_do g "ethtool -K eth0 $f $two >/dev/null && carrier eth0"
done

net_echo "as it was: a file there and back"

# --- rings, MTU, link ---------------------------------------------------------------------------------------------------
for n in 48 80 4096 256; do
	check "$n descriptors: a file there and back" guest_do g "ethtool -G eth0 rx $n tx $n && carrier eth0 && echoed 10.9.0.1"
	[ $n != 48 ] || has "48 descriptors: the driver has them" "$(et -g eth0 | sed -n '/Current/,$p' | tr -d ' \t' | tr '\n' ' ')" "RX:48"
done
check "MTU 9000: set" guest_do g 'ip link set eth0 mtu 9000 && carrier eth0'
net_ping "MTU 9000: frames of 9014 bytes" -s 8972 -M do
net_echo "MTU 9000: a file there and back"
check "MTU 1500: again" guest_do g 'ip link set eth0 mtu 1500 && carrier eth0'
is "MTU 1500: longer frames do not come in" "$(net_seen net_send -s 8000 10.9.0.2)" 0
ip link set t0 mtu 1500
net_ping "MTU 1500: fragments" -s 8000
check "down and up: link" guest_do g 'ip link set eth0 down; ip -br link show eth0 | grep -q DOWN && ip link set eth0 up && carrier eth0'
net_ping "down and up: ping"

# --- reloads ------------------------------------------------------------------------------------------------------------
here=$(cat /sys/class/net/t0/address)
for i in $(seq "$reloads"); do
	words=
	[ $((i % 2)) = 0 ] || words="InterruptThrottleRate=8000 RxIntDelay=32 RxAbsIntDelay=64 TxIntDelay=32 TxAbsIntDelay=64"
	guest_do g "rmmod e1000 && modprobe e1000 $words && net 0 $here && ping -q -c 1 -W 5 10.9.0.1 >/dev/null" || break
done
is "the driver is loaded again and works" "$i" "$reloads"
net_echo "a file there and back after $reloads reloads"
net_e1000_end
