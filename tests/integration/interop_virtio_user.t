#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Our switch with DPDK's virtio-user as the guest (fourlane-vgen): it connects and our ports listen, and the other way round. Every frame is
# compared, the counters close, the switch is killed (-9) under traffic and started again.
. "$(dirname "$0")/lib.sh"
. tests/integration/interop.sh
need_switch
plan 11

switch_file "{name: a, type: vhost-user, socket: $TMP/a.sock}" "{name: b, type: vhost-user, socket: $TMP/b.sock}"
check switch_starts switch_up
vgen_start connects 0 check=1 sizes=64,100,1518 ms=200 warm_ms=50 both=1
check virtio_user_that_connects_gets_its_link wait_for 20 grep -q READY "$TMP/connects.gen"
check virtio_user_that_connects_ends_in_order wait_for 30 peer_gone "$VGEN_PID"
check virtio_user_that_connects_gets_frames_of_each_size vgen_has connects received 3
is virtio_user_that_connects_gets_them_whole_and_in_order "$(vgen_sum connects bad) $(vgen_sum connects disorder)" "0 0"
check counters_close switch_closes
switch_down
show "$TMP"/connects.gen "$TMP"/sw/switch.log

switch_file "{name: a, type: vhost-user, role: client, socket: $TMP/a.sock}" "{name: b, type: vhost-user, role: client, socket: $TMP/b.sock}"
rm -f "$TMP"/?.sock
vgen_start listens 1 check=1 sizes=200 ms=100 warm_ms=10 windows=100000 rate=20000
switch_up
check virtio_user_that_listens_gets_its_link wait_for 20 grep -q READY "$TMP/listens.gen"
check virtio_user_that_listens_gets_frames wait_for 20 vgen_has listens received 2
switch_down KILL
n=$(vgen_windows listens)
wait_for 10 eval "[ \"\$(vgen_windows listens)\" -gt $((n + 1)) ]"	# some traffic into nothing
before=$(vgen_windows listens received)
check switch_starts_again switch_up
check traffic_goes_on_after_the_switch_was_killed wait_for 20 vgen_has listens received $((before + 3))
is all_that_came_was_whole "$(vgen_sum listens bad)" 0
show "$TMP"/listens.gen "$TMP"/sw/switch.log
