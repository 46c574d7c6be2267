#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# backend=vhost: the software host's kernel works on the rings of a microguest's two NICs, whose taps are on a bridge; each byte of what
# one sends is compared by the other, and the monitor sees no frame. Run in the lab as root; speaks TAP.
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
[ -w /dev/kvm ] || { echo "1..0 # SKIP no /dev/kvm"; exit 0; }
mg=/opt/fourlane/bin/mg.elf
tmp=$(mktemp -d)
T=0
ok() { T=$((T + 1)); echo "ok $T - $*"; }
not_ok() { T=$((T + 1)); echo "not ok $T - $*"; tail -n 5 "$tmp/out" "$tmp/err" 2>/dev/null | sed 's/^/# /'; }
check() { local n=$1; shift; if "$@"; then ok "$n"; else not_ok "$n"; fi; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; echo "# got '$2', wanted '$3'"; fi; }
wait_for() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }
field() { sed -n "s/.*FL RESULT.* $1=\([^ ]*\).*/\1/p" "$tmp/out" | tail -1; }
counter() { fourlane stats vhost --json | jq "[.. | objects | .$1? // empty] | add"; }
tsc=$(awk '/^cpu MHz/ {printf "%.0f", $4 * 1000000; exit}' /proc/cpuinfo)
guest=
trap '[ -z "$guest" ] || kill -9 $guest 2>/dev/null; rm -rf "$tmp"' EXIT
trap '' PIPE	# a guest that is gone fails its test

modprobe -r vhost_net 2>/dev/null
modprobe -a tun bridge
mv /dev/vhost-net /dev/vhost-net.away 2>/dev/null	# a static node would load the module
fourlane run --kernel $mg --nic virtio,backend=vhost </dev/null >/dev/null 2>"$tmp/err"
is without_vhost_net_it_is_the_hosts_lack $? 3
check the_module_is_named grep -q 'modprobe vhost_net' "$tmp/err"
mv /dev/vhost-net.away /dev/vhost-net 2>/dev/null
modprobe vhost_net

ip link add br0 type bridge && ip link set br0 up
for i in 0 1; do ip tuntap add t$i mode tap && ip link set t$i master br0 up; done
run() { # SIZE NIC-WORDS
	rm -f "$tmp/in"
	mkfifo "$tmp/in"
	fourlane run --name vhost --mem 64M --kernel $mg --append "tsc=$tsc dev=virtio dev2=virtio nth2=1 mode=cross check=all size=$1 ms=500 warm_ms=20 settle_ms=500" \
		--nic "virtio,backend=vhost,ifname=t0$2" --nic "virtio,backend=vhost,ifname=t1$2" <"$tmp/in" >"$tmp/out" 2>"$tmp/err" &
	guest=$!
	exec 9>"$tmp/in"
	wait_for 60 grep -q 'FL READY' "$tmp/out"
	printf g >&9
	check "guest_finishes_$1" wait_for 60 grep -q 'FL RESULT' "$tmp/out"
	is "rings_were_handed_over_$1" "$(counter vhost_starts)/$(counter vhost_errors)" 2/0
	is "monitor_saw_no_frame_$1" "$(counter tx_frames)/$(counter rx_frames)/$(counter kicks)" 0/0/0
	printf q >&9
	wait $guest
	is "guest_ends_in_order_$1" $? 0
	guest=
	exec 9>&-
	check "frames_arrive_$1" [ "$(field received)" -gt 100 ]
	is "frames_arrive_unchanged_$1" "$(field bad)" 0
}
run 256 ''
run 1514 ,mtu=1500
fourlane run --kernel $mg --nic virtio,backend=vhost,packed=on </dev/null >/dev/null 2>"$tmp/err"
is packed_rings_are_not_vhost_nets $? 3
check which_is_said grep -q 'packed=on' "$tmp/err"
fourlane run --kernel $mg --nic e1000,backend=vhost </dev/null >/dev/null 2>"$tmp/err"
check another_device_is_refused grep -q 'virtio only' "$tmp/err"
echo "1..$T"
