#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The software host itself: what it has, what `fourlane lab run` hands through, and that nothing stays when its processes are killed.
# Runs on the host; speaks TAP. A lab that is up already is left alone: then only what needs no lab of our own is tested.
cd "$(dirname "$0")/../.." || exit 1
fl=$PWD/build/fourlane
[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
tmp=$(mktemp -d)
T=0
ours=
cleanup() { [ -n "$ours" ] && "$fl" lab down; rm -rf "$tmp"; }
trap cleanup EXIT
ok() { T=$((T + 1)); echo "ok $T - $*"; }
not_ok() { T=$((T + 1)); echo "not ok $T - $*"; [ -s "$tmp/err" ] && sed 's/^/# /' "$tmp/err"; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; echo "# got '$2', wanted '$3'"; fi; }
check() { local n=$1; shift; if "$@"; then ok "$n"; else not_ok "$n"; fi; }
inside() { "$fl" lab run -- "$@" 2>"$tmp/err"; }
children_of() { awk -v p="$1" '$4 == p { print $1 }' /proc/[0-9]*/stat 2>/dev/null; }
alive() { [ -e "/proc/$1" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
none_alive() { local p; for p in "$@"; do alive "$p" && return 1; done; return 0; }
wait_for() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }
json() { "$fl" lab status --json | sed -n "s/.*\"$1\": *\"\\{0,1\\}\\([^\",]*\\).*/\\1/p"; }
run_dir=${XDG_RUNTIME_DIR:-/tmp/fourlane-$(id -u)}/fourlane/lab
[ "$(id -u)" = 0 ] && run_dir=/run/fourlane/lab
litter() { find /tmp /var/tmp -maxdepth 1 \( -name 'vl.*' -o -name 'qemu*' \) 2>/dev/null; ls -A "$run_dir" 2>/dev/null; }

if ! "$fl" lab build >/dev/null 2>"$tmp/err"; then
	echo "1..0 # SKIP the software host's image cannot be built here: $(tail -1 "$tmp/err")"
	exit 0
fi
if [ "$(json up)" = true ]; then
	echo "1..0 # SKIP a software host is up; 'fourlane lab down' ends it"
	exit 0
fi

# --- one that is up ------------------------------------------------------------------------------------------------
ours=1
"$fl" lab up >"$tmp/out" 2>"$tmp/err"
is "up boots and returns" $? 0
[ "$(json up)" = true ] || { echo "Bail out! the software host does not come up"; exit 1; }
is "status tells the IOMMU" "$(json iommu)" intel
is "up a second time finds it" "$("$fl" lab up 2>&1)" "$(cat "$tmp/out")"
"$fl" lab up --iommu amd >/dev/null 2>"$tmp/err"
is "up with another IOMMU is refused while one is up" $? 1

inside true; is "exit status 0 is handed through" $? 0
inside sh -c 'exit 42'; is "exit status 42 is handed through" $? 42
inside sh -c 'kill -9 $$'; is "a command killed by a signal gives 128 + the signal" $? 137
inside no-such-command; is "a command that is not there gives 127" $? 127
is "stdout comes through alone" "$(inside sh -c 'echo out; echo err >&2')" out
is "stderr comes through alone" "$(cat "$tmp/err")" err
is "stdin goes through" "$(echo "some words" | inside cat)" "some words"
is "an argument with spaces and quotes stays one" "$(inside printf '%s|' "a b" "c'd\"e" '')" "a b|c'd\"e||"
is "a variable given with --env is there" "$("$fl" lab run --env 'A=x y' -- sh -c 'echo "$A"')" "x y"
head -c 3000000 /dev/urandom >"$tmp/big"
is "3 MB go in and out unchanged" "$(inside cat <"$tmp/big" | sha256sum)" "$(sha256sum <"$tmp/big")"
is "a reader that closes early ends the command" "$(inside yes | head -1)" y
"$fl" lab run --timeout 1 -- sleep 100 2>"$tmp/err"
is "--timeout ends the command with 124" $? 124
check "and it is gone inside" wait_for 10 sh -c "! '$fl' lab run -- pgrep -x sleep >/dev/null"

mkdir -p "$tmp/tree/sub"
echo one >"$tmp/tree/file"
echo two >"$tmp/tree/sub/with space"
ln -s file "$tmp/tree/link"
printf '#!/bin/sh\necho ran "$@"\n' >"$tmp/script"
chmod +x "$tmp/script"
is "a file copied in is in the command's folder, executable" "$("$fl" lab run --copy-in "$tmp/script" -- ./script x)" "ran x"
"$fl" lab run --copy-in "$tmp/tree:/tmp/tree" --copy-out "/tmp/tree:$tmp/back" --copy-out "/tmp/tree/file:$tmp/file" -- true 2>"$tmp/err"
check "a folder comes back as it went in" diff -r --no-dereference "$tmp/tree" "$tmp/back"
check "a file comes back as it went in" cmp -s "$tmp/tree/file" "$tmp/file"
"$fl" lab run --copy-out "/nothing:$tmp/x" -- true 2>"$tmp/err"
is "copying out what is not there fails with one line" "$? $(grep -c '^fourlane: ' "$tmp/err")" "1 1"
"$fl" lab run --copy-out "/tmp/tree/file:$tmp/file2" -- sh -c 'exit 9' 2>"$tmp/err"
is "a failed command's files come out, too" "$? $(cat "$tmp/file2")" "9 one"

# --- lab copy ------------------------------------------------------------------------------------------------------------
copy() { "$fl" lab copy "$@" 2>"$tmp/err"; }
refused() { local n=$1 why=$2; shift 2; copy "$@"; is "$n" "$? $(wc -l <"$tmp/err") $(grep -c -- "$why" "$tmp/err")" "1 1 1"; }
chmod 640 "$tmp/tree/file"
chmod 2751 "$tmp/tree/sub"
copy "$tmp/tree/file" in:; is "copy puts a file into /root by its name" "$? $(inside cat /root/file)" "0 one"
copy "$tmp/tree/file" in:/tmp/other; is "or under another name, with its mode" "$? $(inside stat -c %a /tmp/other)" "0 640"
copy "$tmp/tree" in:/tmp/new; copy "$tmp/tree" in:/tmp/new/
is "a folder becomes the name, or goes into the folder that is there" \
	"$(inside sh -c 'cd /tmp/new && find . | sort' | tr '\n' ' ')" \
	". ./file ./link ./sub ./sub/with space ./tree ./tree/file ./tree/link ./tree/sub ./tree/sub/with space "
mkdir "$tmp/got"
copy in:/tmp/new/tree in:/tmp/other in:file "$tmp/got"
is "several come out into a folder" "$? $(cat "$tmp/got/other" "$tmp/got/file" | tr '\n' ' ')" "0 one one "
check "the folder as it was" diff -r --no-dereference "$tmp/tree" "$tmp/got/tree"
is "with its modes, but no set-group-ID" "$(stat -c %a "$tmp/got/other" "$tmp/got/tree/file" "$tmp/got/tree/sub" | tr '\n' ' ')" "640 640 751 "
copy in:/tmp/other "$tmp/got/link2" && ln -s other "$tmp/got/to" && copy in:/etc/hostname "$tmp/got/to"
is "a link here is followed" "$([ -L "$tmp/got/to" ] && cat "$tmp/got/other")" lab
copy in:/tmp/other /dev/null; is "/dev/null stays what it is" "$? $(stat -c %F /dev/null)" "0 character special file"
copy "$tmp/file" in:/proc/sys/vm/nr_hugepages; is "a file of /proc takes the bytes" "$? $(wc -l <"$tmp/err")" "1 1"
echo 3 >"$tmp/number"
copy "$tmp/number" in:/proc/sys/vm/nr_hugepages; is "when they are the right ones" "$? $(inside cat /proc/sys/vm/nr_hugepages)" "0 3"
inside sh -c 'echo 0 >/proc/sys/vm/nr_hugepages'
refused "what is not there is refused" "No such file" "$tmp/nothing" in:
refused "inside, too" "there is no such file inside" in:/nothing "$tmp/got"
refused "a device inside is no file" "neither a file nor a folder" in:/dev/zero "$tmp/got"
refused "a folder that is not there is refused" "there is no folder /none/ inside" "$tmp/file" in:/none/x
refused "and not made out of the name" "there is no folder" "$tmp/file" in:/none/
refused "nor here" "there is no folder" in:/tmp/other "$tmp/none/"
refused "several files need a folder" "there is no folder" in:/tmp/other in:/etc/hostname "$tmp/none"
refused "a folder does not replace a file" "is no folder" "$tmp/tree" in:/tmp/other
refused "nor here" "is no folder" in:/tmp/new "$tmp/file"
refused "what cannot be written inside is refused" "copying" "$tmp/file" in:/proc/x
refused "a folder, too" "copying" "$tmp/tree" in:/proc/
refused "what cannot be written here is refused" "/proc/x" in:/tmp/other /proc/x
refused "a folder, too" "/proc/" in:/tmp/new /proc/
copy in:/tmp/other in:/tmp/x; is "one side has to be here" $? 2
copy "$tmp/file"; is "a destination is needed" $? 2
copy --tap x0 "$tmp/file" in:; is "an option of another verb is a wrong word" $? 2

# --- what it has -------------------------------------------------------------------------------------------------------
is "four 82576 ports under igb" "$(inside sh -c 'ls -d /sys/bus/pci/drivers/igb/0* | wc -l')" 4
is "they are called lab0 to lab3 by their addresses" "$(inside sh -c 'cat /sys/class/net/lab[0-3]/address' | tr '\n' ' ')" \
	"52:54:00:aa:00:01 52:54:00:aa:00:02 52:54:00:aa:00:03 52:54:00:aa:00:04 "
is "each port has an IOMMU group of its own" \
	"$(inside sh -c 'for i in 0 1 2 3; do ls /sys/class/net/lab$i/device/iommu_group/devices | wc -l; done' | tr '\n' ' ')" "1 1 1 1 "
is "each port offers VFs" "$(inside sh -c 'cat /sys/class/net/lab[0-3]/device/sriov_totalvfs' | sort -u)" 7
is "the four ports are on one wire" "$(inside sh -c '
	for i in 0 1 2 3; do for t in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ "$(cat /sys/class/net/lab$i/carrier)" = 1 ] && break; sleep 0.5; done; done
	cat /sys/class/net/lab[1-3]/statistics/rx_packets >/tmp/before
	perl -e "use Socket; socket(S, 17, SOCK_RAW, 0) or die; \$i = <STDIN>; send(S, qq(\\xff)x6 . qq(RT\\0\\xaa\\0\\1\\x88\\xb5) . qq(x)x50, 0,
		pack(q(SnlSCCa8), 17, 0x88b5, \$i, 0, 0, 6, qq(\\xff)x6)) or die" </sys/class/net/lab0/ifindex
	for t in 1 2 3 4 5 6 7 8 9 10; do
		cat /sys/class/net/lab[1-3]/statistics/rx_packets | paste /tmp/before - | awk "\$2 > \$1" | wc -l >/tmp/n
		[ "$(cat /tmp/n)" = 3 ] && break; sleep 0.5; done
	cat /tmp/n')" 3
