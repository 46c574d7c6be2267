#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# First process of the Linux guest of `fourlane compare --guest linux` (bench_linux.c puts it into the guest's initramfs, behind stage 1 of
# the software host's image): a RAM disk over the root image on the first disk, drivers for what is there, then commands on the first
# serial port, one a line. Each answers with one line: FL OK, FL RESULT (as the microguest's, see bench_result.c) or FL FAIL and why.
#
#	net OWN PEER PEER_MAC		addresses of the first NIC, /30
#	far				the second NIC in a network namespace of its own, at the other end of the first one
#	tx SIZE WARM_MS MS MAC		pktgen; SIZE without FCS. What the driver says that the NIC has taken
#	rx WARM_MS MS			counts what comes, until nothing comes any more
#	cross SIZE WARM_MS MS		pktgen out by the first NIC, counted at the second
#	tcp out|in SECONDS PEER		iperf3; frames are those of both ways, as the driver counts them
#	pingpong COUNT PAYLOAD PEER	ping, the next one as soon as the answer is there
#	quit
if [ $$ = 1 ] && [ ! -e /etc/passwd ]; then
	export PATH=/bin
	/bin/busybox mount -t proc proc /proc
	busybox mount -t sysfs sysfs /sys
	busybox mount -t devtmpfs dev /dev
	fail() { echo "FL FAIL $1" >/dev/console; busybox poweroff -f; }
	for m in $(busybox cat /m/order); do
		[ $m = virtio_console.ko ] || busybox insmod /m/$m
	done
	busybox mount -t ext4 -o ro,noatime /dev/vda /lower || fail "the root disk does not mount"
	busybox mount -t tmpfs -o size=75%,mode=755 upper /upper
	busybox mkdir /upper/data /upper/work
	busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /newroot || fail "the root disk takes no overlay"
	for d in dev sys proc; do busybox mount --move /$d /newroot/$d; done
	busybox cp /init /newroot/run/init
	exec busybox switch_root /newroot /bin/bash /run/init
fi

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
nic=() sys=(/sys /run/far)
exec </dev/ttyS0 >/dev/ttyS0 2>/run/said
stty raw -echo
echo 1 >/proc/sys/kernel/printk	# nothing of the kernel's between our lines
mount -t tmpfs tmpfs /tmp
ln -s /proc/self/fd /dev/fd
mkfifo /run/nap
exec 9<>/run/nap

# --- pieces -------------------------------------------------------------------------------------------------------------
nap() {	# MILLISECONDS, without starting a program
	local s
	printf -v s '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
	read -r -t "$s" -u 9
}
count() { read -r "$1" <"${sys[$2]}/class/net/${nic[$2]}/statistics/$3"; }
window() {	# NIC COUNTER MS: sets frames and us
	local a b t
	count a "$1" "$2"; t=${EPOCHREALTIME/./}
	nap "$3"
	count b "$1" "$2"; us=$((${EPOCHREALTIME/./} - t))
	frames=$((b - a))
}
still() {	# NIC COUNTER: until it has not moved for a while; sets total to it
	local before=-1 n
	for n in {1..50}; do
		count total "$1" "$2"
		[ "$total" != $before ] || return
		before=$total
		nap 150
	done
}
carrier() {	# NETNS-WORDS NIC
	local n
	for n in {1..300}; do
		case $(ip $1 -o link show dev "$2") in *LOWER_UP*) return ;; esac
		nap 50
	done
	echo "$2 has no link" >&2
	return 1
}
result() {	# MODE FRAMES BYTES US TOTAL LOST [MORE]; kicks and contents are not looked at here
	printf 'FL RESULT mode=%s frames=%d bytes=%d ns=%d total=%d kicks=0 lost=%d bad=0%s\n' "$1" "$2" "$3" "$4"000 "$5" "$6" "${7:+ $7}"
}

# --- pktgen -------------------------------------------------------------------------------------------------------------
pg() { local f=/proc/net/pktgen/$1 w; shift; for w in "$@"; do echo "$w" >$f || return; done; }
pktgen_start() {	# SIZE MAC: 127.0.0.1, so that whoever gets them drops them unanswered
	pg kpktgend_0 rem_device_all "add_device ${nic[0]}" || return
	pg "${nic[0]}" "count 0" "clone_skb 0" "delay 0" "pkt_size $1" "dst_mac $2" "dst 127.0.0.1" || return
	echo start >/proc/net/pktgen/pgctrl &
	pktgen=$!
}
pktgen_stop() {	# sets sent
	local word
	echo stop >/proc/net/pktgen/pgctrl
	wait $pktgen
	sent=
	while read -r word; do
		[[ ! $word =~ ^Result:\ OK:\ .*\ usec,\ ([0-9]+)\  ]] || sent=${BASH_REMATCH[1]}
	done <"/proc/net/pktgen/${nic[0]}"
	[ -n "$sent" ] || echo "pktgen has no result" >&2
	[ -n "$sent" ]
}
tx() {
	local before
	count before 0 tx_packets
	pktgen_start "$1" "$4" || return
	nap "$2"
	window 0 tx_packets "$3"
	pktgen_stop || return
	still 0 tx_packets
	total=$((total - before))
	result tx $frames $((frames * $1)) $us "$sent" $((sent > total ? sent - total : 0))
}
cross() {
	local before
	count before 1 rx_packets
	pktgen_start "$1" "$far_mac" || return
	nap "$2"
	window 1 rx_packets "$3"
	pktgen_stop || return
	still 1 rx_packets
	result cross $frames $((frames * $1)) $us $((total - before)) 0 sent="$sent"
}

