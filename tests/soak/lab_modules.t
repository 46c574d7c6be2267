#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the software host's modules (two at once wait for each other; one that is killed leaves nothing), then runs what they are
# for, behind VT-d and AMD-Vi. Takes minutes. The builds are in a cache of the test's own; those of the machine are made last.
cd "$(dirname "$0")/../.." || exit 1
fl=$PWD/build/fourlane
[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
image=$("$fl" lab build 2>/dev/null) ||
	{ echo "1..0 # SKIP the software host's image cannot be built here; 'fourlane lab build' says why"; exit 0; }
tmp=$(mktemp -d -p /var/tmp) || exit 1
trap 'rm -rf "$tmp"' EXIT
T=0
failed=0
is() { T=$((T + 1)); if [ "$2" = "$3" ]; then echo "ok $T - $1"; else failed=1; echo "not ok $T - $1"; echo "# got '$2', wanted '$3'"; fi; }
of_cache() { pgrep -f -- "$1"; }
wait_for() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done; }
compiles() { compgen -G "$tmp/killed/lab/.new.*/source/drivers/vfio/*.o" >/dev/null; }
none_left() { [ -z "$(of_cache "$tmp/killed")" ]; }

build/lab/modules.sh --cached "$image" "$tmp/killed" >/dev/null 2>"$tmp/err"
is "--cached says that there are none, and builds none" "$? $(grep -c '^fourlane: ' "$tmp/err") $(ls "$tmp/killed" 2>/dev/null)" "1 1 "
build/lab/modules.sh "$image" "$tmp/killed" >/dev/null 2>"$tmp/err" &
p=$!
wait_for 300 compiles
kill -TERM $p
wait $p
is "a build that is ended gives the signal's status" $? 143
wait_for 10 none_left
is "it leaves no process" "$(of_cache "$tmp/killed")" ""
is "and no file" "$(ls -A "$tmp/killed/lab")" .lock

build/lab/modules.sh "$image" "$tmp/two" >"$tmp/a" 2>"$tmp/a.err" &
a=$!
wait_for 60 compgen -G "$tmp/two/lab/.new.*" >/dev/null
build/lab/modules.sh "$image" "$tmp/two" >"$tmp/b" 2>"$tmp/b.err"
is "a second build at the same time succeeds" $? 0
wait $a
is "so does the first" $? 0
is "one of them waited" "$(cat "$tmp"/[ab].err | grep -c 'another process builds here, waiting')" 1
is "both tell the same folder" "$(cat "$tmp/b")" "$(cat "$tmp/a")"
is "which is all that was left" "$(ls -A "$tmp/two/lab" | grep -vxF .lock)" "$(basename "$(cat "$tmp/a")")"
mkdir "$tmp/bin"
for w in apt-get apt-cache dpkg-deb tar sha256sum flock bash cat sed dirname id cut; do ln -s "$(command -v $w)" "$tmp/bin/"; done
PATH=$tmp/bin /bin/bash build/lab/modules.sh "$image" "$tmp/none" >/dev/null 2>"$tmp/err"
is "without a compiler it says in one line what to install" "$? $(wc -l <"$tmp/err") $(grep -c 'apt-get install gcc make' "$tmp/err")" "3 1 1"

"$fl" lab build --modules >/dev/null 2>"$tmp/err"
is "the machine's own are built" $? 0
FOURLANE_SOAK=1 tests/lab/lab_modules.t | awk -v n=$T '/^(not )?ok / { sub(/ok [0-9]*/, "ok " ++n) } !/^1\.\./ { print } END { print "1.." n }'
[ "${PIPESTATUS[0]}" = 0 ] && [ $failed = 0 ]