check "VFIO's device is there" inside test -c /dev/vfio/vfio
check "KVM is there" inside test -c /dev/kvm
check "a blank NVMe disk is there" inside test -b /dev/nvme0n1
is "programs inside know where they are" "$(inside sed -n 's/^where=//p' /etc/fourlane-lab)" lab
is "this build's fourlane is on the PATH" "$(inside sh -c 'sha256sum </opt/fourlane/bin/fourlane')" "$(sha256sum <"$fl")"
is "and runs" "$(inside fourlane --version)" "$("$fl" --version)"
if [ -x build/fourlane-switch ]; then
	is "so does its switch, with the libraries it needs" "$(inside fourlane-switch --version)" "$(build/fourlane-switch --version)"
fi

# --- many at once, and the end ----------------------------------------------------------------------------------------
for i in 1 2 3 4 5 6; do
	"$fl" lab run -- sh -c "head -c 400000 /dev/zero | tr '\\0' $i" >"$tmp/many$i" 2>>"$tmp/err" &
done
wait
is "six commands at once get each their own bytes" "$(for i in 1 2 3 4 5 6; do tr -d "$i" <"$tmp/many$i" | wc -c; wc -c <"$tmp/many$i"; done | sort -u | tr '\n' ' ')" "0 400000 "
"$fl" lab run -- sleep 1234 2>"$tmp/err" &
p=$!
wait_for 20 inside pgrep -f 'sleep 1234' >/dev/null
kill -9 $p
wait $p 2>/dev/null
check "kill -9 of a run ends its command inside" wait_for 10 sh -c "! '$fl' lab run -- pgrep -x sleep >/dev/null"
guardian=$(json guardian_pid)
procs="$guardian $(children_of "$guardian")"
"$fl" lab down 2>"$tmp/err"
is "down ends it" $? 0
# shellcheck disable=SC2086
check "no process stays after down" none_alive $procs
is "no file stays after down" "$(litter)" ""
"$fl" lab down
is "down when none is up is done already" $? 0
refused "copy needs one that is up" "fourlane lab up" "$tmp/file" in:

