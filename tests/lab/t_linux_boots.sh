#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's kernel boots to a shell with its root on virtio-blk and powers off, again and again: boots=20 times for each number of CPUs
# in cpus=1,4. After a boot that fails the rest of that number is left out. Run in the lab as root; speaks TAP.
. "$(dirname "$0")/guest_lib.sh"
boots=${boots:-20}
IFS=, read -ra counts <<<"${cpus:-1,4}"
for n in "${counts[@]}"; do
	good=0
	for i in $(seq "$boots"); do
		guest_cpus=$n guest_start boot || break
		[ "$(guest_do boot nproc)" = "$n" ] || break
		guest_off boot || break
		echo "# $n CPUs: boot $i, $SECONDS s"
		good=$i
	done
	guest_kill boot
	is "with_${n}_cpus_all_of_${boots}_boots_end_well" "$good" "$boots"
done
echo "1..$T"
