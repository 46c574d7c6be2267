# SPDX-License-Identifier: GPL-2.0-or-later
# The microguest: one freestanding ELF, $(B)/mg.elf. Included by the top Makefile; alone, from the
# repository's root: make -f bench/guest/guest.mk B=/tmp/mg

B ?= build
MG_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
MG_ROOT := $(MG_DIR)/../..
MG_SRCS := start.S mg_main.c mg_loop.c mg_lib.c mg_pci.c mg_e1000.c mg_virtio.c mg_blk.c mg_smp.c mg_igb_ring.c mg_igb.c mg_igbvf.c mg_abuse.c
MG_OBJS := $(patsubst %,$(B)/obj-mg/%.o,$(MG_SRCS))
MG_CC ?= gcc
MG_LD ?= ld
MG_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes \
	-ffreestanding -fno-builtin -fno-pic -fno-pie -mcmodel=small -mno-red-zone -mgeneral-regs-only -march=x86-64 \
	-mtune=generic -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns

# the first target when used alone
.PHONY: microguest
microguest: $(B)/mg.elf

$(B)/mg.elf: $(MG_OBJS) $(MG_DIR)/mg.ld
	$(if $(filter 1,$(V)),,@printf '  %-7s %s\n' LINK $@)
	$(if $(filter 1,$(V)),,@)$(MG_LD) -n -static -nostdlib -z noexecstack --no-warn-rwx-segments -T $(MG_DIR)/mg.ld -o $@ $(MG_OBJS)

$(B)/obj-mg/%.o: $(MG_DIR)/% $(MG_DIR)/guest.mk
	$(if $(filter 1,$(V)),,@printf '  %-7s %s\n' GUEST $<)
	$(if $(filter 1,$(V)),,@)mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@)$(MG_CC) $(MG_CFLAGS) -I$(MG_ROOT) -MMD -MP -c -o $@ $<

-include $(MG_OBJS:.o=.d)
