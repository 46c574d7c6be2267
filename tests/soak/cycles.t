#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests started and ended over and over, in order and by kill -9: nothing is left, and every start is like the first.
. "$(dirname "$0")/../integration/lib.sh"
need_kvm
cycles=${FOURLANE_CYCLES:-200}
plan 6
left() { find /run/fourlane "${XDG_RUNTIME_DIR:-/nonexistent}/fourlane" -maxdepth 1 -name 'fl-soak*' 2>/dev/null | wc -l; }
# an orphan may wait as a zombie for process 1
vmms() { ps -C fourlane-vmm -o stat= | grep -vc '^Z'; }
before=$(vmms)

bad=0
for i in $(seq "$cycles"); do
	"$FL" run --name fl-soak --kernel "$MG" --append "dev=virtio mode=probe tsc=$(tsc_hz)" --nic virtio --nic e1000 </dev/null >"$TMP/o" 2>&1 &&
		grep -q 'FL BYE' "$TMP/o" || bad=$((bad + 1))
done
is every_start_is_like_the_first $bad 0
is nothing_is_left_in_the_run_folder "$(left)" 0

bad=0
for i in $(seq "$((cycles / 4))"); do
	guest_start "fl-soak" virtio,backend=tap dev=virtio mode=tx
	sleep "0.0$((RANDOM % 10))"
	kill -9 "$GUEST_PID"; wait "$GUEST_PID" 2>/dev/null
done
sleep 1
is no_monitor_outlives_its_supervisor "$(vmms)" "$before"
is no_tap_is_left "$(ls /sys/class/net | grep -c '^fl[0-9a-f]')" 0
GUEST_PID=
guest_start fl-soak virtio dev=virtio mode=tx
check a_killed_guests_name_is_free_again wait_for 20 guest_saw 'FL READY'
"$FL" stop fl-soak; guest_wait 10; is and_its_files_go_with_it "$(left)" 0
