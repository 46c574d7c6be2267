#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A tap of this machine on the software host's wire: programs here and inside reach each other through lab0. In a network namespace
# of its own, so it needs root (or unprivileged user namespaces) and /dev/net/tun.
cd "$(dirname "$0")/../.." || exit 1
fl=$PWD/build/fourlane
if [ -z "${LAB_TAP_INSIDE:-}" ]; then
	[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
	"$fl" lab build >/dev/null 2>&1 ||
		{ echo "1..0 # SKIP the software host's image cannot be built here; 'fourlane lab build' says why"; exit 0; }
	ns=(unshare --net)
	[ "$(id -u)" = 0 ] || ns=(unshare --user --map-root-user --net)
	"${ns[@]}" ip tuntap add dev try0 mode tap 2>/dev/null ||
		{ echo "1..0 # SKIP no taps in a network namespace: /dev/net/tun is missing, or namespaces are not allowed"; exit 0; }
	LAB_TAP_INSIDE=1 exec "${ns[@]}" "tests/lab/$(basename "$0")"
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
T=0
failed=0
is() { T=$((T + 1)); if [ "$2" = "$3" ]; then echo "ok $T - $1"; else failed=1; echo "not ok $T - $1"; echo "# got '$2', wanted '$3'"; sed 's/^/# /' "$tmp/err"; fi; }
: >"$tmp/err"
# Runs the words here while a lab with the tap lives; its stdin ends it. $1: the tap.
with_lab() {
	mkfifo "$tmp/end" "$tmp/ready"
	"$fl" lab run --fresh --iommu none --tap "$1" --timeout 200 -- sh -c '
		ip addr add 192.0.2.2/24 dev lab0
		for i in $(seq 100); do [ "$(cat /sys/class/net/lab0/carrier)" = 1 ] && break; sleep 0.2; done
		socat TCP-LISTEN:7,fork,reuseaddr EXEC:cat &
		while ! ss -ltn | grep -q ":7 "; do sleep 0.1; done
		echo; cat >/dev/null; ping -c 3 -w 20 192.0.2.1 | grep -c "bytes from"' <"$tmp/end" >"$tmp/ready" 2>"$tmp/err" &
	lab=$!
	exec 3>"$tmp/end" 4<"$tmp/ready"
	read -r _ <&4
	"${@:2}"
	exec 3>&-
	read -r from_inside <&4
	wait $lab
	exec 4<&-
	rm "$tmp/end" "$tmp/ready"
}
# says: a word goes to lab0's echo service and comes back
says() { timeout 20 bash -c 'exec 5<>/dev/tcp/192.0.2.2/7 && echo "$1" >&5 && read -r x <&5 && echo "$x"' says "$1" 2>"$tmp/err"; }
new_tap() {
	is "the tap is made, and up" "$(ip -o link show labtap0 | grep -c '[<,]UP[,>]')" 1
	ip addr add 192.0.2.1/24 dev labtap0
	is "this machine reaches lab0" "$(says hello)" hello
	"$fl" lab run --fresh --iommu none --tap labtap0 -- true 2>"$tmp/busy"
	is "a second lab cannot have it, and says so in one line" "$? $(wc -l <"$tmp/busy") $(grep -c 'another program has it open' "$tmp/busy")" "1 1 1"
}
from_inside=
with_lab labtap0 new_tap
is "lab0 reaches this machine" "$from_inside" 3
for i in $(seq 50); do ip link show labtap0 >/dev/null 2>&1 || break; sleep 0.1; done # QEMU's io_uring lets go of it a moment later
is "the tap goes with the lab" "$(ip -o link show labtap0 2>/dev/null)" ""

ip tuntap add dev own0 mode tap
ip addr add 192.0.2.1/24 dev own0
old_tap() { is "a tap that was there serves, too" "$(says again)" again; }
with_lab own0 old_tap
is "and stays" "$(ip -o link show own0 | wc -l)" 1

"$fl" lab run --fresh --tap lo -- true 2>"$tmp/err"
is "an interface that is no tap is refused in one line" "$? $(wc -l <"$tmp/err") $(grep -c 'is no tap' "$tmp/err")" "1 1 1"
"$fl" lab run --fresh --tap a/b -- true 2>"$tmp/err"
is "what is no name of an interface is a wrong word" $? 2
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && [ -r /proc/self/uid_map ] && [ "$(awk '{ print $3; exit }' /proc/self/uid_map)" != 1 ]; then
	setpriv --reuid 65534 --clear-groups env HOME="$tmp" XDG_RUNTIME_DIR= "$fl" lab run --fresh --tap mine0 -- true 2>"$tmp/err"
	is "who may not make one is told how to, with status 3" "$? $(wc -l <"$tmp/err") $(grep -c 'ip tuntap add dev mine0 mode tap user 65534' "$tmp/err")" "3 1 1"
fi
echo "1..$T"
exit $failed
