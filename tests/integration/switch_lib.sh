# SPDX-License-Identifier: GPL-2.0-or-later
# A switch and several microguests beside one another, for the tests of the switch (sourced after lib.sh).
SW=$B/fourlane-switch
[ -x "$SW" ] || skip_all "fourlane-switch is not built: DPDK is missing; make deps"
SWN=fl-tr-$$
SWITCH_PID=
TSC=$(tsc_hz)
declare -A G_PID G_IN

# switch_start: with the configuration $TMP/sw.yaml
switch_start() {
	rm -f "$TMP/sw.out"
	"$SW" --name "$SWN" --huge off --memory-mb 16 ${1:+--config "$1"} >"$TMP/sw.out" 2>>"$TMP/sw.err" &
	SWITCH_PID=$!
	wait_for 60 grep -qs serves "$TMP/sw.out"
}
switch_kill() { [ -z "$SWITCH_PID" ] || { kill -9 "$SWITCH_PID" 2>/dev/null; wait "$SWITCH_PID" 2>/dev/null; SWITCH_PID=; }; }
fls() { "$FL" switch "$@" --switch "$SWN"; }
# count PORT KEY: a counter of a port; out_drops.no_buffer and the like for drops. total KEY: of the switch
json() { perl -MJSON::PP -e 'local $/; my $s = decode_json(<STDIN>); my ($p, $k) = @ARGV;
	my ($o) = $p eq "" ? $s->{totals} : grep { $_->{name} eq $p } @{$s->{ports}}; $o = ref $o ? $o->{$_} : undef for split /\./, $k;
	print defined $o ? $o : "none", "\n"' "$@"; }
count() { fls stats --json 2>/dev/null | json "$1" "$2"; }
total() { fls stats --json | json "" "$1"; }

# g_start NAME NIC WORDS...: a guest whose console is $TMP/NAME.out; g_say NAME TEXT writes to it
g_start() {
	local name=$1 nic=$2 fd
	shift 2
	rm -f "$TMP/$name.in" "$TMP/$name.out"
	mkfifo "$TMP/$name.in"
	"$FL" run --name "$name-$$" --mem 32M --kernel "$MG" --append "tsc=$TSC $*" --nic "$nic" <"$TMP/$name.in" >"$TMP/$name.out" 2>"$TMP/$name.err" &
	G_PID[$name]=$!
	exec {fd}>"$TMP/$name.in"
	G_IN[$name]=$fd
	wait_for 60 grep -qs 'FL READY' "$TMP/$name.out"
}
g_say() { printf %s "$2" >&"${G_IN[$1]}"; }
g_mac() { sed -n 's/.*FL READY mac=\([^ ]*\).*/\1/p' "$TMP/$1.out"; }
g_field() { sed -n "s/.*FL RESULT.* $2=\([^ ]*\).*/\1/p" "$TMP/$1.out" | tail -1; }
# g_result NAME SECONDS: until its result is there, the whole line
g_has_result() { grep -qs 'FL RESULT' "$TMP/$1.out" && [ -z "$(tail -c 1 "$TMP/$1.out")" ]; }
g_result() { wait_for "$2" g_has_result "$1"; }
g_vmm() { "$FL" stats "$1-$$" --json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -1; }
g_end() {
	local fd n
	for n in "$@"; do
		fd=${G_IN[$n]:-}
		[ -z "$fd" ] || exec {fd}>&-
		[ -z "${G_PID[$n]:-}" ] || { kill -INT "${G_PID[$n]}" 2>/dev/null; wait "${G_PID[$n]}" 2>/dev/null; }
		unset "G_PID[$n]" "G_IN[$n]"
	done
}
trap 'g_end "${!G_PID[@]}"; switch_kill; rm -rf "/run/fourlane/switch/$SWN" "$TMP"' EXIT
