#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# 20 boots in a row with one CPU and with four, inside the software host. CPUS=1 (or 1,4) and BOOTS=20 choose.
. "$(dirname "$0")/../lab/guest_inside.sh"
GUEST_SECONDS=3000
guest_inside t_linux_boots.sh "cpus=${CPUS:-1,4}" "boots=${BOOTS:-20}"
