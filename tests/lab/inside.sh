# SPDX-License-Identifier: GPL-2.0-or-later
# Runs a test script inside a software host of its own and hands its TAP through (sourced by the *.t here): inside SCRIPT [IOMMU [OPTION]...].
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
inside() {
	local fl=$PWD/build/fourlane err
	[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
	err=$(mktemp)
	if ! "$fl" lab build >/dev/null 2>"$err"; then
		echo "1..0 # SKIP the software host's image cannot be built here: $(tail -1 "$err")"
		rm -f "$err"
		exit 0
	fi
	rm -f "$err"
	exec "$fl" lab run --fresh --timeout 400 --iommu "${2:-intel}" "${@:3}" --copy-in "tests/lab/$1" --copy-in tests/lab/micro_lib.sh -- bash "${1##*/}"
}
