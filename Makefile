# SPDX-License-Identifier: GPL-2.0-or-later
# fourlane: builds the programs and the microguest, runs the tests and the comparison.
#
# Each folder's folder.mk lists its sources: <folder>-cli goes into fourlane, <folder>-vmm into fourlane-vmm,
# <folder>-switch into fourlane-switch (DPDK), <folder>-lib into all of them and into the unit tests. Objects are linked directly: inside an archive the
# registrations (core/registry.h) would vanish.

SHELL := /bin/bash
B ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC := gcc
V ?= 0
SAN ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

ifeq ($(SAN),1)
override B := $(B)-san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif

include .ci/versions.mk

FOLDERS := core iommu vfio sriov vmdq vswitch pv-net emul-e1000 bench
$(foreach f,$(FOLDERS),$(eval -include $(f)/folder.mk))

srcs = $(wildcard $(foreach f,$(FOLDERS),$(addprefix $(f)/,$($(f)-$(1)))))
objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIB_OBJS := $(call objs,$(call srcs,lib))
CLI_OBJS := $(call objs,$(call srcs,cli))
VMM_OBJS := $(call objs,$(call srcs,vmm))
SWITCH_OBJS := $(call objs,$(call srcs,switch))
# tests of the switch (test_sw_*, test_vmdq_*, fuzz_sw_*) link the switch, all others the monitor and the commands
HAVE_DPDK := $(shell pkg-config --exists libdpdk libevent_core 2>/dev/null && echo 1)
TEST_SRCS := $(wildcard tests/unit/test_*.c) $(wildcard tests/fuzz/fuzz_*.c)
ifneq ($(HAVE_DPDK),1)
TEST_SRCS := $(filter-out tests/unit/test_sw_% tests/unit/test_vmdq_% tests/fuzz/fuzz_sw_%,$(TEST_SRCS))
endif
TESTS := $(patsubst %.c,$(B)/tests/%,$(notdir $(TEST_SRCS)))
TEST_HELP_OBJS := $(call objs,$(filter-out tests/unit/helper_sw_%,$(wildcard tests/unit/helper_*.c)))
TEST_SW_HELP_OBJS := $(call objs,$(wildcard tests/unit/helper_sw_*.c))

CLI_PKGS := libpci libnl-3.0 libnl-route-3.0 libnl-genl-3.0 jansson libcyaml yaml-0.1 sqlite3
VMM_PKGS := jansson libseccomp liburing
SWITCH_PKGS := libdpdk libevent_core libcyaml jansson
PKGS := $(CLI_PKGS) $(VMM_PKGS)
REVISION := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)

CPPFLAGS += -D_GNU_SOURCE -I. $(if $(wildcard $(UAPI_DIR)),-isystem $(UAPI_DIR)) -isystem /usr/include/libnl3
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-format-truncation -Wmissing-prototypes -Wstrict-prototypes -fstack-protector-strong \
	-ffunction-sections -fPIE $(SANFLAGS)
LDFLAGS += -pie -Wl,-z,relro,-z,now $(SANFLAGS)

PROGRAMS := $(B)/fourlane $(B)/fourlane-vmm $(B)/mg.elf
ifeq ($(HAVE_DPDK),1)
PROGRAMS += $(if $(wildcard vswitch/main_switch.c),$(B)/fourlane-switch)
# DPDK's own words: rte_config.h before everything, its headers as system headers; -march is the library's
DPDK_CFLAGS := $(patsubst -I%,-isystem %,$(filter -include rte_config.h -I/usr/include/dpdk% -march=%,$(shell pkg-config --cflags libdpdk)))
$(B)/obj/vswitch/%.o $(B)/obj/vmdq/%.o $(B)/obj/tests/unit/test_sw_%.o $(B)/obj/tests/unit/test_vmdq_%.o \
$(B)/obj/tests/unit/helper_sw_%.o $(B)/obj/tests/fuzz/fuzz_sw_%.o $(B)/obj/bench/peers/%.o: CPPFLAGS += $(DPDK_CFLAGS)
else
$(info fourlane-switch is left out: DPDK or libevent is missing; make deps installs them)
endif

.PHONY: print-uapi tests-build all check compare soak install clean help deps unit deps-check deps-compare FORCE
all: $(PROGRAMS)

help:
	@echo 'make            build fourlane, fourlane-vmm, fourlane-switch and the microguest into $(B)/'
	@echo 'make compare    install what is missing, build, compare the lanes on this host and in the software host'
	@echo 'make peers      install what is missing, build, measure the switch beside OVS-DPDK and testpmd (PEERS=--quick ...)'
	@echo 'make boot-time  install what is missing, build, time Linux to its /init beside QEMU, in the software host (BOOT=--rounds 9 ...)'
	@echo 'make direct-cost  the same for a NIC in a guest: first DMA, memory, exits beside QEMU, in the software host (DIRECT=--rounds 9 ...)'
	@echo 'make carve-time  the same for 256 VFs of tenants beside iproute2, in the software host (CARVE=--rounds 5 ...)'
	@echo 'make check      install what is missing, build, run every test that this machine can run'
	@echo 'make soak       the long repetitions of the tests'
	@echo 'make install    into $$(DESTDIR)$$(PREFIX), PREFIX=$(PREFIX)'
	@echo 'make clean      remove $(B)/ and $(B)-san/ (the cache of images and headers stays: $(CACHE))'
	@echo 'options         SAN=1 (ASan and UBSan, into $(B)-san/)   V=1 (show commands)'

