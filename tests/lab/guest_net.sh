# SPDX-License-Identifier: GPL-2.0-or-later
# Traffic between the software host and the NICs of a Linux guest, by taps; sourced behind guest_lib.sh. The guest is always named g; its
# NIC eth$net_n, which all of this works on, is at the tap t$net_n: 10.9.N.1 here, .2 there (fd00:9:N::1), VLAN 5 10.9.5N.1, VLAN 6 10.9.6N.1.
#
#	net_nic MODEL-WORDS [TAP-WORDS]	a tap, and the words of a NIC with it; net_n counts them. Before guest_start, with "${net_words[@]}"
#	net_guest		eth$net_n up with link and addresses; when its driver has been loaded
#	net_ping NAME [WORDS]	the guest pings and all come back
#	net_echo NAME [ADDRESS]	a file goes to the software host and comes back at the same time; its checksum is compared
#	net_iperf NAME		iperf3 for a moment, each way
#	net_seen COMMAND	how many frames reach the guest's network stack while the command runs here
#	net_filters NAME	what comes in by address, VLAN and group, promiscuous or not
net_words=()
net_n=-1
net_groups=20	# more than most NICs have addresses for
net_kb=${net_kb:-1500}
net_seconds=${net_seconds:-1}
net_servers=

net_mac() { printf '02:00:00:00:09:%02x' $net_n; }
net_here() { echo 10.9.$net_n.1; }
net_link() {	# IF ADDRESS ADDRESS6: nobody but the tests speaks on it
	ip link set "$1" addrgenmode none
	ip addr add "$2/24" dev "$1"
	ip addr add "$3/64" dev "$1" nodad
	ip link set "$1" up
}
net_nic() {
	local t m
	net_n=$((net_n + 1))
	t=t$net_n m=$(net_mac)
	modprobe -a tun 8021q
	# shellcheck disable=SC2086
	ip tuntap add dev $t mode tap vnet_hdr ${2:-} || return
	ip link set $t mtu 9000
	net_link $t 10.9.$net_n.1 fd00:9:$net_n::1
	ip link add link $t name $t.5 type vlan id 5 && net_link $t.5 10.9.5$net_n.1 fd00:95:$net_n::1
	ip link add link $t name $t.6 type vlan id 6 && net_link $t.6 10.9.6$net_n.1 fd00:96:$net_n::1
	# known for good: nobody asks for an address while frames are counted
	ip neigh add 10.9.$net_n.2 lladdr $m dev $t
	ip neigh add fd00:9:$net_n::2 lladdr $m dev $t
	ip neigh add 10.9.5$net_n.2 lladdr $m dev $t.5
	ip neigh add 10.9.6$net_n.2 lladdr $m dev $t.6
	ip neigh add 10.9.$net_n.77 lladdr 02:00:00:00:00:77 dev $t	# nobody
	case $1 in *backend=*) ;; *) set -- "$1,backend=tap" ;; esac
	net_words+=(--nic "$1,mac=$m,ifname=$t")
	[ -z "$net_servers" ] || return 0
	socat TCP6-LISTEN:7,fork,reuseaddr,ipv6only=0 EXEC:cat 2>/dev/null &
	net_servers="$!"
	iperf3 -s >/dev/null 2>&1 &
	net_servers+=" $!"
}
net_end() { kill $net_servers; wait $net_servers 2>/dev/null; }
net_e1000_end() {	# of a test of one E1000
	is "no errors were counted" "$(guest_do g 'ethtool -S eth0' | awk '/error/ && $2 != 0')" ""
	has "no complaint in the guest's log" "x$(guest_do g 'dmesg | grep -E "e1000.*(Hang|Reset adapter|Detected)|nobody cared|WARNING|BUG|Oops"')x" xx
	guest_off g
	is "it powers off" $? 0
	net_end
	echo "1..$T"
}

