#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A port of the NIC in guests that start and end over and over, in order and by kill -9, inside the software host: nothing is left, no
# process, descriptor, memory, locked page, interrupt or group. FOURLANE_CYCLES: how often. Run in the lab as root; speaks TAP.
. "$(dirname "$0")/micro_lib.sh"
cycles=${FOURLANE_CYCLES:-20}
nic=0000:01:00.0
peer=$(cat /sys/class/net/lab2/address)
trap 'kill -9 ${pid[*]} 2>/dev/null; fourlane unassign $nic >/dev/null 2>&1; rm -rf "$tmp"' EXIT
kb() { awk -v k="$1:" '$1 == k {print $2}' /proc/meminfo; }
files() { cut -f1 /proc/sys/fs/file-nr; }
ours() { ps -C fourlane,fourlane-vmm -o stat= | grep -vc '^Z'; }
nobody() { [ "$(ours)" = 0 ]; }
irqs() { grep -c vfio /proc/interrupts; }
settled() { sync; echo 3 >/proc/sys/vm/drop_caches; sleep 1; }
is the_port_is_assigned "$(status assign $nic)" 0
node=/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/$nic/iommu_group)")

one() {	# HOW
	guest g "vfio,host=$nic" dev=igb mode=tx size=60 ms=20 warm_ms=1 "dst=$peer" || return
	case $1 in
	order) runs g && finish g ;;
	monitor) say g g; kill -9 "$(vmm_of g)"; ! wait "${pid[g]}" ;;
	supervisor) say g g; kill -9 "${pid[g]}"; wait "${pid[g]}" 2>/dev/null; wait_for 20 nobody ;;
	esac
}
bad=0
ways=(order order monitor order supervisor)
for n in $(seq "$cycles"); do
	how=${ways[(n - 1) % 5]}
	one $how || { bad=$((bad + 1)); echo "# number $n ($how) failed"; tail -n 3 "$tmp"/g.err "$tmp"/g.out | sed 's/^/# /'; }
	[ "$n" = 5 ] || continue
	settled # the first ones fill caches
	base=$(kb MemAvailable) shmem=$(kb Shmem) locked=$(kb Mlocked) unevictable=$(kb Unevictable) open=$(files) slab=$(kb SUnreclaim)
done
is every_start_is_like_the_first $bad 0
check no_process_is_left wait_for 20 nobody
check the_name_of_a_killed_one_is_free one order
settled
check no_descriptor_is_left [ $(($(files) - open)) -lt 64 ]
check memory_does_not_shrink [ $((base - $(kb MemAvailable))) -lt 32768 ]
check nor_does_the_kernels_own_grow [ $(($(kb SUnreclaim) - slab)) -lt 8192 ]
is no_shared_memory_is_left $((($(kb Shmem) - shmem) / 1024)) 0
is no_page_stays_locked "$(kb Mlocked) $(($(kb Unevictable) - unevictable))" "$locked 0"
is no_huge_page_stays_taken "$(kb HugePages_Total)" "$(kb HugePages_Free)"
is no_interrupt_is_left "$(irqs)" 0
is nobody_has_the_group "$(fuser "$node" /dev/vfio/vfio 2>/dev/null)" ''
is nothing_is_left_in_the_run_folder "$(find /run/fourlane -name 'g.*' | wc -l)" 0
is unassign_is_done "$(status unassign $nic) $(driver_of $nic)" '0 igb'
check the_group_is_gone [ ! -e "$node" ]
is assign_is_done_again "$(status assign $nic) $(driver_of $nic)" '0 vfio-pci'
is nothing_bad_in_the_kernels_log "$(dmesg | grep -cE 'BUG:|WARNING:|Oops|general protection')" 0
echo "# $n cycles: memory $((base - $(kb MemAvailable))) KiB less, $(($(files) - open)) more descriptors, $SECONDS s"
echo "1..$T"
