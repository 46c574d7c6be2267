#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tenants on netdevsim, whose driver takes every setting: 256 VFs, all settings in every mixture read back by iproute2, many callers at once,
# a full disk, a sysfs that cannot be written. Run in a lab with modules as root; speaks TAP. FOURLANE_SOAK=1: the callers run 60 s.
. "$(dirname "$0")/micro_lib.sh"
trap 'rm -rf "$tmp"' EXIT
said() { check "$1" grep -q -- "$2" "$tmp/err"; }
modprobe netdevsim
echo "7 1" >/sys/bus/netdevsim/new_device
dev=/sys/bus/netdevsim/devices/netdevsim7
numvfs() { cat $dev/sriov_numvfs; }
pf=$(ls $dev/net)
# the whole host: what iproute2 shows of it (the VFs that fit into its answer)
seen() { ip -d -j link show dev "$pf" 2>/dev/null | jq -c '.[0].vfinfo_list // []'; }

# --- 256 ---------------------------------------------------------------------------------------------------------------
file() {	# TENANTS VFS WORDS: so many tenants with so many VFs each
	printf 'version: 1\npfs:\n  - match: {name: "%s"}\ntenants:\n' "$pf"
	for ((t = 0; t < $1; t++)); do
		printf '  t%02d:\n    vfs: %d\n    mac: auto\n    driver: none\n    vlan: %d\n%s' "$t" "$2" $((t + 1)) "$3"
	done
}
file 8 32 $'    qos: 5\n    proto: 802.1ad\n    max_tx_mbit: 1000\n    min_tx_mbit: 100\n    spoof_check: on\n    trust: on\n    link: on\n' >"$tmp/256.yaml"
echo 200 >/sys/kernel/debug/netdevsim/netdevsim7/max_vfs
status tenant apply "$tmp/256.yaml" >"$tmp/status"
is "256 VFs are refused where 200 is all there can be, before or without a trace" "$(cat "$tmp/status") $(numvfs)" "1 0"
echo 256 >/sys/kernel/debug/netdevsim/netdevsim7/max_vfs
is "8 tenants with 32 VFs each, everything set" "$(status tenant apply "$tmp/256.yaml")" 0
is "there are 256" "$(numvfs)" 256
fl tenant show --json
is "every VF is as wanted" "$(jq -c '[.tenants[].vfs[] | [(.drift | length), .is.vlan == .wanted.vlan, .is.mac == .wanted.mac, .is.qos, .is.proto, .is.max_tx_mbit, .is.min_tx_mbit, .is.spoof_check, .is.trust, .is.link]] | [length, unique]' "$tmp/out")" '[256,[[0,true,true,5,"802.1ad",1000,100,true,true,"on"]]]'
is "no MAC comes twice" "$(jq '[.tenants[].vfs[].is.mac] | unique | length' "$tmp/out")" 256
is "nobody counts for this driver" "$(jq -c '[.tenants[].vfs[].counters.rx_packets] | unique' "$tmp/out")" '[null]'
# iproute2's own buffer holds the first of them only
n=$(seen | jq length)
check "iproute2 sees some of them" [ "$n" -ge 30 ]
is "... and each as we do" "$(seen | jq -c '[.[] | [.vf, .address, .vlan_list[0].vlan, .vlan_list[0].qos, .vlan_list[0].protocol, .rate.max_tx, .rate.min_tx, .spoofchk, .trust, .link_state]]')" \
	"$(jq -c --argjson n "$n" '[.tenants[].vfs[]] | sort_by(.index) | .[:$n] | [.[] | [.index, .is.mac, .is.vlan, 5, "802.1ad", 1000, 100, true, true, "enable"]]' "$tmp/out")"
is "a second time there is nothing to do" "$(status tenant apply "$tmp/256.yaml"; grep -c 'nothing to do' "$tmp/out")" "0
1"
is "one tenant's VFs are released, its neighbours stay" "$(status tenant release t03; fourlane tenant show --json | jq -c '[.tenants[] | select([.vfs[].drift[]] == []) | .name]')" '0
["t00","t01","t02","t04","t05","t06","t07"]'
is "all are released" "$(status tenant release --all; numvfs)" "0
0"
is "nobody has any" "$(fourlane tenant list --json | jq -c .tenants)" '[]'

# --- every mixture -------------------------------------------------------------------------------------------------------
mixture() {	# PROTO LINK: 32 tenants, one for each spoof check, trust, VLAN, QoS and rate
	local t=0 spoof trust vlan qos rate
	printf 'version: 1\npfs:\n  - match: {name: "%s"}\ntenants:\n' "$pf"
	for spoof in on off; do for trust in on off; do for vlan in 1 4094; do for qos in 0 7; do for rate in 0 500; do
		printf '  m%02d: {vfs: 1, driver: none, mac: auto, vlan: %d, qos: %d, proto: %s, max_tx_mbit: %d, min_tx_mbit: %d, spoof_check: %s, trust: %s, link: %s}\n' \
			$t $vlan $qos "$1" $rate $((rate / 5)) $spoof $trust "$2"
		t=$((t + 1))
	done; done; done; done; done
}
wanted() {	# PROTO LINK: what iproute2 has to say then, tenant by tenant
	local spoof trust vlan qos rate
	for spoof in true false; do for trust in true false; do for vlan in 1 4094; do for qos in 0 7; do for rate in 0 500; do
		echo "$vlan $qos $1 $rate $((rate / 5)) $spoof $trust $2"
	done; done; done; done; done
}
for m in "802.1Q auto auto" "802.1ad off disable" "802.1Q on enable"; do
	set -- $m
	mixture "$1" "$2" >"$tmp/m.yaml"
	is "32 mixtures with $1, link $2" "$(status tenant apply "$tmp/m.yaml")" 0
	fourlane tenant list --json | jq -r '.tenants[].vfs[0].index' >"$tmp/order"
	seen >"$tmp/seen"
	is "... are what iproute2 reads" "$(jq -r --slurpfile order "$tmp/order" '. as $vf | $order[] | $vf[.] |
		"\(.vlan_list[0].vlan) \(.vlan_list[0].qos // 0) \(.vlan_list[0].protocol // "802.1Q") \(.rate.max_tx) \(.rate.min_tx) \(.spoofchk) \(.trust) \(.link_state)"' "$tmp/seen")" "$(wanted "$1" "$3")"
