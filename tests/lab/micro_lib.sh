# SPDX-License-Identifier: GPL-2.0-or-later
# Microguests with hardware inside the software host, and TAP's words; sourced by the t_*.sh here that need no Linux guest.
#
#	guest NAME NIC WORDS...		a microguest in the background, with these words for it; ready when this returns 0. guest_cpus: how many
#	say NAME TEXT			types; `finish NAME` ends it and gives its status, `field NAME KEY` is a number of its last result
#	saw NAME WORDS			has it said so, in a line that is whole?
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
mg=/opt/fourlane/bin/mg.elf
tmp=$(mktemp -d)
T=0
ok() { T=$((T + 1)); echo "ok $T - $*"; }
not_ok() { T=$((T + 1)); echo "not ok $T - $*"; tail -n 5 "$tmp"/*err "$tmp"/*.out 2>/dev/null | sed 's/^/# /'; }
check() { local n=$1; shift; if "$@"; then ok "$n"; else not_ok "$n"; fi; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; echo "# got '$2', wanted '$3'"; fi; }
fl() { fourlane "$@" >"$tmp/out" 2>"$tmp/err"; }
status() { fl "$@"; echo $?; }
driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver")" 2>/dev/null; }
wait_for() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }
gone() { ! kill -0 "$1" 2>/dev/null; }

tsc=$(awk '/^cpu MHz/ {printf "%.0f", $4 * 1000000; exit}' /proc/cpuinfo)
declare -A pid fd
guest() {
	local name=$1 nic=$2 in=$tmp/$1.in n
	shift 2
	rm -f "$in"
	mkfifo "$in"
	: >"$tmp/$name.out"
	fourlane run --name "$name" --mem 64M --cpus "${guest_cpus:-1}" --kernel $mg --append "tsc=$tsc $*" --nic "$nic" <"$in" >"$tmp/$name.out" 2>"$tmp/$name.err" &
	pid[$name]=$!
	[ -z "${fd[$name]:-}" ] || exec {fd[$name]}>&-
	exec {n}>"$in"
	fd[$name]=$n
	wait_for 30 saw "$name" 'FL READY'
}
say() { printf %s "$2" >&"${fd[$1]}"; }
saw() { grep -q "$2" "$tmp/$1.out" && [ -z "$(tail -c 1 "$tmp/$1.out")" ]; }
finish() { say "$1" q; wait "${pid[$1]}"; }
field() { sed -n "s/.*FL RESULT.* $2=\([^ ]*\).*/\1/p" "$tmp/$1.out" | tail -1; }
mac_of() { sed -n 's/.*FL READY mac=\([^ ]*\).*/\1/p' "$tmp/$1.out"; }
vmm_of() { fourlane stats "$1" --json | jq .monitor.pid; }
rx_packets() { cat /sys/class/net/lab2/statistics/rx_packets; }
# runs NAME: another round of what it does; 0 when its result has come
runs() {
	local n
	n=$(grep -c 'FL RESULT' "$tmp/$1.out")
	say "$1" g
	wait_for 60 eval "[ \$(grep -c 'FL RESULT' '$tmp/$1.out') -gt $n ] && saw $1 'FL RESULT'"
}
