#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tenants' transactions killed at every place in every way, and 32 processes that lease for 60 s, under the sanitizers.
cd "$(dirname "$0")/../.." || exit 1
export FOURLANE_SOAK_S=${FOURLANE_SOAK_S:-60}
echo 1..2
n=0
for t in test_tenant_kill test_tenant_lease; do
	n=$((n + 1))
	if "build-san/tests/$t" >/tmp/soak-tenants.$$ 2>&1; then
		echo "ok $n - $t"
	else
		echo "not ok $n - $t"
		sed 's/^/# /' /tmp/soak-tenants.$$
	fi
done
rm -f /tmp/soak-tenants.$$
