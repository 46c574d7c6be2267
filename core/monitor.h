/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor's life: told by its supervisor what the guest is, builds it, jails itself, runs it,
 * answers questions.
 */
#ifndef CORE_MONITOR_H
#define CORE_MONITOR_H

#define MONITOR_CONTROL_FD 3 /* the SOCK_SEQPACKET socket to the supervisor */
#define MONITOR_MAX_NICS   16
#define MONITOR_MAX_DISKS  8

/*
 * monitor_main - serves until the guest ends or the supervisor is gone. Returns an exit status.
 */
int monitor_main(int control);

#endif
