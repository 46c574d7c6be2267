#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bench/direct/direct_cost (`make direct-cost`), one round: its words, its table, its JSON; and of the figures those that are no times.
cd "$(dirname "$0")/../.." || exit 1
export B=${B:-build}
[ -x "$B/fourlane" ] && make -s B="$B" "$B/direct/onlooker" || { echo "1..0 # SKIP $B/fourlane is not built"; exit 0; }
err=$("$B/fourlane" lab build 2>&1 >/dev/null) || { echo "1..0 # SKIP the software host's image cannot be built here: ${err##*$'\n'}"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
T=0
is() { T=$((T + 1)); if [ "$2" = "$3" ]; then echo "ok $T - $1"; else echo "not ok $T - $1"; echo "# got '$2', wanted '$3'"; fi; }
cost() { bench/direct/direct_cost "$@" >"$tmp/out" 2>"$tmp/err"; }
# get EXPRESSION: of perl; $m{MONITOR}{FIGURE}{median} and $ratio->{FIGURE}{median}
get() { perl -MJSON::PP -e 'local $/; my $d = decode_json(<STDIN>); our %m = map { $_->{monitor} => $_ } @{$d->{monitors}};
	our $ratio = $d->{ratios}; print eval($ARGV[0]) // $@' "$1" <"$tmp/j" 2>&1 | tail -1; }
echo "1..10"
cost --rounds 0; is "a number of rounds that is none is refused" $? 2
cost --where host; is "a host wants to be told its NIC" $? 2
cost --where lab --wire eth0; is "the software host does not" $? 2
cost --rounds 1 --json "$tmp/j"; is "one round is done" $? 0
is "the table has its rows" "$(grep -c '^| .* | .* (.*-.*) | .* (.*-.*) | .* (.*-.*) | ' "$tmp/out")" 7
is "all three monitors are in the JSON" "$(get 'join " ", sort keys %m')" "fourlane microvm q35"
is "the guest's memory was there and was taken off" "$(get 'scalar grep { $_->{guest_memory_mib}{median} > 90 } values %m')" 3
is "our private memory is at most a quarter of QEMU's" \
	"$(get 'scalar grep { $ratio->{$_}{median} <= 0.25 } "private_mib", "private_dirty_mib"')" 2
is "no access of the NIC makes an exit" "$(get '$m{fourlane}{mmio_exits_per_packet}{max}')" 0
# one exit in the thousands of packets of a round may be the console's
is "the guest causes no more exits a packet than under QEMU" \
	"$(get 'my $k = "guest_exits_per_packet"; scalar grep { $m{fourlane}{$k}{max} <= $m{$_}{$k}{min} + 0.001 } "microvm", "q35"')" 2
[ -s "$tmp/j" ] || sed 's/^/# /' "$tmp/err" "$tmp/out"
