#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What members of group fourlane may ask of root's switch: look, and ports of guests; nothing that makes or opens files as root.
# In a mount namespace with such a group and a /run/fourlane of its own.
[ -n "$FL_NS" ] || { [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null && FL_NS=1 exec unshare -m bash "$0"; }
. "$(dirname "$0")/lib.sh"
SW=$B/fourlane-switch
[ -x "$SW" ] || skip_all "fourlane-switch is not built: DPDK is missing; make deps"
[ -n "$FL_NS" ] || skip_all "not root, or no mount namespaces"
command -v setpriv >/dev/null && command -v perl >/dev/null || skip_all "no setpriv or no perl"
plan 21
GID=4242
P=$(mktemp -d /tmp/fl-swg.XXXXXX)
SWITCH_PID=
trap '[ -z "$SWITCH_PID" ] || kill -9 "$SWITCH_PID"; umount /run/fourlane /etc/group; rm -rf "$TMP" "$P"' EXIT
{ grep -v '^fourlane:' /etc/group; echo "fourlane:x:$GID:"; } >"$TMP/group"
mkdir -p /run/fourlane
mount --bind "$TMP/group" /etc/group && mount -t tmpfs -o mode=0750,gid=$GID fourlane /run/fourlane || skip_all "no mounts here"
cp "$SW" "$FL" "$P" && mkdir "$P/run" && chmod 755 "$P" && chmod 700 "$P/run" && chown 65534 "$P/run"
as() { setpriv --reuid=65534 "$@"; }
member() { as --regid=65534 --groups=$GID env XDG_RUNTIME_DIR="$P/run" HOME=/nonexistent "$P/fourlane" switch "$@"; }
"$SW" --huge off --memory-mb 16 >"$TMP/sw.out" 2>"$TMP/sw.err" & SWITCH_PID=$!
wait_for 20 grep -qs serves "$TMP/sw.out"
"$FL" switch port add nul --type eth --device net_null0; is root_adds_any_port $? 0

member show >"$TMP/o" 2>"$TMP/e"; is a_member_by_a_further_group_looks $? 0
check at_roots_switch grep -q '^nul ' "$TMP/o"
member stats >/dev/null; is a_member_sees_stats $? 0
member table >/dev/null; is a_member_sees_the_table $? 0
member port add vm1 --type vhost-user --vlan 100; is a_member_adds_a_guests_port $? 0
check its_socket_is_there test -S /run/fourlane/switch/default/vm1.sock
as --regid=65534 --groups=$GID perl -MIO::Socket::UNIX -e '
	my $s = IO::Socket::UNIX->new(Peer => "/run/fourlane/switch/default/vm1.sock") or exit 1; $s->blocking(0); sleep 1;
	exit(defined(sysread($s, my $b, 1)) ? 1 : 0)'
is a_members_guest_is_served $? 0
member port remove vm1; is a_member_removes_it $? 0

member port add pc --type eth --device "net_pcap0,tx_pcap=$P/run/made" 2>"$TMP/e"; is a_member_adds_no_device $? 1
check it_says_who_may grep -q 'as root' "$TMP/e"
is that_is_one_line "$(wc -l <"$TMP/e")" 1
check no_file_was_made test ! -e "$P/run/made"
member port add lo --type eth --device net_af_packet0,iface=lo 2>/dev/null; is a_member_opens_no_interface $? 1
member port add t --type tap --ifname fl0 2>/dev/null; is a_member_adds_no_tap $? 1
member port add s --type vhost-user --socket "$P/run/s.sock" 2>/dev/null; is a_member_chooses_no_socket $? 1
check no_socket_was_made test ! -e "$P/run/s.sock"
member port add q --type vmdq --device net_null1 --guest vm1 --software 2>/dev/null; is a_member_adds_no_pool $? 1
member port remove nul 2>/dev/null; is a_member_removes_no_device $? 1

as --regid=$GID --clear-groups env XDG_RUNTIME_DIR="$P/run" "$P/fourlane" switch show >/dev/null; is a_member_by_the_primary_group_looks $? 0
chmod 755 /run/fourlane /run/fourlane/switch /run/fourlane/switch/default; chmod 666 /run/fourlane/switch/default/control.sock
as --regid=65534 --clear-groups env XDG_RUNTIME_DIR="$P/run" "$P/fourlane" switch show >/dev/null 2>&1; is a_stranger_is_not_answered $? 1
kill -TERM "$SWITCH_PID"; wait "$SWITCH_PID"; SWITCH_PID=
