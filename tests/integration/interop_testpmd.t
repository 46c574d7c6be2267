#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Our vhost-user front-end (virtio-net and 82540EM) with DPDK's testpmd, librte_vhost at the other end: testpmd listens and we connect, and the
# other way round. Each time: link, traffic compared byte for byte, testpmd killed (-9) under traffic and started again.
. "$(dirname "$0")/lib.sh"
need_kvm
. tests/integration/interop.sh
peers_find
[ -n "$TESTPMD" ] || skip_all "dpdk-testpmd is not here; $PEER_REMEDY"
plan 12

pmd_kill() { peer_stop "$TESTPMD_PID" KILL; }
pmd_listens() { testpmd_start "$TMP/pmd" "$CPU_SW" "$CPU_MAIN" "iface=$TMP/a.sock" "iface=$TMP/b.sock" "$TMP/a.sock" "$TMP/b.sock"; }
pmd_connects() { testpmd_start "$TMP/pmd" "$CPU_SW" "$CPU_MAIN" "iface=$TMP/c.sock,client=1" "iface=$TMP/d.sock,client=1"; }

pmd_listens
pair_start "socket=$TMP/a.sock" "socket=$TMP/b.sock"
pair_tests testpmd_listens pmd_kill pmd_listens
show "$TMP"/{ping,echo}.{err,out}
vm_kill
pmd_kill

pair_start "socket=$TMP/c.sock,role=server" "socket=$TMP/d.sock,role=server"
pmd_connects
pair_tests testpmd_connects pmd_kill pmd_connects
show "$TMP"/{ping,echo}.{err,out}
