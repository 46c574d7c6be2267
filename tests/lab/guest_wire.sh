# SPDX-License-Identifier: GPL-2.0-or-later
# Physical devices in a Linux guest named g; sourced behind guest_lib.sh, in a software host with an IOMMU. The guest gets the port at $nic,
# the VF $vf of lab1 and the NVMe disk at $disk; the peer on the wire is lab2, in a network namespace of its own.
#
#	wire			the peer
#	wire_net N MAC		the peer knows the guest's ethN, which has this address; in the guest: net N $peer_mac
#	start=$(snap N)		from here on ...
#	accounted N NAME	... each frame that one side's driver has sent and the other's has not got is in a NIC's counters
#	pinged N NAME COUNT	so many pings, all answered and accounted for
#	given_back		the devices are their old drivers' again, and igb pings
nic=0000:01:00.0
disk=$(basename "$(dirname "$(grep -l 0x0108 /sys/bus/pci/devices/*/class)")")
lost_before=0
driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver")" 2>/dev/null; }
peer() { ip netns exec peer "$@"; }
fl() { fourlane "$@" >"$tmp/fl.out" 2>"$tmp/fl.err"; }

# --- the wire -------------------------------------------------------------------------------------------------------------
# Network N is 10.1.N.0/24: .1 the peer, .2 the guest's ethN. Addresses are known for good, so only what is asked for is sent; the stacks
# lose nothing by themselves: no CoDel, which throws away what waits for long, and large buffers.
wire() {
	local p=/proc/sys/net/ipv6/conf
	ip netns add peer
	echo 1 >$p/all/disable_ipv6
	peer bash -c "echo 1 >$p/all/disable_ipv6; echo 1 >$p/default/disable_ipv6"
	echo pfifo_fast >/proc/sys/net/core/default_qdisc
	ip link set lab2 netns peer
	peer ethtool -G lab2 rx 4096
	peer ip link set lab2 up
	echo 8388608 | tee /proc/sys/net/core/{r,w}mem_max >/dev/null
	peer_mac=$(peer cat /sys/class/net/lab2/address)
}
wire_net() {	# N MAC
	peer ip addr replace 10.1.$1.1/24 dev lab2
	peer ip neigh replace 10.1.$1.2 lladdr $2 dev lab2
}
wire_functions='
carrier() { local n c; for n in $(seq 200); do read -r c </sys/class/net/$1/carrier && [ "$c" = 1 ] && return; sleep 0.05; done 2>/dev/null; return 1; }
net() {	# N MAC-OF-THE-PEER
	echo 8388608 | tee /proc/sys/net/core/{r,w}mem_max >/dev/null
	echo pfifo_fast >/proc/sys/net/core/default_qdisc
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
missed() { local i; for i; do ethtool -S $i; done 2>/dev/null | awk "/missed|no_buffer|_drops:|dropped|crc_err|align_err|_failed/ { n += \$2 } END { print n + 0 }"; }
answers() { awk "/^Icmp:/ { if (n++) print \$i; else for (i = 1; \$i != \"InEchoReps\"; i++); }" /proc/net/snmp; }
pings() {	# N COUNT: in all, of eight sizes at once, from frames of 64 bytes to datagrams of three fragments; prints how many are answered
	local s got n=0 was=$(answers) pids=()
	for s in 18 56 256 512 1024 1472 1473 4000; do
		ping -q -f -l 2 -c $(($2 / 8)) -s $s 10.1.$1.1 >/tmp/ping.$1.$s 2>&1 &
		pids+=($!)
	done
	wait ${pids[*]}
	# ping itself waits for the last ones twice as long as for the slowest before
	while got=$(($(answers) - was)); [ $got -lt $(($2 / 8 * 8)) ] && [ $((n += 1)) -lt 50 ]; do sleep 0.1; done
	! grep -hE "wrong|errors|duplicates" /tmp/ping.$1.* && echo $got
}
background() { rm -f /tmp/background.end; (eval "$1" >/tmp/background.out 2>&1; echo $? >/tmp/background.end) & }
foreground() { while [ ! -e /tmp/background.end ]; do sleep 0.1; done; cat /tmp/background.out; return $(</tmp/background.end); }
'

# --- what is counted --------------------------------------------------------------------------------------------------------
exits() { fourlane stats g --json | jq '.vcpus[0].user_exits.total - .regions.serial'; }
# snap N: of the peer and of the guest's ethN frames in, frames out; interrupts; exits to user space but the console's
snap() { echo $(peer bash -c "$wire_functions counters lab2") $(guest_do g "counters eth$1; interrupts eth$1-") $(exits); }
missed() { echo $(($(peer bash -c "$wire_functions missed lab2") + $(guest_do g "missed eth0 eth1"))); }
since() {	# N: what has come since `start`
	local a=($start) b i
	now=$(snap $1) b=($now)
	for i in ${!b[*]}; do b[i]=$((b[i] - a[i])); done
	out=${b[3]} in=${b[1]} lost=$((b[3] + b[1] - b[0] - b[2])) irqs=${b[4]} exits=${b[5]}
}
all_there() { since $1; [ $lost = 0 ]; }
accounted() {	# N NAME [exits]: since `start`, which is set anew
	local now out in lost irqs exits counted=0
	wait_for 5 all_there $1 || counted=$(($(missed) - lost_before))
	check "$2: $out frames out, $in in, $lost lost, $counted counted as lost" [ $lost -ge 0 -a $lost -le $counted ]
	lost_before=$((lost_before + lost))
	start=$now
	[ -n "${3:-}" ] || return 0
	# the samples of the console's may be one off
	check "$2: $irqs interrupts, no exit to user space ($exits)" [ $irqs -ge 50 -a ${exits#-} -le 1 ]
}
pinged() {	# N NAME COUNT: the guest pings, every frame is accounted for
	start=$(snap "$1")
	is "$2: $3 pings of eight sizes are answered" "$(guest_do -t 600 g "pings $1 $3")" $(($3 / 8 * 8))
	accounted "$1" "$2: pings"
}

# --- afterwards -------------------------------------------------------------------------------------------------------------
host_ping() { ping -q -c 20 -i 0.05 -w 20 10.1.0.1 >"$tmp/ping.out"; }
host_up() { [ "$(cat "/sys/class/net/$1/carrier" 2>/dev/null)" = 1 ]; }
given_back() {
	local if
	check "all is given back" fl unassign $nic "$disk"
	check "the VF, too" fl vf remove lab1
	is "igb and nvme have them" "$(driver_of $nic) $(driver_of "$disk")" "igb nvme"
	if=$(ls /sys/bus/pci/devices/$nic/net)
	ip addr add 10.1.0.2/24 dev "$if"
	ip link set "$if" up
	wait_for 15 host_up "$if"
	check "igb pings on the host" host_ping
	wait_for 10 [ -b /dev/nvme0n1 ]
	is "no fault of the IOMMU" "$(dmesg | grep -E 'DMAR: \[|IO_PAGE_FAULT|AMD-Vi: Event')" ""
}
