#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Four guests, each with a pool of one 82576 port: the NIC sorts the frames that another port sends, by VLAN, by address, by both; then the
# stand-in does the same. That a frame reached exactly its guest is shown twice: by the NIC's own counter of each pool, and by the guests,
# each of which knows another seed. Each guest sends back what it got. Run in the lab as root; speaks TAP.
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
[ -x /opt/fourlane/bin/fourlane-switch ] || { echo "1..0 # SKIP fourlane-switch is not here"; exit 0; }
mg=/opt/fourlane/bin/mg.elf
bdf=0000:01:00.0
each=50		# frames for each guest
tmp=$(mktemp -d)
T=0
ok() { T=$((T + 1)); echo "ok $T - $*"; }
not_ok() { T=$((T + 1)); echo "not ok $T - $*"; tail -n 5 "$tmp"/*err 2>/dev/null | sed 's/^/# /'; }
check() { local n=$1; shift; if "$@"; then ok "$n"; else not_ok "$n"; fi; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; echo "# got '$2', wanted '$3'"; fi; }
status() { fourlane "$@" >"$tmp/out" 2>"$tmp/err"; echo $?; }
wait_for() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }
saw() { grep -q "$2" "$tmp/$1.out" && [ -z "$(tail -c 1 "$tmp/$1.out")" ]; }
field() { sed -n "s/.*FL RESULT.* $2=\([^ ]*\).*/\1/p" "$tmp/$1.out" | tail -1; }
tsc=$(awk '/^cpu MHz/ {printf "%.0f", $4 * 1000000; exit}' /proc/cpuinfo)
declare -A pid fd
switch=
cleanup() { kill -9 ${pid[*]} $switch 2>/dev/null; fourlane unassign $bdf >/dev/null 2>&1; rm -rf "$tmp"; }
trap cleanup EXIT
trap '' PIPE	# a guest that is gone fails its test

# --- what is used -----------------------------------------------------------------------------------------------------
guest() {	# NAME MAC SEED: ready when this returns 0
	local in=$tmp/$1.in n
	rm -f "$in"
	mkfifo "$in"
	fourlane run --name "$1" --mem 64M --kernel $mg --append "tsc=$tsc dev=virtio mode=rx echo=1 size=60 warm_ms=1 ms=4000 seed=$3" \
		--nic "virtio,backend=switch,switch=lab,port=$1,mac=$2" <"$in" >"$tmp/$1.out" 2>"$tmp/$1.err" &
	pid[$1]=$!
	exec {n}>"$in"
	fd[$1]=$n
}
say() { printf %s "$2" >&"${fd[$1]}"; }
guest_end() { say "$1" q; wait "${pid[$1]}"; eval "exec ${fd[$1]}>&-"; unset "pid[$1]" "fd[$1]"; }
switch_start() {	# FILE
	fourlane-switch --config "$1" >"$tmp/switch.out" 2>"$tmp/switch.err" &
	switch=$!
	wait_for 60 sh -c 'fourlane switch show --switch lab >/dev/null 2>&1'
}
switch_end() { kill $switch; wait $switch; switch=; }
config() {	# POOL-WORDS...: one line of YAML words for each guest's pool
	local i=0 words
	printf 'name: lab\nworkers: 1\nhuge: off\nmemory_mb: 128\nports:\n'
	for words in "$@"; do
		i=$((i + 1))
		echo "  - {name: g$i, type: vhost-user}"
		echo "  - {name: p$i, type: vmdq, device: '$bdf', guest: g$i, $words}"
	done
}
pools() { fourlane switch show --switch lab --json | jq -c "[.ports[] | select(.type == \"vmdq\") | $1]"; }
# sender IFACE:DST:SEED...: waits for a line on its stdin, then sends $each rounds of a test frame (bench/guest/mg_frame.h) each; each number
# is one whose payload the guest compares. It is started before the guests, which poll and leave little CPU time to others.
sender() {
	perl -e 'use Socket; my $n = shift; socket(S, 17, SOCK_RAW, 0) or die; my @out;
		for (@ARGV) { my ($if, $dst, $seed) = /^([^:]+):(.*):(\d+)$/; open F, "/sys/class/net/$if/ifindex" or die; my $ix = <F>;
			open F, "/sys/class/net/$if/address"; my $src = <F>; s/[:\n]//g for $dst, $src;
			my $body = join "", map { chr(((($seed * 2654435761 & 0xffffffff) >> 24) + $_) & 255) } 26 .. 59;
			push @out, [pack("H12H12n", $dst, $src, 0x88b5), pack("L<", $seed) . $body, pack("SnlSCCa8", 17, 0x88b5, $ix, 0, 0, 6, "")] }
		<STDIN>;
		for my $seq (1 .. $n) { for (@out) { send(S, $_->[0] . pack("Q<", 64 * $seq) . $_->[1], 0, $_->[2]) or die "$!";
			select undef, undef, undef, 0.001 } }' $each "$@"
}
came_back() { cat "/sys/class/net/$1/statistics/rx_packets"; }
mac() { printf '02:00:00:00:00:%02x' "$1"; }

# round NAME HOW "IF1 IF2 IF3 IF4" "VLANS OF NOBODY": pools as configured, each guest's frames sent to its interface and address
round() {
	local name=$1 how=$2 ifs=($3) nobody=$4 i before after back=() bad to=() go got n
	switch_start "$tmp/$name.yaml"
	is "$name: the switch is up, pools by $how" "$(pools .how)" "[\"$how\",\"$how\",\"$how\",\"$how\"]"
	is "$name: the stand-in says why, the NIC needs not" "$(pools '.why == ""' | jq -c unique)" "[$([ $how = hardware ] && echo true || echo false)]"
	for i in 1 2 3 4; do to+=("${ifs[i - 1]}:$(mac $i):$i"); done
	for i in $nobody; do to+=("$i:02:00:00:00:00:77:9"); done
	rm -f "$tmp/go"
	mkfifo "$tmp/go"
	sender "${to[@]}" <"$tmp/go" 2>"$tmp/sender.err" &
	pid[sender]=$!
	exec {go}>"$tmp/go"
	for i in 1 2 3 4; do guest g$i "$(mac $i)" $i; done
	for i in 1 2 3 4; do check "$name: guest $i is ready" wait_for 60 saw g$i 'FL READY'; done
	before=$(pools '.pool_counters.nic_rx_frames // 0')
	for i in 1 2 3 4; do say g$i g; back+=("$(came_back "${ifs[i - 1]}")"); done
	sleep 2
	echo >&"$go"
	exec {go}>&-
	wait "${pid[sender]}"
	is "$name: all is sent" $? 0
	unset "pid[sender]"
	for i in 1 2 3 4; do wait_for 30 saw g$i 'FL RESULT\|FL FAIL'; done
	after=$(pools '.pool_counters.nic_rx_frames // 0')
	got=
	for i in 1 2 3 4; do
		# the emulated wire loses a frame now and then when its CPU is busy: most have to come, and what comes is counted to the frame
		n=$(field g$i total)
		check "$name: guest $i gets its frames" [ "${n:-0}" -ge $((each * 6 / 10)) -a "${n:-0}" -le $each ]
		is "$name: guest $i gets no other, and all as sent" "$(field g$i bad) $(field g$i other)" "0 0"
		bad=$(($(came_back "${ifs[i - 1]}") - back[i - 1]))
		check "$name: what guest $i sends back arrives where it came from" [ "$bad" -ge $((each * 4 / 10)) ]
		got=$got,${n:-0}
	done
	if [ $how = hardware ]; then
		is "$name: the NIC has counted as many into each pool" "$(jq -nc "[$after, $before] | transpose | map(.[0] - .[1])")" "[${got#,}]"
	else
		check "$name: frames for no pool are counted" [ "$(pools .no_pool | jq .[0])" -ge $each ]
	fi
	for i in 1 2 3 4; do guest_end g$i; done
	switch_end
}

# --- the other end of the wire ------------------------------------------------------------------------------------------
for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >"$f"; done
ip link set lab1 up
for v in 101 102 103 104 105; do ip link add link lab1 name lab1.$v type vlan id $v; ip link set lab1.$v up; done

# --- refused ------------------------------------------------------------------------------------------------------------
config 'vlan: 101' 'vlan: 102' 'vlan: 103' 'vlan: 104' >"$tmp/vlan.yaml"
timeout 60 fourlane-switch --config "$tmp/vlan.yaml" >"$tmp/out" 2>"$tmp/err"
is "a NIC that the kernel's driver holds is refused" $? 1
check "... and the remedy named" grep -q "igb holds $bdf; run 'fourlane assign $bdf'" "$tmp/err"
is "the NIC is assigned" "$(status assign $bdf)" 0

# --- by VLAN, by address, by both, without the NIC's help ------------------------------------------------------------------
round vlan hardware "lab1.101 lab1.102 lab1.103 lab1.104" "lab1.105 lab1"
config "vlan: 0, macs: ['$(mac 1)']" "vlan: 0, macs: ['$(mac 2)']" "vlan: 0, macs: ['$(mac 3)']" "vlan: 0, macs: ['$(mac 4)']" >"$tmp/mac.yaml"
round mac hardware "lab1 lab1 lab1 lab1" "lab1.105 lab1"
config "vlan: 101, macs: ['$(mac 1)']" "vlan: 101, macs: ['$(mac 2)']" "vlan: 102, macs: ['$(mac 3)']" "vlan: 102, macs: ['$(mac 4)']" >"$tmp/both.yaml"
round both hardware "lab1.101 lab1.101 lab1.102 lab1.102" "lab1.105 lab1 lab1.101"
config 'vlan: 101, software: true' 'vlan: 102' 'vlan: 103' 'vlan: 104' >"$tmp/software.yaml"
round software software "lab1.101 lab1.102 lab1.103 lab1.104" "lab1.105"

# --- pools come and go -----------------------------------------------------------------------------------------------------
switch_start "$tmp/vlan.yaml"
is "a pool is taken from a running switch" "$(status switch port remove p4 --switch lab)" 0
is "... the others are pools still" "$(pools .how)" '["hardware","hardware","hardware"]'
is "... and it is given back" "$(status switch port add p4 --switch lab --type vmdq --device $bdf --guest g4 --vlan 104)" 0
is "a second pool for the same guest is refused" "$(status switch port add p5 --switch lab --type vmdq --device $bdf --guest g4 --vlan 105)" 2
is "the NIC is not given to another port" "$(status switch port add e1 --switch lab --type eth --device $bdf)" 1
is "a pool of the same VLAN is refused" "$(status switch port add g5 --switch lab --type vhost-user; status switch port add p5 --switch lab --type vmdq --device $bdf --guest g5 --vlan 104)" "0
2"
is "... and the four are as they were" "$(pools .how)" '["hardware","hardware","hardware","hardware"]'
switch_end
is "the kernel has its NIC again" "$(status unassign $bdf; basename "$(readlink /sys/bus/pci/devices/$bdf/driver)")" "0
igb"
echo "1..$T"
