#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Carving a real (emulated) 82576 with its real driver, inside the software host: every setting is read back by iproute2, not by us.
# Run in the lab as root; speaks TAP. Ports lab0..lab3, driver igb: 7 VFs, no 802.1ad, no minimum rate, no link state.
export PATH=/opt/fourlane/bin:$PATH
pf=${PF:-lab0}
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
[ -e "/sys/class/net/$pf/device/sriov_numvfs" ] || { echo "1..0 # SKIP $pf has no SR-IOV"; exit 0; }
dev=$(readlink -f "/sys/class/net/$pf/device")
pf_bdf=${dev##*/}
tmp=$(mktemp -d)
T=0
ok() { T=$((T + 1)); echo "ok $T - $*"; }
not_ok() { T=$((T + 1)); echo "not ok $T - $*"; sed 's/^/# /' "$tmp/err"; }
skip() { T=$((T + 1)); echo "ok $T - $1 # SKIP $2"; }
check() { local n=$1; shift; if "$@"; then ok "$n"; else not_ok "$n"; fi; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; echo "# got '$2', wanted '$3'"; fi; }
fl() { fourlane "$@" >"$tmp/out" 2>"$tmp/err"; }
status() { fl "$@"; echo $?; }
# vf INDEX JQ: what iproute2 says about a VF
vf() { ip -d -j link show dev "$pf" | jq -r ".[0].vfinfo_list[$1] | $2"; }
numvfs() { cat "$dev/sriov_numvfs"; }
autoprobe() { cat "$dev/sriov_drivers_autoprobe"; }
vf_bdf() { basename "$(readlink "$dev/virtfn$1")"; }
driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver")" 2>/dev/null; }
wait_for() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }
guest=
cleanup() { [ -n "$guest" ] && kill -9 "$guest" 2>/dev/null; fourlane vf remove "$pf" >/dev/null 2>&1; rm -rf "$tmp"; }
trap cleanup EXIT
fourlane vf remove "$pf" >/dev/null 2>&1
modprobe -q igbvf

# --- looking -----------------------------------------------------------------------------------------------------
fl nics --json
total=$(cat "$dev/sriov_totalvfs")
is "nics shows the PF and how many VFs it can have" "$(jq -r ".nics[] | select(.netdev == \"$pf\") | \"\(.kind) \(.driver) \(.total_vfs) \(.lanes | join(\",\"))\"" "$tmp/out")" "pf igb $total direct,vf"
is "nics counts the ports of the wire" "$(jq '[.nics[] | select(.driver == "igb")] | length' "$tmp/out")" "$(ls -d /sys/bus/pci/drivers/igb/0* | wc -l)"
nic() { jq -r ".nics[] | select(.netdev == \"$pf\") | $1" "$tmp/out"; }
is "nics tells what the PF can be told" "$(nic '.can | to_entries | map("\(.key)=\(.value.answer)") | join(" ")')" \
	"mac=yes vlan=yes qos=yes 802.1ad=no max_tx_mbit=yes min_tx_mbit=no spoof_check=yes trust=yes link=no"
is "... each with its source" "$(nic '[.can[].source | select(startswith("driver igb on 82576"))] | length')" 9
lspci=$(lspci -vvv -s "$pf_bdf")
word() { sed -n "s/.*$1/\1/p" <<<"$lspci" | head -1; }
is "nics reads the SR-IOV capability as lspci does" "$(nic '.sriov | "\(.total_vfs) \(.initial_vfs) \(.first_vf_offset) \(.vf_stride) \(.ari)"')" \
	"$(word 'Total VFs: \([0-9]*\),.*') $(word 'Initial VFs: \([0-9]*\),.*') $(word 'VF offset: \([0-9]*\),.*') $(word 'VF offset:.*stride: \([0-9]*\),.*') $(word 'ARIHierarchy\([+-]\).*' | sed 's/+/true/; s/-/false/')"
setpriv --reuid=65534 --regid=65534 --clear-groups fourlane nics --json >"$tmp/out" 2>"$tmp/err"
is "who is not root sees the same" "$? $(nic '.can.link.answer') $(nic .sriov.vf_stride)" "0 no $(cat "$dev/sriov_stride")"
is "... but for what only root may read" "$(nic .sriov.ari)$(cat "$tmp/err")" null
fl host --json
is "host has no fault to find with the lane" "$(jq -c '.lanes["vm-aware"].missing' "$tmp/out")" "[]"

