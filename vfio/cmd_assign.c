/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands `fourlane assign` and `fourlane unassign`: words in, vfio_assign()/vfio_unassign()
 * out. What they do is in assign.c.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/cmd.h"
#include "iommu/iommu.h"
#include "vfio/vfio.h"

/* argv[1..n] as sysfs spells them, each once. Gives how many, -1 after a message. */
static int assign_words(const struct command *c, char **argv, int n, char (*bdf)[IOMMU_BDF_SIZE],
			const char **list)
{
	int used = 0;

	for (int i = 1; i <= n; i++) {
		bool twice = false;

		if (iommu_bdf_parse(argv[i], bdf[used]) < 0) {
			cmd_usage(c,
				  "'%s' is no PCI address; write it like 0000:03:00.0 or 03:00.0",
				  argv[i]);
			return -1;
		}
		for (int k = 0; k < used; k++)
			twice |= !strcmp(bdf[k], bdf[used]);
		if (twice)
			continue;
		list[used] = bdf[used];
		used++;
	}
	return used;
}

static int assign_call(const struct command *c, int argc, char **argv,
		       const struct cmd_option *opts, bool *force, bool *dry_run,
		       int (*action)(const struct vfio_sys *, const char *const *, size_t,
				     unsigned int))
{
	int n = cmd_options(c, argc, argv, opts, false), ret = FL_USAGE;
	char(*bdf)[IOMMU_BDF_SIZE] = NULL, state[PATH_MAX];
	const char **list = NULL;
	struct vfio_sys sys;

	if (n < 0)
		return FL_USAGE;
	if (n == 0)
		return cmd_usage(c, "which PCI function?");
	bdf = calloc((size_t)n, sizeof(*bdf));
	list = calloc((size_t)n, sizeof(*list));
	if (!bdf || !list)
		ret = -ENOMEM;
	else if ((n = assign_words(c, argv, n, bdf, list)) > 0 &&
		 (ret = vfio_sys_real(&sys, state, sizeof(state))) == 0)
		ret = action(&sys, list, (size_t)n,
			     (*force ? VFIO_ASSIGN_FORCE : 0) |
				     (*dry_run ? VFIO_ASSIGN_DRY_RUN : 0));
	free(bdf);
	free(list);
	return ret;
}

static const struct command assign_command, unassign_command;

static int assign_run(int argc, char **argv)
{
	bool force = false, dry_run = false;
	const struct cmd_option opts[] = { { .name = "force", .flag = &force },
					   { .name = "dry-run", .flag = &dry_run },
					   { 0 } };

	return assign_call(&assign_command, argc, argv, opts, &force, &dry_run, vfio_assign);
}

static int unassign_run(int argc, char **argv)
{
	bool force = false, dry_run = false;
	const struct cmd_option opts[] = { { .name = "dry-run", .flag = &dry_run }, { 0 } };

	return assign_call(&unassign_command, argc, argv, opts, &force, &dry_run, vfio_unassign);
}

static const struct command assign_command = {
	.name = "assign",
	.group = CMD_ASSIGN,
	.summary = "take PCI functions from the host, for guests",
	.usage = "BDF... [--force] [--dry-run]\n"
		 "\n"
		 "Binds PCI functions to vfio-pci and remembers the driver that each had. All "
		 "functions of an IOMMU\n"
		 "group go together. A NIC with an address or a route, a disk that is mounted and "
		 "a NIC that has\n"
		 "virtual functions are refused.\n"
		 "  --force     also take what is in use\n"
		 "  --dry-run   say what would be done, change nothing\n"
		 "Example: fourlane assign 0000:03:00.0 && fourlane run ... --nic "
		 "vfio,host=0000:03:00.0\n",
	.run = assign_run,
};
COMMAND(&assign_command);

static const struct command unassign_command = {
	.name = "unassign",
	.group = CMD_ASSIGN,
	.summary = "give PCI functions back to their drivers",
	.usage = "BDF... [--dry-run]\n"
		 "\n"
		 "Puts back the driver that 'fourlane assign' found, also after a crash of it or "
		 "of a guest. A function\n"
		 "that a running guest has open is refused.\n"
		 "  --dry-run   say what would be done, change nothing\n",
	.run = unassign_run,
};
COMMAND(&unassign_command);
