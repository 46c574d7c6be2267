/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command `fourlane export`: an assigned PCI function as the words of another monitor, so that
 * a guest that QEMU, libvirt or Cloud Hypervisor runs can have it. What it prints is in export.c.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/cmd.h"
#include "core/host.h"
#include "export.h"
#include "iommu/iommu.h"

static void export_add(const struct export_format *f, const char *text, json_t *all)
{
	if (!all) {
		printf("%s%s%s\n", f->option ? f->option : "", f->option ? " " : "", text);
		return;
	}
	if (f->option)
		json_array_append_new(all, json_string(f->option));
	json_array_append_new(all, json_string(text));
}

/* All are checked before the first is printed. */
static int export_all(const struct export_format *f, char **argv, int n, json_t *all)
{
	char bdf[IOMMU_BDF_SIZE], text[512];

	for (int i = 1; i <= n; i++) {
		int ret;

		iommu_bdf_parse(argv[i], bdf);
		ret = export_check(host_real.sysfs, bdf);
		if (ret < 0)
			return ret;
	}
	for (int i = 1; i <= n; i++) {
		iommu_bdf_parse(argv[i], bdf);
		if (export_text(f, bdf, text, sizeof(text)) < 0)
			return -EINVAL;
		export_add(f, text, all);
	}
	return 0;
}

static int export_json(const struct export_format *f, json_t *all)
{
	json_t *o = json_pack("{s:i, s:s, s:o}", "version", 1, "format", f->name,
			      f->option ? "arguments" : "xml", all);

	if (!o)
		return -ENOMEM;
	json_dumpf(o, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(o);
	return 0;
}

static const struct command export_command;

static int export_run(int argc, char **argv)
{
	const struct export_format *f;
	const char *format = NULL;
	bool json = false;
	const struct cmd_option opts[] = { { .name = "format", .value = &format },
					   { .name = "json", .flag = &json },
					   { 0 } };
	int n = cmd_options(&export_command, argc, argv, opts, false), ret;
	char bdf[IOMMU_BDF_SIZE];
	json_t *all;

	if (n < 0)
		return FL_USAGE;
	if (n == 0)
		return cmd_usage(&export_command, "which PCI function?");
	f = format ? export_find(format) : NULL;
	if (!f)
		return cmd_usage(&export_command, "for whom? say --format %s", export_names());
	for (int i = 1; i <= n; i++)
		if (iommu_bdf_parse(argv[i], bdf) < 0)
			return cmd_usage(
				&export_command,
				"'%s' is no PCI address; write it like 0000:03:00.0 or 03:00.0",
				argv[i]);
	all = json ? json_array() : NULL;
	ret = export_all(f, argv, n, all);
	if (ret == 0 && json)
		return export_json(f, all);
	json_decref(all);
	return ret;
}

static const struct command export_command = {
	.name = "export",
	.group = CMD_ASSIGN,
	.summary = "an assigned PCI function in another monitor's words",
	.usage = "BDF... --format qemu|libvirt|cloud-hypervisor [--json]\n"
		 "\n"
		 "Prints the arguments or the XML with which another monitor gives an assigned "
		 "function to its guest.\n"
		 "  --json      the same as a list of arguments, or of XML elements\n"
		 "Example: qemu-system-x86_64 -accel kvm ... $(fourlane export 0000:03:00.0 "
		 "--format qemu)\n",
	.run = export_run,
};
COMMAND(&export_command);
