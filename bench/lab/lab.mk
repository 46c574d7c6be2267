# SPDX-License-Identifier: GPL-2.0-or-later
# The files that `fourlane lab` looks for beside itself: the agent (process 1 of the software host), its first script, the
# builders of image and modules; and qemu_copy.sh, which takes QEMU out of the image.
LAB_FILES := $(B)/lab/agent $(B)/lab/build.sh $(B)/lab/build_lib.sh $(B)/lab/modules.sh \
	$(B)/lab/qemu_copy.sh $(B)/lab/stage1
INSTALL_LAB := $(LAB_FILES)
bench-cli += lab/lab_tap.c

all: $(LAB_FILES)

# Static: it runs before and outside of the software host's userland. Never with sanitizers.
$(B)/lab/agent: bench/lab/agent.c bench/lab/agent_boot.c bench/lab/agent_boot.h bench/lab/lab_proto.h
	$(call say,AGENT,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -I. -O2 -std=gnu11 -Wall -Wextra -Werror -static -s -o $@ $(filter %.c,$^)

$(B)/lab/%: bench/lab/%
	$(Q)install -D -m 755 $< $@
