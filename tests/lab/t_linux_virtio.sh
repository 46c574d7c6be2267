#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux's virtio_net driver on our virtio-net, inside the software host: one guest with a NIC of each kind (split and packed rings, four
# queue pairs, without offloads, by vhost-net), the same traffic over each, filters, offloads on and off, MTU, reloads.
# Speaks TAP. net_kb, net_seconds: how much traffic; reloads: how often.
cd "$(dirname "$(readlink -f "$0")")" || exit 1
. ./guest_lib.sh
. ./guest_net.sh
reloads=${reloads:-5}
et() { guest_do g "ethtool $*"; }
# bits of the features that driver and device agreed on
features() { guest_do g "cat /sys/class/net/eth$net_n/device/features"; }
agreed() { local n=$1 f bit; shift; f=$(features); for bit in "$@"; do [ "${f:$bit:1}" = 1 ] || { not_ok "$n"; echo "# bit $bit of $f"; return; }; done; ok "$n"; }
refused() { local n=$1 f bit; shift; f=$(features); for bit in "$@"; do [ "${f:$bit:1}" = 0 ] || { not_ok "$n"; echo "# bit $bit of $f"; return; }; done; ok "$n"; }
traffic() {
	net_ping "$1: ping"
	net_echo "$1: a file there and back"
	net_echo "$1: a file there and back, IPv6" "[fd00:9:$net_n::1]"
	net_echo "$1: a file there and back, VLAN" 10.9.5$net_n.1
}

modprobe vhost_net
net_nic virtio
net_nic virtio,packed=on
net_nic virtio,queues=4 multi_queue
net_nic virtio,offloads=off,mtu=4000
net_nic virtio,backend=vhost
kinds=("split rings" "packed rings" "four queue pairs" "no offloads" "vhost-net")
guest_start g "${net_words[@]}" || { not_ok "the guest boots"; exit 1; }
guest_do g 'modprobe virtio_net'
# net_nic left net_n at the last
for net_n in ${!kinds[*]}; do
	check "${kinds[net_n]}: the driver finds the NIC and its link" net_guest
	is "${kinds[net_n]}: its address is the one we gave" "$(guest_do g "cat /sys/class/net/eth$net_n/address")" "$(net_mac)"
done

# --- split and packed ---------------------------------------------------------------------------------------------------
net_n=0
refused "split rings: they are" 34
agreed "split rings: checksums, TSO both ways, control queue, filters" 0 1 7 8 11 12 17 18 19
traffic "split rings"
net_iperf "split rings"
net_groups=8
net_filters "split rings: "
for f in tx sg tso gso gro; do
	check "$f off: a file there and back" guest_do g "ethtool -K eth0 $f off >/dev/null && echoed 10.9.0.1"
	check "$f on" guest_do g "ethtool -K eth0 $f on >/dev/null"
done
net_echo "as it was: a file there and back"
check "MTU 9000: set" guest_do g 'ip link set eth0 mtu 9000'
net_ping "MTU 9000: frames of 9014 bytes" -s 8972 -M do
net_echo "MTU 9000: a file there and back"
check "MTU 1500: again" guest_do g 'ip link set eth0 mtu 1500'
check "down and up: link" guest_do g 'ip link set eth0 down; ip -br link show eth0 | grep -q DOWN && ip link set eth0 up && carrier eth0'
net_ping "down and up: ping"

net_n=1
agreed "packed rings: they are" 34
traffic "packed rings"
net_iperf "packed rings"
net_filters "packed rings: "

# --- four queue pairs ---------------------------------------------------------------------------------------------------
net_n=2
agreed "four queue pairs: offered" 22
queues() { guest_do g "d=\$(readlink /sys/class/net/eth2/device); awk -v d=\${d##*/}-$1 'index(\$NF, d \".\") == 1 && \$2 > 0' /proc/interrupts | wc -l"; }
for n in 2 4; do
	check "$n queue pairs: set" guest_do g "ethtool -L eth2 combined $n"
	is "$n queue pairs: they are" "$(et -l eth2 | awk '/Combined:/ { n = $2 } END { print n }')" $n
	check "$n queue pairs: $((2 * n)) files at once" guest_do g "p=; for i in \$(seq $((2 * n))); do echoed 10.9.2.1 & p+=\" \$!\"; done; bad=0; for i in \$p; do wait \$i || bad=1; done; [ \$bad = 0 ]"
done
n=$(queues input)
check "several queues have received ($n)" [ "$n" -gt 1 ]
n=$(guest_do g "ethtool -S eth2 | awk '/ tx[0-9]+_kicks:/ && \$2 > 0' | wc -l")
check "several queues have sent ($n)" [ "$n" -gt 1 ]
traffic "four queue pairs"

# --- no offloads, vhost-net ---------------------------------------------------------------------------------------------
net_n=3
refused "no offloads: none are" 0 1 7 8 9 11 12 13
is "no offloads: the MTU is the one we gave" "$(guest_do g 'cat /sys/class/net/eth3/mtu')" 4000
ip link set t3 mtu 4000
net_ping "no offloads: frames of 4014 bytes" -s 3972 -M do
traffic "no offloads"
net_n=4
traffic vhost-net
net_iperf vhost-net

# --- reloads ------------------------------------------------------------------------------------------------------------
back() { echo "net $1 $(cat /sys/class/net/t$1/address) && ping -q -c 1 -W 5 10.9.$1.1 >/dev/null"; }
for i in $(seq "$reloads"); do
	guest_do g "rmmod virtio_net && modprobe virtio_net && $(back 0) && $(back 1)" || break
done
is "the driver is loaded again and works" "$i" "$reloads"
guest_do g "$(back 2); $(back 3); $(back 4)"
for net_n in ${!kinds[*]}; do net_echo "${kinds[net_n]}: a file there and back after $reloads reloads"; done
has "no complaint in the guest's log" "x$(guest_do g 'dmesg | grep -E "virtio.*(not a head|broken|fail)|NETDEV WATCHDOG|hw csum|bad gso|nobody cared|WARNING|BUG|Oops"')x" xx
guest_off g
is "it powers off" $? 0
net_end
echo "1..$T"
