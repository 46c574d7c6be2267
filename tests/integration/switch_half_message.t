#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A front-end that sends half a message stops nobody but itself: another port of the switch still does its whole handshake and carries traffic
# (librte_vhost has one thread that reads all sockets and waits in it), and the half one is closed by the switch. Nothing is sent, too.
. "$(dirname "$0")/lib.sh"
. tests/integration/interop.sh
need_switch
command -v perl >/dev/null || skip_all "perl is missing; 'apt-get install perl'"
plan 7

port() { echo "{name: $1, type: vhost-user, socket: $TMP/$1.sock}"; }
switch_file "$(port a)" "$(port b)" "$(port half)" "$(port mute)"
check switch_starts switch_up
# SOCKET BYTES: connects, sends so many bytes of GET_FEATURES' header (request 1, version 1, size 0: 12 bytes), tells, waits for the end of file
cat >"$TMP/half.pl" <<'P'
use IO::Socket::UNIX;
$| = 1;
alarm 60;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!";
$s->syswrite(substr(pack("LLL", 1, 1, 0), 0, $ARGV[1])) if $ARGV[1];
print "sent\n";
my $n = $s->sysread(my $answer, 100);
print defined $n && $n == 0 ? "closed\n" : "answered\n";
P
half() { peer_bg "$TMP/$1.out" perl "$TMP/half.pl" "$TMP/$1.sock" "$2"; }
half half 6
half mute 0
wait_for 10 eval "grep -q sent '$TMP/half.out' && grep -q sent '$TMP/mute.out' 2>/dev/null"
vgen_start beside 0 check=1 sizes=64 ms=200 warm_ms=50
check others_do_their_handshake_meanwhile wait_for 20 grep -q READY "$TMP/beside.gen"
wait_for 20 peer_gone "$VGEN_PID"
check others_carry_traffic_meanwhile vgen_has beside received 1
check half_a_message_gets_its_connection_closed wait_for 30 grep -q closed "$TMP/half.out"
half half 12
check so_does_one_that_says_nothing wait_for 30 grep -q closed "$TMP/mute.out"
check its_port_serves_the_next_one wait_for 10 grep -q answered "$TMP/half.out"
check the_switch_lives fl_switch_answers "$N"
show "$TMP"/{half,mute}.out "$TMP/beside.gen" "$TMP/sw/switch.log"
