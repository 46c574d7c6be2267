# SPDX-License-Identifier: GPL-2.0-or-later
# TAP and guests for the integration tests (sourced). B chooses the build: build (default) or build-san.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
B=${B:-build}
FL=$B/fourlane
MG=${MG:-build/mg.elf}
TMP=$(mktemp -d)
T=0
trap 'guest_kill; rm -rf "$TMP"' EXIT

plan() { echo "1..$1"; }
skip_all() { echo "1..0 # SKIP $*"; exit 0; }
ok() { T=$((T + 1)); echo "ok $T - $*"; }
not_ok() { T=$((T + 1)); echo "not ok $T - $*"; }
skip() { T=$((T + 1)); echo "ok $T # SKIP $*"; }
# check NAME CMD...: ok when the command succeeds
check() { local n=$1; shift; if "$@"; then ok "$n"; else not_ok "$n"; fi; }
# is NAME GOT WANT
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; echo "# got '$2', wanted '$3'"; fi; }
# wait_for SECONDS CMD...: until it succeeds
wait_for() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt "$end" ] || return 1; sleep 0.05; done; }

tsc_hz() {
	# the kernel's own figure, else measured
	local khz
	khz=$(sed -n 's/.*tsc_khz=\([0-9]*\).*/\1/p' /proc/cmdline)
	[ -n "$khz" ] || khz=$(awk '/cpu MHz/ {printf "%d", $4 * 1000; exit}' /proc/cpuinfo)
	echo $((khz * 1000))
}

# guest_start NAME NIC WORDS...: a microguest in the background; its console is $TMP/NAME.out, input by fd 9
GUEST=
guest_start() {
	local name=$1 nic=$2
	shift 2
	GUEST=$name
	rm -f "$TMP/in"
	mkfifo "$TMP/in"
	"$FL" run --name "$name" --kernel "$MG" --append "tsc=$(tsc_hz) $*" --nic "$nic" <"$TMP/in" >"$TMP/$name.out" 2>"$TMP/$name.err" &
	GUEST_PID=$!
	exec 9>"$TMP/in"
}
# guest_saw TEXT: and its line is whole
guest_saw() { grep -q "$1" "$TMP/$GUEST.out" && [ -z "$(tail -c 1 "$TMP/$GUEST.out")" ]; }
guest_say() { printf %s "$1" >&9; }
guest_wait() { wait_for "$1" guest_gone && wait "$GUEST_PID"; }
guest_gone() { ! kill -0 "$GUEST_PID" 2>/dev/null || [ "$(ps -o stat= -p "$GUEST_PID" | cut -c1)" = Z ]; }
guest_kill() { [ -z "${GUEST_PID:-}" ] || { exec 9>&-; kill -9 "$GUEST_PID" 2>/dev/null; wait "$GUEST_PID" 2>/dev/null; GUEST_PID=; }; }
# field NAME: of the RESULT line
field() { sed -n "s/.*FL RESULT.* $1=\([^ ]*\).*/\1/p" "$TMP/$GUEST.out" | tail -1; }
need_kvm() { [ -w /dev/kvm ] || skip_all "no /dev/kvm that this user may open"; }