# --- the others ---------------------------------------------------------------------------------------------------------
rx() {
	local before now n bytes0 bytes1
	count before 0 rx_packets
	for n in {1..1000}; do
		count now 0 rx_packets
		[ "$now" = "$before" ] || break
		nap 5
	done
	nap "$1"
	count bytes0 0 rx_bytes
	window 0 rx_packets "$2"
	count bytes1 0 rx_bytes
	still 0 rx_packets
	result rx $frames $((bytes1 - bytes0)) $us $((total - before)) 0
}
both_ways() { local a b; count a 0 tx_packets; count b 0 rx_packets; packets=$((a + b)); }
tcp() {
	local before n bytes seconds retransmits
	for n in {1..20}; do	# until the server listens
		both_ways; before=$packets
		iperf3 -J -p 18901 -t "$2" -c "$3" $([ "$1" = out ] || echo -R) >/run/iperf && break
		nap 200
	done
	both_ways
	read -r bytes seconds retransmits < <(jq -rM '"\(.end.sum_received.bytes) \(.end.sum_received.seconds * 1000000 | floor) \(.end.sum_sent.retransmits)"' /run/iperf)
	if [ "${bytes:-0}" -gt 0 ] 2>/dev/null; then
		result "tcp_$1" $((packets - before)) "$bytes" "$seconds" $((packets - before)) "$retransmits"
	else
		jq -r .error /run/iperf >&2
		return 1
	fi
}
pingpong() {
	local t us sent received p50 p99
	t=${EPOCHREALTIME/./}
	ping -n -A -c "$1" -w 20 -s "$2" "$3" >/run/ping
	us=$((${EPOCHREALTIME/./} - t))
	read -r sent received < <(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' /run/ping)
	[ "${received:-0}" -gt 0 ] || { echo "no ping came back" >&2; return 1; }
	read -r p50 p99 < <(sed -n 's/.* time=\([0-9.]*\) ms.*/\1/p' /run/ping | sort -n |
		awk '{ v[NR] = $1 } END { printf "%d %d\n", v[int((NR + 1) / 2)] * 1000000, v[int((NR * 99 + 99) / 100)] * 1000000 }')
	result pingpong "$received" $((received * ($2 + 42))) $us "$sent" $((sent - received)) "p50_ns=$p50 p99_ns=$p99 samples=$received"
}
net() {
	ip addr add "$1/30" dev "${nic[0]}" && ip link set "${nic[0]}" up && carrier "" "${nic[0]}" &&
		ip neigh replace "$2" lladdr "$3" dev "${nic[0]}" && echo "FL OK"
}
far() {
	local near_mac
	[ ${#nic[@]} = 2 ] || { echo "there are ${#nic[@]} NICs, not 2" >&2; return 1; }
	read -r near_mac <"/sys/class/net/${nic[0]}/address"
	read -r far_mac <"/sys/class/net/${nic[1]}/address"
	ip netns add far && ip link set "${nic[1]}" netns far && mkdir /run/far && nsenter --net=/run/netns/far mount -t sysfs far /run/far || return
	ip -n far addr add 198.18.0.2/30 dev "${nic[1]}" && ip -n far link set "${nic[1]}" up && carrier "-n far" "${nic[1]}" &&
		ip -n far neigh replace 198.18.0.1 lladdr "$near_mac" dev "${nic[1]}" || return
	nsenter --net=/run/netns/far iperf3 -s -p 18901 >/dev/null &
	net 198.18.0.1 198.18.0.2 "$far_mac"
}
drivers() {
	local f alias
	shopt -s nullglob
	for f in /sys/bus/pci/devices/*/modalias; do read -r alias <"$f"; modprobe -qb "$alias"; done
	modprobe -a virtio_net pktgen
	echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6	# nobody but we speaks by these NICs
	for f in /sys/bus/pci/devices/*/net/* /sys/bus/pci/devices/*/virtio*/net/*; do nic+=("${f##*/}"); done
}

mac=00:00:00:00:00:00
drivers
[ -z "${nic[0]}" ] || read -r mac <"/sys/class/net/${nic[0]}/address"
echo "FL READY mac=$mac kernel=$(uname -r)"
while read -r verb words; do
	: >/run/said
	case $verb in
	net | far | tx | cross | rx | tcp | pingpong) $verb $words || echo "FL FAIL $verb: $(tail -n 1 /run/said)" ;;
	quit) break ;;
	*) echo "FL FAIL there is no '$verb'" ;;
	esac
done
busybox poweroff -f
