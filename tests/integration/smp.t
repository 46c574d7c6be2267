#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Several CPUs, pause and resume, and where a guest lies on its host: the microguest wakes the others by SIPI.
. "$(dirname "$0")/lib.sh"
plan 51

# --- wrong words ---
refused() { # NAME STATUS TEXT WORDS...: the call ends so, with one line that has this text
	local name=$1 want=$2 text=$3
	shift 3
	"$FL" run --kernel "$MG" "$@" </dev/null >/dev/null 2>"$TMP/e"
	is "$name" "$?" "$want"
	check "${name}_in_one_line" [ "$(wc -l <"$TMP/e") $(grep -c -- "$text" "$TMP/e")" = "1 1" ]
}
refused no_cpu_is_a_wrong_call 2 'from 1 to 64' --cpus 0
refused too_many_cpus_are_a_wrong_call 2 'from 1 to 64' --cpus 65
refused other_page_sizes_are_a_wrong_call 2 'neither 2M nor 1G' --hugepages 4K
refused half_a_page_is_a_wrong_call 2 'no multiple' --hugepages 1G --mem 512M
refused wrong_pin_list_is_a_wrong_call 2 'no list of host CPUs' --pin 1,
refused pin_list_has_all_cpus_or_none 2 'has 1 CPUs for the vCPUs, the guest has 2' --cpus 2 --pin 0
refused cpu_that_is_not_there_is_the_hosts_lack 3 'host CPU 1023 ' --pin 1023
"$FL" pause >/dev/null 2>"$TMP/e"; is pause_wants_a_name $? 2
"$FL" resume a b >/dev/null 2>"$TMP/e"; is resume_wants_one_name $? 2
"$FL" pause nobody-there >/dev/null 2>"$TMP/e"; is pause_of_no_guest_fails $? 1

if [ ! -w /dev/kvm ]; then
	while [ $T -lt 51 ]; do skip "no /dev/kvm that this user may open"; done
	exit 0
fi

# vm_start NAME OPTIONS -- WORDS: like guest_start, with options of `run`; the name is made this run's own
vm_start() {
	local opts=()
	GUEST=$1-$$
	shift
	while [ "$1" != -- ]; do opts+=("$1"); shift; done
	shift
	rm -f "$TMP/in"
	mkfifo "$TMP/in"
	"$FL" run --name "$GUEST" --kernel "$MG" "${opts[@]}" --append "tsc=$(tsc_hz) $*" <"$TMP/in" >"$TMP/$GUEST.out" 2>"$TMP/$GUEST.err" &
	GUEST_PID=$!
	exec 9>"$TMP/in"
}
counters() { "$FL" stats "$GUEST" | grep -v -e '^uptime_ms ' -e '^monitor\.'; }
# thread NAME: Cpus_allowed_list of the monitor's thread of that name
thread() {
	local t
	for t in /proc/"$(vmm)"/task/*; do
		[ "$(cat "$t/comm")" != "$1" ] || sed -n 's/^Cpus_allowed_list:[ \t]*//p' "$t/status"
	done
}
vmm() { "$FL" stats "$GUEST" --json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -1; }

# --- the other CPUs ---
vm_start fl-smp --cpus 4 -- mode=smp cpus=4 ms=50
check sipi_wakes_three_others wait_for 30 guest_saw 'FL SMP cpus=4 started=3 ids=0,1,2,3'
is each_has_its_statistics "$("$FL" stats "$GUEST" --json | grep -c '"user_exits"')" 4
"$FL" stop "$GUEST"; guest_wait 10; is guest_with_halted_cpus_stops $? 0
vm_start fl-smp --cpus 4 -- mode=smp cpus=4 ms=50 spin=1
wait_for 30 guest_saw 'FL READY'
kill -INT "$GUEST_PID"; guest_wait 10; is ctrl_c_ends_running_cpus $? 0
vm_start fl-smp --cpus 2 -- mode=smp cpus=2
check one_other_wakes wait_for 30 guest_saw 'FL SMP cpus=2 started=1 ids=0,1'
"$FL" stop "$GUEST"; guest_wait 10
vm_start fl-smp --cpus 64 --mem 64M -- mode=smp cpus=64
check sixty_three_others_wake wait_for 60 guest_saw 'FL SMP cpus=64 started=63 '
is all_sixty_four_are_counted "$("$FL" stats "$GUEST" --json | grep -c '"user_exits"')" 64
guest_say q; guest_wait 20; is guest_ends_them_all_itself $? 0
if [ "$(nproc)" -lt 64 ]; then
	check more_cpus_than_there_are_is_said grep -q 'take turns' "$TMP/$GUEST.err"
