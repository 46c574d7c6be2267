# SPDX-License-Identifier: GPL-2.0-or-later
# `make carve-time`: 256 VFs made, set, listed and given back by tenants, and by iproute2.
.PHONY: carve-time
carve-time: deps-compare
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)B=$(B) bench/carve/carve_time $(CARVE)
