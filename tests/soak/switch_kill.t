#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The kills of tests/integration/switch_kill.t, 100 of each, under the sanitizers.
B=build-san ROUNDS=100 exec "$(dirname "$0")/../integration/switch_kill.t"
