#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a NIC enforces of a tenant's settings, by traffic: frames from another address do not leave a VF with spoof check, and no more than its
# rate does. FOURLANE_PF names a PF without VFs, FOURLANE_WIRE a port at the other end of its wire, both up; root. Skipped without them: the
# software host's 82576 takes both settings and enforces neither.
. "$(dirname "$0")/../integration/lib.sh"
pf=${FOURLANE_PF:-} wire=${FOURLANE_WIRE:-}
[ -n "$pf" ] && [ -n "$wire" ] || skip_all "the emulated 82576 enforces neither MAC anti-spoof nor rates; with a real NIC: FOURLANE_PF=IFNAME FOURLANE_WIRE=IFNAME"
[ "$(id -u)" = 0 ] || skip_all "it takes root"
dev=$(readlink -f "/sys/class/net/$pf/device")
[ "$(cat "$dev/sriov_numvfs" 2>/dev/null)" = 0 ] || skip_all "$pf has no SR-IOV, or has VFs"
"$FL" tenant list --json | tr -d ' \n' | grep -q '"tenants":\[\]' || skip_all "this host has tenants"
trap '"$FL" tenant release --all >/dev/null 2>&1; rm -rf "$TMP"' EXIT
# the kernel's driver for its VFs, by what the PF says that they will be
alias=$(printf 'pci:v0000%04Xd0000%04Xsv00000000sd00000000bc02sc00i00' "$(cat "$dev/vendor")" "0x$(cat "$dev/sriov_vf_device")")
driver=$(modprobe -R "$alias" 2>/dev/null | head -1)
[ -n "$driver" ] || skip_all "this kernel has no driver for the VFs of $pf"
plan 6
cat >"$TMP/t.yaml" <<EOF2
version: 1
pfs:
  - match: {pci: "${dev##*/}"}
tenants:
  enforced: {vfs: 1, mac: auto, max_tx_mbit: 20, spoof_check: on, trust: off, driver: $driver}
EOF2
"$FL" tenant apply "$TMP/t.yaml" >"$TMP/o" 2>&1
is apply_is_done $? 0
vf=$(readlink -f "$dev/virtfn0")
check the_vf_has_its_kernel_driver wait_for 10 eval 'ls "$vf"/net/* >/dev/null 2>&1'
n=$(ls "$vf/net") && [ -n "$n" ] || { sed 's/^/# /' "$TMP/o"; exit 1; }
echo 1 >"/proc/sys/net/ipv6/conf/$n/disable_ipv6"
ip link set dev "$n" up
wait_for 15 grep -q 1 "/sys/class/net/$n/carrier"
own=$(cat "/sys/class/net/$n/address")
# send SOURCE BYTES MILLISECONDS: frames to all from that address, as many as go in that time; prints how many went
send() {
	perl -e 'use Socket; use Time::HiRes "time"; my ($if, $src, $size, $ms) = @ARGV; $src =~ s/://g; socket(S, 17, SOCK_RAW, 0) or die;
		open F, "/sys/class/net/$if/ifindex" or die; my $to = pack("SnlSCCa8", 17, 0x88b5, <F>, 0, 0, 6, "");
		my $frame = pack("H12H12n", "ffffffffffff", $src, 0x88b5) . "x" x ($size - 14); my $end = time + $ms / 1000;
		while (time < $end) { if (send(S, $frame, 0, $to)) { $n++ } else { select undef, undef, undef, 0.001 } } print $n' "$n" "$@"
}
# heard SOURCE COMMAND...: how many frames from it came to the wire meanwhile
heard() {
	local src=$1 listener
	shift
	perl -e 'use Socket; $| = 1; my ($if, $src) = @ARGV; $src =~ s/://g; socket(S, 17, SOCK_RAW, 0xb588) or die;
		open F, "/sys/class/net/$if/ifindex" or die; bind(S, pack("SnlSCCa8", 17, 0x88b5, <F>, 0, 0, 0, "")) or die; print "ready\n";
		setsockopt(S, 1, 20, pack("qq", 2, 0)); while (defined recv(S, my $f, 2048, 0)) { $n++ if unpack("H12", substr $f, 6, 6) eq $src } print $n + 0' \
		"$wire" "$src" >"$TMP/heard" &
	listener=$!
	wait_for 5 grep -q ready "$TMP/heard"
	"$@" >"$TMP/sent"
	wait $listener
	sed -n 2p "$TMP/heard"
}
check frames_from_its_own_address_leave [ "$(heard "$own" send "$own" 60 200)" -gt 10 ]
is frames_from_another_address_do_not "$(heard 02:00:00:00:ee:ee send 02:00:00:00:ee:ee 60 200)" 0
before=$(cat "/sys/class/net/$wire/statistics/rx_bytes")
send "$own" 1500 2000 >/dev/null
sleep 0.2
mbit=$((($(cat "/sys/class/net/$wire/statistics/rx_bytes") - before) * 8 / 2 / 1000000))
echo "# $mbit Mbit/s of 20"
check its_rate_is_used [ $mbit -ge 10 ]
check and_is_not_exceeded [ $mbit -le 24 ]
