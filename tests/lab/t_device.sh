#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Hardware in an unmodified Linux guest, inside the software host: a port of the NIC by MSI-X and by INTx, the NVMe disk, the host's wish to
# have it back, an account without the rights of root. Run in the lab as root; speaks TAP.
. "$(dirname "$0")/guest_lib.sh"
nic=0000:01:00.0
nvme=$(basename "$(dirname "$(grep -l 0x010802 /sys/bus/pci/devices/*/class)")")
lone=
trap '[ -z "$lone" ] || kill -9 $lone 2>/dev/null; guest_cleanup' EXIT
ip addr add 10.8.0.1/24 dev lab2
ip link set lab2 up

# --- the NIC --------------------------------------------------------------------------------------------------------------
fourlane assign $nic >/dev/null 2>"$tmp/assign.err"
is "the port is assigned" $? 0
net_up='i=$(basename /sys/bus/pci/drivers/igb/0*/net/*) && ip link set $i up && ip addr add 10.8.0.2/24 dev $i &&
	for n in $(seq 100); do [ "$(cat /sys/class/net/$i/carrier)" = 1 ] && break; sleep 0.2; done'
flows() {	# NAME: pings of mixed sizes, and as many interrupts
	check "$1: driver and link" guest_do -t 90 g "modprobe igb && $net_up"
	check "$1: pings of mixed sizes" guest_do g 'for s in 18 64 500 1472; do ping -q -c 5 -i 0.1 -W 10 -s $s 10.8.0.1 || exit; done >/dev/null'
}
guest_start g --nic vfio,host=$nic || { not_ok "the guest boots"; exit 1; }
flows MSI-X
check "MSI-X: the driver uses it" guest_do g 'grep -qE "MSI.*-(TxRx|rx)-0" /proc/interrupts'
has "SR-IOV is not there" "x$(guest_do g 'lspci -vv 2>/dev/null | grep -c SR-IOV; ls /sys/bus/pci/drivers/igb/0*/sriov_totalvfs 2>/dev/null')x" x0x
check "its self test, online" guest_do g 'ethtool -t $i online >/dev/null'
check "its FLR, and the driver afterwards" guest_do -t 90 g "rmmod igb && echo 1 >/sys/bus/pci/devices/0000:00:01.0/reset && modprobe igb && $net_up && ping -q -c 3 -W 10 10.8.0.1 >/dev/null"
check "its ROM is read" guest_do g 'd=$(dirname /sys/bus/pci/drivers/igb/0*/net); [ ! -e $d/rom ] || { echo 1 >$d/rom && dd if=$d/rom of=/tmp/rom bs=64k count=1 2>/dev/null && [ -s /tmp/rom ]; }'
guest_off g
is "MSI-X: the guest ends" $? 0

guest_append=pci=nomsi guest_start g --nic vfio,host=$nic,rombar=0 || { not_ok "the guest boots"; exit 1; }
flows INTx
check "INTx: the driver uses it" guest_do g 'grep -q "IO-APIC.* $i" /proc/interrupts'
before=$(fourlane stats g --json | jq '.vcpus[0].user_exits.total - .regions.serial')
guest_do g 'ping -q -c 50 -i 0.01 -W 10 10.8.0.1 >/dev/null'
after=$(fourlane stats g --json | jq '.vcpus[0].user_exits.total - .regions.serial')
check "INTx: no exit to user space for it" [ $((after - before)) -lt 25 ]
# no driver of this NIC asks for plain MSI where it can have MSI-X: by hand, to a vector that the guest's kernel will complain about
guest_do g 'setpci -s 00:01.0 CAP_MSI+4.L=fee00000 CAP_MSI+8.L=0 CAP_MSI+c.W=00d5 CAP_MSI+10.L=0 CAP_MSI+2.W=0081'
ping -q -c 3 -i 0.2 -W 1 10.8.0.2 >/dev/null
check "MSI: the device's message is the guest's" guest_do g 'for n in $(seq 50); do dmesg | grep -q "No irq handler for 0.213" && break; sleep 0.1; done
	dmesg | grep -q "No irq handler for 0.213"'
guest_do g 'setpci -s 00:01.0 CAP_MSI+2.W=0080'
# the driver has not seen those causes, and the model tells a cause once: it starts afresh
check "from MSI back to INTx" guest_do -t 90 g "ip link set \$i down && ip addr flush dev \$i && $net_up && ping -q -c 5 -i 0.1 -W 10 10.8.0.1 >/dev/null"
has "INTx: nobody complains" "x$(guest_do g 'dmesg | grep -E "nobody cared|Hang|WARNING|BUG"')x" xx

# --- the host wants it back -----------------------------------------------------------------------------------------------
pid=${guest_pid[g]}
timeout 60 bash -c "echo $nic >/sys/bus/pci/drivers/vfio-pci/unbind" &
unbind=$!
check "a host that unbinds it ends the guest" wait_for 40 guest_ended g
wait "$pid"; is "in order" $? 0
has "and it is said, with guest and device" "$(cat "$tmp/g.err")" "guest 'g': $nic: the host wants it back"
wait $unbind; is "the host has it" $? 0
guest_forget g
fourlane unassign $nic >/dev/null 2>&1
is "unassign gives it to its driver" "$(basename "$(readlink -f /sys/bus/pci/devices/$nic/driver)")" igb

# --- an account that owns the node ----------------------------------------------------------------------------------------
fourlane assign $nic >/dev/null 2>"$tmp/assign.err"
node=/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/$nic/iommu_group)")
chown nobody "$node"
chmod 666 /dev/kvm
mkdir -m 700 /tmp/nobody.run; chown nobody /tmp/nobody.run
mkfifo "$tmp/lone.in"
sysctl -q kernel.dmesg_restrict=1
tsc=$(awk '/^cpu MHz/ {printf "%.0f", $4 * 1000000; exit}' /proc/cpuinfo)
ulimit -l unlimited
setpriv --reuid nobody --regid nogroup --clear-groups env XDG_RUNTIME_DIR=/tmp/nobody.run "$(command -v fourlane)" run --name n --mem 64M --kernel \
	/opt/fourlane/bin/mg.elf --append "tsc=$tsc dev=igb mode=tx size=60 ms=200 warm_ms=10 dst=$(cat /sys/class/net/lab2/address)" \
	--nic vfio,host=$nic <"$tmp/lone.in" >"$tmp/lone.out" 2>"$tmp/lone.err" &
lone=$!
exec 9>"$tmp/lone.in"
check "an account that owns the group's node runs it" wait_for 40 grep -q 'FL READY' "$tmp/lone.out"
printf g >&9
check "and it sends" wait_for 40 grep -q 'FL RESULT' "$tmp/lone.out"
has "it is told that it will not see DMA faults" "$(cat "$tmp/lone.err")" "guest 'n': DMA faults of its devices will not be shown: /dev/kmsg: "
has "and what mends it" "$(cat "$tmp/lone.err")" "; run as root or with CAP_SYSLOG, or 'sysctl kernel.dmesg_restrict=0'"
is "nobody knows how many there are" "$(setpriv --reuid nobody --regid nogroup --clear-groups env XDG_RUNTIME_DIR=/tmp/nobody.run "$(command -v fourlane)" stats n \
	--json | jq -c '.nics[0].dma_faults')" null
printf q >&9
wait $lone; is "and ends in order" $? 0
lone=
fourlane unassign $nic >/dev/null 2>&1

# --- the disk -------------------------------------------------------------------------------------------------------------
fourlane assign "$nvme" >/dev/null 2>"$tmp/assign.err"
is "the NVMe disk is assigned" $? 0
guest_start g --nic "vfio,host=$nvme" || { not_ok "the guest boots"; exit 1; }
check "the guest finds the disk" guest_do g 'modprobe nvme && for n in $(seq 100); do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done; [ -b /dev/nvme0n1 ]'
check "by MSI-X" guest_do g 'grep -q "MSI.*nvme0q" /proc/interrupts'
written=$(guest_do -t 180 g 'head -c 64M /dev/urandom >/tmp/data && dd if=/tmp/data of=/dev/nvme0n1 bs=1M oflag=direct 2>/dev/null && sha256sum </tmp/data')
guest_off g
is "the guest ends" $? 0
fourlane unassign "$nvme" >/dev/null 2>&1
disk() { [ -b /dev/nvme0n1 ]; }
check "the host has the disk again" wait_for 20 disk
is "the host reads what the guest wrote" "$(dd if=/dev/nvme0n1 bs=1M count=64 iflag=direct 2>/dev/null | sha256sum)" "${written:-nothing}"
echo "1..$T"
