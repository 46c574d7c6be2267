#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# t_iommufd.sh intel|amd [short], inside a software host with modules: a whole 82576 port in a microguest by its own node and iommufd, as
# root, for an account that owns no more than the nodes, by descriptors that were handed in; and type1 beside it. Speaks TAP.
. "$(dirname "$0")/micro_lib.sh"
trap '' PIPE
k=$1
nic=0000:02:00.0 other=0000:04:00.0
as=
fourlane() { if [ "$as" ]; then $as /opt/fourlane/bin/fourlane "$@"; else command fourlane "$@"; fi; }
plain() { as="env -i PATH=$PATH XDG_RUNTIME_DIR=/tmp/plain setpriv --reuid=1000 --regid=1000 --clear-groups"; }
root() { as=; }
mkdir -p -m 700 /tmp/plain
chown 1000:1000 /tmp/plain
chmod 666 /dev/kvm
peer=$(cat /sys/class/net/lab2/address)
group=/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/$nic/iommu_group)")
# exits NAME, none_between BEFORE AFTER: as in t_direct.sh
exits() { fourlane stats "$1" --json | jq -r '"\(.vcpus[0].user_exits.total - .regions.serial) \(.vcpus[0].user_exits.mmio + .vcpus[0].kvm.mmio_exits)"'; }
none_between() { local b=($1) a=($2) d; d=$((a[0] - b[0])); [ "${a[1]}" = "${b[1]}" ] && [ "${d#-}" -le 2 ]; }
way_of() { fourlane stats "$1" --json | jq -r '.nics[0] | "\(.options | capture("dma=(?<w>[a-z0-9]+)").w) \(.counters.dma_bytes)"'; }
sends() { guest "$1" "$2" dev=igb mode=tx size=60 ms=200 warm_ms=50 "dst=$peer"; }
# delivers NAME: another round, whose frames come to the peer port
delivers() { local n; n=$(rx_packets); runs "$1" && [ $(($(rx_packets) - n)) -gt 100 ]; }
refused() { fourlane run --mem 64M --kernel $mg --nic "$1" </dev/null >"$tmp/out" 2>"$tmp/err"; echo "$? $(wc -l <"$tmp/err")"; }
told() { grep -q -- "$1" "$tmp/err"; }
cleanup() { kill -9 ${pid[*]} 2>/dev/null; root; fourlane unassign $nic $other >/dev/null 2>&1; rm -rf "$tmp"; }
trap cleanup EXIT

is "$k: assign gives it a node of its own" "$(status assign $nic $other)" 0
node=/dev/vfio/devices/$(ls /sys/bus/pci/devices/$nic/vfio-dev)
node2=/dev/vfio/devices/$(ls /sys/bus/pci/devices/$other/vfio-dev)
check "$k: which is there" [ -c "$node" ]
case $k in
amd) ranges="0-fedfffff fef00000-fcffffffff 10000000000-ffffffffffffffff" ;;	# HyperTransport's window is left out
*) ranges="0-fedfffff fef00000-ffffffffffff" ;;
esac
is "$k: the kernel tells the ranges that the unit tests have" "$(./iommufd $nic ranges | tail -1)" "$ranges"

# --- as root ------------------------------------------------------------------------------------------------------------
sends a vfio,host=$nic,dma=iommufd
is "$k: a guest has the port by iommufd" $? 0
is "$k: stats tell which way, and how much is mapped" "$(way_of a)" "iommufd $((64 << 20))"
before=$(exits a)
check "$k: its frames arrive" delivers a
check "$k: no exit to user space a packet" none_between "$before" "$(exits a)"
if [ "$2" != short ]; then
	is "$k: by its group it is in use, in one line" "$(refused vfio,host=$nic,dma=type1)" "1 1"
	check "$k: which names the process" told 'in use by process [0-9]'
	is "$k: by its node, too" "$(refused vfio,host=$nic,dma=iommufd)" "1 1"
	: >"$tmp/a.out"
	say a r
	check "$k: the guest resets and starts again" wait_for 30 saw a 'FL READY'
	check "$k: and has the port again" delivers a
fi
finish a
is "$k: it ends in order" $? 0
is "$k: nothing stays open" "$(fuser /dev/iommu "$node" 2>/dev/null)" ""

# --- an account that owns nodes only --------------------------------------------------------------------------------------
plain
is "$k: a limit of locked memory is told before anything is opened" "$(ulimit -l 8192; refused vfio,host=$nic)" "1 1"
check "$k: with what is needed" told "ulimit -l 65536"
ulimit -l 65536
is "$k: an account that owns neither node is refused" "$(refused vfio,host=$nic)" "1 1"
check "$k: and told how it gets one" told "chown 1000 $group"
chown 1000 "$node" /dev/iommu
sends u vfio,host=$nic
is "$k: one that owns the function's node and /dev/iommu runs" $? 0
is "$k: by iommufd, though nobody said so" "$(way_of u)" "iommufd $((64 << 20))"
check "$k: its frames arrive, too" delivers u
if [ "$2" != short ]; then
	chown 1000 "$node2"
	is "$k: iommufd counts an account's guests together" "$(refused vfio,host=$other)" "1 1"
	check "$k: and so do we" told "with the 64 MiB that other processes of this account have"
	ulimit -l 131072
	sends u2 vfio,host=$other
	is "$k: what was told to be enough is" "$? $(way_of u2)" "0 iommufd $((64 << 20))"
	finish u2
	ulimit -l 65536
	chown 0 "$node2"
