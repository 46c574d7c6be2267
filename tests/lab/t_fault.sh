#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests that misuse their device, inside the software host: DMA outside their memory, BARs and configuration space of all kinds, memory
# decoding switched under a reader. Nothing outside that guest changes, the kernel's fault is shown with the guest's name, another guest
# keeps sending. And the host that takes a device away, from a guest that stands still and in mid-traffic. In the lab as root; speaks TAP.
. "$(dirname "$0")/micro_lib.sh"
nic=0000:01:00.0
peer=$(cat /sys/class/net/lab2/address)
amd=
[ ! -e /sys/class/iommu/ivhd0 ] || amd=1
cleanup() {
	kill -9 ${pid[*]} 2>/dev/null
	exec 7>&-
	fourlane unassign $nic >/dev/null 2>&1
	fourlane vf remove lab1 >/dev/null 2>&1
	rm -rf "$tmp"
}
trap cleanup EXIT
said() { grep -qF -- "$2" "$tmp/$1.err"; }

# A page of ours that the kernel does not move, where no guest has memory or a BAR: says where it is, and for each line whether it is as it
# was.
cat >"$tmp/page.pl" <<'P'
use strict; $| = 1;
my $n = 256; my $buf = "\xa5" x (4096 * ($n + 1)); my $at = unpack("J", pack("p", $buf));
my $skip = -$at & 4095; syscall(149, $at + $skip, 4096 * $n) == 0 or die "mlock: $!";
sub place { open(my $f, "<", "/proc/self/pagemap") or die; sysseek($f, $_[0] / 4096 * 8, 0); sysread($f, my $v, 8); return (unpack("Q", $v) & ((1 << 55) - 1)) * 4096; }
my $mine = -1; for (0 .. $n - 1) { my $p = place($at + $skip + 4096 * $_); $mine = $_ if $p > 0x8000000 && $p < 0x70000000 || $p >> 32 && !($p >> 36); }
$mine >= 0 or die "no page in reach"; my $phys = place($at + $skip + 4096 * $mine); printf "0x%x\n", $phys;
while (<STDIN>) { my $same = substr($buf, $skip + 4096 * $mine, 4096) eq "\xa5" x 4096 && place($at + $skip + 4096 * $mine) == $phys; print $same ? "same\n" : "changed\n"; }
P
coproc PAGE { perl "$tmp/page.pl" 2>"$tmp/page.err"; }
exec 7>&"${PAGE[1]}" 6<&"${PAGE[0]}"
page() { local answer; echo >&7; read -r -t 10 answer <&6; echo "$answer"; }
read -r -t 10 phys <&6

# --- who else is there ---------------------------------------------------------------------------------------------------
is the_port_is_assigned "$(status assign $nic)" 0
is two_vfs_are_made "$(status vf create lab1 2)" 0
vf0=$(basename "$(readlink /sys/class/net/lab1/device/virtfn0)")
vf1=$(basename "$(readlink /sys/class/net/lab1/device/virtfn1)")
check another_guest_runs guest other "vf,host=$vf0" dev=igbvf mode=tx size=60 ms=100 warm_ms=10 "dst=$peer"
other_sends() {
	local before
	before=$(rx_packets)
	runs other && [ "$(field other frames)" -gt 10 ] && [ "$(rx_packets)" -gt "$before" ]
}
check it_sends other_sends

# --- DMA outside the guest's memory --------------------------------------------------------------------------------------
check a_page_of_the_host_is_known [ -n "$phys" ]
is it_has_its_pattern "$(page)" same
# the kernel tells VT-d's faults with device and address; the emulated AMD-Vi logs all of them as 00:00.0
fault_said() {	# GUEST DIRECTION
	if [ -n "$amd" ]; then
		said "$1" "guest '$1': the IOMMU reports a fault (IO_PAGE_FAULT" && said "$1" "not of which device; it may be of this guest, which has $nic"
	else
		said "$1" "guest '$1': nic0 ($nic): the IOMMU stopped a DMA $2 outside the guest's memory, at $phys "
	fi
}
faults_of() { fourlane stats "$1" --json | jq '.nics[0].dma_faults + .dma_faults.device_not_told'; }
tcpdump -q -i lab2 -w "$tmp/wire" "ether dst $peer" 2>/dev/null & dump=$!
sleep 1
check a_guest_that_sends_from_there_runs guest d "vfio,host=$nic" dev=igb mode=tx size=60 ms=100 warm_ms=10 batch=4 "dst=$peer" "stray=$phys"
check its_round_ends runs d
check the_read_is_shown wait_for 10 fault_said d read
check and_counted [ "$(faults_of d)" -ge 1 ]
check one_guests_faults_are_not_anothers eval "[ -n '$amd' ] || [ \$(faults_of other) = 0 ]"
finish d
is the_guest_ends_in_order $? 0
kill $dump; wait $dump 2>/dev/null
is none_of_the_page_is_on_the_wire "$(grep -c "$(printf '\245\245\245\245\245\245\245\245')" "$tmp/wire")" 0
check a_guest_that_receives_there_runs guest d "vfio,host=$nic" dev=igb mode=rx size=60 ms=600000 warm_ms=10 "stray=$phys"
say d g
check frames_are_sent_to_it guest s "vf,host=$vf1" dev=igbvf mode=tx size=60 ms=100 warm_ms=10 "dst=$(mac_of d)"
# the kernel shows ten faults in five seconds, and these are spent
written() { runs s && sleep 0.3 && fault_said d write; }
check the_write_is_shown wait_for 20 written
finish s
check and_that_guest_is_stopped [ "$(status stop d)" = 0 ]
wait "${pid[d]}"
is in_order $? 0
is the_page_is_as_it_was "$(page)" same
check the_other_guest_still_sends other_sends
check the_same_port_works_afterwards guest d "vfio,host=$nic" dev=igb mode=tx size=60 ms=100 warm_ms=10 "dst=$peer"
arrived=$(rx_packets)
runs d
check and_its_frames_arrive [ "$(rx_packets)" -gt "$arrived" ]
finish d

