# SPDX-License-Identifier: GPL-2.0-or-later
# Traffic between the software host and the NIC eth0 of a Linux guest, by a tap; sourced behind guest_lib.sh. The guest is always named g.
#
#	net_host		tap t0 (10.9.0.1, fd00:9::1), its VLAN 5 (10.9.5.1) and VLAN 6, servers for what follows
#	net_guest		the same on the guest's side (.2), eth0 up with link; after a driver is loaded
#	net_ping NAME ADDRESS [WORDS]	the guest pings and all come back
#	net_echo NAME [ADDRESS]	a file goes to the software host and comes back at the same time; its checksum is compared
#	net_iperf NAME		iperf3 for a moment, each way
#	net_seen COMMAND	how many frames reach the guest's network stack while the command runs here
net_mac=02:00:00:00:09:02
net_words=(--nic "$net_model,mac=$net_mac,backend=tap,ifname=t0$net_more")
net_kb=${net_kb:-1500}
net_seconds=${net_seconds:-1}

net_link() {	# IF ADDRESS ADDRESS6: nobody but the tests speaks on it
	ip link set "$1" addrgenmode none
	ip addr add "$2/24" dev "$1"
	ip addr add "$3/64" dev "$1" nodad
	ip link set "$1" up
}
net_host() {
	modprobe -a tun 8021q
	ip tuntap add dev t0 mode tap vnet_hdr $1 || return
	ip link set t0 mtu 9000
	net_link t0 10.9.0.1 fd00:9::1
	ip link add link t0 name t5 type vlan id 5 && net_link t5 10.9.5.1 fd00:95::1
	ip link add link t0 name t6 type vlan id 6 && net_link t6 10.9.6.1 fd00:96::1
	# known for good: nobody asks for an address while frames are counted
	ip neigh add 10.9.0.2 lladdr $net_mac dev t0
	ip neigh add fd00:9::2 lladdr $net_mac dev t0
	ip neigh add 10.9.5.2 lladdr $net_mac dev t5
	ip neigh add 10.9.0.77 lladdr 02:00:00:00:00:77 dev t0	# nobody
	ip neigh add 10.9.6.2 lladdr $net_mac dev t6
	socat TCP6-LISTEN:7,fork,reuseaddr,ipv6only=0 EXEC:cat 2>/dev/null &
	net_servers="$!"
	iperf3 -s >/dev/null 2>&1 &
	net_servers+=" $!"
}
net_end() { kill $net_servers; wait $net_servers 2>/dev/null; }

net_guest_functions='
carrier() { local n c; for n in $(seq 200); do read -r c </sys/class/net/$1/carrier && [ "$c" = 1 ] && return; sleep 0.05; done 2>/dev/null; return 1; }
link() {
	ip link set $1 addrgenmode none; ip addr add $2/24 dev $1; ip addr add $3/64 dev $1 nodad; ip link set $1 up; }
net() {
	link eth0 10.9.0.2 fd00:9::2
	ip link add link eth0 name v5 type vlan id 5 && link v5 10.9.5.2 fd00:95::2
	ip neigh replace 10.9.0.1 lladdr MAC dev eth0
	ip neigh replace fd00:9::1 lladdr MAC dev eth0
	ip neigh replace 10.9.5.1 lladdr MAC dev v5
	carrier eth0
}
file() { head -c $1 /dev/urandom >/tmp/file; sum=$(sha1sum </tmp/file); }
echoed() { [ "$(socat -t 30 - "TCP:$1:7" </tmp/file | sha1sum)" = "$sum" ]; }
iperf() { iperf3 -c 10.9.0.1 -t '"$net_seconds"' "$@" -J >/tmp/iperf; jq -rM .end.sum_received.bytes </tmp/iperf; }
seen() { local a n=0 r; while read -r a r; do n=$((n + 0x$a)); done </proc/net/softnet_stat; echo $n; }
'
net_functions() { guest_do g "${net_guest_functions//MAC/$(cat /sys/class/net/t0/address)}"; }
net_guest() { guest_do g net; }
net_ping() { local n=$1; shift; check "$n" guest_do g "ping -q -n -c 3 -i 0.1 -W 5 ${*:-10.9.0.1} >/tmp/ping || { cat /tmp/ping; false; }"; }
net_echo() { check "$1" guest_do g "echoed ${2:-10.9.0.1}"; }
net_iperf() {
	local up down
	up=$(guest_do g iperf)
	down=$(guest_do g 'iperf -R')
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
