/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program `fourlane-vmm`: one monitor, started and fed by `fourlane run`. Nothing for people to
 * call. */
#include "core/err.h"
#include "core/monitor.h"
#include "core/paths.h"

int main(void)
{
	if (paths_fill_standard_fds() < 0)
		return FL_FAILED;
	return monitor_main(MONITOR_CONTROL_FD);
}
