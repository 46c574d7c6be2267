#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# DPDK in a Linux guest on our devices, inside the software host: dpdk-testpmd on uio_pci_generic with the 82540EM (e1000 EM PMD) and
# virtio-net (virtio PMD: split, packed, vectorised, several queues). Frames go in and out and are counted by the program that sends
# them, the tap, the device and the PMD; the numbers must be the same. Then ports stop and start, testpmd is killed, Linux' driver follows.
# Speaks TAP. frames, seconds: how much traffic; long=1: all of it on each NIC, frames of several pieces, the loop back-end; only: the
# NICs whose names match it.
cd "$(dirname "$(readlink -f "$0")")" || exit 1
. ./guest_lib.sh
frames=${frames:-200} seconds=${seconds:-0.2} long=${long:-} only=${only:-}

# --- the program outside ------------------------------------------------------------------------------------------------
# wire INTERFACE MAC COUNT WINDOW FLOWS FROM TO: UDP frames of FROM to TO bytes to that address, at most WINDOW of them under way (0:
# nobody waits). Prints COUNT BACK WRONG: what comes back must be a frame that was sent, whole, once, and in the order of its flow.
cat >"$tmp/wire" <<'E'
use strict;
my ($if, $mac, $count, $window, $flows, $from, $to) = @ARGV;
open(my $f, '<', "/sys/class/net/$if/ifindex") or die;
my $index = <$f> + 0;
socket(my $s, 17, 3, 0) or die "socket: $!";
setsockopt($s, 263, 23, pack('i', 1)) or die "PACKET_IGNORE_OUTGOING: $!";
setsockopt($s, 1, 33, pack('i', 4 << 20)) or die "SO_RCVBUFFORCE: $!";
bind($s, pack('SnlSCCa8', 17, 3, $index, 0, 0, 0, '')) or die "bind: $!";
$mac =~ s/://g;
my $run = int(rand(1 << 32));
my $filler = join '', map { pack 'C', $_ * 7 % 251 } 0 .. 20000;
sub frame {
	my $n = shift;
	my $len = $from + ($n * 37) % ($to - $from + 1);
	my $ip = pack('CCnnnCCnNN', 0x45, 0, $len - 14, $n & 0xffff, 0, 64, 17, 0, 0xc6120001, 0xc6120002);
	my $sum = 0;
	$sum += $_ for unpack('n10', $ip);
	$sum = ($sum & 0xffff) + ($sum >> 16) for 1, 2;
	substr($ip, 10, 2) = pack('n', ~$sum & 0xffff);
	return pack('H12H12n', $mac, '020000000901', 0x800) . $ip . pack('nnnnNN', 1000 + $n % $flows, 9, $len - 34, 0, $run, $n) .
		substr($filler, $n % 997, $len - 50);
}
my ($sent, $back, $wrong, %next) = (0, 0, 0);
my $in = '';
vec($in, fileno($s), 1) = 1;
sub take {	# what comes within so many seconds; false: nothing did
	my ($ready, $buf) = ($in);
	return 0 unless select($ready, undef, undef, shift) > 0;
	defined recv($s, $buf, 65536, 0) or return 0;
	return 1 if length $buf < 50 || unpack('x42N', $buf) != $run;	# of an earlier run
	my $n = unpack('x46N', $buf);
	$back++;
	$wrong++ if $n >= $sent || $buf ne frame($n) || $n != ($next{$n % $flows} // $n % $flows);
	$next{$n % $flows} = $n + $flows;
	return 1;
}
while ($sent < $count) {
	if ($window && $sent - $back >= $window) {
		take(10) or last;
		next;
	}
	send($s, frame($sent), 0);
	$sent++;
	1 while $window && take(0);
}
1 while $window && $back < $sent && take(10);
1 while $window && take(0.05);	# one too many
print "$sent $back $wrong\n";
E
wire() { perl "$tmp/wire" "t$n" "$(mac)" "$@"; }

# --- the NICs -----------------------------------------------------------------------------------------------------------
mac() { printf '02:00:00:00:0a:%02x' "$n"; }
bdf() { printf '0000:00:%02x.0' $((n + 1)); }
nic_words=()
kinds=()
nic() {	# KIND MODEL-WORDS [TAP-WORDS]: number n, named KIND; a tap on which nobody speaks but us
	n=${#kinds[*]}
	kinds+=("$1")
	case $2 in
	*backend=*) nic_words+=(--nic "$2,mac=$(mac)") ;;
	*)
		# shellcheck disable=SC2086
		ip tuntap add dev "t$n" mode tap vnet_hdr ${3:-}
		echo 1 >"/proc/sys/net/ipv6/conf/t$n/disable_ipv6"
		ip link set "t$n" mtu 9000 up
		nic_words+=(--nic "$2,mac=$(mac),backend=tap,ifname=t$n")
		;;
	esac
}
snap() {	# the counters of NIC n as they are now, KEY=VALUE
	local k
	fourlane stats g --json | jq -r ".nics[$n].counters | to_entries[] | \"\(.key)=\(.value)\""
	for k in rx_packets tx_packets rx_dropped tx_dropped; do
		[ ! -e "/sys/class/net/t$n" ] || echo "tap_$k=$(<"/sys/class/net/t$n/statistics/$k")"
	done
}
before() { snap >"$tmp/before"; }
after() { snap >"$tmp/after"; }
since() {	# KEY...: the sum of what they grew by between before and after; KEY* is all that begin so
	awk -F= -v keys="$*" 'BEGIN { n = split(keys, key, " ") }
		{ for (i = 1; i <= n; i++) { k = key[i]
			if (k == $1 || (sub(/\*$/, "", k) && index($1, k) == 1)) sum += NR == FNR ? -$2 : $2 } }
		END { print sum + 0 }' "$tmp/before" "$tmp/after"
}

