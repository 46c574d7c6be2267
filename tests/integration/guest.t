#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The microguest through the emulated and the paravirtual device: each line of guest.conf is a run. Frames are
# counted on both sides, and exits to user space a packet must stay below the line's bound (the console's are taken out).
. "$(dirname "$0")/lib.sh"
need_kvm
mapfile -t runs < <(grep -vE '^(#|$)' tests/integration/guest.conf)
plan $((${#runs[@]} * 3))

trim() { sed 's/^ *//; s/ *$//' <<<"$1"; }
exits() { "$FL" stats "$1" --json | awk '/"total":/ {gsub(/[^0-9]/, ""); t = $0} /"serial":/ {gsub(/[^0-9]/, ""); s = $0} END {print t - s}'; }
counter() { "$FL" stats "$1" --json | sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p" | head -1; }

for line in "${runs[@]}"; do
	IFS='|' read -r name nic words bound <<<"$line"
	name=$(trim "$name"); nic=$(trim "$nic"); words=$(trim "$words"); bound=$(trim "$bound")
	guest_start "fl-guest" "$nic" "$words ms=300 warm_ms=100"
	if ! wait_for 20 guest_saw 'FL READY'; then
		not_ok "${name}_gets_ready"; skip "$name"; skip "$name"
		sed 's/^/# /' "$TMP/fl-guest.out" "$TMP/fl-guest.err"; guest_kill; continue
	fi
	before=$(exits fl-guest)
	guest_say g
	wait_for 20 guest_saw 'FL RESULT'
	after=$(exits fl-guest)
	sent=$(counter fl-guest tx_frames)
	guest_say q
	guest_wait 10; is "${name}_ends_in_order" $? 0
	total=$(field total)
	is "${name}_loses_nothing" "$(field lost)/$(field bad)/$((${sent:-0} - ${total:-1}))" 0/0/0
	check "${name}_exits_stay_below_the_bound" [ $(((after - before) * 1000000)) -le $((bound * ${total:-0})) ]
	echo "# $name: $total frames, $((after - before)) exits to user space"
done
