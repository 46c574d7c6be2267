/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first minute of process 1 of the software host, see agent_boot.c. */
#ifndef BENCH_LAB_AGENT_BOOT_H
#define BENCH_LAB_AGENT_BOOT_H

/* agent_boot - makes the host ready for commands. 0, or -1 after a line on the console. */
int agent_boot(void);

#endif