fi
finish u
chown 0 "$node" /dev/iommu

# --- descriptors that were handed in ----------------------------------------------------------------------------------------
exec 7<>"$node" 8<>/dev/iommu
sends f vfio,fd=7,iommufd-fd=8
is "$k: descriptors handed in serve an account that owns nothing" $? 0
check "$k: its frames arrive as well" delivers f
finish f
is "$k: they are the caller's: bound once, refused in one line" "$(refused vfio,fd=7,iommufd-fd=8)" "2 1"
check "$k: which says why" told "open it anew"
exec 7<>"$node"
[ "$2" != short ] || { echo "1..$T"; exit; }
sends g vfio,fd=7,iommufd-fd=8
kill -9 "$(vmm_of g)"
wait "${pid[g]}"
exec 7<>"$node"
sends h vfio,fd=7,iommufd-fd=8
check "$k: after a kill, opened anew, it works in the same iommufd" delivers h
finish h
exec 7</dev/null
is "$k: a descriptor of another kind is refused in one line" "$(refused vfio,fd=7) $(refused vfio,host=$nic,group-fd=8)" "2 1 2 1"
exec 7>&- 8>&-

exec 7<>"$group" 8<>/dev/vfio/vfio
sends t vfio,host=$nic,group-fd=7,container-fd=8
is "$k: a group and a container handed in" "$? $(way_of t)" "0 type1 $((64 << 20))"
kill -9 "$(vmm_of t)"
wait "${pid[t]}"
sends t vfio,host=$nic,group-fd=7,container-fd=8
check "$k: serve again after a kill" delivers t
finish t
./iommufd container 7 8 >/dev/null
sends c vfio,host=$nic,group-fd=7,container-fd=8
kill -9 "$(vmm_of c)"
wait "${pid[c]}"
sends c vfio,host=$nic,group-fd=7,container-fd=8
check "$k: a container that has the group already is emptied after a kill" delivers c
finish c
./iommufd page 8 >/dev/null
is "$k: one with other memory where the guest's goes is refused in one line" "$(refused vfio,host=$nic,group-fd=7,container-fd=8)" "2 1"
check "$k: and stays as it is" [ "$(./iommufd page 8 2>&1 | grep -c 'File exists')" = 1 ]
exec 7>&- 8>&-
chown 1000 "$group"
thp=/sys/kernel/mm/transparent_hugepage/enabled
was=$(sed 's/.*\[\(.*\)\].*/\1/' $thp)
echo never >$thp
sends p vfio,host=$nic
is "$k: an account that owns the group's node runs by type1" "$? $(way_of p)" "0 type1 $((64 << 20))"
is "$k: huge pages that are off are said once" "$(grep -c "pages of 4 KiB.*echo madvise >$thp" "$tmp/p.err")" 1
finish p
echo "$was" >$thp
is "$k: and nothing is said when they are on" "$(cat "$tmp/t.err" | grep -c '4 KiB')" 0
chown 0 "$group"
root

# --- a VF, and two functions ------------------------------------------------------------------------------------------------------------
[ "$(cat /sys/class/net/lab0/device/sriov_numvfs)" != 0 ] || fourlane vf create lab0 2 >/dev/null
vf=$(basename "$(readlink /sys/class/net/lab0/device/virtfn1)")
guest v "vf,host=$vf,dma=iommufd" dev=igbvf mode=tx size=60 ms=200 warm_ms=50 "dst=$peer"
is "$k: a VF by iommufd" "$? $(way_of v)" "0 iommufd $((64 << 20))"
check "$k: its frames arrive" delivers v
finish v
fourlane run --mem 64M --kernel $mg --nic vfio,host=$nic,dma=type1 --nic vfio,host=$other,dma=iommufd </dev/null >/dev/null 2>"$tmp/err"
is "$k: two ways in one guest are refused in one line" "$? $(wc -l <"$tmp/err")" "2 1"
fourlane run --name two --mem 64M --kernel $mg --append "tsc=$tsc dev=igb mode=tx" --nic vfio,host=$nic,dma=iommufd --nic vfio,host=$other \
	</dev/null >"$tmp/two.out" 2>"$tmp/two.err" &
pid[two]=$!
check "$k: two functions in one guest start" wait_for 30 saw two 'FL READY'
is "$k: and share one mapping" "$(fourlane stats two --json | jq -r '[.nics[].options | capture("(?<w>dma=iommufd,ioas=[0-9]+)").w] | unique | length')" 1
fourlane stop two --now >/dev/null
wait "${pid[two]}"
exec 7<>"$node"
fourlane run --detach --name away --mem 64M --kernel $mg --append "tsc=$tsc dev=igb mode=tx" --nic vfio,fd=7 2>"$tmp/err"
is "$k: a guest in the background has what was handed in, too" "$? $(way_of away)" "0 iommufd $((64 << 20))"
fourlane stop away --now >/dev/null
exec 7>&-
wait_for 10 eval '! fuser -s "$node"'
is "$k: no page stays pinned" "$(awk '/^nr_foll_pin_acquired/ { n += $2 } /^nr_foll_pin_released/ { n -= $2 } END { print n }' /proc/vmstat)" 0
is "$k: the kernel has not complained" "$(dmesg | grep -cE 'BUG|WARNING|Oops')" 0
echo "1..$T"
