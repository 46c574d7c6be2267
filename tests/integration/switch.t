#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The life of a fourlane-switch and `fourlane switch`: wrong words, start, ports, table, stats, kill -9, Ctrl-C. No guest.
. "$(dirname "$0")/lib.sh"
SW=$B/fourlane-switch
[ -x "$SW" ] || skip_all "fourlane-switch is not built: DPDK is missing; make deps"
plan 91
N=fl-sw-$$ M=fl-sw2-$$
SWITCH_PID=
switch_kill() { [ -z "$SWITCH_PID" ] || { kill -9 "$SWITCH_PID" 2>/dev/null; wait "$SWITCH_PID" 2>/dev/null; SWITCH_PID=; }; }
trap 'switch_kill; guest_kill; rm -rf "$TMP"' EXIT
switch_start() { rm -f "$TMP/sw.out"; "$SW" "$@" >"$TMP/sw.out" 2>"$TMP/sw.err" & SWITCH_PID=$!; wait_for 20 grep -qs serves "$TMP/sw.out"; }
fls() { "$FL" switch "$@" --switch "$N"; }
dir_of() { sed -n 's/.* serves at //p' "$TMP/sw.out"; }

"$SW" --nonsense >/dev/null 2>"$TMP/e"; is unknown_option_is_a_wrong_call $? 2
"$SW" --config >/dev/null 2>"$TMP/e"; is option_without_value_is_a_wrong_call $? 2
is error_is_one_line "$(wc -l <"$TMP/e")" 1
"$SW" --help >"$TMP/o"; is help_is_done $? 0
"$SW" --config /nonexistent.yaml 2>"$TMP/e"; is a_file_that_is_not_there_fails $? 1
printf 'ports:\n  - {name: a, type: vhost-user, colour: red}\n' >"$TMP/bad.yaml"
"$SW" --config "$TMP/bad.yaml" 2>"$TMP/e"; is an_unknown_key_is_a_wrong_call $? 2
check unknown_key_is_named_with_its_line grep -q 'colour.*line: 2' "$TMP/e"
check the_file_is_named grep -q "$TMP/bad.yaml" "$TMP/e"
"$SW" --workers 2 --cpus 0 2>"$TMP/e"; is one_cpu_for_two_workers_is_a_wrong_call $? 2
"$SW" --workers 1 extra 2>"$TMP/e"; is a_word_too_many_is_a_wrong_call $? 2
check that_word_is_named grep -q "'extra'" "$TMP/e"
"$SW" --workers 0 2>"$TMP/e"; is no_workers_is_a_wrong_call $? 2
"$SW" --cpus , 2>/dev/null; is an_empty_list_of_cpus_is_a_wrong_call $? 2
"$SW" --config "$TMP" 2>"$TMP/e"; is a_folder_for_a_file_fails $? 1
check it_is_called_a_folder grep -q folder "$TMP/e"
# file_start LINE...: with that port in the file
file_start() { { echo "{name: $N, huge: off, memory_mb: 16, fdb: {entries: 64}, ports: ["; printf '%s,\n' "$@"; echo "]}"; } >"$TMP/bad.yaml"; timeout 20 "$SW" --config "$TMP/bad.yaml" >/dev/null 2>"$TMP/e"; }
file_start '{name: p, type: eth}'; is a_nic_without_a_device_is_a_wrong_call $? 2
file_start '{name: p, type: vmdq, device: net_null0, guest: nobody}'; is a_pool_of_nobody_is_a_wrong_call $? 2
file_start '{name: p, type: vhost-user, trunk: []}'; is an_empty_trunk_is_a_wrong_call $? 2
file_start '{name: control, type: vhost-user}'; is the_control_sockets_name_is_no_ports $? 2
file_start '{name: p, type: eth, device: net_bogus0}'; is a_device_that_dpdk_has_not_fails $? 1
is dpdks_reason_is_in_that_line "$(wc -l <"$TMP/e")/$(grep -c 'bogus0.*EAL.*;' "$TMP/e")" 1/1
file_start '{name: p, type: vhost-user, trunk: [1-4094], macs: ["52:54:00:00:00:01"]}'; is more_static_addresses_than_room_fails $? 1
check what_makes_room_is_said grep -q fdb.entries "$TMP/e"
if [ "$(cat /proc/sys/vm/nr_hugepages)" = 0 ]; then
	"$SW" --name "$N" --huge on 2>/dev/null; is huge_pages_that_are_not_there_are_the_hosts_lack $? 3
else
	skip "there are huge pages"
fi
"$FL" switch 2>/dev/null; is switch_alone_is_a_wrong_call $? 2
fls fly 2>/dev/null; is unknown_word_is_a_wrong_call $? 2
fls show --vlan 3 2>/dev/null; is an_option_of_port_add_elsewhere_is_a_wrong_call $? 2
fls show --flush 2>/dev/null; is flush_elsewhere_is_a_wrong_call $? 2
fls show 2>"$TMP/e"; is show_of_no_switch_fails $? 1
check it_says_how_to_start_one grep -q "fourlane-switch" "$TMP/e"

