# SPDX-License-Identifier: GPL-2.0-or-later
# `make direct-cost`: a NIC handed to a guest, under our monitor and under QEMU: time to the first DMA, memory, exits. The program is
# static: it runs in any host.
.PHONY: direct-cost
direct-cost: deps-compare
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all $(B)/direct/onlooker
	$(Q)B=$(B) bench/direct/direct_cost $(DIRECT)

$(B)/direct/onlooker: bench/direct/onlooker.c bench/guest/mg_frame.h
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -I. -std=gnu11 -O2 -Wall -Wextra -Werror -static -s -o $@ $<
