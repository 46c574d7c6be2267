#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The software host for a plain user: root starts this test as `nobody`, with empty folders of his own and the machine's image (root's
# cache is only read). FOURLANE_SOAK=1: he builds an image in his own cache, too.
cd "$(dirname "$0")/../.." || exit 1
fl=$PWD/build/fourlane
[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP not root: every other test of the software host is this one, then"; exit 0; }
image=$("$fl" lab build 2>/dev/null) ||
	{ echo "1..0 # SKIP the software host's image cannot be built here; 'fourlane lab build' says why"; exit 0; }
tmp=$(mktemp -d -p /var/tmp)
user() { runuser -u nobody -- env -i PATH="$PATH" HOME="$tmp/home" TMPDIR="$tmp/home" XDG_RUNTIME_DIR="$tmp/run" FOURLANE_CACHE="$cache" "$@"; }
cleanup() { user "$fl" lab down 2>/dev/null; rm -rf "$tmp"; }
trap cleanup EXIT
mkdir "$tmp/home" "$tmp/run"
chmod 755 "$tmp"
chmod 700 "$tmp/run"
chown -R nobody "$tmp/home" "$tmp/run"
cache=${image%/lab/*}
user test -r "$image/root.img" -a -x "$fl" 2>/dev/null || { echo "1..0 # SKIP nobody may not read $image or not run $fl"; exit 0; }
T=0
failed=0
is() { T=$((T + 1)); if [ "$2" = "$3" ]; then echo "ok $T - $1"; else failed=1; echo "not ok $T - $1"; echo "# got '$2', wanted '$3'"; sed 's/^/# /' "$tmp/err"; fi; }

is "an image that he can read is used" "$(user "$fl" lab build 2>"$tmp/err")" "$image"
is "a lab for one command: it boots, he is root inside" "$(user "$fl" lab run --iommu none -- id -u 2>"$tmp/err")" 0
user "$fl" lab up >/dev/null 2>"$tmp/err"
is "up boots one that stays" $? 0
is "its run folder is his alone" "$(stat -c '%U %a' "$tmp/run/fourlane")" "nobody 750"
is "run uses it" "$(user "$fl" lab run -- sed -n 's/^where=//p' /etc/fourlane-lab 2>"$tmp/err")" lab
is "this build's programs are there" "$(user "$fl" lab run -- fourlane --version 2>"$tmp/err")" "$("$fl" --version)"
is "shell gives one" "$(echo 'echo $((6 * 7))' | user "$fl" lab shell 2>"$tmp/err")" 42
echo word >"$tmp/home/file"
chown nobody "$tmp/home/file"
chmod 640 "$tmp/home/file"
user "$fl" lab copy "$tmp/home/file" in:/tmp/ 2>"$tmp/err"
user "$fl" lab copy in:/tmp "$tmp/home/back" 2>"$tmp/err"
is "copy goes both ways, and what comes back is his" "$(stat -c '%U %a' "$tmp/home/back/file") $(cat "$tmp/home/back/file")" "nobody 640 word"
user "$fl" lab copy in:/tmp/file /root/ 2>"$tmp/err"
is "where he may not write is refused in one line" "$? $(wc -l <"$tmp/err")" "1 1"
"$fl" lab status >"$tmp/err"
is "root's own is another" "$(grep -c "$(user "$fl" lab status --json | sed -n 's/.*"guardian_pid": *\([0-9]*\).*/\1/p')" "$tmp/err")" 0
user "$fl" lab down 2>"$tmp/err"
is "down ends it" $? 0
is "nothing of his runs on" "$(pgrep -u nobody -f "$image" | wc -l)" 0
is "nothing stays in his run folder" "$(find "$tmp/run" -type f -o -type s)" ""
is "and nothing in his home but what he copied" "$(ls -A "$tmp/home" | tr '\n' ' ')" "back file "

mkdir "$tmp/closed"
cache=$tmp/closed user "$fl" lab build >/dev/null 2>"$tmp/err"
is "a cache that he cannot write is told in one line" "$? $(wc -l <"$tmp/err") $(grep -c FOURLANE_CACHE "$tmp/err")" "1 1 1"
if [ "${FOURLANE_SOAK:-0}" = 1 ]; then
	cache=
	user "$fl" lab build >"$tmp/out" 2>"$tmp/err"
	is "he builds an image of his own" "$? $(cat "$tmp/out")" "0 $tmp/home/.cache/fourlane/lab/${image##*/}"
	is "which boots" "$(user "$fl" lab run -- uname -s 2>"$tmp/err")" Linux
	user "$fl" lab build --modules >"$tmp/out" 2>"$tmp/err"
	is "he builds modules, too" $? 0
fi
echo "1..$T"
exit $failed