net_functions='
carrier() { local n c; for n in $(seq 200); do read -r c </sys/class/net/$1/carrier && [ "$c" = 1 ] && return; sleep 0.05; done 2>/dev/null; return 1; }
link() { ip link set $1 addrgenmode none; ip addr add $2/24 dev $1; ip addr add $3/64 dev $1 nodad; ip link set $1 up; }
net() {
	link eth$1 10.9.$1.2 fd00:9:$1::2
	ip link add link eth$1 name v$1 type vlan id 5 && link v$1 10.9.5$1.2 fd00:95:$1::2
	ip neigh replace 10.9.$1.1 lladdr $2 dev eth$1
	ip neigh replace fd00:9:$1::1 lladdr $2 dev eth$1
	ip neigh replace 10.9.5$1.1 lladdr $2 dev v$1
	carrier eth$1
}
file() { head -c $1 /dev/urandom >/tmp/file; sum=$(sha1sum </tmp/file); }
echoed() { [ "$(socat -t 30 - "TCP:$1:7" </tmp/file | sha1sum)" = "$sum" ]; }
iperf() { iperf3 -J "$@" >/tmp/iperf; jq -rM .end.sum_received.bytes </tmp/iperf; }
seen() { local a n=0 r; while read -r a r; do n=$((n + 0x$a)); done </proc/net/softnet_stat; echo $n; }
'
net_guest() {
	guest_do g "$net_functions
		[ -e /tmp/file ] || file $((net_kb * 1024))
		net $net_n $(cat /sys/class/net/t$net_n/address)"
}
net_ping() { local n=$1; shift; check "$n" guest_do g "ping -q -n -c 3 -i 0.1 -W 5 $* $(net_here) >/tmp/ping || { cat /tmp/ping; false; }"; }
net_echo() { check "$1" guest_do g "echoed ${2:-$(net_here)}"; }
net_iperf() {
	local up down
	up=$(guest_do g "iperf -t $net_seconds -c $(net_here)")
	down=$(guest_do g "iperf -t $net_seconds -c $(net_here) -R")
	check "$1: iperf3 out of the guest ($((${up:-0} / 1024)) KiB)" [ "${up:-0}" -gt 100000 ]
	check "$1: iperf3 into the guest ($((${down:-0} / 1024)) KiB)" [ "${down:-0}" -gt 100000 ]
}
net_seen() {
	local before after
	before=$(guest_do g seen)
	"$@" >/dev/null 2>&1
	after=$(guest_do g seen)
	echo $((after - before))
}
net_send() { ping -q -n -c 5 -i 0.02 -W 0.2 "$@"; }
net_group() { net_send -I t$net_n "$1"; }

net_filters() {
	local if=eth$net_n stranger=10.9.$net_n.77 vlan=10.9.6$net_n.2 m
	m=$(net_mac)
	is "$1a frame for another address does not come in" "$(net_seen net_send $stranger)" 0
	is "$1a VLAN that the guest has not does not come in" "$(net_seen net_send $vlan)" 0
	is "$1a group that nobody joined does not come in" "$(net_seen net_group 239.1.1.20)" 0
	guest_do g "ip link set $if promisc on"
	is "$1promiscuous: a frame for another address comes in" "$(net_seen net_send $stranger)" 5
	[ -z "${net_promisc_vlan:-}" ] || is "$1promiscuous: any VLAN comes in" "$(net_seen net_send $vlan)" 5
	guest_do g "ip link set $if promisc off"
	is "$1promiscuous off: no more" "$(net_seen net_send $stranger) $(net_seen net_send $vlan)" "0 0"
	guest_do g "for i in \$(seq $net_groups); do ip maddr add \$(printf 01:00:5e:01:01:%02x \$i) dev $if; done"
	is "$1$net_groups groups: the first comes in" "$(net_seen net_group 239.1.1.1)" 5
	is "$1$net_groups groups: the last comes in" "$(net_seen net_group 239.1.1.$net_groups)" 5
	is "$1$net_groups groups: another does not" "$(net_seen net_group 239.1.2.99)" 0
	guest_do g "ip link set $if allmulticast on"
	is "$1all groups: another does" "$(net_seen net_group 239.1.2.99)" 5
	guest_do g "ip link set $if allmulticast off"
	guest_do g "ip link set $if address 02:00:00:00:00:77"
	is "$1a changed address: frames for it come in" "$(net_seen net_send $stranger)" 5
	guest_do g "ip link set $if address $m"
	is "$1changed back: not any more" "$(net_seen net_send $stranger)" 0
}
