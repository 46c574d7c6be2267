# SPDX-License-Identifier: GPL-2.0-or-later
# OVS-DPDK, testpmd, our switch and fourlane-vgen as processes of the script that sources this (bench/peers/switch, tests/integration/interop_*.t).
# Each lives in a folder of its own ($1), is ended by peers_end and dies with the script (setpriv --pdeathsig). The system's OVS, its
# database and folders are never touched. HUGE=1 puts everybody on huge pages, else nobody is.
HUGE=${HUGE:-0}
PEER_PIDS=()
PEER_TAG=fl$$

# peers_find: sets TESTPMD and OVS (a folder, "" for the system's), or gives 1. Unpacked ones (fetch) first, then installed ones.
peers_find() {
	local here
	here=$(dirname "${BASH_SOURCE[0]}")
	PEERS=$("$here/fetch" --if-there) || PEERS=
	TESTPMD= OVS_VSWITCHD=
	if [ -x "$PEERS/usr/bin/dpdk-testpmd" ]; then TESTPMD=$PEERS/usr/bin/dpdk-testpmd
	else TESTPMD=$(command -v dpdk-testpmd || true); fi
	if [ -x "$PEERS/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk" ]; then OVS_ROOT=$PEERS; else OVS_ROOT=; fi
	OVS_VSWITCHD=$OVS_ROOT/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk
	[ -x "$OVS_VSWITCHD" ] && [ -x "$OVS_ROOT/usr/sbin/ovsdb-server" ] || OVS_VSWITCHD=
}
PEER_REMEDY="'.ci/deps peers' gets it"

# peer_bg LOG CMD...: in the background; its process id is in PEER_PID
peer_bg() {
	local log=$1
	shift
	setpriv --pdeathsig KILL "$@" >>"$log" 2>&1 </dev/null 9>&- &
	PEER_PID=$!
	PEER_PIDS+=("$PEER_PID")
}
peer_gone() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }
# peer_stop PID [SIGNAL]: and wait
peer_stop() {
	local i
	[ -n "${1:-}" ] || return 0
	disown "$1" 2>/dev/null # or the shell speaks of the signal
	kill "-${2:-TERM}" "$1" 2>/dev/null
	# till it is reaped: a zombie's other threads may still hold its locks
	for i in $(seq 100); do kill -0 "$1" 2>/dev/null || break; sleep 0.05; done
	kill -9 "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	return 0
}
peers_end() {
	local p
	for p in "${PEER_PIDS[@]}"; do peer_stop "$p"; done
	PEER_PIDS=()
	# EAL's folders: root's, a user's, a user's without XDG_RUNTIME_DIR
	rm -rf "/var/run/dpdk/$PEER_TAG-"* "${XDG_RUNTIME_DIR:-/tmp}/dpdk/$PEER_TAG-"* "/tmp/dpdk/$PEER_TAG-"* 2>/dev/null
	return 0
}
peer_until() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt "$end" ] || return 1; sleep 0.05; done; }

# peer_eal MB NAME: EAL's words about memory, the same for all
peer_eal() {
	if [ "$HUGE" = 1 ]; then echo "--no-pci --no-telemetry --file-prefix $PEER_TAG-$2 -m $1 --in-memory --single-file-segments"
	else echo "--no-pci --no-telemetry --file-prefix $PEER_TAG-$2 -m $1 --no-huge --no-shconf"; fi
}

# testpmd_start FOLDER CPU MAIN_CPU IFACE0-WORDS IFACE1-WORDS [SOCKET...]: io forwarding of two net_vhost; waits for the sockets
testpmd_start() {
	local dir=$1 cpu=$2 main=$3 a=$4 b=$5 s
	shift 5
	mkdir -p "$dir"
	rm -f "$@"
	# shellcheck disable=SC2046
	peer_bg "$dir/testpmd.log" "$TESTPMD" --lcores "0@$main,1@$cpu" $(peer_eal 256 pmd) --vdev "net_vhost0,$a" --vdev "net_vhost1,$b" -- \
		--nb-cores=1 --forward-mode=io --rxd=1024 --txd=1024 --total-num-mbufs=32768 --no-mlockall --auto-start --stats-period 3600
	TESTPMD_PID=$PEER_PID
	for s in "$@"; do peer_until 10 test -S "$s" || { tail -5 "$dir/testpmd.log" >&2; return 1; }; done
}

