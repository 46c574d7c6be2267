/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program `fourlane-vmm`: one monitor, started and fed by `fourlane run`. Nothing for people to
 * call. */
#include "core/monitor.h"

int main(void)
{
	return monitor_main(MONITOR_CONTROL_FD);
}