# --- killed --------------------------------------------------------------------------------------------------------------
: >"$tmp/here"
"$fl" lab run --fresh -- sh -c 'echo here; exec sleep 1000' >"$tmp/here" 2>"$tmp/err" &
p=$!
wait_for 120 grep -q here "$tmp/here"
guardian=$(children_of $p)
procs="$p $guardian $(children_of "$guardian")"
is "a fresh lab is a command, a guardian and QEMU" "$(echo $procs | wc -w)" 3
kill -9 $p
wait $p 2>/dev/null
# shellcheck disable=SC2086
check "kill -9 of the command leaves no process" wait_for 10 none_alive $procs
is "kill -9 of the command leaves no file" "$(litter)" ""

"$fl" lab up >/dev/null 2>"$tmp/err"
is "another one comes up after that" $? 0
guardian=$(json guardian_pid)
procs="$guardian $(children_of "$guardian")"
kill -9 "$guardian"
# shellcheck disable=SC2086
check "kill -9 of the guardian leaves no process" wait_for 10 none_alive $procs
is "the next command sees that none is up" "$(json up)" false
is "and has cleaned its files away" "$(litter)" ""

"$fl" lab run --fresh --append rdinit=/none -- true 2>"$tmp/err"
is "a host that does not boot is told in one line with status 1" "$? $(grep -c '^fourlane: ' "$tmp/err")" "1 1"
"$fl" lab run --iommu vtd -- true 2>"$tmp/err"
is "a wrong word gives status 2" $? 2

if [ "${FOURLANE_SOAK:-0}" = 1 ]; then
	is "AMD-Vi: the IOMMU is there" "$("$fl" lab run --iommu amd -- ls /sys/class/iommu 2>"$tmp/err")" ivhd0
	is "no IOMMU: none is there" "$("$fl" lab run --iommu none -- sh -c 'ls /sys/class/iommu | wc -l' 2>"$tmp/err")" 0
fi
echo "1..$T"
