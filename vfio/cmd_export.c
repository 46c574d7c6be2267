/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command `fourlane export`: assigned PCI functions as the words of another monitor, so that
 * a guest that QEMU, libvirt or Cloud Hypervisor runs can have them. What it prints is in export.c;
 * what a word that is no address means, a tenant's name, other folders register (export.h).
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cmd.h"
#include "core/host.h"
#include "export.h"
#include "iommu/iommu.h"

REGISTRY(fl_export_names, struct export_names);

/* The functions that the call names, in its order. */
struct export_list {
	struct export_function *fn;
	size_t n;
};

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
static int export_all(const struct export_format *f, const struct export_list *l, json_t *all)
{
	char text[512];

	for (size_t i = 0; i < l->n; i++) {
		int ret = export_check(host_real.sysfs, l->fn[i].bdf);

		if (ret < 0)
			return ret;
	}
	for (size_t i = 0; i < l->n; i++) {
		if (export_text(f, &l->fn[i], text, sizeof(text)) < 0)
			return -EINVAL;
		export_add(f, text, all);
	}
	return 0;
}

static int export_append(struct export_list *l, const struct export_function *fn, size_t n)
{
	struct export_function *grown = realloc(l->fn, (l->n + n + 1) * sizeof(*grown));

	if (!grown)
		return err_ret(-ENOMEM, "exporting: out of memory; free some");
	l->fn = grown;
	if (n)
		memcpy(&grown[l->n], fn, n * sizeof(*fn));
	l->n += n;
	return 0;
}

static int export_word(struct export_list *l, const char *word)
{
	const struct export_names *const *it;
	struct export_function one = { .bdf = "" }, *found = NULL;
	int ret = -ENOENT;
	size_t n = 0;

	if (iommu_bdf_parse(word, one.bdf) == 0)
		return export_append(l, &one, 1);
	REGISTRY_FOREACH(fl_export_names, it)
		if (ret == -ENOENT)
			ret = (*it)->find(word, &found, &n);
	if (ret == -ENOENT)
		return err_ret(ret,
			       "exporting %s: neither a PCI address nor a tenant; see 'fourlane "
			       "tenant list' and 'fourlane groups'",
			       word);
	if (ret == 0)
		ret = export_append(l, found, n);
	free(found);
	return ret;
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
	int n = cmd_options(&export_command, argc, argv, opts, false), ret = 0;
	struct export_list list = { .fn = NULL };
	char bdf[IOMMU_BDF_SIZE];
	json_t *all;

	if (n < 0)
		return FL_USAGE;
	if (n == 0)
		return cmd_usage(&export_command, "which PCI function or tenant?");
	f = format ? export_find(format) : NULL;
	if (!f)
		return cmd_usage(&export_command, "for whom? say --format %s", export_names());
	for (int i = 1; i <= n; i++)
		if (strchr(argv[i], ':') && iommu_bdf_parse(argv[i], bdf) < 0)
			return cmd_usage(
				&export_command,
				"'%s' is no PCI address; write it like 0000:03:00.0 or 03:00.0",
				argv[i]);
	for (int i = 1; ret == 0 && i <= n; i++)
		ret = export_word(&list, argv[i]);
	all = json ? json_array() : NULL;
	if (ret == 0)
		ret = export_all(f, &list, all);
	free(list.fn);
	if (ret == 0 && json)
		return export_json(f, all);
	json_decref(all);
	return ret;
}

static const struct command export_command = {
	.name = "export",
	.group = CMD_ASSIGN,
	.summary = "PCI functions or a tenant's VFs for other monitors",
	.usage = "BDF|TENANT... --format qemu|libvirt|cloud-hypervisor [--json]\n"
		 "\n"
		 "Prints the arguments or the XML with which another monitor gives an assigned "
		 "function to its guest; of a\n"
		 "tenant: all its VFs, as they are set for it (they are set by then: libvirt's "
		 "mac and vlan say the same).\n"
		 "  --json      the same as a list of arguments, or of XML elements\n"
		 "Example: qemu-system-x86_64 -accel kvm ... $(fourlane export 0000:03:00.0 "
		 "--format qemu)\n",
	.run = export_run,
};
COMMAND(&export_command);
