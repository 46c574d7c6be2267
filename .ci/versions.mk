# SPDX-License-Identifier: GPL-2.0-or-later
# What comes from another suite than the system's, and where it is unpacked. Read by make and, as shell, by .ci/deps.
CACHE := $(or $(FOURLANE_CACHE),$(if $(filter 0,$(shell id -u)),/var/cache/fourlane,$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fourlane))
# uapi headers (kvm, vfio, iommufd): Debian's linux-libc-dev of this kernel series, unpacked, never installed
UAPI_SERIES := 6.12
UAPI_DIR := $(CACHE)/uapi-$(UAPI_SERIES)/usr/include