# --- how many ----------------------------------------------------------------------------------------------------
before=$(autoprobe)
is "vf create makes 7" "$(status vf create "$pf" 7)" 0
is "the kernel has 7" "$(numvfs)" 7
is "no host driver took one" "$(ls -d "$dev"/virtfn*/driver 2>/dev/null | wc -l)" 0
is "autoprobe is as before" "$(autoprobe)" "$before"
is "a second time there is nothing to do" "$(status vf create "$pf_bdf" 7)" 0
is "more than the device has is refused" "$(status vf create "$pf" $((total + 1)))" 1
check "... with the number" grep -q "$total at most" "$tmp/err"
is "... and nothing changes" "$(numvfs)" 7
fl nics --json
is "nics lists them without a netdev" "$(jq '[.nics[] | select(.kind == "vf" and .netdev == null)] | length' "$tmp/out")" 7
is "each has a group of its own" "$(jq '[.nics[] | select(.kind == "vf") | .iommu_group] | unique | length' "$tmp/out")" 7

# --- settings ----------------------------------------------------------------------------------------------------
is "vf set takes MAC, VLAN, QoS, rate, spoof check and trust at once" "$(status vf set "$pf" 2 --mac 02:11:22:33:44:55 --vlan 100 --qos 3 --max-tx-mbit 100 --spoof-check off --trust on)" 0
is "its neighbour's rate can be set right after create" "$(status vf create "$pf" 6; status vf set "$pf" 1 --max-tx-mbit 40; status vf create "$pf" 7)" "0
0
0"
is "vf set again" "$(status vf set "$pf" 2 --mac 02:11:22:33:44:55 --vlan 100 --qos 3 --max-tx-mbit 100 --spoof-check off --trust on)" 0
is "iproute2 shows the MAC" "$(vf 2 .address)" 02:11:22:33:44:55
is "iproute2 shows VLAN and QoS" "$(vf 2 '.vlan_list[0] | "\(.vlan) \(.qos)"')" "100 3"
is "iproute2 shows the rate" "$(vf 2 '.rate.max_tx')" 100
is "iproute2 shows the spoof check" "$(vf 2 .spoofchk)" false
is "iproute2 shows trust" "$(vf 2 .trust)" true
is "its neighbour is as it was" "$(vf 1 '"\(.address) \(.vlan_list[0].vlan // 0) \(.spoofchk) \(.trust)"')" "00:00:00:00:00:00 0 true false"
fl vf list "$pf" --json
is "vf list shows the same" "$(jq -r '.pfs[0].vfs[2] | "\(.mac) \(.vlan) \(.qos) \(.max_tx_mbit) \(.spoof_check) \(.trust)"' "$tmp/out")" "02:11:22:33:44:55 100 3 100 false true"
ip link set dev "$pf" vf 3 vlan 200 qos 5
fl vf list "$pf" --json
is "vf list shows what iproute2 has set" "$(jq -r '.pfs[0].vfs[3] | "\(.vlan) \(.qos) \(.proto)"' "$tmp/out")" "200 5 802.1Q"
ip link set dev "$pf" vf 3 vlan 0

is "802.1ad is what this driver cannot" "$(status vf set "$pf" 0 --vlan 5 --proto 802.1ad)" 3
check "... and is named" grep -q '802.1ad' "$tmp/err"
is "the link state too" "$(status vf set "$pf" 0 --link off)" 3
check "... and is named" grep -q 'link state off' "$tmp/err"
is "a minimum rate is refused" "$(status vf set "$pf" 0 --max-tx-mbit 100 --min-tx-mbit 10)" 1
check "... and is named" grep -q 'min 10' "$tmp/err"
is "a refusal takes back what was set before it" "$(status vf set "$pf" 0 --vlan 5 --trust on --link on; vf 0 '"\(.vlan_list[0].vlan // 0) \(.trust)"')" "3
0 false"
is "a rate is taken back as well" "$(status vf set "$pf" 1 --max-tx-mbit 50; status vf set "$pf" 1 --max-tx-mbit 60 --link off; vf 1 .rate.max_tx)" "0
3
50"
is "a VF that is not there" "$(status vf set "$pf" 7 --vlan 5)" 1

# --- who has them --------------------------------------------------------------------------------------------------
bdf=$(vf_bdf 2)
is "assign takes a VF" "$(status assign "$bdf")" 0
group=$(basename "$(readlink "/sys/bus/pci/devices/$bdf/iommu_group")")
exec 8<>"/dev/vfio/$group"
is "the count is kept while its group is open" "$(status vf create "$pf" 3; numvfs)" "1
7"
check "... and the holder named" grep -q "pid $$" "$tmp/err"
is "remove is refused too" "$(status vf remove "$pf"; numvfs)" "1
7"
exec 8>&-

# --- back -----------------------------------------------------------------------------------------------------------
is "remove puts all back" "$(status vf remove "$pf"; numvfs; autoprobe)" "0
0
$before"
is "nothing is left on record" "$(find /var/lib/fourlane -name '*.json' | wc -l)" 0
is "remove again is done" "$(status vf remove "$pf")" 0
echo 3 >"$dev/sriov_numvfs"
ip link set dev "$pf" vf 1 vlan 33 qos 2
ip link set dev "$pf" vf 1 spoofchk off
for i in 0 1 2; do n=$(ls "$dev/virtfn$i/net" 2>/dev/null); [ -z "$n" ] || ip link set dev "$n" down; done
wait_for 10 grep -q 1 "/sys/class/net/$pf/carrier"
ip link set dev "$pf" vf 1 max_tx_rate 70
is "VFs of somebody else are not removed" "$(status vf remove "$pf"; numvfs)" "1
3"
is "their count can be changed" "$(status vf create "$pf" 5; numvfs)" "0
5"
is "and comes back, with settings" "$(status vf remove "$pf"; numvfs; vf 1 '"\(.vlan_list[0].vlan) \(.vlan_list[0].qos) \(.spoofchk) \(.rate.max_tx)"')" "0
3
33 2 false 70"
echo 0 >"$dev/sriov_numvfs"
is "autoprobe on gives them their kernel driver" "$(status vf create "$pf" 2 --autoprobe on; driver_of "$(vf_bdf 0)")" "0
igbvf"
n=$(ls "$dev/virtfn0/net")
ip netns add flt 2>/dev/null
ip link set dev "$n" netns flt
is "a netdev in another namespace keeps the count" "$(status vf remove "$pf"; numvfs)" "1
2"
check "... and is named" grep -q 'another network namespace' "$tmp/err"
ip -n flt link set dev "$n" netns 1
ip netns del flt

# --- a guest --------------------------------------------------------------------------------------------------------
mg=$(ls /opt/fourlane/bin/mg.elf /opt/fourlane/mg.elf 2>/dev/null | head -1)
if [ -z "$mg" ] || [ ! -w /dev/kvm ]; then
	for w in "a guest has its VF" "its lease holds the count" "unassign gives it back after a kill" "the next guest finds the VF clean"; do
		skip "$w" "no microguest or no KVM in this lab"
	done
else
	bdf=$(vf_bdf 1)
	drv=$(driver_of "$bdf")
	for i in 0 1; do n=$(ls "$dev/virtfn$i/net" 2>/dev/null); [ -z "$n" ] || ip link set dev "$n" down; done
	mkfifo "$tmp/in"
	start() { fourlane run --name "$1" --mem 64M --kernel "$mg" --append "tsc=1000000000 dev=igbvf mode=tx" --nic "vf,host=$bdf,vlan=77" <"$tmp/in" >"$tmp/guest" 2>"$tmp/err" & guest=$!; exec 7>"$tmp/in"; }
	hello() { grep -q 'FL HELLO dev=igbvf' "$tmp/guest"; }
	start t1
	check "a guest has its VF" wait_for 20 hello
	mac=$(vf 1 .address)
	is "with its VLAN and a MAC of its own, locally administered" "$(vf 1 '.vlan_list[0].vlan') $([[ $mac =~ ^.[26ae]: ]] && echo local)" "77 local"
	is "its lease holds the count" "$(status vf create "$pf" 1; grep -c 'guest t1' "$tmp/err")" "1
1"
	pids=$(pgrep -P "$guest" | xargs)
	# shellcheck disable=SC2086
	kill -9 $guest $pids
	wait "$guest" 2>/dev/null
	exec 7>&-
	guest=
	is "unassign gives it back after a kill" "$(status unassign "$bdf"; driver_of "$bdf")" "0
$drv"
	is "driver_override is as before" "$(cat "/sys/bus/pci/devices/$bdf/driver_override")" "(null)"
	n=$(ls "$dev/virtfn1/net" 2>/dev/null); [ -z "$n" ] || ip link set dev "$n" down
	start t2
	check "the next guest gets the VF" wait_for 20 hello
	check "with another MAC" [ "$(vf 1 .address)" != "$mac" ]
	mac=$(vf 1 .address)
	is "which the guest sees" "$(sed -n 's/.*FL READY.* mac=\([^ ]*\).*/\1/p' "$tmp/guest")" "$mac"
	fl stop t2
	wait "$guest" 2>/dev/null
	exec 7>&-
	guest=
	is "and leaves it as it was before both" "$(driver_of "$bdf"; vf 1 '.vlan_list[0].vlan // 0')" "$drv
0"
	# under its kernel driver a VF shows the MAC which that driver chose
	check "without the guest's MAC" [ "$(vf 1 .address)" != "$mac" ]
fi
is "all is put back at the end" "$(for i in 0 1; do n=$(ls "$dev/virtfn$i/net" 2>/dev/null); [ -z "$n" ] || ip link set dev "$n" down; done; status vf remove "$pf"; numvfs)" "0
0"
is "nothing is left on record at the end" "$(find /var/lib/fourlane -name '*.json' | wc -l)" 0
echo "1..$T"
