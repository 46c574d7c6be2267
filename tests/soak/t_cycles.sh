#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A VF created, given to a guest that is killed, taken back and removed, over and over, inside the software host (TAP).
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
tsc=$(awk '/^cpu MHz/ {printf "%.0f", $4 * 1000000; exit}' /proc/cpuinfo)
dev=/sys/class/net/lab1/device
bad=0
echo "1..3"
free_kb() { awk '/^MemAvailable/ {print $2}' /proc/meminfo; }
for i in $(seq 20); do
	fourlane vf create lab1 2 >/dev/null || bad=$((bad + 1))
	vf=$(basename "$(readlink $dev/virtfn0)")
	mkfifo /tmp/in
	fourlane run --name s --mem 64M --kernel /opt/fourlane/bin/mg.elf --append "dev=igbvf mode=tx tsc=$tsc" --nic "vf,host=$vf" </tmp/in >/tmp/out 2>&1 &
	pid=$!
	exec 8>/tmp/in
	for k in $(seq 200); do grep -q 'FL READY' /tmp/out && break; sleep 0.1; done
	grep -q 'FL READY' /tmp/out || bad=$((bad + 1))
	kill -9 $pid; wait $pid 2>/dev/null
	exec 8>&-
	rm -f /tmp/in
	sleep 0.3
	fourlane unassign "$vf" >/dev/null || bad=$((bad + 1))
	fourlane vf remove lab1 >/dev/null || bad=$((bad + 1))
	[ "$i" != 5 ] || base=$(free_kb)
done
[ $bad = 0 ] && echo "ok 1 - every_cycle_is_like_the_first" || echo "not ok 1 - every_cycle_is_like_the_first: $bad steps failed"
[ "$(cat $dev/sriov_numvfs)" = 0 ] && echo "ok 2 - no_vf_is_left" || echo "not ok 2 - no_vf_is_left"
[ $((base - $(free_kb))) -lt 32768 ] && echo "ok 3 - memory_does_not_shrink" || echo "not ok 3 - memory_does_not_shrink: $((base - $(free_kb))) KiB gone"