# --- testpmd in the guest ---------------------------------------------------------------------------------------------------
guest_functions='
pci=/sys/bus/pci/devices
bind() {	# BDF DRIVER
	local d=$pci/$1
	[ ! -e $d/driver ] || echo $1 >$d/driver/unbind
	echo $2 >$d/driver_override
	echo $1 >/sys/bus/pci/drivers_probe
	d=$(readlink $d/driver)
	[ "${d##*/}" = $2 ]
}
pmd_start() {	# DEVICE WORDS...
	local device=$1
	shift
	rm -f /tmp/pmd.*
	mkfifo /tmp/pmd.in /tmp/pmd.never
	: >/tmp/pmd.out
	exec 7<>/tmp/pmd.in 8<>/tmp/pmd.never
	stdbuf -oL dpdk-testpmd --lcores 0@0,1@0 --no-telemetry --in-memory "--log-level=pmd.net.virtio.*:debug" -a $device -- \
		-i --total-num-mbufs=4096 "$@" <&7 >/tmp/pmd.out 2>&1 7>&- &
	pmd_pid=$!
	pmd_n=0
	pmd >/dev/null && ! grep -q "No probed ethernet devices" /tmp/pmd.out
}
pmd() {	# COMMANDS...: prints what testpmd says to them
	local c i
	for c in "$@"; do echo "$c"; done >&7
	echo "#end $((++pmd_n)) " >&7	# a comment; its echo comes when the rest is done
	for i in {1..2000}; do	# no program is started while it waits: there is one processor
		[[ "$(</tmp/pmd.out)" == *"#end $pmd_n "* ]] && break
		kill -0 $pmd_pid || break
		read -t 0.05 -u 8
	done
	sed -n "/#end $((pmd_n - 1)) /,/#end $pmd_n /p" /tmp/pmd.out
	grep -q "#end $pmd_n " /tmp/pmd.out
}
pmd_quit() { local s; echo quit >&7; wait $pmd_pid; s=$?; exec 7>&-; return $s; }
pmd_kill() { kill -9 $pmd_pid; wait $pmd_pid; exec 7>&-; }
interface() { local i; for i in $pci/$1/net/* $pci/$1/virtio*/net/*; do [ ! -e "$i" ] || echo "${i##*/}"; done; }
'
start() { check "$kind: testpmd finds the NIC" guest_do -t 150 g "pmd_start $(bdf)${device[n]:-} ${words[n]:-} || { cat /tmp/pmd.out; false; }"; }
pmd() { guest_do -t 120 g "pmd $(printf "'%s' " "$@")" >"$tmp/said"; }
quit() { check "$kind: testpmd ends by itself" guest_do g 'pmd_quit'; }
fwd() { said "Accumulated forward statistics" "$1"; }
port() { said "NIC statistics for port" "$1"; }
said() {	# SECTION KEY
	awk -v section="$1" -v key="$2:" 'index($0, section) { on = 1 }
		on { for (i = 1; i < NF; i++) if ($i == key) { print $(i + 1); exit } }' "$tmp/said"
}