# --- BARs, configuration space, decoding ---------------------------------------------------------------------------------
config_of() { od -An -v -tx1 -w16 -j "$2" -N "$3" "/sys/bus/pci/devices/$1/config"; }
sriov=$(($(lspci -vvs $nic | sed -n 's/.*Capabilities: \[\([0-9a-f]*\) v1\] Single Root.*/0x\1/p')))
abuse() {	# NAME NIC MODE WORDS...
	local name=$1 nic=$2 mode=$3
	shift 3
	guest "$name" "$nic" mode="$mode" size=60 ms=100 warm_ms=10 "dst=$peer" "$@" && runs "$name" && saw "$name" "FL ABUSE mode=$mode done=[1-9][0-9]* bad=0" &&
		[ "$(field "$name" frames)" -gt 10 ]
}
misuse() {
	local mode before
	for mode in bars config; do
		before=$(config_of $nic "$sriov" 64)
		check "the_ports_guest_gets_through_$mode" abuse d "vfio,host=$nic" $mode dev=igb ecam=0xe0000000
		is "the_ports_sriov_is_untouched_by_$mode" "$(config_of $nic "$sriov" 64)" "$before"
		finish d
		is "and_ends_in_order_after_$mode" $? 0
		check "a_vfs_guest_gets_through_$mode" abuse v "vf,host=$vf1" $mode dev=igbvf ecam=0xe0000000
		finish v
		is "and_ends_in_order_after_vf_$mode" $? 0
		check "the_other_guest_sends_after_$mode" other_sends
	done
	guest_cpus=2
	check a_vfs_memory_decoding_is_switched_under_a_reader abuse v "vf,host=$vf1" decode dev=igbvf
	check both_were_seen grep -qE 'FL DECODE rounds=[1-9][0-9]* answered=[1-9][0-9]* unanswered=[1-9]' "$tmp/v.out"
	guest_cpus=1
	finish v
	is and_that_guest_ends_in_order $? 0
	check the_other_guest_sends_after_it other_sends
}
[ -n "$amd" ] || misuse # the IOMMU has no part in it: on one of the two kinds of host
is no_vf_is_lost "$(cat /sys/class/net/lab1/device/sriov_numvfs)" 2

# --- the host takes it away ----------------------------------------------------------------------------------------------
taken() {	# GUEST: unbinds its port; 0 when the kernel is through and the guest has ended in order
	timeout 60 bash -c "echo $nic >/sys/bus/pci/drivers/vfio-pci/unbind" && wait "${pid[$1]}" && said "$1" "guest '$1': $nic: the host wants it back"
}
check a_guest_is_paused eval "guest p vfio,host=$nic dev=igb mode=tx size=60 ms=100 warm_ms=10 && fl pause p"
check the_host_takes_its_port taken p
is unassign_gives_it_to_its_driver "$(status unassign $nic) $(driver_of $nic)" '0 igb'
is assign_again "$(status assign $nic)" 0
check a_guest_sends_without_end guest m "vfio,host=$nic" dev=igb mode=tx size=60 ms=600000 warm_ms=10 "dst=$peer"
say m g
arrived=$(rx_packets)
check frames_arrive wait_for 20 eval "[ \$(rx_packets) -gt $((arrived + 100)) ]"
check the_host_takes_its_port_in_mid_traffic taken m
is unassign_gives_it_back_again "$(status unassign $nic) $(driver_of $nic)" '0 igb'
check the_other_guest_never_noticed other_sends
finish other
is and_ends_in_order $? 0
is the_hosts_page_is_as_it_was "$(page)" same
is nothing_bad_in_the_kernels_log "$(dmesg | grep -cE 'BUG:|WARNING:|Oops|general protection')" 0
echo "# $SECONDS s"
echo "1..$T"
