# SPDX-License-Identifier: GPL-2.0-or-later
# For the tests of interworking (sourced after lib.sh): several microguests at once, and the other parties of bench/peers/peers.sh.
# shellcheck source=bench/peers/peers.sh
. bench/peers/peers.sh
declare -A VM_PID VM_FD
RUN=${XDG_RUNTIME_DIR:-/tmp/fourlane-$(id -u)}/fourlane
[ "$(id -u)" = 0 ] && RUN=/run/fourlane
N=fl$$	# begins every name that others can see

# vm_start NAME NIC WORDS...: a microguest; its console is $TMP/NAME.out
vm_start() {
	local name=$1 nic=$2 fd
	shift 2
	rm -f "$TMP/$name.in"
	: >"$TMP/$name.out"
	mkfifo "$TMP/$name.in"
	exec {fd}<>"$TMP/$name.in"
	# the fifo is open here for reading, too: the guest's console has no end of input before vm_kill
	setpriv --pdeathsig KILL "$FL" run --name "$N-$name" --kernel "$MG" --append "tsc=$(tsc_hz) $*" --nic "$nic" \
		<"$TMP/$name.in" >"$TMP/$name.out" 2>"$TMP/$name.err" &
	VM_PID[$name]=$!
	VM_FD[$name]=$fd
}
vm_say() { printf %s "$2" >&"${VM_FD[$1]}"; }
# vm_saw NAME TEXT [TIMES]: in whole lines
vm_saw() { [ "$(grep -c "$2" "$TMP/$1.out")" -ge "${3:-1}" ] && [ -z "$(tail -c 1 "$TMP/$1.out")" ]; }
vm_mac() { sed -n 's/.*FL READY mac=\([^ ]*\).*/\1/p' "$TMP/$1.out" | tail -1; }
# vm_field NAME FIELD: of its last RESULT
vm_field() { grep 'FL RESULT' "$TMP/$1.out" | tail -1 | sed -n "s/.* $2=\([^ ]*\).*/\1/p"; }
vm_stat() { "$FL" stats "$N-$1" --json 2>/dev/null | sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p" | head -1; }
vm_stat_is() { [ "$(vm_stat "$1" "$2")" -ge "$3" ] 2>/dev/null; }
vm_kill() {
	local name fd
	for name in "${!VM_PID[@]}"; do
		peer_stop "${VM_PID[$name]}"
		fd=${VM_FD[$name]}
		exec {fd}>&-
		unset "VM_PID[$name]" "VM_FD[$name]"
	done
}
# cpu_of N: the N-th CPU that this process may use; the last one where there are fewer
cpu_of() {
	awk -v n="$1" '/^Cpus_allowed_list:/ {k = split($2, part, ","); for (i = 1; i <= k; i++) {m = split(part[i], r, "-");
		for (c = r[1]; c <= r[m] && j <= n; c++) {j++; cpu = c}} print cpu}' /proc/self/status
}
# show FILE...: their ends, once a test has failed
FAILS=0
not_ok() { T=$((T + 1)); FAILS=$((FAILS + 1)); echo "not ok $T - $*"; }
show() { local f; [ $FAILS -gt 0 ] || return 0; for f in "$@"; do [ -s "$f" ] && { echo "# $f:"; tail -8 "$f" | sed 's/^/# /'; }; done; }
interop_end() {
	vm_kill
	peers_end
	guest_kill
	rm -rf "$TMP" "${RUN:?}/switch/$N" # of a switch that was killed
}
trap interop_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
CPU_SW=$(cpu_of 1) CPU_MAIN=$(cpu_of 0)

# Two guests over a switch of somebody else: "ping" (virtio-net) sends and compares what comes back, "echo" (82540EM) sends it back.
# pair_start NIC-WORDS-PING NIC-WORDS-ECHO
pair_start() {
	vm_start ping "virtio,backend=switch,$1" dev=virtio mode=pingpong size=600 warm_ms=50 ms=500
	vm_start echo "e1000,backend=switch,$2" dev=e1000 mode=rx echo=1 size=600 warm_ms=50 ms=2000
}
pair_linked() { wait_for 15 vm_saw ping 'FL READY' && wait_for 15 vm_saw echo 'FL READY'; }
# pair_run: frames go to and fro, each compared, and none comes back changed

