#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `fourlane tenant` where no NIC can be carved: looking, wrong calls, and the unit that applies at boot.
. "$(dirname "$0")/lib.sh"
plan 13

run() { "$FL" "$@" >"$TMP/o" 2>"$TMP/e"; echo $?; }
if [ -e /var/lib/fourlane/tenants.db ]; then
	for ((i = 0; i < 4; i++)); do skip "this host has tenants"; done
else
	is list_without_tenants_is_done "$(run tenant list; wc -l <"$TMP/o")" "0
1"
	is list_as_json "$(run tenant list --json; tr -d ' \n' <"$TMP/o")" '0
{"version":1,"tenants":[]}'
	is metrics_without_tenants_are_done "$(run tenant metrics; grep -vc '^#' "$TMP/o")" "0
0"
	is looking_makes_no_store "$(ls /var/lib/fourlane/tenants.db 2>/dev/null)" ""
fi
is show_of_nobody_fails "$(run tenant show nobody; wc -l <"$TMP/e")" "1
1"
is no_word_is_a_wrong_call "$(run tenant)" 2
is a_word_that_is_none_is_a_wrong_call "$(run tenant lend)" 2
is one_word_too_many_is_a_wrong_call "$(run tenant list all)" 2
is export_of_nobody_fails "$(run export nobody --format qemu; grep -c 'tenant list' "$TMP/e")" "1
1"

if ls /sys/class/net/*/device/sriov_numvfs >/dev/null 2>&1; then
	skip "this host has NICs with SR-IOV"
else
	printf 'version: 1\ntenants:\n  acme: {vfs: 2}\n' >"$TMP/t.yaml"
	is a_plan_without_sr_iov_is_nothing_this_host_can_do "$(run tenant plan "$TMP/t.yaml"; grep -c 't.yaml:3: .*no NIC with SR-IOV' "$TMP/e")" "3
1"
fi

unit=sriov/fourlane-tenants.service
check the_unit_applies_what_was_applied_last grep -q '^ExecStart=@PREFIX@/bin/fourlane tenant apply --stored' "$unit"
check and_comes_before_networking grep -q '^Before=.*network-pre.target' "$unit"
if command -v systemd-analyze >/dev/null; then
	mkdir -p "$TMP/root/bin" "$TMP/unit"
	ln -s "$(readlink -f "$FL")" "$TMP/root/bin/fourlane"
	sed "s|@PREFIX@|$TMP/root|g" "$unit" >"$TMP/unit/fourlane-tenants.service"
	systemd-analyze verify "$TMP/unit/fourlane-tenants.service" >"$TMP/e" 2>&1
	is systemd_finds_no_fault_in_the_unit "$? $(grep -c fourlane-tenants "$TMP/e")" "0 0"
else
	skip "no systemd-analyze"
fi
