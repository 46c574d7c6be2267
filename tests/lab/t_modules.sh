#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# t_modules.sh intel|amd, inside a software host with modules: they load on Debian's kernel and do what they are for. Speaks TAP.
T=0
failed=0
ok() { T=$((T + 1)); echo "ok $T - $1: $2"; }
is() { if [ "$3" = "$4" ]; then ok "$1" "$2"; else T=$((T + 1)); failed=1; echo "not ok $T - $1: $2"; echo "# got '$3', wanted '$4'"; fi; }
wait_for() { local end=$((SECONDS + 10)); until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }
k=$1

is "$k" "the host says that it has them" "$(sed -n 's/^modules=//p' /etc/fourlane-lab)" yes
is "$k" "VFIO is ours" "$(modinfo -n vfio | grep -c /updates/)" 1
is "$k" "/dev/iommu is there" "$([ -c /dev/iommu ]; echo $?)" 0
is "$k" "the VFIO container is there, too" "$([ -c /dev/vfio/vfio ]; echo $?)" 0

echo 2 >/sys/class/net/lab0/device/sriov_numvfs
vf=$(basename "$(readlink -f /sys/class/net/lab0/device/virtfn0)")
sleep 1	# the driver's own probe, if it is loaded
[ ! -e "/sys/bus/pci/devices/$vf/driver" ] || echo "$vf" >"/sys/bus/pci/devices/$vf/driver/unbind"
echo vfio-pci >"/sys/bus/pci/devices/$vf/driver_override"
echo "$vf" >/sys/bus/pci/drivers_probe
is "$k" "the VF has a character device" "$(wait_for [ -c /dev/vfio/devices/vfio0 ]; echo $?)" 0
is "$k" "its group is there, too" "$([ -c "/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$vf/iommu_group")")" ]; echo $?)" 0
./iommufd "$vf" >steps 2>err
is "$k" "iommufd drives it: bound, memory mapped, reset, an interrupt of its own" "$? $(cat err) $(tail -1 steps)" "0  detach"
./iommufd "$vf" >steps 2>err
is "$k" "and a second time" "$? $(cat err) $(tail -1 steps)" "0  detach"
is "$k" "while it was closed nothing stayed bound" "$(fuser /dev/iommu /dev/vfio/devices/vfio0 2>/dev/null)" ""

modprobe netdevsim
echo "7 1" >/sys/bus/netdevsim/new_device
n=/sys/bus/netdevsim/devices/netdevsim7
is "$k" "netdevsim refuses 256 VFs at first" "$(echo 256 2>/dev/null >$n/sriov_numvfs; cat $n/sriov_numvfs)" 0
echo 256 >/sys/kernel/debug/netdevsim/netdevsim7/max_vfs
echo 256 >$n/sriov_numvfs
is "$k" "and makes them when max_vfs is raised" "$(cat $n/sriov_numvfs)" 256
port=$(ls $n/net | head -1)
ip link set "$port" vf 255 mac 52:54:00:00:00:ff
is "$k" "the last is there" $? 0
ip link set "$port" vf 256 mac 52:54:00:00:01:00 2>/dev/null
is "$k" "one more is not" $((! $?)) 0
ip link set "$port" vf 5 mac 52:54:00:00:00:05 vlan 100 proto 802.1ad
is "$k" "they take what an 82576 refuses" "$(ip link show "$port" 2>/dev/null | grep '^ *vf 5 ' | grep -ci '52:54:00:00:00:05.*vlan 100.*802.1ad')" 1
is "$k" "the kernel has not complained" "$(dmesg | grep -cE 'BUG|WARNING|Oops|Unknown symbol|disagrees about version')" 0
echo "1..$T"
exit $failed
