#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The ACPI tables before the compiler that everybody uses: iasl takes each of them apart and translates it again, without an error or
# a warning, and the DSDT comes out as it went in.
. "$(dirname "$0")/lib.sh"
command -v iasl >/dev/null || skip_all "there is no iasl; 'apt-get install acpica-tools' brings it"
[ -x "$B/tests/test_core_acpi" ] || skip_all "$B/tests/test_core_acpi is not built; 'make unit' builds it"
plan 14

FOURLANE_ACPI_DIR=$TMP "$B/tests/test_core_acpi"; is tables_are_written $? 0
cd "$TMP" || exit 1
for t in dsdt facp facs apic mcfg xsdt; do
	iasl -d $t.aml >$t.log 2>&1
	is "${t}_is_taken_apart" "$? $(grep -ciE 'error|warning|invalid|truncat' $t.log)" "0 0"
	mv $t.aml $t.was
	iasl -oa -ve $t.dsl >$t.log 2>&1
	check "${t}_is_translated_again" [ -s $t.aml ]
	[ -s $t.aml ] || sed 's/^/# /' $t.log
done
# past the header, in which the compiler puts its own name
is dsdt_comes_out_as_it_went_in "$(tail -c +37 dsdt.aml | sha256sum)" "$(tail -c +37 dsdt.was | sha256sum)"
