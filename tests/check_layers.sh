#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Which folder may include which: the arrows of the design, one test a folder (TAP).
cd "$(dirname "$0")/.." || exit 1
allow='core:core
iommu:iommu core
vfio:vfio iommu core
sriov:sriov vfio iommu core
vmdq:vmdq core
vswitch:vswitch vmdq core
pv-net:pv-net core
emul-e1000:emul-e1000 core
bench:bench sriov vfio iommu core'
n=0
echo "1..$(($(wc -l <<<"$allow") + 3))"
while IFS=: read -r folder may; do
	n=$((n + 1))
	bad=
	while IFS=: read -r file line text; do
		target=$(sed -E 's/.*"([^"/]+)\/.*/\1/' <<<"$text")
		case " $may " in *" $target "*) continue ;; esac
		# the microguest and the comparison share the freestanding register headers of the lanes
		case "$folder $text" in bench*_regs.h\"* | bench*_abi.h\"*) continue ;; esac
		bad="$bad $file:$line"
	done < <(grep -rnoE '^ *# *include *"[^"]+/[^"]+"' --include='*.c' --include='*.h' --include='*.S' "$folder" 2>/dev/null)
	[ -z "$bad" ] && echo "ok $n - $folder includes only what it may" || echo "not ok $n - $folder includes against the arrows:$bad"
done <<<"$allow"

# core knows no device, back-end or command of other folders by name
n=$((n + 1))
bad=$(grep -rlE '\b(e1000|virtio_net|vfio_dev|nic_tap)_[a-z]+ *\(' core --include='*.c' --include='*.h')
[ -z "$bad" ] && echo "ok $n - core calls no device by name" || echo "not ok $n - core calls devices by name: $bad"

# *_regs.h, *_abi.h and core/proto stand alone
n=$((n + 1))
bad=$(grep -nE '^ *# *include' */*_regs.h */*_abi.h */*/*_regs.h core/proto/*.h 2>/dev/null | grep -vE '<(stdint|stddef|stdbool|assert)\.h>|_(regs|abi)\.h"' )
[ -z "$bad" ] && echo "ok $n - wire headers are freestanding" || echo "not ok $n - wire headers include more than they may: $bad"

# KVM ioctls live in three files
n=$((n + 1))
bad=$(grep -rlE 'ioctl\([^,]+, *KVM_' --include='*.c' core iommu vfio sriov pv-net emul-e1000 2>/dev/null | grep -vE '^core/(kvm_(vm|vcpu|irq)|host)\.c$')
[ -z "$bad" ] && echo "ok $n - KVM ioctls live in three files" || echo "not ok $n - KVM ioctls outside core/kvm_*.c: $bad"
