# SPDX-License-Identifier: GPL-2.0-or-later
# Runs a test script that drives Linux guests inside a software host of its own, with guest_*.sh beside it, and hands its TAP through
# (sourced by *.t here and in tests/soak): guest_inside SCRIPT [NAME=VALUE...].
# GUEST_SECONDS: how long it may take; GUEST_HOST: more words for the software host's kernel; GUEST_IOMMU: intel or amd.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
guest_inside() {
	local fl=${B:=build}/fourlane err script=$1 words=() v f
	[ -x "$fl" ] || { echo "1..0 # SKIP $fl is not built"; exit 0; }
	if ! err=$("$fl" lab build 2>&1 >/dev/null); then
		echo "1..0 # SKIP the software host's image cannot be built here: ${err##*$'\n'}"
		exit 0
	fi
	shift
	for v in "$@"; do words+=(--env "$v"); done
	for f in "tests/lab/$script" tests/lab/guest_*.sh; do words+=(--copy-in "$f"); done
	exec "$fl" lab run --fresh --cpus 1 --iommu "${GUEST_IOMMU:-none}" --timeout "${GUEST_SECONDS:-400}" ${GUEST_HOST:+--append "$GUEST_HOST"} "${words[@]}" -- bash "$script"
}