done
is "and go" "$(status tenant release --all; numvfs)" "0
0"

# --- many at once ----------------------------------------------------------------------------------------------------------
seconds=10
[ "${FOURLANE_SOAK:-0}" = 0 ] || seconds=60
file 4 2 '' >"$tmp/a.yaml"
file 2 3 $'    trust: on\n' >"$tmp/b.yaml"
file 1 8 '' >"$tmp/c.yaml"
until=$((SECONDS + seconds))
mkdir "$tmp/callers"
caller() {	# NUMBER: until the time is over; what it sees that must not be goes to a file
	local i=$1 ret
	while [ $SECONDS -lt $until ]; do
		case $((i % 8)) in
		0) fourlane tenant apply "$tmp/a.yaml" ;;
		1) fourlane tenant apply "$tmp/b.yaml" ;;
		2) fourlane tenant release --all ;;
		3) fourlane tenant apply "$tmp/c.yaml" ;;
		4) fourlane tenant release t00 ;;
		*) fourlane tenant list --json | jq -e '[.tenants[].vfs[] | "\(.pf_id) \(.index)"] | length == (unique | length)' >/dev/null || echo "two owners" >>"$tmp/callers/bad" ;;
		esac >"$tmp/callers/$1.out" 2>"$tmp/callers/$1.err"
		ret=$?
		[ $ret -le 1 ] || echo "status $ret: $(tail -1 "$tmp/callers/$1.err")" >>"$tmp/callers/bad"
		echo >>"$tmp/callers/n"
		i=$((i + 5))
	done
}
callers=()
for ((c = 0; c < 32; c++)); do caller $c & callers+=($!); done
wait "${callers[@]}"
echo "# $(wc -l <"$tmp/callers/n") calls in $seconds s"
is "32 callers at once: no VF ever has two owners, nobody falls over" "$(sort "$tmp/callers/bad" 2>/dev/null | uniq -c | head -5)" ""
is "afterwards the file is what holds" "$(status tenant apply "$tmp/b.yaml"; fourlane tenant show --json | jq -c '[[.tenants[] | .name], [.tenants[].vfs[] | .drift[]], [.tenants[].vfs[].is.trust] | unique]')" '0
[["t00","t01"],[],[true]]'
is "and everything can be given back" "$(status tenant release --all; numvfs)" "0
0"

# --- a full disk -------------------------------------------------------------------------------------------------------------
echo 2 >$dev/sriov_numvfs
ip link set dev "$pf" vf 1 vlan 44 qos 1
before=$(seen)
mkdir -p /var/lib/fourlane
cat >"$tmp/full.sh" <<'EOF'
# in a mount namespace: state folders from nearly no room to enough
bad=0 refused=0 kb=4
while :; do
	mount -t tmpfs -o size=${kb}k,mode=755 none /var/lib/fourlane || exit 1
	if fourlane tenant apply "$1" >/dev/null 2>"$2"; then break; fi
	refused=$((refused + 1))
	[ "$(ip -d -j link show dev "$3" | jq -c '.[0].vfinfo_list')" = "$4" ] || bad=$((bad + 1))
	grep -qi 'space\|full\|room' "$2" || { bad=$((bad + 1)); cat "$2" >&2; }
	umount /var/lib/fourlane
	kb=$((kb + 4))
	[ $kb -lt 2000 ] || { echo "never enough"; exit 1; }
done
mount -o remount,size=8m /var/lib/fourlane
fourlane tenant release --all >/dev/null 2>"$2" || { bad=$((bad + 1)); cat "$2" >&2; }
[ "$(ip -d -j link show dev "$3" | jq -c '.[0].vfinfo_list')" = "$4" ] || bad=$((bad + 1))
echo "$bad $((refused > 3))"
EOF
is "a full disk: refused, named, and nothing has changed, whenever it is full" "$(unshare -m bash "$tmp/full.sh" "$tmp/a.yaml" "$tmp/full.err" "$pf" "$before" 2>"$tmp/err")" "0 1"

# --- a sysfs that cannot be written ----------------------------------------------------------------------------------------------
unshare -m sh -c "mount -o remount,bind,ro /sys && exec fourlane tenant apply '$tmp/a.yaml'" >"$tmp/out" 2>"$tmp/err"
is "a read-only sysfs: refused" $? 1
said "... and named" 'Read-only'
is "... and all as before" "$(seen)" "$before"
is "the next apply does it" "$(status tenant apply "$tmp/a.yaml"; numvfs)" "0
8"
is "and what was before comes back" "$(status tenant release --all; seen)" "0
$before"

echo 0 >$dev/sriov_numvfs
is "the kernel has not complained" "$(dmesg | grep -cE 'BUG|WARNING|Oops')" 0
echo "1..$T"
