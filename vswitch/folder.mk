# SPDX-License-Identifier: GPL-2.0-or-later
vswitch-cli := cmd_switch.c
vswitch-switch := $(notdir $(wildcard vswitch/dp_*.c vswitch/vhost_*.c vswitch/port_*.c vswitch/sw_*.c vswitch/main_switch.c))
