#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# t_dma_map.sh, inside a software host, with or without the modules' kernel parts: `fourlane bench dma-map` by type1, and by iommufd where it is.
# Speaks TAP.
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
bdf=0000:01:00.0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
T=0
is() { T=$((T + 1)); if [ "$2" = "$3" ]; then echo "ok $T - $1"; else echo "not ok $T - $1"; echo "# got '$2', wanted '$3'"; sed 's/^/# /' "$tmp/err" | tail -3; fi; }
bench() { fourlane bench dma-map "$@" >"$tmp/out" 2>"$tmp/err"; }
get() { jq -r "$1" "$tmp/out" 2>&1; }
free_huge() { awk '/^HugePages_Free/ { print $2 }' /proc/meminfo; }
with=$(sed -n 's/^modules=//p' /etc/fourlane-lab)
echo "1..21"

bench --sizes 64M; is "without a function there is nothing to measure" $? 3
is "and the mend is told" "$(grep -c "fourlane assign BDF" "$tmp/err")" 1
bench --device $bdf; is "neither with one that the host has" $? 3
is "and the mend names it" "$(grep -c "is bound to igb, not to vfio-pci; 'fourlane assign $bdf'" "$tmp/err")" 1
bench --sizes 3M; is "a size that is no 2 MiB is refused" $? 2

fourlane assign $bdf >/dev/null 2>&1
group=/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/$bdf/iommu_group)")
bench --sizes 64M --runs 1; is "without reserved pages the others are measured" $? 0
is "and theirs say why not" "$(grep -c "^type1 .* 64 MiB .*2 MiB .*skipped: 0 huge pages of 2 MiB are free, 32 are needed; 'sysctl vm.nr_hugepages=32'$" "$tmp/out")" 1
echo 32 >/proc/sys/vm/nr_hugepages
bench --sizes 64M,16G --runs 2 --json; is "one size that fits and one that does not" $? 0
ways=1
[ "$with" != yes ] || ways=2
is "every kind of pages, touched and not, by each way" "$(get '[.results[] | select(.size_mib == 64)] | length')" $((ways * 6))
is "all of it took its time" "$(get 'all(.results[]; .map_ms.median > 0 and .unmap_ms.median > 0 and .map_gib_s > 0 and .map_ms.min <= .map_ms.max)')" true
is "16 GiB were skipped for want of memory" "$(get '[.skipped[] | select(.by == "type1" and .size_mib == 16384 and (.why | test("needed")))] | length')" 6
if [ $ways = 2 ]; then is "iommufd is among them" "$(get '[.results[].by] | unique | join(" ")')" "iommufd type1"
else is "iommufd is told to be missing" "$(get '[.skipped[] | select(.by == "iommufd") | .why] | unique | join(" ")')" "there is no /dev/iommu"; fi
is "huge pages were huge" "$(get '[.results[] | select(.pages == "2m") | .huge_percent] | unique | join(" ")')" 100
is "small ones were small" "$(get '[.results[] | select(.pages == "4k") | .huge_percent] | unique | join(" ")')" 0
is "the NIC is named" "$(get .device)" $bdf

echo never >/sys/kernel/mm/transparent_hugepage/enabled
bench --sizes 64M --runs 1; is "with THP off" $? 0
is "they say so" "$(grep -c "^type1 .* 64 MiB .*THP .*skipped: .*transparent_hugepage.* says never; 'echo madvise" "$tmp/out")" 1
echo madvise >/sys/kernel/mm/transparent_hugepage/enabled

exec 9<>"$group"
bench --sizes 64M --device $bdf; is "what a process has open is left alone" $? 1
exec 9>&-

fourlane bench dma-map --sizes 64M --runs 50 >"$tmp/out" 2>"$tmp/err" &
pid=$!
for _ in $(seq 100); do grep -q 'pages of THP' "$tmp/err" && break; sleep 0.1; done
kill -INT $pid
wait $pid
is "Ctrl-C ends it" $? 130
is "nothing of it is left" "$(fuser "$group" /dev/vfio/vfio 2>/dev/null) $(free_huge)" " 32"
fourlane unassign $bdf >/dev/null 2>&1
is "the kernel has not complained" "$(dmesg | grep -cE 'BUG|WARNING|Oops|DMAR:.*fault')" 0
