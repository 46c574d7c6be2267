#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux's own drivers on physical devices, inside a software host with an IOMMU: one guest owns a whole 82576 port (igb), a VF of a second
# one (igbvf) and the NVMe disk. A third port, in a network namespace of its own, is the peer on the wire. What one side's driver has sent
# and the other's has not got must stand in a NIC's counters. QEMU's 82576 counts no frame that finds the ring empty, so the rings are long,
# TCP's window is shorter than they are and UDP has a rate: then nothing may be lost.
# Speaks TAP. pings, seconds: how much traffic.
cd "$(dirname "$(readlink -f "$0")")" || exit 1
. ./guest_lib.sh
pings=${pings:-10000} seconds=${seconds:-1}
nic=0000:01:00.0
disk=$(basename "$(dirname "$(grep -l 0x0108 /sys/bus/pci/devices/*/class)")")
driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver")" 2>/dev/null; }
peer() { ip netns exec peer "$@"; }
fl() { fourlane "$@" >"$tmp/fl.out" 2>"$tmp/fl.err"; }

# --- the wire -------------------------------------------------------------------------------------------------------------
# Network N is 10.1.N.0/24: .1 the peer, .2 the guest's ethN. Addresses are known for good, so only what is asked for is sent.
wire() {
	local p=/proc/sys/net/ipv6/conf
	ip netns add peer
	echo 1 >$p/all/disable_ipv6
	peer bash -c "echo 1 >$p/all/disable_ipv6; echo 1 >$p/default/disable_ipv6"
	ip link set lab2 netns peer
	peer ethtool -G lab2 rx 4096
	peer ip link set lab2 up
	echo 8388608 | tee /proc/sys/net/core/{r,w}mem_max >/dev/null
	peer iperf3 -s >/dev/null 2>&1 &
	servers=$!
}
wire_net() {	# N MAC
	peer ip addr add 10.1.$1.1/24 dev lab2
	peer ip neigh add 10.1.$1.2 lladdr $2 dev lab2
}
guest_functions='
carrier() { local n c; for n in $(seq 200); do read -r c </sys/class/net/$1/carrier && [ "$c" = 1 ] && return; sleep 0.05; done 2>/dev/null; return 1; }
net() {	# N MAC-OF-THE-PEER
	echo 8388608 | tee /proc/sys/net/core/{r,w}mem_max >/dev/null
	echo 1 >/proc/sys/net/ipv6/conf/eth$1/disable_ipv6
	ethtool -G eth$1 rx 4096
	ip link set eth$1 up
	ip addr add 10.1.$1.2/24 dev eth$1
	ip neigh add 10.1.$1.1 lladdr $2 dev eth$1
	echo 0 0 >/proc/sys/net/ipv4/ping_group_range	# each ping hears the answers to itself only
	carrier eth$1
}
interrupts() { awk -v n="$1" "index(\$0, n) { for (i = 2; i < NF && \$i ~ /^[0-9]+\$/; i++) sum += \$i } END { print sum + 0 }" /proc/interrupts; }
counters() { cat /sys/class/net/$1/statistics/{rx,tx}_packets; }
missed() { ethtool -S $1 | awk "/missed|no_buffer|_drops:|dropped|crc_err|align_err|_failed/ { n += \$2 } END { print n + 0 }"; }
pings() {	# N COUNT: in all, of eight sizes at once, from frames of 64 bytes to datagrams of three fragments
	local s failed=0 pids=() p
	for s in 18 56 256 512 1024 1472 1473 4000; do
		ping -q -f -l 2 -c $(($2 / 8)) -s $s -W 10 10.1.$1.1 >/tmp/ping.$1.$s 2>&1 &
		pids+=($!)
	done
	for p in ${pids[*]}; do wait $p || failed=1; done
	cat /tmp/ping.$1.*
	return $failed
}
background() { rm -f /tmp/background.end; (eval "$1" >/tmp/background.out 2>&1; echo $? >/tmp/background.end) & }
foreground() { while [ ! -e /tmp/background.end ]; do sleep 0.1; done; cat /tmp/background.out; return $(</tmp/background.end); }
'

# --- what is counted --------------------------------------------------------------------------------------------------------
exits() { fourlane stats g --json | jq '.vcpus[0].user_exits.total - .regions.serial'; }
# snap N: of the peer and of the guest's ethN frames in, frames out; interrupts; exits to user space but the console's
snap() { echo $(peer bash -c "$guest_functions counters lab2") $(guest_do g "counters eth$1; interrupts eth$1-") $(exits); }
missed() { echo $(($(peer bash -c "$guest_functions missed lab2") + $(guest_do g "missed eth$1"))); }
since() {	# N: what has come since `start`
	local a=($start) b i
	now=$(snap $1) b=($now)
	for i in ${!b[*]}; do b[i]=$((b[i] - a[i])); done
	out=${b[3]} in=${b[1]} lost=$((b[3] + b[1] - b[0] - b[2])) irqs=${b[4]} exits=${b[5]}
}
all_there() { since $1; [ $lost = 0 ]; }
accounted() {	# N NAME [exits]: since `start`, which is set anew
	local now out in lost irqs exits counted=0
	wait_for 5 all_there $1 || counted=$(missed $1)
	check "$2: $out frames out, $in in, $lost lost, $counted counted as lost" [ $lost -ge 0 -a $lost -le $counted ]
	start=$now
	[ -n "${3:-}" ] || return 0
	# the samples of the console's may be one off
	check "$2: $irqs interrupts, no exit to user space ($exits)" [ $irqs -ge 50 -a ${exits#-} -le 1 ]
}
answered() {	# COUNT WHAT-PING-SAYS
	[ "$(awk '/ received/ { n += $4 } END { print n }' <<<"$2")" = $(($1 / 8 * 8)) ] && ! grep -E 'errors|duplicates' <<<"$2"
}
traffic() {	# N NAME
	local words got
	start=$(snap $1)
	for words in '-w 256K' '-w 256K -R' '-w 4M -u -b 10M' '-w 4M -u -b 10M -R'; do
		got=$(guest_do g "iperf3 -J -t $seconds -c 10.1.$1.1 $words >/tmp/iperf || jq -r .error /tmp/iperf
			jq -r '.end | \"\((.sum_received.bytes // .sum.bytes) / 1024 | floor) \(.sum.lost_packets // 0)\"' /tmp/iperf")
		check "$2: iperf3 $words: $got" [ "${got% *}" -ge $((seconds * 500)) ]
		is "$2: iperf3 $words: no datagram is lost" "${got#* }" 0
		accounted $1 "$2: iperf3 $words" exits
	done
}

# --- all of it ------------------------------------------------------------------------------------------------------------
wire
check "the port and the disk are assigned" fl assign $nic "$disk"
check "a VF is carved" fl vf create lab1 1
vf=$(basename "$(readlink /sys/class/net/lab1/device/virtfn0)")
guest_start g --nic vfio,host=$nic --nic "vf,host=$vf" --nic "vfio,host=$disk" || { not_ok "the guest boots"; exit 1; }
guest_do g "$guest_functions"
peer_mac=$(peer cat /sys/class/net/lab2/address)
wire_net 0 52:54:00:aa:00:01
check "igb has link" guest_do g "modprobe igb; net 0 $peer_mac"
wire_net 1 "$(guest_do g 'modprobe igbvf; cat /sys/class/net/eth1/address')"
check "igbvf has link" guest_do g "net 1 $peer_mac"

# --- igb; what it tests online, and igbvf's test, go on meanwhile -----------------------------------------------------------------
start=$(snap 0)
guest_do g 'background "ethtool -t eth0 online; ethtool -t eth1"'
check "igb: $pings pings of eight sizes are answered" answered "$pings" "$(guest_do -t 600 g "pings 0 $pings")"
accounted 0 "igb: pings"
traffic 0 igb
is "ethtool -t passes, igb's online and igbvf's" "$(guest_do g foreground | grep -c 'The test result is PASS')" 2

# --- igbvf and the disk; meanwhile igb's test that takes its link -----------------------------------------------------------------
start=$(snap 1)
guest_do g 'background "ethtool -t eth0 offline"'
check "igbvf: $pings pings of eight sizes are answered" answered "$pings" "$(guest_do -t 600 g "pings 1 $pings")"
accounted 1 "igbvf: pings"
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
check "all is given back" fl unassign $nic "$disk"
check "the VF, too" fl vf remove lab1
is "igb and nvme have them" "$(driver_of $nic) $(driver_of "$disk")" "igb nvme"
wait_for 10 [ -b /dev/nvme0n1 ]
is "the host reads what the guest wrote" "$(head -c 64M /dev/nvme0n1 | sha1sum)" "$sum"
if=$(ls /sys/bus/pci/devices/$nic/net)
ip addr add 10.1.0.2/24 dev "$if"
ip link set "$if" up
host_up() { [ "$(cat "/sys/class/net/$if/carrier" 2>/dev/null)" = 1 ]; }
wait_for 15 host_up
check "igb pings on the host" answered 24 "$(ping -q -n -c 24 -i 0.05 -W 5 10.1.0.1)"
is "no fault of the IOMMU" "$(dmesg | grep -E 'DMAR: \[|IO_PAGE_FAULT|AMD-Vi: Event')" ""
kill $servers
echo "1..$T"
