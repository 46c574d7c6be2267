# SPDX-License-Identifier: GPL-2.0-or-later
# `make boot-time`: how long Linux takes to its /init under our monitor and under QEMU. Both programs are static: they run in any host.
BOOT_PROGRAMS := $(B)/boot/init $(B)/boot/stopwatch
.PHONY: boot-time
boot-time: deps-compare
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all $(BOOT_PROGRAMS)
	$(Q)B=$(B) bench/boot/boot_time $(BOOT)

$(B)/boot/init: bench/boot/init.S
	$(call say,GUEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -static -s -o $@ $<

$(B)/boot/stopwatch: bench/boot/stopwatch.c
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 -O2 -Wall -Wextra -Werror -static -s -o $@ $<
