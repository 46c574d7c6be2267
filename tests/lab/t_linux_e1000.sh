#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux's e1000 driver on our 82540EM, inside the software host: its own offline test, what ethtool shows, traffic, every filter.
# Speaks TAP. net_kb, net_seconds: how much traffic.
cd "$(dirname "$(readlink -f "$0")")" || exit 1
. ./guest_lib.sh
. ./guest_net.sh
et() { guest_do g "ethtool $*"; }
stat() { et -S eth0 | awk -v n="$1:" '$1 == n { print $2 }'; }

net_nic e1000
guest_start g "${net_words[@]}" || { not_ok "the guest boots"; exit 1; }
guest_do g 'modprobe e1000'
check "the driver finds the NIC and its link" net_guest
is "its address is the one we gave" "$(guest_do g 'cat /sys/class/net/eth0/address')" $(net_mac)
has "the link is 1000 Mb/s" "$(et eth0)" "Speed: 1000Mb/s"

# --- what ethtool shows -------------------------------------------------------------------------------------------------
net_ping "ping"
diff_of() { echo $(($(awk -v n="$1:" '$1 == n { print $2 }' <<<"$after") - $(awk -v n="$1:" '$1 == n { print $2 }' <<<"$before"))); }
counted() {	# what pings of 98 bytes and the CRC count; again while IPv6 announces itself
	before=$(et -S eth0)
	guest_do g 'ping -q -n -c 3 -i 0.1 -W 5 10.9.0.1 >/dev/null'
	after=$(et -S eth0)
	got="$(diff_of tx_packets) $(diff_of rx_packets) $(diff_of tx_bytes) $(diff_of rx_bytes)"
	[ "$got" = "3 3 306 306" ]
}
wait_for 20 counted
is "-S: it counts frames and bytes" "$got" "3 3 306 306"
regs=$(et -d eth0)
has "-d: the link" "$regs" "Link up:                           link config"
has "-d: the receiver" "$regs" "Receiver:                          enabled"
has "-d: the PHY" "$regs" "M88 PHY STATUS REGISTER"
is "-e: the address" "$(guest_do g 'ethtool -e eth0 raw on length 6 | od -An -tx1')" " $(net_mac | tr : " ")"
is "-e: the checksum" "$(guest_do g "ethtool -e eth0 raw on length 128 | od -An -v -w2 -tu2 | awk '{ n += \$1 } END { print n % 65536 }'")" $((0xbaba))
has "-k: segmentation" "$(et -k eth0)" "tcp-segmentation-offload: on"
has "-c: the driver has none for this chip" "$(et -c eth0 2\>\&1)" "not supported"
tests=$(guest_do -t 120 g 'ethtool -t eth0 offline')
has "-t offline: passes" "$tests" "The test result is PASS"
is "-t offline: all five parts" "$(grep -cE '^(Register|Eeprom|Interrupt|Loopback|Link) test .*[^0-9]0$' <<<"$tests")" 5
guest_do g 'carrier eth0'
net_ping "ping after it"

# --- traffic ------------------------------------------------------------------------------------------------------------
net_iperf traffic
net_echo "a file there and back"
net_echo "a file there and back, IPv6" "[fd00:9:0::1]"
net_echo "a file there and back, VLAN" 10.9.50.1
check "segments were cut by the NIC" [ "$(stat tx_tcp_seg_good)" -gt 0 ]
check "checksums were checked by the NIC" [ "$(stat rx_csum_offload_good)" -gt 0 ]

# --- filters ------------------------------------------------------------------------------------------------------------
net_promisc_vlan=1
net_filters

net_e1000_end
