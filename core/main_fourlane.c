/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program `fourlane`: the commands register themselves (core/cmd.h), this only starts the
 * table. */
#include <signal.h>

#include "core/cmd.h"
#include "core/paths.h"

int main(int argc, char **argv)
{
	if (paths_fill_standard_fds() < 0)
		return FL_FAILED;
	signal(SIGPIPE, SIG_IGN);
	return cmd_main(argc, argv);
}
