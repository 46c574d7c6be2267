#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that resets: it starts again with all that it had, --no-reboot ends it, and one that does nothing else is ended.
. "$(dirname "$0")/lib.sh"
need_kvm
plan 26
N=rb-$$
IF=flrb$(($$ % 10000))
extra=()

# start NIC WORDS...: a microguest with the words of `extra`
start() {
	local nic=$1
	shift
	GUEST=$N
	rm -f "$TMP/in"
	mkfifo "$TMP/in"
	"$FL" run --name $N --kernel "$MG" --append "tsc=$(tsc_hz) $*" --nic "$nic" "${extra[@]}" <"$TMP/in" >"$TMP/$N.out" 2>"$TMP/$N.err" &
	GUEST_PID=$!
	exec 9>"$TMP/in"
}
ready() { [ "$(grep -c 'FL READY' "$TMP/$N.out")" = "$1" ]; }
stat() { "$FL" stats $N --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -1; }

# --- the console, the name and the socket stay ---
start e1000,backend=loop dev=e1000 mode=pingpong ms=100 warm_ms=1
check guest_gets_ready wait_for 20 ready 1
mac=$(sed -n 's/.*READY mac=\([^ ]*\).*/\1/p' "$TMP/$N.out" | head -1)
vmm=$(stat pid)
guest_say r
check reset_starts_it_again wait_for 20 ready 2
is its_mac_is_the_same "$(sed -n 's/.*READY mac=\([^ ]*\).*/\1/p' "$TMP/$N.out" | tail -1)" "$mac"
is resets_are_counted "$(stat resets)" 1
check another_monitor_runs_it [ "$(stat pid)" != "$vmm" ]
guest_say g
check its_nic_works wait_for 20 guest_saw 'FL RESULT.*lost=0'
guest_say q
guest_wait 10; is power_off_ends_it $? 0
is nothing_was_complained_of "$(cat "$TMP/$N.err")" ""

# --- a paused guest is none after a reset; stop and signals still reach it ---
start virtio,backend=null dev=virtio mode=tx
wait_for 20 ready 1
guest_say r
check virtio_guest_starts_again wait_for 20 ready 2
"$FL" pause $N && "$FL" resume $N; is it_can_be_paused_and_resumed $? 0
is stop_ends_it "$("$FL" stop $N; echo $?)" 0
guest_wait 10; is stopped_guest_leaves_status_0 $? 0

# --- --no-reboot ---
extra=(--no-reboot)
start virtio,backend=null dev=virtio mode=tx
wait_for 20 ready 1
guest_say r
guest_wait 10; is no_reboot_ends_it_with_a_status_of_its_own $? 4
printf 'kernel: %s\nreboot: false\nnics: ["virtio,backend=null"]\nappend: tsc=%s dev=virtio mode=tx\n' "$(realpath "$MG")" "$(tsc_hz)" >"$TMP/g.yaml"
mkfifo "$TMP/yin"
"$FL" run "$TMP/g.yaml" --name $N <"$TMP/yin" >"$TMP/$N.out" 2>"$TMP/$N.err" &
GUEST_PID=$!
exec 9>"$TMP/yin"
wait_for 20 ready 1
guest_say r
guest_wait 10; is reboot_false_in_the_file_does_the_same $? 4
sed -i 's/false/perhaps/' "$TMP/g.yaml"
"$FL" run "$TMP/g.yaml" </dev/null 2>"$TMP/e"; is other_words_are_refused "$? $(grep -c "reboot: 'perhaps' is neither" "$TMP/e")" "2 1"
extra=()

# --- a loop ---
start virtio,backend=null dev=virtio mode=tx
for i in 1 2 3 4 5; do
	wait_for 20 ready $i
	guest_say r
done
guest_wait 20; is one_that_only_resets_is_ended $? 1
is and_that_is_said_once "$(grep -c 'has reset 5 times' "$TMP/$N.err")/$(wc -l <"$TMP/$N.err")" 1/1
is it_started_five_times "$(grep -c 'FL READY' "$TMP/$N.out")" 5

# --- in the background: its console stays attached ---
"$FL" run --detach --name $N --kernel "$MG" --append "tsc=$(tsc_hz) dev=virtio mode=tx ms=100 warm_ms=1" --nic virtio </dev/null >/dev/null
mkfifo "$TMP/cin"
"$FL" console $N <"$TMP/cin" >"$TMP/$N.out" 2>/dev/null &
con=$!
exec 8>"$TMP/cin"
wait_for 20 ready 1
printf r >&8
check console_shows_the_second_start wait_for 20 ready 2
printf g >&8
check and_takes_what_is_typed wait_for 20 guest_saw 'FL RESULT'
exec 8>&-
kill $con
wait $con 2>/dev/null
"$FL" stop $N; is detached_guest_is_stopped $? 0

# --- a tap and a disk are the same ones ---
if [ "$(id -u)" != 0 ] || [ ! -c /dev/net/tun ]; then
	for i in tap_is_made tap_is_the_same_interface disk_is_held_all_the_time tap_goes_with_the_guest last_guest_ends_in_order; do skip "$i: needs root and /dev/net/tun"; done
	exit 0
fi
truncate -s 1M "$TMP/disk"
extra=(--disk "$TMP/disk")
start "virtio,backend=tap,ifname=$IF" dev=virtio mode=tx
wait_for 20 ready 1
check tap_is_made test -d "/sys/class/net/$IF"
index=$(cat "/sys/class/net/$IF/ifindex")
guest_say r
wait_for 20 ready 2
is tap_is_the_same_interface "$(cat "/sys/class/net/$IF/ifindex")" "$index"
"$FL" run --kernel "$MG" --disk "$TMP/disk" </dev/null >/dev/null 2>&1; is disk_is_held_all_the_time $? 1
guest_say q
guest_wait 10; is last_guest_ends_in_order $? 0
check tap_goes_with_the_guest [ ! -e "/sys/class/net/$IF" ]
