#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Three tenants on an 82576: their whole life (t_tenants.sh).
. "$(dirname "$0")/inside.sh"
inside t_tenants.sh intel --in-turn --append iomem=relaxed
