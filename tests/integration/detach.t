#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests in the background: run --detach, console, the log, and what happens when one of them goes.
. "$(dirname "$0")/lib.sh"
need_kvm
plan 27
N=dt-$$
LOG=/var/lib/fourlane/log/$N.log
[ "$(id -u)" = 0 ] || LOG=${XDG_STATE_HOME:-$HOME/.local/state}/fourlane/log/$N.log
trap '"$FL" stop --now $N >/dev/null 2>&1; kill $CON 2>/dev/null; rm -rf "$TMP" "$LOG"' EXIT
CON=
detach() { timeout 60 "$FL" run --detach --name $N --kernel "$MG" --nic virtio "$@"; }
run_pid() { "$FL" ps | awk -v n=$N '$1 == n {print $2}'; }
said() { grep -q "$1" "$LOG"; }

# the substitution ends only when nobody has its descriptors any more
out=$(detach --append "tsc=$(tsc_hz) dev=virtio mode=tx ms=200 warm_ms=1" </dev/null 2>&1)
is run_returns_once_the_guest_runs $? 0
is its_name_is_printed "$out" $N
check guest_is_listed sh -c "$FL ps | grep -q '^$N '"
check its_console_is_in_the_log wait_for 20 said 'FL READY'
is log_is_not_for_everybody "$(stat -c %a "$LOG")" 640
pid=$(run_pid)
is it_has_no_terminal "$(readlink /proc/$pid/fd/0)" /dev/null
is it_leads_a_session "$(ps -o sid= -p $pid | tr -d ' ')" $pid
is second_of_that_name_is_refused "$(detach >/dev/null 2>"$TMP/e"; echo $?)" 1
check and_said grep -q "one of that name is running" "$TMP/e"

# console: what was said before is shown, what is typed arrives
mkfifo "$TMP/in"
"$FL" console $N <"$TMP/in" >"$TMP/out" 2>"$TMP/err" &
CON=$!
exec 8>"$TMP/in"
check console_shows_what_was_said wait_for 10 grep -q 'FL READY' "$TMP/out"
printf g >&8
check what_is_typed_arrives wait_for 20 grep -q 'FL RESULT' "$TMP/out"
check and_is_in_the_log said 'FL RESULT'
exec 8>&-
sleep 0.3
check end_of_input_is_not_the_end kill -0 $CON
kill $CON
wait $CON
is signal_leaves_the_console $? 143
is guest_runs_on "$(run_pid)" "$pid"
for i in 1 2 3 4 5; do
	mkfifo "$TMP/in$i"
	"$FL" console $N <"$TMP/in$i" >"$TMP/out$i" 2>/dev/null &
	c[$i]=$!
	eval "exec 1$i>$TMP/in$i"
	wait_for 10 test -s "$TMP/out$i"
done
check four_may_be_attached kill -0 ${c[1]} ${c[2]} ${c[3]} ${c[4]}
wait ${c[5]}
check the_fifth_is_told grep -q 'as many as can be' "$TMP/out5"
check the_fifth_says_it_once test "$(wc -l <"$TMP/out5")" = 1
kill -STOP ${c[1]}
is one_that_does_not_read_keeps_nobody_waiting "$(timeout 20 "$FL" stats $N --json >/dev/null; echo $?)" 0
kill -CONT ${c[1]}
is stop_ends_it "$(timeout 100 "$FL" stop $N; echo $?)" 0
wait ${c[1]}
is console_ends_with_its_guest $? 0
for i in 1 2 3 4 5; do eval "exec 1$i>&-"; done
check its_socket_is_gone sh -c "! ls /run/fourlane/$N.* \${XDG_RUNTIME_DIR:-/nonexistent}/fourlane/$N.* 2>/dev/null | grep ."
is console_of_nobody "$("$FL" console $N </dev/null >/dev/null 2>"$TMP/e"; echo $?)" 1
is console_of_a_wrong_name "$("$FL" console a/b </dev/null >/dev/null 2>"$TMP/e"; echo $?)" 2

# what goes wrong before the guest runs is said to the caller
is failed_start_is_the_callers "$(detach --initrd /nonexistent >"$TMP/o" 2>"$TMP/e"; echo $?)" 1
check with_the_reason grep -q '/nonexistent' "$TMP/e"
is nothing_is_left "$(cat "$TMP/o"; run_pid)" ""
