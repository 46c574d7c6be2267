#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# t_power_cut.sh BOOT, in a software host whose disk stays: tenants after the power went at each boot before this one (power_cut.c). Boot 0
# counts how often `tenant apply` and `tenant release` make sure of what they have written, and writes the list of cuts; each boot looks at what the last
# has left and takes the next. Results are kept on the disk; the last boot prints them as TAP. FOURLANE_SOAK=1: every cut there is.
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
boot=$1
pf=lab1
dev=$(readlink -f /sys/class/net/$pf/device)
mkdir -p /disk /var/lib/fourlane
[ "$boot" != 0 ] || mkfs.ext4 -q -F /dev/nvme0n1 || exit 1
mount -t ext4 /dev/nvme0n1 /disk || exit 1
mkdir -p /disk/state
mount --bind /disk/state /var/lib/fourlane
is() { if [ "$2" = "$3" ]; then echo "ok - $1"; else echo "not ok - $1"; echo "# got '$2', wanted '$3'"; tail -3 /tmp/err | sed 's/^/# /'; fi >>/disk/tap; }
fl() { fourlane "$@" >/tmp/out 2>/tmp/err; }
status() { fl "$@"; echo $?; }
shows() { ip -d -j link show dev $pf | jq -c '[.[0].vfinfo_list[]? | [.vf, .vlan_list[0].vlan // 0, .vlan_list[0].qos // 0, .spoofchk, .trust]]'; }
cat >/tmp/t.yaml <<EOF
version: 1
pfs:
  - match: {pci: "${dev##*/}"}
tenants:
  acme: {vfs: 2, vlan: 100, mac: auto, trust: on, driver: vfio-pci}
  beta: {vfs: 1, vlan: 200, qos: 3, mac: auto, spoof_check: off, driver: vfio-pci}
EOF
declared='[[0,100,0,true,true],[1,100,0,true,true],[2,200,3,false,false]]'
counted() { LD_PRELOAD=/root/power_cut.so CUT=${CUT:-0} COUNT=/tmp/count fourlane "$@" >/tmp/out 2>/tmp/err; }

if [ "$boot" = 0 ]; then
	counted tenant apply /tmp/t.yaml
	is "apply without a cut" "$? $(shows)" "0 $declared"
	is "release without a cut" "$(status tenant release --all) $(shows)" "0 []"
	# the first made the store, too
	counted tenant apply /tmp/t.yaml
	applies=$(cat /tmp/count)
	counted tenant release --all
	releases=$(cat /tmp/count)
	is "both make sure of what they write, often" "$((applies > 5)) $((releases > 5))" "1 1"
	echo "# apply makes sure $applies times, release $releases times" >>/disk/tap
	if [ "${FOURLANE_SOAK:-0}" = 1 ]; then
		for ((c = 1; c <= applies; c++)); do echo "apply $c"; done
		for ((c = 1; c <= releases; c++)); do echo "release $c"; done
	else
		printf '%s\n' "apply $((applies / 2))" "apply $((applies - 1))" "release $((releases / 2))"
	fi >/disk/cuts
else
	what=$(sed -n "${boot}p" /disk/cuts)
	is "$what: the store can be read" "$(status tenant list --json)" 0
	is "$what: the boot service runs" "$(status tenant apply --stored)" 0
	is "$what: apply reaches what is declared" "$(status tenant apply /tmp/t.yaml) $(shows) $(fourlane tenant show --json | jq -c '[.tenants[].vfs[].drift[]]')" "0 $declared []"
	is "$what: release reaches what was before" "$(status tenant release --all) $(shows) $(fourlane tenant list --json | jq -c .tenants)" "0 [] []"
fi
next=$(sed -n "$((boot + 1))p" /disk/cuts)
if [ -z "$next" ]; then
	awk '/^(not )?ok - / { sub(/ok -/, "ok " ++n " -") } { print } END { print "1.." n + 0 }' /disk/tap
	umount /var/lib/fourlane /disk
	exit 0
fi
sync
case $next in
apply*) CUT=${next#* } counted tenant apply /tmp/t.yaml ;;
release*) fl tenant apply /tmp/t.yaml; sync; CUT=${next#* } counted tenant release --all ;;
esac
echo "the power has not gone at $next of $(cat /tmp/count)"
exit 9
