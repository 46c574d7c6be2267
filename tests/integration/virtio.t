#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# virtio-net of one guest: packed rings beside split ones, over null, loop and the kernel's tap (two NICs of the guest on a
# bridge in a network namespace), several queues and an MTU on a tap, and the words that are refused.
. "$(dirname "$0")/lib.sh"
need_kvm
NS=flvirtio$$
trap 'guest_kill; ip netns del $NS 2>/dev/null; rm -rf "$TMP"' EXIT
PLAN=40
plan $PLAN

counter() { "$FL" stats "$GUEST" --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -1; }
run() { # NAME NIC WORDS...: one measurement of a guest that is started and ended
	local name=$1 nic=$2
	shift 2
	guest_start fl-virtio "$nic" "$* ms=200 warm_ms=20"
	check "${name}_gets_ready" wait_for 20 guest_saw 'FL READY'
	guest_say g
	wait_for 20 guest_saw 'FL RESULT'
	guest_say q
	guest_wait 10
	is "${name}_ends_in_order" $? 0
	is "${name}_loses_nothing" "$(field lost)/$(field bad)" 0/0
	check "${name}_moves_frames" [ "$(field total)" -gt 100 ]
}
for packed in off on; do
	words="dev=virtio packed=$([ $packed = on ] && echo 1 || echo 0)"
	run "null_packed_$packed" "virtio,backend=null,packed=$packed" "$words" mode=tx size=64
	run "loop_packed_$packed" "virtio,backend=loop,packed=$packed,queues=4" "$words" mode=pingpong size=1518 check=all
	run "short_ring_packed_$packed" "virtio,backend=loop,packed=$packed,queue_size=16" "$words" mode=pingpong size=64 check=all
done

# words that are refused, each by name
refused() { # NAME NIC WORD
	"$FL" run --kernel "$MG" --nic "$2" </dev/null >/dev/null 2>"$TMP/e"
	check "$1" [ $? != 0 ]
	check "$1_by_name" grep -q -- "$3" "$TMP/e"
}
refused nine_queues_are_refused virtio,queues=9 'queues'
refused tiny_mtu_is_refused virtio,mtu=67 'mtu'
guest_start fl-virtio virtio,backend=null dev=virtio mode=tx packed=1
check packed_is_not_offered_unasked wait_for 20 guest_saw 'does not offer packed'
guest_kill

if [ -e /dev/vhost-net ]; then
	for i in 1 2 3; do skip "this host has vhost-net"; done
else
	refused vhost_without_vhost_net_is_refused virtio,backend=vhost "modprobe vhost_net"
	"$FL" run --kernel "$MG" --nic virtio,backend=vhost </dev/null >/dev/null 2>"$TMP/e"
	is it_is_the_hosts_lack $? 3
fi

if [ "$(id -u)" != 0 ] || ! ip netns add $NS 2>/dev/null || [ ! -w /dev/net/tun ] ||
	! ip -n $NS link add br0 type bridge 2>/dev/null; then
	while [ $T -lt $PLAN ]; do skip "no root, no tun or no bridge"; done
	exit 0
fi
printf '#!/bin/sh\nexec ip netns exec %s %s "$@"\n' $NS "$(realpath "$FL")" >"$TMP/fl"
chmod +x "$TMP/fl"
FL=$TMP/fl
ip -n $NS link set br0 up
for i in 0 1; do
	ip -n $NS tuntap add t$i mode tap multi_queue
	ip -n $NS link set t$i master br0 up
done

cross() { # NAME NIC NIC WORDS...: the first NIC sends, the second receives
	local name=$1 a=$2 b=$3
	shift 3
	GUEST=fl-virtio
	rm -f "$TMP/in"
	mkfifo "$TMP/in"
	"$FL" run --name $GUEST --kernel "$MG" --append "tsc=$(tsc_hz) dev=virtio dev2=virtio nth2=1 mode=cross check=all ms=300 warm_ms=50 settle_ms=200 $*" \
		--nic "$a" --nic "$b" <"$TMP/in" >"$TMP/$GUEST.out" 2>"$TMP/$GUEST.err" &
	GUEST_PID=$!
	exec 9>"$TMP/in"
	wait_for 20 guest_saw 'FL READY'
	guest_say g
	wait_for 20 guest_saw 'FL RESULT'
	guest_say q
	guest_wait 10
	is "${name}_ends_in_order" $? 0
	is "${name}_arrives_unchanged" "$(field bad)" 0
}
cross tap_packed virtio,backend=tap,ifname=t0,packed=on virtio,backend=tap,ifname=t1,packed=on size=256 packed=1
check tap_packed_moves_frames [ "$(field received)" -gt 100 ]
cross tap_split virtio,backend=tap,ifname=t0,queues=4 virtio,backend=tap,ifname=t1,offloads=off size=1514
check tap_split_moves_frames [ "$(field received)" -gt 100 ]
refused mtu_beyond_the_interface_is_refused virtio,backend=tap,ifname=t0,mtu=9000 'mtu=9000'
