#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux's own drivers on physical devices, inside a software host with an IOMMU: one guest owns a whole 82576 port (igb), a VF of a second
# one (igbvf) and the NVMe disk. QEMU's 82576 counts no frame that finds the ring empty; so the rings are long, TCP's window is shorter
# than they are and UDP has a rate: then nothing may be lost. Speaks TAP. pings, seconds: how much traffic.
cd "$(dirname "$(readlink -f "$0")")" || exit 1
. ./guest_lib.sh
. ./guest_wire.sh
pings=${pings:-10000} seconds=${seconds:-1}

traffic() {	# N NAME
	local words got
	start=$(snap $1)
	for words in '-w 256K' '-w 256K -R' '-w 4M -u -b 10M' '-w 4M -u -b 10M -R'; do
		got=$(guest_do g "iperf3 -J -t $seconds -c 10.1.$1.1 $words >/tmp/iperf || jq -r .error /tmp/iperf
			jq -r '.end | \"\((.sum_received.bytes // .sum.bytes) / 1024 | floor) \(.sum.lost_packets // 0)\"' /tmp/iperf")
		check "$2: iperf3 $words: $got" [ "${got% *}" -ge 100 ]
		is "$2: iperf3 $words: no datagram is lost" "${got#* }" 0
		accounted $1 "$2: iperf3 $words" exits
	done
}

# --- all of it ------------------------------------------------------------------------------------------------------------
wire
peer iperf3 -s >/dev/null 2>&1 &
server=$!
check "the port and the disk are assigned" fl assign $nic "$disk"
check "a VF is carved" fl vf create lab1 1
vf=$(basename "$(readlink /sys/class/net/lab1/device/virtfn0)")
guest_start g --nic vfio,host=$nic --nic "vf,host=$vf" --nic "vfio,host=$disk" || { not_ok "the guest boots"; exit 1; }
guest_do g "$wire_functions"
wire_net 0 52:54:00:aa:00:01
check "igb has link" guest_do g "modprobe igb; net 0 $peer_mac"
wire_net 1 "$(guest_do g 'modprobe igbvf; cat /sys/class/net/eth1/address')"
check "igbvf has link" guest_do g "net 1 $peer_mac"

# --- igb; what it tests online, and igbvf's test, go on meanwhile -----------------------------------------------------------------
guest_do g 'background "ethtool -t eth0 online; ethtool -t eth1"'
pinged 0 igb "$pings"
traffic 0 igb
is "ethtool -t passes, igb's online and igbvf's" "$(guest_do g foreground | grep -c 'The test result is PASS')" 2

# --- igbvf and the disk; meanwhile igb's test that takes its link -----------------------------------------------------------------
guest_do g 'background "ethtool -t eth0 offline"'
pinged 1 igbvf "$pings"
sum=$(guest_do g 'modprobe nvme; for i in {1..100}; do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done
	head -c 64M /dev/urandom >/tmp/data; dd if=/tmp/data of=/dev/nvme0n1 bs=1M oflag=direct 2>/tmp/dd && sha1sum </tmp/data')
got=$(guest_do g foreground)
has "igb: ethtool -t passes offline" "$got" 'The test result is PASS'
is "igb: all five parts" "$(grep -cE '^(Register|Eeprom|Interrupt|Loopback|Link) test .*[^0-9]0$' <<<"$got")" 5
traffic 1 igbvf
was="$(guest_do g 'interrupts nvme0q') $(exits)"
is "nvme: what was written is read, 64 MiB" "$(guest_do g 'dd if=/dev/nvme0n1 bs=16k count=4096 iflag=direct 2>/tmp/dd | sha1sum')" "$sum"
now="$(guest_do g 'interrupts nvme0q') $(exits)"
check "nvme: $((${now% *} - ${was% *})) interrupts, no exit to user space" [ $((${now% *} - ${was% *})) -ge 4096 -a $((${now#* } - ${was#* })) -le 1 ]
is "the guest's log has no complaint" "$(guest_do g 'dmesg | grep -E "Hang|Reset adapter|nobody cared|WARNING|BUG|Oops|timeout|I/O error"')" ""

# --- kill -9 in the middle of it all ----------------------------------------------------------------------------------------
guest_do g '(pings 0 1000000 & pings 1 1000000 & dd if=/dev/nvme0n1 of=/dev/null bs=8k iflag=direct) >/tmp/busy 2>&1 &'
peer_got() { peer cat /sys/class/net/lab2/statistics/rx_packets; }
was=$(peer_got)
moving() { [ $(($(peer_got) - was)) -gt 200 ]; }
check "frames are on their way" wait_for 10 moving
kill -9 "$(fourlane stats g --json | jq .monitor.pid)"
check "kill -9: the guest ends" wait_for 10 guest_ended g
guest_kill g
given_back
is "the host reads what the guest wrote" "$(head -c 64M /dev/nvme0n1 | sha1sum)" "$sum"
kill $server
echo "1..$T"
