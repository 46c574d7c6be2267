#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The machine around the CPUs, inside the software host: four CPUs, interrupts to each, pause, huge pages.
. "$(dirname "$0")/guest_inside.sh"
GUEST_HOST=hugepages=200
guest_inside t_machine.sh
