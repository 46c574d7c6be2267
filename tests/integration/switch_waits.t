#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What `fourlane run` says when the switch is not there, does not answer, or has another guest at that port.
. "$(dirname "$0")/lib.sh"
SW=$B/fourlane-switch
[ -x "$SW" ] || skip_all "fourlane-switch is not built: DPDK is missing; make deps"
need_kvm
plan 13
N=fl-sww-$$
SWITCH_PID=
trap '[ -z "$SWITCH_PID" ] || kill -9 "$SWITCH_PID"; guest_kill; rm -rf "$TMP"' EXIT
# run_it NIC: a guest that nothing is told, for at most 20 s; its status in s
run_it() { timeout 20 "$FL" run --name "w$$" --kernel "$MG" --append "tsc=$(tsc_hz)" --nic "$1" </dev/null >/dev/null 2>"$TMP/e"; s=$?; }

for words in "wait=3600" "role=server,wait=3600"; do
	timeout --preserve-status -s INT 2 "$FL" run --name "w$$" --kernel "$MG" --nic "virtio,backend=switch,socket=$TMP/none.sock,$words" </dev/null >/dev/null 2>"$TMP/e"
	is "ctrl_c_while_it_waits_fails:$words" $? 1
	check "it_says_so:$words" grep -q 'nothing has run;' "$TMP/e"
done
check no_socket_is_left test ! -e "$TMP/none.sock"

printf 'name: %s\nhuge: off\nmemory_mb: 16\nports:\n  - {name: vm1, type: vhost-user}\n' "$N" >"$TMP/sw.yaml"
"$SW" --config "$TMP/sw.yaml" >"$TMP/sw.out" 2>"$TMP/sw.err" & SWITCH_PID=$!
wait_for 20 grep -qs serves "$TMP/sw.out"
guest_start "a$$" "virtio,backend=switch,switch=$N,port=vm1" dev=virtio mode=rx
connected() { "$FL" switch show --switch "$N" | grep -q '^vm1 .*connected'; }
check a_guest_has_the_port wait_for 20 connected
run_it "virtio,backend=switch,switch=$N,port=vm1"; is a_second_guest_fails $s 1
is it_is_told_of_the_first_in_one_line "$(wc -l <"$TMP/e")/$(grep -c 'another guest at that port' "$TMP/e")" 1/1
guest_kill
kill -STOP "$SWITCH_PID"
run_it "virtio,backend=switch,switch=$N,port=vm1"; is a_switch_that_hangs_fails_it $s 1
check it_says_that_the_guest_does_not_start grep -q 'in time: the guest cannot start;' "$TMP/e"
check and_not_that_it_waits [ "$(grep -c waiting "$TMP/e")" = 0 ]
kill -CONT "$SWITCH_PID"
kill -TERM "$SWITCH_PID"; wait "$SWITCH_PID"; SWITCH_PID=

if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null || setpriv --reuid=65534 --regid=65534 --clear-groups test -w /dev/kvm; then
	skip "not root, no setpriv, or /dev/kvm is everybody's"; skip "not root, no setpriv, or /dev/kvm is everybody's"
else
	p=$(mktemp -d /tmp/fl-sww.XXXXXX)
	cp "$FL" "$MG" "$p" && chmod 755 "$p" && mkdir "$p/run" && chown 65534 "$p/run"
	setpriv --reuid=65534 --regid=65534 --clear-groups env XDG_RUNTIME_DIR="$p/run" HOME=/nonexistent "$p/fourlane" run --kernel "$p/mg.elf" </dev/null 2>"$TMP/e"
	is no_right_to_kvm_is_the_hosts_lack $? 3
	check the_group_is_named grep -q "group 'kvm'" "$TMP/e"
	rm -rf "$p"
fi
