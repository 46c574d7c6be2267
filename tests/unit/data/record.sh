#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Prints what the code of iommu/ reads of a host, one file or link a line, for the unit tests on recorded trees (read by
# helper_tree_file.c). Run as root:
#	fourlane lab run --fresh --iommu intel --copy-in tests/unit/data/record.sh -- \
#		bash -c 'modprobe vfio-pci; fourlane vf create lab1 2 >&2; bash record.sh' >tests/unit/data/lab_intel.tree
# Lines: "L PATH TARGET" a link, "F PATH TEXT" a file (newlines as \n), "X PATH SIZE HEX" bytes (the rest up to SIZE is zero).
set -eu
text() { [ ! -r "$1" ] || printf 'F %s %s\n' "${1#/}" "$(sed -z 's/\n/\\n/g' "$1")"; }
link() { [ ! -L "$1" ] || printf 'L %s %s\n' "${1#/}" "$(realpath "$1" | cut -c2-)"; }
bytes() {
	[ ! -r "$1" ] || printf 'X %s %d %s\n' "${1#/}" "$(wc -c <"$1")" "$(od -An -v -tx1 "$1" | tr -d ' \n' | sed -E 's/(00)*$//')"
}
for table in DMAR IVRS; do bytes /sys/firmware/acpi/tables/$table; done
for unit in /sys/class/iommu/*; do
	link "$unit"
	for f in "$(realpath "$unit")"/*-iommu/*; do text "$f"; done
done
for dev in /sys/bus/pci/devices/*; do
	link "$dev"
	real=$(realpath "$dev")
	for f in vendor device class; do text "$real/$f"; done
	for f in driver iommu_group physfn; do link "$real/$f"; done
	bytes "$real/config"
done
for group in /sys/kernel/iommu_groups/*; do
	for f in type name reserved_regions; do text "$group/$f"; done
	for dev in "$group"/devices/*; do link "$dev"; done
done
text /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
text /proc/cmdline
grep -h -E 'CPU0|IR-|PCI-MSI|IO-APIC' /proc/interrupts | sed -E 's/ +/ /g' >/tmp/interrupts
printf 'F proc/interrupts %s\n' "$(sed -z 's/\n/\\n/g' /tmp/interrupts)"
