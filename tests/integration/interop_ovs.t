#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Our vhost-user front-end (virtio-net and 82540EM) with Open vSwitch and DPDK: our side listens, as OVS wants it (dpdkvhostuserclient). Link,
# traffic compared byte for byte, ovs-vswitchd killed (-9) under traffic and started again. The OVS is one of our own in a folder of its own.
. "$(dirname "$0")/lib.sh"
need_kvm
. tests/integration/interop.sh
peers_find
[ -n "$OVS_VSWITCHD" ] || skip_all "OVS-DPDK is not here; $PEER_REMEDY"
plan 6

vs_kill() { peer_stop "$OVS_PID" KILL; }
vs_start() { ovs_daemon "$TMP/ovs" "$CPU_MAIN"; }

pair_start "socket=$TMP/a.sock,role=server" "socket=$TMP/b.sock,role=server"
if ! { ovs_start "$TMP/ovs" "$CPU_SW" "$CPU_MAIN" && ovs_port "$TMP/ovs" a "$TMP/a.sock" && ovs_port "$TMP/ovs" b "$TMP/b.sock"; } >"$TMP/ovs.out" 2>&1; then
	show "$TMP/ovs.out" "$TMP/ovs/vs.log"
	echo "Bail out! OVS does not start"
	exit 1
fi
pair_tests ovs vs_kill vs_start
show "$TMP"/{ping,echo}.{err,out}
