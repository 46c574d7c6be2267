#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
. "$(dirname "$0")/../lab/inside.sh"
inside ../soak/t_cycles.sh intel
