# SPDX-License-Identifier: GPL-2.0-or-later
# The traffic at both ends of a switch (fourlane-vgen), and `make peers`: our switch beside OVS-DPDK and testpmd.
.PHONY: peers deps-peers
deps-peers:
	$(Q).ci/deps peers
peers: deps-peers
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)B=$(B) bench/peers/switch $(PEERS)

ifeq ($(HAVE_DPDK),1)
VGEN := $(B)/fourlane-vgen
all: $(VGEN)

$(VGEN): $(B)/obj/bench/peers/vgen.o $(B)/obj/bench/peers/probe.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs libdpdk) -lpthread
endif
