#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/lab/lab_user.t with an image that the plain user builds himself.
FOURLANE_SOAK=1 exec "$(dirname "$0")/../lab/lab_user.t"