cat >"$TMP/sw.yaml" <<Y
name: $N
huge: off
memory_mb: 16
ports:
  - {name: pool, type: vmdq, device: net_null1$$, guest: vm1, software: true, vlan: 100, macs: ["52:54:00:00:00:01"]}
  - {name: vm1, type: vhost-user, vlan: 100, macs: ["52:54:00:00:00:01"]}
  - {name: nul, type: eth, device: net_null_$$, trunk: [100, 200-203]}
Y
check it_starts_without_huge_pages switch_start --config "$TMP/sw.yaml"
d=$(dir_of)
check its_socket_is_there test -S "$d/vm1.sock"
is sockets_are_for_owner_and_group "$(stat -c %a "$d/vm1.sock")" 660
fls show >"$TMP/o"; check show_lists_a_port grep -q '^vm1 *vhost-user *100 ' "$TMP/o"
check show_lists_a_trunk grep -q 'trunk 100,200-203' "$TMP/o"
fls show --json >"$TMP/o"; check show_as_json grep -q '"connected": false' "$TMP/o"
fls table >"$TMP/o"; check an_allowed_address_is_in_the_table grep -q '52:54:00:00:00:01 *100 vm1 *static' "$TMP/o"
fls port remove vm1 2>"$TMP/e"; is a_pools_guest_is_not_removed $? 1
check that_pool_is_named grep -q 'pool pool' "$TMP/e"
fls table --flush vm1 >/dev/null; is flush_of_a_port_is_done $? 0
fls table --flush nobody 2>/dev/null; is flush_of_no_port_is_a_wrong_call $? 2
fls table --flush $'\xff' 2>/dev/null; is a_name_that_is_no_text_is_a_wrong_call $? 2
fls port add vm9 --type vhost-user --socket $'/tmp/\xff' 2>/dev/null; is a_path_that_is_no_text_is_a_wrong_call $? 2
fls port add vm1 --type vhost-user 2>"$TMP/e"; is a_second_port_of_the_name_fails $? 1
fls port add vm2 --type vhost-user --vlan 4095 2>"$TMP/e"; is wrong_vlan_is_a_wrong_call $? 2
check error_names_the_vlan grep -q 4095 "$TMP/e"
fls port add vm2 2>/dev/null; is port_without_type_is_a_wrong_call $? 2
fls port add vm2 --type vhost-user --mac 52:54:00:00:00:01 --vlan 100 2>"$TMP/e"; is another_ports_address_is_refused $? 1
for words in "--trunk=" "--trunk=,," "--trunk=5,,6" "--vlan=" "--mac=" "--socket=" "--queues="; do
	fls port add vm2 --type vhost-user "$words" 2>/dev/null; is "an_empty_value_is_a_wrong_call:$words" $? 2
done
fls port add control --type vhost-user 2>/dev/null; is the_control_sockets_name_is_refused $? 2
(FL=$(realpath "$FL"); cd "$TMP" && "$FL" switch port add rel --type vhost-user --socket rel.sock --switch "$N"); is a_socket_here_is_done $? 0
check it_is_in_the_callers_folder test -S "$TMP/rel.sock"
fls port remove rel
if command -v perl >/dev/null; then
	perl -MIO::Socket::UNIX -e '
		my $l = IO::Socket::UNIX->new(Local => "'"$TMP"'/taken.sock", Listen => 1) or die;
		my $ret = system(@ARGV) >> 8; $l->blocking(0);
		print $ret, $l->accept ? " met" : " alone";' "$FL" switch port add tk --switch "$N" --type vhost-user --socket "$TMP/taken.sock" >"$TMP/o" 2>/dev/null
	is a_socket_in_use_is_refused_and_left_alone "$(cat "$TMP/o")" "1 alone"
	perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "'"$TMP"'/dead.sock", Listen => 1) or die'
	fls port add dead --type vhost-user --socket "$TMP/dead.sock"; is a_dead_ones_socket_is_replaced $? 0
	fls port remove dead
else
	skip "no perl"; skip "no perl"
fi
if [ -w /dev/net/tun ] && [ "$(id -u)" = 0 ]; then
	fls port add lo --type tap --ifname lo 2>"$TMP/e"; is an_interface_that_is_no_tap_fails $? 1
	check it_is_said_to_be_none grep -q 'lo is no tap' "$TMP/e"
else
	skip "no taps here"; skip "no taps here"