# ovs FOLDER PROGRAM WORDS...: one of OVS's tools within that folder
ovs() {
	local dir=$1 program=$2
	shift 2
	OVS_RUNDIR=$dir OVS_DBDIR=$dir OVS_LOGDIR=$dir OVS_SYSCONFDIR=$dir LD_LIBRARY_PATH=${OVS_ROOT:+$OVS_ROOT/usr/lib/x86_64-linux-gnu} \
		timeout 20 "$OVS_ROOT/usr/bin/$program" "$@"
}
ovs_ctl() { local dir=$1; shift; ovs "$dir" ovs-vsctl "--db=unix:$dir/db.sock" --timeout=15 "$@"; }
# ovs_daemon FOLDER MAIN_CPU: the daemon alone (again)
ovs_daemon() {
	rm -f "$1"/vs.{pid,ctl}
	# shellcheck disable=SC2046
	peer_bg "$1/vs.out" env OVS_RUNDIR="$1" OVS_DBDIR="$1" OVS_LOGDIR="$1" OVS_SYSCONFDIR="$1" \
		LD_LIBRARY_PATH="${OVS_ROOT:+$OVS_ROOT/usr/lib/x86_64-linux-gnu}" $(ovs_net) taskset -c "$2" \
		"$OVS_VSWITCHD" "unix:$1/db.sock" --pidfile="$1/vs.pid" --log-file="$1/vs.log" --unixctl="$1/vs.ctl" -vconsole:off -vsyslog:off
	OVS_PID=$PEER_PID
}
# ovs_net: words before OVS: it makes taps (of its bridges), so it gets a network namespace of its own where that is possible
ovs_net() {
	if unshare -n true 2>/dev/null; then echo unshare -n
	elif unshare -rn true 2>/dev/null; then echo unshare -rn; fi
}
# ovs_start FOLDER CPU MAIN_CPU: an OVS of our own with a bridge br0 (NORMAL: a learning switch) and no ports. per-port-memory
# makes its frame pools as big as its ports need; the default takes 1 GB and seconds to write.
ovs_start() {
	local dir=$1 extra
	mkdir -p "$dir"
	rm -f "$dir"/conf.db "$dir"/.conf.db*
	ovs "$dir" ovsdb-tool create "$dir/conf.db" "$OVS_ROOT/usr/share/openvswitch/vswitch.ovsschema" || return 1
	peer_bg "$dir/db.out" env OVS_RUNDIR="$dir" OVS_DBDIR="$dir" OVS_LOGDIR="$dir" OVS_SYSCONFDIR="$dir" \
		LD_LIBRARY_PATH="${OVS_ROOT:+$OVS_ROOT/usr/lib/x86_64-linux-gnu}" "$OVS_ROOT/usr/sbin/ovsdb-server" "$dir/conf.db" \
		"--remote=punix:$dir/db.sock" --pidfile="$dir/db.pid" --unixctl="$dir/db.ctl" --log-file="$dir/db.log" -vconsole:off -vsyslog:off
	OVSDB_PID=$PEER_PID
	peer_until 10 test -S "$dir/db.sock" || return 1
	extra=$(peer_eal 256 ovs)
	# OVS adds --in-memory by itself unless it is told --legacy-mem, and EAL takes it only with huge pages
	[ "$HUGE" = 1 ] || extra="$extra --legacy-mem"
	ovs_ctl "$dir" --no-wait init -- set Open_vSwitch . other_config:dpdk-init=true other_config:pmd-cpu-mask="$(printf 0x%x $((1 << $2)))" \
		other_config:dpdk-lcore-mask="$(printf 0x%x $((1 << $3)))" other_config:dpdk-extra="$extra" \
		other_config:per-port-memory=true || return 1
	ovs_daemon "$dir" "$3"
	ovs_ctl "$dir" add-br br0 -- set bridge br0 datapath_type=netdev
}
# ovs_port FOLDER NAME SOCKET: the guest listens there (dpdkvhostuserclient)
ovs_port() { ovs_ctl "$1" add-port br0 "$2" -- set Interface "$2" type=dpdkvhostuserclient "options:vhost-server-path=$3"; }
ovs_stop() { peer_stop "${OVS_PID:-}"; peer_stop "${OVSDB_PID:-}"; OVS_PID= OVSDB_PID=; }

# fl_switch_start FOLDER CPU NAME FILE: our switch with a configuration file; waits for its control socket
fl_switch_start() {
	mkdir -p "$1"
	peer_bg "$1/switch.log" "$B/fourlane-switch" --name "$3" --config "$4" --cpus "$2" --huge "$([ "$HUGE" = 1 ] && echo on || echo off)"
	FL_SWITCH_PID=$PEER_PID
	peer_until 10 fl_switch_answers "$3" || { tail -5 "$1/switch.log" >&2; return 1; }
}
fl_switch_answers() { "$B/fourlane" switch show --switch "$1" >/dev/null 2>&1 || { peer_gone "$FL_SWITCH_PID" && return 1; false; }; }

# vgen_words CPU SOCKET0 SOCKET1 [server]: all before key=value
vgen_words() {
	echo "-l $1 $(peer_eal 256 gen) --log-level=lib.eal:4 --log-level=pmd.net.virtio:4" \
		"--vdev net_virtio_user0,path=$2,queue_size=1024,server=${4:-0} --vdev net_virtio_user1,path=$3,queue_size=1024,server=${4:-0} --"
}