# --- what has to be installed -------------------------------------------------------------------------------
deps:
	$(Q).ci/deps build
deps-check:
	$(Q).ci/deps check
deps-compare:
	$(Q).ci/deps compare

# --- programs --------------------------------------------------------------------------------------------------
$(B)/fourlane: $(CLI_OBJS) $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs $(CLI_PKGS)) -lpthread

$(B)/fourlane-vmm: $(VMM_OBJS) $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs $(VMM_PKGS)) -lpthread

$(B)/fourlane-switch: $(SWITCH_OBJS) $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs $(SWITCH_PKGS)) -lpthread

$(B)/obj/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The revision is compiled into one object only, so that a commit rebuilds that one.
$(B)/obj/core/version.o: CPPFLAGS += -DFOURLANE_REVISION='"$(REVISION)"'
$(B)/obj/core/version.o: $(B)/revision

$(B)/revision: FORCE
	$(Q)mkdir -p $(B)
	$(Q)echo '$(REVISION)' | cmp -s - $@ || echo '$(REVISION)' > $@

$(B)/flags: FORCE
	$(Q)mkdir -p $(B)
	$(Q)echo '$(CC) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS)' > $@

-include bench/guest/guest.mk
-include bench/peers/peers.mk
-include bench/boot/boot.mk
-include bench/direct/direct.mk
-include bench/carve/carve.mk

# --- tests -------------------------------------------------------------------------------------------------------
# A unit test links everything but the mains and the jail: small enough, and a fake is never in the way of the real one.
UNIT_OBJS = $(filter-out %/main_fourlane.o %/main_vmm.o,$(sort $(LIB_OBJS) $(VMM_OBJS) $(CLI_OBJS)))
$(B)/tests/%: $(B)/obj/tests/unit/%.o $(TEST_HELP_OBJS) $(UNIT_OBJS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs cmocka $(PKGS)) -lpthread

# The same for what the switch is made of.
SW_UNIT_OBJS = $(filter-out %/main_switch.o,$(sort $(SWITCH_OBJS) $(LIB_OBJS)))
define switch_test
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $$(pkg-config --libs cmocka $(SWITCH_PKGS)) -lpthread
endef
$(B)/tests/test_sw_%: $(B)/obj/tests/unit/test_sw_%.o $(TEST_SW_HELP_OBJS) $(SW_UNIT_OBJS)
	$(switch_test)
$(B)/tests/test_vmdq_%: $(B)/obj/tests/unit/test_vmdq_%.o $(TEST_SW_HELP_OBJS) $(SW_UNIT_OBJS)
	$(switch_test)

# Fuzz targets: LLVMFuzzerTestOneInput() with a driver of our own that feeds mutated seeds and speaks TAP.
FUZZ_DRIVER := $(B)/obj/tests/fuzz/driver.o
$(B)/tests/fuzz_sw_%: $(B)/obj/tests/fuzz/fuzz_sw_%.o $(FUZZ_DRIVER) $(SW_UNIT_OBJS)
	$(switch_test)
$(B)/tests/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(FUZZ_DRIVER) $(UNIT_OBJS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs $(PKGS)) -lpthread

unit: $(TESTS)

# build everything that a test run needs, without installing or running anything
tests-build: all unit

check: deps-check
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) tests-build
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) SAN=1 tests-build
	$(Q)tests/run check

soak: deps-check
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) tests-build
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) SAN=1 tests-build
	$(Q)tests/run soak

compare: deps-compare
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)$(B)/fourlane compare $(COMPARE)

print-uapi:
	@echo $(wildcard $(UAPI_DIR))

# --- install ------------------------------------------------------------------------------------------------------
install: all
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/fourlane $(DESTDIR)$(PREFIX)/libexec/fourlane/lab \
		$(DESTDIR)$(PREFIX)/share/doc/fourlane $(DESTDIR)$(PREFIX)/lib/systemd/system
	$(Q)install -m 755 $(B)/fourlane $(DESTDIR)$(PREFIX)/bin/
	$(Q)install -m 755 $(B)/fourlane-vmm $(DESTDIR)$(PREFIX)/libexec/fourlane/
	$(Q)$(if $(HAVE_DPDK),install -m 755 $(B)/fourlane-switch $(DESTDIR)$(PREFIX)/bin/)
	$(Q)install -m 644 $(B)/mg.elf $(DESTDIR)$(PREFIX)/libexec/fourlane/
	$(Q)$(if $(INSTALL_LAB),install -m 755 $(INSTALL_LAB) $(DESTDIR)$(PREFIX)/libexec/fourlane/lab/)
	$(Q)for u in core/fourlane-guest@.service vfio/fourlane-assign.service sriov/fourlane-tenants.service; do \
		sed 's|@PREFIX@|$(PREFIX)|g' $$u > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/} || exit 1; done
	$(Q)install -m 644 README.md bench/schema.json bench/schema_dma_map.json $(DESTDIR)$(PREFIX)/share/doc/fourlane/

clean:
	$(Q)rm -rf build build-san

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