pair_run() {
	local before
	before=$(grep -c 'FL RESULT' "$TMP/ping.out")
	vm_say echo g
	vm_say ping g
	wait_for 20 vm_saw ping 'FL RESULT' $((before + 1)) || return 1
	PAIR_BACK=$(vm_field ping samples)
	echo "# $PAIR_BACK round trips, $(vm_field ping lost) lost, $(vm_field ping bad) changed"
	[ "${PAIR_BACK:-0}" -gt 0 ] && [ "$(vm_field ping bad)" = 0 ] && return
	vm_saw echo 'FL FAIL' && echo "# $(grep 'FL FAIL' "$TMP/echo.out")"
	return 1
}
pair_rest() { wait_for 20 vm_saw echo 'FL RESULT' && [ "$(vm_field echo bad)" = 0 ]; }

# pair_tests NAME KILL START: link, traffic, the switch killed under traffic and back, traffic; 6 tests
pair_tests() {
	local name=$1 kill=$2 start=$3 before
	check "${name}_link_is_up" pair_linked
	check "${name}_frames_come_back_unchanged" wait_for 8 pair_run # OVS sets up its port after the guest has its link
	check "${name}_the_other_end_saw_them_unchanged" pair_rest
	before=$(vm_stat echo rx_frames)
	vm_say echo g
	vm_say ping g
	wait_for 10 vm_stat_is echo rx_frames $((before + 4)) || echo "# no traffic before it is killed"
	"$kill"
	check "${name}_both_guests_notice_that_it_was_killed" wait_for 10 eval "vm_stat_is ping vhost_lost 1 && vm_stat_is echo vhost_lost 1"
	"$start"
	check "${name}_both_guests_find_it_again" wait_for 20 eval "vm_stat_is ping vhost_connects 2 && vm_stat_is echo vhost_connects 2"
	check "${name}_traffic_goes_on" wait_for 20 pair_run
}

# --- fourlane-vgen over our switch -------------------------------------------------------------------------------------------
# vgen_start NAME SERVER KEY=VALUE...: between $TMP/a.sock and $TMP/b.sock; its lines are $TMP/NAME.gen
vgen_start() {
	local name=$1 server=$2
	shift 2
	: >"$TMP/$name.gen"
	# shellcheck disable=SC2046
	peer_bg "$TMP/$name.gen" "$B/fourlane-vgen" $(vgen_words "$CPU_MAIN" "$TMP/a.sock" "$TMP/b.sock" "$server") "$@"
	VGEN_PID=$PEER_PID
}
# vgen_windows NAME [KEY]: how many windows are there; with KEY: in how many it is above 0
vgen_windows() { awk -v k="${2:-}" '$1 == "WINDOW" {if (!k) n++; for (i = 2; i <= NF; i++) {split($i, f, "="); if (f[1] == k && f[2] > 0) n++}} END {print n + 0}' "$TMP/$1.gen"; }
vgen_has() { [ "$(vgen_windows "$1" "$2")" -ge "$3" ]; }
vgen_sum() { awk -v k="$2" '$1 == "WINDOW" {for (i = 2; i <= NF; i++) {split($i, f, "="); if (f[1] == k) n += f[2]}} END {print n + 0}' "$TMP/$1.gen"; }

need_switch() {
	[ -x "$B/fourlane-switch" ] && [ -x "$B/fourlane-vgen" ] || skip_all "fourlane-switch is not built: DPDK is missing; '.ci/deps build' gets it"
}
# switch_file PORT-LINE...: its configuration, $TMP/switch.yaml
switch_file() { { echo 'ports:'; printf '  - %s\n' "$@"; } >"$TMP/switch.yaml"; }
switch_up() { fl_switch_start "$TMP/sw" "$CPU_SW" "$N" "$TMP/switch.yaml"; }
switch_down() { peer_stop "$FL_SWITCH_PID" "${1:-TERM}"; }
# switch_total KEY: of the totals of its stats; of the file that switch_closes makes
switch_total() { sed -n 's/.*"'"$1"'": \([0-9]*\).*/\1/p' "$TMP/stats" | tail -1; }
switch_closes() {
	local in rep out drop
	"$FL" switch stats --switch "$N" --json | sed -n '/"totals"/,$p' >"$TMP/stats"
	in=$(switch_total in_frames) rep=$(switch_total replicated) out=$(switch_total out_frames) drop=$(switch_total drops_total)
	[ -n "$in" ] && [ "$((in + rep))" = "$((out + drop))" ] && return
	echo "# in $in + replicated $rep, out $out + dropped $drop"
	return 1
}