fi
fls port add vm2 --type vhost-user --vlan 200; is port_add_is_done $? 0
check its_socket_appears test -S "$d/vm2.sock"
fls port remove vm2; is port_remove_is_done $? 0
check its_socket_goes test ! -e "$d/vm2.sock"
fls port remove vm2 2>/dev/null; is removing_it_again_fails $? 1
fls port add q --type vmdq --guest nobody --device net_null_x 2>/dev/null; is a_pool_of_no_guest_fails $([ $? = 0 ]; echo $?) 1
fls port add w --type eth --device 0000:00:00.9 2>"$TMP/e"; s=$?
case $s in 1|2|3) ok a_device_that_is_not_there_is_refused ;; *) not_ok a_device_that_is_not_there_is_refused ;; esac
fls stats --json >"$TMP/o"; check stats_close grep -q '"balance": 0' "$TMP/o"
"$SW" --name "$N" 2>"$TMP/e"; is second_switch_of_the_name_is_refused $? 1
"$SW" --name "$M" --huge off --memory-mb 16 >"$TMP/o2" 2>"$TMP/e2" & m=$!
check two_switches_run_side_by_side wait_for 20 grep -qs serves "$TMP/o2"
kill -INT $m; wait $m; is ctrl_c_ends_it_in_order $? 0
check it_leaves_nothing test ! -e "${d%/*}/$M"

fls port add late --type vhost-user
kill -9 "$SWITCH_PID"; wait "$SWITCH_PID" 2>/dev/null
fls show 2>/dev/null; is a_killed_switch_is_not_there $? 1
check it_starts_again_over_what_was_left switch_start --config "$TMP/sw.yaml"
check with_its_sockets test -S "$d/vm1.sock"
# what a client may send: no JSON, no method, a line without end, silence
if command -v perl >/dev/null; then
	perl -MIO::Socket::UNIX -e '
		my $s = IO::Socket::UNIX->new(Peer => "'"$d"'/control.sock") or die;
		my $t = IO::Socket::UNIX->new(Peer => "'"$d"'/control.sock") or die;
		print $t "{\"half";
		for my $m ("nonsense", "[]", "{}", "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"fly\"}", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"info\"}") {
			print $s "$m\n"; my $l = <$s>; print $l; }' >"$TMP/o"
	is every_bad_request_is_answered "$(grep -c '"error"' "$TMP/o")/$(grep -c '"id": *7' "$TMP/o")/$(grep -c '"id": *"x"' "$TMP/o")" 4/1/1
else
	skip "no perl"
fi
kill -TERM "$SWITCH_PID"; wait "$SWITCH_PID"; is sigterm_ends_it_in_order $? 0
SWITCH_PID=
check nothing_is_left_but_what_lives test ! -e "$d"
check it_says_nothing_that_is_no_error test ! -s "$TMP/sw.err"

# two hundred ports, and answers that are longer than any request
{ echo "{name: $N, huge: off, memory_mb: 16, ports: ["; for i in $(seq 200); do echo "{name: port-number-$i, type: vhost-user, vlan: $i},"; done; echo "]}"; } >"$TMP/many.yaml"
check two_hundred_ports_start switch_start --config "$TMP/many.yaml"
is stats_of_two_hundred_ports "$(fls stats --json | grep -c '"name": "port-number-')" 200
is show_of_two_hundred_ports "$(fls show | grep -c '^port-number-')" 200
kill -TERM "$SWITCH_PID"; wait "$SWITCH_PID"; is all_of_them_end $? 0
SWITCH_PID=

# the README's example, as it stands there
awk '/^### / { s = /The switch/ } s && /^```yaml/ { f = 1; next } /^```/ { f = 0 } f' README.md >"$TMP/readme.yaml"
check the_readmes_example_starts switch_start --config "$TMP/readme.yaml" --name "$N" --huge off --memory-mb 16
fls show >"$TMP/o"; check with_its_ports grep -q '^vm1-nic0 *vhost-user *100 ' "$TMP/o"
kill -TERM "$SWITCH_PID"; wait "$SWITCH_PID"; is it_ends $? 0
SWITCH_PID=

# a plain user
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
	for i in 1 2 3; do skip "not root, or no setpriv"; done
else
	p=$(mktemp -d /tmp/fl-sw.XXXXXX)
	cp "$SW" "$FL" "$p" && mkdir "$p/run" && chmod 755 "$p" && chmod 700 "$p/run" && chown 65534 "$p/run"
	plain() { setpriv --reuid=65534 --regid=65534 --clear-groups env XDG_RUNTIME_DIR="$p/run" HOME=/nonexistent "$@"; }
	(cd "$p" && plain ./fourlane-switch --memory-mb 16 >"$TMP/sw.out" 2>"$TMP/sw.err") & SWITCH_PID=$!
	wait_for 20 grep -qs serves "$TMP/sw.out"
	(cd "$p" && plain ./fourlane switch port add vm1 --type vhost-user && plain ./fourlane switch show) >"$TMP/o" 2>&1
	check a_plain_user_runs_a_switch grep -q '^vm1 .*waiting' "$TMP/o"
	(cd "$p" && plain ./fourlane switch port add t --type tap --ifname flx$$) 2>"$TMP/e"; is a_tap_without_the_right_is_the_hosts_lack $? 3
	check that_right_is_named grep -q 'CAP_NET_ADMIN\|modprobe' "$TMP/e"
	kill -TERM $(pgrep -P "$SWITCH_PID"); wait "$SWITCH_PID"
	SWITCH_PID=
	rm -rf "$p"
fi