# --- the modes ----------------------------------------------------------------------------------------------------------
forward() {
	pmd "set fwd $1" 'clear port stats all'
	before
	pmd "${2:-start}"
}
io() {	# NAME [FLOWS]
	local name=$1 count=$frames
	forward io
	is "$name: each of $count frames comes back whole, in order" "$(wire "$count" 64 "${2:-1}" 60 1514)" "$count $count 0"
	pmd stop 'show port stats all' 'show port xstats 0'
	after
	is "$name: testpmd, its port, the device, the tap: in" "$(fwd RX-packets) $(port RX-packets) $(since rx_frames) $(since tap_tx_packets)" \
		"$count $count $count $count"
	is "$name: testpmd, its port, the device, the tap: out" "$(fwd TX-packets) $(port TX-packets) $(since tx_frames) $(since tap_rx_packets)" \
		"$count $count $count $count"
	is "$name: no errors" "$(port RX-missed) $(port RX-errors) $(port RX-nombuf) $(port TX-errors)" "0 0 0 0"
}
taken() { after; [ "$(since tap_tx_packets tap_tx_dropped) $(since tap_tx_packets)" = "$1 $(since rx_frames 'rx_drop_*')" ]; }
rxonly() {	# NAME: as fast as they can be sent; each that is lost is counted where it is
	local count=$((2 * frames))
	forward rxonly
	wire $count 0 8 60 1514 >/dev/null
	wait_for 10 taken $count
	pmd stop 'show port stats all'
	after
	is "$1: what the tap gave and what it lost are what was sent" "$(since tap_tx_packets tap_tx_dropped)" $count
	is "$1: the device has got and dropped what the tap gave" "$(since rx_frames 'rx_drop_*')" "$(since tap_tx_packets)"
	is "$1: testpmd, its port, the device" "$(fwd RX-packets) $(port RX-packets)" "$(since rx_frames) $(since rx_frames)"
	check "$1: $(since rx_frames) of $count frames came in" [ "$(since rx_frames)" -ge $((frames / 4)) ]
	is "$1: nothing went out" "$(fwd TX-packets) $(since tx_frames)" "0 0"
}
sent() {	# no more goes out; what testpmd says at its stop is what the 82540EM had counted by then
	local was
	was=$(since tx_frames)
	after
	[ "$(since tx_frames)" = "$was" ] && [ "$was" -ge "$(fwd TX-packets)" ]
}
txonly() {	# NAME SIZES: each frame in so many pieces
	local out
	pmd "set txpkts $2"
	forward txonly
	guest_do g "sleep $seconds"
	pmd stop
	after
	wait_for 20 sent
	pmd 'show port stats all'
	out=$(port TX-packets)
	check "$1: $2: $(since tx_frames) frames went out" [ "$(since tx_frames)" -ge 100 ]
	is "$1: $2: testpmd's port, the device, the tap" "$out $(since tx_frames) $(since tap_rx_packets tap_rx_dropped)" "$out $out $out"
	is "$1: $2: their bytes" "$(since tx_bytes)" $((out * (${2//,/+})))
	is "$1: $2: nothing was dropped" "$(since 'tx_drop_*')" 0
}
modes() {	# all | few [FLOWS]
	io "$kind: io" "${2:-1}"
	[ "$1$long" != few ] || return
	rxonly "$kind: rxonly"
	txonly "$kind: txonly" 64
	[[ -n $long || $kind == *packed ]] || return
	txonly "$kind: txonly" 60,1,300,700
}
restart() {	# the port, in testpmd
	pmd 'port stop 0' 'port start 0' 'show port info 0'
	has "$kind: the port stops and starts, link up" "$(cat "$tmp/said")" "Link status: up"
	[ -z "$long" ] || io "$kind: io after it"
}

# --- killed, and given to Linux -------------------------------------------------------------------------------------------
killed() {
	local traffic
	forward io
	perl "$tmp/wire" "t$n" "$(mac)" 1000000 64 1 60 1514 >/dev/null &
	traffic=$!
	wait_for 30 moving
	guest_do g pmd_kill >/dev/null
	kill $traffic
	wait $traffic 2>/dev/null
	after
	check "$kind: kill -9 in the middle of $(since tx_frames) frames" [ "$(since tx_frames)" -gt 0 ]
	cp "$tmp/before" "$tmp/before.kill"
	before
	wire 100 0 1 60 60 >/dev/null
	sleep 0.5
	after
	is "$kind: no frame comes into the memory of a driver that is gone" "$(since rx_frames)" 0
	start
	pmd 'set fwd rxonly' start	# what waited in the tap
	cp "$tmp/before.kill" "$tmp/before"
	wait_for 10 drained
	pmd stop
	is "$kind: no frame was lost uncounted" "$(since rx_frames 'rx_drop_*')" "$(since tap_tx_packets)"
	io "$kind: io after kill -9"
}
moving() { after; [ "$(since tx_frames)" -gt 100 ]; }
drained() {
	local was
	was=$(since tap_tx_packets)
	after
	[ "$(since tap_tx_packets) $was" = "$(since rx_frames 'rx_drop_*') $(since rx_frames 'rx_drop_*')" ]
}
linux() {	# DRIVER-OF-PCI MODULE
	ip addr add "10.9.$n.1/24" dev "t$n"
	ip neigh add "10.9.$n.2" lladdr "$(mac)" dev "t$n"
	check "$kind: given to Linux' $2, the guest pings" guest_do g "modprobe $2; bind $(bdf) $1 && i=\$(interface $(bdf)) &&
		ip link set \$i addrgenmode none && ip link set \$i up && ip addr add 10.9.$n.2/24 dev \$i &&
		ip neigh replace 10.9.$n.1 lladdr $(cat "/sys/class/net/t$n/address") dev \$i &&
		ping -q -n -c 3 -i 0.1 -W 10 10.9.$n.1 >/tmp/ping || { cat /tmp/ping; false; }"
	ip addr flush dev "t$n"
	[ -n "$long" ] || return
	check "$kind: and back" guest_do g "ip link set \$i down; bind $(bdf) uio_pci_generic"
	start
	io "$kind: io after Linux"
	quit
}

# --- what is particular to some -------------------------------------------------------------------------------------------
round() {	# 128 frames that the PMD sends, gets back and sends again
	local out
	forward io 'start tx_first 4'
	guest_do g "sleep $seconds"
	pmd stop
	after
	wait_for 20 sent
	pmd 'set fwd rxonly' start stop 'show port stats all'	# what still came back
	after
	out=$(port TX-packets)
	check "$kind: $out frames went round" [ "$out" -gt 256 ]
	is "$kind: testpmd's port, the device: out" "$out $(since tx_frames)" "$out $out"
	is "$kind: its port, the device: in; dropped" "$(port RX-packets) $(since rx_frames) $(since 'rx_drop_*')" "$out $out 0"
}
busy_queues() {
	local x
	forward io
	wire "$frames" 32 16 60 1514 >/dev/null
	pmd stop 'show port xstats 0'
	for x in rx tx; do
		x="$x $(grep -cE "^${x}_q[0-9]_good_packets: [1-9]" "$tmp/said")"
		check "$kind: several of them are used ($x)" [ "${x#* }" -gt 1 ]
	done
}
packed_vectorised() {	# asked for, but not taken
	path "packed ring standard Rx"
	ok "$kind: the PMD takes its path 'packed ring vectorized Rx' # SKIP it needs AVX512, which QEMU's processors have not, and IN_ORDER"
}

# --- all of it ------------------------------------------------------------------------------------------------------------
device=() words=()
path() { has "$kind: the PMD takes its path '$1'" "$(guest_do g 'grep "virtio: using" /tmp/pmd.out')" "using $1 path"; }
nic "82540EM" e1000
nic "virtio split" virtio
nic "virtio split, vectorised" virtio,mergeable=off
device[n]=,vectorized=1
nic "virtio packed" virtio,packed=on
nic "virtio packed, vectorised" virtio,packed=on,mergeable=off
device[n]=,vectorized=1
nic "virtio, four queues" virtio,queues=4 multi_queue
words[n]="--rxq=4 --txq=4 --total-num-mbufs=8192"
nic "82540EM, loop" e1000,backend=loop
nic "virtio, loop" virtio,backend=loop

guest_append="hugepages=48"
guest_start g "${nic_words[@]}" || { not_ok "the guest boots"; exit 1; }
guest_do g "$guest_functions"
guest_do g 'modprobe uio_pci_generic'
for n in ${!kinds[*]}; do
	kind=${kinds[n]}
	[[ $kind =~ $only && $kind$long != *loop ]] || continue
	check "$kind: bound to uio_pci_generic" guest_do g "bind $(bdf) uio_pci_generic"
	start
	case $kind in
	*loop) round ;;
	*queues) modes few 16; busy_queues ;;
	"virtio packed, vectorised") modes few ;;
	*) modes all ;;
	esac
	case $kind in
	"virtio split") path "mergeable buffer Rx" ;;
	"virtio split, vectorised") path "vectorized Rx" ;;
	"virtio packed") path "packed ring mergeable buffer Rx" ;;
	"virtio packed, vectorised") packed_vectorised ;;
	esac
	case $kind in
	82540EM | "virtio split") restart; killed ;;
	*loop) ;;
	*) [ -z "$long" ] || { restart; killed; } ;;
	esac
	quit
	case $kind in
	82540EM) linux e1000 e1000 ;;
	"virtio split" | "virtio packed") linux virtio-pci virtio_net ;;
	esac
done
guest_off g
is "it powers off" $? 0
echo "1..$T"