else
	skip "this host has 64 CPUs"
fi

# --- standing still ---
vm_start fl-still --cpus 3 --nic virtio,backend=null -- dev=virtio mode=tx ms=60000 warm_ms=10
wait_for 20 guest_saw 'FL READY'
guest_say g
moves() { counters >"$TMP/a"; sleep 0.1; counters >"$TMP/b"; ! cmp -s "$TMP/a" "$TMP/b"; }
check traffic_runs_beside_cpus_that_wait wait_for 10 moves
"$FL" pause "$GUEST"; is pause_is_done $? 0
counters >"$TMP/a"; sleep 0.5; counters >"$TMP/b"
check every_counter_stands_still cmp "$TMP/a" "$TMP/b"
check ps_shows_it eval '"$FL" ps | grep -q "$GUEST .* paused"'
check ps_says_it_as_json eval '"$FL" ps --json | grep -q "\"state\": \"paused\""'
"$FL" pause "$GUEST"; is pausing_twice_is_no_error $? 0
"$FL" resume "$GUEST"; is resume_is_done $? 0
check it_goes_on wait_for 10 moves
check ps_shows_that_too eval '"$FL" ps | grep -q "$GUEST .* running"'
"$FL" resume "$GUEST"; is resuming_twice_is_no_error $? 0
for i in 1 2 3 4 5 6 7 8 9 10; do "$FL" pause "$GUEST" && "$FL" resume "$GUEST" || break; done
check ten_times_in_a_row [ "$i" = 10 ]
check and_it_still_goes_on wait_for 10 moves
"$FL" pause "$GUEST"
"$FL" stop "$GUEST"; is paused_guest_stops $? 0
guest_wait 10; is with_status_0 $? 0

vm_start fl-still --cpus 4 -- mode=smp cpus=4 ms=100 spin=1
wait_for 30 guest_saw 'FL READY'
"$FL" pause "$GUEST"
counters >"$TMP/a"; sleep 0.5; counters >"$TMP/b"
check cpus_that_compute_stand_still cmp "$TMP/a" "$TMP/b"
guest_say g; sleep 0.5
check and_do_not_answer eval '! guest_saw "FL RESULT"'
"$FL" resume "$GUEST"
check until_they_are_resumed wait_for 10 guest_saw 'FL RESULT mode=smp spins=[1-9]'
"$FL" pause "$GUEST"
kill -INT "$GUEST_PID"; guest_wait 10; is ctrl_c_ends_a_paused_guest $? 0

vm_start fl-still --nic e1000 -- dev=e1000 mode=tx
wait_for 20 guest_saw 'FL READY'
"$FL" pause "$GUEST"
monitor=$(vmm)
kill -9 "$GUEST_PID"
gone() { ! kill -0 "$monitor" 2>/dev/null; }
check paused_monitor_dies_with_its_supervisor wait_for 5 gone
wait "$GUEST_PID" 2>/dev/null

# --- its place on the host ---
cpu=$(sed -n 's/^Cpus_allowed_list:[ \t]*\([0-9]*\).*/\1/p' /proc/self/status)
vm_start fl-place --cpus 2 --mem 64M --prefault --pin "$cpu,$cpu,io:$cpu" -- mode=smp cpus=2
check prefaulted_guest_starts wait_for 60 guest_saw 'FL READY'
is its_first_cpu_is_pinned "$(thread vcpu0)" "$cpu"
is its_second_cpu_is_pinned "$(thread vcpu1)" "$cpu"
is its_io_thread_is_pinned "$(thread io)" "$cpu"
resident=$(awk '/^Rss(Anon|Shmem):/ {n += $2} END {print n}' /proc/"$(vmm)"/status)
check all_its_memory_is_there [ "${resident:-0}" -ge 65536 ]
"$FL" stop "$GUEST"; guest_wait 10
free=$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages 2>/dev/null)
if [ "${free:-0}" -ge 32 ]; then
	vm_start fl-place --mem 64M --hugepages 2M -- mode=smp cpus=1
	check guest_of_huge_pages_starts wait_for 20 guest_saw 'FL READY'
	"$FL" stop "$GUEST"; guest_wait 10
else
	"$FL" run --kernel "$MG" --mem 64M --hugepages 2M </dev/null >/dev/null 2>"$TMP/e"
	check lack_of_huge_pages_names_its_remedy grep -q -e 'sysctl vm.nr_hugepages=' -e 'none of that size' "$TMP/e"
fi
